"""Measure the time of all metrics for a test set of Human3.6M's size, and compare PA-MPJPE with NumPy's batched SVD.

The true poses are generated, relative to the root, in the camera frame; the predictions are the same poses with noise. All
functions run in one process and are called alternately.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from srnet_jax.benchmarks.rarity import poses
from srnet_jax.benchmarks.timing import medians
from srnet_jax.pose import metrics
from srnet_jax.pose.skeleton import H36M_17

POSES = 543_344  # test frames of Human3.6M, all four cameras
_NOISE_M = 0.03  # standard deviation of each coordinate: errors of about 50 mm
_REPEATS = 5


def run(num_poses: int = POSES) -> dict[str, float]:
    """Time the metrics; return median seconds, their ratio, and the largest difference from NumPy in millimetres."""
    rng = np.random.default_rng(0)
    target = poses(num_poses)[:num_poses]
    predicted = target + rng.normal(0, _NOISE_M, target.shape).astype(np.float32)
    compiled = jax.jit(metrics.p_mpjpe)
    functions: dict[str, Callable[[], Any]] = {
        "all": lambda: metrics.measure(predicted, target, H36M_17),
        "ours": lambda: metrics.in_blocks(compiled, predicted, target),
        "usual": lambda: usual_p_mpjpe(predicted, target),
    }
    found = {name: function() for name, function in functions.items()}  # compiles
    seconds = medians(functions, _REPEATS, warm_up=0)
    return {
        "poses": num_poses,
        "seconds of all metrics": seconds["all"],
        "seconds of PA-MPJPE": seconds["ours"],
        "seconds of PA-MPJPE with NumPy's batched SVD": seconds["usual"],
        "ratio, NumPy / ours": seconds["usual"] / seconds["ours"],
        "largest difference, mm": 1000 * float(np.abs(found["ours"] - found["usual"]).max()),
    }


def usual_p_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute PA-MPJPE [N] of poses [N, J, 3] as most code does: all poses at once, in the inputs' dtype, with NumPy's SVD.

    It takes the same steps as `p_mpjpe` of VideoPose3D.
    """
    center, own_center = (x.mean(axis=1, keepdims=True) for x in (target, predicted))
    centred, own = target - center, predicted - own_center
    size, own_size = (np.sqrt(np.square(x).sum(axis=(1, 2), keepdims=True)) for x in (centred, own))
    u, s, vt = np.linalg.svd(np.matmul(np.swapaxes(centred / size, 1, 2), own / own_size))
    v, ut = np.swapaxes(vt, 1, 2), np.swapaxes(u, 1, 2)
    sign = np.sign(np.linalg.det(np.matmul(v, ut)))  # flip the last axis of reflections
    v[:, :, -1] *= sign[:, None]
    s[:, -1] *= sign
    rotation = np.matmul(v, ut)
    scale = s.sum(axis=1)[:, None, None] * size / own_size
    aligned = scale * np.matmul(predicted, rotation) + center - scale * np.matmul(own_center, rotation)
    return np.linalg.norm(aligned - target, axis=-1).mean(axis=-1)
