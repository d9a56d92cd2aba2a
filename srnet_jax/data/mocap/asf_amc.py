"""Read Acclaim motion capture: an `.asf` file with the bones, and an `.amc` file with their angles in each frame.

A bone has a direction, a length and axes C in the base pose, and turns about these axes by a rotation M, whose factors are
about fixed axes in the order listed ("rx ry rz" is Rz Ry Rx). Its end is at

    parent's end + parent's rotation * C M C^-1 * direction * length.

A joint of the `Motion` is the END of the bone of that name; `root` is where the first bones begin. Files have no frame rate,
and 120 Hz is assumed, unless the `.amc` file begins with a line such as `:SAMPLES-PER-SECOND 60`.

Source: Acclaim Skeleton File Definition V1.10; Vicon's "Acclaim Format - ASF line Details" for the order of rotations.

Note:
  The definition multiplies by the unit `length`. CMU, whose files have 0.45, documents a division, which is done here.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet_jax.data.mocap.bvh import Motion, check_size, checked_motion, is_cut, turn
from srnet_jax.errors import DataError
from srnet_jax.io.text import numbered_lines, numbers, shown

ROOT = "root"

_CHANNELS = ("tx", "ty", "tz", "rx", "ry", "rz")
_BONE = ("name", "direction", "length", "axis", "dof", "id", "limits", "bodymass", "cofmass")  # the last four are ignored
_ANGLES = dict.fromkeys(("deg", "degree", "degrees"), np.pi / 180) | dict.fromkeys(("rad", "radian", "radians"), 1.0)
_Lines = list[tuple[str, list[str]]]  # the place and the words of each line


@dataclasses.dataclass
class _Bone:
    """A bone; for the root, `channels` is its order, `vector` its position and `axes` its orientation."""

    channels: tuple[str, ...] = ()
    vector: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))  # direction * length
    axes: np.ndarray = dataclasses.field(default_factory=lambda: np.eye(3))  # C


@dataclasses.dataclass
class _Skeleton:
    bones: dict[str, _Bone]  # parents come first, so the root is the first
    parents: tuple[int, ...]
    length_unit: float
    to_radians: float  # factor for angles in the .asf file


@np.errstate(over="ignore", invalid="ignore")  # such values are rejected at the end
def read(asf_path: str | Path, amc_path: str | Path, fps: float = 120.0) -> Motion:
    """Read a motion and its skeleton. A truncated last frame is left out.

    Args:
      asf_path: the `.asf` file.
      amc_path: the `.amc` file.
      fps: frames per second, if the `.amc` file does not declare them.

    Returns:
      The positions of the bones' ends, divided by the skeleton's unit of length: inches for CMU and HDM05.

    Raises:
      DataError: if a file is missing or damaged, or the two do not belong together.
    """
    skeleton = _read_asf(asf_path)
    lines = list(numbered_lines(amc_path))
    angles, to_radians, notes = _read_amc(lines, skeleton, amc_path)
    check_size(len(angles[ROOT]), len(skeleton.bones), asf_path, amc_path)
    positions: list[np.ndarray] = []
    rotations: list[np.ndarray] = []
    for (name, bone), parent in zip(skeleton.bones.items(), skeleton.parents, strict=True):
        values = angles[name]  # [T, channels]
        rotation = np.tile(np.eye(3), (len(values), 1, 1)) if parent < 0 else rotations[parent]  # [T, 3, 3]
        rotation = rotation @ bone.axes
        translation = np.tile(bone.vector, (len(values), 1))  # [T, 3]
        for channel, value in reversed(list(zip(bone.channels, values.T, strict=True))):
            if channel.startswith("r"):
                turn(rotation, channel[1], value * to_radians)
            else:
                translation[:, "xyz".index(channel[1])] += value
        rotation = rotation @ bone.axes.T
        if parent >= 0:
            translation = positions[parent] + np.einsum("tij,tj->ti", rotation, translation)
        rotations.append(rotation)
        positions.append(translation)
    scaled = np.stack(positions, axis=1) / skeleton.length_unit  # [T, J, 3]
    fps = _declared_rate(lines) or fps
    return checked_motion(Motion(tuple(skeleton.bones), skeleton.parents, fps, scaled, notes), amc_path)


def _read_asf(path: str | Path) -> _Skeleton:
    sections = _sections(path)
    units = {words[0].lower(): (where, words[1:]) for where, words in sections.get("units", [])}
    where, words = units.get("length", ("", ["1"]))
    (length_unit,) = numbers(words, 1, where)
    if length_unit <= 0:
        raise DataError(f"{where}: found the unit of length {length_unit:g}, expected a positive number")
    where, words = units.get("angle", ("", ["deg"]))
    angle = " ".join(words)
    if angle.lower() not in _ANGLES:
        raise DataError(f"{where}: found the unit of angles {shown(angle)}, expected deg or rad")
    to_radians = _ANGLES[angle.lower()]
    for name in ("root", "bonedata", "hierarchy"):
        if not sections.get(name):
            raise DataError(f"{path}: found no section :{name}, expected :root, :bonedata and :hierarchy")
    bones = dict([_read_root(sections["root"], to_radians, path)])
    for where, lines in _blocks(sections["bonedata"]):
        name, bone = _read_bone(lines, to_radians, where)
        if name in bones:
            raise DataError(f"{where}: found bone {shown(name)} again, expected each bone once")
        bones[name] = bone
    order = _read_hierarchy([line for _, lines in _blocks(sections["hierarchy"]) for line in lines], bones, path)
    names = list(order)
    parents = tuple(names.index(parent) if parent else -1 for parent in order.values())
    return _Skeleton({name: bones[name] for name in names}, parents, length_unit, to_radians)


def _sections(path: str | Path) -> dict[str, _Lines]:
    """Return the lines of each section. A section starts with a line that begins with a colon; # starts a comment."""
    sections: dict[str, _Lines] = {}
    lines: _Lines | None = None
    for where, line in numbered_lines(path):
        words = line.partition("#")[0].split()
        if words and words[0].startswith(":"):
            lines = sections.setdefault(words[0][1:].lower(), [])
        elif words and lines is None:
            raise DataError(f"{where}: found {shown(line)}, expected a section such as :units (an ASF file)")
        elif words and lines is not None:
            lines.append((where, words))
    return sections


def _blocks(lines: _Lines) -> Iterator[tuple[str, _Lines]]:
    """Yield the place of each `begin` and the lines up to its `end`."""
    block: _Lines | None = None
    start = ""
    for where, words in lines:
        key = words[0].lower()
        if (key == "begin") != (block is None):
            raise DataError(f"{where}: found {shown(' '.join(words))}, expected begin and end in turn")
        if block is None:
            block, start = [], where
        elif key == "end":
            yield start, block
            block = None
        else:
            block.append((where, words))
    if block is not None:
        raise DataError(f"{start}: found no end of the block that begins here")


def _read_root(lines: _Lines, to_radians: float, path: str | Path) -> tuple[str, _Bone]:
    found = {words[0].lower(): (where, words[1:]) for where, words in lines}
    place = f"{path}: :root"
    where, order = found.get("order", (place, []))
    channels = _channels(order, _CHANNELS, where)
    if len(channels) != len(_CHANNELS):
        raise DataError(f"{where}: found the order {shown(' '.join(order))}, expected TX TY TZ RX RY RZ in any order")
    where, words = found.get("position", (place, ["0"] * 3))
    position = np.array(numbers(words, 3, where))
    where, words = found.get("orientation", (place, ["0"] * 3))
    sequence = found.get("axis", ("", ["XYZ"]))[1]
    return ROOT, _Bone(channels, position, _axes([*words, *sequence], to_radians, where))


def _read_bone(lines: _Lines, to_radians: float, begin: str) -> tuple[str, _Bone]:
    found = {words[0].lower(): (where, words[1:]) for where, words in lines}
    for key, (where, words) in found.items():
        if key not in _BONE and not key.startswith("("):
            raise DataError(f"{where}: found {shown(' '.join([key, *words]))}, expected one of {', '.join(_BONE)}")
    for key in ("name", "direction", "length"):
        if key not in found or not found[key][1]:
            raise DataError(f"{begin}: found a bone without {key}, expected a name, a direction and a length")
    direction = np.array(numbers(found["direction"][1], 3, found["direction"][0]))
    (length,) = numbers(found["length"][1], 1, found["length"][0])
    where, words = found.get("axis", ("", ["0", "0", "0", "XYZ"]))
    axes = _axes(words, to_radians, where)
    where, words = found.get("dof", ("", []))
    return " ".join(found["name"][1]), _Bone(_channels(words, _CHANNELS[3:], where), direction * length, axes)


def _axes(words: list[str], to_radians: float, where: str) -> np.ndarray:
    """Return the axes C [3, 3] from three angles and their sequence, such as 0 0 20 XYZ."""
    angles = numbers(words[:3], 3, where)
    sequence = "".join(words[3:]).lower()
    if sorted(sequence) != ["x", "y", "z"]:
        raise DataError(f"{where}: found the sequence of axes {shown(sequence)}, expected one such as XYZ")
    rotation = np.eye(3)
    for axis, angle in reversed(list(zip(sequence, angles, strict=True))):
        turn(rotation, axis, np.float64(angle * to_radians))
    return rotation


def _channels(words: list[str], known: Iterable[str], where: str) -> tuple[str, ...]:
    channels = tuple(word.lower() for word in words)
    if not set(known).issuperset(channels) or len(set(channels)) != len(channels):
        raise DataError(f"{where}: found the channels {shown(' '.join(words))}, expected some of {', '.join(known)}")
    return channels


def _read_hierarchy(lines: _Lines, bones: dict[str, _Bone], path: str | Path) -> dict[str, str]:
    """Return {name: parent's name} of all bones, parents first."""
    children: dict[str, list[str]] = {}
    seen = {ROOT}
    for where, (parent, *names) in lines:
        for name in (parent, *names):
            if name not in bones:
                raise DataError(f"{where}: found {shown(name)}, expected a bone of :bonedata")
        if seen.intersection(names) or len(set(names)) != len(names):
            raise DataError(f"{where}: found a second parent of a bone, expected one parent for each bone")
        seen.update(names)
        children.setdefault(parent, []).extend(names)
    order, waiting = {ROOT: ""}, [ROOT]
    for parent in waiting:  # the list grows during the loop
        order.update(dict.fromkeys(children.get(parent, []), parent))
        waiting += children.get(parent, [])
    lost = [name for name in bones if name not in order]
    if lost:
        raise DataError(f"{path}: found no path from the root to {shown(lost[0])}, expected every bone in :hierarchy")
    return order


def _declared_rate(lines: list[tuple[str, str]]) -> float:
    """Return the frames per second that the lines before the first frame of an `.amc` file declare; 0 if they do not."""
    for where, line in itertools.takewhile(lambda line: not line[1].split()[0].isdecimal(), lines):
        key, *words = line.split()
        if key.upper() == ":SAMPLES-PER-SECOND":
            (fps,) = numbers(words, 1, f"{where}: {key}")
            if not 0.1 <= fps <= 1e4:
                raise DataError(f"{where}: found {fps:g} samples per second, expected 0.1 to 10,000")
            return fps
    return 0.0


def _read_amc(
    lines: list[tuple[str, str]], skeleton: _Skeleton, path: str | Path
) -> tuple[dict[str, np.ndarray], float, tuple[str, ...]]:
    """Read the channels [T, n] of each bone, the factor from angles to radians, and notes on what was odd."""
    widths = {name: len(bone.channels) for name, bone in skeleton.bones.items()}
    moving = [name for name, width in widths.items() if width]
    to_radians = skeleton.to_radians
    values: dict[str, list[list[float]]] = {name: [] for name in moving}
    frames, first, given = 0, 0, len(moving)  # given: number of bones read so far in the current frame
    whole = _without_cut_frame(lines, {name: widths[name] for name in moving})
    for where, line in lines[:whole]:
        key, *words = line.split()
        if key in values and frames:
            values[key].append(numbers(words, widths[key], f"{where}: {key}"))
            given += 1
            if len(values[key]) != frames:
                raise DataError(f"{where}: found {shown(key)} again, expected each bone once in a frame")
        elif key.isdecimal() and len(key) < 12 and not words:
            _check_complete(values, frames, given, where)
            first = first if frames else int(key)
            if int(key) != first + frames:
                raise DataError(f"{where}: found frame {key}, expected frame {first + frames}")
            frames, given = frames + 1, 0
        elif key.upper() in (":DEGREES", ":RADIANS") and not frames:
            to_radians = np.pi / 180 if key.upper() == ":DEGREES" else 1.0
        elif not key.startswith("#") and (frames or not key.startswith(":")):
            raise DataError(f"{where}: found {shown(line)}, expected a frame's number or a bone of the .asf file")
    if not frames:
        raise DataError(f"{path}: found no frames, expected at least one (an AMC file)")
    _check_complete(values, frames, given, f"{path}: end of the file")
    channels = {name: np.array(values[name]) if name in values else np.empty((frames, 0)) for name in widths}
    notes = () if whole == len(lines) else (f"found a last frame that is cut short, left it out of {frames + 1}",)
    return channels, to_radians, notes


def _without_cut_frame(lines: list[tuple[str, str]], widths: dict[str, int]) -> int:
    """Return the number of lines before a truncated last frame; that of all lines if it is complete, or the only frame."""
    words = [line.split() for _, line in lines]
    starts = [index for index, found in enumerate(words) if len(found) == 1 and found[0].isdecimal()]
    if len(starts) < 2:
        return len(lines)
    last = [found for found in words[starts[-1] + 1 :] if not found[0].startswith("#")]
    complete = len(last) >= len(widths) and last[-1][0] in widths and not is_cut(last[-1][1:], widths[last[-1][0]])
    return len(lines) if complete else starts[-1]


def _check_complete(values: dict[str, list[list[float]]], frames: int, given: int, where: str) -> None:
    if given != len(values):
        missing = next(name for name, found in values.items() if len(found) < frames)
        raise DataError(
            f"{where}: found {given} bones in the frame before, expected {len(values)} ({shown(missing)} is missing)"
        )
