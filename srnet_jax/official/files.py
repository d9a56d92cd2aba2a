"""Find a network's tensors, and the entries saved beside them, in a PyTorch checkpoint file.

The same tensors are saved in many ways: bare, under `model_pos`, `state_dict` or another key, alone or beside an optimiser, and
with the prefixes of the modules around the network (`module.`, `_orig_mod.`, `model.`, `net.`). A network is therefore found by
the name of one of its tensors, anywhere in the file.
"""

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_load import load_torch
from srnet_jax.io.text import described, listed

_ANCHOR = "expand_bn.weight"  # every network of SRNet and VideoPose3D has exactly one tensor of this name
_WRAPPERS = frozenset(  # anywhere in a name
    {"module", "_orig_mod", "_forward_module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
)
COUNTER = "num_batches_tracked"  # a tensor of every BatchNorm that the networks never read
_MAX_DEPTH = 5  # of nested dicts
_MAX_NETWORKS = 10  # in one dict; a damaged file could contain many
_AVERAGES = re.compile(
    r"(?:.*[_.])?(?:ema|swa|teacher|shadow|averaged?|avg)(?:[_.].*)?", re.IGNORECASE
)  # averages of a network
_SETTINGS = ("args", "opt", "opts", "options", "config", "cfg", "hparams", "hyper_parameters")  # entries of the command line
_OPTIMIZERS = ("optimizer", "optimizer_state_dict", "optim", "optimizer_state", "optimizer_states", "optimizers")


@dataclasses.dataclass(frozen=True)
class OfficialCheckpoint:
    """The content of an official checkpoint file.

    Attributes:
      path: the file.
      state_dict: the network's tensors, by name.
      rest: the other entries of the file, such as `epoch`, `lr` and `optimizer`.
      notes: lines for the user about entries that were ignored.
    """

    path: Path
    state_dict: dict[str, np.ndarray]
    rest: dict[str, Any]
    notes: tuple[str, ...] = ()

    def setting(self, name: str, kind: type) -> Any:
        """Return a setting of the training, such as `causal`, if the file has it and it is of this kind; None otherwise.

        A setting may be in a part of the settings, such as `config.model.causal`. The outermost place counts; None if several
        places of one depth contradict each other.
        """
        nested = [chain for key in _SETTINGS for _, chain in _dicts(self.rest.get(key))]
        for depth in range(_MAX_DEPTH + 1):
            places = [chain[-1] for chain in nested if len(chain) == depth] if depth else [self.rest]
            found = {value for place in places if type(value := _unboxed(place.get(name))) is kind}
            if found:
                return found.pop() if len(found) == 1 else None
        return None


@dataclasses.dataclass(frozen=True)
class _Network:
    """A network found in a file.

    Attributes:
      place: the keys that lead to the network, and the prefix of its names, for messages.
      tensors: its entries, by name without the prefix.
      others: keys of the entries in the same dict that lack the prefix.
      dicts: the nested dicts that lead to it, from the outermost to its own.
    """

    place: tuple[str, ...]
    tensors: dict[str, Any]
    others: tuple[str, ...]
    dicts: tuple[dict[Any, Any], ...]


def read_checkpoint(path: str | Path) -> OfficialCheckpoint:
    """Read a checkpoint, or a bare state_dict; nothing in the file is executed.

    Raises:
      DataError: if the file is missing or damaged, or holds no network of SRNet or VideoPose3D, or more than one.
    """
    found = load_torch(path)
    is_row = isinstance(found, list | tuple)  # such as (epoch, state_dict)
    dicts = list(_dicts({f"item {number}": value for number, value in enumerate(found)} if is_row else found))
    with naming(path):
        named = [network for place, chain in dicts for network in _networks(place, chain)]
        of_tensors = [network for network in named if isinstance(network.tensors.get(_ANCHOR), np.ndarray)]
        networks = of_tensors or named  # shapes, or an optimiser's states, may have the tensors' names
        if not networks:
            tensors = [chain[-1] for _, chain in dicts if any(isinstance(value, np.ndarray) for value in chain[-1].values())]
            have = listed(tensors[0] if tensors else found) if isinstance(found, dict) else described(found)
            raise DataError(f"found {have}, expected a checkpoint of SRNet or VideoPose3D with the tensor {_ANCHOR}")
        network = _chosen(networks)
    for name, value in network.tensors.items():
        if not isinstance(value, np.ndarray):
            raise DataError(f"{path}: {listed([name])}: found {described(value)}, expected a tensor")
        is_counter = name.endswith(f".{COUNTER}")
        if value.dtype.kind not in "fiu" or not (is_counter or np.isfinite(value).all()):
            raise DataError(f"{path}: {listed([name])}: found {value.dtype} values, expected finite numbers")
    rest = _rest(network)
    left_out = [*("".join(other.place[:1]) for other in networks if other is not network), *network.others]
    notes = [f"left out: {listed(left_out)}"] if left_out else []
    return OfficialCheckpoint(Path(path), network.tensors, rest, tuple(notes))


def _dicts(found: Any) -> Iterator[tuple[tuple[str, ...], tuple[dict[Any, Any], ...]]]:
    """Yield, once for each dict in a file, the keys and the dicts that lead to it, the outermost first."""
    waiting: collections.deque[tuple[tuple[str, ...], tuple[Any, ...]]] = collections.deque([((), (found,))])
    seen: set[int] = set()
    while waiting:
        place, chain = waiting.popleft()
        value = chain[-1]
        if isinstance(value, dict) and id(value) not in seen and len(chain) <= _MAX_DEPTH:
            seen.add(id(value))
            yield place, chain
            for key, inner in value.items():
                row = inner if isinstance(inner, list) and id(inner) not in seen else []
                seen.update([id(inner)] if row else [])
                inside = [((*place, str(key), f"item {number}"), item) for number, item in enumerate(row)]
                inside = inside or [((*place, str(key)), inner)]
                waiting += [(names, (*chain, item)) for names, item in inside if isinstance(item, dict)]


def _unboxed(value: Any) -> Any:
    """Return the value of an item of OmegaConf's DictConfig, or a value itself."""
    return value["_val"] if isinstance(value, dict) and "_val" in value else value


def _networks(place: tuple[str, ...], chain: tuple[dict[Any, Any], ...]) -> Iterator[_Network]:
    """Yield the networks whose tensors are in the last of the nested dicts."""
    names = [key for key in chain[-1] if isinstance(key, str)]
    anchors = [name for name in names if f".{_unwrapped(name)}".endswith(f".{_ANCHOR}")]
    if len(anchors) > _MAX_NETWORKS:
        raise DataError(f"found {len(anchors)} networks, expected one")
    for prefix in dict.fromkeys(anchor[: anchor.rindex(_ANCHOR.partition(".")[0])] for anchor in anchors):
        inside = dict.fromkeys(name for name in names if name.startswith(prefix))
        tensors = {_unwrapped(name.removeprefix(prefix)): chain[-1][name] for name in inside}
        if len(tensors) < len(inside):
            raise DataError("found tensors whose names differ only in wrappers such as `module.`, expected one network")
        own = (*place, prefix.rstrip(".")) if prefix else place
        yield _Network(own, tensors, tuple(str(key) for key in chain[-1] if key not in inside), chain)


def _unwrapped(name: str) -> str:
    """Return a tensor's name without the names of wrapper modules."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _chosen(networks: list[_Network]) -> _Network:
    """Return the one network that lifts poses: `model_pos` if there is one, and the network itself before its averages.

    VideoPose3D's trajectory network has the same tensor names, but only one joint. An average of the network over the training
    (`model_ema`) has them too; the optimiser beside it belongs to the network itself.

    Raises:
      DataError: if there is no such network, or more than one.
    """
    lifters = [network for network in networks if not _is_trajectory(network)]
    if not lifters:
        raise DataError("found only a trajectory network (one joint), expected a network that lifts poses")
    chosen = [network for network in lifters if "model_pos" in network.place] or lifters
    trained = [network for network in chosen if not any(map(_AVERAGES.fullmatch, network.place))]
    chosen = trained or chosen
    if len(chosen) > 1:
        places = listed(".".join(network.place) for network in chosen)
        raise DataError(f"found {len(chosen)} networks, {places}, expected one network in a file: save its state_dict alone")
    return chosen[0]


def _is_trajectory(network: _Network) -> bool:
    last = network.tensors.get("shrink.weight")
    return isinstance(last, np.ndarray) and last.ndim == 3 and len(last) == 3  # graph networks have rank 4


def _rest(network: _Network) -> dict[str, Any]:
    """Return the entries beside a network in its file; the optimiser is renamed to `optimizer`."""
    rest: dict[str, Any] = {}
    for outer, inner in itertools.pairwise(network.dicts):
        rest |= {key: value for key, value in outer.items() if isinstance(key, str) and value is not inner}
    optimizers = [rest[name] for name in _OPTIMIZERS if name in rest]
    optimizers = [found[0] if isinstance(found, list) and len(found) == 1 else found for found in optimizers]
    return rest | ({"optimizer": optimizers[0]} if optimizers else {})
