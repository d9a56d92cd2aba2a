import dataclasses

import pytest

from configs import default
from srnet_jax.data.mocap import clip_files
from srnet_jax.data.protocols import split
from srnet_jax.errors import ConfigError
from srnet_jax.pose.cameras import virtual_cameras


@pytest.fixture
def dataset(mocap_file):
    cameras = virtual_cameras(number=2, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)
    return clip_files.load(mocap_file, fps=30.0, cameras=cameras)  # subjects a, b, c; actions walk, sit


@pytest.fixture
def protocol():
    protocol = default.get_config().protocol
    protocol.subjects_train, protocol.subjects_test = ("a", "b"), ("c",)
    protocol.actions_train = ("walk",)
    protocol.cameras_train, protocol.cameras_test = ("camera0",), ("camera1",)
    protocol.validation_fraction = 0.3
    return protocol


def recordings(sequences):
    return {(s.subject, s.action, s.trial) for s in sequences}


def values(sequences, field):
    return {getattr(s, field) for s in sequences}


def test_parts_are_disjoint_and_complete(dataset, protocol):
    parts = split(dataset, protocol)
    train, validation, test = map(recordings, (parts.train, parts.validation, parts.test))
    assert not train & validation
    assert {s for s, _, _ in train | validation} == {"a", "b"}
    assert {s for s, _, _ in test} == {"c"}
    assert len(validation) == 1
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(dataset.sequences)
    assert parts.labels == ("checkpoint chosen on held-out training recordings", dataset.views)
    assert dataset.views == "virtual cameras: all 6 motions stay in the image"
    assert parts.rarest_percent == 100


def test_choosing_on_the_test_split_is_labelled(dataset, protocol):
    protocol.validation = "test"
    parts = split(dataset, protocol)
    assert parts.validation == parts.test
    assert len(recordings(parts.train)) == 4
    assert "TEST" in parts.labels[0]


def test_rare_poses_are_a_share_of_the_test_poses(dataset, protocol):
    plain = split(dataset, protocol)
    protocol.name, protocol.rare_percents = "rare_pose", (10, 20)
    parts = split(dataset, protocol)
    assert (parts.train, parts.test, parts.rarest_percent) == (plain.train, plain.test, 10)
    assert "only the rarest 10 % of the test poses are counted" in parts.labels


@pytest.mark.parametrize(
    ("tested", "subjects_train", "subjects_test", "actions_test"),
    [
        ("others", {"a", "b"}, {"c"}, {"sit"}),
        ("all", {"a", "b"}, {"c"}, {"sit", "walk"}),
        ("all_subjects", {"a", "b", "c"}, {"a", "b", "c"}, {"sit", "walk"}),
    ],
)
def test_cross_action(dataset, protocol, tested, subjects_train, subjects_test, actions_test):
    protocol.name, protocol.cross_action_test = "cross_action", tested
    parts = split(dataset, protocol)
    assert values(parts.train + parts.validation, "action") == {"walk"}
    assert values(parts.train + parts.validation, "subject") == subjects_train
    assert values(parts.test, "action") == actions_test
    assert values(parts.test, "subject") == subjects_test
    assert parts.labels[1].startswith("trained on walk, tested on ")


def test_cross_camera(dataset, protocol):
    protocol.name = "cross_camera"
    parts = split(dataset, protocol)
    assert {s.camera.name for s in parts.train + parts.validation} == {"camera0"}
    assert {s.camera.name for s in parts.test} == {"camera1"}
    assert values(parts.test, "subject") == {"c"}


def test_cross_dataset_says_how_the_joints_differ(dataset, protocol):
    protocol.name = "cross_dataset"
    other = dataclasses.replace(dataset, name="other", fps=25.0, conventions="neck at the chin")
    parts = split(dataset, protocol, other)
    assert values(parts.train + parts.validation, "subject") == {"a", "b"}
    assert values(parts.test, "subject") == {"c"}
    assert "trained on clips.npz, tested on other" in parts.labels
    assert "joints of other: neck at the chin" in parts.labels
    assert "30 and 25 frames per second" in parts.labels


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subjects_train": ("a", "x")}, r"subjects_train: 'x' is not in clips\.npz, which has a, b, c"),
        ({"subjects_test": ("a",)}, "subjects_test: a is in subjects_train too, expected others$"),
        (
            {"name": "cross_action", "actions_train": ("wal",)},
            r"actions_train: 'wal' is not in clips\.npz, which has walk, sit",
        ),
        ({"name": "cross_action", "actions_train": ("walk", "sit")}, "leaves no test sequence"),
        (
            {"name": "cross_camera", "cameras_test": ("camera7",)},
            "cameras_test: 'camera7' is not in .*, which has camera0, cam",
        ),
        ({"name": "cross_camera", "cameras_test": ("camera0",)}, "cameras_test: camera0 is in cameras_train too, expected"),
        ({"name": "rare_pose", "rare_percents": ()}, "rare_percents: empty"),
        ({"name": "cross_dataset", "subjects_test": ("b",)}, "subjects_test: b is in subjects_train too, expected others$"),
    ],
)
def test_what_the_data_do_not_have_is_refused(dataset, protocol, fields, message):
    protocol.update(fields)
    with pytest.raises(ConfigError, match=message):
        split(dataset, protocol, dataset)
