"""Check the names of files to write, before anything is read or lifted."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from srnet_jax.errors import UserError
from srnet_jax.io.files import plain
from srnet_jax.lifting.scene import SUFFIXES as PICTURES

JOINTS = (".npz", ".trc", ".csv", ".c3d", ".bvh")  # endings of files of joints
ANGLES = (".csv", ".mot")  # of joint angles


class Output(NamedTuple):
    """A file to write.

    Attributes:
      path: of the file.
      angles: whether it holds joint angles; a `.csv` file can hold joints or angles.
      where: begins messages.
    """

    path: Path
    angles: bool = False
    where: str = ""

    @property
    def is_motion(self) -> bool:
        """Whether the file can only be written for a person with a pose."""
        return self.angles or self.path.suffix in JOINTS[1:]


def check_file(path: str | Path, suffixes: tuple[str, ...], where: str = "") -> Path:
    """Return a path that may be written, without `..`.

    Args:
      path: of the file.
      suffixes: endings that are allowed.
      where: begins messages, by default the path.

    Raises:
      UserError: for another ending, a folder that does not exist, or if a package or a program is missing.
    """
    file, where = plain(path), where or str(path)
    if file.suffix not in suffixes or not file.parent.is_dir():
        raise UserError(f"{where}: expected a name ending in {' or '.join(suffixes)} in a folder that exists")
    if file.suffix == ".c3d" and not importlib.util.find_spec("ezc3d"):
        raise UserError(f"{where}: needs ezc3d, which is not installed, expected `pip install -e .[c3d]`")
    if file.suffix == ".mp4":
        from srnet_jax.lifting.rendering import find_ffmpeg  # matplotlib takes a third of a second

        find_ffmpeg(Path(path))
    return file


def check_outputs(
    output: str | Sequence[str],
    pictures: Sequence[str] = (),
    animation: str | None = None,
    angles: str | None = None,
    inputs: Sequence[str | Path] = (),
) -> list[Output]:
    """Return the files that flags name.

    Args:
      output: --output, files of joints, see `Result.save`.
      pictures: --render, see `rendering.render`.
      animation: --bvh, a `.bvh` file, if any.
      angles: --angles, the file of joint angles, if any, see `Result.save_angles`.
      inputs: files that are read, and must not be written.

    Raises:
      UserError: names the flag, if a file has another ending or no folder, is an input or named twice, or a program or package
        is missing.
    """
    joints = [output] if isinstance(output, str) else output
    wanted = [
        *(("--output", name, JOINTS) for name in joints),
        *(("--render", name, PICTURES) for name in pictures),
        *([("--bvh", animation, (".bvh",))] if animation else []),
        *([("--angles", angles, ANGLES)] if angles else []),
    ]
    found: list[Output] = []
    for flag, name, suffixes in wanted:
        path = check_file(name, suffixes, f"{flag}={name}")
        if any(path.resolve() == other.path.resolve() for other in found):
            raise UserError(f"{flag}={name}: is named twice, expected another file")
        found.append(Output(path, flag == "--angles", flag))
    check_not_read(found, inputs)
    return found


def check_not_read(files: Sequence[Output], inputs: Sequence[str | Path]) -> None:
    """Reject, with a UserError, a file that is read."""
    for file in files:
        if any(file.path.resolve() == plain(read).resolve() for read in inputs):
            raise UserError(f"{file.where}={file.path}: is read too, expected another file".removeprefix("="))


def of_people(files: Sequence[Output], names: Sequence[str], inputs: Sequence[str | Path]) -> list[list[Output]]:
    """Return the files of each person: of several people, each file's name gets the person's name.

    Args:
      files: to write.
      names: of the people.
      inputs: files that are read, and must not be written.

    Raises:
      UserError: if a person's file is an input.
    """
    several = len(names) > 1
    people = [
        [file._replace(path=file.path.with_stem(f"{file.path.stem}_{name}")) if several else file for file in files]
        for name in names
    ]
    for own in people:
        check_not_read(own, inputs)
    return people
