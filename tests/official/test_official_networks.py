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
    """Random weights of each member go out and come back, with the network that they belong to."""
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
    counters = {tensor.name: 7 for tensor in official_tensors(model) if not tensor.path}
    tensors = from_variables(model, variables, counters)
    assert len(set(tensors)) == len(tensors)
    save_torch(tmp_path / "x.bin", {"model_pos": collections.OrderedDict(tensors)})
    found, back = load_official_checkpoint(tmp_path / "x.bin", recombine=options.get("recombine", "multiply"))
    assert found == model
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_other_skeletons_of_videopose3d_load(tmp_path, rng):
    model = PoseLifter(connectivity_plan("fc", 4), joint_groups=(tuple(range(15)),), filter_widths=(3, 3), channels=32)
    save_torch(tmp_path / "x.bin", {"model_pos": from_variables(model, zero_variables(model), collections.defaultdict(int))})
    assert load_official_checkpoint(tmp_path / "x.bin")[0].num_joints == 15


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list of 2, expected a checkpoint: a dict with model_pos"),
        ({"epoch": 3}, "found 'epoch', expected a checkpoint: a dict with model_pos, a dict of tensors"),
        (
            {"model_pos": {"conv.weight": np.zeros(3, np.float32)}},
            "final_layer.group_conv.0.weight: found 'conv.weight', expected",
        ),
    ],
)
def test_other_files_are_named(content, message, tmp_path):
    save_torch(tmp_path / "x.bin", content)
    with pytest.raises(DataError) as error:
        load_official_checkpoint(tmp_path / "x.bin")
    assert str(error.value).startswith(f"{tmp_path / 'x.bin'}: {message}")


def test_dense_networks_are_refused(tmp_path):
    model = PoseLifter(connectivity_plan("fc", 6), joint_groups=(tuple(range(17)),), filter_widths=(3, 7, 19), channels=32)
    save_torch(tmp_path / "x.bin", {"model_pos": from_variables(model, zero_variables(model), collections.defaultdict(int))})
    with pytest.raises(DataError, match="those of VideoPose3D's --dense network"):
        load_official_checkpoint(tmp_path / "x.bin")


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
        ({"expand_bn.weight": (30_000,)}, "holds 31448 numbers, expected 1802910051 for 30000 channels"),  # 7 gigabytes
        ({"expand_conv.weight": (0, 2**31, 1)}, r"expand_conv.weight: found shape .*, expected a tensor of rank 3, not empty"),
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
    assert "bug_compatible is on" in caplog.text
