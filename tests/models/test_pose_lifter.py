from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan, count_parameters, variable_shapes
from srnet_jax.pose.skeleton import GROUP_NUMBERS, body_groups


def lifter(network="sr", filter_widths=(1, 1), num_groups=5, root_in_every_group=True, **options):
    return PoseLifter(
        connectivity=connectivity_plan(network, 2 * len(filter_widths)),
        joint_groups=body_groups(num_groups, root_in_every_group=root_in_every_group),
        filter_widths=filter_widths,
        **{"channels": 45, **options},
    )


@partial(jax.jit, static_argnames="model")
def apply(model, variables, x):
    return model.apply(variables, x)


def noisy_variables(model, seed=0):
    """Return random variables, also for the context and the statistics; nothing is compiled."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variable_shapes(model))


@pytest.mark.parametrize(
    ("options", "count"),  # of the official networks at full width
    [
        ({"network": "fc", "filter_widths": (1,) * 4}, 6_392_883),
        ({"network": "gp", "filter_widths": (1,) * 4}, 1_305_467),
        ({"recombine": "add", "filter_widths": (1,) * 4}, 1_334_347),
        ({"recombine": "concat", "filter_widths": (1,) * 4}, 1_341_579),
        ({"filter_widths": (1,) * 3}, 899_029),
        ({"filter_widths": (1,) * 4}, 1_334_427),
        ({"network": "fc", "filter_widths": (3,) * 5}, 16_952_371),
        ({"filter_widths": (3,) * 5}, 3_612_067),
        ({"filter_widths": (3,) * 5, "num_groups": 3}, 5_881_296),
        ({"filter_widths": (3,) * 5, "num_groups": 2}, 8_637_975),
        ({"filter_widths": (1,) * 3, "context_from": "all", "recombine": "add"}, 904_091),
    ],
)
def test_parameter_counts_are_the_official_ones(options, count):
    model = lifter(**options, channels=1024)
    assert count_parameters(variable_shapes(model)["params"]) == count


def test_numbers_and_shares_of_context_are_unlike():
    """context_dim 1 (one feature) and 1.0 (the group's width) are equal, but their networks share no compiled results."""
    one, all_of_them = (lifter(recombine="concat", context_dim=h) for h in (1, 1.0))
    assert one != all_of_them
    assert one == lifter(recombine="concat", context_dim=1) == one.clone()
    assert variable_shapes(one) != variable_shapes(all_of_them)


@pytest.mark.parametrize(
    "options",
    [
        {"network": "fc", "causal": True},
        {"network": "gp", "filter_widths": (3, 3, 3)},
        {"recombine": "multiply", "filter_widths": (5, 1, 3)},
        {"recombine": "multiply", "causal": True},
        {"recombine": "add"},
        {"recombine": "concat", "causal": True},
        {"recombine": "concat", "context_dim": 3, "context_form": "paper"},
        {"recombine": "multiply", "context_from": "all"},
    ],
    ids=str,
)
def test_strided_and_dilated_forms_agree(rng, options):
    """The dilated form on sequences equals the strided form on each of their windows."""
    model = lifter(**{"filter_widths": (3, 3), **options})
    variables = noisy_variables(model)
    field, outputs = model.receptive_field, 4
    x = rng.normal(size=(2, field + outputs - 1, 17, 2)).astype(np.float32)
    dilated = apply(model, variables, x)
    assert dilated.shape == (2, outputs, 17, 3)
    windows = np.stack([x[:, i : i + field] for i in range(outputs)], 1).reshape(-1, field, 17, 2)
    strided = apply(model.clone(strided=True), variables, windows).reshape(dilated.shape)
    scale = max(float(np.abs(dilated).max()), 1)
    np.testing.assert_allclose(strided, dilated, atol=1e-5 * scale)


@pytest.mark.parametrize(("causal", "frame"), [(True, 8), (False, 4)])
def test_residuals_follow_the_output_frame(rng, causal, frame):
    """With silent residual layers only the first layer and the residual path remain; they see the taps around it."""
    model = lifter("sr", (3, 3), causal=causal)
    variables = noisy_variables(model)
    params = dict(variables["params"])
    for silent in ("norm_1", "norm_2"):
        params[silent] = jax.tree.map(jnp.zeros_like, params[silent])
    silenced = variables | {"params": params}
    x = rng.normal(size=(1, 9, 17, 2)).astype(np.float32)
    y = apply(model, silenced, x)
    seen = []
    for t in range(9):
        moved = x.copy()
        moved[:, t] += 1
        if np.any(apply(model, silenced, moved) != y):
            seen.append(t)
    assert seen == ([6, 7, 8] if causal else [3, 4, 5])
    assert frame in seen


def test_groups_do_not_see_each_other_without_context(rng):
    model = lifter("gp", (3, 1), root_in_every_group=False)
    variables = noisy_variables(model)
    x = rng.normal(size=(2, 5, 17, 2)).astype(np.float32)
    y = apply(model, variables, x)
    moved = x.copy()
    moved[..., 12, :] += 1  # left elbow
    change = np.abs(apply(model, variables, moved) - y).max((0, 1, 3))
    arm = [11, 12, 13]
    assert (change[arm] > 0).all()
    assert (np.delete(change, arm) == 0).all()


@pytest.mark.parametrize("num_groups", GROUP_NUMBERS)
@pytest.mark.parametrize("root_in_every_group", [True, False])
def test_every_grouping_predicts_every_joint(rng, num_groups, root_in_every_group):
    """The output of each joint depends only on the last layer's weights of its own group."""
    model = lifter("gp", (1,), num_groups, root_in_every_group)
    variables = noisy_variables(model)
    x = rng.normal(size=(3, 1, 17, 2)).astype(np.float32)
    y = apply(model, variables, x)
    assert y.shape == (3, 1, 17, 3)
    for index, group in enumerate(model.joint_groups):
        params = dict(variables["params"])
        params["layer_1"] = params["layer_1"] | {f"kernel_{index}": params["layer_1"][f"kernel_{index}"] + 1}
        change = np.abs(apply(model, variables | {"params": params}, x) - y).max((0, 1, 3))
        owned = [joint for joint in group if joint or index == [0 in g for g in model.joint_groups].index(True)]
        assert (change[owned] > 0).all()
        assert (np.delete(change, owned) == 0).all()


@pytest.mark.parametrize("root_in_every_group", [True, False])
def test_what_the_whole_body_gives_is_added(rng, root_in_every_group):
    """The output is the sum of two networks: one with silent body parts, and one with a silent whole body."""
    model = lifter("gp", (1, 1), 5, root_in_every_group, global_group=True, channels=114)
    variables = noisy_variables(model)
    x = rng.normal(size=(3, 1, 17, 2)).astype(np.float32)

    def silenced(kernels):
        last = {name: value * (name not in kernels) for name, value in variables["params"]["layer_3"].items()}
        return apply(model, variables | {"params": variables["params"] | {"layer_3": last}}, x)

    parts, body = silenced(["kernel_5"]), silenced([f"kernel_{index}" for index in range(5)])
    assert np.abs(parts).max((0, 1, 3)).min() > 0 < np.abs(body).max((0, 1, 3)).min()
    np.testing.assert_allclose(apply(model, variables, x), parts + body, rtol=1e-4, atol=1e-5)
    plain = lifter("gp", (1, 1), 5, root_in_every_group, channels=114)
    assert model.layer_plans()[0].groups[:5] == plain.layer_plans()[0].groups


def test_dropout_acts_only_in_training(rng):
    model = lifter(dropout=0.5)
    variables = noisy_variables(model)
    x = rng.normal(size=(8, 1, 17, 2)).astype(np.float32)
    np.testing.assert_array_equal(apply(model, variables, x), apply(model, variables, x))
    training = jax.jit(lambda key: model.apply(variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": key})[0])
    runs = [training(jax.random.key(seed)) for seed in (0, 1)]
    assert np.abs(runs[0] - runs[1]).max() > 1e-3


@pytest.mark.parametrize("filter_widths", [(3, 3), pytest.param((1, 1, 1), marks=pytest.mark.slow)])
@pytest.mark.parametrize("strided", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_bfloat16_agrees_with_float32(rng, filter_widths, strided):
    """Products keep 8 bits; over a few layers the errors reach 3 % of the largest output, and 0.6 % on average."""
    model = lifter(filter_widths=filter_widths, strided=strided)
    variables = noisy_variables(model)
    frames = model.receptive_field + (0 if strided else 20)
    x = rng.normal(size=(4, frames, 17, 2)).astype(np.float32)
    expected, found = apply(model, variables, x), apply(model.clone(precision="bfloat16"), variables, x)
    assert found.dtype == np.float32
    error = np.abs(found - expected) / np.abs(expected).max()
    assert 0 < error.mean() < 0.006
    assert error.max() < 0.03
