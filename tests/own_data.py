"""Data of one's own in VideoPose3D's form, made up: people of any joint set, before cameras of their own."""

import numpy as np
from scipy.spatial.transform import Rotation

from srnet_jax.pose.multiview import CalibratedCamera, project
from srnet_jax.pose.skeleton import H36M_17

MADE_UP_21 = """
left = ["LHip", "LKnee", "LFoot", "LToe", "LShoulder", "LElbow", "LWrist", "LHand"]
right = ["RHip", "RKnee", "RFoot", "RToe", "RShoulder", "RElbow", "RWrist", "RHand"]
[joints]
Head = "Neck"
Neck = "Thorax"
Thorax = "Spine"
LShoulder = "Thorax"
LElbow = "LShoulder"
LWrist = "LElbow"
LHand = "LWrist"
RShoulder = "Thorax"
RElbow = "RShoulder"
RWrist = "RElbow"
RHand = "RWrist"
Spine = "Hip"
LHip = "Hip"
LKnee = "LHip"
LFoot = "LKnee"
LToe = "LFoot"
RHip = "Hip"
RKnee = "RHip"
RFoot = "RKnee"
RToe = "RFoot"
Hip = ""
[groups]
trunk = ["Head", "Neck", "Thorax", "Spine", "Hip"]
arms = ["LShoulder", "LElbow", "LWrist", "RShoulder", "RElbow", "RWrist"]
hands = ["LHand", "RHand"]
left_leg = ["LHip", "LKnee", "LFoot", "LToe"]
right_leg = ["RHip", "RKnee", "RFoot", "RToe"]
"""


def camera(name, azimuth, distance_m=4.0):
    """Return a level camera that looks at the world's z axis, 1 m above the floor, from a direction in degrees."""
    turned = Rotation.from_euler("z", azimuth, degrees=True)
    toward = turned.apply([0.0, 1.0, 0.0])
    rotation = np.stack([turned.apply([1.0, 0.0, 0.0]), [0.0, 0.0, -1.0], toward])
    position = -distance_m * toward + [0, 0, 1]
    return CalibratedCamera(
        name, (1280, 720), (900.0, 905.0), (640.0, 361.0), (0.05, -0.02, 0.001, 0.0, 0.0), rotation, -rotation @ position
    )


def to_toml(cameras, fps=None):
    """Return a calibration file of cameras."""
    lines = [f"fps = {fps}"] if fps else []
    for one in cameras:
        (fx, fy), (cx, cy) = one.focal, one.center
        lines += [
            f"[{one.name}]",
            f"size = {list(one.image_size)}",
            f"matrix = [[{fx}, 0, {cx}], [0, {fy}, {cy}], [0, 0, 1]]",
            f"distortions = {list(one.distortion[:4])}",
            f"rotation = {Rotation.from_matrix(one.rotation).as_rotvec().tolist()}",
            f"translation = {one.translation.tolist()}",
        ]
    return "\n".join(lines)


def motions(rng, subjects=("ann", "bob"), joints=H36M_17, frames=12):
    """Return made-up motions {subject: {action: [T, J, 3]}}, world frame, metres, the joints in the order of files."""
    found = {subject: {} for subject in subjects}
    for subject in subjects:
        for action in ("Walking 1", "Walking 2", "Sitting"):
            steps = rng.normal(0, 0.03, (frames, joints.num_joints, 3)).cumsum(0)
            found[subject][action] = (rng.normal(0, 0.3, (joints.num_joints, 3)) + [0, 0, 1] + steps).astype(np.float32)
    return found


def views(poses, cameras, kept=slice(None)):
    """Return the exact keypoints of motions, {subject: {action: [[T, K, 2] of each camera]}}; `kept` are joints of files."""
    return {
        subject: {action: [project(world, one)[:, kept].astype(np.float32) for one in cameras] for action, world in own.items()}
        for subject, own in poses.items()
    }


def write(folder, poses, keypoints, skeleton=H36M_17, name="gt", form="h36m"):
    """Write the two files of poses and keypoints, the latter of a skeleton."""
    sides = [[skeleton.file_order[joint] for joint in side] for side in (skeleton.joints_left, skeleton.joints_right)]
    metadata = {"layout_name": "own", "num_joints": skeleton.num_joints, "keypoints_symmetry": sides}
    np.savez(folder / f"data_3d_{form}.npz", positions_3d=_boxed(poses))
    np.savez(folder / f"data_2d_{form}_{name}.npz", positions_2d=_boxed(keypoints), metadata=_boxed(metadata))


def _boxed(value):
    box = np.empty((), object)
    box[()] = value
    return box
