"""Keypoints in tables: one core for all ways in which people write them.

A table has commas, semicolons, tabs or blanks between its cells. Its header names joints and axes in any usual way (`nose_x`,
`nose.y`, `left_hip_X`, `x0`, DeepLabCut's three lines); a line is a frame, a person in a frame, or (with a column for the
joint) a joint. Columns for the frame, the track and the confidence are found by their names, others are left out.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import listed, numbered_lines, shown
from srnet_jax.keypoints.json_files import Seen
from srnet_jax.keypoints.points import CONFIDENCES

_DECIMAL = re.compile(r"^([-+]?[0-9]*),([0-9]+(e[-+]?[0-9]+)?)$", re.IGNORECASE)  # 1,5 for 1.5
_MAX_BYTES = 2_000_000_000
_FRAME = (  # without what is no letter
    *("frame", "frameno", "framenumber", "frameid", "frameindex", "frameidx", "framenum", "framecount", "frames", "imageid"),
    *("image", "imagename", "img", "imgname", "imagepath", "filename", "file", "index", "idx"),
)
_TRACK = (
    *("track", "trackid", "person", "personid", "personindex", "personidx", "individual", "subject", "subjectid", "player"),
    *("playerid", "objectid", "instance", "instanceid", "skeleton", "skeletonid", "poseid", "poseindex", "id"),
)
_JOINT = (
    *("joint", "jointid", "jointname", "jointindex", "jointidx", "landmark", "landmarkid", "landmarkname", "landmarkindex"),
    *(
        "landmarkidx",
        "keypoint",
        "keypointid",
        "keypointname",
        "keypointindex",
        "keypointidx",
        "kpt",
        "bodypart",
        "name",
        "part",
    ),
    *("label", "type", "index", "idx"),
)
_AXES = {"x": 0, "y": 1, "z": -1, **dict.fromkeys(CONFIDENCES, 2), "conf": 2}
_UNITS = ("px", "pixel", "pixels", "coord", "coordinate", "pos", "position")
_FEW_ROWS = 3  # of which each may be another person


def read(path: Path, budget: Budget) -> tuple[list[Seen], bool]:
    """Read a table.

    Returns:
      The people, and whether it is DeepLabCut's.

    Raises:
      DataError: if the file is missing or empty, or names the line or the column that is not as it should be.
    """
    if (size := size_of(path, "a table")) > _MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes, expected a table of at most {_MAX_BYTES:,}")
    lines = list(numbered_lines(path))
    while len(lines) > 1 and lines[0][1].startswith("#"):
        comma = _delimiter(lines[1][1])
        if lines[0][1].count(comma) == lines[1][1].count(comma):  # the header
            lines[0] = lines[0][0], lines[0][1].lstrip("# ")
        else:
            del lines[0]
    comma = _delimiter(lines[0][1])
    try:
        cells = [(where, _cells(line, comma)) for where, line in lines]
    except csv.Error as error:
        raise DataError(f"{path}: damaged table ({one_line(error, 100)})") from error
    names, body, deeplabcut = _header(cells, path)
    if body and not names:
        names = _unnamed(body, path)
    found = []
    for where, row in body:
        if len(row) != len(names):
            raise DataError(
                f"{where}: found {len(row)} columns, expected {len(names)}, as in {cells[0][0].removeprefix(f'{path}: ')}"
            )
        budget.charge(100 * len(row))
        found.append((where, row))
    return list(_people(names, found, path)), deeplabcut


def _delimiter(line: str) -> str:
    return next((mark for mark in (";", "\t", ",") if mark in line), " ")  # in that order: 1,5 may be a number


def _cells(line: str, comma: str) -> list[str]:
    row = line.split() if comma == " " else next(csv.reader([line.strip("\r\n")], delimiter=comma), [])
    row = [cell.strip() for cell in row]
    return row if comma == "," else [_DECIMAL.sub(r"\1.\2", cell) for cell in row]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _header(cells: list[tuple[str, list[str]]], path: Path) -> tuple[list[str], list[tuple[str, list[str]]], bool]:
    """Split a table into the names of its columns, none without a header, and its rows; and tell whether it is DeepLabCut's."""
    first = cells[0][1]
    if first[0].lower() == "scorer" and len(cells) > 2:
        kinds = [row[0].lower() for _, row in cells[1:4]]
        if kinds[:2] == ["bodyparts", "coords"]:
            parts, axes = cells[1][1], cells[2][1]
            return ["frame", *(f"{part}_{axis}" for part, axis in zip(parts[1:], axes[1:], strict=False))], cells[3:], True
        if kinds == ["individuals", "bodyparts", "coords"]:
            return *_individuals(cells, path), True
        raise DataError(f"{path}: found DeepLabCut's header with {listed(kinds)}, expected bodyparts, coords")
    if all(_is_number(cell) or not cell for cell in first) and any(first):
        return [], cells, False
    names = first
    if len(cells) > 1 and len(names) == len(cells[1][1]) - 1:  # a header without the index
        names = ["", *names]
    names = [name or f"column_{index}" for index, name in enumerate(names)]
    if names[0] == "column_0" and not any(_plain(name) in _FRAME for name in names):
        names[0] = "frame"
    body = cells[1:]
    if body and sum(map(bool, body[0][1])) > 1 and not any(_is_number(cell) for cell in body[0][1]):
        body = body[1:]  # units
    return names, body, False


def _plain(name: str) -> str:
    """Return a column's name without what is no letter."""
    return re.sub(r"[^a-z]+", "", name.lower())


def _individuals(cells: list[tuple[str, list[str]]], path: Path) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return DeepLabCut's table of several animals with a line for each in each frame."""
    (_, animals), (_, parts), (_, axes) = cells[1:4]
    if not len(animals) == len(parts) == len(axes):
        raise DataError(
            f"{path}: found header lines of {len(animals)}, {len(parts)} and {len(axes)} columns, expected the same"
        )
    columns: dict[str, dict[str, int]] = {}
    for column in range(1, len(animals)):
        columns.setdefault(animals[column], {})[f"{parts[column]}_{axes[column]}"] = column
    names = list(dict.fromkeys(name for own in columns.values() for name in own))
    if len(names) * len(columns) > 4 * len(animals):
        raise DataError(f"{path}: found individuals with different body parts, expected the same of all")
    body = []
    for where, row in cells[4:]:
        if len(row) != len(animals):
            raise DataError(f"{where}: found {len(row)} columns, expected {len(animals)}, as in line 2")
        for animal, own in columns.items():
            body.append((where, [row[0], animal, *(row[own[name]] if name in own else "" for name in names)]))
    return ["frame", "individual", *names], body


def _unnamed(body: list[tuple[str, list[str]]], path: Path) -> list[str]:
    """Name the columns of a table without a header: the frame's number, then x, y or x, y, confidence of each joint."""
    width = len(body[0][1])
    count = width - 1
    values = np.array([[_number(cell, where) for cell in row[1:]] for where, row in body if len(row) == width])
    if width < 3:
        raise DataError(f"{body[0][0]}: found {shown(','.join(body[0][1]))}, expected frame, x, y, ...")
    thirds = values[:, 2::3] if count % 3 == 0 else np.full((1, 1), 2.0)
    size = 3 if count % 3 == 0 and (count % 2 or ((thirds >= 0) & (thirds <= 1) | np.isnan(thirds)).all()) else 2
    if count % size:
        raise DataError(f"{path}: found {count} columns of keypoints, expected x, y or x, y, confidence of each joint")
    return ["frame", *(f"joint{index // size}_{'xyc'[index % size]}" for index in range(count))]


def _people(names: list[str], rows: list[tuple[str, list[str]]], path: Path) -> Iterator[Seen]:
    plain = [_plain(name) for name in names]
    lower = [axis if axis and not part else name.lower() for name, (part, axis) in zip(names, map(_split, names), strict=True)]
    first = {name: index for index, name in reversed(list(enumerate(plain)))}
    frame, track = (next((first[name] for name in options if name in first), None) for options in (_FRAME, _TRACK))
    if "x" in lower and "y" in lower:
        kinds = [first[name] for name in _JOINT if name in first and first[name] not in (frame, track)]
        joint = next((column for column in kinds if len({row[column] for _, row in rows}) > 1), None)
        if joint is not None:
            yield from _long(lower, rows, frame, track, joint)
            return
    if track is not None and len(rows) > _FEW_ROWS and len({row[track] for _, row in rows}) == len(rows):
        frame, track = (track if frame is None else frame), None  # a number of the line
    columns: dict[str, list[int]] = {}  # of each joint: x, y, confidence, -1 where there is none
    for column, name in enumerate(names):
        part, axis = _split(name)
        if column in (frame, track) or axis is None or (not part and axis == "z"):
            continue
        place = columns.setdefault(part, [-1, -1, -1])
        if _AXES[axis] >= 0:
            place[_AXES[axis]] = column
    columns = {part: place for part, place in columns.items() if part and place[0] >= 0 and place[1] >= 0}
    if not columns:
        raise DataError(
            f"{path}: found the columns {shown(','.join(names))}, expected x and y of each joint, as nose_x, nose_y"
        )
    for number, (where, row) in enumerate(rows):
        picture = number if frame is None else _picture(row[frame], number, where)
        person = (row[track][:60] or None) if track is not None else None
        values = np.array([[1.0 if c < 0 else _number(row[c], where) for c in place] for place in columns.values()])
        yield Seen(picture, person, values, tuple(columns))


def _long(
    lower: list[str], rows: list[tuple[str, list[str]]], frame: int | None, track: int | None, joint: int
) -> Iterator[Seen]:
    """Yield the people of a table with a line a joint."""
    x, y = lower.index("x"), lower.index("y")
    sure = next((lower.index(name) for name in CONFIDENCES if name in lower), None)
    people: dict[tuple[int | str, str | None], dict[str, list[float]]] = {}
    for where, row in rows:
        picture = 0 if frame is None else _picture(row[frame], 0, where)
        person = people.setdefault((picture, row[track][:60] or None if track is not None else None), {})
        if row[joint] in person:
            raise DataError(f"{where}: found {shown(row[joint])} of frame {picture} again, expected each joint once")
        person[row[joint]] = [
            _number(row[x], where),
            _number(row[y], where),
            1.0 if sure is None else _number(row[sure], where),
        ]
    joints = list(dict.fromkeys(name for person in people.values() for name in person))
    missing = [np.nan, np.nan, 0.0]
    for (picture, name), person in people.items():
        yield Seen(picture, name, np.array([person.get(one, missing) for one in joints]), tuple(joints))


def _split(name: str) -> tuple[str, str | None]:
    """Return the joint and the axis that a column's name means: `nose_x`, `nose.X`, `x_nose`, `x0`, `noseX`."""
    words = [word for word in re.split(r"[\s_.:/()\[\]\-]+", name) if word]
    while len(words) > 1 and words[-1].lower() in _UNITS:
        words.pop()
    for place in (-1, 0):
        if words and words[place].lower() in _AXES:
            rest = words[:place] if place == -1 else words[1:]
            return "_".join(rest), words[place].lower()
    match = re.fullmatch(rf"({'|'.join(_AXES)})([0-9]+)|(.*[a-z])([XYZ])", name, re.IGNORECASE)
    if match and match[1]:
        return match[2], match[1].lower()
    if match and match[4].isupper():
        return match[3], match[4].lower()
    return name, None


def _picture(cell: str, number: int, where: str) -> int | str:
    """Return the frame's number, or a name."""
    if _is_number(cell):
        value = float(cell)
        if not 0 <= value < 1e15 or value != int(value):
            raise DataError(f"{where}: found frame {shown(cell)}, expected a whole number")
        return int(value)
    if not cell.isprintable() or len(cell) > 1000:
        raise DataError(f"{where}: found {shown(cell)}, expected a frame's number or an image's name")
    return cell or number


def _number(cell: str, where: str) -> float:
    """Return a number; NaN for an empty cell."""
    if cell.lower() in ("", "nan", "none", "null", "na", "n/a"):
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{where}: found {shown(cell)}, expected a number") from None
