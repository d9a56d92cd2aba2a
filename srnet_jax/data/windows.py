"""Training windows: one sample for each frame and, if mirrored, its mirror image."""

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
    """Normalise sequences and lay their frames behind one another."""
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
    points, confidences = np.split(sequence.inputs_2d, [2], axis=-1)  # the second is empty without confidences
    inputs, targets = normalize(normalization, points, sequence.poses_3d, sequence.camera)
    return np.concatenate([inputs, confidences], -1), targets


def _view(normalization: str, sequence: Sequence) -> View:
    return view_of(normalization, sequence.inputs_2d[..., :2], sequence.poses_3d, sequence.camera)


@dataclasses.dataclass(frozen=True)
class Samples:
    """All frames of a training set and its samples by index: NumPy arrays on the host or JAX arrays on a device.

    Attributes:
      inputs_2d: [N, K, F], see `pose.frames.Frames`.
      targets: [N, J, 3].
      views: [N, 1, ...].
      low: [N] first frame of each frame's sequence.
      high: [N] last frame of each frame's sequence.
      frame: [S] each sample's output frame.
      flip: [S] whether it is mirrored.
      receptive_field: frames in a window.
      offset: of the output frame in its window.
      mirrored: `PoseDataset.mirrored`, or None for no mirror images.
      normalization: see `Frames`.
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
        """Gather samples.

        Args:
          numbers: [B] of the samples, an array of the same kind.

        Returns:
          `inputs_2d` [B, R, K, F], `targets` [B, 1, J, 3] and `views` [B, 1, 1, ...].
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
    """All windows of a training set, one for each frame and, if mirrored, its mirror image.

    Samples are listed as in the official code: for each sequence its frames and then the mirrored frames.
    The order of an epoch is a function of the seed and the epoch's number alone.

    Attributes:
      frames: that the windows are cut from.
      samples: the index tables.
    """

    def __init__(self, frames: Frames, *, receptive_field: int, causal: bool, mirrored: Mirrored | None, seed: int) -> None:
        """Index the windows; `seed` is that of the order."""
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
        """Number of batches in an epoch: the last may be short, but never a single sample (see BatchNorm)."""
        full, rest = divmod(len(self), batch_size)
        return full + (rest > 1)

    def order(self, epoch: int) -> np.ndarray:
        """Return the samples [S] of an epoch (counted from 0) in their order."""
        return np.random.default_rng([self._seed, epoch]).permutation(len(self))
