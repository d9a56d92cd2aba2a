"""Compute the true poses of a recording by triangulating the keypoints of all cameras."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.benchmarks.recording import Recording
from srnet_jax.errors import DataError
from srnet_jax.pose import layouts
from srnet_jax.pose.bundle_adjustment import adjust
from srnet_jax.pose.multiview import CalibratedCamera, errors_px, triangulate, triangulate_without_outliers, undistorted

JOINTS = tuple(
    f"{side}_{joint}" for side in ("left", "right") for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
)
_LEGS = ((3, 4), (4, 5), (9, 10), (10, 11))
_MIN_CAMERAS = 3  # that must agree on a joint
_FIRST_LIMIT, _LIMIT, _SCALE = 0.03, 0.01, 0.0025  # reprojection errors, relative to the image's diagonal
_ROUNDS = 2  # of adjusting the cameras and triangulating again
_MAX_TURN_DEG, _MAX_MOVE = 10.0, 0.2  # the move is relative to the cameras' mean distance from their centre
_LEG_M = (0.6, 1.4)  # length of thigh and shank, children included


@dataclasses.dataclass(frozen=True)
class Truth:
    """Triangulated joints and corrected cameras.

    Attributes:
      cameras: the cameras with the corrected calibration.
      points_world: [T, 12, 3] JOINTS in the world frame, metres; NaN where too few cameras agree.
      before_px: mean reprojection error of the keypoints that were used, with the original calibration.
      after_px: the same error with the corrected calibration.
      turned_deg: [C] angle by which the correction turned each camera.
      moved_m: [C] distance by which the correction moved each camera.
    """

    cameras: tuple[CalibratedCamera, ...]
    points_world: np.ndarray
    before_px: float
    after_px: float
    turned_deg: np.ndarray
    moved_m: np.ndarray


def triangulated(recording: Recording, name: str | Path) -> Truth:
    """Correct the calibration of a recording and triangulate its joints.

    Args:
      recording: the recording.
      name: name of the recording for error messages.

    Raises:
      DataError: if the cameras do not agree, need too large corrections, or see legs of an impossible length.
    """
    pixels, weights = _keypoints(recording)
    cameras = recording.cameras
    rays = np.stack([undistorted(own, camera) for own, camera in zip(pixels, cameras, strict=True)])  # [C, T * 12, 2]
    diagonal = float(np.mean([np.hypot(*camera.image_size) for camera in cameras]))
    points, used = triangulate_without_outliers(rays, weights, cameras, _FIRST_LIMIT * diagonal)
    for _ in range(_ROUNDS):
        _check_agreement(used, len(cameras), name)
        cameras = adjust(cameras, points, rays, np.where(used, weights, 0), scale_px=_SCALE * diagonal)
        points, used = triangulate_without_outliers(rays, weights, cameras, _LIMIT * diagonal)
    _check_agreement(used, len(cameras), name)
    agreed = used.sum(0) >= min(_MIN_CAMERAS, len(cameras))
    used &= agreed
    original = triangulate(rays, np.where(used, weights, 0), recording.cameras)
    before, after = errors_px(original, rays, recording.cameras), errors_px(points, rays, cameras)
    points = np.where(agreed[:, None], points, np.nan).reshape(-1, len(JOINTS), 3)
    _check_size(points, name)
    return Truth(
        cameras, points, mean_known(before[used]), mean_known(after[used]), *_corrections(cameras, recording.cameras, name)
    )


def _keypoints(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Return the keypoints of JOINTS [C, T * 12, 2] in pixels, NaN where missing, and their confidences [C, T * 12]."""
    pixels = np.full((len(recording.cameras), recording.frames, len(JOINTS), 2), np.nan)
    weights = np.zeros(pixels.shape[:3])
    for own, weight, track in zip(pixels, weights, recording.tracks, strict=True):
        assert track.layout is not None
        indices = [layouts.find(track.layout).joints.index(joint) for joint in JOINTS]
        rows = slice(track.first_frame, track.first_frame + len(track.keypoints))
        own[rows], weight[rows] = track.keypoints[:, indices], track.confidences[:, indices]
    return pixels.reshape(len(pixels), -1, 2), weights.reshape(len(pixels), -1)  # [C, T * 12, 2], [C, T * 12]


def _check_agreement(used: np.ndarray, cameras: int, name: str | Path) -> None:
    """Reject a recording if enough cameras agree on hardly any joint, or a camera agrees on none."""
    needed = min(_MIN_CAMERAS, cameras)
    seen = int((used.sum(0) >= needed).sum())
    if seen < len(JOINTS) or not used.any(1).all():
        raise DataError(
            f"{name}: {needed} cameras agree on {seen} of {used.shape[1]} joints, {(~used.any(1)).sum()} agree with no other, "
            "expected agreement on most; do keypoints and cameras belong together, by name, and show the same frames?"
        )


def _corrections(
    cameras: Sequence[CalibratedCamera], before: Sequence[CalibratedCamera], name: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many degrees and metres each camera was corrected, and reject corrections that are too large."""
    traces = np.array([np.trace(a.rotation @ b.rotation.T) for a, b in zip(cameras, before, strict=True)])
    turned = np.degrees(np.arccos(((traces - 1) / 2).clip(-1, 1)))
    positions, original_positions = (np.stack([camera.position for camera in some]) for some in (cameras, before))
    moved = np.linalg.norm(positions - original_positions, axis=1)
    max_move = _MAX_MOVE * np.linalg.norm(original_positions - original_positions.mean(0), axis=1).mean()
    if turned.max() > _MAX_TURN_DEG or moved.max() > max_move:
        raise DataError(
            f"{name}: the keypoints turn camera {before[turned.argmax()].name} by {turned.max():.0f}° and move "
            f"{before[moved.argmax()].name} by {moved.max():.2g} m, expected corrections of at most {_MAX_TURN_DEG:g}° and "
            f"{max_move:.2g} m; do they belong to the cameras, by name, and show one person in the same frames?"
        )
    return turned, moved


def _check_size(points: np.ndarray, name: str | Path) -> None:
    """Reject a recording whose person has legs of an impossible length."""
    legs = lengths(points, _LEGS)
    leg = 2 * float(np.nanmedian(legs)) if np.isfinite(legs).any() else np.nan
    if not _LEG_M[0] <= leg <= _LEG_M[1]:
        raise DataError(
            f"{name}: found legs of {leg:.3g} m, expected {_LEG_M[0]} to {_LEG_M[1]}; is the calibration in metres (.toml)?"
        )


def lengths(poses: np.ndarray, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the lengths [T, B] of bones, given as pairs of joints, in poses [T, 12, 3]."""
    ends = np.array(bones)
    return np.linalg.norm(poses[:, ends[:, 0]] - poses[:, ends[:, 1]], axis=-1)


def mean_known(values: np.ndarray) -> float:
    """Return the mean of the finite values; NaN if there are none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
