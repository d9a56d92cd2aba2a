import argparse
import collections
import dataclasses
import datetime
import gzip
import io
import json
import os
import pickle
import random
import struct
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest

from srnet_jax.errors import DataError
from srnet_jax.io import safe_pickle
from srnet_jax.io.safe_load import load_npz, load_pickle, load_torch
from srnet_jax.io.safe_pickle import RandomState


@dataclasses.dataclass(frozen=True)
class Name:
    """An object that is pickled as a global; callable, as pickle requires in a __reduce__."""

    module: str
    name: str

    def __call__(self):
        raise AssertionError("only written, never called")


class Call:
    def __init__(self, name, *args, state=None):
        self.reduced = (name, args) if state is None else (name, args, state)

    def __reduce__(self):
        return self.reduced


class Storage:
    """Raw data of tensors; `view` is a legacy (key, offset, size)."""

    def __init__(self, kind, data, view=None):
        self.kind, self.data, self.view = kind, np.asarray(data), view


class Pickler(pickle._Pickler):
    """A pickler that writes the format of torch.save."""

    def __init__(self, stream, protocol, legacy):
        super().__init__(stream, protocol)
        self.dispatch = {**self.dispatch, Name: Pickler.save_name}
        self.legacy, self.storages = legacy, []

    def save_name(self, name):
        self.write(pickle.GLOBAL + f"{name.module}\n{name.name}\n".encode())

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        if value not in self.storages:
            self.storages.append(value)
        kind, key = Name("torch", f"{value.kind}Storage"), str(self.storages.index(value))
        return "storage", kind, key, "cuda:0", value.data.size, *([value.view] if self.legacy else [])


def write_entries(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries.items():
            archive.writestr(f"any name/{name}", data)
    return path


def write_zip(path, value, protocol=2, order=b"little"):
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol, legacy=False)
    pickler.dump(value)
    contents = {f"data/{key}": storage.data.tobytes() for key, storage in enumerate(pickler.storages)}
    return write_entries(path, {"data.pkl": stream.getvalue(), "byteorder": order, "version": b"3\n", **contents})


def write_legacy(path, value, protocol=2):
    with path.open("wb") as stream:
        for head in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001, "little_endian": True}):
            pickle.dump(head, stream, protocol)
        pickler = Pickler(stream, protocol, legacy=True)
        pickler.dump(value)
        pickle.dump([str(key) for key in range(len(pickler.storages))], stream, protocol)
        for storage in pickler.storages:
            stream.write(struct.pack("<q", storage.data.size) + storage.data.tobytes())
    return path


def write_npz(path, value):
    with path.open("wb") as stream:
        np.savez(stream, value=value, numbers=np.arange(5))
    return path


WRITERS = {"zip": (write_zip, load_torch), "legacy": (write_legacy, load_torch), "npz": (write_npz, load_npz)}
KINDS = "Float:f4 Double:f8 Half:f2 Long:i8 Int:i4 Short:i2 Char:i1 Byte:u1 Bool:?"


def tensor(storage, size, stride, offset=0):
    return Call(Name("torch._utils", "_rebuild_tensor_v2"), storage, offset, size, stride, False, collections.OrderedDict())


def state_dict():
    """Return tensors of every kind, and the arrays that reading must give."""
    saved, expected = collections.OrderedDict(), {}
    for kind, dtype in (pair.split(":") for pair in KINDS.split()):
        array = np.arange(-1, 5).astype(dtype).reshape(2, 3)
        storage = Storage(kind, array)
        saved[kind] = tensor(storage, (2, 3), (3, 1))
        saved[f"{kind}.t"] = tensor(storage, (3, 1), (1, 3), offset=3)  # a view of the same storage
        saved[f"{kind}.p"] = Call(Name("torch._utils", "_rebuild_parameter"), tensor(storage, (), (), 1), True, {})
        expected |= {kind: array, f"{kind}.t": array[1:].T, f"{kind}.p": array[0, 1]}
    saved["empty"], expected["empty"] = tensor(Storage("Float", []), (0, 3), (3, 1)), np.zeros((0, 3), np.float32)
    saved["bf16"] = tensor(Storage("BFloat16", np.array([0x3FC0, 0xC000], np.uint16)), (2,), (1,))
    return saved, {**expected, "bf16": np.array([1.5, -2], np.float32)}


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_both_formats_give_back_what_was_saved(write, protocol, tmp_path):
    tensors, expected = state_dict()
    module_dict = Call(Name("collections", "OrderedDict"), [["a", 1], ("b", 2)], state={"_metadata": {"": {"version": 2}}})
    rest = {"epoch": 3, "lr": 1e-3, "list": [None, True, -(2**70), "ä\n"], "bytes": (b"", b"\xff\0")}
    cycle = [rest]
    cycle.append(cycle)
    value = {"tensors": tensors, "rest": rest, "od": module_dict, "cycle": cycle, "size": Call(Name("torch", "Size"), (2, 3))}

    found = load_torch(write(tmp_path / "x.bin", value, protocol))

    assert type(found["tensors"]) is dict
    assert list(found["tensors"]) == list(tensors)
    for name, array in expected.items():
        np.testing.assert_array_equal(found["tensors"][name], array, strict=np.ndim(array) > 0, err_msg=name)
        assert found["tensors"][name].dtype == array.dtype, name
        assert found["tensors"][name].flags.c_contiguous, name
    assert found["rest"] == rest
    assert (type(found["od"]), found["od"]) == (dict, {"a": 1, "b": 2})
    assert found["size"] == (2, 3)
    assert found["cycle"][0] is found["rest"]
    assert found["cycle"][1] is found["cycle"]


def test_big_endian_and_views_of_storages(tmp_path):
    numbers = Storage("Float", np.arange(6, dtype=">f4"))
    found = load_torch(write_zip(tmp_path / "x.bin", tensor(numbers, (6,), (1,)), order=b"big"))
    np.testing.assert_array_equal(found, np.arange(6, dtype=np.float32), strict=True)
    part = Storage("Float", np.arange(6, dtype=np.float32), view=("7", 2, 3))
    np.testing.assert_array_equal(load_torch(write_legacy(tmp_path / "x.bin", tensor(part, (3,), (1,)))), [2, 3, 4])


ARRAYS = [
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    np.arange(3, dtype=">i2"),
    np.array([True, False]),
    np.array([1 + 2j], np.complex64),
    np.array(["ä", "bcd"]),
    np.array([b"x", b"yz"]),
    np.zeros((0, 2)),
    np.array([[[1, 2], {"a": 1}], [None, (3,)]], object),
]


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_numpy_values_in_pickles(protocol, tmp_path):
    numbers = [np.float32(2.5), np.int64(-1), np.bool_(True), np.str_("ä")]
    value = {"arrays": ARRAYS, "numbers": numbers, np.int64(5): np.dtype("f8")}
    found = load_torch(write_zip(tmp_path / "x.bin", value, protocol))
    for read, array in zip(found["arrays"], ARRAYS, strict=True):
        np.testing.assert_array_equal(read, array.astype(array.dtype.newbyteorder("=")), strict=True)
    assert list(map(repr, found["numbers"])) == list(map(repr, numbers))
    assert found[np.int64(5)] == np.float64


def test_python_2_pickle(tmp_path):
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tU\1btR(K\1(K\2t"
        b"cnumpy\ndtype\n(U\2i2K\0K\1tR(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89U\4\1\0\xff\xfftb"
    )
    pairs = b"\x80\2ccollections\nOrderedDict\nq\1]q\2](U\1\xe4" + array + b"ea\x85R."
    found = load_torch(write_entries(tmp_path / "x.bin", {"data.pkl": pairs}))
    assert list(found) == ["ä"]
    np.testing.assert_array_equal(found["ä"], np.array([1, -1], np.int16), strict=True)


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("spelling", ["this NumPy's", "unseeded", "1.16", "1.20", "1.26"])
def test_random_state_comes_back_as_its_state(spelling, protocol, tmp_path):
    generator = np.random.RandomState(None if spelling == "unseeded" else 7)
    generator.normal()
    state, name = generator.get_state(legacy=spelling == "1.16"), Name("numpy.random._pickle", "__randomstate_ctor")
    value = {
        "1.16": Call(Name("numpy.random", "__RandomState_ctor"), state=state),
        "1.20": Call(name, "MT19937", state=state),
        "1.26": Call(name, "MT19937", Name("numpy.random._pickle", "__bit_generator_ctor"), state=state),
    }.get(spelling, generator)
    found = load_torch(write_zip(tmp_path / "x.bin", {"random_state": value}, protocol))["random_state"]
    assert type(found) is RandomState
    again = np.random.RandomState()
    again.set_state(found.state)
    assert again.normal() == generator.normal()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read_as_numpy_reads_it(save, tmp_path, rng):
    positions = {subject: {"Walking 1": rng.normal(size=(5, 32, 3)).astype("f4")} for subject in ("S1", "S11")}
    keypoints = np.array({"S1": {"Walking 1": [np.ones((5, 17, 2))] * 4}}, object)
    arrays = {f"array {index}": array for index, array in enumerate(ARRAYS)}
    save(tmp_path / "x.npz", positions_3d=positions, positions_2d=keypoints, **arrays)
    found = load_npz(tmp_path / "x.npz")
    assert list(found) == ["positions_3d", "positions_2d", *arrays]
    assert (found["positions_3d"].shape, found["positions_3d"].dtype) == ((), object)
    np.testing.assert_equal(found["positions_3d"].item(), positions)
    np.testing.assert_equal(found["positions_2d"].item(), keypoints.item())
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def refusal(load, path):
    """Return the message without the path."""
    with pytest.raises(DataError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()  # so it is one line
    return message.removeprefix(f"{path}: ")


def refusal_of_pickle(data, tmp_path):
    return refusal(load_torch, write_entries(tmp_path / "x.bin", {"data.pkl": data}))


class Evil(Call):
    """An object that is pickled as a call of os.system(f"touch {path}")."""

    def __init__(self, path):
        self.reduced = (os.system, (f"touch {path}",))


@pytest.mark.parametrize("kind", [*WRITERS, "pickle"])
def test_nothing_is_run(kind, tmp_path):
    path, proof = tmp_path / "evil.bin", tmp_path / "proof"
    write, load = WRITERS.get(kind, (lambda path, value: path.write_bytes(pickle.dumps(value)), load_torch))
    write(path, {"weights": [Evil(proof)]})
    name = f"{os.system.__module__}.system"
    assert (
        refusal(load, path)
        == f"refused: the file asks for {name}, expected only names of arrays and tensors (in PyTorch, save the state_dict); "
        "nothing was executed"
    )
    assert not proof.exists()
    pickle.loads(pickle.dumps(Evil(proof)))
    assert proof.exists()  # an ordinary unpickler does run it


def write_safetensors(path, table, data):
    header = json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def test_safetensors(tmp_path):
    data = np.arange(4, dtype="<f4").tobytes() + np.array([0x3FC0, 0xC000], "<u2").tobytes() + np.array(7, "<i8").tobytes()
    table = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "BF16", "shape": [2], "data_offsets": [16, 20]},
        "c": {"dtype": "I64", "shape": [], "data_offsets": [20, 28]},
    }
    path = write_safetensors(tmp_path / "x.safetensors", table, data)
    found = load_torch(path)
    np.testing.assert_array_equal(found["a"], np.arange(4, dtype=np.float32).reshape(2, 2))
    np.testing.assert_array_equal(found["b"], np.array([1.5, -2], np.float32))
    assert (list(found), found["c"], found["a"].dtype.isnative) == (["a", "b", "c"], 7, True)
    for change, message in (
        ({"dtype": "F8_E4M3"}, "found a tensor of 'F8_E4M3', expected one of F64"),
        ({"data_offsets": [16, 40]}, "at bytes 16 to 40, expected it within 28"),
        ({"data_offsets": [-4, 4]}, "at bytes -4 to 4, expected it within 28"),
        ({"shape": [3]}, "damaged, cut short"),
        ({"shape": [1 << 70]}, "damaged, cut short"),
    ):
        assert message in refusal(load_torch, write_safetensors(path, table | {"b": table["b"] | change}, data))
    path.write_bytes(struct.pack("<Q", 2**63) + b"{")
    assert "damaged, cut short" in refusal(load_torch, path)
    many = {str(number): {"dtype": "U8", "shape": [2**22], "data_offsets": [0, 2**22]} for number in range(50)}
    assert "out of proportion" in refusal(load_torch, write_safetensors(path, many, bytes(2**22)))


@pytest.mark.parametrize("protocol", [2, 4])
def test_settings_beside_tensors_are_dicts(protocol, tmp_path):
    """Programs save their arguments and the state of schedulers beside the network."""
    settings = argparse.Namespace(path=PurePosixPath("/data"), lr=1e-3, names=["a"])
    history = collections.defaultdict(list, {"loss": [1.0, 0.5]})
    saved = {"args": settings, "log": history, "milestones": collections.Counter([3, 3]), "kept": {1, 2}, "z": 1j}
    saved["rng"] = np.random.default_rng(0)
    device = Call(Name("torch", "device"), "cuda", 0)
    path = write_zip(tmp_path / "x.bin", saved | {"device": device, "dtype": Name("torch", "float32")}, protocol)
    found = load_torch(path)
    assert found["args"] == {"path": {}, "lr": 1e-3, "names": ["a"]}
    assert found["log"] == {"loss": [1.0, 0.5]}
    assert found["dtype"] is None
    assert list(found) == [*saved, "device", "dtype"]


def test_only_names_of_a_state_are_kept():
    """Numbers with equal hashes are slow to insert, and are no names of attributes."""
    state = {key * (2**61 - 1): None for key in range(3000)} | {"lr": 0.1}
    resolver = safe_pickle.Resolver({}, "<", safe_pickle.Budget(2**28))
    objects = [safe_pickle._Settings() for _ in range(20)]
    for one in objects:
        one.state = state
    assert [resolver.resolve(one) for one in objects] == [{"lr": 0.1}] * 20


@pytest.mark.parametrize(
    "name", ["builtins eval", "torch.nn.modules.module Module", "numpy fromfile", "copyreg _reconstructor"]
)
def test_other_names_are_refused_by_name(name, tmp_path):
    module, attribute = name.split()
    pushed = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, attribute))
    for data in (
        f"c{module}\n{attribute}\n(Vx\ntR.".encode(),
        f"(Vx\ni{module}\n{attribute}\n.".encode(),
        pushed + b"\x93)\x81.",
    ):
        assert f"asks for {module}.{attribute}," in refusal_of_pickle(data, tmp_path)
    assert r"asks for a\nb.c," in refusal_of_pickle(b"\x8c\x03a\nb\x8c\x01c\x93.", tmp_path)


def test_a_file_cannot_alter_what_it_gets(tmp_path):
    before = {key: dataclasses.astuple(name) for key, name in safe_pickle._NAMES.items()}
    for module, name in before:
        found = f"c{module}\n{name}\n".encode()
        for state in (b"}Vmake\nNs", b"N}Vmake\nNs\x86", b"N"):
            assert "sets the state" in refusal_of_pickle(found + state + b"b.", tmp_path)
        for use in (b"I1\na.", b"(I1\ne.", b"Vmake\nNs.", b")\x81.", b")}\x92.", b"."):
            assert refusal_of_pickle(found + use, tmp_path)
    assert {key: dataclasses.astuple(name) for key, name in safe_pickle._NAMES.items()} == before
    assert "sets the state" in refusal_of_pickle(b"ctorch\nSize\n)R}Vmake\nNsb.", tmp_path)
    own = dict(vars(safe_pickle._Settings))
    for use in (b"}Vx\nNsb.", b"N}V__init__\nNs\x86b.", b"Nb.", b"I1\na.", b"(I1\ne.", b"Vmake\nNs.", b")\x81I1\na."):
        assert refusal_of_pickle(b"cargparse\nNamespace\n" + use, tmp_path)
    assert vars(safe_pickle._Settings) == own
    assert "__dict__" in refusal_of_pickle(b"]}Vx\nNsb.", tmp_path)


PARAMETER = b"ctorch._utils\n_rebuild_parameter\n"
OBJECT_SCALAR = b"cnumpy.core.multiarray\nscalar\ncnumpy\ndtype\n(VO8\nNNtR(NV|\ntb"
LONG_NAME = b"X" + struct.pack("<I", 10_000) + b"a" * 10_000


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"})" + b"\x85" * 100_000 + b"Ns.", "values in keys"),  # hashed, it would overflow the C stack
        (b"})q\0" + b"h\0h\0\x86q\0" * 100 + b"h\0Ns.", "values in keys"),  # 2 ** 100 tuples to hash
        (b"})q\0" + b"h\0h\0\x86Nbq\0" * 100 + b"h\0Ns.", "values in keys"),
        (PARAMETER + b"q\0)q\1" + b"h\0h\1NN\x87Rh\0h\1NN\x87R\x86q\1" * 60 + b"}h\1Ns.", "refused: "),
        (PARAMETER + b")NN\x87R.", "a parameter that is not a tensor"),
        (OBJECT_SCALAR + b"])aq\1\x86R.", "scalar that is an object"),  # a list would hide the hashed values
        (b"(" + b"K\0" * 1000 + b"tq\0}(" + b"h\0N" * 1000 + b"u.", "values in keys"),
        (b"(" + b"K\0" * 1000 + b"tq\0(" + b"h\0N" * 1000 + b"d.", "values in keys"),
        (b"(" + b"K\0" * 1000 + b"tq\0\x8f(" + b"h\0" * 1000 + b"\x90.", "values in keys"),
        (b"(" + b"K\0" * 1000 + b"tq\0(" + b"h\0" * 1000 + b"\x91.", "values in keys"),
        (LONG_NAME + b"q\0" + LONG_NAME + b"q\1}h\0Ns(" + b"h\1N" * 1000 + b"u.", "values in keys"),  # each is compared
        (
            b"}(" + b"".join(pickle.dumps(key * (2**61 - 1), 2)[2:-1] + b"N" for key in range(1, 10_002)) + b"u.",
            "values in keys",
        ),
        (b"(" + b"N" * 100_000 + b"tq\0ctorch\nSize\nq\1(" + b"h\1h\0R" * 1000 + b"t.", "out of proportion"),  # copied
        (b"(" + b"\x8f" * 5000 + b"t.", "out of proportion"),
        (b"c_codecs\nencode\nq\0" + LONG_NAME + b"Vlatin1\n\x86q\1(" + b"h\0h\1R" * 1000 + b"t.", "out of proportion"),
        (b"ctorch\nSize\n(" + b"K\0" * 65 + b"t\x85R.", "at most 64 integers"),
        (b"ctorch\nSize\n]\x85R.", "at most 64 integers"),
        (b"ctorch\nSize\n\x8a\7" + bytes(6) + b"\1\x85\x85R.", "2 ** 48"),
        (b"\x8b\x40\x0d\3\0" + b"\x7f" * 200_000 + b".", "512 bits"),
        (b"ccollections\nOrderedDict\n](])aNaa\x85R.", "MARK"),
        (b"ccollections\nOrderedDict\n]]K\1aNaa\x85R.", "key that is not a name"),
        (b"]" * 5000 + b"a" * 4999 + b".", "RecursionError"),
        (b"Nr\xff\xff\xff\x7f.", "memo index"),  # 32 GiB
        (b"\x82\x01.", "opcode EXT1"),
        (b"c__builtin__\nbytes\n\x8a\6\0\0\0\0\0\1\x85R.", "TypeError"),  # a terabyte of zeros
        (b"Vx\nQ.", "persistent id"),
        (b"c_codecs\nencode\n(Vx\nVrot13\ntR.", "another encoding"),
        (pickle.dumps(np.zeros(2, "V8"), 2), "dtype V8"),
        (pickle.dumps(np.zeros(3), 2).replace(b"K\3\x85", b"J\xff\xff\xff\x7f\x85"), "expected shape (2147483647,)"),
        (pickle.dumps(np.zeros(3), 2).replace(b"K\3\x85", b"Vab\nI99999999999\n\x86"), "integers from 0"),  # "ab" times that
    ],
)
def test_hostile_pickles(data, message, tmp_path, monkeypatch):
    if message == "out of proportion":  # with a smaller budget, which is exceeded sooner
        monkeypatch.setattr(safe_pickle, "_FREE_BYTES", 2**20)
    assert message in refusal_of_pickle(data, tmp_path)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_tensors_stay_within_their_storage(write, tmp_path):
    storage, path = Storage("Float", np.zeros(6, np.float32)), tmp_path / "x.bin"
    for size, stride, offset in (((2, 3), (3, 1), 1), ((7,), (0,), 0), ((1,), (1,), 2**47)):
        assert "exceeds its storage of 6" in refusal(load_torch, write(path, tensor(storage, size, stride, offset)))
    for size, stride, offset in (((2,), (-1,), 1), ((-2, -3), (3, 1), 0), ((2,), (1,), -1), ((2.0,), (1,), 0)):
        assert "integers from 0" in refusal(load_torch, write(path, tensor(storage, size, stride, offset)))
    assert "ValueError" in refusal(load_torch, write(path, tensor(storage, (2, 3), (3,))))


def test_declared_sizes_are_checked(tmp_path):
    path = write_legacy(tmp_path / "x.bin", tensor(Storage("Float", np.zeros(6, np.float32)), (6,), (1,)))
    data = path.read_bytes()
    for count in (5, 7, 2**62, -1):
        path.write_bytes(data[:-32] + struct.pack("<q", count) + data[-24:])
        assert refusal(load_torch, path) == f"storage 0 has {count} elements, expected 6"
    for count in (1, 3, 2**60):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({count},), }}\n".encode()
        write_entries(path, {"x.npy": b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(16)})
        assert f"has 16 bytes of data, expected {8 * count} " in refusal(load_npz, path)
    forged = bytearray(path.read_bytes())
    struct.pack_into("<I", forged, forged.index(b"PK\1\2") + 24, 2**31)
    path.write_bytes(forged)
    assert "out of proportion" in refusal(load_npz, path)


def test_memory_stays_in_proportion_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(safe_pickle, "_FREE_BYTES", 2**20)
    path, numbers = tmp_path / "x.bin", np.zeros(2**18, np.float32)
    for kind, data, few, many in (("Float", numbers, 6, 9), ("BFloat16", numbers.astype(np.uint16), 3, 5)):
        storage = Storage(kind, data)
        shared = [tensor(storage, (2**18,), (1,)) for _ in range(many)]
        assert len(load_torch(write_zip(path, shared[:few]))) == few
        assert "out of proportion" in refusal(load_torch, write_zip(path, shared))
    pairs = [[str(number), number] for number in range(100)]
    dicts = [Call(Name("collections", "OrderedDict"), pairs) for _ in range(3)]
    assert list(map(len, load_torch(write_zip(path, dicts)))) == [100, 0, 0]  # the list was emptied; no writer shares a list


@pytest.mark.parametrize("code_point", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF])
@pytest.mark.parametrize("order", "<>")
def test_text_is_unicode(code_point, order, tmp_path):
    points = np.array([ord("a"), code_point], f"{order}u4")
    np.savez(tmp_path / "x.npz", text=points.view(f"{order}U2"))
    assert refusal(load_npz, tmp_path / "x.npz") == "text.npy: found text that is not Unicode"
    points[1] = 0x10FFFF
    np.savez(tmp_path / "x.npz", text=points.view(f"{order}U2"))
    assert load_npz(tmp_path / "x.npz")["text"] == "a\U0010ffff"


def test_entries_of_archives(tmp_path):
    path = write_zip(tmp_path / "x.bin", [1])
    names = zipfile.ZipFile(path).namelist()
    for method, load in ((zipfile.ZIP_DEFLATED, load_torch), (zipfile.ZIP_BZIP2, load_npz), (zipfile.ZIP_LZMA, load_npz)):
        with zipfile.ZipFile(path, "w", method) as archive:
            archive.writestr(names[0], b"]")
        assert "compressed in a way" in refusal(load, path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
        archive.writestr("b.npy", b"")
    path.write_bytes(path.read_bytes().replace(b"b.npy", b"a.npy"))
    assert "two entries of one name" in refusal(load_npz, path)


def test_other_files(tmp_path, monkeypatch):
    path = tmp_path / "x.bin"
    for load, expected in ((load_torch, "expected a PyTorch checkpoint"), (load_npz, "expected a NumPy .npz archive")):
        assert refusal(load, tmp_path / "none").startswith("no such file, expected a")
        assert refusal(load, tmp_path) == f"not a file, {expected}"
        for data in (b"", b"PK\3\4", b"hello world\n", random.Random(0).randbytes(500)):
            path.write_bytes(data)
            assert expected in refusal(load, path)
    assert refusal(load_torch, write_npz(path, 0)).startswith("found a NumPy .npz archive, expected a PyTorch checkpoint: save")
    assert refusal(load_npz, write_zip(path, {})).startswith("found any name/data.pkl, expected only .npy")
    path.write_bytes(pickle.dumps({"a": 1}))
    assert refusal(load_torch, path).startswith("found neither a zip archive nor a legacy checkpoint")

    def denied(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(PermissionError):
        load_torch(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 678\n",
            "a pointer of Git LFS, {}: get the file with",
        ),
        (b"\n\n<!DOCTYPE html><html><head><title>Virus scan", "a web page, {}: the download failed; repeat it"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Error><Code>AccessDenied", "a web page, {}: the download failed"),
        (b'{"message": "Not Found"}', "text in JSON, {}: the download may have failed"),
        (b'{"a":1, {"x": 2}}', "text in JSON, {}: the download may have failed"),  # a brace where safetensors has one
        (gzip.compress(b"x", mtime=0), "a gzip archive, {}: unpack it"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7z archive, {}: unpack it"),
        (bytes(257) + b"ustar\x0000", "a tar archive, {}: unpack it"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "an HDF5 file, {}: this one is of another program"),
    ],
    ids=["git-lfs", "html", "xml", "json", "json with a brace in its place", "gzip", "7z", "tar", "hdf5"],
)
def test_what_people_have_in_place_of_a_file_is_named(data, message, tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    for load, expected in ((load_torch, "a PyTorch checkpoint"), (load_npz, "a NumPy .npz archive"), (load_pickle, "a pickle")):
        assert refusal(load, path).startswith("found " + message.format(f"expected {expected}"))


def test_zip_archives_of_other_programs_are_named(tmp_path):
    path = write_entries(tmp_path / "x.bin", {"data.pkl": b"N.", "constants.pkl": b"N.", "code/x.py": b""})
    assert refusal(load_torch, path).startswith("found a TorchScript program, expected a PyTorch checkpoint: save its weights")
    path = write_entries(path, {"": b"", "model.bin": b"PK"})
    message = "found a zip archive of 'any name/model.bin', expected a PyTorch checkpoint: if it holds one, unpack it"
    assert refusal(load_torch, path) == message


@pytest.mark.parametrize("size", [123, 60, 32 + (123 << 8)])
def test_headers_of_any_size_are_no_text(size, tmp_path):
    """The first bytes of a safetensors file are the size of its header, and may look like text."""
    table = json.dumps({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).replace(" ", "").ljust(size).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", size) + table + np.array([3], "<f4").tobytes())
    assert load_torch(path) == {"a": [3]}


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_tensors_with_attributes(write, tmp_path):
    """PyTorch saves the attributes that a program gave to a tensor or a parameter beside it."""
    plain, name = (
        tensor(Storage("Float", np.arange(3, dtype=np.float32)), (3,), (1,)),
        Name("torch._utils", "_rebuild_tensor_v2"),
    )
    parameter = Call(Name("torch._utils", "_rebuild_parameter_with_state"), plain, True, {}, {"no_decay": True})
    typed = Call(
        Name("torch._tensor", "_rebuild_from_type_v2"), name, Name("torch", "Tensor"), plain.reduced[1], {"no_decay": True}
    )
    found = load_torch(write(tmp_path / "x.bin", {"parameter": parameter, "typed": typed}))
    for value in found.values():
        np.testing.assert_array_equal(value, np.arange(3, dtype=np.float32), strict=True)
    for function, args in ((Name("torch", "Size"), ((3,),)), (Name("torch", "FloatStorage"), ()), (name, [1])):
        other = Call(Name("torch._tensor", "_rebuild_from_type_v2"), function, Name("torch", "Tensor"), args, {})
        assert refusal(load_torch, write(tmp_path / "x.bin", other)).startswith("found a tensor of another kind")


@pytest.mark.parametrize("protocol", [2, 4])
def test_versions_times_and_ranges_beside_tensors_are_read_over(protocol, tmp_path):
    saved = {"date": datetime.datetime.now(), "took": datetime.timedelta(1), "frames": range(3), "lr": 0.5}
    saved["version"] = Call(Name("torch.torch_version", "TorchVersion"), "2.13.0", state={})
    found = load_torch(write_zip(tmp_path / "x.bin", saved, protocol))
    assert list(found) == list(saved)
    assert found["lr"] == 0.5


@pytest.mark.parametrize("kind", WRITERS)
def test_damage_gives_one_line(kind, tmp_path):
    write, load = WRITERS[kind]
    tensors = {"S1": {"Walking": np.ones((2, 17, 3))}} if kind == "npz" else state_dict()[0]
    path, rng, read = tmp_path / "x.bin", random.Random(0), 0
    data = write(path, {"tensors": tensors, "random": np.random.RandomState(0)}).read_bytes()
    for length in [*range(1, 40), *rng.sample(range(40, len(data)), 100), len(data) - 1]:
        path.write_bytes(data[:length])
        assert refusal(load, path)
    for _ in range(400):
        flipped = bytearray(data)
        flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            load(path)
            read += 1  # a flip in a number of a legacy file, or in a date of an archive, is not noticed
        except DataError as error:
            line = str(error)
            assert line.startswith(f"{path}: ")
            assert line.isprintable()
    assert read < 350
