"""Get the people to lift: from a keypoint file, with or without its video, or from a video in which a detector finds them."""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from srnet_jax.errors import UserError
from srnet_jax.keypoints import keypoint_files, times, video
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track


class Finder(NamedTuple):
    """Settings of MediaPipe, which finds people in a video.

    Attributes:
      model: the `.task` file of its model; None for the model that some builds of the package include.
      people: the largest number of people to find.
    """

    model: Path | None = None
    people: int = 1


def from_file(
    path: Path, hints: keypoint_files.Hints, part: times.Part, fps: float | None = None, filmed: Footage | None = None
) -> tuple[Track, ...]:
    """Load the people of a keypoint file, in a part of the video.

    Args:
      path: of the file or folder.
      hints: what the file does not state; image sizes are those before `hints.rotate`.
      part: the frames to use.
      fps: frames per second; it overrides that of the file. None to use the file's.
      filmed: the video in which the keypoints were found, opened with the same `fps` and `rotate`; its times and image size are
        used. None if there is no video.

    Returns:
      A track for each person.

    Raises:
      UserError: if a file is missing, damaged or not understood, the files do not belong together, or the part shows no person.
    """
    if filmed is None:
        return times.select(keypoint_files.load(path, hints), part, fps, str(path))
    if hints.image_size not in (None, filmed.size_before):
        given, expected = ("{} x {}".format(*size) for size in (hints.image_size or (0, 0), filmed.size_before))
        raise UserError(
            f"--width, --height: found {given}, expected neither flag, or the size of {filmed.path}, {expected} pixels"
        )
    tracks = keypoint_files.load(path, dataclasses.replace(hints, usual_size=filmed.size_before))
    return times.select(times.with_footage(tracks, filmed, str(path)), part, None, str(path))


def from_video(
    filmed: Footage, finder: Finder, part: times.Part, track: Callable[[Iterable[Any]], Iterable[Any]]
) -> tuple[Track, ...]:
    """Find the people in a part of a video, or in pictures, with MediaPipe.

    Args:
      filmed: the video or the pictures.
      finder: settings of MediaPipe.
      part: the frames to use.
      track: wraps the frames to show progress, see `video.detect`.

    Returns:
      A track for each person.

    Raises:
      UserError: if MediaPipe, its model or PyAV is missing, or the part shows no person.
    """
    with video.mediapipe(finder.model, finder.people, still=filmed.still) as detector:
        return video.detect(filmed, detector, part=part, track=track)
