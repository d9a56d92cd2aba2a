"""Seconds from the start of `python -m launch.train` to the checkpoint of its first step, with and without compiled code.

The quickstart's SRNet on the embedded data, in a new process, with a checkpoint after every step. The figure includes imports,
data, compilation or its cache, a step and the checkpoint.
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
    """Start a training without compiled code, and again with the code that this start compiled."""
    with tempfile.TemporaryDirectory() as folder:
        empty, *cached = (first_step(Path(folder), Path(folder) / str(index)) for index in range(1 + rounds))
    return {"empty cache: seconds to the first step": empty, "full cache: seconds to the first step": statistics.median(cached)}


def first_step(cache: Path, workdir: Path) -> float:
    """Train until the workdir has its first checkpoint, and return the seconds that this took.

    Raises:
      RuntimeError: if the training ends before.
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
