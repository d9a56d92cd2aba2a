"""Collect what the browser's lifting takes from the Python modules, so that each number is stated once.

JavaScript reads the numbers of a module under the names that they have there, without a leading underscore:
`tables.constants.smoothing.NYQUIST` is `_NYQUIST` of `pose.smoothing`.
"""

import dataclasses
import numbers
from types import ModuleType
from typing import Any

from srnet_jax.lifting import lifter, result, roll
from srnet_jax.lifting.formats import bvh, motion
from srnet_jax.lifting.weights import Trained
from srnet_jax.pose import (
    bones,
    complete,
    expected_errors,
    footlock,
    ground,
    hinges,
    normalization,
    root_path,
    smoothing,
    whittaker,
)
from srnet_jax.pose.complete import Source
from srnet_jax.pose.filters import Settings
from srnet_jax.pose.skeleton import H36M_17, RATIOS

_MODULES = (
    bones,
    bvh,
    complete,
    expected_errors,
    footlock,
    ground,
    hinges,
    lifter,
    motion,
    normalization,
    result,
    roll,
    root_path,
    smoothing,
    whittaker,
)


def tables() -> dict[str, Any]:
    """Return the skeleton, the usual filters, and the numbers of the modules that JavaScript repeats, fit for JSON."""
    return {
        "joints": list(H36M_17.joints),
        "parents": list(H36M_17.parents),
        "mirrored": list(H36M_17.mirrored),
        "ratios": RATIOS,
        "source_names": [source.name.lower() for source in Source],
        "filters": dataclasses.asdict(Settings()),
        "axes": result.FRAME,
        "unit": result.Result.unit,
        "constants": {module.__name__.rpartition(".")[2]: _numbers(module) for module in _MODULES},
    }


def facts(trained: Trained, frames: int) -> dict[str, Any]:
    """Return what JavaScript must know of a network, fit for JSON.

    Args:
      trained: the network.
      frames: of a sequence in its ONNX model.
    """
    calibration = trained.calibration
    return {
        "name": trained.name,
        "normalization": trained.config.model.normalization,
        "receptive_field": trained.model.receptive_field,
        "causal": bool(trained.config.model.causal),
        "fps": trained.fps,
        "frames": frames,
        "calibration": calibration and {name: array.tolist() for name, array in calibration._asdict().items()},
    }


def _numbers(module: ModuleType) -> dict[str, Any]:
    """Return the constants of a module that are a number or a tuple of numbers."""
    found = {}
    for name, value in vars(module).items():
        several = value if isinstance(value, tuple) else (value,)
        if name.isupper() and several and all(isinstance(number, numbers.Real) for number in several):
            found[name.lstrip("_")] = [*map(float, value)] if isinstance(value, tuple) else float(value)
    return found
