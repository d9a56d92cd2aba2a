"""Write joints as markers in a `.c3d` file, for programs of biomechanics; needs the package ezc3d.

Millimetres, as is usual there; x right, y away from the camera, z up. A frame without a pose has residual -1, which says that a
marker was not found; the others have 0, which says that it was computed.
"""

import tempfile
from pathlib import Path

import numpy as np

from srnet_jax.io.files import absolute, write_whole
from srnet_jax.lifting.formats.markers import NAMES
from srnet_jax.lifting.formats.motion import Motion

PACKAGE = "ezc3d"
_MILLIMETRES = 1000
MOST_FRAMES = 65_535  # which the header can count


def write(path: Path, motion: Motion, description: str) -> None:
    """Write a motion, whole or not at all; the description of its axes and origin is stored with each marker."""
    import ezc3d  # only where it is needed

    count = len(motion.points)
    points = np.full((4, len(NAMES), count), np.nan)
    points[:3] = motion.points.transpose(2, 1, 0) * _MILLIMETRES
    points[3] = 1
    points[:3, :, ~motion.known] = np.nan
    file = ezc3d.c3d()
    file["header"]["points"]["first_frame"] = int(motion.frames[0])
    file["parameters"]["POINT"]["RATE"]["value"] = [motion.fps]
    file["parameters"]["POINT"]["UNITS"]["value"] = ["mm"]
    file["parameters"]["POINT"]["LABELS"]["value"] = list(NAMES)
    file["parameters"]["POINT"]["DESCRIPTIONS"]["value"] = [description] * len(NAMES)
    file.add_parameter("POINT", "X_SCREEN", "+X")
    file.add_parameter("POINT", "Y_SCREEN", "+Z")
    file["data"]["points"] = points
    file["data"]["meta_points"]["residuals"] = np.where(motion.known, 0.0, -1.0)[None, None].repeat(len(NAMES), 1)
    with tempfile.TemporaryDirectory(dir=absolute(path).parent, prefix=".unfinished-") as folder:
        draft = Path(folder) / "motion.c3d"
        file.write(str(draft))
        write_whole(path, draft.read_bytes())
