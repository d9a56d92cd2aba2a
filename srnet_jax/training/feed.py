"""Deliver batches to the training step: gathered on the device, or prepared on the host a few batches ahead."""

import dataclasses
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import jax
import numpy as np

from srnet_jax.data.windows import Samples, TrainingWindows
from srnet_jax.training.parallel import Devices

_AUTO_SHARE = 0.5  # largest share of a device's memory for the data under "auto"
_PREFETCHED = 2  # batches that the host prepares ahead

_T = TypeVar("_T")


jax.tree_util.register_dataclass(
    Samples,
    data_fields=["inputs_2d", "targets", "views", "low", "high", "frame", "flip"],
    meta_fields=["receptive_field", "offset", "mirrored", "normalization"],
)


def concatenate(windows: Sequence[TrainingWindows]) -> Samples:
    """Concatenate the frames and samples of several trainings; indices become int32."""
    parts, before = [], 0
    for one in windows:
        own = one.samples
        moved = {name: (getattr(own, name) + before).astype(np.int32) for name in ("low", "high", "frame")}
        parts.append(dataclasses.replace(own, **moved))
        before += len(own.targets)
    return jax.tree.map(lambda *each: each[0] if len(each) == 1 else np.concatenate(each), *parts)


class Feed:
    """The batches of one training, or of several trainings that take their steps together, in blocks of steps.

    With several trainings, arrays have their number M as the first axis. Their epochs may have different lengths.

    Attributes:
      windows: the samples of each training.
      steps: number of steps in an epoch of each training.
      data: the data that are kept on the devices.
      take: function that makes a batch from data and an item, inside the compiled step.
      on_host: whether the data are kept on the host.
      description: text about the place and the size of the data.
    """

    def __init__(
        self, windows: Sequence[TrainingWindows], devices: Devices, *, batch_size: int, block: int, place: str
    ) -> None:
        """Place the data on the device or on the host, as `place` states; "auto" means the device if they fit there.

        Args:
          windows: the samples of each training; equal `frames` are placed on the device only once.
          devices: the devices that share each batch.
          batch_size: samples per step.
          block: steps per call.
          place: one of `schema.PLACES`.
        """
        self.windows, self.steps = windows, [one.steps(batch_size) for one in windows]
        self._devices, self._batch_size = devices, batch_size
        distinct = list({id(one.frames): one for one in windows}.values())
        ends = np.cumsum([0, *map(len, distinct)])
        first_sample = {id(one.frames): int(end) for one, end in zip(distinct, ends, strict=False)}
        self._first_samples = [first_sample[id(one.frames)] for one in windows]
        resident = concatenate(distinct)
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(resident))
        self.on_host = place == "host" or (place == "auto" and size > _AUTO_SHARE * _device_memory())
        self._block = 1 if self.on_host else block
        self.data: Any = () if self.on_host else devices.replicate(resident)
        self.take: Callable[[Any, Any], dict[str, Any]] = _take_item if self.on_host else _gather
        self.description = f"{size / 2**20:,.0f} MiB of training data on the {'host' if self.on_host else 'device'}"

    def blocks(self, epoch: int, first: Sequence[int]) -> Iterator[tuple[int, Any, np.integer]]:
        """Yield the blocks of steps of an epoch.

        Args:
          epoch: counted from 0.
          first: the first step of each training in this epoch; its `steps` to skip the epoch.

        Yields:
          The number of steps done after the block, the items of its steps, and the number of items that count.
        """
        orders = [one.order(epoch) for one in self.windows]
        begin = min(first)
        end = max((steps for steps, own in zip(self.steps, first, strict=True) if own < steps), default=begin)
        alike = len({len(order) for order in orders}) == 1
        full = min(len(order) for order in orders) // self._batch_size

        def prepared() -> Iterator[tuple[int, Any, np.integer]]:
            start = begin
            while start < end:
                together = start >= max(first)
                if together and (start < full or alike):
                    count = min(self._block, full - start) if start < full else 1
                    items = self._even(orders, start, count, self._block if start < full else 1)
                else:
                    count = min(self._block, (end if together else min(end, max(first))) - start)
                    items = self._uneven(orders, first, start, count)
                start += count
                yield start, self._spread(items), np.int32(count)

        return _prefetch(prepared()) if self.on_host else prepared()

    def _even(self, orders: Sequence[np.ndarray], start: int, count: int, length: int) -> dict[str, np.ndarray]:
        """Return the items of steps in which all batches have one size, padded to `length` by repeating the last item."""
        size = self._batch_size
        numbers = np.stack([order[start * size : (start + count) * size].reshape(count, -1) for order in orders])
        numbers = np.pad(numbers, ((0, 0), (0, length - count), (0, 0)), mode="edge")
        return self._items(numbers)

    def _uneven(self, orders: Sequence[np.ndarray], first: Sequence[int], start: int, count: int) -> dict[str, np.ndarray]:
        """Return the items of steps that some trainings skip, or take with a short batch."""
        size = self._batch_size
        width = min(size, max(map(len, orders)))
        numbers = np.zeros((len(orders), self._block, width), np.int64)
        real, active = np.zeros(numbers.shape, bool), np.zeros(numbers.shape[:2], bool)
        for member, order in enumerate(orders):
            for row in range(count):
                step = start + row
                active[member, row] = first[member] <= step < self.steps[member]
                found = order[step * size : (step + 1) * size] if active[member, row] else order[:width]
                numbers[member, row, : len(found)] = found
                real[member, row, : len(found)] = True
        return self._items(numbers, real) | {"active": active}

    def _items(self, numbers: np.ndarray, real: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return this process's items for sample numbers [M, K, B], padded to a multiple of the devices' parts.

        `real` is the mask of the samples that count; None for all.
        """
        missing = -numbers.shape[2] % self._devices.batch_parts
        weights = {}
        if missing or real is not None:
            real = np.ones(numbers.shape, bool) if real is None else real
            numbers = np.pad(numbers, ((0, 0), (0, 0), (0, missing)), mode="edge")
            weights = {"weights": np.pad(real.astype(np.float32), ((0, 0), (0, 0), (0, missing)))}
        rows = self._devices.local_rows(numbers.shape[2])
        numbers, weights = numbers[..., rows], {name: value[..., rows] for name, value in weights.items()}
        if not self.on_host:
            before = np.array(self._first_samples)[:, None, None]
            return {"samples": (numbers + before).astype(np.int32), **weights}
        stack = partial(jax.tree.map, lambda *arrays: np.stack(arrays))
        return stack(*(stack(*map(one.samples.take, own)) for one, own in zip(self.windows, numbers, strict=True))) | weights

    def _spread(self, items: dict[str, np.ndarray]) -> dict[str, Any]:
        """Distribute the batches over the devices; a single training has no axis M."""
        alone = len(self.windows) == 1
        items = jax.tree.map(lambda item: item[0], items) if alone else items
        active = {"active": items.pop("active")} if "active" in items else {}
        spread = self._devices.spread(items, axis=1 if alone else 2, stacked=not alone)
        return spread | self._devices.replicate(active, stacked=not alone)


def _gather(data: Samples, item: dict[str, jax.Array]) -> dict[str, jax.Array]:
    return data.take(item["samples"]) | {name: item[name] for name in ("weights",) if name in item}


def _take_item(data: Any, item: dict[str, jax.Array]) -> dict[str, jax.Array]:
    del data
    return item


def _device_memory() -> float:
    """Return the smallest memory of a local device, in bytes; infinity for a CPU, which uses the host's memory."""
    limits = [(device.memory_stats() or {}).get("bytes_limit", np.inf) for device in jax.local_devices()]
    return min(limits)


def _prefetch(items: Iterable[_T]) -> Iterator[_T]:
    """Yield items that a background thread prepares ahead; an error in the thread is raised here."""
    ready: queue.Queue[Any] = queue.Queue(_PREFETCHED)
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
