"""Subsets of the test poses by what is rare about them: how the body is bent, or how it is turned.

The occurrence of Eq. 10 compares poses as the camera sees them, so a pose can be rare for its articulation or for the body's
orientation, such as that of a person lying down. This module separates the two.
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
    """Return the orientation of each body: rotations [N, 3, 3] whose columns are its left, up and forward axes.

    Left is from the right to the left hip; up is from the root to the thorax, made orthogonal to it; forward follows. If hips
    or torso have no extent, or the same direction, an axis of the poses' own frame takes their place.

    Args:
      poses: [N, J, 3] in any frame, any unit of length near a metre.
      skeleton: of the J joints; it has a thorax and hips.
    """
    thorax, left_hip, right_hip = skeleton.indices(_NEEDED)
    left = _directions(poses[:, left_hip] - poses[:, right_hip], np.array([1.0, 0.0, 0.0]))
    up = poses[:, thorax].astype(np.float64) - poses[:, ROOT]
    up -= (up * left).sum(-1, keepdims=True) * left
    another = np.eye(3)[np.abs(left).argmin(-1)]  # the axis furthest from left
    up = _directions(up, another - (another * left).sum(-1, keepdims=True) * left)
    return np.stack([left, up, np.cross(left, up)], axis=-1)


def _directions(vectors: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """Return vectors [N, 3] with length one, float64; those of no length are replaced first."""
    vectors = vectors.astype(np.float64)
    vectors = np.where(np.linalg.norm(vectors, axis=-1, keepdims=True) < _SHORT_M, instead, vectors)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def aligned(poses: np.ndarray, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """Return poses [N, J, 3] relative to the root in the body's own frame, see `body_frames`: articulation alone."""
    relative = root_relative(poses)
    return (relative.astype(np.float64) @ body_frames(relative, skeleton)).astype(poses.dtype)


def torso_tilts(poses: np.ndarray, up: np.ndarray, skeleton: Skeleton = H36M_17) -> np.ndarray:
    """Return the angle [N] in degrees between a body's torso, from the root to the thorax, and the vertical [N, 3]."""
    torso = _directions(poses[:, skeleton.joints.index("Thorax")] - poses[:, ROOT], np.array([0.0, 0.0, 1.0]))
    return np.degrees(np.arccos(np.clip((torso * up).sum(-1), -1, 1)))


def find(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Return subsets of the test poses, as indices, by their names in the results.

    - the most common half, by the config's ranking;
    - the rarest by articulation: the config's ranking of `aligned` poses;
    - the rarest by orientation: Eq. 10 of the vertical's direction in the body's frame, with a sigma of 20°, so that the
      heading does not count;
    - by the torso's tilt, and of the upright (below 15°) the rarest by articulation.

    The last two are left out if a camera's place in the world is not known; all but the first, with a warning, if the joints
    have no thorax or hips. Percentages are `protocol.rare_percents`.

    Args:
      config: of the data and the protocol.
      parts: whose test and training poses these are.
      commonness: [N] of the test poses, by the config's ranking.
    """
    protocol = config.protocol
    cache = cache_folder(config.test_data if protocol.name == "cross_dataset" else config.data)
    against = protocol.rare_reference == "train"  # which of a pair, test and training poses, is the reference
    poses = [root_relative_poses(part) for part in (parts.test, parts.train)]
    found = {"common half": rarity.rarest(-commonness, 50)}

    def add_rarest(name: str, values: np.ndarray, among: np.ndarray) -> None:
        for percent in protocol.rare_percents if len(among) else ():
            found[f"{name}: rarest {percent:g} %"] = among[rarity.rarest(values[among], percent)]

    skeleton, _ = joint_sets.of(config.model)
    if missing := [name for name in _NEEDED if name not in skeleton.joints]:
        text = f"{skeleton.name} has no joint {', '.join(missing)}: results by articulation, orientation and tilt are left out"
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
    """Return the world's vertical in each frame's camera [N, 3], or None if a camera's place in the world is not known."""
    if any(s.camera.orientation == (1.0, 0.0, 0.0, 0.0) for s in sequences):
        return None
    return np.concatenate([np.broadcast_to(s.camera.rotation[2], (s.num_frames, 3)) for s in sequences])
