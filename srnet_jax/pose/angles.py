"""Joint angles of poses, as clinicians and OpenSim name them, from the 17 joints alone.

All angles are degrees. Flexion is positive; zero is standing upright with arms and legs straight down. Segments have axes x
forward, y up, z to the person's right:

- pelvis: z from the left to the right hip, y as near as possible to the direction from hip to spine.
- thorax: z from the left to the right shoulder, y as near as possible to the direction from spine to thorax.

- `pelvis_rotation` (turned left), `pelvis_list` (right hip lower), `pelvis_tilt` (tipped forward): the pelvis in the level
  world, turned in this order about y, x and z.
- `trunk_lean_forward`, `trunk_lean_right`: the line from hip to thorax against the vertical, along the pelvis's heading.
- `trunk_flexion` (forward), `trunk_bend_right`, `trunk_twist_left`: the thorax in the pelvis, about z, x and y.
- `hip_flexion` (thigh forward), `hip_abduction` (away from the middle), `hip_rotation` (front inwards): the thigh in the
  pelvis, about z, x and y.
- `shoulder_flexion`, `shoulder_abduction`, `shoulder_rotation`: the same of the upper arm in the thorax; and
  `shoulder_elevation`, between the arm and the thorax's -y.
- `knee_flexion`, `elbow_flexion`: between the two bones; 0 is straight.

What the joints do not tell is NaN: pelvis and lean without a level world, where a bone has no length, flexion of a limb within
10 degrees of straight to the side (elevation still tells an arm's), rotation of a limb whose knee or elbow is bent by less than
30 or more than 150 degrees. Flexion is from -150 to 210: arms straight up are at 180. Angles of ankle, forearm, wrist and neck
are left out, and a knee that is stretched too far looks like one that is bent.

Note:
  Detectors do not see the spine. Where `Source` says that it is derived, pelvis_tilt and trunk_flexion rest on what the network
  makes of hips and shoulders; trunk_lean_forward does not.
"""

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

_PELVIS = ("pelvis_rotation", "pelvis_list", "pelvis_tilt")
_LEAN = ("trunk_lean_forward", "trunk_lean_right")
_TRUNK = ("trunk_flexion", "trunk_bend_right", "trunk_twist_left")
_LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion")
_ARM = ("shoulder_flexion", "shoulder_abduction", "shoulder_rotation", "shoulder_elevation", "elbow_flexion")
NAMES = (*_PELVIS, *_LEAN, *_TRUNK, *(f"{angle}_{side}" for side in "rl" for angle in (*_LEG, *_ARM)))
_SHORTEST = 1e-6  # metres, of a bone
_SIDEWAYS, _STRAIGHT, _FOLDED = 80, 30, 150  # degrees
_LOWEST_FLEXION = -150.0
_TO_ANATOMICAL = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # x right, y away, z up to x away, y up, z right


def joint_angles(poses: np.ndarray, *, level: bool, doubtful: bool = False) -> np.ndarray:
    """Return the angles of poses.

    Args:
      poses: [..., 17, 3] joints of `skeleton.H36M_17`, x right, y away from the camera, z up; any unit, any origin.
      level: whether z is vertical; if not, pelvis and lean are NaN.
      doubtful: whether the flexion of a limb that points to the side, and the rotation of a straight one, are kept: bones that
        are turned by all angles then point where they do, but these two mean little by themselves.

    Returns:
      [..., len(NAMES)] degrees, in the order of NAMES. The pelvis's rotation is 0 where the person faces away from the camera.
    """
    points = {name: poses[..., index, :].astype(np.float64) @ _TO_ANATOMICAL.T for index, name in enumerate(H36M_17.joints)}
    pelvis = _axes(points["RHip"] - points["LHip"], points["Spine"] - points["Hip"])
    thorax = _axes(points["RShoulder"] - points["LShoulder"], points["Thorax"] - points["Spine"])
    found = _pelvis_and_lean(pelvis, points["Thorax"] - points["Hip"])
    if not level:
        found = {name: np.full_like(angle, np.nan) for name, angle in found.items()}
    twist, bend, forward = yxz(np.swapaxes(np.swapaxes(pelvis, -1, -2) @ thorax, -1, -2))  # of the inverse: z, x, y backwards
    found |= dict(zip(_TRUNK, (forward, -bend, -twist), strict=True))
    for side in "RL":
        at = [points[side + joint] for joint in ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")]
        leg, arm = _limb(pelvis, *at[:3], bends=-1, side=side), _limb(thorax, *at[3:], bends=1, side=side)
        if not doubtful:
            leg, arm = _told(*leg), _told(*arm)
        elevation = _between(at[4] - at[3], -thorax[..., 1])
        found |= {f"{name}_{side.lower()}": angle for name, angle in zip(_LEG, leg, strict=True)}
        found |= {f"{name}_{side.lower()}": angle for name, angle in zip(_ARM, (*arm[:3], elevation, arm[3]), strict=True)}
    return np.stack([found[name] for name in NAMES], axis=-1)


def pelvis_axes(poses: np.ndarray) -> np.ndarray:
    """Return the pelvis's axes forward, up, right as columns [..., 3, 3] in x away, y up, z right; poses as `joint_angles`."""
    hips = {name: poses[..., H36M_17.joints.index(name), :].astype(np.float64) for name in ("Hip", "RHip", "LHip", "Spine")}
    return _TO_ANATOMICAL @ _axes(hips["RHip"] - hips["LHip"], hips["Spine"] - hips["Hip"])


def yxz(turns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the angles, degrees, of rotations [..., 3, 3] that turn about y, then the turned x, then the turned z."""
    about_x = np.arcsin(np.clip(-turns[..., 1, 2], -1, 1))
    about_y = np.arctan2(turns[..., 0, 2], turns[..., 2, 2])
    about_z = np.arctan2(turns[..., 1, 0], turns[..., 1, 1])
    return np.degrees(about_y), np.degrees(about_x), np.degrees(about_z)


def _pelvis_and_lean(pelvis: np.ndarray, trunk: np.ndarray) -> dict[str, np.ndarray]:
    """Return the angles of a pelvis [..., 3, 3] and of the line from hip to thorax [..., 3] in a level world, y up."""
    rotation, lower, back = yxz(pelvis)
    found = dict(zip(_PELVIS, (rotation, lower, -back), strict=True))
    ahead, right = np.radians(rotation), trunk[..., 0] * 0
    forward = np.stack([np.cos(ahead), right, -np.sin(ahead)], -1)
    sideways = np.stack([np.sin(ahead), right, np.cos(ahead)], -1)
    known = np.where(np.linalg.norm(trunk, axis=-1) > _SHORTEST, 1.0, np.nan)
    leans = [np.degrees(np.arctan2((trunk * along).sum(-1), trunk[..., 1])) * known for along in (forward, sideways)]
    return found | dict(zip(_LEAN, leans, strict=True))


def _axes(right: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return axes forward, up, right as columns [..., 3, 3]: right is exact, up as near as possible; NaN if parallel."""
    z = _unit(right)
    y = _unit(up - (up * z).sum(-1, keepdims=True) * z)
    return np.stack([np.cross(y, z), y, z], axis=-1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > _SHORTEST, length, np.nan)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the angles between vectors [..., 3], degrees."""
    a, b = _unit(a), _unit(b)
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1)))


def _limb(
    around: np.ndarray, top: np.ndarray, middle: np.ndarray, end: np.ndarray, *, bends: int, side: str
) -> tuple[np.ndarray, ...]:
    """Return flexion, abduction and rotation inwards of a limb's upper part, and the flexion of its lower part.

    Args:
      around: [..., 3, 3] axes of the pelvis or the thorax, as columns.
      top: [..., 3] hip or shoulder.
      middle: [..., 3] knee or elbow.
      end: [..., 3] ankle or wrist.
      bends: 1 if the lower part bends forward, -1 if backwards.
      side: R or L.
    """
    upper = _unit(((middle - top)[..., None, :] @ around)[..., 0, :])
    lower = _unit(((end - middle)[..., None, :] @ around)[..., 0, :])
    inwards = np.arcsin(np.clip(-upper[..., 2], -1, 1))  # about x; of a left limb this is abduction
    flexion = np.arctan2(upper[..., 0], -upper[..., 1])
    bend = _between(upper, lower)
    across = lower[..., 0] * np.cos(flexion) + lower[..., 1] * np.sin(flexion)  # the flexion undone
    along = lower[..., 1] * np.cos(flexion) - lower[..., 0] * np.sin(flexion)
    aside = lower[..., 2] * np.cos(inwards) - along * np.sin(inwards)  # and the abduction
    rotation = np.degrees(np.arctan2(-bends * aside, bends * across))
    sign = 1 if side == "R" else -1
    degrees = (np.degrees(flexion) - _LOWEST_FLEXION) % 360 + _LOWEST_FLEXION
    return degrees, -sign * np.degrees(inwards), sign * rotation, bend


def _told(flexion: np.ndarray, abduction: np.ndarray, rotation: np.ndarray, bend: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a limb's angles, NaN where the joints hardly tell them."""
    flexion = np.where(np.abs(abduction) > _SIDEWAYS, np.nan, flexion)
    rotation = np.where(np.isnan(flexion) | (bend < _STRAIGHT) | (bend > _FOLDED), np.nan, rotation)
    return flexion, abduction, rotation, bend
