"""Test poses by what is rare about them: how the body is bent, or how it is turned.

The occurrence of Eq. 10 compares poses as the camera sees them, so that a pose can be rare for its articulation or for the
body's orientation, as in people who lie. Here the two are told apart.
"""

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data.dataset import Sequence
from srnet_jax.data.protocols import Split
from srnet_jax.evaluation.ranking import cache_folder, rank
from srnet_jax.pose import rarity
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.normalization import root_relative
from srnet_jax.pose.skeleton import H36M_17, ROOT

_THORAX, _LEFT_HIP, _RIGHT_HIP = (H36M_17.joints.index(name) for name in ("Thorax", "LHip", "RHip"))
_SHORT_M = 1e-6  # a vector shorter than this has no direction
_TILTS = ((0.0, 15.0, "torso tilt below 15°"), (15.0, 60.0, "torso tilt 15° to 60°"), (60.0, 181.0, "torso tilt above 60°"))
_ORIENTATION_SIGMA_DEG = 20.0


def body_frames(poses: np.ndarray) -> np.ndarray:
    """Return the orientation of each body: rotations [N, 3, 3] whose columns are its left, up and forward axes.

    Left is from the right to the left hip; up is from the root to the thorax, made orthogonal to it; forward follows. Where
    hips or torso have no extent, or the same direction, an axis of the frame that the poses are in takes their place.

    Args:
      poses: [N, J, 3] in any frame, any unit of length near a metre.
    """
    left = _directions(poses[:, _LEFT_HIP] - poses[:, _RIGHT_HIP], np.array([1.0, 0.0, 0.0]))
    up = poses[:, _THORAX].astype(np.float64) - poses[:, ROOT]
    up -= (up * left).sum(-1, keepdims=True) * left
    another = np.eye(3)[np.abs(left).argmin(-1)]  # the axis furthest from left
    up = _directions(up, another - (another * left).sum(-1, keepdims=True) * left)
    return np.stack([left, up, np.cross(left, up)], axis=-1)


def _directions(vectors: np.ndarray, instead: np.ndarray) -> np.ndarray:
    """Return vectors [N, 3] with length one, float64; those of no length are replaced first."""
    vectors = vectors.astype(np.float64)
    vectors = np.where(np.linalg.norm(vectors, axis=-1, keepdims=True) < _SHORT_M, instead, vectors)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def aligned(poses: np.ndarray) -> np.ndarray:
    """Return poses [N, J, 3] relative to the root in the body's own frame, see `body_frames`: articulation alone."""
    relative = root_relative(poses)
    return (relative.astype(np.float64) @ body_frames(relative)).astype(poses.dtype)


def up_in_camera(camera: Camera) -> np.ndarray | None:
    """Return the world's vertical [3] in the camera's frame, or None for a camera whose place in the world is not known."""
    if camera.orientation == (1.0, 0.0, 0.0, 0.0):
        return None
    return camera.rotation[2]


def torso_tilts(poses: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Return the angle [N] in degrees between a body's torso, from the root to the thorax, and the vertical [N, 3]."""
    torso = _directions(poses[:, _THORAX] - poses[:, ROOT], np.array([0.0, 0.0, 1.0]))
    return np.degrees(np.arccos(np.clip((torso * up).sum(-1), -1, 1)))


def find(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Return subsets of the test poses, as indices, by what tables call them.

    - the half that is most common, by the config's ranking;
    - the rarest by articulation: as the config ranks, of `aligned` poses;
    - the rarest by orientation: Eq. 10 of the vertical's direction in the body's frame, with a sigma of 20°, so that the
      heading does not count;
    - by the torso's tilt, and of the upright (below 15°) the rarest by articulation.

    The last two are left out where a camera's place in the world is not known. Percentages are `protocol.rare_percents`.

    Args:
      config: of the data and the protocol.
      parts: whose test and training poses these are.
      commonness: [N] of the test poses, by the config's ranking.
    """
    percents, protocol = config.protocol.rare_percents, config.protocol
    cache = cache_folder(config.test_data if protocol.name == "cross_dataset" else config.data)
    test, train = _poses(parts.test), _poses(parts.train)
    common = rarity.rarest(-commonness, 50)
    found = {"common half": common}
    articulation = rank(aligned(test), aligned(train if protocol.rare_reference == "train" else test), protocol, cache).values
    for percent in percents:
        found[f"articulation: rarest {percent:g} %"] = rarity.rarest(articulation, percent)
    up, up_train = _ups(parts.test), _ups(parts.train)
    if up is None or up_train is None:
        return found
    turned = protocol.copy_and_resolve_references()
    with turned.ignore_type():
        turned.update(rare_ranking="occurrence", rare_sigma_mm=(2000 * np.sin(np.radians(_ORIENTATION_SIGMA_DEG / 2)),))
    verticals = [(u[:, None] @ body_frames(poses)).astype(np.float32) for u, poses in ((up, test), (up_train, train))]
    orientation = rank(verticals[0], verticals[protocol.rare_reference == "train"], turned, cache).values
    for percent in percents:
        found[f"orientation: rarest {percent:g} %"] = rarity.rarest(orientation, percent)
    tilts = torso_tilts(test, up)
    for low, high, name in _TILTS:
        found[name] = np.flatnonzero((tilts >= low) & (tilts < high))
    upright = found[_TILTS[0][2]]
    for percent in percents if len(upright) else ():
        chosen = upright[rarity.rarest(articulation[upright], percent)]
        found[f"upright, articulation: rarest {percent:g} %"] = chosen
    return {name: indices for name, indices in found.items() if len(indices)}


def _poses(sequences: tuple[Sequence, ...]) -> np.ndarray:
    return np.concatenate([root_relative(s.poses_3d) for s in sequences])


def _ups(sequences: tuple[Sequence, ...]) -> np.ndarray | None:
    """Return the vertical of each frame [N, 3], or None if one is not known."""
    ups = [up_in_camera(s.camera) for s in sequences]
    known = [np.broadcast_to(up, (s.num_frames, 3)) for s, up in zip(sequences, ups, strict=True) if up is not None]
    return np.concatenate(known) if len(known) == len(sequences) else None
