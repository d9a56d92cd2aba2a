"""An experiment's rows and the numbers of their runs."""

import dataclasses
import statistics
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.reproduce.experiments import Column, Experiment
from srnet_jax.reproduce.runner import Training


@dataclasses.dataclass(frozen=True)
class Results:
    """An experiment's rows as far as they are trained.

    Attributes:
      name: as in EXPERIMENTS.
      experiment: what was asked.
      columns: of these data.
      trainings: of each row, in order.
      changes: fields of the config that were asked for.
    """

    name: str
    experiment: Experiment
    columns: tuple[Column, ...]
    trainings: list[Training]
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)

    @cached_property
    def evaluations(self) -> list[list[Evaluation]]:
        """Each row's finished runs, none where one is missing."""
        return [training.evaluations() or [] for training in self.trainings]


def values(evaluations: Sequence[Evaluation], column: Column) -> list[float]:
    """Return a column's numbers of a row's runs, one for each seed; none of a seed whose runs lack one.

    For a column over all training actions a seed's number is the mean over its runs.
    """
    by_seed: dict[int, list[float | None]] = {}
    for evaluation in evaluations:
        if column.trained_on and evaluation.config.protocol.actions_train != (column.trained_on,):
            continue
        found: Any = evaluation.results
        for key in column.row:
            found = found.get(key, {})
        by_seed.setdefault(evaluation.config.seed, []).append(found.get(column.metric))
    return [
        statistics.fmean(known)
        for numbers in by_seed.values()
        if len(known := [n for n in numbers if n is not None]) == len(numbers)
    ]
