"""Filters of lifted poses on people and cameras that the networks were not trained on: each alone, and all together.

Each clip of a network's test subjects is seen by one camera that is drawn, see `views.drawn`. Keypoints are projections through
a detector's joints, with the errors of the network's own `config.data.detections`. The focal length is the one that lifters
guess.

Every second clip is reported; the settings were chosen on the others, whose table comes last. A clip's mean length of the true
legs gives its person's stature, by `RATIOS`; where a filter is told the stature, it is told one that is off by 3 % (standard
deviation): our guess at how much people's legs differ at the same stature.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.benchmarks import views
from srnet_jax.benchmarks.video import knee_angles
from srnet_jax.data import detections
from srnet_jax.data.sources import errors_of
from srnet_jax.errors import DataError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose import bones, metrics, smoothing
from srnet_jax.pose.filters import LiveFilter, Settings, filtered
from srnet_jax.pose.hinges import wrong_bends
from srnet_jax.pose.skeleton import H36M_17, RATIOS

MPJPE, FAST, ACCELERATION = "MPJPE, mm", "MPJPE of fast joints, mm", "acceleration, mm a frame²"
COLUMNS = (MPJPE, "PA-MPJPE, mm", FAST, "MPJVE, mm a frame", ACCELERATION, "bone length variation, mm", "knee angle error, °")
CHOSEN_BY = (MPJPE, FAST, ACCELERATION)
CUTOFFS_HZ, EUROS = (2, 3, 4, 5, 6, 8), ((1, 2), (1, 4), (2, 2), (2, 4), (2, 8), (3, 4))  # min_cutoff_hz and beta
WRONG = ("a knee bent backwards, % of the frames", "an elbow bent backwards, % of the frames")  # by more than 5 degrees
MOVED, LIVE_MS = "mean displacement of the joints, mm", "live filter, all: median ms a frame"
_CLIP = 300  # frames of each clip, at most
_FASTEST = 95  # percentile of the true joints' speed
_STATURE_ERROR, _WRONG_DEGREES = 0.03, 5
_JOINTS = H36M_17.joints
_LEGS = [[_JOINTS.index(side + name) for name in ("Hip", "Knee", "Foot")] for side in "LR"]
_ONLY = {"smooth": False, "constant_bones": False, "knees": False}
_p_mpjpe = jax.jit(metrics.p_mpjpe)

Clips = Sequence[np.ndarray]  # [T, 17, 3] each, camera frame, relative to the hip, metres


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure filters behind networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      "NETWORK: ROW: COLUMN" of the reported clips, "NETWORK, choice: ROW: COLUMN" of the others, displacements as
      "NETWORK: ROW: MOVED", shares of frames by WRONG, and LIVE_MS.

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have fewer than two clips of a network's test subjects.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        poses, truth, fps = _lifted(network, Path(data))
        for row, made in _rows(poses[1::2], truth[1::2], fps, network.streams).items():
            errors = _errors(made, truth[1::2])
            figures |= {f"{name}: {row}: {column}": value for column, value in errors.items()}
            if "bones" in row:  # beside the tree walk
                figures[f"{name}: {row}: {MOVED}"] = 1000 * _mean(_distance, made, poses[1::2])
        for row, made in _choices(poses[::2], fps, network.streams).items():
            errors = _errors(made, truth[::2])
            figures |= {f"{name}, choice: {row}: {column}": errors[column] for column in CHOSEN_BY}
        for row, made in (("truth", truth[1::2]), ("raw", poses[1::2])):
            figures |= {f"{name}: {row}: {column}": share for column, share in zip(WRONG, _wrong(made), strict=True)}
        figures[LIVE_MS] = _live_ms(poses, fps)
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return the tables of what `run` returns."""
    parts = [name.split(": ") for name in figures if name != LIVE_MS]

    def grid(title: str, network: str, columns: Sequence[str]) -> Grid:
        rows = dict.fromkeys(row for own, row, column in parts if own == network and column in columns)
        values = ((row, [figures.get(f"{network}: {row}: {column}") for column in columns]) for row in rows)
        cells = tuple((row, *("" if value is None else f"{value:.1f}" for value in found)) for row, found in values)
        return Grid(title, ("", *(column.replace(", ", ",\n") for column in columns)), cells)

    networks = dict.fromkeys(own for own, *_ in parts)
    return [
        *(grid(name, name, COLUMNS) for name in networks if "choice" not in name),
        *(grid(name, name, what) for name in networks if "choice" not in name for what in ((MOVED,), WRONG)),
        *(grid(name.replace("choice", "on the other clips"), name, CHOSEN_BY) for name in networks if "choice" in name),
        Grid("time", ("", ""), ((LIVE_MS, f"{figures[LIVE_MS]:.2f}"),)),
    ]


def _lifted(network: lifter.KeypointLifter, path: Path) -> tuple[Clips, Clips, float]:
    """Return lifted and true poses of a network's test subjects, and the frames per second."""
    config = network.trained.config
    clips, fps = views.clips_of(path, config.protocol.subjects_test, _CLIP)
    if len(clips) < 2:
        raise DataError(f"{path}: found one clip of the test subjects, expected two or more")
    seen = [views.drawn(poses, np.random.default_rng([2, index])) for index, poses in enumerate(clips)]
    errors = errors_of(config.data.detections)
    detected = [detections.detected(one, errors, np.random.default_rng([1, index]), fps) for index, one in enumerate(seen)]
    poses = views.lifted(network, [one.inputs_2d for one in detected], fps)
    truth = [one.poses_3d - one.poses_3d[:, :1] for one in seen]
    return [one.astype(np.float64) for one in poses], [one.astype(np.float64) for one in truth], fps


def _rows(poses: Clips, truth: Clips, fps: float, live: bool) -> dict[str, Clips]:
    """Return what each filter makes of clips."""
    legs = [float(np.mean([bones.bone_lengths(one)[leg[1:]].sum() for leg in _LEGS])) for one in truth]
    wrong = 1 + _STATURE_ERROR * np.random.default_rng(3).normal(size=len(poses))
    told = [{"stature_m": leg / (RATIOS["thigh"] + RATIOS["shank"]) * by} for leg, by in zip(legs, wrong, strict=True)]
    nothing: list[dict[str, Any]] = [{}] * len(poses)

    def made(known: Sequence[dict[str, Any]], causal: bool = False, **chosen: Any) -> Clips:
        settings = [Settings(**chosen, **own) for own in known]
        return [filtered(one, None, fps, own, causal=causal) for one, own in zip(poses, settings, strict=True)]

    found = {
        "truth": truth,
        "raw": poses,
        "smoothing": made(nothing, **_ONLY | {"smooth": True}),
        "constant bones": made(nothing, **_ONLY | {"constant_bones": True}),
        "constant bones, along the tree": [bones.tree_walk(one, bones.bone_lengths(one)) for one in poses],
        "knees": made(nothing, **_ONLY | {"knees": True}),
        "elbows": made(nothing, **_ONLY | {"elbows": True}),
        "stature": made(told, **_ONLY),
        "length of the legs": made([{"leg_m": leg} for leg in legs], **_ONLY),
        "all without size": made(nothing),
        "all with stature": made(told),
    }
    if live:
        found |= {
            "live, smoothing": made(nothing, True, **_ONLY | {"smooth": True}),
            "live, constant bones": made(nothing, True, **_ONLY | {"constant_bones": True}),
            "live, all without size": made(nothing, True),
            "live, all with stature": made(told, True),
        }
    return found


def _choices(poses: Clips, fps: float, live: bool) -> dict[str, Clips]:
    """Return clips smoothed by different settings."""
    found = {"raw": poses, **{f"{cutoff} Hz": [smoothing.smoothed(one, fps, cutoff) for one in poses] for cutoff in CUTOFFS_HZ}}
    for least, beta in EUROS if live else ():
        found[f"live, {least} Hz, beta {beta}"] = [smoothing.one_euro(one, fps, least, beta) for one in poses]
    return found


def _mean(function: Callable[[np.ndarray, np.ndarray], np.ndarray], made: Clips, truth: Clips) -> float:
    return float(np.concatenate([function(one, true).ravel() for one, true in zip(made, truth, strict=True)]).mean())


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=-1)


def _errors(made: Clips, truth: Clips) -> dict[str, float]:
    """Return the means over all frames by COLUMNS; of `made` alone: acceleration and bone length variation."""
    speed = np.concatenate([_distance(true[1:], true[:-1]) for true in truth])
    after_first = np.concatenate([_distance(one, true)[1:] for one, true in zip(made, truth, strict=True)])
    aligned = metrics.in_blocks(_p_mpjpe, np.concatenate(made), np.concatenate(truth))
    varied = [bones.frame_lengths(one, alike=False)[:, 1:].std(0).mean() for one in made]
    angles = partial(knee_angles, legs=_LEGS)
    values = (
        _mean(_distance, made, truth),
        aligned.mean(),
        after_first[speed >= np.percentile(speed, _FASTEST)].mean(),
        _mean(lambda one, true: _distance(np.diff(one, axis=0), np.diff(true, axis=0)), made, truth),
        _mean(lambda one, _: np.linalg.norm(np.diff(one, 2, axis=0), axis=-1), made, truth),
        np.mean(varied),
    )
    found = {column: 1000 * float(value) for column, value in zip(COLUMNS, values, strict=False)}
    return found | {COLUMNS[-1]: _mean(lambda one, true: np.abs(angles(one) - angles(true)), made, truth)}


def _wrong(poses: Clips) -> tuple[float, float]:
    """Return the shares of frames with a knee, and with an elbow, that bends backwards, as far as that can be told; percent."""
    wrong = wrong_bends(np.concatenate(poses)) > _WRONG_DEGREES
    return 100 * float(wrong[:, :2].any(1).mean()), 100 * float(wrong[:, 2:].any(1).mean())


def _live_ms(poses: Clips, fps: float) -> float:
    """Return the median time of a frame through all live filters, milliseconds."""
    live, taken = LiveFilter(Settings(stature_m=1.75), fps), []
    for pose in np.concatenate(poses)[:2000]:
        begun = time.perf_counter()
        live.push(pose)
        taken.append(time.perf_counter() - begun)
    return 1000 * float(np.median(taken))
