"""Read files in another process, where a library that damage can crash or keep busy for ever does no harm.

HDF5's library and cdflib are such libraries. The other process has limits of processor time and memory in proportion to the
file, and hands back arrays as plain bytes, never as pickles. Whatever ends it is a `DataError` here.
"""

import contextlib
import importlib
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax import errors
from srnet_jax.errors import DataError, UserError

_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from srnet_jax.io import sandbox; sandbox.serve()"
_ENVIRONMENT = {
    **{"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},  # a thread reserves memory
    "HDF5_PLUGIN_PRELOAD": "::",  # a file cannot have a library loaded
}
_Arrays = dict[str, np.ndarray]  # of numbers, or object arrays of such arrays


def read(function: Callable[..., _Arrays], file: Path, *arguments: Any) -> _Arrays:
    """Return `function(file, *arguments)`, called in another process.

    Args:
      function: of a module, found there by its name; returns arrays of numbers by name, or object arrays of such arrays.
      file: what it reads.
      arguments: plain values that JSON can hold.

    Raises:
      UserError: that which the function raised.
      DataError: if it takes more time or memory than the file can be worth, or ends the process.
    """
    with one_process():
        assert _current is not None
        return _current.read(function, file, arguments)


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Let all that is read meanwhile be read in one process, which takes 0.3 s to start."""
    global _current
    if _current is not None:
        yield
        return
    _current = _Child()
    try:
        yield
    finally:
        child, _current = _current, None
        child.end()


class _Child:
    """The other process; it starts when something is read, and again if it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._folder: tempfile.TemporaryDirectory | None = None

    def read(self, function: Callable[..., _Arrays], file: Path, arguments: tuple[Any, ...]) -> _Arrays:
        size = file.stat().st_size
        seconds, memory = _seconds(size), _memory(size)
        request = (function.__module__, function.__qualname__, str(file), arguments, seconds, memory)
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise EOFError
            head = json.loads(line)
            if "error" in head:
                kind = getattr(errors, head["error"])
                raise kind(head["message"])
            return {name: _receive(process.stdout, shape, memory) for name, shape in head["arrays"].items()}
        except (OSError, EOFError, ValueError) as error:
            if isinstance(error, ValueError):  # not an answer: it lives
                process.kill()
            code = process.wait()
            self.end()
            if code == -signal.SIGPROF:
                raise DataError(_too_long(file, seconds)) from error
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise DataError(f"{file}: damaged, it made the library that reads it crash ({reason})") from error

    def _started(self) -> subprocess.Popen:
        if self._process is None:
            self._folder = tempfile.TemporaryDirectory()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ENVIRONMENT | {"TMPDIR": self._folder.name},
            )
        return self._process

    def end(self) -> None:
        """End the process and take away what it left."""
        if self._process is not None:
            self._process.kill()
            with self._process, contextlib.suppress(BrokenPipeError):  # closes the pipes
                pass
        if self._folder is not None:
            self._folder.cleanup()
        self._process = self._folder = None


_current: _Child | None = None


def _seconds(size: int) -> float:
    """Return the processor time that a file of this many bytes may take: a hundred times what it should."""
    return 10.0 + size / 2**20


def _memory(size: int) -> int:
    """Return the address space, in bytes, for a file of this many bytes."""
    return 5 * 2**27 + 20 * size


def _too_long(file: str | Path, seconds: float) -> str:
    return f"{file}: damaged, reading it took more than {seconds:.3g} s of processor time"


# In the other process.


def serve() -> None:
    """Answer requests, each a line, until there are no more."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    for line in requests:
        module, name, file, arguments, seconds, memory = json.loads(line)
        function = getattr(importlib.import_module(module), name)
        arrays: list[np.ndarray] = []
        try:
            with _limits(file, seconds, memory):
                found = function(Path(file), *arguments)
                head: dict[str, Any] = {"arrays": {key: _described(array, arrays) for key, array in found.items()}}
        except UserError as error:
            head = {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            head = {"error": "DataError", "message": f"{file}: damaged, reading it takes memory out of proportion to its size"}
        answers.write(json.dumps(head).encode() + b"\n")
        for array in arrays:
            answers.write(_bytes(array))
        answers.flush()


@contextlib.contextmanager
def _limits(file: str, seconds: float, memory: int) -> Iterator[None]:
    """Interrupt Python when the time is over, end the process if that does not help, and limit its memory."""

    def stop(*_: Any) -> None:
        raise DataError(_too_long(file, seconds))

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # a system without this limit
        resource.setrlimit(resource.RLIMIT_AS, (memory if most == resource.RLIM_INFINITY else min(memory, most), most))
    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, 2 * seconds)  # which nothing handles
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


# What goes through the pipe: arrays as [dtype, shape, whether Fortran's order], cells as [shape, arrays].


def _described(array: np.ndarray, arrays: list[np.ndarray]) -> list[Any]:
    """Describe an array, and add what is to be sent of it."""
    if array.dtype.kind == "O":
        return [array.shape, [_described(item, arrays) for item in array.ravel()]]
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    arrays.append(np.ascontiguousarray(array.T if fortran else array))
    return [array.dtype.str, array.shape, bool(fortran)]


def _receive(stream: Any, described: list[Any], memory: int) -> np.ndarray:
    if len(described) == 2:
        shape, items = described
        cells = np.empty(len(items), object)
        for index, item in enumerate(items):
            cells[index] = _receive(stream, item, memory)
        return cells.reshape(shape)
    dtype, shape, fortran = np.dtype(described[0]), tuple(described[1]), described[2]
    if dtype.kind not in "fiub" or math.prod(shape) * dtype.itemsize > memory:
        raise ValueError("an answer that is no array of numbers, or too large")
    array = np.empty(shape, dtype, order="F" if fortran else "C")
    buffer = _bytes(array.T if fortran else array)
    while len(buffer):
        if not (count := stream.readinto(buffer)):
            raise EOFError
        buffer = buffer[count:]
    return array


def _bytes(array: np.ndarray) -> memoryview:
    """Return the memory of a contiguous array."""
    return array.reshape(-1).view(np.uint8).data
