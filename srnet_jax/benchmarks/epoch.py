"""What a whole epoch costs beyond its steps, with the data on the device and with batches that the host prepares.

An epoch of the 6-layer single-frame SRNet, batch 1024, on the embedded data, taken by the training loop itself: gathering,
transfers, progress and checks included, validation and checkpoints not. It is held against as many steps that are
timed one by one on one batch that never changes, before and after it.
"""

import statistics
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
from rich.console import Console

from srnet_jax.config.schema import default_config
from srnet_jax.training import loop
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.recorder import Bystander
from srnet_jax.training.steps import Hyperparameters, zero_totals

_ALONE = 20  # steps that are timed one by one, before an epoch and again after it
_EPOCHS = 3


def run(num_frames: int = 60_000) -> dict[str, float]:
    """Train an epoch with either place of the data."""
    figures: dict[str, float] = {}
    for place in ("device", "host"):
        config = default_config()
        config.data.num_frames = num_frames
        config.model.filter_widths = (1, 1, 1)
        config.train.data_on, config.train.steps_per_call, config.num_devices = place, 1, 1
        setup = loop._prepare([config])
        program, console, epochs = loop._compile(setup, setup.tasks), Console(quiet=True), []
        member = loop._Member(Path(), setup.tasks[0], Bystander(), Snapshot(setup.tasks[0].state))
        single = [_single_steps(setup, program)]
        for _ in range(_EPOCHS):
            begun = time.perf_counter()
            loop._train_epoch(config, program, setup.devices, 0, [member], lambda *end: None, Interruption(), console)
            epochs.append(time.perf_counter() - begun)
            single.append(_single_steps(setup, program))
        steps = program.feed.steps[0]
        around = [(before + after) / 2 for before, after in pairwise(single)]
        figures |= {
            f"data on the {place}: steps of an epoch": steps,
            f"data on the {place}: seconds of an epoch": statistics.median(epochs),
            f"data on the {place}: milliseconds of a step alone": 1000 * statistics.median(single),
            f"data on the {place}: epoch / (steps x step)": statistics.median(
                seconds / (steps * step) for seconds, step in zip(epochs, around, strict=True)
            ),
        }
    return figures


def _single_steps(setup: Any, program: Any) -> float:
    """Return the median seconds of steps on one full batch, and compile the short last one."""
    config = setup.tasks[0].config
    state, totals, hyperparameters = setup.devices.replicate(
        (setup.tasks[0].state, zero_totals(), Hyperparameters.at(0, config.seed, config.train))
    )
    times = []
    for first, repeats in ((program.feed.steps[0] - 1, 1), (0, 1 + _ALONE)):
        _, items, count = next(program.feed.blocks(0, [first]))
        for _ in range(repeats):
            begun = time.perf_counter()
            state, totals = jax.block_until_ready(
                program.block(state, totals, hyperparameters, program.feed.data, items, count)
            )
            times.append(time.perf_counter() - begun)
    return statistics.median(times[2:])
