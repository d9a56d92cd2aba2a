import itertools
import json
import re
import shutil
import signal
import types

import jax
import numpy as np
import pytest

from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.errors import Interrupted, TrainingError
from srnet_jax.training import run_directory
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.loop import fit, train_and_evaluate, train_members
from srnet_jax.training.run_directory import RunDirectory
from srnet_jax.training.trainer import Trainer, load_training_data


def ensemble_config(config, **changes):
    """Set up all that depends on the seed (weights, order, dropout), a short last batch, and epochs of different lengths."""
    config.model.channels = 24
    config.model.filter_widths = (1,)
    config.model.dropout = 0.1
    config.train.batch_size = 301
    config.train.learning_rate = 1e-5
    config.update_from_flattened_dict(changes)
    schema.validate(config)
    return config


def assert_equal_runs(state, other, learning_rate):
    """Compare up to rounding, see test_parallel.py; a weight whose gradient is rounding noise may move at its full rate."""
    assert int(state.step) == int(other.step)
    found = dict(jax.tree_util.tree_leaves_with_path(state))
    for path, expected in jax.tree_util.tree_leaves_with_path(other):
        tolerance = 2 * int(state.step) * learning_rate if path[0].name == "params" else 5e-3 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(found[path], expected, atol=tolerance, rtol=0, err_msg=str(path))


ACTIONS = {"protocol.name": "cross_action", "protocol.validation": "test", "data.num_frames": 4000, "train.batch_size": 95}


@pytest.mark.parametrize(
    ("changes", "ensemble"),
    [
        pytest.param({"model.network": "sr", "model.num_groups": 3}, {"seeds": (5, 0)}, marks=pytest.mark.slow),
        pytest.param({"train.data_on": "host"}, {"learning_rates": (2e-5, 1e-5)}, marks=pytest.mark.slow),
        pytest.param(
            ACTIONS | {"num_devices": 8, "train.data_on": "host"},
            {"actions_train": ("Walking", "Eating"), "seeds": (0,)},
            marks=pytest.mark.slow,
        ),
        (
            ACTIONS | {"train.steps_per_call": 3, "parallel": "pmap", "train.checkpoint_minutes": 1e-9},
            {"actions_train": ("Walking", "Eating")},
        ),
    ],
    ids=str,
)
def test_members_are_the_runs_that_they_would_be_alone(tiny_config, tmp_path, changes, ensemble):
    config = ensemble_config(tiny_config, **changes)
    config.ensemble.update(ensemble)
    states = train_members(config, tmp_path / "together")
    members = ensembles.members(config)
    assert list(states) == list(members)
    assert len({int(state.step) for state in states.values()}) == (2 if "actions_train" in ensemble else 1)
    assert ensembles.workdirs(tmp_path / "together") == [tmp_path / "together" / name for name in members]
    for name, member in members.items():
        alone = train_and_evaluate(member, tmp_path / name)
        assert_equal_runs(states[name], alone, member.train.learning_rate)
        together = tmp_path / "together" / name
        assert schema.differences(config_files.load(together), config_files.load(tmp_path / name)) == []
        lines = [
            [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
            for run in (together, tmp_path / name)
        ]
        for ours, theirs in zip(*lines, strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
        best = min(lines[0], key=lambda line: line["validation_mpjpe_mm"])
        with Checkpoints(together, read_only=True) as checkpoints:
            assert [int(checkpoints.restore(which, alone).epoch) for which in ("best", "latest")] == [best["epoch"], 2]


def ragged(config):
    config = ensemble_config(config, **ACTIONS)
    config.ensemble.actions_train = ("Walking", "Eating")
    config.train.checkpoint_minutes = 1e-9  # a checkpoint after every step
    return config


def counting(before):
    """Return a trainer that calls a function before each call of its compiled step, with the number of the call, from 1."""
    calls = itertools.count(1)

    class Counting(Trainer):
        def steps(self, *arguments):
            before(next(calls))
            for progress in super().steps(*arguments):
                yield progress
                if not progress.ends_epoch:
                    before(next(calls))

    return Counting


def train(config, folder, make_trainer):
    with Interruption() as interruption:
        members = list(ensembles.members(config).values())
        return fit(config, folder, load_training_data(members), interruption, make_trainer=make_trainer)


class Crashed(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("lagging", [False, True])
def test_a_crash_changes_nothing(tiny_config, tmp_path, lagging):
    """Each run continues from its own step, which may differ between runs, to the same weights to the bit."""
    config = ragged(tiny_config)
    whole = train_members(config, tmp_path / "whole")
    names = list(whole)
    lengths = [int(state.step) for state in whole.values()]
    assert lengths[0] != lengths[1]
    for calls in (1, max(lengths) // 2 + 2)[not lagging :]:
        folder = tmp_path / str(calls)

        def crash(call, last=calls):
            if call > last:
                raise Crashed

        with pytest.raises(Crashed):
            train(config, folder, counting(crash))
        if lagging:  # as if the kill came between the checkpoints of the two runs
            kept = sorted((folder / names[0] / "checkpoints").iterdir(), key=lambda path: int(path.name))
            shutil.rmtree(kept[-1])
        for name, state in train_members(config, folder).items():
            for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(whole[name]), strict=True):
                if lagging:
                    np.testing.assert_allclose(a, b, atol=1e-4, rtol=1e-2)
                else:
                    np.testing.assert_array_equal(a, b)
            assert len((folder / name / "metrics.jsonl").read_text().splitlines()) == config.train.epochs


@pytest.mark.slow
def test_a_signal_stops_all_after_the_same_step(tiny_config, tmp_path):
    config = ragged(tiny_config)
    whole = train_members(config, tmp_path / "whole")
    stop_at_step = (
        min(int(state.step) for state in whole.values()) // config.train.epochs + 1
    )  # when one run has ended its epoch

    def stop(call):
        if call == stop_at_step:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"stopped after step \d+ to \d+; run the same"):
        train(config, tmp_path / "stopped", counting(stop))
    for name, state in train_members(config, tmp_path / "stopped").items():
        for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(whole[name]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_member_that_diverges_leaves_the_others(tiny_config, tmp_path, capsys):
    config = diverging(tiny_config, 1e-3, 1e30)
    with pytest.raises(TrainingError, match=r"^1 of 2 runs ended early; learning_rate_1e\+30: the \w+ became infinite"):
        train_members(config, tmp_path)
    assert "warning: learning_rate_1e+30: " in capsys.readouterr().out
    lines = (tmp_path / "learning_rate_0.001" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == config.train.epochs
    with Checkpoints(tmp_path / "learning_rate_0.001", read_only=True) as checkpoints:
        assert checkpoints.kept.startswith("the checkpoint of step")


def diverging(config, *rates):
    config = ensemble_config(config)
    config.train.batch_size = 512  # six steps an epoch
    config.ensemble.learning_rates = rates
    return config


def test_a_member_that_diverged_is_never_due(tiny_config, tmp_path, monkeypatch):
    """A checkpoint is due every four minutes, and a step takes one minute."""
    clock = itertools.count()
    now, saved = [next(clock)], []
    save = RunDirectory.save

    def record(run, snapshot, *arguments):
        saved.append((run.path.name, int(snapshot.state.step)))
        save(run, snapshot, *arguments)

    monkeypatch.setattr(run_directory, "time", types.SimpleNamespace(monotonic=lambda: 60 * now[0]))
    monkeypatch.setattr(RunDirectory, "save", record)
    config = diverging(tiny_config, 1e-3, 1e30)
    config.train.checkpoint_minutes = 4.0
    with pytest.raises(TrainingError, match="1 of 2 runs ended early"):
        train(config, tmp_path, counting(lambda call: now.__setitem__(0, next(clock))))
    assert saved == [("learning_rate_0.001", step) for step in (4, 6, 10, 12)]


def test_a_signal_saves_the_others_of_a_member_that_diverged(tiny_config, tmp_path, capsys):
    def stop(call):
        if call == 5:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match="stopped after step 5; run the same command again to continue"):
        train(diverging(tiny_config, 1e-3, 1e30), tmp_path / "one", counting(stop))
    assert re.search(r"\nwarning: learning_rate_1e\+30: .* became infinite .*; the others continue\n", capsys.readouterr().out)
    assert (tmp_path / "one" / "learning_rate_0.001" / "checkpoints" / "5").is_dir()
    with pytest.raises(TrainingError, match=r"2 of 2 runs ended early; learning_rate_1e\+30: .*; learning_rate_2e\+30: "):
        train(diverging(tiny_config, 1e30, 2e30), tmp_path / "both", counting(stop))


def test_training_ends_when_all_members_have_diverged(tiny_config, tmp_path, capsys):
    calls = []
    with pytest.raises(TrainingError, match="2 of 2 runs ended early"):
        train(diverging(tiny_config, 1e30, 2e30), tmp_path, counting(calls.append))
    assert calls[-1] == 6  # the last call of the first epoch
    *_, first, last = capsys.readouterr().out.splitlines()
    assert first.endswith("; the others continue")
    assert last.startswith("warning: learning_rate_2e+30: ")
    assert not last.endswith("; the others continue")


def test_members_can_be_added(tiny_config, tmp_path, capsys):
    """Finished runs do not change, and are not trained again with the new run."""
    tiny_config.ensemble.seeds = (0, 1)
    first = train_members(tiny_config, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "ensemble.json"}
    tiny_config.ensemble.seeds = (0, 1, 2)
    second = train_members(tiny_config, tmp_path)
    assert "3 runs, 1 of them unfinished" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in before if path.name != ".lock"} == {
        path: content for path, content in before.items() if path.name != ".lock"
    }
    assert list(second) == ["seed_0", "seed_1", "seed_2"]
    assert int(second["seed_2"].step) == int(first["seed_0"].step)


def test_a_run_and_an_ensemble_do_not_mix(tiny_config, tmp_path):
    train_and_evaluate(tiny_config, tmp_path / "run")
    tiny_config.ensemble.seeds = (0, 1)
    with pytest.raises(TrainingError, match=r"run: found a run \(config.json\), expected another workdir for an ensemble"):
        train_members(tiny_config, tmp_path / "run")
    train_members(tiny_config, tmp_path / "ensemble")
    tiny_config.ensemble.seeds = ()
    with pytest.raises(
        TrainingError, match=r"ensemble: found an ensemble \(ensemble.json\), expected another workdir for a run"
    ):
        train_and_evaluate(tiny_config, tmp_path / "ensemble")
    tiny_config.seed, tiny_config.train.epochs = 1, 3
    tiny_config.ensemble.seeds = (1,)
    with pytest.raises(TrainingError, match=r"seed_1: found a run with another config.train.epochs"):
        train_members(tiny_config, tmp_path / "ensemble")
