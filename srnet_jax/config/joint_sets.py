"""Read and parse joint sets: the name of a built-in set, or a custom set.

A user declares a custom set in a TOML file; the config stores its content as JSON, so that a run does not need the file:

    left = ["LHip", "LKnee"]            # joints on the person's left side
    right = ["RHip", "RKnee"]           # their mirror images, in the same order
    [joints]                            # joint = parent, in the order of the arrays in files; the root's parent is ""
    Hip = ""
    LHip = "Hip"
    LKnee = "LHip"
    RHip = "Hip"
    RKnee = "RHip"
    [groups]                            # body parts of the split networks; each joint is in one of them
    left_leg = ["LHip", "LKnee"]
    right_leg = ["Hip", "RHip", "RKnee"]

Joints may have any names. A joint with a name of `skeleton.BUILT_IN` is recognised: when keypoints are matched, and for the
subsets of an evaluation.
"""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.errors import ConfigError, DataError, one_line
from srnet_jax.io.files import plain, size_of
from srnet_jax.io.text import described, read_toml
from srnet_jax.pose.skeleton import BUILT_IN, ROOT, Skeleton, make_skeleton

MOST_JOINTS = 1000
EXPECTED = f"one of {', '.join(BUILT_IN)}, or a .toml file of a custom joint set"
_LARGEST = 2**20  # bytes of a TOML file
_PARTS = {"left": list, "right": list, "joints": dict, "groups": dict}


def read(path: str | Path) -> str:
    """Read a custom joint set from a TOML file.

    Returns:
      The set as JSON text, for `config.model.joints` or `config.model.input_joints`.

    Raises:
      DataError: if the file is missing or damaged, or does not declare a joint set.
    """
    path, expected = Path(path), "a joint set in TOML"
    if (size := size_of(path, expected)) > _LARGEST:
        raise DataError(f"{path}: found {size:,} bytes, expected at most {_LARGEST:,} for {expected}")
    table = {"name": path.stem} | read_toml(path, expected)
    try:
        _declared(table)
    except ValueError as error:
        raise DataError(f"{path}: {one_line(error)}") from error
    return json.dumps(table, separators=(",", ":"))


def with_files_read(config: ConfigDict) -> ConfigDict:
    """Return a copy of a config in which each TOML file of a joint set is replaced by its content."""
    copy = config.copy_and_resolve_references()
    model = copy.get("model", {})
    for field in ("joints", "input_joints"):
        if isinstance(value := model.get(field), str) and value.endswith(".toml"):
            model[field] = read(plain(value))
    return copy


def parse(text: str) -> Skeleton:
    """Return the joint set that a config's text names or declares.

    Raises:
      ValueError: if the text does neither; the message says why.
    """
    if text in BUILT_IN:
        return BUILT_IN[text]
    if not text.startswith("{"):
        raise ValueError(f"found {one_line(repr(text), 100)}, expected {EXPECTED}")
    try:
        table = json.loads(text)
    except RecursionError as error:
        raise ValueError("found JSON that is nested too deeply, expected a joint set") from error
    return _declared(table)


def of(model: ConfigDict) -> tuple[Skeleton, Skeleton]:
    """Return the joint sets of `config.model`: its 3D joints (output) and its keypoints (input).

    Raises:
      ConfigError: if a field neither names nor declares a joint set.
    """
    found = []
    for field in ("joints", "input_joints"):
        try:
            found.append(parse(model[field] or model.joints))
        except ValueError as error:
            raise ConfigError(f"config.model.{field}: {one_line(error)}") from error
    return found[0], found[1]


def share_root(joints: Skeleton, inputs: Skeleton) -> bool:
    """Return whether the root of the 3D joints is also the root of the keypoints."""
    return joints.joints[ROOT] == inputs.joints[ROOT]


def _declared(table: dict[str, Any]) -> Skeleton:
    """Return the joint set that a table declares; the docstring of this module shows the table."""
    if odd := sorted(set(table) - set(_PARTS) - {"name"}):
        raise ValueError(f"found the key {odd[0]!r}, expected left, right, [joints] and [groups]")
    for part, kind in _PARTS.items():
        if not isinstance(table.get(part), kind):
            found = f"found {described(table[part])}" if part in table else "missing"
            raise ValueError(f"{part}: {found}, expected {_form_of(part)}")
    texts = [table.get("name"), *table["left"], *table["right"], *table["joints"], *table["joints"].values(), *table["groups"]]
    for members in table["groups"].values():
        if not isinstance(members, list):
            raise ValueError(f"groups: found {one_line(repr(members), 60)}, expected lists of joints")
        texts += members
    for text in texts:
        if not isinstance(text, str) or not text.isprintable() or len(text) > 100:
            raise ValueError(f"found {one_line(repr(text), 60)}, expected a printable name of at most 100 characters")
    if table["name"] in BUILT_IN or not table["name"] or "" in table["joints"]:
        name = table["name"] if "" not in table["joints"] else ""
        raise ValueError(f"found the name {name!r}, expected one that is not empty and not a built-in set's")
    if not 2 <= len(table["joints"]) <= MOST_JOINTS:
        raise ValueError(f"joints: found {len(table['joints'])}, expected 2 to {MOST_JOINTS:,}")
    return make_skeleton(**{"parents" if part == "joints" else part: value for part, value in table.items()})


def _form_of(part: str) -> str:
    return {"joints": "a table: joint = parent", "groups": "a table: group = list of joints"}.get(part, "a list of joints")
