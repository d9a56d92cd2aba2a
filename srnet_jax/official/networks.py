"""Official PyTorch checkpoints: which network a file holds, and its tensors under our names.

The same table of names serves both ways; `official_tensors` lists it in PyTorch's order.

Source: the official code (github.com/ailingzengzzz/Split-and-Recombine-Net, 1b6285c), whose fully connected network has the
names of VideoPose3D's.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.config.schema import ACTIVATIONS
from srnet_jax.errors import DataError
from srnet_jax.io.safe_load import load_torch
from srnet_jax.io.text import described, listed
from srnet_jax.models.pose_lifter import FULLY_CONNECTED, SPLIT_RECOMBINE, PoseLifter, connectivity_plan, variable_shapes
from srnet_jax.pose.skeleton import body_groups

_logger = logging.getLogger(__name__)

_MAX_FIELD = 100_000  # frames; a network that sees more is a damaged file
_MAX_BLOCKS = 100  # of two layers; the official ones have at most 4
_MIN_CHANNELS = 17  # as config.model.channels
COUNTER = "num_batches_tracked"  # of every BatchNorm; the networks never read it
_NORM = (
    ("weight", ("params", "scale")),
    ("bias", ("params", "bias")),
    ("running_mean", ("batch_stats", "mean")),
    ("running_var", ("batch_stats", "var")),
)


@dataclasses.dataclass(frozen=True)
class OfficialTensor:
    """One entry of an official state_dict.

    Attributes:
      name: its key.
      path: where our variables hold it, transposed: `("params", "layer_0", "kernel_0")`; empty for a counter.
      channels: first and end of its part of our array: the context BatchNorms of all groups are one of ours.
    """

    name: str
    path: tuple[str, ...]
    channels: tuple[int | None, int | None] = (None, None)


@dataclasses.dataclass(frozen=True)
class OfficialCheckpoint:
    """What an official file holds.

    Attributes:
      path: the file.
      state_dict: the network's tensors, by name.
      rest: what else the file holds: `epoch`, `lr`, `optimizer` and others, as far as present.
    """

    path: Path
    state_dict: dict[str, np.ndarray]
    rest: dict[str, Any]


def load_official_checkpoint(
    path: str | Path,
    *,
    causal: bool = False,
    adds_input: bool = False,
    activation: str = "leaky_relu",
    recombine: str = "multiply",
) -> tuple[PoseLifter, dict[str, Any]]:
    """Load a network from a checkpoint of the official code or of VideoPose3D; nothing in the file is executed.

    Kind of network, groups, operator, context, filter widths and channels follow from the tensors' names and shapes; the
    arguments give the rest. A temporal network with concatenated context gets `bug_compatible`, and a log line says so.

    Args:
      path: a .bin file, in PyTorch's zip format or the one before it.
      causal: the network was trained with the official `--causal`.
      adds_input: it was trained with the official `--norm lcn`, where the 2D input is added to the output's x and y.
      activation: "leaky_relu", or "relu" for VideoPose3D's own checkpoints.
      recombine: "add", or else multiply, where both fit: with context from all joints and without concatenation.

    Returns:
      The model in its dilated form (`model.clone(strided=True)` is the one-frame form), and its variables: `{"params",
      "batch_stats"}`, float32 NumPy arrays.

    Raises:
      DataError: if the file is missing, damaged, not such a checkpoint, or asks for more than tensors and numbers.
      ValueError: for another activation.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}, expected one of {', '.join(ACTIVATIONS)}")
    checkpoint = read_checkpoint(path)
    model = recognise(checkpoint, causal=causal, adds_input=adds_input, activation=activation, recombine=recombine)
    if model.length_dependent:
        _logger.warning("%s: %s", path, SCRAMBLE_NOTE)
    return model, to_variables(model, checkpoint)


SCRAMBLE_NOTE = "temporal context is concatenated: bug_compatible is on, to scramble it as the official code does"


def read_checkpoint(path: str | Path) -> OfficialCheckpoint:
    """Read a checkpoint, or a bare state_dict; a DataParallel prefix is dropped.

    Raises:
      DataError: as `load_official_checkpoint`.
    """
    found = load_torch(path)
    if not isinstance(found, dict):
        raise DataError(f"{path}: holds {described(found)}, expected a checkpoint: a dict with model_pos")
    tensors = found.get("model_pos", found)
    if not isinstance(tensors, dict) or not tensors or not all(isinstance(value, np.ndarray) for value in tensors.values()):
        raise DataError(f"{path}: found {listed(found)}, expected a checkpoint: a dict with model_pos, a dict of tensors")
    rest = {name: value for name, value in found.items() if name != "model_pos"} if tensors is not found else {}
    state_dict = {str(name).removeprefix("module."): value for name, value in tensors.items()}
    for name, value in state_dict.items():
        if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            raise DataError(f"{path}: {listed([name])} holds {value.dtype} values that are not all finite numbers")
    return OfficialCheckpoint(Path(path), state_dict, rest)


def recognise(checkpoint: OfficialCheckpoint, *, causal: bool, adds_input: bool, activation: str, recombine: str) -> PoseLifter:
    """Return the network that a checkpoint holds; arguments as `load_official_checkpoint`.

    Raises:
      DataError: if it is none that the official code makes.
    """
    tensors, path = checkpoint.state_dict, checkpoint.path
    blocks = len([name for name in tensors if name.startswith("layers_bn.") and name.endswith(".weight")]) // 2
    if blocks > _MAX_BLOCKS:
        raise DataError(f"{path}: found {blocks} blocks of layers, expected at most {_MAX_BLOCKS}")
    fully_connected = "shrink.weight" in tensors
    suffix, last = ".group_conv.0.weight", "final_layer.group_conv.0.weight"
    if fully_connected:
        suffix, last = ".weight", "shrink.weight"
    kernels = [f"{layer}{suffix}" for layer in ("expand_conv", *(f"layers_conv.{2 * i}" for i in range(blocks)))]
    for name, rank in {last: 3, "expand_bn.weight": 1, **dict.fromkeys(kernels, 3)}.items():
        if name not in tensors or tensors[name].ndim != rank or not tensors[name].size:
            have = f"shape {tensors[name].shape}" if name in tensors else listed(tensors)
            raise DataError(
                f"{path}: {name}: found {have}, expected a tensor of rank {rank}, not empty, of an official FC or SR network"
            )
    widths, channels = tuple(tensors[name].shape[2] for name in kernels), len(tensors["expand_bn.weight"])
    if not all(width % 2 for width in widths) or math.prod(widths) > _MAX_FIELD:
        raise DataError(f"{path}: filter widths {widths[:12]}, expected odd numbers that see at most {_MAX_FIELD} frames")
    if channels < _MIN_CHANNELS:
        raise DataError(f"{path}: expand_bn has {channels} channels, expected {_MIN_CHANNELS} or more")
    dense = tuple((widths[0] - 1) * widths[0] ** block + 1 for block in range(1 + blocks))
    if blocks and widths[0] > 1 and widths == dense:
        raise DataError(f"{path}: filter widths {widths} are those of VideoPose3D's --dense network, which is not supported")
    options: dict[str, Any] = {}
    groups: tuple[tuple[int, ...], ...]
    if fully_connected:
        network, groups = "fc", (tuple(range(tensors["expand_conv.weight"].shape[1] // 2)),)
        if not groups[0]:
            raise DataError(f"{path}: expand_conv.weight has 0 input joints, expected 17")
    else:
        count = len([name for name in tensors if name.startswith("expand_conv.group_conv.")])
        if count not in (2, 3, 5):
            raise DataError(f"{path}: expand_conv has {count} groups, expected 2, 3 or 5")
        network, groups = "gp", body_groups(count)
    if not fully_connected and any(".m_conv." in name for name in tensors):
        network, context_from = "sr", "all" if any(".get_all_info." in name for name in tensors) else "others"
        if tensors["expand_conv.group_conv.0.weight"].shape[1] == 2 * len(groups[0]) + 1:
            recombine = "concat"
        elif context_from == "others":
            recombine = "multiply" if any(".get_part_info.layers_bn." in name for name in tensors) else "add"
        elif recombine != "add":
            recombine = "multiply"
        scrambled = recombine == "concat" and max(widths) > 1
        options = {"recombine": recombine, "context_from": context_from, "bug_compatible": scrambled}
    options |= {"causal": causal, "adds_input": adds_input, "activation": activation}
    plan = connectivity_plan(network, 2 * (1 + blocks))
    return PoseLifter(plan, joint_groups=groups, filter_widths=widths, channels=channels, **options)


def official_tensors(model: PoseLifter) -> tuple[OfficialTensor, ...]:
    """Return the entries of a network's official state_dict, in its order; parameters among them in the optimiser's."""
    plans = model.layer_plans()
    hidden = range(len(plans) - 2)
    expand, last = _layer_tensors(model, "expand_conv", 0), len(plans) - 1
    if plans[0].connectivity == FULLY_CONNECTED:
        ends = [*_layer_tensors(model, "shrink", last), *expand]
    else:
        ends = [*expand, *_layer_tensors(model, "final_layer", last)]
    return (
        *_norm_tensors("expand_bn", "norm_0"),
        *ends,
        *(tensor for i in hidden for tensor in _layer_tensors(model, f"layers_conv.{i}", i + 1)),
        *(tensor for i in hidden for tensor in _norm_tensors(f"layers_bn.{i}", f"norm_{i + 1}")),
    )


def _norm_tensors(name: str, *module: str, channels: tuple[int | None, int | None] = (None, None)) -> Iterator[OfficialTensor]:
    for theirs, (collection, ours) in _NORM:
        yield OfficialTensor(f"{name}.{theirs}", (collection, *module, ours), channels)
    yield OfficialTensor(f"{name}.{COUNTER}", ())


def _layer_tensors(model: PoseLifter, name: str, index: int) -> Iterator[OfficialTensor]:
    plan, path = model.layer_plans()[index], ("params", f"layer_{index}")
    if plan.connectivity == FULLY_CONNECTED:
        yield OfficialTensor(f"{name}.weight", (*path, "kernel_0"))
        if plan.use_bias:
            yield OfficialTensor(f"{name}.bias", (*path, "bias"))
        return
    groups = range(len(plan.groups))
    for g in groups:
        yield OfficialTensor(f"{name}.group_conv.{g}.weight", (*path, f"kernel_{g}"))
    if plan.connectivity != SPLIT_RECOMBINE:
        return
    context = f"{name}.get_{'part' if model.context_from == 'others' else 'all'}_info"
    if model.recombine == "multiply" and model.context_from == "others":
        for g in groups:
            channels = (g * plan.kernel_size, (g + 1) * plan.kernel_size)
            yield from _norm_tensors(f"{context}.layers_bn.{g}", f"layer_{index}", "context_norm", channels=channels)
    for g in groups:
        yield OfficialTensor(f"{context}.m_conv.{g}.weight", (*path, f"context_kernel_{g}"))
        yield OfficialTensor(f"{context}.m_conv.{g}.bias", (*path, f"context_bias_{g}"))


def zero_variables(model: PoseLifter) -> dict[str, Any]:
    """Return the model's variables, all zero, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variable_shapes(model))


def view(variables: Mapping[str, Any], tensor: OfficialTensor) -> np.ndarray:
    """Return an official tensor as a view of our NumPy variables: writing to it writes to them."""
    leaf: Any = variables
    for key in tensor.path:
        leaf = leaf[key]
    return leaf[slice(*tensor.channels)].T  # Conv1d holds [out, in, taps], we hold [taps, in, out]


def to_variables(model: PoseLifter, checkpoint: OfficialCheckpoint) -> dict[str, Any]:
    """Return a checkpoint's tensors as the model's variables.

    Raises:
      DataError: if a tensor is missing, has another shape, is not the model's, or holds more than float32 can.
    """
    wanted = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variable_shapes(model)))
    found = sum(value.size for value in checkpoint.state_dict.values())
    if wanted > 10 * found + 10**6:  # it may not fit in memory; a tensor that is only too small is named below
        raise DataError(f"{checkpoint.path}: holds {found} numbers, expected {wanted} for {model.channels} channels")
    variables, tensors = zero_variables(model), official_tensors(model)
    unknown = set(checkpoint.state_dict) - {tensor.name for tensor in tensors}
    if unknown:
        raise DataError(f"{checkpoint.path}: found {listed(sorted(unknown))}, which this network does not have")
    for tensor in tensors:
        if tensor.path:
            _fill(view(variables, tensor), checkpoint.path, tensor.name, checkpoint.state_dict.get(tensor.name))
    return variables


def to_moments(model: PoseLifter, checkpoint: OfficialCheckpoint) -> tuple[int, dict[str, Any]] | None:
    """Return the state of the checkpoint's AMSGrad, or None if it holds none.

    Returns:
      The number of steps, and `{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}`: trees like the model's parameters.

    Raises:
      DataError: if it is damaged or belongs to another network.
    """
    optimizer = checkpoint.rest.get("optimizer")
    optimizer = optimizer if isinstance(optimizer, dict) else {}
    states = optimizer.get("state")
    if not isinstance(states, dict) or not all(isinstance(s, dict) and "max_exp_avg_sq" in s for s in states.values()):
        return None
    trainable = [tensor for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
    listed = _listed_parameters(checkpoint.path, optimizer)
    if len(listed) < len(trainable) or ("model_traj" not in checkpoint.rest and len(listed) != len(trainable)):
        raise DataError(f"{checkpoint.path}: optimizer has {len(listed)} parameters, expected {len(trainable)}")
    moments = {name: zero_variables(model) for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
    steps = 0
    for parameter, tensor in zip(listed, trainable, strict=False):  # a trajectory network's parameters follow these
        if parameter in states:  # else it was never trained
            name, state = f"optimizer state of {tensor.name}", states[parameter]
            step = _checked(checkpoint.path, f"{name}, step", state.get("step"), ())
            if not 0 <= step < 2**31:
                raise DataError(f"{checkpoint.path}: {name}, step: found {step:.3g}, expected 0 or more, below 2^31")
            steps = max(steps, int(step))
            for moment, tree in moments.items():
                _fill(view(tree, tensor), checkpoint.path, f"{name}, {moment}", state.get(moment))
    return steps, {name: tree["params"] for name, tree in moments.items()}


def _listed_parameters(path: Path, optimizer: dict[Any, Any]) -> list[int]:
    """Return the keys of the parameters' states in the parameters' order: 0, 1, ..., or memory addresses before PyTorch 1.6."""
    groups = optimizer.get("param_groups")
    groups = groups if isinstance(groups, list) else []
    lists: list[Any] = [group.get("params") if isinstance(group, dict) else None for group in groups]
    if not lists or not all(isinstance(keys, list) and all(type(key) is int for key in keys) for keys in lists):
        raise DataError(f"{path}: optimizer has no param_groups, expected lists of its parameters")
    return [key for keys in lists for key in keys]


def _fill(place: np.ndarray, path: Path, name: str, value: Any) -> None:
    """Write a value of a file to a float32 array, exactly."""
    place[...] = found = _checked(path, name, value, place.shape)
    if not np.array_equal(place, found):
        raise DataError(f"{path}: {name}: holds {found.dtype} values that float32 rounds, expected float32")


def _checked(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a value of a file as an array of the expected shape, or raise a DataError."""
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | int | float) else None
    if array is None or array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
        found = "nothing" if value is None else described(value if array is None else array)
        raise DataError(f"{path}: {name}: found {found}, expected finite numbers of shape {shape}")
    return array


def from_variables(model: PoseLifter, variables: Mapping[str, Any], counters: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Return the official state_dict of our NumPy variables, in its order; `counters` by name."""
    return {
        tensor.name: np.ascontiguousarray(view(variables, tensor)) if tensor.path else np.array(counters[tensor.name], np.int64)
        for tensor in official_tensors(model)
    }
