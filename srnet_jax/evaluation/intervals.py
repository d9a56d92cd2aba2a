"""Estimate confidence intervals of the difference between two networks, by a paired bootstrap over recordings and seeds."""

import dataclasses
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from srnet_jax.evaluation.evaluate import Evaluation

DRAWS = 2000
_LEVEL = 95.0  # percent
_FEWEST = 5  # recordings with frames in the row; fewer do not show how much recordings vary
_RowKey = tuple[str, str]


@dataclasses.dataclass(frozen=True)
class Gain:
    """How much lower the MPJPE of one network is than that of another, in percent of the other's.

    Attributes:
      percent: the difference of the means over all recordings and seeds; positive if the first network is better.
      low: lower end of the 95 % interval.
      high: upper end of the 95 % interval.
    """

    percent: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Whether the interval supports a difference: "better", "worse" or "undecided"."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "undecided"


def gain(runs: Sequence[Evaluation], others: Sequence[Evaluation], row: _RowKey) -> Gain | None:
    """Compare two networks on one row of the results.

    Recordings (all frames and cameras of one take) and seeds are drawn with replacement. Each draw uses the same recordings for
    both networks, and draws the seeds of each network separately. So the interval holds for other recordings of the same people
    and for other initial weights. It does not hold for other people, because test sets have too few people to draw from. With
    few seeds the interval is a little too narrow, and with one seed it holds for that seed only. MPI-INF-3DHP and 3DPW are read
    as runs of valid frames; each run counts as a recording, so the intervals there are too narrow.

    Args:
      runs: evaluations of the network, one for each seed.
      others: evaluations of the network that it is compared with.
      row: kind and name of the row of the results; see `measure.Row.key`.

    Returns:
      The gain; None if a run lacks the row, the runs are tested on different recordings, or the row has frames of fewer than
      five recordings.
    """
    names = {tuple(evaluation.results["recordings"]["names"]) for evaluation in (*runs, *others)}
    tables = [_table(evaluations, row) for evaluations in (runs, others)]
    if len(names) > 1 or any(table is None for table in tables):
        return None
    (sums, counts, actions), (other_sums, other_counts, _) = tables  # type: ignore[misc]
    if (counts != other_counts).any() or np.count_nonzero(counts) < _FEWEST:
        return None
    rng = np.random.default_rng(0)
    weights = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), DRAWS)  # [D, R]
    drawn = [s[rng.integers(len(s), size=(DRAWS, len(s)))].mean(1) for s in (sums, other_sums)]  # [D, R]
    means = [_mean(weights * s, weights * counts, actions) for s in drawn]
    whole = [_mean(s.mean(0), counts, actions) for s in (sums, other_sums)]
    low, high = np.nanpercentile(100 * (1 - means[0] / means[1]), [50 - _LEVEL / 2, 50 + _LEVEL / 2])
    return Gain(float(100 * (1 - whole[0] / whole[1])), float(low), float(high))


def _table(evaluations: Sequence[Evaluation], row: _RowKey) -> tuple[np.ndarray, np.ndarray, np.ndarray | None] | None:
    """Return the summed errors [S, R] by seed and recording, the frames [R], and for the average over actions, these [R]."""
    kind, name = ("average", "frames") if row == ("average", "actions") else row
    stored: list[dict[str, Any]] = [evaluation.results["recordings"] for evaluation in evaluations]
    if not stored or any(name not in recordings["rows"].get(kind, {}) for recordings in stored):
        return None
    rows = [recordings["rows"][kind][name] for recordings in stored]
    if len({tuple(r["frames"]) for r in rows}) > 1:
        return None
    sums, counts = np.array([r["mpjpe_mm"] for r in rows]), np.array(rows[0]["frames"])
    actions = np.array([recording.split("/")[1] for recording in stored[0]["names"]])
    return sums, counts, actions if row == ("average", "actions") else None


def _mean(sums: np.ndarray, counts: np.ndarray, actions: np.ndarray | None) -> np.ndarray:
    """Return the mean error [...] of sums and counts [..., R]; with actions, the unweighted mean over actions."""
    parts = [slice(None)] if actions is None else [actions == action for action in dict.fromkeys(actions.tolist())]
    with np.errstate(invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a draw without any of the frames is NaN and does not count
        return np.nanmean([sums[..., part].sum(-1) / counts[..., part].sum(-1) for part in parts], axis=0)
