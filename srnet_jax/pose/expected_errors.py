"""Predict the error of each joint of a lifted pose.

If a network cannot determine where a bone points, it predicts about the mean of the possible directions, which is shorter than
the bone. Short bones, between the hip and a joint and in the whole pose, therefore indicate large errors. The prediction also
depends on the joint and on whether it was seen:

    error of joint j = base_j + chain_j * (shortening from the hip to j) + whole_j * (mean shortening of the pose)
                       + filled_j if j was not seen

The weights are fitted to the errors of a network on simulated detections of people and cameras that it was not trained on.
"""

from typing import NamedTuple

import numpy as np

from srnet_jax.pose.skeleton import H36M_17, ROOT

_MIN_LENGTH_M = 1e-3  # of a bone


class Calibration(NamedTuple):
    """The parameters of a network's expected errors, each [17], metres.

    Attributes:
      lengths: usual length of the bone that ends at each joint; 0 for the hip.
      base: error of a joint that was seen, in a pose whose bones have these lengths.
      chain: additional error per unit of shortening between the hip and the joint.
      whole: additional error per unit of the pose's mean shortening.
      filled: additional error of a joint that was not seen.
    """

    lengths: np.ndarray
    base: np.ndarray
    chain: np.ndarray
    whole: np.ndarray
    filled: np.ndarray


def expected_errors(poses_3d: np.ndarray, filled: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Predict the error of each joint.

    Args:
      poses_3d: [T, 17, 3] joints as predicted by the network, relative to the hip, metres; NaN in frames without a pose.
      filled: [T, 17] bool, joints that were not seen.
      calibration: the parameters of the network.

    Returns:
      [T, 17] metres, zero for the hip; NaN in frames without a pose.
    """
    chain, whole = _shortening(poses_3d, calibration.lengths)
    return calibration.base + calibration.chain * chain + calibration.whole * whole + calibration.filled * filled


def fitted(poses_3d: np.ndarray, filled: np.ndarray, errors: np.ndarray) -> Calibration:
    """Fit the parameters to measured errors by non-negative least squares.

    Args:
      poses_3d: [N, 17, 3] joints as predicted by a network, relative to the hip, metres.
      filled: [N, 17] bool, joints that were not seen.
      errors: [N, 17] distances from the ground truth, metres.

    Returns:
      The parameters.
    """
    from scipy.optimize import nnls

    lengths = np.median(_lengths(poses_3d), axis=0)
    chain, whole = _shortening(poses_3d, lengths)
    weights = np.zeros((len(H36M_17.joints), 4))
    for joint in range(len(H36M_17.joints)):
        columns = np.stack([np.ones(len(poses_3d)), chain[:, joint], whole[:, 0], filled[:, joint]], axis=1)
        weights[joint], _ = nnls(columns.astype(np.float64), errors[:, joint].astype(np.float64))
    return Calibration(lengths, *weights.T)


def _lengths(poses_3d: np.ndarray) -> np.ndarray:
    """Return the lengths [..., 17] of the bones that end at each joint; 0 for the hip."""
    parents = np.maximum(H36M_17.parents, ROOT)
    return np.linalg.norm(poses_3d - poses_3d[..., parents, :], axis=-1)


def _shortening(poses_3d: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the relative shortening of bones, summed from the hip to each joint [T, 17], and averaged over the pose [T, 1]."""
    short = np.maximum(1 - _lengths(poses_3d) / np.maximum(lengths, _MIN_LENGTH_M), 0)
    short[..., ROOT] *= 0
    chain = short.copy()
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            chain[..., joint] += chain[..., parent]
    return chain, short.mean(-1, keepdims=True)
