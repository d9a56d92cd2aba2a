"""Straighten knees and elbows that bend the wrong way.

Which way is wrong follows from the body's own axes and does not depend on the camera. A knee bends about an axis near the line
through the hips, so that the foot moves backwards. An elbow bends about an axis near the line through the shoulders, so that
the hand moves forwards. The axis is the part of this line that is perpendicular to the thigh or the upper arm. Hip and shoulder
rotate the axis about that bone, but in motion capture hardly ever by more than 90 degrees: in 68,000 frames of CMU and HDM05,
the rule holds for 99.9 % of the knees that are bent by 10 degrees or more while the thigh is less than 90 degrees from the
torso's downward direction, and for 99.5 % of such elbows while the upper arm is less than 45 degrees from it. Beyond these
angles (a thigh drawn to the chest, an arm held out or up) it fails for 8 % of the knees and 12 % of the elbows. There nothing
is corrected, nor if the line is within 30 degrees of the bone.

Elbows are corrected only on request: two of HDM05's actors do bend them backwards, so that of all people kept for testing, 7 %
of the frames have an elbow bent backwards by more than 5 degrees, but only 0.6 % have such a knee.

A wrong bend of more than 40 degrees is not corrected either. It is not a hyperextension: the true leg was folded, the pose is
wrong in more than its knee, and straightening the knee made it worse. `wrong_bends` reports all wrong bends.

Two errors are not found: a knee or an elbow that bends the right way by a wrong angle, and one that bends sideways.
"""

import numpy as np

from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.smoothing import complete_frames

_KNEE_LIMIT, _ELBOW_LIMIT, _FADE = np.radians(90), np.radians(45), np.radians(15)
_CERTAIN, _FARTHEST = np.radians(25), np.radians(40)  # smaller wrong bends are corrected fully, larger ones not at all
_MIN_ACROSS = 0.5  # least sine of the angle between the line and the bone
_MIN_LENGTH = 1e-6  # of a bone, metres
_ROUNDING = 1e-7  # radians

_JOINTS = H36M_17.joints
_HIP, _THORAX = _JOINTS.index("Hip"), _JOINTS.index("Thorax")


# For the left and right knee and elbow: the joints of the limb, the two joints whose line is the axis, and the limit angle.
_NAMES = (("Hip", "Knee", "Foot"), ("Shoulder", "Elbow", "Wrist"))
_LIMBS = np.array([[_JOINTS.index(side + name) for name in names] for names in _NAMES for side in "LR"])
_LINES = np.array([[_JOINTS.index(name) for name in line] for line in (("RHip", "LHip"), ("LShoulder", "RShoulder"))])
_LINES, _LIMITS = _LINES.repeat(2, axis=0), np.array([_KNEE_LIMIT, _ELBOW_LIMIT]).repeat(2)


def without_wrong_bends(poses: np.ndarray, *, knees: bool = True, elbows: bool = False) -> np.ndarray:
    """Straighten the knees and elbows of poses that bend the wrong way.

    Only the part of a bend about the wrong direction of the axis is removed; the perpendicular part stays. The correction fades
    out over the last 15 degrees before each limit that this module's docstring gives. The two joints beyond the hip or shoulder
    move as little as the lengths of the bones allow.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, in any right-handed frame, metres; frames with a NaN are unchanged.
      knees: whether to correct knees.
      elbows: whether to correct elbows.

    Returns:
      [T, 17, 3] float64 joints, metres; bones keep their lengths.
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
    """Measure by how much knees and elbows bend the wrong way.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, in any right-handed frame, metres.

    Returns:
      [T, 4] degrees, of the left knee, right knee, left elbow and right elbow. Zero if one bends the right way; NaN if the
      right way is not known, and in frames with a NaN.
    """
    poses = np.asarray(poses, np.float64)
    found = np.full((len(poses), len(_LIMBS)), np.nan)
    frames, which = np.nonzero(np.broadcast_to(complete_frames(poses)[:, None], found.shape))
    bend, axis, trust = _bends(poses, frames, which)
    found[frames, which] = np.where(trust > 0, np.degrees(np.maximum(-(bend * axis).sum(-1), 0)), np.nan)
    return found


def _suspected(poses: np.ndarray) -> np.ndarray:
    """Return which hinges [T, 4] may bend the wrong way: a cheap test, because hardly any does."""
    first, hinge, last = (poses[:, _LIMBS[:, index]] for index in range(3))
    across = poses[:, _LINES[:, 1]] - poses[:, _LINES[:, 0]]
    wrong = (_cross(hinge - first, last - hinge) * across).sum(-1) < 0
    return wrong & complete_frames(poses)[:, None]


def _bends(poses: np.ndarray, frames: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bend, the axis and the trust in the axis of N hinges `which` in the given frames.

    The bend is the rotation vector [N, 3] from the upper to the lower bone, radians; the axis is a unit vector [N, 3]; both are
    in the poses' frame. The trust [N] is 0 to 1.
    """
    first, hinge, last = poses[frames[:, None], _LIMBS[which]].swapaxes(0, 1)
    upper = _unit(hinge - first)
    across = _unit(poses[frames, _LINES[which, 1]] - poses[frames, _LINES[which, 0]])
    axis = across - (across * upper).sum(-1, keepdims=True) * upper
    is_known = np.linalg.norm(axis, axis=-1) >= _MIN_ACROSS
    raised = np.linalg.norm(_turn(_unit(poses[frames, _HIP] - poses[frames, _THORAX]), upper), axis=-1)
    trust = np.clip((_LIMITS[which] - raised) / _FADE, 0, 1) * is_known
    return _turn(upper, _unit(last - hinge)), _unit(axis), trust


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), _MIN_LENGTH)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross products of vectors [..., 3]; for few vectors in half the time of `np.cross`."""
    (ax, ay, az), (bx, by, bz) = (np.moveaxis(vectors, -1, 0) for vectors in (a, b))
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=-1)


def _turn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the shortest rotation vectors [N, 3] from directions `a` to directions `b` [N, 3]; 0 for opposite directions."""
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
    """Rotate the lower bones of limbs [N, 3, 3] by rotation vectors [N, 3]; return the second and third joints [N, 2, 3].

    The limb as a whole is then rotated about its first joint so that the sum of the squared displacements of both joints is
    least (Kabsch).
    """
    before = limbs[:, 1:] - limbs[:, :1]
    after = before.copy()
    after[:, 1] = before[:, 0] + _rotated(before[:, 1] - before[:, 0], turns)
    u, _, vt = np.linalg.svd(after.mT @ before)  # [N, 3, 3]
    vt[:, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return limbs[:, :1] + after @ (u @ vt)
