"""Text files read line by line, and quotations from files that are safe in a message."""

import codecs
import itertools
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError
from srnet_jax.io.files import size_of

codecs.lookup("utf-16")  # imported now


def in_utf_8(data: bytes) -> bytes:
    """Return text in UTF-8 without a byte order mark; with one it may be in UTF-16, as spreadsheets and PowerShell write."""
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return data.decode("utf-16", errors="replace").encode(errors="replace")
    return data.removeprefix(codecs.BOM_UTF8)


def numbered_lines(path: str | Path) -> Iterator[tuple[str, str]]:
    """Return an iterator over the lines of a text file that are not blank, each after its place: `<path>: line 1`.

    Raises:
      DataError: if there is no such file, or only blank lines.
    """
    size_of(path, "a text file")
    data = in_utf_8(Path(path).read_bytes())
    lines = [line.decode(errors="replace") for line in data.splitlines()]  # before decoding: that knows other line breaks
    found = [(f"{path}: line {number}", line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"{path}: empty file, expected a text file")
    return iter(found)


def numbers(words: list[str], count: int, where: str) -> list[float]:
    """Return words as finite numbers.

    Raises:
      DataError: beginning with `where`, if there are not `count` of them or one is no finite number.
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
    """Quote text for a message, on one line and not long."""
    text = text.strip()
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def described(value: Any) -> str:
    """Describe a value of a file for a message, in a few words."""
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
    """List at most a dozen names of a file for a message."""
    shown = [described(name) for name in itertools.islice(names, 13)]
    return ", ".join(shown[:12] + ["..."] * (len(shown) > 12)) or "nothing"


def numbers_of_shape(value: Any, shape: tuple[Any, ...], name: str) -> np.ndarray:
    """Return a value of a file that is an array of numbers of a shape.

    Args:
      value: anything.
      shape: for each axis its size, a tuple of allowed sizes, or a description of any size but 0, such as "frames >= 1".
      name: where the message begins.

    Raises:
      DataError: if it is another value.
    """
    axes = [axis if isinstance(axis, tuple) else (axis,) for axis in shape]
    fits = isinstance(value, np.ndarray) and value.dtype.kind in "fiu" and value.ndim == len(axes)
    if not fits or not all(n in axis or (n and isinstance(axis[0], str)) for n, axis in zip(value.shape, axes, strict=True)):
        expected = ", ".join(" or ".join(map(str, axis)) for axis in axes)
        raise DataError(f"{name}: found {described(value)}, expected numbers of shape ({expected})")
    return value
