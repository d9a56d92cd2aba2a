import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.io.torch_save import save_torch
from srnet_jax.official.files import read_checkpoint


def tensors(prefix="", outputs=51):
    shapes = {"expand_bn.weight": (17,), "expand_conv.weight": (17, 34, 1), "shrink.weight": (outputs, 17, 1)}
    return {f"{prefix}{name}": np.full(shape, len(name), np.float32) for name, shape in shapes.items()}


def read(tmp_path, content):
    save_torch(tmp_path / "x.bin", content)
    return read_checkpoint(tmp_path / "x.bin")


@pytest.mark.parametrize(
    "prefix",
    [
        *("", "module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "_orig_mod.module.", "model.module.net."),
        *("_orig_mod.model._orig_mod.", "lifter.", "pos_model.backbone.module."),
    ],
)
@pytest.mark.parametrize("keys", [(), ("model_pos",), ("state_dict",), ("checkpoint", "model_state_dict")])
def test_prefixes_and_keys(prefix, keys, tmp_path):
    content, optimizer = tensors(prefix), {"param_groups": [{"params": [0]}]}
    for key in reversed(keys):
        content = {"epoch": 5, "optimizer_state_dict": optimizer, key: content}
    found = read(tmp_path, content)
    assert list(found.state_dict) == list(tensors())
    for name, value in tensors().items():
        np.testing.assert_array_equal(found.state_dict[name], value)
    assert (found.rest.get("epoch"), found.rest.get("optimizer")) == ((5, optimizer) if keys else (None, None))
    assert found.notes == ()


def test_wrapped_layers(tmp_path):
    """`torch.compile` and `DataParallel` may wrap a layer instead of the network."""
    content = {name.replace("expand_conv.", "expand_conv._orig_mod."): value for name, value in tensors("net.").items()}
    assert list(read(tmp_path, content).state_dict) == list(tensors())


def test_what_is_beside_a_network_is_named(tmp_path):
    content = {**tensors("module."), "n_averaged": np.array(3), "head.weight": np.zeros(2, np.float32)}
    found = read(tmp_path, {"state_dict": content})
    assert list(found.state_dict) == list(tensors())
    assert found.notes == ("left out: 'n_averaged', 'head.weight'",)


def test_trajectory_networks_are_no_lifters(tmp_path):
    found = read(tmp_path, {"model_traj": tensors(outputs=3), "model": tensors()})
    assert found.state_dict["shrink.weight"].shape == (51, 17, 1)
    assert found.notes == ("left out: 'model_traj'",)
    with pytest.raises(DataError, match="found only a trajectory network"):
        read(tmp_path, {"model_traj": tensors(outputs=3)})


def test_graph_networks_are_no_trajectory_networks(tmp_path):
    content = tensors() | {"shrink.weight": np.zeros((3, 17, 1, 1), np.float32)}
    assert read(tmp_path, {"model_pos": content}).state_dict["shrink.weight"].ndim == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            {"model": tensors(), "old": tensors("net.")},
            "found 2 networks, 'model', 'old.net', .*: save its state_dict alone",
        ),
        ({"ema": tensors(), "swa": tensors("net.")}, "found 2 networks, 'ema', 'swa.net', expected one"),
        ({**tensors("module."), **tensors("_orig_mod.")}, "found 2 networks, 'module', '_orig_mod', expected one"),
        ({**tensors(), "shrink.module.weight": np.zeros(1, np.float32)}, "names differ only in wrappers such as `module.`"),
        ({f"{i}.expand_bn.weight": np.zeros(1, np.float32) for i in range(11)}, "found 11 networks, expected one"),
        ({**tensors("net."), "net.layers_bn.0.weight": [1, 2]}, "'layers_bn.0.weight': found a list of 2, expected a tensor"),
        ({"epoch": 1, "net": {"head.weight": np.zeros(1, np.float32)}}, "found 'head.weight', expected a checkpoint of SRNet"),
    ],
)
def test_refused_files(content, message, tmp_path):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, content)
    assert str(caught.value).startswith(f"{tmp_path / 'x.bin'}: ")
    assert "\n" not in str(caught.value)


def test_model_pos_is_taken_before_others(tmp_path):
    found = read(tmp_path, {"ema": tensors(outputs=48), "model_pos": tensors()})
    assert found.state_dict["shrink.weight"].shape == (51, 17, 1)
    assert found.notes == ("left out: 'ema'",)


@pytest.mark.parametrize("key", ["ema", "model_ema", "ema_model", "swa_model", "teacher"])
def test_a_network_is_taken_before_its_average(tmp_path, key):
    average = {name: value + 1 for name, value in tensors("module.").items()}
    found = read(tmp_path, {key: average, "model": tensors(), "epoch": 3})
    np.testing.assert_array_equal(found.state_dict["shrink.weight"], tensors()["shrink.weight"])
    assert found.notes == (f"left out: '{key}'",)
    only = read(tmp_path, {key: average})
    np.testing.assert_array_equal(only.state_dict["shrink.weight"], average["module.shrink.weight"])


def test_a_network_may_be_in_a_tuple(tmp_path):
    found = read(tmp_path, (7, {"state_dict": tensors("module."), "epoch": 5}))
    assert list(found.state_dict) == list(tensors())
    assert (found.rest["epoch"], found.notes) == (5, ())


def test_settings_of_the_training(tmp_path):
    found = read(tmp_path, {"state_dict": tensors(), "dense": 1, "args": {"causal": True, "norm": "lcn"}, "config": [1]})
    assert [found.setting("causal", bool), found.setting("norm", str), found.setting("dense", bool)] == [True, "lcn", None]


def test_settings_in_parts_of_the_settings(tmp_path):
    config = {"model": {"causal": True, "activation": "relu"}, "head": {"activation": "leaky_relu"}, "dense": True}
    found = read(tmp_path, {"state_dict": tensors(), "hyper_parameters": config | {"data": {"dense": False}}})
    assert (found.setting("causal", bool), found.setting("dense", bool)) == (True, True)
    assert found.setting("activation", str) is None  # two places of one depth contradict each other


def test_settings_of_omegaconf(tmp_path):
    """A DictConfig arrives as the dict of its state, with a box around each value."""
    model = {"_metadata": {}, "_content": {"causal": {"_metadata": {}, "_val": True}}}
    found = read(tmp_path, {"state_dict": tensors(), "hyper_parameters": {"cfg": {"_content": {"model": model}}}})
    assert found.setting("causal", bool) is True


def test_networks_in_lists(tmp_path):
    found = read(tmp_path, {"models": [tensors(), tensors(outputs=3)], "optimizers": [{"param_groups": []}]})
    assert found.state_dict["shrink.weight"].shape == (51, 17, 1)
    assert found.rest["optimizer"] == {"param_groups": []}
    assert found.notes == ("left out: 'models'",)


def test_other_values_under_the_tensors_names_are_no_networks(tmp_path):
    """Optimisers that are saved in parts name their states as the tensors."""
    state = {name: {"step": 1, "exp_avg": value} for name, value in tensors().items()}
    shapes = {name: value.shape for name, value in tensors("module.").items()}
    found = read(tmp_path, {"model": tensors(), "optim": {"state": state}, "param_shapes": shapes})
    np.testing.assert_array_equal(found.state_dict["shrink.weight"], tensors()["shrink.weight"])
    assert found.notes == ()


def test_shadows_are_averages(tmp_path):
    average = {name: value + 1 for name, value in tensors().items()}
    found = read(tmp_path, {"shadow": average, "model": tensors()})
    np.testing.assert_array_equal(found.state_dict["shrink.weight"], tensors()["shrink.weight"])


def test_counters_need_not_be_finite(tmp_path):
    """Weights are saved as float16 with the counters, in which 70,000 is infinite."""
    counter = {"expand_bn.num_batches_tracked": np.array(np.inf, np.float32)}
    assert list(read(tmp_path, tensors() | counter).state_dict) == [*tensors(), *counter]
