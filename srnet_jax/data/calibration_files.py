"""Read camera calibrations from the files of Pose2Sim, Anipose, FreeMoCap, Caliscope and Qualisys.

- `.toml` of Pose2Sim, Anipose, FreeMoCap or Caliscope: one table for each camera, with `size` (width, height), `matrix`
  (3 x 3), `distortions` (OpenCV's k1, k2, p1, p2 and optionally k3), `rotation` (Rodrigues vector or 3 x 3, world to camera),
  `translation` and optionally `name`. Tables without any of the first three are passed over, and so are cameras with
  `ignore = true`. Cameras without a place (`rotation` and `translation` missing or "null") are left out with a warning. The
  cameras may be in a table `cameras`. The unit is metres. It is taken to be millimetres if two cameras are more than 100 units
  apart, or a single camera is more than 100 units from the origin. Fisheye cameras are rejected, and so are distortions after
  k3 that are not zero. Vectors may be rows or columns, as OpenCV returns them.
- `.qca.txt` of Qualisys: XML with one element `camera` for each camera. It has `fov_video` (the image), `transform` (position
  in millimetres; the rows of r11 to r33 are the camera's axes, x right, y up, z backward) and `intrinsic` (in 1/64 pixels;
  distortion without unit). Cameras with a rotated view are rejected.
"""

import dataclasses
import math
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError, naming, one_line
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.text import described, in_utf_8, listed, read_toml, shown
from srnet_jax.pose.multiview import CalibratedCamera

_LARGEST = 16 * 1024**2  # bytes of a file
_MOST = 100  # cameras in a file
_FARTHEST = 100.0  # units between two cameras; beyond, the unit is taken to be millimetres
_FAR_MM = 1000.0  # units between two cameras; up to there, centimetres are possible, too
_ROUNDING = 1e-2  # allowed error of the elements of a rotation matrix
_FARTHEST_PX = 1e6  # of image sizes, focal lengths and centres
_LONGER = ((8,), (12,), (14,))  # OpenCV's distortions of further models
_EXPECTED = "a calibration of cameras"
_FORMATS = "a .toml file of Pose2Sim, Anipose, FreeMoCap or Caliscope, or a .qca.txt file of Qualisys"
_OF_CAMERAS, _PLACE = (
    {"size", "matrix", "distortions"},
    ("rotation", "translation"),
)  # a table with a field of the first is a camera
_LEAST_FOCAL = 0.05  # smallest focal length in pixels, relative to the image's longer side
_LAST_ROW, _SKEW = 1e-6, 0.01  # allowed errors of a camera matrix, and its largest skew, relative to the focal length
_MOST_TURNED = 7.0  # length of a rotation vector, radians: a full turn and some rounding
_OFF_CENTRE, _NEAR_CENTRE = 0.2, 0.1  # distance of the centre from the image's middle, relative to the image: odd, usual
_DISTORTION = ("radialDistortion1", "radialDistortion2", "tangentalDistortion1", "tangentalDistortion2", "radialDistortion3")


def load(path: str | Path) -> tuple[CalibratedCamera, ...]:
    """Read two or more cameras from a calibration file, sorted by name.

    Args:
      path: the file. A name that ends in `.toml` is read as TOML, any other as Qualisys' XML.

    Returns:
      The cameras in the natural order of their names (cam2 before cam10). World axes are those of the file.

    Raises:
      DataError: if the file is missing or damaged, or describes fewer than two cameras or one of an unsupported kind.
    """
    return tuple(sorted(read(path, fewest=2), key=lambda camera: natural_order(camera.name)))


def read(path: str | Path, *, fewest: int = 1) -> tuple[CalibratedCamera, ...]:
    """Read the cameras of a calibration file, in the file's order.

    Args:
      path: the file, as in `load`.
      fewest: minimum number of cameras.

    Raises:
      DataError: if the file is missing or damaged, or describes fewer cameras or one of an unsupported kind.
    """
    path = Path(path)
    if (size := size_of(path, _EXPECTED)) > _LARGEST:
        raise DataError(f"{path}: found {size:,} bytes, expected {_EXPECTED} of at most {_LARGEST:,}")
    with naming(path):
        cameras = tuple((_from_toml if path.suffix.lower() == ".toml" else _from_qualisys)(path))
        names = [camera.name for camera in cameras]
        if not names:
            raise DataError(f"found no camera, expected {_FORMATS}")
        if not fewest <= len(names) <= _MOST or len(set(names)) < len(names):
            named = f"found {len(names)} cameras, named {listed(names)}"
            raise DataError(f"{named}; expected {fewest} to {_MOST} with different names")
    return cameras


def natural_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key that compares the numbers in names by value: cam2 comes before cam10."""
    parts = re.findall(r"\d{1,18}|\D+", name)
    return tuple((0, int(part), part) if part.isdecimal() else (1, 0, part.lower()) for part in parts)


def _from_toml(path: Path) -> Iterable[CalibratedCamera]:
    tables = _camera_tables(read_toml(path, _EXPECTED))
    unplaced = [name for name, table in tables.items() if all(table.get(field, "null") == "null" for field in _PLACE)]
    if 0 < len(unplaced) < len(tables):
        warnings.warn(f"{path}: found no place of {listed(unplaced)} (rotation, translation), left out", stacklevel=4)
        tables = {name: table for name, table in tables.items() if name not in unplaced}
    made = [_from_table(name, table) for name, table in tables.items()]
    for camera in made:
        _warn_of_exchanged(camera, path)
    places = np.array([camera.position for camera in made]).reshape(-1, 3)
    apart = places[:, None] - (places if len(made) > 1 else np.zeros(3))  # a single camera: from the world's origin
    farthest = float(np.linalg.norm(apart, axis=-1).max(initial=0))
    if farthest <= _FARTHEST:
        return made
    if len(made) > 1 and farthest < _FAR_MM:
        warnings.warn(
            f"{path}: found cameras up to {farthest:.0f} units apart, taken as millimetres: {farthest / 1000:.2f} m; if these "
            "are centimetres, divide the translations by 100",
            stacklevel=4,
        )
    return [dataclasses.replace(camera, translation=camera.translation / 1000) for camera in made]


def _camera_tables(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tables of the cameras of a TOML file, of at most `_MOST`."""
    tables = {name: table for name, table in content.items() if isinstance(table, dict) and name.lower() != "metadata"}
    nested = tables.get("cameras", {})
    if any(isinstance(value, dict) for value in nested.values()):
        tables = {name: table for name, table in nested.items() if isinstance(table, dict)}
    cameras = {name: table for name, table in tables.items() if _OF_CAMERAS.intersection(table)}
    used = {name: table for name, table in cameras.items() if table.get("ignore") is not True}
    if cameras and not used:
        raise DataError(f"found {len(cameras)} cameras, all with ignore = true, expected one that is used")
    if len(used) > _MOST:
        raise DataError(f"found {len(used):,} cameras, expected at most {_MOST}")
    return used


def _warn_of_exchanged(camera: CalibratedCamera, path: Path) -> None:
    """Warn if the centre is far from the middle of the image, but near it with width and height exchanged."""
    off, exchanged = (
        np.abs(np.array(camera.center) / size - 0.5).max() for size in (camera.image_size, camera.image_size[::-1])
    )
    if off > _OFF_CENTRE and exchanged < _NEAR_CENTRE:
        (width, height), (x, y) = camera.image_size, camera.center
        warnings.warn(
            f"{path}: camera {camera.name}: found the centre {x:g}, {y:g} in an image of {width} x {height}, expected it near "
            "the middle: are width and height exchanged?",
            stacklevel=5,
        )


def _from_table(key: str, table: dict[str, Any]) -> CalibratedCamera:
    from scipy.spatial.transform import Rotation

    where = f"camera {one_line(key, 60)}"
    if table.get("fisheye", False) is not False:
        found = described(table["fisheye"])
        raise DataError(f"{where}: fisheye: found {found}, expected false: fisheye lenses are not supported")
    matrix = _array(table, "matrix", ((3, 3),), where)
    distortion = _array(table, "distortions", ((4,), (5,)), where)
    turn = _array(table, "rotation", ((3,), (3, 3)), where)
    if turn.ndim == 1 and math.hypot(*turn) > _MOST_TURNED:
        raise DataError(f"{where}: rotation: found a vector of length {math.hypot(*turn):.4g}, expected radians")
    focal = max(abs(matrix[0, 0]), 1.0)
    errors = np.abs([*matrix[2] - [0, 0, 1], matrix[1, 0] / focal])
    if errors.max() > _LAST_ROW or abs(matrix[0, 1]) > _SKEW * focal:
        raise DataError(f"{where}: matrix: found {one_line(table['matrix'], 80)}, expected fx, 0, cx; 0, fy, cy; 0, 0, 1")
    return _camera(
        str(table.get("name", key)),
        _array(table, "size", ((2,),), where),
        (matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]),
        np.append(distortion, 0)[:5],
        Rotation.from_rotvec(turn).as_matrix() if turn.ndim == 1 else turn,
        _array(table, "translation", ((3,),), where),
    )


def _array(table: dict[str, Any], key: str, shapes: tuple[tuple[int, ...], ...], where: str) -> np.ndarray:
    """Return a field of a table as an array of finite numbers that has one of the shapes."""
    expected = f"expected {' or '.join(' x '.join(map(str, shape)) for shape in shapes)} finite numbers"
    if key not in table:
        raise DataError(f"{where}: {key}: missing, {expected}")
    try:
        found = np.array(table[key])
        if found.ndim == 2 and 1 in found.shape:
            found = found.ravel()
        if key == "distortions" and found.shape in _LONGER and not found[5:].any():
            found = found[:5]
        fits = found.shape in shapes and found.dtype.kind in "if" and bool(np.isfinite(found).all())
    except ValueError:  # rows of different lengths
        fits = False
    if not fits:
        raise DataError(f"{where}: {key}: found {one_line(table[key], 80)}, {expected}")
    return found.astype(np.float64)


def _from_qualisys(path: Path) -> Iterable[CalibratedCamera]:
    data = in_utf_8(path.read_bytes())
    if b"<!" in data.replace(b"<!--", b""):
        raise DataError("found a document type or CDATA, expected plain XML of Qualisys")
    with reading(path, _FORMATS):
        root = ElementTree.fromstring(re.sub(rb"^\s*<\?xml[^>]*\?>", b"", data))  # it may name another encoding
    found = [
        one for one in root.iter("camera") if "none" in one.get("model", "none") or "video" in one.get("model", "").lower()
    ]
    return [_from_element(element) for element in found]


def _from_element(element: ElementTree.Element) -> CalibratedCamera:
    name = element.get("serial", "")
    where = f"camera {one_line(name, 60)}"
    if (turned := element.get("viewrotation", "0")) not in ("0", "0.0"):
        raise DataError(f"{where}: viewrotation: found {shown(turned)}, expected 0: rotated views are not supported")

    def number(tag: str, key: str, default: str | None = None) -> float:
        child = element.find(tag)
        text = default if child is None else child.get(key, default)
        try:
            value = float(text or "")
        except ValueError:
            value = np.nan
        if not np.isfinite(value):
            found = "missing" if text is None else f"found {shown(text)}"
            raise DataError(f"{where}: {tag} {key}: {found}, expected a finite number")
        return value

    left, right, top, bottom = (number("fov_video", key) for key in ("left", "right", "top", "bottom"))
    axes = np.array([[number("transform", f"r{row}{column}") for column in (1, 2, 3)] for row in (1, 2, 3)])
    rotation = np.diag([1.0, -1.0, -1.0]) @ axes
    position = np.array([number("transform", key) for key in "xyz"]) / 1000
    fx, fy, cx, cy = (number("intrinsic", key) / 64 for key in ("focalLengthU", "focalLengthV", "centerPointU", "centerPointV"))
    distortion = np.array([number("intrinsic", key, "0") for key in _DISTORTION])
    size = np.array([right - left + 1, bottom - top + 1])
    return _camera(name, size, (fx, fy, cx - left, cy - top), distortion, rotation, -rotation @ position)


def _camera(
    name: str,
    size: np.ndarray,
    intrinsic: tuple[float, float, float, float],
    distortion: np.ndarray,
    rotation: np.ndarray,
    translation: np.ndarray,
) -> CalibratedCamera:
    """Check the numbers of a camera and return it.

    Args:
      name: the camera's name.
      size: [2] width and height, pixels.
      intrinsic: fx, fy, cx, cy, pixels.
      distortion: [5] k1, k2, p1, p2, k3.
      rotation: [3, 3] world to camera; rounding errors are removed.
      translation: [3] world to camera, metres.

    Raises:
      DataError: if the name is empty, or a number is impossible for a camera.
    """
    where = f"camera {one_line(name, 60)}"
    if not name.strip() or not name.isprintable():
        raise DataError(f"{where}: found the name {shown(name)}, expected some printable characters")
    if not ((size >= 1) & (size <= _FARTHEST_PX) & (size == size.round())).all():
        raise DataError(f"{where}: found an image of {size[0]:g} x {size[1]:g}, expected whole numbers of pixels")
    if not all(0 < value < _FARTHEST_PX for value in intrinsic[:2]) or max(map(abs, intrinsic[2:])) > _FARTHEST_PX:
        raise DataError(
            f"{where}: found focal lengths {intrinsic[0]:g}, {intrinsic[1]:g} and centre {intrinsic[2]:g}, {intrinsic[3]:g}, "
            "expected pixels"
        )
    if min(intrinsic[:2]) < _LEAST_FOCAL * size.max():
        raise DataError(
            f"{where}: found focal lengths {intrinsic[0]:g}, {intrinsic[1]:g} for an image of {size[0]:g} x {size[1]:g}, "
            "expected pixels"
        )
    orthogonal = np.abs(rotation @ rotation.T - np.eye(3)).max() <= _ROUNDING  # False for NaN, from a huge rotation vector
    if not orthogonal or np.linalg.det(rotation) < 0:
        raise DataError(f"{where}: found axes that are not perpendicular, of length 1 and right-handed, expected a rotation")
    u, _, v = np.linalg.svd(rotation)
    k1, k2, p1, p2, k3 = map(float, distortion)
    width, height = map(int, size)
    fx, fy, cx, cy = map(float, intrinsic)
    return CalibratedCamera(name, (width, height), (fx, fy), (cx, cy), (k1, k2, p1, p2, k3), u @ v, translation)
