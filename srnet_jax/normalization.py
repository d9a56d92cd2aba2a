"""Normalisation of the network's input and target, and the mirror image that both share.

`basic` is VideoPose3D's: screen coordinates over half the image width, and 3D joints in metres relative to the root.
"""

from collections.abc import Sequence

import numpy as np

from srnet_jax.skeleton import ROOT


def normalize_screen_coordinates(points_px: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Map pixels [..., 2] to [-1, 1] across the image's width, keeping its aspect ratio.

    Source: supplement Sec. 1 ("Basic"); the official code.
    """
    scaled = points_px * 2 / width - np.array([1, height / width])
    return scaled.astype(points_px.dtype)


def image_coordinates(points: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Invert `normalize_screen_coordinates`: [..., 2] back to pixels."""
    pixels = (points + np.array([1, height / width])) * width / 2
    return pixels.astype(points.dtype)


def root_relative(poses: np.ndarray) -> np.ndarray:
    """Return poses [..., J, 3] minus their root joint, in the same frame and unit; the root becomes zero."""
    return poses - poses[..., ROOT : ROOT + 1, :]


def mirror(points, mirrored: Sequence[int]):
    """Mirror points [..., J, 2 or 3] left to right: negate x and exchange left and right joints.

    Args:
      points: NumPy or JAX array of normalised 2D points or camera-frame 3D points.
      mirrored: for each joint, the joint that takes its place (`Skeleton.mirrored`).

    Returns:
      An array of the same type; applying the function twice gives the input back.
    """
    sign = np.array([-1, 1, 1][: points.shape[-1]], points.dtype)
    return points[..., np.asarray(mirrored), :] * sign.reshape((1,) * (points.ndim - 1) + (-1,))
