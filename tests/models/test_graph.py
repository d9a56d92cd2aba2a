from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from srnet_jax.errors import ConfigError
from srnet_jax.models.graph import (
    LCN,
    LCN_LINKS,
    POOLED_PAIRS,
    GraphNonLocal,
    LocalDense,
    SemGCN,
    SemGraphConv,
    create_graph_model,
    neighbourhoods,
)
from srnet_jax.models.layers import Batch
from srnet_jax.models.pose_lifter import count_parameters, variable_shapes
from srnet_jax.pose.skeleton import H36M_17

BOTH = [SemGCN(num_layers=4, channels=6), LCN(num_layers=4, channels=5, dropout=0.0)]
JOINTS = range(17)


@partial(jax.jit, static_argnames="model")
def apply(model, variables, x):
    return model.apply(variables, x)


def noisy_variables(model, seed=0):
    """Return random variables, also for the non-local layers, which are initially silent; nothing is compiled."""
    shapes = variable_shapes(model)
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        low = 0.5 if path[-1].key in ("scale", "var") else -1.5
        fan_in = leaf.shape[-2] if leaf.ndim > 1 else 1
        return (rng.uniform(low, 1.5, leaf.shape) / np.sqrt(fan_in)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


def in_float64(variables):
    return jax.tree.map(lambda a: np.asarray(a, np.float64), variables)


def matrix(neighbours):
    return np.array([[j in seen for j in JOINTS] for seen in neighbours])


def reach(model):
    """Return which output joints depend on which input joints: [J, J] bool."""
    variables = noisy_variables(model)
    x = np.random.default_rng(1).normal(size=(1, 1, 17, 2))
    moved = np.concatenate([x, x + np.eye(17)[:, None, :, None]]).astype(np.float32)  # [1 + J, 1, J, 2]
    y = np.asarray(apply(model, variables, moved))[:, 0]
    return (np.abs(y[1:] - y[0]).max(-1) > 0).T


@pytest.mark.parametrize(
    ("model", "count", "published"),  # published: the count that the authors state, in millions, if any
    [
        (SemGCN(num_layers=10), 432_941, 0.43),
        (SemGCN(num_layers=10, non_local=False), 266_221, 0.27),
        (SemGCN(num_layers=8), 333_451, None),
        (SemGCN(num_layers=8, non_local=False), 200_075, None),
        (LCN(), 4_357_747, None),
    ],
    ids=["semgcn", "semgcn-local", "semgcn-8", "semgcn-8-local", "lcn"],
)
def test_parameter_counts(model, count, published):
    params = variable_shapes(model)["params"]
    assert count_parameters(params) == count
    if published:  # the published count includes biases that cancel: of all layers but the last, and of the non-local layers
        biases = 128 * sum(name.startswith(("norm", "non_local")) for name in params)
        assert round((count + biases) / 1e6, 2) == published
        assert count + biases in (434_733, 267_373)


def test_lcn_sees_what_the_published_mask_lets_it_see():
    """The published code stores dense matrices and biases that cancel, which give the other count in the docstring of LCN."""
    assert [len(seen) for seen in neighbourhoods(H36M_17, 3, LCN_LINKS)] == [
        14, 13, 9, 5, 13, 9, 5, 17, 15, 11, 6, 14, 10, 5, 14, 10, 5,
    ]  # fmt: skip
    wide = 17 * 64
    assert 34 * wide + 6 * wide**2 + 51 * wide + 7 * wide + 51 + 7 * 128 == 7_203_507


def test_neighbourhoods_are_balls_of_the_skeleton():
    parents = np.array(H36M_17.parents)
    distance = np.full((17, 17), 99)
    np.fill_diagonal(distance, 0)
    for joint in JOINTS[1:]:  # parents come first: a joint is one bone farther than its parent from all earlier joints
        distance[joint, :joint] = distance[:joint, joint] = distance[parents[joint], :joint] + 1
    for hops in range(6):
        np.testing.assert_array_equal(matrix(neighbourhoods(H36M_17, hops)), distance <= hops)
    near, far = matrix(neighbourhoods(H36M_17, 1, LCN_LINKS)), matrix(neighbourhoods(H36M_17, 2, LCN_LINKS))
    np.testing.assert_array_equal(near, near.T)
    np.testing.assert_array_equal(near @ near, far)
    mirror = np.array(H36M_17.mirrored)
    np.testing.assert_array_equal(far[mirror][:, mirror], far)


@pytest.mark.parametrize("hops", [0, 1, 3])
def test_lcn_layer_reaches_its_hops(hops, rng):
    neighbours = neighbourhoods(H36M_17, hops, LCN_LINKS)
    layer = LocalDense(neighbours, 3)
    x = rng.normal(size=(1, 17, 2)).astype(np.float32)
    variables = layer.init(jax.random.key(0), x)
    jacobian = jax.jacobian(lambda x: layer.apply(variables, x)[0])(x)[:, :, 0]  # [J, 3, J, 2]
    np.testing.assert_array_equal(np.abs(jacobian).max((1, 3)) > 0, matrix(neighbours))


def test_reach_grows_by_a_layer_s_hops():
    for layers in (2, 4):
        local = SemGCN(num_layers=layers, channels=6, non_local=False, activation="leaky_relu")
        np.testing.assert_array_equal(reach(local), matrix(neighbourhoods(H36M_17, layers)))
    lcn = LCN(num_layers=2, channels=5, hops=1, dropout=0.0)
    np.testing.assert_array_equal(reach(lcn), matrix(neighbourhoods(H36M_17, 2, LCN_LINKS)))


def test_non_local_layers_let_every_joint_reach_every_joint():
    assert reach(SemGCN(num_layers=2, channels=32, activation="leaky_relu")).all()
    layer, x = GraphNonLocal(), np.random.default_rng(0).normal(size=(4, 17, 8)).astype(np.float32)
    settings = {"train": False, "batch": Batch(), "momentum": 0.1}
    variables = layer.init(jax.random.key(0), x, **settings)
    np.testing.assert_array_equal(layer.apply(variables, x, **settings), x)  # a new network is local


def test_semgcn_shares_weights_over_joints(rng):
    """With mirrored edge weights (here equal) a mirrored input gives the mirrored output; not so for LCN."""
    mirror = np.array(H36M_17.mirrored)
    x = rng.normal(size=(3, 1, 17, 2)).astype(np.float32)
    for model in BOTH:
        variables = noisy_variables(model)
        for name, layer in variables["params"].items():
            if "edges" in layer:
                variables["params"][name] = layer | {"edges": np.ones_like(layer["edges"])}
        y, mirrored = apply(model, variables, x), apply(model, variables, x[:, :, mirror])
        error = np.abs(mirrored - y[:, :, mirror]).max() / np.abs(y).max()
        assert error < 1e-5 if isinstance(model, SemGCN) else error > 1e-2


def test_semantic_convolution_agrees_with_its_equation(rng):
    neighbours = neighbourhoods(H36M_17)
    layer = SemGraphConv(neighbours, 4, use_bias=True)
    x = rng.normal(size=(5, 17, 3))
    variables = layer.init(jax.random.key(0), x.astype(np.float32))
    edges = rng.normal(size=variables["params"]["edges"].shape)
    variables = {"params": variables["params"] | {"edges": jnp.asarray(edges, jnp.float32), "bias": jnp.arange(4.0)}}
    p = in_float64(variables["params"])
    expected, edge = np.zeros((5, 17, 4)) + p["bias"], 0
    for i, seen in enumerate(neighbours):
        strength = np.exp(p["edges"][edge : edge + len(seen)])
        edge += len(seen)
        for j, a in zip(seen, strength / strength.sum(), strict=True):
            expected[:, i] += a * x[:, j] @ p["kernel"][0 if i == j else 1]
    np.testing.assert_allclose(layer.apply(variables, x.astype(np.float32)), expected, atol=1e-5)


def test_locally_connected_layer_agrees_with_its_equation(rng):
    neighbours = neighbourhoods(H36M_17, 2, LCN_LINKS)
    layer = LocalDense(neighbours, 4, use_bias=True)
    x = rng.normal(size=(5, 17, 3))
    variables = layer.init(jax.random.key(0), x.astype(np.float32))
    variables = {"params": variables["params"] | {"bias": jnp.arange(17 * 4.0)}}
    p = in_float64(variables["params"])
    expected, blocks = np.zeros((5, 17, 4)) + p["bias"].reshape(17, 4), iter(p["kernel"])
    for i, seen in enumerate(neighbours):
        for j in seen:
            expected[:, i] += x[:, j] @ next(blocks)
    np.testing.assert_allclose(layer.apply(variables, x.astype(np.float32)), expected, atol=1e-4)


def test_non_local_layer_agrees_with_its_equation(rng):
    layer, settings = GraphNonLocal(), {"train": False, "batch": Batch(), "momentum": 0.1}
    x = rng.normal(size=(5, 17, 8))
    shapes = jax.eval_shape(partial(layer.init, **settings), jax.random.key(0), x.astype(np.float32))
    variables = jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(np.float32) - 0.05, shapes)
    p, stats = in_float64(variables["params"]), in_float64(variables["batch_stats"])["norm"]
    theta, phi, g = (
        x @ kernel + bias
        for kernel, bias in [
            (p["theta_kernel"], p["theta_bias"]),
            (p["phi_g_kernel"][:, :4], p["phi_g_bias"][:4]),
            (p["phi_g_kernel"][:, 4:], p["phi_g_bias"][4:]),
        ]
    )
    expected = np.zeros((5, 17, 4))
    for i in JOINTS:
        for a, b in POOLED_PAIRS:
            both = np.concatenate([theta[:, i], np.maximum(phi[:, a], phi[:, b])], axis=-1)
            strength = np.maximum(both @ p["affinity"][:, 0], 0) / len(POOLED_PAIRS)
            expected[:, i] += strength[:, None] * np.maximum(g[:, a], g[:, b])
    normalized = (expected @ p["kernel"] - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    expected = x + normalized * p["norm"]["scale"] + p["norm"]["bias"]
    np.testing.assert_allclose(layer.apply(variables, x.astype(np.float32), **settings), expected, rtol=1e-4)


def test_pooled_pairs_are_the_mirror_s_too():
    pairs = {frozenset(pair) for pair in POOLED_PAIRS}
    assert pairs == {frozenset(H36M_17.mirrored[joint] for joint in pair) for pair in pairs}
    assert sorted(joint for pair in POOLED_PAIRS for joint in pair) == [j for j in JOINTS if H36M_17.joints[j] != "Head"]


@pytest.mark.parametrize("model", BOTH, ids=["semgcn", "lcn"])
def test_frames_are_lifted_by_themselves(rng, model):
    variables = noisy_variables(model)
    x = rng.normal(size=(2, 3, 17, 2)).astype(np.float32)
    y = apply(model, variables, x)
    assert y.shape == (2, 3, 17, 3)
    single = apply(model.clone(strided=True), variables, x.reshape(6, 1, 17, 2))
    np.testing.assert_allclose(y, single.reshape(y.shape), rtol=1e-5, atol=1e-5)
    added = apply(model.clone(adds_input=True), variables, x)
    np.testing.assert_allclose(added - y, np.pad(x, ((0, 0),) * 3 + ((0, 1),)), atol=1e-4)
    assert (model.num_joints, model.receptive_field, model.causal, model.length_dependent) == (17, 1, False, False)


@partial(jax.jit, static_argnames="model")
def train(model, variables, x, weights, key):
    batch = Batch(weights)
    return model.apply(variables, x, train=True, batch=batch, mutable=["batch_stats"], rngs={"dropout": key})


@pytest.mark.parametrize("model", BOTH, ids=["semgcn", "lcn"])
def test_padding_leaves_the_statistics_alone(rng, model):
    variables, key = noisy_variables(model), jax.random.key(0)
    x = rng.normal(size=(6, 1, 17, 2)).astype(np.float32)
    alone, stats = train(model, variables, x[:4], None, key)
    padded, padded_stats = train(model, variables, x, np.array([1, 1, 1, 1, 0, 0], np.float32), key)
    np.testing.assert_allclose(padded[:4], alone, rtol=1e-4, atol=1e-4)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), padded_stats, stats)


def test_devices_of_a_pmap_drop_out_as_one(rng):
    model = LCN(num_layers=2, channels=5, dropout=0.5)
    variables, key = noisy_variables(model), jax.random.key(0)
    x = rng.normal(size=(6, 1, 17, 2)).astype(np.float32)
    expected, _ = train(model, variables, x, None, key)
    assert np.abs(train(model, variables, x, None, jax.random.key(1))[0] - expected).max() > 1e-3

    def part(x):
        batch = Batch(axis_name="devices")
        return model.apply(variables, x, train=True, batch=batch, mutable=["batch_stats"], rngs={"dropout": key})[0]

    found = jax.pmap(part, "devices", devices=jax.devices()[:2])(x.reshape(2, 3, 1, 17, 2))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", BOTH, ids=["semgcn", "lcn"])
def test_bfloat16_agrees_with_float32(rng, model):
    variables = noisy_variables(model)
    x = rng.normal(size=(4, 1, 17, 2)).astype(np.float32)
    expected, found = apply(model, variables, x), apply(model.clone(precision="bfloat16"), variables, x)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - expected).max() / np.abs(expected).max() < 0.05


def graph_config(**fields):
    model = default.get_config().model
    model.unlock()
    model.update({"network": "semgcn", "channels": 20, "non_local": True, "hops": 3, **fields})
    return model


def test_config_names_every_choice():
    fields = {"filter_widths": (1, 1, 1), "activation": "relu", "dropout": 0.1, "precision": "tf32", "adds_input": True}
    common = {"num_layers": 6, **{name: fields[name] for name in list(fields)[1:]}, "channels": 20}
    assert create_graph_model(graph_config(**fields, non_local=False)) == SemGCN(**common, non_local=False)
    assert create_graph_model(graph_config(**fields, network="lcn", hops=2)) == LCN(**common, hops=2)
    with pytest.raises(ConfigError, match=r"filter_widths: found \(1, 3\), expected \(1, 1\) for semgcn"):
        create_graph_model(graph_config(filter_widths=(1, 3)))
    with pytest.raises(ValueError, match="expected one of semgcn, lcn"):
        create_graph_model(graph_config(network="gat"))
