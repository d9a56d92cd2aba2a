"""Evaluate trained runs on their test split, and write `results.json` and `results.csv`."""

import csv
import dataclasses
import io
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.measure import measure, rows
from srnet_jax.evaluation.test_set import FindSubsets, TestSet, fields_of_test_set, load_test_set, with_own_training
from srnet_jax.io.files import plain, write_whole
from srnet_jax.lifting import weights
from srnet_jax.models.pose_lifter import count_parameters
from srnet_jax.models.predict import predict
from srnet_jax.official.runs import imported_from
from srnet_jax.pose.normalization import notes
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.records import fork_labels, other_data

RESULTS_FILE = "results.json"
RESULTS_VERSION = 3  # of the keys in results.json: 2 added `subsets`, 3 added `recordings`
_CHANGEABLE = ("data.", "test_data.", "protocol.", "evaluate.")  # prefixes of the fields that an evaluation may change


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The results of one run on a test set.

    Attributes:
      workdir: of the run.
      config: the run's config, with the changes of this evaluation.
      results: as in `results.json`.
      predicted: [N, J, 3] predicted joints, metres, in the frame of `Frames.truth`; empty where only the results are known.
    """

    workdir: Path
    config: ConfigDict
    results: dict[str, Any]
    predicted: np.ndarray


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs whose configs differ only in the seed.

    Attributes:
      name: the network, followed by the first workdir if several groups have this network.
      runs: one for each seed.
    """

    name: str
    runs: list[Evaluation]


def runs_with_checkpoint(workdir: Path, checkpoint: str) -> list[Path]:
    """Return the workdirs of an ensemble's runs that have a checkpoint, and warn about the runs that are left out.

    Runs are left out that lack the checkpoint, or that the latest training of the ensemble did not ask for. The workdir of a
    single run is returned unchecked.

    Raises:
      UserError: if no run of the ensemble has the checkpoint.
    """
    members = ensembles.workdirs(workdir)
    if members == [plain(workdir)]:
        return members
    if others := ensembles.left_out(workdir):
        names = ", ".join(other.name for other in others)
        warnings.warn(
            f"{workdir}: {names} left out, because the latest training of this ensemble was without; to evaluate them too, "
            "add their folders to --workdir",
            stacklevel=2,
        )
    found = []
    for member in members:
        try:
            with Checkpoints(member, read_only=True) as checkpoints:
                checkpoints.find(checkpoint)
            found.append(member)
        except UserError as error:
            warnings.warn(f"{error}; this run is left out", stacklevel=2)
    if not found:
        raise UserError(f"{workdir}: none of its {len(members)} runs has the checkpoint {checkpoint!r}")
    return found


def evaluate(
    workdirs: list[Path], checkpoint: str = "best", changes: dict[str, Any] | None = None
) -> tuple[list[Evaluation], list[TestSet]]:
    """Evaluate a checkpoint of each run, and write `results.json` and `results.csv` to its workdir.

    Args:
      workdirs: of finished or running trainings.
      checkpoint: "best", "latest" or a step.
      changes: values by dotted field name that replace those of the runs' configs; only fields of `data`, `test_data`,
        `protocol` and `evaluate`.

    Returns:
      The evaluation and the test set of each workdir, in order. Runs with equal data and protocols share one test set.

    Raises:
      UserError: if a workdir holds no run or no such checkpoint, a change is not allowed or no run reads it, the data are
        missing, or a prediction is not finite.
    """
    found = list(evaluate_checkpoints([(workdir, checkpoint) for workdir in workdirs], changes))
    for evaluation, _ in found:
        write_whole(evaluation.workdir / RESULTS_FILE, json.dumps(evaluation.results, indent=2) + "\n")
        write_whole(evaluation.workdir / "results.csv", to_csv([evaluation]))
    return [evaluation for evaluation, _ in found], [test for _, test in found]


def evaluate_checkpoints(
    checkpoints: Sequence[tuple[Path, str]],
    changes: dict[str, Any] | None = None,
    find_subsets: FindSubsets = subsets.find,
) -> Iterator[tuple[Evaluation, TestSet]]:
    """Evaluate checkpoints as `evaluate` does, but write nothing.

    Args:
      checkpoints: pairs of a run's workdir and a checkpoint: "best", "latest" or a step.
      changes: see `evaluate`.
      find_subsets: finds the subsets of the test poses that the results list.

    Yields:
      The evaluation and the test set of each pair, in order.

    Raises:
      UserError: see `evaluate`.
    """
    changes = changes or {}
    workdirs = [workdir for workdir, _ in checkpoints]
    as_trained = [config_files.load(workdir) for workdir in workdirs]
    configs = [changed(config, changes) for config in as_trained]
    schema.check_read(configs, changes)
    restored = [weights.from_workdir(workdir, checkpoint) for workdir, checkpoint in checkpoints]
    test_sets: dict[str, TestSet] = {}
    moved = {name: value for name, value in changes.items() if name in ("data.path", "test_data.path")}
    for (workdir, checkpoint), config, own, trained in zip(checkpoints, configs, as_trained, restored, strict=True):
        key = repr(fields_of_test_set(config))
        if key not in test_sets:
            test_sets[key] = load_test_set(config, find_subsets)
        test = with_own_training(test_sets[key], config, changed(own, moved))
        predicted = predict(
            trained.model,
            trained.variables,
            test.frames,
            mirrored=test.mirrored if config.evaluate.flip else None,
            batch_frames=config.evaluate.batch_frames,
        )
        wrong = int((~np.isfinite(predicted)).any((1, 2)).sum())
        if wrong:
            raise UserError(
                f"{workdir}: checkpoint {trained.step} predicts infinity or NaN in {wrong:,} of {len(predicted):,} frames"
            )
        results = {
            "results_version": RESULTS_VERSION,
            "network": config.model.network,
            "parameters": count_parameters(trained.variables["params"]),
            "seed": config.seed,
            "checkpoint": checkpoint,
            "step": trained.step,
            "config_hash": schema.fingerprint(own),
            "changed": changes,
            **_circumstances(test, config, workdir, trained.step or 0),
            **measure(test, predicted, config.protocol.rare_percents),
        }
        yield Evaluation(workdir, config, results, predicted), test_sets[key]


def changed(config: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """Return a copy of a run's config with some fields changed for evaluation.

    Raises:
      ConfigError: if evaluation may not change a field, or a value is not allowed.
    """
    if changes.get("protocol.name") == "cross_dataset" != config.protocol.name and not any(
        name.startswith("test_data.") for name in changes
    ):
        raise ConfigError("config.test_data: not set, expected the data that cross_dataset tests on: --config.test_data.path")
    for name in changes:
        if not name.startswith(_CHANGEABLE):
            raise ConfigError(
                f"config.{name}: cannot change after training, expected a field of data, test_data, protocol or evaluate"
            )
    copy = config.copy_and_resolve_references()
    with copy.ignore_type():  # `validate` knows what a field may hold
        copy.update_from_flattened_dict(changes)
    schema.validate(copy)
    return copy


def differing_test_fields(workdirs: list[Path], changes: dict[str, Any]) -> list[str]:
    """Return the config fields in which the runs' test sets differ; empty if all runs are tested on the same poses."""
    sets = [fields_of_test_set(changed(config_files.load(workdir), changes)) for workdir in workdirs]
    return [name for name in sets[0] if any(other[name] != sets[0][name] for other in sets)]


def _circumstances(test: TestSet, config: ConfigDict, workdir: Path, step: int) -> dict[str, Any]:
    """Return the part of the results that describes the data, the protocol and the ranking by rarity."""
    protocol, normalization = config.protocol, config.model.normalization
    source = imported_from(workdir, step)
    origin = [f"checkpoint imported from {source}" if source else test.parts.labels[0], *fork_labels(workdir, step)]
    origin += other_data(workdir, test.parts.validation, normalization)
    counts = {}
    for name in ("train", "validation", "test"):
        sequences = getattr(test.parts, name)
        counts[name] = {"sequences": len(sequences), "frames": sum(s.num_frames for s in sequences)}
    return {
        "dataset": test.dataset_name,
        "protocol": protocol.name,
        "labels": [*origin, *test.parts.labels[1:], *notes(normalization)],
        "test_time_flip": config.evaluate.flip,
        "normalization": normalization,
        "counts": counts | {"counted": {"frames": len(test.counted)}},
        "rarity": {
            "ranking": protocol.rare_ranking,
            "sigma_mm": list(protocol.rare_sigma_mm),
            "reference": protocol.rare_reference,
            "reference_step": protocol.rare_reference_step,
            "how": test.ranked,
        },
    }


def group_seeds(evaluations: list[Evaluation]) -> list[Group]:
    """Group the runs whose configs differ only in the seed; a run that is given twice is in two groups."""
    groups: list[list[Evaluation]] = []
    for evaluation in evaluations:
        for group in groups:
            if all(schema.differences(other.config, evaluation.config) == ["seed"] for other in group):
                group.append(evaluation)
                break
        else:
            groups.append([evaluation])
    names = [group[0].config.model.network.upper() for group in groups]
    return [
        Group(name if names.count(name) == 1 else f"{name} {runs[0].workdir}", runs)
        for name, runs in zip(names, groups, strict=True)
    ]


def to_csv(evaluations: list[Evaluation]) -> str:
    """Return results as CSV, with a line for each row of each run and a column for each metric."""
    text = io.StringIO()
    names = [name for name in evaluations[0].results["average_over_frames"] if name != "frames"]
    table = csv.writer(text, lineterminator="\n")
    about = ("network", "seed", "config_hash", "checkpoint", "step", "protocol", "normalization", "test_time_flip")
    table.writerow(["workdir", *about, "labels", "row", "frames", *names])
    for evaluation in evaluations:
        run = [*(evaluation.results[key] for key in about), "; ".join(evaluation.results["labels"])]
        for row in rows(evaluation.results):
            cells = ["" if row.numbers[name] is None else f"{row.numbers[name]:.10g}" for name in names]
            table.writerow([evaluation.workdir, *run, row.label, row.numbers["frames"], *cells])
    return text.getvalue()
