import numpy as np

from srnet_jax.rarity import occurrence, rarest


def test_occurrence_agrees_with_the_double_sum(rng):
    poses, reference = rng.normal(0, 0.2, (150, 17, 3)), rng.normal(0, 0.2, (70, 17, 3))
    squared = np.square(poses[:, None] - reference).sum(-1)  # [N, M, J]
    expected = np.exp(-squared / (2 * 0.15**2)).mean((1, 2))
    found = occurrence(poses.astype(np.float32), reference.astype(np.float32), sigma_m=0.15)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_pose_against_itself_occurs_always(rng):
    pose = rng.normal(size=(1, 17, 3)).astype(np.float32)
    np.testing.assert_allclose(occurrence(pose, pose, sigma_m=0.1), [1], rtol=1e-4)


def test_rarest_come_first():
    np.testing.assert_array_equal(rarest(np.array([0.4, 0.1, 0.3, 0.2, 0.5]), 40), [1, 3])
    assert len(rarest(np.ones(3), 1)) == 1
