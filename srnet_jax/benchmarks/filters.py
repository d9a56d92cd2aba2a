"""Measure the filters of lifted poses, alone and combined, on people and cameras that are not in the training data.

A random camera films each clip of a network's test subjects (`views.film_randomly`). Keypoints are projections of the joints
that a detector finds, with the errors of the network's `config.data.detections`. The lifter guesses the focal length.

The figures are for every second clip. The filters' settings were chosen on the other clips, whose tables are printed too. The
stature of a person is computed from the mean length of the true legs with `RATIOS`. Filters that take a stature get it with an
error of 3 % (standard deviation), our guess at how much the legs of people of the same stature differ.
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
CHOICE_COLUMNS = (MPJPE, FAST, ACCELERATION)
CUTOFFS_HZ, ONE_EURO_SETTINGS = (2, 3, 4, 5, 6, 8), ((1, 2), (1, 4), (2, 2), (2, 4), (2, 8), (3, 4))  # (min_cutoff_hz, beta)
BACKWARDS = ("a knee bent backwards, % of the frames", "an elbow bent backwards, % of the frames")
DISPLACEMENT, LIVE_MS = "mean displacement of the joints, mm", "live filter, all: median ms a frame"
_MAX_FRAMES = 300  # of each clip
_FAST_PERCENTILE = 95  # of the true speed; joints above it are fast
_STATURE_SIGMA, _MIN_BACKWARDS_DEG = 0.03, 5  # relative; a smaller bend does not count as backwards
_JOINTS = H36M_17.joints
_LEGS = [[_JOINTS.index(side + name) for name in ("Hip", "Knee", "Foot")] for side in "LR"]
_ALL_OFF = {"smooth": False, "constant_bones": False, "knees": False}
_p_mpjpe = jax.jit(metrics.p_mpjpe)

Clips = Sequence[np.ndarray]  # each [T, 17, 3], camera frame, relative to the hip, metres


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure the filters on the poses of networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      Errors on the reported clips as "NETWORK: ROW: COLUMN", and on the other clips as "NETWORK, choice: ROW: COLUMN";
      displacements as "NETWORK: ROW: DISPLACEMENT"; shares of frames as "NETWORK: ROW: " and a name of BACKWARDS; and LIVE_MS.

    Raises:
      UserError: for a network or data that cannot be loaded.
      DataError: if the data have fewer than two clips of a network's test subjects.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        poses, truth, fps = _lift_clips(network, Path(data))
        for row, made in _apply_filters(poses[1::2], truth[1::2], fps, network.streams).items():
            errors = _errors(made, truth[1::2])
            figures |= {f"{name}: {row}: {column}": value for column, value in errors.items()}
            if "bones" in row:  # to compare with the walk along the tree
                figures[f"{name}: {row}: {DISPLACEMENT}"] = 1000 * _mean_over_frames(_distance, made, poses[1::2])
        for row, made in _apply_candidates(poses[::2], fps, network.streams).items():
            errors = _errors(made, truth[::2])
            figures |= {f"{name}, choice: {row}: {column}": errors[column] for column in CHOICE_COLUMNS}
        for row, made in (("truth", truth[1::2]), ("raw", poses[1::2])):
            shares = zip(BACKWARDS, _backwards_percent(made), strict=True)
            figures |= {f"{name}: {row}: {column}": share for column, share in shares}
        figures[LIVE_MS] = _live_ms(poses, fps)
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return tables of the figures of `run`."""
    parts = [name.split(": ") for name in figures if name != LIVE_MS]

    def grid(title: str, network: str, columns: Sequence[str]) -> Grid:
        rows = dict.fromkeys(row for own, row, column in parts if own == network and column in columns)
        values = ((row, [figures.get(f"{network}: {row}: {column}") for column in columns]) for row in rows)
        cells = tuple((row, *("" if value is None else f"{value:.1f}" for value in found)) for row, found in values)
        return Grid(title, ("", *(column.replace(", ", ",\n") for column in columns)), cells)

    networks = dict.fromkeys(own for own, *_ in parts)
    return [
        *(grid(name, name, COLUMNS) for name in networks if "choice" not in name),
        *(grid(name, name, what) for name in networks if "choice" not in name for what in ((DISPLACEMENT,), BACKWARDS)),
        *(grid(name.replace("choice", "on the other clips"), name, CHOICE_COLUMNS) for name in networks if "choice" in name),
        Grid("time", ("", ""), ((LIVE_MS, f"{figures[LIVE_MS]:.2f}"),)),
    ]


def _lift_clips(network: lifter.KeypointLifter, path: Path) -> tuple[Clips, Clips, float]:
    """Film and lift the test subjects of a network; return lifted poses, true poses, and the frames per second."""
    config = network.trained.config
    clips, fps = views.load_clips(path, config.protocol.subjects_test, _MAX_FRAMES)
    if len(clips) < 2:
        raise DataError(f"{path}: found one clip of the test subjects, expected two or more")
    seen = [views.film_randomly(poses, np.random.default_rng([2, index])) for index, poses in enumerate(clips)]
    errors = errors_of(config.data.detections)
    detected = [detections.detected(one, errors, np.random.default_rng([1, index]), fps) for index, one in enumerate(seen)]
    poses = views.lift(network, [one.inputs_2d for one in detected], fps)
    truth = [one.poses_3d - one.poses_3d[:, :1] for one in seen]
    return [one.astype(np.float64) for one in poses], [one.astype(np.float64) for one in truth], fps


def _apply_filters(poses: Clips, truth: Clips, fps: float, live: bool) -> dict[str, Clips]:
    """Apply each filter to clips; return the filtered clips by the name of the row."""
    legs = [float(np.mean([bones.bone_lengths(one)[leg[1:]].sum() for leg in _LEGS])) for one in truth]
    factors = 1 + _STATURE_SIGMA * np.random.default_rng(3).normal(size=len(poses))
    leg_ratio = RATIOS["thigh"] + RATIOS["shank"]
    statures = [{"stature_m": leg / leg_ratio * factor} for leg, factor in zip(legs, factors, strict=True)]
    no_size: list[dict[str, Any]] = [{}] * len(poses)

    def apply(sizes: Sequence[dict[str, Any]], causal: bool = False, **chosen: Any) -> Clips:
        settings = [Settings(**chosen, **own) for own in sizes]
        return [filtered(one, None, fps, own, causal=causal) for one, own in zip(poses, settings, strict=True)]

    found = {
        "truth": truth,
        "raw": poses,
        "smoothing": apply(no_size, **_ALL_OFF | {"smooth": True}),
        "constant bones": apply(no_size, **_ALL_OFF | {"constant_bones": True}),
        "constant bones, along the tree": [bones.tree_walk(one, bones.bone_lengths(one)) for one in poses],
        "knees": apply(no_size, **_ALL_OFF | {"knees": True}),
        "elbows": apply(no_size, **_ALL_OFF | {"elbows": True}),
        "stature": apply(statures, **_ALL_OFF),
        "length of the legs": apply([{"leg_m": leg} for leg in legs], **_ALL_OFF),
        "all without size": apply(no_size),
        "all with stature": apply(statures),
    }
    if live:
        found |= {
            "live, smoothing": apply(no_size, True, **_ALL_OFF | {"smooth": True}),
            "live, constant bones": apply(no_size, True, **_ALL_OFF | {"constant_bones": True}),
            "live, all without size": apply(no_size, True),
            "live, all with stature": apply(statures, True),
        }
    return found


def _apply_candidates(poses: Clips, fps: float, live: bool) -> dict[str, Clips]:
    """Smooth clips with different settings; return the smoothed clips by the name of the row."""
    found = {"raw": poses, **{f"{cutoff} Hz": [smoothing.smoothed(one, fps, cutoff) for one in poses] for cutoff in CUTOFFS_HZ}}
    for least, beta in ONE_EURO_SETTINGS if live else ():
        found[f"live, {least} Hz, beta {beta}"] = [smoothing.one_euro(one, fps, least, beta) for one in poses]
    return found


def _mean_over_frames(function: Callable[[np.ndarray, np.ndarray], np.ndarray], made: Clips, truth: Clips) -> float:
    """Return the mean of a function of lifted and true poses over all clips."""
    return float(np.concatenate([function(one, true).ravel() for one, true in zip(made, truth, strict=True)]).mean())


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the distance of each joint [T, 17]."""
    return np.linalg.norm(one - other, axis=-1)


def _errors(made: Clips, truth: Clips) -> dict[str, float]:
    """Return the mean errors over all frames by COLUMNS; acceleration and bone length variation need no truth."""
    speed = np.concatenate([_distance(true[1:], true[:-1]) for true in truth])
    after_first = np.concatenate([_distance(one, true)[1:] for one, true in zip(made, truth, strict=True)])
    aligned = metrics.in_blocks(_p_mpjpe, np.concatenate(made), np.concatenate(truth))
    variations = [bones.frame_lengths(one, alike=False)[:, 1:].std(0).mean() for one in made]
    angles = partial(knee_angles, legs=_LEGS)
    values = (
        _mean_over_frames(_distance, made, truth),
        aligned.mean(),
        after_first[speed >= np.percentile(speed, _FAST_PERCENTILE)].mean(),
        _mean_over_frames(lambda one, true: _distance(np.diff(one, axis=0), np.diff(true, axis=0)), made, truth),
        _mean_over_frames(lambda one, _: np.linalg.norm(np.diff(one, 2, axis=0), axis=-1), made, truth),
        np.mean(variations),
    )
    found = {column: 1000 * float(value) for column, value in zip(COLUMNS, values, strict=False)}
    return found | {COLUMNS[-1]: _mean_over_frames(lambda one, true: np.abs(angles(one) - angles(true)), made, truth)}


def _backwards_percent(poses: Clips) -> tuple[float, float]:
    """Return the percentages of frames in which a knee and an elbow visibly bend backwards."""
    backwards = wrong_bends(np.concatenate(poses)) > _MIN_BACKWARDS_DEG
    return 100 * float(backwards[:, :2].any(1).mean()), 100 * float(backwards[:, 2:].any(1).mean())


def _live_ms(poses: Clips, fps: float) -> float:
    """Return the median time that all live filters take for a frame, milliseconds."""
    live, seconds = LiveFilter(Settings(stature_m=1.75), fps), []
    for pose in np.concatenate(poses)[:2000]:
        begun = time.perf_counter()
        live.push(pose)
        seconds.append(time.perf_counter() - begun)
    return 1000 * float(np.median(seconds))
