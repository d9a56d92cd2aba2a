"""Read markers from `.trc` files, the text format of Motion Analysis that OpenSim and Pose2Sim write.

The header has five lines: kind, names of the values, values (rate, counts, unit), names of the markers, axes. Each frame has
one line: its number, its time, and three coordinates of each marker. Columns are separated by tabs. An empty column, `nan` or
three zeros mean that the marker was not seen.

Source: OpenSim's documentation, "Marker (.trc) Files".
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.data.mocap.bvh import FARTHEST, Motion, check_size
from srnet_jax.errors import DataError
from srnet_jax.io.text import numbered_lines, numbers, shown

_SPELLINGS = {  # of a unit's length in metres; without a unit, the person's height decides
    None: ("",),
    1.0: ("m", "meter", "meters", "metre", "metres"),
    0.01: ("cm", "centimeter", "centimeters", "centimetre", "centimetres"),
    0.001: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    0.0254: ("in", "inch", "inches"),
    0.3048: ("ft", "foot", "feet"),
}
UNITS = {spelling: unit_m for unit_m, spellings in _SPELLINGS.items() for spelling in spellings}
EXPECTED_UNIT = "one of m, cm, mm, in, ft"


def read(path: str | Path) -> Motion:
    """Read a `.trc` file.

    Returns:
      The markers as joints without parents, NaN where a marker was not seen, and the file's unit.

    Raises:
      DataError: if the file is missing or damaged.
    """
    lines = numbered_lines(path)
    head = [next(lines, (f"{path}: end of the file", "")) for _ in range(5)]  # `lines` has no blank lines
    if not head[0][1].startswith("PathFileType"):
        raise DataError(f"{head[0][0]}: found {shown(head[0][1])}, expected PathFileType, the beginning of a TRC file")
    fields = dict(zip(_words(head[1][1]), _words(head[2][1]), strict=False))
    fps, count = (_number(fields, name, head[2][0]) for name in ("DataRate", "NumMarkers"))
    if not 0.1 <= fps <= 1e4:
        raise DataError(f"{head[2][0]}: found a DataRate of {fps:g}, expected 0.1 to 10,000 frames a second")
    names = _names(*head[3])
    if count != len(names):
        raise DataError(f"{head[3][0]}: found {len(names)} markers, expected the {count:g} that NumMarkers declares")
    has_axes = not head[4][1].strip()[:1].isdecimal()  # some programs leave out the line of axes
    positions = _positions(lines if has_axes else itertools.chain(head[4:], lines), len(names), path)
    check_size(len(positions), len(names), path)
    unit = fields.get("Units", "").lower()
    if unit not in UNITS:
        raise DataError(f"{head[2][0]}: found the unit {shown(unit)}, expected {EXPECTED_UNIT}")
    return Motion(names, (-1,) * len(names), fps, positions, unit_m=UNITS[unit])


def _words(line: str) -> list[str]:
    """Return the columns of a line of the header, of which some may be empty."""
    return [word.strip() for word in line.rstrip("\r\n").split("\t")] if "\t" in line else line.split()


def _number(fields: dict[str, str], name: str, where: str) -> float:
    if name not in fields:
        raise DataError(f"{where}: found no {name}, expected it in the head of a TRC file")
    return numbers([fields[name]], 1, f"{where}: {name}")[0]


def _names(where: str, line: str) -> tuple[str, ...]:
    words = _words(line)
    if [word.lower() for word in words[:2]] != ["frame#", "time"]:
        raise DataError(f"{where}: found {shown(line)}, expected Frame#, Time and the markers' names")
    names = tuple(word for word in words[2:] if word)
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice or not names:
        raise DataError(f"{where}: found {shown(twice or 'no names')}, expected each marker's name once")
    return names


def _positions(lines: Iterator[tuple[str, str]], count: int, path: str | Path) -> np.ndarray:
    """Read the positions [T, J, 3] from the lines of frames."""
    rows = []
    for where, line in lines:
        words = line.rstrip("\r\n").split("\t") if "\t" in line else line.split()
        while len(words) > 2 + 3 * count and not words[-1].strip():
            words.pop()  # from tabs at the end of the line
        words += [""] * (2 + 3 * count - len(words))  # some programs leave out empty columns at the end
        if len(words) != 2 + 3 * count:
            raise DataError(f"{where}: found {len(words) - 2} coordinates, expected 3 of each of {count} markers")
        rows.append([_coordinate(word, where) for word in words[2:]])
    if not rows:
        raise DataError(f"{path}: found no frames, expected at least one")
    return mask_unseen(np.array(rows).reshape(len(rows), count, 3))  # [T, J, 3]


def _coordinate(word: str, where: str) -> float:
    word = word.strip()
    return math.nan if word.lower() in ("", "nan") else numbers([word], 1, where)[0]


def mask_unseen(positions: np.ndarray) -> np.ndarray:
    """Set markers [T, J, 3] to NaN where all coordinates are zero, or one is NaN or larger than `bvh.FARTHEST`."""
    unseen = ~(np.abs(positions) <= FARTHEST).all(-1) | (positions == 0).all(-1)
    return np.where(unseen[..., None], np.nan, positions)
