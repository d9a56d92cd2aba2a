import re

import numpy as np
import pytest

from srnet_jax.data.mocap import recordings
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mocap import POSE, walk

T_POSE = POSE.copy()
for _side, _sign in (("L", 1), ("R", -1)):
    _hip, _shoulder = POSE[H36M_17.joints.index(f"{_side}Hip")], POSE[H36M_17.joints.index(f"{_side}Shoulder")]
    for _name, _drop in (("Knee", 0.41), ("Foot", 0.82)):
        T_POSE[H36M_17.joints.index(_side + _name)] = _hip - [0, 0, _drop]
    for _name, _reach in (("Elbow", 0.32), ("Wrist", 0.57)):
        T_POSE[H36M_17.joints.index(_side + _name)] = _shoulder + [_sign * _reach, 0, 0]
A_POSE = T_POSE.copy()
for _side, _sign in (("L", 1), ("R", -1)):
    for _name, _reach in (("Elbow", 0.32), ("Wrist", 0.57)):
        _shoulder = POSE[H36M_17.joints.index(f"{_side}Shoulder")]
        A_POSE[H36M_17.joints.index(_side + _name)] = _shoulder + _reach * np.array([_sign * 0.6, 0, -0.8])


def waving(frames, fps):
    """Return a person who walks and waves; the 90th percentile of the wrist's speed is the usual one."""
    poses = walk(frames, fps)
    angles = np.sin(3 * np.pi * np.arange(frames) / fps)
    forearm = np.linalg.norm(POSE[16] - POSE[15])
    poses[:, 16, 0] = poses[:, 15, 0]
    poses[:, 16, 1] = poses[:, 15, 1] - forearm * np.sin(angles)
    poses[:, 16, 2] = poses[:, 15, 2] - forearm * np.cos(angles)
    return poses


@pytest.mark.parametrize("fps", [5.0, 24.0, 30.0, 120.0, 1000.0])
def test_plausible_rates_are_believed(fps):
    assert recordings.frame_rate(fps, POSE[None]) == (fps, "")


@pytest.mark.parametrize(
    ("time", "fps", "said"),
    [
        (33.3, 30.0, "found a frame time of 33.3 s, read as milliseconds, 30 frames a second"),
        (33, 30.0, "milliseconds"),
        (8.33333, 120.0, "milliseconds"),
        (16.67, 60.0, "milliseconds"),
        (41.7, 24.0, "milliseconds"),
        (10, 100.0, "milliseconds"),
        (30, 30.0, "found a frame time of 30 s, read as 30 frames a second"),
        (120, 120.0, "read as 120 frames a second"),
        (25, 25.0, "read as 25 frames a second"),
    ],
)
def test_milliseconds_and_rates_in_place_of_times(time, fps, said):
    found, why = recordings.frame_rate(1 / time, POSE[None])
    assert found == fps
    assert said in why


@pytest.mark.parametrize("file_fps", [1.0, 0.0, np.inf, 1e-300, 2.0, 5e4])
@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_other_times_are_guessed_from_the_speed(file_fps, fps):
    found, why = recordings.frame_rate(file_fps, waving(int(2 * fps), fps))
    assert found == fps
    assert why.startswith("found a frame time of ")
    assert re.search(rf"; read as {fps:g} frames a second, at which (they|wrists and ankles) move at 2\.\d m/s: a guess$", why)


def test_nothing_is_known_of_a_person_who_does_not_move():
    for poses in (POSE[None], np.tile(POSE, (9, 1, 1)), walk(9, 30) * 1e-6):
        assert recordings.frame_rate(1.0, poses)[0] == 0.0


def test_files_without_a_rate_say_what_they_call_it():
    assert recordings.frame_rate(0.0, POSE[None], "mocap_framerate") == (
        0.0,
        "found no mocap_framerate, and nothing that moves",
    )
    fps, said = recordings.frame_rate(0.0, waving(60, 30), "mocap_framerate")
    assert fps == 30
    assert said.startswith("found no mocap_framerate; read as 30 frames a second, at which wrists and ankles move at 2")


def test_motion_without_jumps_is_one_part():
    for poses in (walk(60, 30), walk(1, 30), walk(2, 30), waving(60, 30)):
        assert recordings.parts(poses, 30.0) == ([slice(0, len(poses))], [])


@pytest.mark.parametrize("rest", [T_POSE, A_POSE])
@pytest.mark.parametrize("fps", [30.0, 120.0])
@pytest.mark.parametrize("count", [1, 3, 40])
def test_rest_poses_at_both_ends_are_left_out(rest, fps, count):
    poses = walk(100, fps)
    held = np.tile(rest, (count, 1, 1))
    before = (recordings.parts(np.concatenate([held + [3, 0, 0], poses]), fps), slice(count, count + 100), "beginning, before")
    after = (recordings.parts(np.concatenate([poses, held + poses[-1, 0] - rest[0]]), fps), slice(0, 100), "end, after")
    for (parts, cut), kept, where in (before, after):
        assert parts == [kept]
        assert len(cut) == 1
        assert cut[0].startswith(f"left out {count} frame{'s' if count > 1 else ''} in a rest pose at the {where} a jump of ")
    both, _ = recordings.parts(np.concatenate([held, poses, held]), fps)
    assert both == [slice(count, count + 100)]


def test_a_rest_pose_from_which_people_move_is_part_of_the_motion():
    share = np.clip(np.linspace(-0.5, 1.5, 60), 0, 1)[:, None, None]
    poses = T_POSE * (1 - share) + POSE * share
    assert recordings.parts(poses, 30.0) == ([slice(0, 60)], [])


def test_the_users_word_on_rest_poses():
    poses = np.concatenate([T_POSE[None], walk(60, 30)])
    assert recordings.parts(poses, 30.0, True) == ([slice(1, 61)], ["left out 1 frame at the beginning (rest_pose)"])
    assert recordings.parts(poses, 30.0, 5) == ([slice(5, 61)], ["left out 5 frames at the beginning (rest_pose)"])
    still = np.concatenate([np.tile(T_POSE, (30, 1, 1)), walk(60, 30)])
    parts, (cut,) = recordings.parts(still, 30.0, False)
    assert parts == [slice(0, 30), slice(30, 90)]  # the clip is still split there
    assert cut.startswith("found a jump of 0.")
    with pytest.raises(DataError, match=r"found 61 frames, expected more than the rest_pose = 61"):
        recordings.parts(poses, 30.0, 61)


@pytest.mark.parametrize("fps", [30.0, 120.0])
def test_clips_are_split_where_someone_jumps(fps):
    poses = walk(200, fps)
    poses[80:] += [3.7, 0, 0]
    parts, (cut,) = recordings.parts(poses, fps)
    assert parts == [slice(0, 80), slice(80, 200)]
    assert cut == "found a jump of 3.7 m after frame 80; split into 2 clips"
    poses[195:, 16] += [0.5, 0, 0]  # a limb, in the last five frames
    parts, (cut,) = recordings.parts(poses, fps)
    assert parts == [slice(0, 80), slice(80, 195)]
    assert cut == "found 2 jumps, the longest of 3.7 m after frame 80; split into 2 clips and left out 5 frames"


def test_a_few_wild_frames_are_left_out():
    poses = walk(100, 30)
    poses[50:52, 6] += [0, 0.9, 0.3]
    parts, (cut,) = recordings.parts(poses, 30.0)
    assert parts == [slice(0, 50), slice(52, 100)]
    assert cut == "found 2 jumps, the longest of 0.98 m after frame 52; split into 2 clips and left out 2 frames"
    short = walk(12, 30)
    short[5:] += [2, 0, 0]
    assert recordings.parts(short, 30.0) == ([slice(5, 12)], ["found a jump of 2 m after frame 5; left out 5 frames"])


def test_fast_people_do_not_jump():
    kick = walk(60, 30)
    kick[20:28, 3, 1] -= [0.1, 0.3, 0.7, 1.0, 0.9, 0.6, 0.3, 0.1]  # up to 12 m/s
    assert recordings.parts(kick, 30.0) == ([slice(0, 60)], [])
    sprint = walk(60, 30) * [1, 10, 1]
    assert recordings.parts(sprint, 30.0) == ([slice(0, 60)], [])


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ({"a": 0.02, "b": -0.1, "c": 0.1}, {"a": 0, "b": 0, "c": 0}),
        ({"a": -0.95}, {"a": -0.95}),
        ({"a": -0.9, "b": -0.9, "c": -0.55}, {"a": -0.9, "b": -0.9, "c": -0.9}),  # someone climbs, or jumps
        ({"a": -1.0, "b": -1.0, "c": 0.0, "d": -1.0}, {"a": -1.0, "b": -1.0, "c": 0.0, "d": -1.0}),  # of another source
        ({"a": 0.4, "b": 0.4, "c": 0.42}, {"a": 0.4, "b": 0.4, "c": 0.4}),
    ],
)
def test_a_subject_has_one_floor(found, expected):
    assert recordings.floors(found) == pytest.approx(expected)
