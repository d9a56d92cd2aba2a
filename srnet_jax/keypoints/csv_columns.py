"""Columns of tables of keypoints that say which picture shows whom, and when."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from srnet_jax.errors import DataError, one_line
from srnet_jax.io.text import shown
from srnet_jax.keypoints.people import TIME_UNITS, unit_of
from srnet_jax.keypoints.points import JOINT_KEYS, plain

Rows = list[tuple[str, list[str]]]  # the place of each line, and its cells
# Names of columns as `plain` gives them.
FRAME = ("frame", "frameno", "framenumber", "frameid", "frameindex", "frameidx", "framenum", "framecount", "frames")
IMAGE = ("imageid", "image", "imagename", "img", "imgname", "imagepath", "filename", "file")  # whose numbers may be ids
ROW = ("index", "idx")
_TRACK = (
    *("track", "trackid", "person", "personid", "personindex", "personidx", "individual", "subject", "subjectid", "player"),
    *("playerid", "objectid", "instance", "instanceid", "skeleton", "skeletonid", "poseid", "poseindex", "id"),
)
_VIDEO = (
    *("video", "videoname", "videoid", "videofile", "videopath", "clip", "clipname", "clipid", "sequence", "sequencename"),
    *("recording", "camera", "cameraid", "cam", "view", "trial"),
)
_MOST_FRAMES = 1e9
_COARSE = 0.5  # of the time between two frames


class Columns(NamedTuple):
    """Where a table says which picture shows whom: indices of columns, None where there are none."""

    names: list[str]
    frame: int | None
    track: int | None
    video: int | None
    time: int | None
    instants: dict[tuple[str, str], int]  # numbers of frames by video and time, in a table that does not number them

    @classmethod
    def of(cls, names: list[str], rows: Rows) -> "Columns":
        """Find the columns by their names and by what they hold."""
        first = {plain(name): index for index, name in reversed(list(enumerate(names)))}
        frame = next((first[name] for name in (*FRAME, *IMAGE, *ROW) if name in first), None)
        track = next((first[name] for name in _TRACK if name in first), None)
        videos = [first[name] for name in (*_VIDEO, *IMAGE) if name in first and first[name] != frame]
        if videos and frame is not None:  # no video if each frame has its own, which is then a picture's name
            told, frames = ({row[column] for _, row in rows} for column in (videos[0], frame))
            if len(told) == len(frames) == len({(row[videos[0]], row[frame]) for _, row in rows}):
                videos = []
        video = videos[0] if videos else None
        time = next((column for name, column in first.items() if name in TIME_UNITS and _all_numbers(rows, column)), None)
        return cls(names, frame, track, video, time, {})

    def joint(self, rows: Rows) -> int | None:
        """Return the column for the joint in a table with a line a joint, None if there is none."""
        first = {plain(name): index for index, name in reversed(list(enumerate(self.names)))}
        tells = self.time if self.frame is None else self.frame
        pictures = {(self.clip(row), "" if tells is None else row[tells]) for _, row in rows}
        for column in (first[name] for name in JOINT_KEYS if name in first and first[name] != self.frame):
            kinds = {row[column] for _, row in rows}
            once = column != self.track or len(kinds) * len(pictures) == len(rows)  # an id that all pictures have
            if once and len(kinds) > 1 and (len(kinds) < len(rows) or len(pictures) == 1):
                return column
        return None

    def person(self, row: list[str]) -> str | None:
        """Return the track id of a line."""
        return row[self.track][:60] or None if self.track is not None else None

    def clip(self, row: list[str]) -> str:
        """Return the video of a line, "" if the table holds one."""
        return row[self.video][:100] if self.video is not None else ""

    def picture(self, row: list[str], number: int, where: str) -> int | str:
        """Return a line's frame number or image name; `number` where the line has none."""
        if self.frame is None:
            return number if self.time is None else self.instants[self.clip(row), row[self.time]]
        return _picture(row[self.frame], number, where, plain(self.names[self.frame]) in IMAGE)

    def clock(self, row: list[str]) -> tuple[float, float] | None:
        """Return the time stamp of a line and its unit, see `Seen`."""
        return None if self.time is None else (float(row[self.time]), TIME_UNITS[plain(self.names[self.time])])


def _all_numbers(rows: Rows, column: int) -> bool:
    """Return whether all lines have a finite number in a column, not all the same."""
    told = {row[column] for _, row in rows}
    return len(told) > 1 and all(is_number(cell) and abs(float(cell)) < np.inf for cell in told)


def numbered(at: Columns, rows: Rows, path: Path, joint: int | None = None) -> Columns:
    """Return columns that number the frames by their times, in a table without a column for the frame, if times can.

    Otherwise a warning says why the times are not used; lines are counted.

    Args:
      at: the columns.
      rows: of the table.
      path: of the file, for messages.
      joint: the column for the joint, in a table with a line a joint.

    Raises:
      DataError: if times cannot number the frames of a table with a line a joint.
    """
    if at.frame is not None or at.time is None:
        if at.frame is None and at.track is not None and joint is None:
            warnings.warn(f"{path}: has no column for the frame, each person's lines are counted", stacklevel=2)
        return at
    if not (wrong := _unusable(at, rows, joint)):
        return at._replace(instants=_instants(rows, at))
    message = f"{path}: {shown(at.names[at.time])} not used, {wrong}, expected times that increase, or a column for the frame"
    if joint is not None:  # a frame has many lines
        raise DataError(message)
    warnings.warn(f"{message}; lines{'' if at.track is None else ' of each person'} are counted", stacklevel=2)
    return at._replace(time=None)


def _unusable(at: Columns, rows: Rows, joint: int | None) -> str:
    """Return why times cannot number the frames, "" if they can.

    The times of whatever has one line a frame (a person, or a joint of one) increase, and so do those of all together; these
    may begin again only where others follow, as in a table that is sorted by person.
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
            return f"{place} has {one_line(row[at.time], 30)} again"
        if part < parts[clip]:
            return f"{place} has {one_line(row[at.time], 30)} after {times[-1]:g}"
        before[one] = time, parts[clip]
        times.append(time)
    if np.isfinite(TIME_UNITS[plain(at.names[at.time])]):
        return ""
    return "" if all(len(set(times)) < 2 or unit_of(np.array(times)) for times in clips.values()) else "nothing tells its unit"


def _instants(rows: Rows, at: Columns) -> dict[tuple[str, str], int]:
    """Number the frames of each video by their times, so that those without people are left out of the count.

    Time stamps as coarse as the frames do not show which are left out: they are numbered in order.
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
            if rounded < _COARSE * np.median(np.diff(times)) and steps.sum() < _MOST_FRAMES:
                numbers = np.append(0, np.cumsum(np.maximum(np.round(steps), 1))).astype(np.int64)
        found |= {(clip, cell): int(numbers[place]) for cell, place in zip(cells, places, strict=True)}
    return found


def is_number(cell: str) -> bool:
    """Return whether a cell holds a number, which may be NaN."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _picture(cell: str, number: int, where: str, is_image: bool) -> int | str:
    """Return the frame's number, or an image's name or id."""
    if is_number(cell):
        value = float(cell)
        if not 0 <= value < 1e15 or value != int(value):
            raise DataError(f"{where}: found frame {shown(cell)}, expected a whole number")
        return str(int(value)) if is_image else int(value)
    if not cell.isprintable() or len(cell) > 1000:
        raise DataError(f"{where}: found {shown(cell)}, expected a frame's number or an image's name")
    return cell or number
