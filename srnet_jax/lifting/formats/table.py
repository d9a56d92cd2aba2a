"""Write joints, or joint angles, as a `.csv` table.

The first line names the columns: `frame` (its number in the video), `time` (seconds), and then `Hip_x`, `Hip_y`, `Hip_z`,
`RHip_x`, ... in metres, x right, y away from the camera, z up; or the angles of `pose.angles`, degrees. Unknown numbers are
empty.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.io.files import write_whole
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.pose import angles
from srnet_jax.pose.skeleton import H36M_17


def write(path: Path, motion: Motion) -> None:
    """Write the joints of a motion, whole or not at all."""
    names = [f"{joint}_{axis}" for joint in H36M_17.joints for axis in "xyz"]
    _write(path, motion, names, motion.points.reshape(len(motion.points), -1), digits=6)


def write_angles(path: Path, motion: Motion) -> None:
    """Write the joint angles of a motion, whole or not at all."""
    _write(path, motion, angles.NAMES, angles.joint_angles(motion.points, level=motion.level), digits=4)


def _write(path: Path, motion: Motion, names: Sequence[str], values: np.ndarray, digits: int) -> None:
    lines = [",".join(("frame", "time", *names))]
    for number, second, row in zip(motion.frames, motion.seconds, values, strict=True):
        fields = ",".join("" if np.isnan(value) else f"{value:.{digits}f}" for value in row)
        lines.append(f"{number},{second:.6f},{fields}")
    write_whole(path, "\n".join(lines) + "\n")
