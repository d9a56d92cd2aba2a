import csv
import errno
import io
import os

import numpy as np
import pytest

from srnet_jax.data.sources import load_split
from srnet_jax.evaluation import ranking, tables
from srnet_jax.evaluation.ranking import agreements, rank, rank_test_poses, to_csv


@pytest.fixture
def poses(rng):
    return rng.normal(0, 0.3, (40, 17, 3)).astype(np.float32)


def forbid_computing(monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("computed again")

    monkeypatch.setattr(ranking.rarity, "commonness", fail)


def test_a_ranking_is_computed_once(tiny_config, tmp_path, poses, monkeypatch):
    cache = tmp_path / "cache"
    first = rank(poses, poses[:20], tiny_config.protocol, cache)
    assert len(list(cache.iterdir())) == 1
    forbid_computing(monkeypatch)
    again = rank(poses, poses[:20], tiny_config.protocol, cache)
    np.testing.assert_array_equal(again.values, first.values)
    assert again.how == first.how


@pytest.mark.parametrize(
    "change",
    [
        {"rare_sigma_mm": (99.0,)},
        {"rare_ranking": "exponential"},
        {"rare_reference_step": 2},
    ],
)
def test_the_cache_knows_what_a_ranking_depends_on(tiny_config, tmp_path, poses, monkeypatch, change):
    rank(poses, poses[:20], tiny_config.protocol, tmp_path)
    forbid_computing(monkeypatch)
    for others in ((poses[::-1], poses[:20]), (poses, poses[1:21]), (poses, poses[:20] + np.float32(1e-6))):
        with pytest.raises(AssertionError, match="computed again"):
            rank(*others, tiny_config.protocol, tmp_path)
    tiny_config.protocol.update(change)
    with pytest.raises(AssertionError, match="computed again"):
        rank(poses, poses[:20], tiny_config.protocol, tmp_path)


@pytest.mark.parametrize("damage", [b"", b"not an archive", None])
def test_a_damaged_cache_is_computed_anew(tiny_config, tmp_path, poses, damage):
    first = rank(poses, poses, tiny_config.protocol, tmp_path)
    (file,) = tmp_path.iterdir()
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] if damage is None else damage)
    np.testing.assert_array_equal(rank(poses, poses, tiny_config.protocol, tmp_path).values, first.values)
    assert file.read_bytes() == data


def test_a_cache_that_cannot_be_written_is_left_out(tiny_config, tmp_path, poses):
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert len(rank(poses, poses, tiny_config.protocol, tmp_path / "cache").values) == len(poses)


def test_a_cache_that_does_not_fit_the_disk_leaves_nothing(tiny_config, tmp_path, poses, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    assert len(rank(poses, poses[:20], tiny_config.protocol, tmp_path).values) == len(poses)
    assert list(tmp_path.iterdir()) == []


def test_rankings_are_kept_beside_the_data(mocap_file, tiny_config):
    tiny_config.data.source, tiny_config.data.path = "mocap", str(mocap_file)
    tiny_config.protocol.subjects_train, tiny_config.protocol.subjects_test = ("a", "b"), ("c",)
    _, parts = load_split(tiny_config)
    rank_test_poses(tiny_config, parts)
    assert len(list((mocap_file.parent / "rarity_cache").glob("*.npz"))) == 1


def test_csv_lists_the_rarest_first(tiny_config):
    _, parts = load_split(tiny_config)
    found = rank_test_poses(tiny_config, parts)
    lines = list(csv.DictReader(io.StringIO(to_csv(parts, found))))
    values = [float(line["commonness"]) for line in lines]
    assert values == sorted(values)
    assert len(values) == sum(s.num_frames for s in parts.test)
    rarest = np.argmin(found.values)
    lengths = np.cumsum([s.num_frames for s in parts.test])
    sequence = parts.test[np.searchsorted(lengths, rarest, side="right")]
    assert (lines[0]["subject"], lines[0]["action"], lines[0]["camera"]) == (
        sequence.subject,
        sequence.action,
        sequence.camera.name,
    )
    assert float(lines[-1]["rarer_percent"]) == pytest.approx(100 * (len(values) - 1) / len(values), abs=1e-4)


def test_a_ranking_agrees_with_itself(tiny_config):
    _, parts = load_split(tiny_config)
    found = {name: (correlation, same) for name, correlation, same in agreements(tiny_config, parts)}
    correlation, same = found["occurrence, sigma 100 mm, against train poses"]
    assert correlation == pytest.approx(1)
    assert same == [1, 1]
    assert all(-1 <= correlation < 1 for name, (correlation, _) in found.items() if "50 mm" in name or "distance" in name)
    grid = tables.agreement(agreements(tiny_config, parts), (20, 10))
    assert ("occurrence, sigma 100 mm, against train poses", "1.000", "100.0 %", "100.0 %") in grid.rows


def test_rare_actions_are_shares(tiny_config):
    _, parts = load_split(tiny_config)
    grid = tables.rare_actions("set", parts, rank_test_poses(tiny_config, parts), (20, 10))
    for column in (1, 2, 3):
        assert sum(float(row[column].removesuffix(" %")) for row in grid.rows) == pytest.approx(100, abs=1)
