"""Load MPI-INF-3DHP from the annotation files of its authors (Mehta et al., 3DV 2017).

Poses are in the frame of the camera that sees them, in millimetres. Each pose has two annotations: `annot3` ("metric") projects
to the keypoints `annot2`; `univ_annot3` ("univ"), which published results use, is scaled to the same height for all people. The
MATLAB files may be of version 7.3 (HDF5) or older.

Source: README, `mpii_get_joint_set`, `mpii_get_camera_set`, `mpii_get_sequence_info` and `mpii_get_activity_name` of the
authors' tools, unless another source is given.
"""

import dataclasses
import itertools
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset, Sequence, check_finite, sides_swapped
from srnet_jax.errors import DataError, naming
from srnet_jax.io import sandbox
from srnet_jax.io.matlab import read_variables
from srnet_jax.io.text import described, listed, numbered_lines, numbers, numbers_of_shape
from srnet_jax.pose.cameras import Camera, project
from srnet_jax.pose.skeleton import H36M_17

SCENES = {  # scene of each test sequence
    "TS1": "green screen",
    "TS2": "green screen",
    "TS3": "no green screen",
    "TS4": "no green screen",
    "TS5": "outdoor",
    "TS6": "outdoor",
}
ACTIVITIES = (  # numbered from 1 in the files
    "Standing/Walking",
    "Exercising",
    "Sitting",
    "Reaching/Crouching",
    "On The Floor",
    "Sports",
    "Miscellaneous",
)
SUBJECTS = ("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8")  # of the training set
CAMERAS = (0, 1, 2, 4, 5, 6, 7, 8)  # 0, 2, 4, 7 and 8 are chest-high; the others are knee-high or look down

CONVENTIONS = "markerless capture; Thorax is the base of the neck, Neck a point inside the head; hips and spine lie elsewhere"
_TRAINING_JOINTS = (
    *("spine3", "spine4", "spine2", "spine", "pelvis", "neck", "head", "head_top"),
    *("left_clavicle", "left_shoulder", "left_elbow", "left_wrist", "left_hand"),
    *("right_clavicle", "right_shoulder", "right_elbow", "right_wrist", "right_hand"),
    *("left_hip", "left_knee", "left_ankle", "left_foot", "left_toe"),
    *("right_hip", "right_knee", "right_ankle", "right_foot", "right_toe"),
)
TEST_JOINTS = (
    *("head_top", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
    *("right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "pelvis", "spine", "head"),
)
_AS_H36M = (  # the joint used for each joint of H36M_17
    *("pelvis", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle"),
    *("spine", "neck", "head", "head_top"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_shoulder", "right_elbow", "right_wrist"),
)

_ANNOTATIONS = {"univ": "univ_annot3", "metric": "annot3"}
_NUM_CAMERAS = 14
FPS = 25.0
_VIDEOS = {  # frames and frames per second of Seq1 and Seq2
    "S1": ((6416, 25), (12430, 50)),
    "S2": ((6502, 25), (6081, 25)),
    "S3": ((12488, 50), (12283, 50)),
    "S4": ((6171, 25), (6675, 25)),
    "S5": ((12820, 50), (12312, 50)),
    "S6": ((6188, 25), (6145, 25)),
    "S7": ((6239, 25), (6320, 25)),
    "S8": ((6468, 25), (6054, 25)),
}
_MIRRORED = {("S4", 2): slice(3759, 5853)}  # left and right are exchanged in 2D and 3D (github.com/vegesm/pose_refinement)
_NEAREST_M = 0.5  # S3 comes up to camera 2 and walks past it (same source)

_EXTENT_MM = (300.0, 5000.0)  # limits of a typical pose's extent
_MAX_NORMALISED = 1.5  # normalised screen coordinates are at most 1, or slightly more in a portrait image
_MAX_ERROR_PX = 50.0  # maximum distance of a typical keypoint from its projected joint


def fixed_camera(name: str, focal: tuple[float, float], center: tuple[float, float], width: int, height: int) -> Camera:
    """Return a camera whose frame is the world frame; focal lengths, centre, width and height in pixels."""
    return Camera(name, (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), focal, center, width, height)


# The official SRNet code's numbers; those of the test set's calibration files differ by less than 0.05 %.
STUDIO = fixed_camera("studio", (1500.0686135995716, 1500.6590966853348), (1017.3794860438494, 1043.062824876024), 2048, 2048)
_OUTDOOR = fixed_camera("outdoor", (1683.482559482185, 1671.927242063379), (939.9278168524228, 560.2072491988034), 1920, 1080)


@sandbox.one_process()
def load_test(path: str | Path, *, annotation: str = "univ") -> PoseDataset:
    """Load the valid frames of the test set, 2,929 in the published files.

    Args:
      path: folder with `TS1/annot_data.mat` to `TS6/annot_data.mat`.
      annotation: `univ` or `metric`.

    Returns:
      One sequence for each run of valid frames of one activity, so that no window crosses a gap. The subject is the test
      sequence (TS1 to TS6), the action one of `ACTIVITIES`, and the trial the run's number, counted from 1.

    Raises:
      DataError: if a file is missing or damaged, or has unexpected content.

    Note:
      A temporal network sees only the frames of a run. Other code (P-STMO's) also feeds it the invalid frames around a run.
      The frame rate of the test set is not published; 25 fps, the rate of most training videos, is assumed.
    """
    _check_known("annotation", (annotation,), _ANNOTATIONS)
    key = _ANNOTATIONS[annotation]
    _present(path, tuple(SCENES), "data_test_3dhp.npz")
    sequences: list[Sequence] = []
    for subject in SCENES:
        file = Path(path) / subject / "annot_data.mat"
        stored = read_variables(file, ("annot2", key, "valid_frame", "activity_annotation"))
        keypoints = joints_of(stored["annot2"].T, (1, 17, 2), TEST_JOINTS, f"{file}: annot2")
        poses = joints_of(stored[key].T, (1, 17, 3), TEST_JOINTS, f"{file}: {key}")
        valid = _row(stored["valid_frame"], len(poses), f"{file}: valid_frame") == 1
        activity = _row(stored["activity_annotation"], len(poses), f"{file}: activity_annotation")
        unknown = np.setdiff1d(activity[valid], np.arange(1, len(ACTIVITIES) + 1))
        if unknown.size or not valid.any():
            what = f"a valid frame of activity {unknown[0]:g}" if unknown.size else "no valid frame"
            raise DataError(f"{file}: found {what}, expected valid frames of the activities 1 to {len(ACTIVITIES)}")
        labels = np.where(valid, activity, 0).astype(int)
        sequences += evaluation_runs(keypoints, poses, labels, subject, ACTIVITIES, annotation=annotation, name=str(file))
    with naming(path):
        return PoseDataset(f"MPI-INF-3DHP test ({annotation})", H36M_17, FPS, tuple(sequences), CONVENTIONS)


@sandbox.one_process()
def load_train(
    path: str | Path,
    *,
    annotation: str = "univ",
    cameras: tuple[int, ...] = CAMERAS,
    subjects: tuple[str, ...] = (),
) -> PoseDataset:
    """Load the training set at 25 fps; of videos at 50 fps, every other frame is used.

    Some frames are left out: annotated frames after the video's end, frames with a joint behind the camera or less than 0.5 m
    in front of it, and frames 3759 to 5852 of S4/Seq2, in which left and right are exchanged.

    Args:
      path: folder with `S1/Seq1/annot.mat` to `S8/Seq2/annot.mat`, each beside its `camera.calibration`.
      annotation: `univ` or `metric`.
      cameras: numbers of the cameras, 0 to 13; those above 10 look down from the ceiling.
      subjects: some of `SUBJECTS`; () for those that have a folder, or for all if none has.

    Returns:
      Sequences ordered by subject, recording and camera, one for each run of frames that are kept. The action is the recording,
      `Seq1` (standing, exercising, sitting, crouching) or `Seq2` (floor, sports, sitting, miscellaneous), because activities
      are not annotated. The trial is always 1.

    Raises:
      DataError: if a file is missing or damaged, or has unexpected content.
    """
    _check_known("annotation", (annotation,), _ANNOTATIONS)
    key = _ANNOTATIONS[annotation]
    _check_known("cameras", cameras, range(_NUM_CAMERAS))
    _check_known("subjects", subjects, SUBJECTS)
    subjects = subjects or _present(path, SUBJECTS, "data_train_3dhp.npz")
    sequences: list[Sequence] = []
    for subject, number in itertools.product(subjects, (1, 2)):
        folder = _folder(path, "S1 to S8") / subject / f"Seq{number}"
        file = folder / "annot.mat"
        calibrated = _calibration(folder / "camera.calibration", cameras)
        stored = read_variables(file, ("annot2", key, "cameras"))
        cells = _row(stored["cameras"], _NUM_CAMERAS, f"{file}: cameras").tolist()
        for index in cameras:
            name = f"{file}: camera {index}"
            keypoints = joints_of(_cell(stored["annot2"], cells, index, name), (28 * 2,), _TRAINING_JOINTS, f"{name}: annot2")
            poses = joints_of(_cell(stored[key], cells, index, name), (28 * 3,), _TRAINING_JOINTS, f"{name}: {key}")
            video = f"{subject} Seq{number}"
            sequences += training_runs(keypoints, poses, video, calibrated[index], annotation=annotation, name=name)
    with naming(path):
        return PoseDataset(f"MPI-INF-3DHP ({annotation})", H36M_17, FPS, tuple(sequences), CONVENTIONS)


def evaluation_runs(
    keypoints: np.ndarray,
    poses: np.ndarray,
    labels: np.ndarray,
    subject: str,
    actions: tuple[str, ...],
    *,
    annotation: str,
    name: str,
) -> list[Sequence]:
    """Check a sequence of the test set, and split it into runs of valid frames of one action.

    Args:
      keypoints: [T, 17, 2], pixels.
      poses: [T, 17, 3], camera frame, millimetres.
      labels: [T]; n marks a valid frame of the n-th action (counted from 1), 0 a frame that is left out.
      subject: TS1 to TS6.
      actions: names of the actions.
      annotation: of the poses, `univ` or `metric`.
      name: start of messages.

    Raises:
      DataError: if the keypoints or the poses have a wrong unit or do not fit together.
    """
    scene = SCENES[subject]
    camera = _OUTDOOR if scene == "outdoor" else STUDIO
    views = _checked(keypoints, poses, labels > 0, camera, annotation, name)
    return [dataclasses.replace(run, scene=scene) for run in _runs(*views, labels, subject, actions, camera)]


def training_runs(
    keypoints: np.ndarray, poses: np.ndarray, video: str, camera: Camera, *, annotation: str, name: str, fps: float = 0
) -> list[Sequence]:
    """Check a video of the training set, and split it at 25 fps into runs of frames that `load_train` keeps.

    Args:
      keypoints: [T, 17, 2], pixels.
      poses: [T, 17, 3], camera frame, millimetres.
      video: name of the video, such as "S1 Seq2".
      camera: the camera that sees it.
      annotation: of the poses, `univ` or `metric`.
      name: start of messages.
      fps: frames per second of the arrays; 0 for the rate of the video.

    Raises:
      DataError: if the keypoints or the poses have a wrong unit or do not fit together.
    """
    subject, recording = video.split()
    frames, own_fps = _VIDEOS[subject][int(recording[-1]) - 1]
    step = round((fps or own_fps) / FPS)
    keep = np.arange(len(poses)) < frames
    keep[_MIRRORED.get((subject, int(recording[-1])), slice(0))] = False
    keypoints, poses = _checked(keypoints, poses, keep, camera, annotation, name)
    keep &= poses[..., 2].min(axis=1) >= _NEAREST_M
    runs = _runs(keypoints[::step], poses[::step], keep[::step].astype(int), subject, (recording,), camera)
    return [dataclasses.replace(run, trial="1") for run in runs]  # runs of one recording differ between cameras


def _runs(
    keypoints: np.ndarray, poses: np.ndarray, labels: np.ndarray, subject: str, actions: tuple[str, ...], camera: Camera
) -> Iterator[Sequence]:
    """Yield a sequence for each run of equal labels [T]; n is the n-th action, 0 marks frames that are left out."""
    bounds = (0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(labels))
    runs = [(start, stop) for start, stop in itertools.pairwise(bounds) if labels[start]]
    for trial, (start, stop) in enumerate(runs, 1):
        action = actions[labels[start] - 1]
        yield Sequence(subject, action, str(trial), camera, keypoints[start:stop], poses[start:stop])


@np.errstate(all="ignore")  # values that are not finite are reported by PoseDataset
def _checked(
    keypoints: np.ndarray, poses: np.ndarray, keep: np.ndarray, camera: Camera, annotation: str, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Check the frames `keep` [T] of keypoints, pixels, and poses, millimetres. Return all frames, in pixels and metres."""
    if len(keypoints) != len(poses):
        raise DataError(f"{name}: found {len(keypoints)} frames in 2D and {len(poses)} in 3D, expected equal numbers")
    for array, key in ((keypoints, "annot2"), (poses, _ANNOTATIONS[annotation])):
        check_finite(array, f"{name}: {key}", keep)
    seen, shown = keypoints[keep], poses[keep]
    extent = float(np.median(np.ptp(shown, axis=1).max(-1)))
    if not _EXTENT_MM[0] <= extent <= _EXTENT_MM[1]:
        unit = "metres" if extent < 10 else "another unit"
        raise DataError(f"{name}: a typical pose measures {extent:.4g}, the file seems to be in {unit}, expected millimetres")
    depth = float(np.median(shown[..., 2]))
    if abs(depth) < 1000 * _NEAREST_M:
        raise DataError(
            f"{name}: a typical joint is {depth / 1000:.2g} m in front of the camera, expected poses in the camera's frame, "
            "from which the root is not subtracted"
        )
    if np.abs(seen).max() <= _MAX_NORMALISED:
        raise DataError(f"{name}: all keypoints are within +-{_MAX_NORMALISED}, they seem normalised, expected pixels")
    if sides_swapped(seen, shown):
        warnings.warn(f"{name}: left and right are swapped between the keypoints and the 3D joints", stacklevel=3)
    elif annotation == "metric":
        error = float(np.nanmedian(np.linalg.norm(project(shown / 1000, camera) - seen, axis=-1)))
        if not error <= _MAX_ERROR_PX:
            raise DataError(
                f"{name}: the poses project {error:.4g} pixels from the keypoints, expected less than {_MAX_ERROR_PX:g}: "
                "the calibration or the joints do not fit"
            )
    return keypoints.astype(np.float32), (poses / 1000).astype(np.float32)


def _calibration(file: Path, cameras: tuple[int, ...]) -> dict[int, Camera]:
    """Read the intrinsics of cameras from `camera.calibration`.

    The file has one line for each property of a camera, `name` first; matrices are 4 x 4 and row-major. The extrinsics are not
    needed, because poses are in the cameras' frames.
    """
    blocks: dict[str, dict[str, list[str]]] = {}
    for words in (line.split() for _, line in numbered_lines(file)):
        if len(words) == 2 and words[0] == "name":
            block = blocks[words[1]] = {}
        elif blocks:
            block[words[0]] = words[1:]
    found = {}
    for number in cameras:
        where, block = f"{file}: camera {number}", blocks.get(str(number), {})
        width, height = numbers(block.get("size", []), 2, f"{where}: size")
        k = numbers(block.get("intrinsic", []), 16, f"{where}: intrinsic")
        radial = block.get("radial", [])
        distortion = numbers(radial, len(radial) or 1, f"{where}: radial")
        if min(width, height, k[0], k[5]) <= 0 or k[1] or any(distortion):
            shown = f"focal lengths {k[0]:g}, {k[5]:g}, skew {k[1]:g}, radial {max(distortion, key=abs):g}"
            expected = "a positive size and focal length, no skew and no distortion"
            raise DataError(f"{where}: found size {width:g} x {height:g}, {shown}, expected {expected}")
        found[number] = fixed_camera(f"camera{number}", (k[0], k[5]), (k[2], k[6]), int(width), int(height))
    return found


def _folder(path: str | Path, content: str) -> Path:
    if not Path(path).is_dir():
        what = "found a file" if Path(path).is_file() else "no such folder"
        raise DataError(f"{path}: {what}, expected the folder that holds {content} of MPI-INF-3DHP")
    return Path(path)


def _present(path: str | Path, names: tuple[str, ...], packed: str) -> tuple[str, ...]:
    """Return the names of which a folder has folders.

    Raises:
      DataError: if there is no such folder or none of them; the message also names the file `packed`, which is read, too.
    """
    content = f"{names[0]} to {names[-1]}"
    present = tuple(name for name in names if (_folder(path, content) / name).is_dir())
    if not present:
        found = listed(sorted(file.name for file in Path(path).iterdir()))
        raise DataError(f"{path}: found {found}, expected the folders {content} of MPI-INF-3DHP, or {packed}")
    return present


def _check_known(what: str, names: Iterable[Any], known: Iterable[Any]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DataError(f"MPI-INF-3DHP, {what}: found {unknown[0]!r}, expected some of {', '.join(map(str, known))}")


@np.errstate(all="ignore")  # HDF5 can hold larger numbers than float64
def joints_of(array: np.ndarray, shape: tuple[int, ...], joints: tuple[str, ...], name: str) -> np.ndarray:
    """Select the joints of H36M_17 from an array.

    Args:
      array: [T, *shape] coordinates.
      shape: expected shape of a frame.
      joints: names of the array's joints.
      name: start of messages.

    Returns:
      [T, 17, 2 or 3] float64 in the order of H36M_17.

    Raises:
      DataError: if the array has another shape.
    """
    numbers_of_shape(array, ("frames >= 1", *shape), name)
    chosen = [joints.index(joint) for joint in _AS_H36M]
    return array.reshape(len(array), len(joints), -1)[:, chosen].astype(np.float64)


@np.errstate(all="ignore")
def _row(array: np.ndarray, count: int, name: str) -> np.ndarray:
    """Return an array of `count` numbers as [count] float64."""
    if array.dtype.kind not in "fiub" or array.size != count:
        raise DataError(f"{name}: found {described(array)}, expected {count} numbers")
    return array.ravel().astype(np.float64)


def _cell(cells: np.ndarray, numbers: list[float], camera: int, name: str) -> np.ndarray:
    """Return the content of a camera's cell; `numbers` has the camera of each cell."""
    if cells.dtype.kind != "O" or cells.size != len(numbers) or camera not in numbers:
        raise DataError(f"{name}: found {described(cells)}, expected {_NUM_CAMERAS} cells, this camera's among them")
    return cells.ravel()[numbers.index(camera)]
