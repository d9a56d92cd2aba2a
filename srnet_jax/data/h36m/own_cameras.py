"""Cameras of one's own, in a file beside data in VideoPose3D's form.

`cameras.toml`, in a form that `calibration_files` reads, holds the cameras of everyone, in the order of the keypoints' arrays;
`cameras_NAME.toml` those of one subject ("/" in a name is written "_"). `fps = 30` above its tables is the frame rate. For
motions that are in the camera's frame already, the camera has zeros for `rotation` and `translation`.

A calibration does not say which of the world's axes is up. So the cameras are kept as if each were the world's origin.
"""

import math
import warnings
from pathlib import Path

import numpy as np

from srnet_jax.data import calibration_files
from srnet_jax.data.dataset import Sequence
from srnet_jax.errors import DataError, one_line
from srnet_jax.io.text import described
from srnet_jax.pose import cameras as cameras_lib
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.multiview import CalibratedCamera, to_camera
from srnet_jax.pose.skeleton import Skeleton

_FARTHEST, _FAR = 0.2, 0.06  # distance of keypoints from projected joints, over the person's size; detectors: below 0.05
_BETTER, _SEEN = 0.5, 0.01  # another order is right if it is nearer by this factor, and the distance more than rounding


def file_of(folder: Path, subject: str) -> Path | None:
    """Return the file of a subject's own cameras, if there is one."""
    if not subject.isprintable() or len(subject) > 100:
        return None
    named = folder / f"cameras_{subject.replace('/', '_')}.toml", folder / "cameras.toml"
    return next((file for file in named if file.is_file()), None)


def frame_rate(file: Path) -> float | None:
    """Return the frames per second that a camera file declares, None if it does not.

    Raises:
      DataError: if it is no number above 0, or is within a table.
    """
    table = calibration_files.read_toml(file, "a calibration of cameras")
    inside = [name for name, value in table.items() if isinstance(value, dict) and "fps" in value]
    if inside:
        raise DataError(f"{file}: found fps in [{one_line(inside[0], 60)}], expected it above the first table")
    fps = table.get("fps")
    if fps is not None and not (type(fps) in (int, float) and 0 < fps < 1e6):
        found = repr(fps) if isinstance(fps, float) else described(fps)
        raise DataError(f"{file}: fps: found {found}, expected frames per second")
    return None if fps is None else float(fps)


def seen_by(camera: CalibratedCamera, world: np.ndarray) -> tuple[Camera, np.ndarray]:
    """Return a camera without a place in the world, and what it sees of a motion [T, J, 3], world frame, metres."""
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
    """Refuse cameras that do not see the joints where the keypoints are, or do so in another order; warn if they are far off.

    Args:
      sequences: of one subject.
      keypoints: of these.
      joints: of these; those with the same names are compared.
      file: of the cameras.

    Raises:
      DataError: names the first such camera, or the order that fits.
    """
    common = [name for name in joints.joints if name in keypoints.joints]
    if common:
        _check_order(sequences, keypoints.indices(common), joints.indices(common), file)
    for name in dict.fromkeys(s.camera.name for s in sequences) if common else ():
        own = [s for s in sequences if s.camera.name == name]
        typical = float(np.median([_error(s, s, keypoints.indices(common), joints.indices(common)) for s in own]))
        if _FAR < typical <= _FARTHEST:
            warnings.warn(
                f"{file}: camera {name} sees the joints {typical:.2f} times the person's size from the keypoints, in "
                f"{sequences[0].subject}, expected less than {_FAR:g}; is the calibration right?",
                stacklevel=2,
            )
        if not typical <= _FARTHEST:
            off = f"{typical:.2f} times the person's size from the keypoints" if math.isfinite(typical) else "behind it"
            raise DataError(
                f"{file}: camera {name} sees the joints {off}, in {sequences[0].subject}; expected the calibration, world to "
                "camera, in metres, with the cameras in the order of the keypoints' arrays and motions in the same world"
            )


def _check_order(sequences: list[Sequence], seen: list[int], shown: list[int], file: Path) -> None:
    """Refuse cameras that fit the keypoints' arrays far better in another order."""
    from scipy.optimize import linear_sum_assignment

    cameras = list(dict.fromkeys(s.camera.name for s in sequences))
    first = {s.camera.name: s for s in reversed(sequences) if (s.action, s.trial) == (sequences[0].action, sequences[0].trial)}
    if len(cameras) < 2 or len(first) < len(cameras):
        return
    apart = np.array([[_error(first[a], first[b], seen, shown) for b in cameras] for a in cameras])  # of arrays and cameras
    apart = np.minimum(np.nan_to_num(apart, nan=1e6), 1e6)
    rows, best = linear_sum_assignment(apart)
    if apart[rows, best].sum() < _BETTER * np.trace(apart) and np.trace(apart) > _SEEN * len(cameras):
        order = ", ".join(cameras[index] for index in best)
        raise DataError(
            f"{file}: cameras {', '.join(cameras)} do not fit the keypoints' arrays of {sequences[0].subject} in this order, "
            f"expected {order}"
        )


@np.errstate(all="ignore")  # a point at the camera, or numbers that are not finite, which are named elsewhere
def _error(sequence: Sequence, other: Sequence, seen: list[int], shown: list[int]) -> float:
    """Return how far keypoints are from the joints as another camera sees them, over the person's size.

    It is infinite if the joints are behind that camera.
    """
    poses, points = other.poses_3d[:, shown], sequence.inputs_2d[:, seen, :2]
    if np.median(poses[..., 2]) <= 0:
        return math.inf
    apart = np.linalg.norm(cameras_lib.project(poses, other.camera) - points, axis=-1)
    size = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
    return float(np.median(apart) / np.median(size))
