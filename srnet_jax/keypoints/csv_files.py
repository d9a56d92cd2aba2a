"""Read keypoints from tables (CSV, TSV, text) with many different headers and arrangements.

The header names joints and axes in any common way (`nose_x`, `nose.y`, `left_hip_X`, `x0`, DeepLabCut's three lines). A line is
a frame, a person in a frame, or, if there is a column for the joint, a joint. Columns for the frame, the time, the track and
the confidence are recognised by their names (`csv_columns`); other columns are ignored.
"""

import collections
import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import listed, numbered_lines, shown
from srnet_jax.keypoints.csv_columns import FRAME, IMAGE, ROW, Columns, Rows, is_number, numbered, with_seconds
from srnet_jax.keypoints.csv_people import people_apart
from srnet_jax.keypoints.formats import NUMBERS, TABLES, nearest
from srnet_jax.keypoints.joint_order import MIN_NAMES
from srnet_jax.keypoints.people import Detection
from srnet_jax.keypoints.points import CONFIDENCES, NOISE, is_depth, letters

_DECIMAL = re.compile(r"^([-+]?[0-9]*),([0-9]+(e[-+]?[0-9]+)?)$", re.IGNORECASE)  # matches 1,5 for 1.5
_DOTS, _DOTS_AND_COMMA = (re.compile(rf"[-+]?[0-9]{{1,3}}(\.[0-9]{{3}})+{end}") for end in ("(,[0-9]+)?", ",[0-9]+"))
_COMMAS, _COMMAS_AND_DOT = (re.compile(rf"[-+]?[0-9]{{1,3}}(,[0-9]{{3}})+{end}") for end in (r"(\.[0-9]+)?", r"\.[0-9]+"))
_FEW_THOUSANDS = re.compile(r"[-+]?[1-9][0-9]?,[0-9]{3}")  # pixels
_MAX_BYTES = 2_000_000_000
_AXES = {"x": 0, "y": 1, **dict.fromkeys(CONFIDENCES, 2), "z": 3}
OTHER_AXES = (("u", "v"), ("px", "py"), ("col", "row"), ("column", "row"))  # in place of x and y
_IN_BRACKETS = re.compile(r"[(\[]([^()\[\]]{3,200})[)\]]")
_NUMBERS = re.compile(r" *[,;] *| +")  # between numbers
_MISSING = ("", "nan", "none", "null", "na", "n/a", "<na>", "#n/a", "-", "--", "?", ".", "missing")
PARTS_COLUMNS = ("type", "kind", "group", "source", "bodypart", "landmarktype", "category")
BODY_PARTS, OTHER_PARTS = ("pose", "body"), ("face", "lefthand", "righthand", "hand", "hands")
UNITS = ("px", "pixel", "pixels", "coord", "coordinate", "pos", "position", "2d")
_MOST_IDS = 1000  # of people in a table without a header
_FEW_ROWS = 3  # in so short a table, each line may be another person


def read(path: Path, budget: Budget) -> tuple[list[str], Rows, bool]:
    """Read a table.

    Args:
      path: of the file.
      budget: limit on the memory for reading the file.

    Returns:
      The names of its columns, its lines, and whether it is in DeepLabCut's format.

    Raises:
      DataError: if the file is missing, empty or not a valid table; the message names the line or the column.
    """
    if (size := size_of(path, "a table")) > _MAX_BYTES:
        raise DataError(f"{path}: found {size:,} bytes, expected a table of at most {_MAX_BYTES:,}")
    lines = list(numbered_lines(path))
    if len(lines) > 1 and re.fullmatch('"?sep=."?', lines[0][1].strip(), re.IGNORECASE):  # for Excel
        del lines[0]
    start = 0
    while start + 1 < len(lines) and lines[start][1].startswith("#"):
        comma = _delimiter(lines[start + 1][1])
        header = lines[start][1].lstrip("# ")
        if header.strip() and lines[start][1].count(comma) == lines[start + 1][1].count(comma):
            lines[start] = lines[start][0], header
        else:
            start += 1
    lines = lines[start:]
    comma = _delimiter(lines[0][1])
    try:
        cells = _with_points([(where, _cells(line, comma)) for where, line in lines], comma)
    except csv.Error as error:
        raise DataError(f"{path}: damaged table ({one_line(error, 100)})") from error
    names, body, deeplabcut = _header(cells, path)
    if body and not names:
        names = unnamed(body, path)
    found = []
    for where, row in body:
        if row == cells[0][1] and body[0] is not cells[0] and not deeplabcut:
            continue  # the header again, as in files that were appended to
        if len(row) != len(names):
            raise DataError(
                f"{where}: found {len(row)} columns, expected {len(names)} as in {cells[0][0].removeprefix(f'{path}: ')}"
            )
        budget.charge(100 * len(row))
        found.append((where, row))
    return names, found, deeplabcut


def _delimiter(line: str) -> str:
    return next((mark for mark in (";", "\t", ",") if mark in line), " ")  # commas last: 1,5 may be a number


def _cells(line: str, comma: str) -> list[str]:
    row = line.split() if comma == " " else next(csv.reader([line.strip("\r\n")], delimiter=comma), [])
    return [cell.strip() for cell in row]


def _with_points(rows: Rows, comma: str) -> Rows:
    """Replace decimal commas by points, and remove the marks between thousands: 1,5 and 1.234,5 and 1,234.5.

    Where commas separate cells, a number such as 1,234 means 1.234 unless all numbers with a comma look like thousands.
    """
    cells = [cell for _, row in rows for cell in row if "," in cell]
    dots, commas = (any(mark.fullmatch(cell) for cell in cells) for mark in (_DOTS_AND_COMMA, _COMMAS_AND_DOT))
    numbers = [cell for cell in cells if _DECIMAL.match(cell) or _COMMAS.fullmatch(cell)]
    commas = commas or (comma == "," and bool(numbers) and all(_FEW_THOUSANDS.fullmatch(cell) for cell in numbers))
    if not numbers and not dots:
        return rows

    def with_point(cell: str) -> str:
        if commas and _COMMAS.fullmatch(cell):
            return cell.replace(",", "")
        if dots and _DOTS.fullmatch(cell):
            cell = cell.replace(".", "")
        return _DECIMAL.sub(r"\1.\2", cell)

    return [(where, list(map(with_point, row))) for where, row in rows]


def _header(cells: Rows, path: Path) -> tuple[list[str], Rows, bool]:
    """Split a table into column names (none without a header) and rows, and return whether it is DeepLabCut's."""
    first = cells[0][1]
    if first[0].lower() == "scorer" and len(cells) > 2:
        parts = cells[1][1]
        index = next((number for number, part in enumerate(parts[1:], 1) if part), 1)  # the columns before it name the image
        cells = [(where, ["/".join(filter(None, row[:index])), *row[index:]]) for where, row in cells]
        kinds = [row[0].lower() for _, row in cells[1:4]]
        if kinds[:2] == ["bodyparts", "coords"]:
            parts, axes = cells[1][1], cells[2][1]
            names = [f"{part}_{axis}" for part, axis in zip(parts[1:], axes[1:], strict=False)]
            return ["image" if index > 1 else "frame", *names], cells[3:], True
        if kinds == ["individuals", "bodyparts", "coords"]:
            return *_individuals(cells, path), True
        raise DataError(f"{path}: found DeepLabCut's header with {listed(kinds)}, expected bodyparts, coords")
    if all(is_number(cell) or not cell for cell in first) and any(first):
        numbers = [str(number) for number in range(len(first))]  # pandas numbers columns without names
        numbered = len(first) > 2 * MIN_NAMES and first in (numbers, ["", *numbers[:-1]])
        return [], cells[1:] if numbered and len(cells) > 1 else cells, False
    names, body = first, cells[1:]
    if len(cells) > 3 and len(names) > _FEW_ROWS and {cell.lower() for cell in cells[2][1][1:]} <= _AXES.keys():
        body = [cells[0], *((where, _filled(row)) for where, row in cells[:2]), *cells[2:]]
        return *_individuals([*body[:4], *body[5 if not any(body[4][1][1:]) else 4 :]], path), False
    if body and len(names) == len(body[0][1]) > _FEW_ROWS and {cell.lower() for cell in body[0][1][1:]} <= _AXES.keys():
        return _two_lines(names, body)
    if body and len(names) == len(body[0][1]) - 1:
        if _ends_empty(names, body):
            body = [(where, row[:-1] if not row[-1] else row) for where, row in body]
        else:  # the header does not name the index column
            names = ["", *names]
    names = [name or f"column_{index}" for index, name in enumerate(names)]
    if names[0] == "column_0" and not any(letters(name) in (*FRAME, *IMAGE, *ROW) for name in names):
        names[0] = "frame"
    if body and sum(map(bool, body[0][1])) > 1 and not any(map(_is_value, body[0][1])):
        body = body[1:]  # a line of units
    return names, body, False


def _is_value(cell: str) -> bool:
    """Return whether a cell has a number, numbers in brackets, or a word for a missing one."""
    return is_number(cell) or (cell[:1] in ("(", "[", "{") and bool(re.search("[0-9]", cell))) or cell.lower() in _MISSING[1:]


def _two_lines(parts: list[str], body: Rows) -> tuple[list[str], Rows, bool]:
    """Join the joints of a header's first line, which need not be repeated, with the axes of the second."""
    axes = body[0][1]
    names, joint = [], ""
    for part, axis in zip(parts, axes, strict=True):
        joint = part or joint
        names.append(f"{joint}_{axis}")
    if axes[0].lower() not in _AXES:
        names[0] = "frame"
    skipped = 2 if len(body) > 1 and not any(body[1][1][1:]) else 1  # the name of the index
    return names, body[skipped:], False


def _filled(row: list[str]) -> list[str]:
    """Repeat each name of a header's line in the empty cells after it."""
    filled = row[:1]
    for cell in row[1:]:
        filled.append(cell or filled[-1])
    return filled


def _ends_empty(names: list[str], body: Rows) -> bool:
    """Return whether rows with one more cell than the header end with a comma, rather than begin with a line number."""
    if any(row[-1:] != [""] for _, row in body):
        return False
    firsts = [row[0] for _, row in body]
    counts = firsts in ([str(number) for number in range(start, start + len(firsts))] for start in (0, 1))
    return not counts or letters(names[0]) in (*FRAME, *IMAGE, *ROW)


def _individuals(cells: Rows, path: Path) -> tuple[list[str], Rows]:
    """Convert DeepLabCut's table of several individuals to one with a line for each individual in each frame."""
    (_, animals), (_, parts), (_, axes) = cells[1:4]
    if not len(animals) == len(parts) == len(axes):
        raise DataError(
            f"{path}: found header lines of {len(animals)}, {len(parts)} and {len(axes)} columns, expected equal numbers"
        )
    columns: dict[str, dict[str, int]] = {}
    for column in range(1, len(animals)):
        columns.setdefault(animals[column], {})[f"{parts[column]}_{axes[column]}"] = column
    names = list(dict.fromkeys(name for own in columns.values() for name in own))
    if len(names) * len(columns) > 4 * len(animals):
        raise DataError(f"{path}: found individuals with different body parts, expected the same for all")
    body = []
    for where, row in cells[4:]:
        if len(row) != len(animals):
            raise DataError(f"{where}: found {len(row)} columns, expected {len(animals)} as in line 2")
        for animal, own in columns.items():
            body.append((where, [row[0], animal, *(row[own[name]] if name in own else "" for name in names)]))
    return ["frame", "individual", *names], body


def unnamed(body: Rows, path: Path) -> list[str]:
    """Name the columns of a table without a header: an optional frame number, then x, y or x, y, confidence of each joint."""
    width = len(body[0][1])
    if width < 3:
        raise DataError(f"{body[0][0]}: found {shown(','.join(body[0][1]))}, expected frame, x, y, ...")
    values = np.array([[_number(cell, where) for cell in row] for where, row in body if len(row) == width])
    first = values[:, 0]
    with np.errstate(invalid="ignore"):  # for numbers that are too large
        counted = (np.diff(first) == 1).all() if len(first) > 1 else False
    whole = ((first >= 0) & (first == np.floor(first))).all()
    before = _frame_and_person(values)
    starts = [1] * bool(counted or whole) + [2] * bool(before) + [0] * (not counted)
    options = [(axes, start, True) for axes in ("xyc", "xyzc", "xy", "xyz") for start in starts]
    for axes, start, known in [*options, ("xyc", 1, False), ("xy", 1, False)]:
        count, left = divmod(width - start, len(axes))
        most = 100 if (width - start) % 2 else 1  # an odd number of columns cannot be pairs
        sure = values[:, start + len(axes) - 1 :: len(axes)]
        if left or (known and count not in NUMBERS) or (axes[-1] == "c" and ((sure < 0) | (sure > most)).any()):
            continue
        firsts = list(before) if before and start == 2 else ["frame"] * start
        return firsts + [f"joint{index // len(axes)}_{axes[index % len(axes)]}" for index in range(width - start)]
    found = f"{path}: found {width - 1} columns of keypoints"
    raise DataError(f"{found}, expected x, y or x, y, confidence of each joint; {nearest((), TABLES)}")


def _frame_and_person(values: np.ndarray) -> tuple[str, str] | None:
    """Return which of the first two columns [N, 2 or more] are frame numbers and few ids of people; None if they are not."""
    whole = np.isfinite(values[:, :2]) & (values[:, :2] >= 0) & (values[:, :2] == np.floor(values[:, :2]))
    for frame, person in ((0, 1), (1, 0)):
        ids = values[:, person]
        if whole.all() and ids.max() < _MOST_IDS and len(set(ids.tolist())) <= len(ids) / 2:
            steps = np.concatenate([np.diff(values[ids == one, frame]) for one in set(ids.tolist())])
            if (steps > 0).all() and np.median(steps) == 1:
                return ("frame", "person") if frame == 0 else ("person", "frame")
    return None


def people_of(names: list[str], rows: Rows, path: Path) -> Iterator[Detection]:
    """Yield the detected people of a table, given the names of its columns, if it has any, and its lines."""
    names = names or unnamed(rows, path)
    names, rows = people_apart(_with_numbers(_with_usual_axes(names)), _of_bodies(names, rows))
    names, rows = _cells_apart(*with_seconds(names, rows, path))
    at = Columns.of(names, rows)
    numbers_lines = at.track is not None and len(rows) > _FEW_ROWS and len({at.person(row) for _, row in rows}) == len(rows)
    axes = [axis if axis and not part else None for part, axis in map(split, names)]
    joints = {part for part, axis in map(split, names) if part and axis == "x"}
    if "x" in axes and "y" in axes and len(joints) < MIN_NAMES:
        own = at._replace(track=None) if numbers_lines else at
        if (joint := own.joint(rows)) is not None:
            own = own._replace(track=None) if joint == own.track else own
            yield from _long(axes, rows, numbered(own, rows, path, joint), joint)
            return
    if numbers_lines:
        at = at._replace(frame=at.track if at.frame is None else at.frame, track=None)
    yield from _wide(rows, at, path)


def _with_usual_axes(names: list[str]) -> list[str]:
    """Rename the axes u and v, px and py, col and row to x and y, in a table without other axes."""
    if any(axis == "x" for _, axis in map(split, names)):
        return names
    for pair in OTHER_AXES:
        found = [re.compile(rf"(?<![a-z]){word}(?![a-z])", re.IGNORECASE) for word in pair]
        x, y = ([index for index, name in enumerate(names) if word.search(name)] for word in found)
        if x and len(x) == len(y):
            x_or_y = dict.fromkeys(x, (found[0], "x")) | dict.fromkeys(y, (found[1], "y"))
            return [x_or_y[i][0].sub(x_or_y[i][1], name, count=1) if i in x_or_y else name for i, name in enumerate(names)]
    return names


def _with_numbers(names: list[str]) -> list[str]:
    """Number axes that repeat without names of joints, such as x, y, x, y, or x, y, x.1, y.1 as pandas writes them."""
    bare = [re.sub("[._][0-9]{1,4}$", "", name) for name in names]
    start = next((column for column, name in enumerate(bare) if name.lower() == "x"), len(bare))
    axes = bare[start:]
    size = next((count for count in range(1, len(axes)) if axes[count] == axes[0]), 0)
    if (
        not 2 <= size <= 4
        or {name.lower() for name in axes} - _AXES.keys()
        or "y" not in (name.lower() for name in axes[:size])
    ):
        return names
    if len(axes) % size or len(axes) // size < MIN_NAMES or axes != axes[:size] * (len(axes) // size):
        return names
    if names[start] != axes[0]:  # the first joint has a number
        return names
    return [*names[:start], *(f"joint{index // size}_{name}" for index, name in enumerate(axes))]


def _of_bodies(names: list[str], rows: Rows) -> Rows:
    """Return the lines of the body, in a table with one line per joint that also has lines of hands and faces.

    All lines are kept if those of the body are not as many joints as a layout's: a face may be the nose, eyes and ears.
    """
    for column, name in enumerate(names):
        kinds = {row[column] for _, row in rows} if letters(name) in PARTS_COLUMNS else set()
        words = {letters(kind).removesuffix("landmarks") for kind in kinds}
        if len(kinds) > 1 and words <= {*BODY_PARTS, *OTHER_PARTS} and words & {*BODY_PARTS}:
            body = [(where, row) for where, row in rows if letters(row[column]).removesuffix("landmarks") in BODY_PARTS]
            joint = Columns.of(names, rows).joint(rows)
            return body if joint is None or len({row[joint] for _, row in body}) in NUMBERS else rows
    return rows


def _cells_apart(names: list[str], rows: Rows) -> tuple[list[str], Rows]:
    """Split columns of cells such as (x, y) or [x, y, confidence] into a column for each number."""
    sizes = [0] * len(names)
    for column in range(len(names)):
        given = [row[column] for _, row in rows if row[column].lower() not in _MISSING]
        if not given or not _IN_BRACKETS.fullmatch(given[0]):
            continue
        found = [_IN_BRACKETS.fullmatch(cell) for cell in given]
        counts = {len(_NUMBERS.split(one[1].strip())) for one in found if one}
        if all(found) and len(counts) == 1 and counts <= {2, 3}:
            (sizes[column],) = counts
    if sum(map(bool, sizes)) < MIN_NAMES:
        return names, rows
    apart = []
    for where, row in rows:
        cells: list[str] = []
        for cell, size in zip(row, sizes, strict=True):
            one = _IN_BRACKETS.fullmatch(cell)
            cells += [cell] if not size else _NUMBERS.split(one[1].strip()) if one else [""] * size
        apart.append((where, cells))
    parts = [[f"{name}_{axis}" for axis in "xyc"[:size]] if size else [name] for name, size in zip(names, sizes, strict=True)]
    return [name for own in parts for name in own], apart


def _wide(rows: Rows, at: Columns, path: Path) -> Iterator[Detection]:
    """Yield the detected people of a table with one line per person and frame."""
    columns: dict[str, list[int]] = {}  # {joint: columns of x, y, confidence, z}, -1 for a missing one
    for column, name in enumerate(at.names):
        part, axis = split(name)
        if column not in (at.frame, at.track, at.video, at.time) and axis is not None and part:
            place = columns.setdefault(part, [-1, -1, -1, -1])
            before = split(at.names[place[2]])[1] if axis in CONFIDENCES and place[2] >= 0 else None
            if axis not in CONFIDENCES or (_holds(rows, column) and not _is_preferred(before, axis)):
                place[_AXES[axis]] = column
    columns = {part: place for part, place in columns.items() if place[0] >= 0 and place[1] >= 0}
    if not columns:
        raise DataError(
            f"{path}: found the columns {shown(','.join(at.names))}, expected x and y of each joint, as nose_x, nose_y; "
            f"{nearest(map(letters, at.names), TABLES)}"
        )
    at = numbered(at, rows, path)
    counts: collections.Counter[tuple[str, str | None]] = collections.Counter()
    sure = any(place[2] >= 0 for place in columns.values())
    depths = [place[3] for place in columns.values() if place[3] >= 0 and not sure]
    for where, row in rows:
        person, clip = at.person(row), at.clip(row)
        picture = at.picture(row, counts[clip, person], where)
        counts[clip, person] += 1
        values = np.array([[1.0 if c < 0 else _number(row[c], where) for c in place[:3]] for place in columns.values()])
        has_depth = is_depth(np.array([_number(row[c], where) for c in depths]))
        yield Detection(picture, person, values, tuple(columns), has_depth, clip, clock=at.clock(row))


def _holds(rows: Rows, column: int) -> bool:
    """Return whether any line has a value in a column."""
    return any(row[column].lower() not in _MISSING for _, row in rows)


def _is_preferred(before: str | None, axis: str) -> bool:
    """Return whether the confidence column `before` has a name that is preferred to `axis`, or the same."""
    return before in CONFIDENCES and CONFIDENCES.index(before) <= CONFIDENCES.index(axis)


def _long(axes: list[str | None], rows: Rows, at: Columns, joint: int) -> Iterator[Detection]:
    """Yield the detected people of a table with one line per joint."""
    x, y = axes.index("x"), axes.index("y")
    sure = next((axes.index(name) for name in CONFIDENCES if name in axes and _holds(rows, axes.index(name))), None)
    depth = axes.index("z") if "z" in axes and sure is None else None
    people: dict[tuple[str, int | str, str | None], dict[str, list[float]]] = {}
    clocks: dict[tuple[str, int | str], tuple[float, float] | None] = {}
    for where, row in rows:
        picture = at.picture(row, 0, where)
        person = people.setdefault((at.clip(row), picture, at.person(row)), {})
        clocks[at.clip(row), picture] = at.clock(row)
        if row[joint] in person:
            raise DataError(f"{where}: found {shown(row[joint])} twice in frame {picture}, expected each joint once")
        person[row[joint]] = [1.0 if column is None else _number(row[column], where) for column in (x, y, sure, depth)]
    joints = list(dict.fromkeys(name for person in people.values() for name in person))
    missing = [np.nan, np.nan, 0.0, np.nan]
    for (clip, picture, name), person in people.items():
        values = np.array([person.get(one, missing) for one in joints])
        yield Detection(picture, name, values[:, :3], tuple(joints), is_depth(values[:, 3]), clip, clock=clocks[clip, picture])


def split(name: str) -> tuple[str, str | None]:
    """Split a column name into joint and axis: `nose_x`, `nose.X`, `x_nose`, `kp_x_0`, `x0`, `noseX`."""
    words = [word for word in re.split(r"[\s_.:/()\[\]\-'\",]+", name) if word]
    while len(words) > 1 and words[-1].lower() in UNITS:
        words.pop()
    places = (-1, 0, -2) if len(words) > 2 and words[-1].isdecimal() else (-1, 0)
    for place in places:
        if words and words[place].lower() in _AXES:
            axis = words.pop(place)
            return "_".join([word for word in words if word.lower() not in NOISE] or words), axis.lower()
    match = re.fullmatch(rf"({'|'.join(_AXES)})([0-9]+)|(.*[a-z])([XYZC])", name, re.IGNORECASE)
    if match and match[1]:
        return match[2], match[1].lower()
    if match and match[4].isupper():
        return match[3], match[4].lower()
    return name, None


def _number(cell: str, where: str) -> float:
    """Convert a cell to a number; NaN for an empty cell."""
    if cell.lower() in _MISSING:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise DataError(f"{where}: found {shown(cell)}, expected a number") from None
