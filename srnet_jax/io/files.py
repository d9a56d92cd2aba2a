"""Small files, written whole or not at all, and what may be a link."""

import contextlib
import os
import shutil
from pathlib import Path


def plain(path: str | Path) -> Path:
    """Return a path without `..`; a link before a `..` is followed, as the file system does, a missing folder is left out."""
    path = Path(path)
    return path.resolve() if ".." in path.parts else path


def absolute(path: str | Path) -> Path:
    """Return an absolute path without `..`, see `plain`."""
    return plain(path).absolute()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it never holds a part of the content, whenever the program or the machine is stopped.

    A link in its place is replaced, not followed.
    """
    path = plain(path)
    draft = path.with_name(f"{path.name}.tmp")
    draft.unlink(missing_ok=True)
    with draft.open("xb") as file:  # x: follows no link
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
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
