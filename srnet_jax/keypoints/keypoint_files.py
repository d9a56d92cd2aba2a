"""Keypoints of one's own videos, in the files that detectors write.

    format        what it is
    videopose3d   `data_2d_custom_*.npz`, one or several people in each of several videos
    detectron2    `.npz` of VideoPose3D's `infer_video_d2.py`; the person of the surest box in each frame
    openpose      a folder of `*_keypoints.json`, one a frame, or one such file
    alphapose     `alphapose-results.json`
    mmpose        JSON of `instance_info`, or of the inferencer: a list of frames, or of the people of one image
    coco          JSON of COCO's keypoint results: a list of {image_id, keypoints, score}
    mediapipe     JSON {width, height, fps, frames: [{landmarks: [{x, y, visibility} of 33 landmarks]} or null]}
    npz           `.npz` with `keypoints` [T, J, 2 or 3] or, of several people, [T, P, J, 2 or 3]; perhaps `confidences`,
                  `image_size`, `fps`, `layout`
    csv           a line a frame: its number, then x, y or x, y, confidence of each joint; see `csv_files`

Coordinates are pixels; those of `mediapipe` are shares of the width and height. Confidences are cut to 0 to 1.
`tracks` describes how people are followed, which are left out, and how missing frames are filled.

Each format has its joints in the order of its detector; `layouts` turns one order into another.
"""

import collections
import dataclasses
import difflib
from collections.abc import Iterable
from pathlib import Path

from srnet_jax.errors import DataError, UserError, naming
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints import csv_files, json_files, npz_files
from srnet_jax.keypoints.people import People
from srnet_jax.keypoints.tracks import Track, follow

FORMATS = ("videopose3d", "detectron2", *json_files.FORMATS, "npz", "csv")
_RATIO = 32  # of a budget to the size of the files: a number has several digits, and npz may be compressed


def load(path: str | Path, *, keypoint_format: str | None = None) -> tuple[Track, ...]:
    """Read the keypoints of each person in a file, or in a folder of OpenPose's files.

    Args:
      path: of the file or folder.
      keypoint_format: one of FORMATS; None finds it from the content.

    Returns:
      At least one track; those that show their person in most frames first.

    Raises:
      UserError: if there is no such format.
      DataError: if the file is missing or damaged, does not hold what was expected, or shows nobody.
    """
    path = Path(path)
    if keypoint_format not in (None, *FORMATS):
        close = difflib.get_close_matches(keypoint_format.lower(), FORMATS, n=1)
        hint = f" (did you mean {close[0]}?)" if close else ""
        raise UserError(f"keypoint format {keypoint_format!r}: not known, expected one of {', '.join(FORMATS)}{hint}")
    budget = Budget(_RATIO * _size(path))
    with naming(path):
        tracks = [track for people in _read(path, keypoint_format, budget) if people for track in follow(people, budget)]
    if not tracks:
        raise DataError(f"{path}: no person in any frame")
    tracks.sort(key=lambda track: -int(track.detected.sum()))
    return tuple(_with_own_names(tracks))


def _size(path: Path) -> int:
    """Return the bytes of a file, or of the files that a folder holds."""
    if path.is_dir():
        return sum(file.stat().st_size for file in path.iterdir() if file.is_file())
    return size_of(path, "keypoints of a video")


def _read(path: Path, name: str | None, budget: Budget) -> Iterable[People | None]:
    if path.is_dir():
        if name not in (None, "openpose"):
            raise DataError(f"{path}: a folder, expected a file of the format {name}")
        return [json_files.read_folder(path, budget)]
    with path.open("rb") as file:
        head = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
    if name in npz_files.FORMATS or (name is None and (head.startswith(b"PK") or path.suffix.lower() == ".npz")):
        return npz_files.read(path, name, budget)
    if name in json_files.FORMATS or (name is None and (head[:1] in (b"{", b"[") or path.suffix.lower() == ".json")):
        return [json_files.read(path, name, budget)]
    if name is None and path.suffix.lower() not in (".csv", ".txt") and b"," not in head.split(b"\n")[0]:
        raise DataError(f"{path}: found neither a NumPy archive, nor JSON, nor a table, expected {', '.join(FORMATS)}")
    return [csv_files.read(path, budget)]


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
