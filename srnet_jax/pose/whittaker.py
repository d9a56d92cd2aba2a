"""Smooth values over time by a penalty on their derivative (Whittaker), at even or uneven times, with weights and gaps."""

import math

import numpy as np

from srnet_jax.pose.complete import LONGEST_GAP_S  # what is on both sides of a longer gap is smoothed apart

_ORDER = 3  # of the derivative that is penalised
_LEAST_STEP = 0.01  # between two frames, in median steps
_MOST_FRAMES = 300.0  # that are smoothed over; more would lose the solution's digits


def whittaker(values: np.ndarray, times: np.ndarray, seconds: float, weights: np.ndarray | None = None) -> np.ndarray:
    """Smooth values over time.

    The result f minimises the sum of weights * |values - f|^2 and of seconds^6 * |f'''|^2: oscillations of a period of 2 pi
    `seconds` keep half of their size, slower ones more, and any parabola stays as it is. It is the same at any frame rate.

    Args:
      values: [T, ...] finite.
      times: [T] seconds, rising.
      seconds: over which to smooth; 0 changes nothing.
      weights: [T] above zero; None for 1.

    Returns:
      [T, ...] float64.

    Source: Eilers, A perfect smoother (2003); the divided differences are for uneven times.
    """
    values, times = np.asarray(values, np.float64), np.asarray(times, np.float64)
    frames = len(values)
    if frames <= _ORDER or seconds <= 0:
        return values.copy()
    from scipy.linalg import solveh_banded

    step = float(np.median(np.diff(times)))
    steps = np.maximum(np.diff(times), _LEAST_STEP * step)  # frames at nearly one time would lose the solution's digits
    times = np.concatenate([[0.0], np.cumsum(steps)])
    places, number = times / step, frames - _ORDER  # in frames, of which the penalty counts as many as times^6
    rows = np.empty((number, _ORDER + 1))  # divided differences times 3!, of frames i to i + 3
    for column in range(_ORDER + 1):
        others = [places[column : number + column] - places[k : number + k] for k in range(_ORDER + 1) if k != column]
        rows[:, column] = math.factorial(_ORDER) / np.prod(others, axis=0)
    width = (places[_ORDER:] - places[:-_ORDER]) / _ORDER
    longest = np.max([steps[k : number + k] for k in range(_ORDER)], axis=0)
    penalty = np.where(longest > max(LONGEST_GAP_S, step), 0, min(seconds / step, _MOST_FRAMES) ** (2 * _ORDER) * width)
    share = np.ones(frames) if weights is None else np.asarray(weights, np.float64)
    banded = np.zeros((_ORDER + 1, frames))
    banded[_ORDER] = share
    for apart in range(_ORDER + 1):
        for column in range(_ORDER + 1 - apart):
            first = column + apart
            banded[_ORDER - apart, first : first + number] += penalty * rows[:, column] * rows[:, first]
    return solveh_banded(banded, share[:, None] * values.reshape(frames, -1)).reshape(values.shape)
