"""What an experiment found, beside the paper: on the console, as Markdown, CSV and figure."""

import csv
import io
import itertools
import operator
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from srnet_jax.config import schema
from srnet_jax.evaluation.evaluate import Evaluation
from srnet_jax.evaluation.tables import Grid, to_markdown
from srnet_jax.io.files import write_whole
from srnet_jax.models.graph import LCN, neighbourhoods
from srnet_jax.models.pose_lifter import SPLIT_RECOMBINE, PoseLifter, create_model, make_layer
from srnet_jax.reproduce import settings
from srnet_jax.reproduce.experiments import AVERAGE, EXPERIMENTS
from srnet_jax.reproduce.results import Results, values

_HEADS = ("ours", "paper", "difference")
_CPU_GFLOPS, _GPU_GFLOPS = 60, 10_000  # of training; the first measured on two cores (README, Speed), the second a guess
_SAMPLES = {"h36m": 3_120_000, "mocap": 86_000, "synthetic": 200_000}  # of an epoch with flips: HDM05's file for mocap


def table(results: Results) -> Grid:
    """Return ours beside the paper's numbers, where it has some, and the difference, and below which of its findings hold."""
    experiment, rows, columns = results.experiment, results.experiment.rows, results.columns
    if results.name == "1":
        return _properties()
    evaluations = results.evaluations
    cells = {
        (row.name, column.name): _cells(values(found, column), row.paper.get(column.name))
        for row, found in zip(rows, evaluations, strict=True)
        for column in columns
    }
    names = [column.name for column in columns]
    if experiment.transposed:
        heads = {row.name: _HEADS if row.paper else _HEADS[:1] for row in rows}
        lines = [(name, *(cell for row in heads for cell in cells[row, name][: len(heads[row])])) for name in names]
    else:
        heads = {name: _HEADS if any(name in row.paper for row in rows) else _HEADS[:1] for name in names}
        lines = [
            (row.name, _parameters(found), *(cell for name in names for cell in cells[row.name, name][: len(heads[name])]))
            for row, found in zip(rows, evaluations, strict=True)
        ]
    first = ("",) if experiment.transposed else ("", "parameters")
    header = (*first, *(f"{name}\n{head}" for name in heads for head in heads[name]))
    return Grid(experiment.title, header, tuple(lines), notes=(*findings(results), *_circumstances(results), *experiment.notes))


def _cells(found: Sequence[float], paper: float | None) -> tuple[str, str, str]:
    if not found:
        return "-", "-" if paper is None else f"{paper:.1f}", "-"
    mean = statistics.fmean(found)
    ours = f"{mean:.1f}" + (f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else "")
    return ours, *(("-", "-") if paper is None else (f"{paper:.1f}", f"{mean - paper:+.1f}"))


def _parameters(evaluations: Sequence[Evaluation]) -> str:
    return f"{evaluations[0].results['parameters']:,}" if evaluations else "-"


def findings(results: Results) -> list[str]:
    """Return, for each column, the gains over the baseline, ours and the paper's, and how many pairs are in its order."""
    experiment, lines = results.experiment, []
    means = [
        {c.name: statistics.fmean(found) for c in results.columns if (found := values(runs, c))} for runs in results.evaluations
    ]
    rows = list(zip(experiment.rows, means, strict=True))
    base_row, base = next(((row, ours) for row, ours in rows if row.name == experiment.baseline), (None, {}))
    for column in results.columns:
        name, sign = column.name, 1 if column.larger_is_better else -1
        if base_row is None or (experiment.transposed and not name.startswith(AVERAGE)):
            continue
        gains = []
        for row, ours in rows:
            if row is not base_row and name in ours and base.get(name):
                told = f"{row.name} {sign * 100 * (ours[name] / base[name] - 1):+.1f} %"
                known = name in row.paper and name in base_row.paper
                told += f" (paper {sign * 100 * (row.paper[name] / base_row.paper[name] - 1):+.1f} %)" if known else ""
                gains.append(told)
        if gains:
            lines.append(f"{name}, better than {experiment.baseline} by: {', '.join(gains)}.")
        known_rows = [(row.paper[name], ours[name]) for row, ours in rows if name in row.paper and name in ours]
        pairs = [(a, b) for a, b in itertools.combinations(known_rows, 2) if a[0] != b[0]]
        if pairs:
            same = sum((a[0] - b[0]) * (a[1] - b[1]) > 0 for a, b in pairs)
            lines.append(f"{name}: {same} of {len(pairs)} pairs of rows are in the paper's order.")
    return lines


def _circumstances(results: Results) -> list[str]:
    """Return what a reader must know of the runs."""
    found = [evaluation for runs in results.evaluations for evaluation in runs]
    if not found:
        return []
    first, config = found[0].results, found[0].config
    seeds = sorted({evaluation.config.seed for evaluation in found})
    datasets = sorted({evaluation.results["dataset"] for evaluation in found})
    labels = dict.fromkeys(label for e in found for label in e.results["labels"])
    if results.experiment.each_action:  # each line says what it was trained on
        parts = [label.partition(", tested ") for label in labels]
        labels = dict.fromkeys(f"tested {end}" if end else start for start, _, end in parts)
    changed = [f"{name} = {value}" for name, value in results.changes.items() if not name.endswith("data.path")]
    fields = {create_model(e.config.model).receptive_field for e in found}
    elsewhere = config.data.source != "h36m"
    frames = ", ".join(f"{part} {first['counts'][part]['frames']:,}" for part in ("train", "validation", "test"))
    return [
        f"{', '.join(datasets)}; {first['protocol']} protocol; mm (PCK and AUC: %); mean ± standard deviation over seeds "
        f"{', '.join(map(str, seeds))}; best checkpoint; "
        f"{config.train.epochs} epochs of batches of {config.train.batch_size}; test-time flip "
        f"{'on' if first['test_time_flip'] else 'off'}.",
        *(["The paper's numbers are of Human3.6M: on other data gains and orders compare, millimetres do not."] * elsewhere),
        *([f"Temporal networks see {max(fields)} frames."] if max(fields) > 1 else []),
        *([f"Changed: {', '.join(changed)}."] if changed else []),
        *([_ranking(first["rarity"])] if any(column.row[0] in ("rare", "subsets") for column in results.columns) else []),
        f"Frames{' of the first run' if len({e.config.protocol.actions_train for e in found}) > 1 else ''}: {frames}. "
        f"{'; '.join(labels)}.",
    ]


def _ranking(rarity: dict[str, Any]) -> str:
    """Return how the rare poses were found."""
    words = [rarity["ranking"].replace("_", " ")]
    if rarity["ranking"] == "occurrence":
        words.append(f"σ = {', '.join(f'{value:g}' for value in rarity['sigma_mm'])} mm")
    every = f", one in {rarity['reference_step']}" if rarity["reference_step"] > 1 else ""
    return f"Rare poses: by {', '.join(words)}, against the {rarity['reference']} poses{every}; {rarity['how']}."


def _properties() -> Grid:
    from srnet_jax.reproduce.properties import NETWORKS, PAPER, properties

    names = ("local inference", "local features", "information\npassing", "dimension\ncontrol")
    found = {name: properties(make()) for name, make in NETWORKS.items()}
    same = sum(found[name] == PAPER[name] for name in found)
    return Grid(
        EXPERIMENTS["1"].title,
        ("network", *names),
        tuple((name, *cells) for name, cells in found.items()),
        notes=(
            f"{same} of {len(found)} networks as in the paper. Six layers, random weights; GCN and LCN see one hop, GCN has no "
            "non-local layers; SRNet concatenates H = 1.",
        ),
    )


def write(results: Results, workdir: Path, about: str) -> list[Path]:
    """Write the table as Markdown and CSV, and the figure, to the workdir, and return the files.

    Args:
      results: what to write.
      workdir: made if it does not exist.
      about: what tells these files from those of other data and scales, in their names.
    """
    from srnet_jax.evaluation.charts import save
    from srnet_jax.reproduce import drawing

    workdir.mkdir(parents=True, exist_ok=True)
    stem = results.name if results.name.startswith("fig") else f"table_{results.name}"
    stem += f"-{about}" if results.experiment.rows else ""
    written = []
    if results.experiment.rows or results.name == "1":
        written.append(workdir / f"{stem}.md")
        write_whole(written[-1], to_markdown(table(results)))
    if results.experiment.rows:
        written.append(workdir / f"{stem}.csv")
        write_whole(written[-1], to_csv(results))
    if figure := drawing.draw(results):
        written.append(workdir / f"{stem}.png")
        save(written[-1], figure)
    return written


def to_csv(results: Results) -> str:
    """Return a line for each row and column: ours by seed, mean and deviation, and the paper's number."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["row", "column", "metric", "mean", "deviation", "paper", "by_seed", "runs"])
    for row, training, runs in zip(results.experiment.rows, results.trainings, results.evaluations, strict=True):
        for column in results.columns:
            found = values(runs, column)
            mean = f"{statistics.fmean(found):.10g}" if found else ""
            deviation = f"{statistics.stdev(found):.10g}" if len(found) > 1 else ""
            by_seed = " ".join(f"{value:.10g}" for value in found)
            paper = row.paper.get(column.name, "")
            lines.writerow([row.name, column.name, column.metric, mean, deviation, paper, by_seed, training.folder.name])
    return text.getvalue()


def listing(data: str, scale: str, seeds: int, changes: dict[str, Any]) -> Grid:
    """Return what can be made, what data it needs, and what it costs if nothing is trained yet."""
    lines = []
    needs = {"h36m": "--data.path", "mocap": "--data.path", "synthetic": "nothing"}[data]
    for name, experiment in EXPERIMENTS.items():
        configs = settings.configs(experiment, data, scale, seeds, changes)
        distinct = {schema.fingerprint(config): config for config in configs.values()}
        operations = sum(seeds * _operations(config, data) for config in distinct.values())
        needed = needs + (", --test_data.path" if experiment.cross_dataset and data != "synthetic" else "")
        lines.append(
            (
                name,
                experiment.title,
                needed if configs else "nothing",
                f"{len(distinct) * seeds}{' x actions' * experiment.each_action}",
                *(_duration(operations / rate / 1e9) if configs else "seconds" for rate in (_CPU_GFLOPS, _GPU_GFLOPS)),
            )
        )
    return Grid(
        f"--data={data} --scale={scale} --seeds={seeds}",
        ("--table", "what", "needs", "runs", "two CPU\ncores", "a GPU"),
        tuple(lines),
        notes=(
            f"Times are estimates: the training's arithmetic at {_CPU_GFLOPS} GFLOP/s on two cores, about what was measured "
            f"there, and {_GPU_GFLOPS / 1000:g} TFLOP/s on a GPU, which was not. Tables share runs in one workdir.",
        ),
    )


def _operations(config: Any, data: str) -> float:
    """Return about how many floating point operations a training takes."""
    model = create_model(config.model)
    samples = _SAMPLES[data] / config.data.downsample
    if data == "synthetic":
        samples = 2 * config.data.num_frames * 0.64 / config.data.downsample
    return samples * config.train.epochs * _per_sample(model)


def _per_sample(model: Any) -> float:
    """Return the operations of a sample's forward and backward products."""
    if isinstance(model, PoseLifter):
        frames, total = model.receptive_field, 0.0
        for plan in model.layer_plans():
            frames //= plan.kernel_size
            products = sum(len(group) * width for group, width in zip(plan.groups, plan.features, strict=True))
            if plan.connectivity == SPLIT_RECOMBINE:
                contexts, inputs = make_layer(model, plan).context_widths, sum(map(len, plan.groups))
                products += sum(h * (inputs - len(group)) for h, group in zip(contexts, plan.groups, strict=True))
                products += sum(map(operator.mul, contexts, plan.features)) * (model.recombine == "concat")
            total += 6.0 * frames * plan.kernel_size * products
        return total
    edges = sum(map(len, neighbourhoods(model.skeleton, model.hops, model.links))) if isinstance(model, LCN) else 2 * 17
    return 6.0 * edges * model.channels**2 * model.num_layers


def _duration(seconds: float) -> str:
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.0f} {unit}"
    return "1 min" if seconds > 30 else "seconds"
