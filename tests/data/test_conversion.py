import json
import re

import numpy as np
import pytest

from srnet_jax.data import prepare
from srnet_jax.data.mocap import conversion, messages, report
from srnet_jax.errors import ConfigError, DataError, UserError
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mocap import POSE, walk
from tests.data.test_plausibility import PAIRS, swapped
from tests.data.test_recordings import A_POSE, T_POSE, waving

MAPPING = 'unit = 0.01\nup = "{up}"\n{more}\n[joints]\n' + "".join(f'{name} = "{name}"\n' for name in H36M_17.joints)


def write(path, poses, *, time="0.0333333", declared=None, tail=""):
    """Write the 17 joints, with positions as the only channels, centimetres, z up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["HIERARCHY", "ROOT world", "{", "OFFSET 0 0 0"]
    for name in H36M_17.joints:
        lines += [f"JOINT {name}", "{", "OFFSET 0 0 0", "CHANNELS 3 Xposition Yposition Zposition", "}"]
    lines += ["}", "MOTION", f"Frames: {len(poses) if declared is None else declared}", f"Frame Time: {time}"]
    lines += [" ".join(f"{value:.4f}" for value in row) for row in poses.reshape(len(poses), -1) * 100]
    path.write_text("\n".join(lines) + "\n" + tail)


@pytest.fixture
def mapping(tmp_path):
    def written(more="", up="z"):
        path = tmp_path / "skeleton.toml"
        path.write_text(MAPPING.format(up=up, more=more))
        return path

    return written


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "motion"


def refusal(folder, skeleton):
    """Return why the only file is refused."""
    found = conversion.convert(folder, skeleton)
    assert found.clips == {}
    (recording,) = found.files
    return recording.refused


def test_a_good_folder_gives_no_warning(folder, mapping):
    poses = walk(40, 30)
    write(folder / "s1" / "walk_1.bvh", poses)
    write(folder / "s1" / "walk_2.bvh", poses[:20])
    found = conversion.convert(folder, mapping())
    np.testing.assert_allclose(found.clips["s1/walk/1"], poses, atol=1e-5)
    assert list(found.clips) == ["s1/walk/1", "s1/walk/2"]
    assert found.refused == []
    measures, checks = found.subjects["s1"]
    assert measures.frames == 60
    assert {check.verdict for check in checks} == {"ok"}


def test_rows_and_frame_times_are_warned_of(folder, mapping):
    poses = waving(60, 30)
    write(folder / "s1" / "walk_1.bvh", poses, declared=75)
    write(folder / "s1" / "walk_2.bvh", poses, declared=59)
    write(folder / "s1" / "walk_3.bvh", poses, tail="1 2 3")
    write(folder / "s1" / "x" / "walk_4.bvh", poses + 0.01, time="1")
    write(folder / "s1" / "walk_5.bvh", poses, time="33.3")
    write(folder / "s1" / "x" / "walk_6.bvh", poses + 0.01, time="0")
    with pytest.warns(UserWarning, match="found") as warned:
        clips = conversion.convert(folder, mapping()).clips
    assert [len(clip) for clip in clips.values()] == [60] * 6
    said = [str(warning.message).removeprefix(f"{folder}/s1/") for warning in warned]
    assert said[0] == "walk_1.bvh and 1 more: found 60 complete frames, expected the 59 to 75 that it declares"
    assert said[1].startswith("walk_3.bvh: found 60 complete frames and one that is cut short, expected the 60 that")
    assert said[3].startswith("x/walk_4.bvh: found a frame time of 1 s, at which wrists and ankles move at 0.0")
    assert said[3].endswith(": a guess; if that is wrong, set fps in a mapping file, or --source_fps")
    assert "walk_5.bvh: found a frame time of 33.3 s, read as milliseconds, 30 frames a second" in said[2]
    assert "x/walk_6.bvh: found a frame time of 0 s; read as 30 frames a second" in said[4]
    assert len(said) == 5


def test_a_rate_that_is_missing_is_that_of_the_folder(folder, mapping):
    """The people of these files move so slowly that the rate would be guessed as 120."""
    for name, time, frames in (("a", "0.0166667", 61), ("b", "0.016667", 61), ("c", "1", 61), ("d", "0", 121)):
        write(folder / "s1" / f"{name}.bvh", waving(frames, 200), time=time)
    with pytest.warns(UserWarning, match="found") as warned:
        found = conversion.convert(folder, mapping())
    assert [round(recording.fps) for recording in found.files] == [60] * 4
    assert [len(clip) for clip in found.clips.values()] == [31, 31, 31, 61]
    ending = "; read as 60 frames a second, as the other files of its folder; if that is wrong, set fps in a mapping file"
    assert len(warned) == 2
    for warning, start in zip(
        warned, ("c.bvh: found a frame time of 1 s, at", "d.bvh: found a frame time of 0 s"), strict=True
    ):
        assert str(warning.message).startswith(f"{folder}/s1/{start}")
        assert ending in str(warning.message)


def test_folders_of_several_rates_do_not_tell_that_of_a_file(folder, mapping):
    for name, time in (("a", "0.0166667"), ("b", "0.0333333"), ("c", "1")):
        write(folder / "s1" / f"{name}.bvh", waving(60, 30), time=time)
    with pytest.warns(UserWarning, match="a guess; if that is wrong") as warned:
        conversion.convert(folder, mapping())
    assert len(warned) == 1


def test_motions_that_several_people_have_are_warned_of(folder, mapping):
    for name, seed in (("anna/walk_1", 30), ("anna/copy_1", 30), ("ben/walk_1", 30), ("ben/walk_2", 31)):
        write(folder / f"{name}.bvh", waving(60, seed))
    with pytest.warns(UserWarning, match="found") as warned:
        assert len(conversion.convert(folder, mapping()).clips) == 4
    assert [str(warning.message) for warning in warned] == [
        f"{folder}/ben/walk_1.bvh: found the motion that subject anna has too, expected those of different people to differ; "
        "do not train on one and test on the other"
    ]


def test_the_users_frame_rate_wins(folder, mapping):
    write(folder / "s1" / "walk_1.bvh", walk(61, 60), time="1")
    for options, more, frames in (
        (conversion.Options(), "fps = 60", 31),
        (conversion.Options(source_fps=30.0), "fps = 60", 61),
        (conversion.Options(source_fps=120.0), "", 16),
        (conversion.Options(fps=60.0, source_fps=60.0), "", 61),
    ):
        assert len(conversion.convert(folder, mapping(more), options).clips["s1/walk/1"]) == frames


def test_a_frame_rate_that_nothing_tells_is_refused(folder, mapping):
    write(folder / "s1" / "stand.bvh", np.tile(POSE, (5, 1, 1)), time="0")
    expected = "found a frame time of 0 s, and nothing that moves; set fps in a mapping file, or --source_fps"
    assert refusal(folder, mapping()) == expected


@pytest.mark.parametrize("rest", [T_POSE, A_POSE])
@pytest.mark.parametrize(("frames", "time"), [(1, "0.0333333"), (2, "0"), (90, "0.0333333")])
def test_files_that_hold_only_a_rest_pose_are_refused(rest, frames, time, folder, mapping):
    write(folder / "s1" / "rest.bvh", np.tile(rest, (frames, 1, 1)), time=time)
    expected = f"found only a rest pose (T-pose or A-pose) in all {frames} frames, expected motion"
    for more in ("", "rest_pose = true"):
        assert refusal(folder, mapping(more)) == expected.replace("in all 1 frames", "in its only frame")


def test_a_users_word_keeps_a_t_pose(folder, mapping):
    write(folder / "s1" / "rest.bvh", np.tile(T_POSE, (20, 1, 1)))
    (clip,) = conversion.convert(folder, mapping("rest_pose = false")).clips.values()
    assert len(clip) == 20


def test_frames_that_are_made_up_are_one_warning(folder, mapping):
    write(folder / "s1" / "walk_1.bvh", walk(25, 25), time="0.04")
    write(folder / "s1" / "walk_2.bvh", walk(25, 25), time="0.04")
    with pytest.warns(UserWarning, match="interpolated") as warned:
        conversion.convert(folder, mapping(), conversion.Options(fps=50.0))
    (only,) = [str(warning.message) for warning in warned]
    assert only.endswith("walk_1.bvh and 1 more: found 25 frames a second, interpolated to 50")


def test_lying_people_with_another_axis_up_are_refused(folder, mapping):
    write(folder / "s1" / "walk_1.bvh", walk(60, 30))
    write(folder / "s1" / "stand.bvh", walk(10, 30))  # walks too little for a certain vertical
    found = conversion.convert(folder, mapping(up="y"))
    assert found.clips == {}
    stand, walks = found.files
    assert walks.refused.startswith("trunk: found 90 degrees from upright, expected at most 60 degrees; people walk while they")
    assert walks.refused.endswith('lie along z; set up = "z" in a mapping file')
    assert stand.refused.startswith("median over the files of the subject: trunk: ")


def test_people_who_always_lie_are_a_warning(folder, mapping):
    lying = walk(10, 30)
    lying = lying @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    lying[..., 2] += 0.2
    write(folder / "s1" / "lie_1.bvh", lying)
    write(folder / "s2" / "lie_1.bvh", lying)
    write(folder / "s2" / "walk_1.bvh", walk(60, 30))
    write(folder / "s2" / "walk_2.bvh", walk(60, 30))
    message = "^subject s1: trunk: found 90 degrees from upright, .*does another axis point up"
    with pytest.warns(UserWarning, match=message) as warned:
        assert len(conversion.convert(folder, mapping()).clips) == 4
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda poses: swapped(poses, "Shoulder", "Elbow", "Wrist"), "shoulders against hips: .*arms swapped"),
        (lambda poses: poses[:, [*range(3), 2, *range(4, 17)]], "RKnee to RFoot: found 0.00 m, .* they are one joint"),
        (lambda poses: poses[:, [*range(10), 9, *range(11, 17)]], "Neck to Head: found 0.00 m, .* they are one joint"),
        (lambda poses: poses * 10, "height: found 15.7 m from ankle to head .* it looks like millimetres"),
    ],
)
def test_what_no_person_can_be_is_refused(folder, mapping, change, message):
    write(folder / "s1" / "walk_1.bvh", change(walk(20, 30)))
    assert re.match(message, refusal(folder, mapping()))
    with pytest.raises(DataError, match=rf"walk_1\.bvh: {message}"):
        prepare.mocap_file(folder, folder / "x.npz", skeleton=str(mapping()), options=conversion.Options())
    assert not (folder / "x.npz").exists()


def test_the_built_in_skeleton_with_end_sites_of_no_length(tmp_path):
    """CMU's joints as other programs export them again: the head ends where it begins."""
    from tests.data.test_mocap_skeletons import motionbuilder

    joints, _, unit_m, _ = motionbuilder()
    joints["Head_end"] = joints["Head"]
    lines = ["HIERARCHY", "ROOT world", "{", "OFFSET 0 0 0", "CHANNELS 1 Xposition"]
    for name, (x, y, z) in joints.items():
        lines += [f"JOINT {name}", "{", f"OFFSET {x / unit_m:.6f} {z / unit_m:.6f} {-y / unit_m:.6f}", "}"]
    (tmp_path / "02_01.bvh").write_text("\n".join([*lines, "}", "MOTION", "Frames: 2", "Frame Time: 0.00833", "0", "0.1"]))
    found = conversion.convert(tmp_path)
    assert found.recognised == (
        "1 file of CMU, MotionBuilder-friendly BVH: 0.05644 m a unit, y up; head in line with the neck",
    )
    assert 0.08 < np.linalg.norm(np.diff(found.clips["02/motion/02_01"][0, 9:11], axis=0)) < 0.14


def test_swapped_left_and_right_and_small_people_are_one_warning_for_all_files(folder, mapping):
    poses = swapped(walk(30, 30), *PAIRS) * 0.65
    for number in range(3):
        write(folder / "s1" / f"walk_{number}.bvh", poses)
    with pytest.warns(UserWarning, match="knees") as warned:
        assert len(conversion.convert(folder, mapping()).clips) == 3
    (only,) = [str(warning.message) for warning in warned]
    assert only.startswith(f"{folder}/s1/walk_0.bvh and 2 more: height: found 1.02 m from ankle to head with ")
    assert "no usual unit fits" in only
    assert "the knees bend backwards; are left and right swapped?" in only


def test_rest_poses_and_jumps_are_cut(folder, mapping):
    poses = walk(60, 30)
    write(folder / "s1" / "walk_1.bvh", np.concatenate([T_POSE[None] + [2, 0, 0], poses]))
    jumping = poses.copy()
    jumping[25:] += [3.7, 0, 0]
    write(folder / "s1" / "walk_2.bvh", jumping)
    with pytest.warns(UserWarning, match="jump") as warned:
        clips = conversion.convert(folder, mapping()).clips
    said = [str(warning.message).removeprefix(f"{folder}/s1/") for warning in warned]
    assert said[0].startswith("walk_1.bvh: left out 1 frame in a rest pose at the beginning, before a jump of 2")
    assert said[1] == "walk_2.bvh: found a jump of 3.7 m after frame 25; split into 2 clips"
    np.testing.assert_allclose(clips["s1/walk/1"], poses, atol=1e-5)
    np.testing.assert_allclose(clips["s1/walk/2.part1"], jumping[:25], atol=1e-5)
    np.testing.assert_allclose(clips["s1/walk/2.part2"], jumping[25:], atol=1e-5)
    assert len(clips) == 3
    (folder / "s1" / "walk_2.bvh").unlink()
    with pytest.warns(UserWarning, match=r"left out 3 frames at the beginning \(rest_pose\)"):
        assert len(conversion.convert(folder, mapping("rest_pose = 3")).clips["s1/walk/1"]) == 58


@pytest.mark.parametrize("height", [-0.9, 0.4])
def test_floors_are_moved_to_zero(folder, mapping, height):
    poses = walk(30, 30)
    climbing = poses + [0, 0, 0.3]  # on a step of the same floor
    write(folder / "s1" / "walk_1.bvh", poses + [0, 0, height])
    write(folder / "s1" / "walk_2.bvh", poses + [0, 0, height])
    write(folder / "s1" / "climb_1.bvh", climbing + [0, 0, height])
    write(folder / "s2" / "walk_1.bvh", poses)
    message = rf"climb_1\.bvh and 2 more: found the floor at a height of {height + 0.02:.2f} m, moved"
    with pytest.warns(UserWarning, match=message) as warned:
        clips = conversion.convert(folder, mapping()).clips
    assert len(warned) == 1
    moved = -clips["s1/walk/1"][0, 3, 2] + 0.1 + height
    assert moved == pytest.approx(height + 0.018, abs=0.01)
    np.testing.assert_allclose(clips["s1/climb/1"], climbing + [0, 0, height - moved], atol=1e-5)
    np.testing.assert_allclose(clips["s2/walk/1"], poses, atol=1e-5)


def test_what_several_files_share_is_one_line_with_the_range_of_its_number():
    floor = "found the floor at a height of {} m, moved it to 0"
    said = [("a", floor.format("-0.90")), ("b", "Spine1 is odd"), ("c", floor.format("2.20")), ("d", floor.format("-1.00"))]
    said += [("e", "Spine2 is odd"), ("f", "found 1,200 frames"), ("g", "found 90 frames"), ("h", "found 1e+20 m")]
    said += [("i", "found 3 of 4 and 0.5 m."), ("j", "found 3 of 7 and 0.6 m."), ("k", "same 1"), ("l", "same 1")]
    assert messages.grouped(said) == [
        "a and 2 more: found the floor at a height of -1.00 to 2.20 m, moved it to 0",
        "b: Spine1 is odd",
        "e: Spine2 is odd",
        "f and 1 more: found 90 to 1,200 frames",
        "h: found 1e+20 m",
        "i and 1 more (numbers of the first): found 3 of 4 and 0.5 m.",
        "k and 1 more: same 1",
    ]


def test_subjects_by_folder_pattern_and_flag(folder, mapping):
    write(folder / "s1" / "bvh" / "anna_walk_1.bvh", walk(5, 30))
    write(folder / "s2" / "bvh" / "anna_walk_1.bvh", walk(5, 30))
    assert list(conversion.convert(folder, mapping()).clips) == ["s1/anna_walk/1", "s2/anna_walk/1"]
    named = mapping('name = "{subject}/*/*_{action}_{clip}"')
    assert list(conversion.convert(folder, named).clips) == ["s1/walk/1", "s2/walk/1"]
    found = conversion.convert(folder, named, conversion.Options(names="{subject}_{action}_{clip}"))
    assert list(found.clips) == ["anna/walk/1"]
    (twice,) = found.refused
    assert re.fullmatch(r"found the clip anna/walk/1, which .*s1/bvh/anna_walk_1\.bvh has too; .*--name", twice.refused)
    with pytest.raises(DataError, match=r"skeleton\.toml: name: found '\{action\}', expected text with"):
        conversion.convert(folder, mapping('name = "{action}"'))
    with pytest.raises(DataError, match=r"skeleton\.toml: rest_pose is '-1', expected true, false or a number"):
        conversion.convert(folder, mapping("rest_pose = -1"))
    with pytest.raises(DataError, match=r"name: found '\{x\}'"):
        conversion.Options(names="{x}")
    with pytest.raises(ConfigError, match="source_fps: 0 is not allowed"):
        conversion.Options(source_fps=0)


def test_names_that_no_clip_can_have_are_refused(folder, mapping):
    write(folder / "s1" / f"{'long ' * 45}1.bvh", walk(5, 30))
    assert "expected <subject>/<action>/<clip>" in refusal(folder, mapping())


def test_one_bad_file_does_not_stop_the_others(tmp_path, folder, mapping):
    for number in range(3):
        write(folder / "s1" / f"walk_{number}.bvh", walk(20, 30))
    bad = folder / "s1" / "walk_1.bvh"
    bad.write_text(bad.read_text().replace("OFFSET 0 0 0", "OFFSET 0 zero 0", 1))
    arguments = {"skeleton": str(mapping()), "options": conversion.Options()}
    done = prepare.mocap_file(folder, tmp_path / "x.npz", **arguments, report_file=tmp_path / "x.json")
    assert (done.files, done.refused) == (2, 1)
    assert done.reasons == (f"{bad}: line 4: found 'zero', expected a finite number",)
    with np.load(tmp_path / "x.npz") as file:
        assert sorted(file) == ["fps", "s1/walk/0", "s1/walk/2"]
    found = json.loads((tmp_path / "x.json").read_text())
    assert [entry["refused"] for entry in found["files"]] == ["", "line 4: found 'zero', expected a finite number", ""]
    for number in (0, 2):
        (folder / "s1" / f"walk_{number}.bvh").write_text("nothing")
    done = prepare.mocap_file(folder, tmp_path / "y.npz", **arguments, report_file=tmp_path / "y.html")
    assert (done.written, done.files, done.refused) == ("", 0, 3)
    assert not (tmp_path / "y.npz").exists()
    assert "None of the files could be read." in (tmp_path / "y.html").read_text()


def test_many_files_that_are_refused_for_one_reason_share_a_line(tmp_path, folder, mapping):
    for number in range(25):
        write(folder / "s1" / f"walk_{number:02}.bvh", walk(2, 30) * 100)
    done = prepare.mocap_file(folder, tmp_path / "x.npz", skeleton=str(mapping()), options=conversion.Options())
    (line,) = done.reasons
    assert line.startswith(f"{folder}/s1/walk_00.bvh and 24 more: height: found 157 m from ankle to head")


def test_reports(tmp_path, folder, mapping):
    write(folder / "<s1>" / "walk & <b>_1.bvh", np.concatenate([T_POSE[None], walk(30, 30)]))
    write(folder / "<s1>" / "turn_2.bvh", walk(1, 30) * 1e5)
    with pytest.warns(UserWarning, match="rest pose"):
        found = conversion.convert(folder, mapping())
    report.save(tmp_path / "deeper" / "x.json", found, "title")
    numbers = json.loads((tmp_path / "deeper" / "x.json").read_text())
    first, second = numbers["files"]
    assert first["refused"].startswith("height: found 1.57e+05 m")
    assert first["measures"]["hip_speed"] == [None, None, None]
    assert second["clips"] == {"<s1>/walk & <b>/1": 30}
    np.testing.assert_allclose(second["first_pose_m"], T_POSE, atol=1e-3)
    height = next(check for check in second["checks"] if check["kind"] == "height")
    assert height["verdict"] == "ok"
    assert numbers["subjects"]["<s1>"]["measures"]["frames"] == 30  # not of the file that is refused
    page = report.page(found, "a <title>")
    assert "default-src 'none'" in page
    assert not re.search(r"https?:|<script|<b>|<s1>|<title>a <|src=|href=", page.split("default-src")[1].partition("\n")[2])
    assert "walk &amp; &lt;b&gt;_1.bvh" in page
    assert page.count("<svg") == 4  # two views a file
    assert page.count("<line") == 4 * 17
    for wrong in ("x.txt", "deeper"):
        with pytest.raises(UserError, match=r"expected a name ending in \.html or \.json|exists already"):
            report.check_path(tmp_path / wrong)
