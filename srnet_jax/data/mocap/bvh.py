"""Read `.bvh` motion capture files (Biovision hierarchies), which hold a skeleton and its motion as text.

A file lists the joints as a tree, each with its offset from its parent and the channels that move it, and then has one line of
numbers for each frame. A position channel replaces one coordinate of the offset. Rotation channels, in degrees, are applied one
after the other about the joint's own axes, in the file's order.

`Motion` and the functions at the end are shared with the readers of other formats.

Source: M. Meredith and S. Maddock, "Motion Capture File Formats Explained" (Univ. of Sheffield, CS-01-11), except for position
channels. It adds them to the offset, which would count each bone twice in files that have them on every joint.
"""

import collections
import dataclasses
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import numbered_lines, numbers, shown

_AXES = ("x", "y", "z")
_CHUNK = 4096  # frames whose rotations are held in memory at a time
_MAX_JOINTS, _JOINT_BYTES = 500, 96  # bytes of a position and a rotation of a joint in a frame
_RATIO = 32  # maximum ratio of memory to the size of the files
FARTHEST = 1e12  # largest coordinate, in the file's unit


@dataclasses.dataclass(frozen=True)
class Motion:
    """A motion as read from a file, in the file's own unit and axes.

    Attributes:
      joints: names of the joints, without repetition.
      parents: index of each joint's parent, which precedes it; -1 for the root and for markers.
      fps: frames per second in the file, even if implausible (`recordings.frame_rate` corrects it); 0 if the file has none.
      positions: [T, J, 3] float64 joint positions, world frame; NaN where a marker was not seen.
      notes: what was odd in the file and how it was read.
      unit_m: length of the file's unit in metres; None if the file does not declare it.
    """

    joints: tuple[str, ...]
    parents: tuple[int, ...]
    fps: float
    positions: np.ndarray
    notes: tuple[str, ...] = ()
    unit_m: float | None = None


@dataclasses.dataclass
class _Joint:
    name: str
    parent: int
    offset: list[float] | None = None
    channels: tuple[str, ...] | None = None  # such as xposition, zrotation
    is_end_site: bool = False


def read(path: str | Path) -> Motion:
    """Read a `.bvh` file.

    An End Site becomes a joint named `<parent>_end`. Joints of equal names are numbered, so that none is used by mistake. All
    complete frames are read, even if the file declares another number.

    Raises:
      DataError: if the file is missing, damaged, or holds more than one root.
    """
    lines = numbered_lines(path)
    joints = _read_hierarchy(lines, path)
    count, fps = _read_header(lines, path)
    rows, width = [(where, with_points(line)) for where, line in lines], sum(len(joint.channels or ()) for joint in joints)
    values = _read_frames(rows, width, path)  # [T, channels]
    check_size(len(values), len(joints), path)
    with np.errstate(over="ignore", invalid="ignore"):
        positions = np.concatenate([_positions(joints, values[i : i + _CHUNK]) for i in range(0, len(values), _CHUNK)])
    cut = " and one that is cut short" if len(values) < len(rows) else ""
    note = f"found {len(values)} complete frames{cut}, expected the {count} that it declares"
    notes = (note,) if cut or len(values) != count else ()
    names = told_apart(joint.name for joint in joints)
    return checked_motion(Motion(names, tuple(joint.parent for joint in joints), fps, positions, notes), path)


def _read_hierarchy(lines: Iterator[tuple[str, str]], path: str | Path) -> list[_Joint]:
    """Read the joints, up to the line MOTION."""
    joints: list[_Joint] = []
    opened: list[int] = []  # joints whose braces are open
    awaits_brace = False
    for where, text in _split_at_braces(lines):
        key, *words = re.sub(r"^END_?SITE", "End Site", text, flags=re.IGNORECASE).split()
        joint = joints[opened[-1]] if opened else None
        match key.upper():
            case "ROOT" if joints:
                raise DataError(f"{where}: found another ROOT, expected one in a file")
            case "ROOT" | "JOINT" | "END" if not awaits_brace and (key.upper() == "ROOT") != bool(opened):
                is_end_site = key.upper() == "END"
                name = f"{joint.name}_end" if joint and is_end_site else " ".join(words)
                if not name:
                    raise DataError(f"{where}: found {shown(text)}, expected a name")
                if joint and joint.is_end_site:
                    raise DataError(f"{where}: found {shown(text)} in an End Site, expected only an OFFSET")
                joints.append(_Joint(name, opened[-1] if opened else -1, is_end_site=is_end_site))
                awaits_brace = True
            case "{" if awaits_brace:
                opened.append(len(joints) - 1)
                awaits_brace = False
            case "}" if joint and not awaits_brace:
                if joint.offset is None:
                    raise DataError(f"{where}: joint {shown(joint.name)} ends here without an OFFSET")
                opened.pop()
            case "OFFSET" if joint and joint.offset is None and not awaits_brace:
                joint.offset = numbers(with_points(text).split()[1:], 3, where)
            case "CHANNELS" if joint and joint.channels is None and not joint.is_end_site and not awaits_brace:
                joint.channels = _read_channels(words, where)
            case "MOTION" if joints and not opened and not awaits_brace:
                return joints
            case _:
                raise DataError(f"{where}: found {shown(text)}, which is not allowed here in a BVH hierarchy")
    raise DataError(f"{path}: found the end of the file within the hierarchy, expected MOTION and frames")


def _split_at_braces(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    where, first = next(lines)
    if first.strip().upper() != "HIERARCHY":
        raise DataError(f"{where}: found {shown(first)}, expected HIERARCHY, with which a BVH file begins")
    for where, line in lines:
        for part in re.findall(r"[{}]|[^{}]+", line):
            if part.strip():
                yield where, part.strip()


def told_apart(names: Iterable[str]) -> tuple[str, ...]:
    """Return names in which the repeated ones are numbered, as `Toe (1)` and `Toe (2)`: none is mistaken for another."""
    names = list(names)
    times, seen = collections.Counter(names), collections.Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} ({seen[name]})" if times[name] > 1 else name)
    return tuple(found)


def with_points(line: str) -> str:
    """Return a line of numbers with decimal points; some programs write decimal commas where the system's language has them."""
    return line if "." in line else line.replace(",", ".")


def _read_channels(words: list[str], where: str) -> tuple[str, ...]:
    channels = tuple(word.lower() for word in words[1:])
    known = {axis + kind for axis in _AXES for kind in ("position", "rotation")}
    if not words or words[0] != str(len(channels)) or not known.issuperset(channels) or len(set(channels)) != len(channels):
        raise DataError(
            f"{where}: found CHANNELS {shown(' '.join(words))}, expected their number and as many of Xposition ... Zrotation"
        )
    return channels


def _read_header(lines: Iterator[tuple[str, str]], path: str | Path) -> tuple[int, float]:
    """Read the number of frames and the frames per second; 0 for a frame time of 0."""
    found = []
    for label, expected in (("Frames:", "a whole number"), ("Frame Time:", "a number of seconds")):
        where, line = next(lines, ("", ""))
        if not where:
            raise DataError(f"{path}: found the end of the file, expected {label}")
        form = label.replace(" ", r"\s+").replace(":", r"\s*:?")
        match = re.fullmatch(form + r"\s*(\S+)", (line if label == "Frames:" else with_points(line)).strip(), re.IGNORECASE)
        if not match:
            raise DataError(f"{where}: found {shown(line)}, expected {label} and a number")
        (value,) = numbers([match[1]], 1, where)
        if value < 0 or (label == "Frames:" and value != int(value)):
            raise DataError(f"{where}: found {shown(line)}, expected {expected}")
        found.append(value)
    count, time = found
    return int(count), 1 / time if time > 1e-9 else 0.0


def _read_frames(rows: list[tuple[str, str]], width: int, path: str | Path) -> np.ndarray:
    """Return the channels [T, width] of all rows, without a truncated last row."""
    if len(rows) > 1 and is_cut(rows[-1][1].split(), width):
        rows = rows[:-1]
    if not rows or not width:
        raise DataError(f"{path}: found {len(rows)} frames and {width} channels, expected one or more of both")
    try:
        values = np.loadtxt([line for _, line in rows], dtype=np.float64, ndmin=2, comments=None)
    except ValueError:
        values = np.empty((0, 0))
    if values.shape != (len(rows), width) or not np.isfinite(values).all():  # parse line by line, to report the first bad one
        values = np.array([numbers(line.split(), width, where) for where, line in rows])
    return values


def is_cut(words: list[str], width: int) -> bool:
    """Return whether a file's last line is truncated: it has fewer words than `width`, or ends within a number."""
    return len(words) < width or (len(words) == width > 0 and words[-1][-1] in "+-eE")


def _positions(joints: list[_Joint], values: np.ndarray) -> np.ndarray:
    """Compute world positions [T, J, 3] from channel values [T, channels]."""
    positions = np.empty((len(values), len(joints), 3))
    rotations: list[np.ndarray] = []
    columns = iter(values.T)
    for index, joint in enumerate(joints):
        translation = np.tile(np.array(joint.offset), (len(values), 1))
        rotation = rotations[joint.parent].copy() if index else np.tile(np.eye(3), (len(values), 1, 1))
        for channel, value in zip(joint.channels or (), columns, strict=False):
            if channel.endswith("position"):
                translation[:, _AXES.index(channel[0])] = value
            else:
                turn(rotation, channel[0], np.radians(value))
        if index:
            translation = positions[:, joint.parent] + np.einsum("tij,tj->ti", rotations[joint.parent], translation)
        positions[:, index] = translation
        rotations.append(rotation)
    return positions


def turn(rotations: np.ndarray, axis: str, angles: np.ndarray | float) -> None:
    """Multiply rotation matrices in place, from the right, by rotations about a coordinate axis.

    Args:
      rotations: [..., 3, 3].
      axis: `x`, `y` or `z`.
      angles: [...] radians.
    """
    i = _AXES.index(axis)
    j, k = (i + 1) % 3, (i + 2) % 3
    cos, sin = np.cos(angles)[..., None], np.sin(angles)[..., None]
    column_j, column_k = rotations[..., j].copy(), rotations[..., k].copy()
    rotations[..., j] = column_j * cos + column_k * sin
    rotations[..., k] = column_k * cos - column_j * sin


def check_size(frames: int, joints: int, *paths: str | Path) -> None:
    """Check that a motion's memory is in proportion to the size of its files.

    Args:
      frames: number of frames.
      joints: number of joints.
      paths: the files; the last is named in messages.

    Raises:
      DataError: if there are more than 500 joints, or far more positions than the files can hold numbers.
    """
    with naming(paths[-1]):
        if joints > _MAX_JOINTS:
            raise DataError(f"found {joints} joints, expected at most {_MAX_JOINTS}")
        Budget(_RATIO * sum(Path(path).stat().st_size for path in paths)).charge(frames * joints * _JOINT_BYTES)


def checked_motion(motion: Motion, path: str | Path) -> Motion:
    """Return the motion if its positions are small enough.

    Raises:
      DataError: if a position overflowed, or would overflow in a later conversion.
    """
    if not np.abs(motion.positions).max() <= FARTHEST:
        raise DataError(f"{path}: found numbers that are too large for joint positions, expected at most {FARTHEST:g}")
    return motion
