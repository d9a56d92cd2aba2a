"""The true pose of a recording: where the keypoints of all cameras meet, and how well they do."""

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
_FEWEST = 3  # cameras that agree on a joint
_FIRST_LIMIT, _LIMIT, _SCALE = 0.03, 0.01, 0.0025  # errors of rays, in diagonals of the image
_ROUNDS = 2  # of adjusting and triangulating
_FARTHEST_TURN, _FARTHEST_MOVE = 10.0, 0.2  # of a camera by the adjustment: degrees, cameras' distances from their centre
_LEG_M = (0.6, 1.4)  # thigh and shank of a person, children included


@dataclasses.dataclass(frozen=True)
class Truth:
    """What the cameras agree on.

    Attributes:
      cameras: corrected.
      points_world: [T, 12, 3] JOINTS, metres; NaN where they do not count.
      before_px: mean error of the rays that count, with the calibration as it was.
      after_px: the same with the corrected one.
      turned_deg: [C] by how much each camera was turned.
      moved_m: [C] by how much each camera was moved.
    """

    cameras: tuple[CalibratedCamera, ...]
    points_world: np.ndarray
    before_px: float
    after_px: float
    turned_deg: np.ndarray
    moved_m: np.ndarray


def triangulated(found: Recording, name: str | Path) -> Truth:
    """Correct the calibration of a recording and triangulate its joints.

    Args:
      found: the recording.
      name: begins messages.

    Raises:
      DataError: if the cameras agree on nothing, or on what is no person in metres.
    """
    pixels, weights = _keypoints(found)
    cameras = found.cameras
    rays = np.stack([undistorted(own, camera) for own, camera in zip(pixels, cameras, strict=True)])  # [C, T * 12, 2]
    diagonal = float(np.mean([np.hypot(*camera.image_size) for camera in cameras]))
    points, used = triangulate_without_outliers(rays, weights, cameras, _FIRST_LIMIT * diagonal)
    for _ in range(_ROUNDS):
        _check_agreement(used, len(cameras), name)
        cameras = adjust(cameras, points, rays, np.where(used, weights, 0), scale_px=_SCALE * diagonal)
        points, used = triangulate_without_outliers(rays, weights, cameras, _LIMIT * diagonal)
    _check_agreement(used, len(cameras), name)
    counted = used.sum(0) >= min(_FEWEST, len(cameras))
    used &= counted
    as_it_was = triangulate(rays, np.where(used, weights, 0), found.cameras)
    before, after = (errors_px(*pair) for pair in ((as_it_was, rays, found.cameras), (points, rays, cameras)))
    points = np.where(counted[:, None], points, np.nan).reshape(-1, len(JOINTS), 3)
    _check_size(points, name)
    return Truth(cameras, points, mean_known(before[used]), mean_known(after[used]), *_moves(cameras, found.cameras, name))


def _keypoints(found: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Return the keypoints of JOINTS [C, T * 12, 2] in pixels, NaN where missing, and their confidences [C, T * 12]."""
    pixels = np.full((len(found.cameras), found.frames, len(JOINTS), 2), np.nan)
    weights = np.zeros(pixels.shape[:3])
    for own, sure, track in zip(pixels, weights, found.tracks, strict=True):
        assert track.layout is not None
        indices = [layouts.find(track.layout).joints.index(joint) for joint in JOINTS]
        rows = slice(track.first_frame, track.first_frame + len(track.keypoints))
        own[rows], sure[rows] = track.keypoints[:, indices], track.confidences[:, indices]
    return pixels.reshape(len(pixels), -1, 2), weights.reshape(len(pixels), -1)  # [C, T * 12, 2], [C, T * 12]


def _check_agreement(used: np.ndarray, cameras: int, name: str | Path) -> None:
    """Refuse a recording in which hardly any joint is where enough cameras see it."""
    seen = int((used.sum(0) >= min(_FEWEST, cameras)).sum())
    if seen < len(JOINTS) or not used.any(1).all():
        raise DataError(
            f"{name}: {min(_FEWEST, cameras)} cameras agree on {seen} of {used.shape[1]} joints, {(~used.any(1)).sum()} agree "
            "with none, expected most; do keypoints and cameras belong together, by name, and show the same frames?"
        )


def _moves(
    cameras: Sequence[CalibratedCamera], before: Sequence[CalibratedCamera], name: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    """Return by how many degrees and metres each camera was corrected, and refuse what is no correction."""
    traces = np.array([np.trace(a.rotation @ b.rotation.T) for a, b in zip(cameras, before, strict=True)])
    turned = np.degrees(np.arccos(((traces - 1) / 2).clip(-1, 1)))
    now, then = (np.stack([camera.position for camera in some]) for some in (cameras, before))
    moved = np.linalg.norm(now - then, axis=1)
    reach = _FARTHEST_MOVE * np.linalg.norm(then - then.mean(0), axis=1).mean()
    if turned.max() > _FARTHEST_TURN or moved.max() > reach:
        raise DataError(
            f"{name}: the keypoints turn camera {before[turned.argmax()].name} by {turned.max():.0f}° and move "
            f"{before[moved.argmax()].name} by {moved.max():.2g} m, expected corrections of at most {_FARTHEST_TURN:g}° and "
            f"{reach:.2g} m; do they belong to the cameras, by name, and show one person in the same frames?"
        )
    return turned, moved


def _check_size(points: np.ndarray, name: str | Path) -> None:
    legs = lengths(points, _LEGS)
    leg = 2 * float(np.nanmedian(legs)) if np.isfinite(legs).any() else np.nan
    if not _LEG_M[0] <= leg <= _LEG_M[1]:
        raise DataError(
            f"{name}: found legs of {leg:.3g} m, expected {_LEG_M[0]} to {_LEG_M[1]}; is the calibration in metres (.toml)?"
        )


def lengths(poses: np.ndarray, bones: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return the lengths of bones [T, B] of poses [T, 12, 3]."""
    ends = np.array(bones)
    return np.linalg.norm(poses[:, ends[:, 0]] - poses[:, ends[:, 1]], axis=-1)


def mean_known(values: np.ndarray) -> float:
    """Return the mean of the values that are finite; NaN if none is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else np.nan
