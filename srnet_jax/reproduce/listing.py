"""List all experiments: what each is, the data that it needs, and an estimate of its cost."""

import operator
from typing import Any

from srnet_jax.config import schema
from srnet_jax.evaluation.tables import Grid
from srnet_jax.models.graph import LCN, neighbourhoods
from srnet_jax.models.pose_lifter import SPLIT_RECOMBINE, PoseLifter, create_model, make_layer
from srnet_jax.reproduce import settings
from srnet_jax.reproduce.experiments import EXPERIMENTS

_CPU_GFLOPS, _GPU_GFLOPS = 60, 10_000  # of training; measured on two cores (docs/speed.md); a guess for a GPU
_SAMPLES = {"h36m": 3_120_000, "mocap": 86_000, "synthetic": 200_000}  # of an epoch, with flips; mocap is HDM05's file


def listing(data: str, scale: str, seeds: int, changes: dict[str, Any]) -> Grid:
    """Make the table of all experiments: what each is, the data that it needs, and its cost if nothing is trained yet.

    Args:
      data: a name of `settings.DATA`.
      scale: a key of `settings.SCALES`.
      seeds: number of runs of each row.
      changes: config values by dotted field name, for all rows.
    """
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
            f"Times are estimates from the arithmetic of training, at {_CPU_GFLOPS} GFLOP/s on two cores (measured) and at "
            f"{_GPU_GFLOPS / 1000:g} TFLOP/s on a GPU (a guess). Tables share runs in one workdir.",
        ),
    )


def _operations(config: Any, data: str) -> float:
    """Estimate the number of floating point operations of a training."""
    model = create_model(config.model)
    samples = _SAMPLES[data] / config.data.downsample
    if data == "synthetic":
        samples = 2 * config.data.num_frames * 0.64 / config.data.downsample
    return samples * config.train.epochs * _per_sample(model)


def _per_sample(model: Any) -> float:
    """Return the floating point operations of the forward and backward products of one sample."""
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
