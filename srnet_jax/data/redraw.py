"""Augment training sequences: draw new cameras, bodies, poses and detection errors for every epoch.

A network for any person and any camera must not learn the few cameras and bodies of a motion capture database. `config.redraw`
has the bounds of all draws. They are uniform unless stated otherwise, and depend only on the seed, the epoch and the piece of a
sequence:

- *The camera*: distance from the person (uniform in its logarithm; larger if the person would come too near or walk past),
  height above the floor, direction, roll, the angle between the hip and the optical axis, and the factor (log-normal) by which
  the focal length given to the network differs from the true one.
- *The body*: the stature, the length of the torso, the widths of hips and shoulders, and a factor (normal) for each bone, the
  same on both sides. Detectors and recordings disagree on where hips and shoulders are. A network that knows only the
  proportions of one recording takes others for bent knees and leaning torsos.
- *The pose*: in a fraction of the pieces the upper body is that of another recording, turned about the vertical to the
  direction of the hips; arms and legs are replaced in the same way. These are known parts of poses in new combinations. In
  another fraction nearly straight legs and a nearly upright torso are straightened further, because actors in motion capture
  hardly ever stand like people who wait.
- *The detections*: errors of a keypoint detector (`detections`).
"""

import dataclasses
from collections.abc import Sequence as Seq

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data import detections
from srnet_jax.data.dataset import Sequence
from srnet_jax.pose import cameras
from srnet_jax.pose.cameras import Camera, camera_to_world
from srnet_jax.pose.skeleton import H36M_17, RATIOS, ROOT

_PIECE = 256  # maximum number of frames that share a camera
_NEAREST_M = 0.7  # minimum depth of a joint; the camera moves away from a person who comes nearer
_WIDEST = np.tan(np.radians(45))  # maximum angle between a joint's ray and the optical axis
_MOST_APART = np.radians(40)  # maximum difference in tilt of two torsos that are exchanged
_BENT, _TILTED = np.radians(60), np.radians(20)  # a knee or torso with a larger angle is hardly straightened
_LONG = 90  # percentile over the frames that is taken as a distance's length: trunks bend, and collar bones move
_LEVEL_M = 0.05  # minimum distance of the hips seen from above, below which the direction a person faces is unknown

_STEEPEST = np.sin(np.radians(80))  # maximum slope of the optical axis

_JOINTS = H36M_17.joints
_UPPER = [_JOINTS.index("Spine"), *range(_JOINTS.index("Thorax"), len(_JOINTS))]
_LEGS = [[_JOINTS.index(side + name) for name in ("Hip", "Knee", "Foot")] for side in "LR"]
_ARMS = [[_JOINTS.index(side + name) for name in ("Shoulder", "Elbow", "Wrist")] for side in "LR"]
_LIMBS = (*_ARMS, *_LEGS)
_SHOULDERS = [_JOINTS.index("RShoulder"), _JOINTS.index("LShoulder")]
_SIDES = [_JOINTS.index("RHip"), _JOINTS.index("LHip")]


def pieces(sequences: Seq[Sequence]) -> tuple[Sequence, ...]:
    """Cut sequences into pieces of at most 256 frames; each piece will have its own camera."""
    return tuple(
        dataclasses.replace(one, inputs_2d=one.inputs_2d[start : start + _PIECE], poses_3d=one.poses_3d[start : start + _PIECE])
        for one in sequences
        for start in range(0, one.num_frames, _PIECE)
    )


def redrawn(
    parts: Seq[Sequence], settings: ConfigDict, errors: detections.Errors, *, fps: float, epoch: int
) -> tuple[Sequence, ...]:
    """Draw the cameras, bodies, poses and detections of an epoch.

    Args:
      parts: sequences from `pieces`, with the joints of `skeleton.H36M_17`.
      settings: `config.redraw`.
      errors: of the simulated detector.
      fps: frames per second.
      epoch: counted from 0.

    Returns:
      One sequence for each part, of the same length. Its camera has the wrong focal length that the network is given.
    """
    return tuple(
        _redrawn(parts, index, settings, errors, fps, np.random.default_rng([settings.seed, epoch, index]))
        for index in range(len(parts))
    )


def _redrawn(
    parts: Seq[Sequence], index: int, settings: ConfigDict, errors: detections.Errors, fps: float, rng: np.random.Generator
) -> Sequence:
    one = parts[index]
    poses = _in_world(one)
    if rng.random() < settings.recombined:
        other = _in_world(parts[int(rng.integers(len(parts)))])
        poses = with_upper_body(poses, other[: len(poses)])
    for limb in _LIMBS:
        if rng.random() < settings.exchanged:
            other = _in_world(parts[int(rng.integers(len(parts)))])
            poses = with_limb(poses, other[: len(poses)], limb)
    if rng.random() < settings.straightened:
        poses = straightened(poses, rng.uniform(0, 0.3))
    drawn = (rng.uniform(*settings[name]) for name in ("torso", "hips", "shoulders"))
    poses = with_proportions(poses, *drawn)
    poses = with_body(poses, rng.uniform(*settings.stature_m), _factors(rng, settings.bones))
    true = _camera(poses, one.camera, settings, rng)
    poses_3d = cameras.world_to_camera(poses, true)
    seen = dataclasses.replace(
        one, camera=true, poses_3d=poses_3d.astype(np.float32), inputs_2d=cameras.project(poses_3d, true)
    )
    factor = float(np.exp(rng.normal() * settings.focal_error))
    given = dataclasses.replace(true, focal=(true.focal[0] * factor, true.focal[1] * factor))
    return dataclasses.replace(detections.detected(seen, errors, rng, fps), camera=given)


def _in_world(sequence: Sequence) -> np.ndarray:
    return camera_to_world(sequence.poses_3d.astype(np.float64), sequence.camera)


def with_upper_body(poses: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Replace the upper bodies of poses by those of others, turned about the vertical to the direction of the hips.

    Args:
      poses: [T, 17, 3] joints, world frame, metres.
      others: [N, 17, 3] joints, the same.

    Returns:
      [T, 17, 3]; `poses` itself if N < T, if the direction of the hips is unknown, or if the tilts of the torsos differ by more
      than 40 degrees.
    """
    if len(others) < len(poses) or abs(_tilt(poses) - _tilt(others)) > _MOST_APART:
        return poses
    across, their = (array[:, _SIDES[1], :2] - array[:, _SIDES[0], :2] for array in (poses, others))
    if min(np.linalg.norm(across, axis=-1).min(), np.linalg.norm(their, axis=-1).min()) < _LEVEL_M:
        return poses
    angle = np.arctan2(across[:, 1], across[:, 0]) - np.arctan2(their[:, 1], their[:, 0])
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    around = others[:, _UPPER] - others[:, ROOT : ROOT + 1]
    x, y = around[..., 0], around[..., 1]
    made = poses.copy()
    made[:, _UPPER] = poses[:, ROOT : ROOT + 1] + np.stack([cos * x - sin * y, sin * x + cos * y, around[..., 2]], -1)
    return made


def with_limb(poses: np.ndarray, others: np.ndarray, limb: Seq[int]) -> np.ndarray:
    """Replace an arm or a leg of poses by that of others, turned with the torso.

    Args:
      poses: [T, 17, 3] joints, any axes, metres.
      others: [N, 17, 3] joints, the same.
      limb: indices of shoulder or hip, elbow or knee, and wrist or foot.

    Returns:
      [T, 17, 3]; `poses` itself if N < T.
    """
    if len(others) < len(poses):
        return poses
    sides = _SHOULDERS if limb[0] in _SHOULDERS else _SIDES
    bones = np.diff(others[:, limb], axis=1) @ _torso(others, sides).mT  # [T, 2, 3] in the torso's axes
    made = poses.copy()
    made[:, limb[1:]] = poses[:, limb[:1]] + (bones @ _torso(poses, sides)).cumsum(1)
    return made


def _torso(poses: np.ndarray, sides: Seq[int]) -> np.ndarray:
    """Return the axes of torsos [T, 3, 3] as rows: from right to left hip or shoulder, forward, up."""
    left = poses[:, sides[1]] - poses[:, sides[0]]
    left = left / np.maximum(np.linalg.norm(left, axis=-1, keepdims=True), 1e-9)
    up = poses[:, _JOINTS.index("Thorax")] - poses[:, ROOT]
    up = up - left * (left * up).sum(-1, keepdims=True)
    up = up / np.maximum(np.linalg.norm(up, axis=-1, keepdims=True), 1e-9)
    return np.stack([left, np.cross(left, up), up], axis=1)


def straightened(poses: np.ndarray, kept: float) -> np.ndarray:
    """Straighten nearly straight legs and nearly upright torsos further.

    Bones keep their lengths, and the hip keeps its place.

    Args:
      poses: [T, 17, 3] joints, world frame, metres.
      kept: fraction that is kept of a small angle of a knee, or of the torso to the vertical. Large angles are hardly changed.
    """
    made = poses.copy()
    for hip, knee, foot in _LEGS:
        thigh, shank = poses[:, knee] - poses[:, hip], poses[:, foot] - poses[:, knee]
        axis, angle = _turn(thigh, shank)
        spared = angle * (1 - kept) * np.exp(-np.square(angle / _BENT))
        share = np.linalg.norm(shank, axis=-1) / (np.linalg.norm(thigh, axis=-1) + np.linalg.norm(shank, axis=-1))
        made[:, knee] = poses[:, hip] + _rotated(thigh, axis, spared * share)  # the foot stays in its direction from the hip
        made[:, foot] = made[:, knee] + _rotated(shank, axis, -spared * (1 - share))
    torso = poses[:, _JOINTS.index("Thorax")] - poses[:, ROOT]
    axis, angle = _turn(torso, np.broadcast_to([0.0, 0.0, 1.0], torso.shape))
    spared = angle * (1 - kept) * np.exp(-np.square(angle / _TILTED))
    for joint in _UPPER:
        made[:, joint] = poses[:, ROOT] + _rotated(poses[:, joint] - poses[:, ROOT], axis, spared)
    return made


def _turn(before: np.ndarray, after: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return axes [T, 3] and angles [T], radians, of the smallest rotations from the directions `before` to `after` [T, 3]."""
    cross, dot = np.cross(before, after), (before * after).sum(-1)
    sine = np.linalg.norm(cross, axis=-1)
    return cross / np.maximum(sine, 1e-12)[:, None], np.arctan2(sine, dot)


def _rotated(vectors: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotate vectors [T, 3] about unit axes [T, 3] by angles [T], radians (Rodrigues' formula)."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = (axis * vectors).sum(-1, keepdims=True)
    return vectors * cos + np.cross(axis, vectors) * sin + axis * along * (1 - cos)


def _tilt(poses: np.ndarray) -> float:
    """Return the mean angle between torso and vertical, radians."""
    torso = poses[:, _JOINTS.index("Thorax")] - poses[:, ROOT]
    return float(np.arccos(np.clip(torso[:, 2] / np.linalg.norm(torso, axis=-1), -1, 1)).mean())


def with_proportions(poses: np.ndarray, torso: float, hips: float, shoulders: float) -> np.ndarray:
    """Change the proportions of the trunk. Limbs move with it and keep their lengths and directions.

    Args:
      poses: [T, 17, 3] joints, any axes, metres.
      torso: distance between the middles of hips and shoulders, as a fraction of the legs' length.
      hips: distance between the hips, the same.
      shoulders: distance between the shoulders, the same.
    """
    legs = np.mean([np.linalg.norm(np.diff(poses[:, leg], axis=1), axis=-1).sum(1).mean() for leg in _LEGS])
    made = poses.copy()
    for (right, left), wanted, limbs in ((_SIDES, hips, _LEGS), (_SHOULDERS, shoulders, _ARMS)):
        across = poses[:, left] - poses[:, right]
        factor = wanted * legs / np.percentile(np.linalg.norm(across, axis=-1), _LONG)
        for limb, sign in zip(limbs, (1, -1), strict=True):
            made[:, limb] += (sign * (factor - 1) / 2 * across)[:, None]
    along = poses[:, _SHOULDERS].mean(1) - poses[:, _SIDES].mean(1)
    longer = (torso * legs / np.percentile(np.linalg.norm(along, axis=-1), _LONG) - 1) * along
    made[:, _UPPER] += longer[:, None]
    made[:, _UPPER[0]] -= longer / 2  # the spine, halfway
    return made


def with_body(poses: np.ndarray, stature_m: float, factors: np.ndarray) -> np.ndarray:
    """Scale poses to another stature, and each bone by its own factor. The path of the hip is scaled by the stature alone.

    Args:
      poses: [T, 17, 3] joints, world frame, metres.
      stature_m: new body height, metres.
      factors: [17] further factor of the bone that ends at each joint.
    """
    legs = np.mean([np.linalg.norm(np.diff(poses[:, leg], axis=1), axis=-1).sum(1).mean() for leg in _LEGS])
    scale = stature_m * (RATIOS["thigh"] + RATIOS["shank"]) / float(legs)
    made = np.empty_like(poses)
    made[:, ROOT] = poses[:, ROOT] * scale
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            made[:, joint] = made[:, parent] + (poses[:, joint] - poses[:, parent]) * (scale * factors[joint])
    return made


def _factors(rng: np.random.Generator, spread: float) -> np.ndarray:
    """Draw a factor for each bone, the same on both sides."""
    factors = 1 + spread * rng.normal(size=len(_JOINTS)).clip(-2, 2)
    factors[list(H36M_17.joints_right)] = factors[list(H36M_17.joints_left)][_RIGHT_OF_LEFT]
    return factors


_RIGHT_OF_LEFT = [
    [_JOINTS[left][1:] for left in H36M_17.joints_left].index(_JOINTS[right][1:]) for right in H36M_17.joints_right
]


def _camera(poses: np.ndarray, like: Camera, settings: ConfigDict, rng: np.random.Generator) -> Camera:
    """Draw a camera's position and direction, then move it back until all joints are within 45 degrees of the optical axis."""
    camera = camera_at(
        poses,
        like,
        azimuth=rng.uniform(0, 2 * np.pi),
        distance_m=float(np.exp(rng.uniform(*np.log(settings.distance_m)))),
        height_m=rng.uniform(*settings.height_m),
        off=np.radians(settings.off_axis_degrees) * np.sqrt(rng.random()),
        direction=rng.uniform(0, 2 * np.pi),
        roll=np.radians(rng.uniform(-1, 1) * settings.roll_degrees),
    )
    points = cameras.world_to_camera(poses, camera)
    back = float((np.linalg.norm(points[..., :2], axis=-1) / _WIDEST - points[..., 2]).max())
    position = np.asarray(camera.translation) - max(back, 0.0) * camera.rotation[:, 2]
    return dataclasses.replace(camera, translation=tuple(position.tolist()))


def camera_at(
    poses: np.ndarray,
    like: Camera,
    *,
    azimuth: float,
    distance_m: float,
    height_m: float,
    off: float,
    direction: float,
    roll: float,
) -> Camera:
    """Place a camera that sees a person; it is farther away than asked for if a joint would be nearer than 0.7 m or behind it.

    Args:
      poses: [T, 17, 3] joints, world frame, metres.
      like: camera with the image size and the lens of the result.
      azimuth: direction of the camera as seen from the mean hip, radians.
      distance_m: horizontal distance from the mean hip.
      height_m: above the floor.
      off: angle between the optical axis and the ray to the mean hip, radians.
      direction: in which the optical axis is turned away from that ray, radians: 0 is to the side, pi / 2 upwards.
      roll: about the optical axis, radians.
    """
    middle = poses[:, ROOT].mean(0)
    position = np.append(middle[:2] + distance_m * np.array([np.cos(azimuth), np.sin(azimuth)]), height_m)
    ray = (middle - position) / np.linalg.norm(middle - position)
    side = np.cross(ray, [0.0, 0.0, 1.0])
    side /= np.linalg.norm(side)
    aside = np.cos(direction) * side + np.sin(direction) * np.cross(side, ray)
    axis = np.cos(off) * ray + np.sin(off) * aside
    axis[2] = np.clip(axis[2], -_STEEPEST, _STEEPEST)
    axis /= np.linalg.norm(axis)
    position = position - axis * max(_NEAREST_M - float(((poses - position) @ axis).min()), 0.0)
    orientation = cameras.look_at(tuple(position), tuple(position + axis))
    return cameras.rolled(dataclasses.replace(like, orientation=orientation, translation=tuple(position.tolist())), roll)
