"""Draw training curves, errors by rareness and errors by joint, in the style that all figures share.

A run has the same colour in every figure. Runs that differ only in the seed share a colour.
"""

import io
import re
import warnings
from collections.abc import Iterator
from collections.abc import Sequence as Seq
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from srnet_jax.evaluation.evaluate import Evaluation, group_seeds
from srnet_jax.evaluation.test_set import TestSet
from srnet_jax.pose.skeleton import Skeleton
from srnet_jax.training.metric_log import METRICS_FILE, read_lines

STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "legend.title_fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may hold dollar signs
}
RUN_COLOURS = ("#117733", "#AA4499", "#DDAA33", "#332288", "#66CCEE", "#000000")  # colour-blind readers can tell them apart too
SIDE_COLOURS = ("#0072B2", "#D55E00", "#404040")  # the person's left side, right side and middle
PALE_SIDE_COLOURS = ("#BBD9EA", "#F6D2B6", "#D6D6D6")  # the same, for the ground truth
_MARKERS = "osD^vP"
STANDING = {  # a standing person, seen from the front: x and y of each joint, metres; offset of its label in x and y, points
    "Hip": (0.0, 0.95, 0, -17),
    "RHip": (-0.17, 0.93, -10, 0),
    "RKnee": (-0.21, 0.5, -10, 0),
    "RFoot": (-0.25, 0.08, -10, 0),
    "LHip": (0.17, 0.93, 10, 0),
    "LKnee": (0.21, 0.5, 10, 0),
    "LFoot": (0.25, 0.08, 10, 0),
    "Spine": (0.0, 1.18, 10, 0),
    "Thorax": (0.0, 1.42, 8, -12),
    "Neck": (0.0, 1.6, 10, 0),
    "Head": (0.0, 1.8, 10, 0),
    "LShoulder": (0.25, 1.4, 8, 8),
    "LElbow": (0.45, 1.16, 10, 0),
    "LWrist": (0.6, 0.9, 10, 0),
    "RShoulder": (-0.25, 1.4, -8, 8),
    "RElbow": (-0.45, 1.16, -10, 0),
    "RWrist": (-0.6, 0.9, -10, 0),
}


@rc_context(STYLE)
def draw_training_curves(evaluations: list[Evaluation]) -> Figure | None:
    """Plot training and validation MPJPE, mm, against the epoch, and mark the evaluated checkpoints.

    Runs without `metrics.jsonl`, such as imported checkpoints, are left out.

    Returns:
      The figure; None if no run has the file.
    """
    figure = Figure((8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for group, colour in zip(group_seeds(evaluations), cycle(RUN_COLOURS), strict=False):
        histories = [(run.results["step"], history(run.workdir)) for run in group.runs]
        histories = [(step, lines) for step, lines in histories if lines]
        for step, lines in histories:
            epochs = [line["epoch"] for line in lines]
            for key, dashes in (("train_mpjpe_mm", ":"), ("validation_mpjpe_mm", "-")):
                values = [line[key] for line in lines]
                axes.plot(epochs, values, dashes, color=colour, linewidth=1.3, marker=".", markersize=3)
            chosen = [(line["epoch"], line["validation_mpjpe_mm"]) for line in lines if line["step"] == step]
            for point in chosen:
                axes.plot(*point, "o", markersize=7, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=1.5)
        if histories:
            handles.append(Line2D([], [], color=colour, linewidth=3, label=_with_seeds(group.name, len(histories))))
    if not handles:
        return None
    handles += [
        Line2D([], [], color="#404040", label="validation"),
        Line2D([], [], color="#404040", linestyle=":", label="training (in training mode)"),
        Line2D([], [], color="#404040", linestyle="", marker="o", markerfacecolor="white", label="evaluated checkpoint"),
    ]
    axes.set(xlabel="epoch", ylabel="MPJPE (mm, logarithmic)", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(alpha=0.3)
    legend(figure, handles)
    return figure


def history(workdir: Path) -> list[dict[str, float]]:
    """Read the metrics of a run's epochs; return an empty list if the run has no `metrics.jsonl`."""
    lines = [line for _, line in read_lines(workdir / METRICS_FILE)]
    return [line for line in lines if {"epoch", "train_mpjpe_mm", "validation_mpjpe_mm"} <= set(line)]


@rc_context(STYLE)
def draw_error_by_rareness(evaluations: list[Evaluation], names: Seq[str] | None = None) -> Figure:
    """Plot MPJPE, mm, over the rarest R % of the test poses and in each tenth of them, with a band of ± 1 deviation over seeds.

    The mean pose is several times worse than a trained network, so it has a separate strip with its own scale above the runs.
    Runs that differ only in the seed are one curve.

    Args:
      evaluations: the runs.
      names: of the curves; None to name each curve after its network.

    Source: paper Fig. 5.
    """
    groups = group_seeds(evaluations)
    figure = Figure((8, 4.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(1, 3))
    first = evaluations[0].results["rareness"]
    ends = np.array(first["percent"])
    middles = ends - np.diff(ends, prepend=0) / 2
    curves = (
        ("cumulative", ends, "(a) the rarest R % of the test poses", "R (%)"),
        ("interval", middles, "(b) each 10 % of the test poses", "rareness (%): 0 to 10 are the rarest"),
    )
    for (above, axes), (kind, percent, title, label) in zip(grid.T, curves, strict=True):
        above.plot(percent, first[f"{kind}_mean_pose_mpjpe_mm"], "--.", color="#808080")
        for group, colour, marker in zip(groups, cycle(RUN_COLOURS), cycle(_MARKERS), strict=False):
            values = np.array([run.results["rareness"][f"{kind}_mpjpe_mm"] for run in group.runs])
            mean = values.mean(0)
            axes.plot(percent, mean, color=colour, marker=marker, markersize=4, linewidth=1.3)
            if len(values) > 1:
                deviation = values.std(0, ddof=1)
                axes.fill_between(percent, mean - deviation, mean + deviation, color=colour, alpha=0.2, linewidth=0)
        above.set_title(title)
        axes.set(xlabel=label, xticks=[0, *ends], xlim=(0, 102))
        for part in (above, axes):
            part.grid(alpha=0.3)
            part.margins(y=0.1)
    grid[0, 0].set_ylabel("MPJPE (mm),\nmean pose")
    grid[1, 0].set_ylabel("MPJPE (mm)")
    figure.align_ylabels()
    handles = [
        Line2D([], [], color=colour, marker=marker, markersize=4, label=_with_seeds(name, len(group.runs)))
        for group, name, colour, marker in zip(
            groups, names or [group.name for group in groups], cycle(RUN_COLOURS), cycle(_MARKERS), strict=False
        )
    ]
    mean_pose = Line2D([], [], color="#808080", linestyle="--", marker=".", label="mean training pose (own scale)")
    several = any(len(group.runs) > 1 for group in groups)
    legend(figure, [*handles, mean_pose], title="mean, and ± 1 standard deviation over the seeds" if several else None)
    return figure


@rc_context(STYLE)
def draw_joint_errors(test: TestSet, evaluations: list[Evaluation]) -> Figure | None:
    """Draw each joint's mean error, mm, on a standing person seen from the front.

    There is one person for each network; runs that differ only in the seed are averaged.

    Returns:
      The figure; None, with a warning, if the skeleton has a joint that `STANDING` lacks.
    """
    groups = group_seeds(evaluations)
    joints = test.skeleton.joints
    if unknown := [name for name in joints if name not in STANDING]:
        text = f"joint_errors.png: not drawn, it has no position for the joints {fitted(', '.join(unknown), 100, 1)}"
        warnings.warn(text, stacklevel=2)
        return None
    errors = [
        np.mean([[run.results["joints"][name]["mpjpe_mm"] for name in joints] for run in group.runs], 0) for group in groups
    ]
    scale = Normalize(0, max(float(np.max(errors)), 1e-6))
    points = np.array([STANDING[name][:2] for name in joints])
    columns = min(len(groups), 3)
    rows = -(-len(groups) // columns)
    figure = Figure((2.7 * columns + 1, 3.9 * rows), layout="compressed")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, group, values in zip(grid.flat, groups, errors, strict=False):
        draw_bones(axes, points, test.skeleton, PALE_SIDE_COLOURS, 5)
        axes.scatter(
            *points.T,
            s=40 + 120 * scale(values),
            c=values,
            norm=scale,
            cmap="viridis_r",
            edgecolors="black",
            linewidths=0.6,
            zorder=3,
        )
        for joint, value in zip(joints, values, strict=True):
            x, y, right, up = STANDING[joint]
            side = "left" if right > 0 else "right" if right < 0 else "center"
            axes.annotate(f"{value:.0f}", (x, y), (right, up), textcoords="offset points", ha=side, va="center", zorder=4)
        for x, side, colour in ((0.3, "left", SIDE_COLOURS[0]), (-0.3, "right", SIDE_COLOURS[1])):
            axes.text(x, -0.14, side, ha="center", va="center", color=colour)
        axes.set_title(f"{fitted(group.name, 30, 3)}\nmean of the joints {values.mean():.1f} mm")
        axes.set(xlim=(-0.88, 0.88), ylim=(-0.24, 1.95), aspect="equal")
    for axes in grid.flat:
        axes.set_axis_off()
    figure.colorbar(ScalarMappable(scale, "viridis_r"), ax=grid, shrink=0.7, aspect=30, label="mean error of the joint (mm)")
    return figure


def _with_seeds(name: str, seeds: int) -> str:
    return fitted(name, 60, 1) + (f" ({seeds} seeds)" if seeds > 1 else "")


@rc_context(STYLE)
def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG, with nothing cut off at its edges."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=150, format="png", bbox_inches="tight", pad_inches=0.08)
    return picture.getvalue()


def fitted(text: str, width: int, lines: int) -> str:
    """Break a text into at most `lines` lines of at most `width` characters; cut out its middle if it is longer."""
    wrapped = list(_wrapped(text, width))
    if len(wrapped) > lines:  # keep the end, where the folders of runs differ
        kept = width * lines - 1 - (lines - 1) * width // 3  # lines that break between names are not full
        wrapped = list(_wrapped(f"{text[: kept // 3]}…{text[kept // 3 - kept :]}", width))[:lines]
    return "\n".join(wrapped)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Yield lines of at most `width` characters, broken between the parts of names where possible."""
    line = ""
    for part in re.split(r"(?<=[\s/_.-])|(?<=[a-z0-9])(?=[A-Z])", text):
        if line and len(line) + len(part) > width:
            yield line.rstrip()
            line = ""
        line += part
        while len(line) > width:
            yield line[:width]
            line = line[width:]
    yield line.rstrip()


def legend(figure: Figure, handles: Seq[Line2D], title: str | None = None) -> None:
    """Put the figure's only legend below it, in as many columns as fit."""
    widths = [4.6 * len(str(handle.get_label())) + 40 for handle in handles]  # of the text and the line sample, points
    columns = len(handles)
    while columns > 1 and sum(max(part) for part in np.array_split(widths, columns)) > 72 * figure.get_figwidth():
        columns -= 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, title=title)


def draw_bones(axes: Axes, points: np.ndarray, skeleton: Skeleton, colours: Seq[str], linewidth: float) -> None:
    """Draw the bones between 2D joints [J, 2]; `colours` are for the left side, the right side and the middle."""
    joints = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    side = [0 if joint in skeleton.joints_left else 1 if joint in skeleton.joints_right else 2 for joint in joints]
    segments = [points[[skeleton.parents[joint], joint]] for joint in joints]
    axes.add_collection(LineCollection(segments, colors=[colours[s] for s in side], linewidths=linewidth, capstyle="round"))
