"""Read keypoints from JSON files in any format that `formats` describes.

A description says where a file has its frames, people and joints. The functions here recognise the format of a file by these
descriptions, and return the people of each frame.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.text import described, in_utf_8, listed
from srnet_jax.keypoints.formats import DATA_SETS, FRAME, JSON_FORMATS, Format, Peek, nearest
from srnet_jax.keypoints.joint_order import MIN_NAMES
from srnet_jax.keypoints.keys import is_deep, with_known_keys
from srnet_jax.keypoints.people import MOVES_ON, TIME_UNITS, Detection, clock_seconds, image_size, is_number, motion
from srnet_jax.keypoints.points import MAX_JOINTS, as_points, is_joints, joint_name, letters

_MAX_BYTES = 2_000_000_000
_NOTHING: tuple[Any, ...] = (None, [], {}, "")
_VIDEO = ("video", "video_name", "video_id", "clip", "sequence", "camera")
_PERSON = {"", "person", "personid", "player", "subject", "track", "trackid", "id", "individual", "actor", "p"}
OF_BOXES = ("x", "x1", "left", "xmin", "x_min", "cx", "xc", "x_center", "center_x", "bbox_x", "box_x", "bb_left")
_IDS = ("track_id", "person_id", "id", "name")
_META = ("metadata", "meta", "info", "video_info", "video_metadata", "video", "header", "image")  # they may give size and rate
_FEW, _CROWD, _EXAMINED = 3, 20, 200  # people who may be alike in a picture, people in a picture, examined list entries


def load_json(path: Path) -> Any:
    """Load a JSON file, or a file with one JSON object on each line, as a list.

    Raises:
      DataError: if the file is not JSON or is too large.
    """
    size = size_of(path, "a JSON file")
    if size > _MAX_BYTES:
        raise DataError(f"{path}: found {size:,} bytes, expected a JSON file of at most {_MAX_BYTES:,}")
    data = in_utf_8(path.read_bytes())
    with reading(path, "a JSON file"):
        text = data.decode()
        try:
            content = _parsed(text)
            if isinstance(content, list) and content and all(isinstance(item, str) and item[:1] in "[{" for item in content):
                return [_parsed(item) for item in content]  # some libraries return JSON texts
            return content
        except json.JSONDecodeError:
            lines = [line for line in text.splitlines() if line.strip()]
            if len(lines) < 2 or not all(line.lstrip()[0] in "{[" for line in lines):
                raise
            return [_parsed(line) for line in lines]


def _parsed(text: str) -> Any:
    """Parse JSON; NaN and infinity become None, and keys as the formats know them."""
    return json.loads(text, parse_constant=lambda _: None, object_hook=with_known_keys)


def recognise(content: Any, path: Path) -> Format:
    """Recognise the format of a file's content.

    Raises:
      DataError: if it is none; the message says what was found, and which formats are the nearest.
    """
    peek = Peek.of(content)
    if (one := _matching(peek)) is not None:
        return one
    if deep := [key for key in sorted(peek.root | peek.entry | peek.inner) if is_deep(key)]:
        raise DataError(f"{path}: found {deep[0]}, points in 3D already, expected a detector's 2D keypoints")
    if isinstance(content, dict):
        found = f"an object with {listed(content)}"
    elif isinstance(peek.first, dict):
        found = f"a list of objects with {listed(peek.first)}"
    else:
        found = described(content)
    raise DataError(
        f"{path}: found {found}, expected a keypoint format; {nearest(peek.root | peek.entry | peek.inner, JSON_FORMATS)}"
    )


def _matching(peek: Peek) -> Format | None:
    return next((one for one in JSON_FORMATS if one.matches and one.matches(peek)), None)


def is_known(content: Any) -> bool:
    """Return whether a file's content is in a known format."""
    return _matching(Peek.of(content)) is not None


def by_person(content: Any) -> list[tuple[str | None, Any]]:
    """Split a file that has the frames of each person separately.

    Such a file is an object of people, `{"person_1": frames, ...}`, or has one, `{"tracks": {"1": frames}}`, or has a list of
    people, `{"people": [{"id": 1, "frames":}]}`.

    Returns:
      The id and the frames of each person; for other files, None and the whole content.
    """
    if not isinstance(content, dict):
        return [(None, content)]
    people = _value(content, ("people", "persons", "tracks"))
    if isinstance(people, list) and people and all(isinstance(one, dict) and "frames" in one for one in people):
        return [(str(_value(one, _IDS) or number), one) for number, one in enumerate(people, 1)]
    for named in (people, content):
        words = {letters(key) if re.search("[0-9]", key) else key for key in named} if isinstance(named, dict) else set()
        if words and words <= _PERSON and all(_is_one_person(one, words != {""}) for one in named.values()):
            return [(re.sub(r"^[^0-9]+", "", key), one) for key, one in named.items()]
    return [(None, content)]


def _is_one_person(value: Any, named: bool) -> bool:
    """Return whether a value is one person's frames, and not one frame's people; `named` says that its key names a person."""
    if isinstance(value, dict) and isinstance(value.get("frames"), list | dict):
        return True
    items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    items = [item for item in items if item not in _NOTHING]
    if not items or is_joints(value):
        return False
    if all(isinstance(item, dict) and not item.keys().isdisjoint(FRAME) for item in items):
        return named or len({str(_value(item, FRAME)) for item in items}) == len(items) > 1
    return all(map(is_joints, items)) and (named or _one_moves(items))


def _one_moves(items: list[Any]) -> bool:
    """Return whether a list of joints belongs to one moving person, and not to several people in one picture."""
    try:
        points = [as_points(item, None, "").values for item in items[:_EXAMINED] if item not in _NOTHING]
    except DataError:  # reported when it is read
        return False
    return len(points) > _FEW and len({len(one) for one in points}) == 1 and motion(np.stack(points)) < MOVES_ON


def read(content: Any, one: Format, path: Path) -> Iterator[Detection]:
    """Yield the detected people of a file.

    Args:
      content: content of the file.
      one: format of the file.
      path: of the file; its name is that of the picture if the file has only one.

    Raises:
      DataError: if the content does not follow the format; the message names the place.
    """
    named, sizes = _joint_names(content), _image_sizes(content, path)
    lacking: list[str] = []
    found = False
    for number, (image, frame) in enumerate(_frames(content, one, path)):
        key = next((key for key in one.picture if isinstance(frame, dict) and frame.get(key) is not None), None)
        picture: int | str = number
        if image is not None:
            picture = image
        elif key is not None:
            picture = _picture(frame[key], f"{path}: entry {number}")
            picture = int(picture) if key in FRAME and picture.isdecimal() else picture
        size = sizes.get(str(frame[key])) if key else None
        if size is None and frame is not content and not one.frames.startswith("flat"):
            size = _given_size(frame, str(path), of_frame=True) or _given_size(_value(frame, ("image",)), str(path))
        clip = _value(frame, _VIDEO) if frame is not content else None
        clock = _clock(frame) if frame is not content else None
        where = f"{path}: frame {one_line(picture, 100)}"
        joints = named.get(str(_value(frame, ("category_id",))), named.get(None))
        if joints == () and one.name == "coco_annotations":
            continue  # something that is no person
        numbers = {str(number): number for number in range(len(joints or ()))}
        for track, points, scores in _people(frame, one, where, lacking):
            if points in _NOTHING or (isinstance(points, list) and all(item in _NOTHING for item in points)):
                continue
            found = True
            deep = next(filter(is_deep, points), None) if isinstance(points, dict) and not is_joints(points) else None
            if deep is not None:
                raise DataError(f"{where}: found {deep}, points in 3D already, expected a detector's 2D keypoints")
            values, names, has_depth = as_points(points, scores, where)
            if one.y_first:
                values = values[:, [1, 0, 2]]
            if joints and (len(joints) == len(values) if names is None else all(name in numbers for name in names)):
                names = joints if names is None else tuple(joints[numbers[name]] for name in names)
            yield Detection(
                picture,
                _track(track, where),
                values,
                names,
                has_depth,
                str(clip)[:100] if isinstance(clip, str | int) else "",
                size,
                clock,
            )
    if lacking and not found:
        raise DataError(lacking[0])


def _clock(frame: Any) -> tuple[float, float] | None:
    """Return the time stamp of a frame and its unit in seconds, as in `Detection`."""
    if not isinstance(frame, dict):
        return None
    for key, value in frame.items():
        if letters(key) in TIME_UNITS:
            if is_number(value):
                return float(value), TIME_UNITS[letters(key)]
            if isinstance(value, str) and (seconds := clock_seconds(value)):
                return float(seconds), 1.0
    return None


def file_info(content: Any, path: Path) -> tuple[tuple[int, int] | None, Any, Any]:
    """Return the image size, the frames per second and the name of the data set that a file's object gives; None for others."""
    if not isinstance(content, dict):
        return None, None, None
    places = [content, *(content[key] for key in _META if isinstance(content.get(key), dict))]
    sizes = () if "images" in content else (_given_size(place, str(path)) for place in places)
    fps = next((place["fps"] for place in places if place.get("fps") is not None), None)
    meta = content.get("meta_info")
    data_set = meta.get("dataset_name") if isinstance(meta, dict) else None
    return next((size for size in sizes if size), None), fps, data_set


def _given_size(item: Any, where: str, *, of_frame: bool = False) -> tuple[int, int] | None:
    """Return the image size that an object gives; None without one, or if it is the size of something at x and y.

    A height alone is refused, except in a frame, where it may be the person's.
    """
    if not isinstance(item, dict) or not item.keys().isdisjoint(OF_BOXES):
        return None
    size = item.get("image_size")
    if isinstance(size, list) and len(size) == 2:
        return image_size(size[0], size[1], where)
    width, height = item.get("width"), item.get("height")
    if (width is None or height is None) if of_frame else (width is None and height is None):
        return None
    return image_size(width, height, where)


def _joint_names(content: Any) -> dict[str | None, tuple[str, ...]]:
    """Return the joint names that a file gives once for all people, if they are a body's.

    Returns:
      {None: names of all people}, and of COCO annotations also {id of a category: its names; () if they are not a body's};
      empty without names.
    """
    if not isinstance(content, dict):
        return {}
    categories = content.get("categories")
    if isinstance(categories, list):
        given = {str(one.get("id")): one["keypoints"] for one in categories if isinstance(one, dict) and one.get("keypoints")}
        bodies: dict[str | None, tuple[str, ...]] = {category: _body_names(names) or () for category, names in given.items()}
        first = next(filter(None, bodies.values()), None)
        return bodies | {None: first} if first else {}
    meta = content.get("meta_info")
    if isinstance(meta, dict):
        own = None if str(meta.get("dataset_name")) in DATA_SETS else _body_names(meta.get("keypoint_id2name"))
        return {None: own} if own else {}
    places = [content, *(content[key] for key in _META if isinstance(content.get(key), dict))]
    found = next((names for place in places for value in place.values() if (names := _body_names(value))), None)
    return {None: found} if found else {}


def _body_names(names: Any) -> tuple[str, ...] | None:
    """Return joint names, given as a list, as {number: name} or as {name: number}; None if they are not a body's."""
    if isinstance(names, dict) and list(names.values()) == list(range(len(names))):
        names = list(names)
    names = list(names.values()) if isinstance(names, dict) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) if sum(joint_name(name) is not None for name in names) >= MIN_NAMES else None


def _frames(content: Any, one: Format, path: Path) -> Iterator[tuple[int | str | None, Any]]:
    """Yield each frame, or each person of a flat list, with the picture's name if the frame does not contain it."""
    options = one.frames.split("|")
    if numbers := _frame_numbers(content, one):
        others = {key: value for key, value in content.items() if key != "frames"}
        frames = list(_frames(others, one, path))
        if len(frames) != len(numbers):
            raise DataError(f"{path}: found {len(numbers)} frame numbers for {len(frames)} frames, expected equal numbers")
        yield from ((number, frame) for number, (_, frame) in zip(numbers, frames, strict=True))
        return
    key = next((option for option in options if isinstance(content, dict) and option in content), None)
    if one.frames == "":
        yield path.name, content
    elif one.frames.startswith("flat"):
        _, _, inside = one.frames.partition(":")
        people = content.get(inside) if inside and isinstance(content, dict) else content
        names = _image_names(content)
        for number, person in enumerate(_list(people, inside or "the list", path)):
            if not isinstance(person, dict):
                raise DataError(
                    f"{path}: {inside or 'the list'}: found {described(person)} as entry {number}, expected an object"
                )
            image = _value(person, one.picture)
            if image is None:
                raise DataError(f"{path}: entry {number}: found {listed(person)}, expected {' or '.join(one.picture)}")
            yield (names.get(image) if isinstance(image, int | str) else None), person
    elif key is None and one.points[-1] == "" and is_joints(content):  # one person in one picture
        yield path.name, content
    elif key is not None or isinstance(content, list):
        found = content if key is None else content[key]
        if key in one.points:
            scores = _list_of_scores(content, one)
            if is_joints(found) or (key in one.people.split("|") and not _are_frames(found)):  # one picture
                yield path.name, content
            elif isinstance(found, list) and isinstance(scores, list) and len(scores) == len(found):
                yield from ((None, {key: item, one.scores[0]: sure}) for item, sure in zip(found, scores, strict=True))
            else:
                yield from ((None, item) for item in _list(found, str(key), path))
            return
        if isinstance(found, dict):
            yield from ((_picture(name, str(path)), frame) for name, frame in found.items())
            return
        items = _list(found, key or "the list", path)
        entry = next((item for item in items if item), None)
        keys = {*one.people.split("|"), *one.picture} - {""}
        if one.alone and isinstance(entry, dict) and not keys & entry.keys() and set(one.points) & entry.keys():
            people = [_value(item, one.points) for item in items if isinstance(item, dict)]
            if len(people) < len(items) or not _one_moves(people):
                yield path.name, {one.people.split("|")[0]: items} if one.people else items  # the people of one picture
                return
        yield from ((None, item) for item in items)
    elif isinstance(content, dict) and (set(one.people.split("|")) - {""}) & content.keys():
        key, found = next((key, content[key]) for key in one.people.split("|") if key in content)
        items = [item for item in found if item not in _NOTHING] if isinstance(found, list) else []
        own = [item if is_joints(item) else _value(item, one.points) for item in items]
        if all(map(is_joints, own)) and _one_moves(own):
            yield from ((None, {key: [item]}) for item in found)
        else:
            yield path.name, content
    elif isinstance(content, dict) and "{}" in options:
        yield from ((_picture(name, str(path)), frame) for name, frame in content.items())
    elif isinstance(content, dict):
        yield None, content
    else:
        raise DataError(f"{path}: found {described(content)}, expected the format {one.name}")


def _frame_numbers(content: Any, one: Format) -> list[int]:
    """Return the frame numbers that a file has in one list, beside its joints; else nothing."""
    numbers = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(numbers, list) or content.keys().isdisjoint(set(one.points) - {""}):
        return []
    whole = [int(number) for number in numbers if is_number(number) and 0 <= number < 1e15 and number == int(number)]
    return whole if len(whole) == len(numbers) else []


def _are_frames(found: Any) -> bool:
    """Return whether a list, whose key may mean people or joints, has one entry for each frame, and not for each person."""
    if not isinstance(found, list) or not all(map(is_joints, filter(None, found))):
        return isinstance(found, list)
    return len(found) > _CROWD or _one_moves(found)


def _image_names(content: Any) -> dict[Any, str]:
    """Return {id: file name} of the images of COCO annotations.

    File names that repeat are a video's. The frame number, if the images have one, is appended to them; else ids are used.
    """
    images = content.get("images") if isinstance(content, dict) else None
    found, frames = {}, {}
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and isinstance(image.get("id"), int | str) and isinstance(image.get("file_name"), str):
            found[image["id"]] = image["file_name"]
            frame = _value(image, FRAME)
            if is_number(frame) and frame == int(frame) and 0 <= frame < 1e15:
                frames[image["id"]] = f"{image['file_name']}/{int(frame)}"
    if len(set(found.values())) == len(found):
        return found
    return frames if len(frames) == len(found) else {}


def _image_sizes(content: Any, path: Path) -> dict[str, tuple[int, int]]:
    """Return {id: (width, height)} of the images of COCO annotations."""
    images = content.get("images") if isinstance(content, dict) else None
    return {
        str(image.get("id")): image_size(image.get("width"), image.get("height"), str(path))
        for image in (images if isinstance(images, list) else ())
        if isinstance(image, dict) and (image.get("width") is not None or image.get("height") is not None)
    }


def _people(frame: Any, one: Format, where: str, lacking: list[str]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield track id, joints and confidences of a frame's people; add messages about people without joints to `lacking`."""
    keys = () if one.frames.startswith("flat") else tuple(key for key in one.people.split("|") if key)
    if isinstance(frame, dict) and (key := next((key for key in keys if key in frame), None)):
        frame = frame[key]
    elif isinstance(frame, dict) and keys and one.people[-1] != "|":
        raise DataError(f"{where}: found {listed(frame)}, expected {' or '.join(keys)}")
    elif not isinstance(frame, list | dict | None):
        raise DataError(f"{where}: found {described(frame)}, expected {'people' if one.points[-1] else 'joints'}")
    if frame in _NOTHING:
        return
    if isinstance(frame, list) and len(frame) == 1 and isinstance(frame[0], list) and frame[0] and not is_joints(frame[0]):
        frame = frame[0]  # a batch of one picture
    if isinstance(frame, dict) and all(map(_is_id, frame)) and not is_joints(frame):  # with track ids as keys
        people = [(key if key.isdecimal() else re.sub("[^0-9]+", "", key), person) for key, person in frame.items()]
    elif isinstance(frame, list) and not (one.points[-1] == "" and is_joints(frame)):
        people = [(None, person) for person in frame]
    elif isinstance(frame, list | dict):
        people = [(None, frame)]
    else:
        raise DataError(f"{where}: found {described(frame)}, expected a list of people")
    for track, person in people:
        if person in _NOTHING:
            continue
        if isinstance(person, dict) and one.points[-1] and not person.keys() & set(one.points):  # only a box
            lacking.append(f"{where}: found a person with {listed(person)}, expected {' or '.join(one.points)}")
            continue
        track, points, scores = track or _value(person, one.track), _points(person, one, where), _list_of_scores(person, one)
        if isinstance(points, dict) and isinstance(points.get("xy"), list):  # the attributes of ultralytics' keypoints
            points, scores = points["xy"], _list_of_scores(points, one)
        if isinstance(person, dict):
            points, scores = _by_numbers(points, scores, person.get("labels"), one)
        if (
            points is not person
            and isinstance(points, list)
            and points
            and isinstance(points[0], list)
            and not is_joints(points)
        ):
            for index, own in enumerate(points):  # [people, joints, 2 or 3], as detectors written in Python return it
                sure = scores[index] if isinstance(scores, list) and index < len(scores) else None
                yield None, own, sure if isinstance(sure, list) else None  # a number is the score of the person
        else:
            yield track, points, None if points is person else scores


def _is_id(key: str) -> bool:
    """Return whether a key is a track id, such as 3 or person_3."""
    return key.isdecimal() or bool(re.fullmatch("[^0-9]+[0-9]{1,15}", key) and letters(key) in _PERSON - {""})


def _by_numbers(points: Any, scores: Any, numbers: Any, one: Format) -> tuple[Any, Any]:
    """Put joints at their places if a list gives their numbers, as Transformers does, which leaves out unsure joints."""
    if not (isinstance(numbers, list) and isinstance(points, list) and len(numbers) == len(points) > 1 and is_joints(points)):
        return points, scores
    if not all(type(number) is int and 0 <= number < MAX_JOINTS for number in numbers) or len(set(numbers)) < len(numbers):
        return points, scores
    count = next((joints for joints in sorted(one.layouts) if joints > max(numbers)), max(numbers) + 1)
    places = {number: index for index, number in enumerate(numbers)}
    if isinstance(scores, list) and len(scores) == len(points):
        scores = [scores[places[number]] if number in places else 0 for number in range(count)]
    return [points[places[number]] if number in places else None for number in range(count)], scores


def _list_of_scores(item: Any, one: Format) -> list[Any] | None:
    """Return the confidences that an object has beside its joints; None without them. A number is the score of the person."""
    found = (item.get(key) for key in one.scores) if isinstance(item, dict) else ()
    return next((scores for scores in found if isinstance(scores, list)), None)


def _points(person: Any, one: Format, where: str) -> Any:
    """Return a person's joints."""
    keys = [key for key in one.points if key]
    if isinstance(person, dict) and (key := next((key for key in keys if key in person), None)):
        return person[key]
    if one.points[-1] == "":
        return person
    raise DataError(f"{where}: found {described(person)}, expected an object for a person")


def _value(item: Any, keys: tuple[str, ...]) -> Any:
    """Return an object's first value under one of the keys that is not None; else None."""
    return next((item[key] for key in keys if item.get(key) is not None), None) if isinstance(item, dict) else None


def _list(items: Any, what: str, path: Path) -> list[Any]:
    if not isinstance(items, list):
        raise DataError(f"{path}: {what}: found {described(items)}, expected a list")
    return items


def _picture(value: Any, where: str) -> str:
    """Check and return a picture's name; a whole number becomes its digits."""
    if isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable():
        return value
    if is_number(value) and value == int(value) and 0 <= value < 10**15:
        return str(int(value))
    raise DataError(f"{where}: found {described(value)}, expected a frame number or an image name")


def _track(value: Any, where: str) -> str | None:
    """Return a track id as text: a whole number, a short text, or the first entry of a list; None for -1, which means no id."""
    for _ in range(3):
        value = (value[0] if value else None) if isinstance(value, list) else value
    if value is None or (isinstance(value, str) and 0 < len(value) <= 60):
        return value
    if not is_number(value) or value != int(value) or abs(value) >= 10**15:
        raise DataError(f"{where}: found the track id {described(value)}, expected a whole number")
    return str(int(value)) if value >= 0 else None
