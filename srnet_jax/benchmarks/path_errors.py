"""Measure the errors of a path of the hip, of sliding feet, and of directions."""

import numpy as np

from srnet_jax.pose.footlock import FEET

PATH, RELATIVE, LENGTH = "path, m", "path from its start, % of the way", "length of the path, %"
FROM_START = "path from its start, m"
DEPTH, SIDEWAYS, SLIDING = "depth, m", "sideways, m", "standing feet slide, cm/s"
UP, UP_EXPECTED, LEVEL = "up, °", "up, estimated standard error, °", "up, level camera assumed, °"
UP_MOST, LEVEL_MOST = "up, 90 % below, °", "up, level camera assumed, 90 % below, °"
FLOOR, FLOOR_UP_KNOWN = "floor, cm", "floor, up known, cm"
_PERCENTILES = {UP: UP_MOST, LEVEL: LEVEL_MOST}


def of_path(path: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the mean errors of a path [T, 3], camera frame, metres, by their names.

    Frames count in which both the path and the truth are finite; without any, the result is empty.
    """
    known = np.isfinite(path).all(-1) & np.isfinite(truth).all(-1)
    path, truth = path[known], truth[known]
    if not len(path):
        return {}
    error = path - truth
    true_length, length = (float(np.linalg.norm(np.diff(points, axis=0), axis=-1).sum()) for points in (truth, path))
    from_start = float(np.linalg.norm(error - error[0], axis=-1).mean())
    return {
        PATH: float(np.linalg.norm(error, axis=-1).mean()),
        FROM_START: from_start,
        RELATIVE: 100 * from_start / max(true_length, 1e-9),
        LENGTH: 100 * abs(length / max(true_length, 1e-9) - 1),
        DEPTH: float(np.abs(error[:, 2]).mean()),
        SIDEWAYS: float(np.linalg.norm(error[:, :2], axis=-1).mean()),
    }


def sliding(joints: np.ndarray, standing: np.ndarray, times: np.ndarray) -> float:
    """Return the mean speed of standing feet, cm/s.

    Args:
      joints: [T, 17, 3], metres.
      standing: [T, 2] bool: whether the right and the left foot truly stand on the floor.
      times: [T] seconds.

    Returns:
      The speed; NaN if no foot stands.
    """
    speeds = np.linalg.norm(np.diff(joints[:, FEET], axis=0), axis=-1) / np.diff(times)[:, None]
    counted = standing[1:] & standing[:-1] & np.isfinite(speeds)
    return 100 * float(speeds[counted].mean()) if counted.any() else np.nan


def degrees_between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between two directions [3], degrees."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


def digits(column: str) -> int:
    """Return the number of decimals with which a column is printed."""
    return 2 if column.endswith(", m") else 1


def break_header(column: str) -> str:
    """Break the name of a column into lines for a table's header."""
    return column.replace(", ", ",\n")


def medians(errors: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each error over the results that have it, and the 90th percentile of errors of up."""
    names = dict.fromkeys(name for one in errors for name in one)
    values = {name: [one[name] for one in errors if np.isfinite(one.get(name, np.nan))] for name in names}
    median = {name: float(np.median(found)) for name, found in values.items() if found}
    upper = {upper: float(np.percentile(values[name], 90)) for name, upper in _PERCENTILES.items() if values.get(name)}
    return median | upper
