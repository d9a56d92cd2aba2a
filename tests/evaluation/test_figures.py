import dataclasses
import json

import matplotlib.image
import numpy as np
import pytest

from srnet_jax.evaluation import figures
from srnet_jax.evaluation.evaluate import Evaluation, load_test_set, measure


@pytest.fixture
def test(tiny_config):
    return load_test_set(tiny_config)


@pytest.fixture
def evaluations(test, tiny_config, tmp_path, rng):
    """Two networks with two seeds each, the second network with half the error; the first run has no record."""
    found = []
    for network, spread in (("fc", 0.1), ("sr", 0.05)):
        for seed in (0, 1):
            config = tiny_config.copy_and_resolve_references()
            config.model.network, config.seed = network, seed
            predicted = test.frames.truth + rng.normal(0, spread, test.frames.truth.shape).astype(np.float32)
            workdir = tmp_path / f"{network}{seed}"
            workdir.mkdir()
            if found:
                lines = [
                    {"step": 10 * epoch, "epoch": epoch, "train_mpjpe_mm": 200 / epoch, "validation_mpjpe_mm": 100 / epoch}
                    for epoch in (1, 2, 3)
                ]
                (workdir / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 40, "epo')
            results = {"step": 20, **measure(test, predicted, (20,))}
            found.append(Evaluation(workdir, config, results, predicted))
    return found


def words(figure):
    """Every text of a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]


def legends(figure):
    return [*figure.legends, *(axes.get_legend() for axes in figure.axes if axes.get_legend())]


def test_every_figure_is_written(test, evaluations, tmp_path):
    files = figures.draw_all(tmp_path, test, evaluations)
    assert [file.name for file in files] == [
        "training_curves.png",
        "error_by_rareness.png",
        "joint_errors.png",
        "best_and_worst.png",
        "qualitative.png",
    ]
    for file in files:
        height, width, _ = matplotlib.image.imread(file).shape
        assert 500 < height < 3000
        assert 500 < width < 3000


def test_a_run_alone(test, evaluations, tmp_path):
    files = figures.draw_all(tmp_path, test, evaluations[:1])
    assert "training_curves.png" not in [file.name for file in files]  # an imported checkpoint has no record
    assert len(files) == 4


def test_training_curves_show_what_was_recorded(evaluations):
    figure = figures.draw_training_curves(evaluations)
    (axes,) = figure.axes
    assert "mm" in axes.get_ylabel()
    assert axes.get_xlabel() == "epoch"
    lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 3]
    assert len(lines) == 6  # training and validation of the three runs that have a record
    np.testing.assert_allclose(sorted(line[0] for line in lines), [100, 100, 100, 200, 200, 200])
    assert [tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1] == [(2, 50)] * 3
    assert len(legends(figure)) == 1


def test_rareness_curves_are_those_of_the_results(evaluations):
    figure = figures.draw_error_by_rareness(evaluations)
    _, _, cumulative, interval = figure.axes
    for axes, kind in ((cumulative, "cumulative"), (interval, "interval")):
        drawn = [line.get_ydata() for line in axes.lines]
        for line, pair in zip(drawn, (evaluations[:2], evaluations[2:]), strict=True):
            expected = np.mean([e.results["rareness"][f"{kind}_mpjpe_mm"] for e in pair], 0)
            np.testing.assert_allclose(line, expected)
        assert "%" in axes.get_xlabel()
    assert "mm" in cumulative.get_ylabel()
    assert len(legends(figure)) == 1
    assert {"FC (2 seeds)", "SR (2 seeds)"} <= set(words(figure))


def test_joint_errors_are_means_over_seeds(test, evaluations):
    figure = figures.draw_joint_errors(test, evaluations)
    wrist = np.mean([e.results["joints"]["LWrist"]["mpjpe_mm"] for e in evaluations[:2]])
    assert f"{wrist:.0f}" in words(figure)
    assert "mean error of the joint (mm)" in words(figure)


def test_best_and_worst_are_the_best_and_the_worst(test, evaluations):
    figure = figures.draw_best_and_worst(test, evaluations[::2], count=2)
    errors = 1000 * np.linalg.norm(evaluations[2].predicted - test.frames.truth, axis=-1).mean(-1)
    assert {f"{errors.min():.0f} mm", f"{errors.max():.0f} mm"} <= set(words(figure))
    assert len(legends(figure)) == 1


def test_a_prediction_far_off_does_not_shrink_the_others(test, evaluations):
    wrong = evaluations[0].predicted.copy()
    wrong[:] += 100
    broken = dataclasses.replace(evaluations[0], predicted=wrong)
    figure = figures.draw_qualitative(test, [broken, evaluations[2]], count=2)
    widths = [np.ptp(axes.get_xlim()) for axes in figure.axes if np.ptp(axes.get_xlim()) < 50]
    assert max(widths) < 5


def test_qualitative_poses_go_from_usual_to_rare():
    commonness = np.array([0.5, 0.1, 0.9, 0.3, 0.7])
    np.testing.assert_array_equal(figures.choose_by_rarity(commonness, np.arange(5), 3), [2, 0, 1])
    np.testing.assert_array_equal(figures.choose_by_rarity(commonness, np.array([0, 1]), 6), [0, 1])


def test_poses_of_one_moment_are_shown_once(test):
    order = np.arange(len(test.commonness))
    chosen = figures.choose_apart(test, order, 6)
    sequences = [test.parts.test[test.frames.sequence_of[frame]] for frame in chosen]
    assert chosen[0] == 0
    assert len({(s.subject, s.action, s.trial) for s in sequences}) == len(chosen) == 6


@pytest.mark.parametrize(("text", "expected"), [("SR", "SR"), ("x" * 100, None), ("SR runs/a_long/name/of_a/folder_33", None)])
def test_long_names_are_broken_and_shortened(text, expected):
    lines = figures.fitted(text, 12, 2).splitlines()
    assert len(lines) <= 2
    assert max(map(len, lines)) <= 12
    assert expected in (None, lines[0])
