"""Draw lifted poses beside their ground truth, and write all figures of an evaluation.

Where runs differ only in the seed, the poses of the first seed are drawn.
"""

from collections.abc import Sequence as Seq
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from srnet_jax.evaluation import charts
from srnet_jax.evaluation.charts import PALE_SIDE_COLOURS, SIDE_COLOURS, STYLE, draw_bones, fitted
from srnet_jax.evaluation.evaluate import Evaluation, group_seeds
from srnet_jax.evaluation.test_set import TestSet
from srnet_jax.io.files import write_whole

_TURN = np.radians(60)  # the 3D poses are turned by this angle, so that depth shows
_MARGIN = 1.15  # factor on the size of the boxes around poses
_LARGEST = 1.5  # of the largest true pose: larger predictions are cut off, so that one outlier does not shrink all others


def draw_all(folder: Path, test: TestSet, evaluations: list[Evaluation]) -> list[Path]:
    """Write every figure of runs on one test set to an existing folder, and return the paths of the files."""
    figures = {
        "training_curves": charts.draw_training_curves(evaluations),
        "error_by_rareness": charts.draw_error_by_rareness(evaluations),
        "joint_errors": charts.draw_joint_errors(test, evaluations),
        "best_and_worst": draw_best_and_worst(test, evaluations),
        "qualitative": draw_qualitative(test, evaluations),
    }
    written = {folder / f"{name}.png": figure for name, figure in figures.items() if figure}
    for path, figure in written.items():
        write_whole(path, charts.to_png(figure))
    return list(written)


@rc_context(STYLE)
def draw_best_and_worst(test: TestSet, evaluations: list[Evaluation], count: int = 4) -> Figure:
    """Draw the poses on which the last run has its lowest and its highest errors.

    Each column is a pose: the 2D input, then the pose of every run over the truth.

    Args:
      test: the test set of all evaluations.
      evaluations: the runs; each network has a row, which shows its first seed.
      count: best poses, and also worst poses; fewer are drawn if fewer of them differ, see `choose_apart`.
    """
    groups = group_seeds(evaluations)
    shown, names = [group.runs[0] for group in groups], [group.name for group in groups]
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
        title = f"{kind} poses of {fitted(names[-1], 50, 1)}"
        heading.text(0.5, 0.5, title, ha="center", va="center", weight="bold", fontsize=9)
        heading.set_axis_off()
        for column, frame in enumerate(chosen, start):
            panels = [figure.add_subplot(cells[row, column]) for row in range(1, 1 + height)]
            _draw_input(panels[0], test, frame)
            panels[0].set_title(_caption(test, frame, 24))
            for axes, evaluation in zip(panels[1:], shown, strict=True):
                _draw_lifted(axes, test, frame, evaluation, half)
            if not column:
                for axes, name in zip(panels, ["input (px)", *(fitted(name, 20, 3) for name in names)], strict=True):
                    axes.set_ylabel(name)
    _pose_legend(figure, test, half)
    return figure


@rc_context(STYLE)
def draw_qualitative(test: TestSet, evaluations: list[Evaluation], count: int = 6) -> Figure:
    """Draw poses from the most common (top) to the rarest (bottom).

    Each row is a pose: the 2D input, the pose of every run over the truth, and the truth alone.

    Args:
      test: the test set of all evaluations.
      evaluations: the runs, baselines first; each network has a column, which shows its first seed.
      count: number of poses, at even steps of rarity from the 1st to the 99th percentile of the counted frames.

    Source: the layout of the paper's qualitative results.
    """
    groups = group_seeds(evaluations)
    shown = [group.runs[0] for group in groups]
    frames = choose_by_rarity(test.commonness, test.counted, count)
    headers = ("input (px)", *(fitted(group.name, 20, 3) for group in groups), "ground truth")
    figure = Figure((1.55 * len(headers) + 1.4, 1.75 * len(frames) + 0.9), layout="compressed")
    grid = figure.subplots(len(frames), 1 + len(headers), squeeze=False, width_ratios=[0.75] + [1] * len(headers))
    half = _half_box(test, shown, frames)
    for (caption, *panels), frame in zip(grid, frames, strict=True):
        rarer = 100 * np.mean(test.commonness > test.commonness[frame])
        caption.text(1, 0.5, f"rarer than {rarer:.0f} %\n\n{_caption(test, frame, 20)}", ha="right", va="center")
        caption.set_axis_off()
        _draw_input(panels[0], test, frame)
        for axes, evaluation in zip(panels[1:-1], shown, strict=True):
            _draw_lifted(axes, test, frame, evaluation, half)
        _draw_lifted(panels[-1], test, frame, None, half)
    for axes, header in zip(grid[0, 1:], headers, strict=True):
        axes.set_title(header)
    _pose_legend(figure, test, half)
    return figure


def choose_apart(test: TestSet, order: np.ndarray, count: int) -> np.ndarray:
    """Choose the first `count` frames of an order, and skip those that look nearly like a frame chosen before.

    Two frames of one recording, seen by any cameras, look nearly alike if they are closer in time than the total length of all
    recordings divided by 2 `count`. So each of many recordings gives at most one frame, and a few long recordings give several.

    Args:
      test: the test set.
      order: [K] int, test frames in order of preference.
      count: frames to choose.

    Returns:
      [count] int, the chosen frames; fewer if the recordings have fewer distinct moments.
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
    """Choose frames at even steps of rarity, the most common first.

    Args:
      commonness: [N] float64 commonness of each test pose.
      counted: [C] int, the frames to choose from.
      count: frames to choose.

    Returns:
      [count] int, the chosen frames; fewer if C is smaller.
    """
    common_first = counted[np.argsort(-commonness[counted], kind="stable")]
    places = np.rint(np.linspace(0.01, 0.99, count) * (len(counted) - 1)).astype(int)
    return common_first[np.unique(places)]


def _pose_legend(figure: Figure, test: TestSet, half: float) -> None:
    names = ("person's left", "person's right", "torso and head")
    handles = [Line2D([], [], color=colour, linewidth=2, label=name) for colour, name in zip(SIDE_COLOURS, names, strict=True)]
    truth = Line2D([], [], color=PALE_SIDE_COLOURS[2], linewidth=5, label="truth (pale)")
    title = f"{test.dataset_name}; 3D poses seen {np.degrees(_TURN):.0f}° from the camera's side, boxes {2 * half:.1f} m wide"
    charts.legend(figure, [*handles, truth], title=title)


def _caption(test: TestSet, frame: int, width: int) -> str:
    """Return the action, the sequence and the number of a frame, in lines of at most `width` characters."""
    sequence = test.frames.sequence_of[frame]
    of = test.parts.test[sequence]
    recorded = fitted(f"{of.subject} / {of.trial} / {of.camera.name}", width, 2)
    return f"{fitted(of.action, width, 2)}\n{recorded}\nframe {frame - test.frames.starts[sequence]:,}"


def _mpjpe_mm(predicted: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the mean joint error [N], millimetres, of poses [N, J, 3], metres."""
    return 1000 * np.linalg.norm(predicted - target, axis=-1).mean(-1, dtype=np.float64)


def _from_the_side(poses_cam: np.ndarray) -> np.ndarray:
    """Turn poses [..., J, 3], camera frame, about the vertical, and return them without depth: [..., J, 2], metres, y up."""
    x, y, z = np.moveaxis(poses_cam, -1, 0)
    return np.stack([np.cos(_TURN) * x + np.sin(_TURN) * z, -y], -1)


def _centre(points: np.ndarray) -> np.ndarray:
    """Return the middle [2] of the box around points [K, 2]."""
    return (points.min(0) + points.max(0)) / 2


def _half_box(test: TestSet, shown: Seq[Evaluation], frames: np.ndarray) -> float:
    """Return half the width, metres, of the square around each frame's truth that holds all poses except outliers."""
    truth = _from_the_side(test.frames.truth[frames])
    centres = np.array([_centre(points) for points in truth])[:, None]
    poses = [truth, *(_from_the_side(evaluation.predicted[frames]) for evaluation in shown)]
    needed = np.array([np.abs(points - centres).max((1, 2)) for points in poses])
    return _MARGIN * float(needed[needed <= _LARGEST * needed[0].max()].max())


def _frame_box(axes: Axes, centre: np.ndarray, half: float, down: bool = False) -> None:
    """Limit the axes to a square around a centre: metres with y up, or with `down` pixels with y down."""
    up = -half if down else half
    axes.set(xlim=(centre[0] - half, centre[0] + half), ylim=(centre[1] - up, centre[1] + up))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color("#B0B0B0")


def _draw_input(axes: Axes, test: TestSet, frame: int) -> None:
    sequence = test.frames.sequence_of[frame]
    points = test.parts.test[sequence].inputs_2d[frame - test.frames.starts[sequence], :, :2]
    draw_bones(axes, points, test.keypoints, SIDE_COLOURS, 1.6)
    half = _MARGIN * float(np.ptp(points, axis=0).max()) / 2
    _frame_box(axes, _centre(points), half, down=True)
    axes.set_xlabel(f"box {2 * half:.0f} px")


def _draw_lifted(axes: Axes, test: TestSet, frame: int, evaluation: Evaluation | None, half: float) -> None:
    """Draw the pose of a run over the truth, with its error; without a run, draw the truth alone."""
    target = test.frames.truth[frame]
    truth = _from_the_side(target)
    if evaluation:
        predicted = evaluation.predicted[frame]
        points = _from_the_side(predicted)
        draw_bones(axes, truth, test.skeleton, PALE_SIDE_COLOURS, 5)
        draw_bones(axes, points, test.skeleton, SIDE_COLOURS, 1.6)
        cut = " (cut off)" if np.abs(points - _centre(truth)).max() > half else ""
        axes.set_xlabel(f"{_mpjpe_mm(predicted[None], target[None])[0]:.0f} mm{cut}")
    else:
        draw_bones(axes, truth, test.skeleton, SIDE_COLOURS, 1.6)
    _frame_box(axes, _centre(truth), half)
