"""Read joint positions from body model parameters in `.npz` files: SMPL, SMPL-H and SMPL-X as stored by AMASS.

A file has the rotations of the joints and the path of the pelvis. The positions of the joints at rest depend on the body
models, which have their own licences, and on the `betas`. They are replaced here by a neutral body in the models' T-pose: the
segment lengths of `skeleton.RATIOS` for a person 1.70 m high. So the directions of all bones are exact, but their lengths are
not those of the recorded person.

In the models the pelvis at rest is some centimetres away from the origin, which shifts a whole clip; here it is at the origin.

Source: N. Mahmood et al., "AMASS: Archive of Motion Capture as Surface Shapes", ICCV 2019; M. Loper et al., "SMPL: A Skinned
Multi-Person Linear Model", SIGGRAPH Asia 2015, for the joints' order and the rest pose: y up, the left arm along x, facing z.
"""

import math
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
_RATES = ("mocapframerate", "framerate", "fps", "mocapfps")  # keys without underscores and case
_PARTS, _TRANS = (("root_orient", "pose_body"), ("global_orient", "body_pose")), ("trans", "transl")  # AMASS; smplx's arguments
_ROTATIONS = {  # numbers a joint: what they are, and the length of all of them together
    9: ("rotation matrices", math.sqrt(3)),
    6: ("the first two columns of rotation matrices", math.sqrt(2)),
    4: ("quaternions", 1.0),
}
_EQUAL = 1e-2  # allowed error of the length of the numbers of a joint, and of the elements of a matrix times its transpose
_FEWEST_DEGREES = 3  # joints turned by more than a turn in a typical frame, from which on angles are degrees
_MOST, _MORE = 0.8, 0.05  # share of joints whose numbers have the length of another kind; a lead of matrices in doubt
_EXPECTED = "expected axis times angle, or whole rotation matrices"


def read(path: str | Path) -> Motion:
    """Read an `.npz` file with `poses` (or `root_orient` and `pose_body`), `trans` and optionally a frame rate.

    The names of the package smplx are read, too: `global_orient`, `body_pose` and `transl`. Rotations are axis times angle in
    radians, or rotation matrices, in any shape.

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
    found = values[:, : 3 * _TURNED].reshape(len(values), _TURNED, 3).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        turned = np.sort(np.linalg.norm(found[:, 1:], axis=-1), axis=1)  # the root may have turned several times
    typical = float(np.median(turned[:, -_FEWEST_DEGREES]))
    if 2 * np.pi < typical <= FARTHEST:
        raise DataError(
            f"{path}: poses: found joints turned by {np.median(turned[:, -1]):.4g} in a typical frame, seemingly degrees, "
            "expected radians"
        )
    return found


def _rows(value: Any, name: str) -> np.ndarray:
    """Return rotations [T, 3 a joint], axis times angle, from any shape; rotation matrices are converted.

    Raises:
      DataError: if they are no numbers of such a shape, or rotations of another kind.
    """
    shape = value.shape[2:] if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else ()
    if shape:
        value = value.reshape(len(value), math.prod(value.shape[1:]))  # [T, J, ...]
    rows = numbers_of_shape(value, ("frames >= 1", "3 a joint"), name)
    count = math.prod(shape) if shape else _numbers_a_joint(rows)
    if count == 9:
        return _from_matrices(rows, name)
    if count != 3:
        kind = f", {_ROTATIONS[count][0]}" if count in _ROTATIONS else ""
        raise DataError(f"{name}: found {count} numbers a joint{kind}, {_EXPECTED}")
    return rows


def _from_matrices(rows: np.ndarray, name: str) -> np.ndarray:
    """Return the rotations [T, 3 a joint], axis times angle, of the joints that are used, from matrices [T, 9 a joint]."""
    from scipy.spatial.transform import Rotation  # slow to import

    matrices = rows.reshape(len(rows), -1, 3, 3)[:, :_TURNED].astype(np.float64)
    with np.errstate(all="ignore"):
        right = (np.abs(matrices @ matrices.mT - np.eye(3)) < _EQUAL).all() and (np.linalg.det(matrices) > 0).all()
    if not right:
        raise DataError(f"{name}: found matrices that are no rotations, {_EXPECTED}")
    return Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_rotvec().reshape(len(rows), -1)


@np.errstate(all="ignore")  # numbers that are not finite are reported later
def _numbers_a_joint(rows: np.ndarray) -> int:
    """Return how many numbers of rows [T, n] belong to a joint: 3, unless nearly all joints have another kind's length."""
    shares = dict.fromkeys(_ROTATIONS, 0.0)
    for count, (_, length) in _ROTATIONS.items():
        if rows.shape[1] % count == 0:
            lengths = np.linalg.norm(rows.reshape(len(rows), -1, count)[:, :_TURNED], axis=-1)
            shares[count] = float((np.abs(lengths - length) < _EQUAL).mean())
    shares[9] += _MORE  # two rows of a matrix look like two columns
    likely = max(shares, key=lambda count: shares[count])
    return likely if shares[likely] > _MOST else 3


def _what_else(arrays: dict[str, Any]) -> str:
    """Describe the content of a file that has no body model parameters."""
    if any(getattr(array, "shape", ())[1:] == (17, 3) for array in arrays.values()):
        return "found joint positions, which need no conversion: use the file as config.data.path, or with --data.path"
    return f"found {listed(arrays)}, expected poses, trans and mocap_framerate of a body model, as in AMASS"


def _frame_rate(arrays: dict[str, Any], path: str | Path) -> float:
    """Return the frames per second, which may be stored as text; 0 if the file has none."""
    spelled = {name.lower().replace("_", ""): name for name in arrays}
    name = next((spelled[rate] for rate in _RATES if rate in spelled), None)
    if name is None:
        return 0.0
    value = arrays[name]
    item = value.item() if isinstance(value, np.ndarray) and value.size == 1 else None
    try:
        rate = float(item) if type(item) in (int, float, str) else math.nan  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        rate = math.nan
    if not 0.1 <= rate <= 1e4:
        raise DataError(f"{path}: {name} is {described(value)}, expected 0.1 to 10,000 frames per second")
    return rate
