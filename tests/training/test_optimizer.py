import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from srnet_jax.training.optimizer import bn_momentum_schedule, create_optimizer, learning_rate_schedule, scale_by_amsgrad


def pytorch_amsgrad(gradients, lr):
    """Compute torch.optim.Adam(amsgrad=True), which the official code uses, in float64."""
    x, m, v, v_max = 0.0, 0.0, 0.0, 0.0
    path = []
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        v_max = max(v_max, v)
        x -= lr / (1 - 0.9**t) * m / (np.sqrt(v_max) / np.sqrt(1 - 0.999**t) + 1e-8)
        path.append(x)
    return path


def test_amsgrad_is_pytorchs_and_not_optaxs(rng):
    gradients = rng.normal(size=30) * np.linspace(3, 0.1, 30)  # falling, so that the maximum matters
    ours, theirs = optax.chain(scale_by_amsgrad(), optax.scale(-1e-2)), optax.amsgrad(1e-2)

    def path(optimizer):
        x, values = jnp.zeros(()), []
        state = optimizer.init(x)
        for gradient in gradients:
            updates, state = optimizer.update(jnp.asarray(gradient, jnp.float32), state)
            x = optax.apply_updates(x, updates)
            values.append(float(x))
        return values

    expected = pytorch_amsgrad(gradients, 1e-2)
    np.testing.assert_allclose(path(ours), expected, rtol=1e-4, atol=1e-6)
    with jax.numpy_dtype_promotion("standard"):
        assert np.abs(np.subtract(path(theirs), expected)).max() > 1e-3


def test_weight_decay_shrinks_kernels_alone():
    """With no gradient a kernel loses the share learning rate * decay in each step, as under AdamW."""
    params = {"kernel": jnp.full((2, 3), 5.0), "bias": jnp.full(3, 5.0)}
    optimizer = create_optimizer(0.1)
    state = optimizer.init(params)
    for _ in range(2):
        updates, state = optimizer.update(jax.tree.map(jnp.zeros_like, params), state, params, learning_rate=jnp.float32(0.5))
        params = optax.apply_updates(params, updates)
    np.testing.assert_allclose(params["kernel"], 5 * 0.95**2, rtol=1e-6)
    np.testing.assert_array_equal(params["bias"], 5)
    assert jax.tree.structure(state) == jax.tree.structure(create_optimizer().init(params))


def test_schedules_change_at_the_epochs(tiny_config):
    train = tiny_config.train
    train.epochs = 80
    rate, momentum = learning_rate_schedule(train), bn_momentum_schedule(train)
    assert float(rate(0)) == pytest.approx(1e-3)
    assert float(rate(5)) == pytest.approx(1e-3 * 0.95**5, rel=1e-5)
    assert float(momentum(0)) == pytest.approx(0.1)
    for epoch in (1, 40, 80):
        assert float(momentum(epoch)) == pytest.approx(0.1 * np.exp(-epoch / 80 * np.log(100)), rel=1e-4)
