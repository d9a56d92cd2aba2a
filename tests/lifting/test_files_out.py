"""Test files of a motion by reading them back, with other libraries or by the definition of the format."""

import csv
import dataclasses
import math

import c3d
import ezc3d
import numpy as np
import pytest
import trc
from pymotion.io.bvh import BVH
from pymotion.ops.skeleton_np import fk
from scipy.spatial.transform import Rotation

from srnet_jax.data import synthetic
from srnet_jax.errors import UserError
from srnet_jax.lifting.formats.markers import NAMES
from srnet_jax.lifting.result import Result
from srnet_jax.pose import angles
from srnet_jax.pose.complete import Source
from srnet_jax.pose.skeleton import H36M_17

FRAMES, FPS, FIRST, GAP = 60, 50.0, 12, slice(20, 23)
HEIGHT = 1.4  # of the camera, metres
UP_TO_Y = [0, 2, 1]


def world():
    """Return a person who walks on a floor at 0, [T, 17, 3], z up, metres."""
    draws = np.random.default_rng(0), np.random.default_rng(1)
    body = synthetic._bodies(0)["S1"]
    poses = synthetic.motion(body, synthetic.ACTIONS["Walking"], num_frames=FRAMES, rng=draws[0], style_rng=draws[1])
    poses = poses - poses[:1, :1] * [1, 1, 0]
    poses[..., 2] -= poses[..., 2].min()
    return poses + (np.linspace(0, 1, FRAMES)[:, None] * [1.5, 2.0, 0])[:, None]


def camera():
    """Return the axes of a camera that looks down by 15 degrees and is rolled by 5, as rows in the world: right, down, away."""
    looks = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return Rotation.from_euler("zx", [5, -15], degrees=True).as_matrix() @ looks


@pytest.fixture
def walk():
    """Return a result with root, up and floor, and its true joints in the level world [T, 17, 3]."""
    truth, turn = world(), camera()
    seen = (truth - [0.3, -4.0, HEIGHT]) @ turn.T
    assert (seen[..., 2] > 1).all()
    up = turn @ [0.0, 0, 1]
    away = turn[2] * [1, 1, 0]  # the direction of view, level, in the world
    heading = Rotation.from_rotvec([0, 0, np.arctan2(away[0], away[1])]).as_matrix()
    return result(seen, root=seen[:, 0], up=up, ground=-HEIGHT), truth @ heading.T


def result(seen, **known):
    """Return a result of joints in the camera's frame [T, 17, 3], metres, with a gap."""
    poses = (seen - seen[:, :1]).astype(np.float32)
    sources = np.full((FRAMES, 17), Source.SEEN, np.uint8)
    poses[GAP], sources[GAP] = np.nan, Source.NOT_LIFTED
    return Result(
        name="walker",
        poses_3d=poses,
        confidences=(sources > 0).astype(np.float32),
        sources=sources,
        keypoints_2d=np.zeros((FRAMES, 17, 2), np.float32),
        detected=np.ones(FRAMES, bool),
        layout="h36m",
        image_size=(1000, 1000),
        fps=FPS,
        model="video",
        first_frame=FIRST,
        **known,
    )


def with_gap(points):
    points = points.copy()
    points[GAP] = np.nan
    return points


def test_the_level_world_is_where_the_person_walked(walk):
    found, truth = walk
    np.testing.assert_allclose(found.joints_world(), with_gap(truth), atol=1e-6)
    np.testing.assert_allclose(found.joints_camera() @ found.up - found.ground, with_gap(truth)[..., 2], atol=1e-6)


def test_trc(walk, tmp_path):
    found, truth = walk
    found.save(tmp_path / "x.trc")
    read = trc.TRCData()
    read.load(tmp_path / "x.trc")
    assert (read["Units"], read["DataRate"], read["NumFrames"], read["OrigDataStartFrame"]) == ("m", FPS, FRAMES, FIRST)
    assert tuple(read["Markers"]) == NAMES
    assert read["Frame#"] == list(range(FIRST, FIRST + FRAMES))
    np.testing.assert_allclose(read["Time"], (FIRST + np.arange(FRAMES)) / FPS, atol=1e-6)
    points = np.stack([read[name] for name in NAMES], axis=1)  # away, up, right
    np.testing.assert_allclose(points[..., [2, 0, 1]], with_gap(truth), atol=1e-6)


def test_every_line_of_a_trc_has_all_fields(walk, tmp_path):
    """Check the rules that OpenSim's tables require."""
    walk[0].save(tmp_path / "x.trc")
    lines = (tmp_path / "x.trc").read_text().split("\n")
    assert lines[0] == "PathFileType\t4\t(X/Y/Z)\tx.trc"
    assert lines[5] == ""
    assert {len(line.rstrip("\t").split("\t")) for line in lines[6:-1]} == {2 + 3 * 17}
    assert lines[4].split("\t")[-3:] == ["X17", "Y17", "Z17"]


def test_markers_are_called_as_in_pose2sim():
    """Names agree only where places do: Pose2Sim's Head is the top of the head, its Neck the middle of the shoulders."""
    own = dict(zip(H36M_17.joints, NAMES, strict=True))
    assert own["Thorax"] == "Neck"
    assert own["RFoot"] == "RAnkle"
    assert "Head" not in NAMES
    assert len(set(NAMES)) == 17


def test_csv(walk, tmp_path):
    found, truth = walk
    found.save(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[:5] == ["frame", "time", "Hip_x", "Hip_y", "Hip_z"]
    assert head[-1] == "RWrist_z"
    values = np.array([[float(field or "nan") for field in row] for row in rows])
    assert {len(row) for row in rows} == {len(head)}
    np.testing.assert_array_equal(values[:, 0], FIRST + np.arange(FRAMES))
    np.testing.assert_allclose(values[:, 1], values[:, 0] / FPS, atol=1e-6)
    np.testing.assert_allclose(values[:, 2:].reshape(FRAMES, 17, 3), with_gap(truth), atol=1e-6)


@pytest.mark.filterwarnings("ignore:No analog data found in file")
def test_c3d(walk, tmp_path):
    """Read the file with two libraries."""
    found, truth = walk
    found.save(tmp_path / "x.c3d")
    read = ezc3d.c3d(str(tmp_path / "x.c3d"))
    point = read["parameters"]["POINT"]
    assert point["LABELS"]["value"] == list(NAMES)
    assert point["UNITS"]["value"] == ["mm"]
    assert (point["X_SCREEN"]["value"], point["Y_SCREEN"]["value"]) == (["+X"], ["+Z"])
    assert point["DESCRIPTIONS"]["value"][0] == f"x right, y away from the camera, z up; {found.place}"
    assert read["header"]["points"]["first_frame"] == FIRST
    points = read["data"]["points"][:3].transpose(2, 1, 0) / 1000
    np.testing.assert_allclose(points, with_gap(truth), atol=1e-4)
    with (tmp_path / "x.c3d").open("rb") as file:
        reader = c3d.Reader(file)
        assert reader.point_rate == FPS
        assert [label.strip() for label in reader.point_labels] == list(NAMES)
        frames = [points for _, points, _ in reader.read_frames()]
    other = np.array(frames)  # [T, 17, 5]: x, y, z, residual, cameras
    known = np.ones(FRAMES, bool)
    known[GAP] = False
    np.testing.assert_array_equal(other[..., 3] < 0, np.repeat(~known[:, None], 17, 1))
    np.testing.assert_allclose(other[known, :, :3] / 1000, truth[known], atol=1e-4)


def test_a_c3d_begins_at_its_time(walk, tmp_path):
    """Readers compute the time of the first frame as its number / the rate."""
    found = dataclasses.replace(walk[0], every=2, fps=FPS / 2, first_frame=100)
    found.save(tmp_path / "x.c3d")
    points = ezc3d.c3d(str(tmp_path / "x.c3d"))["header"]["points"]
    assert points["first_frame"] / points["frame_rate"] == pytest.approx(100 / FPS)


def test_a_pause_has_no_pose_at_even_times_either(walk):
    times = np.arange(FRAMES) / FPS + np.where(np.arange(FRAMES) >= 20, 5.0, 0.0)
    even = dataclasses.replace(walk[0], times=times).motion().even
    pause = (even.seconds > times[19] + 1e-6) & (even.seconds < times[20] - 1e-6)
    assert pause.sum() > 4 * FPS
    assert np.isnan(even.points[pause]).all()
    with pytest.raises(UserError, match="expected at most 1,000,000 frames"):
        dataclasses.replace(walk[0], times=times * 1e6).motion().even  # noqa: B018


def long(found, frames):
    """Return a result that repeats its frames until it has this many."""
    rows = np.arange(frames) % GAP.start
    arrays = ("poses_3d", "root", "sources", "confidences", "keypoints_2d", "detected")
    return dataclasses.replace(found, **{name: getattr(found, name)[rows] for name in arrays})


def test_a_c3d_counts_no_more_frames_than_it_can(walk, tmp_path):
    found, _ = walk
    with pytest.raises(UserError, match=r"x\.c3d: found 65,536 frames, expected at most 65,535, or another format than \.c3d"):
        long(found, 65_536).save(tmp_path / "x.c3d")
    assert not list(tmp_path.iterdir())
    with pytest.warns(
        UserWarning, match=r"x\.c3d: found frame numbers above 65,535, which \.c3d cannot hold; the file begins at frame 1"
    ):
        dataclasses.replace(found, first_frame=65_500).save(tmp_path / "x.c3d")
    assert ezc3d.c3d(str(tmp_path / "x.c3d"))["header"]["points"]["first_frame"] == 0


def read_bvh(path):
    """Read a file with pymotion: joints and ends [T, J, 3], y up, centimetres; their names; the seconds per frame."""
    file = BVH()
    file.load(str(path))
    names, parents = [str(name) for name in file.data["names"]], np.array(file.data["parents"])
    turns, places, parents, offsets, *_ = file.get_data()
    points, matrices = fk(turns, places[:, 0], offsets, parents)
    for offset, parent in zip(file.data["end_sites"], file.data["end_sites_parents"], strict=True):
        end = points[:, parent] + matrices[:, parent] @ offset
        points = np.concatenate([points, end[:, None]], axis=1)
        names.append(f"{names[parent]}_end")
    return points, names, file.data["frame_time"]


ENDS = {"LFoot": "LKnee_end", "RFoot": "RKnee_end", "Head": "Neck_end", "LWrist": "LElbow_end", "RWrist": "RElbow_end"}


def test_bvh_walks(walk, tmp_path):
    """The motion is in the level world and on its floor; in a gap the pose is repeated."""
    found, truth = walk
    found.save(tmp_path / "x.bvh")
    points, names, step = read_bvh(tmp_path / "x.bvh")
    assert step == pytest.approx(1 / FPS)
    points = points[:, [names.index(ENDS.get(joint, joint)) for joint in H36M_17.joints]] / 100
    truth[GAP] = truth[GAP.start - 1]
    np.testing.assert_allclose(points[:, 0], truth[:, 0][:, UP_TO_Y] * [1, 1, -1], atol=1e-5)
    assert np.linalg.norm(points[-1, 0] - points[0, 0]) > 1
    assert np.linalg.norm(points - truth[..., UP_TO_Y] * [1, 1, -1], axis=-1).max() < 0.03  # the file has constant bone lengths


def test_bvh_stays_in_place_without_a_path(walk, tmp_path):
    found, _ = walk
    result(found.root[:, None] + world() @ camera().T).save(tmp_path / "x.bvh")
    points, names, _ = read_bvh(tmp_path / "x.bvh")
    assert np.ptp(points[:, names.index("Hip")], axis=0).max() < 1e-3
    assert points[..., 1].min() == pytest.approx(0, abs=2)


def test_angles_csv(walk, tmp_path):
    found, truth = walk
    found.save_angles(tmp_path / "x.csv")
    with (tmp_path / "x.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head == ["frame", "time", *angles.NAMES]
    values = np.array([[float(field or "nan") for field in row] for row in rows])
    expected = angles.joint_angles(with_gap(truth), level=True)
    np.testing.assert_allclose(values[:, 2:], expected, atol=1e-3)


def test_mot(walk, tmp_path):
    """Read the file by its definition: a header with counts, `endheader`, names, and this many numbers in each line."""
    found, truth = walk
    found.save_angles(tmp_path / "x.mot")
    head, _, body = (tmp_path / "x.mot").read_text().partition("endheader\n")
    said = dict(line.split("=") for line in head.splitlines() if "=" in line)
    names, *rows = (line.split("\t") for line in body.splitlines())
    assert said == {"version": "1", "nRows": str(FRAMES - 3), "nColumns": str(len(names)), "inDegrees": "yes"}
    values = np.array(rows, float)
    column = dict(zip(names, values.T, strict=True))
    kept = np.delete(np.arange(FRAMES), GAP)
    truth = truth[kept]
    np.testing.assert_allclose(column["time"], (FIRST + kept) / FPS, atol=1e-6)
    expected = dict(zip(angles.NAMES, angles.joint_angles(truth, level=True).T, strict=True))
    np.testing.assert_allclose(column["knee_angle_l"], expected["knee_flexion_l"], atol=1e-4)
    np.testing.assert_allclose(column["hip_adduction_r"], -expected["hip_abduction_r"], atol=1e-4)
    path = np.stack([column[f"pelvis_t{axis}"] for axis in "xyz"], axis=1)
    np.testing.assert_allclose(path, truth[:, 0][:, [1, 2, 0]], atol=1e-5)


def test_the_mot_puts_the_bones_where_they_are(walk, tmp_path):
    """Compute joints as OpenSim does, with rotations about z, x and y of pelvis and thigh, and a knee that bends backwards."""
    found, truth = walk
    found.save_angles(tmp_path / "x.mot")
    body = (tmp_path / "x.mot").read_text().partition("endheader\n")[2]
    names, *rows = (line.split("\t") for line in body.splitlines())
    column = dict(zip(names, np.array(rows, float).T, strict=True))

    def turns(*coordinates, signs=(1, 1, 1)):
        values = np.stack([column[name] * sign for name, sign in zip(coordinates, signs, strict=True)], axis=1)
        return Rotation.from_euler("ZXY", values, degrees=True)

    def bone(start, end):
        points = np.delete(truth, GAP, axis=0)[..., [1, 2, 0]]
        along = points[:, H36M_17.joints.index(end)] - points[:, H36M_17.joints.index(start)]
        return along / np.linalg.norm(along, axis=1)[:, None]

    pelvis = turns("pelvis_tilt", "pelvis_list", "pelvis_rotation")
    np.testing.assert_allclose(pelvis.apply([0, 0, 1]), bone("LHip", "RHip"), atol=1e-5)
    for side, sign in (("r", 1), ("l", -1)):
        hip = [f"hip_{angle}_{side}" for angle in ("flexion", "adduction", "rotation")]
        thigh = pelvis * turns(*hip, signs=(1, sign, sign))
        np.testing.assert_allclose(thigh.apply([0, -1, 0]), bone(f"{side.upper()}Hip", f"{side.upper()}Knee"), atol=1e-5)
        shank = thigh * Rotation.from_euler("Z", -column[f"knee_angle_{side}"][:, None], degrees=True)
        np.testing.assert_allclose(shank.apply([0, -1, 0]), bone(f"{side.upper()}Knee", f"{side.upper()}Foot"), atol=1e-5)


def test_a_mot_leaves_out_what_is_not_known_and_says_so(walk, tmp_path):
    found, _ = walk
    found.poses_3d[5, H36M_17.joints.index("RWrist")] = found.poses_3d[5, H36M_17.joints.index("RElbow")]
    with pytest.warns(
        UserWarning, match=r"x\.mot: left out angles that are not known in every frame: arm_rot_r, elbow_flex_r$"
    ):
        found.save_angles(tmp_path / "x.mot")
    assert "elbow_flex_r" not in (tmp_path / "x.mot").read_text()


def test_npz(walk, tmp_path):
    found, _ = walk
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz", allow_pickle=False) as stored:
        for name in ("poses_3d", "keypoints_2d", "confidences", "sources", "detected", "root", "up", "ground", "frames"):
            np.testing.assert_array_equal(stored[name], getattr(found, name))
        assert stored["source_names"][stored["sources"][0, 0]] == "seen"
        assert (stored["unit"], stored["frame"], stored["layout"], stored["model"]) == ("metre", found.axes, "h36m", "video")
        assert stored["focal_px"] == 0
        assert "errors_m" not in stored
        np.testing.assert_allclose(stored["times"], found.seconds)


def test_what_is_not_known_is_not_made_up(walk):
    """A result without up has no level world, and one without a path has no camera world; `place` says what is missing."""
    found, truth = walk
    seen = found.joints_camera()
    plain = result(world() @ camera().T)
    with pytest.raises(UserError, match=r"walker: which way is up is not known"):
        plain.joints_world()
    with pytest.raises(UserError, match=r"walker: the hip's path \(root\) is not known"):
        plain.joints_camera()
    assert plain.place == "upright as the camera is; relative to the hip"
    np.testing.assert_allclose(plain.motion().points, plain.poses_3d[..., [0, 2, 1]] * [1, 1, -1], atol=1e-9)
    assert np.isnan(plain.angles()[0, angles.NAMES.index("pelvis_tilt")])
    level = result(seen, up=found.up)
    np.testing.assert_allclose(level.joints_world(), with_gap(truth - truth[:, :1]), atol=1e-6)
    assert level.place == "level, as seen by the camera; relative to the hip"
    no_floor = result(seen, up=found.up, root=found.root)
    np.testing.assert_allclose(no_floor.joints_world(), with_gap(truth - truth[0, 0]), atol=1e-6)
    assert no_floor.place.endswith("from the hip of the first frame, height above the floor not known")
    assert found.place.endswith("level, as seen by the camera; on the floor, from below the hip of the first frame")


@pytest.mark.parametrize("down", [1, -1])
def test_a_camera_that_looks_straight_down_or_up_has_a_level_world(down):
    """Seen from above, the image's up is away from the camera; seen from below, its down is."""
    seen = world()
    found = result(seen, up=np.array([0.0, 0, -down]))
    expected = (seen - seen[:, :1]) * [1, -down, -down]
    np.testing.assert_allclose(found.joints_world(), with_gap(expected), atol=1e-6)


def test_a_result_says_what_it_is(walk):
    found, _ = walk
    found.sources[0, :2] = Source.DERIVED, Source.FILLED
    text = repr(found)
    assert text.count("\n") in (3, 4)
    for part in (
        "'walker'",
        "60 frames from 12",
        "1.2 s at 50 fps",
        "3 frames not lifted",
        "metres",
        "y down",
        "network video",
    ):
        assert part in text
    assert "known: hip's path, up, ground; not known: errors" in text
    assert found.seconds[0] == pytest.approx(FIRST / FPS)
    assert (len(found.joints), found.unit) == (17, "metre")


@pytest.mark.parametrize("suffix", [".trc", ".c3d", ".bvh", ".csv"])
def test_a_rate_that_is_not_known_is_said(walk, tmp_path, suffix):
    found = dataclasses.replace(walk[0], fps=None)
    assert found.seconds is None
    with pytest.warns(UserWarning, match="frames per second not known, taken as 30"):
        found.save(tmp_path / f"x{suffix}")


def test_formats_without_times_get_even_frames(walk):
    """Each frame is interpolated linearly to its time."""
    times = 5 + np.cumsum(np.linspace(0.01, 0.03, FRAMES))
    found = dataclasses.replace(walk[0], times=times)
    even = found.motion().even
    np.testing.assert_allclose(np.diff(even.seconds), 1 / even.fps)
    assert (even.seconds[0], even.frames[0]) == (times[0], FIRST)
    expected = np.interp(even.seconds, times, found.motion().points[:, 3, 2])
    known = np.isfinite(expected)
    assert known.mean() > 0.8
    np.testing.assert_allclose(even.points[known, 3, 2], expected[known], atol=1e-9)
    np.testing.assert_array_equal(walk[0].motion().even.points, walk[0].motion().points)


def test_mistakes_are_one_line_and_leave_nothing(walk, tmp_path, monkeypatch):
    found, _ = walk
    with pytest.raises(
        UserError,
        match=r"x\.txt: expected a name ending in \.npz or \.trc or .* or \.bvh or \.html or \.gif or \.mp4 or \.png in a",
    ):
        found.save(tmp_path / "x.txt")
    with pytest.raises(UserError, match=r"x\.trc: expected a name ending in .* in a folder that exists"):
        found.save(tmp_path / "nowhere" / "x.trc")
    with pytest.raises(UserError, match=r"x\.trc: expected a name ending in \.csv or \.mot"):
        found.save_angles(tmp_path / "x.trc")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"x\.c3d: needs ezc3d, which is not installed, expected `pip install -e \.\[c3d\]`"):
        found.save(tmp_path / "x.c3d")
    empty = result(np.full((FRAMES, 17, 3), math.nan))
    with pytest.raises(UserError, match=r"x\.bvh: not written, no frame of walker has a pose"):
        empty.save(tmp_path / "x.bvh")
    assert not list(tmp_path.iterdir())


def test_parts_that_do_not_fit_are_refused(walk):
    found, _ = walk
    for part, message in (
        ({"up": found.up * 2}, "up: found a length of 2, expected 1"),
        ({"up": np.zeros((FRAMES, 3))}, r"up: found shape \(60, 3\), expected \(3,\)"),
        ({"root": found.root[:-1]}, r"root: found shape \(59, 3\), expected \(60, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            dataclasses.replace(found, **part)
