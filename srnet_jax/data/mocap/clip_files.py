"""Motion capture: BVH and ASF/AMC files become joint positions, which virtual cameras see.

`convert` reads recordings, see `bvh`, `asf_amc` and `skeleton_maps`, and returns the arrays of a joint-position `.npz` file.
Such a file holds one array a clip: key `<subject>/<action>/<clip>`, value [T, 17, 3] joint positions in world metres, z up,
in the order of `skeleton.H36M_17`; and `fps`, the frames per second, which older files lack.

`load` reads it. Clips are recorded anywhere in a room, so each is moved until its mean hip position is above the origin.
"""

import dataclasses
import re
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence, check_finite, film
from srnet_jax.data.mocap import asf_amc, bvh, skeleton_maps
from srnet_jax.errors import ConfigError, DataError, UserError, naming
from srnet_jax.io.files import check_new
from srnet_jax.io.safe_load import load_npz
from srnet_jax.io.text import shown
from srnet_jax.pose.cameras import Camera
from srnet_jax.pose.frames import interpolated
from srnet_jax.pose.skeleton import H36M_17, ROOT

CONVENTIONS = (
    "the joints of the source's skeleton; Neck is the base of the skull, and spine, neck, head and shoulders lie a few "
    "centimetres apart between sources"
)
_MAX_EXTENT_M = 20.0  # of one pose; a larger one is not in metres
_MIRRORED = "the knees bend backwards; are left and right swapped?"
_WHOLE = 1e-4  # a ratio of frame rates this close to a whole number is one: files round their frame time


def load(path: str | Path, *, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    """Read a joint-position file, or all in a folder as one data set, whose scenes are the files' names.

    Warns if left and right seem to be swapped.

    Args:
      path: the `.npz` file, or the folder.
      fps: frames per second of the recordings, if the file does not say.
      cameras: the cameras that see every clip.

    Raises:
      DataError: if a file is missing or damaged, an array has a wrong name, shape, unit or value, or two files differ in
        their frame rates or share a clip's name.
    """
    path = Path(path)
    if not path.is_dir():
        return _load_file(path, fps, cameras)
    files = sorted(path.glob("*.npz"))
    if not files:
        raise DataError(f"{path}: found no .npz file, expected joint positions")
    parts = [_load_file(file, fps, cameras) for file in files]
    sequences: dict[str, Sequence] = {}
    for file, part in zip(files, parts, strict=True):
        if part.fps != parts[0].fps:
            raise DataError(f"{file}: found {part.fps:g} frames a second, expected {parts[0].fps:g} as in {files[0]}")
        for sequence in part.sequences:
            if sequence.name in sequences:
                raise DataError(f"{file}: found {sequence.name}, which {sequences[sequence.name].scene}.npz holds too")
            sequences[sequence.name] = dataclasses.replace(sequence, scene=file.stem)
    return PoseDataset(path.name, H36M_17, parts[0].fps, tuple(sequences.values()), CONVENTIONS)


def _load_file(path: Path, fps: float, cameras: tuple[Camera, ...]) -> PoseDataset:
    clips = load_npz(path)
    if "fps" in clips:
        fps = _checked_fps(clips.pop("fps"), path)
    if not clips:
        raise DataError(f"{path}: holds no clips, expected an array for each")
    sequences: list[Sequence] = []
    mirrored: list[str] = []
    for key, array in clips.items():
        poses = _checked(array, f"{path}: {shown(key)}", key)
        mirrored += [key] if skeleton_maps.is_mirrored(poses) else []
        subject, action, clip = key.split("/")
        centred = poses - [*poses[:, ROOT, :2].mean(0), 0]
        sequences += film(centred, cameras, subject=subject, action=action, trial=clip)
    if mirrored:
        warnings.warn(f"{path}: in {len(mirrored)} of {len(clips)} clips, first {mirrored[0]}, {_MIRRORED}", stacklevel=2)
    with naming(path):
        return PoseDataset(path.name, H36M_17, fps, tuple(sequences), CONVENTIONS)


def _checked_fps(array: np.ndarray, path: str | Path) -> float:
    if array.shape != () or array.dtype.kind not in "fiu" or not 0 < float(array) < np.inf:
        raise DataError(f"{path}: fps has shape {array.shape} of {array.dtype}, expected one positive number")
    return float(array)


def _checked(poses: np.ndarray, name: str, key: str) -> np.ndarray:
    """Return [T, 17, 3] float32 world metres."""
    if key.count("/") != 2 or not all(key.split("/")) or not key.isprintable() or len(key) > 200:
        raise DataError(f"{name}: found this key, expected <subject>/<action>/<clip>")
    joints = H36M_17.num_joints
    if poses.ndim != 3 or poses.shape[1:] != (joints, 3) or not len(poses) or poses.dtype.kind != "f":
        raise DataError(f"{name}: found shape {poses.shape} of {poses.dtype}, expected (frames >= 1, {joints}, 3) of floats")
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        poses = poses.astype(np.float32)
    check_finite(poses, f"{name}:")
    extent = float(np.ptp(poses.astype(np.float64), axis=1).max())
    if extent > _MAX_EXTENT_M:
        raise DataError(f"{name}: a pose is {extent:.0f} m wide, expected metres (are these millimetres?)")
    return poses


def convert(
    source: str | Path,
    skeleton: str | Path,
    *,
    fps: float = 30.0,
    source_fps: float = 120.0,
    track: Callable[[list[Any]], Iterable[Any]] = lambda items: items,
) -> dict[str, np.ndarray]:
    """Read all `.bvh` and `.amc` files in a folder and the folders below it.

    Warns, for each file, if left and right seem to be swapped.

    Args:
      source: the folder, or one file.
      skeleton: `cmu`, `hdm05`, `bandai` or a mapping file, see `skeleton_maps`.
      fps: frames per second of what is returned. Every n-th frame is taken where that is exact, otherwise positions are
        interpolated linearly at the exact times.
      source_fps: frames per second of `.amc` files, which do not say; the databases of CMU and HDM05 have 120.
      track: wraps the list of files while they are read, to show progress.

    Returns:
      {"subject/action/clip": [T, 17, 3] world metres, z up}, float32; see `clip_key`, and `save`.

    Raises:
      DataError: if there are no files, one is damaged, implausible or without its `.asf`, or two would have one key.
      ConfigError: if a frame rate is not from 0.1 to 10,000.
    """
    for name, value in (("fps", fps), ("source_fps", source_fps)):
        if not 0.1 <= value <= 1e4:
            raise ConfigError(f"{name}: {value} is not allowed, expected 0.1 to 10,000 frames per second")
    source, layouts = Path(source), skeleton_maps.layouts(skeleton)
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    around = sorted(source.parent.iterdir() if source.is_file() else source.rglob("*"))
    files = [file for file in around if file.suffix.lower() in (".bvh", ".amc") and file.is_file()]
    files = [source] if source.is_file() else files
    if not files:
        raise DataError(f"{source}: found no .bvh and no .amc files")
    keys: dict[str, Path] = {}
    for file in files:
        key = clip_key(file, source)
        if key in keys:
            raise DataError(f"{file}: found the clip {key}, which {keys[key]} is already; convert them to files of their own")
        keys[key] = file
    skeletons = [file for file in around if file.suffix.lower() == ".asf"]
    clips = {}
    for key, file in track(list(keys.items())):
        is_bvh = file.suffix.lower() == ".bvh"
        motion = bvh.read(file) if is_bvh else asf_amc.read(_skeleton_of(file, skeletons), file, source_fps)
        layout = skeleton_maps.choose(motion, layouts, file)
        poses = layout.apply(motion)
        skeleton_maps.check_height(poses, layout.unit_m, file)
        if skeleton_maps.is_mirrored(poses):
            warnings.warn(f"{file}: {_MIRRORED}", stacklevel=2)
        clips[key] = resampled(poses, layout.fps or motion.fps, fps).astype(np.float32)
    return clips


def check_output(path: str | Path) -> None:
    """Refuse, with a UserError, a name that is not `.npz`, a file that exists, or one that cannot be written."""
    if Path(path).suffix != ".npz":
        raise UserError(f"{path}: expected a name ending in .npz")
    check_new(path)


def save(path: str | Path, clips: dict[str, np.ndarray], *, fps: float) -> None:
    """Write a joint-position file, whole or not at all, from what `convert` returns; see `check_output`."""
    path = Path(path)
    check_output(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        with unfinished.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, fps=np.float64(fps), **clips)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def clip_key(file: Path, source: Path) -> str:
    """Return `subject/action/clip` of a recording, from the way its database names files.

    - HDM05, `HDM_bd_depositFloorR_001_120.amc`: bd/depositFloorR/001.
    - Bandai-Namco, `dataset-1_walk_happy_001.bvh`: dataset-1/walk/happy_001.
    - CMU, `02_05.amc`: 02/motion/02_05. Its files do not name actions: put them into folders that do (`walk/02_05.amc`
      below `source`; not the subjects' numbers), and it is 02/walk/02_05.
    - others, `anna/jump_12.bvh`: the folder, the name without the digits at its end, and these: anna/jump/12.
    """
    stem, folder = file.stem, file.resolve().parent.name or "unknown"
    if match := re.fullmatch(r"HDM_([^_]+)_(.+)_([^_]+)_\d+", stem):
        return "/".join(match.groups())
    if match := re.fullmatch(r"(dataset-\d+)_([^_]+)_(.+)", stem):
        return "/".join(match.groups())
    if match := re.fullmatch(r"(\d+)_\d\S*", stem):
        named = file.parent != source and file != source and not folder.isdecimal()
        return f"{match[1]}/{folder if named else 'motion'}/{stem}"
    action = stem.rstrip("0123456789")
    return f"{folder}/{action.rstrip('_- .') or 'motion'}/{stem[len(action) :] or stem}"


def _skeleton_of(amc: Path, skeletons: list[Path]) -> Path:
    """Return the `.asf` file of an `.amc` file.

    It is the one with the longest name with which the motion's begins, in the nearest folder upwards or else anywhere;
    otherwise the only one beside the motion.
    """
    matching = [asf for asf in skeletons if re.match(re.escape(asf.stem) + r"(?![^\W_])", amc.stem)]
    for folder in amc.parents:
        nearest = [asf for asf in matching if asf.parent == folder]
        if nearest:
            return max(nearest, key=lambda asf: len(asf.stem))
    if not matching:
        matching = [asf for asf in skeletons if asf.parent == amc.parent]
    if len(matching) != 1:
        found = ", ".join(map(str, matching[:3])) or "none"
        raise DataError(f"{amc}: found {found} as its skeleton, expected one .asf file whose name its own begins with")
    return matching[0]


def resampled(poses: np.ndarray, source_fps: float, fps: float) -> np.ndarray:
    """Return poses [T, ...] at another frame rate, from the same first frame on and no longer than before."""
    ratio = source_fps / fps
    if round(ratio) >= 1 and abs(ratio - round(ratio)) < _WHOLE * ratio:
        return poses[:: round(ratio)]
    times = np.arange(int((len(poses) - 1) / ratio + 1e-6) + 1) * ratio  # in frames of the source
    return interpolated(poses, times)
