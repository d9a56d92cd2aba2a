"""The paper's two graph baselines (Table 1): a graph convolution network [41] and a locally connected network [7].

Both lift single frames with a residual trunk over the joints of a skeleton. In SemGCN a joint sees its neighbours, through
weights that all joints share. In LCN a joint sees all joints within a few hops, each pair through its own weights. Details that
the publications do not state follow their code.

Source:
  L. Zhao et al., Semantic Graph Convolutional Networks for 3D Human Pose Regression, CVPR 2019 (arXiv 1904.03345),
  github.com/garyzhao/SemGCN; H. Ci et al., Optimizing Network Structure for 3D Human Pose Estimation, ICCV 2019,
  github.com/CHUNYUWANG/lcn-pose.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from ml_collections import ConfigDict

from srnet_jax.config import joint_sets
from srnet_jax.config.schema import ACTIVATIONS, GRAPH_NETWORKS
from srnet_jax.errors import ConfigError
from srnet_jax.models.layers import FULL_BATCH, Batch, BatchNorm, Groups, drop_out, like, parameter
from srnet_jax.pose.skeleton import H36M_17, Skeleton

LCN_LINKS = (
    (1, 7),
    (4, 7),
    (7, 11),
    (7, 14),
)  # edges of H36M_17 in addition to its bones: each hip and shoulder with the spine
POOLED_PAIRS = (
    (2, 3),
    (5, 6),
    (1, 4),
    (0, 7),
    (8, 9),
    (15, 16),
    (12, 13),
    (11, 14),
)  # similar joints of H36M_17; without the head
_he_normal = nn.initializers.variance_scaling(2, "fan_in", "normal")


def neighbourhoods(skeleton: Skeleton, hops: int = 1, links: Groups = ()) -> Groups:
    """Return, for each joint, the joints within a number of hops, including the joint itself, in ascending order.

    Args:
      skeleton: the skeleton; its bones are the edges of the graph.
      hops: the longest path, in edges; 0 gives only the joint itself.
      links: additional edges, pairs of joints.
    """
    adjacent = np.eye(skeleton.num_joints, dtype=bool)
    bones = [(joint, parent) for joint, parent in enumerate(skeleton.parents) if parent >= 0]
    for a, b in (*bones, *links):
        adjacent[a, b] = adjacent[b, a] = True
    return tuple(tuple(np.flatnonzero(row).tolist()) for row in np.linalg.matrix_power(adjacent, hops))


def _edges(neighbours: Groups) -> tuple[np.ndarray, np.ndarray]:
    """Return the output joints [E] and the input joints [E] of all edges, sorted by output joint."""
    return np.repeat(np.arange(len(neighbours)), [len(seen) for seen in neighbours]), np.concatenate(neighbours)


def _product(x: jax.Array, kernel: jax.Array, precision: str | None) -> jax.Array:
    """Multiply x [..., D] by a matrix [D, F] or a vector [D], as one product of plain matrices."""
    rows = x.reshape(-1, x.shape[-1])
    return jnp.matmul(rows, kernel.astype(x.dtype), precision=precision).reshape(*x.shape[:-1], *kernel.shape[1:])


def _biased(y: jax.Array, bias: jax.Array) -> jax.Array:
    return y + like(bias, y).astype(y.dtype)


def _glorot_of_pair(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
    """Draw two matrices [2, D, F] as the published code does: Glorot's rule with gain sqrt(2) and fans D * F and 2 * F."""
    bound = (2 * 6 / (shape[1] * shape[2] + 2 * shape[2])) ** 0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def _he_blocks(neighbours: Groups) -> Callable:
    """Return He's initialisation for blocks [E, D, F]; the fan-in of an output counts all features that its joint sees."""
    seen = np.concatenate([np.full(len(joints), len(joints)) for joints in neighbours])

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> jax.Array:
        return jax.random.normal(key, shape, dtype) * jnp.asarray(np.sqrt(2 / (seen * shape[1])), dtype)[:, None, None]

    return draw


class SemGraphConv(nn.Module):
    """Semantic graph convolution: y_i = a_ii x_i W_0 + sum over neighbours j of a_ij x_j W_1.

    Each row of `a` is the softmax of learned numbers, one for each joint in the neighbourhood.

    Attributes:
      neighbours: the neighbours of each joint, including the joint itself, from `neighbourhoods`.
      features: number of output features of each joint.
      use_bias: whether the outputs have a bias, shared by all joints.
      precision: precision of the matrix products, see `jax.lax.Precision`.

    Source: SemGCN Eq. 2, and Eq. 9 (appendix) for the self connection's own weights.
    """

    neighbours: Groups
    features: int
    use_bias: bool = False
    precision: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [N, J, D] to [N, J, features].

        Note:
          Joints are mixed first, with a matrix product for each frame, which takes half the time of an einsum on a CPU.
        """
        kernel = parameter(self, "kernel", _glorot_of_pair, (2, x.shape[-1], self.features))
        affinity = self.affinity()
        own, others = jnp.diag(affinity), jnp.fill_diagonal(affinity, 0, inplace=False)
        spread = jnp.broadcast_to(others.astype(x.dtype), (len(x), *others.shape))
        mixed = jnp.matmul(spread, x, precision=self.precision)
        scaled = x * own.astype(x.dtype)[None, :, None]
        y = _product(scaled, kernel[0], self.precision) + _product(mixed, kernel[1], self.precision)
        return _biased(y, parameter(self, "bias", nn.initializers.zeros, (self.features,))) if self.use_bias else y

    def affinity(self) -> jax.Array:
        """Return the weight of each input joint for each output joint, [J, J]; each row sums to one."""
        edges, shape = _edges(self.neighbours), (len(self.neighbours),) * 2
        learned = parameter(self, "edges", nn.initializers.ones, edges[0].shape)
        connected = jnp.zeros(shape, bool).at[edges].set(True)
        return nn.softmax(jnp.zeros(shape, learned.dtype).at[edges].set(learned), where=connected)


class GraphNonLocal(nn.Module):
    """Let every joint see all others: x_i + BatchNorm(W mean over p of relu(u . theta_i + v . phi_p) g_p).

    theta, phi and g are linear maps to half the features; phi and g are max-pooled over pairs p of joints.

    Attributes:
      pairs: pairs of joints that are pooled.
      precision: see `SemGraphConv`.

    Note:
      This is the published code's form, not the embedded Gaussian. Its pooling omits the head, which has no partner: the head
      is a query but never a key. The scale of BatchNorm is initially zero, so training begins with local layers. The bias of W
      is omitted, because BatchNorm cancels it.

    Source: SemGCN Eq. 4; Wang et al., Non-local Neural Networks, CVPR 2018, "concatenation".
    """

    pairs: Groups = POOLED_PAIRS
    precision: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, **settings: Any) -> jax.Array:
        """Map [N, J, C] to the same shape; `settings` are arguments of BatchNorm."""
        channels, half = x.shape[-1], x.shape[-1] // 2
        theta = parameter(self, "theta_kernel", _he_normal, (channels, half))
        theta_bias = parameter(self, "theta_bias", nn.initializers.zeros, (half,))
        phi_g = parameter(self, "phi_g_kernel", _he_normal, (channels, 2 * half))  # phi's columns, then g's
        phi_g_bias = parameter(self, "phi_g_bias", nn.initializers.zeros, (2 * half,))
        u, v = jnp.split(parameter(self, "affinity", _he_normal, (2 * half, 1))[:, 0], 2)
        first, second = np.array(self.pairs).T
        both = _biased(_product(x, phi_g, self.precision), phi_g_bias)
        phi, g = jnp.split(jnp.maximum(both[:, first], both[:, second]), 2, axis=-1)  # [N, P, C / 2]
        keys = _product(phi, v, self.precision)[:, None]  # [N, 1, P]
        queries = _product(x, jnp.matmul(theta, u, precision="highest"), self.precision)[:, :, None]  # [N, J, 1]
        offset = jnp.dot(theta_bias, u, precision="highest").astype(x.dtype)
        affinity = nn.relu(queries + keys + offset) / len(self.pairs)
        seen = jnp.matmul(affinity, g, precision=self.precision)  # [N, J, C / 2]
        y = _product(seen, parameter(self, "kernel", _he_normal, (half, channels)), self.precision)
        [y] = BatchNorm(initial_scale=0.0, name="norm")([y], **settings)
        return x + y


class LocalDense(nn.Module):
    """Locally connected layer: y_i = sum over the joints j that i sees of x_j W_ij, with separate weights for each pair.

    Attributes:
      neighbours: see `SemGraphConv`, also for the other fields; here each joint has its own bias.

    Source: LCN, with the fixed structure matrix of zeros and ones of the published code.
    """

    neighbours: Groups
    features: int
    use_bias: bool = False
    precision: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [N, J, D] to [N, J, features].

        Note:
          The blocks W_ij [E, D, features] are placed in one dense matrix. With three hops this took half the time of a product
          for each joint on a CPU.
        """
        (joints, width), features = x.shape[1:], self.features
        outputs, inputs = _edges(self.neighbours)
        blocks = parameter(self, "kernel", _he_blocks(self.neighbours), (len(outputs), width, features))
        grid = jnp.zeros((joints, joints, width, features), blocks.dtype).at[inputs, outputs].set(blocks)
        matrix = grid.swapaxes(1, 2).reshape(joints * width, joints * features)
        y = _product(x.reshape(len(x), -1), matrix, self.precision)
        if self.use_bias:
            y = _biased(y, parameter(self, "bias", nn.initializers.zeros, (joints * features,)))
        return y.reshape(len(x), joints, features)


class GraphLifter(nn.Module):
    """Lift single frames with a residual trunk over joints; a drop-in for `PoseLifter`.

    The trunk has `num_layers` layers: the first, residual blocks of two, and the last. Each layer but the last is followed by
    BatchNorm over frames and joints, activation and dropout. A subclass defines the layers (`layer`) and a function that
    follows the first layer and each block (`exchange`).

    Attributes:
      skeleton: the joints and bones of the graph.
      num_layers: an even number, 2 or more.
      channels: number of features of each joint.
      adds_input: add the 2D input to the output's x and y, as the published LCN does for poses in screen coordinates.
      strided: has no effect, because all forms of a single-frame network are the same.
      activation: "leaky_relu" (slope 0.01) or "relu".
      dropout: dropout rate after each activation.
      precision: see `PoseLifter`.

    Note:
      The published layers have a bias before each BatchNorm, which cancels it; here, as in `PoseLifter`, only the last layer
      has one.
    """

    skeleton: Skeleton = H36M_17
    num_layers: int = 8
    channels: int = 128
    adds_input: bool = False
    strided: bool = False
    activation: str = "relu"
    dropout: float = 0.0
    precision: str = "float32"

    receptive_field, causal, length_dependent = 1, False, False  # see `PoseLifter`

    @property
    def num_joints(self) -> int:
        """Number of joints, J."""
        return self.skeleton.num_joints

    @property
    def input_shape(self) -> tuple[int, int]:
        """Number of keypoints, which is that of the joints, and of features of each keypoint."""
        return self.num_joints, 2

    @property
    def product_precision(self) -> str:
        """Precision of the matrix products, see `jax.lax.Precision`."""
        return "high" if self.precision == "tf32" else "highest"

    @nn.nowrap
    def layer(self, features: int, use_bias: bool, name: str | None) -> nn.Module:
        """Return a layer that maps [N, J, D] to [N, J, features]."""
        raise NotImplementedError

    def exchange(self, h: jax.Array, index: int, **settings: Any) -> jax.Array:
        """Map h [N, J, C] to the same shape after layer `index`, the first layer or the last of a block.

        `settings` are arguments of BatchNorm. By default h is returned unchanged.
        """
        del index, settings
        return h

    @nn.compact
    def __call__(
        self, inputs_2d: jax.Array, *, train: bool = False, bn_momentum: float | jax.Array = 0.1, batch: Batch = FULL_BATCH
    ) -> jax.Array:
        """Lift 2D keypoints to 3D joints, each frame independently.

        Args:
          inputs_2d: [B, T, J, 2] normalised screen coordinates.
          train: normalise with the batch's statistics, update the running statistics, and apply dropout.
          bn_momentum: weight of the new batch in the running statistics; may be traced.
          batch: weights of the samples in training, and the devices over which they are spread.

        Returns:
          [B, T, J, 3] joints, camera frame, metres, relative to the root. The root itself is predicted, too.
        """

        def block(index: int, h: jax.Array) -> jax.Array:
            h = self.layer(self.channels, False, f"layer_{index}")(h)
            [h] = BatchNorm(slope=ACTIVATIONS[self.activation], name=f"norm_{index}")([h], **settings)
            return drop_out(self, [h], self.dropout, batch)[0] if self.dropout and train else h

        settings: dict[str, Any] = {"train": train, "batch": batch, "momentum": bn_momentum}
        h = inputs_2d.reshape(-1, self.num_joints, 2)  # [B * T, J, 2]
        if self.precision == "bfloat16":
            h = h.astype(jnp.bfloat16)
        h = self.exchange(block(0, h), 0, **settings)
        for index in range(1, self.num_layers - 1, 2):
            h = self.exchange(h + block(index + 1, block(index, h)), index + 1, **settings)
        y = self.layer(3, True, f"layer_{self.num_layers - 1}")(h)
        y = y.reshape(*inputs_2d.shape[:-1], 3).astype(inputs_2d.dtype)  # [B, T, J, 3]
        return y.at[..., :2].add(inputs_2d) if self.adds_input else y


class SemGCN(GraphLifter):
    """Semantic graph convolution network.

    The published network has 128 channels, ReLU, no dropout, four blocks (10 layers: filter widths (1, 1, 1, 1, 1)) and a
    non-local layer after the first layer and after each block. It has 434,733 parameters (0.43 M), or 267,373 (0.27 M) without
    non-local layers. Ours has 432,941 and 266,221, because biases that cancel are omitted; with eight layers 333,451 and
    200,075.

    Attributes:
      non_local: whether the network has non-local layers.
      pairs: pairs of joints, see `GraphNonLocal`.
    """

    non_local: bool = True
    pairs: Groups = POOLED_PAIRS

    @nn.nowrap
    def layer(self, features: int, use_bias: bool, name: str | None) -> SemGraphConv:
        """See `GraphLifter.layer`."""
        return SemGraphConv(neighbourhoods(self.skeleton), features, use_bias, self.product_precision, name=name)

    def exchange(self, h: jax.Array, index: int, **settings: Any) -> jax.Array:
        """See `GraphLifter.exchange`."""
        if not self.non_local:
            return h
        return GraphNonLocal(self.pairs, self.product_precision, name=f"non_local_{index}")(h, **settings)


class LCN(GraphLifter):
    """Locally connected network.

    The published network has 64 channels, three hops over the bones and four additional links, three blocks (8 layers),
    LeakyReLU and dropout 0.25. Ours has 4,357,747 parameters. The published code stores 7,203,507, which include weights that
    its mask sets to zero and biases that cancel.

    Attributes:
      hops: the longest path to a joint that is seen, in edges.
      links: edges in addition to the bones, pairs of joints.

    Note:
      The published code also scales each layer's weights to a norm of at most one, which BatchNorm undoes except for its
      epsilon; it has LeakyReLU with slope 0.2, and it always adds the input (`adds_input`).
    """

    channels: int = 64
    activation: str = "leaky_relu"
    dropout: float = 0.25
    hops: int = 3
    links: Groups = LCN_LINKS

    @nn.nowrap
    def layer(self, features: int, use_bias: bool, name: str | None) -> LocalDense:
        """See `GraphLifter.layer`."""
        seen = neighbourhoods(self.skeleton, self.hops, self.links)
        return LocalDense(seen, features, use_bias, self.product_precision, name=name)


def create_graph_model(model: ConfigDict) -> SemGCN | LCN:
    """Build the graph network that `config.model` describes: `semgcn` or `lcn`.

    The pairs and links of the publications are joints of Human3.6M. For other joint sets SemGCN pools each joint with its
    mirror image, and LCN has only the bones as edges.

    Raises:
      ConfigError: if a filter width is above one, or the keypoints are not the joints.
      ValueError: for another network.
    """
    if max(widths := tuple(model.filter_widths)) > 1:
        ones = (1,) * len(widths)
        raise ConfigError(f"config.model.filter_widths: found {widths}, expected {ones} for {model.network}")
    skeleton, keypoints = joint_sets.of(model)
    if keypoints != skeleton or model.confidences:
        raise ConfigError(
            f"config.model.network: {model.network} is not allowed with other keypoints than the joints, or with confidences"
        )
    h36m = skeleton == H36M_17
    common = {
        "skeleton": skeleton,
        "num_layers": 2 * len(widths),
        "channels": model.channels,
        "adds_input": model.adds_input,
        "activation": model.activation,
        "dropout": model.dropout,
        "precision": model.precision,
    }
    match model.network:
        case "semgcn":
            return SemGCN(
                **common,
                non_local=model.non_local,
                pairs=POOLED_PAIRS if h36m else tuple(enumerate(skeleton.mirrored)),
            )
        case "lcn":
            return LCN(**common, hops=model.hops, links=LCN_LINKS if h36m else ())
    raise ValueError(f"network is {model.network!r}, expected one of {', '.join(GRAPH_NETWORKS)}")
