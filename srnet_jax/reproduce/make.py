"""Make a table or a figure of the paper: train what is missing, evaluate, and write it."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from srnet_jax.config import schema
from srnet_jax.errors import UserError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.io.files import plain
from srnet_jax.reproduce import report, runner, settings
from srnet_jax.reproduce.experiments import EXPERIMENTS
from srnet_jax.reproduce.results import Results


def make(
    table: str | None,
    workdir: str | None,
    *,
    data: str,
    scale: str,
    seeds: int,
    shard: str,
    changes: dict[str, Any],
    show: Callable[[Grid], None],
) -> None:
    """Train the rows of an experiment, print its table, and write its files to the workdir.

    Args:
      table: a name of EXPERIMENTS.
      workdir: of the runs and the tables.
      data: a name of `settings.DATA`.
      scale: a name of `settings.SCALES`.
      seeds: runs of each row.
      shard: as text, I/N: every N-th row is trained, beginning with the I-th.
      changes: fields of the config, for all rows.
      show: prints a table.

    Raises:
      UserError: if an argument is missing or not understood, no row reads a field of `changes`, or a row fails.
    """
    if table not in EXPERIMENTS:
        raise UserError(f"--table={table}: not known, expected one of {', '.join(EXPERIMENTS)}; --list says what each is")
    parts = re.fullmatch(r"(\d{1,4})/(\d{1,4})", shard)
    if not parts or not 1 <= int(parts[1]) <= int(parts[2]):
        raise UserError(f"--shard={shard}: not understood, expected I/N with I from 1 to N")
    if not workdir:
        raise UserError("--workdir: missing, expected a folder for the runs and the table")
    experiment = EXPERIMENTS[table]
    if experiment.rows:
        settings.check_paths(experiment, data, changes)
    found, actions = runner.trainings(experiment, plain(workdir), data, scale, seeds, changes)
    if found:
        schema.check_read([training.config for training in found], changes)
    missing, failures = runner.run_shard(found, (int(parts[1]), int(parts[2])), partial(print, flush=True))
    results = Results(table, experiment, experiment.columns(actions), found, changes)
    grid = report.table(results)
    if grid:
        show(grid)
    if any(results.evaluations) or not experiment.rows:  # otherwise keep what was written before
        for file in report.write(results, grid, plain(workdir), f"{data}-{scale}"):
            print(file)
    if missing:
        names = ", ".join(training.name for training in missing)
        print(f"not trained yet: {names}; {'the same command' if failures else 'another shard'} does it")
    if failures:
        reasons = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise UserError(f"{len(failures)} rows failed; {reasons}")
