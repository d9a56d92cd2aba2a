"""Keypoints in JSON, in any format that `formats` describes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.text import described, in_utf_8, listed
from srnet_jax.keypoints.formats import DATA_SETS, JSON_FORMATS, Format, Peek
from srnet_jax.keypoints.people import FEWEST_NAMES, image_size, is_number
from srnet_jax.keypoints.points import as_points, is_joints, joint_name

_MAX_BYTES = 2_000_000_000
_NOTHING: tuple[Any, ...] = (None, [], {}, "")


class Seen(NamedTuple):
    """A person whom a picture shows.

    Attributes:
      picture: frame number or image name.
      track: track id, None if there is none.
      values: [J, 3] x, y, confidence, not cleaned.
      names: of the joints, None if the file does not give them.
    """

    picture: int | str
    track: str | None
    values: np.ndarray
    names: tuple[str, ...] | None


def load_json(path: Path) -> Any:
    """Return what a file holds: one value, or a list of those on its lines.

    Raises:
      DataError: if it is no JSON, or too large.
    """
    size = size_of(path, "a JSON file")
    if size > _MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes, expected a JSON file of at most {_MAX_BYTES:,}")
    data = in_utf_8(path.read_bytes())
    with reading(path, "a JSON file"):
        text = data.decode()
        try:
            content = json.loads(text, parse_constant=lambda _: None)  # NaN and infinity: missing
            if isinstance(content, list) and content and all(isinstance(item, str) and item[:1] in "[{" for item in content):
                return [json.loads(item, parse_constant=lambda _: None) for item in content]  # as a library returned them
            return content
        except json.JSONDecodeError:
            lines = [line for line in text.splitlines() if line.strip()]
            if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines):
                raise
            return [json.loads(line, parse_constant=lambda _: None) for line in lines]


def recognise(content: Any, path: Path) -> Format:
    """Return the format of a file's content.

    Raises:
      DataError: says what was found, and which formats are the nearest.
    """
    peek = Peek.of(content)
    for one in JSON_FORMATS:
        if one.told_by and one.told_by(peek):
            return one
    if isinstance(content, dict):
        found = f"an object with {listed(content)}"
    elif isinstance(peek.first, dict):
        found = f"a list of objects with {listed(peek.first)}"
    else:
        found = described(content)
    nearest = sorted(JSON_FORMATS, key=lambda one: -len(_words(one) & (peek.root | peek.entry | peek.inner)))[:2]
    raise DataError(
        f"{path}: found {found}, expected a keypoint format; the nearest are {' and '.join(one.name for one in nearest)} "
        "(--list_formats shows all)"
    )


def _words(one: Format) -> set[str]:
    return {
        word.strip("{}[]")
        for text in (one.frames, one.people, *one.points, *one.picture)
        for word in text.replace(":", "|").split("|")
    }


def read(content: Any, one: Format, path: Path) -> Iterator[Seen]:
    """Yield the people that a file shows.

    Args:
      content: of the file.
      one: its format.
      path: of the file, whose name is that of the picture if it shows one alone.

    Raises:
      DataError: names what is not as the format has it.
    """
    told = _joint_names(content)
    for number, (picture, frame) in enumerate(_frames(content, one, path)):
        if picture is None:
            found = _value(frame, one.picture)
            picture = number if found is None else _picture(found, f"{path}: entry {number}")
        where = f"{path}: frame {one_line(picture, 100)}"
        for track, points, scores in _people(frame, one, where):
            if points in _NOTHING or (isinstance(points, list) and all(item in _NOTHING for item in points)):
                continue
            values, names = as_points(points, scores, where)
            if one.y_first:
                values = values[:, [1, 0, 2]]
            names = told if names is None and told and len(told) == len(values) else names
            yield Seen(picture, _track(track, where), values, names)


def about(content: Any, path: Path) -> tuple[tuple[int, int] | None, Any, Any]:
    """Return what a file's object says of image size, frames per second, and the data set whose joints it has."""
    if not isinstance(content, dict):
        return None, None, None
    size = None
    images = content.get("images")
    first = images[0] if isinstance(images, list) and images and isinstance(images[0], dict) else content
    if first.get("width") is not None or first.get("height") is not None:
        size = image_size(first.get("width"), first.get("height"), str(path))
    meta = content.get("meta_info")
    return size, content.get("fps"), meta.get("dataset_name") if isinstance(meta, dict) else None


def _joint_names(content: Any) -> tuple[str, ...] | None:
    """Return the names of joints that a file gives once for all, as COCO's categories and ViTPose do, if they are a body's."""
    if not isinstance(content, dict):
        return None
    categories = content.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else None
    names = first.get("keypoints") if isinstance(first, dict) else content.get("skeleton")
    meta = content.get("meta_info")
    if isinstance(meta, dict) and str(meta.get("dataset_name")) not in DATA_SETS:
        names = meta.get("keypoint_id2name")
    names = list(names.values()) if isinstance(names, dict) else names
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    return tuple(names) if sum(joint_name(name) is not None for name in names) >= FEWEST_NAMES else None


def _frames(content: Any, one: Format, path: Path) -> Iterator[tuple[int | str | None, Any]]:
    """Yield each frame, or each person of a flat list, with the picture's name where the frame itself does not have it."""
    options = one.frames.split("|")
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
    elif key is None and one.points[-1] == "" and is_joints(content):  # of one person in one picture
        yield path.name, content
    elif key is not None or isinstance(content, list):
        found = content if key is None else content[key]
        if key in one.points:
            scores = _value(content, one.scores)
            if is_joints(found):
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
            yield path.name, {one.people.split("|")[0]: items} if one.people else items  # of one picture's people
            return
        yield from ((None, item) for item in items)
    elif isinstance(content, dict) and (set(one.people.split("|")) - {""}) & content.keys():
        yield path.name, content
    elif isinstance(content, dict) and "{}" in options:
        yield from ((_picture(name, str(path)), frame) for name, frame in content.items())
    elif isinstance(content, dict):
        yield None, content
    else:
        raise DataError(f"{path}: found {described(content)}, expected the form of {one.name}")


def _image_names(content: Any) -> dict[Any, str]:
    """Return the name of each image of COCO's annotations, by id."""
    images = content.get("images") if isinstance(content, dict) else None
    found = {}
    for image in images if isinstance(images, list) else ():
        if isinstance(image, dict) and isinstance(image.get("id"), int | str) and isinstance(image.get("file_name"), str):
            found[image["id"]] = image["file_name"]
    return found


def _people(frame: Any, one: Format, where: str) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the track id, the joints and the confidences of each person of a frame."""
    keys = () if one.frames.startswith("flat") else tuple(key for key in one.people.split("|") if key)
    if isinstance(frame, dict) and (key := next((key for key in keys if key in frame), None)):
        frame = frame[key]
    elif isinstance(frame, dict) and keys and one.people[-1] != "|":
        raise DataError(f"{where}: found {listed(frame)}, expected {' or '.join(keys)}")
    elif not isinstance(frame, list | dict | None):
        raise DataError(f"{where}: found {described(frame)}, expected {'people' if one.points[-1] else 'joints'}")
    if frame in _NOTHING:
        return
    if isinstance(frame, dict) and all(key.isdecimal() for key in frame) and not is_joints(frame):  # by track id
        people = list(frame.items())
    elif isinstance(frame, list) and not (one.points[-1] == "" and is_joints(frame)):
        people = [(None, person) for person in frame]
    elif isinstance(frame, list | dict):
        people = [(None, frame)]
    else:
        raise DataError(f"{where}: found {described(frame)}, expected a list of people")
    for track, person in people:
        if person in _NOTHING:
            continue
        track, points, scores = track or _value(person, one.track), _points(person, one, where), _value(person, one.scores)
        if (
            points is not person
            and isinstance(points, list)
            and points
            and isinstance(points[0], list)
            and not is_joints(points)
        ):
            for index, own in enumerate(points):  # [people, joints, 2 or 3], as Python's detectors have it
                sure = scores[index] if isinstance(scores, list) and index < len(scores) else None
                yield None, own, sure if isinstance(sure, list) else None  # or of the person
        else:
            yield track, points, None if is_number(scores) else scores


def _points(person: Any, one: Format, where: str) -> Any:
    """Return a person's joints."""
    keys = [key for key in one.points if key]
    if isinstance(person, dict) and (key := next((key for key in keys if key in person), None)):
        return person[key]
    if one.points[-1] == "":
        return person
    if isinstance(person, dict):
        raise DataError(f"{where}: found a person with {listed(person)}, expected {' or '.join(keys)}")
    raise DataError(f"{where}: found {described(person)}, expected a person's object")


def _value(item: Any, keys: tuple[str, ...]) -> Any:
    return next((item[key] for key in keys if key in item), None) if isinstance(item, dict) else None


def _list(items: Any, what: str, path: Path) -> list[Any]:
    if not isinstance(items, list):
        raise DataError(f"{path}: {what}: found {described(items)}, expected a list")
    return items


def _picture(value: Any, where: str) -> int | str:
    """Return a picture's number or name; a name of digits is a number."""
    if isinstance(value, str) and 0 < len(value) <= 1000 and value.isprintable():
        return int(value) if value.isdecimal() and len(value) <= 15 else value
    if is_number(value) and value == int(value) and 0 <= value < 10**15:
        return int(value)
    raise DataError(f"{where}: found {described(value)}, expected a frame's number or an image's name")


def _track(value: Any, where: str) -> str | None:
    """Return a track id: a whole number or the first of a list, or a short text; None for -1, which means no id."""
    for _ in range(3):
        value = (value[0] if value else None) if isinstance(value, list) else value
    if value is None or (isinstance(value, str) and 0 < len(value) <= 60):
        return value
    if not is_number(value) or value != int(value) or abs(value) >= 10**15:
        raise DataError(f"{where}: found the track id {described(value)}, expected a whole number")
    return str(int(value)) if value >= 0 else None
