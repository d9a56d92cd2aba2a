"""Keypoint layouts: joints keep their positions, and derived joints follow the documented rules."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from srnet_jax.errors import DataError, UserError
from srnet_jax.pose import layouts
from srnet_jax.pose.layouts import LAYOUTS, derived, find
from srnet_jax.pose.skeleton import H36M_17

DETECTORS = ("coco", "halpe_26", "body_25", "coco_18", "mediapipe_33", "mpii", "mpi_inf_3dhp")


def convert(points, source, target="h36m"):
    """Convert points [..., J, D] from one layout to another."""
    return np.einsum("tj,...jd->...td", layouts.weights(find(source), find(target)), points)


def test_numbers_of_joints_are_those_of_the_formats():
    counts = {name: len(layout.joints) for name, layout in LAYOUTS.items()}
    assert counts == {
        "coco": 17,
        "halpe_26": 26,
        "body_25": 25,
        "coco_18": 18,
        "mediapipe_33": 33,
        "mpii": 16,
        "h36m": 17,
        "mpi_inf_3dhp": 17,
        "body_25b": 25,
        "openpose_mpi_15": 15,
        "posetrack": 17,
    }
    assert all(len(set(layout.joints)) == len(layout.joints) for layout in LAYOUTS.values())


def test_well_known_indices():
    """Joint numbers from the documentation of the detectors."""
    known = {
        "coco": {0: "nose", 5: "left_shoulder", 10: "right_wrist", 15: "left_ankle"},
        "halpe_26": {17: "head_top", 18: "thorax", 19: "pelvis", 20: "left_big_toe", 25: "right_heel"},
        "body_25": {1: "thorax", 4: "right_wrist", 8: "pelvis", 15: "right_eye", 19: "left_big_toe", 24: "right_heel"},
        "coco_18": {1: "thorax", 2: "right_shoulder", 7: "left_wrist", 13: "left_ankle", 14: "right_eye", 17: "left_ear"},
        "mediapipe_33": {0: "nose", 7: "left_ear", 12: "right_shoulder", 23: "left_hip", 28: "right_ankle"},
        "mpii": {0: "right_ankle", 6: "pelvis", 9: "head_top", 10: "right_wrist", 15: "left_wrist"},
        "mpi_inf_3dhp": {0: "head_top", 1: "thorax", 4: "right_wrist", 14: "pelvis", 16: "head"},
    }
    for name, joints in known.items():
        assert {index: LAYOUTS[name].joints[index] for index in joints} == joints


def test_h36m_is_the_skeletons_order():
    sides = {"L": "left_", "R": "right_"}
    same = {"Hip": "pelvis", "Neck": "skull_base", "LFoot": "left_ankle", "RFoot": "right_ankle"}
    expected = [same.get(j) or (sides[j[0]] + j[1:].lower() if j[1:2].isupper() else j.lower()) for j in H36M_17.joints]
    assert list(layouts.H36M.joints) == expected


def test_shared_joints_keep_their_place(rng):
    for source, target in itertools.product(LAYOUTS, ["coco", "h36m", "mpii", "mpi_inf_3dhp"]):
        points = rng.normal(size=(4, 3, len(LAYOUTS[source].joints), 2))
        found = convert(points, source, target)
        assert found.shape == (4, 3, len(LAYOUTS[target].joints), 2)
        for joint in set(LAYOUTS[source].joints) & set(LAYOUTS[target].joints):
            before, after = LAYOUTS[source].joints.index(joint), LAYOUTS[target].joints.index(joint)
            np.testing.assert_array_equal(found[:, :, after], points[:, :, before])


def test_all_detectors_give_one_person_the_same_pose(rng):
    """A person whose joints fulfil the rules is the same in every layout."""
    person = {joint: rng.normal(size=2) for layout in LAYOUTS.values() for joint in layout.joints}
    person["pelvis"] = (person["left_hip"] + person["right_hip"]) / 2
    person["thorax"] = (person["left_shoulder"] + person["right_shoulder"]) / 2
    person["spine"] = (person["pelvis"] + person["thorax"]) / 2
    for joint in ("nose", "left_eye", "right_eye", "left_ear", "right_ear"):
        person[joint] = person["head"]
    person["skull_base"] = person["thorax"] + 0.6 * (person["head"] - person["thorax"])
    person["head_top"] = person["thorax"] + (person["head"] - person["thorax"]) / 0.6
    for source, target in itertools.product(DETECTORS, ("h36m", "coco", "mpii")):
        points = np.stack([person[joint] for joint in LAYOUTS[source].joints])
        expected = np.stack([person[joint] for joint in LAYOUTS[target].joints])
        np.testing.assert_allclose(convert(points, source, target), expected, atol=1e-12)


@given(st.sampled_from(sorted(LAYOUTS)), st.floats(0.01, 100), st.tuples(*[st.floats(-1e3, 1e3)] * 3))
def test_conversion_moves_with_the_person(source, scale, move):
    points = np.random.default_rng(0).normal(size=(len(LAYOUTS[source].joints), 3))
    moved = convert(points * scale + move, source)
    np.testing.assert_allclose(moved, convert(points, source) * scale + move, atol=1e-9)


def test_a_derived_joint_is_as_sure_as_its_least_sure_part():
    confidences = np.ones(17, np.float32)
    confidences[LAYOUTS["coco"].joints.index("left_hip")] = 0.25
    found = derived(np.zeros((1, 17, 2)), confidences[None], "coco")[1][0]
    low = {"pelvis", "spine", "left_hip"}
    assert {joint for joint, value in zip(layouts.H36M.joints, found, strict=True) if value == 0.25} == low


def test_derived_as_detected_is_the_way_through_a_detector(rng):
    points = rng.normal(size=(5, 17, 2))
    np.testing.assert_allclose(
        layouts.with_derived_joints(points), convert(convert(points, "h36m", "coco"), "coco"), atol=1e-12
    )


def test_bones_connect_every_limb():
    limbs = {f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")}
    for layout in LAYOUTS.values():
        assert all(a != b for a, b in layout.bones)
        assert limbs <= {layout.joints[index] for bone in layout.bones for index in bone}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: find(["coco"]), r"layout \['coco'\]: not known, expected one of coco, "),
        (lambda: find("coco17"), r"layout 'coco17': not known, expected one of coco, .*\(did you mean coco\?\)"),
        (
            lambda: derived(np.zeros((3, 25, 2)), np.ones((3, 25)), "coco"),
            "found 25 joints, expected the 17 of .* coco; body_25 and body_25b have 25",
        ),
        (lambda: derived(np.zeros((3, 9, 2)), np.ones((3, 9)), "coco"), "found 9 joints, expected the 17 of layout coco$"),
        (lambda: convert(np.zeros((17, 2)), "coco", "body_25"), "cannot derive left_big_toe of layout body_25"),
    ],
)
def test_what_does_not_fit_is_named(call, message):
    with pytest.raises((UserError, DataError), match=message):
        call()


def test_a_hidden_ankle_follows_from_heel_toe_and_knee():
    joints = LAYOUTS["body_25"].joints
    standing = {"left_knee": (0.0, -50.0), "left_heel": (0.0, 0.0), "left_big_toe": (24.0, 0.0)}  # seen from the left
    points, sure = np.zeros((3, 25, 2)), np.zeros((3, 25))
    for name, place in standing.items():
        points[:, joints.index(name)] = place
        sure[:, joints.index(name)] = 0.8
    sure[1, joints.index("left_big_toe")] = 0
    sure[2, joints.index("left_heel")] = 0  # a toe alone does not determine the ankle
    found, confidences = layouts.derived(points, sure, "body_25")
    ankle = layouts.H36M.joints.index("left_ankle")
    np.testing.assert_allclose(found[:, ankle], [(6, -8), (0, -8), (np.nan, np.nan)], atol=1e-12)
    np.testing.assert_array_equal(confidences[:, ankle], [0.8, 0.8, 0])


def test_derived_takes_what_the_frame_shows(rng):
    """The head is derived from one ear, the eyes or the nose; a joint that cannot be derived is NaN."""
    joints = LAYOUTS["coco"].joints
    points, sure = rng.normal(size=(5, 17, 2)), np.full((5, 17), 0.5)
    for frame, hidden in enumerate([(), ("left_ear",), ("left_ear", "right_ear"), ("left_ear", "right_ear", "left_eye")]):
        sure[frame, [joints.index(name) for name in hidden]] = 0
    sure[4, joints.index("left_shoulder")] = 0
    found, confidences = layouts.derived(points, sure, "coco")
    head, thorax = layouts.H36M.joints.index("head"), layouts.H36M.joints.index("thorax")
    at = {name: points[:, joints.index(name)] for name in joints}
    ears, eyes = (at["left_ear"] + at["right_ear"]) / 2, (at["left_eye"] + at["right_eye"]) / 2
    expected = [ears[0], at["right_ear"][1], eyes[2], at["nose"][3], ears[4]]
    np.testing.assert_allclose(found[:, head], expected)
    assert (confidences[:, head] == 0.5).all()
    assert np.isnan(found[4, thorax]).all()
    assert np.isfinite(found[:4]).all()
    assert {layouts.H36M.joints[index] for index in np.flatnonzero(confidences[4] == 0)} == {
        *("left_shoulder", "thorax", "spine", "skull_base")
    }
    np.testing.assert_allclose(found[0], convert(points[0], "coco"))
