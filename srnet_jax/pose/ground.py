"""Estimate the vertical and the floor from standing feet, upright bodies and an approximately level camera.

A foot that hardly moves is standing. If the person walks around, a plane through the standing feet gives the vertical and the
height; the depth of a foot is far less certain than its position in the image. If the person stays in one place, there is no
plane: the vertical then follows from upright bodies and from a camera that is level within about 10 degrees. All of this is one
least-squares problem. Feet that do not fit (on stairs, on a chair) have little weight, and the covariance gives the
uncertainty.

The foot of `skeleton.H36M_17` is the ankle. The floor is `ANKLE` leg lengths (thigh and shank) below the standing ankles: 8 cm
for a leg of 80 cm. In motion capture it is 7 to 12 cm, depending on the markers, so that the floor is uncertain by at least 2
cm.

Camera frame: x right, y down, z away from the camera. World frame: z up, the floor at z = 0, y horizontal and away from the
camera, x right. Both are in metres.
"""

import dataclasses

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.complete import LONGEST_GAP_S
from srnet_jax.pose.footlock import FEET, FEET_S
from srnet_jax.pose.root_path import check_times
from srnet_jax.pose.skeleton import H36M_17, ROOT
from srnet_jax.pose.smoothing import runs
from srnet_jax.pose.whittaker import whittaker

ANKLE = 0.1  # height of the ankle above the floor, leg lengths
_SLOW_M_S = 0.7  # a slower foot is standing
_HIGHER_M = 0.1  # a foot that is higher than the other one by this much is not standing, even if it is slow
_SHORTEST_S, _LONGEST_S = 0.1, 0.5  # shorter stands are not used, longer ones are split
_ACROSS_M, _ALONG_M, _ALONG = 0.1, 0.15, 0.035  # error of a stand: across the ray; along it, in metres and per distance
_PITCH_DEG, _ROLL_DEG, _HEIGHT_M = 10.0, 5.0, (1.3, 1.0)  # prior of the camera: deviations from level; height and its deviation
_LEAN_DEG = 7.0  # deviation of a clip's median upright body from the vertical
_STRAIGHT, _UPRIGHT = 0.85, np.cos(np.radians(45))  # ankles to thorax: least length over legs and torso, least cosine to -y
_TAIL = 4.0  # degrees of freedom of Student's t distribution of a stand's error
_LOWEST = 10  # if no foot stands, this per cent of the lower ankles is taken as standing
_LEVEL = 0.05  # sine of the angle to the vertical below which a camera looks straight up or down

_JOINTS = H36M_17.joints
_KNEES, _HIPS = ([_JOINTS.index(side + name) for side in "RL"] for name in ("Knee", "Hip"))
_THORAX = _JOINTS.index("Thorax")


@dataclasses.dataclass(frozen=True, eq=False)
class Ground:
    """The floor in the camera frame: the points p with up @ p = -height.

    Attributes:
      up: [3] unit vector that points up, camera frame.
      height: height of the camera above the floor, metres; NaN if no frame shows a foot.
      error_deg: standard error of `up`, degrees; 0 if `up` was given.
      stands: number of stands of a foot; a longer stand counts once for each half second. If there is none, the floor is
        guessed to be under the lowest ankles.
    """

    up: np.ndarray
    height: float
    error_deg: float
    stands: int


def ground(
    joints_camera: np.ndarray, times: np.ndarray, up: np.ndarray | None = None, seen: np.ndarray | None = None
) -> Ground:
    """Estimate the vertical and the floor.

    Args:
      joints_camera: [T, 17, 3] joints of `skeleton.H36M_17` in the camera frame, metres: poses moved along their root path. NaN
        in frames that are not known.
      times: [T] seconds of the frames, increasing.
      up: [3] direction of up in the camera frame, if it is known; only the height is then estimated.
      seen: [T, 17] bool, which joints the detector saw; other feet are not used. None for all.

    Returns:
      The floor in the camera frame.

    Raises:
      DataError: if the joints have another shape, or times do not increase.
      UserError: if `up` is not a direction.
    """
    joints = np.asarray(joints_camera, np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (len(_JOINTS), 3):
        raise DataError(f"ground: found joints of shape {joints.shape}, expected (T, 17, 3)")
    check_times(times, len(joints))
    given = None if up is None else direction(up)
    known = np.isfinite(joints).all((1, 2))
    joints, seconds = joints[known], np.asarray(times, np.float64)[known]
    feet = np.ones((len(joints), 2), bool) if seen is None else seen[known][:, FEET]
    if not len(joints):
        nothing = np.array([0.0, -1.0, 0.0]) if given is None else given
        return Ground(nothing, np.nan, 0.0 if given is not None else _PITCH_DEG, 0)
    body = _body_up(joints[feet.all(1)])
    about = _unit(np.array([0.0, -0.5, 0.0]) + (0 if body is None else body)) if given is None else given
    stands = _stands(joints, seconds, about, feet)
    places = stands if len(stands) else _lowest(joints, about, feet)
    below = ANKLE * float(np.median(_leg_lengths(joints)))
    if given is not None:
        height = -float(np.median(places @ given)) if len(places) else np.nan
        return Ground(given, height + below, 0.0, len(stands))
    found, height, error_deg = _plane(places, about, body)
    if not len(places):
        height = np.nan
    return Ground(found, height + below, error_deg, len(stands))


def axes(up: np.ndarray) -> np.ndarray:
    """Return the world's axes right, away, up as rows [3, 3] in the camera frame, given the unit vector up.

    If the camera looks straight down, "away" is where the top of its image points; if it looks straight up, the bottom.
    """
    forward = np.array([0.0, 0.0, 1.0])
    away = forward - up * up[2]
    if np.linalg.norm(away) < _LEVEL:
        away = np.array([0.0, np.sign(up[2]), 0.0])
        away = away - up * (away @ up)
    away = _unit(away)
    return np.stack([np.cross(away, up), away, up])


def standing(joints_camera: np.ndarray, times: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return in which frames the right and the left foot stand.

    Args:
      joints_camera: [T, 17, 3] joints in the camera frame, metres, without NaN.
      times: [T] seconds of the frames, increasing.
      up: [3] unit vector that points up, camera frame.

    Returns:
      [T, 2] bool, right and left.
    """
    feet = joints_camera[:, FEET]
    if len(feet) < 2:
        return np.zeros((len(feet), 2), bool)
    smooth = whittaker(feet, times, FEET_S)
    slow = np.linalg.norm(np.gradient(smooth, times, axis=0), axis=-1) < _SLOW_M_S
    height = feet @ up
    return slow & (height - height[:, ::-1] < _HIGHER_M)


def _stands(joints: np.ndarray, times: np.ndarray, up: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the mean position of a foot in each of N stands, [N, 3]; feet that are not `seen` [T, 2] are left out."""
    found = []
    gaps = np.flatnonzero(np.diff(times) > LONGEST_GAP_S) + 1
    parts = np.split(np.arange(len(times)), gaps)
    for rows in parts:
        found += _stands_without_gaps(joints[rows], times[rows], up, seen[rows])
    return np.array(found).reshape(-1, 3)


def _stands_without_gaps(joints: np.ndarray, times: np.ndarray, up: np.ndarray, seen: np.ndarray) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for foot, mask in zip(FEET, (standing(joints, times, up) & seen).T, strict=True):
        for start, end in runs(mask):
            lasts = times[end - 1] - times[start]
            if lasts >= _SHORTEST_S:
                parts = np.array_split(joints[start:end, foot], min(int(lasts / _LONGEST_S) + 1, end - start))
                found += [part.mean(0) for part in parts]
    return found


def _lowest(joints: np.ndarray, up: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the mean position [1, 3] of the lowest feet; [0, 3] if no foot is `seen` [T, 2]."""
    heights = np.where(seen, joints[:, FEET] @ up, np.inf)[seen.any(1)]
    joints = joints[seen.any(1)]
    if not len(joints):
        return np.zeros((0, 3))
    low = joints[np.arange(len(joints)), np.array(FEET)[heights.argmin(1)]]
    return low[heights.min(1) <= np.percentile(heights.min(1), _LOWEST)].mean(0, keepdims=True)


def _leg_lengths(joints: np.ndarray) -> np.ndarray:
    hips, knees, feet = (joints[:, ends] for ends in (_HIPS, _KNEES, FEET))
    return (np.linalg.norm(hips - knees, axis=-1) + np.linalg.norm(knees - feet, axis=-1)).mean(1)


def _body_up(joints: np.ndarray) -> np.ndarray | None:
    """Return the median direction [3] from ankles to thorax of straight, upright bodies; None if there are none."""
    along = joints[:, _THORAX] - joints[:, FEET].mean(1)
    length = np.linalg.norm(along, axis=-1)
    whole = _leg_lengths(joints) + np.linalg.norm(joints[:, _THORAX] - joints[:, ROOT], axis=-1)
    upright = (length > _STRAIGHT * whole) & (-along[:, 1] > _UPRIGHT * length)
    return _unit(np.median(along[upright] / length[upright, None], axis=0)) if upright.any() else None


def _plane(places: np.ndarray, about: np.ndarray, body: np.ndarray | None) -> tuple[np.ndarray, float, float]:
    """Fit `up` and the camera's height above positions [N, 3]; return them and the standard error of `up`, degrees."""
    from scipy.optimize import least_squares

    tangents = axes(about)[:2]
    distances = np.linalg.norm(places, axis=-1)

    def turned(values: np.ndarray) -> np.ndarray:
        return _unit(about + values[:2] @ tangents)

    def errors(values: np.ndarray) -> np.ndarray:
        up = turned(values)
        along = places @ up / distances * np.hypot(_ALONG_M, _ALONG * distances)
        off = (places @ up + values[2]) / np.hypot(_ACROSS_M, along)
        robust = np.sign(off) * np.sqrt((_TAIL + 1) * np.log1p(np.square(off) / _TAIL))
        camera = [up[2] / np.radians(_PITCH_DEG), up[0] / np.radians(_ROLL_DEG), (values[2] - _HEIGHT_M[0]) / _HEIGHT_M[1]]
        lean = [] if body is None else (up - body) / np.radians(_LEAN_DEG)
        return np.concatenate([robust, camera, lean])

    start = -float(np.median(places @ about)) if len(places) else _HEIGHT_M[0]
    found = least_squares(errors, [0.0, 0.0, start])
    covariance = np.linalg.inv(found.jac.T @ found.jac)
    off = np.degrees(np.sqrt(covariance[0, 0] + covariance[1, 1]))
    return turned(found.x), float(found.x[2]), float(off)


def direction(up: np.ndarray) -> np.ndarray:
    """Scale a direction [3] to length 1.

    Raises:
      UserError: if it is not three finite numbers, or is zero.
    """
    found = np.asarray(up, np.float64)
    if found.shape != (3,) or not np.isfinite(found).all() or not 1e-6 < np.linalg.norm(found) < 1e6:
        raise UserError(f"up: found {np.array2string(found, threshold=4)}, expected three numbers that are a direction")
    return _unit(found)


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)
