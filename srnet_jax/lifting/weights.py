"""Trained networks as single files, such as those that ship with the project: `.npz`, read without running anything.

A file holds `config`, the JSON of the run's config without its paths; `fps`, the frames per second that a temporal network was
trained on, 0 if that is not known; each array of the network's variables, as `params/layer_0/kernel`, in half precision; and
perhaps `expected_errors` [5, 17], the arrays of `pose.expected_errors.Calibration`.
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
from srnet_jax.models.pose_lifter import Lifter, create_model, variable_shapes
from srnet_jax.pose.expected_errors import Calibration
from srnet_jax.pose.skeleton import H36M_17
from srnet_jax.training.state import count_parameters

_CALIBRATION = "expected_errors"


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """A network with its weights.

    Attributes:
      name: of the file or folder that it came from.
      config: of its training.
      model: the network in its dilated form.
      variables: what `model.apply` takes.
      fps: frames per second of the training data, None if not known.
      step: of the checkpoint, None for a file.
      calibration: of the expected errors, None if they were not measured.
    """

    name: str
    config: ConfigDict
    model: Lifter
    variables: Any
    fps: float | None
    step: int | None = None
    calibration: Calibration | None = None

    def __repr__(self) -> str:
        """Return a line instead of all weights."""
        field, parameters = self.model.receptive_field, count_parameters(self.variables["params"])
        return (
            f"Trained({self.name!r}, network {self.config.model.network}, {field} frame{'s' * (field > 1)}"
            f"{', causal' * self.model.causal}, {parameters:,} parameters)"
        )


def from_workdir(workdir: Path, checkpoint: str = "best") -> Trained:
    """Read a checkpoint of a training.

    Args:
      workdir: of the run.
      checkpoint: "best", "latest" or a step.

    Raises:
      UserError: if there is no such run or checkpoint, or it is damaged.
    """
    config = config_files.load(workdir)
    model = create_model(config.model)
    from srnet_jax.training.checkpoints import Checkpoints  # orbax takes a fifth of a second, which a file does not need
    from srnet_jax.training.records import frame_rate

    with Checkpoints(workdir, read_only=True) as checkpoints:
        variables, step = checkpoints.restore_variables(checkpoint, variable_shapes(model))
    return Trained(workdir.name, config, model, variables, frame_rate(workdir), step)


def save(path: Path, trained: Trained) -> None:
    """Write a network to a file, whole or not at all."""
    arrays = {name: np.asarray(array).astype(np.float16) for name, array in flatten_dict(trained.variables, sep="/").items()}
    if trained.calibration is not None:
        arrays[_CALIBRATION] = np.stack(trained.calibration).astype(np.float32)
    content = io.BytesIO()
    np.savez_compressed(
        content, allow_pickle=False, config=np.array(config_text(trained)), fps=np.float64(trained.fps or 0), **arrays
    )
    write_whole(path, content.getvalue())


def config_text(trained: Trained) -> str:
    """Return a network's config as JSON, without paths, which mean nothing elsewhere."""
    config = trained.config.copy_and_resolve_references()
    config.data.path = config.test_data.path = ""
    return config_files.to_json(config)


def load(path: Path) -> Trained:
    """Read what `save` wrote.

    Raises:
      DataError: if the file is missing, damaged, or does not hold the network that its config describes.
    """
    stored = load_npz(path)
    text, fps, calibration = (stored.pop(name, None) for name in ("config", "fps", _CALIBRATION))
    if not (isinstance(text, np.ndarray) and text.dtype.kind == "U" and text.shape == ()):
        raise DataError(f"{path}: found no config, expected a network that launch.export wrote")
    if not (isinstance(fps, np.ndarray) and fps.shape == () and fps.dtype.kind == "f" and 0 <= fps < 1e6):
        raise DataError(f"{path}: fps: expected one number of frames per second")
    if calibration is not None:
        numbers_of_shape(calibration, (len(Calibration._fields), H36M_17.num_joints), f"{path}: {_CALIBRATION}")
        if not (np.isfinite(calibration) & (calibration >= 0)).all():
            raise DataError(f"{path}: {_CALIBRATION}: expected finite numbers of metres, 0 or more")
    try:
        config = config_files.from_json(str(text))
    except ConfigError as error:
        raise DataError(f"{path}: {error}") from error
    model = create_model(config.model)
    expected = flatten_dict(variable_shapes(model), sep="/")
    if unlike := sorted(set(expected) ^ set(stored)):
        where = "file" if unlike[0] in stored else "network of its config"
        raise DataError(f"{path}: {one_line(unlike[0], 100)}: in the {where} alone, expected the same arrays in both")
    for name, shape in expected.items():
        array = stored[name]
        if array.shape != shape.shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise DataError(f"{path}: {name}: found {array.shape} of {array.dtype}, expected {shape.shape} finite numbers")
    variables = unflatten_dict({name: stored[name].astype(np.float32) for name in expected}, sep="/")
    measured = None if calibration is None else Calibration(*calibration.astype(np.float64))
    return Trained(path.stem, config, model, variables, float(fps) or None, calibration=measured)
