"""One training on many devices: state and data are on all of them, and each works on its part of every batch.

The devices may belong to several processes (see `processes`), each of which gives its own devices their part. This is the only
place that knows jit from pmap.
"""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from srnet_jax.errors import UserError
from srnet_jax.training.state import TrainState
from srnet_jax.training.steps import StepSettings, Totals, train_block

AXIS = "data"


class Devices:
    """Where arrays are, and how a function runs on them.

    `jit` leaves the distribution to XLA; `pmap` runs the function once a device, which sums over the devices itself.
    """

    def __init__(self, mode: str = "jit", count: int = 0) -> None:
        """Take the first `count` devices, or all; of several processes as many in each.

        Raises:
          UserError: if there are fewer, or `count` is no multiple of the number of processes.
        """
        found, shares = jax.devices(), jax.process_count()
        if count > len(found):
            where = f"in {shares} processes" if shares > 1 else "on this machine"
            raise UserError(f"config.num_devices is {count}, found {len(found)} {where}")
        if count % shares:
            raise UserError(f"config.num_devices is {count}, expected 0 or a multiple of the number of processes, {shares}")
        self._mode = mode
        self.count = count or len(found)
        self.local_count = self.count // shares
        self.platform = found[0].platform
        of_each = [[device for device in found if device.process_index == i][: self.local_count] for i in range(shares)]
        self._mesh = Mesh(np.array(of_each).reshape(-1), (AXIS,))  # each process's side by side

    def local_rows(self, batch_size: int) -> slice:
        """Return the rows of a batch that this process's devices work on; `batch_size` is a multiple of their number in all."""
        each = batch_size // self.count * self.local_count
        return slice(jax.process_index() * each, (jax.process_index() + 1) * each)

    def replicate(self, tree: Any) -> Any:
        """Put a copy of host arrays on every device."""
        if self._mode == "pmap":
            tree = jax.tree.map(lambda x: np.broadcast_to(x, (self.local_count, *np.shape(x))), tree)
            return jax.tree.map(lambda x: self._put(x, PartitionSpec(AXIS), 0), tree)
        return jax.tree.map(lambda x: self._put(np.asarray(x), PartitionSpec()), tree)

    def spread(self, tree: Any, axis: int) -> Any:
        """Give each device its part of this axis of host arrays, of which a process has its own rows."""
        if self._mode == "pmap":

            def parts(x: np.ndarray) -> np.ndarray:  # [..., B, ...] -> [devices, ..., B / devices, ...]
                return np.moveaxis(x.reshape(*x.shape[:axis], self.local_count, -1, *x.shape[axis + 1 :]), axis, 0)

            return jax.tree.map(lambda x: self._put(parts(x), PartitionSpec(AXIS), 0), tree)
        return jax.tree.map(lambda x: self._put(x, PartitionSpec(*[None] * axis, AXIS), axis), tree)

    def to_host(self, tree: Any) -> Any:
        """Return replicated arrays as NumPy arrays."""

        def copy(x: jax.Array) -> np.ndarray:
            here = x.addressable_data(0)
            return np.array(here[0] if self._mode == "pmap" else here)

        return jax.tree.map(copy, tree)

    def compile(self, settings: StepSettings, take: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
        """Compile `steps.train_block` with these settings; state and totals are donated.

        With `stacked` it takes several runs' state, totals, hyperparameters and items, along a first axis, and shared data.
        """
        return _compiled(settings, take, self._mode, self._mesh, stacked)

    def _put(self, x: np.ndarray, spec: PartitionSpec, axis: int | None = None) -> jax.Array:
        """Make an array of what this process holds: all of it, or its part of an axis."""
        shape, first = list(x.shape), 0
        if axis is not None:
            first = jax.process_index() * shape[axis]
            shape[axis] *= jax.process_count()

        def part(index: Any) -> np.ndarray:
            if axis is None:
                return x[index]
            start, stop, _ = index[axis].indices(shape[axis])
            return x[(*index[:axis], slice(start - first, stop - first), *index[axis + 1 :])]

        return jax.make_array_from_callback(tuple(shape), NamedSharding(self._mesh, spec), part)


@functools.lru_cache(maxsize=8)
def _compiled(
    settings: StepSettings, take: Callable[..., Any], mode: str, mesh: Mesh, stacked: bool
) -> Callable[..., tuple[TrainState, Totals]]:
    """Return the compiled step; equal arguments give the same function, which is compiled once a process."""
    block: Callable[..., Any] = partial(train_block, settings, take, axis_name=AXIS if mode == "pmap" else None)
    if stacked:
        block = jax.vmap(block, in_axes=(0, 0, 0, None, 0, None))
    if mode == "pmap":
        return jax.pmap(block, AXIS, in_axes=(0, 0, 0, 0, 0, None), donate_argnums=(0, 1), devices=list(mesh.devices.flat))
    return jax.jit(block, donate_argnums=(0, 1), out_shardings=NamedSharding(mesh, PartitionSpec()))
