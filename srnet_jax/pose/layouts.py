"""Keypoint layouts of detectors and data sets, and how one becomes another.

Joints of all layouts are named from one vocabulary, so that equal names mean the same place. A joint that a layout lacks is
derived by the first rule in `_RULES` whose joints it has:

    joint               derived as
    pelvis              middle of the hips
    thorax              middle of the shoulders
    spine               middle of pelvis and thorax
    head                middle of the ears, one ear, middle of the eyes, or the nose; or 0.6 of the way from thorax to the top
                        of the head
    skull_base          0.6 of the way from thorax to head
    head_top            from thorax through head, 5/3 of the way
    ears, eyes, nose    head
    ankle               0.16 of the way from the heel to the knee, and 0.25 of the foot's length forward if a toe is seen

The shares are those of a grown person: ears are about 0.20 m and the top of the head 0.33 m above the shoulders, the ankle
0.08 m above the heel's lowest point and 0.05 m in front of it; in the open motion capture that `RESULTS.md` names, the joint
called Head is at the height of the ears.
"""

import dataclasses
import difflib
import functools
import itertools
from collections.abc import Iterator

import numpy as np

from srnet_jax.errors import DataError, UserError


@dataclasses.dataclass(frozen=True)
class Layout:
    """What a detector's keypoints are.

    Attributes:
      name: as `--layout` takes it.
      joints: names from this module's vocabulary, in array order.
    """

    name: str
    joints: tuple[str, ...]

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """Pairs of joints to draw lines between."""
        return tuple(
            (self.joints.index(a), self.joints.index(b))
            for a, b in _bones(self.joints)
            if a in self.joints and b in self.joints
        )


def _sides(*names: str, first: str = "left") -> tuple[str, ...]:
    """Return each name on one side and the other: left_eye, right_eye, ..."""
    second = "right" if first == "left" else "left"
    return tuple(f"{side}_{name}" for name in names for side in (first, second))


def _limb(side: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{side}_{name}" for name in names)


_ARM, _LEG = ("shoulder", "elbow", "wrist"), ("hip", "knee", "ankle")
_COCO = ("nose", *_sides("eye", "ear", *_ARM, *_LEG))
_H36M = (
    *("pelvis", *_limb("right", *_LEG), *_limb("left", *_LEG), "spine", "thorax", "skull_base", "head"),
    *(*_limb("left", *_ARM), *_limb("right", *_ARM)),
)
_BODY_25 = (
    *("nose", "thorax", *_limb("right", *_ARM), *_limb("left", *_ARM), "pelvis", *_limb("right", *_LEG), *_limb("left", *_LEG)),
    *_sides("eye", "ear", first="right"),
    *(*_limb("left", "big_toe", "small_toe", "heel"), *_limb("right", "big_toe", "small_toe", "heel")),
)
_COCO_18 = (
    *("nose", "thorax", *_limb("right", *_ARM), *_limb("left", *_ARM), *_limb("right", *_LEG), *_limb("left", *_LEG)),
    *_sides("eye", "ear", first="right"),
)
_MEDIAPIPE = (
    *("nose", *_limb("left", "eye_inner", "eye", "eye_outer"), *_limb("right", "eye_inner", "eye", "eye_outer")),
    *_sides("ear", "mouth", *_ARM, "pinky", "index", "thumb", *_LEG, "heel", "foot_index"),
)
_MPII = (
    *(*reversed(_limb("right", *_LEG)), *_limb("left", *_LEG), "pelvis", "thorax", "skull_base", "head_top"),
    *(*reversed(_limb("right", *_ARM)), *_limb("left", *_ARM)),
)
_3DHP = (
    *("head_top", "thorax", *_limb("right", *_ARM), *_limb("left", *_ARM), *_limb("right", *_LEG), *_limb("left", *_LEG)),
    *("pelvis", "spine", "head"),
)
_FEET = (*_limb("left", "big_toe", "small_toe", "heel"), *_limb("right", "big_toe", "small_toe", "heel"))
_POSETRACK = ("nose", "skull_base", "head_top", *_sides("ear", *_ARM, *_LEG))
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("coco", _COCO),
        Layout("halpe_26", (*_COCO, "head_top", "thorax", "pelvis", *_sides("big_toe", "small_toe", "heel"))),
        Layout("body_25", _BODY_25),
        Layout("body_25b", (*_COCO, "skull_base", "head_top", *_FEET)),
        Layout("coco_18", _COCO_18),
        Layout(
            "openpose_mpi_15", ("head_top", "thorax", *_BODY_25[2:8], *_limb("right", *_LEG), *_limb("left", *_LEG), "spine")
        ),
        Layout("posetrack", _POSETRACK),
        Layout("mediapipe_33", _MEDIAPIPE),
        Layout("mpii", _MPII),
        Layout("h36m", _H36M),
        Layout("mpi_inf_3dhp", _3DHP),
    )
}
VOCABULARY = frozenset(joint for layout in LAYOUTS.values() for joint in layout.joints)
H36M = LAYOUTS["h36m"]  # in the order of `skeleton.H36M_17`

_SKULL_BASE, _HEAD = 0.6, 0.6  # shares of the ways from thorax to head, and to the top of the head
_UP, _FORWARD = 0.16, 0.25  # shares of the ways from heel to knee, and from heel to toe
_RULES: dict[str, tuple[dict[str, float], ...]] = {  # weights of other joints, which sum to one
    "pelvis": ({"left_hip": 0.5, "right_hip": 0.5},),
    "thorax": ({"left_shoulder": 0.5, "right_shoulder": 0.5},),
    "spine": ({"pelvis": 0.5, "thorax": 0.5},),
    "head": (
        {"left_ear": 0.5, "right_ear": 0.5},
        {"left_ear": 1.0},  # who hides one ear shows the other in profile, at the middle of the head
        {"right_ear": 1.0},
        {"left_eye": 0.5, "right_eye": 0.5},
        {"nose": 1.0},
        {"thorax": 1 - _HEAD, "head_top": _HEAD},
    ),
    "skull_base": ({"thorax": 1 - _SKULL_BASE, "head": _SKULL_BASE},),
    "head_top": ({"thorax": 1 - 1 / _HEAD, "head": 1 / _HEAD},),
    **{name: ({"head": 1.0},) for name in ("nose", *_sides("eye", "ear"))},
    **{
        f"{side}_ankle": (
            *(
                {f"{side}_heel": 1 - _UP - _FORWARD, f"{side}_knee": _UP, f"{side}_{toe}": _FORWARD}
                for toe in ("big_toe", "foot_index")
            ),
            {f"{side}_heel": 1 - _UP, f"{side}_knee": _UP},
        )
        for side in ("left", "right")
    },
}


def find(name: str) -> Layout:
    """Return the layout of that name.

    Raises:
      UserError: lists the known names.
    """
    if not isinstance(name, str) or name not in LAYOUTS:
        close = difflib.get_close_matches(str(name).lower(), LAYOUTS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"layout {name!r}: not known, expected one of {', '.join(LAYOUTS)}{hint}")
    return LAYOUTS[name]


def weights(source: Layout, target: Layout) -> np.ndarray:
    """Return how the joints of one layout follow from another's: [J_target, J_source], rows that sum to one.

    Raises:
      UserError: if a joint can neither be found nor derived.
    """
    rows = np.zeros((len(target.joints), len(source.joints)))
    for row, joint in zip(rows, target.joints, strict=True):
        ways = _ways(joint, source.joints, ())
        if not ways:
            raise UserError(f"layout {source.name}: {target.name} has {joint}, which cannot be derived from it")
        for name, weight in ways[0].items():
            row[source.joints.index(name)] = weight
    return rows


def derived(keypoints: np.ndarray, confidences: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Turn keypoints of which some are missing into Human3.6M's 17 joints, each by the first rule whose joints the frame shows.

    Args:
      keypoints: [T, J, D] points; what is missing is not read.
      confidences: [T, J], 0 where a joint is missing.
      source: a name of LAYOUTS.

    Returns:
      Points [T, 17, D] float64, NaN where a joint does not follow from those that are seen; and their confidences [T, 17], of
      a derived joint the lowest of those that it comes from.

    Raises:
      UserError: for an unknown layout.
      DataError: if the number of joints is not the layout's.
    """
    layout = find(source)
    check_joints(keypoints.shape[-2], layout)
    if confidences.min(initial=1.0) > 0:  # nothing is missing: what a stream mostly sees
        matrix, used = _first_ways(source)
        lowest = np.where(used, confidences[:, None], np.inf).min(-1)
        return np.einsum("tj,...jd->...td", matrix, keypoints, dtype=np.float64), lowest
    points = np.full((len(keypoints), len(H36M.joints), keypoints.shape[-1]), np.nan)
    sure = np.zeros(points.shape[:2])
    for target, ways in enumerate(_indexed_ways(source)):
        left = np.arange(len(keypoints))  # frames for which no way was found yet
        for indices, share in ways:
            lowest = confidences[left][:, indices].min(-1)
            rows = left[lowest > 0]
            points[rows, target] = share @ keypoints[rows][:, indices]
            sure[rows, target] = lowest[lowest > 0]
            left = left[lowest <= 0]
            if not len(left):
                break
    return points, sure


@functools.cache
def own_joints(source: str) -> tuple[int | None, ...]:
    """Return the place of each of Human3.6M's joints in a layout, None of one that it lacks, so that it must be derived."""
    joints = find(source).joints
    return tuple(joints.index(joint) if joint in joints else None for joint in H36M.joints)


@functools.cache
def _first_ways(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return `weights` to Human3.6M's joints, and which of them are not zero."""
    matrix = weights(find(source), H36M)
    return matrix, matrix != 0


@functools.cache
def _indexed_ways(source: str) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]:
    """Return, for each of Human3.6M's joints, the ways to find it: indices of the source's joints, and their weights."""
    joints = find(source).joints
    return tuple(
        tuple(
            (np.array([joints.index(name) for name in way]), np.array(list(way.values()))) for way in _ways(joint, joints, ())
        )
        for joint in H36M.joints
    )


@functools.cache
def _ways(joint: str, joints: tuple[str, ...], asked: tuple[str, ...]) -> tuple[dict[str, float], ...]:
    """Return all ways to find a joint from a layout's, the best first, each as weights of the layout's joints."""
    found = [{joint: 1.0}] if joint in joints else []
    for rule in _RULES.get(joint, ()):
        options = [() if name in asked else _ways(name, joints, (*asked, joint)) for name in rule]
        for parts in itertools.product(*options):
            total: dict[str, float] = {}
            for name, part in zip(rule, parts, strict=True):
                for own, weight in part.items():
                    total[own] = total.get(own, 0.0) + weight * rule[name]
            found.append(total)
    return tuple(found)


def check_joints(found: int, layout: Layout) -> None:
    """Refuse keypoints with another number of joints.

    Raises:
      DataError: says which layouts have that number.
    """
    if found != len(layout.joints):
        others = [other.name for other in LAYOUTS.values() if len(other.joints) == found]
        hint = f"; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} {found}" if others else ""
        raise DataError(f"keypoints: found {found} joints, expected the {len(layout.joints)} of layout {layout.name}{hint}")


def derived_as_detected(points: np.ndarray) -> np.ndarray:
    """Return keypoints [..., 17, D] in Human3.6M's joints as they come from a detector's.

    Pelvis, spine, thorax and the base of the skull, which detectors do not see, are derived from hips, shoulders and head.
    """
    seen = tuple(joint for joint in H36M.joints if joint not in ("pelvis", "spine", "thorax", "skull_base"))
    indices = [H36M.joints.index(joint) for joint in seen]
    matrix = weights(Layout("detected", seen), H36M)
    return np.einsum("tj,...jd->...td", matrix, points[..., indices, :], dtype=np.float64).astype(points.dtype)


def _bones(joints: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the bones that a layout may have."""
    for side in ("left", "right"):
        for names in (_ARM, _LEG, ("ankle", "heel"), ("ankle", "big_toe"), ("ankle", "foot_index"), ("big_toe", "small_toe")):
            yield from itertools.pairwise(_limb(side, *names))
        yield f"{side}_eye", f"{side}_ear"
        yield "nose", f"{side}_eye"
        yield "thorax", f"{side}_shoulder"
        yield "pelvis", f"{side}_hip"
        if "pelvis" not in joints:
            yield f"{side}_shoulder", f"{side}_hip"
        if "thorax" not in joints:
            yield f"{side}_ear", f"{side}_shoulder"
    for middle, part in (("thorax", "shoulder"), ("pelvis", "hip")):
        if middle not in joints:
            yield f"left_{part}", f"right_{part}"
    torso = [joint for joint in ("pelvis", "spine", "thorax", "skull_base", "head", "head_top") if joint in joints]
    yield from itertools.pairwise(torso)
