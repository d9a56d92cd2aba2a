"""Read files in another process, where a library that a damaged file crashes or keeps busy forever does no harm.

HDF5's library and cdflib are such libraries. The other process has limits of processor time and memory in proportion to the
file, and returns arrays in NumPy's format, never as pickles. Whatever ends it is a `DataError` here.
"""

import contextlib
import importlib
import io
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
from srnet_jax.errors import DataError, UserError, naming

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
      UserError: as the function.
      DataError: if it takes more time or memory than the file can be worth, or ends the process.
    """
    with one_process():
        assert _current is not None
        return _current.read(function, file, arguments)


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Share one process, which takes 0.3 s to start, between all reads in the block."""
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
    """The other process; it starts with the first file, and again if it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._channel: io.BufferedRWPair | None = None
        self._folder: tempfile.TemporaryDirectory | None = None

    def read(self, function: Callable[..., _Arrays], file: Path, arguments: tuple[Any, ...]) -> _Arrays:
        size = file.stat().st_size
        seconds, memory = _seconds(size), _memory(size)
        request = (function.__module__, function.__qualname__, str(file), arguments, seconds, memory)
        process, channel = self._started()
        try:
            channel.write(json.dumps(request).encode() + b"\n")
            channel.flush()
            head = json.loads(channel.readline())
            if "error" in head:
                raise getattr(errors, head["error"])(head["message"])
            return {name: _receive(channel, cells) for name, cells in head["cells"].items()}
        except (OSError, ValueError, MemoryError) as error:
            process.kill()  # if it still runs: it sent no answer
            code = process.wait()
            self.end()
            if code == -signal.SIGPROF:
                raise DataError(f"{file}: {_too_long(seconds)}") from error
            reason = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise DataError(f"{file}: damaged, it made the library that reads it crash ({reason})") from error

    def _started(self) -> tuple[subprocess.Popen, io.BufferedRWPair]:
        if self._process is None or self._channel is None:
            self._folder = tempfile.TemporaryDirectory()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | _ENVIRONMENT | {"TMPDIR": self._folder.name},
            )
            self._channel = io.BufferedRWPair(self._process.stdout, self._process.stdin)  # type: ignore[arg-type]
        return self._process, self._channel

    def end(self) -> None:
        """End the process and remove the files that it left."""
        if self._process is not None and self._channel is not None and self._folder is not None:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._channel.close()
            self._folder.cleanup()
        self._process = self._channel = self._folder = None


_current: _Child | None = None


def _seconds(size: int) -> float:
    """Return the seconds of processor time that a file of this many bytes may take: a hundred times what it should."""
    return 10.0 + size / 2**20


def _memory(size: int) -> int:
    """Return the address space, in bytes, for a file of this many bytes."""
    return 5 * 2**27 + 20 * size


def _too_long(seconds: float) -> str:
    return f"damaged, reading it took more than {seconds:.3g} s of processor time"


# In the other process.


def serve() -> None:
    """Answer requests, each one line, until the input ends."""
    channel = io.BufferedRWPair(io.FileIO(0), io.FileIO(os.dup(1), "w"))
    os.dup2(2, 1)  # what a library prints is no answer
    while line := channel.readline():
        module, name, file, arguments, seconds, memory = json.loads(line)
        function = getattr(importlib.import_module(module), name)
        arrays: list[np.ndarray] = []
        head: dict[str, Any]
        try:
            with naming(file), _limits(seconds, memory):
                found = function(Path(file), *arguments)
                arrays = [array for value in found.values() for array in (value.flat if value.dtype.hasobject else [value])]
                head = {"cells": {key: value.shape if value.dtype.hasobject else None for key, value in found.items()}}
        except UserError as error:
            head = {"error": type(error).__name__, "message": str(error)}
        except MemoryError:
            head = {"error": "DataError", "message": f"{file}: damaged, reading it takes memory out of proportion to its size"}
        channel.write(json.dumps(head).encode() + b"\n")
        for array in arrays:
            np.lib.format.write_array(channel, array, allow_pickle=False)
        channel.flush()


@contextlib.contextmanager
def _limits(seconds: float, memory: int) -> Iterator[None]:
    """Interrupt Python when the time is over, end the process if that does not help, and limit its memory."""

    def stop(*_: Any) -> None:
        raise DataError(_too_long(seconds))

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


def _receive(channel: Any, cells: list[int] | None) -> np.ndarray:
    """Return an array of numbers, or an object array of this shape of them."""
    if cells is not None:
        array = np.empty(math.prod(cells), object)
        for index in range(len(array)):
            array[index] = _receive(channel, None)
        return array.reshape(cells)
    array = np.lib.format.read_array(channel, allow_pickle=False)
    if array.dtype.kind not in "fiub":
        raise ValueError("an array that is not of numbers")
    return array
