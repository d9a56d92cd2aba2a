"""The runs that one config asks for: a single one, or every combination of what `config.ensemble` varies."""

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
    # field of config.ensemble: how a member's folder begins, the field that it sets, and the value
    "actions_train": ("action", "protocol.actions_train", lambda action: (action,)),
    "learning_rates": ("learning_rate", "train.learning_rate", lambda rate: rate),
    "seeds": ("seed", "seed", lambda seed: seed),
}


def members(config: ConfigDict) -> dict[str, ConfigDict]:
    """Return the runs that a config asks for, by the name of their folder in the workdir.

    Each has the config that it would have alone. Without `config.ensemble` it is one, named "".

    Raises:
      ConfigError: if actions are to be trained under another protocol than cross_action, or two names would be the same.
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
            with member.ignore_type():  # a learning rate may be a whole number
                member.update_from_flattened_dict({field: setting(value)})
            parts.append(f"{part}_{re.sub(r'[^A-Za-z0-9_.+-]', '_', str(value))}")
        name = "-".join(parts)
        if name in found:
            raise ConfigError(f"config.ensemble: two members would be named {name}, expected different names")
        found[name] = member
    return found


def workdirs(workdir: Path) -> list[Path]:
    """Return the workdirs of the runs of an ensemble, or the workdir itself."""
    workdir = plain(workdir)
    if not (workdir / config_files.ENSEMBLE_FILE).is_file():
        return [workdir]
    return [workdir / name for name in members(config_files.load(workdir, config_files.ENSEMBLE_FILE))]
