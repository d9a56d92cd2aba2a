"""Load MPI-INF-3DHP from the two `.npz` files that P-STMO's scripts make and that many papers' code uses.

- `data_test_3dhp.npz`: `data`, a dict {"TS1": {"data_2d": [T, 17, 2], "data_3d": [T, 17, 3], "valid": [T]}};
- `data_train_3dhp.npz`: `data`, a dict {"S1 Seq1": [{"0": {"data_2d", "data_3d"}}, fps]}, with an entry for each camera.

Joints are the 17 of the test set in its order, in which the pelvis is the fifteenth. Keypoints are `annot2`, pixels; poses are
`univ_annot3`, camera frame, millimetres. Unlike the authors' files (`mpi_inf_3dhp`) these have no activities and no cameras.

Source: common/load_data_3dhp_mae.py and data_to_npz_3dhp.py of github.com/paTRICK-swk/P-STMO.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.data.mpi_inf_3dhp import (
    CONVENTIONS,
    FPS,
    SCENES,
    SUBJECTS,
    TEST_JOINTS,
    evaluation_runs,
    fixed_camera,
    joints_of,
    training_runs,
)
from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_load import load_npz, stored_dict
from srnet_jax.io.text import described, listed
from srnet_jax.pose.skeleton import H36M_17

ACTION = "not marked"  # action of all test frames: the file has no activities
_VIDEOS = tuple(f"{subject} Seq{number}" for subject in SUBJECTS for number in (1, 2))
_MOST_UNLIKE = 0.7  # minimum ratio of the lengths of left and right bones

# Focal lengths and centres, pixels, of the training cameras, from `camera.calibration` of S1/Seq1. Published code uses them for
# all recordings (mpi_inf_3dhp_cameras_intrinsic_params in several repositories).
_INTRINSICS = {
    0: ((1497.693, 1497.103), (1024.704, 1051.394)),
    1: ((1495.217, 1495.52), (1030.519, 1052.626)),
    2: ((1495.587, 1497.828), (983.8873, 987.5902)),
    3: ((1495.886, 1496.033), (1029.06, 1041.409)),
    4: ((1490.952, 1491.108), (987.6075, 1019.069)),
    5: ((1500.414, 1499.971), (1012.331, 998.5009)),
    6: ((1498.471, 1498.8), (999.7319, 1010.251)),
    7: ((1498.831, 1499.674), (987.2716, 976.8773)),
    8: ((1500.172, 1500.837), (1017.387, 1043.032)),
    9: ((1501.554, 1501.9), (1010.423, 1037.096)),
    10: ((1498.423, 1498.585), (1041.614, 997.0433)),
    11: ((1495.779, 1493.703), (1009.802, 999.9984)),
    12: ((1501.326, 1501.491), (1000.56, 1014.975)),
    13: ((1496.961, 1497.378), (1005.702, 1004.214)),
}


def file_at(path: str | Path, *, test: bool) -> Path | None:
    """Find the `.npz` file of the test or the training set.

    Args:
      path: an `.npz` file, or a folder.
      test: whether to find the test set.

    Returns:
      `path` if its name ends in `.npz`, else the file in the folder; None if there is none, or the authors' files are there.
    """
    path = Path(path)
    name, original = ("data_test_3dhp.npz", "TS1") if test else ("data_train_3dhp.npz", "S1")
    if path.suffix == ".npz":
        return path
    return path / name if (path / name).is_file() and not (path / original).is_dir() else None


def load_test(file: str | Path, *, annotation: str = "univ") -> PoseDataset:
    """Load the valid frames of the test set from `data_test_3dhp.npz`.

    Args:
      file: the file.
      annotation: annotation of its 3D poses, `univ` for P-STMO's file, or `metric`.

    Returns:
      One sequence for each run of valid frames, as from `mpi_inf_3dhp.load_test`, except that the action is always `ACTION`.

    Raises:
      DataError: if the file is missing or damaged, or has unexpected content.
    """
    data = stored_dict(load_npz(file), "data", file)
    if sorted(map(str, data)) != sorted(SCENES):
        raise DataError(f"{file}: data: found {listed(data)}, expected {', '.join(SCENES)}")
    sequences: list[Sequence] = []
    for subject in SCENES:
        name = f"{file}: {subject}"
        keypoints, poses = _arrays(data[subject], name)
        valid = _valid(data[subject], len(poses), f"{name}: valid")
        _check_order(poses[valid], name)
        runs = evaluation_runs(keypoints, poses, valid.astype(int), subject, (ACTION,), annotation=annotation, name=name)
        sequences += runs
    with naming(file):
        return PoseDataset(f"MPI-INF-3DHP test ({annotation})", H36M_17, FPS, tuple(sequences), CONVENTIONS)


def load_train(file: str | Path, *, annotation: str = "univ") -> PoseDataset:
    """Load the training set at 25 fps from `data_train_3dhp.npz`.

    Args:
      file: the file.
      annotation: annotation of its 3D poses, `univ` for P-STMO's file, or `metric`.

    Returns:
      The data set that `mpi_inf_3dhp.load_train` returns for the recordings and cameras in the file, except that all recordings
      have the intrinsics of S1/Seq1.

    Raises:
      DataError: if the file is missing or damaged, or has unexpected content.
    """
    data = stored_dict(load_npz(file), "data", file)
    _check_names(data, _VIDEOS, f"{file}: data")
    sequences: list[Sequence] = []
    for video in (video for video in _VIDEOS if video in data):
        views, fps = _views(data[video], f"{file}: {video}")
        for number in (number for number in _INTRINSICS if str(number) in views):
            name = f"{file}: {video}: camera {number}"
            keypoints, poses = _arrays(views[str(number)], name)
            _check_order(poses, name)
            camera = fixed_camera(f"camera{number}", *_INTRINSICS[number], 2048, 2048)
            sequences += training_runs(keypoints, poses, video, camera, annotation=annotation, name=name, fps=fps)
    with naming(file):
        return PoseDataset(f"MPI-INF-3DHP ({annotation})", H36M_17, FPS, tuple(sequences), CONVENTIONS)


def _views(entry: Any, name: str) -> tuple[dict[Any, Any], float]:
    """Return the views of a recording by camera, and the frame rate of its arrays; 0 if the file has none."""
    parts = entry if isinstance(entry, list | tuple) else [entry]
    if not 1 <= len(parts) <= 2 or not isinstance(parts[0], dict):
        raise DataError(f"{name}: found {described(entry)}, expected a list: a dict of cameras, and frames per second")
    views = {str(key): value for key, value in parts[0].items()}
    _check_names(views, map(str, _INTRINSICS), f"{name}: cameras")
    fps = parts[1] if len(parts) == 2 else 0
    if len(parts) == 2 and (not isinstance(fps, int | float | np.number) or fps not in (25, 50)):
        raise DataError(f"{name}: found {described(fps)} for frames per second, expected 25 or 50")
    return views, float(fps)


def _check_names(found: dict[Any, Any], known: Iterable[str], name: str) -> None:
    known = list(known)
    unknown = [key for key in found if key not in known]
    if unknown or not found:
        raise DataError(f"{name}: found {listed(unknown or found)}, expected some of {', '.join(known)}")


def _arrays(entry: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return keypoints [T, 17, 2], pixels, and poses [T, 17, 3], millimetres, both float64 and in the order of H36M_17."""
    if not isinstance(entry, dict) or not {"data_2d", "data_3d"} <= set(entry):
        raise DataError(
            f"{name}: found {listed(entry) if isinstance(entry, dict) else described(entry)}, expected data_2d, data_3d"
        )
    shapes = {"data_2d": (17, 2), "data_3d": (17, 3)}
    keypoints, poses = (joints_of(entry[key], shape, TEST_JOINTS, f"{name}: {key}") for key, shape in shapes.items())
    return keypoints, poses


def _valid(entry: dict[Any, Any], frames: int, name: str) -> np.ndarray:
    """Return which frames [T] are marked as valid."""
    valid = entry.get("valid")
    if not isinstance(valid, np.ndarray) or valid.dtype.kind not in "fiub" or valid.size != frames:
        raise DataError(f"{name}: found {'nothing' if valid is None else described(valid)}, expected {frames} numbers")
    if not (valid == 1).any():
        raise DataError(f"{name}: found no valid frame, expected some")
    return valid.ravel() == 1


@np.errstate(all="ignore")  # values that are not finite are reported by other checks
def _check_order(poses: np.ndarray, name: str) -> None:
    """Reject poses [T, 17, 3] whose left and right bones differ: the joints are in another order, perhaps Human3.6M's."""
    lengths = np.median(np.linalg.norm(poses - poses[:, np.maximum(H36M_17.parents, 0)], axis=-1), axis=0)
    for left, right in zip(H36M_17.joints_left, H36M_17.joints_right, strict=True):
        shorter, longer = sorted(lengths[[left, right]].tolist())
        if shorter < _MOST_UNLIKE * longer:
            raise DataError(
                f"{name}: data_3d: bones that end at {H36M_17.joints[left]} and {H36M_17.joints[right]} typically measure "
                f"{lengths[left]:.4g} and {lengths[right]:.4g}, expected equal lengths: the joints are in another order than "
                "MPI-INF-3DHP's test set, whose first is the top of the head and whose fifteenth is the pelvis"
            )
