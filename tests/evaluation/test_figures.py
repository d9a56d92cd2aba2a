import dataclasses
import json
import struct
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_hex

from srnet_jax.evaluation import charts, figures
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.measure import measure
from srnet_jax.evaluation.test_set import load_test_set

_NAMES = ["training_curves.png", "error_by_rareness.png", "joint_errors.png", "best_and_worst.png", "qualitative.png"]


@pytest.fixture(scope="module")
def test_set(shared_config):
    return load_test_set(shared_config)


@pytest.fixture
def make_run(tiny_config, test_set, tmp_path, rng):
    """Return a function that makes a run with errors of about `scale_m` a joint, with or without a record of its training."""

    def make(network="sr", seed=0, scale_m=0.03, trained=True):
        config = tiny_config.copy_and_resolve_references()
        config.model.network, config.seed = network, seed
        workdir = tmp_path / f"{network}{seed}"
        workdir.mkdir()
        if trained:
            lines = [
                {"step": 5 * epoch, "epoch": epoch, "train_mpjpe_mm": 200 / epoch, "validation_mpjpe_mm": 180 / epoch}
                for epoch in (1, 2, 3)
            ]
            (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 20, "ep')
        truth = test_set.frames.truth
        curve, far = np.linspace(80, 40, 10) + seed, np.linspace(400, 300, 10)
        results = {
            "step": 10,
            "joints": {name: {"mpjpe_mm": 5.0 * joint} for joint, name in enumerate(test_set.skeleton.joints)},
            "rareness": {
                "percent": list(range(10, 101, 10)),
                **{f"{kind}_mpjpe_mm": curve.tolist() for kind in ("cumulative", "interval")},
                **{f"{kind}_mean_pose_mpjpe_mm": far.tolist() for kind in ("cumulative", "interval")},
            },
        }
        predicted = truth + rng.normal(0, scale_m, truth.shape).astype(np.float32)
        return Evaluation(workdir, config, results, predicted)

    return make


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def assert_finite(figure):
    for axes in figure.axes:
        for line in axes.lines:
            assert np.isfinite(np.asarray(line.get_xydata(), float)).all()
        for collection in axes.collections:
            assert all(np.isfinite(path.vertices).all() for path in collection.get_paths())


def test_every_figure_is_written(tmp_path, test_set, make_run):
    runs = [make_run("fc", 0), make_run("fc", 1), make_run("sr", 0), make_run("sr", 1)]
    written = figures.draw_all(tmp_path, test_set, runs)
    assert [path.name for path in written] == _NAMES
    for path in written:
        start = path.read_bytes()[:24]
        assert start.startswith(b"\x89PNG")
        width, height = struct.unpack(">II", start[16:])
        assert 400 < width < 2500
        assert 400 < height < 2500


def test_a_single_run_and_an_imported_one(tmp_path, test_set, make_run):
    imported = make_run(trained=False)
    written = figures.draw_all(tmp_path, test_set, [imported])
    assert [path.name for path in written] == _NAMES[1:]
    assert sorted(tmp_path.glob("*.png")) == sorted(written)
    for draw in (figures.draw_best_and_worst, figures.draw_qualitative):
        assert_finite(draw(test_set, [imported], count=1))
    figure = charts.draw_training_curves([make_run("fc"), imported])
    assert [text.get_text() for text in figure.legends[0].get_texts()][:2] == ["FC", "validation"]


def test_axes_have_units_and_figures_one_legend(test_set, make_run):
    runs = [make_run("fc", 0), make_run("sr", 0), make_run("sr", 1)]
    training = charts.draw_training_curves(runs)
    assert (training.axes[0].get_xlabel(), training.axes[0].get_ylabel()) == ("epoch", "MPJPE (mm, logarithmic)")
    rareness = charts.draw_error_by_rareness(runs)
    assert all("(%)" in axes.get_xlabel() for axes in rareness.axes[2:])
    assert all("(mm)" in axes.get_ylabel() for axes in rareness.axes[::2])
    joints = charts.draw_joint_errors(test_set, runs)
    assert "(mm)" in joints.axes[-1].get_ylabel()
    extremes, poses = figures.draw_best_and_worst(test_set, runs), figures.draw_qualitative(test_set, runs)
    for figure in (extremes, poses):
        assert any(text.endswith(" m wide") for text in texts(figure))
        assert "input (px)" in texts(figure)
        assert sum(text.endswith(" mm") for text in texts(figure)) >= 12  # one for each pose of each of the two runs
    for figure in (training, rareness, extremes, poses):
        assert len(figure.legends) == 1
    for figure in (training, rareness, joints, extremes, poses):
        assert_finite(figure)


def test_training_curves_share_the_colour_of_seeds_and_mark_the_checkpoint(make_run):
    lines = charts.draw_training_curves([make_run("fc", 0), make_run("sr", 0), make_run("sr", 1)]).axes[0].lines
    assert [to_hex(line.get_color()) for line in lines[::3]] == ["#117733", "#aa4499", "#aa4499"]
    assert lines[0].get_ydata().tolist() == [200, 100, 200 / 3]  # the half-written line is left out
    assert lines[2].get_xydata().tolist() == [[2, 90]]


def test_rareness_shows_mean_and_deviation_over_seeds(make_run):
    figure = charts.draw_error_by_rareness([make_run("sr", 0), make_run("sr", 1)])
    above, below = figure.axes[1], figure.axes[3]
    np.testing.assert_allclose(below.lines[0].get_xdata(), np.arange(5, 100, 10))
    np.testing.assert_allclose(below.lines[0].get_ydata(), np.linspace(80, 40, 10) + 0.5)
    band = below.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(80.5 + np.std([80, 81], ddof=1))
    assert below.get_ylim()[1] < 100  # the scale of the mean pose does not flatten the curves of the runs
    np.testing.assert_allclose(above.lines[0].get_ydata(), np.linspace(400, 300, 10))


def test_joint_errors_show_every_number_on_a_shared_scale(test_set, make_run):
    worse = make_run("fc")
    for row in worse.results["joints"].values():
        row["mpjpe_mm"] *= 2
    figure = charts.draw_joint_errors(test_set, [worse, make_run("sr")])
    first, second = (axes.collections[1] for axes in figure.axes[:2])
    assert (first.norm.vmin, first.norm.vmax) == (second.norm.vmin, second.norm.vmax) == (0, 160)
    assert {f"{10 * joint}" for joint in range(17)} <= set(texts(figure))
    assert {"left", "right"} <= set(texts(figure))


def test_figures_take_the_results_as_measured(test_set, make_run):
    runs = [make_run("fc", 0), make_run("fc", 1), make_run("sr", 0)]
    runs = [dataclasses.replace(run, results={"step": 10, **measure(test_set, run.predicted, (20,))}) for run in runs]
    rareness = charts.draw_error_by_rareness(runs)
    for axes, kind in zip(rareness.axes[2:], ("cumulative", "interval"), strict=True):
        curves = [run.results["rareness"][f"{kind}_mpjpe_mm"] for run in runs]
        np.testing.assert_allclose(axes.lines[0].get_ydata(), np.mean(curves[:2], 0))
        np.testing.assert_allclose(axes.lines[1].get_ydata(), curves[2])
    wrist = np.mean([run.results["joints"]["LWrist"]["mpjpe_mm"] for run in runs[:2]])
    assert f"{wrist:.0f}" in texts(charts.draw_joint_errors(test_set, runs))


def small_test_set(lengths, cameras=2):
    """Return recordings of the given lengths, each seen by several cameras, one behind the other."""
    every = np.repeat(lengths, cameras)
    test = [SimpleNamespace(subject="a", action="walk", trial=str(n)) for n in range(len(lengths)) for _ in range(cameras)]
    starts = np.cumsum(every) - every
    frames = SimpleNamespace(sequence_of=np.repeat(np.arange(len(every)), every), starts=starts, lengths=every)
    return SimpleNamespace(parts=SimpleNamespace(test=test), frames=frames)


def test_chosen_poses_are_apart():
    test = small_test_set([10, 10])  # the first recording's cameras have frames 0 to 9 and 10 to 19, the second's 20 to 39
    order = np.array([3, 13, 4, 2, 5, 27, 37, 36, 0, 19, 20])
    # two of 20 moments are at least five apart; frame 13 is moment 3 of the other camera
    assert figures.choose_apart(test, order, 2).tolist() == [3, 27]
    # four are at least two apart
    assert figures.choose_apart(test, order, 4).tolist() == [3, 5, 27, 0]
    assert figures.choose_apart(test, order[:4], 4).tolist() == [3]
    assert len(set(figures.choose_apart(test, np.arange(40), 10).tolist())) == 10


def test_poses_of_one_recording_are_shown_once(test_set):
    chosen = figures.choose_apart(test_set, np.arange(len(test_set.commonness)), 6)
    sequences = [test_set.parts.test[test_set.frames.sequence_of[frame]] for frame in chosen]
    assert chosen[0] == 0
    assert len({(s.subject, s.action, s.trial) for s in sequences}) == len(chosen) == 6


def test_best_and_worst_are_those_of_the_last_run(test_set, make_run):
    runs = [make_run("fc"), make_run("sr")]
    figure = figures.draw_best_and_worst(test_set, runs, count=3)
    error = 1000 * np.linalg.norm(runs[-1].predicted - test_set.frames.truth, axis=-1).mean(-1)
    found = [float(axes.get_xlabel().removesuffix(" mm")) for axes in figure.axes if axes.get_xlabel().endswith(" mm")][1::2]
    assert found[0] == round(float(error.min()))
    assert found[3] == round(float(error.max()))
    assert found[:3] == sorted(found[:3])
    assert found[3:] == sorted(found[3:], reverse=True)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert len(set(titles)) == 6
    worst = test_set.frames.sequence_of[error.argmax()]
    assert titles[3].startswith(test_set.parts.test[worst].action)


def test_poses_by_rarity():
    commonness = np.random.default_rng(0).permutation(101).astype(float)
    chosen = figures.choose_by_rarity(commonness, np.arange(101), 3)
    assert commonness[chosen].tolist() == [99, 50, 1]
    counted = np.flatnonzero(commonness < 11)
    assert commonness[figures.choose_by_rarity(commonness, counted, 3)].tolist() == [10, 5, 0]
    assert len(figures.choose_by_rarity(commonness, counted[:2], 6)) == 2


def test_large_people_fit_the_box_and_wild_predictions_are_said_to_be_cut(test_set, make_run):
    frames = test_set.frames
    large = dataclasses.replace(test_set, frames=dataclasses.replace(frames, targets=2 * frames.targets))
    run = make_run()
    run = dataclasses.replace(run, predicted=2 * run.predicted)
    for axes in figures.draw_qualitative(large, [run], count=2).axes:
        for bones in axes.collections:
            points = np.concatenate(bones.get_segments())
            for values, limits in zip(points.T, (axes.get_xlim(), axes.get_ylim()), strict=True):
                assert min(limits) < values.min() < values.max() < max(limits)
    wild = dataclasses.replace(run, predicted=5 * run.predicted)
    half = [abs(np.diff(figures.draw_qualitative(large, [r], count=2).axes[2].get_xlim())[0]) for r in (run, wild)]
    assert half[1] <= half[0]
    assert any("(cut off)" in text for text in texts(figures.draw_qualitative(large, [wild], count=2)))


@pytest.mark.parametrize(
    ("text", "width", "lines", "expected"),
    [
        ("SR", 20, 3, "SR"),
        ("SR runs/quickstart/seed0", 14, 3, "SR runs/\nquickstart/\nseed0"),
        ("elbowToKnee1RepsLelbowStart", 20, 2, "elbowToKnee1Reps\nLelbowStart"),
        ("abcdefghij", 4, 3, "abcd\nefgh\nij"),
        ("SR /a/long/path/to/the/runs/one", 16, 1, "SR /a…o/runs/one"),
    ],
)
def test_texts_are_fitted(text, width, lines, expected):
    found = charts.fitted(text, width, lines)
    assert all(len(line) <= width for line in found.split("\n"))
    if expected.count("…") == 0:
        assert found == expected
    else:
        assert found.endswith("/one")
        assert "…" in found


def test_names_are_not_read_as_formulas(tmp_path, test_set, make_run):
    runs = [make_run("sr", 0), make_run("fc", 0)]
    changed = runs[1].config.copy_and_resolve_references()
    changed.model.network, changed.model.channels = "sr", 80
    runs[1] = dataclasses.replace(runs[1], config=changed, workdir=tmp_path / r"$\frac$ $x_1$")
    assert charts.to_png(charts.draw_joint_errors(test_set, runs)).startswith(b"\x89PNG")
    assert any("$x_1$" in text.replace("\n", "") for text in texts(charts.draw_error_by_rareness(runs)))
