"""Write and read one checkpoint on disk, and verify its bytes.

It is an Orbax checkpoint of three items: `variables` (needed for evaluation) and `training` (step, epoch and state of the
optimiser), each stored as one array of bytes, and `about`, a JSON object with the position in the epoch, the validation error,
and the name, type, shape and checksum of every array. Every name, type and size is known from the network, and is checked
before memory is allocated.

Note:
  Orbax spends most of a millisecond on each array; one array for all takes a tenth of the time. Orbax does not detect changed
  bytes within an array, hence the checksums.
"""

import dataclasses
import json
import math
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import tensorstore as ts

from srnet_jax.errors import UserError, one_line
from srnet_jax.training.state import TrainState
from srnet_jax.training.steps import Totals, zero_totals

FORMAT_VERSION = 2
RANKED_BY = "validation_mpjpe_mm"
_SMALL = 2**24  # bytes; limit of a JSON file, and of a checkpoint beyond 16 times the bytes of its variables
_MOST_FILES = 1000  # in a checkpoint
UNFINISHED = ".orbax-checkpoint-tmp"  # in the name of a folder that is being written or removed


class DamagedError(Exception):
    """A checkpoint cannot be read, or does not hold what was written."""


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """The complete state from which training continues.

    Attributes:
      state: the state after the last step.
      batch: number of finished batches of the unfinished epoch; 0 after a whole epoch.
      totals: totals over these batches, see `steps.train_step`.
    """

    state: TrainState
    batch: int = 0
    totals: Totals = dataclasses.field(default_factory=zero_totals)

    def to_host(self) -> "Snapshot":
        """Return a copy in NumPy arrays, which later steps cannot overwrite."""
        return jax.tree.map(np.array, self)


jax.tree_util.register_dataclass(Snapshot, data_fields=["state", "totals"], meta_fields=["batch"])


def write(folder: Path, snapshot: Snapshot, validation_mpjpe_mm: float | None) -> None:
    """Write a snapshot of NumPy arrays to a new folder, which appears whole or not at all.

    Args:
      folder: a path whose name is the step.
      snapshot: from `Snapshot.to_host`.
      validation_mpjpe_mm: validation error, millimetres; None within an epoch.
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
    alone = ocp.options.MultiprocessingOptions(  # otherwise orbax waits for all processes of a training
        primary_host=jax.process_index(), active_processes={jax.process_index()}
    )
    handler = ocp.CompositeCheckpointHandler(composite_options=ocp.CompositeOptions(multiprocessing_options=alone))
    ocp.Checkpointer(handler, multiprocessing_options=alone).save(
        folder, args=ocp.args.Composite(**packed, about=ocp.args.JsonSave({**about, "checksum": _checksum_of_json(about)}))
    )


def rank(folder: Path) -> tuple[float | None, int | None]:
    """Return a checkpoint's validation error and the epoch that it ends; either is None if missing or unreadable."""
    try:
        about = _read_about(folder)
    except (DamagedError, UserError):
        return None, None
    return about[RANKED_BY], None if about["batch"] else about["epoch"]


def read_variables(folder: Path, like: Any) -> Any:
    """Read the variables of a checkpoint.

    Args:
      folder: folder of the checkpoint.
      like: a tree of arrays or shapes with the expected structure.

    Raises:
      DamagedError: if the checkpoint is damaged.
      UserError: if the checkpoint holds other arrays, or has a newer version.
    """
    _check_files(folder, like)
    return jax.tree.map(jnp.array, _read_item(folder, _read_about(folder), "variables", like))


def read(folder: Path, like: TrainState) -> Snapshot:
    """Read the snapshot of a checkpoint, in NumPy arrays; arguments and errors are those of `read_variables`."""
    _check_files(folder, like.variables)
    about = _read_about(folder)
    variables = _read_item(folder, about, "variables", like.variables)
    state = TrainState(**_read_item(folder, about, "training", _training(like)), **variables)
    if int(state.step) != about["step"]:
        raise DamagedError(f"training: found step {int(state.step)}, expected {about['step']}")
    return Snapshot(state, about["batch"], jax.tree.map(np.float32, about["totals"]))


def _training(state: TrainState) -> dict[str, Any]:
    return {"step": state.step, "epoch": state.epoch, "opt_state": state.opt_state}


def _named(tree: Any) -> dict[str, Any]:
    """Return a tree's leaves by name, such as `params/layer_0/kernel_0`."""
    paths, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}


def _size(like: Any) -> int:
    return math.prod(like.shape) * np.dtype(like.dtype).itemsize


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(array.tobytes())


def _checksum_of_json(value: Any) -> int:
    return zlib.crc32(json.dumps(value, sort_keys=True).encode())


def _check_files(folder: Path, variables: Any) -> None:
    """Reject anything but a folder of files that is not larger than a checkpoint of these variables can be."""
    most = _SMALL + 16 * sum(map(_size, jax.tree.leaves(variables)))
    for number, entry in enumerate(_entries(folder)):
        if not stat.S_ISDIR(entry.st_mode):
            if not stat.S_ISREG(entry.st_mode):
                raise DamagedError("found a link or a device, expected files")
            most -= entry.st_size
        if most < 0 or number > _MOST_FILES:
            raise DamagedError("larger than its arrays can be")


def _entries(folder: Path) -> Iterator[os.stat_result]:
    """Yield the `os.stat_result` of a folder and of everything in it, without following links."""
    left = [folder]
    while left:
        path = left.pop()
        try:
            found = path.lstat()
            if path is folder and not stat.S_ISDIR(found.st_mode):
                raise DamagedError("not a folder")
            if stat.S_ISDIR(found.st_mode):
                left += path.iterdir()
        except OSError as error:
            raise DamagedError(f"{path.name}: {error.strerror}") from error
        yield found


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = (folder / name).lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_size > _SMALL:
            raise DamagedError(f"{name}: not a file, or larger than {_SMALL:,} bytes")
        value = json.loads((folder / name).read_bytes().decode())
    except OSError as error:
        raise DamagedError(f"{name}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"{name}: not JSON") from error
    if not isinstance(value, dict):
        raise DamagedError(f"{name}: not a JSON object")
    return value


def _read_about(folder: Path) -> dict[str, Any]:
    about = _read_json(folder, "about/metadata")
    version, checksum = about.get("format_version"), about.pop("checksum", None)
    if type(version) is int and version > FORMAT_VERSION:
        raise UserError(f"{folder}: found format_version {one_line(version, 20)}, expected at most {FORMAT_VERSION}")
    if checksum != _checksum_of_json(about):
        raise DamagedError("about: the checksum differs")
    if not _is_about(about):
        raise DamagedError("about: found other entries than a checkpoint has")
    if str(about["step"]) != folder.name:
        raise DamagedError(f"found step {about['step']}, expected {folder.name}")
    return about


def _is_about(about: dict[str, Any]) -> bool:
    """Return whether `about` has exactly the expected entries, with the right types and ranges."""
    if set(about) != {"format_version", "step", "epoch", "batch", "totals", RANKED_BY, "arrays"}:
        return False
    totals, arrays = about["totals"], about["arrays"]
    return (
        about["format_version"] == FORMAT_VERSION
        and all(_is_count(about[name]) for name in ("step", "epoch", "batch"))
        and (about[RANKED_BY] is None or _is_amount(about[RANKED_BY]))
        and isinstance(totals, dict)
        and set(totals) == set(zero_totals())
        and all(_is_amount(value) and value <= float(np.finfo(np.float32).max) for value in totals.values())
        and isinstance(arrays, dict)
        and set(arrays) == {"variables", "training"}
        and all(isinstance(index, list) and all(map(_is_described, index)) for index in arrays.values())
    )


def _is_described(array: Any) -> bool:
    if not (isinstance(array, list) and len(array) == 4):
        return False
    name, kind, shape, checksum = array
    sound = isinstance(name, str) and isinstance(kind, str) and isinstance(shape, list)
    return sound and len(shape) < 10 and all(map(_is_count, shape)) and type(checksum) is int


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**31


def _is_amount(value: Any) -> bool:
    return type(value) is float and value >= 0  # not NaN


def _read_item(folder: Path, about: dict[str, Any], item: str, like: Any) -> Any:
    """Read an item of a checkpoint in the structure of `like`, and verify each array."""
    expected = _named(like)
    index = about["arrays"][item]
    _check_arrays(folder, {name: tuple(shape) for name, _, shape, _ in index}, like)
    if [entry[:2] for entry in index] != [[name, str(x.dtype)] for name, x in expected.items()]:
        raise DamagedError(f"{item}: found arrays of other types")
    sizes = [_size(x) for x in expected.values()]
    packed = _read_bytes(folder, item, sum(sizes))
    parts = np.split(packed, np.cumsum(sizes)[:-1])
    for (name, _, _, checksum), part in zip(index, parts, strict=True):
        if _checksum(part) != checksum:
            raise DamagedError(f"{item}: the checksum of {name} differs")
    found = [part.view(x.dtype).reshape(x.shape) for part, x in zip(parts, expected.values(), strict=True)]
    return jax.tree.unflatten(jax.tree.structure(like), found)


def _read_bytes(folder: Path, item: str, size: int) -> np.ndarray:
    """Read an item's bytes, after checking from the metadata that they are stored in one piece of this size."""
    try:
        text = ts.KvStore.open(_place(folder, item)).result().read(".zarray").result()
        found = json.loads(text.value.decode()) if text.state == "value" else None
    except Exception as error:  # tensorstore raises many kinds
        raise DamagedError(f"{item}: {_in_short(error)}") from error
    expected = {"shape": [size], "chunks": [size], "dtype": "|u1", "filters": None, "zarr_format": 2}
    if not isinstance(found, dict) or expected != {key: found.get(key) for key in expected}:
        raise DamagedError(f"{item}: the stored array has other metadata than was written")
    compressor = found.get("compressor")
    if not (isinstance(compressor, dict) and compressor.get("id") == "zstd"):
        raise DamagedError(f"{item}: the stored array has other metadata than was written")
    try:
        return ts.open({"driver": "zarr", "kvstore": _place(folder, item)}).result().read().result()
    except Exception as error:
        raise DamagedError(f"{item}: {_in_short(error)}") from error


def _place(folder: Path, item: str) -> dict[str, Any]:
    return {"driver": "ocdbt", "base": {"driver": "file", "path": f"{folder}/{item}/"}, "path": "bytes/"}


def _in_short(error: Exception) -> str:
    """Return the beginning of an error message of tensorstore, which can be pages long."""
    return one_line(" ".join(str(error).split()) or type(error).__name__, 120)


def _check_arrays(folder: Path, found: dict[str, tuple[int, ...]], like: Any) -> None:
    """Reject a checkpoint whose arrays have other names or shapes than expected."""
    expected = {name: x.shape for name, x in _named(like).items()}
    for name in [*expected, *found]:
        if found.get(name) != expected.get(name):
            words = [f"shape {shapes[name]}" if name in shapes else "no such array" for shapes in (found, expected)]
            raise UserError(
                f"{folder}: {one_line(name, 100)}: found {words[0]}, expected {words[1]} for the joints and the network of "
                "config.json"
            )
