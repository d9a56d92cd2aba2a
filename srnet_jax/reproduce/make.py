"""Make a table or a figure of the paper: train the missing runs, evaluate them, and write the files."""

import dataclasses
import re
from collections.abc import Callable
from functools import partial
from typing import Any

from srnet_jax.config import schema
from srnet_jax.errors import UserError
from srnet_jax.evaluation.tables import Grid
from srnet_jax.io.files import check_folder, plain
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
    baseline: str | None = None,
    changes: dict[str, Any],
    show: Callable[[Grid], None],
) -> None:
    """Train the rows of an experiment, print its table, and write its files to the workdir.

    Args:
      table: a key of EXPERIMENTS.
      workdir: folder for the runs and the tables.
      data: a name of `settings.DATA`.
      scale: a key of `settings.SCALES`.
      seeds: number of runs of each row.
      shard: "I/N", to train only every N-th row, beginning with the I-th.
      baseline: name of the row that the other rows are compared with, in place of the experiment's.
      changes: config values by dotted field name, for all rows.
      show: prints a table.

    Raises:
      UserError: if an argument is missing or not valid, no row reads a field of `changes`, or a row fails.
    """
    if table not in EXPERIMENTS:
        raise UserError(f"--table={table}: not known, expected one of {', '.join(EXPERIMENTS)}; see --list")
    parts = re.fullmatch(r"(\d{1,4})/(\d{1,4})", shard)
    if not parts or not 1 <= int(parts[1]) <= int(parts[2]):
        raise UserError(f"--shard={shard}: not understood, expected I/N with I from 1 to N")
    if not workdir:
        raise UserError("--workdir: missing, expected a folder for the runs and the table")
    experiment = EXPERIMENTS[table]
    rows = [row.name for row in experiment.rows]
    if baseline is not None and baseline not in rows:
        raise UserError(f"--baseline={baseline}: no row of table {table}, expected one of {'; '.join(rows)}")
    experiment = dataclasses.replace(experiment, baseline=baseline or experiment.baseline)
    if experiment.rows:
        settings.check_paths(experiment, data, changes)
    check_folder(plain(workdir))
    found, actions = runner.trainings(experiment, plain(workdir), data, scale, seeds, changes)
    if found:
        schema.check_read([training.config for training in found], changes)
    missing, failures = runner.run_shard(found, (int(parts[1]), int(parts[2])), partial(print, flush=True))
    results = Results(table, experiment, experiment.columns(actions), found, changes)
    grid = report.table(results)
    if grid:
        show(grid)
    if any(results.evaluations) or not experiment.rows:  # otherwise keep the files of an earlier call
        for file in report.write(results, grid, plain(workdir), f"{data}-{scale}"):
            print(file)
    if missing:
        names = ", ".join(training.name for training in missing)
        print(f"not trained yet: {names}; run {'the same command again' if failures else 'the other shards'}")
    if failures:
        reasons = "; ".join(f"{name}: {error}" for name, error in failures.items())
        raise UserError(f"--table={table}: {len(failures)} of {len(found)} rows failed: {reasons}")
