"""Load a file or folder of 2D keypoints in any known format, and return the track of each person.

`formats` describes the formats. Joints stay in the order of the detector; `pose.layouts` converts between orders. `tracks`
explains how people are tracked, `pictures` which frame a picture is, `points` which joints are missing, and `pose.complete` how
missing joints are filled in.
"""

import collections
import dataclasses
import difflib
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError, UserError, naming, one_line
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import in_utf_8
from srnet_jax.keypoints import csv_files, json_files, json_tables, npz_files, which_layout, yolo_labels
from srnet_jax.keypoints.formats import DATA_SETS, FORMATS, JSON_FORMATS, NOT_READ, Format, nearest
from srnet_jax.keypoints.joint_order import in_layout, named_alike
from srnet_jax.keypoints.people import MAX_NORMALISED, Detection, People, frame_rate, gather
from srnet_jax.keypoints.points import is_missing
from srnet_jax.keypoints.tracks import Track, follow, turned
from srnet_jax.pose.layouts import LAYOUTS

_RATIO = 64  # memory limit over the size of the files; .npz files may be compressed
_MAX_FILES = 1_000_000
_NEGATIVE = 0.2  # largest fraction of negative coordinates; a few joints may be left of the image or above it
_NO_CONFIDENCE, _NO_SCORE, _PERCENT, _BYTE = 0.05, 10.0, 100.0, 255.0  # some detectors' scores are a little below 0 or above 1
_FARTHEST_SHARE = 10.0  # largest normalised coordinate
_JSON = {one.name for one in JSON_FORMATS}


@dataclasses.dataclass(frozen=True)
class Hints:
    """The user's information about a keypoint file.

    Attributes:
      keypoint_format: a name of `FORMATS`; None to recognise the format from the content.
      image_size: width and height of the pictures, pixels; overrides the file's.
      min_confidence: confidence below which a joint is missing; None for the format's own.
      rotate: clockwise rotation of the pictures: 0, 90, 180 or 270 degrees.
      usual_size: width and height, pixels, to use if the file does not give them.
    """

    keypoint_format: str | None = None
    image_size: tuple[int, int] | None = None
    min_confidence: float | None = None
    rotate: int = 0
    usual_size: tuple[int, int] | None = None


def load(path: str | Path, hints: Hints = Hints()) -> tuple[Track, ...]:
    """Load the keypoints of each person from a file, or from a folder with one file for each picture.

    Args:
      path: of the file or folder.
      hints: information that the file does not contain.

    Returns:
      At least one track; those with the most frames first.

    Raises:
      UserError: if there is no such format.
      DataError: if the file is missing, damaged or not as expected, or contains no person.
    """
    path, name = Path(path), hints.keypoint_format
    if name not in (None, *FORMATS):
        close = difflib.get_close_matches(str(name).lower(), FORMATS, n=2)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise UserError(f"keypoint format {name!r}: not known, expected one of {', '.join(FORMATS)}{hint}")
    budget = Budget(_RATIO * _size(path))
    with naming(path):
        everyone = [(_without_depth(people, path), one) for people, one in _read(path, hints, budget)]
        scale = _scale_of_confidences([people for people, _ in everyone], path)
        tracks = []
        for people, one in everyone:
            least = one.min_confidence if hints.min_confidence is None else hints.min_confidence
            if scale != 1:
                people = dataclasses.replace(people, values=people.values * [1, 1, scale])
            tracks += follow(_in_pixels(people, one, hints.image_size or people.image_size or hints.usual_size), budget, least)
    if not tracks:
        raise DataError(f"{path}: found no person in any frame")
    others = {people.image_size for people, _ in everyone} - {None, hints.image_size}
    if hints.image_size and others:
        (width, height), *_ = sorted(size for size in others if size)
        given = "{} x {}".format(*hints.image_size)
        warnings.warn(f"{path}: found images of {width} x {height} pixels, using {given} (--width, --height)", stacklevel=2)
    tracks.sort(key=lambda track: -int(track.detected.sum()))
    return tuple(_with_own_names(which_layout.with_body_25b(turned(tracks, hints.rotate, str(path)))))


def _without_depth(people: People, path: Path) -> People:
    """Replace third numbers that are the depth of MediaPipe's landmarks, beside positions in the image, by confidences."""
    x, y, third = np.moveaxis(people.values, -1, 0)
    sizes = np.abs([x, y])[np.isfinite([x, y])]
    if people.layout != "mediapipe_33" or not (third < -_NO_CONFIDENCE).any():
        return people
    known = np.isfinite([x, y, third]).all(0)
    signs = (x[known] < 0) | (y[known] < 0)
    if np.median(sizes) > MAX_NORMALISED and (signs.mean() > _NEGATIVE or np.abs(third[known]).max() > sizes.max()):
        return people  # points in 3D, around a centre
    warnings.warn(f"{path}: found third numbers below 0, using them as the depth of MediaPipe's landmarks", stacklevel=2)
    return dataclasses.replace(people, values=np.stack([x, y, np.where(np.isnan(third), np.nan, 1.0)], -1))


def _scale_of_confidences(everyone: list[People], path: Path) -> float:
    """Return the factor that scales a file's confidences to 0 to 1: 0.01 if they are in percent, 1/255 if in bytes, else 1.

    Raises:
      DataError: if the third number of a joint is not a confidence, as for points in 3D.
    """
    thirds = [people.values[..., 2][np.isfinite(people.values[..., 2])] for people in everyone]
    every = np.concatenate([np.empty(0), *thirds])
    is_bytes = len(every) and _PERCENT < every.max() <= _BYTE and (every >= 0).all() and (every == np.floor(every)).all()
    for people, third in zip(everyone, thirds, strict=True):
        negative = (third < -_NO_CONFIDENCE).mean() > _NO_CONFIDENCE if len(third) else False
        if len(third) and (negative or (np.median(third) > _PERCENT and not is_bytes)):
            raise DataError(
                f"{people.where}: found {third.min():.3g} to {third.max():.3g} as third number of a joint, expected a "
                "confidence; are these points in 3D?"
            )
    if not (every > 0).any() or np.median(every[every > 0]) <= _NO_SCORE or (every.max() > _PERCENT and not is_bytes):
        return 1.0
    found, form = f"{every.min():.3g} to {every.max():.3g}", "of 0 to 255" if is_bytes else "in percent"
    warnings.warn(f"{path}: found third numbers of {found}, using them as confidences {form}", stacklevel=2)
    return 1 / (_BYTE if is_bytes else _PERCENT)


def _size(path: Path) -> int:
    """Return the size of a file, or of all files in a folder, bytes."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return size_of(path, "keypoints of a video")


def _read(path: Path, hints: Hints, budget: Budget) -> Iterator[tuple[People, Format]]:
    """Yield the people of each video or picture, and their format."""
    name = hints.keypoint_format
    if path.is_dir():
        yield from _read_folder(path, name, budget)
        return
    with path.open("rb") as file:
        head = in_utf_8(file.read(4096)).lstrip()
    suffix = path.suffix.lower()
    if name is None and suffix in NOT_READ and not head.startswith((b"{", b"[", b"\x93NUMPY")):
        found, expected = NOT_READ[suffix]
        raise DataError(f"{path}: found {found}, which is not read, expected {expected}")
    if name == "npy" or (name is None and head.startswith(b"\x93NUMPY")):
        yield _with_layout(npz_files.read_npy(path, budget), FORMATS["npy"], None), FORMATS["npy"]
    elif name in npz_files.FORMATS or (name is None and (head.startswith(b"PK") or suffix == ".npz")):
        found, people = npz_files.read(path, name, budget)
        yield from ((_with_layout(one, FORMATS[found], None), FORMATS[found]) for one in people)
    elif name in _JSON or (name is None and (head[:1] in (b"{", b"[") or suffix == ".json")):
        yield from _read_json(json_files.load_json(path), name, path, budget)
    elif name == "yolo_txt":
        yield from _of_seen(yolo_labels.read([path]), FORMATS[name], path, budget)
    elif name is None and suffix not in (".csv", ".tsv", ".txt") and not any(c in head.split(b"\n")[0] for c in b",;\t"):
        raise DataError(
            f"{path}: found neither a NumPy file, nor JSON, nor a table, expected a keypoint format; "
            f"{nearest([suffix.strip('.')], FORMATS.values())}"
        )
    else:
        names, rows, deeplabcut = csv_files.read(path, budget)
        if name == "deeplabcut" and not deeplabcut:
            raise DataError(f"{path}: found a table, expected DeepLabCut's three header lines, which begin with 'scorer'")
        if objects := json_tables.with_objects(names, rows):
            yield from _read_json(objects, None, path, budget)
            return
        one = FORMATS["deeplabcut" if deeplabcut else "csv"]
        yield from _of_seen(csv_files.people_of(names, rows, path), one, path, budget)


def _read_json(content: Any, name: str | None, path: Path, budget: Budget) -> Iterator[tuple[People, Format]]:
    """Yield the people of each video or picture of a JSON file's content, and their format."""
    content = json_tables.by_frame(content)
    if content in ([], {}):
        return
    if name is None and (lines := json_tables.as_table(content, path, budget)):
        yield from _of_seen(csv_files.people_of(*lines, path), FORMATS["csv"], path, budget)
        return
    for person, own in json_files.by_person(content):
        one = FORMATS[name] if name else json_files.recognise(own, path)
        seen = json_files.read(own, one, path)
        if person is not None:
            seen = (each._replace(track=person) for each in seen)
        yield from _of_seen(seen, one, path, budget, json_files.file_info(content, path))


def _read_folder(folder: Path, name: str | None, budget: Budget) -> Iterator[tuple[People, Format]]:
    """Read a folder with one file for each picture: JSON files or YOLO labels."""
    if name not in (None, "yolo_txt", *_JSON):
        raise DataError(f"{folder}: found a folder, expected a file of the format {name}")
    files = sorted(
        file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".") and file.stat().st_size
    )
    wanted = {suffix: [file for file in files if file.suffix.lower() == suffix] for suffix in (".json", ".txt")}
    wanted[".txt"] = [file for file in wanted[".txt"] if file.name.lower() not in ("classes.txt", "readme.txt")]
    suffix = max(wanted, key=lambda ending: len(wanted[ending]))
    if name:
        suffix = ".txt" if name == "yolo_txt" else ".json"
    files = wanted[suffix]
    if not files:
        inside = [child for child in sorted(folder.iterdir()) if child.is_dir()]
        hint = f"; is it the folder {inside[0].name} inside?" if inside else ""
        kinds = collections.Counter(file.suffix.lower() for file in folder.iterdir() if file.is_file())
        usual = [f"{kinds[kind]:,} {kind}" for kind in (".csv", ".npz", ".npy") if kinds[kind]]
        beside = f" but {' and '.join(usual)}" if usual else ""
        hint = hint or ("; is it one of these files?" if usual else "")
        wanted_kind = suffix if name else ".json or .txt"
        raise DataError(f"{folder}: found no {wanted_kind} file{beside}, expected one for each picture{hint}")
    if len(files) > _MAX_FILES:
        raise DataError(f"{folder}: found {len(files):,} files, expected at most {_MAX_FILES:,}")
    if suffix == ".txt":
        yield from _of_seen(yolo_labels.read(files), FORMATS["yolo_txt"], folder, budget)
        return
    found: list[Detection] = []
    one = FORMATS[name] if name else None
    others = []
    kind = list if isinstance(json_files.load_json(files[len(files) // 2]), list) else dict  # of most files
    for file in files:
        content = json_files.load_json(file)
        if content in ([], {}, {"people": []}):
            continue
        stray = not isinstance(content, kind) and not re.search("[0-9]", file.name)  # beside pictures, such as settings.json
        if name is None and (stray or (isinstance(content, dict) and not json_files.is_known(content))):
            others.append(file)
            continue
        if one is None:
            one = json_files.recognise(content, file)
        people = list(json_files.read(content, one, file))
        if not one.folder or len({person.picture for person in people}) > 1:
            raise DataError(f"{file}: found several frames of the format {one.name}, expected one file or a folder of pictures")
        picture = file.name.removesuffix("_keypoints.json").removesuffix(".predictions.json").removesuffix(".json")
        found += [person._replace(picture=picture) for person in people]
        budget.charge(sum(2 * person.values.nbytes for person in people))
    if others and not found:
        json_files.recognise(json_files.load_json(others[0]), others[0])  # raises the error
    if others:
        unread = f"{len(others):,} of {len(files):,} files without keypoints, such as {one_line(others[0].name, 60)}"
        warnings.warn(f"{folder}: found {unread}", stacklevel=2)
    if one:
        yield from _of_seen(iter(found), one, folder, budget)


def _of_seen(
    seen: Iterator[Detection],
    one: Format,
    path: Path,
    budget: Budget,
    info: tuple[tuple[int, int] | None, object, object] = (None, None, None),
) -> Iterator[tuple[People, Format]]:
    """Yield the people of each video or picture, in the layout that the names or the number of joints determine."""
    size, fps, data_set = info
    pictures = list(seen)
    if any(person.has_depth for person in pictures):
        warnings.warn(
            f"{path}: found a third coordinate of joints, using x and y as pixels; are these points in 3D?",
            stacklevel=2,
        )
    named = named_alike(pictures, path)
    for people in gather(pictures, path, budget):
        people = dataclasses.replace(people, image_size=people.image_size or size, fps=frame_rate(fps, str(path)))
        if named:
            layout, indices = in_layout(named, str(path))
            values = np.where((indices >= 0)[:, None], people.values[:, np.maximum(indices, 0)], [np.nan, np.nan, 0.0])
            yield dataclasses.replace(people, layout=layout, values=values), one
        else:  # in the order of a detector
            yield _with_layout(people, one, data_set), one


def _with_layout(people: People, one: Format, data_set: object) -> People:
    """Set the layout of people by their number of joints, and remove additional joints after those of the layout."""
    layouts = one.layouts
    if isinstance(data_set, str) and one.layouts:
        layouts = DATA_SETS.get(data_set, {})
    joints = people.values.shape[1]
    alike = [layout.name for layout in LAYOUTS.values() if len(layout.joints) == joints]
    usual = alike[0] if len(alike) == 1 and one.name in ("npy", "npz", "csv", "json") else None
    layout, kept = layouts.get(joints, (people.layout or usual, joints))
    return dataclasses.replace(people, layout=layout, values=people.values[:, :kept])


def _in_pixels(people: People, one: Format, image_size: tuple[int, int] | None) -> People:
    """Convert coordinates from fractions of the image size to pixels if they are fractions."""
    size = image_size or people.image_size
    points = people.values[..., :2]
    missing = is_missing(points)
    numbers = points[~missing]
    shares = not len(numbers) or bool(np.median(np.abs(numbers)) <= MAX_NORMALISED)
    if len(numbers) and shares and (numbers < 0).mean() > _NEGATIVE:
        raise DataError(
            f"{people.where}: found coordinates around 0 to +-1, as of points in 3D or relative to the image's centre, "
            "expected pixels, or fractions of the image size from the upper left corner"
        )
    if not shares or not len(numbers):
        return dataclasses.replace(people, image_size=size)
    if size is None:
        raise DataError(
            f"{people.where}: found keypoints around 0 to 1, which seem normalised, expected pixels, or the image's size "
            "(--width and --height)"
        )
    if len(numbers) and np.abs(numbers).max() > _FARTHEST_SHARE:
        raise DataError(
            f"{people.where}: found a coordinate of {np.abs(numbers).max():.6g}, expected fractions of the image's width "
            "and height, 0 to 1"
        )
    values = people.values * [*size, 1]
    values[missing, :2] = np.nan
    return dataclasses.replace(people, values=values, image_size=size)


def _with_own_names(tracks: list[Track]) -> list[Track]:
    """Append numbers to the names of tracks that would have the same name."""
    taken: set[str] = set()
    numbers: collections.Counter[str] = collections.Counter()
    made = []
    for track in tracks:
        name = track.name
        while name.lower() in taken:  # lower case, because some file systems ignore case
            numbers[track.name] += 1
            name = f"{track.name}_{numbers[track.name] + 1}"
        taken.add(name.lower())
        made.append(track if name == track.name else dataclasses.replace(track, name=name))
    return made
