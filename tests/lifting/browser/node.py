"""Run JavaScript of the browser part in Node, with arrays and files as inputs and outputs."""

import base64
import functools
import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from srnet_jax.lifting import browser

STATIC = Path(browser.__file__).parent / "static"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="needs Node")
_DRIVER = """
import { readFileSync } from 'node:fs';
const TYPES = { Float32Array, Float64Array, Uint8Array, Int32Array };
const bytesOf = (text) => new Uint8Array(Buffer.from(text, 'base64'));
const decoded = (key, value) => {
  if (value && value.$file !== undefined) return bytesOf(value.$file);
  return value && value.$array !== undefined ? new TYPES[value.type](bytesOf(value.$array).buffer) : value;
};
const encoded = (key, value) => {
  if (ArrayBuffer.isView(value)) {
    const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64');
    return { $array: text, type: value.constructor.name };
  }
  return value;
};
const inputs = JSON.parse(readFileSync(0, 'utf8'), decoded);
const load = (name) => import(new URL(name, import.meta.url));
const result = await (async () => { SCRIPT })();
process.stdout.write(JSON.stringify(result === undefined ? null : result, encoded));
"""
_TYPES = {"float32": "Float32Array", "float64": "Float64Array", "uint8": "Uint8Array", "int32": "Int32Array"}


@functools.cache
def _modules() -> tempfile.TemporaryDirectory:
    """Copy the modules to a folder in which Node takes them as ES modules."""
    folder = tempfile.TemporaryDirectory()
    for file in STATIC.glob("*.js"):
        shutil.copy(file, folder.name)
    (Path(folder.name) / "package.json").write_text('{"type": "module"}')
    return folder


def run(script, timeout=60, **inputs):
    """Run the body of an asynchronous function, and return what it returns.

    Args:
      script: JavaScript. `inputs` are the inputs, and `await load('read.js')` is a module.
      timeout: seconds.
      inputs: values of JSON, in which NumPy arrays become flat typed arrays and bytes a Uint8Array.

    Returns:
      Values of JSON; typed arrays are flat NumPy arrays.
    """
    driver = Path(_modules().name) / "driver.mjs"
    driver.write_text(_DRIVER.replace("SCRIPT", script))
    done = subprocess.run(
        [NODE, driver], input=json.dumps(inputs, default=_encoded), capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout, object_hook=_decoded)


def _encoded(value):
    if isinstance(value, bytes):
        return {"$file": base64.b64encode(value).decode()}
    return {"$array": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode(), "type": _TYPES[value.dtype.name]}


def _decoded(value):
    if "$array" not in value:
        return value
    return np.frombuffer(base64.b64decode(value["$array"]), value["type"].removesuffix("Array").lower())
