"""Detect people's keypoints in a video or in pictures, with MediaPipe or any other detector.

MediaPipe is installed with the extra `video`. Its official package has no model: the user gives the `.task` file of a pose
landmarker, which MediaPipe's site offers. Builds of the package that contain a model for the older interface work without this
file.
"""

import contextlib
import dataclasses
import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints.footage import Footage, images, open_footage, picture
from srnet_jax.keypoints.people import Detection, People, gather
from srnet_jax.keypoints.times import WHOLE, Part
from srnet_jax.keypoints.tracks import Track, follow

_MAX_BYTES = 1 << 32  # of the keypoints of a video
_WHOLE = 0.9  # of the frames, below which a video seems damaged
_STILL_FPS = 30.0  # assumed for pictures without times, for detectors that need times
_REACH, _FARTHEST_REACH, _MEMORY = 1.0, 2.0, 30  # continuing a person: distance and largest distance in sizes, frames

_Frame = tuple[int, np.ndarray]


class Detector(Protocol):
    """A callable that finds people in an image.

    Attributes:
      layout: layout of the keypoints, a name of `layouts.LAYOUTS`.
    """

    layout: str

    def __call__(self, image: np.ndarray, time_ms: int) -> Sequence[np.ndarray]:
        """Return the keypoints of each person in an image.

        Args:
          image: [H, W, 3] uint8, RGB.
          time_ms: time of the image since the beginning of the video, milliseconds; increases with each call.

        Returns:
          [J, 3] for each person: x and y in pixels, confidence 0 to 1.
        """
        ...


def detect(
    source: str | Path | Footage,
    detector: Detector,
    *,
    rotate: int = 0,
    part: Part = WHOLE,
    track: Callable[[Iterable[_Frame]], Iterable[_Frame]] = lambda frames: frames,
) -> tuple[Track, ...]:
    """Detect people in a video or in pictures and track them; only a few images are in memory at a time.

    People are tracked as `tracks` describes, with one difference: several people are also distinguished if no frame shows two
    of them, because a detector of one person may lose the person and continue with another. Frames have the times of the file.

    Args:
      source: path of a video, a picture or a folder of pictures, whose images are rotated as their metadata require; or
        footage.
      detector: applied to each frame.
      rotate: clockwise rotation of the images, for a file without such metadata: 0, 90, 180 or 270 degrees.
      part: the frames to detect people in; other frames are not decoded if seeking can skip them. Of independent pictures, all
        are used.
      track: a function through which the frames (number, image) pass, for instance to show progress.

    Returns:
      At least one track; those with the most frames first.

    Raises:
      UserError: if PyAV is not installed, or `part` needs the frame rate of pictures.
      DataError: if the file is missing or is not a video, or no person is found.
    """
    footage = source if isinstance(source, Footage) else open_footage(source, rotate=rotate)
    path = footage.path
    if part.is_timed and footage.times is None:
        raise UserError(f"{path}: frames per second not known, expected --fps with --start and --end")
    wanted = footage.numbers[part.holds(footage.numbers, footage.times)]
    if not len(wanted):
        raise DataError(f"{path}: found {_extent(footage)}, expected {part}")
    budget = Budget(_MAX_BYTES)
    if footage.still:
        seen = _stills(footage, track, detector)
    else:
        seen = _found(_watched(footage, wanted, track), footage, detector, part.every)
    tracks = []
    for people in gather(seen, path, budget):
        size = people.image_size or footage.image_size
        people = dataclasses.replace(people, layout=detector.layout, image_size=size)
        tracks += [_in_time(one, footage, 1 if footage.still else part.every) for one in follow(_with_ids(people), budget)]
    if not tracks:
        raise DataError(f"{path}: found no person in any frame")
    return tuple(tracks)


def _extent(footage: Footage) -> str:
    """Describe the length of a video for messages."""
    until = "" if footage.times is None else f" until {footage.times[-1]:g} s"
    return f"{len(footage.numbers):,} frames{until}"


def _watched(footage: Footage, wanted: np.ndarray, track: Callable[[Iterable[_Frame]], Iterable[_Frame]]) -> Iterator[_Frame]:
    """Yield the decoded frames; warn if many cannot be decoded."""
    count = 0
    for frame in track(images(footage, wanted)):
        count += 1
        yield frame
    if count < _WHOLE * len(wanted):
        warnings.warn(f"{footage.path}: decoded only {count} of {len(wanted)} frames; the file seems damaged", stacklevel=2)


def _in_time(track: Track, footage: Footage, every: int) -> Track:
    """Give a track of every n-th frame, with consecutive frame numbers, the video's frame numbers and times."""
    track = dataclasses.replace(
        track, first_frame=track.first_frame * every, every=every, fps=footage.fps / every if footage.fps else None
    )
    if not footage.uneven or footage.times is None:
        return track
    return dataclasses.replace(track, times=footage.times[np.searchsorted(footage.numbers, track.frames)])


def _found(frames: Iterable[_Frame], footage: Footage, detector: Detector, every: int) -> Iterator[Detection]:
    """Yield each detected person; every n-th frame gets a consecutive number."""
    before = -1
    for number, image in frames:
        seconds = number / _STILL_FPS if footage.times is None else footage.times[np.searchsorted(footage.numbers, number)]
        before = max(before + 1, round(1000 * seconds))
        yield from _people(image, before, number // every, detector)


def _stills(footage: Footage, track: Callable[[Iterable[_Frame]], Iterable[_Frame]], detector: Detector) -> Iterator[Detection]:
    """Yield each person detected in independent pictures."""
    for number, image in track((row, picture(file)) for row, file in enumerate(footage.files)):
        image = np.ascontiguousarray(np.rot90(image, -footage.rotate // 90))
        for seen in _people(image, 1000 * number, footage.files[number].name, detector):
            yield seen._replace(size=(image.shape[1], image.shape[0]))


def _people(image: np.ndarray, time_ms: int, name: int | str, detector: Detector) -> Iterator[Detection]:
    for person in detector(image, time_ms):
        values = np.asarray(person, np.float64)
        if (values[:, 2] != 0).any():
            yield Detection(name, None, values)


def _with_ids(people: People) -> People:
    """Give detections track ids if no frame shows two people, but they are several people.

    A detection continues the nearest person of the last 30 frames, or of the latest frame that shows a person. The mean
    distance of their joints must be within one size of the person (the diagonal of the box around the joints), or within two
    after four frames.
    """
    frames, values = people.frames, people.values
    if len(np.unique(frames)) < len(frames):
        return people
    numbers: list[int] = []
    last: dict[int, int] = {}  # the row that shows each person last
    for row, frame in enumerate(frames.tolist()):
        last = {number: before for number, before in last.items() if before == row - 1 or frame - frames[before] <= _MEMORY}
        apart = {number: _sizes_apart(values[before], values[row]) for number, before in last.items()}
        near = [n for n in last if apart[n] <= min(max(_REACH, (frame - frames[last[n]]) / 2), _FARTHEST_REACH)]
        number = min(near, key=lambda n: apart[n]) if near else max(numbers, default=0) + 1
        numbers.append(number)
        last[number] = row
    return dataclasses.replace(people, ids=tuple(map(str, numbers))) if max(numbers) > 1 else people


def _sizes_apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the mean distance of the joints [J, 3] that both have, in sizes of the larger; 0 if they share none."""
    seen = [(values != 0).any(-1) for values in (one, other)]
    both = seen[0] & seen[1]
    if not both.any():
        return 0.0
    size = max(np.linalg.norm(np.ptp(values[s, :2], axis=0)) for values, s in zip((one, other), seen, strict=True))
    gap = np.linalg.norm(one[both, :2] - other[both, :2], axis=-1).mean()
    return float(gap / size) if size > 0 else 0.0


def _imported(module: str, name: str, where: str) -> Any:
    """Import a module of the extra `video`.

    Raises:
      UserError: if it is not installed, or a system library is missing.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise UserError(f"{where}: {name} is not installed, expected `pip install -e .[video]`") from None
        raise UserError(f"{where}: {name} cannot be loaded ({one_line(error, 200)})") from error


@contextlib.contextmanager
def mediapipe(model: Path | None, people: int = 1, *, still: bool = False) -> Iterator[Detector]:
    """Open MediaPipe's pose detector for the duration of a `with` block.

    Args:
      model: the `.task` file of a pose landmarker; None for the model that some builds of the package contain.
      people: the largest number of people to detect; only one without a `.task` file.
      still: whether images are independent, so that the detector does not track people from one to the next.

    Yields:
      The detector.

    Raises:
      UserError: if MediaPipe or the model is missing or cannot be loaded.
    """
    package = _imported("mediapipe", "MediaPipe", "--video")
    if model is None:
        solutions = getattr(package, "solutions", None)
        if solutions is None or people > 1:
            what = "several people" if solutions else "this build of MediaPipe, which contains no model"
            raise UserError(f"--detector_model: not set, expected a pose_landmarker .task file for {what}")
        with solutions.pose.Pose(static_image_mode=still) as pose:
            yield _Landmarks(
                lambda image, _: [r] if (r := pose.process(image).pose_landmarks) else [], lambda one: one.landmark
            )
        return
    if not model.is_file():
        what = "not a file" if model.exists() else "no such file"
        raise UserError(f"--detector_model={model}: {what}, expected a pose_landmarker .task file")
    from mediapipe.tasks.python import BaseOptions, vision

    mode = vision.RunningMode.IMAGE if still else vision.RunningMode.VIDEO
    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), running_mode=mode, num_poses=people
    )
    try:
        landmarker = vision.PoseLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        reason = one_line(error, 200)
        raise UserError(f"--detector_model={model}: not loaded ({reason}), expected a pose_landmarker .task file") from error
    with landmarker:
        form = package.ImageFormat.SRGB

        def look(image: np.ndarray, time_ms: int) -> Iterable[Any]:
            one = package.Image(image_format=form, data=image)
            return (landmarker.detect(one) if still else landmarker.detect_for_video(one, time_ms)).pose_landmarks

        yield _Landmarks(look, lambda one: one)


class _Landmarks:
    """A detector of MediaPipe's 33 landmarks, for its older and its current interface."""

    layout = "mediapipe_33"

    def __init__(self, look: Callable[[np.ndarray, int], Iterable[Any]], landmarks: Callable[[Any], Iterable[Any]]) -> None:
        self._look, self._landmarks = look, landmarks

    def __call__(self, image: np.ndarray, time_ms: int) -> Sequence[np.ndarray]:
        size = np.array([image.shape[1], image.shape[0], 1.0])
        return [
            np.array([(point.x, point.y, point.visibility) for point in self._landmarks(person)]) * size
            for person in self._look(image, time_ms)
        ]
