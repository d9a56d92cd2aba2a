"""Match joints that a file names or numbers to the joints of a keypoint layout."""

import collections
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.text import listed
from srnet_jax.keypoints.formats import NUMBERS
from srnet_jax.keypoints.people import Detection
from srnet_jax.keypoints.points import MAX_JOINTS, joint_name, joint_names
from srnet_jax.pose import layouts

MIN_NAMES = 6  # known joint names that suffice to recognise a layout
_FEW_ROWS = 3  # so few numbers may count up by chance


def in_layout(names: Sequence[str], where: str) -> tuple[str, np.ndarray]:
    """Find the layout that has the most of the named joints.

    Args:
      names: joint names of a file.
      where: begins messages.

    Returns:
      The name of the layout, and for each of its joints the index in `names`, -1 if it is missing.

    Raises:
      DataError: if fewer than six of the names are joints of one layout.
    """
    joints = joint_names(names)
    known = {joint for joint in joints if joint}
    best = max(layouts.LAYOUTS.values(), key=lambda layout: (len(known & set(layout.joints)), -len(layout.joints)))
    if len(known & set(best.joints)) < MIN_NAMES:
        raise DataError(f"{where}: found joints named {listed(names)}, expected names such as nose, left_shoulder, RKnee")
    return best.name, np.array([joints.index(joint) if joint in known else -1 for joint in best.joints])


def counts_frames(first: np.ndarray, width: int) -> bool:
    """Return whether the first [T] of `width` columns, of which the others may be joints, counts frames."""
    whole = len(first) > _FEW_ROWS and bool((first >= 0).all() and (first == np.floor(first)).all())
    return whole and bool((np.diff(first) == 1).all()) and any((width - 1) / size in NUMBERS for size in (2, 3, 4))


def named_alike(people: list[Detection], path: Path) -> tuple[str, ...] | None:
    """Give all detected people the same joints in the same order, in place.

    Args:
      people: the detected people; changed in place.
      path: of the file, for messages.

    Returns:
      The joint names; None if someone's joints have no names, or only numbers.

    Raises:
      DataError: if the numbers of joints are ambiguous.
    """
    own = [person.names for person in people]
    names = tuple(dict.fromkeys(name for each in dict.fromkeys(own) for name in each or ()))
    if None in own or not names or len(names) > MAX_JOINTS:
        return None
    numbers = None if sum(joint_name(name) is not None for name in names) >= MIN_NAMES else _numbers(names, path)
    rows = numbers or {name: index for index, name in enumerate(names)}
    count = _count(numbers) if numbers else len(names)
    order = {each: np.array([rows.get(name, count) for name in each or ()]) for each in dict.fromkeys(own)}
    if len(order) == 1 and np.array_equal(order[own[0]], np.arange(count)):
        return None if numbers else names
    for index, person in enumerate(people):
        values = np.full((count + 1, 3), np.nan)  # the last row collects columns that are not joints
        values[order[person.names]] = person.values
        people[index] = person._replace(values=values[:count], names=names)
    return None if numbers else names


def _numbers(names: tuple[str, ...], path: Path) -> dict[str, int] | None:
    """Return the index of each joint whose name contains its number (`12`, `joint12`, `landmark_12`); None for other names.

    Numbers start at 0 or 1. If a file lacks the first joints, the highest number must show which of the two it is. 1 to 32 may
    be MediaPipe's joints without 0, or 32 other joints.

    Raises:
      DataError: if this is not clear, or if numbers are repeated or too large.
    """
    stems = collections.Counter(re.sub("[0-9]+", "", name) for name in names if re.search("[0-9]", name))
    if not stems:
        return None
    (stem, most), *_ = stems.most_common(1)
    if most < len(names) and most < MIN_NAMES:
        return None
    alike = [name for name in names if re.sub("[0-9]+", "", name) == stem and re.search("[0-9]", name)]
    numbers = {name: int(re.findall("[0-9]+", name)[-1][-18:]) for name in alike}
    low, high = min(numbers.values()), max(numbers.values())
    if high > MAX_JOINTS or len(set(numbers.values())) < len(numbers):
        raise DataError(f"{path}: found joints numbered {low} to {high}, expected each number once, and at most {MAX_JOINTS}")
    fitting = [start for start in (0, 1) if high + 1 - start in NUMBERS]
    if low > 1 and len(fitting) != 1:
        raise DataError(f"{path}: found joints numbered {low} to {high}, expected them to start at 0 or 1")
    if low == 1 and fitting == [0]:
        raise DataError(f"{path}: found joints numbered 1 to {high}, expected 0 to {high}, or 1 to a layout's number of joints")
    start = low if low < 2 else fitting[0]
    return {name: number - start for name, number in numbers.items()}


def _count(numbers: dict[str, int]) -> int:
    """Return the number of joints: that of the smallest layout that has all these indices, if some are missing."""
    count = max(numbers.values()) + 1
    return count if len(numbers) == count else min((n for n in NUMBERS if n >= count), default=count)
