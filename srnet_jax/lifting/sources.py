"""Where people come from: a keypoint file, perhaps of a video that is there too, or a video in which a detector finds them."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from srnet_jax.errors import UserError
from srnet_jax.keypoints import keypoint_files, times, video
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track


class Finder(NamedTuple):
    """How MediaPipe looks for people.

    Attributes:
      model: its `.task` file; None for the model that some builds of the package hold.
      people: how many to look for.
    """

    model: Path | None = None
    people: int = 1


def from_file(
    path: Path, hints: keypoint_files.Hints, part: times.Part, fps: float | None = None, filmed: Footage | None = None
) -> tuple[Track, ...]:
    """Return the people of a keypoint file, in a part of the video.

    Args:
      path: of the file or folder.
      hints: what the file does not say; image sizes are those before `hints.rotate`.
      part: which frames are taken.
      fps: frames per second as a user says, which count before the file's.
      filmed: the video that they were found in, opened with the same `fps` and `rotate`; its times and image size are taken.

    Raises:
      UserError: if a file is missing, damaged or not understood, they do not belong together, or the part shows nobody.
    """
    if filmed is None:
        return times.select(keypoint_files.load(path, hints), part, fps, str(path))
    if hints.image_size not in (None, filmed.size_before):
        given, expected = ("{} x {}".format(*size) for size in (hints.image_size or (0, 0), filmed.size_before))
        raise UserError(f"--width, --height: found {given}, expected none, or the {expected} pixels of {filmed.path}")
    tracks = keypoint_files.load(path, dataclasses.replace(hints, usual_size=filmed.size_before))
    return times.select(times.with_footage(tracks, filmed, str(path)), part, None, str(path))


def from_video(
    filmed: Footage, finder: Finder, part: times.Part, track: Callable[[Iterable[Any]], Iterable[Any]]
) -> tuple[Track, ...]:
    """Return the people whom MediaPipe finds in a part of a video, or in pictures; `track` shows progress, see `video.detect`.

    Raises:
      UserError: if MediaPipe, its model or PyAV is missing, or the part shows nobody.
    """
    with video.mediapipe(finder.model, finder.people, still=filmed.still) as detector:
        return video.detect(filmed, detector, part=part, track=track)
