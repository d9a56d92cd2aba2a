"""Draw the figures of the experiments, with our numbers and the paper's."""

import statistics
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from srnet_jax.evaluation.charts import RUN_COLOURS, STANDING, STYLE, draw_error_by_rareness, legend
from srnet_jax.evaluation.tables import METRICS
from srnet_jax.pose.skeleton import H36M_17, body_groups
from srnet_jax.reproduce.paper_experiments import SPLIT_FIELDS
from srnet_jax.reproduce.results import Cell, Curves, Results
from srnet_jax.training.metric_log import METRICS_FILE, read_lines

_PAPER: dict[str, Any] = {
    "linestyle": "",
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "#404040",
}


def draw(results: Results) -> Figure | None:
    """Draw the figure of an experiment; return None if it has no figure or no row is trained yet."""
    kind = results.experiment.figure
    if kind == "groups":
        return _groups()
    if not kind or not any(results.evaluations):
        return None
    if kind == "rareness":
        rows = zip(results.experiment.rows, results.evaluations, strict=True)
        done = {row.name: runs for row, runs in rows if runs}
        return draw_error_by_rareness([evaluation for runs in done.values() for evaluation in runs], list(done))
    if kind == "splits":
        return _splits(results)
    if kind == "steps":
        return steps_figure(results.curves) if results.curves else None
    return _by_action(results) if results.experiment.by_action else _columns(results)


def _arrays(cells: Iterable[Cell]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return our mean, our deviation and the paper's number of each cell, as arrays; NaN where a number is missing."""
    numbers = [(cell.mean, cell.deviation, np.nan if cell.paper is None else cell.paper) for cell in cells]
    mean, deviation, paper = np.array(numbers).T
    return mean, deviation, paper


@rc_context(STYLE)
def _columns(results: Results) -> Figure:
    """Draw a panel for each column: a bar or a point for each row, and the paper's numbers as diamonds."""
    names, columns = [row.name for row in results.experiment.rows], results.columns
    across = len(columns) if len(columns) <= 4 else 3
    down = -(-len(columns) // across)
    figure = Figure((2.2 + 2.6 * across, 0.4 + 3 * down), layout="constrained")
    x = np.arange(len(names))
    for place, column in enumerate(columns, 1):
        axes = figure.add_subplot(down, across, place)
        mean, deviation, paper = _arrays(results.cells[name, column.label] for name in names)
        if results.experiment.figure == "bars":
            axes.bar(x, mean, 0.7, yerr=deviation, color=RUN_COLOURS[0], error_kw={"linewidth": 1, "capsize": 3})
        else:
            axes.errorbar(x, mean, deviation, color=RUN_COLOURS[0], marker="o", markersize=4, linewidth=1.3, capsize=3)
        axes.plot(x, paper, **_PAPER)
        axes.set_xticks(x, names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set(title=column.label, ylabel="%" if column.larger_is_better else METRICS[column.metric])
        axes.grid(axis="y", alpha=0.3)
    _key(results, figure, [("ours, ± 1 deviation over seeds", {"color": RUN_COLOURS[0], "linewidth": 4})])
    return figure


@rc_context(STYLE)
def _by_action(results: Results) -> Figure:
    """Draw a group of bars for each column, with a bar for each row, and the paper's numbers as diamonds."""
    names, labels = [row.name for row in results.experiment.rows], [column.label for column in results.columns]
    figure = Figure((max(8, 0.55 * len(labels) + 2), 3.8), layout="constrained")
    axes, width = figure.add_subplot(), 0.8 / len(names)
    for index, name in enumerate(names):
        x = np.arange(len(labels)) + (index - (len(names) - 1) / 2) * width
        mean, deviation, paper = _arrays(results.cells[name, label] for label in labels)
        axes.bar(x, mean, width, yerr=deviation, color=RUN_COLOURS[index], error_kw={"linewidth": 0.8}, label=name)
        axes.plot(x, paper, **(_PAPER | {"markersize": 3, "markeredgecolor": RUN_COLOURS[index]}))
    axes.set_xticks(range(len(labels)), labels, rotation=45, ha="right", rotation_mode="anchor")
    axes.set(ylabel="error, mm")
    axes.grid(axis="y", alpha=0.3)
    _key(results, figure, [(name, {"color": RUN_COLOURS[index], "linewidth": 4}) for index, name in enumerate(names)])
    return figure


@rc_context(STYLE)
def _splits(results: Results) -> Figure:
    """Plot the last training loss and the error on the rarest 20 % against the split, for LF, ES and SFS (paper Fig. 4)."""
    figure = Figure((9, 5), layout="constrained")
    grid = figure.subplots(2, 3, sharex="col", sharey="row")
    (column,) = (column for column in results.columns if column.row == ("rare", "20"))
    for (loss_axes, error_axes), (family, (_, symbol)) in zip(grid.T, SPLIT_FIELDS.items(), strict=True):
        found = zip(results.experiment.rows, results.evaluations, strict=True)
        rows, runs = zip(*((row, runs) for row, runs in found if row.family == family), strict=True)
        losses = [[loss for run in own if (loss := _last_loss(run.workdir)) is not None] for own in runs]
        mean, deviation, _ = _arrays(results.cells[row.name, column.label] for row in rows)
        x = np.arange(len(rows))
        means = [statistics.fmean(own) if own else np.nan for own in losses]
        loss_axes.plot(x, means, color=RUN_COLOURS[1], marker="o", markersize=4)
        error_axes.errorbar(x, mean, deviation, color=RUN_COLOURS[0], marker="o", markersize=4, capsize=3)
        loss_axes.set(title=f"{family}: from FC to GP")
        error_axes.set(xlabel=symbol)
        error_axes.set_xticks(x, [str(row.split) for row in rows])
        for axes in (loss_axes, error_axes):
            axes.grid(alpha=0.3)
    grid[0, 0].set(ylabel="training loss, last epoch")
    grid[1, 0].set(ylabel="MPJPE of the rarest 20 %, mm")
    return figure


@rc_context(STYLE)
def steps_figure(curves: Curves) -> Figure:
    """Plot errors against training steps: a panel for each label, a line for each network, a band of ± 1 deviation of seeds."""
    panels = list(next(iter(curves.values())))
    across = 3
    figure = Figure((9, 2.8 * -(-len(panels) // across) + 0.3), layout="constrained")
    for place, label in enumerate(panels):
        axes = figure.add_subplot(-(-len(panels) // across), across, place + 1)
        for (name, by_label), colour in zip(curves.items(), RUN_COLOURS, strict=False):
            steps, by_step = list(by_label[label]), list(by_label[label].values())
            mean = np.array([np.mean(errors) for errors in by_step])
            deviation = np.array([np.std(errors, ddof=1) if len(errors) > 1 else 0 for errors in by_step])
            axes.plot(steps, mean, color=colour, marker="o", markersize=3, linewidth=1.3, label=name)
            axes.fill_between(steps, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
        axes.set(title="training, in training mode" if label == "training" else label, xscale="log", yscale="log")
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.grid(alpha=0.3)
        if place % across == 0:
            axes.set_ylabel("MPJPE (mm, logarithmic)")
        if place >= len(panels) - across:
            axes.set_xlabel("training steps")
    handles = [
        Line2D([], [], color=colour, marker="o", markersize=3, label=name)
        for name, colour in zip(curves, RUN_COLOURS, strict=False)
    ]
    legend(figure, handles)
    return figure


def _last_loss(workdir: Any) -> float | None:
    lines = [line["loss"] for _, line in read_lines(workdir / METRICS_FILE) if "loss" in line]
    return lines[-1] if lines else None


@rc_context(STYLE)
def _groups() -> Figure:
    """Draw the joint groups for each number of groups, and for five groups of which two are shuffled, in a colour each."""
    drawn = [(f"{n} group{'s' * (n > 1)}", body_groups(n, root_in_every_group=False)) for n in (1, 2, 3, 5, 6, 8, 17)]
    drawn.append(("2 of 5 shuffled", body_groups(5, root_in_every_group=False, shuffled=2)))
    figure = Figure((9, 4.6), layout="constrained")
    colours = ["#117733", "#AA4499", "#DDAA33", "#332288", "#66CCEE", "#CC6677", "#999933", "#882255"]
    for axes, (title, groups) in zip(figure.subplots(2, 4).ravel(), drawn, strict=True):
        _skeleton(axes, {joint: colours[index % 8] for index, group in enumerate(groups) for joint in group}, len(groups) > 8)
        axes.set_title(title)
    return figure


def _skeleton(axes: Axes, colour: dict[int, str], numbered: bool) -> None:
    points = np.array([STANDING[name][:2] for name in H36M_17.joints])
    for joint, parent in enumerate(H36M_17.parents):
        if parent >= 0:
            axes.plot(*points[[joint, parent]].T, color="#B0B0B0", linewidth=1.5, zorder=1)
    for joint, point in enumerate(points):
        axes.plot(*point, "o", color=colour[joint], markersize=7, zorder=2)
        if numbered:
            axes.annotate(str(joint), point, color="white", fontsize=4.5, ha="center", va="center")
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.margins(0.15, 0.06)


def _key(results: Results, figure: Figure, entries: list[tuple[str, dict[str, Any]]]) -> None:
    handles = [Line2D([], [], label=label, **style) for label, style in entries]
    if any(row.paper for row in results.experiment.rows):
        handles.append(Line2D([], [], label="the paper, on Human3.6M", **_PAPER))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
