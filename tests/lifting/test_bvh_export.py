"""Test that BVH files are read back as the motion that was written."""

import numpy as np
import pytest

from srnet_jax.data import synthetic
from srnet_jax.data.mocap import bvh
from srnet_jax.lifting.formats import bvh as bvh_export
from srnet_jax.lifting.formats.motion import Motion
from srnet_jax.pose.skeleton import H36M_17

LEAVES = {"LFoot": "LKnee_end", "RFoot": "RKnee_end", "Head": "Neck_end", "LWrist": "LElbow_end", "RWrist": "RElbow_end"}


def read_back(path):
    """Return [T, 17, 3] joints relative to the hip, camera frame, metres."""
    motion = bvh.read(path)
    order = [motion.joints.index(LEAVES.get(joint, joint)) for joint in H36M_17.joints]
    points = motion.positions[:, order] / 100 * [1, -1, -1]
    return points - points[:, :1], motion


def write(path, poses, fps):
    """Write poses [T, 17, 3], camera frame, metres, relative to the hip."""
    frames = np.arange(len(poses))
    points = poses[..., [0, 2, 1]] * np.array([1.0, 1, -1])
    bvh_export.write(path, Motion("x", points, frames, frames / fps, fps, level=False, moves=False, floor=False))


def moving(frames=60, turn=None):
    """Return the motion of a person, [T, 17, 3], camera frame, metres."""
    *_, poses = next(synthetic.recordings(frames * 210, seed=0))
    poses = (poses - poses[:, :1])[:, :, [0, 2, 1]] * [1, -1, 1]  # z up to y down
    return poses if turn is None else poses @ turn.T


def directions(poses):
    child = np.arange(1, 17)
    bones = poses[:, child] - poses[:, np.array(H36M_17.parents)[child]]
    return bones / np.linalg.norm(bones, axis=-1, keepdims=True)


@pytest.mark.parametrize("turn", [None, np.diag([-1.0, -1, 1]), np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])])
def test_a_body_is_found_again(tmp_path, turn):
    """Limbs keep their directions and joints their positions, for a person upright, upside down and lying."""
    poses = moving(turn=turn)
    write(tmp_path / "x.bvh", poses, fps=50)
    found, motion = read_back(tmp_path / "x.bvh")
    assert found.shape == poses.shape
    assert motion.fps == pytest.approx(50, rel=1e-5)
    limbs = [joint - 1 for joint in (2, 3, 5, 6, 12, 13, 15, 16)]
    np.testing.assert_allclose(directions(found)[:, limbs], directions(poses)[:, limbs], atol=2e-4)
    assert np.linalg.norm(found - poses, axis=-1).max() < 0.03


def test_a_rigid_trunk_is_exact(tmp_path):
    """A motion in which hips and shoulders keep their shape is stored exactly."""
    start = moving(1)[0]
    rng = np.random.default_rng(0)
    offsets = np.array([start[j] - start[p] if p >= 0 else np.zeros(3) for j, p in enumerate(H36M_17.parents)])
    poses = np.zeros((20, 17, 3))
    for frame in range(20):
        turns = np.linalg.qr(rng.normal(size=(17, 3, 3)))[0]
        turns *= np.linalg.det(turns)[:, None, None]
        for joint, parent in enumerate(H36M_17.parents):
            if parent >= 0:
                poses[frame, joint] = poses[frame, parent] + turns[parent] @ offsets[joint]
    write(tmp_path / "x.bvh", poses, fps=30)
    np.testing.assert_allclose(read_back(tmp_path / "x.bvh")[0], poses, atol=1e-4)


def test_the_lowest_joint_is_on_the_floor(tmp_path):
    write(tmp_path / "x.bvh", moving(), fps=30)
    lowest = bvh.read(tmp_path / "x.bvh").positions[..., 1].min()
    assert lowest == pytest.approx(0, abs=1.5)  # centimetres


def test_joints_at_one_place_are_written(tmp_path):
    write(tmp_path / "x.bvh", np.zeros((3, 17, 3)), fps=30)
    assert not read_back(tmp_path / "x.bvh")[0].any()
