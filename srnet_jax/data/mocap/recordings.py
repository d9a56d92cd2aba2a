"""Correct recordings: implausible frame rates, rest poses at the ends, jumps, and floors that are not at zero.

*Frame rates.* A BVH file may have its frame time in milliseconds, a frame rate in place of the frame time, or 1 or 0 if the
rate was unknown. The first two cases are recognised. Otherwise the rate is guessed: of 30, 60 and 120 frames a second, the one
at which wrists and ankles are nearest to their usual speed. In CMU and HDM05 that speed varies by a factor of 1.6 (standard
deviation of its logarithm), so the guess can be wrong by a factor of two, and a warning reports it.

*Jumps.* A joint jumps if it moves further in a frame than people can, and three times further than in the frames around. The
clip is split at jumps. Pieces of less than half a second are left out, and so are frames in a rest pose (T-pose or A-pose) at
the beginning or the end that a jump separates from the motion.

*Floors.* People walk on one floor in a recording session. A subject's floor is the lower quartile of its clips' floors. A clip
whose own floor is half a metre or more from it keeps its own. Floors within 0.15 m of zero are not moved.
"""

import itertools

import numpy as np

from srnet_jax.data.mocap.plausibility import limb_speeds
from srnet_jax.data.mocap.skeleton_maps import directions
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17

_PLAUSIBLE_FPS = (5.0, 1000.0)
_RATES = (24.0, 25.0, 30.0, 50.0, 60.0, 90.0, 100.0, 120.0, 240.0)
_NEAR = 0.05  # relative error of a frame time in milliseconds: these are often rounded to whole numbers
_GUESSES, _USUAL_M_S = (30.0, 60.0, 120.0), 2.28  # speed: 90th percentile of the limbs', median over clips of CMU and HDM05
GUESS = ": a guess"  # end of the note on a guessed rate
_STILL_M = 1e-4  # movement in a frame below which nothing moves

_JUMP_M, _LIMB_M_S, _HIP_M_S = 0.2, 12.0, 6.0  # larger and faster than people move in a single frame
_ISOLATED, _AROUND = 3.0, 2  # a jump is 3 times as large as the steps in the 2 frames before and after
_SHORTEST_S = 0.5
_STRAIGHT, _DOWNWARDS, _SIDEWAYS, _ALIKE = 0.95, (-0.87, 0.35), 0.45, 0.25  # limits of in_rest_pose

_OTHER_FLOOR_M, _LEAST_FLOOR_M = 0.5, 0.15

_JOINTS = H36M_17.joints
_LEGS, _ARMS = (
    np.array([[_JOINTS.index(side + name) for name in names] for side in "LR"])
    for names in (("Hip", "Knee", "Foot"), ("Shoulder", "Elbow", "Wrist"))
)


def frame_rate(fps: float, poses: np.ndarray, field: str = "") -> tuple[float, str]:
    """Return the frame rate of a file: the declared one if it is plausible, otherwise a corrected or guessed one.

    Args:
      fps: one over the file's frame time; 0 or infinite if the file declares none.
      poses: [T, 17, 3] joints, metres.
      field: the file's name of the rate; empty if the file has a frame time.

    Returns:
      Frames per second, 0 if unknown; and a note on how the rate was found, empty if the declared one is plausible.
    """
    if _PLAUSIBLE_FPS[0] <= fps <= _PLAUSIBLE_FPS[1]:
        return fps, ""
    time = 1 / fps if 1e-9 < fps < np.inf else 0.0
    found = f"found no {field}" if field else f"found a frame time of {time:.6g} s"
    rate = next((rate for rate in _RATES if np.isclose(time, rate)), 0.0)
    if rate:
        return rate, f"{found}, read as {rate:g} frames a second"
    rate = next((rate for rate in _RATES if abs(rate * time / 1000 - 1) < _NEAR), 0.0)
    if rate:
        return rate, f"{found}, read as milliseconds, {rate:g} frames a second"
    step = float(np.percentile(limb_speeds(poses, 1.0), 90)) if len(poses) > 1 else 0.0
    if step < _STILL_M:
        return 0.0, f"{found}, and nothing that moves"
    rate = min(_GUESSES, key=lambda guess: abs(np.log(step * guess / _USUAL_M_S)))
    at = f", at which wrists and ankles move at {step * fps:.2g} m/s" if time else ""
    moving = "they" if time else "wrists and ankles"
    return rate, f"{found}{at}; read as {rate:g} frames a second, at which {moving} move at {step * rate:.2g} m/s{GUESS}"


def parts(poses: np.ndarray, fps: float, rest_pose: bool | int | None = None) -> tuple[list[slice], list[str]]:
    """Split a clip at jumps, and cut rest poses at its ends.

    Args:
      poses: [T, 17, 3] joints, metres.
      fps: frames per second.
      rest_pose: True if the first frame is a rest pose, False if none is, a number if this many of the first frames are; None
        to search for rest poses at both ends.

    Returns:
      The pieces that are kept, and notes on what was cut.

    Raises:
      DataError: if `rest_pose` leaves no frame.
    """
    first, last, cut = int(rest_pose or 0), len(poses), []
    if first >= last:
        raise DataError(f"found {last} frames, expected more than the rest_pose = {first}")
    if first:
        cut.append(f"left out {_frames(first)} at the beginning (rest_pose)")
    hip = np.linalg.norm(np.diff(poses[:, 0], axis=0), axis=-1)
    limbs = np.linalg.norm(np.diff(poses - poses[:, :1], axis=0), axis=-1).max(-1)
    jumps = _jumps(limbs, _LIMB_M_S / fps) | _jumps(hip, _HIP_M_S / fps)
    step = np.linalg.norm(np.diff(poses, axis=0), axis=-1).max(-1)  # [T - 1] for messages
    if rest_pose is None:
        first, last, cut = _without_rest_poses(poses, np.flatnonzero(jumps | _jumps(limbs, 0.0)), step)
    jumps[:first] = jumps[last - 1 :] = False
    places = np.flatnonzero(jumps)
    if not len(places):
        return [slice(first, last)], cut
    ends = [first, *(places + 1).tolist(), last]
    pieces = [slice(start, stop) for start, stop in itertools.pairwise(ends)]
    kept = [piece for piece in pieces if piece.stop - piece.start >= _SHORTEST_S * fps]
    kept = kept or [max(pieces, key=lambda piece: piece.stop - piece.start)]
    lost = last - first - sum(piece.stop - piece.start for piece in kept)
    worst = places[np.argmax(step[places])]
    found = f"{len(places)} jumps, the longest" if len(places) > 1 else "a jump"
    what = f"split into {len(kept)} clips" if len(kept) > 1 else ""
    what += " and " * bool(what and lost) + f"left out {_frames(lost)}" * bool(lost)
    return kept, [*cut, f"found {found} of {step[worst]:.2g} m after frame {worst + 1}; {what}"]


def floors(found: dict[str, float]) -> dict[str, float]:
    """Return the height of the floor for each clip of a subject, metres; 0 for floors that are not to be moved.

    Args:
      found: {clip: height of the floor below the clip's own lowest feet, metres}.
    """
    shared = float(np.percentile(list(found.values()), 25))
    heights = {clip: own if abs(own - shared) > _OTHER_FLOOR_M else shared for clip, own in found.items()}
    return {clip: height if abs(height) > _LEAST_FLOOR_M else 0.0 for clip, height in heights.items()}


def _without_rest_poses(poses: np.ndarray, jumps: np.ndarray, step: np.ndarray) -> tuple[int, int, list[str]]:
    """Return the first frame, the end and notes of a clip without rest poses at its ends that a jump separates."""
    first, last, cut = 0, len(poses), []
    resting = in_rest_pose(poses)
    before = [jump for jump in jumps if resting[: jump + 1].all()]
    if before:
        first = int(before[-1]) + 1
        cut.append(f"left out {_frames(first)} in a rest pose at the beginning, before a jump of {step[first - 1]:.2g} m")
    after = [jump for jump in jumps if jump >= first and resting[jump + 1 :].all()]
    if after:
        last = int(after[0]) + 1
        jump = f"after a jump of {step[last - 1]:.2g} m"
        cut.append(f"left out {_frames(len(poses) - last)} in a rest pose at the end, {jump}")
    return first, last, cut


def _jumps(steps: np.ndarray, least: float) -> np.ndarray:
    """Return which steps [T - 1] are jumps: long, and far longer than the short steps around them."""
    fast = steps > max(_JUMP_M, least)
    jumps = np.zeros(len(steps), bool)
    for index in np.flatnonzero(fast):
        around = slice(max(index - _AROUND, 0), index + _AROUND + 1)
        slow = steps[around][~fast[around]]
        jumps[index] = len(slow) > 0 and steps[index] > _ISOLATED * slow.max()
    return jumps


def in_rest_pose(poses: np.ndarray) -> np.ndarray:
    """Return in which frames [T] people are in a T-pose or A-pose.

    Limbs are straight, legs are in line with the trunk, and both arms point sideways at about the same angle, level or
    slanting.
    """
    trunk = directions(poses[:, 8] - poses[:, 0])[:, None]  # [T, 1, 3]
    left = directions(poses[:, 11] - poses[:, 14])[:, None]
    straight = []
    for limb in (_LEGS, _ARMS):
        bones = [np.linalg.norm(poses[:, limb[:, i + 1]] - poses[:, limb[:, i]], axis=-1) for i in (0, 1)]
        reach = np.linalg.norm(poses[:, limb[:, 2]] - poses[:, limb[:, 0]], axis=-1)
        straight.append((reach > _STRAIGHT * sum(bones)).all(-1))
    legs, arms = (directions(poses[:, limb[:, 2]] - poses[:, limb[:, 0]]) for limb in (_LEGS, _ARMS))  # [T, 2, 3]
    raised = (arms * trunk).sum(-1)
    outwards = (arms * left).sum(-1) * [1, -1]
    level = ((raised > _DOWNWARDS[0]) & (raised < _DOWNWARDS[1]) & (outwards > _SIDEWAYS)).all(-1)
    standing = ((legs * trunk).sum(-1) < -_STRAIGHT + 0.05).all(-1)
    return straight[0] & straight[1] & level & standing & (np.ptp(raised, axis=-1) < _ALIKE)


def _frames(count: int) -> str:
    return f"{count:,} frame{'s' * (count != 1)}"
