"""Export a trained network for other programs: as a file of weights, as a StableHLO program, or as an ONNX model.

A program maps `inputs_2d` [B, T, 17, 2] (see `normalization`) to `poses_3d` [B, T - receptive_field + 1, 17, 3]. A JSON file
beside it describes both arrays. Each file is read back and compared with the network; a program that differs is deleted.
"""

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.config import joint_sets
from srnet_jax.errors import UserError, one_line
from srnet_jax.io.files import absolute, write_whole
from srnet_jax.lifting import weights
from srnet_jax.lifting.weights import Trained
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.pose.normalization import IMAGE_NORMALIZATIONS

SUFFIXES = (".npz", ".stablehlo", ".onnx")
PLATFORMS = ("cpu", "cuda", "tpu")
_ONNX = ("onnx", "onnxruntime")
_TOLERANCE = 1e-4  # largest difference of a program's outputs from the network's, relative to the largest output


def write(path: Path, trained: Trained, *, frames: int | None = None) -> float:
    """Write a network in the format of the file name's ending, whole or not at all.

    - `.npz`: the weights and the config, which `srnet_jax.load` reads.
    - `.stablehlo`: a program for `jax.export`, on CPU, CUDA and TPU, for any number of sequences and frames.
    - `.onnx`: a model for any number of sequences, of `frames` frames each. With as many as the receptive field, it computes
      nothing but what its one pose needs.

    Args:
      path: of the file.
      trained: the network.
      frames: T of an ONNX model; None for the receptive field.

    Returns:
      The largest difference between the outputs of the file and of the network on random keypoints, relative to the largest
      output.

    Raises:
      UserError: if the ending is not known, there are fewer frames than the receptive field, a package is missing or cannot
        convert or run the network, or the outputs of a program differ by more than 1e-4.
    """
    if path.suffix not in SUFFIXES:
        raise UserError(f"{path}: expected a name ending in {', '.join(SUFFIXES)}")
    if path.suffix == ".npz":
        weights.save(path, trained)
        return _difference(trained, _network(weights.load(path)), _examples(trained))
    field = trained.model.receptive_field
    if frames is not None and frames < field:
        raise UserError(f"frames: found {frames}, expected at least the receptive field, {field}")
    with tempfile.TemporaryDirectory(dir=absolute(path).parent, prefix=".unfinished-") as folder:
        draft = Path(folder) / path.name
        length = (frames or field) if path.suffix == ".onnx" else None
        if length:
            with _in_one_line(path):
                difference = _difference(trained, _write_onnx(draft, trained, length, path), _examples(trained, length))
        else:
            difference = _difference(trained, _write_stablehlo(draft, trained, path), _examples(trained))
        if not difference <= _TOLERANCE:
            raise UserError(
                f"{path}: not kept, outputs differ from the network's by {difference:.1e}, expected at most {_TOLERANCE:.0e}"
            )
        write_whole(path.with_name(f"{path.name}.json"), json.dumps(_described(trained, length), indent=2) + "\n")
        draft.replace(absolute(path))
    return difference


@contextlib.contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Convert the errors of onnx and onnxruntime, which have any type and length, to a UserError of one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = one_line(" ".join(f"{type(error).__name__}: {error}".split()), 200)
        if isinstance(error, ImportError | AttributeError):
            versions = " or ".join(f"{package} {importlib.metadata.version(package)}" for package in _ONNX)
            raise UserError(f"{path}: not written, {versions} does not work with JAX {jax.__version__}: {reason}") from error
        raise UserError(
            f"{path}: not written, this network cannot be converted to ONNX, expected .stablehlo: {reason}"
        ) from error


def _write_stablehlo(draft: Path, trained: Trained, path: Path) -> Callable:
    _check_installed("flatbuffers", "export", path)
    from jax import export as jax_export

    beyond = trained.model.receptive_field - 1
    batch, frames = jax_export.symbolic_shape(f"b, t + {beyond}" if beyond else "b, t")
    inputs = jax.ShapeDtypeStruct((batch, frames, *trained.model.input_shape), np.float32)
    draft.write_bytes(jax_export.export(_network(trained), platforms=PLATFORMS)(inputs).serialize())
    return jax_export.deserialize(bytearray(draft.read_bytes())).call


def _write_onnx(draft: Path, trained: Trained, frames: int, path: Path) -> Callable:
    for package in _ONNX:
        _check_installed(package, "onnx", path)
    import onnxruntime

    from srnet_jax.lifting import onnx_program

    model = trained.model
    if isinstance(model, PoseLifter) and frames == model.receptive_field and not model.length_dependent:
        trained = dataclasses.replace(trained, model=model.clone(strided=True))
    draft.write_bytes(onnx_program.convert(_network(trained), (frames, *model.input_shape)).SerializeToString())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(draft.read_bytes(), options)
    return lambda inputs_2d: session.run(None, {"inputs_2d": inputs_2d})[0]


def _network(trained: Trained) -> jax.stages.Wrapped:
    """Return the jitted network with its weights as constants; with weights as arguments, bfloat16 rounds differently."""
    return jax.jit(lambda inputs_2d: trained.model.apply(trained.variables, inputs_2d))


def _check_installed(package: str, extra: str, path: Path) -> None:
    if not importlib.util.find_spec(package):
        raise UserError(f"{path}: needs {package}, which is not installed, expected `pip install -e .[{extra}]`")


def _examples(trained: Trained, frames: int | None = None) -> list[np.ndarray]:
    """Return random inputs [1, T, ...] and [3, T', ...] with T = T' = `frames`, or of different lengths if it is None."""
    field, rng = trained.model.receptive_field, np.random.default_rng(0)
    lengths = (frames, frames) if frames else (field, field + 9)
    shapes = [(rows, length, *trained.model.input_shape) for rows, length in zip((1, 3), lengths, strict=True)]
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _difference(trained: Trained, run: Callable, examples: list[np.ndarray]) -> float:
    found, expected, network = [], [], _network(trained)
    for inputs in examples:
        found.append(np.asarray(run(inputs)).ravel())
        expected.append(np.asarray(network(inputs)).ravel())
    truth = np.concatenate(expected)
    return float(np.abs(np.concatenate(found) - truth).max() / np.abs(truth).max())


def _described(trained: Trained, frames: int | None) -> dict[str, Any]:
    """Return the description of a program; `frames` is its fixed T, or None if T may vary."""
    normalization, field = trained.config.model.normalization, trained.model.receptive_field
    metres = "metre, relative to the hip; subtract joint 0, the hip, whose predicted position is not exactly 0"
    others = f"as the targets of normalization {normalization}, see srnet_jax.pose.normalization.to_metres"
    turned = (
        f"{metres}; in the axes of a camera turned towards the hip, which srnet_jax.pose.normalization.to_metres turns back"
    )
    units = dict.fromkeys(IMAGE_NORMALIZATIONS, metres) | {"turned": turned}
    joints, keypoints = joint_sets.of(trained.config.model)
    hip = "(0, log(10 s)), with s the root mean square distance of the joints from the hip at depth 1"
    return {
        "input": {
            "name": "inputs_2d",
            "shape": ["B", frames or "T", *trained.model.input_shape],
            "normalization": normalization,
            **({"hip": hip} if normalization == "turned" else {}),
        },
        "output": {
            "name": "poses_3d",
            "shape": ["B", frames - field + 1 if frames else "T - receptive_field + 1", joints.num_joints, 3],
            "unit": units.get(normalization, others),
        },
        "receptive_field": field,
        "causal": bool(trained.config.model.causal),
        "fps": trained.fps,
        "joints": list(joints.joints),
        **({} if keypoints == joints else {"keypoints": list(keypoints.joints)}),
        "network": trained.name,
        "config": json.loads(weights.config_text(trained)),
    }
