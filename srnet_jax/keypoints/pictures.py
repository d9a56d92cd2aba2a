"""Which frame of which video a picture is, from the names or numbers that a file gives the pictures.

Names that differ in nothing but numbers are the frames of one video: its frame number is the last of these numbers that no two
of them share, so that a date or a size in a name is none. A name like no other is a picture for itself, as are numbers that lie
far and unevenly apart, such as the ids of a data set's images.
"""

import collections
import re
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

_EXTENSION = re.compile(r"\.(jpe?g|png|bmp|tiff?|webp|json|txt)$", re.IGNORECASE)
_FARTHEST_MEDIAN = 5  # frames between pictures of one video, or all about equally far apart
_SAME_STEP = 0.9


class Place(NamedTuple):
    """Where a picture is.

    Attributes:
      clip: what the video is called, "" if nothing tells; of a picture for itself its name.
      frame: number of the frame, 0 for a picture for itself.
      still: whether it is a picture for itself.
    """

    clip: str
    frame: int
    still: bool


def places(pictures: Sequence[Hashable]) -> dict[Hashable, Place]:
    """Return where each picture is.

    Args:
      pictures: image names (str) or numbers (int), in any order, with repetitions.
    """
    distinct = list(dict.fromkeys(pictures))
    numbers = [picture for picture in distinct if isinstance(picture, int)]
    found: dict[Hashable, Place] = {}
    for number, place in zip(numbers, _numbered("", numbers, [str(n) for n in numbers]), strict=True):
        found[number] = place
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = collections.defaultdict(list)
    for name in distinct:
        if isinstance(name, str):
            stem = _EXTENSION.sub("", name)
            folder, slash, own = stem.replace("\\", "/").rpartition("/")
            apart = slash and re.search("[0-9]", own)  # folders of numbered pictures are videos
            groups[folder if apart else "", tuple(re.split(r"[0-9]+", stem))].append(name)
    for (_, words), names in groups.items():
        found |= dict(zip(names, _named(words, names), strict=True))
    return found


def _named(words: tuple[str, ...], names: list[str]) -> list[Place]:
    """Return the places of names that differ in nothing but numbers."""
    stems = [_EXTENSION.sub("", name) for name in names]
    digits = [re.findall(r"[0-9]+", stem) for stem in stems]
    changing = [column for column in range(len(words) - 1) if len({row[column] for row in digits}) > 1]
    if not changing:
        only_number = (
            len(words) == 2 and words[1] == "" and len(digits[0][0]) < 10 and not re.search(r"\w$", words[0].rstrip("_-. "))
        )
        if only_number:
            return [Place("", int(digits[0][0]), False)]
        return [Place(stems[0], 0, True)]
    whole = [column for column in changing if len({row[column] for row in digits}) == len(names)]
    column = (whole or changing)[-1]
    if not whole:  # several videos in one file: the other numbers tell them apart
        parts: dict[tuple[str, ...], list[int]] = collections.defaultdict(list)
        for index, row in enumerate(digits):
            parts[tuple(row[:column] + row[column + 1 :])].append(index)
        made: list[Place | None] = [None] * len(names)
        for indices in parts.values():
            for index, place in zip(indices, _named_part(stems, digits, indices, column), strict=True):
                made[index] = place
        return [place for place in made if place]
    return _named_part(stems, digits, list(range(len(names))), column)


def _named_part(stems: list[str], digits: list[list[str]], indices: list[int], column: int) -> list[Place]:
    first = stems[indices[0]]
    ends = [match.span() for match in re.finditer(r"[0-9]+", first)]
    start, end = ends[column]
    clip = re.sub(r"[/\\]", "_", f"{first[:start]}{first[end:]}").strip("_-. ")
    return _numbered(clip, [int(digits[index][column][-18:]) for index in indices], [stems[index] for index in indices])


def _numbered(clip: str, numbers: list[int], names: list[str]) -> list[Place]:
    """Return the frames of a video, or pictures for themselves where the numbers are no frames."""
    steps = np.diff(sorted(numbers))
    usual = float(np.median(steps)) if len(steps) else 1.0
    even = (np.abs(steps - usual) <= 0.1 * usual).mean() if len(steps) else 1.0
    if len(steps) and usual > _FARTHEST_MEDIAN and even < _SAME_STEP:
        return [Place(name, 0, True) for name in names]
    return [Place(clip, number, False) for number in numbers]
