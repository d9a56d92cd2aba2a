"""Find out which video and which frame a picture belongs to, from the names or numbers of pictures in a keypoint file.

Names that differ only in numbers are the frames of one video. The frame number is the last of these numbers that is different
in all names, so that a date or an image size is not taken as frame number; a number that increases by one is preferred to
others, such as times. A number after a letter that stays the same for several frames distinguishes videos (`vid1_frame_1`).
A picture is independent, not a frame of a video, if its name resembles no other name, or if its number is far and unevenly
spaced from the others, as the ids of a data set's images are. Names like `0.033`, `1714556000033` or `20240501_120000_033` are
times.
"""

import collections
import datetime
import itertools
import re
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

_EXTENSION = re.compile(  # Roboflow appends .rf. and a code to each name
    r"([._](jpe?g|png))?\.rf\.[0-9a-z]{6,}(\.(jpe?g|png|json|txt))?$|\.(jpe?g|png|bmp|tiff?|webp|json|txt)$", re.IGNORECASE
)
_FARTHEST_MEDIAN = 5  # frames between pictures of one video, unless they are evenly spaced
_FEW = 10  # pictures, of which the mean step is used
_COUNTED = 10_000  # frames of a video are counted from about 0, ids of a data set are larger
_SAME_STEP = 0.9  # fraction of about equal steps from which on numbers are evenly spaced
_TIME = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")
_CLOCK = re.compile(  # a prefix, an optional date, the time of day, and its milliseconds or microseconds
    r"(|.*[^0-9])(?:([0-9]{4})([-_.]?)([0-9]{2})\3([0-9]{2})[-_ T.]?)?([0-9]{2})([-_.:]?)([0-9]{2})\7([0-9]{2})[-_.,]"
    r"([0-9]{3}|[0-9]{6})"
)
_SHORTEST = 0.0015  # seconds between frames
_PAUSE = 10  # usual steps: if a new second usually begins after more, the numbers are not times of day
_MAX_FRAMES = 1e9


class Place(NamedTuple):
    """The video and the frame that a picture belongs to.

    Attributes:
      clip: name of the video, "" if it is not known; the name of an independent picture.
      frame: number of the frame; 0 for an independent picture.
      still: whether the picture is independent, and not a frame of a video.
    """

    clip: str
    frame: int
    still: bool


def places(pictures: Sequence[Hashable]) -> dict[Hashable, Place]:
    """Find the video and the frame of each picture.

    Args:
      pictures: image names (str) or numbers (int), in any order; repetitions are allowed.

    Returns:
      {picture: its place}.
    """
    distinct = list(dict.fromkeys(pictures))
    numbers = [picture for picture in distinct if isinstance(picture, int)]
    found: dict[Hashable, Place] = {}
    for number, place in zip(numbers, _numbered("", numbers, [str(n) for n in numbers]), strict=True):
        found[number] = place
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = collections.defaultdict(list)
    names = [picture for picture in distinct if isinstance(picture, str)]
    if len(names) > 1 and all(_TIME.fullmatch(name) for name in names):
        return found | _timed(names, [float(name) for name in names])
    for name in names:
        stem = _EXTENSION.sub("", name)
        folder, slash, own = stem.replace("\\", "/").rpartition("/")
        apart = slash and re.search("[0-9]", own)  # folders of numbered pictures are videos
        groups[folder if apart else "", tuple(re.split(r"[0-9]+", stem))].append(name)
    taken: set[str] = set()
    for (_, words), alike in groups.items():
        times = _clock_times(alike)
        own_places = list(_timed(alike, times).values()) if times else _named(words, alike)
        clips = {place.clip for place in own_places}
        number = next(number for number in itertools.count(1) if taken.isdisjoint(_with_number(clip, number) for clip in clips))
        taken |= {_with_number(clip, number) for clip in clips}
        for name, place in zip(alike, own_places, strict=True):
            found[name] = place._replace(clip=_with_number(place.clip, number))
    return found


def _with_number(clip: str, number: int) -> str:
    return clip if number == 1 else f"{clip}_{number}".lstrip("_")


def _clock_times(names: list[str]) -> list[float] | None:
    """Return the seconds of pictures whose names end with a time of day, from the first; None for other names.

    The last number must neither increase with time nor count by one, as frames after the time of a recording do, nor begin
    again after long pauses, as frames after the numbers of videos do.
    """
    found = [_CLOCK.fullmatch(_EXTENSION.sub("", name)) for name in names]
    times: list[tuple[float, int]] = []
    for one in found:
        if one is None or found[0] is None or one[1] != found[0][1]:
            return None
        days = _days(one[2], one[4], one[5])
        hours, minutes, seconds = int(one[6]), int(one[8]), int(one[9])
        if days is None or hours > 23 or minutes > 59 or seconds > 59:
            return None
        whole = 86400 * days + 3600 * hours + 60 * minutes + seconds
        times.append((whole + float(f"0.{one[10]}"), int(one[10])))
    last = [number for _, number in sorted(times)]
    if len(times) < 2 or last == sorted(last):
        return None
    since = np.array([time for time, _ in times]) - min(times)[0]
    ordered = np.sort([time for time, _ in times])
    steps = np.diff(ordered)
    pauses, step = steps[np.diff(np.floor(ordered)) > 0], float(np.median(steps))
    return since.tolist() if step > _SHORTEST and np.median(pauses) <= _PAUSE * step else None


def _days(year: str | None, month: str, day: str) -> int | None:
    """Return the number of a day; 0 without a date, None if there is no such day."""
    try:
        return datetime.date(int(year), int(month), int(day)).toordinal() if year else 0
    except ValueError:
        return None


def _timed(names: list[str], seconds: list[float]) -> dict[Hashable, Place]:
    """Return the places of pictures whose names are times: frames of one video, or independent pictures if times coincide."""
    times, order = np.array(seconds), np.argsort(seconds, kind="stable")
    steps = np.diff(times[order])
    step = float(np.median(steps)) or 1.0
    frames = np.zeros(len(names), np.int64)
    if times.max() / step < _MAX_FRAMES:  # step by step, because rounded times may drift
        frames[order] = np.round(times.min() / step) + np.append(0, np.cumsum(np.maximum(np.round(steps / step), steps > 0)))
    if len(set(frames.tolist())) < len(names):
        return {name: Place(name, 0, True) for name in names}
    return {name: Place("", frame, False) for name, frame in zip(names, frames.tolist(), strict=True)}


def _named(words: tuple[str, ...], names: list[str]) -> list[Place]:
    """Return the places of pictures whose names differ only in numbers."""
    stems = [_EXTENSION.sub("", name) for name in names]
    digits = [re.findall(r"[0-9]+", stem) for stem in stems]
    changing = [column for column in range(len(words) - 1) if len({row[column] for row in digits}) > 1]
    if not changing:
        only_number = len(words) == 2 and words[1] == "" and len(digits[0][0]) < 10
        if only_number and not re.search(r"\w$", words[0].rstrip("_-. ")):
            return [Place(_clip(words[0]), int(digits[0][0]), False)]
        return [Place(stems[0], 0, True)]
    whole = [column for column in changing if len({row[column] for row in digits}) == len(names)]
    column = max(whole, key=lambda column: (_evenness(digits, column), column)) if whole else changing[-1]
    if whole:
        apart = [other for other in changing if other not in whole and _tells_videos(words[other], digits, other, column)]
    else:  # several videos in one file, distinguished by the other numbers
        apart = [other for other in changing if other != column]
    parts: dict[tuple[str, ...], list[int]] = collections.defaultdict(list)
    for index, row in enumerate(digits):
        parts[tuple(row[other] for other in apart)].append(index)
    made: dict[int, Place] = {}
    for indices in parts.values():
        made |= dict(zip(indices, _named_part(stems, digits, indices, column), strict=True))
    return [made[index] for index in range(len(names))]


def _evenness(digits: list[list[str]], column: int) -> tuple[bool, bool, float]:
    """Rate how much a column of numbers looks like frame numbers: steps of one, even steps, small steps; larger is better."""
    usual, even = _steps([int(row[column][-18:]) for row in digits])
    return usual == 1, even >= _SAME_STEP, -usual


def _tells_videos(word: str, digits: list[list[str]], other: int, column: int) -> bool:
    """Return whether a number after a word distinguishes videos: it is constant over runs of frames, and never recurs."""
    ordered = [row[other] for row in sorted(digits, key=lambda row: int(row[column][-18:]))]
    runs = 1 + sum(a != b for a, b in itertools.pairwise(ordered))
    return bool(re.search(r"[^\W\d_]", word)) and runs == len(set(ordered)) <= len(ordered) / 2


def _named_part(stems: list[str], digits: list[list[str]], indices: list[int], column: int) -> list[Place]:
    first = stems[indices[0]]
    ends = [match.span() for match in re.finditer(r"[0-9]+", first)]
    start, end = ends[column]
    clip = _clip(f"{first[:start]}{first[end:]}")
    return _numbered(clip, [int(digits[index][column][-18:]) for index in indices], [stems[index] for index in indices])


def _clip(name: str) -> str:
    return re.sub(r"[/\\]", "_", name).strip("_-. ")


def _steps(numbers: list[int]) -> tuple[float, float]:
    """Return the median step between numbers, and the fraction of steps that are within 10 % of it."""
    steps = np.diff(sorted(numbers))
    usual = float(np.median(steps)) if len(steps) else 1.0
    return usual, float((np.abs(steps - usual) <= 0.1 * usual).mean()) if len(steps) else 1.0


def _numbered(clip: str, numbers: list[int], names: list[str]) -> list[Place]:
    """Return the frames of a video, or independent pictures if the numbers are not frame numbers."""
    usual, even = _steps(numbers)
    if 1 < len(numbers) < _FEW and min(numbers) > _COUNTED:  # one far number counts, among ids
        usual = (max(numbers) - min(numbers)) / (len(numbers) - 1)
    if usual > _FARTHEST_MEDIAN and (even < _SAME_STEP or len(numbers) < 3):
        return [Place(name, 0, True) for name in names]
    if numbers and min(numbers) > _MAX_FRAMES:  # time stamps
        return [Place(clip, round((number - min(numbers)) / (usual or 1)), False) for number in numbers]
    return [Place(clip, number, False) for number in numbers]
