"""Measure the path of the hip in a recording by several cameras, and whether the cameras agree on up.

The true path is that of the hips triangulated from all cameras. Each camera estimates the path and up alone: once with its
calibrated focal length and distortion, and once with a guessed focal length and without distortion. The true direction of up is
unknown, because the world frame of a calibration may have any axes. So the figure is the angle between each camera's up and the
mean over cameras. It is smaller than the error, because it does not include an error that all cameras have in common.
"""

import numpy as np

from srnet_jax.benchmarks import path_errors
from srnet_jax.benchmarks.recording import Recording
from srnet_jax.benchmarks.triangulated import JOINTS, Truth
from srnet_jax.evaluation.tables import Grid
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting import lifter
from srnet_jax.pose.footlock import footlock
from srnet_jax.pose.ground import Ground, ground
from srnet_jax.pose.multiview import CalibratedCamera, to_camera, undistorted
from srnet_jax.pose.normalization import USUAL_FOCAL
from srnet_jax.pose.root_path import root_by_frame, root_path, with_median_bones

PREFIX = "where the person is, "
CALIBRATED, GUESSED_FOCAL = "calibrated", "focal length guessed"
BY_FRAME, LOCKED = "frame by frame", "smooth, feet locked"
APART = "up from the mean of cameras, °"
_COLUMNS = (
    path_errors.PATH,
    path_errors.FROM_START,
    path_errors.DEPTH,
    path_errors.SIDEWAYS,
    APART,
    path_errors.UP_EXPECTED,
)
_HIPS = [JOINTS.index(f"{side}_hip") for side in ("left", "right")]


def run(recorded: Recording, truth: Truth, networks: dict[str, lifter.KeypointLifter]) -> dict[str, float]:
    """Measure networks; return medians over cameras as "PREFIX NETWORK, CAMERA, METHOD: COLUMN"."""
    figures: dict[str, float] = {}
    for name, network in networks.items():
        for kind in (CALIBRATED, GUESSED_FOCAL):
            errors: dict[str, list[dict[str, float]]] = {BY_FRAME: [], LOCKED: []}
            ups = []
            for track, camera in zip(recorded.tracks, truth.cameras, strict=True):
                paths, floor = _paths_and_ground(track, camera, network, known=kind == CALIBRATED)
                rows = slice(track.first_frame, track.first_frame + len(track.keypoints))
                true_path = to_camera(truth.points_world[rows][:, _HIPS].mean(1), camera)
                for method, path in paths.items():
                    errors[method].append(path_errors.of_path(path, true_path))
                ups.append((camera.rotation.T @ floor.up, floor.error_deg))
            mean = np.mean([up for up, _ in ups], axis=0)
            for error, (up, expected_deg) in zip(errors[LOCKED], ups, strict=True):
                error |= {APART: path_errors.degrees_between(up, mean), path_errors.UP_EXPECTED: expected_deg}
            for method, errors_of_method in errors.items():
                row = f"{PREFIX}{name}, {kind}, {method}"
                medians = path_errors.medians(errors_of_method)
                figures |= {f"{row}: {column}": value for column, value in medians.items() if column in _COLUMNS}
    return figures


def grid(figures: dict[str, float]) -> Grid:
    """Return the table of the figures of `run`."""
    rows = []
    for row in dict.fromkeys(name.rpartition(": ")[0] for name in figures):
        values = [figures.get(f"{row}: {column}") for column in _COLUMNS]
        cells = [
            "" if value is None else f"{value:.{path_errors.digits(c)}f}" for c, value in zip(_COLUMNS, values, strict=True)
        ]
        rows.append((row.removeprefix(PREFIX), *cells))
    heads = [path_errors.break_header(column) for column in _COLUMNS]
    return Grid("the hip in the camera frame, and up: medians over cameras", ("", *heads), tuple(rows))


def _paths_and_ground(
    track: Track, camera: CalibratedCamera, network: lifter.KeypointLifter, *, known: bool
) -> tuple[dict[str, np.ndarray], Ground]:
    """Return the paths [T, 3] of a track by method, and the ground."""
    assert track.layout is not None
    assert track.image_size is not None
    assert track.fps is not None
    times, size = np.arange(len(track.keypoints)) / track.fps, track.image_size
    person = lifter.completed(track.keypoints, track.confidences, track.layout, track.fps)
    focal = camera.focal[0] if known else USUAL_FOCAL * max(size)
    (poses,) = network.lift([person], [size], [times], focal_px=focal if known and network.uses_focal else None)
    center = np.array(size) / 2
    rays = undistorted(person.points, camera) if known else (person.points - center) / focal
    bones = with_median_bones(poses)
    smooth = root_path(bones, rays, person.confidences, 1.0, (0.0, 0.0), times)
    locked = footlock(smooth, bones, times)
    paths = {BY_FRAME: root_by_frame(poses, rays, person.confidences, 1.0, (0.0, 0.0)), LOCKED: locked}
    return paths, ground(bones + locked[:, None], times)
