"""How rare a pose is: pose similarity and occurrence (paper Sec. 4.2, Eq. 9 and 10)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

_BLOCK = 128  # poses compared with the whole reference set at a time


@partial(jax.jit, static_argnames="sigma")
def _occurrence(poses: jax.Array, reference: jax.Array, sigma: float) -> jax.Array:
    """Return the occurrence [B] of a block of poses [B, J, 3]."""

    def joint(total: jax.Array, points: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        a, b = points
        squared = (a * a).sum(-1)[:, None] + (b * b).sum(-1)[None, :] - 2 * a @ b.T
        return total + jnp.exp(jnp.maximum(squared, 0) * (-0.5 / sigma**2)).mean(-1), None

    total, _ = jax.lax.scan(joint, jnp.zeros(len(poses)), (poses.swapaxes(0, 1), reference.swapaxes(0, 1)))
    return total / poses.shape[1]


def occurrence(poses: np.ndarray, reference: np.ndarray, *, sigma_m: float) -> np.ndarray:
    """Return how often poses like each pose occur in a reference set.

    Args:
      poses: [N, J, 3] root-relative poses, camera frame, metres.
      reference: [M, J, 3] poses in the same form.
      sigma_m: falloff of the similarity, one for all joints, metres.

    Returns:
      [N] mean similarity to the reference, 0 to 1; rare poses have small values.

    Note:
      The root, at zero in every pose, is one of the J joints of Eq. 9 and adds the same 1 / J to all.

    Source: paper Eq. 9 and 10. Exact sums; the paper gives no sigma.
    """
    padded = np.concatenate([poses, np.zeros((-len(poses) % _BLOCK, *poses.shape[1:]), poses.dtype)])
    device_reference = jnp.asarray(reference)
    blocks = [_occurrence(block, device_reference, sigma_m) for block in padded.reshape(-1, _BLOCK, *poses.shape[1:])]
    return np.concatenate([np.asarray(block) for block in blocks])[: len(poses)]


def rarest(values: np.ndarray, percent: float) -> np.ndarray:
    """Return the indices of the `percent` % of poses with the lowest occurrence, rarest first, at least one."""
    count = max(round(len(values) * percent / 100), 1)
    return np.argsort(values, kind="stable")[:count]
