"""Keypoints in JSON: OpenPose, AlphaPose, MMPose, COCO's results, and landmarks of MediaPipe."""

import dataclasses
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import described, listed
from srnet_jax.keypoints.people import People, frame_number, frame_rate, gather, image_size, is_number

FORMATS = ("openpose", "alphapose", "mmpose", "coco", "mediapipe")
_SUFFIX = "_keypoints.json"  # of OpenPose's files
_MAX_BYTES = 2_000_000_000
_MAX_FILES = 1_000_000
_LANDMARKS, _FARTHEST_LANDMARK = 33, 10.0  # in widths or heights of the image
_OPENPOSE = {25: ("body_25", 25), 18: ("coco_18", 18)}  # joints in the file: layout, how many of them belong to it
_OTHERS = {17: ("coco", 17), 26: ("halpe_26", 26), 133: ("coco", 17), 136: ("halpe_26", 26)}  # all but the whole bodies' first
_MMPOSE = {  # by the data set that the file names: of another one's joints we know nothing
    **dict.fromkeys(("coco", "coco_wholebody", "halpe", "halpe26"), _OTHERS),
    "h36m": {17: ("h36m", 17)},
    "mpii": {16: ("mpii", 16)},
}

Found = Iterator[tuple[int, str | None, np.ndarray]]  # frame, track id, [J, 3] x, y, confidence


def read(path: Path, keypoint_format: str | None, budget: Budget) -> People | None:
    """Read a file of any of the formats.

    Args:
      path: of the file.
      keypoint_format: one of FORMATS; None finds it from the content.
      budget: what it may still cost to read the file.

    Returns:
      The people, None if there are none.

    Raises:
      DataError: if the file is damaged, or does not hold what was expected.
    """
    content = load_json(path)
    if keypoint_format is None and content == []:  # of several formats
        return None
    match keypoint_format or _recognised(content, path):
        case "openpose":
            frame = frame_number(path.name, str(path)) if re.search("[0-9]", path.name) else 0
            return _named(gather(_openpose(content, frame, path), path, budget), _OPENPOSE)
        case "mediapipe":
            return _mediapipe(content, path, budget)
        case "mmpose":
            about = content.get("meta_info") if isinstance(content, dict) else None
            data_set = about.get("dataset_name") if isinstance(about, dict) else None
            layouts = _MMPOSE.get(data_set, {}) if isinstance(data_set, str) else _OTHERS
            return _named(gather(_mmpose(content, path), path, budget), layouts)
        case _:
            return _named(gather(_results(content, path), path, budget), _OTHERS)


def read_folder(folder: Path, budget: Budget) -> People | None:
    """Read the files, one a frame, that OpenPose wrote for a video.

    Raises:
      DataError: if there are none, two of one frame, or one that is damaged.
    """
    files: dict[int, Path] = {}
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        frame = frame_number(path.name.removesuffix(_SUFFIX), str(path))
        if frame in files:
            raise DataError(f"{path}: found frame {frame} again, expected each frame of one video once in a folder")
        files[frame] = path
    if not files:
        raise DataError(f"{folder}: found no *{_SUFFIX}, expected the files that OpenPose writes")
    if len(files) > _MAX_FILES:
        raise DataError(f"{folder}: found {len(files):,} files, expected at most {_MAX_FILES:,}")
    found = itertools.chain.from_iterable(_openpose(load_json(path), frame, path) for frame, path in files.items())
    return _named(gather(found, folder, budget), _OPENPOSE)


def load_json(path: Path) -> Any:
    """Return what a file holds.

    Raises:
      DataError: if it is no JSON, too large, or holds NaN or infinity.
    """
    size = size_of(path, "a JSON file")
    if size > _MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes, expected a JSON file of at most {_MAX_BYTES:,}")
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")

    def refuse(constant: str) -> None:
        raise DataError(f"found {constant}, expected finite numbers")

    with reading(path, "a JSON file"):
        return json.loads(data.decode(), parse_constant=refuse)


def _recognised(content: Any, path: Path) -> str:
    """Return the format's name."""
    if isinstance(content, dict):
        for key, name in (("people", "openpose"), ("instance_info", "mmpose"), ("frames", "mediapipe")):
            if key in content:
                return name
        raise DataError(f"{path}: found the keys {listed(content)}, expected people, instance_info or frames")
    first = content[0] if isinstance(content, list) and content else None
    if isinstance(first, dict):
        if "image_id" in first:
            return "alphapose" if not isinstance(first["image_id"], int) or {"idx", "box"} & first.keys() else "coco"
        if "instances" in first or "keypoints" in first:
            return "mmpose"
        raise DataError(f"{path}: found a list of objects with {listed(first)}, expected image_id, instances or keypoints")
    raise DataError(f"{path}: found {described(content)}, expected an object or a list of objects")


def _named(people: People | None, layouts: dict[int, tuple[str, int]]) -> People | None:
    """Say which layout people have, and leave out what follows its joints."""
    if people is None:
        return None
    joints = people.values.shape[1]
    layout, kept = layouts.get(joints, (None, joints))
    return dataclasses.replace(people, layout=layout, values=people.values[:, :kept])


# One format each: who is in which frame.


def _openpose(content: Any, frame: int, path: Path) -> Found:
    for person in _objects(content, "people", str(path)):
        where = f"{path}: frame {frame}"
        flat = person.get("pose_keypoints_2d")
        if flat != []:  # who shows but a face or hands
            yield frame, _track(person.get("person_id"), where), _triples(flat, "pose_keypoints_2d", where)


def _results(content: Any, path: Path) -> Found:
    """Yield what AlphaPose or a detector of COCO's keypoints found."""
    for number, person in enumerate(_all_objects(content, "the list", str(path))):
        frame = frame_number(person.get("image_id"), f"{path}: entry {number}: image_id")
        where = f"{path}: frame {frame}"
        track = _track(person.get("idx", person.get("track_id")), where)
        yield frame, track, _triples(person.get("keypoints"), "keypoints", where)


def _mmpose(content: Any, path: Path) -> Found:
    """Yield from {"instance_info": [frames]}, [frames], or [people of a single image]."""
    items = content.get("instance_info") if isinstance(content, dict) else content
    frames = list(_all_objects(items, "instance_info", str(path)))
    if frames and "instances" not in frames[0] and "keypoints" in frames[0]:
        frames = [{"frame_id": 0, "instances": frames}]
    for number, item in enumerate(frames):
        frame = frame_number(item.get("frame_id", number), f"{path}: entry {number}: frame_id")
        where = f"{path}: frame {frame}"
        for person in _objects(item, "instances", where):
            points, scores = person.get("keypoints"), person.get("keypoint_scores")
            if points == []:
                continue
            if not isinstance(points, list) or any(type(point) is not list or len(point) != 2 for point in points):
                raise DataError(f"{where}: keypoints hold {described(points)}, expected a list of [x, y]")
            numbers = _numbers(list(itertools.chain.from_iterable(points)), "keypoints", where).reshape(-1, 2)
            sure = np.ones(len(numbers)) if scores is None else _numbers(scores, "keypoint_scores", where)
            if len(sure) != len(numbers):
                raise DataError(
                    f"{where}: found {len(sure)} keypoint_scores, expected one for each of {len(numbers)} keypoints"
                )
            yield frame, _track(person.get("track_id"), where), np.column_stack([numbers, sure])


def _mediapipe(content: Any, path: Path, budget: Budget) -> People | None:
    if not isinstance(content, dict):
        raise DataError(f"{path}: found {described(content)}, expected an object with width, height and frames")
    size = image_size(content.get("width"), content.get("height"), str(path))
    fps = frame_rate(content.get("fps"), str(path))
    people = gather(_landmarks(content, size, path), path, budget)
    return people and dataclasses.replace(people, layout="mediapipe_33", image_size=size, fps=fps)


def _landmarks(content: dict[str, Any], size: tuple[int, int], path: Path) -> Found:
    frames = content.get("frames")
    if not isinstance(frames, list):
        raise DataError(f"{path}: frames hold {described(frames)}, expected a list")
    for frame, item in enumerate(frames):
        where = f"{path}: frame {frame}"
        if item is None or (isinstance(item, dict) and item.get("landmarks") in (None, [])):
            continue
        landmarks = list(_objects(item, "landmarks", where))
        if len(landmarks) != _LANDMARKS:
            raise DataError(f"{where}: found {len(landmarks)} landmarks, expected {_LANDMARKS}")
        flat = [value for point in landmarks for value in (point.get("x"), point.get("y"), point.get("visibility", 1.0))]
        values = _numbers(flat, "landmarks", where).reshape(-1, 3)
        farthest = np.abs(values[:, :2]).max()
        if farthest > _FARTHEST_LANDMARK:
            raise DataError(f"{where}: a landmark at {farthest:.6g}, expected shares of the image's width and height, 0 to 1")
        yield frame, None, values * [*size, 1]


# Values of any kind become numbers.


def _objects(container: Any, key: str, where: str) -> Iterable[dict[str, Any]]:
    """Return the list of objects that an object holds."""
    if not isinstance(container, dict):
        raise DataError(f"{where}: found {described(container)}, expected an object with {key}")
    return _all_objects(container.get(key), key, where)


def _all_objects(items: Any, what: str, where: str) -> Iterable[dict[str, Any]]:
    if not isinstance(items, list):
        raise DataError(f"{where}: {what}: found {described(items)}, expected a list of objects")
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise DataError(f"{where}: {what}: found {described(item)} as entry {number}, expected an object")
    return items


def _triples(flat: Any, what: str, where: str) -> np.ndarray:
    """Return x, y, confidence, ... as [J, 3]."""
    numbers = _numbers(flat, what, where)
    if len(numbers) % 3:
        raise DataError(f"{where}: {what} hold {len(numbers)} numbers, expected x, y and confidence of each joint")
    return numbers.reshape(-1, 3)


def _numbers(values: Any, what: str, where: str) -> np.ndarray:
    """Return a list of numbers as float64."""
    if not isinstance(values, list) or not values:
        raise DataError(f"{where}: {what}: found {described(values)}, expected a list of numbers")
    if not {int, float}.issuperset(map(type, values)):
        wrong = next(value for value in values if type(value) not in (int, float))
        raise DataError(f"{where}: {what}: found {described(wrong)}, expected numbers")
    try:
        return np.array(values, np.float64)
    except OverflowError:
        raise DataError(f"{where}: {what}: found a number of hundreds of digits, expected pixels") from None


def _track(value: Any, where: str) -> str | None:
    """Return a track id: a whole number or the first of a list, or a short text; None for -1, which means no id."""
    for _ in range(3):
        value = (value[0] if value else None) if isinstance(value, list) else value
    if value is None or (isinstance(value, str) and 0 < len(value) <= 60):
        return value
    if not is_number(value) or value != int(value) or abs(value) >= 10**15:
        raise DataError(f"{where}: found the track id {described(value)}, expected a whole number")
    return str(int(value)) if value >= 0 else None
