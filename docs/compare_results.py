"""Compare two networks that were tested on the same recordings, from the `results.json` of their runs.

python -m docs.compare_results docs/results/sr_long_hdm05.json docs/results/fc_long_hdm05.json

It prints how much better the first network is than the second on each row of the results, with the 95 % intervals of
`srnet_jax/evaluation/intervals.py`. `python -m launch.reproduce` prints the same for networks that it trains itself.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.table import Table

from srnet_jax.commands.console import console
from srnet_jax.config.schema import default_config
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.intervals import gain

ACTIONS = ("average", "actions")


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


def compare(first: Evaluation, second: Evaluation) -> Table:
    """Return a table with the error of each network, headed by the name of its file or run, and the gain of the first."""
    rows = [row for row in rows_of(first) if row in rows_of(second)]
    paths = (evaluation.workdir for evaluation in (first, second))
    heads = (f"{path.parent.name if path.name == 'results.json' else path.stem}, mm" for path in paths)
    table = Table("row", *heads, "first better by, %", "verdict")
    for row in rows:
        found = gain([first], [second], row)
        interval = (
            f"{found.percent:+.1f} ({found.low:+.1f} to {found.high:+.1f})" if found else "too few, or different, recordings"
        )
        errors = [f"{mean_error(evaluation, row):.1f}" for evaluation in (first, second)]
        table.add_row(": ".join(row), *errors, interval, found.verdict if found else "")
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=read, help="results.json of a network")
    parser.add_argument("second", type=read, help="results.json of the network that it is compared with")
    arguments = parser.parse_args()
    console(width=160).print(compare(arguments.first, arguments.second))
