import dataclasses

import numpy as np
import pytest

from srnet_jax.data.mocap import plausibility, recognise, verticals
from srnet_jax.data.mocap import skeleton_maps as skeletons
from srnet_jax.data.mocap.bvh import Motion
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17

# A person who stands with bent knees and looks along -y; world metres, z up, x to the person's left.
SIDE = {"Hip": (0.1, 0.0, 0.9), "Knee": (0.11, -0.1, 0.5), "Foot": (0.1, 0.0, 0.1), "Shoulder": (0.2, 0.0, 1.4)}
SIDE |= {"Elbow": (0.3, 0.05, 1.1), "Wrist": (0.3, -0.1, 0.9)}
PERSON = {"Hip": (0, 0, 0.9), "Spine": (0, 0.02, 1.0), "Thorax": (0, 0.01, 1.4), "Neck": (0, 0, 1.55), "Head": (0, -0.02, 1.66)}
PERSON |= {f"L{name}": place for name, place in SIDE.items()}
PERSON |= {f"R{name}": (-x, y, z) for name, (x, y, z) in SIDE.items()}
POSE = np.array([PERSON[joint] for joint in H36M_17.joints])
VERTEBRA = np.array([0, -0.01, 0.12])  # of the CMU person
SKULL = np.array([0, -0.05, 0.04])  # from the base of the skull to between the eyes, in Daz's


def side_joints(left, right, names):
    return {
        side + name: np.array(PERSON[key + joint]) for side, key in ((left, "L"), (right, "R")) for joint, name in names.items()
    }


def vicon():
    names = {"Hip": "hipjoint", "Knee": "femur", "Foot": "tibia", "Shoulder": "clavicle", "Elbow": "humerus", "Wrist": "wrist"}
    middle = {"root": "Spine", "thorax": "Thorax", "upperneck": "Neck", "head": "Head"}
    unused = "ltoes lowerback upperback lowerneck lradius lhand lfingers lthumb rfoot rtoes rradius rhand rfingers rthumb"
    return (
        side_joints("l", "r", names) | {name: np.array(PERSON[joint]) for name, joint in middle.items()},
        unused,
        0.0254,
        ".amc",
    )


def motionbuilder():
    joints = side_joints("Left", "Right", {"Hip": "UpLeg", "Knee": "Leg", "Foot": "Foot"})
    chest = np.array(PERSON["Thorax"]) - VERTEBRA  # where the file has what hangs on the lost thorax
    joints |= dict.fromkeys(("Spine1", "Neck", "LeftShoulder", "RightShoulder"), chest)
    joints |= {"Hips": np.array(PERSON["Spine"]), "Spine": chest - VERTEBRA}
    joints |= {"Head": np.array(PERSON["Neck"]) - VERTEBRA, "Head_end": np.array(PERSON["Head"]) - VERTEBRA}
    for name, position in side_joints("Left", "Right", {"Shoulder": "Arm", "Elbow": "ForeArm", "Wrist": "Hand"}).items():
        joints[name] = position - VERTEBRA
    for side in ("Left", "Right"):  # two thirds of the forearm
        joints[f"{side}Hand"] = joints[f"{side}ForeArm"] + (joints[f"{side}Hand"] - joints[f"{side}ForeArm"]) / 1.5
    unused = "LHipJoint LeftToeBase LeftToeBase_end RHipJoint LowerBack Neck1 LeftFingerBase LeftHandIndex1 LThumb LThumb_end"
    return joints, unused, 0.0254 / 0.45, ".bvh"


def daz():
    names = {"Hip": "Thigh", "Knee": "Shin", "Foot": "Foot", "Shoulder": "Shldr", "Elbow": "ForeArm", "Wrist": "Hand"}
    neck, aside = np.array(PERSON["Neck"]), np.array([0.03, 0, 0])
    joints = side_joints("l", "r", names) | {"abdomen": np.array(PERSON["Spine"]), "head": neck}
    joints |= {"lCollar": np.array(PERSON["Thorax"]) + aside, "rCollar": np.array(PERSON["Thorax"]) - aside}
    joints |= {"leftEye": neck + SKULL + aside, "rightEye": neck + SKULL - aside}
    joints["neck"] = neck - 2 * (np.array(PERSON["Head"]) - neck - SKULL / 2)
    return joints, "hip chest rButtock lButtock rFoot_end leftEye_end rThumb1 rIndex1 rPinky2", 0.01, ".bvh"


def second_life():
    joints, unused, unit_m, suffix = daz()
    places = {name: place for name, place in joints.items() if "Eye" not in name}
    places["head_end"] = 2 * np.array(PERSON["Head"]) - PERSON["Neck"]
    return places, unused.replace("leftEye_end", "figureHair"), unit_m, suffix


def bandai():
    names = {
        "Hip": "UpperLeg",
        "Knee": "LowerLeg",
        "Foot": "Foot",
        "Shoulder": "UpperArm",
        "Elbow": "LowerArm",
        "Wrist": "Hand",
    }
    joints = {f"{key[1:]}_{key[0]}": position for key, position in side_joints("L", "R", names).items()}
    joints |= {"Spine": np.array(PERSON["Spine"]), "Neck": np.array(PERSON["Thorax"]), "Head": np.array(PERSON["Neck"])}
    return joints, "joint_Root Hips Chest Head_end Shoulder_L Hand_L_end Toes_L Toes_L_end Shoulder_R Toes_R", 0.01, ".bvh"


def as_motion(joints, unused=(), unit_m=1.0, frames=3):
    """Return the motion of a person who stands still, in a file with y up."""
    names = sorted(joints) + list(unused)
    world = np.array([joints.get(name, (9.0, 9.0, 9.0)) for name in names])
    y_up = np.stack([world[:, 0], world[:, 2], -world[:, 1]], axis=-1) / unit_m
    return Motion(tuple(names), (-1,) + (0,) * (len(names) - 1), 120.0, np.tile(y_up, (frames, 1, 1)))


def upright(motion, layouts, path):
    layout, _, poses = recognise.poses_of(motion, layouts, path)
    up, sure = verticals.up_axis([verticals.measure(poses)], recognise.usual_up(layout))
    assert sure
    found = dataclasses.replace(layout, up=up)
    return found, found.turned(poses)


@pytest.mark.parametrize(
    ("skeleton", "make"),
    [("cmu", vicon), ("hdm05", vicon), ("cmu", motionbuilder), ("cmu", daz), ("poser", second_life), ("bandai", bandai)],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_each_map_on_its_real_joint_names(tmp_path, skeleton, make):
    joints, unused, unit_m, suffix = make()
    motion = as_motion(joints, unused.split(), unit_m)
    layout, poses = upright(motion, recognise.layouts(skeleton), tmp_path / f"any{suffix}")
    assert layout.unit_m == pytest.approx(unit_m)
    expected = POSE.copy()
    if make is bandai:  # the head is in line with the neck
        expected[10] = POSE[9] + 1.5 * (POSE[9] - POSE[8])
    np.testing.assert_allclose(poses, np.tile(expected, (3, 1, 1)), atol=1e-9)
    assert layout.rest_pose is None
    measures = plausibility.measure(poses, 120.0)
    found = [check for check in plausibility.checks(measures, unit_m=layout.unit_m) if check.verdict != "ok"]
    assert not found


def test_cmus_heads_that_a_program_has_lost_are_in_line_with_the_neck(tmp_path):
    joints, unused, unit_m, _ = motionbuilder()
    joints["Head_end"] = joints["Head"]
    layout, poses = upright(as_motion(joints, unused.split(), unit_m), recognise.layouts(None), tmp_path / "any.bvh")
    assert layout.name == "CMU, MotionBuilder-friendly BVH"
    assert recognise.summary([layout]) == [
        "1 file of CMU, MotionBuilder-friendly BVH: 0.05644 m a unit, y up; head in line with the neck"
    ]
    np.testing.assert_allclose(poses[0, :10], POSE[:10], atol=1e-9)
    head = poses[0, 10] - POSE[9]
    neck = POSE[9] - POSE[8]
    np.testing.assert_allclose(head / np.linalg.norm(head), neck / np.linalg.norm(neck), atol=1e-9)
    assert 0.08 < np.linalg.norm(head) < 0.14


@pytest.mark.parametrize("make", [vicon, motionbuilder, daz, bandai])
def test_databases_are_recognised_without_their_name(make, tmp_path):
    joints, unused, unit_m, suffix = make()
    layout, _ = upright(as_motion(joints, unused.split(), unit_m), recognise.layouts(None), tmp_path / f"any{suffix}")
    names = {vicon: "CMU and HDM05", motionbuilder: "CMU, MotionBuilder", daz: "CMU, Daz", bandai: "Bandai-Namco"}
    assert layout.name.startswith(names[make])
    assert layout.unit_m == pytest.approx(unit_m)


def test_axes_turn_without_mirroring():
    for up, rotation in skeletons._ROTATIONS.items():
        assert np.linalg.det(rotation) == pytest.approx(1)
        np.testing.assert_array_equal(rotation @ np.eye(3)["xyz".index(up)], [0, 0, 1])


def test_axes_are_called_as_the_source_does():
    for up, rotation in skeletons._ROTATIONS.items():
        layout = skeletons.Layout("any", {}, unit_m=1.0, up=up)
        assert layout.source_axis("z") == up
        for sign, minus in ((1, ""), (-1, "-")):
            for axis in "xyz":
                world = sign * rotation @ np.eye(3)["xyz".index(axis)]
                name = "xyz"[int(np.abs(world).argmax())]
                assert layout.source_axis(("-" if world.sum() < 0 else "") + name) == minus + axis


def test_other_joints_are_refused(tmp_path):
    motion = as_motion(bandai()[0])
    with pytest.raises(
        DataError, match=r"x\.bvh: found the joints '.*\.\.\.', expected those of .*lacks LeftUpLeg.*Daz.*lacks"
    ):
        recognise.choose(motion, recognise.layouts("cmu"), tmp_path / "x.bvh")
    apart = motionbuilder()[0] | {"Neck": np.array([0, 0, 1.5])}
    with pytest.raises(DataError, match="Spine1, Neck, LeftShoulder, RightShoulder apart"):
        recognise.choose(as_motion(apart), recognise.layouts("cmu"), tmp_path / "x.bvh")
    with pytest.raises(
        DataError, match=r"expected those of \.amc files"
    ):  # in a BVH file, bones would be named by their beginnings
        recognise.choose(as_motion(vicon()[0]), recognise.layouts("hdm05"), tmp_path / "x.bvh")


MAPPING = """unit = 0.01
up = "z"
fps = 60
[joints]
Hip = ["lThigh", "rThigh"]
Head = {head = 2.0, neck = -1.0}
Spine = {abdomen = 1}
Thorax = "neck"
Neck = "head"
"""
for joint, source in zip(SIDE, ("Thigh", "Shin", "Foot", "Shldr", "ForeArm", "Hand"), strict=True):
    MAPPING += f'L{joint} = "l{source}"\nR{joint} = "r{source}"\n'


def test_a_mapping_file_serves_any_other_source(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING)
    (layout,) = recognise.layouts(path)
    assert (layout.unit_m, layout.up, layout.fps) == (0.01, "z", 60)
    joints = {name: 100 * position for name, position in daz()[0].items()}
    names = tuple(joints)
    motion = Motion(names, (-1,) + (0,) * (len(names) - 1), 30.0, np.array([[joints[name] for name in names]]))
    pose = recognise.choose(motion, (layout,), tmp_path / "any.bvh").apply(motion)[0]
    np.testing.assert_allclose(pose[[0, 1, 3, 7, 9, 13]], POSE[[0, 1, 3, 7, 9, 13]], atol=1e-9)
    np.testing.assert_allclose(pose[10], (2 * joints["head"] - joints["neck"]) / 100, atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("unit = 0.01", "unit = ", "expected a TOML file"),
        ("unit = 0.01", "unit = -1", "unit is '-1', expected a positive number"),
        ("unit = 0.01", f"unit = 1{'0' * 400}", "unit is '1000.*', expected a positive number"),
        ("unit = 0.01", f"unit = 1{'0' * 5000}", "expected a TOML file"),
        ("unit = 0.01", "unit = nan", "unit is 'nan', expected a positive number"),
        ("unit = 0.01", 'unit = "cm"', "unit is 'cm', expected a positive number"),
        ('up = "z"', 'up = "w"', "up is 'w', expected the axis that points up"),
        ('up = "z"', "up = []", "up is '\\[\\]', expected the axis"),
        ("fps = 60", "fps = 0", "fps is '0', expected 0.1 to 10,000"),
        ("fps = 60", "rate = 60", "found 'rate', expected unit, up, fps, rest_pose, name and joints"),
        ("[joints]", "[join]", "found 'join', expected unit, up, fps, rest_pose, name and joints"),
        ("fps = 60\n[joints]", "joints = 3\n[fps]", r"fps is .*, expected 0.1 to 10,000"),
        ('Thorax = "neck"', "", r"\[joints\]: 'Thorax' is missing or unknown, expected Hip, RHip"),
        ('Thorax = "neck"', 'Thorax = "neck"\nTail = "hip"', "'Tail' is missing or unknown"),
        ('Thorax = "neck"', "Thorax = 3", "joint Thorax is '3', expected a joint, a list"),
        ('Thorax = "neck"', "Thorax = []", "joint Thorax is '\\[\\]', expected a joint, a list"),
        ("neck = -1.0", "neck = 1.0", "joint Head is .* expected .* weights that sum to 1"),
        ("neck = -1.0", 'neck = "1.0"', "joint Head is .* expected .* weights that sum to 1"),
    ],
)
def test_bad_mapping_files_are_refused(tmp_path, old, new, message):
    assert old in MAPPING
    path = tmp_path / "mine.toml"
    path.write_text(MAPPING.replace(old, new, 1))
    with pytest.raises(DataError, match=rf"mine\.toml: .*{message}") as caught:
        recognise.layouts(path)
    assert "\n" not in str(caught.value)


def test_unknown_skeletons_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"^cmv: no such skeleton, expected cmu, hdm05, bandai, mixamo, .* or a mapping file"):
        recognise.layouts("cmv")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="expected a TOML file"):
        recognise.layouts(tmp_path / "binary.toml")
