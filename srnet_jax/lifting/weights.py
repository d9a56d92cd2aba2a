"""Load and save trained networks as single `.npz` files, such as those included in the project.

Loading a file runs no code from it. A file holds
- `config`: the run's config as JSON, without its paths;
- `fps`: the frames per second of the training data of a temporal network, 0 if not known;
- each array of the network's variables, under a name such as `params/layer_0/kernel`, in half precision;
- optionally `expected_errors` [5, 17]: the arrays of `pose.expected_errors.Calibration`.
"""

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict

from srnet_jax.config import config_files
from srnet_jax.errors import ConfigError, DataError, one_line
from srnet_jax.io.files import write_whole
from srnet_jax.io.safe_load import load_npz
from srnet_jax.io.text import numbers_of_shape
from srnet_jax.models.pose_lifter import Lifter, count_parameters, create_model, variable_shapes
from srnet_jax.pose.expected_errors import Calibration
from srnet_jax.pose.skeleton import H36M_17

_CALIBRATION = "expected_errors"


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """A network with its weights.

    Attributes:
      name: of the file or folder from which the network was loaded.
      config: of its training.
      model: the network in its dilated form.
      variables: parameters and statistics, for `model.apply`.
      fps: frames per second of the training data; None if not known.
      step: of the checkpoint; None for a file.
      calibration: of the expected errors; None if they were not measured.
    """

    name: str
    config: ConfigDict
    model: Lifter
    variables: Any
    fps: float | None
    step: int | None = None
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        """Describe the network in one line, without its weights."""
        field, parameters = self.model.receptive_field, count_parameters(self.variables["params"])
        return (
            f"Trained({self.name!r}, network {self.config.model.network}, {field} frame{'s' * (field > 1)}"
            f"{', causal' * self.model.causal}, {parameters:,} parameters)"
        )


def from_workdir(workdir: Path, checkpoint: str = "best") -> Trained:
    """Load a checkpoint of a training run.

    Args:
      workdir: of the run.
      checkpoint: "best", "latest" or a step.

    Raises:
      UserError: if the workdir has no run or no such checkpoint, or the checkpoint is damaged.
    """
    config = config_files.load(workdir)
    model = create_model(config.model)
    from srnet_jax.training.checkpoints import Checkpoints  # importing orbax takes 0.2 s, which loading a file does not need
    from srnet_jax.training.records import frame_rate

    with Checkpoints(workdir, read_only=True) as checkpoints:
        variables, step = checkpoints.restore_variables(checkpoint, variable_shapes(model))
    return Trained(workdir.name, config, model, variables, frame_rate(workdir), step)


def save(path: Path, trained: Trained) -> None:
    """Write a network to a `.npz` file, whole or not at all, in half precision."""
    arrays = {name: np.asarray(array).astype(np.float16) for name, array in flatten_dict(trained.variables, sep="/").items()}
    if trained.calibration is not None:
        arrays[_CALIBRATION] = np.stack(trained.calibration).astype(np.float32)
    content = io.BytesIO()
    np.savez_compressed(
        content, allow_pickle=False, config=np.array(config_text(trained)), fps=np.float64(trained.fps or 0), **arrays
    )
    write_whole(path, content.getvalue())


def config_text(trained: Trained) -> str:
    """Return a network's config as JSON, without paths, which have no meaning on other computers."""
    config = trained.config.copy_and_resolve_references()
    config.data.path = config.test_data.path = ""
    return config_files.to_json(config)


def load(path: Path, *, known: bool = False) -> Trained:
    """Load a network from a file that `save` wrote.

    Args:
      path: of the file.
      known: whether the file is one of this package. Its arrays are not compared with those of the network in its config,
        because tracing the network for that takes a fifth of the time of lifting a short video.

    Raises:
      DataError: if the file is missing or damaged, or its arrays are not those of the network in its config.
    """
    stored = load_npz(path)
    text, fps, calibration = (stored.pop(name, None) for name in ("config", "fps", _CALIBRATION))
    if not (isinstance(text, np.ndarray) and text.dtype.kind == "U" and text.shape == ()):
        raise DataError(f"{path}: config: not found, expected a file that launch.export wrote")
    if not (isinstance(fps, np.ndarray) and fps.shape == () and fps.dtype.kind == "f" and 0 <= fps < 1e6):
        raise DataError(f"{path}: fps: found no number of frames per second, expected one from 0 to 1,000,000")
    if calibration is not None:
        numbers_of_shape(calibration, (len(Calibration._fields), H36M_17.num_joints), f"{path}: {_CALIBRATION}")
        if not (np.isfinite(calibration) & (calibration >= 0)).all():
            raise DataError(f"{path}: {_CALIBRATION}: found infinity, NaN or a negative number, expected metres")
    try:
        config = config_files.from_json(str(text))
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error
    model = create_model(config.model)
    if not known:
        _check_arrays(path, stored, model)
    variables = unflatten_dict({name: array.astype(np.float32) for name, array in stored.items()}, sep="/")
    measured = None if calibration is None else Calibration(*calibration.astype(np.float64))
    return Trained(path.stem, config, model, variables, float(fps) or None, calibration=measured)


def _check_arrays(path: Path, stored: dict[str, np.ndarray], model: Lifter) -> None:
    expected = flatten_dict(variable_shapes(model), sep="/")
    if unlike := sorted(set(expected) ^ set(stored)):
        where = "file" if unlike[0] in stored else "network of its config"
        raise DataError(f"{path}: {one_line(unlike[0], 100)}: found only in the {where}, expected the same arrays in both")
    for name, shape in expected.items():
        array = stored[name]
        if array.shape != shape.shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise DataError(
                f"{path}: {name}: found {array.dtype} of shape {array.shape}, expected finite numbers of shape {shape.shape}"
            )
