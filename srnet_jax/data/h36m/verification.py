"""Check a folder of Human3.6M files against the published numbers of subjects, recordings, cameras and frames."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.dataset import PoseDataset
from srnet_jax.data.h36m import npz_files
from srnet_jax.data.h36m.cameras import CAMERAS
from srnet_jax.errors import DataError
from srnet_jax.io.safe_load import load_npz
from srnet_jax.io.text import listed
from srnet_jax.pose.cameras import project

ACTIONS = (
    *("Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases"),
    *("Sitting", "SittingDown", "Smoking", "Waiting", "WalkDog", "WalkTogether", "Walking"),
)
_TRIALS = 2  # of each action; S11's Directions has only the one that is not corrupt
_FRAMES = {  # summed over the four cameras
    "S1": 248_376,
    "S5": 396_316,
    "S6": 249_864,
    "S7 S8": 665_196,
    "S1 S5 S6 S7 S8": 1_559_752,
    "S9 S11": 543_344,
}
_ROLES = {"S1 S5 S6 S7 S8": "training", "S9 S11": "test"}
_STEP = 50  # keypoints are compared with projections in every 50th frame
_MAX_EXACT_PX, _MAX_DETECTED_PX = 0.1, 50.0  # keypoints of another camera are farther away

# Lengths of a file's recordings: {subject: {(action, trial): frames}}; the keypoints' file has a length for each camera.
_Motions = dict[str, dict[tuple[str, str], int]]
_Views = dict[str, dict[tuple[str, str], list[int]]]


@dataclasses.dataclass(frozen=True)
class Row:
    """Result of one check.

    Attributes:
      item: what was checked.
      expected: value in the complete data set.
      found: value in the folder, and the first item that differs.
      ok: whether the check passed.
    """

    item: str
    expected: str
    found: str
    ok: bool


def check(path: str | Path, *, keypoints: str = "gt") -> list[Row]:
    """Check the files of a folder against the published counts.

    Args:
      path: folder with `data_3d_h36m.npz` and `data_2d_h36m_<keypoints>.npz`.
      keypoints: `gt`, or the name of a detector's file, such as `cpn_ft_h36m_dbb`.

    Returns:
      A row for each check; the last says whether `npz_files.load` accepts the files. The corrupt recording of S11's Directions
      is not counted.

    Raises:
      DataError: if there is no such folder, or no file of these keypoints in it.

    Source: the totals are those that VideoPose3D and others report; those of single subjects were counted in the annotations of
    3d-pose-baseline (GitHub, hrhodin/UnsupervisedGeometryAwareRepresentationLearning, issue 5).
    """
    file_2d, file_3d = npz_files.keypoints_file(Path(path), keypoints), Path(path) / "data_3d_h36m.npz"
    exact = keypoints == "gt"
    rows: list[Row] = []
    motions: _Motions = _lengths(file_3d, "positions_3d", _num_frames, rows)
    views: _Views = _lengths(file_2d, "positions_2d", _num_frames_of_views, rows)
    for subject in npz_files.SUBJECTS:
        rows.append(_recordings(f"{subject}: motions", subject, motions.get(subject, {})))
        rows.append(_recordings(f"{subject}: keypoints", subject, views.get(subject, {})))
        rows.append(_cameras(subject, views.get(subject, {})))
    rows += [_frames(subjects, motions, views) for subjects in _FRAMES]
    rows.append(_cut(motions, views, exact=exact))
    try:
        dataset = npz_files.load(path, keypoints=keypoints)
    except DataError as error:
        return [*rows, Row("all files", "can be loaded", str(error), False)]
    return [*rows, _projections(dataset, exact=exact), Row("all files", "can be loaded", "can be loaded", True)]


def _lengths(file: Path, key: str, length: Callable[[Any], Any], rows: list[Row]) -> dict[str, dict[tuple[str, str], Any]]:
    """Return the lengths of a file's recordings, and append a row on its subjects."""
    item, expected = f"{file.name}: subjects", ", ".join(npz_files.SUBJECTS)
    try:
        found = npz_files.read_recordings(load_npz(file), key, file)
    except DataError as error:
        rows.append(Row(item, expected, str(error), False))
        return {}
    subjects = [subject for subject, recordings in found.items() if recordings]
    names = [subject for subject in npz_files.SUBJECTS if subject in subjects]
    others = [subject for subject in subjects if subject not in npz_files.SUBJECTS]
    text = ", ".join(names) or "nothing"
    rows.append(Row(item, expected, f"{text}, and {listed(others)}" if others else text, len(names) == len(npz_files.SUBJECTS)))
    return {subject: {name: length(value) for name, value in found[subject].items()} for subject in names}


def _num_frames(value: Any) -> int:
    return len(value) if isinstance(value, np.ndarray) and value.ndim == 3 else 0


def _num_frames_of_views(value: Any) -> list[int]:
    is_row = isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.ndim == 4)
    return [_num_frames(view) for view in value] if is_row else []


def _recordings(item: str, subject: str, found: Iterable[tuple[str, str]]) -> Row:
    expected = dict.fromkeys(ACTIONS, _TRIALS)
    corrupt_subject, (corrupt_action, _) = npz_files.CORRUPT
    if subject == corrupt_subject:
        expected[corrupt_action] -= 1
    counts = collections.Counter(action for action, _ in found)
    wrong = next((action for action in [*expected, *counts] if counts[action] != expected.get(action, 0)), None)
    text = _of_actions(counts)
    if wrong:
        text += f"; {wrong}: {counts[wrong]}, expected {expected.get(wrong, 0)}"
    return Row(item, _of_actions(expected), text, wrong is None)


def _of_actions(counts: dict[str, int]) -> str:
    return f"{sum(counts.values())} recordings of {sum(map(bool, counts.values()))} actions"


def _cameras(subject: str, views: dict[tuple[str, str], list[int]]) -> Row:
    expected = len(CAMERAS[subject])
    numbers = sorted({len(lengths) for lengths in views.values()})
    text = " or ".join(map(str, numbers)) or "nothing"
    wrong = next((recording for recording, lengths in views.items() if len(lengths) != expected), None)
    if wrong:
        text += f"; {' '.join(wrong).rstrip()}: {len(views[wrong])}"
    return Row(f"{subject}: cameras of each recording", str(expected), text, numbers == [expected])


def _frames(subjects: str, motions: _Motions, views: _Views) -> Row:
    expected = _FRAMES[subjects]
    found = sum(min(pair) for name, *pair in _pairs(motions, views) if name.partition("/")[0] in subjects.split())
    role = f"{_ROLES[subjects]} ({subjects})" if subjects in _ROLES else subjects
    return Row(f"frames over all cameras: {role}", f"{expected:,}", f"{found:,}", found == expected)


def _cut(motions: _Motions, views: _Views, *, exact: bool) -> Row:
    longer = {name: keypoints - motion for name, motion, keypoints in _pairs(motions, views) if keypoints > motion}
    shorter = [f"{name}: {keypoints} of {motion}" for name, motion, keypoints in _pairs(motions, views) if keypoints < motion]
    text = f"{sum(longer.values()):,}"
    if longer:
        first = next(iter(longer))
        text += f" in {len(longer)} videos, at most {max(longer.values())}; {first}: {longer[first]}"
    if shorter:
        text += f"; {len(shorter)} videos end before their motion; {shorter[0]}"
    expected = "0" if exact else "0 or more, left out"
    return Row("frames of keypoints after the motion's end", expected, text, not shorter and not (exact and longer))


def _pairs(motions: _Motions, views: _Views) -> Iterator[tuple[str, int, int]]:
    """Yield the name of each video, the number of frames of its motion and that of its keypoints."""
    for subject, recordings in views.items():
        for recording, lengths in recordings.items():
            if recording in motions.get(subject, {}):
                name, motion = f"{subject}/{' '.join(recording).rstrip()}", motions[subject][recording]
                for camera, length in zip(CAMERAS[subject], lengths, strict=False):
                    yield f"{name}/{camera.name}", motion, length


@np.errstate(over="ignore", invalid="ignore")  # an infinite distance fails the check
def _projections(dataset: PoseDataset, *, exact: bool) -> Row:
    """Compare the keypoints with the joints projected into the cameras."""
    far = {}
    for sequence in dataset.sequences:
        difference = sequence.inputs_2d[::_STEP] - project(sequence.poses_3d[::_STEP], sequence.camera)
        distances = np.linalg.norm(difference, axis=-1)  # [T, J]
        far[sequence.name] = float(distances.max() if exact else np.median(distances))
    worst = max(far, key=lambda name: far[name])
    distance, limit = (far[worst], _MAX_EXACT_PX) if exact else (float(np.median(list(far.values()))), _MAX_DETECTED_PX)
    expected = f"{'' if exact else 'typically '}at most {limit} px"
    found = f"{distance:.2g} px; the worst {worst}: {far[worst]:.2g} px"
    return Row("distance of keypoints from projected joints", expected, found, distance <= limit)
