import contextlib
import errno
import os
import resource
import shutil
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from damage import DAMAGE, HARMLESS, HOSTILE, rewrite_about

from srnet_jax.errors import DiskFullError, TrainingError, UserError
from srnet_jax.training import checkpoint_format
from srnet_jax.training.checkpoint_format import DamagedError, Snapshot
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.state import TrainState
from srnet_jax.training.steps import zero_totals


def make_state(step=0, width=30):
    rng = np.random.default_rng(step)
    weights = {"layer": {"kernel": jnp.asarray(rng.normal(size=(width, 40)), jnp.float32), "bias": jnp.zeros(40)}}
    moments = (jax.tree.map(lambda x: x + 1, weights), ())
    statistics = {"norm": {"mean": jnp.asarray(rng.normal(size=40), jnp.float32)}}
    return TrainState(jnp.int32(step), jnp.int32(step // 4), weights, statistics, moments)


def save(workdir, *errors, first=1, **options):
    """Save a checkpoint for each validation error, at steps 1, 2, ..."""
    with Checkpoints(workdir, **options) as checkpoints:
        for step, error in enumerate(errors, start=first):
            checkpoints.save(Snapshot(make_state(step)), error)


def steps(workdir):
    return sorted(int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal())


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_equal(a, b):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def test_snapshot_survives_to_the_bit(tmp_path):
    totals = zero_totals() | {"loss": jnp.float32(0.1), "count": jnp.float32(1e7 + 1)}
    snapshot = Snapshot(make_state(7), 3, totals)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(snapshot, None)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_latest(jax.eval_shape(make_state))
        assert checkpoints.kept == "the checkpoint of step 7 is kept"
    assert restored.batch == 3
    assert_equal(restored, snapshot)
    assert jax.tree.structure(restored) == jax.tree.structure(snapshot)


def test_what_is_saved_is_the_state_of_that_moment(tmp_path):
    """The arrays are donated to the next step while the checkpoint is written."""
    forward = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
    state, expected = make_state(5), make_state(5)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Snapshot(state), 1.0)
        for _ in range(20):
            state = forward(state)
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert_equal(checkpoints.restore("5", expected), expected)


def test_latest_and_best_are_kept(tmp_path):
    save(tmp_path, 5.0, 2.0, 3.0, None, 2.0, 4.0, None, keep_latest=2, keep_best=2)
    assert steps(tmp_path) == [2, 5, 6, 7]
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        assert checkpoints.restore_variables("best", make_state().variables)[1] == 2  # the first of two equal errors
        assert checkpoints.restore_variables("latest", make_state().variables)[1] == 7
        with pytest.raises(UserError, match=r"no checkpoint '17', expected one of 2, 5, 6, 7, latest, best"):
            checkpoints.restore_variables("17", make_state().variables)
    save(tmp_path, 6.0, first=8, keep_latest=1, keep_best=1)
    assert steps(tmp_path) == [2, 8]


def test_chosen_epochs_are_kept_across_restarts(tmp_path):
    """Epoch 1 ends at step 4 in `make_state`'s count; the checkpoint within the epoch is not kept."""
    with Checkpoints(tmp_path, keep_epochs=(1,)) as checkpoints:
        checkpoints.save(Snapshot(make_state(4)), 9.0)
        checkpoints.save(Snapshot(make_state(5), 1), None)
        checkpoints.save(Snapshot(make_state(8)), 5.0)
    assert steps(tmp_path) == [4, 8]
    with Checkpoints(tmp_path, keep_epochs=(1,)) as checkpoints:
        checkpoints.save(Snapshot(make_state(12)), 4.0)
    assert steps(tmp_path) == [4, 12]


def test_leftovers_of_a_kill_are_removed(tmp_path):
    save(tmp_path, 1.0)
    (tmp_path / "checkpoints" / "2.orbax-checkpoint-tmp").mkdir()
    shutil.copytree(tmp_path / "checkpoints" / "1", tmp_path / "checkpoints" / "0.orbax-checkpoint-tmp-removed")
    with Checkpoints(tmp_path, read_only=True):
        assert len(list((tmp_path / "checkpoints").iterdir())) == 3
    with Checkpoints(tmp_path):
        assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["1"]


@pytest.mark.parametrize("kind", sorted(HARMLESS))
def test_what_is_not_needed_may_go(tmp_path, kind):
    save(tmp_path, 2.0, 1.0, keep_latest=2)
    DAMAGE[kind](tmp_path / "checkpoints" / "2")
    with Checkpoints(tmp_path, keep_latest=2, say=pytest.fail) as checkpoints:
        assert_equal(checkpoints.restore_latest(make_state()).state, make_state(2))


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE | HOSTILE if kind not in HARMLESS])
def test_damaged_latest_is_named_and_the_one_before_used(tmp_path, kind):
    save(tmp_path, 2.0, 1.0, keep_latest=2)
    latest = tmp_path / "checkpoints" / "2"
    (DAMAGE | HOSTILE)[kind](latest)
    said = []
    with Checkpoints(tmp_path, keep_latest=2, say=said.append) as checkpoints:
        for which in ("2", "latest"):
            with pytest.raises(UserError, match="damaged") as caught:
                checkpoints.restore(which, make_state())
            assert "\n" not in str(caught.value)
        assert_equal(checkpoints.restore_latest(make_state()).state, make_state(1))
        assert len(said) == 1
        assert said[0].startswith(f"warning: {latest}: damaged (")
        assert said[0].endswith("), now 2.damaged; continuing from step 1")
        assert "\n" not in said[0]
        checkpoints.save(Snapshot(make_state(2)), 1.0)
    with Checkpoints(tmp_path, keep_latest=2, say=said.append) as checkpoints:
        assert_equal(checkpoints.restore_latest(make_state()).state, make_state(2))
    assert len(said) == 1
    assert latest.with_name("2.damaged").exists()


def test_all_damaged_is_an_error_and_changes_nothing(tmp_path):
    save(tmp_path, 2.0, 1.0, keep_latest=2)
    kinds = iter(("shard truncated", "`about` deleted"))
    for step in ("1", "2"):
        DAMAGE[next(kinds)](tmp_path / "checkpoints" / step)
    before = files(tmp_path)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"every checkpoint is damaged \(2: .*; 1: ") as caught,
    ):
        checkpoints.restore_latest(make_state())
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def _nested(about):
    return '{"a": ' * 50_000 + "1" + "}" * 50_000


@pytest.mark.parametrize(
    "edit",
    [
        *(
            pytest.param(lambda about, name=name: about.pop(name) and None, id=f"without {name}")
            for name in ("format_version", "step", "epoch", "arrays", "totals", "validation_mpjpe_mm")
        ),
        lambda about: about.update(more=1),
        lambda about: about.update(format_version=1),
        lambda about: about.update(format_version=True),
        lambda about: about.update(batch=-1),
        lambda about: about.update(batch="3"),
        lambda about: about.update(batch=10**400),
        lambda about: about.update(epoch=[]),
        lambda about: about.update(validation_mpjpe_mm=float("nan")),
        lambda about: about.update(validation_mpjpe_mm=-1.0),
        lambda about: about.update(totals=3),
        lambda about: about["totals"].pop("loss") and None,
        lambda about: about["totals"].update(loss=1e39),
        lambda about: about["totals"].update(loss="x"),
        lambda about: about.update(arrays=[]),
        lambda about: about["arrays"].update(variables={}),
        lambda about: about["arrays"]["variables"].append(3),
        lambda about: about["arrays"]["variables"].reverse(),
        lambda about: about["arrays"]["variables"].append(about["arrays"]["variables"][0]),
        lambda about: about["arrays"]["variables"][0].__setitem__(2, [40, -1]),
        lambda about: about["arrays"]["variables"][0].__setitem__(3, "x"),
        *(
            pytest.param(lambda about, kind=kind: about["arrays"]["variables"][2].__setitem__(1, kind), id=kind)
            for kind in ("S100000000", "int32", ">f4", "V4", "nothing", "f4,f4")
        ),
        _nested,
        lambda about: "[" * 100_000,
    ],
)
def test_what_about_may_not_hold_is_damage(tmp_path, edit):
    """The checksum of the changed `about` is correct."""
    save(tmp_path, 2.0, 1.0, keep_latest=2)
    rewrite_about(tmp_path / "checkpoints" / "2", edit)
    with Checkpoints(tmp_path, keep_latest=2, say=lambda line: None) as checkpoints:
        for restore in (
            lambda: checkpoints.restore("2", make_state()),
            lambda: checkpoints.restore_variables("2", make_state().variables),
        ):
            with pytest.raises(UserError, match=r"/2: damaged \(") as caught:
                restore()
            assert str(caught.value).isprintable()
        assert_equal(checkpoints.restore_latest(make_state()).state, make_state(1))


def test_about_of_another_step_than_the_arrays_is_damage(tmp_path):
    save(tmp_path, 2.0)
    (tmp_path / "checkpoints" / "1").rename(tmp_path / "checkpoints" / "7")
    rewrite_about(tmp_path / "checkpoints" / "7", lambda about: about.update(step=7))
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(UserError, match="training: found step 1"):
        checkpoints.restore_latest(make_state())


@pytest.mark.parametrize("name", ["seed[0]", "a\\b", "what?", "lr*", "\udcff"])
def test_names_that_orbax_takes_for_patterns_are_refused(tmp_path, name):
    """With such names, runs were lost without a message."""
    with pytest.raises(UserError, match="in the path, expected a path without it for checkpoints"):
        Checkpoints(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_that_cannot_be_read_back_is_an_error(tmp_path, monkeypatch):
    """The reason does not matter; here it is the path, whose check is disabled."""
    monkeypatch.setattr(Checkpoints, "check_path", staticmethod(lambda workdir: None))
    with pytest.raises(TrainingError, match=r"1: the checkpoint could not be written \(it cannot be read back: .*; nothing is"):
        save(tmp_path / "seed[0]", 1.0)
    assert steps(tmp_path / "seed[0]") == []


def test_links_are_not_followed(tmp_path):
    """Targets of links are neither read nor removed."""
    save(tmp_path / "mine", 1.0)
    before = files(tmp_path / "mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "checkpoints").symlink_to(tmp_path / "mine" / "checkpoints")
    with pytest.raises(UserError, match=r"checkpoints: found a link, expected a folder; .* make the whole workdir a link"):
        Checkpoints(tmp_path / "other")
    with Checkpoints(tmp_path / "other", read_only=True) as checkpoints:
        checkpoints.restore("latest", make_state())
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    save(tmp_path / "link", None, first=2, keep_latest=2)
    assert steps(tmp_path / "mine") == [1, 2]
    shutil.rmtree(tmp_path / "mine" / "checkpoints" / "2")
    folder = tmp_path / "stranger" / "checkpoints"
    folder.mkdir(parents=True)
    for name in ("1", "1.damaged", "2.orbax-checkpoint-tmp"):
        (folder / name).symlink_to(tmp_path / "mine" / "checkpoints" / "1")
    save(tmp_path / "stranger", None, first=2, keep_latest=3)
    with Checkpoints(tmp_path / "stranger", say=lambda line: None) as checkpoints:
        (folder / "3").symlink_to(tmp_path / "mine")
        checkpoints.restore_latest(make_state())
    save(tmp_path / "stranger", None, first=3)
    save(tmp_path / "stranger", None, first=4)
    assert files(tmp_path / "mine") == before


@pytest.mark.parametrize("make", [lambda path: path.write_text(""), lambda path: path.symlink_to("/tmp"), os.mkdir])
def test_what_stands_where_a_damaged_one_goes_is_replaced(tmp_path, make):
    save(tmp_path, 2.0, 1.0, keep_latest=2)
    DAMAGE["`about` deleted"](tmp_path / "checkpoints" / "2")
    make(tmp_path / "checkpoints" / "2.damaged")
    with Checkpoints(tmp_path, say=lambda line: None) as checkpoints:
        assert_equal(checkpoints.restore_latest(make_state()).state, make_state(1))
    assert (tmp_path / "checkpoints" / "2.damaged" / "variables").is_dir()


def test_damaged_best_is_named(tmp_path):
    save(tmp_path, 1.0, 2.0, keep_latest=2)
    DAMAGE["one bit of an array flipped"](tmp_path / "checkpoints" / "1")
    with Checkpoints(tmp_path, read_only=True) as checkpoints:
        checkpoints.restore_variables("best", make_state().variables)  # the flipped bit is in the optimiser's state
        with pytest.raises(UserError, match=r"1: damaged \(training: .* differs\); other steps: 2"):
            checkpoints.restore("best", make_state())


def test_flipped_bits_are_noticed_or_harmless(tmp_path, rng):
    save(tmp_path, 1.0)
    folder = tmp_path / "checkpoints" / "1"
    noticed = 0
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for place in rng.integers(len(data), size=2 if len(data) < 2000 else 6):
            flipped = bytearray(data)
            flipped[place] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(flipped))
            with contextlib.suppress(DamagedError):
                assert_equal(checkpoint_format.read(folder, make_state()).state, make_state(1))
                noticed -= 1
            noticed += 1
        path.write_bytes(data)
    assert noticed > 10


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            make_state(width=31),
            r"1: params/layer/kernel: found shape \(30, 40\), expected shape \(31, 40\) for the joints and the",
        ),
        (make_state().replace(params={}), r"1: params/layer/bias: found shape \(40,\), expected no such array"),
        (
            make_state().replace(batch_stats={"x": jnp.zeros(1)}),
            r"1: batch_stats/x: found no such array, expected shape \(1,\)",
        ),
    ],
)
def test_other_networks_are_refused_in_one_line(tmp_path, other, message):
    save(tmp_path, 1.0)
    with Checkpoints(tmp_path) as checkpoints:
        for restore in (
            lambda: checkpoints.restore_variables("best", other.variables),
            lambda: checkpoints.restore_latest(other),
        ):
            with pytest.raises(UserError, match=message) as caught:
                restore()
            assert "\n" not in str(caught.value)
    assert steps(tmp_path) == [1]


def test_newer_format_is_refused_in_one_line(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_format, "FORMAT_VERSION", 3)
        save(tmp_path, 1.0)
    with (
        Checkpoints(tmp_path) as checkpoints,
        pytest.raises(UserError, match=r"found format_version 3, expected at most 2"),
    ):
        checkpoints.restore_latest(make_state())


def test_device_count_does_not_matter(tmp_path):
    """Save from four devices, replicated and sharded; restore on the host."""
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    pieces = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    state = make_state(3)
    spread = jax.device_put(state, jax.tree.map(lambda x: pieces if x.shape and x.shape[0] % 4 == 0 else whole, state))
    assert len(spread.params["layer"]["bias"].sharding.device_set) == 4
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Snapshot(spread), 1.0)
    with Checkpoints(tmp_path) as checkpoints:
        restored = checkpoints.restore_latest(make_state()).state
    assert_equal(restored, state)
    assert all(isinstance(x, np.ndarray) for x in jax.tree.leaves(restored))


def test_full_disk_is_named_and_what_was_saved_is_kept(tmp_path):
    """A limit on the size of files simulates a full disk: the shard of the second checkpoint exceeds it."""
    save(tmp_path, 2.0)
    before = files(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Checkpoints(tmp_path) as checkpoints:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        try:
            checkpoints.save(Snapshot(make_state(2, width=3000)), 1.0)
            failure = checkpoints.failure(wait=True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert isinstance(failure, DiskFullError)
        assert str(failure).endswith("2: the checkpoint could not be written (file too large); kept: 1")
        assert checkpoints.failure(wait=True) is None  # reported only once
        assert files(tmp_path) == before
        checkpoints.save(Snapshot(make_state(3)), 1.0)
    assert steps(tmp_path) == [3]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError, "no space left on device"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), DiskFullError, "disk quota exceeded"),
        (ValueError("RESOURCE_EXHAUSTED: ... [os_error_code='28']"), DiskFullError, "no space left on device"),
        (OSError(errno.EIO, "Input/output error"), TrainingError, "Input/output error"),
    ],
)
def test_failed_saves_are_one_line(tmp_path, monkeypatch, error, kind, words):
    def failing(*arguments):
        raise error

    monkeypatch.setattr(checkpoint_format, "write", failing)
    with pytest.raises(TrainingError, match=words) as caught:
        save(tmp_path, 1.0)
    assert type(caught.value) is kind
    assert str(caught.value).endswith("nothing is saved yet")


def test_saving_does_not_wait_for_the_disk(tmp_path, monkeypatch):
    disk = threading.Event()
    write = checkpoint_format.write

    def slow(*arguments):
        assert disk.wait(60)
        write(*arguments)

    monkeypatch.setattr(checkpoint_format, "write", slow)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(Snapshot(make_state(1)), 1.0)
        assert checkpoints.failure() is None
        assert steps(tmp_path) == []
        disk.set()
    assert steps(tmp_path) == [1]


def test_missing_checkpoints_are_named(tmp_path):
    with pytest.raises(UserError, match="has this run been trained"):
        Checkpoints(tmp_path, read_only=True)
    assert not Checkpoints.exist(tmp_path)
    save(tmp_path, None)
    with (
        Checkpoints(tmp_path, read_only=True) as checkpoints,
        pytest.raises(UserError, match=r"'best', expected one of 1, latest$"),
    ):
        checkpoints.restore_variables("best", make_state().variables)
