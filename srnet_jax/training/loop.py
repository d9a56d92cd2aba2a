"""The training loop, in the order in which it runs."""

import math
import time
from pathlib import Path

import jax
import jax.numpy as jnp
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
from srnet_jax.training.checkpoint import Checkpoints
from srnet_jax.training.metric_log import MetricLog
from srnet_jax.training.optimizer import bn_momentum_schedule, create_optimizer, learning_rate_schedule
from srnet_jax.training.state import TrainState, count_parameters, create_train_state
from srnet_jax.training.steps import Totals, compile_train_step, zero_totals

_FREE_TO_CHANGE = {
    "data.path",
    "test_data.path",
    "train.tensorboard",
}  # when a run continues, beside evaluate.* and protocol.rare_*
_mpjpe = jax.jit(metrics.mpjpe)
_REFRESH_S = 0.5  # how often the progress bar, and with it the check for a finite loss, waits for the device


def train_and_evaluate(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Train a network and validate it after every epoch; continue if the workdir holds an unfinished run.

    Writes `config.json`, `metrics.jsonl` and `checkpoints/` (latest and best) to the workdir.

    Args:
      config: see `configs/default.py`.
      workdir: a folder for this run alone.

    Returns:
      The state after the last epoch.

    Raises:
      UserError: if the config or the data are wrong, the workdir belongs to another config, or the loss is not finite
        (the last good checkpoint stays).
    """
    config_lib.validate(config)
    workdir = Path(workdir)
    config = config_lib.with_absolute_path(config)
    _check_workdir(config, workdir)
    console = Console(highlight=False, soft_wrap=True)

    model = create_model(config.model)
    dataset, parts = load_split(config)
    mirrored = dataset.skeleton.mirrored
    windows = TrainingWindows(
        stack_frames(parts.train, config.model.normalization),
        receptive_field=model.receptive_field,
        causal=model.causal,
        mirrored=mirrored if config.train.flip else None,
        seed=config.seed,
    )
    validation = stack_frames(parts.validation, config.model.normalization)
    steps_per_epoch = windows.steps(config.train.batch_size)
    if not steps_per_epoch:
        raise TrainingError(f"{dataset.name}: {len(windows)} training sample, expected at least 2")
    optimizer = create_optimizer(config.train)
    state = create_train_state(model, optimizer, config.seed)
    learning_rate = learning_rate_schedule(config.train)
    step = compile_train_step(
        model=model.clone(strided=True),
        optimizer=optimizer,
        bn_momentum=bn_momentum_schedule(config.train),
        loss=config.train.loss,
        normalization=config.model.normalization,
        seed=config.seed,
    )

    workdir.mkdir(parents=True, exist_ok=True)
    config_lib.save(config, workdir)
    with Checkpoints(workdir) as checkpoints:
        state = checkpoints.restore_latest(state) or state
        first_epoch = int(state.epoch)
        console.print(
            f"{config.model.network.upper()}: {count_parameters(state.params):,} parameters; {dataset.name}: "
            f"{len(windows):,} training samples, {len(validation.targets):,} validation frames; "
            f"{steps_per_epoch} steps an epoch on {jax.devices()[0].platform.upper()}"
        )
        for label in (*parts.labels, *normalization.notes(config.model.normalization)):
            console.print(label)
        if first_epoch:
            console.print(f"resuming after epoch {first_epoch} of {config.train.epochs} from {workdir}")
        with MetricLog(workdir, from_step=int(state.step), tensorboard=config.train.tensorboard) as log:
            for epoch in range(first_epoch, config.train.epochs):
                rate = float(learning_rate(epoch))
                started = time.perf_counter()
                state, train_metrics = _train_epoch(config, epoch, state, step, windows, console)
                state = state.replace(epoch=state.epoch + 1)
                seconds = time.perf_counter() - started
                validation_mpjpe_mm = _validate(config, model, state, validation, mirrored)
                if not (math.isfinite(validation_mpjpe_mm) and _all_finite(state)):
                    raise _not_finite("the network", epoch)
                log.write(
                    int(state.step),
                    {
                        "epoch": epoch + 1,
                        **train_metrics,
                        "validation_mpjpe_mm": validation_mpjpe_mm,
                        "learning_rate": rate,
                        "poses_per_second": len(windows) / seconds,
                    },
                )
                checkpoints.save(state, validation_mpjpe_mm)
                console.print(
                    f"epoch {epoch + 1:3d}/{config.train.epochs}  loss {train_metrics['loss']:.5f}  "
                    f"train {train_metrics['train_mpjpe_mm']:6.1f} mm  validation {validation_mpjpe_mm:6.1f} mm  "
                    f"{len(windows) / seconds:,.0f} poses/s"
                )
    return state


def _check_workdir(config: ConfigDict, workdir: Path) -> None:
    """Refuse a workdir that holds checkpoints of a config under which another network would have been trained."""
    if (workdir / config_lib.CONFIG_FILE).exists() and Checkpoints.exist(workdir):
        different = set(config_lib.differences(config_lib.load(workdir), config)) - _FREE_TO_CHANGE
        different = {name for name in different if not name.startswith(("evaluate.", "protocol.rare_"))}
        if different:
            names = ", ".join(f"config.{name}" for name in sorted(different))
            raise TrainingError(f"{workdir}: holds a run with another {names}; expected the same config or a new workdir")


def _train_epoch(
    config: ConfigDict, epoch: int, state: TrainState, step, windows: TrainingWindows, console: Console
) -> tuple[TrainState, dict[str, float]]:
    """Run one epoch and return the new state and the epoch's mean loss and MPJPE in training mode."""
    totals = zero_totals()
    columns = (
        TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[status]}"),
        TimeRemainingColumn(),
    )
    count = windows.steps(config.train.batch_size)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=count, epoch=epoch + 1, epochs=config.train.epochs, status="compiling")
        started = shown = time.perf_counter()
        for index, batch in enumerate(windows.batches(epoch, config.train.batch_size), start=1):
            state, totals = step(state, totals, batch)
            now = time.perf_counter()
            if now - shown > _REFRESH_S:
                shown = now
                means = _means(totals, epoch)
                speed = index * config.train.batch_size / (now - started)
                status = f"loss {means['loss']:.4f}  MPJPE {means['train_mpjpe_mm']:.1f} mm  {speed:,.0f} poses/s"
                progress.update(task, completed=index, status=status)
    return state, _means(totals, epoch)


def _means(totals: Totals, epoch: int) -> dict[str, float]:
    """Return the epoch's mean loss and MPJPE so far; this waits for the device."""
    loss, error, count = (float(totals[name]) for name in ("loss", "mpjpe", "count"))
    if not math.isfinite(loss):
        raise _not_finite("the loss", epoch)
    return {"loss": loss / count, "train_mpjpe_mm": 1000 * error / count}


def _not_finite(what: str, epoch: int) -> TrainingError:
    kept = "the checkpoint of the epoch before is kept" if epoch else "nothing was saved"
    return TrainingError(
        f"{what} became infinite or not a number in epoch {epoch + 1}; {kept}. "
        "Try a smaller --config.train.learning_rate in a new workdir"
    )


def _all_finite(state: TrainState) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state.variables))


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
