"""Make joint-position files and generated data sets, and say what was written."""

import dataclasses
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data import embedded, synthetic
from srnet_jax.data.h36m import raw_files
from srnet_jax.data.mocap import clip_files, conversion, draft, messages, report
from srnet_jax.errors import DataError, naming
from srnet_jax.io.files import check_new, write_whole
from srnet_jax.io.safe_load import load_npz
from srnet_jax.pose import prior
from srnet_jax.pose.cameras import project, virtual_cameras, world_to_camera

_MOST_LINES = 20  # of refused files, each with its reason
_MOST_NAMES = 20  # of subjects, in the line that says what was written


@dataclasses.dataclass(frozen=True)
class Converted:
    """What became of a folder of motion capture files.

    Attributes:
      written: what was written, as text; empty if nothing was.
      files: how many files were converted.
      refused: how many were not.
      reasons: which files were refused and why, a line each; many with one reason share a line.
    """

    written: str
    files: int
    refused: int
    reasons: tuple[str, ...]


def mocap_file(
    source: Path,
    output: Path,
    *,
    skeleton: str | None,
    options: conversion.Options,
    report_file: Path | None = None,
    track: Callable[[list[Any]], Iterable[Any]] = lambda files: files,
) -> Converted:
    """Convert motion capture to a joint-position file, and write a report, also if files are refused.

    Args:
      source: folder or file, as `skeleton`, `options` and `track` of `conversion.convert`.
      output: the `.npz` file.
      skeleton: see `source`.
      options: see `source`.
      report_file: `.html` or `.json`; None for no report.
      track: see `source`.

    Raises:
      DataError: if there is one file, and it is refused; and as `conversion.convert`.
      UserError: as `clip_files.check_output` and `report.check_path`.
    """
    clip_files.check_output(output)
    if report_file:
        report.check_path(report_file)
    found = conversion.convert(source, skeleton, options, track)
    if report_file:
        report.save(report_file, found, str(source))
    refused = [(str(recording.file), recording.refused) for recording in found.refused]
    if len(found.files) == len(refused) == 1:
        raise DataError(": ".join(refused[0]) + (f"; see {report_file}" if report_file else ""))
    written = "\n".join([*found.recognised, _save(output, found.clips, options.fps)]) if found.clips else ""
    lines = [f"{file}: {why}" for file, why in refused]
    reasons = lines if len(lines) <= _MOST_LINES else messages.grouped(refused)
    return Converted(written, len(found.files) - len(refused), len(refused), tuple(reasons))


def draft_skeleton(source: Path, output: Path) -> str:
    """Write a draft of a mapping file for the first motion of a source, see `draft.mapping`; refuse a file that exists."""
    check_new(output)
    write_whole(output, draft.mapping(source))
    return f"wrote {output}; fill in what it lacks, then convert with --skeleton={output}"


def synthetic_files(output: Path, *, num_frames: int, fps: float) -> str:
    """Write the generated set as a joint-position file where the name ends in .npz, else as a folder of Human3.6M's files.

    Args:
      output: the file or folder.
      num_frames: over four cameras.
      fps: frames per second of a joint-position file.
    """
    recordings = synthetic.recordings(num_frames // 4, seed=0)
    if output.suffix != ".npz":
        raw_files.write(output, recordings)
        return f"wrote {output}; train on it with: --config=configs/h36m_sr.py --config.data.path={output}"
    clips = {
        f"{subject}/{action}/{trial}": conversion.resampled(poses, synthetic.FPS, fps).astype("float32")
        for subject, action, trial, poses in recordings
    }
    return _save(output, clips, fps)


def embedded_file(source: Path, output: Path) -> str:
    """Write the embedded data set, see `embedded.select`, from a joint-position file of CMU's database, 30 frames a second."""
    clip_files.check_output(output)
    recordings, fps = clip_files.read(source, embedded.FPS)
    if fps != embedded.FPS:
        raise DataError(f"{source}: found {fps:g} frames a second, expected {embedded.FPS:g}")
    with naming(source):
        arrays = embedded.select(recordings)
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    write_whole(output, content.getvalue())
    frames = sum(len(array) for array in arrays.values() if array.ndim)
    return f"wrote {len(arrays) - 1} clips, {frames:,} frames, {content.tell() / 1e6:.2f} MB, to {output}"


def pose_prior(source: Path, output: Path) -> str:
    """Write how people look in images, see `pose.prior`, from a joint-position file.

    Every sixth frame of each clip, begun at the origin, is seen by four level cameras of its own, 2.7 to 6.3 m away and 0.5 to
    2.5 m high; frames with a joint nearer than half a metre are left out.
    """
    clip_files.check_output(output)
    clips = load_npz(source)
    poses = []
    for seed, key in enumerate(sorted(clips)):
        clip = clips[key]
        if getattr(clip, "shape", ())[1:] != (17, 3):
            continue  # what is beside the clips
        world = clip[::6] - clip[:1, :1] * np.array([1, 1, 0], np.float32)
        cameras = virtual_cameras(
            number=4,
            distance_m=4.5,
            distance_spread=0.4,
            height_m=1.5,
            height_spread_m=1.0,
            focal_px=1145.0,
            width_px=1000,
            height_px=1000,
            seed=seed,
        )
        for camera in cameras:
            seen = world_to_camera(world, camera)
            poses.append(project(seen[seen[..., 2].min(-1) > 0.5], camera))
    points = np.concatenate(poses).astype(np.float64) if poses else np.zeros((0, 17, 2))
    if len(points) < 1000:
        raise DataError(f"{source}: found {len(points)} frames that cameras see, expected 1,000 or more joint positions")
    mean, covariance = prior.fit(points)
    content = io.BytesIO()
    np.savez_compressed(content, mean=mean.astype(np.float32), covariance=covariance.astype(np.float32))
    write_whole(output, content.getvalue())
    return f"wrote mean and covariance of {len(points):,} poses to {output}"


def _save(output: Path, clips: dict[str, np.ndarray], fps: float) -> str:
    clip_files.save(output, clips, fps=fps)
    subjects = list(dict.fromkeys(key.partition("/")[0] for key in clips))
    more = ", ..." if len(subjects) > _MOST_NAMES else ""
    people = f"{_counted(len(subjects), 'subject')} ({', '.join(subjects[:_MOST_NAMES])}{more})"
    frames = sum(map(len, clips.values()))
    return f"wrote {_counted(len(clips), 'clip')} of {people}, {frames:,} frames at {fps:g} a second, to {output}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'s' * (number != 1)}"
