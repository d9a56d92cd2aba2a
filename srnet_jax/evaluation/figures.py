"""Figures of an evaluation: training, errors by rareness and by joint, and lifted poses beside their ground truth.

Each `draw_...` returns a figure, and the function named after its file writes it. A run has the same colour in every
figure; runs that differ only in the seed share it. Poses are drawn for the first seed.
"""

import io
import re
from collections.abc import Iterator
from collections.abc import Sequence as Seq
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

from srnet_jax.evaluation.evaluate import Evaluation, TestSet
from srnet_jax.evaluation.tables import group_seeds, labels
from srnet_jax.io.files import write_whole
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
_DPI = 150
_SIDES = ("person's left", "person's right", "torso and head")
_COLOURS, _PALE = ("#0072B2", "#D55E00", "#404040"), ("#BBD9EA", "#F6D2B6", "#D6D6D6")  # of the sides; pale ones for the truth
RUNS = ("#117733", "#AA4499", "#DDAA33", "#332288", "#66CCEE", "#000000")  # told apart by the colour-blind too
_MARKERS = "osD^vP"
_TURN = np.radians(60)  # the 3D poses are seen from the side of the camera, so that depth shows
_MARGIN = 1.15  # of the boxes around poses
_LARGEST = 1.5  # times the largest true pose: larger predictions are cut, lest one wild one make all others small
STANDING = {  # a person seen from the front: x and y of each joint in metres; where its number stands, in points
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


def draw_all(folder: Path, test: TestSet, evaluations: list[Evaluation]) -> list[Path]:
    """Write every figure of runs on one test set to a folder that exists, and return the files written."""
    names = ("training_curves", "error_by_rareness", "joint_errors", "best_and_worst", "qualitative")
    training, rareness, joints, extremes, poses = (folder / f"{name}.png" for name in names)
    trained = training_curves(training, evaluations)
    error_by_rareness(rareness, evaluations)
    joint_errors(joints, test, evaluations)
    best_and_worst(extremes, test, evaluations)
    qualitative(poses, test, evaluations)
    return [*([training] if trained else []), rareness, joints, extremes, poses]


def training_curves(path: Path, evaluations: list[Evaluation]) -> bool:
    """Write `draw_training_curves` as PNG; return False, and write nothing, if no run has a record of its training."""
    figure = draw_training_curves(evaluations)
    if figure:
        save(path, figure)
    return figure is not None


def error_by_rareness(path: Path, evaluations: list[Evaluation]) -> None:
    """Write `draw_error_by_rareness` as PNG."""
    save(path, draw_error_by_rareness(evaluations))


def joint_errors(path: Path, test: TestSet, evaluations: list[Evaluation]) -> None:
    """Write `draw_joint_errors` as PNG."""
    save(path, draw_joint_errors(test, evaluations))


def best_and_worst(path: Path, test: TestSet, evaluations: list[Evaluation], count: int = 4) -> None:
    """Write `draw_best_and_worst` as PNG."""
    save(path, draw_best_and_worst(test, evaluations, count))


def qualitative(path: Path, test: TestSet, evaluations: list[Evaluation], count: int = 6) -> None:
    """Write `draw_qualitative` as PNG."""
    save(path, draw_qualitative(test, evaluations, count))


@rc_context(STYLE)
def save(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, with all that stands at its edges."""
    picture = io.BytesIO()
    figure.savefig(picture, dpi=_DPI, format="png", bbox_inches="tight", pad_inches=0.08)
    write_whole(path, picture.getvalue())


@rc_context(STYLE)
def draw_training_curves(evaluations: list[Evaluation]) -> Figure | None:
    """Draw the MPJPE of the training and the validation split against the epoch, mm, and mark the evaluated checkpoints.

    Runs without `metrics.jsonl`, such as imported checkpoints, are left out; None if no run has one.
    """
    groups = group_seeds(evaluations)
    figure = Figure((8, 4.2), layout="constrained")
    axes = figure.add_subplot()
    handles = []
    for group, name, colour in zip(groups, _names(groups), _colours(groups), strict=True):
        histories = [(evaluation.results["step"], _history(evaluation.workdir)) for evaluation in group]
        histories = [(step, history) for step, history in histories if history]
        for step, history in histories:
            epochs = [line["epoch"] for line in history]
            for key, dashes in (("train_mpjpe_mm", ":"), ("validation_mpjpe_mm", "-")):
                values = [line[key] for line in history]
                axes.plot(epochs, values, dashes, color=colour, linewidth=1.3, marker=".", markersize=3)
            chosen = [(line["epoch"], line["validation_mpjpe_mm"]) for line in history if line["step"] == step]
            for point in chosen:
                axes.plot(*point, "o", markersize=7, markerfacecolor="white", markeredgecolor=colour, markeredgewidth=1.5)
        if histories:
            handles.append(Line2D([], [], color=colour, linewidth=3, label=_with_seeds(name, len(histories))))
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
    _legend(figure, handles)
    return figure


def _history(workdir: Path) -> list[dict[str, float]]:
    """Read a run's metrics; none if it has no file."""
    lines = [line for _, line in read_lines(workdir / METRICS_FILE)]
    return [line for line in lines if {"epoch", "train_mpjpe_mm", "validation_mpjpe_mm"} <= set(line)]


@rc_context(STYLE)
def draw_error_by_rareness(evaluations: list[Evaluation], names: Seq[str] | None = None) -> Figure:
    """Draw MPJPE over the rarest R % of the test poses, and in each tenth of them, mm, with a band of ± 1 deviation over seeds.

    The mean pose, several times worse than a trained network, has a strip with a scale of its own above the runs. Runs that
    differ only in the seed are one curve; `names` names the curves, otherwise they are called after their networks.

    Source: paper Fig. 5.
    """
    groups = group_seeds(evaluations)
    figure = Figure((8, 4.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex="col", sharey="row", height_ratios=(1, 3))
    first = evaluations[0].results["rareness"]
    ends = np.array(first["percent"])
    curves = (
        ("cumulative", ends, "(a) the rarest R % of the test poses", "R (%)"),
        (
            "interval",
            ends - np.diff(ends, prepend=0) / 2,
            "(b) each 10 % of the test poses",
            "rareness (%): 0 to 10 are the rarest",
        ),
    )
    for (above, axes), (kind, percent, title, label) in zip(grid.T, curves, strict=True):
        above.plot(percent, first[f"{kind}_mean_pose_mpjpe_mm"], "--.", color="#808080")
        for group, colour, marker in zip(groups, _colours(groups), _MARKERS * len(groups), strict=False):
            values = np.array([evaluation.results["rareness"][f"{kind}_mpjpe_mm"] for evaluation in group])
            mean = values.mean(0)
            axes.plot(percent, mean, color=colour, marker=marker, markersize=4, linewidth=1.3)
            if len(group) > 1:
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
    runs = zip(groups, names or _names(groups), _colours(groups), _MARKERS * len(groups), strict=False)
    handles = [Line2D([], [], color=c, marker=m, markersize=4, label=_with_seeds(n, len(g))) for g, n, c, m in runs]
    mean_pose = Line2D([], [], color="#808080", linestyle="--", marker=".", label="mean training pose (own scale)")
    several = any(len(group) > 1 for group in groups)
    _legend(figure, [*handles, mean_pose], title="mean, and ± 1 standard deviation over the seeds" if several else None)
    return figure


@rc_context(STYLE)
def draw_joint_errors(test: TestSet, evaluations: list[Evaluation]) -> Figure:
    """Draw each joint's mean error, mm, on a standing person seen from the front: one a run, the mean over its seeds."""
    groups = group_seeds(evaluations)
    joints = test.skeleton.joints
    errors = [np.mean([[e.results["joints"][name]["mpjpe_mm"] for name in joints] for e in group], 0) for group in groups]
    scale = Normalize(0, max(float(np.max(errors)), 1e-6))
    points = np.array([STANDING[name][:2] for name in joints])
    columns = min(len(groups), 3)
    rows = -(-len(groups) // columns)
    figure = Figure((2.7 * columns + 1, 3.9 * rows), layout="compressed")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, name, values in zip(grid.flat, _names(groups), errors, strict=False):
        _bones(axes, points, test.skeleton, _PALE, 5)
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
        for x, side, colour in ((0.3, "left", _COLOURS[0]), (-0.3, "right", _COLOURS[1])):
            axes.text(x, -0.14, side, ha="center", va="center", color=colour)
        axes.set_title(f"{fitted(name, 30, 3)}\nmean of the joints {values.mean():.1f} mm")
        axes.set(xlim=(-0.88, 0.88), ylim=(-0.24, 1.95), aspect="equal")
    for axes in grid.flat:
        axes.set_axis_off()
    figure.colorbar(ScalarMappable(scale, "viridis_r"), ax=grid, shrink=0.7, aspect=30, label="mean error of the joint (mm)")
    return figure


@rc_context(STYLE)
def draw_best_and_worst(test: TestSet, evaluations: list[Evaluation], count: int = 4) -> Figure:
    """Draw the poses with the lowest and the highest errors of the last run: input, and every run's pose over the truth.

    Args:
      test: the data of all evaluations.
      evaluations: the runs; a row for the first seed of each.
      count: how many poses of both kinds; fewer are drawn if the test set has no more that differ (see `choose_apart`).
    """
    groups = group_seeds(evaluations)
    shown, names = [group[0] for group in groups], _names(groups)
    truth = test.frames.truth
    error = _mpjpe_mm(shown[-1].predicted[test.counted], truth[test.counted])
    order = test.counted[np.argsort(error, kind="stable")]
    kinds = [choose_apart(test, frames, count) for frames in (order, order[::-1])]
    width, height = sum(map(len, kinds)), 1 + len(shown)
    figure = Figure((1.5 * width + 0.8, 1.7 * height + 1.4), layout="compressed")
    cells = figure.add_gridspec(
        1 + height,
        width + 1,
        width_ratios=[1] * len(kinds[0]) + [0.1] + [1] * len(kinds[1]),
        height_ratios=[0.1] + [1] * height,
    )
    frames = np.concatenate(kinds)
    half = _half_box(test, shown, frames)
    for start, chosen, kind in ((0, kinds[0], "best"), (len(kinds[0]) + 1, kinds[1], "worst")):
        heading = figure.add_subplot(cells[0, start : start + len(chosen)])
        heading.text(
            0.5, 0.5, f"{kind} poses of {fitted(names[-1], 50, 1)}", ha="center", va="center", weight="bold", fontsize=9
        )
        heading.set_axis_off()
        for column, frame in enumerate(chosen, start):
            panels = [figure.add_subplot(cells[row, column]) for row in range(1, 1 + height)]
            _draw_input(panels[0], test, frame)
            panels[0].set_title(_told(test, frame, 24))
            for axes, evaluation in zip(panels[1:], shown, strict=True):
                _draw_lifted(axes, test, frame, evaluation, half)
            if not column:
                for axes, name in zip(panels, ["input (px)", *(fitted(name, 20, 3) for name in names)], strict=True):
                    axes.set_ylabel(name)
    _pose_legend(figure, test, half)
    return figure


@rc_context(STYLE)
def draw_qualitative(test: TestSet, evaluations: list[Evaluation], count: int = 6) -> Figure:
    """Draw poses from the most usual (top) to the rarest (bottom): input, each run's pose over the truth, and the truth.

    Args:
      test: the data of all evaluations.
      evaluations: the runs, baselines first; a column for the first seed of each.
      count: number of poses, at even steps of rarity from the 1st to the 99th percentile of the counted frames.

    Source: the layout of the paper's qualitative results.
    """
    groups = group_seeds(evaluations)
    shown = [group[0] for group in groups]
    frames = choose_by_rarity(test.commonness, test.counted, count)
    headers = ("input (px)", *(fitted(name, 20, 3) for name in _names(groups)), "ground truth")
    figure = Figure((1.55 * len(headers) + 1.4, 1.75 * len(frames) + 0.9), layout="compressed")
    grid = figure.subplots(len(frames), 1 + len(headers), squeeze=False, width_ratios=[0.75] + [1] * len(headers))
    half = _half_box(test, shown, frames)
    for (told, *panels), frame in zip(grid, frames, strict=True):
        rarer = 100 * np.mean(test.commonness > test.commonness[frame])
        told.text(1, 0.5, f"rarer than {rarer:.0f} %\n\n{_told(test, frame, 20)}", ha="right", va="center")
        told.set_axis_off()
        _draw_input(panels[0], test, frame)
        for axes, evaluation in zip(panels[1:-1], shown, strict=True):
            _draw_lifted(axes, test, frame, evaluation, half)
        _draw_lifted(panels[-1], test, frame, None, half)
    for axes, header in zip(grid[0, 1:], headers, strict=True):
        axes.set_title(header)
    _pose_legend(figure, test, half)
    return figure


def choose_apart(test: TestSet, order: np.ndarray, count: int) -> np.ndarray:
    """Return the first `count` frames of an order without those that show nearly the same as one before.

    These are frames of the same recording, seen by whichever camera, that lie less than a 2 `count`-th of all recordings'
    length apart: of many recordings each gives one frame at most, and few long ones give several.

    Args:
      test: the test set.
      order: [K] test frames.
      count: how many to choose; fewer are returned if there are fewer moments.
    """
    recordings: dict[tuple[str, ...], int] = {}
    number = np.array([recordings.setdefault((s.subject, s.action, s.trial), len(recordings)) for s in test.parts.test])
    sequence = test.frames.sequence_of[order]
    recording, moment = number[sequence], order - test.frames.starts[sequence]
    moments = sum(test.frames.lengths[number == one].max() for one in recordings.values())
    apart = max(moments // (2 * count), 1)
    chosen: list[int] = []
    left = np.arange(len(order))
    while len(left) and len(chosen) < count:
        first = left[0]
        chosen.append(order[first])
        left = left[(recording[left] != recording[first]) | (np.abs(moment[left] - moment[first]) >= apart)]
    return np.array(chosen)


def choose_by_rarity(commonness: np.ndarray, counted: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` of the counted frames at even steps of rarity, the most usual first.

    Args:
      commonness: [N] of each test pose.
      counted: [C] the frames to choose from.
      count: how many; fewer are returned if there are fewer frames.
    """
    usual_first = counted[np.argsort(-commonness[counted], kind="stable")]
    places = np.rint(np.linspace(0.01, 0.99, count) * (len(counted) - 1)).astype(int)
    return usual_first[np.unique(places)]


def fitted(text: str, width: int, lines: int) -> str:
    """Break a text into at most `lines` lines of at most `width` characters; what is too much is left out in the middle."""
    wrapped = list(_wrapped(text, width))
    if len(wrapped) > lines:  # keep the end: the folders of runs differ there
        kept = width * lines - 1 - (lines - 1) * width // 3  # lines are not full where names are broken
        wrapped = list(_wrapped(f"{text[: kept // 3]}…{text[kept // 3 - kept :]}", width))[:lines]
    return "\n".join(wrapped)


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Break a text, if possible at the parts of its names, into lines of at most `width` characters."""
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


def _names(groups: list[list[Evaluation]]) -> list[str]:
    return [label.splitlines()[0] for label in labels(groups)]


def _with_seeds(name: str, seeds: int) -> str:
    return fitted(name, 60, 1) + (f" ({seeds} seeds)" if seeds > 1 else "")


def _colours(groups: list[list[Evaluation]]) -> list[str]:
    return [RUNS[index % len(RUNS)] for index in range(len(groups))]


def _legend(figure: Figure, handles: list[Line2D], title: str | None = None) -> None:
    """Put the figure's one legend below it, in as many columns as its labels leave room for."""
    widths = [4.6 * len(str(handle.get_label())) + 40 for handle in handles]  # points, of the characters and the line sample
    columns = len(handles)
    while columns > 1 and sum(max(part) for part in np.array_split(widths, columns)) > 72 * figure.get_figwidth():
        columns -= 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns, title=title)


def _pose_legend(figure: Figure, test: TestSet, half: float) -> None:
    handles = [Line2D([], [], color=colour, linewidth=2, label=name) for colour, name in zip(_COLOURS, _SIDES, strict=True)]
    truth = Line2D([], [], color=_PALE[2], linewidth=5, label="truth (pale)")
    title = f"{test.dataset_name}; 3D poses seen {np.degrees(_TURN):.0f}° from the camera's side, boxes {2 * half:.1f} m wide"
    _legend(figure, [*handles, truth], title=title)


def _told(test: TestSet, frame: int, width: int) -> str:
    """Return a frame's action, sequence and number in lines of at most `width` characters."""
    sequence = test.frames.sequence_of[frame]
    of = test.parts.test[sequence]
    recorded = fitted(f"{of.subject} / {of.trial} / {of.camera.name}", width, 2)
    return f"{fitted(of.action, width, 2)}\n{recorded}\nframe {frame - test.frames.starts[sequence]:,}"


def _mpjpe_mm(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the mean joint error [N] of poses [N, J, 3] in metres, millimetres."""
    return 1000 * np.linalg.norm(predicted - target, axis=-1).mean(-1, dtype=np.float64)


def _from_the_side(poses_cam: np.ndarray) -> np.ndarray:
    """Turn camera-frame poses [..., J, 3] about the vertical and drop their depth: [..., J, 2], metres, y up."""
    x, y, z = np.moveaxis(poses_cam, -1, 0)
    return np.stack([np.cos(_TURN) * x + np.sin(_TURN) * z, -y], -1)


def _centre(points: np.ndarray) -> np.ndarray:
    """Return the middle [2] of the box around points [K, 2]."""
    return (points.min(0) + points.max(0)) / 2


def _half_box(test: TestSet, shown: Seq[Evaluation], frames: np.ndarray) -> float:
    """Return half the width, metres, of the square around each frame's truth that holds all poses to be drawn but wild ones."""
    truth = _from_the_side(test.frames.truth[frames])
    centres = np.array([_centre(points) for points in truth])[:, None]
    poses = [truth, *(_from_the_side(evaluation.predicted[frames]) for evaluation in shown)]
    needed = np.array([np.abs(points - centres).max((1, 2)) for points in poses])
    return _MARGIN * float(needed[needed <= _LARGEST * needed[0].max()].max())


def _bones(axes: Axes, points: np.ndarray, skeleton: Skeleton, colours: Seq[str], linewidth: float) -> None:
    """Draw the bones of 2D points [J, 2]; `colours` are of the left, the right and the middle."""
    joints = [joint for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    side = [0 if joint in skeleton.joints_left else 1 if joint in skeleton.joints_right else 2 for joint in joints]
    segments = [points[[skeleton.parents[joint], joint]] for joint in joints]
    axes.add_collection(LineCollection(segments, colors=[colours[s] for s in side], linewidths=linewidth, capstyle="round"))


def _frame_box(axes: Axes, centre: np.ndarray, half: float, down: bool = False) -> None:
    """Show a square of the plane, in pixels with y downwards, otherwise in metres with y upwards."""
    up = -half if down else half
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - up, centre[1] + up))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#B0B0B0")


def _draw_input(axes: Axes, test: TestSet, frame: int) -> None:
    sequence = test.frames.sequence_of[frame]
    points = test.parts.test[sequence].inputs_2d[frame - test.frames.starts[sequence]]
    _bones(axes, points, test.skeleton, _COLOURS, 1.6)
    half = _MARGIN * float(np.ptp(points, axis=0).max()) / 2
    _frame_box(axes, _centre(points), half, down=True)
    axes.set_xlabel(f"box {2 * half:.0f} px")


def _draw_lifted(axes: Axes, test: TestSet, frame: int, evaluation: Evaluation | None, half: float) -> None:
    """Draw a run's pose over the truth, with its error, or the truth alone."""
    target = test.frames.truth[frame]
    truth = _from_the_side(target)
    if evaluation:
        predicted = evaluation.predicted[frame]
        points = _from_the_side(predicted)
        _bones(axes, truth, test.skeleton, _PALE, 5)
        _bones(axes, points, test.skeleton, _COLOURS, 1.6)
        cut = " (cut off)" if np.abs(points - _centre(truth)).max() > half else ""
        axes.set_xlabel(f"{_mpjpe_mm(predicted[None], target[None])[0]:.0f} mm{cut}")
    else:
        _bones(axes, truth, test.skeleton, _COLOURS, 1.6)
    _frame_box(axes, _centre(truth), half)
