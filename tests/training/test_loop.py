import csv
import dataclasses
import io
import json
import re
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from rich.console import Console

from srnet_jax.data import sources
from srnet_jax.data.protocols import split
from srnet_jax.errors import TrainingError, UserError
from srnet_jax.evaluation.evaluate import evaluate
from srnet_jax.pose.normalization import View
from srnet_jax.training import checkpoint_format, loop, processes, steps, trainer
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.loop import fit, train_and_evaluate
from srnet_jax.training.progress_bar import ProgressBar
from srnet_jax.training.run_directory import locked
from srnet_jax.training.trainer import Trainer, TrainingData, load_training_data


def metrics(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def train(config, workdir, make_trainer):
    with Interruption() as interruption:
        return fit(config, workdir, load_training_data([config]), interruption, make_trainer=make_trainer)[""]


def test_training_learns_logs_and_keeps_checkpoints(tiny_config, tmp_path):
    errors = iter([3.0, 1.0, 2.0, 1.5])

    class Graded(Trainer):
        def validate(self, index, state):
            return next(errors)

    tiny_config.train.epochs = 4
    tiny_config.train.tensorboard = True
    tiny_config.train.max_gradient_norm = 100.0  # usual gradients are far below the default limit
    state = train(tiny_config, tmp_path, Graded)
    lines = metrics(tmp_path)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert lines[1]["learning_rate"] == pytest.approx(0.95e-3)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        variables, step = checkpoints.restore_variables("latest", state.variables)
        assert step == lines[-1]["step"] == int(state.step)
        assert checkpoints.restore_variables("best", state.variables)[1] == lines[1]["step"]
    for a, b in zip(jax.tree.leaves(variables), jax.tree.leaves(state.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.parametrize(
    "name", ["pixel", *(pytest.param(name, marks=pytest.mark.slow) for name in ("lcn", "proj", "weak_proj"))]
)
def test_every_normalisation_trains_and_evaluates(tiny_config, tmp_path, name):
    tiny_config.train.epochs = 1
    tiny_config.model.normalization = name
    tiny_config.model.adds_input = name == "lcn"
    train_and_evaluate(tiny_config, tmp_path)
    (line,) = metrics(tmp_path)
    assert 50 < line["train_mpjpe_mm"] < 5000  # millimetres, not the units of the network
    assert 50 < line["validation_mpjpe_mm"] < 2000
    results = evaluate([tmp_path], "latest")[0][0].results
    assert f"normalisation {name}: uses the TRUE depth of the root at test time" in results["labels"]
    assert 150 < results["average_over_frames"]["mean_pose_mpjpe_mm"] < 500
    rows = csv.DictReader((tmp_path / "results.csv").read_text().splitlines())
    assert all(row["normalization"] == name and "TRUE depth" in row["labels"] for row in rows)


def test_finished_run_does_nothing_more(tiny_config, tmp_path, monkeypatch, capsys):
    tiny_config.train.epochs = 1
    state = train_and_evaluate(tiny_config, tmp_path)
    capsys.readouterr()
    monkeypatch.delattr(TrainingData, "mean_pose_mm")  # must not be used
    again = train_and_evaluate(tiny_config, tmp_path)
    assert not re.search("resuming|compiling|epoch +[0-9]", capsys.readouterr().out)
    assert int(again.step) == int(state.step)
    assert len(metrics(tmp_path)) == 1


def test_workdir_of_another_config_is_refused(tiny_config, tmp_path):
    tiny_config.train.epochs = 1
    train_and_evaluate(tiny_config, tmp_path)
    tiny_config.train.learning_rate = 0.5
    tiny_config.seed = 7
    with pytest.raises(
        TrainingError, match=r"another config\.seed \(0, here 7\), config\.train\.learning_rate \(0\.001, here 0\.5\)"
    ):
        train_and_evaluate(tiny_config, tmp_path)


def spoiled(spoil):
    """Return a trainer whose progress is changed by a function of the progress and the number of the step."""

    class Spoiled(Trainer):
        def steps(self, snapshots, *arguments):
            number = int(snapshots[0].state.step)
            for progress in super().steps(snapshots, *arguments):
                number += 1
                spoil(number, progress)
                yield progress

    return Spoiled


def test_non_finite_loss_stops_and_keeps_the_last_checkpoint(tiny_config, tmp_path):
    def spoil(step, progress):
        if step > 7:
            progress.totals[0]["loss"] = np.float32(np.nan)

    with pytest.raises(TrainingError, match=r"the loss became .* in epoch 2; the checkpoint of step 6 is kept"):
        train(tiny_config, tmp_path, spoiled(spoil))
    assert len(metrics(tmp_path)) == 1
    state = train_and_evaluate(tiny_config, tmp_path)
    assert np.isfinite(metrics(tmp_path)[-1]["loss"])
    assert int(state.step) == metrics(tmp_path)[-1]["step"]


def test_broken_weights_are_never_saved(tiny_config, tmp_path):
    def spoil(step, progress):
        if step == 6:  # the loss, computed before the update, is still finite
            state = progress.snapshots[0].state
            state = state.replace(params=jax.tree.map(lambda x: x * np.float32(np.nan), state.params))
            progress.snapshots[0] = dataclasses.replace(progress.snapshots[0], state=state)

    with pytest.raises(TrainingError, match="the network became infinite or not a number in epoch 1; nothing was saved"):
        train(tiny_config, tmp_path, spoiled(spoil))
    assert not Checkpoints.exist(tmp_path)
    assert metrics(tmp_path) == []
    tiny_config.train.learning_rate = 2e-3  # nothing was trained, so another config may use the workdir
    train_and_evaluate(tiny_config, tmp_path)


def test_one_compilation_a_batch_shape(tiny_config):
    one = Trainer([tiny_config], load_training_data([tiny_config]))
    step = one.devices.compile(steps.StepSettings.of(tiny_config), one.feed.take)
    assert step is one.devices.compile(steps.StepSettings.of(tiny_config), one.feed.take)
    step.clear_cache()
    for epoch in range(2):
        for _ in one.steps(one.init(), epoch):
            pass
    assert step._cache_size() == 2  # the full batches and the short last one


def test_step_is_deterministic_and_pure(tiny_config, rng):
    from srnet_jax.models.pose_lifter import create_model
    from srnet_jax.training.optimizer import create_optimizer
    from srnet_jax.training.state import create_train_state

    model = create_model(tiny_config.model).clone(strided=True)
    optimizer = create_optimizer()
    state = create_train_state(model, optimizer, 0)
    batch = {
        "inputs_2d": rng.normal(size=(32, 1, 17, 2)).astype(np.float32),
        "targets": rng.normal(size=(32, 1, 17, 3)).astype(np.float32),
        "views": View.unknown(32, 1),
    }
    hyperparameters = steps.Hyperparameters.at(0, 0, tiny_config.train)
    for loss in ("l1", "mpjpe"):
        step = jax.jit(partial(steps.train_step, steps.StepSettings(model, optimizer, loss, "basic")))
        after, totals = step(state, steps.zero_totals(), hyperparameters, batch)
        again, _ = step(state, steps.zero_totals(), hyperparameters, batch)
        for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(again), strict=True):
            np.testing.assert_array_equal(a, b)
        predicted = model.apply(state.variables, batch["inputs_2d"], train=True, mutable=["batch_stats"])[0]
        difference = np.asarray(predicted) - batch["targets"]
        expected = np.abs(difference).mean() if loss == "l1" else np.linalg.norm(difference, axis=-1).mean()
        assert float(totals["loss"]) / 32 == pytest.approx(expected, rel=1e-5)
        assert float(totals["count"]) == 32
    assert int(state.step) == 0


def test_too_little_data_is_refused(tiny_config, tmp_path, monkeypatch):
    one = sources.load_dataset(tiny_config.data, tiny_config.model)
    short = [dataclasses.replace(s, inputs_2d=s.inputs_2d[:1], poses_3d=s.poses_3d[:1]) for s in one.sequences]
    chosen = [s for s in short if s.action == "Eating" and s.subject in ("S1", "S9")]
    monkeypatch.setattr(sources, "load_dataset", lambda *_: dataclasses.replace(one, sequences=tuple(chosen)))
    tiny_config.protocol.subjects_train, tiny_config.protocol.subjects_test = ("S1",), ("S9",)
    tiny_config.train.flip = False
    with pytest.raises(TrainingError, match="found 1 training sample, expected at least 2"):
        train_and_evaluate(tiny_config, tmp_path)


def test_a_data_set_smaller_than_a_batch_is_one_batch(tiny_config, tmp_path, capsys):
    tiny_config.train.batch_size = 100_000
    state = train_and_evaluate(tiny_config, tmp_path)
    assert (
        "warning: config.train.batch_size is 100,000, more than the 2,574 training samples: one step" in capsys.readouterr().out
    )
    assert int(state.step) == 2  # one an epoch
    assert [line["step"] for line in metrics(tmp_path)] == [1, 2]


def test_sequences_of_one_frame_train_and_evaluate(tiny_config, tmp_path, mocap_clips):
    """Every window then repeats the only frame."""
    np.savez(tmp_path / "clips.npz", **{name: clip[:1] for name, clip in mocap_clips.items()})
    tiny_config.data.source, tiny_config.data.path = "mocap", str(tmp_path / "clips.npz")
    tiny_config.data.cameras.number = 4
    tiny_config.protocol.subjects_train, tiny_config.protocol.subjects_test = ("a", "b"), ("c",)
    tiny_config.model.filter_widths = (3, 3)
    train_and_evaluate(tiny_config, tmp_path / "run")
    results = evaluate([tmp_path / "run"], "latest")[0][0].results
    assert results["average_over_frames"]["frames"] == 8
    assert np.isfinite(results["average_over_frames"]["mpjpe_mm"])


@pytest.mark.parametrize("part", ["train", "validation"])
def test_an_empty_split_is_refused(tiny_config, tmp_path, monkeypatch, part):
    def without(*arguments):
        return dataclasses.replace(split(*arguments), **{part: ()})

    monkeypatch.setattr(trainer, "split", without)
    with pytest.raises(TrainingError, match=rf"synthetic: found no {part} sequence, expected at least one"):
        train_and_evaluate(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_without_its_checkpoints_says_that_it_starts_again(tiny_config, tmp_path, monkeypatch, capsys):
    monkeypatch.delattr(Trainer, "steps")  # nothing is trained, the workdir is only opened
    for metrics, said in (("", False), ('{"step": 5, "epoch": 1}\n{"step": 10, "epo', True)):
        (tmp_path / "metrics.jsonl").write_text(metrics)
        with pytest.raises(AttributeError, match="steps"):
            train_and_evaluate(tiny_config, tmp_path)
        text = f"warning: {tmp_path}: no checkpoint, but metrics.jsonl up to step 5; training starts from the beginning\n"
        assert (text in capsys.readouterr().out) == said


def test_a_network_worse_than_the_mean_pose_is_reported(tiny_config, tmp_path, capsys):
    tiny_config.train.learning_rate = 1e-9
    tiny_config.train.epochs = 1
    train_and_evaluate(tiny_config, tmp_path / "run")
    said = re.search(
        r"warning: run: validation error ([\d.]+) mm, more than the ([\d.]+) mm of the mean", capsys.readouterr().out
    )
    assert said
    assert float(said[1]) == pytest.approx(metrics(tmp_path / "run")[0]["validation_mpjpe_mm"], abs=0.05)
    results = evaluate([tmp_path / "run"])[0][0].results
    assert float(said[2]) == pytest.approx(results["average_over_frames"]["mean_pose_mpjpe_mm"], rel=0.2)


def test_a_workdir_with_dots_trains(tiny_config, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    tiny_config.train.epochs = 1
    state = train_and_evaluate(tiny_config, "../run")
    with Checkpoints(Path("../other/../run"), read_only=True) as checkpoints:
        assert checkpoints.restore_variables("latest", state.variables)[1] == int(state.step)


def test_a_workdir_that_cannot_be_used_is_refused_before_the_data_are_read(tiny_config, tmp_path, monkeypatch):
    monkeypatch.delattr(loop, "load_training_data")
    file = tmp_path / "file"
    file.write_text("")
    for place, message in ((file, "found a file, expected a folder"), (file / "run", "not a folder with write permission")):
        with pytest.raises(UserError, match=f"{file}: {message}"):
            train_and_evaluate(tiny_config, place)
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"), pytest.raises(TrainingError, match=r"run: in use by process \d+ on"):
        train_and_evaluate(tiny_config, tmp_path / "run")


@pytest.mark.parametrize("place", ["host", "device"])
def test_processes_agree_on_the_place_of_the_data(tiny_config, tmp_path, monkeypatch, place):
    compared = {}
    monkeypatch.setattr(processes, "check_same", lambda fields, *means: compared.update(fields))
    tiny_config.train.data_on, tiny_config.train.epochs = place, 1
    train_and_evaluate(tiny_config, tmp_path)
    assert compared["place of the data, config.train.data_on"] is (place == "host")


def test_the_bar_of_a_resumed_epoch_begins_where_it_goes_on(tiny_config):
    one = Trainer([tiny_config], load_training_data([tiny_config]))
    snapshots = [dataclasses.replace(snapshot, batch=4) for snapshot in one.init()]
    for epoch, shown in ((0, "4/6"), (1, "0/6")):
        console = Console(file=io.StringIO(), force_terminal=True, width=100)
        with ProgressBar(console, one, snapshots, epoch):
            pass
        assert shown in console.file.getvalue()


def test_a_place_that_cannot_hold_checkpoints_is_known_before_the_first_step(tiny_config, tmp_path, monkeypatch):
    def failing(*arguments):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(checkpoint_format, "write", failing)
    begun = []
    with pytest.raises(TrainingError, match=r"checkpoints: the checkpoint could not be written \(.*Input/output error\)"):
        train(tiny_config, tmp_path, spoiled(lambda step, progress: begun.append(step)))
    assert not begun
