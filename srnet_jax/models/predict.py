"""Predict 3D poses for every frame of sequences, in constant device memory."""

from collections.abc import Iterator
from functools import partial
from operator import itemgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from srnet_jax.models.pose_lifter import Lifter
from srnet_jax.pose.frames import Frames, chunks, input_offset
from srnet_jax.pose.normalization import View, mirror, mirror_view, to_metres
from srnet_jax.pose.skeleton import Mirrored

_SHORTEST = 64  # output frames of a piece, unless a batch is smaller
_MOST_PARTS = 64  # pieces of the longest sequence
_COMPILATION = 100_000  # frames that a network reads while another one is compiled: 7 to 10 s on two CPU cores


def piece_length(lengths: np.ndarray, field: int, batch_frames: int) -> int:
    """Return the length of the pieces into which sequences are cut: the one that costs least.

    For each piece the network reads `field - 1` frames beyond those of the piece, and the last piece of a sequence is padded.
    So long pieces suit long sequences, and short pieces suit short sequences. A network is compiled for each length of pieces.
    Powers of two are shared by many sequences and runs, so any other length must save more frames than compiling costs in this
    call; later calls, such as those of other epochs, are not counted.

    Args:
      lengths: lengths of the sequences, in frames.
      field: the receptive field of the network, in frames.
      batch_frames: largest length of a piece, in frames.
    """
    if field == 1:
        return 1
    longest = min(int(lengths.max()), batch_frames)
    shortest = min(_SHORTEST, batch_frames)
    shared = {2**power for power in range(shortest.bit_length() - 1, batch_frames.bit_length())}
    fitting = {max(-(-longest // parts), shortest) for parts in range(1, _MOST_PARTS + 1)}

    def cost(length: int) -> tuple[int, int]:
        pieces = int((-(-lengths // length)).sum())
        rows = num_rows(pieces, length, batch_frames)
        read = -(-pieces // rows) * rows * (length + field - 1)
        return read + (0 if length in shared else _COMPILATION), length

    return min(shared | fitting, key=cost)


def num_rows(pieces: int, length: int, batch_frames: int) -> int:
    """Return how many pieces of this length a device call takes: a number that many recordings share, so that few compile."""
    doublings = (pieces - 1).bit_length()
    shared = 2 ** (doublings + doublings % 2 if length == 1 else doublings)
    return min(max(batch_frames // length, 1), shared)


@partial(jax.jit, static_argnames=("model", "mirrored", "normalization"))
def _predict(
    model: Lifter,
    variables: Any,
    inputs_2d: jax.Array,
    views: View,
    mirrored: Mirrored | None,
    normalization: str,
) -> Any:
    if mirrored is None:
        return to_metres(normalization, model.apply(variables, inputs_2d), views)
    both = jnp.concatenate([inputs_2d, mirror(inputs_2d, mirrored.keypoints)])
    predicted: Any = model.apply(variables, both)
    views = views.map(lambda *both: jnp.concatenate(both), mirror_view(normalization, views))
    straight, flipped = jnp.split(to_metres(normalization, predicted, views), 2)
    return (straight + mirror(flipped, mirrored.joints)) / 2


def _blocks(model: Lifter, frames: Frames, batch_frames: int) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Yield, for each device call, the first frames of its pieces, the sequence of each, and their common length."""
    if model.length_dependent:
        for sequence, (start, length) in enumerate(zip(frames.starts, frames.lengths, strict=True)):
            yield np.array([start]), np.array([sequence]), int(length)
        return
    length = piece_length(frames.lengths, model.receptive_field, batch_frames)
    firsts, sequences = chunks(frames, length)
    rows = num_rows(len(firsts), length, batch_frames)
    for start in range(0, len(firsts), rows):
        batch = np.arange(start, start + rows) % len(firsts)  # the last batch is padded with other rows
        yield firsts[batch], sequences[batch], length


def predict(
    model: Lifter,
    variables: Any,
    frames: Frames,
    *,
    mirrored: Mirrored | None,
    batch_frames: int,
) -> np.ndarray:
    """Predict the poses of all frames.

    Sequences are cut into pieces of one length, with the surrounding frames that the network sees, so that one compiled
    function serves sequences of any length. Only a model with the official scramble, whose outputs depend on the length of
    the sequence, gets whole sequences, as in the official evaluation, and is compiled for each length.

    Args:
      model: the network, in its dilated form.
      variables: parameters and statistics of the network.
      frames: normalised sequences.
      mirrored: `PoseDataset.mirrored` to average with the prediction for the mirrored input; None not to.
      batch_frames: output frames per device call.

    Returns:
      [N, J, 3] float32 joints in the order of the frames, camera frame, metres, relative to the root.
    """
    field = model.receptive_field
    predicted = np.empty(frames.targets.shape, np.float32)
    ends = frames.starts + frames.lengths
    offset = input_offset(field, model.causal)
    variables = jax.device_put(variables)
    for firsts, sequences, length in _blocks(model, frames, batch_frames):
        inputs = frames.gather(firsts - offset, sequences, length + field - 1)
        where = firsts[:, None] + np.arange(length)
        real = where < ends[sequences][:, None]
        known = np.where(real, where, firsts[:, None])
        views = frames.views.map(itemgetter(known))  # [B, T, 1, ...]
        poses = np.asarray(_predict(model, variables, inputs, views, mirrored, frames.normalization))
        predicted[where[real]] = poses[real]
    return predicted
