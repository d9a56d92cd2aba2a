"""What the readers of keypoint files hand over, and the fields that several formats have."""

import collections
import dataclasses
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import described
from srnet_jax.keypoints.pictures import Place, places

FARTHEST_PX = 1e6
MOVES_ON = 0.2  # at most, of `motion`
_SAME_INSTANT = 1e-3  # seconds
TIME_UNITS = {  # names of time stamps as `plain` gives them, and their unit in seconds
    **dict.fromkeys(("time", "times", "timestamp", "timestamps"), np.nan),
    **dict.fromkeys(("timesec", "timeseconds", "timeinseconds", "timestampsec", "timestampseconds", "seconds", "sec"), 1.0),
    **dict.fromkeys(("timems", "timemsec", "timemilliseconds", "timestampms", "milliseconds", "msec", "ms"), 1e-3),
    **dict.fromkeys(("timeus", "timestampus", "microseconds"), 1e-6),
    **dict.fromkeys(("timens", "timestampns", "nanoseconds"), 1e-9),
}
_VIDEO = re.compile(r"\.(mp4|m4v|avi|mov|mkv|webm|mpe?g)$", re.IGNORECASE)
_ENDING = re.compile(r"\.(npz|npy|json|csv|tsv|txt|jpe?g|png|bmp|tiff?|webp)$", re.IGNORECASE)


class Seen(NamedTuple):
    """A person whom a picture shows.

    Attributes:
      picture: number of a video's frame (int), or a picture's name or id (str).
      track: track id, None if there is none.
      values: [J, 3] x, y, confidence, not cleaned.
      names: of the joints, None if the file does not give them.
      deep: as in `points.Points`.
      clip: name of the video, "" if the file holds one.
      size: width and height of the picture, if it has one of its own.
      clock: the picture's time stamp and its unit in seconds, NaN if the file does not say it; None without a time stamp.
    """

    picture: int | str
    track: str | None
    values: np.ndarray
    names: tuple[str, ...] | None = None
    deep: bool = False
    clip: str = ""
    size: tuple[int, int] | None = None
    clock: tuple[float, float] | None = None


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
      times: [N] seconds of the frames, which increase with their numbers; None if the file does not say them.
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
    times: np.ndarray | None = None


def gather(seen: Iterable[Seen], path: Path, budget: Budget) -> list[People]:
    """Put people together that a file names one by one, those of each video and of each picture for itself.

    Args:
      seen: all people of the file.
      path: of the file.
      budget: what it may still cost to read the file.

    Raises:
      DataError: if people of one video have different numbers of joints.
    """
    people: list[Seen] = []
    clips: dict[str, list[int]] = {}
    for index, person in enumerate(seen):
        budget.charge(2 * person.values.nbytes)  # here and together
        people.append(person)
        clips.setdefault(person.clip, []).append(index)
    videos: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for clip, indices in clips.items():
        for index, place in zip(indices, _places([people[index] for index in indices]), strict=True):
            name = "_".join(part for part in (clip, place.clip) if part)
            videos.setdefault((name, place.still), []).append((place.frame, index))
    made = []
    for (clip, still), members in videos.items():
        indices = [index for _, index in members]
        frames = np.array([frame for frame, _ in members], np.int64)
        rows = [people[index].values for index in indices]
        odd = next((i for i, values in enumerate(rows) if len(values) != len(rows[0])), None)
        if odd is not None:
            raise DataError(
                f"{path}: frame {one_line(people[indices[odd]].picture, 100)}: found {len(rows[odd])} joints, expected "
                f"{len(rows[0])}, as in frame {one_line(people[indices[0]].picture, 100)}"
            )
        alone = len(videos) == 1
        name = video_name(path.name) if alone and not still else video_name(clip) or video_name(path.name)
        made.append(
            People(
                str(path) if alone else f"{path}: {one_line(clip or 'the video', 100)}",
                name,
                frames,
                tuple(people[index].track for index in indices),
                np.stack(rows),
                prefix="" if alone else f"{name}_",
                image_size=people[indices[0]].size,
                still=still,
                times=None if still else _times([people[index] for index in indices], frames, str(path)),
            )
        )
    return made


def _times(people: list[Seen], frames: np.ndarray, where: str) -> np.ndarray | None:
    """Return the seconds of people's frames [N]; None, with a warning if there are time stamps, where they are not usable."""
    clocks = [person.clock for person in people if person.clock is not None]
    if len(clocks) < len(people):
        return None
    values, units = np.array(clocks, np.float64).T
    return in_order(in_seconds(values, units[0], where), frames, where)


def in_order(seconds: np.ndarray | None, frames: np.ndarray, where: str) -> np.ndarray | None:
    """Return the seconds [N] of frames [N]; None, with a warning, unless they increase with the frames' numbers."""
    if seconds is None:
        return None
    _, rows, places = np.unique(frames, return_index=True, return_inverse=True)
    alike = np.abs(seconds - seconds[rows][places]).max() < _SAME_INSTANT
    if np.isfinite(seconds).all() and alike and (np.diff(seconds[rows]) > 0).all():
        return seconds[rows][places]
    warnings.warn(f"{where}: time stamps do not increase with the frames' numbers, they are not used", stacklevel=2)
    return None


def in_seconds(values: np.ndarray, unit: float, where: str) -> np.ndarray | None:
    """Return time stamps [N] in seconds, None with a warning where nothing tells their unit.

    Args:
      values: of each frame, in any order, with repetitions.
      unit: seconds; NaN finds it from the usual step between two, as of a video: less than 1 are seconds, 5 to 1000
        milliseconds, and so on.
      where: begins the warning.
    """
    if usable := unit if np.isfinite(unit) else unit_of(values):
        return values * usable
    if len(steps := np.diff(np.unique(values[np.isfinite(values)]))):
        warnings.warn(
            f"{where}: time stamps {np.median(steps):g} apart are not used, expected their unit in the name: time_ms",
            stacklevel=2,
        )
    return None


def unit_of(values: np.ndarray) -> float | None:
    """Return the unit, seconds, of time stamps [N], as in `in_seconds`; None where nothing tells it."""
    steps = np.diff(np.unique(values[np.isfinite(values)]))
    step = float(np.median(steps)) if len(steps) else np.nan
    if 1e-4 <= step < 1:
        return 1.0
    return next((10.0**-power for power in (3, 6, 9) if 0.005 <= step / 10**power < 1), None)


def _places(people: list[Seen]) -> list[Place]:
    """Return where the picture of each person of a video is; pictures of several sizes are no video's."""
    pictures = [person.picture for person in people]
    if all(isinstance(picture, int) for picture in pictures):  # frame numbers
        return [Place("", int(picture), False) for picture in pictures]
    found = places(pictures)
    sizes: dict[tuple[str, bool], set[tuple[int, int] | None]] = collections.defaultdict(set)
    for person in people:
        place = found[person.picture]
        sizes[place.clip, place.still].add(person.size)
    return [
        Place(video_name(str(picture)), 0, True)
        if len(sizes[found[picture].clip, found[picture].still]) > 1
        else found[picture]
        for picture in pictures
    ]


def motion(poses: np.ndarray) -> float:
    """Return how far poses [N, ..., J, 2 or 3] are from the next at most, but for a tenth of them, in sizes of the person.

    The frames of a video have about 0.02, different people in a picture more than 0.2. NaN if nothing can be compared.
    """
    points = np.where((poses[..., :2] == 0).all(-1, keepdims=True), np.nan, poses[..., :2]).astype(np.float64)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning), np.errstate(all="ignore"):  # of missing joints
        steps = np.nanmean(np.linalg.norm(np.diff(points, axis=0), axis=-1), axis=-1)
        sizes = np.linalg.norm(np.nanmax(points, axis=-2) - np.nanmin(points, axis=-2), axis=-1)
        return float(np.nanquantile(steps, 0.9) / np.nanmedian(sizes)) if steps.size else np.nan


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
