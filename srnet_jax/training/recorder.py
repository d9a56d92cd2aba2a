"""What a run writes while it trains, in the order that any interruption survives, and what a full disk does to it."""

import math
import time
from collections.abc import Callable

from ml_collections import ConfigDict

from srnet_jax.errors import DiskFullError, TrainingError
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.metric_log import MetricLog


class Recorder:
    """Writes metrics before the checkpoint of their step, so that a checkpoint never lacks the lines before it."""

    def __init__(self, checkpoints: Checkpoints, log: MetricLog, train: ConfigDict, say: Callable[[str], None]) -> None:
        """Begin to count the minutes to the next checkpoint within an epoch."""
        self._checkpoints, self._log, self._say = checkpoints, log, say
        self._goes_on = train.on_full_disk == "continue"
        self._interval_s = 60 * train.checkpoint_minutes or math.inf
        self._saved_at = time.monotonic()
        self._last: tuple[Snapshot, float | None] | None = None  # that was to be saved, with its validation error

    @property
    def due(self) -> bool:
        """Whether the last checkpoint lies as far back as the config allows."""
        return time.monotonic() - self._saved_at >= self._interval_s

    @property
    def kept(self) -> str:
        """What there is to continue from, in words."""
        return self._checkpoints.kept

    def check(self, *, wait: bool = False) -> None:
        """Say that a save failed for want of space, or raise if it failed otherwise or the config says to stop."""
        self._handle(self._checkpoints.failure(wait=wait))

    def add_metrics(self, step: int, metrics: dict[str, float], *, only_shown: dict[str, float]) -> None:
        """Take the metrics of a step, which the next `save` writes; see `MetricLog.add`."""
        self._log.add(step, metrics, only_shown=only_shown)

    def save(self, snapshot: Snapshot, validation_mpjpe_mm: float | None = None) -> None:
        """Write the metrics that were taken, and begin to write a checkpoint."""
        self._last = (snapshot, validation_mpjpe_mm)
        self.check(wait=True)
        self._saved_at = time.monotonic()
        try:
            self._log.flush()
        except DiskFullError as error:
            self._handle(error)
        else:
            self._checkpoints.save(snapshot, validation_mpjpe_mm)

    def save_last(self, snapshot: Snapshot) -> TrainingError | None:
        """Write what is not written yet before the run ends early, and return why it could not be."""
        validation_mpjpe_mm = self._last[1] if self._last and self._last[0] is snapshot else None
        try:
            self.check(wait=True)
            self._log.flush()
            self._checkpoints.save(snapshot, validation_mpjpe_mm)
            return self._checkpoints.failure(wait=True)
        except TrainingError as error:
            return error

    def finish(self) -> None:
        """Wait for the last checkpoint, which is written now if it could not be before.

        Raises:
          TrainingError: if it, or the metrics, could not be written.
        """
        self._log.flush()
        if self._last:
            self._checkpoints.save(*self._last)
        failure = self._checkpoints.failure(wait=True)
        if failure is not None:
            raise failure

    def _handle(self, failure: TrainingError | None) -> None:
        if failure is not None:
            if not (self._goes_on and isinstance(failure, DiskFullError)):
                raise failure
            self._say(f"warning: {failure}; going on")


class Bystander:
    """Stands for the Recorder in the processes that write nothing, see `processes`."""

    due = False
    kept = "what process 0 saved is kept"

    def check(self, *, wait: bool = False) -> None:
        """Do nothing, as the methods below."""

    def add_metrics(self, step: int, metrics: dict[str, float], *, only_shown: dict[str, float]) -> None:
        """See `Recorder.add_metrics`."""

    def save(self, snapshot: Snapshot, validation_mpjpe_mm: float | None = None) -> None:
        """See `Recorder.save`."""

    def save_last(self, snapshot: Snapshot) -> None:
        """See `Recorder.save_last`; process 0 says what became of the checkpoint."""

    def finish(self) -> None:
        """See `Recorder.finish`."""
