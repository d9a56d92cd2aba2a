"""Convert folders of motion capture files to clips of Human3.6M's 17 joints, and report what is odd in them.

The steps: read each file (`motion_files`); map its joints to the 17 (`recognise`, `skeleton_maps`); cut rest poses and jumps
(`recordings`); turn all files of a skeleton upright (`verticals`); measure and check the clips (`plausibility`). A file that
cannot be read, or that cannot be of a person, is refused, and the others are converted. Odd findings are warnings.
"""

import contextlib
import dataclasses
import hashlib
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.mocap import clip_files, clip_names, messages, motion_files, plausibility, recognise, recordings, verticals
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.data.mocap.plausibility import Check, Measures
from srnet_jax.data.mocap.skeleton_maps import Layout
from srnet_jax.errors import ConfigError, DataError, UserError, naming
from srnet_jax.io.text import shown
from srnet_jax.pose.frames import interpolated

_WHOLE = 1e-4  # a ratio of frame rates this close to a whole number counts as whole: files round their frame time
_SHORTEST_S = 0.5  # of clips that are compared with others
_MOST_CHECKS = 3  # in one message
_FLAT = 0.01  # smallest extent of markers, relative to the largest; thinner ones are 2D
_MARKERS = (".trc", ".c3d")  # files of markers, between which distances are not constant
_SET_UP = "set `up` in a mapping file"
_SET_RATE = "set fps in a mapping file, or --source_fps"
_IF_WRONG = f"if that is wrong, {_SET_RATE}"
_SAME_RATE = 0.01  # relative difference of frame rates that count as equal


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of a conversion.

    Attributes:
      fps: frames per second of the clips. Every n-th frame is used if that is exact; otherwise positions are interpolated
        linearly at the exact times.
      source_fps: frames per second of all files, instead of those in the files or the mapping; None to use these, and 120 for
        `.amc` files, which have none.
      names: pattern of the files' names (`clip_names.parse`), instead of that in the mapping; empty to use the mapping's.

    Raises:
      ConfigError: if a frame rate is not from 0.1 to 10,000.
      DataError: if the pattern of names is not valid.
    """

    fps: float = 30.0
    source_fps: float | None = None
    names: str = ""

    def __post_init__(self) -> None:
        for name, value in (("fps", self.fps), ("source_fps", self.source_fps)):
            if value is not None and not 0.1 <= value <= 1e4:
                raise ConfigError(f"{name}: {value} is not allowed, expected 0.1 to 10,000 frames per second")
        with naming("name"):
            clip_names.pattern(self.names)


@dataclasses.dataclass
class Recording:
    """Result of converting a file.

    Attributes:
      file: its path.
      key: subject/action/clip; empty if the file's name does not match the pattern.
      layout: how the 17 joints were computed from the file's; None if the file could not be read.
      fps: frames per second of the file.
      rate_guess: what the file has in place of a frame rate, if that was guessed from the motion; empty otherwise.
      refused: reason why the file was refused; empty if it was converted.
      notes: what was odd in the file, and what was cut or moved.
      checks: results of the plausibility checks.
      measures: measures of its clips; None if the file could not be read.
      first_pose: [17, 3] first frame of the file, before anything was cut; world frame, z up, metres. None if the file could
        not be read.
      clips: {subject/action/clip: [T, 17, 3] joints, world frame, metres}; several if the file was split.
    """

    file: Path
    key: str = ""
    layout: Layout | None = None
    fps: float = 0.0
    rate_guess: str = ""
    refused: str = ""
    notes: list[str] = dataclasses.field(default_factory=list)
    checks: list[Check] = dataclasses.field(default_factory=list)
    measures: Measures | None = None
    first_pose: np.ndarray | None = None
    clips: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def subject(self) -> str:
        """The first part of the key."""
        return self.key.partition("/")[0]


@dataclasses.dataclass(frozen=True)
class Conversion:
    """Result of converting all files of a folder.

    Attributes:
      files: the result of each file.
      subjects: measures and checks of each subject, with the medians over its files.
      recognised: a line for each skeleton that was found, with its unit and vertical axis.
    """

    files: tuple[Recording, ...]
    subjects: dict[str, tuple[Measures, list[Check]]]
    recognised: tuple[str, ...]

    @property
    def refused(self) -> list[Recording]:
        """The files that were refused."""
        return [recording for recording in self.files if recording.refused]

    @property
    def clips(self) -> dict[str, np.ndarray]:
        """The clips of all files that were not refused."""
        return {key: poses for recording in self.files if not recording.refused for key, poses in recording.clips.items()}


def convert(
    source: str | Path,
    skeleton: str | Path | None = None,
    options: Options | None = None,
    track: Callable[[list[Any]], Iterable[Any]] = lambda items: items,
) -> Conversion:
    """Convert all motion files in a folder and the folders below it. Warns of everything odd in them.

    Args:
      source: the folder, or one file.
      skeleton: a name of `builtin_skeletons.LAYOUTS`, a mapping file (`skeleton_maps.read_mapping`), or None to recognise the
        skeleton of each file.
      options: of the conversion.
      track: wraps the list of files while they are read, to show progress.

    Returns:
      The results of all files. A file that is damaged, implausible, without its `.asf` or with the name of another is no error;
      its `Recording.refused` has the reason.

    Raises:
      DataError: if there are no files, or no such skeleton.
    """
    source, options = Path(source), options or Options()
    layouts = recognise.layouts(skeleton)
    files = motion_files.find(source)
    found = _named(files, source, options.names or layouts[0].names)
    beside = sorted(source.parent.iterdir() if source.is_file() else source.rglob("*"))
    for recording in track([recording for recording in found if not recording.refused]):
        _read(recording, layouts, beside, options)
    for recording, fps in _rates_of_folders(found):
        guess = recording.rate_guess
        recording.notes, recording.clips = [], {}
        _read(recording, layouts, beside, dataclasses.replace(options, source_fps=fps))
        recording.notes.append(f"{guess}; read as {fps:.4g} frames a second, as the other files of its folder; {_IF_WRONG}")
    unsure = _turn_upright(found)
    for recording in found:
        if recording.layout and not recording.refused:
            _judge(recording, recording.layout, options.fps)
    _refuse_same_clips(found)
    _note_same_motions(found, options.fps)
    subjects = _judge_subjects(found)
    _lower_to_floors(found)
    _warn(found, subjects, motion_files.passed_over(source, files) + [(str(source), line) for line in unsure])
    recognised = recognise.summary([recording.layout for recording in found if recording.layout and not recording.refused])
    return Conversion(tuple(found), subjects, tuple(recognised))


def _read(recording: Recording, layouts: tuple[Layout, ...], beside: list[Path], options: Options) -> None:
    """Read a recording's file, and fill in its clips."""
    with _refusing(recording):
        motion = motion_files.read(recording.file, beside)
        recording.layout, motion, poses = recognise.poses_of(motion, layouts, recording.file)
        _fill(recording, recording.layout, motion, poses, options)


def _rates_of_folders(found: list[Recording]) -> list[tuple[Recording, float]]:
    """Return the recordings whose frame rate was guessed, each with the rate on which the other files of its folder agree."""
    rates: dict[Path, list[float]] = {}
    for recording in found:
        if recording.clips and not recording.rate_guess and not recording.refused:
            rates.setdefault(recording.file.parent, []).append(recording.fps)
    agreed = {folder: own[0] for folder, own in rates.items() if max(own) < min(own) * (1 + _SAME_RATE)}
    guessed = [recording for recording in found if recording.rate_guess and not recording.refused]
    return [(recording, agreed[recording.file.parent]) for recording in guessed if recording.file.parent in agreed]


def resampled(poses: np.ndarray, source_fps: float, fps: float) -> np.ndarray:
    """Resample poses to another frame rate.

    Args:
      poses: [T, ...].
      source_fps: their frames per second.
      fps: frames per second of the result.

    Returns:
      [T', ...], with the same first frame, and not longer in time. Frames are taken as they are if the ratio of the rates is
      whole, and interpolated linearly otherwise.
    """
    ratio = source_fps / fps
    if round(ratio) >= 1 and abs(ratio - round(ratio)) < _WHOLE * ratio:
        return poses[:: round(ratio)]
    times = np.arange(int((len(poses) - 1) / ratio + 1e-6) + 1) * ratio  # in frames of the source
    return interpolated(poses, times)


def _named(files: list[Path], source: Path, names: str) -> list[Recording]:
    """Return the recordings with their keys; files whose names do not match the pattern are refused."""
    keys = {} if names else clip_names.clip_keys(files, source)
    found = [Recording(file, keys.get(file, "")) for file in files]
    for recording in found if names else ():
        with _refusing(recording):
            recording.key = clip_names.parse(recording.file, names)
    return found


def _fill(recording: Recording, layout: Layout, motion: Motion, poses: np.ndarray, options: Options) -> None:
    """Fill in a recording's clips: find the frame rate, cut rest poses and jumps, and resample.

    Args:
      recording: of the file.
      layout: of its joints.
      motion: as read.
      poses: [T, 17, 3] joints, metres, in the file's axes if the vertical is not known yet.
      options: of the conversion.

    Raises:
      DataError: if there is only a rest pose, the poses are flat, the frame rate is unknown, or the name is no clip's.
    """
    recording.first_pose = poses[0]
    recording.notes += motion.notes
    if (layout.rest_pose is None or layout.rest_pose) and recordings.in_rest_pose(poses).all():
        frames = f"all {len(poses):,} frames" if len(poses) > 1 else "its only frame"
        raise DataError(f"found only a rest pose (T-pose or A-pose) in {frames}, expected motion")
    widths = np.median(np.ptp(poses, axis=1), axis=0)
    if recording.file.suffix.lower() in _MARKERS and widths.min() < _FLAT * widths.max():
        raise DataError("found all joints of a frame in one plane, expected 3D: launch.predict lifts 2D keypoints")
    fps, note = options.source_fps or layout.fps or 0.0, ""
    if not fps:
        fps, note = recordings.frame_rate(motion.fps, poses, "mocap_framerate" * (recording.file.suffix.lower() == ".npz"))
    if not fps:
        raise DataError(f"{note}; {_SET_RATE}")
    recording.fps = fps
    recording.rate_guess = note.partition(";")[0] if note.endswith(recordings.GUESS) else ""
    recording.notes += [f"{note}; {_IF_WRONG}"] if note else []
    if options.fps > fps * (1 + _WHOLE):
        recording.notes.append(f"found {fps:.4g} frames a second, interpolated to {options.fps:g}")
    pieces, cut = recordings.parts(poses, fps, layout.rest_pose)
    recording.notes += cut
    keys = [recording.key] if len(pieces) == 1 else [f"{recording.key}.part{number}" for number in range(1, len(pieces) + 1)]
    for key, piece in zip(keys, pieces, strict=True):
        clip_files.check_key(key, shown(key))
        recording.clips[key] = resampled(poses[piece], fps, options.fps).astype(np.float32)


def _turn_upright(found: list[Recording]) -> list[str]:
    """Turn the clips of each skeleton's files upright, unless its vertical is given; return a line for each uncertain one.

    The clips of files that are not refused determine the vertical; refused files are turned with them.
    """
    groups: dict[str, list[tuple[Recording, Layout, np.ndarray]]] = {}
    for recording in found:
        if recording.layout and recording.layout.up is None and recording.first_pose is not None:
            groups.setdefault(recording.layout.name, []).append((recording, recording.layout, recording.first_pose))
    unsure = []
    for name, group in groups.items():
        seen = [(one, verticals.measure(clip)) for one, _, _ in group if not one.refused for clip in one.clips.values()]
        votes = [vertical for _, vertical in seen] or [verticals.measure(first_pose[None]) for _, _, first_pose in group]
        up, sure = verticals.up_axis(votes, recognise.usual_up(group[0][1]))
        unsure += [f"{name}: the vertical axis is uncertain, used {up}; {_SET_UP}"] if seen and not sure else []
        for recording, vertical in seen:
            other = verticals.stands_along(vertical, up)
            note = f"found people standing along {other} or lying in nearly all frames, used {up} as in all files of {name}"
            recording.notes += [f"{note}; {_SET_UP}"] if other else []
        for recording, layout, first_pose in group:
            recording.layout = upright = dataclasses.replace(layout, up=up)
            recording.clips = {key: upright.turned(clip) for key, clip in recording.clips.items()}
            recording.first_pose = upright.turned(first_pose)
    return unsure


def _judge(recording: Recording, layout: Layout, fps: float) -> None:
    """Measure the clips of a recording, at `fps` frames per second, and refuse it if they cannot be of a person."""
    measures = plausibility.pooled([plausibility.measure(clip, fps) for clip in recording.clips.values()])
    recording.measures = measures = dataclasses.replace(measures, fps=recording.fps)
    axis = layout.source_axis(measures.lies_along) if measures.lies_along else ""
    rigid = recording.file.suffix.lower() not in _MARKERS
    recording.checks = plausibility.checks(measures, unit_m=layout.unit_m or 1.0, axis=axis, of_clip=True, rigid=rigid)
    impossible = [check for check in recording.checks if check.verdict == "impossible"]
    recording.refused = _joined(impossible, 1) if impossible else ""


def _refuse_same_clips(found: list[Recording]) -> None:
    taken: dict[str, Path] = {}
    for recording in found:
        twice = "" if recording.refused else next((key for key in recording.clips if key in taken), "")
        if twice:
            hint = "set name in a mapping file, or --name"
            recording.refused = f"found the clip {twice}, which {taken[twice]} has too; {hint}"
        elif not recording.refused:
            taken |= dict.fromkeys(recording.clips, recording.file)


def _note_same_motions(found: list[Recording], fps: float) -> None:
    """Note in each recording whether another subject has the same motion: one person may have been filed under two names."""
    first: dict[bytes, Recording] = {}
    for recording in (recording for recording in found if not recording.refused):
        for clip in (clip for clip in recording.clips.values() if len(clip) >= _SHORTEST_S * fps):
            other = first.setdefault(hashlib.sha256(clip.tobytes()).digest(), recording)
            if other.subject != recording.subject:
                same = f"found the motion that subject {other.subject} has too, expected those of different people to differ"
                recording.notes.append(f"{same}; do not train on one and test on the other")
                break


def _judge_subjects(found: list[Recording]) -> dict[str, tuple[Measures, list[Check]]]:
    """Return the measures and checks of each subject, over its files that are not refused if there are any.

    If the subject lies in the median over its files and walks in some of them, all its files are refused.
    """
    subjects = {}
    for name in dict.fromkeys(recording.subject for recording in found if recording.measures):
        own = [recording for recording in found if recording.subject == name and recording.measures]
        measures = _pooled(own)
        lies_along = measures.lies_along if measures.upright < plausibility.LYING else ""
        layout = next(recording.layout for recording in own if recording.layout)
        axis = layout.source_axis(lies_along) if lies_along else ""
        if axis:
            trunk = _trunk(plausibility.checks(measures, unit_m=layout.unit_m or 1.0, axis=axis))
            for recording in own:
                recording.refused = recording.refused or f"median over the files of the subject: {trunk}"
        measures = _pooled([recording for recording in own if not recording.refused] or own)
        subjects[name] = (measures, plausibility.checks(measures, unit_m=layout.unit_m or 1.0, axis=axis))
    return subjects


def _pooled(some: list[Recording]) -> Measures:
    return plausibility.pooled([recording.measures for recording in some if recording.measures])


def _trunk(checks: list[Check]) -> Check:
    return next(check for check in checks if check.kind == plausibility.TRUNK)


def _lower_to_floors(found: list[Recording]) -> None:
    """Move clips up or down until their floors are at z = 0."""
    by_subject: dict[str, dict[str, float]] = {}
    for recording in found:
        if recording.measures and not recording.refused:
            by_subject.setdefault(recording.subject, {})[recording.key] = recording.measures.floor_m
    heights = {key: height for floors in by_subject.values() for key, height in recordings.floors(floors).items() if height}
    for recording in found:
        if not recording.refused and recording.key in heights:
            height = heights[recording.key]
            down = np.array([0, 0, height], np.float32)
            recording.clips = {key: clip - down for key, clip in recording.clips.items()}
            recording.notes.append(f"found the floor at a height of {height:.2f} m, moved it to 0")


def _warn(found: list[Recording], subjects: dict[str, tuple[Measures, list[Check]]], more: list[tuple[str, str]]) -> None:
    """Warn of all notes and odd checks, and of `more` as pairs of place and text; equal ones share a warning."""
    placed = more + [(str(recording.file), note) for recording in found if not recording.refused for note in recording.notes]
    for recording in found:
        odd = [check for check in recording.checks if check.verdict == "odd"]
        placed += [(str(recording.file), _joined(odd, _MOST_CHECKS))] if odd and not recording.refused else []
    for name, (_, checks) in subjects.items():
        placed += [(f"subject {name}", str(_trunk(checks)))] if _trunk(checks).verdict == "odd" else []
    for line in messages.grouped(placed):
        warnings.warn(line, stacklevel=3)


def _joined(checks: list[Check], most: int) -> str:
    more = f" (and {len(checks) - most} more)" if len(checks) > most else ""
    return "; ".join(map(str, checks[:most])) + more


@contextlib.contextmanager
def _refusing(recording: Recording) -> Iterator[None]:
    """Refuse a recording if a UserError is raised within; the message is the reason."""
    try:
        yield
    except UserError as error:
        recording.refused = str(error).removeprefix(f"{recording.file}: ")
