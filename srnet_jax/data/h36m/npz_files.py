"""Human3.6M, from the files of VideoPose3D, whose layout the whole field uses.

A folder holds

- `data_3d_h36m.npz`: `positions_3d`, a dict {subject: {action: [T, 32, 3] joints, world frame, metres}};
- `data_2d_h36m_<keypoints>.npz`, one for each detector and `gt` for exact projections: `positions_2d`, a dict
  {subject: {action: four arrays [T', 17, 2] of keypoints, pixels, one a camera}}, and `metadata`, a dict.

The files hold no cameras: they are in `cameras`.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence, sides_swapped
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_load import load_npz, stored_dict
from srnet_jax.io.text import described, listed, numbers_of_shape
from srnet_jax.pose.cameras import world_to_camera
from srnet_jax.pose.skeleton import H36M_17

SUBJECTS = tuple(CAMERAS)
CORRUPT = ("S11", ("Directions", ""))  # a recording with a damaged video, which everyone leaves out

CONVENTIONS = "markers; Thorax is the base of the neck, Neck lies by the nose, Head is its top"
_FPS, _FRAMES = 50.0, "frames >= 1"
_REMOVED = (4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31)  # of the 32 joints: copies, hands and toes
_SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # of the original recordings: of everyone else
_MAX_EXTENT_M = 20.0  # of a typical pose; a larger one is not in metres
_MAX_NORMALISED = 1.5  # screen coordinates end at 1, or a little above on a high image


def load(path: str | Path, *, keypoints: str = "gt") -> PoseDataset:
    """Read Human3.6M.

    The file of the keypoints decides which recordings are loaded. A video may go on after the motion that belongs to it;
    these frames are left out.

    Args:
      path: the folder that holds `data_3d_h36m.npz` and `data_2d_h36m_<keypoints>.npz`.
      keypoints: `gt`, or the name of a detector's file, such as `cpn_ft_h36m_dbb`.

    Returns:
      Sequences ordered by subject, as in `SUBJECTS`, then by recording, as in the file of the keypoints, then by camera.

    Raises:
      DataError: if a file is missing or damaged, or does not hold what was expected.

    Source: the formats and the rules are VideoPose3D's.
    """
    file_2d, file_3d = keypoints_file(Path(path), keypoints), Path(path) / "data_3d_h36m.npz"
    arrays = load_npz(file_2d)
    _check_layout(stored_dict(arrays, "metadata", file_2d), file_2d)
    videos = read_recordings(arrays, "positions_2d", file_2d)
    motions = read_recordings(load_npz(file_3d), "positions_3d", file_3d)
    unknown = [subject for subject, recordings in motions.items() if recordings and subject not in SUBJECTS]
    if unknown:
        raise DataError(f"{file_3d}: found motions of {listed(unknown)}, expected only {', '.join(SUBJECTS)} (calibrated)")
    subjects = [subject for subject in SUBJECTS if videos.get(subject)]
    if not subjects:
        raise DataError(f"{file_2d}: found keypoints of {listed(videos)}, expected some of {', '.join(SUBJECTS)}")

    sequences: list[Sequence] = []
    with np.errstate(over="ignore", invalid="ignore"):  # PoseDataset names what is not finite
        for subject in subjects:
            for recording, views in videos[subject].items():
                name = f"{subject}/{' '.join(recording).rstrip()}"
                if recording not in motions.get(subject, {}):
                    raise DataError(
                        f"{file_3d}: positions_3d has no {name}, expected a motion for each recording in {file_2d.name}"
                    )
                world = world_17(motions[subject][recording], f"{file_3d}: positions_3d of {name}")
                sequences += _views(world, views, f"{file_2d}: positions_2d of {name}", subject, recording)
    if all(np.abs(sequence.inputs_2d).max() <= _MAX_NORMALISED for sequence in sequences):
        raise DataError(f"{file_2d}: all keypoints are within +-{_MAX_NORMALISED}, they seem normalised, expected pixels")
    with naming(path):
        dataset = PoseDataset(f"Human3.6M ({keypoints})", H36M_17, _FPS, tuple(sequences), CONVENTIONS)
    swapped = [s.name for s in sequences if sides_swapped(s.inputs_2d, s.poses_3d)]
    if 2 * len(swapped) > len(sequences):
        warnings.warn(f"{file_2d}: left and right are swapped between the keypoints and {file_3d.name}", stacklevel=2)
    return dataset


def keypoints_file(folder: Path, keypoints: str) -> Path:
    """Return the file that holds these keypoints, or refuse the folder."""
    stem = "data_2d_h36m_"
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected one that holds data_3d_h36m.npz and {stem}*.npz")
    found = sorted(file.stem.removeprefix(stem) for file in folder.glob(f"{stem}*.npz"))
    if keypoints not in found:
        raise DataError(f"{folder}: found keypoints {', '.join(found) or 'nothing'} ({stem}*.npz), expected {keypoints!r}")
    return folder / f"{stem}{keypoints}.npz"


def _check_layout(metadata: dict[Any, Any], file: Path) -> None:
    layout = f"{file}: metadata (layout {described(metadata.get('layout_name', 'not named'))})"
    joints, left, right = metadata.get("num_joints"), H36M_17.joints_left, H36M_17.joints_right
    if not isinstance(joints, int | np.integer) or joints != H36M_17.num_joints:
        raise DataError(f"{layout}: num_joints is {described(joints)}, expected {H36M_17.num_joints}")
    found = [_whole_numbers(side) for side in _items(metadata.get("keypoints_symmetry"), 2) or ()]
    if found != [left, right]:
        what = "has left and right swapped" if found == [right, left] else "is of other joints"
        raise DataError(f"{layout}: keypoints_symmetry {what}, expected left {left} first, then right {right}")


def read_recordings(arrays: dict[str, np.ndarray], key: str, file: Path) -> dict[Any, dict[tuple[str, str], Any]]:
    """Return {subject: {(action, trial): what the file holds}}, without the corrupt recording."""
    found: dict[Any, dict[tuple[str, str], Any]] = {}
    for subject, recordings in stored_dict(arrays, key, file).items():
        where = f"{file}: {key} of {described(subject)}"
        if not isinstance(recordings, dict):
            raise DataError(f"{where} holds {described(recordings)}, expected a dict of actions")
        found[subject] = {}
        for name, value in recordings.items():
            recording = action_and_trial(name, where)
            if recording in found[subject]:
                raise DataError(f"{where} holds {' '.join(recording).rstrip()!r} twice, expected each action and trial once")
            if (subject, recording) != CORRUPT:
                found[subject][recording] = value
    return found


def action_and_trial(name: Any, where: str) -> tuple[str, str]:
    """Split "Walking 1" at the space: names are compared whole, for "Sitting" also begins "SittingDown"."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= 100:
        raise DataError(f"{where} holds the action {described(name)}, expected a name such as 'Walking 1'")
    action, _, trial = " ".join(name.split()).partition(" ")
    return _SPELLINGS.get(action, action), trial


def world_17(value: Any, name: str) -> np.ndarray:
    """Return a motion [T, 17, 3], float64, world frame, metres."""
    poses = numbers_of_shape(value, (_FRAMES, (17, 32), 3), name).astype(np.float64)
    if poses.shape[1] == 32:
        poses = np.delete(poses, _REMOVED, axis=1)  # [T, 17, 3]
    extent = float(np.median(np.ptp(poses, axis=1).max(-1)))
    if _MAX_EXTENT_M < extent < np.inf:
        raise DataError(f"{name}: a typical pose measures {extent:.4g}, the file seems to be in millimetres, expected metres")
    return poses


def _views(world: np.ndarray, views: Any, name: str, subject: str, recording: tuple[str, str]) -> list[Sequence]:
    """Return what each camera sees of a motion [T, 17, 3], world frame, metres."""
    cameras = CAMERAS[subject]
    arrays = _items(views, len(cameras))
    if arrays is None:
        raise DataError(f"{name}: found {described(views)}, expected {len(cameras)} arrays, one for each camera")
    sequences = []
    for camera, array in zip(cameras, arrays, strict=True):
        detected = numbers_of_shape(array, (_FRAMES, 17, (2, 3)), f"{name}/{camera.name}")
        if len(detected) < len(world):
            raise DataError(
                f"{name}/{camera.name}: found keypoints of {len(detected)} frames, expected those of the motion's {len(world)}"
            )
        inputs_2d = np.ascontiguousarray(detected[: len(world), :, :2], np.float32)  # without the confidence
        poses_3d = world_to_camera(world, camera).astype(np.float32)
        sequences.append(Sequence(subject, *recording, camera, inputs_2d, poses_3d))
    return sequences


# A pickle can hold anything anywhere, itself included: nothing below walks through or prints what it does not know.


def _items(value: Any, number: int) -> list[Any] | None:
    """Return the items of a list, tuple or array that has this number of them; None for all else."""
    is_row = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return list(value) if is_row and len(value) == number else None


def _whole_numbers(value: Any) -> tuple[int, ...]:
    items = _items(value, len(H36M_17.joints_left)) or ()
    return tuple(int(item) for item in items if isinstance(item, int | np.integer))
