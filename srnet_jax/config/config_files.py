"""Configs as JSON files."""

import json
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.config import schema
from srnet_jax.errors import ConfigError, one_line
from srnet_jax.io.files import absolute, write_whole

CONFIG_FILE = "config.json"
ENSEMBLE_FILE = "ensemble.json"  # the config of a folder whose subfolders are runs, see `ensembles.members`
FORMAT_VERSION = 9
_BEFORE_JOINT_SETS = 8  # its networks take and give the 17 joints of Human3.6M, the default
_SINCE = (
    *("model.joints", "model.input_joints", "model.confidences", "model.dense", "data.actions", "test_data.actions"),
    *("train.weight_decay", "train.keep_epochs"),
)


def save(config: ConfigDict, workdir: Path, name: str = CONFIG_FILE) -> None:
    """Write the config to the workdir as JSON, whole or not at all."""
    write_whole(workdir / name, to_json(config) + "\n")


def load(workdir: Path, name: str = CONFIG_FILE) -> ConfigDict:
    """Read and check a workdir's config.

    Raises:
      ConfigError: if there is none, it is damaged, or it is of another version.
    """
    path = workdir / name
    if not path.is_file():
        raise ConfigError(f"{path}: no such file, expected the workdir of a training run")
    try:
        return from_json(path.read_text())
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not a config ({one_line(error)})") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def to_json(config: ConfigDict) -> str:
    """Return a config as text that `from_json` reads."""
    return json.dumps({"format_version": FORMAT_VERSION, **config.to_dict()}, indent=2)


def from_json(text: str) -> ConfigDict:
    """Return the config that `to_json` wrote, and check it.

    Raises:
      ConfigError: if it is damaged or of another version.
    """
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"found {type(values).__name__}, expected an object")
        version = values.pop("format_version", None)
        if type(version) is not int or version not in (_BEFORE_JOINT_SETS, FORMAT_VERSION):
            raise ValueError(f"found format_version {version!r}, expected {FORMAT_VERSION}; written by another version?")
        if version == _BEFORE_JOINT_SETS:
            _add_newer_fields(values)
        config = ConfigDict(_tuples(values))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:  # a key such as __class__
        raise ConfigError(f"not a config ({one_line(error)})") from error
    schema.validate(config)
    return config


def _add_newer_fields(values: dict[str, Any]) -> None:
    """Add the fields that version 8 may lack, with their defaults, under which all is as it was."""
    for name in _SINCE:
        section, _, field = name.partition(".")
        if isinstance(values.get(section), dict):
            values[section].setdefault(field, schema.FIELDS[name].default)


def with_absolute_paths(config: ConfigDict) -> ConfigDict:
    """Return a copy whose data paths do not depend on the current folder."""
    copy = config.copy_and_resolve_references()
    for data in (copy.data, copy.test_data):
        if data.path:
            data.path = str(absolute(data.path))
    return copy


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(_tuples(inner) for inner in value) if isinstance(value, list) else value
