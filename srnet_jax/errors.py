"""The one error a user can cause, and what else ends a run."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """A mistake in an input: its message is one line that says what was found and what was expected.

    Launchers print the message and exit with code 2; nothing else is shown to the user.
    """


class ConfigError(UserError):
    """A config field is unknown, has the wrong type, or a value that is not allowed."""


class DataError(UserError):
    """A data file is missing, damaged, or does not hold what was expected."""


class TrainingError(UserError):
    """A run cannot go on: a non-finite loss, or a workdir that belongs to another run."""


class DiskFullError(TrainingError):
    """A checkpoint or a metric could not be written for want of space."""


class Interrupted(KeyboardInterrupt):
    """SIGTERM or Ctrl-C asked for a stop: launchers print the message and exit with code 75, "try again"."""


def full_disk(error: Exception) -> str | None:
    """Return the text of an error that says that there is no space; None for another error."""
    number = error.errno if isinstance(error, OSError) else None
    found = re.search(r"os_error_code='(\d+)'", str(error))  # tensorstore's
    number = int(found[1]) if found else number
    return os.strerror(number).lower() if number in _FULL else None


def one_line(text: object, length: int = 300) -> str:
    """Return text from a file as it may stand in a message: printable, on one line, not long."""
    line = str(text)[: length + 1]
    line = line if line.isprintable() else line.encode("unicode_escape").decode()
    return line if len(line) <= length else f"{line[: length - 3]}..."


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Begin the message of a UserError with the file or folder, unless it names it already."""
    try:
        yield
    except UserError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
