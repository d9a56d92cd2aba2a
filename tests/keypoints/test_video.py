"""Videos become tracks, whatever finds the people in them."""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import video


class Capture:
    """What OpenCV gives of a video of 20 frames, 64 by 48 pixels; the frame's number is in its first pixel, blue last."""

    fps, frames, declared = 25.0, 20, 21.0

    def __init__(self, path):
        self.number = 0 if Path(path).suffix == ".mp4" else self.frames

    def get(self, what):
        return {0: self.clock(self.number - 1), 5: self.fps, 7: self.declared}[what]

    def clock(self, frame):
        return 1000 * frame / self.fps if self.fps else 0.0

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
    module.CAP_PROP_POS_MSEC, module.CAP_PROP_FPS, module.CAP_PROP_FRAME_COUNT, module.VideoCapture = 0, 5, 7, Capture
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "-8")  # so that it is unset again
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
    seen = ~np.isin(np.arange(20), [5, 6, 7])
    np.testing.assert_allclose(track.keypoints[seen, 3, 0], np.arange(20)[seen] + 3)
    assert np.isnan(track.keypoints[~seen]).all()
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [5, 6, 7])


def test_progress_can_be_shown(tmp_path, opencv):
    (tmp_path / "dance.mp4").write_bytes(b"x")
    passed = []

    def track(frames):
        for frame, image in frames:
            passed.append((frame, image.shape))
            yield frame, image

    video.detect(tmp_path / "dance.mp4", Finder(), track=track)
    assert passed == [(frame, (48, 64, 3)) for frame in range(20)]


def test_a_video_that_is_cut_short_gives_a_warning(tmp_path, opencv, monkeypatch):
    monkeypatch.setattr(Capture, "declared", 230.0)
    (tmp_path / "dance.mp4").write_bytes(b"x")
    with pytest.warns(UserWarning, match=r"dance\.mp4: found 20 frames, expected the 230 that it declares"):
        (track,) = video.detect(tmp_path / "dance.mp4", Finder())
    assert len(track.keypoints) == 20


class Scripted:
    """Sees in each frame the people whose places are given, 100 pixels high."""

    layout = "coco"

    def __init__(self, places):
        self.places = places

    def __call__(self, image, time_ms):
        upright = np.column_stack([np.zeros(17), np.linspace(0, 100, 17), np.full(17, 0.5)])
        return [upright + (place, 10, 0) for place in self.places[image[0, 0, 0]]]


def seen(tmp_path, places):
    """Return {name: [(frame, place)]}."""
    (tmp_path / "dance.mp4").write_bytes(b"x")
    tracks = video.detect(tmp_path / "dance.mp4", Scripted(places))
    return {
        track.name: [(track.first_frame + i, track.keypoints[i, 0, 0]) for i in np.flatnonzero(track.detected)]
        for track in tracks
    }


def test_a_detector_that_goes_over_to_another_person_gives_two_tracks(tmp_path, opencv):
    places = [[5]] * 8 + [[]] + [[300]] * 4 + [[]] + [[9]] * 2 + [[304]] * 4
    assert seen(tmp_path, places) == {
        "person_1": [(frame, 5) for frame in range(8)] + [(14, 9), (15, 9)],
        "person_2": [(frame, 300) for frame in range(9, 13)] + [(frame, 304) for frame in range(16, 20)],
    }


def test_a_person_who_moves_fast_or_is_lost_for_a_while_stays_one(tmp_path, opencv):
    fast = [[90 * frame] for frame in range(20)]
    assert seen(tmp_path, fast) == {"dance": [(frame, 90 * frame) for frame in range(20)]}
    lost = [[5]] * 4 + [[]] * 10 + [[180]] * 6
    assert list(seen(tmp_path, lost)) == ["dance"]


def test_two_people_in_a_frame_are_linked(tmp_path, opencv):
    assert seen(tmp_path, [[5, 300]] * 10 + [[300, 5]] * 10) == {
        "person_1": [(frame, 5) for frame in range(20)],
        "person_2": [(frame, 300) for frame in range(20)],
    }


def test_a_person_without_confidence_is_nobody(tmp_path, opencv):
    class Unsure(Finder):
        def __call__(self, image, time_ms):
            return super().__call__(image, time_ms) or [np.zeros((17, 3))]

    (tmp_path / "dance.mp4").write_bytes(b"x")
    (track,) = video.detect(tmp_path / "dance.mp4", Unsure())
    assert (track.name, track.detected.sum()) == ("dance", 17)


@pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="needs OpenCV")
def test_a_real_file_is_read(tmp_path):
    import cv2

    path = tmp_path / "dance.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 12.5, (64, 48))
    for frame in range(10):
        writer.write(np.full((48, 64, 3), (0, 0, 20 * frame), np.uint8))  # red
    writer.release()
    reds = []

    class Seer:
        layout = "coco"

        def __call__(self, image, time_ms):
            reds.append((time_ms, *image.mean((0, 1))))
            return [np.column_stack([np.arange(17), np.arange(17), np.ones(17)])]

    (track,) = video.detect(path, Seer())
    assert (len(track.keypoints), track.image_size, track.fps) == (10, (64, 48), 12.5)
    np.testing.assert_allclose(reds, [(80 * frame, 20 * frame, 0, 0) for frame in range(10)], atol=6)  # JPEG
    path.write_text("hello")
    with pytest.raises(DataError, match=r"dance\.avi: holds no image that OpenCV can read, expected a video"):
        video.detect(path, Seer())


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
    monkeypatch.setattr(Capture, "fps", float("nan"))
    with pytest.raises(DataError, match=r"x\.mp4: found nan frames a second"):
        video.detect(tmp_path / "x.mp4", Finder())


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    for name in ("cv2", "mediapipe"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r"OpenCV is not installed, expected `pip install -e \.\[video\]`"):
        video.detect(tmp_path / "x.mp4", Finder())
    with pytest.raises(UserError, match="MediaPipe is not installed"), video.mediapipe(None):
        pass


def test_a_missing_library_of_the_system_is_named(tmp_path, monkeypatch):
    def broken(name):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(video.importlib, "import_module", broken)
    with pytest.raises(UserError, match=r"x\.mp4: OpenCV cannot be loaded \(libGL\.so\.1: cannot open"):
        video.detect(tmp_path / "x.mp4", Finder())


def test_a_model_is_asked_for_where_the_package_has_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", types.ModuleType("mediapipe"))
    with (
        pytest.raises(UserError, match=r"--detector_model: not set, expected a pose_landmarker \.task file"),
        video.mediapipe(None),
    ):
        pass
    with pytest.raises(UserError, match=r"--detector_model=.*x\.task: no such file"), video.mediapipe(tmp_path / "x.task"):
        pass
    with pytest.raises(UserError, match=r"--detector_model=.*: not a file, expected"), video.mediapipe(tmp_path):
        pass


class Landmarker:
    """Stands for MediaPipe's PoseLandmarker; finds as many people as it may, at the middle of the image."""

    @classmethod
    def create_from_options(cls, options):
        if Path(options.base_options.model_asset_path).read_bytes() != b"model":
            raise RuntimeError("Unable to open\nzip archive.")
        landmarker = cls()
        landmarker.people, landmarker.closed = options.num_poses, False
        assert options.running_mode == "video"
        return landmarker

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def detect_for_video(self, image, time_ms):
        point = types.SimpleNamespace(x=0.5, y=0.25, visibility=0.9)
        return types.SimpleNamespace(pose_landmarks=[[point] * 33] * self.people)


def test_landmarks_become_pixels(tmp_path, monkeypatch):
    vision = types.SimpleNamespace(
        PoseLandmarkerOptions=types.SimpleNamespace,
        PoseLandmarker=Landmarker,
        RunningMode=types.SimpleNamespace(VIDEO="video"),
    )
    package, python = types.ModuleType("mediapipe"), types.ModuleType("mediapipe.tasks.python")
    package.Image, package.ImageFormat = types.SimpleNamespace, types.SimpleNamespace(SRGB=1)
    python.BaseOptions, python.vision = types.SimpleNamespace, vision
    for module in (package, types.ModuleType("mediapipe.tasks"), python):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    model = tmp_path / "x.task"
    model.write_bytes(b"model")
    with video.mediapipe(model, 2) as detector:
        found = detector(np.zeros((48, 64, 3), np.uint8), 0)
    assert detector.layout == "mediapipe_33"
    np.testing.assert_allclose(found, np.tile([32, 12, 0.9], (2, 33, 1)))
    model.write_bytes(b"hello")
    with (
        pytest.raises(UserError, match=r"x\.task: no pose_landmarker \.task file \(Unable to open\\nzip archive\.\)"),
        video.mediapipe(model),
    ):
        pass


@pytest.mark.slow
@pytest.mark.skipif(
    not (importlib.util.find_spec("mediapipe") and os.environ.get("SRNET_DEMO_VIDEO")),
    reason="needs MediaPipe with a model, and SRNET_DEMO_VIDEO=FILE",
)
def test_people_are_found_in_a_real_video():
    if not hasattr(importlib.import_module("mediapipe"), "solutions"):
        pytest.skip("this build of MediaPipe holds no model")
    with video.mediapipe(None) as detector:
        track, *_ = video.detect(os.environ["SRNET_DEMO_VIDEO"], detector)
    assert track.detected.mean() > 0.9
    points = track.keypoints[track.detected]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(-1) / np.linalg.norm(np.ptp(points, axis=1), axis=-1)[1:]
    assert steps.max() < 1  # one person, not several
    assert track.confidences[track.detected].mean() > 0.5


def test_uneven_times_are_kept(tmp_path, opencv, monkeypatch):
    monkeypatch.setattr(Capture, "clock", lambda self, frame: 40.0 * frame + 30.0 * (frame % 2))
    (tmp_path / "v.mp4").write_bytes(b"x")
    (track,) = video.detect(tmp_path / "v.mp4", Finder())
    np.testing.assert_allclose(track.times[:4] - track.times[0], [0, 0.07, 0.08, 0.15])


def test_a_video_that_lost_its_rotation_is_turned(tmp_path, opencv):
    sizes = []

    class Looker(Finder):
        def __call__(self, image, time_ms):
            sizes.append(image.shape)
            return super().__call__(np.rot90(image), time_ms)  # turned back, it has its corner again

    (tmp_path / "v.mp4").write_bytes(b"x")
    (track,) = video.detect(tmp_path / "v.mp4", Looker(), rotate=90)
    assert set(sizes) == {(64, 48, 3)}
    assert track.image_size == (48, 64)
