"""Find the columns of a keypoint table that give the frame, the person, the video and the time, and number its frames."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.text import shown
from srnet_jax.keypoints import formats
from srnet_jax.keypoints.people import TIME_UNITS, clock_seconds, unit_of
from srnet_jax.keypoints.points import JOINT_KEYS, letters

Rows = list[tuple[str, list[str]]]  # the location of each line, for messages, and its cells
# Names of columns, as `letters` returns them.
FRAME = (*dict.fromkeys((*map(letters, formats.FRAME), *formats.FRAME_SPELLINGS)), "framecount", "frames")
IMAGE = ("imageid", "image", "imagename", "img", "imgname", "imagepath", "filename", "file")  # their numbers may be ids
ROW = ("index", "idx")
TRACK = (
    *("track", "trackid", "person", "personid", "personindex", "personidx", "individual", "subject", "subjectid", "player"),
    *("playerid", "objectid", "instance", "instanceid", "skeleton", "skeletonid", "poseid", "poseindex", "id"),
)
VIDEO = (
    *("video", "videoname", "videoid", "videofile", "videopath", "clip", "clipname", "clipid", "sequence", "sequencename"),
    *("recording", "camera", "cameraid", "cam", "view", "trial"),
)
_MAX_FRAMES = 1e9
_COARSE = 0.5  # of the time between two frames; time stamps rounded more coarsely do not show missing frames


class Columns(NamedTuple):
    """The columns of a table that give frame, person, video and time.

    Attributes:
      names: names of all columns.
      frame: index of the column of the frame number or image name; None if there is none.
      track: index of the column of the track id, likewise.
      video: index of the column of the video's name, likewise.
      time: index of the column of time stamps, likewise.
      instants: {(video, cell of the time): frame number}, for a table that does not number its frames.
    """

    names: list[str]
    frame: int | None
    track: int | None
    video: int | None
    time: int | None
    instants: dict[tuple[str, str], int]

    @classmethod
    def of(cls, names: list[str], rows: Rows) -> "Columns":
        """Find the columns by their names and their values."""
        first = {letters(name): index for index, name in reversed(list(enumerate(names)))}
        frame = next((first[name] for name in (*FRAME, *IMAGE, *ROW) if name in first), None)
        track = next((first[name] for name in TRACK if name in first), None)
        videos = [first[name] for name in (*VIDEO, *IMAGE) if name in first and first[name] != frame]
        if videos and frame is not None:  # if each frame has a name of its own, it is the picture's and not a video's
            names_of, frames = ({row[column] for _, row in rows} for column in (videos[0], frame))
            if len(names_of) == len(frames) == len({(row[videos[0]], row[frame]) for _, row in rows}):
                videos = []
        video = videos[0] if videos else None
        time = next((column for name, column in first.items() if name in TIME_UNITS and _all_numbers(rows, column)), None)
        return cls(names, frame, track, video, time, {})

    def joint(self, rows: Rows) -> int | None:
        """Return the column of the joint in a table with one line per joint; None in other tables."""
        first = {letters(name): index for index, name in reversed(list(enumerate(self.names)))}
        when = self.time if self.frame is None else self.frame
        pictures = {(self.clip(row), "" if when is None else row[when]) for _, row in rows}
        for column in (first[name] for name in JOINT_KEYS if name in first and first[name] != self.frame):
            kinds = {row[column] for _, row in rows}
            once = column != self.track or len(kinds) * len(pictures) == len(rows)  # every picture has each id
            if once and len(kinds) > 1 and (len(kinds) < len(rows) or len(pictures) == 1):
                return column
        return None

    def person(self, row: list[str]) -> str | None:
        """Return the track id of a line; None without one."""
        return row[self.track][:60] or None if self.track is not None else None

    def clip(self, row: list[str]) -> str:
        """Return the video's name in a line; "" if the table has no such column."""
        return row[self.video][:100] if self.video is not None else ""

    def picture(self, row: list[str], number: int, where: str) -> int | str:
        """Return the frame number or image name of a line; `number` if it has none."""
        if self.frame is None:
            return number if self.time is None else self.instants[self.clip(row), row[self.time]]
        return _picture(row[self.frame], number, where, letters(self.names[self.frame]) in IMAGE)

    def clock(self, row: list[str]) -> tuple[float, float] | None:
        """Return the time stamp of a line and its unit in seconds, as in `Detection`."""
        return None if self.time is None else (float(row[self.time]), TIME_UNITS[letters(self.names[self.time])])


def _all_numbers(rows: Rows, column: int) -> bool:
    """Return whether a column has a finite number in each line, and not always the same."""
    cells = {row[column] for _, row in rows}
    return len(cells) > 1 and all(is_number(cell) and abs(float(cell)) < np.inf for cell in cells)


def with_seconds(names: list[str], rows: Rows, path: Path) -> tuple[list[str], Rows]:
    """Convert columns of times such as 00:00:01.2 to seconds; warn of a column of times that are not known and not used."""
    for column, name in enumerate(names):
        cells = {row[column] for _, row in rows} - {""} if letters(name) in TIME_UNITS else set()
        found = {cell: clock_seconds(cell) for cell in cells}
        if cells and all(found.values()):
            names = [*names[:column], "seconds", *names[column + 1 :]]
            rows = [(where, [*row[:column], found.get(row[column]) or "", *row[column + 1 :]]) for where, row in rows]
        elif strange := sorted(cell for cell in cells if not is_number(cell)):
            found_cell = f"{path}: column {shown(name)} not used: found {shown(strange[0])}"
            warnings.warn(f"{found_cell}, expected seconds or hours:minutes:seconds", stacklevel=2)
    return names, rows


def numbered(at: Columns, rows: Rows, path: Path, joint: int | None = None) -> Columns:
    """Number the frames of a table by their times, if it has no column for the frame.

    If the times cannot be used, the lines are counted instead, and a warning gives the reason.

    Args:
      at: the columns of the table.
      rows: the lines of the table.
      path: of the file, for messages.
      joint: the column of the joint in a table with one line per joint, else None.

    Returns:
      The columns, with `instants` or without `time` if there is no column for the frame.

    Raises:
      DataError: if times cannot number the frames of a table with one line per joint.
    """
    if at.frame is not None or at.time is None:
        if at.frame is None and at.track is not None and joint is None:
            warnings.warn(f"{path}: found no column for the frame, counting the lines of each person", stacklevel=2)
        return at
    if not (wrong := _unusable(at, rows, joint)):
        return at._replace(instants=_instants(rows, at))
    column = f"{path}: column {shown(at.names[at.time])}"
    message = f"{column} not used: {wrong}, expected increasing times or a column for the frame"
    if joint is not None:  # each frame has many lines, which cannot be counted
        raise DataError(message)
    warnings.warn(f"{message}; counting the lines{'' if at.track is None else ' of each person'}", stacklevel=2)
    return at._replace(time=None)


def _unusable(at: Columns, rows: Rows, joint: int | None) -> str:
    """Return why times cannot number the frames; "" if they can.

    The times of each person, or of each joint of a person, must increase. The times of all lines together must increase too,
    but may start again with another person or joint, as in a table that is sorted by person.
    """
    assert at.time is not None
    clips: dict[str, list[float]] = {}
    parts: dict[str, int] = {}
    before: dict[tuple[str, ...], tuple[float, int]] = {}
    for where, row in rows:
        clip, time, place = at.clip(row), float(row[at.time]), where.rpartition(": ")[2]
        times = clips.setdefault(clip, [])
        parts[clip] = parts.get(clip, 0) + bool(times and time < times[-1])
        one = (clip, at.person(row) or "", "" if joint is None else row[joint])
        last, part = before.get(one, (-np.inf, parts[clip]))
        if last == time:
            return f"{place} repeats {one_line(row[at.time], 30)}"
        if part < parts[clip]:
            return f"{place} has {one_line(row[at.time], 30)} after {times[-1]:g}"
        before[one] = time, parts[clip]
        times.append(time)
    if np.isfinite(TIME_UNITS[letters(at.names[at.time])]):
        return ""
    return "" if all(len(set(times)) < 2 or unit_of(np.array(times)) for times in clips.values()) else "its unit is not known"


def _instants(rows: Rows, at: Columns) -> dict[tuple[str, str], int]:
    """Number the frames of each video by their times, so that frames without people leave gaps in the numbers.

    If the time stamps are rounded about as coarsely as the frames are apart, gaps cannot be recognised, and the frames are
    numbered consecutively.
    """
    assert at.time is not None
    found: dict[tuple[str, str], int] = {}
    for clip in dict.fromkeys(at.clip(row) for _, row in rows):
        cells = sorted({row[at.time] for _, row in rows if at.clip(row) == clip}, key=float)
        times, places = np.unique([float(cell) for cell in cells], return_inverse=True)
        numbers = np.arange(len(times))
        if len(times) > 1:
            steps = np.diff(times) / np.median(np.diff(times))
            rounded = 10.0 ** -max(len(cell.partition(".")[2]) for cell in cells)
            if rounded < _COARSE * np.median(np.diff(times)) and steps.sum() < _MAX_FRAMES:
                numbers = np.append(0, np.cumsum(np.maximum(np.round(steps), 1))).astype(np.int64)
        found |= {(clip, cell): int(numbers[place]) for cell, place in zip(cells, places, strict=True)}
    return found


def is_number(cell: str) -> bool:
    """Return whether a cell is a number, which may be NaN."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _picture(cell: str, number: int, where: str, is_image: bool) -> int | str:
    """Return the frame number, or the image's name or id; `number` for an empty cell."""
    if is_number(cell):
        value = float(cell)
        if not 0 <= value < 1e15 or value != int(value):
            raise DataError(f"{where}: found frame {shown(cell)}, expected a whole number, 0 or more")
        return str(int(value)) if is_image else int(value)
    if not cell.isprintable() or len(cell) > 1000:
        raise DataError(f"{where}: found {shown(cell)}, expected a frame number or an image name")
    return cell or number
