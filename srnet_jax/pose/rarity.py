"""Measure how rare a pose is: pose similarity and occurrence (paper Sec. 4.2, Eq. 9 and 10), and the official rankings."""

import dataclasses
from collections.abc import Sequence as Seq
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from rich import get_console
from rich.progress import track

from srnet_jax.errors import UserError

_POSES, _REFERENCES = 256, 8192  # block sizes of the exact sum; the whole reference set is on the device
_EXACT_PAIRS = 200_000_000  # up to this many pairs of poses, the exact sum takes a few seconds
_CELLS = 4  # grid cells per sigma
_MAX_CELLS = 2**26  # of one joint's grid, which needs about 1.5 GB while it is filled
_QUERIES = 65_536  # points looked up in one device call
_SAMPLE = 200  # poses whose exact sums measure the error of the grid


@dataclasses.dataclass(frozen=True)
class Commonness:
    """How often poses similar to each of N poses occur in a reference set.

    Attributes:
      values: [N] float64 mean similarity to the reference; rare poses have small values. Values are between 0 and 1; for the
        ranking "mean_distance" they are negative distances, metres.
      how: a short description of the computation, with the measured error if it is not exact.
    """

    values: np.ndarray
    how: str


def commonness(
    poses: np.ndarray,
    reference: np.ndarray,
    *,
    sigma_m: float | Seq[float],
    ranking: str = "occurrence",
    method: str = "auto",
) -> Commonness:
    """Compute how often poses similar to each pose occur in a reference set.

    Args:
      poses: [N, J, 3] root-relative poses, camera frame, metres.
      reference: [M, J, 3] poses in the same form.
      sigma_m: falloff of the similarity, metres: one number, or one for each joint.
      ranking: what is averaged over reference poses and joints, for joints at distance d. "occurrence": exp(-d^2 / (2
        sigma^2)), Eq. 10. "exponential": exp(-d / sigma), as in the official `filter_data.py`. "mean_distance": -d, as in the
        official list of infrequent poses; sigma is not used.
      method: "exact": the sum over all pairs. "grid": `occurrence_on_grid`, only for Eq. 10. "auto": the exact sum for up to
        200 million pairs, for the other rankings, and if sigma would need too fine a grid; otherwise the grid.

    Returns:
      The values and how they were computed. The error of the grid is measured against exact sums of 200 poses.

    Raises:
      UserError: if `method` is "grid" and the grid cannot be used.

    Note:
      The root, which is zero in every pose, is one of the J joints of Eq. 9 and adds the same to all poses.

    Source: paper Eq. 9 and 10; the paper gives neither sigma nor the reference set.

    Example:
      Two of three poses are equal; the third is 1 m away.

      >>> import numpy as np
      >>> from srnet_jax.pose.rarity import commonness
      >>> poses = np.zeros((3, 17, 3), np.float32)
      >>> poses[2] = 1.0
      >>> commonness(poses, poses, sigma_m=0.1).values.round(3)
      array([0.667, 0.667, 0.333])
    """
    sigmas = np.broadcast_to(np.asarray(sigma_m, np.float64), poses.shape[1])
    suits = ranking == "occurrence" and max(np.prod(s) for s in _shapes(poses, reference, sigmas)) <= _MAX_CELLS
    if method == "grid" and not suits:
        raise UserError(
            f"no grid for the ranking {ranking!r} with sigma {1000 * sigmas.min():g} mm: it is too fine, or not Eq. 10"
        )
    if method == "exact" or not suits or (method == "auto" and len(poses) * len(reference) <= _EXACT_PAIRS):
        return Commonness(_exact(poses, reference, sigmas, ranking), f"exact sums over {len(reference):,} poses")
    values = occurrence_on_grid(poses, reference, sigmas)
    sample = np.unique(np.linspace(0, len(poses) - 1, _SAMPLE).astype(int))
    error = np.abs(values[sample] / _exact(poses[sample], reference, sigmas, ranking) - 1).max()
    return Commonness(
        values,
        f"densities on a grid of sigma/{_CELLS} over {len(reference):,} poses, "
        f"largest error against the exact sums of {len(sample)} poses {100 * error:.3f} %",
    )


def rarest(values: np.ndarray, percent: float) -> np.ndarray:
    """Return the indices of the given percentage of poses with the lowest commonness.

    Args:
      values: [N] commonness of the poses.
      percent: 0 to 100.

    Returns:
      Indices, rarest first; at least one.

    Example:
      >>> import numpy as np
      >>> from srnet_jax.pose.rarity import rarest
      >>> rarest(np.array([0.7, 0.1, 0.4, 0.9]), percent=50)
      array([1, 2])
    """
    count = max(round(len(values) * percent / 100), 1)
    return np.argsort(values, kind="stable")[:count]


def _exact(poses: np.ndarray, reference: np.ndarray, sigmas: np.ndarray, ranking: str) -> np.ndarray:
    """Return the mean similarity [N] of poses to the whole reference, computed block by block."""
    size = min(_REFERENCES, 1 << (len(reference) - 1).bit_length())  # few different sizes, so that few are compiled
    counts = np.diff(np.append(np.arange(0, len(reference), size), len(reference)))
    blocks = jnp.asarray(_padded(reference, size).reshape(-1, size, *reference.shape[1:]), jnp.float32)
    real = jnp.asarray(np.arange(size) < counts[:, None], jnp.float32)
    falloffs = jnp.asarray(sigmas, jnp.float32)
    total = np.zeros(len(poses))
    starts = range(0, len(poses), _POSES)
    shown = len(poses) * len(reference) > _EXACT_PAIRS and get_console().is_terminal
    for first in track(starts, "comparing poses", transient=True, disable=not shown):
        block = jnp.asarray(_padded(poses[first : first + _POSES], _POSES), jnp.float32)
        sums = np.asarray(_similarity_sums(block, blocks, real, falloffs, ranking), np.float64).sum(0)
        total[first : first + _POSES] = sums[: len(poses) - first]
    return total / (len(reference) * poses.shape[1])


def _padded(array: np.ndarray, size: int) -> np.ndarray:
    """Pad the first axis with zeros to a multiple of `size`."""
    return np.pad(array, ((0, -len(array) % size), (0, 0), (0, 0)))


@partial(jax.jit, static_argnames="ranking")
def _similarity_sums(poses: jax.Array, blocks: jax.Array, real: jax.Array, sigmas: jax.Array, ranking: str) -> jax.Array:
    """Return the summed similarity of poses [P, J, 3] to each block of the reference [K, R, J, 3]: [K, P].

    `real` [K, R] is 0 for the poses that pad the last block, else 1; `sigmas` is [J].
    """

    def with_block(_: None, block: tuple[jax.Array, jax.Array]) -> tuple[None, jax.Array]:
        reference, weights = block

        def with_joint(total: jax.Array, points: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, None]:
            a, b, sigma = points
            squared = jnp.zeros((len(a), len(b)))
            for axis in range(a.shape[-1]):  # not a matrix product, which loses small distances and is rounded on some GPUs
                squared += jnp.square(a[:, axis, None] - b[None, :, axis])
            if ranking == "occurrence":
                similarity = jnp.exp(squared * (-0.5 / sigma**2))
            else:
                distance = jnp.sqrt(squared)
                similarity = jnp.exp(-distance / sigma) if ranking == "exponential" else -distance
            return total + (similarity * weights[None]).sum(-1), None

        by_joint = (poses.swapaxes(0, 1), reference.swapaxes(0, 1), sigmas)
        return None, jax.lax.scan(with_joint, jnp.zeros(len(poses)), by_joint)[0]

    return jax.lax.scan(with_block, None, (blocks, real))[1]


def occurrence_on_grid(poses: np.ndarray, reference: np.ndarray, sigmas: np.ndarray) -> np.ndarray:
    """Compute the occurrence of poses from densities on a grid.

    Eq. 10 is a mean over joints of sums of 3D Gaussians, one around each pose of the reference. For each joint, the reference
    points are spread over the nearest 27 points of a grid, the grid is filtered with a Gaussian along its three axes, and the
    densities are interpolated at the poses. Spreading and interpolating blur with quadratic B-splines; the filter is corrected
    for their variance and fourth cumulant. The time does not depend on the number of pairs.

    Args:
      poses: [N, J, 3] root-relative poses, metres.
      reference: [M, J, 3] poses in the same form.
      sigmas: [J] falloff of the similarity, metres.

    Returns:
      [N] float64 occurrence of each pose.
    """
    total = np.zeros(len(poses))
    for joint, (sigma, shape) in enumerate(zip(sigmas, _shapes(poses, reference, sigmas), strict=True)):
        low = np.minimum(poses[:, joint].min(0), reference[:, joint].min(0))

        def to_cells(points: np.ndarray, low=low, sigma=sigma) -> np.ndarray:
            return ((points - low) * (_CELLS / sigma) + 1).astype(np.float32)

        density = _spread(to_cells(reference[:, joint]), shape)
        density = _filtered(jnp.asarray(density), *(jnp.asarray(_gaussian_filter(size)) for size in shape))
        for first in range(0, len(poses), _QUERIES):
            points = poses[first : first + _QUERIES, joint]
            padded = np.pad(to_cells(points), ((0, _QUERIES - len(points)), (0, 0)), constant_values=1)
            total[first : first + _QUERIES] += np.asarray(_look_up(density, jnp.asarray(padded)), np.float64)[: len(points)]
    return total / (len(reference) * poses.shape[1])


def _shapes(poses: np.ndarray, reference: np.ndarray, sigmas: np.ndarray) -> list[tuple[int, ...]]:
    """Return the shape of each joint's grid: the box of its points plus one cell around, rounded up to compile few shapes."""
    low, high = np.minimum(poses.min(0), reference.min(0)), np.maximum(poses.max(0), reference.max(0))
    cells = np.ceil((high - low).astype(np.float64) * _CELLS / sigmas[:, None]) + 3
    return [tuple(int(size) for size in sizes) for sizes in np.ceil(cells / 32) * 32]


def _spline(offset):
    """Return the quadratic B-spline weights of the grid points before, at and after the nearest one; |offset| <= 1/2."""
    return (0.5 - offset) ** 2 / 2, 0.75 - offset**2, (0.5 + offset) ** 2 / 2


def _spread(points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Spread points [M, 3] over a grid; in double precision, because many points may fall into one cell."""
    nearest = np.rint(points).astype(np.int64)
    x, y, z = (_spline(axis) for axis in (points - nearest).T)
    cell = np.ravel_multi_index(tuple(nearest.T), shape)
    density = np.zeros(np.prod(shape))
    for i in range(3):
        for j in range(3):
            for k in range(3):
                step = ((i - 1) * shape[1] + j - 1) * shape[2] + k - 1
                density += np.bincount(cell + step, x[i] * y[j] * z[k], len(density))
    return density.reshape(shape).astype(np.float32)


def _gaussian_filter(size: int) -> np.ndarray:
    """Return the matrix [size, size] that filters an axis; together with two splines it makes a Gaussian of `_CELLS` cells.

    Each spline has the variance 1/4 and the fourth cumulant -1/40 of three boxes; a Gram-Charlier term corrects the latter.
    """
    variance = _CELLS**2 - 0.5
    squared = np.square(np.arange(size)[:, None] - np.arange(size)) / variance
    hermite = squared**2 - 6 * squared + 3
    fourth = (0.05 / 24) / variance**2
    return (np.exp(-squared / 2) * (1 + fourth * hermite) * (_CELLS / np.sqrt(variance))).astype(np.float32)


@jax.jit
def _filtered(density: jax.Array, x: jax.Array, y: jax.Array, z: jax.Array) -> jax.Array:
    product = partial(jnp.einsum, precision="highest")
    density = product("ai,ijk->ajk", x, density)
    density = product("bj,ajk->abk", y, density)
    return product("ck,abk->abc", z, density)


@jax.jit
def _look_up(density: jax.Array, points: jax.Array) -> jax.Array:
    """Interpolate the density [P] at points [P, 3], in grid cells."""
    _, height, depth = density.shape
    nearest = jnp.rint(points).astype(jnp.int32)
    x, y, z = (_spline(axis) for axis in (points - nearest.astype(points.dtype)).T)
    cell = (nearest[:, 0] * height + nearest[:, 1]) * depth + nearest[:, 2]
    values = density.reshape(-1)
    total = jnp.zeros(len(points))
    for i in range(3):
        for j in range(3):
            for k in range(3):
                step = ((i - 1) * height + j - 1) * depth + k - 1
                total += x[i] * y[j] * z[k] * values[cell + step]
    return total
