"""Give the bones of a track constant lengths, and scale a person to a given size.

A network lifts each frame independently, so that bones stretch and shrink over time. Here each bone of a track gets one length,
and the joints move as little as possible. All joints of a frame are solved for together: if the lengths were corrected from the
hip outwards, bone by bone, the corrections would add up, and hands and feet would move the most.
"""

from bisect import insort

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.skeleton import H36M_17, RATIOS, ROOT
from srnet_jax.pose.smoothing import complete_frames

MEMORY_FRAMES = 18_000  # ten minutes at 30 a second; later frames do not change a running median
_SWEEPS = 4  # over the body; the root mean square displacement is then within 2 % of the least, in lifted motion capture
_MIN_CONFIDENCE = 0.1  # an estimated joint moves ten times as easily as a certain one
_MIN_LENGTH = 1e-6  # metres; a shorter bone has no direction
_TINY = 1e-30

_JOINTS = H36M_17.joints


def _depth(joint: int) -> int:
    """Return the number of bones between the hip and a joint."""
    return 0 if joint == ROOT else 1 + _depth(H36M_17.parents[joint])


_CHILDREN = np.array(sorted((joint for joint in range(len(_JOINTS)) if joint != ROOT), key=_depth))
_PARENTS = np.array([H36M_17.parents[joint] for joint in _CHILDREN])
_DEPTHS = [_depth(joint) for joint in _CHILDREN]
_LEVELS = [slice(_DEPTHS.index(depth), _DEPTHS.index(depth) + _DEPTHS.count(depth)) for depth in sorted(set(_DEPTHS))]
_BONES = np.zeros((len(_CHILDREN), len(_JOINTS)))  # _BONES @ joints gives the bones, from parent to child
_BONES[np.arange(len(_CHILDREN)), _CHILDREN] = 1
_BONES[np.arange(len(_CHILDREN)), _PARENTS] = -1
_FREE = _BONES[:, _CHILDREN]  # the hip is fixed
_FROM_HIP = np.linalg.inv(_FREE).round()  # _FROM_HIP @ bones gives the joints relative to the hip
_MIRRORED = np.array(H36M_17.mirrored)
_LEGS = [[_JOINTS.index(side + name) for name in ("Knee", "Foot")] for side in "LR"]


def frame_lengths(poses: np.ndarray, *, alike: bool = True) -> np.ndarray:
    """Return the length of the bone that ends at each joint.

    Args:
      poses: [..., 17, 3] joints of `skeleton.H36M_17`, metres.
      alike: whether a left bone and its right counterpart both get their mean length.

    Returns:
      [..., 17] metres; 0 for the hip.
    """
    lengths = np.zeros(poses.shape[:-1])
    lengths[..., _CHILDREN] = np.linalg.norm(poses[..., _CHILDREN, :] - poses[..., _PARENTS, :], axis=-1)
    return (lengths + lengths[..., _MIRRORED]) / 2 if alike else lengths


def bone_lengths(poses: np.ndarray, *, alike: bool = True) -> np.ndarray:
    """Return the median length of each bone over a track's complete frames.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, metres; NaN in missing frames.
      alike: whether a left bone and its right counterpart both get their mean length.

    Returns:
      [17] metres, of the bones that end at each joint; NaN if no frame is complete.
    """
    known = complete_frames(poses)
    return np.median(frame_lengths(poses[known], alike=alike), axis=0) if known.any() else np.full(len(_JOINTS), np.nan)


class RunningLengths:
    """The running median length of each bone, over at most the first `MEMORY_FRAMES` frames."""

    def __init__(self, *, alike: bool = True) -> None:
        """Begin before the first frame; `alike` is that of `frame_lengths`."""
        self._alike = alike
        self._sorted: list[list[float]] = [[] for _ in _CHILDREN]

    def __call__(self, pose: np.ndarray) -> np.ndarray:
        """Add the next complete frame [17, 3], metres, and return the median lengths [17], metres."""
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
    """Set the lengths of bones from the hip outwards; each bone keeps its direction and moves all joints beyond it.

    Args:
      poses: [..., 17, 3] joints of `skeleton.H36M_17`, metres.
      lengths: [17] lengths of the bones that end at each joint, metres.

    Returns:
      [..., 17, 3] joints, metres; the hip stays.
    """
    made, hip = poses.copy(), poses[..., ROOT : ROOT + 1, :]
    made[..., _CHILDREN, :] = hip + _FROM_HIP @ (lengths[_CHILDREN, None] * _unit(_FREE @ (poses[..., _CHILDREN, :] - hip)))
    return made


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return the directions of vectors [..., 3]; (0, 1, 0) for vectors that are too short to have one."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(norms > _MIN_LENGTH, vectors / norms.clip(_MIN_LENGTH), [0.0, 1.0, 0.0])


def constant_bones(
    poses: np.ndarray, lengths: np.ndarray | None = None, confidences: np.ndarray | None = None, *, alike: bool = True
) -> np.ndarray:
    """Give all frames the same bone lengths while moving the joints as little as possible; the hip stays.

    In each frame, the sum of the joints' squared displacements, weighted by their confidences, is nearly the least that the
    lengths allow. It is minimised by block coordinate descent over the directions of the bones, starting from those of
    `tree_walk`. The lengths therefore hold exactly, and the sum is never larger than that of `tree_walk`.

    Args:
      poses: [T, 17, 3] joints of `skeleton.H36M_17`, metres; frames with a NaN are returned unchanged.
      lengths: [17] lengths of the bones that end at each joint, metres; None for the track's `bone_lengths`.
      confidences: [T, 17], 0 to 1; None for 1.
      alike: whether both sides get the same lengths if these are computed from the track.

    Returns:
      [T, 17, 3] float64 joints, metres.

    Raises:
      DataError: if a shape is wrong, or a length or a confidence is not finite or out of range.
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
    if lengths.shape != (len(_JOINTS),):
        raise DataError(f"lengths: found shape {lengths.shape}, expected (17,)")
    if not (np.isfinite(lengths[_CHILDREN]).all() and (lengths[_CHILDREN] >= 0).all()):
        raise DataError("lengths: found a negative number, NaN or infinity, expected metres; the hip's is not used")
    sure = np.ones((int(known.sum()), len(_JOINTS))) if confidences is None else np.asarray(confidences, np.float64)[known]
    if not np.isfinite(sure).all():
        raise DataError("confidences: found NaN or infinity in a frame with a pose, expected numbers from 0 to 1")
    made[known] = _nearest(made[known], lengths, sure.clip(_MIN_CONFIDENCE, 1))
    return made


def _nearest(poses: np.ndarray, lengths: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the poses [T, 17, 3] with the given bone lengths that are nearest to `poses`, as `constant_bones` describes.

    The joints are a matrix times the directions of the bones, so that the sum is quadratic in the directions. The best
    direction of one bone, given the others, has a closed form. Bones of the same depth share no term and are solved for
    together.
    """
    hip = poses[:, ROOT : ROOT + 1]
    given = poses[:, _CHILDREN] - hip
    joints_of = _FROM_HIP * lengths[_CHILDREN]  # joints_of @ directions gives the joints
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
    """Return the factor that scales a person's bones to a given body height or leg length.

    Args:
      lengths: [17] lengths of the bones, metres.
      stature_m: body height, metres. The legs get their average fraction of it (`skeleton.RATIOS`).
      leg_m: length of thigh and shank together, metres; overrides `stature_m`.

    Returns:
      The factor; 1 if neither size is given.

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
    if not now_m > _MIN_LENGTH:
        raise DataError(f"lengths: found legs of {now_m:g} m, expected more than {_MIN_LENGTH:g} m")
    return leg_m / now_m
