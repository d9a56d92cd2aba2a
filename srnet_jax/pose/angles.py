"""Compute joint angles of poses from the 17 joints, with the names and signs that clinicians and OpenSim use.

All angles are in degrees. Flexion is positive; all angles are zero when a person stands upright with arms and legs straight
down. The axes of a segment are x forward, y up, z to the person's right:

- pelvis: z from the left to the right hip, y as near as possible to the direction from hip to spine.
- thorax: z from the left to the right shoulder, y as near as possible to the direction from spine to thorax.

The angles (positive direction in parentheses):

- `pelvis_rotation` (to the left), `pelvis_list` (right hip lower), `pelvis_tilt` (forward): rotation of the pelvis in a level
  world, about y, then x, then z.
- `trunk_lean_forward`, `trunk_lean_right`: angle from the vertical to the line from hip to thorax, along the heading of the
  pelvis.
- `trunk_flexion` (forward), `trunk_bend_right`, `trunk_twist_left`: rotation of the thorax relative to the pelvis, about z, x
  and y.
- `hip_flexion` (thigh forward), `hip_abduction` (away from the middle), `hip_rotation` (front inwards): rotation of the thigh
  relative to the pelvis, about z, x and y.
- `shoulder_flexion`, `shoulder_abduction`, `shoulder_rotation`: the same for the upper arm relative to the thorax.
- `shoulder_elevation`: angle between the upper arm and the thorax's -y.
- `knee_flexion`, `elbow_flexion`: angle between the two bones; 0 is straight.

An angle that the joints do not determine is NaN: the pelvis and lean angles without a level world; angles of a bone without
length; the flexion of a limb within 10 degrees of pointing straight to the side (an arm's elevation is still known); and the
rotation of a limb whose knee or elbow is bent by less than 30 or more than 150 degrees. Flexion ranges from -150 to 210: arms
straight up are at 180. Angles of ankle, forearm, wrist and neck are not computed. A hyperextended knee looks like a bent one.

Note:
  Detectors do not see the spine. If `Source` says that it is derived, pelvis_tilt and trunk_flexion depend on what the network
  infers from hips and shoulders; trunk_lean_forward does not.
"""

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

_PELVIS = ("pelvis_rotation", "pelvis_list", "pelvis_tilt")
_LEAN = ("trunk_lean_forward", "trunk_lean_right")
_TRUNK = ("trunk_flexion", "trunk_bend_right", "trunk_twist_left")
_LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion")
_ARM = ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "shoulder_elevation", "elbow_flexion")
NAMES = (*_PELVIS, *_LEAN, *_TRUNK, *(f"{angle}_{side}" for side in "rl" for angle in (*_LEG, *_ARM)))
_MIN_LENGTH = 1e-6  # of a bone, metres
_SIDEWAYS, _STRAIGHT, _FOLDED = 80, 30, 150  # degrees; limits beyond which flexion or rotation is not determined
_MIN_FLEXION = -150.0
_TO_ANATOMICAL = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # from x right, y away, z up to x away, y up, z right


def joint_angles(poses: np.ndarray, *, level: bool, doubtful: bool = False) -> np.ndarray:
    """Compute the joint angles of poses.

    Args:
      poses: [..., 17, 3] joints of `skeleton.H36M_17`, x right, y away from the camera, z up; any unit, any origin.
      level: whether z is vertical; if not, the pelvis and lean angles are NaN.
      doubtful: whether to keep the flexion of a limb that points to the side and the rotation of a straight limb. Bones rotated
        by all angles then have their true directions, but these two angles mean little on their own.

    Returns:
      [..., len(NAMES)] degrees, in the order of `NAMES`. `pelvis_rotation` is 0 if the person faces away from the camera.
    """
    points = {name: poses[..., index, :].astype(np.float64) @ _TO_ANATOMICAL.T for index, name in enumerate(H36M_17.joints)}
    pelvis = _axes(points["RHip"] - points["LHip"], points["Spine"] - points["Hip"])
    thorax = _axes(points["RShoulder"] - points["LShoulder"], points["Thorax"] - points["Spine"])
    found = _pelvis_and_lean(pelvis, points["Thorax"] - points["Hip"])
    if not level:
        found = {name: np.full_like(angle, np.nan) for name, angle in found.items()}
    twist, bend, forward = yxz(np.swapaxes(np.swapaxes(pelvis, -1, -2) @ thorax, -1, -2))  # angles of the inverse
    found |= dict(zip(_TRUNK, (forward, -bend, -twist), strict=True))
    for side in "RL":
        at = [points[side + joint] for joint in ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")]
        leg, arm = _limb(pelvis, *at[:3], bends=-1, side=side), _limb(thorax, *at[3:], bends=1, side=side)
        if not doubtful:
            leg, arm = _without_doubtful(*leg), _without_doubtful(*arm)
        elevation = _between(at[4] - at[3], -thorax[..., 1])
        found |= {f"{name}_{side.lower()}": angle for name, angle in zip(_LEG, leg, strict=True)}
        found |= {f"{name}_{side.lower()}": angle for name, angle in zip(_ARM, (*arm[:3], elevation, arm[3]), strict=True)}
    return np.stack([found[name] for name in NAMES], axis=-1)


def pelvis_axes(poses: np.ndarray) -> np.ndarray:
    """Return the axes of the pelvis.

    Args:
      poses: [..., 17, 3] joints as for `joint_angles`.

    Returns:
      [..., 3, 3] the axes forward, up and right as columns, in a frame with x away from the camera, y up, z right.
    """
    hips = {name: poses[..., H36M_17.joints.index(name), :].astype(np.float64) for name in ("Hip", "RHip", "LHip", "Spine")}
    return _TO_ANATOMICAL @ _axes(hips["RHip"] - hips["LHip"], hips["Spine"] - hips["Hip"])


def yxz(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decompose rotations [..., 3, 3] into angles, degrees, about y, then the rotated x, then the rotated z."""
    about_x = np.arcsin(np.clip(-turns[..., 1, 2], -1, 1))
    about_y = np.arctan2(turns[..., 0, 2], turns[..., 2, 2])
    about_z = np.arctan2(turns[..., 1, 0], turns[..., 1, 1])
    return np.degrees(about_y), np.degrees(about_x), np.degrees(about_z)


def _pelvis_and_lean(pelvis: np.ndarray, trunk: np.ndarray) -> dict[str, np.ndarray]:
    """Return the angles of the pelvis axes [..., 3, 3] and of the line from hip to thorax [..., 3], y up."""
    rotation, lower, back = yxz(pelvis)
    found = dict(zip(_PELVIS, (rotation, lower, -back), strict=True))
    ahead, right = np.radians(rotation), trunk[..., 0] * 0
    forward = np.stack([np.cos(ahead), right, -np.sin(ahead)], -1)
    sideways = np.stack([np.sin(ahead), right, np.cos(ahead)], -1)
    known = np.where(np.linalg.norm(trunk, axis=-1) > _MIN_LENGTH, 1.0, np.nan)
    leans = [np.degrees(np.arctan2((trunk * along).sum(-1), trunk[..., 1])) * known for along in (forward, sideways)]
    return found | dict(zip(_LEAN, leans, strict=True))


def _axes(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return axes forward, up, right as columns [..., 3, 3]; right is exact, up as near as possible, NaN if parallel."""
    z = _unit(right)
    y = _unit(up - (up * z).sum(-1, keepdims=True) * z)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > _MIN_LENGTH, length, np.nan)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles between vectors [..., 3], degrees."""
    a, b = _unit(a), _unit(b)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))


def _limb(
    around: np.ndarray, top: np.ndarray, middle: np.ndarray, end: np.ndarray, *, bends: int, side: str
) -> tuple[np.ndarray, ...]:
    """Return flexion, abduction and inward rotation of a limb's upper part, and the flexion of its lower part, degrees.

    Args:
      around: [..., 3, 3] axes of the pelvis or the thorax, as columns.
      top: [..., 3] hip or shoulder.
      middle: [..., 3] knee or elbow.
      end: [..., 3] ankle or wrist.
      bends: 1 if the lower part bends forward, -1 if backwards.
      side: "R" or "L".
    """
    upper = _unit(((middle - top)[..., None, :] @ around)[..., 0, :])
    lower = _unit(((end - middle)[..., None, :] @ around)[..., 0, :])
    inwards = np.arcsin(np.clip(-upper[..., 2], -1, 1))  # about x; for a left limb this is abduction
    flexion = np.arctan2(upper[..., 0], -upper[..., 1])
    bend = _between(upper, lower)
    across = lower[..., 0] * np.cos(flexion) + lower[..., 1] * np.sin(flexion)  # with the flexion undone
    along = lower[..., 1] * np.cos(flexion) - lower[..., 0] * np.sin(flexion)
    aside = lower[..., 2] * np.cos(inwards) - along * np.sin(inwards)  # and with the abduction undone
    rotation = np.degrees(np.arctan2(-bends * aside, bends * across))
    sign = 1 if side == "R" else -1
    degrees = (np.degrees(flexion) - _MIN_FLEXION) % 360 + _MIN_FLEXION
    return degrees, -sign * np.degrees(inwards), sign * rotation, bend


def _without_doubtful(
    flexion: np.ndarray, abduction: np.ndarray, rotation: np.ndarray, bend: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Set the angles of a limb to NaN that its joints hardly determine."""
    flexion = np.where(np.abs(abduction) > _SIDEWAYS, np.nan, flexion)
    rotation = np.where(np.isnan(flexion) | (bend < _STRAIGHT) | (bend > _FOLDED), np.nan, rotation)
    return flexion, abduction, rotation, bend
