"""The connectivity of the paper's networks: Table 1, from Jacobians of random networks, and the plans of Fig. 3 and 4."""

import pytest

from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan
from srnet_jax.pose.skeleton import body_groups
from srnet_jax.reproduce.properties import NETWORKS, PAPER, properties


@pytest.mark.parametrize("name", NETWORKS)
def test_table_1(name):
    """Local inference, local features, information passing and dimension control are as the paper states for each network."""
    assert properties(NETWORKS[name]()) == PAPER[name]


def test_wider_contexts_are_seen():
    """The measured rank is H; with a context as wide as the network nothing is local."""
    groups = body_groups(5, root_in_every_group=False)
    model = PoseLifter(connectivity_plan("sr", 2), groups, (1,), 170, recombine="concat", context_form="paper", context_dim=3)
    assert properties(model, 3) == PAPER["SRNet"]
    assert properties(model, 2)[1] == "no"


@pytest.mark.parametrize(
    ("network", "options", "expected"),
    [
        ("lf", {"fuse_layer": 0}, "ffffff"),
        ("lf", {"fuse_layer": 2}, "ggffff"),
        ("lf", {"fuse_layer": 6}, "gggggg"),
        ("lf", {"fuse_layer": 4, "split_ends": False}, "fggggf"),
        ("es", {"split_layer": 6}, "ffffff"),
        ("es", {"split_layer": 1}, "fggggg"),
        ("es", {"split_layer": 1, "split_layers": "split_recombine"}, "fsssss"),
        ("sfs", {"link_layers": 2}, "ggffgg"),
        ("sfs", {"link_layers": 6}, "ffffff"),
        ("sfs", {"link_layers": 2, "split_ends": False}, "fgffgf"),
        ("sr", {"split_ends": False}, "fssssf"),
        ("gp", {}, "gggggg"),
    ],
)
def test_plans(network, options, expected):
    assert "".join(layer[0] for layer in connectivity_plan(network, 6, **options)) == expected


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        ("lf", {"fuse_layer": 7}, "fuse_layer is 7, expected 0 to 6"),
        ("es", {"split_layer": 5, "split_ends": False}, "split_layer is 5, expected 0 to 4"),
        ("sfs", {"link_layers": 3}, "link_layers is 3, expected as many layers before as behind"),
        ("mlp", {}, "network is 'mlp', expected one of fc, gp, lf, es, sfs, sr"),
    ],
)
def test_impossible_plans_are_refused(network, options, message):
    with pytest.raises(ValueError, match=message):
        connectivity_plan(network, 6, **options)
