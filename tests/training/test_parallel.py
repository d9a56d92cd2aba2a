import re

import jax
import numpy as np
import pytest

from srnet_jax.config import schema
from srnet_jax.data.sources import load_split
from srnet_jax.data.windows import TrainingWindows, stack_frames
from srnet_jax.errors import UserError
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.pose.normalization import View
from srnet_jax.pose.skeleton import Mirrored
from srnet_jax.training import feed as feed_lib
from srnet_jax.training import steps
from srnet_jax.training.feed import Feed, concatenate
from srnet_jax.training.loop import train_and_evaluate
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.parallel import Devices
from srnet_jax.training.state import create_train_state


def small_sr(config):
    """Return a config with every part that depends on the whole batch: BatchNorm, also of context, dropout, a short batch."""
    config.model.network = "sr"
    config.model.num_groups = 2
    config.model.channels = 24
    config.model.filter_widths = (1,)
    config.model.dropout = 0.1
    config.train.epochs = 1
    config.train.learning_rate = 1e-5
    config.train.batch_size = 301  # not a multiple of any number of devices
    config.data.downsample = 2
    return config


@pytest.fixture(scope="module")
def alone(shared_config, tmp_path_factory):
    """Train on one device, one step per call, with the data on the device."""
    config = small_sr(shared_config)
    return jax.device_get(train_and_evaluate(config, tmp_path_factory.mktemp("alone") / "run"))


@pytest.mark.parametrize(
    "changes",
    [
        {"num_devices": 2, "train.steps_per_call": 3},
        pytest.param(
            {"parallel": "pmap", "num_devices": 4, "train.data_on": "host", "train.steps_per_call": 2}, marks=pytest.mark.slow
        ),
        pytest.param({"num_devices": 8, "train.data_on": "host"}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_every_way_of_training_gives_the_same_network(shared_config, tmp_path, alone, changes):
    config = small_sr(shared_config).copy_and_resolve_references()
    config.update_from_flattened_dict(changes)
    schema.validate(config)
    state = train_and_evaluate(config, tmp_path)
    assert int(state.step) == int(alone.step)
    found = dict(jax.tree_util.tree_leaves_with_path(state))
    for path, expected in jax.tree_util.tree_leaves_with_path(alone):
        # a step has the sign of a gradient that may have cancelled to rounding, so only sums of gradients are compared closely
        tolerance = 10 * config.train.learning_rate if path[0].name == "params" else 5e-3 * np.abs(expected).max() + 1e-6
        np.testing.assert_allclose(found[path], expected, atol=tolerance, rtol=0, err_msg=str(path))


def test_more_devices_than_there_are():
    with pytest.raises(UserError, match=r"config.num_devices: 99 is not allowed, expected at most 8 on this machine"):
        Devices("jit", 99)


def test_runs_are_divided_among_devices_before_batches():
    devices = Devices("jit", 8, runs=6)  # two groups of three runs, four devices each
    states = devices.replicate(np.arange(12.0).reshape(6, 2), stacked=True)
    assert {shard.data.shape for shard in states.addressable_shards} == {(3, 2)}
    batch = devices.spread(np.arange(24).reshape(6, 1, 4), axis=2, stacked=True)
    assert {shard.data.shape for shard in batch.addressable_shards} == {(3, 1, 1)}
    assert devices.batch_parts == 4
    np.testing.assert_array_equal(devices.to_host(states), np.arange(12.0).reshape(6, 2))
    assert Devices("pmap", 8, runs=6).batch_parts == Devices("jit", 8).batch_parts == 8


@pytest.mark.slow
def test_devices_of_different_runs_do_not_communicate(tiny_config):
    """With as many runs as devices, the compiled step has no collective operation."""
    devices, model, runs = Devices("jit", 8, runs=8), create_model(tiny_config.model), 8

    def stacked(tree):
        return jax.tree.map(lambda leaf: np.stack([np.asarray(leaf)] * runs), tree)

    batch = {"inputs_2d": np.zeros((1, 6, 1, 17, 2), np.float32), "targets": np.zeros((1, 6, 1, 17, 3), np.float32)}
    batch["views"] = jax.tree.map(lambda leaf: leaf[None], View.unknown(6, 1))
    state = create_train_state(model, create_optimizer(), 0), steps.zero_totals()
    arguments = devices.replicate(stacked((*state, steps.Hyperparameters.at(0, 0, tiny_config.train))), stacked=True)
    items = devices.spread(stacked(batch), axis=2, stacked=True)
    step = devices.compile(steps.StepSettings.of(tiny_config), lambda data, item: item, stacked=True)
    text = step.lower(*arguments, (), items, np.int32(1)).compile().as_text()
    assert "dot(" in text
    assert not re.search(r"all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter", text)


@pytest.fixture
def windows(tiny_config):
    _, parts = load_split(tiny_config)
    frames = stack_frames(parts.train, "pixel")
    swapped = (0, 4, 5, 6, 1, 2, 3, *range(7, 17))
    return TrainingWindows(frames, receptive_field=9, causal=False, mirrored=Mirrored(swapped, swapped), seed=1)


def test_windows_gathered_on_the_device_are_those_of_the_host(windows):
    samples = windows.order(0)[:200]
    found = concatenate([windows]).take(samples)
    jax.tree.map(np.testing.assert_array_equal, found, windows.samples.take(samples))


@pytest.mark.parametrize("place", ["device", "host"])
@pytest.mark.parametrize(("block", "first"), [(1, 0), (4, 0), (4, 4), (1, 6)])
def test_blocks_hold_an_epoch_once(windows, place, block, first):
    batch_size = len(windows) // 6 - 1
    feed = Feed([windows], Devices("jit", 1), batch_size=batch_size, block=block, place=place)
    seen, ends = [], []
    for end, items, count in feed.blocks(2, [first]):
        ends.append(end)
        for index in range(count):
            seen.append(feed.take(feed.data, jax.tree.map(lambda item: item[index], items))["targets"])
    expected = windows.samples.take(windows.order(2)[first * batch_size :])["targets"]
    np.testing.assert_array_equal(np.concatenate(seen), expected)
    assert ends[-1] == windows.steps(batch_size) == 7


def test_batches_of_unequal_trainings_are_no_longer_than_the_longest(windows):
    """Fifteen small trainings with a large batch size once used all of a machine's memory."""
    shorter = TrainingWindows(windows.frames, receptive_field=9, causal=False, mirrored=None, seed=1)
    feed = Feed([windows, shorter], Devices("jit", 1), batch_size=10 * len(windows), block=2, place="device")
    ((end, items, count),) = feed.blocks(0, [0, 0])
    assert (end, count) == (1, 1)
    assert items["samples"].shape == (2, 2, len(windows))
    np.testing.assert_array_equal(items["weights"].sum((1, 2)), [len(windows), len(shorter)])


def test_data_that_do_not_fit_stay_on_the_host(windows, monkeypatch):
    for memory, place in ((np.inf, "device"), (1e6, "host")):
        monkeypatch.setattr(feed_lib, "_device_memory", lambda memory=memory: memory)
        feed = Feed([windows], Devices("jit", 1), batch_size=64, block=1, place="auto")
        assert feed.description.endswith(f"MiB of training data on the {place}")
        assert bool(feed.data) == (place == "device")


def test_an_error_while_batches_are_prepared_is_raised_and_the_thread_ends():
    def failing():
        yield 1
        raise ValueError("no more")

    ahead = feed_lib._prefetch(failing())
    assert next(ahead) == 1
    with pytest.raises(ValueError, match="no more"):
        next(ahead)
    endless = feed_lib._prefetch(iter(int, 1))
    assert next(endless) == 0
    endless.close()  # joins the thread
