"""What the readers of keypoint files hand over, and the fields that several formats have."""

import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import described

FARTHEST_PX = 1e6
_VIDEO = re.compile(r"\.(mp4|m4v|avi|mov|mkv|webm|mpe?g)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class People:
    """Whom a file holds of one video, in any order.

    Attributes:
      where: with what messages begin: the file, and the video if there are several.
      name: of a track that is the only one and has no id.
      frames: [N] int64 number of the frame that shows the person.
      ids: the track ids of the N, None where the file gives none.
      values: [N, J, 3] float64: x and y in pixels, confidence; not checked yet.
      prefix: begins the names of several tracks.
      layout: as in `Track`.
      image_size: as in `Track`.
      fps: as in `Track`.
    """

    where: str
    name: str
    frames: np.ndarray
    ids: tuple[str | None, ...]
    values: np.ndarray
    prefix: str = ""
    layout: str | None = None
    image_size: tuple[int, int] | None = None
    fps: float | None = None


def gather(found: Iterable[tuple[int, str | None, np.ndarray]], path: Path, budget: Budget) -> People | None:
    """Put people together that a file names one by one.

    Args:
      found: (frame, track id, [J, 3] x, y, confidence) of each.
      path: of the file.
      budget: what it may still cost to read the file.

    Returns:
      The people, None if there are none.

    Raises:
      DataError: if they have different numbers of joints.
    """
    frames: list[int] = []
    ids: list[str | None] = []
    rows: list[np.ndarray] = []
    for frame, track, values in found:
        if rows and len(values) != len(rows[0]):
            raise DataError(
                f"{path}: frame {frame}: found {len(values)} joints, expected {len(rows[0])}, as in frame {frames[0]}"
            )
        budget.charge(2 * values.nbytes)  # here and together
        frames.append(frame)
        ids.append(track)
        rows.append(values)
    if not rows:
        return None
    return People(str(path), video_name(path.name), np.array(frames, np.int64), tuple(ids), np.stack(rows))


def video_name(name: str) -> str:
    """Return the name of a video or of a file or folder with its keypoints, without what follows the last dots."""
    return _VIDEO.sub("", re.sub(r"\.(npz|json|csv|txt)$", "", name, flags=re.IGNORECASE))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is an integer or a float, of Python or NumPy, and finite."""
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(-1e300 < value < 1e300)  # not NaN


def image_size(width: Any, height: Any, where: str) -> tuple[int, int]:
    """Return the size of the images, pixels.

    Raises:
      DataError: if it is none.
    """
    for key, value in (("w", width), ("h", height)):
        if not is_number(value) or value != int(value) or not 1 <= value <= FARTHEST_PX:
            raise DataError(f"{where} has {key} {described(value)}, expected the image's size in pixels")
    return int(width), int(height)


def frame_rate(value: Any, where: str) -> float | None:
    """Return frames per second; None stays None.

    Raises:
      DataError: if it is no such number.
    """
    if value is None:
        return None
    if not is_number(value) or not 0 < value < 10_000:
        found = f"{value:g}" if is_number(value) else described(value)
        raise DataError(f"{where} has fps {found}, expected frames per second")
    return float(value)


def layout_name(value: Any, where: str) -> str | None:
    """Return the name of a layout; None stays None.

    Raises:
      DataError: if it is no such name.
    """
    if value is not None and (not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 60):
        raise DataError(f"{where} has the layout {described(value)}, expected a name such as 'coco'")
    return value


def frame_number(value: Any, where: str) -> int:
    """Return the number of a frame: a whole number, or the last digits in a file's name.

    Raises:
      DataError: if there is none.
    """
    if isinstance(value, str):
        digits = re.findall(r"[0-9]+", re.sub(r"\.[A-Za-z][A-Za-z0-9]*$", "", value[:1000]))
        value = int(digits[-1]) if digits and len(digits[-1]) <= 18 else value
    if isinstance(value, str) or not is_number(value) or value != int(value) or not 0 <= value < 10**15:
        raise DataError(f"{where}: found {described(value)}, expected the number of a frame, or a name that ends with it")
    return int(value)
