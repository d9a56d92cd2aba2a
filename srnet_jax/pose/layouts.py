"""Keypoint layouts of detectors and data sets, and the conversion from one layout to another.

All layouts name their joints from one vocabulary, so that equal names mean the same place on the body. A joint that a layout
lacks is derived by the first rule in `_RULES` whose joints the layout has:

    joint               derived as
    pelvis              midpoint of the hips
    thorax              midpoint of the shoulders
    spine               midpoint of pelvis and thorax
    head                midpoint of the ears, one ear, midpoint of the eyes, or the nose; else the point 0.6 of the way from
                        thorax to the top of the head
    skull_base          0.6 of the way from thorax to head
    head_top            5/3 of the way from thorax to head, beyond the head
    ears, eyes, nose    head
    ankle               0.16 of the way from the heel to the knee, and 0.25 of the foot's length forward if a toe is seen

The fractions are those of an adult, whose ears are about 0.20 m and the top of the head 0.33 m above the shoulders, and whose
ankle is 0.08 m above the lowest point of the heel and 0.05 m in front of it. Head is at the height of the ears, as in HDM05 and
CMU.
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
    """The joints that a detector or a data set gives, in their order.

    Attributes:
      name: name of the layout, a value of `--layout`.
      joints: joint names from this module's vocabulary, in array order.
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
    """Return each name for both sides, alternating: left_eye, right_eye, ..."""
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

_SKULL_BASE, _HEAD = 0.6, 0.6  # fractions of the ways from thorax to head, and from thorax to the top of the head
_UP, _FORWARD = 0.16, 0.25  # fractions of the ways from heel to knee, and from heel to toe
_RULES: dict[str, tuple[dict[str, float], ...]] = {  # weights of other joints; they sum to one
    "pelvis": ({"left_hip": 0.5, "right_hip": 0.5},),
    "thorax": ({"left_shoulder": 0.5, "right_shoulder": 0.5},),
    "spine": ({"pelvis": 0.5, "thorax": 0.5},),
    "head": (
        {"left_ear": 0.5, "right_ear": 0.5},
        {"left_ear": 1.0},  # if only one ear is seen, the head is in profile and the ear is in its middle
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
    """Return the layout with this name.

    Raises:
      UserError: if there is no such layout; the message lists the names.
    """
    if not isinstance(name, str) or name not in LAYOUTS:
        close = difflib.get_close_matches(str(name).lower(), LAYOUTS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"layout {name!r}: not known, expected one of {', '.join(LAYOUTS)}{hint}")
    return LAYOUTS[name]


def weights(source: Layout, target: Layout) -> np.ndarray:
    """Return the matrix that computes the joints of one layout from those of another.

    Args:
      source: layout of the given joints.
      target: layout of the wanted joints.

    Returns:
      [J_target, J_source] float64; each row sums to one.

    Raises:
      UserError: if the source layout neither has a joint of the target nor those from which it is derived.
    """
    rows = np.zeros((len(target.joints), len(source.joints)))
    for row, joint in zip(rows, target.joints, strict=True):
        ways = _ways(joint, source.joints, ())
        if not ways:
            raise UserError(f"layout {source.name}: cannot derive {joint} of layout {target.name} from its joints")
        for name, weight in ways[0].items():
            row[source.joints.index(name)] = weight
    return rows


def derived(keypoints: np.ndarray, confidences: np.ndarray, source: str) -> tuple[np.ndarray, np.ndarray]:
    """Convert keypoints, some of which may be missing, to Human3.6M's 17 joints.

    Each joint is taken or derived by the first rule whose joints are visible in the frame.

    Args:
      keypoints: [T, J, D] points; missing joints are not read.
      confidences: [T, J], 0 where a joint is missing.
      source: layout of the keypoints, a name of `LAYOUTS`.

    Returns:
      Points [T, 17, D] float64, NaN if a joint cannot be derived from the visible ones; and their confidences [T, 17]. A
      derived joint gets the lowest confidence of the joints that it is derived from.

    Raises:
      UserError: for an unknown layout.
      DataError: if the number of joints is not the layout's.
    """
    layout = find(source)
    check_joints(keypoints.shape[-2], layout)
    if confidences.min(initial=1.0) > 0:  # nothing is missing, the usual case in a live stream
        matrix, used = _first_ways(source)
        lowest = np.where(used, confidences[:, None], np.inf).min(-1)
        return np.einsum("tj,...jd->...td", matrix, keypoints, dtype=np.float64), lowest
    points = np.full((len(keypoints), len(H36M.joints), keypoints.shape[-1]), np.nan)
    sure = np.zeros(points.shape[:2])
    for target, ways in enumerate(indexed_ways(source)):
        left = np.arange(len(keypoints))  # frames in which the joint is not derived yet
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
    """Return the index in a layout of each of Human3.6M's joints; None for a joint that must be derived."""
    joints = find(source).joints
    return tuple(joints.index(joint) if joint in joints else None for joint in H36M.joints)


@functools.cache
def _first_ways(source: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the `weights` from a layout to Human3.6M's joints, and a mask of the nonzero ones."""
    matrix = weights(find(source), H36M)
    return matrix, matrix != 0


@functools.cache
def indexed_ways(source: str) -> tuple[tuple[tuple[np.ndarray, np.ndarray], ...], ...]:
    """Return the ways to derive each of Human3.6M's joints; a way is indices and weights of source joints."""
    joints = find(source).joints
    return tuple(
        tuple(
            (np.array([joints.index(name) for name in way]), np.array(list(way.values()))) for way in _ways(joint, joints, ())
        )
        for joint in H36M.joints
    )


@functools.cache
def _ways(joint: str, joints: tuple[str, ...], asked: tuple[str, ...]) -> tuple[dict[str, float], ...]:
    """Return all ways to derive a joint, the best first, each as {joint of the layout: weight}; `asked` prevents cycles."""
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
    """Check that the number of joints of keypoints is that of their layout.

    Raises:
      DataError: if it is not; the message names the layouts that have this number of joints.
    """
    if found != len(layout.joints):
        others = [other.name for other in LAYOUTS.values() if len(other.joints) == found]
        hint = f"; {' and '.join(others)} {'has' if len(others) == 1 else 'have'} {found}" if others else ""
        raise DataError(f"keypoints: found {found} joints, expected the {len(layout.joints)} of layout {layout.name}{hint}")


def with_derived_joints(points: np.ndarray) -> np.ndarray:
    """Replace the joints that detectors do not see by derived ones, in keypoints [..., 17, D] of Human3.6M's joints.

    Pelvis, spine, thorax and the base of the skull are derived from hips, shoulders and head, so that the result is like that
    of a detector.
    """
    seen = tuple(joint for joint in H36M.joints if joint not in ("pelvis", "spine", "thorax", "skull_base"))
    indices = [H36M.joints.index(joint) for joint in seen]
    matrix = weights(Layout("detected", seen), H36M)
    return np.einsum("tj,...jd->...td", matrix, points[..., indices, :], dtype=np.float64).astype(points.dtype)


def _bones(joints: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield pairs of joint names that may be bones of a layout."""
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
