import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.pose import cameras
from srnet_jax.pose.cameras import Camera


@pytest.fixture
def camera():
    x, y, z, w = Rotation.from_euler("xyz", [100, 20, -50], degrees=True).as_quat()
    return Camera(
        "c", (w, x, y, z), (1.8, 4.9, 1.5), (1145.0, 1143.0), (512.0, 515.0), 1000, 1002, (-0.2, 0.24, -0.01), (1e-3, -2e-3)
    )


def test_orientation_is_w_x_y_z_and_turns_camera_axes_into_the_worlds(camera):
    w, x, y, z = camera.orientation
    axis = 2 * np.array([x * z + w * y, y * z - w * x, w * w + z * z - 0.5])  # direction of the camera's z axis
    ahead = cameras.camera_to_world(np.array([[0.0, 0.0, 3.0]]), camera)
    np.testing.assert_allclose(ahead[0] - camera.translation, 3 * axis, atol=1e-12)


def test_orientations_are_scipys_to_the_bit(rng):
    for _ in range(500):
        quaternion = tuple(rng.normal(size=4).tolist())
        rotation = Rotation.from_quat(quaternion, scalar_first=True)
        camera = Camera("c", quaternion, (0, 0, 0), (1.0, 1.0), (0.0, 0.0), 1, 1)
        np.testing.assert_array_equal(camera.rotation, rotation.as_matrix())
        position, target = rng.normal(size=3), rng.normal(size=3)
        orientation = cameras.look_at(tuple(position), tuple(target))
        axes = Rotation.from_quat(orientation, scalar_first=True).as_matrix()
        assert orientation == tuple(Rotation.from_matrix(_looking(position, target)).as_quat(canonical=True, scalar_first=True))
        np.testing.assert_allclose(axes[:, 2], (target - position) / np.linalg.norm(target - position), atol=1e-12)


def _looking(position, target):
    forward = target - position
    forward /= np.linalg.norm(forward)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def test_world_to_camera_and_back(camera, rng):
    points = rng.normal(size=(5, 17, 3))
    np.testing.assert_allclose(cameras.camera_to_world(cameras.world_to_camera(points, camera), camera), points, atol=1e-12)


def test_projection_without_distortion_is_a_pinhole(rng):
    points = rng.uniform(-1, 1, (7, 3)) + [0, 0, 5]
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100.0, 1200.0), (500.0, 510.0), 1000, 1000)
    expected = points[:, :2] / points[:, 2:] * [1100, 1200] + [500, 510]
    np.testing.assert_allclose(cameras.project(points, camera), expected, atol=1e-9)


def test_distortion_point_by_point(camera, rng):
    points = rng.uniform(-1, 1, (7, 3)) + [0, 0, 4]
    for (x, y, z), found in zip(points, cameras.project(points, camera), strict=True):
        a, b = x / z, y / z
        r2 = a * a + b * b
        k1, k2, k3 = camera.radial
        p1, p2 = camera.tangential
        factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * a + p2 * b
        expected = [1145 * (a * factor + p1 * r2) + 512, 1143 * (b * factor + p2 * r2) + 515]
        np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("margin", [0.0, 0.1])
def test_a_camera_moves_until_it_sees_all_points_and_no_farther(rng, margin):
    (camera,) = cameras.virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1000.0, width_px=800, height_px=600)
    for extent in (0.2, 2.0, 20.0):
        points = rng.uniform(-1, 1, (50, 3)) * [extent, extent, 1] + [0.3, -0.2, 1.0]
        placed, back = cameras.moved_until_visible(points, camera, margin=margin, nearest_m=1.0)
        assert placed.orientation == camera.orientation
        moved = np.subtract(placed.translation, camera.translation)
        np.testing.assert_allclose(moved @ camera.rotation[:, 1:], [0, -back], atol=1e-9)  # moved only sideways and back
        seen = cameras.world_to_camera(points, placed)
        share = cameras.project(seen, placed) / [800, 600]
        assert share.min() > margin - 1e-9
        assert share.max() < 1 - margin + 1e-9
        assert seen[:, 2].min() > 1 - 1e-9
        assert not cameras.out_of_view(points[None], placed, beyond=-margin + 1e-9, nearest_m=1.0 - 1e-9).any()
        touches = (np.abs([share.min(0) - margin, share.max(0) - 1 + margin]) < 1e-9).any()
        assert touches if back else extent == 0.2


def test_what_a_camera_misses():
    (camera,) = cameras.virtual_cameras(number=1, distance_m=5, height_m=1.5, focal_px=1000.0, width_px=800, height_px=600)
    pixels = np.array([[400, 300], [-30, 300], [-50, 300], [400, 625], [400, 635], [30, 300]], float)
    rays = np.column_stack([(pixels - [400, 300]) / 1000, np.ones(len(pixels))])
    points = cameras.camera_to_world(4 * rays, camera)[:, None]  # [T, 1, 3]
    beyond = cameras.out_of_view(points, camera, beyond=0.05, nearest_m=1.0)
    assert beyond.tolist() == [False, False, True, False, True, False]
    inside = cameras.out_of_view(points, camera, beyond=-0.05, nearest_m=1.0)
    assert inside.tolist() == [False, True, True, True, True, True]
    depths = np.array([[[0, 0, z]] for z in (-1.0, 0.0, 0.5, 1.5)])
    points = cameras.camera_to_world(depths, camera)
    assert cameras.out_of_view(points, camera, beyond=0, nearest_m=1.0).tolist() == [1, 1, 1, 0]


def test_virtual_cameras_are_level_and_look_at_the_middle():
    target = np.array([[0.0, 0.0, 0.9]])
    for camera in cameras.virtual_cameras(number=5, distance_m=5, height_m=1.5, focal_px=1000.0, width_px=800, height_px=600):
        in_camera = cameras.world_to_camera(target, camera)
        assert 4.4 < in_camera[0, 2] < 5.7
        np.testing.assert_allclose(cameras.project(in_camera, camera), [[400, 300]], atol=1e-9)
        above = cameras.project(cameras.world_to_camera(target + [0, 0, 0.1], camera), camera)
        np.testing.assert_allclose(above[0, 0], 400, atol=1e-9)
        assert above[0, 1] < 300  # up in the world is up in the image
