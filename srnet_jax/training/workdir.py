"""A workdir belongs to one process at a time, and to one config unless a run is forked."""

import contextlib
import fcntl
import json
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax import config as config_lib
from srnet_jax.errors import TrainingError
from srnet_jax.files import write_whole
from srnet_jax.training.checkpoint import Checkpoints

LOCK_FILE = ".lock"
FORKS_FILE = "forks.json"  # {step: {"fields": {name: [before, after]}}}

_FREE_TO_CHANGE = {  # when a run continues, beside evaluate.* and protocol.rare_*: they do not change the network
    "data.path",
    "test_data.path",
    "train.tensorboard",
    "train.checkpoint_minutes",
    "train.keep_latest",
    "train.keep_best",
    "train.on_full_disk",
    "train.max_gradient_norm",
    "train.data_on",
    "train.steps_per_call",
    "parallel",
    "num_devices",
}

Changes = dict[str, tuple[Any, Any]]


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keep every other process from training in a workdir; the kernel lets go of it however this process ends.

    Raises:
      TrainingError: if another process has it, which is named.
    """
    with (workdir / LOCK_FILE).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise TrainingError(f"{workdir}: in use by {owner}, expected another workdir") from error
        except OSError as error:  # some network file systems
            warnings.warn(f"{workdir}: cannot be locked ({error.strerror}); start no second training there", stacklevel=2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def check_config(config: ConfigDict, workdir: Path, *, fork: bool) -> Changes:
    """Compare a config with that of a workdir's run.

    Returns:
      The fields under which another network would have been trained, each with its values before and now; empty unless `fork`.

    Raises:
      TrainingError: if there are such fields, without `fork`.
    """
    if not Checkpoints.exist(workdir):
        return {}
    changes = _changes(config_lib.load(workdir), config)
    if changes and not fork:
        words = ", ".join(f"config.{name} ({before!r}, here {after!r})" for name, (before, after) in changes.items())
        raise TrainingError(
            f"{workdir}: holds a run with another {words}; expected the same config, a new workdir, or --fork to go on changed"
        )
    return changes


def record_fork(config: ConfigDict, workdir: Path, step: int) -> None:
    """Keep a run's old config as `config.STEP.json` and note in `forks.json` what changes at this step.

    A second fork at the same step adds to the first: nothing was trained between them.
    """
    old = workdir / f"config.{step}.json"
    if not old.exists():
        write_whole(old, (workdir / config_lib.CONFIG_FILE).read_text())
    forks = _forks(workdir)
    forks[str(step)] = {"fields": _changes(config_lib.load(workdir, old.name), config)}
    write_whole(workdir / FORKS_FILE, json.dumps(forks, indent=2) + "\n")


def fork_labels(workdir: Path, step: int) -> list[str]:
    """Return, for each fork that a checkpoint has behind it, what changed and when, in words."""
    try:
        return [
            f"config changed at step {at}: "
            + ", ".join(f"{name} from {before!r} to {after!r}" for name, (before, after) in fork["fields"].items())
            for at, fork in _forks(workdir).items()
            if int(at) < step
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TrainingError(f"{workdir / FORKS_FILE}: damaged ({error}), expected what --fork wrote") from error


def _forks(workdir: Path) -> dict[str, Any]:
    file = workdir / FORKS_FILE
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except ValueError as error:
        raise TrainingError(f"{file}: damaged ({error}), expected what --fork wrote") from error


def _changes(before: ConfigDict, after: ConfigDict) -> Changes:
    values = [dict(config_lib.flatten(config)) for config in (before, after)]
    names = [name for name in config_lib.differences(before, after) if name not in _FREE_TO_CHANGE]
    return {name: (values[0][name], values[1][name]) for name in names if not name.startswith(("evaluate.", "protocol.rare_"))}
