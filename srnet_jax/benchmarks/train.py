"""Measure the time of a training step, and compare it with its arithmetic bound and, on request, other implementations.

Each implementation runs in a process of its own, and the processes run their steps alternately. The figures are medians over
the rounds; ratios are computed in each round, and then their median is taken. The bound is the time that the network's matrix
products alone would take at the speed of a product of 1024 x 1024 matrices, which is measured in the same rounds. `PyTorch` is
`torch_peer` in a process with the system's memory settings; `PyTorch, our allocator` uses those of our launchers
(launch/__init__.py). `the official code` is `official_peer`, with the system's memory settings.
"""

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from srnet_jax.benchmarks.peers import OFFICIAL, OFFICIAL_CODE, TORCH
from srnet_jax.benchmarks.timing import Maker, alternate, ask, ratios, workers
from srnet_jax.config.schema import default_config

Cases = dict[str, tuple[str, tuple[int, ...], int]]  # network, filter widths, and windows or output frames
Peers = dict[str, tuple[Maker, bool]]  # see `timing.workers`
_PRODUCT, _SIZE = "product", 1024  # square matrices whose product gives the arithmetic rate
TRAINING: Cases = {
    "SR multiply, 6 layers, batch 1024": ("sr", (1, 1, 1), 1024),
    "FC, 6 layers, batch 1024": ("fc", (1, 1, 1), 1024),
    "SR multiply, 243 frames, batch 128": ("sr", (3, 3, 3, 3, 3), 128),
}


def run(peer: Mapping[str, str] = MappingProxyType({}), rounds: int = 15) -> dict[str, float]:
    """Time training steps, also with the implementations that `peers.parse` returned."""
    torch: Peers = {"PyTorch": (make_torch_training, False), "PyTorch, our allocator": (make_torch_training, True)}
    return compare(TRAINING, make_training, chosen(peer, torch, make_official_training), rounds, training=True)


def chosen(peer: Mapping[str, str], torch: Peers, official: Callable[..., Callable[[], object]]) -> Peers:
    """Return the workers of the peers of `peers.parse`; `official` takes a case and the folder of a checkout."""
    peers = dict(torch) if TORCH in peer else {}
    if OFFICIAL in peer:
        peers[OFFICIAL_CODE] = (partial(official, folder=peer[OFFICIAL]), False)
    return peers


def compare(cases: Cases, make: Maker, peers: Peers, rounds: int, *, training: bool) -> dict[str, float]:
    """Time our implementation and its peers for each case, and return the figures."""
    figures: dict[str, float] = {}
    for case, (network, widths, size) in cases.items():
        with workers({"ours": (make, True), _PRODUCT: (make_product, True)} | peers) as pipes:
            seconds = alternate(pipes, case, rounds)
            rate = 2 * _SIZE**3 / statistics.median(seconds[_PRODUCT])
            bound = product_operations(network, widths, size, training=training) / rate
            for name in ("ours", *peers):
                median = statistics.median(seconds[name])
                figures[f"{case}: {name}, ms"] = 1000 * median
                figures[f"{case}: {name}, poses/s"] = size / median
                figures[f"{case}: {name}, percent of the bound"] = 100 * bound / median
                figures[f"{case}: {name}, peak memory of the process, MB"] = ask(pipes[name]) / 1e6
                if name in peers:
                    rounds_of = ratios(seconds[name], seconds["ours"])
                    figures[f"{case}: {name} / ours"] = statistics.median(rounds_of)
                    figures[f"{case}: {name} / ours, least of the rounds"] = min(rounds_of)
                    figures[f"{case}: {name} / ours, greatest of the rounds"] = max(rounds_of)
            figures[f"{case}: products of {_SIZE}, GFLOP/s"] = rate / 1e9
    return figures


def summary(figures: dict[str, float]) -> list[str]:
    """Summarise the figures of `compare` in a line for each case: time, share of the bound, and ratios to the peers."""
    lines = []
    for name, milliseconds in figures.items():
        case, found, _ = name.partition(": ours, ms")
        if found:
            text = f"{case}: {milliseconds:.3g} ms, {figures[f'{case}: ours, percent of the bound']:.0f} % of the bound"
            for peer in _peers(figures, case):
                middle, least, most = (
                    figures[f"{case}: {peer} / ours{end}"] for end in ("", ", least of the rounds", ", greatest of the rounds")
                )
                text += f"; {peer} takes {middle:.2f} times as long ({least:.2f} to {most:.2f})"
            lines.append(text)
    return lines


def _peers(figures: dict[str, float], case: str) -> list[str]:
    """Return the names of the peers that were timed in a case."""
    found = (name.removeprefix(f"{case}: ") for name in figures if name.startswith(f"{case}: ") and name.endswith(" / ours"))
    return [name.removesuffix(" / ours") for name in found]


def product_operations(network: str, filter_widths: tuple[int, ...], size: int, *, training: bool) -> float:
    """Count the floating-point operations of the network's matrix products.

    Args:
      network: fc or sr.
      filter_widths: filter widths of the network.
      size: windows of a training step, or output frames of a sequence.
      training: whether to count a training step in the strided form. It has two more products for each product of the
        forward pass, for the gradients; the first layer needs no gradient for its input.
    """
    model = make_model(network, filter_widths)
    frames, total = model.receptive_field if training else size + model.receptive_field - 1, 0.0
    for index, plan in enumerate(model.layer_plans()):
        frames = frames // plan.kernel_size if training else frames - (plan.kernel_size - 1) * plan.dilation
        rows = frames * (size if training else 1)
        inputs = sum(len(group) for group in plan.groups)
        products = sum(len(group) * width for group, width in zip(plan.groups, plan.features, strict=True))
        if plan.connectivity == "split_recombine":
            products += inputs * len(plan.groups) * plan.kernel_size
        passes = 1 if not training else 2 if index == 0 else 3
        total += 2.0 * rows * plan.kernel_size * products * passes
    return total


def make_config(network: str, filter_widths: tuple[int, ...]) -> ConfigDict:
    """Return the default config with this network."""
    config = default_config()
    config.model.network, config.model.filter_widths = network, filter_widths
    return config


def make_model(network: str, filter_widths: tuple[int, ...]) -> Any:
    """Return the network with this type and these filter widths."""
    from srnet_jax.models.pose_lifter import create_model

    return create_model(make_config(network, filter_widths).model)


def make_arrays(windows: int, frames: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Return random inputs [B, T, 17, 2] and targets [B, T', 17, 3]."""
    rng = np.random.default_rng(0)
    shapes = ((windows, frames, 17, 2), (windows, outputs, 17, 3))
    inputs, targets = (rng.normal(0, 0.3, shape).astype(np.float32) for shape in shapes)
    return inputs, targets


def make_product(case: str) -> Callable[[], object]:
    """Return a function that multiplies two square matrices; it is the same for every case."""
    import jax
    import jax.numpy as jnp

    del case
    x = jnp.ones((_SIZE, _SIZE))
    product = jax.jit(jnp.matmul)
    return lambda: product(x, x).block_until_ready()


def make_training(case: str, mode: str = "jit", count: int = 1) -> Callable[[], object]:
    """Return a function that takes a training step of ours, on `count` devices under jit or pmap."""
    import jax

    from srnet_jax.pose.normalization import View
    from srnet_jax.training import steps
    from srnet_jax.training.optimizer import create_optimizer
    from srnet_jax.training.parallel import Devices
    from srnet_jax.training.state import create_train_state

    network, widths, batch_size = TRAINING[case]
    config, model, devices = make_config(network, widths), make_model(network, widths), Devices(mode, count)
    block = devices.compile(steps.StepSettings.of(config), lambda data, item: item)
    inputs, targets = make_arrays(batch_size, model.receptive_field, 1)
    batch = {"inputs_2d": inputs, "targets": targets, "views": View.unknown(batch_size, 1)}
    items = devices.spread(jax.tree.map(lambda value: value[None], batch), axis=1)
    hyperparameters = devices.replicate(steps.Hyperparameters.at(0, 0, config.train))
    state = [devices.replicate((create_train_state(model, create_optimizer(), 0), steps.zero_totals()))]

    def step() -> None:
        state[0] = jax.block_until_ready(block(*state[0], hyperparameters, (), items, np.int32(1)))

    return step


def make_torch_training(case: str) -> Callable[[], object]:
    """Return a function that takes a training step in PyTorch."""
    import torch

    from srnet_jax.benchmarks import torch_peer

    network, widths, batch_size = TRAINING[case]
    model = make_model(network, widths)
    module = torch_peer.TorchLifter(model)
    optimizer = torch_peer.create_optimizer(module)
    inputs, targets = (torch.from_numpy(x) for x in make_arrays(batch_size, model.receptive_field, 1))
    return lambda: float(torch_peer.train_step(module, optimizer, inputs, targets))


def make_official_training(case: str, folder: str) -> Callable[[], object]:
    """Return a function that takes one training step of the official code in a folder."""
    import torch

    from srnet_jax.benchmarks import official_peer

    network, widths, batch_size = TRAINING[case]
    model = make_model(network, widths)
    module, losses = official_peer.load(folder, model, strided=True)
    inputs, targets = (torch.from_numpy(x) for x in make_arrays(batch_size, model.receptive_field, 1))
    return official_peer.make_step(module, losses, inputs, targets)
