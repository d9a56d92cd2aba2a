"""The training step, a pure function of state and batch, and blocks of steps that are compiled as one call."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from ml_collections import ConfigDict

from srnet_jax.models.layers import Batch
from srnet_jax.models.pose_lifter import Lifter, create_model
from srnet_jax.pose.losses import LOSSES
from srnet_jax.pose.metrics import mpjpe
from srnet_jax.pose.normalization import to_metres
from srnet_jax.training.augmentation import roll_camera
from srnet_jax.training.optimizer import bn_momentum_schedule, create_optimizer, learning_rate_schedule
from srnet_jax.training.state import TrainState

Totals = dict[str, jax.Array]


class Hyperparameters(struct.PyTreeNode):
    """Values that may differ between epochs and between the runs of one program; arguments of the step, not constants in it.

    Attributes:
      seed: uint32 seed of dropout and augmentation; seed and step number determine the random draws.
      learning_rate: float32 learning rate.
      bn_momentum: float32 momentum of BatchNorm.
    """

    seed: Any
    learning_rate: Any
    bn_momentum: Any

    @classmethod
    def at(cls, epoch: int, seed: int, train: ConfigDict) -> "Hyperparameters":
        """Return the hyperparameters of an epoch, counted from 0, for a seed and a `config.train`."""
        schedules = learning_rate_schedule(train), bn_momentum_schedule(train)
        return cls(np.uint32(seed), *(np.float32(schedule(epoch)) for schedule in schedules))


def zero_totals() -> Totals:
    """Return the initial sums, count and maximum that `train_step` updates over an epoch."""
    return {name: jnp.zeros([]) for name in ("loss", "mpjpe", "count", "gradient_norm")}


@dataclasses.dataclass(frozen=True)
class StepSettings:
    """The static settings of a training step; runs with equal settings share one compiled program.

    Attributes:
      model: the network, in its strided form.
      optimizer: from `create_optimizer`.
      loss: a name in `losses.LOSSES`; the loss compares normalised outputs and targets, and is averaged over the batch.
      normalization: the normalisation, to convert outputs and targets to metres for the MPJPE.
      camera_roll: arguments `share` and `degrees` of `roll_camera`.
    """

    model: Lifter
    optimizer: optax.GradientTransformationExtraArgs
    loss: str
    normalization: str
    camera_roll: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, config: ConfigDict) -> "StepSettings":
        """Return the settings of a config."""
        train = config.train
        return cls(
            model=create_model(config.model).clone(strided=True),
            optimizer=create_optimizer(train.weight_decay),
            loss=train.loss,
            normalization=config.model.normalization,
            camera_roll=(train.camera_roll_share, train.camera_roll_degrees),
        )


def train_step(
    settings: StepSettings,
    state: TrainState,
    totals: Totals,
    hyperparameters: Hyperparameters,
    batch: dict[str, Any],
    *,
    axis_name: str | None = None,
) -> tuple[TrainState, Totals]:
    """Take one optimisation step.

    Args:
      settings: the static settings.
      state: the state before the step.
      totals: totals of the epoch before the step, over the training-mode outputs: sums over poses of the loss and of the MPJPE
        (metres), number of poses, and largest norm of the gradient.
      hyperparameters: the hyperparameters of this run and epoch.
      batch: `inputs_2d` [B, R, K, F], `targets` [B, 1, J, 3] and `views`, see `pose.frames.Frames`; and `weights` [B] if some
        samples are padding, see `models.layers.Batch`.
      axis_name: axis of `jax.pmap` if each device gets a part of the batch, else None.

    Returns:
      The state and the totals after the step.
    """
    key = jax.random.fold_in(jax.random.key(hyperparameters.seed), state.step)
    weights = batch.get("weights")
    spread = Batch(weights, axis_name)
    if settings.camera_roll[0]:
        batch = roll_camera(batch, jax.random.fold_in(key, 1), *settings.camera_roll, settings.normalization, spread)
    each = jnp.ones(batch["targets"].shape[:2]) if weights is None else weights[:, None]  # [B, 1]
    count = spread.total(each.sum())

    def objective(params: Any) -> tuple[jax.Array, tuple[jax.Array, Any]]:
        predicted, updated = settings.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            batch["inputs_2d"],
            train=True,
            bn_momentum=hyperparameters.bn_momentum,
            batch=spread,
            rngs={"dropout": key},
            mutable=["batch_stats"],
        )
        share = (LOSSES[settings.loss](predicted, batch["targets"]) * each).sum() / count
        return share, (predicted, updated["batch_stats"])

    (value, (predicted, batch_stats)), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
    in_metres = partial(to_metres, settings.normalization, view=batch["views"])
    error = (mpjpe(in_metres(predicted), in_metres(batch["targets"])) * each).sum()
    value, error, gradients = spread.total((value, error, gradients))
    updates, opt_state = settings.optimizer.update(
        gradients, state.opt_state, state.params, learning_rate=hyperparameters.learning_rate
    )
    totals = {
        "loss": totals["loss"] + value * count,
        "mpjpe": totals["mpjpe"] + error,
        "count": totals["count"] + count,
        "gradient_norm": jnp.maximum(totals["gradient_norm"], optax.tree.norm(gradients)),  # propagates NaN
    }
    params = optax.apply_updates(state.params, updates)
    return TrainState(state.step + 1, state.epoch, params, batch_stats, opt_state), totals


def train_block(
    settings: StepSettings,
    take: Callable[[Any, Any], dict[str, Any]],
    state: TrainState,
    totals: Totals,
    hyperparameters: Hyperparameters,
    data: Any,
    items: dict[str, Any],
    count: jax.Array,
    *,
    axis_name: str | None = None,
) -> tuple[TrainState, Totals]:
    """Take several optimisation steps.

    Args:
      settings: see `train_step`.
      take: function of data and an item that returns a batch.
      state: the state before the steps.
      totals: see `train_step`.
      hyperparameters: see `train_step`.
      data: the data on the device.
      items: one item for each step, with a leading axis [K]. If this run skips some steps, `active` [K] is false for them;
        a skipped step does not change state and totals.
      count: number of steps to take, at most K.
      axis_name: see `train_step`.

    Returns:
      The state and the totals after the steps.
    """

    def step(index: Any, carry: tuple[TrainState, Totals]) -> tuple[TrainState, Totals]:
        item = jax.tree.map(lambda item: item[index], items)
        active = item.pop("active", None)
        after = train_step(settings, *carry, hyperparameters, take(data, item), axis_name=axis_name)
        return after if active is None else jax.tree.map(lambda new, old: jnp.where(active, new, old), after, carry)

    if jax.tree.leaves(items)[0].shape[0] == 1:
        return step(0, (state, totals))
    return jax.lax.fori_loop(0, count, step, (state, totals))
