"""Train and evaluate what an experiment needs, once: finished runs are found again, interrupted ones go on."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax import config as config_lib
from srnet_jax.data.sources import load_datasets
from srnet_jax.errors import ConfigError
from srnet_jax.evaluation.evaluate import RESULTS_FILE, RESULTS_VERSION, Evaluation, evaluate
from srnet_jax.reproduce import settings
from srnet_jax.reproduce.experiments import Experiment
from srnet_jax.training.loop import train_members

RUNS_FOLDER = "runs"


@dataclasses.dataclass(frozen=True)
class Training:
    """A row's runs, trained as one program: a folder with one run for each seed (and action)."""

    name: str
    config: ConfigDict
    folder: Path

    def evaluations(self) -> list[Evaluation] | None:
        """Return the runs' results, or None if one of them is not finished, or was last evaluated in another way."""
        found = []
        for name in config_lib.members(self.config):
            folder = self.folder / name
            try:
                config = config_lib.load(folder)
                results = json.loads((folder / RESULTS_FILE).read_text())
                about = [results[key] for key in ("results_version", "config_hash", "checkpoint", "changed")]
            except (OSError, ConfigError, ValueError, KeyError, TypeError):
                return None  # what is missing or damaged is made again
            if about != [RESULTS_VERSION, config_lib.fingerprint(config), "best", {}]:
                return None
            found.append(Evaluation(folder, config, results, np.empty((0, 17, 3), np.float32)))
        return found

    def run(self) -> None:
        """Train and evaluate; what is finished stays."""
        train_members(self.config, self.folder)
        evaluate(config_lib.workdirs(self.folder))


def trainings(
    experiment: Experiment, workdir: Path, data: str, scale: str, seeds: int, changes: dict[str, Any]
) -> tuple[list[Training], tuple[str, ...]]:
    """Return what an experiment trains, a row after the other, and the actions of its columns, of which some need none.

    Raises:
      UserError: if a field is not allowed, or the data are missing. (Of a file and another, all subjects train and test.)
    """
    found = settings.configs(experiment, data, scale, seeds, changes)
    actions: tuple[str, ...] = ()
    if found and (experiment.transposed or (experiment.cross_dataset and data == "mocap")):
        dataset, other = load_datasets(next(iter(found.values())))
        actions = tuple(dict.fromkeys(dataset.names("action")))
        for config in found.values():
            if experiment.each_action:
                config.ensemble.actions_train = actions
            if other is not None:
                config.protocol.update(subjects_train=dataset.names("subject"), subjects_test=other.names("subject"))
    return [Training(name, config, workdir / RUNS_FOLDER / _folder(config)) for name, config in found.items()], actions


def run_shard(found: list[Training], shard: tuple[int, int], say: Callable[[str], None]) -> list[Training]:
    """Train what is missing of every n-th training, and return all that are still missing.

    Args:
      found: all of the experiment, rows that are the same among them.
      shard: number, from 1, and how many there are.
      say: prints a line.

    Raises:
      UserError: if a training cannot go on.
      Interrupted: on a signal; the same command continues.
    """
    index, count = shard
    by_folder: dict[Path, Training] = {}
    for training in found:
        by_folder.setdefault(training.folder, training)
    distinct = list(by_folder.values())
    for number, training in enumerate(distinct):
        if number % count != index - 1 or training.evaluations() is not None:
            continue
        say(f"[{number + 1} of {len(distinct)}] {training.name}: {training.folder}")
        training.run()
    return [training for training in distinct if training.evaluations() is None]


def _folder(config: ConfigDict) -> str:
    """Name runs after their network and a hash of what differs from the default config, so that a new field changes no name.

    Seeds, and where the data lie, do not count.
    """
    fields, left_out = dict(config_lib.flatten(config)), ("seed", "ensemble.seeds", "data.path", "test_data.path")
    own = {name: fields[name] for name in config_lib.differences(config, settings.default_config()) if name not in left_out}
    return f"{config.protocol.name}-{config.model.network}-{hashlib.sha256(json.dumps(own).encode()).hexdigest()[:12]}"
