"""Knees and elbows of a body built by hand, in any camera's axes."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.pose import hinges
from srnet_jax.pose.bones import frame_lengths
from srnet_jax.pose.hinges import wrong_bends
from srnet_jax.pose.skeleton import H36M_17

J = {name: index for index, name in enumerate(H36M_17.joints)}
STANDING = {  # faces along x, left along y
    "Hip": (0, 0, 0),
    "Spine": (0, 0, 0.25),
    "Thorax": (0, 0, 0.5),
    "Neck": (0, 0, 0.6),
    "Head": (0, 0, 0.8),
    **{f"{side}{name}": (0, sign * across, height) for side, sign in (("L", 1), ("R", -1))
       for name, across, height in (("Hip", 0.1, 0), ("Knee", 0.1, -0.45), ("Foot", 0.1, -0.88), ("Shoulder", 0.2, 0.5),
                                    ("Elbow", 0.2, 0.2), ("Wrist", 0.2, -0.05))},
}  # fmt: skip
LIMBS = {"LKnee": ("LHip", "LFoot", 1), "RKnee": ("RHip", "RFoot", 1)}
LIMBS |= {"LElbow": ("LShoulder", "LWrist", -1), "RElbow": ("RShoulder", "RWrist", -1)}


def without_wrong_bends(poses):
    return hinges.without_wrong_bends(poses, elbows=True)


def body(hinge, bend_deg, raised_deg=0.0, twist_deg=0.0):
    """Return a pose whose limb is raised forwards, then rotated about its upper bone, and whose hinge is bent."""
    pose = np.array([STANDING[name] for name in H36M_17.joints], float)
    first, last, sign = LIMBS[hinge]
    upper, lower = pose[J[hinge]] - pose[J[first]], pose[J[last]] - pose[J[hinge]]
    raised = Rotation.from_euler("Y", -raised_deg, degrees=True) * Rotation.from_euler("Z", twist_deg, degrees=True)
    pose[J[hinge]] = pose[J[first]] + raised.apply(upper)
    pose[J[last]] = pose[J[hinge]] + (raised * Rotation.from_euler("Y", sign * bend_deg, degrees=True)).apply(lower)
    return pose


def angle(pose, hinge):
    first, last, _ = LIMBS[hinge]
    upper, lower = pose[..., J[hinge], :] - pose[..., J[first], :], pose[..., J[last], :] - pose[..., J[hinge], :]
    return np.degrees(np.arctan2(np.linalg.norm(np.cross(upper, lower), axis=-1), (upper * lower).sum(-1)))


@pytest.fixture(scope="module")
def views():
    """Rotations [50, 3, 3] into the axes of cameras."""
    return Rotation.random(50, random_state=0).as_matrix()


@pytest.mark.parametrize("hinge", LIMBS)
@pytest.mark.parametrize("bend", [2, 10, 24])
def test_hyperextension_becomes_straight_from_any_side(views, hinge, bend):
    pose = body(hinge, -bend)
    assert angle(pose, hinge) == pytest.approx(bend)
    seen = pose @ views.mT
    made = without_wrong_bends(seen)
    np.testing.assert_allclose(angle(made, hinge), 0, atol=1e-5)
    np.testing.assert_allclose(frame_lengths(made, alike=False), frame_lengths(seen, alike=False), atol=1e-12)
    others = [index for index in range(17) if index not in (J[hinge], J[LIMBS[hinge][1]])]
    np.testing.assert_array_equal(made[:, others], seen[:, others])
    np.testing.assert_allclose(made @ views, made[:1] @ views[:1].repeat(len(views), 0), atol=1e-9)
    np.testing.assert_allclose(wrong_bends(seen)[:, list(LIMBS).index(hinge)], bend)
    np.testing.assert_allclose(wrong_bends(made), 0, atol=1e-4)


def test_straightening_moves_both_joints_as_little_as_they_can():
    pose = body("LKnee", -20)
    hip, knee, foot = (pose[J[name]] for name in ("LHip", "LKnee", "LFoot"))
    thigh, shank = np.linalg.norm(knee - hip), np.linalg.norm(foot - knee)
    direction = thigh * (knee - hip) + (thigh + shank) * (foot - hip)  # best direction of a straight leg
    direction /= np.linalg.norm(direction)
    made = without_wrong_bends(pose[None])[0]
    np.testing.assert_allclose(made[J["LKnee"]], hip + thigh * direction, atol=1e-6)
    np.testing.assert_allclose(made[J["LFoot"]], hip + (thigh + shank) * direction, atol=1e-6)


@pytest.mark.parametrize("hinge", LIMBS)
@pytest.mark.parametrize("bend", [0.5, 5, 40, 90, 130])
@pytest.mark.parametrize(("raised", "twist"), [(0, 0), (30, 45), (-20, -45), (100, 0)])
def test_normal_bends_are_untouched(views, hinge, bend, raised, twist):
    seen = body(hinge, bend, raised, twist) @ views.mT
    np.testing.assert_array_equal(without_wrong_bends(seen), seen)


@pytest.mark.parametrize(("hinge", "raised"), [("LKnee", 110), ("RElbow", 60)])
def test_where_it_cannot_be_told_nothing_is_corrected(hinge, raised):
    pose = body(hinge, -20, raised)[None]
    np.testing.assert_array_equal(without_wrong_bends(pose), pose)
    assert np.isnan(wrong_bends(pose)[0, list(LIMBS).index(hinge)])


@pytest.mark.parametrize(("hinge", "kind"), [("LKnee", "knees"), ("RElbow", "elbows")])
def test_only_what_is_asked_for_is_corrected(hinge, kind):
    pose = body(hinge, -10)[None]
    np.testing.assert_array_equal(hinges.without_wrong_bends(pose, **{"knees": True, "elbows": True} | {kind: False}), pose)
    assert angle(hinges.without_wrong_bends(pose, **{"knees": False, "elbows": False} | {kind: True}), hinge) < 1e-5


def test_a_folded_leg_is_told_but_stays():
    pose = body("LKnee", -60)[None]
    np.testing.assert_array_equal(without_wrong_bends(pose), pose)
    np.testing.assert_allclose(wrong_bends(pose)[0], [60, 0, 0, 0], atol=1e-6)


def test_correction_has_no_leaps():
    bends, lifts = np.linspace(-60, 10, 176), np.linspace(0, 120, 301)
    for track in (np.stack([body("LKnee", bend) for bend in bends]), np.stack([body("LKnee", -20, up) for up in lifts])):
        step = np.abs(np.diff(track, axis=0)).max()
        assert np.abs(np.diff(without_wrong_bends(track), axis=0)).max() < 5 * step


def test_missing_frames_stay():
    poses = np.stack([body("LKnee", -10)] * 3)
    poses[1, 4] = np.nan
    made = without_wrong_bends(poses)
    np.testing.assert_array_equal(made[1], poses[1])
    np.testing.assert_allclose(angle(made[[0, 2]], "LKnee"), 0, atol=1e-5)
    assert np.isnan(wrong_bends(poses)[1]).all()
    assert without_wrong_bends(poses[:0]).shape == (0, 17, 3)
    assert wrong_bends(poses[:0]).shape == (0, 4)
