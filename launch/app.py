"""How every launcher starts and fails: a user's mistake is one line on standard error and exit code 2."""

import os
import re
import sys
from collections.abc import Callable, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's start-up messages mean nothing to a user

from absl import app, flags, logging

from srnet_jax import config as config_lib
from srnet_jax.errors import UserError


def run(main: Callable[[], None]) -> None:
    """Parse the flags, call `main`, and turn a UserError into one line."""
    logging.set_verbosity(logging.ERROR)

    def guarded(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            _fail(f"{argv[1]}: not understood, expected --flag=value; --help lists the flags")
        try:
            main()
        except UserError as error:
            _fail(str(error))
        except KeyboardInterrupt:
            print("interrupted; run the same command again to continue", file=sys.stderr)
            sys.exit(130)

    app.run(guarded, flags_parser=_parse)


def _parse(argv: Sequence[str]) -> list[str]:
    try:
        for argument in argv[1:]:
            match = re.fullmatch(r"--?(?:no)?config\.([\w.]+)(=.*)?", argument)
            if match and match[1] not in config_lib.FIELDS:
                raise config_lib.unknown_field(match[1])
        remaining = flags.FLAGS(list(argv))
        for name in flags.FLAGS:  # a config file that cannot be read fails here
            flags.FLAGS[name].value  # noqa: B018
        return remaining
    except (flags.Error, UserError, OSError, AttributeError, TypeError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        _fail(lines[-1] if isinstance(error, OSError) else lines[0])
        raise


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
