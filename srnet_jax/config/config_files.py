"""Save and load configs as JSON files."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.config import schema
from srnet_jax.errors import ConfigError, one_line
from srnet_jax.io.files import absolute, write_whole

CONFIG_FILE = "config.json"
ENSEMBLE_FILE = "ensemble.json"  # the config of an ensemble, whose runs are subfolders; see `ensembles.members`
FORMAT_VERSION = 9
_BEFORE_JOINT_SETS = 8  # version in which inputs and outputs are the 17 joints of Human3.6M, now the default
_NEWER_FIELDS = (  # fields that version 8 may lack
    *("model.joints", "model.input_joints", "model.confidences", "model.dense", "data.actions", "test_data.actions"),
    *("train.weight_decay", "train.keep_epochs"),
)


def save(config: ConfigDict, workdir: Path, name: str = CONFIG_FILE) -> None:
    """Write the config to the workdir as a JSON file, which appears whole or not at all."""
    write_whole(workdir / name, to_json(config) + "\n")


def load(workdir: Path, name: str = CONFIG_FILE) -> ConfigDict:
    """Read and check a workdir's config.

    Raises:
      ConfigError: if the file is missing, damaged, or of another version.
    """
    path = workdir / name
    if name == CONFIG_FILE and not path.is_file() and (workdir / ENSEMBLE_FILE).is_file():
        raise ConfigError(f"{workdir}: found an ensemble ({ENSEMBLE_FILE}), expected the workdir of one of its runs")
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, expected the workdir of a training run")
    try:
        return from_json(path.read_text())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a config ({one_line(error)})") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def to_json(config: ConfigDict) -> str:
    """Return a config as JSON text, which `from_json` reads."""
    return json.dumps({"format_version": FORMAT_VERSION, **config.to_dict()}, indent=2)


def from_json(text: str) -> ConfigDict:
    """Parse and check a config that `to_json` wrote.

    Raises:
      ConfigError: if the text is damaged or of another version.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"found {type(values).__name__}, expected an object")
        version = values.pop("format_version", None)
        if type(version) is not int or version not in (_BEFORE_JOINT_SETS, FORMAT_VERSION):
            raise ValueError(f"found format_version {version!r}, expected {_BEFORE_JOINT_SETS} or {FORMAT_VERSION}")
        if version == _BEFORE_JOINT_SETS:
            _add_newer_fields(values)
        config = ConfigDict(_tuples(values))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # AttributeError: a key such as __class__
        raise ConfigError(f"not a config ({one_line(error)})") from error
    schema.validate(config)
    return config


def _add_newer_fields(values: dict[str, Any]) -> None:
    """Add the fields that version 8 may lack; their defaults keep its behaviour."""
    for name in _NEWER_FIELDS:
        section, _, field = name.partition(".")
        if isinstance(values.get(section), dict):
            values[section].setdefault(field, schema.FIELDS[name].default)


def with_absolute_paths(config: ConfigDict) -> ConfigDict:
    """Return a copy of a config whose data paths are absolute, so that they do not depend on the current folder."""
    copy = config.copy_and_resolve_references()
    for data in (copy.data, copy.test_data):
        if data.path:
            data.path = str(absolute(data.path))
    return copy


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
