import collections

import jax
import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.io.torch_save import save_torch
from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan
from srnet_jax.official.networks import from_variables, load_official_checkpoint, official_tensors, zero_variables
from srnet_jax.pose.skeleton import body_groups

FAMILY = [
    ("fc", 1, (1, 1, 1), {}),
    ("fc", 1, (3, 5, 3), {}),
    ("fc", 1, (3,), {}),
    ("gp", 5, (3, 3), {}),
    ("gp", 2, (1, 1, 1), {}),
    *(
        ("sr", groups, widths, {"recombine": recombine, "context_from": context_from})
        for (groups, widths), context_from in zip([(5, (3, 3)), (2, (3, 3, 3))], ("others", "all"), strict=True)
        for recombine in ("multiply", "add", "concat")
    ),
    ("sr", 5, (1, 1, 1, 1), {"recombine": "concat", "context_from": "others"}),
    ("sr", 3, (5, 5), {"recombine": "multiply", "context_from": "all"}),
]


@pytest.mark.parametrize(("network", "groups", "widths", "options"), FAMILY)
def test_every_official_network_is_recognised(network, groups, widths, options, tmp_path, rng):
    """Export random weights of each network and import them again; the network is recognised."""
    model = PoseLifter(
        connectivity_plan(network, 2 * len(widths)),
        joint_groups=body_groups(groups),
        filter_widths=widths,
        channels=84,
        **options,
    )
    scrambled = options.get("recombine") == "concat" and max(widths) > 1
    model = model.clone(bug_compatible=scrambled)
    variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(leaf.dtype), zero_variables(model))
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])  # variances
    counters = {tensor.name: 7 for tensor in official_tensors(model) if not tensor.path}
    tensors = from_variables(model, variables, counters)
    assert len(set(tensors)) == len(tensors)
    save_torch(tmp_path / "x.bin", {"model_pos": collections.OrderedDict(tensors)})
    stated = {"recombine": options.get("recombine", "multiply"), "activation": "leaky_relu"}
    found, back = load_official_checkpoint(tmp_path / "x.bin", **stated)
    assert found == model
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_other_skeletons_of_videopose3d_load(tmp_path, rng):
    model = PoseLifter(connectivity_plan("fc", 4), joint_groups=(tuple(range(15)),), filter_widths=(3, 3), channels=32)
    save_torch(tmp_path / "x.bin", {"model_pos": from_variables(model, zero_variables(model), collections.defaultdict(int))})
    assert load_official_checkpoint(tmp_path / "x.bin")[0].num_joints == 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "found a list of 2, expected a checkpoint of SRNet or VideoPose3D"),
        ({"epoch": 3}, "found 'epoch', expected a checkpoint"),
        ({"model_pos": {"conv.weight": np.zeros(3, np.float32)}}, "found 'conv.weight', expected a checkpoint"),
        (
            {"model_pos": {"expand_bn.weight": np.zeros(20, np.float32)}},
            "final_layer.group_conv.0.weight: found 'expand_bn.weight', expected",
        ),
    ],
)
def test_other_files_are_named(content, message, tmp_path):
    save_torch(tmp_path / "x.bin", content)
    with pytest.raises(DataError) as error:
        load_official_checkpoint(tmp_path / "x.bin")
    assert str(error.value).startswith(f"{tmp_path / 'x.bin'}: {message}")


def test_deep_networks_do_not_fill_the_memory(tmp_path):
    model = PoseLifter(connectivity_plan("fc", 60), joint_groups=(tuple(range(17)),), filter_widths=(1,) * 30, channels=17)
    tensors = from_variables(model, zero_variables(model), collections.defaultdict(int))
    wide = {n: np.zeros((*v.shape[:2], 3), np.float32) if v.ndim == 3 and "shrink" not in n else v for n, v in tensors.items()}
    save_torch(tmp_path / "x.bin", {"model_pos": wide})
    with pytest.raises(DataError, match="expected odd numbers that see at most"):
        load_official_checkpoint(tmp_path / "x.bin")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expand_bn.weight": (30_000,)}, "found 31448 numbers, expected 1802910051 for 30000 channels"),  # 7 gigabytes
        ({"expand_conv.weight": (0, 2**31, 1)}, r"expand_conv.weight: found shape .*, expected a non-empty tensor of rank 3"),
        ({f"layers_bn.{i}.weight": (1,) for i in range(300)}, "found 150 blocks of layers, expected at most 100"),
    ],
)
def test_small_files_of_huge_networks_are_refused(change, message, tmp_path):
    shapes = {"expand_bn.weight": (17,), "expand_conv.weight": (17, 34, 1), "shrink.weight": (51, 17, 1)}
    shapes |= {"layers_bn.0.weight": (1,), "layers_bn.1.weight": (1,), "layers_conv.0.weight": (1, 1, 1)}
    state_dict = {name: np.zeros(shape, np.float32) for name, shape in (shapes | change).items()}
    save_torch(tmp_path / "x.bin", {"model_pos": state_dict})
    with pytest.raises(DataError, match=message):
        load_official_checkpoint(tmp_path / "x.bin")


def test_scramble_is_announced(tmp_path, rng, caplog):
    model = PoseLifter(
        connectivity_plan("sr", 4), joint_groups=body_groups(5), filter_widths=(3, 3), channels=84, recombine="concat"
    )
    save_torch(tmp_path / "x.bin", from_variables(model, zero_variables(model), collections.defaultdict(int)))
    load_official_checkpoint(tmp_path / "x.bin")
    assert "bug_compatible=True, which scrambles" in caplog.text


def videopose3d(rng, kernels=(3, 3, 3), inputs=34, outputs=51, channels=20):
    """Return the tensors of a VideoPose3D network with random weights and statistics."""
    tensors = {"expand_conv.weight": rng.normal(0, 0.2, (channels, inputs, kernels[0]))}
    for block, kernel in enumerate(kernels[1:]):
        tensors[f"layers_conv.{2 * block}.weight"] = rng.normal(0, 0.1, (channels, channels, kernel))
        tensors[f"layers_conv.{2 * block + 1}.weight"] = rng.normal(0, 0.2, (channels, channels, 1))
    for norm in ("expand_bn", *(f"layers_bn.{i}" for i in range(2 * len(kernels) - 2))):
        tensors |= {f"{norm}.{name}": rng.normal(size=channels) for name in ("weight", "bias", "running_mean")}
        tensors[f"{norm}.running_var"] = rng.uniform(0.5, 2, channels)
    tensors |= {"shrink.weight": rng.normal(0, 0.2, (outputs, channels, 1)), "shrink.bias": rng.normal(size=outputs)}
    return {name: value.astype(np.float32) for name, value in tensors.items()}


def lifted(tensors, inputs, slope, dilations):
    """Compute the outputs [B, T', 3 J] of VideoPose3D's evaluation form for inputs [B, T, D], in float64."""

    def convolve(h, kernel, dilation):
        frames = h.shape[1] - (kernel.shape[2] - 1) * dilation
        return sum(h[:, t * dilation : t * dilation + frames] @ kernel[..., t].T for t in range(kernel.shape[2]))

    def layer(h, name, norm, dilation):
        h = convolve(h, weights[f"{name}.weight"], dilation) - weights[f"{norm}.running_mean"]
        h = h / np.sqrt(weights[f"{norm}.running_var"] + 1e-5) * weights[f"{norm}.weight"] + weights[f"{norm}.bias"]
        return np.where(h > 0, h, slope * h)

    weights = {name: value.astype(float) for name, value in tensors.items()}
    h = layer(inputs.astype(float), "expand_conv", "expand_bn", 1)
    for block, dilation in enumerate(dilations):
        pad = (weights[f"layers_conv.{2 * block}.weight"].shape[2] // 2) * dilation
        inner = layer(h, f"layers_conv.{2 * block}", f"layers_bn.{2 * block}", dilation)
        inner = layer(inner, f"layers_conv.{2 * block + 1}", f"layers_bn.{2 * block + 1}", 1)
        h = h[:, pad : h.shape[1] - pad] + inner
    return convolve(h, weights["shrink.weight"], 1) + weights["shrink.bias"]


@pytest.mark.parametrize(
    ("beside", "stated", "slope", "note"),
    [
        ({"model_traj": None, "random_state_semi": None}, {}, 0, ""),
        ({"loss 3d test": 50.0}, {}, 0.01, ""),
        ({"activation": "leaky_relu"}, {}, 0.01, ""),
        ({"epoch": 3}, {}, 0, "activation=relu is ASSUMED; set activation=leaky_relu"),
        ({"epoch": 3}, {"activation": "leaky_relu"}, 0.01, ""),
        (
            {"model_traj": None},
            {"activation": "leaky_relu"},
            0.01,
            "as stated; according to the file it was trained with relu",
        ),
    ],
)
def test_activation_follows_from_what_is_beside_the_tensors(beside, stated, slope, note, tmp_path, rng, caplog):
    tensors, inputs = videopose3d(rng), rng.normal(size=(2, 30, 17, 2)).astype(np.float32)
    save_torch(tmp_path / "x.bin", {**beside, "model_pos": tensors})
    model, variables = load_official_checkpoint(tmp_path / "x.bin", **stated)
    expected = lifted(tensors, inputs.reshape(2, 30, 34), slope, (3, 9))
    np.testing.assert_allclose(np.asarray(model.apply(variables, inputs)).reshape(2, 4, 51), expected, atol=1e-4)
    assert np.abs(expected - lifted(tensors, inputs.reshape(2, 30, 34), 0.01 - slope, (3, 9))).max() > 1e-3
    assert (note in caplog.text) if note else ("ReLU" not in caplog.text and "stated" not in caplog.text)


@pytest.mark.parametrize("key", ["args", "hparams"])
def test_settings_in_the_file_decide(key, tmp_path, rng, caplog):
    settings = {"causal": True, "dense": False, "norm": "lcn", "activation": "leaky_relu"}
    save_torch(tmp_path / "x.bin", {"model": videopose3d(rng, (3, 7)), key: settings})
    model, _ = load_official_checkpoint(tmp_path / "x.bin")
    assert (model.causal, model.dense, model.adds_input, model.activation) == (True, False, True, "leaky_relu")
    assert "the settings saved in the file say causal=True, adds_input=True" in caplog.text
    assert "assumed" not in caplog.text.lower()
    assert load_official_checkpoint(tmp_path / "x.bin", causal=True)[0].causal
    with pytest.raises(DataError, match=r"x\.bin: causal: found True in the settings saved .*, expected False, as stated"):
        load_official_checkpoint(tmp_path / "x.bin", causal=False)


@pytest.mark.parametrize(
    ("name", "activation"),
    [
        ("ReLU", "relu"),
        ("nn.LeakyReLU()", "leaky_relu"),
        ("lrelu", "leaky_relu"),
        ("", "relu"),
        ("gelu", ""),
        ("LeakyReLU(0.2)", ""),
    ],
)
def test_spellings_of_activations(name, activation, tmp_path, rng):
    save_torch(tmp_path / "x.bin", {"model": videopose3d(rng, (1,)), "hparams": {"net": {"activation": name}}})
    if activation == "":
        with pytest.raises(DataError, match=r"x\.bin: activation: found '.*' in the settings .*, expected leaky_relu or relu"):
            load_official_checkpoint(tmp_path / "x.bin")
        assert load_official_checkpoint(tmp_path / "x.bin", activation="relu")[0].activation == "relu"
    else:
        assert load_official_checkpoint(tmp_path / "x.bin")[0].activation == activation


def test_what_is_stated_must_fit_the_tensors(tmp_path):
    model = PoseLifter(
        connectivity_plan("sr", 2), joint_groups=body_groups(5), filter_widths=(1,), channels=84, recombine="add"
    )
    save_torch(tmp_path / "x.bin", from_variables(model, zero_variables(model), collections.defaultdict(int)))
    assert load_official_checkpoint(tmp_path / "x.bin", recombine="add")[0].recombine == "add"
    with pytest.raises(DataError, match=r"x\.bin: recombine: found add, expected multiply, as stated"):
        load_official_checkpoint(tmp_path / "x.bin", recombine="multiply")


def test_lcn_is_named_where_the_file_does_not_say(tmp_path, rng, caplog):
    save_torch(tmp_path / "x.bin", {"model_pos": videopose3d(rng, (1,)), "loss 3d test": 50.0})
    load_official_checkpoint(tmp_path / "x.bin")
    assert "whether --norm was lcn: adds_input=False is assumed (--config.model.adds_input)" in caplog.text
    caplog.clear()
    save_torch(tmp_path / "x.bin", {"model_pos": videopose3d(rng, (1,)), "loss 3d test": 50.0, "args": {"norm": "base"}})
    load_official_checkpoint(tmp_path / "x.bin")
    assert "adds_input" not in caplog.text


def test_negative_variances_are_refused(tmp_path, rng):
    tensors = videopose3d(rng, (1,))
    tensors["expand_bn.running_var"][3] = -0.5
    save_torch(tmp_path / "x.bin", {"model_pos": tensors, "model_traj": None})
    with pytest.raises(DataError, match=r"expand_bn\.running_var: found -0\.5, expected variances of 0 or more"):
        load_official_checkpoint(tmp_path / "x.bin")


@pytest.mark.parametrize(("kernels", "widths"), [((3, 7, 19), (3, 3, 3)), ((3, 13), (3, 5))])
def test_dense_networks_lift_as_videopose3d(kernels, widths, tmp_path, rng, caplog):
    tensors, inputs = videopose3d(rng, kernels), rng.normal(size=(2, 30, 17, 2)).astype(np.float32)
    save_torch(tmp_path / "x.bin", {"model_pos": tensors, "model_traj": None})
    model, variables = load_official_checkpoint(tmp_path / "x.bin")
    assert (model.filter_widths, model.dense) == (widths, True)
    assert f"filter widths {widths} under --dense: dense=True is assumed" in caplog.text
    expected = lifted(tensors, inputs.reshape(2, 30, 34), 0, (1,) * (len(kernels) - 1))
    found = np.asarray(model.apply(variables, inputs))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-4)
    window = np.asarray(model.clone(strided=True).apply(variables, inputs[:, : model.receptive_field]))
    np.testing.assert_allclose(window[:, 0], found[:, 0], atol=1e-5)
    assert not load_official_checkpoint(tmp_path / "x.bin", dense=False)[0].dense


def test_dilated_networks_are_not_taken_for_dense(tmp_path, rng):
    for kernels in [(3, 3, 3), (3, 5, 3), (1, 1, 1), (5, 5), (3,), (1, 3, 3)]:
        save_torch(tmp_path / "x.bin", {"model_pos": videopose3d(rng, kernels), "model_traj": None})
        model, _ = load_official_checkpoint(tmp_path / "x.bin")
        assert (model.filter_widths, model.dense) == (kernels, False)
        with pytest.raises(DataError, match="expected those of VideoPose3D's --dense"):
            load_official_checkpoint(tmp_path / "x.bin", dense=True)
