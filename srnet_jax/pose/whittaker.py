"""The Whittaker smoother: smooth values at even or uneven times by a penalty on their third derivative."""

import math

import numpy as np

from srnet_jax.pose.complete import LONGEST_GAP_S  # the parts before and after a longer gap are smoothed separately

_ORDER = 3  # of the penalised derivative
_MIN_STEP = 0.01  # between two frames, in median steps
_MAX_FRAMES = 300.0  # longest smoothing, in frames; beyond, the solution loses its digits


def whittaker(values: np.ndarray, times: np.ndarray, seconds: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Smooth values over time.

    The result f minimises the sum of weights * |values - f|^2 and seconds^6 * |f'''|^2. An oscillation with a period of
    2 pi `seconds` keeps half of its amplitude, slower ones keep more, and a parabola is unchanged. The result does not depend
    on the frame rate.

    Args:
      values: [T, ...] finite values.
      times: [T] seconds, increasing.
      seconds: strength of the smoothing, seconds; 0 changes nothing.
      weights: [T] positive; None for 1.

    Returns:
      [T, ...] float64, in the unit of the values.

    Source: Eilers, A perfect smoother (2003); here with divided differences for uneven times.
    """
    values, times = np.asarray(values, np.float64), np.asarray(times, np.float64)
    frames = len(values)
    if frames <= _ORDER or seconds <= 0:
        return values.copy()
    from scipy.linalg import solveh_banded

    step = float(np.median(np.diff(times)))
    steps = np.maximum(np.diff(times), _MIN_STEP * step)  # nearly equal times would make the solution inaccurate
    times = np.concatenate([[0.0], np.cumsum(steps)])
    places, number = times / step, frames - _ORDER  # in frames; the penalty is scaled accordingly
    rows = np.empty((number, _ORDER + 1))  # divided differences times 3!, of frames i to i + 3
    for column in range(_ORDER + 1):
        others = [places[column : number + column] - places[k : number + k] for k in range(_ORDER + 1) if k != column]
        rows[:, column] = math.factorial(_ORDER) / np.prod(others, axis=0)
    width = (places[_ORDER:] - places[:-_ORDER]) / _ORDER
    longest = np.max([steps[k : number + k] for k in range(_ORDER)], axis=0)
    penalty = np.where(longest > max(LONGEST_GAP_S, step), 0, min(seconds / step, _MAX_FRAMES) ** (2 * _ORDER) * width)
    share = np.ones(frames) if weights is None else np.asarray(weights, np.float64)
    banded = np.zeros((_ORDER + 1, frames))
    banded[_ORDER] = share
    for apart in range(_ORDER + 1):
        for column in range(_ORDER + 1 - apart):
            first = column + apart
            banded[_ORDER - apart, first : first + number] += penalty * rows[:, column] * rows[:, first]
    return solveh_banded(banded, share[:, None] * values.reshape(frames, -1)).reshape(values.shape)
