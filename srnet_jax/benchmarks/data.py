"""Measure the time and the memory that it takes to load data of Human3.6M's size.

The benchmark first writes generated motion to files with the format and the size of Human3.6M; this is not timed. A new process
then does what a training does: it reads the files, normalises the training and test frames, and builds the first batch of
windows.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from srnet_jax.benchmarks.timing import seconds_of
from srnet_jax.data import synthetic
from srnet_jax.data.h36m import npz_files, raw_files
from srnet_jax.data.windows import TrainingWindows, stack_frames

FRAMES = 1_559_752 + 543_344  # training and test frames of Human3.6M, all four cameras


def run(num_frames: int = FRAMES, receptive_field: int = 243, batch_size: int = 1024) -> dict[str, float]:
    """Write the files, load them in a new process, and return times in seconds and memory in GB."""
    with tempfile.TemporaryDirectory() as folder:
        raw_files.write(Path(folder), synthetic.recordings(num_frames // 4, seed=0))
        arguments = [folder, str(receptive_field), str(batch_size)]
        result = subprocess.run([sys.executable, "-m", __name__, *arguments], check=True, capture_output=True, text=True)
        return json.loads(result.stdout)


def _measure(folder: str, receptive_field: int, batch_size: int) -> dict[str, float]:
    """Load the files of a folder and build batches; return the figures of `run`."""
    started = time.perf_counter()
    dataset = npz_files.load(folder)
    loaded = time.perf_counter()
    train, test = (
        stack_frames([s for s in dataset.sequences if (s.subject in ("S9", "S11")) == tested], "basic")
        for tested in (False, True)
    )
    windows = TrainingWindows(train, receptive_field=receptive_field, causal=False, mirrored=dataset.mirrored, seed=0)
    order = windows.order(0)
    batches = (windows.samples.take(order[start : start + batch_size]) for start in range(0, len(order), batch_size))
    next(batches)
    first_batch = time.perf_counter()
    return {
        "frames": dataset.num_frames,
        "training samples": len(windows),
        "test frames": len(test.targets),
        "seconds to read the files": loaded - started,
        "seconds to the first batch, with reading": first_batch - started,
        f"median seconds of a batch of {batch_size} windows": statistics.median(
            seconds_of(lambda: next(batches)) for _ in range(20)
        ),
        "peak memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,  # kilobytes on Linux
    }


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
