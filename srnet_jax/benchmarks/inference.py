"""Measure the time to lift whole sequences, without flips, in the same way as `train`."""

import shutil
from collections.abc import Callable
from functools import partial

import numpy as np

from srnet_jax.benchmarks.train import Cases, Peers, compare, make_arrays, make_model, summary

__all__ = ["run", "summary"]

_FRAMES = 1000  # output frames
INFERENCE: Cases = {
    f"SR multiply, 243 frames, {_FRAMES:,} frames": ("sr", (3, 3, 3, 3, 3), _FRAMES),
    f"SR multiply, 8 layers, {_FRAMES:,} frames": ("sr", (1, 1, 1, 1), _FRAMES),
    f"FC, 8 layers, {_FRAMES:,} frames": ("fc", (1, 1, 1, 1), _FRAMES),
}


def run(peer: str = "", rounds: int = 15) -> dict[str, float]:
    """Time how long it takes to lift a sequence; `peer` is "torch" to time PyTorch too, or empty."""
    peers: Peers = {"PyTorch": (make_torch_inference, False), "PyTorch, our allocator": (make_torch_inference, True)}
    if shutil.which("g++"):  # which torch.compile needs on a CPU
        peers["PyTorch, torch.compile"] = (partial(make_torch_inference, compile=True), False)
    return compare(INFERENCE, make_inference, peers if peer else {}, rounds, training=False)


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
