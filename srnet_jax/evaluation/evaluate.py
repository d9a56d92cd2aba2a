"""Results of trained runs on the test split: per action, both averages, rare poses, scenes and joints."""

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.config import config_files, schema
from srnet_jax.data.dataset import Sequence
from srnet_jax.data.protocols import Split
from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import stack_frames
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.ranking import rank_test_poses
from srnet_jax.io.files import write_whole
from srnet_jax.lifting import weights
from srnet_jax.models.predict import predict
from srnet_jax.official.runs import imported_from
from srnet_jax.pose import metrics, rarity
from srnet_jax.pose.frames import Frames
from srnet_jax.pose.normalization import notes
from srnet_jax.pose.skeleton import Skeleton
from srnet_jax.training.records import fork_labels
from srnet_jax.training.state import count_parameters

_mpjpe = jax.jit(metrics.mpjpe)
RESULTS_FILE = "results.json"
RESULTS_VERSION = 2  # of its keys: 2 has `subsets`
_DECILES = tuple(range(10, 101, 10))  # of rareness, percent (paper Fig. 5)
_CHANGEABLE = ("data.", "test_data.", "protocol.", "evaluate.")  # what evaluation may do otherwise than training did


@dataclasses.dataclass(frozen=True)
class TestSet:
    """What the runs of one comparison are measured on.

    Attributes:
      dataset_name: what the data are called.
      skeleton: the joints.
      parts: the sequences of each part.
      frames: the test frames.
      actions: [N] action of each test frame.
      scenes: [N] scene of each test frame, "" where the data have none.
      commonness: [N] of each test pose, by the protocol's ranking: its occurrence (Eq. 10) if not said otherwise.
      ranked: how the commonness was computed.
      subsets: test frames by name, see `subsets.find`.
      counted: the test frames that the results count: all, or the rarest ones.
      mean_pose: [J, 3] mean of the training poses, metres: the constant prediction to beat.
      splits: the protocol's fields that made the parts.
    """

    dataset_name: str
    skeleton: Skeleton
    parts: Split
    frames: Frames
    actions: np.ndarray
    scenes: np.ndarray
    commonness: np.ndarray
    ranked: str
    subsets: dict[str, np.ndarray]
    counted: np.ndarray
    mean_pose: np.ndarray
    splits: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One run's results, as in `results.json`, and its predictions [N, J, 3]."""

    workdir: Path
    config: ConfigDict
    results: dict[str, Any]
    predicted: np.ndarray


def load_test_set(config: ConfigDict) -> TestSet:
    """Load the data of a config, split it, and rank the test poses by rarity."""
    dataset, parts = load_split(config)
    frames, train = (stack_frames(part, config.model.normalization) for part in (parts.test, parts.train))
    ranking = rank_test_poses(config, parts)
    return TestSet(
        dataset_name=dataset.name,
        skeleton=dataset.skeleton,
        parts=parts,
        frames=frames,
        actions=np.array([s.action for s in parts.test])[frames.sequence_of],
        scenes=np.array([s.scene for s in parts.test])[frames.sequence_of],
        commonness=ranking.values,
        ranked=ranking.how,
        subsets=subsets.find(config, parts, ranking.values),
        counted=np.sort(rarity.rarest(ranking.values, parts.rarest_percent)),
        mean_pose=_mean_pose(train),
        splits=_splits(config),
    )


def evaluate(
    workdirs: list[Path], checkpoint: str = "best", changes: dict[str, Any] | None = None
) -> tuple[list[Evaluation], list[TestSet]]:
    """Evaluate runs from their checkpoints and write `results.json` and `results.csv` to each workdir.

    Args:
      workdirs: of finished or running trainings.
      checkpoint: "best", "latest" or a step.
      changes: fields, by dotted name, that differ from the runs' configs: of the data, the protocol or the evaluation.

    Returns:
      The evaluation and the test set of each workdir, in order; equal data and protocols share one test set.

    Raises:
      UserError: if a workdir holds no run or no such checkpoint, a change is not allowed or not read, or data are missing.
    """
    as_trained = [config_files.load(workdir) for workdir in workdirs]
    configs = [changed(config, changes or {}) for config in as_trained]
    schema.check_read(configs, changes or {})
    restored = [weights.from_workdir(workdir, checkpoint) for workdir in workdirs]
    test_sets: dict[str, TestSet] = {}
    evaluations, used = [], []
    moved = {name: value for name, value in (changes or {}).items() if name in ("data.path", "test_data.path")}
    for workdir, config, own, trained in zip(workdirs, configs, as_trained, restored, strict=True):
        key = _data_key(config)
        if key not in test_sets:
            test_sets[key] = load_test_set(config)
        test = test_sets[key]
        own_test = _with_own_training(test, config, changed(own, moved))
        predicted = predict(
            trained.model,
            trained.variables,
            test.frames,
            mirrored=test.skeleton.mirrored if config.evaluate.flip else None,
            batch_frames=config.evaluate.batch_frames,
        )
        wrong = int((~np.isfinite(predicted)).any((1, 2)).sum())
        if wrong:
            raise UserError(
                f"{workdir}: checkpoint {trained.step} predicts infinity or NaN in {wrong:,} of {len(predicted):,} frames"
            )
        evaluation = Evaluation(
            workdir,
            config,
            {
                "results_version": RESULTS_VERSION,
                "network": config.model.network,
                "parameters": count_parameters(trained.variables["params"]),
                "seed": config.seed,
                "checkpoint": checkpoint,
                "step": trained.step,
                "config_hash": schema.fingerprint(own),
                "changed": changes or {},
                **_circumstances(own_test, config, _origin(workdir, trained.step or 0, own_test)),
                **measure(own_test, predicted, config.protocol.rare_percents),
            },
            predicted,
        )
        write_whole(workdir / RESULTS_FILE, json.dumps(evaluation.results, indent=2) + "\n")
        write_whole(workdir / "results.csv", to_csv([evaluation]))
        evaluations.append(evaluation)
        used.append(test)
    return evaluations, used


def changed(config: ConfigDict, changes: dict[str, Any]) -> ConfigDict:
    """Return a run's config with some fields changed for evaluation.

    Raises:
      ConfigError: if a field is not of the data, the protocol or the evaluation, or a value is not allowed.
    """
    if changes.get("protocol.name") == "cross_dataset" != config.protocol.name and not any(
        name.startswith("test_data.") for name in changes
    ):
        raise ConfigError("config.test_data: not set, expected what cross_dataset tests on, as --config.test_data.path")
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
    """Return the fields in which the runs' test sets differ: none if they are tested on the same poses."""
    sets = [_test_fields(changed(config_files.load(workdir), changes)) for workdir in workdirs]
    return [name for name in sets[0] if any(other[name] != sets[0][name] for other in sets)]


def _test_fields(config: ConfigDict) -> dict[str, str]:
    """Return what the test set and its ranking depend on."""
    fields = {f"config.{part}": config[part].to_json() for part in ("data", "test_data")}
    fields |= {f"config.protocol.{name}": repr(value) for name, value in config.protocol.items()}
    if config.protocol.rare_reference != "train":
        fields = {name: value for name, value in fields.items() if ".validation" not in name}
    return fields | {"config.model.normalization": config.model.normalization}


def _data_key(config: ConfigDict) -> str:
    return json.dumps(_test_fields(config))


def _with_own_training(test: TestSet, config: ConfigDict, own: ConfigDict) -> TestSet:
    """Return the test set with what is told of training as the run itself was trained: parts, mean pose and labels.

    Args:
      test: of `config`, or of another run's that gives the same test set.
      config: the run's with its changes.
      own: the run's as it was trained.
    """
    if config.data == own.data and config.test_data == own.test_data and _splits(config) == _splits(own) == test.splits:
        return test
    parts = load_split(own)[1]
    seen = {_identity(s) for s in parts.train} & {_identity(s) for s in test.parts.test}
    shared = [label for label in test.parts.labels[1:] if label in parts.labels or not label.startswith("trained on")]
    trained = [f"in training: {label}" for label in parts.labels[1:] if label not in shared]
    overlap = [f"TRAINED on {len(seen)} of the test sequences"] if seen and own.data == config.data else []
    return dataclasses.replace(
        test,
        parts=dataclasses.replace(
            parts,
            test=test.parts.test,
            labels=(parts.labels[0], *shared, *trained, *overlap),
            rarest_percent=test.parts.rarest_percent,
        ),
        mean_pose=_mean_pose(stack_frames(parts.train, own.model.normalization)),
    )


def _splits(config: ConfigDict) -> dict[str, Any]:
    return {name: value for name, value in config.protocol.items() if not name.startswith("rare_")}


def _identity(sequence: Sequence) -> tuple[str, str, str, str]:
    return sequence.subject, sequence.action, sequence.trial, sequence.camera.name


def _mean_pose(train: Frames) -> np.ndarray:
    return train.truth.mean(0, dtype=np.float64).astype(np.float32)


def _origin(workdir: Path, step: int, test: TestSet) -> list[str]:
    """Return how a checkpoint came about, in words: what chose it, or the file that it was imported from, and forks."""
    source = imported_from(workdir, step)
    return [f"checkpoint imported from {source}" if source else test.parts.labels[0], *fork_labels(workdir, step)]


def _circumstances(test: TestSet, config: ConfigDict, origin: list[str]) -> dict[str, Any]:
    """Return what a reader must know to compare the numbers; `origin` says how the checkpoint came about."""
    protocol = config.protocol
    parts = {name: getattr(test.parts, name) for name in ("train", "validation", "test")}
    return {
        "dataset": test.dataset_name,
        "protocol": protocol.name,
        "labels": [
            *origin,
            *test.parts.labels[1:],
            *notes(config.model.normalization),
        ],
        "test_time_flip": config.evaluate.flip,
        "normalization": config.model.normalization,
        "counts": {
            **{
                name: {"sequences": len(sequences), "frames": sum(s.num_frames for s in sequences)}
                for name, sequences in parts.items()
            },
            "counted": {"frames": len(test.counted)},
        },
        "rarity": {
            "ranking": protocol.rare_ranking,
            "sigma_mm": list(protocol.rare_sigma_mm),
            "reference": protocol.rare_reference,
            "reference_step": protocol.rare_reference_step,
            "how": test.ranked,
        },
    }


def frame_errors(test: TestSet, predicted: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the errors of each test frame, by the names of the results, and of each joint.

    Returns:
      {name: [N]} in millimetres, or percent; the velocity error, of the movement since the frame before, is NaN in the
      first frame of a sequence. And [N, J] in millimetres.
    """
    target = test.frames.truth
    found = metrics.measure(predicted, target, test.skeleton)
    joints = 1000 * found.pop("joints")
    shares = {name for name in found if name.startswith(("pck", "auc"))}
    errors = {f"{name}_mm": 1000 * values for name, values in found.items() if name not in shares}
    errors |= {f"{name}_percent": 100 * found[name] for name in found if name in shares}
    moved = metrics.in_blocks(_mpjpe, np.diff(predicted, axis=0), np.diff(target, axis=0))
    errors["mpjve_mm"] = np.insert(1000 * moved, 0, np.nan)
    errors["mpjve_mm"][test.frames.starts] = np.nan
    errors["mean_pose_mpjpe_mm"] = 1000 * metrics.in_blocks(_mpjpe, np.broadcast_to(test.mean_pose, target.shape), target)
    return errors, joints


def measure(test: TestSet, predicted: np.ndarray, rare_percents: tuple[float, ...]) -> dict[str, Any]:
    """Return the errors of predictions [N, J, 3].

    Keys, over the counted frames: `actions` (by name), `average_over_actions` (unweighted, the field's headline),
    `average_over_frames`, `scenes` (by name, where the data have some) and `joints` (by name). Over all test frames:
    `rare` (by percent), `subsets` (by name, see `subsets.find`) and `rareness`, the curves of Fig. 5. Rows hold the number of
    `frames`, every metric in millimetres or percent (None where there is no frame to tell), and `mean_pose_mpjpe_mm`, of always
    predicting the training set's mean pose.
    """
    errors, joints = frame_errors(test, predicted)

    def over_frames(where: np.ndarray) -> dict[str, Any]:
        return {"frames": len(where)} | {name: _mean(values[where]) for name, values in errors.items()}

    def by(names: np.ndarray) -> dict[str, dict[str, Any]]:
        of = names[test.counted]
        return {name: over_frames(test.counted[of == name]) for name in dict.fromkeys(names.tolist()) if (of == name).any()}

    actions = by(test.actions)
    averages = {name: _mean(np.array([row[name] for row in actions.values()], float)) for name in errors}
    return {
        "actions": actions,
        "average_over_actions": {"frames": len(test.counted), **averages},
        "average_over_frames": over_frames(test.counted),
        "rare": {f"{p:g}": over_frames(rarity.rarest(test.commonness, p)) for p in rare_percents},
        "subsets": {name: over_frames(where) for name, where in test.subsets.items()},
        "scenes": by(test.scenes) if test.scenes.any() else {},
        "joints": {
            name: {"mpjpe_mm": float(error)}
            for name, error in zip(test.skeleton.joints, joints[test.counted].mean(0), strict=True)
        },
        "rareness": _rareness(test.commonness, errors),
    }


def _mean(values: np.ndarray) -> float | None:
    """Return the mean of the values that are numbers, or None if none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _rareness(commonness: np.ndarray, errors: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return MPJPE over the rarest R % of poses, and in each interval of 10 % (paper Fig. 5)."""
    order = rarity.rarest(commonness, 100)
    ends = [max(round(len(order) * percent / 100), 1) for percent in _DECILES]
    starts = [0, *ends[:-1]]
    curves: dict[str, list[float]] = {"percent": list(_DECILES)}
    for name in ("mpjpe_mm", "mean_pose_mpjpe_mm"):
        values = errors[name][order]
        curves[f"cumulative_{name}"] = [float(values[:end].mean()) for end in ends]
        curves[f"interval_{name}"] = [float(values[min(a, b - 1) : b].mean()) for a, b in zip(starts, ends, strict=True)]
    return curves


def rows(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the labelled rows of a results table, in order."""
    return {
        **results["actions"],
        "average over actions": results["average_over_actions"],
        "average over frames": results["average_over_frames"],
        **{f"rarest {percent} %": row for percent, row in results["rare"].items()},
        **results["subsets"],
        **{f"scene: {name}": row for name, row in results["scenes"].items()},
    }


def to_csv(evaluations: list[Evaluation]) -> str:
    """Return results as CSV: a line for each row of each run, with every metric."""
    text = io.StringIO()
    names = [name for name in evaluations[0].results["average_over_frames"] if name != "frames"]
    table = csv.writer(text, lineterminator="\n")
    about = ("network", "seed", "config_hash", "checkpoint", "step", "protocol", "normalization", "test_time_flip")
    table.writerow(["workdir", *about, "labels", "row", "frames", *names])
    for evaluation in evaluations:
        run = [*(evaluation.results[key] for key in about), "; ".join(evaluation.results["labels"])]
        for label, row in rows(evaluation.results).items():
            cells = ["" if row[name] is None else f"{row[name]:.10g}" for name in names]
            table.writerow([evaluation.workdir, *run, label, row["frames"], *cells])
    return text.getvalue()
