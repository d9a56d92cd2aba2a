"""Correct the calibration of several cameras by what they see."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from srnet_jax.pose.multiview import CalibratedCamera

_MOST_POINTS = 1500  # taken evenly from all
_MOST_STEPS = 100
_OWN = 6  # parameters of a camera: turn, translation


def adjust(
    cameras: Sequence[CalibratedCamera],
    points_world: np.ndarray,
    rays: np.ndarray,
    weights: np.ndarray,
    *,
    scale_px: float,
) -> tuple[CalibratedCamera, ...]:
    """Move and turn cameras so that points project to where they were seen; bundle adjustment with a robust loss.

    No camera is held: the solution is moved, turned and scaled back so that the cameras' centre, their mean distance from it,
    which sets the scale, and their mean orientation stay as they were.

    Args:
      cameras: the C cameras.
      points_world: [N, 3] first guess, metres; NaN for points that do not count.
      rays: [C, N, 2] of each camera and point.
      weights: [C, N], 0 for the rays that do not count; they weigh squared errors.
      scale_px: error from which on a ray counts less.

    Returns:
      The corrected cameras.

    Raises:
      ValueError: if no point counts.

    Note:
      Focal lengths stay. In the recording of docs/real_video.md a factor for each camera lowers the mean error by 0.1 px alone,
      and takes values up to 1.14, which no calibration is off by: people who stay in one place do not show it.
    """
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    counted = np.isfinite(points_world).all(-1) & ((weights > 0).sum(0) >= 2)
    chosen = np.flatnonzero(counted)
    if not len(chosen):
        raise ValueError("no point is seen by two cameras, expected some")
    chosen = chosen[np.unique(np.linspace(0, len(chosen) - 1, min(len(chosen), _MOST_POINTS)).round().astype(int))]
    which, point = np.nonzero((weights[:, chosen] > 0) & np.isfinite(rays[:, chosen]).all(-1))  # of each ray that counts
    seen, root = rays[which, chosen[point]], np.sqrt(weights[which, chosen[point]])
    size = np.array([camera.focal for camera in cameras])[which] * root[:, None]
    start = np.stack([camera.rotation for camera in cameras])

    def unpack(vector: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        parts = vector[: _OWN * len(cameras)].reshape(-1, _OWN)
        return Rotation.from_rotvec(parts[:, :3]).as_matrix() @ start, parts[:, 3:], vector[parts.size :].reshape(-1, 3)

    def residuals(vector: np.ndarray) -> np.ndarray:
        turned, shift, points = unpack(vector)
        moved = np.einsum("rij,rj->ri", turned[which], points[point]) + shift[which]
        return ((moved[:, :2] / moved[:, 2:] - seen) * size).reshape(-1)

    first = np.zeros((len(cameras), _OWN))
    first[:, 3:] = [camera.translation for camera in cameras]
    found = least_squares(
        residuals,
        np.concatenate([first.reshape(-1), points_world[chosen].reshape(-1)]),
        jac_sparsity=_sparsity(which, point, len(cameras), len(chosen)),
        loss="soft_l1",
        f_scale=scale_px,
        x_scale="jac",
        max_nfev=_MOST_STEPS,
    )
    turned, shift, _ = unpack(found.x)
    made = [dataclasses.replace(camera, rotation=r, translation=t) for camera, r, t in zip(cameras, turned, shift, strict=True)]
    return _as_before(made, cameras)


def _sparsity(which: np.ndarray, point: np.ndarray, cameras: int, points: int) -> Any:
    """Return which residuals [2 R] depend on which parameters: those of a ray on its camera's and its point's."""
    from scipy.sparse import csr_array

    first = cameras * _OWN
    columns = np.concatenate([which[:, None] * _OWN + np.arange(_OWN), first + point[:, None] * 3 + np.arange(3)], axis=1)
    columns = np.repeat(columns, 2, axis=0)
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    shape = (len(columns), first + 3 * points)
    return csr_array((np.ones(columns.size, np.int8), (rows, columns.reshape(-1))), shape=shape)


def _as_before(made: Sequence[CalibratedCamera], cameras: Sequence[CalibratedCamera]) -> tuple[CalibratedCamera, ...]:
    """Move, turn and scale the world of cameras so that their centre, size and mean orientation are those of others."""
    now, then = (np.stack([camera.position for camera in some]) for some in (made, cameras))
    spread_now, spread_then = (np.linalg.norm(some - some.mean(0), axis=1).mean() for some in (now, then))
    scale = spread_then / spread_now
    u, _, v = np.linalg.svd(sum(b.rotation.T @ a.rotation for a, b in zip(made, cameras, strict=True)))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ v)]) @ v  # from the new world's axes to the old one's
    back = []
    for camera, position in zip(made, now, strict=True):
        rotation = camera.rotation @ turn.T
        place = scale * turn @ (position - now.mean(0)) + then.mean(0)
        back.append(dataclasses.replace(camera, rotation=rotation, translation=-rotation @ place))
    return tuple(back)
