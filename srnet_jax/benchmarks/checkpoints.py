"""How much of a training's time goes into checkpoints and the log.

The quickstart's network, 256 channels wide, is trained on the embedded data with the default checkpoints: one after each epoch,
which lasts seconds here and minutes with real data. Measured is what the training waits for, and beside it the processor time
of the writing in the background, which matters where no core is idle. The first epoch, with compilation, is left out.
"""

import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from srnet_jax.config.schema import default_config
from srnet_jax.training import checkpoint_format, loop
from srnet_jax.training.recorder import Recorder


def run(epochs: int = 8) -> dict[str, float]:
    """Train, and return medians over the epochs."""
    config = default_config()
    config.update_from_flattened_dict(
        {"data.downsample": 5, "model.channels": 256, "train.batch_size": 256, "train.epochs": epochs}  # configs/quickstart.py
    )
    seconds: dict[str, list[float]] = defaultdict(list)
    processor: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        with ExitStack() as stack:
            for owner, name in ((loop, "_run_epoch"), (Recorder, "save"), (Recorder, "finish")):
                timed = _timed(getattr(owner, name), seconds[name], processor if name == "_run_epoch" else [])
                stack.enter_context(mock.patch.object(owner, name, timed))
            state = loop.train_and_evaluate(config, Path(folder))
        snapshot = checkpoint_format.Snapshot(state).to_host()
        writing: list[float] = []
        write = _timed(checkpoint_format.write, [], writing)
        for index in range(6):
            write(Path(folder) / str(index), snapshot, None)
    epoch, saving = (statistics.median(seconds[name][1:]) for name in ("_run_epoch", "save"))
    return {
        "seconds of an epoch, validation included": epoch,
        "seconds it waits for the log, the checkpoint before and its own to begin": saving,
        "share of waiting, percent": 100 * saving / epoch,
        "seconds the end waits for the last checkpoint": sum(seconds["finish"]),
        "processor seconds of an epoch": statistics.median(processor[1:]),
        "processor seconds of writing a checkpoint": statistics.median(writing),
        "share of writing, percent": 100 * statistics.median(writing) / statistics.median(processor[1:]),
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
