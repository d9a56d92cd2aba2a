"""Augment training samples at random, inside the compiled training step."""

from typing import Any

import jax
import jax.numpy as jnp

from srnet_jax.models.layers import Batch
from srnet_jax.pose.normalization import principal_point
from srnet_jax.pose.skeleton import ROOT


def roll_camera(
    batch: dict[str, Any], key: jax.Array, share: float, degrees: float, normalization: str, spread: Batch
) -> dict[str, Any]:
    """Rotate the camera of some samples about its optical axis, at random.

    The image rotates about the principal point, and the scene about the optical axis, by the same angle. This is exact under
    perspective if both focal lengths are equal and the lens has no distortion.

    Args:
      batch: `inputs_2d` [B, R, K, F], `targets` [B, 1, J, 3], `views` [B, 1, 1, ...], and other entries, which are kept.
      key: JAX key of the random draws.
      share: share of the samples that are rotated, 0 to 1.
      degrees: largest angle to either side, degrees; angles are drawn uniformly.
      normalization: one of IMAGE_NORMALIZATIONS.
      spread: the devices over which the batch is spread; each uses its part of the same draws.

    Returns:
      The batch with new `inputs_2d` and `targets`.
    """
    turned, angle = jax.random.split(key)
    rows = batch["inputs_2d"].shape[0]
    limit = jnp.deg2rad(degrees)
    chosen = spread.own_rows(lambda count: jax.random.bernoulli(turned, share, (count,)), rows)
    angles = spread.own_rows(lambda count: jax.random.uniform(angle, (count,), minval=-limit, maxval=limit), rows)
    angles = jnp.where(chosen, angles, 0.0)
    rotation = jnp.stack([jnp.cos(angles), jnp.sin(angles), -jnp.sin(angles), jnp.cos(angles)], -1).reshape(-1, 1, 1, 2, 2)

    def turn(points: jax.Array) -> jax.Array:  # [B, T, J, 2]
        return jnp.squeeze(points[..., None, :] @ rotation, -2)

    targets, center = batch["targets"], principal_point(normalization, batch["views"])
    turned_targets = jnp.concatenate([turn(targets[..., :2]), targets[..., 2:]], axis=-1)
    points, confidences = batch["inputs_2d"][..., :2], batch["inputs_2d"][..., 2:]
    inputs = jnp.concatenate([turn(points - center) + center, confidences], axis=-1)
    if normalization == "turned":  # the root's entry is not a direction
        inputs = inputs.at[..., ROOT, :].set(batch["inputs_2d"][..., ROOT, :])
    return batch | {"inputs_2d": inputs, "targets": turned_targets}
