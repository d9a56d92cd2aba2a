"""Store the frames of several sequences in one array, and cut windows of consecutive frames from it.

All sequences are stored one after another. A window is described by its first frame and the bounds of its sequence; its frames
are copied only when the window is gathered.
"""

import dataclasses
from typing import Any

import numpy as np

from srnet_jax.pose.normalization import View, to_metres


@dataclasses.dataclass(frozen=True)
class Frames:
    """Normalised frames of several sequences.

    Attributes:
      inputs_2d: [N, K, F] float32 normalised keypoints, the network's input: x, y and, if used, the confidence.
      targets: [N, J, 3] float32 normalised joints, the network's target. For `basic`: root-relative, camera frame, metres.
      views: [N, 1, ...] float32 camera data of each frame, to undo the normalisation.
      starts: [S] first frame of each sequence.
      lengths: [S] number of frames of each sequence.
      normalization: a name of `normalization.NORMALIZATIONS`.
    """

    inputs_2d: np.ndarray
    targets: np.ndarray
    views: View
    starts: np.ndarray
    lengths: np.ndarray
    normalization: str = "basic"

    @property
    def truth(self) -> np.ndarray:
        """Ground truth [N, J, 3] for the metrics: root-relative joints, metres. For `weak_proj` they are distorted."""
        return to_metres(self.normalization, self.targets, self.views)

    @property
    def sequence_of(self) -> np.ndarray:
        """Index [N] of the sequence that each frame belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def gather(self, first: np.ndarray, sequence: np.ndarray, length: int) -> np.ndarray:
        """Return windows [B, length, K, F] of the inputs.

        Args:
          first: [B] the windows' first frames, which may be before the start of the sequence.
          sequence: [B] the sequence of each window.
          length: frames in a window.
        """
        low = self.starts[sequence]
        return self.inputs_2d[windows(first, low, low + self.lengths[sequence] - 1, length)]


def windows(first: Any, low: Any, high: Any, length: int) -> Any:
    """Return the frame numbers of windows; outside a sequence its nearest frame is repeated.

    Args:
      first: [B] first frame of each window, a NumPy or JAX array of integers.
      low: [B] first frame of its sequence, an array of the same kind.
      high: [B] last frame of its sequence.
      length: frames in a window.

    Returns:
      [B, length] frame numbers, an array of the same kind.
    """
    frames = first[:, None] + np.arange(length, dtype=first.dtype)[None]
    return first.__array_namespace__().clip(frames, low[:, None], high[:, None])


def interpolated(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate an array [T, ...] linearly at times [N], in frames; times outside the array give its nearest frame."""
    times = np.clip(times, 0, len(values) - 1)
    before = np.minimum(times.astype(int), max(len(values) - 2, 0))
    after = np.minimum(before + 1, len(values) - 1)
    share = (times - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return values[before] * (1 - share) + values[after] * share


def input_offset(receptive_field: int, causal: bool) -> int:
    """Return how many input frames precede the output frame: half of the others, or all of them if causal."""
    return receptive_field - 1 if causal else (receptive_field - 1) // 2


def chunks(frames: Frames, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut every sequence into pieces of `length` frames; the last piece may extend beyond the end.

    Returns:
      [C] first frame of each piece, and [C] index of its sequence.
    """
    counts = -(-frames.lengths // length)
    sequence = np.repeat(np.arange(len(counts)), counts)
    piece = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
    return frames.starts[sequence] + piece * length, sequence
