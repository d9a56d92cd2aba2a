"""The runs that one program trains: where each is, what it records, and which ended early.

A run alone is a list of one. A run that diverges leaves the others, at the latest when it ends the epoch: then every process
has the same numbers.
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
    """A run, and how far it is.

    Attributes:
      config: of this run.
      data: of this run.
      directory: where it is recorded.
      snapshot: after the last epoch, or where it was continued.
      validation_mpjpe_mm: after the last epoch of this program, NaN before the first.
      failure: why it cannot go on.
    """

    config: ConfigDict
    data: TrainingData
    directory: RunDirectory
    snapshot: Snapshot
    validation_mpjpe_mm: float = math.nan
    failure: TrainingError | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished."""
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
    """Open the directories of runs, see `RunDirectory.open`."""
    with contextlib.ExitStack() as stack:
        yield [
            Run(config, own, *stack.enter_context(RunDirectory.open(folder, config, own, first, fork=fork, say=say)))
            for folder, config, own, first in zip(folders, configs, data, initial, strict=True)
        ]


class Runs:
    """The unfinished runs of a program, in the order of its trainer."""

    def __init__(self, runs: Sequence[Run], say: Callable[[str], None]) -> None:
        """Follow these runs; `say` takes lines for the user."""
        self._runs, self._say = runs, say

    @property
    def snapshots(self) -> list[Snapshot]:
        """Where each run is after its last epoch, or where it was continued."""
        return [run.snapshot for run in self._runs]

    @property
    def failed(self) -> list[bool]:
        """Which runs ended early."""
        return [run.failure is not None for run in self._runs]

    def means(self, progress: Progress) -> list[dict[str, float]]:
        """Return the mean loss and MPJPE of the runs that are in the epoch; waits for the device.

        Raises:
          DivergedError: if the only run diverged.
        """
        found = []
        for index, run in self._active(progress):
            with self._leaving_out(run):
                found.append(_means(run, progress.totals[index]))
        return found

    def checkpoint_if_due(self, progress: Progress) -> None:
        """Save a checkpoint of every run within the epoch, if the last one of any is as old as the config allows.

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
        """Validate and record the runs that have taken their last step of the epoch.

        Args:
          progress: within the epoch, or after its last step.
          validate: returns a run's validation error, millimetres, of its index and state.

        Returns:
          The record of each run that ended the epoch now.

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
        """End the runs, each with a checkpoint if there is space for it.

        Raises:
          Interrupted: says after which step.
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
        raise Interrupted(f"stopped after step {spread([int(snapshot.state.step) for _, snapshot in going], '')}{outcome}")

    def _active(self, progress: Progress) -> Iterator[tuple[int, Run]]:
        """Yield the index of each run that is in the epoch and has taken a step of it, or has none left, and the run."""
        for index, (run, first, steps) in enumerate(zip(self._runs, progress.first, progress.trainer.feed.steps, strict=True)):
            if run.failure is None and run.epoch == progress.epoch and (progress.step > first or first == steps):
                yield index, run

    @contextlib.contextmanager
    def _leaving_out(self, run: Run) -> Iterator[None]:
        """Let the other runs go on without one that diverges; the only run raises."""
        try:
            yield
        except DivergedError as error:
            if len(self._runs) == 1:
                raise
            run.failure = error
            going_on = "" if all(self.failed) else "; the others go on"
            self._say(f"warning: {run.directory.path.name}: {error}{going_on}")


def ended_early(runs: Sequence[Run]) -> TrainingError:
    """Return the error that names the runs that ended early, and why."""
    failures = [f"{run.directory.path.name}: {run.failure}" for run in runs if run.failure]
    return TrainingError(f"{len(failures)} of {len(runs)} runs ended early; {'; '.join(failures)}")


def summary(records: Sequence[dict[str, float]], epochs: int) -> str:
    """Return a line about the runs that finished an epoch."""
    loss, training, validation = (
        [record[name] for record in records] for name in ("loss", "train_mpjpe_mm", "validation_mpjpe_mm")
    )
    return (
        f"epoch {records[0]['epoch']:3d}/{epochs}  loss {spread(loss, '.5f')}  train {spread(training, '6.1f')} mm"
        f"  validation {spread(validation, '6.1f')} mm  {records[-1]['poses_per_second']:,.0f} poses/s"
    )


def spread(values: Sequence[float], form: str = ",") -> str:
    """Return the smallest and the largest value as text."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def _means(run: Run, totals: dict[str, Any]) -> dict[str, float]:
    """Return a run's mean loss and MPJPE of the epoch so far."""
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
    """Return the means of a run whose every number is finite."""
    means = _means(run, snapshot.totals)
    if not all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(snapshot.state)):
        raise _diverged("the network became infinite or not a number", run)
    return means


def _diverged(what: str, run: Run) -> DivergedError:
    return DivergedError(
        f"{what} in epoch {run.epoch + 1}; {run.directory.kept}. "
        "Try a smaller --config.train.learning_rate in a new workdir, or with --fork from there on"
    )
