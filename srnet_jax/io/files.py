"""Files written whole or not at all, paths that may be links, and the errors of files that are read."""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from srnet_jax.errors import DataError, UserError, one_line


def plain(path: str | Path) -> Path:
    """Return a path without `..`; a link before a `..` is followed, as the file system does, a missing folder is left out."""
    path = Path(path)
    return path.resolve() if ".." in path.parts else path


def absolute(path: str | Path) -> Path:
    """Return an absolute path without `..`, see `plain`."""
    return plain(path).absolute()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it never holds a part of the content, whenever the program or the machine is stopped.

    A link in its place is replaced, not followed. If it cannot be written, nothing is left, and the OSError names the file.
    """
    path = plain(path)
    data = content.encode() if isinstance(content, str) else content
    draft = path.with_name(f"{path.name}.tmp")
    draft.unlink(missing_ok=True)
    try:
        with draft.open("xb") as file:  # x: follows no link
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        error.filename = str(path)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems
            os.fsync(folder)
    finally:
        os.close(folder)


def remove(path: Path) -> None:
    """Remove a file, a link (not what it leads to), or a folder and as much as possible of what is in it; or nothing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def size_of(path: str | Path, expected: str) -> int:
    """Return the size of a file in bytes.

    Raises:
      DataError: if there is no such file, or it is empty; the message says what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file'}, expected {expected}")
    if not (size := path.stat().st_size):
        raise DataError(f"{path}: empty file, expected {expected}")
    return size


def check_new(path: str | Path) -> None:
    """Refuse, with a UserError, a path that exists or that cannot be made."""
    path = Path(path)
    if path.exists():
        raise UserError(f"{path}: exists already, expected a new file")
    above = next(folder for folder in absolute(path).parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{above}: not a folder that may be written to")


@contextlib.contextmanager
def reading(path: str | Path, expected: str) -> Iterator[None]:
    """Turn every error that a damaged file causes into one DataError of one line, which begins with the path."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd spellings in a header or a pickle
            yield
    except Exception as error:  # damage makes pickle, zipfile, NumPy, h5py and cdflib raise almost anything
        text = one_line(error)  # names in the file may hold line breaks
        if not isinstance(error, DataError):
            text = f"damaged, cut short or another kind of file, expected {expected} ({type(error).__name__}: {text})"
        raise DataError(f"{path}: {text}") from error
