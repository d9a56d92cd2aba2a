"""Keypoints of one's own videos and pictures, in the files that detectors write; `formats` describes them.

Each format has its joints in the order of its detector; `layouts` turns one order into another. `tracks` says how people are
followed, `pictures` which frame a picture is, `points` what counts as missing, and `complete` how it is filled.
"""

import collections
import dataclasses
import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError, UserError, naming
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import in_utf_8
from srnet_jax.keypoints import csv_files, json_files, npz_files, which_layout
from srnet_jax.keypoints.formats import DATA_SETS, FORMATS, JSON_FORMATS, Format
from srnet_jax.keypoints.json_files import Seen
from srnet_jax.keypoints.people import People, frame_rate, gather, in_layout
from srnet_jax.keypoints.points import MOST_JOINTS
from srnet_jax.keypoints.tracks import MAX_NORMALISED, Track, follow
from srnet_jax.pose.layouts import LAYOUTS

_RATIO = 64  # of a budget to the size of the files: a number has several digits, and npz may be compressed
_MAX_FILES = 1_000_000
_NEGATIVE = 0.2  # of shares of an image, a few of which may lie left of it or above
_NO_CONFIDENCE, _NO_SCORE = 0.05, 100.0  # some detectors' scores go below 0 or above 1 a little
_FARTHEST_SHARE = 10.0
_JSON = {one.name for one in JSON_FORMATS}


@dataclasses.dataclass(frozen=True)
class Hints:
    """What a user says of a file, where it does not.

    Attributes:
      keypoint_format: a name of FORMATS; None finds it from the content.
      image_size: width and height, pixels, for coordinates that are shares of it.
      min_confidence: below which a joint is missing; None for the format's own.
    """

    keypoint_format: str | None = None
    image_size: tuple[int, int] | None = None
    min_confidence: float | None = None


def load(path: str | Path, hints: Hints = Hints()) -> tuple[Track, ...]:
    """Read the keypoints of each person in a file, or in a folder of files of one picture each.

    Args:
      path: of the file or folder.
      hints: what the file does not say.

    Returns:
      At least one track; those that show their person in most frames first.

    Raises:
      UserError: if there is no such format.
      DataError: if the file is missing or damaged, does not hold what was expected, or shows nobody.
    """
    path, name = Path(path), hints.keypoint_format
    if name not in (None, *FORMATS):
        close = difflib.get_close_matches(str(name).lower(), FORMATS, n=2)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        raise UserError(f"keypoint format {name!r}: not known, expected one of {', '.join(FORMATS)}{hint}")
    budget = Budget(_RATIO * _size(path))
    with naming(path):
        tracks = []
        for people, one in _read(path, hints, budget):
            _refuse_depth(people)
            least = one.min_confidence if hints.min_confidence is None else hints.min_confidence
            tracks += follow(_in_pixels(people, one, hints.image_size), budget, least)
    if not tracks:
        raise DataError(f"{path}: no person in any frame")
    tracks.sort(key=lambda track: -int(track.detected.sum()))
    return tuple(_with_own_names(which_layout.settled(tracks)))


def _refuse_depth(people: People) -> None:
    """Refuse points whose third number is no confidence.

    Raises:
      DataError: says that they are in 3D.
    """
    third = people.values[..., 2][np.isfinite(people.values[..., 2])]
    if len(third) and ((third < -_NO_CONFIDENCE).mean() > _NO_CONFIDENCE or np.median(third) > _NO_SCORE):
        raise DataError(
            f"{people.where}: found {third.min():.3g} to {third.max():.3g} as third number of a joint, expected a confidence; "
            "are these points in 3D?"
        )


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files that a folder holds."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return size_of(path, "keypoints of a video")


def _read(path: Path, hints: Hints, budget: Budget) -> Iterator[tuple[People, Format]]:
    """Yield the people of each video or picture, and the format that they are in."""
    name = hints.keypoint_format
    if path.is_dir():
        yield from _read_folder(path, name, budget)
        return
    with path.open("rb") as file:
        head = in_utf_8(file.read(4096)).lstrip()
    if name == "npy" or (name is None and head.startswith(b"\x93NUMPY")):
        yield _with_layout(npz_files.read_npy(path, budget), FORMATS["npy"], None), FORMATS["npy"]
    elif name in npz_files.FORMATS or (name is None and (head.startswith(b"PK") or path.suffix.lower() == ".npz")):
        found, people = npz_files.read(path, name, budget)
        yield from ((_with_layout(one, FORMATS[found], None), FORMATS[found]) for one in people)
    elif name in _JSON or (name is None and (head[:1] in (b"{", b"[") or path.suffix.lower() == ".json")):
        content = json_files.load_json(path)
        if content in ([], {}):
            return
        one = FORMATS[name] if name else json_files.recognise(content, path)
        seen = json_files.read(content, one, path)
        yield from _of_seen(seen, one, path, budget, json_files.about(content, path))
    elif (
        name is None
        and path.suffix.lower() not in (".csv", ".tsv", ".txt")
        and not any(c in head.split(b"\n")[0] for c in b",;\t")
    ):
        raise DataError(f"{path}: found neither NumPy's form, nor JSON, nor a table, expected {', '.join(FORMATS)}")
    else:
        rows, deeplabcut = csv_files.read(path, budget)
        one = FORMATS["deeplabcut" if deeplabcut else "csv"]
        yield from _of_seen(iter(rows), one, path, budget, (None, None, None))


def _read_folder(folder: Path, name: str | None, budget: Budget) -> Iterator[tuple[People, Format]]:
    """Read a folder of files of one picture each: JSON, or YOLO's labels."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".json", ".txt") and file.is_file())
    files = [file for file in files if file.name.lower() != "classes.txt" and file.stat().st_size]
    if not files:
        inside = [child for child in sorted(folder.iterdir()) if child.is_dir()]
        hint = f"; is it {inside[0].name} in it?" if inside else ""
        raise DataError(f"{folder}: found no .json or .txt file, expected one for each picture{hint}")
    if len(files) > _MAX_FILES:
        raise DataError(f"{folder}: found {len(files):,} files, expected at most {_MAX_FILES:,}")
    if files[0].suffix.lower() == ".txt":
        labels = FORMATS["yolo_txt"]
        yield from _of_seen(_yolo(files), labels, folder, budget, (None, None, None))
        return
    found: list[Seen] = []
    one = FORMATS[name] if name else None
    for file in files:
        if file.suffix.lower() != ".json":
            continue
        content = json_files.load_json(file)
        if content in ([], {}, {"people": []}):
            continue
        if one is None:
            one = json_files.recognise(content, file)
        people = list(json_files.read(content, one, file))
        if not one.folder or len({person.picture for person in people}) > 1:
            raise DataError(f"{file}: found several frames of the format {one.name}, expected one file or a folder of pictures")
        picture = file.name.removesuffix("_keypoints.json").removesuffix(".predictions.json").removesuffix(".json")
        found += [person._replace(picture=picture) for person in people]
        budget.charge(sum(2 * person.values.nbytes for person in people))
    if one:
        yield from _of_seen(iter(found), one, folder, budget, (None, None, None))


_YOLO_BOX = 5  # class, x, y, width, height


def _yolo(files: Iterable[Path]) -> Iterator[Seen]:
    """Yield the people of YOLO's labels: class, box, x, y or x, y, confidence of each joint, perhaps confidence, track id."""
    lines = [
        (file, f"{file}: line {number}", line.split())
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if line.strip()
    ]
    rows = []
    for file, where, words in lines:
        try:
            rows.append((file, where, [float(word) for word in words]))
        except ValueError:
            raise DataError(f"{where}: found text, expected class, box and keypoints as numbers") from None
    ends = all(row[-1] == abs(row[-1]) // 1 for _, _, row in rows)  # whole numbers: track ids
    for file, where, row in rows:
        count = len(row) - _YOLO_BOX
        joints, size, more = next(
            ((count - m) // s, s, m)
            for s in (3, 2, 1)
            for m in (0, 1, 2)
            if (count - m) % s == 0 and (_usual(count - m, s) or s == 1)
        )
        if size == 1:
            size = 3 if count % 3 == 0 else 2
            joints, more = count // size, 0
        if count < 2 or count != joints * size + more:
            raise DataError(f"{where}: found {max(count, 0)} numbers behind the box, expected x, y, confidence of each joint")
        made = np.ones((joints, 3))
        made[:, :size] = np.reshape(row[_YOLO_BOX : _YOLO_BOX + joints * size], (joints, size))
        yield Seen(file.name, f"{row[-1]:.0f}" if more and ends else None, made, None)


def _usual(count: int, size: int) -> bool:
    return count // size in FORMATS["yolo_txt"].layouts


def _of_seen(
    seen: Iterator[Seen], one: Format, path: Path, budget: Budget, about: tuple[tuple[int, int] | None, object, object]
) -> Iterator[tuple[People, Format]]:
    """Yield the people of each video or picture, in the layout that names or numbers of joints tell."""
    size, fps, data_set = about
    pictures = list(seen)
    numbers = all(isinstance(person.picture, int) for person in pictures)
    named = _named_alike(pictures)
    found = ((person.picture, person.track, person.values) for person in pictures)
    for people in gather(found, path, budget, is_frame=one.frame_numbers and numbers):
        people = dataclasses.replace(people, image_size=size, fps=frame_rate(fps, str(path)))
        if named and not numbered(named):
            layout, indices = in_layout(named, str(path))
            values = np.where((indices >= 0)[:, None], people.values[:, np.maximum(indices, 0)], [np.nan, np.nan, 0.0])
            yield dataclasses.replace(people, layout=layout, values=values), one
        else:  # in the order of a detector
            yield _with_layout(people, one, data_set), one


def _named_alike(people: list[Seen]) -> tuple[str, ...] | None:
    """Give all people the same named joints in the same order, and return the names; None if some have none."""
    names = dict.fromkeys(person.names for person in people)
    if None in names or not names:
        return None
    union = tuple(dict.fromkeys(name for own in names if own for name in own))
    if len(union) > MOST_JOINTS:
        return None
    if numbered(union):
        union = tuple(sorted(union, key=lambda name: int(re.findall("[0-9]+", name)[-1][-18:])))
    for index, person in enumerate(people):
        if person.names != union and person.names:
            values = np.full((len(union), 3), np.nan)
            values[[union.index(name) for name in person.names]] = person.values
            people[index] = person._replace(values=values, names=union)
    return union


def numbered(names: tuple[str, ...]) -> bool:
    """Return whether joints are called by numbers: `12`, `joint12`, `landmark_12`."""
    return len({re.sub("[0-9]+", "", name) for name in names}) == 1 and all(re.search("[0-9]", name) for name in names)


def _with_layout(people: People, one: Format, data_set: object) -> People:
    """Say which layout people have, and leave out what follows its joints."""
    layouts = one.layouts
    if isinstance(data_set, str) and one.layouts:
        layouts = DATA_SETS.get(data_set, {})
    joints = people.values.shape[1]
    alike = [layout.name for layout in LAYOUTS.values() if len(layout.joints) == joints]
    usual = alike[0] if len(alike) == 1 and one.name in ("npy", "npz", "csv", "json") else None
    layout, kept = layouts.get(joints, (people.layout or usual, joints))
    return dataclasses.replace(people, layout=layout, values=people.values[:, :kept])


def _in_pixels(people: People, one: Format, image_size: tuple[int, int] | None) -> People:
    """Turn shares of the image into pixels, if the format has them or all values are such."""
    size = people.image_size or image_size
    points = people.values[..., :2]
    numbers = points[np.isfinite(points).all(-1) & (points != 0).any(-1) & (points != -1).all(-1)]
    shares = not len(numbers) or bool(np.median(np.abs(numbers)) <= MAX_NORMALISED)
    if len(numbers) and shares and (numbers < 0).mean() > _NEGATIVE:
        raise DataError(
            f"{people.where}: found coordinates around 0 to +-1, as of points in 3D or counted from the image's centre, "
            "expected pixels, or shares of the image from its upper left corner"
        )
    if not shares or not len(numbers):
        return dataclasses.replace(people, image_size=size) if one.normalised and size else people
    if size is None:
        raise DataError(
            f"{people.where}: keypoints are around 0 to 1, they seem normalised, expected pixels, or the image's size (--width "
            "and --height)"
        )
    if len(numbers) and np.abs(numbers).max() > _FARTHEST_SHARE:
        raise DataError(
            f"{people.where}: found a coordinate of {np.abs(numbers).max():.6g}, expected shares of the image's width and "
            "height, 0 to 1"
        )
    return dataclasses.replace(people, values=people.values * [*size, 1], image_size=size)


def _with_own_names(tracks: list[Track]) -> list[Track]:
    """Number the tracks whose name another has."""
    taken: set[str] = set()
    numbers: collections.Counter[str] = collections.Counter()
    made = []
    for track in tracks:
        name = track.name
        while name.lower() in taken:  # lower: file systems that know no capitals
            numbers[track.name] += 1
            name = f"{track.name}_{numbers[track.name] + 1}"
        taken.add(name.lower())
        made.append(track if name == track.name else dataclasses.replace(track, name=name))
    return made
