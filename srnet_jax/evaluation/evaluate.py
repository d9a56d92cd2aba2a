"""Results of trained runs on the test split: per action, both averages, and rare poses."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax import config as config_lib
from srnet_jax import metrics, rarity
from srnet_jax.data.protocols import Split
from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import Frames, stack_frames
from srnet_jax.evaluation.predict import predict
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.normalization import notes
from srnet_jax.skeleton import Skeleton
from srnet_jax.training.checkpoint import Checkpoints
from srnet_jax.training.official_runs import imported_from
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import count_parameters, create_train_state

RESULTS_FILE = "results.json"
_BLOCK = 16_384  # poses measured in one device call


@dataclasses.dataclass(frozen=True)
class TestSet:
    """What the runs of one comparison are measured on.

    Attributes:
      dataset_name: what the data are called.
      skeleton: the joints.
      parts: the sequences of each part.
      frames: the test frames.
      actions: [N] action of each test frame.
      commonness: [N] of each test pose, by the protocol's ranking: its occurrence (Eq. 10) if not said otherwise.
      counted: the test frames that the results count: all, or the rarest ones.
      mean_pose: [J, 3] mean of the training poses, metres: the constant prediction to beat.
    """

    dataset_name: str
    skeleton: Skeleton
    parts: Split
    frames: Frames
    actions: np.ndarray
    commonness: np.ndarray
    counted: np.ndarray
    mean_pose: np.ndarray


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
    protocol = config.protocol
    reference = (train if protocol.rare_reference == "train" else frames).poses_3d[:: protocol.rare_reference_step]
    commonness = rarity.commonness(
        frames.poses_3d,
        reference,
        sigma_m=tuple(sigma / 1000 for sigma in protocol.rare_sigma_mm),
        ranking=protocol.rare_ranking,
    )
    return TestSet(
        dataset_name=dataset.name,
        skeleton=dataset.skeleton,
        parts=parts,
        frames=frames,
        actions=np.array([s.action for s in parts.test])[frames.sequence_of],
        commonness=commonness,
        counted=np.sort(rarity.rarest(commonness, parts.rarest_percent)),
        mean_pose=train.truth.mean(0, dtype=np.float64).astype(np.float32),
    )


def evaluate(workdirs: list[Path], checkpoint: str = "best") -> tuple[list[Evaluation], list[TestSet]]:
    """Evaluate runs from their checkpoints and write `results.json` and `results.csv` to each workdir.

    Args:
      workdirs: of finished or running trainings.
      checkpoint: "best", "latest" or a step.

    Returns:
      The evaluation and the test set of each workdir, in order; equal data and protocols share one test set.

    Raises:
      UserError: if a workdir holds no run or no such checkpoint, or its data are missing.
    """
    configs = [config_lib.load(workdir) for workdir in workdirs]
    restored = [_restore(workdir, config, checkpoint) for workdir, config in zip(workdirs, configs, strict=True)]
    test_sets: dict[str, TestSet] = {}
    evaluations, used = [], []
    for workdir, config, (model, variables, step) in zip(workdirs, configs, restored, strict=True):
        key = "".join(part.to_json() for part in (config.data, config.test_data, config.protocol)) + config.model.normalization
        if key not in test_sets:
            test_sets[key] = load_test_set(config)
        test = test_sets[key]
        predicted = predict(
            model,
            variables,
            test.frames,
            mirrored=test.skeleton.mirrored if config.evaluate.flip else None,
            batch_frames=config.evaluate.batch_frames,
        )
        source = imported_from(workdir, step)
        results = {
            "network": config.model.network,
            "parameters": count_parameters(variables["params"]),
            "seed": config.seed,
            "checkpoint": checkpoint,
            "step": step,
            "dataset": test.dataset_name,
            "protocol": config.protocol.name,
            "labels": [
                f"checkpoint imported from {source}" if source else test.parts.labels[0],
                *test.parts.labels[1:],
                *notes(config.model.normalization),
            ],
            "test_time_flip": config.evaluate.flip,
            "normalization": config.model.normalization,
            "rarity": {
                "ranking": config.protocol.rare_ranking,
                "sigma_mm": list(config.protocol.rare_sigma_mm),
                "reference": config.protocol.rare_reference,
                "reference_step": config.protocol.rare_reference_step,
            },
            **measure(test, predicted, config.protocol.rare_percents),
        }
        for name, text in ((RESULTS_FILE, json.dumps(results, indent=2) + "\n"), ("results.csv", to_csv(results))):
            draft = workdir / f"{name}.tmp"
            draft.write_text(text)
            draft.replace(workdir / name)
        evaluations.append(Evaluation(workdir, config, results, predicted))
        used.append(test)
    return evaluations, used


def _restore(workdir: Path, config: ConfigDict, checkpoint: str):
    model = create_model(config.model)
    shapes = jax.eval_shape(lambda: create_train_state(model, create_optimizer(config.train), config.seed))
    with Checkpoints(workdir, read_only=True) as checkpoints:
        variables, step = checkpoints.restore_variables(checkpoint, shapes.variables)
    return model, variables, step


def pose_errors(name: str, predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return a metric [N] of `metrics.METRICS` for many poses [N, J, 3], in blocks of constant device memory."""
    padding = ((0, -len(target) % min(_BLOCK, len(target))), (0, 0), (0, 0))
    size = min(_BLOCK, len(target))
    padded = [np.pad(poses, padding, mode="edge").reshape(-1, size, *poses.shape[1:]) for poses in (predicted, target)]
    blocks = [np.asarray(metrics.errors(name, p, t)) for p, t in zip(*padded, strict=True)]
    return np.concatenate(blocks)[: len(target)].astype(np.float64)


def measure(test: TestSet, predicted: np.ndarray, rare_percents: tuple[float, ...]) -> dict[str, Any]:
    """Return the errors of predictions [N, J, 3] in millimetres.

    Keys: `actions` (by name), `average_over_actions` (unweighted, the field's headline) and `average_over_frames`, over the
    counted frames; `rare` (by percent), over the frames of all test poses. Each holds the number of `frames`, every metric,
    and `mean_pose_mpjpe_mm`, the error of always predicting the training set's mean pose.
    """
    target = test.frames.truth
    errors = {f"{name}_mm": 1000 * pose_errors(name, predicted, target) for name in metrics.METRICS}
    constant = np.broadcast_to(test.mean_pose, target.shape)
    errors["mean_pose_mpjpe_mm"] = 1000 * pose_errors("mpjpe", constant, target)

    def over_frames(where: np.ndarray) -> dict[str, float]:
        return {"frames": len(where)} | {name: float(values[where].mean()) for name, values in errors.items()}

    of_action = test.actions[test.counted]
    names = dict.fromkeys(test.actions.tolist())
    actions = {name: over_frames(test.counted[of_action == name]) for name in names if (of_action == name).any()}
    average = {name: float(np.mean([row[name] for row in actions.values()])) for name in errors}
    return {
        "actions": actions,
        "average_over_actions": {"frames": len(test.counted), **average},
        "average_over_frames": over_frames(test.counted),
        "rare": {f"{p:g}": over_frames(rarity.rarest(test.commonness, p)) for p in rare_percents},
    }


def rows(results: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the labelled rows of a results table, in order."""
    return {
        **results["actions"],
        "average over actions": results["average_over_actions"],
        "average over frames": results["average_over_frames"],
        **{f"rarest {percent} %": row for percent, row in results["rare"].items()},
    }


def to_csv(results: dict[str, Any]) -> str:
    """Return the results as CSV, one line a row of the table."""
    table = rows(results)
    columns = list(next(iter(table.values())))
    lines = [",".join(["row", *columns, "normalization"])]
    for label, row in table.items():
        lines.append(",".join([label, *(f"{row[column]:.10g}" for column in columns), results["normalization"]]))
    return "\n".join(lines) + "\n"
