"""A Gaussian model of 2D poses, which estimates the joints that a detector does not see from those that it sees.

The model is the mean and covariance of the 17 joints. Poses are relative to the mean of their joints, in units of their size:
the joints' root mean square distance from that mean. A wide variance along translations leaves the position in the image
open, and the size is computed from the visible joints. Any subset of the joints therefore predicts the others.

The parameters in `prior.npz` were made by `python -m launch.prepare_data pose_prior` from CMU's motions: the data used in this
project was obtained from mocap.cs.cmu.edu; the database was created with funding from NSF EIA-0196217.
"""

import functools
from pathlib import Path

import numpy as np

from srnet_jax.pose.skeleton import H36M_17

FILE = Path(__file__).parent / "prior.npz"
_ANYWHERE = 30.0  # standard deviation of a translation, in sizes of the person
_ROUNDING = 1e-3  # variance added to keep the matrix well conditioned
_JOINTS = H36M_17.num_joints


def fit(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit the model to poses [N, 17, 2], pixels; return the mean [34] and the covariance [34, 34]."""
    around = points - points.mean(-2, keepdims=True)
    size = np.sqrt(np.square(around).sum(-1).mean(-1))[:, None, None]
    flat = (around / size).reshape(len(points), -1)
    return flat.mean(0), np.cov(flat.T)


@functools.cache
def load() -> tuple[np.ndarray, np.ndarray]:
    """Load the mean [34] and covariance [34, 34] from the package, float64."""
    with np.load(FILE, allow_pickle=False) as file:
        return file["mean"].astype(np.float64), file["covariance"].astype(np.float64)


@functools.cache
def anywhere() -> np.ndarray:
    """Return the covariance [34, 34] of poses whose position in the image is not known."""
    _, covariance = load()
    return covariance + _ROUNDING * np.eye(2 * _JOINTS) + _ANYWHERE**2 * np.kron(np.ones((_JOINTS, _JOINTS)), np.eye(2))


@functools.cache
def whitening() -> np.ndarray:
    """Return the matrix [K, 34] that maps deviations from the mean to K uncorrelated ones of variance 1."""
    values, vectors = np.linalg.eigh(load()[1])
    kept = values > 1e-4
    return vectors[:, kept].T / np.sqrt(values[kept])[:, None]


@functools.lru_cache(maxsize=10_000)
def _given(pattern: bytes) -> tuple[float, np.ndarray]:
    """Prepare the estimates from one set of visible joints, the bytes of a mask [17] bool.

    Returns:
      The visible joints' expected mean square distance from their mean in a pose of size 1, and the matrix [seen, missing] that
      estimates the coordinates of the missing joints.
    """
    seen = np.frombuffer(pattern, bool)
    mean, covariance = load()
    flat, count = np.repeat(seen, 2), int(seen.sum())
    second = covariance[np.ix_(flat, flat)] + np.outer(mean[flat], mean[flat])
    centring = np.kron(np.eye(count) - 1 / count, np.eye(2))
    wide = anywhere()
    gain = np.linalg.solve(wide[np.ix_(flat, flat)], wide[np.ix_(flat, ~flat)])
    return float(np.trace(centring @ second) / count), gain


def size_of(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Estimate the size of people from their visible joints: the root mean square distance of all joints from their mean.

    Args:
      points: [N, 17, 2] pixels; hidden joints are not read.
      seen: [17] bool, the joints that are visible in all poses; at least two.

    Returns:
      [N] sizes, pixels.
    """
    shown = points[:, seen]
    found = np.square(shown - shown.mean(1, keepdims=True)).sum(-1).mean(-1)
    return np.sqrt(found / _given(seen.tobytes())[0])


def completed(points: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Fill in hidden joints with their most likely positions, given the visible ones.

    Args:
      points: [N, 17, 2] pixels; hidden joints are not read.
      seen: [17] bool, the joints that are visible in all poses; at least two.

    Returns:
      [N, 17, 2] pixels: visible joints unchanged, the others estimated.
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
    """Measure how unusual poses look, by their mean squared deviation from the model in standard deviations.

    Args:
      points: [N, 17, 2] pixels.

    Returns:
      [N] about 1 for a usual pose, large for a set of points that is not a person.
    """
    around = points - points.mean(-2, keepdims=True)
    size = np.maximum(np.sqrt(np.square(around).sum(-1).mean(-1)), 1e-3)[:, None, None]
    scores = (((around / size).reshape(len(points), -1) - load()[0]) @ whitening().T) ** 2
    return scores.mean(-1)
