"""How well the expected error of a joint tells the true one, on people and cameras that the network was not trained on.

Each clip of a network's test subjects is seen by one camera that is drawn, see `views.drawn`. Keypoints have the errors of the
network's own `config.data.detections`; 5 % of the joints are hidden for a while, and filled as a detector's are. Every second
clip is reported; a network's calibration is fitted to the others (`launch.export --calibrate`).
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
_CLIP = 300  # frames of each clip, at most
_HIDDEN = 0.05
_TENTHS = 10
_FILLED = "joints that were not seen"

Parts = tuple[np.ndarray, np.ndarray, np.ndarray]  # poses [N, 17, 3], filled [N, 17], errors [N, 17]


def run(*, data: str, networks: Sequence[str] = lifter.PRETRAINED) -> dict[str, float]:
    """Measure the expected errors of networks.

    Args:
      data: `.npz` file of joint positions, or a folder of such files, that holds the networks' test subjects.
      networks: see `lifter.load`.

    Returns:
      "NETWORK: ROW: COLUMN" for each tenth of the joints by their expected error, and for those that were not seen; and
      "NETWORK: RANK" of both errors, all joints but the hip.

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
    """Return the tables of what `run` returns, one for each network."""
    made = []
    for name in [key.removesuffix(f": {RANK}") for key in figures if key.endswith(RANK)]:
        rows = dict.fromkeys(key.split(": ")[1] for key in figures if key.startswith(f"{name}: ") and key.count(": ") == 2)
        cells = tuple((row, *(f"{figures[f'{name}: {row}: {column}']:.0f}" for column in COLUMNS)) for row in rows)
        made.append(Grid(f"{name}, {RANK} {figures[f'{name}: {RANK}']:.2f}", ("", *COLUMNS), cells))
    return made


def calibrated(network: lifter.KeypointLifter, data: str) -> tuple[lifter.KeypointLifter, dict[str, float]]:
    """Return a network with expected errors fitted to every other clip, and what `report` says of the rest.

    Raises:
      UserError: for data that cannot be loaded.
      DataError: if the data have fewer than two clips of the network's test subjects.
    """
    chosen, rest = clips(network, data)
    calibration = fitted(*chosen)
    return lifter.KeypointLifter(dataclasses.replace(network.trained, calibration=calibration)), report(calibration, *rest)


def report(calibration: Calibration, poses: np.ndarray, filled: np.ndarray, errors: np.ndarray) -> dict[str, float]:
    """Return expected and measured errors as "ROW: COLUMN", millimetres, and RANK, of arrays as in Parts."""
    from scipy.stats import spearmanr

    expected = 1000 * expected_errors(poses, filled, calibration)[:, 1:].ravel()
    measured = 1000 * errors[:, 1:].ravel()
    places = np.argsort(np.argsort(expected, kind="stable")) * _TENTHS // len(expected)
    rows = {f"tenth {tenth + 1} of {_TENTHS}": places == tenth for tenth in range(_TENTHS)}
    rows[_FILLED] = filled[:, 1:].ravel()
    found: dict[str, float] = {}
    for row, chosen in rows.items():
        if chosen.any():
            found |= {
                f"{row}: {column}": float(e[chosen].mean()) for column, e in zip(COLUMNS, (expected, measured), strict=True)
            }
    return found | {RANK: float(spearmanr(expected, measured).statistic)}


def clips(network: lifter.KeypointLifter, data: str) -> tuple[Parts, Parts]:
    """Return what a network makes of its test subjects: of every second clip, from the first and from the second.

    Raises:
      DataError: if there are fewer than two clips.
    """
    config = network.trained.config
    motions, fps = views.clips_of(Path(data), config.protocol.subjects_test, _CLIP)
    if len(motions) < 2:
        raise DataError(f"{data}: found one clip of the test subjects, expected two or more")
    errors = dataclasses.replace(errors_of(config.data.detections), hidden=0.0)
    people, truth = [], []
    for index, motion in enumerate(motions):
        rng = np.random.default_rng([4, index])
        one = views.drawn(motion, rng)
        points = detections.detected(one, errors, rng, fps).inputs_2d
        unseen = detections.hidden_stretches(points.shape[:2], _HIDDEN, rng, fps)
        people.append(complete(np.where(unseen[..., None], np.nan, points), (~unseen).astype(float), "h36m", fps))
        truth.append(one.poses_3d - one.poses_3d[:, :1])
    times = [np.arange(len(person.points)) / fps for person in people]
    lifted = network.lift(people, [views.SIZE] * len(people), times)
    parts = []
    for start in (0, 1):
        kept = [np.isfinite(poses).all((1, 2)) for poses in lifted[start::2]]
        chosen = zip(lifted[start::2], people[start::2], truth[start::2], kept, strict=True)
        poses, filled, true = (
            np.concatenate(arrays)
            for arrays in zip(*((p[k], person.sources[k] == Source.FILLED, t[k]) for p, person, t, k in chosen), strict=True)
        )
        parts.append((poses, filled, np.linalg.norm(poses - true, axis=-1)))
    return parts[0], parts[1]
