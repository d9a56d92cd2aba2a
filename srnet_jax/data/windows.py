"""Windows of frames by index tables: nothing is copied until a batch is gathered.

All frames of all sequences lie behind one another in two arrays. A window is a frame number with its sequence's
bounds; frames beyond the bounds repeat the nearest edge frame.
"""

import dataclasses
from collections.abc import Iterator
from collections.abc import Sequence as Seq

import numpy as np

from srnet_jax.data.dataset import Sequence
from srnet_jax.normalization import IMAGE_NORMALIZATIONS, mirror, mirror_view, normalize, root_relative, to_metres, view


@dataclasses.dataclass(frozen=True)
class Frames:
    """Normalised frames of several sequences.

    Attributes:
      inputs_2d: [N, J, 2] float32, what the network sees.
      targets: [N, J, 3] float32, what it learns: under `basic` root-relative joints, camera frame, metres.
      poses_3d: [N, J, 3] float32, root-relative joints, camera frame, metres.
      geometry: [N, 1, 9] float32, `normalization.view` of each frame.
      starts: [S] first frame of each sequence.
      lengths: [S] number of frames of each sequence.
      normalization: a name of `normalization.NORMALIZATIONS`.
    """

    inputs_2d: np.ndarray
    targets: np.ndarray
    poses_3d: np.ndarray
    geometry: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray
    normalization: str = "basic"

    @property
    def truth(self) -> np.ndarray:
        """[N, J, 3] what predictions are measured against, metres: `poses_3d`, but distorted under `weak_proj`."""
        return to_metres(self.normalization, self.targets, self.geometry)

    @property
    def sequence_of(self) -> np.ndarray:
        """[N] the sequence that each frame belongs to."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def gather(self, first: np.ndarray, sequence: np.ndarray, length: int) -> np.ndarray:
        """Return windows [B, length, J, 2] of the inputs.

        Args:
          first: [B] the windows' first frames; they may lie before the sequence's start.
          sequence: [B] the sequence of each window.
          length: frames in a window.
        """
        frames = first[:, None] + np.arange(length)
        low = self.starts[sequence][:, None]
        high = low + self.lengths[sequence][:, None] - 1
        return self.inputs_2d[np.clip(frames, low, high)]


def stack_frames(sequences: Seq[Sequence], normalization: str) -> Frames:
    """Normalise sequences and lay their frames behind one another."""
    pairs = [normalize(normalization, s.inputs_2d, s.poses_3d, s.camera) for s in sequences]
    targets = np.concatenate([target for _, target in pairs])
    lengths = np.array([s.num_frames for s in sequences])
    return Frames(
        inputs_2d=np.concatenate([inputs for inputs, _ in pairs]),
        targets=targets,
        poses_3d=targets
        if normalization in IMAGE_NORMALIZATIONS
        else np.concatenate([root_relative(s.poses_3d) for s in sequences]),
        geometry=np.concatenate([view(s.poses_3d, s.camera) for s in sequences]),
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        lengths=lengths,
        normalization=normalization,
    )


def interpolated(values: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return an array [T, ...] at other times [N], in frames: linearly between frames, and the last one beyond it."""
    times = np.clip(times, 0, len(values) - 1)
    before = np.minimum(times.astype(int), max(len(values) - 2, 0))
    after = np.minimum(before + 1, len(values) - 1)
    share = (times - before).astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return values[before] * (1 - share) + values[after] * share


def input_offset(receptive_field: int, causal: bool) -> int:
    """Return how many frames before its output frame a window begins: half of it, or all but one if causal."""
    return receptive_field - 1 if causal else (receptive_field - 1) // 2


class TrainingWindows:
    """All windows of a training set, one for each frame and, if mirrored, its mirror image.

    Samples are listed as in the official code: for each sequence its frames and then the mirrored frames.
    The order of an epoch is a function of the seed and the epoch's number alone.

    Attributes:
      frames: that the windows are cut from.
      receptive_field: frames in a window.
      offset: of the output frame in its window.
      mirrored: `Skeleton.mirrored`, or None for no mirror images.
      frame: [S] each sample's output frame.
      flip: [S] whether it is mirrored.
    """

    def __init__(
        self, frames: Frames, *, receptive_field: int, causal: bool, mirrored: tuple[int, ...] | None, seed: int
    ) -> None:
        """Index the windows; `seed` is that of the order."""
        copies = 1 if mirrored is None else 2
        self.frames = frames
        self.receptive_field = receptive_field
        self.offset = input_offset(receptive_field, causal)
        self.mirrored = mirrored
        self._seed = seed
        self._sequence = np.repeat(np.arange(len(frames.lengths)), copies * frames.lengths)
        within = np.arange(len(self._sequence)) - copies * frames.starts[self._sequence]
        self.flip = within >= frames.lengths[self._sequence]
        self.frame = frames.starts[self._sequence] + within - self.flip * frames.lengths[self._sequence]

    def __len__(self) -> int:
        """Number of samples in an epoch."""
        return len(self.frame)

    def steps(self, batch_size: int) -> int:
        """Number of batches in an epoch: the last may be short, but never a single sample (see BatchNorm)."""
        full, rest = divmod(len(self), batch_size)
        return full + (rest > 1)

    def order(self, epoch: int) -> np.ndarray:
        """Return the samples [S] of an epoch (counted from 0) in their order."""
        return np.random.default_rng([self._seed, epoch]).permutation(len(self))

    def batches(self, epoch: int, batch_size: int, first: int = 0) -> Iterator[dict[str, np.ndarray]]:
        """Yield the batches of an epoch (counted from 0), from its `first` on.

        Yields:
          `inputs_2d` [B, R, J, 2], `targets` [B, 1, J, 3] and `geometry` [B, 1, 1, 9].
        """
        order = self.order(epoch)
        for step in range(first, self.steps(batch_size)):
            yield self.take(order[step * batch_size : (step + 1) * batch_size])

    def take(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """Gather samples [B] by number; the same dict as `batches`."""
        frame, flip = self.frame[samples], self.flip[samples]
        inputs = self.frames.gather(frame - self.offset, self._sequence[samples], self.receptive_field)
        targets = self.frames.targets[frame][:, None]
        geometry = self.frames.geometry[frame][:, None]
        if self.mirrored is not None:
            inputs[flip] = mirror(inputs[flip], self.mirrored)
            targets[flip] = mirror(targets[flip], self.mirrored)
            geometry[flip] = mirror_view(self.frames.normalization, geometry[flip])
        return {"inputs_2d": inputs, "targets": targets, "geometry": geometry}


def chunks(frames: Frames, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut every sequence into pieces of `length` frames (the last may reach beyond its end).

    Returns:
      [C] first frame of each piece, and [C] its sequence.
    """
    counts = -(-frames.lengths // length)
    sequence = np.repeat(np.arange(len(counts)), counts)
    piece = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
    return frames.starts[sequence] + piece * length, sequence
