"""Test people from keypoint files, with and without their video, and people that a detector finds."""

import contextlib

import numpy as np
import pytest

from srnet_jax.errors import UserError
from srnet_jax.keypoints import footage, times, video
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.lifting import sources
from tests.keypoints import videos
from tests.keypoints.builders import walker

SECONDS = np.arange(25) / 10


@pytest.fixture
def walk(tmp_path):
    np.savez(tmp_path / "walk.npz", keypoints=walker("coco"))
    videos.write(tmp_path / "walk.mp4", videos.numbered(25, (720, 640)), SECONDS)
    return tmp_path / "walk.npz"


def test_a_file_takes_part_size_and_times_from_its_video(walk):
    filmed = footage.open_footage(walk.with_suffix(".mp4"))
    (track,) = sources.from_file(walk, Hints(), times.make_part(0.5, 1.0), None, filmed)
    np.testing.assert_allclose(track.seconds, SECONDS[5:10])
    assert track.image_size == (720, 640)
    (alone,) = sources.from_file(walk, Hints(), times.make_part(0.5, 1.0), 10.0)
    np.testing.assert_array_equal(alone.keypoints, track.keypoints)
    assert alone.image_size is None


def test_a_size_that_is_not_the_videos_names_the_flags(walk):
    filmed = footage.open_footage(walk.with_suffix(".mp4"), rotate=90)
    message = r"--width, --height: found 640 x 720, expected neither flag, or the size of .*walk\.mp4, 720 x 640 pixels"
    with pytest.raises(UserError, match=message):
        sources.from_file(walk, Hints(image_size=(640, 720), rotate=90), times.WHOLE, None, filmed)
    (track,) = sources.from_file(walk, Hints(image_size=(720, 640), rotate=90), times.WHOLE, None, filmed)
    assert track.image_size == (640, 720)


def test_a_detector_is_asked_for_as_many_and_sees_the_part(walk, monkeypatch):
    asked = []

    def found(image, time_ms):
        return [walker("coco")[videos.number(image)]]

    @contextlib.contextmanager
    def mediapipe(model, people, *, still):
        asked.append((model, people, still))
        found.layout = "coco"
        yield found

    monkeypatch.setattr(video, "mediapipe", mediapipe)
    filmed = footage.open_footage(walk.with_suffix(".mp4"))
    (track,) = sources.from_video(filmed, sources.Finder(None, 3), times.make_part(None, None, 5), lambda frames: frames)
    np.testing.assert_allclose(track.keypoints, walker("coco")[::5, :, :2])
    assert asked == [(None, 3, False)]
