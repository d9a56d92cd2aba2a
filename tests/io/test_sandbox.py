import os
import signal
import time

import numpy as np
import pytest

from srnet_jax.errors import ConfigError, DataError
from srnet_jax.io import sandbox

CELLS = np.empty((2, 1), object)
CELLS[:, 0] = [np.arange(3.0), np.zeros((0, 2), np.int8)]
ARRAYS = {
    "c": np.arange(6.0).reshape(2, 3),
    "fortran": np.arange(6, dtype=">f4").reshape(2, 3).T,
    "strided": np.arange(10, dtype=np.uint16)[::3],
    "scalar": np.array(True),
    "empty": np.zeros((0, 3)),
    "cells": CELLS,
}


def arrays(file):
    print("a library that talks")
    return ARRAYS


def told(file, number):
    return {"told": np.array([number, len(file.read_bytes())])}


def refused(file, kind):
    raise {"config": ConfigError, "data": DataError}[kind](f"{file}: no")


def endless(file, way):
    while way == "python":
        pass
    sum(range(10**18))


def ended(file, way):
    if way == "exit":
        os._exit(3)
    os.kill(os.getpid(), getattr(signal, way))


def greedy(file):
    return {"x": np.ones(2**31)}


def text(file):
    return {"x": np.array(["a"])}


def process_id(file):
    return {"id": np.array(os.getpid())}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a file"
    path.write_bytes(b"12345")
    return path


def test_arrays_come_back(file):
    found = sandbox.read(arrays, file)
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        if name != "cells":
            np.testing.assert_array_equal(found[name], array)
            found[name][...] = 0  # the array is writable
    for cell, expected in zip(found["cells"].ravel(), CELLS.ravel(), strict=True):
        np.testing.assert_array_equal(cell, expected, strict=True)
    np.testing.assert_array_equal(sandbox.read(told, file, 7)["told"], [7, 5])


def test_errors_come_back(file):
    for kind, error in (("config", ConfigError), ("data", DataError)):
        with pytest.raises(error, match="a file: no"):
            sandbox.read(refused, file, kind)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (endless, ("python",), "more than 0.2 s of processor time"),
        (endless, ("C",), "more than 0.2 s of processor time"),
        (ended, ("SIGSEGV",), r"made the library that reads it crash \(SIGSEGV\)"),
        (ended, ("SIGABRT",), r"crash \(SIGABRT\)"),
        (ended, ("exit",), r"crash \(exit code 3\)"),
        (greedy, (), "takes memory out of proportion"),
        (text, (), "crash"),
    ],
)
def test_whatever_ends_the_process_is_one_line(file, monkeypatch, function, arguments, message):
    monkeypatch.setattr(sandbox, "_seconds", lambda size: 0.2)
    begun = time.monotonic()
    with sandbox.one_process():
        for _ in range(2):
            with pytest.raises(DataError, match=message) as caught:
                sandbox.read(function, file, *arguments)
            assert str(caught.value).startswith(f"{file}: damaged, ")
            assert str(caught.value).isprintable()
        assert sandbox.read(told, file, 1)["told"][1] == 5  # in a new process
    assert time.monotonic() - begun < 30


def test_one_process_reads_much(file):
    with sandbox.one_process():
        first = int(sandbox.read(process_id, file)["id"])
        with sandbox.one_process():
            assert sandbox.read(process_id, file)["id"] == first
        assert sandbox.read(process_id, file)["id"] == first
    assert first != os.getpid()
    assert sandbox.read(process_id, file)["id"] != first
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)
