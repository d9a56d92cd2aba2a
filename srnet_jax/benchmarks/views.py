"""Networks on people and cameras that they were not trained on: by camera height, roll, distance, and place in the image.

Each clip of a network's test subjects is seen by one camera, whose azimuth is drawn; height, distance, roll, and the angle
between the optical axis and the hip are those of the cell. Keypoints are exact projections through a detector's joints, with
the errors of the network's own `config.data.detections` in the second table. The network guesses the focal length, which is
the one that it guesses.

Last, a person who stands upright with straight knees, seen from all sides, from 3 to 12 m away and from 0.8 to 2.2 m above the
floor: the knee that is bent most, and how far the torso leans at most.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from srnet_jax.data import dataset as data_lib
from srnet_jax.data import detections, redraw
from srnet_jax.data.mocap import clip_files
from srnet_jax.data.sources import errors_of
from srnet_jax.data.synthetic import RATIOS
from srnet_jax.errors import DataError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose import cameras, metrics
from srnet_jax.pose.complete import Completed
from srnet_jax.pose.normalization import USUAL_FOCAL
from srnet_jax.pose.skeleton import H36M_17

HEIGHTS_M, ROLLS, DISTANCES_M, OFF_AXIS = (0.5, 1.5, 2.6), (0, 20), (2, 4, 6, 10), (0, 25)
_SIZE = (1920, 1080)
_CLIP = 100  # frames of each clip, at most
_STATURE_M = 1.75
_mpjpe = partial(metrics.in_blocks, jax.jit(metrics.mpjpe))


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure networks in all cells.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      MPJPE in millimetres as "network, exact|noisy: height, roll, distance, off axis", and of the standing person
      "network: smallest knee angle, °" and "network: largest lean, °".

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have none of a network's test subjects.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        config = network.trained.config
        clips = _test_clips(Path(data), config.protocol.subjects_test)
        for noise in ("exact", "noisy"):
            errors = errors_of(config.data.detections)
            errors = errors if noise == "noisy" else detections.Errors(derived_joints=True)
            for height, roll, distance, off in itertools.product(HEIGHTS_M, ROLLS, DISTANCES_M, OFF_AXIS):
                seen = [_seen(clip, index, height, distance, roll, off) for index, clip in enumerate(clips)]
                error = _error(network, seen, errors)
                figures[f"{name}, {noise}: {height} m, {roll}°, {distance} m, {off}°"] = error
        knee, lean = _standing(network)
        figures |= {f"{name}: smallest knee angle, °": knee, f"{name}: largest lean, °": lean}
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return the tables of what `run` returns."""
    made = []
    columns = list(itertools.product(HEIGHTS_M, ROLLS))
    for kind in dict.fromkeys(name.partition(": ")[0] for name in figures if ", " in name.partition(": ")[0]):
        rows = [
            (
                f"{distance} m away, hip {off}° off axis",
                *(f"{figures[f'{kind}: {height} m, {roll}°, {distance} m, {off}°']:.1f}" for height, roll in columns),
            )
            for distance, off in itertools.product(DISTANCES_M, OFF_AXIS)
        ]
        heads = (f"{height} m high,\nroll {roll}°" for height, roll in columns)
        made.append(Grid(f"{kind}: MPJPE, mm", ("", *heads), tuple(rows)))
    standing = tuple(
        (name, f"{value:.1f}") for name, value in figures.items() if name.endswith("°") and ", " in name and "m," not in name
    )
    return [*made, Grid("a person who stands upright", ("", ""), standing)]


def _test_clips(path: Path, subjects: Sequence[str]) -> list[data_lib.Sequence]:
    fixed = cameras.virtual_cameras(number=1, distance_m=20, height_m=1.5, focal_px=1000, width_px=1, height_px=1)
    dataset = clip_files.load(path, fps=30.0, cameras=fixed)
    clips = [clip for clip in dataset.sequences if clip.subject in subjects]
    if not clips:
        raise DataError(f"{path}: found none of the test subjects {', '.join(subjects)}, expected some")
    return [dataclasses.replace(clip, poses_3d=clip.poses_3d[:_CLIP], inputs_2d=clip.inputs_2d[:_CLIP]) for clip in clips]


def _seen(clip: data_lib.Sequence, index: int, height: float, distance: float, roll: float, off: float) -> data_lib.Sequence:
    """Return a clip as the camera of a cell sees it."""
    rng = np.random.default_rng(index)
    poses = cameras.camera_to_world(clip.poses_3d.astype(np.float64), clip.camera)
    focal = USUAL_FOCAL * max(_SIZE)
    like = dataclasses.replace(
        clip.camera, focal=(focal, focal), center=(_SIZE[0] / 2, _SIZE[1] / 2), width=_SIZE[0], height=_SIZE[1]
    )
    camera = redraw.camera_at(
        poses, like, azimuth=rng.uniform(0, 2 * np.pi), distance_m=distance, height_m=height,
        off=np.radians(off), direction=rng.uniform(0, 2 * np.pi), roll=np.radians(roll) * rng.choice([-1, 1]),
    )  # fmt: skip
    poses_3d = cameras.world_to_camera(poses, camera).astype(np.float32)
    return dataclasses.replace(clip, camera=camera, poses_3d=poses_3d, inputs_2d=cameras.project(poses_3d, camera))


def _error(network: lifter.KeypointLifter, seen: Sequence[data_lib.Sequence], errors: detections.Errors) -> float:
    """Return the mean error of all frames, millimetres."""
    fps = network.trained.fps or 30.0
    detected = [detections.detected(one, errors, np.random.default_rng([1, index]), fps) for index, one in enumerate(seen)]
    poses = _lifted(network, [one.inputs_2d for one in detected])
    truth = np.concatenate([one.poses_3d - one.poses_3d[:, :1] for one in seen])
    return 1000 * float(_mpjpe(np.concatenate(poses), truth).mean())


def _lifted(network: lifter.KeypointLifter, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    people = [Completed(one, np.ones(one.shape[:2], np.float32), np.ones(len(one), bool)) for one in points]
    return network.lift(people, [_SIZE] * len(people), [None] * len(people))


def standing_person() -> np.ndarray:
    """Return the joints [17, 3] of a person who stands upright, arms hanging, world frame, metres, facing along y."""
    up = {"Hip": 0.491 + 0.039, "Thorax": 0.818, "Neck": 0.87, "Head": 0.93}
    heights = up | {"Spine": (up["Hip"] + up["Thorax"]) / 2}
    made = {name: (0.0, 0.0, height) for name, height in heights.items()}
    for side, sign in (("L", -1.0), ("R", 1.0)):
        hip, shoulder = sign * RATIOS["hip_half_width"], sign * RATIOS["shoulder_half_width"]
        made |= {f"{side}{name}": (hip, 0.0, z) for name, z in (("Hip", 0.53), ("Knee", 0.285), ("Foot", 0.039))}
        arm = (("Shoulder", 0.0), ("Elbow", RATIOS["upper_arm"]), ("Wrist", RATIOS["upper_arm"] + RATIOS["forearm"]))
        made |= {f"{side}{name}": (shoulder, 0.0, 0.818 - down) for name, down in arm}
    return _STATURE_M * np.array([made[name] for name in H36M_17.joints])


def _standing(network: lifter.KeypointLifter) -> tuple[float, float]:
    """Return the smallest knee angle and the largest lean of the torso, degrees, over all cameras."""
    pose = standing_person()
    frames = np.broadcast_to(pose, (network.trained.model.receptive_field, *pose.shape))
    clip = data_lib.Sequence("", "", "", cameras.virtual_cameras(
        number=1, distance_m=20, height_m=1.5, focal_px=1000, width_px=1, height_px=1)[0], frames[..., :2], frames)  # fmt: skip
    clip = dataclasses.replace(clip, poses_3d=cameras.world_to_camera(frames, clip.camera))
    seen = []
    for azimuth, distance, height in itertools.product(np.arange(0, 360, 30), (3, 6, 12), (0.8, 1.5, 2.2)):
        focal = USUAL_FOCAL * max(_SIZE)
        like = dataclasses.replace(
            clip.camera, focal=(focal, focal), center=(_SIZE[0] / 2, _SIZE[1] / 2), width=_SIZE[0], height=_SIZE[1]
        )
        camera = redraw.camera_at(
            frames, like, azimuth=np.radians(azimuth), distance_m=distance, height_m=height, off=0.0, direction=0.0, roll=0.0
        )
        seen.append(
            dataclasses.replace(clip, camera=camera, inputs_2d=cameras.project(cameras.world_to_camera(frames, camera), camera))
        )
    poses = _lifted(network, [one.inputs_2d.astype(np.float32) for one in seen])
    middle = [one[len(one) // 2] for one in poses]
    knees, leans = [], []
    for found, one in zip(middle, seen, strict=True):
        for side in "LR":
            hip, knee, foot = (found[H36M_17.joints.index(side + name)] for name in ("Hip", "Knee", "Foot"))
            knees.append(_angle(hip - knee, foot - knee))
        torso = one.camera.rotation @ (found[H36M_17.joints.index("Thorax")] - found[0])
        leans.append(_angle(torso, np.array([0.0, 0.0, 1.0])))
    return min(knees), max(leans)


def _angle(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b)))
