"""Grouped and split-recombine layers, dense and convolutional (paper Sec. 3, Eq. 4 to 6, Fig. 2).

A layer divides its input features into groups and has an output width for each group. Groups may share features: the official
networks put the root joint into every group. Convolutions are "valid": they use no padding. With one group of all features,
`GroupDense` and `GroupConv` are the fully connected layers of Eq. 1.
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
_NARROW = 64  # outputs of a tap; below this width all taps share one matmul
_CONTEXT_BN_MOMENTUM = 0.1  # constant in the official code
_torch_uniform = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # U(-b, b) with b = 1 / sqrt(fan in)


def _torch_bias(fan_in: int) -> Callable:
    bound = fan_in**-0.5
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def parameter(module: nn.Module, name: str, init: Callable, *arguments: Any) -> jax.Array:
    """Return a parameter of a module, which `init` makes if it does not exist.

    Unlike `module.param`, this does not trace `init` at each call to check the shape, which is a quarter of the time that
    tracing a network takes. Readers of files check the shapes (a test checks the package's own networks); who calls `apply`
    must pass arrays of `variable_shapes`.
    """
    if module.has_variable("params", name):
        found: jax.Array = module.get_variable("params", name)
        return found
    made: jax.Array = module.param(name, init, *arguments)
    return made


def like(vector: jax.Array, x: jax.Array) -> jax.Array:
    """Reshape a vector [C] to [1, ..., 1, C], so that it broadcasts against x [..., C] under strict rank promotion."""
    return vector.reshape((1,) * (x.ndim - 1) + (-1,))


def split_widths(in_widths: tuple[int, ...], total: int) -> tuple[int, ...]:
    """Divide a layer's output width among groups in proportion to their input widths.

    All widths but the last are rounded down; the last group gets the rest (the official code's rule).
    """
    widths = [int(width / sum(in_widths) * total) for width in in_widths[:-1]]
    return (*widths, total - sum(widths))


class Batch(NamedTuple):
    """The weights of the samples in a training batch, and the devices over which it is spread.

    Attributes:
      weights: [B] 1 for a sample, 0 for padding, which does not affect BatchNorm's statistics; None for a full batch.
      axis_name: axis of `jax.pmap` over whose devices the batch is spread, or None. (Under `jax.jit` XLA sums over devices.)
    """

    weights: jax.Array | None = None
    axis_name: str | None = None

    def total(self, x: Any) -> Any:
        """Sum a pytree over the devices."""
        return x if self.axis_name is None else jax.lax.psum(x, self.axis_name)

    def own_rows(self, draw: Callable[[int], jax.Array], rows: int) -> jax.Array:
        """Call `draw` for the number of rows of the whole batch, and return the rows of this device."""
        if self.axis_name is None:
            return draw(rows)
        whole = draw(rows * jax.lax.axis_size(self.axis_name))
        return jax.lax.dynamic_slice_in_dim(whole, jax.lax.axis_index(self.axis_name) * rows, rows)


FULL_BATCH = Batch()


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def batch_normalize(
    x: jax.Array, scale: jax.Array, bias: jax.Array, weights: jax.Array | None, slope: float, axis_name: str | None
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """Normalise a batch by its own mean and variance, then apply scale, bias and a (leaky) ReLU.

    Args:
      x: [N, C] features.
      scale: [C] factor after the normalisation.
      bias: [C] offset after the normalisation.
      weights: [N, 1], see `Batch`, or None.
      slope: slope of the activation for negative values: 1 for none, 0.01 for LeakyReLU, 0 for ReLU.
      axis_name: see `Batch`.

    Returns:
      The result [N, C], in x's dtype; mean [C], biased variance [C] and number of values [], float32 or wider.

    Note:
      The gradient is written by hand, because XLA's own took ten times as long on a CPU; it does not flow through the returned
      statistics. The variance is computed about the mean, at no cost in time: the mean square minus the squared mean is off by
      a thousandth of epsilon for the constant context at the start of official training, which is visible in the gradients.
    """
    return _normalize_forward(x, scale, bias, weights, slope, axis_name)[0]


def _affine(scale, bias, mean, var):
    """Return the factor [C] and the offset [C] that normalise by given statistics."""
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
    """Batch normalisation over all axes but the last, with PyTorch's running statistics, followed by an activation.

    The batch is normalised with its biased variance, and the running variance is updated with the unbiased one. `momentum` is
    the weight of the new batch; it may be traced, so that a schedule does not recompile.

    Attributes:
      slope: see `batch_normalize`.
      initial_scale: initial value of the scale; 0 silences a residual branch.

    Note:
      flax.linen.BatchNorm keeps the biased variance and a fixed momentum, so it cannot reproduce official training.

    Source: the official code.
    """

    slope: float = 1.0
    initial_scale: float = 1.0

    @nn.compact
    def __call__(
        self, parts: Sequence[jax.Array], *, train: bool, batch: Batch = FULL_BATCH, momentum: float | jax.Array = 0.1
    ) -> list[jax.Array]:
        """Normalise features that are split into arrays [B, ..., C_g]; training needs at least two values per channel."""
        ends = np.cumsum([part.shape[-1] for part in parts])
        scale = parameter(self, "scale", nn.initializers.constant(self.initial_scale), (ends[-1],))
        bias = parameter(self, "bias", nn.initializers.zeros, (ends[-1],))
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
    """Apply dropout: zero features at random.

    Args:
      module: the module that draws the "dropout" keys, one for each array.
      parts: arrays [N, ...] whose first axis holds the samples in order, one or more rows for each.
      rate: share of the features that become zero; the others are divided by 1 - rate.
      batch: see `Batch`.
    """

    def drop(part: jax.Array) -> jax.Array:
        key = module.make_rng("dropout")
        kept = batch.own_rows(lambda rows: jax.random.bernoulli(key, 1 - rate, (rows, *part.shape[1:])), len(part))
        return jnp.where(kept, part / (1 - rate), 0).astype(part.dtype)

    return [drop(part) for part in parts]


def take_features(x: jax.Array, indices: tuple[int, ...]) -> jax.Array:
    """Select features of the last axis by their indices; consecutive indices become a slice."""
    first, last = indices[0], indices[-1] + 1
    if indices == tuple(range(first, last)):
        return x[..., first:last]
    return x[..., np.array(indices)]


class GroupConv(nn.Module):
    """Group-connected 1D convolution over time: each group's outputs depend on its own inputs only (Eq. 4).

    Attributes:
      groups: indices of the input features of each group.
      features: output width of each group; the outputs of the groups follow one another.
      use_bias: whether every output has a bias.
      precision: precision of the matrix products, see `jax.lax.Precision`.
      kernel_size: number of taps over time.
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
          own: the input features of each group.
          everything: arrays that together hold every input feature once; a group layer does not use them.
          train: see `BatchNorm`.
          batch: see `BatchNorm`.
        """
        del everything, batch
        kernels = self.kernels([x.shape[-1] for x in own])
        return self.biased([self.convolve([x], kernel, train) for x, kernel in zip(own, kernels, strict=True)], kernels)

    def kernels(self, widths: Sequence[int]) -> list[jax.Array]:
        """Return the kernel [k, D, F] of each group, for inputs of these widths D."""
        shapes = [(self.kernel_size, width, out) for width, out in zip(widths, self.features, strict=True)]
        return [parameter(self, f"kernel_{index}", _torch_uniform, shape) for index, shape in enumerate(shapes)]

    def biased(self, outputs: list[jax.Array], kernels: Sequence[jax.Array]) -> list[jax.Array]:
        """Add the bias to the outputs of each group, if `use_bias`."""
        if not self.use_bias:
            return outputs
        bias = parameter(self, "bias", _torch_bias(min(len(k) * k.shape[1] for k in kernels)), (sum(self.features),))
        parts = jnp.split(bias, np.cumsum(self.features)[:-1])
        return [y + like(b, y).astype(y.dtype) for y, b in zip(outputs, parts, strict=True)]

    def num_windows(self, frames: int) -> int:
        """Return the number of output frames, W, for a number of input frames.

        Raises:
          ValueError: if there are too few input frames.
        """
        windows = (frames - (self.kernel_size - 1) * self.dilation - 1) // self.stride + 1
        if windows < 1:
            raise ValueError(f"{frames} frames are too few for kernel size {self.kernel_size} with dilation {self.dilation}")
        return windows

    def unfold(self, x: jax.Array) -> jax.Array:
        """Gather the taps of each output: [..., T, D] -> [..., W, k, D].

        Tap t of output w is frame w * stride + t * dilation; W = (T - (k - 1) * dilation - 1) // stride + 1.
        """
        windows, k, stride, dilation = self.num_windows(x.shape[-2]), self.kernel_size, self.stride, self.dilation
        if stride == k and dilation == 1:
            return x[..., : windows * k, :].reshape(*x.shape[:-2], windows, k, x.shape[-1])
        last = (windows - 1) * stride + 1
        return jnp.stack([x[..., t * dilation : t * dilation + last : stride, :] for t in range(k)], axis=-2)

    def shifts(self, train: bool) -> bool:
        """Return whether frames are multiplied first and the products shifted, which is faster over sequences than windows."""
        return not train and self.stride == 1

    def tap_products(self, x: jax.Array, kernel: jax.Array) -> list[jax.Array]:
        """Multiply all frames by each tap's matrix and shift: [..., T, D] by [k, D, F] -> k arrays [..., W, F], for stride 1.

        The sum of the arrays is the convolution. No window is copied, and the sum is one pass over the products.
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
        """Convolve features, split into pieces [..., T, D_p], with a kernel [k, D, F]; return [..., W, F]."""
        if not self.shifts(train):
            return self.product([self.unfold(piece) for piece in pieces], kernel)
        return reduce(jnp.add, self.tap_products(jnp.concatenate(pieces, axis=-1), kernel))

    def product(self, taps: Sequence[jax.Array], kernel: jax.Array) -> jax.Array:
        """Multiply taps, split into pieces [..., k, D_p], by a kernel [k, D, F], as plain matrices, which is fastest."""
        terms = []
        ends = np.cumsum([piece.shape[-1] for piece in taps])[:-1]
        for piece, rows in zip(taps, jnp.split(kernel, ends, axis=1), strict=True):
            matrix = rows.reshape(-1, kernel.shape[-1]).astype(piece.dtype)
            terms.append(jnp.matmul(piece.reshape(-1, len(matrix)), matrix, precision=self.precision))
        return reduce(jnp.add, terms).reshape(*taps[0].shape[:-2], -1)


class SplitRecombineConv(GroupConv):
    """Split-recombine 1D convolution over time (Eq. 5 and 6, Fig. 2d).

    Every group gets H context features, a linear map of the rest of the body, and recombines them with its own input features
    before its matrix product.

    Attributes:
      recombine: "multiply", "add" or "concat".
      context_dim: H. An int is a number of features; a float is a share of the group's width (1.0 is 100 %; rounded, at least
        one feature). 0 gives the group layer. Multiply and add need H = 1 or H = the group's width.
      context_from: "others" maps all input features except the group's own; "all" maps every input feature.
      context_form: "official": zero-initialised weights and a bias, then sigmoid(BatchNorm) for multiply (no BatchNorm if
        context_from is "all") or LeakyReLU(0.01) for add and concat. "paper": the plain linear map of Eq. 6.
      bug_compatible: scramble the temporal context of concat (H = 1) as the official code does: the context of tap t at output
        w is read from index w * k + t of a flattened [k, W] array. Layers with one tap or one output are not affected.

    Note:
      With a kernel of k taps a group has k * H context features, H for each tap, each computed from all k taps. If groups share
      features (the root), "others" includes the copies in the other groups, as in the official code. With the scramble, the
      strided and the dilated form give different outputs for the same weights, and an output depends on the length of the
      sequence.
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
        """Number of context features of each group, H."""
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
        """Return whether all features of a tap share one gate, which can then be applied after the product."""
        return self.shifts(train) and self.recombine == "multiply" and set(self.context_widths) == {1}

    def _gated(self, x: jax.Array, context: jax.Array, kernel: jax.Array) -> jax.Array:
        """Convolve a group's features [..., T, D_g], and multiply the product of each tap by its gate [..., W, k, 1]."""
        products = self.tap_products(x, kernel)
        return reduce(jnp.add, [context[..., t, :] * y for t, y in enumerate(products)])

    def _recombined(self, x: jax.Array, context: jax.Array, kernel: jax.Array) -> jax.Array:
        """Recombine the taps of a group with its context [..., W, k, H], and multiply them by the kernel."""
        taps = self.unfold(x)
        if self.recombine == "concat":
            return self.product([taps, context], kernel)
        rows, columns = taps.reshape(-1, taps.shape[-1]), context.reshape(-1, context.shape[-1])  # sums of matrices are faster
        recombined = rows * columns if self.recombine == "multiply" else rows + columns
        return self.product([recombined.reshape(taps.shape)], kernel)

    def contexts(self, own: Sequence[jax.Array], everything: Sequence[jax.Array], train: bool, batch: Batch) -> list[jax.Array]:
        """Return each group's context [..., W, k, H] from features [..., T, D], with one matrix product for all groups."""
        k = self.kernel_size
        official = self.context_form == "official"
        others = self.context_from == "others"
        sources = own if others else everything  # for others: the features of all groups, one group after another
        widths = [source.shape[-1] for source in sources]
        init = nn.initializers.zeros if official else _torch_uniform
        kernels, biases, start = [], [], 0
        for index, h in enumerate(self.context_widths):
            hidden = widths[index] if others else 0  # number of the group's own features, which have zero weights
            kernel = parameter(self, f"context_kernel_{index}", init, (k, sum(widths) - hidden, k * h))
            if official:
                biases.append(parameter(self, f"context_bias_{index}", _torch_bias(k * (sum(widths) - hidden)), (k * h,)))
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
