"""Constant bones: exact lengths, less motion than the tree walk, close to SciPy's minimum; and a given size."""

import statistics

import numpy as np
import pytest
from scipy.optimize import minimize

from srnet_jax.data import synthetic
from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.bones import RunningLengths, bone_lengths, constant_bones, frame_lengths, size_factor, tree_walk
from srnet_jax.pose.skeleton import H36M_17, RATIOS


@pytest.fixture(scope="module")
def track():
    """Poses with errors of 3 cm in the joints, so that bones stretch."""
    *_, poses = next(synthetic.recordings(60 * 210, seed=0))
    poses = poses[:60].astype(float)
    poses -= poses[:, :1]
    noise = np.random.default_rng(0).normal(size=poses.shape) * 0.03
    noise[:, 0] = 0
    return poses + noise


def displacement(made, poses):
    return np.square(made - poses).sum(-1)


def test_lengths_hold_and_joints_move_less_than_along_the_tree(track):
    lengths = bone_lengths(track)
    made, walked = constant_bones(track), tree_walk(track, lengths)
    for one in (made, walked):
        np.testing.assert_allclose(frame_lengths(one, alike=False), np.broadcast_to(lengths, one.shape[:2]), atol=1e-6)
        np.testing.assert_allclose(one[:, 0], track[:, 0], atol=1e-12)
    assert (displacement(made, track).sum(-1) <= displacement(walked, track).sum(-1) + 1e-12).all()
    assert np.sqrt(displacement(made, track)).mean() < 0.75 * np.sqrt(displacement(walked, track)).mean()


def test_near_the_least_displacement(track):
    lengths = bone_lengths(track)
    weights = np.random.default_rng(1).uniform(0.2, 1, (1, 17))
    made = constant_bones(track[:1], lengths, weights)
    parents = H36M_17.parents

    def joints(flat):
        directions = flat.reshape(16, 3)
        found = np.zeros((17, 3))
        for joint in range(1, 17):
            unit = directions[joint - 1] / np.linalg.norm(directions[joint - 1])
            found[joint] = found[parents[joint]] + lengths[joint] * unit
        return found

    for own, given, weight in zip(made, track, weights, strict=False):
        cost = lambda flat, given=given, weight=weight: 1e4 * float(weight @ displacement(joints(flat), given))  # noqa: E731
        start = np.stack([own[joint] - own[parents[joint]] for joint in range(1, 17)]).ravel()
        best = minimize(cost, start / np.linalg.norm(start.reshape(16, 3), axis=-1).repeat(3), method="BFGS")
        assert 1e4 * weight @ displacement(own, given) < 1.1 * best.fun


def test_sure_joints_move_less(track):
    sure = np.ones(track.shape[:2])
    sure[:, [3, 16]] = 0.2
    even, weighted = (displacement(constant_bones(track, None, c), track) for c in (None, sure))
    assert weighted[:, [3, 16]].mean() > even[:, [3, 16]].mean()
    assert weighted[:, [2, 15]].mean() < even[:, [2, 15]].mean()


def test_both_sides_alike_unless_asked(track):
    lengths = bone_lengths(track)
    np.testing.assert_array_equal(lengths, lengths[list(H36M_17.mirrored)])
    own = bone_lengths(track, alike=False)
    assert own[2] == pytest.approx(statistics.median(np.linalg.norm(track[:, 2] - track[:, 1], axis=-1).tolist()))
    np.testing.assert_allclose(frame_lengths(constant_bones(track, alike=False), alike=False)[7], own, atol=1e-9)


def test_running_median(track):
    running = RunningLengths()
    for count, pose in enumerate(track, 1):
        np.testing.assert_allclose(running(pose), bone_lengths(track[:count]), atol=1e-12)


def test_missing_frames_stay(track):
    gaps = track.copy()
    gaps[10:20] = np.nan
    made = constant_bones(gaps)
    np.testing.assert_allclose(made[20:], constant_bones(np.delete(track, np.s_[10:20], 0))[10:], atol=1e-12)
    assert np.isnan(made[10:20]).all()
    assert np.isnan(constant_bones(np.full((2, 17, 3), np.nan))).all()
    assert np.isnan(bone_lengths(np.full((2, 17, 3), np.nan))).all()


def test_bones_without_a_direction_get_their_length():
    made = constant_bones(np.zeros((2, 17, 3)), np.ones(17))
    np.testing.assert_allclose(frame_lengths(made)[:, 1:], 1, atol=1e-9)


def test_size(track):
    lengths = bone_lengths(track)
    for wanted in (1.5, 1.9):
        scaled = bone_lengths(track * size_factor(lengths, stature_m=wanted))
        assert scaled[2] + scaled[3] == pytest.approx(wanted * (RATIOS["thigh"] + RATIOS["shank"]), abs=1e-12)
    scaled = bone_lengths(track * size_factor(lengths, stature_m=3.0, leg_m=0.9))
    assert scaled[5] + scaled[6] == pytest.approx(0.9, abs=1e-12)
    assert size_factor(lengths) == 1
    with pytest.raises(DataError, match="lengths: found legs of 0 m"):
        size_factor(np.zeros(17), leg_m=0.9)
    with pytest.raises(UserError, match="leg_m"):
        size_factor(lengths, leg_m=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 16, 3)),), "poses"),
        ((np.zeros((2, 17, 3)), np.zeros(3)), "lengths"),
        ((np.zeros((2, 17, 3)), np.full(17, np.nan)), "lengths"),
        ((np.zeros((2, 17, 3)), None, np.ones((2, 16))), "confidences"),
        ((np.zeros((2, 17, 3)), None, np.full((2, 17), np.nan)), "confidences"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(DataError, match=message):
        constant_bones(*arguments)
