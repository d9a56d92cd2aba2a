"""The video and the frame that a picture belongs to, from its name."""

import datetime

import numpy as np
import pytest

from srnet_jax.keypoints.pictures import Place, places


def of(*names):
    found = places(names)
    return [tuple(found[name]) for name in names]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("{}.jpg", ""),
        ("{:012d}", ""),
        ("frame_{:05d}.png", "frame"),
        ("walk_{:04d}_720p.jpg", "walk__720p"),
        ("cam01.{:04d}.json", "cam01"),
        ("clip2/frame_{:06d}.jpg", "clip2_frame"),
        ("images/val/000342_mpii/{:06d}.jpg", "images_val_000342_mpii"),
        ("2024-05-01_{:03d}.jpg", "2024-05-01"),
        ("IMG_20240501_1200{:02d}.jpg", "IMG_20240501"),
        ("1280x720 {:d} v2.png", "1280x720  v2"),
    ],
)
def test_the_number_that_changes_is_the_frame(name, clip):
    names = [name.format(frame) for frame in (3, 4, 5, 9)]
    found = of(*reversed(names))[::-1]
    assert [place[0] for place in found] == [clip] * 4
    assert [place[1] - found[0][1] for place in found] == [0, 1, 2, 6]
    assert not any(place[2] for place in found)


def test_two_videos_in_one_file():
    assert of("a1/01.jpg", "a1/02.jpg", "a2/01.jpg", "a2/02.jpg") == [
        *[("a1", 1, False), ("a1", 2, False), ("a2", 1, False), ("a2", 2, False)]
    ]
    assert {place[0] for place in of("run/1.jpg", "run/2.jpg", "walk/1.jpg")} == {"run", "walk"}
    on = of("v1/001.jpg", "v1/002.jpg", "v2/003.jpg", "v2/004.jpg")  # consecutive numbers across folders
    assert [place[0] for place in on] == ["v1", "v1", "v2", "v2"]


def test_pictures_for_themselves():
    assert of("portrait.jpg", "group.jpg", "IMG_20240501_1200x900.png") == [
        ("portrait", 0, True),
        ("group", 0, True),
        ("IMG_20240501_1200x900", 0, True),
    ]


def test_numbers_of_images():
    assert all(not place.still for place in places(list(range(40, 400, 10))).values())  # every tenth frame
    assert all(not place.still for place in places([3, 4, 6, 7, 8, 30, 31]).values())
    assert all(place.still for place in places([139, 785]).values())
    assert all(place.still for place in places([139, 285, 632, 724, 776, 785, 802, 872, 885, 1000]).values())
    assert places([7])[7] == Place("", 7, False)


@pytest.mark.parametrize(
    "name",
    [
        "{0:%Y%m%d_%H%M%S_%f}.jpg",
        "{0:%Y-%m-%d_%H-%M-%S-}{1:03d}.png",
        "{0:%Y-%m-%d %H:%M:%S.%f}",
        "cam1 {0:%H.%M.%S.}{1:03d}.json",
    ],
)
def test_times_of_day_with_fractions_of_a_second(name):
    """25 frames per second from 10:59:59.62 on, with a pause of two frames."""
    start = datetime.datetime(2024, 2, 29, 10, 59, 59, 620_000)
    frames = [*range(12), *range(14, 25)]
    times = [start + datetime.timedelta(milliseconds=40 * frame + frame % 3) for frame in frames]
    found = of(*(name.format(time, time.microsecond // 1000) for time in times))
    assert [place[1] for place in found] == frames
    assert len({place[0] for place in found}) == 1
    assert not any(place[2] for place in found)


def test_times_of_day_past_midnight():
    start = datetime.datetime(2024, 4, 30, 23, 59, 59, 700_000)
    times = [start + datetime.timedelta(milliseconds=40 * frame) for frame in range(20)]
    assert [place[1] for place in of(*(f"{time:%Y%m%d_%H%M%S_%f}.jpg" for time in times))] == list(range(20))


def test_uneven_times_of_day():
    """A camera that takes a picture about every 0.1 s, and two after 0.04 s."""
    start = datetime.datetime(2024, 5, 1, 10, 0, 0, 20_000)
    passed = np.cumsum([100, 90, 110, 40, 130, 100, 100, 40, 120, 100, 95, 105])
    found = of(*(f"{start + datetime.timedelta(milliseconds=int(time)):%H%M%S_%f}.jpg" for time in passed))
    assert [place[1] for place in found] == list(range(12))
    assert not any(place[2] for place in found)


@pytest.mark.parametrize("name", ["{:06d}_{:03d}.jpg", "S{:06d}_{:03d}.jpg", "20240501_{:06d}_{:06d}.jpg"])
def test_numbers_of_videos_that_could_be_times_of_day(name):
    found = of(*(name.format(video, frame) for video in (21500, 21559, 10203) for frame in range(0, 50, 5)))
    assert [place[1] for place in found] == [*range(0, 50, 5)] * 3
    assert len({place[0] for place in found}) == 3


def test_frames_of_recordings_named_by_their_time():
    """The last number counts frames and is no fraction of a second."""
    found = of(*(f"20240501_1000{second:02d}_{frame:03d}.jpg" for second in (1, 47) for frame in range(1, 9)))
    assert [place[1] for place in found] == [*range(1, 9)] * 2
    assert len({place[0] for place in found}) == 2
    found = of(*(f"20240501_100001_{frame:03d}.jpg" for frame in range(8)))
    assert [place[1] for place in found] == [*range(8)]
