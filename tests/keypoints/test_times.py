"""Parts of keypoint files, their time stamps, and the videos that they belong to."""

import itertools
import json
import re

import numpy as np
import pytest
from PIL import Image

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import footage, times
from srnet_jax.keypoints.keypoint_files import Hints, load
from srnet_jax.keypoints.video import detect
from tests.keypoints import videos
from tests.keypoints.builders import walker

UNEVEN = np.concatenate([np.arange(10) / 30, 0.5 + np.arange(15) / 15])


@pytest.fixture
def walk(tmp_path):
    """A person in frames 3 to 22, with and without a frame rate."""
    points = walker("coco")
    points[:3] = points[23:] = 0
    np.savez(tmp_path / "walk.npz", keypoints=points, fps=10.0)
    np.savez(tmp_path / "bare.npz", keypoints=points)
    return tmp_path


def test_a_part_of_a_file_keeps_numbers_and_times(walk):
    (whole,) = load(walk / "walk.npz")
    (part,) = times.select([whole], times.make_part(0.6, 1.5, 2), None, "walk.npz")
    np.testing.assert_array_equal(part.frames, [6, 8, 10, 12, 14])
    np.testing.assert_allclose(part.seconds, [0.6, 0.8, 1.0, 1.2, 1.4])
    np.testing.assert_array_equal(part.keypoints, whole.keypoints[[3, 5, 7, 9, 11]])
    np.testing.assert_array_equal(part.confidences, whole.confidences[[3, 5, 7, 9, 11]])
    assert part.fps == 5


def test_parts_that_follow_on_each_other_hold_each_frame_once(walk):
    (whole,) = load(walk / "walk.npz")
    ends = [None, 0.7, 1.3, None]
    found = [times.select([whole], times.make_part(*pair), None, "")[0].frames for pair in itertools.pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(found), whole.frames)


def test_a_part_without_a_rate_is_refused_in_one_line(walk):
    tracks = load(walk / "bare.npz")
    with pytest.raises(UserError, match=r"bare\.npz: frames per second not known, expected --fps with --start and --end"):
        times.select(tracks, times.make_part(0.6, None), None, "bare.npz")
    (given,) = times.select(tracks, times.make_part(0.6, None), 20.0, "bare.npz")
    assert given.first_frame == 12
    (every,) = times.select(tracks, times.make_part(None, None, 5), None, "bare.npz")
    np.testing.assert_array_equal(every.frames, [5, 10, 15, 20])


def test_pictures_that_stand_alone_are_all_taken_and_keep_their_step(tmp_path):
    rows = [[f"{name}.png", *walker("coco")[0].ravel()] for name in ("garden", "street", "house")]
    pictures = load(table(tmp_path / "x.csv", ["image", *names()], rows), Hints(image_size=(1280, 720)))
    part = times.select(pictures, times.make_part(None, None, 5), None, "x")
    assert [(track.name, track.every) for track in part] == [(track.name, 1) for track in pictures]
    assert len(part) == 3


def test_an_empty_part_says_what_there_is(walk):
    with pytest.raises(
        DataError, match=r"x: found no person in frames from 5 s until 6 s; people are visible from 0\.3 to 2\.2 s"
    ):
        times.select(load(walk / "walk.npz"), times.make_part(5, 6), None, "x")
    with pytest.raises(DataError, match=r"x: found no person in frames from 5 s; people are visible from 0\.15 to 1\.1 s"):
        times.select(load(walk / "bare.npz"), times.make_part(5, None), 20.0, "x")
    for start, end in ((3, 3), (4, 3), (-1, 3), (np.nan, 3)):
        with pytest.raises(UserError, match=r"--start, --end: found .*, expected 0 <= start < end"):
            times.make_part(start, end)


def table(path, header, rows):
    path.write_text("\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def names():
    from srnet_jax.pose.layouts import find

    return [f"{joint}_{axis}" for joint in find("coco").joints for axis in ("x", "y", "confidence")]


@pytest.mark.parametrize(
    ("name", "factor"), [("time", 1), ("timestamp", 1e3), ("timestamp_ms", 1e3), ("Time (s)", 1), ("time_us", 1e6)]
)
@pytest.mark.parametrize("numbered", [True, False])
def test_a_tables_time_stamps_are_used(tmp_path, name, factor, numbered):
    header = [*(["frame"] if numbered else []), name, *names()]
    rows = [
        [*([index] if numbered else []), repr(seconds * factor), *person.ravel()]
        for index, (seconds, person) in enumerate(zip(UNEVEN.tolist(), walker("coco"), strict=True))
    ]
    (track,) = load(table(tmp_path / "x.csv", header, rows), Hints(image_size=(1280, 720)))
    shown = track.detected
    np.testing.assert_allclose(track.seconds[shown], UNEVEN, atol=1e-6)
    np.testing.assert_allclose(track.keypoints[shown], walker("coco")[..., :2])
    if numbered:
        assert track.fps == pytest.approx(24 / UNEVEN[-1])


def test_even_time_stamps_are_a_frame_rate_and_gaps_are_kept(tmp_path):
    """Two people in a table without frame numbers; no person in frames 8 to 10."""
    rows = []
    for index in [*range(8), *range(11, 25)]:
        for person, shift in (("a", 0), ("b", 300)):
            rows.append([round(index / 25, 4), person, *walker("coco", shift)[index].ravel()])
    tracks = load(table(tmp_path / "x.csv", ["time", "person", *names()], rows), Hints(image_size=(1280, 720)))
    assert len(tracks) == 2
    for track in tracks:
        assert track.times is None
        assert track.fps == pytest.approx(25)
        np.testing.assert_array_equal(np.flatnonzero(~track.detected), [8, 9, 10])


def test_time_stamps_that_cannot_be_times_are_left_out_with_a_warning(tmp_path):
    for column, message in (
        (np.arange(25)[::-1] / 30, "time stamps not used, expected them to increase with the frame numbers"),
        (np.arange(25) * 2.0, "time stamps 2 apart not used, expected a name with their unit"),
    ):
        rows = [[index, time, *walker("coco")[index].ravel()] for index, time in enumerate(column.tolist())]
        path = table(tmp_path / "x.csv", ["frame", "time", *names()], rows)
        with pytest.warns(UserWarning, match=message):
            (track,) = load(path, Hints(image_size=(1280, 720)))
        assert track.seconds is None


LONG = walker("coco", frames=100)


@pytest.mark.parametrize(
    ("name", "column", "message"),
    [
        ("time", np.round(np.arange(100) / 30, 1), r"line 3 repeats 0\.0"),
        ("time", np.round(np.arange(100) / 120, 2), r"line \d+ repeats 0\.0\d"),
        ("time", np.insert(np.arange(99), 50, 50) / 25, r"line 53 repeats 2\.0"),
        ("timestamp", 1_700_000_000 + np.arange(100) // 30, "line 3 repeats 1700000000"),
        ("timestamp", 1_700_000_000 + np.arange(100), "its unit is not known"),
        ("time", np.random.default_rng(0).normal(0.02, 0.002, 100), r"line \d+ has 0\.0\d+ after 0\.0"),
        ("ms", np.random.default_rng(0).normal(20, 2, 100), r"line \d+ has \d"),
        ("time", np.arange(100)[::-1] / 30, r"line 3 has 3\.2666.* after 3\.3"),
    ],
    ids=["tenths", "hundredths", "one twice", "whole seconds", "no unit", "inference", "inference, ms", "backwards"],
)
def test_times_that_do_not_number_frames_are_left_out_and_lines_counted(tmp_path, name, column, message):
    """With one line per frame in order, the lines are the frames if the times cannot be used."""
    rows = [[repr(time), *person.ravel()] for time, person in zip(column.tolist(), LONG, strict=True)]
    with pytest.warns(UserWarning, match="not used") as warned:
        (track,) = load(table(tmp_path / "x.csv", [name, *names()], rows), Hints(image_size=(1280, 720)))
    (one,) = warned
    expected = rf"x\.csv: column '{name}' not used: {message}.*, expected increasing times .*; counting the lines$"
    assert re.search(expected, str(one.message))
    np.testing.assert_array_equal(track.frames, np.arange(100))
    np.testing.assert_allclose(track.keypoints, LONG[..., :2])
    assert track.seconds is None


@pytest.mark.parametrize(("fps", "digits"), [(30, 2), (25, 3), (90, 2), (60, 2), (30, 6)])
def test_rounded_times_of_even_frames_make_no_gaps(tmp_path, fps, digits):
    rows = [[f"{index / fps:.{digits}f}", *person.ravel()] for index, person in enumerate(LONG)]
    (track,) = load(table(tmp_path / "x.csv", ["time", *names()], rows), Hints(image_size=(1280, 720)))
    assert track.detected.all()
    np.testing.assert_allclose(track.keypoints, LONG[..., :2])
    np.testing.assert_allclose(track.seconds, np.arange(100) / fps, atol=0.51 * 10.0**-digits)
    assert track.fps == pytest.approx(fps, rel=0.01)


@pytest.mark.parametrize("by", ["frame", "person"])
@pytest.mark.parametrize("lines", ["wide", "long"])
def test_times_number_the_frames_of_people_in_either_order(tmp_path, by, lines):
    """In a table sorted by person the times start again; the second person appears at frame 5."""
    people = {"a": walker("coco"), "b": walker("coco", 300)}
    seen = [(index, person) for index in range(25) for person in people if person == "a" or index >= 5]
    seen.sort(key=lambda one: (one[1], one[0]) if by == "person" else one)
    if lines == "wide":
        header = ["time", "person", *names()]
        rows = [[round(index / 25, 2), person, *people[person][index].ravel()] for index, person in seen]
    else:
        header = ["time", "person", "joint", "x", "y", "confidence"]
        joints = [name.removesuffix("_x") for name in names()[::3]]
        rows = [
            [round(index / 25, 2), person, joint, *values]
            for index, person in seen
            for joint, values in zip(joints, people[person][index], strict=True)
        ]
    first, second = load(table(tmp_path / "x.csv", header, rows), Hints(image_size=(1280, 720)))
    assert (first.first_frame, second.first_frame) == (0, 5)
    assert first.fps == second.fps == pytest.approx(25)
    np.testing.assert_allclose(second.keypoints, people["b"][5:, :, :2])


def test_times_of_a_person_twice_count_each_persons_lines(tmp_path):
    rows = [
        [index // 2, who, *walker("coco", shift)[index].ravel()] for index in range(25) for who, shift in (("a", 0), ("b", 300))
    ]
    with pytest.warns(UserWarning, match=r"column 'seconds' not used: line 4 repeats 0, .*; counting the lines of each person"):
        tracks = load(table(tmp_path / "x.csv", ["seconds", "person", *names()], rows), Hints(image_size=(1280, 720)))
    for track, shift in zip(tracks, (0, 300), strict=True):
        np.testing.assert_allclose(track.keypoints, walker("coco", shift)[..., :2])


def test_times_that_do_not_number_frames_of_many_lines_are_refused(tmp_path):
    rows = [[0.1 * (index // 3), joint, joint, index] for index in range(25) for joint in range(17)]
    with pytest.raises(
        DataError, match=r"x\.csv: column 'time' not used: line 19 repeats 0\.0, expected increasing times or a column"
    ):
        load(table(tmp_path / "x.csv", ["time", "joint", "x", "y"], rows), Hints(image_size=(1280, 720)))


def test_time_stamps_of_json_and_arrays_are_used(tmp_path):
    person = walker("coco")
    frames = [
        {"frame": index, "timestamp_ms": 1000 * seconds, "people": [{"keypoints": joints.ravel().tolist()}]}
        for index, (seconds, joints) in enumerate(zip(UNEVEN.tolist(), person, strict=True))
    ]
    (tmp_path / "x.json").write_text(json.dumps({"frames": frames}))
    np.savez(tmp_path / "x.npz", keypoints=person, times=UNEVEN, frames=np.arange(25) + 100)
    for name, first in (("x.json", 0), ("x.npz", 100)):
        (track,) = load(tmp_path / name, Hints(image_size=(1280, 720)))
        np.testing.assert_allclose(track.times, UNEVEN, atol=1e-9)
        assert track.first_frame == first
    np.savez(tmp_path / "x.npz", keypoints=person, times=UNEVEN[::-1], frames=np.zeros(25))
    with pytest.warns(UserWarning, match=r"(times|frames) not used, expected increasing numbers") as found:
        (track,) = load(tmp_path / "x.npz", Hints(image_size=(1280, 720)))
    assert len(found) == 2
    assert track.times is None


def test_times_stay_with_their_frames_when_people_without_joints_are_dropped(tmp_path):
    person = walker("coco")
    person[[0, 1, 9]] = 0
    np.savez(tmp_path / "x.npz", keypoints=person, times=UNEVEN)
    (track,) = load(tmp_path / "x.npz", Hints(image_size=(1280, 720)))
    assert track.first_frame == 2
    seen = track.detected
    np.testing.assert_allclose(track.times[seen], UNEVEN[2:][seen], atol=1e-9)


@pytest.fixture
def video(tmp_path):
    images = videos.numbered(25, (1280, 720))
    return footage.open_footage(videos.write(tmp_path / "walk.mp4", images, UNEVEN))


@pytest.mark.filterwarnings("ignore:.*found 10 frames per second, using")
def test_keypoints_take_size_and_times_from_their_video(walk, video):
    (track,) = times.with_footage(load(walk / "walk.npz", Hints(usual_size=video.size_before)), video, "x")
    np.testing.assert_allclose(track.times, UNEVEN[3:23], atol=1e-4)
    assert track.image_size == (1280, 720)
    assert track.fps == pytest.approx(24 / UNEVEN[-1], rel=1e-3)


def test_a_rate_that_is_given_selects_by_the_clock_that_is_written(walk, video):
    """A part of a slow-motion video with --fps, from a file and a detector, has the frames at these times."""
    video = footage.open_footage(video.path, fps=100.0)
    wanted = times.make_part(0.1, 0.2)
    (track,) = times.select(times.with_footage(load(walk / "bare.npz"), video, "x"), wanted, None, "x")
    np.testing.assert_array_equal(track.frames, np.arange(10, 20))
    np.testing.assert_allclose(track.seconds, np.arange(10, 20) / 100)

    def finder(image, time_ms):
        return [walker("coco")[round(time_ms / 10)]]

    finder.layout = "coco"
    (found,) = detect(video, finder, part=wanted)
    np.testing.assert_array_equal(found.frames, track.frames)
    np.testing.assert_allclose(found.seconds, track.seconds)
    np.testing.assert_allclose(found.keypoints, track.keypoints)


@pytest.mark.filterwarnings("ignore:.*found 10 frames per second, using")
def test_keypoints_of_another_video_are_refused(walk, video):
    (track,) = load(walk / "walk.npz")
    later = times.dataclasses.replace
    (shifted,) = times.with_footage([later(track, first_frame=4)], video, "x")
    assert shifted.first_frame == 4
    with pytest.warns(UserWarning, match="x: frame numbers seem to start at 1, shifted to start at 0"):
        (shifted,) = times.with_footage([later(track, first_frame=6)], video, "x")
    assert shifted.first_frame == 5
    for wrong, message in (
        ({"first_frame": 7}, r"x: found frame 26, expected at most 24, the last of .*walk\.mp4"),
        ({"image_size": (1920, 1080)}, r"x: found images of 1920 x 1080 pixels, expected 1280 x 720 as in"),
        ({"clip": "b_"}, r"x: found keypoints of 1 videos or pictures, expected only those of .*walk\.mp4"),
    ):
        with pytest.raises(DataError, match=message):
            times.with_footage([later(track, **wrong)], video, "x")


def test_stills_are_no_video_of_keypoints(walk):
    for name in ("garden", "street"):
        Image.fromarray(videos.numbered(1)[0]).save(walk / f"{name}.png")
    with pytest.raises(DataError, match="found pictures with several names, expected the frames of one video for x"):
        times.with_footage(load(walk / "walk.npz"), footage.open_footage(walk), "x")
