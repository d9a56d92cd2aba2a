"""Read numeric arrays from MATLAB files of version 7.3 (HDF5) and version 5, without executing anything.

A damaged file can crash HDF5's library and SciPy's reader of version 5. HDF5 therefore runs in another process (`sandbox`), and
version 5 has a reader here, which supports only numeric arrays and cells of them.
"""

import itertools
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io import sandbox
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.safe_pickle import Budget
from srnet_jax.io.text import listed

_RATIO = 16  # limit of the bytes read to the size of the file: coordinates hardly compress
_HDF5, _HDF5_PLACES = b"\x89HDF\r\n\x1a\n", (0, 512, 1024, 2048)  # offsets at which an HDF5 file can begin
_MAX_CELLS = 14  # cameras of MPI-INF-3DHP
_PIECE = 2**24  # bytes decompressed at a time
_MATRIX, _COMPRESSED = 14, 15  # types of data elements in version 5
_NUMBER_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL_CLASS, _NUMBER_CLASSES = 1, range(6, 16)


def read_variables(file: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read variables of a MATLAB file, of version 7.3 or 5.

    Returns:
      {name: array} of numbers, or object arrays of such arrays for cells; the axes are in MATLAB's order.

    Raises:
      DataError: if the file is missing or damaged, lacks a variable, or holds anything else under its name.
    """
    size_of(file, "a MATLAB file")
    with file.open("rb") as stream:
        start = stream.read(_HDF5_PLACES[-1] + len(_HDF5))
    if any(start.startswith(_HDF5, place) for place in _HDF5_PLACES):
        return sandbox.read(read_hdf5, file, names)
    data = memoryview(file.read_bytes())
    with reading(file, "a MATLAB file"):
        return _from_version_5(data, names)


def read_hdf5(file: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Read arrays, or cells of arrays, of an HDF5 file, with the axes reversed; use it only through `sandbox.read`.

    Raises:
      DataError: if the file is damaged, or an array is missing, is not numeric or is stored in another file.
    """
    with reading(file, "an HDF5 file"), h5py.File(file, "r") as stored:
        budget = Budget(_RATIO * file.stat().st_size)
        _check_names(stored, names)
        found = {}
        for name in names:
            if not isinstance(stored.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{name}: found a link, expected an array")
            array = _stored_array(stored[name], name, budget)
            if array.dtype.kind == "O":
                for index, reference in np.ndenumerate(array):
                    array[index] = _stored_array(stored[reference], name, budget, cells=False)
            found[name] = array
        return found


def _stored_array(item: Any, name: str, budget: Budget, *, cells: bool = True) -> np.ndarray:
    """Return the array of an HDF5 data set; `cells` allows references, and data in other files are always rejected."""
    if not isinstance(item, h5py.Dataset) or item.external or item.is_virtual or item.size is None:
        raise DataError(f"{name}: found a {type(item).__name__}, expected an array that the file itself holds")
    dtype = item.dtype
    is_cells = cells and h5py.check_ref_dtype(dtype) is h5py.Reference
    if not (is_cells or dtype.kind in "fiub") or (is_cells and item.size > _MAX_CELLS):
        raise DataError(f"{name}: found {item.size} values of {dtype.name}, expected numbers, or a cell for each camera")
    budget.charge(item.nbytes)
    return np.asarray(item[()]).T


def _from_version_5(data: memoryview, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read the numeric arrays and cells of a file of version 5, compressed or not.

    Source: MathWorks, "MAT-File Format".
    """
    budget = Budget(_RATIO * len(data))
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(bytes(data[124:128]))
    if order is None:
        raise ValueError("found a version other than 7.3 and 5")
    found = {}
    for kind, content in _elements(data[128:], order):
        if kind == _COMPRESSED:
            inflated = _inflated(content, budget)
            kind, content = next(_elements(memoryview(inflated), order))
        if kind == _MATRIX:
            name, array = _matrix(content, order)
            found[name] = array
    _check_names(found, names)
    return {name: found[name] for name in names}


def _inflated(content: memoryview, budget: Budget) -> bytes:
    """Decompress an element in pieces, and charge each piece to the budget."""
    stream = zlib.decompressobj()
    pieces: list[bytes] = []
    while not stream.eof:
        piece = stream.decompress(stream.unconsumed_tail if pieces else content, _PIECE)
        if not piece and not stream.eof:
            raise ValueError("a compressed array is incomplete")
        budget.charge(len(piece))
        pieces.append(piece)
    return b"".join(pieces)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the type and the content of each data element."""
    start = 0
    while start < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, start)
        if small := kind >> 16:  # a small element: up to four bytes in place of the size
            kind, size = kind & 0xFFFF, small
        first = start + (4 if small else 8)
        if first + size > len(data):
            raise ValueError("the file is truncated")
        yield kind, data[first : first + size]
        start = first + size if kind == _COMPRESSED else first + size + -(first + size) % 8


def _matrix(data: memoryview, order: str, *, cells: bool = True) -> tuple[str, np.ndarray]:
    """Return the name and the value of an array; an array that is neither numbers nor cells gives an empty text array."""
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


def _check_names(found: Iterable[str], names: Sequence[str]) -> None:
    found = [name for name in found if not name.startswith("#")]
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(f"found the variables {listed(found)}, expected {', '.join(missing)}")
