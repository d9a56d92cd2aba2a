"""Keypoints in tables: a line of numbers for each frame, or for each person in each frame."""

from pathlib import Path

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import numbered_lines, numbers, shown
from srnet_jax.keypoints.people import People, frame_number, video_name

_MAX_BYTES = 2_000_000_000


def read(path: Path, budget: Budget) -> People | None:
    """Read a `.csv` file.

    Its columns are the number of the frame, then x, y, or x, y, confidence, of one joint after the other. A header may name
    them: `frame`; `track`, if there are several people; and names that end with x and y (`nose_x`, `x0`), for a confidence any
    other. Without a header, if the number of columns allows both, every third number is a confidence if all lie within 0 and 1.

    Returns:
      The people, None if there are no lines but the header.

    Raises:
      DataError: if the file is missing or empty, or names the line that is not as it should be.
    """
    if (size := size_of(path, "a table")) > _MAX_BYTES:
        raise DataError(f"{path}: {size:,} bytes, expected a table of at most {_MAX_BYTES:,}")
    lines = [(where, _cells(line)) for where, line in numbered_lines(path)]
    (first, header), width = lines[0], len(lines[0][1])
    if width < 3:
        raise DataError(f"{first}: found {shown(','.join(header))}, expected frame, x, y, ... with commas between")
    frame_column, track_column, names = 0, None, None
    if not any(map(_is_number, header)):
        names = [cell.lower() for cell in header]
        lines = lines[1:]
        if "frame" not in names:
            raise DataError(f"{first}: found {shown(','.join(header))}, expected a column frame")
        frame_column = names.index("frame")
        track_column = names.index("track") if "track" in names else None
    columns = [column for column in range(width) if column not in (frame_column, track_column)]
    frames, tracks, rows, seen = [], [], [], set()
    for where, cells in lines:
        if len(cells) != width:
            raise DataError(f"{where}: found {len(cells)} columns, expected {width}, as in {first.removeprefix(f'{path}: ')}")
        (frame,) = numbers([cells[frame_column]], 1, where)
        frames.append(frame_number(frame, where))
        tracks.append((cells[track_column] or None) if track_column is not None else None)
        rows.append(np.array(numbers([cells[column] for column in columns], len(columns), where)))
        budget.charge(4 * rows[-1].nbytes)
        if track_column is None and frames[-1] in seen:
            raise DataError(f"{where}: found frame {frames[-1]} again, expected each once, or a column track in a header")
        seen.add(frames[-1])
    if not rows:
        return None
    values = np.stack(rows)
    size = _numbers_a_joint(None if names is None else [names[column] for column in columns], values, first)
    made = np.ones((len(values), values.shape[1] // size, 3))
    made[..., :size] = values.reshape(*made.shape[:2], size)  # [N, J, 2 or 3]
    return People(str(path), video_name(path.name), np.array(frames, np.int64), tuple(tracks), made)


def _cells(line: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(",")]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers_a_joint(names: list[str] | None, values: np.ndarray, where: str) -> int:
    """Return 2, or 3 if there are confidences."""
    count = values.shape[1]
    if names is not None:
        axes = [next(filter(str.isalpha, reversed(name)), "") for name in names]  # the last letter
        size = 2 if axes[2:3] == ["x"] or len(axes) == 2 else 3
        for column, axis in enumerate(axes):
            expected = "xy?"[column % size]
            if (axis != expected) if expected != "?" else (axis in ("x", "y")):
                raise DataError(
                    f"{where}: found the column {shown(names[column])}, expected x, y or x, y, confidence of each joint"
                )
    else:
        size = 3 if count % 3 == 0 and (count % 2 or ((values[:, 2::3] >= 0) & (values[:, 2::3] <= 1)).all()) else 2
    if count % size or not count:
        raise DataError(f"{where}: found {count} columns of keypoints, expected x, y or x, y, confidence of each joint")
    return size
