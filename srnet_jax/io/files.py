"""Write and remove files safely, normalise paths, and turn the errors of damaged files into one line."""

import contextlib
import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

from srnet_jax.errors import DataError, UserError, one_line

_OTHER_KINDS = (  # first bytes of a file that is not the one a user meant: what it is, and how to get that one
    (b"version https://git-lfs", "a pointer of Git LFS", "get the file with `git lfs pull`"),
    (b"<", "a web page", "the download failed; repeat it, in a browser if need be"),
    (b"{", "text in JSON", "the download may have failed"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"Rar!", "a rar archive", "unpack it"),
    (b"\x89HDF", "an HDF5 file", "this one is of another program"),
)


def plain(path: str | Path) -> Path:
    """Resolve the `..` in a path as the file system does: links before a `..` are followed; missing folders are allowed."""
    path = Path(path)
    return path.resolve() if ".." in path.parts else path


def absolute(path: str | Path) -> Path:
    """Return a path as an absolute path without `..`; see `plain`."""
    return plain(path).absolute()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically: it never holds only a part of the content, even if the program or the machine stops.

    An existing link is replaced, not followed.

    Raises:
      OSError: if the file cannot be written; the error names the file, and nothing is left on the disk.
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
    """Remove a file, a link (but not its target) or as much as possible of a folder; do nothing if the path is missing."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def size_of(path: str | Path, expected: str) -> int:
    """Return the size of a file in bytes.

    Raises:
      DataError: if the file is missing or empty; the message ends with `expected`, a description of the file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file'}, expected {expected}")
    if not (size := path.stat().st_size):
        raise DataError(f"{path}: empty file, expected {expected}")
    return size


def check_new(path: str | Path, what: str = "file") -> None:
    """Check that a file or folder can be created at a path; `what` names it in the message.

    Raises:
      UserError: if the path exists, or its folder is not writable.
    """
    path = Path(path)
    if path.exists():
        raise UserError(f"{path}: exists already, expected a new {what}")
    above = next(folder for folder in absolute(path).parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UserError(f"{above}: not a folder with write permission")


def check_folder(path: Path) -> None:
    """Check that a path is a folder or does not exist.

    Raises:
      UserError: if it is a file.
    """
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: found a file, expected a folder or a new name")


def check_kind(data: bytes, expected: str) -> None:
    """Reject what people have in place of a binary file, such as the web page of a failed download.

    Args:
      data: its content.
      expected: what the file should be, for the message.

    Raises:
      DataError: if the content is that of another kind of file; the message says how to get the right one.
    """
    start = data[:256].removeprefix(b"\xef\xbb\xbf").lstrip()
    for head, found, advice in _OTHER_KINDS:
        if start.startswith(head):
            raise DataError(f"found {found}, expected {expected}: {advice}")
    if data[257:262] == b"ustar":
        raise DataError(f"found a tar archive, expected {expected}: unpack it")


@contextlib.contextmanager
def reading(path: str | Path, expected: str) -> Iterator[None]:
    """Convert any error that reading a damaged file raises into a DataError of one line that begins with the path."""
    try:
        with warnings.catch_warnings(action="ignore"):  # about odd spellings in a header or a pickle
            yield
    except Exception as error:  # damage makes pickle, zipfile, NumPy, h5py and cdflib raise almost anything
        text = one_line(error)  # names in the file may hold line breaks
        if not isinstance(error, DataError):
            text = f"damaged, cut short or another kind of file, expected {expected} ({type(error).__name__}: {text})"
        raise DataError(f"{path}: {text}") from error
