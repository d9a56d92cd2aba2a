"""Test the benchmark `video` on a simulated recording of a moving body."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.benchmarks import path_errors, recorded_paths, recording, video
from srnet_jax.benchmarks.triangulated import JOINTS, triangulated
from srnet_jax.commands.console import print_table
from srnet_jax.errors import DataError, UserError
from srnet_jax.evaluation.tables import to_markdown
from srnet_jax.pose import cameras, layouts, metrics

CAMERAS = cameras.virtual_cameras(number=3, distance_m=4.0, height_m=1.4, focal_px=1000.0, width_px=1280, height_px=960)
FRAMES = 12
BODY = {  # metres, z up, facing x; left is +y
    "nose": (0.1, 0, 1.6),
    "eye": (0.08, 0.03, 1.63),
    "ear": (0, 0.07, 1.62),
    "shoulder": (0, 0.18, 1.42),
    "elbow": (0.05, 0.3, 1.15),
    "wrist": (0.2, 0.32, 1.0),
    "hip": (0, 0.13, 0.92),
    "knee": (0.05, 0.14, 0.5),
    "ankle": (0, 0.14, 0.08),
}


def body():
    """Return COCO joints [FRAMES, 17, 3] of a person who walks and turns."""
    pose = []
    for joint in layouts.LAYOUTS["coco"].joints:
        side, _, part = joint.rpartition("_")
        pose.append(np.array(BODY[part]) * [1, -1 if side == "right" else 1, 1])
    turns = Rotation.from_euler("z", np.linspace(0, 0.6, FRAMES)[:, None]).as_matrix()
    poses = np.einsum("tij,kj->tki", turns, np.array(pose)) + np.linspace(0, 0.3, FRAMES)[:, None, None] * [1.0, 0.0, 0.0]
    poses[:, 9] += 0.1 * np.sin(np.arange(FRAMES))[:, None] * [0.0, 0.0, 1.0]
    return poses


def table(camera, unit):
    turn = Rotation.from_matrix(camera.rotation.T)
    place = -unit * turn.apply(camera.translation)
    (fx, fy), (cx, cy) = camera.focal, camera.center
    return (
        f"[{camera.name}]\nsize = [{camera.width}, {camera.height}]\nmatrix = [[{fx}, 0, {cx}], [0, {fy}, {cy}], [0, 0, 1]]\n"
        f"distortions = [0, 0, 0, 0]\nrotation = {turn.as_rotvec().tolist()}\ntranslation = {place.tolist()}\n\n"
    )


@pytest.fixture
def folder(tmp_path, rng):
    """Return a trial in a session whose folder has the calibration and Config.toml; other tests' folders are out of reach."""
    session = tmp_path / "recordings" / "session"
    trial = session / "people" / "trial"
    (trial / "pose").mkdir(parents=True)
    (session / "Calibration").mkdir()
    (session / "Calibration" / "cameras.toml").write_text("".join(table(camera, 1.0) for camera in CAMERAS))
    (session / "Config.toml").write_text("[project]\nframe_rate = 60\n")
    (trial / "Config.toml").write_text("[filtering]\n")
    for camera in CAMERAS:
        pixels = cameras.project(cameras.world_to_camera(body(), camera), camera) + rng.normal(0, 0.5, (FRAMES, 17, 2))
        write(trial, camera, pixels)
    return trial


def write(trial, camera, pixels, **more):
    np.savez(
        trial / "pose" / f"{camera.name}.npz",
        keypoints=pixels,
        confidences=np.full(pixels.shape[:2], 0.9),
        layout="coco",
        **more,
    )


def relative(poses):
    """Return JOINTS of COCO poses relative to the hips, computed independently of the benchmark."""
    poses = poses[:, [layouts.LAYOUTS["coco"].joints.index(joint) for joint in JOINTS]]
    return poses - (poses[:, 3:4] + poses[:, 9:10]) / 2


def test_triangulation_finds_the_body_that_was_projected(folder):
    found = recording.load(folder)
    assert found.fps == 60
    assert found.frames == FRAMES
    made = triangulated(found, folder)
    assert made.points_world.shape == (FRAMES, 12, 3)
    assert (
        np.linalg.norm(
            relative(body()) - (made.points_world - made.points_world[:, [3, 9]].mean(1, keepdims=True)), axis=-1
        ).max()
        < 0.03
    )
    assert 0.1 < made.after_px < made.before_px < 1


def test_triangulation_corrects_a_wrong_calibration(folder):
    text = [table(camera, 1.0) for camera in CAMERAS]
    turned = Rotation.from_rotvec([0.01, -0.01, 0.02])
    wrong = cameras.dataclasses.replace(
        CAMERAS[1], orientation=tuple((Rotation.from_matrix(CAMERAS[1].rotation) * turned).as_quat(scalar_first=True))
    )
    text[1] = table(wrong, 1.0)
    (folder / "cameras.toml").write_text("".join(text))  # nearer than the session's
    made = triangulated(recording.load(folder), folder)
    assert made.before_px > 4
    assert made.after_px < 1
    for camera, seen in zip(made.cameras, CAMERAS, strict=True):
        expected = relative(cameras.world_to_camera(body(), seen))
        points = made.points_world @ camera.rotation.T
        assert np.linalg.norm(points - points[:, [3, 9]].mean(1, keepdims=True) - expected, axis=-1).mean() < 0.03


def test_tables_show_networks_and_the_detectors_own_3d(folder, capsys):
    (folder / "world").mkdir()
    noise = 0.05
    for camera in CAMERAS:
        own = np.full((FRAMES, 33, 3), np.nan)
        joints = [layouts.LAYOUTS["mediapipe_33"].joints.index(joint) for joint in JOINTS]
        own[:, joints] = relative(cameras.world_to_camera(body(), camera)) * (1 + noise)
        np.save(folder / "world" / f"{camera.name}.npy", own)
    figures = video.run(data=str(folder), networks=["single"])
    json.dumps(figures, allow_nan=False)
    assert figures["joints that count, %"] == 100
    size = 1000 * np.linalg.norm(relative(body()), axis=-1).mean()
    assert figures["detector's own 3D: MPJPE, mm"] == pytest.approx(noise * size, rel=0.2)
    assert figures["detector's own 3D: N-MPJPE, mm"] < 10
    assert figures["constant pose: bone length error, mm"] > 20  # of a person whom cameras see from all sides
    assert figures["constant pose of each camera: MPJPE, mm"] < figures["constant pose: MPJPE, mm"]
    assert figures["constant pose: acceleration, mm a frame²"] == 0
    each = [figures[f"single: MPJPE, mm, {camera.name}"] for camera in CAMERAS]
    assert figures["single: MPJPE, mm"] == pytest.approx(np.mean(each))
    assert figures["single: PA-MPJPE, mm"] < figures["single: MPJPE, mm"] < 150
    about, errors, of_cameras, paths = video.grids(figures)
    print_table(errors)
    assert f"{figures['single: MPJPE, mm']:.1f}" in capsys.readouterr().out
    assert [row[0] for row in errors.rows] == [
        "truth",
        "constant pose",
        "constant pose of each camera",
        "detector's own 3D",
        "single",
        "single, filtered",
        "single, filtered live",
    ]
    assert len(of_cameras.rows) == 4  # filtered rows are not shown for each camera
    assert figures["single, filtered: acceleration, mm a frame²"] < figures["single: acceleration, mm a frame²"]
    assert of_cameras.header == ("", *(camera.name for camera in CAMERAS))
    assert ("frames per second", "60") in about.rows
    assert all("nan" not in to_markdown(grid) for grid in (about, errors, of_cameras, paths))
    assert [row[0] for row in paths.rows] == [
        f"single, {kind}, {way}"
        for kind in (recorded_paths.CALIBRATED, recorded_paths.GUESSED_FOCAL)
        for way in (recorded_paths.BY_FRAME, recorded_paths.LOCKED)
    ]
    row = f"{recorded_paths.PREFIX}single, {recorded_paths.CALIBRATED}, {recorded_paths.LOCKED}"
    assert figures[f"{row}: {path_errors.PATH}"] < 0.5
    assert figures[f"{row}: {path_errors.SIDEWAYS}"] < 0.1


def test_pose_errors_match_values_by_hand(rng):
    target = rng.normal(0, 0.3, (5, 12, 3))
    target[1, 2] = np.nan
    errors = video._camera_errors(target + [0.03, 0.0, 0.04], target)
    assert errors["MPJPE, mm"] == pytest.approx(50)
    assert errors["PA-MPJPE, mm"] == pytest.approx(0, abs=1e-6)
    assert errors["MPJVE, mm a frame"] == pytest.approx(0, abs=1e-9)
    assert errors["bone length error, mm"] == pytest.approx(0, abs=1e-9)
    scaled = video._camera_errors(1.1 * target, target)
    assert scaled["N-MPJPE, mm"] == pytest.approx(0, abs=1e-6)
    assert scaled["MPJPE, mm"] == pytest.approx(100 * np.nanmean(np.linalg.norm(target, axis=-1)))
    assert scaled["knee angle error, °"] == pytest.approx(0, abs=1e-9)
    whole = target[[0, 2, 3, 4]]
    moved = whole + rng.normal(0, 0.05, whole.shape)
    assert video._camera_errors(moved, whole)["PA-MPJPE, mm"] == pytest.approx(
        1000 * float(metrics.p_mpjpe(moved, whole).mean()), rel=1e-4
    )
    leg = np.zeros((1, 12, 3))
    leg[0, [3, 9]], leg[0, [5, 11]] = [0, -0.4, 0], [0.4, 0, 0]  # knees in the origin, bent by 90 degrees
    np.testing.assert_allclose(video.knee_angles(leg), 90)


def without_calibration(trial):
    (trial.parent.parent / "Calibration" / "cameras.toml").unlink()


def with_two_calibrations(trial):
    (trial.parent.parent / "Calibration" / "other.toml").write_text("")


def without_a_camera(trial):
    (trial / "pose" / "camera2.npz").unlink()


def with_cameras_exchanged(trial):
    first, second = (trial / "pose" / f"camera{index}.npz" for index in (0, 1))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


def with_other_people(trial):
    for index, camera in enumerate(CAMERAS):
        write(trial, camera, np.random.default_rng(index).uniform(100, 900, (FRAMES, 17, 2)))


def with_centimetres(trial):
    (trial / "cameras.toml").write_text("".join(table(camera, 10.0) for camera in CAMERAS))


def with_another_size(trial):
    write(trial, CAMERAS[0], np.full((FRAMES, 17, 2), 5000.0) + np.arange(17)[:, None])


def with_a_short_world(trial):
    (trial / "world").mkdir()
    np.save(trial / "world" / "camera0.npy", np.zeros((3, 33, 3)))


def with_a_world_of_other_joints(trial):
    (trial / "world").mkdir()
    np.save(trial / "world" / "camera0.npy", np.zeros((FRAMES, 17, 3)))


def with_an_odd_frame_rate(trial):
    (trial / "Config.toml").write_text("[project]\nframe_rate = -5\n")


def with_a_damaged_config(trial):
    (trial / "Config.toml").write_text("[project\n")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (without_calibration, "no calibration, expected a .toml or .qca.txt"),
        (with_two_calibrations, "found 'cameras.toml', 'other.toml', expected one calibration"),
        (
            without_a_camera,
            "found 2 files or folders of keypoints: 'camera0.npz', 'camera1.npz'; expected one for each of the 3",
        ),
        (with_cameras_exchanged, "the keypoints turn camera .* by .*° and move"),
        (with_other_people, "3 cameras agree on .* of 144 joints"),
        (with_centimetres, "found legs of .* m, expected"),
        (with_another_size, "100% of the keypoints are outside of the image of 1280 x 960"),
        (with_a_short_world, "found 3 frames, expected 12 or more"),
        (with_a_world_of_other_joints, r"camera0.npy: found .*\(12, 17, 3\), expected numbers of shape"),
        (with_an_odd_frame_rate, "project.frame_rate: found -5"),
        (with_a_damaged_config, "Config.toml: damaged"),
    ],
)
def test_files_that_do_not_fit_are_rejected_with_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        triangulated(recording.load(folder), folder)
    assert "\n" not in str(caught.value)


def test_keypoint_files_with_another_image_size_cause_a_warning(folder):
    write(folder, CAMERAS[0], np.full((FRAMES, 17, 2), 50.0) + np.arange(17)[:, None], image_size=np.array([640, 480]))
    with pytest.warns(UserWarning, match=r"camera0.npz: found images of 640 x 480 pixels, using 1280 x 960"):
        recording.load(folder)


def test_missing_folders_layouts_and_networks_are_rejected(folder):
    with pytest.raises(DataError, match="no such folder"):
        recording.load(folder / "nowhere")
    with pytest.raises(UserError, match="layout 'body': not known"):
        recording.load(folder, layout="body")
    with pytest.raises(UserError, match="no trained network"):
        video.run(data=str(folder), networks=["best"])


def test_fps_is_taken_from_the_argument_before_config_toml(folder):
    assert recording.load(folder, fps=25).fps == 25
    (folder.parent.parent / "Config.toml").write_text('[project]\nframe_rate = "auto"\n')
    assert recording.load(folder).fps == recording.USUAL_FPS
