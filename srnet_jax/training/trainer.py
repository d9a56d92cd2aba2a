"""The networks of one program, their optimiser and their compiled step: devices, and no files.

Several runs of one architecture train as one program: their states are stacked along a first axis and the step is mapped over
it. A single run has no such axis, so it costs nothing there. Only this module knows the axis.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from srnet_jax.data import dataset as data_lib
from srnet_jax.data import redraw
from srnet_jax.data.protocols import split
from srnet_jax.data.sources import errors_of, load_datasets
from srnet_jax.data.windows import TrainingWindows, stack_frames
from srnet_jax.errors import TrainingError
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.models.predict import predict
from srnet_jax.pose import metrics
from srnet_jax.pose.frames import Frames
from srnet_jax.pose.skeleton import Mirrored
from srnet_jax.training.checkpoint_format import Snapshot
from srnet_jax.training.feed import Feed
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.parallel import Devices
from srnet_jax.training.state import TrainState, create_train_state
from srnet_jax.training.steps import Hyperparameters, StepSettings

_STEPS_PER_CALL = 32  # by default, except on a CPU, where a call costs nothing beside a step


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What a run trains on and is validated on.

    Attributes:
      dataset: what the data are called.
      fps: frames per second.
      mirrored: see `PoseDataset.mirrored`.
      training: frames.
      validation: frames.
      labels: see `protocols.Split`.
      draw: gives the training frames of an epoch, if they are drawn anew in each; `training` are those of epoch 0.
    """

    dataset: str
    fps: float
    mirrored: Mirrored
    training: Frames
    validation: Frames
    labels: tuple[str, ...]
    draw: Callable[[int], Frames] | None = None

    @property
    def mean_pose_mm(self) -> float:
        """Validation error of the mean training pose, the constant prediction to beat, millimetres."""
        mean = np.broadcast_to(self.training.truth.mean(0, dtype=np.float64), self.validation.truth.shape)
        return 1000 * float(metrics.measure_mpjpe(mean, self.validation.truth).mean())


def load_training_data(configs: Sequence[ConfigDict]) -> list[TrainingData]:
    """Load the data of runs that differ only in what `config.ensemble` varies; runs with equal splits share them.

    Raises:
      UserError: if the data are missing or damaged.
      TrainingError: if a split leaves nothing to train on or to validate with.
    """
    dataset, other = load_datasets(configs[0])
    found: dict[tuple[str, ...], TrainingData] = {}
    for config in configs:
        if config.protocol.actions_train not in found:
            parts = split(dataset, config.protocol, other)
            for name in ("train", "validation"):
                if not getattr(parts, name):
                    raise TrainingError(f"{dataset.name}: no {name} sequence, expected at least one")
            draw = _redraw(parts.train, config, dataset.fps) if config.train.redraw else None
            training = draw(0) if draw else stack_frames(parts.train, config.model.normalization)
            validation = stack_frames(parts.validation, config.model.normalization)
            found[config.protocol.actions_train] = TrainingData(
                dataset.name, dataset.fps, dataset.mirrored, training, validation, parts.labels, draw
            )
    return [found[config.protocol.actions_train] for config in configs]


def _redraw(sequences: Sequence[data_lib.Sequence], config: ConfigDict, fps: float) -> Callable[[int], Frames]:
    """Return what draws the training frames of an epoch."""
    if lost := [s for s in sequences if s.camera.orientation == (1.0, 0.0, 0.0, 0.0)]:
        raise TrainingError(f"config.train.redraw: it is not known what is up in {lost[0].name}, expected a world with z up")
    parts, errors = redraw.pieces(sequences), errors_of(config.data.detections)

    def draw(epoch: int) -> Frames:
        return stack_frames(redraw.redrawn(parts, config.redraw, errors, fps=fps, epoch=epoch), config.model.normalization)

    return draw


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where the runs of a program are after some steps of an epoch; valid until the next steps are taken.

    Attributes:
      epoch: counted from 0.
      step: steps of the epoch that are done.
      poses: output frames that all runs were trained on since the epoch began or was resumed.
      first: step from which each run goes on in this epoch; its number of steps if it sits out.
      trainer: whose runs these are.
    """

    epoch: int
    step: int
    poses: int
    first: tuple[int, ...]
    trainer: "Trainer"
    _begun: float
    _state: Any
    _totals: Any

    @property
    def ends_epoch(self) -> bool:
        """Whether no run has a step left in this epoch."""
        return self.step >= max(self.trainer.feed.steps)

    @cached_property
    def poses_per_second(self) -> float:
        """How fast the runs were trained, until this is first read; waits for the device."""
        jax.block_until_ready(self._totals)
        return self.poses / (time.perf_counter() - self._begun)

    @cached_property
    def totals(self) -> list[dict[str, Any]]:
        """Each run's totals, see `steps.train_step`; waits for the device."""
        return self.trainer.unstack(self._totals)

    @cached_property
    def snapshots(self) -> list[Snapshot]:
        """Each run's snapshot; waits for the device."""
        states = self.trainer.unstack(self._state)
        done = [min(self.step, steps) for steps in self.trainer.feed.steps]
        return [Snapshot(state, batch, own) for state, batch, own in zip(states, done, self.totals, strict=True)]


class Trainer:
    """Trains runs that differ only in seed, learning rate or training actions, as one compiled program.

    Attributes:
      configs: of the runs.
      data: of the runs.
      model: in its dilated form.
      devices: that share each batch.
      windows: the samples of each run.
    """

    def __init__(self, configs: Sequence[ConfigDict], data: Sequence[TrainingData]) -> None:
        """Make the network; data go to the devices, and the step is compiled, when the first step is taken.

        Raises:
          UserError: if there are fewer devices than asked for, or too few samples.
        """
        train = configs[0].train
        self.configs, self.data = configs, data
        self.model = create_model(configs[0].model)
        self.devices = Devices(configs[0].parallel, configs[0].num_devices)
        self.windows = self._windows([own.training for own in data])
        self._drawn = 0  # epoch whose frames the windows are cut from
        for windows, own in zip(self.windows, data, strict=True):
            if not windows.steps(train.batch_size):
                raise TrainingError(f"{own.dataset}: {len(windows)} training sample, expected at least 2")

    def init(self) -> list[Snapshot]:
        """Return each run's snapshot before the first step, in NumPy arrays."""
        optimizer = create_optimizer()
        return [Snapshot(create_train_state(self.model, optimizer, config.seed)).to_host() for config in self.configs]

    def _windows(self, frames: Sequence[Frames]) -> list[TrainingWindows]:
        return [
            TrainingWindows(
                of,
                receptive_field=self.model.receptive_field,
                causal=self.model.causal,
                mirrored=own.mirrored if config.train.flip else None,
                seed=config.seed,
            )
            for config, own, of in zip(self.configs, self.data, frames, strict=True)
        ]

    def _redraw(self, epoch: int) -> None:
        """Draw the frames of an epoch, where they are drawn anew in each; their number stays."""
        draws = {own.draw for own in self.data}
        if epoch == self._drawn or None in draws:
            return
        drawn = {draw: draw(epoch) for draw in draws if draw}
        self.windows = self._windows([drawn[own.draw] for own in self.data if own.draw])
        self._drawn = epoch
        self.__dict__.pop("feed", None)  # made anew by the next use

    @cached_property
    def feed(self) -> Feed:
        """The batches of all runs."""
        train = self.configs[0].train
        block = train.steps_per_call or (1 if self.devices.platform == "cpu" else _STEPS_PER_CALL)
        return Feed(self.windows, self.devices, batch_size=train.batch_size, block=block, place=train.data_on)

    def steps(self, snapshots: Sequence[Snapshot], epoch: int, sits_out: Sequence[bool] = ()) -> Iterator[Progress]:
        """Take the remaining steps of an epoch.

        Args:
          snapshots: from which each run goes on.
          epoch: counted from 0. A run that has finished it sits out.
          sits_out: for each run whether it sits out, wherever it is.

        Yields:
          The progress after each call of the compiled step; once if there is no step left.
        """
        self._redraw(epoch)
        feed, size = self.feed, self.configs[0].train.batch_size
        step = self.devices.compile(StepSettings.of(self.configs[0]), feed.take, stacked=len(self.configs) > 1)
        hyperparameters = [Hyperparameters.at(epoch, config.seed, config.train) for config in self.configs]
        state, totals, hyperparameters = self.devices.replicate(
            self._stack([(one.state, one.totals, own) for one, own in zip(snapshots, hyperparameters, strict=True)])
        )
        first = tuple(
            steps if int(one.state.epoch) > epoch or (sits_out and sits_out[index]) else _resumed(one.batch, steps)
            for index, (one, steps) in enumerate(zip(snapshots, feed.steps, strict=True))
        )
        begun, done = time.perf_counter(), min(first)

        def progress() -> Progress:
            ends = (min(done * size, len(windows)) for windows in feed.windows)
            poses = sum(max(end - start * size, 0) for start, end in zip(first, ends, strict=True))
            return Progress(epoch, done, poses, first, self, begun, state, totals)

        for done, items, count in feed.blocks(epoch, first):  # noqa: B007 progress() reads it
            state, totals = step(state, totals, hyperparameters, feed.data, items, count)
            yield progress()
        if first == tuple(feed.steps):
            yield progress()

    def validate(self, index: int, state: TrainState) -> float:
        """Return the frame-weighted mean MPJPE of a run's validation frames, millimetres."""
        config, data = self.configs[index], self.data[index]
        predicted = predict(
            self.model,
            state.variables,
            data.validation,
            mirrored=data.mirrored if config.evaluate.flip else None,
            batch_frames=config.evaluate.batch_frames,
        )
        return 1000 * float(metrics.measure_mpjpe(predicted, data.validation.truth).mean())

    def unstack(self, tree: Any) -> list[Any]:
        """Copy what is on the devices to the host, and return each run's part."""
        tree = self.devices.to_host(tree)
        if len(self.configs) == 1:
            return [tree]
        return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(len(self.configs))]

    def _stack(self, trees: Sequence[Any]) -> Any:
        """Give what belongs to several runs a first axis; what belongs to one stays as it is."""
        return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _resumed(batch: int, steps: int) -> int:
    """Return the step that a run goes on from; a fork may have shortened the epoch, which then has one step left."""
    return batch if batch <= steps else steps - 1
