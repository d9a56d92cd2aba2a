"""The people that a keypoint file contains, as all readers return them, and fields that several formats share.

`People` has one detection in each row, with its frame, track id and confidence. `tracks` combines the detections into tracks.
"""

import collections
import dataclasses
import datetime
import itertools
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
from srnet_jax.keypoints.points import is_missing

FARTHEST_PX = 1e6
MAX_NORMALISED = 1.5  # normalised coordinates end at 1, or a little above in a tall image
MOVES_ON = 0.2  # largest `motion` of one person from frame to frame
REACH, FARTHEST_REACH = 0.5, 2.0  # how far a person moves: sizes per frame, largest distance in sizes
EXAMINED = 1000  # detections
FEW_STEPS = 3  # between pictures, too few to tell from people whether they are a video
_SAME_INSTANT = 1e-3  # seconds
TIME_UNITS = {  # {name of a time stamp, as `letters` returns it: unit in seconds}; NaN if the name does not give the unit
    **dict.fromkeys(("time", "times", "timestamp", "timestamps"), np.nan),
    **dict.fromkeys(("timesec", "timeseconds", "timeinseconds", "timestampsec", "timestampseconds", "seconds", "sec"), 1.0),
    **dict.fromkeys(("timems", "timemsec", "timemilliseconds", "timestampms", "milliseconds", "msec", "ms"), 1e-3),
    **dict.fromkeys(("timeus", "timestampus", "microseconds"), 1e-6),
    **dict.fromkeys(("timens", "timestampns", "nanoseconds"), 1e-9),
}
_DAY_0 = datetime.date(1970, 1, 1)
_CLOCK = re.compile(  # 1:02.5, 00:01:02.5, 2024-05-01 10:00:00.04, 2024-05-01T10:00:00Z
    r"(?:([1-9][0-9]{3})[-/](0[1-9]|1[0-2])[-/]([0-3][0-9])[T ]+)?"
    r"(?:([0-9]{1,3}):)?([0-5]?[0-9]):([0-5][0-9])(?:[.,]([0-9]{1,9}))?Z?"
)
_VIDEO = re.compile(r"\.(mp4|m4v|avi|mov|mkv|webm|mpe?g)$", re.IGNORECASE)
_ENDING = re.compile(r"\.(npz|npy|json|csv|tsv|txt|jpe?g|png|bmp|tiff?|webp)$", re.IGNORECASE)


def clock_seconds(text: str) -> str | None:
    """Convert a time of day, or a date and a time of day, to seconds, as text with as many decimals; None for other text."""
    if not (found := _CLOCK.fullmatch(text)):
        return None
    year, month, day, hours, minutes, seconds, decimals = found.groups()
    days = 0 if year is None else (datetime.date(int(year), int(month), 1) - _DAY_0).days + int(day) - 1
    whole = 86400 * days + 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds)
    return f"{whole}.{decimals}" if decimals else str(whole)


class Detection(NamedTuple):
    """One person in one picture.

    Attributes:
      picture: number of the video frame (int), or name or id of the picture (str).
      track: track id; None if there is none.
      values: [J, 3] x, y, confidence, as in the file; missing joints are not marked yet.
      names: names of the joints; None if the file does not give them.
      has_depth: whether there is a third coordinate, as in `points.Points`.
      clip: name of the video; "" if the file has only one.
      size: width and height of the picture, if the file gives them for each picture.
      clock: time stamp of the picture and its unit in seconds, NaN if the unit is not known; None without a time stamp.
    """

    picture: int | str
    track: str | None
    values: np.ndarray
    names: tuple[str, ...] | None = None
    has_depth: bool = False
    clip: str = ""
    size: tuple[int, int] | None = None
    clock: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class People:
    """All N detections of people in one video or in one picture, in any order.

    Attributes:
      where: begins messages: the file, and the video if there are several.
      name: name of the track, if there is only one and it has no id.
      frames: [N] int64 frame number of each detection.
      ids: track id of each detection; None where the file gives none.
      values: [N, J, 3] float64 x, y, confidence, as in the file; missing joints are not marked yet.
      prefix: begins the names of several tracks.
      layout: as in `Track`.
      image_size: as in `Track`.
      fps: as in `Track`.
      still: whether this is an independent picture.
      times: [N] seconds of the frames, which increase with the frame numbers; None if not known.
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


def gather(seen: Iterable[Detection], path: Path, budget: Budget) -> list[People]:
    """Group single detections by video and by independent picture.

    Args:
      seen: all detections of the file.
      path: of the file.
      budget: limit on the memory for reading the file.

    Returns:
      The people of each video and of each independent picture.

    Raises:
      DataError: if people in one video have different numbers of joints.
    """
    people: list[Detection] = []
    clips: dict[str, list[int]] = {}
    for index, person in enumerate(seen):
        budget.charge(2 * person.values.nbytes)  # here and in the grouped arrays
        people.append(person)
        clips.setdefault(person.clip, []).append(index)
    videos: dict[tuple[str, bool], list[tuple[int, int]]] = {}
    for clip, indices in clips.items():
        for index, place in zip(indices, _places([people[index] for index in indices], str(path)), strict=True):
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
                f"{len(rows[0])} as in frame {one_line(people[indices[0]].picture, 100)}"
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


def _times(people: list[Detection], frames: np.ndarray, where: str) -> np.ndarray | None:
    """Return the seconds [N] of detections; None without time stamps, or, with a warning, if these are not usable."""
    clocks = [person.clock for person in people if person.clock is not None]
    if len(clocks) < len(people):
        return None
    values, units = np.array(clocks, np.float64).T
    return in_order(in_seconds(values, units[0], where), frames, where)


def in_order(seconds: np.ndarray | None, frames: np.ndarray, where: str) -> np.ndarray | None:
    """Return the seconds [N] of frames [N] if they increase with the frame numbers; else None, with a warning."""
    if seconds is None:
        return None
    _, rows, places = np.unique(frames, return_index=True, return_inverse=True)
    alike = np.abs(seconds - seconds[rows][places]).max() < _SAME_INSTANT
    if np.isfinite(seconds).all() and alike and (np.diff(seconds[rows]) > 0).all():
        return seconds[rows][places]
    warnings.warn(f"{where}: time stamps not used, expected them to increase with the frame numbers", stacklevel=2)
    return None


def in_seconds(values: np.ndarray, unit: float, where: str) -> np.ndarray | None:
    """Convert time stamps to seconds.

    Args:
      values: [N] time stamps, in any order; repetitions are allowed.
      unit: unit of the time stamps, seconds. If NaN, it is guessed from the median step, assuming the rate of a video: steps
        below 1 are seconds, steps of 5 to 1000 milliseconds, and so on.
      where: begins the warning.

    Returns:
      [N] seconds; None, with a warning, if the unit cannot be guessed.
    """
    if usable := unit if np.isfinite(unit) else unit_of(values):
        return values * usable
    if len(steps := np.diff(np.unique(values[np.isfinite(values)]))):
        warnings.warn(
            f"{where}: time stamps {np.median(steps):g} apart not used, expected a name with their unit, such as time_ms",
            stacklevel=2,
        )
    return None


def unit_of(values: np.ndarray) -> float | None:
    """Guess the unit, seconds, of time stamps [N] as `in_seconds` describes; None if it is ambiguous."""
    steps = np.diff(np.unique(values[np.isfinite(values)]))
    step = float(np.median(steps)) if len(steps) else np.nan
    if 1e-4 <= step < 1:
        return 1.0
    return next((10.0**-power for power in (3, 6, 9) if 0.005 <= step / 10**power < 1), None)


def _places(people: list[Detection], where: str) -> list[Place]:
    """Return the place of the picture of each detection; pictures of different sizes, or people, are independent."""
    pictures = [person.picture for person in people]
    if all(isinstance(picture, int) for picture in pictures):  # frame numbers
        return [Place("", int(picture), False) for picture in pictures]
    found = places(pictures)
    groups: dict[tuple[str, bool], list[Detection]] = collections.defaultdict(list)
    for person in people:
        place = found[person.picture]
        groups[place.clip, place.still].append(person)
    apart = {key for key, own in groups.items() if len({person.size for person in own}) > 1}
    for (clip, still), own in groups.items():
        if not still and (clip, still) not in apart and _nobody_stays([(found[p.picture].frame, p.values) for p in own]):
            reason = "found nobody near the same place in the next picture"
            warnings.warn(f"{where}: {reason}, reading separate pictures", stacklevel=2)
            apart.add((clip, still))
    return [
        Place(video_name(str(picture)), 0, True) if (found[picture].clip, found[picture].still) in apart else found[picture]
        for picture in pictures
    ]


def _nobody_stays(seen: list[tuple[int, np.ndarray]]) -> bool:
    """Return whether most pictures show nobody who may be the same person as in the picture before, as in no video.

    Args:
      seen: the frame number and the joints [J, 3] of each detection.
    """
    frames: dict[int, list[np.ndarray]] = {}
    for frame, values in sorted(seen, key=lambda one: one[0])[:EXAMINED]:
        frames.setdefault(frame, []).append(np.where(is_missing(values)[:, None], np.nan, values[:, :2]))
    if len({values.shape for own in frames.values() for values in own}) != 1:
        return False
    stays = []
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning), np.errstate(all="ignore"):  # of missing joints
        for (first, earlier), (second, later) in itertools.pairwise(frames.items()):
            before, now = np.stack(earlier)[:, None], np.stack(later)  # [A, 1, J, 2], [P, J, 2]
            sizes = np.maximum(_diagonals(before), _diagonals(now))  # [A, P]
            gaps = np.nanmean(np.linalg.norm(before - now, axis=-1), axis=-1) / sizes
            if np.isfinite(gaps).any():
                stays.append(bool(np.nanmin(gaps) <= min(REACH * (second - first), FARTHEST_REACH)))
    return len(stays) >= FEW_STEPS and sum(stays) < len(stays) / 2


def _diagonals(points: np.ndarray) -> np.ndarray:
    """Return the diagonal of the box around joints [..., J, 2], [...]."""
    return np.linalg.norm(np.nanmax(points, axis=-2) - np.nanmin(points, axis=-2), axis=-1)


def motion(poses: np.ndarray) -> float:
    """Measure how much consecutive poses differ: the 90th percentile of the mean joint distance, in sizes of the person.

    Consecutive frames of a video have about 0.02, different people in one picture more than 0.2.

    Args:
      poses: [N, ..., J, 2 or 3] x, y.

    Returns:
      The motion; NaN if no joints can be compared.
    """
    points = np.where((poses[..., :2] == 0).all(-1, keepdims=True), np.nan, poses[..., :2]).astype(np.float64)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning), np.errstate(all="ignore"):  # of missing joints
        steps = np.nanmean(np.linalg.norm(np.diff(points, axis=0), axis=-1), axis=-1)
        sizes = np.linalg.norm(np.nanmax(points, axis=-2) - np.nanmin(points, axis=-2), axis=-1)
        return float(np.nanquantile(steps, 0.9) / np.nanmedian(sizes)) if steps.size else np.nan


def video_name(name: str) -> str:
    """Remove the endings of a video file and of a keypoint file from a name."""
    return _VIDEO.sub("", _ENDING.sub("", name))


def is_number(value: Any) -> TypeGuard[int | float]:
    """Return whether a value is a finite integer or float of Python or NumPy."""
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool) and bool(-1e300 < value < 1e300)  # not NaN


def image_size(width: Any, height: Any, where: str) -> tuple[int, int]:
    """Check and return the width and height of images, pixels.

    Raises:
      DataError: if one is not a positive whole number or is too large.
    """
    for key, value in (("width", width), ("height", height)):
        if not is_number(value) or value != int(value) or not 1 <= value <= FARTHEST_PX:
            raise DataError(f"{where}: found the {key} {described(value)}, expected the image's size in pixels")
    return int(width), int(height)


def frame_rate(value: Any, where: str) -> float | None:
    """Check and return frames per second; None stays None.

    Raises:
      DataError: if it is not a number above 0 and below 10,000.
    """
    if value is None:
        return None
    if not is_number(value) or not 0 < value < 10_000:
        found = f"{value:g}" if is_number(value) else described(value)
        raise DataError(f"{where}: found fps {found}, expected frames per second")
    return float(value)


def layout_name(value: Any, where: str) -> str | None:
    """Check and return the name of a layout; None stays None.

    Raises:
      DataError: if it is not a printable name of 1 to 60 letters.
    """
    if value is not None and (not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 60):
        raise DataError(f"{where}: found the layout {described(value)}, expected a name such as 'coco'")
    return value
