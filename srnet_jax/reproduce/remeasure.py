"""Trained runs measured otherwise: at the checkpoints on their way, on other subsets of the test poses, or on other data."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.charts import history
from srnet_jax.evaluation.evaluate import RESULTS_VERSION, Evaluation, changed, evaluate_checkpoints
from srnet_jax.evaluation.test_set import FindSubsets
from srnet_jax.io.files import write_whole
from srnet_jax.reproduce.runner import Training, newest
from srnet_jax.training.checkpoints import FOLDER

CACHE_FILE = "remeasured.json"  # in a run's folder: results by what was measured


@dataclasses.dataclass(frozen=True)
class Point:
    """A network after some training.

    Attributes:
      step: number of training steps.
      train_mpjpe_mm: mean error over the epoch that ends here, in training mode; one for each seed.
      evaluations: results on the test set, one for each seed.
    """

    step: int
    train_mpjpe_mm: list[float]
    evaluations: list[Evaluation]


def trajectory(training: Training) -> list[Point]:
    """Return a row's errors at the checkpoints that all its runs kept and after the last epoch, in the order of steps."""
    folders = {training.folder / name: config for name, config in ensembles.members(training.config).items()}
    kept = [_kept(folder, config) for folder, config in folders.items()]
    found = []
    for step in sorted(set(kept[0]).intersection(*kept)):
        runs = [remeasured(folder, str(step)) for folder in folders]
        found.append(Point(step, [errors[step] for errors in kept], runs))
    return found


def _kept(workdir: Path, config: ConfigDict) -> dict[int, float]:
    """Return the training error by the step of each kept checkpoint."""
    epochs = {*config.train.keep_epochs, config.train.epochs}
    lines = {int(line["step"]): line["train_mpjpe_mm"] for line in history(workdir) if line["epoch"] in epochs}
    return {step: error for step, error in lines.items() if (workdir / FOLDER / str(step)).is_dir()}


def remeasured(
    workdir: Path,
    checkpoint: str = "best",
    changes: dict[str, Any] | None = None,
    find_subsets: FindSubsets = subsets.find,
) -> Evaluation:
    """Return a checkpoint's results on other data or subsets.

    They are cached until the run's config, a checkpoint or a data file changes.

    Args:
      workdir: of the run.
      checkpoint: "best", "latest" or a step.
      changes: fields of the config that differ, see `evaluate.evaluate`.
      find_subsets: finds the subsets of the test poses.
    """
    config, changes = config_files.load(workdir), changes or {}
    cache, about = _read(workdir / CACHE_FILE), [RESULTS_VERSION, schema.fingerprint(config)]
    finder = f"{find_subsets.__module__}.{find_subsets.__qualname__}"
    key = f"{checkpoint} {finder} {json.dumps(changes, sort_keys=True)}"
    weights, data = workdir / FOLDER, (Path(config.data.path), Path(config.test_data.path))
    if cache and newest(weights, *data) >= (workdir / CACHE_FILE).stat().st_mtime:
        cache = {}
    results = cache.get(key)
    if not isinstance(results, dict) or [results.get("results_version"), results.get("config_hash")] != about:
        results = evaluate_checkpoints([(workdir, checkpoint)], changes, find_subsets)[0][0].results
        write_whole(workdir / CACHE_FILE, json.dumps(cache | {key: results}) + "\n")
    return Evaluation(workdir, changed(config, changes), results, np.empty((0, 0, 3), np.float32))


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
