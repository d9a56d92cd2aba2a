"""Read text files line by line, check numbers of files, and quote values of files safely in messages."""

import codecs
import itertools
import math
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import reading, size_of

codecs.lookup("utf-16")  # imports the codec now, not while an untrusted file is read


def in_utf_8(data: bytes) -> bytes:
    """Return text as UTF-8 without a byte order mark; text with the mark of UTF-16 (spreadsheets, PowerShell) is converted."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", errors="replace").encode(errors="replace")
    return data.removeprefix(codecs.BOM_UTF8)


def read_toml(path: Path, expected: str) -> dict[str, Any]:
    """Read a TOML file, with or without a byte order mark.

    Args:
      path: the file.
      expected: what the file should be, for the message.

    Raises:
      DataError: if the file is missing or damaged.
    """
    with reading(path, expected):
        return tomllib.loads(in_utf_8(path.read_bytes()).decode())


def numbered_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Return an iterator of (place, line) over the non-blank lines of a text file; a place is `<path>: line 1`.

    Raises:
      DataError: if the file is missing or has only blank lines.
    """
    size_of(path, "a text file")
    data = in_utf_8(Path(path).read_bytes())
    lines = [
        line.decode(errors="replace") for line in data.splitlines()
    ]  # split before decoding: str.splitlines knows more line breaks
    found = [(f"{path}: line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"{path}: empty file, expected a text file")
    return iter(found)


def numbers(words: list[str], count: int, where: str) -> list[float]:
    """Convert words to finite numbers.

    Raises:
      DataError: if the number of words is not `count` or one is not a finite number; the message begins with `where`.
    """
    values: list[float] = []
    for word in words:
        try:
            values.append(float(word))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise DataError(f"{where}: found {shown(word)}, expected a finite number")
    if len(values) != count:
        raise DataError(f"{where}: found {len(values)} numbers, expected {count}")
    return values


def shown(text: str) -> str:
    """Quote text for a message, on one line and at most 60 characters long (before escapes)."""
    text = text.strip()
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def described(value: Any) -> str:
    """Describe a value of a file for a message: its type and size, or a short text or number itself."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, np.ndarray):
        return f"{'objects' if value.dtype.hasobject else value.dtype.name} of shape {value.shape}"
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.integer) or (isinstance(value, int) and value.bit_length() < 64):
        return str(value)
    return f"a {type(value).__name__}"


def listed(names: Iterable[Any]) -> str:
    """List at most 12 names of a file for a message."""
    shown = [described(name) for name in itertools.islice(names, 13)]
    return ", ".join(shown[:12] + ["..."] * (len(shown) > 12)) or "nothing"


def numbers_of_shape(value: Any, shape: tuple[Any, ...], name: str) -> np.ndarray:
    """Check that a value of a file is an array of numbers of the given shape, and return it.

    Args:
      value: any value.
      shape: for each axis its size, a tuple of allowed sizes, or a description of any size but 0, such as "frames >= 1".
      name: the start of the message.

    Raises:
      DataError: if the value is anything else.
    """
    axes = [axis if isinstance(axis, tuple) else (axis,) for axis in shape]
    fits = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == len(axes)
    if not fits or not all(n in axis or (n and isinstance(axis[0], str)) for n, axis in zip(value.shape, axes, strict=True)):
        expected = ", ".join(" or ".join(map(str, axis)) for axis in axes)
        raise DataError(f"{name}: found {described(value)}, expected numbers of shape ({expected})")
    return value
