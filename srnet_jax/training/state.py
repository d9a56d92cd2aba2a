"""What training changes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from srnet_jax.models.pose_lifter import PoseLifter


class TrainState(struct.PyTreeNode):
    """Steps taken, epochs finished, variables of the model and state of the optimiser."""

    step: jax.Array
    epoch: jax.Array
    params: Any
    batch_stats: Any
    opt_state: optax.OptState

    @property
    def variables(self) -> dict[str, Any]:
        """What `model.apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_train_state(model: PoseLifter, optimizer: optax.GradientTransformation, seed: int) -> TrainState:
    """Initialise the model's variables from a seed and the optimiser's state from them."""
    inputs = jnp.zeros((1, model.receptive_field, model.num_joints, 2))
    variables = jax.jit(model.init)(jax.random.key(seed), inputs)  # one program, which the cache keeps
    params = variables["params"]
    return TrainState(
        step=jnp.zeros([], jnp.int32),
        epoch=jnp.zeros([], jnp.int32),
        params=params,
        batch_stats=variables["batch_stats"],
        opt_state=optimizer.init(params),
    )


def count_parameters(params: Any) -> int:
    """Return the number of trainable numbers."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))
