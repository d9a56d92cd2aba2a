"""Simulate a walk, for tests of the position of people."""

import dataclasses

import numpy as np

from srnet_jax.pose import cameras
from srnet_jax.pose.skeleton import H36M_17

FPS, FOCAL, CENTER, SIZE = 30.0, 1500.0, (960.0, 540.0), (1920, 1080)
_STRIDE_S, _HALF_STEP_M, _THIGH, _SHANK, _ANKLE = 1.2, 0.35, 0.42, 0.4, 0.082
_UPPER = {  # above the hip, and to the left of it, metres
    "Spine": (0.25, 0),
    "Thorax": (0.5, 0),
    "Neck": (0.58, 0),
    "Head": (0.72, 0),
    "LShoulder": (0.48, 0.18),
    "LElbow": (0.2, 0.22),
    "LWrist": (-0.05, 0.24),
}


@dataclasses.dataclass(frozen=True)
class Walk:
    """A walk: joints [T, 17, 3] in world and camera, metres, pixels [T, 17, 2], times, camera, and standing feet [T, 2]."""

    world: np.ndarray
    camera_frame: np.ndarray
    pixels: np.ndarray
    times: np.ndarray
    camera: cameras.Camera
    stands: np.ndarray

    @property
    def relative(self):
        return self.camera_frame - self.camera_frame[:, :1]

    @property
    def path(self):
        return self.camera_frame[:, 0]

    @property
    def up(self):
        return self.camera.rotation[2]


def walk(*, seconds=4.0, pitch_deg=10.0, height_m=1.6, heading_deg=30.0, distance_m=6.0, speed=1.0):
    """Simulate a person who walks, or marches on the spot if speed is 0; each foot stands half of the time."""
    times = np.arange(round(seconds * FPS)) / FPS
    step = _HALF_STEP_M * 4 / _STRIDE_S * speed  # metres a second
    joints = {"Hip": np.stack([step * times, 0 * times, np.full(len(times), 0.8)], -1)}
    stands = []
    for side, sign, phase in (("R", -1, 0.0), ("L", 1, 0.5)):
        cycle = times / _STRIDE_S + phase
        part, number = cycle % 1, np.floor(cycle)
        swing = np.clip((part - 0.5) / 0.5, 0, 1)
        swing = (1 - np.cos(np.pi * swing)) / 2
        ahead = step * _STRIDE_S * (number + swing - phase + 0.25)  # half a step ahead of the hip when it lands
        lift = 0.12 * np.sin(np.pi * swing) * (part > 0.5)
        hip = joints["Hip"] + [0, sign * 0.1, 0]
        foot = np.stack([ahead, np.full(len(times), sign * 0.1), _ANKLE + lift], -1)
        joints |= {f"{side}Hip": hip, f"{side}Foot": foot, f"{side}Knee": _knee(hip, foot)}
        stands.append(part < 0.5)
    for name, (high, left) in _UPPER.items():
        joints[name] = joints["Hip"] + [0, left, high]
        if name[0] == "L":
            joints["R" + name[1:]] = joints["Hip"] + [0, -left, high]
    world = np.stack([joints[name] for name in H36M_17.joints], 1)
    turn = np.radians(heading_deg)
    world = world @ np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    world -= [*world[:, 0, :2].mean(0), 0]
    place = (0.0, -distance_m, height_m)
    aim = (0.0, 0.0, height_m - distance_m * np.tan(np.radians(pitch_deg)))
    camera = cameras.Camera("", cameras.look_at(place, aim), place, (FOCAL, FOCAL), CENTER, *SIZE)
    seen = cameras.world_to_camera(world, camera)
    return Walk(world, seen, cameras.project(seen, camera), times, camera, np.stack(stands, -1))


def _knee(hip, foot):
    """Return the position of the knee, in front of the line from hip to foot."""
    along = foot - hip
    length = np.linalg.norm(along, axis=-1, keepdims=True).clip(None, _THIGH + _SHANK - 1e-6)
    share = (_THIGH**2 - _SHANK**2 + length**2) / (2 * length)
    front = np.cross(along, [0, 1.0, 0])
    front *= np.sign(front[:, :1])
    front /= np.linalg.norm(front, axis=-1, keepdims=True)
    unit = along / np.linalg.norm(along, axis=-1, keepdims=True)
    return hip + unit * share + front * np.sqrt(np.maximum(_THIGH**2 - share**2, 0))
