"""Find subsets of the test poses: rare by the body's articulation, or rare by the body's orientation.

The occurrence of Eq. 10 compares poses in the camera frame, so a pose can be rare because of its articulation or because of the
body's orientation, such as that of a person lying down. This module separates the two.
"""

import warnings

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.data.dataset import Sequence
from srnet_jax.data.protocols import Split
from srnet_jax.evaluation.ranking import cache_folder, rank, root_relative_poses
from srnet_jax.pose import rarity
from srnet_jax.pose.normalization import root_relative
from srnet_jax.pose.skeleton import H36M_17, ROOT, Skeleton

_NEEDED = ("Thorax", "LHip", "RHip")  # joints that show the body's orientation
_SHORT_M = 1e-6  # a vector shorter than this has no direction
_TILTS = ((0.0, 15.0, "torso tilt below 15°"), (15.0, 60.0, "torso tilt 15° to 60°"), (60.0, 181.0, "torso tilt above 60°"))
_ORIENTATION_SIGMA_DEG = 20.0


def body_frames(poses: np.ndarray, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """Return the orientation of each body.

    Left points from the right hip to the left hip. Up points from the root to the thorax, made orthogonal to left. Forward is
    left x up. If the hips or the torso have no length, or both have the same direction, an axis of the poses' frame replaces
    them.

    Args:
      poses: [N, J, 3] in any frame, metres.
      skeleton: of the J joints; it needs a thorax and hips.

    Returns:
      [N, 3, 3] float64 rotations, whose columns are the left, up and forward axes of the body.
    """
    thorax, left_hip, right_hip = skeleton.indices(_NEEDED)
    left = _directions(poses[:, left_hip] - poses[:, right_hip], np.array([1.0, 0.0, 0.0]))
    up = poses[:, thorax].astype(np.float64) - poses[:, ROOT]
    up -= (up * left).sum(-1, keepdims=True) * left
    another = np.eye(3)[np.abs(left).argmin(-1)]  # the axis furthest from left
    up = _directions(up, another - (another * left).sum(-1, keepdims=True) * left)
    return np.stack([left, up, np.cross(left, up)], axis=-1)


def _directions(vectors: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """Return vectors [N, 3] scaled to length one, float64; vectors without length are replaced by `instead`."""
    vectors = vectors.astype(np.float64)
    vectors = np.where(np.linalg.norm(vectors, axis=-1, keepdims=True) < _SHORT_M, instead, vectors)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def aligned(poses: np.ndarray, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """Return poses in the frame of the body (see `body_frames`), so that only the articulation is left.

    Args:
      poses: [N, J, 3] in any frame, metres.
      skeleton: of the J joints.

    Returns:
      [N, J, 3] root-relative joints, body frame, metres.
    """
    relative = root_relative(poses)
    return (relative.astype(np.float64) @ body_frames(relative, skeleton)).astype(poses.dtype)


def torso_tilts(poses: np.ndarray, up: np.ndarray, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """Return the angle between each body's torso, from the root to the thorax, and the vertical.

    Args:
      poses: [N, J, 3] in any frame, metres.
      up: [N, 3] unit vector that points up, in the frame of the poses.
      skeleton: of the J joints.

    Returns:
      [N] float64 degrees.
    """
    torso = _directions(poses[:, skeleton.joints.index("Thorax")] - poses[:, ROOT], np.array([0.0, 0.0, 1.0]))
    return np.degrees(np.arccos(np.clip((torso * up).sum(-1), -1, 1)))


def find(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Find common, rare and tilted test poses.

    - "common half": the most common half, by the config's ranking;
    - "articulation": the rarest by articulation, which is the config's ranking of `aligned` poses;
    - "orientation": the rarest by orientation, which is Eq. 10 for the direction of the vertical in the body frame, with a
      sigma of 20°; so the heading does not count;
    - "torso tilt": three ranges of the torso's angle to the vertical;
    - "upright, articulation": the rarest by articulation among the poses with a tilt below 15°.

    Orientation, tilt and upright need the world's vertical; they are left out if a camera's orientation is not known. All but
    the first are left out, with a warning, if the skeleton has no thorax or hips. The rarest are `protocol.rare_percents` of
    the poses.

    Args:
      config: of the data and the protocol.
      parts: the split with the test and training sequences.
      commonness: [N] float64 commonness of the test poses, by the config's ranking.

    Returns:
      Indices of test poses, by the name of the subset in the results.
    """
    protocol = config.protocol
    cache = cache_folder(config.test_data if protocol.name == "cross_dataset" else config.data)
    against = protocol.rare_reference == "train"  # index into (test, training): which of the two is the reference
    poses = [root_relative_poses(part) for part in (parts.test, parts.train)]
    found = {"common half": rarity.rarest(-commonness, 50)}

    def add_rarest(name: str, values: np.ndarray, among: np.ndarray) -> None:
        for percent in protocol.rare_percents if len(among) else ():
            found[f"{name}: rarest {percent:g} %"] = among[rarity.rarest(values[among], percent)]

    skeleton, _ = joint_sets.of(config.model)
    if missing := [name for name in _NEEDED if name not in skeleton.joints]:
        text = f"joint set {skeleton.name}: no {', '.join(missing)}; results by articulation, orientation and tilt are left out"
        warnings.warn(text, stacklevel=2)
        return found
    every = np.arange(len(poses[0]))
    articulation = rank(aligned(poses[0], skeleton), aligned(poses[against], skeleton), protocol, cache).values
    add_rarest("articulation", articulation, every)
    up, up_train = _ups(parts.test), _ups(parts.train)
    if up is None or up_train is None:
        return found
    turned = protocol.copy_and_resolve_references()
    with turned.ignore_type():
        turned.update(rare_ranking="occurrence", rare_sigma_mm=(2000 * np.sin(np.radians(_ORIENTATION_SIGMA_DEG / 2)),))
    verticals = [
        (u[:, None] @ body_frames(own, skeleton)).astype(np.float32) for u, own in zip((up, up_train), poses, strict=True)
    ]
    add_rarest("orientation", rank(verticals[0], verticals[against], turned, cache).values, every)
    tilts = torso_tilts(poses[0], up, skeleton)
    by_tilt = {name: np.flatnonzero((tilts >= low) & (tilts < high)) for low, high, name in _TILTS}
    found |= by_tilt
    add_rarest("upright, articulation", articulation, by_tilt[_TILTS[0][2]])
    return {name: indices for name, indices in found.items() if len(indices)}


def _ups(sequences: tuple[Sequence, ...]) -> np.ndarray | None:
    """Return the world's up in the camera frame of each test frame [N, 3]; None if a camera's orientation is not known."""
    if any(s.camera.orientation == (1.0, 0.0, 0.0, 0.0) for s in sequences):
        return None
    return np.concatenate([np.broadcast_to(s.camera.rotation[2], (s.num_frames, 3)) for s in sequences])
