"""Results of one or several runs as one table."""

import statistics

from rich.table import Table

from srnet_jax.config import differences
from srnet_jax.evaluation.evaluate import Evaluation, rows


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


def _cell(values: list[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return f"{statistics.mean(values):.1f} ± {statistics.stdev(values):.1f}"


def comparison(evaluations: list[Evaluation]) -> Table:
    """Return a table of MPJPE and PA-MPJPE, a column for each run beside the mean pose.

    Runs that differ only in the seed share a column: mean ± standard deviation over the seeds.
    """
    groups = group_seeds(evaluations)
    names = labels(groups)
    first = evaluations[0].results
    table = Table(title="Errors in mm", title_justify="left", caption=caption(evaluations), caption_justify="left")
    table.add_column(f"{first['protocol']} protocol\n{first['dataset']}", no_wrap=True)
    table.add_column("frames", justify="right")
    table.add_column("mean pose\nMPJPE", justify="right")
    for metric in ("MPJPE", "PA-MPJPE"):
        for name in names:
            network, *seeds = name.split("\n")
            table.add_column("\n".join([network, metric, *seeds]), justify="right")
    results = [[rows(evaluation.results) for evaluation in group] for group in groups]
    sections = {"average over actions", next((label for label in rows(first) if label.startswith("rarest")), "")}
    for label, row in rows(first).items():
        if label in sections:
            table.add_section()
        cells = [
            _cell([run[label][metric] for run in group if label in run])
            for metric in ("mpjpe_mm", "p_mpjpe_mm")
            for group in results
        ]
        table.add_row(label, f"{row['frames']:,}", f"{row['mean_pose_mpjpe_mm']:.1f}", *cells)
    return table


def caption(evaluations: list[Evaluation]) -> str:
    """Return what a reader must know to compare the numbers."""
    groups = group_seeds(evaluations)
    first = evaluations[0].results
    rarity = first["rarity"]
    flips = {"on" if evaluation.results["test_time_flip"] else "off": None for evaluation in evaluations}
    counts = [
        f"{label.splitlines()[0]} {group[0].results['parameters']:,}"
        for label, group in zip(labels(groups), groups, strict=True)
    ]
    ranking = {
        "occurrence": "lowest occurrence (Eq. 10)",
        "exponential": "lowest mean of exp(-distance / sigma)",
        "mean_distance": "largest mean distance",
    }[rarity["ranking"]]
    sigmas = ", ".join(f"{sigma:g}" for sigma in rarity["sigma_mm"])
    sigma = f", sigma {sigmas} mm" if rarity["ranking"] != "mean_distance" else ""
    runs = {
        name.splitlines()[0]: "; ".join(group[0].results["labels"]) for name, group in zip(labels(groups), groups, strict=True)
    }
    told = [*runs.values()][:1] if len(set(runs.values())) == 1 else [f"{name}: {label}" for name, label in runs.items()]
    return "\n".join(
        [
            *(f"{label}." for label in told),
            f"{first['checkpoint'].capitalize()} checkpoint; test-time flip {' and '.join(flips)}.",
            f"Rare: {ranking} against one in {rarity['reference_step']} {rarity['reference']} poses{sigma}.",
            f"Parameters: {', '.join(counts)}.",
        ]
    )
