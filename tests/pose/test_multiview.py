import dataclasses

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.pose import cameras, multiview
from srnet_jax.pose.bundle_adjustment import adjust
from srnet_jax.pose.multiview import CalibratedCamera

VIRTUAL = cameras.virtual_cameras(number=4, distance_m=4.0, height_m=1.6, focal_px=1100.0, width_px=1280, height_px=960)


def calibrated(camera):
    """Convert a camera of `pose.cameras` to a calibrated camera."""
    turn = camera.rotation.T
    size, no_distortion = (camera.width, camera.height), (0.0,) * 5
    place = -turn @ np.array(camera.translation)
    return CalibratedCamera(camera.name, size, camera.focal, camera.center, no_distortion, turn, place)


CAMERAS = tuple(calibrated(camera) for camera in VIRTUAL)


@pytest.fixture
def points(rng):
    return rng.uniform([-0.8, -0.8, 0.0], [0.8, 0.8, 1.8], (60, 3))


def pixels_of(points):
    """Compare projections with those of `pose.cameras`."""
    return np.stack([cameras.project(cameras.world_to_camera(points, camera), camera) for camera in VIRTUAL])


def rays_of(pixels):
    return np.stack([multiview.undistorted(own, camera) for own, camera in zip(pixels, CAMERAS, strict=True)])


def test_projection_is_that_of_the_other_module(points):
    for own, camera in zip(pixels_of(points), CAMERAS, strict=True):
        np.testing.assert_allclose(multiview.project(points, camera), own, atol=1e-8)
    behind = CAMERAS[0].position - 2 * CAMERAS[0].rotation[2]
    assert np.isnan(multiview.project(behind, CAMERAS[0])).all()


def test_distortion_by_hand_and_undone():
    k1, k2, p1, p2, k3 = -0.2, 0.05, 0.004, -0.003, 0.01
    camera = CalibratedCamera("a", (1280, 960), (1000.0, 900.0), (600.0, 500.0), (k1, k2, p1, p2, k3), np.eye(3), np.zeros(3))
    x, y = 0.4, -0.25
    r2 = x * x + y * y
    radial = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3
    by_hand = (
        1000 * (x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)) + 600,
        900 * (y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y) + 500,
    )
    found = multiview.project(np.array([2 * x, 2 * y, 2.0]), camera)
    np.testing.assert_allclose(found, by_hand)
    np.testing.assert_allclose(multiview.undistorted(found, camera), [x, y], atol=1e-9)
    strong = dataclasses.replace(camera, distortion=(-0.5, 0.0, 0.0, 0.0, 0.0))  # no ray reaches this pixel
    assert np.isnan(multiview.undistorted(np.array([1600.0, 500.0]), strong)).all()
    assert np.isnan(multiview.undistorted(np.array([np.nan, 500.0]), camera)).all()


def test_points_come_back_from_exact_rays_and_need_two(points):
    rays = rays_of(pixels_of(points))
    weights = np.ones(rays.shape[:2])
    np.testing.assert_allclose(multiview.triangulate(rays, weights, CAMERAS), points, atol=1e-9)
    weights[1:, 0] = 0  # one camera remains
    rays[:2, 1] = np.nan  # two cameras remain
    found = multiview.triangulate(rays, weights, CAMERAS)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], points[1:], atol=1e-9)
    twice = (CAMERAS[0], CAMERAS[0])
    assert np.isnan(multiview.triangulate(rays[[0, 0]], np.ones((2, 60)), twice)).all()  # parallel rays do not meet


def test_weights_are_those_of_least_squares_in_pixels(rng, points):
    rays = rays_of(pixels_of(points[:1]) + rng.normal(0, 3, (4, 1, 2)))
    weights = np.array([[1.0], [0.3], [0.7], [0.1]])

    def loss(point):
        return float((weights * multiview.errors_px(point[None], rays, CAMERAS) ** 2).sum())

    best = multiview.triangulate(rays, weights, CAMERAS)[0]
    steps = np.concatenate([np.eye(3), -np.eye(3)]) * 2e-3
    assert all(loss(best) < loss(best + step) for step in steps)


def test_a_wrong_camera_is_left_out_and_noise_is_not(rng, points):
    pixels = pixels_of(points) + rng.normal(0, 1, (4, 60, 2))
    wrong = rng.integers(0, 4, 60)
    wrong[40:] = -1
    rows = np.flatnonzero(wrong >= 0)
    pixels[wrong[rows], rows] += 120 * np.sign(rng.normal(size=(40, 2)))
    rays, weights = rays_of(pixels), rng.uniform(0.5, 1, (4, 60))
    found, used = multiview.triangulate_without_outliers(rays, weights, CAMERAS, 12.0)
    np.testing.assert_array_equal(used, np.arange(4)[:, None] != wrong)
    assert np.linalg.norm(found - points, axis=-1).max() < 0.02
    alone = multiview.triangulate(rays, weights, CAMERAS)
    assert np.linalg.norm(alone - points, axis=-1)[rows].max() > 0.1
    rays[:2] = np.nan
    rays[2] += 0.3  # if two cameras disagree, neither is used
    found, used = multiview.triangulate_without_outliers(rays, weights, CAMERAS, 12.0)
    assert np.isnan(found).all()
    assert not used.any()


def perturbed(rng):
    made = []
    for camera in CAMERAS:
        turn = Rotation.from_rotvec(rng.normal(0, 0.012, 3)).as_matrix()
        place = camera.position + rng.normal(0, 0.03, 3)
        made.append(dataclasses.replace(camera, rotation=turn @ camera.rotation, translation=-turn @ camera.rotation @ place))
    return made


def test_adjustment_recovers_a_perturbed_calibration_up_to_the_gauge(rng, points):
    rays, weights = rays_of(pixels_of(points)), np.ones((4, 60))
    wrong = perturbed(rng)
    first, used = multiview.triangulate_without_outliers(rays, weights, wrong, 200.0)
    assert np.mean(multiview.errors_px(first, rays, wrong)[used]) > 3
    found = adjust(wrong, first, rays, np.where(used, weights, 0), scale_px=4.0)
    after = multiview.triangulate(rays, weights, found)
    assert multiview.errors_px(after, rays, found).max() < 0.05
    for a, b in ((found[0], found[1]), (found[1], found[3])):
        true = {camera.name: camera for camera in CAMERAS}
        expected = true[a.name].rotation @ true[b.name].rotation.T
        np.testing.assert_allclose(a.rotation @ b.rotation.T, expected, atol=2e-4)
    scale = np.linalg.norm(after - after.mean(0)) / np.linalg.norm(points - points.mean(0))
    _, error = Rotation.align_vectors(scale * (points - points.mean(0)), after - after.mean(0))
    assert error < 0.01
    assert abs(scale - 1) < 0.05  # the scale is that of the cameras' distances


def test_adjustment_keeps_centre_and_distances_and_outvotes_outliers(rng, points):
    pixels = pixels_of(points)
    pixels[1, :6] += 80
    rays, weights = rays_of(pixels), np.ones((4, 60))
    wrong = perturbed(rng)
    first = multiview.triangulate(rays, weights, wrong)
    found = adjust(wrong, first, rays, weights, scale_px=4.0)
    now, before = (np.stack([camera.position for camera in some]) for some in (found, wrong))
    np.testing.assert_allclose(now.mean(0), before.mean(0), atol=1e-9)
    spread = [np.linalg.norm(some - some.mean(0), axis=1).mean() for some in (now, before)]
    assert spread[0] == pytest.approx(spread[1])
    after = multiview.triangulate(rays[:, 6:], weights[:, 6:], found)
    assert np.median(multiview.errors_px(after, rays[:, 6:], found)) < 1
    with pytest.raises(ValueError, match="no point"):
        adjust(wrong, np.full((60, 3), np.nan), rays, weights, scale_px=4.0)
