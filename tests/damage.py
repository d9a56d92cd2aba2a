"""Ways to damage the folder of a checkpoint, as a disk, an interrupted copy, a person or another program may do."""

import json
import os
import shutil
from pathlib import Path


def _largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def _flip(path: Path, place: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 4
    path.write_bytes(bytes(data))


def _into_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("not a folder\n")


def _empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _exchange(path: Path) -> None:
    other = next(folder for folder in path.parent.iterdir() if folder.name.isdecimal() and folder != path)
    shutil.rmtree(path)
    shutil.copytree(other, path)


def _replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


DAMAGE = {
    "shard truncated": lambda step: os.truncate(_largest(step / "training"), _largest(step / "training").stat().st_size // 2),
    "shard emptied": lambda step: os.truncate(_largest(step / "variables"), 0),
    "shard deleted": lambda step: _largest(step / "training").unlink(),
    "shard overwritten with garbage": lambda step: _largest(step / "variables").write_bytes(os.urandom(5000)),
    "one bit of an array flipped": lambda step: _flip(_largest(step / "training"), 0.5),
    "array metadata deleted": lambda step: (step / "variables" / "_METADATA").unlink(),
    "array metadata overwritten with garbage": lambda step: (step / "training" / "_METADATA").write_bytes(os.urandom(300)),
    "database manifest deleted": lambda step: (step / "training" / "manifest.ocdbt").unlink(),
    "`about` truncated": lambda step: os.truncate(step / "about" / "metadata", 100),
    "a digit of `about` changed": lambda step: _replaced(step / "about" / "metadata", '"batch": ', '"batch": 1'),
    "`about` deleted": lambda step: shutil.rmtree(step / "about"),
    "`training` deleted (half-deleted folder)": lambda step: shutil.rmtree(step / "training"),
    "folder emptied": _empty,
    "a file where the folder was": _into_file,
    "a file where `variables` was": lambda step: _into_file(step / "variables"),
    "another step's checkpoint under its name": _exchange,
}
HARMLESS = {"array metadata deleted", "array metadata overwritten with garbage"}  # these files are not read


def _replace_by(path: Path, make) -> None:
    path.unlink()
    make(path)


def _linked(path: Path) -> None:
    place = path.parents[1] / f"elsewhere {path.name}"
    shutil.move(path, place)
    path.symlink_to(place)


def describe(step: Path, item: str, name: str = "bytes", **changes) -> None:
    """Change the metadata that are stored beside an array."""
    import tensorstore as ts

    store = ts.KvStore.open(
        {"driver": "ocdbt", "base": {"driver": "file", "path": f"{step}/{item}/"}, "path": f"{name}/"}
    ).result()
    found = json.loads(store.read(".zarray").result().value)
    store.write(".zarray", json.dumps(found | changes).encode()).result()


def rewrite_about(step: Path, edit) -> None:
    """Edit `about` with a function that changes its values or returns the new text, and correct the checksum."""
    from srnet_jax.training import checkpoint_format

    file = step / "about" / "metadata"
    about = json.loads(file.read_text())
    del about["checksum"]
    text = edit(about)
    about["checksum"] = checkpoint_format._checksum_of_json(about)
    file.write_text(text if isinstance(text, str) else json.dumps(about))


HOSTILE = {  # damage that does not happen by accident, but can be made on purpose
    "a pipe where `about` was": lambda step: _replace_by(step / "about" / "metadata", os.mkfifo),
    "a pipe where a shard was": lambda step: _replace_by(_largest(step / "training"), os.mkfifo),
    "a device where a shard was": lambda step: _replace_by(_largest(step / "variables"), lambda p: p.symlink_to("/dev/zero")),
    "a link where a shard was": lambda step: _linked(_largest(step / "variables")),
    "a link where the folder was": _linked,
    "a shard of a terabyte": lambda step: os.truncate(_largest(step / "variables"), 2**40),
    "a manifest of a terabyte": lambda step: os.truncate(step / "variables" / "manifest.ocdbt", 2**40),
    "`about` of a terabyte": lambda step: os.truncate(step / "about" / "metadata", 2**40),
    "thousands of files": lambda step: [(step / f"{number}").touch() for number in range(3000)],
    "an array of a terabyte": lambda step: describe(step, "variables", shape=[2**30], chunks=[2**30]),
    "an array in pieces of a gigabyte": lambda step: describe(step, "training", chunks=[2**30]),
    "an array of another type": lambda step: describe(step, "training", dtype="<f8"),
}
