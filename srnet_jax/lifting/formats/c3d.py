"""Write joints as markers in a `.c3d` file, for programs of biomechanics; needs the package ezc3d.

Millimetres, as is usual there; x right, y away from the camera, z up. A frame without a pose has residual -1, which says that a
marker was not found; the others have 0, which says that it was computed. The format counts frames from 1 to 65,535.
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
    """Refuse, with a UserError, more frames than the format counts."""
    if frames > _MOST_FRAMES:
        raise UserError(f"{path}: found {frames:,} frames, .c3d holds at most {_MOST_FRAMES:,}; expected another format")


def write(path: Path, motion: Motion, description: str) -> None:
    """Write a motion, whole or not at all; the description of its axes and origin is stored with each marker.

    Warns if the frames' numbers are too high for the format; it then begins at its first.

    Raises:
      UserError: for too many frames.
    """
    import ezc3d  # only where it is needed

    count, first = len(motion.points), round(float(motion.seconds[0]) * motion.fps)  # readers take first over rate as the time
    check_length(path, count)
    if first + count > _MOST_FRAMES:
        warnings.warn(f"{path}: numbers of frames above {_MOST_FRAMES:,} cannot be kept, it begins at frame 1", stacklevel=2)
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
