"""Read keypoints from YOLO label files of ultralytics: one file for each picture, one line for each person."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.text import in_utf_8
from srnet_jax.keypoints.formats import FORMATS
from srnet_jax.keypoints.people import Detection

_BOX, _MORE = 5, 2  # class, x, y, width, height; confidence, track id


def read(files: Iterable[Path]) -> Iterator[Detection]:
    """Yield the detected people of label files.

    A line holds class, box, and x, y or x, y, confidence of each joint; a confidence and a track id may follow. Lines with
    only a box, as of objects that are no people, are skipped if others have joints.

    Raises:
      DataError: if a line is not in this form; the message names file and line.
    """
    lines = [
        (file, f"{file}: line {number}", line.replace(",", " ").split())
        for file in files
        for number, line in enumerate(in_utf_8(file.read_bytes()).decode(errors="replace").splitlines(), 1)
        if line.strip(" \t,")
    ]
    rows = []
    for file, where, words in lines:
        try:
            rows.append((file, where, [float(word) for word in words]))
        except ValueError:
            raise DataError(f"{where}: found text, expected class, box and keypoints as numbers") from None
    if any(len(row) > _BOX + _MORE for _, _, row in rows):
        rows = [row for row in rows if not _BOX <= len(row[-1]) <= _BOX + _MORE]  # without people of whom only the box is known
    ends = all(row[-1] == abs(row[-1]) // 1 for _, _, row in rows)  # if all lines end with whole numbers, these are track ids
    for file, where, row in rows:
        joints, size = _form(len(row) - _BOX, where)
        made = np.ones((joints, 3))
        made[:, :size] = np.reshape(row[_BOX : _BOX + joints * size], (joints, size))
        more = len(row) - _BOX - joints * size
        yield Detection(file.name, f"{row[-1]:.0f}" if more and ends else None, made)


def _form(count: int, where: str) -> tuple[int, int]:
    """Return the number of joints and the numbers per joint, 2 or 3, given how many numbers follow the box."""
    for size in (3, 2):
        for more in (0, 1, 2):
            joints, left = divmod(count - more, size)
            if not left and joints in FORMATS["yolo_txt"].layouts:
                return joints, size
    for size in (3, 2):
        if count >= size and count % size == 0:
            return count // size, size
    raise DataError(f"{where}: found {max(count, 0)} numbers after the box, expected x, y, confidence of each joint")
