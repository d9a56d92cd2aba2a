"""Joint angles of bodies whose segments SciPy rotated by known angles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from srnet_jax.pose import angles
from srnet_jax.pose.normalization import mirror
from srnet_jax.pose.skeleton import H36M_17

FORWARD_UP_RIGHT = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])  # from away, up, right to right, away, up
MIDDLE = ("pelvis_rotation", "pelvis_list", "trunk_bend_right", "trunk_twist_left", "trunk_lean_right")


def turned(order, *degrees):
    """Return a rotation about a body's own axes, which are capital letters in SciPy."""
    return Rotation.from_euler(order, degrees, degrees=True).as_matrix()


def body(**given):
    """Return a pose [17, 3], x right, y away, z up, with these angles and all others 0, by forward kinematics."""
    of = dict.fromkeys(angles.NAMES, 0.0) | given
    at = {"Hip": np.zeros(3)}
    pelvis = turned("YXZ", of["pelvis_rotation"], of["pelvis_list"], -of["pelvis_tilt"])
    thorax = pelvis @ turned("ZXY", -of["trunk_flexion"], of["trunk_bend_right"], of["trunk_twist_left"])
    at["Spine"] = pelvis @ [0, 0.2, 0]
    at["Thorax"] = at["Spine"] + thorax @ [0, 0.25, 0]
    at["Neck"], at["Head"] = (at["Thorax"] + thorax @ [0, up, 0] for up in (0.1, 0.2))
    for side, sign in (("R", 1), ("L", -1)):
        own = {name[:-2]: angle for name, angle in of.items() if name.endswith(side.lower())}
        at[f"{side}Hip"] = pelvis @ [0, 0, 0.13 * sign]
        thigh = pelvis @ turned("ZXY", own["hip_flexion"], -sign * own["hip_abduction"], sign * own["hip_rotation"])
        at[f"{side}Knee"] = at[f"{side}Hip"] + thigh @ [0, -0.42, 0]
        at[f"{side}Foot"] = at[f"{side}Knee"] + thigh @ turned("Z", -own["knee_flexion"]) @ [0, -0.4, 0]
        at[f"{side}Shoulder"] = at["Thorax"] + thorax @ [0, 0, 0.17 * sign]
        turn = own["shoulder_flexion"], -sign * own["shoulder_abduction"], sign * own["shoulder_rotation"]
        arm = thorax @ turned("ZXY", *turn)
        at[f"{side}Elbow"] = at[f"{side}Shoulder"] + arm @ [0, -0.28, 0]
        at[f"{side}Wrist"] = at[f"{side}Elbow"] + arm @ turned("Z", own["elbow_flexion"]) @ [0, -0.25, 0]
    return np.array([FORWARD_UP_RIGHT @ at[joint] for joint in H36M_17.joints])


def found(pose, level=True):
    return dict(zip(angles.NAMES, angles.joint_angles(pose, level=level), strict=True))


def spans():
    """Return angles, degrees, that people reach and that the joints determine."""
    spans = {"pelvis_rotation": (-179, 179), "pelvis_list": (-60, 60), "pelvis_tilt": (-170, 170)}
    spans |= {"trunk_flexion": (-60, 100), "trunk_bend_right": (-50, 50), "trunk_twist_left": (-60, 60)}
    for side in "rl":
        spans |= {f"hip_flexion_{side}": (-40, 130), f"hip_abduction_{side}": (-30, 60), f"hip_rotation_{side}": (-60, 60)}
        spans |= {f"shoulder_flexion_{side}": (-70, 200), f"shoulder_abduction_{side}": (-40, 75)}
        spans |= {f"knee_flexion_{side}": (31, 149), f"elbow_flexion_{side}": (31, 149), f"shoulder_rotation_{side}": (-90, 90)}
    return spans


BODIES = st.fixed_dictionaries({name: st.floats(*span) for name, span in spans().items()})


@settings(deadline=None, max_examples=100)
@given(BODIES)
def test_angles_that_make_a_body_are_found_again(given):
    got = found(body(**given))
    for name, angle in given.items():
        assert got[name] == pytest.approx(angle, abs=1e-6), name


@settings(deadline=None, max_examples=50)
@given(BODIES)
def test_a_mirrored_body_has_mirrored_angles(given):
    """Left and right are exchanged, rotations and bends to a side change their sign, the others stay."""
    pose = body(**given)
    straight, mirrored = found(pose), found(mirror(pose, H36M_17.mirrored))
    for name, angle in straight.items():
        twin = name[:-1] + {"r": "l", "l": "r"}[name[-1]] if name.endswith(("_r", "_l")) else name
        expected = -angle if name in MIDDLE else angle
        assert (mirrored[twin] - expected + 180) % 360 - 180 == pytest.approx(0, abs=1e-6), name


def test_one_at_a_time_is_what_its_name_says():
    """The direction in which a joint moves, for a person who faces away: x right, y ahead, z up."""
    at = H36M_17.joints.index
    stands = body()
    np.testing.assert_allclose([value for value in found(stands).values() if not np.isnan(value)], 0, atol=1e-6)

    def moves(joint, **given):
        return body(**given)[at(joint)] - stands[at(joint)]

    for side, out in (("R", 1), ("L", -1)):
        end = side.lower()
        assert moves(f"{side}Knee", **{f"hip_flexion_{end}": 30})[1] > 0.1
        assert moves(f"{side}Knee", **{f"hip_abduction_{end}": 30})[0] * out > 0.1
        assert moves(f"{side}Foot", **{f"knee_flexion_{end}": 30})[1] < -0.1
        assert moves(f"{side}Foot", **{f"knee_flexion_{end}": 90, f"hip_rotation_{end}": 30})[0] * out > 0.1  # heel out
        assert moves(f"{side}Elbow", **{f"shoulder_flexion_{end}": 30})[1] > 0.1
        assert moves(f"{side}Elbow", **{f"shoulder_abduction_{end}": 30})[0] * out > 0.1
        assert moves(f"{side}Wrist", **{f"elbow_flexion_{end}": 30})[1] > 0.1
        assert moves(f"{side}Wrist", **{f"elbow_flexion_{end}": 90, f"shoulder_rotation_{end}": 30})[0] * out < -0.1
    assert moves("Head", trunk_flexion=30)[1] > 0.1
    assert moves("Head", trunk_bend_right=30)[0] > 0.1
    assert moves("RShoulder", trunk_twist_left=30)[1] > 0.05
    assert moves("Head", pelvis_tilt=30)[1] > 0.1
    assert moves("RHip", pelvis_list=30)[2] < -0.05
    assert moves("RHip", pelvis_rotation=30)[1] > 0.05


@pytest.mark.parametrize("heading", [0, 75, -120, 180])
def test_lean_is_along_the_persons_heading(heading):
    """Leaning does not depend on the direction that the person faces."""
    forward = found(body(pelvis_rotation=heading, pelvis_tilt=20))
    assert forward["trunk_lean_forward"] == pytest.approx(20)
    assert forward["trunk_lean_right"] == pytest.approx(0, abs=1e-6)
    aside = found(body(pelvis_rotation=heading, pelvis_list=20))
    assert aside["trunk_lean_right"] == pytest.approx(20)
    assert aside["trunk_lean_forward"] == pytest.approx(0, abs=1e-6)


def test_arms_that_are_raised():
    """Flexion of an arm to the side is NaN, its elevation is not; straight up is 180."""
    side = found(body(shoulder_abduction_r=88, elbow_flexion_r=60))
    assert np.isnan(side["shoulder_flexion_r"])
    assert np.isnan(side["shoulder_rotation_r"])
    assert side["shoulder_elevation_r"] == pytest.approx(88)
    assert side["shoulder_abduction_r"] == pytest.approx(88)
    for angle in (170, 180, 190):
        up = found(body(shoulder_flexion_l=angle))
        assert up["shoulder_flexion_l"] == pytest.approx(angle)
        assert up["shoulder_elevation_l"] == pytest.approx(180 - abs(180 - angle), abs=1e-5)


@pytest.mark.parametrize("bend", [0, 29, 151, 180])
def test_rotation_needs_a_bent_limb(bend):
    got = found(body(knee_flexion_r=bend, hip_rotation_r=20, elbow_flexion_l=bend))
    assert np.isnan(got["hip_rotation_r"])
    assert np.isnan(got["shoulder_rotation_l"])
    assert got["knee_flexion_r"] == pytest.approx(bend, abs=1e-6)


def test_doubtful_angles_still_turn_the_bones():
    """All angles together reproduce the joints, also of straight limbs and of arms to the side."""
    given = {"shoulder_abduction_r": 88, "elbow_flexion_r": 60, "shoulder_rotation_r": 40, "hip_flexion_l": 30}
    pose = body(**given, knee_flexion_l=5, hip_rotation_l=25, shoulder_abduction_l=-86)
    kept = angles.joint_angles(pose, level=True, doubtful=True)
    assert np.isfinite(kept).all()
    np.testing.assert_allclose(body(**dict(zip(angles.NAMES, kept, strict=True))), pose, atol=1e-9)


def test_what_is_not_known_is_nan():
    level = {name for name, angle in found(body(), level=False).items() if np.isnan(angle)}
    assert {"pelvis_rotation", "pelvis_list", "pelvis_tilt", "trunk_lean_forward", "trunk_lean_right"} < level
    assert not np.isnan(found(body(), level=False)["hip_flexion_r"])
    assert np.isnan(angles.joint_angles(np.zeros((2, 17, 3)), level=True)).all()
    assert np.isnan(angles.joint_angles(np.full((2, 17, 3), np.nan), level=True)).all()
    one = np.stack([body(), np.full((17, 3), np.nan)])
    assert np.isfinite(angles.joint_angles(one, level=True)).any(1).tolist() == [True, False]
