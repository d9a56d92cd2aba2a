"""Tests of intervals of differences, against a closed form and for invariances."""

from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.intervals import gain

ALL, ACTIONS, RARE = ("average", "frames"), ("average", "actions"), ("rare", "10")


def _run(errors, frames=None, rare=None):
    """Return a run whose recordings have these mean errors [R]; two actions alternate."""
    frames = np.full(len(errors), 10) if frames is None else np.asarray(frames)
    rare = frames if rare is None else np.asarray(rare)
    rows = {
        kind: {name: {"frames": n.tolist(), "mpjpe_mm": (errors * n).tolist()}}
        for kind, name, n in (("average", "frames", frames), ("rare", "10", rare))
    }
    names = [f"S9/{'walk' if index % 2 else 'sit'}/{index}" for index in range(len(errors))]
    return Evaluation(Path(), ConfigDict(), {"recordings": {"names": names, "rows": rows}}, np.empty(0))


def test_the_interval_is_that_of_a_mean_of_independent_recordings(rng):
    """With a baseline of constant error the gain is a mean, and its interval is ± 1.96 standard errors."""
    errors = 80 + 10 * rng.standard_normal(400)
    found = gain([_run(errors)], [_run(np.full(400, 100.0))], ALL)
    assert found.percent == pytest.approx(100 - errors.mean())
    half = 1.96 * errors.std() / 20
    assert found.low == pytest.approx(found.percent - half, abs=0.1)
    assert found.high == pytest.approx(found.percent + half, abs=0.1)
    assert found.verdict == "better"


def test_recordings_are_paired(rng):
    """The interval is narrow even if recordings differ far more than the networks do on each of them."""
    hard = rng.uniform(20, 200, 50)
    assert gain([_run(hard * 0.97)], [_run(hard)], ALL).verdict == "better"
    assert gain([_run(hard)], [_run(hard * 0.97)], ALL).verdict == "worse"
    same = gain([_run(hard)], [_run(hard)], ALL)
    assert (same.percent, same.low, same.high, same.verdict) == (0, 0, 0, "undecided")


def test_seeds_widen_the_interval(rng):
    errors = rng.uniform(90, 110, 50)
    base = [_run(np.full(50, 100.0))]
    apart = gain([_run(errors - 20), _run(errors + 20)], base, ALL)
    alike = gain([_run(errors), _run(errors)], base, ALL)
    assert apart.percent == pytest.approx(alike.percent)
    assert apart.high - apart.low > 3 * (alike.high - alike.low)


def test_an_average_over_actions_does_not_weigh_frames():
    errors = np.array([50.0, 100.0] * 10)
    frames = np.array([1, 99] * 10)
    base = [_run(np.full(20, 100.0), frames)]
    assert gain([_run(errors, frames)], base, ACTIONS).percent == pytest.approx(25)
    assert gain([_run(errors, frames)], base, ALL).percent == pytest.approx(0.5)


def test_rare_poses_of_few_recordings_and_missing_rows():
    """Draws without a rare pose do not count, and fewer than five recordings have no interval."""
    errors, rare = np.full(40, 50.0), np.array([3] * 5 + [0] * 35)
    base = [_run(np.full(40, 100.0), rare=rare)]
    found = gain([_run(errors, rare=rare)], base, RARE)
    assert (found.low, found.high) == pytest.approx((50, 50))
    assert gain([_run(errors)], base, ("rare", "20")) is None
    assert gain([], base, RARE) is None
    few = np.array([3] * 4 + [0] * 36)
    assert gain([_run(errors, rare=few)], [_run(errors, rare=few)], RARE) is None
    assert gain([_run(errors[:20])], base, ALL) is None  # tested on other recordings
