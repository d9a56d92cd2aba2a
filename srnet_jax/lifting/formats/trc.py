"""Write joints as markers in a `.trc` file, for OpenSim and Pose2Sim.

Positions are in metres, x away from the camera, y up, z right, because OpenSim's models face along x. Frames have their numbers
in the video. A frame without a pose has `nan` in its fields, because OpenSim rejects a file in which a line ends with empty
fields.
"""

from pathlib import Path

import numpy as np

from srnet_jax.io.files import write_whole
from srnet_jax.lifting.formats.markers import NAMES
from srnet_jax.lifting.formats.motion import Motion

_HEAD = ("DataRate", "CameraRate", "NumFrames", "NumMarkers", "Units", "OrigDataRate", "OrigDataStartFrame", "OrigNumFrames")


def write(path: Path, motion: Motion) -> None:
    """Write a motion, whole or not at all."""
    count, rate = len(motion.points), f"{motion.fps:.10g}"
    values = (rate, rate, count, len(NAMES), "m", rate, motion.frames[0], count)
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "\t".join(_HEAD),
        "\t".join(map(str, values)),
        "Frame#\tTime\t" + "\t\t\t".join(NAMES) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{number}" for number in range(1, len(NAMES) + 1) for axis in "XYZ"),
        "",
    ]
    points = np.roll(motion.points, -1, axis=-1).reshape(count, -1)  # [T, 51]: x away, y up, z right
    for number, second, row in zip(motion.frames, motion.seconds, points, strict=True):
        lines.append(f"{number}\t{second:.6f}\t" + "\t".join(f"{value:.6f}" for value in row))
    write_whole(path, "\n".join(lines) + "\n")
