"""Expected errors follow their formula, and a fit recovers the weights that made the errors."""

import numpy as np

from srnet_jax.pose.expected_errors import Calibration, expected_errors, fitted
from srnet_jax.pose.skeleton import H36M_17

RKNEE, RFOOT, HEAD = (H36M_17.joints.index(name) for name in ("RKnee", "RFoot", "Head"))


def poses_of(lengths):
    """Return poses [T, 17, 3] whose bones, each in the same direction in all frames, have lengths [T, 17]."""
    directions = np.random.default_rng(0).normal(size=(17, 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    poses = np.zeros((*lengths.shape, 3))
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            poses[:, joint] = poses[:, parent] + lengths[:, joint, None] * directions[joint]
    return poses


def test_short_bones_raise_the_errors_of_the_joints_beyond_them():
    lengths = np.full((1, 17), 0.4)
    lengths[:, 0] = 0
    usual = lengths[0].copy()
    lengths[0, RKNEE] = 0.3  # a quarter too short
    weights = Calibration(usual, np.full(17, 0.05), np.full(17, 0.2), np.full(17, 0.17), np.full(17, 0.1))
    filled = np.zeros((1, 17), bool)
    filled[0, HEAD] = True
    found = expected_errors(poses_of(lengths), filled, weights)[0]
    whole = 0.17 * 0.25 / 17
    np.testing.assert_allclose(found[[RKNEE, RFOOT]], 0.05 + 0.2 * 0.25 + whole)
    np.testing.assert_allclose(found[HEAD], 0.05 + whole + 0.1)
    np.testing.assert_allclose(found[H36M_17.joints.index("LFoot")], 0.05 + whole)


def test_long_bones_change_nothing_and_frames_without_a_pose_have_no_error():
    usual = np.full(17, 0.4)
    poses = poses_of(np.full((2, 17), 0.5))
    poses[1] = np.nan
    found = expected_errors(poses, np.zeros((2, 17), bool), Calibration(usual, *np.ones((4, 17))))
    np.testing.assert_array_equal(found[0], 1)
    assert np.isnan(found[1]).all()


def test_a_fit_finds_the_weights_that_made_the_errors(rng):
    lengths = rng.uniform(0.3, 0.5, (4000, 17))
    lengths[:, 0] = 0
    poses, filled = poses_of(lengths), rng.random((4000, 17)) < 0.2
    true = Calibration(np.median(lengths, axis=0), *rng.uniform(0.01, 0.2, (4, 17)))
    true.chain[0] = true.filled[0] = true.whole[0] = 0  # there is no bone between the hip and itself
    filled[:, 0] = False
    found = fitted(poses, filled, expected_errors(poses, filled, true))
    for name, array in true._asdict().items():
        np.testing.assert_allclose(getattr(found, name), array, atol=1e-6, err_msg=name)
