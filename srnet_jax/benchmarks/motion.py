"""Measure the path of the hip, the direction of up and the floor, on recorded walks that simulated cameras film.

The clips are those of a network's test people whose hip travels 2 to 10 m. Cameras are 0.5 to 2.6 m above the floor and 3 to
8 m away, or as far as they must be to see the whole walk (at most 14 m). Every second camera is level, the others look at the
person; all are rolled by up to 3 degrees. Focal lengths are 0.6 to 1.2 image widths. They are either known, or assumed to be
0.85. Keypoints have the errors of the network's `config.data.detections`. All figures are medians over clips and cameras.

Rows with true poses show the error of the solver and of the keypoints alone. Smooth paths and the floor follow from poses with
constant bone lengths. The true floor is ANKLE leg lengths below the ankles of standing feet. The parameters of
`srnet_jax/pose` were chosen on TUNING_PEOPLE, who are therefore left out.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.benchmarks import path_errors
from srnet_jax.data import dataset, detections
from srnet_jax.data.mocap import clip_files
from srnet_jax.data.sources import errors_of
from srnet_jax.errors import DataError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose import cameras
from srnet_jax.pose.complete import Completed, Source
from srnet_jax.pose.footlock import FEET, footlock
from srnet_jax.pose.ground import ANKLE, ground
from srnet_jax.pose.normalization import USUAL_FOCAL
from srnet_jax.pose.root_filter import RootFilter
from srnet_jax.pose.root_path import root_by_frame, root_path, with_median_bones
from srnet_jax.pose.skeleton import H36M_17, ROOT

TUNING_PEOPLE = ("tr", "135", "88")
NETWORKS = ("video", "causal")
TRUE_POSES, KNOWN_FOCAL, GUESSED_FOCAL = "true poses", "focal length known", "focal length guessed"
_KINDS = (TRUE_POSES, KNOWN_FOCAL, GUESSED_FOCAL)
BY_FRAME, LIVE, SMOOTH, LOCKED = "frame by frame", "live", "smooth", "smooth, feet locked"
_SIZE = (1920, 1080)
_CENTER = (_SIZE[0] / 2, _SIZE[1] / 2)
_TRAVEL_M, _FRAMES, _CAMERAS = (2.0, 10.0), 300, 4  # travelled distance, longest clip, and cameras of a clip
_DISTANCE_M, _FARTHEST_M, _HEIGHT_M, _FOCAL, _ROLL_DEG = (3.0, 8.0), 14.0, (0.5, 2.6), (0.6, 1.2), 3.0
_DISTANCE_STEP_M, _NEAREST_M = 0.25, 0.5
_MAX_SPEED_M_S, _MAX_RISE_M = 0.25, 0.06  # of a standing foot; the rise is over the lowest foot in the clip
_AVERAGED_FRAMES = 9  # the hip is averaged over them before its travel is measured
_PATH_COLUMNS = (
    path_errors.PATH,
    path_errors.RELATIVE,
    path_errors.LENGTH,
    path_errors.DEPTH,
    path_errors.SIDEWAYS,
    path_errors.SLIDING,
)
_GROUND_COLUMNS = (
    path_errors.UP,
    path_errors.UP_MOST,
    path_errors.UP_EXPECTED,
    path_errors.LEVEL,
    path_errors.LEVEL_MOST,
    path_errors.FLOOR,
    path_errors.FLOOR_UP_KNOWN,
)


@dataclasses.dataclass(frozen=True)
class _FilmedWalk:
    """A walk that a camera films."""

    sequence: dataset.Sequence
    standing: np.ndarray  # [T, 2] bool: whether the right and the left foot stand on the floor
    times: np.ndarray  # [T] seconds

    @property
    def up(self) -> np.ndarray:
        """Direction of up [3] in the camera frame."""
        return self.sequence.camera.rotation[2]


def run(*, data: str, networks: Sequence[str] = NETWORKS) -> dict[str, float]:
    """Measure the paths, up and the floor that follow from the poses of networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test people.
      networks: see `lifter.load`.

    Returns:
      Medians as "NETWORK, POSES: METHOD: COLUMN" for paths and "NETWORK, POSES: COLUMN" for up and the floor.

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have none of a network's test people, or none of these people walks 2 to 10 m.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        config = network.trained.config
        people = [person for person in config.protocol.subjects_test if person not in TUNING_PEOPLE]
        films = _film_walks(Path(data), people)
        figures[f"{name}: clips and cameras"] = len(films)
        errors = errors_of(config.data.detections)
        found: dict[str, list[dict[str, float]]] = {}
        for index, film in enumerate(films):
            fps = 1 / float(np.diff(film.times).mean())
            seen = detections.detected(film.sequence, errors, np.random.default_rng([1, index]), fps)
            for kind, measured in _measure_film(film, seen.inputs_2d, network).items():
                found.setdefault(kind, []).append(measured)
        for kind, measured_all in found.items():
            figures |= {f"{name}, {kind}: {what}": value for what, value in path_errors.medians(measured_all).items()}
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return tables of the figures of `run`: for each network one of paths, and one of up and the floor."""
    tables = []
    for name in [title.removesuffix(": clips and cameras") for title in figures if title.endswith(": clips and cameras")]:
        count = f"{name}: medians of {figures[f'{name}: clips and cameras']:.0f} filmed walks"
        rows = tuple(
            (f"{kind}: {method}", *_cells(figures, f"{name}, {kind}: {method}", _PATH_COLUMNS))
            for kind in _KINDS
            for method in (BY_FRAME, LIVE, SMOOTH, LOCKED)
        )
        header = ("", *map(path_errors.break_header, _PATH_COLUMNS))
        tables.append(Grid(f"path of the hip, {count}", header, rows, frozenset((4, 8))))
        rows = tuple((kind, *_cells(figures, f"{name}, {kind}", _GROUND_COLUMNS)) for kind in _KINDS)
        tables.append(Grid(f"errors of up and floor, {count}", ("", *map(path_errors.break_header, _GROUND_COLUMNS)), rows))
    return tables


def _cells(figures: dict[str, float], row: str, columns: Sequence[str]) -> list[str]:
    """Return the cells of a row as text, empty where there is no figure."""
    values = [figures.get(f"{row}: {column}") for column in columns]
    return ["" if v is None else f"{v:.{path_errors.digits(column)}f}" for column, v in zip(columns, values, strict=True)]


def _measure_film(film: _FilmedWalk, points: np.ndarray, network: lifter.KeypointLifter) -> dict[str, dict[str, float]]:
    """Return the errors for a film with keypoints [T, 17, 2], by kind: TRUE_POSES, KNOWN_FOCAL and GUESSED_FOCAL."""
    true = film.sequence.poses_3d.astype(np.float64)
    focal = film.sequence.camera.focal[0]
    sources = np.full(points.shape[:2], Source.SEEN, np.uint8)
    person = Completed(points, np.ones(points.shape[:2], np.float32), np.ones(len(points), bool), sources)
    found = {TRUE_POSES: _errors_of(film, points, true - true[:, :1], focal)}
    for kind, assumed in ((KNOWN_FOCAL, focal), (GUESSED_FOCAL, USUAL_FOCAL * max(_SIZE))):
        (poses,) = network.lift([person], [_SIZE], [film.times], focal_px=assumed)
        found[kind] = _errors_of(film, points, poses, assumed)
    return found


def _errors_of(film: _FilmedWalk, points: np.ndarray, poses: np.ndarray, focal: float) -> dict[str, float]:
    """Estimate paths, up and the floor from poses [T, 17, 3]; return errors as "METHOD: COLUMN" and COLUMN."""
    true_path, times, sure = film.sequence.poses_3d[:, ROOT].astype(np.float64), film.times, np.ones(points.shape[:2])
    live, bones = RootFilter(focal, _CENTER), with_median_bones(poses)
    smooth = root_path(bones, points, sure, focal, _CENTER, times)
    paths = {
        BY_FRAME: root_by_frame(poses, points, sure, focal, _CENTER),
        LIVE: np.array([live.push(*frame) for frame in zip(poses, points, sure, times, strict=True)]),
        SMOOTH: smooth,
        LOCKED: footlock(smooth, bones, times),
    }
    found: dict[str, float] = {}
    for method, path in paths.items():
        body = bones if method in (SMOOTH, LOCKED) else poses
        slides = path_errors.sliding(body + path[:, None], film.standing, times)
        found |= {f"{method}: {name}": value for name, value in path_errors.of_path(path, true_path).items()}
        found[f"{method}: {path_errors.SLIDING}"] = slides
    joints, height = bones + paths[LOCKED][:, None], film.sequence.camera.translation[2]
    floor, floor_with_up = ground(joints, times), ground(joints, times, film.up)
    return found | {
        path_errors.UP: path_errors.degrees_between(floor.up, film.up),
        path_errors.UP_EXPECTED: floor.error_deg,
        path_errors.LEVEL: path_errors.degrees_between(np.array([0.0, -1.0, 0.0]), film.up),
        path_errors.FLOOR: 100 * abs(floor.height - height),
        path_errors.FLOOR_UP_KNOWN: 100 * abs(floor_with_up.height - height),
    }


def _film_walks(path: Path, people: Sequence[str]) -> list[_FilmedWalk]:
    """Load the walks of some people, and film each with several cameras."""
    far = cameras.virtual_cameras(number=1, distance_m=20, height_m=1.5, focal_px=1, width_px=1, height_px=1)
    found = clip_files.load(path, fps=30.0, cameras=far)
    films = []
    for index, one in enumerate(found.sequences):
        poses = cameras.camera_to_world(one.poses_3d[:_FRAMES].astype(np.float64), one.camera)
        if one.subject not in people or not _is_walk(poses):
            continue
        standing = _standing_feet(poses, found.fps)
        if not standing.any():
            continue
        legs = [[H36M_17.joints.index(side + joint) for joint in ("Hip", "Knee", "Foot")] for side in "RL"]
        leg = np.mean([np.linalg.norm(np.diff(poses[:, joints], axis=1), axis=-1).sum(1) for joints in legs])
        poses -= [*poses[:, ROOT, :2].mean(0), np.median(poses[:, FEET, 2][standing]) - ANKLE * leg]
        for number in range(_CAMERAS):
            camera = _random_camera(poses, np.random.default_rng([index, number]), level=bool(number % 2))
            (sequence,) = dataset.film(poses, [camera], subject=one.subject, action=one.action, trial=one.trial)
            films.append(_FilmedWalk(sequence, standing, np.arange(len(poses)) / found.fps))
    if not films:
        raise DataError(f"{path}: found no walk of 2 to 10 m of the test people {', '.join(people)}, expected at least one")
    return films


def _is_walk(poses: np.ndarray) -> bool:
    """Return whether the hip of poses [T, 17, 3] travels 2 to 10 m."""
    if len(poses) < 2 * _AVERAGED_FRAMES:
        return False
    window = np.ones(_AVERAGED_FRAMES) / _AVERAGED_FRAMES
    path = np.stack([np.convolve(poses[:, ROOT, axis], window, "valid") for axis in (0, 1)], -1)
    length, reach = np.linalg.norm(np.diff(path, axis=0), axis=-1).sum(), np.linalg.norm(path - path[0], axis=-1).max()
    return bool(reach >= _TRAVEL_M[0] and length <= _TRAVEL_M[1])


def _standing_feet(poses: np.ndarray, fps: float) -> np.ndarray:
    """Return in which frames of poses [T, 17, 3] the right and the left foot stand on the floor, [T, 2] bool."""
    feet = poses[:, FEET]
    speed, height = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * fps, feet[..., 2]
    return (speed < _MAX_SPEED_M_S) & (height < np.percentile(height.min(1), 5) + _MAX_RISE_M)


def _random_camera(poses: np.ndarray, rng: np.random.Generator, *, level: bool) -> cameras.Camera:
    """Draw a random camera that sees a whole motion [T, 17, 3], world frame, metres."""
    middle, azimuth = poses[:, ROOT].mean(0), rng.uniform(0, 2 * np.pi)
    distance, height, roll = rng.uniform(*_DISTANCE_M), rng.uniform(*_HEIGHT_M), np.radians(rng.uniform(-1, 1) * _ROLL_DEG)
    focal = _SIZE[0] * rng.uniform(*_FOCAL)
    while True:
        place = (*(middle[:2] + distance * np.array([np.cos(azimuth), np.sin(azimuth)])).tolist(), height)
        orientation = cameras.look_at(place, (*middle[:2].tolist(), height if level else float(middle[2])))
        camera = cameras.rolled(cameras.Camera("", orientation, place, (focal, focal), _CENTER, *_SIZE), roll)
        seen = cameras.world_to_camera(poses, camera)
        if seen[..., 2].min() > _NEAREST_M:
            pixels = cameras.project(seen, camera)
            if distance > _FARTHEST_M or ((pixels >= 0) & (pixels <= _SIZE)).all():
                return camera
        distance += _DISTANCE_STEP_M
