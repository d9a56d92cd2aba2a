"""Read markers from `.c3d` files, the binary format of biomechanics, with the package ezc3d.

A damaged file can crash that library, so it is called in a sandbox process (`io.sandbox`).
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.mocap import trc
from srnet_jax.data.mocap.bvh import Motion, check_size
from srnet_jax.errors import DataError, UserError
from srnet_jax.io import sandbox
from srnet_jax.io.files import size_of
from srnet_jax.io.text import shown

_BLOCK = 512  # bytes of the header, and of each block of parameters
_KEY = 0x50  # second byte of every C3D file


def read(path: str | Path) -> Motion:
    """Read the markers of a `.c3d` file.

    Returns:
      The markers as joints without parents, NaN where a marker was not seen, and the file's unit.

    Raises:
      DataError: if the file is missing or damaged, or has no markers.
      UserError: if ezc3d is not installed.
    """
    path = Path(path)
    if size_of(path, "a C3D file") < _BLOCK or path.read_bytes()[1] != _KEY:
        raise DataError(f"{path}: found another kind of file, expected a C3D file")
    if not importlib.util.find_spec("ezc3d"):
        raise UserError(f"{path}: needs ezc3d, which is not installed, expected `pip install -e .[c3d]`")
    found = sandbox.read(read_markers, path)
    names, unit = (found[key].tobytes().decode(errors="replace") for key in ("names", "unit"))
    positions, fps = found["positions"], float(found["fps"])
    labels = names.split("\n") if names else []
    if not 0.1 <= fps <= 1e4:
        raise DataError(f"{path}: found a rate of {fps:g}, expected 0.1 to 10,000 frames a second")
    if unit.strip().lower() not in trc.UNITS:
        raise DataError(f"{path}: found the unit {shown(unit)}, expected {trc.EXPECTED_UNIT}")
    if not positions.size or len(labels) < positions.shape[1]:
        raise DataError(
            f"{path}: found {positions.shape[1]} markers with {len(labels)} names in {len(positions)} frames, "
            "expected one or more markers, with names, and frames"
        )
    check_size(*positions.shape[:2], path)
    first = {name: index for index, name in reversed(list(enumerate(labels[: positions.shape[1]]))) if name}
    columns = sorted(first.values())
    return Motion(
        tuple(labels[index] for index in columns),
        (-1,) * len(columns),
        fps,
        trc.mask_unseen(positions[:, columns]),
        unit_m=trc.UNITS[unit.strip().lower()],
    )


# The functions below run in a sandbox process.


def read_markers(path: Path) -> dict[str, np.ndarray]:
    """Read `positions` [T, J, 3] in the file's unit (NaN where unseen), `fps`, and `names` and `unit` as bytes of text.

    Raises:
      DataError: if the file is damaged.
    """
    import ezc3d

    try:
        file = ezc3d.c3d(str(path))
        point = file["parameters"]["POINT"]
        labels = [str(name) for key in sorted(point) if key.startswith("LABELS") for name in point[key]["value"]]
        unit = "".join(map(str, point["UNITS"]["value"][:1])) if "UNITS" in point else "mm"
        positions = np.array(file["data"]["points"][:3], np.float64).transpose(2, 1, 0)  # [T, J, 3]
        unseen = np.asarray(file["data"]["meta_points"]["residuals"])[0].T < 0  # [T, J]
        fps = float(file["header"]["points"]["frame_rate"])
    except (OSError, RuntimeError, ValueError, LookupError, TypeError, ArithmeticError) as error:
        raise DataError(f"damaged, expected a C3D file ({type(error).__name__})") from error
    if unseen.shape == positions.shape[:2]:
        positions[unseen] = np.nan
    return {"positions": positions, "fps": np.array(fps), **_texts(names="\n".join(labels), unit=unit)}


def _texts(**texts: Any) -> dict[str, np.ndarray]:
    return {key: np.frombuffer(text.encode(errors="replace"), np.uint8) for key, text in texts.items()}
