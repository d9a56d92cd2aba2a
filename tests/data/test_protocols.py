import pytest

from srnet_jax.cameras import virtual_cameras
from srnet_jax.data import mocap
from srnet_jax.data.protocols import subject_protocol
from srnet_jax.errors import ConfigError


@pytest.fixture
def dataset(mocap_file):
    cameras = virtual_cameras(number=2, distance_m=5, height_m=1.5, focal_px=1100.0, width_px=1000, height_px=1000)
    return mocap.load(mocap_file, fps=30.0, cameras=cameras)


def recordings(sequences):
    return {(s.subject, s.action, s.trial) for s in sequences}


def test_parts_are_disjoint_and_complete(dataset):
    parts = subject_protocol(dataset, subjects_train=("a", "b"), subjects_test=("c",), validation_fraction=0.3)
    train, validation, test = map(recordings, (parts.train, parts.validation, parts.test))
    assert not train & validation
    assert {s for s, _, _ in train | validation} == {"a", "b"}
    assert {s for s, _, _ in test} == {"c"}
    assert len(validation) == 1
    assert len(parts.train) + len(parts.validation) + len(parts.test) == len(dataset.sequences)
    assert "held-out" in parts.validation_label


def test_choosing_on_the_test_split_is_labelled(dataset):
    parts = subject_protocol(dataset, subjects_train=("a", "b"), subjects_test=("c",), validation="test")
    assert parts.validation == parts.test
    assert len(recordings(parts.train)) == 4
    assert "TEST" in parts.validation_label


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (("a", "x"), ("c",), "subjects_train: 'x' is not in clips.npz, which has a, b, c"),
        (("a",), ("a",), "subjects_test: a also in subjects_train"),
    ],
)
def test_wrong_subjects_are_refused(dataset, train, test, message):
    with pytest.raises(ConfigError, match=message):
        subject_protocol(dataset, subjects_train=train, subjects_test=test)
