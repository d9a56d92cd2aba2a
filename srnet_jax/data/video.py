"""Find people's keypoints in a video, with any detector; MediaPipe's comes with the extra `video`.

The official package `mediapipe` has the code and no model: its user names a pose landmarker's `.task` file, which MediaPipe's
site offers. Builds of the package that hold a model for its older interface work without one.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from srnet_jax.data.keypoint_people import gather
from srnet_jax.data.keypoint_tracks import Track, follow
from srnet_jax.errors import DataError, UserError, one_line
from srnet_jax.safe_pickle import Budget

_MOST_BYTES = 1 << 32  # of the keypoints of a video
_MISSING = "is not installed, expected `pip install -e .[video]`"


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


def detect(path: str | Path, detector: Detector) -> tuple[Track, ...]:
    """Find the people in a video, frame by frame; they are followed as `keypoint_tracks` says.

    Args:
      path: of the video.
      detector: that looks at each frame.

    Returns:
      At least one track; those that show their person in most frames first.

    Raises:
      UserError: if OpenCV is not installed.
      DataError: if the file is missing, no video, or shows nobody.
    """
    path = Path(path)
    try:
        import cv2
    except ImportError:
        raise UserError(f"{path}: OpenCV {_MISSING}") from None
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file'}, expected a video")
    video = cv2.VideoCapture(str(path))
    try:
        fps = float(video.get(cv2.CAP_PROP_FPS))
        good, image = video.read()
        if not good:
            raise DataError(f"{path}: holds no image that OpenCV can read, expected a video")
        if not 0 < fps < 10_000:
            raise DataError(f"{path}: found {fps:g} frames a second, expected a video's rate")
        size = image.shape[1], image.shape[0]

        def found() -> Iterator[tuple[int, str | None, np.ndarray]]:
            frame, current = 0, image
            while current is not None:
                for person in detector(np.ascontiguousarray(current[..., ::-1]), round(1000 * frame / fps)):
                    yield frame, None, np.asarray(person, np.float64)
                frame += 1
                current = video.read()[1]

        budget = Budget(_MOST_BYTES)
        people = gather(found(), path, budget)
    finally:
        video.release()
    tracks = []
    if people:
        tracks = follow(dataclasses.replace(people, layout=detector.layout, image_size=size, fps=fps), budget)
    if not tracks:
        raise DataError(f"{path}: no person in any frame")
    return tuple(tracks)


@contextlib.contextmanager
def mediapipe(model: Path | None, people: int = 1) -> Iterator[Detector]:
    """Give MediaPipe's pose detector.

    Args:
      model: a pose landmarker's `.task` file; None for the model that some builds of the package hold.
      people: how many to look for; without a `.task` file one alone.

    Raises:
      UserError: if MediaPipe or the model is missing, or cannot be read.
    """
    os.environ.setdefault("GLOG_minloglevel", "2")  # its start-up messages mean nothing to a user
    try:
        import mediapipe as package
    except ImportError:
        raise UserError(f"--video: MediaPipe {_MISSING}") from None
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
        raise UserError(f"--detector_model={model}: no such file, expected a pose_landmarker .task file")
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
