"""Read and write joint-position files, and load them as data sets seen by virtual cameras.

A joint-position file is an `.npz` file with one array for each clip. The key is `<subject>/<action>/<clip>`, and the value has
[T, 17, 3] joint positions, world frame, z up, metres, in the order of `skeleton.H36M_17`. An array `fps` has the frames per
second; older files lack it. `conversion` makes the clips from motion capture files.

Clips are recorded anywhere in a room. `load` moves each until its mean hip is above the origin, and moves virtual cameras where
the person would leave their images.
"""

import warnings
from pathlib import Path

import numpy as np

from srnet_jax.data.dataset import PoseDataset, check_finite
from srnet_jax.data.filming import Motion, centred, film_all
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
_MAX_EXTENT_M = 20.0  # of a pose; a larger one is not in metres
_FARTHEST_M = 10_000  # from the origin; up to there float32 resolves a millimetre
_MAX_STEP_M = 10.0  # of the hip from frame to frame; no person moves so fast


def load(path: str | Path, *, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    """Load a joint-position file, or all files in a folder as one data set, as virtual cameras see them.

    Cameras move where a person would leave the image (`filming`). Warns if left and right seem to be swapped.

    Args:
      path: the `.npz` file, or a folder; the names of a folder's files are the scenes.
      fps: frames per second of files that do not declare them.
      cameras: the cameras that see every clip.

    Raises:
      DataError: if a file is missing or damaged, an array has a wrong name, shape, unit or value, or two files have different
        frame rates or a clip of the same name.
    """
    path = Path(path)
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: found no .npz file, expected joint positions")
    found: dict[str, tuple[np.ndarray, str]] = {}
    rates = []
    for file in files:
        clips, rate = read(file, fps)
        rates.append(rate)
        if rate != rates[0]:
            raise DataError(f"{file}: found {rate:g} frames a second, expected {rates[0]:g} as in {files[0]}")
        for key, poses in clips.items():
            if key in found:
                raise DataError(f"{file}: found {key}, which {found[key][1]}.npz has too, expected each clip in one file")
            found[key] = poses, file.stem if path.is_dir() else ""
    motions = (Motion.named(key, centred(poses), scene) for key, (poses, scene) in found.items())
    with naming(path):
        sequences, views = film_all(motions, cameras)
        return PoseDataset(path.name, H36M_17, rates[0], sequences, CONVENTIONS, views=views)


def read(path: Path, fps: float) -> tuple[dict[str, np.ndarray], float]:
    """Read a joint-position file. Warns if left and right seem to be swapped.

    Args:
      path: the `.npz` file.
      fps: frames per second if the file does not declare them.

    Returns:
      The clips, {"subject/action/clip": [T, 17, 3] joints, world frame, metres}, and the frames per second.

    Raises:
      DataError: if the file is missing or damaged, or an array has a wrong name, shape, unit or value.
    """
    clips = load_npz(path)
    if "fps" in clips:
        fps = _checked_fps(clips.pop("fps"), path)
    if not clips:
        raise DataError(f"{path}: found no clips, expected an array for each clip")
    poses = {key: _checked(array, f"{path}: {shown(key)}", key) for key, array in clips.items()}
    mirrored = [key for key in poses if plausibility.is_mirrored(poses[key])]
    if mirrored:
        found = f"in {len(mirrored)} of {len(clips)} clips, first {mirrored[0]}"
        warnings.warn(f"{path}: {found}, {plausibility.MIRRORED}", stacklevel=2)
    return poses, fps


def _checked_fps(array: np.ndarray, path: str | Path) -> float:
    if array.shape != () or array.dtype.kind not in "fiu" or not 0 < float(array) < np.inf:
        raise DataError(f"{path}: fps has shape {array.shape} of {array.dtype}, expected one positive number")
    return float(array)


def _checked(poses: np.ndarray, name: str, key: str) -> np.ndarray:
    """Check the array of a clip and return it as float32."""
    check_key(key, name)
    joints = H36M_17.num_joints
    if poses.ndim != 3 or poses.shape[1:] != (joints, 3) or not len(poses) or poses.dtype.kind != "f":
        raise DataError(f"{name}: found shape {poses.shape} of {poses.dtype}, expected (frames >= 1, {joints}, 3) of floats")
    with np.errstate(over="ignore", invalid="ignore"):  # such values are rejected below
        poses = poses.astype(np.float32)
    check_finite(poses, f"{name}:")
    extent = float(np.ptp(poses.astype(np.float64), axis=1).max())
    if extent > _MAX_EXTENT_M:
        raise DataError(f"{name}: a pose is {extent:.0f} m wide, expected metres (are these millimetres?)")
    if (far := float(np.abs(poses).max())) > _FARTHEST_M:
        raise DataError(f"{name}: a joint is {far:.3g} m from the origin, expected at most {_FARTHEST_M:,} m")
    steps = np.linalg.norm(np.diff(poses[:, ROOT].astype(np.float64), axis=0), axis=-1)
    if len(steps) and steps.max() > _MAX_STEP_M:
        raise DataError(
            f"{name}: the hip moves by {steps.max():.0f} m after frame {steps.argmax()}, expected metres and no jumps"
        )
    return poses


def check_key(key: str, name: str) -> None:
    """Check that a text is a clip's key, `<subject>/<action>/<clip>`.

    Raises:
      DataError: if it is not; the message begins with `name`.
    """
    if key.count("/") != 2 or not all(key.split("/")) or not key.isprintable() or len(key) > 200:
        raise DataError(f"{name}: found this key, expected <subject>/<action>/<clip>")


def check_output(path: str | Path) -> None:
    """Check that a joint-position file can be written.

    Raises:
      UserError: if the name does not end in `.npz`, the file exists, or its folder cannot be written to.
    """
    if Path(path).suffix != ".npz":
        raise UserError(f"{path}: expected a name ending in .npz")
    check_new(path)


def save(path: str | Path, clips: dict[str, np.ndarray], *, fps: float) -> None:
    """Write a joint-position file, completely or not at all.

    Args:
      path: the `.npz` file; must not exist.
      clips: {"subject/action/clip": [T, 17, 3] joints, world frame, metres}, as from `conversion.convert`.
      fps: frames per second of the clips.

    Raises:
      UserError: as `check_output`.
    """
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
