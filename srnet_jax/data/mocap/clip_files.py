"""Joint-position files, which virtual cameras see.

Such a `.npz` file holds one array a clip: key `<subject>/<action>/<clip>`, value [T, 17, 3] joint positions in world metres,
z up, in the order of `skeleton.H36M_17`; and `fps`, the frames per second, which older files lack. `conversion` makes the clips
from motion capture files.

`load` reads it. Clips are recorded anywhere in a room, so each is moved until its mean hip position is above the origin.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence, check_finite, film
from srnet_jax.data.mocap import plausibility
from srnet_jax.errors import DataError, UserError, naming
from srnet_jax.io.files import check_new
from srnet_jax.io.safe_load import load_npz
from srnet_jax.io.text import shown
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17, ROOT

CONVENTIONS = (
    "the joints of the source's skeleton; Neck is the base of the skull, and spine, neck, head and shoulders lie a few "
    "centimetres apart between sources"
)
_MAX_EXTENT_M = 20.0  # of one pose; a larger one is not in metres


def load(path: str | Path, *, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    """Read a joint-position file, or all in a folder as one data set, whose scenes are the files' names.

    Warns if left and right seem to be swapped.

    Args:
      path: the `.npz` file, or the folder.
      fps: frames per second of the recordings, if the file does not say.
      cameras: the cameras that see every clip.

    Raises:
      DataError: if a file is missing or damaged, an array has a wrong name, shape, unit or value, or two files differ in
        their frame rates or share a clip's name.
    """
    path = Path(path)
    if not path.is_dir():
        return _load_file(path, fps, cameras)
    files = sorted(path.glob("*.npz"))
    if not files:
        raise DataError(f"{path}: found no .npz file, expected joint positions")
    parts = [_load_file(file, fps, cameras) for file in files]
    sequences: dict[str, Sequence] = {}
    for file, part in zip(files, parts, strict=True):
        if part.fps != parts[0].fps:
            raise DataError(f"{file}: found {part.fps:g} frames a second, expected {parts[0].fps:g} as in {files[0]}")
        for sequence in part.sequences:
            if sequence.name in sequences:
                raise DataError(f"{file}: found {sequence.name}, which {sequences[sequence.name].scene}.npz holds too")
            sequences[sequence.name] = dataclasses.replace(sequence, scene=file.stem)
    return PoseDataset(path.name, H36M_17, parts[0].fps, tuple(sequences.values()), CONVENTIONS)


def _load_file(path: Path, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    clips = load_npz(path)
    if "fps" in clips:
        fps = _checked_fps(clips.pop("fps"), path)
    if not clips:
        raise DataError(f"{path}: holds no clips, expected an array for each")
    sequences: list[Sequence] = []
    mirrored: list[str] = []
    for key, array in clips.items():
        poses = _checked(array, f"{path}: {shown(key)}", key)
        mirrored += [key] if plausibility.is_mirrored(poses) else []
        subject, action, clip = key.split("/")
        centred = poses - [*poses[:, ROOT, :2].mean(0), 0]
        sequences += film(centred, cameras, subject=subject, action=action, trial=clip)
    if mirrored:
        found = f"in {len(mirrored)} of {len(clips)} clips, first {mirrored[0]}"
        warnings.warn(f"{path}: {found}, {plausibility.MIRRORED}", stacklevel=2)
    with naming(path):
        return PoseDataset(path.name, H36M_17, fps, tuple(sequences), CONVENTIONS)


def _checked_fps(array: np.ndarray, path: str | Path) -> float:
    if array.shape != () or array.dtype.kind not in "fiu" or not 0 < float(array) < np.inf:
        raise DataError(f"{path}: fps has shape {array.shape} of {array.dtype}, expected one positive number")
    return float(array)


def _checked(poses: np.ndarray, name: str, key: str) -> np.ndarray:
    """Return [T, 17, 3] float32 world metres."""
    check_key(key, name)
    joints = H36M_17.num_joints
    if poses.ndim != 3 or poses.shape[1:] != (joints, 3) or not len(poses) or poses.dtype.kind != "f":
        raise DataError(f"{name}: found shape {poses.shape} of {poses.dtype}, expected (frames >= 1, {joints}, 3) of floats")
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        poses = poses.astype(np.float32)
    check_finite(poses, f"{name}:")
    extent = float(np.ptp(poses.astype(np.float64), axis=1).max())
    if extent > _MAX_EXTENT_M:
        raise DataError(f"{name}: a pose is {extent:.0f} m wide, expected metres (are these millimetres?)")
    return poses


def check_key(key: str, name: str) -> None:
    """Refuse, with a DataError that begins with `name`, what cannot be the key of a clip."""
    if key.count("/") != 2 or not all(key.split("/")) or not key.isprintable() or len(key) > 200:
        raise DataError(f"{name}: found this key, expected <subject>/<action>/<clip>")


def check_output(path: str | Path) -> None:
    """Refuse, with a UserError, a name that is not `.npz`, a file that exists, or one that cannot be written."""
    if Path(path).suffix != ".npz":
        raise UserError(f"{path}: expected a name ending in .npz")
    check_new(path)


def save(path: str | Path, clips: dict[str, np.ndarray], *, fps: float) -> None:
    """Write a joint-position file, whole or not at all, from what `conversion.convert` returns; see `check_output`."""
    path = Path(path)
    check_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, fps=np.float64(fps), **clips)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
