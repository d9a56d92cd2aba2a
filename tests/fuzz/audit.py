"""A witness of what a reader does beside reading: Python reports starting programs, writing files and the like."""

import contextlib
import importlib
import os
import sys

_FORBIDDEN = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.", "pty.", "socket.")
_FORBIDDEN += ("ctypes.", "pickle.find_class", "marshal.", "exec", "code.__new__", "shutil.", "urllib.", "http.", "ftplib.")
_WRITES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "os.chown")
_watch: list = []  # the folder in which files may be written, and what was seen
_installed: list = []


def install():
    """Install the hook, once a process: hooks cannot be taken away. What text needs is imported before."""
    if _installed:
        return
    _installed.append(_hook)
    for name in ("latin_1", "unicode_escape", "raw_unicode_escape", "cp437", "utf_16", "utf_32", "idna"):
        importlib.import_module(f"encodings.{name}")
    sys.addaudithook(_hook)


@contextlib.contextmanager
def watched(folder, seen):
    """Add to the list what is forbidden."""
    _watch[:] = [str(folder), seen]
    try:
        yield
    finally:
        _watch.clear()


def _hook(event, arguments):
    if not _watch:
        return
    folder, seen = _watch
    if event == "open":
        path, _, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC) and not _within(path, folder):
            seen.append(f"open {path!r} for writing")
    elif event == "import":
        seen.append(f"import {arguments[0]}")
    elif event.startswith(_FORBIDDEN) or (event in _WRITES and not _within(arguments[0], folder)):
        seen.append(f"{event} {str(arguments)[:100]}")


def _within(path, folder):
    return isinstance(path, str | os.PathLike) and os.path.abspath(path).startswith(f"{folder}/")
