"""The state of a training as one pytree: step, epoch, variables and optimiser state."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import struct

from srnet_jax.models.pose_lifter import Lifter, init_variables


class TrainState(struct.PyTreeNode):
    """Number of steps taken, number of epochs finished, variables of the model, and state of the optimiser."""

    step: jax.Array
    epoch: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState

    @property
    def variables(self) -> dict[str, Any]:
        """The variables in the form that `model.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_train_state(model: Lifter, optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    """Initialise the model's variables from a seed, and the state of the optimiser from the variables."""
    return _create(model, optimizer, jax.random.key(seed))


@partial(jax.jit, static_argnums=(0, 1))  # one program for all seeds, which the compilation cache keeps
def _create(model: Lifter, optimizer: optax.GradientTransformation, key: jax.Array) -> TrainState:
    variables = init_variables(model, key)
    zero, params = jnp.zeros([], jnp.int32), variables["params"]
    return TrainState(zero, zero, params, variables["batch_stats"], optimizer.init(params))
