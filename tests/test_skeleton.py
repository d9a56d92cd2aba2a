import pytest

from srnet_jax.skeleton import GROUP_NUMBERS, H36M_17, body_groups


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


@pytest.mark.parametrize("num_groups", GROUP_NUMBERS)
def test_paper_groups_are_a_partition(num_groups):
    groups = body_groups(num_groups, root_in_every_group=False)
    assert sorted(joint for group in groups for joint in group) == list(range(17))
