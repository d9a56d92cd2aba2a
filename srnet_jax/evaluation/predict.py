"""Predict every frame of whole sequences with the dilated model, in constant device memory."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from srnet_jax.data.windows import Frames, chunks, input_offset
from srnet_jax.models.pose_lifter import PoseLifter
from srnet_jax.normalization import mirror


@partial(jax.jit, static_argnames=("model", "mirrored"))
def _predict(model: PoseLifter, variables: Any, inputs_2d: jax.Array, mirrored: tuple[int, ...] | None) -> Any:
    if mirrored is None:
        return model.apply(variables, inputs_2d)
    both = jnp.concatenate([inputs_2d, mirror(inputs_2d, mirrored)])
    predicted: Any = model.apply(variables, both)
    straight, flipped = jnp.split(predicted, 2)
    return (straight + mirror(flipped, mirrored)) / 2


def predict(
    model: PoseLifter,
    variables: Any,
    frames: Frames,
    *,
    mirrored: tuple[int, ...] | None,
    batch_frames: int,
) -> np.ndarray:
    """Predict the poses of all frames.

    Sequences are cut into equal pieces with the frames around them that the network sees, so that one compiled
    function serves sequences of any length.

    Args:
      model: in its dilated form.
      variables: its parameters and statistics.
      frames: normalised sequences.
      mirrored: `Skeleton.mirrored` to average with the mirrored prediction of the mirrored input, None not to.
      batch_frames: output frames of one device call.

    Returns:
      [N, J, 3] float32 joints in the order of the frames, camera frame, metres, relative to the root.
    """
    field = model.receptive_field
    longest = int(frames.lengths.max())
    length = 1 if field == 1 else min(longest, max(2 * field, 64), batch_frames)
    firsts, sequences = chunks(frames, length)
    rows = min(max(batch_frames // length, 1), len(firsts))
    predicted = np.empty(frames.targets.shape, np.float32)
    ends = frames.starts + frames.lengths
    offset = input_offset(field, model.causal)
    for start in range(0, len(firsts), rows):
        batch = np.arange(start, start + rows) % len(firsts)  # the last batch is filled up with other rows
        inputs = frames.gather(firsts[batch] - offset, sequences[batch], length + field - 1)
        poses = np.asarray(_predict(model, variables, inputs, mirrored))
        where = firsts[batch][:, None] + np.arange(length)
        real = where < ends[sequences[batch]][:, None]
        predicted[where[real]] = poses[real]
    return predicted
