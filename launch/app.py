"""How every launcher starts and fails: a user's mistake is one line on standard error and exit code 2."""

import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's start-up messages mean nothing to a user

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from srnet_jax.config import config_files, schema
from srnet_jax.errors import UserError, one_line

if TYPE_CHECKING:
    from srnet_jax.evaluation.tables import Grid

_Item = TypeVar("_Item")
_MAX_LINE = 2000  # characters of a message
_WIDEST = 1000  # characters of a table, which is never so narrow that numbers are cut


def define_config() -> flags.FlagHolder:
    """Define the flag --config and its fields; a field that does not exist is refused here."""
    for argument in sys.argv[1:]:
        field = re.fullmatch(r"--?(?:no)?config\.([\w.]+)(=.*)?", argument, flags=re.DOTALL)
        if field and field[1] not in schema.FIELDS:
            fail(str(schema.unknown_field(field[1])))
    try:
        return config_flags.DEFINE_config_file(
            "config", "configs/default.py", "Config file (Python, trusted); change its fields with --config.FIELD=VALUE."
        )
    except Exception as error:  # an override that is not understood, or whatever a config file raises
        fail(f"--config: {_in_one_line(error)}")


def config_for(workdir: str) -> ConfigDict:
    """Return the config: that of --config, or without it the one that the workdir was begun with, with the fields changed."""
    flag = flags.FLAGS["config"]
    files = (config_files.CONFIG_FILE, config_files.ENSEMBLE_FILE)
    found = [name for name in files if (Path(workdir) / name).exists()]
    if flag.using_default_value and found:
        config = config_files.load(Path(workdir), found[0])
        with config.ignore_type():  # `validate` knows what a field may hold
            config.update_from_flattened_dict(config_flags.get_override_values(flag))
        return config
    return flag.value


def changes(short: dict[str, str | None]) -> dict[str, Any]:
    """Return the fields that the command line changes in the configs of finished runs.

    Args:
      short: what flags that stand for a field were given, None if not.
    """
    flag = flags.FLAGS["config"]
    if not flag.using_default_value:
        fail("--config: not understood here, runs keep their config; change fields with --config.FIELD=VALUE")
    return config_flags.get_override_values(flag) | {name: value for name, value in short.items() if value is not None}


def run(main: Callable[..., None], commands: tuple[str, ...] = ()) -> None:
    """Parse the flags, call `main`, and turn a UserError into one line.

    With `commands`, the first argument must be one of them, and `main` is called with it.
    """
    logging.set_verbosity(logging.FATAL)  # what a library logs as an error comes back as an exception
    warnings.showwarning = lambda message, *_: print(f"warning: {one_line(message, _MAX_LINE)}", file=sys.stderr)

    def guarded(argv: Sequence[str]) -> None:
        named = argv[1:2] if commands else []
        if commands and (not named or named[0] not in commands):
            fail(f"{named[0] if named else 'nothing'}: not understood, expected one of {', '.join(commands)} first")
        if len(argv) > 1 + len(named):
            fail(f"{argv[1 + len(named)]}: not understood, expected --flag=value; --help lists the flags")
        try:
            main(*named)
        except UserError as error:
            fail(str(error))
        except OSError as error:  # a full disk, a folder that may not be written
            fail(f"{error.filename or 'file system'}: {error.strerror or error}")
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):  # XLA's
                raise
            fail("not enough memory, expected a smaller network or batch")
        except KeyboardInterrupt as interruption:  # or SIGTERM while training
            print(str(interruption) or "interrupted; run the same command again to continue", file=sys.stderr)
            sys.exit(75)  # EX_TEMPFAIL: try again

    app.run(guarded, flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        remaining = flags.FLAGS(list(argv))
        if "config" in flags.FLAGS:
            flags.FLAGS.config.items()  # a config file that cannot be read fails here
        return remaining
    except flags.Error as error:
        fail(_in_one_line(error))
    except Exception as error:  # whatever a config file raises
        fail(f"--config: {_in_one_line(error)}")


def _in_one_line(error: Exception) -> str:
    """Return the first and the last line of a message, where libraries put the flag and the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    kind = "" if isinstance(error, flags.Error | OSError) else f"{type(error).__name__}: "
    return kind + " ".join(dict.fromkeys([lines[0], lines[-1]]))


def console(width: int):
    """Return a console for tables, of that width unless a terminal has its own; text stands there as it is."""
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=None if Console().is_terminal else width)


def print_table(grid: "Grid") -> None:
    """Print a table, as wide as the terminal, or as its numbers need."""
    from srnet_jax.evaluation.tables import to_rich

    out = console(width=160)
    table = to_rich(grid)
    needed = out.measure(table, options=out.options.update(width=_WIDEST)).minimum
    out.print(table, "", width=max(out.width, needed), crop=False)


def track(items: Iterable[_Item]) -> Iterable[_Item]:
    """Give the items one by one beside a progress bar; without a length it pulses."""
    from rich.progress import track as rich_track

    return rich_track(items, description="reading", transient=True)


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and end the program; a file's name, too, may hold what breaks lines or deceives a terminal."""
    print(f"error: {one_line(message, _MAX_LINE)}", file=sys.stderr)
    sys.exit(code)
