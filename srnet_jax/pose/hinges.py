"""Knees and elbows that bend the wrong way, made straight.

Which way is wrong follows from the body's own axes, whatever the camera. The knee bends about an axis near the line through the
hips, so that the foot goes backwards; the elbow about one near the line through the shoulders, so that the hand goes forwards.
The line is taken at right angles to the thigh or the upper arm. Hip and shoulder turn the axis about that bone, but in motion
capture hardly ever by more than 90 degrees: in 68,000 frames of CMU and HDM05 it holds for 99.9 % of the knees bent by 10
degrees or more whose thigh is less than 90 degrees from the torso's downward direction, and for 99.5 % of such elbows whose
upper arm is less than 45 degrees from it. Beyond these angles (a thigh drawn to the chest, an arm held out or up) it fails for
8 % of the knees and 12 % of the elbows, so there nothing is corrected, nor where the line is within 30 degrees of the bone.

Elbows are not corrected unless asked for: those of two of HDM05's actors do bend backwards, by more than 5 degrees in 7 % of
the frames of all people kept for testing, while knees do so in 0.6 %.

A wrong bend of more than 40 degrees stays too, for it is no hyperextension: the true leg was folded, and the pose is wrong in
more than its knee, so that straightening it led farther away. `wrong_bends` tells of all that are seen.

What cannot be seen: a knee or an elbow bent the right way by a wrong angle, and one that bends sideways.
"""

import numpy as np

from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.smoothing import complete_frames

_KNEE_LIMIT, _ELBOW_LIMIT, _FADE = np.radians(90), np.radians(45), np.radians(15)
_CERTAIN, _FARTHEST = np.radians(25), np.radians(40)  # wrong bends up to which all, and from which on nothing is corrected
_LEAST_ACROSS = 0.5  # of the line's part at right angles to the bone: sine of the angle between them
_SHORTEST = 1e-6  # metres
_ROUNDING = 1e-7  # radians

_JOINTS = H36M_17.joints
_HIP, _THORAX = _JOINTS.index("Hip"), _JOINTS.index("Thorax")


# Of the knees and the elbows: the limb's joints, the line from the first to the second of which is the axis, and the limit.
_NAMES = (("Hip", "Knee", "Foot"), ("Shoulder", "Elbow", "Wrist"))
_LIMBS = np.array([[_JOINTS.index(side + name) for name in names] for names in _NAMES for side in "LR"])
_LINES = np.array([[_JOINTS.index(name) for name in line] for line in (("RHip", "LHip"), ("LShoulder", "RShoulder"))])
_LINES, _LIMITS = _LINES.repeat(2, axis=0), np.array([_KNEE_LIMIT, _ELBOW_LIMIT]).repeat(2)


def bent_forwards(poses: np.ndarray, *, knees: bool = True, elbows: bool = False) -> np.ndarray:
    """Return poses [T, 17, 3] in which no knee or elbow bends the wrong way, as far as that can be told.

    Of a bend, the part about the wrong direction of the axis is taken away, so that one that is wrong alone becomes straight;
    the part at right angles to it stays. The correction fades out over the last 15 degrees before each limit that the head of
    this module gives. The two joints beyond the hip or shoulder move as little as the bones' lengths allow.

    Args:
      poses: joints of `skeleton.H36M_17`, any right-handed frame, metres; frames with a NaN stay as they are.
      knees: whether knees are corrected.
      elbows: whether elbows are.

    Returns:
      [T, 17, 3] float64; bones keep their lengths.
    """
    made = np.array(poses, np.float64)
    frames, which = np.nonzero(_suspected(made) & np.array([knees, knees, elbows, elbows]))
    if not len(frames):
        return made
    limbs = made[frames[:, None], _LIMBS[which]]  # [N, 3, 3]
    bend, axis, trust = _bends(made, frames, which)
    wrong = np.minimum((bend * axis).sum(-1), 0)
    share = trust * np.clip((_FARTHEST + wrong) / (_FARTHEST - _CERTAIN), 0, 1)
    changed = wrong * share < -_ROUNDING
    limbs, kept = limbs[changed], (bend - axis * (wrong * share)[:, None])[changed]
    upper, lower = (_unit(bone) for bone in np.diff(limbs, axis=1).swapaxes(0, 1))
    made[frames[changed, None], _LIMBS[which[changed], 1:]] = _unbent(limbs, _turn(lower, _rotated(upper, kept)))
    return made


def wrong_bends(poses: np.ndarray) -> np.ndarray:
    """Return by how much the left and right knee, and the left and right elbow, bend the wrong way [T, 4], degrees.

    Zero where one does not; NaN where it cannot be told, and in frames with a NaN. Arguments as of `bent_forwards`.
    """
    poses = np.asarray(poses, np.float64)
    found = np.full((len(poses), len(_LIMBS)), np.nan)
    frames, which = np.nonzero(np.broadcast_to(complete_frames(poses)[:, None], found.shape))
    bend, axis, trust = _bends(poses, frames, which)
    found[frames, which] = np.where(trust > 0, np.degrees(np.maximum(-(bend * axis).sum(-1), 0)), np.nan)
    return found


def _suspected(poses: np.ndarray) -> np.ndarray:
    """Return where a hinge bends about the wrong direction of its axis, [T, 4]: cheap, for hardly any does."""
    first, hinge, last = (poses[:, _LIMBS[:, index]] for index in range(3))
    across = poses[:, _LINES[:, 1]] - poses[:, _LINES[:, 0]]
    wrong = (_cross(hinge - first, last - hinge) * across).sum(-1) < 0
    return wrong & complete_frames(poses)[:, None]


def _bends(poses: np.ndarray, frames: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, of hinges [N] in frames [N], the rotation vectors from the upper to the lower bone, the axes, and trust in these.

    The first two are [N, 3], radians, in the poses' frame; the last is [N], 0 to 1.
    """
    first, hinge, last = poses[frames[:, None], _LIMBS[which]].swapaxes(0, 1)
    upper = _unit(hinge - first)
    across = _unit(poses[frames, _LINES[which, 1]] - poses[frames, _LINES[which, 0]])
    axis = across - (across * upper).sum(-1, keepdims=True) * upper
    told = np.linalg.norm(axis, axis=-1) >= _LEAST_ACROSS
    raised = np.linalg.norm(_turn(_unit(poses[frames, _HIP] - poses[frames, _THORAX]), upper), axis=-1)
    trust = np.clip((_LIMITS[which] - raised) / _FADE, 0, 1) * told
    return _turn(upper, _unit(last - hinge)), _unit(axis), trust


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _SHORTEST)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross products of vectors [..., 3]; of few of them in half the time that NumPy's takes."""
    (ax, ay, az), (bx, by, bz) = (np.moveaxis(vectors, -1, 0) for vectors in (a, b))
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the rotation vectors [N, 3] that turn directions [N, 3] to others the shortest way; 0 for opposite ones."""
    cross = _cross(a, b)
    sine = np.linalg.norm(cross, axis=-1, keepdims=True)
    return cross / np.maximum(sine, 1e-12) * np.arctan2(sine, (a * b).sum(-1, keepdims=True))


def _rotated(vectors: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Rotate vectors [N, 3] by rotation vectors [N, 3] (Rodrigues)."""
    angle = np.linalg.norm(turns, axis=-1, keepdims=True)
    axis = turns / np.maximum(angle, 1e-12)
    along = (axis * vectors).sum(-1, keepdims=True)
    return vectors * np.cos(angle) + _cross(axis, vectors) * np.sin(angle) + axis * along * (1 - np.cos(angle))


def _unbent(limbs: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Return the second and third joint [N, 2, 3] of limbs [N, 3, 3] whose lower bone is turned, nearest to where they were.

    The limb is bent by the turn, and as a whole turned about its first joint so that the sum of both joints' squared
    displacements is the least (Kabsch).
    """
    before = limbs[:, 1:] - limbs[:, :1]
    after = before.copy()
    after[:, 1] = before[:, 0] + _rotated(before[:, 1] - before[:, 0], turns)
    u, _, vt = np.linalg.svd(after.mT @ before)  # [N, 3, 3]
    vt[:, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return limbs[:, :1] + after @ (u @ vt)
