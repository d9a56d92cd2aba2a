"""Cut sequences into training windows: one sample for each frame, and one for its mirror image if mirroring is on."""

import dataclasses
from collections.abc import Sequence as Seq
from functools import partial
from typing import Any

import numpy as np

from srnet_jax.data.dataset import Sequence
from srnet_jax.errors import DataError
from srnet_jax.pose.frames import Frames, input_offset, windows
from srnet_jax.pose.normalization import View, mirror, mirror_view, normalize, view_of
from srnet_jax.pose.skeleton import Mirrored


def stack_frames(sequences: Seq[Sequence], normalization: str) -> Frames:
    """Normalise sequences and concatenate their frames.

    Args:
      sequences: the sequences, of any lengths.
      normalization: a name of `pose.normalization`.

    Raises:
      DataError: if the normalisation needs a focal length and a camera has none.
    """
    unknown = [s for s in sequences if not np.isfinite(s.camera.focal).all()]
    if unknown and normalization not in ("basic", "centered"):
        raise DataError(
            f"{unknown[0].name}: the camera's focal length is not known, which config.model.normalization {normalization!r} "
            "needs; expected basic or centered, or cameras.toml beside the data"
        )
    pairs = [_normalized(normalization, s) for s in sequences]
    lengths = np.array([s.num_frames for s in sequences])
    return Frames(
        inputs_2d=np.concatenate([inputs for inputs, _ in pairs]),
        targets=np.concatenate([target for _, target in pairs]),
        views=View(*map(np.concatenate, zip(*(_view(normalization, s) for s in sequences), strict=True))),
        starts=np.concatenate([[0], np.cumsum(lengths)[:-1]]),
        lengths=lengths,
        normalization=normalization,
    )


def _normalized(normalization: str, sequence: Sequence) -> tuple[np.ndarray, np.ndarray]:
    points, confidences = np.split(sequence.inputs_2d, [2], axis=-1)  # [T, K, 2] and [T, K, 0 or 1]
    inputs, targets = normalize(normalization, points, sequence.poses_3d, sequence.camera)
    return np.concatenate([inputs, confidences], -1), targets


def _view(normalization: str, sequence: Sequence) -> View:
    return view_of(normalization, sequence.inputs_2d[..., :2], sequence.poses_3d, sequence.camera)


@dataclasses.dataclass(frozen=True)
class Samples:
    """All frames of a training set, and index tables of its samples: NumPy arrays on the host or JAX arrays on a device.

    N is the number of frames, S the number of samples.

    Attributes:
      inputs_2d: [N, K, F] normalised keypoints, as in `pose.frames.Frames`.
      targets: [N, J, 3] normalised joints.
      views: [N, 1, ...] what takes each frame's targets back to metres.
      low: [N] index of the first frame of each frame's sequence.
      high: [N] index of the last frame of each frame's sequence.
      frame: [S] index of each sample's output frame.
      flip: [S] bool, whether the sample is a mirror image.
      receptive_field: frames in a window.
      offset: index of the output frame within its window.
      mirrored: joints that a mirror image exchanges (`PoseDataset.mirrored`); None without mirror images.
      normalization: name of the normalisation.
    """

    inputs_2d: Any
    targets: Any
    views: View
    low: Any
    high: Any
    frame: Any
    flip: Any
    receptive_field: int
    offset: int
    mirrored: Mirrored | None
    normalization: str

    def take(self, numbers: Any) -> dict[str, Any]:
        """Gather a batch of samples.

        Args:
          numbers: [B] indices of samples, an array of the same library (NumPy or JAX) as the frames.

        Returns:
          `inputs_2d` [B, R, K, F] with R frames in a window, `targets` [B, 1, J, 3] and `views` [B, 1, 1, ...].
        """
        frame = self.frame[numbers]
        inputs = self.inputs_2d[windows(frame - self.offset, self.low[frame], self.high[frame], self.receptive_field)]
        targets, views = self.targets[frame][:, None], self.views.map(lambda x: x[frame][:, None])
        if self.mirrored is not None:
            where = inputs.__array_namespace__().where
            flip = self.flip[numbers][:, None, None, None]
            inputs = where(flip, mirror(inputs, self.mirrored.keypoints), inputs)
            targets = where(flip, mirror(targets, self.mirrored.joints), targets)
            views = mirror_view(self.normalization, views).map(partial(where, flip), views)
        return {"inputs_2d": inputs, "targets": targets, "views": views}


class TrainingWindows:
    """All windows of a training set: one for each frame, and one for its mirror image if mirroring is on.

    Samples are numbered as in the official code: for each sequence first its frames, then its mirrored frames.
    The order of an epoch depends only on the seed and the epoch's number.

    Attributes:
      frames: the frames that the windows are cut from.
      samples: the frames with the index tables.
    """

    def __init__(self, frames: Frames, *, receptive_field: int, causal: bool, mirrored: Mirrored | None, seed: int) -> None:
        """Build the index tables.

        Args:
          frames: the frames of all sequences.
          receptive_field: frames in a window.
          causal: whether the output frame is the last of its window instead of the middle one.
          mirrored: joints that a mirror image exchanges; None for no mirror images.
          seed: of the order of samples in each epoch.
        """
        copies = 1 if mirrored is None else 2
        self.frames = frames
        self._seed = seed
        sequence = np.repeat(np.arange(len(frames.lengths)), copies * frames.lengths)
        within = np.arange(len(sequence)) - copies * frames.starts[sequence]
        flip = within >= frames.lengths[sequence]
        low = np.repeat(frames.starts, frames.lengths)
        self.samples = Samples(
            frames.inputs_2d,
            frames.targets,
            frames.views,
            low,
            low + np.repeat(frames.lengths, frames.lengths) - 1,
            frames.starts[sequence] + within - flip * frames.lengths[sequence],
            flip,
            receptive_field=receptive_field,
            offset=input_offset(receptive_field, causal),
            mirrored=mirrored,
            normalization=frames.normalization,
        )

    def __len__(self) -> int:
        """Number of samples in an epoch."""
        return len(self.samples.frame)

    def steps(self, batch_size: int) -> int:
        """Return the number of batches in an epoch. A last batch of a single sample is dropped: BatchNorm needs two."""
        full, rest = divmod(len(self), batch_size)
        return full + (rest > 1)

    def order(self, epoch: int) -> np.ndarray:
        """Return the indices [S] of all samples in the order of an epoch (counted from 0)."""
        return np.random.default_rng([self._seed, epoch]).permutation(len(self))
