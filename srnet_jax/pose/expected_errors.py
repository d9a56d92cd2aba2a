"""How far each joint of a lifted pose is likely to be from the truth.

A network that cannot tell where a bone points gives about the mean of where it may point, and the mean of several directions
is shorter than the bone. So short bones, from the hip to a joint and in the whole pose, go with large errors. With the joint
itself and whether it was seen they say what can be expected:

    error of joint j = base_j + chain_j * (shortening from the hip to j) + whole_j * (mean shortening of the pose)
                       + filled_j if j was not seen

The weights are fitted to the errors of a network on simulated detections of people and cameras that it was not trained on.
"""

from typing import NamedTuple

import numpy as np

from srnet_jax.pose.skeleton import H36M_17, ROOT

_SHORTEST_M = 1e-3  # bone


class Calibration(NamedTuple):
    """Weights of the expected errors of a network, each [17], metres.

    Attributes:
      lengths: usual length of the bone that ends at each joint; 0 for the hip.
      base: error of a joint that was seen, in a pose whose bones have these lengths.
      chain: a unit of shortening between the hip and the joint.
      whole: a unit of the pose's mean shortening.
      filled: of a joint that was not seen.
    """

    lengths: np.ndarray
    base: np.ndarray
    chain: np.ndarray
    whole: np.ndarray
    filled: np.ndarray


def expected_errors(poses_3d: np.ndarray, filled: np.ndarray, calibration: Calibration) -> np.ndarray:
    """Return the expected error of each joint.

    Args:
      poses_3d: [T, 17, 3] as the network gives them, metres, relative to the hip; NaN in frames without a pose.
      filled: [T, 17] bool, joints that were not seen.
      calibration: of the network.

    Returns:
      [T, 17] metres, zero for the hip; NaN in frames without a pose.
    """
    chain, whole = _shortening(poses_3d, calibration.lengths)
    return calibration.base + calibration.chain * chain + calibration.whole * whole + calibration.filled * filled


def fitted(poses_3d: np.ndarray, filled: np.ndarray, errors: np.ndarray) -> Calibration:
    """Fit the weights to measured errors by least squares; none is negative.

    Args:
      poses_3d: [N, 17, 3] as a network gives them, metres, relative to the hip.
      filled: [N, 17] bool, joints that were not seen.
      errors: [N, 17] distances from the truth, metres.
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
    """Return by which shares bones are too short: summed from the hip to each joint [T, 17], and the pose's mean [T, 1]."""
    short = np.maximum(1 - _lengths(poses_3d) / np.maximum(lengths, _SHORTEST_M), 0)
    short[..., ROOT] *= 0
    chain = short.copy()
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            chain[..., joint] += chain[..., parent]
    return chain, short.mean(-1, keepdims=True)
