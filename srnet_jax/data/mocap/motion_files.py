"""Find the motion files in a folder, and read each with the reader for its suffix."""

import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

from srnet_jax.data.mocap import asf_amc, bvh, c3d, smpl, trc
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError
from srnet_jax.io.text import shown

_AMC_FPS = 120.0  # of the databases of CMU and HDM05, whose files do not declare it
SUFFIXES = (".bvh", ".amc", ".trc", ".c3d", ".npz")
_READERS = {".bvh": bvh.read, ".trc": trc.read, ".c3d": c3d.read, ".npz": smpl.read}
_TO_BVH, _TO_MARKERS = "export them as .bvh", "export them as .c3d or .trc"
_TO_NPZ = "save poses, trans and mocap_framerate as .npz"
_OTHERS = {  # suffixes that are not supported: what to do
    **dict.fromkeys((".fbx", ".bip", ".glb", ".gltf", ".usd", ".mvnx", ".mvn", ".htr", ".vsk"), _TO_BVH),
    **dict.fromkeys((".csv", ".tsv", ".mot", ".sto", ".v", ".tak", ".qtm"), _TO_MARKERS),
    **dict.fromkeys((".pkl", ".pt"), _TO_NPZ),  # of body models
}
_MAY_BE_OTHER = (".csv", ".tsv", ".vsk", ".pkl", ".pt")  # of _OTHERS: often no motions, but lists and models
_NO_MOTIONS = re.compile(r"shape|.*_stagei", re.IGNORECASE)  # .npz files of body shapes, which AMASS has beside its motions


def find(source: Path) -> list[Path]:
    """Return the motion files in a folder and the folders below it, sorted; for a file, that file.

    In a folder, joint-position files and files that macOS adds to archives (`._walk.bvh`) are skipped.

    Raises:
      DataError: if there are none.
    """
    if source.is_file():
        return [source]
    if not source.exists():
        raise DataError(f"{source}: no such file or folder, expected motion files")
    files = [file for file in sorted(source.rglob("*")) if file.is_file()]
    found = [file for file in files if _suffix(file) in SUFFIXES and not _is_no_motion(file)]
    if not found:
        others = sorted({_suffix(file) for file in files}.intersection(_OTHERS))
        hints = [f"found {suffix}: {_OTHERS[suffix]}" for suffix in others]
        raise DataError("; ".join([f"{source}: found no motion file, expected {_listed(SUFFIXES)}", *hints]))
    return found


def passed_over(source: Path, found: Iterable[Path]) -> list[tuple[str, str]]:
    """Return the files of motion formats that are not read, each with what to do, if no file of the same name is read."""
    names = {file.stem for file in found}
    suffixes = set(_OTHERS).difference(_MAY_BE_OTHER)
    others = [file for file in sorted(source.rglob("*")) if _suffix(file) in suffixes and not file.name.startswith("._")]
    return [(str(file), f"not read; {_OTHERS[_suffix(file)]}") for file in others if file.stem not in names and file.is_file()]


def read(file: Path, beside: Iterable[Path]) -> Motion:
    """Read a motion file.

    Args:
      file: a file with one of SUFFIXES.
      beside: files among which the `.asf` file of an `.amc` file is searched for.

    Raises:
      DataError: if the file is damaged, of another kind, or without its `.asf`.
    """
    suffix = _suffix(file)
    if suffix == ".amc":
        return asf_amc.read(_skeleton_of(file, [path for path in beside if _suffix(path) == ".asf"]), file, _AMC_FPS)
    if suffix not in _READERS:
        hint = f"; {_OTHERS[suffix]}" if suffix in _OTHERS else ""
        raise DataError(f"{file}: found a file that ends in {shown(suffix)}, expected {_listed(SUFFIXES)}{hint}")
    return _READERS[suffix](file)


def _suffix(file: Path) -> str:
    return file.suffix.lower()


def _is_no_motion(file: Path) -> bool:
    if file.name.startswith("._"):
        return True
    return _suffix(file) == ".npz" and (bool(_NO_MOTIONS.fullmatch(file.stem)) or _holds_joint_positions(file))


def _holds_joint_positions(file: Path) -> bool:
    """Return whether an `.npz` file has a key of a joint-position file, subject/action/clip."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(name.count("/") == 2 for name in archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False  # reading the file later reports what is wrong


def _listed(suffixes: tuple[str, ...]) -> str:
    return f"{', '.join(suffixes[:-1])} or {suffixes[-1]}"


def _skeleton_of(amc: Path, skeletons: list[Path]) -> Path:
    """Return the `.asf` file that belongs to an `.amc` file.

    A file matches if the motion's name begins with its name. Of the matching files, the one with the longest name in the
    nearest folder upwards is returned; without one there, the only matching file. If none matches, the only `.asf` file in the
    nearest folder upwards that has any is returned.
    """
    matching = [asf for asf in skeletons if re.match(re.escape(asf.stem) + r"(?![^\W_])", amc.stem)]
    for folder in amc.parents:
        nearest = [asf for asf in matching if asf.parent == folder]
        if nearest:
            return max(nearest, key=lambda asf: len(asf.stem))
    if not matching:
        folders = ([asf for asf in skeletons if asf.parent == folder] for folder in amc.parents)
        matching = next(filter(None, folders), [])
    if len(matching) != 1:
        found = ", ".join(map(str, matching[:3])) or "none"
        raise DataError(f"{amc}: found {found} as its skeleton, expected one .asf file whose name is the beginning of this one")
    return matching[0]
