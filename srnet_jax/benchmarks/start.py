"""Measure the time from the start of `python -m launch.train` to the checkpoint of its first step.

A new process trains the quickstart's SRNet on the data that the package contains, and saves a checkpoint after every step. The
time includes imports, loading the data, compilation (or reading compiled code from the cache), one step and its checkpoint.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from srnet_jax.training.checkpoints import Checkpoints


def run(rounds: int = 5) -> dict[str, float]:
    """Start a training with an empty cache of compiled code, and then several times with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        empty, *cached = (first_step(Path(folder), Path(folder) / str(index)) for index in range(1 + rounds))
    return {"empty cache: seconds to the first step": empty, "full cache: seconds to the first step": statistics.median(cached)}


def first_step(cache: Path, workdir: Path) -> float:
    """Train until the workdir has its first checkpoint, and return the seconds that it took.

    Raises:
      RuntimeError: if the training ends before its first checkpoint.
    """
    command = [sys.executable, "-m", "launch.train", "--config=configs/quickstart.py", f"--workdir={workdir}"]
    command.append("--config.train.checkpoint_minutes=1e-6")
    begun = time.perf_counter()
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache / "compiled")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        while not Checkpoints.exist(workdir):
            if process.poll() is not None:
                raise RuntimeError(f"launch.train: {process.communicate()[1]}")
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
        process.terminate()
        process.communicate()
    return seconds
