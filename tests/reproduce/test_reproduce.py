"""Test the paper's tables: which runs they train, which they reuse, and what they print."""

import csv
import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.config import schema
from srnet_jax.config.ensembles import members
from srnet_jax.config.schema import fingerprint
from srnet_jax.errors import ConfigError, TrainingError, UserError
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.tables import to_markdown
from srnet_jax.models.pose_lifter import count_parameters, create_model, variable_shapes
from srnet_jax.reproduce import listing, make, report, runner, settings
from srnet_jax.reproduce import results as results_lib
from srnet_jax.reproduce.experiment import Column, Experiment, Row
from srnet_jax.reproduce.experiments import EXPERIMENTS
from srnet_jax.reproduce.paper_numbers import ACTIONS, AVERAGE

ROOT = Path(__file__).parent.parent.parent
TINY = {"model.channels": 40, "model.filter_widths": (1,)}
ONE_DEVICE = {"num_devices": 1}  # compiles fastest; the tests have eight


@pytest.mark.parametrize("name", EXPERIMENTS)
@pytest.mark.parametrize("data", settings.DATA)
def test_every_row_has_a_network_at_every_scale(name, data):
    for scale in settings.SCALES:
        found = settings.configs(EXPERIMENTS[name], data, scale, 2, {})
        assert list(found) == [row.name for row in EXPERIMENTS[name].rows]
        for config in found.values():
            create_model(config.model)
            assert len(members(config)) == 2


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_rows_share_runs_only_if_they_are_the_same(name):
    """H = 1 differs from H = 100 %, although 1 == 1.0."""
    configs = settings.configs(EXPERIMENTS[name], "mocap", "medium", 1, {}).values()
    assert len({runner._folder(config) for config in configs}) == len({fingerprint(config) for config in configs})


def test_data_that_nothing_reads_are_left_alone():
    """A run is then reused even if the scale sets fields of data that it does not read."""
    for name, experiment in EXPERIMENTS.items():
        for config in settings.configs(experiment, "mocap", "medium", 1, {}).values():
            assert (config.test_data == schema.default_config().test_data) == (not experiment.cross_dataset), name


def test_numbers_of_parameters_are_the_papers():
    """Compare with supplement Table 1, in millions; the paper gives 0.88 for a network of 899,029."""
    configs = settings.configs(EXPERIMENTS["s1"], "h36m", "full", 1, {})
    found = {}
    for name, config in configs.items():
        model = create_model(config.model)
        found[name] = round(count_parameters(variable_shapes(model)["params"]) / 1e6, 2)
    assert found == {
        "FC": 6.39,
        "SFS": 3.04,
        "SR, add": 1.33,
        "SR, multiply": 1.33,
        "SR, multiply, 6 layers": 0.9,
        "SR, concat": 1.34,
    }


@pytest.mark.parametrize("scale", ["full", "long"])
def test_networks_of_equal_size(scale):
    configs = settings.configs(EXPERIMENTS["size"], "mocap", scale, 1, {})
    sizes = {name: count_parameters(variable_shapes(create_model(config.model))["params"]) for name, config in configs.items()}
    assert sizes["FC, as few parameters as SR"] == pytest.approx(sizes["SR"], rel=0.03)
    assert sizes["SR, as many parameters as FC"] == pytest.approx(sizes["FC"], rel=0.03)


def test_costs_count_every_product():
    """In a single-frame network each weight is one product per sample, with 6 operations; other parameters are few."""
    configs = [settings.configs(EXPERIMENTS[table], "h36m", "full", 1, {}) for table in ("2", "3", "4")]
    for config in {fingerprint(config): config for found in configs for config in found.values()}.values():
        model = create_model(config.model)
        parameters = count_parameters(variable_shapes(model)["params"])
        assert listing._per_sample(model) / 6 == pytest.approx(parameters, rel=0.05), config.model


@pytest.mark.parametrize(("table", "suffix"), [(name, suffix) for name in EXPERIMENTS for suffix in ("", ", PA")])
def test_averages_of_the_paper_are_those_of_its_actions(table, suffix):
    """This finds numbers that are copied wrongly. Three of the paper's averages differ from the mean of their numbers."""
    inexact = {("s5", "SR, detected 2D", ""): 35.62, ("s5", "SR, exact 2D", ""): 24.42, ("s6", "FC, pixel", ", PA"): 66.51}
    for row in EXPERIMENTS[table].rows:
        actions = [row.paper[action + suffix] for action in ACTIONS if action + suffix in row.paper]
        if actions:
            assert len(actions) == 15
            expected = inexact.get((table, row.name, suffix), row.paper[AVERAGE + suffix])
            assert statistics.fmean(actions) == pytest.approx(expected, abs=0.1), row.name


ALL = ("average", "frames")


def _evaluation(seed, trained_on, **errors):
    config = settings.configs(EXPERIMENTS["5"], "synthetic", "smoke", 1, {})["none shuffled"]
    config.seed, config.protocol.actions_train = seed, (trained_on,)
    none = {"actions": {}, "rare": {}, "subsets": {}, "scenes": {}, "recordings": {"names": [], "rows": {}}}
    return Evaluation(Path("run"), config, none | {"average_over_actions": {}, "average_over_frames": errors}, np.empty(0))


def test_values_are_means_over_actions_for_each_seed():
    runs = [_evaluation(seed, action, error=10 * seed + length) for seed in (0, 1) for action, length in (("A", 1), ("B", 4))]
    assert results_lib.values(runs, Column("A", ALL, "error", trained_on="A")) == [1, 11]
    assert results_lib.values(runs, Column("average", ALL, "error")) == [2.5, 12.5]
    assert results_lib.values(runs, Column("none", ALL, "other")) == []
    assert results_lib.values([*runs, _evaluation(2, "A", error=None)], Column("average", ALL, "error")) == [2.5, 12.5]


def test_findings_compare_gains_and_orders():
    rows = tuple(Row(name, {}, {"x": paper}) for name, paper in (("base", 50.0), ("better", 40.0), ("best", 30.0)))
    column = Column("x", ALL, "error")

    @dataclasses.dataclass
    class Done:
        runs: list

        def evaluations(self):
            return self.runs

    trainings = [Done([_evaluation(0, "A", error=error)]) for error in (100.0, 90.0, 95.0)]
    results = results_lib.Results("x", Experiment("title", rows, baseline="base"), (column,), trainings)
    assert report.findings(results) == [
        "x, better than base by: better +10.0 % (paper +20.0 %), best +5.0 % (paper +40.0 %).",
        "x: 2 of 3 pairs of rows are in the paper's order.",
    ]


@pytest.fixture
def two_rows(monkeypatch):
    """Return an experiment that trains quickly."""
    rows = (
        Row("FC", {"model.network": "fc"} | TINY, {"Subject": 46.8}),
        Row("Slow", {"model.network": "fc", "train.learning_rate": 1e-4} | TINY),
    )
    same = dataclasses.replace(rows[0], name="FC again")
    experiment = dataclasses.replace(EXPERIMENTS["2"], rows=(*rows, same))
    monkeypatch.setitem(EXPERIMENTS, "2", experiment)
    return experiment


def test_rows_are_trained_once_and_shards_share_them(two_rows, tmp_path):
    """Two shards train one network each; the table equals that of a single process, and nothing is trained twice."""
    found, actions = runner.trainings(two_rows, tmp_path, "synthetic", "smoke", 2, ONE_DEVICE)
    columns = two_rows.columns(actions)
    assert len({training.folder for training in found}) == 2
    said = []
    missing, failures = runner.run_shard(found, (2, 2), said.append)
    assert not failures
    assert [training.name for training in missing] == ["FC"]
    assert [line.split(":")[0] for line in said] == ["[2 of 2] Slow"]
    results = results_lib.Results("2", two_rows, columns, found)
    partial = report.table(results)
    assert [row[2] == "-" for row in partial.rows] == [True, False, True]
    assert partial.rows[0][3] == "46.8"
    assert runner.run_shard(found, (1, 2), said.append) == ([], {})
    assert runner.run_shard(found, (1, 1), pytest.fail) == ([], {})
    results = results_lib.Results("2", two_rows, columns, found)
    table = report.table(results)
    assert [row[2] for row in table.rows[::2]] == [table.rows[0][2]] * 2
    assert all("±" in row[2] for row in table.rows)

    files = report.write(results, table, tmp_path, "synthetic-smoke")
    assert [file.name for file in files] == [f"table_2-synthetic-smoke.{kind}" for kind in ("md", "csv", "png")]
    assert files[0].read_text() == to_markdown(table)
    lines = list(csv.DictReader(files[1].read_text().splitlines()))
    assert len(lines) == 9
    stored = json.loads((found[0].folder / "seed_1" / "results.json").read_text())
    by_seed = [float(value) for value in lines[0]["by_seed"].split()]
    assert by_seed[1] == pytest.approx(stored["average_over_actions"]["mpjpe_mm"], rel=1e-9)
    assert float(lines[0]["mean"]) == pytest.approx(statistics.fmean(by_seed), rel=1e-9)


def test_the_figure_of_steps_measures_kept_checkpoints_once(two_rows, tmp_path, monkeypatch):
    experiment = dataclasses.replace(EXPERIMENTS["steps"], rows=two_rows.rows[:1])
    changes = ONE_DEVICE | {"train.epochs": 3, "train.keep_epochs": (1, 2), "train.batch_size": 1024}
    found, actions = runner.trainings(experiment, tmp_path, "synthetic", "smoke", 2, changes)
    assert runner.run_shard(found, (1, 1), lambda line: None) == ([], {})
    results = results_lib.Results("steps", experiment, experiment.columns(actions), found)
    points = results.trajectories["FC"]
    assert [point.step for point in points] == [points[0].step * epoch for epoch in (1, 2, 3)]
    last = [run.results for run in found[0].evaluations()]
    assert [run["step"] for run in last] == [points[-1].step] * 2  # the best checkpoint is the last
    assert [run.results["average_over_frames"] for run in points[-1].evaluations] == [
        run["average_over_frames"] for run in last
    ]
    files = report.write(results, report.table(results), tmp_path, "x")
    assert [file.name for file in files] == [f"steps-x.{kind}" for kind in ("md", "csv", "png", "steps.csv")]
    lines = list(csv.DictReader(files[3].read_text().splitlines()))
    assert len(lines) == 3 * (1 + len(results.columns))
    training = [float(line["mean"]) for line in lines if line["column"] == "training"]
    assert training == sorted(training, reverse=True)

    monkeypatch.setattr("srnet_jax.reproduce.remeasure.evaluate_checkpoints", pytest.fail)
    again = results_lib.Results("steps", experiment, experiment.columns(actions), found)
    assert report.table(again) == report.table(results)

    latest = max((found[0].folder / "seed_0" / "checkpoints").iterdir(), key=lambda path: int(path.name))
    os.utime(latest, (2e9, 2e9))  # as if a checkpoint were written later
    monkeypatch.setattr(
        "srnet_jax.reproduce.remeasure.evaluate_checkpoints", lambda *arguments: (_ for _ in ()).throw(KeyError)
    )
    with pytest.raises(KeyError):
        _ = results_lib.Results("steps", experiment, experiment.columns(actions), found).trajectories


def test_trained_runs_are_measured_on_other_subsets_and_cameras(two_rows, tmp_path):
    """Each experiment reuses the same run, trains nothing again, and leaves the run's results unchanged."""
    rows = two_rows.rows[:1]
    found, _ = runner.trainings(
        dataclasses.replace(EXPERIMENTS["fig5"], rows=rows), tmp_path, "synthetic", "smoke", 1, ONE_DEVICE
    )
    assert runner.run_shard(found, (1, 1), lambda line: None) == ([], {})
    own = found[0].evaluations()[0].results
    for name in ("rankings", "parts", "cameras"):
        experiment = dataclasses.replace(EXPERIMENTS[name], rows=rows)
        again, _ = runner.trainings(experiment, tmp_path, "synthetic", "smoke", 1, ONE_DEVICE)
        results = results_lib.Results(name, experiment, experiment.columns(()), again)
        assert all(cell.ours for cell in results.cells.values()), name
        measured = results.evaluations[0][0].results
        same = measured["average_over_frames"] == own["average_over_frames"]
        assert same == (name != "cameras")
    assert found[0].evaluations()[0].results == own


@pytest.mark.parametrize(("epochs", "decay"), [(20, 0.81451), (360, 0.98867)])
def test_the_learning_rate_ends_where_the_papers_does(epochs, decay):
    for scale, changes in (("medium", {"train.epochs": epochs}), ("long", {"train.epochs": epochs})):
        config = settings.configs(EXPERIMENTS["2"], "mocap", scale, 1, changes)["SR"]
        assert config.train.lr_decay == decay
        assert config.train.lr_decay**epochs == pytest.approx(0.95**80, rel=0.01)
    kept = settings.configs(EXPERIMENTS["2"], "mocap", "medium", 1, {"train.lr_decay": 0.9})["SR"]
    assert kept.train.lr_decay == 0.9
    assert settings.configs(EXPERIMENTS["2"], "h36m", "full", 1, {})["SR"].train.lr_decay == 0.95


@pytest.mark.slow
def test_runs_that_were_evaluated_otherwise_are_evaluated_again(two_rows, tmp_path):
    found, _ = runner.trainings(two_rows, tmp_path, "synthetic", "smoke", 1, ONE_DEVICE)
    training = found[0]
    training.run()
    assert training.evaluations()
    file = training.folder / "seed_0" / "results.json"
    results = json.loads(file.read_text())
    for change in ({"changed": {"protocol.name": "rare_pose"}}, {"checkpoint": "latest"}, {"results_version": 1}):
        file.write_text(json.dumps(results | change))
        assert training.evaluations() is None
    file.write_text("{")
    assert training.evaluations() is None
    weights = sorted((training.folder / "seed_0" / "checkpoints").iterdir())
    training.run()
    assert json.loads(file.read_text()) == results
    assert sorted((training.folder / "seed_0" / "checkpoints").iterdir()) == weights


@pytest.mark.slow
def test_unfinished_runs_and_those_of_other_data_are_not_taken(two_rows, tmp_path, mocap_file):
    """An interrupted run that was evaluated continues; a moved data file is read again; another file is rejected."""
    from srnet_jax.evaluation.evaluate import evaluate
    from srnet_jax.training.loop import train_members

    people = {"protocol.subjects_train": ("a", "b"), "protocol.subjects_test": ("c",), "train.batch_size": 32}

    def training(path, epochs=1):
        changes = ONE_DEVICE | people | {"data.path": str(path), "train.epochs": epochs}
        return runner.trainings(two_rows, tmp_path, "mocap", "smoke", 1, changes)[0][0]

    asked = training(mocap_file)
    longer = asked.config.copy_and_resolve_references()
    asked.run()
    assert asked.evaluations()
    moved = mocap_file.rename(tmp_path / "moved.npz")
    assert training(moved).evaluations() is None
    training(moved).run()
    assert training(moved).evaluations()
    with np.load(moved) as clips:
        np.savez(tmp_path / "other.npz", **{name: clip * 1.1 for name, clip in clips.items()})
    with pytest.raises(TrainingError, match="found a run with another data"):
        training(tmp_path / "other.npz").run()
    same = moved.read_bytes()
    (tmp_path / "other.npz").replace(moved)  # under the name in the config of the run
    assert training(moved).evaluations() is None
    with pytest.raises(TrainingError, match="found a run with another data"):
        training(moved).run()
    moved.write_bytes(same)
    training(moved).run()
    assert training(moved).evaluations()

    longer.data.path, longer.train.epochs = str(moved), 2
    train_members(longer, tmp_path / "longer")
    unfinished = runner.Training("x", longer.copy_and_resolve_references(), tmp_path / "longer")
    evaluate([tmp_path / "longer" / "seed_0"])
    assert unfinished.evaluations()
    lines = (tmp_path / "longer" / "seed_0" / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "longer" / "seed_0" / "metrics.jsonl").write_bytes(lines[0])
    assert unfinished.evaluations() is None


def test_a_row_that_fails_leaves_the_others(two_rows, tmp_path, monkeypatch):
    found, _ = runner.trainings(two_rows, tmp_path, "synthetic", "smoke", 1, ONE_DEVICE)
    trained = []

    def train(config, workdir):
        trained.append(workdir)
        if len(trained) == 1:
            raise TrainingError("the loss became infinite")

    monkeypatch.setattr(runner, "train_members", train)
    monkeypatch.setattr(runner, "evaluate", lambda workdirs: None)
    missing, failures = runner.run_shard(found, (1, 1), print)
    assert len(trained) == 2
    assert [training.name for training in missing] == ["FC", "Slow"]
    assert {name: str(error) for name, error in failures.items()} == {"FC": "the loss became infinite"}


def test_more_seeds_keep_the_runs_of_fewer(two_rows, tmp_path):
    folders = [runner.trainings(two_rows, tmp_path, "synthetic", "smoke", seeds, ONE_DEVICE)[0][0].folder for seeds in (1, 3)]
    assert folders[0] == folders[1]


def test_other_settings_have_other_folders(two_rows, tmp_path):
    variants = ({}, {"train.epochs": 2}, {"model.dropout": 0.5})
    folders = {runner.trainings(two_rows, tmp_path, "synthetic", "smoke", 1, changes)[0][0].folder for changes in variants}
    assert len(folders) == 3


def test_fields_are_checked():
    with pytest.raises(ConfigError, match=r"config\.model\.chanels: no such field, did you mean config\.model\.channels"):
        settings.configs(EXPERIMENTS["2"], "synthetic", "smoke", 1, {"model.chanels": 3})
    with pytest.raises(ConfigError, match=r"--test_data\.path: missing"):
        settings.check_paths(EXPERIMENTS["6"], "mocap", {"data.path": __file__})
    with pytest.raises(ConfigError, match=r"--data\.path=nothing: no such file or folder"):
        settings.check_paths(EXPERIMENTS["2"], "mocap", {"data.path": "nothing"})
    for changes in (
        {"seed": 1},
        {"model.network": "fc"},
        {"ensemble.learning_rates": (1.0,)},
        {"ensemble.seeds": (3,)},
        {"data.source": "mocap"},
    ):
        with pytest.raises(ConfigError, match=r"cannot be changed here, because the experiment sets it"):
            settings.configs(EXPERIMENTS["2"], "synthetic", "smoke", 1, changes)
    with pytest.raises(ConfigError, match=r"config\.data\.detections\.simulate: cannot be changed here"):
        settings.configs(EXPERIMENTS["10"], "synthetic", "smoke", 1, {"data.detections.simulate": True})
    with pytest.raises(ConfigError, match=r"LF: config\.model\.fuse_layer is 4, expected 0 to 2"):
        settings.configs(EXPERIMENTS["2"], "synthetic", "smoke", 1, {"model.filter_widths": (1,)})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"table": "11"}, "--table=11: not known, expected one of 1, 2, 3"),
        ({"workdir": None}, "--workdir: missing"),
        ({"workdir": __file__}, f"{__file__}: found a file, expected a folder or a new name"),
        ({"shard": "3/2"}, "--shard=3/2: not understood, expected I/N"),
        ({"baseline": "fc"}, "--baseline=fc: no row of table 2, expected one of GP; FC; "),
        ({"data": "h36m"}, "--data.path: missing, expected where the h36m data are"),
        ({"changes": {"model.hops": 2}}, "config.model.hops: set, but it is read only with"),
        ({"changes": {"data.path": "x"}}, "config.data.path: set, but it is read only with"),
        ({"changes": {"test_data.path": "x"}}, "config.test_data.path: set, but it is read only with"),
    ],
)
def test_mistakes_are_named_before_the_first_training(changed, message, tmp_path):
    arguments = {"table": "2", "workdir": str(tmp_path), "data": "synthetic", "scale": "smoke", "seeds": 1, "shard": "1/1"}
    with pytest.raises(UserError) as error:
        make.make(**{**arguments, "changes": {}, "show": pytest.fail} | changed)
    assert str(error.value).startswith(message)
    assert not list(tmp_path.iterdir())


def test_rows_can_be_compared_with_another_row(tmp_path, monkeypatch):
    compared = []
    monkeypatch.setattr(make.runner, "trainings", lambda *arguments: ([], ()))
    monkeypatch.setattr(make.report, "table", lambda results: compared.append(results.experiment.baseline))
    for baseline in (None, "SR"):
        options = {"data": "synthetic", "scale": "smoke", "seeds": 1, "shard": "1/1", "changes": {}, "show": pytest.fail}
        make.make("2", str(tmp_path), **options, baseline=baseline)
    assert compared == ["FC", "SR"]


def test_a_config_file_is_refused_in_one_line():
    command = [sys.executable, "-m", "launch.reproduce", "--table=2", "--workdir=x", "--config=configs/default.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "--config: not accepted here" in done.stderr
    assert done.stderr.count("\n") == 1


# One experiment for each kind of columns, protocol and figure.
KINDS = ("1", "6", "7", "fig4", "fig6", "2", "10", "fig5", "steps", "parts")


@pytest.fixture(scope="module")
def shared_workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("reproduce")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_experiments_of_every_kind_are_made_of_synthetic_data(name, shared_workdir):
    """One epoch of narrow networks: the experiment runs to its end, and its first, last and baseline rows have numbers."""
    experiment = EXPERIMENTS[name]
    changes = ONE_DEVICE | ({"ensemble.actions_train": ("Walking", "Eating")} if experiment.each_action else {})
    if name == "fig4":  # the ends of each family of networks
        kept = tuple(row for row in experiment.rows if row.split in (0, 6))
    else:
        ends = (*experiment.rows[:1], *experiment.rows[-1:])
        kept = tuple(row for row in experiment.rows if row in ends or row.name == experiment.baseline)
        changes |= {"model.filter_widths": (1,)} if kept else {}
    experiment = dataclasses.replace(experiment, rows=kept)
    found, actions = runner.trainings(experiment, shared_workdir, "synthetic", "smoke", 1, changes)
    assert runner.run_shard(found, (1, 1), print) == ([], {})
    results = results_lib.Results(name, experiment, experiment.columns(actions), found)
    grid = report.table(results)
    assert report.write(results, grid, shared_workdir, "smoke")
    ours = [row[i] for row in grid.rows for i, head in enumerate(grid.header) if head.endswith("ours")] if grid else []
    assert "-" not in ours
