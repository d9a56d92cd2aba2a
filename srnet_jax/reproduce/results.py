"""An experiment's rows and the numbers of their runs."""

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


@dataclasses.dataclass(frozen=True)
class Cell:
    """The numbers of a row in a column.

    Attributes:
      ours: one for each seed.
      paper: the paper's, None if it has none or our text lost it.
    """

    ours: list[float]
    paper: float | None

    @property
    def mean(self) -> float:
        """Mean of ours, NaN if there are none."""
        return statistics.fmean(self.ours) if self.ours else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of ours, 0 if there are fewer than two."""
        return statistics.stdev(self.ours) if len(self.ours) > 1 else 0.0


@dataclasses.dataclass(frozen=True)
class Results:
    """An experiment's rows as far as they are trained.

    Attributes:
      name: as in EXPERIMENTS.
      experiment: of that name.
      columns: of these data.
      trainings: of each row, in order.
      changes: fields of the config that the user changed.
    """

    name: str
    experiment: Experiment
    columns: tuple[Column, ...]
    trainings: list[Training]
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)

    @cached_property
    def evaluations(self) -> list[list[Evaluation]]:
        """Each row's finished runs, none if one is missing; measured again if the experiment has other data or subsets."""
        found = [training.evaluations() or [] for training in self.trainings]
        changes, find = self.experiment.changes, self.experiment.find_subsets
        if not changes and find is subsets.find:
            return found
        again = iter(remeasured([(run.workdir, "best") for runs in found for run in runs], changes, find))
        return [[next(again) for _ in runs] for runs in found]

    @cached_property
    def trajectories(self) -> dict[str, list[Point]]:
        """Each finished row's errors on its way, by name, for the figure `steps`; those that are missing are measured."""
        if self.experiment.figure != "steps":
            return {}
        found = zip(self.experiment.rows, self.trainings, self.evaluations, strict=True)
        return trajectories({row.name: training for row, training, runs in found if runs})

    @cached_property
    def cells(self) -> dict[tuple[str, str], Cell]:
        """Every number, by the name of its row and the label of its column."""
        return {
            (row.name, column.label): Cell(values(runs, column), row.paper.get(column.label))
            for row, runs in zip(self.experiment.rows, self.evaluations, strict=True)
            for column in self.columns
        }


def values(evaluations: Sequence[Evaluation], column: Column) -> list[float]:
    """Return a column's numbers of a row's runs, one for each seed; none of a seed if one of its runs lacks the number.

    For a column over all training actions a seed's number is the mean over its runs.
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
