"""Draft a mapping file for motions whose skeleton is not known."""

import json
from collections.abc import Mapping
from pathlib import Path

from srnet_jax.data.mocap import motion_files, recognise
from srnet_jax.pose.skeleton import H36M_17

_LINE = 120


def mapping(source: Path) -> str:
    """Return the text of a draft mapping file for the first motion file of a source.

    Joints that the nearest known skeleton gives are filled in. The user must add the others; a comment lists the file's joints.

    Args:
      source: folder, or one motion file.

    Raises:
      DataError: if there is no motion file, or the first is damaged.
    """
    file = motion_files.find(source)[0]
    motion = motion_files.read(file, source.parent.iterdir() if source.is_file() else source.rglob("*"))
    name, joints = recognise.nearest(motion, recognise.layouts(None), file)
    lines = [f"# A draft for {json.dumps(str(file))}, after the skeleton {json.dumps(name)}.", "# Its joints:"]
    line = "#"
    for joint in map(json.dumps, motion.joints):
        if len(line) + len(joint) > _LINE:
            lines.append(line)
            line = "#"
        line += f" {joint}"
    lines += [line, "# unit = 0.01  # metres; without it the person's height decides", '# up = "y"', "[joints]"]
    return "\n".join([*lines, *(_joint(joint, joints.get(joint)) for joint in H36M_17.joints)]) + "\n"


def _joint(joint: str, weights: Mapping[str, float] | None) -> str:
    if weights is None:
        return f'# {joint} = ""  # not found, to be filled in'
    if not weights:
        return f"{joint} = {{}}  # in line with the neck"
    names = list(weights)
    if len(names) == 1:
        return f"{joint} = {json.dumps(names[0])}"
    if len(set(weights.values())) == 1:
        return f"{joint} = {json.dumps(names)}"
    return f"{joint} = {{ {', '.join(f'{json.dumps(name)} = {weight:.6g}' for name, weight in weights.items())} }}"
