"""Read the people of a keypoint file, perhaps with the video they were found in, or find them in a video with a detector."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import footage, keypoint_files, times, video, which_layout
from srnet_jax.keypoints.footage import Footage
from srnet_jax.keypoints.tracks import Track, with_image_sizes
from srnet_jax.lifting.arguments import check_arguments
from srnet_jax.lifting.scene import Images
from srnet_jax.pose import layouts
from srnet_jax.pose.normalization import USUAL_FOCAL

Progress = Callable[[Iterable[Any]], Iterable[Any]]  # yields the items and shows progress


class Finder(NamedTuple):
    """Settings of MediaPipe, which finds people in a video.

    Attributes:
      model: its `.task` file; None for the model that some builds of the package include.
      people: how many to look for.
    """

    model: Path | None = None
    people: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What to read, and what a user knows about it.

    Attributes:
      keypoints: keypoint file or folder; None to find people in the video.
      video: the video, picture or folder of pictures that the keypoints were found in, or in which to find people.
      hints: what the keypoint file does not contain; `rotate` applies to the video, too.
      part: the frames to take.
      finder: how to find people without a keypoint file.
      layout: name of the keypoints' layout; None to take it from the file, or from how the joints look.
      fps: frames per second; None to take them from the file or the video.
      focal_px: the camera's focal length, pixels; None to take it from the video's metadata.
      background: whether films and sheets show the video's frames.
    """

    keypoints: Path | None = None
    video: Path | None = None
    hints: keypoint_files.Hints = dataclasses.field(default_factory=keypoint_files.Hints)
    part: times.Part = times.WHOLE
    finder: Finder = dataclasses.field(default_factory=Finder)
    layout: str | None = None
    fps: float | None = None
    focal_px: float | None = None
    background: bool = True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """People in 2D, and how they were filmed.

    Attributes:
      tracks: of the people, with layout and image size; the frame rate may not be known.
      source: the file that the people come from.
      focal_px: the camera's focal length, pixels; None if not known.
      focal_source: a line that says where the focal length comes from.
      images: reads the video's frames; None without a video.
      inputs: the files that were read.
    """

    tracks: tuple[Track, ...]
    source: Path
    focal_px: float | None
    focal_source: str
    images: Images | None
    inputs: tuple[Path, ...]


def read(request: Request, progress: Progress = iter) -> Recording:
    """Read people, or find them.

    Args:
      request: what to read; it has keypoints, a video or both.
      progress: shows progress while people are looked for.

    Raises:
      UserError: if a file is missing, damaged or not understood, a layout is unknown or does not fit, files do not belong
        together, or the part shows no person.
    """
    inputs = tuple(path for path in (request.keypoints, request.video) if path)
    source, rotate = inputs[0], request.hints.rotate
    filmed = footage.open_footage(request.video, rotate=rotate, fps=request.fps) if request.video else None
    if request.keypoints:
        tracks = from_file(request.keypoints, request.hints, request.part, request.fps, filmed)
    else:
        assert filmed
        tracks = from_video(filmed, request.finder, request.part, progress)
    tracks = described(tracks, source, layout=request.layout, fps=request.fps, focal_px=request.focal_px)
    focal_px, focal_source = focal_length(request.focal_px, filmed)
    behind = filmed and not filmed.still and request.background
    return Recording(
        tracks=tracks,
        source=source,
        focal_px=focal_px,
        focal_source=focal_source,
        images=functools.partial(footage.images, filmed) if filmed and behind else None,
        inputs=inputs,
    )


def from_file(
    path: Path, hints: keypoint_files.Hints, part: times.Part, fps: float | None = None, filmed: Footage | None = None
) -> tuple[Track, ...]:
    """Load the people of a keypoint file, in a part of the video.

    Args:
      path: of the file or folder.
      hints: what the file does not contain; image sizes are those before `hints.rotate`.
      part: which frames are taken.
      fps: frames per second that replace the file's; None to keep the file's.
      filmed: the video that they were found in, opened with the same `fps` and `rotate`; its times and image size are taken.

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


def from_video(filmed: Footage, finder: Finder, part: times.Part, progress: Progress) -> tuple[Track, ...]:
    """Return the people whom MediaPipe finds in a part of a video, or in pictures.

    Raises:
      UserError: if MediaPipe, its model or PyAV is missing, or the part shows no person.
    """
    with video.mediapipe(finder.model, finder.people, still=filmed.still) as detector:
        return video.detect(filmed, detector, part=part, track=progress)


def described(
    tracks: Sequence[Track],
    path: Path,
    *,
    layout: str | None,
    fps: float | None,
    focal_px: float | None = None,
) -> tuple[Track, ...]:
    """Return tracks with their layout, frame rate and image size.

    Layout and frame rate are as given, or else the file's. A layout that is not known is guessed from how the joints look, an
    image size as `with_image_sizes` does. The frame rate may stay unknown.

    Args:
      tracks: of one file.
      path: of the file, for messages.
      layout: a name of `layouts.LAYOUTS`, or None.
      fps: frames per second, or None.
      focal_px: focal length to check against the image sizes, pixels, or None.

    Raises:
      UserError: if the layout is unknown or does not fit, or a number is out of range.
    """
    found = []
    for track in tracks:
        name = layout or track.layout or which_layout.guess(track, str(path))
        try:
            layouts.check_joints(track.keypoints.shape[1], layouts.find(name))
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        track = dataclasses.replace(track, layout=name)
        found.append(dataclasses.replace(track, fps=fps / track.every, times=None) if fps else track)
    found = with_image_sizes(found, str(path))
    for track in found:
        check_arguments(str(track.layout), track.image_size or (1, 1), track.fps, focal_px)
    return tuple(found)


def focal_length(given: float | None, filmed: Footage | None) -> tuple[float | None, str]:
    """Return the focal length, pixels, and a line that says where it comes from; None and such a line if it is not known.

    A given focal length replaces that of the metadata. The path of the hip depends on it, even where the network does not.
    """
    if given is not None:
        return given, f"focal length {given:g} px, as given"
    if filmed and filmed.focal:
        return filmed.focal.px, f"focal length {filmed.focal.px:.0f} px: {filmed.focal.source}"
    return None, f"focal length not known, taken as {USUAL_FOCAL:g} times the image's longer side"
