"""Read markers from `.trc` files, the text format of Motion Analysis that OpenSim and Pose2Sim write.

The header has five lines: kind, names of the values, values (rate, counts, unit), names of the markers, axes. Each frame has
one line: its number, its time, and three coordinates of each marker. Columns are separated by tabs. An empty column, `nan` or
three zeros mean that the marker was not seen. So do frames of up to 0.2 s whose lines are missing.

Source: OpenSim's documentation, "Marker (.trc) Files".
"""

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srnet_jax.data.mocap.bvh import FARTHEST, Motion, check_size, with_points
from srnet_jax.data.mocap.gaps import LONGEST_S
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
_POSSIBLE_FPS = (5.0, 1000.0)
_SHORTEST_S, _FEWEST_TIMES = 0.5, 10  # of a file whose times can show a rate
_MOST_FRAMES = 1e9  # and seconds
_SAME_RATE = 0.05  # relative difference of rates that are equal: times are often rounded
_ROUNDED = 0.01  # relative difference from a whole rate


def read(path: str | Path) -> Motion:
    """Read a `.trc` file.

    Returns:
      The markers as joints without parents, NaN where a marker was not seen, and the file's unit. The frame rate is that of the
      times if DataRate differs from it.

    Raises:
      DataError: if the file is missing or damaged.
    """
    lines = numbered_lines(path)
    head = [next(lines, (f"{path}: end of the file", "")) for _ in range(5)]  # `lines` has no blank lines
    if not head[0][1].startswith("PathFileType"):
        raise DataError(f"{head[0][0]}: found {shown(head[0][1])}, expected PathFileType, the beginning of a TRC file")
    fields = dict(zip(map(str.lower, _words(head[1][1])), _words(with_points(head[2][1])), strict=False))
    fps, count = (_number(fields, name, head[2][0]) for name in ("DataRate", "NumMarkers"))
    if not 0.1 <= fps <= 1e4:
        raise DataError(f"{head[2][0]}: found a DataRate of {fps:g}, expected 0.1 to 10,000 frames a second")
    names = _names(*head[3])
    if count != len(names):
        raise DataError(f"{head[3][0]}: found {len(names)} markers, expected the {count:g} that NumMarkers declares")
    unit = fields.get("units", "").lower()
    if unit not in UNITS:
        raise DataError(f"{head[2][0]}: found the unit {shown(unit)}, expected {EXPECTED_UNIT}")
    has_axes = not head[4][1].strip()[:1].isdecimal()  # some programs leave out the line of axes
    rows = _rows(lines if has_axes else itertools.chain(head[4:], lines), len(names), path)  # [T, 2 + 3 J]
    check_size(len(rows), len(names), path)
    frames, fps, notes = _timed(rows[:, 0], rows[:, 1], fps)
    if len(rows) < (declared := _declared(fields)):
        notes.append(f"found {len(rows):,} frames, expected the {declared:,.0f} that NumFrames declares")
    rows, missing = _with_missing(rows, frames, fps, path)
    positions = mask_unseen(rows[:, 2:].reshape(len(rows), len(names), 3))  # [T, J, 3]
    return Motion(names, (-1,) * len(names), fps, positions, (*notes, *missing), unit_m=UNITS[unit])


def _words(line: str) -> list[str]:
    """Return the columns of a line of the header, of which some may be empty."""
    return [word.strip() for word in line.rstrip("\r\n").split("\t")] if "\t" in line else line.split()


def _number(fields: dict[str, str], name: str, where: str) -> float:
    if name.lower() not in fields:
        raise DataError(f"{where}: found no {name}, expected it in the head of a TRC file")
    return numbers([fields[name.lower()]], 1, f"{where}: {name}")[0]


def _declared(fields: dict[str, str]) -> float:
    """Return the number of frames that a file declares; 0 if it does not."""
    text = fields.get("numframes", "")
    return float(text) if text.isdecimal() and len(text) < 10 else 0.0


def _names(where: str, line: str) -> tuple[str, ...]:
    words = _words(line)
    if not all(word.lower().startswith(start) for word, start in zip(words[:2], ("frame", "time"), strict=False)):
        raise DataError(f"{where}: found {shown(line)}, expected Frame#, Time and the markers' names")
    names = tuple(word for word in words[2:] if word)
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice or not names:
        raise DataError(f"{where}: found {shown(twice or 'no names')}, expected each marker's name once")
    return names


def _rows(lines: Iterator[tuple[str, str]], count: int, path: str | Path) -> np.ndarray:
    """Read the lines of frames as rows [T, 2 + 3 J]: number, time and positions, NaN where a column is empty.

    A file with commas but no point has decimal commas.
    """
    whole = list(lines)
    commas = not any("." in line for _, line in whole)
    rows = []
    for where, line in whole:
        text = (with_points(line) if commas else line).rstrip("\r\n")
        words = text.split("\t") if "\t" in text else text.split()
        while len(words) > 2 + 3 * count and not words[-1].strip():
            words.pop()  # from tabs at the end of the line
        words += [""] * (2 + 3 * count - len(words))  # some programs leave out empty columns at the end
        if len(words) != 2 + 3 * count:
            raise DataError(f"{where}: found {len(words) - 2} coordinates, expected 3 of each of {count} markers")
        rows.append([*map(_label, words[:2]), *(_coordinate(word, where) for word in words[2:])])
    if not rows:
        raise DataError(f"{path}: found no frames, expected at least one")
    return np.array(rows)


def _label(word: str) -> float:
    """Return the number or the time of a frame; NaN if the text is not a number."""
    try:
        return float(word)
    except ValueError:
        return math.nan


def _counted(labels: np.ndarray) -> np.ndarray:
    """Return numbers of frames [T] that increase by 1 from row to row, except where frames have no line.

    Args:
      labels: [T] numbers in the file, of which every n-th may be used; without increasing whole numbers, rows are counted.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        steps = np.diff(labels)
        numbered = (labels == labels.round()).all() and (np.abs(labels) < _MOST_FRAMES).all() and (steps > 0).all()
    if not numbered or not len(steps):
        return np.arange(len(labels))
    return np.concatenate([[0], np.cumsum(steps.astype(int) // np.gcd.reduce(steps.astype(int)))])


def _timed(labels: np.ndarray, times: np.ndarray, declared: float) -> tuple[np.ndarray, float, list[str]]:
    """Return the number of each frame [T], the frames per second, and notes.

    Times tell the rate only if they increase evenly with the rows, or with the frames' numbers; a late time stamp, or times
    that begin anew, tell nothing. If they increase evenly with the rows, no line is missing.

    Args:
      labels: [T] numbers in the file.
      times: [T] seconds.
      declared: the file's DataRate.
    """
    numbered = _counted(labels)
    known = len(times) >= _FEWEST_TIMES and (np.abs(times) < _MOST_FRAMES).all()  # False for NaN
    if not known or times[-1] - times[0] < _SHORTEST_S:
        return numbered, declared, []
    for frames in (np.arange(len(times)), numbered):
        rate = float(frames[-1] / (times[-1] - times[0]))
        if np.abs((times - times[0]) * rate - frames).max() < 0.5:
            break
    else:
        return numbered, declared, []
    if not _POSSIBLE_FPS[0] <= rate <= _POSSIBLE_FPS[1] or abs(rate / declared - 1) < _SAME_RATE:
        return frames, declared, []
    rate = round(rate) if abs(rate / round(rate) - 1) < _ROUNDED else rate
    return frames, float(rate), [f"found times of {rate:.4g} frames a second and a DataRate of {declared:g}, used the times"]


def _with_missing(rows: np.ndarray, frames: np.ndarray, fps: float, path: str | Path) -> tuple[np.ndarray, list[str]]:
    """Return rows [T', 2 + 3 J] with a row of NaN for each of `frames` [T] without a line, and notes.

    Only gaps that `gaps.filled` fills get rows. Over a longer one the frames before and after it are joined; the conversion
    cuts the motion there if joints jump.

    Raises:
      DataError: if there would be far more rows than the file has.
    """
    gaps = np.diff(frames) - 1
    if not gaps.any():
        return rows, []
    short = gaps <= LONGEST_S * fps
    added = np.where(short, gaps, 0)
    check_size(len(rows) + int(added.sum()), rows.shape[1] // 3, path)
    found = np.full((len(rows) + added.sum(), rows.shape[1]), math.nan)
    found[np.concatenate([[0], np.cumsum(1 + added)])] = rows
    notes = [f"found no line of {added.sum():,} frames, to be filled"] * bool(added.any())
    if not short.all():
        notes.append(f"found no line of {gaps[~short].sum():,} frames in gaps longer than {LONGEST_S:g} s, joined over them")
    return found, notes


def _coordinate(word: str, where: str) -> float:
    word = word.strip()
    return math.nan if word.lower() in ("", "nan") else numbers([word], 1, where)[0]


def mask_unseen(positions: np.ndarray) -> np.ndarray:
    """Set markers [T, J, 3] to NaN where all coordinates are zero, or one is NaN or larger than `bvh.FARTHEST`."""
    unseen = ~(np.abs(positions) <= FARTHEST).all(-1) | (positions == 0).all(-1)
    return np.where(unseen[..., None], np.nan, positions)
