"""From the joints of motion capture files to the 17 of Human3.6M, by name, in metres with z up.

Where sources have no joint at a place of Human3.6M's, the nearest that all of them have is taken:

- Hip: midway between the hip joints. Spine: the joint above it (CMU and HDM05: the root of the spine, 0.1 m higher;
  Bandai-Namco and Daz: 0.18 m). Thorax: the base of the neck. Neck: the base of the skull. Head: the middle of the head.
- Shoulder, elbow, wrist, hip, knee and ankle ("Foot") are the joints themselves.

So spine, neck, head and shoulders differ by some centimetres between sources, as their skeletons do.

*CMU and HDM05* (ASF/AMC) have one skeleton, Vicon's. Its numbers, divided by its unit of length, are inches. A forearm is
two bones there, of which the second ends at the wrist.

*CMU's BVH conversions by cgspeed* come in two namings. The MotionBuilder-friendly one (2008 and 2010) keeps CMU's numbers,
each worth 1 / 0.45 inches. Its converter lost each bone that has several children: the thorax and the second of the forearm.
Both are put back. The forearm's is in line with the first and half as long (checked: exact). The thorax is taken to be
parallel to the vertebra below and as long (checked on one recording: 3 mm off instead of 117 mm). The Daz-friendly one has
the skeleton of Daz's figures, centimetres, for all subjects. A T-pose is put before the recordings: the first frame is left
out if the body jumps from it to the second.

*Bandai-Namco Research's* BVH files are in centimetres. They have no joint beyond the base of the skull, so that the head is
put in line with the neck.

The units of CMU and Bandai-Namco, and the names of the joints, were checked on published files; HDM05's inches follow the
remarks in its published reading software, and `check_height` would notice another unit.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError, one_line
from srnet_jax.io.files import reading
from srnet_jax.io.text import shown
from srnet_jax.pose.skeleton import H36M_17

Source = str | tuple[str, ...] | Mapping[str, float]  # a joint, several to average, or weights

_INCH_M = 0.0254
_CMU_LENGTH = 0.45  # the unit of length in CMU's .asf files
_HEIGHT_M = (0.9, 2.3)
_UNITS = {"metres": 1.0, "feet": 0.3048, "inches": _INCH_M, "centimetres": 0.01, "millimetres": 0.001}
_REST_POSE_JUMP_M = 0.2  # further than a joint moves in a frame
_KNEE_BEND_M = 0.02
_LEG_DIFFERENCE = 0.25  # between left and right, relative; legs that differ by more are no person's

# Rows are new axes: z up, right-handed, determinant +1. With y up, x stays and what looked at us looks along -y.
_ROTATIONS = {
    "x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "z": np.eye(3),
}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How the 17 joints follow from those of a source.

    Attributes:
      name: what messages call it.
      joints: for each joint of `H36M_17` the source's joints and their weights, which sum to 1.
      unit_m: metres in one unit of the source.
      up: the source's axis that points up, x, y or z.
      suffix: the only kind of file that has this layout, such as `.bvh`; empty for any.
      fps: frames per second, where the file's word is not to be taken.
      has_rest_pose: whether the first frame may be no part of the recording.
      coincident: two joints that lie in one place, which tells the layout from others with the same names.
    """

    name: str
    joints: Mapping[str, Mapping[str, float]]
    unit_m: float
    up: str = "y"
    suffix: str = ""
    fps: float | None = None
    has_rest_pose: bool = False
    coincident: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The source's joints that are used, each once."""
        return tuple(dict.fromkeys([name for weights in self.joints.values() for name in weights] + list(self.coincident)))

    def apply(self, motion: Motion) -> np.ndarray:
        """Return the 17 joints [T, 17, 3], float64, world frame with z up, metres."""
        weights = np.zeros((H36M_17.num_joints, len(motion.joints)))
        for row, joint in zip(weights, H36M_17.joints, strict=True):
            for name, weight in self.joints[joint].items():
                row[motion.joints.index(name)] = weight
        poses = (weights @ motion.positions) @ _ROTATIONS[self.up].T * self.unit_m
        if self.has_rest_pose and len(poses) > 1:
            steps = np.diff(poses[:2] - poses[:2, :1], axis=0)  # relative to the hip
            if np.linalg.norm(steps, axis=-1).max() > _REST_POSE_JUMP_M:
                return poses[1:]
        return poses


def _weights(source: Source) -> dict[str, float]:
    if isinstance(source, str):
        return {source: 1.0}
    return dict(source) if isinstance(source, Mapping) else {name: source.count(name) / len(source) for name in source}


def _mapped(*sources: Source) -> dict[str, dict[str, float]]:
    return {joint: _weights(source) for joint, source in zip(H36M_17.joints, sources, strict=True)}


def _with_thorax(source: Source) -> dict[str, float]:
    """Add the lost thorax, as a copy of the vertebra below it."""
    weights = _weights(source)
    return weights | {"Spine1": weights.get("Spine1", 0.0) + 1, "Spine": -1.0}


_VICON = Layout(
    "CMU and HDM05, ASF/AMC",
    _mapped(
        ("lhipjoint", "rhipjoint"),
        *("rhipjoint", "rfemur", "rtibia"),
        *("lhipjoint", "lfemur", "ltibia"),
        *("root", "thorax", "upperneck", "head"),
        *("lclavicle", "lhumerus", "lwrist"),
        *("rclavicle", "rhumerus", "rwrist"),
    ),
    unit_m=_INCH_M,
    suffix=".amc",
)
_MOTIONBUILDER = Layout(
    "CMU, MotionBuilder-friendly BVH",
    _mapped(
        ("LeftUpLeg", "RightUpLeg"),
        *("RightUpLeg", "RightLeg", "RightFoot"),
        *("LeftUpLeg", "LeftLeg", "LeftFoot"),
        *("Hips", _with_thorax("Spine1"), _with_thorax("Head"), _with_thorax("Head_end")),
        *(_with_thorax("LeftArm"), _with_thorax("LeftForeArm"), _with_thorax({"LeftHand": 1.5, "LeftForeArm": -0.5})),
        *(_with_thorax("RightArm"), _with_thorax("RightForeArm"), _with_thorax({"RightHand": 1.5, "RightForeArm": -0.5})),
    ),
    unit_m=_INCH_M / _CMU_LENGTH,
    suffix=".bvh",
    has_rest_pose=True,
    coincident=("Spine1", "Neck", "LeftShoulder", "RightShoulder"),
)
_DAZ = Layout(
    "CMU, Daz-friendly BVH",
    _mapped(
        ("lThigh", "rThigh"),
        *("rThigh", "rShin", "rFoot"),
        *("lThigh", "lShin", "lFoot"),
        *("abdomen", ("lCollar", "rCollar"), "head"),
        {"leftEye": 0.25, "rightEye": 0.25, "head": 1.0, "neck": -0.5},  # between the eyes and a longer neck
        *("lShldr", "lForeArm", "lHand"),
        *("rShldr", "rForeArm", "rHand"),
    ),
    unit_m=0.01,
    suffix=".bvh",
    has_rest_pose=True,
)
_BANDAI = Layout(
    "Bandai-Namco, BVH",
    _mapped(
        ("UpperLeg_L", "UpperLeg_R"),
        *("UpperLeg_R", "LowerLeg_R", "Foot_R"),
        *("UpperLeg_L", "LowerLeg_L", "Foot_L"),
        *("Spine", "Neck", "Head", {"Head": 2.5, "Neck": -1.5}),
        *("UpperArm_L", "LowerArm_L", "Hand_L"),
        *("UpperArm_R", "LowerArm_R", "Hand_R"),
    ),
    unit_m=0.01,
    suffix=".bvh",
)
LAYOUTS = {"cmu": (_VICON, _MOTIONBUILDER, _DAZ), "hdm05": (_VICON,), "bandai": (_BANDAI,)}


def layouts(skeleton: str | Path) -> tuple[Layout, ...]:
    """Return the layouts that a skeleton's files may have.

    Args:
      skeleton: `cmu`, `hdm05` or `bandai`, or a mapping file, see `read_mapping`.

    Raises:
      DataError: if it is neither, or the mapping file is damaged.
    """
    if str(skeleton) in LAYOUTS:
        return LAYOUTS[str(skeleton)]
    if not Path(skeleton).is_file():
        raise DataError(f"{skeleton}: no such skeleton, expected {', '.join(LAYOUTS)} or a mapping file (.toml)")
    return (read_mapping(Path(skeleton)),)


def read_mapping(path: Path) -> Layout:
    """Read a mapping file, which says how the joints of any other source give the 17.

    For example, in TOML:

        unit = 0.01  # metres in one unit of the files; of ASF/AMC files, in a number divided by their unit of length
        up = "y"     # the axis that points up
        fps = 60     # optional: frames per second, instead of what the files say
        [joints]     # for each of skeleton.H36M_17's names a joint, several to average, or weights that sum to 1
        Hip = ["LeftUpLeg", "RightUpLeg"]
        RHip = "RightUpLeg"
        Head = {Head = 2.5, Neck = -1.5}

    Raises:
      DataError: if the file is damaged, or something is missing or not of this form.
    """
    with reading(path, "a TOML file"):
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = set(table) - {"unit", "up", "fps", "joints"}
    if unknown:
        raise DataError(f"{path}: found {shown(min(unknown))}, expected unit, up, fps and joints")
    unit_m, fps, up, joints = (table.get(name) for name in ("unit", "fps", "up", "joints"))
    if not _is_number(unit_m) or unit_m <= 0:
        raise DataError(f"{path}: unit is {shown(str(unit_m))}, expected a positive number of metres")
    if "fps" in table and not (_is_number(fps) and 0.1 <= fps <= 1e4):
        raise DataError(f"{path}: fps is {shown(str(fps))}, expected 0.1 to 10,000 frames per second")
    if not isinstance(up, str) or up not in _ROTATIONS:
        raise DataError(f"{path}: up is {shown(str(up))}, expected the axis that points up: x, y or z")
    odd = set(H36M_17.joints).symmetric_difference(joints if isinstance(joints, dict) else ())
    if not isinstance(joints, dict) or odd:
        raise DataError(f"{path}: [joints] lacks or does not know {shown(min(odd))}, expected {', '.join(H36M_17.joints)}")
    weights = {joint: _read_weights(source, f"{path}: joint {joint}") for joint, source in joints.items()}
    return Layout(path.name, weights, float(unit_m), up, fps=fps)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _read_weights(source: Any, where: str) -> dict[str, float]:
    if isinstance(source, str):
        return _weights(source)
    if isinstance(source, list) and source and all(isinstance(name, str) for name in source):
        return _weights(tuple(source))
    if isinstance(source, dict) and all(map(_is_number, source.values())) and abs(sum(source.values()) - 1) <= 1e-6:
        return _weights(source)
    raise DataError(f"{where} is {shown(str(source))}, expected a joint, a list of joints, or weights that sum to 1")


def choose(motion: Motion, candidates: tuple[Layout, ...], path: Path) -> Layout:
    """Return the layout whose joints a motion has.

    Raises:
      DataError: if it has those of none.
    """
    reasons = []
    for layout in candidates:
        lacking = [name for name in layout.sources if name not in motion.joints]
        places = motion.positions[:, [motion.joints.index(name) for name in layout.coincident if not lacking]]
        if layout.suffix not in ("", path.suffix.lower()):
            continue
        if not lacking and np.allclose(places, places[:, :1], rtol=0, atol=1e-6):
            return layout
        why = f"lacks {one_line(', '.join(lacking[:3]), 100)}" if lacking else f"{', '.join(layout.coincident)} apart"
        reasons.append(f"{layout.name} ({why})")
    expected = "; ".join(reasons) or f"{' or '.join(layout.suffix for layout in candidates)} files"
    raise DataError(f"{path}: found the joints {shown(', '.join(motion.joints))}, expected those of {expected}")


def check_height(poses: np.ndarray, unit_m: float, name: str | Path) -> None:
    """Refuse poses [T, 17, 3] that are no person's in metres: bones from ankle to head, and 0.2 m for foot and crown.

    Args:
      poses: the joints, metres.
      unit_m: what was taken for one unit of the source, metres.
      name: of the file, for the message.

    Raises:
      DataError: if the height is implausible; it names the unit that would be plausible.
    """
    bones = np.median(np.linalg.norm(poses - poses[:, H36M_17.parents], axis=-1), axis=0)  # [17]
    legs, trunk = bones[[2, 3, 5, 6]], bones[[7, 8, 9, 10]]
    height = float(legs.sum() / 2 + trunk.sum())
    low, high = _HEIGHT_M
    if not low <= height + 0.2 <= high:
        likely = [unit for unit, metres in _UNITS.items() if low <= height / unit_m * metres + 0.2 <= high]
        guess = f"it looks like {' or '.join(likely)}" if likely else "and no usual unit fits"
        raise DataError(
            f"{name}: found a person {height:.3g} m high from ankle to head with {unit_m:.4g} m a unit, "
            f"expected {low - 0.2:.1f} to {high - 0.2:.1f} m; {guess}"
        )


def is_mirrored(poses: np.ndarray) -> bool:
    """Return whether the knees of poses [T, 17, 3] bend backwards, as they do when left and right are swapped.

    Left hip and thorax define forward; a knee is in front of the line from hip to ankle. False if the legs are too straight
    to decide, or not a person's.
    """
    hips, knees, ankles = poses[:, [1, 4]], poses[:, [2, 5]], poses[:, [3, 6]]  # [T, 2, 3], right and left
    lengths = [np.median(np.linalg.norm(bone, axis=-1), axis=0) for bone in (knees - hips, ankles - knees)]
    if any(np.ptp(pair) > _LEG_DIFFERENCE * pair.max() for pair in lengths):
        return False
    forward = np.cross(hips[:, 1] - hips[:, 0], poses[:, 8] - poses[:, 0])
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    bend = np.einsum("tkc,tc->tk", knees - (hips + ankles) / 2, forward)
    return bool(bend.mean() < -_KNEE_BEND_M)
