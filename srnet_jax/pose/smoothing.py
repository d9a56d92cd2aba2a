"""Smooth tracks of poses: without delay for files, and frame by frame for live use.

A frame is missing if one of its values is NaN. It stays as it is, and frames on both sides of it are filtered apart, so that
nothing is drawn across a gap.
"""

import itertools

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.pose.complete import LONGEST_GAP_S

CUTOFF_HZ = 4.0
MIN_CUTOFF_HZ, BETA, D_CUTOFF_HZ = 2.0, 4.0, 1.0  # of the One Euro filter; beta in Hz for each metre a second
_TWO_PASSES = (2**0.5 - 1) ** -0.25  # of a second-order filter; raises the cutoff of each, so that that of both is as asked
_UNEVEN = 0.01  # of the frame time; time stamps that are less off are even
_MOST_UNEVEN = 100  # frames at the median rate for each that is there
_NYQUIST = 0.95  # share of half the frame rate from which on nothing is left to remove


def seconds(times: np.ndarray | float, frames: int) -> np.ndarray:
    """Return the times [T] of frames, seconds.

    Args:
      times: [T] seconds, or frames per second.
      frames: T.

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
    """Return begin and end (exclusive) of each stretch of True in a mask [T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], known, [False]]).astype(int)))
    return [(int(begin), int(end)) for begin, end in edges.reshape(-1, 2)]


def complete_frames(poses: np.ndarray) -> np.ndarray:
    """Return a mask [T] of the frames of poses [T, ...] that hold nothing but numbers."""
    return np.isfinite(poses).all(axis=tuple(range(1, poses.ndim)))


def smoothed(poses: np.ndarray, times: np.ndarray | float, cutoff_hz: float = CUTOFF_HZ) -> np.ndarray:
    """Smooth a track by a Butterworth filter that runs forwards and backwards, so that nothing is delayed.

    The filter is of second order, run twice: what moves at the cutoff frequency keeps 71 % of its amplitude, as is usual in
    biomechanics. Uneven frames are brought to their median rate and back by linear interpolation; those more than
    LONGEST_GAP_S apart are filtered apart, too. Frame rates of about twice the cutoff or less leave nothing to remove: the
    poses are returned as they are.

    Args:
      poses: [T, ...] any frame and unit; NaN in missing frames.
      times: [T] seconds, increasing, or frames per second.
      cutoff_hz: what moves slower stays, what moves faster goes.

    Returns:
      [T, ...] float64.

    Raises:
      UserError: if the cutoff or the frame rate is not positive.
      DataError: if the times do not fit, or are so uneven that they have no rate.
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
    if count > _MOST_UNEVEN * len(at):
        raise DataError(
            f"times: found {len(at):,} frames in {at[-1] - at[0]:.3g} s, most {step:.3g} s apart, expected evener ones"
        )
    even = at[0] + np.arange(count) * step
    if len(even) == len(at) and np.abs(even - at).max() < _UNEVEN * step:
        return _forwards_and_backwards(poses, cutoff_hz, step)
    flat = poses.reshape(len(poses), -1).T
    between = np.stack([np.interp(even, at, row) for row in flat], -1)
    back = _forwards_and_backwards(between, cutoff_hz, step)
    return np.stack([np.interp(at, even, row) for row in back.T], -1).reshape(poses.shape)


def _forwards_and_backwards(values: np.ndarray, cutoff_hz: float, step: float) -> np.ndarray:
    from scipy.signal import butter, sosfiltfilt

    each = np.arctan(_TWO_PASSES * np.tan(np.pi * cutoff_hz * step)) / (
        np.pi * step
    )  # the digital filter's frequencies are bent
    sections = butter(2, each, fs=1 / step, output="sos")
    usual = round(1 / (cutoff_hz * step)) + 9  # about a period beyond the ends, which are turned about the last value
    return sosfiltfilt(sections, values, axis=0, padlen=min(usual, len(values) - 1))


class OneEuro:
    """The One Euro filter: an exponential filter that smooths slow motion much, and delays fast motion little.

    All coordinates of a joint share a cutoff, min_cutoff + beta * speed, with the speed of the joint; so the result does not
    depend on the axes. With one coordinate it is the filter of the paper.

    Source: Casiez, Roussel and Vogel, "1 euro filter", CHI 2012.
    """

    def __init__(self, min_cutoff_hz: float = MIN_CUTOFF_HZ, beta: float = BETA, d_cutoff_hz: float = D_CUTOFF_HZ) -> None:
        """Begin before the first frame.

        Args:
          min_cutoff_hz: of joints at rest; less smooths more.
          beta: Hz for each unit of speed (of metres: metres a second); more delays fast motion less.
          d_cutoff_hz: of the filter of the speed.

        Raises:
          UserError: names the argument.
        """
        for name, value, least in (("min_cutoff_hz", min_cutoff_hz, 0), ("beta", beta, -1), ("d_cutoff_hz", d_cutoff_hz, 0)):
            if not (least < value < np.inf and value >= 0):
                raise UserError(f"{name}: found {one_line(repr(value), 100)}, expected a positive number")
        self._min, self._beta, self._d = min_cutoff_hz, beta, d_cutoff_hz
        self.reset()

    def reset(self) -> None:
        """Forget what was seen: the next frame is the first."""
        self._last: np.ndarray | None = None
        self._unseen_s = 0.0

    def __call__(self, pose: np.ndarray, dt: float) -> np.ndarray:
        """Filter the next frame.

        Args:
          pose: [..., D] joints. A frame with a NaN is missing: it is returned as it is, and after LONGEST_GAP_S seconds
            of them the next frame is the first.
          dt: seconds since the frame before; without meaning at the first.

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
    """Return how much of the new value an exponential filter takes."""
    turned = 2 * np.pi * cutoff_hz * dt
    return turned / (1 + turned)


def one_euro(
    poses: np.ndarray,
    times: np.ndarray | float,
    min_cutoff_hz: float = MIN_CUTOFF_HZ,
    beta: float = BETA,
    d_cutoff_hz: float = D_CUTOFF_HZ,
) -> np.ndarray:
    """Return what `OneEuro` makes of a track [T, ..., D], float64; times and errors as of `smoothed`."""
    at = seconds(times, len(poses))
    steps = np.diff(at, prepend=at[:1] - 1)
    live = OneEuro(min_cutoff_hz, beta, d_cutoff_hz)
    return np.stack([live(pose, dt) for pose, dt in zip(poses, steps, strict=True)]) if len(poses) else np.array(poses, float)
