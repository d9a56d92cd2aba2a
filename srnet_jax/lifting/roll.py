"""Views of keypoints, and turning keypoints and poses as if a rolled camera were level."""

import numpy as np

from srnet_jax.lifting.arguments import pinhole
from srnet_jax.pose.normalization import View

_STEEP = 0.2  # sine of the angle between up and the optical axis, below which the roll is not known


def seen(points: np.ndarray, image_size: tuple[int, int], focal_px: float | None) -> View:
    """Return the view of keypoints [T, 17, 2], pixels, of a camera whose principal point is the middle of the image.

    Args:
      points: of `skeleton.H36M_17`.
      image_size: width and height, pixels.
      focal_px: focal length, pixels; None for USUAL_FOCAL times the longer side.
    """
    focal, center = pinhole(image_size, focal_px)
    return View.seen(points, (focal, focal), center, image_size)


def turned_level(points: np.ndarray, up: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """Turn keypoints [..., 2], pixels, about the middle of the image as if the camera were not rolled; `up` is [3]."""
    center = np.array(image_size) / 2
    return ((points - center) @ _roll(up) + center).astype(points.dtype)


def turned_back(poses: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Turn poses [..., 3] that were lifted from `turned_level` keypoints to the axes of the rolled camera."""
    return np.concatenate([poses[..., :2] @ _roll(up).T, poses[..., 2:]], -1).astype(poses.dtype)


def _roll(up: np.ndarray) -> np.ndarray:
    """Return the rotation [2, 2], of row vectors, that takes the image of `up` to the image's top.

    It is the identity if up is nearly along the optical axis.
    """
    x, y = up[0], -up[1]
    length = np.hypot(x, y)
    if length < _STEEP * np.linalg.norm(up):
        return np.eye(2)
    return np.array([[y, -x], [x, y]]) / length  # (x, -y) @ this = (0, -length)
