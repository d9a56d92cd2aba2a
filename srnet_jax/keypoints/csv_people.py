"""Split tables whose lines contain several people, in columns such as person1_nose_x, into a line for each person."""

import collections
import re

import numpy as np

from srnet_jax.keypoints.csv_columns import Rows, is_number
from srnet_jax.keypoints.joint_order import MIN_NAMES
from srnet_jax.keypoints.people import MAX_NORMALISED
from srnet_jax.keypoints.points import letters

_BEFORE = re.compile(r"[^\W\d_]+[ _-]?([0-9]{1,4})[ _.:/-]+(.+)", re.DOTALL)  # person1_nose_x, p0.nose_x
_AFTER = re.compile(r"(.+?)[._]([0-9]{1,4})", re.DOTALL)  # nose_x.1, as pandas numbers columns of the same name
PERSON = ("person", "p", "player", "subject", "individual", "ind", "track", "id", "people", "human", "pose", "skeleton")


def people_apart(names: list[str], rows: Rows) -> tuple[list[str], Rows]:
    """Return a table's names and lines with one line for each person, if its columns name several people.

    Each person must have x of at least six joints, and all people pixels, or all fractions of the image size.
    """
    different = _different(names)
    repeated = {match[1] for name in different if (match := _AFTER.fullmatch(name))} & set(names)
    for own in (_before, _after):
        people: dict[str, dict[str, int]] = {}
        for column, name in enumerate(different):
            if found := own(name, repeated):
                people.setdefault(found[0], {}).setdefault(found[1], column)
        people = {person: columns for person, columns in people.items() if len(_xs(columns)) >= MIN_NAMES}
        if len(people) > 1 and _are_alike(list(people.values()), rows):
            return _apart(names, rows, people)
    return names, rows


def _different(names: list[str]) -> list[str]:
    """Number names that repeat, as pandas does: x, x.1, x.2."""
    seen: collections.Counter[str] = collections.Counter()
    found = []
    for name in names:
        found.append(f"{name}.{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def _before(name: str, _: set[str]) -> tuple[str, str] | None:
    """Return the person and the rest of the name of a column that begins with a person's number."""
    found = _BEFORE.fullmatch(name)
    return (found[1], found[2]) if found and letters(name[: found.start(2)]) in PERSON else None


def _after(name: str, repeated: set[str]) -> tuple[str, str] | None:
    """Return the person and the rest of the name of a column whose name is repeated with a number at its end."""
    if (found := _AFTER.fullmatch(name)) and found[1] in repeated:
        return found[2], found[1]
    return ("0", name) if name in repeated else None


def _xs(columns: dict[str, int]) -> list[int]:
    return [column for name, column in columns.items() if "x" in re.split(r"[^a-z]+", name.lower())]


def _are_alike(people: list[dict[str, int]], rows: Rows) -> bool:
    """Return whether the coordinates of all people are pixels, or fractions of the image size."""
    shares = []
    for columns in people:
        cells = [row[column] for _, row in rows for column in _xs(columns) if is_number(row[column])]
        numbers = np.abs(np.array(cells, np.float64))
        numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
        shares += [bool(np.median(numbers) <= MAX_NORMALISED)] if len(numbers) else []
    return len(set(shares)) < 2


def _apart(names: list[str], rows: Rows, people: dict[str, dict[str, int]]) -> tuple[list[str], Rows]:
    used = {column for columns in people.values() for column in columns.values()}
    common = [column for column in range(len(names)) if column not in used]
    own = list(dict.fromkeys(name for columns in people.values() for name in columns))
    lines = [
        (where, [*(row[column] for column in common), person, *(row[columns[name]] if name in columns else "" for name in own)])
        for where, row in rows
        for person, columns in people.items()
    ]
    return [*(names[column] for column in common), "person_id", *own], lines
