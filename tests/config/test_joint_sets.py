import dataclasses
import json

import pytest

from srnet_jax.config import config_files, joint_sets, schema
from srnet_jax.errors import ConfigError, DataError
from srnet_jax.pose.skeleton import BUILT_IN, H36M_17, body_groups
from tests.own_data import MADE_UP_21


@pytest.fixture
def toml(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MADE_UP_21)
    return path


def test_a_set_of_ones_own_has_its_root_first(toml):
    found = joint_sets.parse(joint_sets.read(toml))
    assert (found.name, found.num_joints, found.joints[:2], found.parents[:2]) == ("mine", 21, ("Hip", "Head"), (-1, 2))
    assert found.file_order == (20, *range(20))
    assert [found.joints[joint] for joint in found.mirrored] == [name.translate({76: "R", 82: "L"}) for name in found.joints]
    groups = body_groups(5, found)
    assert [[found.joints[joint] for joint in group] for group in groups][2:4] == [
        ["Hip", "LHand", "RHand"],
        ["Hip", "LHip", "LKnee", "LFoot", "LToe"],
    ]
    apart = body_groups(5, found, root_in_every_group=False)
    assert sorted(joint for group in apart for joint in group) == list(range(21))


def test_a_config_keeps_the_set_without_the_file(toml, tiny_config):
    tiny_config.model.joints = str(toml)
    kept = joint_sets.with_files_read(tiny_config)
    toml.unlink()
    schema.validate(kept)
    assert joint_sets.of(config_files.from_json(config_files.to_json(kept)).model)[0].num_joints == 21


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('Hip = ""', 'Hip = "LToe"', "joints: found none without a parent, expected one root, with parent ''"),
        ('Spine = "Hip"', 'Spine = ""', "joints: found Spine, Hip without a parent"),
        ('Spine = "Hip"', 'Spine = "Neck"', "joints: the parents of 'Head' form a cycle"),
        ('Spine = "Hip"', 'Spine = "Pelvis"', "joints: the parent 'Pelvis' of 'Spine' is not a joint"),
        ('left = ["LHip", ', "left = [", "left has 7 joints and right 8"),
        ('left = ["LHip"', 'left = ["LHipp"', "left and right: 'LHipp' is not a joint"),
        ('left = ["LHip"', 'left = ["RHip"', "left and right: found 'RHip' twice"),
        ('hands = ["LHand", "RHand"]', 'hands = ["LHand"]', "groups: 'RHand' is in no group"),
        ('hands = ["LHand", "RHand"]', 'hands = ["LHand", "RHand", "Hip"]', "groups: found 'Hip' twice"),
        ('hands = ["LHand", "RHand"]', 'hands = ["LHand", "Thumb"]', "groups: 'Thumb' is not a joint"),
        ('hands = ["LHand", "RHand"]', "hands = 3", "groups: found 3, expected lists of joints"),
        ('Hip = ""', "Hip = 0", "found 0, expected a printable name"),
        ("[joints]", "[bones]", "found the key 'bones'"),
        ("[groups]", "", "groups: missing, expected a table"),
        ("[groups]", "[groups", "damaged, cut short or another kind of file, expected a joint set in TOML"),
    ],
)
def test_what_is_no_joint_set_is_refused_in_one_line(toml, old, new, words):
    assert old in MADE_UP_21
    toml.write_text(MADE_UP_21.replace(old, new, 1))
    with pytest.raises(DataError) as error:
        joint_sets.read(toml)
    assert str(error.value).startswith(str(toml))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["", "human36m", "nowhere.json", "{", "{}", "[1]", json.dumps({"left": []})])
def test_a_config_of_no_joint_set_is_refused(tiny_config, value):
    tiny_config.model.joints = value
    with pytest.raises(ConfigError, match=r"config\.model\.joints: "):
        schema.validate(tiny_config)


def test_built_in_sets():
    """Left, right and parents agree with the published numbers."""
    humaneva, coco = BUILT_IN["humaneva_15"], BUILT_IN["coco_17"]
    assert humaneva.parents == (-1, 0, 1, 2, 3, 1, 5, 6, 0, 8, 9, 0, 11, 12, 1)
    assert (humaneva.joints_left, humaneva.joints_right) == ((2, 3, 4, 8, 9, 10), (5, 6, 7, 11, 12, 13))
    assert (coco.joints_left, coco.joints_right) == ((1, 3, 5, 7, 9, 11, 13, 15), (2, 4, 6, 8, 10, 12, 14, 16))
    assert BUILT_IN["human36m_16"].joints_left == (4, 5, 6, 10, 11, 12)
    inf = BUILT_IN["mpi_inf_3dhp_17"]
    assert (inf.joints[0], inf.file_order[0], sorted(inf.joints)) == ("Hip", 14, sorted(H36M_17.joints))
    for skeleton in BUILT_IN.values():
        assert [name for name, _ in skeleton.groups] == [name for name, _ in H36M_17.groups]
        assert dataclasses.replace(skeleton, name="other") != skeleton
