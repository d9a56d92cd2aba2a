import os
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.rarity import commonness, rarest

PARITY = Path(os.environ.get("PARITY", Path(__file__).parent / "data" / "parity"))


def test_occurrence_agrees_with_the_double_sum(rng):
    poses, reference = rng.normal(0, 0.2, (150, 17, 3)), rng.normal(0, 0.2, (70, 17, 3))
    sigmas = tuple(rng.uniform(0.05, 0.3, 17))
    squared = np.square(poses[:, None] - reference).sum(-1)  # [N, M, J]
    for sigma in (0.15, sigmas):
        expected = np.exp(-squared / (2 * np.square(sigma))).mean((1, 2))
        found = commonness(poses.astype(np.float32), reference.astype(np.float32), sigma_m=sigma)
        np.testing.assert_allclose(found, expected, rtol=1e-4)


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
    """See tests/data/parity/README.md; `paper_*` are Eq. 10 in float64."""
    with np.load(PARITY / "rare.npz") as file:
        found = commonness(file["test"], file[reference], sigma_m=sigma, ranking=ranking)
        expected = file[name].ravel() * (-1 if ranking == "mean_distance" else 1)
        np.testing.assert_allclose(found, expected, rtol=2e-5)
        if name == "code_similarity_sigma0.2":
            np.testing.assert_array_equal(rarest(found, 20), file["code_rank20_sigma0.2"])


def test_a_pose_against_itself_occurs_always(rng):
    pose = rng.normal(size=(1, 17, 3)).astype(np.float32)
    np.testing.assert_allclose(commonness(pose, pose, sigma_m=0.1), [1], rtol=1e-4)


def test_rarest_come_first():
    np.testing.assert_array_equal(rarest(np.array([0.4, 0.1, 0.3, 0.2, 0.5]), 40), [1, 3])
    assert len(rarest(np.ones(3), 1)) == 1
