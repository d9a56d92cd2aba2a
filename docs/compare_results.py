"""Compare two networks that were tested on the same recordings, from the `results.json` of their runs.

python -m docs.compare_results docs/results/sr_long_hdm05.json docs/results/fc_long_hdm05.json

Runs of one network with several seeds are separated by commas. It prints how much better the first network is than the second
on each row of the results, with the 95 % intervals of `srnet_jax/evaluation/intervals.py`. `python -m launch.reproduce` prints
the same for networks that it trains itself.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from srnet_jax.commands.console import console
from srnet_jax.config.schema import default_config
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.intervals import gain

ACTIONS = ("average", "actions")
RESULTS = Path(__file__).parent / "results"


def read(name: str) -> Evaluation:
    """Return the results in a file, without the predictions.

    Raises:
      ArgumentTypeError: if it is not a file of results.
    """
    path = Path(name)
    try:
        found = Evaluation(path, default_config(), json.loads(path.read_text()), np.empty(0))
        for row in rows_of(found):
            mean_error(found, row)
        _ = [found.results[name] for name in ("network", "parameters", "seed")]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise argparse.ArgumentTypeError(f"{path}: found {type(error).__name__}, expected the results.json of a run") from error
    return found


def rows_of(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Return the kind and the name of each row of the results, the average over actions first."""
    stored = evaluation.results["recordings"]["rows"]
    return [ACTIONS] + [(kind, name) for kind, names in stored.items() for name in names]


def mean_error(evaluation: Evaluation, row: tuple[str, str]) -> float:
    """Return the MPJPE of a row, mm."""
    results, (kind, name) = evaluation.results, row
    if kind == "average":
        return results[f"average_over_{name}"]["mpjpe_mm"]
    return results["rare" if kind == "rare" else "subsets"][name]["mpjpe_mm"]


def compare(first: Sequence[Evaluation], second: Sequence[Evaluation]) -> Table:
    """Return a table with the mean error of each network over its seeds, headed by the first file or run, and the gain."""
    kept = set.intersection(*(set(rows_of(evaluation)) for evaluation in (*first, *second)))
    table = Table("row", *(f"{_head(evaluations)}, mm" for evaluations in (first, second)), "first better by, %", "verdict")
    table.caption = "; ".join(_differences([evaluation.results for evaluation in (*first, *second)])) or None
    for row in [row for row in rows_of(first[0]) if row in kept]:
        found = gain(first, second, row)
        interval = (
            f"{found.percent:+.1f} ({found.low:+.1f} to {found.high:+.1f})" if found else "too few, or different, recordings"
        )
        errors = [f"{np.mean([mean_error(one, row) for one in evaluations]):.1f}" for evaluations in (first, second)]
        table.add_row(": ".join(row), *errors, interval, found.verdict if found else "")
    return table


def _differences(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return what differs between the tests of some runs, as text; empty if they were tested alike."""
    tests = [
        {name: one.get(name) for name in ("dataset", "protocol", "test_time_flip")}
        | {"labels": [label for label in one.get("labels", ())[1:] if not label.startswith("in training: ")]}
        for one in results
    ]
    found = {name: list(dict.fromkeys(str(test[name]) for test in tests)) for name in tests[0]}
    return [f"NOT tested alike: {name} {' and '.join(values)}" for name, values in found.items() if len(values) > 1]


def _head(evaluations: Sequence[Evaluation]) -> str:
    path = evaluations[0].workdir
    name = path.parent.name if path.name == "results.json" else path.stem
    return name if len(evaluations) == 1 else f"{name} and {len(evaluations) - 1} more"


def seeds_of_one_network(text: str) -> list[Evaluation]:
    """Return the results in files whose names are separated by commas.

    Raises:
      ArgumentTypeError: if they are not runs of one network with different seeds.
    """
    found = [read(name) for name in text.split(",")]
    networks, seeds = ([str(one.results[name]) for one in found] for name in ("parameters", "seed"))
    if len(set(networks)) > 1:
        raise argparse.ArgumentTypeError(f"{text}: found {' and '.join(networks)} parameters, expected runs of one network")
    if len(set(seeds)) < len(seeds):
        raise argparse.ArgumentTypeError(f"{text}: found seeds {', '.join(seeds)}, expected different seeds")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "first", type=seeds_of_one_network, help="results.json of a network, or of several seeds, separated by commas"
    )
    parser.add_argument("second", type=seeds_of_one_network, help="the same for the network that it is compared with")
    arguments = parser.parse_args()
    console(width=160).print(compare(arguments.first, arguments.second))
