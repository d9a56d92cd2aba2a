"""When frames were filmed, and which part of a video is taken.

Seconds count from the video's first frame, or as a keypoint file counts them. Times that are even are left to the frame rate.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track

_SAME_RATE = 0.05  # relative difference of frame rates
_ROUNDING = 1e-6  # seconds, so that 0.1 finds the frame at 3/30


@dataclasses.dataclass(frozen=True)
class Part:
    """Which frames of a video are taken.

    Attributes:
      start: seconds, of the first frame at the earliest.
      end: seconds, which the last frame is before.
      every: take the frames whose number is a multiple of this.
    """

    start: float = 0.0
    end: float = np.inf
    every: int = 1

    @property
    def is_timed(self) -> bool:
        """Whether the part needs to know when frames are."""
        return self.start > 0 or self.end < np.inf

    def holds(self, numbers: np.ndarray, seconds: np.ndarray | None) -> np.ndarray:
        """Return which frames are taken, bool [N], of frames with these numbers [N] at these seconds [N]."""
        taken = np.asarray(numbers) % self.every == 0
        if self.is_timed:
            assert seconds is not None
            taken &= (seconds >= self.start - _ROUNDING) & (seconds < self.end - _ROUNDING)
        return taken

    def __str__(self) -> str:
        """Return what messages call the part."""
        said = [f"from {self.start:g} s"] if self.start > 0 else []
        said += [f"before {self.end:g} s"] if self.end < np.inf else []
        said += [f"whose number is a multiple of {self.every}"] if self.every > 1 else []
        return " ".join(["frames", *said])


WHOLE = Part()


def part(start: float | None, end: float | None, every: int = 1) -> Part:
    """Return the part of a video from `start` to `end`, seconds, None for its beginning or end.

    Raises:
      UserError: if it is empty.
    """
    made = Part(start or 0.0, np.inf if end is None else end, every)
    if not 0 <= made.start < made.end:
        raise UserError(f"--start, --end: found {made.start:g} and {made.end:g} s, expected 0 <= start < end")
    if every < 1:
        raise UserError(f"--every: found {every}, expected at least 1")
    return made


def chosen(tracks: Sequence[Track], wanted: Part, fps: float | None, where: str) -> tuple[Track, ...]:
    """Return what tracks show in a part of the video; frame numbers and times stay the video's.

    Pictures for themselves are all taken, whatever `every` is.

    Args:
      tracks: of one file.
      wanted: the part.
      fps: frames per second as a user says, which count before the file's; None for the file's.
      where: begins messages.

    Raises:
      UserError: if `start` or `end` need a frame rate that nobody says.
      DataError: if the part shows nobody.
    """
    if wanted == WHOLE:
        return tuple(tracks)
    if wanted.is_timed and not fps and any(track.seconds is None for track in tracks):
        raise UserError(f"{where}: frames per second not known, expected --fps with --start and --end")
    kept = []
    for track in tracks:
        rows = np.flatnonzero(wanted.holds(track.frames, _seconds(track, fps)))
        shown = rows[track.detected[rows]]
        if len(shown):  # from the first to the last frame that shows the person, as everywhere
            alone = len(track.keypoints) == 1  # has no row before, which `every` could mean
            kept.append(track if alone else _strided(track, slice(shown[0], shown[-1] + 1, wanted.every)))
    if not kept:
        spans = [seconds[[0, -1]] for track in tracks if (seconds := _seconds(track, fps)) is not None]
        when = f", found people from {min(s[0] for s in spans):g} to {max(s[1] for s in spans):g} s" if spans else ""
        raise DataError(f"{where}: no person in {wanted}{when}")
    return tuple(kept)


def _seconds(track: Track, fps: float | None) -> np.ndarray | None:
    """Return when each frame [T] is, None if nobody says; at the rate `fps` if given."""
    return track.frames / fps if fps else track.seconds


def _strided(track: Track, rows: slice) -> Track:
    return dataclasses.replace(
        track,
        keypoints=track.keypoints[rows],
        confidences=track.confidences[rows],
        detected=track.detected[rows],
        times=None if track.times is None else track.times[rows],
        first_frame=int(track.frames[rows.start]),
        every=track.every * rows.step,
        fps=track.fps / rows.step if track.fps else None,
    )


def filmed(tracks: Sequence[Track], footage: Footage, where: str) -> tuple[Track, ...]:
    """Return tracks with the image size, frame rate and times of the video that they were found in.

    Numbers that count frames from 1 are told by the last, and count from 0 afterwards, with a warning.

    Args:
      tracks: of one keypoint file.
      footage: the video, or a folder of pictures.
      where: begins messages.

    Raises:
      DataError: if the tracks cannot be of this video: they have frames after its last, another image size, or several videos.
    """
    if footage.still:
        raise DataError(f"{footage.path}: holds pictures of several names, expected the frames of one video for {where}")
    if clips := sorted({track.clip for track in tracks} - {""}):
        raise DataError(f"{where}: holds keypoints of {len(clips)} videos or pictures, expected those of {footage.path} alone")
    sizes = {track.image_size for track in tracks} - {None, footage.image_size}
    if sizes:
        found, expected = ("{} x {}".format(*size) for size in (sizes.pop() or (0, 0), footage.image_size))
        raise DataError(f"{where}: has images of {found} pixels, expected the {expected} of {footage.path}")
    first, last = min(track.first_frame for track in tracks), max(int(track.frames[-1]) for track in tracks)
    shift = int(last == footage.numbers[-1] + 1 and first > 0)
    if last - shift > footage.numbers[-1]:
        raise DataError(f"{where}: found frame {last}, expected at most {footage.numbers[-1]}, the last of {footage.path}")
    if shift:
        warnings.warn(f"{where}: frames seem to count from 1, taken as from 0", stacklevel=2)
    rates = [track.fps for track in tracks if track.fps and footage.fps and abs(track.fps / footage.fps - 1) > _SAME_RATE]
    if rates:
        warnings.warn(
            f"{where}: says {rates[0]:g} frames a second, {footage.path} {footage.fps:g}, which are taken", stacklevel=2
        )
    return tuple(_timed(dataclasses.replace(track, first_frame=track.first_frame - shift), footage) for track in tracks)


def _timed(track: Track, footage: Footage) -> Track:
    """Return a track of consecutive frames with the footage's size, rate and times; where it has none, with its own."""
    times = track.times if footage.times is None else None
    if footage.uneven and footage.times is not None:
        times = footage.times[track.frames]
    return dataclasses.replace(track, image_size=footage.image_size, fps=footage.fps or track.fps, times=times)
