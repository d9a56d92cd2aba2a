"""Test that lifting frame by frame gives the poses of lifting the whole video."""

import jax
import numpy as np
import pytest

from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting import lifter, streaming
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.lifting.streaming import StreamingLifter
from srnet_jax.pose.filters import Settings, filtered
from srnet_jax.pose.root_filter import RootFilter
from tests.lifting.test_lifter import make

SIZE = (1920, 1080)
NETWORKS = {
    "fc": {"network": "fc"},
    "gp": {"network": "gp"},
    "lf": {"network": "lf", "fuse_layer": 2},
    "es": {"network": "es", "split_layer": 2},
    "sfs": {"network": "sfs"},
    "sr multiply": {"network": "sr"},
    "sr multiply, turned": {"network": "sr", "normalization": "turned"},
    "sr multiply, all features": {"network": "sr", "context_dim": 1.0},
    "sr add": {"network": "sr", "recombine": "add"},
    "sr concat": {"network": "sr", "recombine": "concat"},
    "sr concat, wide": {"network": "sr", "recombine": "concat", "context_dim": 0.5, "context_from": "all"},
    "a group of the body": {"network": "sr", "global_group": True, "adds_input": True},
}


def lifter_of(config, widths, **fields):
    config.model.update(causal=True, normalization="centered", filter_widths=widths, channels=48)
    with config.ignore_type():
        config.model.update(fields)
    return KeypointLifter(make(config))


@pytest.fixture
def video(rng):
    """Return keypoints [40, 17, 2] that move from frame to frame no farther than a body can."""
    return (rng.uniform(200, 800, (17, 2)) + rng.normal(0, 10, (40, 17, 2)).cumsum(0)).astype(np.float32)


@pytest.fixture(autouse=True)
def any_pose(monkeypatch):
    monkeypatch.setattr(lifter, "_FARTHEST_M", np.inf)  # the weights are random


QUICK = ("fc", "sr multiply", "sr concat, wide")


@pytest.mark.parametrize(
    ("name", "widths"),
    [
        *(pytest.param(name, (3, 3), marks=() if name in QUICK else pytest.mark.slow) for name in NETWORKS),
        pytest.param("sr multiply", (3, 3, 3), marks=pytest.mark.slow),
        pytest.param("sr concat", (3, 1, 3), marks=pytest.mark.slow),
        ("fc", (1, 1)),
    ],
)
def test_streaming_is_the_whole_video(tiny_config, video, name, widths):
    network = lifter_of(tiny_config, widths, **NETWORKS[name])
    whole = network(video, layout="coco", image_size=SIZE)
    live = StreamingLifter(network, layout="coco", image_size=SIZE)
    found = np.stack([live.push(frame) for frame in video])
    assert np.abs(found - whole).max() < 1e-5 * max(np.abs(whole).max(), 1)


def test_a_camera_whose_up_is_known_is_level_live_too(tiny_config, video):
    network, up = lifter_of(tiny_config, (3, 3), normalization="turned"), np.array([0.5, -0.8, 0.1])
    whole = network(video, layout="coco", image_size=SIZE, up=up)
    live = StreamingLifter(network, layout="coco", image_size=SIZE, up=up)
    found = np.stack([live.push(frame) for frame in video])
    assert np.abs(found - whole).max() < 1e-5 * max(np.abs(whole).max(), 1)


def test_filters_and_the_path_live_are_those_of_the_poses(tiny_config, video):
    network = lifter_of(tiny_config, (3, 3))
    whole = network(video, layout="coco", image_size=SIZE)
    live = StreamingLifter(network, layout="coco", image_size=SIZE, filters=Settings(), track_root=True)
    places, found = [], []
    for frame in video:
        found.append(live.push(frame))
        places.append(live.root)
    size = np.abs(whole).max()
    expected = filtered(whole, None, network.trained.fps, Settings(), causal=True)
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-3 * size)
    person = lifter.completed(video, None, "coco")
    path = RootFilter(0.85 * 1920, (960, 540))
    alone = [
        path.push(*frame, index / 30) for index, frame in enumerate(zip(found, person.points, person.confidences, strict=True))
    ]
    np.testing.assert_allclose(places, alone, rtol=1e-6)
    live.reset()
    np.testing.assert_array_equal(live.push(video[0]), found[0])
    np.testing.assert_array_equal(live.root, places[0])


def test_a_reset_begins_anew_and_nothing_compiles_again(tiny_config, video):
    network = lifter_of(tiny_config, (3, 3))
    live = StreamingLifter(network, layout="coco", image_size=SIZE, flip=False)
    compiled = streaming.step._cache_size()
    first = [live.push(frame) for frame in video[:12]]
    live.reset()
    np.testing.assert_array_equal([live.push(frame) for frame in video[:12]], first)
    assert streaming.step._cache_size() == compiled
    assert first[0].dtype == np.float32
    assert isinstance(jax.tree.leaves(live._memory)[0], jax.Array)


def test_a_frame_that_shows_nobody_or_is_refused_changes_nothing(tiny_config, video):
    network = lifter_of(tiny_config, (3, 3))
    live = StreamingLifter(network, layout="coco", image_size=SIZE)
    live.push(video[0])
    assert np.isnan(live.push(np.full((17, 2), np.nan, np.float32))).all()
    assert np.isnan(live.push(video[1], np.zeros(17))).all()
    with pytest.raises(DataError, match="found 16 joints"):
        live.push(video[1, :16])
    expected = network(video[:2], layout="coco", image_size=SIZE)[1]
    np.testing.assert_allclose(live.push(video[1]), expected, atol=1e-5)


def test_time_passes_for_the_filters_in_frames_that_are_refused(tiny_config, video):
    network = lifter_of(tiny_config, (3, 3))
    lives = [StreamingLifter(network, layout="coco", image_size=SIZE, filters=Settings()) for _ in range(2)]
    for live in lives:
        live.push(video[0])
    for _ in range(5):
        with pytest.raises(DataError):
            lives[0].push(video[1, :16])
        lives[1].push(np.full((17, 2), np.nan, np.float32))
    np.testing.assert_array_equal(lives[0].push(video[2]), lives[1].push(video[2]))


def test_a_joint_that_is_not_seen_is_estimated(tiny_config, video):
    network = lifter_of(tiny_config, (1, 1))
    hidden = video[:1].copy()
    hidden[0, 9] = 0
    live = StreamingLifter(network, layout="coco", image_size=SIZE)
    found = live.push(hidden[0])
    np.testing.assert_allclose(found, network(hidden, layout="coco", image_size=SIZE)[0], atol=1e-5)
    np.testing.assert_array_equal(found, live.push(video[0], np.arange(17) != 9))


def test_after_a_long_gap_the_next_frame_is_the_first(tiny_config, video):
    network = lifter_of(tiny_config, (3, 3))
    gap = video.copy()
    gap[4:36] = np.nan  # more than a second
    live = StreamingLifter(network, layout="coco", image_size=SIZE)
    found = [live.push(frame) for frame in gap]
    np.testing.assert_allclose(found, network(gap, layout="coco", image_size=SIZE), atol=1e-5)


def test_what_is_hardly_sure_is_missing(tiny_config, video):
    network = lifter_of(tiny_config, (1, 1))
    sure, guessed = np.where(np.arange(17) == 15, 0.02, 0.9), video[:1].copy()
    guessed[:, 15] += 300
    live = StreamingLifter(network, layout="coco", image_size=SIZE)
    expected = network(guessed, layout="coco", image_size=SIZE, confidences=sure[None])[0]
    np.testing.assert_allclose(live.push(guessed[0], sure), expected, atol=1e-5)
    np.testing.assert_allclose(live.push(video[0], sure), expected, atol=1e-5)
    every = StreamingLifter(network, layout="coco", image_size=SIZE, min_confidence=0)
    assert np.abs(every.push(guessed[0], sure) - expected).max() > 1e-3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"causal": False}, "random: found a network that needs 4 later frames, expected a causal network"),
        (
            {"network": "semgcn", "filter_widths": (1, 1, 1)},
            "random: found network semgcn, expected fc, gp, lf, es, sfs or sr, without bug_compatible",
        ),
        (
            {"network": "sr", "recombine": "concat", "bug_compatible": True},
            "random: found network sr with bug_compatible, expected fc",
        ),
    ],
)
def test_what_cannot_be_streamed_is_said(tiny_config, fields, message):
    network = lifter_of(tiny_config, (3, 3), **fields)
    with pytest.raises(UserError, match=message):
        StreamingLifter(network, layout="coco", image_size=SIZE)
