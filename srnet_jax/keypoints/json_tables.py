"""Convert between JSON and tables: JSON that has the lines or columns of a table, and tables whose cells contain JSON.

The forms are those of pandas' `to_json`, and of people who keep a list for each column or for each joint:

    [{"frame": 0, "nose_x": 1}, ...]  [[0, 1, 2, ...], ...]            lines
    {"0": {"frame": 0, "nose_x": 1}, ...}                              lines by index
    {"columns": [...], "data": [[...], ...]}                           pandas' "split"
    {"schema": {...}, "data": [{...}, ...]}                            pandas' "table"
    {"nose_x": {"0": 1, ...}, ...}  {"nose_x": [1, ...], ...}          columns
    {"nose": [[x, y], ...], ...}  {"nose": {"x": [1, ...], ...}, ...}  all frames of each joint
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints.csv_columns import Rows
from srnet_jax.keypoints.csv_files import split
from srnet_jax.keypoints.formats import FRAME, POINTS
from srnet_jax.keypoints.joint_order import MIN_NAMES, counts_frames
from srnet_jax.keypoints.keys import with_known_keys
from srnet_jax.keypoints.people import is_number
from srnet_jax.keypoints.points import is_joints, joint_name

_WORDS = {"None": "null", "True": "true", "False": "false", "nan": "NaN"}  # of Python
_AXES = ("x", "y", "confidence", "score", "visibility", "c", "conf", "likelihood")


def by_frame(content: Any) -> Any:
    """Return a file's content with a list of frames in place of columns or of each joint's frames; other content as it is."""
    if not isinstance(content, dict):
        return content
    if (lines := _split_lines(content)) is not None:
        return lines
    values = list(content.values())
    alike = len(values) > 1 and all(isinstance(one, dict) and one.keys() == values[0].keys() for one in values)
    if alike and _are_columns(values[0]) and all(map(_is_cell, values[0].values())):  # lines by index
        return [one if set(FRAME) & one.keys() else {"frame": key, **one} for key, one in content.items()]
    if frames := _transposed(content):
        rest = {key: value for key, value in content.items() if not isinstance(value, list | dict)}
        return rest | {"frames": frames} if rest else frames
    for key in POINTS:
        if isinstance(content.get(key), dict) and (frames := _transposed(content[key])):
            return content | {key: frames}
        if _are_frames(content.get(key)) and content.keys().isdisjoint(("frames", "skeleton")):  # frames by number
            return {name: value for name, value in content.items() if name != key} | {"frames": content[key]}
    return content


def _are_frames(value: Any) -> bool:
    """Return whether a value is an object of frames, with their numbers as keys, and not the joints of one person."""
    return isinstance(value, dict) and bool(value) and all(key.isdecimal() for key in value) and not is_joints(value)


def _split_lines(content: dict[str, Any]) -> list[Any] | None:
    """Return the lines of a table that pandas split from its columns' names or described by a schema; None for others."""
    names, lines = content.get("columns"), content.get("data")
    if not isinstance(lines, list) or not lines:
        return None
    if content.keys() == {"schema", "data"}:
        return lines
    if not isinstance(names, list) or not content.keys() <= {"columns", "index", "data"}:
        return None
    if not all(isinstance(name, str) for name in names) or not all(isinstance(one, list) for one in lines):
        return None
    return [with_known_keys(dict(zip(names, one, strict=False))) for one in lines]


def _is_cell(value: Any) -> bool:
    return value is None or is_number(value) or isinstance(value, str)


def _are_columns(names: Any) -> bool:
    """Return whether names are those of a table's columns."""
    return sum(split(name)[1] == "x" and split(name)[0] != "" for name in names) >= MIN_NAMES


def _transposed(columns: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the lines of a table that is given as an object of columns; None for other objects."""
    given = {key: _cells(value) for key, value in columns.items() if isinstance(value, list | dict)}
    cells = {key: value for key, value in given.items() if value is not None}
    if len(cells) < len(given) or len({len(value) for value in cells.values()}) != 1:
        return None
    count = len(next(iter(cells.values())))
    joints = [key for key in cells if joint_name(key) is not None]
    of_joints = len(joints) >= MIN_NAMES and all(_is_joint(cell) for key in joints for cell in cells[key])
    flat = _are_columns(cells) and all(_is_cell(cell) for value in cells.values() for cell in value)
    points = [columns[key] for key in POINTS if key in columns]
    numbered = all(isinstance(value, dict) for value in columns.values()) and bool(points) and not any(map(is_joints, points))
    if not count or not (of_joints or flat or (numbered and len(columns) > 1)):
        return None
    return [{key: value[number] for key, value in cells.items()} for number in range(count)]


def _cells(value: Any) -> list[Any] | None:
    """Return the cells of a column: a list, an object with the numbers of lines as keys, or an object of x and y of a joint."""
    if isinstance(value, list):
        return value
    axes = [value[axis] for axis in _AXES if isinstance(value.get(axis), list)]
    if isinstance(value.get("x"), list) and isinstance(value.get("y"), list) and len({len(axis) for axis in axes}) == 1:
        return [list(row) for row in zip(*axes[:3], strict=True)]
    return list(value.values()) if list(value) == [str(number) for number in range(len(value))] else None


def _is_joint(cell: Any) -> bool:
    """Return whether a value is one joint: x, y and more numbers, or an object with x and y, or nothing."""
    if isinstance(cell, dict):
        return {"x", "y"} <= {key.lower() for key in cell}
    return cell is None or (isinstance(cell, list) and len(cell) in (0, 2, 3, 4) and all(map(_is_cell, cell)))


def as_table(content: Any, path: Path, budget: Budget) -> tuple[list[str], Rows] | None:
    """Return the columns and lines of a list of flat objects, as pandas writes a table; None for other files.

    A list of lines of numbers is a table without column names if each line begins with the number of its frame.
    """
    if not isinstance(content, list) or not content:
        return None
    names = list(content[0]) if isinstance(content[0], dict) else []
    if names and not set(names) & set(FRAME) and len(names) <= 2 * MIN_NAMES:  # the joints of one person
        return None
    if not names and not _begin_with_frames(content):
        return None
    rows: Rows = []
    for number, item in enumerate(content):
        if names and (not isinstance(item, dict) or list(item) != names):
            return None
        cells = list(item.values()) if names else item
        if not all(map(_is_cell, cells)):
            return None
        budget.charge(100 * len(cells))
        rows.append((f"{path}: entry {number}", ["" if value is None else str(value).strip() for value in cells]))
    return names, rows


def _begin_with_frames(rows: list[Any]) -> bool:
    """Return whether each line of numbers begins with the number of its frame, and not with a joint."""
    if not all(isinstance(row, list) and row and is_number(row[0]) and len(row) == len(rows[0]) for row in rows):
        return False
    firsts = [row[0] for row in rows]
    return counts_frames(np.array(firsts, np.float64), len(rows[0]))


def with_objects(names: list[str], rows: Rows) -> list[Any] | None:
    """Return the lines of a table whose cells contain joints as JSON or as Python's text; None for other tables."""
    found: list[dict[str, Any]] = [{} for _ in rows]
    known = with_known_keys({name: column for column, name in enumerate(names)})
    if known.keys().isdisjoint(POINTS) or _are_columns(names):
        return None
    for name, column in known.items():
        for one, (_, row) in zip(found, rows, strict=True):
            one[name] = _value(row[column])
    points = [value for one in found for key, value in one.items() if key in POINTS]
    if not any(isinstance(value, list | dict) for value in points):
        return None
    return found


def _value(cell: str) -> Any:
    """Return the value of a cell: a list or an object, a number, nothing or text."""
    texts = [cell or "null"]
    if cell[:1] in ("[", "{"):  # JSON, or Python's text
        texts.append(re.sub(r"\b(None|True|False|nan)\b", lambda word: _WORDS[word[0]], cell.replace("'", '"')))
    for text in texts:
        try:
            value = json.loads(text, parse_constant=lambda _: None, object_hook=with_known_keys)
        except (ValueError, RecursionError):
            continue
        return value if not isinstance(value, bool) else cell
    return cell
