"""Test the benchmark `motion`: its cameras see what they should, and true poses have small errors."""

import numpy as np
import pytest

from srnet_jax.benchmarks import motion, path_errors
from srnet_jax.data.mocap import clip_files
from srnet_jax.errors import DataError
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.pose import cameras
from tests.lifting.test_lifter import make
from tests.pose.walks import walk


@pytest.fixture
def people(tmp_path):
    here, far = walk(seconds=2.5).world.astype(np.float32), walk(seconds=9).world.astype(np.float32)
    clips = {"a/walk/1": here, "b/walk/1": here, "b/stay/1": here[:1].repeat(60, 0), "b/far/1": far}
    clip_files.save(tmp_path / "people.npz", clips, fps=30.0)
    return tmp_path / "people.npz"


def test_cameras_see_the_whole_walk_from_the_stated_heights(people):
    films = motion._film_walks(people, ["b"])
    assert len(films) == 4  # of the one clip that travels 2 to 10 m
    for index, film in enumerate(films):
        sequence = film.sequence
        assert ((sequence.inputs_2d >= 0) & (sequence.inputs_2d <= (1920, 1080))).all()
        tilt = path_errors.degrees_between(film.up, np.array([0.0, -1.0, 0.0]))
        assert tilt <= 3.01 or index % 2 == 0
        assert 0.5 <= sequence.camera.translation[2] <= 2.6
        feet = cameras.camera_to_world(sequence.poses_3d, sequence.camera)[:, [3, 6], 2][film.standing]
        assert np.median(feet) == pytest.approx(0.082, abs=0.005)  # 0.1 legs of 0.82 m above the floor


def test_path_errors_match_values_by_hand():
    truth = np.stack([np.linspace(0, 2, 21), np.zeros(21), np.full(21, 4.0)], -1)
    errors = path_errors.of_path(truth * [1, 1, 1.1] + [0.3, 0, 0], truth)
    assert errors[path_errors.PATH] == pytest.approx(0.5)
    assert errors[path_errors.DEPTH] == pytest.approx(0.4)
    assert errors[path_errors.SIDEWAYS] == pytest.approx(0.3)
    assert errors[path_errors.RELATIVE] == pytest.approx(0)
    assert errors[path_errors.LENGTH] == pytest.approx(0)
    longer = path_errors.of_path(truth * [1.1, 1, 1], truth)
    assert longer[path_errors.LENGTH] == pytest.approx(10)
    assert longer[path_errors.FROM_START] == pytest.approx(0.1)
    assert longer[path_errors.RELATIVE] == pytest.approx(5)
    assert path_errors.of_path(truth * np.nan, truth) == {}
    joints = np.zeros((21, 17, 3)) + truth[:, None]
    standing = np.zeros((21, 2), bool)
    assert np.isnan(path_errors.sliding(joints, standing, np.arange(21) / 10))
    standing[3:9, 1] = True
    assert path_errors.sliding(joints, standing, np.arange(21) / 10) == pytest.approx(100)


def test_run_measures_networks_and_rejects_data_without_walks(monkeypatch, tiny_config, people):
    tiny_config.model.normalization = "turned"
    tiny_config.protocol.subjects_test = ("b", "tr")
    tiny_config.data.detections.simulate = True
    tiny_config.data.detections.sigma = 0.004
    network = KeypointLifter(make(tiny_config))
    monkeypatch.setattr(motion.lifter, "load", lambda name: network)
    monkeypatch.setattr(motion, "_CAMERAS", 2)
    figures = motion.run(data=str(people), networks=("one",))
    row = f"one, {motion.TRUE_POSES}"
    assert figures["one: clips and cameras"] == 2
    assert figures[f"{row}: {motion.SMOOTH}: {path_errors.PATH}"] < 0.25
    assert (
        figures[f"{row}: {motion.LOCKED}: {path_errors.SLIDING}"] < figures[f"{row}: {motion.BY_FRAME}: {path_errors.SLIDING}"]
    )
    assert figures[f"{row}: {path_errors.UP}"] < 5
    assert figures[f"{row}: {path_errors.FLOOR_UP_KNOWN}"] < 5
    paths, ground = motion.grids(figures)
    assert len(paths.rows) == 12
    assert len(ground.rows) == 3
    assert float(paths.rows[2][1]) == pytest.approx(figures[f"{row}: {motion.SMOOTH}: {path_errors.PATH}"], abs=0.006)
    tiny_config.protocol.subjects_test = ("c",)
    with pytest.raises(DataError, match="found no walk of 2 to 10 m of the test people c, expected at least one"):
        motion.run(data=str(people), networks=("one",))
