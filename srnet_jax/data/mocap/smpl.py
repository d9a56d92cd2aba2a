"""Read joint positions from body model parameters in `.npz` files: SMPL, SMPL-H and SMPL-X as stored by AMASS.

A file has the rotations of the joints and the path of the pelvis. The positions of the joints at rest depend on the body
models, which have their own licences, and on the `betas`. They are replaced here by a neutral body in the models' T-pose: the
segment lengths of `skeleton.RATIOS` for a person 1.70 m high. So the directions of all bones are exact, but their lengths are
not those of the recorded person.

In the models the pelvis at rest is some centimetres away from the origin, which shifts a whole clip; here it is at the origin.

Source: N. Mahmood et al., "AMASS: Archive of Motion Capture as Surface Shapes", ICCV 2019; M. Loper et al., "SMPL: A Skinned
Multi-Person Linear Model", SIGGRAPH Asia 2015, for the joints' order and the rest pose: y up, the left arm along x, facing z.
"""

from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.mocap.bvh import FARTHEST, Motion, check_size
from srnet_jax.errors import DataError
from srnet_jax.io.safe_load import load_npz
from srnet_jax.io.text import described, listed, numbers_of_shape
from srnet_jax.pose.skeleton import RATIOS

STATURE_M = 1.70
_R = {name: ratio * STATURE_M for name, ratio in RATIOS.items()}
_HIP, _SHOULDER = _R["hip_half_width"], _R["shoulder_half_width"]
_VERTEBRA = (_R["lower_trunk"] + _R["upper_trunk"]) / 4
# Name, parent and offset from the parent, metres: x to the person's left, y up, z to the front.
_JOINTS: tuple[tuple[str, str, tuple[float, float, float]], ...] = (
    ("Pelvis", "", (0, 0, 0)),
    *(("L_Hip", "Pelvis", (_HIP, 0, 0)), ("R_Hip", "Pelvis", (-_HIP, 0, 0)), ("Spine1", "Pelvis", (0, _VERTEBRA, 0))),
    *(("L_Knee", "L_Hip", (0, -_R["thigh"], 0)), ("R_Knee", "R_Hip", (0, -_R["thigh"], 0))),
    ("Spine2", "Spine1", (0, _VERTEBRA, 0)),
    *(("L_Ankle", "L_Knee", (0, -_R["shank"], 0)), ("R_Ankle", "R_Knee", (0, -_R["shank"], 0))),
    ("Spine3", "Spine2", (0, _VERTEBRA, 0)),
    *(("L_Foot", "L_Ankle", (0, -_R["ankle_height"], 0.1)), ("R_Foot", "R_Ankle", (0, -_R["ankle_height"], 0.1))),
    ("Neck", "Spine3", (0, _VERTEBRA, 0)),
    *(("L_Collar", "Spine3", (0, _VERTEBRA, 0)), ("R_Collar", "Spine3", (0, _VERTEBRA, 0))),
    ("Head", "Neck", (0, _R["neck"], 0)),
    *(("L_Shoulder", "L_Collar", (_SHOULDER, 0, 0)), ("R_Shoulder", "R_Collar", (-_SHOULDER, 0, 0))),
    *(("L_Elbow", "L_Shoulder", (_R["upper_arm"], 0, 0)), ("R_Elbow", "R_Shoulder", (-_R["upper_arm"], 0, 0))),
    *(("L_Wrist", "L_Elbow", (_R["forearm"], 0, 0)), ("R_Wrist", "R_Elbow", (-_R["forearm"], 0, 0))),
    ("Head_end", "Head", (0, _R["head"], 0)),  # added: the top of the head, which turns with the head
)
_NAMES = tuple(name for name, _, _ in _JOINTS)
_TURNED = len(_JOINTS) - 1  # the first 22 joints, which all the models share, have rotations
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
_PARTS, _TRANS = (("root_orient", "pose_body"), ("global_orient", "body_pose")), ("trans", "transl")  # AMASS; smplx's arguments


def read(path: str | Path) -> Motion:
    """Read an `.npz` file with `poses` (or `root_orient` and `pose_body`), `trans` and optionally a frame rate.

    The names of the package smplx are read, too: `global_orient`, `body_pose` and `transl`.

    Returns:
      The joints of the neutral body, metres, in the file's axes.

    Raises:
      DataError: if the file is missing or damaged, or has other content.
    """
    arrays = load_npz(path)
    rotations = _rotations(arrays, path)  # [T, 22, 3], axis times angle
    frames = len(rotations)
    place = next((name for name in _TRANS if name in arrays), None)
    if not place:
        raise DataError(f"{path}: found {listed(arrays)}, expected also trans, the positions of the pelvis")
    trans = numbers_of_shape(arrays[place], (frames, 3), f"{path}: {place}").astype(np.float64)
    fps = _frame_rate(arrays, path)
    check_size(frames, len(_JOINTS), path)
    if not (np.abs(rotations) <= FARTHEST).all() or not (np.abs(trans) <= FARTHEST).all():
        raise DataError(f"{path}: found numbers that are no rotations or positions, expected finite ones up to {FARTHEST:g}")
    parents = tuple(_NAMES.index(parent) if parent else -1 for _, parent, _ in _JOINTS)
    return Motion(_NAMES, parents, fps, positions(rotations, trans), unit_m=1.0)


def positions(rotations: np.ndarray, trans: np.ndarray) -> np.ndarray:
    """Compute the joints of the neutral body from a model's parameters.

    Args:
      rotations: [T, 22, 3] rotation of each joint relative to its parent, as axis times angle, radians.
      trans: [T, 3] position of the pelvis, metres.

    Returns:
      [T, 23, 3] joints, the frame of `trans`, metres.
    """
    from scipy.spatial.transform import Rotation  # slow to import

    local = Rotation.from_rotvec(rotations.reshape(-1, 3)).as_matrix().reshape(*rotations.shape, 3)  # [T, 22, 3, 3]
    world: dict[str, np.ndarray] = {}
    places = {"": trans}
    for index, (name, parent, offset) in enumerate(_JOINTS):
        places[name] = places[parent] + (world[parent] @ np.array(offset) if parent else 0)
        if index < _TURNED:
            world[name] = world[parent] @ local[:, index] if parent else local[:, index]
    return np.stack([places[name] for name in _NAMES], axis=1)


def _rotations(arrays: dict[str, Any], path: str | Path) -> np.ndarray:
    """Return the rotations [T, 22, 3] float64, axis times angle."""
    joined = next((names for names in _PARTS if set(names) <= arrays.keys()), None)
    if "poses" in arrays:
        values = _rows(arrays["poses"], f"{path}: poses")
    elif joined:
        parts = [_rows(arrays[name], f"{path}: {name}") for name in joined]
        if len(parts[0]) != len(parts[1]):
            raise DataError(
                f"{path}: found {len(parts[0])} frames of {joined[0]}, {len(parts[1])} of {joined[1]}, expected equal numbers"
            )
        values = np.concatenate(parts, axis=1)
    else:
        raise DataError(f"{path}: {_what_else(arrays)}")
    if values.shape[1] < 3 * _TURNED or values.shape[1] % 3:
        raise DataError(
            f"{path}: poses has {values.shape[1]} columns, expected 3 for each of 22 or more joints (SMPL, SMPL-H, SMPL-X)"
        )
    return values[:, : 3 * _TURNED].reshape(len(values), _TURNED, 3).astype(np.float64)


def _rows(value: Any, name: str) -> np.ndarray:
    if isinstance(value, np.ndarray) and value.ndim == 3 and value.shape[2] == 3 and value.dtype.kind in "fiu":
        value = value.reshape(len(value), -1)  # [T, J, 3]
    return numbers_of_shape(value, ("frames >= 1", "3 a joint"), name)


def _what_else(arrays: dict[str, Any]) -> str:
    """Describe the content of a file that has no body model parameters."""
    if any(getattr(array, "shape", ())[1:] == (17, 3) for array in arrays.values()):
        return "found joint positions, which need no conversion: use the file as config.data.path, or with --data.path"
    return f"found {listed(arrays)}, expected poses, trans and mocap_framerate of a body model, as in AMASS"


def _frame_rate(arrays: dict[str, Any], path: str | Path) -> float:
    name = next((name for name in _RATES if name in arrays), None)
    if name is None:
        return 0.0
    value = arrays[name]
    if not isinstance(value, np.ndarray) or value.size != 1 or value.dtype.kind not in "fiu" or not 0.1 <= value.item() <= 1e4:
        raise DataError(f"{path}: {name} is {described(value)}, expected 0.1 to 10,000 frames per second")
    return float(value.item())
