"""Measure the time and the accuracy of ranking poses by how rare they are, for as many poses as Human3.6M's test set has."""

import time

import numpy as np

from srnet_jax.data import synthetic
from srnet_jax.pose import rarity
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.normalization import root_relative

_SIGMA_M = 0.1
_SAMPLED, _SUBSET = 1_000, 20_000


def poses(num_poses: int) -> np.ndarray:
    """Generate poses [N, 17, 3] relative to the root, in the frames of four virtual cameras, metres."""
    cameras = virtual_cameras(number=4, distance_m=5.2, height_m=1.55, focal_px=1145.0, width_px=1000, height_px=1000)
    dataset = synthetic.load(num_frames=num_poses, cameras=cameras)
    return np.concatenate([root_relative(s.poses_3d) for s in dataset.sequences])


def run(num_poses: int = 543_344) -> dict[str, float]:
    """Rank generated poses against themselves with the fast method, and compare with exact sums."""
    all_poses = poses(num_poses)
    started = time.perf_counter()
    found = rarity.commonness(all_poses, all_poses, sigma_m=_SIGMA_M, method="grid")
    seconds = time.perf_counter() - started

    sample = np.random.default_rng(0).choice(len(all_poses), _SAMPLED, replace=False)
    started = time.perf_counter()
    exact = rarity.commonness(all_poses[sample], all_poses, sigma_m=_SIGMA_M, method="exact").values
    exact_seconds = time.perf_counter() - started

    subset = all_poses[np.random.default_rng(1).choice(len(all_poses), _SUBSET, replace=False)]
    values = {method: rarity.commonness(subset, subset, sigma_m=_SIGMA_M, method=method).values for method in ("grid", "exact")}

    def overlap(percent: float) -> float:
        fast, true = (rarity.rarest(each, percent) for each in values.values())
        return 100 * len(np.intersect1d(fast, true)) / len(true)

    return {
        "poses": len(all_poses),
        "sigma, mm": 1000 * _SIGMA_M,
        "seconds, with compilation and measuring the error": seconds,
        f"largest relative error, {_SAMPLED:,} poses": float(np.abs(found.values[sample] / exact - 1).max()),
        "hours that exact sums of all poses would take (estimate)": exact_seconds / _SAMPLED * len(all_poses) / 3600,
        f"overlap of the rarest 20 % of {_SUBSET:,} poses with exact sums, percent": overlap(20),
        f"overlap of the rarest 10 % of {_SUBSET:,} poses with exact sums, percent": overlap(10),
    }
