"""Write an experiment's numbers beside the paper's: as a table, as CSV and as a figure."""

import csv
import io
import itertools
import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srnet_jax.evaluation.charts import to_png
from srnet_jax.evaluation.intervals import gain
from srnet_jax.evaluation.tables import Grid, mean_cell, to_markdown
from srnet_jax.io.files import write_whole
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.reproduce import drawing
from srnet_jax.reproduce.experiment import Column
from srnet_jax.reproduce.properties import NETWORKS, PAPER, properties
from srnet_jax.reproduce.results import Cell, Results

_HEADS = ("ours", "paper", "difference")


def table(results: Results) -> Grid | None:
    """Make the table of our numbers, the paper's and the difference; notes below compare the findings.

    Args:
      results: of an experiment.

    Returns:
      The table; None if the experiment is a figure without numbers.
    """
    experiment, cells = results.experiment, results.cells
    if not experiment.rows:
        return None if experiment.figure else _properties(experiment.title)
    names, labels = [row.name for row in experiment.rows], [column.label for column in results.columns]
    lines: dict[tuple[str, ...], dict[str, Cell]]  # the first texts of a line: its cells, by heading
    if experiment.by_action:
        lines = {(label,): {name: cells[name, label] for name in names} for label in labels}
    else:
        lines = {
            (name, f"{runs[0].results['parameters']:,}" if runs else "-"): {label: cells[name, label] for label in labels}
            for name, runs in zip(names, results.evaluations, strict=True)
        }
    heads = {
        name: _HEADS if any(line[name].paper is not None for line in lines.values()) else _HEADS[:1]
        for name in (names if experiment.by_action else labels)
    }
    return Grid(
        experiment.title,
        (
            *([""] if experiment.by_action else ["", "parameters"]),
            *(f"{name}\n{head}" for name in heads for head in heads[name]),
        ),
        tuple(
            (*start, *(text for name, cell in line.items() for text in _texts(cell)[: len(heads[name])]))
            for start, line in lines.items()
        ),
        notes=(*findings(results), *_turning_points(results), *_circumstances(results), *experiment.notes),
    )


def _texts(cell: Cell) -> tuple[str, str, str]:
    """Return the texts of a cell: ours, the paper's, and the difference (the order of _HEADS)."""
    if cell.paper is None:
        return mean_cell(cell.ours), "-", "-"
    return mean_cell(cell.ours), f"{cell.paper:.1f}", f"{cell.mean - cell.paper:+.1f}" if cell.ours else "-"


def findings(results: Results) -> list[str]:
    """Return lines that compare our findings with the paper's, for each column.

    A column has one line with each row's gain over the baseline, ours with its interval and the paper's, and one line with the
    number of pairs of rows that are in the paper's order. Columns of single actions are left out.
    """
    baseline, lines = results.experiment.baseline, []
    runs = {row.name: found for row, found in zip(results.experiment.rows, results.evaluations, strict=True)}
    for column in results.columns:
        cells = {row.name: results.cells[row.name, column.label] for row in results.experiment.rows}
        if column.of_one_action or baseline not in cells:
            continue
        base, sign = cells.pop(baseline), 1 if column.larger_is_better else -1
        gains = []
        for name, cell in cells.items():
            ours, paper = _gain(cell.mean, base.mean, sign), _gain(cell.paper, base.paper, sign)
            within = gain(runs[name], runs[baseline], column.row) if ours and column.metric == "mpjpe_mm" else None
            about = [f"{within.low:+.1f} to {within.high:+.1f}, {within.verdict}"] if within else []
            about += [f"paper {paper}"] if paper else []
            gains += [f"{name} {ours}" + (f" ({'; '.join(about)})" if about else "")] if ours else []
        if gains:
            lines.append(f"{column.label}, better than {baseline} by: {', '.join(gains)}.")
        both = [(cell.paper, cell.mean) for cell in (base, *cells.values()) if cell.paper is not None and cell.ours]
        pairs = [(a, b) for a, b in itertools.combinations(both, 2) if a[0] != b[0]]
        if pairs:
            same = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
            lines.append(f"{column.label}: {same} of {len(pairs)} pairs of rows are in the paper's order.")
    return lines


def _turning_points(results: Results) -> list[str]:
    """Return, for the figure `steps`, the lowest and the last error of each row in each column, with their steps."""
    lines = []
    for column in results.columns if results.curves else ():
        parts = []
        for name, by_label in results.curves.items():
            means = {step: statistics.fmean(by_seed) for step, by_seed in by_label[column.label].items()}
            best, last = min(means, key=means.__getitem__), max(means)
            parts.append(f"{name} {means[best]:.1f} at step {best:,}, {means[last]:.1f} at {last:,}")
        lines.append(f"{column.label}, lowest and last: {'; '.join(parts)}.")
    return lines


def _gain(number: float | None, of: float | None, sign: int) -> str:
    """Return the gain over the baseline `of` in percent, as text; "" if a number is missing."""
    if number is None or not of or math.isnan(number + of):
        return ""
    return f"{sign * 100 * (number / of - 1):+.1f} %"


def _circumstances(results: Results) -> list[str]:
    """Return lines that describe the data, the protocol and the training of the runs."""
    found = [evaluation for runs in results.evaluations for evaluation in runs]
    if not found:
        return []
    first, config = found[0].results, found[0].config
    seeds = sorted({evaluation.config.seed for evaluation in found})
    datasets = sorted({evaluation.results["dataset"] for evaluation in found})
    labels: dict[str, None] = {}
    for evaluation in found:  # in Cross-Action each line of the table names the training action
        trained = f"trained on {', '.join(evaluation.config.protocol.actions_train)}, " * results.experiment.each_action
        labels |= dict.fromkeys(label.removeprefix(trained) for label in evaluation.results["labels"])
    changed = [f"{name} = {value}" for name, value in results.changes.items() if not name.endswith("data.path")]
    fields = {create_model(e.config.model).receptive_field for e in found}
    elsewhere = config.data.source != "h36m"
    frames = ", ".join(f"{part} {first['counts'][part]['frames']:,}" for part in ("train", "validation", "test"))
    over = "mean ± standard deviation over seeds" if len(seeds) > 1 else "seed"
    return [
        f"{', '.join(datasets)}; {first['protocol']} protocol; mm (PCK and AUC: %); {over} "
        f"{', '.join(map(str, seeds))}; best checkpoint; "
        f"{config.train.epochs} epochs of batches of {config.train.batch_size}; test-time flip "
        f"{'on' if first['test_time_flip'] else 'off'}.",
        *(["The paper's numbers are for Human3.6M. On other data, compare gains and orders, not millimetres."] * elsewhere),
        *([f"Temporal networks see {max(fields)} frames."] if max(fields) > 1 else []),
        *([f"Changed: {', '.join(changed)}."] if changed else []),
        *_sizes(results.columns, first["recordings"]["rows"]),
        *([_ranking(first["rarity"])] if any(column.row[0] in ("rare", "subset") for column in results.columns) else []),
        f"Frames{' of the first run' if len({e.config.protocol.actions_train for e in found}) > 1 else ''}: {frames}. "
        f"{'; '.join(labels)}.",
    ]


def _sizes(columns: Sequence[Column], stored: dict[str, Any]) -> list[str]:
    """Return, for the columns of rare poses and subsets, how many poses they have and from how many recordings."""
    found = []
    for column in columns:
        kind, name = column.row
        if frames := stored.get(kind, {}).get(name, {}).get("frames", []) if kind in ("rare", "subset") else []:
            found.append(f"{column.label} {sum(frames):,} poses from {sum(map(bool, frames))} recordings")
    return [f"{'; '.join(found)}."] if found else []


def _ranking(rarity: dict[str, Any]) -> str:
    """Describe the ranking that defines the rare poses."""
    sigma = f", σ = {', '.join(f'{value:g}' for value in rarity['sigma_mm'])} mm" if rarity["ranking"] == "occurrence" else ""
    every = f", one in {rarity['reference_step']}" if rarity["reference_step"] > 1 else ""
    ranking = rarity["ranking"].replace("_", " ")
    return f"Rare poses: by {ranking}{sigma}, against the {rarity['reference']} poses{every}; {rarity['how']}."


def _properties(title: str) -> Grid:
    names = ("local inference", "local features", "information\npassing", "dimension\ncontrol")
    found = {name: properties(make()) for name, make in NETWORKS.items()}
    same = sum(found[name] == PAPER[name] for name in found)
    return Grid(
        title,
        ("network", *names),
        tuple((name, *cells) for name, cells in found.items()),
        notes=(
            f"{same} of {len(found)} networks are as in the paper. Six layers, random weights; GCN and LCN see one hop; GCN "
            "has no non-local layers; SRNet concatenates a context of width 1.",
        ),
    )


def write(results: Results, grid: Grid | None, workdir: Path, about: str) -> list[Path]:
    """Write the table as Markdown and CSV, and the figure as PNG.

    Args:
      results: of an experiment.
      grid: from `table`, None for none.
      workdir: folder for the files; it is made if it does not exist.
      about: the data and the scale, for the names of the files.

    Returns:
      The paths of the files.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    experiment = results.experiment
    stem = results.name if experiment.is_figure else f"table_{results.name}"
    stem += f"-{about}" if experiment.rows else ""
    figure = drawing.draw(results)
    contents = {
        "md": to_markdown(grid) if grid else None,
        "csv": to_csv(results) if experiment.rows else None,
        "png": to_png(figure) if figure else None,
        "steps.csv": _steps_csv(results) if results.curves else None,
    }
    written = {workdir / f"{stem}.{ending}": content for ending, content in contents.items() if content}
    for path, content in written.items():
        write_whole(path, content)
    return list(written)


def to_csv(results: Results) -> str:
    """Return the numbers as CSV: for each row and column ours by seed, their mean and deviation, and the paper's number."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "column", "metric", "mean", "deviation", "paper", "by_seed", "runs"])
    for row, training in zip(results.experiment.rows, results.trainings, strict=True):
        for column in results.columns:
            cell = results.cells[row.name, column.label]
            mean = f"{cell.mean:.10g}" if cell.ours else ""
            deviation = f"{cell.deviation:.10g}" if len(cell.ours) > 1 else ""
            by_seed = " ".join(f"{value:.10g}" for value in cell.ours)
            paper = "" if cell.paper is None else cell.paper
            lines.writerow([row.name, column.label, column.metric, mean, deviation, paper, by_seed, training.folder.name])
    return text.getvalue()


def _steps_csv(results: Results) -> str:
    """Return the errors during training as CSV: a line for each row, column and step; `training` is the training error."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "step", "column", "mean", "by_seed"])
    for name, by_label in results.curves.items():
        for label, by_step in by_label.items():
            for step, by_seed in by_step.items():
                each = " ".join(f"{number:.10g}" for number in by_seed)
                lines.writerow([name, step, label, f"{statistics.fmean(by_seed):.10g}", each])
    return text.getvalue()
