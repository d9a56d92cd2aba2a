"""Joints, bones, left and right, and the body-part groups of the paper."""

import dataclasses


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

# The official code's partitions, without the root (paper Fig. 6).
_GROUPS = {
    1: (tuple(range(1, 17)),),
    2: (tuple(range(1, 8)), tuple(range(8, 17))),
    3: (tuple(range(1, 7)), tuple(range(7, 11)), tuple(range(11, 17))),
    5: ((1, 2, 3), (4, 5, 6), (7, 8, 9, 10), (11, 12, 13), (14, 15, 16)),
}
GROUP_NUMBERS = tuple(_GROUPS)


def body_groups(num_groups: int, *, root_in_every_group: bool = True) -> tuple[tuple[int, ...], ...]:
    """Return the joints of each body-part group, in the order of the network's branches.

    With five groups: right leg, left leg, torso and head, left arm, right arm.

    Args:
      num_groups: 1, 2, 3 or 5.
      root_in_every_group: True gives the official code's groups, which all begin with the root joint;
        False the paper's partition, where the root belongs only to the group that holds the spine.

    Raises:
      KeyError: for another number of groups.

    Source: paper Sec. 3 and Fig. 6; the official code for the joints.
    """
    return tuple(
        (ROOT, *group) if root_in_every_group or num_groups == 1 or _SPINE in group else group for group in _GROUPS[num_groups]
    )
