"""Recognise the skeleton of a motion by the names of its joints, and find its unit of length.

Names of known skeletons are compared without upper and lower case, spaces and `_ . -` (`gait_markers.folded`); names in a
mapping file are compared exactly. In both cases, the joints in a file may have a common prefix, such as `mixamorig:`,
`Character1_` or `Bip01 `.

The unit is the one that the file, the mapping or the skeleton's producer declares, if the person's height is plausible in it.
Otherwise it is the usual unit in which the person is nearest to 1.7 m high. `verticals` finds the axis that points up.
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
_SAMPLE = 300  # frames from which a height is computed
_LEAST_HEAD = 0.02  # fraction of the height from ankle to the base of the skull; a shorter head has no usable end
_APART = "apart"
_OWN = "map its joints in a file for --skeleton (--draft_skeleton=FILE.toml writes a draft)"
_FACE = ("nose", "left_eye", "right_eye")  # in front of the head's middle: used only if no other marker shows the head


def layouts(skeleton: str | Path | None) -> tuple[Layout, ...]:
    """Return the layouts that files of a skeleton may have.

    Args:
      skeleton: a name of LAYOUTS, a mapping file (`skeleton_maps.read_mapping`), or None for all of LAYOUTS.

    Raises:
      DataError: if there is no such name or file, or the mapping file is damaged.
    """
    if skeleton is None:
        return tuple({layout.name: layout for some in LAYOUTS.values() for layout in some}.values())
    if str(skeleton) in LAYOUTS:
        return LAYOUTS[str(skeleton)]
    if not Path(skeleton).is_file():
        raise DataError(f"{skeleton}: no such skeleton, expected {', '.join(LAYOUTS)} or a mapping file (.toml)")
    return (read_mapping(Path(skeleton)),)


def poses_of(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> tuple[Layout, Motion, np.ndarray]:
    """Recognise the layout of a motion and compute the poses of the 17 joints.

    Args:
      motion: as read.
      candidates: the layouts that it may have.
      path: the file, for its suffix and messages.

    Returns:
      The layout with the file's own names and its unit; the motion, with joint centres computed from markers, gaps filled or
      cut and notes on these; and [T, 17, 3] float64 joints, metres. If the layout's `up` is None, the poses are in the file's
      axes, and `verticals` finds the one that points up.

    Raises:
      DataError: if the motion has none of the layouts or several, or too few of its markers were seen.
    """
    motion = gait_markers.with_centres(motion)
    layout = choose(motion, candidates, path)
    motion = gaps.filled(motion, layout.sources, path)
    layout = dataclasses.replace(layout, unit_m=_unit(layout, motion))
    return layout, motion, layout.apply(motion)


def choose(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> Layout:
    """Return the layout whose joints a motion has, with the file's own names.

    Args:
      motion: with joint centres for markers.
      candidates: the layouts that it may have.
      path: the file, for its suffix and messages.

    Raises:
      DataError: if the motion has the joints of none of the layouts, or of several that give different poses.
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
    if len(lacking) > 3:  # too many to list: all skeletons were tried
        nearest = min(lacking, key=lambda name: len(lacking[name]))
        names = one_line(", ".join(lacking[nearest]), 200)
        raise DataError(f"{joints}, expected those of a known skeleton; the nearest, {nearest}, lacks {names}; {_OWN}")
    reasons = (f"{name} ({one_line(_reason(lacks), 100)})" for name, lacks in lacking.items())
    raise DataError(f"{joints}, expected those of {'; '.join(reasons)}")


def _reason(lacks: list[str]) -> str:
    return f"lacks {', '.join(lacks[:3])}" if lacks[0] != _APART else lacks[-1]


def nearest(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> tuple[str, dict[str, Mapping[str, float]]]:
    """Return the layout of which a motion has the most joints: its name, and the weights of the joints that can be computed."""
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
    """Return the layouts that a file of this suffix may have, those with a signature first."""
    suited = [layout for layout in candidates if not layout.suffixes or path.suffix.lower() in layout.suffixes]
    return sorted(suited, key=lambda layout: not layout.signature)


def _fitted(layout: Layout, motion: Motion, path: Path) -> tuple[Layout | None, list[str]]:
    """Return the layout with the names of a motion, or None and the missing names."""
    spelled, lacks = _spelled(layout, motion, path)
    if lacks:
        return None, lacks
    if layout.signature and not any(re.fullmatch(f"(.*:)?({layout.signature})", folded(name)) for name in motion.joints):
        return None, [f"a joint such as {layout.signature}"]
    own = tuple(spelled[name] for name in layout.coincident)
    places = motion.positions[:, [motion.joints.index(name) for name in own]]
    if not np.allclose(places, places[:, :1], rtol=0, atol=1e-6):
        return None, [_APART, f"{', '.join(layout.coincident)} apart"]
    chosen = _weights(layout, spelled)
    fitting = dataclasses.replace(layout, joints=chosen, alternatives={}, coincident=own)
    if {} in _ways(layout, spelled)["Head"] and chosen["Head"] and not _has_head(fitting, motion):
        fitting = dataclasses.replace(fitting, joints=chosen | {"Head": {}})
    return fitting, []


def _weights(layout: Layout, spelled: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return the best weights, in the file's names, of each of the 17 joints that can be computed."""
    found = {}
    for joint, ways in _ways(layout, spelled).items():
        for way in ways:
            if way.keys() <= spelled.keys():
                found[joint] = {spelled[name]: weight for name, weight in way.items()}
                break
    return found


def _ways(layout: Layout, spelled: Mapping[str, str]) -> dict[str, tuple[Mapping[str, float], ...]]:
    """Return the weights that may give each of the 17 joints, best first."""
    if not layout.markers:
        return {joint: (first, *layout.alternatives.get(joint, ())) for joint, first in layout.joints.items()}
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
            lacking += ["a marker of the head"] * (joint == "Head")  # the trunk's joints follow from head, hips and shoulders
            ways[joint] = tuple({marker: 1.0} for marker in lacking[:1])
        else:
            ways[joint] = ({seen[name]: weight for name, weight in zip(source.joints, row, strict=True) if weight},)
    return ways


def _spelled(layout: Layout, motion: Motion, path: Path) -> tuple[dict[str, str], list[str]]:
    """Return {name in the layout: name in the file} with the prefix that finds the most names, and the missing names.

    Raises:
      DataError: if the file has two complete skeletons with different prefixes.
    """
    fold = str if layout.stated else folded
    own = {fold(name): name for name in reversed(motion.joints)}  # the first of equal names
    ways = (way for joint, first in layout.joints.items() for way in (first, *layout.alternatives.get(joint, ())))
    known = dict.fromkeys([*(name for way in ways for name in way), *layout.markers, *layout.coincident])
    common = _common_prefix(list(known)) if layout.stated else ""
    bare = {name: fold(name.removeprefix(common)) for name in known}
    prefixes = {"", fold(common)} | {name[: -len(end)] for end in bare.values() if end for name in own if name.endswith(end)}
    tried = []
    for prefix in sorted(prefixes, key=lambda prefix: (prefix != common, len(prefix), prefix)):
        spelled = {name: own[prefix + end] for name, end in bare.items() if prefix + end in own}
        lacks = [
            next(name for name in choices[0] if name not in spelled)
            for choices in _ways(layout, spelled).values()
            if choices and not any(way.keys() <= spelled.keys() for way in choices)
        ]
        lacks += [name for name in layout.coincident if name not in spelled]
        tried.append((len(lacks), prefix, spelled, list(dict.fromkeys(lacks))))
    complete = [prefix for lack, prefix, _, _ in tried if not lack]
    if len(complete) > 1 and not (layout.stated and complete[0] == common):  # the mapping's own prefix
        raise DataError(
            f"{path}: found two skeletons, with the prefixes {shown(complete[0])} and {shown(complete[1])}, "
            "expected one person in a file"
        )
    _, _, spelled, lacks = min(tried, key=lambda one: one[0])
    return spelled, lacks


def _common_prefix(names: list[str]) -> str:
    """Return the common prefix of names, up to a colon, an underscore or a space."""
    first, last = min(names), max(names)
    same = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: max(first[:same].rfind(mark) for mark in ":_ ") + 1]


def _sampled(motion: Motion) -> Motion:
    return dataclasses.replace(motion, positions=motion.positions[:: max(len(motion.positions) // _SAMPLE, 1)])


def _plain_poses(layout: Layout, motion: Motion) -> np.ndarray:
    """Return the poses of some frames, in the file's own units and axes."""
    return dataclasses.replace(layout, unit_m=None, up=None, rest_pose=False).apply(_sampled(motion))


def _has_head(layout: Layout, motion: Motion) -> bool:
    poses = _plain_poses(layout, motion)
    length = median(np.linalg.norm(poses[:, 10] - poses[:, 9], axis=-1))
    return bool(length > _LEAST_HEAD * height_to_neck(poses))


def _unit(layout: Layout, motion: Motion) -> float:
    """Return the length of a motion's unit in metres."""
    if layout.stated and layout.unit_m:
        return layout.unit_m
    height = height_to_neck(_plain_poses(layout, motion)) / (1 - _ABOVE_NECK)
    declared = [unit for unit in (motion.unit_m, layout.unit_m) if unit]
    usual = sorted(UNITS.values(), key=lambda unit: abs(np.log(max(height, 1e-30) * unit / _USUAL_HEIGHT_M)))
    low, high = HEIGHT_M
    return next((unit for unit in (*declared, *usual) if low <= height * unit <= high), (*declared, *usual)[0])


def usual_up(layout: Layout) -> str:
    """Return the axis that points up in most files of a layout's kind."""
    return "z" if ".npz" in layout.suffixes else "y"


def _from_face(layout: Layout) -> bool:
    face = {folded(marker) for marker, joint in layout.markers.items() if joint in _FACE}
    return any(folded(name).rpartition(":")[2] in face for name in layout.joints["Head"])


def summary(layouts: Iterable[Layout]) -> list[str]:
    """Return a line for each skeleton of the recordings: its name, unit, vertical axis, and how the head was found."""
    counts: dict[str, int] = {}
    for layout in layouts:
        unit = next((name for name, metres in UNITS.items() if metres == layout.unit_m), f"{layout.unit_m:.4g} m a unit")
        notes = [layout.note] * bool(layout.note) + ["head in line with the neck"] * (not layout.joints["Head"])
        notes += ["head from the face, some centimetres in front of its middle"] * _from_face(layout)
        line = "; ".join([f"{layout.name}: {unit}, {layout.up} up", *notes])
        counts[line] = counts.get(line, 0) + 1
    return [f"{count} {'file' if count == 1 else 'files'} of {line}" for line, count in counts.items()]
