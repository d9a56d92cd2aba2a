"""Detect forbidden actions of a reader, such as starting programs or writing files, with Python's audit events."""

import contextlib
import functools
import importlib
import os
import sys

from srnet_jax.io import sandbox

_PROGRAMS = ("os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "subprocess.", "pty.", "socket.")
_PROGRAMS += ("urllib.", "http.", "ftplib.", "webbrowser.")
_CODE = ("ctypes.", "pickle.find_class", "marshal.", "exec", "code.__new__", "import")
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "os.chown")
_CHANGES += ("shutil.",)
CAUGHT = 77  # exit code of a child process that did something forbidden
_LIBRARIES = "cdflib, ezc3d, srnet_jax.data.h36m.raw_files, srnet_jax.data.mocap.c3d"
IN_CHILD = f"import {_LIBRARIES}; from tests.fuzz import audit; audit.forbid(); {sandbox._START}"
_watch: list = []  # [folder in which files may be written, list of forbidden actions]


@functools.cache
def install():
    """Import the codecs that readers need, then install the audit hook; once per process, as hooks cannot be removed."""
    for name in ("latin_1", "unicode_escape", "raw_unicode_escape", "cp437", "utf_16", "utf_32", "idna"):
        importlib.import_module(f"encodings.{name}")
    sys.addaudithook(_note)


@contextlib.contextmanager
def watched(folder, seen):
    """Append forbidden actions to the list `seen`."""
    _watch[:] = [str(folder), seen]
    try:
        yield
    finally:
        _watch.clear()


def unwatched(function):
    """Wrap a function so that it may do anything."""

    def call(*arguments):
        kept, _watch[:] = list(_watch), []
        try:
            return function(*arguments)
        finally:
            _watch[:] = kept

    return call


def _note(event, arguments):
    if _watch and (event.startswith(_CODE) or _is_forbidden(event, arguments, _watch[0])):
        _watch[1].append(f"{event} {str(arguments)[:100]}")


def _is_forbidden(event, arguments, folder):
    if event == "open":
        path, _, flags = arguments
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        return bool(writes) and not isinstance(path, int) and not _within(path, folder)  # an int is an open file descriptor
    relative = (
        len(arguments) > 1 and isinstance(arguments[-1], int) and arguments[-1] >= 0
    )  # relative to an open folder, as in shutil.rmtree
    return event.startswith(_PROGRAMS) or (event.startswith(_CHANGES) and not relative and not _within(arguments[0], folder))


def _within(path, folder):
    return isinstance(path, str | os.PathLike) and f"{os.path.abspath(path)}/".startswith(f"{folder}/")


def forbid():
    """End this process, the child of `sandbox`, at a forbidden action; its imports must be done before."""
    sys.dont_write_bytecode, folder = True, os.environ["TMPDIR"]

    def end(event, arguments):
        if _is_forbidden(event, arguments, folder):
            os._exit(CAUGHT)

    sys.addaudithook(end)
