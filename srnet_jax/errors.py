"""Exceptions for user mistakes and interruptions, and helpers that build one-line messages."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class UserError(Exception):
    """A mistake in an input; the message is one line that says what was found and what was expected.

    Launchers print the message, without a traceback, and exit with code 2.
    """


class ConfigError(UserError):
    """A config field is unknown, has the wrong type, or has a value that is not allowed."""


class DataError(UserError):
    """A data file is missing or damaged, or does not hold what was expected."""


class TrainingError(UserError):
    """A run cannot continue: a non-finite loss, or a workdir that belongs to another run."""


class DiskFullError(TrainingError):
    """A checkpoint or the metrics could not be written because the disk is full."""


class Interrupted(KeyboardInterrupt):
    """SIGTERM or Ctrl-C stopped the program; launchers print the message and exit with code 75 (EX_TEMPFAIL, "try again")."""


def full_disk(error: Exception) -> str | None:
    """Return the reason, in lower case, of an error caused by a full disk, a quota or a file size limit; else None."""
    number = error.errno if isinstance(error, OSError) else None
    found = re.search(r"os_error_code='(\d+)'", str(error))  # tensorstore's
    number = int(found[1]) if found else number
    return os.strerror(number).lower() if number in _FULL else None


def one_line(text: object, length: int = 300) -> str:
    """Make text from a file safe for a message: printable, on one line, and at most `length` characters long."""
    line = str(text)[: length + 1]
    line = line if line.isprintable() else line.encode("unicode_escape").decode()
    return line if len(line) <= length else f"{line[: length - 3]}..."


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Prefix the message of a UserError with a file or folder, unless the message already names it."""
    try:
        yield
    except UserError as error:
        if str(path) in str(error):
            raise
        raise type(error)(f"{path}: {error}") from error
