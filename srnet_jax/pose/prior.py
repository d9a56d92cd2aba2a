"""How people look in images: mean and covariance of the 17 joints in 2D, for joints that a detector does not see.

Poses are taken about the mean of their joints over their root mean square distance from there. Where a pose is in the image is
left open (a wide variance along translations), and its size follows from the joints that are seen, so that any subset of the
joints tells where the others are likely to be.

The numbers that ship were made by `python -m launch.prepare_data pose_prior` from CMU's motions: the data used in this project
was obtained from mocap.cs.cmu.edu; the database was created with funding from NSF EIA-0196217.
"""

import functools
from pathlib import Path

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

FILE = Path(__file__).parent / "prior.npz"
_ANYWHERE = 30.0  # standard deviation of a translation, in sizes of the person
_ROUNDING = 1e-3  # added variance
_JOINTS = H36M_17.num_joints


def fit(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean [34] and covariance [34, 34] of poses [N, 17, 2], pixels."""
    around = points - points.mean(-2, keepdims=True)
    size = np.sqrt(np.square(around).sum(-1).mean(-1))[:, None, None]
    flat = (around / size).reshape(len(points), -1)
    return flat.mean(0), np.cov(flat.T)


@functools.cache
def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the covariance that ship."""
    with np.load(FILE, allow_pickle=False) as file:
        return file["mean"].astype(np.float64), file["covariance"].astype(np.float64)


@functools.lru_cache(maxsize=10_000)
def _given(pattern: bytes) -> tuple[float, np.ndarray]:
    """Return what joints that are seen [17] bool tell.

    Returns:
      Their mean square distance from their mean in a pose of size 1, and how the missing ones follow from them [seen, missing].
    """
    seen = np.frombuffer(pattern, bool)
    mean, covariance = load()
    flat, count = np.repeat(seen, 2), int(seen.sum())
    second = covariance[np.ix_(flat, flat)] + np.outer(mean[flat], mean[flat])
    centring = np.kron(np.eye(count) - 1 / count, np.eye(2))
    wide = covariance + _ROUNDING * np.eye(2 * _JOINTS) + _ANYWHERE**2 * np.kron(np.ones((_JOINTS, _JOINTS)), np.eye(2))
    gain = np.linalg.solve(wide[np.ix_(flat, flat)], wide[np.ix_(flat, ~flat)])
    return float(np.trace(centring @ second) / count), gain


def size_of(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the size of people of whom some joints are seen: the root mean square distance of all joints from their mean.

    Args:
      points: [N, 17, 2] pixels; what is not seen is not read.
      seen: [17] bool, the same for all; at least two.

    Returns:
      [N] pixels.
    """
    shown = points[:, seen]
    found = np.square(shown - shown.mean(1, keepdims=True)).sum(-1).mean(-1)
    return np.sqrt(found / _given(seen.tobytes())[0])


def completed(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return poses whose missing joints are where they are likely to be, given the others.

    Args:
      points: [N, 17, 2] pixels; what is not seen is not read.
      seen: [17] bool, the same for all; at least two.

    Returns:
      [N, 17, 2] the seen joints as they are, the others as estimates.
    """
    if seen.all():
        return points
    mean, flat = load()[0], np.repeat(seen, 2)
    gain = _given(seen.tobytes())[1]  # [seen, missing]
    size = np.maximum(size_of(points, seen), 1e-3)[:, None]
    origin = points[:, seen].mean(1)
    shown = ((points[:, seen] - origin[:, None]) / size[..., None]).reshape(len(points), -1)
    estimate = mean[~flat] + (shown - mean[flat]) @ gain
    made = np.array(points, np.float64)
    made[:, ~seen] = estimate.reshape(len(points), -1, 2) * size[..., None] + origin[:, None]
    return made


def strangeness(points: np.ndarray) -> np.ndarray:
    """Return how unlike a person poses [N, 17, 2] look: [N] mean squared deviation in standard deviations; about 1 is usual."""
    mean, covariance = load()
    around = points - points.mean(-2, keepdims=True)
    size = np.maximum(np.sqrt(np.square(around).sum(-1).mean(-1)), 1e-3)[:, None, None]
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-4
    scores = (((around / size).reshape(len(points), -1) - mean) @ vectors[:, kept]) ** 2 / values[kept]
    return scores.mean(-1)
