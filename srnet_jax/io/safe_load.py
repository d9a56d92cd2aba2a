"""Read untrusted PyTorch checkpoints, NumPy archives and pickles without executing anything in them, and without PyTorch.

`safe_pickle` reads the pickles. The sizes that a file declares are compared with the bytes that it has. For any content,
reading takes memory and time in proportion to the size of the file (half a gigabyte and seconds if it is small), and either
succeeds or raises a `DataError` of one line.
"""

import io
import json
import math
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import check_kind, reading, size_of
from srnet_jax.io.safe_pickle import Budget, Resolver, unpickle
from srnet_jax.io.text import described, listed, shown

_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_SAFETENSORS = {  # name of a dtype: of its numbers
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"},
}
_JSON_RATIO = 32  # maximum ratio of the memory of parsed JSON to its size
_TORCH_RATIO = 8  # budget / file size; such files are not compressed, but tensors may share a storage
_NPZ_RATIO = 32  # mocap compresses to a tenth at best, and object arrays count twice: as a pickle and as arrays


def load_torch(path: str | Path) -> Any:
    """Load a file that `torch.save` wrote, in the zip format or in the format before PyTorch 1.6, or a safetensors file.

    Returns:
      The saved object. Tensors and parameters are contiguous NumPy arrays of their dtype in native byte order (bfloat16 becomes
      float32), an OrderedDict is a dict, and a RandomState is a `safe_pickle.RandomState`.

    Raises:
      DataError: if the file is missing, damaged or not a checkpoint, names anything but tensors and plain values, or needs
        memory out of proportion to its size.
    """
    budget = Budget(_TORCH_RATIO * size_of(path, "a PyTorch checkpoint"))
    data = Path(path).read_bytes()  # outside `reading`: an error of the file system is not damage
    with reading(path, "a PyTorch checkpoint"):
        if data[7:9] == b"\0{":  # a size of fewer than 2^56 bytes; text in JSON has no zero
            return _load_safetensors(data, budget)
        check_kind(data, "a PyTorch checkpoint")
        return _load_zip(data, budget) if data.startswith(b"PK\x03\x04") else _load_legacy(data, budget)


def load_npz(path: str | Path) -> dict[str, Any]:
    """Load a NumPy archive, including object arrays.

    Returns:
      {name: array}. A saved dict is an object array of shape (); `.item()` returns the dict.

    Raises:
      DataError: if the file is missing, damaged or not an .npz, names anything but arrays and plain values, or needs memory out
        of proportion to its size.
    """
    budget = Budget(_NPZ_RATIO * size_of(path, "a NumPy .npz archive"))
    data = Path(path).read_bytes()
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with reading(path, "a NumPy .npz archive"):
        check_kind(data, "a NumPy .npz archive")
        with _open_zip(data, budget, methods) as archive:
            return {info.filename.removesuffix(".npy"): _load_npy(archive, info, budget) for info in archive.infolist()}


def load_pickle(path: str | Path) -> Any:
    """Load a pickle of arrays and plain values, written by Python 2 or 3.

    Returns:
      The saved object; text of Python 2 is `str`.

    Raises:
      DataError: if the file is missing, damaged or not a pickle, names anything but arrays and plain values, or needs memory
        out of proportion to its size.
    """
    budget = Budget(_TORCH_RATIO * size_of(path, "a pickle"))
    data = Path(path).read_bytes()
    with reading(path, "a pickle"):
        check_kind(data, "a pickle")
        root, _ = unpickle(io.BytesIO(data), budget)
        return Resolver({}, "<", budget).resolve(root)


def stored_dict(arrays: dict[str, np.ndarray], key: str, file: str | Path) -> dict[Any, Any]:
    """Return the dict that VideoPose3D stores under a key of an `.npz` file.

    Raises:
      DataError: if the key is missing or does not hold a dict.
    """
    if key not in arrays:
        raise DataError(f"{file}: found the keys {listed(arrays)}, expected {key}")
    value = arrays[key].item() if arrays[key].shape == () else arrays[key]
    if not isinstance(value, dict):
        raise DataError(f"{file}: {key} holds {described(value)}, expected a dict")
    return value


def _open_zip(data: bytes, budget: Budget, methods: tuple[int, ...]) -> zipfile.ZipFile:
    """Open an archive, charge its declared sizes, and allow only some methods: zipfile unpacks bzip2 and LZMA without limit."""
    archive = zipfile.ZipFile(io.BytesIO(data))
    budget.charge(sum(info.file_size for info in archive.infolist()))
    if any(info.compress_type not in methods for info in archive.infolist()):
        raise DataError("found zip entries compressed in a way that neither PyTorch nor NumPy uses for such a file")
    if len(set(archive.namelist())) < len(archive.namelist()):
        raise DataError("found a zip archive with two entries of one name, expected different names")
    return archive


def _check_contents(names: list[str]) -> None:
    """Reject a zip archive of another program; `names` are those of its entries."""
    if any(name.endswith("/constants.pkl") for name in names):
        advice = "save its weights, torch.save(torch.jit.load(FILE).state_dict(), ...)"
        raise DataError(f"found a TorchScript program, expected a PyTorch checkpoint: {advice}")
    if names and all(name.endswith(".npy") for name in names):
        raise DataError("found a NumPy .npz archive, expected a PyTorch checkpoint: save the weights with torch.save")
    if not any(name.endswith("/data.pkl") for name in names):
        inside = listed(name for name in names if not name.endswith("/"))
        raise DataError(f"found a zip archive of {inside}, expected a PyTorch checkpoint: if it holds one, unpack it")


def _load_zip(data: bytes, budget: Budget) -> Any:
    _check_contents(zipfile.ZipFile(io.BytesIO(data)).namelist())
    with _open_zip(data, budget, (zipfile.ZIP_STORED,)) as archive:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise DataError(f"found a zip archive with {len(pickles)} data.pkl, expected the one of a PyTorch checkpoint")
        folder = pickles[0].removesuffix("data.pkl")
        order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise DataError(f"found byte order {order!r}, expected little or big")
        root, storages = unpickle(io.BytesIO(archive.read(pickles[0])), budget)
        contents = {key: archive.read(f"{folder}data/{key}") for key in {storage.key for storage in storages}}
    return Resolver(contents, "<" if order == b"little" else ">", budget).resolve(root)


def _load_safetensors(data: bytes, budget: Budget) -> dict[str, np.ndarray]:
    """Load a safetensors file: the size of the header, the header in JSON, and the tensors' data."""
    (size,) = struct.unpack("<Q", data[:8])
    budget.charge(_JSON_RATIO * min(size, len(data)))
    table, found = json.loads(data[8 : 8 + size]), {}
    for name, entry in table.items():
        if name == "__metadata__":
            continue
        kind, (start, stop) = entry["dtype"], entry["data_offsets"]
        if kind not in _SAFETENSORS:
            raise DataError(f"found a tensor of {shown(str(kind))}, expected one of {', '.join(_SAFETENSORS)}")
        if not 0 <= start <= stop <= len(data) - 8 - size:
            raise DataError(f"found a tensor at bytes {start} to {stop}, expected it within {len(data) - 8 - size}")
        budget.charge(2 * (stop - start))  # several may share their data
        values = np.frombuffer(data[8 + size + start : 8 + size + stop], _SAFETENSORS[kind])
        if kind == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        found[name] = values.reshape(entry["shape"]).astype(values.dtype.newbyteorder("="))
    return found


def _load_legacy(data: bytes, budget: Budget) -> Any:
    stream = io.BytesIO(data)
    if unpickle(stream, budget)[0] != _LEGACY_MAGIC:
        raise DataError("found neither a zip archive nor a legacy checkpoint, expected a PyTorch checkpoint, by torch.save")
    if unpickle(stream, budget)[0] != _LEGACY_VERSION:
        raise DataError(f"found a legacy checkpoint of another version, expected {_LEGACY_VERSION}")
    unpickle(stream, budget)  # about the machine that wrote it; the storages are always little-endian
    root, storages = unpickle(stream, budget)
    keys, _ = unpickle(stream, budget)
    named = {storage.key: storage for storage in storages}
    contents = {}
    for key in keys:
        if not isinstance(key, str):
            raise DataError("found a list of storages with a key that is not a string, expected strings")
        (count,) = struct.unpack("<q", stream.read(8))
        if count != named[key].numel:
            raise DataError(f"storage {key} has {count} elements, expected {named[key].numel}")
        contents[key] = stream.read(count * named[key].dtype.itemsize)  # Resolver checks the length
    return Resolver(contents, "<", budget).resolve(root)


def _load_npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget) -> np.ndarray:
    name = info.filename
    if not name.endswith(".npy"):
        raise DataError(f"found {name}, expected only .npy entries, as in a NumPy .npz archive")
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0)):
            raise DataError(f"{name}: found .npy version {version}, expected 1.0 or 2.0")
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
        stream.read()  # read to the end, where zipfile compares the checksum
    if dtype.kind == "U" and array.size and dtype.itemsize:
        code_points = np.frombuffer(array.astype(dtype.newbyteorder("=")).tobytes(), np.uint32)
        if ((code_points > 0x10FFFF) | (code_points & ~np.uint32(0x7FF) == 0xD800)).any():  # Python fails on such text later
            raise DataError(f"{name}: found text that is not Unicode")
    return array
