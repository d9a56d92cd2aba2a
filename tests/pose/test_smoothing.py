"""Smoothing compared with SciPy called directly, and the One Euro filter with one in plain Python."""

import math

import numpy as np
import pytest
from scipy import signal

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose.smoothing import OneEuro, one_euro, runs, seconds, smoothed

FPS = 30.0


@pytest.fixture
def track():
    rng = np.random.default_rng(0)
    return np.cumsum(rng.normal(size=(90, 17, 3)), axis=0) * 0.02


def test_slow_sine_is_neither_delayed_nor_damped():
    t = np.arange(300) / FPS
    sine = np.sin(2 * np.pi * 0.7 * t)[:, None, None] * np.ones((1, 17, 3))
    made = smoothed(sine, FPS, 5.0)
    np.testing.assert_allclose(made[60:-60], sine[60:-60], atol=1e-3)


def test_cutoff_is_where_71_percent_are_left():
    t = np.arange(900) / FPS
    sine = np.sin(2 * np.pi * 3.0 * t)[:, None]
    middle = slice(300, 600)
    made = smoothed(sine, FPS, 3.0)[middle, 0]
    assert made.std() / sine[middle].std() == pytest.approx(math.sqrt(0.5), abs=1e-3)
    assert np.argmax(np.correlate(made, sine[middle, 0], "full")) == len(made) - 1  # no delay


def test_equals_scipy_called_directly(track):
    each = math.atan(math.tan(math.pi * 4.0 / FPS) / (math.sqrt(2) - 1) ** 0.25) * FPS / math.pi
    sections = signal.butter(2, each, fs=FPS, output="sos")
    expected = signal.sosfiltfilt(sections, track, axis=0, padlen=17)  # 30 / 4 + 9
    np.testing.assert_allclose(smoothed(track, FPS, 4.0), expected, atol=1e-12)


def test_runs_between_gaps_are_filtered_apart(track):
    track[30:40], track[70, 5, 1] = np.nan, np.nan
    made = smoothed(track, FPS, 3.0)
    for begin, end in ((0, 30), (40, 70), (71, 90)):
        np.testing.assert_allclose(made[begin:end], smoothed(track[begin:end], FPS, 3.0), atol=1e-12)
    np.testing.assert_array_equal(made[30:40], track[30:40])
    np.testing.assert_array_equal(made[70], track[70])
    assert runs(np.isfinite(track).all((1, 2))) == [(0, 30), (40, 70), (71, 90)]


@pytest.mark.parametrize("frames", range(6))
def test_short_tracks(track, frames):
    made = smoothed(track[:frames], FPS, 3.0)
    assert made.shape == (frames, 17, 3)
    assert np.isfinite(made).all()


def test_uneven_times():
    rng = np.random.default_rng(1)
    t = np.sort(np.arange(300) / FPS + rng.uniform(-0.3, 0.3, 300) / FPS)
    sine = np.sin(2 * np.pi * 0.7 * t)[:, None]
    noise = 0.2 * rng.normal(size=sine.shape)
    made = smoothed(sine + noise, t, 2.0)
    assert np.abs(made - sine)[30:-30].mean() < 0.5 * np.abs(noise).mean()
    np.testing.assert_allclose(smoothed(sine, t, 4.0)[60:-60], sine[60:-60], atol=0.01)
    even = np.arange(300) / FPS + 5
    np.testing.assert_allclose(smoothed(sine, even, 4.0), smoothed(sine, FPS, 4.0), atol=1e-9)


def test_pauses_are_gaps(track):
    times = np.arange(90) / FPS
    times[40:] += 1e9
    made = smoothed(track, times, 3.0)
    for part in (slice(0, 40), slice(40, 90)):
        np.testing.assert_allclose(made[part], smoothed(track[part], FPS, 3.0), atol=1e-5)
    times = np.cumsum(np.where(np.arange(90) % 9, 1e-7, 0.9))
    with pytest.raises(DataError, match="times: found 90 frames"):
        smoothed(track, times, 3.0)


def test_slow_video_is_left_alone(track):
    np.testing.assert_array_equal(smoothed(track, 8.0, 4.0), track)


def casiez(values, dt, min_cutoff, beta, d_cutoff):
    """Filter numbers as the paper's pseudocode does."""

    def alpha(cutoff):
        tau = 1 / (2 * math.pi * cutoff)
        return 1 / (1 + tau / dt)

    made, last, last_derivative = [], None, 0.0
    for value in values:
        if last is None:
            last = value
        else:
            a = alpha(d_cutoff)
            last_derivative = a * ((value - last) / dt) + (1 - a) * last_derivative
            a = alpha(min_cutoff + beta * abs(last_derivative))
            last = a * value + (1 - a) * last
        made.append(last)
    return made


def test_one_euro_is_that_of_the_paper():
    values = np.cumsum(np.random.default_rng(2).normal(size=100)) * 0.05
    made = one_euro(values[:, None], 50.0, 0.8, 3.0, 1.5)[:, 0]
    np.testing.assert_allclose(made, casiez(values.tolist(), 1 / 50, 0.8, 3.0, 1.5), rtol=0, atol=1e-12)


def test_one_euro_live_equals_offline_and_turns_with_the_axes(track):
    live = OneEuro(1.0, 2.0, 1.0)
    offline = one_euro(track, FPS, 1.0, 2.0, 1.0)
    np.testing.assert_allclose(np.stack([live(pose, 1 / FPS) for pose in track]), offline, rtol=0, atol=1e-12)
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))
    np.testing.assert_allclose(one_euro(track @ turn, FPS, 1.0, 2.0, 1.0), offline @ turn, atol=1e-12)


def test_one_euro_over_gaps(track):
    short, long = track.copy(), track.copy()
    short[20:30], long[20:60] = np.nan, np.nan
    made = one_euro(short, FPS)
    assert np.isnan(made[20:30]).all()
    without, times = np.delete(short, np.s_[20:30], 0), np.delete(np.arange(90) / FPS, np.s_[20:30])
    np.testing.assert_allclose(made[30:], one_euro(without, times)[20:], rtol=0, atol=1e-12)  # time has passed
    np.testing.assert_array_equal(one_euro(long, FPS)[60], long[60])  # the filter starts again


@pytest.mark.parametrize("fps", [0, -1.0, np.nan, np.inf, "30", True])
def test_bad_frame_rate(track, fps):
    with pytest.raises(UserError, match="fps: found"):
        smoothed(track, fps)


@pytest.mark.parametrize("times", [np.zeros(90), np.arange(89), np.full(90, np.nan)])
def test_bad_times(track, times):
    with pytest.raises(DataError, match="times: found"):
        smoothed(track, times)


def test_bad_numbers(track):
    with pytest.raises(UserError, match="cutoff_hz"):
        smoothed(track, FPS, 0)
    with pytest.raises(UserError, match="beta"):
        OneEuro(beta=-1)
    with pytest.raises(UserError, match="min_cutoff_hz"):
        OneEuro(min_cutoff_hz=0)
    with pytest.raises(UserError, match="dt: found"):
        OneEuro()(track[0], 0)
    assert seconds(4, 3).tolist() == [0, 0.25, 0.5]
    assert len(one_euro(track[:0], FPS)) == 0
