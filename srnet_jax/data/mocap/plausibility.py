"""Check whether joint positions can be of a person: sizes, left and right, upright posture, speeds.

`measure` reduces a clip to a few numbers, `pooled` combines several clips to medians, and `checks` compares each number with
that of people. The verdict is `ok`, `odd` (such people exist, but a mistake is more likely) or `impossible`. Bones are compared
as fractions of stature (`skeleton.RATIOS`), the median of the statures that thighs, shins, trunk and arms imply, so that a
single wrong bone does not change it.

The ranges are wide, because sources differ in where they place joints, and children have short legs. No clip is refused because
a person lies in it, but it is if legs and trunk are along one axis other than z nearly all the time and travel across it
without rolling: the person walks, and that axis points up.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from srnet_jax.data.mocap.skeleton_maps import UNITS, directions
from srnet_jax.pose.ground import ANKLE
from srnet_jax.pose.skeleton import H36M_17, RATIOS

MIRRORED = "the knees bend backwards; are left and right swapped?"
TRUNK = "trunk"  # name of the check
LYING = 0.5  # cosine of the angle between trunk and vertical, below which a person lies
Verdict = Literal["ok", "odd", "impossible"]

_HEIGHT_M, _POSSIBLE_M = (1.2, 1.95), (0.6, 2.4)  # from ankle to head; a person's stature is 0.2 m more
# For each bone: its fraction of stature, and the usual range as fractions of that length.
_BONES = {
    "Hip": (RATIOS["hip_half_width"], 0.25, 1.5),  # the ratio's width is over both thighs
    "Knee": (RATIOS["thigh"], 0.7, 1.35),
    "Foot": (RATIOS["shank"], 0.7, 1.35),
    "Spine": (RATIOS["lower_trunk"], 0.1, 1.7),  # anywhere from the sacrum to the chest
    "Thorax": (RATIOS["upper_trunk"], 0.4, 2.0),
    "Neck": (RATIOS["neck"], 0.4, 3.0),
    "Head": (RATIOS["head"], 0.2, 1.5),  # the middle of the head, or its crown
    "Shoulder": (RATIOS["shoulder_half_width"], 0.4, 1.5),
    "Elbow": (RATIOS["upper_arm"], 0.6, 1.35),
    "Wrist": (RATIOS["forearm"], 0.7, 1.5),
}
_POSSIBLE = (0.25, 2.0)  # factors of the ends of the usual range
_SHORTEST = 0.005  # fraction of stature; joints that are nearer to each other are one joint
_APART, _MOST_APART = 0.2, 0.4  # difference of left and right bones, relative to the longer one: usual, possible
_CHANGE, _MOST_CHANGE, _MOST_CHANGE_RIGID = 0.25, 1.0, 0.6  # relative change of a limb's length over a clip
_TWISTED, _TURNED = 0.3, -0.25  # cosines of the angle between shoulders and hips: usual, possible
_ALONG, _MOSTLY, _TRAVEL_M = 0.8, 0.8, 1.0  # cosine of body and axis, fraction of the frames, distance across the axis
_TURNING = 0.5  # length of the mean facing direction, below which a person turns all the way round
_HIP_M_S, _LIMB_M_S, _STILL_M_S = 12.0, 25.0, 0.05
_MOST_HIP_M_S = 15.0  # median; no person has run as fast
_FPS = (10.0, 500.0)
_KNEE_BEND_M = 0.02
_LEG_DIFFERENCE = 0.25  # relative difference of left and right; legs that differ by more cannot be of a person

_JOINTS, _PARENTS = H36M_17.joints, list(H36M_17.parents)
_ENDS = [3, 6, 13, 16]  # ankles and wrists
_LIMBS = [2, 3, 5, 6, 12, 13, 15, 16]
_MEDIANS = ("fps", "height_m", "bone_change", "upright", "shoulders_m", "facing", "knees_m", "floor_m")
_SPEEDS = ("hip_speed", "limb_speed")


@dataclasses.dataclass(frozen=True)
class Measures:
    """Numbers of a clip that `checks` compares with people's; NaN where they cannot be measured.

    Attributes:
      frames: number of frames.
      fps: frames per second.
      height_m: sum of the median bone lengths from ankle to head, metres.
      bones_m: [17] median distance of each joint from its parent, metres.
      bone_change: change of length of the limb bone that changes most: 95th minus 5th percentile, relative to the median.
      upright: median cosine of the angle between trunk and vertical.
      shoulders_m: median height of the shoulders above the hips along the trunk, metres.
      facing: median cosine of the angle between shoulders and hips, seen along the trunk.
      knees_m: mean distance of the knees in front of the line from hip to ankle, metres.
      floor_m: height of the floor below the lowest feet, metres.
      hip_speed: median, 95th percentile and maximum, metres per second.
      limb_speed: the same of the fastest of wrists and ankles, relative to the hip.
      lies_along: world axis, such as -y, along which the person lies while travelling across it; empty if there is none.
    """

    frames: int
    fps: float
    height_m: float
    bones_m: tuple[float, ...]
    bone_change: float
    upright: float
    shoulders_m: float
    facing: float
    knees_m: float
    floor_m: float
    hip_speed: tuple[float, ...]
    limb_speed: tuple[float, ...]
    lies_along: str = ""


@dataclasses.dataclass(frozen=True)
class Check:
    """Result of one check of a clip or a subject; `hint` is a likely cause, or empty."""

    kind: str
    found: str
    expected: str
    verdict: Verdict
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: found {self.found}, expected {self.expected}" + (f"; {self.hint}" if self.hint else "")


def measure(poses: np.ndarray, fps: float) -> Measures:
    """Measure a clip.

    Args:
      poses: [T, 17, 3] joints, world frame with z up, metres.
      fps: frames per second.
    """
    poses = poses.astype(np.float64)  # squares of positions in a wrong unit can be too large for float32
    lengths = np.linalg.norm(poses - poses[:, _PARENTS], axis=-1)  # [T, 17]
    lengths[:, 0] = 0.0
    bones = np.median(lengths, axis=0)
    low, high = np.percentile(lengths[:, _LIMBS], [5, 95], axis=0)
    trunk = directions(poses[:, 8] - poses[:, 0])
    lines = (poses[:, 11] - poses[:, 14], poses[:, 4] - poses[:, 1])  # shoulders, hips
    seen = [directions(line - trunk * _dot(line, trunk)[:, None]) for line in lines]
    above = _dot(poses[:, [11, 14]].mean(1) - poses[:, [1, 4]].mean(1), trunk)
    hip = np.linalg.norm(np.diff(poses[:, 0], axis=0), axis=-1) * fps
    along = walks_along(poses, turned=True)
    return Measures(
        frames=len(poses),
        fps=float(fps),
        height_m=float(bones[[2, 3, 5, 6]].sum() / 2 + bones[[7, 8, 9, 10]].sum()),
        bones_m=tuple(bones.tolist()),
        bone_change=float(((high - low) / np.maximum(bones[_LIMBS], 1e-3)).max()),
        upright=float(np.median(trunk[:, 2])),
        shoulders_m=float(np.median(above)),
        facing=float(np.median(_dot(*seen))),
        knees_m=_knees_in_front(poses),
        floor_m=_floor(poses),
        hip_speed=_percentiles(hip),
        limb_speed=_percentiles(limb_speeds(poses, fps)),
        lies_along="" if along == "z" else along,
    )


def limb_speeds(poses: np.ndarray, fps: float) -> np.ndarray:
    """Return the speed of the fastest of wrists and ankles relative to the hip, [T - 1], metres per second.

    Args:
      poses: [T, 17, 3] joints, metres.
      fps: frames per second.
    """
    ends = poses[:, _ENDS] - poses[:, :1]
    return np.linalg.norm(np.diff(ends, axis=0), axis=-1).max(-1) * fps


def is_mirrored(poses: np.ndarray) -> bool:
    """Return whether the knees of poses [T, 17, 3], metres, bend backwards, as they do when left and right are swapped.

    The forward direction follows from the hips and the thorax; a knee must be in front of the line from hip to ankle. The
    result is False if the legs are too straight to decide, or cannot be of a person.
    """
    return _knees_in_front(poses) < -_KNEE_BEND_M


def pooled(clips: list[Measures]) -> Measures:
    """Combine the measures of clips: medians, but the sum of the frames, the maximum speeds and the most frequent axis."""
    columns = {field.name: [getattr(clip, field.name) for clip in clips] for field in dataclasses.fields(Measures)}
    lying = [axis for axis in columns["lies_along"] if axis]
    values: dict[str, Any] = {name: _median(columns[name]) for name in _MEDIANS}
    for name in _SPEEDS:
        median, usual, top = zip(*columns[name], strict=True)
        values[name] = (_median(median), _median(usual), max(top, key=lambda speed: np.nan_to_num(speed, nan=-1.0)))
    return Measures(
        **values,
        frames=sum(columns["frames"]),
        bones_m=tuple(np.median(columns["bones_m"], axis=0).tolist()),
        lies_along=max(sorted(set(lying)), key=lying.count) if lying else "",
    )


def checks(measures: Measures, *, unit_m: float, axis: str = "", of_clip: bool = False, rigid: bool = False) -> list[Check]:
    """Compare measures with those of people.

    Args:
      measures: of a clip, or pooled.
      unit_m: assumed length of the source's unit, metres.
      axis: the source's name of the axis `measures.lies_along`.
      of_clip: whether the measures are of a single clip, in which it is not odd to lie.
      rigid: whether the source has rigid bones instead of markers.
    """
    body = _body_checks(measures, axis, of_clip)
    return [_height_check(measures, unit_m), *_bone_checks(measures, rigid), *body, *_motion_checks(measures)]


def _height_check(measures: Measures, unit_m: float) -> Check:
    low, high = _HEIGHT_M
    fitting = [unit for unit, metres in UNITS.items() if low <= measures.height_m / unit_m * metres <= high]
    hint = f"it looks like {' or '.join(fitting)}" if fitting else "no usual unit fits"
    found = f"{measures.height_m:.3g} m from ankle to head with {unit_m:.4g} m a unit"
    verdict = _verdict(measures.height_m, _HEIGHT_M, _POSSIBLE_M)
    return Check("height", found, f"{low:.1f} to {high:.2f} m", verdict, "" if verdict == "ok" else hint)


def _bone_checks(measures: Measures, rigid: bool) -> list[Check]:
    lengths = np.array(measures.bones_m)
    parts = [name.removeprefix("R").removeprefix("L") for name in _JOINTS]
    ratios = np.array([_BONES[part][0] for part in parts])  # [17]; that of the root is not used
    stature = float(np.median([*(lengths / ratios)[_LIMBS], lengths[[7, 8]].sum() / ratios[[7, 8]].sum()]))
    found = []
    for joint in range(1, len(_JOINTS)):
        _, *ends = _BONES[parts[joint]]
        usual = tuple(end * ratios[joint] * stature for end in ends)
        possible = (max(_POSSIBLE[0] * usual[0], _SHORTEST * stature), _POSSIBLE[1] * usual[1])
        hint = "they are one joint" if lengths[joint] <= _SHORTEST * stature else ""
        verdict = _verdict(lengths[joint], usual, possible)
        found.append(Check(_bone(joint), f"{lengths[joint]:.2f} m", f"{usual[0]:.2f} to {usual[1]:.2f} m", verdict, hint))
    for left, right in zip(H36M_17.joints_left, H36M_17.joints_right, strict=True):
        pair = lengths[[left, right]]
        verdict = _verdict(np.ptp(pair) / max(pair.max(), 1e-30), (0, _APART), (0, _MOST_APART))
        kind = f"{_bone(left)} and the same on the right"
        found.append(Check(kind, f"{pair[0]:.2f} and {pair[1]:.2f} m", f"at most {_APART:.0%} apart", verdict))
    verdict = _verdict(measures.bone_change, (0, _CHANGE), (0, _MOST_CHANGE_RIGID if rigid else _MOST_CHANGE))
    return [*found, Check("limbs' lengths", f"a change of {measures.bone_change:.0%}", f"at most {_CHANGE:.0%}", verdict)]


def _body_checks(measures: Measures, axis: str, of_clip: bool) -> list[Check]:
    lying = measures.upright < LYING and not of_clip
    hint = "does another axis point up?" if lying else ""
    if axis:
        hint = f'people walk while they lie along {axis}; set up = "{axis}" in a mapping file'
    upright: Verdict = "impossible" if axis else "odd" if lying else "ok"
    facing = _verdict(measures.facing, (_TWISTED, np.inf), (_TURNED, np.inf))
    backwards = measures.knees_m < -_KNEE_BEND_M
    swapped = f"are the left and right {'legs' if backwards else 'arms'} swapped?"
    above: Verdict = "ok" if measures.shoulders_m > 0 else "impossible"
    knees = "not known" if np.isnan(measures.knees_m) else f"{100 * measures.knees_m:.0f} cm in front of hip and ankle"
    return [
        Check(TRUNK, f"{_degrees(measures.upright)} from upright", f"at most {_degrees(LYING)}", upright, hint),
        Check("shoulders above hips", f"{measures.shoulders_m:.2f} m", "more than 0 m", above),
        Check(
            "shoulders against hips",
            f"{_degrees(measures.facing)} turned",
            f"at most {_degrees(_TWISTED)}",
            facing,
            "" if facing == "ok" else swapped,
        ),
        Check("floor", f"at {round(measures.floor_m, 2) + 0.0:.2f} m", "0 m; it is moved there", "ok"),
        Check("knees", knees, f"at least {-100 * _KNEE_BEND_M:.0f} cm", *(("odd", MIRRORED) if backwards else ("ok", ""))),
    ]


def _motion_checks(measures: Measures) -> list[Check]:
    rate = _verdict(measures.fps, _FPS, (0.0, np.inf))
    found = [Check("frame rate", f"{measures.fps:.4g} a second", f"{_FPS[0]:g} to {_FPS[1]:g}", rate)]
    still = measures.limb_speed[1] < _STILL_M_S and measures.frames > measures.fps
    flies = measures.hip_speed[0] > _MOST_HIP_M_S
    rate_hint = f"are {measures.fps:.4g} frames a second right?"
    for kind, speeds, limit in (("hip", measures.hip_speed, _HIP_M_S), ("limbs", measures.limb_speed, _LIMB_M_S)):
        verdict: Verdict = "odd" if speeds[1] > limit or (still and kind == "limbs") else "ok"
        expected, hint = f"95 % below {limit:g} m/s", "" if verdict == "ok" else rate_hint
        if kind == "hip" and flies:
            verdict, expected = "impossible", f"a median below {_MOST_HIP_M_S:g} m/s"
            hint = f"is the root's position in another unit than the bones? {rate_hint}"
        if kind == "limbs" and still:
            hint = "nothing moves" if measures.hip_speed[1] < _STILL_M_S else "arms and legs do not move"
        text = "median {:.2f}, 95 % below {:.2f}, top {:.1f} m/s".format(*speeds)
        found.append(Check(f"speed of the {kind}", text, expected, verdict, hint))
    return found


def _knees_in_front(poses: np.ndarray) -> float:
    """Return the mean distance of the knees in front of the line from hip to ankle, metres; NaN if the legs differ too much."""
    hips, knees, ankles = poses[:, [1, 4]], poses[:, [2, 5]], poses[:, [3, 6]]  # [T, 2, 3], right and left
    lengths = [np.median(np.linalg.norm(bone, axis=-1), axis=0) for bone in (knees - hips, ankles - knees)]
    if any(np.ptp(pair) > _LEG_DIFFERENCE * pair.max() for pair in lengths):
        return float("nan")
    forward = directions(np.cross(hips[:, 1] - hips[:, 0], poses[:, 8] - poses[:, 0]))
    return float(np.einsum("tkc,tc->tk", knees - (hips + ankles) / 2, forward).mean())


def _floor(poses: np.ndarray) -> float:
    """Return the floor's height, metres: the 5th percentile of the lower ankle's height, less an ankle's height."""
    leg = np.median(np.linalg.norm(poses[:, [2, 3, 5, 6]] - poses[:, [1, 2, 4, 5]], axis=-1), axis=0).sum() / 2
    return float(np.percentile(poses[:, [3, 6], 2].min(-1), 5) - ANKLE * leg)


def walks_along(poses: np.ndarray, *, turned: bool) -> str:
    """Return the axis, such as -y, that trunk and legs point along while the person walks across it; empty if there is none.

    People who roll on the floor do not walk: they turn all the way round at a constant height. People who walk on their hands
    are excluded, too.

    Args:
      poses: [T, 17, 3] joints, metres.
      turned: whether z is assumed to be up. Then people on their hands are along -z, and height is z.
    """
    trunk, legs = directions(poses[:, 8] - poses[:, 0]), directions(poses[:, 0] - poses[:, [3, 6]].mean(1))
    turns = np.linalg.norm(directions(np.cross(poses[:, 4] - poses[:, 1], trunk)).mean(0)) < _TURNING
    on_hands = np.median(_dot(poses[:, [13, 16]].mean(1) - poses[:, [11, 14]].mean(1), trunk)) > 0
    travel = np.ptp(poses[:, 0], axis=0)  # [3]
    for index, name in enumerate("xyz"):
        across = np.delete(travel, index)
        rolls = turns and (travel[2] if turned else across.min()) < _TRAVEL_M
        for sign, axis in ((1, name), (-1, f"-{name}")):
            along = (sign * trunk[:, index] > _ALONG) & (sign * legs[:, index] > _ALONG)
            if along.mean() >= _MOSTLY and across.max() >= _TRAVEL_M and not rolls:
                return "" if on_hands and (axis == "-z" or not turned) else axis
    return ""


def _verdict(value: float, usual: tuple[float, ...], possible: tuple[float, ...]) -> Verdict:
    if not possible[0] <= value <= possible[1]:
        return "impossible"
    return "ok" if usual[0] <= value <= usual[1] else "odd"


def _bone(joint: int) -> str:
    return f"{_JOINTS[_PARENTS[joint]]} to {_JOINTS[joint]}"


def _degrees(cosine: float) -> str:
    return f"{np.degrees(np.arccos(np.clip(cosine, -1, 1))):.0f} degrees"


def _percentiles(speeds: np.ndarray) -> tuple[float, ...]:
    return tuple(np.percentile(speeds, [50, 95, 100]).tolist()) if len(speeds) else (float("nan"),) * 3


def _median(values: Iterable[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.median(known)) if known else float("nan")


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("tc,tc->t", a, b)
