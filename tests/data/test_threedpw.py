import pickle

import numpy as np
import pytest

from configs import default
from srnet_jax.data import sources, threedpw
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mpi_inf_3dhp import words

INDEX = {  # SMPL's joints
    name: number
    for number, name in enumerate(
        words(
            "pelvis left_hip right_hip spine1 left_knee right_knee spine2 left_ankle right_ankle spine3 left_foot right_foot "
            "neck left_collar right_collar head left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist "
            "left_hand right_hand"
        )
    )
}
CHOSEN = {
    **{"Hip": "pelvis", "RHip": "right_hip", "RKnee": "right_knee", "RFoot": "right_ankle", "LHip": "left_hip"},
    **{"LKnee": "left_knee", "LFoot": "left_ankle", "Spine": "spine2", "Thorax": "neck", "Neck": "head"},
    **{"LShoulder": "left_shoulder", "LElbow": "left_elbow", "LWrist": "left_wrist"},
    **{"RShoulder": "right_shoulder", "RElbow": "right_elbow", "RWrist": "right_wrist"},
}
TO_CAMERA = np.array([[0, 0, 1, 0.5], [0, -1, 0, 1], [1, 0, 0, 6], [0, 0, 0, 1]], float)


def recording(rng, frames=6, people=2):
    """Return the content of a file: people about 6 m in front of a camera that moves a little."""
    cameras = np.repeat(TO_CAMERA[None], frames, 0)
    cameras[:, 0, 3] += np.linspace(0, 0.1, frames)
    world = [rng.normal(0, 0.4, (frames, 24, 3)) for _ in range(people)]
    return {
        "sequence": "downtown_walking_01",
        "jointPositions": [poses.reshape(frames, 72) for poses in world],
        "campose_valid": [np.ones(frames, bool) for _ in range(people)],
        "cam_poses": cameras,
        "cam_intrinsics": np.array([[1961.0, 0, 540], [0, 1969, 960], [0, 0, 1]]),
        "poses2d": [np.zeros((frames, 3, 18)) for _ in range(people)],
        "genders": ["m", "f"],
        "betas": [np.zeros(10)] * people,
    }


def load(folder, data, protocol=2):
    place = folder / "sequenceFiles" / "test"
    place.mkdir(parents=True, exist_ok=True)
    (place / "downtown_walking_01.pkl").write_bytes(pickle.dumps(data, protocol))
    return threedpw.load(folder)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_joints_and_keypoints_come_back(tmp_path, rng, protocol):
    data = recording(rng)
    dataset = load(tmp_path, data, protocol)
    assert (dataset.name, dataset.fps, dataset.skeleton) == ("3DPW", 30, H36M_17)
    assert "published results" in dataset.conventions
    found = [(s.subject, s.action, s.trial, s.camera.width, s.camera.height) for s in dataset.sequences]
    assert found == [("test", "downtown_walking", f"01 person {n} run 1", 1080, 1920) for n in (1, 2)]
    for sequence, world in zip(dataset.sequences, data["jointPositions"], strict=True):
        for frame, camera in enumerate(data["cam_poses"]):
            joints = {name: camera[:3, :3] @ world[frame].reshape(24, 3)[i] + camera[:3, 3] for name, i in INDEX.items()}
            for joint, name in CHOSEN.items():
                place = H36M_17.joints.index(joint)
                np.testing.assert_allclose(sequence.poses_3d[frame, place], joints[name], atol=1e-5)
                x, y, z = joints[name]
                expected = (1961 * x / z + 540, 1969 * y / z + 960)
                np.testing.assert_allclose(sequence.inputs_2d[frame, place], expected, atol=1e-2)
            head = joints["neck"] + (joints["head"] - joints["neck"]) / 0.6
            np.testing.assert_allclose(sequence.poses_3d[frame, H36M_17.joints.index("Head")], head, atol=1e-5)


def test_frames_that_do_not_count_are_left_out(tmp_path, rng):
    data = recording(rng, frames=9, people=1)
    data["campose_valid"][0][3] = False
    world = data["jointPositions"][0].reshape(9, 24, 3)
    world[6] += [-12, 0, 0]  # behind the camera
    world[8] += [0, 0, 5]  # beside the image
    data["cam_poses"][0] = 0  # not known
    dataset = load(tmp_path, data)
    assert [(s.trial, s.num_frames) for s in dataset.sequences] == [
        *[("01 person 1 run 1", 2), ("01 person 1 run 2", 2), ("01 person 1 run 3", 1)]
    ]


def put(key, value):
    return lambda data: data | {key: value}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: [1], "found a list of 1, expected a dict of sequence"),
        (lambda data: {"sequence": "x"}, "found 'sequence', expected a dict of sequence, jointPositions"),
        (
            put("jointPositions", np.float64(3)),
            "jointPositions: found a float64, expected a list with an array for each person",
        ),
        (put("jointPositions", [np.zeros((6, 66))]), "campose_valid is of 2 people, expected 1"),
        (put("jointPositions", [np.zeros((6, 66))] * 2), r"person 1: jointPositions: found float64 of shape \(6, 66\)"),
        (put("campose_valid", [np.ones(5)] * 2), r"campose_valid: found float64 of shape \(5,\), expected 6 numbers"),
        (put("cam_poses", np.zeros((0, 4, 4))), "cam_poses: found float64 of shape"),
        (put("cam_intrinsics", np.eye(3)), "cam_intrinsics: found focal lengths 1, 1, centre 0, 0"),
        (put("sequence", "../x"), "sequence: found '../x', expected a name"),
        (
            lambda data: put("jointPositions", [a * 0.001 for a in data["jointPositions"]])(data),
            "another unit, expected metres",
        ),
        (put("campose_valid", [np.zeros(6)] * 2), "3DPW: found no sequences"),
    ],
)
def test_refused_files(tmp_path, rng, change, message):
    with pytest.raises(DataError, match=message) as caught:
        load(tmp_path, change(recording(rng)))
    assert len(str(caught.value).splitlines()) == 1


def test_pickles_run_nothing(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(DataError, match=r"refused: the file asks for .*print"):
        load(tmp_path, {"sequence": Evil()})


def test_folders_without_files(tmp_path):
    with pytest.raises(DataError, match=r"no \.pkl files, expected the folder sequenceFiles/test of 3DPW"):
        threedpw.load(tmp_path)


def test_source_of_a_test(tmp_path, rng):
    load(tmp_path, recording(rng))
    config = default.get_config()
    config.protocol.name = "cross_dataset"
    config.data.num_frames = 2000
    config.test_data.update({"source": "3dpw", "path": str(tmp_path)})
    assert sources.load_datasets(config)[1].names("action") == ("downtown_walking",)
