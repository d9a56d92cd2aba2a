"""Text files read line by line, and what a message may quote from a file."""

import itertools
import math
from collections.abc import Iterable, Iterator
from itertools import filterfalse
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.errors import DataError


def numbered_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Return an iterator over the lines of a text file that are not blank, each with its number from 1.

    Raises:
      DataError: if there is no such file, or only blank lines.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    lines = [line.decode(errors="replace") for line in data.splitlines()]  # before decoding: that knows other line breaks
    found = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise DataError(f"{path}: empty file")
    return iter(found)


def numbers(words: list[str], count: int, where: str) -> list[float]:
    """Return words as finite numbers.

    Raises:
      DataError: beginning with `where`, if there are not `count` of them or one is no finite number.
    """
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise DataError(f"{where}: found {shown(next(filterfalse(_is_finite, words)))}, expected a finite number")
    if len(values) != count:
        raise DataError(f"{where}: found {len(values)} numbers, expected {count}")
    return values


def _is_finite(word: str) -> bool:
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def shown(text: str) -> str:
    """Return text as it may stand in a message: quoted, on one line, not long."""
    text = text.strip()
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")


def described(value: Any) -> str:
    """Describe what a file holds, in a few words."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, np.ndarray):
        return f"an array {value.shape} of {value.dtype.name}"
    if isinstance(value, list | tuple | dict):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.integer) or (isinstance(value, int) and value.bit_length() < 64):
        return str(value)
    return f"a {type(value).__name__}"


def listed(names: Iterable[Any]) -> str:
    """List names that a file holds, the first dozen at most."""
    shown = [described(name) for name in itertools.islice(names, 13)]
    return ", ".join(shown[:12] + ["..."] * (len(shown) > 12)) or "nothing"
