"""Manage the workdir of one run: its lock, config, data fingerprint, checkpoints and metrics. It does not handle devices.

In several processes only process 0 reads and writes the workdir. Only this module makes that distinction: in the other
processes the same calls do nothing.
"""

import contextlib
import dataclasses
import fcntl
import math
import os
import socket
import stat
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files
from srnet_jax.errors import DiskFullError, TrainingError, one_line
from srnet_jax.io.files import check_folder, check_new
from srnet_jax.training import processes, records
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.metric_log import METRICS_FILE, MetricLog, read_lines
from srnet_jax.training.trainer import TrainingData

LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Lock a workdir against other processes; the kernel releases the lock when this process ends in any way.

    Raises:
      TrainingError: if another process holds the lock (the message names it), or the lock file is a link or not a file.
    """
    path = workdir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if not path.is_symlink():
            raise
        raise TrainingError(f"{path}: found a link, expected a file; remove it") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TrainingError(f"{path}: not a file, expected a file; remove it")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = one_line(file.read(200).decode(errors="replace").strip(), 100) or "another process"
            raise TrainingError(f"{workdir}: in use by {owner}, expected another workdir") from error
        except OSError as error:  # some network file systems
            warnings.warn(f"{workdir}: cannot be locked ({error.strerror}); do not start a second training there", stacklevel=2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield


def check_workdir(workdir: Path, config: ConfigDict, *, ensemble: bool, fork: bool) -> None:
    """Check, before the data are read, that a workdir can be used for a run.

    Raises:
      UserError: if checkpoints would be lost there, the workdir is not a folder or cannot be created, it holds a run instead of
        an ensemble or the reverse, it belongs to another config and `fork` is False, or it is in use.
      OSError: if the workdir is not writable.
    """
    Checkpoints.check_path(workdir)
    if jax.process_index():
        return
    other = config_files.ENSEMBLE_FILE if not ensemble else config_files.CONFIG_FILE
    place = workdir.parent if ensemble else workdir
    if (place / other).exists():
        held, given = ("a run", "an ensemble") if ensemble else ("an ensemble", "a run")
        raise TrainingError(f"{place}: found {held} ({other}), expected another workdir for {given}")
    if workdir.is_dir():
        records.check_config(config, workdir, fork=fork)
        with locked(workdir):
            return
    check_folder(workdir)
    check_new(workdir)


def save_ensemble(config: ConfigDict, workdir: Path) -> None:
    """Write the config of an ensemble to its folder."""
    if not jax.process_index():
        config_files.save(config, workdir, config_files.ENSEMBLE_FILE)


class RunDirectory:
    """Read and write a run's workdir, which is locked while the context of `open` lasts.

    Metrics are written before the checkpoint of their step, so that a checkpoint never lacks earlier lines.

    Attributes:
      path: path of the workdir.
    """

    _checkpoints: Checkpoints
    _log: MetricLog

    def __init__(self, path: Path, train: ConfigDict, say: Callable[[str], None]) -> None:
        """Do not call this directly; `open` also locks and checks the workdir."""
        self.path, self._train, self._say = path, train, say
        self._writes = jax.process_index() == 0
        self._saved_at = time.monotonic()
        self._last: tuple[Snapshot, float | None] | None = None  # the last snapshot to save, and its validation error

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, path: Path, config: ConfigDict, data: TrainingData, initial: Snapshot, *, fork: bool, say: Callable[[str], None]
    ) -> Iterator[tuple["RunDirectory", Snapshot]]:
        """Open a run's workdir, creating it if necessary, and find the snapshot to continue from.

        Args:
          path: path of the workdir.
          config: config of the run.
          data: data of the run.
          initial: the snapshot before the first step.
          fork: whether to continue a run of another config or other data instead of rejecting it.
          say: called with each line for the user.

        Yields:
          The directory, and the snapshot to continue from.

        Raises:
          UserError: if the workdir is in use, belongs to another config or other data, or cannot be written.
        """
        run = cls(path, config.train, say)
        if not run._writes:
            yield run, _from_process_0(initial)
            return
        with contextlib.ExitStack() as stack:
            path.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(path))
            fingerprint = records.describe_data(data.training, data.validation) | {"fps": data.fps}
            changes = records.check_config(config, path, fork=fork, data=fingerprint)
            train = config.train
            kept = {name: train[name] for name in ("keep_latest", "keep_best", "keep_epochs")}
            run._checkpoints = stack.enter_context(Checkpoints(path, **kept, say=say))
            snapshot = run._checkpoints.restore_latest(initial.state)
            if snapshot is None:
                if steps := [line["step"] for _, line in read_lines(path / METRICS_FILE)]:
                    say(
                        f"warning: {path}: no checkpoint, but {METRICS_FILE} up to step {steps[-1]:.0f}; "
                        "training starts from the beginning"
                    )
                run._checkpoints.try_writing(initial)
                snapshot = initial
            if changes:
                records.record_fork(config, path, int(snapshot.state.step), changes)
            config_files.save(config, path)
            records.save_data(fingerprint, path)
            run._log = stack.enter_context(MetricLog(path, from_step=int(snapshot.state.step), tensorboard=train.tensorboard))
            yield run, _from_process_0(snapshot)

    @property
    def due(self) -> bool:
        """Whether it is time for another checkpoint, by `config.train.checkpoint_minutes`."""
        minutes = self._train.checkpoint_minutes or math.inf
        return self._writes and time.monotonic() - self._saved_at >= 60 * minutes

    @property
    def kept(self) -> str:
        """Text about the checkpoint to continue from."""
        return self._checkpoints.kept if self._writes else "what process 0 saved is kept"

    def check(self, *, wait: bool = False) -> None:
        """Report a save that failed because the disk is full; raise if the config asks to stop, or for any other failure."""
        if self._writes:
            self._handle(self._checkpoints.failure(wait=wait))

    def add_metrics(self, step: int, metrics: dict[str, float], *, only_shown: dict[str, float]) -> None:
        """Add the metrics of a step, which the next `save` writes; see `MetricLog.add`."""
        if self._writes:
            self._log.add(step, metrics, only_shown=only_shown)

    def save(self, snapshot: Snapshot, validation_mpjpe_mm: float | None = None) -> None:
        """Write the added metrics, and start to write a checkpoint."""
        if not self._writes:
            return
        self._last = (snapshot, validation_mpjpe_mm)
        self.check(wait=True)
        self._saved_at = time.monotonic()
        try:
            self._log.flush()
        except DiskFullError as error:
            self._handle(error)
        else:
            self._checkpoints.save(snapshot, validation_mpjpe_mm)

    def finish(self, snapshot: Snapshot) -> None:
        """Wait for the run's last checkpoint; write it now if it has not been written successfully.

        Raises:
          TrainingError: if the checkpoint or the metrics cannot be written.
        """
        if not self._writes:
            return
        self.check(wait=True)
        self._log.flush()
        self._checkpoints.save(snapshot, self._last[1] if self._last and self._last[0] is snapshot else None)
        if failure := self._checkpoints.failure(wait=True):
            raise failure

    def _handle(self, failure: TrainingError | None) -> None:
        if failure is not None:
            if not (self._train.on_full_disk == "continue" and isinstance(failure, DiskFullError)):
                raise failure
            self._say(f"warning: {failure}; continuing")


def _from_process_0(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of process 0, in every process."""
    found, batch = processes.broadcast((snapshot, np.int32(snapshot.batch)))
    return dataclasses.replace(found, batch=int(batch))
