"""Training in two processes over loopback gives the same network, and both processes end when one does."""

import contextlib
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from srnet_jax.config import config_files, schema
from srnet_jax.errors import UserError
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.training import processes
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.loop import train_and_evaluate
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import create_train_state

ROOT = Path(__file__).parent.parent.parent
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


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


class Training:
    """One process of a training; a change to None leaves a field unset."""

    def __init__(self, folder, changes, *flags, devices=1):
        environment = {
            **os.environ,
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", f"device_count={devices}"),
            "PYTHONUNBUFFERED": "1",
        }
        fields = [f"--config.{name}={value}" for name, value in {**TINY, **changes}.items() if value is not None]
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
    """Start two processes with separate workdirs, as without a shared disk; none outlives the context."""
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
    """Return the last state and the metrics of a run."""
    state = create_train_state(create_model(config.model), create_optimizer(), config.seed)
    with Checkpoints(folder, read_only=True) as checkpoints:
        return checkpoints.restore("latest", state), [json.loads(line) for line in epochs(folder)]


@pytest.fixture(scope="module")
def alone(shared_config, tmp_path_factory):
    """Return the results of training in one process, by the changes of the config."""
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
        # if a gradient is rounding noise, a step may have either sign
        tolerance = (
            2 * config.train.learning_rate * int(state.step) if path[0].name == "params" else 5e-3 * np.abs(value).max() + 1e-6
        )
        np.testing.assert_allclose(leaves[path], value, atol=tolerance, rtol=0, err_msg=str(path))
    assert [line["step"] for line in found_metrics] == [line["step"] for line in metrics]
    for a, b in zip(found_metrics, metrics, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


SR = {"train.epochs": 1, "model.network": "sr", "model.num_groups": 2, "model.channels": 24, "model.filter_widths": (1,)}


@pytest.mark.parametrize(
    ("changes", "how", "devices"),
    [
        pytest.param(SR, {"parallel": "pmap", "train.data_on": "host"}, 2, marks=pytest.mark.slow),
        pytest.param({}, {"num_devices": 2, "train.steps_per_call": 3}, 2, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_two_processes_train_the_network_of_one(alone, tmp_path, changes, how, devices):
    with two(tmp_path, {**changes, **how}, devices=devices) as trainings:
        (code, output, errors), other = (training.wait() for training in trainings)
    assert code == 0, errors
    assert other[:2] == (0, ""), other[2]
    assert "of 2 processes" in output
    assert output.splitlines()[-1].startswith("done.")
    assert not (tmp_path / "run1").exists()
    assert_same_training(tmp_path / "run0", alone(changes))


@pytest.mark.slow
def test_stopped_and_killed_training_ends_as_if_left_alone(tmp_path):
    """Both processes end with each other, and the result equals that of two undisturbed processes, to the bit."""
    changes = {"train.epochs": 30, "train.checkpoint_minutes": 0.003}
    for number, sent in ((1, signal.SIGTERM), (0, signal.SIGKILL)):
        with two(tmp_path, changes) as trainings:
            done = len(epochs(tmp_path / "run0"))
            until(lambda done=done: len(epochs(tmp_path / "run0")) > done or trainings[0].process.poll() is not None)
            trainings[number].process.send_signal(sent)
            (code, output, errors), other = (training.wait(2 * processes.HEARTBEAT_S) for training in trainings)
        assert "Traceback" not in errors + other[2]
        assert not (tmp_path / "run1").exists()
        if sent == signal.SIGKILL:
            assert 0 not in (code, other[0])
            continue
        assert (code, other[:2]) == (75, (75, ""))  # after a signal, both agree on a step
        stopped = re.search(r"stopped after step (\d+); run the same command again to continue\n", errors)
        assert stopped
        assert (tmp_path / "run0" / "checkpoints" / stopped[1]).is_dir()
    assert "resuming after epoch" in output
    with two(tmp_path, changes) as trainings:
        assert [training.wait()[0] for training in trainings] == [0, 0]
    with two(tmp_path / "left_alone", changes) as trainings:
        assert [training.wait()[0] for training in trainings] == [0, 0]
    config = config_files.load(tmp_path / "run0")
    found, expected = (restored(config, folder) for folder in (tmp_path / "run0", tmp_path / "left_alone" / "run0"))
    jax.tree.map(np.testing.assert_array_equal, found[0], expected[0])
    assert found[1] == expected[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.seed": 1}, "process 1: found another config.data.seed, data than in process 0, expected the same"),
        ({"data.source": "mocap", "data.path": "nothing.npz", "data.num_frames": None}, None),
    ],
    ids=str,
)
def test_processes_that_differ_are_refused(tmp_path, changes, message):
    with two(tmp_path, {}, changes) as trainings:
        results = [training.wait(2 * processes.HEARTBEAT_S) for training in trainings]
    if message:
        assert [code for code, _, _ in results] == [2, 2]
        assert [f"error: {message}" in errors for _, _, errors in results] == [True, True], results
    else:  # only one process knows the reason; JAX ends the other
        assert results[1][0] == 2
        assert results[1][2].endswith("nothing.npz: no such file, expected a NumPy .npz archive\n")
        assert results[0][0] != 0
    assert not (tmp_path / "run0").exists()


@pytest.mark.slow
def test_the_coordinator_listens_on_the_given_address_alone(tmp_path):
    port = free_port()
    flags = (f"--coordinator=127.0.0.1:{port}", "--num_processes=2", "--wait_s=60", "--process_id=0")
    training = Training(tmp_path / "run", {}, *flags)
    try:
        until(lambda: listens("127.0.0.1", port) or training.process.poll() is not None)
        assert listens("127.0.0.1", port)
        assert not listens("127.0.0.2", port)
    finally:
        training.process.kill()
        training.process.wait()


def listens(host, port):
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("localhost", 2, 0), "--coordinator=localhost: expected HOST:PORT, such as 10.0.0.1:1234, or auto"),
        (("a b:1", 2, 0), "--coordinator=a b:1: expected HOST:PORT"),
        (("localhost:0", 2, 0), "--coordinator=localhost:0: expected HOST:PORT"),
        (("localhost:65536", 2, 0), "--coordinator=localhost:65536: expected HOST:PORT"),
        (("::1:80", 2, 0), "--coordinator=::1:80: expected HOST:PORT"),
        (("[::1]:80", None, 0), "--num_processes: missing, expected a number with --coordinator"),
        (("localhost:80", 2, None), "--process_id: missing"),
        (("localhost:80", 0, 0), "--num_processes=0: expected 1 or more"),
        (("localhost:80", 2, 2), "--process_id=2: expected a number from 0 to 1"),
        (("localhost:80", 2, -1), "--process_id=-1: expected a number from 0 to 1"),
        ((None, 2, None), "--num_processes=2: expected --coordinator=HOST:PORT as well"),
        ((None, None, 0), "--process_id=0: expected --coordinator=HOST:PORT as well"),
        (("localhost:80", 2, 0, math.nan), "--wait_s=nan: expected seconds from 1 to 1,000,000"),
        (("localhost:80", 2, 0, math.inf), "--wait_s=inf: expected seconds"),
        (("localhost:80", 2, 0, 0.5), "--wait_s=0.5: expected seconds"),
        (("auto", None, 0), "--process_id=0: expected no such flag with --coordinator=auto"),
        (("auto", None, None), "expected SLURM, a TPU, Open MPI or Kubernetes"),
    ],
)
def test_mistakes_in_the_flags(arguments, message):
    with pytest.raises(UserError, match=re.escape(message)):
        processes.start(*arguments)


@pytest.mark.slow
def test_an_absent_coordinator_is_one_line(tmp_path):
    flags = (f"--coordinator=127.0.0.1:{free_port()}", "--num_processes=2", "--wait_s=1", "--process_id=1")
    training = Training(tmp_path / "run", {}, *flags)
    try:
        code, _, errors = training.wait()
    finally:
        training.process.kill()
    assert code != 0
    assert "Traceback" not in errors
