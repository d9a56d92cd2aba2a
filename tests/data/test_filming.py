import numpy as np
import pytest

from srnet_jax.data import filming, redraw
from srnet_jax.data.dataset import film
from srnet_jax.pose.cameras import camera_to_world, virtual_cameras
from tests.data.test_mocap import POSE

FOUR = virtual_cameras(number=4, distance_m=5.2, height_m=1.55, focal_px=1145.0, width_px=1000, height_px=1000)
MARGIN = 50


def run(metres, frames=300):
    """Return a person who glides along a straight line around the origin: [T, 17, 3], world frame, metres."""
    poses = np.tile(POSE, (frames, 1, 1))
    poses[..., 0] += np.linspace(0, 0.6 * metres, frames)[:, None]
    poses[..., 1] -= np.linspace(0, 0.8 * metres, frames)[:, None]
    return filming.centred(poses)


def filmed(*motions):
    return filming.film_all([filming.Motion("a", "run", str(i), poses) for i, poses in enumerate(motions)], FOUR)


def test_who_stays_in_the_image_is_filmed_as_ever():
    walk = run(1.5)
    sequences, views = filmed(walk)
    assert views == "virtual cameras: all 1 motions stay in the image"
    for one, expected in zip(sequences, film(walk, FOUR, subject="a", action="run", trial="0"), strict=True):
        assert one.camera == expected.camera
        np.testing.assert_array_equal(one.inputs_2d, expected.inputs_2d)
        np.testing.assert_array_equal(one.poses_3d, expected.poses_3d)


@pytest.mark.parametrize(("metres", "pieces"), [(7.0, 1), (60.0, None)])
def test_who_goes_far_stays_in_the_image(metres, pieces):
    poses = run(metres)
    bare = np.stack([one.inputs_2d for one in film(poses, FOUR, subject="a", action="run", trial="0")])
    assert ((bare < 0) | (bare > 1000)).any((2, 3)).mean() > 0.1
    sequences, _ = filmed(poses)
    assert sum(one.num_frames for one in sequences) == 4 * len(poses)  # no frame is lost
    assert len(sequences) == 4 * pieces if pieces else len(sequences) > 4
    found = {camera.name: [] for camera in FOUR}
    for one in sequences:
        assert one.poses_3d[..., 2].min() > 1
        moved = one.camera.translation != next(c for c in FOUR if c.name == one.camera.name).translation
        free = MARGIN if moved else -MARGIN
        assert one.inputs_2d.min() > free - 0.1
        assert one.inputs_2d.max() < 1000 - free + 0.1
        assert one.num_frames >= 64
        found[one.camera.name].append(camera_to_world(one.poses_3d, one.camera))
    for parts in found.values():  # the poses are the same, wherever the camera is
        around = np.concatenate(parts) - np.concatenate(parts)[:, :1]
        np.testing.assert_allclose(around, poses - poses[:, :1], atol=1e-5)


def test_the_share_that_cameras_would_miss_is_said():
    near, far = run(1.0), run(7.0)
    missed = sum(
        ((one.inputs_2d < -MARGIN) | (one.inputs_2d > 1000 + MARGIN)).any((1, 2)).sum()
        for one in film(far, FOUR, subject="a", action="run", trial="0")
    )
    sequences, views = filmed(near, far)
    share = missed / sum(one.num_frames for one in sequences)
    assert f"{100 * share:.1f} % of the frames would be outside" in views
    assert "moved for 1 of 2 motions" in views
    assert "0 were cut" in views
    assert "1 were cut" in filmed(run(60.0))[1]


def test_cameras_that_are_drawn_anew_see_who_walks_past(tiny_config):
    (sequence,) = film(run(30.0, 256), FOUR[:1], subject="a", action="run", trial="0")
    for epoch in range(20):
        (one,) = redraw.redrawn([sequence], tiny_config.redraw, redraw.detections.Errors(), fps=30.0, epoch=epoch)
        aside = np.linalg.norm(one.poses_3d[..., :2], axis=-1) / one.poses_3d[..., 2]
        assert 0 < aside.max() <= 1 + 1e-5
        assert one.poses_3d[..., 2].min() > 0
