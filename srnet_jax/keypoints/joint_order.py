"""Which joint is which, in files that name their joints or number them."""

import collections
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.text import listed
from srnet_jax.keypoints.formats import NUMBERS
from srnet_jax.keypoints.people import Seen
from srnet_jax.keypoints.points import MOST_JOINTS, joint_name, joint_names
from srnet_jax.pose import layouts

FEWEST_NAMES = 6  # that tell a layout


def in_layout(names: Sequence[str], where: str) -> tuple[str, np.ndarray]:
    """Return the layout that has most of these joints, and where each of its joints is among the names, -1 if nowhere.

    Raises:
      DataError: if there are fewer than half a body's joints that any layout has.
    """
    joints = joint_names(names)
    known = {joint for joint in joints if joint}
    best = max(layouts.LAYOUTS.values(), key=lambda layout: (len(known & set(layout.joints)), -len(layout.joints)))
    if len(known & set(best.joints)) < FEWEST_NAMES:
        raise DataError(f"{where}: found joints named {listed(names)}, expected names such as nose, left_shoulder, RKnee")
    return best.name, np.array([joints.index(joint) if joint in known else -1 for joint in best.joints])


def named_alike(people: list[Seen], path: Path) -> tuple[str, ...] | None:
    """Give all people the same joints in the same order, and return their names; None if some have none, or only numbers."""
    own = [person.names for person in people]
    names = tuple(dict.fromkeys(name for each in dict.fromkeys(own) for name in each or ()))
    if None in own or not names or len(names) > MOST_JOINTS:
        return None
    numbers = None if sum(joint_name(name) is not None for name in names) >= FEWEST_NAMES else _numbers(names, path)
    rows = numbers or {name: index for index, name in enumerate(names)}
    count = _count(numbers) if numbers else len(names)
    order = {each: np.array([rows.get(name, count) for name in each or ()]) for each in dict.fromkeys(own)}
    if len(order) == 1 and np.array_equal(order[own[0]], np.arange(count)):
        return None if numbers else names
    for index, person in enumerate(people):
        values = np.full((count + 1, 3), np.nan)  # the last is for columns that are no joints
        values[order[person.names]] = person.values
        people[index] = person._replace(values=values[:count], names=names)
    return None if numbers else names


def _numbers(names: tuple[str, ...], path: Path) -> dict[str, int] | None:
    """Return the place of each joint if they are called by numbers, `12`, `joint12`, `landmark_12`; None if they are not.

    Numbers count from 0 or from 1, which a file must show where it lacks the first joints.

    Raises:
      DataError: if it does not.
    """
    stems = collections.Counter(re.sub("[0-9]+", "", name) for name in names if re.search("[0-9]", name))
    if not stems:
        return None
    (stem, most), *_ = stems.most_common(1)
    if most < len(names) and most < FEWEST_NAMES:
        return None
    alike = [name for name in names if re.sub("[0-9]+", "", name) == stem and re.search("[0-9]", name)]
    numbers = {name: int(re.findall("[0-9]+", name)[-1][-18:]) for name in alike}
    low, high = min(numbers.values()), max(numbers.values())
    if high > MOST_JOINTS or len(set(numbers.values())) < len(numbers):
        raise DataError(f"{path}: found joints numbered {low} to {high}, expected each number once, and at most {MOST_JOINTS}")
    fitting = [start for start in (0, 1) if high + 1 - start in NUMBERS]
    if low > 1 and len(fitting) != 1:
        raise DataError(f"{path}: found joints numbered {low} to {high}, expected them from 0 or 1")
    start = low if low < 2 else fitting[0]
    return {name: number - start for name, number in numbers.items()}


def _count(numbers: dict[str, int]) -> int:
    """Return how many joints there are by their numbers: if some of them lack, those of a layout."""
    count = max(numbers.values()) + 1
    return count if len(numbers) == count else min((n for n in NUMBERS if n >= count), default=count)
