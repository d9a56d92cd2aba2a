"""Collect the numbers of an experiment: the finished runs of each row, and the cells of its table."""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.measure import rows
from srnet_jax.reproduce.experiment import Column, Experiment
from srnet_jax.reproduce.remeasure import Point, remeasured, trajectories
from srnet_jax.reproduce.runner import Training

Curves = dict[str, dict[str, dict[int, Sequence[float]]]]  # by network, label and training step: the error of each seed, mm


@dataclasses.dataclass(frozen=True)
class Cell:
    """The numbers of one row in one column.

    Attributes:
      ours: our numbers, one for each seed.
      paper: the paper's number; None if the paper has none, or our text of it lost the number.
    """

    ours: list[float]
    paper: float | None

    @property
    def mean(self) -> float:
        """The mean of our numbers; NaN if there are none."""
        return statistics.fmean(self.ours) if self.ours else math.nan

    @property
    def deviation(self) -> float:
        """The standard deviation of our numbers; 0 if there are fewer than two."""
        return statistics.stdev(self.ours) if len(self.ours) > 1 else 0.0


@dataclasses.dataclass(frozen=True)
class Results:
    """The results of an experiment, for the rows that are trained.

    Attributes:
      name: its key in EXPERIMENTS.
      experiment: of this name.
      columns: for the actions of the data.
      trainings: one for each row, in order.
      changes: config values by dotted field name that the user changed.
    """

    name: str
    experiment: Experiment
    columns: tuple[Column, ...]
    trainings: list[Training]
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)

    @cached_property
    def evaluations(self) -> list[list[Evaluation]]:
        """The evaluations of each row's runs; empty for a row of which a run is missing.

        Runs are measured again if the experiment tests on other data or other subsets.
        """
        found = [training.evaluations() or [] for training in self.trainings]
        changes, find = self.experiment.changes, self.experiment.find_subsets
        if not changes and find is subsets.find:
            return found
        again = iter(remeasured([(run.workdir, "best") for runs in found for run in runs], changes, find))
        return [[next(again) for _ in runs] for runs in found]

    @cached_property
    def trajectories(self) -> dict[str, list[Point]]:
        """For the figure `steps`, the errors of each finished row during training, by name; missing ones are measured."""
        if self.experiment.figure != "steps":
            return {}
        found = zip(self.experiment.rows, self.trainings, self.evaluations, strict=True)
        return trajectories({row.name: training for row, training, runs in found if runs})

    @cached_property
    def curves(self) -> Curves:
        """The numbers of `trajectories`: the training error and that of each column."""
        return {
            name: {
                "training": {point.step: point.train_mpjpe_mm for point in points},
                **{column.label: {p.step: values(p.evaluations, column) for p in points} for column in self.columns},
            }
            for name, points in self.trajectories.items()
        }

    @cached_property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """All cells, by the name of the row and the label of the column."""
        return {
            (row.name, column.label): Cell(values(runs, column), row.paper.get(column.label))
            for row, runs in zip(self.experiment.rows, self.evaluations, strict=True)
            for column in self.columns
        }


def values(evaluations: Sequence[Evaluation], column: Column) -> list[float]:
    """Return the numbers of a column, one for each seed.

    Where a seed has a run for each training action, its number is the mean over these runs. A seed of which a run lacks the
    number is left out.

    Args:
      evaluations: all runs of a row.
      column: which number to take.
    """
    by_seed: dict[int, list[float | None]] = {}
    for evaluation in evaluations:
        if column.trained_on and evaluation.config.protocol.actions_train != (column.trained_on,):
            continue
        numbers = {row.key: row.numbers for row in rows(evaluation.results)}.get(column.row, {})
        by_seed.setdefault(evaluation.config.seed, []).append(numbers.get(column.metric))
    return [
        statistics.fmean(known)
        for numbers in by_seed.values()
        if len(known := [number for number in numbers if number is not None]) == len(numbers)
    ]
