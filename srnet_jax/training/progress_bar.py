"""What a user sees of an epoch while it is trained."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.runs import spread
from srnet_jax.training.trainer import Progress, Trainer

_REFRESH_S = 0.5  # how often the bar, and with it the check for a finite loss, waits for the device


class ProgressBar:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, console: Console, trainer: Trainer, snapshots: Sequence[Snapshot], epoch: int) -> None:
        """Show an epoch, counted from 0, of runs that go on from these snapshots."""
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
        """Whether it is time to show how far the epoch is."""
        return time.perf_counter() - self._shown > _REFRESH_S

    def show(self, progress: Progress, means: Sequence[dict[str, float]]) -> None:
        """Show how far the epoch is, and the means of its runs."""
        self._shown = time.perf_counter()
        status = f"{progress.poses_per_second:,.0f} poses/s"
        if means:
            loss, error = ([own[name] for own in means] for name in ("loss", "train_mpjpe_mm"))
            status = f"loss {spread(loss, '.4f')}  MPJPE {spread(error, '.1f')} mm  {status}"
        self._bar.update(self._task, completed=progress.step, status=status)
