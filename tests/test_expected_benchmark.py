"""Test the benchmark `expected`: its two halves of clips, its table, and the calibration of a network."""

import json

import numpy as np
import pytest

from srnet_jax.benchmarks import expected, views
from srnet_jax.data.mocap import clip_files
from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.pose.expected_errors import fitted
from tests.lifting.test_lifter import make


@pytest.fixture
def people(tmp_path):
    walk = views.standing_person() + np.linspace(0, 1, 30)[:, None, None] * [1.0, 0, 0]
    clips = {f"{subject}/walk/{clip}": walk.astype(np.float32) for subject in ("a", "b") for clip in range(3)}
    clip_files.save(tmp_path / "people.npz", clips, fps=30.0)
    return str(tmp_path / "people.npz")


@pytest.fixture
def network(tiny_config, monkeypatch):
    monkeypatch.setattr("srnet_jax.lifting.lifter._FARTHEST_M", np.inf)  # the weights are random
    tiny_config.model.normalization = "turned"
    tiny_config.protocol.subjects_test = ("b",)
    return KeypointLifter(make(tiny_config))


def test_calibration_is_fitted_to_one_half_of_the_clips_and_reported_on_the_other(network, people, monkeypatch):
    first, second = expected.clips(network, people)
    assert len(first[0]) == 60
    assert len(second[0]) == 30
    assert 0.01 < first[1].mean() < 0.15  # joints that are hidden, and filled
    calibrated, found = expected.calibrated(network, people)
    for array, alone in zip(calibrated.trained.calibration, fitted(*first), strict=True):
        np.testing.assert_array_equal(array, alone)
    assert found == expected.report(fitted(*first), *second)
    monkeypatch.setattr(expected.lifter, "load", lambda name: calibrated)
    figures = expected.run(data=people, networks=("one",))
    json.dumps(figures, allow_nan=False)
    assert {f"one: {name}": value for name, value in found.items()} == figures
    (grid,) = expected.grids(figures)
    assert len(grid.rows) >= 10
    assert float(grid.rows[0][1]) < float(grid.rows[9][1])


def test_exact_expected_errors_have_rank_correlation_one(rng):
    poses, filled = rng.normal(0, 0.3, (500, 17, 3)), rng.random((500, 17)) < 0.1
    calibration = fitted(poses, filled, rng.uniform(0.05, 0.2, (500, 17)))
    found = expected.report(calibration, poses, filled, expected.expected_errors(poses, filled, calibration))
    assert found[expected.RANK] == pytest.approx(1)
    for row in {name.split(": ")[0] for name in found if name != expected.RANK}:
        assert found[f"{row}: {expected.COLUMNS[0]}"] == pytest.approx(found[f"{row}: {expected.COLUMNS[1]}"])


def test_networks_without_calibration_and_data_without_test_subjects_are_rejected(network, people, monkeypatch):
    monkeypatch.setattr(expected.lifter, "load", lambda name: network)
    with pytest.raises(UserError, match=r"one: has no expected errors, expected a file that launch\.export --calibrate wrote"):
        expected.run(data=people, networks=("one",))
    network.trained.config.protocol.subjects_test = ("x",)
    with pytest.raises(DataError, match="found none of the test subjects x"):
        expected.clips(network, people)
