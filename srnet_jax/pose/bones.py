"""Bones of constant length, and the size of a person.

A network lifts each frame anew, so that the bones of its people stretch and shrink. Here a track gets one length for each bone,
and the joints move as little as they must: all joints of a frame are found together, for along the tree from the hip each
bone's correction would be added to those before it, and the hands and feet would move most.
"""

from bisect import insort

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.skeleton import H36M_17, RATIOS, ROOT
from srnet_jax.pose.smoothing import complete_frames

MEMORY_FRAMES = 18_000  # ten minutes at 30 a second; what comes later no longer changes a running median
_SWEEPS = 4  # over the body; the root mean square displacement is then within 2 % of the least, in lifted motion capture
_LEAST_CONFIDENCE = 0.1  # an estimated joint moves ten times as easily as a sure one
_SHORTEST = 1e-6  # metres; of a shorter bone the direction is not known
_TINY = 1e-30

_JOINTS = H36M_17.joints


def _depth(joint: int) -> int:
    """Return the number of bones between the hip and a joint."""
    return 0 if joint == ROOT else 1 + _depth(H36M_17.parents[joint])


_CHILDREN = np.array(sorted((joint for joint in range(len(_JOINTS)) if joint != ROOT), key=_depth))
_PARENTS = np.array([H36M_17.parents[joint] for joint in _CHILDREN])
_DEPTHS = [_depth(joint) for joint in _CHILDREN]
_LEVELS = [slice(_DEPTHS.index(depth), _DEPTHS.index(depth) + _DEPTHS.count(depth)) for depth in sorted(set(_DEPTHS))]
_BONES = np.zeros((len(_CHILDREN), len(_JOINTS)))  # times joints are bones, from parent to child
_BONES[np.arange(len(_CHILDREN)), _CHILDREN] = 1
_BONES[np.arange(len(_CHILDREN)), _PARENTS] = -1
_FREE = _BONES[:, _CHILDREN]  # the hip stays
_FROM_HIP = np.linalg.inv(_FREE).round()  # times bones are joints relative to the hip
_MIRRORED = np.array(H36M_17.mirrored)
_LEGS = [[_JOINTS.index(side + name) for name in ("Knee", "Foot")] for side in "LR"]


def frame_lengths(poses: np.ndarray, *, alike: bool = True) -> np.ndarray:
    """Return the length of the bone that ends at each joint [..., 17], metres, 0 at the hip.

    Args:
      poses: [..., 17, 3] joints of `skeleton.H36M_17`, metres.
      alike: whether a bone and that of the other side get their mean.
    """
    lengths = np.zeros(poses.shape[:-1])
    lengths[..., _CHILDREN] = np.linalg.norm(poses[..., _CHILDREN, :] - poses[..., _PARENTS, :], axis=-1)
    return (lengths + lengths[..., _MIRRORED]) / 2 if alike else lengths


def bone_lengths(poses: np.ndarray, *, alike: bool = True) -> np.ndarray:
    """Return the median length of each bone [17] over a track's complete frames; NaN if it has none.

    Args:
      poses: [T, 17, 3] metres; NaN in missing frames.
      alike: see `frame_lengths`.
    """
    known = complete_frames(poses)
    return np.median(frame_lengths(poses[known], alike=alike), axis=0) if known.any() else np.full(len(_JOINTS), np.nan)


class RunningLengths:
    """The median length of each bone over the frames so far, at most the first MEMORY_FRAMES."""

    def __init__(self, *, alike: bool = True) -> None:
        """Begin before the first frame; see `frame_lengths` for `alike`."""
        self._alike = alike
        self._sorted: list[list[float]] = [[] for _ in _CHILDREN]

    def __call__(self, pose: np.ndarray) -> np.ndarray:
        """Take the next complete frame [17, 3], metres, and return lengths [17]."""
        seen = self._sorted
        if len(seen[0]) < MEMORY_FRAMES:
            for values, length in zip(seen, frame_lengths(pose, alike=self._alike)[_CHILDREN].tolist(), strict=True):
                insort(values, length)
        count = len(seen[0])
        low, high = (count - 1) // 2, count // 2
        lengths = np.zeros(len(_JOINTS))
        lengths[_CHILDREN] = [(values[low] + values[high]) / 2 for values in seen]
        return lengths


def tree_walk(poses: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Give bones their lengths from the hip outwards: each keeps its direction, and moves all joints beyond it.

    Args:
      poses: [..., 17, 3] metres.
      lengths: [17] metres.
    """
    made, hip = poses.copy(), poses[..., ROOT : ROOT + 1, :]
    made[..., _CHILDREN, :] = hip + _FROM_HIP @ (lengths[_CHILDREN, None] * _unit(_FREE @ (poses[..., _CHILDREN, :] - hip)))
    return made


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return the directions of vectors [..., 3]; (0, 1, 0) of those that are too short to have any."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(norms > _SHORTEST, vectors / norms.clip(_SHORTEST), [0.0, 1.0, 0.0])


def constant_bones(
    poses: np.ndarray, lengths: np.ndarray | None = None, confidences: np.ndarray | None = None, *, alike: bool = True
) -> np.ndarray:
    """Give all frames the same bone lengths, with the least motion of the joints; the hip stays.

    In each frame the sum over the joints of their squared displacements, weighted by their confidences, is nearly the least
    that the lengths allow. It is found by block coordinate descent on the bones' directions from those of `tree_walk`, so that
    the lengths hold exactly and the sum is never larger than that function's.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, metres; frames with a NaN stay as they are.
      lengths: [17] of the bones that end at each joint, metres; None for `bone_lengths` of the track.
      confidences: [T, 17], 0 to 1; None for 1.
      alike: whether both sides get the same lengths, where these come from the track.

    Returns:
      [T, 17, 3] float64.

    Raises:
      DataError: if a shape is wrong, or a length or a confidence is no number of its range.
    """
    made = np.array(poses, np.float64)
    if made.ndim != 3 or made.shape[1:] != (len(_JOINTS), 3):
        raise DataError(f"poses: found shape {made.shape}, expected (frames, 17, 3)")
    if confidences is not None and np.shape(confidences) != made.shape[:2]:
        raise DataError(f"confidences: found shape {np.shape(confidences)}, expected {made.shape[:2]}")
    known = complete_frames(made)
    if not known.any():
        return made
    lengths = bone_lengths(made, alike=alike) if lengths is None else np.asarray(lengths, np.float64)
    if lengths.shape != (len(_JOINTS),) or not (np.isfinite(lengths[_CHILDREN]).all() and (lengths[_CHILDREN] >= 0).all()):
        raise DataError(f"lengths: found shape {lengths.shape}, expected 17 positive numbers of metres, that of the hip unused")
    sure = np.ones((int(known.sum()), len(_JOINTS))) if confidences is None else np.asarray(confidences, np.float64)[known]
    if not np.isfinite(sure).all():
        raise DataError("confidences: found NaN or infinity in a frame with a pose, expected numbers from 0 to 1")
    made[known] = _nearest(made[known], lengths, sure.clip(_LEAST_CONFIDENCE, 1))
    return made


def _nearest(poses: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the poses [T, 17, 3] of given bone lengths that are nearest to others, see `constant_bones`.

    The joints are a matrix times the bones' directions, so the sum is quadratic in these, and of one bone, the others given,
    the best direction is known. Bones of which none is beyond another have no term in common and are found together.
    """
    hip = poses[:, ROOT : ROOT + 1]
    given = poses[:, _CHILDREN] - hip
    joints_of = _FROM_HIP * lengths[_CHILDREN]  # times directions are joints
    weighted = weights[:, _CHILDREN, None] * joints_of
    pulls = weighted.mT @ given  # [T, bones, 3]
    between = weighted.mT @ joints_of * (1 - np.eye(len(_CHILDREN)))  # [T, bones, bones]
    levels = [(level, pulls[:, level], between[:, level]) for level in _LEVELS]
    directions = _unit(_FREE @ given)  # [T, bones, 3]
    for _ in range(_SWEEPS):
        for level, pull, others in levels:
            wanted = pull - others @ directions
            directions[:, level] = wanted / np.maximum(np.sqrt(np.linalg.vecdot(wanted, wanted)), _TINY)[..., None]
    made = poses.copy()
    made[:, _CHILDREN] = hip + joints_of @ _unit(directions)
    return made


def size_factor(lengths: np.ndarray, *, stature_m: float | None = None, leg_m: float | None = None) -> float:
    """Return the factor that gives a person's bones the right size.

    Args:
      lengths: [17] of the bones, metres.
      stature_m: body height, metres. The legs get the share of it that they have on average, `RATIOS`.
      leg_m: length of thigh and shank together, metres; comes before the stature.

    Returns:
      The factor; 1 if neither is given.

    Raises:
      UserError: if a size is not positive.
      DataError: if the legs have no length.
    """
    for name, size in (("stature_m", stature_m), ("leg_m", leg_m)):
        if size is not None and not 0 < size < np.inf:
            raise UserError(f"{name}: found {size!r}, expected a positive number of metres")
    if leg_m is None:
        if stature_m is None:
            return 1.0
        leg_m = stature_m * (RATIOS["thigh"] + RATIOS["shank"])
    now_m = float(np.mean([lengths[leg].sum() for leg in _LEGS]))
    if not now_m > _SHORTEST:
        raise DataError(f"lengths: found legs of {now_m:g} m, expected longer ones")
    return leg_m / now_m
