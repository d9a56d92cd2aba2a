"""The training loop, in the order in which it runs: one run, or several of one architecture as one program."""

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import jax
import numpy as np
from ml_collections import ConfigDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from srnet_jax.config import config_files, ensembles, schema
from srnet_jax.data.protocols import split
from srnet_jax.data.sources import load_datasets
from srnet_jax.data.windows import TrainingWindows, stack_frames
from srnet_jax.errors import Interrupted, TrainingError
from srnet_jax.models.pose_lifter import Lifter, create_model
from srnet_jax.models.predict import predict
from srnet_jax.pose import metrics, normalization
from srnet_jax.pose.frames import Frames
from srnet_jax.training import processes
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.feed import Feed
from srnet_jax.training.interruption import Interruption
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.optimizer import create_optimizer, learning_rate_schedule
from srnet_jax.training.parallel import Devices
from srnet_jax.training.recorder import Bystander, Recorder
from srnet_jax.training.state import TrainState, count_parameters, create_train_state
from srnet_jax.training.steps import Hyperparameters, Totals, train_block
from srnet_jax.training.workdir import check_config, describe_data, in_words, locked, record_fork, same_data, save_data

_mpjpe = jax.jit(metrics.mpjpe)
_STEPS_PER_CALL = 32  # by default, except on a CPU, where a call costs nothing beside a step
_REFRESH_S = 0.5  # how often the progress bar, and with it the check for a finite loss, waits for the device


class _DivergedError(TrainingError):
    """A run's loss, gradient or weights are not finite."""


@dataclasses.dataclass(frozen=True)
class _Task:
    """What a run's config makes of the data.

    Attributes:
      config: of this run.
      windows: to train on.
      validation: frames.
      labels: see `protocols.Split`.
      data: see `describe_data`.
      state: before the first step.
    """

    config: ConfigDict
    windows: TrainingWindows
    validation: Frames
    labels: tuple[str, ...]
    data: dict[str, Any]
    state: TrainState


@dataclasses.dataclass(frozen=True)
class _Setup:
    """What all runs of a program share, and a task for each."""

    dataset: str
    mirrored: tuple[int, ...]
    model: Lifter
    devices: Devices
    tasks: tuple[_Task, ...]


@dataclasses.dataclass(frozen=True)
class _Program:
    """The batches of some of the runs, and the compiled step that takes them; both have these runs in order."""

    feed: Feed
    block: Callable[..., tuple[TrainState, Totals]]


@dataclasses.dataclass(eq=False)
class _Member:
    """A run, and how far it is; `failure` is why it cannot go on."""

    workdir: Path
    task: _Task
    recorder: Recorder | Bystander
    snapshot: Snapshot
    failure: TrainingError | None = None

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return int(self.snapshot.state.epoch)


def train_and_evaluate(config: ConfigDict, workdir: str | Path, *, fork: bool = False) -> TrainState:
    """Train a network and validate it after every epoch; `train_members` for a config without `ensemble`."""
    return train_members(config, workdir, fork=fork)[""]


def train_members(config: ConfigDict, workdir: str | Path, *, fork: bool = False) -> dict[str, TrainState]:
    """Train the runs that a config asks for, see `config.members`, and validate each after every epoch.

    Unfinished runs are continued. Each run writes `config.json`, `metrics.jsonl` and `checkpoints/` (latest and best) to its
    folder in the workdir, or to the workdir itself if it is the only one. A run that was interrupted after any step, in any
    way, ends as it would have without: weights, metrics and best checkpoint are the same to the bit. A run that diverges
    leaves the others; it is told at the end.

    In several processes (see `processes.start`), all call this with the same config; process 0 alone uses the workdir.

    Args:
      config: see `configs/default.py`.
      workdir: a folder for this run or ensemble alone.
      fork: go on with runs of another config, instead of refusing them.

    Returns:
      The state after the last epoch, for each run by name.

    Raises:
      UserError: if the config or the data are wrong, the workdir is in use or belongs to another config, or loss, gradient or
        weights are not finite (the last good checkpoint stays).
      Interrupted: on SIGTERM and Ctrl-C, after the step in flight; in several processes, if one of them has a signal, after the
        step of their next meeting (about a second).
    """
    workdir = Path(workdir)
    with processes.together():
        schema.validate(config)
        configs = {name: config_files.with_absolute_paths(member) for name, member in ensembles.members(config).items()}
        for name in configs:
            Checkpoints.check_path(workdir / name)
        if processes.is_first():
            _check_kind(workdir, ensemble="" not in configs)
    processes.check_same(_same_everywhere(config))
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False, quiet=not processes.is_first())
    with Interruption() as interruption, contextlib.ExitStack() as stack:
        with processes.together():
            found = {name for name in configs if processes.is_first() and (workdir / name).is_dir()}
            for name in found:  # refuse what can be refused before the data are read
                stack.enter_context(locked(workdir / name))
                check_config(configs[name], workdir / name, fork=fork)
            setup = _prepare(list(configs.values()))
        data = {f"data {name}".strip(): task.data for name, task in zip(configs, setup.tasks, strict=True)}
        processes.check_same(data, same=same_data, words=in_words)
        members = [
            _Member(workdir / name, task, Bystander(), Snapshot(task.state))
            for name, task in zip(configs, setup.tasks, strict=True)
        ]
        with processes.together():
            if processes.is_first():
                for name, member in zip(configs, members, strict=True):
                    if name not in found:
                        member.workdir.mkdir(parents=True, exist_ok=True)
                        stack.enter_context(locked(member.workdir))
                    _open(member, fork, console, stack)
                if "" not in configs:
                    config_files.save(config_files.with_absolute_paths(config), workdir, config_files.ENSEMBLE_FILE)
        for member in members:
            batch = int(processes.from_first(partial(getattr, member.snapshot, "batch")))
            member.snapshot = dataclasses.replace(processes.broadcast(member.snapshot), batch=batch)
        unfinished = [member for member in members if member.epoch < config.train.epochs]
        with processes.together():
            program = _compile(setup, [member.task for member in unfinished or members])
        place = "host" if program.feed.on_host else "device"
        processes.check_same({"place of the data, config.train.data_on": place})
        for line in (*_description(setup, program), *_resuming(config, members)):
            console.print(line)
        interruption.deferred = True
        stack.enter_context(processes.leaving())
        for epoch in range(min((member.epoch for member in unfinished), default=config.train.epochs), config.train.epochs):
            _run_epoch(config, setup, program, epoch, unfinished, interruption, console)
            if processes.any_of(interruption.requested) and epoch + 1 < config.train.epochs:
                _interrupt([(member, member.snapshot) for member in unfinished])
        with processes.together():
            for member in members:
                if member.failure is None:
                    member.recorder.finish()
    failures = [f"{member.workdir.name}: {member.failure}" for member in members if member.failure]
    if failures:
        raise TrainingError(f"{len(failures)} of {len(members)} runs ended early; {'; '.join(failures)}")
    return {name: member.snapshot.state for name, member in zip(configs, members, strict=True)}


def _check_kind(workdir: Path, *, ensemble: bool) -> None:
    """Refuse an ensemble in a run's workdir, and a run in an ensemble's."""
    other = config_files.CONFIG_FILE if ensemble else config_files.ENSEMBLE_FILE
    if (workdir / other).exists():
        held, given = ("a run", "an ensemble") if ensemble else ("an ensemble", "a run")
        raise TrainingError(f"{workdir}: holds {held} ({other}), found a config of {given}; expected another workdir")


def _prepare(configs: Sequence[ConfigDict]) -> _Setup:
    """Load the data and make the networks of runs that differ only in what `config.members` varies."""
    config = configs[0]
    model = create_model(config.model)
    devices = Devices(config.parallel, config.num_devices)
    dataset, other = load_datasets(config)
    optimizer = create_optimizer()
    frames: dict[tuple[str, ...], tuple[Frames, Frames, tuple[str, ...]]] = {}
    tasks = []
    for own in configs:
        trained = own.protocol.actions_train
        if trained not in frames:
            parts = split(dataset, own.protocol, other)
            for name in ("train", "validation"):
                if not getattr(parts, name):
                    raise TrainingError(f"{dataset.name}: no {name} sequence, expected at least one")
            training, validation = (stack_frames(part, config.model.normalization) for part in (parts.train, parts.validation))
            frames[trained] = training, validation, parts.labels
        training, validation, labels = frames[trained]
        windows = TrainingWindows(
            training,
            receptive_field=model.receptive_field,
            causal=model.causal,
            mirrored=dataset.skeleton.mirrored if config.train.flip else None,
            seed=own.seed,
        )
        if not windows.steps(config.train.batch_size):
            raise TrainingError(f"{dataset.name}: {len(windows)} training sample, expected at least 2")
        state = create_train_state(model, optimizer, own.seed)
        tasks.append(_Task(own, windows, validation, labels, describe_data(training, validation) | {"fps": dataset.fps}, state))
    return _Setup(dataset.name, dataset.skeleton.mirrored, model, devices, tuple(tasks))


def _same_everywhere(config: ConfigDict) -> dict[str, Any]:
    """Return what all processes must have in common: all but where their data lie."""
    fields = {f"config.{name}": value for name, value in schema.flatten(config) if not name.endswith("data.path")}
    return {**fields, "version of JAX": jax.__version__}


def _open(member: _Member, fork: bool, console: Console, stack: contextlib.ExitStack) -> None:
    """Open a run's workdir, which is locked, for as long as the stack lasts, and find where the run goes on."""
    folder, task, config, train = member.workdir, member.task, member.task.config, member.task.config.train
    changes = check_config(config, folder, fork=fork, data=task.data)
    checkpoints = stack.enter_context(
        Checkpoints(folder, keep_latest=train.keep_latest, keep_best=train.keep_best, say=console.print)
    )
    snapshot = checkpoints.restore_latest(task.state) or Snapshot(task.state)
    if changes:
        record_fork(config, folder, int(snapshot.state.step), changes)
    config_files.save(config, folder)
    save_data(task.data, folder)
    log = stack.enter_context(MetricLog(folder, from_step=int(snapshot.state.step), tensorboard=train.tensorboard))
    member.recorder, member.snapshot = Recorder(checkpoints, log, train, console.print), snapshot


def _compile(setup: _Setup, tasks: Sequence[_Task]) -> _Program:
    """Make the training step of some runs, all of which it takes at once."""
    config, train, devices = tasks[0].config, tasks[0].config.train, setup.devices
    block = train.steps_per_call or (1 if devices.platform == "cpu" else _STEPS_PER_CALL)
    windows = [task.windows for task in tasks]
    feed = Feed(windows, devices, batch_size=train.batch_size, block=block, place=train.data_on)
    compiled = devices.compile(
        partial(
            train_block,
            take=feed.take,
            model=setup.model.clone(strided=True),
            optimizer=create_optimizer(),
            loss=train.loss,
            normalization=config.model.normalization,
            camera_roll=(train.camera_roll_share, train.camera_roll_degrees),
        ),
        stacked=len(tasks) > 1,
    )
    return _Program(feed, compiled)


def _stack(trees: Sequence[Any]) -> Any:
    """Give what belongs to several runs a first axis; what belongs to one stays as it is."""
    return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _unstack(tree: Any, count: int) -> list[Any]:
    return [tree] if count == 1 else [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(count)]


def _description(setup: _Setup, program: _Program) -> list[str]:
    """Return what is printed before training."""
    tasks, feed = setup.tasks, program.feed
    config = tasks[0].config
    several = (
        [f"{len(tasks)} runs, {len(feed.windows)} of them unfinished and trained as one program"] if len(tasks) > 1 else []
    )
    size = (
        f"{config.model.network.upper()}: {count_parameters(tasks[0].state.params):,} parameters; {setup.dataset}: "
        f"{_range([len(task.windows) for task in tasks])} training samples, "
        f"{_range([len(task.validation.targets) for task in tasks])} validation frames; "
        f"{_range(feed.steps)} steps an epoch on {setup.devices.count} {setup.devices.platform.upper()}"
        + (f" of {processes.count()} processes" if processes.count() > 1 else "")
    )
    labels = [label for label in tasks[0].labels if all(label in task.labels for task in tasks)]
    return [*several, size, feed.description, *labels, *normalization.notes(config.model.normalization)]


def _range(values: Sequence[float], form: str = ",") -> str:
    """Return the smallest and the largest value in words."""
    low, high = f"{min(values):{form}}", f"{max(values):{form}}"
    return low if low == high else f"{low} to {high}"


def _resuming(config: ConfigDict, members: Sequence[_Member]) -> list[str]:
    lines = []
    for member in members:
        epoch, batch = member.epoch, member.snapshot.batch
        if epoch or batch:
            within = f" and {batch} of {member.task.windows.steps(config.train.batch_size)} steps" if batch else ""
            lines.append(f"resuming after epoch {epoch} of {config.train.epochs}{within} from {member.workdir}")
    return lines


def _run_epoch(
    config: ConfigDict,
    setup: _Setup,
    program: _Program,
    epoch: int,
    members: Sequence[_Member],
    interruption: Interruption,
    console: Console,
) -> None:
    """Finish an epoch of the runs that have come to it: train and validate the networks, record both, and go on from there."""
    losses, errors, validations, speed = [], [], [], 0.0

    def end(member: _Member, state: TrainState, totals: Totals, poses_per_second: float) -> None:
        nonlocal speed
        means = _means(member, totals)
        validations.append(_finish_epoch(setup, member, state, means, poses_per_second))
        losses.append(means["loss"])
        errors.append(means["train_mpjpe_mm"])
        speed = poses_per_second

    _train_epoch(config, program, setup.devices, epoch, members, end, interruption, console)
    if losses:
        console.print(
            f"epoch {epoch + 1:3d}/{config.train.epochs}  loss {_range(losses, '.5f')}  train {_range(errors, '6.1f')} mm  "
            f"validation {_range(validations, '6.1f')} mm  {speed:,.0f} poses/s"
        )


def _at(epoch: int, members: Sequence[_Member]) -> list[_Member]:
    """Return the runs that take part in an epoch: others are ahead of it, or have failed."""
    return [member for member in members if member.failure is None and member.epoch == epoch]


@contextlib.contextmanager
def _dropping(member: _Member, members: Sequence[_Member], console: Console) -> Iterator[None]:
    """Let the other runs go on without one that diverges."""
    try:
        yield
    except _DivergedError as error:
        if len(members) == 1:
            raise
        member.failure = error
        console.print(f"warning: {member.workdir.name}: {error}; the others go on")


def _finish_epoch(setup: _Setup, member: _Member, state: TrainState, means: dict[str, float], poses_per_second: float) -> float:
    """Validate a run after an epoch, record it, and return its validation error in millimetres."""
    config, recorder, epoch = member.task.config, member.recorder, member.epoch
    state = state.replace(epoch=state.epoch + np.int32(1))
    validation_mpjpe_mm = processes.from_first(partial(_validate, config, setup, state, member.task.validation))
    if not (math.isfinite(validation_mpjpe_mm) and _all_finite(state)):
        raise _diverged("the network became infinite or not a number", member)
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
    member.snapshot = Snapshot(state)
    recorder.save(member.snapshot, validation_mpjpe_mm)
    return validation_mpjpe_mm


def _train_epoch(
    config: ConfigDict,
    program: _Program,
    devices: Devices,
    epoch: int,
    members: Sequence[_Member],
    end: Callable[[_Member, TrainState, Totals, float], None],
    interruption: Interruption,
    console: Console,
) -> None:
    """Take an epoch's remaining steps, with checkpoints between them.

    `end` is called for each run when it has taken its last step, with its new state, the epoch's totals and the poses that
    all runs were trained on in a second.
    """
    feed, batch_size = program.feed, config.train.batch_size
    state, totals = devices.replicate(_stack([(member.snapshot.state, member.snapshot.totals) for member in members]))
    configs = [member.task.config for member in members]
    hyperparameters = devices.replicate(_stack([Hyperparameters.at(epoch, own.seed, own.train) for own in configs]))
    first = [  # a fork may have shortened the epoch
        min(member.snapshot.batch, steps - 1) if member in _at(epoch, members) else steps
        for member, steps in zip(members, feed.steps, strict=True)
    ]

    def poses(index: int) -> int:
        ends = [min(index * batch_size, len(windows)) for windows in feed.windows]
        return sum(max(end - begin * batch_size, 0) for begin, end in zip(first, ends, strict=True))

    def of_each(tree: Any, index: int) -> list[tuple[_Member, Any, bool]]:
        """Return the runs that have taken a step of this epoch, their part, and whether it was their last."""
        parts = zip(members, _unstack(devices.to_host(tree), len(members)), first, feed.steps, strict=True)
        return [(m, own, index >= steps) for m, own, begin, steps in parts if m in _at(epoch, members) and index > begin]

    def end_of_epoch(index: int, poses_per_second: float) -> None:
        for member, (own_state, own_totals), last in of_each((state, totals), index):
            if last:
                with _dropping(member, members, console):
                    end(member, own_state, own_totals, poses_per_second)

    def save(index: int, stop: bool) -> None:
        reached = []
        for member, (own_state, own_totals), _ in of_each((state, totals), index):
            with _dropping(member, members, console):
                _means(member, own_totals)
                if not _all_finite(own_state):
                    raise _diverged("the network became infinite or not a number", member)
                reached.append((member, Snapshot(own_state, index, own_totals)))
        if stop:
            moved = [member for member, _ in reached]
            _interrupt([*reached, *((member, member.snapshot) for member in members if member not in moved)])
        for member, snapshot in reached:
            member.recorder.save(snapshot)

    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(
            "", total=max(feed.steps), completed=min(first), epoch=epoch + 1, epochs=config.train.epochs, status="compiling"
        )
        started = shown = time.perf_counter()
        meetings = processes.Meetings(min(first))
        for index, items, count in feed.blocks(epoch, first):
            state, totals = program.block(state, totals, hyperparameters, feed.data, items, count)
            for member in members:
                member.recorder.check()
            going = zip(members, feed.steps, strict=True)
            if any(steps <= index for member, steps in going if member in _at(epoch, members)):
                jax.block_until_ready(state)
                end_of_epoch(index, poses(index) / (time.perf_counter() - started))
            going_on = _at(epoch, members)
            if not going_on:
                continue
            show, due = time.perf_counter() - shown > _REFRESH_S, any(member.recorder.due for member in going_on)
            wanted = meetings.at(index, totals, stop=interruption.requested, save=due, show=show)
            if wanted["stop"] or wanted["save"]:
                save(index, wanted["stop"])
            if wanted["show"]:
                shown = now = time.perf_counter()
                means = []
                for member, own_totals, _ in of_each(totals, index):
                    with _dropping(member, members, console):
                        means.append(_means(member, own_totals))
                losses, errors = ([m[name] for m in means] or [math.nan] for name in ("loss", "train_mpjpe_mm"))
                speed = f"{poses(index) / (now - started):,.0f} poses/s"
                status = f"loss {_range(losses, '.4f')}  MPJPE {_range(errors, '.1f')} mm  {speed}"
                progress.update(task, completed=index, status=status)


def _interrupt(reached: Sequence[tuple[_Member, Snapshot]]) -> NoReturn:
    """End the runs, each with a checkpoint if there is space for it."""
    going = [(member, snapshot) for member, snapshot in reached if member.failure is None]
    step = _range([int(snapshot.state.step) for _, snapshot in going] or [0], "")
    with processes.together():
        failures = [failure for member, snapshot in going if (failure := member.recorder.save_last(snapshot))]
        if failures:
            raise Interrupted(f"stopped after step {step}, which was not saved: {failures[0]}")
        if processes.is_first():
            raise Interrupted(f"stopped after step {step}; run the same command again to continue")
    raise AssertionError("process 0 has raised in all")


def _means(member: _Member, totals: Totals) -> dict[str, float]:
    """Return a run's mean loss and MPJPE of the epoch so far; this waits for the device."""
    loss, error, count, norm = (float(totals[name]) for name in ("loss", "mpjpe", "count", "gradient_norm"))
    limit = member.task.config.train.max_gradient_norm
    if not math.isfinite(loss):
        raise _diverged("the loss became infinite or not a number", member)
    if not math.isfinite(norm):
        raise _diverged("the gradient became infinite or not a number", member)
    if limit and norm > limit:
        raise _diverged(f"the gradient's norm rose to {norm:.3g}, above config.train.max_gradient_norm", member)
    return {"loss": loss / count, "train_mpjpe_mm": 1000 * error / count}


def _diverged(what: str, member: _Member) -> _DivergedError:
    return _DivergedError(
        f"{what} in epoch {member.epoch + 1}; {member.recorder.kept}. "
        "Try a smaller --config.train.learning_rate in a new workdir, or with --fork from there on"
    )


def _all_finite(state: TrainState) -> bool:
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in jax.tree.leaves(state))


def _validate(config: ConfigDict, setup: _Setup, state: TrainState, frames: Frames) -> float:
    """Return the frame-weighted mean MPJPE of the validation frames, millimetres."""
    predicted = predict(
        setup.model,
        state.variables,
        frames,
        mirrored=setup.mirrored if config.evaluate.flip else None,
        batch_frames=config.evaluate.batch_frames,
    )
    return 1000 * float(metrics.in_blocks(_mpjpe, predicted, frames.truth).mean())
