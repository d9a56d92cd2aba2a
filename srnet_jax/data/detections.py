"""Simulated 2D detections: what a keypoint detector might have seen where only exact projections are known.

The model, in this order, independent from frame to frame:

1. every joint moves by Gaussian noise of `sigma` times the person's size times the joint's difficulty;
2. an outlier, a share `outliers` of the joints, lands anywhere in the person's box, evenly;
3. in a share `swaps` of the frames, apart for arms and legs, left and right are exchanged;
4. a missing joint, a share `missing`, keeps the place where it was last seen;
5. with `derived_joints`, those joints that detectors do not see come from the others, by the rules of `layouts`.

The size is the diagonal of the box around the exact joints. Real detectors also err the same way for many frames on end;
results on simulated detections compare with each other, not with those of a detector.
"""

import dataclasses

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.pose import layouts
from srnet_jax.pose.skeleton import H36M_17

_ARMS, _LEGS = ("Shoulder", "Elbow", "Wrist"), ("Hip", "Knee", "Foot")
_DIFFICULTY = {"Elbow": 1.5, "Knee": 1.5, "Wrist": 2.0, "Foot": 2.0}  # our choice: the ends of limbs move and hide most


def simulate(
    dataset: PoseDataset,
    *,
    sigma: float,
    outliers: float,
    swaps: float,
    missing: float,
    derived_joints: bool = False,
    seed: int,
) -> PoseDataset:
    """Replace the exact 2D joints of a data set by simulated detections.

    Args:
      dataset: in the joints of `skeleton.H36M_17`.
      sigma: noise of a joint of difficulty 1 (torso, shoulders, hips), as a share of the person's size.
      outliers: share of joints that are mistaken for something else.
      swaps: share of frames in which the arms, and of those in which the legs, are exchanged.
      missing: share of joints that are not seen.
      derived_joints: whether pelvis, spine, thorax and the base of the skull are derived from hips, shoulders and head.
      seed: of all draws.
    """
    sequences = []
    for index, sequence in enumerate(dataset.sequences):
        rng = np.random.default_rng([seed, index])
        detected = _detect(sequence, rng, sigma, outliers, swaps, missing)
        detected = layouts.derived_as_detected(detected) if derived_joints else detected
        sequences.append(dataclasses.replace(sequence, inputs_2d=detected))
    return dataclasses.replace(dataset, name=f"{dataset.name}, simulated detections", sequences=tuple(sequences))


def _detect(
    sequence: Sequence, rng: np.random.Generator, sigma: float, outliers: float, swaps: float, missing: float
) -> np.ndarray:
    exact = sequence.inputs_2d.astype(np.float64)
    frames, joints = exact.shape[:2]
    low, high = exact.min(1, keepdims=True), exact.max(1, keepdims=True)
    size = np.linalg.norm(high - low, axis=-1, keepdims=True)  # [T, 1, 1]
    difficulty = np.array([_DIFFICULTY.get(name[1:], 1.0) for name in H36M_17.joints])
    points = exact + rng.normal(size=exact.shape) * sigma * size * difficulty[:, None]
    mistaken = rng.random((frames, joints)) < outliers
    points = np.where(mistaken[..., None], rng.uniform(low, high, exact.shape), points)
    for limb in (_ARMS, _LEGS):
        left, right = ([H36M_17.joints.index(side + name) for name in limb] for side in "LR")
        swapped = np.flatnonzero(rng.random(frames) < swaps)[:, None]
        points[swapped, left + right] = points[swapped, right + left]
    seen = rng.random((frames, joints)) >= missing
    seen[0] = True
    last = np.maximum.accumulate(np.where(seen, np.arange(frames)[:, None], 0))  # [T, J] frame of the last sight
    return points[last, np.arange(joints)].astype(np.float32)
