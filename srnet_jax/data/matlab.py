"""Arrays of MATLAB files, version 7.3 (HDF5) and version 5, without anything that executes.

scipy's reader of version 5 may end the process on a damaged file; only numeric arrays and cells of them are read here.
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from srnet_jax.errors import DataError

_MAX_NUMBERS = 2**27  # in one array: 40 times what the published files hold
_MAX_CELLS = 14  # the cameras of MPI-INF-3DHP
_MATRIX, _COMPRESSED = 14, 15  # elements of MATLAB's version 5
_NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL_CLASS, _NUMBER_CLASSES = 1, range(6, 16)


def read_variables(file: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file, axes in MATLAB's order: arrays of numbers, or object arrays of them for cells."""
    if not file.is_file():
        raise DataError(f"{file}: no such file, expected annotations of MPI-INF-3DHP")
    try:
        return _from_hdf5(file, names) if h5py.is_hdf5(file) else _from_version_5(file, names)
    except DataError:
        raise
    except Exception as error:  # a damaged file makes the two readers raise nearly anything
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise DataError(f"{file}: not a readable MATLAB file ({reason})") from error


def _from_hdf5(file: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    with h5py.File(file, "r") as stored:
        _check_names(file, stored, names)
        found = {}
        for name in names:
            if not isinstance(stored.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{file}: {name} is a link, expected an array")
            array = _stored_array(stored[name], f"{file}: {name}")
            if array.dtype.kind == "O":
                for index, reference in np.ndenumerate(array):
                    array[index] = _stored_array(stored[reference], f"{file}: {name}", cells=False)
            found[name] = array
        return found


def _stored_array(item: Any, name: str, *, cells: bool = True) -> np.ndarray:
    """Return what an HDF5 data set holds; `cells` allows references, but nothing that lies in another file."""
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.size is None:
        raise DataError(f"{name}: found a {type(item).__name__}, expected an array that the file itself holds")
    is_cells = cells and h5py.check_ref_dtype(item.dtype) is h5py.Reference
    if not (is_cells or item.dtype.kind in "fiub") or item.size > (_MAX_CELLS if is_cells else _MAX_NUMBERS):
        raise DataError(f"{name}: found {item.size} values of {item.dtype.name}, expected numbers, or a cell for each camera")
    return np.asarray(item[()]).T


def _from_version_5(file: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the numbers and cells of a file of version 5, compressed or not.

    Source: MathWorks, "MAT-File Format". SciPy's reader is not used, because damaged files can crash it and Python with it.
    """
    data = memoryview(file.read_bytes())
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(bytes(data[124:128]))
    if order is None:
        raise ValueError("neither version 7.3 nor version 5")
    found = {}
    for kind, content in _elements(data[128:], order):
        if kind == _COMPRESSED:
            stream = zlib.decompressobj()
            inflated = stream.decompress(content, 8 * _MAX_NUMBERS)
            if not stream.eof:
                raise ValueError("a compressed array is incomplete or too large")
            kind, content = next(_elements(memoryview(inflated), order))
        if kind == _MATRIX:
            name, array = _matrix(content, order)
            found[name] = array
    _check_names(file, found, names)
    return {name: found[name] for name in names}


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the content of each data element."""
    start = 0
    while start < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, start)
        if small := kind >> 16:  # up to four bytes, in the place of the size
            kind, size = kind & 0xFFFF, small
        first = start + (4 if small else 8)
        if first + size > len(data):
            raise ValueError("the file is truncated")
        yield kind, data[first : first + size]
        start = first + size if kind == _COMPRESSED else first + size + -(first + size) % 8


def _matrix(data: memoryview, order: str, *, cells: bool = True) -> tuple[str, np.ndarray]:
    """Return the name and the value of an array; what is neither numbers nor cells comes back as an empty text."""
    elements = _elements(data, order)
    flags, shape, name = (content for _, content in itertools.islice(elements, 3))
    kind, array = struct.unpack_from(f"{order}I", flags)[0] & 0xFF, np.empty(0, "U")
    dimensions = np.frombuffer(shape, f"{order}i4")
    if kind == _CELL_CLASS and cells:
        items = [_matrix(content, order, cells=False)[1] for _, content in elements]
        array = np.empty(len(items), object)
        for index, item in enumerate(items):
            array[index] = item
        array = array.reshape(dimensions, order="F")
    elif kind in _NUMBER_CLASSES:
        code, content = next(elements)
        array = np.frombuffer(content, order + _NUMBER_TYPES[code]).reshape(dimensions, order="F")
    return bytes(name).decode("ascii", "replace"), array


def _check_names(file: Path, found: Iterable[str], names: tuple[str, ...]) -> None:
    found = [name for name in found if not name.startswith("#")]
    missing = [name for name in names if name not in found]
    if missing:
        listed = ", ".join(name if name.isidentifier() else "..." for name in found[:12])
        raise DataError(f"{file}: found {listed or 'no variables'}, expected {', '.join(missing)}")


def describe(array: np.ndarray) -> str:
    """Return what a message calls a variable."""
    return f"{'cells' if array.dtype.kind == 'O' else array.dtype.name} of shape {array.shape}"
