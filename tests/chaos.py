"""Kill a training repeatedly, damage its checkpoints, and compare the result with that of an undisturbed training.

python tests/chaos.py --kills=50 [--seed=0]

`python -m launch.train` trains a tiny network repeatedly in one workdir, and is killed each time by kill -9, SIGTERM or
Ctrl-C: as it starts, at a random moment, or while a checkpoint is being written. Sometimes the latest checkpoint is damaged.
Finally the run is left to finish; its state, best checkpoint and metrics must equal those of an undisturbed run, bit by bit.
The exit code is 1 if they do not.
"""

import argparse
import collections
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "TF_CPP_MIN_LOG_LEVEL": "3"}

from damage import DAMAGE

TINY = (
    "--config.data.num_frames=2000",
    "--config.data.cameras.number=1",
    "--config.model.network=fc",
    "--config.model.channels=40",
    "--config.model.filter_widths=(1,1)",
    "--config.model.dropout=0.1",
    "--config.train.batch_size=64",
    "--config.train.lr_decay=0.99",
    "--config.train.checkpoint_minutes=0.003",
)


CODES = {  # exit codes; negative ones come from a Python that has not started the launcher yet
    "kill -9": (-9,),
    "SIGTERM": (75, -15),
    "Ctrl-C": (75, -2, 1),
    "SIGTERM twice": (75, 143, -15),
    "Ctrl-C twice": (75, 130, -2, 1),
}


class Training:
    """A training in a child process."""

    def __init__(self, workdir: Path, cache: Path, epochs: int) -> None:
        environment = os.environ | {
            "PYTHONUNBUFFERED": "1",
            "JAX_COMPILATION_CACHE_DIR": str(cache),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        command = [sys.executable, "-m", "launch.train", f"--workdir={workdir}", f"--config.train.epochs={epochs}", *TINY]
        self.started = time.monotonic()
        self.output = workdir.with_suffix(".log")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)

    def wait_until(self, condition, timeout: float) -> bool:
        """Wait for a condition, for the end of the process, or `timeout` seconds; return whether the process still runs."""
        deadline = time.monotonic() + timeout
        while self.process.poll() is None and time.monotonic() < deadline and not condition():
            time.sleep(0.001)
        return self.process.poll() is None

    def trains(self) -> bool:
        return b"steps an epoch" in self.output.read_bytes()

    def resumed(self) -> bool:
        return b"\nresuming after " in self.output.read_bytes()


def finish(workdir: Path, cache: Path, epochs: int) -> tuple[tuple[float, float, float], bool]:
    """Train to the end; return the seconds to the data, from there to the first epoch, and for the rest; and if it resumed."""
    training = Training(workdir, cache, epochs)
    training.wait_until(training.trains, 600)
    began = time.monotonic()
    done = epochs_done(workdir)
    training.wait_until(lambda: epochs_done(workdir) > done, 600)
    first = time.monotonic()
    if training.process.wait() != 0:
        sys.exit(f"training failed:\n{training.output.read_text()[-2000:]}")
    return (began - training.started, first - began, time.monotonic() - first), training.resumed()


def kill(training: Training, rng: random.Random, startup: float, first: float, window: float) -> str | None:
    """Kill a training at a random moment, and return a description; None if the training ended before it was killed.

    About a third of the kills come within `startup` or `first` seconds, while the program starts or compiles; the others come
    at most 2 * `window` seconds after the end of an epoch.
    """
    workdir = training.output.with_suffix("")
    checkpoints = workdir / "checkpoints"

    def saving() -> bool:
        return any(checkpoints.glob("*.orbax-checkpoint-tmp*"))

    done = epochs_done(workdir)

    def advanced() -> bool:
        return epochs_done(workdir) != done

    def pause(longest: float, condition=lambda: False) -> bool:
        return training.wait_until(condition, rng.uniform(0, longest))

    moment = rng.choices(("starting", "first steps", "saving", "training"), (15, 20, 35, 30))[0]
    if moment == "starting":
        alive = pause(startup)
    elif moment == "first steps":
        alive = training.wait_until(training.trains, 600) and pause(first, advanced)
    else:
        alive = training.wait_until(advanced, 600) and pause(2 * window)
        if moment == "saving":
            alive = alive and training.wait_until(saving, 10) and pause(0.05)
    if not alive:
        return None
    how = rng.choices(tuple(CODES), (45, 25, 20, 5, 5))[0]
    number = signal.SIGKILL if how == "kill -9" else signal.SIGTERM if "SIGTERM" in how else signal.SIGINT
    training.process.send_signal(number)
    if how.endswith("twice"):
        training.wait_until(lambda: False, rng.uniform(0, 0.1))
        training.process.send_signal(number)
    code = training.process.wait()
    if code == 0:
        return None
    if code not in CODES[how]:
        sys.exit(f"{how} while {moment}: exit code {code}\n{training.output.read_text()[-2000:]}")
    return f"{how}, {moment}"


def damage_latest(workdir: Path, rng: random.Random, damaged: dict[Path, int]) -> str | None:
    """Damage the latest checkpoint, unless it is the only sound one or already damaged; return the kind of damage."""
    folder = workdir / "checkpoints"
    steps = sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal()) if folder.is_dir() else []
    sound = [step for step in steps if damaged.get(folder / str(step)) != (folder / str(step)).stat().st_ino]
    if len(sound) < 2 or sound[-1] != steps[-1]:
        return None
    kind, latest = rng.choice(list(DAMAGE)), folder / str(steps[-1])
    DAMAGE[kind](latest)
    damaged[latest] = latest.stat().st_ino
    return kind


def differences(workdir: Path, expected: Path) -> list[str]:
    """Compare two runs bit by bit, and return the names of the differences."""
    import jax
    import numpy as np

    from srnet_jax.config import config_files
    from srnet_jax.models.pose_lifter import create_model
    from srnet_jax.training.checkpoints import Checkpoints
    from srnet_jax.training.optimizer import create_optimizer
    from srnet_jax.training.state import create_train_state

    config = config_files.load(expected)
    shapes = jax.eval_shape(lambda: create_train_state(create_model(config.model), create_optimizer(), 0))
    names = ["/".join(map(str, path)) for path, _ in jax.tree_util.tree_leaves_with_path(shapes)]
    different = []
    with Checkpoints(workdir, read_only=True) as ours, Checkpoints(expected, read_only=True) as theirs:
        for which in ("latest", "best"):
            leaves = [jax.tree.leaves(checkpoints.restore(which, shapes)) for checkpoints in (ours, theirs)]
            for name, a, b in zip(names, *leaves, strict=True):
                if np.asarray(a).tobytes() != np.asarray(b).tobytes():
                    different.append(f"{which} {name}")
    if (workdir / "metrics.jsonl").read_bytes() != (expected / "metrics.jsonl").read_bytes():
        different.append("metrics.jsonl")
    return different


def main() -> None:
    """Run the test and report the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments, which also depend on the machine's load")
    options = parser.parse_args()
    rng, began = random.Random(options.seed), time.monotonic()
    epochs = 20 + 3 * options.kills
    kills, damage, resumes = collections.Counter(), collections.Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        cache, whole, workdir = (Path(folder) / name for name in ("cache", "whole", "killed"))
        finish(Path(folder) / "first", cache, 1)
        (startup, first, training), _ = finish(whole, cache, epochs)
        print(
            f"undisturbed: {startup:.1f} s to start, {first:.1f} s to the first epoch, {training:.1f} s to the {epochs}th",
            flush=True,
        )
        damaged: dict[Path, int] = {}
        while kills.total() < options.kills:
            left = 1 - epochs_done(workdir) / epochs
            window = training * min(0.3 * left / (options.kills - kills.total()), 1.5 / options.kills)
            process = Training(workdir, cache, epochs)
            how = kill(process, rng, startup, first, window)
            resumes += process.resumed()
            if how is None:
                break
            kills[how] += 1
            kind = damage_latest(workdir, rng, damaged) if rng.random() < 0.25 else None
            if kind:
                damage[kind] += 1
            print(f"{kills.total():3d}  {how}; {epochs_done(workdir)} epochs done{f'; {kind}' if kind else ''}", flush=True)
        resumes += finish(workdir, cache, epochs)[1]
        different = differences(workdir, whole)
    print(f"kills {kills.total()}: " + ", ".join(f"{count} {how}" for how, count in sorted(kills.items())))
    print(f"damaged checkpoints {damage.total()}: " + ", ".join(f"{count} {kind}" for kind, count in sorted(damage.items())))
    print(f"resumes {resumes}, differences {len(different)}, seconds {time.monotonic() - began:.0f}")
    for name in different:
        print(f"different: {name}")
    sys.exit(bool(different) or kills.total() < options.kills)


def epochs_done(workdir: Path) -> int:
    """Return the number of lines in a run's metrics."""
    log = workdir / "metrics.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


if __name__ == "__main__":
    main()
