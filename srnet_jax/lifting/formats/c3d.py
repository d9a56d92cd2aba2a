"""Write joints as markers in a `.c3d` file, for biomechanics programs; this needs the package ezc3d.

Positions are in millimetres, x right, y away from the camera, z up. A frame without a pose has residual -1, which means that a
marker was not found. Other frames have residual 0, which means that the marker was computed. The format numbers frames from 1
to 65,535.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.io.files import absolute, write_whole
from srnet_jax.lifting.formats.markers import NAMES
from srnet_jax.lifting.formats.motion import Motion

_MILLIMETRES = 1000
_MOST_FRAMES = 65_535


def check_length(path: Path, frames: int) -> None:
    """Check the number of frames.

    Raises:
      UserError: if the format cannot number this many frames.
    """
    if frames > _MOST_FRAMES:
        raise UserError(f"{path}: found {frames:,} frames, expected at most {_MOST_FRAMES:,}, or another format than .c3d")


def write(path: Path, motion: Motion, description: str) -> None:
    """Write a motion, whole or not at all.

    If the numbers of the frames are too high for the format, the file begins at frame 1, with a warning.

    Args:
      path: of the `.c3d` file.
      motion: to write.
      description: of the axes and the origin; it is stored with each marker.

    Raises:
      UserError: if there are more than 65,535 frames.
    """
    import ezc3d  # an optional package

    count, first = len(motion.points), round(float(motion.seconds[0]) * motion.fps)  # readers compute the time as first / rate
    check_length(path, count)
    if first + count > _MOST_FRAMES:
        warnings.warn(
            f"{path}: found frame numbers above {_MOST_FRAMES:,}, which .c3d cannot hold; the file begins at frame 1",
            stacklevel=2,
        )
        first = 0
    points = np.full((4, len(NAMES), count), np.nan)
    points[:3] = motion.points.transpose(2, 1, 0) * _MILLIMETRES
    points[3] = 1
    points[:3, :, ~motion.known] = np.nan
    file = ezc3d.c3d()
    file["header"]["points"]["first_frame"] = first
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
