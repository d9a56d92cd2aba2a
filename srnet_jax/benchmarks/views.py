"""Measure networks on people and cameras that are not in the training data, by height, roll, distance and direction.

One camera films each clip of a network's test subjects. Its azimuth is random; its height, distance and roll, and the angle
between its optical axis and the hip, are those of the table's cell. The lifter guesses the focal length. The tables are:

1. The keypoints are exact projections of the joints that a detector finds.
2. The keypoints have the errors of the network's `config.data.detections`.
3. The keypoints are exact, but people have other bodies: random statures and trunks of `config.redraw`. Recordings of motion
   differ in where they place hips and shoulders; some have hips half as far apart as others. So this table is nearer to what
   detectors see.

Another table is of a person who stands upright with straight knees, seen from all sides, from 3 to 12 m away and from 0.8 to
2.2 m above the floor. It gives the knee angle and the lean of the torso: the worst and the median. The person has either hips
and shoulders as broad as the ends of the bones (0.39 and 0.53 of the legs' length), or the mean trunk of `config.redraw`.
"""

import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data import dataset, detections, redraw
from srnet_jax.data.mocap import clip_files
from srnet_jax.data.sources import errors_of
from srnet_jax.errors import DataError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose import cameras, metrics
from srnet_jax.pose.complete import Completed, Source
from srnet_jax.pose.normalization import USUAL_FOCAL
from srnet_jax.pose.skeleton import H36M_17, RATIOS

HEIGHTS_M, ROLLS, DISTANCES_M, OFF_AXIS = (0.5, 1.5, 2.6), (0, 20), (2, 4, 6, 10), (0, 25)
BODIES = "exact, other bodies"
STANDING = ("smallest knee angle, °", "median knee angle, °", "largest lean of the torso, °", "median lean of the torso, °")
_BROAD, _REDRAWN = "standing", "standing, trunk of config.redraw"
SIZE = (1920, 1080)
_FOCAL = USUAL_FOCAL * max(SIZE)
_MAX_FRAMES = 100  # of each clip
_STATURE_M, _SHOULDER, _NECK, _HEAD = 1.75, 0.818, 0.87, 0.93  # heights of joints are relative to the stature
_mpjpe = partial(metrics.in_blocks, jax.jit(metrics.mpjpe))


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure networks for all views.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      MPJPE in millimetres as "NETWORK, KIND: CELL", where KIND is exact, noisy or BODIES; and the figures of standing people as
      "NETWORK, PERSON: COLUMN", with the columns of STANDING.

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have none of a network's test subjects.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        config = network.trained.config
        clips, fps = load_clips(Path(data), config.protocol.subjects_test, _MAX_FRAMES)
        exact = detections.Errors(derived_joints=True)
        bodies = [_with_random_body(poses, config.redraw, index) for index, poses in enumerate(clips)]
        kinds = (("exact", exact, clips), ("noisy", errors_of(config.data.detections), clips), (BODIES, exact, bodies))
        for kind, errors, people in kinds:
            for cell in itertools.product(DISTANCES_M, OFF_AXIS, HEIGHTS_M, ROLLS):
                seen = [_film_in_cell(poses, np.random.default_rng(index), *cell) for index, poses in enumerate(people)]
                figures[f"{name}, {kind}: {cell}"] = _mpjpe_mm(network, seen, errors, fps)
        broad = standing_person()
        middle = (float(np.mean(config.redraw[part])) for part in ("torso", "hips", "shoulders"))
        for person, pose in ((_BROAD, broad), (_REDRAWN, redraw.with_proportions(broad[None], *middle)[0])):
            figures |= {f"{name}, {person}: {what}": value for what, value in _measure_standing(network, pose).items()}
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return tables of the figures of `run`."""
    standing = tuple((name, f"{value:.1f}") for name, value in figures.items() if name.endswith(STANDING))
    heads = tuple(f"{height} m high,\nroll {roll}°" for height, roll in itertools.product(HEIGHTS_M, ROLLS))
    made = []
    for kind in dict.fromkeys(name.partition(":")[0] for name in figures if not name.endswith(STANDING)):
        rows = tuple(
            (
                f"{distance} m away, hip {off}° off axis",
                *(f"{figures[f'{kind}: {(distance, off, *column)}']:.1f}" for column in itertools.product(HEIGHTS_M, ROLLS)),
            )
            for distance, off in itertools.product(DISTANCES_M, OFF_AXIS)
        )
        made.append(Grid(f"{kind}: MPJPE, mm", ("", *heads), rows))
    return [*made, Grid("a person who stands upright", ("", ""), standing)]


def load_clips(path: Path, subjects: Sequence[str], frames: int) -> tuple[list[np.ndarray], float]:
    """Load the first frames [T, 17, 3] of each clip of some subjects, world frame, metres; and the frames per second.

    Raises:
      DataError: if the file or folder has no clip of these subjects.
    """
    far = cameras.virtual_cameras(number=1, distance_m=20, height_m=1.5, focal_px=1, width_px=1, height_px=1)
    found = clip_files.load(path, fps=30.0, cameras=far)
    clips = [
        cameras.camera_to_world(one.poses_3d[:frames].astype(np.float64), one.camera)
        for one in found.sequences
        if one.subject in subjects
    ]
    if not clips:
        raise DataError(f"{path}: found none of the test subjects {', '.join(subjects)}, expected at least one")
    return clips, found.fps


def _with_random_body(poses: np.ndarray, settings: ConfigDict, index: int) -> np.ndarray:
    """Give a motion [T, 17, 3] a random trunk and stature within the bounds of `config.redraw`."""
    rng = np.random.default_rng([5, index])
    torso, hips, shoulders, stature_m = (rng.uniform(*settings[name]) for name in ("torso", "hips", "shoulders", "stature_m"))
    redrawn = redraw.with_proportions(poses, torso, hips, shoulders)
    return redraw.with_body(redrawn, stature_m, np.ones(H36M_17.num_joints))


def _film_in_cell(
    poses: np.ndarray, rng: np.random.Generator, distance_m: float, off: float, height_m: float, roll: float
) -> dataset.Sequence:
    """Film a motion [T, 17, 3], world frame, metres, with the camera of a cell; angles are in degrees."""
    azimuth, direction = rng.uniform(0, 2 * np.pi, 2)
    return film_at(
        poses,
        azimuth=azimuth,
        distance_m=distance_m,
        height_m=height_m,
        off=np.radians(off),
        direction=direction,
        roll=np.radians(roll) * rng.choice([-1, 1]),
    )


def film_at(poses: np.ndarray, **place: float) -> dataset.Sequence:
    """Film a motion [T, 17, 3], world frame, metres, with a camera at a place; for its arguments see `redraw.camera_at`."""
    lens = cameras.Camera("cell", (1, 0, 0, 0), (0, 0, 0), (_FOCAL, _FOCAL), (SIZE[0] / 2, SIZE[1] / 2), *SIZE)
    (sequence,) = dataset.film(poses, [redraw.camera_at(poses, lens, **place)], subject="", action="", trial="")
    return sequence


def film_randomly(poses: np.ndarray, rng: np.random.Generator) -> dataset.Sequence:
    """Film a motion [T, 17, 3], world frame, metres, with a random camera.

    The camera is 2.5 to 8 m away, 0.5 to 2.6 m high and rolled by up to 10 degrees; the hip is up to 20 degrees off its axis.
    """
    return film_at(
        poses,
        azimuth=rng.uniform(0, 2 * np.pi),
        distance_m=float(np.exp(rng.uniform(*np.log([2.5, 8.0])))),
        height_m=rng.uniform(0.5, 2.6),
        off=np.radians(20.0) * np.sqrt(rng.random()),
        direction=rng.uniform(0, 2 * np.pi),
        roll=np.radians(rng.uniform(-1, 1) * 10.0),
    )


def _mpjpe_mm(network: lifter.KeypointLifter, seen: Sequence[dataset.Sequence], errors: detections.Errors, fps: float) -> float:
    """Return the MPJPE of a network over all frames, millimetres."""
    detected = [detections.detected(one, errors, np.random.default_rng([1, index]), fps) for index, one in enumerate(seen)]
    poses = lift(network, [one.inputs_2d for one in detected], fps)
    truth = np.concatenate([one.poses_3d - one.poses_3d[:, :1] for one in seen])
    return 1000 * float(_mpjpe(np.concatenate(poses), truth).mean())


def lift(network: lifter.KeypointLifter, points: Sequence[np.ndarray], fps: float | None = None) -> list[np.ndarray]:
    """Lift keypoints [T, 17, 2], pixels, of several people to poses [T, 17, 3], metres."""
    people = []
    for one in points:
        sure, sources = np.ones(one.shape[:2], np.float32), np.full(one.shape[:2], Source.SEEN, np.uint8)
        people.append(Completed(one, sure, np.ones(len(one), bool), sources))
    times = [np.arange(len(one)) / fps if fps else None for one in points]
    return network.lift(people, [SIZE] * len(people), times)


def standing_person() -> np.ndarray:
    """Return the joints [17, 3] of a person who stands upright with hanging arms and faces y, world frame, metres."""
    knee = RATIOS["ankle_height"] + RATIOS["shank"]
    hip, elbow = knee + RATIOS["thigh"], _SHOULDER - RATIOS["upper_arm"]
    middle = {"Hip": hip, "Spine": (hip + _SHOULDER) / 2, "Thorax": _SHOULDER, "Neck": _NECK, "Head": _HEAD}
    legs = {"Hip": hip, "Knee": knee, "Foot": RATIOS["ankle_height"]}
    arms = {"Shoulder": _SHOULDER, "Elbow": elbow, "Wrist": elbow - RATIOS["forearm"]}
    made = {name: (0.0, height) for name, height in middle.items()}
    for side, sign in (("L", -1), ("R", 1)):
        for joints, half in ((legs, RATIOS["hip_half_width"]), (arms, RATIOS["shoulder_half_width"])):
            made |= {side + name: (sign * half, height) for name, height in joints.items()}
    return _STATURE_M * np.array([(made[name][0], 0.0, made[name][1]) for name in H36M_17.joints])


def _measure_standing(network: lifter.KeypointLifter, pose: np.ndarray) -> dict[str, float]:
    """Return the figures STANDING, over all cameras, of a person [17, 3] who stands upright, world frame, metres."""
    frames = np.broadcast_to(pose, (network.trained.model.receptive_field, *pose.shape))
    seen = [
        film_at(frames, azimuth=np.radians(azimuth), distance_m=far, height_m=height, off=0.0, direction=0.0, roll=0.0)
        for azimuth, far, height in itertools.product(range(0, 360, 30), (3, 6, 12), (0.8, 1.5, 2.2))
    ]
    knees, leans = [], []
    for poses, one in zip(lift(network, [one.inputs_2d for one in seen]), seen, strict=True):
        joints = dict(zip(H36M_17.joints, poses[len(poses) // 2], strict=True))
        knees.append(min(_angle(joints[f"{s}Hip"] - joints[f"{s}Knee"], joints[f"{s}Foot"] - joints[f"{s}Knee"]) for s in "LR"))
        leans.append(_angle(one.camera.rotation @ (joints["Thorax"] - joints["Hip"]), np.array([0.0, 0.0, 1.0])))
    return dict(zip(STANDING, (min(knees), float(np.median(knees)), max(leans), float(np.median(leans))), strict=True))


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    """Return the angle between two vectors [3], degrees."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
