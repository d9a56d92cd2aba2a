"""Track people through a video: combine detections in single frames into one track of keypoints for each person.

The readers of keypoint files return the people detected in each frame (`People`), and `follow` makes the tracks. A track
extends from the first to the last frame that shows the person. Missing joints are NaN; `complete` fills them. The rules:

- A person all of whose joints are missing (`points.mark_missing`) is not in the frame.
- People with a track id are tracked by it. If an id occurs twice in a frame, the person with the higher confidence is used. If
  it is also the only id, or if no id occurs twice in the file, ids do not identify people and are ignored.
- People without an id are linked from frame to frame, nearest pairs first, by the mean distance of the joints that both have.
  This may be half of the person's size (the diagonal of the box around the joints) for each frame in between, and two sizes at
  most. A person who was not seen for 30 frames is not continued. If no frame of a file has two people, all detections are one
  person. Two detections in one frame that differ by less than a tenth of the person's size are of the same person.
- A track of fewer than 10 frames is dropped if the longest track of its video has more than twenty times as many.
- An independent picture gives a track of one frame for each person.
"""

import dataclasses
import re
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints.people import FARTHEST_PX, FARTHEST_REACH, MAX_NORMALISED, REACH, People
from srnet_jax.keypoints.points import mark_missing

MEMORY = 30  # linking: frames
DOUBLE, DOUBLE_JOINTS = 0.1, 3  # mean distance of one person's two detections, sizes of the person; least number of joints
MOSTLY = 0.5  # of the frames
MAX_PEOPLE = 100  # to link in a frame, because all pairs are compared
MAX_FRAMES = 1_000_000
FEW_IDS = 3  # so few different ids may be people who are each seen once
SHORT, SHARE = 10, 0.05  # a track is dropped if shorter than this many frames and this fraction of the longest
UNEVEN = 0.2  # of the time between two frames
SAME_RATE = 0.02  # relative difference between a file's frame rate and that of its time stamps
_LANDSCAPE = ((640, 480), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
USUAL_SIZES = (*_LANDSCAPE, *((height, width) for width, height in _LANDSCAPE))


@dataclasses.dataclass(frozen=True)
class Track:
    """One person's keypoints through a video.

    Attributes:
      name: name of the video, the person or both, valid as a file name; different for each track of a file.
      keypoints: [T, J, 2] float32, pixels, of the detector's joints; NaN where a joint is missing.
      confidences: [T, J] float32, 0 to 1: 0 where a joint is missing, 1 if the file has no confidences.
      first_frame: number of the video's frame in row 0.
      layout: name of the keypoint layout, which need not be in `layouts`; None if not known.
      image_size: (width, height), pixels; None if not known.
      fps: rows per second; None if not known.
      detected: [T] bool; False if the frame does not show the person.
      times: [T] seconds of each frame, if they are known to be uneven.
      every: number of video frames from one row to the next.
      clip: name of the video if the file has several, else "".
    """

    name: str
    keypoints: np.ndarray
    confidences: np.ndarray
    first_frame: int
    layout: str | None
    image_size: tuple[int, int] | None
    fps: float | None
    detected: np.ndarray
    times: np.ndarray | None = None
    every: int = 1
    clip: str = ""

    @property
    def frames(self) -> np.ndarray:
        """The video's frame numbers [T]."""
        return self.first_frame + self.every * np.arange(len(self.keypoints))

    @property
    def seconds(self) -> np.ndarray | None:
        """The time [T] of each frame in the video, seconds; None if not known."""
        if self.times is not None or not self.fps:
            return self.times
        return self.frames / (self.fps * self.every)


def follow(people: People, budget: Budget, min_confidence: float = 0.0) -> list[Track]:
    """Track the people of a video.

    Args:
      people: the people detected in a video.
      budget: limit on the memory for reading the file.
      min_confidence: confidence below which a joint is missing.

    Returns:
      One track for each person, those with the most frames first; empty if no frame shows a person.

    Raises:
      DataError: if a number is too large for pixels, coordinates seem normalised, or there are too many frames.
    """
    people = _shown(people, min_confidence)
    if not len(people.frames):
        return []
    first, last = int(people.frames.min()), int(people.frames.max())
    if last - first >= MAX_FRAMES:
        raise DataError(f"{people.where}: found frames {first} to {last}, expected at most {MAX_FRAMES:,} frames")
    if people.still:
        order = np.argsort(-people.values[..., 2].sum(-1), kind="stable")
        groups: list[tuple[str | None, np.ndarray]] = [(people.ids[row], np.array([row])) for row in order]
    else:
        groups = [(name, _one_a_frame(people, rows)) for name, rows in _by_person(people)]
    longest = max(len(rows) for _, rows in groups)
    kept = [(name, rows) for name, rows in groups if len(rows) >= min(SHORT, SHARE * longest)]
    kept.sort(key=lambda group: -len(group[1]))
    made = []
    for number, (track, rows) in enumerate(kept, 1):
        alone = track is None and len(kept) == 1
        name = people.name if alone else f"{people.prefix}person_{number if track is None else track}"
        made.append(_track(people, rows, _file_name(name), budget))
    return made


def _shown(people: People, min_confidence: float) -> People:
    """Mark missing joints, and remove people without any joint."""
    values = mark_missing(people.values, min_confidence)
    shown = np.isfinite(values[..., 0]).any(-1)
    values = values[shown]
    frames = people.frames[shown]
    check_pixels(values, frames, people.where)
    ids = tuple(track for track, is_shown in zip(people.ids, shown, strict=True) if is_shown)
    times = None if people.times is None else people.times[shown]
    return dataclasses.replace(people, frames=frames, ids=ids, values=values, times=times)


def check_pixels(values: np.ndarray, frames: np.ndarray, where: str) -> None:
    """Check that coordinates can be pixels.

    Args:
      values: [N, J, 2 or more] x, y; NaN where a joint is missing. Each row has a joint.
      frames: [N] frame numbers.
      where: begins messages.

    Raises:
      DataError: if a number is too large for pixels, coordinates seem normalised, or all joints coincide.
    """
    if not len(values):
        return
    most = np.nanmax(np.abs(values[..., :2]), axis=(1, 2))
    if (most >= FARTHEST_PX).any():
        raise DataError(
            f"{where}: found keypoints of {FARTHEST_PX:,.0f} or more in frame {frames[most >= FARTHEST_PX].min()}, "
            "expected pixels"
        )
    if most.max() <= MAX_NORMALISED:
        raise DataError(f"{where}: found only keypoints within +-{MAX_NORMALISED}, which seem normalised, expected pixels")
    spread = np.nanmax(values[..., :2], axis=1) - np.nanmin(values[..., :2], axis=1)  # [N, 2]
    if not spread.any() and np.isfinite(values[..., 0]).sum(-1).max() > 1:
        raise DataError(f"{where}: found all joints at one point in each frame, expected a person's")


def turned(tracks: Sequence[Track], degrees: int, path: str) -> list[Track]:
    """Return the tracks of a file as if its images were rotated clockwise by 0, 90, 180 or 270 degrees."""
    return [_turned(track, degrees) for track in with_image_sizes(tracks, path)] if degrees else list(tracks)


def _turned(track: Track, degrees: int) -> Track:
    assert track.image_size is not None
    width, height = track.image_size
    x, y = track.keypoints[..., 0], track.keypoints[..., 1]
    points = {90: (height - y, x), 180: (width - x, height - y), 270: (y, width - x)}[degrees]
    size = (width, height) if degrees == 180 else (height, width)
    return dataclasses.replace(track, keypoints=np.stack(points, -1).astype(np.float32), image_size=size)


def with_image_sizes(tracks: Sequence[Track], path: str) -> list[Track]:
    """Give the tracks of a file an image size if they have none.

    An unknown size is assumed to be a common one that contains all keypoints, with a warning: the one whose middle is nearest
    to the median keypoint. The optical axis is assumed to be in the middle of the image, and the orientation of poses depends
    on the angle between the axis and the person.
    """
    if all(track.image_size for track in tracks):
        return list(tracks)
    points = np.concatenate([track.keypoints.reshape(-1, 2) for track in tracks])
    width, height = np.ceil(np.nanmax(points, axis=0)).astype(int).clip(1).tolist()
    middle = np.nanmedian(points, axis=0)
    fitting = [size for size in USUAL_SIZES if width <= size[0] and height <= size[1]] or [(width, height)]
    size = min(fitting, key=lambda size: float(np.linalg.norm(middle - np.array(size) / 2)) / max(size))
    warnings.warn(
        f"{path}: image size not known, assuming {size[0]} x {size[1]}; poses depend on it (--width, --height)",
        stacklevel=2,
    )
    return [dataclasses.replace(track, image_size=track.image_size or size) for track in tracks]


def _by_person(people: People) -> Iterator[tuple[str | None, np.ndarray]]:
    """Yield the track id (None if the detections were linked) and the rows of each person."""
    groups: dict[str, list[int]] = {}
    unnamed: list[int] = []
    for row, track in enumerate(people.ids):
        (unnamed if track is None else groups.setdefault(track, [])).append(row)
    if len(groups) == 1:
        (rows,) = groups.values()
        if len(set(people.frames[rows].tolist())) < len(rows):  # AlphaPose gives all the same id if it does not track
            groups, unnamed = {}, list(range(len(people.frames)))
    if len(groups) == len(people.ids) > FEW_IDS and len(set(people.frames.tolist())) > 1:  # each detection has its own id
        groups, unnamed = {}, list(range(len(people.frames)))
    for track, rows in groups.items():
        yield track, np.array(rows)
    if unnamed:
        rows_unnamed = np.array(unnamed)
        numbers = _link(people.frames[rows_unnamed], people.values[rows_unnamed], people.where)
        order = np.argsort(numbers, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1):
            yield None, rows_unnamed[part]


def _one_a_frame(people: People, rows: np.ndarray) -> np.ndarray:
    """Return the rows of a person in the order of frames; of each frame only the row with the highest confidence."""
    frames = people.frames[rows]
    order = np.lexsort((people.values[rows, :, 2].mean(-1), frames))
    return rows[order[np.append(frames[order][1:] != frames[order][:-1], True)]]


def _link(frames: np.ndarray, values: np.ndarray, where: str) -> np.ndarray:
    """Link N detections without ids, and return the number of the person of each, [N]."""
    numbers, order = np.zeros(len(frames), np.int64), np.argsort(frames, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(frames[order])) + 1)
    most = max(groups, key=len)
    if len(most) == 1:
        return numbers
    if len(most) > MAX_PEOPLE:
        raise DataError(
            f"{where}: found {len(most)} people without track ids in frame {frames[most[0]]}, expected at most {MAX_PEOPLE}"
        )
    every = [_doubles(values, rows) for rows in groups]
    if (twice := sum(map(bool, every))) > MOSTLY * len(groups) > MOSTLY:
        warnings.warn(
            f"{where}: found two people at the same place in {twice} of {len(groups)} frames, expected each person once a "
            "frame; the surer one is used, are the frames numbered rightly?",
            stacklevel=2,
        )
    if all(len(rows) == len(doubles) + 1 for rows, doubles in zip(groups, every, strict=True)):
        return numbers
    last_rows, count = np.empty(0, np.int64), 0  # the last row of each person who may be continued
    for rows, doubles in zip(groups, every, strict=True):
        last_rows = last_rows[frames[rows[0]] - frames[last_rows] <= MEMORY]
        rows = rows[[row not in doubles for row in rows.tolist()]]
        for before, row in _nearest(values, last_rows, rows, frames[rows[0]] - frames[last_rows]):
            numbers[row] = numbers[before]
            last_rows = last_rows[last_rows != before]
            rows = rows[rows != row]
            last_rows = np.append(last_rows, row)
        numbers[rows] = np.arange(count, count + len(rows))
        count += len(rows)
        last_rows = np.append(last_rows, rows)[-MAX_PEOPLE:]
        for row, surer in doubles.items():
            numbers[row] = numbers[surer]
    return numbers


def _doubles(values: np.ndarray, rows: np.ndarray) -> dict[int, int]:
    """Return {row: the surer row of the same frame at the same place}, for people whom a detector found twice."""
    if len(rows) < 2:
        return {}
    ordered = rows[np.argsort(values[rows, :, 2].sum(-1), kind="stable")][::-1]
    points = values[ordered, :, :2]
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)  # [R, R, J]
    both = np.isfinite(gaps)
    means = np.where(both, gaps, 0).sum(-1) / np.maximum(both.sum(-1), 1)
    same = np.triu((both.sum(-1) >= DOUBLE_JOINTS) & (means < DOUBLE * _sizes(values[ordered])[:, None]), 1)  # [surer, row]
    found: dict[int, int] = {}
    for place in np.flatnonzero(same.any(0)):
        surer = next((row for row in ordered[same[:, place]].tolist() if row not in found), None)
        if surer is not None:
            found[int(ordered[place])] = surer
    return found


def _nearest(values: np.ndarray, before: np.ndarray, now: np.ndarray, passed: np.ndarray) -> list[tuple[int, int]]:
    """Match rows of earlier frames to rows of this frame, nearest pairs first.

    Args:
      values: [N, J, 3] x, y, confidence.
      before: [A] rows of earlier frames.
      now: [P] rows of this frame.
      passed: [A] number of frames since each of `before`.

    Returns:
      Pairs (row of an earlier frame, row of this frame).
    """
    points = values[..., :2]
    both = _seen(values[before])[:, None] & _seen(values[now])  # [A, P, J]
    gaps = np.linalg.norm(points[before][:, None] - points[now], axis=-1)  # [A, P, J]
    number = both.sum(-1)
    distances = np.where(number, np.where(both, gaps, 0).sum(-1) / np.maximum(number, 1), np.inf)  # [A, P]
    sizes = np.maximum(_sizes(values[before])[:, None], _sizes(values[now]))
    reach = sizes * np.minimum(REACH * passed, FARTHEST_REACH)[:, None]
    pairs = np.argwhere(distances <= reach)
    order = np.argsort(distances[tuple(pairs.T)], kind="stable")
    found: dict[int, int] = {}
    taken = set()
    for a, p in pairs[order].tolist():
        if a not in found and p not in taken:
            found[a] = p
            taken.add(p)
    return [(int(before[a]), int(now[p])) for a, p in found.items()]


def _seen(values: np.ndarray) -> np.ndarray:
    """Return the mask [..., J] of joints that are not missing."""
    return np.isfinite(values[..., 0])


def _sizes(values: np.ndarray) -> np.ndarray:
    """Return the diagonal [N], pixels, of the box around the visible joints of people [N, J, 3]."""
    seen, points = _seen(values)[..., None], values[..., :2]
    low = np.where(seen, points, np.inf).min(1)
    high = np.where(seen, points, -np.inf).max(1)
    return np.linalg.norm(high - low, axis=-1)


def _track(people: People, rows: np.ndarray, name: str, budget: Budget) -> Track:
    """Make a track from the rows of a person, which are in the order of frames."""
    frames, values = people.frames[rows], people.values[rows]
    length, joints = int(frames[-1] - frames[0]) + 1, values.shape[1]
    budget.charge(length * (40 * joints + 48))
    at = frames - frames[0]
    keypoints = np.full((length, joints, 2), np.nan, np.float32)
    confidences, detected = np.zeros((length, joints), np.float32), np.zeros(length, bool)
    keypoints[at], confidences[at], detected[at] = values[..., :2], values[..., 2], True
    times, fps = _times(people, frames[0] + np.arange(length))
    track = Track(name, keypoints, confidences, int(frames[0]), people.layout, people.image_size, fps, detected, times)
    return dataclasses.replace(track, clip=people.prefix)


def _times(people: People, frames: np.ndarray) -> tuple[np.ndarray | None, float | None]:
    """Return the seconds of frames [T], None if they are even, and the frame rate; interpolated in frames without people."""
    if people.times is None:
        return None, people.fps
    known, rows = np.unique(people.frames, return_index=True)
    if len(known) < 2:
        return None, people.fps
    seconds = people.times[rows]
    rate = float((known[-1] - known[0]) / (seconds[-1] - seconds[0]))
    if people.fps and abs(rate / people.fps - 1) < SAME_RATE:
        rate = people.fps
    grid = seconds[0] + (known - known[0]) / rate
    if not is_uneven(seconds, grid) and abs(seconds[0] - known[0] / rate) < UNEVEN / rate:
        return None, rate
    return np.interp(frames, known, seconds), rate


def is_uneven(seconds: np.ndarray, grid: np.ndarray) -> bool:
    """Return whether times [N] deviate from an even grid [N] by more than a fifth of its step."""
    return len(grid) > 1 and bool(np.abs(seconds - grid).max() > UNEVEN * np.diff(grid).min())


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name)[:60].strip("._") or "person"
