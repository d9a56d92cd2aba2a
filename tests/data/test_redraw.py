"""Redrawn sequences follow the config, differ between epochs, and are the same when an epoch is drawn again."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.config import schema
from srnet_jax.data import redraw, synthetic
from srnet_jax.data.detections import Errors
from srnet_jax.pose import cameras
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.normalization import normalize
from srnet_jax.pose.skeleton import H36M_17

LEG = [H36M_17.joints.index(name) for name in ("LHip", "LKnee", "LFoot")]
ARM = [H36M_17.joints.index(name) for name in ("RShoulder", "RElbow", "RWrist")]
NONE = Errors()
UPPER = [H36M_17.joints.index(name) for name in ("Spine", "Thorax", "LWrist")]


@pytest.fixture(scope="module")
def parts():
    seen = virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1100, width_px=1000, height_px=1000)
    return redraw.pieces(synthetic.load(num_frames=20_000, cameras=seen, seed=0).sequences)


@pytest.fixture
def settings():
    return schema.default_config().redraw


def draw(parts, settings, epoch=0, errors=NONE):
    return redraw.redrawn(parts, settings, errors, fps=50.0, epoch=epoch)


def world(sequence):
    return cameras.camera_to_world(sequence.poses_3d.astype(np.float64), sequence.camera)


def test_pieces_are_the_sequences(parts):
    long = dataclasses.replace(
        parts[0], **{name: np.concatenate([getattr(parts[0], name)] * 6) for name in ("inputs_2d", "poses_3d")}
    )
    cut = redraw.pieces([long, parts[1]])
    assert [one.num_frames for one in cut] == [256, 256, 6 * 95 - 512, 95]
    np.testing.assert_array_equal(np.concatenate([one.poses_3d for one in cut[:3]]), long.poses_3d)


def test_an_epoch_is_drawn_twice_alike_and_another_otherwise(parts, settings):
    first, again, other = (draw(parts[:20], settings, epoch, Errors(sigma=0.01)) for epoch in (0, 0, 1))
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a.inputs_2d, b.inputs_2d)
        assert a.poses_3d.shape == c.poses_3d.shape
        assert np.abs(a.poses_3d - c.poses_3d).max() > 0.01


def test_cameras_stand_and_look_within_the_bounds(parts, settings):
    settings.update(distance_m=(3.0, 6.0), height_m=(0.5, 2.0), roll_degrees=20.0, off_axis_degrees=15.0)
    distances, heights, rolls, off = [], [], [], []
    for one in draw(parts, settings):
        hip = world(one)[:, 0].mean(0)
        position = np.array(one.camera.translation)
        distances.append(np.linalg.norm((hip - position)[:2]))
        heights.append(position[2])
        rolls.append(np.degrees(np.arcsin(one.camera.rotation[2, 0] / np.hypot(*one.camera.rotation[2, :2]))))
        ray = cameras.world_to_camera(hip, one.camera)
        off.append(np.degrees(np.arccos(ray[2] / np.linalg.norm(ray))))
    assert 3 <= np.percentile(distances, 5) < 3.4 < 5.5 < np.percentile(distances, 95) <= 6.001
    assert 0.5 <= min(heights) < 0.6 < 1.9 < max(heights) <= 2.001
    assert 18 < np.abs(rolls).max() < 20.01
    assert 13 < max(off) < 15.01


def test_people_have_the_statures_and_bones_that_are_asked_for(parts, settings):
    settings.update(stature_m=(1.6, 1.6), bones=0.0, recombined=0.0, straightened=0.0)
    for one in draw(parts[:30], settings):
        leg = np.linalg.norm(np.diff(one.poses_3d[:, LEG], axis=1), axis=-1).sum(1)
        np.testing.assert_allclose(leg, 1.6 * 0.491, rtol=0.01)
    settings.bones = 0.1
    thighs = [np.linalg.norm(one.poses_3d[0, LEG[0]] - one.poses_3d[0, LEG[1]]) for one in draw(parts, settings)]
    assert np.std(thighs) / np.mean(thighs) == pytest.approx(0.1, rel=0.25)


def test_joints_are_in_front_of_the_camera_and_projected_by_the_true_focal_length(parts, settings):
    settings.focal_error = 0.0
    for one in draw(parts, settings):
        assert one.poses_3d[..., 2].min() > 0.5
        np.testing.assert_allclose(one.inputs_2d, cameras.project(one.poses_3d, one.camera), atol=0.02)
    settings.focal_error = 0.2
    factors = [one.camera.focal[0] / 1100 for one in draw(parts, settings)]
    assert np.std(np.log(factors)) == pytest.approx(0.2, rel=0.25)


def test_an_upper_body_comes_whole_and_faces_where_the_hips_face(parts):
    walk, other = (world(one)[:100] for one in (parts[0], parts[-1]))
    made = redraw.with_upper_body(walk, other)
    assert np.abs(made - walk).max() > 0.05
    lower = [index for index in range(17) if index < 7]
    np.testing.assert_array_equal(made[:, lower], walk[:, lower])
    for joint in UPPER:  # heights above the hip, and distances from it, are the other's
        np.testing.assert_allclose((made[:, joint] - made[:, 0])[:, 2], (other[:, joint] - other[:, 0])[:, 2], atol=1e-9)
    sides = [H36M_17.joints.index(name) for name in ("RHip", "LHip")]

    def facing(poses):
        across = poses[:, sides[1], :2] - poses[:, sides[0], :2]
        return np.arctan2(across[:, 1], across[:, 0])

    shoulder = H36M_17.joints.index("LShoulder")
    around = [made[:, shoulder, :2] - made[:, 0, :2], other[:, shoulder, :2] - other[:, 0, :2]]
    turned = np.arctan2(around[0][:, 1], around[0][:, 0]) - np.arctan2(around[1][:, 1], around[1][:, 0])
    np.testing.assert_allclose(np.exp(1j * turned), np.exp(1j * (facing(walk) - facing(other))), atol=1e-6)
    assert redraw.with_upper_body(walk, other[:50]) is walk  # too short


def test_trunks_get_the_proportions_that_are_asked_for(parts):
    walk = world(parts[0])
    made = redraw.with_proportions(walk, 0.6, 0.3, 0.45)
    for limb in (LEG, ARM):
        np.testing.assert_allclose(np.diff(made[:, limb], axis=1), np.diff(walk[:, limb], axis=1), atol=1e-12)
    right, left = ([H36M_17.joints.index(side + name) for name in ("Hip", "Shoulder")] for side in "RL")
    legs = np.linalg.norm(np.diff(walk[:, LEG], axis=1), axis=-1).sum(1).mean()
    widths = np.percentile(np.linalg.norm(made[:, left] - made[:, right], axis=-1), 90, axis=0)
    np.testing.assert_allclose(widths / legs, [0.3, 0.45], rtol=1e-3)
    middles = (made[:, left] + made[:, right]) / 2
    torso = np.percentile(np.linalg.norm(middles[:, 1] - middles[:, 0], axis=-1), 90)
    assert torso / legs == pytest.approx(0.6, rel=1e-3)
    np.testing.assert_allclose(middles[:, 0], (walk[:, left[0]] + walk[:, right[0]]) / 2, atol=1e-12)


@pytest.mark.parametrize("limb", [LEG, ARM])
def test_a_limb_comes_whole_and_turns_with_the_torso(parts, limb):
    walk, other = (world(one)[:100] for one in (parts[0], parts[-1]))
    made = redraw.with_limb(walk, other, limb)
    stays = [joint for joint in range(17) if joint not in limb[1:]]
    np.testing.assert_array_equal(made[:, stays], walk[:, stays])
    assert np.abs(made - walk).max() > 0.05
    lengths = [np.linalg.norm(np.diff(poses[:, limb], axis=1), axis=-1) for poses in (made, other)]
    np.testing.assert_allclose(*lengths, atol=1e-9)
    np.testing.assert_allclose(redraw.with_limb(walk, walk, limb), walk, atol=1e-9)
    rotation = Rotation.random(random_state=0).as_matrix()  # of the other's scene: the limb is the same in the torso's axes
    np.testing.assert_allclose(redraw.with_limb(walk, other @ rotation.T + 3, limb), made, atol=1e-9)
    assert redraw.with_limb(walk, other[:50], limb) is walk  # too short


def test_straight_legs_become_straighter_and_bent_ones_stay():
    side = np.radians([[20.0], [120.0]])  # flexion of two knees that see each other from the side, in the y-z plane
    poses = np.zeros((2, 17, 3))
    poses[:, LEG[0]] = [0, 0, 1.0]
    poses[:, LEG[1]] = [0, 0, 0.6]
    poses[:, LEG[2]] = poses[:, LEG[1]] + 0.4 * np.concatenate([0 * side, -np.sin(side), -np.cos(side)], 1)
    poses[:, [H36M_17.joints.index(name) for name in ("RHip", "RKnee", "RFoot")]] = poses[:, LEG]
    torso = [H36M_17.joints.index("Thorax"), H36M_17.joints.index("Neck")]
    poses[:, 0] = [0, 0, 1.0]
    poses[:, torso] = [[0.05, 0, 1.5], [0.05, 0.1, 1.6]]
    made = redraw.straightened(poses, 0.0)

    def flexion(p):
        thigh, shank = p[:, LEG[1]] - p[:, LEG[0]], p[:, LEG[2]] - p[:, LEG[1]]
        return np.degrees(np.arccos((thigh * shank).sum(-1) / 0.16))

    np.testing.assert_allclose(flexion(poses), [20, 120])
    np.testing.assert_allclose(flexion(made), [20 * (1 - np.exp(-1 / 9)), 120 * (1 - np.exp(-4))], rtol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(np.diff(made[:, LEG], axis=1), axis=-1), 0.4)
    directions = [p[:, LEG[2]] - p[:, LEG[0]] for p in (poses, made)]  # from the hip to the foot
    np.testing.assert_allclose(np.cross(*directions), 0, atol=1e-12)
    tilts = [np.degrees(np.arctan2(p[0, torso[0], 0], p[0, torso[0], 2] - 1)) for p in (poses, made)]
    assert 0 < tilts[1] < 0.1 * tilts[0]
    np.testing.assert_allclose(*(np.linalg.norm(p[:, torso[1]] - p[:, torso[0]], axis=-1) for p in (poses, made)))
    np.testing.assert_allclose(redraw.straightened(poses, 1.0), poses, atol=1e-12)


def test_where_the_hip_is_in_the_image_only_rolls_the_turned_input(parts, settings):
    """It rolls the input only a little, because `turned` keeps the camera's level."""
    settings.update(focal_error=0.0, roll_degrees=0.0, bones=0.0, recombined=0.0, exchanged=0.0, stature_m=(1.7, 1.7))
    one = parts[0]
    inputs = []
    for degrees in (0.0, 20.0):
        settings.off_axis_degrees = degrees
        (drawn,) = redraw.redrawn([dataclasses.replace(one)], settings, NONE, fps=50.0, epoch=0)
        inputs.append(normalize("turned", drawn.inputs_2d, drawn.poses_3d, drawn.camera)[0])
    np.testing.assert_allclose(inputs[0][:, 0], inputs[1][:, 0], atol=1e-5)  # the size
    first, second = (points[:, 1:] @ [1, 1j] for points in inputs)
    np.testing.assert_allclose(np.abs(first), np.abs(second), atol=1e-4)
    assert np.abs(np.angle((first * second.conj()).sum(1), deg=True)).max() < 10
