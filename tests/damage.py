"""Ways in which a checkpoint's folder can be damaged: by a disk, a copy that was cut off, a person, or another program."""

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
HARMLESS = {"array metadata deleted"}  # orbax does without, and the checksums vouch for the rest
