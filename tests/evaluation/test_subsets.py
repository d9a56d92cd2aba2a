import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.data.sources import load_split
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.ranking import rank_test_poses
from srnet_jax.pose import rarity
from srnet_jax.pose.cameras import camera_to_world
from srnet_jax.pose.normalization import root_relative


@pytest.fixture
def poses(rng):
    return rng.normal(0, 0.4, (20, 17, 3)).astype(np.float32)


def rotation(rng):
    return Rotation.random(rng=rng).as_matrix()


def test_body_frames_are_rotations_and_turn_with_the_body(poses, rng):
    frames, turn = subsets.body_frames(poses), rotation(rng)
    np.testing.assert_allclose(frames.swapaxes(1, 2) @ frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frames), 1)
    np.testing.assert_allclose(subsets.body_frames(poses.astype(np.float64) @ turn.T), turn @ frames, atol=1e-6)
    standing = np.zeros((1, 17, 3))
    standing[:, 4, 0], standing[:, 1, 0], standing[:, 8, 1] = 0.1, -0.1, 0.5  # hips along x, thorax along y
    np.testing.assert_allclose(subsets.body_frames(standing)[0], np.eye(3), atol=1e-12)


def test_aligned_poses_do_not_depend_on_where_and_how_the_body_is_turned(poses, rng):
    moved = (poses.astype(np.float64) @ rotation(rng).T + [1, 2, 3]).astype(np.float32)
    np.testing.assert_allclose(subsets.aligned(moved), subsets.aligned(poses), atol=1e-5)
    lengths = [np.linalg.norm(p[:, 3] - p[:, 2], axis=-1) for p in (poses, subsets.aligned(poses))]
    np.testing.assert_allclose(*lengths, rtol=1e-4)


def test_bodies_without_extent_have_a_frame():
    poses = np.zeros((3, 17, 3))
    poses[1, [4, 8]] = [[0.1, 0, 0], [0.3, 0, 0]]  # torso along the hips
    poses[2, 8, 1] = 0.5  # no hips
    frames = subsets.body_frames(poses)
    np.testing.assert_allclose(frames.swapaxes(1, 2) @ frames, np.broadcast_to(np.eye(3), frames.shape), atol=1e-12)


def test_subsets_by_hand(tiny_config):
    """Compare with tilts from world coordinates, and with sums over all pairs in float64."""
    tiny_config.data.num_frames = 2000
    tiny_config.protocol.rare_reference_step = 3
    _, parts = load_split(tiny_config)
    commonness = rank_test_poses(tiny_config, parts).values
    found = subsets.find(tiny_config, parts, commonness)
    count = len(commonness)
    assert len(found["common half"]) == round(count / 2)
    assert commonness[found["common half"]].min() >= np.delete(commonness, found["common half"]).max()

    world = np.concatenate([camera_to_world(s.poses_3d.astype(np.float64), s.camera) for s in parts.test])
    torso = world[:, 8] - world[:, 0]
    tilts = np.degrees(np.arctan2(np.linalg.norm(torso[:, :2], axis=-1), torso[:, 2]))
    assert set(found["torso tilt below 15°"]) == set(np.flatnonzero(tilts < 15))
    by_tilt = [found[name] for name in found if name.startswith("torso tilt")]
    assert sum(map(len, by_tilt)) == count

    test, train = (
        subsets.aligned(np.concatenate([root_relative(s.poses_3d) for s in part])).astype(np.float64)
        for part in (parts.test, parts.train)
    )
    squared = np.square(test[:, None] - train[None, ::3]).sum(-1)
    expected = np.exp(-squared / (2 * 0.1**2)).mean((1, 2))
    rare = found["articulation: rarest 10 %"]
    assert len(rare) == round(count / 10)
    cut = np.sort(expected)[len(rare) - 1]
    assert (expected[rare] <= cut * (1 + 1e-4)).all()
    upright = found["upright, articulation: rarest 20 %"]
    assert set(upright) <= set(found["torso tilt below 15°"])
    assert len(upright) == round(len(found["torso tilt below 15°"]) / 5)

    up = np.array([0.0, 0.0, 1.0])
    verticals = [
        np.concatenate([up @ subsets.body_frames(camera_to_world(s.poses_3d.astype(np.float64), s.camera)) for s in part])
        for part in (parts.test, parts.train)
    ]
    chords = np.square(verticals[0][:, None] - verticals[1][None, ::3]).sum(-1)
    expected = np.exp(-chords / (2 * (2 * np.sin(np.radians(10))) ** 2)).mean(1)
    assert set(found["orientation: rarest 20 %"]) == set(rarity.rarest(expected, 20))


def test_cameras_in_unknown_places_have_no_vertical(tiny_config):
    import dataclasses

    _, parts = load_split(tiny_config)
    lost = [dataclasses.replace(s, camera=dataclasses.replace(s.camera, orientation=(1.0, 0.0, 0.0, 0.0))) for s in parts.test]
    commonness = rank_test_poses(tiny_config, parts).values
    found = subsets.find(tiny_config, dataclasses.replace(parts, test=tuple(lost)), commonness)
    assert list(found) == ["common half", "articulation: rarest 20 %", "articulation: rarest 10 %"]
