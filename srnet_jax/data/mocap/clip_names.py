"""Find the subject, action and clip of a motion file from its name and folders.

The names follow from the database's way of naming files or from folders of subjects (`clip_keys`), or from a pattern (`parse`).
In a pattern, `{subject}`, `{action}` and `{clip}` match the parts of a name, `*` matches anything, and all other characters
match themselves. Each part takes as few characters as possible, the last one the rest. A pattern is compared with a file's name
without its ending; a pattern with slashes also with as many folders as it has slashes:

    {subject}_{action}_{clip}     anna_walk_03.bvh is anna/walk/03, anna_walk_fast_3.bvh is anna/walk/fast_3
    {subject}/*/{action}_{clip}   anna/bvh/walk_03.bvh is anna/walk/03

Without `{action}` the action is `motion`; without `{clip}` the clip is the file's name without its ending.
"""

import collections
import re
from collections.abc import Sequence
from pathlib import Path

from srnet_jax.errors import DataError
from srnet_jax.io.text import shown

_DATABASES = (
    re.compile(r"HDM_(?P<subject>[^_]+)_(?P<action>.+)_(?P<clip>[^_]+)_\d+"),  # HDM05
    re.compile(r"(?P<subject>dataset-\d+)_(?P<action>[^_]+)_(?P<clip>.+)"),  # Bandai-Namco
    re.compile(r"(?P<action>\D+?)_?(?P<clip>\d+)_(?P<subject>subject\d+)"),  # LAFAN1
)
_CMU = re.compile(r"(\d{2,3})_\d{2}(?![_-]?\d)\S*")  # a date or a time is longer
_FIELDS = ("subject", "action", "clip")
_FORMATS = frozenset(("bvh", "amc", "asf", "asf_amc", "asfamc", "c3d", "trc", "npz"))  # folders of these names are no people


def pattern(names: object) -> re.Pattern[str]:
    """Compile a pattern of file names to a regular expression.

    Raises:
      DataError: if the pattern is no text, lacks `{subject}`, or has an unknown or repeated field.
    """
    expected = "expected text with {subject}, and {action}, {clip} and * if needed, each field once"
    if not isinstance(names, str):
        raise DataError(f"found {shown(str(names))}, {expected}")
    pieces = re.split(r"(\{[^{}]*\}|\*)", names)
    fields = [piece[1:-1] for piece in pieces[1::2] if piece != "*"]
    if names and ("subject" not in fields or len(set(fields)) != len(fields) or not set(_FIELDS).issuperset(fields)):
        raise DataError(f"found {shown(names)}, {expected}")
    wild = {"*": "[^/]*?"} | {f"{{{field}}}": f"(?P<{field}>[^/]+?)" for field in _FIELDS}
    return re.compile("".join(wild[piece] if odd % 2 else re.escape(piece) for odd, piece in enumerate(pieces)))


def parse(file: Path, names: str) -> str:
    """Return the key `subject/action/clip` of a file by a pattern.

    Raises:
      DataError: if the file's name does not match the pattern.
    """
    parts = file.absolute().with_suffix("").parts
    name = "/".join(parts[-1 - names.count("/") :])
    match = pattern(names).fullmatch(name)
    if not match:
        raise DataError(f"{file}: found the name {shown(name)}, expected one like {shown(names)}")
    found = match.groupdict()
    return f"{found['subject']}/{found.get('action', 'motion')}/{found.get('clip', file.stem)}"


def clip_keys(files: list[Path], source: Path) -> dict[Path, str]:
    """Return the key `subject/action/clip` of each file: that of its database, or one from its folders.

    - HDM05, `HDM_bd_depositFloorR_001_120.amc`: bd/depositFloorR/001.
    - Bandai-Namco, `dataset-1_walk_happy_001.bvh`: dataset-1/walk/happy_001.
    - LAFAN1, `aiming1_subject4.bvh`: subject4/aiming/1.
    - CMU, `02_05.amc`: 02/motion/02_05. CMU's files do not name actions. In a folder below `source` whose name is no number,
      such as `walk/02_05.amc`, the folder is the action: 02/walk/02_05.
    - others, `anna/jump_12.bvh`: the folder, the name without the digits at its end, and these digits: anna/jump/12. Files that
      would have equal keys (`jump12`, `jump_12`) have their whole names as clips.

    CMU has each name once: if a name is in two folders, and not as a copy, the numbers are not subjects of CMU.

    A folder that is named after a file format (`anna/bvh/walk.bvh` beside `ben/walk.bvh`), or is the only one of a folder
    beside which others hold files themselves (`anna/export/walk.bvh`), stands for the folder above it.

    A folder further up is the subject if several folders of files have the same name (`s1/bvh`, `s2/bvh`): the nearest folder
    above them that has different names and gives each file a different key. Other folders with different names are the action
    of files whose names are only numbers (`s1/walk/3.bvh`: s1/walk/3), or else become part of the clip's name
    (`s1/day2/walk_3.bvh`: s1/walk/day2-3).

    Args:
      files: the motion files.
      source: the folder below which they are.
    """
    numbered = {file.name for file in files if _CMU.fullmatch(file.stem)}
    sizes = {(file.name, file.stat().st_size if file.exists() else file) for file in files if file.name in numbered}
    once = len(sizes) == len(numbered)  # copies do not count
    databases = {file: _key_in_database(file, source) for file in files if once or file.name not in numbered}
    others = [file for file in files if not databases.get(file)]
    folders = _told_from_formats({file: file.parent.relative_to(source).parts for file in others if file != source})
    keys = {
        file: databases.get(file) or _key_of(file, (folders.get(file) or (file.resolve().parent.name or "unknown",))[-1:])
        for file in files
    }
    folders = {file: parts for file, parts in folders.items() if len(parts) > 1}
    leaves = set(folders.values())
    if len({parts[-1] for parts in leaves}) == len(leaves):
        return _told_apart(keys)
    for up in range(2, 1 + min(map(len, leaves), default=0)):
        levels = [{parts[-level] for parts in leaves} for level in range(up, 0, -1)]  # from the subject's folder downwards
        found = _told_apart(keys | {file: _key_of(file, parts[-up:], levels) for file, parts in folders.items()})
        if len(levels[0]) > 1 and len(set(found.values())) == len(found):
            return found
    return _told_apart(keys)


def _told_from_formats(folders: dict[Path, tuple[str, ...]]) -> dict[Path, tuple[str, ...]]:
    """Return the folders of each file, from the source downwards, without those at the end that cannot be people."""
    found = {}
    for file, parts in folders.items():
        while len(parts) > 1 and parts[-1].lower() in _FORMATS:
            parts = parts[:-1]
        found[file] = parts
    highest = min((len(parts) for parts in found.values() if parts), default=0)
    below: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for parts in found.values():
        below.setdefault(parts[:highest], set()).add(parts)
    return {file: parts[:highest] if len(below[parts[:highest]]) == 1 else parts for file, parts in found.items()}


def _key_in_database(file: Path, source: Path) -> str:
    """Return the key of a file that is named as in a database, otherwise an empty text."""
    for form in _DATABASES:
        if match := form.fullmatch(file.stem):
            return "/".join(match[field] for field in _FIELDS)
    if match := _CMU.fullmatch(file.stem):
        folder = file.resolve().parent.name
        named = file.parent != source and file != source and not folder.isdecimal()
        return f"{match[1]}/{folder if named else 'motion'}/{file.stem}"
    return ""


def _told_apart(keys: dict[Path, str]) -> dict[Path, str]:
    """Return the keys, in which the clips of files with equal keys are the files' whole names."""
    times = collections.Counter(keys.values())
    return {file: key if times[key] == 1 else f"{key.rpartition('/')[0]}/{file.stem}" for file, key in keys.items()}


def _key_of(file: Path, folders: tuple[str, ...], names: Sequence[set[str]] = (set(),)) -> str:
    """Return the key of a file from its folders.

    Args:
      file: the file.
      folders: the names of its folders, the subject first.
      names: for each of these levels, the names of all files' folders.
    """
    differing = [folder for folder, several in zip(folders[1:], names[1:], strict=True) if len(several) > 1]
    action, clip = _action_and_clip(file.stem)
    if not action and differing:
        action = differing.pop()
    return f"{folders[0]}/{action or 'motion'}/{'-'.join([*differing, clip])}"


def _action_and_clip(stem: str) -> tuple[str, str]:
    action = stem.rstrip("0123456789")
    return action.rstrip("_- ."), stem[len(action) :] or stem
