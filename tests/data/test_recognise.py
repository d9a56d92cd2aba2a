"""Files with the joints of known producers and the motion of a generated person are converted to this person's 17 joints."""

import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from srnet_jax.data import prepare
from srnet_jax.data.mocap import bvh, conversion, recognise, skeleton_maps, verticals
from srnet_jax.errors import DataError, UserError
from srnet_jax.lifting.formats import bvh as own_bvh
from srnet_jax.lifting.formats.motion import Motion as OwnMotion
from srnet_jax.pose.skeleton import H36M_17

FPS = 30
SIDE = ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")
INDEX = {joint: index for index, joint in enumerate(H36M_17.joints)}
MIDDLE = [INDEX[joint] for joint in ("Spine", "Thorax", "Neck", "Head")]


# Of each producer: left and right, the names of hip, knee, ankle, shoulder, elbow and wrist; the trunk from the root on, where
# * marks spine, thorax and base of the skull; the head's end; the unit in metres; the text in the output.
HUMAN_IK = ("Left{}", "Right{}", "UpLeg Leg Foot Arm ForeArm Hand")
JOINT_NAMES = ("Left{}", "Right{}", "Hip Knee Ankle Shoulder Elbow Wrist")
BIPED = ("Bip01 L {}", "Bip01 R {}", "Thigh Calf Foot UpperArm Forearm Hand")
BIPED_TRUNK = "Bip01 Pelvis|Bip01 Spine|*Bip01 Spine1|Bip01 Spine2|*Bip01 Neck|*Bip01 Head"
ROKOKO = ("Left{}", "Right{}", "Thigh Shin Foot Arm ForeArm Hand")
MVN = ("Left{}", "Right{}", "UpperLeg LowerLeg Foot UpperArm ForeArm Hand")
BIOVISION = ("Left{}", "Right{}", "UpLeg LowLeg Foot UpArm LowArm Hand")
UNREAL, UNITY = "thigh calf foot upperarm lowerarm hand", "UpperLeg LowerLeg Foot UpperArm LowerArm Hand"
VROID_TRUNK = "J_Bip_C_Hips J_Bip_C_Spine *J_Bip_C_Chest J_Bip_C_UpperChest *J_Bip_C_Neck *J_Bip_C_Head"
SMPL = ("L_{}", "R_{}", "Hip Knee Ankle Shoulder Elbow Wrist")
PRODUCERS = {
    "mixamo": (*HUMAN_IK, "Hips Spine *Spine1 Spine2 *Neck *Head", "HeadTop_End", 0.01, "Mixamo"),
    "sfu": (*HUMAN_IK, "Hips Spine *Spine1 *Neck *Head", "End Site", 0.0254, "HumanIK"),
    "motionbuilder": (*HUMAN_IK, "Hips Spine *Spine1 Spine2 Spine3 *Neck Neck1 *Head", "End Site", 0.01, "HumanIK"),
    "lafan1": (*HUMAN_IK, "Hips Spine *Spine1 Spine2 *Neck *Head", "", 0.01, "LAFAN1"),
    "rokoko": (*ROKOKO, "Hips Spine1 *Spine2 Spine3 Spine4 *Neck *Head", "End Site", 0.01, "Rokoko"),
    "xsens": (*JOINT_NAMES, "Hips Chest Chest2 *Chest3 Chest4 *Neck *Head", "End Site", 0.01, "Xsens"),
    "mocapdata": (*JOINT_NAMES, "Hips Chest *Chest2 *Neck *Head", "End Site", 0.0254, "Xsens"),
    "mvn": (*MVN, "Pelvis L5 L3 *T12 T8 *Neck *Head", "End Site", 0.01, "Xsens MVN's segments"),
    "motive": ("L{}", "R{}", "Thigh Shin Foot UArm FArm Hand", "Hip Ab *Chest *Neck *Head", "End Site", 0.01, "Motive"),
    "biovision": (*BIOVISION, "Hips *Chest *Neck *Head", "End Site", 0.0254, "Biovision"),
    "biped": (*BIPED, BIPED_TRUNK, "Bip01 HeadNub", 0.0254, "Biped"),
    "unreal": ("{}_l", "{}_r", UNREAL, "pelvis spine_01 *spine_02 spine_03 *neck_01 *head", "End Site", 0.01, "Unreal"),
    "unity": ("Left{}", "Right{}", UNITY, "Hips Spine *Chest UpperChest *Neck *Head", "End Site", 1.0, "Unity"),
    "vroid": ("J_Bip_L_{}", "J_Bip_R_{}", UNITY, VROID_TRUNK, "End Site", 1.0, "VRoid"),
    "smpl": (*SMPL, "Pelvis Spine1 *Spine2 Spine3 *Neck *Head", "", 1.0, "SMPL"),
}


def tree(producer, poses, prefix=""):
    """Return {name: (parent, positions [T, 3])} of a producer's joints, and the lines' root first."""
    left, right, names, trunk, end, _, _ = PRODUCERS[producer]
    marks = iter(("Spine", "Thorax", "Neck"))
    joints, above, known = {}, None, "Hip"
    for name in trunk.split("|" if "|" in trunk else " "):
        known = next(marks) if name.startswith("*") else known
        place = poses[:, INDEX[known]] + (0 if name.startswith("*") or above is None else [0.0, 0.01, 0.02])
        name = prefix + name.removeprefix("*")
        joints[name] = (above, place)
        above = name
    head = poses[:, INDEX["Neck"]] + 2 * (poses[:, INDEX["Head"]] - poses[:, INDEX["Neck"]])
    if end and end != "End Site":
        joints[prefix + end] = (above, head)
    root, thorax = next(iter(joints)), next(name for name in reversed(joints) if "neck" in name.lower())
    for side, pattern in (("L", left), ("R", right)):
        for place, parent in ((0, root), (3, thorax)):
            for joint, name in zip(SIDE[place : place + 3], names.split()[place : place + 3], strict=True):
                name = prefix + pattern.format(name)
                joints[name] = (parent, poses[:, INDEX[side + joint]])
                parent = name
        toe = "Toe" if producer == "lafan1" else "ToeBase"
        if "Left" in left:
            foot = prefix + pattern.format(names.split()[2])
            joints[prefix + pattern.format(toe)] = (foot, joints[foot][1] + [0, 0.1, -0.05])
    return joints, (above, head) if end == "End Site" else (above, joints[above][1] + [0, 0, 1e-9])


def write(path, producer, poses, *, prefix="", unit_m=None, up="y", fps=FPS):
    """Write a BVH file whose joints all have positions as channels, as Mixamo's and Biped's exports do."""
    unit_m = unit_m or PRODUCERS[producer][5]
    joints, (last, end) = tree(producer, poses, prefix)
    axes = {
        "y": lambda p: np.stack([p[:, 0], p[:, 2], -p[:, 1]], 1),
        "z": lambda p: p,
        "-y": lambda p: p[:, [0, 2, 1]] * [1, -1, 1],
    }
    local = {
        name: axes[up]((place - (joints[parent][1] if parent else 0)) / unit_m) for name, (parent, place) in joints.items()
    }
    site = axes[up]((end - joints[last][1]) / unit_m)
    order, lines = [], ["HIERARCHY"]

    def add(name):
        order.append(name)
        lines.append(f"{'JOINT' if joints[name][0] else 'ROOT'} {name}\n{{\nOFFSET 0 0 0")
        lines.append("CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation")
        children = [child for child, (parent, _) in joints.items() if parent == name]
        for child in children:
            add(child)
        if name == last and not children:
            lines.append(f"End Site\n{{\nOFFSET 0 {np.linalg.norm(site, axis=-1).mean():.6f} 0\n}}")
        lines.append("}")

    add(next(iter(joints)))
    lines += ["MOTION", f"Frames: {len(poses)}", f"Frame Time: {1 / fps:.7f}"]
    turns = (
        {}
        if PRODUCERS[producer][4] != "End Site"
        else {last: np.array([Rotation.align_vectors([way], [[0, 1.0, 0]])[0].as_euler("ZXY", degrees=True) for way in site])}
    )
    still = np.zeros((len(poses), 3))
    rows = np.concatenate([np.concatenate([local[name], turns.get(name, still)], 1) for name in order], 1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def convert(source, skeleton=None, fps=30.0):
    """Return the clips of one file, or of a folder, and what was recognised."""
    found = conversion.convert(source, skeleton, conversion.Options(fps=fps))
    for recording in found.refused:
        raise DataError(f"{recording.file}: {recording.refused}")
    return list(found.clips.values()), list(found.recognised)


@pytest.mark.parametrize("producer", PRODUCERS)
def test_each_producer_is_recognised(producer, walker, tmp_path):
    *_, end, unit_m, says = PRODUCERS[producer]
    path = write(tmp_path / "anna" / "walk_1.bvh", producer, walker)
    (found,), (line,) = convert(path)
    expected = walker.copy()
    expected[:, 0] = (walker[:, INDEX["LHip"]] + walker[:, INDEX["RHip"]]) / 2
    error = np.linalg.norm(found - expected, axis=-1)
    assert error.max() < 0.001
    assert says in line
    assert {0.01: "centimetres", 0.0254: "inches", 1.0: "metres"}[unit_m] in line
    assert "y up" in line
    assert ("head in line with the neck" in line) == (not end)
    by_name = "motionbuilder" if producer == "sfu" else {"mocapdata": "xsens", "mvn": "xsens"}.get(producer, producer)
    np.testing.assert_array_equal(convert(path, by_name)[0][0], found)


@pytest.mark.filterwarnings("ignore:.*the vertical axis is uncertain")  # a person who stays in place may be lying
@pytest.mark.parametrize("unit_m", [1.0, 0.01, 0.001, 0.0254])
@pytest.mark.parametrize("up", ["y", "z", "-y"])
def test_unit_and_vertical_follow_from_the_person(unit_m, up, walker, tmp_path):
    path = write(tmp_path / "walk.bvh", "mixamo", walker, unit_m=unit_m, up=up)
    (found,), (line,) = convert(path)
    shape = found - found[:, :1]
    turned = {"y": 1, "z": 1, "-y": [-1, -1, 1]}[up]  # about the vertical
    truth = (walker - (walker[:, [4]] + walker[:, [1]]) / 2) * turned
    if up == "-y":
        truth = np.linalg.norm(truth[:, 1:], axis=-1)
        shape = np.linalg.norm(shape[:, 1:], axis=-1)
        np.testing.assert_allclose(
            found[:, 10, 2] - found[:, 0, 2], (walker[:, 10] - walker[:, [1, 4]].mean(1))[:, 2], atol=0.002
        )
        np.testing.assert_allclose(shape, truth, atol=0.002)
    else:
        np.testing.assert_allclose(shape, truth, atol=0.002)
    assert f"{up} up" in line


@pytest.mark.filterwarnings("ignore:.*height")
def test_a_child_is_small_and_not_in_inches(walker, tmp_path):
    child = walker * 0.6
    (found,), (line,) = convert(write(tmp_path / "walk.bvh", "xsens", child))
    assert "centimetres" in line
    np.testing.assert_allclose(found[:, 13], child[:, 13], atol=0.001)


@pytest.mark.parametrize("prefix", ["mixamorig:", "mixamorig7:", "Character1_", "skeleton_01:", "MIXAMORIG:", "mixamorig"])
def test_prefixes_make_no_difference(prefix, walker, tmp_path):
    plain = convert(write(tmp_path / "a.bvh", "mixamo", walker))[0][0]
    np.testing.assert_array_equal(convert(write(tmp_path / "b.bvh", "mixamo", walker, prefix=prefix))[0][0], plain)


MAPPING = "[joints]\n" + "".join(
    f'{key}{joint} = "PRE{side}{name}"\n'
    for key, side in (("L", "Left"), ("R", "Right"))
    for joint, name in zip(SIDE, HUMAN_IK[2].split(), strict=True)
)
MAPPING += 'Hip = ["PRELeftUpLeg", "PRERightUpLeg"]\nSpine = "PRESpine1"\nThorax = "PRENeck"\nNeck = "PREHead"\nHead = {}\n'


@pytest.mark.parametrize(
    ("named", "found"), [("mixamorig:", "mixamorig7:"), ("", "mixamorig:"), ("mixamorig:", ""), ("A_", "B_")]
)
def test_a_mapping_file_serves_files_with_other_prefixes(named, found, walker, tmp_path):
    (tmp_path / "mine.toml").write_text(MAPPING.replace("PRE", named), encoding="utf-8-sig")  # as Windows' Notepad writes it
    path = write(tmp_path / "walk.bvh", "mixamo", walker, prefix=found)
    (clip,), (line,) = convert(path, tmp_path / "mine.toml")
    np.testing.assert_allclose(clip[:, [1, 6, 8, 13]], walker[:, [1, 6, 8, 13]], atol=0.001)
    assert line == "1 file of mine.toml: centimetres, y up; head in line with the neck"


def test_a_mapping_files_unit_and_vertical_are_kept(walker, tmp_path):
    path = write(tmp_path / "walk.bvh", "mixamo", walker)
    (tmp_path / "mine.toml").write_text('unit = 0.011\nup = "z"\n' + MAPPING.replace("PRE", ""))
    layout, _, poses = recognise.poses_of(bvh.read(path), recognise.layouts(tmp_path / "mine.toml"), path)
    assert recognise.summary([layout]) == ["1 file of mine.toml: 0.011 m a unit, z up; head in line with the neck"]
    np.testing.assert_allclose(poses[:, 13, 1], walker[:, 13, 2] * 1.1, atol=0.002)


def test_our_own_animation_comes_back(walker, tmp_path):
    """With rotations as channels, by the writer of `lifting`."""
    facing = walker.copy()
    frames = np.arange(len(walker))
    own = OwnMotion("anna", facing, frames, frames / FPS, float(FPS), level=True, moves=True, floor=True)
    own_bvh.write(tmp_path / "x.bvh", own)
    (found,), (line,) = convert(tmp_path / "x.bvh")
    assert "this program's BVH" in line
    error = np.linalg.norm((found - found[:, :1]) - (walker - (walker[:, [1]] + walker[:, [4]]) / 2), axis=-1)
    assert np.median(error) < 0.005


def test_heads_without_a_length_are_put_in_line_with_the_neck(walker, tmp_path):
    path = write(tmp_path / "walk.bvh", "motionbuilder", walker)
    text = re.sub(r"End Site\n\{\nOFFSET .*", "End Site\n{\nOFFSET 0 0 0", path.read_text())
    path.write_text(text)
    (found,), (line,) = convert(path)
    assert "head in line with the neck" in line
    neck, head = found[:, 9] - found[:, 8], found[:, 10] - found[:, 9]
    np.testing.assert_allclose(np.linalg.norm(np.cross(neck, head), axis=-1), 0, atol=1e-6)
    assert 0.09 < np.linalg.norm(head, axis=-1).mean() < 0.14


@pytest.mark.filterwarnings("ignore:.*found the floor")
def test_one_vertical_for_all_files_of_a_skeleton(walker, tmp_path):
    """A person lies in a short file and walks in another."""
    lying = walker @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    write(tmp_path / "lie_1.bvh", "xsens", lying[:3])
    write(tmp_path / "walk_1.bvh", "xsens", walker)
    with pytest.warns(
        UserWarning, match=r"lie_1\.bvh: found people standing along -z or lying in nearly all frames, used y as in all files"
    ):
        clips, (line,) = convert(tmp_path)
    assert line.startswith("2 files of Xsens")
    np.testing.assert_allclose(clips[0][:, 13] - clips[0][:, 1], lying[:3, 13] - lying[:3, 1], atol=0.001)


def test_who_lies_down_has_stood_before(walker):
    lying = walker @ np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]).T
    clip = verticals.measure(np.concatenate([walker[:6], lying[6:]]))
    assert verticals.up_axis([clip], "y") == ("z", False)
    assert verticals.up_axis([clip], "x") == ("x", False)
    assert verticals.up_axis([clip] + [verticals.measure(walker)] * 10, "z") == ("z", True)


@pytest.mark.parametrize(("up", "usual"), [("z", "y"), ("y", "z"), ("x", "y"), ("-y", "y"), ("-y", "z")])
def test_an_unusual_vertical_is_sure_only_where_people_walk(up, usual, walker):
    turn = skeleton_maps.rotation(up)  # to z
    lying = verticals.measure(walker @ turn)
    assert verticals.up_axis([lying] * 20, usual) == (up, False)
    away = np.linspace(0, 2, len(walker))[:, None, None]
    walk = verticals.measure((walker + away * [1, 0.5, 0]) @ turn)
    assert verticals.up_axis([lying, walk], usual) == (up, True)
    angles = np.linspace(0, 4 * np.pi, len(walker))
    turns = Rotation.from_rotvec(angles[:, None] * [0, 0, 1])
    rolling = np.stack([turns[frame].apply(pose - pose[0]) for frame, pose in enumerate(walker)]) + away * [1, 0, 0]
    assert verticals.up_axis([verticals.measure(rolling @ turn)], usual) == (up, False)


@pytest.mark.filterwarnings("ignore:.*found the floor")
def test_a_clip_with_another_vertical_than_the_others_is_named(walker, tmp_path):
    for number in range(12):
        write(tmp_path / f"walk_{number}.bvh", "mixamo", walker[:10])
    write(tmp_path / "other_1.bvh", "mixamo", walker[:10], up="z")
    message = r"/other_1\.bvh: found people standing along z or lying in .*, used y as in all files of Mixamo; set `up` in"
    with pytest.warns(UserWarning, match=message) as warned:
        convert(tmp_path)
    assert not any("walk_" in str(warning.message) for warning in warned)


@pytest.mark.filterwarnings("ignore:.*the knees bend backwards", "ignore:subject .*upright")
def test_a_vertical_that_is_not_sure_gives_a_warning(walker, tmp_path):
    """A person whose head is lower than the hips, on straight legs."""
    bent = walker.copy()
    upper = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16]
    forwards = Rotation.from_rotvec([np.radians(110), 0, 0])
    bent[:, upper] = bent[:, :1] + forwards.apply((bent[:, upper] - bent[:, :1]).reshape(-1, 3)).reshape(len(bent), -1, 3)
    path = write(tmp_path / "bend.bvh", "xsens", bent)
    with pytest.warns(UserWarning, match=r"bend\.bvh: Xsens .*: the vertical axis is uncertain, used y; set `up` in"):
        (found,), _ = convert(path)
    np.testing.assert_allclose(found[:, 13], bent[:, 13], atol=0.001)


def test_joints_of_nobody_are_refused_with_the_nearest_skeleton(walker, tmp_path):
    path = write(tmp_path / "walk.bvh", "xsens", walker)
    path.write_text(path.read_text().replace("LeftKnee", "LeftGenu").replace("RightWrist", "RightCarpus"))
    with pytest.raises(DataError) as caught:
        convert(path)
    assert re.search(
        r"walk\.bvh: found the joints 'Hips, .*the nearest, Xsens MVN.*, lacks LeftKnee, RightWrist; map", str(caught.value)
    )
    said = prepare.draft_skeleton(path, tmp_path / "draft.toml")
    assert said.endswith(f"--skeleton={tmp_path}/draft.toml")
    draft = (tmp_path / "draft.toml").read_text()
    assert '# LKnee = ""  # not found' in draft
    assert '"LeftGenu"' in draft
    (tmp_path / "draft.toml").write_text(
        draft.replace('# LKnee = ""', 'LKnee = "LeftGenu"').replace('# RWrist = ""', 'RWrist = "RightCarpus"')
    )
    (found,), _ = convert(path, tmp_path / "draft.toml")
    np.testing.assert_allclose(found[:, [5, 16]], walker[:, [5, 16]], atol=0.001)


def test_a_draft_for_a_known_skeleton_is_complete(walker, tmp_path):
    path = write(tmp_path / "walk.bvh", "lafan1", walker, prefix="mixamorig7:")
    prepare.draft_skeleton(path, tmp_path / "draft.toml")
    (known,), _ = convert(path)
    (found,), (line,) = convert(path, tmp_path / "draft.toml")
    np.testing.assert_allclose(found, known, atol=1e-6)
    assert line.endswith("head in line with the neck")
    with pytest.raises(UserError, match="exists already"):
        prepare.draft_skeleton(path, tmp_path / "draft.toml")


def test_two_skeletons_that_differ_are_refused(walker, tmp_path):
    one, two = bvh.read(write(tmp_path / "a.bvh", "xsens", walker)), bvh.read(write(tmp_path / "b.bvh", "rokoko", walker))
    both = bvh.Motion(
        one.joints + two.joints[1:],
        one.parents + (0,) * (len(two.joints) - 1),
        30.0,
        np.concatenate([one.positions, two.positions[:, 1:]], 1),
    )
    with pytest.raises(
        DataError, match=r"found the joints of Rokoko Studio and Xsens .*, expected those of one; name it with --skeleton"
    ):
        recognise.choose(both, recognise.layouts(None), tmp_path / "c.bvh")
    assert recognise.choose(both, recognise.layouts("xsens"), tmp_path / "c.bvh").joints["LKnee"] == {"LeftKnee": 1.0}


def test_two_people_in_a_file_are_refused(walker, tmp_path):
    one = bvh.read(write(tmp_path / "a.bvh", "xsens", walker))
    both = bvh.Motion(
        tuple(f"{who}:{name}" for who in ("anna", "ben") for name in one.joints),
        one.parents * 2,
        30.0,
        np.concatenate([one.positions, one.positions], 1),
    )
    with pytest.raises(
        DataError, match=r"c\.bvh: found two skeletons, with the prefixes 'ben:' and 'anna:', expected one person in a file"
    ):
        recognise.choose(both, recognise.layouts(None), tmp_path / "c.bvh")
    names = dict(zip(HUMAN_IK[2].split(), JOINT_NAMES[2].split(), strict=True)) | {"Spine1": "Chest"}
    named = re.sub(r"PRE(Left|Right|)(\w+)", lambda found: f"ben:{found[1]}{names.get(found[2], found[2])}", MAPPING)
    (tmp_path / "mine.toml").write_text(named)
    layout = recognise.choose(both, recognise.layouts(tmp_path / "mine.toml"), tmp_path / "c.bvh")
    assert layout.joints["LKnee"] == {"ben:LeftKnee": 1.0}


@pytest.mark.filterwarnings("ignore:.*found the floor")
def test_refused_files_stop_no_others_and_say_nothing_of_the_vertical(walker, tmp_path):
    lying = walker @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    write(tmp_path / "lie_1.bvh", "xsens", np.repeat(lying[:1], 90, axis=0), fps=1e12)
    write(tmp_path / "walk_1.bvh", "xsens", walker[:20])
    (tmp_path / "cut_1.bvh").write_text("HIERARCHY\n")
    found = conversion.convert(tmp_path)
    cut, lie, walk = found.files
    assert cut.refused.startswith("found the end of the file within the hierarchy")
    assert "nothing that moves; set fps" in lie.refused
    np.testing.assert_allclose(lie.first_pose, lying[0], atol=0.001)  # as the vertical of the others is
    assert [line.partition(";")[0].rpartition(": ")[2] for line in found.recognised] == ["centimetres, y up"]
    assert list(found.clips) == list(walk.clips)
    np.testing.assert_allclose(found.clips[walk.key] - found.clips[walk.key][:1, :1], walker[:20] - walker[:1, :1], atol=0.001)
