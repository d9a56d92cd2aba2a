"""Measure the parts of a training step: the matrix products alone, the forward pass, the gradient, and the whole step.

The products have the shapes of the network's groups; there is one for the forward pass and one for each of the two gradients.
The difference to the forward and backward pass is the time for gates, BatchNorm, activations and moving features; the
difference from there to the whole step is the optimiser. All parts run in one process and are called alternately.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

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
from srnet_jax.models.layers import FULL_BATCH
from srnet_jax.pose.losses import LOSSES


def run(rounds: int = 9) -> dict[str, float]:
    """Time the parts of each training case of `benchmark train`."""
    figures: dict[str, float] = {}
    for case, (network, widths, batch_size) in TRAINING.items():
        forward, gradient = _passes(network, widths, batch_size)
        parts = {
            "matrix products alone": _products(network, widths, batch_size),
            "forward pass": forward,
            "forward and backward pass": gradient,
            "whole step": make_training(case),
            "product of 1024 x 1024": make_product(case),
        }
        seconds = medians(parts, rounds, warm_up=2)
        bound = product_operations(network, widths, batch_size, training=True) / 2 / 1024**3
        figures |= {f"{case}: {name}, ms": 1000 * value for name, value in seconds.items()}
        figures[f"{case}: bound, ms"] = 1000 * bound * seconds["product of 1024 x 1024"]
    return figures


def _products(network: str, widths: tuple[int, ...], batch_size: int) -> Callable[[], object]:
    """Return a function that computes only the matrix products of the groups in a training step."""
    model = make_model(network, widths)
    frames, shapes = model.receptive_field, []
    for index, plan in enumerate(model.layer_plans()):
        frames //= plan.kernel_size
        for group, width in zip(plan.groups, plan.features, strict=True):
            shapes.append((batch_size * frames, plan.kernel_size * len(group), width, index > 0))
    rng = np.random.default_rng(0)

    def matrix(*shape: int) -> jax.Array:
        return jnp.asarray(rng.normal(0, 0.1, shape).astype(np.float32))

    arrays = [(matrix(rows, inner), matrix(inner, width), matrix(rows, width)) for rows, inner, width, _ in shapes]

    @jax.jit
    def products(arrays: Any) -> Any:
        results = []
        for (x, kernel, gradient), (*_, has_input_gradient) in zip(arrays, shapes, strict=True):
            results += [x @ kernel, x.T @ gradient]
            if has_input_gradient:
                results.append(gradient @ kernel.T)
        return results

    return lambda: jax.block_until_ready(products(arrays))


def _passes(network: str, widths: tuple[int, ...], batch_size: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return functions for the forward pass in training mode, and for the forward and backward pass."""
    model = make_model(network, widths).clone(strided=True)
    loss = LOSSES[make_config(network, widths).train.loss]
    inputs, targets = (jnp.asarray(x) for x in make_arrays(batch_size, model.receptive_field, 1))
    variables = model.init(jax.random.key(0), inputs[:1])

    @jax.jit
    def forward(params: Any) -> Any:
        predicted, updated = model.apply(
            {**variables, "params": params}, inputs, train=True, bn_momentum=0.1, batch=FULL_BATCH, mutable=["batch_stats"]
        )
        return loss(predicted, targets).mean(), updated

    gradient = jax.jit(jax.value_and_grad(forward, has_aux=True))
    params = variables["params"]
    return lambda: jax.block_until_ready(forward(params)), lambda: jax.block_until_ready(gradient(params))
