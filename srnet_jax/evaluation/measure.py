"""Measure the errors of predictions: for each test frame, and averaged over the rows of the results."""

import dataclasses
from typing import Any

import numpy as np

from srnet_jax.evaluation.test_set import TestSet
from srnet_jax.pose import metrics, rarity

_DECILES = tuple(range(10, 101, 10))  # of the poses in order of rarity, percent (paper Fig. 5)
_LABELS = {"average": "average over {}", "rare": "rarest {} %", "scene": "scene: {}"}


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the results.

    Attributes:
      kind: "action", "average", "rare", "subset" or "scene".
      name: of the action, subset or scene; for an average, what it is over: "actions" or "frames"; for rare poses, their
        percentage.
      numbers: `frames`, the number of frames, and the errors by metric.
    """

    kind: str
    name: str
    numbers: dict[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """The kind and the name, which identify the row among the rows of a run."""
        return self.kind, self.name

    @property
    def label(self) -> str:
        """The name of the row in tables."""
        return _LABELS.get(self.kind, "{}").format(self.name)


def rows(results: dict[str, Any]) -> list[Row]:
    """Return the rows of a run's results, in the order of the tables."""
    parts = {
        "action": results["actions"],
        "average": {name: results[f"average_over_{name}"] for name in ("actions", "frames")},
        "rare": results["rare"],
        "subset": results["subsets"],
        "scene": results["scenes"],
    }
    return [Row(kind, name, numbers) for kind, part in parts.items() for name, numbers in part.items()]


def measure(test: TestSet, predicted: np.ndarray, rare_percents: tuple[float, ...]) -> dict[str, Any]:
    """Measure predictions on a test set.

    Args:
      test: the test set of N frames.
      predicted: [N, J, 3] joints, in the frame of `Frames.truth`, metres.
      rare_percents: for each, a row with this percentage of the test poses, the rarest.

    Returns:
      Rows over the counted frames: `actions` (by name), `average_over_actions` (unweighted, the number that papers report),
      `average_over_frames`, `scenes` (by name, if the data have scenes) and `joints` (by name). Rows over all test frames:
      `rare` (by percentage) and `subsets` (by name, see `subsets.find`). Also `rareness`, the curves of Fig. 5, and
      `recordings`, from which `intervals` compares runs.

      A row has the number of `frames`, every metric in millimetres or percent (None if no frame has it), and
      `mean_pose_mpjpe_mm`, the error of always predicting the mean pose of the training set. `joints` has MPJPE alone.
    """
    errors, joints = _frame_errors(test, predicted)
    rare = {f"{p:g}": rarity.rarest(test.commonness, p) for p in rare_percents}

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
        "rare": {name: over_frames(where) for name, where in rare.items()},
        "subsets": {name: over_frames(where) for name, where in test.subsets.items()},
        "scenes": by(test.scenes) if test.scenes.any() else {},
        "joints": {
            name: {"mpjpe_mm": float(error)}
            for name, error in zip(test.skeleton.joints, joints[test.counted].mean(0), strict=True)
        },
        "rareness": _rareness(test.commonness, errors),
        "recordings": _by_recording(
            test, errors["mpjpe_mm"], {"average": {"frames": test.counted}, "rare": rare, "subset": test.subsets}
        ),
    }


def _by_recording(test: TestSet, errors: np.ndarray, parts: dict[str, dict[str, np.ndarray]]) -> dict[str, Any]:
    """Return the number of frames and the summed MPJPE of each recording, for each row by its kind and name."""
    named = [f"{s.subject}/{s.action}/{s.trial}" for s in test.parts.test]
    names = list(dict.fromkeys(named))
    recording = np.array([names.index(name) for name in named])[test.frames.sequence_of]

    def sums(where: np.ndarray) -> dict[str, list[float]]:
        totals = np.bincount(recording[where], errors[where], len(names))
        return {
            "frames": np.bincount(recording[where], minlength=len(names)).tolist(),
            "mpjpe_mm": [round(total, 3) for total in totals.tolist()],
        }

    return {
        "names": names,
        "rows": {kind: {name: sums(where) for name, where in rows.items()} for kind, rows in parts.items()},
    }


def _frame_errors(test: TestSet, predicted: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Return the errors of each test frame, and the error of each joint in each frame.

    Returns:
      {name: [N]} by the metric's name in the results, millimetres or percent. The velocity error compares the movement since
      the previous frame, and is NaN in the first frame of a sequence.
      [N, J] error of each joint, millimetres.
    """
    target = test.frames.truth
    found = metrics.measure(predicted, target, test.skeleton)
    joints = 1000 * found.pop("joints")
    shares = {name for name in found if name.startswith(("pck", "auc"))}
    errors = {f"{name}_mm": 1000 * values for name, values in found.items() if name not in shares}
    errors |= {f"{name}_percent": 100 * found[name] for name in found if name in shares}
    moved = metrics.measure_mpjpe(np.diff(predicted, axis=0), np.diff(target, axis=0))
    errors["mpjve_mm"] = np.insert(1000 * moved, 0, np.nan)
    errors["mpjve_mm"][test.frames.starts] = np.nan
    errors["mean_pose_mpjpe_mm"] = 1000 * metrics.measure_mpjpe(np.broadcast_to(test.mean_pose, target.shape), target)
    return errors, joints


def _mean(values: np.ndarray) -> float | None:
    """Return the mean of the values that are not NaN; None if all are NaN."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _rareness(commonness: np.ndarray, errors: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """Return MPJPE, mm, over the rarest R % of the poses and in each interval of 10 % (paper Fig. 5)."""
    order = rarity.rarest(commonness, 100)
    ends = [max(round(len(order) * percent / 100), 1) for percent in _DECILES]
    curves: dict[str, list[float]] = {"percent": list(_DECILES)}
    for name in ("mpjpe_mm", "mean_pose_mpjpe_mm"):
        values = errors[name][order]
        curves[f"cumulative_{name}"] = [float(values[:end].mean()) for end in ends]
        intervals = zip([0, *ends], ends, strict=False)
        curves[f"interval_{name}"] = [float(values[min(start, end - 1) : end].mean()) for start, end in intervals]
    return curves
