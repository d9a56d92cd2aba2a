"""What a whole epoch costs beyond its steps, with the data on the device and with batches that the host prepares.

An epoch of the 6-layer single-frame SRNet, batch 1024, on the embedded data, taken by the training loop itself: gathering,
transfers, progress and checks included, validation and checkpoints not. It is held against as many steps that are
timed one by one on one batch that never changes, before and after it.
"""

import statistics
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from srnet_jax.training import loop
from srnet_jax.training.checkpoint import Checkpoints
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.recorder import Recorder

_ALONE = 20  # steps that are timed one by one, before an epoch and again after it
_EPOCHS = 3


def run(num_frames: int = 60_000) -> dict[str, float]:
    """Train an epoch with either place of the data."""
    from configs import default  # beside this package, not in it

    figures: dict[str, float] = {}
    for place in ("device", "host"):
        config = default.get_config()
        config.data.num_frames = num_frames
        config.model.filter_widths = (1, 1, 1)
        config.train.data_on, config.train.steps_per_call, config.num_devices = place, 1, 1
        prepared = loop._prepare(config)
        snapshot = Snapshot(prepared.state)
        single, epochs = [_single_steps(prepared, snapshot)], []
        with (
            tempfile.TemporaryDirectory() as folder,
            Checkpoints(Path(folder)) as checkpoints,
            MetricLog(Path(folder), from_step=0, tensorboard=False) as log,
        ):
            recorder = Recorder(checkpoints, log, config.train, print)
            for epoch in range(_EPOCHS):
                begun = time.perf_counter()
                loop._train_epoch(config, prepared, epoch, snapshot, recorder, Interruption(), Console(quiet=True))
                epochs.append(time.perf_counter() - begun)
                single.append(_single_steps(prepared, snapshot))
        around = [(before + after) / 2 for before, after in pairwise(single)]
        figures |= {
            f"data on the {place}: steps of an epoch": prepared.feed.steps,
            f"data on the {place}: seconds of an epoch": statistics.median(epochs),
            f"data on the {place}: milliseconds of a step alone": 1000 * statistics.median(single),
            f"data on the {place}: epoch / (steps x step)": statistics.median(
                seconds / (prepared.feed.steps * step) for seconds, step in zip(epochs, around, strict=True)
            ),
        }
    return figures


def _single_steps(prepared: Any, snapshot: Snapshot) -> float:
    """Return the median seconds of steps on one full batch, and compile the short last one."""
    state, totals = prepared.devices.replicate((snapshot.state, snapshot.totals))
    for first in (prepared.feed.steps - 1, 0):
        _, items, count = next(prepared.feed.blocks(0, first))
        state, totals = jax.block_until_ready(prepared.block(state, totals, prepared.feed.data, items, count))
    times = []
    for _ in range(_ALONE):
        begun = time.perf_counter()
        state, totals = jax.block_until_ready(prepared.block(state, totals, prepared.feed.data, items, count))
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
