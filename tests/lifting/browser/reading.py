"""Read keypoint files with the package and with the browser's readers, and compare what they find."""

import dataclasses
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np

from srnet_jax.errors import UserError
from srnet_jax.keypoints import keypoint_files
from srnet_jax.keypoints.keypoint_files import Hints
from srnet_jax.lifting import sources
from srnet_jax.lifting.browser import reading_tables
from tests.lifting.browser.node import run

NO_HINTS = Hints()
_FIELDS = ("name", "clip", "layout", "fps", "first_frame", "every")
_SCRIPT = """
  const { readFiles } = await load('read.js');
  const { UserError } = await load('errors.js');
  const made = [];
  for (const { files, options } of inputs.cases) {
    const warnings = [];
    const started = Date.now();
    try {
      const tracks = await readFiles(files, inputs.tables, { ...options, warn: (message) => warnings.push(message) });
      made.push({ tracks, warnings, ms: Date.now() - started });
    } catch (error) {
      made.push({ refused: error.message, isOurs: error instanceof UserError, stack: error.stack, ms: Date.now() - started });
    }
  }
  return made;
"""


@dataclasses.dataclass
class Case:
    """The files of a reader's input, and what the package finds in them: tracks, or the message of a refusal."""

    files: list[tuple[str, bytes]]
    folder: str | None
    hints: Hints
    layout: str | None = None
    tracks: tuple = ()
    refused: str | None = None
    warned: tuple[str, ...] = ()

    @property
    def is_left_out(self):
        """Whether the browser refuses such files by name: Python objects, YOLO labels, other folders, rotated images."""
        if (
            self.hints.rotate
            or self.hints.usual_size
            or self.hints.keypoint_format in ("yolo_txt", "videopose3d", "detectron2")
        ):
            return True
        if self.folder is not None:
            return len(self.files) < 2 or not all(name.lower().endswith(".json") for name, _ in self.files)
        return has_objects(self.files[0][1])


def has_objects(data):
    """Return whether a file is an .npz archive with pickles."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return any(b"|O" in archive.read(name)[:200] for name in archive.namelist())
    except Exception:  # damaged archives
        return False


def case_of(path, hints=NO_HINTS, layout=None):
    """Read a file or folder with the package."""
    path = Path(path)
    places = sorted(child for child in path.iterdir() if child.is_file()) if path.is_dir() else [path] if path.exists() else []
    case = Case([(place.name, place.read_bytes()) for place in places], path.name if path.is_dir() else None, hints, layout)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            case.tracks = sources.described(keypoint_files.load(path, hints), path, layout=layout, fps=None)
        except UserError as error:
            case.refused = str(error).replace(str(path), path.name)
    case.warned = tuple(str(one.message).replace(str(path), path.name) for one in warned)
    return case


def browser_reads(cases, timeout=120):
    """Read the files of cases in Node; return tracks and warnings, or the refusal, of each."""
    asked = [
        {
            "files": [{"name": name, "bytes": data} for name, data in case.files],
            "options": {
                "format": case.hints.keypoint_format,
                "layout": case.layout,
                "imageSize": case.hints.image_size,
                "minConfidence": case.hints.min_confidence,
                **({} if case.folder is None else {"folder": case.folder}),
            },
        }
        for case in cases
    ]
    return run(_SCRIPT, timeout=timeout, cases=asked, tables=reading_tables.tables())


def difference(case, found):
    """Return how the browser's result differs from the package's; "" if it does not."""
    if "refused" in found:
        if not found["isOurs"]:
            return f"an error: {found['stack']}"
        return "" if case.refused else f"refused: {found['refused']}"
    if case.refused:
        return f"not refused: {case.refused}"
    if len(found["tracks"]) != len(case.tracks):
        return f"{len(found['tracks'])} tracks for {len(case.tracks)}"
    for track, own in zip(case.tracks, found["tracks"], strict=True):
        wrong = _track_difference(track, own)
        if wrong:
            return f"{track.name}: {wrong}"
    return ""


def _track_difference(track, own):
    keys = {"first_frame": "firstFrame"}
    for field in _FIELDS:
        expected, found = getattr(track, field), own[keys.get(field, field)]
        if expected != found and not (
            isinstance(expected, float) and found is not None and np.isclose(expected, found, rtol=1e-9)
        ):
            return f"{field} {found!r} for {expected!r}"
    if tuple(own["imageSize"]) != tuple(track.image_size):
        return f"image size {own['imageSize']} for {track.image_size}"
    if (own["frames"], own["joints"]) != track.confidences.shape:
        return f"shape {own['frames'], own['joints']} for {track.confidences.shape}"
    if (own["times"] is None) != (track.times is None):
        return f"times {own['times']} for {track.times}"
    arrays = [("keypoints", track.keypoints), ("confidences", track.confidences), ("detected", track.detected)]
    arrays += [] if track.times is None else [("times", track.times)]
    for name, expected in arrays:
        if not np.allclose(own[name].reshape(expected.shape), expected, rtol=1e-6, atol=1e-6, equal_nan=True):
            return f"{name} differ"
    return ""
