"""Joints, bones, left and right, and the body-part groups of the paper."""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A named set of joints in a fixed order.

    Attributes:
      name: what the layout is called in messages and files.
      joints: the joint names, in array order.
      parents: index of each joint's parent, -1 for the root.
      joints_left: indices of the joints on the person's left side.
      joints_right: their mirror images, in the same order.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    joints_left: tuple[int, ...]
    joints_right: tuple[int, ...]

    @property
    def num_joints(self) -> int:
        """Number of joints, J."""
        return len(self.joints)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint, the joint that takes its place in a mirror image."""
        order = list(range(self.num_joints))
        for left, right in zip(self.joints_left, self.joints_right, strict=True):
            order[left], order[right] = right, left
        return tuple(order)


H36M_17 = Skeleton(
    name="Human3.6M, 17 joints",
    joints=(
        "Hip",
        "RHip",
        "RKnee",
        "RFoot",
        "LHip",
        "LKnee",
        "LFoot",
        "Spine",
        "Thorax",
        "Neck",
        "Head",
        "LShoulder",
        "LElbow",
        "LWrist",
        "RShoulder",
        "RElbow",
        "RWrist",
    ),
    parents=(-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
    joints_left=(4, 5, 6, 11, 12, 13),
    joints_right=(1, 2, 3, 14, 15, 16),
)

ROOT = 0  # Hip, in H36M_17
PCK_JOINTS = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)  # MPI-INF-3DHP's official 14: all but pelvis, spine and head
_SPINE = 7

# Segment lengths as fractions of stature (Drillis and Contini 1966; Winter, Fig. 4.1).
RATIOS = {
    "hip_half_width": 0.191 / 2,
    "thigh": 0.245,
    "shank": 0.246,
    "ankle_height": 0.039,
    "lower_trunk": (0.818 - 0.530) / 2,
    "upper_trunk": (0.818 - 0.530) / 2,
    "shoulder_half_width": 0.129,
    "upper_arm": 0.186,
    "forearm": 0.146,
    "neck": 0.870 - 0.818,
    "head": 0.130,
}

# Partitions without the root (paper Fig. 6): up to five groups the official code's, beyond them our reading.
_LEGS, _TRUNK = ((1, 2, 3), (4, 5, 6)), ((7, 8), (9, 10))
_GROUPS = {
    1: (tuple(range(1, 17)),),
    2: (tuple(range(1, 8)), tuple(range(8, 17))),
    3: (tuple(range(1, 7)), tuple(range(7, 11)), tuple(range(11, 17))),
    5: (*_LEGS, (7, 8, 9, 10), (11, 12, 13), (14, 15, 16)),
    6: (*_LEGS, *_TRUNK, (11, 12, 13), (14, 15, 16)),
    8: (*_LEGS, *_TRUNK, (11, 12), (13,), (14, 15), (16,)),
    17: ((), *((joint,) for joint in range(1, 17))),
}
GROUP_NUMBERS = tuple(_GROUPS)


def body_groups(
    num_groups: int, *, root_in_every_group: bool = True, shuffled: int = 0, seed: int = 0
) -> tuple[tuple[int, ...], ...]:
    """Return the joints of each body-part group, in the order of the network's branches.

    With five groups: right leg, left leg, torso and head, left arm, right arm. With six the head (with the neck) is a group
    of its own, with eight each wrist too, with 17 each joint.

    Args:
      num_groups: 1, 2, 3, 5, 6, 8 or 17.
      root_in_every_group: True gives the official code's groups, which all begin with the root joint;
        False the paper's partition, where the root belongs only to the group that holds the spine.
      shuffled: number of groups, 0 or at least 2, whose joints but the root are exchanged at random, so that each holds
        another's (Table 5).
      seed: of which groups and which joints.

    Raises:
      KeyError: for another number of groups.
      ValueError: if this number of groups cannot be shuffled.

    Note:
      The official code has no more than five groups, and the text does not give Fig. 6's joints for six, eight and 17.

    Source: paper Sec. 3 and Fig. 6; the official code for the joints.
    """
    groups = _shuffled(_GROUPS[num_groups], shuffled, seed) if shuffled else _GROUPS[num_groups]
    holder = next(index for index, group in enumerate(_GROUPS[num_groups]) if not group or _SPINE in group)
    return tuple((ROOT, *group) if root_in_every_group or index == holder else group for index, group in enumerate(groups))


def _shuffled(groups: tuple[tuple[int, ...], ...], count: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Exchange the joints of some groups, until each holds a joint that was not its own."""
    filled = [index for index, group in enumerate(groups) if group]
    if not 2 <= count <= len(filled):
        raise ValueError(f"shuffled_groups is {count}, expected 0, or 2 or more of {len(filled)} groups")
    rng = np.random.default_rng(seed)
    chosen = sorted(rng.choice(filled, count, replace=False).tolist())
    ends = np.cumsum([len(groups[index]) for index in chosen])[:-1]
    while True:
        joints = rng.permutation([joint for index in chosen for joint in groups[index]])
        parts = [tuple(sorted(part.tolist())) for part in np.split(joints, ends)]
        if all(not set(part) <= set(groups[index]) for part, index in zip(parts, chosen, strict=True)):
            return tuple(parts[chosen.index(i)] if i in chosen else group for i, group in enumerate(groups))
