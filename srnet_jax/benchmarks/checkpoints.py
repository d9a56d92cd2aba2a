"""How much of a training's time goes into checkpoints and the log.

A network of the quickstart's size is trained on generated motion with the default checkpoints: one after each epoch,
which lasts seconds here and minutes with real data. Measured is what the training waits for, and beside it the processor time
of the writing in the background, which matters where no core is idle. The first epoch, with compilation, is left out.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from srnet_jax.config.schema import default_config
from srnet_jax.training import checkpoint_format
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.loop import fit
from srnet_jax.training.run_directory import RunDirectory
from srnet_jax.training.trainer import Progress, Trainer, load_training_data


def run(epochs: int = 8) -> dict[str, float]:
    """Train, and return medians over the epochs."""
    config = default_config()
    config.update_from_flattened_dict(
        {"data.downsample": 5, "model.channels": 256, "train.batch_size": 256, "train.epochs": epochs}
    )
    saving: list[float] = []
    ending: list[float] = []
    begun: list[tuple[float, float]] = []

    class Timed(Trainer):
        def steps(self, *arguments: Any) -> Iterator[Progress]:
            begun.append((time.perf_counter(), time.process_time()))
            return super().steps(*arguments)

    with tempfile.TemporaryDirectory() as folder:
        with ExitStack() as stack, Interruption() as interruption:
            for name, seconds in (("save", saving), ("finish", ending)):
                stack.enter_context(mock.patch.object(RunDirectory, name, _timed(getattr(RunDirectory, name), seconds, [])))
            data = load_training_data([config])
            state = fit(config, Path(folder) / "run", data, interruption, make_trainer=Timed)[""]
        snapshot = checkpoint_format.Snapshot(state).to_host()
        writing: list[float] = []
        write = _timed(checkpoint_format.write, [], writing)
        for index in range(6):
            write(Path(folder) / str(index), snapshot, None)
    pairs = list(itertools.pairwise(begun[1:]))
    epoch, processor = (statistics.median(after[which] - before[which] for before, after in pairs) for which in (0, 1))
    return {
        "seconds of an epoch, validation included": epoch,
        "seconds it waits for the log, the checkpoint before and its own to begin": statistics.median(saving[1:]),
        "share of waiting, percent": 100 * statistics.median(saving[1:]) / epoch,
        "seconds the end waits for the last checkpoint": sum(ending),
        "processor seconds of an epoch": processor,
        "processor seconds of writing a checkpoint": statistics.median(writing),
        "share of writing, percent": 100 * statistics.median(writing) / processor,
    }


def _timed(function: Callable[..., Any], seconds: list[float], processor: list[float]) -> Callable[..., Any]:
    """Return the function; each call appends its time, and the processor time of the whole process."""

    def timed(*arguments: Any, **options: Any) -> Any:
        before = time.perf_counter(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds.append(time.perf_counter() - before[0])
            processor.append(time.process_time() - before[1])

    return timed
