"""Is a pose rare as a whole and common in its parts? The paper's argument (Fig. 1), as subsets of the test poses.

Eq. 10 is a mean over joints, each compared alone, so it cannot distinguish a rare whole from rare parts. Here the joints of a
pose, or of a part, are compared together: two configurations of joints have the similarity exp(-m / (2 sigma^2)), with m the
mean over the joints of the squared distance, relative to the root in the camera's frame as in Eq. 9. The occurrence is the mean
similarity to the reference. A part is one of the groups of the joint set: of the 17, the paper's five.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.data.protocols import Split
from srnet_jax.evaluation.ranking import root_relative_poses
from srnet_jax.pose import rarity

COMMON_PARTS, RARE_PARTS, COMMON_WHOLE = "rare whole, common parts", "rare whole, rare parts", "common whole"
_RARE_PERCENT = 20.0  # of whole poses
_QUERIES, _REFERENCES = 512, 8192  # poses compared at a time


def find(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Return subsets of the test poses, as indices, by their names in the results.

    The rarest 20 % of whole poses are halved by their rarest part: the place of that part among the same part of all test
    poses. The others are the common ones.

    Args:
      config: of the data and the protocol: `rare_sigma_mm`, `rare_reference` and `rare_reference_step`.
      parts: whose test and training poses these are.
      commonness: not used: the same arguments as `subsets.find`.
    """
    del commonness
    whole, by_part = occurrences(config, parts)
    order = rarity.rarest(whole, 100)
    rare, common = np.split(order, [round(len(order) * _RARE_PERCENT / 100)])
    rarest_part = places(by_part).min(0)[rare]
    by_rarest_part = rare[np.argsort(rarest_part, kind="stable")]
    with_rare_parts, with_common_parts = np.array_split(by_rarest_part, 2)
    found = {COMMON_WHOLE: common, COMMON_PARTS: with_common_parts, RARE_PARTS: with_rare_parts}
    return {name: indices for name, indices in found.items() if len(indices)}


def names(config: ConfigDict) -> tuple[str, ...]:
    """Return what tables call the parts."""
    return tuple(name.replace("_", " ") for name, _ in joint_sets.of(config.model)[0].groups)


def part_places(whole: np.ndarray, by_part: np.ndarray, percent: float) -> tuple[np.ndarray, float]:
    """Say how rare the parts of the rarest whole poses are; arguments as `occurrences` returns them.

    Returns:
      The median place [P] of each part, percent of all test poses: 0 is the rarest, 50 is usual. And the share of these poses
      whose parts are all outside the rarest `percent` % of that part, so that only the whole is rare.
    """
    found = places(by_part)[:, rarity.rarest(whole, percent)]
    return 100 * np.median(found, axis=1), float((found.min(0) > percent / 100).mean())


def occurrences(config: ConfigDict, parts: Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the occurrence of each whole test pose [N] and of each of its parts [P, N], float64."""
    protocol = config.protocol
    poses = root_relative_poses(parts.test)
    reference = root_relative_poses(parts.train) if protocol.rare_reference == "train" else poses
    reference = reference[:: protocol.rare_reference_step]
    sigmas = np.broadcast_to(np.asarray(protocol.rare_sigma_mm) / 1000, poses.shape[1])
    skeleton, _ = joint_sets.of(config.model)
    groups = [tuple(range(1, poses.shape[1])), *(members for _, members in skeleton.groups)]
    found = [configuration_occurrence(poses[:, group], reference[:, group], sigmas[list(group)]) for group in map(list, groups)]
    return found[0], np.array(found[1:])


def places(values: np.ndarray) -> np.ndarray:
    """Return the place of each value [..., N] among those of its row, from 0 (the smallest) to 1."""
    ranks = np.argsort(np.argsort(values, axis=-1, kind="stable"), axis=-1)
    return ranks / max(values.shape[-1] - 1, 1)


def configuration_occurrence(poses: np.ndarray, reference: np.ndarray, sigmas_m: np.ndarray) -> np.ndarray:
    """Return the mean over a reference of exp(-m / 2), with m the mean over joints of (distance / sigma) squared.

    Args:
      poses: [N, K, 3] the K joints of a part, metres.
      reference: [M, K, 3] the same joints of the reference.
      sigmas_m: [K] falloff of the similarity, metres.

    Returns:
      [N] float64, between 0 and 1.
    """
    scale = (1 / (sigmas_m * np.sqrt(2 * len(sigmas_m))))[:, None]
    points, others = (np.asarray(x * scale, np.float32).reshape(len(x), -1) for x in (poses, reference))
    total = np.zeros(len(points))
    for first in range(0, len(others), _REFERENCES):
        block = others[first : first + _REFERENCES]
        real = np.arange(_REFERENCES) < len(block)
        padded = jnp.asarray(np.pad(block, ((0, _REFERENCES - len(block)), (0, 0))))
        for start in range(0, len(points), _QUERIES):
            rows = points[start : start + _QUERIES]
            queries = jnp.asarray(np.pad(rows, ((0, _QUERIES - len(rows)), (0, 0))))
            total[start : start + _QUERIES] += np.asarray(_sums(queries, padded, jnp.asarray(real)), np.float64)[: len(rows)]
    return total / len(others)


@partial(jax.jit)
def _sums(points: jax.Array, others: jax.Array, real: jax.Array) -> jax.Array:
    """Return for each point [P, D] the sum of exp(-squared distance) to the others [R, D] that are real [R]."""
    squared = jnp.square(points).sum(-1)[:, None] + jnp.square(others).sum(-1)[None]
    squared -= 2 * jnp.matmul(points, others.T, precision="highest")
    return jnp.where(real[None], jnp.exp(-jnp.maximum(squared, 0)), 0).sum(-1)
