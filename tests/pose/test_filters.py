"""All filters together: their order, live against offline, gaps and sizes."""

import dataclasses
import time

import numpy as np
import pytest

from srnet_jax.data import synthetic
from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.bones import bone_lengths, constant_bones, frame_lengths
from srnet_jax.pose.filters import LiveFilter, Settings, filtered
from srnet_jax.pose.hinges import without_wrong_bends
from srnet_jax.pose.skeleton import RATIOS
from srnet_jax.pose.smoothing import one_euro, smoothed

FPS = 30.0
NOTHING = Settings(smooth=False, constant_bones=False, knees=False)


@pytest.fixture(scope="module")
def track():
    rng = np.random.default_rng(0)
    *_, poses = next(synthetic.recordings(120 * 210, seed=0))
    poses = poses[:120].astype(float)
    poses += rng.normal(size=poses.shape) * 0.02
    poses -= poses[:, :1]
    poses[50:55], poses[70:110] = np.nan, np.nan
    return poses.astype(np.float32)


@pytest.fixture(scope="module")
def sure():
    return np.random.default_rng(1).uniform(0, 1, (120, 17))


@pytest.mark.parametrize(
    "settings", [Settings(), Settings(stature_m=1.8), NOTHING, dataclasses.replace(NOTHING, leg_m=0.8), Settings(smooth=False)]
)
def test_live_equals_offline(track, sure, settings):
    for times in (FPS, np.cumsum(np.random.default_rng(2).uniform(0.02, 0.05, len(track)))):
        live = LiveFilter(settings, FPS)
        steps = [None] * len(track) if np.ndim(times) == 0 else [0.02, *np.diff(times)]
        made = [live.push(pose, own, dt=dt) for pose, own, dt in zip(track, sure, steps, strict=True)]
        np.testing.assert_allclose(made, filtered(track, sure, times, settings, causal=True), atol=1e-6)
        live.reset()
        np.testing.assert_array_equal(live.push(track[0], sure[0]), made[0])


def test_future_frames_change_nothing_before_them(track, sure):
    begun = filtered(track[:40], sure[:40], FPS, Settings(stature_m=1.7), causal=True)
    np.testing.assert_array_equal(filtered(track, sure, FPS, Settings(stature_m=1.7), causal=True)[:40], begun)


def test_order(track, sure):
    lengths = bone_lengths(track.astype(float))
    expected = without_wrong_bends(constant_bones(smoothed(track, FPS, 3.0), lengths, sure))
    np.testing.assert_allclose(filtered(track, sure, FPS, Settings(cutoff_hz=3.0)), expected, atol=1e-6)
    elbows = filtered(track, sure, FPS, dataclasses.replace(NOTHING, elbows=True))
    np.testing.assert_allclose(elbows, without_wrong_bends(track, knees=False, elbows=True), atol=1e-6)
    only = dataclasses.replace(NOTHING, smooth=True)
    np.testing.assert_allclose(filtered(track, None, FPS, only, causal=True), one_euro(track, FPS), atol=1e-6)
    np.testing.assert_array_equal(filtered(track, None, FPS, NOTHING), track)
    np.testing.assert_array_equal(filtered(track, None, FPS, NOTHING, causal=True), track)


def test_lengths_hold_and_one_scale_fits_the_stature(track):
    made = filtered(track, None, FPS, Settings(stature_m=1.65))
    lengths = frame_lengths(made[np.isfinite(made).all((1, 2))].astype(float), alike=False)
    np.testing.assert_allclose(lengths, lengths[:1].repeat(len(lengths), 0), atol=1e-6)
    assert lengths[0, 2] + lengths[0, 3] == pytest.approx(1.65 * (RATIOS["thigh"] + RATIOS["shank"]), abs=1e-6)
    plain = filtered(track, None, FPS, Settings())
    ratio = lengths[0, 1:] / frame_lengths(plain[:1].astype(float), alike=False)[0, 1:]
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


def test_a_person_who_is_never_lifted():
    nobody = np.full((5, 17, 3), np.nan, np.float32)
    for causal in (False, True):
        assert np.isnan(filtered(nobody, None, FPS, Settings(stature_m=1.8), causal=causal)).all()
        assert filtered(nobody[:0], None, FPS, Settings(), causal=causal).shape == (0, 17, 3)


def test_live_is_fast(track):
    live, taken = LiveFilter(Settings(stature_m=1.8), FPS), []
    for pose in track[:50]:
        begun = time.perf_counter()
        live.push(pose)
        taken.append(time.perf_counter() - begun)
    assert np.median(taken) < 0.005  # ten times the measured duration


@pytest.mark.parametrize(
    ("field", "value"),
    [("cutoff_hz", 0), ("beta", -1), ("stature_m", 180), ("leg_m", "long"), ("min_cutoff_hz", np.nan), ("d_cutoff_hz", None)],
)
def test_bad_settings(field, value):
    with pytest.raises(UserError, match=f"^{field}: found .*, expected"):
        Settings(**{field: value})


def test_bad_arguments(track):
    with pytest.raises(DataError, match="poses: found"):
        filtered(track[:, :16], None, FPS, Settings())
    with pytest.raises(DataError, match="confidences: found"):
        filtered(track, np.ones((3, 17)), FPS, Settings())
    with pytest.raises(UserError, match="fps: found"):
        LiveFilter(Settings(), 0)
    with pytest.raises(UserError, match="dt: found"):
        LiveFilter(Settings(), FPS).push(track[0], dt=-1)
    with pytest.raises(DataError, match="pose: found"):
        LiveFilter(Settings(), FPS).push(track)
