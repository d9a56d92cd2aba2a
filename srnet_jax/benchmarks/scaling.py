"""Measure how training scales to 1, 2, 4 and 8 devices, under jit and pmap.

The figures are poses per second and the efficiency: the speed-up over one device, divided by the number of devices. On a CPU
the devices share the cores of one machine, so there is no speed-up, and the figures show only the overhead of distributing:
without overhead the efficiency of N devices is 1 / N.

A step trains the 6-layer single-frame SRNet on one batch, which is divided among the devices. Each number of devices needs a
process of its own, because XLA divides a CPU when it starts; the processes run their steps alternately.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

from srnet_jax.benchmarks import train
from srnet_jax.benchmarks.timing import alternate, ratio, workers
from srnet_jax.config.schema import PARALLEL

_CASE = "SR multiply, 6 layers, batch 1024"
_COUNTS = (1, 2, 4, 8)


def run(rounds: int = 15) -> dict[str, float]:
    """Time a training step on up to 8 devices of this machine; a CPU is divided into devices."""
    # ask in a process that ends, because a process with JAX keeps its devices
    command = [sys.executable, "-c", "import jax; print(jax.default_backend(), jax.device_count())"]
    platform, devices = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    counts = [count for count in _COUNTS if platform == "cpu" or count <= int(devices)]
    batch_size = train.TRAINING[_CASE][2]
    figures: dict[str, float] = {}
    with workers({str(count): (partial(_make, count), True) for count in counts}) as pipes:
        for mode in PARALLEL:
            seconds = alternate(pipes, mode, rounds)
            for count in counts:
                name, times = f"{mode}, {count} {platform.upper()} devices", seconds[str(count)]
                figures[f"{name}: ms"] = 1000 * statistics.median(times)
                figures[f"{name}: poses/s"] = batch_size / statistics.median(times)
                figures[f"{name}: efficiency"] = ratio(seconds["1"], times) / count
    return figures


def _make(count: int, mode: str) -> Callable[[], object]:
    """Return a function that takes a training step on `count` devices; its first call must precede the import of JAX."""
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={count}"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the processes share the GPUs
    return train.make_training(_CASE, mode, count)
