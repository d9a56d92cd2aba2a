"""Errors of poses, as pure functions over any leading axes.

All take `predicted` and `target` [..., J, 3] in the same frame and unit, of equal shapes, and return that dtype. Errors are one
a pose [...] in that unit; averages are the caller's, so that no average is ever averaged.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from srnet_jax.pose.skeleton import H36M_17, PCK_JOINTS, Skeleton

PCK_THRESHOLD_M = 0.15
_AUC_STEPS = 31
_BLOCK = 2048  # poses measured in one device call: few enough to stay in a processor's cache


def _length(vectors: jax.Array) -> jax.Array:
    """Return the length of vectors [..., 3], NaN of NaN; its gradient at zero is zero, not NaN."""
    squared = jnp.square(vectors).sum(-1)
    zero = squared == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, squared)))


def _check_shapes(predicted: jax.Array | np.ndarray, target: jax.Array | np.ndarray) -> None:
    if predicted.shape != target.shape:
        raise ValueError(f"predicted poses have the shape {predicted.shape}, targets {target.shape}; expected equal shapes")


def joint_errors(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the position error of each joint.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [..., J] Euclidean distances, in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.
    """
    _check_shapes(predicted, target)
    return _length(predicted - target)


def mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the mean per-joint position error of each pose (Protocol #1).

    The root counts like every joint, with its own prediction, as in the official code.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [...] mean Euclidean distance over the joints, in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.

    Source: paper Sec. 4.1.
    """
    return joint_errors(predicted, target).mean(-1)


def n_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return MPJPE after scaling each predicted pose by the factor that fits its target best; arguments as `mpjpe`.

    Source: the official code (no translation, no rotation).
    """
    _check_shapes(predicted, target)
    squared = jnp.square(predicted).sum((-2, -1), keepdims=True)
    scale = (target * predicted).sum((-2, -1), keepdims=True) / jnp.where(squared > 0, squared, 1)
    return mpjpe(scale * predicted, target)


def p_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return MPJPE after the similarity alignment of each predicted pose (PA-MPJPE, Protocol #2); arguments as `mpjpe`.

    Source: the official code; see `similarity_aligned`.
    """
    return mpjpe(similarity_aligned(predicted, target), target)


@jax.jit
def similarity_aligned(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Move, turn and scale each predicted pose so that it fits its target best, in the least-squares sense; no reflection.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [..., J, 3] the aligned predictions. All joints of a collapsed prediction move to the target's mean.

    Raises:
      ValueError: if the shapes differ.

    Source: B. K. P. Horn, Closed-form solution of absolute orientation using unit quaternions, JOSA A 4 (1987).

    Note:
      It computes in float64, whatever the inputs' dtype and JAX's settings: where two rotations fit almost equally well, as for
      some mirrored poses, float32's rounding would choose between them. It cannot be differentiated in reverse mode.
    """
    _check_shapes(predicted, target)
    with jax.enable_x64(True):
        own, other = (x.astype(jnp.float64).reshape(-1, *x.shape[-2:]) for x in (predicted, target))  # [N, J, 3]
        middle, own_middle = (sum(x[:, j : j + 1] for j in range(x.shape[1])) / x.shape[1] for x in (other, own))
        offsets = own - own_middle
        correlation = _products(offsets, other - middle, 1)  # [N, 3, 3]
        rotation = jnp.moveaxis(_best_rotation(jnp.moveaxis(correlation, 0, -1)), -1, 0)
        squared = jnp.square(offsets).sum((1, 2))
        rounding = jnp.square(own.shape[1] * jnp.finfo(own.dtype).eps) * jnp.square(own).sum((1, 2))
        scale = (rotation * correlation).sum((1, 2)) / jnp.where(squared > 0, squared, 1)
        scale = jnp.where(squared > rounding, scale, 0)[:, None, None]
        return (_products(offsets, scale * rotation, 2) + middle).reshape(predicted.shape).astype(predicted.dtype)


def _products(left: jax.Array, right: jax.Array, axis: int) -> jax.Array:
    """Multiply matrices [N, ...] over an axis of the left and the first of the right; jnp's would warn outside enable_x64."""
    return jax.lax.dot_general(left, right, (((axis,), (1,)), ((0,), (0,))))


def _best_rotation(correlation: jax.Array) -> jax.Array:
    """Return the rotations R [3, 3, N] that maximise the sums of R * correlation; row vectors are turned by x @ R.

    A unit quaternion q makes this sum q' M q, with Horn's symmetric matrix M [4, 4]; so q is the eigenvector of the largest
    eigenvalue. M is made positive definite, and squared until only this eigenvector is left of it: then all columns are
    multiples of q. If eigenvalues are equal, the optima are many, and a column is still one of them.

    Note:
      LAPACK is shorter, but in JAX 0.10.2 it hangs on a CPU if two threads call it, as in `in_blocks`. Seconds of PA-MPJPE of
      543,344 poses in one thread, on two busy cores, and the largest difference from NumPy's SVD, degenerate poses included:

          this               1.1 s   3.1e-9 mm in a million poses
          jnp.linalg.eigh    2.0 s   2.3e-9 mm in 240,000
          jnp.linalg.svd     2.5 s   2.5e-12 mm in a million
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = correlation
    matrix = jnp.array(
        [
            [xx + yy + zz, yz - zy, zx - xz, xy - yx],
            [yz - zy, xx - yy - zz, xy + yx, zx + xz],
            [zx - xz, xy + yx, yy - zz - xx, yz + zy],
            [xy - yx, zx + xz, yz + zy, zz - xx - yy],
        ]
    )  # [4, 4, N]
    norm = jnp.sqrt(jnp.square(matrix).sum((0, 1), keepdims=True))  # no eigenvalue is below -norm
    matrix = (matrix / jnp.where(norm > 0, norm, 1) + np.eye(4)[:, :, None]) / 4  # of trace 1

    def square(state: Any) -> Any:
        step, _, matrix = state
        matrix = sum(matrix[:, k, None] * matrix[None, k] for k in range(4))
        trace = sum(matrix[k, k] for k in range(4))[None, None]  # 1 if only q is left
        return step + 1, trace, matrix / trace

    def unfinished(state: Any) -> Any:
        return (state[0] < 52) & (state[1] < 1 - 1e-7).any()

    _, _, matrix = jax.lax.while_loop(unfinished, square, (0, jnp.zeros_like(norm), matrix))
    largest, quaternion = matrix[0, 0], matrix[0]
    for k in range(1, 4):  # argmax would need 64-bit whole numbers
        quaternion = jnp.where((matrix[k, k] > largest)[None], matrix[k], quaternion)
        largest = jnp.maximum(matrix[k, k], largest)
    w, x, y, z = quaternion / jnp.sqrt(jnp.square(quaternion).sum(0, keepdims=True))
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)],
            [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)],
            [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def bone_vectors(poses: jax.Array, parents: tuple[int, ...]) -> jax.Array:
    """Return the vector from its parent to each joint, zero for the root.

    Args:
      poses: [..., J, 3] joints.
      parents: index of each joint's parent, -1 for the root.

    Returns:
      [..., J, 3] in the inputs' unit.
    """
    own = np.arange(len(parents))
    return poses - poses[..., np.where(np.array(parents) < 0, own, parents), :]


def bone_length_error(predicted: jax.Array, target: jax.Array, parents: tuple[int, ...]) -> jax.Array:
    """Return the mean over the bones of how much each one's length differs from the target's.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.
      parents: index of each joint's parent, -1 for the root, which has no bone.

    Returns:
      [...] in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.
    """
    _check_shapes(predicted, target)
    lengths, expected = (_length(bone_vectors(poses, parents)) for poses in (predicted, target))
    return jnp.abs(lengths - expected).sum(-1) / sum(parent >= 0 for parent in parents)


def symmetry_error(predicted: jax.Array, skeleton: Skeleton) -> jax.Array:
    """Return the mean difference between the lengths of left and right bones.

    Args:
      predicted: [..., J, 3] joints.
      skeleton: its bones to the left joints are compared to those to the right joints.

    Returns:
      [...] in the input's unit; of the prediction alone, there is no target.

    Note: the official code averages the signed difference of each bone over a video first, so that errors cancel.
    """
    lengths = _length(bone_vectors(predicted, skeleton.parents))
    left, right = (lengths[..., np.array(joints)] for joints in (skeleton.joints_left, skeleton.joints_right))
    return jnp.abs(left - right).mean(-1)


def pck(distances: jax.Array, threshold: float) -> jax.Array:
    """Return the share [...] of `joint_errors` [..., J] that are below the threshold (strictly), in their dtype.

    Source: paper Sec. 4.2; the official code takes 150 mm.
    """
    return (distances < threshold).mean(-1, dtype=distances.dtype)


def auc(distances: jax.Array, threshold: float) -> jax.Array:
    """Return the mean of `pck` at 31 thresholds from 0 to the given one.

    Source: the official code.
    """
    thresholds = jnp.array([threshold * step / (_AUC_STEPS - 1) for step in range(_AUC_STEPS)], distances.dtype)
    not_above = jnp.searchsorted(thresholds, distances, side="right", method="compare_all")  # of the thresholds
    return (_AUC_STEPS - not_above).mean(-1, dtype=distances.dtype) / _AUC_STEPS


@partial(jax.jit, static_argnames="skeleton")
def pose_errors(predicted: jax.Array, target: jax.Array, skeleton: Skeleton) -> dict[str, jax.Array]:
    """Return every metric of each pose; compiled.

    Args:
      predicted: [N, J, 3] joints, metres.
      target: [N, J, 3] joints, metres.
      skeleton: of the J joints.

    Returns:
      `mpjpe`, `p_mpjpe`, `n_mpjpe`, `bone_length` and `symmetry` [N] and `joints` [N, J], metres; and shares [N] at 150 mm:
      `pck_17` and `auc_17` over all joints, whose number the name tells, and, where the joints are those of `H36M_17`, `pck_14`
      and `auc_14` over the ones that MPI-INF-3DHP's protocol counts.

    Raises:
      ValueError: if the shapes differ.
    """
    distances = joint_errors(predicted, target)
    result = {
        "mpjpe": distances.mean(-1),
        "p_mpjpe": p_mpjpe(predicted, target),
        "n_mpjpe": n_mpjpe(predicted, target),
        "bone_length": bone_length_error(predicted, target, skeleton.parents),
        "symmetry": symmetry_error(predicted, skeleton),
        "joints": distances,
    }
    counted = [PCK_JOINTS] if skeleton.joints == H36M_17.joints else []
    for joints in [*counted, tuple(range(skeleton.num_joints))]:
        result[f"pck_{len(joints)}"] = pck(distances[:, np.array(joints)], PCK_THRESHOLD_M)
        result[f"auc_{len(joints)}"] = auc(distances[:, np.array(joints)], PCK_THRESHOLD_M)
    return result


def measure(predicted: np.ndarray, target: np.ndarray, skeleton: Skeleton) -> dict[str, np.ndarray]:
    """Return `pose_errors` of any number of poses, computed in float64; arguments as there, results float64 on the host."""
    return in_blocks(partial(pose_errors, skeleton=skeleton), predicted, target)


def measure_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return `mpjpe` [N] of any number of poses [N, J, 3], computed in float64; float64 on the host."""
    return in_blocks(jax.jit(mpjpe), predicted, target)


def in_blocks(function: Callable[..., Any], predicted: np.ndarray, target: np.ndarray) -> Any:
    """Compute a function of poses in float64, in blocks of constant size: it needs the same device memory for any number.

    Args:
      function: compiled; takes predicted and target [n, J, 3], returns an array, or a dict of arrays, whose first axis is n.
      predicted: [N, J, 3] joints.
      target: [N, J, 3] joints.

    Returns:
      What the function returns, of all N poses.

    Raises:
      ValueError: if the shapes differ.
    """
    _check_shapes(predicted, target)

    def block(start: int) -> Any:
        poses = np.zeros((2, _BLOCK, *target.shape[1:]))
        count = len(target[start : start + _BLOCK])
        poses[0, :count], poses[1, :count] = predicted[start : start + count], target[start : start + count]
        with jax.enable_x64(True):
            return jax.tree.map(lambda values: values[:count], jax.device_get(function(poses[0], poses[1])))

    with ThreadPoolExecutor(2) as pool:  # one block is copied while another is computed
        blocks = list(pool.map(block, range(0, max(len(target), 1), _BLOCK)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *blocks)
