"""Error metrics of 3D poses: MPJPE and its variants, bone lengths, PCK and AUC.

Each metric takes `predicted` and `target` [..., J, 3] of equal shapes, in the same frame and unit, and returns the inputs'
dtype. It returns one error for each pose [...], in the inputs' unit. The caller averages them, so that no average is averaged.
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
_BLOCK = 2048  # poses measured in one device call; small enough to stay in a processor's cache


def _length(vectors: jax.Array) -> jax.Array:
    """Return the lengths of vectors [..., 3]; NaN gives NaN. The gradient at zero is zero, not NaN."""
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

    The root counts as every other joint does, as in the official code.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [...] mean Euclidean distance over the joints, in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.

    Source: paper Sec. 4.1.

    Example:
      One of 17 joints is off by 170 mm.

      >>> import jax.numpy as jnp
      >>> from srnet_jax.pose.metrics import mpjpe
      >>> target = jnp.zeros((1, 17, 3))
      >>> mpjpe(target.at[:, 5, 0].set(0.17), target)
      Array([0.01], dtype=float32)
    """
    return joint_errors(predicted, target).mean(-1)


def n_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the MPJPE of each pose after scaling the prediction by the factor that fits its target best.

    The scale is fitted by least squares about the origin. The pose is neither translated nor rotated.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [...] mean Euclidean distance over the joints, in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.

    Source: the official code.

    Example:
      A prediction of half the size has no scaled error.

      >>> import jax.numpy as jnp
      >>> from srnet_jax.pose.metrics import n_mpjpe
      >>> target = jnp.ones((1, 17, 3))
      >>> n_mpjpe(target / 2, target)
      Array([0.], dtype=float32)
    """
    _check_shapes(predicted, target)
    squared = jnp.square(predicted).sum((-2, -1), keepdims=True)
    scale = (target * predicted).sum((-2, -1), keepdims=True) / jnp.where(squared > 0, squared, 1)
    return mpjpe(scale * predicted, target)


def p_mpjpe(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Return the MPJPE of each pose after aligning the prediction to its target (PA-MPJPE, Protocol #2).

    The alignment is a similarity transform: a translation, a rotation and a scale (`similarity_aligned`).

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [...] mean Euclidean distance over the joints, in the inputs' unit.

    Raises:
      ValueError: if the shapes differ.

    Source: the official code.

    Example:
      Moving the whole pose and doubling its size does not change the aligned error.

      >>> import jax
      >>> from srnet_jax.pose.metrics import p_mpjpe
      >>> target = jax.random.normal(jax.random.key(0), (1, 17, 3))
      >>> p_mpjpe(2 * target + 1, target).round(5)
      Array([0.], dtype=float32)
    """
    return mpjpe(similarity_aligned(predicted, target), target)


@jax.jit
def similarity_aligned(predicted: jax.Array, target: jax.Array) -> jax.Array:
    """Translate, rotate and scale each predicted pose to fit its target best in the least-squares sense, without reflection.

    Args:
      predicted: [..., J, 3] joints.
      target: [..., J, 3] joints.

    Returns:
      [..., J, 3] the aligned predictions. All joints of a collapsed prediction move to the target's mean.

    Raises:
      ValueError: if the shapes differ.

    Source: B. K. P. Horn, Closed-form solution of absolute orientation using unit quaternions, JOSA A 4 (1987).

    Note:
      The function computes in float64 for any input dtype and any JAX setting. If two rotations fit almost equally well, as
      for some mirrored poses, the rounding of float32 would choose between them. Reverse-mode differentiation is not
      supported.
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
    """Multiply matrices [N, ...], contracting `axis` of the left ones with axis 1 of the right ones.

    `jnp.einsum` would warn about float64 outside `enable_x64`.
    """
    return jax.lax.dot_general(left, right, (((axis,), (1,)), ((0,), (0,))))


def _best_rotation(correlation: jax.Array) -> jax.Array:
    """Return the rotations R [3, 3, N] that maximise the sums of R * correlation; x @ R rotates row vectors x.

    For a unit quaternion q, this sum is q' M q with Horn's symmetric matrix M [4, 4]. The best q is therefore the eigenvector
    of the largest eigenvalue. M is made positive definite and squared until only this eigenvector remains: all columns are then
    multiples of q. If several eigenvalues are equal, there are several optima, and a column is still one of them.

    Note:
      LAPACK would need less code, but in JAX 0.10.2 it hangs on a CPU if two threads call it, as `in_blocks` does. Seconds for
      PA-MPJPE of 543,344 poses in one thread, on two busy cores, and the largest difference from NumPy's SVD, including
      degenerate poses:

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
        trace = sum(matrix[k, k] for k in range(4))[None, None]  # 1 if only q remains
        return step + 1, trace, matrix / trace

    def unfinished(state: Any) -> Any:
        return (state[0] < 52) & (state[1] < 1 - 1e-7).any()

    _, _, matrix = jax.lax.while_loop(unfinished, square, (0, jnp.zeros_like(norm), matrix))
    largest, quaternion = matrix[0, 0], matrix[0]
    for k in range(1, 4):  # argmax would need 64-bit integers
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
    """Return the vector from each joint's parent to the joint; zero for the root.

    Args:
      poses: [..., J, 3] joints.
      parents: index of each joint's parent, -1 for the root.

    Returns:
      [..., J, 3] in the inputs' unit.
    """
    own = np.arange(len(parents))
    return poses - poses[..., np.where(np.array(parents) < 0, own, parents), :]


def bone_length_error(predicted: jax.Array, target: jax.Array, parents: tuple[int, ...]) -> jax.Array:
    """Return the mean absolute difference between predicted and target bone lengths.

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
      skeleton: joints of the poses. The bones that end at `joints_left` are compared with those at `joints_right`.

    Returns:
      [...] in the input's unit. This needs no target.

    Note:
      The official code first averages the signed difference of each bone over a video, so that errors cancel.
    """
    lengths = _length(bone_vectors(predicted, skeleton.parents))
    left, right = (lengths[..., np.array(joints)] for joints in (skeleton.joints_left, skeleton.joints_right))
    return jnp.abs(left - right).mean(-1)


def pck(distances: jax.Array, threshold: float) -> jax.Array:
    """Return the fraction of joints whose error is strictly below a threshold (PCK).

    Args:
      distances: [..., J] `joint_errors`.
      threshold: in the unit of the distances.

    Returns:
      [...] 0 to 1, in the dtype of the distances.

    Source: paper Sec. 4.2; the official code uses 150 mm.
    """
    return (distances < threshold).mean(-1, dtype=distances.dtype)


def auc(distances: jax.Array, threshold: float) -> jax.Array:
    """Return the mean of `pck` at 31 evenly spaced thresholds from 0 to `threshold` (AUC).

    Args:
      distances: [..., J] `joint_errors`.
      threshold: the largest threshold, in the unit of the distances.

    Returns:
      [...] 0 to 1, in the dtype of the distances.

    Source: the official code.
    """
    thresholds = jnp.array([threshold * step / (_AUC_STEPS - 1) for step in range(_AUC_STEPS)], distances.dtype)
    not_above = jnp.searchsorted(thresholds, distances, side="right", method="compare_all")  # of the thresholds
    return (_AUC_STEPS - not_above).mean(-1, dtype=distances.dtype) / _AUC_STEPS


@partial(jax.jit, static_argnames="skeleton")
def pose_errors(predicted: jax.Array, target: jax.Array, skeleton: Skeleton) -> dict[str, jax.Array]:
    """Compute every metric of each pose in one compiled function.

    Args:
      predicted: [N, J, 3] joints, metres.
      target: [N, J, 3] joints, metres.
      skeleton: the J joints.

    Returns:
      `mpjpe`, `p_mpjpe`, `n_mpjpe`, `bone_length` and `symmetry` [N] and `joints` [N, J], metres. Also fractions [N] at 150 mm:
      `pck_J` and `auc_J` over all joints, such as `pck_17`. If the joints are those of `H36M_17`, also `pck_14` and `auc_14`
      over the 14 joints that MPI-INF-3DHP's protocol counts.

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
    """Compute `pose_errors` of any number of poses in float64.

    Args:
      predicted: [N, J, 3] joints, metres.
      target: [N, J, 3] joints, metres.
      skeleton: the J joints.

    Returns:
      The arrays of `pose_errors`, float64, on the host.

    Raises:
      ValueError: if the shapes differ.
    """
    return in_blocks(partial(pose_errors, skeleton=skeleton), predicted, target)


def measure_mpjpe(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Compute `mpjpe` [N] of any number of poses [N, J, 3] in float64; the result is float64 on the host."""
    return in_blocks(jax.jit(mpjpe), predicted, target)


def in_blocks(function: Callable[..., Any], predicted: np.ndarray, target: np.ndarray) -> Any:
    """Apply a function of poses in float64 to blocks of constant size, so that device memory does not depend on N.

    Args:
      function: a compiled function of predicted and target [n, J, 3]. It returns an array or a dict of arrays with n rows.
      predicted: [N, J, 3] joints.
      target: [N, J, 3] joints.

    Returns:
      The function's result for all N poses, float64 on the host.

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
