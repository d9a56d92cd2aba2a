"""Read files in a child process, so that a library that crashes or hangs on a damaged file does no harm.

HDF5's library and cdflib do so. The child's processor time and memory are limited in proportion to the file, and it returns
arrays in NumPy's format, never as pickles. Any end of the child raises a `DataError` in the parent.
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
    "HDF5_PLUGIN_PRELOAD": "::",  # a file cannot make HDF5 load a plugin
}
_Arrays = dict[str, np.ndarray]  # of numbers, or object arrays of such arrays


def read(function: Callable[..., _Arrays], file: Path, *arguments: Any) -> _Arrays:
    """Call `function(file, *arguments)` in a child process and return the result.

    Args:
      function: a function of a module, imported by name in the child; returns {name: array} of numbers, or of object arrays
        of such arrays.
      file: the file to read.
      arguments: plain values that JSON can represent.

    Raises:
      UserError: if the function raises it.
      DataError: if the function exceeds the limits of time or memory, or ends the process.
    """
    with one_process():
        assert _current is not None
        return _current.read(function, file, arguments)


@contextlib.contextmanager
def one_process() -> Iterator[None]:
    """Use one child process, which takes 0.3 s to start, for all reads in the block."""
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
    """The child process; it starts with the first file, and again after it has ended."""

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
            process.kill()  # it may still run, but it sent no valid answer
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
        """Kill the process and remove its temporary files."""
        if self._process is not None and self._channel is not None and self._folder is not None:
            self._process.kill()
            self._process.wait()
            with contextlib.suppress(BrokenPipeError):
                self._channel.close()
            self._folder.cleanup()
        self._process = self._channel = self._folder = None


_current: _Child | None = None


def _seconds(size: int) -> float:
    """Return the limit of processor time, in seconds, for a file of this many bytes: about 100 times the usual time."""
    return 10.0 + size / 2**20


def _memory(size: int) -> int:
    """Return the limit of address space, in bytes, for a file of this many bytes."""
    return 5 * 2**27 + 20 * size


def _too_long(seconds: float) -> str:
    return f"damaged, reading it took more than {seconds:.3g} s of processor time"


# Below: code that runs in the child process.


def serve() -> None:
    """Answer requests, one on each line of standard input, until the input ends."""
    channel = io.BufferedRWPair(io.FileIO(0), io.FileIO(os.dup(1), "w"))
    os.dup2(2, 1)  # keep the output of libraries out of the answers
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
    """Limit memory and time: raise a DataError when the time is over; end the process if Python cannot raise it."""

    def stop(*_: Any) -> None:
        raise DataError(_too_long(seconds))

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with contextlib.suppress(ValueError, OSError):  # a system without this limit
        resource.setrlimit(resource.RLIMIT_AS, (memory if most == resource.RLIM_INFINITY else min(memory, most), most))
    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    signal.setitimer(signal.ITIMER_PROF, 2 * seconds)  # not handled, so it ends the process
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _receive(channel: Any, cells: list[int] | None) -> np.ndarray:
    """Receive an array of numbers, or an object array of shape `cells` of such arrays."""
    if cells is not None:
        array = np.empty(math.prod(cells), object)
        for index in range(len(array)):
            array[index] = _receive(channel, None)
        return array.reshape(cells)
    array = np.lib.format.read_array(channel, allow_pickle=False)
    if array.dtype.kind not in "fiub":
        raise ValueError("found an array that is not numeric")
    return array
