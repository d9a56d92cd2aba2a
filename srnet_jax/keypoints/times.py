"""Select a part of a video by time or frame number, and give tracks the times of the video they were detected in.

Seconds start at the video's first frame, or are those of the keypoint file. Evenly spaced times are not stored; they follow
from the frame rate.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track

_SAME_RATE = 0.05  # relative difference of frame rates
_ROUNDING = 1e-6  # seconds; a start of 0.1 includes the frame at 3/30


@dataclasses.dataclass(frozen=True)
class Part:
    """A selection of the frames of a video.

    Attributes:
      start: earliest time of a frame, seconds.
      end: time that all frames precede, seconds.
      every: select only frames whose number is a multiple of this.
    """

    start: float = 0.0
    end: float = np.inf
    every: int = 1

    @property
    def is_timed(self) -> bool:
        """Whether the selection depends on the times of the frames."""
        return self.start > 0 or self.end < np.inf

    def holds(self, numbers: np.ndarray, seconds: np.ndarray | None) -> np.ndarray:
        """Return the mask [N] of the selected frames, given the frames' numbers [N] and times [N] in seconds."""
        taken = np.asarray(numbers) % self.every == 0
        if self.is_timed:
            assert seconds is not None
            taken &= (seconds >= self.start - _ROUNDING) & (seconds < self.end - _ROUNDING)
        return taken

    def __str__(self) -> str:
        """Describe the selection for messages."""
        words = [f"from {self.start:g} s"] if self.start > 0 else []
        words += [f"until {self.end:g} s"] if self.end < np.inf else []
        words += [f"whose number is a multiple of {self.every}"] if self.every > 1 else []
        return " ".join(["frames", *words])


WHOLE = Part()


def make_part(start: float | None, end: float | None, every: int = 1) -> Part:
    """Make a `Part` from the values of the flags --start, --end and --every.

    Args:
      start: seconds; None for the beginning of the video.
      end: seconds; None for the end of the video.
      every: select only frames whose number is a multiple of this.

    Raises:
      UserError: if the part is empty or `every` is below 1.
    """
    made = Part(start or 0.0, np.inf if end is None else end, every)
    if not 0 <= made.start < made.end:
        raise UserError(f"--start, --end: found {made.start:g} and {made.end:g} s, expected 0 <= start < end")
    if every < 1:
        raise UserError(f"--every: found {every}, expected at least 1")
    return made


def select(tracks: Sequence[Track], wanted: Part, fps: float | None, where: str) -> tuple[Track, ...]:
    """Select a part of the video from tracks; frame numbers and times stay those of the video.

    All independent pictures are selected, regardless of `every`.

    Args:
      tracks: the tracks of one file.
      wanted: the part.
      fps: frames per second given by the user, which override the file's; None for the file's.
      where: begins messages.

    Returns:
      The selected part of each track that shows its person there, from the first to the last such frame.

    Raises:
      UserError: if `start` or `end` need a frame rate that is not known.
      DataError: if no person is visible in the part.
    """
    if wanted == WHOLE:
        return tuple(tracks)
    if wanted.is_timed and not fps and any(track.seconds is None for track in tracks):
        raise UserError(f"{where}: frames per second not known, expected --fps with --start and --end")
    kept = []
    for track in tracks:
        rows = np.flatnonzero(wanted.holds(track.frames, _seconds(track, fps)))
        shown = rows[track.detected[rows]]
        if len(shown):  # from the first to the last frame that shows the person
            alone = len(track.keypoints) == 1  # a single row, to which `every` does not apply
            kept.append(track if alone else _strided(track, slice(shown[0], shown[-1] + 1, wanted.every)))
    if not kept:
        spans = [seconds[[0, -1]] for track in tracks if (seconds := _seconds(track, fps)) is not None]
        when = f"; people are visible from {min(s[0] for s in spans):g} to {max(s[1] for s in spans):g} s" if spans else ""
        raise DataError(f"{where}: found no person in {wanted}{when}")
    return tuple(kept)


def _seconds(track: Track, fps: float | None) -> np.ndarray | None:
    """Return the time of each frame [T], at the rate `fps` if given; None if it is not known."""
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


def with_footage(tracks: Sequence[Track], footage: Footage, where: str) -> tuple[Track, ...]:
    """Give tracks the image size, frame rate and times of the video that they were detected in.

    Frame numbers that start at 1 are recognised by the last one; they are shifted to start at 0, with a warning.

    Args:
      tracks: the tracks of one keypoint file.
      footage: the video, or a folder of pictures.
      where: begins messages.

    Returns:
      The tracks with the data of the video.

    Raises:
      DataError: if the tracks cannot be from this video: they have frames after its last one, another image size, or come from
        several videos.
    """
    if footage.still:
        raise DataError(f"{footage.path}: found pictures with several names, expected the frames of one video for {where}")
    if clips := sorted({track.clip for track in tracks} - {""}):
        raise DataError(f"{where}: found keypoints of {len(clips)} videos or pictures, expected only those of {footage.path}")
    sizes = {track.image_size for track in tracks} - {None, footage.image_size}
    if sizes:
        found, expected = ("{} x {}".format(*size) for size in (sizes.pop() or (0, 0), footage.image_size))
        raise DataError(f"{where}: found images of {found} pixels, expected {expected} as in {footage.path}")
    first, last = min(track.first_frame for track in tracks), max(int(track.frames[-1]) for track in tracks)
    shift = int(last == footage.numbers[-1] + 1 and first > 0)
    if last - shift > footage.numbers[-1]:
        raise DataError(f"{where}: found frame {last}, expected at most {footage.numbers[-1]}, the last of {footage.path}")
    if shift:
        warnings.warn(f"{where}: frame numbers seem to start at 1, shifted to start at 0", stacklevel=2)
    rates = [track.fps for track in tracks if track.fps and footage.fps and abs(track.fps / footage.fps - 1) > _SAME_RATE]
    if rates:
        warnings.warn(
            f"{where}: found {rates[0]:g} frames per second, using the {footage.fps:g} of {footage.path}", stacklevel=2
        )
    return tuple(_timed(dataclasses.replace(track, first_frame=track.first_frame - shift), footage) for track in tracks)


def _timed(track: Track, footage: Footage) -> Track:
    """Give a track of consecutive frames the size, rate and times of the footage; a missing rate or times stay the track's."""
    times = track.times if footage.times is None else None
    if footage.uneven and footage.times is not None:
        times = footage.times[track.frames]
    return dataclasses.replace(track, image_size=footage.image_size, fps=footage.fps or track.fps, times=times)
