"""Simulated 2D detections: what a keypoint detector might have seen where only exact projections are known.

The model, in this order:

1. every joint moves by Gaussian noise of `sigma` times the person's size times the joint's difficulty, new in each frame;
2. an outlier, a share `outliers` of the joints, lands anywhere in the person's box, evenly;
3. in a share `swaps` of the frames, apart for arms and legs, left and right are exchanged;
4. a missing joint, a share `missing`, keeps the place where it was last seen;
5. every joint moves by `drift` times the same as noise, slowly: the correlation falls to 1/e in a third of a second;
6. and by `offset` times the same for the whole sequence: a detector's hip is not motion capture's;
7. a share `hidden` of the joints is not seen for a second on average, and filled as `pose.complete` fills a detector's;
8. with `derived_joints`, those joints that detectors do not see come from the others, by the rules of `layouts`.

The size is the diagonal of the box around the exact joints. On real video, errors of 1 to 4.4 % of the person's size an axis
were measured, correlated by 0.8 to 0.97 with the frame before, by 0.4 to 0.6 over five frames and by 0.2 to 0.5 over 15, with
offsets of 2.5 % at the shoulders and 4.7 % at the head. Results on simulated detections compare with each other, not with those
of a detector.
"""

import dataclasses

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence
from srnet_jax.pose import layouts
from srnet_jax.pose.complete import complete
from srnet_jax.pose.skeleton import H36M_17

_ARMS, _LEGS = ("Shoulder", "Elbow", "Wrist"), ("Hip", "Knee", "Foot")
_FEWEST_SEEN = 10  # joints; a frame that would show fewer shows all
_DRIFT_S, _HIDDEN_S = 1 / 3, 1.0  # seconds
_DERIVED = ("Hip", "Spine", "Thorax", "Neck")
_DIFFICULTY = {"Elbow": 1.5, "Knee": 1.5, "Wrist": 2.0, "Foot": 2.0}  # our choice: the ends of limbs move and hide most


@dataclasses.dataclass(frozen=True)
class Errors:
    """How large a detector's errors are; see the head of this module.

    Attributes:
      sigma: noise of a joint of difficulty 1 (torso, shoulders, hips), as a share of the person's size.
      drift: slow error, the same.
      offset: constant error, the same.
      outliers: share of joints that are mistaken for something else.
      swaps: share of frames in which the arms, and of those in which the legs, are exchanged.
      missing: share of joints that keep their last place.
      hidden: share of joints that are not seen.
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
    """Replace the exact 2D joints of a data set, in the joints of `skeleton.H36M_17`, by simulated detections."""
    sequences = tuple(
        detected(sequence, errors, np.random.default_rng([seed, index]), dataset.fps)
        for index, sequence in enumerate(dataset.sequences)
    )
    return dataclasses.replace(dataset, name=f"{dataset.name}, simulated detections", sequences=sequences)


def detected(sequence: Sequence, errors: Errors, rng: np.random.Generator, fps: float) -> Sequence:
    """Replace the exact 2D joints of a sequence of that many frames per second."""
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
    last = np.maximum.accumulate(np.where(seen, np.arange(frames)[:, None], 0))  # [T, J] frame of the last sight
    points = points[last, np.arange(joints)]
    if errors.drift:
        points += _slow(exact.shape, rng, fps) * errors.drift * size * difficulty
    if errors.offset:
        points += rng.normal(size=(1, *exact.shape[1:])) * errors.offset * size * difficulty
    return points


def _slow(shape: tuple[int, ...], rng: np.random.Generator, fps: float) -> np.ndarray:
    """Return noise [T, ...] of variance 1 whose correlation falls exponentially with time."""
    from scipy.signal import lfilter

    kept = np.exp(-1 / (_DRIFT_S * fps))
    drawn = rng.normal(size=shape)
    drawn[1:] *= np.sqrt(1 - kept**2)
    return lfilter([1.0], [1.0, -kept], drawn, axis=0)


def hidden_stretches(shape: tuple[int, int], share: float, rng: np.random.Generator, fps: float) -> np.ndarray:
    """Return which joints are hidden: a mask [T, J] that holds for a share of the frames, about a second at a time."""
    ends = 1 / max(_HIDDEN_S * fps, 1)  # chance that a hidden joint is seen again in the next frame
    begins = ends * share / (1 - share)
    changes = rng.random(shape)
    hidden = np.empty(shape, bool)
    now = rng.random(shape[1]) < share
    for row, change in zip(hidden, changes, strict=True):
        row[:] = now
        now = np.where(now, change >= ends, change < begins)
    return hidden
