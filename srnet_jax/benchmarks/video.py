"""Networks on a real recording by several calibrated cameras, whose agreement gives the truth; see docs/real_video.md.

The truth: the 12 joints of the limbs, triangulated from the keypoints of all cameras, weighted by their confidences, without
the cameras that disagree, after the calibration was corrected by the same keypoints (bundle adjustment). A joint counts where
at least three cameras agree (of two cameras: both). No network has a part in it.

Each camera is then lifted alone. Errors are of the 12 joints relative to the middle of the hips, in the camera's axes; means
over all joints and frames that count, then over the cameras. Below each network are the same poses after the filters of
`pose.filters`, and after the live ones where the network can be streamed. For the paths of the hip see `recorded_paths`.
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
_FEWEST_ALIGNED = 4  # joints of a pose that is scaled or turned to fit the truth
_ALIGNED = {"PA-MPJPE": jax.jit(metrics.p_mpjpe), "N-MPJPE": jax.jit(metrics.n_mpjpe)}
_distances = jax.jit(metrics.joint_errors)

MPJPE, VELOCITY, ACCELERATION = "MPJPE, mm", "MPJVE, mm a frame", "acceleration, mm a frame²"
COLUMNS = (MPJPE, "PA-MPJPE, mm", "N-MPJPE, mm", "bone length error, mm", VELOCITY, ACCELERATION, "knee angle error, °")
EXPECTED = ("MPJPE expected, mm", "rank correlation")  # of the expected errors of joints, with the true ones
_TRUTH, _DETECTOR = "truth", "detector's own 3D"
_FILTERED, _LIVE = "filtered", "filtered live"
_CONSTANT, _CONSTANT_EACH = "constant pose", "constant pose of each camera"  # the true mean: oracles


def run(
    *, data: str, networks: Sequence[str] = lifter.PRETRAINED, fps: float | None = None, layout: str | None = None
) -> dict[str, float]:
    """Measure networks on a recording.

    Args:
      data: the folder.
      networks: see `lifter.load`.
      fps: see `recording.load`.
      layout: see `recording.load`.

    Returns:
      Figures of the recording by name, and errors as "row: column" and "row: column, camera".

    Raises:
      UserError: for a network that cannot be loaded.
      DataError: for a recording that cannot be read, or whose cameras do not agree.
    """
    lifters = {name: lifter.load(name) for name in networks}
    found = recording.load(data, fps, layout)
    made = triangulated(found, data)
    targets = _relative(np.stack([to_camera(made.points_world, camera) for camera in made.cameras]))  # [C, T, 12, 3]
    predicted, expected = {}, {}
    if found.worlds is not None:
        indices = [layouts.LAYOUTS["mediapipe_33"].joints.index(joint) for joint in JOINTS]
        predicted[_DETECTOR] = _relative(np.stack(found.worlds)[:, :, indices])
    for name, network in lifters.items():
        rows, errors_m = _lifted(found, name, network)
        predicted |= rows
        if errors_m is not None:
            expected[name] = errors_m
    shown = np.all([np.isfinite(poses) for poses in predicted.values()], axis=0)  # the same joints in all rows
    targets = np.where(shown, targets, np.nan)
    if not np.isfinite(targets).any():
        raise DataError(f"{data}: no frame has both a true pose and a lifted one, expected some")
    constant = {
        _CONSTANT: np.broadcast_to(_mean_pose(targets, (0, 1)), targets.shape),
        _CONSTANT_EACH: np.broadcast_to(_mean_pose(targets, 1), targets.shape),
    }
    figures = {
        "cameras": len(made.cameras),
        "frames": found.frames,
        "frames per second": found.fps,
        "joints that count, %": 100 * float(np.isfinite(targets).all(-1).mean()),
        "reprojection error before the adjustment, px": made.before_px,
        "reprojection error after it, px": made.after_px,
        "largest turn of a camera by it, °": float(made.turned_deg.max()),
        "largest move of a camera by it, mm": 1000 * float(made.moved_m.max()),
    }
    errors = _table({_TRUTH: targets} | constant | predicted, targets, [camera.name for camera in made.cameras])
    for name, errors_m in expected.items():
        errors |= {f"{name}: {column}": value for column, value in _judged(errors_m, predicted[name], targets).items()}
    return figures | errors | recorded_paths.run(found, made, lifters)


def _judged(expected: np.ndarray, poses: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """Return EXPECTED of expected errors [C, T, 12], metres, of poses [C, T, 12, 3]."""
    from scipy.stats import spearmanr

    true = np.linalg.norm(poses - targets, axis=-1)
    known = np.isfinite(true)
    rank = float(spearmanr(expected[known], true[known]).statistic)
    return dict(zip(EXPECTED, (1000 * float(expected[known].mean()), rank), strict=True))


def _mean_pose(targets: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    """Return the mean of poses [C, T, 12, 3] over axes, which stay with size one; zero for joints that never count."""
    known = np.isfinite(targets)
    return np.where(known, targets, 0).sum(axes, keepdims=True) / np.maximum(known.sum(axes, keepdims=True), 1)


def _table(predicted: dict[str, np.ndarray], targets: np.ndarray, cameras: Sequence[str]) -> dict[str, float]:
    """Return the errors of each row of poses [C, T, 12, 3], see `run`; without those that nothing counts for."""
    figures: dict[str, float] = {}
    for row, poses in predicted.items():
        errors = [_errors(one, target) for one, target in zip(poses, targets, strict=True)]
        columns = (ACCELERATION,) if row == _TRUTH else COLUMNS
        figures |= {f"{row}: {column}": mean_known(np.array([error[column] for error in errors])) for column in columns}
        if row != _TRUTH:
            figures |= {f"{row}: {MPJPE}, {name}": error[MPJPE] for name, error in zip(cameras, errors, strict=True)}
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return the tables of what `run` returns: of the recording, of the errors, of each camera's MPJPE, and of paths."""
    of_paths = {name: value for name, value in figures.items() if name.startswith(recorded_paths.PREFIX)}
    figures = {name: value for name, value in figures.items() if name not in of_paths}
    of_rows = {name: value for name, value in figures.items() if ": " in name}
    names = dict.fromkeys(name.rpartition(": ")[0] for name in of_rows)
    columns = dict.fromkeys(name.rpartition(": ")[2] for name in of_rows)
    cameras = [column.removeprefix(f"{MPJPE}, ") for column in columns if column.startswith(f"{MPJPE}, ")]

    def cells(row: str, columns: Sequence[str]) -> tuple[str, ...]:
        values = [of_rows.get(f"{row}: {column}") for column in columns]
        return (row, *("" if value is None else f"{value:.1f}" for value in values))

    about = tuple((name, f"{value:,.1f}".removesuffix(".0")) for name, value in figures.items() if name not in of_rows)
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
    """Return poses [..., 12, 3] relative to the middle of the hips; all NaN where a hip is."""
    return poses - poses[..., _HIPS, :].mean(-2, keepdims=True)


def _lifted(found: Recording, name: str, network: lifter.KeypointLifter) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
    """Return JOINTS of each camera and frame, [C, T, 12, 3], metres, by row, and of a calibrated network their expected errors.

    The errors are [C, T, 12], metres. NaN in frames that are not lifted.
    """
    ways: dict[str, bool | None] = {name: None, f"{name}, {_FILTERED}": False}
    if network.streams:
        ways[f"{name}, {_LIVE}"] = True
    rows = {row: np.full((len(found.tracks), found.frames, len(JOINTS), 3), np.nan) for row in ways}
    indices = [layouts.H36M.joints.index(joint) for joint in JOINTS]
    calibration = network.trained.calibration
    expected = None if calibration is None else np.full((len(found.tracks), found.frames, len(JOINTS)), np.nan)
    for index, track in enumerate(found.tracks):
        assert track.layout is not None
        assert track.image_size is not None
        person = lifter.completed(track.keypoints, track.confidences, track.layout, track.fps)
        made = network(
            track.keypoints,
            layout=track.layout,
            image_size=track.image_size,
            confidences=track.confidences,
            fps=track.fps,
        )
        shown = slice(track.first_frame, track.first_frame + len(made))
        if expected is not None and calibration is not None:
            expected[index, shown] = expected_errors(made, person.sources == Source.FILLED, calibration)[:, indices]
        for row, live in ways.items():
            poses = made
            if live is not None:
                times = track.fps or found.fps
                poses = filters.filtered(made, person.confidences, times, filters.Settings(), causal=live)
            rows[row][index, shown] = poses[:, indices]
    return {row: _relative(poses) for row, poses in rows.items()}, expected


def _errors(predicted: np.ndarray, target: np.ndarray) -> dict[str, float]:
    """Return the errors of one camera's poses [T, 12, 3], metres, by COLUMNS; NaN joints of the target do not count."""
    predicted = np.where(np.isfinite(target), predicted, np.nan)
    moved = metrics.in_blocks(_distances, np.diff(predicted, axis=0), np.diff(target, axis=0))
    found = {
        MPJPE: metrics.in_blocks(_distances, predicted, target),
        **{f"{name}, mm": _aligned(name, predicted, target) for name in _ALIGNED},
        "bone length error, mm": np.abs(lengths(predicted, _BONES) - lengths(target, _BONES)),
        VELOCITY: moved,
        ACCELERATION: np.linalg.norm(np.diff(predicted, 2, axis=0), axis=-1),
    }
    errors = {name: 1000 * mean_known(values) for name, values in found.items()}
    return errors | {COLUMNS[-1]: mean_known(np.abs(knee_angles(predicted) - knee_angles(target)))}


def _aligned(name: str, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return an error of each pose [T], of the joints that count; NaN where they are fewer than four."""
    found = np.full(len(target), np.nan)
    patterns, which = np.unique(np.isfinite(target).all(-1), axis=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        rows = np.flatnonzero(which.reshape(-1) == index)
        if pattern.sum() >= _FEWEST_ALIGNED:
            found[rows] = metrics.in_blocks(_ALIGNED[name], predicted[rows][:, pattern], target[rows][:, pattern])
    return found


def knee_angles(poses: np.ndarray, legs: Sequence[Sequence[int]] = _KNEES) -> np.ndarray:
    """Return the angles between thigh and shank [T, 2], degrees, 180 of a straight leg.

    Args:
      poses: [T, J, 3] joints.
      legs: hip, knee and ankle of both sides.
    """
    hips, knees, ankles = (poses[:, list(joints)] for joints in zip(*legs, strict=True))
    thigh, shank = hips - knees, ankles - knees
    sine, cosine = np.linalg.norm(np.cross(thigh, shank), axis=-1), (thigh * shank).sum(-1)
    return np.degrees(np.arctan2(sine, cosine))
