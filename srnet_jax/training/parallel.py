"""One training on many devices: state and data are on all of them, each works on its part of every batch."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from srnet_jax.errors import UserError

AXIS = "data"
MODES = ("jit", "pmap")


class Devices:
    """Where arrays lie, and how a function runs on them.

    `jit` leaves the distribution to XLA; `pmap` runs the function once a device, which sums over the devices itself.
    """

    def __init__(self, mode: str = "jit", count: int = 0) -> None:
        """Take the first `count` devices, or all.

        Raises:
          UserError: if there are fewer.
        """
        found = jax.devices()
        if count > len(found):
            raise UserError(f"config.num_devices is {count}, found {len(found)} on this machine")
        self._mode = mode
        self.count = count or len(found)
        self.platform = found[0].platform
        self._mesh = Mesh(np.array(found[: self.count]), (AXIS,))

    @property
    def axis_name(self) -> str | None:
        """What the function must sum over itself, see `models.layers.Batch`."""
        return AXIS if self._mode == "pmap" else None

    def replicate(self, tree: Any) -> Any:
        """Put a copy of host arrays on every device."""
        if self._mode == "pmap":
            tree = jax.tree.map(lambda x: np.broadcast_to(x, (self.count, *np.shape(x))), tree)
            return jax.tree.map(lambda x: self._put(x, PartitionSpec(AXIS)), tree)
        return jax.tree.map(lambda x: self._put(np.asarray(x), PartitionSpec()), tree)

    def spread(self, tree: Any, axis: int) -> Any:
        """Give each device its part of this axis of host arrays, whose length is a multiple of their number."""
        if self._mode == "pmap":

            def parts(x: np.ndarray) -> np.ndarray:  # [..., B, ...] -> [devices, ..., B / devices, ...]
                return np.moveaxis(x.reshape(*x.shape[:axis], self.count, -1, *x.shape[axis + 1 :]), axis, 0)

            return jax.tree.map(lambda x: self._put(parts(x), PartitionSpec(AXIS)), tree)
        return jax.tree.map(lambda x: self._put(x, PartitionSpec(*[None] * axis, AXIS)), tree)

    def to_host(self, tree: Any) -> Any:
        """Return replicated arrays as NumPy arrays."""
        return jax.tree.map(lambda x: np.array(x[0] if self._mode == "pmap" else x), tree)

    def compile(self, block: Callable[..., Any], *, stacked: bool = False) -> Callable[..., Any]:
        """Compile `steps.train_block` with its settings bound; state and totals are donated.

        With `stacked` it takes several runs' state, totals, hyperparameters and items, along a first axis, and shared data.
        """
        if self._mode == "pmap":
            block = partial(block, axis_name=AXIS)
        if stacked:
            block = jax.vmap(block, in_axes=(0, 0, 0, None, 0, None))
        if self._mode == "pmap":
            return jax.pmap(
                block, AXIS, in_axes=(0, 0, 0, 0, 0, None), donate_argnums=(0, 1), devices=list(self._mesh.devices.flat)
            )
        everywhere = NamedSharding(self._mesh, PartitionSpec())
        return jax.jit(block, donate_argnums=(0, 1), out_shardings=everywhere)

    def _put(self, x: np.ndarray, spec: PartitionSpec) -> jax.Array:
        return jax.make_array_from_callback(x.shape, NamedSharding(self._mesh, spec), lambda index: x[index])
