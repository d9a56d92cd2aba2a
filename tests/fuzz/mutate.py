"""Functions that damage a file, at random or so that the damage gets past the outer layers of a format.

Each takes a random generator and the bytes of a file, and returns other bytes. Equal generators give equal damage.
"""

import ast
import functools
import gzip
import io
import json
import pickletools
import re
import struct
import tarfile
import zipfile
import zlib

INTEGERS = [0, 1, 2, 3, 4, 7, 127, 128, 255, 256, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**48, 2**63 - 1, 2**64 - 1]
WORDS = 'nan inf -inf 1e308 -1e308 1e-320 1e400 0 -0 -1 1.5 99999999999999999999 0x10 1_0 true null {} [] "" \' [[ ]] { } , : #'
WORDS = [
    *WORDS.split(),
    "",
    "\t",
    "é",
    "\0",
    "\x1b[2J",
    "\u2028",
    "\ud800",
    "١",
    "9" * 400,
    "9" * 5000,
    "x" * 3000,
    "\r",
    "\x0b",
]
NAMES = [
    "../x",
    "/tmp/x",
    "a/../../x",
    "",
    ".",
    "a\nb",
    "a\0b",
    "\x1b[2J",
    "é",
    "x" * 300,
    "C:\\x",
    "a//b",
    "a/b/c",
    "data.pkl",
]


def binary(rng, data):
    """Edit a few bytes at random places, more often near the beginning, where headers are."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        size = max(len(data), 1)
        at = rng.randrange(size) if rng.random() < 0.6 else rng.randrange(min(size, 600))
        width = rng.choice((1, 2, 4, 8))
        other = rng.randrange(size)
        match rng.randrange(9):
            case 0 | 1:
                data[at : at + 1] = bytes([(data[at] if data else 0) ^ 1 << rng.randrange(8)])
            case 2:
                data[at : at + 1] = bytes([rng.choice((0, 1, 2, 127, 128, 255, rng.randrange(256)))])
            case 3 | 4:
                number = rng.choice((*INTEGERS, size, size - at, other)) % 256**width
                data[at : at + width] = number.to_bytes(width, rng.choice(("little", "big")))
            case 5:
                data[at : at + width] = data[other : other + width]
            case 6:
                length = rng.randrange(1, 64)
                data[at:at] = data[other : other + length] * rng.choice((1, 1, 2, 50))
            case 7:
                del data[at : at + rng.randrange(1, 64)]
            case 8 if rng.random() < 0.3:
                del data[at:]
    return bytes(data)


def text(rng, data):
    """Edit words and lines of a text."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        words = re.split(r'([\s,:="\[\]{}]+)', lines[at])
        word = rng.randrange(0, len(words), 2)
        match rng.randrange(10):
            case 0 | 1 | 2:
                words[word] = rng.choice(WORDS)
                lines[at] = "".join(words)
            case 3:
                lines[at] = "".join(words[:word] + words[word + 2 :])
            case 4:
                lines[at] = "".join([*words[: word + 1], " ", *words[word:]])
            case 5:
                lines.insert(at, lines[other])
            case 6 if len(lines) > 1:
                del lines[at]
            case 7:
                lines[at], lines[other] = lines[other], lines[at]
            case 8:
                lines[at] = (
                    "".join(words[:word]) + rng.choice("[{(\"'") * rng.choice((1, 2, 500, 20_000)) + "".join(words[word:])
                )
            case 9:
                lines[at] = "".join(words[:word]) + rng.choice("]})\"'\\#\r") + "".join(words[word:])
    return "\n".join(lines).encode("utf-8", "surrogatepass" if rng.random() < 0.5 else "replace")


def zipped(mutate):
    """Damage an entry or the names of a zip archive, and correct its checksums."""

    def apply(rng, data):
        entries, method = _unzipped(data)
        entries = list(entries)
        at = rng.randrange(len(entries))
        name, content = entries[at]
        match rng.randrange(12):
            case 0:
                entries[at] = (rng.choice((*NAMES, *(f"{name}.npy" for name in NAMES))), content)
            case 1:
                entries.insert(rng.randrange(len(entries)), (rng.choice((name, *NAMES)), rng.choice(entries)[1]))
            case 2:
                del entries[at]
            case 3:
                entries[at] = (name, bytes(rng.choice((10, 1000, 100_000))))
            case _:
                entries[at] = (name, mutate(rng, content))
        made = _zip(entries, method if rng.random() < 0.9 else rng.choice((0, 8)))
        return _false_record(rng, made) if entries and rng.random() < 0.1 else made

    return apply


@functools.lru_cache(100)
def _unzipped(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
        return entries, archive.infolist()[0].compress_type


def _zip(entries, method):
    """Write a zip archive, ten times as fast as zipfile."""
    local, central = bytearray(), bytearray()
    for name, content in entries:
        name = name.encode("utf-8", "replace")[:60_000]
        packed = content
        if method:
            packer = zlib.compressobj(1, wbits=-15)
            packed = packer.compress(content) + packer.flush()
        fields = struct.pack("<HHHHIIIHH", 0x800, method, 0, 33, zlib.crc32(content), len(packed), len(content), len(name), 0)
        central += b"PK\1\2" + struct.pack("<HH", 20, 20) + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(local)) + name
        local += b"PK\3\4" + struct.pack("<H", 20) + fields + name + packed
    end = struct.pack("<HHHHIIH", 0, 0, len(entries), len(entries), len(central), len(local), 0)
    return bytes(local + central + b"PK\5\6" + end)


def _false_record(rng, data):
    """Change a number in the last record of the central directory: a size, the method, the checksum or the offset."""
    at = data.rindex(b"PK\1\2") + rng.choice((8, 10, 16, 20, 24, 28, 30, 42))
    return data[:at] + (rng.choice(INTEGERS) % 2**32).to_bytes(4, "little") + data[at + 4 :]


def npy(rng, data):
    """Damage the header, the pickle or the data of an .npy file."""
    start = data.index(b"\n") + 1 if data.startswith(b"\x93NUMPY") and b"\n" in data else 0
    header, body = data[10:start], data[start:]
    if b"|O" in header and rng.random() < 0.8:
        return data[:start] + pickled(rng, body)
    if not start or rng.random() < 0.2:
        return binary(rng, data)
    fields = ast.literal_eval(header.decode("latin1"))
    shape = list(fields["shape"])
    match rng.randrange(7):
        case 0 if shape:
            shape[rng.randrange(len(shape))] = rng.choice((*INTEGERS, -1, -(2**63), True, 1.5, "3", None))
        case 1:
            shape = rng.choice(([], [0], [1] * 70, [2**32, 2**32, 0], [*shape, 1], shape[1:], [[3]], [-1]))
        case 2:
            kinds = ["<f4", ">f8", "|O", "V8", "<U4", "|S1", "<M8[s]", "<c16", "<f2", "|b1", "<U999999999", "V0", "S0", "i99"]
            fields["descr"] = rng.choice(
                (*kinds, [("a", "<f4")], [("a", "|O")], ("<f4", (3,)), 5, [("a", "<f4")] * 2, "x", "<g")
            )
        case 3:
            fields["fortran_order"] = rng.choice((True, False, 1, "x"))
        case 4:
            fields.pop(rng.choice(list(fields)))
        case 5:
            body = binary(rng, body)
        case 6:
            body = rng.choice((body[: rng.randrange(len(body) + 1)], body + bytes(8), b""))
    made = repr(fields | ({"shape": tuple(shape)} if "shape" in fields else {})).encode("latin1", "replace")
    if rng.random() < 0.1:
        made = rng.choice(
            (b"(" * 5000 + made, text(rng, made), made + b" " * 12_000, b"9" * 5000, b"-" * 9000 + b"1", b"{" + made)
        )
    made = made[:65_000] + b"\n"
    version = rng.choice((b"\1\0", b"\1\0", b"\1\0", b"\2\0", b"\3\0", b"\0\0", b"\xff\xff"))
    length = struct.pack("<H" if version == b"\1\0" else "<I", len(made))
    return b"\x93NUMPY" + version + length + made + body


_GLOBALS = [b"os system", b"builtins eval", b"builtins exec", b"subprocess Popen", b"collections OrderedDict", b"numpy dtype"]
_GLOBALS += [b"numpy ndarray", b"numpy.core.multiarray _reconstruct", b"numpy.core.multiarray scalar", b"torch FloatStorage"]
_GLOBALS += [b"torch._utils _rebuild_tensor_v2", b"torch._utils _rebuild_parameter", b"torch Size", b"_codecs encode"]
_GLOBALS += [b"__builtin__ bytes", b"numpy._core.numeric _frombuffer", b"numpy.random._pickle __randomstate_ctor"]
_SNIPPETS = [bytes([code]) for code in b"()]}N0120.tld\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92RbQasue"]
_SNIPPETS += [
    b"K\1",
    b"M\xff\xff",
    b"J\xff\xff\xff\xff",
    b"I99999999999\n",
    b"Fnan\n",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"U\1x",
]
_SNIPPETS += [
    b"X\xff\xff\xff\x7f",
    b"\x8b\xff\xff\xff\x7f",
    b"\x95" + b"\xff" * 8,
    b"\x82\1",
    b"Nr\xff\xff\xff\x7f",
    b"h\0",
    b"q\1",
]
_SNIPPETS += [b"c" + name.replace(b" ", b"\n") + b"\n" for name in _GLOBALS] + [b"(Vid\nios\nsystem\n", b"h\0h\0\x86q\0" * 20]


def pickled(rng, data):
    """Damage a pickle by changing its operations."""
    parts, rest = _operations(data)
    if len(parts) == 1:
        return binary(rng, data)
    parts = list(parts)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(10):
            case 0 | 1:
                parts[at] = rng.choice(_SNIPPETS)
            case 2:
                parts.insert(at, rng.choice(_SNIPPETS))
            case 3:
                parts[at], parts[other] = parts[other], parts[at]
            case 4:
                parts.insert(at, parts[other] * (300 if rng.random() < 0.02 else rng.randrange(1, 3)))
            case 5 if len(parts) > 1:
                del parts[at]
            case 6:
                block = parts[min(at, other) : max(at, other) + 1]
                parts[other:other] = block[:100]
            case 7:
                numbers = [i for i, part in enumerate(parts) if part[:1] in b"KMJ\x8a"]
                if numbers:
                    parts[rng.choice(numbers)] = b"J" + struct.pack("<i", rng.choice((-1, 0, 1, 3, 17, 2**31 - 1, -(2**31))))
            case 8:
                names = [i for i, part in enumerate(parts) if part[:1] == b"c"]
                if names:
                    parts[rng.choice(names)] = b"c" + rng.choice(_GLOBALS).replace(b" ", b"\n") + b"\n"
            case 9:
                parts[at] = binary(rng, parts[at])
    return b"".join(parts) + rest


@functools.lru_cache(300)
def _operations(data):
    """Return the operations of a pickle and the bytes after it; if it is not a pickle, all bytes are one operation."""
    try:
        starts = [position for _, _, position in pickletools.genops(data)]
    except Exception:  # genops raises many kinds of errors
        return [data], b""
    ends = [*starts[1:], starts[-1] + 1]
    return [data[start:end] for start, end in zip(starts, ends, strict=True)], data[ends[-1] :]


def legacy(rng, data):
    """Damage one of the pickles of a legacy PyTorch file, or the data after them."""
    parts = []
    for _ in range(5):
        operations, data = _operations(data)
        parts.append(b"".join(operations))
    parts.append(data)
    at = rng.choice((0, 1, 2, 3, 3, 3, 3, 4, 4, 5))
    parts[at] = (binary if at == 5 else pickled)(rng, parts[at])
    return b"".join(parts)


def matlab_5(rng, data):
    """Damage the content of an element of a MATLAB file, inside its compression."""
    start, order = 128, "<" if data[126:128] == b"IM" else ">"
    elements = []
    while start + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, start)
        stop = start + 8 + size + (0 if kind == 15 else -size % 8)
        elements.append((kind, data[start:stop]))
        start = stop
    at = rng.randrange(len(elements))
    kind, element = elements[at]
    content = zlib.decompress(element[8:]) if kind == 15 else element
    if rng.random() < 0.6:  # change a number of a tag; tags are aligned
        place = 4 * rng.randrange(min(len(content), 160) // 4)
        number = rng.choice((*INTEGERS, rng.randrange(20), rng.randrange(20) | 4 << 16, len(content)))
        content = content[:place] + struct.pack(f"{order}I", number % 2**32) + content[place + 4 :]
    else:
        content = binary(rng, content)
    if rng.random() < 0.001:
        content = content[:8] + bytes(5_000_000)
    packed = zlib.compress(content, 1)
    parts = [part for _, part in elements]
    parts[at] = struct.pack(f"{order}II", 15, len(packed)) + packed if kind == 15 else content
    if rng.random() < 0.1:
        parts.insert(at, rng.choice(parts))
    return data[:128] + b"".join(parts)


def gzipped_tar(mutate):
    """Damage a header or a member of a .tgz archive, and correct its checksums."""

    def apply(rng, data):
        content, members = _untarred(data)
        content, member = bytearray(content), rng.choice(members)
        start = member.offset
        match rng.randrange(8):
            case 0:
                _put(content, start, rng.choice(NAMES).encode()[:100].ljust(100, b"\0"))
            case 1:
                content[start + 156] = rng.choice(b"012345678gxKLSDMNVX\0")
            case 2:
                number = rng.choice(
                    (b"7" * 11, b"\x80" + b"\xff" * 11, b"\xff" * 12, b"00000000017", b"-1         ", b"\x80" + bytes(11))
                )
                _put(content, start + rng.choice((124, 124, 100, 108, 136, 386, 483)), number)
            case 3:
                content = bytearray(binary(rng, content[:600])) + content[600:]
            case 4:
                start, _ = 0, content.__setitem__(slice(0, 0), _extra_header(rng))
            case _ if member.size:
                body = slice(member.offset_data, member.offset_data + member.size)
                changed = mutate(rng, bytes(content[body]))[: member.size]
                content[body] = changed.ljust(member.size, b"\0")
            case _:
                pass
        if len(content) >= start + 512 and rng.random() < 0.95:
            _put(content, start + 148, b" " * 8)
            _put(content, start + 148, b"%06o\0 " % sum(content[start : start + 512]))
        return gzip.compress(bytes(content), 0 if rng.random() < 0.9 else 1, mtime=0)

    return apply


@functools.lru_cache(100)
def _untarred(data):
    content = gzip.decompress(data)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return content, archive.getmembers()


def _put(content, at, value):
    content[at : at + len(value)] = value


def _extra_header(rng):
    """Return a tar header of a long name, of attributes (pax) or of a sparse file, with its data."""
    kind = rng.choice("xgLKSx")
    records = [
        "path=../../x",
        "size=99999999999",
        "path=a\nb",
        "GNU.sparse.major=1",
        "GNU.sparse.realsize=999999999999",
        "mtime=x",
    ]
    record = rng.choice((*records, "GNU.sparse.map=0,1,2", "GNU.sparse.size=99999999", "=", "charset=é"))
    body = (
        f"{rng.choice((len(record) + 4, 0, -1, 99999999999))} {record}\n".encode()
        if kind in "xg"
        else b"y" * rng.choice((3, 600))
    )
    header = bytearray(512)
    for at, value in (
        (0, b"S1/extra"),
        (100, b"0000644\0"),
        (124, b"%011o\0" % len(body)),
        (156, kind.encode()),
        (257, b"ustar  \0"),
    ):
        _put(header, at, value)
    if kind == "S":
        for at in (386, 410, 434):
            _put(header, at, b"%011o\0%011o\0" % (rng.choice((0, 512, 8**10)), rng.choice((0, 3, 512, 8**10))))
        _put(header, 483, b"77777777777\0")
    return bytes(header) + body.ljust(-(-len(body) // 512) * 512, b"\0")


def one_of(*mutators):
    """Choose one of the ways for each file."""
    return lambda rng, data: rng.choice(mutators)(rng, data)


_VALUES = [*INTEGERS, -1, 1.5, -0.5, 0.0, 1e300, float("nan"), float("inf"), 10**400, True, False, None, "", "x", "7", [], {}]
_VALUES += [
    "float32",
    "int32",
    ">f4",
    "S100000000",
    "O",
    "a\nb",
    "\x1b[2J",
    "\ud800",
    "x" * 3000,
    [0, 0],
    [[]],
    [2**40],
    {"": 0},
]


def json_values(rng, data):
    """Change values anywhere in a JSON object, and correct its own checksum if it has one."""
    values = json.loads(data)
    checked = values.pop("checksum", None) is not None
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        node = values
        while node:
            key = rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
            if not isinstance(node[key], dict | list) or rng.random() < 0.2:
                break
            node = node[key]
        if not node:
            continue
        match rng.randrange(8):
            case 0:
                del node[key]
            case 1 if isinstance(node, list):
                node.insert(key, rng.choice(node))
            case 1:
                node[rng.choice(("", "x", *node))] = node[key]
            case 2:
                node[key] = [node[key]]
            case 3 if isinstance(node[key], int | float) and abs(node[key]) < 1e300:
                node[key] += rng.choice((-1, 1, 0.5))
            case _:
                node[key] = json.loads(json.dumps(rng.choice(_VALUES)))
    if checked:
        values["checksum"] = zlib.crc32(json.dumps(values, sort_keys=True).encode())
    return json.dumps(values).encode()


def bundle(files):
    """Pack files, given by name, into one JSON text."""
    return json.dumps({name: content.decode("latin1") for name, content in files.items()}).encode()


def unbundled(data):
    """Return the files that `bundle` packed, by name."""
    return {name: content.encode("latin1") for name, content in json.loads(data).items()}


def bundled(mutate):
    """Damage one of the files in a `bundle`."""

    def apply(rng, data):
        files = unbundled(data)
        name = rng.choice(list(files))
        return bundle(files | {name: mutate(rng, files[name])})

    return apply


def ocdbt(rng, data):
    """Damage a block of an OCDBT file, and correct its length and checksum, or damage the JSON beside the blocks."""
    starts = [found.start() for found in re.finditer(rb"\x0c\xdb[ :][\xde*]", data)]
    ends = [start + int.from_bytes(data[start + 4 : start + 12], "little") for start in starts]
    found = re.search(rb"\{.*?\}(?=\x0c|$)", data, re.DOTALL)
    if found and rng.random() < 0.7:
        changed = json_values(rng, found[0])
        return data[: found.start()] + changed[: len(found[0])].ljust(len(found[0])) + data[found.end() :]
    if not starts:
        return binary(rng, data)
    at = rng.randrange(len(starts))
    body = binary(rng, data[starts[at] + 12 : ends[at] - 4])
    block = data[starts[at] : starts[at] + 4] + (len(body) + 16).to_bytes(8, "little") + body
    return data[: starts[at]] + block + _crc32c(block).to_bytes(4, "little") + data[ends[at] :]


@functools.cache
def _crc32c_table():
    table = list(range(256))
    for _ in range(8):
        table = [(number >> 1) ^ (0x82F63B78 if number & 1 else 0) for number in table]
    return table


def _crc32c(data):
    table, remainder = _crc32c_table(), 0xFFFFFFFF
    for byte in data:
        remainder = table[(remainder ^ byte) & 255] ^ (remainder >> 8)
    return remainder ^ 0xFFFFFFFF
