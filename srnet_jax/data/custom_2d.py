"""Keypoints of one's own videos, in VideoPose3D's form: `data_2d_custom_*.npz`.

A file holds `positions_2d`, a dict {video: {"custom": [keypoints [T, J, 2] of one person, pixels]}}, and `metadata`, a dict
with `video_metadata`: {video: {"w": width, "h": height}}.
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from srnet_jax.data.h36m import described, stored_dict
from srnet_jax.errors import DataError
from srnet_jax.safe_load import load_npz


@dataclasses.dataclass(frozen=True)
class Video:
    """Keypoints of one person in one video.

    Attributes:
      name: of the video.
      inputs_2d: [T, J, 2] float32 keypoints, pixels, in the joints of the detector.
      width: image width, pixels.
      height: image height, pixels.
      fps: frames per second, or None if the file does not say.
    """

    name: str
    inputs_2d: np.ndarray
    width: int
    height: int
    fps: float | None


def load(path: str | Path) -> tuple[Video, ...]:
    """Read a file of custom keypoints.

    Raises:
      DataError: if the file is missing or damaged, or does not hold what was expected.

    Source: VideoPose3D's documentation of inference in the wild.
    """
    arrays = load_npz(path)
    positions, metadata = (stored_dict(arrays, name, path) for name in ("positions_2d", "metadata"))
    sizes = metadata.get("video_metadata")
    if not isinstance(sizes, dict):
        raise DataError(f"{path}: metadata: found no video_metadata, expected width and height of each video")
    for name in positions:
        if not isinstance(name, str) or not name.isprintable() or len(name) > 200:
            raise DataError(f"{path}: positions_2d holds a video of the name {described(name)}, expected a file's")
    videos = [_video(name, recordings, sizes.get(name), path) for name, recordings in positions.items()]
    if not videos:
        raise DataError(f"{path}: positions_2d holds no video")
    return tuple(videos)


def _video(name: str, recordings: Any, size: Any, path: str | Path) -> Video:
    people = recordings.get("custom") if isinstance(recordings, dict) else None
    if not isinstance(people, list | tuple | np.ndarray) or len(people) != 1:
        raise DataError(f"{path}: {name}: expected the action 'custom' with the keypoints of one person")
    points = people[0]
    if (
        not isinstance(points, np.ndarray)
        or points.ndim != 3
        or points.shape[2] not in (2, 3)  # a third value is the confidence
        or not len(points)
        or points.dtype.kind not in "fiu"
    ):
        shape = f"{points.shape} of {points.dtype}" if isinstance(points, np.ndarray) else f"a {type(points).__name__}"
        raise DataError(f"{path}: {name}: found {shape}, expected keypoints (frames >= 1, joints, 2) of numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # refused below
        points = points.astype(np.float32)
    if not np.isfinite(points).all():
        frame = int(np.argwhere(~np.isfinite(points))[0][0])
        raise DataError(f"{path}: {name}: keypoints hold NaN or infinity at frame {frame}, expected finite pixels")
    if np.abs(points[..., :2]).max() <= 1.5:
        raise DataError(f"{path}: {name}: all keypoints are within +-1.5, they seem normalised, expected pixels")
    numbers: dict[str, Any] = {key: size.get(key) if isinstance(size, dict) else None for key in ("w", "h", "fps")}
    for key in ("w", "h"):
        if not isinstance(numbers[key], int | np.integer) or numbers[key] < 1:
            raise DataError(
                f"{path}: {name}: video_metadata has {key} {described(numbers[key])}, expected the image's size in pixels"
            )
    fps = float(numbers["fps"]) if isinstance(numbers["fps"], int | float | np.number) else None
    if fps is not None and not 0 < fps < 10_000:
        raise DataError(f"{path}: {name}: video_metadata has fps {fps:g}, expected frames per second")
    return Video(name, np.ascontiguousarray(points[..., :2]), int(numbers["w"]), int(numbers["h"]), fps)
