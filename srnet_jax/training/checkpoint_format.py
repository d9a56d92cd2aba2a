"""One checkpoint on disk: what it holds, and how its bytes are verified.

A checkpoint is an orbax checkpoint of three items: `variables` (what evaluation needs) and `training` (step, epoch and state
of the optimiser), each as one array of bytes, and `about`, JSON: place in the epoch, validation error, and name, type, shape
and checksum of every array. Version 1, which can be read, had a tree of arrays for each item, and nothing but the error beside.

Note:
  Orbax spends most of a millisecond on each array and SRNet has hundreds of small ones: laid behind one another they cost a
  tenth. Orbax and its OCDBT format do not notice changed bytes within an array, hence the checksums.
"""

import dataclasses
import json
import math
import zlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from srnet_jax.errors import UserError
from srnet_jax.training.state import TrainState
from srnet_jax.training.steps import Totals, zero_totals

FORMAT_VERSION = 2
RANKED_BY = "validation_mpjpe_mm"
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written or removed


class DamagedError(Exception):
    """A checkpoint cannot be read, or does not hold what was written."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """All that training continues from.

    Attributes:
      state: after the last step.
      batch: batches of the unfinished epoch that are done, 0 after a whole epoch.
      totals: sums over these batches, see `steps.train_step`.
    """

    state: TrainState
    batch: int = 0
    totals: Totals = dataclasses.field(default_factory=zero_totals)

    def to_host(self) -> "Snapshot":
        """Return a copy in NumPy arrays, which no later step overwrites."""
        return jax.tree.map(np.array, self)


jax.tree_util.register_dataclass(Snapshot, data_fields=["state", "totals"], meta_fields=["batch"])


def write(folder: Path, snapshot: Snapshot, validation_mpjpe_mm: float | None) -> None:
    """Write a snapshot of NumPy arrays to a new folder, which appears whole or not at all.

    Args:
      folder: named by the step.
      snapshot: see `Snapshot.to_host`.
      validation_mpjpe_mm: None within an epoch.
    """
    state = snapshot.state
    items = {"variables": _named(state.variables), "training": _named(_training(state))}
    about = {
        "format_version": FORMAT_VERSION,
        "step": int(state.step),
        "epoch": int(state.epoch),
        "batch": snapshot.batch,
        "totals": {name: float(value) for name, value in snapshot.totals.items()},
        RANKED_BY: validation_mpjpe_mm,
        "arrays": {
            item: [[name, str(x.dtype), list(x.shape), _checksum(x)] for name, x in arrays.items()]
            for item, arrays in items.items()
        },
    }
    packed = {
        item: ocp.args.StandardSave({"bytes": np.concatenate([x.reshape(-1).view(np.uint8) for x in arrays.values()])})
        for item, arrays in items.items()
    }
    _checkpointer().save(
        folder, args=ocp.args.Composite(**packed, about=ocp.args.JsonSave({**about, "checksum": _checksum_of_json(about)}))
    )


def validation_error(folder: Path) -> float | None:
    """Return the validation error of a checkpoint, None if it has none or cannot be read."""
    try:
        value = _read_metrics_1(folder)[RANKED_BY] if _is_version_1(folder) else _read_about(folder)[RANKED_BY]
    except (DamagedError, UserError):
        return None
    return value if isinstance(value, float) else None


def read_variables(folder: Path, like: Any) -> Any:
    """Return the variables of a checkpoint.

    Args:
      folder: of the checkpoint.
      like: a tree of arrays or shapes as it was saved.

    Raises:
      DamagedError: if the checkpoint is damaged.
      UserError: if it holds other arrays, or is of a newer version.
    """
    if _is_version_1(folder):
        return _read_item_1(folder, "variables", like)
    return _read_item(folder, _read_about(folder), "variables", like)


def read(folder: Path, like: TrainState) -> Snapshot:
    """Return the snapshot of a checkpoint; arguments and errors as `read_variables`."""
    if _is_version_1(folder):
        variables, training = (
            _read_item_1(folder, item, tree) for item, tree in (("variables", like.variables), ("training", _training(like)))
        )
        return Snapshot(TrainState(**training, **variables))
    about = _read_about(folder)
    variables, training = (
        _read_item(folder, about, item, tree) for item, tree in (("variables", like.variables), ("training", _training(like)))
    )
    totals = {name: jnp.asarray(value, jnp.float32) for name, value in about["totals"].items()}
    return Snapshot(TrainState(**training, **variables), about["batch"], totals)


def _training(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "epoch": state.epoch, "opt_state": state.opt_state}


def _named(tree: Any) -> dict[str, Any]:
    """Return a tree's leaves by name, as `params/layer_0/kernel`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}


def _checkpointer() -> ocp.Checkpointer:
    return ocp.Checkpointer(ocp.CompositeCheckpointHandler())


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.tobytes())


def _checksum_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _read_about(folder: Path) -> dict[str, Any]:
    about = _read_json(folder, folder / "about" / "metadata")
    version, checksum = about.get("format_version"), about.pop("checksum", None)
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise UserError(f"{folder}: written by a newer version (format {version}, this one reads up to {FORMAT_VERSION})")
    if checksum != _checksum_of_json(about):
        raise DamagedError("about: the checksum differs")
    if str(about["step"]) != folder.name:
        raise DamagedError(f"holds step {about['step']}")
    return about


def _read_json(folder: Path, file: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise DamagedError("not a folder")
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise DamagedError(f"{file.relative_to(folder)}: {error.strerror}") from error
    except ValueError as error:
        raise DamagedError(f"{file.relative_to(folder)}: not JSON") from error
    if not isinstance(value, dict):
        raise DamagedError(f"{file.relative_to(folder)}: not a JSON object")
    return value


def _read_item(folder: Path, about: dict[str, Any], item: str, like: Any) -> Any:
    """Return an item of a checkpoint, each array verified, in the form of `like`."""
    index = about["arrays"][item]
    _check_arrays(folder, {name: tuple(shape) for name, _, shape, _ in index}, like)
    sizes = [math.prod(shape) * np.dtype(kind).itemsize for _, kind, shape, _ in index]
    stored = {"bytes": np.empty(sum(sizes), np.uint8)}
    packed = _restore(folder, item, stored)["bytes"]
    if packed.shape != stored["bytes"].shape:
        raise DamagedError(f"{item}: {packed.size:,} bytes, expected {sum(sizes):,}")
    found = {}
    for (name, kind, shape, checksum), part in zip(index, np.split(packed, np.cumsum(sizes)[:-1]), strict=True):
        if _checksum(part) != checksum:
            raise DamagedError(f"{item}: the checksum of {name} differs")
        found[name] = jnp.array(part.view(kind).reshape(shape))
    return jax.tree.unflatten(jax.tree.structure(like), [found[name] for name in _named(like)])


def _restore(folder: Path, item: str, like: Any) -> Any:
    try:
        return _checkpointer().restore(folder, args=ocp.args.Composite(**{item: ocp.args.StandardRestore(like)}))[item]
    except Exception as error:  # orbax and tensorstore raise many kinds
        raise DamagedError(f"{item}: {_in_short(error)}") from error


def _in_short(error: Exception) -> str:
    """Return the beginning of a message of orbax or tensorstore, which can have pages."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 120 else f"{text[:120]}..."


def _check_arrays(folder: Path, found: dict[str, tuple[int, ...]], like: Any) -> None:
    """Refuse a checkpoint of other arrays than expected."""
    expected = {name: x.shape for name, x in _named(like).items()}
    for name in [*expected, *found]:
        if found.get(name) != expected.get(name):
            words = [f"shape {shapes[name]}" if name in shapes else "no such array" for shapes in (found, expected)]
            raise UserError(
                f"{folder}: {name}: found {words[0]}, expected {words[1]}: other joints or another network than config.json "
                "describes"
            )


def _is_version_1(folder: Path) -> bool:
    return (folder / "metrics").is_dir() and not (folder / "about").exists()


def _read_metrics_1(folder: Path) -> dict[str, Any]:
    return {RANKED_BY: None} | _read_json(folder, folder / "metrics" / "metrics")


def _read_item_1(folder: Path, item: str, like: Any) -> Any:
    """Return an item of a checkpoint of version 1; damage to its values goes unnoticed."""
    try:
        shapes = jax.tree.map(lambda x: np.empty(x.shape), ocp.StandardCheckpointHandler().metadata(folder / item).tree)
    except Exception as error:  # as in _restore
        raise DamagedError(f"{item}: {_in_short(error)}") from error
    if item == "variables":  # the names of the optimiser's differ, its shapes follow from these
        _check_arrays(folder, {name: x.shape for name, x in _named(shapes).items()}, like)
    restored = _restore(folder, item, jax.tree.map(lambda x: np.empty(x.shape, x.dtype), like))
    return jax.tree.map(jnp.array, restored)
