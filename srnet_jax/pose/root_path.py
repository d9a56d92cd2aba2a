"""Where a lifted person is: the path of the hip in the camera frame, from poses and the keypoints that they project onto.

In each frame it is the translation that makes the pose project onto its keypoints: least squares under the pinhole, in which
joints that do not fit count little. The bones have their median lengths, because a pose that grows and shrinks would seem to
come and go. The depth is far less certain than the direction, so the two are smoothed apart: the logarithm of the depth over
DEPTH_S, the ray to the hip over RAY_S.

What an image does not show: a person whom the lifter takes for 5 % too tall is 5 % too far away, and so is everything about the
path 5 % too large. A focal length that is 5 % too long makes depths 5 % too large, and nothing else.

Camera frame: x right, y down, z away from the camera, metres.
"""

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.pose.bones import bone_lengths, tree_walk
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.pose.whittaker import whittaker

DEPTH_S, RAY_S = 0.3, 0.06  # see `whittaker`; chosen by launch.benchmark motion, docs/motion.md
FEWEST = 3  # joints that tell where a person is
_STEPS = 6  # of reweighting
_FITS = 2.0  # errors of this many medians weigh a quarter
_SMALLEST = 1e-4  # least median error, in sizes of the person
NEAREST_M = 0.1  # least depth of a joint
POINT = 1e-12  # variance of rays that are one point
_ODD = 3.0  # a frame whose depth is this many medians from the smooth one weighs half
_SURE = 3e-3  # least median, of the logarithm
_ROUNDS = 3


def root_path(
    poses_3d: np.ndarray,
    keypoints: np.ndarray,
    confidences: np.ndarray,
    focal_px: float,
    center: tuple[float, float],
    times: np.ndarray,
) -> np.ndarray:
    """Find the smooth path of a person's hip.

    Args:
      poses_3d: [T, 17, 3] joints of `skeleton.H36M_17` along the camera's axes, relative to the hip, metres; NaN in frames
        that are not lifted.
      keypoints: [T, 17, 2] pixels; NaN where not known.
      confidences: [T, 17], 0 to 1, which weigh squared errors; 0 for a joint that does not count.
      focal_px: focal length, pixels.
      center: principal point, pixels.
      times: [T] seconds of the frames, rising.

    Returns:
      [T, 3] float64 hip in the camera frame, metres; NaN in frames that are not lifted or show fewer than FEWEST joints.

    Raises:
      DataError: if shapes do not fit together or times do not rise.
    """
    check_times(times, len(poses_3d))
    return smoothed(root_by_frame(with_median_bones(poses_3d), keypoints, confidences, focal_px, center), times)


def root_by_frame(
    poses_3d: np.ndarray, keypoints: np.ndarray, confidences: np.ndarray, focal_px: float, center: tuple[float, float]
) -> np.ndarray:
    """Return the hip [T, 3] of each frame for itself, as it makes the pose project onto the keypoints; see `root_path`."""
    poses, points, sure = (np.asarray(array, np.float64) for array in (poses_3d, keypoints, confidences))
    expected = (len(poses), H36M_17.num_joints)
    if poses.shape != (*expected, 3) or points.shape != (*expected, 2) or sure.shape != expected:
        raise DataError(
            f"root path: found poses {poses.shape}, keypoints {points.shape} and confidences {sure.shape}, expected "
            "(T, 17, 3), (T, 17, 2) and (T, 17)"
        )
    rays = (points - np.asarray(center)) / focal_px
    weights = np.where(np.isfinite(rays).all(-1) & (sure > 0), sure, 0)
    usable = ((weights > 0).sum(-1) >= FEWEST) & np.isfinite(poses).all((1, 2))
    path = np.full((len(poses), 3), np.nan)
    if usable.any():
        path[usable] = _fitted(poses[usable], np.where(weights[..., None] > 0, rays, 0)[usable], weights[usable])
    path[~(path[:, 2] > NEAREST_M)] = np.nan
    return path


def _fitted(poses: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the translations [N, 3] of poses [N, J, 3] that fit rays [N, J, 2] best."""
    path = _guessed(poses, rays, weights)
    counts = weights.sum(1)
    size = np.sqrt((weights * np.square(poses).sum(-1)).sum(1) / counts)[:, None]
    for _ in range(_STEPS):
        depths = np.maximum(poses[..., 2] + path[:, 2:], NEAREST_M)
        errors = np.linalg.norm(poses[..., :2] + path[:, None, :2] - rays * depths[..., None], axis=-1)  # metres, [N, J]
        scale = _FITS * np.maximum(_median(errors, weights), _SMALLEST * size)
        path, _ = translated(poses, rays, weights / np.square((1 + np.square(errors / scale)) * depths))
    return path


def translated(poses: np.ndarray, rays: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve the pinhole's equations: ray * (Z + t_z) = (X, Y) + (t_x, t_y) for all joints, which are linear in t.

    Args:
      poses: [..., J, 3] relative to the hip, metres.
      rays: [..., J, 2] to the joints, at depth 1.
      shares: [..., J] weights of squared errors in metres.

    Returns:
      [..., 3] translations t, metres, and [...] the variance of the rays; NaN where these are one point.
    """
    shares = shares / shares.sum(-1, keepdims=True)
    wanted = rays * poses[..., 2:] - poses[..., :2]  # t_x - ray * t_z
    ray, mean = ((shares[..., None] * array).sum(-2) for array in (rays, wanted))
    apart, off = rays - ray[..., None, :], wanted - mean[..., None, :]
    spread = (shares * np.square(apart).sum(-1)).sum(-1)
    depth = -(shares * (apart * off).sum(-1)).sum(-1) / np.where(spread > POINT, spread, np.nan)
    return np.concatenate([mean + ray * depth[..., None], depth[..., None]], -1), spread


def _guessed(poses: np.ndarray, rays: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return translations [N, 3] that a few wrong joints hardly change: the ratio of median sizes is the depth."""
    ray, middle = (np.concatenate([_median(a[..., k], weights) for k in (0, 1)], -1) for a in (rays, poses))  # [N, 2]
    small, large = (
        _median(np.linalg.norm(a - b[:, None], axis=-1), weights) for a, b in ((rays, ray), (poses[..., :2], middle))
    )
    depth = np.maximum(large, NEAREST_M) / np.maximum(small, np.sqrt(POINT))
    return np.concatenate([ray * depth - middle, depth], -1)


def _median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the medians [N, 1] over the joints of [N, J] that count."""
    ordered = np.sort(np.where(weights > 0, values, np.inf), axis=1)
    return np.take_along_axis(ordered, ((weights > 0).sum(1, keepdims=True) - 1) // 2, axis=1)


def with_median_bones(poses_3d: np.ndarray) -> np.ndarray:
    """Return poses [T, 17, 3], relative to the hip, whose bones keep their directions and have their median lengths."""
    poses = np.asarray(poses_3d, np.float64)
    lengths = bone_lengths(poses, alike=False)
    return poses.copy() if np.isnan(lengths).any() else tree_walk(poses, lengths)


def bridged(path: np.ndarray, poses_3d: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return a path [T, 3] that also has the frames with a pose in which too few joints were seen for a place of their own.

    Between known frames the ray and the logarithm of the depth change linearly; before and after them they stay.
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
    """Return a path [T, 3] that is smooth over time, the ray and the logarithm of the depth apart; NaN stays NaN."""
    known = np.isfinite(path).all(-1)
    made = np.full(path.shape, np.nan)
    if not known.any():
        return made
    found, seconds = path[known], np.asarray(times, np.float64)[known]
    ray, depth, weights = found[:, :2] / found[:, 2:], np.log(found[:, 2:]), np.ones(len(found))
    for _ in range(_ROUNDS):
        smooth = whittaker(depth, seconds, DEPTH_S, weights)
        off = np.abs(depth - smooth)[:, 0]
        weights = 1 / (1 + np.square(off / (_ODD * max(float(np.median(off)), _SURE))))
    distance = np.exp(smooth)
    made[known] = np.concatenate([whittaker(ray, seconds, RAY_S) * distance, distance], -1)
    return made


def check_times(times: np.ndarray, frames: int) -> None:
    """Refuse, with a DataError, times that are not those of as many frames, or do not rise."""
    times = np.asarray(times)
    if times.shape != (frames,) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise DataError(f"times: found shape {times.shape}, expected ({frames},) of seconds that rise from frame to frame")
