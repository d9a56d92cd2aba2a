import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.metrics import METRICS, auc, errors, mean_velocity_error, mpjpe, n_mpjpe, p_mpjpe, pck


def numpy_p_mpjpe(predicted, target):
    """Procrustes in float64, pose by pose (the official code)."""
    result = []
    for y, x in zip(predicted.astype(np.float64), target.astype(np.float64), strict=True):
        mu_x, mu_y = x.mean(0), y.mean(0)
        x0, y0 = x - mu_x, y - mu_y
        norm_x, norm_y = np.linalg.norm(x0), np.linalg.norm(y0)
        u, s, vt = np.linalg.svd((x0 / norm_x).T @ (y0 / norm_y))
        v = vt.T
        if np.linalg.det(v @ u.T) < 0:
            v[:, -1] *= -1
            s[-1] *= -1
        aligned = s.sum() * norm_x / norm_y * y0 @ (v @ u.T) + mu_x
        result.append(np.linalg.norm(aligned - x, axis=-1).mean())
    return np.array(result)


@pytest.fixture
def poses(rng):
    target = rng.normal(0, 0.3, (50, 17, 3)).astype(np.float32)
    return target + rng.normal(0, 0.05, target.shape).astype(np.float32), target


@pytest.mark.parametrize("case", ["near", "far", "mirror", "similarity"])
def test_numbers_of_the_official_code(case):
    """See tests/data/parity/README.md; float32 rounding, the aligned errors against its float64 run."""
    with np.load(Path(os.environ.get("PARITY", Path(__file__).parent / "data" / "parity")) / "metrics.npz") as file:
        expected = {name.removeprefix(f"{case}/"): value for name, value in file.items() if name.startswith(f"{case}/")}
    predicted, target = expected["pred"][0], expected["target"][0]
    found = {
        "mpjpe": mpjpe(predicted, target),
        "n_mpjpe": n_mpjpe(predicted, target),
        "p_mpjpe_f64": p_mpjpe(predicted, target),
        "velocity": mean_velocity_error(predicted, target),
        "pck_150": pck(predicted, target, 0.15),
        "pck_50": pck(predicted, target, 0.05),
        "auc": auc(predicted, target, 0.15),
    }
    for name, values in found.items():
        np.testing.assert_allclose(np.asarray(values, np.float64).mean(), expected[name], rtol=2e-6, atol=5e-7, err_msg=name)


def test_mpjpe_of_a_known_offset():
    target = jnp.zeros((2, 17, 3))
    predicted = target.at[1, 3].set(jnp.array([3.0, 0.0, 4.0]))
    np.testing.assert_allclose(mpjpe(predicted, target), [0, 5 / 17], rtol=1e-6)


def test_gradient_at_a_perfect_pose_is_zero():
    pose = jnp.ones((17, 3))
    assert not np.asarray(jax.grad(lambda p: mpjpe(p, pose))(pose)).any()


def test_p_mpjpe_agrees_with_numpy(poses):
    predicted, target = poses
    np.testing.assert_allclose(p_mpjpe(predicted, target), numpy_p_mpjpe(predicted, target), atol=1e-6)
    mirrored = predicted * np.float32([-1, 1, 1])  # forces the branch without reflection
    np.testing.assert_allclose(p_mpjpe(mirrored, target), numpy_p_mpjpe(mirrored, target), atol=1e-6)


def test_p_mpjpe_ignores_similarities_but_not_reflections(poses):
    _, target = poses
    rotation = Rotation.from_euler("xyz", [10, 200, 70], degrees=True).as_matrix().astype(np.float32)
    moved = 1.7 * target @ rotation + np.float32([1, -2, 3])
    assert np.max(p_mpjpe(moved, target)) < 1e-5
    assert np.min(p_mpjpe(target * np.float32([-1, 1, 1]), target)) > 0.05


def test_n_mpjpe_finds_the_best_scale(poses):
    predicted, target = poses
    assert np.max(n_mpjpe(0.4 * target, target)) < 1e-6
    scale = np.sum(predicted * target, (1, 2)) / np.sum(predicted**2, (1, 2))
    np.testing.assert_allclose(n_mpjpe(predicted, target), mpjpe(scale[:, None, None] * predicted, target), rtol=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_any_leading_axes(name, poses):
    predicted, target = (x.reshape(5, 10, 17, 3) for x in poses)
    found = METRICS[name](predicted, target)
    assert found.shape == (5, 10)
    np.testing.assert_allclose(found.ravel(), errors(name, *poses), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", METRICS)
def test_collapsed_poses_give_finite_errors(name, rng):
    target = rng.normal(size=(1, 17, 3)).astype(np.float32)
    assert np.isfinite(METRICS[name](np.zeros_like(target), target)).all()
    assert np.isfinite(METRICS[name](target, np.zeros_like(target))).all()
