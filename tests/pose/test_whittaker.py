"""The Whittaker smoother, compared with a dense solution; parabolas and other inputs that it must not change."""

import numpy as np
import pytest

from srnet_jax.pose.whittaker import whittaker


def test_even_frames_are_the_dense_least_squares_solution(rng):
    values, weights = rng.normal(size=(50, 2)), rng.uniform(0.2, 3, 50)
    times = np.arange(50) / 25
    rows = np.diff(np.eye(50), 3, axis=0)
    expected = np.linalg.solve(np.diag(weights) + (0.12 * 25) ** 6 * rows.T @ rows, weights[:, None] * values)
    np.testing.assert_allclose(whittaker(values, times, 0.12, weights), expected, atol=1e-9)


def test_parabolas_stay_at_uneven_times(rng):
    times = np.cumsum(rng.uniform(0.01, 0.08, 200))
    parabola = 3 - 2 * times + 0.5 * times**2
    np.testing.assert_allclose(whittaker(parabola, times, 0.3), parabola, atol=1e-6)


@pytest.mark.parametrize("fps", [25, 30, 120, 1000])
def test_half_of_a_wave_stays_at_any_frame_rate(fps):
    times = np.arange(10 * fps) / fps
    wave = np.sin(times / 0.2)
    middle = slice(4 * fps, 6 * fps)
    np.testing.assert_allclose(whittaker(wave, times, 0.2)[middle], 0.5 * wave[middle], atol=0.02)


def test_long_gaps_part_what_is_smoothed(rng):
    times = np.concatenate([np.arange(20), np.arange(20) + 60]) / 30
    values = rng.normal(size=40)
    whole = whittaker(values, times, 0.2)
    np.testing.assert_allclose(whole[:20], whittaker(values[:20], times[:20], 0.2), atol=1e-9)
    np.testing.assert_allclose(whole[20:], whittaker(values[20:], times[20:], 0.2), atol=1e-9)


@pytest.mark.parametrize("step", [1e-6, 1e-9])
def test_two_frames_at_nearly_one_time_change_little(step):
    times = np.arange(120) / 30
    wave = np.sin(times * 2)
    off = np.abs(whittaker(wave, times, 0.3) - wave).max()
    times[60] = times[59] + step
    assert np.abs(whittaker(wave, times, 0.3) - wave).max() < off + 0.03


def test_few_values_stay():
    np.testing.assert_array_equal(whittaker(np.array([1.0, 5.0, 2.0]), np.arange(3.0), 1.0), [1, 5, 2])
