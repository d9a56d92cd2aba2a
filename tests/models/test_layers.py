import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srnet_jax.models.layers import (
    BatchNorm,
    GroupConv,
    GroupDense,
    SplitRecombineConv,
    SplitRecombineDense,
    batch_normalize,
    split_widths,
)

GROUPS = ((0, 4, 2), (1, 0), (3, 5, 6, 7))  # feature 0 is shared, and the order is not ascending
FEATURES = (5, 3, 4)


def randomised(variables, seed=1):
    """Replace every variable, including the zero-initialised context, by noise; variances stay positive."""
    leaves, structure = jax.tree.flatten(variables)
    rng = np.random.default_rng(seed)
    moved = [
        jnp.asarray(rng.uniform(0.2, 1, x.shape) * (rng.choice([-1, 1], x.shape) if x.ndim > 1 else 1), x.dtype) for x in leaves
    ]
    return jax.tree.unflatten(structure, moved)


def test_split_widths_of_the_official_networks():
    assert split_widths((8, 8, 10, 8, 8), 1024) == (195, 195, 243, 195, 196)
    assert split_widths((14, 10, 14), 1024) == (377, 269, 378)
    assert split_widths((195, 195, 243, 195, 196), 64) == (12, 12, 15, 12, 13)


def test_unfold_agrees_with_indices(rng):
    x = rng.normal(size=(2, 11, 3)).astype(np.float32)
    for stride, dilation in ((1, 1), (3, 1), (1, 2), (2, 1)):
        layer = GroupConv(((0, 1, 2),), (4,), kernel_size=3, stride=stride, dilation=dilation)
        found = layer.unfold(jnp.asarray(x))
        for w in range(found.shape[1]):
            for t in range(3):
                np.testing.assert_array_equal(found[:, w, t], x[:, w * stride + t * dilation])
        assert found.shape[1] == (11 - 2 * dilation - 1) // stride + 1
    with pytest.raises(ValueError, match="4 frames are too few for kernel size 3 with dilation 2"):
        GroupConv(((0, 1, 2),), (4,), kernel_size=3, dilation=2).unfold(x[:, :4])


def test_group_layer_is_blind_to_other_groups(rng):
    x = rng.normal(size=(6, 8)).astype(np.float32)
    layer = GroupDense(GROUPS, FEATURES, use_bias=True)
    variables = layer.init(jax.random.key(0), x)
    y = layer.apply(variables, x)
    ends = np.cumsum(FEATURES)
    for feature in range(8):
        moved = layer.apply(variables, x + np.float32(np.arange(8) == feature))
        for group, end, width in zip(GROUPS, ends, FEATURES, strict=True):
            change = np.abs(moved - y)[:, end - width : end]
            assert (change.max() > 0) if feature in group else (change == 0).all()


def test_one_group_is_a_matrix_product(rng):
    x = rng.normal(size=(6, 8)).astype(np.float32)
    layer = GroupDense((tuple(range(8)),), (5,), use_bias=True)
    variables = layer.init(jax.random.key(0), x)
    parameters = variables["params"]
    np.testing.assert_allclose(
        layer.apply(variables, x), x @ np.asarray(parameters["kernel_0"][0]) + np.asarray(parameters["bias"]), atol=1e-6
    )


def naive_split_recombine(x, variables, recombine, h, source_of, form, train):
    """Equations 5 and 6 group by group in float64: x [B, D] -> [B, sum(FEATURES)]."""
    p = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"])
    outputs, channel = [], 0
    for g, group in enumerate(GROUPS):
        own = x[:, list(group)]
        others = [i for j, other in enumerate(GROUPS) if j != g for i in other]
        context = x[:, others if source_of == "others" else list(range(8))] @ p[f"context_kernel_{g}"][0]
        if form == "official":
            context = context + p[f"context_bias_{g}"]
            if recombine == "multiply":
                if source_of == "others":
                    stats = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["batch_stats"]["context_norm"])
                    norm = {**p["context_norm"], **stats}
                    norm = {name: value[channel : channel + h] for name, value in norm.items()}
                    mean, var = (context.mean(0), context.var(0)) if train else (norm["mean"], norm["var"])
                    context = (context - mean) / np.sqrt(var + 1e-5) * norm["scale"] + norm["bias"]
                context = 1 / (1 + np.exp(-context))
            else:
                context = np.where(context >= 0, context, 0.01 * context)
        channel += h
        local = {"multiply": lambda: own * context, "add": lambda: own + context, "concat": lambda: np.hstack([own, context])}
        outputs.append(local[recombine]() @ p[f"kernel_{g}"][0])
    return np.hstack(outputs)


@pytest.mark.parametrize("form", ["official", "paper"])
@pytest.mark.parametrize("source_of", ["others", "all"])
@pytest.mark.parametrize(("recombine", "h"), [("multiply", 1), ("add", 1), ("concat", 1), ("concat", 3)])
def test_split_recombine_agrees_with_the_equations(rng, recombine, h, source_of, form):
    x = rng.normal(size=(9, 8)).astype(np.float32)
    layer = SplitRecombineDense(GROUPS, FEATURES, recombine=recombine, context_dim=h, context_from=source_of, context_form=form)
    variables = randomised(layer.init(jax.random.key(0), x))
    for train in (False, True):
        found, _ = layer.apply(variables, x, train=train, mutable=["batch_stats"])
        expected = naive_split_recombine(x.astype(np.float64), variables, recombine, h, source_of, form, train)
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)


def test_context_dim_zero_is_the_group_layer(rng):
    x = rng.normal(size=(6, 8)).astype(np.float32)
    variables = GroupDense(GROUPS, FEATURES).init(jax.random.key(0), x)
    for recombine in ("multiply", "add", "concat"):
        layer = SplitRecombineDense(GROUPS, FEATURES, recombine=recombine, context_dim=0)
        assert jax.tree.map(jnp.shape, layer.init(jax.random.key(0), x)) == jax.tree.map(jnp.shape, variables)
        np.testing.assert_array_equal(layer.apply(variables, x), GroupDense(GROUPS, FEATURES).apply(variables, x))


@pytest.mark.parametrize(
    ("context_dim", "widths"), [(2, (2, 2, 2)), (0.25, (1, 1, 1)), (0.5, (2, 1, 2)), (1.0, (3, 2, 4)), (2.0, (6, 4, 8))]
)
def test_context_dim_is_absolute_or_a_fraction(context_dim, widths):
    layer = SplitRecombineDense(GROUPS, FEATURES, recombine="concat", context_dim=context_dim)
    assert layer.context_widths == widths
    kernels = jax.eval_shape(layer.init, jax.random.key(0), jnp.zeros((2, 8)))["params"]
    for g, (group, h) in enumerate(zip(GROUPS, widths, strict=True)):
        assert kernels[f"kernel_{g}"].shape == (1, len(group) + h, FEATURES[g])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_dim": 2}, r"context widths \(2, 2, 2\) for groups of \(3, 2, 4\) features, expected 1 or the group's width"),
        ({"context_dim": 0.5, "recombine": "add"}, "expected 1 or the group's width"),
        ({"context_dim": -1}, "expected 0 or more"),
        ({"recombine": "gate"}, "expected one of multiply, add, concat"),
        ({"context_from": "none"}, "expected one of others, all"),
        ({"context_form": "other"}, "expected one of official, paper"),
    ],
)
def test_impossible_layers_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SplitRecombineDense(GROUPS, FEATURES, **options)


def test_one_group_has_no_others():
    with pytest.raises(ValueError, match="one group has no others"):
        SplitRecombineDense((tuple(range(8)),), (4,))
    SplitRecombineDense((tuple(range(8)),), (4,), context_from="all")


def test_full_width_context_gates_every_feature(rng):
    layer = SplitRecombineDense(GROUPS, FEATURES, context_dim=1.0)
    x = rng.normal(size=(6, 8)).astype(np.float32)
    variables = layer.init(jax.random.key(0), x)
    assert variables["params"]["context_kernel_2"].shape == (1, 5, 4)
    assert layer.apply(variables, x).shape == (6, sum(FEATURES))


@pytest.mark.parametrize("layer_types", [(GroupDense, GroupConv), (SplitRecombineDense, SplitRecombineConv)])
def test_one_tap_convolution_is_the_dense_layer(rng, layer_types):
    dense, convolution = (kind(GROUPS, FEATURES) for kind in layer_types)
    x = rng.normal(size=(2, 6, 8)).astype(np.float32)
    variables = dense.init(jax.random.key(0), x)
    np.testing.assert_allclose(dense.apply(variables, x), convolution.apply(variables, x), atol=1e-6)


def test_context_starts_at_zero_and_official_gates_at_one_half(rng):
    x = rng.normal(size=(6, 8)).astype(np.float32)
    layer = SplitRecombineDense(GROUPS, FEATURES)
    variables = layer.init(jax.random.key(0), x)
    assert not any(v.any() for k, v in variables["params"].items() if k.startswith("context_kernel"))
    gated, _ = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    kernels = {k: v for k, v in variables["params"].items() if k.startswith("kernel")}
    np.testing.assert_allclose(gated, GroupDense(GROUPS, FEATURES).apply({"params": kernels}, x) / 2, rtol=1e-4, atol=1e-5)


def test_batch_norm_keeps_pytorch_statistics(rng):
    x = rng.normal(2, 3, (5, 4, 6)).astype(np.float32)
    norm = BatchNorm()
    variables = norm.init(jax.random.key(0), [x], train=True)
    [y], updated = norm.apply(variables, [x], train=True, momentum=0.3, mutable=["batch_stats"])
    flat = x.reshape(-1, 6).astype(np.float64)
    np.testing.assert_allclose(y, (x - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(updated["batch_stats"]["mean"], 0.3 * flat.mean(0), rtol=1e-5)
    np.testing.assert_allclose(updated["batch_stats"]["var"], 0.7 + 0.3 * flat.var(0, ddof=1), rtol=1e-5)
    [evaluated] = norm.apply(variables | updated, [x], train=False)
    stats = jax.tree.map(np.asarray, updated["batch_stats"])
    expected = (x - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    np.testing.assert_allclose(evaluated, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("slope", [1.0, 0.01, 0.0])
@pytest.mark.parametrize("padding", [0, 3])
def test_batch_norm_gradient_is_the_derivative(rng, slope, padding):
    n = 7
    x = jnp.asarray(rng.normal(size=(n + padding, 3)), jnp.float32)
    scale, bias, direction = (jnp.asarray(rng.normal(size=s), jnp.float32) for s in ((3,), (3,), (n, 3)))
    weights = jnp.asarray([[1.0]] * n + [[0.0]] * padding) if padding else None

    def plain(x, scale, bias):
        x = x[:n]
        mean = x.mean(0, keepdims=True)
        var = jnp.square(x - mean).mean(0, keepdims=True)
        z = (x - mean) / jnp.sqrt(var + 1e-5) * scale[None] + bias[None]
        return jnp.sum(direction * jnp.where(z > 0, z, slope * z))

    def written(x, scale, bias):
        return jnp.sum(direction * batch_normalize(x, scale, bias, weights, slope, None)[0][:n])

    np.testing.assert_allclose(written(x, scale, bias), plain(x, scale, bias), rtol=1e-5)
    expected = jax.grad(plain, argnums=(0, 1, 2))(x, scale, bias)
    found = jax.grad(written, argnums=(0, 1, 2))(x, scale, bias)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_batch_norm_of_parts_is_that_of_the_whole(rng):
    x = rng.normal(size=(5, 4, 6)).astype(np.float32)
    norm = BatchNorm(slope=0.01)
    variables = randomised(norm.init(jax.random.key(0), [x], train=True))
    for train in (True, False):
        [whole], _ = norm.apply(variables, [x], train=train, mutable=["batch_stats"])
        parts, _ = norm.apply(variables, [x[..., :1], x[..., 1:]], train=train, mutable=["batch_stats"])
        np.testing.assert_allclose(jnp.concatenate(parts, -1), whole, atol=1e-6)
