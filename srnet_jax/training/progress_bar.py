"""Show the progress of an epoch on a terminal."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.runs import as_range
from srnet_jax.training.trainer import Progress, Trainer

_REFRESH_S = 0.5  # interval of the bar and of its check for a finite loss, both of which wait for the device


class ProgressBar:
    """A progress bar of an epoch; it prints nothing if the output is not a terminal."""

    def __init__(self, console: Console, trainer: Trainer, snapshots: Sequence[Snapshot], epoch: int) -> None:
        """Create the bar for an epoch, counted from 0, of runs that continue from these snapshots."""
        columns = (
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
        )
        self._bar = RichProgress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(
            "",
            completed=min((one.batch for one in snapshots if int(one.state.epoch) == epoch), default=0),
            total=max(trainer.feed.steps),
            epoch=epoch + 1,
            epochs=trainer.configs[0].train.epochs,
            status="compiling the training step",
        )
        self._shown = time.perf_counter()

    def __enter__(self) -> "ProgressBar":
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._bar.stop()

    @property
    def due(self) -> bool:
        """Whether it is time to update the bar."""
        return time.perf_counter() - self._shown > _REFRESH_S

    def show(self, progress: Progress, means: Sequence[dict[str, float]]) -> None:
        """Update the bar with the progress and the mean losses and errors of the runs."""
        self._shown = time.perf_counter()
        status = f"{progress.poses_per_second:,.0f} poses/s"
        if means:
            loss, error = ([own[name] for own in means] for name in ("loss", "train_mpjpe_mm"))
            status = f"loss {as_range(loss, '.4f')}  MPJPE {as_range(error, '.1f')} mm  {status}"
        self._bar.update(self._task, completed=progress.step, status=status)
