"""Grouped and split-recombine layers, dense and convolutional (paper Sec. 3, Eq. 4 to 6, Fig. 2).

A layer has a partition of its input features into groups, and the output width of each group. Groups may
share features: the official networks put the root joint into every group. Convolutions are "valid": no padding.
With one group that holds all features, `GroupDense` and `GroupConv` are the fully connected layers of Eq. 1.
"""

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from srnet_jax.config.schema import CONTEXT_FORMS, CONTEXT_FROM, RECOMBINE

Groups = tuple[tuple[int, ...], ...]

_EPSILON = 1e-5  # of BatchNorm
_NARROW = 64  # outputs of a tap: below this width all taps share one matmul
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


class Batch(NamedTuple):
    """What BatchNorm needs to know of a training batch.

    Attributes:
      weights: [B] 1 for a sample, 0 for padding, which leaves the statistics alone; None for a full batch.
      axis_name: of `jax.pmap`, over whose devices the batch is spread, or None. (Under `jax.jit` XLA sums over all devices.)
    """

    weights: jax.Array | None = None
    axis_name: str | None = None

    def total(self, x: Any) -> Any:
        """Sum over the devices."""
        return x if self.axis_name is None else jax.lax.psum(x, self.axis_name)

    def own_rows(self, draw: Callable[[int], jax.Array], rows: int) -> jax.Array:
        """Return this device's rows of what `draw` gives for the rows of the whole batch."""
        if self.axis_name is None:
            return draw(rows)
        whole = draw(rows * jax.lax.axis_size(self.axis_name))
        return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(self.axis_name) * rows, rows)


FULL_BATCH = Batch()


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def batch_normalize(
    x: jax.Array, scale: jax.Array, bias: jax.Array, weights: jax.Array | None, slope: float, axis_name: str | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Normalise by the batch's statistics, then scale negative values by `slope`.

    Args:
      x: [N, C].
      scale: [C].
      bias: [C].
      weights: [N, 1], see `Batch`, or None.
      slope: of the activation for negative values: 1 for none, 0.01 for LeakyReLU, 0 for ReLU.
      axis_name: see `Batch`.

    Returns:
      The result [N, C], in x's dtype; mean [C], biased variance [C] and number of values [], float32 or wider.

    Note:
      One function with a written-out gradient, which does not flow through the returned statistics: XLA's own took ten times as
      long on a CPU. The variance is taken about the mean, which costs no time there: the mean square less the squared mean is
      off by a thousandth of epsilon for the constant context that official training starts with, and its gradients show it.
    """
    return _normalize_forward(x, scale, bias, weights, slope, axis_name)[0]


def _affine(scale, bias, mean, var):
    """Return factor and offset [C] that normalise."""
    factor = scale * jax.lax.rsqrt(var + _EPSILON)
    return factor, bias - mean * factor


def _activate(z, slope):
    return z if slope == 1 else jnp.where(z > 0, z, slope * z)


def _normalize_forward(x, scale, bias, weights, slope, axis_name):
    wide = x.astype(scale.dtype)
    count = jnp.full([], len(x), wide.dtype) if weights is None else weights.sum()
    over_devices = Batch(None, axis_name).total
    count, total = over_devices((count, (wide if weights is None else wide * weights).sum(0)))
    mean = total / count
    squares = jnp.square(wide - like(mean, x))
    var = over_devices((squares if weights is None else squares * weights).sum(0)) / count
    factor, offset = _affine(scale, bias, mean, var)
    y = _activate(wide * like(factor, x) + like(offset, x), slope).astype(x.dtype)
    return (y, mean, var, count), (x, scale, bias, weights, mean, var, count)


def _normalize_backward(slope, axis_name, saved, gradients):
    x, scale, bias, weights, mean, var, count = saved
    wide, dz = x.astype(scale.dtype), gradients[0].astype(scale.dtype)
    factor, offset = _affine(scale, bias, mean, var)
    inverse = jax.lax.rsqrt(var + _EPSILON)
    if slope != 1:
        dz = jnp.where(wide * like(factor, x) + like(offset, x) > 0, dz, slope * dz)
    dbias = dz.sum(0)
    dscale = ((dz * wide).sum(0) - mean * dbias) * inverse
    all_dbias, all_dscale = Batch(None, axis_name).total((dbias, dscale))
    steepness = factor * inverse * all_dscale / count
    dx = dz * like(factor, x) - wide * like(steepness, x) + like(mean * steepness - factor * all_dbias / count, x)
    if weights is not None:
        dx *= weights
    return dx.astype(x.dtype), dscale, dbias, None if weights is None else jnp.zeros_like(weights)


batch_normalize.defvjp(_normalize_forward, _normalize_backward)


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last, with PyTorch's running statistics, and the activation after it.

    The batch is normalised with its biased variance and the running variance takes the unbiased one;
    `momentum` is the weight of the new batch and may be traced, so that a schedule does not recompile.

    Attributes:
      slope: see `batch_normalize`.
      initial_scale: what training begins with; 0 silences a residual branch.

    Note:
      flax.linen.BatchNorm keeps the biased variance and a fixed momentum, and cannot replay official training.

    Source: the official code.
    """

    slope: float = 1.0
    initial_scale: float = 1.0

    @nn.compact
    def __call__(
        self, parts: Sequence[jax.Array], *, train: bool, batch: Batch = FULL_BATCH, momentum: float | jax.Array = 0.1
    ) -> list[jax.Array]:
        """Normalise features in several arrays [B, ..., C_g]; in training at least two values a channel are needed."""
        ends = np.cumsum([part.shape[-1] for part in parts])
        scale = self.param("scale", nn.initializers.constant(self.initial_scale), (ends[-1],))
        bias = self.param("bias", nn.initializers.zeros, (ends[-1],))
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (ends[-1],))
        running_var = self.variable("batch_stats", "var", jnp.ones, (ends[-1],))
        if not train:
            factor, offset = _affine(scale, bias, running_mean.value, running_var.value)
            affine = zip(parts, jnp.split(factor, ends[:-1]), jnp.split(offset, ends[:-1]), strict=True)
            wide = [_activate(x.astype(f.dtype) * like(f, x) + like(o, x), self.slope) for x, f, o in affine]
            return [y.astype(x.dtype) for x, y in zip(parts, wide, strict=True)]
        normalized, means, variances = [], [], []
        for x, part_scale, part_bias in zip(parts, jnp.split(scale, ends[:-1]), jnp.split(bias, ends[:-1]), strict=True):
            flat = x.reshape(-1, x.shape[-1])
            weights = batch.weights
            if weights is not None:  # [B] -> [N, 1]
                weights = jnp.repeat(weights, len(flat) // len(weights))[:, None].astype(scale.dtype)
            y, mean, var, count = batch_normalize(flat, part_scale, part_bias, weights, self.slope, batch.axis_name)
            normalized.append(y.reshape(x.shape))
            means.append(mean)
            variances.append(var)
        if not self.is_initializing():
            unbiased = jnp.concatenate(variances) * (count / (count - 1))
            running_mean.value += momentum * (jnp.concatenate(means) - running_mean.value)
            running_var.value += momentum * (unbiased - running_var.value)
        return normalized


def drop_out(module: nn.Module, parts: Sequence[jax.Array], rate: float, batch: Batch) -> list[jax.Array]:
    """Zero features at random.

    Args:
      module: whose "dropout" keys are used, one for each array.
      parts: arrays [N, ...] whose first axis holds the samples in order, one or more rows for each.
      rate: share of the features that become zero; the others are scaled up.
      batch: see `Batch`.
    """

    def drop(part: jax.Array) -> jax.Array:
        key = module.make_rng("dropout")
        kept = batch.own_rows(lambda rows: jax.random.bernoulli(key, 1 - rate, (rows, *part.shape[1:])), len(part))
        return jnp.where(kept, part / (1 - rate), 0).astype(part.dtype)

    return [drop(part) for part in parts]


def take_features(x: jax.Array, indices: tuple[int, ...]) -> jax.Array:
    """Select features of the last axis; a run of neighbours is a slice."""
    first, last = indices[0], indices[-1] + 1
    if indices == tuple(range(first, last)):
        return x[..., first:last]
    return x[..., np.array(indices)]


class GroupConv(nn.Module):
    """Group-connected 1D convolution over time: each group's outputs depend on its own inputs only (Eq. 4).

    Attributes:
      groups: for each group the indices of its input features.
      features: for each group its output width; outputs are laid one group after another.
      use_bias: add a bias to every output.
      precision: of the products, see `jax.lax.Precision`.
      kernel_size: taps over time.
      stride: frames between two outputs.
      dilation: frames between two taps.
    """

    groups: Groups
    features: tuple[int, ...]
    use_bias: bool = False
    precision: str | None = None
    kernel_size: int = 1
    stride: int = 1
    dilation: int = 1

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map [..., T, D] to [..., W, sum(features)]; see `unfold` for W."""
        own = [take_features(x, group) for group in self.groups]
        return jnp.concatenate(self.connect(own, [x], train=train), axis=-1)

    @nn.compact
    def connect(
        self, own: Sequence[jax.Array], everything: Sequence[jax.Array], *, train: bool, batch: Batch = FULL_BATCH
    ) -> list[jax.Array]:
        """Map each group's features [..., T, D_g] to its outputs [..., W, features of the group].

        Args:
          own: what each group sees of its own.
          everything: arrays that together hold every input feature once; a group layer does not look at them.
          train: see `BatchNorm`.
          batch: see `BatchNorm`.
        """
        del everything, batch
        kernels = self.kernels([x.shape[-1] for x in own])
        return self.biased([self.convolve([x], kernel, train) for x, kernel in zip(own, kernels, strict=True)], kernels)

    def kernels(self, widths: Sequence[int]) -> list[jax.Array]:
        """Return each group's weights [k, D, F] for inputs of these widths."""
        shapes = [(self.kernel_size, width, out) for width, out in zip(widths, self.features, strict=True)]
        return [self.param(f"kernel_{index}", _torch_uniform, shape) for index, shape in enumerate(shapes)]

    def biased(self, outputs: list[jax.Array], kernels: Sequence[jax.Array]) -> list[jax.Array]:
        """Add the bias, if there is one."""
        if not self.use_bias:
            return outputs
        bias = self.param("bias", _torch_bias(min(len(k) * k.shape[1] for k in kernels)), (sum(self.features),))
        parts = jnp.split(bias, np.cumsum(self.features)[:-1])
        return [y + like(b, y).astype(y.dtype) for y, b in zip(outputs, parts, strict=True)]

    def num_windows(self, frames: int) -> int:
        """Return the number of outputs, W, for frames of a sequence.

        Raises:
          ValueError: if there are too few.
        """
        windows = (frames - (self.kernel_size - 1) * self.dilation - 1) // self.stride + 1
        if windows < 1:
            raise ValueError(f"{frames} frames are too few for kernel size {self.kernel_size} with dilation {self.dilation}")
        return windows

    def unfold(self, x: jax.Array) -> jax.Array:
        """Lay the taps of each output side by side: [..., T, D] -> [..., W, k, D].

        Tap t of output w is frame w * stride + t * dilation; W = (T - (k - 1) * dilation - 1) // stride + 1.
        """
        windows, k, stride, dilation = self.num_windows(x.shape[-2]), self.kernel_size, self.stride, self.dilation
        if stride == k and dilation == 1:
            return x[..., : windows * k, :].reshape(*x.shape[:-2], windows, k, x.shape[-1])
        last = (windows - 1) * stride + 1
        return jnp.stack([x[..., t * dilation : t * dilation + last : stride, :] for t in range(k)], axis=-2)

    def shifts(self, train: bool) -> bool:
        """Whether products are taken of frames and then shifted, and not of windows: over sequences the faster."""
        return not train and self.stride == 1

    def tap_products(self, x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
        """Multiply frames by each tap's matrix, and shift: [..., T, D] by [k, D, F] -> k arrays [..., W, F], with stride 1.

        Their sum is the convolution. No window is copied, and what follows is one pass over the products.
        """
        rows = x.reshape(-1, x.shape[-1])
        matrices = [kernel[t].astype(x.dtype) for t in range(len(kernel))]
        if kernel.shape[-1] < _NARROW:
            joined = jnp.matmul(rows, jnp.concatenate(matrices, axis=-1), precision=self.precision)
            products = jnp.split(joined.reshape(*x.shape[:-1], -1), len(kernel), axis=-1)
        else:
            products = [jnp.matmul(rows, matrix, precision=self.precision).reshape(*x.shape[:-1], -1) for matrix in matrices]
        windows = self.num_windows(x.shape[-2])
        return [y[..., t * self.dilation : t * self.dilation + windows, :] for t, y in enumerate(products)]

    def convolve(self, pieces: Sequence[jax.Array], kernel: jax.Array, train: bool) -> jax.Array:
        """Convolve features, in pieces [..., T, D_p], with a kernel [k, D, F]."""
        if not self.shifts(train):
            return self.product([self.unfold(piece) for piece in pieces], kernel)
        return reduce(jnp.add, self.tap_products(jnp.concatenate(pieces, axis=-1), kernel))

    def product(self, taps: Sequence[jax.Array], kernel: jax.Array) -> jax.Array:
        """Multiply taps, in pieces [..., k, D_p], by a kernel [k, D, F]; products of plain matrices are the fastest."""
        terms = []
        ends = np.cumsum([piece.shape[-1] for piece in taps])[:-1]
        for piece, rows in zip(taps, jnp.split(kernel, ends, axis=1), strict=True):
            matrix = rows.reshape(-1, kernel.shape[-1]).astype(piece.dtype)
            terms.append(jnp.matmul(piece.reshape(-1, len(matrix)), matrix, precision=self.precision))
        return reduce(jnp.add, terms).reshape(*taps[0].shape[:-2], -1)


class SplitRecombineConv(GroupConv):
    """Split-recombine 1D convolution over time (Eq. 5 and 6, Fig. 2d).

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
    def connect(
        self, own: Sequence[jax.Array], everything: Sequence[jax.Array], *, train: bool, batch: Batch = FULL_BATCH
    ) -> list[jax.Array]:
        """Map each group's features to its outputs; see `GroupConv.connect`."""
        if not any(self.context_widths):
            return super().connect(own, everything, train=train, batch=batch)
        contexts = self.contexts(own, everything, train, batch)
        added = self.context_widths if self.recombine == "concat" else (0,) * len(own)
        kernels = self.kernels([x.shape[-1] + h for x, h in zip(own, added, strict=True)])
        recombine = self._gated if self._gates_outputs(train) else self._recombined
        return self.biased([recombine(x, m, k) for x, m, k in zip(own, contexts, kernels, strict=True)], kernels)

    def _gates_outputs(self, train: bool) -> bool:
        """Whether a tap's features have one gate, which may then follow their product."""
        return self.shifts(train) and self.recombine == "multiply" and set(self.context_widths) == {1}

    def _gated(self, x: jax.Array, context: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve a group's features [..., T, D_g] under its taps' gates [..., W, k, 1]."""
        products = self.tap_products(x, kernel)
        return reduce(jnp.add, [context[..., t, :] * y for t, y in enumerate(products)])

    def _recombined(self, x: jax.Array, context: jax.Array, kernel: jax.Array) -> jax.Array:
        """Recombine a group's taps with its context [..., W, k, H], and multiply."""
        taps = self.unfold(x)
        if self.recombine == "concat":
            return self.product([taps, context], kernel)
        rows, columns = taps.reshape(-1, taps.shape[-1]), context.reshape(-1, context.shape[-1])  # matrices are summed faster
        recombined = rows * columns if self.recombine == "multiply" else rows + columns
        return self.product([recombined.reshape(taps.shape)], kernel)

    def contexts(self, own: Sequence[jax.Array], everything: Sequence[jax.Array], train: bool, batch: Batch) -> list[jax.Array]:
        """Return each group's context [..., W, k, H] from features [..., T, D], by one product for all groups."""
        k = self.kernel_size
        official = self.context_form == "official"
        others = self.context_from == "others"
        sources = own if others else everything  # of others: all groups' features, one group after another
        widths = [source.shape[-1] for source in sources]
        init = nn.initializers.zeros if official else _torch_uniform
        kernels, biases, start = [], [], 0
        for index, h in enumerate(self.context_widths):
            hidden = widths[index] if others else 0  # the group's own features, not read
            kernel = self.param(f"context_kernel_{index}", init, (k, sum(widths) - hidden, k * h))
            if official:
                biases.append(self.param(f"context_bias_{index}", _torch_bias(k * (sum(widths) - hidden)), (k * h,)))
            gap = jnp.zeros((k, hidden, k * h), kernel.dtype)
            kernels.append(jnp.concatenate([kernel[:, :start], gap, kernel[:, start:]], axis=1))
            start += hidden
        context = self.convolve(sources, jnp.concatenate(kernels, axis=-1), train)  # [..., W, sum of k * H]
        if official:
            context += like(jnp.concatenate(biases), context).astype(context.dtype)
            if self.recombine == "multiply":
                if others:
                    [context] = BatchNorm(name="context_norm")(
                        [context], train=train, batch=batch, momentum=_CONTEXT_BN_MOMENTUM
                    )
                context = nn.sigmoid(context)
            else:
                context = nn.leaky_relu(context)
        ends = np.cumsum([k * h for h in self.context_widths])[:-1]
        pieces = [piece.reshape(*piece.shape[:-1], k, -1) for piece in jnp.split(context, ends, axis=-1)]  # [..., W, k, H]
        if self.bug_compatible and self.recombine == "concat":
            pieces = [piece.swapaxes(-3, -2).reshape(piece.shape) for piece in pieces]
        return pieces


class GroupDense(GroupConv):
    """Group-connected dense layer (Eq. 4)."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map features [..., D] to [..., sum(features)]."""
        return super().__call__(x[..., None, :], train=train)[..., 0, :]


class SplitRecombineDense(SplitRecombineConv):
    """Split-recombine dense layer (Eq. 5 and 6, Fig. 2c)."""

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Map features [..., D] to [..., sum(features)]."""
        return super().__call__(x[..., None, :], train=train)[..., 0, :]
