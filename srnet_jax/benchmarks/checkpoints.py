"""Measure how much of the training time checkpoints and the log take.

The benchmark trains a network of the quickstart's size on generated motion. As by default, it writes a checkpoint after each
epoch, which takes seconds here and minutes with real data. The figures give the time for which the training waits, and the
processor time of writing in the background, which matters if no core is idle. The first epoch is left out, because it includes
compilation.
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
    """Train a network, and return medians over the epochs."""
    config = default_config()
    config.update_from_flattened_dict(
        {"data.downsample": 5, "model.channels": 256, "train.batch_size": 256, "train.epochs": epochs}
    )
    save_seconds: list[float] = []
    finish_seconds: list[float] = []
    epoch_starts: list[tuple[float, float]] = []

    class TimedTrainer(Trainer):
        def steps(self, *arguments: Any) -> Iterator[Progress]:
            epoch_starts.append((time.perf_counter(), time.process_time()))
            return super().steps(*arguments)

    with tempfile.TemporaryDirectory() as folder:
        with ExitStack() as stack, Interruption() as interruption:
            for name, seconds in (("save", save_seconds), ("finish", finish_seconds)):
                stack.enter_context(mock.patch.object(RunDirectory, name, _timed(getattr(RunDirectory, name), seconds, [])))
            data = load_training_data([config])
            state = fit(config, Path(folder) / "run", data, interruption, make_trainer=TimedTrainer)[""]
        snapshot = checkpoint_format.Snapshot(state).to_host()
        write_seconds: list[float] = []
        write = _timed(checkpoint_format.write, [], write_seconds)
        for index in range(6):
            write(Path(folder) / str(index), snapshot, None)
    pairs = list(itertools.pairwise(epoch_starts[1:]))
    epoch, processor = (statistics.median(after[clock] - before[clock] for before, after in pairs) for clock in (0, 1))
    return {
        "seconds of an epoch, with validation": epoch,
        "seconds an epoch waits for the log and checkpoints": statistics.median(save_seconds[1:]),
        "share of the epoch spent waiting, percent": 100 * statistics.median(save_seconds[1:]) / epoch,
        "seconds the end of training waits for the last checkpoint": sum(finish_seconds),
        "processor seconds of an epoch": processor,
        "processor seconds to write a checkpoint": statistics.median(write_seconds),
        "share of the processor time spent writing, percent": 100 * statistics.median(write_seconds) / processor,
    }


def _timed(function: Callable[..., Any], seconds: list[float], processor: list[float]) -> Callable[..., Any]:
    """Wrap a function: each call appends its duration and the processor time that the process used meanwhile, in seconds."""

    def timed(*arguments: Any, **options: Any) -> Any:
        before = time.perf_counter(), time.process_time()
        try:
            return function(*arguments, **options)
        finally:
            seconds.append(time.perf_counter() - before[0])
            processor.append(time.process_time() - before[1])

    return timed
