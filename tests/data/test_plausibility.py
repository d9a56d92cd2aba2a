import numpy as np
import pytest

from srnet_jax.data.mocap import plausibility
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mocap import POSE, walk

JOINT = {name: index for index, name in enumerate(H36M_17.joints)}
PAIRS = {part: [JOINT[f"L{part}"], JOINT[f"R{part}"]] for part in ("Hip", "Knee", "Foot", "Shoulder", "Elbow", "Wrist")}


def findings(poses, *, fps=30.0, unit_m=1.0, axis="", of_clip=True):
    """Return {kind: check} of all checks that are not ok."""
    checks = plausibility.checks(plausibility.measure(poses, fps), unit_m=unit_m, axis=axis, of_clip=of_clip)
    return {check.kind: check for check in checks if check.verdict != "ok"}


def swapped(poses, *parts):
    """Exchange the left and right of some parts."""
    poses = poses.copy()
    for part in parts:
        poses[:, PAIRS[part]] = poses[:, PAIRS[part][::-1]]
    return poses


def test_a_person_who_walks_is_plausible():
    poses = walk(60, 30)
    assert findings(poses) == {}
    assert findings(poses[:1]) == {}  # no speeds
    measures = plausibility.measure(poses, 30.0)
    assert measures.hip_speed == pytest.approx((1, 1, 1))
    assert measures.upright == pytest.approx(1)
    assert measures.shoulders_m == pytest.approx(0.5)
    assert measures.facing == pytest.approx(1)
    assert measures.knees_m == pytest.approx(0.1)
    leg = np.linalg.norm(POSE[2] - POSE[1]) + np.linalg.norm(POSE[3] - POSE[2])
    assert measures.height_m == pytest.approx(leg + 0.75)
    assert measures.floor_m == pytest.approx(0.1 - 0.1 * leg)
    assert measures.bones_m[JOINT["LWrist"]] == pytest.approx(0.25)
    top = 0.25 * 0.6 * 3  # of the wrist
    assert measures.limb_speed[2] == pytest.approx(top, rel=0.01)


@pytest.mark.parametrize(
    ("scale", "verdict", "hint"),
    [
        (0.62, "odd", "it looks like centimetres"),  # of which 1.6 were taken for one
        (1.35, "odd", "centimetres"),
        (1000, "impossible", "millimetres"),
        (100, "impossible", "centimetres"),
        (1 / 0.0254, "impossible", "inches"),
        (1e6, "impossible", "no usual unit fits"),
        (0.3, "impossible", ""),
    ],
)
def test_other_sizes_are_noticed_and_units_named(scale, verdict, hint):
    unit_m = 0.01 * scale if scale < 10 else 1.0
    found = findings(walk(9, 30) * scale, unit_m=unit_m)["height"]
    assert found.verdict == verdict
    assert hint in found.hint
    height = plausibility.measure(walk(9, 30), 30.0).height_m * scale
    assert str(found).startswith(f"height: found {height:.3g} m from ankle to head with {unit_m:.4g} m a unit, ")


def test_astronomic_sizes_are_no_warning_of_numpys():
    for scale in (1e21, 1e-30):
        assert findings((walk(5, 30) * scale).astype(np.float32))["height"].verdict == "impossible"


def test_joints_that_are_one_are_impossible():
    poses = walk(9, 30)
    for joint, parent in (("LFoot", "LKnee"), ("Head", "Neck"), ("Spine", "Hip"), ("RShoulder", "Thorax")):
        one = poses.copy()
        one[:, JOINT[joint]] = one[:, JOINT[parent]]
        found = findings(one)[f"{parent} to {joint}"]
        assert found.verdict == "impossible"
        assert str(found).startswith(f"{parent} to {joint}: found 0.00 m, expected 0.")
        assert str(found).endswith("m; they are one joint")


def test_long_and_short_bones_and_sides_that_differ():
    poses = walk(9, 30)
    for factor, verdict in ((0.55, "odd"), (1.8, "odd"), (0.1, "impossible"), (4.0, "impossible")):
        other = poses.copy()
        other[:, 3] = other[:, 2] + factor * (other[:, 3] - other[:, 2])
        found = findings(other)
        assert found["RKnee to RFoot"].verdict == verdict
        assert "LKnee to LFoot" not in found
        assert found["LKnee to LFoot and the same on the right"].verdict == "impossible"
    for factor, verdict in ((0.85, "ok"), (0.7, "odd"), (0.62, "odd"), (0.58, "impossible")):
        other = poses.copy()
        other[:, 16] = other[:, 15] + factor * (other[:, 16] - other[:, 15])
        check = findings(other).get("LElbow to LWrist and the same on the right")
        assert (check.verdict if check else "ok") == verdict


def test_limbs_that_change_their_length():
    poses = walk(40, 30)
    poses[::2, 16] = poses[::2, 15] + 1.5 * (poses[::2, 16] - poses[::2, 15])
    assert findings(poses)["limbs' lengths"].verdict == "odd"
    poses[::2, 16] = poses[::2, 15] + 1.4 * (poses[::2, 16] - poses[::2, 15])
    measures = plausibility.measure(poses, 30.0)
    assert 0.6 < measures.bone_change < 1
    for rigid, verdict in ((False, "odd"), (True, "impossible")):
        (check,) = [one for one in plausibility.checks(measures, unit_m=1.0, rigid=rigid) if one.kind == "limbs' lengths"]
        assert check.verdict == verdict
    crossed = walk(40, 30)
    crossed[::2, [12, 15]] = crossed[::2, [15, 12]]
    crossed[::2, [13, 16]] = crossed[::2, [13, 16]] * [1, 1, 3]
    assert findings(crossed)["limbs' lengths"].verdict == "impossible"


def test_arms_or_legs_that_are_swapped():
    poses = walk(30, 30)
    arms = findings(swapped(poses, "Shoulder", "Elbow", "Wrist"))["shoulders against hips"]
    assert (arms.verdict, arms.hint) == ("impossible", "are the left and right arms swapped?")
    assert arms.found == "180 degrees turned"
    legs = findings(swapped(poses, "Hip", "Knee", "Foot"))["shoulders against hips"]
    assert (legs.verdict, legs.hint) == ("impossible", "are the left and right legs swapped?")
    both = findings(swapped(poses, *PAIRS))
    assert list(both) == ["knees"]
    assert both["knees"].verdict == "odd"
    assert both["knees"].hint == plausibility.MIRRORED
    turned = poses.copy()
    for joint in (*PAIRS["Shoulder"], *PAIRS["Elbow"], *PAIRS["Wrist"]):  # by 60 degrees, as people can
        x, y = turned[:, joint, 0].copy(), turned[:, joint, 1] - turned[:, 8, 1]
        turned[:, joint, 0], turned[:, joint, 1] = x / 2 - y * 0.75**0.5, x * 0.75**0.5 + y / 2 + turned[:, 8, 1]
    assert findings(turned) == {}


def test_shoulders_below_hips_along_the_trunk():
    poses = walk(9, 30)
    poses[:, [8, 9, 10]] = poses[:, :1] - (poses[:, [8, 9, 10]] - poses[:, :1])
    assert findings(poses)["shoulders above hips"].verdict == "impossible"


@pytest.mark.parametrize(
    ("rotation", "axis"),
    [
        ([[1, 0, 0], [0, 0, -1], [0, 1, 0]], "-y"),  # up becomes -y
        ([[1, 0, 0], [0, 0, 1], [0, -1, 0]], "y"),
        ([[0, 0, 1], [0, 1, 0], [-1, 0, 0]], "x"),
        ([[1, 0, 0], [0, -1, 0], [0, 0, -1]], "-z"),
    ],
)
def test_people_who_walk_while_they_lie_have_another_axis_up(rotation, axis):
    poses = walk(60, 30) @ np.array(rotation, float).T
    measures = plausibility.measure(poses, 30.0)
    assert measures.lies_along == axis
    found = findings(poses, axis="y")["trunk"]
    assert found.verdict == "impossible"
    assert found.hint == 'people walk while they lie along y; set up = "y" in a mapping file'


def test_people_may_lie():
    standing = walk(60, 30)
    standing[..., 1] = standing[..., 1] - standing[:, :1, 1]  # in one place
    lying = standing @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).T
    assert findings(lying) == {}
    assert findings(lying, of_clip=False)["trunk"].verdict == "odd"  # always
    crawling = lying.copy()
    crawling[..., 1] += np.linspace(0, 3, 60)[:, None]
    assert findings(crawling) == {}
    rolling = lying.copy()
    angles = np.linspace(0, 4 * np.pi, 60)[:, None]
    rolling[..., 0] = lying[..., 0] * np.cos(angles) - lying[..., 2] * np.sin(angles) + angles * 0.2
    rolling[..., 2] = lying[..., 0] * np.sin(angles) + lying[..., 2] * np.cos(angles)
    assert plausibility.measure(rolling, 30.0).lies_along == ""
    on_hands = walk(60, 30) * [1, 1, -1]
    on_hands[:, [12, 15]] = on_hands[:, [11, 14]] - [0, 0, 0.3]
    on_hands[:, [13, 16]] = on_hands[:, [11, 14]] - [0, 0, 0.55]
    assert plausibility.measure(on_hands, 30.0).lies_along == ""


def test_speeds_and_rates_that_people_do_not_reach():
    poses = walk(60, 30)
    assert findings(poses, fps=2.0)["frame rate"].verdict == "odd"
    fast = findings(walk(60, 60), fps=780.0)
    assert {check.verdict for check in fast.values()} == {"odd"}
    assert list(fast) == ["frame rate", "speed of the hip"]
    assert fast["speed of the hip"].hint == "are 780 frames a second right?"
    assert findings(poses, fps=3000.0)["speed of the limbs"].hint == "are 3000 frames a second right?"


@pytest.mark.parametrize(("speed", "verdict"), [(11.0, "ok"), (13.0, "odd"), (15.5, "impossible"), (100.0, "impossible")])
def test_nobody_is_as_fast_as_a_car(speed, verdict):
    poses = walk(60, 30) + np.linspace(0, 59 / 30 * (speed - 1), 60)[:, None, None] * [0, -1, 0]
    check = findings(poses).get("speed of the hip")
    assert (check.verdict if check else "ok") == verdict
    if verdict == "impossible":
        assert check.expected == "a median below 15 m/s"
        assert check.hint == "is the root's position in another unit than the bones? are 30 frames a second right?"


def test_what_does_not_move_is_no_matter_of_the_frame_rate():
    still = np.tile(POSE, (60, 1, 1))
    slides = still + np.linspace(0, 1, 60)[:, None, None] * [1, 0, 0]
    for poses, hint in ((still, "nothing moves"), (slides, "arms and legs do not move")):
        found = findings(poses)
        assert list(found) == ["speed of the limbs"]
        assert found["speed of the limbs"].hint == hint


def test_a_subject_has_the_medians_of_its_clips():
    tall = walk(20, 30) * 1.1
    clips = [plausibility.measure(poses, 30.0) for poses in (walk(20, 30), walk(30, 30), tall, walk(1, 30))]
    pooled = plausibility.pooled(clips)
    assert pooled.frames == 71
    assert pooled.height_m == pytest.approx(clips[0].height_m)
    assert pooled.hip_speed == pytest.approx((1, 1, 1.1))  # a clip of one frame has none
    assert plausibility.pooled(clips[:1]) == clips[0]
    assert np.isnan(plausibility.pooled(clips[3:]).hip_speed[0])


def test_swapped_left_and_right_are_noticed(rng):
    noisy = POSE + rng.normal(0, 0.01, (20, 17, 3))
    assert not plausibility.is_mirrored(noisy)
    mirrored = noisy[:, list(H36M_17.mirrored)]
    assert plausibility.is_mirrored(mirrored)
    mirror_image = noisy * [-1, 1, 1]  # as from a left-handed source
    assert plausibility.is_mirrored(mirror_image)
    turned = mirrored[..., [1, 2, 0]]  # lying, say
    assert plausibility.is_mirrored(turned)
    straight = mirrored.copy()
    straight[:, [2, 5]] = (straight[:, [1, 4]] + straight[:, [3, 6]]) / 2
    assert not plausibility.is_mirrored(straight)
    assert not plausibility.is_mirrored(np.zeros((2, 17, 3)))
    assert not plausibility.is_mirrored(rng.normal(0, 1, (1, 17, 3)))  # no person
