"""Which joints an official network sees and puts out: no file says it, so counts decide, or the user."""

from pathlib import Path

from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.errors import DataError
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.pose.skeleton import Skeleton

_JOINTS = {17: "human36m_17", 16: "human36m_16", 15: "humaneva_15"}  # 3D joints by their number
_KEYPOINTS = {17: "coco_17", 16: "human36m_16"}  # keypoints that are not the 3D joints: of Detectron, of Stacked Hourglass


def joint_fields(
    config: ConfigDict, model: PoseLifter, stated: set[str], path: Path
) -> tuple[dict[str, str | bool], list[str]]:
    """Return the fields of `config.model` that name a network's joints, and lines about what was assumed.

    Args:
      config: `config.model`.
      model: the network.
      stated: names of the fields of it that the user stated.
      path: of the checkpoint, for messages.

    Raises:
      DataError: if a stated set does not fit the network, or none is known.
    """
    keypoints, joints = model.input_shape[0], model.num_joints
    notes = []
    name = config.joints if "joints" in stated else _known(_JOINTS, joints, "joints", path)
    if "joints" not in stated and joints != 17:
        notes.append(f"its {joints} joints are taken for {name} (--config.model.joints)")
    seen = config.input_joints if "input_joints" in stated else ""
    if not seen and keypoints != joints:
        seen = _known(_KEYPOINTS, keypoints, "input_joints", path)
        notes.append(f"its {keypoints} keypoints are taken for {seen} (--config.model.input_joints)")
    elif not seen and model.connectivity[0] == "fully_connected":
        notes.append(
            f"its keypoints are taken for the joints of the output (else --config.model.input_joints={_KEYPOINTS[17]})"
        )
    fields: dict[str, str | bool] = {"joints": name, "input_joints": seen, "confidences": model.confidences}
    found = joint_sets.of(ConfigDict(fields))
    for field, skeleton, count in zip(("joints", "input_joints"), found, (joints, keypoints), strict=True):
        _check(field, skeleton, count, path)
    return fields, notes


def stated_keypoints(config: ConfigDict, stated: set[str]) -> int | None:
    """Return the number of keypoints that a user stated with `config.model.input_joints`, or None."""
    return joint_sets.of(config)[1].num_joints if "input_joints" in stated and config.input_joints else None


def _known(names: dict[int, str], count: int, field: str, path: Path) -> str:
    if count not in names:
        what = "joints in its output" if field == "joints" else "keypoints"
        raise DataError(f"{path}: found {count} {what}, of no built-in set, expected --config.model.{field}=FILE.toml")
    return names[count]


def _check(field: str, skeleton: Skeleton, count: int, path: Path) -> None:
    """Refuse a set of another size, or one whose order in files, which is the network's, is not that of our arrays."""
    if skeleton.num_joints != count:
        raise DataError(
            f"{path}: the network has {count} joints for config.model.{field}, expected {skeleton.num_joints}: {skeleton.name}"
        )
    if skeleton.file_order != tuple(range(count)):
        raise DataError(
            f"{path}: config.model.{field}: found {skeleton.name}, expected a joint set whose root is its first joint"
        )
