"""The path of the hip, compared with exact projections, SciPy's general solver, and known paths."""

import time

import numpy as np
import pytest
from scipy.optimize import least_squares

from srnet_jax.errors import DataError
from srnet_jax.pose import root_path
from srnet_jax.pose.footlock import FEET, footlock
from srnet_jax.pose.root_filter import RootFilter
from tests.pose.walks import CENTER, FOCAL, walk

SURE = np.ones((120, 17))


def length(path):
    return np.linalg.norm(np.diff(path, axis=0), axis=-1).sum()


def test_exact_keypoints_give_the_path_back():
    one = walk(heading_deg=70)
    by_frame = root_path.root_by_frame(one.relative, one.pixels, SURE, FOCAL, CENTER)
    np.testing.assert_allclose(by_frame, one.path, atol=1e-6)
    np.testing.assert_allclose(root_path.with_median_bones(one.relative), one.relative, atol=1e-5)
    path = root_path.root_path(one.relative, one.pixels, SURE, FOCAL, CENTER, one.times)
    np.testing.assert_allclose(path, one.path, atol=3e-3)  # smoothing changes the logarithm


def test_a_frame_minimises_the_reprojection_error_as_scipy_does(rng):
    one = walk()
    pose, pixels = one.relative[7], one.pixels[7] + rng.normal(0, 4, (17, 2))

    def off(place):
        return (poses[:, :2] + place[:2] - rays * (poses[:, 2:] + place[2])) / depths

    poses, rays, depths = pose, (pixels - CENTER) / FOCAL, one.camera_frame[7, :, 2:]
    found, _ = root_path.solve_translations(poses, rays, 1 / np.square(depths[:, 0]))
    np.testing.assert_allclose(found, least_squares(lambda place: off(place).ravel(), one.path[7], xtol=1e-14).x, atol=1e-6)

    def reprojected(place):
        moved = pose + place
        return (moved[:, :2] / moved[:, 2:] - rays).ravel()

    np.testing.assert_allclose(found, least_squares(reprojected, one.path[7]).x, atol=0.02)


def test_wrong_joints_do_not_move_it(rng):
    one = walk()
    wrong = one.pixels + rng.normal(0, 1, one.pixels.shape)
    usual = root_path.root_by_frame(one.relative, wrong, SURE, FOCAL, CENTER)
    wrong[:, 13] += [900, -300]
    wrong[:, 3] += [-200, -400]
    moved = root_path.root_by_frame(one.relative, wrong, SURE, FOCAL, CENTER)
    assert np.linalg.norm(moved - usual, axis=-1).max() < 0.06
    none = SURE.copy()
    none[:, [3, 13]] = 0
    wrong[:, [3, 13]] = np.nan
    left_out = root_path.root_by_frame(one.relative, wrong, none, FOCAL, CENTER)
    assert np.linalg.norm(left_out - usual, axis=-1).max() < 0.06


def test_noise_is_smoothed(rng):
    one = walk(heading_deg=80)
    noisy = one.pixels + rng.normal(0, 5, one.pixels.shape)
    by_frame = root_path.root_by_frame(one.relative, noisy, SURE, FOCAL, CENTER)
    path = root_path.root_path(one.relative, noisy, SURE, FOCAL, CENTER, one.times)
    assert np.abs(path - one.path).mean() < 0.5 * np.abs(by_frame - one.path).mean()
    assert np.linalg.norm(path - one.path, axis=-1).max() < 0.2
    assert length(path) == pytest.approx(length(one.path), rel=0.05)
    assert length(by_frame) > 2 * length(one.path)


def test_gaps_and_frames_without_joints_are_nan():
    one = walk()
    poses, pixels, sure = one.relative.copy(), one.pixels.copy(), SURE.copy()
    poses[20:60] = np.nan
    pixels[100, 2:] = np.nan
    sure[101, 2:] = 0
    pixels[102] = 7.0  # all keypoints at one point
    gone = [*range(20, 60), 100, 101, 102]
    path = root_path.root_path(poses, pixels, sure, FOCAL, CENTER, one.times)
    locked = footlock(path, poses, one.times)
    for found in (path, locked):
        assert np.flatnonzero(~np.isfinite(found).all(-1)).tolist() == gone
        seen = np.setdiff1d(np.arange(120), gone)
        assert np.linalg.norm((found - one.path)[seen], axis=-1).max() < 0.03
    nothing = root_path.root_path(poses * np.nan, pixels, sure, FOCAL, CENTER, one.times)
    assert np.isnan(nothing).all()
    assert np.isnan(footlock(nothing, poses, one.times)).all()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames(frames):
    one = walk()
    path = root_path.root_path(one.relative[:frames], one.pixels[:frames], SURE[:frames], FOCAL, CENTER, one.times[:frames])
    np.testing.assert_allclose(footlock(path, one.relative[:frames], one.times[:frames]), one.path[:frames], atol=5e-3)


def test_many_frames_are_quick():
    one = walk()
    poses, pixels = (np.tile(array, (17, 1, 1))[:2000] for array in (one.relative, one.pixels))
    before = time.process_time()
    path = root_path.root_path(poses, pixels, np.ones((2000, 17)), FOCAL, CENTER, np.arange(2000) / 30)
    footlock(path, poses, np.arange(2000) / 30)
    assert time.process_time() - before < 0.6  # it takes a tenth of this if nothing else runs


def test_locked_feet_slide_less_and_the_way_stays(rng):
    one = walk(heading_deg=60)
    noisy = one.pixels + rng.normal(0, 8, one.pixels.shape)
    path = root_path.root_path(one.relative, noisy, SURE, FOCAL, CENTER, one.times)
    locked = footlock(path, one.relative, one.times)

    def slide(found):
        speeds = np.linalg.norm(np.diff((one.relative + found[:, None])[:, FEET], axis=0), axis=-1) * 30
        return speeds[one.stands[1:] & one.stands[:-1]].mean()

    assert slide(locked) < 0.7 * slide(path)
    errors = [np.linalg.norm(found - found[:1] - one.path + one.path[:1], axis=-1).mean() for found in (path, locked)]
    assert errors[1] < 1.2 * errors[0]


def test_live_is_the_path_as_frames_come(rng):
    one = walk(heading_deg=60)
    live = RootFilter(FOCAL, CENTER)
    exact = np.array([live.push(*frame) for frame in zip(one.relative, one.pixels, SURE, one.times, strict=True)])
    assert np.linalg.norm(exact - one.path, axis=-1).max() < 0.1
    live.reset()
    noisy = one.pixels + rng.normal(0, 5, one.pixels.shape)
    noisy[::10, 13] += 700
    found = np.array([live.push(*frame) for frame in zip(one.relative, noisy, SURE, one.times, strict=True)])
    by_frame = root_path.root_by_frame(one.relative, noisy, SURE, FOCAL, CENTER)
    assert np.linalg.norm(found - one.path, axis=-1).mean() < 0.1
    assert length(found[10:]) < 0.5 * length(by_frame[10:])
    assert np.isnan(live.push(one.relative[0] * np.nan, noisy[0], SURE[0], 4.1)).all()
    unseen = np.where(np.arange(17)[:, None] < 2, noisy[0], np.nan)
    assert np.isnan(live.push(one.relative[0], unseen, SURE[0], 4.2)).all()
    again = live.push(one.relative[0], one.pixels[0], SURE[0], 9.0)  # long after: counts as the first frame
    np.testing.assert_allclose(again, one.path[0], atol=1e-6)
    with pytest.raises(DataError, match="expected times that increase"):
        live.push(one.relative[0], one.pixels[0], SURE[0], 9.0)


def test_what_does_not_fit_is_one_line():
    one = walk()
    with pytest.raises(DataError, match=r"keypoints \(120, 16, 2\)"):
        root_path.root_path(one.relative, one.pixels[:, 1:], SURE, FOCAL, CENTER, one.times)
    with pytest.raises(DataError, match="expected \\(120,\\) of seconds that increase"):
        root_path.root_path(one.relative, one.pixels, SURE, FOCAL, CENTER, one.times[::-1])
    with pytest.raises(DataError, match="times: found shape"):
        footlock(one.path, one.relative, one.times[1:])


def test_short_gaps_are_bridged_where_there_is_a_pose():
    one = walk(heading_deg=40)
    path = one.path.copy()
    path[40:50] = np.nan
    path[-3:] = np.nan
    poses = one.relative.copy()
    poses[45] = np.nan
    found = root_path.with_gaps_filled(path, poses, one.times)
    assert np.isnan(found[45]).all()
    rest = np.arange(len(path)) != 45
    assert np.abs(found - one.path)[rest].max() < 0.12
    np.testing.assert_array_equal(found[:40], one.path[:40])
    np.testing.assert_allclose(found[-1], path[-4])
    nobody = np.full_like(path, np.nan)
    np.testing.assert_array_equal(root_path.with_gaps_filled(nobody, poses, one.times), nobody)
