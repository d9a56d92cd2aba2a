"""The pose lifting networks of the paper (Sec. 3, Fig. 3), as one residual trunk.

The networks differ only in the connectivity of their layers, see `connectivity_plan`. A single-frame network is the temporal
network with filter widths (1, 1, ..., 1).
"""

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.config.schema import ACTIVATIONS, GRAPH_NETWORKS
from srnet_jax.errors import ConfigError
from srnet_jax.models.graph import GraphLifter, create_graph_model
from srnet_jax.models.layers import (
    FULL_BATCH,
    Batch,
    BatchNorm,
    GroupConv,
    SplitRecombineConv,
    drop_out,
    split_widths,
    take_features,
)
from srnet_jax.pose.skeleton import body_groups

FULLY_CONNECTED, GROUP, SPLIT_RECOMBINE = "fully_connected", "group", "split_recombine"


def connectivity_plan(
    network: str,
    num_layers: int,
    *,
    fuse_layer: int = 0,
    split_layer: int = 0,
    link_layers: int = 0,
    split_layers: str = GROUP,
    split_ends: bool = True,
) -> tuple[str, ...]:
    """Return the connectivity of each layer, first to last.

    Args:
      network: `fc` (fully connected), `gp` (group connected), `lf` (late fusion), `es` (early split), `sfs`
        (split-fuse-split) or `sr` (split and recombine).
      num_layers: number of layers, including the first and the last.
      fuse_layer: L_fuse of `lf`: this many first layers are split, the others fully connected (Eq. 7).
      split_layer: L_split of `es`: this many first layers are fully connected, the others split (Eq. 8).
      link_layers: L_link of `sfs`: this many layers in the middle are fully connected; those before and after are split.
      split_layers: connectivity of the split layers of `lf`, `es` and `sfs`, one of SPLIT_LAYERS.
      split_ends: False makes the first and the last layer fully connected in every network; `fuse_layer`, `split_layer` and
        `link_layers` then count the layers between them.

    Raises:
      ValueError: for an unknown network, or a number that does not fit the number of layers.

    Note:
      According to the paper, the first and last layers of its split-fuse-split network are split, but its 3.04 M parameters are
      those of a network whose first and last layers are fully connected, with two fully connected and four group layers between
      them. Both are available.

    Source: paper Sec. 3, "Network Structure", Eq. 7 and 8, Fig. 3 and 4.
    """
    inner = num_layers if split_ends else num_layers - 2
    numbers = {"lf": ("fuse_layer", fuse_layer), "es": ("split_layer", split_layer), "sfs": ("link_layers", link_layers)}
    name, number = numbers.get(network, ("", 0))
    if not 0 <= number <= inner:
        raise ValueError(f"{name} is {number}, expected 0 to {inner} for {num_layers} layers, split_ends {split_ends}")
    if network == "sfs" and (inner - number) % 2:
        raise ValueError(f"link_layers is {number}, expected as many layers before as behind them, {inner} in all")
    first = (inner - number) // 2  # number of split layers of `sfs` before the middle
    plans = {
        "fc": (FULLY_CONNECTED,) * inner,
        "gp": (GROUP,) * inner,
        "lf": (split_layers,) * number + (FULLY_CONNECTED,) * (inner - number),
        "es": (FULLY_CONNECTED,) * number + (split_layers,) * (inner - number),
        "sfs": (split_layers,) * first + (FULLY_CONNECTED,) * number + (split_layers,) * first,
        "sr": (SPLIT_RECOMBINE,) * inner,
    }
    if network not in plans:
        raise ValueError(f"network is {network!r}, expected one of {', '.join(plans)}")
    return plans[network] if split_ends else (FULLY_CONNECTED, *plans[network], FULLY_CONNECTED)


@dataclasses.dataclass(frozen=True)
class LayerPlan:
    """The connectivity and the convolution of one layer of a trunk.

    Attributes:
      connectivity: `fully_connected`, `group` or `split_recombine`.
      groups: input features of each group; a fully connected layer has one group of all features.
      features: output width of each group.
      kernel_size: number of taps over time.
      dilation: frames between two taps in the dilated form; in the strided form it is 1, and the stride is the kernel size.
      use_bias: whether the outputs have a bias.
    """

    connectivity: str
    groups: tuple[tuple[int, ...], ...]
    features: tuple[int, ...]
    kernel_size: int
    dilation: int
    use_bias: bool


def _consecutive(widths: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Return groups of consecutive feature indices with these widths."""
    ends = np.cumsum(widths)
    return tuple(tuple(range(end - width, end)) for end, width in zip(ends.tolist(), widths, strict=True))


class PoseLifter(nn.Module):
    """Lift 2D keypoints to 3D joints with a residual trunk of fully connected, group or split-recombine layers.

    The trunk has `2 * len(filter_widths)` layers: the first, two residual layers for each further filter width (the second with
    one tap), and the last. Each layer but the last is followed by BatchNorm, activation and dropout.

    Attributes:
      connectivity: connectivity of each layer, from `connectivity_plan`.
      joint_groups: the 3D joints of each body part, from `skeleton.body_groups`; they may share the root.
      input_groups: the keypoints of each body part, the same number of groups; () for the groups of the 3D joints.
      confidences: whether each keypoint has a third input feature, its confidence.
      global_group: whether the whole body is an additional, last group, whose output is added to that of the others.
      filter_widths: odd kernel sizes over time; their product is the receptive field, in frames.
      channels: total width of each hidden layer.
      recombine: see `layers.SplitRecombineConv`, also for the four fields below.
      context_dim: H of Eq. 6.
      context_from: "others" or "all".
      context_form: "official" or "paper".
      bug_compatible: scramble concatenated temporal context as the official code does.
      adds_input: add the 2D input of the output frame to its x and y, as the official code does under its `lcn` normalisation.
      causal: an output depends on no later frame.
      dense: kernels have a tap at every frame that the dilated kernels span, as with VideoPose3D's `--dense`.
      strided: True for the training form, which maps windows of exactly `receptive_field` frames to one frame; False for the
        dilated form, which maps T frames to T - receptive_field + 1. Both have the same variables.
      streaming: True for the streaming form of a causal network, which maps one frame to one frame and keeps the features of
        earlier frames in its collection `memory`. An empty memory (`empty_memory`) acts as if the first frame had always been
        visible.
      activation: "leaky_relu" (slope 0.01) or "relu".
      dropout: dropout rate after each activation.
      precision: of matrix products and features: "float32", "tf32" (only products, on a GPU) or "bfloat16"; parameters,
        BatchNorm and outputs are float32.
      context_is_share: set automatically; makes networks with one context feature (1) and with 100 % (1.0) unequal.

    Source: paper Sec. 3 and supplement Sec. 1; details from the official code.
    """

    connectivity: tuple[str, ...]
    joint_groups: tuple[tuple[int, ...], ...]
    filter_widths: tuple[int, ...] = (1, 1, 1, 1)
    channels: int = 1024
    recombine: str = "multiply"
    context_dim: int | float = 1
    context_from: str = "others"
    context_form: str = "official"
    bug_compatible: bool = False
    adds_input: bool = False
    causal: bool = False
    dense: bool = False
    strided: bool = False
    streaming: bool = False
    activation: str = "leaky_relu"
    dropout: float = 0.0
    precision: str = "float32"
    global_group: bool = False
    input_groups: tuple[tuple[int, ...], ...] = ()
    confidences: bool = False
    context_is_share: bool = False

    def __post_init__(self) -> None:
        self.context_is_share = isinstance(self.context_dim, float)
        super().__post_init__()

    @property
    def num_joints(self) -> int:
        """Number of 3D joints, J."""
        return _count(self.joint_groups)

    @property
    def input_shape(self) -> tuple[int, int]:
        """Number of keypoints, K, and of features of each, F: 2 (x, y), or 3 with the confidence."""
        return _count(self.input_groups or self.joint_groups), 3 if self.confidences else 2

    @property
    def branches(self) -> tuple[tuple[int, ...], ...]:
        """The joints of each group, including the group of the whole body if there is one."""
        return self._with_whole(self.joint_groups)

    def _with_whole(self, groups: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return (*groups, tuple(range(_count(groups)))) if self.global_group else groups

    @property
    def receptive_field(self) -> int:
        """Number of input frames that one output frame depends on."""
        return math.prod(self.filter_widths)

    @property
    def length_dependent(self) -> bool:
        """Whether an output frame depends on the length of its sequence, as it does with the official scramble."""
        scrambled = SPLIT_RECOMBINE in self.connectivity and self.recombine == "concat" and bool(self.context_dim)
        return scrambled and self.bug_compatible and max(self.filter_widths) > 1

    def empty_memory(self, people: int) -> dict[str, Any]:
        """Return the memory of a streaming network that has seen no frame yet, for a number of people."""
        inputs = jnp.zeros((people, 1, *self.input_shape))
        shapes = jax.eval_shape(lambda: self.init(jax.random.key(0), inputs))
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), dict(shapes.get("memory", {})))

    def _taps(self, name: str, x: jax.Array, plan: LayerPlan) -> jax.Array:
        """Append the newest frame [B, 1, D] of a layer's input to its memory, and return the frames at its taps [B, k, D]."""
        if plan.kernel_size == 1:
            return x
        length = (plan.kernel_size - 1) * plan.dilation + 1
        shape = (len(x), length, x.shape[-1])
        seen = self.variable("memory", name, jnp.zeros, shape, x.dtype)
        begun = self.variable("memory", f"{name}_begun", jnp.zeros, (), bool)
        seen.value = jnp.where(begun.value, jnp.concatenate([seen.value[:, 1:], x], axis=1), jnp.broadcast_to(x, shape))
        begun.value = jnp.ones_like(begun.value)
        return seen.value[:, :: plan.dilation]

    def layer_plans(self) -> tuple[LayerPlan, ...]:
        """Return the plan of each layer."""
        joints, (keypoints, axes) = self.num_joints, self.input_shape
        branches, seen = self.branches, self._with_whole(self.input_groups or self.joint_groups)
        shared_root = not self.global_group and sum(map(len, branches)) > joints
        hidden = split_widths(tuple(axes * len(group) for group in seen), self.channels)
        outputs = tuple(3 * len(group) for group in branches)
        official = split_widths(hidden, sum(outputs) + 1)  # leaves one channel unused
        if shared_root and all(given >= needed for given, needed in zip(official, outputs, strict=True)):
            outputs = official  # else each gets what it needs (narrow networks on which the official code crashes)
        kernels = [self.filter_widths[0]]
        for width in self.filter_widths[1:]:
            kernels += [width, 1]
        kernels.append(1)
        plans = []
        for index, (connectivity, kernel) in enumerate(zip(self.connectivity, kernels, strict=True)):
            first, last = index == 0, index == len(kernels) - 1
            dilation = math.prod(self.filter_widths[: (index + 1) // 2]) if kernel > 1 else 1
            if self.dense:
                kernel, dilation = (kernel - 1) * dilation + 1, 1
            if connectivity == FULLY_CONNECTED:
                groups = _consecutive((axes * keypoints if first else self.channels,))
                features: tuple[int, ...] = (3 * joints if last else self.channels,)
            else:
                groups = (
                    tuple(tuple(axes * j + axis for j in group for axis in range(axes)) for group in seen)
                    if first
                    else _consecutive(hidden)
                )
                features = outputs if last else hidden
            bias = last and connectivity == FULLY_CONNECTED
            plans.append(LayerPlan(connectivity, groups, features, kernel, dilation, bias))
        return tuple(plans)

    def _residual(self, h: jax.Array, plan: LayerPlan) -> jax.Array:
        """Return the frames of h [B, T, C] that a residual connection adds to the outputs of a layer."""
        if self.streaming:
            return h
        half = plan.kernel_size // 2
        if self.strided and not self.dense:
            return h[:, half + (half if self.causal else 0) :: plan.kernel_size]
        pad = half * plan.dilation
        shift = pad if self.causal else 0
        return h[:, pad + shift : h.shape[1] - pad + shift]

    @nn.compact
    def __call__(
        self, inputs_2d: jax.Array, *, train: bool = False, bn_momentum: float | jax.Array = 0.1, batch: Batch = FULL_BATCH
    ) -> jax.Array:
        """Lift 2D keypoints to 3D joints.

        Args:
          inputs_2d: [B, T, K, F] normalised screen coordinates, then the confidence if `confidences`; T is 1 if streaming.
          train: normalise with the batch's statistics, update the running statistics, and apply dropout.
          bn_momentum: weight of the new batch in the running statistics of the main BatchNorms; may be traced.
          batch: weights of the samples in training, and the devices over which they are spread.

        Returns:
          [B, T', J, 3] joints, camera frame, metres, relative to the root. The root itself is predicted, too.

        Note:
          Between the layers the features of each group are a separate array, because joining and splitting them took a third
          of a training step.
        """

        def connect(index: int, parts: list[jax.Array], everything: list[jax.Array] | None = None) -> list[jax.Array]:
            layer = make_layer(self, plans[index], f"layer_{index}")
            if everything is None:
                parts = _with_widths(parts, [len(group) for group in plans[index].groups])
                if self.streaming:
                    parts = [self._taps(f"taps_{index}_{i}", part, plans[index]) for i, part in enumerate(parts)]
                everything = parts
            return layer.connect(parts, everything, train=train, batch=batch)

        def block(index: int, parts: list[jax.Array], everything: list[jax.Array] | None = None) -> list[jax.Array]:
            parts = connect(index, parts, everything)
            norm = BatchNorm(slope=ACTIVATIONS[self.activation], name=f"norm_{index}")
            parts = norm(parts, train=train, batch=batch, momentum=bn_momentum)
            return drop_out(self, parts, self.dropout, batch) if self.dropout and train else parts

        plans = self.layer_plans()
        x = inputs_2d.reshape(*inputs_2d.shape[:2], -1)  # [B, T, K * F]
        if self.precision == "bfloat16":
            x = x.astype(jnp.bfloat16)
        x = self._taps("taps_0", x, plans[0]) if self.streaming else x
        h = block(0, [take_features(x, group) for group in plans[0].groups], [x])
        for index in range(1, len(plans) - 1, 2):
            inner = block(index + 1, block(index, h))
            skipped = _with_widths(h, plans[index + 1].features)
            h = [self._residual(skip, plans[index]) + part for skip, part in zip(skipped, inner, strict=True)]
        y = jnp.concatenate(connect(len(plans) - 1, h), axis=-1)
        if plans[-1].connectivity != FULLY_CONNECTED:
            whole_body = y[..., y.shape[-1] - 3 * self.num_joints :]
            y = y[..., self._output_channels(plans[-1].features)]
            y = y + whole_body if self.global_group else y
        y = y.reshape(*y.shape[:2], self.num_joints, 3).astype(inputs_2d.dtype)  # [B, T', J * 3] -> [B, T', J, 3]
        if self.adds_input:
            middle = 0 if self.streaming else (self.receptive_field - 1) // (1 if self.causal else 2)
            y = y.at[..., :2].add(inputs_2d[:, middle : middle + y.shape[1], :, :2])
        return y

    def _output_channels(self, widths: tuple[int, ...]) -> np.ndarray:
        """Return the channels of a grouped last layer in the order of the joints; a shared root is that of the first group."""
        slots: dict[int, int] = {}
        for group, channels in zip(self.branches, _consecutive(widths), strict=True):
            for position, joint in enumerate(group):
                slots.setdefault(joint, channels[3 * position])
        return np.array([slots[joint] + axis for joint in range(self.num_joints) for axis in range(3)])


def _count(groups: tuple[tuple[int, ...], ...]) -> int:
    """Return the number of different joints in groups."""
    return len(set().union(*groups))


def _with_widths(parts: list[jax.Array], widths: Sequence[int]) -> list[jax.Array]:
    """Divide features, split into consecutive parts, into parts of these widths."""
    if [part.shape[-1] for part in parts] == list(widths):
        return parts
    return jnp.split(jnp.concatenate(parts, axis=-1), np.cumsum(widths)[:-1], axis=-1)


def make_layer(lifter: PoseLifter, plan: LayerPlan, name: str | None = None) -> GroupConv:
    """Return the Flax module of a layer; if called inside the trunk, it becomes a submodule of the trunk.

    Raises:
      ValueError: if the layer's context cannot be recombined.
    """
    by_windows = lifter.streaming or (lifter.strided and not lifter.dense)
    convolution: dict[str, Any] = {
        "groups": plan.groups,
        "features": plan.features,
        "use_bias": plan.use_bias,
        "precision": "high" if lifter.precision == "tf32" else "highest",
        "kernel_size": plan.kernel_size,
        "stride": plan.kernel_size if by_windows else 1,
        "dilation": 1 if by_windows else plan.dilation,
        "name": name,
    }
    if plan.connectivity != SPLIT_RECOMBINE:
        return GroupConv(**convolution)
    return SplitRecombineConv(
        **convolution,
        recombine=lifter.recombine,
        context_dim=lifter.context_dim,
        context_from=lifter.context_from,
        context_form=lifter.context_form,
        bug_compatible=lifter.bug_compatible,
    )


Lifter = PoseLifter | GraphLifter  # any network that the other modules train and evaluate


def init_variables(model: Lifter, key: jax.Array) -> Any:
    """Return a network's initial variables: random parameters, and the running statistics at the start of training."""
    return model.init(key, jnp.zeros((1, model.receptive_field, *model.input_shape)))


def count_parameters(params: Any) -> int:
    """Return the total number of elements in a tree of parameters."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(params))


@functools.lru_cache(100)  # tracing a network takes longer than reading its weights
def variable_shapes(model: Lifter) -> Any:
    """Return the shapes and dtypes of `init_variables`, without computing the values."""
    return jax.eval_shape(functools.partial(init_variables, model), jax.random.key(0))


def create_model(model: ConfigDict) -> Lifter:
    """Build the network that `config.model` describes; a `PoseLifter` is in its dilated form.

    Raises:
      ConfigError: if the fields contradict each other.
    """
    if model.network in GRAPH_NETWORKS:
        return create_graph_model(model)
    try:
        connectivity = connectivity_plan(
            model.network,
            2 * len(model.filter_widths),
            fuse_layer=model.fuse_layer,
            split_layer=model.split_layer,
            link_layers=model.link_layers,
            split_layers=model.split_layers,
            split_ends=model.split_ends,
        )
        groups, input_groups = _groups(model)
    except ValueError as error:
        raise ConfigError(f"config.model.{error}") from error
    lifter = PoseLifter(
        connectivity=connectivity,
        joint_groups=groups,
        input_groups=input_groups,
        confidences=model.confidences,
        global_group=model.global_group,
        filter_widths=tuple(model.filter_widths),
        channels=model.channels,
        recombine=model.recombine,
        context_dim=model.context_dim,
        context_from=model.context_from,
        context_form=model.context_form,
        bug_compatible=model.bug_compatible,
        adds_input=model.adds_input,
        causal=model.causal,
        dense=model.dense,
        activation=model.activation,
        dropout=model.dropout,
        precision=model.precision,
    )
    try:
        for plan in lifter.layer_plans():
            make_layer(lifter, plan)
    except ValueError as error:
        raise ConfigError(f"config.model: {error}") from error
    return lifter


def _groups(model: ConfigDict) -> tuple[tuple[tuple[int, ...], ...], tuple[tuple[int, ...], ...]]:
    """Return the 3D joints and the keypoints of each body part; the second is () if both joint sets are the same.

    If the root of the 3D joints is not a keypoint, the groups of the keypoints share no root.

    Raises:
      ValueError: if the two joint sets have different body parts, or a field does not allow different sets.
    """
    joints, inputs = joint_sets.of(model)
    options = {"root_in_every_group": model.root_in_every_group, "shuffled": model.shuffled_groups, "seed": model.shuffle_seed}
    if inputs == joints:
        return body_groups(model.num_groups, joints, **options), ()
    parts, input_parts = (tuple(name for name, _ in one.groups) for one in (joints, inputs))
    if sorted(parts) != sorted(input_parts):
        raise ValueError(
            f"input_joints: found {inputs.name} with the groups {', '.join(input_parts)}, expected {', '.join(parts)}"
        )
    if model.adds_input:
        raise ValueError(f"adds_input: not allowed with keypoints {inputs.name}, expected {joints.name}, the joints")
    if model.shuffled_groups:
        raise ValueError(f"shuffled_groups: not allowed with keypoints {inputs.name}, expected {joints.name}, the joints")
    own = dict(
        zip(
            input_parts,
            body_groups(
                5, inputs, root_in_every_group=options["root_in_every_group"] and joint_sets.share_root(joints, inputs)
            ),
            strict=True,
        )
    )
    return body_groups(5, joints, **options), tuple(own[part] for part in parts)
