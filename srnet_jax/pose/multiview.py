"""Project, undistort and triangulate points with several calibrated cameras.

The world may have any axes; a *camera* frame has x right, y down, z forward. Both are in metres. A *ray* is the point (X, Y) /
Z in the camera frame at depth 1, without distortion. Errors are differences of rays times the focal length, in pixels.
Everything is computed in float64.

This module does not use `cameras.Camera`: its tangential distortion follows Human3.6M's files, which have half of OpenCV's
factor, while calibration files follow OpenCV.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

_ITERATIONS = 50  # of undistortion; each reduces the error about tenfold or more
_UNDISTORTED = 1e-4  # largest remaining error of an undistorted ray, in focal lengths
_REFINEMENTS = 4  # each weights the linear equations with the depths of the previous one
_PARALLEL = 1e-6  # smallest ratio of the eigenvalues of a point's equations; below it, the rays are nearly parallel


@dataclasses.dataclass(frozen=True, eq=False)
class CalibratedCamera:
    """A calibrated camera with OpenCV's parameters.

    Attributes:
      name: shown in messages and tables.
      image_size: width and height, pixels.
      focal: focal lengths (fx, fy), pixels.
      center: principal point (cx, cy), pixels.
      distortion: Brown's (k1, k2, p1, p2, k3), zeros for none.
      rotation: [3, 3] rotation matrix from world to camera axes.
      translation: [3] the world's origin in the camera frame, metres.
    """

    name: str
    image_size: tuple[int, int]
    focal: tuple[float, float]
    center: tuple[float, float]
    distortion: tuple[float, float, float, float, float]
    rotation: np.ndarray
    translation: np.ndarray

    @property
    def position(self) -> np.ndarray:
        """Position [3] of the camera in the world, metres."""
        return -self.rotation.T @ self.translation


def to_camera(points_world: np.ndarray, camera: CalibratedCamera) -> np.ndarray:
    """Transform points [..., 3] from the world frame to the camera frame, metres."""
    return points_world @ camera.rotation.T + camera.translation


def project(points_world: np.ndarray, camera: CalibratedCamera) -> np.ndarray:
    """Project points [..., 3], world frame, metres, to pixels [..., 2]; NaN for points behind the camera."""
    return _distorted(rays_to(points_world, camera), camera) * np.array(camera.focal) + np.array(camera.center)


def rays_to(points_world: np.ndarray, camera: CalibratedCamera) -> np.ndarray:
    """Return the rays [..., 2] to points [..., 3], world frame, metres; NaN for points behind the camera."""
    points = to_camera(points_world, camera)
    depth = points[..., 2:]
    return points[..., :2] / np.where(depth > 0, depth, np.nan)


def undistorted(pixels: np.ndarray, camera: CalibratedCamera) -> np.ndarray:
    """Convert pixels [..., 2] to rays [..., 2]; NaN if the pixel is NaN or the distortion cannot be inverted.

    Source: the fixed-point iteration of OpenCV's undistortPoints, with more steps.
    """
    wanted = (pixels.astype(np.float64) - np.array(camera.center)) / np.array(camera.focal)
    if not any(camera.distortion):
        return wanted
    rays = wanted
    with np.errstate(all="ignore"):  # where it diverges
        for _ in range(_ITERATIONS):
            radial, shift = _distortion(rays, camera)
            rays = (wanted - shift) / radial
        error = np.abs(_distorted(rays, camera) - wanted).max(-1, keepdims=True)
        return np.where(error < _UNDISTORTED, rays, np.nan)


def _distorted(rays: np.ndarray, camera: CalibratedCamera) -> np.ndarray:
    radial, shift = _distortion(rays, camera)
    return rays * radial + shift


def _distortion(rays: np.ndarray, camera: CalibratedCamera) -> tuple[np.ndarray, np.ndarray]:
    """Return the factors [..., 1] and the shifts [..., 2] that distort rays.

    Source: OpenCV's documentation of calib3d, three radial and two tangential terms.
    """
    k1, k2, p1, p2, k3 = camera.distortion
    squared = np.square(rays).sum(-1, keepdims=True)
    tangential = np.array([p2, p1])
    radial = 1 + squared * (k1 + squared * (k2 + squared * k3))
    return radial, 2 * rays * (rays * tangential).sum(-1, keepdims=True) + tangential * squared


def triangulate(rays: np.ndarray, weights: np.ndarray, cameras: Sequence[CalibratedCamera]) -> np.ndarray:
    """Triangulate points from rays by linear least squares of errors in pixels.

    Args:
      rays: [C, N, 2] rays of each camera to each point.
      weights: [C, N] weights of the squared errors; 0 for rays that are not used.
      cameras: the C cameras.

    Returns:
      [N, 3] points, world frame, metres; NaN for fewer than two rays and for nearly parallel rays.

    Source: Hartley and Sturm, Triangulation (1997): iterative Linear-LS, equations divided by the depths of the last solution.
    """
    seen = np.isfinite(rays).all(-1) & (weights > 0)  # [C, N]
    known = np.where(seen[..., None], rays, 0)
    rotations = np.stack([camera.rotation for camera in cameras])
    translations = np.stack([camera.translation for camera in cameras])
    focal = np.array([camera.focal for camera in cameras])[:, None]  # [C, 1, 2]
    rows = known[..., None] * rotations[:, None, 2:] - rotations[:, None, :2]  # [C, N, 2, 3]
    right = translations[:, None, :2] - known * translations[:, None, 2:]  # [C, N, 2]
    share = np.where(seen, weights, 0)[..., None] * np.square(focal)  # [C, N, 2]
    enough = seen.sum(0) >= 2
    points = np.full((rays.shape[1], 3), np.nan)
    depths = np.ones(seen.shape)
    for _ in range(_REFINEMENTS):
        scaled = share / np.square(depths)[..., None]
        matrices = np.einsum("cnk,cnki,cnkj->nij", scaled, rows, rows)
        vectors = np.einsum("cnk,cnki,cnk->ni", scaled, rows, right)
        values = np.linalg.eigvalsh(matrices)
        solvable = enough & (values[:, 0] > _PARALLEL * values[:, 2])
        points = np.full(points.shape, np.nan)
        points[solvable] = np.linalg.solve(matrices[solvable], vectors[solvable, :, None])[..., 0]
        depths = np.einsum("ci,ni->cn", rotations[:, 2], points) + translations[:, 2:]
        depths = np.where(depths > 0, depths, 1)
    return points


def errors_px(points_world: np.ndarray, rays: np.ndarray, cameras: Sequence[CalibratedCamera]) -> np.ndarray:
    """Return the reprojection error of each point in each camera.

    Args:
      points_world: [N, 3] points, world frame, metres.
      rays: [C, N, 2] rays of each camera to each point.
      cameras: the C cameras.

    Returns:
      [C, N] pixels of the undistorted image; NaN if the ray or the point is NaN, infinite for a point behind the camera.
    """
    found = []
    for own, camera in zip(rays, cameras, strict=True):
        error = np.linalg.norm((rays_to(points_world, camera) - own) * np.array(camera.focal), axis=-1)
        behind = to_camera(points_world, camera)[:, 2] <= 0
        found.append(np.where(behind & np.isfinite(own).all(-1), np.inf, error))
    return np.stack(found)


def triangulate_without_outliers(
    rays: np.ndarray, weights: np.ndarray, cameras: Sequence[CalibratedCamera], limit_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Triangulate points while leaving out cameras that disagree with the others.

    While a ray of a point has a larger error than the limit, one camera is left out: the one without which the largest
    remaining error is smallest. At least two cameras stay.

    Args:
      rays: [C, N, 2] rays of each camera to each point.
      weights: [C, N] weights of the squared errors; 0 for rays that are not used.
      cameras: the C cameras.
      limit_px: largest accepted error of a ray, pixels.

    Returns:
      [N, 3] points, world frame, metres, NaN if no two rays agree; and [C, N] bool, the rays that were used.
    """
    used = np.isfinite(rays).all(-1) & (weights > 0)
    points = triangulate(rays, np.where(used, weights, 0), cameras)
    while True:
        wrong = np.flatnonzero(_worst(points, rays, used, cameras) > limit_px)
        wrong = wrong[used[:, wrong].sum(0) > 2]
        if not len(wrong):
            break
        without = used[:, wrong] & ~np.eye(len(cameras), dtype=bool)[..., None]  # [camera left out, C, W]
        ways = [triangulate(rays[:, wrong], np.where(way, weights[:, wrong], 0), cameras) for way in without]
        worst = [_worst(way, rays[:, wrong], left, cameras) for way, left in zip(ways, without, strict=True)]
        scores = np.where(used[:, wrong], np.stack(worst), np.inf)  # [camera left out, W]
        best = np.where(np.isnan(scores), np.inf, scores).argmin(0)
        best = np.where(used[best, wrong], best, used[:, wrong].argmax(0))
        used[best, wrong] = False
        points[wrong] = np.stack(ways)[best, np.arange(len(wrong))]
    good = (_worst(points, rays, used, cameras) <= limit_px) & (used.sum(0) >= 2)
    return np.where(good[:, None], points, np.nan), used & good


def _worst(points: np.ndarray, rays: np.ndarray, used: np.ndarray, cameras: Sequence[CalibratedCamera]) -> np.ndarray:
    """Return the largest error [N], pixels, of the used rays of each point; infinite if the point is NaN."""
    error = np.where(used, errors_px(points, rays, cameras), 0).max(0)
    return np.where(np.isfinite(points).all(-1), error, np.inf)
