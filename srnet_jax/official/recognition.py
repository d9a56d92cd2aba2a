"""Recognise the network that an official checkpoint holds.

Most settings follow from the names and shapes of the tensors. The others are stated by the user, follow from other entries of
the file, or are assumed, with a note to the user.
"""

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.config.schema import ACTIVATIONS
from srnet_jax.errors import DataError
from srnet_jax.io.text import listed, shown
from srnet_jax.models.pose_lifter import PoseLifter, connectivity_plan
from srnet_jax.official.files import OfficialCheckpoint
from srnet_jax.pose.skeleton import body_groups

ERRORS = ("loss 3d train", "loss 3d eval", "loss 3d test")  # entries of the official SRNet code: MPJPE, mm
_VIDEOPOSE3D = ("model_traj", "random_state_semi")  # entries of VideoPose3D, usually None
_OTHER_NORMS = ("base", "proj", "weak_proj")  # values of the official `--norm` beside lcn
_ACTIVATIONS = {"relu": "relu", "leakyrelu": "leaky_relu", "lrelu": "leaky_relu"}  # as programs spell them: our names
_MAX_FIELD = 100_000  # frames; a larger receptive field means a damaged file
_MAX_BLOCKS = 100  # of two layers; the official networks have at most 4
_MIN_CHANNELS = 17  # the minimum of config.model.channels


@dataclasses.dataclass(frozen=True)
class Stated:
    """Settings of a checkpoint's network that the user states, because the tensors do not show them.

    Attributes:
      causal: the network was trained with `--causal`; None for what the file says, or False.
      adds_input: it was trained with the official `--norm lcn`, which adds the 2D input to the output's x and y; None for what
        the file says, or False.
      activation: "leaky_relu" or "relu"; None for that of `trained_activation`.
      recombine: "add" or "multiply", if both fit (context from all joints, not concatenated); None for what the file says, or
        "multiply".
      keypoints: their number; each has two values, or three with a confidence; None for a number that fits the 3D joints.
      dense: whether kernels have a tap at every frame (VideoPose3D's `--dense`); None for what the file says, or to decide by
        the filter widths.
    """

    causal: bool | None = None
    adds_input: bool | None = None
    activation: str | None = None
    recombine: str | None = None
    keypoints: int | None = None
    dense: bool | None = None

    def __post_init__(self) -> None:
        for name, allowed in (("activation", tuple(ACTIVATIONS)), ("recombine", ("multiply", "add", "concat"))):
            if getattr(self, name) not in (None, *allowed):
                raise ValueError(f"{name}: found {getattr(self, name)!r}, expected one of {', '.join(allowed)}")


def _saved(checkpoint: OfficialCheckpoint) -> dict[str, Any]:
    """Return the fields of `Stated` that are among the settings saved beside the tensors, such as an `args` of argparse."""
    recombine = checkpoint.setting("recombine", str)
    found = {
        "causal": checkpoint.setting("causal", bool),
        "adds_input": {"lcn": True, **dict.fromkeys(_OTHER_NORMS, False)}.get(checkpoint.setting("norm", str)),
        "recombine": recombine if recombine in ("multiply", "add") else None,
        "dense": checkpoint.setting("dense", bool),
    }
    return {name: value for name, value in found.items() if value is not None}


def _completed(checkpoint: OfficialCheckpoint, stated: Stated) -> Stated:
    """Return what is stated, completed by the settings in the file.

    Raises:
      DataError: if they contradict each other.
    """
    saved = _saved(checkpoint)
    for name, value in saved.items():
        own = getattr(stated, name)
        if own not in (None, value):
            found = f"found {value} in the settings saved in the file"
            raise DataError(f"{checkpoint.path}: {name}: {found}, expected {own}, as stated (config.model.{name})")
    return dataclasses.replace(stated, **saved)


def recognise(checkpoint: OfficialCheckpoint, stated: Stated = Stated()) -> PoseLifter:
    """Return the model that fits a checkpoint's network.

    Raises:
      DataError: if the network is not one of the official code or of VideoPose3D.
    """
    tensors, path, said = checkpoint.state_dict, checkpoint.path, stated.dense
    stated = _completed(checkpoint, stated)
    fully_connected = "shrink.weight" in tensors
    kernels = _kernels(tensors, fully_connected, path)
    channels = len(tensors["expand_bn.weight"])
    if channels < _MIN_CHANNELS:
        raise DataError(f"{path}: expand_bn: found {channels} channels, expected {_MIN_CHANNELS} or more")
    sparse = _sparse_widths(kernels) if fully_connected else None
    dense = sparse is not None and stated.dense is not False
    if said and not dense:
        raise DataError(f"{path}: filter widths {kernels}, expected those of VideoPose3D's --dense, such as (3, 7, 19)")
    widths = sparse if sparse and dense else kernels
    if math.prod(widths) > _MAX_FIELD:
        raise DataError(f"{path}: filter widths {widths[:12]}, expected odd numbers that see at most {_MAX_FIELD} frames")
    options: dict[str, Any] = {"causal": bool(stated.causal), "adds_input": bool(stated.adds_input)}
    options["dense"] = dense
    if not stated.activation and (found := _saved_activation(checkpoint)) not in ("", *ACTIVATIONS):
        expected = f"expected {' or '.join(ACTIVATIONS)} (config.model.activation)"
        raise DataError(f"{path}: activation: found {shown(found)} in the settings saved in the file, {expected}")
    options["activation"] = stated.activation or trained_activation(checkpoint)[0]
    if fully_connected:
        network, (groups, seen) = "fc", _joints(tensors, stated, path)
        options |= seen
    else:
        network, groups = "gp", _groups(tensors, path)
    if not fully_connected and any(".m_conv." in name for name in tensors):
        network = "sr"
        options |= _context(tensors, groups, kernels, stated)
    plan = connectivity_plan(network, 2 * len(widths))
    return PoseLifter(plan, joint_groups=groups, filter_widths=widths, channels=channels, **options)


def _kernels(tensors: Mapping[str, np.ndarray], fully_connected: bool, path: Path) -> tuple[int, ...]:
    """Check the ranks of the tensors that identify the network; return its kernel sizes, one for each block."""
    blocks = len([name for name in tensors if name.startswith("layers_bn.") and name.endswith(".weight")]) // 2
    if blocks > _MAX_BLOCKS:
        raise DataError(f"{path}: found {blocks} blocks of layers, expected at most {_MAX_BLOCKS}")
    suffix, last = ".group_conv.0.weight", "final_layer.group_conv.0.weight"
    if fully_connected:
        suffix, last = ".weight", "shrink.weight"
    kernels = [f"{layer}{suffix}" for layer in ("expand_conv", *(f"layers_conv.{2 * i}" for i in range(blocks)))]
    for name, rank in {last: 3, "expand_bn.weight": 1, **dict.fromkeys(kernels, 3)}.items():
        if name not in tensors or tensors[name].ndim != rank or not tensors[name].size:
            have = f"shape {tensors[name].shape}" if name in tensors else listed(tensors)
            raise DataError(
                f"{path}: {name}: found {have}, expected a non-empty tensor of rank {rank}, as in official FC and SR networks"
            )
    widths = tuple(tensors[name].shape[2] for name in kernels)
    if not all(width % 2 for width in widths):
        raise DataError(f"{path}: filter widths {widths[:12]}, expected odd numbers that see at most {_MAX_FIELD} frames")
    return widths


def _sparse_widths(kernels: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the filter widths for which VideoPose3D's `--dense` gives these kernel sizes, or None if there are none.

    A dense kernel has a tap at every frame that the dilated kernel spans: 3, 7, 19 for filter widths 3, 3, 3. Equal kernels of
    more than one frame are never dense.
    """
    widths, field = [kernels[0]], kernels[0]
    for kernel in kernels[1:]:
        width, left = divmod(kernel - 1, field)
        if left or width % 2:
            return None
        widths.append(width + 1)
        field *= width + 1
    return None if tuple(widths) == kernels else tuple(widths)


def _joints(
    tensors: Mapping[str, np.ndarray], stated: Stated, path: Path
) -> tuple[tuple[tuple[int, ...], ...], dict[str, Any]]:
    """Return the joint groups of a fully connected network, and the fields of `PoseLifter` that describe its input."""
    inputs, outputs = tensors["expand_conv.weight"].shape[1], tensors["shrink.weight"].shape[0]
    joints, left = divmod(outputs, 3)
    if left or not joints:
        raise DataError(f"{path}: shrink.weight: found {outputs} outputs, expected 3 for each joint")
    keypoints = _keypoints(inputs, joints, stated.keypoints, path)
    if stated.adds_input and keypoints != joints:
        raise DataError(f"{path}: adds_input: found {keypoints} keypoints and {joints} joints, expected equal numbers")
    seen: dict[str, Any] = {"confidences": inputs == 3 * keypoints}
    if keypoints != joints:
        seen["input_groups"] = (tuple(range(keypoints)),)
    return (tuple(range(joints)),), seen


def _keypoints(inputs: int, joints: int, stated: int | None, path: Path) -> int:
    """Return the number of keypoints of a network with this many inputs: 2 for each, or 3 with confidences.

    If both fit, the number of 3D joints decides.
    """
    if stated is not None:
        if inputs not in (2 * stated, 3 * stated):
            raise DataError(
                f"{path}: expand_conv.weight: found {inputs} inputs, expected 2 or 3 for each of {stated} keypoints"
            )
        return stated
    fitting = [inputs // features for features in (2, 3) if inputs and inputs % features == 0]
    if joints in fitting:
        return joints
    if len(fitting) != 1:
        found = (
            " or ".join(f"{count} keypoints of {inputs // count} numbers" for count in fitting)
            or "neither 2 nor 3 for each keypoint"
        )
        expected = "--config.model.input_joints=... (or keypoints=...)" if fitting else "2 or 3 for each keypoint"
        raise DataError(f"{path}: expand_conv.weight: found {inputs} inputs, {found}, expected {expected}")
    return fitting[0]


def _groups(tensors: Mapping[str, np.ndarray], path: Path) -> tuple[tuple[int, ...], ...]:
    """Return the joint groups of a group-connected or split-recombine network."""
    count = len([name for name in tensors if name.startswith("expand_conv.group_conv.")])
    if count not in (2, 3, 5):
        raise DataError(f"{path}: expand_conv: found {count} groups, expected 2, 3 or 5")
    return body_groups(count)


def _context(
    tensors: Mapping[str, np.ndarray], groups: tuple[tuple[int, ...], ...], kernels: tuple[int, ...], stated: Stated
) -> dict[str, Any]:
    """Return the fields of `PoseLifter` that describe how a split-recombine network recombines."""
    context_from = "all" if any(".get_all_info." in name for name in tensors) else "others"
    if tensors["expand_conv.group_conv.0.weight"].shape[1] == 2 * len(groups[0]) + 1:
        recombine = "concat"
    elif context_from == "others":
        recombine = "multiply" if any(".get_part_info.layers_bn." in name for name in tensors) else "add"
    else:
        recombine = "add" if stated.recombine == "add" else "multiply"
    scrambled = recombine == "concat" and max(kernels) > 1
    return {"recombine": recombine, "context_from": context_from, "bug_compatible": scrambled}


def trained_activation(checkpoint: OfficialCheckpoint) -> tuple[str, bool]:
    """Return the activation that a network was trained with, and whether the file determines it.

    The tensors of VideoPose3D's networks (ReLU) and of SRNet's fully connected networks (LeakyReLU) have the same names and
    shapes, but the two programs save different entries beside them. Without such an entry, ReLU is more likely.
    """
    if (named := _saved_activation(checkpoint)) in ACTIVATIONS:
        return named, True
    if "shrink.weight" not in checkpoint.state_dict or any(name in checkpoint.rest for name in ERRORS):
        return "leaky_relu", True
    return "relu", any(name in checkpoint.rest for name in _VIDEOPOSE3D)


def _saved_activation(checkpoint: OfficialCheckpoint) -> str:
    """Return the activation among the settings in the file (also our own exports have it), in our spelling; "" without one."""
    found = checkpoint.setting("activation", str) or ""
    plain = found.rpartition(".")[2].removesuffix("()").replace("_", "").lower()  # such as nn.LeakyReLU
    return _ACTIVATIONS.get(plain, found)


def assumptions(checkpoint: OfficialCheckpoint, model: PoseLifter, stated: Stated) -> list[str]:
    """Return a line for each setting that neither the file nor the user determines, and for entries that were ignored."""
    notes = list(checkpoint.notes)
    saved, stated = _saved(checkpoint), _completed(checkpoint, stated)
    if told := {name: value for name, value in saved.items() if value}:
        notes.append(f"the settings saved in the file say {', '.join(f'{name}={value}' for name, value in told.items())}")
    activation, known = trained_activation(checkpoint)
    if stated.activation is None and not known:
        notes.append(
            f"the file does not distinguish networks of VideoPose3D (ReLU) from fully connected ones of SRNet (LeakyReLU): "
            f"activation={activation} is ASSUMED; set activation=leaky_relu (--config.model.activation) for SRNet's code"
        )
    if stated.activation not in (None, activation) and known:
        notes.append(f"activation is {stated.activation}, as stated; according to the file it was trained with {activation}")
    if model.dense and stated.dense is None:
        widths = model.filter_widths
        notes.append(f"the kernels fit filter widths {widths} under --dense: dense=True is assumed (--config.model.dense)")
    if model.length_dependent:
        notes.append("temporal context is concatenated: bug_compatible=True, which scrambles it as the official code does")
    if model.recombine != "concat" and model.context_from == "all" and stated.recombine is None:
        notes.append(
            f"the file does not tell multiply from add: recombine={model.recombine} is assumed (--config.model.recombine)"
        )
    if stated.adds_input is None and activation == "leaky_relu" and model.input_shape[0] == model.num_joints:
        notes.append("the file does not tell whether --norm was lcn: adds_input=False is assumed (--config.model.adds_input)")
    if model.receptive_field > 1 and stated.causal is None:
        notes.append(
            "the file does not distinguish causal networks from others: causal=False is assumed (--config.model.causal)"
        )
    return notes
