import csv
import dataclasses
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from srnet_jax.config import config_files, schema
from srnet_jax.data.windows import stack_frames
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.evaluation import tables
from srnet_jax.evaluation.evaluate import (
    changed,
    differing_test_fields,
    evaluate,
    evaluate_checkpoints,
    group_seeds,
    runs_with_checkpoint,
    to_csv,
)
from srnet_jax.evaluation.measure import measure, rows
from srnet_jax.evaluation.test_set import load_test_set, with_own_training
from srnet_jax.lifting.lifter import load_trained
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.models.predict import num_rows, piece_length, predict
from srnet_jax.official.networks import zero_variables
from srnet_jax.pose import rarity
from srnet_jax.pose.frames import Frames
from srnet_jax.pose.normalization import View, mirror
from srnet_jax.pose.skeleton import H36M_17, Mirrored
from srnet_jax.training.loop import train_and_evaluate, train_members


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(
    ("model_fields", "lengths"),
    [
        ({"filter_widths": (1, 1)}, (70, 3, 1, 140)),
        ({"filter_widths": (3, 3)}, (70, 3, 1, 140)),
        ({"filter_widths": (3, 3), "causal": True}, (70, 3, 1, 140)),
        pytest.param(
            {"network": "sr", "num_groups": 2, "filter_widths": (3, 3), "recombine": "concat", "bug_compatible": True},
            (150, 3),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_prediction_agrees_with_whole_padded_sequences(rng, tiny_config, model_fields, lengths, flip):
    tiny_config.model.update(model_fields)
    model = create_model(tiny_config.model)
    field, causal = model.receptive_field, model.causal
    variables = jax.tree.map(lambda leaf: rng.uniform(0.1, 1, leaf.shape).astype(leaf.dtype), zero_variables(model))
    lengths = np.array(lengths)
    total = lengths.sum()
    frames = Frames(
        inputs_2d=rng.normal(size=(total, 17, 2)).astype(np.float32),
        targets=np.zeros((total, 17, 3), np.float32),
        views=View.unknown(total),
        starts=np.cumsum(lengths) - lengths,
        lengths=lengths,
    )
    mirrored = H36M_17.mirrored
    found = predict(model, variables, frames, mirrored=Mirrored(mirrored, mirrored) if flip else None, batch_frames=100)
    before = field - 1 if causal else field // 2
    for start, length in zip(frames.starts, lengths, strict=True):
        x = np.pad(frames.inputs_2d[start : start + length], ((before, field - 1 - before), (0, 0), (0, 0)), mode="edge")[None]
        expected = model.apply(variables, x)
        if flip:
            expected = (expected + mirror(model.apply(variables, mirror(x, mirrored)), mirrored)) / 2
        np.testing.assert_allclose(found[start : start + length], expected[0], atol=3e-6 * np.abs(expected).max())


def program(lengths, field, batch_frames):
    """Return the length and the number of the pieces of a device call, and how many frames the network reads in all calls."""
    length = piece_length(np.array(lengths), field, batch_frames)
    pieces = sum(-(-frames // length) for frames in lengths)
    rows = num_rows(pieces, length, batch_frames)
    assert rows * length <= batch_frames
    return length, rows, -(-pieces // rows) * rows * (length + field - 1)


@pytest.mark.parametrize(
    ("lengths", "field", "batch_frames", "limit"),
    [((2000, 4000, 6000), 243, 4096, 1.3), ((300,) * 2000, 243, 4096, 1.9), ((5000,), 27, 512, 1.1)],
)
def test_pieces_waste_little(lengths, field, batch_frames, limit):
    assert program(lengths, field, batch_frames)[-1] <= limit * sum(lengths)


@pytest.mark.parametrize(("lengths", "field", "limit"), [((300,) * 20, 243, 3.1), ((200,) * 5, 81, 2.7), ((5, 7), 9, 12.0)])
def test_small_sets_share_compiled_networks_and_waste_less_than_compiling_costs(lengths, field, limit):
    length, rows, seen = program(lengths, field, 4096)
    assert {length.bit_count(), rows.bit_count()} == {1}  # powers of two
    assert seen <= limit * sum(lengths)


@pytest.mark.parametrize("field", [9, 81, 243])
def test_videos_of_all_lengths_share_seven_compiled_networks(field):
    lengths = range(1, 20_000, 7)
    found = {length: program([length], field, 4096) for length in lengths}
    assert {(length, rows) for length, rows, _ in found.values()} == {(2**power, 1) for power in range(6, 13)}
    assert all(seen <= 2 * (max(length, 64) + field - 1) for length, (*_, seen) in found.items())


@pytest.mark.parametrize(("batch_frames", "length"), [(100, 64), (30, 16), (1, 1)])
def test_pieces_are_at_most_a_batch(batch_frames, length):
    assert piece_length(np.array([5, 7]), 9, batch_frames) == length


def test_single_frames_need_no_pieces():
    assert piece_length(np.array([70, 3]), 1, 100) == 1


def test_averages_and_rare_subsets_by_hand(tiny_config, rng):
    test = load_test_set(tiny_config)
    target = test.frames.targets
    predicted = target + rng.normal(0, 0.1, target.shape).astype(np.float32)
    results = measure(test, predicted, (20, 10))
    errors = 1000 * np.linalg.norm(predicted - target, axis=-1).mean(-1)
    by_action = {action: errors[test.actions == action] for action in np.unique(test.actions)}
    assert results["average_over_frames"]["mpjpe_mm"] == pytest.approx(errors.mean(), rel=1e-5)
    assert results["average_over_actions"]["mpjpe_mm"] == pytest.approx(
        np.mean([e.mean() for e in by_action.values()]), rel=1e-5
    )
    for action, values in by_action.items():
        assert results["actions"][action]["mpjpe_mm"] == pytest.approx(values.mean(), rel=1e-5)
        assert results["actions"][action]["frames"] == len(values)
    rare = rarity.rarest(test.commonness, 10)
    assert results["rare"]["10"]["mpjpe_mm"] == pytest.approx(errors[rare].mean(), rel=1e-5)
    assert results["rare"]["20"]["frames"] == round(0.2 * len(errors))
    constant = 1000 * np.linalg.norm(test.mean_pose - target, axis=-1).mean(-1)
    assert results["average_over_frames"]["mean_pose_mpjpe_mm"] == pytest.approx(constant.mean(), rel=1e-5)


def with_scenes(test):
    """The test set with its frames cut into four sequences, the last of one frame, of two scenes."""
    inputs, poses = (np.concatenate([getattr(s, name) for s in test.parts.test]) for name in ("inputs_2d", "poses_3d"))
    pieces = [(0, 5, "field"), (5, 17, "field"), (17, 29, "studio"), (29, 30, "studio")]
    sequences = tuple(
        dataclasses.replace(test.parts.test[0], inputs_2d=inputs[a:b], poses_3d=poses[a:b], scene=scene)
        for a, b, scene in pieces
    )
    frames = stack_frames(sequences, "basic")
    return dataclasses.replace(
        test,
        frames=frames,
        actions=np.array(["walk"] * 17 + ["sit"] * 12 + ["jump"]),
        scenes=np.array(["field"] * 17 + ["studio"] * 13),
        commonness=np.linspace(1, 0, 30),
        subsets={"some": np.array([2, 29])},
        counted=np.arange(30),
    )


def test_velocity_joints_scenes_and_rareness_by_hand(tiny_config, rng):
    test = with_scenes(load_test_set(tiny_config))
    target = test.frames.truth
    predicted = target + rng.normal(0, 0.1, target.shape).astype(np.float32)
    results = measure(test, predicted, (20,))
    offsets = 1000 * (predicted - target).astype(np.float64)
    moved = np.linalg.norm(np.diff(offsets, axis=0), axis=-1).mean(-1)  # from frame i to i + 1
    of_walk = np.delete(moved[:16], 4)  # without the step from the first sequence to the second
    assert results["actions"]["walk"]["mpjve_mm"] == pytest.approx(of_walk.mean(), rel=1e-5)
    assert results["actions"]["jump"]["mpjve_mm"] is None
    both = np.mean([of_walk.mean(), moved[17:28].mean()])
    assert results["average_over_actions"]["mpjve_mm"] == pytest.approx(both, rel=1e-5)
    errors = np.linalg.norm(offsets, axis=-1)
    assert results["joints"]["LWrist"]["mpjpe_mm"] == pytest.approx(errors[:, 13].mean(), rel=1e-5)
    within = (errors[17:] < 150).mean()
    assert results["scenes"]["studio"]["pck_17_percent"] == pytest.approx(100 * within)
    assert results["scenes"]["studio"]["frames"] == 13
    by_rareness = errors.mean(-1)[::-1]
    curves = results["rareness"]
    assert curves["percent"] == list(range(10, 101, 10))
    np.testing.assert_allclose(curves["interval_mpjpe_mm"], by_rareness.reshape(10, 3).mean(1), rtol=1e-5)
    assert curves["cumulative_mpjpe_mm"][1] == pytest.approx(by_rareness[:6].mean(), rel=1e-5)
    assert curves["cumulative_mpjpe_mm"][-1] == pytest.approx(results["average_over_frames"]["mpjpe_mm"])
    assert [(row.kind, row.name, row.label) for row in rows(results)[-3:]] == [
        ("subset", "some", "some"),
        ("scene", "field", "scene: field"),
        ("scene", "studio", "scene: studio"),
    ]


def test_scenes_have_a_table(runs, tiny_config, rng):
    (evaluation,), _ = evaluate(runs[2:])
    test = with_scenes(load_test_set(tiny_config))
    measured = measure(test, test.frames.truth + rng.normal(0, 0.1, test.frames.truth.shape).astype(np.float32), (20,))
    by_action, _, by_scene = tables.comparison([dataclasses.replace(evaluation, results=evaluation.results | measured)])
    assert [row[0] for row in by_action.rows] == [
        *("walk", "sit", "jump", "average over actions", "average over frames", "rarest 20 %", "some"),
    ]
    assert by_action.sections == {3, 5, 6}
    assert [row[:2] for row in by_scene.rows] == [("field", "17"), ("studio", "13"), ("average over frames", "30")]
    assert by_scene.header[2] == "FC\nPCK 150 mm, 14 joints, %"
    assert by_scene.rows[1][-1] == f"{measured['scenes']['studio']['mpjpe_mm']:.1f}"


def test_perfect_predictions_have_no_error(tiny_config):
    tiny_config.protocol.rare_reference = "test"
    test = load_test_set(tiny_config)
    assert measure(test, test.frames.targets, (5,))["rare"]["5"]["mpjpe_mm"] == 0


@pytest.fixture(scope="module")
def runs(shared_config, tmp_path_factory):
    """The workdirs of GP with two seeds and of FC."""
    folder = tmp_path_factory.mktemp("runs")
    shared_config.train.epochs, shared_config.model.network = 1, "gp"
    seeds = shared_config.copy_and_resolve_references()
    seeds.ensemble.seeds = (0, 1)
    train_members(seeds, folder / "gp")
    shared_config.model.network = "fc"
    train_and_evaluate(shared_config, folder / "fc")
    return [folder / "gp" / "seed_0", folder / "gp" / "seed_1", folder / "fc"]


def test_runs_side_by_side(runs, tmp_path):
    from rich.console import Console

    evaluations, tests = evaluate(runs)
    assert all(test is tests[0] for test in tests)
    written = json.loads((runs[0] / "results.json").read_text())
    assert written == evaluations[0].results
    assert written["network"] == "gp"
    assert written["config_hash"] == schema.fingerprint(config_files.load(runs[0]))
    assert written["counts"]["test"]["frames"] == len(tests[0].frames.targets) == written["counts"]["counted"]["frames"]
    assert len(group_seeds([evaluations[0], evaluations[0]])) == 2  # the same run twice does not count as two seeds
    assert [(group.name, len(group.runs)) for group in group_seeds(evaluations)] == [("GP", 2), ("FC", 1)]
    console = Console(width=200, record=True, file=io.StringIO())
    grids = tables.comparison(evaluations)
    assert [grid.title.split(":")[0] for grid in grids] == ["Errors in mm", "Every metric, average over actions"]
    for grid in grids:
        console.print(tables.to_rich(grid))
    text = console.export_text()
    pair = [e.results["average_over_actions"]["mpjpe_mm"] for e in evaluations[:2]]
    assert f"{np.mean(pair):.1f} ± {np.std(pair, ddof=1):.1f}" in text
    assert f"{evaluations[2].results['rare']['10']['mpjpe_mm']:.1f}" in text
    assert "held-out training recordings" in " ".join(text.split())
    lines = tables.to_markdown(grids[0]).splitlines()
    assert lines[2].count("|") == lines[3].count("|") == lines[4].count("|") == 8
    assert lines[2].startswith("| action | frames | mean pose MPJPE | GP MPJPE 2 seeds | FC MPJPE |")


def test_the_protocol_can_change_after_training(runs):
    changes = {"protocol.name": "rare_pose", "protocol.rare_percents": (30,), "protocol.validation": "test"}
    (evaluation,), (test,) = evaluate(runs[:1], changes=changes)
    assert evaluation.results["labels"] == [
        "checkpoint chosen on held-out training recordings",
        "only the rarest 30 % of the test poses are counted",
        "virtual cameras: all 210 motions stay in the image",
    ]
    assert evaluation.results["counts"]["counted"]["frames"] == round(0.3 * len(test.commonness))
    assert evaluation.results["changed"] == changes
    assert config_files.load(runs[0]).protocol.name == "subject"
    assert "Evaluated with protocol.name=rare_pose" in "".join(tables.notes([evaluation]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.channels": 50}, r"config\.model\.channels: cannot change after training"),
        ({"protocol.name": "nothing"}, r"config\.protocol\.name: 'nothing' is not allowed, expected one of subject"),
        ({"protocol.subjects_test": ("S12",)}, r"'S12' is not in .*, which has S1, S5"),
        (
            {"protocol.name": "cross_action", "protocol.actions_train": ("Swimming",)},
            r"config\.protocol\.actions_train: 'Swimming' is not in .*, which has Directions, ",
        ),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(runs, changes, message):
    with pytest.raises(ConfigError, match=message) as error:
        evaluate(runs[:1], changes=changes)
    assert "\n" not in str(error.value)


def test_changes_leave_the_config_alone(tiny_config):
    copy = changed(tiny_config, {"data.path": "elsewhere"})
    assert (copy.data.path, tiny_config.data.path) == ("elsewhere", "")


def test_csv_holds_every_row(runs):
    evaluations, _ = evaluate(runs[:1], "latest")
    results = evaluations[0].results
    table = list(csv.DictReader(io.StringIO(to_csv(evaluations))))
    rows = [row["row"] for row in table]
    first = rows.index("average over actions")
    assert rows[first : first + 5] == [
        "average over actions",
        "average over frames",
        "rarest 20 %",
        "rarest 10 %",
        "common half",
    ]
    assert rows[first + 4 :] == list(results["subsets"])
    assert float(table[0]["p_mpjpe_mm"]) == pytest.approx(results["actions"][table[0]["row"]]["p_mpjpe_mm"])


def test_bad_workdirs_are_named(tmp_path, runs):
    with pytest.raises(ConfigError, match=r"config\.json: no such file, expected the workdir of a training run"):
        evaluate([tmp_path / "nothing"])
    with pytest.raises(UserError, match="no checkpoint '3'"):
        evaluate(runs[:1], "3")
    with pytest.raises(ConfigError, match=r": found an ensemble \(ensemble\.json\), expected the workdir of one of its runs"):
        evaluate([runs[0].parent])
    with pytest.raises(ConfigError, match=r": found an ensemble"):
        load_trained(runs[0].parent)


@pytest.mark.parametrize(
    ("number", "change", "said"),
    [
        ("validation_frames", 1, "{1:,} validation frames, here {0:,}"),
        ("means", 0.01, "as many validation frames, but other values"),
    ],
)
def test_a_run_of_other_data_says_so(tmp_path, runs, number, change, said):
    run = shutil.copytree(runs[2], tmp_path / "fc")
    ((evaluation, _),) = evaluate_checkpoints([(run, "best")])
    assert not any("OTHER data" in label for label in evaluation.results["labels"])
    data = json.loads((run / "data.json").read_text())
    frames = data["validation_frames"]
    data[number] = [mean + change for mean in data["means"]] if number == "means" else data[number] + change
    (run / "data.json").write_text(json.dumps(data))
    ((evaluation, _),) = evaluate_checkpoints([(run, "best")])
    assert f"trained on OTHER data: {said.format(frames, frames + 1)}" in evaluation.results["labels"]


def test_runs_of_an_earlier_ensemble_are_named(tmp_path, runs):
    ensemble = shutil.copytree(runs[0].parent, tmp_path / "gp")
    config = config_files.load(ensemble, config_files.ENSEMBLE_FILE)
    config.ensemble.seeds = (1,)
    config_files.save(config, ensemble, config_files.ENSEMBLE_FILE)
    with pytest.warns(UserWarning, match=r"gp: seed_0 left out, because the latest training of this ensemble was without"):
        assert runs_with_checkpoint(ensemble, "best") == [ensemble / "seed_1"]


def test_members_without_the_checkpoint_are_left_out(tmp_path, runs):
    ensemble = shutil.copytree(runs[0].parent, tmp_path / "gp")
    assert runs_with_checkpoint(ensemble, "best") == [ensemble / "seed_0", ensemble / "seed_1"]
    for file in (ensemble / "seed_1" / "checkpoints").iterdir():
        shutil.rmtree(file)
    left_out = r"seed_1/checkpoints: no checkpoint 'best', expected a run that .*; this run is left out"
    with pytest.warns(UserWarning, match=left_out):
        assert runs_with_checkpoint(ensemble, "best") == [ensemble / "seed_0"]
    with (
        pytest.warns(UserWarning, match="no checkpoint '3', expected"),
        pytest.raises(UserError, match=r"gp: none of its 2 runs has the checkpoint '3'"),
    ):
        runs_with_checkpoint(ensemble, "3")
    assert runs_with_checkpoint(runs[2], "3") == [runs[2]]


def test_an_output_that_cannot_be_made_is_refused_first(runs):
    written = runs[2] / "results.json"
    written.unlink(missing_ok=True)
    command = [sys.executable, "-m", "launch.evaluate", f"--workdir={runs[2]}", "--output=/dev/null/x"]
    done = subprocess.run(command, cwd=Path(__file__).parent.parent.parent, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "error: /dev/null/x: Not a directory\n")
    assert not written.exists()


def test_labels_and_counts_are_those_of_the_training(tiny_config):
    trained = load_test_set(tiny_config)

    def with_changes(changes):
        config = changed(tiny_config, changes)
        return with_own_training(load_test_set(config), config, tiny_config)

    for changes in (
        {"protocol.validation": "test"},
        {"protocol.name": "cross_action", "protocol.actions_train": ("Walking",)},
    ):
        parts = with_changes(changes).parts
        assert [s.action for s in parts.train] == [s.action for s in trained.parts.train]
        assert parts.labels == trained.parts.labels
        assert parts.labels[0] == "checkpoint chosen on held-out training recordings"
    test = with_changes({"protocol.subjects_train": ("S9",), "protocol.subjects_test": ("S1",)})
    [label] = [label for label in test.parts.labels if "TRAINED on" in label]
    assert 0 < int(label.split()[2]) <= min(len(trained.parts.train), len(test.parts.test))
    np.testing.assert_array_equal(test.mean_pose, trained.mean_pose)


def test_runs_with_other_test_sets_are_told_apart(runs, tmp_path):
    copies = []
    for name, value in (("validation", "test"), ("subjects_test", ("S9",))):
        config = config_files.load(runs[0])
        config.protocol[name] = value
        copies.append(tmp_path / name)
        copies[-1].mkdir()
        config_files.save(config, copies[-1])
    reference = {"protocol.rare_reference": "test"}
    assert differing_test_fields([runs[0], copies[0]], reference) == []
    assert differing_test_fields([runs[0], copies[1]], reference) == ["config.protocol.subjects_test"]
    assert differing_test_fields([runs[0], copies[0]], {}) == [
        "config.protocol.validation"
    ]  # it changes the reference set of the ranking


def test_predictions_that_are_no_numbers_are_refused(runs, monkeypatch):
    import sys

    broken = np.full((45, 17, 3), np.nan, np.float32)
    monkeypatch.setattr(sys.modules["srnet_jax.evaluation.evaluate"], "predict", lambda *_, **__: broken)
    with pytest.raises(UserError, match=r"checkpoint \d+ predicts infinity or NaN in 45 of 45 frames"):
        evaluate(runs[:1])


def test_a_forgotten_test_set_and_another_skeleton_are_named(runs, tmp_path):
    with pytest.raises(ConfigError, match=r"config\.test_data: not set, expected the data that cross_dataset tests on"):
        evaluate(runs[:1], changes={"protocol.name": "cross_dataset"})
    config = config_files.load(runs[0])
    config.model.num_groups = 3  # not the groups of joints of the checkpoint
    other = tmp_path / "other"
    shutil.copytree(runs[0], other)
    config_files.save(config, other)
    with pytest.raises(UserError, match=r"checkpoints/\d+: .*shape") as error:
        evaluate([other])
    assert "\n" not in str(error.value)


def test_names_are_no_markup_and_numbers_are_not_cut():
    from rich.console import Console

    grid = tables.Grid("of [/x] and [seed0]", ("[b]run", *["MPJPE"] * 12), (("[/a]", *["1234.5"] * 12),), notes=("[/n]",))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(tables.to_rich(grid), width=200, crop=False)
    text = console.export_text()
    assert all(name in text for name in ("[/x] and [seed0]", "[b]run", "[/a]", "[/n]"))
    assert text.count("1234.5") == 12
