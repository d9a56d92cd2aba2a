import os
import struct
import zlib

import h5py
import numpy as np
import pytest
import scipy.io

from srnet_jax.data import mpi_inf_3dhp
from srnet_jax.errors import DataError
from srnet_jax.io import safe_pickle
from srnet_jax.pose import cameras
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17, PCK_JOINTS


def words(text):
    return text.split()


# A person who faces the camera, millimetres, relative to the pelvis: x to the image's right (the person's left), y down.
CENTRE = {
    "pelvis": (0, 0, 0),
    "spine": (0, -130, 10),
    "spine2": (0, -220, 15),
    "spine3": (0, -310, 20),
    "spine4": (0, -400, 20),
    "neck": (0, -500, 0),
    "head": (0, -600, -20),
    "head_top": (0, -720, -10),
}
SIDE = {
    "clavicle": (30, -480, 0),
    "shoulder": (170, -470, 5),
    "elbow": (320, -300, 10),
    "wrist": (400, -100, -60),
    "hand": (410, -40, -80),
    "hip": (100, 20, 0),
    "knee": (120, 430, -40),
    "ankle": (130, 840, 10),
    "foot": (135, 890, -60),
    "toe": (140, 900, -130),
}
PERSON = CENTRE | {
    f"{side}_{joint}": (sign * x, y, z) for side, sign in (("left", 1), ("right", -1)) for joint, (x, y, z) in SIDE.items()
}
TRAINING_ORDER = words(
    "spine3 spine4 spine2 spine pelvis neck head head_top "
    "left_clavicle left_shoulder left_elbow left_wrist left_hand "
    "right_clavicle right_shoulder right_elbow right_wrist right_hand "
    "left_hip left_knee left_ankle left_foot left_toe right_hip right_knee right_ankle right_foot right_toe"
)
TEST_ORDER = words(
    "head_top neck right_shoulder right_elbow right_wrist left_shoulder left_elbow left_wrist "
    "right_hip right_knee right_ankle left_hip left_knee left_ankle pelvis spine head"
)
STANDS_FOR = {
    **{"Hip": "pelvis", "Spine": "spine", "Thorax": "neck", "Neck": "head", "Head": "head_top"},
    **{"RHip": "right_hip", "RKnee": "right_knee", "RFoot": "right_ankle"},
    **{"LHip": "left_hip", "LKnee": "left_knee", "LFoot": "left_ankle"},
    **{"LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist"},
    **{"RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist"},
}
STILL = ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
STUDIO = Camera("", *STILL, (1500.0686, 1500.6591), (1017.3795, 1043.0628), 2048, 2048)
OUTDOOR = Camera("", *STILL, (1683.4826, 1671.9272), (939.9278, 560.2072), 1920, 1080)
SEQUENCES = ("TS1", "TS2", "TS3", "TS4", "TS5", "TS6")


def motion(rng, order, frames):
    """Return [T, J, 3] joints of a person who turns and walks 4 m in front of the camera, millimetres."""
    person = np.array([PERSON[joint] for joint in order], float)
    angles = rng.uniform(-1, 1, frames)
    turns = np.stack([np.cos(angles), 0 * angles, np.sin(angles), 0 * angles, 1 + 0 * angles, 0 * angles], -1)
    turns = np.concatenate([turns, np.stack([-np.sin(angles), 0 * angles, np.cos(angles)], -1)], -1).reshape(-1, 3, 3)
    places = np.array([0, 0, 4000]) + rng.normal(0, 200, (frames, 1, 3))
    return person @ turns + places + rng.normal(0, 10, (frames, len(order), 3))


def universal(poses, order):
    """Scale poses about their pelvis."""
    pelvis = poses[:, [order.index("pelvis")]]
    return (poses - pelvis) * 1.1 + pelvis


def as_h36m(array, order):
    """Pick by names the joints of [T, J, ...] that stand for those of Human3.6M."""
    return np.stack([array[:, order.index(STANDS_FOR[joint])] for joint in H36M_17.joints], axis=1)


def write_hdf5(path, variables):
    """Write MATLAB's version 7.3: HDF5 behind 512 bytes, axes reversed, cells as references."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            if isinstance(value, list):
                cells = [file.create_dataset(f"#refs#/{name}{i}", data=cell.T) for i, cell in enumerate(value)]
                file[name] = np.array([[cell.ref for cell in cells]], h5py.ref_dtype)
            else:
                file[name] = np.asarray(value).T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM")


def write_version_5(path, variables, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = {}
    for name, value in variables.items():
        if isinstance(value, list):
            cells[name] = np.empty((len(value), 1), object)
            cells[name][:, 0] = value
    scipy.io.savemat(path, variables | cells, **options)


class EvaluationSet:
    """Content of the six files, which tests change before they write it; frames are the last axis, as in MATLAB."""

    def __init__(self, rng, frames=12):
        self.motions, self.files = {}, {}
        for name in SEQUENCES:
            poses = motion(rng, TEST_ORDER, frames)
            pixels = cameras.project(poses, OUTDOOR if name in ("TS5", "TS6") else STUDIO)
            self.motions[name] = {"univ": universal(poses, TEST_ORDER), "metric": poses, "2d": pixels}
            self.files[name] = {
                "annot2": pixels[:, None].T,
                "annot3": poses[:, None].T,
                "univ_annot3": self.motions[name]["univ"][:, None].T,
                "valid_frame": np.ones((1, frames), np.uint8),
                "activity_annotation": np.full((1, frames), 3.0),
                "bb_crop": np.zeros((34, frames)),
            }

    def load(self, folder, annotation="univ", write=write_hdf5):
        for name, variables in self.files.items():
            write(folder / name / "annot_data.mat", variables)
        return mpi_inf_3dhp.load_test(folder, annotation=annotation)


def calibration(*numbers, size="2048 2048", radial="0", intrinsic="{f} 0 1024.5 0 0 1500 1030.25 0 0 0 1 0 0 0 0 1"):
    lines = ["Skeletool Camera Calibration File V1.0"]
    for number in numbers:
        lines += [f"name          {number}", "  sensor      10 10", f"  size        {size}", "  animated    0"]
        lines += ["  intrinsic   " + intrinsic.format(f=1490 + number), "  extrinsic   1 0 0 5 0 1 0 6 0 0 1 7 0 0 0 1"]
        lines += [f"  radial      {radial}"]
    return "\n".join(lines) + "\n"


class TrainingSet:
    """Content of the files of some subjects: {(subject, recording): variables}, with a cell for each camera."""

    def __init__(self, rng, subjects=("S2",), frames=6):
        self.motions, self.files = {}, {}
        self.text = calibration(*range(14))
        for key in [(subject, recording) for subject in subjects for recording in ("Seq1", "Seq2")]:
            metric = [motion(rng, TRAINING_ORDER, frames) for _ in range(14)]
            univ = [universal(poses, TRAINING_ORDER) for poses in metric]
            pixels = [cameras.project(poses, training_camera(number)) for number, poses in enumerate(metric)]
            self.motions[key] = {"univ": univ, "metric": metric, "2d": pixels}
            self.files[key] = {
                "annot2": [array.reshape(frames, 56) for array in pixels],
                "annot3": [array.reshape(frames, 84) for array in metric],
                "univ_annot3": [array.reshape(frames, 84) for array in univ],
                "cameras": np.arange(14.0)[None],
                "frames": np.arange(float(frames))[:, None],
            }

    def load(self, folder, write=write_hdf5, **options):
        for (subject, recording), variables in self.files.items():
            write(folder / subject / recording / "annot.mat", variables)
            (folder / subject / recording / "camera.calibration").write_text(self.text)
        options.setdefault("subjects", tuple(dict.fromkeys(subject for subject, _ in self.files)))
        return mpi_inf_3dhp.load_train(folder, **options)


def training_camera(number):
    return Camera("", *STILL, (1490.0 + number, 1500.0), (1024.5, 1030.25), 2048, 2048)


@pytest.fixture
def evaluation_set(rng):
    return EvaluationSet(rng)


@pytest.fixture
def training_set(rng):
    return TrainingSet(rng)


def refused(load, message, folder=None):
    with pytest.raises(DataError, match=message) as caught:
        load()
    assert len(str(caught.value).splitlines()) == 1
    assert folder is None or str(folder) in str(caught.value)


def test_constants():
    assert tuple(mpi_inf_3dhp.SCENES) == SEQUENCES
    names = [STANDS_FOR[H36M_17.joints[joint]] for joint in PCK_JOINTS]
    assert sorted(names) == sorted(set(TEST_ORDER) - {"pelvis", "spine", "head"})


def test_cameras_of_the_test_set(tmp_path, evaluation_set):
    """They are near those of the test set's own calibration: focal length, centre offset and aspect on a 10 mm sensor."""
    studio = (7.32506 * 204.8, 7.32506 * 204.8 * 1.00044, 1024 - 0.0322884 * 204.8, 1024 + 0.0929296 * 204.8)
    outdoor = (8.770747185 * 192, 8.770747185 * 192 * 0.993236423, 960 - 0.104908645 * 192, 540 + 0.104899704 * 192)
    for sequence in evaluation_set.load(tmp_path).sequences:
        inside = sequence.subject in ("TS1", "TS2", "TS3", "TS4")
        camera = sequence.camera
        assert (camera.orientation, camera.translation) == STILL
        assert (camera.name, camera.width, camera.height) == (("studio", 2048, 2048) if inside else ("outdoor", 1920, 1080))
        np.testing.assert_allclose((*camera.focal, *camera.center), studio if inside else outdoor, rtol=5e-4)


@pytest.mark.parametrize("write", [write_hdf5, write_version_5])
@pytest.mark.parametrize("annotation", ["univ", "metric"])
def test_poses_and_keypoints_of_the_test_set_come_back(tmp_path, evaluation_set, annotation, write):
    dataset = evaluation_set.load(tmp_path, annotation, write)
    assert (dataset.name, dataset.fps, dataset.skeleton) == (f"MPI-INF-3DHP test ({annotation})", 25, H36M_17)
    assert "head" in dataset.conventions
    assert [(s.subject, s.action, s.trial) for s in dataset.sequences] == [(name, "Sitting", "1") for name in SEQUENCES]
    assert {s.subject: s.scene for s in dataset.sequences} == mpi_inf_3dhp.SCENES
    for sequence in dataset.sequences:
        expected = evaluation_set.motions[sequence.subject]
        np.testing.assert_allclose(sequence.poses_3d, as_h36m(expected[annotation], TEST_ORDER) / 1000, atol=1e-5)
        np.testing.assert_allclose(sequence.inputs_2d, as_h36m(expected["2d"], TEST_ORDER), atol=1e-3)
        assert (sequence.inputs_2d.dtype, sequence.poses_3d.dtype) == (np.float32, np.float32)
        if annotation == "metric":
            projected = cameras.project(sequence.poses_3d, sequence.camera)
            np.testing.assert_allclose(projected, sequence.inputs_2d, atol=2e-2)


def test_valid_frames_make_runs_of_one_activity(tmp_path, evaluation_set):
    variables = evaluation_set.files["TS2"]
    variables["valid_frame"] = np.array([[0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 1, 1]], bool)
    variables["activity_annotation"] = np.array([[0, 1, 1, 5, 5, 9, 5, 5, 7, np.nan, 7, 7]])
    for key in ("annot2", "annot3", "univ_annot3"):
        variables[key][..., ~variables["valid_frame"][0]] = np.nan
    dataset = evaluation_set.load(tmp_path)
    found = [(s.action, s.trial, s.num_frames) for s in dataset.sequences if s.subject == "TS2"]
    assert found == [
        *[("Standing/Walking", "1", 2), ("On The Floor", "2", 1), ("On The Floor", "3", 2)],
        *[("Miscellaneous", "4", 1), ("Miscellaneous", "5", 2)],
    ]
    assert dataset.num_frames == 5 * 12 + 8
    poses = np.concatenate([s.poses_3d for s in dataset.sequences if s.subject == "TS2"])
    expected = as_h36m(evaluation_set.motions["TS2"]["univ"], TEST_ORDER)[variables["valid_frame"][0]]
    np.testing.assert_allclose(poses, expected / 1000, atol=1e-5)


@pytest.mark.parametrize("annotation", ["univ", "metric"])
@pytest.mark.parametrize(
    ("write", "options"), [(write_hdf5, {}), (write_version_5, {}), (write_version_5, {"do_compression": True})]
)
def test_poses_and_keypoints_of_the_training_set_come_back(tmp_path, training_set, annotation, write, options):
    numbers = (13, 0, 4)

    def write_file(path, variables):
        write(path, variables, **options)

    dataset = training_set.load(tmp_path, write_file, annotation=annotation, cameras=numbers)
    assert (dataset.name, dataset.fps, dataset.skeleton) == (f"MPI-INF-3DHP ({annotation})", 25, H36M_17)
    found = [(s.subject, s.action, s.trial, s.camera.name) for s in dataset.sequences]
    assert found == [("S2", recording, "1", f"camera{n}") for recording in ("Seq1", "Seq2") for n in numbers]
    for sequence in dataset.sequences:
        number = int(sequence.camera.name.removeprefix("camera"))
        expected = {key: arrays[number] for key, arrays in training_set.motions["S2", sequence.action].items()}
        np.testing.assert_allclose(sequence.poses_3d, as_h36m(expected[annotation], TRAINING_ORDER) / 1000, atol=1e-5)
        np.testing.assert_allclose(sequence.inputs_2d, as_h36m(expected["2d"], TRAINING_ORDER), atol=1e-3)
        if annotation == "metric":
            projected = cameras.project(sequence.poses_3d, sequence.camera)
            np.testing.assert_allclose(projected, sequence.inputs_2d, atol=2e-2)


def test_published_joint_projects_to_its_keypoint(tmp_path, training_set):
    """Camera 0 of S1/Seq1 and a joint of its frame 100, as github.com/xingyizhou/pose-hg-3d/issues/13 quotes them."""
    training_set.text = calibration(0, intrinsic="1497.693 0 1024.704 0 0 1497.103 1051.394 0 0 0 1 0 0 0 0 1")
    camera = training_set.load(tmp_path, cameras=(0,)).sequences[0].camera
    seen = cameras.project(np.array([-0.0180923, 0.102071, 3.72617]), camera)
    np.testing.assert_allclose(seen, (1017.43, 1092.4), atol=5e-3)


def test_defaults_and_other_orders_of_cameras(tmp_path, training_set):
    for variables in training_set.files.values():
        for key in ("annot2", "annot3", "univ_annot3"):
            variables[key].reverse()
        variables["cameras"] = variables["cameras"][:, ::-1].T
    dataset = training_set.load(tmp_path)
    assert [s.camera.name for s in dataset.sequences[:8]] == [f"camera{number}" for number in (0, 1, 2, 4, 5, 6, 7, 8)]
    expected = training_set.motions["S2", "Seq1"]["univ"][8]
    np.testing.assert_allclose(dataset.sequences[7].poses_3d, as_h36m(expected, TRAINING_ORDER) / 1000, atol=1e-5)


def test_the_subjects_that_were_downloaded_are_loaded(tmp_path, training_set):
    training_set.load(tmp_path)  # writes S2 only
    assert mpi_inf_3dhp.load_train(tmp_path).names("subject") == ("S2",)


def test_every_other_frame_of_fast_videos(tmp_path, rng):
    """Seq2 of S1 was recorded at 50 frames per second, Seq1 at 25."""
    training_set = TrainingSet(rng, ("S1",), frames=7)
    slow, fast = training_set.load(tmp_path, cameras=(3,)).sequences
    assert (slow.num_frames, fast.num_frames) == (7, 4)
    expected = as_h36m(training_set.motions["S1", "Seq2"]["univ"][3], TRAINING_ORDER)[::2] / 1000
    np.testing.assert_allclose(fast.poses_3d, expected, atol=1e-5)


def test_frames_beyond_the_video_and_mirrored_frames_are_left_out(tmp_path, training_set):
    """S4/Seq2 has 6675 frames at 25 fps, of which 3759 to 5852 are mirrored; S4/Seq1 has 6171."""
    first = training_set.files.pop(("S2", "Seq1"))
    training_set.files = {("S4", "Seq1"): first, ("S4", "Seq2"): training_set.files.pop(("S2", "Seq2"))}
    for variables in training_set.files.values():
        for key in ("annot2", "annot3", "univ_annot3"):
            variables[key][1] = np.resize(variables[key][1], (6700, variables[key][1].shape[1]))
            variables[key][1][6690] = np.nan
    found = training_set.load(tmp_path, cameras=(1,)).sequences
    assert [(s.action, s.trial, s.num_frames) for s in found] == [
        *[("Seq1", "1", 6171), ("Seq2", "1", 3759), ("Seq2", "1", 6675 - 5853)]
    ]


def test_frames_at_or_behind_the_camera_are_left_out(tmp_path, training_set):
    """S3 walks past camera 2: a pose behind the camera is no error of the file."""
    wrist = 3 * TRAINING_ORDER.index("left_wrist") + 2
    training_set.files["S2", "Seq2"]["univ_annot3"][2][[2, 3], [wrist, wrist]] = (-100, 400)
    found = training_set.load(tmp_path, cameras=(2,)).sequences
    assert [(s.action, s.trial, s.num_frames) for s in found] == [("Seq1", "1", 6), ("Seq2", "1", 2), ("Seq2", "1", 2)]


def swapped(array, order, width):
    """Exchange left and right in an array [..., T, J * width]."""
    names = [{"left": "right", "right": "left"}.get(joint.partition("_")[0]) for joint in order]
    partners = [
        order.index(f"{side}_{joint.partition('_')[2]}") if side else order.index(joint)
        for side, joint in zip(names, order, strict=True)
    ]
    return array.reshape(len(array), -1, width)[:, partners].reshape(array.shape)


@pytest.mark.parametrize("annotation", ["univ", "metric"])
def test_swapped_left_and_right_give_a_warning(tmp_path, evaluation_set, training_set, annotation):
    pixels = training_set.files["S2", "Seq2"]["annot2"]
    pixels[4] = swapped(pixels[4], TRAINING_ORDER, 2)
    with pytest.warns(UserWarning, match="left and right are swapped") as caught:
        training_set.load(tmp_path, cameras=(0, 4), annotation=annotation)
    (line,) = [str(warning.message) for warning in caught]
    assert line.startswith(f"{tmp_path / 'S2' / 'Seq2' / 'annot.mat'}: camera 4: ")
    poses = evaluation_set.files["TS5"]
    for key in ("annot3", "univ_annot3"):
        poses[key] = swapped(poses[key].T, TEST_ORDER, 3).T
    with pytest.warns(UserWarning, match=r"TS5.annot_data\.mat: left and right are swapped"):
        evaluation_set.load(tmp_path, annotation)


def put(key, value, sequence="TS4"):
    """Return a function that replaces a variable of a test file by `value`, which may be a function of it."""

    def change(evaluation_set):
        old = evaluation_set.files[sequence][key]
        evaluation_set.files[sequence][key] = value(old) if callable(value) else value

    return change


def nan_at_5(array):
    array[0, 3, ..., 5] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.files["TS4"].pop("annot2"), "found the variables 'activity_annotation', 'annot3', .*, expected annot2"),
        (lambda s: s.files["TS4"].clear(), "found the variables nothing, expected annot2, univ_annot3, valid_frame"),
        (lambda s: s.files["TS4"].update(x=s.files["TS4"].pop("univ_annot3")), "expected univ_annot3$"),
        (put("annot2", lambda a: a[:, :16]), r"annot2: found float64 of shape \(12, 1, 16, 2\), expected .*, 1, 17, 2\)"),
        (put("annot2", lambda a: a[:, :, 0]), r"annot2: found float64 of shape \(12, 17, 2\)"),
        (put("annot2", lambda a: a[..., :11]), "found 11 frames in 2D and 12 in 3D"),
        (put("univ_annot3", lambda a: a.T), "univ_annot3: found float64 of shape"),
        (put("univ_annot3", lambda a: a[..., :0]), "univ_annot3: found float64"),
        (put("univ_annot3", nan_at_5), r"TS4.annot_data\.mat: univ_annot3 holds NaN or infinity at frame 5"),
        (put("annot2", nan_at_5), r"TS4.annot_data\.mat: annot2 holds NaN or infinity at frame 5"),
        (put("annot2", lambda a: 1e300 * a), "inputs_2d holds NaN or infinity"),
        (put("annot2", lambda a: a / 1024 - 1), r"within \+-1.5, they seem normalised, expected pixels"),
        (put("univ_annot3", lambda a: a / 1000), r"measures 1\.\d+, the file seems to be in metres, expected millimetres"),
        (put("univ_annot3", lambda a: a / 10), "in another unit, expected millimetres"),
        (put("univ_annot3", lambda a: a * 1000), "in another unit, expected millimetres"),
        (put("univ_annot3", lambda a: a - np.array([0, 0, 8000])[:, None, None, None]), "behind the camera"),
        (put("univ_annot3", lambda a: a - np.array([0, 0, 4000])[:, None, None, None]), "which the root is not subtracted"),
        (put("valid_frame", np.zeros((1, 12))), "found no valid frame"),
        (put("valid_frame", np.ones((1, 11))), r"valid_frame: found float64 of shape \(1, 11\), expected 12 numbers"),
        (put("activity_annotation", np.full((1, 12), 8.0)), "found a valid frame of activity 8, expected"),
        (put("activity_annotation", np.full((1, 12), np.nan)), "found a valid frame of activity nan"),
        (put("activity_annotation", [np.ones(3)] * 12), r"found objects of shape \(12, 1\), expected 12 numbers"),
        (put("univ_annot3", [np.ones((12, 51))] * 14), "univ_annot3: found objects of shape"),
        (put("annot2", [np.ones(1)] * 15), "annot2: found 15 values of object, expected numbers, or a cell for each camera"),
    ],
)
def test_refused_test_sets(tmp_path, evaluation_set, change, message):
    change(evaluation_set)
    refused(lambda: evaluation_set.load(tmp_path), message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda a: a + np.array([300, 0, 0])[:, None, None, None],
            "project .* pixels from the keypoints, expected less than 50: the calibration or the joints",
        ),
        (lambda a: a * [[[[1.0]]], [[[1.0]]], [[[1.5]]]], "the calibration or the joints do not fit"),
    ],
)
def test_poses_that_do_not_project_to_the_keypoints(tmp_path, evaluation_set, change, message):
    put("annot3", change)(evaluation_set)
    evaluation_set.load(tmp_path)
    refused(lambda: mpi_inf_3dhp.load_test(tmp_path, annotation="metric"), message)


def cell(key, value, camera=4):
    def change(training_set):
        cells = training_set.files["S2", "Seq2"][key]
        cells[camera] = value(cells[camera])

    return change


def variable(key, value):
    return lambda training_set: training_set.files["S2", "Seq2"].update({key: value})


@pytest.mark.parametrize("write", [write_hdf5, write_version_5])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cell("annot2", lambda a: a[:, :50]), r"camera 4: annot2: found float64 of shape \(6, 50\), expected .* 1, 56\)"),
        (cell("annot2", lambda a: a[:-1]), "camera 4: found 5 frames in 2D and 6 in 3D"),
        (cell("univ_annot3", lambda a: a.T), r"camera 4: univ_annot3: found float64 of shape \(84, 6\)"),
        (cell("univ_annot3", lambda a: a / 1000), "camera 4: .* in metres, expected millimetres"),
        (cell("univ_annot3", lambda a: a * np.nan), "camera 4: univ_annot3 holds NaN or infinity at frame 0"),
        (cell("annot2", lambda a: a / 1024 - 1), "camera 4: .* expected pixels"),
        (
            lambda s: s.files["S2", "Seq2"].pop("cameras"),
            "found .* 'annot2', 'annot3', 'frames', 'univ_annot3', expected cameras",
        ),
        (variable("cameras", np.arange(13.0)), "cameras: found float64 of shape .*, expected 14 numbers"),
        (variable("cameras", np.arange(14.0) + 5), "camera 4: found objects of shape .*, expected 14 cells"),
        (variable("annot2", [np.ones((6, 56))] * 13), "camera 4: found objects of shape .*, expected 14 cells"),
        (variable("annot2", np.ones((6, 56))), r"camera 4: found float64 of shape \(6, 56\), expected 14 cells"),
    ],
)
def test_refused_training_sets(tmp_path, training_set, change, message, write):
    change(training_set)
    if write is write_version_5:
        message = message.replace("'annot2', 'annot3', 'frames', 'univ_annot3',", ".*,")
    refused(lambda: training_set.load(tmp_path, write, cameras=(4,)), message, tmp_path / "S2" / "Seq2" / "annot.mat")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"calibration: empty file"),
        *((text, "camera 4: size: found 0 numbers, expected 2") for text in ("\0\xff", calibration(0, 1, 2))),
        (calibration(4, size="2048"), "camera 4: size: found 1 numbers, expected 2"),
        (calibration(4).replace("size", "dimensions"), "camera 4: size: found 0 numbers, expected 2"),
        (calibration(4, intrinsic="{f} 0 0"), "camera 4: intrinsic: found 3 numbers, expected 16"),
        (calibration(4)[:100], "camera 4: intrinsic: found 0 numbers, expected 16"),
        (calibration(4, intrinsic="nan 0 1024 0 0 1500 1030 0 0 0 1 0 0 0 0 1"), "intrinsic: found 'nan', expected a finite"),
        (calibration(4, intrinsic="f 0 1024 0 0 1500 1030 0 0 0 1 0 0 0 0 1"), "intrinsic: found 'f', expected a finite"),
        (calibration(4, size="-1 2048"), "camera 4: found .*, expected a positive size"),
        (calibration(4, radial="0.1"), "camera 4: found .*, expected .* no distortion"),
        (calibration(4, intrinsic="{f} 3 1024 0 0 1500 1030 0 0 0 1 0 0 0 0 1"), "camera 4: found .*, expected .* no skew"),
    ],
)
def test_refused_calibrations(tmp_path, training_set, text, message):
    training_set.text = text
    refused(lambda: training_set.load(tmp_path, cameras=(4,)), message, tmp_path)


def test_calibration_of_other_cameras(tmp_path, training_set):
    training_set.text = training_set.text.replace("1024.5", "100.0")
    training_set.load(tmp_path)
    refused(lambda: training_set.load(tmp_path, annotation="metric"), "the calibration or the joints do not fit")


def test_files_and_folders_that_are_not_there(tmp_path, evaluation_set, training_set):
    for load, content in ((mpi_inf_3dhp.load_test, "TS1 to TS6"), (mpi_inf_3dhp.load_train, "S1 to S8")):
        refused(
            lambda load=load: load(tmp_path / "absent"), f"absent: no such folder, expected the folder that holds {content}"
        )
    (tmp_path / "data_3d_3dhp.npz").touch()
    found = r"found 'data_3d_3dhp\.npz', expected the folders"
    refused(lambda: mpi_inf_3dhp.load_test(tmp_path), rf"{found} TS1 to TS6 of MPI-INF-3DHP, or data_test_3dhp\.npz")
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path), rf"{found} S1 to S8 of MPI-INF-3DHP, or data_train_3dhp\.npz")
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path, subjects=("S1",)), r"S1.Seq1.camera\.calibration: no such file")
    evaluation_set.load(tmp_path)
    (tmp_path / "TS6" / "annot_data.mat").unlink()
    refused(lambda: mpi_inf_3dhp.load_test(tmp_path), r"TS6.annot_data\.mat: no such file")
    training_set.load(tmp_path)
    (tmp_path / "S2" / "Seq2" / "annot.mat").unlink()
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path, subjects=("S2",)), r"S2.Seq2.annot\.mat: no such file")


def test_unknown_names(tmp_path):
    refused(lambda: mpi_inf_3dhp.load_test(tmp_path, annotation="annot3"), "found 'annot3', expected some of univ, metric")
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path, annotation="3d"), "annotation: found '3d', expected some of univ, metric")
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path, cameras=(0, 14)), "cameras: found 14, expected some of 0, 1, .*, 13")
    refused(lambda: mpi_inf_3dhp.load_train(tmp_path, subjects=("S9",)), "subjects: found 'S9', expected some of S1, .*, S8")


@pytest.mark.parametrize("write", [write_hdf5, write_version_5])
def test_truncated_and_damaged_files(tmp_path, rng, training_set, write):
    training_set.load(tmp_path, write, cameras=(4,))
    file = tmp_path / "S2" / "Seq1" / "annot.mat"
    content = file.read_bytes()
    damaged = [content[:length] for length in (0, 1, 100, 127, 130, 512, 600, 2000)]
    damaged += [content[: len(content) * part // 10] for part in range(1, 10)]
    damaged += [b"no MATLAB file " * 100, bytes(rng.integers(0, 256, 3000, np.uint8))]
    for data in damaged:
        file.write_bytes(data)
        refused(lambda: mpi_inf_3dhp.load_train(tmp_path, cameras=(4,), subjects=("S2",)), "expected", file)


def test_truncated_test_set(tmp_path, evaluation_set):
    evaluation_set.load(tmp_path)
    file = tmp_path / "TS1" / "annot_data.mat"
    size = file.stat().st_size
    for length in (size - 1, size // 2, 2100, 700, 513, 512, 8, 0):
        os.truncate(file, length)
        refused(lambda: mpi_inf_3dhp.load_test(tmp_path), "expected an? (MATLAB|HDF5) file", file)


def elsewhere(tmp_path, kind):
    """Return a file whose `annot2` is not simply its own array."""
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["annot2"] = np.ones((12, 1, 17, 2))
    path = tmp_path / "TS1" / "annot_data.mat"
    with h5py.File(path, "r+") as file:
        del file["annot2"]
        if kind == "external link":
            file["annot2"] = h5py.ExternalLink(str(other), "annot2")
        elif kind == "soft link":
            file["annot2"] = h5py.SoftLink("/annot3")
        elif kind == "external data":
            external = [(str(other), 0, 12 * 17 * 2 * 8)]
            file.create_dataset("annot2", (12, 1, 17, 2), float, external=external)
        elif kind == "virtual":
            layout = h5py.VirtualLayout((12, 1, 17, 2), float)
            layout[:] = h5py.VirtualSource(str(other), "annot2", (12, 1, 17, 2))
            file.create_virtual_dataset("annot2", layout)
        elif kind == "group":
            file.create_group("annot2")
        elif kind == "text":
            file["annot2"] = "numbers"
        elif kind == "nothing":
            file["annot2"] = h5py.Empty(float)
        elif kind == "huge":
            file.create_dataset("annot2", (10**9, 1, 17, 2), float, chunks=(1000, 1, 17, 2))
        elif kind == "region":
            reference = file["annot3"].regionref[:2]
            file.create_dataset("annot2", (1,), h5py.regionref_dtype)[0] = reference
        elif kind == "nested cells":
            inner = file.create_dataset("inner", (1,), h5py.ref_dtype)
            inner[0] = file["annot3"].ref
            file.create_dataset("annot2", (1,), h5py.ref_dtype)[0] = inner.ref
        elif kind == "group in a cell":
            file.create_dataset("annot2", (1,), h5py.ref_dtype)[0] = file.create_group("inner").ref
        elif kind == "null reference":
            file.create_dataset("annot2", (1,), h5py.ref_dtype)


@pytest.mark.parametrize(
    "kind",
    [
        *("external link", "soft link", "external data", "virtual", "group", "text", "nothing", "huge", "region"),
        *("nested cells", "group in a cell", "null reference"),
    ],
)
def test_only_plain_arrays_are_read(tmp_path, evaluation_set, kind):
    evaluation_set.load(tmp_path)
    elsewhere(tmp_path, kind)
    refused(lambda: mpi_inf_3dhp.load_test(tmp_path), "expected|out of proportion", tmp_path / "TS1")


@pytest.mark.parametrize("order", ["<", ">"])
def test_files_as_matlab_writes_them(tmp_path, training_set, order):
    """Whole numbers are stored in few bytes, short contents within their tag, and other variables lie between."""
    training_set.load(tmp_path, lambda path, variables: write_like_matlab(path, variables, order), cameras=(13,))
    (sequence, _) = mpi_inf_3dhp.load_train(tmp_path, cameras=(13,), subjects=("S2",)).sequences
    expected = as_h36m(training_set.motions["S2", "Seq1"]["univ"][13], TRAINING_ORDER) / 1000
    np.testing.assert_allclose(sequence.poses_3d, expected, atol=1e-5)


def write_like_matlab(path, variables, order):
    def element(kind, content):
        if len(content) <= 4:
            return struct.pack(f"{order}I4s", len(content) << 16 | kind, content)
        padding = b"" if kind == 15 else bytes(-len(content) % 8)
        return struct.pack(f"{order}II", kind, len(content)) + content + padding

    def matrix(name, array_class, shape, content):
        flags = element(6, struct.pack(f"{order}II", array_class, 0))
        shape = element(5, np.array(shape, f"{order}i4").tobytes())
        return element(14, flags + shape + element(1, name.encode()) + content)

    def numbers(name, array):
        whole = array.size and array.max() < 256 and (array == array.astype("u1")).all()
        kind, code = (2, "u1") if whole else (9, f"{order}f8")
        return matrix(name, 6, array.shape, element(kind, array.astype(code).tobytes("F")))

    path.parent.mkdir(parents=True, exist_ok=True)
    parts = [b"MATLAB 5.0 MAT-file".ljust(124), struct.pack(f"{order}HH", 0x0100, 0x4D49)]
    parts += [matrix("text", 4, (1, 2), element(4, b"ab")), numbers("x", np.array([[7.0]])), numbers("none", np.zeros((0, 0)))]
    for name, value in variables.items():
        if isinstance(value, list):
            array = matrix(name, 1, (len(value), 1), b"".join(numbers("", item) for item in value))
        else:
            array = numbers(name, value)
        parts.append(element(15, zlib.compress(array)))
    path.write_bytes(b"".join(parts))


@pytest.mark.parametrize("write", [write_hdf5, write_version_5])
def test_files_that_inflate_without_end_are_refused(tmp_path, evaluation_set, monkeypatch, write):
    monkeypatch.setattr(safe_pickle, "_FREE_BYTES", 2**20)  # sooner

    def write_packed(path, variables):
        if write is write_version_5:
            write_version_5(path, variables | {"annot2": np.zeros((2, 17, 1, 2**14))}, do_compression=True)
        else:
            write_hdf5(path, variables)
            with h5py.File(path, "r+") as file:
                del file["annot2"]
                file.create_dataset("annot2", (2**20, 1, 17, 2), float, chunks=(1000, 1, 17, 2))  # all of it unwritten

    refused(lambda: evaluation_set.load(tmp_path, write=write_packed), "annot_data.mat: refused: .* out of proportion")
