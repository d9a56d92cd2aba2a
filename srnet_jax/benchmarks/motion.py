"""Where people are: paths of the hip, up and the floor, of real walks that simulated cameras film.

Clips of a network's test people whose hip travels 2 to 10 m are filmed by cameras 0.5 to 2.6 m above the floor, 3 to 8 m away
or as far as it takes to see the whole walk (14 m at most), every second one level and the others looking at the person, rolled
by up to 3 degrees. Focal lengths are 0.6 to 1.2 image widths; they are known, or taken as 0.85. Keypoints have the errors of
the network's own `config.data.detections`. All figures are medians over clips and cameras.

With true poses, what remains is the error of the solver and of the keypoints. Poses have bones of constant lengths. The true
floor is ANKLE leg lengths below the ankles that truly stand. The parameters of `srnet_jax/pose` were chosen on the people of
CHOSEN_ON, who are therefore left out.
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

CHOSEN_ON = ("tr", "135", "88")
NETWORKS = ("video", "causal")
TRUE_POSES, KNOWN, GUESSED = "true poses", "focal length known", "focal length guessed"
BY_FRAME, LIVE, SMOOTH, LOCKED = "frame by frame", "live", "smooth", "smooth, feet locked"
_SIZE = (1920, 1080)
_CENTER = (_SIZE[0] / 2, _SIZE[1] / 2)
_WAY_M, _FRAMES, _CAMERAS = (2.0, 10.0), 300, 4  # of a clip
_DISTANCE_M, _FARTHEST_M, _HEIGHT_M, _FOCAL, _ROLL_DEG = (3.0, 8.0), 14.0, (0.5, 2.6), (0.6, 1.2), 3.0
_STEP_M, _NEAREST_M = 0.25, 0.5
_STILL_M_S, _LOW_M = 0.25, 0.06  # a foot that truly stands: its speed, and its height above the lowest of the clip
_JITTER = 9  # frames over which the hip is averaged to measure how far it travels
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
class _Filmed:
    """A walk as a camera films it; arrays as `dataset.Sequence`."""

    sequence: dataset.Sequence
    stands: np.ndarray  # [T, 2] bool, whether the right and the left foot truly stand
    times: np.ndarray  # [T] seconds

    @property
    def up(self) -> np.ndarray:
        """[3] in the camera frame."""
        return self.sequence.camera.rotation[2]


def run(*, data: str, networks: Sequence[str] = NETWORKS) -> dict[str, float]:
    """Measure networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test people.
      networks: see `lifter.load`.

    Returns:
      Medians as "NETWORK, POSES: WAY: COLUMN" for paths and "NETWORK, POSES: COLUMN" for up and floor.

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have none of a network's test people, or none of them walks.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        config = network.trained.config
        people = [person for person in config.protocol.subjects_test if person not in CHOSEN_ON]
        films = _films(Path(data), people)
        figures[f"{name}: clips and cameras"] = len(films)
        errors = errors_of(config.data.detections)
        found: dict[str, list[dict[str, float]]] = {}
        for index, film in enumerate(films):
            fps = 1 / float(np.diff(film.times).mean())
            seen = detections.detected(film.sequence, errors, np.random.default_rng([1, index]), fps)
            for kind, measured in _measured(film, seen.inputs_2d, network).items():
                found.setdefault(kind, []).append(measured)
        for kind, measured_all in found.items():
            figures |= {f"{name}, {kind}: {what}": value for what, value in path_errors.medians(measured_all).items()}
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return the tables of what `run` returns: for each network of paths, and of up and floor."""
    made = []
    for name in [title.removesuffix(": clips and cameras") for title in figures if title.endswith(": clips and cameras")]:
        count = f"{name}: medians of {figures[f'{name}: clips and cameras']:.0f} walks as cameras film them"
        rows = tuple(
            (f"{kind}: {way}", *_cells(figures, f"{name}, {kind}: {way}", _PATH_COLUMNS))
            for kind in (TRUE_POSES, KNOWN, GUESSED)
            for way in (BY_FRAME, LIVE, SMOOTH, LOCKED)
        )
        made.append(Grid(f"path of the hip, {count}", ("", *map(path_errors.broken, _PATH_COLUMNS)), rows, frozenset((4, 8))))
        rows = tuple((kind, *_cells(figures, f"{name}, {kind}", _GROUND_COLUMNS)) for kind in (TRUE_POSES, KNOWN, GUESSED))
        made.append(Grid(f"errors of up and floor, {count}", ("", *map(path_errors.broken, _GROUND_COLUMNS)), rows))
    return made


def _cells(figures: dict[str, float], row: str, columns: Sequence[str]) -> list[str]:
    values = [figures.get(f"{row}: {column}") for column in columns]
    return ["" if v is None else f"{v:.{path_errors.digits(column)}f}" for column, v in zip(columns, values, strict=True)]


def _measured(film: _Filmed, points: np.ndarray, network: lifter.KeypointLifter) -> dict[str, dict[str, float]]:
    """Return the errors of a film whose detections are points [T, 17, 2], by what is known."""
    true = film.sequence.poses_3d.astype(np.float64)
    focal = film.sequence.camera.focal[0]
    sources = np.full(points.shape[:2], Source.SEEN, np.uint8)
    person = Completed(points, np.ones(points.shape[:2], np.float32), np.ones(len(points), bool), sources)
    found = {TRUE_POSES: _errors(film, points, true - true[:, :1], focal)}
    for kind, told in ((KNOWN, focal), (GUESSED, USUAL_FOCAL * max(_SIZE))):
        (poses,) = network.lift([person], [_SIZE], [film.times], focal_px=told)
        found[kind] = _errors(film, points, poses, told)
    return found


def _errors(film: _Filmed, points: np.ndarray, poses: np.ndarray, focal: float) -> dict[str, float]:
    """Return "WAY: COLUMN" of the paths that follow from poses [T, 17, 3], and COLUMN of up and floor."""
    truth, times, sure = film.sequence.poses_3d[:, ROOT].astype(np.float64), film.times, np.ones(points.shape[:2])
    live, bones = RootFilter(focal, _CENTER), with_median_bones(poses)
    smooth = root_path(bones, points, sure, focal, _CENTER, times)
    paths = {
        BY_FRAME: root_by_frame(poses, points, sure, focal, _CENTER),
        LIVE: np.array([live.push(*frame) for frame in zip(poses, points, sure, times, strict=True)]),
        SMOOTH: smooth,
        LOCKED: footlock(smooth, bones, times),
    }
    found: dict[str, float] = {}
    for way, path in paths.items():
        body = bones if way in (SMOOTH, LOCKED) else poses
        slides = path_errors.sliding(body + path[:, None], film.stands, times)
        found |= {f"{way}: {name}": value for name, value in path_errors.of_path(path, truth).items()}
        found[f"{way}: {path_errors.SLIDING}"] = slides
    joints, height = bones + paths[LOCKED][:, None], film.sequence.camera.translation[2]
    floor, told = ground(joints, times), ground(joints, times, film.up)
    return found | {
        path_errors.UP: path_errors.degrees_between(floor.up, film.up),
        path_errors.UP_EXPECTED: floor.error_deg,
        path_errors.LEVEL: path_errors.degrees_between(np.array([0.0, -1.0, 0.0]), film.up),
        path_errors.FLOOR: 100 * abs(floor.height - height),
        path_errors.FLOOR_UP_KNOWN: 100 * abs(told.height - height),
    }


def _films(path: Path, people: Sequence[str]) -> list[_Filmed]:
    """Return the walks of some people, each as several cameras film it."""
    far = cameras.virtual_cameras(number=1, distance_m=20, height_m=1.5, focal_px=1, width_px=1, height_px=1)
    found = clip_files.load(path, fps=30.0, cameras=far)
    films = []
    for index, one in enumerate(found.sequences):
        poses = cameras.camera_to_world(one.poses_3d[:_FRAMES].astype(np.float64), one.camera)
        if one.subject not in people or not _walks(poses):
            continue
        stands = _stands(poses, found.fps)
        if not stands.any():
            continue
        legs = [[H36M_17.joints.index(side + joint) for joint in ("Hip", "Knee", "Foot")] for side in "RL"]
        leg = np.mean([np.linalg.norm(np.diff(poses[:, joints], axis=1), axis=-1).sum(1) for joints in legs])
        poses -= [*poses[:, ROOT, :2].mean(0), np.median(poses[:, FEET, 2][stands]) - ANKLE * leg]
        for number in range(_CAMERAS):
            camera = _camera(poses, np.random.default_rng([index, number]), level=bool(number % 2))
            (sequence,) = dataset.film(poses, [camera], subject=one.subject, action=one.action, trial=one.trial)
            films.append(_Filmed(sequence, stands, np.arange(len(poses)) / found.fps))
    if not films:
        raise DataError(f"{path}: found no walk of 2 to 10 m of the test people {', '.join(people)}, expected some")
    return films


def _walks(poses: np.ndarray) -> bool:
    """Return whether the hip of poses [T, 17, 3] travels far enough and not too far."""
    if len(poses) < 2 * _JITTER:
        return False
    window = np.ones(_JITTER) / _JITTER
    path = np.stack([np.convolve(poses[:, ROOT, axis], window, "valid") for axis in (0, 1)], -1)
    way, reach = np.linalg.norm(np.diff(path, axis=0), axis=-1).sum(), np.linalg.norm(path - path[0], axis=-1).max()
    return bool(reach >= _WAY_M[0] and way <= _WAY_M[1])


def _stands(poses: np.ndarray, fps: float) -> np.ndarray:
    """Return when the right and the left foot of true poses [T, 17, 3] stand, [T, 2] bool."""
    feet = poses[:, FEET]
    speed, height = np.linalg.norm(np.gradient(feet, axis=0), axis=-1) * fps, feet[..., 2]
    return (speed < _STILL_M_S) & (height < np.percentile(height.min(1), 5) + _LOW_M)


def _camera(poses: np.ndarray, rng: np.random.Generator, *, level: bool) -> cameras.Camera:
    """Draw a camera that sees the whole motion [T, 17, 3], world frame, metres."""
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
        distance += _STEP_M
