"""Test that filters, path, up and floor together place a lifted person where the person walked."""

import dataclasses

import numpy as np
import pytest

from srnet_jax.errors import UserError
from srnet_jax.lifting.motion import LEVEL, USUAL, MotionSettings, finished, in_one_world, settings_of
from srnet_jax.lifting.result import Result
from srnet_jax.pose.complete import Source
from srnet_jax.pose.filters import Settings, filtered
from srnet_jax.pose.normalization import USUAL_FOCAL
from tests.pose.walks import FOCAL, FPS, SIZE, walk


def lifted(one, **fields):
    """Return a result with the true poses of a walk."""
    frames = len(one.times)
    return Result(
        **{
            "name": "walker",
            "poses_3d": one.relative.astype(np.float32),
            "confidences": np.ones((frames, 17), np.float32),
            "sources": np.full((frames, 17), Source.SEEN, np.uint8),
            "keypoints_2d": one.pixels,
            "detected": np.ones(frames, bool),
            "layout": "h36m",
            "image_size": SIZE,
            "fps": FPS,
            "model": "true",
            "focal_px": FOCAL,
        }
        | fields
    )


def test_a_walk_is_where_it_was():
    one = walk(pitch_deg=15, heading_deg=60)
    found = finished(lifted(one), one.pixels, MotionSettings(filters=None))
    np.testing.assert_array_equal(found.poses_3d, one.relative.astype(np.float32))
    assert np.abs(found.root - one.camera_frame[:, 0]).max() < 0.02
    assert np.degrees(np.arccos(found.up @ one.up)) < 2.5
    assert 0 < found.up_error_deg < 6
    world = found.joints_world()
    travelled = np.linalg.norm(world[-1, 0, :2] - world[0, 0, :2])
    assert travelled == pytest.approx(np.linalg.norm(one.world[-1, 0, :2] - one.world[0, 0, :2]), rel=0.03)
    np.testing.assert_allclose(world[..., 2], one.world[..., 2], atol=0.2)  # the floor is at 0
    level = finished(lifted(one), one.pixels, MotionSettings(filters=None, up=tuple(one.up)))
    assert level.up_error_deg == 0
    np.testing.assert_allclose(level.joints_world()[..., 2], one.world[..., 2], atol=0.03)


def test_filters_are_applied_before_the_path(rng):
    one = walk(heading_deg=60)
    noise = rng.normal(0, 0.02, one.camera_frame.shape) * (np.arange(17) > 0)[:, None]
    noisy = dataclasses.replace(one, camera_frame=one.camera_frame + noise)
    result = lifted(noisy)
    found = finished(result, one.pixels, USUAL)
    np.testing.assert_array_equal(found.poses_3d, filtered(result.poses_3d, result.confidences, one.times, Settings()))
    tall = finished(result, one.pixels, MotionSettings(Settings(stature_m=1.9)))
    factor = np.linalg.norm(tall.poses_3d[:, 3]) / np.linalg.norm(found.poses_3d[:, 3])
    np.testing.assert_allclose(
        np.median(tall.root[:, 2] / found.root[:, 2]), factor, rtol=1e-3
    )  # a larger person is farther away


def test_the_usual_focal_length_is_that_of_the_lifter():
    one = walk()
    usual = finished(lifted(one, focal_px=None), one.pixels, MotionSettings(filters=None))
    told = finished(lifted(one, focal_px=USUAL_FOCAL * max(SIZE)), one.pixels, MotionSettings(filters=None))
    np.testing.assert_array_equal(usual.root, told.root)


def test_a_picture_is_placed_and_its_floor_is_not_known():
    one = walk()
    picture = dataclasses.replace(one, times=one.times[:1], camera_frame=one.camera_frame[:1], pixels=one.pixels[:1])
    found = finished(lifted(picture, fps=None), picture.pixels, USUAL)
    assert np.abs(found.root - one.camera_frame[:1, 0]).max() < 0.1
    assert found.ground is None
    assert finished(lifted(picture, fps=None), picture.pixels, MotionSettings(up=LEVEL)).ground is not None


def test_frames_without_a_pose_have_no_place():
    one = walk()
    poses = one.relative.astype(np.float32)
    poses[40:60] = np.nan
    found = finished(lifted(one, poses_3d=poses), np.where(np.isnan(poses[..., :2]), np.nan, one.pixels), USUAL)
    np.testing.assert_array_equal(np.isnan(found.root).all(1), np.isnan(poses).all((1, 2)))


def test_frames_filled_over_a_short_gap_have_a_place():
    one = walk(heading_deg=60)
    result = lifted(one)
    result.confidences[50:60] = 0
    result.sources[50:60] = Source.FILLED
    found = finished(result, one.pixels, USUAL)
    assert np.isfinite(found.root).all()
    assert np.abs(found.root - one.camera_frame[:, 0]).max() < 0.1


def test_the_floor_of_feet_that_nobody_saw_is_not_known():
    one = walk(heading_deg=60)
    result = lifted(one)
    result.sources[:, [3, 6]] = Source.FILLED
    assert finished(result, one.pixels, USUAL).ground is None
    assert finished(result, one.pixels, MotionSettings(up=LEVEL)).ground is None


def test_people_of_one_video_share_a_world():
    one, other = walk(heading_deg=60), walk(heading_deg=60, distance_m=7.0)
    results = [finished(lifted(person), person.pixels, MotionSettings(filters=None)) for person in (one, other)]
    first, second, third = in_one_world([*results, results[1]], ["a", "a", "b"])
    np.testing.assert_array_equal(first.up, second.up)
    assert first.ground == second.ground
    apart = second.joints_world()[0, 0] - first.joints_world()[0, 0]
    assert np.linalg.norm(apart) == pytest.approx(np.linalg.norm(other.camera_frame[0, 0] - one.camera_frame[0, 0]), abs=0.05)
    np.testing.assert_allclose(third.joints_world()[0, 0, :2], 0, atol=1e-9)


def test_up_that_points_down_is_said():
    one = walk()
    with pytest.warns(UserWarning, match="walker: up points from the head to the feet in most frames"):
        finished(lifted(one), one.pixels, MotionSettings(up=(0.0, 1.0, 0.0)))


def test_arguments_become_settings():
    assert settings_of(["smooth", "bones", "knees"]) == settings_of("smooth,bones,knees") == settings_of() == USUAL
    assert settings_of(["none"], up="camera").up == LEVEL
    none = Settings(smooth=False, constant_bones=False, knees=False)
    assert all(settings_of(filters).filters == none for filters in (["none"], "none", (), None))
    assert settings_of(Settings(cutoff_hz=3.0), leg_m=0.8).filters == Settings(cutoff_hz=3.0, leg_m=0.8)
    assert settings_of(up=[0.1, -1, 0]).up == (0.1, -1.0, 0.0)
    chosen = settings_of(["elbows"], stature_m=1.7, up="0.1,-1,0", lock_feet=True)
    assert chosen.filters == Settings(smooth=False, constant_bones=False, knees=False, elbows=True, stature_m=1.7)
    assert (chosen.up, chosen.lock_feet) == ((0.1, -1.0, 0.0), True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"filters": ["smoth"]}, "^filters: found smoth, expected some of smooth, bones, knees, elbows, or none$"),
        ({"filters": ["none", "smooth"]}, "^filters: found none beside others, expected it alone$"),
        ({"filters": True}, r"^filters: found True, expected some of .*, or none, or pose\.filters\.Settings$"),
        ({"filters": [], "leg_m": 80.0}, r"^leg_m: found 80\.0, expected 0\.2 to 1\.5$"),
        ({"filters": [], "leg_m": 0.8, "stature_m": 1.7}, "^stature_m, leg_m: found both, expected one of them$"),
        ({"filters": [], "up": "up"}, "^up: found up, expected estimate, camera, or a direction as 0,-1,0$"),
        ({"filters": [], "up": "0,0,0"}, "^up: found 0,0,0, expected estimate"),
        ({"filters": [], "up": "1,2"}, "^up: found 1,2, expected estimate"),
        ({"filters": [], "up": None}, "^up: found None, expected estimate"),
        ({"filters": [], "stature_m": 17.0}, r"^stature_m: found 17\.0, expected 0\.4 to 2\.8$"),
    ],
)
def test_settings_that_cannot_be_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        settings_of(**arguments)
