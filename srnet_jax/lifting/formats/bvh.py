"""Write poses as a `.bvh` animation, for animation programs.

The skeleton has the 17 joints of `skeleton.H36M_17`, in centimetres, y up; without rotations it is in a T-pose. Each bone has
its median length. A joint with one child bone has the smallest rotation, from its parent's frame, that points the bone in its
direction. The hip and the thorax have three child bones, and the rotation that fits all three best (Kabsch) to their mean
directions. So limbs keep their directions exactly, and joints keep their positions as far as bone lengths and the shape of hips
and shoulders are constant.
"""

import warnings
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from srnet_jax.io.files import write_whole
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.pose.skeleton import H36M_17

_CENTIMETRES = 100
_CHILDREN = [[child for child, parent in enumerate(H36M_17.parents) if parent == joint] for joint in range(H36M_17.num_joints)]
_UP, _DOWN, _LEFT, _RIGHT = np.array([[0.0, 1, 0], [0, -1, 0], [1, 0, 0], [-1, 0, 0]])
_REST = {  # direction, in the T-pose, of the bone that ends in each joint
    **{side + joint: _DOWN for side in "LR" for joint in ("Knee", "Foot")},
    **{"L" + joint: _LEFT for joint in ("Hip", "Shoulder", "Elbow", "Wrist")},
    **{"R" + joint: _RIGHT for joint in ("Hip", "Shoulder", "Elbow", "Wrist")},
    **dict.fromkeys(("Spine", "Thorax", "Neck", "Head"), _UP),
}
_TINY = 1e-9


def write(path: Path, motion: Motion) -> None:
    """Write a motion, whole or not at all.

    If the floor is not known, it is at the lowest joint of all frames. A frame without a pose repeats the pose before it.

    Args:
      path: of the `.bvh` file.
      motion: with a pose in at least one frame; the root follows the hip's path if the motion has one.
    """
    points = motion.held.y_up * _CENTIMETRES
    offsets, rotations = fit(points)
    height = 0.0 if motion.floor else -float(points[..., 1].min())
    lines = ["HIERARCHY", *_hierarchy(0, offsets, 0), "MOTION", f"Frames: {len(points)}", f"Frame Time: {1 / motion.fps:.8f}"]
    angles = {joint: _zxy_angles(rotation) for joint, rotation in rotations.items()}
    order = [joint for joint in _depth_first(0) if joint in angles]
    place = points[:, 0] + [0, height, 0]
    values = np.concatenate([place, *(angles[joint] for joint in order)], axis=1)
    lines += [" ".join(f"{value:.4f}" for value in row) for row in values]
    write_whole(path, "\n".join(lines) + "\n")


def fit(points: np.ndarray) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """Fit a skeleton and its rotations to a motion.

    Args:
      points: [T, 17, 3] joints, y up, any unit.

    Returns:
      [17, 3] float64 offset of each joint from its parent, in the unit of the points.
      For each joint with child bones, [T, 3, 3] float64 rotations relative to the parent's frame.
    """
    offsets = np.zeros((H36M_17.num_joints, 3))
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            length = np.median(np.linalg.norm(points[:, joint] - points[:, parent], axis=-1))
            offsets[joint] = _REST[H36M_17.joints[joint]] * length
    world: dict[int, np.ndarray] = {-1: np.broadcast_to(np.eye(3), (len(points), 3, 3))}
    local = {}
    for joint in _depth_first(0):
        children = _CHILDREN[joint]
        if not children:
            continue
        bones = points[:, children] - points[:, [joint]]  # [T, C, 3]
        around = world[H36M_17.parents[joint]]
        if len(children) == 1:
            world[joint] = _smallest_rotation(around @ offsets[children[0]], bones[:, 0]) @ around
        else:
            world[joint] = _best_rotation(offsets[children], bones)
            mean = np.einsum("tji,tcj->ci", world[joint], bones) / len(bones)  # mean bones, in the frame of the joint
            lengths = np.linalg.norm(offsets[children], axis=-1, keepdims=True)
            norm = np.linalg.norm(mean, axis=-1, keepdims=True)
            offsets[children] = np.where(norm > _TINY, mean / np.maximum(norm, _TINY) * lengths, offsets[children])
            world[joint] = _best_rotation(offsets[children], bones)
        local[joint] = np.swapaxes(around, 1, 2) @ world[joint]
    return offsets, local


def _depth_first(joint: int) -> list[int]:
    return [joint, *(below for child in _CHILDREN[joint] for below in _depth_first(child))]


def _hierarchy(joint: int, offsets: np.ndarray, depth: int) -> list[str]:
    """Return the lines of the file that define a joint and all joints below it."""
    indent, name = "\t" * depth, H36M_17.joints[joint]
    offset = "OFFSET " + " ".join(f"{value:.4f}" for value in offsets[joint])
    if not _CHILDREN[joint]:  # the format has no name for it
        return [f"{indent}End Site", f"{indent}{{", f"{indent}\t{offset}", f"{indent}}}"]
    turns = "Zrotation Xrotation Yrotation"
    channels = f"CHANNELS 6 Xposition Yposition Zposition {turns}" if depth == 0 else f"CHANNELS 3 {turns}"
    head = [f"{indent}{'JOINT' if depth else 'ROOT'} {name}", f"{indent}{{", f"{indent}\t{offset}", f"{indent}\t{channels}"]
    return [*head, *(line for child in _CHILDREN[joint] for line in _hierarchy(child, offsets, depth + 1)), f"{indent}}}"]


def _zxy_angles(rotations: np.ndarray) -> np.ndarray:
    """Return the angles [T, 3], degrees, of rotations [T, 3, 3] about z, then x, then y, continuous over time."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # in gimbal lock any of the equivalent angles is right
        return np.unwrap(Rotation.from_matrix(rotations).as_euler("ZXY", degrees=True), period=360, axis=0)


def _smallest_rotation(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotations [T, 3, 3] from directions [T, 3] to others; the identity where one has no length."""
    a, b = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), _TINY) for v in (start, end))
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    angle = np.arctan2(sine, (a * b).sum(-1, keepdims=True))
    across = np.cross(a, np.where(np.abs(a[:, :1]) < 0.9, [1.0, 0, 0], [0, 1.0, 0]))  # axis for opposite directions
    axis = np.where(sine > _TINY, axis, across)
    axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), _TINY)
    return Rotation.from_rotvec(axis * angle).as_matrix()


def _best_rotation(start: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the rotations [T, 3, 3] that fit vectors [C, 3] best to others [T, C, 3] (Kabsch)."""
    u, _, vt = np.linalg.svd(np.einsum("tci,cj->tij", ends, start))
    sign = np.sign(np.linalg.det(u @ vt))
    sign = np.where(sign == 0, 1, sign)
    u[:, :, 2] *= sign[:, None]
    return u @ vt
