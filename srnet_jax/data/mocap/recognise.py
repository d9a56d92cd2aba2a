"""Which skeleton a motion has, by the names of its joints, and what its units and its vertical are.

Names of known skeletons are compared without upper and lower case, spaces and `_ . -`, see `gait_markers.folded`; those
of a mapping file as they are. Either may have a prefix in the file that is the same for all joints of the skeleton:
`mixamorig:`, `Character1_`, `Bip01 `.

Joints do not say units: the unit is the usual one in which the person is nearest to 1.7 m high, unless the file, the mapping
or the skeleton's producer has one in which the height is plausible. `verticals` finds the axis that points up.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from srnet_jax.data.mocap import gait_markers, gaps
from srnet_jax.data.mocap.builtin_skeletons import LAYOUTS
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.data.mocap.gait_markers import folded
from srnet_jax.data.mocap.skeleton_maps import HEIGHT_M, UNITS, Layout, height_to_neck, median, read_mapping
from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.io.text import shown
from srnet_jax.pose import layouts as keypoint_layouts
from srnet_jax.pose.skeleton import H36M_17, RATIOS

_USUAL_HEIGHT_M = 1.7
_ABOVE_NECK = 1 - sum(RATIOS[part] for part in ("thigh", "shank", "lower_trunk", "upper_trunk", "neck"))  # of the height
_SAMPLE = 300  # frames that tell a height
_LEAST_HEAD = 0.02  # of the way from ankle to the base of the skull; a shorter head is an end without a length
_APART = "apart"
_OWN = "map other joints in a file for --skeleton, of which --draft_skeleton=FILE.toml writes a draft"
_FACE = ("nose", "left_eye", "right_eye")  # in front of the head's middle: taken only where nothing else shows the head


def layouts(skeleton: str | Path | None) -> tuple[Layout, ...]:
    """Return the layouts that a skeleton's files may have.

    Args:
      skeleton: a name of LAYOUTS, a mapping file, see `skeleton_maps.read_mapping`, or None for any of LAYOUTS.

    Raises:
      DataError: if it is neither, or the mapping file is damaged.
    """
    if skeleton is None:
        return tuple({layout.name: layout for some in LAYOUTS.values() for layout in some}.values())
    if str(skeleton) in LAYOUTS:
        return LAYOUTS[str(skeleton)]
    if not Path(skeleton).is_file():
        raise DataError(f"{skeleton}: no such skeleton, expected {', '.join(LAYOUTS)} or a mapping file (.toml)")
    return (read_mapping(Path(skeleton)),)


def poses_of(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> tuple[Layout, Motion, np.ndarray]:
    """Return the layout that a motion has, the motion with all that it needs, and its poses [T, 17, 3], metres, float64.

    The layout has the file's own names and a unit. If its `up` is None, the poses are in the file's axes; see `verticals`.
    The motion has joint centres for markers, and no gaps; it notes what was filled and cut.

    Raises:
      DataError: if the motion has no layout or several, or too few of its markers were seen.
    """
    motion = gait_markers.with_centres(motion)
    layout = choose(motion, candidates, path)
    motion = gaps.filled(motion, layout.sources, path)
    layout = dataclasses.replace(layout, unit_m=_unit(layout, motion))
    return layout, motion, layout.apply(motion)


def choose(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> Layout:
    """Return the layout whose joints a motion has, in the file's own names.

    Raises:
      DataError: if it has those of none, or of two that differ.
    """
    suited = _suited(candidates, path)
    found: list[Layout] = []
    lacking: dict[str, list[str]] = {}
    for layout in suited:
        fitting, lacks = _fitted(layout, motion, path)
        if fitting is None:
            lacking[layout.name] = lacks
        elif fitting.coincident:
            return fitting
        elif not any(fitting.joints == other.joints for other in found):
            found.append(fitting)
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(layout.name for layout in found)
        raise DataError(f"{path}: found the joints of {names}, expected those of one; name it with --skeleton")
    joints = f"{path}: found the joints {shown(', '.join(motion.joints))}"
    if not suited:
        raise DataError(f"{joints}, expected those of {' or '.join(layout.suffixes[0] for layout in candidates)} files")
    if len(lacking) > 3:  # any skeleton will do
        nearest = min(lacking, key=lambda name: len(lacking[name]))
        names = one_line(", ".join(lacking[nearest]), 200)
        raise DataError(f"{joints}, expected those of a known skeleton; the nearest, {nearest}, lacks {names}; {_OWN}")
    reasons = (f"{name} ({one_line(_reason(lacks), 100)})" for name, lacks in lacking.items())
    raise DataError(f"{joints}, expected those of {'; '.join(reasons)}")


def _reason(lacks: list[str]) -> str:
    return f"lacks {', '.join(lacks[:3])}" if lacks[0] != _APART else lacks[-1]


def nearest(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> tuple[str, dict[str, Mapping[str, float]]]:
    """Return the name of the layout of which a motion has the most joints, and its weights for those that it has."""
    best, joints = "", dict[str, Mapping[str, float]]()
    for layout in _suited(candidates, path):
        fitting, _ = _fitted(layout, motion, path)
        if fitting:
            return fitting.name, dict(fitting.joints)
        found = {} if layout.coincident else _weights(layout, _spelled(layout, motion, path)[0])
        if len(found) > len(joints):
            best, joints = layout.name, dict(found)
    return best, joints


def _suited(candidates: tuple[Layout, ...], path: Path) -> list[Layout]:
    """Return the layouts that such a file may have; who has a mark comes before others with the same joints."""
    suited = [layout for layout in candidates if not layout.suffixes or path.suffix.lower() in layout.suffixes]
    return sorted(suited, key=lambda layout: not layout.mark)


def _fitted(layout: Layout, motion: Motion, path: Path) -> tuple[Layout | None, list[str]]:
    """Return the layout with the names of a motion; or None and the names that lack."""
    spelled, lacks = _spelled(layout, motion, path)
    if lacks:
        return None, lacks
    if layout.mark and not any(re.fullmatch(f"(.*:)?({layout.mark})", folded(name)) for name in motion.joints):
        return None, [f"a joint such as {layout.mark}"]
    own = tuple(spelled[name] for name in layout.coincident)
    places = motion.positions[:, [motion.joints.index(name) for name in own]]
    if not np.allclose(places, places[:, :1], rtol=0, atol=1e-6):
        return None, [_APART, f"{', '.join(layout.coincident)} apart"]
    chosen = _weights(layout, spelled)
    fitting = dataclasses.replace(layout, joints=chosen, instead={}, coincident=own)
    if {} in _ways(layout, spelled)["Head"] and chosen["Head"] and not _has_head(fitting, motion):
        fitting = dataclasses.replace(fitting, joints=chosen | {"Head": {}})
    return fitting, []


def _weights(layout: Layout, spelled: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the first weights for each of the 17 joints that can be had, in the file's names."""
    found = {}
    for joint, ways in _ways(layout, spelled).items():
        for way in ways:
            if way.keys() <= spelled.keys():
                found[joint] = {spelled[name]: weight for name, weight in way.items()}
                break
    return found


def _ways(layout: Layout, spelled: Mapping[str, str]) -> dict[str, tuple[Mapping[str, float], ...]]:
    """Return for each of the 17 joints the weights that may give it, the best first."""
    if not layout.markers:
        return {joint: (first, *layout.instead.get(joint, ())) for joint, first in layout.joints.items()}
    seen = {joint: marker for marker, joint in layout.markers.items() if marker in spelled}
    if any(joint in seen for joint in ("head_top", "left_ear", "right_ear")):
        seen = {joint: marker for joint, marker in seen.items() if joint not in _FACE}
    source = keypoint_layouts.Layout(layout.name, tuple(seen))
    ways: dict[str, tuple[Mapping[str, float], ...]] = {}
    for joint, target in zip(H36M_17.joints, keypoint_layouts.H36M.joints, strict=True):
        try:
            (row,) = keypoint_layouts.weights(source, keypoint_layouts.Layout(target, (target,)))
        except UserError:
            lacking = [marker for marker, name in layout.markers.items() if name == target]
            lacking += ["a marker of the head"] * (joint == "Head")  # from which, hips and shoulders the others follow
            ways[joint] = tuple({marker: 1.0} for marker in lacking[:1])
        else:
            ways[joint] = ({seen[name]: weight for name, weight in zip(source.joints, row, strict=True) if weight},)
    return ways


def _spelled(layout: Layout, motion: Motion, path: Path) -> tuple[dict[str, str], list[str]]:
    """Return {name of the layout: the file's} under the prefix with which the most are there, and the names that lack.

    Raises:
      DataError: if two skeletons are there, under two prefixes.
    """
    fold = str if layout.stated else folded
    own = {fold(name): name for name in reversed(motion.joints)}  # the first of equal ones
    known = dict.fromkeys(
        [*(name for joint in layout.joints for way in (layout.joints[joint], *layout.instead.get(joint, ())) for name in way)]
    )
    known |= dict.fromkeys([*layout.markers, *layout.coincident])
    common = _common_prefix(list(known)) if layout.stated else ""
    bare = {name: fold(name.removeprefix(common)) for name in known}
    prefixes = {"", fold(common)} | {name[: -len(end)] for end in bare.values() if end for name in own if name.endswith(end)}
    tried = []
    for prefix in sorted(prefixes, key=lambda prefix: (prefix != common, len(prefix), prefix)):
        spelled = {name: own[prefix + end] for name, end in bare.items() if prefix + end in own}
        lacks = [
            next(name for name in ways[0] if name not in spelled)
            for ways in _ways(layout, spelled).values()
            if ways and not any(way.keys() <= spelled.keys() for way in ways)
        ]
        lacks += [name for name in layout.coincident if name not in spelled]
        tried.append((len(lacks), prefix, spelled, list(dict.fromkeys(lacks))))
    complete = [prefix for lack, prefix, _, _ in tried if not lack]
    if len(complete) > 1 and not (layout.stated and complete[0] == common):  # the mapping's own prefix
        raise DataError(
            f"{path}: found two skeletons, with the prefixes {shown(complete[0])} and {shown(complete[1])}, "
            "expected one person a file"
        )
    _, _, spelled, lacks = min(tried, key=lambda one: one[0])
    return spelled, lacks


def _common_prefix(names: list[str]) -> str:
    """Return what all names begin with, up to a colon, an underscore or a space."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: max(first[:same].rfind(mark) for mark in ":_ ") + 1]


def _sampled(motion: Motion) -> Motion:
    return dataclasses.replace(motion, positions=motion.positions[:: max(len(motion.positions) // _SAMPLE, 1)])


def _plain_poses(layout: Layout, motion: Motion) -> np.ndarray:
    """Return some poses in the file's own units and axes."""
    return dataclasses.replace(layout, unit_m=None, up=None, rest_pose=False).apply(_sampled(motion))


def _has_head(layout: Layout, motion: Motion) -> bool:
    poses = _plain_poses(layout, motion)
    length = median(np.linalg.norm(poses[:, 10] - poses[:, 9], axis=-1))
    return bool(length > _LEAST_HEAD * height_to_neck(poses))


def _unit(layout: Layout, motion: Motion) -> float:
    """Return metres in one unit of a motion."""
    if layout.stated and layout.unit_m:
        return layout.unit_m
    height = height_to_neck(_plain_poses(layout, motion)) / (1 - _ABOVE_NECK)
    said = [unit for unit in (motion.unit_m, layout.unit_m) if unit]
    usual = sorted(UNITS.values(), key=lambda unit: abs(np.log(max(height, 1e-30) * unit / _USUAL_HEIGHT_M)))
    low, high = HEIGHT_M
    return next((unit for unit in (*said, *usual) if low <= height * unit <= high), (*said, *usual)[0])


def usual_up(layout: Layout) -> str:
    """Return the axis that most files of a layout's kind have as vertical."""
    return "z" if ".npz" in layout.suffixes else "y"


def _from_face(layout: Layout) -> bool:
    face = {folded(marker) for marker, joint in layout.markers.items() if joint in _FACE}
    return any(folded(name).rpartition(":")[2] in face for name in layout.joints["Head"])


def summary(layouts: Iterable[Layout]) -> list[str]:
    """Return a line for each skeleton of the recordings: its name, unit, vertical, and where the head is from."""
    counts: dict[str, int] = {}
    for layout in layouts:
        unit = next((name for name, metres in UNITS.items() if metres == layout.unit_m), f"{layout.unit_m:.4g} m a unit")
        notes = [layout.note] * bool(layout.note) + ["head in line with the neck"] * (not layout.joints["Head"])
        notes += ["head from the face, some centimetres in front of its middle"] * _from_face(layout)
        line = "; ".join([f"{layout.name}: {unit}, {layout.up} up", *notes])
        counts[line] = counts.get(line, 0) + 1
    return [f"{count} {'file' if count == 1 else 'files'} of {line}" for line, count in counts.items()]
