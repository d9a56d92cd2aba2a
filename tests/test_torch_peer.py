from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan
from srnet_jax.pose.losses import l1_loss
from srnet_jax.pose.skeleton import body_groups

torch = pytest.importorskip("torch")
from srnet_jax.benchmarks import torch_peer  # noqa: E402 after the check for torch

BATCH = 16  # normalisation over a few values magnifies rounding


def lifter(network, filter_widths, channels=45, **options):
    return PoseLifter(
        connectivity=connectivity_plan(network, 2 * len(filter_widths)),
        joint_groups=body_groups(5),
        filter_widths=filter_widths,
        channels=channels,
        **options,
    )


def random_variables(model, rng):
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, model.receptive_field, 17, 2)))

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def load(module, variables):
    """Copy the variables of a `PoseLifter`, or a tree of their shapes such as gradients, into its module."""
    params, statistics = variables["params"], variables["batch_stats"]

    def tensor(values):
        return torch.tensor(np.asarray(values))

    def put(place, values):
        place.copy_(tensor(values).view(place.shape))

    def put_norm(norm, params, statistics):
        put(norm.weight, params["scale"])
        put(norm.bias, params["bias"])
        put(norm.running_mean, statistics["mean"])
        put(norm.running_var, statistics["var"])

    with torch.no_grad():
        for index, norm in enumerate(module.norms):
            put_norm(norm, params[f"norm_{index}"], statistics[f"norm_{index}"])
        for index, layer in enumerate(module.layers):
            ours = params[f"layer_{index}"]
            for group, kernel in enumerate(layer.kernels):
                put(kernel, ours[f"kernel_{group}"])
            if layer.bias is not None:
                put(layer.bias, ours["bias"])
            if not layer.recombines:
                continue
            k = layer.kernel_size
            put(layer.context_bias, np.concatenate([ours[f"context_bias_{group}"] for group in range(len(layer.kernels))]))
            layer.context_kernel.zero_()
            for group in range(len(layer.kernels)):
                columns = slice(group * k, (group + 1) * k)
                read = layer.context_mask[:, group * k].bool()
                layer.context_kernel[:, read, columns] = tensor(ours[f"context_kernel_{group}"]).to(layer.context_kernel)
            put_norm(layer.context_norm, ours["context_norm"], statistics[f"layer_{index}"]["context_norm"])


@partial(jax.jit, static_argnums=0)
def ours(model, variables, inputs_2d, targets):
    """Return evaluation outputs, training outputs, updated statistics and gradients."""

    def loss(params):
        predicted, updated = model.apply({**variables, "params": params}, inputs_2d, train=True, mutable=["batch_stats"])
        return l1_loss(predicted, targets).mean(), (predicted, updated["batch_stats"])

    (_, (trained, statistics)), gradients = jax.value_and_grad(loss, has_aux=True)(variables["params"])
    return model.apply(variables, inputs_2d), trained, statistics, gradients


@pytest.mark.parametrize("network", ["fc", "gp", "sr"])
@pytest.mark.parametrize(
    ("filter_widths", "frames"),
    [((1,) * 3, 1), ((1,) * 4, 1), ((1,) * 3, 5), ((3,) * 3, 27), ((3,) * 5, 243)],
)
def test_peer_equals_pose_lifter(network, filter_widths, frames, rng):
    model = lifter(network, filter_widths, strided=frames == np.prod(filter_widths))
    variables = random_variables(model, rng)
    inputs_2d = rng.normal(size=(BATCH, frames, 17, 2)).astype(np.float32)
    targets = rng.normal(size=(BATCH, frames - model.receptive_field + 1, 17, 3)).astype(np.float32)
    evaluated, trained, statistics, gradients = ours(model, variables, inputs_2d, targets)

    peer = torch_peer.TorchLifter(model)
    load(peer, variables)
    with torch.inference_mode():
        predicted = peer.eval()(torch.tensor(inputs_2d)).numpy()
    peer.train()
    np.testing.assert_allclose(predicted, evaluated, rtol=1e-5, atol=1e-5)
    peer.train()
    predicted = peer(torch.tensor(inputs_2d))
    np.testing.assert_allclose(predicted.detach().numpy(), trained, rtol=1e-5, atol=1e-5)
    torch.nn.functional.l1_loss(predicted, torch.tensor(targets)).backward()
    expected = torch_peer.TorchLifter(model)
    load(expected, {"params": gradients, "batch_stats": statistics})
    for (name, value), wanted in zip(peer.named_parameters(), expected.parameters(), strict=True):
        np.testing.assert_allclose(value.grad, wanted.detach(), atol=1e-4, err_msg=name)
    for (name, value), wanted in zip(peer.named_buffers(), expected.buffers(), strict=True):
        np.testing.assert_allclose(value, wanted, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("network", ["fc", "gp", "sr"])
@pytest.mark.parametrize(("filter_widths", "frames"), [((1,) * 4, 300), ((3,) * 3, 40), ((3,) * 5, 300)])
def test_inference_equals_pose_lifter(network, filter_widths, frames, rng):
    """In float64, and in float32 to a few units in the last place of the largest output."""
    model = lifter(network, filter_widths)
    inputs_2d = rng.normal(size=(2, frames, 17, 2))
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda leaf: leaf.astype(np.float64), random_variables(model, rng))
        exact = np.asarray(model.apply(variables, jnp.asarray(inputs_2d)))
    peer = torch_peer.TorchLifter(model)
    load(peer, variables)
    folded = torch_peer.fold(peer)
    single = torch_peer.predict(folded, torch.tensor(inputs_2d, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(single, exact, atol=1e-5 * np.abs(exact).max(), rtol=0)
    peer = peer.double()
    load(peer, variables)
    for module in (peer.eval(), torch_peer.fold(peer)):
        np.testing.assert_allclose(torch_peer.predict(module, torch.tensor(inputs_2d)), exact, rtol=1e-9, atol=1e-9)


def test_step_lowers_the_loss(rng):
    peer = torch_peer.TorchLifter(lifter("sr", (3, 3)))
    optimizer = torch_peer.create_optimizer(peer)
    inputs_2d = torch.tensor(rng.normal(size=(32, 9, 17, 2)).astype(np.float32))
    targets = inputs_2d[:, 4:5, :, :1].expand(-1, -1, -1, 3)
    losses = [torch_peer.train_step(peer, optimizer, inputs_2d, targets).item() for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize("options", [{"recombine": "add"}, {"context_dim": 2}, {"adds_input": True}, {"dropout": 0.1}])
def test_networks_that_are_not_timed_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        torch_peer.TorchLifter(lifter("sr", (1, 1), **options))
