"""Convert the downloaded recordings of Human3.6M to the two files that `npz_files.load` reads.

A recording is one motion: 32 joints, world frame, millimetres. There are 30 for each subject, in one of three forms:

- the data set's own archives "Poses -> D3 Positions", unpacked or not: CDF files with a variable `Pose`, [1, T, 96];
- these files as MATLAB files (`Walking.cdf.mat`), made by VideoPose3D's `convert_h36m.m`: a cell `data` that holds [T, 96];
- the older release of 3d-pose-baseline: HDF5 files with a data set `3D_positions`, [96, T].

Source: the names and the shapes are those that VideoPose3D's documentation and preparation script expect.
"""

import gzip
import importlib.util
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, check_finite, film
from srnet_jax.data.h36m import npz_files
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError, UserError, naming
from srnet_jax.io import matlab, sandbox
from srnet_jax.io.files import check_new, reading
from srnet_jax.io.text import numbers_of_shape
from srnet_jax.pose.skeleton import H36M_17

OUTPUTS = ("data_3d_h36m.npz", "data_2d_h36m_gt.npz")

_PLACES = (  # where a subject's recordings may be; the first place that holds any is used
    "{subject}/MyPoseFeatures/D3_Positions/*.cdf",
    "{subject}/D3_Positions/*.cdf",
    "{subject}/MyPoseFeatures/D3_Positions/*.cdf.mat",
    "{subject}/D3_Positions/*.cdf.mat",
    "{subject}/MyPoses/3D_positions/*.h5",
    "Poses_D3_Positions_{subject}.tgz",
)
_DATA_SET = "3D_positions"
_JOINTS = 32
_MIN_EXTENT_M = 0.02  # of a typical pose; if it is smaller, the file is not in millimetres


def convert(
    source: str | Path, output: str | Path, *, track: Callable[[list[Any]], Iterable[Any]] = lambda items: items
) -> None:
    """Make `data_3d_h36m.npz` and `data_2d_h36m_gt.npz` from Human3.6M's recordings.

    Incomplete sets are converted, too; `verification.check` lists what is missing.

    Args:
      source: folder with the archives `Poses_D3_Positions_S1.tgz` and so on, with their unpacked content
        (`S1/MyPoseFeatures/D3_Positions/*.cdf` or `S1/D3_Positions/*.cdf`) or MATLAB files there (`*.cdf.mat`), or with
        `S1/MyPoses/3D_positions/*.h5`.
      output: folder for the two files; made if needed.
      track: wraps the list of files that are read, to show progress.

    Raises:
      UserError: if an output file exists, or a package that is needed to read the source is not installed.
      DataError: if the source has no recordings, or one that is damaged or has unexpected content.

    Source: VideoPose3D's preparation script.

    Note: That script requires all 30 files of each of seven subjects.
    """
    with naming(source), sandbox.one_process():  # not inside the generator, which may not be exhausted
        write(output, recordings(Path(source), track))


def write(output: str | Path, recordings: Iterable[tuple[str, str, str, np.ndarray]]) -> None:
    """Write motions and their keypoints as `data_3d_h36m.npz` and `data_2d_h36m_gt.npz`, in VideoPose3D's layout.

    The keypoints are exact projections, with distortion, of the 17 joints that `npz_files.load` returns, into Human3.6M's
    cameras. Either both files are written, or neither.

    Args:
      output: folder for the two files, made if needed. Existing files are never overwritten.
      recordings: subject (one of Human3.6M's), action, trial and motion of each recording; a motion has [T, 32, 3] or
        [T, 17, 3] joints, world frame, metres. The iterable is consumed only after the folder was checked.

    Raises:
      UserError: if an output file exists.
      DataError: if a recording occurs twice, or a motion has a wrong shape, unit or value.
    """
    output = Path(output)
    for file in OUTPUTS:
        check_new(output / file)
    motions: dict[str, dict[str, np.ndarray]] = {}
    views: dict[str, dict[str, list[np.ndarray]]] = {}
    for subject, action, trial, motion in recordings:
        name = f"{action} {trial}".rstrip()
        if name in motions.setdefault(subject, {}):
            raise DataError(f"{subject}/{name}: found two recordings, expected each action and trial once")
        motions[subject][name] = motion.astype(np.float32)
        views.setdefault(subject, {})[name] = _projections(subject, action, trial, motions[subject][name])

    metadata = {
        "layout_name": "h36m",
        "num_joints": H36M_17.num_joints,
        "keypoints_symmetry": [list(H36M_17.joints_left), list(H36M_17.joints_right)],
    }
    contents_3d = {"positions_3d": _by_name(motions)}
    contents_2d = {"positions_2d": _by_name(views), "metadata": metadata}
    _write_all(output, dict(zip(OUTPUTS, (contents_3d, contents_2d), strict=True)))


def _projections(subject: str, action: str, trial: str, motion: np.ndarray) -> list[np.ndarray]:
    """Return the keypoints [T, 17, 2], pixels, of a motion [T, J, 3], world frame, metres, in each camera."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # PoseDataset reports values that are not finite
        world = npz_files.world_joints(motion, f"{subject}/{action}/{trial}")
        sequences = tuple(film(world, CAMERAS[subject], subject=subject, action=action, trial=trial))
        PoseDataset("Human3.6M", H36M_17, 50.0, sequences)  # runs the checks of loading
    return [sequence.inputs_2d for sequence in sequences]


def _by_name(recordings: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {subject: dict(sorted(found.items())) for subject, found in recordings.items()}


def _write_all(output: Path, files: dict[str, dict[str, Any]]) -> None:
    """Write the files {name: {key: value}}, all of them or none."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=output) as folder:
        for name, contents in files.items():
            np.savez_compressed(Path(folder) / name, **contents)
        try:
            for name in files:
                (Path(folder) / name).rename(output / name)
        except BaseException:
            for name in files:
                (output / name).unlink(missing_ok=True)
            raise


def recordings(
    source: Path, track: Callable[[list[Any]], Iterable[Any]] = lambda items: items
) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """Yield the subject, action, trial and motion [T, 32, 3], world frame, metres, of each recording in a folder.

    Args:
      source: as in `convert`.
      track: wraps the list of files that are read, to show progress.

    Raises:
      UserError: if a package that is needed to read the source is not installed.
      DataError: if there are no recordings, or one is damaged or has unexpected content.
    """
    for subject, file in track(_files(source)):
        if file.suffix not in (".h5", ".mat") and importlib.util.find_spec("cdflib") is None:
            raise UserError("cdflib is not installed, expected for these files: pip install -e '.[prepare]'")
        found = _read_mat(file) if file.suffix == ".mat" else sandbox.read(read_file, file, subject)
        for path, motion in found.items():
            action, trial = _recording(subject, PurePosixPath(path)) or ("", "")
            yield subject, action, trial, motion


def _files(source: Path) -> list[tuple[str, Path]]:
    """Find the files to read; return each with its subject."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder, expected the one that holds Human3.6M's recordings")
    found = []
    for subject in npz_files.SUBJECTS:
        places = (sorted(source.glob(place.format(subject=subject))) for place in _PLACES)
        wanted = ([file for file in files if file.is_file() and _recording(subject, file)] for files in places)
        found += [(subject, file) for file in next(filter(None, wanted), [])]
    if not found:
        first, *_, last = npz_files.SUBJECTS
        expected = " or ".join(place.format(subject=first) for place in _PLACES)
        raise DataError(f"{source}: found no recordings, expected {expected}, and so on to {last}")
    return found


def _recording(subject: str, file: PurePath) -> tuple[str, str] | None:
    """Return the action and the trial of a recording from its file name; None for files that are skipped.

    Skipped are the corrupt recording, `_ALL`, which joins other recordings, and the hidden files that macOS adds.
    """
    stem = file.with_name(file.name.removesuffix(".mat")).stem.partition("_")[0]
    if not stem or stem.startswith("."):
        return None
    if "." in stem:  # Walking 1.54138969
        raise DataError(f"{file}: found poses of one camera (D3_Positions_mono), expected poses in the world (D3_Positions)")
    recording = npz_files.action_and_trial(stem, str(file.parent))
    return None if (subject, recording) == npz_files.CORRUPT else recording


def _read_mat(file: Path) -> dict[str, np.ndarray]:
    """Read the motion of a MATLAB file, as `read_file` does of others."""
    stored = matlab.read_variables(file, ("data",))["data"]
    pose = stored.item() if stored.dtype == object and stored.size == 1 else stored
    return {str(file): _metres(pose[0] if np.ndim(pose) == 3 and len(pose) == 1 else pose, f"{file}: data")}


# The functions below run in a sandbox process (`io.sandbox`), because damaged files can crash the libraries that they call.


def read_file(file: Path, subject: str) -> dict[str, np.ndarray]:
    """Read the motions [T, 32, 3], world frame, metres, of an archive or a single file; keys are their paths.

    Raises:
      DataError: if the file is damaged, or has unexpected content.
    """
    if file.suffix == ".h5":
        return {str(file): _metres(matlab.read_hdf5(file, (_DATA_SET,))[_DATA_SET], str(file))}
    if file.suffix == ".cdf":
        return {str(file): _metres(_read_cdf(file, str(file)), str(file))}
    motions = {}
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Path(folder) / "recording.cdf"  # cdflib reads only files; a name from the archive is never used for one
        for path, content in _members(subject, file):
            unpacked.write_bytes(content)
            motions[path] = _metres(_read_cdf(unpacked, f"{file}: {path}"), f"{file}: {path}")
    return motions


def _members(subject: str, archive: Path) -> list[tuple[str, bytes]]:
    """Return the paths and contents of the recordings in an archive (tens of megabytes)."""
    found = []
    with reading(archive, "the archive as it was downloaded"):
        unpacked = gzip.decompress(archive.read_bytes())  # checks the checksum, which tarfile does not read
        with tarfile.open(fileobj=io.BytesIO(unpacked)) as members:
            for member in members:
                path = PurePosixPath(member.name)
                in_place = subject in path.parts and path.parent.name == "D3_Positions" and path.suffix == ".cdf"
                usual = member.isreg() and not member.issparse() and member.name.isprintable() and len(member.name) < 200
                content = members.extractfile(member) if in_place and usual and _recording(subject, path) else None
                if content:
                    found.append((member.name, content.read()))
    if not found:
        raise DataError(f"{archive}: found no recordings, expected {subject}/MyPoseFeatures/D3_Positions/*.cdf")
    return found


def _read_cdf(file: Path, name: str) -> Any:
    """Return the variable `Pose` of a CDF file, without its axis of one record."""
    cdflib = importlib.import_module("cdflib")
    with reading(name, "a CDF file with a variable Pose"):
        pose = cdflib.CDF(file).varget("Pose")
    return pose[0] if np.ndim(pose) == 3 and len(pose) == 1 else pose


def _metres(stored: Any, name: str) -> np.ndarray:
    """Convert a motion [T, 96], millimetres, to [T, 32, 3], metres, both in the world frame."""
    numbers_of_shape(stored, ("frames >= 1", _JOINTS * 3), name)
    with np.errstate(over="ignore", invalid="ignore"):  # such values are rejected below
        poses = (stored.reshape(-1, _JOINTS, 3) / 1000).astype(np.float32)  # [T, 32, 3]
    check_finite(poses, f"{name}:")
    extent = float(np.median(np.ptp(poses, axis=1).max(-1)))
    if extent < _MIN_EXTENT_M:
        raise DataError(f"{name}: a typical pose measures {1000 * extent:.4g}, it seems to be in metres, expected millimetres")
    return poses
