"""Load the test set of 3DPW, people outdoors seen by a moving camera, from its authors' files (von Marcard et al., ECCV 2018).

A file `<sequence>_<number>.pkl` is a Python 2 pickle of a dict:

- `sequence`: its name;
- `jointPositions`: for each person [T, 72], the 24 joints of SMPL, world frame, metres, at 30 fps;
- `campose_valid`: for each person [T], 1 where the camera's pose is valid;
- `cam_poses`: [T, 4, 4], from the world frame to the camera frame;
- `cam_intrinsics`: [3, 3], pixels; the centre is the middle of the image.

Note:
  Published results are for 14 joints that are regressed from the body's surface, which needs the SMPL model. Results here are
  for SMPL's own joints, and can be compared only with other results of this program.

Source: the authors' readme; R. von Marcard et al., "Recovering Accurate 3D Human Pose in The Wild Using IMUs and a Moving
Camera", ECCV 2018; M. Loper et al., "SMPL: A Skinned Multi-Person Linear Model", 2015, for the joints.
"""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_load import load_pickle
from srnet_jax.io.text import described, listed, numbers_of_shape, shown
from srnet_jax.pose.cameras import Camera, project
from srnet_jax.pose.skeleton import H36M_17, ROOT

CONVENTIONS = (
    "joints of SMPL, fitted to inertial sensors: Spine is spine2, Thorax the neck, Neck the head's joint, Head in line with "
    "them; published results are for other joints"
)
_FPS = 30.0
_SMPL = {  # the joint used for each joint of H36M_17; Head is derived
    **{"Hip": 0, "RHip": 2, "RKnee": 5, "RFoot": 8, "LHip": 1, "LKnee": 4, "LFoot": 7, "Spine": 6, "Thorax": 12, "Neck": 15},
    **{"LShoulder": 16, "LElbow": 18, "LWrist": 20, "RShoulder": 17, "RElbow": 19, "RWrist": 21},
}
_SKULL_BASE = 0.6  # fraction of the way from thorax to head, as in pose.layouts
_NEAREST_M = 0.1  # minimum depth of a joint
_EXTENT_M = (0.3, 5.0)  # limits of a typical pose's extent
_PLACES = ("", "test", "sequenceFiles/test")  # folders in which files are looked for


def load(path: str | Path) -> PoseDataset:
    """Load the test set.

    Args:
      path: folder with the `.pkl` files, or with the folder `sequenceFiles/test`.

    Returns:
      For each person, one sequence for each run of frames in which the camera's pose is valid, all joints are in front of the
      camera and the hip is in the image. The subject is the folder's name, `test`. The action is the name of the sequence
      without its number. The trial is that number, the person and the run. Keypoints are exact projections. Poses are in the
      frame of the moving camera.

    Raises:
      DataError: if a file is missing or damaged, or has unexpected content.
    """
    folders = [Path(path) / place for place in _PLACES]
    found = next((files for files in (sorted(folder.glob("*.pkl")) for folder in folders) if files), [])
    if not found:
        raise DataError(f"{path}: no .pkl files, expected the folder sequenceFiles/test of 3DPW")
    sequences = [sequence for file in found for sequence in _sequences(file)]
    with naming(path):
        return PoseDataset("3DPW", H36M_17, _FPS, tuple(sequences), CONVENTIONS)


@np.errstate(all="ignore")  # frames with values that are not finite are left out
def _sequences(file: Path) -> list[Sequence]:
    """Load the sequences of a file."""
    data = load_pickle(file)
    needed = ("sequence", "jointPositions", "campose_valid", "cam_poses", "cam_intrinsics")
    if not isinstance(data, dict) or any(name not in data for name in needed):
        found = listed(data) if isinstance(data, dict) else described(data)
        raise DataError(f"{file}: found {found}, expected a dict of {', '.join(needed)}")
    camera = _camera(data["cam_intrinsics"], f"{file}: cam_intrinsics")
    poses_of_camera = numbers_of_shape(data["cam_poses"], ("frames >= 1", 4, 4), f"{file}: cam_poses").astype(np.float64)
    people = _people(data["jointPositions"], f"{file}: jointPositions")
    valid = _people(data["campose_valid"], f"{file}: campose_valid")
    if len(people) != len(valid):
        raise DataError(f"{file}: campose_valid is of {len(valid)} people, expected {len(people)}, as jointPositions")
    action, number = _name(data["sequence"], f"{file}: sequence")
    frames, sequences = len(poses_of_camera), []
    for person, (positions, good) in enumerate(zip(people, valid, strict=True), 1):
        name = f"{file}: person {person}"
        world = numbers_of_shape(positions, (frames, 72), f"{name}: jointPositions").reshape(frames, 24, 3)
        poses = _as_h36m(world.astype(np.float64) @ poses_of_camera[:, :3, :3].swapaxes(1, 2) + poses_of_camera[:, None, :3, 3])
        seen = project(poses, camera)
        kept = _flags(good, frames, f"{name}: campose_valid") & _in_view(poses, seen, camera)
        if kept.any() and not _EXTENT_M[0] <= (extent := float(np.median(np.ptp(poses[kept], axis=1).max(-1)))) <= _EXTENT_M[1]:
            raise DataError(
                f"{name}: a typical pose measures {extent:.4g}, the file seems to be in another unit, expected metres"
            )
        inputs_2d, poses_3d = seen.astype(np.float32), poses.astype(np.float32)
        for run, (start, stop) in enumerate(_runs(kept), 1):
            trial = f"{number} person {person} run {run}"
            sequences.append(Sequence(file.parent.name, action, trial, camera, inputs_2d[start:stop], poses_3d[start:stop]))
    return sequences


def _in_view(poses: np.ndarray, seen: np.ndarray, camera: Camera) -> np.ndarray:
    """Return in which frames [T] all joints are in front of the camera and the hip is in the image."""
    inside = ((seen[:, ROOT] >= 0) & (seen[:, ROOT] < (camera.width, camera.height))).all(-1)
    finite = np.isfinite(poses).all((1, 2)) & np.isfinite(seen).all((1, 2))
    return finite & inside & (poses[..., 2].min(-1) >= _NEAREST_M)


def _flags(value: np.ndarray, frames: int, name: str) -> np.ndarray:
    """Return which frames [T] are marked with 1."""
    if value.dtype.kind not in "fiub" or value.shape != (frames,):
        raise DataError(f"{name}: found {described(value)}, expected {frames} numbers")
    return value == 1


def _as_h36m(smpl: np.ndarray) -> np.ndarray:
    """Return the joints [T, 17, 3] of H36M_17 from SMPL's [T, 24, 3]."""
    thorax, skull_base = smpl[:, _SMPL["Thorax"]], smpl[:, _SMPL["Neck"]]
    head = thorax + (skull_base - thorax) / _SKULL_BASE
    return np.stack([smpl[:, _SMPL[joint]] if joint in _SMPL else head for joint in H36M_17.joints], axis=1)


def _runs(kept: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield the first frame and the end (exclusive) of each run of frames that are kept."""
    bounds = (0, *(np.flatnonzero(np.diff(kept.astype(int))) + 1).tolist(), len(kept))
    yield from ((start, stop) for start, stop in itertools.pairwise(bounds) if kept[start])


def _camera(matrix: Any, name: str) -> Camera:
    """Return a camera whose frame is the world frame; the image's size is twice the centre's coordinates."""
    k = numbers_of_shape(matrix, (3, 3), name).astype(np.float64)
    fx, fy, cx, cy = k[[0, 1, 0, 1], [0, 1, 2, 2]].tolist()
    if not all(1 <= value < 1e5 for value in (fx, fy, cx, cy)) or k[0, 1]:
        raise DataError(
            f"{name}: found focal lengths {fx:g}, {fy:g}, centre {cx:g}, {cy:g}, skew {k[0, 1]:g}, expected pixels, no skew"
        )
    return Camera("moving", (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (fx, fy), (cx, cy), round(2 * cx), round(2 * cy))


def _people(value: Any, name: str) -> list[Any]:
    """Return the arrays of all people, from a list or an array of them."""
    people = list(value) if isinstance(value, list | np.ndarray) and np.ndim(value) else []
    if not people or not all(isinstance(person, np.ndarray) for person in people):
        raise DataError(f"{name}: found {described(value)}, expected a list with an array for each person")
    return people


def _name(value: Any, name: str) -> tuple[str, str]:
    """Return a sequence's name without its number, and the number."""
    parts = re.fullmatch(r"(\w{1,100}?)(?:_(\d{1,6}))?", value, re.ASCII) if isinstance(value, str) else None
    if parts is None:
        raise DataError(f"{name}: found {shown(value) if isinstance(value, str) else described(value)}, expected a name")
    return parts[1], parts[2] or "00"
