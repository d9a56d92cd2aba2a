"""Read untrusted pickles of arrays and tensors without executing anything that they name.

A pickle is a program: an ordinary unpickler imports and calls anything that it names. Here a name stands for an object of this
module that only records the call (`_NAMES`, `_SETTINGS`); other names are rejected. Tensors and arrays are built afterwards,
from checked numbers. Each pickle is first scanned for operations that exhaust memory, time or the C stack, and its cost is
charged to a `Budget` in proportion to the file's size.

`safe_load` turns every error into a `DataError` of one line.
"""

import dataclasses
import io
import math
import pickle
import pickletools
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from srnet_jax.errors import DataError

_FREE_BYTES = 2**28  # budget of an empty file
_OPCODE_BYTES = 256  # charged for each opcode; the worst, a set, takes about 600 with its result
_MAX_HASHED = 10_000  # ints with equal hashes are compared pairwise: this many take a second, twice as many four
_MAX_BITS = 512  # of an integer
_LONG_TEXT = 256  # characters; no name is as long
_NEVER_WRITTEN = {"DUP", "OBJ", "EXT1", "EXT2", "EXT4"}  # EXT can bypass find_class; _scan cannot follow the others
_CALLS = {"REDUCE", "INST", "NEWOBJ", "NEWOBJ_EX"}
_PUSHES = {code.name for code in pickletools.opcodes if not code.stack_before and len(code.stack_after) == 1} - {"MARK"}
_KEYS = dict.fromkeys(["SETITEM", "SETITEMS", "DICT"], slice(1, None, 2))  # opcode: the keys among its operands
_KEYS |= dict.fromkeys(["ADDITEMS", "FROZENSET"], slice(None))
_STORAGES = "Float:f4 Double:f8 Half:f2 BFloat16:u2 Long:i8 Int:i4 Short:i2 Char:i1 Byte:u1 Bool:?"  # PyTorch type:dtype


class Budget:
    """Limit the cost of reading a file: `size` + 256 MiB of memory, and `_MAX_HASHED` values hashed as keys."""

    def __init__(self, size: int) -> None:
        self._size, self._left, self._hashed = size + _FREE_BYTES, size + _FREE_BYTES, 0

    def charge(self, cost: int, hashed: int = 0) -> None:
        """Count bytes and hashed values.

        Raises:
          DataError: if there are too many.
        """
        self._left -= cost
        self._hashed += hashed
        if self._left < 0:
            raise DataError(f"refused: reading it would take more than {self._size} bytes, out of proportion to the file")
        if self._hashed > _MAX_HASHED:
            raise DataError(f"refused: found more than {_MAX_HASHED} values in keys that are not names, expected fewer")


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class RandomState:
    """The state of a `numpy.random.RandomState` in a file; the generator itself is not rebuilt.

    Attributes:
      state: the argument of `set_state` (a dict; a tuple from NumPy before 1.17), or None.
    """

    state: Any


class _Inert:
    """Base of objects that a pickle can hold but not alter: they have slots only, and reject a state."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise DataError("refused: the file sets the state of an object that has no state")


@dataclasses.dataclass(slots=True, eq=False)
class Storage(_Inert):
    """A reference, by key, to the raw data of tensors; `view` is the (key, offset, size) of a partial legacy storage."""

    key: str
    dtype: np.dtype
    bfloat16: bool
    numel: int
    view: tuple[str, int, int] | None


@dataclasses.dataclass(slots=True, eq=False)
class _Name(_Inert):
    """An entry of `_NAMES`: a function (`make`), a storage type (`storage`), or a class that is only an argument (neither)."""

    make: Callable[..., Any] | None = None
    at_once: bool = False
    takes_args: bool = True
    takes_state: bool = False
    storage: str = ""

    def __call__(self, *args: Any) -> Any:
        if self.make is None:
            raise DataError("refused: the file calls a class that no checkpoint calls")
        return self.make(*args) if self.at_once else _Call(self, args)


@dataclasses.dataclass(slots=True, eq=False)
class _Call(_Inert):
    """A recorded call that a file asks for, and the state that it sets on the result."""

    function: _Name
    args: tuple[Any, ...]
    state: Any = None

    def __setstate__(self, state: Any) -> None:
        if not self.function.takes_state:
            _Inert.__setstate__(self, state)
        self.state = state


class _OrderedDict(dict[Any, Any]):
    """A stand-in for OrderedDict while a pickle is read."""

    __slots__ = ()

    def __init__(self, pairs: Any = ()) -> None:
        """Take the list of pairs that Python 2 writes, and empty it, so that a file cannot have it copied repeatedly."""
        for key, value in pairs:
            if type(key) is not str or len(key) >= _LONG_TEXT:
                raise DataError("found an OrderedDict with a key that is not a name, expected names")
            self[key] = value
        if pairs:
            pairs.clear()

    def __setstate__(self, state: Any) -> None:
        """Discard the state, which is the `_metadata` of a state_dict (versions of its modules)."""


class _Settings(dict[Any, Any]):
    """A stand-in for an object of `_SETTINGS`, which is called with anything: it keeps only its items and its state."""

    __slots__ = ("state",)

    def __init__(self, *_args: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class _Unpickler(pickle.Unpickler):
    """An unpickler that resolves only `_NAMES` and `_SETTINGS`, and collects the storages."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream, encoding="latin1")  # Python 2 wrote an array's bytes as str
        self.storages: dict[Any, Storage] = {}

    def find_class(self, module: str, name: str) -> _Name | type[_Settings]:
        if (module, name) in _SETTINGS:
            return _Settings
        if (module, name) not in _NAMES:
            asked = f"{module}.{name}"
            raise DataError(
                f"refused: the file asks for {asked}, expected only names of arrays and tensors (in PyTorch, save the "
                "state_dict); nothing was executed"
            )
        return _NAMES[module, name]

    def persistent_load(self, pid: Any) -> Storage:
        match pid:
            case ("storage", _Name(storage=str(dtype)), str(key), _, int(numel)) if dtype:
                view = None
            case ("storage", _Name(storage=str(dtype)), str(key), _, int(numel), (str(), int(), int()) | None as view) if dtype:
                pass
            case _:
                raise DataError("found a persistent id of another kind, expected that of a tensor's storage")
        if len(key) >= _LONG_TEXT:
            raise DataError("found a storage with a key that is not a name, expected a name")
        storage = self.storages.setdefault((key, dtype), Storage(key, np.dtype(dtype), dtype == "u2", numel, None))
        return storage if view is None else dataclasses.replace(storage, view=view)


def unpickle(stream: io.BytesIO, budget: Budget) -> tuple[Any, list[Storage]]:
    """Read one pickle; return its object, unresolved (see `Resolver`), and the storages that it names."""
    start = stream.tell()
    _scan(stream, budget)
    stream.seek(start)
    unpickler = _Unpickler(stream)
    return unpickler.load(), list(unpickler.storages.values())


def _scan(stream: io.BytesIO, budget: Budget) -> None:
    """Reject a pickle that would exhaust memory, time or the C stack, because those failures cannot be caught.

    The memo is an array as long as its largest index, so indices must be consecutive (writers number from 0 or 1). Hashing or
    comparing a key visits a nested tuple as often as it occurs, so the stack is simulated with each value's maximal cost: the
    number of values in it. A short string costs nothing, because its hash cannot be predicted. A mark is None.
    """
    stack: list[int | None] = []
    memo: dict[Any, int | None] = {}
    for opcode, argument, _ in pickletools.genops(stream):
        budget.charge(_OPCODE_BYTES)
        name = opcode.name
        if name in _NEVER_WRITTEN:
            raise DataError(f"refused: found the opcode {name}, which no checkpoint has")
        if isinstance(argument, int) and argument.bit_length() > _MAX_BITS:
            raise DataError(f"refused: found an integer of more than {_MAX_BITS} bits, which no checkpoint has")
        if name.endswith("GET"):
            stack.append(memo[argument])
        elif name.endswith("PUT") or name == "MEMOIZE":
            index = len(memo) if argument is None else argument
            if index > len(memo) + 1:
                raise DataError(f"found memo index {index} after {len(memo)} others, expected consecutive indices")
            memo[index] = stack[-1]
        elif name in _PUSHES:
            stack.append(len(argument) // _LONG_TEXT if isinstance(argument, str | bytes) else 1)
        else:
            taken: list[int] = []
            for kind in reversed(opcode.stack_before):
                if kind is pickletools.stackslice:
                    while (cost := stack.pop()) is not None:
                        taken.append(cost)
                elif kind is not pickletools.markobject:
                    taken.append(stack.pop() or 0)
            budget.charge(16 * sum(taken) if name in _CALLS else 0, sum(taken[_KEYS[name]]) if name in _KEYS else 0)
            cost = min(1 + len(taken) + sum(taken), 2**60)
            stack.extend(None if kind is pickletools.markobject else cost for kind in opcode.stack_after)


class Resolver:
    """Convert the output of the unpickler to arrays and plain containers; shared objects stay shared."""

    def __init__(self, contents: Mapping[str, bytes], byte_order: Literal["<", ">"], budget: Budget) -> None:
        self._contents, self._byte_order, self._budget = contents, byte_order, budget
        self._done: dict[int, Any] = {}  # by id: the root keeps every object alive

    def resolve(self, item: Any) -> Any:
        """Return the value of an object of the pickle."""
        if isinstance(item, None | bool | int | float | str | bytes | bytearray):
            return item
        if id(item) not in self._done:
            self._done[id(item)] = self._make(item)
        return self._done[id(item)]

    def _make(self, item: Any) -> Any:
        if item is _Settings:
            return None
        if isinstance(item, _Settings):
            made_settings = self._done[id(item)] = {}
            for part in (item, getattr(item, "state", None)):
                if isinstance(part, dict):
                    self._budget.charge(_OPCODE_BYTES * len(part))  # several objects may have one state
                    kept = ((key, value) for key, value in part.items() if part is item or type(key) is str)
                    made_settings.update((self.resolve(key), self.resolve(value)) for key, value in kept)  # names hash fast
            return made_settings
        if isinstance(item, list):
            made_list = self._done[id(item)] = []  # known before its items, which may refer to it
            made_list.extend(map(self.resolve, item))
            return made_list
        if isinstance(item, dict):
            made_dict = self._done[id(item)] = {}
            made_dict.update((self.resolve(key), self.resolve(value)) for key, value in item.items())
            return made_dict
        if isinstance(item, tuple | set | frozenset):
            return type(item)(map(self.resolve, item))
        if isinstance(item, Storage):
            return self._storage(item)
        if isinstance(item, _Call) and item.function.make is not None:
            args = self.resolve(item.args) if item.function.takes_args else ()
            state = (self.resolve(item.state),) if item.function.takes_state else ()
            made = item.function.make(*args, *state)
            self._budget.charge(made.nbytes if isinstance(made, np.ndarray | np.generic) else sys.getsizeof(made))
            return made
        raise DataError("found a bare class or function, expected arrays and plain values")

    def _storage(self, storage: Storage) -> np.ndarray:
        """Return the raw data of a storage, [numel]."""
        data = self._contents.get(storage.key, b"")
        expected = storage.numel * storage.dtype.itemsize
        if len(data) != expected:
            raise DataError(f"storage {storage.key} has {len(data)} bytes, expected {expected}")
        array = np.ndarray(storage.numel, storage.dtype.newbyteorder(self._byte_order), data)
        _, offset, size = storage.view or ("", 0, array.size)
        if not 0 <= offset <= offset + size <= array.size:
            raise DataError(
                f"storage {storage.key}: found a view of {size} elements from {offset}, expected it within {array.size}"
            )
        array = array[offset : offset + size]
        if storage.bfloat16:
            array = (array.astype(np.uint32) << 16).view(np.float32)  # a bfloat16 is the upper half of a float32
            self._budget.charge(array.nbytes)
        return array


def _sizes(values: Any) -> tuple[int, ...]:
    """Check that a shape, strides or an offset is a tuple of reasonable sizes, and return it."""
    if type(values) is not tuple or len(values) > 64 or any(type(v) is not int or not 0 <= v < 2**48 for v in values):
        raise DataError("found another shape, strides or offset, expected a tuple of at most 64 integers from 0 to 2 ** 48")
    return values


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, _requires_grad: Any = False, _hooks: Any = None) -> np.ndarray:
    """Do the work of `torch._utils._rebuild_tensor` and `_rebuild_tensor_v2`, except for metadata (a negated view)."""
    (offset,), size, stride = _sizes((offset,)), _sizes(size), _sizes(stride)
    if not isinstance(storage, np.ndarray) or storage.ndim != 1 or storage.dtype.hasobject:
        raise DataError("found a tensor without a storage, expected one with a storage")
    if 0 in size:
        return np.zeros(size, storage.dtype.newbyteorder("="))
    last = offset + sum((length - 1) * step for length, step in zip(size, stride, strict=True))
    if last >= storage.size or math.prod(size) > storage.size:
        advice = " (in PyTorch, save tensor.contiguous())" * (0 in stride)  # of `expand`
        raise DataError(
            f"a tensor of offset {offset}, size {size}, stride {stride} exceeds its storage of {storage.size} elements{advice}"
        )
    item_size = storage.dtype.itemsize
    return _native(np.ndarray(size, storage.dtype, storage, offset * item_size, [step * item_size for step in stride]))


def _parameter(tensor: Any, _requires_grad: Any, _hooks: Any, _state: Any = None) -> np.ndarray:
    if not isinstance(tensor, np.ndarray):
        raise DataError("found a parameter that is not a tensor, expected a tensor")
    return tensor


def _typed(function: Any, _type: Any, args: Any, _state: Any) -> _Call:
    """Record the call that `torch._tensor._rebuild_from_type_v2` makes for a tensor with attributes of its own."""
    if not isinstance(function, _Name) or function.make not in (_tensor, _parameter) or type(args) is not tuple:
        raise DataError("found a tensor of another kind, expected a plain tensor")
    return _Call(function, args)


def _native(array: np.ndarray) -> np.ndarray:
    return np.array(array, array.dtype.newbyteorder("="), order="C")


def _dtype(name: Any, _align: Any, _copy: Any, state: Any) -> np.dtype:
    if not re.fullmatch(r"[biufcSU][1-9]\d{0,8}|O\d?", name):
        raise DataError(f"found an array of dtype {name}, expected booleans, numbers, text, bytes or objects")
    return np.dtype(object) if name.startswith("O") else np.dtype(name).newbyteorder(state[1])


def _array(data: Any, dtype: Any, shape: Any, order: Literal["C", "F"]) -> np.ndarray:
    """Build an array from bytes or from a list of objects."""
    if isinstance(data, str):  # bytes in Python 2
        data = data.encode("latin1")
    count = math.prod(_sizes(shape)) * (1 if dtype.hasobject else dtype.itemsize)
    if type(data) not in ([list] if dtype.hasobject else [bytes, bytearray]) or len(data) != count:
        raise DataError(f"found an array of {len(data)} bytes or objects, expected shape {shape} of {dtype}")
    if not dtype.hasobject:
        return _native(np.ndarray(shape, dtype, data, order=order))
    array = np.empty(count, object)
    for index, item in enumerate(data):  # one by one: NumPy would unpack lists and arrays
        array[index] = item
    return array.reshape(shape, order=order)


def _array_of_state(state: Any) -> np.ndarray:
    """Do the work of `numpy.ndarray.__setstate__`."""
    _version, shape, dtype, is_fortran, data = state
    return _array(data, dtype, shape, "F" if is_fortran else "C")


def _scalar(dtype: Any, data: Any) -> Any:
    if dtype.hasobject:
        raise DataError("found a NumPy scalar that is an object, expected a number")
    return _array(data, dtype, (), "C")[()]


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise DataError("found bytes in another encoding, expected latin1")
    return text.encode("latin1")


def _names() -> dict[tuple[str, str], _Name]:
    """Return the table of all names that a file may use."""
    random_state = _Name(RandomState, takes_args=False, takes_state=True)
    names = {
        ("torch", "Size"): _Name(_sizes),
        ("torch._utils", "_rebuild_tensor"): _Name(_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): _Name(_tensor),
        ("torch._utils", "_rebuild_parameter"): _Name(_parameter),
        ("torch._utils", "_rebuild_parameter_with_state"): _Name(_parameter),
        ("torch._tensor", "_rebuild_from_type_v2"): _Name(_typed, at_once=True),
        ("torch", "Tensor"): _Name(),
        ("torch.nn.parameter", "Parameter"): _Name(),
        ("collections", "OrderedDict"): _Name(_OrderedDict, at_once=True),
        ("_codecs", "encode"): _Name(_encode),  # bytes, in protocol 2 of Python 3
        ("__builtin__", "bytes"): _Name(lambda: b""),  # the same, empty
        ("numpy", "dtype"): _Name(_dtype, takes_state=True),
        ("numpy", "ndarray"): _Name(),
        ("numpy.random", "__RandomState_ctor"): random_state,
        ("numpy.random._pickle", "__randomstate_ctor"): random_state,
        ("numpy.random._pickle", "__bit_generator_ctor"): random_state,
        ("numpy.random._mt19937", "MT19937"): _Name(),
        ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence"): random_state,
        ("numpy.random.bit_generator", "SeedSequence"): _Name(),
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = _Name(_array_of_state, takes_args=False, takes_state=True)
        names[f"{core}.multiarray", "scalar"] = _Name(_scalar)
        names[f"{core}.numeric", "_frombuffer"] = _Name(_array)
    for name, dtype in (pair.split(":") for pair in _STORAGES.split()):
        names["torch", f"{name}Storage"] = names["torch.cuda", f"{name}Storage"] = _Name(storage=dtype)
    return names


_NAMES = _names()
_SETTINGS = {
    (module, name)
    for modules, names in {
        "argparse": "Namespace",
        "types": "SimpleNamespace",
        "collections": "defaultdict Counter",
        "easydict": "EasyDict",
        "addict.addict": "Dict",
        "yacs.config": "CfgNode",
        "ml_collections.config_dict.config_dict": "ConfigDict FrozenConfigDict",
        "pytorch_lightning.utilities.parsing lightning_fabric.utilities.data": "AttributeDict",
        "pathlib pathlib._local": "Path PosixPath PurePosixPath WindowsPath PureWindowsPath",
        "numpy.random._pickle": "__generator_ctor",
        "numpy.random._pcg64": "PCG64",
        "torch": "device float16 bfloat16 float32 float64 int32 int64 bool",
        "torch.torch_version": "TorchVersion",
        "datetime": "datetime date time timedelta timezone",
        "omegaconf.dictconfig": "DictConfig",
        "omegaconf.listconfig": "ListConfig",
        "omegaconf.base": "ContainerMetadata Metadata",
        "omegaconf.nodes": "AnyNode BooleanNode BytesNode FloatNode IntegerNode PathNode StringNode",
        "typing": "Any",
        "builtins __builtin__": "set frozenset list dict tuple int float str bool complex range xrange slice",
    }.items()
    for module in modules.split()
    for name in names.split()
}
