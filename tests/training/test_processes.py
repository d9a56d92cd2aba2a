"""Training in two processes of this machine, over loopback: the same network, one fate, one line about a mistake."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from srnet_jax.config import schema
from srnet_jax.errors import UserError
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.training import peers, processes
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.loop import train_and_evaluate
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import create_train_state

ROOT = Path(__file__).parent.parent.parent
LOST = "error: another process of this training has ended; start all of them again to continue\n"
TINY = {  # batches of odd size, BatchNorm and dropout
    "data.num_frames": 2000,
    "data.cameras.number": 1,
    "model.network": "fc",
    "model.channels": 40,
    "model.filter_widths": (1, 1),
    "model.dropout": 0.1,
    "train.epochs": 2,
    "train.batch_size": 301,
    "train.learning_rate": 1e-5,
}
ENDLESS = {"train.epochs": 10_000, "train.batch_size": 64, "train.lr_decay": 1.0}


def free_port():
    with socket.create_server(("", 0)) as found:
        return found.getsockname()[1]


class Training:
    """One process of a training."""

    def __init__(self, folder, changes, *flags, devices=1):
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", f"device_count={devices}"),
            "PYTHONUNBUFFERED": "1",
        }
        fields = [f"--config.{name}={value}" for name, value in {**TINY, **changes}.items()]
        self.output, self.errors = (folder.with_suffix(f".{len(flags)}{flags[-1][-1]}{end}") for end in ("out", "err"))
        with self.output.open("w") as output, self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "launch.train", f"--workdir={folder}", *fields, *flags],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=errors,
            )

    def wait(self, timeout=120):
        return self.process.wait(timeout), self.output.read_text(), self.errors.read_text()


@contextlib.contextmanager
def two(folder, *changes, devices=1, flags=()):
    """Start two processes, with a workdir for each as if they shared no disk; none outlives the context."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    started = []
    try:
        for number in range(2):
            started.append(
                Training(
                    folder / f"run{number}",
                    changes[number % len(changes)],
                    f"--coordinator=127.0.0.1:{port}",
                    "--num_processes=2",
                    *flags,
                    f"--process_id={number}",
                    devices=devices,
                )
            )
        yield started
    finally:
        for training in started:
            training.process.kill()
            training.process.wait()


def until(condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def epochs(folder):
    with contextlib.suppress(FileNotFoundError):
        return (folder / "metrics.jsonl").read_text().splitlines()
    return []


def config_of(config, changes):
    config = config.copy_and_resolve_references()
    config.update_from_flattened_dict({**TINY, "num_devices": 1, **changes})
    schema.validate(config)
    return config


def restored(config, folder):
    """Return the last state of a run, and its metrics."""
    state = create_train_state(create_model(config.model), create_optimizer(), config.seed)
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.restore("latest", state), [json.loads(line) for line in epochs(folder)]


@pytest.fixture(scope="module")
def alone(shared_config, tmp_path_factory):
    """What training in one process gives, by the changes."""
    known = {}

    def train(changes):
        key = str(changes)
        if key not in known:
            folder = tmp_path_factory.mktemp("alone") / "run"
            config = config_of(shared_config, changes)
            train_and_evaluate(config, folder)
            known[key] = config, *restored(config, folder)
        return known[key]

    return train


def assert_same_training(folder, expected):
    """Compare steps, weights, statistics, moments and metrics, see `test_parallel`."""
    config, state, metrics = expected
    found, found_metrics = restored(config, folder)
    assert int(found.step) == int(state.step)
    leaves = dict(jax.tree_util.tree_leaves_with_path(found))
    for path, value in jax.tree_util.tree_leaves_with_path(state):
        # where a gradient cancels to rounding, each step may go either way
        tolerance = (
            2 * config.train.learning_rate * int(state.step) if path[0].name == "params" else 5e-3 * np.abs(value).max() + 1e-6
        )
        np.testing.assert_allclose(leaves[path], value, atol=tolerance, rtol=0, err_msg=str(path))
    assert [line["step"] for line in found_metrics] == [line["step"] for line in metrics]
    for a, b in zip(found_metrics, metrics, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


SR = {"train.epochs": 1, "model.network": "sr", "model.channels": 24, "model.filter_widths": (1,)}


@pytest.mark.parametrize(
    ("changes", "how", "devices"),
    [
        ({}, {}, 1),
        pytest.param({}, {"parallel": "pmap", "train.data_on": "host"}, 2, marks=pytest.mark.slow),
        pytest.param({}, {"num_devices": 2, "train.steps_per_call": 3}, 2, marks=pytest.mark.slow),
        pytest.param(SR, {"train.data_on": "host"}, 1, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_two_processes_train_the_network_of_one(alone, tmp_path, changes, how, devices):
    with two(tmp_path, {**changes, **how}, devices=devices) as trainings:
        (code, output, errors), other = (training.wait() for training in trainings)
    assert (code, errors) == (0, "")
    assert other == (0, "", "")
    assert "of 2 processes" in output
    assert output.splitlines()[-1].startswith("done.")
    assert not (tmp_path / "run1").exists()
    assert_same_training(tmp_path / "run0", alone(changes))


@pytest.mark.slow
def test_a_killed_process_ends_the_other_and_a_signal_stops_both_and_both_resume(alone, tmp_path):
    """kill -9 of the second, SIGTERM to the second, and on to the end."""
    changes = {**TINY, **ENDLESS}
    with two(tmp_path, changes) as (first, second):
        until(lambda: len(epochs(tmp_path / "run0")) > 1 or first.process.poll() is not None)
        second.process.kill()
        killed_at = time.monotonic()
        code, _, errors = first.wait(20)
        assert time.monotonic() - killed_at < 10
    assert (code, errors) == (75, LOST)
    done = len(epochs(tmp_path / "run0"))
    with two(tmp_path, changes) as (first, second):
        until(lambda: len(epochs(tmp_path / "run0")) > done or first.process.poll() is not None)
        second.process.send_signal(signal.SIGTERM)
        (code, output, errors), (other_code, other_output, other_errors) = first.wait(20), second.wait(20)
    assert (code, other_code, other_output) == (75, 75, "")
    assert "resuming after epoch" in output
    stopped = re.fullmatch(r"stopped after step (\d+); run the same command again to continue\n", errors)
    assert stopped
    assert other_errors == "stopping after this step; a second signal stops at once\n" + errors
    assert (tmp_path / "run0" / "checkpoints" / stopped[1]).is_dir()
    assert not (tmp_path / "run1").exists()


@pytest.mark.slow
def test_stopped_and_killed_training_ends_as_if_left_alone(alone, tmp_path):
    changes = {"train.epochs": 40, "train.batch_size": 64, "train.checkpoint_minutes": 0.003}
    for round_ in range(6):
        with two(tmp_path, changes) as trainings:
            done = len(epochs(tmp_path / "run0"))
            until(lambda done=done: len(epochs(tmp_path / "run0")) > done or trainings[0].process.poll() is not None)
            trainings[round_ % 2].process.send_signal((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[round_ % 3])
            results = [training.wait(30) for training in trainings]
        for code, _, errors in results:
            assert code in (0, 75, -9)
            assert "Traceback" not in errors
            assert len(errors.splitlines()) <= 2
    with two(tmp_path, changes) as trainings:
        assert [training.wait()[0] for training in trainings] == [0, 0]
    assert_same_training(tmp_path / "run0", alone({name: changes[name] for name in ("train.epochs", "train.batch_size")}))


@pytest.mark.slow
def test_a_killed_coordinator_ends_the_other(tmp_path):
    with two(tmp_path, ENDLESS) as (first, second):
        until(lambda: epochs(tmp_path / "run0") or first.process.poll() is not None)
        first.process.kill()
        assert second.wait(20) == (75, "", LOST)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.learning_rate": 0.5}, "config.train.learning_rate (1e-05 in process 0, 0.5 there)"),
        pytest.param(
            {"data.source": "mocap", "data.path": "nothing.npz"},
            "config.data.source ('synthetic' in process 0, 'mocap' there)",
            marks=pytest.mark.slow,
        ),
    ],
    ids=str,
)
def test_processes_that_differ_are_refused(tmp_path, changes, message):
    with two(tmp_path, {}, changes) as trainings:
        results = [training.wait() for training in trainings]
    assert results == [(2, "", f"error: process 1: another {message}; expected the same in all processes\n")] * 2
    assert not (tmp_path / "run0").exists()


@pytest.mark.slow
def test_other_data_and_missing_data_are_refused_in_all_processes(tmp_path, mocap_clips):
    files = [tmp_path / name for name in ("a.npz", "b.npz", "missing.npz")]
    np.savez(files[0], **mocap_clips)
    np.savez(files[1], **{name: clip[:-2] for name, clip in mocap_clips.items()})
    fields = {
        "data.source": "mocap",
        "protocol.subjects_train": ("a", "b"),
        "protocol.subjects_test": ("c",),
        "train.batch_size": 16,
    }
    for other, message in (
        (files[1], r"error: process 1: another data \(\d+ training and \d+ validation frames in process 0, .* there\); .*\n"),
        (files[2], r"error: (process 1: )?.*missing.npz: no such file\n"),
    ):
        with two(tmp_path / other.stem, *({**fields, "data.path": file} for file in (files[0], other))) as trainings:
            results = [training.wait() for training in trainings]
        for code, output, errors in results:
            assert (code, output) == (2, "")
            assert re.fullmatch(message, errors)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost", 2, 0), "--coordinator=localhost: expected HOST:PORT, as 10.0.0.1:1234, or auto"),
        (("a b:1", 2, 0), "--coordinator=a b:1: expected HOST:PORT"),
        (("localhost:0", 2, 0), "--coordinator=localhost:0: expected HOST:PORT"),
        (("localhost:65536", 2, 0), "--coordinator=localhost:65536: expected HOST:PORT"),
        (("::1:80", 2, 0), "--coordinator=::1:80: expected HOST:PORT"),
        (("[::1]:80", None, 0), "--num_processes: missing, expected a number beside --coordinator"),
        (("localhost:80", 2, None), "--process_id: missing"),
        (("localhost:80", 0, 0), "--num_processes=0: expected 1 or more"),
        (("localhost:80", 2, 2), "--process_id=2: expected a number from 0 to 1"),
        (("localhost:80", 2, -1), "--process_id=-1: expected a number from 0 to 1"),
        ((None, 2, None), "--num_processes=2: expected --coordinator=HOST:PORT too"),
        ((None, None, 0), "--process_id=0: expected --coordinator=HOST:PORT too"),
        (("auto", None, 0), "--process_id=0: expected nothing beside auto"),
        (("auto", None, None), "--coordinator=auto: found no SLURM, TPU, Open MPI or Kubernetes, expected HOST:PORT"),
    ],
)
def test_mistakes_in_the_flags(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        processes.start(*arguments)


class StopError(Exception):
    pass


def test_auto_takes_what_slurm_says(monkeypatch):
    slurm = {"JOB_ID": "77", "STEP_NODELIST": "node[03-04]", "NTASKS": "2", "PROCID": "1", "LOCALID": "0"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)

    def join(*arguments):
        assert arguments[:3] == (("node03", 61517), 2, 1)
        raise StopError

    monkeypatch.setattr(peers, "join", join)
    with pytest.raises(StopError):
        processes.start("auto", None, None)


def test_flags_mistakes_and_an_absent_coordinator_are_one_line(tmp_path):
    port = free_port()
    for arguments, message in (
        (("--coordinator=nohost",), "error: --coordinator=nohost: expected HOST:PORT, as 10.0.0.1:1234, or auto\n"),
        (
            (f"--coordinator=127.0.0.1:{port}", "--num_processes=2", "--wait_s=0.5", "--process_id=1"),
            f"error: --coordinator=127.0.0.1:{port}: no answer within 0.5 s, expected process 0 there\n",
        ),
    ):
        training = Training(tmp_path / "run", {}, *arguments)
        try:
            assert training.wait() == (2, "", message)
        finally:
            training.process.kill()


def meet(port, *others, count=2, within_s=20.0):
    """Let process 0 and others find each other; return what became of each, and the event of a loss in process 0."""
    results, lost = {}, threading.Event()

    def run(name, work, *arguments):
        try:
            results[name] = work(*arguments)
        except UserError as error:
            results[name] = str(error)

    threads = [threading.Thread(target=run, args=("host", peers.host, port, count, within_s, lost.set), daemon=True)]
    for number, arguments in enumerate(others):
        settings = (("127.0.0.1", port), *arguments, within_s, lambda: None)
        threads.append(threading.Thread(target=run, args=(number, peers.join, *settings), daemon=True))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results, lost


def test_processes_that_do_not_find_each_other():
    results, _ = meet(free_port(), (3, 2), count=3, within_s=1.0)
    assert set(results.values()) == {"--num_processes=3: process 1 did not start within 1 s"}
    results, _ = meet(free_port(), (3, 1))
    assert set(results.values()) == {"--num_processes: 3 in process 1, 2 in process 0, expected the same"}
    results, _ = meet(free_port(), (3, 1), (3, 1), count=3)
    assert "--process_id=1: given to two processes, expected each from 0 to 2 once" in results.values()
    with socket.create_server(("", free_port())) as taken, pytest.raises(UserError, match=r"port .* cannot be listened on"):
        peers.host(taken.getsockname()[1], 2, 1.0, lambda: None)


def test_strangers_do_not_disturb_and_silence_is_noticed(monkeypatch):
    monkeypatch.setattr(peers, "_HELLO_S", 0.2)
    monkeypatch.setattr(peers, "SILENCE_S", 0.5)
    monkeypatch.setattr(peers, "BEAT_S", 60.0)
    port = free_port()
    strangers = []

    def disturb():
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n", b'{"process_id": "1"}\n', b"[]\n"):
            until(lambda said=said: connect(said))

    def connect(said):
        with contextlib.suppress(OSError):
            strangers.append(socket.create_connection(("127.0.0.1", port)))
            strangers[-1].sendall(said)
            return True

    disturber = threading.Thread(target=disturb, daemon=True)
    disturber.start()
    threading.Timer(1.5, lambda: results.append(peers.join(("127.0.0.1", port), 2, 1, 10.0, lambda: None))).start()
    results, lost = [], threading.Event()
    address = peers.host(port, 2, 10.0, lost.set)
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    assert not lost.is_set()
    assert lost.wait(5)
    for stranger in strangers:
        stranger.close()
