"""Cameras of one's own, in a file beside data in VideoPose3D's form.

`cameras.toml`, in a form that `calibration_files` reads, holds the cameras of everyone, in the order of the keypoints' arrays;
`cameras_NAME.toml` those of one subject ("/" in a name is written "_"). `fps = 30` above its tables is the frame rate. For
motions that are in the camera's frame already, the camera has zeros for `rotation` and `translation`.

A calibration does not say which of the world's axes is up. So the cameras are kept as if each were the world's origin.
"""

import math
from pathlib import Path

import numpy as np

from srnet_jax.data import calibration_files
from srnet_jax.data.dataset import Sequence
from srnet_jax.errors import DataError
from srnet_jax.io.text import described
from srnet_jax.pose import cameras as cameras_lib
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.multiview import CalibratedCamera, to_camera
from srnet_jax.pose.skeleton import Skeleton

_FARTHEST = 0.2  # distance of keypoints from the projected joints, over the person's size; detectors are off by 0.05


def file_of(folder: Path, subject: str) -> Path | None:
    """Return the file of a subject's own cameras, if there is one."""
    if not subject.isprintable() or len(subject) > 100:
        return None
    named = folder / f"cameras_{subject.replace('/', '_')}.toml", folder / "cameras.toml"
    return next((file for file in named if file.is_file()), None)


def frame_rate(file: Path) -> float | None:
    """Return the frames per second that a camera file declares, None if it does not.

    Raises:
      DataError: if it is no number above 0.
    """
    fps = calibration_files.read_toml(file, "a calibration of cameras").get("fps")
    if fps is not None and not (type(fps) in (int, float) and 0 < fps < 1e6):
        raise DataError(f"{file}: fps: found {described(fps)}, expected frames per second")
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
    """Refuse cameras that do not see the joints where the keypoints are.

    Args:
      sequences: of one subject.
      keypoints: of these.
      joints: of these; those with the same names are compared.
      file: of the cameras.

    Raises:
      DataError: names the first such camera.
    """
    common = [name for name in joints.joints if name in keypoints.joints]
    for name in dict.fromkeys(s.camera.name for s in sequences) if common else ():
        errors = [_error(s, keypoints.indices(common), joints.indices(common)) for s in sequences if s.camera.name == name]
        if not (typical := float(np.median(errors))) <= _FARTHEST:
            off = f"{typical:.1f} times the person's size from the keypoints" if math.isfinite(typical) else "behind it"
            raise DataError(
                f"{file}: camera {name} sees the joints {off}, in {sequences[0].subject}; expected the calibration, world to "
                "camera, in metres, with the cameras in the order of the keypoints' arrays and motions in the same world"
            )


@np.errstate(all="ignore")  # a point at the camera, or numbers that are not finite, which are named elsewhere
def _error(sequence: Sequence, seen: list[int], shown: list[int]) -> float:
    """Return how far keypoints are from projected joints, over the person's size; infinite if those are behind the camera."""
    poses, points = sequence.poses_3d[:, shown], sequence.inputs_2d[:, seen, :2]
    if np.median(poses[..., 2]) <= 0:
        return math.inf
    apart = np.linalg.norm(cameras_lib.project(poses, sequence.camera) - points, axis=-1)
    size = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
    return float(np.median(apart) / np.median(size))
