"""Check the arguments that describe keypoints and their camera, before anything is lifted."""

import numbers

import numpy as np

from srnet_jax.errors import UserError, one_line
from srnet_jax.pose import layouts
from srnet_jax.pose.filters import Settings
from srnet_jax.pose.normalization import USUAL_FOCAL

MIN_CONFIDENCE = 0.1  # below it most detectors guess, see `keypoints.formats`
_SLOWEST, _FASTEST = 0.1, 10_000.0  # frames per second
_SHORTEST, _LONGEST = 0.1, 100.0  # focal length over the image's longer side


def pinhole(image_size: tuple[int, int], focal_px: float | None) -> tuple[float, tuple[float, float]]:
    """Return the focal length and the principal point of a camera, pixels.

    Args:
      image_size: width and height of the image, pixels.
      focal_px: focal length, pixels; None for the usual one, USUAL_FOCAL times the longer side.

    Returns:
      The focal length, and the principal point (x, y), which is the middle of the image.
    """
    width, height = image_size
    return USUAL_FOCAL * max(width, height) if focal_px is None else focal_px, (width / 2, height / 2)


def check_filters(filters: Settings | None) -> None:
    """Check the filters of the poses.

    Raises:
      UserError: if they are neither `pose.filters.Settings` nor None.
    """
    if filters is not None and not isinstance(filters, Settings):
        raise UserError(f"filters: found {one_line(repr(filters), 100)}, expected pose.filters.Settings, or None")


def check_arguments(
    layout: str,
    image_size: tuple[int, int],
    fps: float | None = None,
    focal_px: float | None = None,
    min_confidence: float = MIN_CONFIDENCE,
) -> None:
    """Check the arguments that describe keypoints and their camera.

    Args:
      layout: a name of `layouts.LAYOUTS`.
      image_size: width and height of the image, pixels, above 0.
      fps: 0.1 to 10,000 frames per second; None if not known.
      focal_px: focal length, 0.1 to 100 times the image's longer side, pixels; None if not known.
      min_confidence: 0 to 1.

    Raises:
      UserError: names the argument, what was found and what was expected.
    """
    layouts.find(layout)
    sizes = tuple(image_size) if isinstance(image_size, tuple | list | np.ndarray) else ()
    if len(sizes) != 2 or not all(isinstance(size, numbers.Real) and 0 < size < np.inf for size in sizes):
        raise UserError(f"image_size: found {one_line(repr(image_size), 100)}, expected (width, height) in pixels")
    if fps is not None and not (isinstance(fps, numbers.Real) and _SLOWEST <= fps <= _FASTEST):
        raise UserError(f"fps: found {one_line(repr(fps), 100)}, expected 0.1 to 10,000 frames per second, or None")
    if focal_px is not None and not (isinstance(focal_px, numbers.Real) and _SHORTEST < focal_px / max(image_size) < _LONGEST):
        raise UserError(
            f"focal_px: found {one_line(repr(focal_px), 100)}, expected {_SHORTEST:g} to {_LONGEST:g} times the image's longer "
            "side, in pixels, or None"
        )
    if not (isinstance(min_confidence, numbers.Real) and 0 <= min_confidence <= 1):
        raise UserError(f"min_confidence: found {one_line(repr(min_confidence), 100)}, expected 0 to 1")
