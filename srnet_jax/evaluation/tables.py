"""Results of one or several runs as tables: on the console, and as Markdown."""

import dataclasses
import statistics
from collections import Counter
from collections.abc import Callable

import numpy as np
from rich.table import Table
from rich.text import Text

from srnet_jax.config.schema import differences
from srnet_jax.data.protocols import Split
from srnet_jax.evaluation.evaluate import Evaluation, rows
from srnet_jax.pose.rarity import Commonness, rarest

_METRICS = {  # key of the results: what tables call it
    "mpjpe_mm": "MPJPE, mm",
    "p_mpjpe_mm": "PA-MPJPE, mm",
    "n_mpjpe_mm": "N-MPJPE, mm",
    "mpjve_mm": "MPJVE, mm a frame",
    "pck_14_percent": "PCK 150 mm, 14 joints, %",
    "auc_14_percent": "AUC, 14 joints, %",
    "pck_17_percent": "PCK 150 mm, 17 joints, %",
    "auc_17_percent": "AUC, 17 joints, %",
    "bone_length_mm": "bone length error, mm",
    "symmetry_mm": "left/right bone asymmetry, mm",
}
_BY_SCENE = ("pck_14_percent", "auc_14_percent", "pck_17_percent", "auc_17_percent", "mpjpe_mm")
_RANKINGS = {
    "occurrence": "lowest occurrence (Eq. 10)",
    "exponential": "lowest mean of exp(-distance / sigma)",
    "mean_distance": "largest mean distance",
}


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table as text.

    Attributes:
      title: one line above it.
      header: a cell a column, the first names the rows; a newline breaks a cell.
      rows: the cells of each row.
      sections: rows, by number, that begin a new section.
      notes: lines below it.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    sections: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()


def to_rich(grid: Grid) -> Table:
    """Return a table for the console."""
    caption = Text("\n".join(grid.notes)) if grid.notes else None  # Text: names may hold what rich takes for markup
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
    """Return a table for a README."""

    def line(cells: tuple[str, ...]) -> str:
        return "| " + " | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in cells) + " |"

    dashes = line(("---", *["---:"] * (len(grid.header) - 1)))
    table = "\n".join([line(grid.header), dashes, *map(line, grid.rows)])
    return "\n\n".join([f"**{grid.title}**", table, *grid.notes]) + "\n"


def group_seeds(evaluations: list[Evaluation]) -> list[list[Evaluation]]:
    """Put together the runs whose configs differ in the seed and in nothing else."""
    groups: list[list[Evaluation]] = []
    for evaluation in evaluations:
        for group in groups:
            if all(differences(other.config, evaluation.config) == ["seed"] for other in group):
                group.append(evaluation)
                break
        else:
            groups.append([evaluation])
    return groups


def labels(groups: list[list[Evaluation]]) -> list[str]:
    """Name each group after its network, with its first workdir where networks recur, and its number of seeds."""
    names = [group[0].config.model.network.upper() for group in groups]
    return [
        (name if names.count(name) == 1 else f"{name} {group[0].workdir}") + (f"\n{len(group)} seeds" if len(group) > 1 else "")
        for name, group in zip(names, groups, strict=True)
    ]


def comparison(evaluations: list[Evaluation]) -> list[Grid]:
    """Return the tables of runs on one test set, with a column for each run.

    The first has MPJPE and PA-MPJPE by action, averages and rare poses, beside the mean pose; the second every metric,
    averaged over actions; the third, for data that have scenes, PCK and AUC by scene. Runs that differ only in the seed
    share a column: mean ± standard deviation over the seeds.
    """
    groups = group_seeds(evaluations)
    names = labels(groups)
    first = evaluations[0].results
    of_first = rows(first)
    scenes = [label for label in of_first if label.startswith("scene: ")]
    shown = [label for label in of_first if label not in scenes]
    rare = [number for number, label in enumerate(shown) if label.startswith("rarest")]
    others = [number for number, label in enumerate(shown) if label in first["subsets"]]

    def cells(label: str, *keys: str) -> tuple[str, ...]:
        return tuple(_cell([rows(e.results).get(label, {}).get(key) for e in group]) for key in keys for group in groups)

    def frames(label: str) -> str:
        return f"{of_first[label]['frames']:,}"

    by_action = Grid(
        title=f"Errors in mm: {first['protocol']} protocol, {first['dataset']}",
        header=("action", "frames", "mean pose\nMPJPE", *(_headed(n, m) for m in ("MPJPE", "PA-MPJPE") for n in names)),
        rows=tuple(
            (label, frames(label), f"{of_first[label]['mean_pose_mpjpe_mm']:.1f}", *cells(label, "mpjpe_mm", "p_mpjpe_mm"))
            for label in shown
        ),
        sections=frozenset([shown.index("average over actions"), *rare[:1], *others[:1]]),
        notes=notes(evaluations),
    )
    every_metric = Grid(
        title="Every metric, average over actions",
        header=("metric", *names),
        rows=tuple((name, *cells("average over actions", key)) for key, name in _METRICS.items()),
    )
    by_scene = Grid(
        title="By scene",
        header=("scene", "frames", *(_headed(name, _METRICS[key]) for key in _BY_SCENE for name in names)),
        rows=tuple(
            (label.removeprefix("scene: "), frames(label), *cells(label, *_BY_SCENE))
            for label in (*scenes, "average over frames")
        ),
    )
    return [by_action, every_metric, *([by_scene] if scenes else [])]


def rare_actions(name: str, parts: Split, ranking: Commonness, percents: tuple[float, ...]) -> Grid:
    """Return which actions the rarest test poses come from, most of the first percentage first."""
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
    """Return how far other rankings agree with the config's, as `ranking.agreements` found."""
    return Grid(
        title="Agreement of other rankings with the config's own",
        header=("ranking", "rank\ncorrelation", *(f"same among\nrarest {percent:g} %" for percent in percents)),
        rows=tuple((name, f"{correlation:.3f}", *(f"{100 * s:.1f} %" for s in same)) for name, correlation, same in found),
    )


def _headed(name: str, metric: str) -> str:
    network, *seeds = name.split("\n")
    return "\n".join([network, metric, *seeds])


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    if len(known) == 1:
        return f"{known[0]:.1f}"
    return f"{statistics.mean(known):.1f} ± {statistics.stdev(known):.1f}"


def notes(evaluations: list[Evaluation]) -> tuple[str, ...]:
    """Return what a reader must know to compare the numbers, in lines."""
    groups = group_seeds(evaluations)
    names = [label.splitlines()[0] for label in labels(groups)]
    first = evaluations[0].results
    rarity, counts = first["rarity"], first["counts"]
    flips = _of_each(evaluations, lambda e: "on" if e.results["test_time_flip"] else "off")
    parameters = [f"{name} {group[0].results['parameters']:,}" for name, group in zip(names, groups, strict=True)]
    steps = [f"{name} {', '.join(str(e.results['step']) for e in group)}" for name, group in zip(names, groups, strict=True)]
    sigmas = ", ".join(f"{sigma:g}" for sigma in rarity["sigma_mm"])
    sigma = f", sigma {sigmas} mm" if rarity["ranking"] != "mean_distance" else ""
    every = "all" if rarity["reference_step"] == 1 else f"one in {rarity['reference_step']}"
    told = _of_each(evaluations, lambda e: "; ".join(e.results["labels"]))
    trained = _of_each(
        evaluations, lambda e: ", ".join(f"{part} {e.results['counts'][part]['frames']:,}" for part in ("train", "validation"))
    )
    hashes = [f"{name} {', '.join(e.results['config_hash'] for e in group)}" for name, group in zip(names, groups, strict=True)]
    changed = ", ".join(f"{name}={value}" for name, value in first["changed"].items())
    return (
        *(f"{label}." for label in told),
        *([f"Evaluated with {changed}, otherwise as trained."] if changed else []),
        f"Frames: {'; '.join(trained)}; test {counts['test']['frames']:,}; counted {counts['counted']['frames']:,}.",
        f"{first['checkpoint'].capitalize()} checkpoint, step {'; '.join(steps)}; test-time flip {'; '.join(flips)}.",
        f"Rare: {_RANKINGS[rarity['ranking']]} against {every} {rarity['reference']} poses{sigma}; {rarity['how']}.",
        f"Parameters: {', '.join(parameters)}. Config hash: {'; '.join(hashes)}.",
    )


def _of_each(evaluations: list[Evaluation], tell: Callable[[Evaluation], str]) -> list[str]:
    """Return what is told of the runs: once if it is the same of all, else with their workdirs."""
    told = [tell(evaluation) for evaluation in evaluations]
    if len(set(told)) == 1:
        return told[:1]
    return [f"{evaluation.workdir}: {text}" for evaluation, text in zip(evaluations, told, strict=True)]
