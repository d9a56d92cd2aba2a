"""Read and check the user's own cameras, from a file beside data in VideoPose3D's form.

`cameras.toml`, in the form that `calibration_files` reads, has the cameras of all subjects, in the order of the keypoints'
arrays. `cameras_NAME.toml` has those of one subject; "/" in a name is replaced by "_". `fps = 30` above the tables is the frame
rate. If motions are already in the camera's frame, the camera's `rotation` and `translation` are zero.

A calibration does not say which world axis points up. So each camera is kept with its own frame as the world frame.
"""

import math
import warnings
from pathlib import Path

import numpy as np

from srnet_jax.data.dataset import Sequence
from srnet_jax.errors import DataError, one_line
from srnet_jax.io.text import described, read_toml
from srnet_jax.pose import cameras as cameras_lib
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.multiview import CalibratedCamera, to_camera
from srnet_jax.pose.skeleton import Skeleton

# Distance of keypoints from projected joints, as a fraction of the person's size (detectors: below 0.05): beyond the first
# limit cameras are rejected, beyond the second there is a warning.
FARTHEST, _FAR = 0.2, 0.06
_BETTER, _SEEN = 0.5, 0.01  # another order of cameras fits if it reduces the distance to this fraction, from more than rounding


def file_of(folder: Path, subject: str) -> Path | None:
    """Return the file with a subject's cameras; None if there is none."""
    if not subject.isprintable() or len(subject) > 100:
        return None
    named = folder / f"cameras_{subject.replace('/', '_')}.toml", folder / "cameras.toml"
    return next((file for file in named if file.is_file()), None)


def frame_rate(file: Path) -> float | None:
    """Return the frames per second that a camera file declares; None if it declares none.

    Raises:
      DataError: if `fps` is no positive number, or is inside a table.
    """
    table = read_toml(file, "a calibration of cameras")
    inside = [name for name, value in table.items() if isinstance(value, dict) and "fps" in value]
    if inside:
        raise DataError(f"{file}: found fps in [{one_line(inside[0], 60)}], expected it above the first table")
    fps = table.get("fps")
    if fps is not None and not (type(fps) in (int, float) and 0 < fps < 1e6):
        found = repr(fps) if isinstance(fps, float) else described(fps)
        raise DataError(f"{file}: fps: found {found}, expected frames per second")
    return None if fps is None else float(fps)


def seen_by(camera: CalibratedCamera, world: np.ndarray) -> tuple[Camera, np.ndarray]:
    """Return a camera whose frame is the world frame, and a motion in that frame.

    Args:
      camera: the calibrated camera.
      world: [T, J, 3] joints, world frame, metres.

    Returns:
      The camera, and [T, J, 3] joints, camera frame, metres.
    """
    k1, k2, p1, p2, k3 = camera.distortion
    placeless = Camera(
        camera.name,
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
        camera.focal,
        camera.center,
        *camera.image_size,
        (k1, k2, k3),
        (p2, p1),
    )
    return placeless, to_camera(world, camera).astype(np.float32)


def check(sequences: list[Sequence], keypoints: Skeleton, joints: Skeleton, file: Path) -> None:
    """Check that the user's cameras project the joints to the keypoints; warn if the distance is suspiciously large.

    Args:
      sequences: of one subject.
      keypoints: the sequences' keypoints.
      joints: the sequences' joints; those with the names of keypoints are compared.
      file: the camera file, for messages.

    Raises:
      DataError: if a camera's projected joints are far from the keypoints, or if the cameras fit in another order.
    """
    common = [name for name in joints.joints if name in keypoints.joints]
    if common:
        _check_order(sequences, keypoints.indices(common), joints.indices(common), file)
    for name in dict.fromkeys(s.camera.name for s in sequences) if common else ():
        own = [s for s in sequences if s.camera.name == name]
        typical = float(np.median([_error(s, s, keypoints.indices(common), joints.indices(common)) for s in own]))
        if _FAR < typical <= FARTHEST:
            warnings.warn(
                f"{file}: camera {name}: found joints of {sequences[0].subject} projected {typical:.2f} times the person's "
                f"size from the keypoints, expected less than {_FAR:g}",
                stacklevel=2,
            )
        if not typical <= FARTHEST:
            off = f"{typical:.2f} times the person's size from the keypoints" if math.isfinite(typical) else "behind the camera"
            raise DataError(
                f"{file}: camera {name}: found joints of {sequences[0].subject} projected {off}, expected a calibration from "
                "world to camera, in metres, the world frame of the motions, and the order of the keypoints' arrays"
            )


def distance(sequence: Sequence, keypoints: Skeleton, joints: Skeleton) -> float:
    """Return the median distance of keypoints from the projected joints of the same names, as a fraction of the person's size.

    The distance is infinite if the joints are behind the camera, and 0 if no names are equal.
    """
    common = [name for name in joints.joints if name in keypoints.joints]
    return _error(sequence, sequence, keypoints.indices(common), joints.indices(common)) if common else 0.0


def _check_order(sequences: list[Sequence], seen: list[int], shown: list[int], file: Path) -> None:
    """Reject cameras that fit the keypoints' arrays far better in another order."""
    from scipy.optimize import linear_sum_assignment

    cameras = list(dict.fromkeys(s.camera.name for s in sequences))
    first = {s.camera.name: s for s in reversed(sequences) if (s.action, s.trial) == (sequences[0].action, sequences[0].trial)}
    if len(cameras) < 2 or len(first) < len(cameras):
        return
    apart = np.array([[_error(first[a], first[b], seen, shown) for b in cameras] for a in cameras])  # [arrays, cameras]
    apart = np.minimum(np.nan_to_num(apart, nan=1e6), 1e6)
    rows, best = linear_sum_assignment(apart)
    if apart[rows, best].sum() < _BETTER * np.trace(apart) and np.trace(apart) > _SEEN * len(cameras):
        order = ", ".join(cameras[index] for index in best)
        raise DataError(
            f"{file}: cameras {', '.join(cameras)} do not fit the keypoints' arrays of {sequences[0].subject} in this order, "
            f"expected {order}"
        )


@np.errstate(all="ignore")  # for a point at the camera, and numbers that are not finite, which other checks report
def _error(sequence: Sequence, other: Sequence, seen: list[int], shown: list[int]) -> float:
    """Return the distance of keypoints from the joints that another camera sees, as a fraction of the person's size.

    The distance is infinite if the joints are behind that camera.

    Args:
      sequence: has the keypoints.
      other: has the joints and the camera.
      seen: indices of the keypoints to compare.
      shown: indices of the joints to compare.
    """
    poses, points = other.poses_3d[:, shown], sequence.inputs_2d[:, seen, :2]
    if np.nanmedian(poses[..., 2]) <= 0:  # NaN is reported by PoseDataset
        return math.inf
    apart = np.linalg.norm(cameras_lib.project(poses, other.camera) - points, axis=-1)
    size = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
    return float(np.nanmedian(apart) / np.nanmedian(size))
