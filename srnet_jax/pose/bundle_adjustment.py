"""Bundle adjustment: correct the positions and orientations of calibrated cameras from points that they see."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from srnet_jax.pose.multiview import CalibratedCamera

_MAX_POINTS = 1500  # taken evenly from all points
_MAX_STEPS = 100
_PER_CAMERA = 6  # parameters of a camera: rotation vector and translation


def adjust(
    cameras: Sequence[CalibratedCamera],
    points_world: np.ndarray,
    rays: np.ndarray,
    weights: np.ndarray,
    *,
    scale_px: float,
) -> tuple[CalibratedCamera, ...]:
    """Move and rotate cameras so that points project to where they were seen, with a robust loss.

    No camera is fixed. Instead, the solution is moved, rotated and scaled back so that three quantities stay unchanged: the
    centre of the cameras, their mean distance from it, which sets the scale, and their mean orientation.

    Args:
      cameras: the C cameras.
      points_world: [N, 3] initial points, world frame, metres; NaN for points that are not used.
      rays: [C, N, 2] rays of each camera to each point, as in `multiview`.
      weights: [C, N] weights of the squared errors; 0 for rays that are not used.
      scale_px: error, pixels, above which a ray has less weight.

    Returns:
      The corrected cameras.

    Raises:
      ValueError: if no point is seen by two cameras.

    Note:
      Focal lengths are not changed. In the recording of docs/real_video.md, a factor for each camera's focal length lowers the
      mean error by only 0.1 px, and takes values up to 1.14, by which no calibration is wrong: the focal length cannot be
      estimated from people who stay in one place.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    counted = np.isfinite(points_world).all(-1) & ((weights > 0).sum(0) >= 2)
    chosen = np.flatnonzero(counted)
    if not len(chosen):
        raise ValueError("found no point that two cameras see, expected at least one")
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), _MAX_POINTS)).round().astype(int))]
    which, point = np.nonzero((weights[:, chosen] > 0) & np.isfinite(rays[:, chosen]).all(-1))  # of each ray that is used
    seen, root = rays[which, chosen[point]], np.sqrt(weights[which, chosen[point]])
    size = np.array([camera.focal for camera in cameras])[which] * root[:, None]
    start = np.stack([camera.rotation for camera in cameras])

    def unpack(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = vector[: _PER_CAMERA * len(cameras)].reshape(-1, _PER_CAMERA)
        return Rotation.from_rotvec(parts[:, :3]).as_matrix() @ start, parts[:, 3:], vector[parts.size :].reshape(-1, 3)

    def residuals(vector: np.ndarray) -> np.ndarray:
        turned, shift, points = unpack(vector)
        moved = np.einsum("rij,rj->ri", turned[which], points[point]) + shift[which]
        return ((moved[:, :2] / moved[:, 2:] - seen) * size).reshape(-1)

    first = np.zeros((len(cameras), _PER_CAMERA))
    first[:, 3:] = [camera.translation for camera in cameras]
    found = least_squares(
        residuals,
        np.concatenate([first.reshape(-1), points_world[chosen].reshape(-1)]),
        jac_sparsity=_sparsity(which, point, len(cameras), len(chosen)),
        loss="soft_l1",
        f_scale=scale_px,
        x_scale="jac",
        max_nfev=_MAX_STEPS,
    )
    turned, shift, _ = unpack(found.x)
    made = [dataclasses.replace(camera, rotation=r, translation=t) for camera, r, t in zip(cameras, turned, shift, strict=True)]
    return _aligned_to(made, cameras)


def _sparsity(which: np.ndarray, point: np.ndarray, cameras: int, points: int) -> Any:
    """Return the sparsity of the Jacobian: the residuals of a ray depend only on its camera's and its point's parameters."""
    from scipy.sparse import csr_array

    first = cameras * _PER_CAMERA
    own = which[:, None] * _PER_CAMERA + np.arange(_PER_CAMERA)
    columns = np.concatenate([own, first + point[:, None] * 3 + np.arange(3)], axis=1)
    columns = np.repeat(columns, 2, axis=0)
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    shape = (len(columns), first + 3 * points)
    return csr_array((np.ones(columns.size, np.int8), (rows, columns.reshape(-1))), shape=shape)


def _aligned_to(made: Sequence[CalibratedCamera], cameras: Sequence[CalibratedCamera]) -> tuple[CalibratedCamera, ...]:
    """Move, rotate and scale adjusted cameras so that their centre, size and mean orientation equal those of `cameras`."""
    now, then = (np.stack([camera.position for camera in some]) for some in (made, cameras))
    spread_now, spread_then = (np.linalg.norm(some - some.mean(0), axis=1).mean() for some in (now, then))
    scale = spread_then / spread_now
    u, _, v = np.linalg.svd(sum(b.rotation.T @ a.rotation for a, b in zip(made, cameras, strict=True)))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v  # from the axes of the new world to those of the old one
    back = []
    for camera, position in zip(made, now, strict=True):
        rotation = camera.rotation @ turn.T
        place = scale * turn @ (position - now.mean(0)) + then.mean(0)
        back.append(dataclasses.replace(camera, rotation=rotation, translation=-rotation @ place))
    return tuple(back)
