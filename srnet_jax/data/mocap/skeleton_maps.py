"""Map the joints of motion capture files by name to the 17 joints of Human3.6M, in metres with z up; read mapping files.

If sources have no joint at the place of a Human3.6M joint, the nearest one that all of them have is used:

- Hip: midway between the hip joints. Spine: the joint above it (CMU and HDM05: the root of the spine, 0.1 m higher;
  Bandai-Namco and Daz: 0.18 m). Thorax: the base of the neck. Neck: the base of the skull. Head: the middle of the head.
- Shoulder, elbow, wrist, hip, knee and ankle ("Foot") are the joints themselves.

So spine, neck, head and shoulders differ by some centimetres between sources, as their skeletons do.

`builtin_skeletons` has the tables of the known skeletons; `recognise` finds which of them a file has.
"""

import dataclasses
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from srnet_jax.data.mocap import clip_names
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError, naming
from srnet_jax.io.text import read_toml, shown
from srnet_jax.pose.skeleton import H36M_17, RATIOS

Source = str | tuple[str, ...] | Mapping[str, float]  # a joint, several joints to average, or weights of joints

HEIGHT_M = (0.9, 2.3)  # range of plausible statures
UNITS = {"metres": 1.0, "feet": 0.3048, "inches": 0.0254, "centimetres": 0.01, "millimetres": 0.001}
_SPINE, _THORAX, _NECK, _HEAD = range(7, 11)
_TO_NECK = sum(RATIOS[part] for part in ("thigh", "shank", "lower_trunk", "upper_trunk", "neck"))  # fraction of stature
# From the base of the skull to the middle of the head, as a fraction of the height from ankle to the base of the skull.
HEAD_OF_HEIGHT = RATIOS["head"] / 2 / _TO_NECK

# Rows are the new axes: z up, right-handed, determinant +1. From y up, x stays, and a person who faces z then faces -y.
_ROTATIONS = {
    "x": np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    "y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
    "z": np.eye(3),
}
UP_AXES = (*_ROTATIONS, *(f"-{axis}" for axis in _ROTATIONS))


@dataclasses.dataclass(frozen=True)
class Layout:
    """How Human3.6M's 17 joints are computed from the joints of a source.

    Attributes:
      name: the layout's name in messages.
      joints: for each joint of `H36M_17`, the weights of the source's joints, which sum to 1; empty for a head that is placed
        in line with the neck.
      alternatives: further weights of some joints, best first, for files that lack the joints of the first ones.
      markers: {name of a marker: joint of `pose.layouts`}, for sources of markers; `joints` then follows from the markers in
        the file.
      unit_m: length of the source's unit in metres; None to find it from the person's height.
      up: the source's axis that points up, x, y or z, with a minus if it points down; None to find it from the poses.
      stated: whether the user gave the unit and the axis in a mapping file, so that they are not checked.
      suffixes: suffixes of files that may have this layout, such as `.bvh`; empty for all.
      fps: frames per second, instead of those in the file; None to use the file's.
      rest_pose: whether the first frame is a rest pose, or how many are; None to find out (`recordings.parts`).
      names: pattern of file names (`clip_names.parse`); empty for the databases' ways of naming files.
      coincident: joints at the same place, which distinguish the layout from others with the same names.
      signature: regular expression that one of the source's joints matches (after `gait_markers.folded`), which distinguishes
        the layout from others with the same names; empty for none.
      note: what a user should know about the poses.
    """

    name: str
    joints: Mapping[str, Mapping[str, float]]
    alternatives: Mapping[str, tuple[Mapping[str, float], ...]] = dataclasses.field(default_factory=dict)
    markers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    unit_m: float | None = None
    up: str | None = None
    stated: bool = False
    suffixes: tuple[str, ...] = ()
    fps: float | None = None
    rest_pose: bool | int | None = None
    names: str = ""
    coincident: tuple[str, ...] = ()
    signature: str = ""
    note: str = ""

    @property
    def sources(self) -> tuple[str, ...]:
        """Names of the source's joints that are used, without repetition."""
        return tuple(dict.fromkeys([name for weights in self.joints.values() for name in weights] + list(self.coincident)))

    def apply(self, motion: Motion) -> np.ndarray:
        """Compute the 17 joints of a motion.

        Returns:
          [T, 17, 3] float64 joints, world frame; in metres if `unit_m` is known, else in the source's unit; with z up if `up`
          is known, else in the source's axes.
        """
        weights = np.zeros((H36M_17.num_joints, len(motion.joints)))
        for row, joint in zip(weights, H36M_17.joints, strict=True):
            for name, weight in self.joints[joint].items():
                row[motion.joints.index(name)] = weight
        used = weights.any(0)  # joints that are not used may be NaN
        poses = self.turned((weights[:, used] @ motion.positions[:, used]) * (self.unit_m or 1.0))
        if not self.joints["Head"]:
            poses[:, _HEAD] = _in_line(poses)
        return poses

    def source_axis(self, axis: str) -> str:
        """Return the source's name of an axis of the world, such as -y."""
        direction = np.eye(3)["xyz".index(axis[-1])] @ rotation(self.up or "z")
        index = int(np.abs(direction).argmax())
        downwards = bool(direction[index] < 0) != axis.startswith("-")
        return f"{'-' if downwards else ''}{'xyz'[index]}"

    def turned(self, poses: np.ndarray) -> np.ndarray:
        """Turn poses [T, 17, 3] from the source's axes to z up; without `up` they are returned as they are."""
        return poses @ rotation(self.up).T.astype(poses.dtype) if self.up else poses


def rotation(up: str) -> np.ndarray:
    """Return the rotation [3, 3] that turns an axis, such as y or -y, upwards."""
    turn = _ROTATIONS[up[-1]]
    return np.diag([1.0, -1.0, -1.0]) @ turn if up.startswith("-") else turn


def _in_line(poses: np.ndarray) -> np.ndarray:
    """Return the middle of the head [T, 3], in line with the neck, of poses without a head."""
    neck = poses[:, _NECK] - poses[:, _THORAX]
    neck = neck / np.maximum(np.linalg.norm(neck, axis=-1, keepdims=True), 1e-9)
    return poses[:, _NECK] + neck * HEAD_OF_HEIGHT * height_to_neck(poses)


def directions(vectors: np.ndarray) -> np.ndarray:
    """Return vectors [..., 3] scaled to length 1; vectors shorter than 1e-9 stay shorter than 1."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def median(values: np.ndarray) -> np.ndarray:
    """Return the median [...] over the frames of values [T, ...], without NaN; NaN where all frames are NaN."""
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # if all frames are NaN
        return np.nanmedian(values, axis=0)


def height_to_neck(poses: np.ndarray) -> float:
    """Return the sum of the median bone lengths from ankle to the base of the skull, in the unit of poses [T, 17, 3]."""
    bones = median(np.linalg.norm(poses - poses[:, H36M_17.parents], axis=-1))  # [17]
    return float(bones[[2, 3, 5, 6]].sum() / 2 + bones[[_SPINE, _THORAX, _NECK]].sum())


def weights_of(source: Source) -> dict[str, float]:
    """Return the weights of a source's joints, which sum to 1: 1 for a single joint, equal ones for several."""
    if isinstance(source, str):
        return {source: 1.0}
    return dict(source) if isinstance(source, Mapping) else {name: source.count(name) / len(source) for name in source}


def mapped(*sources: Source) -> dict[str, dict[str, float]]:
    """Return {joint: weights} from the sources of the 17 joints, given in the joints' order."""
    return {joint: weights_of(source) for joint, source in zip(H36M_17.joints, sources, strict=True)}


def read_mapping(path: Path) -> Layout:
    """Read a mapping file, which defines how the 17 joints are computed from the joints of another source.

    For example, in TOML:

        unit = 0.01  # optional: the files' unit in metres; for ASF/AMC files, after division by their unit of length
        up = "y"     # optional: the axis that points up, or "-y" if it points down
        fps = 60     # optional: frames per second, instead of those in the files
        rest_pose = true  # optional: whether the first frame is a rest pose, or how many frames are
        name = "{subject}_{action}_{clip}"  # optional: pattern of file names, see clip_names.parse
        [joints]     # for each joint of skeleton.H36M_17: a joint, several to average, or weights that sum to 1
        Hip = ["LeftUpLeg", "RightUpLeg"]
        RHip = "RightUpLeg"
        Head = {Head = 2.5, Neck = -1.5}  # {} places the head in line with the neck

    Without `unit` or `up`, they are found from the poses. A common prefix of all names, such as `mixamorig:`, may differ in
    the motion files or be missing there.

    Raises:
      DataError: if the file is missing or damaged, or a value is missing or not allowed.
    """
    table = read_toml(path, "a TOML file")
    unknown = set(table) - {"unit", "up", "fps", "rest_pose", "name", "joints"}
    if unknown:
        raise DataError(f"{path}: found {shown(min(unknown))}, expected unit, up, fps, rest_pose, name and joints")
    unit_m, fps, up, joints = (table.get(name) for name in ("unit", "fps", "up", "joints"))
    rest_pose, names = table.get("rest_pose"), table.get("name", "")
    if "rest_pose" in table and not (isinstance(rest_pose, int) and 0 <= rest_pose < 1e9):
        raise DataError(f"{path}: rest_pose is {shown(str(rest_pose))}, expected true, false or a number of frames")
    with naming(f"{path}: name"):
        clip_names.pattern(names)
    if "unit" in table and not (_is_number(unit_m) and unit_m > 0):
        raise DataError(f"{path}: unit is {shown(str(unit_m))}, expected a positive number of metres")
    if "fps" in table and not (_is_number(fps) and 0.1 <= fps <= 1e4):
        raise DataError(f"{path}: fps is {shown(str(fps))}, expected 0.1 to 10,000 frames per second")
    if "up" in table and up not in UP_AXES:
        raise DataError(f"{path}: up is {shown(str(up))}, expected the axis that points up: x, y or z")
    odd = set(H36M_17.joints).symmetric_difference(joints if isinstance(joints, dict) else ())
    if not isinstance(joints, dict) or odd:
        raise DataError(f"{path}: [joints]: {shown(min(odd))} is missing or unknown, expected {', '.join(H36M_17.joints)}")
    in_line: dict[str, dict[str, float]] = {"Head": {}} if joints["Head"] == {} else {}
    weights = in_line | {
        joint: _read_weights(source, f"{path}: joint {joint}") for joint, source in joints.items() if joint not in in_line
    }
    return Layout(path.name, weights, unit_m=unit_m, up=up, stated=True, fps=fps, rest_pose=rest_pose, names=names)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _read_weights(source: Any, where: str) -> dict[str, float]:
    if isinstance(source, str):
        return weights_of(source)
    if isinstance(source, list) and source and all(isinstance(name, str) for name in source):
        return weights_of(tuple(source))
    if isinstance(source, dict) and all(map(_is_number, source.values())) and abs(sum(source.values()) - 1) <= 1e-6:
        return weights_of(source)
    raise DataError(f"{where} is {shown(str(source))}, expected a joint, a list of joints, or weights that sum to 1")
