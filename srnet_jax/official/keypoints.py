"""Decide which joint sets an official network has, from the numbers of its joints or from the config; no file states them."""

from pathlib import Path

from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.errors import DataError
from srnet_jax.io.text import shown
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.official.files import OfficialCheckpoint
from srnet_jax.pose.skeleton import Skeleton

_JOINTS = {17: "human36m_17", 16: "human36m_16", 15: "humaneva_15"}  # {number: joint set} of the 3D joints
_KEYPOINTS = {17: "coco_17", 16: "human36m_16"}  # of keypoints other than the 3D joints: Detectron, Stacked Hourglass


def joint_fields(
    config: ConfigDict, model: PoseLifter, stated: set[str], checkpoint: OfficialCheckpoint
) -> tuple[dict[str, str | bool], list[str]]:
    """Return the fields of `config.model` that name a network's joint sets, and lines about what was assumed.

    Args:
      config: `config.model`.
      model: the network.
      stated: names of the fields of `config` that the user set.
      checkpoint: the file; a name of keypoints of COCO among its settings, such as VideoPose3D's `detectron_pt_coco`, counts.

    Raises:
      DataError: if a set that the user stated does not fit the network, or no built-in set has its number of joints.
    """
    path, (keypoints, joints) = checkpoint.path, (model.input_shape[0], model.num_joints)
    notes = []
    name = config.joints if "joints" in stated else _known(_JOINTS, joints, "joints", path)
    if "joints" not in stated and joints != 17:
        notes.append(f"its {joints} joints are assumed to be {name} (--config.model.joints)")
    seen = config.input_joints if "input_joints" in stated else ""
    named = checkpoint.setting("keypoints", str) or ""
    if not seen and keypoints == 17 and "coco" in named:
        seen = _KEYPOINTS[17]
        notes.append(f"its keypoints are {seen}: {shown(named)} in the settings saved in the file")
    elif not seen and keypoints != joints:
        seen = _known(_KEYPOINTS, keypoints, "input_joints", path)
        notes.append(f"its {keypoints} keypoints are assumed to be {seen} (--config.model.input_joints)")
    elif not seen and model.connectivity[0] == "fully_connected":
        notes.append(
            f"its keypoints are assumed to be its output joints (otherwise set --config.model.input_joints={_KEYPOINTS[17]})"
        )
    fields: dict[str, str | bool] = {"joints": name, "input_joints": seen, "confidences": model.confidences}
    found = joint_sets.of(ConfigDict(fields))
    for field, skeleton, count in zip(("joints", "input_joints"), found, (joints, keypoints), strict=True):
        _check(field, skeleton, count, path)
    return fields, notes


def stated_keypoints(config: ConfigDict, stated: set[str]) -> int | None:
    """Return the number of keypoints in `config.model.input_joints`, or None if the user did not state it."""
    return joint_sets.of(config)[1].num_joints if "input_joints" in stated and config.input_joints else None


def _known(names: dict[int, str], count: int, field: str, path: Path) -> str:
    if count not in names:
        what = "joints in its output" if field == "joints" else "keypoints"
        raise DataError(f"{path}: found {count} {what}, which no built-in set has, expected --config.model.{field}=FILE.toml")
    return names[count]


def _check(field: str, skeleton: Skeleton, count: int, path: Path) -> None:
    """Reject a joint set of another size, or one whose order in files (the network's) differs from that of our arrays."""
    if skeleton.num_joints != count:
        raise DataError(
            f"{path}: config.model.{field}: found {count} in the network, expected {skeleton.num_joints}: {skeleton.name}"
        )
    if skeleton.file_order != tuple(range(count)):
        raise DataError(
            f"{path}: config.model.{field}: found {skeleton.name}, expected a joint set whose root is its first joint"
        )
