"""What an experiment is: rows of networks, columns of numbers, and how they are drawn."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.test_set import FindSubsets


@dataclasses.dataclass(frozen=True)
class Column:
    """A number that each row has.

    Attributes:
      label: the column's head.
      row: of the results, by kind and name, see `evaluation.measure.Row`.
      metric: of that row.
      trained_on: the action, if the column is of runs trained on it alone; "" for the mean over all runs.
      larger_is_better: as of PCK, in percent.
    """

    label: str
    row: tuple[str, str]
    metric: str = "mpjpe_mm"
    trained_on: str = ""
    larger_is_better: bool = False

    @property
    def of_one_action(self) -> bool:
        """Whether the number is that of one action, trained or tested on."""
        return bool(self.trained_on) or self.row[0] == "action"


@dataclasses.dataclass(frozen=True)
class Row:
    """A network and its training.

    Attributes:
      name: as the paper calls it.
      fields: of the config, by dotted name, that differ from the paper's settings.
      paper: the paper's numbers by the label of their column.
      frames: 1, or 243 for the temporal network, which smaller scales shorten.
      detected: whether the 2D joints are those of a detector (of Human3.6M's files; simulated for other data).
      family: of networks in Fig. 4, a name of FRACTIONS.
      split: where a network of Fig. 4 is split.
      width: factor on the scale's channels.
    """

    name: str
    fields: dict[str, Any]
    paper: dict[str, float] = dataclasses.field(default_factory=dict)
    frames: int = 1
    detected: bool = False
    family: str = ""
    split: int = 0
    width: float = 1.0


Columns = Callable[[Sequence[str]], tuple[Column, ...]]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """A table or a figure.

    Attributes:
      title: of the paper.
      rows: see `Row`.
      columns: of data with these actions.
      baseline: the row that others are compared with.
      figure: how it is drawn: "bars", "lines" (over the rows in order), "splits" (Fig. 4), "rareness" (Fig. 5), "groups"
        (Fig. 6), "steps" (errors against training steps, of the checkpoints that `train.keep_epochs` keeps) or "" for none.
        With `by_action`, bars are grouped by column.
      by_action: whether the columns are actions; the table then has a line for each column.
      each_action: whether each row is a run for each training action (Cross-Action).
      cross_dataset: whether it tests on another data set.
      changes: fields of the config that differ when the trained runs are tested.
      find_subsets: finds the subsets of the test poses that `columns` name.
      notes: what a reader must know.
    """

    title: str
    rows: tuple[Row, ...] = ()
    columns: Columns = lambda actions: ()
    baseline: str = ""
    figure: str = "bars"
    by_action: bool = False
    each_action: bool = False
    cross_dataset: bool = False
    changes: dict[str, Any] = dataclasses.field(default_factory=dict)
    find_subsets: FindSubsets = subsets.find
    notes: tuple[str, ...] = ()

    @property
    def is_figure(self) -> bool:
        """Whether it is a figure of the paper."""
        return self.figure in ("splits", "rareness", "groups", "steps")
