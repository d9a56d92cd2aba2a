"""Load Human3.6M, HumanEva-I or the user's own data from `.npz` files in VideoPose3D's form, which most papers' code uses.

A folder holds

- `data_3d_h36m.npz`: `positions_3d`, a dict {subject: {action: [T, J, 3] joints, world frame, metres}}. Human3.6M's 17 joints
  may be given as the original 32.
- `data_2d_h36m_<keypoints>.npz`, one file for each detector, and `gt` for exact projections: `positions_2d`, a dict {subject:
  {action: one array [T', K, 2 or 3] for each camera, keypoints in pixels, optionally with confidences}}, and a dict `metadata`.

The files hold no cameras. Those of the two data sets are in `cameras` and `humaneva_cameras`, others are read from files by
`own_cameras`.
"""

import dataclasses
import warnings
from collections.abc import Container, Iterator, Mapping
from collections.abc import Sequence as Seq
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data import calibration_files
from srnet_jax.data.dataset import PoseDataset, Sequence, sides_swapped
from srnet_jax.data.h36m import doubts, humaneva_cameras, own_cameras
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError, naming
from srnet_jax.io.safe_load import load_npz, stored_dict
from srnet_jax.io.text import described, listed, numbers_of_shape
from srnet_jax.pose.cameras import Camera, world_to_camera
from srnet_jax.pose.multiview import CalibratedCamera
from srnet_jax.pose.skeleton import BUILT_IN, H36M_17, Skeleton

SUBJECTS = tuple(CAMERAS)
CORRUPT = ("S11", ("Directions", ""))  # a recording with a damaged video; all published code leaves it out

CONVENTIONS = "markers; Thorax is the base of the neck, Neck is at the nose, Head is the top of the head"
_OF_HUMAN36M = (H36M_17, BUILT_IN["human36m_16"])
_FRAMES = "frames >= 1"
_REMOVED = (4, 5, 9, 10, 11, 16, 20, 21, 22, 23, 24, 28, 29, 30, 31)  # of the 32 joints: copies, hands and toes
_SPELLINGS = {"TakingPhoto": "Photo", "WalkingDog": "WalkDog"}  # name in the original recordings: usual name
_MAX_EXTENT_M = 20.0  # of a typical pose; a larger one is not in metres
_LEAST_EXTENT_MM = 400.0  # of a typical pose in millimetres; in centimetres it is less
_MAX_NORMALISED = 1.5  # normalised screen coordinates are at most 1, or slightly more in a portrait image


@dataclasses.dataclass(frozen=True)
class Form:
    """A published data set whose files have VideoPose3D's form.

    Attributes:
      name: the data set's name in file names.
      title: its name in tables.
      fps: frames per second.
      cameras: the cameras of each subject, in the order of the keypoints' arrays.
      conventions: note on its joints, as in `PoseDataset`.
      config: name of a file in configs/ that trains on it.
    """

    name: str
    title: str
    fps: float
    cameras: Mapping[str, tuple[Camera, ...]]
    conventions: str
    config: str


HUMAN36M = Form("h36m", "Human3.6M", 50.0, CAMERAS, CONVENTIONS, "h36m_sr.py")
HUMANEVA = Form("humaneva15", "HumanEva-I", 60.0, humaneva_cameras.CAMERAS, "markers", "humaneva_sr.py")


@dataclasses.dataclass(frozen=True)
class Layout:
    """The joints in the arrays of the files.

    Attributes:
      joints: the 3D joints.
      keypoints: the 2D keypoints.
      confidences: whether the keypoints' confidences are needed; they are dropped otherwise.
    """

    joints: Skeleton = H36M_17
    keypoints: Skeleton = H36M_17
    confidences: bool = False


def load(path: str | Path, *, keypoints: str = "gt", form: Form = HUMAN36M, layout: Layout = Layout()) -> PoseDataset:
    """Load a data set in VideoPose3D's form.

    The recordings in the keypoints' file are loaded. If a video is longer than its motion, the frames after the motion's end
    are left out.

    Args:
      path: folder with `data_3d_h36m.npz` and `data_2d_h36m_<keypoints>.npz`, and optionally camera files (`own_cameras`).
      keypoints: `gt`, or the name of a detector's file, such as `cpn_ft_h36m_dbb`.
      form: the data set.
      layout: the joints in the arrays.

    Returns:
      Sequences ordered by subject (those of the form first), then by recording in the order of the keypoints' file, then by
      camera.

    Raises:
      DataError: if a file is missing or damaged or has unexpected content, or if a subject has no cameras.

    Source: the formats and the rules are VideoPose3D's.
    """
    folder = Path(path)
    file_2d, file_3d = keypoints_file(folder, keypoints, form.name), folder / f"data_3d_{form.name}.npz"
    arrays = load_npz(file_2d)
    if "metadata" not in arrays:
        raise DataError(
            f"{file_2d}: found the keys {listed(arrays)}, expected metadata, a dict of num_joints and keypoints_symmetry "
            "([indices of the left keypoints, of the right ones])"
        )
    _check_layout(stored_dict(arrays, "metadata", file_2d), layout.keypoints, file_2d)
    videos = read_recordings(arrays, "positions_2d", file_2d)
    motions = read_recordings(load_npz(file_3d), "positions_3d", file_3d)
    owns = {subject: own_cameras.file_of(folder, subject) for subject in (*videos, *motions) if isinstance(subject, str)}
    known = [*form.cameras, *(subject for subject, file in owns.items() if file and subject not in form.cameras)]
    unknown = [subject for subject, recordings in motions.items() if recordings and subject not in known]
    if unknown:
        raise DataError(
            f"{file_3d}: found motions of {listed(unknown)}, whose cameras are not known, expected {', '.join(form.cameras)}, "
            f"or the others' cameras in {folder / 'cameras.toml'} (docs/own_data.md)"
        )
    subjects = [subject for subject in known if videos.get(subject)]
    if not subjects:
        raise DataError(f"{file_2d}: found keypoints of {listed(videos)}, expected some of {', '.join(known)}")

    sequences: list[Sequence] = []
    with np.errstate(over="ignore", invalid="ignore"):  # values that are not finite are reported by PoseDataset
        for subject in subjects:
            own, recordings = owns.get(subject), (videos[subject], motions.get(subject, {}))
            cameras = calibration_files.read(own) if own else form.cameras[subject]
            found = _sequences(subject, cameras, recordings, (file_2d, file_3d), layout)
            if own:
                own_cameras.check(found, layout.keypoints, layout.joints, own)
            sequences += found
    if all(np.abs(sequence.inputs_2d[..., :2]).max() <= _MAX_NORMALISED for sequence in sequences):
        raise DataError(f"{file_2d}: all keypoints are within +-{_MAX_NORMALISED}, they seem normalised, expected pixels")
    with naming(path):
        dataset = _dataset(folder, keypoints, form, layout, tuple(sequences))
    published = [s for s in sequences if not owns.get(s.subject)]
    elsewhere = doubts.warn_of_views(published, layout.keypoints, layout.joints, (file_2d, file_3d))
    doubts.warn_of_recordings({subject: videos[subject] for subject in subjects}, motions, (file_2d, file_3d))
    if not layout.confidences:
        doubts.warn_of_unseen(sequences, file_2d)
    swapped = [s.name for s in sequences if sides_swapped(s.inputs_2d, s.poses_3d, layout.keypoints, layout.joints)]
    if 2 * len(swapped) > len(sequences) and not elsewhere:
        warnings.warn(f"{file_2d}: left and right are swapped between the keypoints and {file_3d.name}", stacklevel=2)
    return dataset


def _sequences(
    subject: str,
    cameras: Seq[Camera | CalibratedCamera],
    recordings: tuple[dict[tuple[str, str], Any], dict[tuple[str, str], Any]],
    files: tuple[Path, Path],
    layout: Layout,
) -> list[Sequence]:
    """Return a subject's sequences; `recordings` has the keypoints and the motions, `files` the files that they are from."""
    sequences = []
    for recording, views in recordings[0].items():
        name = f"{subject}/{' '.join(recording).rstrip()}"
        if recording not in recordings[1]:
            raise DataError(f"{files[1]}: positions_3d has no {name}, expected a motion for each recording in {files[0].name}")
        world = world_joints(recordings[1][recording], f"{files[1]}: positions_3d of {name}", layout.joints)
        seen = _views(cameras, world, views, f"{files[0]}: positions_2d of {name}", layout)
        sequences += [Sequence(subject, *recording, camera, points, poses) for camera, points, poses in seen]
    return sequences


def _dataset(folder: Path, keypoints: str, form: Form, layout: Layout, sequences: tuple[Sequence, ...]) -> PoseDataset:
    """Return the data set. With the user's own cameras, their file has the frame rate, and the folder's name is the title."""
    files = dict.fromkeys(own_cameras.file_of(folder, s.subject) for s in sequences)
    if set(files) == {None}:
        return PoseDataset(
            f"{form.title} ({keypoints})", layout.joints, form.fps, sequences, form.conventions, layout.keypoints
        )
    rates = {own_cameras.frame_rate(file) if file else form.fps for file in files}
    if len(rates) > 1:
        raise DataError(f"cameras*.toml: found frame rates {', '.join(map(str, rates))}, expected one for all (fps = ...)")
    if (fps := rates.pop()) is None:
        warnings.warn(f"{folder}: no `fps = ...` in cameras.toml: taken as {form.fps:g} frames per second", stacklevel=3)
    return PoseDataset(f"{folder.name} ({keypoints})", layout.joints, fps or form.fps, sequences, "", layout.keypoints)


def keypoints_file(folder: Path, keypoints: str, form: str = HUMAN36M.name) -> Path:
    """Return the file in a folder that holds the named keypoints.

    Raises:
      DataError: if there is no such folder or file.
    """
    stem = f"data_2d_{form}_"
    if not folder.is_dir():
        what = "found a file" if folder.is_file() else "no such folder"
        raise DataError(f"{folder}: {what}, expected the folder that holds data_3d_{form}.npz and {stem}*.npz")
    found = sorted(file.stem.removeprefix(stem) for file in folder.glob(f"{stem}*.npz"))
    if keypoints not in found:
        other = next(
            (one for one in (HUMAN36M, HUMANEVA) if one.name != form and [*folder.glob(f"data_3d_{one.name}.npz")]), None
        )
        hint = f" (it holds {other.title}: see configs/{other.config})" if other else ""
        hint = hint or (f" (--config.data.keypoints={found[0]})" if found else "")
        others = sorted(file.name for file in folder.glob("data_2d_*.npz"))
        hint = hint or (f" in {stem}{keypoints}.npz (the folder holds {listed(others)}: docs/own_data.md)" if others else "")
        raise DataError(
            f"{folder}: found {f'keypoints {names}' if (names := ', '.join(found)) else 'no keypoints'} ({stem}*.npz), "
            f"expected {keypoints!r}{hint}"
        )
    return folder / f"{stem}{keypoints}.npz"


def _check_layout(metadata: dict[Any, Any], keypoints: Skeleton, file: Path) -> None:
    layout = f"{file}: metadata (layout {described(metadata.get('layout_name', 'not named'))})"
    joints, sides = metadata.get("num_joints"), _sides(keypoints)
    lists = [_whole_numbers(side, keypoints.num_joints) for side in _items(metadata.get("keypoints_symmetry"), (2,)) or ()]
    whole = isinstance(joints, int | np.integer)
    hint = "".join(
        f"; these seem to be --config.model.input_joints={other.name}"
        for other in BUILT_IN.values()
        if whole and other != keypoints and joints == other.num_joints and _pairs(lists) == _pairs(_sides(other))
    )
    if not whole or joints != keypoints.num_joints:
        raise DataError(f"{layout}: num_joints is {described(joints)}, expected {keypoints.num_joints}{hint}")
    if _pairs(lists) != _pairs(sides):
        what = "has left and right swapped" if _pairs(lists[::-1]) == _pairs(sides) else "is of other joints"
        expected = f"expected left {sides[0]} first, then right {sides[1]}"
        raise DataError(f"{layout}: keypoints_symmetry {what}, {expected}{hint}")


def _sides(skeleton: Skeleton) -> list[tuple[int, ...]]:
    """Return the indices, in files, of the left and of the right joints of a skeleton."""
    return [tuple(skeleton.file_order[joint] for joint in side) for side in (skeleton.joints_left, skeleton.joints_right)]


def _pairs(sides: list[tuple[int, ...]]) -> list[tuple[int, ...]] | None:
    """Return the pairs of left and right joints, sorted; None if there are not two sides of equal length."""
    return sorted(zip(*sides, strict=True)) if len(sides) == 2 and len(sides[0]) == len(sides[1]) else None


def read_recordings(arrays: dict[str, np.ndarray], key: str, file: Path) -> dict[Any, dict[tuple[str, str], Any]]:
    """Return the entries of a file as {subject: {(action, trial): value}}, without the corrupt recording.

    Args:
      arrays: the file's arrays by name.
      key: name of the array, `positions_2d` or `positions_3d`.
      file: the file, for messages.

    Raises:
      DataError: if the array is no dict of dicts, or has an unusable or repeated name.
    """
    found: dict[Any, dict[tuple[str, str], Any]] = {}
    for named, recordings in stored_dict(arrays, key, file).items():
        subject = str(named) if type(named) is int else named
        where = f"{file}: {key} of {described(subject)}"
        if not isinstance(recordings, dict):
            raise DataError(f"{where} holds {described(recordings)}, expected a dict of actions")
        found[subject] = {}
        for name, value in recordings.items():
            recording = action_and_trial(name, where)
            if recording in found[subject]:
                raise DataError(f"{where} holds {' '.join(recording).rstrip()!r} twice, expected each action and trial once")
            if (subject, recording) != CORRUPT:
                found[subject][recording] = value
    return found


def action_and_trial(name: Any, where: str) -> tuple[str, str]:
    """Split a name such as "Walking 1" into action and trial, and replace unusual spellings of actions.

    Raises:
      DataError: if the name is no printable text of at most 100 characters; the message begins with `where`.
    """
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name.strip()) <= 100:
        raise DataError(f"{where} holds the action {described(name)}, expected a name such as 'Walking 1'")
    action, _, trial = " ".join(name.split()).partition(" ")
    return _SPELLINGS.get(action, action), trial


def world_joints(value: Any, name: str, joints: Skeleton = H36M_17) -> np.ndarray:
    """Check a motion from a file and bring its joints into the skeleton's order.

    Args:
      value: [T, J, 3] joints, world frame, metres; for Human3.6M's 17 or 16 joints [T, 32, 3] and [T, 17, 3] are accepted.
      name: start of messages.
      joints: the skeleton.

    Returns:
      [T, J, 3] float64 joints, world frame, metres.

    Raises:
      DataError: if the value is no such array, or seems to be in millimetres.
    """
    number = joints.num_joints
    numbers = tuple(sorted({number, 17, 32})) if joints in _OF_HUMAN36M else number
    poses = numbers_of_shape(_numeric(value), (_FRAMES, numbers, 3), name).astype(np.float64)
    if poses.shape[1] != number and poses.shape[1] == 32:
        poses = np.delete(poses, _REMOVED, axis=1)  # [T, 17, 3]
    if poses.shape[1] != number:
        poses = poses[:, H36M_17.indices(joints.joints)]  # [T, 16, 3]
    extent = float(np.median(np.ptp(poses, axis=1).max(-1)))
    if _MAX_EXTENT_M < extent < np.inf:
        unit = "millimetres" if extent > _LEAST_EXTENT_MM else "centimetres"
        raise DataError(f"{name}: a typical pose measures {extent:.4g}, the file seems to be in {unit}, expected metres")
    return poses[:, joints.file_order]


def _views(
    cameras: Seq[Camera | CalibratedCamera], world: np.ndarray, views: Any, name: str, layout: Layout
) -> Iterator[tuple[Camera, np.ndarray, np.ndarray]]:
    """Yield each camera with the keypoints [T, K, 2 or 3] and poses [T, J, 3], camera frame, that it has of a motion.

    Args:
      cameras: in the order of the views.
      world: [T, J, 3] the motion, world frame, metres.
      views: one array of keypoints for each camera, as in the file.
      name: start of messages.
      layout: the joints in the arrays.
    """
    single = len(cameras) == 1 and isinstance(views, np.ndarray) and views.ndim == 3  # not in a list
    arrays = [views] if single else _items(views, (len(cameras),))
    if arrays is None:
        raise DataError(f"{name}: found {described(views)}, expected {len(cameras)} arrays, one for each camera")
    for camera, array in zip(cameras, arrays, strict=True):
        widths = 3 if layout.confidences else (2, 3)
        detected = numbers_of_shape(_numeric(array), (_FRAMES, layout.keypoints.num_joints, widths), f"{name}/{camera.name}")
        if len(detected) < len(world):
            raise DataError(
                f"{name}/{camera.name}: found keypoints of {len(detected)} frames, expected those of the motion's {len(world)}"
            )
        kept = detected[: len(world), layout.keypoints.file_order, : 3 if layout.confidences else 2]
        placed, poses_3d = (
            own_cameras.seen_by(camera, world)
            if isinstance(camera, CalibratedCamera)
            else (camera, world_to_camera(world, camera).astype(np.float32))
        )
        yield placed, np.ascontiguousarray(kept, np.float32), poses_3d


# A pickle may hold any object, even one that contains itself: the functions below never iterate over or print unknown objects.


def _items(value: Any, numbers: Container[int]) -> list[Any] | None:
    """Return the items of a list, tuple or array if their number is one of `numbers`; None otherwise."""
    is_row = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim > 0)
    return list(value) if is_row and len(value) in numbers else None


def _numeric(value: Any) -> Any:
    """Return an array of numbers that was saved as an array of objects (`np.array(views, dtype=object)`) as one of floats."""
    boxed = isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 3
    numeric = boxed and all(isinstance(item, int | float | np.number) for item in value.flat)
    return value.astype(np.float64) if numeric else value


def _whole_numbers(value: Any, most: int) -> tuple[int, ...]:
    items = _items(value, range(most + 1)) or ()
    return tuple(int(item) for item in items if isinstance(item, int | np.integer))
