"""Figures of the experiments."""

import statistics
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from srnet_jax.evaluation.charts import RUNS, STANDING, STYLE, draw_error_by_rareness
from srnet_jax.pose.skeleton import H36M_17, body_groups
from srnet_jax.reproduce.results import Results, values
from srnet_jax.training.metric_log import METRICS_FILE, read_lines

_PAPER: dict[str, Any] = {
    "linestyle": "",
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "white",
    "markeredgecolor": "#404040",
}


def draw(results: Results) -> Figure | None:
    """Draw an experiment as it asks for; None if it has no figure, or nothing is trained."""
    kind = results.experiment.figure
    if kind == "groups":
        return _groups()
    if not kind or not any(results.evaluations):
        return None
    if kind == "rareness":
        rows = zip(results.experiment.rows, results.evaluations, strict=True)
        done = {row.name: runs for row, runs in rows if runs}
        return draw_error_by_rareness([evaluation for runs in done.values() for evaluation in runs], list(done))
    return _splits(results) if results.name == "fig4" else _by_action(results) if kind == "by_action" else _columns(results)


def _mean_and_deviation(results: Results, column: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a column's mean and standard deviation of each row, NaN where there is none, and 0 with one seed."""
    found = [values(runs, column) for runs in results.evaluations]
    return (
        np.array([statistics.fmean(v) if v else np.nan for v in found]),
        np.array([statistics.stdev(v) if len(v) > 1 else 0.0 for v in found]),
    )


@rc_context(STYLE)
def _columns(results: Results) -> Figure:
    """Draw each column: a bar, or a point of a line, for each row, and the paper's number as a diamond."""
    rows, columns = results.experiment.rows, results.columns
    across = len(columns) if len(columns) <= 4 else 3
    down = -(-len(columns) // across)
    figure = Figure((2.2 + 2.6 * across, 0.4 + 3 * down), layout="constrained")
    for place, column in enumerate(columns, 1):
        axes = figure.add_subplot(down, across, place)
        mean, deviation = _mean_and_deviation(results, column)
        x = np.arange(len(rows))
        if results.experiment.figure == "bars":
            axes.bar(x, mean, 0.7, yerr=deviation, color=RUNS[0], error_kw={"linewidth": 1, "capsize": 3})
        else:
            axes.errorbar(x, mean, deviation, color=RUNS[0], marker="o", markersize=4, linewidth=1.3, capsize=3)
        axes.plot(x, [row.paper.get(column.name, np.nan) for row in rows], **_PAPER)
        axes.set_xticks(x, [row.name for row in rows], rotation=45, ha="right", rotation_mode="anchor")
        unit = "%" if "percent" in column.metric else "PA-MPJPE, mm" if column.metric == "p_mpjpe_mm" else "MPJPE, mm"
        axes.set(title=column.name, ylabel=unit)
        axes.grid(axis="y", alpha=0.3)
    _key(results, figure, [("ours, ± 1 deviation over seeds", {"color": RUNS[0], "linewidth": 4})])
    return figure


@rc_context(STYLE)
def _by_action(results: Results) -> Figure:
    """Draw a group of bars for each column, a bar for each row, and the paper's numbers as diamonds."""
    rows, columns = results.experiment.rows, results.columns
    figure = Figure((max(8, 0.55 * len(columns) + 2), 3.8), layout="constrained")
    axes, width = figure.add_subplot(), 0.8 / len(rows)
    statistics_of = [_mean_and_deviation(results, column) for column in columns]
    for index, row in enumerate(rows):
        x = np.arange(len(columns)) + (index - (len(rows) - 1) / 2) * width
        mean, deviation = (np.array([pair[part][index] for pair in statistics_of]) for part in (0, 1))
        axes.bar(x, mean, width, yerr=deviation, color=RUNS[index], error_kw={"linewidth": 0.8}, label=row.name)
        paper = [row.paper.get(column.name, np.nan) for column in columns]
        axes.plot(x, paper, **(_PAPER | {"markersize": 3, "markeredgecolor": RUNS[index]}))
    axes.set_xticks(range(len(columns)), [column.name for column in columns], rotation=45, ha="right", rotation_mode="anchor")
    axes.set(ylabel="error, mm")
    axes.grid(axis="y", alpha=0.3)
    _key(results, figure, [(row.name, {"color": RUNS[index], "linewidth": 4}) for index, row in enumerate(rows)])
    return figure


@rc_context(STYLE)
def _splits(results: Results) -> Figure:
    """Draw the last training loss and the error of the rarest 20 % against the split, for LF, ES and SFS (paper Fig. 4)."""
    figure = Figure((9, 5), layout="constrained")
    grid = figure.subplots(2, 3, sharex="col", sharey="row")
    column = next(column for column in results.columns if column.name == "Rare 20 %")
    mean, deviation = _mean_and_deviation(results, column)
    losses = [[loss for e in runs if (loss := _last_loss(e.workdir)) is not None] for runs in results.evaluations]
    start = 0
    for (loss_axes, error_axes), (network, rows) in zip(
        grid.T, groupby(results.experiment.rows, lambda row: row.name.split(",")[0]), strict=True
    ):
        names = [row.name.split("= ")[1] for row in rows]
        part = slice(start, start + len(names))
        start += len(names)
        x = np.arange(len(names))
        means = [statistics.fmean(found) if found else np.nan for found in losses[part]]
        loss_axes.plot(x, means, color=RUNS[1], marker="o", markersize=4)
        error_axes.errorbar(x, mean[part], deviation[part], color=RUNS[0], marker="o", markersize=4, capsize=3)
        letter = {"LF": "L_fuse", "ES": "L_split", "SFS": "L_link"}[network]
        loss_axes.set(title=f"{network}: from FC to GP")
        error_axes.set(xlabel=letter)
        error_axes.set_xticks(x, names)
        for axes in (loss_axes, error_axes):
            axes.grid(alpha=0.3)
    grid[0, 0].set(ylabel="training loss, last epoch")
    grid[1, 0].set(ylabel="MPJPE of the rarest 20 %, mm")
    return figure


def _last_loss(workdir: Any) -> float | None:
    lines = [line["loss"] for _, line in read_lines(workdir / METRICS_FILE) if "loss" in line]
    return lines[-1] if lines else None


@rc_context(STYLE)
def _groups() -> Figure:
    """Draw the joints of each number of groups, and of five groups of which some are shuffled, each group in its colour."""
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
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=label, **style) for label, style in entries]
    if any(row.paper for row in results.experiment.rows):
        handles.append(Line2D([], [], label="the paper, on Human3.6M", **_PAPER))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
