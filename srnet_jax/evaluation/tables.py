"""Make tables of the results of runs, for the console and as Markdown."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from ml_collections import ConfigDict
from rich.table import Table
from rich.text import Text

from srnet_jax.data.protocols import Split
from srnet_jax.evaluation.evaluate import Evaluation, Group, group_seeds
from srnet_jax.evaluation.measure import Row, rows
from srnet_jax.evaluation.parts import names, occurrences, ranks_of_parts
from srnet_jax.pose.rarity import Commonness, rarest

METRICS = {  # by their keys in the results
    "mpjpe_mm": "MPJPE, mm",
    "p_mpjpe_mm": "PA-MPJPE, mm",
    "n_mpjpe_mm": "N-MPJPE, mm",
    "mpjve_mm": "MPJVE, mm a frame",
    "bone_length_mm": "bone length error, mm",
    "symmetry_mm": "left/right bone asymmetry, mm",
}
_SHARES = {"pck": "PCK 150 mm", "auc": "AUC"}  # metrics in percent; their keys in the results also name the number of joints
_RANKINGS = {
    "occurrence": "lowest occurrence (Eq. 10)",
    "exponential": "lowest mean of exp(-distance / sigma)",
    "mean_distance": "largest mean distance",
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table as text.

    Attributes:
      title: one line above the table.
      header: one cell for each column; the first column names the rows; a newline breaks a cell.
      rows: the cells of each row.
      sections: indices of the rows that begin a new section.
      notes: lines below the table.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sections: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def to_rich(grid: Grid) -> Table:
    """Return a grid as a `rich` table, for the console."""
    caption = Text("\n".join(grid.notes)) if grid.notes else None  # as Text, because names may look like rich's markup
    table = Table(title=Text(grid.title), title_justify="left", caption=caption, caption_justify="left")
    for index, cell in enumerate(grid.header):
        longest = max((len(row[index]) for row in grid.rows), default=0)
        words = not index or any(row[index][:1].isalpha() for row in grid.rows)
        table.add_column(Text(cell), justify="left" if words else "right", no_wrap=not index, min_width=longest)
    for number, row in enumerate(grid.rows):
        if number in grid.sections:
            table.add_section()
        table.add_row(*map(Text, row))
    return table


def to_markdown(grid: Grid) -> str:
    """Return a grid as a Markdown table."""

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"

    dashes = ("---", *["---:"] * (len(grid.header) - 1))
    table = "\n".join(map(line, [grid.header, dashes, *grid.rows]))
    return "\n\n".join([f"**{grid.title}**", table, *grid.notes]) + "\n"


def comparison(evaluations: list[Evaluation]) -> list[Grid]:
    """Make the tables that compare runs on one test set.

    Each run has a column. Runs that differ only in the seed share a column, with the mean ± the standard deviation over the
    seeds.

    Args:
      evaluations: of the runs.

    Returns:
      A table with MPJPE and PA-MPJPE by action, their averages, and rare poses, beside the error of the mean pose; a table with
      every metric, averaged over actions; and, for data that have scenes, a table with PCK, AUC and MPJPE by scene.
    """
    groups = group_seeds(evaluations)
    first = evaluations[0].results
    numbers = [[{row.key: row.numbers for row in rows(run.results)} for run in group.runs] for group in groups]
    scenes = [row for row in rows(first) if row.kind == "scene"]
    shown = [row for row in rows(first) if row.kind != "scene"]
    over_actions, over_frames = (row for row in shown if row.kind == "average")
    shares = _shares(over_actions.numbers)
    *errors, bones, symmetry = METRICS.items()
    by_scene_metrics = shares | {"mpjpe_mm": METRICS["mpjpe_mm"]}

    def head(group: Group, *metric: str) -> str:
        return "\n".join([group.name, *metric, *([f"{len(group.runs)} seeds"] if len(group.runs) > 1 else [])])

    def cells(row: Row, *metrics: str) -> tuple[str, ...]:
        return tuple(mean_cell([run.get(row.key, {}).get(metric) for run in runs]) for metric in metrics for runs in numbers)

    def frames(row: Row) -> str:
        return f"{row.numbers['frames']:,}"

    by_action = Grid(
        title=f"Errors in mm: {first['protocol']} protocol, {first['dataset']}",
        header=("action", "frames", "mean pose\nMPJPE", *(head(g, metric) for metric in ("MPJPE", "PA-MPJPE") for g in groups)),
        rows=tuple(
            (row.label, frames(row), f"{row.numbers['mean_pose_mpjpe_mm']:.1f}", *cells(row, "mpjpe_mm", "p_mpjpe_mm"))
            for row in shown
        ),
        sections=frozenset(number for number in range(1, len(shown)) if shown[number].kind != shown[number - 1].kind),
        notes=notes(evaluations),
    )
    every_metric = Grid(
        title="Every metric, average over actions",
        header=("metric", *map(head, groups)),
        rows=tuple((name, *cells(over_actions, metric)) for metric, name in (*errors, *shares.items(), bones, symmetry)),
    )
    by_scene = Grid(
        title="By scene",
        header=("scene", "frames", *(head(group, name) for name in by_scene_metrics.values() for group in groups)),
        rows=tuple(
            (label, frames(row), *cells(row, *by_scene_metrics))
            for label, row in [*((row.name, row) for row in scenes), (over_frames.label, over_frames)]
        ),
    )
    return [by_action, every_metric, *([by_scene] if scenes else [])]


def _shares(metrics: Iterable[str]) -> dict[str, str]:
    """Return the names of the metrics in percent, by key: fewer joints first, PCK before AUC."""
    found = [key.split("_") for key in metrics if key.startswith(tuple(_SHARES))]
    ordered = sorted(found, key=lambda parts: (int(parts[1]), list(_SHARES).index(parts[0])))
    return {f"{kind}_{joints}_{unit}": f"{_SHARES[kind]}, {joints} joints, %" for kind, joints, unit in ordered}


def mean_cell(values: Iterable[float | None]) -> str:
    """Return the mean of the numbers that are not None, with ± the standard deviation if there are several; "-" for none."""
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    return f"{statistics.fmean(known):.1f}" + (f" ± {statistics.stdev(known):.1f}" if len(known) > 1 else "")


def rare_actions(name: str, parts: Split, ranking: Commonness, percents: tuple[float, ...]) -> Grid:
    """Make the table of the actions that the rarest test poses come from.

    Args:
      name: of the data set.
      parts: the split with the test sequences.
      ranking: commonness of the test poses.
      percents: a column for each; the actions are sorted by the first, largest share first.
    """
    actions = np.concatenate([[s.action] * s.num_frames for s in parts.test])
    rare = [Counter(actions[rarest(ranking.values, percent)].tolist()) for percent in percents]
    of_all = Counter(actions.tolist())
    order = sorted(of_all, key=lambda action: -rare[0][action] if rare else 0)

    def share(counts: Counter[str], action: str) -> str:
        return f"{100 * counts[action] / counts.total():.1f} %"

    return Grid(
        title=f"Where the rare test poses of {name} come from",
        header=("action", "all", *(f"rarest {percent:g} %" for percent in percents)),
        rows=tuple((action, *(share(counts, action) for counts in (of_all, *rare))) for action in order),
        notes=(f"{len(actions):,} test poses; {ranking.how}.",),
    )


def agreement(found: list[tuple[str, float, list[float]]], percents: tuple[float, ...]) -> Grid:
    """Make the table that compares other rankings with the config's; `found` is from `ranking.agreements`."""
    return Grid(
        title="Agreement of other rankings with the config's own",
        header=("ranking", "rank\ncorrelation", *(f"same among\nrarest {percent:g} %" for percent in percents)),
        rows=tuple((name, f"{correlation:.3f}", *(f"{100 * s:.1f} %" for s in same)) for name, correlation, same in found),
    )


def part_rarity(config: ConfigDict, parts: Split) -> Grid:
    """Make the table of how rare the parts of the rarest whole poses are, see `evaluation.parts`."""
    whole, by_part = occurrences(config, parts)
    found = {percent: ranks_of_parts(whole, by_part, percent) for percent in config.protocol.rare_percents}
    return Grid(
        title="Rarity of the parts of poses that are rare as a whole",
        header=("", *(f"rarest {percent:g} %" for percent in found)),
        rows=(
            *(
                (part, *(f"{medians[index]:.0f} %" for medians, _ in found.values()))
                for index, part in enumerate(names(config))
            ),
            ("only the whole is rare", *(f"{100 * share:.1f} %" for _, share in found.values())),
        ),
        notes=(
            "For each part: the median over these poses of the percentage of test poses in which the part is rarer. Last line: "
            "the percentage of these poses in which no part is among the rarest of its kind.",
        ),
    )


def notes(evaluations: list[Evaluation]) -> tuple[str, ...]:
    """Return the notes below a comparison: data, checkpoints, ranking and sizes, one line each."""
    first = evaluations[0].results
    rarity, counts = first["rarity"], first["counts"]

    def of_each(describe: Callable[[dict[str, Any]], str]) -> list[str]:
        """Describe each run's results: once if all descriptions are equal, otherwise each with its workdir."""
        texts = [describe(evaluation.results) for evaluation in evaluations]
        return (
            texts[:1] if len(set(texts)) == 1 else [f"{e.workdir}: {text}" for e, text in zip(evaluations, texts, strict=True)]
        )

    def by_group(key: str) -> str:
        return "; ".join(f"{group.name} {', '.join(str(run.results[key]) for run in group.runs)}" for group in groups)

    groups = group_seeds(evaluations)
    flips = of_each(lambda results: "on" if results["test_time_flip"] else "off")
    parameters = [f"{group.name} {group.runs[0].results['parameters']:,}" for group in groups]
    sigmas = ", ".join(f"{sigma:g}" for sigma in rarity["sigma_mm"])
    sigma = f", sigma {sigmas} mm" if rarity["ranking"] != "mean_distance" else ""
    every = "all" if rarity["reference_step"] == 1 else f"one in {rarity['reference_step']}"
    trained = of_each(lambda r: ", ".join(f"{part} {r['counts'][part]['frames']:,}" for part in ("train", "validation")))
    changed = ", ".join(f"{name}={value}" for name, value in first["changed"].items())
    return (
        *(f"{label}." for label in of_each(lambda results: "; ".join(results["labels"]))),
        *([f"Evaluated with {changed}, otherwise as trained."] if changed else []),
        f"Frames: {'; '.join(trained)}; test {counts['test']['frames']:,}; counted {counts['counted']['frames']:,}.",
        f"{first['checkpoint'].capitalize()} checkpoint, step {by_group('step')}; test-time flip {'; '.join(flips)}.",
        f"Rare: {_RANKINGS[rarity['ranking']]} against {every} {rarity['reference']} poses{sigma}; {rarity['how']}.",
        f"Parameters: {', '.join(parameters)}. Config hash: {by_group('config_hash')}.",
    )
