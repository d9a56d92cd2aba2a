"""How rare a pose is: pose similarity and occurrence (paper Sec. 4.2, Eq. 9 and 10), and the official code's rankings."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

RANKINGS = ("occurrence", "exponential", "mean_distance")
_BLOCK = 128  # poses compared with the whole reference set at a time


@partial(jax.jit, static_argnames="ranking")
def _commonness(poses: jax.Array, reference: jax.Array, sigmas: jax.Array, ranking: str) -> jax.Array:
    """Return how common each pose of a block [B, J, 3] is: [B]; `sigmas` [J]."""

    def joint(total: jax.Array, points: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        a, b, sigma = points
        squared = jnp.zeros((len(a), len(b)))
        for axis in range(a.shape[-1]):  # differences first: a product would lose near poses, and rounds on some GPUs
            squared += jnp.square(a[:, axis, None] - b[None, :, axis])
        if ranking == "occurrence":
            similarity = jnp.exp(squared * (-0.5 / sigma**2))
        else:
            distance = jnp.sqrt(squared)
            similarity = jnp.exp(-distance / sigma) if ranking == "exponential" else -distance
        return total + similarity.mean(-1), None

    by_joint = (poses.swapaxes(0, 1), reference.swapaxes(0, 1), sigmas)
    total, _ = jax.lax.scan(joint, jnp.zeros(len(poses)), by_joint)
    return total / poses.shape[1]


def commonness(
    poses: np.ndarray, reference: np.ndarray, *, sigma_m: float | tuple[float, ...], ranking: str = "occurrence"
) -> np.ndarray:
    """Return how often poses like each pose occur in a reference set.

    Args:
      poses: [N, J, 3] root-relative poses, camera frame, metres.
      reference: [M, J, 3] poses in the same form.
      sigma_m: falloff of the similarity, one for all joints or one a joint, metres.
      ranking: "occurrence": mean over poses and joints of exp(-d^2 / (2 sigma^2)), Eq. 10. "exponential": of
        exp(-d / sigma), as in the official `filter_data.py`. "mean_distance": of -d, as the official list of infrequent
        poses (sigma is not used).

    Returns:
      [N] mean similarity to the reference; rare poses have small values. Between 0 and 1, but for "mean_distance": metres.

    Note:
      The root, at zero in every pose, is one of the J joints of Eq. 9 and adds the same to all.

    Source: paper Eq. 9 and 10; the paper gives neither sigma nor the reference set. Exact sums.
    """
    sigmas = jnp.asarray(np.broadcast_to(np.asarray(sigma_m, np.float32), poses.shape[1]))
    padded = np.concatenate([poses, np.zeros((-len(poses) % _BLOCK, *poses.shape[1:]), poses.dtype)])
    device_reference = jnp.asarray(reference)
    blocks = padded.reshape(-1, _BLOCK, *poses.shape[1:])
    values = [np.asarray(_commonness(block, device_reference, sigmas, ranking)) for block in blocks]
    return np.concatenate(values)[: len(poses)]


def rarest(values: np.ndarray, percent: float) -> np.ndarray:
    """Return the indices of the `percent` % of poses with the lowest commonness, rarest first, at least one."""
    count = max(round(len(values) * percent / 100), 1)
    return np.argsort(values, kind="stable")[:count]
