"""Find people's keypoints in a video, with any detector; MediaPipe's comes with the extra `video`.

The official package `mediapipe` has the code and no model: its user names a pose landmarker's `.task` file, which MediaPipe's
site offers. Builds of the package that hold a model for its older interface work without one. What MediaPipe itself prints
when it starts cannot be turned off.
"""

import contextlib
import dataclasses
import importlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.io.files import size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints.people import People, Seen, gather
from srnet_jax.keypoints.tracks import Track, follow

_MOST_BYTES = 1 << 32  # of the keypoints of a video
_MOST_FPS = 1000  # above, two frames would have one time in milliseconds, which MediaPipe refuses
_EVEN = 0.2  # share of the usual time between two frames by which it may vary
_WHOLE = 0.9  # of the frames that a file declares; some declare a few too many
_REACH, _FARTHEST_REACH, _MEMORY = 1.0, 2.0, 30  # sizes, sizes, frames

_Frame = tuple[int, np.ndarray]


class Detector(Protocol):
    """Whatever finds people in an image.

    Attributes:
      layout: of its keypoints, a name of `layouts.LAYOUTS`.
    """

    layout: str

    def __call__(self, image: np.ndarray, time_ms: int) -> Sequence[np.ndarray]:
        """Return the keypoints of each person in an image.

        Args:
          image: [H, W, 3] uint8, RGB.
          time_ms: of the image since the video's beginning; later in each call.

        Returns:
          [J, 3] of each person: x and y in pixels, confidence 0 to 1.
        """
        ...


def detect(
    path: str | Path,
    detector: Detector,
    *,
    rotate: int = 0,
    track: Callable[[Iterable[_Frame]], Iterable[_Frame]] = lambda frames: frames,
) -> tuple[Track, ...]:
    """Find the people in a video, one frame in memory at a time; they are followed as `tracks` describes.

    Other than there, people are told apart also if no frame shows two: a detector of one person, when it loses the person,
    may go on with another. Each frame has the time that the file gives it, if these times increase.

    Args:
      path: of the video, which is rotated as its metadata say.
      detector: that looks at each frame.
      rotate: 0, 90, 180 or 270 degrees, by which the images are turned clockwise, for a video whose metadata do not say it.
      track: what the frames, (number, image), pass through, to show progress.

    Returns:
      At least one track; those that show their person in most frames first.

    Raises:
      UserError: if OpenCV is not installed.
      DataError: if the file is missing, no video, or shows nobody.
    """
    path = Path(path)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # quiet: what is wrong with a file we say ourselves
    cv2 = _imported("cv2", "OpenCV", str(path))
    size_of(path, "a video")
    video = cv2.VideoCapture(str(path))
    try:
        fps, declared = float(video.get(cv2.CAP_PROP_FPS)), float(video.get(cv2.CAP_PROP_FRAME_COUNT))
        good, image = video.read()
        if not good:
            raise DataError(f"{path}: holds no image that OpenCV can read, expected a video")
        if not 0 < fps <= _MOST_FPS:
            raise DataError(f"{path}: found {fps:g} frames a second, expected a video's rate, at most {_MOST_FPS}")
        image = _turned(image, rotate)
        size = image.shape[1], image.shape[0]
        times: list[float] = []
        budget = Budget(_MOST_BYTES)
        found = gather(
            _found(track(_frames(video, image, declared, path, rotate, times, cv2.CAP_PROP_POS_MSEC)), detector, fps),
            path,
            budget,
        )
    finally:
        video.release()
    tracks = []
    for people in found:
        people = dataclasses.replace(people, layout=detector.layout, image_size=size, fps=fps)
        tracks += follow(_told_apart(people), budget)
    seconds = np.array(times) / 1000
    if len(seconds) > 2 and (np.diff(seconds) > 0).all() and np.ptp(np.diff(seconds)) > _EVEN * np.median(np.diff(seconds)):
        shown = [slice(one.first_frame, one.first_frame + len(one.keypoints)) for one in tracks]
        tracks = [dataclasses.replace(one, times=seconds[frames]) for one, frames in zip(tracks, shown, strict=True)]
    if not tracks:
        raise DataError(f"{path}: no person in any frame")
    return tuple(tracks)


def _turned(image: np.ndarray, rotate: int) -> np.ndarray:
    return np.rot90(image, -rotate // 90)


def _frames(
    video: Any, image: np.ndarray | None, declared: float, path: Path, rotate: int, times: list[float], clock: int
) -> Iterator[_Frame]:
    """Yield each frame's number and image [H, W, 3] RGB, and list their times, ms; warn if the video ends early."""
    count = 0
    while image is not None:
        times.append(float(video.get(clock)))
        yield count, np.ascontiguousarray(image[..., ::-1])
        count += 1
        image = video.read()[1]
        image = None if image is None else _turned(image, rotate)
    if count < _WHOLE * declared:
        warnings.warn(
            f"{path}: found {count} frames, expected the {declared:.0f} that it declares; it seems cut short", stacklevel=2
        )


def _found(frames: Iterable[_Frame], detector: Detector, fps: float) -> Iterator[Seen]:
    """Yield each person whom the detector sees."""
    for frame, image in frames:
        for person in detector(image, round(1000 * frame / fps)):
            values = np.asarray(person, np.float64)
            if (values[:, 2] != 0).any():
                yield Seen(frame, None, values)


def _told_apart(people: People) -> People:
    """Give track ids to people of whom no frame shows two, if they are several.

    A person goes on with the nearest of those seen in the last 30 frames, or in the latest that shows anybody, if their joints
    are on average within one size of the person (the diagonal of the box around the joints), two after four frames.
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
    """Return the mean distance of the joints [J, 3] that both have, in sizes of the larger; 0 if nothing tells them apart."""
    seen = [(values != 0).any(-1) for values in (one, other)]
    both = seen[0] & seen[1]
    if not both.any():
        return 0.0
    size = max(np.linalg.norm(np.ptp(values[s, :2], axis=0)) for values, s in zip((one, other), seen, strict=True))
    gap = np.linalg.norm(one[both, :2] - other[both, :2], axis=-1).mean()
    return float(gap / size) if size > 0 else 0.0


def _imported(module: str, name: str, where: str) -> Any:
    """Return a module of the extra `video`.

    Raises:
      UserError: if it is not installed, or lacks a library of the system.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            raise UserError(f"{where}: {name} is not installed, expected `pip install -e .[video]`") from None
        raise UserError(f"{where}: {name} cannot be loaded ({one_line(error, 200)})") from error


@contextlib.contextmanager
def mediapipe(model: Path | None, people: int = 1) -> Iterator[Detector]:
    """Give MediaPipe's pose detector.

    Args:
      model: a pose landmarker's `.task` file; None for the model that some builds of the package hold.
      people: how many to look for; without a `.task` file one alone.

    Raises:
      UserError: if MediaPipe or the model is missing, or cannot be read.
    """
    package = _imported("mediapipe", "MediaPipe", "--video")
    if model is None:
        solutions = getattr(package, "solutions", None)
        if solutions is None or people > 1:
            what = "several people" if solutions else "this build of MediaPipe, which holds no model"
            raise UserError(f"--detector_model: not set, expected a pose_landmarker .task file for {what}")
        with solutions.pose.Pose() as pose:
            yield _Landmarks(
                lambda image, _: [r] if (r := pose.process(image).pose_landmarks) else [], lambda one: one.landmark
            )
        return
    if not model.is_file():
        what = "not a file" if model.exists() else "no such file"
        raise UserError(f"--detector_model={model}: {what}, expected a pose_landmarker .task file")
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.PoseLandmarkerOptions(
        base_options=BaseOptions(model_asset_path=str(model)), running_mode=vision.RunningMode.VIDEO, num_poses=people
    )
    try:
        landmarker = vision.PoseLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        raise UserError(f"--detector_model={model}: no pose_landmarker .task file ({one_line(error, 200)})") from error
    with landmarker:
        images = package.ImageFormat.SRGB

        def look(image: np.ndarray, time_ms: int) -> Iterable[Any]:
            return landmarker.detect_for_video(package.Image(image_format=images, data=image), time_ms).pose_landmarks

        yield _Landmarks(look, lambda one: one)


class _Landmarks:
    """MediaPipe's 33 landmarks, from either of its interfaces."""

    layout = "mediapipe_33"

    def __init__(self, look: Callable[[np.ndarray, int], Iterable[Any]], landmarks: Callable[[Any], Iterable[Any]]) -> None:
        self._look, self._landmarks = look, landmarks

    def __call__(self, image: np.ndarray, time_ms: int) -> Sequence[np.ndarray]:
        size = np.array([image.shape[1], image.shape[0], 1.0])
        return [
            np.array([(point.x, point.y, point.visibility) for point in self._landmarks(person)]) * size
            for person in self._look(image, time_ms)
        ]
