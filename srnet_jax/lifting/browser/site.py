"""Write a static folder whose page lifts keypoint files, or a camera's images, in the browser.

The folder needs no server program and no other address: any server of static files shows it. It holds
- `index.html`, the scripts and the styles;
- `tables.json`, what the scripts take from this package;
- `network.onnx` and, if that network needs later frames, `live.onnx`, the causal network for live use;
- `onnxruntime/`, the files of the npm package onnxruntime-web, which runs the networks.
"""

import dataclasses
import importlib.resources
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.io.files import absolute, check_new
from srnet_jax.lifting import export
from srnet_jax.lifting.browser import lifting_tables, reading_tables
from srnet_jax.lifting.lifter import KeypointLifter, load
from srnet_jax.lifting.result import side_of_bone
from srnet_jax.lifting.scene import bones_3d
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.pose.layouts import LAYOUTS

RUNTIME = Path("node_modules/onnxruntime-web/dist")
# Some servers do not know the ending .mjs, and a browser runs no script of an unknown type.
_RUNTIME_FILES = {
    "ort.wasm.min.mjs": "ort.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm.wasm",
}


def runtime_files(folder: Path) -> dict[Path, str]:
    """Return the files of onnxruntime-web that the page needs, and their names in the site.

    Args:
      folder: `dist` of the npm package onnxruntime-web, or the package's folder.

    Raises:
      UserError: if a file is missing.
    """
    inner = folder if any((folder / name).is_file() for name in _RUNTIME_FILES) else folder / "dist"
    files = {inner / name: ours for name, ours in _RUNTIME_FILES.items()}
    for path in files:
        if not path.is_file():
            raise UserError(f"{folder}: no {path.name}, expected the npm package's folder (npm install onnxruntime-web)")
    return files


def write(folder: Path, lifter: KeypointLifter, runtime: Path = RUNTIME) -> int:
    """Write the page of a network, whole or not at all.

    Args:
      folder: to make.
      lifter: with the network for keypoint files. Live use has the same network if it needs no later frames, else `causal`.
      runtime: see `runtime_files`.

    Returns:
      The size of all files in bytes.

    Raises:
      UserError: if the folder exists, a file of onnxruntime-web is missing, or the network cannot be converted to ONNX.
    """
    check_new(folder, "folder")
    files = runtime_files(runtime)
    networks = {"network": lifter} if _is_live(lifter) else {"network": lifter, "live": load("causal")}
    with tempfile.TemporaryDirectory(dir=absolute(folder).parent, prefix=".unfinished-") as above:
        draft = Path(above) / "site"
        with importlib.resources.as_file(importlib.resources.files(__package__).joinpath("static")) as static:
            shutil.copytree(static, draft)
        (draft / "onnxruntime").mkdir()
        for path, name in files.items():
            shutil.copyfile(path, draft / "onnxruntime" / name)
        facts = {name: _write_network(draft / f"{name}.onnx", one) for name, one in networks.items()}
        tables = reading_tables.tables() | lifting_tables.tables() | drawing_tables() | {"networks": facts}
        (draft / "tables.json").write_text(json.dumps(tables, separators=(",", ":"), allow_nan=False), encoding="utf-8")
        size = sum(path.stat().st_size for path in draft.rglob("*") if path.is_file())
        draft.replace(absolute(folder))
    return size


def drawing_tables() -> dict[str, Any]:
    """Return the bones of the 3D poses and of each layout, as (joint, joint, side), fit for JSON."""
    bones, sides = bones_3d()
    return {
        "bones3d": [[*bone, side] for bone, side in zip(bones, sides, strict=True)],
        "bones2d": {name: [[*bone, side_of_bone(layout, bone)] for bone in layout.bones] for name, layout in LAYOUTS.items()},
    }


def _is_live(lifter: KeypointLifter) -> bool:
    """Return whether a network can lift the newest frame from a window of fixed length."""
    model = lifter.trained.model
    return lifter.streams and isinstance(model, PoseLifter) and not model.length_dependent


def _write_network(path: Path, lifter: KeypointLifter) -> dict[str, Any]:
    """Write a network in half precision, as `weights.save` does, and return what the scripts must know of it."""
    half = jax.tree.map(lambda array: np.asarray(array).astype(np.float16).astype(np.float32), lifter.trained.variables)
    trained = dataclasses.replace(lifter.trained, variables=half)
    export.write(path, trained)
    path.with_name(f"{path.name}.json").unlink()
    return lifting_tables.facts(trained, trained.model.receptive_field)
