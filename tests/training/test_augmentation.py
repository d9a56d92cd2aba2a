import jax
import numpy as np
import pytest

from srnet_jax.errors import ConfigError
from srnet_jax.models.layers import FULL_BATCH
from srnet_jax.pose import cameras
from srnet_jax.pose.normalization import View, mirror, mirror_view, normalize, principal_point
from srnet_jax.training.augmentation import roll_camera
from srnet_jax.training.loop import train_and_evaluate


def make_batch(rng, name):
    """Return a batch of 64 poses, seen by a camera whose principal point is not the middle of the image."""
    camera = cameras.Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100, 1100), (530, 380), 1000, 800)
    poses = (rng.normal(0, 0.5, (64, 17, 3)) + [0.3, -0.2, 5]).astype(np.float32)
    inputs, targets = normalize(name, cameras.project(poses, camera), poses, camera)
    return (
        {"inputs_2d": inputs[:, None], "targets": targets[:, None], "views": View.of(poses, camera).map(lambda x: x[:, None])},
        poses,
        camera,
    )


def test_rolled_samples_are_what_a_rolled_camera_sees(rng):
    """Rotate the scene instead, in float64, by the angle found in the targets, and project it."""
    for name in ("basic", "centered"):
        batch, poses, camera = make_batch(rng, name)
        rolled = jax.jit(lambda batch: roll_camera(batch, jax.random.key(0), 0.5, 90.0, name, FULL_BATCH))(batch)
        before, after = (np.asarray(b["targets"], np.float64)[:, 0, 1] for b in (batch, rolled))
        angles = np.angle((after[:, 0] + 1j * after[:, 1]) / (before[:, 0] + 1j * before[:, 1]))
        assert 0.3 < np.mean(np.abs(angles) > 1e-6) < 0.7
        assert 1.2 < np.abs(angles).max() <= np.pi / 2 + 1e-6
        cos, sin, zero = np.cos(angles), np.sin(angles), np.zeros(64)
        rotation = np.stack([cos, -sin, zero, sin, cos, zero, zero, zero, zero + 1], -1).reshape(64, 3, 3)
        turned = np.einsum("bij,bkj->bki", rotation, poses.astype(np.float64)).astype(np.float32)
        inputs, targets = normalize(name, cameras.project(turned, camera), turned, camera)
        np.testing.assert_allclose(rolled["inputs_2d"][:, 0], inputs, atol=2e-5)
        np.testing.assert_allclose(rolled["targets"][:, 0], targets, atol=2e-5)


def test_the_size_of_a_person_stays_when_turned_samples_are_rolled(rng):
    """In that normalisation the root's entry is the apparent size of the person."""
    batch, *_ = make_batch(rng, "turned")
    rolled = roll_camera(batch, jax.random.key(0), 1.0, 90.0, "turned", FULL_BATCH)
    np.testing.assert_array_equal(rolled["inputs_2d"][..., 0, :], batch["inputs_2d"][..., 0, :])
    assert np.abs(rolled["inputs_2d"] - batch["inputs_2d"]).max() > 0.1


def test_the_principal_point_is_mirrored_with_the_image(rng):
    """The image of a point on the axis; in the mirror image it is on the other side."""
    *_, camera = make_batch(rng, "basic")
    axis = np.broadcast_to(np.float32([0, 0, 3]), (1, 17, 3)).copy()
    seen, _ = normalize("basic", cameras.project(axis, camera), axis, camera)
    seen_from = View.of(axis, camera)
    np.testing.assert_allclose(principal_point("basic", seen_from)[0, 0], seen[0, 0], atol=1e-6)
    mirrored = principal_point("basic", mirror_view("basic", seen_from))
    np.testing.assert_allclose(mirrored[0, 0], mirror(seen, range(17))[0, 0], atol=1e-6)


@pytest.mark.slow
def test_rolled_training_differs_and_repeats_itself(tiny_config, tmp_path):
    tiny_config.train.epochs = 1
    states = []
    for share in (0.0, 0.5, 0.5):
        tiny_config.train.camera_roll_share = share
        states.append(train_and_evaluate(tiny_config, tmp_path / str(len(states))))
    for plain, one, same in zip(*(jax.tree.leaves(state.params) for state in states), strict=True):
        np.testing.assert_array_equal(one, same)
        assert np.abs(one - plain).max() > 0


def test_rolling_needs_coordinates_of_the_image(tiny_config, tmp_path):
    tiny_config.train.camera_roll_share, tiny_config.model.normalization = 0.5, "pixel"
    with pytest.raises(
        ConfigError, match=r"camera_roll_share: not allowed with model.normalization 'pixel', expected one of basic"
    ):
        train_and_evaluate(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
