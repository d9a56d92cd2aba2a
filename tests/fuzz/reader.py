"""The description of a reader under test, and the helpers and kinds of damage that several readers share."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz import mutate


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
      file: path of the damaged file in the folder.
      seeds: function that writes the other files into the folder, and returns contents of valid files.
      damage: a function of `mutate`.
      read: function that reads the folder; it raises an AssertionError if invalid content was accepted.
      extra: function that returns mocks for the whole test, such as a data set of fewer files.
    """

    file: str
    seeds: Callable[[Path], list[bytes]]
    damage: Callable
    read: Callable[[Path], object]
    extra: Callable[[], list] = list


def seeded():
    """Return the random generator for valid files."""
    return np.random.default_rng(0)


def contents(*files):
    """Return the contents of files."""
    return [file.read_bytes() for file in files]


NPZ = mutate.one_of(mutate.binary, *[mutate.zipped(mutate.npy)] * 3)
TEXT = mutate.one_of(mutate.binary, *[mutate.text] * 3)
JSON = mutate.one_of(mutate.binary, mutate.text, *[mutate.json_values] * 4)
