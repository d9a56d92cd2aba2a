"""Test the benchmark `filters`: its rows, its two halves of clips, and the figures of a perfect lifter."""

import json

import numpy as np
import pytest

from srnet_jax.benchmarks import filters, views
from srnet_jax.data.mocap import clip_files
from srnet_jax.errors import DataError
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.pose.skeleton import RATIOS
from tests.lifting.test_lifter import make


@pytest.fixture
def people(tmp_path):
    walk = views.standing_person() + np.linspace(0, 1, 12)[:, None, None] * [1.0, 0, 0]
    clips = {f"{subject}/walk/{clip}": walk.astype(np.float32) for subject in ("a", "b") for clip in range(3)}
    clip_files.save(tmp_path / "people.npz", clips, fps=30.0)
    return tmp_path / "people.npz"


def test_run_measures_filters_and_they_keep_perfect_poses(monkeypatch, tiny_config, people):
    tiny_config.model.normalization = "turned"
    tiny_config.protocol.subjects_test = ("b",)
    lifter = KeypointLifter(make(tiny_config))
    monkeypatch.setattr(filters.lifter, "load", lambda name: lifter)
    monkeypatch.setattr(filters, "_p_mpjpe", lambda made, truth: np.zeros(len(made)))  # takes seconds to compile
    monkeypatch.setattr(filters.views, "lift", lambda network, points, fps: perfect)
    clips, _ = views.load_clips(people, ("b",), 300)
    rng = np.random.default_rng(0)
    perfect = [views.film_randomly(one, np.random.default_rng([2, index])).poses_3d for index, one in enumerate(clips)]
    perfect = [one - one[:, :1] for one in perfect]
    for row, made in filters._apply_filters(perfect, perfect, 30.0, False).items():
        if row not in ("stature", "all with stature"):
            np.testing.assert_allclose(made, perfect, atol=1e-5)
    noisy = [one + rng.normal(size=one.shape) * 0.02 * (np.arange(17) > 0)[:, None] for one in perfect]
    perfect[:] = noisy
    figures = filters.run(data=str(people), networks=("one",))
    json.dumps(figures, allow_nan=False)
    assert figures[f"one: smoothing: {filters.ACCELERATION}"] < 0.5 * figures[f"one: raw: {filters.ACCELERATION}"]
    assert (
        figures[f"one: constant bones: {filters.DISPLACEMENT}"]
        < figures[f"one: constant bones, along the tree: {filters.DISPLACEMENT}"]
    )
    expected = 1000 * np.linalg.norm(noisy[1] - filters_truth(people)[1], axis=-1).mean()
    assert figures[f"one: raw: {filters.MPJPE}"] == pytest.approx(expected, abs=1e-3)
    table, moved, wrong, others, _ = filters.grids(figures)
    assert [row[0] for row in wrong.rows] == ["truth", "raw"]
    assert table.rows[0][0] == "truth"
    assert table.rows[1][1] == f"{expected:.1f}"
    assert [row[0] for row in moved.rows][:2] == ["constant bones", "constant bones, along the tree"]
    assert len(others.rows) >= 1 + len(filters.CUTOFFS_HZ)


def filters_truth(people):
    clips, _ = views.load_clips(people, ("b",), 300)
    seen = [views.film_randomly(one, np.random.default_rng([2, index])).poses_3d for index, one in enumerate(clips)]
    return [one - one[:, :1] for one in seen]


def test_the_true_length_of_the_legs_restores_the_size_of_shrunk_poses():
    truth = [views.standing_person()[None].repeat(5, 0)] * 2
    shrunk = [one * 0.9 for one in truth]
    made = filters._apply_filters(shrunk, truth, 30.0, False)["length of the legs"]
    np.testing.assert_allclose(made, truth, atol=1e-6)
    assert views._STATURE_M * (RATIOS["thigh"] + RATIOS["shank"]) == pytest.approx(
        filters.bones.bone_lengths(truth[0])[[2, 3]].sum(), abs=1e-9
    )


def test_a_single_clip_is_rejected(monkeypatch, tiny_config, tmp_path):
    tiny_config.protocol.subjects_test = ("b",)
    monkeypatch.setattr(filters.lifter, "load", lambda name: KeypointLifter(make(tiny_config)))
    clip_files.save(tmp_path / "one.npz", {"b/walk/1": views.standing_person()[None].repeat(8, 0).astype(np.float32)}, fps=30.0)
    with pytest.raises(DataError, match="found one clip of the test subjects, expected two or more"):
        filters.run(data=str(tmp_path / "one.npz"), networks=("one",))
