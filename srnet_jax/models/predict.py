"""Predict every frame of whole sequences with the dilated model, in constant device memory."""

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

_SHORTEST = 64  # output frames of a piece, if there is a sequence as long
_MOST_PARTS = 64  # of the longest sequence


def piece_length(lengths: np.ndarray, field: int, batch_frames: int) -> int:
    """Return into how long pieces sequences are best cut: the length for which the network sees the fewest frames in all.

    A piece sees `field - 1` frames beyond its own, and the last piece of a sequence is filled up; so long pieces suit long
    sequences, and short ones short sequences.

    Args:
      lengths: of the sequences, in frames.
      field: the network's receptive field.
      batch_frames: limit of a piece.
    """
    if field == 1:
        return 1
    longest = min(int(lengths.max()), batch_frames)
    shortest = min(longest, _SHORTEST)
    candidates = {max(-(-longest // parts), shortest) for parts in range(1, _MOST_PARTS + 1)}
    return min(candidates, key=lambda length: (int((-(-lengths // length)).sum()) * (length + field - 1), length))


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
    """Yield what one device call predicts: pieces' first frames, their sequences, and their common length."""
    if model.length_dependent:
        for sequence, (start, length) in enumerate(zip(frames.starts, frames.lengths, strict=True)):
            yield np.array([start]), np.array([sequence]), int(length)
        return
    length = piece_length(frames.lengths, model.receptive_field, batch_frames)
    firsts, sequences = chunks(frames, length)
    few = 4 ** ((len(firsts) - 1).bit_length() + 1 >> 1) if length == 1 else len(firsts)  # single frames: few sizes to compile
    rows = min(max(batch_frames // length, 1), few)
    for start in range(0, len(firsts), rows):
        batch = np.arange(start, start + rows) % len(firsts)  # the last batch is filled up with other rows
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

    Sequences are cut into equal pieces with the frames around them that the network sees, so that one compiled
    function serves sequences of any length. Only a model that reproduces the official scramble, whose outputs depend on
    the length of their sequence, is given whole sequences as the official evaluation does, and compiled for each length.

    Args:
      model: in its dilated form.
      variables: its parameters and statistics.
      frames: normalised sequences.
      mirrored: `PoseDataset.mirrored` to average with the mirrored prediction of the mirrored input, None not to.
      batch_frames: output frames of one device call.

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
