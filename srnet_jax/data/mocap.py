"""Real motion capture from joint-position `.npz` files, seen by virtual cameras.

A file holds plain arrays, one a clip: key `<subject>/<action>/<clip>`, value [T, 17, 3] joint positions in world
metres, z up, in the order of `skeleton.H36M_17`. Each clip is moved so that its mean hip position lies above the
origin, because clips are recorded anywhere in a room, and is then seen by the same cameras.
"""

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.cameras import Camera
from srnet_jax.data.dataset import PoseDataset, Sequence, film
from srnet_jax.errors import DataError
from srnet_jax.skeleton import H36M_17, ROOT

# What NumPy, zipfile and zlib raise on damaged files; RuntimeError is also NotImplementedError.
_DAMAGE = (
    *(
        ValueError,
        OSError,
        EOFError,
        TypeError,
        AttributeError,
        KeyError,
        MemoryError,
        RuntimeError,
        SyntaxError,
        OverflowError,
    ),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error, struct.error),
)
_MAX_EXTENT_M = 20.0  # of one pose; a larger one is not in metres


def load(path: str | Path, *, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    """Read a joint-position file.

    Args:
      path: the `.npz` file.
      fps: frames per second of the recordings, which the file does not hold.
      cameras: the cameras that see every clip.

    Raises:
      DataError: if the file is missing or damaged, or an array has a wrong name, shape, unit or value.
    """
    sequences: list[Sequence] = []
    for key, poses in _read(Path(path)):
        subject, action, clip = key.split("/")
        centred = poses - [*poses[:, ROOT, :2].mean(0), 0]
        sequences += film(centred, cameras, subject=subject, action=action, trial=clip)
    return PoseDataset(Path(path).name, H36M_17, fps, tuple(sequences))


def _read(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each key and its checked float32 array."""
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected an .npz file of joint positions (config.data.path)")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile) or not archive.files:
                raise DataError(f"{path}: holds no arrays, expected one for each clip")
            for key in archive.files:
                yield key, _checked(archive[key], f"{path}: {key}", key)
    except DataError:
        raise
    except _DAMAGE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"{path}: not a readable .npz file of plain arrays ({reason})") from error


def _checked(poses: np.ndarray, name: str, key: str) -> np.ndarray:
    if key.count("/") != 2 or not all(key.split("/")):
        raise DataError(f"{name}: found this key, expected <subject>/<action>/<clip>")
    joints = H36M_17.num_joints
    if poses.ndim != 3 or poses.shape[1:] != (joints, 3) or not len(poses) or poses.dtype.kind != "f":
        raise DataError(f"{name}: found shape {poses.shape} of {poses.dtype}, expected (frames >= 1, {joints}, 3) of floats")
    if not np.isfinite(poses).all():
        frame = int(np.argwhere(~np.isfinite(poses))[0][0])
        raise DataError(f"{name}: holds NaN or infinity at frame {frame}, expected finite joint positions in metres")
    extent = float(np.ptp(poses, axis=1).max())
    if extent > _MAX_EXTENT_M:
        raise DataError(f"{name}: a pose is {extent:.0f} m wide, expected metres (are these millimetres?)")
    return poses.astype(np.float32)
