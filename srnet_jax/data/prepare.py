"""Make joint-position files and generated data sets, and say what was written."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from srnet_jax.data import synthetic
from srnet_jax.data.h36m import raw_files
from srnet_jax.data.mocap import clip_files


def mocap_file(
    source: Path,
    output: Path,
    *,
    skeleton: str,
    fps: float,
    source_fps: float,
    track: Callable[[Iterable], Iterable] = lambda files: files,
) -> str:
    """Convert motion capture to a joint-position file; arguments and errors as `clip_files.convert` and `check_output`."""
    clip_files.check_output(output)
    return _save(output, clip_files.convert(source, skeleton, fps=fps, source_fps=source_fps, track=track), fps)


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
        f"{subject}/{action}/{trial}": clip_files.resampled(poses, synthetic.FPS, fps).astype("float32")
        for subject, action, trial, poses in recordings
    }
    return _save(output, clips, fps)


def _save(output: Path, clips: dict[str, np.ndarray], fps: float) -> str:
    clip_files.save(output, clips, fps=fps)
    return f"wrote {len(clips)} clips, {sum(map(len, clips.values())):,} frames at {fps:g} a second, to {output}"
