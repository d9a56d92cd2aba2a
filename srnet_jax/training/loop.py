"""The training loop, for one run or for several runs of one architecture that train as one program."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
from rich.console import Console

from srnet_jax.config import config_files, ensembles, joint_sets, schema
from srnet_jax.io.files import absolute
from srnet_jax.models.pose_lifter import count_parameters
from srnet_jax.pose import normalization
from srnet_jax.training import processes, records
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.progress_bar import ProgressBar
from srnet_jax.training.run_directory import check_workdir, save_ensemble
from srnet_jax.training.runs import Run, Runs, as_range, ended_early, open_runs, summary
from srnet_jax.training.state import TrainState
from srnet_jax.training.trainer import Trainer, TrainingData, load_training_data


def train_and_evaluate(config: ConfigDict, workdir: str | Path, *, fork: bool = False) -> TrainState:
    """Train a network and validate it after every epoch; like `train_members`, for a config without `ensemble`."""
    return train_members(config, workdir, fork=fork)[""]


def train_members(config: ConfigDict, workdir: str | Path, *, fork: bool = False) -> dict[str, TrainState]:
    """Train the runs that a config asks for (see `ensembles.members`), and validate each run after every epoch.

    Unfinished runs are continued. Each run writes `config.json`, `metrics.jsonl` and `checkpoints/` (latest and best) to its
    folder in the workdir, or to the workdir itself if it is the only run. An interruption after any step, of any kind, does not
    change the result: weights, metrics and best checkpoint are the same to the bit. A run that diverges is excluded, and
    reported at the end.

    In several processes (see `processes.start`), all call this with the same config; only process 0 uses the workdir.

    Args:
      config: see `srnet_jax/config/schema.py`.
      workdir: a folder that only this run or ensemble uses.
      fork: whether to continue runs of another config instead of rejecting them.

    Returns:
      The state of each run after the last epoch, by name.

    Raises:
      UserError: if the config or the data are wrong, the workdir is in use or belongs to another config, or loss, gradient or
        weights are not finite (the last good checkpoint is kept).
      Interrupted: on SIGTERM and Ctrl-C, after the current step; in several processes after a step that all agree on.
    """
    config = joint_sets.with_files_read(config)
    schema.validate(config)
    config, workdir = config_files.with_absolute_paths(config), absolute(workdir)
    members = ensembles.members(config)
    for name, member in members.items():
        check_workdir(workdir / name, member, ensemble="" not in members, fork=fork)
    with Interruption() as interruption:
        data = load_training_data(list(members.values()))
        return fit(config, workdir, data, interruption, fork=fork)


def fit(
    config: ConfigDict,
    workdir: Path,
    data: Sequence[TrainingData],
    interruption: Interruption,
    *,
    fork: bool = False,
    make_trainer: type[Trainer] = Trainer,
) -> dict[str, TrainState]:
    """Train on data that are already loaded; results and errors are those of `train_members`.

    Args:
      config: a valid config with absolute paths.
      workdir: an absolute path.
      data: the data of each run.
      interruption: an open context.
      fork: see `train_members`.
      make_trainer: class of the trainer; tests replace it.
    """
    members = ensembles.members(config)
    configs, folders = list(members.values()), [workdir / name for name in members]
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    trainer = make_trainer(configs, data)
    processes.check_same(*_agreement(config, data))
    with open_runs(folders, configs, data, trainer.init(), fork=fork, say=console.print) as all_runs:
        if "" not in members:
            save_ensemble(config, workdir)
        epochs = config.train.epochs
        unfinished = [run for run in all_runs if run.epoch < epochs]
        if 0 < len(unfinished) < len(all_runs):
            trainer = make_trainer([run.config for run in unfinished], [run.data for run in unfinished])
        processes.check_same({"place of the data, config.train.data_on": trainer.feed.on_host})
        for line in (*_description(trainer, all_runs, len(unfinished)), *_resuming(unfinished)):
            console.print(line)
        if unfinished:
            console.print("compiling the training step")
        runs = Runs(unfinished, console.print)
        interruption.deferred = True
        for epoch in range(min((run.epoch for run in unfinished), default=epochs), epochs):
            records: list[dict[str, float]] = []
            with ProgressBar(console, trainer, runs.snapshots, epoch) as bar:
                for progress in trainer.steps(runs.snapshots, epoch, runs.failed):
                    records += runs.finish_epoch(progress, trainer.validate)
                    runs.checkpoint_if_due(progress)
                    if (stop := interruption.stop()) and not progress.ends_epoch:
                        runs.stop(progress)
                    if bar.due:
                        bar.show(progress, runs.means(progress))
            if records:
                console.print(summary(records, epochs))
            if all(runs.failed):
                break
            if stop and epoch + 1 < epochs:
                runs.stop(progress)
        _finish(all_runs, console)
    return {name: run.snapshot.state for name, run in zip(members, all_runs, strict=True)}


def _agreement(config: ConfigDict, data: Sequence[TrainingData]) -> tuple[Any, ...]:
    """Return what must be equal in all processes, for `processes.check_same`: the config without paths, and the data."""
    fields = {f"config.{name}": value for name, value in schema.flatten(config) if not name.endswith("data.path")}
    known = [records.describe_data(own.training, own.validation) for own in data]
    counts = {name: [own[name] for own in known] for name in ("training_frames", "validation_frames")}
    return {**fields, **counts, "version of JAX": jax.__version__}, *(mean for own in known for mean in own["means"])


def _description(trainer: Trainer, all_runs: Sequence[Run], unfinished: int) -> list[str]:
    """Return the lines that are printed before training; `unfinished` is the number of unfinished runs."""
    config, data = trainer.configs[0], trainer.data[0]
    batch_size, devices = config.train.batch_size, trainer.devices
    several = [f"{len(all_runs)} runs, {unfinished} of them unfinished and trained as one program"] if len(all_runs) > 1 else []
    size = (
        f"{config.model.network.upper()}: {count_parameters(all_runs[0].snapshot.state.params):,} parameters; {data.dataset}: "
        f"{as_range([len(windows) for windows in trainer.windows])} training samples, "
        f"{as_range([len(own.validation.targets) for own in trainer.data])} validation frames; "
        f"{as_range(trainer.feed.steps)} steps an epoch on {devices.count} {devices.platform.upper()}"
        + (f" of {jax.process_count()} processes" if jax.process_count() > 1 else "")
    )
    smallest = min(map(len, trainer.windows))
    small = (
        [f"warning: config.train.batch_size is {batch_size:,}, more than the {smallest:,} training samples: one step an epoch"]
        if smallest < batch_size
        else []
    )
    labels = [label for label in data.labels if all(label in own.labels for own in trainer.data)]
    return [*several, size, trainer.feed.description, *small, *labels, *normalization.notes(config.model.normalization)]


def _resuming(runs: Sequence[Run]) -> Iterator[str]:
    """Yield a line about each run that is continued."""
    for run in runs:
        batch, train = run.snapshot.batch, run.config.train
        if run.epoch or batch:
            within = f" and {batch} steps" if batch else ""
            yield f"resuming after epoch {run.epoch} of {train.epochs}{within} from {run.directory.path}"


def _finish(runs: Sequence[Run], console: Console) -> None:
    """Wait for the last checkpoints, and warn if a network is worse than the mean pose.

    Raises:
      TrainingError: if a checkpoint could not be written, or a run ended early.
    """
    for run in runs:
        if run.failure is None:
            run.directory.finish(run.snapshot)
            if math.isfinite(run.validation_mpjpe_mm) and run.validation_mpjpe_mm > (mean_pose_mm := run.data.mean_pose_mm):
                console.print(
                    f"warning: {run.directory.path.name}: validation error {run.validation_mpjpe_mm:.1f} mm, more than the "
                    f"{mean_pose_mm:.1f} mm of the mean training pose as a constant prediction"
                )
    if any(run.failure for run in runs):
        raise ended_early(runs)
