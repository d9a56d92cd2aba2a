import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet_jax.pose.skeleton import GROUP_NUMBERS, H36M_17, body_groups


def test_mirrored_is_its_own_inverse_and_swaps_names():
    mirrored = H36M_17.mirrored
    assert [mirrored[j] for j in mirrored] == list(range(17))
    for joint, other in enumerate(mirrored):
        name, mirror_name = H36M_17.joints[joint], H36M_17.joints[other]
        assert name == mirror_name or {name[0], mirror_name[0]} == {"L", "R"}
        assert name.lstrip("LR") == mirror_name.lstrip("LR")


def test_parents_come_before_their_children():
    assert all(parent < joint for joint, parent in enumerate(H36M_17.parents))


@pytest.mark.parametrize(
    ("num_groups", "slots"),
    [(1, 17), (2, 18), (3, 19), (5, 21)],  # the official code
)
def test_official_groups_begin_with_the_root(num_groups, slots):
    groups = body_groups(num_groups)
    assert sum(map(len, groups)) == slots
    assert all(group[0] == 0 for group in groups)
    assert set().union(*groups) == set(range(17))


def test_paper_groups_are_a_partition():
    for num_groups in GROUP_NUMBERS:
        groups = body_groups(num_groups, root_in_every_group=False)
        assert sorted(joint for group in groups for joint in group) == list(range(17))


@pytest.mark.parametrize("num_groups", [6, 8, 17])
def test_more_groups_refine_fewer(num_groups):
    """With more than five groups, each is part of one of the five, and none has more joints than in Table 4."""
    coarse, fine = (body_groups(n, root_in_every_group=False) for n in (5, num_groups))
    assert len(fine) == num_groups
    assert all(any(set(group) - {0} <= set(whole) for whole in coarse) for group in fine)
    left = {tuple(sorted(H36M_17.mirrored[joint] for joint in group)) for group in fine}
    assert left == set(map(tuple, map(sorted, fine)))  # the mirror image has the same groups


@given(st.integers(2, 5), st.booleans(), st.integers(0, 2**32))
def test_shuffled_groups_keep_their_sizes(shuffled, root_in_every_group, seed):
    own = body_groups(5, root_in_every_group=root_in_every_group)
    groups = body_groups(5, root_in_every_group=root_in_every_group, shuffled=shuffled, seed=seed)
    assert list(map(len, groups)) == list(map(len, own))
    assert set().union(*groups) == set(range(17))
    assert sum(set(a) != set(b) for a, b in zip(groups, own, strict=True)) == shuffled
    assert [0 in group for group in groups] == [0 in group for group in own]
    assert groups == body_groups(5, root_in_every_group=root_in_every_group, shuffled=shuffled, seed=seed)


def test_seeds_shuffle_otherwise():
    assert len({body_groups(5, shuffled=3, seed=seed) for seed in range(6)}) > 1


def test_one_group_cannot_be_shuffled():
    with pytest.raises(ValueError, match="shuffled_groups is 1, expected 0, or 2 or more of 5 groups"):
        body_groups(5, shuffled=1)
