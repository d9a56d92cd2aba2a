"""How far the path of a hip, and what follows from it, is from the truth."""

import numpy as np

from srnet_jax.pose.footlock import FEET

PATH, RELATIVE, LENGTH = "path, m", "path from its start, % of the way", "length of the path, %"
FROM_START = "path from its start, m"
DEPTH, SIDEWAYS, SLIDING = "depth, m", "sideways, m", "feet that stand slide, cm/s"
UP, UP_EXPECTED, LEVEL = "up, °", "standard error of up, as told, °", "up of a level camera, °"
UP_MOST, LEVEL_MOST = "up, 90 % below, °", "up of a level camera, 90 % below, °"
FLOOR, FLOOR_UP_KNOWN = "floor, cm", "floor, up known, cm"
_MOST = {UP: UP_MOST, LEVEL: LEVEL_MOST}


def of_path(path: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return the mean errors of a path [T, 3], camera frame, metres, where both are known by their names."""
    known = np.isfinite(path).all(-1) & np.isfinite(truth).all(-1)
    path, truth = path[known], truth[known]
    if not len(path):
        return {}
    off = path - truth
    way, found = (float(np.linalg.norm(np.diff(points, axis=0), axis=-1).sum()) for points in (truth, path))
    from_start = float(np.linalg.norm(off - off[0], axis=-1).mean())
    return {
        PATH: float(np.linalg.norm(off, axis=-1).mean()),
        FROM_START: from_start,
        RELATIVE: 100 * from_start / max(way, 1e-9),
        LENGTH: 100 * abs(found / max(way, 1e-9) - 1),
        DEPTH: float(np.abs(off[:, 2]).mean()),
        SIDEWAYS: float(np.linalg.norm(off[:, :2], axis=-1).mean()),
    }


def sliding(joints: np.ndarray, stands: np.ndarray, times: np.ndarray) -> float:
    """Return the mean speed, cm/s, of feet of joints [T, 17, 3], metres, while they truly stand, [T, 2]; NaN if none does."""
    speeds = np.linalg.norm(np.diff(joints[:, FEET], axis=0), axis=-1) / np.diff(times)[:, None]
    during = stands[1:] & stands[:-1] & np.isfinite(speeds)
    return 100 * float(speeds[during].mean()) if during.any() else np.nan


def degrees_between(first: np.ndarray, second: np.ndarray) -> float:
    """Return the angle between two directions [3]."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


def digits(column: str) -> int:
    """Return how many decimals a column is printed with."""
    return 2 if column.endswith(", m") else 1


def broken(column: str) -> str:
    """Return a column's name in two lines."""
    return column.replace(", ", ",\n")


def medians(errors: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each error over all that have it, and below which 90 % of the errors of up are."""
    names = dict.fromkeys(name for one in errors for name in one)
    values = {name: [one[name] for one in errors if np.isfinite(one.get(name, np.nan))] for name in names}
    made = {name: float(np.median(found)) for name, found in values.items() if found}
    most = {most: float(np.percentile(values[name], 90)) for name, most in _MOST.items() if values.get(name)}
    return made | most
