import dataclasses

import numpy as np
import pytest

from configs import default
from srnet_jax.data import mpi_inf_3dhp, mpi_inf_3dhp_npz, sources
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mpi_inf_3dhp import TEST_ORDER, TRAINING_ORDER, EvaluationSet, TrainingSet, refused

TO_TEST_ORDER = [TRAINING_ORDER.index(joint) for joint in TEST_ORDER]
NUMBERS = (0, 1, 2, 4, 5, 6, 7, 8)


def packed_test(evaluation_set, key="univ_annot3"):
    """Return the content of the file that P-STMO's script makes from the authors' files."""
    return {
        name: {
            "data_2d": np.squeeze(variables["annot2"].T),
            "data_3d": np.squeeze(variables[key].T),
            "valid": np.squeeze(variables["valid_frame"]),
        }
        for name, variables in evaluation_set.files.items()
    }


def packed_training(training_set, fps=25):
    packed = {}
    for (subject, recording), variables in training_set.files.items():
        views = {}
        for number in NUMBERS:
            pixels, poses = variables["annot2"][number], variables["univ_annot3"][number]
            frames = len(pixels)
            views[str(number)] = {
                "data_2d": pixels.reshape(frames, 28, 2)[:, TO_TEST_ORDER],
                "data_3d": poses.reshape(frames, 28, 3)[:, TO_TEST_ORDER],
            }
        packed[f"{subject} {recording}"] = [views, fps]
    return packed


def write(path, data):
    np.savez_compressed(path, data=data)
    return path


def assert_same_motion(found, expected):
    assert (found.name, found.fps, found.skeleton) == (expected.name, expected.fps, expected.skeleton)
    assert len(found.sequences) == len(expected.sequences)
    for one, other in zip(found.sequences, expected.sequences, strict=True):
        np.testing.assert_array_equal(one.inputs_2d, other.inputs_2d)
        np.testing.assert_array_equal(one.poses_3d, other.poses_3d)
        assert dataclasses.replace(one, camera=None, action="", inputs_2d=0, poses_3d=0) == dataclasses.replace(
            other, camera=None, action="", inputs_2d=0, poses_3d=0
        )


def test_the_test_set_is_that_of_the_authors_files(tmp_path, rng):
    evaluation_set = EvaluationSet(rng)
    evaluation_set.files["TS2"]["valid_frame"] = np.array([[0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1]], np.uint8)
    expected = evaluation_set.load(tmp_path)
    found = mpi_inf_3dhp_npz.load_test(write(tmp_path / "data_test_3dhp.npz", packed_test(evaluation_set)))
    assert_same_motion(found, expected)
    assert [s.camera for s in found.sequences] == [s.camera for s in expected.sequences]
    assert found.names("action") == ("not marked",)
    assert [s.num_frames for s in found.sequences if s.subject == "TS2"] == [3, 3, 2]


@pytest.mark.parametrize(("subject", "fps"), [("S2", 25), ("S2", 0), ("S1", 0), ("S1", 25)])
def test_the_training_set_is_that_of_the_authors_files(tmp_path, rng, subject, fps):
    """Seq2 of S1 has 50 frames per second: the file says so, or not, or holds every other frame."""
    training_set = TrainingSet(rng, (subject,), frames=7)
    expected = training_set.load(tmp_path / "authors")
    packed = packed_training(training_set, fps)
    if not fps:
        packed = {video: [views] for video, (views, _) in packed.items()}
    elif subject == "S1":
        packed = {video: [views, 50 if video == "S1 Seq2" else np.int64(25)] for video, (views, _) in packed.items()}
    found = mpi_inf_3dhp_npz.load_train(write(tmp_path / "data_train_3dhp.npz", packed))
    assert_same_motion(found, expected)
    assert [s.camera.name for s in found.sequences] == [s.camera.name for s in expected.sequences]
    assert [(s.camera.width, s.camera.height) for s in found.sequences] == [(2048, 2048)] * len(found.sequences)
    assert found.sequences[0].camera.focal == (1497.693, 1497.103)
    assert found.sequences[0].camera.center == (1024.704, 1051.394)
    assert [s.num_frames for s in found.sequences] == [7] * 8 + [4 if subject == "S1" else 7] * 8


def test_thinned_recordings_are_not_thinned_again(tmp_path, rng):
    packed = packed_training(TrainingSet(rng, ("S1",), frames=7), 25)
    found = mpi_inf_3dhp_npz.load_train(write(tmp_path / "x.npz", packed))
    assert {s.num_frames for s in found.sequences} == {7}


def test_sources_find_the_files(tmp_path, rng):
    evaluation_set, training_set = EvaluationSet(rng), TrainingSet(rng)
    files = {
        "mpi_inf_3dhp": write(tmp_path / "data_test_3dhp.npz", packed_test(evaluation_set)),
        "mpi_inf_3dhp_train": write(tmp_path / "data_train_3dhp.npz", packed_training(training_set)),
    }
    config = default.get_config()
    for source, file in files.items():
        for path in (file, tmp_path):
            config.data.update({"source": source, "path": str(path)})
            dataset = sources.load_datasets(config)[0]
            assert dataset.skeleton == H36M_17
            assert ("not marked" in dataset.names("action")) == (source == "mpi_inf_3dhp")
    evaluation_set.load(tmp_path)
    config.data.update({"source": "mpi_inf_3dhp", "path": str(tmp_path)})
    assert sources.load_datasets(config)[0].names("action") == ("Sitting",)  # the authors' files say more


def test_metric_poses_are_checked_against_their_keypoints(tmp_path, rng):
    evaluation_set = EvaluationSet(rng)
    file = write(tmp_path / "x.npz", packed_test(evaluation_set, "annot3"))
    assert mpi_inf_3dhp_npz.load_test(file, annotation="metric").name == "MPI-INF-3DHP test (metric)"
    for variables in evaluation_set.files.values():
        variables["annot3"] = variables["annot3"] + np.array([300, 0, 0])[:, None, None, None]
    write(file, packed_test(evaluation_set, "annot3"))
    refused(lambda: mpi_inf_3dhp_npz.load_test(file, annotation="metric"), "project .* pixels from the keypoints", file)


def as_h36m(packed):
    order = mpi_inf_3dhp._AS_H36M
    chosen = [TEST_ORDER.index(joint) for joint in order]
    return {name: {**entry, "data_3d": entry["data_3d"][:, chosen]} for name, entry in packed.items()}


def without(name):
    return lambda packed: {key: value for key, value in packed.items() if key != name}


def put(key, value):
    return lambda packed: packed | {"TS3": {**packed["TS3"], key: value(packed["TS3"][key])}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("TS6"), "found 'TS1', .*, expected TS1, TS2"),
        (lambda packed: [1, 2], "data holds .*, expected a dict"),
        (lambda packed: packed | {"TS3": 5}, "TS3: found 5, expected data_2d, data_3d"),
        (put("valid", lambda a: a[1:]), "TS3: valid: found uint8 of shape \\(11,\\), expected 12 numbers"),
        (put("valid", lambda a: 0 * a), "TS3: valid: found no valid frame"),
        (put("data_2d", lambda a: a[:, :16]), "TS3: data_2d: found float64 of shape"),
        (put("data_2d", lambda a: a / 1024 - 1), "they seem normalised, expected pixels"),
        (put("data_3d", lambda a: a / 1000), "the file seems to be in metres, expected millimetres"),
        (put("data_3d", lambda a: a * np.nan), "holds NaN or infinity at frame 0"),
        (as_h36m, "the joints are in another order than"),
    ],
)
def test_refused_test_files(tmp_path, rng, change, message):
    file = write(tmp_path / "data_test_3dhp.npz", change(packed_test(EvaluationSet(rng))))
    refused(lambda: mpi_inf_3dhp_npz.load_test(file), message, file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda packed: {"S9 Seq1": packed["S2 Seq1"]}, "data: found 'S9 Seq1', expected some of S1 Seq1"),
        (lambda packed: {}, "data: found nothing, expected some of"),
        (lambda packed: packed | {"S2 Seq1": [{"14": 0}, 25]}, "cameras: found '14', expected some of 0, 1"),
        (lambda packed: packed | {"S2 Seq1": []}, "S2 Seq1: found a list of 0, expected a list: a dict of cameras"),
        (lambda packed: packed | {"S2 Seq1": [packed["S2 Seq1"][0], 30]}, "found 30 for frames per second, expected 25 or 50"),
        (
            lambda packed: packed | {"S2 Seq1": [{"0": {"data_2d": 1}}, 25]},
            "camera 0: found 'data_2d', expected data_2d, data_3d",
        ),
    ],
)
def test_refused_training_files(tmp_path, rng, change, message):
    file = write(tmp_path / "data_train_3dhp.npz", change(packed_training(TrainingSet(rng))))
    refused(lambda: mpi_inf_3dhp_npz.load_train(file), message, file)


def test_poses_whose_root_is_subtracted_are_refused(tmp_path, rng):
    """P-STMO's loader subtracts the root, and its arrays are saved again by others."""
    message = r"a typical joint is .* m in front of the camera, expected poses in the camera's frame, from which the root"
    test, training = packed_test(EvaluationSet(rng)), packed_training(TrainingSet(rng))
    for views in (test, *(recording[0] for recording in training.values())):
        for view in views.values():
            view["data_3d"] = view["data_3d"] - view["data_3d"][:, 14:15]
    refused(lambda: mpi_inf_3dhp_npz.load_test(write(tmp_path / "data_test_3dhp.npz", test)), message)
    refused(lambda: mpi_inf_3dhp_npz.load_train(write(tmp_path / "data_train_3dhp.npz", training)), message)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"x\.npz: no such file"):
        mpi_inf_3dhp_npz.load_test(tmp_path / "x.npz")
