"""Smooth tracks of poses over time: without delay for files, and frame by frame for live use.

A frame is missing if one of its values is NaN. Missing frames are returned unchanged, and the frames before and after them are
filtered separately, so that nothing is interpolated across a gap.
"""

import itertools

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.pose.complete import LONGEST_GAP_S

CUTOFF_HZ = 4.0
MIN_CUTOFF_HZ, BETA, D_CUTOFF_HZ = 2.0, 4.0, 1.0  # of the One Euro filter; beta in Hz per metre a second
_TWO_PASSES = (2**0.5 - 1) ** -0.25  # raises the cutoff of each second-order pass, so that both together have the given one
_UNEVEN = 0.01  # of the frame time; smaller deviations of time stamps are ignored
_MAX_UNEVEN = 100  # interpolated frames for each given frame
_NYQUIST = 0.95  # of half the frame rate; above it, a cutoff leaves nothing to remove


def seconds(times: np.ndarray | float, frames: int) -> np.ndarray:
    """Return the time of each frame, given times or a frame rate.

    Args:
      times: [T] seconds, or one number of frames per second.
      frames: the number of frames T.

    Returns:
      [T] float64 seconds.

    Raises:
      UserError: if the frame rate is not positive.
      DataError: if the times are not T increasing numbers.
    """
    given = np.asarray(times)
    if given.ndim == 0:
        if given.dtype.kind not in "fiu" or not 0 < given < np.inf:
            raise UserError(f"fps: found {one_line(repr(times), 100)}, expected a positive number of frames per second")
        return np.arange(frames) / float(given)
    if given.shape != (frames,) or given.dtype.kind not in "fiu" or not np.isfinite(given).all() or (np.diff(given) <= 0).any():
        raise DataError(f"times: found shape {given.shape}, expected {frames} increasing seconds, one a frame")
    return given.astype(np.float64)


def runs(known: np.ndarray) -> list[tuple[int, int]]:
    """Return the begin and the end (exclusive) of each run of True in a mask [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def complete_frames(poses: np.ndarray) -> np.ndarray:
    """Return the mask [T] of frames of poses [T, ...] without NaN or infinity."""
    return np.isfinite(poses).all(axis=tuple(range(1, poses.ndim)))


def smoothed(poses: np.ndarray, times: np.ndarray | float, cutoff_hz: float = CUTOFF_HZ) -> np.ndarray:
    """Smooth a track with a Butterworth filter that runs forwards and backwards, which causes no delay.

    The filter is of second order and runs twice: motion at the cutoff frequency keeps 71 % of its amplitude, as is usual in
    biomechanics. Unevenly timed frames are interpolated linearly to their median rate and back. Frames more than
    `LONGEST_GAP_S` apart are filtered separately. If the frame rate is about twice the cutoff or less, there is nothing to
    remove, and the poses are returned unchanged.

    Args:
      poses: [T, ...] in any frame and unit; NaN in missing frames.
      times: [T] increasing seconds, or one number of frames per second.
      cutoff_hz: slower motion is kept, faster motion is removed.

    Returns:
      [T, ...] float64, in the inputs' frame and unit.

    Raises:
      UserError: if the cutoff or the frame rate is not positive.
      DataError: if the times do not fit the poses, or are too uneven to have a rate.
    """
    if not 0 < cutoff_hz < np.inf:
        raise UserError(f"cutoff_hz: found {one_line(repr(cutoff_hz), 100)}, expected a positive number")
    at = seconds(times, len(poses))
    made = np.array(poses, np.float64)
    for begin, end in runs(complete_frames(made)):
        pauses = begin + 1 + np.flatnonzero(np.diff(at[begin:end]) > LONGEST_GAP_S)
        for first, last in itertools.pairwise([begin, *pauses.tolist(), end]):
            if last - first > 2:
                made[first:last] = _smoothed_run(made[first:last], at[first:last], cutoff_hz)
    return made


def _smoothed_run(poses: np.ndarray, at: np.ndarray, cutoff_hz: float) -> np.ndarray:
    step = float(np.median(np.diff(at)))
    if cutoff_hz >= _NYQUIST / (2 * step):
        return poses
    count = round((at[-1] - at[0]) / step) + 1
    if count > _MAX_UNEVEN * len(at):
        raise DataError(
            f"times: found {len(at):,} frames in {at[-1] - at[0]:.3g} s, most {step:.3g} s apart, expected even times"
        )
    even = at[0] + np.arange(count) * step
    if len(even) == len(at) and np.abs(even - at).max() < _UNEVEN * step:
        return _forwards_and_backwards(poses, cutoff_hz, step)
    flat = poses.reshape(len(poses), -1).T
    between = np.stack([np.interp(even, at, row) for row in flat], -1)
    back = _forwards_and_backwards(between, cutoff_hz, step)
    return np.stack([np.interp(at, even, row) for row in back.T], -1).reshape(poses.shape)


def _forwards_and_backwards(values: np.ndarray, cutoff_hz: float, step: float) -> np.ndarray:
    """Filter values [T, ...] at even times without delay; beyond both ends they are reflected about the last value."""
    padding = min(round(1 / (cutoff_hz * step)) + 9, len(values) - 1)  # about one period
    padded = np.concatenate([2 * values[0] - values[padding:0:-1], values, 2 * values[-1] - values[-2 : -padding - 2 : -1]])
    tangent = _TWO_PASSES * np.tan(np.pi * cutoff_hz * step)  # accounts for the frequency warping of the digital filter
    made = _lowpass(_lowpass(padded, tangent)[::-1], tangent)[::-1]
    return made[padding : padding + len(values)]


def _lowpass(values: np.ndarray, tangent: float) -> np.ndarray:
    """Run a Butterworth lowpass of second order over values [T, ...], from the steady state of the first one.

    `scipy.signal` has this filter, too, but takes longer to import than JAX: a third of the time of lifting a short file.
    """
    scale = 1 / (1 + 2**0.5 * tangent + tangent**2)
    b, a1, a2 = tangent**2 * scale, 2 * (tangent**2 - 1) * scale, (1 - 2**0.5 * tangent + tangent**2) * scale
    given = np.concatenate([values[:1], values[:1], values])
    made = np.concatenate([values[:1], values[:1], b * (given[2:] + 2 * given[1:-1] + given[:-2])])
    for t in range(2, len(made)):
        made[t] -= a1 * made[t - 1] + a2 * made[t - 2]
    return made[2:]


class OneEuro:
    """The One Euro filter: an exponential filter that smooths slow motion strongly and delays fast motion little.

    All coordinates of a joint share one cutoff, min_cutoff + beta * speed, with the speed of the joint, so that the result does
    not depend on the axes. With one coordinate it is the filter of the paper.

    Source: Casiez, Roussel and Vogel, "1 euro filter", CHI 2012.
    """

    def __init__(self, min_cutoff_hz: float = MIN_CUTOFF_HZ, beta: float = BETA, d_cutoff_hz: float = D_CUTOFF_HZ) -> None:
        """Begin before the first frame.

        Args:
          min_cutoff_hz: cutoff for joints at rest; a lower one smooths more.
          beta: increase of the cutoff, Hz per unit of speed (for poses in metres: per metre a second); a higher one delays fast
            motion less.
          d_cutoff_hz: cutoff of the filter of the speed.

        Raises:
          UserError: if an argument is negative or not finite, or a cutoff is 0; the message names the argument.
        """
        for name, value, least in (("min_cutoff_hz", min_cutoff_hz, 0), ("beta", beta, -1), ("d_cutoff_hz", d_cutoff_hz, 0)):
            if not (least < value < np.inf and value >= 0):
                raise UserError(f"{name}: found {one_line(repr(value), 100)}, expected a positive number")
        self._min, self._beta, self._d = min_cutoff_hz, beta, d_cutoff_hz
        self.reset()

    def reset(self) -> None:
        """Forget all frames; the next frame counts as the first."""
        self._last: np.ndarray | None = None
        self._unseen_s = 0.0

    def __call__(self, pose: np.ndarray, dt: float) -> np.ndarray:
        """Filter the next frame.

        Args:
          pose: [..., D] joints. A frame with a NaN is missing: it is returned unchanged. After `LONGEST_GAP_S` seconds of
            missing frames, the next frame counts as the first.
          dt: seconds since the previous frame; not used for the first frame.

        Returns:
          [..., D] float64 smoothed joints.

        Raises:
          UserError: if dt is not positive.
        """
        pose = np.array(pose, np.float64)
        if not 0 < dt < np.inf:
            raise UserError(f"dt: found {one_line(repr(dt), 100)}, expected positive seconds")
        self._unseen_s += dt
        if not np.isfinite(pose).all():
            return pose
        elapsed, self._unseen_s = self._unseen_s, 0.0
        if self._last is None or elapsed - dt > LONGEST_GAP_S:
            self._last, self._velocity = pose, np.zeros_like(pose)
            return pose.copy()
        share = _share(self._d, elapsed)
        self._velocity = self._velocity + share * ((pose - self._last) / elapsed - self._velocity)
        speed = np.sqrt(np.square(self._velocity).sum(-1, keepdims=True))
        self._last = self._last + _share(self._min + self._beta * speed, elapsed) * (pose - self._last)
        return self._last.copy()


def _share(cutoff_hz, dt: float):
    """Return the weight of the new value in an exponential filter."""
    phase = 2 * np.pi * cutoff_hz * dt
    return phase / (1 + phase)


def one_euro(
    poses: np.ndarray,
    times: np.ndarray | float,
    min_cutoff_hz: float = MIN_CUTOFF_HZ,
    beta: float = BETA,
    d_cutoff_hz: float = D_CUTOFF_HZ,
) -> np.ndarray:
    """Filter a whole track with `OneEuro`.

    Args:
      poses: [T, ..., D] joints; NaN in missing frames.
      times: [T] increasing seconds, or one number of frames per second.
      min_cutoff_hz: cutoff for joints at rest.
      beta: increase of the cutoff, Hz per unit of speed.
      d_cutoff_hz: cutoff of the filter of the speed.

    Returns:
      [T, ..., D] float64.

    Raises:
      UserError: if a filter setting or the frame rate is out of range.
      DataError: if the times do not fit the poses.
    """
    at = seconds(times, len(poses))
    steps = np.diff(at, prepend=at[:1] - 1)
    live = OneEuro(min_cutoff_hz, beta, d_cutoff_hz)
    return np.stack([live(pose, dt) for pose, dt in zip(poses, steps, strict=True)]) if len(poses) else np.array(poses, float)
