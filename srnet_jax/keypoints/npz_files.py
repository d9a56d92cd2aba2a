"""Read keypoints from NumPy files: VideoPose3D's `data_2d_custom_*.npz`, its Detectron2 script's output, and plain arrays.

A file is recognised by its arrays and their shapes, which may have frames, people, joints and coordinates in several orders.
"""

import dataclasses
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import reading
from srnet_jax.io.safe_load import load_npz, stored_dict
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import described, listed, numbers_of_shape
from srnet_jax.keypoints import formats
from srnet_jax.keypoints.joint_order import MIN_NAMES, counts_frames, in_layout
from srnet_jax.keypoints.keys import is_deep, with_known_keys
from srnet_jax.keypoints.people import (
    MAX_NORMALISED,
    MOVES_ON,
    TIME_UNITS,
    Detection,
    People,
    frame_rate,
    gather,
    image_size,
    in_order,
    in_seconds,
    layout_name,
    motion,
    video_name,
)
from srnet_jax.keypoints.points import FlatPoints3DError, joint_name, letters
from srnet_jax.pose import layouts

FORMATS = ("videopose3d", "detectron2", "reconstruction", "npz")
_MAX_PEOPLE, _MAX_JOINTS = 1000, 1000  # in a frame; a small file may repeat one array for all frames
_COCO_JOINTS = 17
_MAX_FRAMES = 1e15
_EXAMINED, _CROWD = 200, 20  # frames or people that are examined; largest number of people in one picture
_POINTS = (*formats.IN_2D, *formats.POINTS, "poses", "keypoint", *sorted(formats.LANDMARK_KEYS), "arr_0")
_CONFIDENCES = ("confidences", *formats.SCORES, "arr_1")
_FRAMES = ("frames", *formats.FRAME)
_NUMBER = re.compile("[0-9]+$")  # at the end of a name
STEMS = ("", "arr", "frame", "f", "img", "image", "keypoints", "kp", "pose", "person", "p", "player", "subject", "track", "id")
FREEMOCAP = (543, 553)  # numbers of landmarks of body, hands and face


def read(path: Path, keypoint_format: str | None, budget: Budget) -> tuple[str, Iterator[People]]:
    """Read an .npz file in any of `FORMATS`, one video after another.

    Args:
      path: of the file.
      keypoint_format: one of `FORMATS`; None to recognise it from the content.
      budget: limit on the memory for reading the file.

    Returns:
      The name of the format, and the people of each video.

    Raises:
      DataError: if the file is damaged or its content is not as expected.
    """
    arrays = _stacked(with_known_keys(load_npz(path)), path)
    name = keypoint_format or recognised(arrays, path)
    match name:
        case "videopose3d":
            return name, _videopose3d(arrays, path, budget)
        case "detectron2":
            return name, _detectron2(arrays, path, budget)
        case "reconstruction":
            return name, iter([_plain(_frames_first(arrays, path), path, budget)])
        case _:
            return name, iter([_plain(arrays, path, budget)])


def read_npy(path: Path, budget: Budget) -> People:
    """Read an .npy file with one array of keypoints.

    The array is [T, J, 2 to 4], [T, 2 or 3, J], [2 or 3, T, J], [J, T, 2 or 3], [J, 2 or 3] or [T, J*2 to J*4] for one person,
    [P, T, J, 2 or 3] for several, or has five axes of which others are 1. The first of two axes' columns may number the frames.

    Raises:
      DataError: if the file is damaged or has another array, such as 3D points.
    """
    with reading(path, "an .npy array of numbers"):
        array = np.array(np.load(path, mmap_mode="r", allow_pickle=False))  # mapped: a false header cannot allocate memory
    joints = {len(one.joints) for one in layouts.LAYOUTS.values()}
    frames = {}
    if array.ndim == 2 and array.dtype.kind in "fiu" and counts_frames(array[:, 0], array.shape[1]):
        frames, array = {"frames": array[:, 0]}, array[:, 1:]
    if array.ndim == 5 and array.dtype.kind in "fiu":
        array = _without_batches(array, path)
    if array.ndim == 2 and array.shape[1] in (2, 3) and len(array) in joints:  # one picture
        array = array[None]
    elif array.ndim == 2 and (size := next((n for n in (3, 4, 2) if array.shape[1] / n in joints), 0)):
        array = array.reshape(len(array), -1, size)
    elif array.ndim == 3 and array.shape[2] in joints:
        if array.shape[1] in (2, 3):  # [T, 2 or 3, J]
            array = np.swapaxes(array, 1, 2)
        elif array.shape[0] in (2, 3):  # [2 or 3, T, J]
            array = np.moveaxis(array, 0, 2)
    elif array.ndim == 3 and array.shape[2] in (2, 3) and array.shape[0] in joints and array.shape[1] not in formats.NUMBERS:
        array = np.swapaxes(array, 0, 1)  # [J, T, 2 or 3]
    if array.ndim > 2 and array.shape[-1] == 4:  # x, y, depth, confidence
        array = array[..., [0, 1, 3]]
    if array.ndim == 4 and array.shape[2] in FREEMOCAP and array.shape[3] == 3:  # the third number is MediaPipe's depth
        array = array[..., :2]
    return _plain(frames | {"keypoints": array}, path, budget)


def _without_batches(array: np.ndarray, path: Path) -> np.ndarray:
    """Remove the axes of length 1 of an array of five axes; MoveNet's, fractions y, x of the image size, become x, y."""
    points = array.reshape([size for size in array.shape if size != 1])
    known = np.abs(array[np.isfinite(array)])
    if array.shape[1:] == (1, 1, _COCO_JOINTS, 3) and known.size and np.median(known) <= MAX_NORMALISED:
        warnings.warn(f"{path}: found MoveNet's output, using it as y, x, confidence of each joint", stacklevel=2)
        return points[..., [1, 0, 2]]
    return points


def recognised(arrays: dict[str, np.ndarray], path: Path) -> str:
    """Recognise the format of a file from its keys.

    Raises:
      DataError: if it is none of `FORMATS`.
    """
    keys = {"positions_2d": "videopose3d", "segments": "detectron2", "reconstruction": "reconstruction"}
    for key, name in (keys | dict.fromkeys(_POINTS, "npz")).items():
        if key in arrays:
            return name
    if deep := [name for name in arrays if is_deep(name)]:
        raise DataError(f"{path}: found {deep[0]}, points in 3D already, expected a detector's 2D keypoints")
    if _only_points(arrays):
        return "npz"
    raise DataError(
        f"{path}: found the keys {listed(arrays)}, expected positions_2d, reconstruction, keypoints, or boxes, segments and "
        f"keypoints; {formats.nearest(arrays, (formats.FORMATS[name] for name in FORMATS))}"
    )


def _stacked(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Join arrays of one frame, or of one person, whose names differ only in a number, to `keypoints`: frame_0, frame_1.

    Raises:
      DataError: if such arrays have different numbers of people or frames.
    """
    groups: dict[str, list[str]] = {}
    for name, array in arrays.items():
        if array.ndim in (2, 3) and array.shape[-1] in (2, 3) and array.dtype.kind in "fiu" and (found := _NUMBER.search(name)):
            groups.setdefault(name[: found.start()], []).append(name)
    known = [name for name in _POINTS if name in arrays and not _NUMBER.search(name)]
    (stem, names), *_ = sorted(groups.items(), key=lambda group: -len(group[1])) or [("", [])]
    if known or len(names) < 2 or letters(stem) not in STEMS or (letters(stem) == "arr" and not _are_frames(arrays, names)):
        return arrays
    names.sort(key=lambda name: int(name[len(stem) :][-18:]))
    if len({arrays[name].shape for name in names}) > 1:
        shapes = " and ".join(str(shape) for shape in dict.fromkeys(arrays[name].shape for name in names[:2]))
        raise DataError(f"{path}: found {listed(names)} of shapes such as {shapes}, expected the same shape")
    numbers = np.array([int(name[len(stem) :][-15:]) for name in names])
    others = {name: array for name, array in arrays.items() if name not in names}
    return {"frames": numbers} | others | {"keypoints": np.stack([arrays[name] for name in names])}


def _are_frames(arrays: dict[str, np.ndarray], names: list[str]) -> bool:
    """Return whether arrays without own names may be a frame each, rather than keypoints and other arrays of a whole video."""
    shapes = [arrays[name].shape for name in names]
    few = all(len(shape) == 2 or (shape[0] <= _CROWD and len(shapes) > 2) for shape in shapes)
    return few and len({shape[-2:] for shape in shapes}) == 1


def _only_points(arrays: dict[str, np.ndarray]) -> str | None:
    """Return the name of the only array that may be keypoints; None if there are none or several."""
    found = [name for name, array in arrays.items() if array.ndim in (3, 4) and array.shape[-1] in (2, 3) and "/" not in name]
    return found[0] if len(found) == 1 else None


def _frames_first(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    """Turn `reconstruction` [P, T, J, 2 or 3] into `keypoints` [T, P, J, 2 or 3], and arrays of the same leading shape too."""
    points = arrays.get("reconstruction")
    if points is None:
        raise DataError(f"{path}: found no reconstruction, expected an array (1, frames, joints, 2 or 3)")
    alike = points.shape[:-1] if points.ndim == 4 else None
    turned = {name: np.swapaxes(array, 0, 1) if array.shape[:3] == alike else array for name, array in arrays.items()}
    return {name: array for name, array in turned.items() if name != "reconstruction"} | {"keypoints": turned["reconstruction"]}


def _videopose3d(arrays: dict[str, np.ndarray], path: Path, budget: Budget) -> Iterator[People]:
    """Read the people of each video from VideoPose3D's format.

    `positions_2d` is {video: {"custom": [keypoints [T, J, 2 or 3] of each person]}}. `metadata` contains `video_metadata`,
    which is {video: {"w": width, "h": height}} with an optional "fps", and optionally `layout_name`.

    Source: VideoPose3D's documentation of inference in the wild.
    """
    positions, metadata = (stored_dict(arrays, name, path) for name in ("positions_2d", "metadata"))
    sizes = metadata.get("video_metadata")
    if not isinstance(sizes, dict):
        raise DataError(f"{path}: metadata: found no video_metadata, expected the width and height of each video")
    if not positions:
        raise DataError(f"{path}: positions_2d: found no video, expected at least one")
    layout = layout_name(metadata.get("layout_name"), f"{path}: metadata")
    for name, recordings in positions.items():
        if not isinstance(name, str) or not name.isprintable() or len(name) > 200:
            raise DataError(f"{path}: positions_2d: found the video name {described(name)}, expected a file name")
        where = f"{path}: {name}"
        people = recordings.get("custom") if isinstance(recordings, dict) else None
        if not _is_sequence(people) or not len(people):
            raise DataError(f"{where}: found no action 'custom', expected one with the keypoints of each person")
        size = sizes.get(name)
        info = size if isinstance(size, dict) else {}
        values = [_rows(points, (3,), where, budget) for points in people]
        ragged = {points.shape[1] for points in values}
        if len(ragged) > 1:
            raise DataError(f"{where}: found people of {' and '.join(map(str, sorted(ragged)))} joints, expected equal numbers")
        yield People(
            where,
            video_name(name),
            np.concatenate([np.arange(len(points)) for points in values]),
            tuple(str(i) if len(values) > 1 else None for i, points in enumerate(values, 1) for _ in points),
            np.concatenate(values),
            prefix=f"{video_name(name)}_",
            layout=layout,
            image_size=image_size(info.get("w"), info.get("h"), f"{where}: video_metadata"),
            fps=frame_rate(info.get("fps"), f"{where}: video_metadata"),
        )


def _plain(arrays: dict[str, np.ndarray], path: Path, budget: Budget) -> People:
    """Read `keypoints` [T, J, 2 or 3] of one person or [T, P, J, 2 or 3] of several: pixels, and an optional confidence.

    Each of several people has the same index in all frames. Optional arrays are `confidences` [T, J] or [T, P, J], `image_size`
    (width, height), `fps`, `layout`, `times` [T] in seconds, and `frames` [T], the frame numbers.
    """
    key = next((key for key in _POINTS if key in arrays), _only_points(arrays))
    if key is None:
        raise DataError(f"{path}: found the keys {listed(arrays)}, expected keypoints")
    values = _rows(arrays[key], (3, 4), f"{path}: {key}", budget)
    others = [name for name in arrays if name != key and arrays[name].shape in (values.shape[:-1], (*values.shape[:-1], 1))]
    sure = next((name for name in _CONFIDENCES if name in (others if name != "confidences" else arrays)), None)
    if sure is not None:
        given = arrays[sure][..., 0] if arrays[sure].shape == (*values.shape[:-1], 1) else arrays[sure]
        confidences = numbers_of_shape(given, values.shape[:-1], f"{path}: {sure}")
        if arrays[key].shape[-1] > 2 and not ((values[..., 2] >= 0) & (values[..., 2] <= 1) | np.isnan(values[..., 2])).all():
            raise FlatPoints3DError(f"{path}: found points in 3D, expected a detector's 2D keypoints")
        with np.errstate(over="ignore", invalid="ignore"):
            values[..., 2] = confidences
    if unused := [name for name in others if name != sure]:
        warnings.warn(f"{path}: {listed(unused)} not used, expected confidences under the name {_CONFIDENCES[0]}", stacklevel=2)
    named = _joint_names(arrays, values.shape[-2])
    layout, indices = in_layout(named, str(path)) if named else (layout_name(_item(arrays, "layout"), str(path)), None)
    if indices is not None:
        missing = (indices < 0)[:, None]
        values = np.where(missing, [np.nan, np.nan, 0.0], values[..., np.maximum(indices, 0), :])
    if values.ndim == 4 and _people_first(values):
        values = np.swapaxes(values, 0, 1)
    shape = values.shape[:-1]
    people = shape[1] if len(shape) == 3 else 1
    frames = next((arrays[name] for name in _FRAMES if name in arrays), None)
    clock = next((name for name in arrays if letters(name) in TIME_UNITS), "")
    frames, times = (
        _each_frame(found, name, shape[0], path) for found, name in ((frames, "frames"), (arrays.get(clock), clock or "times"))
    )
    if times is not None:
        times = in_seconds(times, 1.0 if clock == "times" else TIME_UNITS[letters(clock)], str(path))
    numbers = np.arange(shape[0]) if frames is None else frames.astype(np.int64)
    return People(
        str(path),
        video_name(path.name),
        np.repeat(numbers, people),
        tuple(str(i) if people > 1 else None for i in range(1, people + 1)) * shape[0],
        values.reshape(-1, *values.shape[-2:]),  # [T*P, J, 3]
        layout=layout,
        image_size=_size(arrays, path),
        fps=frame_rate(_item(arrays, "fps"), str(path)),
        times=None if times is None else in_order(np.repeat(times, people), np.repeat(numbers, people), str(path)),
    )


def _joint_names(arrays: dict[str, np.ndarray], joints: int) -> list[str] | None:
    """Return the names of joints that an array of text gives; None without one."""
    for array in arrays.values():
        names = array.tolist() if array.shape == (joints,) and array.dtype.kind in "UO" else []
        if sum(isinstance(name, str) and joint_name(name) is not None for name in names) >= MIN_NAMES:
            return list(map(str, names))
    return None


def _size(arrays: dict[str, np.ndarray], path: Path) -> tuple[int, int] | None:
    """Return the image size from `image_size`, or from `width` and `height`; None without them."""
    if "image_size" in arrays:
        size = arrays["image_size"]
        if size.shape != (2,):
            raise DataError(f"{path}: image_size: found {described(size)}, expected width and height")
        return image_size(size[0], size[1], f"{path}: image_size")
    if "width" in arrays and "height" in arrays:
        return image_size(_item(arrays, "width"), _item(arrays, "height"), str(path))
    return None


def _each_frame(found: np.ndarray | None, name: str, count: int, path: Path) -> np.ndarray | None:
    """Return an array [T] of increasing numbers; None if there is none, or, with a warning, if they do not increase."""
    if found is None or found.shape != (count,) or found.dtype.kind not in "fiu":
        return None
    found = found.astype(np.float64)
    with np.errstate(invalid="ignore"):
        usable = np.isfinite(found).all() and (np.diff(found) > 0).all() and abs(found[[0, -1]]).max() < _MAX_FRAMES
    if name == "frames":
        usable = usable and found[0] >= 0 and bool((found == np.round(found)).all())
    if not usable:
        warnings.warn(f"{path}: {name} not used, expected increasing numbers", stacklevel=2)
    return found if usable else None


def _people_first(values: np.ndarray) -> bool:
    """Return whether keypoints are [P, T, J, 3], rather than [T, P, J, 3].

    A person moves less from frame to frame than people differ from each other. If people hardly differ, the longer axis is the
    frames. If the first axis has length 1, the second is frames if it moves like one person, or is too long for one picture.
    """
    examined = values[:_EXAMINED, :_EXAMINED]
    along, across = motion(examined), motion(np.swapaxes(examined, 0, 1))
    if len(values) == 1:
        return across < MOVES_ON or values.shape[1] > _CROWD
    return values.shape[1] > len(values) if max(along, across) < MOVES_ON else across < along


def _item(arrays: dict[str, np.ndarray], key: str) -> Any:
    """Return the value of an array of one element; None if there is no such array."""
    return arrays[key].item() if key in arrays and arrays[key].size == 1 else arrays.get(key)


def _rows(points: Any, dimensions: tuple[int, ...], where: str, budget: Budget) -> np.ndarray:
    """Convert keypoints [T, ..., J, 2 or 3] to float64 [T, ..., J, 3], with a confidence of 1 if there is none."""
    if (
        not isinstance(points, np.ndarray)
        or points.ndim not in dimensions
        or points.shape[-1] not in (2, 3)  # a third value is the confidence
        or not points.size
        or points.dtype.kind not in "fiu"
    ):
        several = "" if dimensions == (3,) else "people if several, "
        raise DataError(
            f"{where}: found {described(points)}, expected keypoints (frames >= 1, {several}joints, 2 or 3) of numbers"
        )
    count = points.size // points.shape[-1]
    budget.charge(80 * count)  # for this array and later copies
    values = np.ones((*points.shape[:-1], 3))
    with np.errstate(over="ignore", invalid="ignore"):  # rejected later
        values[..., : points.shape[-1]] = points
    return values


def _detectron2(arrays: dict[str, np.ndarray], path: Path, budget: Budget) -> Iterator[People]:
    """Read the person with the highest box score of each frame.

    `boxes` and `keypoints` contain a pair for each frame: an empty entry and an array. The array is [N, 5], with the score
    last, for boxes, and [N, 4, J], of x, y, logit and probability, for keypoints. `metadata` has the width and height of the
    images.

    Source: VideoPose3D, `inference/infer_video_d2.py` and `data/prepare_data_2d_custom.py`.
    """
    for key in ("boxes", "keypoints"):
        if key not in arrays or not arrays[key].ndim:
            raise DataError(f"{path}: found the keys {listed(arrays)}, expected boxes and keypoints of each frame")
    boxes, keypoints = arrays["boxes"], arrays["keypoints"]
    if len(boxes) != len(keypoints):
        raise DataError(f"{path}: found boxes of {len(boxes)} frames and keypoints of {len(keypoints)}, expected equal numbers")
    info = stored_dict(arrays, "metadata", path)
    size = image_size(info.get("w"), info.get("h"), f"{path}: metadata")
    fps = frame_rate(info.get("fps"), f"{path}: metadata")
    for people in gather(_surest(boxes, keypoints, path), path, budget):
        layout = "coco" if people.values.shape[1] == _COCO_JOINTS else None
        yield dataclasses.replace(people, layout=layout, image_size=size, fps=fps)


def _surest(boxes: np.ndarray, keypoints: np.ndarray, path: Path) -> Iterator[Detection]:
    for frame, (box_pair, keypoint_pair) in enumerate(zip(boxes, keypoints, strict=True)):
        where = f"{path}: frame {frame}"
        found = (
            _of_a_person(box_pair, (5,), f"{where}: boxes"),
            _of_a_person(keypoint_pair, (4, "joints"), f"{where}: keypoints"),
        )
        if found[0] is None or found[1] is None:
            continue
        if len(found[0]) != len(found[1]):
            raise DataError(f"{where}: found {len(found[0])} boxes and keypoints of {len(found[1])}, expected equal numbers")
        with np.errstate(over="ignore", invalid="ignore"):
            person = found[1][np.argmax(found[0][:, 4])].astype(np.float64)  # [4, J]
        yield Detection(frame, None, np.ascontiguousarray(person[[0, 1, 3]].T))


def _of_a_person(pair: Any, shape: tuple[Any, ...], where: str) -> np.ndarray | None:
    """Return a frame's array of the class "person", the second of the pair; None if it is empty."""
    if not _is_sequence(pair) or len(pair) != 2:
        raise DataError(f"{where}: found {described(pair)}, expected a pair of an empty entry and the people")
    people = pair[1]
    if _is_sequence(people) and not len(people):
        return None
    numbers_of_shape(people, ("people", *shape), where)
    if len(people) > _MAX_PEOPLE or people.shape[-1] > _MAX_JOINTS:
        raise DataError(f"{where}: found {described(people)}, expected at most {_MAX_PEOPLE} people and {_MAX_JOINTS} joints")
    return people


def _is_sequence(value: Any) -> TypeGuard[list | tuple | np.ndarray]:
    return isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
