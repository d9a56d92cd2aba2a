"""Simulate the errors of a 2D keypoint detector on exact projections.

The errors are applied in this order. The unit is the person's size (the diagonal of the box around the exact joints) times the
joint's difficulty (1 for the torso, shoulders and hips, up to 2 for wrists and feet).

1. Noise: every joint moves by Gaussian noise of `sigma` units, drawn anew for each frame.
2. Outliers: a fraction `outliers` of the joints is placed at random, uniformly in the person's box.
3. Swaps: in a fraction `swaps` of the frames, independently for arms and legs, left and right are exchanged.
4. Missing joints: a fraction `missing` of the joints keeps its last seen place.
5. Drift: every joint moves slowly by Gaussian noise of `drift` units, whose correlation falls to 1/e in a third of a second.
6. Offset: every joint moves by Gaussian noise of `offset` units, constant over the sequence, because a detector's hip is not at
   the place of motion capture's hip.
7. Hidden joints: a fraction `hidden` of the joints is not seen, for a second on average, and is filled in as `pose.complete`
   fills in a detector's joints.
8. Derived joints: with `derived_joints`, joints that detectors do not report are computed from the others, by the rules of
   `pose.layouts`.

On real video, detectors' errors measured 1 to 4.4 % of the person's size an axis, with a correlation of 0.8 to 0.97 from one
frame to the next, 0.4 to 0.6 over five frames and 0.2 to 0.5 over 15, and offsets of 2.5 % at the shoulders and 4.7 % at the
head. Results on simulated detections can be compared with each other, but not with results on a detector's keypoints.
"""

import dataclasses

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.pose import layouts
from srnet_jax.pose.complete import complete
from srnet_jax.pose.skeleton import H36M_17

_ARMS, _LEGS = ("Shoulder", "Elbow", "Wrist"), ("Hip", "Knee", "Foot")
_FEWEST_SEEN = 10  # joints; a frame in which fewer would be seen hides none
_DRIFT_S, _HIDDEN_S = 1 / 3, 1.0  # seconds
_DERIVED = ("Hip", "Spine", "Thorax", "Neck")
_DIFFICULTY = {"Elbow": 1.5, "Knee": 1.5, "Wrist": 2.0, "Foot": 2.0}  # chosen: the ends of limbs move and hide most


@dataclasses.dataclass(frozen=True)
class Errors:
    """Sizes and frequencies of a simulated detector's errors; the module's docstring defines each.

    Attributes:
      sigma: standard deviation of the noise of a joint of difficulty 1, as a fraction of the person's size.
      drift: standard deviation of the slow error, the same unit.
      offset: standard deviation of the constant error, the same unit.
      outliers: fraction of joints that are placed at random.
      swaps: fraction of frames in which left and right arms are exchanged, and the same for legs.
      missing: fraction of joints that keep their last seen place.
      hidden: fraction of joints that are not seen.
      derived_joints: whether pelvis, spine, thorax and the base of the skull are derived from hips, shoulders and head.
    """

    sigma: float = 0.0
    drift: float = 0.0
    offset: float = 0.0
    outliers: float = 0.0
    swaps: float = 0.0
    missing: float = 0.0
    hidden: float = 0.0
    derived_joints: bool = False


def simulate(dataset: PoseDataset, errors: Errors, *, seed: int) -> PoseDataset:
    """Replace the exact keypoints of a data set by simulated detections.

    Args:
      dataset: with exact projections of the joints of `skeleton.H36M_17`.
      errors: of the detector.
      seed: of the errors; each sequence draws its own.
    """
    sequences = tuple(
        detected(sequence, errors, np.random.default_rng([seed, index]), dataset.fps)
        for index, sequence in enumerate(dataset.sequences)
    )
    return dataclasses.replace(dataset, name=f"{dataset.name}, simulated detections", sequences=sequences)


def detected(sequence: Sequence, errors: Errors, rng: np.random.Generator, fps: float) -> Sequence:
    """Replace the exact keypoints of one sequence by simulated detections.

    Args:
      sequence: with exact projections of the joints of `skeleton.H36M_17`.
      errors: of the detector.
      rng: of the errors.
      fps: frames per second of the sequence, for errors that last.
    """
    points = _with_errors(sequence.inputs_2d.astype(np.float64), errors, rng, fps).astype(np.float32)
    unseen = hidden_stretches(points.shape[:2], errors.hidden, rng, fps) if errors.hidden else np.zeros(points.shape[:2], bool)
    if unseen.any():
        unseen[np.flatnonzero((~unseen).sum(1) < _FEWEST_SEEN)] = False
        if errors.derived_joints:
            unseen[:, [H36M_17.joints.index(name) for name in _DERIVED]] = True
        points = complete(np.where(unseen[..., None], np.nan, points), (~unseen).astype(float), "h36m", fps).points
    elif errors.derived_joints:
        points = layouts.with_derived_joints(points)
    return dataclasses.replace(sequence, inputs_2d=points)


def _with_errors(exact: np.ndarray, errors: Errors, rng: np.random.Generator, fps: float) -> np.ndarray:
    frames, joints = exact.shape[:2]
    low, high = exact.min(1, keepdims=True), exact.max(1, keepdims=True)
    size = np.linalg.norm(high - low, axis=-1, keepdims=True)  # [T, 1, 1]
    difficulty = np.array([_DIFFICULTY.get(name[1:], 1.0) for name in H36M_17.joints])[:, None]
    points = exact + rng.normal(size=exact.shape) * errors.sigma * size * difficulty
    mistaken = rng.random((frames, joints)) < errors.outliers
    points = np.where(mistaken[..., None], rng.uniform(low, high, exact.shape), points)
    for limb in (_ARMS, _LEGS):
        left, right = ([H36M_17.joints.index(side + name) for name in limb] for side in "LR")
        swapped = np.flatnonzero(rng.random(frames) < errors.swaps)[:, None]
        points[swapped, left + right] = points[swapped, right + left]
    seen = rng.random((frames, joints)) >= errors.missing
    seen[0] = True
    last = np.maximum.accumulate(np.where(seen, np.arange(frames)[:, None], 0))  # [T, J] frame in which each was last seen
    points = points[last, np.arange(joints)]
    if errors.drift:
        points += _slow(exact.shape, rng, fps) * errors.drift * size * difficulty
    if errors.offset:
        points += rng.normal(size=(1, *exact.shape[1:])) * errors.offset * size * difficulty
    return points


def _slow(shape: tuple[int, ...], rng: np.random.Generator, fps: float) -> np.ndarray:
    """Return Gaussian noise [T, ...] of variance 1 whose correlation falls exponentially with time."""
    from scipy.signal import lfilter

    kept = np.exp(-1 / (_DRIFT_S * fps))
    drawn = rng.normal(size=shape)
    drawn[1:] *= np.sqrt(1 - kept**2)
    return lfilter([1.0], [1.0, -kept], drawn, axis=0)


def hidden_stretches(shape: tuple[int, int], share: float, rng: np.random.Generator, fps: float) -> np.ndarray:
    """Draw which joints are hidden in which frames, about a second at a time.

    Args:
      shape: T frames and J joints.
      share: mean fraction of frames in which a joint is hidden, below 1.
      rng: of the draws.
      fps: frames per second.

    Returns:
      [T, J] bool.
    """
    ends = 1 / max(_HIDDEN_S * fps, 1)  # chance that a hidden joint is seen again in the next frame
    begins = ends * share / (1 - share)
    changes = rng.random(shape)
    hidden = np.empty(shape, bool)
    now = rng.random(shape[1]) < share
    for row, change in zip(hidden, changes, strict=True):
        row[:] = now
        now = np.where(now, change >= ends, change < begins)
    return hidden
