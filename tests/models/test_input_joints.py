"""Networks whose keypoints (input) are other joints than their 3D joints (output)."""

import jax
import numpy as np
import pytest

from configs import default
from srnet_jax.config import schema
from srnet_jax.errors import ConfigError
from srnet_jax.models.pose_lifter import create_model, variable_shapes


def model(network="sr", **fields):
    config = default.get_config()
    config.model.update({"network": network, "channels": 60, "filter_widths": (3, 1), **fields})
    schema.validate(config)
    return create_model(config.model)


@pytest.mark.parametrize("network", schema.TRUNK_NETWORKS)
@pytest.mark.parametrize(
    ("joints", "input_joints", "confidences", "shapes"),
    [
        ("human36m_17", "human36m_16", False, ((16, 2), 17)),
        ("humaneva_15", "coco_17", True, ((17, 3), 15)),
        ("mpi_inf_3dhp_17", "", False, ((17, 2), 17)),
    ],
)
def test_any_network_takes_one_set_and_gives_another(network, joints, input_joints, confidences, shapes):
    lifter = model(network, joints=joints, input_joints=input_joints, confidences=confidences)
    assert lifter.input_shape == shapes[0]
    inputs = jax.ShapeDtypeStruct((2, 5, *lifter.input_shape), np.float32)
    assert jax.eval_shape(lifter.apply, variable_shapes(lifter), inputs).shape == (2, 3, shapes[1], 3)


def test_a_group_sees_its_own_keypoints_alone():
    """The right leg of 15 joints, numbers 11 to 13, depends on the right leg of COCO, 12, 14 and 16, and its confidences."""
    lifter = model("gp", joints="humaneva_15", input_joints="coco_17", confidences=True, filter_widths=(1, 1))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: np.float32(rng.uniform(0.5, 1, leaf.shape)), variable_shapes(lifter))
    jacobian = jax.jacobian(lambda x: lifter.apply(variables, x[None, None])[0, 0])(np.ones((17, 3), np.float32))
    seen = np.abs(np.asarray(jacobian)).max((1, 3)) > 0  # [15, 17] whether a joint depends on a keypoint
    assert np.flatnonzero(seen[11]).tolist() == [12, 14, 16]
    assert (np.abs(np.asarray(jacobian))[11][:, [12, 14, 16]] > 0).all()  # on x, y and confidence
    assert np.flatnonzero(seen[14]).tolist() == [0, 1, 2, 3, 4]  # the head depends on nose, eyes and ears
    assert np.flatnonzero(seen[2]).tolist() == [5, 7, 9]  # the left arm


def test_groups_share_the_root_where_it_is_a_keypoint():
    assert model(input_joints="human36m_16").input_groups[0] == (0, 1, 2, 3)
    assert model(input_joints="coco_17").input_groups[0] == (12, 14, 16)
    assert model(joints="mpi_inf_3dhp_17").joint_groups[0] == (0, 9, 10, 11)  # the pelvis comes first
    assert model().input_groups == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"input_joints": "coco_17", "normalization": "turned"}, "which needs the root 'Hip' first among the keypoints"),
        ({"input_joints": "human36m_16", "adds_input": True}, "adds_input: not allowed with keypoints human36m_16"),
        ({"input_joints": "human36m_16", "shuffled_groups": 2}, "shuffled_groups: not allowed with keypoints human36m_16"),
        (
            {"input_joints": "human36m_16", "network": "lcn", "filter_widths": (1,)},
            "lcn is not allowed with other keypoints than the joints",
        ),
        ({"joints": "skeleton"}, "config.model.joints: found 'skeleton', expected one of human36m_17"),
    ],
)
def test_what_does_not_fit_is_refused(fields, words):
    with pytest.raises(ConfigError, match=words):
        model(**fields)


@pytest.mark.parametrize("network", schema.GRAPH_NETWORKS)
def test_graph_networks_follow_the_bones(network):
    lifter = model(network, joints="humaneva_15", filter_widths=(1, 1), channels=20)
    assert jax.eval_shape(lifter.apply, variable_shapes(lifter), np.zeros((2, 1, 15, 2), np.float32)).shape == (2, 1, 15, 3)
