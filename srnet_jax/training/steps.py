"""The training step, a pure function of state and batch."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from srnet_jax.metrics import mpjpe
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.normalization import to_metres
from srnet_jax.training.state import TrainState

Totals = dict[str, jax.Array]


def zero_totals() -> Totals:
    """Return the sums, the count and the maximum that `train_step` keeps over an epoch."""
    return {name: jnp.zeros([]) for name in ("loss", "mpjpe", "count", "gradient_norm")}


def l1_loss(predicted: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean absolute coordinate error over the batch [B, T, J, 3] (supplement Sec. 1)."""
    return jnp.abs(predicted - targets).mean()


def mpjpe_loss(predicted: jax.Array, targets: jax.Array) -> jax.Array:
    """Return the mean joint distance over the batch [B, T, J, 3], VideoPose3D's loss."""
    return mpjpe(predicted, targets).mean()


LOSSES = {"l1": l1_loss, "mpjpe": mpjpe_loss}


def train_step(
    state: TrainState,
    totals: Totals,
    batch: dict[str, jax.Array],
    *,
    model: PoseLifter,
    optimizer: optax.GradientTransformationExtraArgs,
    bn_momentum: optax.Schedule,
    loss: str,
    normalization: str,
    seed: int,
) -> tuple[TrainState, Totals]:
    """Take one optimisation step.

    Args:
      state: before the step.
      totals: over the epoch so far: sums of loss and MPJPE (metres) of the training-mode outputs times poses, number of
        poses, and the gradient's largest norm.
      batch: `inputs_2d` [B, R, J, 2], `targets` [B, 1, J, 3] and `geometry` [B, 1, 1, 9], see `data.windows.Frames`.
      model: in its strided form.
      optimizer: gives the updates of the epoch, learning rate included.
      bn_momentum: BatchNorm momentum as a function of the epoch.
      loss: a name of LOSSES, taken between outputs and targets as they are.
      normalization: how to turn these into metres for the MPJPE.
      seed: of dropout; with the step it decides the masks.

    Returns:
      The state and the totals after the step.
    """
    dropout_key = jax.random.fold_in(jax.random.key(seed), state.step)

    def objective(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        predicted, updated = model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            batch["inputs_2d"],
            train=True,
            bn_momentum=bn_momentum(state.epoch),
            rngs={"dropout": dropout_key},
            mutable=["batch_stats"],
        )
        return LOSSES[loss](predicted, batch["targets"]), (predicted, updated["batch_stats"])

    (value, (predicted, batch_stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    updates, opt_state = optimizer.update(gradients, state.opt_state, state.params, epoch=state.epoch)
    in_metres = partial(to_metres, normalization, geometry=batch["geometry"])
    error = mpjpe(in_metres(predicted), in_metres(batch["targets"]))
    totals = {
        "loss": totals["loss"] + value * error.size,
        "mpjpe": totals["mpjpe"] + error.sum(),
        "count": totals["count"] + error.size,
        "gradient_norm": jnp.maximum(totals["gradient_norm"], optax.tree.norm(gradients)),  # keeps NaN
    }
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, state.epoch, params, batch_stats, opt_state), totals


def compile_train_step(**settings):
    """Return `train_step` with its settings bound, compiled, and with donated state and totals."""
    return jax.jit(partial(train_step, **settings), donate_argnums=(0, 1))
