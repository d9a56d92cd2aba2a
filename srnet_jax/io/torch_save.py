"""Write files that `torch.load(weights_only=True)` reads, without PyTorch.

The format is a zip archive that holds a pickle, which names the constructors of the tensors, and one raw file for each tensor.
"""

import collections
import io
import os
import pickle
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.io.files import absolute

_STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "int64": "LongStorage", "int32": "IntStorage"}
_FOLDER = "archive"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a zip archive; a fixed date makes equal contents give equal files


def save_torch(path: str | Path, value: Any) -> None:
    """Save nested dicts, lists and tuples of numbers, text and NumPy arrays; arrays become tensors.

    Dicts keep their order and their class: `collections.OrderedDict` stays one. The file appears whole or not at all.

    Raises:
      TypeError: for a value or a dtype of another kind.
    """
    path = Path(path)
    tensors: list[np.ndarray] = []
    stream = io.BytesIO()
    stream.write(pickle.PROTO + b"\x02")
    _write(stream, value, tensors)
    stream.write(pickle.STOP)
    members = {"data.pkl": stream.getvalue(), "byteorder": b"little", "version": b"3\n"}
    members |= {f"data/{key}": tensor.astype(tensor.dtype.newbyteorder("<")).tobytes() for key, tensor in enumerate(tensors)}
    descriptor, name = tempfile.mkstemp(dir=absolute(path).parent, prefix=f".{path.name}.")
    draft = Path(name)
    try:
        os.close(descriptor)
        draft.chmod(0o644)
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(f"{_FOLDER}/{name}", _EPOCH), data)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write(stream: io.BytesIO, value: Any, tensors: list[np.ndarray]) -> None:
    """Append a value to a pickle of protocol 2, and its tensors to `tensors`."""
    if value is None:
        stream.write(pickle.NONE)
    elif isinstance(value, bool):
        stream.write(pickle.NEWTRUE if value else pickle.NEWFALSE)
    elif isinstance(value, int):
        data = pickle.encode_long(value)
        stream.write(pickle.LONG1 + struct.pack("<B", len(data)) + data)
    elif isinstance(value, float):
        stream.write(pickle.BINFLOAT + struct.pack(">d", value))
    elif isinstance(value, str):
        data = value.encode()
        stream.write(pickle.BINUNICODE + struct.pack("<I", len(data)) + data)
    elif isinstance(value, np.ndarray | np.generic):
        _write_tensor(stream, np.asarray(value), tensors)
    elif isinstance(value, dict):
        if isinstance(value, collections.OrderedDict):
            stream.write(pickle.GLOBAL + b"collections\nOrderedDict\n" + pickle.EMPTY_TUPLE + pickle.REDUCE + pickle.MARK)
        else:
            stream.write(pickle.EMPTY_DICT + pickle.MARK)
        for item in value.items():
            for part in item:
                _write(stream, part, tensors)
        stream.write(pickle.SETITEMS)
    elif isinstance(value, list | tuple):
        stream.write(pickle.EMPTY_LIST if isinstance(value, list) else b"")
        stream.write(pickle.MARK)
        for part in value:
            _write(stream, part, tensors)
        stream.write(pickle.APPENDS if isinstance(value, list) else pickle.TUPLE)
    else:
        raise TypeError(f"found a {type(value).__name__}, expected a dict, list, tuple, number, text or array")


def _write_tensor(stream: io.BytesIO, array: np.ndarray, tensors: list[np.ndarray]) -> None:
    """Append a call of `torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)`."""
    if array.dtype.name not in _STORAGES:
        raise TypeError(f"found an array of {array.dtype}, expected one of {', '.join(_STORAGES)}")
    key = str(len(tensors))
    tensors.append(array)
    strides = tuple(int(np.prod(array.shape[axis + 1 :], dtype=int)) for axis in range(array.ndim))
    stream.write(pickle.GLOBAL + b"torch._utils\n_rebuild_tensor_v2\n" + pickle.MARK)
    stream.write(pickle.MARK)  # the persistent id
    _write(stream, "storage", tensors)
    stream.write(pickle.GLOBAL + f"torch\n{_STORAGES[array.dtype.name]}\n".encode())
    for identity in (key, "cpu", array.size):
        _write(stream, identity, tensors)
    stream.write(pickle.TUPLE + pickle.BINPERSID)
    arguments: tuple[Any, ...] = (0, array.shape, strides, False, collections.OrderedDict())
    for argument in arguments:
        _write(stream, argument, tensors)
    stream.write(pickle.TUPLE + pickle.REDUCE)
