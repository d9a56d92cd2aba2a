"""Tests of rare wholes and rare parts, against sums in double precision and on poses made by hand."""

import dataclasses

import numpy as np
import pytest

from srnet_jax.data.protocols import Split
from srnet_jax.data.sources import load_split
from srnet_jax.evaluation import parts, tables
from srnet_jax.pose.skeleton import body_groups


def test_occurrence_is_the_sum_over_all_pairs(rng):
    poses, reference = rng.normal(size=(700, 4, 3)), rng.normal(size=(9000, 4, 3))
    sigmas = np.array([0.5, 1.0, 1.5, 2.0])
    found = parts.configuration_occurrence(poses, reference, sigmas)
    squared = np.square((poses[::100, None] - reference) / sigmas[:, None]).sum(-1).mean(-1)  # [7, M]
    np.testing.assert_allclose(found[::100], np.exp(-squared / 2).mean(1), rtol=1e-4)
    same = parts.configuration_occurrence(poses[:1], poses[:1].repeat(3, 0), sigmas)
    assert same == pytest.approx([1.0], rel=1e-5)


def test_a_new_mixture_of_known_parts_is_rare_as_a_whole_only(tiny_config, rng):
    """Train on poses A and B; test on A, on half of A with half of B, and on a new pose."""
    _, split = load_split(tiny_config)
    a, b, other = (rng.normal(0, 0.5, (17, 3)).astype(np.float32) + [0, 0, 5] for _ in range(3))
    mixed = a.copy()
    upper = [joint for group in body_groups(5, root_in_every_group=False)[3:] for joint in group]
    a[0] = b[0] = other[0] = mixed[0] = [0, 0, 5]
    mixed[upper] = b[upper]
    train = np.stack([a] * 9 + [b] * 11).astype(np.float32)
    test = np.stack([a] * 16 + [mixed] * 2 + [other] * 2).astype(np.float32)
    made = Split(*(tuple(_with(split.test[0], poses) for poses in part) for part in ([train], [train], [test])), labels=("",))
    whole, by_part = parts.occurrences(tiny_config, made)
    assert whole[16] < 0.1 * whole[0]
    np.testing.assert_allclose(by_part[:, 16], by_part[:, 0], rtol=0.3)
    found = parts.find(tiny_config, made, np.empty(0))
    assert sorted(found[parts.COMMON_PARTS]) == [16, 17]
    assert sorted(found[parts.RARE_PARTS]) == [18, 19]
    assert sorted(found[parts.COMMON_WHOLE]) == list(range(16))
    medians, only_whole = parts.ranks_of_parts(whole, by_part, 20)
    assert only_whole == 0.5  # the rarest four are two mixtures, and two poses with new parts
    np.testing.assert_allclose(medians, 50)  # for each part, half of them are the rarest and half the most common
    assert tables.part_rarity(tiny_config, made).rows[-1][1] == "50.0 %"


def _with(sequence, poses):
    return dataclasses.replace(sequence, poses_3d=poses, inputs_2d=np.zeros((*poses.shape[:2], 2), np.float32))
