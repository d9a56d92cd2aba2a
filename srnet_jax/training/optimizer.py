"""The AMSGrad optimiser with PyTorch's rule, and the official schedules of learning rate and BatchNorm momentum."""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict


class AmsgradState(NamedTuple):
    """State of AMSGrad: step count and moments; `nu_max` is the running maximum of the raw second moment `nu`."""

    step: jax.Array
    mu: Any
    nu: Any
    nu_max: Any


def scale_by_amsgrad(b1: float = 0.9, b2: float = 0.999, eps: float = 1e-8) -> optax.GradientTransformation:
    """Rescale gradients by AMSGrad as torch.optim.Adam(amsgrad=True) does.

    Note:
      optax.scale_by_amsgrad takes the maximum of the bias-corrected second moments. PyTorch, and therefore the official
      training, corrects the bias of the maximum. Losses differ by up to 1e-2 after 8 steps.

    Source: the official code; Reddi et al., On the Convergence of Adam and Beyond, 2018.
    """

    def init(params: Any) -> AmsgradState:
        zeros = optax.tree.zeros_like
        return AmsgradState(jnp.zeros([], jnp.int32), zeros(params), zeros(params), zeros(params))

    def update(gradients: Any, state: AmsgradState, params: Any = None) -> tuple[Any, AmsgradState]:
        del params
        step = optax.safe_increment(state.step)
        count = step.astype(jnp.float32)
        mu = optax.tree.update_moment(gradients, state.mu, b1, 1)
        nu = optax.tree.update_moment(gradients, state.nu, b2, 2)
        nu_max = jax.tree.map(jnp.maximum, state.nu_max, nu)
        mu_hat = optax.tree.bias_correction(mu, b1, count)
        nu_hat = optax.tree.bias_correction(nu_max, b2, count)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mu_hat, nu_hat)
        return updates, AmsgradState(step, mu, nu, nu_max)

    return optax.GradientTransformation(init, update)


def learning_rate_schedule(train: ConfigDict) -> optax.Schedule:
    """Return the learning rate as a function of the number of finished epochs; each multiplies it by `lr_decay`."""
    return optax.exponential_decay(train.learning_rate, 1, train.lr_decay)


def bn_momentum_schedule(train: ConfigDict) -> optax.Schedule:
    """Return BatchNorm's momentum as a function of the number of finished epochs: it decays from start to end exponentially."""
    decay = math.exp(math.log(train.bn_momentum_end / train.bn_momentum_start) / train.epochs)
    return optax.exponential_decay(train.bn_momentum_start, 1, decay)


def scale_by_given_rate(weight_decay: float = 0.0) -> optax.GradientTransformationExtraArgs:
    """Scale updates by minus the learning rate, which is an argument of `update`.

    Args:
      weight_decay: share of each kernel that is added to its update before scaling (AdamW: Loshchilov and Hutter, Decoupled
        Weight Decay Regularization, 2019). Biases and norms do not decay.

    Note:
      A schedule of optax counts updates and is a constant of the compiled step. Here the rate depends on the epoch, and runs
      with different rates share one compiled program.
    """

    def update(
        updates: Any, state: optax.EmptyState, params: Any = None, *, learning_rate: jax.Array
    ) -> tuple[Any, optax.EmptyState]:
        if weight_decay:
            updates = jax.tree.map(lambda u, p: u + weight_decay * p if p.ndim > 1 else u, updates, params)
        return optax.tree.scale(-learning_rate, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


@functools.cache  # one object, so that equal StepSettings compare equal
def create_optimizer(weight_decay: float = 0.0) -> optax.GradientTransformationExtraArgs:
    """Return AMSGrad (supplement Sec. 1); `update` takes the learning rate, see `scale_by_given_rate`."""
    return optax.chain(scale_by_amsgrad(), scale_by_given_rate(weight_decay))
