"""Compare the expected errors of joints with the measured ones, on people and cameras that are not in the training data.

A random camera films each clip of a network's test subjects (`views.film_randomly`). The keypoints have the errors of the
network's `config.data.detections`. 5 % of the joints are hidden for some time and then filled, like joints that a detector
misses. The figures are for every second clip; `launch.export --calibrate` fits a network's calibration to the other clips.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srnet_jax.benchmarks import views
from srnet_jax.data import detections
from srnet_jax.data.sources import errors_of
from srnet_jax.errors import DataError, UserError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.lifting import lifter
from srnet_jax.pose.complete import Source, complete
from srnet_jax.pose.expected_errors import Calibration, expected_errors, fitted

RANK = "rank correlation"
COLUMNS = ("expected, mm", "measured, mm")
_MAX_FRAMES = 300  # of each clip
_HIDDEN = 0.05  # share of the joints
_TENTHS = 10
_FILLED = "joints that were not seen"

Measured = tuple[np.ndarray, np.ndarray, np.ndarray]  # poses [N, 17, 3], filled [N, 17], errors [N, 17]


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure the expected errors of networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      Mean errors as "NETWORK: ROW: COLUMN", and the rank correlation of both errors as "NETWORK: RANK". The joints are sorted
      by their expected error: each tenth of them is a row, and the joints that were not seen are the last row. The hip is
      left out.

    Raises:
      UserError: for a network or data that cannot be loaded, or a network without calibration.
      DataError: if the data have fewer than two clips of a network's test subjects.
    """
    figures: dict[str, float] = {}
    for name in networks:
        network = lifter.load(name)
        if network.trained.calibration is None:
            raise UserError(f"{name}: has no expected errors, expected a file that launch.export --calibrate wrote")
        figures |= {
            f"{name}: {key}": value for key, value in report(network.trained.calibration, *clips(network, data)[1]).items()
        }
    return figures


def grids(figures: dict[str, float]) -> list[Grid]:
    """Return a table for each network from the figures of `run`."""
    tables = []
    for name in [key.removesuffix(f": {RANK}") for key in figures if key.endswith(RANK)]:
        rows = dict.fromkeys(key.split(": ")[1] for key in figures if key.startswith(f"{name}: ") and key.count(": ") == 2)
        cells = tuple((row, *(f"{figures[f'{name}: {row}: {column}']:.0f}" for column in COLUMNS)) for row in rows)
        tables.append(Grid(f"{name}, {RANK} {figures[f'{name}: {RANK}']:.2f}", ("", *COLUMNS), cells))
    return tables


def calibrated(network: lifter.KeypointLifter, data: str) -> tuple[lifter.KeypointLifter, dict[str, float]]:
    """Fit a network's expected errors to one half of the clips.

    Returns:
      The network with its calibration, and the figures of `report` on the other half.

    Raises:
      UserError: for data that cannot be loaded.
      DataError: if the data have fewer than two clips of the network's test subjects.
    """
    chosen, rest = clips(network, data)
    calibration = fitted(*chosen)
    return lifter.KeypointLifter(dataclasses.replace(network.trained, calibration=calibration)), report(calibration, *rest)


def report(calibration: Calibration, poses: np.ndarray, filled: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """Return expected and measured errors as "ROW: COLUMN", millimetres, and RANK; for the arrays see `Measured`."""
    from scipy.stats import spearmanr

    expected = 1000 * expected_errors(poses, filled, calibration)[:, 1:].ravel()
    measured = 1000 * errors[:, 1:].ravel()
    tenth_of_joint = np.argsort(np.argsort(expected, kind="stable")) * _TENTHS // len(expected)
    rows = {f"tenth {tenth + 1} of {_TENTHS}": tenth_of_joint == tenth for tenth in range(_TENTHS)}
    rows[_FILLED] = filled[:, 1:].ravel()
    figures_of_rows: dict[str, float] = {}
    for row, chosen in rows.items():
        if chosen.any():
            figures_of_rows |= {
                f"{row}: {column}": float(e[chosen].mean()) for column, e in zip(COLUMNS, (expected, measured), strict=True)
            }
    return figures_of_rows | {RANK: float(spearmanr(expected, measured).statistic)}


def clips(network: lifter.KeypointLifter, data: str) -> tuple[Measured, Measured]:
    """Lift the test subjects of a network, and divide the clips into two halves.

    Returns:
      Measurements of the first, third, fifth, ... clip, which are for fitting, and of the others, which are for reporting.

    Raises:
      DataError: if there are fewer than two clips.
    """
    config = network.trained.config
    motions, fps = views.load_clips(Path(data), config.protocol.subjects_test, _MAX_FRAMES)
    if len(motions) < 2:
        raise DataError(f"{data}: found one clip of the test subjects, expected two or more")
    errors = dataclasses.replace(errors_of(config.data.detections), hidden=0.0)
    people, truth = [], []
    for index, motion in enumerate(motions):
        rng = np.random.default_rng([4, index])
        filmed = views.film_randomly(motion, rng)
        points = detections.detected(filmed, errors, rng, fps).inputs_2d
        unseen = detections.hidden_stretches(points.shape[:2], _HIDDEN, rng, fps)
        people.append(complete(np.where(unseen[..., None], np.nan, points), (~unseen).astype(float), "h36m", fps))
        truth.append(filmed.poses_3d - filmed.poses_3d[:, :1])
    times = [np.arange(len(person.points)) / fps for person in people]
    lifted = network.lift(people, [views.SIZE] * len(people), times)
    halves = []
    for start in (0, 1):
        kept = [np.isfinite(poses).all((1, 2)) for poses in lifted[start::2]]
        chosen = zip(lifted[start::2], people[start::2], truth[start::2], kept, strict=True)
        poses, filled, true = (
            np.concatenate(arrays)
            for arrays in zip(*((p[k], person.sources[k] == Source.FILLED, t[k]) for p, person, t, k in chosen), strict=True)
        )
        halves.append((poses, filled, np.linalg.norm(poses - true, axis=-1)))
    return halves[0], halves[1]
