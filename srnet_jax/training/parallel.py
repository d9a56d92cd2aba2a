"""Train on several devices: each holds the state and the data, and computes its part of every batch.

Several runs that are one program are divided first: if their number and that of the devices have a common divisor, a device
holds the states of some of the runs only, and does not communicate with the devices of the others.

The devices may belong to several processes (see `processes`); each process feeds its own devices. Only this module
distinguishes jit from pmap.
"""

import functools
import math
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
_RUNS = "runs"


class Devices:
    """The devices of a training: place arrays on them, and compile the training step for them.

    With `jit`, XLA distributes the computation; with `pmap`, each device runs the function, which sums over the devices itself.
    """

    def __init__(self, mode: str = "jit", count: int = 0, runs: int = 1) -> None:
        """Use the first `count` devices, the same number in each process; 0 means all devices.

        Args:
          mode: "jit" or "pmap".
          count: number of devices.
          runs: number of runs that are trained as one program. Under `jit`, in a single process, they are divided among the
            devices; otherwise every device has a part of each run's batch.

        Raises:
          UserError: if there are fewer devices, or `count` is not a multiple of the number of processes.
        """
        found, shares = jax.devices(), jax.process_count()
        if count > len(found):
            where = f"in {shares} processes" if shares > 1 else "on this machine"
            raise UserError(f"config.num_devices: {count} is not allowed, expected at most {len(found)} {where}")
        if count % shares:
            raise UserError(f"config.num_devices: {count} is not allowed, expected a multiple of the {shares} processes, or 0")
        self._mode = mode
        self.count = count or len(found)
        self.local_count = self.count // shares
        self.platform = found[0].platform
        of_each = [[device for device in found if device.process_index == i][: self.local_count] for i in range(shares)]
        groups = math.gcd(runs, self.count) if mode == "jit" and shares == 1 else 1
        self.batch_parts = self.count // groups  # devices that share a run's batch
        self._mesh = Mesh(np.array(of_each).reshape(groups, -1), (_RUNS, AXIS))  # the devices of a process are adjacent

    def local_rows(self, batch_size: int) -> slice:
        """Return the rows of a batch for this process's devices; `batch_size` is a multiple of `batch_parts`."""
        each = batch_size // jax.process_count()
        return slice(jax.process_index() * each, (jax.process_index() + 1) * each)

    def replicate(self, tree: Any, *, stacked: bool = False) -> Any:
        """Put a copy of host arrays on every device; with `stacked`, of only its runs, which are the first axis."""
        if self._mode == "pmap":
            tree = jax.tree.map(lambda x: np.broadcast_to(x, (self.local_count, *np.shape(x))), tree)
            return jax.tree.map(lambda x: self._put(x, PartitionSpec(AXIS), 0), tree)
        spec = PartitionSpec(_RUNS) if stacked else PartitionSpec()
        return jax.tree.map(lambda x: self._put(np.asarray(x), spec), tree)

    def spread(self, tree: Any, axis: int, *, stacked: bool = False) -> Any:
        """Distribute an axis of host arrays over the devices; each process passes only its own rows.

        With `stacked`, the first axis is that of the runs.
        """
        if self._mode == "pmap":

            def parts(x: np.ndarray) -> np.ndarray:  # [..., B, ...] -> [devices, ..., B / devices, ...]
                return np.moveaxis(x.reshape(*x.shape[:axis], self.local_count, -1, *x.shape[axis + 1 :]), axis, 0)

            return jax.tree.map(lambda x: self._put(parts(x), PartitionSpec(AXIS), 0), tree)
        before = [_RUNS if stacked else None, *[None] * (axis - 1)] if axis else []
        return jax.tree.map(lambda x: self._put(x, PartitionSpec(*before, AXIS), axis), tree)

    def to_host(self, tree: Any) -> Any:
        """Return arrays of `replicate` or of the compiled step as NumPy arrays."""

        def copy(x: jax.Array) -> np.ndarray:
            if self._mode == "pmap":
                return np.array(x.addressable_data(0)[0])
            return np.array(x if x.is_fully_addressable else x.addressable_data(0))

        return jax.tree.map(copy, tree)

    def compile(self, settings: StepSettings, take: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
        """Compile `steps.train_block` with these settings; the arguments state and totals are donated.

        With `stacked`, state, totals, hyperparameters and items have a first axis over several runs, which share the data.
        """
        return _compiled(settings, take, self._mode, self._mesh, stacked)

    def _put(self, x: np.ndarray, spec: PartitionSpec, axis: int | None = None) -> jax.Array:
        """Build a global array from this process's part of an axis, or, without an axis, from the whole array."""
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
    """Return the compiled step; equal arguments give the same function, which each process compiles once."""
    block: Callable[..., Any] = partial(train_block, settings, take, axis_name=AXIS if mode == "pmap" else None)
    if stacked:
        block = jax.vmap(block, in_axes=(0, 0, 0, None, 0, None))
    if mode == "pmap":
        return jax.pmap(block, AXIS, in_axes=(0, 0, 0, 0, 0, None), donate_argnums=(0, 1), devices=list(mesh.devices.flat))
    spec = PartitionSpec(_RUNS) if stacked else PartitionSpec()
    return jax.jit(block, donate_argnums=(0, 1), out_shardings=NamedSharding(mesh, spec))
