"""Normalisations: properties, and agreement with the official code's numbers (tests/data/parity/README.md)."""

import dataclasses
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srnet_jax.pose import cameras
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.normalization import (
    NORMALIZATIONS,
    View,
    mirror,
    mirror_view,
    normalize,
    normalize_screen_coordinates,
    notes,
    root_relative,
    to_metres,
    view_of,
)
from srnet_jax.pose.skeleton import H36M_17

FOLDER = Path(os.environ.get("PARITY", Path(__file__).parent.parent / "data" / "parity"))
with np.load(FOLDER / "norms.npz") as file:
    OFFICIAL = dict(file)
with np.load(FOLDER / "lcn_norm.npz") as file:
    LCN = dict(file)
OFFICIAL_NAMES = ("proj", "weak_proj", "lcn")


def test_screen_coordinates_of_the_corners():
    corners = np.array([[0.0, 0.0], [1000.0, 500.0]])
    np.testing.assert_allclose(normalize_screen_coordinates(corners, width=1000, height=500), [[-1, -0.5], [1, 0.5]])


def test_root_relative_keeps_bones(rng):
    poses = rng.normal(size=(3, 17, 3))
    relative = root_relative(poses)
    assert not relative[:, 0].any()
    np.testing.assert_allclose(relative[:, 5] - relative[:, 2], poses[:, 5] - poses[:, 2])


def test_mirror_twice_is_the_identity_and_commutes_with_projection(rng):
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100.0, 1100.0), (500.0, 500.0), 1000, 1000)
    poses = rng.normal(size=(6, 17, 3)) + [0, 0, 6]

    def screen(points):
        return normalize_screen_coordinates(cameras.project(points, camera), width=1000, height=1000)

    mirrored = mirror(poses, H36M_17.mirrored)
    np.testing.assert_array_equal(mirror(mirrored, H36M_17.mirrored), poses)
    np.testing.assert_allclose(screen(mirrored), mirror(screen(poses), H36M_17.mirrored), atol=1e-12)


@pytest.fixture(params=range(4))
def official(request):
    """Return the official numbers of one camera, and the arguments of `normalize`."""
    prefix = f"cam{request.param}/"
    numbers = {name.removeprefix(prefix): array for name, array in OFFICIAL.items() if name.startswith(prefix)}
    return numbers, (numbers["pose2d_px"], numbers["cam_pos"], official_camera(request.param))


def official_camera(index):
    lens = OFFICIAL[f"cam{index}/intrinsic"].tolist()  # fx, fy, cx, cy, k1, k2, k3, p1, p2
    width, height = OFFICIAL[f"cam{index}/res"].tolist()
    return Camera(
        "c", (1, 0, 0, 0), (0, 0, 0), tuple(lens[:2]), tuple(lens[2:4]), width, height, tuple(lens[4:7]), tuple(lens[7:])
    )


def random_scene(rng):
    """Keypoints, poses and a camera with two focal lengths, a principal point far off the middle, and distortion."""
    focal, center = rng.uniform(1000, 1300, 2), rng.uniform(400, 600, 2)
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), tuple(focal), tuple(center), 1000, 1002, (-0.2, 0.24, 0.0), (-0.001, 0.002))
    root = rng.uniform([-1, -0.7, 3], [1, 0.7, 7], (30, 1, 3))
    poses = (root + rng.uniform(-0.9, 0.9, (30, 17, 3))).astype(np.float32)
    poses[:, :1] = root
    return cameras.project(poses, camera), poses, camera


def flip(points):
    return mirror(points, H36M_17.mirrored)


def test_basic_agrees_with_the_official_code(official):
    numbers, seen = official
    inputs, targets = normalize("basic", *seen)
    np.testing.assert_allclose(inputs, numbers["base/pose2d"], atol=1e-7)  # stored in float32
    np.testing.assert_array_equal(targets[:, 1:], numbers["base/pose3d"][:, 1:])
    assert not targets[:, 0].any()  # the official data keep the absolute root here; training and evaluation zero it


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_inputs_and_targets_agree_with_the_official_code(official, name):
    """Equal to 1e-6: the official float32 pixels have errors of up to 6e-5, times Z_0 / fx = 0.005."""
    numbers, seen = official
    inputs, targets = normalize(name, *seen)
    assert inputs.dtype == targets.dtype == np.float32
    np.testing.assert_allclose([inputs, flip(inputs)], numbers[f"{name}/tta_2d"], rtol=0, atol=1e-6)
    np.testing.assert_allclose([targets, flip(targets)], numbers[f"{name}/tta_3d"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_views_agree_with_the_official_parameters(official, name):
    numbers, (_, poses, camera) = official
    views = View.of(poses, camera)
    assert {field.dtype for field in views} == {np.dtype(np.float32)}
    views = views.map(lambda *both: np.stack(both), mirror_view(name, views))
    focal, depth_mm = views.focal[..., :1], 1000 * views.root_depth
    kappa = focal / depth_mm + (name == "lcn")
    parameters = np.concatenate([kappa, depth_mm / (1000 * focal), views.root_px, depth_mm], -1)
    np.testing.assert_allclose(parameters, numbers[f"{name}/tta_params"], rtol=1e-6)


@pytest.mark.parametrize("name", OFFICIAL_NAMES)
def test_metres_agree_with_the_official_code(official, name):
    """Equal to 2e-6 m, also mirrored: each rounding of float32 depths of 4 to 8 m causes an error of up to 2.4e-7 m."""
    numbers, (_, poses, camera) = official
    views = View.of(poses, camera)
    views = views.map(lambda *both: np.stack(both), mirror_view(name, views))
    for normalised, metric in (("pred", "pred_metric"), ("tta_3d", "target_metric")):
        found = to_metres(name, numbers[f"{name}/{normalised}"], views)
        np.testing.assert_allclose(found, numbers[f"{name}/{metric}"], rtol=0, atol=2e-6)


@pytest.mark.parametrize("pose", range(8))
def test_pixel_agrees_with_the_lcn_repository(pose):
    """Computed in float64, as in the LCN repository, whose errors are those of absolute joints."""
    camera = dataclasses.replace(official_camera(LCN["cam_index"][pose]), radial=(0, 0, 0), tangential=(0, 0))
    poses = LCN["joint_3d_camera_mm"][pose : pose + 1] / 1000
    inputs, targets = normalize("pixel", cameras.project(poses, camera), poses, camera)
    for array, name in ((inputs, "flip_2d"), (targets, "flip_3d")):
        found = np.concatenate([array, flip(array)]).reshape(2, -1)
        np.testing.assert_allclose(found, LCN[name][[pose, 8 + pose]], rtol=0, atol=1e-14)

    predicted, views = LCN["pred"][pose].reshape(1, 17, 3), View.of(poses, camera)
    metres = to_metres("pixel", predicted, views)
    error_mm = 1000 * np.linalg.norm(metres - root_relative(poses), axis=-1)
    np.testing.assert_allclose(1000 * (metres + poses[:, :1])[0], LCN["pred_camera_mm"][pose], rtol=0, atol=1e-10)
    np.testing.assert_allclose(error_mm[0], LCN["pred_error_per_joint_mm"][pose], rtol=0, atol=1e-10)
    mirrored = to_metres("pixel", flip(predicted), mirror_view("pixel", views))
    np.testing.assert_allclose(flip(mirrored), metres, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["pixel", "lcn", "proj"])
def test_targets_come_back_to_metres(rng, name):
    """Equal to 5e-6 m in float32."""
    for _ in range(10):
        inputs_2d, poses, camera = random_scene(rng)
        _, targets = normalize(name, inputs_2d, poses, camera)
        views, truth = View.of(poses, camera), root_relative(poses)
        np.testing.assert_allclose(to_metres(name, targets, views), truth, rtol=0, atol=5e-6)

        truth = flip(truth)
        if name == "lcn":  # mirrored about the middle of W = floor(2 cx) pixels, projected back about cx
            truth[..., 0] += (np.floor(2 * camera.center[0]) - 2 * camera.center[0]) / camera.focal[0] * truth[..., 2]
        mirrored = to_metres(name, flip(targets), mirror_view(name, views))
        np.testing.assert_allclose(mirrored, truth, rtol=0, atol=5e-6)


def test_weak_proj_comes_back_distorted(rng):
    inputs_2d, poses, camera = random_scene(rng)
    _, targets = normalize("weak_proj", inputs_2d, poses, camera)
    root = poses[:, :1]
    distorted = np.concatenate([poses[..., :2] * poses[..., 2:] / root[..., 2:], poses[..., 2:]], -1) - root
    views = View.of(poses, camera)
    metres = to_metres("weak_proj", targets, views)
    np.testing.assert_allclose(metres, distorted, rtol=0, atol=5e-6)
    np.testing.assert_allclose(
        to_metres("weak_proj", flip(targets), mirror_view("weak_proj", views)), flip(distorted), rtol=0, atol=5e-6
    )
    assert np.abs(metres - root_relative(poses)).max() > 0.1


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_what_a_normalisation_needs_of_the_truth(rng, name):
    """Only the inputs of proj and weak_proj depend on the 3D pose; the others need its depth only for the inverse."""
    inputs_2d, poses, camera = random_scene(rng)
    before = inputs_2d.copy(), poses.copy()
    inputs, _ = normalize(name, inputs_2d, poses, camera)
    nearer, targets = normalize(name, inputs_2d, (poses * 0.9).astype(np.float32), camera)
    np.testing.assert_array_equal(inputs_2d, before[0])
    np.testing.assert_array_equal(poses, before[1])
    assert np.array_equal(inputs, nearer) == (name not in ("proj", "weak_proj"))
    moved = to_metres(name, targets, View.of(poses, camera))
    assert bool(notes(name)) == (not np.allclose(moved, to_metres(name, targets, View.of(poses * 1.2, camera))))


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_jax_agrees_with_numpy(rng, name):
    """Equal to 2e-6 m, because the compiler reorders operations. Strict promotion is on (conftest.py)."""
    inputs_2d, poses, camera = random_scene(rng)
    _, targets = normalize(name, inputs_2d, poses, camera)
    views = View.of(poses, camera)

    def both_ways(outputs, views):
        return to_metres(name, outputs, views), to_metres(name, outputs, mirror_view(name, views))

    for axes in ((30,), (30, 1), (5, 6)):  # frames, windows of one frame, longer windows
        arrays = targets.reshape(*axes, 17, 3), views.map(lambda x: x.reshape(*axes, 1, -1))
        for found, expected in zip(jax.jit(both_ways)(*jax.tree.map(jnp.asarray, arrays)), both_ways(*arrays), strict=True):
            assert found.dtype == expected.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_basic_is_returned_as_it_is(rng):
    outputs = rng.normal(size=(2, 17, 3)).astype(np.float32)
    assert to_metres("basic", outputs, View.unknown(2)) is outputs


def test_centered_input_is_the_same_from_any_camera_that_sees_the_same(rng):
    """Pixels may be shifted and scaled; the person has unit size around the root; the target is in metres."""
    points = rng.normal(500, 80, (5, 17, 2)).astype(np.float32)
    poses = rng.normal(0, 0.5, (5, 17, 3)).astype(np.float32)
    camera = cameras.Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100, 1100), (500, 400), 1000, 800)
    inputs, targets = normalize("centered", points, poses, camera)
    moved, _ = normalize("centered", points * 1.7 - 40, poses, camera)
    np.testing.assert_allclose(inputs, moved, atol=1e-5)
    np.testing.assert_allclose(np.square(inputs).sum(-1).mean(-1), 1, rtol=1e-5)
    assert not inputs[:, 0].any()
    np.testing.assert_array_equal(targets, poses - poses[:, :1])
    nobody, _ = normalize("centered", np.full_like(points, 7), poses, camera)
    assert not nobody.any()


def test_turned_sees_what_a_camera_turned_to_the_hip_sees(rng):
    """Inputs and targets are the `centered` ones of the rotated camera, and the inverse recovers the joints."""
    camera = dataclasses.replace(random_scene(rng)[2], radial=(0.0, 0.0, 0.0), tangential=(0.0, 0.0))
    root = rng.uniform([-2, -2, 3], [2, 2, 5], (40, 1, 3))
    poses = root + rng.uniform(-0.9, 0.9, (40, 17, 3))
    poses[:, :1] = root
    keypoints = cameras.project(poses, camera)
    inputs, targets = normalize("turned", keypoints, poses, camera)
    forward = root[:, 0] / np.linalg.norm(root[:, 0], axis=-1, keepdims=True)
    right = np.cross([0.0, 1.0, 0.0], forward)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    axes = np.stack([right, np.cross(forward, right), forward], 1)  # [40, 3, 3] float64, the same camera computed differently
    turned = np.einsum("tij,tkj->tki", axes, poses)
    seen = root_relative(turned[..., :2] / turned[..., 2:])
    size = np.sqrt(np.square(seen).sum(-1).mean(-1))
    np.testing.assert_allclose(inputs[:, 1:], (seen / size[:, None, None])[:, 1:], atol=1e-6)
    np.testing.assert_allclose(inputs[:, 0], np.stack([0 * size, np.log(10 * size)], -1), atol=1e-6)
    np.testing.assert_allclose(targets, root_relative(turned), atol=1e-6)
    view = view_of("turned", keypoints, poses, camera)
    for array in (np.asarray, jnp.asarray):
        np.testing.assert_allclose(to_metres("turned", array(targets), view.map(array)), root_relative(poses), atol=1e-5)


def test_turned_sees_of_the_focal_length_only_the_size_of_a_person_in_the_middle(rng):
    poses = np.concatenate([np.zeros((5, 1, 3)), rng.uniform(-0.9, 0.9, (5, 16, 3))], 1) + [0, 0, 4]
    camera = Camera("c", (1, 0, 0, 0), (0, 0, 0), (1100.0, 1100.0), (500.0, 400.0), 1000, 800)
    keypoints = cameras.project(poses, camera)
    inputs, _ = normalize("turned", keypoints, poses, camera)
    guessed, _ = normalize("turned", keypoints, poses, dataclasses.replace(camera, focal=(700.0, 700.0)))
    np.testing.assert_allclose(inputs[:, 1:], guessed[:, 1:], atol=1e-6)
    np.testing.assert_allclose(guessed[:, 0, 1] - inputs[:, 0, 1], np.log(1100 / 700), atol=1e-6)
    np.testing.assert_allclose(inputs[:, 1:], normalize("centered", keypoints, poses, camera)[0][:, 1:], atol=1e-6)


def test_mirrored_views_of_turned_frames_belong_to_the_mirrored_scene(rng):
    keypoints, poses, camera = random_scene(rng)
    view = view_of("turned", keypoints, poses, camera)
    mirrored_px = np.concatenate([2 * camera.center[0] - keypoints[..., :1], keypoints[..., 1:]], -1)[:, H36M_17.mirrored]
    inputs, targets = normalize("turned", keypoints, poses, camera)
    expected, _ = normalize("turned", mirrored_px, poses, camera)
    np.testing.assert_allclose(mirror(inputs, H36M_17.mirrored), expected, atol=1e-5)
    back = to_metres("turned", mirror(targets, H36M_17.mirrored), mirror_view("turned", view))
    np.testing.assert_allclose(back, mirror(root_relative(poses), H36M_17.mirrored), atol=1e-5)
