"""Pictures of lifted poses."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from srnet_jax.evaluation.evaluate import Evaluation, TestSet, pose_errors
from srnet_jax.skeleton import Skeleton

_LEFT, _RIGHT, _MIDDLE = "#1f77b4", "#d62728", "#444444"
_TURN = np.radians(60)  # the 3D poses are seen from the side of the camera, so that depth shows


def draw_bones(axes: Axes, points: np.ndarray, skeleton: Skeleton, **style) -> None:
    """Draw the bones of 2D points [J, 2], left and right in their own colours."""
    for joint, parent in enumerate(skeleton.parents):
        if parent >= 0:
            colour = _LEFT if joint in skeleton.joints_left else _RIGHT if joint in skeleton.joints_right else _MIDDLE
            axes.plot(*points[[parent, joint]].T, color=colour, solid_capstyle="round", **style)


def _from_the_side(pose_cam: np.ndarray) -> np.ndarray:
    """Turn a camera-frame pose [J, 3] about the vertical and drop its depth: [J, 2], metres, y up."""
    x, y, z = pose_cam.T
    return np.stack([np.cos(_TURN) * x + np.sin(_TURN) * z, -y], -1)


def lifted_poses(path: Path, test: TestSet, evaluations: list[Evaluation], count: int = 6) -> None:
    """Draw test poses from the most usual (left) to the rarest (right): input, ground truth and each run's pose.

    Args:
      path: the PNG file to write.
      test: the data of all evaluations.
      evaluations: the runs, one row each.
      count: number of poses.
    """
    quantiles = np.linspace(0.99, 0.01, count)
    chosen = np.argsort(test.commonness)[(quantiles * (len(test.commonness) - 1)).astype(int)]
    height = 2 + len(evaluations)
    figure, grid = plt.subplots(height, count, figsize=(2.1 * count, 2.4 * height), squeeze=False, layout="constrained")
    targets = test.frames.truth[chosen]
    for column, frame in enumerate(chosen):
        sequence = test.parts.test[test.frames.sequence_of[frame]]
        points = sequence.inputs_2d[frame - test.frames.starts[test.frames.sequence_of[frame]]]
        axes = grid[0, column]
        draw_bones(axes, points, test.skeleton, linewidth=2)
        middle, size = (points.min(0) + points.max(0)) / 2, 0.6 * np.ptp(points, axis=0).max()
        axes.set(xlim=middle[0] + [-size, size], ylim=middle[1] + [size, -size])
        rank = 100 * np.mean(test.commonness <= test.commonness[frame])
        axes.set_title(f"{sequence.action}\nrarer than {100 - rank:.0f} %", fontsize=9)
        draw_bones(grid[1, column], _from_the_side(targets[column]), test.skeleton, linewidth=2)
        for row, evaluation in enumerate(evaluations, start=2):
            axes = grid[row, column]
            draw_bones(axes, _from_the_side(targets[column]), test.skeleton, linewidth=4, alpha=0.2)
            draw_bones(axes, _from_the_side(evaluation.predicted[frame]), test.skeleton, linewidth=2)
            error = 1000 * pose_errors("mpjpe", evaluation.predicted[frame][None], targets[column][None])[0]
            axes.set_xlabel(f"{error:.0f} mm", fontsize=9)
    names = [e.config.model.network.upper() for e in evaluations]
    for row, name in enumerate(["input 2D (px)", "ground truth", *(f"{name} (over truth)" for name in names)]):
        grid[row, 0].set_ylabel(name)
    for axes in grid[1:].flat:
        axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1))
    for axes in grid.flat:
        axes.set(aspect="equal", xticks=[], yticks=[])
    handles = [Line2D([], [], color=c, label=n) for c, n in ((_LEFT, "left"), (_RIGHT, "right"), (_MIDDLE, "torso and head"))]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(
        f"{test.dataset_name}: usual poses left, rare poses right; 3D seen 60° from the side, boxes 2.2 m wide", fontsize=10
    )
    figure.savefig(path, dpi=110)
    plt.close(figure)
