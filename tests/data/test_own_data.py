"""The user's own people, joints and cameras in VideoPose3D's form; HumanEva-I."""

import dataclasses
import re
import warnings

import numpy as np
import pytest

from srnet_jax.config import joint_sets
from srnet_jax.data.h36m import npz_files
from srnet_jax.data.h36m.humaneva_cameras import CAMERAS
from srnet_jax.data.windows import stack_frames
from srnet_jax.errors import DataError
from srnet_jax.pose import multiview
from srnet_jax.pose.cameras import project, world_to_camera
from srnet_jax.pose.skeleton import BUILT_IN, H36M_17
from tests import own_data

COCO, SIXTEEN = BUILT_IN["coco_17"], BUILT_IN["human36m_16"]
ONE, TWO = own_data.camera("cam1", 20), own_data.camera("cam2", 140)


@pytest.fixture
def poses(rng):
    return own_data.motions(rng)


def test_motions_are_seen_by_the_cameras_beside_them(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE, TWO)))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE, TWO), fps=30))
    dataset = npz_files.load(tmp_path)
    assert (dataset.names("subject"), dataset.names("camera.name"), dataset.fps) == (("ann", "bob"), ("cam1", "cam2"), 30.0)
    for sequence, one in zip(dataset.sequences[:2], (ONE, TWO), strict=True):
        expected = multiview.to_camera(poses["ann"]["Walking 1"], one)
        np.testing.assert_allclose(sequence.poses_3d, expected, atol=1e-5)
        np.testing.assert_allclose(project(sequence.poses_3d, sequence.camera), sequence.inputs_2d, atol=2)  # 2: tangential
        assert (sequence.camera.width, sequence.camera.focal) == (1280, (900.0, 905.0))


def test_motions_in_the_frame_of_one_camera_have_a_camera_at_the_origin(tmp_path, poses):
    seen = {who: {what: multiview.to_camera(world, ONE) for what, world in own.items()} for who, own in poses.items()}
    own_data.write(tmp_path, seen, own_data.views(poses, (ONE,)))
    placeless = dataclasses.replace(ONE, rotation=np.eye(3), translation=np.zeros(3))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((placeless,), fps=30))
    dataset = npz_files.load(tmp_path)
    np.testing.assert_allclose(dataset.sequences[0].poses_3d, seen["ann"]["Walking 1"], atol=1e-6)


def test_keypoints_of_one_camera_need_no_list(tmp_path, poses):
    views = own_data.views(poses, (ONE,))
    own_data.write(tmp_path, poses, {who: {what: points for what, (points,) in own.items()} for who, own in views.items()})
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    np.testing.assert_array_equal(npz_files.load(tmp_path).sequences[0].inputs_2d, views["ann"]["Walking 1"][0])


def test_arrays_of_objects_and_numbers_as_names(tmp_path, poses):
    views = own_data.views(poses, (ONE, TWO))["ann"]
    packed = {1: {action: np.array(seen, dtype=object) for action, seen in views.items()}}  # [2, T, 17, 2] of objects
    own_data.write(tmp_path, {1: poses["ann"]}, packed)
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE, TWO), fps=30))
    dataset = npz_files.load(tmp_path)
    assert dataset.names("subject") == ("1",)
    np.testing.assert_array_equal(dataset.sequences[1].inputs_2d, views["Walking 1"][1])


@pytest.mark.parametrize("field", ["inputs_2d", "poses_3d"])
def test_a_missing_point_is_named_as_such(tmp_path, poses, field):
    views = own_data.views(poses, (ONE,))
    (views["ann"]["Walking 1"][0] if field == "inputs_2d" else poses["ann"]["Walking 1"])[3, 5] = np.nan
    own_data.write(tmp_path, poses, views)
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    with pytest.raises(DataError, match=rf"ann/Walking/1/cam1: {field} holds NaN or infinity at frame 3"):
        npz_files.load(tmp_path)


def test_a_subject_may_have_cameras_of_its_own(tmp_path, poses):
    views = own_data.views({"ann": poses["ann"]}, (ONE,)) | own_data.views({"bob": poses["bob"]}, (TWO,))
    own_data.write(tmp_path, poses, views)
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=25))
    (tmp_path / "cameras_bob.toml").write_text(own_data.to_toml((TWO,), fps=25))
    assert [s.camera.name for s in npz_files.load(tmp_path).sequences] == ["cam1"] * 3 + ["cam2"] * 3
    (tmp_path / "cameras_bob.toml").write_text(own_data.to_toml((TWO,), fps=50))
    with pytest.raises(DataError, match=r"found frame rates 25\.0, 50\.0, expected one for all"):
        npz_files.load(tmp_path)


def test_a_missing_frame_rate_is_said(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,)))
    with pytest.warns(UserWarning, match="taken as 50 frames per second"):
        npz_files.load(tmp_path)


def in_millimetres(one, two):
    return [dataclasses.replace(camera, translation=camera.translation * 10) for camera in (one, two)]


def from_camera_to_world(one, two):
    return [dataclasses.replace(camera, rotation=camera.rotation.T, translation=camera.position) for camera in (one, two)]


@pytest.mark.parametrize("azimuths", [(20, 140), (10, 40, 70)])
def test_cameras_in_another_order_are_refused_with_the_right_one(tmp_path, poses, azimuths):
    """Neighbouring cameras have similar views: even swapped, their projections are near the keypoints."""
    cameras = [own_data.camera(f"cam{index}", azimuth, distance_m=5.0) for index, azimuth in enumerate(azimuths)]
    own_data.write(tmp_path, poses, own_data.views(poses, cameras))
    swapped = [cameras[1], cameras[0], *cameras[2:]]
    (tmp_path / "cameras.toml").write_text(own_data.to_toml(swapped, fps=30))
    expected = ", ".join(camera.name for camera in cameras)
    with pytest.raises(DataError, match=rf"do not fit the keypoints' arrays of ann in this order, expected {expected}$"):
        npz_files.load(tmp_path)


def test_a_calibration_that_is_a_little_off_is_a_warning(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)))
    longer = dataclasses.replace(ONE, focal=(1170.0, 1176.0))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((longer,), fps=30))
    with pytest.warns(UserWarning, match=r"camera cam1: found joints of \w+ projected 0\.\d\d times the person's size from"):
        npz_files.load(tmp_path)


def test_a_frame_rate_within_a_table_is_refused(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,)) + "\nfps = 25\n")
    with pytest.raises(DataError, match=r"found fps in \[cam1\], expected it above the first table$"):
        npz_files.load(tmp_path)


@pytest.mark.parametrize("wrong", [in_millimetres, from_camera_to_world])
def test_cameras_that_do_not_see_the_keypoints_are_refused(tmp_path, poses, wrong):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE, TWO)))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml(wrong(ONE, TWO), fps=30))
    with pytest.raises(DataError, match=r"cameras\.toml: camera cam\d: found joints of ann .*, expected a calibration"):
        npz_files.load(tmp_path)


def test_people_without_cameras_are_refused(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)))
    with pytest.raises(DataError, match=r"motions of 'ann', 'bob', whose cameras are not known.*cameras\.toml"):
        npz_files.load(tmp_path)
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE, TWO), fps=30))
    with pytest.raises(DataError, match="found a list of 1, expected 2 arrays, one for each camera"):
        npz_files.load(tmp_path)


def test_other_keypoints_with_confidences(tmp_path, rng, poses):
    """COCO's layout has no hip: the network gets the detector's keypoints, and their confidences if it uses them."""
    detected = own_data.views(poses, (ONE,))
    for own in detected.values():
        for action, (points,) in own.items():
            own[action] = [np.concatenate([points, rng.uniform(0, 1, (*points.shape[:2], 1))], -1).astype(np.float32)]
    own_data.write(tmp_path, poses, detected, COCO, "detectron")
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    with pytest.raises(DataError, match=r"is of other joints.*these seem to be --config\.model\.input_joints=coco_17"):
        npz_files.load(tmp_path, keypoints="detectron")
    with pytest.raises(DataError, match=r"found joints of .* projected"):  # COCO's names belong to other joints here
        npz_files.load(tmp_path, keypoints="detectron", layout=npz_files.Layout(keypoints=COCO))
    unlike = dataclasses.replace(COCO, joints=tuple(f"coco {name}" for name in COCO.joints))
    for confidences in (False, True):
        layout = npz_files.Layout(keypoints=unlike, confidences=confidences)
        dataset = npz_files.load(tmp_path, keypoints="detectron", layout=layout)
        expected = detected["bob"]["Sitting"][0][..., : 2 + confidences]
        np.testing.assert_array_equal(dataset.sequences[-1].inputs_2d, expected)
        frames = stack_frames(dataset.sequences, "basic")
        assert frames.inputs_2d.shape == (72, 17, 2 + confidences)
        np.testing.assert_array_equal(frames.inputs_2d[-12:, :, 2:], expected[..., 2:])  # not normalised
    assert dataset.mirrored == (COCO.mirrored, H36M_17.mirrored)


def test_files_of_fewer_keypoints_name_their_set(tmp_path, poses):
    kept = [joint for joint, name in enumerate(H36M_17.joints) if name in SIXTEEN.joints]
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,), kept), SIXTEEN, "sh")
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    hint = re.escape("num_joints is 16, expected 17; these seem to be --config.model.input_joints=human36m_16")
    with pytest.raises(DataError, match=hint):
        npz_files.load(tmp_path, keypoints="sh")
    with pytest.raises(DataError, match=r"expected 'gt' \(--config\.data\.keypoints=sh\)"):
        npz_files.load(tmp_path)
    dataset = npz_files.load(tmp_path, keypoints="sh", layout=npz_files.Layout(keypoints=SIXTEEN))
    assert dataset.sequences[0].inputs_2d.shape == (12, 16, 2)


def test_left_and_right_of_different_sets_are_compared_by_name(tmp_path, poses):
    """Human3.6M's own cameras are not checked against the keypoints, so swapped sides are a warning."""
    poses = {"S1": poses["ann"]}
    for world in poses["S1"].values():  # left joints on one side
        world[:, list(H36M_17.joints_left), 0] += 0.5
    kept = [joint for joint, name in enumerate(H36M_17.joints) if name in SIXTEEN.joints]
    for order in (kept, [H36M_17.mirrored[joint] for joint in kept]):
        views = {
            "S1": {
                what: [project(world_to_camera(world, one), one)[:, order] for one in npz_files.CAMERAS["S1"]]
                for what, world in poses["S1"].items()
            }
        }
        own_data.write(tmp_path, poses, views, SIXTEEN, "sh")
        with warnings.catch_warnings(record=True, action="always") as caught:
            npz_files.load(tmp_path, keypoints="sh", layout=npz_files.Layout(keypoints=SIXTEEN))
        assert ["left and right are swapped" in str(one.message) for one in caught] == [True] * (order != kept)


def test_joints_come_root_first_whatever_the_order_in_files(tmp_path, rng):
    (tmp_path / "mine.toml").write_text(own_data.MADE_UP_21)
    mine = joint_sets.parse(joint_sets.read(tmp_path / "mine.toml"))
    poses = own_data.motions(rng, joints=mine)
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)), mine)
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    dataset = npz_files.load(tmp_path, layout=npz_files.Layout(mine, mine))
    world = poses["ann"]["Walking 1"][:, [20, *range(20)]]
    np.testing.assert_allclose(dataset.sequences[0].poses_3d, multiview.to_camera(world, ONE), atol=1e-5)
    np.testing.assert_allclose(dataset.sequences[0].inputs_2d, multiview.project(world, ONE), rtol=1e-5)


def humaneva(folder, rng):
    joints = BUILT_IN["humaneva_15"]
    poses = {who: own_data.motions(rng, joints=joints, frames=4)["ann"] for who in ("Train/S1", "Validate/S1")}
    poses = {who: {f"{what} chunk0": world for what, world in own.items()} for who, own in poses.items()}
    views = {
        who: {what: [world_to_camera(world, camera)[..., :2] * 300 for camera in CAMERAS[who]] for what, world in own.items()}
        for who, own in poses.items()
    }
    own_data.write(folder, poses, views, joints, form="humaneva15")
    return npz_files.load(folder, form=npz_files.HUMANEVA, layout=npz_files.Layout(joints, joints)), poses


def test_humaneva_has_three_cameras_without_focal_lengths(tmp_path, rng):
    dataset, poses = humaneva(tmp_path, rng)
    assert (dataset.fps, dataset.names("subject"), dataset.names("trial")) == (
        60.0,
        ("Train/S1", "Validate/S1"),
        ("1 chunk0", "2 chunk0", "chunk0"),
    )
    assert dataset.names("camera.name") == ("C1", "C2", "C3")
    third = dataset.sequences[2]
    np.testing.assert_allclose(third.camera.translation, (-0.79767377, 3.9163174, 1.4336602))
    world = poses["Train/S1"]["Walking 1 chunk0"]
    np.testing.assert_allclose(third.poses_3d, world_to_camera(world.astype(np.float64), CAMERAS["Train/S1"][2]), atol=1e-6)
    inputs = stack_frames(dataset.sequences, "basic").inputs_2d
    np.testing.assert_allclose(inputs[0], third_as_basic(dataset.sequences[0].inputs_2d[0]), atol=1e-6)
    with pytest.raises(DataError, match=r"focal length is not known, which config\.model\.normalization 'turned' needs"):
        stack_frames(dataset.sequences, "turned")
    with pytest.raises(DataError, match=re.escape("it holds HumanEva-I: see configs/humaneva_sr.py")):
        npz_files.load(tmp_path)


def third_as_basic(points):
    """Return pixels of an image of 640 x 480 over half its width, around its middle."""
    return (points - [320, 240]) / 320


def test_actions_are_chosen_by_name(tmp_path, rng):
    dataset, _ = humaneva(tmp_path, rng)
    assert dataset.with_actions(()) == dataset
    assert dataset.with_actions(("Sitting",)).names("action") == ("Sitting",)
    with pytest.warns(UserWarning, match="no recording of Box, only of Walking, Sitting"):
        assert dataset.with_actions(("Sitting", "Box")).names("action") == ("Sitting",)
    with pytest.raises(DataError, match=r"no recording of Box.*; expected those of config\.data\.actions"):
        dataset.with_actions(("Box",))


def test_sets_of_other_joints_are_taken_by_name(tmp_path, poses):
    own_data.write(tmp_path, poses, own_data.views(poses, (ONE,)))
    (tmp_path / "cameras.toml").write_text(own_data.to_toml((ONE,), fps=30))
    with warnings.catch_warnings(action="ignore"):
        dataset = npz_files.load(tmp_path)
    taken = dataset.with_joints(SIXTEEN, BUILT_IN["humaneva_15"])
    assert (taken.sequences[0].inputs_2d.shape, taken.sequences[0].poses_3d.shape) == ((12, 16, 2), (12, 15, 3))
    np.testing.assert_array_equal(taken.sequences[0].poses_3d[:, 14], dataset.sequences[0].poses_3d[:, 10])  # the head
    with pytest.raises(DataError, match="has no joint 'Nose' of coco_17, only Hip, RHip"):
        dataset.with_joints(COCO, H36M_17)
