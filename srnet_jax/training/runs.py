"""Track the runs that one program trains: their progress, records and checkpoints, and which of them ended early.

A single run is a list of one. A run that diverges is excluded, at the latest at the end of the epoch, when every process has
the same numbers.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.errors import Interrupted, TrainingError
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.optimizer import learning_rate_schedule
from srnet_jax.training.run_directory import RunDirectory
from srnet_jax.training.state import TrainState
from srnet_jax.training.trainer import Progress, TrainingData


class DivergedError(TrainingError):
    """A run's loss, gradient or weights are not finite."""


@dataclasses.dataclass(eq=False)
class Run:
    """A run and its progress.

    Attributes:
      config: config of this run.
      data: data of this run.
      directory: its workdir.
      snapshot: the snapshot after the last epoch, or the one from which the run was continued.
      validation_mpjpe_mm: validation error after the last epoch of this program, millimetres; NaN before the first.
      failure: the error that ended the run early, or None.
    """

    config: ConfigDict
    data: TrainingData
    directory: RunDirectory
    snapshot: Snapshot
    validation_mpjpe_mm: float = math.nan
    failure: TrainingError | None = None

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return int(self.snapshot.state.epoch)


@contextlib.contextmanager
def open_runs(
    folders: Sequence[Path],
    configs: Sequence[ConfigDict],
    data: Sequence[TrainingData],
    initial: Sequence[Snapshot],
    *,
    fork: bool,
    say: Callable[[str], None],
) -> Iterator[list[Run]]:
    """Open the workdirs of runs; see `RunDirectory.open`."""
    with contextlib.ExitStack() as stack:
        yield [
            Run(config, own, *stack.enter_context(RunDirectory.open(folder, config, own, first, fork=fork, say=say)))
            for folder, config, own, first in zip(folders, configs, data, initial, strict=True)
        ]


class Runs:
    """The unfinished runs of a program, in the order of its trainer."""

    def __init__(self, runs: Sequence[Run], say: Callable[[str], None]) -> None:
        """Track these runs; `say` is called with each line for the user."""
        self._runs, self._say = runs, say

    @property
    def snapshots(self) -> list[Snapshot]:
        """The snapshot of each run after its last epoch, or the one from which it was continued."""
        return [run.snapshot for run in self._runs]

    @property
    def failed(self) -> list[bool]:
        """Whether each run ended early."""
        return [run.failure is not None for run in self._runs]

    def means(self, progress: Progress) -> list[dict[str, float]]:
        """Return the mean loss and MPJPE of each run in the current epoch; waits for the device.

        Raises:
          DivergedError: if the only run diverged.
        """
        found = []
        for index, run in self._active(progress):
            with self._leaving_out(run):
                found.append(_means(run, progress.totals[index]))
        return found

    def checkpoint_if_due(self, progress: Progress) -> None:
        """Save a checkpoint of every run in the current epoch, if one is due for any of them.

        Raises:
          TrainingError: if an earlier save failed, or the only run diverged.
        """
        for run in self._runs:
            run.directory.check()
        if any(run.directory.due for _, run in self._active(progress)):
            for index, run in self._active(progress):
                with self._leaving_out(run):
                    _check_finite(run, progress.snapshots[index])
                    run.directory.save(progress.snapshots[index])

    def finish_epoch(self, progress: Progress, validate: Callable[[int, TrainState], float]) -> list[dict[str, float]]:
        """Validate and record the runs that have just taken their last step of the epoch.

        Args:
          progress: progress within the epoch or after its last step.
          validate: function of a run's index and state that returns its validation error, millimetres.

        Returns:
          The record of each run that has just ended the epoch.

        Raises:
          DivergedError: if the only run diverged.
        """
        found = []
        for index, run in self._active(progress):
            if progress.step < progress.trainer.feed.steps[index]:
                continue
            with self._leaving_out(run):
                speed = {"poses_per_second": progress.poses_per_second}
                means = _check_finite(run, progress.snapshots[index])
                state = progress.snapshots[index].state.replace(epoch=np.int32(run.epoch + 1))
                run.validation_mpjpe_mm = validate(index, state)
                if not math.isfinite(run.validation_mpjpe_mm):
                    raise _diverged("the network became infinite or not a number", run)
                record = {
                    "epoch": run.epoch + 1,
                    **means,
                    "validation_mpjpe_mm": run.validation_mpjpe_mm,
                    "learning_rate": float(learning_rate_schedule(run.config.train)(run.epoch)),
                }
                run.directory.add_metrics(int(state.step), record, only_shown=speed)
                run.snapshot = Snapshot(state)
                run.directory.save(run.snapshot, run.validation_mpjpe_mm)
                found.append(record | speed)
        return found

    def stop(self, progress: Progress) -> NoReturn:
        """Stop all runs, and save a checkpoint of each if the disk has space.

        Raises:
          Interrupted: always, unless every run has diverged; the message has the step.
          TrainingError: if every run has diverged.
        """
        reached = self.snapshots
        for index, run in self._active(progress):
            with self._leaving_out(run):
                _check_finite(run, progress.snapshots[index])
                reached[index] = progress.snapshots[index]
        going = [(run, snapshot) for run, snapshot in zip(self._runs, reached, strict=True) if run.failure is None]
        if not going:
            raise ended_early(self._runs)
        outcome = "; run the same command again to continue"
        for run, snapshot in going:
            try:
                run.directory.finish(snapshot)
            except TrainingError as error:
                outcome = f", which was not saved: {error}"
        raise Interrupted(f"stopped after step {as_range([int(snapshot.state.step) for _, snapshot in going], '')}{outcome}")

    def _active(self, progress: Progress) -> Iterator[tuple[int, Run]]:
        """Yield the index and the run for each run in this epoch that has taken one of its steps, or has none left."""
        for index, (run, first, steps) in enumerate(zip(self._runs, progress.first, progress.trainer.feed.steps, strict=True)):
            if run.failure is None and run.epoch == progress.epoch and (progress.step > first or first == steps):
                yield index, run

    @contextlib.contextmanager
    def _leaving_out(self, run: Run) -> Iterator[None]:
        """Catch the divergence of a run, so that the other runs continue; re-raise it if it is the only run."""
        try:
            yield
        except DivergedError as error:
            if len(self._runs) == 1:
                raise
            run.failure = error
            going_on = "" if all(self.failed) else "; the others continue"
            self._say(f"warning: {run.directory.path.name}: {error}{going_on}")


def ended_early(runs: Sequence[Run]) -> TrainingError:
    """Return the error that lists the runs that ended early, with the reasons."""
    failures = [f"{run.directory.path.name}: {run.failure}" for run in runs if run.failure]
    return TrainingError(f"{len(failures)} of {len(runs)} runs ended early; {'; '.join(failures)}")


def summary(records: Sequence[dict[str, float]], epochs: int) -> str:
    """Return the line that reports an epoch of all runs."""
    loss, training, validation = (
        [record[name] for record in records] for name in ("loss", "train_mpjpe_mm", "validation_mpjpe_mm")
    )
    return (
        f"epoch {records[0]['epoch']:3d}/{epochs}  loss {as_range(loss, '.5f')}  train {as_range(training, '6.1f')} mm"
        f"  validation {as_range(validation, '6.1f')} mm  {records[-1]['poses_per_second']:,.0f} poses/s"
    )


def as_range(values: Sequence[float], form: str = ",") -> str:
    """Format the smallest and the largest of some values, or their common value."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def _means(run: Run, totals: dict[str, Any]) -> dict[str, float]:
    """Return a run's mean loss and MPJPE over the epoch so far; raise DivergedError if loss or gradient is not usable."""
    loss, error, count, norm = (float(totals[name]) for name in ("loss", "mpjpe", "count", "gradient_norm"))
    limit = run.config.train.max_gradient_norm
    if not math.isfinite(loss):
        raise _diverged("the loss became infinite or not a number", run)
    if not math.isfinite(norm):
        raise _diverged("the gradient became infinite or not a number", run)
    if limit and norm > limit:
        raise _diverged(f"the gradient's norm rose to {norm:.3g}, above config.train.max_gradient_norm", run)
    return {"loss": loss / count, "train_mpjpe_mm": 1000 * error / count}


def _check_finite(run: Run, snapshot: Snapshot) -> dict[str, float]:
    """Return the means of a run (see `_means`), after checking that its whole state is finite."""
    means = _means(run, snapshot.totals)
    if not all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(snapshot.state)):
        raise _diverged("the network became infinite or not a number", run)
    return means


def _diverged(what: str, run: Run) -> DivergedError:
    return DivergedError(
        f"{what} in epoch {run.epoch + 1}; {run.directory.kept}. "
        "Try a smaller --config.train.learning_rate, in a new workdir or with --fork from there on"
    )
