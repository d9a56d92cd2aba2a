"""Keypoints in ultralytics' labels: a file a picture, a line a person."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.keypoints.formats import FORMATS
from srnet_jax.keypoints.people import Seen

_BOX = 5  # class, x, y, width, height


def read(files: Iterable[Path]) -> Iterator[Seen]:
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
        joints, size = _form(len(row) - _BOX, where)
        made = np.ones((joints, 3))
        made[:, :size] = np.reshape(row[_BOX : _BOX + joints * size], (joints, size))
        more = len(row) - _BOX - joints * size
        yield Seen(file.name, f"{row[-1]:.0f}" if more and ends else None, made)


def _form(count: int, where: str) -> tuple[int, int]:
    """Return how many joints, of 2 or 3 numbers each, are among numbers that a confidence and a track id may follow."""
    for size in (3, 2):
        for more in (0, 1, 2):
            joints, left = divmod(count - more, size)
            if not left and joints in FORMATS["yolo_txt"].layouts:
                return joints, size
    for size in (3, 2):
        if count >= size and count % size == 0:
            return count // size, size
    raise DataError(f"{where}: found {max(count, 0)} numbers behind the box, expected x, y, confidence of each joint")
