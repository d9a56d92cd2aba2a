"""Estimate where a lifted person is: the path of the hip in the camera frame, from the 3D poses and their 2D keypoints.

In each frame, the hip is the translation that makes the pose project onto its keypoints: least squares with a pinhole camera,
in which badly fitting joints have little weight. The bones get their median lengths first, because a pose that grows and
shrinks would seem to come nearer and go away. The depth is far less certain than the direction, so the two are smoothed
separately: the logarithm of the depth over `DEPTH_S`, the ray to the hip over `RAY_S`.

The scale cannot be seen in an image: if the lifter makes a person 5 % too tall, the person is 5 % too far away, and the whole
path is 5 % too large. A focal length that is 5 % too long makes only the depths 5 % too large.

Camera frame: x right, y down, z away from the camera, metres.
"""

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.pose.bones import bone_lengths, tree_walk
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.whittaker import whittaker

DEPTH_S, RAY_S = 0.3, 0.06  # seconds, as in `whittaker`; chosen with launch.benchmark motion, docs/motion_measured.md
MIN_JOINTS = 3  # joints that determine where a person is
_STEPS = 6  # of reweighting
_FITS = 2.0  # a joint with an error of this many medians has a quarter of the weight
_MIN_ERROR = 1e-4  # least median error, in sizes of the person
NEAREST_M = 0.1  # least depth of a joint
POINT = 1e-12  # rays of a smaller variance are one point
_ODD = 3.0  # a frame whose depth is off the smooth one by this many medians has half the weight
_MIN_DEPTH_ERROR = 3e-3  # least median, of the logarithm
_ROUNDS = 3


def root_path(
    poses_3d: np.ndarray,
    keypoints: np.ndarray,
    confidences: np.ndarray,
    focal_px: float,
    center: tuple[float, float],
    times: np.ndarray,
) -> np.ndarray:
    """Estimate the smooth path of a person's hip.

    Args:
      poses_3d: [T, 17, 3] joints of `skeleton.H36M_17` along the camera's axes, relative to the hip, metres; NaN in frames
        that are not lifted.
      keypoints: [T, 17, 2] pixels; NaN where not known.
      confidences: [T, 17], 0 to 1, weights of the squared errors; 0 for a joint that is not used.
      focal_px: focal length, pixels.
      center: principal point, pixels.
      times: [T] seconds of the frames, increasing.

    Returns:
      [T, 3] float64 hip in the camera frame, metres; NaN in frames that are not lifted or show fewer than `MIN_JOINTS` joints.

    Raises:
      DataError: if shapes do not fit together or times do not increase.
    """
    check_times(times, len(poses_3d))
    return smoothed(root_by_frame(with_median_bones(poses_3d), keypoints, confidences, focal_px, center), times)


def root_by_frame(
    poses_3d: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray, focal_px: float, center: tuple[float, float]
) -> np.ndarray:
    """Estimate the hip of each frame independently, without smoothing and with the bones as they are.

    Args:
      poses_3d: [T, 17, 3] joints along the camera's axes, relative to the hip, metres; NaN in frames that are not lifted.
      keypoints: [T, 17, 2] pixels; NaN where not known.
      confidences: [T, 17], 0 to 1, weights of the squared errors; 0 for a joint that is not used.
      focal_px: focal length, pixels.
      center: principal point, pixels.

    Returns:
      [T, 3] float64 hip in the camera frame, metres; NaN if it cannot be estimated.

    Raises:
      DataError: if shapes do not fit together.
    """
    poses, points, sure = (np.asarray(array, np.float64) for array in (poses_3d, keypoints, confidences))
    expected = (len(poses), H36M_17.num_joints)
    if poses.shape != (*expected, 3) or points.shape != (*expected, 2) or sure.shape != expected:
        raise DataError(
            f"root path: found poses {poses.shape}, keypoints {points.shape} and confidences {sure.shape}, expected "
            "(T, 17, 3), (T, 17, 2) and (T, 17)"
        )
    rays = (points - np.asarray(center)) / focal_px
    weights = np.where(np.isfinite(rays).all(-1) & (sure > 0), sure, 0)
    usable = ((weights > 0).sum(-1) >= MIN_JOINTS) & np.isfinite(poses).all((1, 2))
    path = np.full((len(poses), 3), np.nan)
    if usable.any():
        path[usable] = _fitted(poses[usable], np.where(weights[..., None] > 0, rays, 0)[usable], weights[usable])
    path[~(path[:, 2] > NEAREST_M)] = np.nan
    return path


def _fitted(poses: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the translations [N, 3], metres, of poses [N, J, 3] that fit rays [N, J, 2] best."""
    path = _guessed(poses, rays, weights)
    counts = weights.sum(1)
    size = np.sqrt((weights * np.square(poses).sum(-1)).sum(1) / counts)[:, None]
    for _ in range(_STEPS):
        depths = np.maximum(poses[..., 2] + path[:, 2:], NEAREST_M)
        errors = np.linalg.norm(poses[..., :2] + path[:, None, :2] - rays * depths[..., None], axis=-1)  # metres, [N, J]
        scale = _FITS * np.maximum(_median(errors, weights), _MIN_ERROR * size)
        path, _ = solve_translations(poses, rays, weights / np.square((1 + np.square(errors / scale)) * depths))
    return path


def solve_translations(poses: np.ndarray, rays: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve the linear pinhole equations ray * (Z + t_z) = (X, Y) + (t_x, t_y) of all joints for the translation t.

    Args:
      poses: [..., J, 3] joints relative to the hip, metres.
      rays: [..., J, 2] rays to the joints, at depth 1.
      shares: [..., J] weights of the squared errors, which are in metres.

    Returns:
      [..., 3] translations t, metres, NaN if all rays are one point; and [...] the variance of the rays.
    """
    shares = shares / shares.sum(-1, keepdims=True)
    wanted = rays * poses[..., 2:] - poses[..., :2]  # t_x - ray * t_z
    ray, mean = ((shares[..., None] * array).sum(-2) for array in (rays, wanted))
    apart, off = rays - ray[..., None, :], wanted - mean[..., None, :]
    spread = (shares * np.square(apart).sum(-1)).sum(-1)
    depth = -(shares * (apart * off).sum(-1)).sum(-1) / np.where(spread > POINT, spread, np.nan)
    return np.concatenate([mean + ray * depth[..., None], depth[..., None]], -1), spread


def _guessed(poses: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return rough translations [N, 3] that a few wrong joints hardly affect: the ratio of median sizes is the depth."""
    ray, middle = (np.concatenate([_median(a[..., k], weights) for k in (0, 1)], -1) for a in (rays, poses))  # [N, 2]
    small, large = (
        _median(np.linalg.norm(a - b[:, None], axis=-1), weights) for a, b in ((rays, ray), (poses[..., :2], middle))
    )
    depth = np.maximum(large, NEAREST_M) / np.maximum(small, np.sqrt(POINT))
    return np.concatenate([ray * depth - middle, depth], -1)


def _median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the medians [N, 1] of values [N, J] over the joints whose weight is not zero."""
    ordered = np.sort(np.where(weights > 0, values, np.inf), axis=1)
    return np.take_along_axis(ordered, ((weights > 0).sum(1, keepdims=True) - 1) // 2, axis=1)


def with_median_bones(poses_3d: np.ndarray) -> np.ndarray:
    """Set the bones of poses [T, 17, 3], relative to the hip, to their median lengths; the directions stay."""
    poses = np.asarray(poses_3d, np.float64)
    lengths = bone_lengths(poses, alike=False)
    return poses.copy() if np.isnan(lengths).any() else tree_walk(poses, lengths)


def with_gaps_filled(path: np.ndarray, poses_3d: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Fill in the path in frames that have a pose but too few visible joints to locate it.

    The ray and the logarithm of the depth are interpolated linearly between known frames, and constant before and after them.

    Args:
      path: [T, 3] hip in the camera frame, metres; NaN where not known.
      poses_3d: [T, 17, 3] joints; NaN in frames without a pose, which are not filled.
      times: [T] seconds.

    Returns:
      [T, 3] path, metres.
    """
    known = np.isfinite(path).all(-1)
    made = path.copy()
    wanted = np.isfinite(poses_3d).all((1, 2)) & ~known
    if not known.any() or not wanted.any():
        return made
    values = np.concatenate([path[known, :2] / path[known, 2:], np.log(path[known, 2:])], -1)
    ray_x, ray_y, depth = (np.interp(times[wanted], times[known], column) for column in values.T)
    made[wanted] = np.exp(depth)[:, None] * np.stack([ray_x, ray_y, np.ones_like(depth)], -1)
    return made


def smoothed(path: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Smooth a path [T, 3] over time, the ray and the logarithm of the depth separately; NaN stays NaN."""
    known = np.isfinite(path).all(-1)
    made = np.full(path.shape, np.nan)
    if not known.any():
        return made
    found, seconds = path[known], np.asarray(times, np.float64)[known]
    ray, depth, weights = found[:, :2] / found[:, 2:], np.log(found[:, 2:]), np.ones(len(found))
    for _ in range(_ROUNDS):
        smooth = whittaker(depth, seconds, DEPTH_S, weights)
        off = np.abs(depth - smooth)[:, 0]
        weights = 1 / (1 + np.square(off / (_ODD * max(float(np.median(off)), _MIN_DEPTH_ERROR))))
    distance = np.exp(smooth)
    made[known] = np.concatenate([whittaker(ray, seconds, RAY_S) * distance, distance], -1)
    return made


def check_times(times: np.ndarray, frames: int) -> None:
    """Check that there is one time for each frame and that the times increase.

    Raises:
      DataError: if they do not.
    """
    times = np.asarray(times)
    if times.shape != (frames,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise DataError(f"times: found shape {times.shape}, expected ({frames},) of seconds that increase")
