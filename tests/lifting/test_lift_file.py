"""Test that a file of keypoints becomes files with the same poses in any format."""

import dataclasses
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.keypoints import footage, keypoint_files, times
from srnet_jax.lifting import lift_file, outputs, sources
from srnet_jax.lifting.lifter import PRETRAINED, load
from srnet_jax.lifting.motion import LEVEL, USUAL, MotionSettings
from srnet_jax.lifting.outputs import JOINTS as FILES
from srnet_jax.pose.filters import Settings, filtered
from srnet_jax.pose.skeleton import H36M_17
from tests.keypoints import test_keypoint_files as files
from tests.keypoints import videos
from tests.keypoints.builders import FRAMES, walker

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def lifter():
    return load("causal")


@pytest.mark.parametrize("variant", files.WRITERS)
def test_all_formats_give_the_same_poses(tmp_path, lifter, variant):
    write, joints, layout, *_ = files.WRITERS[variant]
    layout = layout or {17: "coco", 26: "halpe_26"}[joints]
    path = write(tmp_path, {None: walker(layout)})
    hints = keypoint_files.Hints(image_size=(1024, 1024))
    tracks = sources.described(keypoint_files.load(path, hints), path, layout=layout, fps=30)
    (found,) = lift_file.lift(tracks, lifter, flip=True)
    plain = keypoint_files.load(files.WRITERS["npz"][0](tmp_path, {None: walker("coco")}), hints)
    expected = sources.described(plain, path, layout="coco", fps=30)
    np.testing.assert_allclose(found.poses_3d, lift_file.lift(expected, lifter, flip=True)[0].poses_3d, atol=2e-3)


def test_a_lifter_lifts_a_file_as_the_command_does(tmp_path, lifter):
    path = files.WRITERS["npz"][0](tmp_path, {None: walker("coco")})
    (found,) = lifter.lift_file(path, layout="coco", image_size=(1024, 1024), fps=30)
    hints = keypoint_files.Hints(image_size=(1024, 1024))
    tracks = sources.described(keypoint_files.load(path, hints), path, layout="coco", fps=30)
    (expected,) = lift_file.lift(tracks, lifter, settings=USUAL)
    for name in ("poses_3d", "root", "up", "ground"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    (plain,) = lift_file.lift(tracks, lifter)
    (unfiltered,) = lifter.lift_file(path, layout="coco", fps=30, image_size=(1024, 1024), filters=None)
    np.testing.assert_array_equal(unfiltered.poses_3d, plain.poses_3d)
    assert plain.root is None
    rate = filtered(plain.poses_3d, plain.confidences, 30.0, USUAL.filters)
    np.testing.assert_allclose(found.poses_3d, rate, atol=1e-6)
    assert (found.layout, found.image_size, found.fps, found.model) == ("coco", (1024, 1024), 30, "causal")
    found.save(tmp_path / "x.trc")
    assert (tmp_path / "x.trc").read_text().startswith("PathFileType")
    (tall,) = lifter.lift_file(path, layout="coco", image_size=(1024, 1024), fps=30, stature_m=1.9, up="camera", lock_feet=True)
    settings = MotionSettings(Settings(stature_m=1.9), up=LEVEL, lock_feet=True)
    (expected,) = lift_file.lift(tracks, lifter, settings=settings)
    np.testing.assert_array_equal(tall.poses_3d, expected.poses_3d)
    np.testing.assert_array_equal(tall.root, expected.root)
    with pytest.raises(UserError, match=r"filters: found True, expected some of smooth.*or pose\.filters\.Settings"):
        lifter.lift_file(path, filters=True)
    with pytest.raises(UserError, match=r"rotate: found 45, expected 0, 90, 180 or 270 degrees"):
        lifter.lift_file(path, rotate=45)
    with pytest.raises(UserError, match=r"filters: found True, expected pose\.filters\.Settings"):
        lifter(walker("coco")[..., :2], layout="coco", image_size=(1024, 1024), filters=True)
    for arguments, message in (({"image_size": 3}, "image_size: found 3"), ({"fps": -1}, "fps: found -1")):
        with pytest.raises(UserError, match=message):
            lifter.lift_file(path, **arguments)
    with pytest.raises(DataError, match=r"none\.json: no such file"):
        lifter.lift_file(tmp_path / "none.json")


def run(*arguments, cwd):
    command = [sys.executable, "-m", "launch.predict", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=200, check=False)


def test_the_command_writes_poses_and_pictures(tmp_path):
    both = np.stack([walker("coco"), walker("coco", 300)], 1)  # [T, P, J, 3]
    np.savez(tmp_path / "two.npz", keypoints=both, fps=25.0)
    done = run(
        f"--keypoints={tmp_path / 'two.npz'}",
        *("--layout=coco", "--width=1920", "--height=1080"),
        "--output=" + ",".join(str(tmp_path / f"poses.{kind}") for kind in ("npz", "trc", "csv", "c3d")),
        *(f"--render={tmp_path / 'x.html'},{tmp_path / 'x.png'}", f"--bvh={tmp_path / 'x.bvh'}"),
        f"--angles={tmp_path / 'angles.csv'}",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    names = sorted(path.name for path in tmp_path.iterdir())
    kinds = [("poses", kind) for kind in ("npz", "trc", "csv", "c3d")]
    kinds += [("x", "html"), ("x", "png"), ("x", "bvh"), ("angles", "csv")]
    assert ".npz: joints in metres, camera: x right, y down, z away from the camera; relative to the hip" in done.stdout
    assert ".bvh, .c3d, .csv, .trc: " in done.stdout
    people = ("person_1", "person_2")
    assert names == sorted(["two.npz", *(f"{name}_{person}.{kind}" for person in people for name, kind in kinds)])
    with np.load(tmp_path / "poses_person_1.npz") as stored:
        assert stored["poses_3d"].shape == (FRAMES, 17, 3)
        assert 1.0 < np.ptp(stored["poses_3d"][..., 1], axis=1).mean() < 2.2  # a person's height
        assert stored["joints"].tolist() == list(H36M_17.joints)
        assert stored["unit"] == "metre"
        assert stored["fps"] == 25
        assert stored["model"] == "video"
        assert stored["layout"] == "coco"
        np.testing.assert_array_equal(stored["frames"], np.arange(FRAMES))
        assert stored["detected"].all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--layout=coco17"], "layout 'coco17': not known, expected one of coco, halpe_26"),
        (["--layout=body_25"], "one.npz: keypoints: found 17 joints, expected the 25 of layout body_25; coco and "),
        (["--layout=coco", "--width=100"], "--width, --height: expected both or none"),
        (["--layout=coco", "--video=x.mp4"], "x.mp4: no such file, expected a video"),
        (["--layout=coco", "--start=1"], "one.npz: frames per second not known, expected --fps with --start and --end"),
        (["--layout=coco", "--start=2", "--end=1"], "--start, --end: found 2 and 1 s, expected 0 <= start < end"),
        (["--layout=coco", "--nobackground"], "--background: not used, expected --video with it"),
        (["--layout=coco", "--weights=best"], "best: no trained network, expected single, causal or video"),
        (["--layout=coco", "--people=2"], "--people: not used, expected --video with it"),
        (["--layout=coco", "--detector_model=x.task"], "--detector_model: not used, expected --video with it"),
        (["--layout=coco", "--render=x.bmp"], r"--render=x.bmp: expected a name ending in .html or .gif"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    np.savez(tmp_path / "one.npz", keypoints=walker("coco"))
    done = run(f"--keypoints={tmp_path / 'one.npz'}", *arguments, f"--output={tmp_path / 'poses.npz'}", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert re.search(message, done.stderr), done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["one.npz"]


def test_what_is_read_is_not_written_over(tmp_path):
    for name in ("one.npz", str(tmp_path / "one.npz"), str(tmp_path / ".." / tmp_path.name / "one.npz")):
        with pytest.raises(UserError, match=r"--output=.*one\.npz: is read too, expected another file"):
            outputs.check_outputs(str(tmp_path / "one.npz"), inputs=[str(tmp_path / name)])
    assert outputs.check_outputs(str(tmp_path / "two.npz"), inputs=["single", str(tmp_path / "one.npz")])


def test_the_files_of_several_people_do_not_replace_what_is_read(tmp_path):
    both = np.stack([walker("coco"), walker("coco", 300)], 1)
    read = tmp_path / "walk_person_1.npz"
    np.savez(read, keypoints=both, fps=30.0, image_size=(1280, 720))
    before = read.read_bytes()
    tracks = sources.described(keypoint_files.load(read), read, layout="coco", fps=None)
    files = outputs.check_outputs(str(tmp_path / "walk.npz"), inputs=[str(read)])
    recording = sources.Recording(
        tracks=tracks, source=read, focal_px=None, focal_source="", images=None, inputs=(tmp_path / "other.npz",)
    )
    with pytest.raises(UserError, match=r"--output=.*walk_person_1\.npz: is read too, expected another file"):
        lift_file.check_files(files, recording, [str(read)])
    recording = dataclasses.replace(recording, inputs=(read,))
    with pytest.raises(UserError, match=r"--output=.*walk_person_1\.npz: is read too, expected another file"):
        lift_file.check_files(files, recording, [])
    people = lift_file.lift_recording(recording, load("single"), flip=False)
    with pytest.raises(UserError, match=r"^[^=]*walk_person_1\.npz: is read too, expected another file"):
        people.save(tmp_path / "walk.npz")
    assert read.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [read.name]


def test_all_files_are_checked_before_anything_is_read(tmp_path):
    names = [str(tmp_path / f"x{suffix}") for suffix in FILES]
    found = outputs.check_outputs(names, [str(tmp_path / "x.png")], str(tmp_path / "y.bvh"), str(tmp_path / "y.csv"))
    assert [(file.where, file.path.name) for file in found] == [
        *(("--output", f"x{suffix}") for suffix in (".npz", ".trc", ".csv", ".c3d", ".bvh")),
        *(("--render", "x.png"), ("--bvh", "y.bvh"), ("--angles", "y.csv")),
    ]
    assert [file.path.name for file in found if file.angles] == ["y.csv"]
    for arguments, message in (
        (([*names, str(tmp_path / "x.mot")],), r"--output=.*x\.mot: expected a name ending in \.npz or \.trc or \.csv or"),
        ((names, (), str(tmp_path / "x.trc")), r"--bvh=.*x\.trc: expected a name ending in \.bvh in"),
        ((names, (), None, str(tmp_path / "x.trc")), r"--angles=.*x\.trc: expected a name ending in \.csv or \.mot in"),
        ((names, (), None, str(tmp_path / "x.csv")), r"--angles=.*x\.csv: is named twice, expected another file"),
        (([str(tmp_path / "no" / "x.trc")],), r"--output=.*x\.trc: expected .* in a folder that exists"),
    ):
        with pytest.raises(UserError, match=message):
            outputs.check_outputs(*arguments)


def test_what_a_file_says_is_taken_and_what_is_given_counts(tmp_path):
    path = files.write_videopose3d(tmp_path / "x.npz", {None: walker("coco")})
    (track,) = sources.described(keypoint_files.load(path), path, layout=None, fps=None)
    assert (track.layout, track.image_size, track.fps) == ("coco", (1024, 1024), 25)
    (track,) = sources.described(keypoint_files.load(path), path, layout="h36m", fps=60.0)
    assert (track.layout, track.image_size, track.fps) == ("h36m", (1024, 1024), 60)


def test_a_temporal_network_asks_for_the_rate(tmp_path, lifter):
    np.savez(tmp_path / "x.npz", keypoints=walker("coco"), image_size=(640, 480))
    tracks = keypoint_files.load(tmp_path / "x.npz")
    tracks = sources.described(tracks, tmp_path, layout="coco", fps=None)
    with pytest.warns(UserWarning, match="frames per second not known, taken as 30"):
        lift_file.lift(tracks, lifter, flip=False)


@pytest.mark.parametrize(
    ("middle", "size"),
    [
        ((320, 240), (640, 480)),
        ((960, 540), (1920, 1080)),
        ((360, 640), (720, 1280)),
        ((1500, 500), (2560, 1440)),
        ((9000, 10), (9088, 110)),
    ],
    ids=str,
)
def test_an_image_size_that_is_not_known_is_a_usual_one_and_said(tmp_path, middle, size):
    points = walker("coco")[..., :2]
    points = points - np.median(points, axis=(0, 1)) + middle
    points = points * [1, 150 / np.ptp(points[..., 1])] + [0, middle[1] * (1 - 150 / np.ptp(points[..., 1]))]
    np.savez(tmp_path / "x.npz", keypoints=points)
    with pytest.warns(UserWarning, match=f"x.npz: image size not known, assuming {size[0]} x {size[1]}"):
        (track,) = sources.described(keypoint_files.load(tmp_path / "x.npz"), tmp_path / "x.npz", layout="coco", fps=None)
    assert track.image_size == size


def test_pictures_are_lifted_by_the_network_of_single_frames():
    tracks = [SimpleNamespace(keypoints=np.zeros((frames, 17, 2))) for frames in (1, 8, 9)]
    assert [lift_file.usual_network(tracks[: index + 1]) for index in range(3)] == ["single", "single", "video"]


def test_somebody_without_a_pose_does_not_stop_the_others(tmp_path):
    """A person with three detected joints has no poses in the .npz, and there is no motion to write."""
    both = np.stack([walker("coco"), walker("coco", 300)], 1)
    both[:, 1, 3:] = 0
    np.savez(tmp_path / "two.npz", keypoints=both, fps=30.0, image_size=(1024, 1024))
    files = outputs.check_outputs([str(tmp_path / "x.npz"), str(tmp_path / "x.trc")], angles=str(tmp_path / "x.mot"))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        written = load("single").lift_file(tmp_path / "two.npz", layout="coco", flip=False).write(files)
    assert [len(paths) for paths in written] == [3, 1]
    assert any("person_2: no frame has a pose, motions are not written" in str(warning.message) for warning in said)
    assert all(path.is_file() for paths in written for path in paths)


def test_layouts_that_do_not_fit_are_named(tmp_path):
    np.savez(tmp_path / "x.npz", keypoints=np.random.default_rng(0).uniform(10, 500, (5, 9, 2)))
    tracks = keypoint_files.load(tmp_path / "x.npz")
    with pytest.raises(
        UserError, match=r"--layout: found 9 joints in .*x\.npz, expected the number of a layout: coco \(17\), halpe_26"
    ):
        sources.described(tracks, tmp_path / "x.npz", layout=None, fps=None)
    with pytest.raises(DataError, match=r"x\.npz: keypoints: found 9 joints, expected the 16 of layout mpii"):
        sources.described(tracks, tmp_path / "x.npz", layout="mpii", fps=None)


@pytest.mark.parametrize("name", PRETRAINED)
def test_what_ships_knows_a_standing_person(name):
    """Arms, legs and head are where anatomy requires."""
    points = walker("coco")[..., :2].astype(np.float32)
    pose = load(name)(points, layout="coco", image_size=(1024, 1024), fps=30).mean(0)
    at = H36M_17.joints.index
    assert pose[at("Head"), 1] < pose[at("Thorax"), 1] < 0 < pose[at("LKnee"), 1] < pose[at("LFoot"), 1]
    assert pose[at("LShoulder"), 0] > pose[at("RShoulder"), 0]
    for upper, lower, low, high in (
        ("LHip", "LKnee", 0.3, 0.55),
        ("LKnee", "LFoot", 0.3, 0.55),
        ("LShoulder", "LElbow", 0.1, 0.4),
    ):
        assert low < np.linalg.norm(pose[at(upper)] - pose[at(lower)]) < high


def moved(seconds):
    """Return keypoints [T, 17, 3] of a person whose position depends only on time."""
    return walker("coco")[:1] + np.stack([20 * np.sin(3 * seconds), 5 * np.cos(3 * seconds), 0 * seconds], -1)[:, None]


def test_a_temporal_network_sees_even_frames_of_uneven_times(tmp_path, lifter):
    """Uneven frames of a motion have the poses of even frames at the network's rate, at the same times."""
    rng = np.random.default_rng(0)
    uneven = np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 20], 90))
    uneven -= uneven[0]
    even = np.arange(int(uneven[-1] * 30) + 2) / 30
    path = videos.write(tmp_path / "v.mp4", videos.numbered(90, (64, 64)), uneven)

    class Finder:
        layout = "coco"

        def __init__(self):
            self.count = 0

        def __call__(self, image, time_ms):
            self.count += 1
            return [moved(uneven)[self.count - 1]]

    from srnet_jax.keypoints.video import detect

    tracks = sources.described(detect(path, Finder()), path, layout=None, fps=None)
    np.testing.assert_allclose(tracks[0].times, uneven, atol=1e-4)
    (found,) = lift_file.lift(tracks, lifter, flip=False)
    poses = lifter(moved(even)[..., :2], layout="coco", image_size=(64, 64), fps=30, flip=False)
    at = np.stack([np.interp(uneven, even, column) for column in poses.reshape(len(even), -1).T], -1).reshape(-1, 17, 3)
    np.testing.assert_allclose(found.poses_3d, at, atol=2e-3)
    found.save(tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as stored:
        np.testing.assert_allclose(stored["times"], uneven, atol=1e-4)
        np.testing.assert_array_equal(stored["frames"], np.arange(90))
    (given,) = sources.described(tracks, path, layout=None, fps=25.0)
    np.testing.assert_allclose(given.seconds, np.arange(90) / 25)


def test_what_is_written_of_a_part_has_the_videos_numbers_and_times(tmp_path, lifter):
    np.savez(tmp_path / "x.npz", keypoints=walker("coco"), fps=10.0, image_size=(1280, 720))
    tracks = keypoint_files.load(tmp_path / "x.npz")
    for fps in (None, 10.0):
        part = times.select(tracks, times.make_part(0.5, 1.8, 4), fps, "x")
        part = sources.described(part, tmp_path, layout="coco", fps=fps)
        (found,) = lift_file.lift(part, lifter, flip=False)
        found.save(tmp_path / "y.npz")
        with np.load(tmp_path / "y.npz") as stored:
            np.testing.assert_array_equal(stored["frames"], [8, 12, 16])
            np.testing.assert_allclose(stored["times"], [0.8, 1.2, 1.6])
            assert stored["fps"] == 2.5


def test_the_focal_length_is_the_given_or_the_cameras(tmp_path, lifter):
    metadata = {"com.apple.quicktime.camera.focal_length.35mm_equivalent": "26"}
    options = {"movflags": "use_metadata_tags"}
    path = videos.write(tmp_path / "x.mov", videos.numbered(3), np.arange(3) / 30, metadata=metadata, options=options)
    filmed = footage.open_footage(path)
    assert sources.focal_length(70.0, filmed) == (70.0, "focal length 70 px, as given")
    px, said = sources.focal_length(None, filmed)
    assert px == pytest.approx(26 * 80 / np.hypot(36, 24))
    assert said == "focal length 48 px: 26 mm (35 mm equivalent) in x.mov"
    assert sources.focal_length(None, None) == (
        None,
        "focal length not known, taken as 0.85 times the image's longer side",
    )


@pytest.mark.slow
def test_the_command_draws_a_part_over_its_video(tmp_path):
    seconds = np.arange(25) / 10
    videos.write(tmp_path / "walk.mp4", videos.numbered(25, (640, 720)), seconds)
    np.savez(tmp_path / "walk.npz", keypoints=walker("coco"))
    done = run(
        *(f"--keypoints={tmp_path / 'walk.npz'}", f"--video={tmp_path / 'walk.mp4'}", "--layout=coco"),
        *("--start=0.5", "--end=2", "--every=5", f"--output={tmp_path / 'x.npz'}", f"--render={tmp_path / 'x.png'}"),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "focal length not known" in done.stdout
    with np.load(tmp_path / "x.npz") as stored:
        np.testing.assert_array_equal(stored["frames"], [5, 10, 15])
        np.testing.assert_allclose(stored["times"], [0.5, 1.0, 1.5])
        assert stored["image_size"].tolist() == [640, 720]
    assert (tmp_path / "x.png").stat().st_size > 10_000
