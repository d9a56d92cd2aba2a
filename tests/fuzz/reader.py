"""What a reader under test is, and what the fuzzed readers share."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.fuzz import mutate


@dataclasses.dataclass(frozen=True)
class Reader:
    """A reader under test.

    Attributes:
      file: where in a folder the damaged file lies.
      seeds: writes what lies beside it into the folder, and returns valid files.
      damage: see `mutate`.
      read: reads what is in the folder; raises an AssertionError if it took what it should not have taken.
      extra: mocks that stay in place while it runs, such as fewer files to a data set.
    """

    file: str
    seeds: Callable[[Path], list[bytes]]
    damage: Callable
    read: Callable[[Path], object]
    extra: Callable[[], list] = list


def seeded():
    """Return the generator that makes valid files."""
    return np.random.default_rng(0)


def contents(*files):
    """Return what files hold."""
    return [file.read_bytes() for file in files]


NPZ = mutate.one_of(mutate.binary, *[mutate.zipped(mutate.npy)] * 3)
TEXT = mutate.one_of(mutate.binary, *[mutate.text] * 3)
JSON = mutate.one_of(mutate.binary, mutate.text, *[mutate.json_values] * 4)
