"""Videos become tracks, whatever finds the people in them."""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.data import video
from srnet_jax.errors import DataError, UserError


class Capture:
    """What OpenCV gives of a video of 20 frames, 64 by 48 pixels; the frame's number is in its first pixel, blue last."""

    fps, frames = 25.0, 20

    def __init__(self, path):
        self.number = 0 if Path(path).suffix == ".mp4" else self.frames

    def get(self, _):
        return self.fps

    def read(self):
        if self.number == self.frames:
            return False, None
        image = np.zeros((48, 64, 3), np.uint8)
        image[0, 0] = (9, 8, self.number)  # blue, green, red
        self.number += 1
        return True, image

    def release(self):
        pass


@pytest.fixture
def opencv(monkeypatch):
    module = types.ModuleType("cv2")
    module.CAP_PROP_FPS, module.VideoCapture = 5, Capture
    monkeypatch.setitem(sys.modules, "cv2", module)


class Finder:
    """Finds one person, who walks, except in frames 5 to 7."""

    layout = "coco"

    def __init__(self, missing=(5, 6, 7)):
        self.missing, self.times = missing, []

    def __call__(self, image, time_ms):
        red, green, blue = image[0, 0].tolist()
        assert (green, blue) == (8, 9)  # RGB
        self.times.append(time_ms)
        return [] if red in self.missing else [np.column_stack([np.arange(17) + red, np.arange(17) + 20.0, np.full(17, 0.5)])]


def test_a_video_is_seen_frame_by_frame(tmp_path, opencv):
    (tmp_path / "dance.mp4").write_bytes(b"x")
    finder = Finder()
    (track,) = video.detect(tmp_path / "dance.mp4", finder)
    assert (track.name, track.layout, track.image_size, track.fps) == ("dance", "coco", (64, 48), 25)
    assert finder.times == list(range(0, 800, 40))
    np.testing.assert_allclose(track.keypoints[:, 3, 0], np.arange(20) + 3)  # filled where nobody was seen
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [5, 6, 7])


def test_what_is_no_video_of_a_person_is_named(tmp_path, opencv, monkeypatch):
    with pytest.raises(DataError, match=r"nothing\.mp4: no such file, expected a video"):
        video.detect(tmp_path / "nothing.mp4", Finder())
    (tmp_path / "x.txt").write_text("hello")
    with pytest.raises(DataError, match=r"x\.txt: holds no image that OpenCV can read"):
        video.detect(tmp_path / "x.txt", Finder())
    (tmp_path / "x.mp4").write_bytes(b"x")
    with pytest.raises(DataError, match=r"x\.mp4: no person in any frame"):
        video.detect(tmp_path / "x.mp4", Finder(range(20)))
    monkeypatch.setattr(Capture, "fps", 0.0)
    with pytest.raises(DataError, match=r"x\.mp4: found 0 frames a second"):
        video.detect(tmp_path / "x.mp4", Finder())


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    for name in ("cv2", "mediapipe"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"OpenCV is not installed, expected `pip install -e \.\[video\]`"):
        video.detect(tmp_path / "x.mp4", Finder())
    with pytest.raises(UserError, match="MediaPipe is not installed"), video.mediapipe(None):
        pass


def test_a_model_is_asked_for_where_the_package_has_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", types.ModuleType("mediapipe"))
    with (
        pytest.raises(UserError, match=r"--detector_model: not set, expected a pose_landmarker \.task file"),
        video.mediapipe(None),
    ):
        pass
    with pytest.raises(UserError, match=r"--detector_model=.*x\.task: no such file"), video.mediapipe(tmp_path / "x.task"):
        pass


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("mediapipe") and os.environ.get("SRNET_DEMO_VIDEO")),
    reason="needs MediaPipe with a model, and SRNET_DEMO_VIDEO=FILE",
)
def test_people_are_found_in_a_real_video():
    with video.mediapipe(None) as detector:
        track, *_ = video.detect(os.environ["SRNET_DEMO_VIDEO"], detector)
    assert track.detected.mean() > 0.5
    assert track.confidences[track.detected].mean() > 0.5
