"""The workdir of one run: lock, config, data fingerprint, checkpoints and log. It knows no devices.

Among several processes only process 0 reads and writes it. This is the only module that knows which process that is: in the
others the same calls do nothing.
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
from srnet_jax.io.files import check_new
from srnet_jax.training import processes, records
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.trainer import TrainingData

LOCK_FILE = ".lock"


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Lock a workdir against other processes; the kernel releases it however this process ends.

    Raises:
      TrainingError: if another process has it, which is named, or the lock is a link to a file that should not be written.
    """
    path = workdir / LOCK_FILE
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if not path.is_symlink():
            raise
        raise TrainingError(f"{path}: a link, expected a file; remove it") from error
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TrainingError(f"{path}: not a file, expected one; remove it")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = one_line(file.read(200).decode(errors="replace").strip(), 100) or "another process"
            raise TrainingError(f"{workdir}: in use by {owner}, expected another workdir") from error
        except OSError as error:  # some network file systems
            warnings.warn(f"{workdir}: cannot be locked ({error.strerror}); start no second training there", stacklevel=2)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield


def check_workdir(workdir: Path, config: ConfigDict, *, ensemble: bool, fork: bool) -> None:
    """Refuse a workdir that cannot take a run, before its data are read.

    Raises:
      UserError: if its checkpoints would be lost, it is no folder or cannot be made, it holds an ensemble or a run where the
        other is expected, it belongs to another config and `fork` is False, or it is in use.
      OSError: if nothing may be written there.
    """
    Checkpoints.check_path(workdir)
    if jax.process_index():
        return
    other = config_files.ENSEMBLE_FILE if not ensemble else config_files.CONFIG_FILE
    place = workdir.parent if ensemble else workdir
    if (place / other).exists():
        held, given = ("a run", "an ensemble") if ensemble else ("an ensemble", "a run")
        raise TrainingError(f"{place}: holds {held} ({other}), found a config of {given}; expected another workdir")
    if workdir.is_dir():
        records.check_config(config, workdir, fork=fork)
        with locked(workdir):
            return
    if workdir.exists():
        raise TrainingError(f"{workdir}: found a file, expected a folder or a new name")
    check_new(workdir)


def save_ensemble(config: ConfigDict, workdir: Path) -> None:
    """Record the config of an ensemble in its folder."""
    if not jax.process_index():
        config_files.save(config, workdir, config_files.ENSEMBLE_FILE)


class RunDirectory:
    """Reads and writes a run's workdir, which is locked for as long as `open` lasts.

    Metrics are written before the checkpoint of their step, so that a checkpoint never lacks the lines before it.

    Attributes:
      path: of the workdir.
    """

    _checkpoints: Checkpoints
    _log: MetricLog

    def __init__(self, path: Path, train: ConfigDict, say: Callable[[str], None]) -> None:
        """Use `open`, which also locks and checks the workdir."""
        self.path, self._train, self._say = path, train, say
        self._writes = jax.process_index() == 0
        self._saved_at = time.monotonic()
        self._last: tuple[Snapshot, float | None] | None = None  # what was to be saved, with its validation error

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, path: Path, config: ConfigDict, data: TrainingData, initial: Snapshot, *, fork: bool, say: Callable[[str], None]
    ) -> Iterator[tuple["RunDirectory", Snapshot]]:
        """Open a run's workdir, made if it does not exist, and find where the run goes on.

        Args:
          path: of the workdir.
          config: of the run.
          data: of the run.
          initial: the snapshot before the first step.
          fork: continue a run of another config or other data instead of refusing it.
          say: takes lines for the user.

        Yields:
          The directory, and the snapshot to continue from.

        Raises:
          UserError: if the workdir is in use, belongs to another config or other data, or cannot be written.
        """
        run = cls(path, config.train, say)
        if not run._writes:
            yield run, _from_first(initial)
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
                run._checkpoints.try_writing(initial)
                snapshot = initial
            if changes:
                records.record_fork(config, path, int(snapshot.state.step), changes)
            config_files.save(config, path)
            records.save_data(fingerprint, path)
            run._log = stack.enter_context(MetricLog(path, from_step=int(snapshot.state.step), tensorboard=train.tensorboard))
            yield run, _from_first(snapshot)

    @property
    def due(self) -> bool:
        """Whether the last checkpoint is as old as the config allows."""
        minutes = self._train.checkpoint_minutes or math.inf
        return self._writes and time.monotonic() - self._saved_at >= 60 * minutes

    @property
    def kept(self) -> str:
        """What there is to continue from, as text."""
        return self._checkpoints.kept if self._writes else "what process 0 saved is kept"

    def check(self, *, wait: bool = False) -> None:
        """Report a save that failed for want of space; raise if it failed otherwise or the config says to stop."""
        if self._writes:
            self._handle(self._checkpoints.failure(wait=wait))

    def add_metrics(self, step: int, metrics: dict[str, float], *, only_shown: dict[str, float]) -> None:
        """Take the metrics of a step, which the next `save` writes; see `MetricLog.add`."""
        if self._writes:
            self._log.add(step, metrics, only_shown=only_shown)

    def save(self, snapshot: Snapshot, validation_mpjpe_mm: float | None = None) -> None:
        """Write the metrics that were taken, and begin to write a checkpoint."""
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
        """Wait for the run's last checkpoint, which is written now if it was not, or could not be, before.

        Raises:
          TrainingError: if it, or the metrics, could not be written.
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
            self._say(f"warning: {failure}; going on")


def _from_first(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot of process 0."""
    found, batch = processes.broadcast((snapshot, np.int32(snapshot.batch)))
    return dataclasses.replace(found, batch=int(batch))
