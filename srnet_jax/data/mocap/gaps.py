"""Fill short gaps in which a marker was not seen, and cut long ones."""

import dataclasses
from pathlib import Path

import numpy as np

from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError

LONGEST_S = 0.2  # longest gap that is filled: for this time a joint moves in an almost straight line


def filled(motion: Motion, joints: tuple[str, ...], path: Path) -> Motion:
    """Return a motion in which the given joints are known in every frame.

    Gaps of at most 0.2 s are filled linearly. Longer gaps cut the motion, and the longest piece is kept. The motion's notes
    report both.

    Args:
      motion: with NaN where a joint was not seen.
      joints: names of the joints that are needed.
      path: the file, for messages.

    Raises:
      DataError: if a joint is never seen, or the joints are never all seen in a frame.
    """
    columns = [motion.joints.index(joint) for joint in joints]
    points = motion.positions[:, columns]  # [T, J, 3]
    seen = np.isfinite(points).all(-1)
    if seen.all():
        return motion
    never = [joint for joint, any_seen in zip(joints, seen.any(0), strict=True) if not any_seen]
    if never:
        raise DataError(
            f"{path}: found no frame that shows {', '.join(never[:3])}, expected every marker of the skeleton in some frame"
        )
    count, before = 0, len(points)
    for joint in range(len(columns)):
        count += _fill(points[:, joint], seen[:, joint], round(LONGEST_S * motion.fps))
    start, stop = _longest(np.isfinite(points).all((1, 2)))
    if stop == start:
        raise DataError(f"{path}: found no frame in which all markers of the skeleton are seen, expected at least one")
    positions = motion.positions[start:stop].copy()
    positions[:, columns] = points[start:stop]
    parts = [f"filled {count} marker positions in gaps of at most {LONGEST_S:g} s"] * bool(count)
    parts += [f"kept frames {start + 1} to {stop} of {before}, the longest stretch in which all markers are known"] * (
        stop - start < before
    )
    return dataclasses.replace(motion, positions=positions, notes=(*motion.notes, "; ".join(parts)))


def _fill(points: np.ndarray, seen: np.ndarray, longest: int) -> int:
    """Fill the short gaps of a marker [T, 3] in place; return the number of positions filled."""
    known = np.flatnonzero(seen)
    gaps = np.diff(known) - 1
    count = 0
    for index in np.flatnonzero((gaps > 0) & (gaps <= longest)):
        before, after = known[index], known[index + 1]
        share = (np.arange(1, after - before) / (after - before))[:, None]
        points[before + 1 : after] = points[before] * (1 - share) + points[after] * share
        count += after - before - 1
    return int(count)


def _longest(known: np.ndarray) -> tuple[int, int]:
    """Return the start and the end (exclusive) of the longest run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], known.astype(int), [0]])))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return 0, 0
    longest = int(np.argmax(stops - starts))
    return int(starts[longest]), int(stops[longest])
