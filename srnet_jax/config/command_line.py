"""Build a config from the flags --config=FILE and --config.FIELD=VALUE, and explain wrong flags in one line."""

import difflib
import itertools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from srnet_jax.config import config_files, joint_sets, schema
from srnet_jax.errors import ConfigError, UserError
from srnet_jax.io.files import plain

_HELP = "Config file in Python, which is executed; change its fields with --config.FIELD=VALUE."
_FIELDS_HELP = "Change a field of every run with --config.FIELD=VALUE; a config file is not accepted here."


def define(arguments: Sequence[str], *, file: bool = True) -> None:
    """Define the flag --config and a flag for each config field.

    Args:
      arguments: the command line without the name of the program.
      file: whether the command accepts a config file.

    Raises:
      UserError: if the arguments name a field or a file that does not exist, or the file cannot be used.
    """
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue=""):
        field = re.fullmatch(r"--?(?:no)?config\.([\w.]+)(=.*)?", argument, flags=re.DOTALL)
        if field and field[1] not in schema.FIELDS:
            raise schema.unknown_field(field[1])
        if given := re.fullmatch(r"--?config(?:=(.*))?", argument, flags=re.DOTALL):
            _check_file(following if given[1] is None else given[1])
    try:
        config_flags.DEFINE_config_file("config", "configs/default.py", _HELP if file else _FIELDS_HELP)
    except Exception as error:  # an override that cannot be parsed, or any error of a config file
        raise UserError(explain(error)) from error
    if not file:
        flags.FLAGS["config"].default_as_str = None  # --help shows no default where a file is not accepted
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS["config"])  # for --help


def _check_file(name: str) -> None:
    path = Path(name.partition(":")[0])
    if path.is_file() and path.suffix != ".py":
        raise ConfigError(
            f"--config={name}: expected a Python file such as configs/default.py; --workdir uses the config.json of a run"
        )
    if path.is_file():
        return
    near = difflib.get_close_matches(path.name, [file.name for file in path.parent.glob("*.py")], n=1)
    hint = f", did you mean {path.parent / near[0]}?" if near else ", expected a Python file such as configs/default.py"
    raise ConfigError(f"--config={name}: no such file{hint}")


def check_config() -> None:
    """Run the config file, and check that it returns a config.

    Raises:
      UserError: if `get_config` returns anything else.
      Exception: any that the file raises.
    """
    if not isinstance(found := flags.FLAGS.config, ConfigDict):
        raise ConfigError(
            f"--config: get_config returned {type(found).__name__}, expected a ConfigDict as in configs/default.py"
        )


def load(workdir: str | None = None, *, new: bool = True) -> ConfigDict:
    """Return the config that --config names, or else the workdir's, with the changes of the command line.

    Args:
      workdir: the folder of a run, or None.
      new: whether the workdir may lack a config, as before a training.

    Raises:
      UserError: if no config is found, a field has a value that is not allowed, or a changed field is not read.
    """
    flag = flags.FLAGS["config"]
    config, changed = flag.value, config_flags.get_override_values(flag)
    if workdir and flag.using_default_value:
        files = (config_files.CONFIG_FILE, config_files.ENSEMBLE_FILE)
        found = [name for name in files if (plain(workdir) / name).exists()]
        if found or not new:
            config = config_files.load(plain(workdir), *found[:1])
            with config.ignore_type():  # `validate` knows what a field may hold
                config.update_from_flattened_dict(changed)
    config = joint_sets.with_files_read(config)
    schema.validate(config)
    schema.check_read([config], changed)
    return config


def changes(short: Mapping[str, str | None] = {}) -> dict[str, Any]:
    """Return the fields that the command line changes, for a command that takes its configs from workdirs.

    Args:
      short: values of flags that abbreviate a field, by the name of the field; None for a flag that was not given.

    Raises:
      UserError: if --config names a file.
    """
    flag = flags.FLAGS["config"]
    if not flag.using_default_value:
        raise UserError("--config: not accepted here, expected --config.FIELD=VALUE to change a field of the stored configs")
    return config_flags.get_override_values(flag) | {name: value for name, value in short.items() if value is not None}


def check_flags(module: str) -> None:
    """Reject flags of a module that were given without a value, as --workdir=, which would mean the current folder.

    Raises:
      UserError: names the first such flag.
    """
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        if flag.present and flag.value in ("", [], [""]) and flag.value != flag.default:
            raise UserError(f"--{flag.name}: empty, expected: {flag.help}")


def explain(error: Exception) -> str:
    """Explain an error of absl, ml_collections or a config file in one line: the flag, what was found, what was expected."""
    text = str(error)
    if isinstance(error, UserError):
        return text
    if missing := re.fullmatch(r"flag --([\w.]+)=None: Flag .* must have a value other than None\.", text):
        return f"--{missing[1]}: not set, expected: {flags.FLAGS[missing[1]].help}"
    if isinstance(error, flags.Error) and (found := re.match(r"flag --([\w.]+)=(.*?): ", text, flags=re.DOTALL)):
        name, value = found.groups()
        field = name.removeprefix("config.")
        if field in schema.FIELDS and field != name:
            return f"config.{field}: {value!r} is not allowed, expected {schema.FIELDS[field].rule.expected}"
        if name == "config":
            return f"--config={value}: {text.splitlines()[-1]}"
        if name in flags.FLAGS:
            return f"--{name}={value}: expected {_expected(flags.FLAGS[name])}"
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [type(error).__name__]
    kind = "" if isinstance(error, flags.Error | OSError) else f"{type(error).__name__}: "
    where = "" if isinstance(error, flags.Error) else "--config: "
    return where + kind + " ".join(dict.fromkeys([lines[0], lines[-1]]))


def _expected(flag: Any) -> str:
    choices = getattr(flag.parser, "enum_values", None)
    if choices:
        return f"one of {', '.join(filter(None, choices))}"
    return "true or false" if flag.boolean else flag.parser.syntactic_help
