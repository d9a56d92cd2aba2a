"""Orbax checkpoints of a run: the latest and the best.

`WORKDIR/checkpoints/STEP/` holds `variables` (what evaluation needs), `training` (step, epoch and optimiser state) and the
validation error that ranks it.
"""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from srnet_jax.errors import UserError
from srnet_jax.training.state import TrainState

_RANKED_BY = "validation_mpjpe_mm"


class Checkpoints:
    """The checkpoints of one workdir; use as a context manager, which waits for unfinished writes."""

    def __init__(self, workdir: Path, *, read_only: bool = False) -> None:
        """Open the workdir's checkpoints, and make the folder unless `read_only`."""
        self._folder = Path(workdir).absolute() / "checkpoints"
        keep = checkpoint_managers.AnyPreservationPolicy(
            [
                checkpoint_managers.LatestN(1),
                checkpoint_managers.BestN(get_metric_fn=lambda metrics: metrics[_RANKED_BY], reverse=True, n=1),
            ]
        )
        if read_only and not self._folder.is_dir():
            raise UserError(f"{self._folder}: no such folder, expected checkpoints; has this run been trained?")
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                preservation_policy=None if read_only else keep,
                best_fn=lambda metrics: metrics[_RANKED_BY],
                best_mode="min",
                create=not read_only,
                cleanup_tmp_directories=not read_only,  # of a save that was killed
                read_only=read_only,
            ),
        )

    @staticmethod
    def exist(workdir: Path) -> bool:
        """Tell whether a workdir holds a complete checkpoint."""
        folder = Path(workdir) / "checkpoints"
        return folder.is_dir() and any(path.name.isdecimal() for path in folder.iterdir())

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *exception: object) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def save(self, state: TrainState, validation_mpjpe_mm: float) -> None:
        """Begin to write a checkpoint; it is complete when the next save begins or the context ends."""
        self._manager.save(
            int(state.step),
            args=ocp.args.Composite(
                variables=ocp.args.StandardSave(state.variables),
                training=ocp.args.StandardSave(_training(state)),
            ),
            metrics={_RANKED_BY: validation_mpjpe_mm},
        )

    def restore_latest(self, state: TrainState) -> TrainState | None:
        """Return the newest state, in the form of the given one, or None if nothing was saved."""
        return self.restore("latest", state) if self._manager.latest_step() is not None else None

    def restore(self, which: str, state: TrainState) -> TrainState:
        """Return a checkpoint's state; arguments and errors as `restore_variables`."""
        step = self._step(which)
        restored = self._manager.restore(
            step,
            args=ocp.args.Composite(
                variables=ocp.args.StandardRestore(_abstract(state.variables)),
                training=ocp.args.StandardRestore(_abstract(_training(state))),
            ),
        )
        return TrainState(**restored["training"], **restored["variables"])

    def restore_variables(self, which: str, variables: Any) -> tuple[dict[str, Any], int]:
        """Return a checkpoint's variables, in the form of the given ones, and its step.

        Args:
          which: "best", "latest" or a step.
          variables: arrays or shapes.

        Raises:
          UserError: if there is no such checkpoint.
        """
        step = self._step(which)
        try:
            restored = self._manager.restore(
                step, args=ocp.args.Composite(variables=ocp.args.StandardRestore(_abstract(variables)))
            )
        except (ValueError, KeyError) as error:
            raise UserError(
                f"{self._folder / str(step)}: weights of other joints or another network than config.json describes "
                f"({str(error).splitlines()[0][:200]})"
            ) from error
        return restored["variables"], step

    def _step(self, which: str) -> int:
        found = sorted(self._manager.all_steps())
        named = {"best": self._manager.best_step(), "latest": self._manager.latest_step()}
        step = named[which] if which in named else int(which) if which.isdecimal() else None
        if step is None or step not in found:
            steps = ", ".join(map(str, found)) or "none"
            raise UserError(f"{self._folder}: no checkpoint {which!r}, expected best, latest or a step of: {steps}")
        return step


def _training(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "epoch": state.epoch, "opt_state": state.opt_state}


def _abstract(tree: Any) -> Any:
    """Return the tree's shapes with a sharding on this process's first device, whatever device count wrote it."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), tree)
