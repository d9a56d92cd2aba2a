"""A path of the hip under which feet that stand do not slide, and which stays where the image shows the person.

The smooth path tells roughly where the hip is, and how fast it moves. A foot that stands tells the speed, too: that of the body
against it. All of it is one linear least-squares problem. Which feet stand is not told: a foot counts as far as it is slow
under the path found so far, so that a foot that swings soon counts for nothing.
"""

import numpy as np

from srnet_jax.pose.root_path import check_times
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.whittaker import LONGEST_GAP_S, whittaker

FEET = [H36M_17.joints.index("RFoot"), H36M_17.joints.index("LFoot")]
FEET_S = 0.05  # over which the places of feet are smoothed, see `whittaker`
# Errors that average out over a second, along the ray and across it; chosen by launch.benchmark motion.
_PLACE_M, _SPEED_M_S = (0.07, 0.02), (0.3, 0.15)  # of the smooth path
_FOOT_M_S = 0.1  # of a foot that stands
_SLOW_M_S = 0.5  # a foot of this speed weighs a quarter
_ROUNDS = 4


def footlock(path: np.ndarray, poses_3d: np.ndarray, times: np.ndarray, seen: np.ndarray | None = None) -> np.ndarray:
    """Correct a path so that feet that stand slide less.

    Args:
      path: [T, 3] of the hip, camera frame, metres, from `root_path`; NaN where not known.
      poses_3d: [T, 17, 3] joints relative to the hip, along the camera's axes, metres.
      times: [T] seconds of the frames, rising.
      seen: [T, 17] bool, which joints the detector saw; feet that it did not see tell nothing. None for all.

    Returns:
      [T, 3] float64; NaN where the path or the pose is.

    Raises:
      DataError: if times do not rise.
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
    """Return the corrected path [T, 3], for feet [T, 2, 3] relative to it, of which [T, 2] are seen."""
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
    """Solve a symmetric system of blocks: [T, 3, 3] on the diagonal, [T - 1, 3, 3] right of it, right sides [T, 3]."""
    from scipy.linalg import solveh_banded

    banded = np.zeros((6, right.size))
    for row in range(3):
        for column in range(3):
            if column >= row:
                banded[5 - column + row, column::3] = diagonal[:, row, column]
            banded[2 - column + row, 3 + column :: 3] = beside[:, row, column]
    return solveh_banded(banded, right.reshape(-1)).reshape(right.shape)
