"""Skeletons: the joints and bones of poses, their left and right sides, and the paper's body-part groups.

A `Skeleton` names the joints in the order of the arrays, and each one's parent. `H36M_17` is Human3.6M's, which lifted poses
have. `body_groups` divides the joints of a skeleton into the parts of the split networks (paper Fig. 6).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Mirrored(NamedTuple):
    """For each keypoint and each 3D joint, the index of its mirror image (`Skeleton.mirrored`)."""

    keypoints: tuple[int, ...]
    joints: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Skeleton:
    """A named set of joints in a fixed order, the root first.

    Attributes:
      name: name of the set in configs, messages and files.
      joints: the joint names, in array order.
      parents: index of each joint's parent, -1 for the root.
      joints_left: indices of the joints on the person's left side.
      joints_right: their mirror images, in the same order.
      groups: name and joints of each body part of the split networks; each joint belongs to one part.
      file_order: index of each joint in the arrays of data files, in which the root need not be first.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    joints_left: tuple[int, ...]
    joints_right: tuple[int, ...]
    groups: tuple[tuple[str, tuple[int, ...]], ...]
    file_order: tuple[int, ...]

    @property
    def num_joints(self) -> int:
        """Number of joints, J."""
        return len(self.joints)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint, the index of its mirror image: left and right joints are exchanged."""
        order = list(range(self.num_joints))
        for left, right in zip(self.joints_left, self.joints_right, strict=True):
            order[left], order[right] = right, left
        return tuple(order)

    def indices(self, names: Sequence[str]) -> list[int]:
        """Return the indices of joints, given their names.

        Raises:
          ValueError: if the skeleton has no such joint.
        """
        return [self.joints.index(name) for name in names]


def make_skeleton(
    name: str,
    parents: Mapping[str, str],
    left: Sequence[str],
    right: Sequence[str],
    groups: Mapping[str, Sequence[str]],
) -> Skeleton:
    """Build a skeleton from joint names.

    Args:
      name: name of the set.
      parents: {joint: its parent}, "" for the root's, in the joint order of the data files.
      left: joints on the person's left side.
      right: their mirror images, in the same order.
      groups: {body part: its joints}; each joint belongs to one part.

    Raises:
      ValueError: if there is not exactly one root, the bones form a cycle, a name is unknown, a joint is on both sides or has
        no mirror image, or a joint is not in exactly one group.
    """
    _check_tree(parents)
    if len(left) != len(right):
        raise ValueError(f"left has {len(left)} joints and right {len(right)}, expected the mirror image of each")
    grouped = [joint for group in groups.values() for joint in group]
    for what, names in (("left and right", [*left, *right]), ("groups", grouped)):
        if unknown := [joint for joint in names if joint not in parents]:
            raise ValueError(f"{what}: {unknown[0]!r} is not a joint, expected some of {', '.join(parents)}")
        if twice := [joint for joint in parents if names.count(joint) > 1]:
            raise ValueError(f"{what}: found {twice[0]!r} twice, expected each joint once")
    if missing := [joint for joint in parents if joint not in grouped]:
        raise ValueError(f"groups: {missing[0]!r} is in no group, expected each joint in one group")
    if empty := [group for group, joints in groups.items() if not joints]:
        raise ValueError(f"groups: {empty[0]!r} is empty, expected at least one joint")
    in_files = list(parents)
    joints = sorted(in_files, key=lambda joint: parents[joint] != "")  # the root first, the others in their order
    index = {joint: number for number, joint in enumerate(joints)} | {"": -1}

    def numbers(names: Sequence[str]) -> tuple[int, ...]:
        return tuple(index[joint] for joint in names)

    return Skeleton(
        name,
        tuple(joints),
        numbers([parents[joint] for joint in joints]),
        numbers(left),
        numbers(right),
        tuple((group, tuple(sorted(numbers(members)))) for group, members in groups.items()),
        tuple(in_files.index(joint) for joint in joints),
    )


def _check_tree(parents: Mapping[str, str]) -> None:
    roots = [joint for joint, parent in parents.items() if parent == ""]
    if len(roots) != 1:
        raise ValueError(f"joints: found {', '.join(roots) or 'none'} without a parent, expected one root, with parent ''")
    for joint, parent in parents.items():
        if parent and parent not in parents:
            raise ValueError(f"joints: the parent {parent!r} of {joint!r} is not a joint, expected one of {', '.join(parents)}")
    for joint in parents:
        seen, at = {joint}, parents[joint]
        while at != "":
            if at in seen:
                raise ValueError(f"joints: the parents of {joint!r} form a cycle, expected them to lead to the root")
            seen.add(at)
            at = parents[at]


def _built_in(name: str, bones: str, groups: Mapping[str, str]) -> Skeleton:
    """Build a skeleton whose left and right joints begin with L and R.

    `bones` lists words `joint<parent`; the parent is the previous joint if it is omitted, and none if it is empty (`joint<`).
    """
    parents: dict[str, str] = {}
    for word in bones.split():
        joint, _, parent = word.partition("<")
        parents[joint] = parent or ("" if "<" in word else next(reversed(parents), ""))
    left = [joint for joint in parents if f"R{joint[1:]}" in parents and joint[0] == "L"]
    members = {group: joints.split() for group, joints in groups.items()}
    return make_skeleton(name, parents, left, [f"R{joint[1:]}" for joint in left], members)


_LIMBS = {
    "right_leg": "RHip RKnee RFoot",
    "left_leg": "LHip LKnee LFoot",
    "torso_and_head": "",
    "left_arm": "LShoulder LElbow LWrist",
    "right_arm": "RShoulder RElbow RWrist",
}
H36M_17 = _built_in(
    "human36m_17",
    "Hip RHip RKnee RFoot LHip<Hip LKnee LFoot Spine<Hip Thorax Neck Head "
    "LShoulder<Thorax LElbow LWrist RShoulder<Thorax RElbow RWrist",
    _LIMBS | {"torso_and_head": "Hip Spine Thorax Neck Head"},
)
BUILT_IN = {
    skeleton.name: skeleton
    for skeleton in (
        H36M_17,
        _built_in(  # Stacked Hourglass, as in VideoPose3D's data_2d_h36m_sh_ft_h36m.npz: without the joint near the nose
            "human36m_16",
            "Hip RHip RKnee RFoot LHip<Hip LKnee LFoot Spine<Hip Thorax Head "
            "LShoulder<Thorax LElbow LWrist RShoulder<Thorax RElbow RWrist",
            _LIMBS | {"torso_and_head": "Hip Spine Thorax Head"},
        ),
        _built_in(  # VideoPose3D's 15 joints of HumanEva-I
            "humaneva_15",
            "Hip Thorax LShoulder LElbow LWrist RShoulder<Thorax RElbow RWrist LHip<Hip LKnee LFoot RHip<Hip RKnee RFoot "
            "Head<Thorax",
            _LIMBS | {"torso_and_head": "Hip Thorax Head"},
        ),
        _built_in(  # COCO keypoints, as Detectron, CPN and most detectors find them; LFoot and RFoot are the ankles
            "coco_17",
            "Nose LEye REye<Nose LEar<LEye REar<REye LShoulder<Nose RShoulder<Nose LElbow<LShoulder RElbow<RShoulder "
            "LWrist<LElbow RWrist<RElbow LHip<LShoulder RHip<RShoulder LKnee<LHip RKnee<RHip LFoot<LKnee RFoot<RKnee",
            _LIMBS | {"torso_and_head": "Nose LEye REye LEar REar"},
        ),
        _built_in(  # the 17 joints of MPI-INF-3DHP's test set; joint 14 is the pelvis
            "mpi_inf_3dhp_17",
            "Head<Neck Thorax<Spine RShoulder<Thorax RElbow RWrist LShoulder<Thorax LElbow LWrist RHip<Hip RKnee RFoot "
            "LHip<Hip LKnee LFoot Hip< Spine<Hip Neck<Thorax",
            _LIMBS | {"torso_and_head": "Hip Spine Thorax Neck Head"},
        ),
    )
}

ROOT = 0  # the first joint of every skeleton
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

# Partitions without the root (paper Fig. 6): those of the official code up to five groups, beyond five our interpretation.
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
    num_groups: int,
    skeleton: Skeleton = H36M_17,
    *,
    root_in_every_group: bool = True,
    shuffled: int = 0,
    seed: int = 0,
) -> tuple[tuple[int, ...], ...]:
    """Return the joints of each body-part group, in the order of the network's branches.

    The five groups of `H36M_17` are right leg, left leg, torso and head, left arm, right arm. With six groups, head and neck
    are a separate group; with eight, so is each wrist; with 17, each joint. Other skeletons have the groups that they declare.

    Args:
      num_groups: number of groups of `H36M_17`: 1, 2, 3, 5, 6, 8 or 17. It has no effect for other skeletons.
      skeleton: the skeleton of the joints.
      root_in_every_group: True for the official code's groups, which all begin with the root joint. False for the paper's
        partition: the root belongs only to the group of the spine, or to the group in which the skeleton declares it.
      shuffled: number of groups, 0 or at least 2, whose joints except the root are exchanged at random, so that each group
        contains a joint of another (Table 5).
      seed: random seed of the exchange.

    Returns:
      The joint indices of each group.

    Raises:
      KeyError: if `H36M_17` has no partition with this number of groups.
      ValueError: if this number of groups cannot be shuffled.

    Note:
      The official code has at most five groups, and the paper does not list the joints of Fig. 6 for six, eight and 17 groups.

    Source: paper Sec. 3 and Fig. 6; the official code for the joints.
    """
    if skeleton == H36M_17:
        own = _GROUPS[num_groups]
        holder = next(index for index, group in enumerate(own) if not group or _SPINE in group)
    else:
        own = tuple(tuple(joint for joint in members if joint != ROOT) for _, members in skeleton.groups)
        holder = next(index for index, (_, members) in enumerate(skeleton.groups) if ROOT in members)
    groups = _shuffled(own, shuffled, seed) if shuffled else own
    return tuple((ROOT, *group) if root_in_every_group or index == holder else group for index, group in enumerate(groups))


def _shuffled(groups: tuple[tuple[int, ...], ...], count: int, seed: int) -> tuple[tuple[int, ...], ...]:
    """Exchange the joints of `count` groups at random until each of them contains a joint from another group."""
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
