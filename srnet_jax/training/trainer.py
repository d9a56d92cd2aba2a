"""Load the training data, and train and validate the networks of one program on devices. It does not write files.

Several runs of one architecture train as one program: their states are stacked along a first axis, and the step is mapped over
it. A single run has no such axis, and therefore no overhead. Only this module handles the axis.
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

_STEPS_PER_CALL = 32  # default, except on a CPU, where the cost of a call is negligible


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The training and validation data of a run.

    Attributes:
      dataset: name of the data set.
      fps: frames per second.
      mirrored: see `PoseDataset.mirrored`.
      training: frames to train on.
      validation: frames to validate on.
      labels: see `protocols.Split`.
      draw: function of an epoch that returns its training frames, if they are drawn anew in each epoch, else None; `training`
        are those of epoch 0.
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
        """Validation error of the mean training pose as a constant prediction, millimetres."""
        mean = np.broadcast_to(self.training.truth.mean(0, dtype=np.float64), self.validation.truth.shape)
        return 1000 * float(metrics.measure_mpjpe(mean, self.validation.truth).mean())


def load_training_data(configs: Sequence[ConfigDict]) -> list[TrainingData]:
    """Load the data of runs that differ only in fields of `config.ensemble`; runs with equal splits share their data.

    Raises:
      UserError: if the data are missing or damaged.
      TrainingError: if a split leaves no sequence to train on or to validate with.
    """
    dataset, other = load_datasets(configs[0])
    found: dict[tuple[str, ...], TrainingData] = {}
    for config in configs:
        if config.protocol.actions_train not in found:
            parts = split(dataset, config.protocol, other)
            for name in ("train", "validation"):
                if not getattr(parts, name):
                    raise TrainingError(f"{dataset.name}: found no {name} sequence, expected at least one")
            draw = _redraw(parts.train, config, dataset.fps) if config.train.redraw else None
            training = draw(0) if draw else stack_frames(parts.train, config.model.normalization)
            validation = stack_frames(parts.validation, config.model.normalization)
            found[config.protocol.actions_train] = TrainingData(
                dataset.name, dataset.fps, dataset.mirrored, training, validation, parts.labels, draw
            )
    return [found[config.protocol.actions_train] for config in configs]


def _redraw(sequences: Sequence[data_lib.Sequence], config: ConfigDict, fps: float) -> Callable[[int], Frames]:
    """Return a function that draws the training frames of an epoch."""
    if lost := [s for s in sequences if s.camera.orientation == (1.0, 0.0, 0.0, 0.0)]:
        raise TrainingError(f"config.train.redraw: found no vertical direction for {lost[0].name}, expected a world with z up")
    parts, errors = redraw.pieces(sequences), errors_of(config.data.detections)

    def draw(epoch: int) -> Frames:
        return stack_frames(redraw.redrawn(parts, config.redraw, errors, fps=fps, epoch=epoch), config.model.normalization)

    return draw


@dataclasses.dataclass(frozen=True)
class Progress:
    """The progress of a program's runs within an epoch; valid until the next steps are taken.

    Attributes:
      epoch: counted from 0.
      step: number of finished steps of the epoch.
      poses: output frames that all runs have been trained on since the epoch began or was resumed.
      first: first step of each run in this epoch; its number of steps if it skips the epoch.
      trainer: the trainer of the runs.
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
        """Speed of training up to the first read of this property; waits for the device."""
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
    """Train runs that differ only in seed, learning rate or training actions, as one compiled program.

    Attributes:
      configs: config of each run.
      data: data of each run.
      model: the network, in its dilated form.
      devices: the devices that share each batch.
      windows: the samples of each run.
    """

    def __init__(self, configs: Sequence[ConfigDict], data: Sequence[TrainingData]) -> None:
        """Create the network; the first step places the data on the devices and compiles the step.

        Raises:
          UserError: if there are too few devices or too few samples.
        """
        train = configs[0].train
        self.configs, self.data = configs, data
        self.model = create_model(configs[0].model)
        self.devices = Devices(configs[0].parallel, configs[0].num_devices, len(configs))
        self.windows = self._windows([own.training for own in data])
        self._drawn = 0  # epoch of the frames in `windows`
        for windows, own in zip(self.windows, data, strict=True):
            if not windows.steps(train.batch_size):
                raise TrainingError(f"{own.dataset}: found {len(windows)} training sample, expected at least 2")

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
        """Draw the frames of an epoch, if they are drawn anew in each epoch; their number does not change."""
        draws = {own.draw for own in self.data}
        if epoch == self._drawn or None in draws:
            return
        drawn = {draw: draw(epoch) for draw in draws if draw}
        self.windows = self._windows([drawn[own.draw] for own in self.data if own.draw])
        self._drawn = epoch
        self.__dict__.pop("feed", None)  # recreated at the next use

    @cached_property
    def feed(self) -> Feed:
        """The batches of all runs; created at the first use."""
        train = self.configs[0].train
        block = train.steps_per_call or (1 if self.devices.platform == "cpu" else _STEPS_PER_CALL)
        return Feed(self.windows, self.devices, batch_size=train.batch_size, block=block, place=train.data_on)

    def steps(self, snapshots: Sequence[Snapshot], epoch: int, sits_out: Sequence[bool] = ()) -> Iterator[Progress]:
        """Take the remaining steps of an epoch.

        Args:
          snapshots: the snapshot from which each run continues.
          epoch: counted from 0; a run that has finished this epoch skips it.
          sits_out: for each run, whether it skips the epoch in any case.

        Yields:
          The progress after each call of the compiled step, or once if there is no step left.
        """
        self._redraw(epoch)
        feed, size = self.feed, self.configs[0].train.batch_size
        step = self.devices.compile(StepSettings.of(self.configs[0]), feed.take, stacked=len(self.configs) > 1)
        hyperparameters = [Hyperparameters.at(epoch, config.seed, config.train) for config in self.configs]
        state, totals, hyperparameters = self.devices.replicate(
            self._stack([(one.state, one.totals, own) for one, own in zip(snapshots, hyperparameters, strict=True)]),
            stacked=len(self.configs) > 1,
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

        for done, items, count in feed.blocks(epoch, first):  # noqa: B007 progress() reads done
            state, totals = step(state, totals, hyperparameters, feed.data, items, count)
            yield progress()
        if first == tuple(feed.steps):
            yield progress()

    def validate(self, index: int, state: TrainState) -> float:
        """Return the MPJPE of a run, averaged over all its validation frames, millimetres."""
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
        """Copy arrays from the devices to the host, and return the part of each run."""
        tree = self.devices.to_host(tree)
        if len(self.configs) == 1:
            return [tree]
        return [jax.tree.map(lambda leaf, index=index: leaf[index], tree) for index in range(len(self.configs))]

    def _stack(self, trees: Sequence[Any]) -> Any:
        """Stack the trees of several runs along a first axis; return the tree of a single run unchanged."""
        return trees[0] if len(trees) == 1 else jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _resumed(batch: int, steps: int) -> int:
    """Return the first step of a resumed run; if a fork shortened the epoch to fewer steps, its last step remains."""
    return batch if batch <= steps else steps - 1
