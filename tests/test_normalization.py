import numpy as np

from srnet_jax import cameras
from srnet_jax.cameras import Camera
from srnet_jax.normalization import image_coordinates, mirror, normalize_screen_coordinates, root_relative
from srnet_jax.skeleton import H36M_17


def test_screen_coordinates_of_the_corners():
    corners = np.array([[0.0, 0.0], [1000.0, 500.0]])
    np.testing.assert_allclose(normalize_screen_coordinates(corners, width=1000, height=500), [[-1, -0.5], [1, 0.5]])


def test_image_coordinates_invert(rng):
    points = rng.uniform(0, 1000, (4, 17, 2))
    normalised = normalize_screen_coordinates(points, width=1000, height=1002)
    np.testing.assert_allclose(image_coordinates(normalised, width=1000, height=1002), points)


def test_root_relative_keeps_bones(rng):
    poses = rng.normal(size=(3, 17, 3))
    relative = root_relative(poses)
    assert not relative[:, 0].any()
    np.testing.assert_allclose(relative[:, 5] - relative[:, 2], poses[:, 5] - poses[:, 2])


def test_mirror_twice_is_the_identity_and_commutes_with_projection(rng):
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100.0, 1100.0), (500.0, 500.0), 1000, 1000)
    poses = rng.normal(size=(6, 17, 3)) + [0, 0, 6]

    def screen(points):
        return normalize_screen_coordinates(cameras.project(points, camera), width=1000, height=1000)

    mirrored = mirror(poses, H36M_17.mirrored)
    np.testing.assert_array_equal(mirror(mirrored, H36M_17.mirrored), poses)
    np.testing.assert_allclose(screen(mirrored), mirror(screen(poses), H36M_17.mirrored), atol=1e-12)
