"""Measure trained runs again: at earlier checkpoints, on other subsets of the test poses, or on other data."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, schema
from srnet_jax.config.ensembles import members
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.charts import history
from srnet_jax.evaluation.evaluate import RESULTS_VERSION, Evaluation, changed, evaluate_checkpoints
from srnet_jax.evaluation.test_set import FindSubsets
from srnet_jax.io.files import write_whole
from srnet_jax.reproduce.runner import Training, newest
from srnet_jax.training.checkpoints import FOLDER

CACHE_FILE = "remeasured.json"  # in a run's folder: results, by checkpoint, subsets and changes


@dataclasses.dataclass(frozen=True)
class Point:
    """The errors of a network at one step of its training.

    Attributes:
      step: number of training steps.
      train_mpjpe_mm: mean error, in training mode, over the epoch that ends at this step; one for each seed.
      evaluations: results on the test set, one for each seed.
    """

    step: int
    train_mpjpe_mm: list[float]
    evaluations: list[Evaluation]


def trajectories(trainings: Mapping[str, Training]) -> dict[str, list[Point]]:
    """Measure the errors of rows during their training.

    Args:
      trainings: of finished rows, by name.

    Returns:
      By the name of the row, a point for each checkpoint that all its runs kept and for the last epoch; rows without any are
      left out.
    """
    kept = {
        name: {training.folder / run: _kept(training.folder / run, config) for run, config in members(training.config).items()}
        for name, training in trainings.items()
    }
    steps = {name: sorted(set.intersection(*map(set, runs.values()))) for name, runs in kept.items()}
    wanted = [(folder, str(step)) for name, runs in kept.items() for step in steps[name] for folder in runs]
    found = dict(zip(wanted, remeasured(wanted), strict=True))
    return {
        name: [
            Point(step, [errors[step] for errors in runs.values()], [found[folder, str(step)] for folder in runs])
            for step in steps[name]
        ]
        for name, runs in kept.items()
        if steps[name]
    }


def _kept(workdir: Path, config: ConfigDict) -> dict[int, float]:
    """Return the training error, mm, by the step of each checkpoint that the run kept."""
    epochs = {*config.train.keep_epochs, config.train.epochs}
    lines = {int(line["step"]): line["train_mpjpe_mm"] for line in history(workdir) if line["epoch"] in epochs}
    return {step: error for step, error in lines.items() if (workdir / FOLDER / str(step)).is_dir()}


def remeasured(
    checkpoints: Sequence[tuple[Path, str]],
    changes: dict[str, Any] | None = None,
    find_subsets: FindSubsets = subsets.find,
) -> list[Evaluation]:
    """Return the results of checkpoints on other data or subsets.

    Results are cached in the workdir until the run's config, a checkpoint or a data file changes. The missing ones are measured
    together, so that runs with the same data share a test set.

    Args:
      checkpoints: pairs of a run's workdir and a checkpoint: "best", "latest" or a step.
      changes: config values by dotted field name that differ, see `evaluate.evaluate`.
      find_subsets: finds the subsets of the test poses.

    Returns:
      The evaluation of each pair, in order, without predictions.
    """
    changes = changes or {}
    about = f"{find_subsets.__module__}.{find_subsets.__qualname__} {json.dumps(changes, sort_keys=True)}"
    configs = {workdir: config_files.load(workdir) for workdir, _ in checkpoints}
    caches = {workdir: _cache(workdir, config) for workdir, config in configs.items()}
    missing = [(workdir, checkpoint) for workdir, checkpoint in checkpoints if f"{checkpoint} {about}" not in caches[workdir]]
    measured = evaluate_checkpoints(missing, changes, find_subsets) if missing else ()
    for (workdir, checkpoint), (evaluation, _) in zip(missing, measured, strict=True):
        caches[workdir][f"{checkpoint} {about}"] = evaluation.results
        write_whole(workdir / CACHE_FILE, json.dumps(caches[workdir]) + "\n")
    none = np.empty((0, 0, 3), np.float32)
    return [
        Evaluation(workdir, changed(configs[workdir], changes), caches[workdir][f"{checkpoint} {about}"], none)
        for workdir, checkpoint in checkpoints
    ]


def _cache(workdir: Path, config: ConfigDict) -> dict[str, Any]:
    """Return the cached results of a run; {} if its config, its checkpoints or its data have changed since."""
    found, sources = _read(workdir / CACHE_FILE), (workdir / FOLDER, Path(config.data.path), Path(config.test_data.path))
    if not found or newest(*sources) >= (workdir / CACHE_FILE).stat().st_mtime:
        return {}
    about = [RESULTS_VERSION, schema.fingerprint(config)]
    return {
        key: results
        for key, results in found.items()
        if isinstance(results, dict) and [results.get("results_version"), results.get("config_hash")] == about
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
