"""Detecting people in videos and pictures, with MediaPipe and other detectors."""

import importlib.util
import os
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import video
from srnet_jax.keypoints.footage import images
from srnet_jax.keypoints.times import Part
from tests.keypoints import videos


@pytest.fixture(scope="module")
def dance(tmp_path_factory):
    """A video of 20 frames at 25 frames per second."""
    return videos.write(tmp_path_factory.mktemp("videos") / "dance.mp4", videos.numbered(20), np.arange(20) / 25)


class Finder:
    """A detector that finds one walking person, except in frames 5 to 7."""

    layout = "coco"

    def __init__(self, missing=(5, 6, 7)):
        self.missing, self.times, self.numbers = missing, [], []

    def __call__(self, image, time_ms):
        number = videos.number(image)
        self.times.append(time_ms)
        self.numbers.append(number)
        walking = np.column_stack([np.arange(17) + number, np.arange(17) + 20.0, np.full(17, 0.5)])
        return [] if number in self.missing else [walking]


def test_a_video_is_seen_frame_by_frame(dance):
    finder = Finder()
    (track,) = video.detect(dance, finder)
    assert (track.name, track.layout, track.image_size, track.fps, track.times) == ("dance", "coco", (64, 48), 25, None)
    assert finder.times == list(range(0, 800, 40))
    assert finder.numbers == list(range(20))
    seen = ~np.isin(np.arange(20), [5, 6, 7])
    np.testing.assert_allclose(track.keypoints[seen, 3, 0], np.arange(20)[seen] + 3)
    assert np.isnan(track.keypoints[~seen]).all()
    np.testing.assert_array_equal(np.flatnonzero(~track.detected), [5, 6, 7])


def test_a_part_is_seen_alone_and_keeps_numbers_and_times(dance):
    finder = Finder()
    (track,) = video.detect(dance, finder, part=Part(0.12, 0.6, 2))
    assert finder.numbers == [4, 6, 8, 10, 12, 14]
    assert finder.times == [160, 240, 320, 400, 480, 560]
    np.testing.assert_array_equal(track.frames, finder.numbers)
    np.testing.assert_allclose(track.seconds, np.array(finder.numbers) / 25)
    assert (track.first_frame, track.every, track.fps) == (4, 2, 12.5)
    np.testing.assert_array_equal(track.detected, [True, False, True, True, True, True])
    np.testing.assert_allclose(track.keypoints[track.detected, 0, 0], [4, 8, 10, 12, 14])
    with pytest.raises(DataError, match=r"dance\.mp4: found 20 frames until 0\.76 s, expected frames from 3 s until 4 s"):
        video.detect(dance, Finder(), part=Part(3, 4))


def test_progress_can_be_shown(dance):
    passed = []

    def track(frames):
        for frame, image in frames:
            passed.append((frame, image.shape))
            yield frame, image

    video.detect(dance, Finder(), track=track)
    assert passed == [(frame, (48, 64, 3)) for frame in range(20)]


def test_many_frames_that_cannot_be_decoded_give_a_warning(dance, monkeypatch):
    monkeypatch.setattr(video, "images", lambda footage, wanted: list(images(footage, wanted))[:9])
    with pytest.warns(UserWarning, match=r"dance\.mp4: decoded only 9 of 20 frames; the file seems damaged"):
        (track,) = video.detect(dance, Finder())
    assert len(track.keypoints) == 9


class Scripted:
    """A detector that finds people, 100 pixels high, at given places in each frame."""

    layout = "coco"

    def __init__(self, places):
        self.places = places

    def __call__(self, image, time_ms):
        upright = np.column_stack([np.zeros(17), np.linspace(0, 100, 17), np.full(17, 0.5)])
        return [upright + (place, 10, 0) for place in self.places[videos.number(image)]]


def seen(dance, places):
    """Return {name: [(frame, place)]}."""
    tracks = video.detect(dance, Scripted(places))
    return {
        track.name: [(track.first_frame + i, track.keypoints[i, 0, 0]) for i in np.flatnonzero(track.detected)]
        for track in tracks
    }


def test_a_detector_that_goes_over_to_another_person_gives_two_tracks(dance):
    places = [[5]] * 8 + [[]] + [[300]] * 4 + [[]] + [[9]] * 2 + [[304]] * 4
    assert seen(dance, places) == {
        "person_1": [(frame, 5) for frame in range(8)] + [(14, 9), (15, 9)],
        "person_2": [(frame, 300) for frame in range(9, 13)] + [(frame, 304) for frame in range(16, 20)],
    }


def test_a_person_who_moves_fast_or_is_lost_for_a_while_stays_one(dance):
    fast = [[90 * frame] for frame in range(20)]
    assert seen(dance, fast) == {"dance": [(frame, 90 * frame) for frame in range(20)]}
    lost = [[5]] * 4 + [[]] * 10 + [[180]] * 6
    assert list(seen(dance, lost)) == ["dance"]


def test_two_people_in_a_frame_are_linked(dance):
    assert seen(dance, [[5, 300]] * 10 + [[300, 5]] * 10) == {
        "person_1": [(frame, 5) for frame in range(20)],
        "person_2": [(frame, 300) for frame in range(20)],
    }


def test_a_person_without_confidence_is_nobody(dance):
    class Unsure(Finder):
        def __call__(self, image, time_ms):
            return super().__call__(image, time_ms) or [np.zeros((17, 3))]

    (track,) = video.detect(dance, Unsure())
    assert (track.name, track.detected.sum()) == ("dance", 17)


def test_what_shows_nobody_is_named(dance):
    with pytest.raises(DataError, match=r"dance\.mp4: found no person in any frame"):
        video.detect(dance, Finder(range(20)))


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match="MediaPipe is not installed"), video.mediapipe(None):
        pass


def test_a_missing_library_of_the_system_is_named(monkeypatch):
    def broken(name):
        raise ImportError("libGL.so.1: cannot open shared object file")

    monkeypatch.setattr(video.importlib, "import_module", broken)
    with (
        pytest.raises(UserError, match=r"--video: MediaPipe cannot be loaded \(libGL\.so\.1: cannot open"),
        video.mediapipe(None),
    ):
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
    with pytest.raises(UserError, match=r"--detector_model=.*: not a file, expected"), video.mediapipe(tmp_path):
        pass


class Landmarker:
    """A stand-in for MediaPipe's PoseLandmarker that finds `num_poses` people in the middle of the image."""

    @classmethod
    def create_from_options(cls, options):
        if Path(options.base_options.model_asset_path).read_bytes() != b"model":
            raise RuntimeError("Unable to open\nzip archive.")
        landmarker = cls()
        landmarker.people, landmarker.closed = options.num_poses, False
        landmarker.mode = options.running_mode
        return landmarker

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closed = True

    def detect_for_video(self, image, time_ms):
        assert self.mode == "video"
        return self.found()

    def detect(self, image):
        assert self.mode == "image"
        return self.found()

    def found(self):
        point = types.SimpleNamespace(x=0.5, y=0.25, visibility=0.9)
        return types.SimpleNamespace(pose_landmarks=[[point] * 33] * self.people)


def test_landmarks_become_pixels(tmp_path, monkeypatch):
    vision = types.SimpleNamespace(
        PoseLandmarkerOptions=types.SimpleNamespace,
        PoseLandmarker=Landmarker,
        RunningMode=types.SimpleNamespace(VIDEO="video", IMAGE="image"),
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
    with video.mediapipe(model, still=True) as detector:
        np.testing.assert_allclose(detector(np.zeros((48, 64, 3), np.uint8), 0), np.tile([32, 12, 0.9], (1, 33, 1)))
    model.write_bytes(b"hello")
    with (
        pytest.raises(UserError, match=r"x\.task: not loaded \(Unable to open\\nzip archive\.\), expected a pose_landmarker"),
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


def test_uneven_times_are_kept(tmp_path):
    times = np.arange(20) * 0.04 + 0.03 * (np.arange(20) % 2)
    path = videos.write(tmp_path / "v.mp4", videos.numbered(20), times)
    finder = Finder(missing=(0,))
    (track,) = video.detect(path, finder)
    np.testing.assert_allclose(track.times, times[1:], atol=1e-4)
    assert finder.times[:3] == [0, 70, 80]
    (track,) = video.detect(path, Finder(()), part=Part(every=3))
    np.testing.assert_allclose(track.seconds, times[::3], atol=1e-4)


def test_a_video_that_lost_its_rotation_is_turned(dance):
    sizes = []

    class Looker(Finder):
        def __call__(self, image, time_ms):
            sizes.append((image.shape, videos.blue_corner(image)))
            return super().__call__(image, time_ms)

    (track,) = video.detect(dance, Looker(), rotate=90)
    assert set(sizes) == {((64, 48, 3), (False, True))}  # the upper left corner is at the upper right
    assert track.image_size == (48, 64)


def test_pictures_for_themselves_are_lifted_one_by_one(tmp_path):
    for name, number in (("garden", 3), ("street", 8)):
        Image.fromarray(videos.numbered(9)[number]).save(tmp_path / f"{name}.png")
    found = {track.name: track for track in video.detect(tmp_path, Finder(), part=Part(every=2))}
    assert {name: (track.keypoints[:, 0, 0].tolist(), track.fps) for name, track in found.items()} == {
        "garden": ([3.0], None),
        "street": ([8.0], None),
    }
    with pytest.raises(UserError, match="frames per second not known, expected --fps with --start and --end"):
        video.detect(tmp_path, Finder(), part=Part(end=3.0))
