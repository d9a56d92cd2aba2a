"""From folders of motion capture files to clips, with a word on all that is odd in them.

Each file is read (`motion_files`), its joints become the 17 (`recognise`, `skeleton_maps`), what is no motion is cut
(`recordings`), all files of one skeleton are turned upright (`verticals`), and what is left is measured and judged
(`plausibility`). A file that cannot be read or is no person's is refused; the others go on. What is odd is a warning, one for
all files that share it. `report` writes all numbers down.
"""

import contextlib
import dataclasses
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

_WHOLE = 1e-4  # a ratio of frame rates this close to a whole number is one: files round their frame time
_MOST_CHECKS = 3  # in one message
_MARKERS = (".trc", ".c3d")  # whose bones are not rigid
_SAY_UP = "state `up` in a mapping file"
_SAY_RATE = "say fps in the mapping, or --source_fps"


@dataclasses.dataclass(frozen=True)
class Options:
    """How files are read.

    Attributes:
      fps: frames per second of the clips. Every n-th frame is taken where that is exact, otherwise positions are interpolated
        linearly at the exact times.
      source_fps: frames per second of all files, instead of what they or the mapping say; None to believe them, and 120 for
        `.amc` files, which do not say.
      names: how files are named, see `clip_names.parse`, instead of what the mapping says; empty to leave it at that.

    Raises:
      ConfigError: if a frame rate is not from 0.1 to 10,000.
      DataError: if the pattern of names is none.
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
    """What became of a file.

    Attributes:
      file: its path.
      key: subject/action/clip, empty if the file's name does not say.
      layout: how its joints became the 17; None if it could not be read.
      fps: frames per second of the file.
      refused: why it was refused, or empty.
      notes: what was odd in the file, and what was cut or moved.
      checks: what was found and expected.
      measures: of its clips; None if it could not be read.
      first_pose: [17, 3] of the file, before anything was cut; metres, z up. None if it could not be read.
      clips: {subject/action/clip: [T, 17, 3] float32 world metres}; several if it was split.
    """

    file: Path
    key: str = ""
    layout: Layout | None = None
    fps: float = 0.0
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
    """All files of a folder.

    Attributes:
      files: what became of each.
      subjects: the checks of each subject, whose numbers are the medians over its files.
      recognised: a line for each skeleton that was found, with its unit and vertical.
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
        """The clips of all other files."""
        return {key: poses for recording in self.files if not recording.refused for key, poses in recording.clips.items()}


def convert(
    source: str | Path,
    skeleton: str | Path | None = None,
    options: Options | None = None,
    track: Callable[[list[Any]], Iterable[Any]] = lambda items: items,
) -> Conversion:
    """Read all motion files in a folder and the folders below it, see `motion_files`.

    Warns of all that is odd.

    Args:
      source: the folder, or one file.
      skeleton: a name of `builtin_skeletons.LAYOUTS`, a mapping file, see `skeleton_maps`, or None for whichever fits.
      options: how files are read.
      track: wraps the list of files while they are read, to show progress.

    Raises:
      DataError: if there are no files, or no such skeleton. A file that is damaged, implausible, without its `.asf` or named
        like another is not an error, see `Recording.refused`.
    """
    source, options = Path(source), options or Options()
    layouts = recognise.layouts(skeleton)
    found = _named(motion_files.find(source), source, options.names or layouts[0].names)
    beside = sorted(source.parent.iterdir() if source.is_file() else source.rglob("*"))
    for recording in track([recording for recording in found if not recording.refused]):
        with _refusing(recording):
            motion = motion_files.read(recording.file, beside)
            recording.layout, motion, poses = recognise.poses_of(motion, layouts, recording.file)
            _fill(recording, recording.layout, motion, poses, options)
    unsure = _turn_upright(found)
    for recording in found:
        if recording.layout and not recording.refused:
            _judge(recording, recording.layout, options.fps)
    _refuse_same_clips(found)
    subjects = _judge_subjects(found)
    _lower_to_floors(found)
    _warn(found, subjects, [(str(source), line) for line in unsure])
    recognised = recognise.summary([recording.layout for recording in found if recording.layout and not recording.refused])
    return Conversion(tuple(found), subjects, tuple(recognised))


def resampled(poses: np.ndarray, source_fps: float, fps: float) -> np.ndarray:
    """Return poses [T, ...] at another frame rate, from the same first frame on and no longer than before."""
    ratio = source_fps / fps
    if round(ratio) >= 1 and abs(ratio - round(ratio)) < _WHOLE * ratio:
        return poses[:: round(ratio)]
    times = np.arange(int((len(poses) - 1) / ratio + 1e-6) + 1) * ratio  # in frames of the source
    return interpolated(poses, times)


def _named(files: list[Path], source: Path, names: str) -> list[Recording]:
    """Return the recordings with their keys; refused are those whose names do not follow the pattern."""
    keys = {} if names else clip_names.clip_keys(files, source)
    found = [Recording(file, keys.get(file, "")) for file in files]
    for recording in found if names else ():
        with _refusing(recording):
            recording.key = clip_names.parse(recording.file, names)
    return found


def _fill(recording: Recording, layout: Layout, motion: Motion, poses: np.ndarray, options: Options) -> None:
    """Find the frame rate, cut what is no motion, and resample poses [T, 17, 3], metres, in whatever axes.

    Raises:
      DataError: if there is only a rest pose, nothing says the frame rate, or a clip cannot have such a name.
    """
    recording.first_pose = poses[0]
    recording.notes += motion.notes
    if (layout.rest_pose is None or layout.rest_pose) and recordings.in_rest_pose(poses).all():
        frames = f"all {len(poses):,} frames" if len(poses) > 1 else "its only frame"
        raise DataError(f"found only a rest pose (T-pose or A-pose) in {frames}, expected motion")
    fps, said = options.source_fps or layout.fps or 0.0, ""
    if not fps:
        fps, said = recordings.frame_rate(motion.fps, poses, "mocap_framerate" * (recording.file.suffix.lower() == ".npz"))
    if not fps:
        raise DataError(f"{said}; {_SAY_RATE}")
    recording.fps = fps
    recording.notes += [f"{said}; if that is wrong, {_SAY_RATE}"] if said else []
    if options.fps > fps * (1 + _WHOLE):
        recording.notes.append(f"found {fps:.4g} frames a second; those between, for {options.fps:g}, are interpolated")
    pieces, cut = recordings.parts(poses, fps, layout.rest_pose)
    recording.notes += cut
    keys = [recording.key] if len(pieces) == 1 else [f"{recording.key}.part{number}" for number in range(1, len(pieces) + 1)]
    for key, piece in zip(keys, pieces, strict=True):
        clip_files.check_key(key, shown(key))
        recording.clips[key] = resampled(poses[piece], fps, options.fps).astype(np.float32)


def _turn_upright(found: list[Recording]) -> list[str]:
    """Turn the clips of all files of a skeleton upright, unless its vertical is stated; return what is not sure.

    Refused files only follow the others, whose clips decide.
    """
    groups: dict[str, list[tuple[Recording, Layout, np.ndarray]]] = {}
    for recording in found:
        if recording.layout and recording.layout.up is None and recording.first_pose is not None:
            groups.setdefault(recording.layout.name, []).append((recording, recording.layout, recording.first_pose))
    unsure = []
    for name, group in groups.items():
        seen = [(one, verticals.look(clip)) for one, _, _ in group if not one.refused for clip in one.clips.values()]
        votes = [vertical for _, vertical in seen] or [verticals.look(first_pose[None]) for _, _, first_pose in group]
        up, sure = verticals.up_axis(votes, recognise.usual_up(group[0][1]))
        unsure += [f"{name}: the vertical is not sure, took {up}; {_SAY_UP}"] if seen and not sure else []
        for recording, vertical in seen:
            other = verticals.stands_along(vertical, up)
            note = f"people stand along {other} nearly all the time, or lie: {up} is up in all files of {name}; {_SAY_UP}"
            recording.notes += [note] if other else []
        for recording, layout, first_pose in group:
            recording.layout = upright = dataclasses.replace(layout, up=up)
            recording.clips = {key: upright.turned(clip) for key, clip in recording.clips.items()}
            recording.first_pose = upright.turned(first_pose)
    return unsure


def _judge(recording: Recording, layout: Layout, fps: float) -> None:
    """Measure the clips of a recording, which have `fps`, and refuse what is no person's."""
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
            hint = "say name in the mapping, or --name"
            recording.refused = f"found the clip {twice}, which {taken[twice]} is already; {hint}"
        elif not recording.refused:
            taken |= dict.fromkeys(recording.clips, recording.file)


def _judge_subjects(found: list[Recording]) -> dict[str, tuple[Measures, list[Check]]]:
    """Return the numbers and checks of each subject, over its files that are not refused if there are any.

    Where people lie on median and walk in some files, the others are refused too.
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
                recording.refused = recording.refused or f"in files of the same subject, {trunk}"
        measures = _pooled([recording for recording in own if not recording.refused] or own)
        subjects[name] = (measures, plausibility.checks(measures, unit_m=layout.unit_m or 1.0, axis=axis))
    return subjects


def _pooled(some: list[Recording]) -> Measures:
    return plausibility.pooled([recording.measures for recording in some if recording.measures])


def _trunk(checks: list[Check]) -> Check:
    return next(check for check in checks if check.kind == plausibility.TRUNK)


def _lower_to_floors(found: list[Recording]) -> None:
    """Move clips up or down until their floor is at z = 0."""
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


def _warn(found: list[Recording], subjects: dict[str, tuple[Measures, list[Check]]], said: list[tuple[str, str]]) -> None:
    """Warn once of what several files share but for numbers, and of what else is said."""
    said = said + [(str(recording.file), note) for recording in found if not recording.refused for note in recording.notes]
    for recording in found:
        odd = [check for check in recording.checks if check.verdict == "odd"]
        said += [(str(recording.file), _joined(odd, _MOST_CHECKS))] if odd and not recording.refused else []
    for name, (_, checks) in subjects.items():
        said += [(f"subject {name}", str(_trunk(checks)))] if _trunk(checks).verdict == "odd" else []
    for line in messages.grouped(said):
        warnings.warn(line, stacklevel=3)


def _joined(checks: list[Check], most: int) -> str:
    more = f" (and {len(checks) - most} more)" if len(checks) > most else ""
    return "; ".join(map(str, checks[:most])) + more


@contextlib.contextmanager
def _refusing(recording: Recording) -> Iterator[None]:
    """Turn a UserError into the reason why a recording is refused."""
    try:
        yield
    except UserError as error:
        recording.refused = str(error).removeprefix(f"{recording.file}: ")
