"""Determine the properties of Table 1: what each network connects, from its Jacobians at random weights."""

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from srnet_jax.models.graph import LCN, GraphLifter, SemGCN
from srnet_jax.models.pose_lifter import FULLY_CONNECTED, Lifter, PoseLifter, connectivity_plan, make_layer, variable_shapes
from srnet_jax.pose.skeleton import body_groups

_ZERO = 1e-4  # singular values below this share of the Jacobian's largest entry count as zero
_GROUPS = body_groups(5, root_in_every_group=False)
_CHANNELS = 170  # 10 features for each of 17 joints
_PLANS: dict[str, dict[str, Any]] = {"lf": {"fuse_layer": 3}, "es": {"split_layer": 3}, "sfs": {"link_layers": 2}}
NETWORKS: dict[str, Callable[[], Lifter]] = {  # in the table's order
    "FCN": lambda: _trunk("fc"),
    "Group": lambda: _trunk("gp"),
    "Late Fusion": lambda: _trunk("lf"),
    "Early Split": lambda: _trunk("es"),
    "Split-Fuse-Split": lambda: _trunk("sfs"),
    "GCN": lambda: SemGCN(num_layers=6, channels=8, non_local=False),
    "LCN": lambda: LCN(num_layers=6, channels=8, hops=1, links=()),
    "SRNet": lambda: _trunk("sr", recombine="concat", context_form="paper"),
}
PAPER = {  # Table 1: local inference, local features, information passing, dimension control
    "FCN": ("weak (shared features)", "no", "yes", "no"),
    "Group": ("yes", "yes", "no", "no"),
    "Late Fusion": ("weak (shared features)", "yes", "yes", "no"),
    "Early Split": ("yes", "no", "yes", "no"),
    "Split-Fuse-Split": ("yes", "yes", "yes", "no"),
    "GCN": ("no (shared weights)", "yes (overlapping groups)", "yes", "no"),
    "LCN": ("yes", "yes (overlapping groups)", "yes", "no"),
    "SRNet": ("yes", "yes", "yes", "yes"),
}


@dataclasses.dataclass(frozen=True)
class Layer:
    """The Jacobian of a layer, with its rows and columns by unit. A unit is a group of joints, or a joint of a graph.

    Attributes:
      jacobian: [outputs, inputs] derivative of each output by each input.
      outputs: for each unit, its rows.
      inputs: for each unit, its columns.
      seen: for each unit, the units that are its inputs by design: itself, or its neighbourhood in a graph.
    """

    jacobian: np.ndarray
    outputs: Sequence[np.ndarray]
    inputs: Sequence[np.ndarray]
    seen: Sequence[tuple[int, ...]]

    def rank_from_others(self, *, but_seen: bool = False) -> int:
        """Return the largest rank, over units, of the block from all other units, or with `but_seen` from those not seen."""
        ranks = []
        for index, rows in enumerate(self.outputs):
            own = self.seen[index] if but_seen else (index,)
            columns = [unit for other, unit in enumerate(self.inputs) if other not in own]
            part = self.jacobian[np.ix_(rows, np.concatenate(columns))]
            ranks.append(int(np.linalg.matrix_rank(part, tol=_ZERO * np.abs(self.jacobian).max())))
        return max(ranks)


def properties(model: Lifter, context: int = 1) -> tuple[str, str, str, str]:
    """Determine a network's row of Table 1: local inference, local features, information passing, dimension control.

    Features are local if no unit of the first layer has an input of a rank above the context's from units that it does not see.
    Inference is local if the same holds in the last layer, and no weight there is shared by several joints. Information passes
    if some output depends on the joints of another unit. Its dimension is controlled if no layer has an input of a rank above
    the context's from other units.

    Args:
      model: a network of single frames; the groups of a trunk must be disjoint.
      context: width H of the context, which is its rank.

    Returns:
      The four cells of the row.
    """
    layers, whole, shared = _graph(model) if isinstance(model, GraphLifter) else _grouped(model)
    overlapping = max(len(seen) for seen in layers[0].seen) > 1
    local = [layer.rank_from_others(but_seen=True) <= context for layer in layers]
    passes = whole.rank_from_others() > 0
    controlled = passes and all(layer.rank_from_others() <= context for layer in layers)
    inference = "no (shared weights)" if shared else "yes" if local[-1] else "weak (shared features)"
    features = ("yes (overlapping groups)" if overlapping else "yes") if local[0] else "no"
    return inference, features, _yes(passes), _yes(controlled)


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _trunk(network: str, **options: Any) -> PoseLifter:
    plan = connectivity_plan(network, 6, **_PLANS.get(network, {}))
    return PoseLifter(plan, _GROUPS, (1, 1, 1), channels=_CHANNELS, **options)


def _random_variables(model: Lifter) -> Any:
    """Return random values for every variable, including those that are initialised with zeros."""
    rng = np.random.default_rng(0)

    def draw(path: Any, leaf: jax.ShapeDtypeStruct) -> np.ndarray:
        if path[-1].key in ("scale", "var"):
            return rng.uniform(0.5, 1.5, leaf.shape).astype(np.float32)
        return (rng.normal(size=leaf.shape) / np.sqrt(np.prod(leaf.shape[:-1]))).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variable_shapes(model))


def _jacobian(function: Callable[[jax.Array], jax.Array], shape: tuple[int, ...]) -> np.ndarray:
    """Return the Jacobian [outputs, inputs] of a function at a random point."""
    x = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    return np.asarray(jax.jit(jax.jacobian(lambda x: function(x).ravel()))(x)).reshape(-1, x.size)


def _apply(module: nn.Module, variables: Any, x: jax.Array) -> jax.Array:
    return jnp.asarray(module.apply(variables, x))


def _units(groups: Sequence[Sequence[int]], size: int) -> list[np.ndarray]:
    """Return each group's indices into the flattened coordinates [J, size] of all joints."""
    return [np.array([size * joint + axis for joint in group for axis in range(size)]) for group in groups]


def _consecutive(sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1])


def _grouped(model: PoseLifter) -> tuple[list[Layer], Layer, bool]:
    """Return each layer of a trunk, the whole network, and whether joints share a weight of the last layer, which is false."""
    variables, plans = _random_variables(model), model.layer_plans()
    groups = model.joint_groups
    alone = [(index,) for index in range(len(groups))]
    hidden = _consecutive([model.channels // model.num_joints * len(group) for group in groups])
    layers = []
    for index, plan in enumerate(plans):
        own = {"params": variables["params"][f"layer_{index}"]}
        layer, width = make_layer(model, plan), 2 * model.num_joints if index == 0 else model.channels
        jacobian = _jacobian(partial(_apply, layer, own), (1, 1, width))
        inputs, outputs = _units(groups, 2) if index == 0 else hidden, hidden
        if index == len(plans) - 1:  # a grouped last layer's outputs are ordered by group
            fully = plan.connectivity == FULLY_CONNECTED
            outputs = _units(groups, 3) if fully else _consecutive([3 * len(group) for group in groups])
        layers.append(Layer(jacobian, outputs, inputs, alone))
    whole = _jacobian(partial(_apply, model, variables), (1, 1, model.num_joints, 2))
    return layers, Layer(whole, _units(groups, 3), _units(groups, 2), alone), False


def _graph(model: GraphLifter) -> tuple[list[Layer], Layer, bool]:
    """Return a graph network's first and last layer, the whole network, and whether joints share a weight of the last layer.

    The layers between connect the same joints as the last layer.
    """
    variables = _random_variables(model)
    joints = [(joint,) for joint in range(model.num_joints)]
    last = model.num_layers - 1
    layers = []
    for index, (width, features) in {0: (2, model.channels), last: (model.channels, 3)}.items():
        own, layer = {"params": variables["params"][f"layer_{index}"]}, model.layer(features, index == last, None)
        jacobian = _jacobian(partial(_apply, layer, own), (1, model.num_joints, width))
        layers.append(Layer(jacobian, _units(joints, features), _units(joints, width), layer.neighbours))
    whole = _jacobian(partial(_apply, model, variables), (1, 1, model.num_joints, 2))
    kernel = own["params"]["kernel"]
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, model.num_joints, model.channels)), jnp.float32)
    by_weight = _jacobian(lambda k: _apply(layer, {"params": own["params"] | {"kernel": k}}, x), kernel.shape)
    moved = np.abs(by_weight).reshape(model.num_joints, 3, -1).max(1) > 0
    return layers, Layer(whole, _units(joints, 3), _units(joints, 2), joints), bool((moved.sum(0) > 1).any())
