import dataclasses

import numpy as np
import pytest

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.data.detections import Errors, simulate
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.skeleton import H36M_17


@pytest.fixture
def dataset(rng):
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), (1000, 1000), (500, 500), 1000, 1000)
    frames = 4000
    pose = rng.uniform(100, 500, (17, 2))
    inputs = np.broadcast_to(pose, (frames, 17, 2)) + np.linspace(0, 100, frames)[:, None, None]
    poses = np.broadcast_to(rng.normal(0, 0.3, (17, 3)) + [0, 0, 5], (frames, 17, 3))
    sequence = Sequence("a", "walk", "1", camera, inputs.astype(np.float32), poses.astype(np.float32))
    return PoseDataset("set", H36M_17, 50.0, (sequence, dataclasses.replace(sequence, trial="2")))


def exact_and(dataset, **fields):
    return dataset.sequences[0].inputs_2d, simulate(dataset, Errors(**fields), seed=0).sequences[0].inputs_2d


def test_no_noise_changes_nothing(dataset):
    np.testing.assert_array_equal(*exact_and(dataset))


def test_noise_is_a_share_of_the_person(dataset):
    exact, found = exact_and(dataset, sigma=0.01)
    size = np.linalg.norm(np.ptp(exact[0], axis=0))
    spread = (found - exact).std((0, 2)) / size
    assert spread[H36M_17.joints.index("Hip")] == pytest.approx(0.01, rel=0.05)
    assert spread[H36M_17.joints.index("LWrist")] == pytest.approx(0.02, rel=0.05)


def test_outliers_stay_in_the_box(dataset):
    exact, found = exact_and(dataset, outliers=0.1)
    moved = np.abs(found - exact).max(-1) > 1e-3
    assert moved.mean() == pytest.approx(0.1, rel=0.1)
    assert (found >= exact.min(1, keepdims=True) - 1e-3).all()
    assert (found <= exact.max(1, keepdims=True) + 1e-3).all()


def test_swaps_exchange_whole_limbs(dataset):
    exact, found = exact_and(dataset, swaps=0.2)
    mirrored = exact[:, list(H36M_17.mirrored)]
    arms, legs = [11, 12, 13, 14, 15, 16], [1, 2, 3, 4, 5, 6]
    for limb in (arms, legs):
        swapped = (found[:, limb] == mirrored[:, limb]).all((1, 2))
        same = (found[:, limb] == exact[:, limb]).all((1, 2))
        assert (swapped ^ same).all()
        assert swapped.mean() == pytest.approx(0.2, rel=0.15)


def test_missing_joints_stay_where_they_were(dataset):
    exact, found = exact_and(dataset, missing=0.3)
    kept = (found == exact).all(-1)
    assert kept.mean() == pytest.approx(0.7, rel=0.05)
    frame, joint = np.argwhere(~kept)[100]
    earlier = exact[:frame, joint]
    assert (earlier == found[frame, joint]).all(-1).any()


def test_draws_follow_the_seed(dataset):
    first, again, other = (simulate(dataset, Errors(sigma=0.01), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.sequences[0].inputs_2d, again.sequences[0].inputs_2d)
    assert (first.sequences[0].inputs_2d != other.sequences[0].inputs_2d).any()
    assert (first.sequences[0].inputs_2d != first.sequences[1].inputs_2d).any()
    assert first.name == "set, simulated detections"


def test_drift_is_slow_and_an_offset_stays(dataset):
    exact, found = exact_and(dataset, drift=0.01)
    size = np.linalg.norm(np.ptp(exact[0], axis=0))
    errors = (found - exact)[:, 0] / size  # [T, 2], of a joint of difficulty 1
    assert errors.std() == pytest.approx(0.01, rel=0.2)
    for lag in (1, 5, 15):
        expected = np.exp(-lag / dataset.fps * 3)
        assert np.mean(errors[lag:] * errors[:-lag]) / np.mean(errors**2) == pytest.approx(expected, abs=0.15)
    exact, found = exact_and(dataset, offset=0.01)
    np.testing.assert_allclose(found - exact, np.broadcast_to((found - exact)[:1], exact.shape), atol=2e-3)
    assert (found - exact)[0].std() / size == pytest.approx(0.013, rel=0.5)


def test_hidden_joints_are_filled_as_a_detectors(dataset):
    exact, found = exact_and(dataset, hidden=0.1)
    moved = np.abs(found - exact).max(-1) > 1e-2
    assert 0.03 < moved.mean() < 0.11  # some estimates agree with the frames before and after
    assert np.isfinite(found).all()
    begins = np.diff(moved.astype(int), axis=0) > 0
    assert moved.sum() / max(begins.sum(), 1) > 10  # frames
    size = np.linalg.norm(np.ptp(exact[0], axis=0))
    assert np.abs(found - exact).max() < size
