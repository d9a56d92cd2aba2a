import numpy as np
import pytest

from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import TrainingWindows, stack_frames
from srnet_jax.pose.frames import Frames, chunks, input_offset
from srnet_jax.pose.normalization import NORMALIZATIONS, View, mirror, root_relative, to_metres
from srnet_jax.pose.skeleton import H36M_17, Mirrored

BOTH = Mirrored(H36M_17.mirrored, H36M_17.mirrored)
LENGTHS = (5, 1, 7)


@pytest.fixture
def frames(rng):
    lengths = np.array(LENGTHS)
    total = lengths.sum()
    inputs = rng.normal(size=(total, 17, 2)).astype(np.float32)
    targets = rng.normal(size=(total, 17, 3)).astype(np.float32)
    return Frames(inputs, targets, View.unknown(total), np.cumsum(lengths) - lengths, lengths)


def naive_samples(frames, field, causal):
    """Return every window, computed by plain loops, in the official order."""
    before = field - 1 if causal else field // 2
    samples = []
    for start, length in zip(frames.starts, frames.lengths, strict=True):
        for flip in (False, True):
            for t in range(length):
                where = [start + min(max(t - before + i, 0), length - 1) for i in range(field)]
                x, y = frames.inputs_2d[where], frames.targets[[start + t]]
                samples.append((mirror(x, H36M_17.mirrored), mirror(y, H36M_17.mirrored)) if flip else (x, y))
    return samples


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("field", [1, 9])
def test_windows_agree_with_loops(frames, field, causal):
    windows = TrainingWindows(frames, receptive_field=field, causal=causal, mirrored=BOTH, seed=0)
    expected = naive_samples(frames, field, causal)
    assert len(windows) == len(expected) == 2 * sum(LENGTHS)
    batch = windows.samples.take(np.arange(len(windows)))
    np.testing.assert_array_equal(batch["inputs_2d"], [x for x, _ in expected])
    np.testing.assert_array_equal(batch["targets"], [y for _, y in expected])


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_mirrored_samples_mean_the_mirrored_pose(shared_config, name):
    """Targets of flipped samples, taken back to metres by the flipped views, are the mirrored poses."""
    config = shared_config.copy_and_resolve_references()
    parts = load_split(config)[1]
    frames = stack_frames(parts.test, name)
    windows = TrainingWindows(frames, receptive_field=1, causal=False, mirrored=BOTH, seed=0)
    batch = windows.samples.take(np.arange(len(windows)))
    found = to_metres(name, batch["targets"], batch["views"])[:, 0]
    truth = [frames.truth[s : s + n] for s, n in zip(frames.starts, frames.lengths, strict=True)]
    expected = np.concatenate([part for poses in truth for part in (poses, mirror(poses, H36M_17.mirrored))])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    if name != "weak_proj":
        poses = np.concatenate([root_relative(s.poses_3d) for s in parts.test])
        np.testing.assert_allclose(frames.truth, poses, atol=1e-5)


def test_an_epoch_holds_every_sample_once_in_an_order_of_its_own(frames):
    windows = TrainingWindows(frames, receptive_field=1, causal=False, mirrored=None, seed=3)
    epochs = [windows.order(epoch) for epoch in (0, 0, 1)]
    np.testing.assert_array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], epochs[2])
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(13))


@pytest.mark.parametrize(("batch_size", "steps"), [(5, 3), (13, 1), (14, 1), (4, 3)])  # of 13 samples; BatchNorm needs two
def test_short_last_batches_are_kept_unless_of_one_sample(frames, batch_size, steps):
    windows = TrainingWindows(frames, receptive_field=1, causal=False, mirrored=None, seed=3)
    assert windows.steps(batch_size) == steps


def test_gathering_does_not_change_the_data(frames):
    before = frames.inputs_2d.copy()
    windows = TrainingWindows(frames, receptive_field=3, causal=False, mirrored=BOTH, seed=0)
    windows.samples.take(np.arange(len(windows)))
    np.testing.assert_array_equal(frames.inputs_2d, before)


def test_chunks_cover_every_frame_once(frames):
    firsts, sequences = chunks(frames, 3)
    covered = []
    for first, sequence in zip(firsts, sequences, strict=True):
        end = frames.starts[sequence] + frames.lengths[sequence]
        covered += list(range(first, min(first + 3, end)))
    assert covered == list(range(sum(LENGTHS)))
    assert input_offset(9, causal=False) == 4
    assert input_offset(9, causal=True) == 8
