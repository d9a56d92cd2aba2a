"""Measure the parts of a training step: products, normalisation, optimiser, forward pass, gradient, and the whole step.

The products have the shapes of the network's groups; there is one for the forward pass and one for each of the two gradients.
Normalisation is BatchNorm with the activation, forward and backward. Beside it and beside the optimiser stands the time that
the memory alone would take: normalisation must read or write 5 arrays of the features' size, the optimiser 9 of the parameters'
size. All parts run in one process and are called alternately.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from srnet_jax.benchmarks.timing import medians
from srnet_jax.benchmarks.train import (
    TRAINING,
    make_arrays,
    make_config,
    make_model,
    make_product,
    make_training,
    product_operations,
)
from srnet_jax.config.schema import ACTIVATIONS
from srnet_jax.models.layers import FULL_BATCH, batch_normalize
from srnet_jax.models.pose_lifter import PoseLifter, init_variables
from srnet_jax.pose.losses import LOSSES
from srnet_jax.training.optimizer import create_optimizer

_NORMALISATION = 5  # the features and their gradients, each read once or written once
_OPTIMISER = 9  # gradients, parameters and three moments are read, all but the gradients are written


def run(rounds: int = 9) -> dict[str, float]:
    """Time the parts of each training case of `benchmark train`."""
    figures: dict[str, float] = {}
    for case, (network, widths, batch_size) in TRAINING.items():
        forward, gradient = _passes(network, widths, batch_size)
        products = _group_products(make_model(network, widths), batch_size)
        features = [_matrix(product.rows, product.width) for product in products if product.normalised]
        params = _variables(network, widths)["params"]
        parts = {
            "matrix products alone": _products(products),
            "normalisation alone": _normalisation(features, ACTIVATIONS[make_config(network, widths).model.activation]),
            "optimiser alone": _optimiser(params),
            "forward pass": forward,
            "forward and backward pass": gradient,
            "whole step": make_training(case),
            "product of 1024 x 1024": make_product(case),
            "features": _pass(features),
            "parameters": _pass(params),
        }
        seconds = medians(parts, rounds, warm_up=2)
        bound = product_operations(network, widths, batch_size, training=True) / 2 / 1024**3
        # a pass reads and writes, so it is two of the arrays that must be read or written
        least = {
            "normalisation": _NORMALISATION / 2 * seconds.pop("features"),
            "optimiser": _OPTIMISER / 2 * seconds.pop("parameters"),
        }
        figures |= {f"{case}: {name}, ms": 1000 * value for name, value in seconds.items()}
        figures |= {f"{case}: {name}, memory alone, ms": 1000 * value for name, value in least.items()}
        figures[f"{case}: bound, ms"] = 1000 * bound * seconds["product of 1024 x 1024"]
    return figures


class _Product(NamedTuple):
    """The product of one group in one layer: [rows, inner] by [inner, width]."""

    rows: int
    inner: int
    width: int
    has_input_gradient: bool
    normalised: bool


def _group_products(model: PoseLifter, batch_size: int) -> list[_Product]:
    plans, frames, found = model.layer_plans(), model.receptive_field, []
    for index, plan in enumerate(plans):
        frames //= plan.kernel_size
        for group, width in zip(plan.groups, plan.features, strict=True):
            inner, last = plan.kernel_size * len(group), index == len(plans) - 1
            found.append(_Product(batch_size * frames, inner, width, index > 0, not last))
    return found


def _matrix(rows: int, columns: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(rows + columns).normal(0, 0.1, (rows, columns)).astype(np.float32))


def _products(shapes: list[_Product]) -> Callable[[], object]:
    """Return a function that computes only the matrix products of the groups in a training step."""
    arrays = [(_matrix(s.rows, s.inner), _matrix(s.inner, s.width), _matrix(s.rows, s.width)) for s in shapes]

    @jax.jit
    def products(arrays: Any) -> Any:
        results = []
        for (x, kernel, gradient), shape in zip(arrays, shapes, strict=True):
            results += [x @ kernel, x.T @ gradient]
            if shape.has_input_gradient:
                results.append(gradient @ kernel.T)
        return results

    return lambda: jax.block_until_ready(products(arrays))


def _normalisation(features: list[jax.Array], slope: float) -> Callable[[], object]:
    """Return a function that normalises features [N, C], applies the activation, and computes the gradients."""

    def normalised(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        return batch_normalize(x, scale, bias, None, slope, None)[0]

    @jax.jit
    def both(features: list[jax.Array], gradients: list[jax.Array]) -> Any:
        results = []
        for x, gradient in zip(features, gradients, strict=True):
            y, backward = jax.vjp(normalised, x, jnp.ones(x.shape[1]), jnp.zeros(x.shape[1]))
            results.append((y, backward(gradient)))
        return results

    gradients = [-x for x in features]
    return lambda: jax.block_until_ready(both(features, gradients))


def _optimiser(params: Any) -> Callable[[], object]:
    """Return a function that updates parameters, which it keeps."""
    optimizer = create_optimizer()
    gradients = jax.tree.map(lambda leaf: 0.1 * leaf, params)
    kept = [jax.tree.map(jnp.copy, params), optimizer.init(params)]  # donated

    def update(gradients: Any, params: Any, state: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradients, state, params, learning_rate=jnp.float32(1e-6))
        return optax.apply_updates(params, updates), state

    compiled = jax.jit(update, donate_argnums=(1, 2))

    def function() -> None:
        kept[:] = jax.block_until_ready(compiled(gradients, *kept))

    return function


def _pass(arrays: Any) -> Callable[[], object]:
    """Return a function that reads each array once and writes it in its place, as the optimiser does."""
    compiled = jax.jit(lambda arrays: jax.tree.map(lambda leaf: -leaf, arrays), donate_argnums=0)
    kept = [jax.tree.map(jnp.copy, arrays)]

    def function() -> None:
        kept[0] = jax.block_until_ready(compiled(kept[0]))

    return function


def _variables(network: str, widths: tuple[int, ...]) -> Any:
    return init_variables(make_model(network, widths), jax.random.key(0))


def _passes(network: str, widths: tuple[int, ...], batch_size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions for the forward pass in training mode, and for the forward and backward pass."""
    model = make_model(network, widths).clone(strided=True)
    loss = LOSSES[make_config(network, widths).train.loss]
    inputs, targets = (jnp.asarray(x) for x in make_arrays(batch_size, model.receptive_field, 1))
    variables = _variables(network, widths)

    @jax.jit
    def forward(params: Any) -> Any:
        predicted, updated = model.apply(
            {**variables, "params": params}, inputs, train=True, bn_momentum=0.1, batch=FULL_BATCH, mutable=["batch_stats"]
        )
        return loss(predicted, targets).mean(), updated

    gradient = jax.jit(jax.value_and_grad(forward, has_aux=True))
    params = variables["params"]
    return lambda: jax.block_until_ready(forward(params)), lambda: jax.block_until_ready(gradient(params))
