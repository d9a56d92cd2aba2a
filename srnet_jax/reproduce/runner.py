"""Train and evaluate the runs of an experiment; reuse finished runs, and continue interrupted ones."""

import collections
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.data.sources import load_datasets
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.evaluation.evaluate import RESULTS_FILE, RESULTS_VERSION, Evaluation, evaluate
from srnet_jax.reproduce import settings
from srnet_jax.reproduce.experiment import Experiment
from srnet_jax.training.loop import train_members
from srnet_jax.training.metric_log import METRICS_FILE, read_lines
from srnet_jax.training.records import free_to_change

RUNS_FOLDER = "runs"
_RANKED = tuple(name for name in schema.FIELDS if name.startswith("protocol.rare_"))  # the results depend on these fields
_RESULTS: dict[str, type] = {  # the keys of results.json that tables read, and their types
    **dict.fromkeys(
        ("actions", "average_over_actions", "average_over_frames", "rare", "subsets", "scenes", "rareness", "recordings"),
        dict,
    ),
    **dict.fromkeys(("rarity", "counts"), dict),
    **dict.fromkeys(("dataset", "protocol"), str),
    **{"parameters": int, "labels": list, "test_time_flip": bool},
}


@dataclasses.dataclass(frozen=True)
class Training:
    """The runs of a row, which are trained as one program: one run for each seed, and in Cross-Action for each action.

    Attributes:
      name: of the row.
      config: of the row, with its seeds and training actions as an ensemble.
      folder: holds a folder for each run.
    """

    name: str
    config: ConfigDict
    folder: Path

    def evaluations(self) -> list[Evaluation] | None:
        """Return the results of the runs, without predictions.

        None if a run is not finished, or its results are from another evaluation or other data.
        """
        found = []
        for name, config in ensembles.members(self.config).items():
            folder, wanted = self.folder / name, config_files.with_absolute_paths(config)
            results = _read_results(folder, wanted)
            if results is None:
                return None
            found.append(Evaluation(folder, wanted, results, np.empty((0, 17, 3), np.float32)))
        return found

    def run(self) -> None:
        """Train and evaluate the runs that are not finished."""
        train_members(self.config, self.folder)
        evaluate(ensembles.workdirs(self.folder))


def _read_results(folder: Path, wanted: ConfigDict) -> dict[str, Any] | None:
    """Return the results of a finished run that was trained and evaluated with this config; None if there are none."""
    try:
        config = config_files.load(folder)
        results = json.loads((folder / RESULTS_FILE).read_text())
        about = [results[key] for key in ("results_version", "config_hash", "checkpoint", "changed")]
        whole = all(isinstance(results[key], kind) for key, kind in _RESULTS.items())
    except (OSError, ConfigError, ValueError, KeyError, TypeError, RecursionError):
        return None
    others = [name for name in schema.differences(config, wanted) if name.endswith("data.path") or name in _RANKED]
    changed = others + [name for name in schema.differences(config, wanted) if not free_to_change(name)]
    epochs = [line["epoch"] for _, line in read_lines(folder / METRICS_FILE) if "epoch" in line]
    finished = bool(epochs) and epochs[-1] >= wanted.train.epochs
    finished &= newest(Path(wanted.data.path), Path(wanted.test_data.path)) < (folder / RESULTS_FILE).stat().st_mtime
    fits = about == [RESULTS_VERSION, schema.fingerprint(config), "best", {}]
    return results if whole and fits and finished and not changed else None


def newest(*paths: Path) -> float:
    """Return when the newest file among these paths, or directly in these folders, was written or moved, seconds since 1970."""
    files = [file for path in paths if path != Path() for file in ([path] if path.is_file() else path.glob("*"))]
    return max((max(file.stat().st_mtime, file.stat().st_ctime) for file in files), default=0.0)


def trainings(
    experiment: Experiment, workdir: Path, data: str, scale: str, seeds: int, changes: dict[str, Any]
) -> tuple[list[Training], tuple[str, ...]]:
    """Return the trainings of an experiment.

    If the data are two motion capture files, all subjects of the first are for training and all of the second for testing.

    Args:
      experiment: whose rows to train.
      workdir: folder for the runs.
      data: a name of `settings.DATA`.
      scale: a key of `settings.SCALES`.
      seeds: number of runs of each row.
      changes: config values by dotted field name, for all rows.

    Returns:
      The trainings, in the order of the rows, and the actions of the columns; no actions if the columns do not need them.

    Raises:
      UserError: if a field is not allowed, or the data are missing.
    """
    found = settings.configs(experiment, data, scale, seeds, changes)
    actions: tuple[str, ...] = ()
    if found and (experiment.by_action or (experiment.cross_dataset and data == "mocap")):
        first = next(iter(found.values()))
        dataset, other = load_datasets(first)
        actions = tuple(dict.fromkeys(dataset.names("action")))
        if experiment.each_action:  # an action needs two recordings: one to train on, one to choose the checkpoint
            subjects = first.protocol.subjects_train
            recordings = {(s.subject, s.action, s.trial) for s in dataset.sequences if s.subject in subjects}
            recorded = collections.Counter(action for _, action, _ in recordings)
            actions = first.ensemble.actions_train or tuple(action for action in actions if recorded[action] >= 2)
        for config in found.values():
            if experiment.each_action:
                config.ensemble.actions_train = actions
            if other is not None:
                everyone = {"subjects_train": dataset.names("subject"), "subjects_test": other.names("subject")}
                config.protocol.update({n: names for n, names in everyone.items() if f"protocol.{n}" not in changes})
    return [Training(name, config, workdir / RUNS_FOLDER / _folder(config)) for name, config in found.items()], actions


def run_shard(
    found: list[Training], shard: tuple[int, int], say: Callable[[str], None]
) -> tuple[list[Training], dict[str, UserError]]:
    """Train the missing runs of one shard; a training that fails does not stop the others.

    Args:
      found: all trainings of the experiment; rows with equal configs share a folder and are trained once.
      shard: the number of this shard, from 1, and the number n of shards; a shard is every n-th training.
      say: prints a line.

    Returns:
      The trainings of all shards that are still missing, and the errors of those that failed, by name.

    Raises:
      Interrupted: on a signal; the same command continues the training.
    """
    (index, count), failures = shard, {}
    by_folder: dict[Path, Training] = {}
    for training in found:
        by_folder.setdefault(training.folder, training)
    distinct = list(by_folder.values())
    for number, training in enumerate(distinct):
        if number % count != index - 1 or training.evaluations() is not None:
            continue
        say(f"[{number + 1} of {len(distinct)}] {training.name}: {training.folder}")
        try:
            training.run()
        except UserError as error:
            failures[training.name] = error
            say(f"{training.name}: {error}")
    return [training for training in distinct if training.evaluations() is None], failures


def _folder(config: ConfigDict) -> str:
    """Return the folder name of a training: protocol, network and a hash of the fields that differ from the default config.

    Only differing fields are hashed, so that a new field with a default changes no name. Seeds are not hashed, nor fields that
    a run may change when it continues, such as the path of the data.
    """
    fields, names = dict(schema.flatten(config)), schema.differences(config, schema.default_config())
    own = {name: fields[name] for name in names if not free_to_change(name) and name not in ("seed", "ensemble.seeds")}
    return f"{config.protocol.name}-{config.model.network}-{hashlib.sha256(json.dumps(own).encode()).hexdigest()[:12]}"
