"""Convert the joints of one person from any form in which detectors write them in JSON to an array, and mark missing joints.

The forms are:

    [x, y, c, x, y, c, ...]                  flat; also x, y or x, y, z, c, if only these give the joints of a known detector
    [[x, y], ...]  [[x, y, c], ...]          one row for each joint; four numbers are x, y, z, confidence
    [[0, x, y], [1, x, y], ...]              rows that begin with the joint's number
    [{"x":, "y":, "visibility":}, ...]       one object for each joint
    {"x": [...], "y": [...], "visible":}     an object of lists
    {"nose": {"x":, "y":}, "left_eye": ...}  joints by name, as objects or rows

Numbers may be text. A joint is missing if it is None, NaN or exactly (0, 0), has a coordinate of -1 or twice the same negative
one, such as -999, or a confidence of 0 or less. Missing joints become NaN.
"""

import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.text import described
from srnet_jax.keypoints.formats import NUMBERS
from srnet_jax.pose import layouts

# Names of columns and keys, as `letters` returns them; the first one that is found is used.
CONFIDENCES = (
    *("conf", "confidence", "c", "likelihood", "p", "prob", "probability", "s", "score", "visibility", "visible", "vis", "v"),
    *("certainty", "scores", "confs", "acc", "accuracy"),
    "presence",  # MediaPipe's probability of being in the image; 0 if not computed
)
JOINT_KEYS = (
    *(
        f"{noun}{kind}"
        for noun in ("joint", "keypoint", "landmark", "kpt", "kp", "point")
        for kind in ("name", "label", "", "id", "index", "idx", "number")
    ),
    *("bodypart", "name", "part", "label", "type", "index", "idx", "id"),
)
MAX_JOINTS = 1000
NOISE = ("pose", "landmark", "keypoint", "kp", "kpt", "joint", "point", "person", "body", "p", "pos", "pixel")  # in names
_NO_CONFIDENCE = math.inf  # in place of a confidence; JSON contains no infinity
_TEXT = re.compile(
    r"[ \t\r\n]*([-+]?[0-9]{1,100}(\.[0-9]{0,100})?(e[-+]?[0-9]{1,2})?|nan)[ \t\r\n]*", re.IGNORECASE
)  # a number as text
_DEEP = 2.0  # range of third coordinates above which they are not fractions of the image size


class Points(NamedTuple):
    """The joints of one person.

    Attributes:
      values: [J, 3] float64 x, y, confidence; missing joints are not marked yet.
      names: names of the joints; None if the form has none.
      has_depth: whether there is a third coordinate, in pixels or millimetres, but no confidence.
    """

    values: np.ndarray
    names: tuple[str, ...] | None
    has_depth: bool


class FlatPoints3DError(DataError):
    """The points are in 3D, where a detector's 2D keypoints were expected."""


def as_points(value: Any, scores: Any, where: str) -> Points:
    """Convert a person's joints to an array.

    Args:
      value: the joints, in one of the forms that this module's docstring lists.
      scores: a separate list of confidences, or None.
      where: begins messages.

    Returns:
      The joints as an array, with their names.

    Raises:
      DataError: if the joints are in none of these forms.
      FlatPoints3DError: if the points are in 3D.
    """
    names: tuple[str, ...] | None = None
    if isinstance(value, dict) and isinstance(value.get("x"), list):
        rows = _columns(value, where)
    elif isinstance(value, dict) and (joints := _of_joints(value)):
        names = tuple(joints)
        rows = [_row(point, f"{where}: {one_line(name, 60)}") for name, point in joints.items()]
    elif isinstance(value, list) and value and all(point is None or isinstance(point, list | dict) for point in value):
        rows = [_row(point, where) for point in value]
        names = _own_names(value)
    elif isinstance(value, list) and value:
        rows = _flat(value, scores, where)
    else:
        raise DataError(f"{where}: found {described(value)}, expected x, y and confidence of each joint")
    widths = {len(row) for row in rows if row} or {2}
    if len(widths) > 1 or not widths <= {2, 3, 4}:
        raise DataError(f"{where}: found joints of {' and '.join(map(str, sorted(widths)))} numbers, expected x, y, confidence")
    (width,) = widths
    if len(rows) > MAX_JOINTS:
        raise DataError(f"{where}: found {len(rows)} joints, expected at most {MAX_JOINTS}")
    array = np.array([row or [math.nan] * width for row in rows], np.float64)  # [J, 2 to 4]
    if width > 2 and len(array) > 1 and np.array_equal(array[:, 0], np.arange(len(array))):  # the joints' numbers
        array, width = array[:, 1:], width - 1
    made = np.ones((len(rows), 3))
    made[:, :2] = array[:, :2]
    has_confidences = width > 2 and bool((array[:, -1] != _NO_CONFIDENCE).any())
    of_people = has_confidences and isinstance(scores, list) and len(scores) != len(rows)  # scores of people, not joints
    if scores is not None and not of_people:
        third = array[:, -1]
        is_flag = np.isin(third, (0, 1, 2)).all()  # COCO's visibility
        is_far = ((third < 0) | (third > 1)).any() and not is_flag
        if has_confidences and (is_far or not (np.abs(array[:, :2]) > _DEEP).any()):
            raise FlatPoints3DError(f"{where}: found points in 3D, expected a detector's 2D keypoints")
        scores = [score[0] if isinstance(score, list) and len(score) == 1 else score for score in scores]
        scores = [int(score) if isinstance(score, bool) else score for score in scores]
        sure = np.array([_number(score, where) for score in scores]) if isinstance(scores, list) else np.empty(0)
        if len(sure) != len(rows):
            raise DataError(f"{where}: found {len(sure)} confidences, expected one for each of {len(rows)} joints")
        made[:, 2] = sure
    elif has_confidences:
        made[:, 2] = np.where(array[:, -1] == _NO_CONFIDENCE, 1, array[:, -1])
    return Points(made, names, width == 4 and not has_confidences and scores is None and is_depth(array[:, 2]))


def is_depth(z: np.ndarray) -> bool:
    """Return whether third coordinates vary like pixels or millimetres; MediaPipe's, fractions of the image size, do not."""
    z = z[np.isfinite(z)]
    return len(z) > 1 and bool(np.ptp(z) > _DEEP)


def _of_joints(value: dict[str, Any]) -> dict[str, Any]:
    """Return the joints in an object, without other entries such as a frame number."""
    return {name: point for name, point in value.items() if point is None or isinstance(point, list | dict)}


def _own_names(points: list[Any]) -> tuple[str, ...] | None:
    """Return the names or numbers of joints that are objects, from the first key with distinct values; None without one."""
    if not all(isinstance(point, dict) for point in points):
        return None
    keys = {letters(key): key for key in points[0]}
    for key in JOINT_KEYS:
        if key in keys:
            found = [point.get(keys[key]) for point in points]
            if all(isinstance(name, str) or (type(name) is int and name >= 0) for name in found):
                names = tuple(map(str, found))
                if len(set(names)) == len(names):
                    return names
    return None


def is_joints(value: Any) -> bool:
    """Return whether a value is the joints of one person, and not of several people or frames."""
    items = list(_of_joints(value).values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    first = next((item for item in items if item), None)
    if isinstance(first, dict):
        long = any(isinstance(item, list) and len(item) > 4 for item in first.values())  # a person's joints beside a box
        return ({"x", "y"} <= {str(key).lower() for key in first} or "position" in first) and not long
    if isinstance(value, dict) and isinstance(value.get("x"), list):
        return True
    if isinstance(first, list):
        return len(first) <= 4 and not isinstance(first[0], list | dict)
    is_text = isinstance(first, str) and _TEXT.fullmatch(first)
    return isinstance(value, list) and (isinstance(first, int | float) or bool(is_text))


def is_missing(values: np.ndarray) -> np.ndarray:
    """Return whether the coordinates of joints [..., 2 or 3], as a file has them, mean that a joint is missing, [...]."""
    x, y = values[..., 0], values[..., 1]
    return ~np.isfinite(x) | ~np.isfinite(y) | ((x == y) & (x <= 0)) | (x == -1) | (y == -1)


def mark_missing(values: np.ndarray, min_confidence: float) -> np.ndarray:
    """Mark missing joints of joints [..., 3] as NaN with a confidence of 0, and clip confidences to 0 to 1."""
    with np.errstate(invalid="ignore", over="ignore"):
        confidence = values[..., 2]
        missing = (
            is_missing(values) | ~(confidence.astype(np.float32) > 0) | (confidence < min_confidence)
        )  # float32, as in a track
    clipped = np.concatenate([values[..., :2], confidence[..., None].clip(0, 1)], axis=-1)
    return np.where(missing[..., None], [math.nan, math.nan, 0.0], clipped)


def letters(name: str) -> str:
    """Return only the letters of a column name or key, in lower case."""
    return re.sub(r"[^a-z]+", "", name.lower())


def joint_name(text: str) -> str | None:
    """Translate a joint name of a file to the layouts' vocabulary; None if it is not a known joint."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", text.strip()[:100]).lower()
    name = re.sub(r"^([lr])(?=(shoulder|elbow|wrist|hip|knee|ankle|foot|eye|ear|heel|big|small)_?(toe)?$)", r"\1_", name)
    words = [word for word in re.split(r"[^a-z]+", name) if word]
    side = next((full for word in words for full in ("left", "right") if word in (full, full[0])), "")
    rest = "_".join(word for word in words if word not in ("left", "right", "l", "r", *NOISE))
    rest = SYNONYMS.get(rest, rest) if side or rest != "hip" else "pelvis"
    rest = rest if re.search("[0-9]", text) else SEGMENTS.get(rest, rest)  # hand_3 is a finger's
    found = f"{side}_{rest}" if side else rest
    return found if found in layouts.VOCABULARY else None


def joint_names(names: Sequence[str]) -> list[str | None]:
    """Translate all joint names of a file to the layouts' vocabulary.

    If a file has both a thorax and a neck, the neck is the base of the skull; a foot in addition to an ankle is no known joint,
    nor is a hand in addition to a wrist, or a leg in addition to a knee.
    """
    found = [joint_name(name) for name in names]
    for index, joint in enumerate(found):
        if joint is not None and found.count(joint) > 1:
            word = letters(names[index])
            if "neck" in word and joint == "thorax":
                found[index] = "skull_base" if "skull_base" not in found else None
            elif re.search("foot|hand|leg|forearm", word) and joint != "thorax":
                found[index] = None
    return found


SEGMENTS = {  # joints named by the segments that begin at them, as in Apple's Vision and in motion capture
    **{"forearm": "elbow", "fore_arm": "elbow", "hand": "wrist", "upleg": "hip", "up_leg": "hip", "leg": "knee"},
}
SYNONYMS = {
    "neck": "thorax",
    "upper_neck": "skull_base",
    "foot": "ankle",
    "mid_hip": "pelvis",
    "midhip": "pelvis",
    "hip_center": "pelvis",
    "root": "pelvis",
    "head_bottom": "skull_base",
    "bigtoe": "big_toe",
    "smalltoe": "small_toe",
    "pinky_finger": "pinky",
    "index_finger": "index",
    "headtop": "head_top",
    "top_head": "head_top",
}


def _flat(value: list[Any], scores: Any, where: str) -> list[list[float]]:
    """Split a flat list into joints of 3 numbers, or of 4 or 2 if these give a known number of joints, and 3 no confidences."""
    numbers = [_number(item, where) for item in value]
    sizes = [size for size in (3, 4, 2) if len(value) % size == 0 and len(value) // size in NUMBERS]
    if len(value) % 3 == 0 and all(0 <= sure <= _DEEP or math.isnan(sure) for sure in numbers[2::3]):
        sizes = [3]
    size = 2 if isinstance(scores, list) and len(value) == 2 * len(scores) else next(iter(sizes), 3)
    if len(value) % size:
        raise DataError(f"{where}: found {len(value)} numbers, expected x, y and confidence of each joint")
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _columns(value: dict[str, Any], where: str) -> list[list[float]]:
    sure = next((value[name] for name in CONFIDENCES if isinstance(value.get(name), list)), None)
    columns: list[Sequence[Any]] = [
        value["x"],
        found if isinstance(found := value.get("y"), list) else [],
        *([sure] if sure is not None else []),
    ]
    if len({len(column) for column in columns}) > 1:
        raise DataError(f"{where}: found x, y and confidences of different lengths, expected one for each joint")
    return [[_number(item, where) for item in row] for row in zip(*columns, strict=True)]


def _row(point: Any, where: str) -> list[float]:
    """Convert a joint to x, y and further numbers; an object to x, y, z, confidence; a missing joint to nothing."""
    if point is None or point == []:
        return []
    if isinstance(point, dict):
        place = point.get("position")
        lower = {str(key).lower(): item for key, item in (point | (place if isinstance(place, dict) else {})).items()}
        confidences = [lower[name] for name in CONFIDENCES if name in lower]
        sure = next((item for item in confidences if item is not None), None if confidences else _NO_CONFIDENCE)
        return [_number(item, where) for item in (lower.get("x"), lower.get("y"), lower.get("z"), sure)]
    if not isinstance(point, list):
        raise DataError(f"{where}: found {described(point)}, expected x, y and confidence of each joint")
    return [_number(item, where) for item in point]


def _number(value: Any, where: str) -> float:
    """Convert a JSON value to a number; NaN for None."""
    if value is None:
        return math.nan
    if isinstance(value, str) and _TEXT.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"{where}: found {described(value)}, expected a number")
    try:
        return float(value)
    except OverflowError:
        raise DataError(f"{where}: found a number of hundreds of digits, expected pixels") from None
