"""The training loop, in the order in which it runs."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from srnet_jax import config as config_lib
from srnet_jax import metrics, normalization
from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import Frames, TrainingWindows, stack_frames
from srnet_jax.errors import TrainingError
from srnet_jax.evaluation.predict import predict
from srnet_jax.models.pose_lifter import PoseLifter, create_model
from srnet_jax.training import processes
from srnet_jax.training.checkpoint import Checkpoints
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.feed import Feed
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.optimizer import bn_momentum_schedule, create_optimizer, learning_rate_schedule
from srnet_jax.training.parallel import Devices
from srnet_jax.training.recorder import Bystander, Recorder
from srnet_jax.training.state import TrainState, count_parameters, create_train_state
from srnet_jax.training.steps import Totals, train_block
from srnet_jax.training.workdir import check_config, describe_data, in_words, locked, record_fork, same_data, save_data

_mpjpe = jax.jit(metrics.mpjpe)
_STEPS_PER_CALL = 32  # by default, except on a CPU, where a call costs nothing beside a step
_REFRESH_S = 0.5  # how often the progress bar, and with it the check for a finite loss, waits for the device


@dataclasses.dataclass(frozen=True)
class _Run:
    """What a config makes of the code and the data."""

    model: PoseLifter
    state: TrainState
    devices: Devices
    feed: Feed
    block: Callable[..., tuple[TrainState, Totals]]
    validation: Frames
    mirrored: tuple[int, ...]
    description: tuple[str, ...]
    data: dict[str, Any]


def train_and_evaluate(config: ConfigDict, workdir: str | Path, *, fork: bool = False) -> TrainState:
    """Train a network and validate it after every epoch; continue if the workdir holds an unfinished run.

    Writes `config.json`, `metrics.jsonl` and `checkpoints/` (latest and best) to the workdir. A run that was interrupted after
    any step, in any way, ends as it would have without: weights, metrics and best checkpoint are the same to the bit.

    In several processes (see `processes.start`), all call this with the same config; process 0 alone uses the workdir.

    Args:
      config: see `configs/default.py`.
      workdir: a folder for this run alone.
      fork: go on with a run of another config, instead of refusing it.

    Returns:
      The state after the last epoch.

    Raises:
      UserError: if the config or the data are wrong, the workdir is in use or belongs to another config, or loss, gradient or
        weights are not finite (the last good checkpoint stays).
      Interrupted: on SIGTERM and Ctrl-C, after the step in flight; in several processes, if one of them has a signal, after the
        step of their next meeting (about a second).
    """
    workdir = Path(workdir)
    with processes.together():
        config_lib.validate(config)
        Checkpoints.check_path(workdir)
    processes.check_same(_same_everywhere(config))
    config = config_lib.with_absolute_path(config)
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, quiet=not processes.is_first())
    with Interruption() as interruption, contextlib.ExitStack() as stack:
        with processes.together():
            found = processes.is_first() and workdir.is_dir()
            if found:  # refuse what can be refused before the data are read
                stack.enter_context(locked(workdir))
                check_config(config, workdir, fork=fork)
            run = _prepare(config)
        processes.check_same({"data": run.data}, same=same_data, words=in_words)
        processes.check_same({"place of the data, config.train.data_on": "host" if run.feed.on_host else "device"})
        recorder: Recorder | Bystander = Bystander()
        snapshot = Snapshot(run.state)
        with processes.together():
            if processes.is_first():
                if not found:
                    workdir.mkdir(parents=True, exist_ok=True)
                    stack.enter_context(locked(workdir))
                recorder, snapshot = _open(config, workdir, run, stack, console, fork=fork)
        snapshot = dataclasses.replace(
            processes.broadcast(snapshot), batch=int(processes.from_first(partial(getattr, snapshot, "batch")))
        )
        for line in (*run.description, *_resuming(config, run, snapshot, workdir)):
            console.print(line)
        interruption.deferred = True
        stack.enter_context(processes.leaving())
        for epoch in range(int(snapshot.state.epoch), config.train.epochs):
            snapshot = _run_epoch(config, run, epoch, snapshot, recorder, interruption, console)
            if processes.any_of(interruption.requested) and epoch + 1 < config.train.epochs:
                with processes.together():
                    recorder.interrupt(snapshot)
        with processes.together():
            recorder.finish()
    return snapshot.state


def _same_everywhere(config: ConfigDict) -> dict[str, Any]:
    """Return what all processes must have in common: all but where their data lie."""
    fields = {f"config.{name}": value for name, value in config_lib.flatten(config) if not name.endswith("data.path")}
    return {**fields, "version of JAX": jax.__version__}


def _open(
    config: ConfigDict, workdir: Path, run: _Run, stack: contextlib.ExitStack, console: Console, *, fork: bool
) -> tuple[Recorder, Snapshot]:
    """Open a workdir that is locked, for as long as the stack lasts, and return what to go on from."""
    changes = check_config(config, workdir, fork=fork, data=run.data)
    train = config.train
    checkpoints = stack.enter_context(
        Checkpoints(workdir, keep_latest=train.keep_latest, keep_best=train.keep_best, say=console.print)
    )
    snapshot = checkpoints.restore_latest(run.state) or Snapshot(run.state)
    if changes:
        record_fork(config, workdir, int(snapshot.state.step), changes)
    config_lib.save(config, workdir)
    save_data(run.data, workdir)
    log = stack.enter_context(MetricLog(workdir, from_step=int(snapshot.state.step), tensorboard=train.tensorboard))
    return Recorder(checkpoints, log, train, console.print), snapshot


def _prepare(config: ConfigDict) -> _Run:
    """Load the data, and make the network and its training step."""
    model = create_model(config.model)
    dataset, parts = load_split(config)
    for name in ("train", "validation"):
        if not getattr(parts, name):
            raise TrainingError(f"{dataset.name}: no {name} sequence, expected at least one")
    mirrored = dataset.skeleton.mirrored
    training = stack_frames(parts.train, config.model.normalization)
    windows = TrainingWindows(
        training,
        receptive_field=model.receptive_field,
        causal=model.causal,
        mirrored=mirrored if config.train.flip else None,
        seed=config.seed,
    )
    validation = stack_frames(parts.validation, config.model.normalization)
    if not windows.steps(config.train.batch_size):
        raise TrainingError(f"{dataset.name}: {len(windows)} training sample, expected at least 2")
    optimizer = create_optimizer(config.train)
    state = create_train_state(model, optimizer, config.seed)
    train = config.train
    devices = Devices(config.parallel, config.num_devices)
    block = train.steps_per_call or (1 if devices.platform == "cpu" else _STEPS_PER_CALL)
    feed = Feed(windows, devices, batch_size=train.batch_size, block=block, place=train.data_on)
    block_of_steps = devices.compile(
        partial(
            train_block,
            take=feed.take,
            model=model.clone(strided=True),
            optimizer=optimizer,
            bn_momentum=bn_momentum_schedule(train),
            loss=train.loss,
            normalization=config.model.normalization,
            seed=config.seed,
        )
    )
    size = (
        f"{config.model.network.upper()}: {count_parameters(state.params):,} parameters; {dataset.name}: "
        f"{len(windows):,} training samples, {len(validation.targets):,} validation frames; "
        f"{feed.steps} steps an epoch on {devices.count} {devices.platform.upper()}"
        + (f" of {processes.count()} processes" if processes.count() > 1 else "")
    )
    description = (size, feed.description, *parts.labels, *normalization.notes(config.model.normalization))
    data = describe_data(training, validation)
    return _Run(model, state, devices, feed, block_of_steps, validation, mirrored, description, data)


def _resuming(config: ConfigDict, run: _Run, snapshot: Snapshot, workdir: Path) -> list[str]:
    epoch = int(snapshot.state.epoch)
    if not (epoch or snapshot.batch):
        return []
    within = f" and {snapshot.batch} of {run.feed.steps} steps" if snapshot.batch else ""
    return [f"resuming after epoch {epoch} of {config.train.epochs}{within} from {workdir}"]


def _run_epoch(
    config: ConfigDict,
    run: _Run,
    epoch: int,
    snapshot: Snapshot,
    recorder: Recorder | Bystander,
    interruption: Interruption,
    console: Console,
) -> Snapshot:
    """Finish an epoch, validate the network, record both, and return the snapshot to go on from."""
    poses = len(run.feed.windows) - snapshot.batch * config.train.batch_size
    started = time.perf_counter()
    state, totals = _train_epoch(config, run, epoch, snapshot, recorder, interruption, console)
    means = _means(config, totals, epoch, recorder)
    poses_per_second = poses / (time.perf_counter() - started)
    state = state.replace(epoch=state.epoch + np.int32(1))
    validation_mpjpe_mm = processes.from_first(partial(_validate, config, run.model, state, run.validation, run.mirrored))
    if not (math.isfinite(validation_mpjpe_mm) and _all_finite(state)):
        raise _diverged("the network became infinite or not a number", epoch, recorder)
    recorder.add_metrics(
        int(state.step),
        {
            "epoch": epoch + 1,
            **means,
            "validation_mpjpe_mm": validation_mpjpe_mm,
            "learning_rate": float(learning_rate_schedule(config.train)(epoch)),
        },
        only_shown={"poses_per_second": poses_per_second},
    )
    snapshot = Snapshot(state)
    recorder.save(snapshot, validation_mpjpe_mm)
    console.print(
        f"epoch {epoch + 1:3d}/{config.train.epochs}  loss {means['loss']:.5f}  "
        f"train {means['train_mpjpe_mm']:6.1f} mm  validation {validation_mpjpe_mm:6.1f} mm  "
        f"{poses_per_second:,.0f} poses/s"
    )
    return snapshot


def _train_epoch(
    config: ConfigDict,
    run: _Run,
    epoch: int,
    snapshot: Snapshot,
    recorder: Recorder | Bystander,
    interruption: Interruption,
    console: Console,
) -> tuple[TrainState, Totals]:
    """Take an epoch's remaining steps, with checkpoints between them, and return the new state and the epoch's totals."""
    state, totals = run.devices.replicate((snapshot.state, snapshot.totals))
    batch_size, count = config.train.batch_size, run.feed.steps
    first = min(snapshot.batch, count - 1)  # a fork may have shortened the epoch
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(
            "", total=count, completed=first, epoch=epoch + 1, epochs=config.train.epochs, status="compiling"
        )
        started = shown = time.perf_counter()
        meetings = processes.Meetings(first)
        for index, items, steps in run.feed.blocks(epoch, first):
            state, totals = run.block(state, totals, run.feed.data, items, steps)
            recorder.check()
            show = time.perf_counter() - shown > _REFRESH_S
            wanted = meetings.at(index, totals, stop=interruption.requested, save=recorder.due, show=show)
            if index < count and (wanted["stop"] or wanted["save"]):
                _means(config, run.devices.to_host(totals), epoch, recorder)
                reached = Snapshot(run.devices.to_host(state), index, run.devices.to_host(totals))
                if not _all_finite(reached.state):
                    raise _diverged("the network became infinite or not a number", epoch, recorder)
                if wanted["stop"]:
                    with processes.together():
                        recorder.interrupt(reached)
                recorder.save(reached)
            if wanted["show"]:
                shown = now = time.perf_counter()
                means = _means(config, run.devices.to_host(totals), epoch, recorder)
                speed = (index - first) * batch_size / (now - started)
                status = f"loss {means['loss']:.4f}  MPJPE {means['train_mpjpe_mm']:.1f} mm  {speed:,.0f} poses/s"
                progress.update(task, completed=index, status=status)
    return run.devices.to_host((state, totals))


def _means(config: ConfigDict, totals: Totals, epoch: int, recorder: Recorder | Bystander) -> dict[str, float]:
    """Return the epoch's mean loss and MPJPE so far; this waits for the device."""
    loss, error, count, norm = (float(totals[name]) for name in ("loss", "mpjpe", "count", "gradient_norm"))
    limit = config.train.max_gradient_norm
    if not math.isfinite(loss):
        raise _diverged("the loss became infinite or not a number", epoch, recorder)
    if not math.isfinite(norm):
        raise _diverged("the gradient became infinite or not a number", epoch, recorder)
    if limit and norm > limit:
        raise _diverged(f"the gradient's norm rose to {norm:.3g}, above config.train.max_gradient_norm", epoch, recorder)
    return {"loss": loss / count, "train_mpjpe_mm": 1000 * error / count}


def _diverged(what: str, epoch: int, recorder: Recorder | Bystander) -> TrainingError:
    return TrainingError(
        f"{what} in epoch {epoch + 1}; {recorder.kept}. "
        "Try a smaller --config.train.learning_rate in a new workdir, or with --fork from there on"
    )


def _all_finite(state: TrainState) -> bool:
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(state))


def _validate(config: ConfigDict, model: PoseLifter, state: TrainState, frames: Frames, mirrored: tuple[int, ...]) -> float:
    """Return the frame-weighted mean MPJPE of the validation frames, millimetres."""
    predicted = predict(
        model,
        state.variables,
        frames,
        mirrored=mirrored if config.evaluate.flip else None,
        batch_frames=config.evaluate.batch_frames,
    )
    return 1000 * float(metrics.in_blocks(_mpjpe, predicted, frames.truth).mean())
