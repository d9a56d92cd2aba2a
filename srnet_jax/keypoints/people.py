"""What the readers of keypoint files hand over, and the fields that several formats have."""

import collections
import dataclasses
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import described, listed
from srnet_jax.keypoints.pictures import places
from srnet_jax.keypoints.points import joint_name
from srnet_jax.pose import layouts

FARTHEST_PX = 1e6
FEWEST_NAMES = 6  # that tell a layout
_VIDEO = re.compile(r"\.(mp4|m4v|avi|mov|mkv|webm|mpe?g)$", re.IGNORECASE)
_ENDING = re.compile(r"\.(npz|npy|json|csv|tsv|txt|jpe?g|png|bmp|tiff?|webp)$", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class People:
    """Whom a file shows in one video, or in one picture, in any order.

    Attributes:
      where: begins messages: the file, and the video if there are several.
      name: of a track that is the only one and has no id.
      frames: [N] int64 number of the frame that shows the person.
      ids: the track ids of the N, None where the file gives none.
      values: [N, J, 3] float64: x and y, confidence; not cleaned yet.
      prefix: begins the names of several tracks.
      layout: as in `Track`.
      image_size: as in `Track`.
      fps: as in `Track`.
      still: whether it is a picture for itself.
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
    still: bool = False


def gather(
    found: Iterable[tuple[int | str, str | None, np.ndarray]], path: Path, budget: Budget, *, is_frame: bool = False
) -> list[People]:
    """Put people together that a file names one by one, those of each video and of each picture for itself.

    Args:
      found: picture (frame number or image name), track id, [J, 3] x, y, confidence of each.
      path: of the file.
      budget: what it may still cost to read the file.
      is_frame: whether numbers of pictures are frames of one video, however far apart.

    Raises:
      DataError: if people of one video have different numbers of joints.
    """
    pictures: list[int | str] = []
    ids: list[str | None] = []
    rows: list[np.ndarray] = []
    for picture, track, values in found:
        budget.charge(2 * values.nbytes)  # here and together
        pictures.append(picture)
        ids.append(track)
        rows.append(values)
    if is_frame:
        videos: dict[tuple[str, bool], list[tuple[int, int]]] = {("", False): [(int(p), i) for i, p in enumerate(pictures)]}
        videos = videos if rows else {}
    else:
        where = places(pictures)
        videos = collections.defaultdict(list)
        for index, picture in enumerate(pictures):
            place = where[picture]
            videos[place.clip, place.still].append((place.frame, index))
    made = []
    for (clip, still), members in videos.items():
        indices = [index for _, index in members]
        frames = np.array([frame for frame, _ in members], np.int64)
        odd = next((i for i in indices if len(rows[i]) != len(rows[indices[0]])), None)
        if odd is not None:
            raise DataError(
                f"{path}: frame {one_line(pictures[odd], 100)}: found {len(rows[odd])} joints, expected "
                f"{len(rows[indices[0]])}, as in frame {one_line(pictures[indices[0]], 100)}"
            )
        alone = len(videos) == 1
        name = video_name(path.name) if alone and not still else video_name(clip) or video_name(path.name)
        made.append(
            People(
                str(path) if alone else f"{path}: {one_line(clip or 'the video', 100)}",
                name,
                frames,
                tuple(ids[index] for index in indices),
                np.stack([rows[index] for index in indices]),
                prefix="" if alone else f"{name}_",
                still=still,
            )
        )
    return made


def in_layout(names: Sequence[str], where: str) -> tuple[str, np.ndarray]:
    """Return the layout that has most of these joints, and where each of its joints is among the names, -1 if nowhere.

    Raises:
      DataError: if there are fewer than half a body's joints that any layout has.
    """
    joints = [joint_name(name) for name in names]
    known = {joint for joint in joints if joint}
    best = max(layouts.LAYOUTS.values(), key=lambda layout: (len(known & set(layout.joints)), -len(layout.joints)))
    if len(known & set(best.joints)) < FEWEST_NAMES:
        raise DataError(f"{where}: found joints named {listed(names)}, expected names such as nose, left_shoulder, RKnee")
    return best.name, np.array([joints.index(joint) if joint in known else -1 for joint in best.joints])


def video_name(name: str) -> str:
    """Return the name of a video or of a file or folder with its keypoints, without what follows the last dots."""
    return _VIDEO.sub("", _ENDING.sub("", name))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is an integer or a float, of Python or NumPy, and finite."""
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(-1e300 < value < 1e300)  # not NaN


def image_size(width: Any, height: Any, where: str) -> tuple[int, int]:
    """Return the size of the images, pixels.

    Raises:
      DataError: if it is none.
    """
    for key, value in (("width", width), ("height", height)):
        if not is_number(value) or value != int(value) or not 1 <= value <= FARTHEST_PX:
            raise DataError(f"{where} has the {key} {described(value)}, expected the image's size in pixels")
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
