"""Grouped and split-recombine layers, dense and convolutional (paper Sec. 3, Eq. 4 to 6, Fig. 2).

A layer is told how its input features are partitioned into groups and how wide each group's output is. Groups
may share features: the official networks put the root joint into every group. Convolutions are "valid": no padding.
With one group that holds all features, `GroupDense` and `GroupConv` are the fully connected layers of Eq. 1.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

Groups = tuple[tuple[int, ...], ...]

RECOMBINE = ("multiply", "add", "concat")
CONTEXT_FROM = ("others", "all")
CONTEXT_FORMS = ("official", "paper")
_CONTEXT_BN_MOMENTUM = 0.1  # never scheduled in the official code
_torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # U(+-1 / sqrt(fan in))


def _torch_bias(fan_in: int) -> Callable:
    bound = fan_in**-0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def like(vector: jax.Array, x: jax.Array) -> jax.Array:
    """Give a vector [C] leading axes of size one, so that it broadcasts against x [..., C]."""
    return vector.reshape((1,) * (x.ndim - 1) + (-1,))


def split_widths(in_widths: tuple[int, ...], total: int) -> tuple[int, ...]:
    """Divide a layer's output width among groups in proportion to their input widths.

    All but the last are truncated; the last takes the rest (the official code's rule).
    """
    widths = [int(width / sum(in_widths) * total) for width in in_widths[:-1]]
    return (*widths, total - sum(widths))


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def batch_normalize(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Normalise x [N, C] by its own statistics; return the result, the mean [C] and the biased variance [C].

    The gradient is written out (and does not flow through the returned statistics): XLA's own took ten times as long on
    a CPU, half of a training step.
    """
    return _normalize_forward(x, scale, bias, epsilon)[0]


def _normalize_forward(x: jax.Array, scale: jax.Array, bias: jax.Array, epsilon: float):
    mean = x.mean(0)
    centred = x - like(mean, x)
    var = jnp.square(centred).mean(0)
    inverse = jax.lax.rsqrt(var + epsilon)
    standard = centred * like(inverse, x)
    y = standard * like(scale, x) + like(bias, x)
    return (y, mean, var), (standard, inverse * scale)


def _normalize_backward(epsilon: float, saved, gradients):
    del epsilon
    standard, gain = saved
    dy = gradients[0]
    count = dy.shape[0]
    dbias, dscale = dy.sum(0), (dy * standard).sum(0)
    dx = (dy - like(dbias / count, dy) - standard * like(dscale / count, dy)) * like(gain, dy)
    return dx, dscale, dbias


batch_normalize.defvjp(_normalize_forward, _normalize_backward)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with PyTorch's running statistics.

    The batch is normalised with its biased variance and the running variance takes the unbiased one;
    `momentum` is the weight of the new batch and may be traced, so that a schedule does not recompile.

    Note:
      flax.linen.BatchNorm keeps the biased variance and a fixed momentum, and cannot replay official training.

    Source: the official code.
    """

    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool, momentum: float | jax.Array = 0.1) -> jax.Array:
        """Normalise x [..., C]; in training at least two values a channel are needed."""
        features = x.shape[-1]
        scale = self.param("scale", nn.initializers.ones, (features,))
        bias = self.param("bias", nn.initializers.zeros, (features,))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (features,))
        running_var = self.variable("batch_stats", "var", jnp.ones, (features,))
        if not train:
            gain = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            return (x - like(running_mean.value, x)) * like(gain, x) + like(bias, x)
        flat = x.reshape(-1, features)
        y, mean, var = batch_normalize(flat, scale, bias, self.epsilon)
        if not self.is_initializing():
            unbiased = var * (len(flat) / (len(flat) - 1))
            running_mean.value += momentum * (mean - running_mean.value)
            running_var.value += momentum * (unbiased - running_var.value)
        return y.reshape(x.shape)


def take_features(x: jax.Array, indices: tuple[int, ...]) -> jax.Array:
    """Select features of the last axis; a run of neighbours is a slice."""
    first, last = indices[0], indices[-1] + 1
    if indices == tuple(range(first, last)):
        return x[..., first:last]
    return x[..., np.array(indices)]


def unfold(x: jax.Array, kernel_size: int, stride: int, dilation: int) -> jax.Array:
    """Lay the taps of a valid convolution side by side: [..., T, D] -> [..., W, k, D].

    Tap t of output w is frame w * stride + t * dilation; W = (T - (k - 1) * dilation - 1) // stride + 1.
    """
    frames = x.shape[-2]
    windows = (frames - (kernel_size - 1) * dilation - 1) // stride + 1
    if windows < 1:
        raise ValueError(f"{frames} frames are too few for kernel size {kernel_size} with dilation {dilation}")
    if stride == kernel_size and dilation == 1:
        used = x[..., : windows * kernel_size, :]
        return used.reshape(*x.shape[:-2], windows, kernel_size, x.shape[-1])
    last = (windows - 1) * stride + 1
    return jnp.stack([x[..., t * dilation : t * dilation + last : stride, :] for t in range(kernel_size)], axis=-2)


class _GroupLayer(nn.Module):
    """What the dense and the convolutional group layer share.

    Attributes:
      groups: for each group the indices of its input features.
      features: for each group its output width; outputs are laid one group after another.
      use_bias: add a bias to every output.
    """

    groups: Groups
    features: tuple[int, ...]
    use_bias: bool = False

    def products(self, taps: list[jax.Array]) -> jax.Array:
        """Multiply each group's taps [..., k, D_g] by its weights and join the outputs [..., sum(features)]."""
        outputs = []
        for index, (group, width) in enumerate(zip(taps, self.features, strict=True)):
            shape = (*group.shape[-2:], width)
            kernel = self.param(f"kernel_{index}", _torch_uniform, shape)
            flat = group.reshape(-1, shape[0] * shape[1])  # [N, k * D_g]: products of plain matrices are the fastest
            outputs.append(flat @ kernel.reshape(-1, width))
        y = jnp.concatenate(outputs, axis=-1).reshape(*taps[0].shape[:-2], -1)
        if self.use_bias:
            fan_in = min(group.shape[-2] * group.shape[-1] for group in taps)
            y += like(self.param("bias", _torch_bias(fan_in), (y.shape[-1],)), y)
        return y

    @nn.compact
    def connect(self, taps: jax.Array, train: bool) -> jax.Array:
        """Map taps [..., k, D] to outputs [..., sum(features)]."""
        del train
        return self.products([take_features(taps, group) for group in self.groups])


class _SplitRecombineLayer(_GroupLayer):
    """What the dense and the convolutional split-recombine layer share.

    Every group is given H context features, a linear map of the rest of the body, and recombines them with its own
    input features before its product (Eq. 5 and 6).

    Attributes:
      recombine: "multiply", "add" or "concat".
      context_dim: H. An int is a number of features, a float a fraction of the group's width (1.0 is 100 %, rounded,
        at least one feature). 0 gives the group layer. Multiply and add take H = 1 or H = the group's width.
      context_from: "others" maps all input features but the group's own; "all" maps every input feature.
      context_form: "official": zero-initialised weights and a bias, then sigmoid(BatchNorm) for multiply (no BatchNorm if
        context_from is "all") or LeakyReLU(0.01) for add and concat. "paper": the plain linear map of Eq. 6.
      bug_compatible: repeat the official code's scramble of temporal context in concat (H = 1): the context of tap t at
        output w is read from place w * k + t of a flattened [k, W] array. One tap or one output is not affected.

    Note:
      With a kernel of k taps a group has k * H context features, H for each tap, each computed from all k taps.
      With shared features (the root), "others" still holds the copies of the other groups, as in the official code.
      Under the scramble the strided and the dilated form with the same weights differ, and an output depends on the length
      of the sequence.
    """

    recombine: str = "multiply"
    context_dim: int | float = 1
    context_from: str = "others"
    context_form: str = "official"
    bug_compatible: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, allowed in (("recombine", RECOMBINE), ("context_from", CONTEXT_FROM), ("context_form", CONTEXT_FORMS)):
            if getattr(self, field) not in allowed:
                raise ValueError(f"{field} is {getattr(self, field)!r}, expected one of {', '.join(allowed)}")
        widths = self.context_widths
        if len(self.groups) == 1 and self.context_from == "others" and any(widths):
            raise ValueError("one group has no others to take context from, expected more groups or context_dim 0")
        if self.recombine != "concat" and any(h not in (0, 1, len(g)) for h, g in zip(widths, self.groups, strict=True)):
            sizes = tuple(len(group) for group in self.groups)
            raise ValueError(
                f"context_dim {self.context_dim} with recombine {self.recombine!r} gives context widths {widths} for groups "
                f"of {sizes} features, expected 1 or the group's width; any width can be concatenated"
            )

        if self.bug_compatible and self.recombine == "concat" and max(widths) > 1:
            raise ValueError(f"context_dim {self.context_dim} with bug_compatible, expected 1, the official code's only width")

    @property
    def context_widths(self) -> tuple[int, ...]:
        """H of each group."""
        if self.context_dim < 0:
            raise ValueError(f"context_dim is {self.context_dim}, expected 0 or more")
        if isinstance(self.context_dim, float) and self.context_dim:
            return tuple(max(round(self.context_dim * len(group)), 1) for group in self.groups)
        return (int(self.context_dim),) * len(self.groups)

    @nn.compact
    def connect(self, taps: jax.Array, train: bool) -> jax.Array:
        """Map taps [..., k, D] to outputs [..., sum(features)]."""
        own = [take_features(taps, group) for group in self.groups]
        if not any(self.context_widths):
            return self.products(own)
        contexts = self.contexts(taps, own, train)
        return self.products([self._recombined(x, m) for x, m in zip(own, contexts, strict=True)])

    def _recombined(self, x: jax.Array, context: jax.Array) -> jax.Array:
        """Recombine a group's taps [..., k, D_g] with its context [..., k, H]."""
        if self.recombine == "multiply":
            return x * context
        if self.recombine == "add":
            return x + context
        return jnp.concatenate([x, context], axis=-1)

    def contexts(self, taps: jax.Array, own: list[jax.Array], train: bool) -> list[jax.Array]:
        """Return each group's context [..., k, H], computed for all groups by one product."""
        k = taps.shape[-2]
        official = self.context_form == "official"
        source = taps  # [..., k, S]
        if self.context_from == "others":  # all groups' features, one group after another
            source = take_features(taps, sum(self.groups, ()))
        width = source.shape[-1]
        init = nn.initializers.zeros if official else _torch_uniform
        kernels, biases, start = [], [], 0
        for index, h in enumerate(self.context_widths):
            hidden = own[index].shape[-1] if self.context_from == "others" else 0  # the group's own features, not read
            kernel = self.param(f"context_kernel_{index}", init, (k, width - hidden, k * h))
            if official:
                biases.append(self.param(f"context_bias_{index}", _torch_bias(k * (width - hidden)), (k * h,)))
            gap = jnp.zeros((k, hidden, k * h), kernel.dtype)
            kernels.append(jnp.concatenate([kernel[:, :start], gap, kernel[:, start:]], axis=1))
            start += hidden
        matrix = jnp.concatenate(kernels, axis=-1).reshape(k * width, -1)
        context = source.reshape(-1, k * width) @ matrix  # [N, sum of k * H]
        if official:
            context += like(jnp.concatenate(biases), context)
            if self.recombine == "multiply":
                if self.context_from == "others":
                    context = BatchNorm(name="context_norm")(context, train=train, momentum=_CONTEXT_BN_MOMENTUM)
                context = nn.sigmoid(context)
            else:
                context = nn.leaky_relu(context)
        ends = np.cumsum([k * h for h in self.context_widths])[:-1]
        pieces = [piece.reshape(*taps.shape[:-1], -1) for piece in jnp.split(context, ends, axis=-1)]  # [..., W, k, H]
        if self.bug_compatible and self.recombine == "concat":
            pieces = [piece.swapaxes(-3, -2).reshape(piece.shape) for piece in pieces]
        return pieces


class GroupDense(_GroupLayer):
    """Group-connected dense layer (Eq. 4): each group's outputs depend on its own inputs only."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map features [..., D] to [..., sum(features)]."""
        return self.connect(x[..., None, :], train)


class GroupConv(_GroupLayer):
    """Group-connected 1D convolution over time; attributes as `GroupDense`, with kernel, stride and dilation."""

    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map [..., T, D] to [..., W, sum(features)]; see `unfold` for W."""
        return self.connect(unfold(x, self.kernel_size, self.stride, self.dilation), train)


class SplitRecombineDense(_SplitRecombineLayer):
    """Split-recombine dense layer (Eq. 5 and 6, Fig. 2c)."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map features [..., D] to [..., sum(features)]."""
        return self.connect(x[..., None, :], train)


class SplitRecombineConv(_SplitRecombineLayer):
    """Split-recombine 1D convolution over time (Fig. 2d)."""

    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map [..., T, D] to [..., W, sum(features)]; see `unfold` for W."""
        return self.connect(unfold(x, self.kernel_size, self.stride, self.dilation), train)
