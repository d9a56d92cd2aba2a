"""How samples reach the training step: gathered from frames that lie on the device, or on the host a few batches ahead."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from srnet_jax.data.windows import TrainingWindows
from srnet_jax.normalization import mirror, mirror_view
from srnet_jax.training.parallel import Devices

PLACES = ("auto", "device", "host")
_SHARE = 0.5  # of a device's memory that the data may take under "auto"
_AHEAD = 2  # batches that the host prepares before they are asked for

_T = TypeVar("_T")


class ResidentFrames(struct.PyTreeNode):
    """All frames and samples of `TrainingWindows`, as arrays on the device.

    Attributes:
      inputs_2d: [N, J, 2], see `data.windows.Frames`, as the next two.
      targets: [N, J, 3].
      geometry: [N, 1, 9].
      low: [N] first frame of each frame's sequence.
      high: [N] last frame of each frame's sequence.
      frame: [S] each sample's output frame.
      flip: [S] whether it is mirrored.
      receptive_field: frames in a window.
      offset: of the output frame in its window.
      mirrored: see `TrainingWindows`.
      normalization: see `Frames`.
    """

    inputs_2d: Any
    targets: Any
    geometry: Any
    low: Any
    high: Any
    frame: Any
    flip: Any
    receptive_field: int = struct.field(pytree_node=False)
    offset: int = struct.field(pytree_node=False)
    mirrored: tuple[int, ...] | None = struct.field(pytree_node=False)
    normalization: str = struct.field(pytree_node=False)

    def take(self, samples: jax.Array) -> dict[str, jax.Array]:
        """Gather samples [B] by number, as `TrainingWindows.take`."""
        frame = self.frame[samples]
        window = frame[:, None] + (np.arange(self.receptive_field) - self.offset)[None]
        window = jnp.clip(window, self.low[frame][:, None], self.high[frame][:, None])
        inputs = self.inputs_2d[window]  # [B, R, J, 2]
        targets, geometry = self.targets[frame][:, None], self.geometry[frame][:, None]
        if self.mirrored is not None:
            flip = self.flip[samples][:, None, None, None]
            inputs = jnp.where(flip, mirror(inputs, self.mirrored), inputs)
            targets = jnp.where(flip, mirror(targets, self.mirrored), targets)
            geometry = jnp.where(flip, mirror_view(self.normalization, geometry), geometry)
        return {"inputs_2d": inputs, "targets": targets, "geometry": geometry}


def resident_frames(windows: TrainingWindows) -> ResidentFrames:
    """Return what lies on the device, as NumPy arrays."""
    frames = windows.frames
    low = np.repeat(frames.starts, frames.lengths)
    return ResidentFrames(
        frames.inputs_2d,
        frames.targets,
        frames.geometry,
        low.astype(np.int32),
        (low + np.repeat(frames.lengths, frames.lengths) - 1).astype(np.int32),
        windows.frame.astype(np.int32),
        windows.flip,
        receptive_field=windows.receptive_field,
        offset=windows.offset,
        mirrored=windows.mirrored,
        normalization=frames.normalization,
    )


def num_bytes(tree: Any) -> int:
    """Return the size of arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


class Feed:
    """The batches of a training, in blocks of steps.

    Attributes:
      windows: the samples.
      steps: in an epoch.
      data: what lies on the devices.
      take: makes a batch of data and an item, inside the compiled step.
      on_host: whether the data lie there.
      description: where the data lie and how large they are.
    """

    def __init__(self, windows: TrainingWindows, devices: Devices, *, batch_size: int, block: int, place: str) -> None:
        """Put the data where `place` says: device, host, or auto for the device if they fit there.

        Args:
          windows: the samples.
          devices: that share each batch.
          batch_size: samples in a step.
          block: steps in a call.
          place: one of PLACES.
        """
        self.windows, self.steps = windows, windows.steps(batch_size)
        self._devices, self._batch_size = devices, batch_size
        resident = resident_frames(windows)
        size = num_bytes(resident)
        self.on_host = place == "host" or (place == "auto" and size > _SHARE * _device_memory())
        self._block = 1 if self.on_host else block
        self.data: Any = () if self.on_host else devices.replicate(resident)
        self.take: Callable[[Any, Any], dict[str, Any]] = _as_it_is if self.on_host else _gather
        self.description = f"{size / 2**20:,.0f} MiB of training data on the {'host' if self.on_host else 'device'}"

    def blocks(self, epoch: int, first: int) -> Iterator[tuple[int, Any, np.integer]]:
        """Yield an epoch's blocks from its step `first` on: the steps done after it, the items, and how many of them count."""
        order = self.windows.order(epoch)
        full = len(order) // self._batch_size

        def prepared() -> Iterator[tuple[int, Any, np.integer]]:
            start = first
            while start < self.steps:
                count = min(self._block, full - start) if start < full else 1
                numbers = order[start * self._batch_size : (start + count) * self._batch_size].reshape(count, -1)
                if start < full and count < self._block:
                    numbers = np.concatenate([numbers, np.repeat(numbers[-1:], self._block - count, axis=0)])
                start += count
                yield start, self._devices.spread(self._items(numbers)), np.int32(count)

        return _ahead(prepared()) if self.on_host else prepared()

    def _items(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return what `take` is given for sample numbers [K, B], filled up to a multiple of the devices, in this process."""
        missing = -numbers.shape[1] % self._devices.count
        weights = {}
        if missing:
            filled = np.pad(numbers, ((0, 0), (0, missing)), mode="edge")
            weights = {"weights": np.pad(np.ones(numbers.shape, np.float32), ((0, 0), (0, missing)))}
            numbers = filled
        rows = self._devices.local_rows(numbers.shape[1])
        numbers, weights = numbers[:, rows], {name: value[:, rows] for name, value in weights.items()}
        if not self.on_host:
            return {"samples": numbers.astype(np.int32), **weights}
        batches = [self.windows.take(row) for row in numbers]
        return {name: np.stack([batch[name] for batch in batches]) for name in batches[0]} | weights


def _gather(data: ResidentFrames, item: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return data.take(item["samples"]) | {name: item[name] for name in ("weights",) if name in item}


def _as_it_is(data: Any, item: dict[str, jax.Array]) -> dict[str, jax.Array]:
    del data
    return item


def _device_memory() -> float:
    """Return what the device that has least offers, in bytes; without limit for a CPU, which has the host's memory."""
    limits = [(device.memory_stats() or {}).get("bytes_limit", np.inf) for device in jax.local_devices()]
    return min(limits)


def _ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Give items that a thread prepares before they are asked for."""
    ready: queue.Queue[Any] = queue.Queue(_AHEAD)
    stopped = threading.Event()
    end = object()

    def put(item: Any) -> None:
        while not stopped.is_set():
            try:
                return ready.put(item, timeout=0.1)
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
            put(end)
        except BaseException as error:
            put(error)

    thread = threading.Thread(target=work, name="feed", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not end:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
