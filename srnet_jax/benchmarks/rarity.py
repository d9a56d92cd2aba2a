"""How long it takes to rank as many poses as Human3.6M's test set has against themselves, and how exact the ranking is."""

import time

import numpy as np

from srnet_jax.data import synthetic
from srnet_jax.pose import rarity
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.normalization import root_relative

_SIGMA_M = 0.1
_SAMPLED, _SUBSET = 1_000, 20_000


def poses(num_poses: int) -> np.ndarray:
    """Return generated root-relative poses [N, 17, 3] seen by four virtual cameras, camera frame, metres."""
    cameras = virtual_cameras(number=4, distance_m=5.2, height_m=1.55, focal_px=1145.0, width_px=1000, height_px=1000)
    dataset = synthetic.load(num_frames=num_poses, cameras=cameras)
    return np.concatenate([root_relative(s.poses_3d) for s in dataset.sequences])


def run(num_poses: int = 543_344) -> dict[str, float]:
    """Rank generated poses against themselves on the grid, and compare with exact sums; times in seconds."""
    every = poses(num_poses)
    started = time.perf_counter()
    found = rarity.commonness(every, every, sigma_m=_SIGMA_M, method="grid")
    seconds = time.perf_counter() - started

    sample = np.random.default_rng(0).choice(len(every), _SAMPLED, replace=False)
    started = time.perf_counter()
    exact = rarity.commonness(every[sample], every, sigma_m=_SIGMA_M, method="exact").values
    exact_seconds = time.perf_counter() - started

    few = every[np.random.default_rng(1).choice(len(every), _SUBSET, replace=False)]
    by = {method: rarity.commonness(few, few, sigma_m=_SIGMA_M, method=method).values for method in ("grid", "exact")}

    def same(percent: float) -> float:
        fast, true = (rarity.rarest(values, percent) for values in by.values())
        return 100 * len(np.intersect1d(fast, true)) / len(true)

    return {
        "poses, ranked against themselves": len(every),
        "sigma, mm": 1000 * _SIGMA_M,
        "seconds, compilation and measuring the error included": seconds,
        f"largest relative error against {_SAMPLED:,} exact sums": float(np.abs(found.values[sample] / exact - 1).max()),
        "hours that all exact sums would take, from those": exact_seconds / _SAMPLED * len(every) / 3600,
        f"same among the rarest 20 % of {_SUBSET:,} poses, percent": same(20),
        f"same among the rarest 10 % of {_SUBSET:,} poses, percent": same(10),
    }
