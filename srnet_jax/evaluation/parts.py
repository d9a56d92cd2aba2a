"""Find test poses that are rare as a whole although their parts are common.

This tests the paper's argument (Fig. 1). Eq. 10 is a mean over joints, each compared alone, so it cannot distinguish a rare
whole from rare parts. Here all joints of a pose, or of a part, are compared together: two configurations of joints have the
similarity exp(-m / (2 sigma^2)), where m is the mean over the joints of the squared distance, relative to the root in the
camera frame as in Eq. 9. The occurrence is the mean similarity to the reference poses. A part is one of the groups of the joint
set; for the 17 joints, one of the paper's five groups.
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
_RARE_PERCENT = 20.0  # of the whole poses count as rare
_QUERIES, _REFERENCES = 512, 8192  # poses compared at a time


def find(config: ConfigDict, parts: Split, commonness: np.ndarray) -> dict[str, np.ndarray]:
    """Find the test poses with a common whole, and those with a rare whole and common or rare parts.

    The rarest 20 % of the whole poses are halved by the rarity of their rarest part, which is ranked among the same part of all
    test poses. The other 80 % have a common whole.

    Args:
      config: of the data and the protocol: `rare_sigma_mm`, `rare_reference` and `rare_reference_step`.
      parts: the split with the test and training sequences.
      commonness: not used; the signature is that of `subsets.find`.

    Returns:
      Indices of test poses, by the name of the subset in the results.
    """
    del commonness
    whole, by_part = occurrences(config, parts)
    order = rarity.rarest(whole, 100)
    rare, common = np.split(order, [round(len(order) * _RARE_PERCENT / 100)])
    rarest_part = relative_ranks(by_part).min(0)[rare]
    by_rarest_part = rare[np.argsort(rarest_part, kind="stable")]
    with_rare_parts, with_common_parts = np.array_split(by_rarest_part, 2)
    found = {COMMON_WHOLE: common, COMMON_PARTS: with_common_parts, RARE_PARTS: with_rare_parts}
    return {name: indices for name, indices in found.items() if len(indices)}


def names(config: ConfigDict) -> tuple[str, ...]:
    """Return the names of the parts, for tables."""
    return tuple(name.replace("_", " ") for name, _ in joint_sets.of(config.model)[0].groups)


def ranks_of_parts(whole: np.ndarray, by_part: np.ndarray, percent: float) -> tuple[np.ndarray, float]:
    """Return how rare the parts of the rarest whole poses are.

    Args:
      whole: [N] float64 occurrence of each whole test pose, see `occurrences`.
      by_part: [P, N] float64 occurrence of each part.
      percent: of the whole poses to look at, the rarest.

    Returns:
      [P] float64 median rank of each part among all test poses, percent: 0 is the rarest, 50 the median.
      The share, 0 to 1, of these poses in which no part is among the rarest `percent` % of its kind, so that only the whole is
      rare.
    """
    found = relative_ranks(by_part)[:, rarity.rarest(whole, percent)]
    return 100 * np.median(found, axis=1), float((found.min(0) > percent / 100).mean())


def occurrences(config: ConfigDict, parts: Split) -> tuple[np.ndarray, np.ndarray]:
    """Compute the occurrence of each test pose as a whole, and of each of its parts.

    Args:
      config: of the data and the protocol.
      parts: the split with the test and training sequences.

    Returns:
      [N] of each whole test pose, and [P, N] of each part; float64, between 0 and 1.
    """
    protocol = config.protocol
    poses = root_relative_poses(parts.test)
    reference = root_relative_poses(parts.train) if protocol.rare_reference == "train" else poses
    reference = reference[:: protocol.rare_reference_step]
    sigmas = np.broadcast_to(np.asarray(protocol.rare_sigma_mm) / 1000, poses.shape[1])
    skeleton, _ = joint_sets.of(config.model)
    groups = [tuple(range(1, poses.shape[1])), *(members for _, members in skeleton.groups)]
    found = [configuration_occurrence(poses[:, group], reference[:, group], sigmas[list(group)]) for group in map(list, groups)]
    return found[0], np.array(found[1:])


def relative_ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value [..., N] in its row, from 0 (the smallest) to 1 (the largest), float64."""
    ranks = np.argsort(np.argsort(values, axis=-1, kind="stable"), axis=-1)
    return ranks / max(values.shape[-1] - 1, 1)


def configuration_occurrence(poses: np.ndarray, reference: np.ndarray, sigmas_m: np.ndarray) -> np.ndarray:
    """Return the mean over the reference poses of exp(-m / 2), where m is the mean over joints of (distance / sigma)^2.

    Args:
      poses: [N, K, 3] the K joints of a part, metres.
      reference: [M, K, 3] the same joints of the reference poses, metres.
      sigmas_m: [K] float64 sigma of each joint, metres.

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
    """Return [P], for each point [P, D] the sum of exp(-squared distance) to those of `others` [R, D] that are `real` [R]."""
    squared = jnp.square(points).sum(-1)[:, None] + jnp.square(others).sum(-1)[None]
    squared -= 2 * jnp.matmul(points, others.T, precision="highest")
    return jnp.where(real[None], jnp.exp(-jnp.maximum(squared, 0)), 0).sum(-1)
