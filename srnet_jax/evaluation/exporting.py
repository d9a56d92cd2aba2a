"""Write a trained network for other programs: weights alone, a StableHLO program, or ONNX.

A program takes `inputs_2d` [B, T, 17, 2] (see `normalization`) and gives `poses_3d` [B, T - receptive_field + 1, 17, 3]. Beside
it lies a JSON file that says what these are. Each file is read back and compared with the network before it is kept.
"""

import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.evaluation import weights
from srnet_jax.evaluation.weights import Trained
from srnet_jax.files import write_whole
from srnet_jax.skeleton import H36M_17

SUFFIXES = (".npz", ".stablehlo", ".onnx")
PLATFORMS = ("cpu", "cuda", "tpu")
_MOST_APART = 1e-4  # of a program's outputs and the network's, relative to the largest


def write(path: Path, trained: Trained, *, frames: int | None = None) -> float:
    """Write a network as the name's ending says, whole or not at all.

    - `.npz`: the weights and the config, which `srnet_jax.load` reads.
    - `.stablehlo`: a program of `jax.export` for CPU, CUDA and TPU, for any number of sequences and frames.
    - `.onnx`: for any number of sequences of `frames` frames.

    Args:
      path: of the file.
      trained: the network.
      frames: T of an ONNX program; None for the receptive field.

    Returns:
      The largest difference between what the file gives and what the network gives on random keypoints, relative to the
      largest output.

    Raises:
      UserError: for another ending, too few frames, if a package is missing, or if the outputs differ by more than 1e-4.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}")
    if path.suffix == ".npz":
        weights.save(path, trained)
        read = weights.load(path)
        return _difference(trained, lambda x: read.model.apply(read.variables, x), _examples(trained))
    field = trained.model.receptive_field
    if frames is not None and frames < field:
        raise UserError(f"frames: found {frames}, expected at least the receptive field, {field}")
    with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=".unfinished-") as folder:
        draft = Path(folder) / path.name
        if path.suffix == ".stablehlo":
            run, examples = _write_stablehlo(draft, trained), _examples(trained)
        else:
            length = frames or field
            run, examples = _write_onnx(draft, trained, length), _examples(trained, length)
        apart = _difference(trained, run, examples)
        if not apart <= _MOST_APART:
            raise UserError(
                f"{path}: not kept, its outputs differ from the network's by {apart:.1e}, expected {_MOST_APART:.0e}"
            )
        write_whole(path.with_name(f"{path.name}.json"), json.dumps(_described(trained, frames), indent=2) + "\n")
        draft.replace(path)
    return apart


def _write_stablehlo(path: Path, trained: Trained) -> Callable:
    _needed("flatbuffers", "export", path)
    from jax import export

    beyond = trained.model.receptive_field - 1
    batch, frames = export.symbolic_shape(f"b, t + {beyond}" if beyond else "b, t")
    inputs = jax.ShapeDtypeStruct((batch, frames, H36M_17.num_joints, 2), np.float32)
    program = jax.jit(lambda inputs_2d: trained.model.apply(trained.variables, inputs_2d))
    path.write_bytes(export.export(program, platforms=PLATFORMS)(inputs).serialize())
    return export.deserialize(bytearray(path.read_bytes())).call


def _write_onnx(path: Path, trained: Trained, frames: int) -> Callable:
    for package in ("jax2onnx", "onnxruntime"):
        _needed(package, "onnx", path)
    import jax2onnx
    import onnxruntime

    model = jax2onnx.to_onnx(
        lambda inputs_2d: trained.model.apply(trained.variables, inputs_2d),
        [("B", frames, H36M_17.num_joints, 2)],
        input_names=["inputs_2d"],
        output_names=["poses_3d"],
    )
    path.write_bytes(model.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path.read_bytes(), options)
    return lambda inputs_2d: session.run(None, {"inputs_2d": inputs_2d})[0]


def _needed(package: str, extra: str, path: Path) -> None:
    if not importlib.util.find_spec(package):
        raise UserError(f"{path}: needs {package}, which is not installed, expected `pip install -e .[{extra}]`")


def _examples(trained: Trained, frames: int | None = None) -> list[np.ndarray]:
    """Return random inputs of two shapes."""
    field, rng = trained.model.receptive_field, np.random.default_rng(0)
    lengths = (frames, frames) if frames else (field, field + 9)
    shapes = [(rows, length, H36M_17.num_joints, 2) for rows, length in zip((1, 3), lengths, strict=True)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _difference(trained: Trained, run: Callable, examples: list[np.ndarray]) -> float:
    found, expected = [], []
    for inputs in examples:
        found.append(np.asarray(run(inputs)).ravel())
        expected.append(np.asarray(trained.model.apply(trained.variables, inputs)).ravel())
    truth = np.concatenate(expected)
    return float(np.abs(np.concatenate(found) - truth).max() / np.abs(truth).max())


def _described(trained: Trained, frames: int | None) -> dict[str, Any]:
    """Return what a user of the program must know."""
    return {
        "input": {
            "name": "inputs_2d",
            "shape": ["B", frames or "T", 17, 2],
            "normalization": trained.config.model.normalization,
        },
        "output": {"name": "poses_3d", "shape": ["B", "T - receptive_field + 1", 17, 3], "unit": "metre, relative to the hip"},
        "receptive_field": trained.model.receptive_field,
        "causal": bool(trained.config.model.causal),
        "fps": trained.fps,
        "joints": list(H36M_17.joints),
        "network": trained.name,
        "config": json.loads(weights.config_text(trained)),
    }
