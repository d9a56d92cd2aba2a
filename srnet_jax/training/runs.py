"""The runs that one program trains: where each is, what it records, and which ended early.

A run alone is a list of one. A run that diverges leaves the others; every process notices at the end of the epoch, when all
have the same numbers.
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
        runs = []
        for folder, config, own, first in zip(folders, configs, data, initial, strict=True):
            opened = RunDirectory.open(folder, config, own, first, fork=fork, say=say)
            runs.append(Run(config, own, *stack.enter_context(opened)))
        yield runs


class Runs:
    """The unfinished runs of a program, in the order of its trainer."""

    def __init__(self, runs: Sequence[Run], say: Callable[[str], None]) -> None:
        """Follow these runs; `say` takes lines for the user."""
        self._runs, self._say = runs, say
        self.snapshots = [run.snapshot for run in runs]

    @property
    def failed(self) -> list[bool]:
        """Which runs ended early."""
        return [run.failure is not None for run in self._runs]

    def means(self, progress: Progress) -> list[dict[str, float]]:
        """Return the mean loss and MPJPE of the runs that are in the epoch; waits for the device.

        Raises:
          DivergedError: if the only run diverged. Of several, one that did is left out, and dropped at the end of the epoch.
        """
        found = []
        for run, totals in self._active(progress, progress.totals):
            with self._leaving_out(run):
                found.append(_means(run, totals))
        return found

    def checkpoint_if_due(self, progress: Progress) -> None:
        """Save a checkpoint of every run within the epoch, if the last one is as old as the config allows.

        Raises:
          TrainingError: if an earlier save failed, or the only run diverged.
        """
        for run in self._runs:
            run.directory.check()
        if progress.ends_epoch or not any(run.directory.due for run in self._runs):
            return
        for run, snapshot in self._active(progress, progress.snapshots):
            with self._leaving_out(run):
                _check_finite(run, snapshot)
                run.directory.save(snapshot)

    def finish_epoch(self, progress: Progress, validate: Callable[[int, TrainState], float]) -> str:
        """Validate the runs after an epoch, record them, drop those that diverged, and return a line about the others.

        Args:
          progress: after the epoch's last step.
          validate: returns a run's validation error, millimetres, of its index and state.
        """
        speed = progress.poses_per_second
        active = [id(run) for run, _ in self._active(progress, self._runs)]
        found: list[dict[str, float]] = []
        epoch = 0
        for index, (run, snapshot) in enumerate(zip(self._runs, progress.snapshots, strict=True)):
            if id(run) not in active:
                continue
            epoch = run.epoch + 1
            try:
                means = _check_finite(run, snapshot)
                state = snapshot.state.replace(epoch=np.int32(epoch))
                run.validation_mpjpe_mm = validate(index, state)
                if not math.isfinite(run.validation_mpjpe_mm):
                    raise _diverged("the network became infinite or not a number", run)
            except DivergedError as error:
                if len(self._runs) == 1:
                    raise
                run.failure = error
                self._say(f"warning: {run.directory.path.name}: {error}; the others go on")
                continue
            record = {
                "epoch": epoch,
                **means,
                "validation_mpjpe_mm": run.validation_mpjpe_mm,
                "learning_rate": float(learning_rate_schedule(run.config.train)(run.epoch)),
            }
            run.directory.add_metrics(int(state.step), record, only_shown={"poses_per_second": speed})
            self.snapshots[index] = run.snapshot = Snapshot(state)
            run.directory.save(run.snapshot, run.validation_mpjpe_mm)
            found.append(record)
        if not found:
            return ""
        loss, training, validation = (
            [record[name] for record in found] for name in ("loss", "train_mpjpe_mm", "validation_mpjpe_mm")
        )
        epochs = self._runs[0].config.train.epochs
        return (
            f"epoch {epoch:3d}/{epochs}  loss {spread(loss, '.5f')}  train {spread(training, '6.1f')} mm"
            f"  validation {spread(validation, '6.1f')} mm  {speed:,.0f} poses/s"
        )

    def stop(self, progress: Progress | None) -> NoReturn:
        """End the runs, each with a checkpoint if there is space for it.

        Args:
          progress: within an epoch; None after one.

        Raises:
          Interrupted: says after which step.
        """
        reached = list(self.snapshots)
        for index, run in enumerate(self._runs):
            if progress and any(run is active for active, _ in self._active(progress, self._runs)):
                reached[index] = progress.snapshots[index]
                _check_finite(run, reached[index])
        going = [(run, snapshot) for run, snapshot in zip(self._runs, reached, strict=True) if run.failure is None]
        failures = [failure for run, snapshot in going if (failure := run.directory.save_last(snapshot))]
        step = spread([int(snapshot.state.step) for _, snapshot in going] or [0], "")
        if failures:
            raise Interrupted(f"stopped after step {step}, which was not saved: {failures[0]}")
        raise Interrupted(f"stopped after step {step}; run the same command again to continue")

    def _active(self, progress: Progress, parts: Sequence[Any]) -> Iterator[tuple[Run, Any]]:
        """Yield the runs that have taken a step of this epoch, or ended it before, and their part."""
        for run, part, first, steps in zip(self._runs, parts, progress.first, progress.trainer.feed.steps, strict=True):
            if run.failure is None and run.epoch == progress.epoch and (progress.step > first or first == steps):
                yield run, part

    @contextlib.contextmanager
    def _leaving_out(self, run: Run) -> Iterator[None]:
        try:
            yield
        except DivergedError:
            if len(self._runs) == 1:
                raise


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
