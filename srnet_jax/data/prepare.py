"""Make joint-position files and generated data sets, and say what was written."""

import io
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from srnet_jax.data import synthetic
from srnet_jax.data.h36m import raw_files
from srnet_jax.data.mocap import clip_files
from srnet_jax.errors import DataError
from srnet_jax.io.files import write_whole
from srnet_jax.io.safe_load import load_npz
from srnet_jax.pose import prior
from srnet_jax.pose.cameras import project, virtual_cameras, world_to_camera


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
    return f"wrote {len(clips)} clips, {sum(map(len, clips.values())):,} frames at {fps:g} a second, to {output}"
