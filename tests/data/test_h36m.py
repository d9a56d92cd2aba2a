import copy

import numpy as np
import pytest

from srnet_jax.data.h36m import npz_files
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError
from srnet_jax.pose import cameras
from srnet_jax.pose.skeleton import BUILT_IN, H36M_17

LEFT, RIGHT = [4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]
KEPT = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]  # of the 32 joints
FRAMES = 5

# A point of the world, metres, and where the official code sees it in each of the subject's cameras, pixels.
SEEN = {
    "S1": ((0.12939496, 0.48497966, 1.5507609), (456.929, 302.220), (620.754, 270.557), (541.765, 236.927), (533.147, 184.701)),
    "S5": (
        (0.29382873, -0.24916716, 1.5043316),
        (393.105, 311.242),
        (575.083, 285.342),
        (570.301, 248.680),
        (632.559, 226.928),
    ),
    "S6": ((0.51618457, -0.543157, 1.5684222), (323.522, 298.694), (620.446, 274.008), (549.292, 241.749), (741.441, 221.575)),
    "S7": ((-0.4512653, 0.25880647, 1.4903976), (560.068, 316.818), (486.536, 281.682), (672.206, 244.908), (418.575, 210.395)),
    "S8": (
        (-0.4950121, -0.48169243, 1.5152172),
        (551.348, 312.479),
        (329.021, 278.824),
        (762.082, 236.455),
        (404.752, 205.062),
    ),
    "S9": ((0.55443305, 0.4110878, 1.5663946), (370.088, 277.451), (646.689, 268.566), (459.764, 238.728), (606.445, 203.221)),
    "S11": ((-0.32773116, -0.6386355, 1.66693), (485.205, 265.953), (373.752, 247.795), (775.909, 199.247), (481.949, 161.632)),
}


class Files:
    """Content of the two files, which tests change before they write it."""

    def __init__(self, rng, recordings):
        self.arrays_3d, self.arrays_2d = {"positions_3d": {}}, {"positions_2d": {}, "metadata": metadata()}
        for subject, action in recordings:
            steps = rng.normal(0, 0.05, (FRAMES, 17, 3)).cumsum(0)
            world = (rng.normal(0, 0.4, (17, 3)) + [0, 0, 0.9] + steps).astype(np.float32)
            views = [cameras.project(cameras.world_to_camera(world, camera), camera) for camera in CAMERAS[subject]]
            self.motions.setdefault(subject, {})[action] = world
            self.views.setdefault(subject, {})[action] = views

    @property
    def motions(self):
        return self.arrays_3d["positions_3d"]

    @property
    def views(self):
        return self.arrays_2d["positions_2d"]

    @property
    def metadata(self):
        return self.arrays_2d["metadata"]

    def load(self, folder, keypoints="gt"):
        write(folder / "data_3d_h36m.npz", self.arrays_3d)
        write(folder / f"data_2d_h36m_{keypoints}.npz", self.arrays_2d)
        return npz_files.load(folder, keypoints=keypoints)


def metadata():
    return {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": [LEFT, RIGHT]}


def write(path, entries):
    np.savez(path, **{key: boxed(value) for key, value in entries.items()})


def boxed(value):
    """Return an object array of shape (), which holds the value as it is."""
    box = np.empty((), object)
    box[()] = value
    return box


def with_32_joints(world):
    """Return [T, 32, 3] joints, NaN where the reader must not use them."""
    full = np.full((len(world), 32, 3), np.nan, np.float32)
    full[:, KEPT] = world
    return full


@pytest.fixture
def files(rng):
    return Files(rng, [("S1", "Walking 1"), ("S1", "WalkDog")])


def refused(files, folder, message):
    with pytest.raises(DataError, match=message) as caught:
        files.load(folder)
    assert len(str(caught.value).splitlines()) == 1
    assert str(folder) in str(caught.value) or "Human3.6M (gt)" in str(caught.value)


@pytest.mark.parametrize("subject", npz_files.SUBJECTS)
def test_calibration(subject):
    assert npz_files.SUBJECTS == ("S1", "S5", "S6", "S7", "S8", "S9", "S11")
    assert [camera.name for camera in CAMERAS[subject]] == ["54138969", "55011271", "58860488", "60457274"]
    point, *pixels = SEEN[subject]
    for camera, pixel in zip(CAMERAS[subject], pixels, strict=True):
        assert np.linalg.norm(camera.orientation) == pytest.approx(1, abs=1e-6)
        seen = cameras.project(cameras.world_to_camera(np.array(point), camera), camera)
        np.testing.assert_allclose(seen, pixel, atol=2e-3)


@pytest.mark.parametrize("joints", [17, 32])
@pytest.mark.parametrize("views", [list, tuple, np.stack])
def test_poses_and_keypoints_come_back(tmp_path, files, joints, views):
    expected = copy.deepcopy(files)
    for action, world in files.motions["S1"].items():
        files.motions["S1"][action] = with_32_joints(world) if joints == 32 else world
        files.views["S1"][action] = views(files.views["S1"][action])
    dataset = files.load(tmp_path)
    assert (dataset.name, dataset.fps, dataset.skeleton) == ("Human3.6M (gt)", 50, H36M_17)
    assert len(dataset.sequences) == 8
    for index, sequence in enumerate(dataset.sequences):
        action = f"{sequence.action} {sequence.trial}".rstrip()
        np.testing.assert_array_equal(sequence.inputs_2d, expected.views["S1"][action][index % 4])
        world = cameras.camera_to_world(sequence.poses_3d, sequence.camera)
        np.testing.assert_allclose(world, expected.motions["S1"][action], atol=1e-5)
        np.testing.assert_allclose(cameras.project(sequence.poses_3d, sequence.camera), sequence.inputs_2d, atol=2e-3)
        assert (sequence.inputs_2d.dtype, sequence.poses_3d.dtype) == (np.float32, np.float32)


@pytest.mark.filterwarnings("ignore:.*has no keypoints of 'S9/Sitting'")
def test_order_and_exact_names(tmp_path, rng):
    files = Files(
        rng, [("S11", "Sitting"), ("S9", "SittingDown 2"), ("S9", "WalkingDog"), ("S9", "TakingPhoto 1"), ("S1", "Walking 1")]
    )
    files.motions["S9"] = {  # another order and another spelling than in the keypoints' file
        "Photo 1": files.motions["S9"]["TakingPhoto 1"],
        "WalkDog": files.motions["S9"]["WalkingDog"],
        "SittingDown 2": files.motions["S9"]["SittingDown 2"],
        "Sitting": "never looked at: the keypoints' file has no such recording",
    }
    found = [(s.subject, s.action, s.trial, s.camera) for s in files.load(tmp_path).sequences]
    recordings = ["S1 Walking 1", "S9 SittingDown 2", "S9 WalkDog ", "S9 Photo 1", "S11 Sitting "]
    assert found == [(*name.split(" "), camera) for name in recordings for camera in CAMERAS[name.split(" ")[0]]]


def test_detections(tmp_path, files):
    """Detections may be longer than the motion, and have confidences."""
    plain = copy.deepcopy(files.views["S1"])
    for action, views in plain.items():
        files.views["S1"][action] = [np.pad(view, ((0, 3), (0, 0), (0, 1)), constant_values=7).astype(float) for view in views]
    files.metadata["keypoints_symmetry"] = (np.array(LEFT), tuple(np.int64(joint) for joint in RIGHT))
    files.metadata["num_joints"] = np.int32(17)
    del files.metadata["layout_name"]  # the original projections have none
    dataset = files.load(tmp_path, keypoints="cpn_ft_h36m_dbb")
    assert dataset.name == "Human3.6M (cpn_ft_h36m_dbb)"
    for sequence, view in zip(dataset.sequences, [*plain["Walking 1"], *plain["WalkDog"]], strict=True):
        np.testing.assert_array_equal(sequence.inputs_2d, view)


@pytest.mark.parametrize("where", ["both", "2d", "3d"])
def test_the_corrupt_recording_is_dropped(tmp_path, rng, where):
    files = Files(rng, [("S9", "Directions"), ("S11", "Directions"), ("S11", "Directions 1")])
    if where == "2d":
        del files.motions["S11"]["Directions"]
    if where == "3d":
        del files.views["S11"]["Directions"]
    sequences = files.load(tmp_path).sequences
    assert [(s.subject, s.action, s.trial) for s in sequences[::4]] == [("S9", "Directions", ""), ("S11", "Directions", "1")]


def test_uncalibrated_subjects_without_motions_are_skipped(tmp_path, files):
    files.views["S2"] = files.views["S3"] = files.views["S1"]
    files.motions["S3"] = {}
    assert files.load(tmp_path).names("subject") == ("S1",)


def edit(path, change):
    """Return a function that puts `change(old value)` at the path of keys, which begins with `motions`, `views`..."""

    def apply(files):
        container = getattr(files, path[0])
        for key in path[1:-1]:
            container = container[key]
        container[path[-1]] = change(container[path[-1]])

    return apply


MOTION, VIEW = ("motions", "S1", "Walking 1"), ("views", "S1", "Walking 1", 2)


def nan_at_3(array):
    array[3, 1, 0] = np.nan
    return array


def normalised(files):
    for views in files.views["S1"].values():
        views[:] = [view / 1000 * 2 - 1 for view in views]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit(VIEW, lambda a: a[:-1]), r"S1/Walking 1/58860488: found keypoints of 4 frames, expected .* 5"),
        (
            edit(VIEW, lambda a: a[:, :16]),
            r"S1/Walking 1/58860488: found float32 of shape \(5, 16, 2\), expected .* 17, 2 or 3\)",
        ),
        (edit(VIEW, lambda a: a.astype(str)), "found str[0-9]+ of shape"),
        (edit(VIEW, nan_at_3), "S1/Walking/1/58860488: inputs_2d holds NaN or infinity at frame 3"),
        (edit(VIEW, lambda a: a.astype(float) * 1e300), "inputs_2d holds NaN or infinity at frame 0"),
        (edit(VIEW[:-1], lambda a: a[:3]), "S1/Walking 1: found a list of 3, expected 4 arrays"),
        (normalised, r"within \+-1.5, they seem normalised, expected pixels"),
        (edit(MOTION, lambda a: 1000 * a), "positions_3d of S1/Walking 1: .* in millimetres, expected metres"),
        (edit(MOTION, nan_at_3), "S1/Walking/1/54138969: poses_3d holds NaN or infinity at frame 3"),
        (edit(MOTION, lambda a: a * np.nan), "poses_3d holds NaN or infinity at frame 0"),
        (edit(MOTION, lambda a: a * np.inf), "poses_3d holds NaN or infinity at frame 0"),
        (edit(MOTION, lambda a: a[:0]), r"found float32 of shape \(0, 17, 3\), expected .*\(frames >= 1, 17 or 32, 3\)"),
        (edit(MOTION, lambda a: a + [20, 0, 0]), "a joint is .* behind the camera"),
        (lambda files: files.motions["S1"].pop("WalkDog"), "data_3d_h36m.npz: positions_3d has no S1/WalkDog"),
        (lambda files: files.motions.pop("S1"), "data_3d_h36m.npz: positions_3d has no S1/Walking 1"),
        (lambda files: files.views["S1"].update({"WalkingDog": []}), "holds 'WalkDog' twice"),
        (
            lambda files: files.motions.update(S4=files.motions["S1"]),
            "found motions of 'S4', whose cameras are not known, expected S1, S5",
        ),
        (lambda files: files.views.update(S2=files.views.pop("S1")), "found keypoints of 'S2', expected some of S1, S5"),
        (
            lambda files: files.arrays_3d.update(x=files.arrays_3d.pop("positions_3d")),
            "found the keys 'x', expected positions_3d",
        ),
        (lambda files: files.arrays_2d.pop("metadata"), "found the keys 'positions_2d', expected metadata"),
        (edit(("metadata", "num_joints"), lambda _: 16), r"metadata \(layout 'h36m'\): num_joints is 16, expected 17"),
        (edit(("metadata", "keypoints_symmetry"), lambda pair: pair[::-1]), "left and right swapped"),
        (edit(("metadata", "keypoints_symmetry"), lambda pair: [LEFT, RIGHT[::-1]]), "of other joints, expected left"),
        (edit(("metadata", "keypoints_symmetry"), lambda pair: [LEFT, RIGHT[:-1]]), "of other joints, expected left"),
    ],
)
def test_refusals(tmp_path, files, change, message):
    change(files)
    refused(files, tmp_path, message)


def test_keypoints_and_folders_that_are_not_there(tmp_path, files):
    with pytest.raises(DataError, match="no such folder"):
        npz_files.load(tmp_path / "absent")
    with pytest.raises(DataError, match=r"found no keypoints .*, expected 'gt'"):
        npz_files.load(tmp_path)
    files.load(tmp_path, keypoints="gt")
    files.load(tmp_path, keypoints="detectron_ft_h36m")
    with pytest.raises(DataError, match=r"found keypoints detectron_ft_h36m, gt .*, expected '\.\./gt'"):
        npz_files.load(tmp_path, keypoints="../gt")
    (tmp_path / "data_3d_h36m.npz").unlink()
    with pytest.raises(DataError, match=r"data_3d_h36m\.npz"):
        npz_files.load(tmp_path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def endless(depth=60):
    """Return a list that contains itself at the end of 2**depth paths."""
    first = []
    inner = first
    for _ in range(depth):
        inner = [inner, inner]
    first.append(inner)
    return inner


ODD = {
    "none": None,
    "number": 3,
    "huge": 10**5000,
    "nan": float("nan"),
    "text": "a\nb",
    "bytes": b"",
    "list": [],
    "dict": {},
    "numbers": [1, 2, 3, 4],
    "texts": ("a",) * 4,
    "scalar": np.float32(1),
    "array_0d": np.array(17.0),
    "array_1d": np.zeros(4),
    "wide": np.zeros((10**9, 0), np.float32),
    "objects": np.array([{}, None], object),
    "complex": np.zeros((FRAMES, 17, 3), complex),
    "nested": [[[1.0]]],
    "endless": endless(),
    "bomb": Bomb(),
}
PLACES = {
    "positions_3d": ("arrays_3d", "positions_3d"),
    "subject_3d": MOTION[:-1],
    "motion": MOTION,
    "positions_2d": ("arrays_2d", "positions_2d"),
    "subject_2d": VIEW[:-2],
    "views": VIEW[:-1],
    "view": VIEW,
    "metadata": ("arrays_2d", "metadata"),
    "num_joints": ("metadata", "num_joints"),
    "symmetry": ("metadata", "keypoints_symmetry"),
    "side": ("metadata", "keypoints_symmetry", 0),
    "joint": ("metadata", "keypoints_symmetry", 0, 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_odd_values_are_refused(tmp_path, files, place):
    for odd in ODD.values():
        changed = copy.deepcopy(files)
        changed.arrays_2d["metadata"] = changed.metadata
        edit(PLACES[place], lambda _, odd=odd: odd)(changed)
        refused(changed, tmp_path, "expected|refused")


@pytest.mark.parametrize("place", [MOTION[:-1], VIEW[:-2]])
def test_odd_names_are_refused(tmp_path, files, place):
    for odd in ("", " ", "a\nb", "a\u2028b", 3, 10**100, None, ("a", "b"), b"Walking"):
        changed = copy.deepcopy(files)
        edit(place, lambda recordings, odd=odd: {**recordings, odd: recordings["Walking 1"]})(changed)
        refused(changed, tmp_path, "expected a name such as 'Walking 1'")


def test_odd_subjects_are_refused(tmp_path, files):
    for odd in ("", "a\nb", 3, 10**100, None, ("a", "b"), b"S1"):
        changed = copy.deepcopy(files)
        changed.motions[odd] = changed.motions["S1"]
        refused(changed, tmp_path, "found motions of .*, whose cameras are not known, expected S1")


def test_swapped_sides_give_a_warning(tmp_path, files):
    for action, views in files.views["S1"].items():
        files.views["S1"][action] = [view[:, list(H36M_17.mirrored)] for view in views]
    with pytest.warns(UserWarning, match="left and right are swapped between the keypoints and data_3d_h36m"):
        files.load(tmp_path)


def test_arrays_in_another_order_than_the_cameras_give_a_warning(tmp_path, files):
    for name, (first, *others) in files.views["S1"].items():
        files.views["S1"][name] = [*others, first]
    message = r"gt\.npz: keypoints of 'S1' are \d\.\d\d times .*order of the cameras, 54138969, 55011271, 58860488, 60457274"
    with pytest.warns(UserWarning, match=message):
        files.load(tmp_path)


def test_motions_whose_root_is_subtracted_give_a_warning(tmp_path, files):
    for name, motion in files.motions["S1"].items():
        files.motions["S1"][name] = motion - motion[:, :1]
    with pytest.warns(UserWarning, match="joints in the world frame, from which the root is not subtracted"):
        files.load(tmp_path)


@pytest.mark.parametrize("stored", [17, 32])
def test_motions_of_more_joints_than_the_network_has(tmp_path, files, stored):
    expected = files.load(tmp_path)
    if stored == 32:
        files.motions["S1"] = {name: with_32_joints(motion) for name, motion in files.motions["S1"].items()}
        files.load(tmp_path)
    sixteen = BUILT_IN["human36m_16"]
    found = npz_files.load(tmp_path, layout=npz_files.Layout(joints=sixteen))
    for sequence, other in zip(found.sequences, expected.sequences, strict=True):
        np.testing.assert_array_equal(sequence.poses_3d, other.poses_3d[:, H36M_17.indices(sixteen.joints)])


def test_motions_without_keypoints_are_named(tmp_path, files):
    del files.views["S1"]["WalkDog"]
    with pytest.warns(UserWarning, match=r"data_2d_h36m_gt\.npz: has no keypoints of 'S1/WalkDog', of which data_3d_h36m\.npz"):
        assert files.load(tmp_path).names("action") == ("Walking",)


def test_videos_at_another_frame_rate_give_a_warning(tmp_path, files):
    for recording, views in files.views["S1"].items():
        files.views["S1"][recording] = [np.repeat(view, 8, axis=0) for view in views]
    message = r"2 recordings have many more frames of keypoints than of motion \(first S1/Walking 1: 40 and 5\)"
    with pytest.warns(UserWarning, match=message):
        files.load(tmp_path)


def test_keypoints_that_were_not_seen_give_a_warning(tmp_path, files):
    files.views["S1"]["Walking 1"][1][3:, 6] = 0
    message = r"found keypoints at exactly \(0, 0\) in 2 frames \(first S1/Walking/1/55011271, frame 3\)"
    with pytest.warns(UserWarning, match=message):
        files.load(tmp_path)


@pytest.mark.parametrize(("scale", "unit"), [(100, "centimetres"), (1000, "millimetres")])
def test_the_unit_of_motions_is_named(tmp_path, files, scale, unit):
    for own in files.motions.values():
        for name in own:
            own[name] = own[name] * scale
    refused(files, tmp_path, f"the file seems to be in {unit}, expected metres")


def test_other_names_of_files_get_a_hint(tmp_path, files):
    files.load(tmp_path)
    with pytest.raises(DataError, match=r"data_3d_h36m\.npz: found a file, expected the folder that holds data_3d_h36m"):
        npz_files.load(tmp_path / "data_3d_h36m.npz")
    (tmp_path / "data_2d_h36m_gt.npz").rename(tmp_path / "data_2d_custom_me.npz")
    message = r"expected 'gt' in data_2d_h36m_gt\.npz \(the folder holds 'data_2d_custom_me\.npz': docs/own_data"
    with pytest.raises(DataError, match=message):
        npz_files.load(tmp_path)
