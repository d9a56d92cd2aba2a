"""Test that lifting keypoints gives the numbers of evaluation, at any frame rate and from any form of a network."""

import dataclasses
import importlib.metadata
import json

import jax
import numpy as np
import pytest

import srnet_jax
from srnet_jax.config import config_files
from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting import lifter as lifter_lib
from srnet_jax.lifting import weights
from srnet_jax.lifting.streaming import StreamingLifter
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.pose import layouts
from srnet_jax.pose.expected_errors import Calibration
from srnet_jax.pose.frames import interpolated
from srnet_jax.pose.normalization import View, normalize_image
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.training.loop import train_and_evaluate

SIZE = (1920, 1080)


@pytest.fixture
def keypoints(rng):
    """Return COCO keypoints [40, 17, 2] of a person who moves evenly."""
    start, end = rng.uniform(200, 800, (2, 17, 2))
    return (start + np.linspace(0, 1, 40)[:, None, None] * (end - start) / 10).astype(np.float32)


def make(config, fps=30.0):
    """Return a network of random weights."""
    model = create_model(config.model)
    shape = jax.ShapeDtypeStruct((1, model.receptive_field, 17, 2), np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), shape)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.uniform(0.05, 0.2, leaf.shape).astype(np.float32), shapes)
    return weights.Trained("random", config, model, variables, fps)


@pytest.fixture
def lifter(tiny_config):
    tiny_config.model.normalization = "centered"
    return lifter_lib.KeypointLifter(make(tiny_config))


@pytest.fixture
def temporal(tiny_config):
    tiny_config.model.normalization = "centered"
    tiny_config.model.filter_widths = (3, 3)
    return lifter_lib.KeypointLifter(make(tiny_config))


def test_poses_are_the_networks(lifter, keypoints):
    points = layouts.derived(keypoints, np.ones(keypoints.shape[:2]), "coco")[0].astype(np.float32)
    inputs = normalize_image("centered", points, View.seen(points, (1.0, 1.0), (0.0, 0.0), SIZE))
    expected = np.asarray(lifter.trained.model.apply(lifter.trained.variables, inputs[None]))[0]
    found = lifter(keypoints, layout="coco", image_size=SIZE, flip=False)
    np.testing.assert_allclose(found, expected - expected[:, :1], rtol=1e-5, atol=1e-6)
    assert found.shape == (40, 17, 3)
    assert found.dtype == np.float32
    assert not found[:, 0].any()


def test_a_camera_that_turns_sees_the_same_person(tiny_config, keypoints):
    """Only `turned` depends on the person's position; the pose rotates with the axes of the camera."""
    tiny_config.model.normalization = "turned"
    lifter = lifter_lib.KeypointLifter(make(tiny_config))
    focal, middle, angle = 1400.0, np.array(SIZE) / 2, np.radians(20)
    rays = np.concatenate([(keypoints - middle) / focal, np.ones((*keypoints.shape[:2], 1))], -1)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[cos, 0, -sin], [0, 1, 0], [sin, 0, cos]])  # of the camera about its y axis
    rays = rays @ turn.T
    moved = rays[..., :2] / rays[..., 2:] * focal + middle
    before, after = (lifter(k, layout="h36m", image_size=SIZE, focal_px=focal) for k in (keypoints, moved))
    np.testing.assert_allclose(after, before @ turn.T, atol=1e-4)


def test_a_focal_length_that_is_not_used_is_refused(lifter, keypoints):
    with pytest.raises(UserError, match="focal_px: not used by random, whose normalization is centered"):
        lifter(keypoints, layout="coco", image_size=SIZE, focal_px=1400.0)
    with pytest.raises(UserError, match=r"focal_px: found 10, expected 0\.1 to 100 times the image's longer side"):
        lifter(keypoints, layout="coco", image_size=SIZE, focal_px=10)


def test_pieces_give_what_the_whole_gives(temporal, keypoints):
    whole = temporal(keypoints, layout="coco", image_size=SIZE)
    pieces = temporal(keypoints, layout="coco", image_size=SIZE, batch_frames=7)
    np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)


def test_neither_place_nor_size_matters_when_centered(lifter, keypoints):
    first = lifter(keypoints, layout="coco", image_size=SIZE)
    np.testing.assert_allclose(lifter(keypoints * 0.5 + 77, layout="coco", image_size=(640, 480)), first, rtol=1e-3, atol=1e-4)


def test_a_mirrored_person_has_the_mirrored_pose(lifter, keypoints):
    layout = layouts.find("coco")
    swap = {"left": "right", "right": "left"}
    opposite = ["_".join(swap.get(word, word) for word in joint.split("_")) for joint in layout.joints]
    order = [layout.joints.index(joint) for joint in opposite]
    mirrored = lifter((keypoints * [-1, 1] + [1920, 0])[:, order], layout="coco", image_size=SIZE)
    expected = lifter(keypoints, layout="coco", image_size=SIZE)[:, list(H36M_17.mirrored)] * np.array([-1, 1, 1], np.float32)
    np.testing.assert_allclose(mirrored, expected, rtol=1e-4, atol=1e-5)


def test_videos_of_other_rates_are_seen_at_the_networks(temporal, keypoints):
    """A video at twice the rate, whose every other frame is from the first video, has the same poses in these frames."""
    double = interpolated(keypoints, np.arange(79) / 2)
    slow = temporal(keypoints, layout="coco", image_size=SIZE, fps=30)
    fast = temporal(double, layout="coco", image_size=SIZE, fps=60)
    assert fast.shape == (79, 17, 3)
    np.testing.assert_allclose(fast[::2], slow, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(temporal(keypoints, layout="coco", image_size=SIZE), slow)
    assert not np.allclose(temporal(keypoints, layout="coco", image_size=SIZE, fps=15), slow, rtol=0, atol=1e-6)


@pytest.mark.parametrize("times", [[0, 0.5, 1.0, 2.75], [3.0, 99.0, -1.0]])
def test_interpolation_is_numpys(times, rng):
    values = rng.normal(size=(4, 2, 3))
    found = interpolated(values, np.array(times))
    for a, b in np.ndindex(2, 3):
        np.testing.assert_allclose(found[:, a, b], np.interp(times, np.arange(4), values[:, a, b]))


def test_a_file_of_weights_is_read_back(lifter, keypoints, tmp_path):
    lifter.trained.config.data.path = "/somebody/data.npz"
    weights.save(tmp_path / "mine.npz", lifter.trained)
    read = srnet_jax.load(tmp_path / "mine.npz")
    assert read.trained.fps == 30
    assert read.trained.config.data.path == ""
    first = lifter(keypoints, layout="coco", image_size=SIZE)
    size = np.abs(first).max()
    np.testing.assert_allclose(
        read(keypoints, layout="coco", image_size=SIZE) / size, first / size, atol=2e-3
    )  # half precision


def test_a_rolled_camera_whose_up_is_known_sees_what_a_level_one_sees(lifter, keypoints):
    angle = np.radians(40)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])  # of x to the right, y down
    middle = np.array(SIZE) / 2
    rolled = ((keypoints - middle) @ rotation.T + middle).astype(np.float32)
    up = np.array([*rotation @ [0.0, -0.9], 0.4])
    level = lifter(keypoints, layout="coco", image_size=SIZE)
    found = lifter(rolled, layout="coco", image_size=SIZE, up=up)
    expected = np.concatenate([level[..., :2] @ rotation.T, level[..., 2:]], -1)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(level).max())
    straight_down = lifter(rolled, layout="coco", image_size=SIZE, up=np.array([0.1, 0.0, 1.0]))
    np.testing.assert_array_equal(straight_down, lifter(rolled, layout="coco", image_size=SIZE))


def test_expected_errors_are_read_back(lifter, tmp_path, rng):
    assert lifter.trained.calibration is None
    measured = Calibration(*rng.uniform(0, 0.3, (5, 17)))
    weights.save(tmp_path / "mine.npz", dataclasses.replace(lifter.trained, calibration=measured))
    np.testing.assert_allclose(srnet_jax.load(tmp_path / "mine.npz").trained.calibration, measured, rtol=1e-6)


def test_a_training_is_read(tiny_config, keypoints, tmp_path):
    tiny_config.train.epochs = 1
    train_and_evaluate(tiny_config, tmp_path)
    read = srnet_jax.load(tmp_path)
    assert read.trained.fps == 50
    assert read(keypoints, layout="coco", image_size=SIZE).shape == (40, 17, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("config"), "config: not found, expected a file that launch.export wrote"),
        (lambda arrays: arrays.update(fps=np.array("x")), "fps: found no number of frames per second"),
        (lambda arrays: arrays.update(config=np.array("{")), "not a config"),
        (lambda arrays: arrays.update(expected_errors=np.zeros((4, 17))), r"expected_errors: found .*shape \(5, 17\)"),
        (
            lambda arrays: arrays.update(expected_errors=np.full((5, 17), -1.0)),
            "expected_errors: found infinity, NaN or a negative number",
        ),
        (lambda arrays: arrays.update({"params/x": np.zeros(3)}), "params/x: found only in the file"),
        (
            lambda arrays: arrays.update({next(n for n in arrays if "kernel" in n): np.zeros(3)}),
            r"found float64 of shape \(3,\)",
        ),
        (lambda arrays: arrays[next(n for n in arrays if "kernel" in n)].fill(np.nan), "finite numbers"),
    ],
)
def test_damaged_weights_are_refused(lifter, tmp_path, change, message):
    path = tmp_path / "mine.npz"
    weights.save(path, lifter.trained)
    arrays = dict(np.load(path))
    change(arrays)
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as raised:
        srnet_jax.load(path)
    assert str(path) in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_no_network_is_named(tiny_config, tmp_path):
    with pytest.raises(UserError, match="nothing: no trained network, expected single, causal or video, a workdir, or a "):
        srnet_jax.load("nothing")
    tiny_config.model.normalization = "pixel"
    weights.save(tmp_path / "pixel.npz", make(tiny_config))
    with pytest.raises(UserError, match="'pixel' uses the TRUE depth"):
        srnet_jax.load(tmp_path / "pixel.npz")


def test_a_config_of_another_version_is_refused(lifter, tmp_path):
    path = tmp_path / "new.npz"
    weights.save(path, lifter.trained)
    arrays = dict(np.load(path))
    values = json.loads(str(arrays["config"])) | {"format_version": config_files.FORMAT_VERSION + 1}
    np.savez(path, **arrays | {"config": np.array(json.dumps(values))})
    with pytest.raises(DataError, match=f"found format_version {config_files.FORMAT_VERSION + 1}, expected 8 or 9"):
        srnet_jax.load(path)


@pytest.mark.parametrize(
    ("keypoints", "message"),
    [
        (np.zeros((3, 17, 3), np.float32), r"found shape \(3, 17, 3\) of float32, expected \(frames >= 1, joints, 2\)"),
        (np.zeros((0, 17, 2), np.float32), r"found shape \(0, 17, 2\)"),
        (np.full((3, 17, 2), np.nan), "keypoints: no frame shows 4 of the 17 joints"),
        (np.zeros((3, 25, 2)), "found 25 joints, expected the 17 of layout coco; body_25 and body_25b have 25"),
        (np.full((3, 17, 2), 0.5), r"keypoints: found only keypoints within .*1\.5, which seem normalised, expected pixels"),
        (np.full((3, 17, 2), 7.0), "keypoints: found all joints at one point in each frame, expected a person's"),
        (np.full((3, 17, 2), 1e9), "keypoints: found keypoints of 1,000,000 or more in frame 0, expected pixels"),
        (np.full((3, 17, 2), 1e200), "keypoints: found keypoints of 1,000,000 or more in frame 0, expected pixels"),
    ],
)
def test_wrong_keypoints_are_refused(lifter, keypoints, message):
    with pytest.raises(DataError, match=message):
        lifter(keypoints, layout="coco", image_size=SIZE)


@pytest.mark.parametrize("batch_frames", [0, -1, 2.5, None])
def test_impossible_batches_are_refused(lifter, keypoints, batch_frames):
    with pytest.raises(UserError, match=f"batch_frames: found {batch_frames}, expected a whole number above 0"):
        lifter(keypoints, layout="coco", image_size=SIZE, batch_frames=batch_frames)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": None}, r"image_size: found None, expected \(width, height\) in pixels"),
        ({"image_size": (1920,)}, r"image_size: found \(1920,\)"),
        ({"image_size": (0, 1080)}, r"image_size: found \(0, 1080\)"),
        ({"image_size": ("1920", 1080)}, r"image_size: found \('1920', 1080\)"),
        ({"fps": -1}, "fps: found -1, expected 0.1 to 10,000 frames per second, or None"),
        ({"fps": 1e-9}, "fps: found 1e-09"),
        ({"fps": np.nan}, "fps: found nan"),
        ({"fps": np.inf}, "fps: found inf"),
        ({"image_size": (np.nan, 5)}, r"image_size: found \(nan, 5\)"),
        ({"fps": "30"}, "fps: found '30'"),
        ({"layout": None}, "layout None: not known, expected one of coco"),
        ({"layout": ["coco"]}, r"layout \['coco'\]: not known, expected one of coco"),
        ({"min_confidence": np.nan}, "min_confidence: found nan, expected 0 to 1"),
        ({"min_confidence": "0.1"}, "min_confidence: found '0.1', expected 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused_wherever_they_are_given(lifter, keypoints, changed, message):
    arguments = {"layout": "coco", "image_size": SIZE} | changed
    with pytest.raises(UserError, match=message):
        lifter(keypoints, **arguments)
    if "fps" not in changed:
        with pytest.raises(UserError, match=message):
            StreamingLifter(lifter, **arguments)


def test_confidences_in_percent_are_refused(lifter, keypoints):
    with pytest.raises(DataError, match="confidences: found 95, expected 0 to 1"):
        lifter(keypoints, layout="coco", image_size=SIZE, confidences=np.full(keypoints.shape[:2], 95))


def test_lists_are_keypoints_too(lifter, keypoints):
    found = lifter(keypoints[:2].tolist(), layout="coco", image_size=list(SIZE))
    np.testing.assert_array_equal(found, lifter(keypoints[:2], layout="coco", image_size=SIZE))


def test_a_lifter_is_shown_in_a_line(temporal):
    assert repr(temporal).startswith("KeypointLifter(trained=Trained('random', network fc, 9 frames, ")
    assert repr(temporal).endswith(" parameters))")
    assert len(repr(temporal)) < 120


def test_the_package_lists_what_it_has():
    assert {"load", "__version__"} <= set(dir(srnet_jax))
    assert srnet_jax.__version__ == importlib.metadata.version("srnet_jax")
