"""Measure the time to lift whole sequences, without flips, in the same way as `train`."""

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import numpy as np

from srnet_jax.benchmarks.train import Cases, Peers, chosen, compare, make_arrays, make_model

_FRAMES = 1000  # output frames
INFERENCE: Cases = {
    f"SR multiply, 243 frames, {_FRAMES:,} frames": ("sr", (3, 3, 3, 3, 3), _FRAMES),
    f"SR multiply, 8 layers, {_FRAMES:,} frames": ("sr", (1, 1, 1, 1), _FRAMES),
    f"FC, 8 layers, {_FRAMES:,} frames": ("fc", (1, 1, 1, 1), _FRAMES),
}


def run(peer: Mapping[str, str] = MappingProxyType({}), rounds: int = 15) -> dict[str, float]:
    """Time how long it takes to lift a sequence, also with the implementations that `peers.parse` returned."""
    torch: Peers = {"PyTorch": (make_torch_inference, False), "PyTorch, our allocator": (make_torch_inference, True)}
    if shutil.which("g++"):  # which torch.compile needs on a CPU
        torch["PyTorch, torch.compile"] = (partial(make_torch_inference, compile=True), False)
    return compare(INFERENCE, make_inference, chosen(peer, torch, make_official_inference), rounds, training=False)


def make_inference(case: str) -> Callable[[], object]:
    """Return a function that lifts one sequence."""
    import jax

    network, widths, size = INFERENCE[case]
    model = make_model(network, widths)
    inputs, _ = make_arrays(1, size + model.receptive_field - 1, 1)
    variables = model.init(jax.random.key(0), inputs)
    lift = jax.jit(model.apply)
    return lambda: np.asarray(lift(variables, inputs))


def make_torch_inference(case: str, *, compile: bool = False) -> Callable[[], object]:
    """Return a function that lifts one sequence in PyTorch, with the normalisation folded into the weights."""
    import torch

    from srnet_jax.benchmarks import torch_peer

    network, widths, size = INFERENCE[case]
    model = make_model(network, widths)
    module = torch_peer.fold(torch_peer.TorchLifter(model))
    if compile:
        module.compile()
    inputs = torch.from_numpy(make_arrays(1, size + model.receptive_field - 1, 1)[0])
    return lambda: torch_peer.predict(module, inputs).numpy()


def make_official_inference(case: str, folder: str) -> Callable[[], object]:
    """Return a function with which the official code in a folder lifts one sequence."""
    import torch

    from srnet_jax.benchmarks import official_peer

    network, widths, size = INFERENCE[case]
    model = make_model(network, widths)
    module, _ = official_peer.load(folder, model, strided=False)
    inputs = torch.from_numpy(make_arrays(1, size + model.receptive_field - 1, 1)[0])
    return lambda: official_peer.predict(module, inputs).numpy()
