"""The types of an experiment: rows of networks, columns of numbers, and the way to draw them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from srnet_jax.evaluation import subsets
from srnet_jax.evaluation.test_set import FindSubsets


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of a table: one number of each row.

    Attributes:
      label: heading of the column.
      row: kind and name of the row of the results that holds the number, see `evaluation.measure.Row`.
      metric: key of the number in that row of the results.
      trained_on: with an action, only runs trained on this action alone count; with "", the number is the mean over all runs.
      larger_is_better: true for metrics in percent such as PCK, false for errors.
    """

    label: str
    row: tuple[str, str]
    metric: str = "mpjpe_mm"
    trained_on: str = ""
    larger_is_better: bool = False

    @property
    def of_one_action(self) -> bool:
        """Whether the number is for one action, which the runs are trained on or tested on."""
        return bool(self.trained_on) or self.row[0] == "action"


@dataclasses.dataclass(frozen=True)
class Row:
    """A network and its training.

    Attributes:
      name: of the network, as in the paper.
      fields: config values by dotted field name that differ from the paper's settings.
      paper: the paper's numbers, by the label of their column.
      frames: receptive field at full scale: 1, or 243 for the temporal network; smaller scales shorten it.
      detected: whether the 2D joints are from a detector (Human3.6M's files of detections; simulated for other data).
      family: of a network in Fig. 4, a key of `paper_experiments.SPLIT_FIELDS`.
      split: of a network in Fig. 4, the layer at which it is split.
      width: factor on the number of channels of the scale.
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
      title: printed above the table.
      rows: the networks.
      columns: returns the columns for data with the given actions.
      baseline: name of the row that the other rows are compared with.
      figure: how it is drawn: "bars", "lines" (over the rows in order), "splits" (Fig. 4), "rareness" (Fig. 5), "groups"
        (Fig. 6), "steps" (errors against training steps, of the checkpoints that `train.keep_epochs` keeps) or "" for no
        figure. With `by_action`, bars are grouped by column.
      by_action: whether the columns are actions; the table then has a line for each column.
      each_action: whether each row has a run for each training action (Cross-Action).
      cross_dataset: whether the runs are tested on another data set.
      changes: config values by dotted field name that differ when the trained runs are tested.
      find_subsets: finds the subsets of the test poses that `columns` use.
      notes: lines below the table.
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
        """Whether it is mainly a figure; its files are then not named `table_...`."""
        return self.figure in ("splits", "rareness", "groups", "steps")


OVER_ACTIONS, OVER_FRAMES = ("average", "actions"), ("average", "frames")
RARE_COLUMNS = Column("Rare 20 %", ("rare", "20")), Column("Rare 10 %", ("rare", "10"))


def fixed_columns(*columns: Column) -> Columns:
    """Return a function that gives these columns for data with any actions."""
    return lambda actions: columns


SUBJECT_AND_RARE = fixed_columns(Column("Subject", OVER_ACTIONS), *RARE_COLUMNS)
