"""A walking person, of whom tests make motion files."""

import numpy as np

from srnet_jax.data import synthetic
from srnet_jax.data.mocap.skeleton_maps import HEAD_OF_HEIGHT, height_to_neck


def made_walker():
    """Return a walking person [T, 17, 3], world frame, z up, metres; the head is in line with the neck."""
    draws = np.random.default_rng(0), np.random.default_rng(1)
    body = synthetic._bodies(0)["S1"]
    poses = synthetic.motion(body, synthetic.ACTIONS["Walking"], num_frames=40, rng=draws[0], style_rng=draws[1])
    poses = poses.astype(np.float64) + [0.5, -1.0, 0]
    neck = poses[:, 9] - poses[:, 8]
    length = HEAD_OF_HEIGHT * height_to_neck(poses)
    poses[:, 10] = poses[:, 9] + neck / np.linalg.norm(neck, axis=-1, keepdims=True) * length
    return poses
