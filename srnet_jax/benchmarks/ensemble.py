"""Compare the time to train eight quick-start models as one program with the time to train them one after another.

The models differ only in the seed. Every training is a command of its own; its time includes start-up, loading the data,
validation and checkpoints. A first round, which is not timed, fills the cache of compiled code.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from srnet_jax.benchmarks.timing import seconds_of

_EPOCHS = 10  # of the quickstart's 20


def run(members: int = 8) -> dict[str, float]:
    """Time both ways, and compare the validation errors of the ensemble's members with those of single runs."""
    seeds = tuple(range(members))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for epochs, label in ((1, "cold"), (_EPOCHS, "warm")):
            together = _train(folder / f"{label}-together", folder, epochs, f"--config.ensemble.seeds={seeds}")
            single = [
                _train(folder / f"{label}-{seed}", folder, epochs, f"--config.seed={seed}")
                for seed in (seeds if label == "warm" else seeds[:1])
            ]
        pairs = [(_errors(folder / "warm-together" / f"seed_{seed}"), _errors(folder / f"warm-{seed}")) for seed in seeds]
    return {
        "runs": members,
        "epochs": _EPOCHS,
        "seconds together": together,
        "seconds one after another": sum(single),
        "ratio, one after another / together": sum(single) / together,
        "largest difference of the validation error after 1 epoch, mm": max(abs(a[0] - b[0]) for a, b in pairs),
        f"largest difference of the validation error after {_EPOCHS} epochs, mm": max(abs(a[-1] - b[-1]) for a, b in pairs),
        f"spread of the validation error between seeds after {_EPOCHS} epochs, mm": (
            max(b[-1] for _, b in pairs) - min(b[-1] for _, b in pairs)
        ),
    }


def _train(workdir: Path, folder: Path, epochs: int, *changes: str) -> float:
    """Train with the command-line program, and return the seconds that it took."""
    options = ["--config=configs/quickstart.py", f"--workdir={workdir}", f"--config.train.epochs={epochs}", *changes]
    command = [sys.executable, "-m", "launch.train", *options]
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
    return seconds_of(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment))


def _errors(workdir: Path) -> list[float]:
    """Return the validation error after each epoch, millimetres."""
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["validation_mpjpe_mm"] for line in lines]
