"""Read PyTorch checkpoints, NumPy archives and pickles without running anything that they name; see `safe_pickle`.

The sizes that a file declares are compared with the bytes that are there. Whatever a file holds, reading it takes memory
and time in proportion to its size, or half a gigabyte and seconds if it is small; and the only error is a `DataError` of
one line. PyTorch is not needed.
"""

import io
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import reading, size_of
from srnet_jax.io.safe_pickle import Budget, Resolver, unpickle
from srnet_jax.io.text import described, listed

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_TORCH_RATIO = 8  # of a budget to the size of the file, which is not compressed: for tensors that share a storage
_NPZ_RATIO = 32  # mocap compresses to no less than a tenth, and its object arrays count twice: as a pickle, as arrays


def load_torch(path: str | Path) -> Any:
    """Read what `torch.save` wrote, in the zip format or the one before PyTorch 1.6.

    Returns:
      The saved object. Tensors and parameters are contiguous NumPy arrays of their dtype in native byte order
      (bfloat16 becomes float32), an OrderedDict is a dict, a RandomState is ours.

    Raises:
      DataError: if the file is missing, damaged, no checkpoint, or asks for anything but these and plain values, or for
        memory out of proportion to its size.
    """
    budget = Budget(_TORCH_RATIO * size_of(path, "a PyTorch checkpoint"))
    data = Path(path).read_bytes()  # outside of `reading`: an error of the file system is no damage
    with reading(path, "a PyTorch checkpoint"):
        return _load_zip(data, budget) if data.startswith(b"PK\x03\x04") else _load_legacy(data, budget)


def load_npz(path: str | Path) -> dict[str, Any]:
    """Read a NumPy archive, object arrays included.

    Returns:
      {name: array}. A dict that was saved is an object array of shape (): take it with `.item()`.

    Raises:
      DataError: if the file is missing, damaged, no .npz, or asks for anything but arrays and plain values, or for memory
        out of proportion to its size.
    """
    budget = Budget(_NPZ_RATIO * size_of(path, "a NumPy .npz archive"))
    data = Path(path).read_bytes()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with reading(path, "a NumPy .npz archive"), _open_zip(data, budget, methods) as archive:
        return {info.filename.removesuffix(".npy"): _load_npy(archive, info, budget) for info in archive.infolist()}


def load_pickle(path: str | Path) -> Any:
    """Read a pickle of arrays and plain values, as Python 2 wrote them too.

    Returns:
      The saved object; text of Python 2 is `str`.

    Raises:
      DataError: if the file is missing, damaged, no pickle, or asks for anything but arrays and plain values, or for memory
        out of proportion to its size.
    """
    budget = Budget(_TORCH_RATIO * size_of(path, "a pickle"))
    data = Path(path).read_bytes()
    with reading(path, "a pickle"):
        root, _ = unpickle(io.BytesIO(data), budget)
        return Resolver({}, "<", budget).resolve(root)


def stored_dict(arrays: dict[str, np.ndarray], key: str, file: str | Path) -> dict[Any, Any]:
    """Return the dict that an `.npz` file holds under a key, as VideoPose3D stores it, or raise a DataError."""
    if key not in arrays:
        raise DataError(f"{file}: found the keys {listed(arrays)}, expected {key}")
    value = arrays[key].item() if arrays[key].shape == () else arrays[key]
    if not isinstance(value, dict):
        raise DataError(f"{file}: {key} holds {described(value)}, expected a dict")
    return value


def _open_zip(data: bytes, budget: Budget, methods: tuple[int, ...]) -> zipfile.ZipFile:
    """Open an archive, charge what it declares, and refuse other methods: zipfile unpacks bzip2 and LZMA without limit."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    budget.charge(sum(info.file_size for info in archive.infolist()))
    if any(info.compress_type not in methods for info in archive.infolist()):
        raise DataError("a zip archive with entries compressed in a way that neither PyTorch nor NumPy uses for such a file")
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise DataError("a zip archive with two entries of one name")
    return archive


def _load_zip(data: bytes, budget: Budget) -> Any:
    with _open_zip(data, budget, (zipfile.ZIP_STORED,)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"a zip archive with {len(pickles)} data.pkl, expected the one of a PyTorch checkpoint")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise DataError(f"byte order {order!r}, expected little or big")
        root, storages = unpickle(io.BytesIO(archive.read(pickles[0])), budget)
        contents = {key: archive.read(f"{folder}data/{key}") for key in {storage.key for storage in storages}}
    return Resolver(contents, "<" if order == b"little" else ">", budget).resolve(root)


def _load_legacy(data: bytes, budget: Budget) -> Any:
    stream = io.BytesIO(data)
    if unpickle(stream, budget)[0] != _LEGACY_MAGIC:
        raise DataError("neither a zip archive nor a legacy checkpoint, expected a PyTorch checkpoint")
    if unpickle(stream, budget)[0] != _LEGACY_VERSION:
        raise DataError(f"a legacy checkpoint of another version than {_LEGACY_VERSION}, the only one there was")
    unpickle(stream, budget)  # about the machine that wrote it; the storages are little-endian on all
    root, storages = unpickle(stream, budget)
    keys, _ = unpickle(stream, budget)
    named = {storage.key: storage for storage in storages}
    contents = {}
    for key in keys:
        if not isinstance(key, str):
            raise DataError("a list of storages with a key that is not a string")
        (count,) = struct.unpack("<q", stream.read(8))
        if count != named[key].numel:
            raise DataError(f"storage {key} has {count} elements, expected {named[key].numel}")
        contents[key] = stream.read(count * named[key].dtype.itemsize)  # Resolver checks that it was all there
    return Resolver(contents, "<", budget).resolve(root)


def _load_npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> np.ndarray:
    name = info.filename
    if not name.endswith(".npy"):
        raise DataError(f"holds {name}, expected only .npy entries, as a NumPy .npz archive has")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{name} has .npy version {version}, expected 1.0 or 2.0")
        first = version == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        if dtype.hasobject:
            root, _ = unpickle(io.BytesIO(stream.read()), budget)
            array = Resolver({}, "<", budget).resolve(root)
            if not isinstance(array, np.ndarray) or array.dtype != object or array.shape != shape:
                raise DataError(f"{name} does not hold the object array of shape {shape} that its header declares")
            return array
        expected, found = math.prod(shape) * max(dtype.itemsize, 1), info.file_size - stream.tell()
        if expected != found:
            raise DataError(f"{name} has {found} bytes of data, expected {expected} for shape {shape} of {dtype}")
        stream.seek(0)
        array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read()  # to the end, where zipfile compares the checksum
    if dtype.kind == "U" and array.size and dtype.itemsize:
        code_points = np.frombuffer(array.astype(dtype.newbyteorder("=")).tobytes(), np.uint32)
        if ((code_points > 0x10FFFF) | (code_points & ~np.uint32(0x7FF) == 0xD800)).any():  # Python fails on them anywhere
            raise DataError(f"{name} holds text that is not Unicode")
    return array
