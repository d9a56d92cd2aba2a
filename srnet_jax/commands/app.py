"""Start a command-line program, parse its flags, and report a user's mistake as one line with exit code 2."""

import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # hides XLA's start-up messages, which do not help a user

from absl import app, flags, logging

from srnet_jax.config import command_line
from srnet_jax.errors import UserError, one_line

_MAX_LINE = 2000  # characters of a message


def define_config(*, file: bool = True) -> None:
    """Define the flag --config and its fields, and reject a field that does not exist.

    Args:
      file: whether --config accepts a config file, or only fields of it.
    """
    try:
        command_line.define(sys.argv[1:], file=file)
    except UserError as error:
        fail(str(error))


def run(main: Callable[..., None], commands: tuple[str, ...] = ()) -> None:
    """Parse the flags, call `main`, and print a UserError as one line.

    Args:
      main: the program.
      commands: names of which the first argument must be one; `main` is called with it.
    """
    logging.set_verbosity(logging.FATAL)  # an error that a library logs also arrives as an exception
    warnings.showwarning = lambda message, *_: print(f"warning: {one_line(message, _MAX_LINE)}", file=sys.stderr)

    def guarded(argv: Sequence[str]) -> None:
        named = argv[1:2] if commands else []
        if commands and (not named or named[0] not in commands):
            fail(f"{named[0] if named else 'nothing'}: not understood, expected one of {', '.join(commands)} first")
        if len(argv) > 1 + len(named):
            fail(f"{argv[1 + len(named)]}: not understood, expected --flag=value; --help lists the flags")
        try:
            command_line.check_flags(sys.argv[0])
            main(*named)
        except UserError as error:
            fail(str(error))
        except OSError as error:  # a full disk, a folder without write permission
            fail(f"{error.filename or 'file system'}: {error.strerror or error}")
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in str(error):  # XLA's text
                raise
            fail("not enough memory, expected a smaller network or batch")
        except KeyboardInterrupt as interruption:  # or SIGTERM while training
            print(str(interruption) or "interrupted; run the same command again to continue", file=sys.stderr)
            sys.exit(75)  # EX_TEMPFAIL: try again

    app.run(guarded, flags_parser=_parse)


def adopt(module: str, written: str, program: str) -> None:
    """Show the docstring and the flags of a module as those of the running program, as --help and `run` expect them.

    Args:
      module: name of an imported module that defines flags.
      written: how its docstring calls the program.
      program: how users call it.
    """
    sys.modules["__main__"].__doc__ = (sys.modules[module].__doc__ or "").replace(written, program)
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)


def _parse(argv: Sequence[str]) -> list[str]:
    app.define_help_flags()
    try:
        remaining = flags.FLAGS(list(argv))
        if "config" in flags.FLAGS:
            command_line.check_config()
    except SystemExit:  # absl ends --help with 1
        sys.exit(0)
    except Exception as error:  # from a flag, or any exception of a config file
        fail(command_line.explain(error))
    given = [argument.lstrip("-").partition("=")[0] for argument in argv[1:] if argument.startswith("-")]
    given = [name if name in flags.FLAGS else name.removeprefix("no") for name in given]
    given = [
        name for name in given if name in flags.FLAGS and not name.startswith("config.")
    ]  # the last value of a field counts
    if twice := next((name for name in given if given.count(name) > 1), None):  # absl silently takes the last value
        fail(f"--{twice}: is given twice, expected it once")
    return remaining


def fail(message: str, code: int = 2) -> NoReturn:
    """Print one line and exit; characters that break lines or control a terminal, as in a file's name, are escaped."""
    print(f"error: {one_line(message, _MAX_LINE)}", file=sys.stderr)
    sys.exit(code)
