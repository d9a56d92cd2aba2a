"""Training sequences whose cameras, bodies and detector's errors are drawn anew in each epoch.

A network that is to lift any person from any camera must not learn the few cameras and bodies that motion capture came with.
What is drawn for each piece of a sequence, evenly unless it says otherwise:

- *the camera*: distance from the person (evenly in its logarithm, and farther for who comes too near or walks past), height
  above the floor, direction, roll, how far the hip is from the optical axis, and by which factor the focal length that is told
  differs from the true one (log-normal);
- *the body*: the stature; the length of the torso and the widths of hips and shoulders; and a factor for each bone (normal),
  the same on both sides. Detectors and recordings differ about where hips and shoulders are: in HDM05 and CMU the hips are 0.13
  to 0.27 of the legs' length apart, the shoulders 0.28 to 0.60. A network that learned a recording's proportions takes other
  ones for bent knees and leaning torsos. The stature of a recording's person follows from the legs, by the ratios of
  `skeleton.RATIOS`;
- *the pose*: in a share of the pieces the upper body is that of another recording, turned about the vertical to the hips: the
  idea of the paper, parts of poses that are known in combinations that are not, as augmentation. So do arms and legs change,
  which turn with the torso.
  In a share of the pieces legs that are nearly straight, and a torso that is nearly upright, become more so: actors in motion
  capture hardly ever stand like people who wait (in HDM05 99 % of the frames have a knee bent by 24 degrees or more), and
  a network that learned from them alone bends the knees of whoever stands straight;
- *the detections*, see `detections`.

All draws are a function of seed, epoch and piece.
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

_PIECE = 256  # frames that share a camera, at most
_NEAREST_M = 0.7  # joint of a camera; it moves away from a person who comes nearer
_WIDEST = np.tan(np.radians(45))  # angle between a joint's ray and the optical axis, for people who walk past
_MOST_APART = np.radians(40)  # tilts of two torsos that are exchanged
_BENT, _TILTED = np.radians(60), np.radians(20)  # angles from which on a knee or a torso stays mostly as it is
_LONG = 90  # percentile of a distance over the frames that is its length: trunks bend, and collar bones move
_LEVEL_M = 0.05  # least length of the hips seen from above, which tells where a person faces

_STEEPEST = np.sin(np.radians(80))

_JOINTS = H36M_17.joints
_UPPER = [_JOINTS.index("Spine"), *range(_JOINTS.index("Thorax"), len(_JOINTS))]
_LEGS = [[_JOINTS.index(side + name) for name in ("Hip", "Knee", "Foot")] for side in "LR"]
_ARMS = [[_JOINTS.index(side + name) for name in ("Shoulder", "Elbow", "Wrist")] for side in "LR"]
_LIMBS = (*_ARMS, *_LEGS)
_SHOULDERS = [_JOINTS.index("RShoulder"), _JOINTS.index("LShoulder")]
_SIDES = [_JOINTS.index("RHip"), _JOINTS.index("LHip")]


def pieces(sequences: Seq[Sequence]) -> tuple[Sequence, ...]:
    """Cut sequences into pieces of at most 256 frames, each of which is to have a camera of its own."""
    return tuple(
        dataclasses.replace(one, inputs_2d=one.inputs_2d[start : start + _PIECE], poses_3d=one.poses_3d[start : start + _PIECE])
        for one in sequences
        for start in range(0, one.num_frames, _PIECE)
    )


def redrawn(
    parts: Seq[Sequence], settings: ConfigDict, errors: detections.Errors, *, fps: float, epoch: int
) -> tuple[Sequence, ...]:
    """Draw cameras, bodies, poses and detections of an epoch.

    Args:
      parts: from `pieces`, of `skeleton.H36M_17`.
      settings: `config.redraw`.
      errors: of the detections.
      fps: frames per second.
      epoch: counted from 0.

    Returns:
      As many sequences of the same lengths. Their camera has the focal length that is told.
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
    wrong = float(np.exp(rng.normal() * settings.focal_error))
    told = dataclasses.replace(true, focal=(true.focal[0] * wrong, true.focal[1] * wrong))
    return dataclasses.replace(detections.detected(seen, errors, rng, fps), camera=told)


def _in_world(sequence: Sequence) -> np.ndarray:
    return camera_to_world(sequence.poses_3d.astype(np.float64), sequence.camera)


def with_upper_body(poses: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return poses [T, 17, 3] with the upper bodies of others [N, 17, 3], world frame, metres.

    They are turned about the vertical so that the hips have the same direction. Where there are fewer frames, where the hips'
    direction cannot be told, or where one torso is more than 40 degrees more upright, poses stay as they are.
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
    """Exchange an arm or a leg for that of other poses, turned with the torso.

    Args:
      poses: [T, 17, 3] any axes, metres.
      others: [N, 17, 3] the same; if there are fewer frames, the poses stay as they are.
      limb: shoulder or hip, elbow or knee, and wrist or foot.

    Returns:
      [T, 17, 3].
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
    """Return poses [T, 17, 3], world frame, of which straight legs are straighter and upright torsos more upright.

    Of a small angle of a knee, or of the torso to the vertical, a share `kept` stays; of a large one nearly all. Bones keep
    their lengths, and the hip its place.
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
    """Return axes [T, 3] and angles [T] of the smallest rotations between the directions of vectors [T, 3]."""
    cross, dot = np.cross(before, after), (before * after).sum(-1)
    sine = np.linalg.norm(cross, axis=-1)
    return cross / np.maximum(sine, 1e-12)[:, None], np.arctan2(sine, dot)


def _rotated(vectors: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotate vectors [T, 3] about unit axes [T, 3] by angles [T] (Rodrigues)."""
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    along = (axis * vectors).sum(-1, keepdims=True)
    return vectors * cos + np.cross(axis, vectors) * sin + axis * along * (1 - cos)


def _tilt(poses: np.ndarray) -> float:
    """Return the mean angle of the torso from the vertical."""
    torso = poses[:, _JOINTS.index("Thorax")] - poses[:, ROOT]
    return float(np.arccos(np.clip(torso[:, 2] / np.linalg.norm(torso, axis=-1), -1, 1)).mean())


def with_proportions(poses: np.ndarray, torso: float, hips: float, shoulders: float) -> np.ndarray:
    """Return poses with other proportions of the trunk; limbs are moved with it, and keep their lengths and directions.

    Args:
      poses: [T, 17, 3] any axes, metres.
      torso: distance of the middles of hips and shoulders, as a share of the legs' length.
      hips: distance of the hips, the same.
      shoulders: distance of the shoulders, the same.
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
    """Return the poses of a person of another stature and other proportions, whose feet and path are scaled alike.

    Args:
      poses: [T, 17, 3] world frame, metres.
      stature_m: body height, metres.
      factors: [17] of the bone that ends at each joint, beside the stature's.
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
    """Return a factor for each bone, the same on both sides."""
    factors = 1 + spread * rng.normal(size=len(_JOINTS)).clip(-2, 2)
    factors[list(H36M_17.joints_right)] = factors[list(H36M_17.joints_left)][_RIGHT_OF_LEFT]
    return factors


_RIGHT_OF_LEFT = [
    [_JOINTS[left][1:] for left in H36M_17.joints_left].index(_JOINTS[right][1:]) for right in H36M_17.joints_right
]


def _camera(poses: np.ndarray, like: Camera, settings: ConfigDict, rng: np.random.Generator) -> Camera:
    """Draw where a camera stands and looks; it goes back until no joint of the whole piece is more than 45 degrees aside."""
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
    """Return a camera that sees a person, farther away than asked for if a joint would be beside or behind it.

    Args:
      poses: [T, 17, 3] world frame, metres.
      like: has its image and its lens.
      azimuth: of the camera as seen from the mean of the hip, radians.
      distance_m: horizontal distance from there.
      height_m: above the floor.
      off: angle between the optical axis and the ray to the mean of the hip, radians.
      direction: in which the axis is off, radians: 0 to the side, a quarter of a turn upwards.
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
