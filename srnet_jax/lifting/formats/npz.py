"""Write arrays as a compressed `.npz` file, for NumPy."""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from srnet_jax.io.files import write_whole


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays, by name, to a file, whole or not at all; `numpy.load` reads it without pickle."""
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_whole(path, content.getvalue())
