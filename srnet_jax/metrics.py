"""Errors of poses, as pure functions of one pose, vectorised over any leading axes.

All take `predicted` and `target` [..., J, 3] in the same frame and unit. Errors are one a pose [...] in that unit; averages
are the caller's, so that no average is ever averaged.
"""

from functools import partial

import jax
import jax.numpy as jnp

_EPSILON = 1e-8  # keeps the alignment of a collapsed pose finite


def _distance(offsets: jax.Array) -> jax.Array:
    """Return the length of vectors [J, 3]; its gradient at zero is zero, not NaN."""
    squared = jnp.square(offsets).sum(-1)
    positive = squared > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, squared, 1)), 0)


def _per_pose(function):
    return jnp.vectorize(function, signature="(j,d),(j,d)->()")


@_per_pose
def mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean per-joint position error of each pose (Protocol #1).

    The root counts like every joint, with its own prediction, as in the official code.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [...] mean Euclidean distance over the joints, in the inputs' unit.

    Source: paper Sec. 4.1.
    """
    return _distance(predicted - target).mean()


@_per_pose
def n_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return MPJPE after scaling each predicted pose by the factor that fits its target best; arguments as `mpjpe`.

    Source: the official code (no translation, no rotation).
    """
    scale = jnp.vdot(target, predicted) / (jnp.vdot(predicted, predicted) + _EPSILON**2)
    return _distance(scale * predicted - target).mean()


@_per_pose
def p_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return MPJPE after the similarity alignment of each predicted pose (PA-MPJPE, Protocol #2); arguments as `mpjpe`.

    Rotation, translation and scale that fit best in the least-squares sense; no reflection.

    Source: the official code.
    """
    target = target - target.mean(0, keepdims=True)
    predicted = predicted - predicted.mean(0, keepdims=True)
    target_norm = jnp.linalg.norm(target) + _EPSILON
    predicted_norm = jnp.linalg.norm(predicted) + _EPSILON
    u, s, vt = jnp.linalg.svd((target / target_norm).T @ (predicted / predicted_norm))
    sign = jnp.where(jnp.linalg.det(u @ vt) < 0, -1.0, 1.0).astype(s.dtype)
    signs = jnp.stack([jnp.ones_like(sign), jnp.ones_like(sign), sign])
    rotation = vt.T @ (signs[:, None] * u.T)  # predicted @ rotation lies along target
    scale = jnp.sum(s * signs) * target_norm / predicted_norm
    return _distance(scale * predicted @ rotation - target).mean()


def mean_velocity_error(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean joint error of the movement between neighbouring frames (MPJVE); not between sequences.

    Args:
      predicted: [..., T, J, 3] joints of successive frames.
      target: [..., T, J, 3] joints.

    Returns:
      [..., T - 1] in the inputs' unit for each step from frame to frame.

    Source: the official code.
    """
    return mpjpe(jnp.diff(predicted, axis=-3), jnp.diff(target, axis=-3))


def pck(predicted: jax.Array, target: jax.Array, threshold: float) -> jax.Array:
    """Return the share of each pose's joints that lie nearer than the threshold (strictly); arguments as `mpjpe`.

    Source: paper Sec. 4.2; the official code takes 150 mm.
    """
    return (jnp.sqrt(jnp.square(predicted - target).sum(-1)) < threshold).mean(-1, dtype=predicted.dtype)


def auc(predicted: jax.Array, target: jax.Array, threshold: float) -> jax.Array:
    """Return the mean of `pck` at 31 thresholds from 0 to the given one.

    Source: the official code.
    """
    steps = [pck(predicted, target, threshold * step / 30) for step in range(31)]
    return jnp.stack(steps).mean(0)


METRICS = {"mpjpe": mpjpe, "p_mpjpe": p_mpjpe, "n_mpjpe": n_mpjpe}


@partial(jax.jit, static_argnames="name")
def errors(name: str, predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the compiled metric `name` of METRICS for poses [N, J, 3]."""
    return METRICS[name](predicted, target)
