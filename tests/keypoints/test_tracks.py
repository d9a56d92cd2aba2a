"""Tracking people through a video."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.keypoints import tracks
from srnet_jax.keypoints.people import Detection, gather
from tests.keypoints.test_keypoint_files import person


def people(*found):
    """Return People of (frame, track id, [J, 3] values)."""
    (made,) = gather((Detection(*one) for one in found), Path("dance.json"), Budget(10**9))
    return made


def follow(*found):
    return tracks.follow(people(*found), Budget(10**9))


def all_of(values, track=None, frames=None):
    frames = range(len(values)) if frames is None else frames
    return [(frame, track, values[frame]) for frame in frames]


def same(track, values):
    """Compare the frames that show the person; the others must be NaN."""
    np.testing.assert_allclose(track.keypoints[track.detected], values[track.detected][..., :2], atol=1e-3)
    assert np.isnan(track.keypoints[~track.detected]).all()


def test_people_without_ids_are_linked():
    """Two people cross at different heights, are listed in any order, and one is not seen for a while."""
    rng = np.random.default_rng(1)
    first, second = person(start=(400, 300), step=(10, 0)), person(start=(700, 420), step=(-10, 0))
    found = all_of(first) + all_of(second, frames=[*range(6), *range(9, 25)])
    tracks = follow(*(found[i] for i in rng.permutation(len(found))))
    assert [(track.name, track.detected.sum()) for track in tracks] == [("person_1", 25), ("person_2", 22)]
    same(tracks[0], first)
    same(tracks[1], second)
    assert not tracks[1].confidences[6:9].any()


def test_somebody_far_away_is_another_person():
    first, second = person(), person(start=(4000, 300))
    tracks = follow(*all_of(first, frames=range(14)), *all_of(second, frames=range(13, 25)))
    assert [(track.first_frame, len(track.keypoints)) for track in tracks] == [(0, 14), (13, 12)]


def test_a_person_is_not_looked_for_after_a_second():
    """With several people, one who returns after more than 30 frames is a new person."""
    walk, other = person(frames=60, step=(0, 0)), person(start=(4000, 300), frames=60)
    tracks = follow(*all_of(walk, frames=[*range(15), *range(45, 60)]), *all_of(other))
    assert [len(track.keypoints) for track in tracks] == [60, 15, 15]
    tracks = follow(*all_of(walk, frames=[*range(15), *range(44, 60)]), *all_of(other))
    assert [len(track.keypoints) for track in tracks] == [60, 60]


def test_a_video_of_one_person_has_one_track():
    walk = person(frames=200, step=(1, 1))
    (track,) = follow(*all_of(walk, frames=[*range(15), *range(180, 200)]))
    assert (track.name, track.detected.sum()) == ("dance", 35)
    same(track, walk)


def test_short_tracks_are_dropped():
    walk, passer = person(frames=200), person(start=(4000, 300), frames=200)
    assert len(follow(*all_of(walk), *all_of(passer, frames=range(9)))) == 1  # fewer than 10 frames, and less than 5 %
    assert len(follow(*all_of(walk), *all_of(passer, frames=range(10)))) == 2
    assert len(follow(*all_of(walk, frames=range(180)), *all_of(passer, frames=range(9)))) == 2
    assert [track.name for track in follow(*all_of(walk, "7"), *all_of(passer, "a/b", frames=range(150)))] == [
        "person_7",
        "person_a_b",
    ]


def test_an_id_that_all_have_is_none():
    """AlphaPose writes equal ids if it does not track."""
    tracks = follow(*all_of(person(), "0"), *all_of(person(start=(4000, 300)), "0"))
    assert [track.name for track in tracks] == ["person_1", "person_2"]
    assert [track.name for track in follow(*all_of(person(), "0"))] == ["person_0"]


def test_the_surer_of_two_with_one_id_is_taken():
    doubtful = person(start=(4000, 300)) * [1, 1, 0.5]
    tracks = follow(*all_of(doubtful, "1"), *all_of(person(), "1"), *all_of(person(start=(2000, 300)), "2"))
    assert [track.name for track in tracks] == ["person_1", "person_2"]
    same(tracks[0], person())


def test_what_is_missing_is_nan():
    values = person()
    values[:3, 4] = 0
    values[5, 4, 0] = np.nan
    values[6, 4, 1] = -1
    values[7, 6] = 0, 0, 0.5  # high confidence, but exactly in the corner
    values[8, 6, 2] = 0  # no confidence
    values[9, 6, 2] = 0.05  # less than min_confidence
    (track,) = tracks.follow(people(*all_of(values)), Budget(10**9), 0.1)
    expected = [[0, 4], [1, 4], [2, 4], [5, 4], [6, 4], [7, 6], [8, 6], [9, 6]]
    assert np.argwhere(track.confidences == 0).tolist() == expected
    assert np.argwhere(np.isnan(track.keypoints).all(-1)).tolist() == expected
    assert track.detected.all()


def test_confidences_are_cut():
    values = person()
    values[3, 4, 2], values[3, 5, 2] = 1.02, -0.1
    (track,) = follow(*all_of(values))
    assert (track.confidences[3, 4], track.confidences[3, 5]) == (1, 0)


def test_frames_that_show_nobody():
    """All coordinates, or all confidences, are zero."""
    values = person()
    values[0], values[5, :, :2], values[6, :, 2], values[24] = 0, 0, 0, 0
    (track,) = follow(*all_of(values))
    assert (track.first_frame, len(track.keypoints), track.detected.sum()) == (1, 23, 21)
    same(track, person()[1:24])


def test_too_many_to_link():
    crowd = [(0, None, person(frames=1, start=(500 * i, 300))[0]) for i in range(101)]
    with pytest.raises(DataError, match=r"dance.json: found 101 people without track ids in frame 0, expected at most 100"):
        follow(*crowd)
    assert len(follow(*crowd[1:])) == 100


def test_nobody_makes_no_track():
    assert gather([], Path("dance.json"), Budget(10**9)) == []
    assert follow(*all_of(person() * 0)) == []


def test_tracks_know_what_the_file_tells():
    given = {"layout": "coco", "image_size": (640, 480), "fps": 25.0}
    (track,) = tracks.follow(dataclasses.replace(people(*all_of(person())), **given), Budget(10**9))
    assert {name: getattr(track, name) for name in given} == given


def test_a_person_whom_a_detector_found_twice_is_one_person():
    """Doubles of a part of the body and of a neighbouring frame, with and without another person."""
    first, second = person(start=(400, 300), step=(10, 0)), person(start=(900, 420), step=(-5, 0))
    doubles = all_of(first + [3, 2, -0.1], frames=[2, 3, 4, 9])
    half = first[6].copy()
    half[11:] = 0
    doubles += [(6, None, half - [0, 0, 0.05]), (10, None, first[11])]
    for others in ([], [second]):
        found = [one for own in ([first, *others]) for one in all_of(own)] + doubles
        rng = np.random.default_rng(3)
        tracked = follow(*(found[i] for i in rng.permutation(len(found))))
        assert [track.detected.sum() for track in tracked] == [len(first)] * (1 + len(others))
        one = min(tracked, key=lambda track: track.keypoints[0, 0, 0])
        kept = [frame for frame in range(len(first)) if frame != 10]
        np.testing.assert_allclose(one.keypoints[kept], first[kept, :, :2], atol=1e-3)


def test_frame_numbers_that_repeat_are_said():
    """As where the seconds of a recording, or two recordings, are read as frames."""
    walk = person(start=(400, 300), step=(1, 0))
    repeated = [(frame // 2, None, walk[frame]) for frame in range(24)]
    with pytest.warns(UserWarning, match=r"found two people at the same place in 12 of 12 frames.*frames numbered rightly\?"):
        (track,) = follow(*repeated)
    assert len(track.keypoints) == 12
