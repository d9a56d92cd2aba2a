"""Correct the path of the hip so that standing feet slide less, while the person stays where the image shows them.

The smooth path gives the approximate position and speed of the hip. A standing foot gives the speed more accurately: the hip
moves against it. Both are combined in one linear least-squares problem. Which feet stand is not known beforehand: the slower a
foot is under the current path, the larger its weight, so that swinging feet soon have none.
"""

import numpy as np

from srnet_jax.pose.root_path import check_times
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.whittaker import LONGEST_GAP_S, whittaker

FEET = [H36M_17.joints.index("RFoot"), H36M_17.joints.index("LFoot")]
FEET_S = 0.05  # smoothing of the feet's positions, seconds, as in `whittaker`
# Errors averaged over a second, along the ray and across it; chosen with launch.benchmark motion.
_PLACE_M, _SPEED_M_S = (0.07, 0.02), (0.3, 0.15)  # of the smooth path
_FOOT_M_S = 0.1  # of a standing foot
_SLOW_M_S = 0.5  # a foot with this speed has a quarter of the weight
_ROUNDS = 4


def footlock(path: np.ndarray, poses_3d: np.ndarray, times: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Correct the path of the hip so that standing feet slide less.

    Args:
      path: [T, 3] hip in the camera frame, metres, from `root_path`; NaN where not known.
      poses_3d: [T, 17, 3] joints relative to the hip, along the camera's axes, metres.
      times: [T] seconds of the frames, increasing.
      seen: [T, 17] bool, which joints the detector saw; other feet are not used. None for all.

    Returns:
      [T, 3] float64 corrected hip, metres; NaN where the path or the pose is NaN.

    Raises:
      DataError: if times do not increase.
    """
    check_times(times, len(path))
    feet = np.asarray(poses_3d, np.float64)[:, FEET]
    known = np.isfinite(path).all(-1) & np.isfinite(feet).all((1, 2))
    made = np.full(path.shape, np.nan)
    if known.sum() < 2:
        made[known] = path[known]
        return made
    seconds = np.asarray(times, np.float64)[known]
    shown = np.ones((len(seconds), 2), bool) if seen is None else seen[known][:, FEET]
    made[known] = _locked(np.asarray(path, np.float64)[known], whittaker(feet[known], seconds, FEET_S), seconds, shown)
    return made


def _locked(path: np.ndarray, feet: np.ndarray, times: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the corrected path [T, 3], given the feet [T, 2, 3] relative to it and which of them are seen [T, 2]."""
    steps = np.diff(times)
    steps = np.maximum(steps, 0.01 * np.median(steps))
    joined = (steps <= LONGEST_GAP_S)[:, None, None]
    ray = path / np.linalg.norm(path, axis=-1, keepdims=True)
    along = ray[:, :, None] * ray[:, None]
    across = np.eye(3) - along
    lasting = np.minimum(np.gradient(times), LONGEST_GAP_S)[:, None, None]
    place = lasting * (along / _PLACE_M[0] ** 2 + across / _PLACE_M[1] ** 2)  # [T, 3, 3]
    speed = along[1:] / _SPEED_M_S[0] ** 2 + across[1:] / _SPEED_M_S[1] ** 2
    moved = np.diff(path, axis=0) / steps[:, None]
    swung = np.diff(feet, axis=0) / steps[:, None, None]  # [T - 1, 2, 3]
    made = path
    for _ in range(_ROUNDS):
        slid = np.linalg.norm(np.diff(made, axis=0)[:, None] / steps[:, None, None] + swung, axis=-1)
        stands = (seen[1:] & seen[:-1]) / np.square(1 + np.square(slid / _SLOW_M_S)) / _FOOT_M_S**2
        link = joined * (speed + stands.sum(1)[:, None, None] * np.eye(3)) / steps[:, None, None]
        pull = joined[:, 0] * (np.einsum("tij,tj->ti", speed, moved) - np.einsum("tk,tki->ti", stands, swung))
        right = np.einsum("tij,tj->ti", place, path)
        right[1:] += pull
        right[:-1] -= pull
        diagonal = place.copy()
        diagonal[1:] += link
        diagonal[:-1] += link
        made = _solved(diagonal, -link, right)
    return made


def _solved(diagonal: np.ndarray, beside: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve a symmetric block-tridiagonal system: blocks [T, 3, 3] on the diagonal, [T - 1, 3, 3] above; right side [T, 3]."""
    from scipy.linalg import solveh_banded

    banded = np.zeros((6, right.size))
    for row in range(3):
        for column in range(3):
            if column >= row:
                banded[5 - column + row, column::3] = diagonal[:, row, column]
            banded[2 - column + row, 3 + column :: 3] = beside[:, row, column]
    return solveh_banded(banded, right.reshape(-1)).reshape(right.shape)
