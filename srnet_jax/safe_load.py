"""Read PyTorch checkpoints and NumPy archives without running anything that they name; see `safe_pickle`.

The sizes that a file declares are compared with the bytes that are there. Whatever a file holds, the only error is a
`DataError` of one line. PyTorch is not needed.
"""

import contextlib
import io
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.safe_pickle import Resolver, unpickle

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAX_COMPRESSION = 1032  # deflate cannot do better


def load_torch(path: str | Path) -> Any:
    """Read what `torch.save` wrote, in the zip format or the one before PyTorch 1.6.

    Returns:
      The saved object. Tensors and parameters are contiguous NumPy arrays of their dtype in native byte order
      (bfloat16 becomes float32), an OrderedDict is a dict, a RandomState is ours.

    Raises:
      DataError: if the file is missing, damaged, no checkpoint, or asks for anything but these and plain values.
    """
    with _one_error(path, "a PyTorch checkpoint") as data:
        return _load_zip(data) if data.startswith(b"PK\x03\x04") else _load_legacy(data)


def load_npz(path: str | Path) -> dict[str, Any]:
    """Read a NumPy archive, object arrays included.

    Returns:
      {name: array}. A dict that was saved is an object array of shape (): take it with `.item()`.

    Raises:
      DataError: if the file is missing, damaged, no .npz, or asks for anything but arrays and plain values.
    """
    with _one_error(path, "a NumPy .npz archive") as data, _open_zip(data) as archive:
        return {info.filename.removesuffix(".npy"): _load_npy(archive, info) for info in archive.infolist()}


@contextlib.contextmanager
def _one_error(path: str | Path, expected: str) -> Iterator[bytes]:
    """Give a file's bytes, and turn whatever goes wrong with them into one DataError.

    The file is read whole first: so an OSError of the file system is never taken for a damaged file.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if not path.is_file():
        raise DataError(f"{path}: not a file, expected {expected}")
    data = path.read_bytes()
    if not data:
        raise DataError(f"{path}: empty file, expected {expected}")
    try:
        yield data
    except Exception as error:  # damage can make pickle, zipfile and NumPy raise almost anything
        text = str(error).encode("unicode_escape").decode()[:300]  # names in the file may hold line breaks
        if not isinstance(error, DataError):
            text = f"damaged, cut short or another kind of file, expected {expected} ({type(error).__name__}: {text})"
        raise DataError(f"{path}: {text}") from error


def _open_zip(data: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(data))
    declared = sum(info.file_size for info in archive.infolist())
    if declared > _MAX_COMPRESSION * len(data):
        raise DataError(f"a zip archive that declares {declared} bytes, more than a file of {len(data)} bytes can hold")
    return archive


def _load_zip(data: bytes) -> Any:
    with _open_zip(data) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"a zip archive with {len(pickles)} data.pkl, expected the one of a PyTorch checkpoint")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise DataError(f"byte order {order!r}, expected little or big")
        root, storages = unpickle(io.BytesIO(archive.read(pickles[0])))
        contents = {key: archive.read(f"{folder}data/{key}") for key in {storage.key for storage in storages}}
    return Resolver(contents, "<" if order == b"little" else ">").resolve(root)


def _load_legacy(data: bytes) -> Any:
    stream = io.BytesIO(data)
    if unpickle(stream)[0] != _LEGACY_MAGIC:
        raise DataError("neither a zip archive nor a legacy checkpoint, expected a PyTorch checkpoint")
    if unpickle(stream)[0] != _LEGACY_VERSION:
        raise DataError(f"a legacy checkpoint of another version than {_LEGACY_VERSION}, the only one there was")
    unpickle(stream)  # about the machine that wrote it; the storages are little-endian on all
    root, storages = unpickle(stream)
    keys, _ = unpickle(stream)
    named = {storage.key: storage for storage in storages}
    contents = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        if count != named[key].numel:
            raise DataError(f"storage {key} has {count} elements, expected {named[key].numel}")
        contents[key] = stream.read(count * named[key].dtype.itemsize)  # Resolver checks that it was all there
    return Resolver(contents, "<").resolve(root)


def _load_npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
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
            root, _ = unpickle(io.BytesIO(stream.read()))
            array = Resolver({}, "<").resolve(root)
            if not isinstance(array, np.ndarray) or array.dtype != object or array.shape != shape:
                raise DataError(f"{name} does not hold the object array of shape {shape} that its header declares")
            return array
        expected, found = math.prod(shape) * max(dtype.itemsize, 1), info.file_size - stream.tell()
        if expected != found:
            raise DataError(f"{name} has {found} bytes of data, expected {expected} for shape {shape} of {dtype}")
        stream.seek(0)
        array = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read()  # to the end, where zipfile compares the checksum
        return array
