"""Convert the tensors of official PyTorch checkpoints to our variables, and back.

One table of names, `official_tensors`, serves both directions.

Source: the official code (github.com/ailingzengzzz/Split-and-Recombine-Net, 1b6285c), whose fully connected network has the
tensor names of VideoPose3D.
"""

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.text import described, listed
from srnet_jax.models.pose_lifter import FULLY_CONNECTED, SPLIT_RECOMBINE, PoseLifter, variable_shapes
from srnet_jax.official.files import COUNTER, OfficialCheckpoint, read_checkpoint
from srnet_jax.official.recognition import Stated, assumptions, recognise

_logger = logging.getLogger(__name__)

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
      path: of the transposed array in our variables, such as `("params", "layer_0", "kernel_0")`; empty for a counter.
      channels: start and stop of its part of our array: our BatchNorm of contexts joins those of all groups.
    """

    name: str
    path: tuple[str, ...]
    channels: tuple[int | None, int | None] = (None, None)


def load_official_checkpoint(path: str | Path, **stated: Any) -> tuple[PoseLifter, dict[str, Any]]:
    """Load a network from a checkpoint of the official code or of VideoPose3D; nothing in the file is executed.

    The network, groups, operator, context, filter widths and channels follow from the names and shapes of the tensors; other
    settings follow, if possible, from the other entries of the file. Warnings are logged for all assumptions.

    Args:
      path: a .bin file, in PyTorch's zip format or its older format.
      **stated: settings that the file does not hold, fields of `recognition.Stated`: `causal`, `adds_input`, `activation`,
        `recombine`, `keypoints`, `dense`.

    Returns:
      The model in its dilated form (`model.clone(strided=True)` is the one-frame form), and its variables: `{"params",
      "batch_stats"}`, float32 NumPy arrays.

    Raises:
      DataError: if the file is missing, damaged, not such a checkpoint, or names anything but tensors and numbers.
      ValueError: for an unknown activation or operator.
    """
    options = Stated(**stated)
    checkpoint = read_checkpoint(path)
    model = recognise(checkpoint, options)
    if SPLIT_RECOMBINE in model.connectivity and options.recombine not in (None, model.recombine):
        raise DataError(f"{path}: recombine: found {model.recombine}, expected {options.recombine}, as stated")
    variables = to_variables(model, checkpoint)
    for note in assumptions(checkpoint, model, options):
        _logger.warning("%s: %s", path, note)
    return model, variables


def official_tensors(model: PoseLifter) -> tuple[OfficialTensor, ...]:
    """Return the entries of a network's official state_dict, in PyTorch's order, which is also that of its optimiser."""
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
    """Return variables of the model's shapes and dtypes, all zero, as NumPy arrays."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), variable_shapes(model))


def view(variables: Mapping[str, Any], tensor: OfficialTensor) -> np.ndarray:
    """Return an official tensor as a view of our NumPy variables; writing to the view changes them."""
    leaf: Any = variables
    for key in tensor.path:
        leaf = leaf[key]
    return leaf[slice(*tensor.channels)].T  # Conv1d: [out, in, taps]; ours: [taps, in, out]


def to_variables(model: PoseLifter, checkpoint: OfficialCheckpoint) -> dict[str, Any]:
    """Convert a checkpoint's tensors to the model's variables.

    Raises:
      DataError: if a tensor is missing, has another shape, does not belong to the model, or is not exact in float32.
    """
    wanted = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variable_shapes(model)))
    found = sum(value.size for value in checkpoint.state_dict.values())
    if wanted > 10 * found + 10**6:  # may not fit in memory; a tensor of a slightly wrong size is reported below
        raise DataError(f"{checkpoint.path}: found {found} numbers, expected {wanted} for {model.channels} channels")
    variables, tensors = zero_variables(model), official_tensors(model)
    unknown = set(checkpoint.state_dict) - {tensor.name for tensor in tensors}
    if unknown:
        raise DataError(f"{checkpoint.path}: found {listed(sorted(unknown))}, expected only tensors of this network")
    for tensor in tensors:
        if tensor.path:
            place = view(variables, tensor)
            _fill(place, checkpoint.path, tensor.name, checkpoint.state_dict.get(tensor.name))
            if tensor.path[-1] == "var" and (place < 0).any():
                raise DataError(f"{checkpoint.path}: {tensor.name}: found {place.min():.3g}, expected variances of 0 or more")
    return variables


def to_moments(model: PoseLifter, checkpoint: OfficialCheckpoint) -> tuple[int, dict[str, Any]] | None:
    """Return the state of the checkpoint's AMSGrad optimiser, or None if it has none.

    Returns:
      The number of steps, and `{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"}`: trees like the model's parameters.

    Raises:
      DataError: if the state is damaged or belongs to another network.
    """
    optimizer = checkpoint.rest.get("optimizer")
    optimizer = optimizer if isinstance(optimizer, dict) else {}
    states = optimizer.get("state")
    if not isinstance(states, dict) or not all(isinstance(s, dict) and "max_exp_avg_sq" in s for s in states.values()):
        return None
    trainable = [tensor for tensor in official_tensors(model) if tensor.path[:1] == ("params",)]
    listed = _listed_parameters(checkpoint.path, optimizer)
    if len(listed) < len(trainable) or ("model_traj" not in checkpoint.rest and len(listed) != len(trainable)):
        raise DataError(f"{checkpoint.path}: optimizer: found {len(listed)} parameters, expected {len(trainable)}")
    moments = {name: zero_variables(model) for name in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")}
    steps = 0
    for parameter, tensor in zip(listed, trainable, strict=False):  # the parameters of a trajectory network may follow
        if parameter in states:  # a parameter without a state was never trained
            name, state = f"optimizer state of {tensor.name}", states[parameter]
            step = _checked(checkpoint.path, f"{name}, step", state.get("step"), ())
            if not 0 <= step < 2**31:
                raise DataError(f"{checkpoint.path}: {name}, step: found {step:.3g}, expected 0 or more, below 2^31")
            steps = max(steps, int(step))
            for moment, tree in moments.items():
                _fill(view(tree, tensor), checkpoint.path, f"{name}, {moment}", state.get(moment))
    return steps, {name: tree["params"] for name, tree in moments.items()}


def _listed_parameters(path: Path, optimizer: dict[Any, Any]) -> list[int]:
    """Return the keys of the states in the order of the parameters: 0, 1, ..., or memory addresses before PyTorch 1.6."""
    groups = optimizer.get("param_groups")
    groups = groups if isinstance(groups, list) else []
    lists: list[Any] = [group.get("params") if isinstance(group, dict) else None for group in groups]
    if not lists or not all(isinstance(keys, list) and all(type(key) is int for key in keys) for keys in lists):
        raise DataError(f"{path}: optimizer: found no param_groups, expected lists of its parameters")
    return [key for keys in lists for key in keys]


def _fill(place: np.ndarray, path: Path, name: str, value: Any) -> None:
    """Copy a value of a file to a float32 array; raise a DataError if it would be rounded."""
    place[...] = found = _checked(path, name, value, place.shape)
    if not np.array_equal(place, found):
        wanted = "expected float32 (in PyTorch, save model.float().state_dict())"
        raise DataError(f"{path}: {name}: found {found.dtype} values that float32 would round, {wanted}")


def _checked(path: Path, name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return a value of a file as an array of finite numbers of the expected shape, or raise a DataError."""
    array = np.asarray(value) if isinstance(value, np.ndarray | np.generic | int | float) else None
    if array is None or array.dtype.kind not in "fiu" or array.shape != shape or not np.isfinite(array).all():
        found = "nothing" if value is None else described(value if array is None else array)
        raise DataError(f"{path}: {name}: found {found}, expected finite numbers of shape {shape}")
    return array


def from_variables(model: PoseLifter, variables: Mapping[str, Any], counters: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Convert our NumPy variables to an official state_dict, in PyTorch's order; `counters` are by tensor name."""
    return {
        tensor.name: np.ascontiguousarray(view(variables, tensor)) if tensor.path else np.array(counters[tensor.name], np.int64)
        for tensor in official_tensors(model)
    }
