"""Convert a person's keypoints to Human3.6M's 17 joints, and derive, interpolate or estimate the joints that are missing.

- A joint is derived from visible joints of the same frame if possible (`layouts`): the head from an ear, the eyes or the nose.
- A joint that is missing for at most `LONGEST_GAP_S` is interpolated relative to the body: its offset from the position that
the
  other joints make likely, in sizes of the person, changes linearly between the frames before and after the gap.
- A joint that is missing for longer, or in all frames, is estimated from the other joints (`pose.prior`). Its confidence is 0.
- A frame with fewer than `MIN_JOINTS` visible joints has no pose of its own. Such frames are interpolated as a whole for
  at most `LONGEST_GAP_S`; in a longer gap the person is not lifted.
- A joint that jumps farther than a body can move, for one or two frames, and back, counts as missing.
"""

import dataclasses
import enum
import warnings

import numpy as np

from srnet_jax.pose import layouts, prior

LONGEST_GAP_S = 1.0
MIN_JOINTS = 4  # joints of the 17 that make a pose
USUAL_FPS = 30.0
LEAP, RETURN = 0.6, 0.3  # sizes of the person: least jump, and greatest distance between the frames before and after it
NAMED = 0.05  # a joint that is missing in a larger fraction of the frames is reported


class Source(enum.IntEnum):
    """How the position of a joint in a frame was obtained.

    Attributes:
      NOT_LIFTED: the frame has no pose.
      SEEN: the detector saw the joint.
      DERIVED: computed from other joints that the detector saw in this frame, such as the pelvis from the two hips.
      FILLED: estimated from the other joints, or interpolated between frames.
    """

    NOT_LIFTED = 0
    SEEN = 1
    DERIVED = 2
    FILLED = 3


@dataclasses.dataclass(frozen=True)
class Completed:
    """A person's track in Human3.6M's 17 joints, without missing joints.

    Attributes:
      points: [T, 17, 2] float32 pixels; NaN in frames that are not lifted.
      confidences: [T, 17] float32; 0 where a joint was neither seen nor derived from seen joints.
      lifted: [T] bool; False in gaps that are too long.
      sources: [T, 17] uint8 `Source` of each joint.
    """

    points: np.ndarray
    confidences: np.ndarray
    lifted: np.ndarray
    sources: np.ndarray

    @property
    def missing(self) -> dict[str, float]:
        """{joint: fraction of the frames with the person in which it was not seen}, of joints for which this exceeds 5 %."""
        seen = self.confidences > 0
        seen = seen[self.lifted & seen.any(1)]
        share = (~seen).mean(0) if len(seen) else np.zeros(0)
        return {joint: float(s) for joint, s in zip(layouts.H36M.joints, share, strict=False) if s > NAMED}


def complete(keypoints: np.ndarray, confidences: np.ndarray, layout: str, fps: float | None) -> Completed:
    """Convert a track to Human3.6M's 17 joints and fill in the missing ones.

    Args:
      keypoints: [T, J, 2] pixels; NaN where a joint is missing.
      confidences: [T, J], 0 to 1; 0 where a joint is missing.
      layout: layout of the keypoints, a name of `layouts.LAYOUTS`.
      fps: frames per second; None, for 30, if they are not known.

    Returns:
      The track with 17 joints.

    Raises:
      UserError: for an unknown layout.
      DataError: if the number of joints is not the layout's.
    """
    keypoints = without_leaps(keypoints)
    confidences = np.where(np.isfinite(keypoints).all(-1), confidences, 0)
    points, sure = layouts.derived(keypoints, confidences, layout)
    longest = max(round(LONGEST_GAP_S * (fps or USUAL_FPS)), 1)
    seen = sure > 0
    sources = _sources(seen, confidences, layout)
    if seen.all():
        return Completed(points.astype(np.float32), sure.astype(np.float32), np.ones(len(points), bool), sources)
    enough = seen.sum(-1) >= MIN_JOINTS
    filled = np.full(points.shape, np.nan)
    sizes = np.full(len(points), np.nan)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero((which.reshape(-1) == index) & enough)
        if len(rows):
            filled[rows] = prior.completed(points[rows], pattern)
            sizes[rows] = np.maximum(prior.size_of(points[rows], pattern), 1e-3)
    for joint in range(points.shape[1]):
        known = np.flatnonzero(seen[:, joint] & enough)
        hidden = np.flatnonzero(~seen[:, joint] & enough)
        if len(known) and len(hidden):
            filled[hidden, joint] += sizes[hidden, None] * _offsets(points, seen, joint, known, hidden, longest)
    whole, lifted = _without_gaps(filled, enough, longest)
    sources[~enough] = Source.FILLED  # these frames are interpolated as a whole; their few joints are not used
    sources[~lifted] = Source.NOT_LIFTED
    sure = np.where((lifted & enough)[:, None], sure, 0)
    return Completed(whole.astype(np.float32), sure.astype(np.float32), lifted, sources)


def _sources(seen: np.ndarray, confidences: np.ndarray, layout: str) -> np.ndarray:
    """Return the `Source` [T, 17] of each joint, before frames without a pose are considered.

    Args:
      seen: [T, 17] bool, whether a joint was seen or derived.
      confidences: [T, J] of the layout's joints, 0 where one is missing.
      layout: a name of `layouts.LAYOUTS`.
    """
    sources = np.where(seen, Source.DERIVED, Source.FILLED).astype(np.uint8)
    for joint, place in enumerate(layouts.own_joints(layout)):
        if place is not None:
            sources[confidences[:, place] > 0, joint] = Source.SEEN
    return sources


def _offsets(
    points: np.ndarray, seen: np.ndarray, joint: int, known: np.ndarray, hidden: np.ndarray, longest: int
) -> np.ndarray:
    """Return the offset of a joint from its estimate in the H frames that hide it, [H, 2] in sizes of the person.

    The offset is known at the ends of a gap, where the joint is seen: there the estimate is computed from only those joints
    that the hidden frame shows too. It is interpolated between the ends, so that the estimated joint begins and ends where it
    was seen. In a gap longer than `longest` frames it fades out from both ends.
    """
    before = np.searchsorted(known, hidden) - 1
    first = np.where(before >= 0, known[np.maximum(before, 0)], -longest - 1)
    last = np.where(before + 1 < len(known), known[np.minimum(before + 1, len(known) - 1)], len(points) + longest)
    offsets = np.zeros((len(hidden), 2))
    inside = last - first - 1 <= longest
    for end, share in ((first, (last - hidden) / (last - first)), (last, (hidden - first) / (last - first))):
        near = np.abs(hidden - end)
        weight = np.where(inside, share, np.maximum(1 - near / (longest + 1), 0))  # fades out in a long gap
        rows = np.flatnonzero((near <= longest) & (end >= 0) & (end < len(points)))
        both = seen[hidden[rows]] & seen[end[rows]]  # [R, 17]; the joint is not among them
        patterns, which = np.unique(both, axis=0, return_inverse=True)
        for index, pattern in enumerate(patterns):
            own = rows[which.reshape(-1) == index]
            if pattern.sum() >= MIN_JOINTS:
                there = points[end[own]]
                size = np.maximum(prior.size_of(there, pattern), 1e-3)[:, None]
                offset = (there[:, joint] - prior.completed(there, pattern)[:, joint]) / size
                offsets[own] += weight[own, None] * offset
    return offsets


def _without_gaps(points: np.ndarray, known: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate whole frames in short gaps between known ones; return the points, and the mask of frames with a pose."""
    frames = np.flatnonzero(known)
    lifted = known.copy()
    if not len(frames):
        return points, lifted
    made = points.copy()
    steps = np.diff(frames)
    for index in np.flatnonzero((steps > 1) & (steps <= longest + 1)):
        a, b = frames[index], frames[index + 1]
        share = (np.arange(a + 1, b) - a)[:, None, None] / (b - a)
        made[a + 1 : b] = (1 - share) * points[a] + share * points[b]
        lifted[a + 1 : b] = True
    return made, lifted


def without_leaps(keypoints: np.ndarray) -> np.ndarray:
    """Set joints of keypoints [T, J, 2] to NaN that jump away for one or two frames and return.

    A jump is more than 0.6 sizes of the person, relative to the body, between frames that agree within 0.3 sizes.
    """
    if len(keypoints) < 3 or not np.isfinite(keypoints).any():
        return keypoints
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of frames without any joint
        middle = np.nanmedian(keypoints, axis=1, keepdims=True)
        size = float(np.nanmedian(np.sqrt(np.nanmean(np.square(keypoints - middle).sum(-1), axis=1))))
    if not size > 0:
        return keypoints
    around = (keypoints - middle) / size
    bad = np.zeros(keypoints.shape[:2], bool)
    for width in (1, 2):
        if len(keypoints) < width + 2:
            break
        before, after = around[: -width - 1], around[width + 1 :]
        with np.errstate(invalid="ignore"):
            agree = np.linalg.norm(after - before, axis=-1) < RETURN
            middles = (before + after) / 2
            every = np.ones_like(agree)
            for inside in range(1, width + 1):
                every &= np.linalg.norm(around[inside : len(around) - width - 1 + inside] - middles, axis=-1) > LEAP
        found = agree & every
        for inside in range(1, width + 1):
            bad[inside : len(around) - width - 1 + inside] |= found
    return np.where(bad[..., None], np.nan, keypoints)
