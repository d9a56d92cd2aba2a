"""Write data files: joint positions from motion capture, the generated and embedded data sets, and the pose prior.

Each function returns the lines that a command prints about what it wrote.
"""

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

_MOST_LINES = 20  # refused files that are listed one by one; more are grouped by reason
_MOST_NAMES = 20  # subjects that are named in a line


@dataclasses.dataclass(frozen=True)
class Converted:
    """Summary of a conversion of motion capture files.

    Attributes:
      written: lines on the skeletons found and the file written; empty if none was.
      files: number of files that were converted.
      refused: number of files that were refused.
      reasons: one line for each refused file with its reason; for many files, one line for each reason.
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
    """Convert motion capture files to a joint-position file, and write a report. Refused files do not stop the others.

    Args:
      source: folder, or one file.
      output: the `.npz` file; must not exist.
      skeleton: name of a known skeleton or mapping file; None to recognise it (`conversion.convert`).
      options: how files are read.
      report_file: `.html` or `.json`; None for no report.
      track: wraps the list of files, to show progress.

    Raises:
      DataError: if there is no motion file, no such skeleton, or only one file and it is refused.
      UserError: if the output exists or cannot be written, or an output's name has a wrong ending.
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
    """Write a draft of a mapping file for the first motion file of a source (`draft.mapping`).

    Raises:
      UserError: if the output exists.
      DataError: if there is no motion file, or the first is damaged.
    """
    check_new(output)
    write_whole(output, draft.mapping(source))
    return f"wrote {output}; fill in the missing joints, then convert with --skeleton={output}"


def synthetic_files(output: Path, *, num_frames: int, fps: float) -> str:
    """Write the generated data set as a joint-position file, or as a folder of files in Human3.6M's form.

    Args:
      output: the joint-position file if the name ends in `.npz`, else the folder.
      num_frames: number of frames over four cameras.
      fps: frames per second of the joint-position file.

    Raises:
      UserError: if an output file exists.
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
    """Write the file of the embedded data set (`embedded.select`).

    Args:
      source: joint-position file of CMU's database, 30 frames a second.
      output: the `.npz` file; must not exist.

    Raises:
      DataError: if the source is missing or damaged, has another frame rate, or lacks a person or clip.
      UserError: if the output exists or cannot be written.
    """
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
    """Fit the prior of 2D poses in images (`pose.prior`) to a joint-position file, and write it.

    Every sixth frame of each clip is seen by four level cameras that are drawn for the clip, 2.7 to 6.3 m away and 0.5 to 2.5 m
    high. The clip starts at the origin. Frames with a joint nearer than half a metre are left out.

    Raises:
      DataError: if the source is missing or damaged, or gives fewer than 1,000 poses.
      UserError: if the output exists or cannot be written.
    """
    clip_files.check_output(output)
    clips = load_npz(source)
    poses = []
    for seed, key in enumerate(sorted(clips)):
        clip = clips[key]
        if getattr(clip, "shape", ())[1:] != (17, 3):
            continue  # an array that is no clip, such as fps
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
