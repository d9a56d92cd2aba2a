"""Measure how much longer an epoch takes than its steps alone, with the data on the device and on the host.

The network is the 6-layer single-frame SRNet with batch size 1024, on generated motion. The trainer runs the epoch as in the
training loop: the time includes gathering, transfers and totals, but neither validation nor checkpoints. It is compared with
single steps on one fixed batch, which are timed before and after each epoch.
"""

import statistics
import time
from itertools import pairwise

import jax

from srnet_jax.config.schema import default_config
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.steps import Hyperparameters, StepSettings
from srnet_jax.training.trainer import Trainer, load_training_data

_SINGLE_STEPS = 20  # timed before and after each epoch
_EPOCHS = 3
_REFRESH_S = 0.5  # seconds between two readings of the totals, as for the progress bar


def run(num_frames: int = 60_000) -> dict[str, float]:
    """Time epochs with the data on the device and on the host."""
    figures: dict[str, float] = {}
    for place in ("device", "host"):
        config = default_config()
        config.data.num_frames = num_frames
        config.model.filter_widths = (1, 1, 1)
        config.train.data_on, config.train.steps_per_call, config.num_devices = place, 1, 1
        trainer, epochs = Trainer([config], load_training_data([config])), []
        initial = trainer.init()
        single = [_single_steps(trainer, initial[0])]
        for _ in range(_EPOCHS):
            begun = shown = time.perf_counter()
            for progress in trainer.steps(initial, 0):
                if progress.ends_epoch or time.perf_counter() - shown > _REFRESH_S:
                    shown = time.perf_counter()
                    jax.block_until_ready(progress.totals)
            epochs.append(time.perf_counter() - begun)
            single.append(_single_steps(trainer, initial[0]))
        steps = trainer.feed.steps[0]
        around = [(before + after) / 2 for before, after in pairwise(single)]
        figures |= {
            f"data on the {place}: steps of an epoch": steps,
            f"data on the {place}: seconds of an epoch": statistics.median(epochs),
            f"data on the {place}: milliseconds of a single step": 1000 * statistics.median(single),
            f"data on the {place}: ratio, epoch / (steps x single step)": statistics.median(
                seconds / (steps * step) for seconds, step in zip(epochs, around, strict=True)
            ),
        }
    return figures


def _single_steps(trainer: Trainer, initial: Snapshot) -> float:
    """Return the median seconds of steps on one full batch; also compile the step for the last, smaller batch."""
    config, feed = trainer.configs[0], trainer.feed
    step = trainer.devices.compile(StepSettings.of(config), feed.take)
    state, totals, hyperparameters = trainer.devices.replicate(
        (initial.state, initial.totals, Hyperparameters.at(0, config.seed, config.train))
    )
    times = []
    for first, repeats in ((feed.steps[0] - 1, 1), (0, 1 + _SINGLE_STEPS)):
        _, items, count = next(feed.blocks(0, [first]))
        for _ in range(repeats):
            begun = time.perf_counter()
            state, totals = jax.block_until_ready(step(state, totals, hyperparameters, feed.data, items, count))
            times.append(time.perf_counter() - begun)
    return statistics.median(times[2:])
