import os
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.errors import UserError
from srnet_jax.pose import rarity
from srnet_jax.pose.rarity import commonness, occurrence_on_grid, rarest

PARITY = Path(os.environ.get("PARITY", Path(__file__).parent.parent / "data" / "parity"))


def test_occurrence_agrees_with_the_double_sum(rng):
    poses, reference = rng.normal(0, 0.2, (150, 17, 3)), rng.normal(0, 0.2, (70, 17, 3))
    sigmas = tuple(rng.uniform(0.05, 0.3, 17))
    squared = np.square(poses[:, None] - reference).sum(-1)  # [N, M, J]
    for sigma in (0.15, sigmas):
        expected = np.exp(-squared / (2 * np.square(sigma))).mean((1, 2))
        found = commonness(poses.astype(np.float32), reference.astype(np.float32), sigma_m=sigma)
        np.testing.assert_allclose(found.values, expected, rtol=1e-5)


def test_blocks_do_not_change_the_sums(rng, monkeypatch):
    poses, reference = rng.normal(0, 0.2, (37, 17, 3)), rng.normal(0, 0.2, (53, 17, 3))
    whole = commonness(poses, reference, sigma_m=0.1)
    monkeypatch.setattr(rarity, "_POSES", 10)
    monkeypatch.setattr(rarity, "_REFERENCES", 20)
    np.testing.assert_allclose(commonness(poses, reference, sigma_m=0.1).values, whole.values, rtol=1e-6)
    assert whole.how == "exact sums over 53 poses"


def chains(rng, count):
    """Poses with bones of constant length: the joints are on thin shells, the hardest case for a grid."""
    bones = rng.normal(size=(count, 17, 3)) + rng.normal(0, 2, (1, 17, 3))
    bones = np.float32([0, *[0.25] * 16])[:, None] * bones / np.linalg.norm(bones, axis=-1, keepdims=True)
    return np.stack([bones[:, :3].cumsum(1), *[bones[:, 3 * i : 3 * i + 3].cumsum(1) for i in range(1, 5)]], 1).reshape(
        count, 15, 3
    )


@pytest.mark.parametrize(
    ("sigma", "references"),
    [(0.04, 1), (0.04, 2000), (0.1, 3), (0.3, 2000), (np.linspace(0.05, 0.3, 15), 1), (np.linspace(0.05, 0.3, 15), 2000)],
    ids=lambda value: str(np.max(value)),
)
def test_grid_agrees_with_the_sums(rng, sigma, references):
    """With few references, the far tails of the Gaussians matter, which are small compared with sums over many."""
    poses, reference = chains(rng, 400), chains(rng, references)
    sigmas = np.broadcast_to(np.asarray(sigma), 15)
    expected = commonness(poses, reference, sigma_m=sigma, method="exact").values
    found = occurrence_on_grid(poses, reference, sigmas)
    np.testing.assert_allclose(found, expected, rtol=2e-3 if references < 10 else 5e-4, atol=1e-4 * expected.max())


def test_grid_is_the_default_above_a_size(rng, monkeypatch):
    poses = chains(rng, 300)
    exact = commonness(poses, poses, sigma_m=0.1)
    monkeypatch.setattr(rarity, "_EXACT_PAIRS", 0)
    found = commonness(poses, poses, sigma_m=0.1)
    assert "largest error against the exact sums of 200 poses 0.0" in found.how
    np.testing.assert_allclose(found.values, exact.values, rtol=1e-3)
    assert "exact" in commonness(poses[:50], poses, sigma_m=0.1, ranking="exponential").how
    monkeypatch.setattr(rarity, "_MAX_CELLS", 1000)
    assert commonness(poses[:50], poses, sigma_m=0.1).how.startswith("exact")
    with pytest.raises(UserError, match="no grid for the ranking 'occurrence' with sigma 100 mm: it is too fine"):
        commonness(poses, poses, sigma_m=0.1, method="grid")


def test_poses_beyond_the_reference_are_rare(rng):
    near, far = chains(rng, 50), chains(rng, 50) + 5
    found = occurrence_on_grid(np.concatenate([near, far]), near, np.full(15, 0.3))
    assert found[:50].min() > 0.01
    np.testing.assert_allclose(found[50:], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "reference", "sigma", "ranking"),
    [
        ("paper_OCC_vs_train_sigma0.1", "train", 0.1, "occurrence"),
        ("paper_OCC_vs_train_sigma0.2", "train", 0.2, "occurrence"),
        ("paper_OCC_vs_train_sigma0.5", "train", 0.5, "occurrence"),
        ("paper_OCC_vs_test_sigma0.2", "test", 0.2, "occurrence"),
        ("code_similarity_sigma0.2", "train", 0.2, "exponential"),
        ("code_similarity_sigma0.5", "train", 0.5, "exponential"),
        ("code_unfrequent_mean_distance", "train", 0.2, "mean_distance"),
    ],
)
def test_numbers_of_the_official_code(name, reference, sigma, ranking):
    """Agreement with the official code's numbers (tests/data/parity/README.md); `paper_*` are Eq. 10 in float64."""
    with np.load(PARITY / "rare.npz") as file:
        found = commonness(file["test"], file[reference], sigma_m=sigma, ranking=ranking).values
        expected = file[name].ravel() * (-1 if ranking == "mean_distance" else 1)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
        if name == "code_similarity_sigma0.2":
            np.testing.assert_array_equal(rarest(found, 20), file["code_rank20_sigma0.2"])


def test_a_pose_against_itself_occurs_always(rng):
    pose = rng.normal(size=(1, 17, 3)).astype(np.float32)
    np.testing.assert_allclose(commonness(pose, pose, sigma_m=0.1).values, [1], rtol=1e-4)


def test_rarest_come_first():
    np.testing.assert_array_equal(rarest(np.array([0.4, 0.1, 0.3, 0.2, 0.5]), 40), [1, 3])
    assert len(rarest(np.ones(3), 1)) == 1
