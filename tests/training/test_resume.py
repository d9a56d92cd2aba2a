"""Training that is stopped, killed, crashes or runs out of disk ends as if nothing had happened."""

import dataclasses
import errno
import json
import os
import signal

import jax
import numpy as np
import pytest

from srnet_jax.config import config_files
from srnet_jax.errors import DiskFullError, Interrupted, TrainingError, UserError
from srnet_jax.training import checkpoint_format, metric_log, records, run_directory
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.loop import fit, train_and_evaluate
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.run_directory import check_workdir, locked
from srnet_jax.training.trainer import Trainer, load_training_data


class Crashed(BaseException):
    pass


@pytest.fixture(scope="module")
def prepared(shared_config):
    """Return the config of a run of 3 epochs of 6 steps, and its data, shared by many trainings."""
    shared_config.train.epochs = 3
    shared_config.model.dropout = 0.1
    return shared_config, load_training_data([shared_config])


def scripted(before_step, after_step):
    """Return a trainer that calls functions with the number of each step."""

    class Scripted(Trainer):
        def steps(self, snapshots, *arguments):
            number = int(snapshots[0].state.step) + 1
            before_step(number)
            for progress in super().steps(snapshots, *arguments):
                after_step(number, progress)
                yield progress
                number += 1
                if not progress.ends_epoch:
                    before_step(number)

    return Scripted


@pytest.fixture
def train(prepared):
    """Return a function that trains in a workdir; `before_step` and `after_step` are called with the number of each step."""
    config, (data,) = prepared

    def train(folder, before_step=lambda step: None, after_step=lambda step, progress: None, fork=False, **changes):
        changed = config.copy_and_resolve_references()
        changed.train.update(changes)
        check_workdir(folder, changed, ensemble=False, fork=fork)
        with Interruption() as interruption:
            trainer = scripted(before_step, after_step)
            return fit(changed, folder, [data], interruption, fork=fork, make_trainer=trainer)[""]

    return train


@pytest.fixture(scope="module")
def whole(prepared, tmp_path_factory):
    """Return the workdir and the last state of an uninterrupted run."""
    config, _ = prepared
    folder = tmp_path_factory.mktemp("whole")
    return folder, train_and_evaluate(config, folder)


def assert_same_run(folder, state, whole):
    """Compare the last state, the metrics and the best checkpoint, bit by bit."""
    assert_same_state(state, whole[1])
    assert (folder / "metrics.jsonl").read_bytes() == (whole[0] / "metrics.jsonl").read_bytes()
    found, expected = [], []
    for path, run in ((folder, found), (whole[0], expected)):
        with Checkpoints(path, read_only=True) as checkpoints:
            run += [checkpoints.restore(which, state) for which in ("best", "latest")]
    assert_same_state(found, expected)


def assert_same_state(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def steps(folder):
    return [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def stop_at(*steps, number=signal.SIGTERM):
    def before_step(step):
        if step in steps:
            os.kill(os.getpid(), number)

    return before_step


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_after_every_step(train, whole, tmp_path, number):
    for step in range(1, 18):
        with pytest.raises(Interrupted, match=f"stopped after step {step}; run the same command again to continue"):
            train(tmp_path, stop_at(step, number=number))
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_stopped_in_the_last_step_is_done(train, whole, tmp_path):
    assert_same_run(tmp_path, train(tmp_path, stop_at(18)), whole)


def test_crashed_at_any_step(train, whole, tmp_path, rng):
    """Checkpoints are written after every step; the last one may be lost."""

    def crash(step):
        if rng.random() < 0.25:
            raise Crashed

    for _ in range(40):
        try:
            state = train(tmp_path, crash, checkpoint_minutes=1e-9)
            break
        except Crashed:
            assert steps(tmp_path) == list(range(6, steps(tmp_path)[-1] + 1, 6)) if steps(tmp_path) else True
    assert_same_run(tmp_path, state, whole)


def test_crashed_without_checkpoints_within_the_epoch(train, whole, tmp_path):
    for crashed_at in (3, 8, 12, 17):

        def crash(step, at=crashed_at):
            if step == at:
                raise Crashed

        with pytest.raises(Crashed):
            train(tmp_path, crash)
        assert steps(tmp_path) == [6, 12][: (crashed_at - 1) // 6]
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_damaged_checkpoint_costs_only_time(train, whole, tmp_path, capsys):
    for stop in (4, 8):
        with pytest.raises(Interrupted):
            train(tmp_path, stop_at(stop))
    (tmp_path / "checkpoints" / "8" / "about" / "metadata").unlink()
    state = train(tmp_path)
    assert (
        "8: damaged (about/metadata: No such file or directory), now 8.damaged; continuing from step 6"
        in capsys.readouterr().out
    )
    assert_same_run(tmp_path, state, whole)


def test_metrics_are_repaired(train, whole, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(13))
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(log.read_bytes() + b'{"step": 18, "epoch": 3}\n{"step": 24, "epo')
    assert_same_run(tmp_path, train(tmp_path), whole)


@pytest.mark.parametrize("tail", [b"", b"\n", b'{"step": 9', b"\0\xff\n", b'{"epoch": 2}\n', b"3\n"])
def test_a_half_written_line_is_dropped(tmp_path, tail):
    line = b'{"step": 6, "loss": 0.1}\n'
    (tmp_path / "metrics.jsonl").write_bytes(line + tail)
    with MetricLog(tmp_path, from_step=9, tensorboard=False) as log:
        log.add(9, {"loss": 1}, only_shown={})
        log.flush()
    assert (tmp_path / "metrics.jsonl").read_bytes() == line + b'{"step": 9, "loss": 1}\n'


@pytest.mark.parametrize(
    "bad",
    [b"", b"{", b"[" * 100_000, b'{"step": 1e999}', b'{"step": "2"}', b'{"step": true}', b'{"step": 2, "loss": NaN}', b"\xff"],
)
def test_a_bad_line_among_good_ones_is_said(tmp_path, bad):
    """Only the last can be half-written."""
    lines = [b'{"step": 6, "loss": 0.1}\n', b'{"step": 12, "loss": 0.1}\n']
    (tmp_path / "metrics.jsonl").write_bytes(lines[0] + bad + b"\n" + bad + b"\n" + lines[1] + bad)
    with (
        pytest.warns(UserWarning, match=r"metrics\.jsonl: line 2 is damaged and ignored"),
        MetricLog(tmp_path, from_step=12, tensorboard=False),
    ):
        pass
    assert (tmp_path / "metrics.jsonl").read_bytes() == b"".join(lines)


def full(failing):
    """Return a stand-in for `checkpoint_format.write` that fails for these steps."""
    write = checkpoint_format.write

    def write_unless_full(folder, *arguments):
        if int(folder.name) in failing:
            (folder.with_name(f"{folder.name}.orbax-checkpoint-tmp")).mkdir()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, *arguments)

    return write_unless_full


def test_training_goes_on_over_a_full_disk(train, whole, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "write", full({6, 12}))
        state = train(tmp_path)
    said = capsys.readouterr().out
    assert (
        f"{tmp_path}/checkpoints/6: the checkpoint could not be written (no space left on device); nothing is saved yet" in said
    )
    assert said.count("; continuing\n") == 2
    assert not list((tmp_path / "checkpoints").glob("*tmp*"))
    assert_same_state(state, whole[1])
    assert (tmp_path / "metrics.jsonl").read_bytes() == (whole[0] / "metrics.jsonl").read_bytes()


def test_the_last_checkpoint_on_a_full_disk_is_an_error(train, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "write", full({18}))
        with pytest.raises(DiskFullError, match=r"18: the checkpoint could not be written .*; kept: 6, 12"):
            train(tmp_path)
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_the_last_checkpoint_is_written_once_there_is_space(train, whole, tmp_path, monkeypatch):
    """The metrics cannot be written when the last checkpoint is due, but can when the run ends."""
    flush, failures = MetricLog.flush, []

    def fails_once(log):
        if b'"step": 18' in log._unwritten and not failures:
            failures.append(1)
            raise DiskFullError("full")
        flush(log)

    with monkeypatch.context() as patch:
        patch.setattr(MetricLog, "flush", fails_once)
        state = train(tmp_path)
    assert failures
    assert_same_run(tmp_path, state, whole)


def test_a_stop_keeps_the_rank_of_a_checkpoint_that_had_no_space(train, whole, tmp_path, monkeypatch):
    """The checkpoint is written when the run stops, right after the epoch."""
    write, failures = checkpoint_format.write, []

    def fails_once(folder, *arguments):
        if folder.name == "6" and not failures:
            failures.append(folder.name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "write", fails_once)
        with pytest.raises(Interrupted, match="stopped after step 6; run"):
            train(tmp_path, stop_at(6))
    assert failures == ["6"]
    assert checkpoint_format.rank(tmp_path / "checkpoints" / "6")[0] > 0
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_a_full_disk_stops_training_if_asked(train, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "write", full({12}))
        with pytest.raises(DiskFullError, match=r"12: .*; kept: 6"):
            train(tmp_path, on_full_disk="stop")
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_a_stop_on_a_full_disk_says_what_is_lost(train, whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "write", full({8}))
        with pytest.raises(Interrupted, match=r"stopped after step 8, which was not saved: .*; kept: 6"):
            train(tmp_path, stop_at(8))
    assert_same_run(tmp_path, train(tmp_path), whole)


def test_metrics_wait_for_space(train, whole, tmp_path, monkeypatch, capsys):
    """No checkpoint is written before the metrics of its step."""
    calls = []

    def fsync(descriptor):
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        calls.append(name)
        if calls.count("metrics.jsonl") == 1 and name == "metrics.jsonl":
            os.write(descriptor, b'{"half')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(metric_log.os, "fsync", fsync)
        state = train(tmp_path, keep_latest=9)
    assert "metrics.jsonl: the metrics could not be written (no space left on device); continuing" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["12", "18"]
    assert_same_run(tmp_path, state, whole)


def test_a_failing_disk_stops_training(train, tmp_path, monkeypatch):
    def failing(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(checkpoint_format, "write", failing)
    with pytest.raises(TrainingError, match=r"could not be written \(.*Input/output error\); nothing is saved yet"):
        train(tmp_path)


def test_second_process_is_refused(train, tmp_path):
    with (
        locked(tmp_path),
        pytest.raises(TrainingError, match=rf"in use by process {os.getpid()} on \S+, expected another"),
    ):
        train(tmp_path)
    assert list(tmp_path.iterdir()) == [tmp_path / ".lock"]
    train(tmp_path)


@pytest.mark.parametrize("make", [lambda path: path.symlink_to(path.with_name("precious")), os.mkfifo])
def test_a_lock_that_is_no_file_is_left_alone(tmp_path, make):
    (tmp_path / "precious").write_text("mine")
    make(tmp_path / ".lock")
    with pytest.raises(TrainingError, match=r"\.lock: (found a link|not a file), expected .*; remove it"), locked(tmp_path):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_name_that_loses_checkpoints_is_refused_first(train, tmp_path):
    with pytest.raises(UserError, match=r"seed\[0\]: found \[ in the path, expected a path without it"):
        train(tmp_path / "seed[0]")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_gives_a_warning(tmp_path, monkeypatch):
    def flock(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_directory.fcntl, "flock", flock)
    with pytest.warns(UserWarning, match=r"cannot be locked \(No locks available\)"), locked(tmp_path):
        pass


def test_a_second_signal_ends_at_once(monkeypatch):
    codes, before = [], signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(os, "_exit", codes.append)
    with Interruption() as interruption:
        interruption.deferred = True
        os.kill(os.getpid(), signal.SIGTERM)
        assert (interruption.stop(), codes) == (True, [])
        os.kill(os.getpid(), signal.SIGINT)
        assert codes == [130]
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_before_training_begins_stops_at_once(prepared, tmp_path):
    config, data = prepared

    def make_trainer(*arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        return Trainer(*arguments)

    with pytest.raises(Interrupted, match="stopped before training began"), Interruption() as interruption:
        fit(config, tmp_path, data, interruption, make_trainer=make_trainer)


def test_a_fork_goes_on_under_another_config(train, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(8))
    with pytest.raises(TrainingError, match=r"another config\.train\.epochs \(3, here 4\); expected .* --fork"):
        train(tmp_path, epochs=4)
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(9), fork=True, learning_rate=5e-4)
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(10), fork=True, learning_rate=5e-4, epochs=5)
    for _ in range(2):  # again with --fork, which then has nothing to do, and without it
        with pytest.raises(Interrupted):
            train(tmp_path, stop_at(10, 11, 12, 13), fork=True, learning_rate=5e-4, epochs=4)
    state = train(tmp_path, learning_rate=5e-4, epochs=4)
    assert int(state.step) == 24
    assert json.loads((tmp_path / "forks.json").read_text()) == {
        "8": {"fields": {"train.learning_rate": [1e-3, 5e-4]}},
        "9": {"fields": {"train.epochs": [3, 5]}},
        "10": {"fields": {"train.epochs": [5, 4]}},
    }
    assert records.fork_labels(tmp_path, 9) == ["config changed at step 8: train.learning_rate from 0.001 to 0.0005"]
    assert len(records.fork_labels(tmp_path, 24)) == 3
    kept = [
        config_files.load(tmp_path, name).train for name in ("config.8.json", "config.9.json", "config.10.json", "config.json")
    ]
    assert [(train.learning_rate, train.epochs) for train in kept] == [(1e-3, 3), (5e-4, 3), (5e-4, 5), (5e-4, 4)]
    assert steps(tmp_path) == [6, 12, 18, 24]
    for damage in ("{", "[" * 100_000, "[1]", '{"8": {}}', '{"x": {"fields": {}}}', '{"8": {"fields": {"a": [1]}}}'):
        (tmp_path / "forks.json").write_text(damage)
        with pytest.raises(TrainingError, match=r"forks\.json: damaged"):
            records.fork_labels(tmp_path, 24)


def test_other_data_are_refused(train, whole, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(8))
    file = tmp_path / "data.json"
    stored = json.loads(file.read_text())
    for other in (stored | {"training_frames": 600}, stored | {"means": [1.0, *stored["means"][1:]]}):
        file.write_text(json.dumps(other))
        with pytest.raises(
            TrainingError, match=r"found a run with another data \([\d,]+ training and 142 validation frames, here 1,2"
        ):
            train(tmp_path)
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(9), fork=True)
    fields = json.loads((tmp_path / "forks.json").read_text())["8"]["fields"]
    assert fields == {"data": ["1,287 training and 142 validation frames"] * 2}
    assert json.loads(file.read_text()) == stored
    for damaged in ("{", "[" * 100_000, "[1]", "{}", json.dumps(stored | {"means": ["x"]})):
        file.write_text(damaged)
        with pytest.raises(TrainingError, match=r"data\.json: damaged"):
            train(tmp_path)
    file.unlink()  # as for an imported run
    assert_same_run(tmp_path, train(tmp_path), whole)
    assert json.loads(file.read_text()) == stored


def test_data_are_known_again(prepared):
    """The fingerprint tolerates other last bits, but not another order."""
    frames = prepared[1][0].validation
    known = records.describe_data(frames, frames)
    bits = dataclasses.replace(frames, targets=frames.targets * np.float32(1 + 1e-6))
    assert records.same_data(known, records.describe_data(frames, bits))
    for changed in (dataclasses.replace(frames, inputs_2d=frames.inputs_2d[::-1]), prepared[1][0].training):
        assert not records.same_data(known, records.describe_data(frames, changed))


def test_what_ranks_checkpoints_may_not_change(prepared, train, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(1))
    other = prepared[0].copy_and_resolve_references()
    other.evaluate.batch_frames += 1
    assert records.check_config(other, tmp_path, fork=False) == {}
    other.evaluate.flip = False
    with pytest.raises(TrainingError, match=r"another config\.evaluate\.flip \(True, here False\)"):
        records.check_config(other, tmp_path, fork=False)


def test_what_is_printed_is_not_markup(prepared, tmp_path, capsys):
    config, (data,) = prepared
    config = config.copy_and_resolve_references()
    config.train.epochs = 1
    with Interruption() as interruption:
        fit(config, tmp_path, [dataclasses.replace(data, labels=("[/b] [seed] :smile:",))], interruption)
    assert "[/b] [seed] :smile:\n" in capsys.readouterr().out


def test_a_fork_to_another_network_is_refused(prepared, train, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(1))
    before = (tmp_path / "config.json").read_bytes()
    other = prepared[0].copy_and_resolve_references()
    other.model.channels = 41
    with pytest.raises(
        UserError, match=r"found shape \(40,\), expected shape \(41,\) for the joints and the network"
    ) as caught:
        train_and_evaluate(other, tmp_path, fork=True)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "config.json").read_bytes() == before
    assert not (tmp_path / "forks.json").exists()


def test_a_fork_with_shorter_epochs_ends_the_epoch(train, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, stop_at(5))
    assert int(train(tmp_path, fork=True, batch_size=1000, epochs=1).step) == 6
    assert steps(tmp_path) == [6]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("loss", np.nan, "the loss became infinite or not a number"),
        ("gradient_norm", np.nan, "the gradient became infinite or not a number"),
        ("gradient_norm", np.inf, "the gradient became infinite or not a number"),
        ("gradient_norm", 1e9, "the gradient's norm rose to 1e\\+09, above config.train.max_gradient_norm"),
    ],
)
def test_divergence_stops_before_it_is_saved(train, whole, tmp_path, name, value, words):
    """Checkpoints are due after every step."""

    def diverge(step, progress):
        if step == 9:
            progress.totals[0][name] = np.float32(value)

    with pytest.raises(TrainingError, match=rf"{words} in epoch 2; the checkpoint of step 8 is kept\. Try a smaller"):
        train(tmp_path, after_step=diverge, checkpoint_minutes=1e-9)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["6", "7", "8"]
    assert steps(tmp_path) == [6]
    assert_same_run(tmp_path, train(tmp_path), whole)
