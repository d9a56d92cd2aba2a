"""Expand a config into the runs that it asks for: one run, or one for each combination of values in `config.ensemble`."""

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from srnet_jax.config import config_files
from srnet_jax.errors import ConfigError
from srnet_jax.io.files import plain

_VARIED: dict[str, tuple[str, str, Callable[[Any], Any]]] = {
    # field of config.ensemble: (first part of a run's folder name, field that it sets, value of that field)
    "actions_train": ("action", "protocol.actions_train", lambda action: (action,)),
    "learning_rates": ("learning_rate", "train.learning_rate", lambda rate: rate),
    "seeds": ("seed", "seed", lambda seed: seed),
}


def members(config: ConfigDict) -> dict[str, ConfigDict]:
    """Return the config of each run that a config asks for, by the name of the run's folder in the workdir.

    Each run has the config that it would have on its own. Without `config.ensemble` there is one run, named "".

    Raises:
      ConfigError: if `ensemble.actions_train` is set under a protocol other than cross_action, or two runs have one name.
    """
    if config.ensemble.actions_train and config.protocol.name != "cross_action":
        raise ConfigError(
            f"config.ensemble.actions_train: not allowed under the protocol {config.protocol.name!r}, expected 'cross_action'"
        )
    varied = [(*_VARIED[name], config.ensemble[name]) for name in _VARIED if config.ensemble[name]]
    found: dict[str, ConfigDict] = {}
    for values in itertools.product(*(values for *_, values in varied)):
        member = config.copy_and_resolve_references()
        member.ensemble.update(dict.fromkeys(_VARIED, ()))
        parts = []
        for (part, field, setting, _), value in zip(varied, values, strict=True):
            with member.ignore_type():  # a learning rate may be an int
                member.update_from_flattened_dict({field: setting(value)})
            parts.append(f"{part}_{re.sub(r'[^A-Za-z0-9_.+-]', '_', str(value))}")
        name = "-".join(parts)
        if name in found:
            raise ConfigError(f"config.ensemble: two runs would have the folder {name}, expected different names")
        found[name] = member
    return found


def left_out(workdir: Path) -> list[Path]:
    """Return the runs in an ensemble's folder that its latest training did not ask for, such as those of other seeds."""
    found = {file.parent for file in plain(workdir).glob(f"*/{config_files.CONFIG_FILE}")}
    return sorted(found - set(workdirs(workdir)))


def workdirs(workdir: Path) -> list[Path]:
    """Return the workdirs of an ensemble's runs; for a single run, the workdir itself."""
    workdir = plain(workdir)
    if not (workdir / config_files.ENSEMBLE_FILE).is_file():
        return [workdir]
    return [workdir / name for name in members(config_files.load(workdir, config_files.ENSEMBLE_FILE))]
