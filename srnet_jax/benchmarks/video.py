"""Measure networks on a real recording by several calibrated cameras; see docs/real_video.md.

The true poses are the 12 joints of the limbs, triangulated from the keypoints of all cameras and weighted by their confidences.
Cameras that disagree are left out, and the same keypoints first correct the calibration (bundle adjustment). A joint counts if
at least three cameras agree (of two cameras: both). No network takes part in this.

Networks then lift each camera alone. Errors are those of the 12 joints relative to the middle of the hips, in the camera frame.
They are means over all joints and frames that count, then over the cameras. The rows below each network show the same poses
after the filters of `pose.filters` and, if the network can be streamed, after the live filters. For the path of the hip see
`recorded_paths`.
"""

from collections.abc import Sequence

import jax
import numpy as np

from srnet_jax.benchmarks import recorded_paths, recording
from srnet_jax.benchmarks.recording import Recording
from srnet_jax.benchmarks.triangulated import JOINTS, lengths, mean_known, triangulated
from srnet_jax.errors import DataError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose import filters, layouts, metrics
from srnet_jax.pose.complete import Source
from srnet_jax.pose.expected_errors import expected_errors
from srnet_jax.pose.multiview import to_camera

_HIPS, _KNEES = (3, 9), ((3, 4, 5), (9, 10, 11))
_BONES = ((0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11))
_MIN_ALIGNED = 4  # joints of a pose that is aligned with the truth
_ALIGNED = {"PA-MPJPE": jax.jit(metrics.p_mpjpe), "N-MPJPE": jax.jit(metrics.n_mpjpe)}
_distances = jax.jit(metrics.joint_errors)

MPJPE, VELOCITY, ACCELERATION = "MPJPE, mm", "MPJVE, mm a frame", "acceleration, mm a frame²"
COLUMNS = (MPJPE, "PA-MPJPE, mm", "N-MPJPE, mm", "bone length error, mm", VELOCITY, ACCELERATION, "knee angle error, °")
EXPECTED = ("MPJPE expected, mm", "rank correlation")  # the correlation is that with the true errors
_TRUTH, _DETECTOR = "truth", "detector's own 3D"
_FILTERED, _LIVE = "filtered", "filtered live"
_CONSTANT, _CONSTANT_EACH = "constant pose", "constant pose of each camera"  # means of the true poses, which no network knows


def run(
    *, data: str, networks: Sequence[str] = lifter.PRETRAINED, fps: float | None = None, layout: str | None = None
) -> dict[str, float]:
    """Measure networks on a recording.

    Args:
      data: folder of the recording.
      networks: see `lifter.load`.
      fps: see `recording.load`.
      layout: see `recording.load`.

    Returns:
      Figures of the recording by name; errors as "ROW: COLUMN" and "ROW: COLUMN, CAMERA"; and those of `recorded_paths.run`.

    Raises:
      UserError: for a network that cannot be loaded.
      DataError: for a recording that cannot be loaded, or whose cameras do not agree.
    """
    lifters = {name: lifter.load(name) for name in networks}
    recorded = recording.load(data, fps, layout)
    truth = triangulated(recorded, data)
    targets = _relative(np.stack([to_camera(truth.points_world, camera) for camera in truth.cameras]))  # [C, T, 12, 3]
    predicted, expected = {}, {}
    if recorded.worlds is not None:
        indices = [layouts.LAYOUTS["mediapipe_33"].joints.index(joint) for joint in JOINTS]
        predicted[_DETECTOR] = _relative(np.stack(recorded.worlds)[:, :, indices])
    for name, network in lifters.items():
        rows, errors_m = _lift_cameras(recorded, name, network)
        predicted |= rows
        if errors_m is not None:
            expected[name] = errors_m
    shown = np.all([np.isfinite(poses) for poses in predicted.values()], axis=0)  # the same joints in all rows
    targets = np.where(shown, targets, np.nan)
    if not np.isfinite(targets).any():
        raise DataError(f"{data}: no frame has both a true pose and a lifted one, expected at least one")
    constant = {
        _CONSTANT: np.broadcast_to(_mean_pose(targets, (0, 1)), targets.shape),
        _CONSTANT_EACH: np.broadcast_to(_mean_pose(targets, 1), targets.shape),
    }
    figures = {
        "cameras": len(truth.cameras),
        "frames": recorded.frames,
        "frames per second": recorded.fps,
        "joints that count, %": 100 * float(np.isfinite(targets).all(-1).mean()),
        "reprojection error before the adjustment, px": truth.before_px,
        "reprojection error after it, px": truth.after_px,
        "largest turn of a camera by it, °": float(truth.turned_deg.max()),
        "largest move of a camera by it, mm": 1000 * float(truth.moved_m.max()),
    }
    errors = _errors_of_rows({_TRUTH: targets} | constant | predicted, targets, [camera.name for camera in truth.cameras])
    for name, errors_m in expected.items():
        compared = _compare_expected(errors_m, predicted[name], targets)
        errors |= {f"{name}: {column}": value for column, value in compared.items()}
    return figures | errors | recorded_paths.run(recorded, truth, lifters)


def _compare_expected(expected: np.ndarray, poses: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Compare expected errors [C, T, 12], metres, with the true errors of poses [C, T, 12, 3]; return EXPECTED."""
    from scipy.stats import spearmanr

    true = np.linalg.norm(poses - targets, axis=-1)
    known = np.isfinite(true)
    rank = float(spearmanr(expected[known], true[known]).statistic)
    return dict(zip(EXPECTED, (1000 * float(expected[known].mean()), rank), strict=True))


def _mean_pose(targets: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """Return the mean of poses [C, T, 12, 3] over axes, which keep size one; zero for joints that are never known."""
    known = np.isfinite(targets)
    return np.where(known, targets, 0).sum(axes, keepdims=True) / np.maximum(known.sum(axes, keepdims=True), 1)


def _errors_of_rows(predicted: dict[str, np.ndarray], targets: np.ndarray, cameras: Sequence[str]) -> dict[str, float]:
    """Return the errors of each row of poses [C, T, 12, 3], as `run` does; errors that are not finite are left out."""
    figures: dict[str, float] = {}
    for row, poses in predicted.items():
        errors = [_camera_errors(one, target) for one, target in zip(poses, targets, strict=True)]
        columns = (ACCELERATION,) if row == _TRUTH else COLUMNS
        figures |= {f"{row}: {column}": mean_known(np.array([error[column] for error in errors])) for column in columns}
        if row != _TRUTH:
            figures |= {f"{row}: {MPJPE}, {name}": error[MPJPE] for name, error in zip(cameras, errors, strict=True)}
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return tables of the figures of `run`: the recording, the errors, the MPJPE of each camera, and the paths."""
    of_paths = {name: value for name, value in figures.items() if name.startswith(recorded_paths.PREFIX)}
    figures = {name: value for name, value in figures.items() if name not in of_paths}
    errors = {name: value for name, value in figures.items() if ": " in name}
    names = dict.fromkeys(name.rpartition(": ")[0] for name in errors)
    columns = dict.fromkeys(name.rpartition(": ")[2] for name in errors)
    cameras = [column.removeprefix(f"{MPJPE}, ") for column in columns if column.startswith(f"{MPJPE}, ")]

    def cells(row: str, columns: Sequence[str]) -> tuple[str, ...]:
        values = [errors.get(f"{row}: {column}") for column in columns]
        return (row, *("" if value is None else f"{value:.1f}" for value in values))

    about = tuple((name, f"{value:,.1f}".removesuffix(".0")) for name, value in figures.items() if name not in errors)
    shown = (*COLUMNS, *(column for column in EXPECTED if column in columns))
    rows = tuple(cells(row, shown) for row in names)
    each = tuple(
        cells(row, [f"{MPJPE}, {camera}" for camera in cameras])
        for row in names
        if row != _TRUTH and not row.endswith((_FILTERED, _LIVE))
    )
    return [
        Grid("the recording", ("", ""), about),
        Grid("12 joints relative to the hips, mean over cameras", ("", *(c.replace(", ", ",\n") for c in shown)), rows),
        Grid(f"{MPJPE}, of each camera", ("", *cameras), each),
        recorded_paths.grid(of_paths),
    ]


def _relative(poses: np.ndarray) -> np.ndarray:
    """Return poses [..., 12, 3] relative to the middle of the hips; all NaN if a hip is NaN."""
    return poses - poses[..., _HIPS, :].mean(-2, keepdims=True)


def _lift_cameras(
    recorded: Recording, name: str, network: lifter.KeypointLifter
) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Lift each camera alone, and apply the filters.

    Returns:
      JOINTS by row, [C, T, 12, 3], metres; and their expected errors before filters, [C, T, 12], metres, or None if the network
      is not calibrated. Both are NaN in frames that are not lifted.
    """
    causal_of_row: dict[str, bool | None] = {name: None, f"{name}, {_FILTERED}": False}
    if network.streams:
        causal_of_row[f"{name}, {_LIVE}"] = True
    rows = {row: np.full((len(recorded.tracks), recorded.frames, len(JOINTS), 3), np.nan) for row in causal_of_row}
    indices = [layouts.H36M.joints.index(joint) for joint in JOINTS]
    calibration = network.trained.calibration
    expected = None if calibration is None else np.full((len(recorded.tracks), recorded.frames, len(JOINTS)), np.nan)
    for index, track in enumerate(recorded.tracks):
        assert track.layout is not None
        assert track.image_size is not None
        person = lifter.completed(track.keypoints, track.confidences, track.layout, track.fps)
        lifted = network(
            track.keypoints,
            layout=track.layout,
            image_size=track.image_size,
            confidences=track.confidences,
            fps=track.fps,
        )
        shown = slice(track.first_frame, track.first_frame + len(lifted))
        if expected is not None and calibration is not None:
            expected[index, shown] = expected_errors(lifted, person.sources == Source.FILLED, calibration)[:, indices]
        for row, causal in causal_of_row.items():
            poses = lifted
            if causal is not None:
                fps = track.fps or recorded.fps
                poses = filters.filtered(lifted, person.confidences, fps, filters.Settings(), causal=causal)
            rows[row][index, shown] = poses[:, indices]
    return {row: _relative(poses) for row, poses in rows.items()}, expected


def _camera_errors(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the errors of one camera's poses [T, 12, 3], metres, by COLUMNS; joints without a target are left out."""
    predicted = np.where(np.isfinite(target), predicted, np.nan)
    values_of_columns = {
        MPJPE: metrics.in_blocks(_distances, predicted, target),
        **{f"{name}, mm": _aligned_error(name, predicted, target) for name in _ALIGNED},
        "bone length error, mm": np.abs(lengths(predicted, _BONES) - lengths(target, _BONES)),
        VELOCITY: metrics.in_blocks(_distances, np.diff(predicted, axis=0), np.diff(target, axis=0)),
        ACCELERATION: np.linalg.norm(np.diff(predicted, 2, axis=0), axis=-1),
    }
    errors = {name: 1000 * mean_known(values) for name, values in values_of_columns.items()}
    return errors | {COLUMNS[-1]: mean_known(np.abs(knee_angles(predicted) - knee_angles(target)))}


def _aligned_error(name: str, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return an aligned error of each pose [T] over its known joints; NaN if there are fewer than four."""
    errors = np.full(len(target), np.nan)
    patterns, which = np.unique(np.isfinite(target).all(-1), axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero(which.reshape(-1) == index)
        if pattern.sum() >= _MIN_ALIGNED:
            errors[rows] = metrics.in_blocks(_ALIGNED[name], predicted[rows][:, pattern], target[rows][:, pattern])
    return errors


def knee_angles(poses: np.ndarray, legs: Sequence[Sequence[int]] = _KNEES) -> np.ndarray:
    """Return the angles [T, 2] between thigh and shank, degrees; a straight leg has 180.

    Args:
      poses: [T, J, 3] joints.
      legs: indices of hip, knee and ankle for each leg.
    """
    hips, knees, ankles = (poses[:, list(joints)] for joints in zip(*legs, strict=True))
    thigh, shank = hips - knees, ankles - knees
    sine, cosine = np.linalg.norm(np.cross(thigh, shank), axis=-1), (thigh * shank).sum(-1)
    return np.degrees(np.arctan2(sine, cosine))
