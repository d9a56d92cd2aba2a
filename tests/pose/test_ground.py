"""The vertical and the floor of simulated walks, and the axes of the world."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose import ground as grounds
from srnet_jax.pose.ground import ground
from srnet_jax.pose.root_path import root_path
from tests.pose.walks import CENTER, FOCAL, walk


def degrees(a, b):
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))


@pytest.mark.parametrize("pitch", [-5.0, 0.0, 15.0, 25.0])
def test_a_walk_tells_up_and_the_floor(pitch):
    one = walk(pitch_deg=pitch, heading_deg=60)
    found = ground(one.camera_frame, one.times)
    assert degrees(found.up, one.up) < 2.5
    assert found.height == pytest.approx(1.6, abs=0.15)
    assert 0.5 < found.error_deg < 6
    assert found.stands > 4


def test_the_path_of_noisy_keypoints_tells_up(rng):
    one = walk(pitch_deg=15, heading_deg=60)
    pixels = one.pixels + rng.normal(0, 5, one.pixels.shape)
    path = root_path(one.relative, pixels, np.ones((120, 17)), FOCAL, CENTER, one.times)
    found = ground(one.relative + path[:, None], one.times)
    assert degrees(found.up, one.up) < 3


def test_up_is_less_certain_where_a_person_stays():
    walks = ground(walk(heading_deg=60).camera_frame, walk().times)
    stays = walk(speed=0.0, pitch_deg=15)
    found = ground(stays.camera_frame, stays.times)
    assert found.error_deg > walks.error_deg + 1
    assert degrees(found.up, stays.up) < 2 * found.error_deg
    lying = stays.camera_frame.copy()
    lying[..., [0, 1]] = lying[..., [1, 0]]  # lying across the image
    assert ground(lying, stays.times).error_deg > found.error_deg


def test_given_up_leaves_the_height():
    one = walk(pitch_deg=30)
    found = ground(one.camera_frame, one.times, up=3 * one.up)
    np.testing.assert_allclose(found.up, one.up, atol=1e-12)
    assert found.error_deg == 0
    assert found.height == pytest.approx(1.6, abs=0.01)  # the ankles are 8.2 cm above the floor, 0.1 legs of 0.82 m


def test_feet_that_stand_are_found():
    one = walk()
    stands = grounds.standing(one.camera_frame, one.times, one.up)
    assert (stands == one.stands).mean() > 0.9


def test_a_foot_on_a_chair_does_not_raise_the_floor():
    one = walk(speed=0.0)
    world = one.world.copy()
    world[:, 3] = world[:1, 3] + [0, 0, 0.45]
    seen = (world - one.camera.translation) @ one.camera.rotation
    assert ground(seen, one.times, up=one.up).height == pytest.approx(1.6, abs=0.06)


def test_frames_without_a_person_do_not_count():
    one = walk(heading_deg=60)
    joints = one.camera_frame.copy()
    joints[30:50] = np.nan
    found = ground(joints, one.times)
    assert degrees(found.up, one.up) < 2.5
    nobody = ground(joints * np.nan, one.times)
    assert np.isnan(nobody.height)
    assert nobody.stands == 0


def test_feet_that_nobody_saw_do_not_stand():
    one = walk(heading_deg=60)
    seen = np.ones((len(one.times), 17), bool)
    seen[:, grounds.FEET] = False
    found = ground(one.camera_frame, one.times, seen=seen)
    assert found.stands == 0
    assert np.isnan(found.height)
    seen[:60, grounds.FEET] = True
    half = ground(one.camera_frame, one.times, seen=seen)
    assert 0 < half.stands < ground(one.camera_frame, one.times).stands
    assert half.height == pytest.approx(1.6, abs=0.2)


def test_a_stand_ends_where_the_person_is_not_seen_for_long():
    stays = walk(speed=0.0)
    joints, times = stays.camera_frame[:4], np.array([0.0, 1 / 30, 60, 60 + 1 / 30])
    assert ground(joints, times).stands == 0  # two stands of two frames, each too short


def test_a_single_frame_has_its_floor_under_the_lower_foot():
    one = walk()
    found = ground(one.camera_frame[:1], one.times[:1], up=one.up)
    assert found.stands == 0
    assert found.height == pytest.approx(1.6, abs=0.02)


def test_axes_are_right_away_and_up_of_the_world():
    one = walk(pitch_deg=15, heading_deg=20)
    moved = one.camera_frame @ grounds.axes(one.up).T
    expected = one.world - one.world[0, 0]  # the camera looks along y
    np.testing.assert_allclose(moved - moved[0, 0], expected, atol=1e-9)


@pytest.mark.parametrize("turn", [[0.0, 0, 0], [0.4, 0, 0.2], [np.pi / 2, 0, 0], [-np.pi / 2, 0, 0], [1.0, 1.0, 1.0]])
def test_axes_are_level_at_any_tilt(turn):
    up = Rotation.from_rotvec(turn).apply([0.0, -1.0, 0.0])
    axes = grounds.axes(up)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    np.testing.assert_allclose(axes[2], up)
    assert axes[1, 2] >= 0 or abs(up[2]) > 0.99


def test_what_does_not_fit_is_one_line():
    one = walk()
    with pytest.raises(UserError, match=r"up: found .*, expected three numbers that are a direction"):
        ground(one.camera_frame, one.times, up=np.zeros(3))
    with pytest.raises(DataError, match=r"found joints of shape \(120, 16, 3\)"):
        ground(one.camera_frame[:, 1:], one.times)
    with pytest.raises(DataError, match="times: found"):
        ground(one.camera_frame, one.times[::-1])
