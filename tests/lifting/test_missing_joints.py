"""Test joints that a detector does not see: how they affect the joints that it sees, and how results mark them."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from srnet_jax.data import synthetic
from srnet_jax.keypoints.tracks import Track
from srnet_jax.lifting import lift_file
from srnet_jax.lifting.lifter import completed, load
from srnet_jax.pose import layouts
from srnet_jax.pose.cameras import project, virtual_cameras, world_to_camera
from srnet_jax.pose.complete import MIN_JOINTS, Source, complete, without_leaps
from srnet_jax.pose.layouts import H36M

COCO = layouts.find("coco").joints
FRAMES, FPS, SIZE = 90, 50.0, (1000, 1000)
LEGS = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("knee", "ankle"))


def walk(subject, seed):
    """Return COCO keypoints [T, 17, 2] of a walking person, pixels; the whole face is at the head joint."""
    body = synthetic._bodies(0)[subject]
    draws = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    poses = synthetic.motion(body, synthetic.ACTIONS["Walking"], num_frames=FRAMES, rng=draws[0], style_rng=draws[1])
    cameras = virtual_cameras(number=4, distance_m=4.5, height_m=1.5, focal_px=1145.0, width_px=SIZE[0], height_px=SIZE[1])
    camera = cameras[seed % 4]
    points = project(world_to_camera(poses, camera), camera)
    return np.stack([points[:, H36M.joints.index(joint if joint in H36M.joints else "head")] for joint in COCO], 1)


@pytest.fixture(scope="module")
def walks():
    return [walk(subject, seed) for seed, subject in enumerate(synthetic.SUBJECTS[:4])]


@pytest.fixture(scope="module")
def lifter():
    return load("single")


def lifted(lifter, keypoints):
    return lifter(keypoints, layout="coco", image_size=SIZE, fps=FPS)


def hide(keypoints, joints, frames=slice(None)):
    hidden = keypoints.copy()
    hidden[frames, [COCO.index(joint) for joint in joints]] = 0
    return hidden


def moved(lifter, keypoints, joints, frames=slice(None)):
    """Return how far hiding joints moves those that are still seen or derived from seen joints, in these frames, metres."""
    hidden = hide(keypoints, joints, frames)
    seen = completed(hidden, None, "coco", FPS).confidences > 0
    seen[:, 0] = False  # the root does not move
    gap = np.linalg.norm(lifted(lifter, hidden) - lifted(lifter, keypoints), axis=-1)
    return gap[frames][seen[frames]]


@pytest.mark.parametrize(("most", "usual_m", "worst_m"), [(2, 0.025, 0.10), (4, 0.05, 0.15), (8, 0.08, 0.30)])
def test_what_is_seen_stays_where_it_is(walks, lifter, most, usual_m, worst_m):
    """Hide random joints for random stretches, and check the mean over draws and each draw."""
    rng = np.random.default_rng(most)
    found = []
    for draw in range(24):
        joints = rng.choice(COCO, rng.integers(max(most // 2, 1), most + 1), replace=False)
        start = rng.integers(0, FRAMES - 1)
        frames = slice(None) if draw % 4 == 0 else slice(start, start + rng.integers(1, FRAMES))
        gap = moved(lifter, walks[draw % len(walks)], joints, frames)
        if len(gap):
            found.append(gap.mean())
    assert np.mean(found) < usual_m
    assert max(found) < worst_m


@pytest.mark.parametrize(
    ("joints", "usual_m"),
    [
        (("left_ankle", "right_ankle"), 0.05),
        (LEGS, 0.09),
        (("left_wrist",), 0.03),
        (("left_shoulder", "left_elbow", "left_wrist"), 0.09),
        (("left_ear", "right_ear"), 0.001),  # eyes and nose are at the same place here
    ],
)
def test_what_a_picture_does_not_show_at_all(walks, lifter, joints, usual_m):
    assert np.mean([moved(lifter, keypoints, joints).mean() for keypoints in walks]) < usual_m


@pytest.mark.parametrize(("half_width", "head_m", "rest_m"), [(0.01, 0.03, 0.02), (0.02, 0.06, 0.04), (0.045, 0.11, 0.07)])
def test_a_far_ear_hardly_moves_the_head(walks, lifter, half_width, head_m, rest_m):
    """In profile both ears are at one place; facing the camera, each is 4.5 % of the height from the middle of the head."""
    head = H36M.joints.index("head")
    for keypoints in walks:
        ears = half_width * np.ptp(keypoints[..., 1]) * np.eye(2)[0]
        both = keypoints.copy()
        both[:, COCO.index("left_ear")] += ears
        both[:, COCO.index("right_ear")] -= ears
        gap = np.linalg.norm(lifted(lifter, hide(both, ["left_ear"], slice(20, 70))) - lifted(lifter, both), axis=-1)
        assert gap[:, head].max() < head_m
        assert np.delete(gap, [head, head - 1], axis=1).max() < rest_m


def test_a_hidden_joint_walks_on_with_the_person(walks):
    """A hidden joint follows the person in the image, and a gap at the video's end does not increase its error."""
    for keypoints in walks:
        moving = keypoints + np.arange(FRAMES)[:, None, None] * [8.0, 0]  # 720 pixels
        size = np.ptp(keypoints[..., 1])
        for frames in (slice(30, 60), slice(70, None)):
            found = complete(
                np.where(hide(moving, ["left_wrist"], frames) == 0, np.nan, moving), np.ones((FRAMES, 17)), "coco", FPS
            )
            wrist = H36M.joints.index("left_wrist")
            error = np.linalg.norm(found.points[:, wrist] - moving[:, COCO.index("left_wrist")], axis=-1)
            assert error[frames].mean() < 0.12 * size
            assert (found.confidences[frames, wrist] == 0).all()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sets(st.sampled_from(COCO)), st.integers(0, FRAMES - 1), st.integers(1, FRAMES))
def test_what_is_hidden_is_marked_and_named(joints, start, length):
    keypoints, frames = walk("S1", 0), slice(start, start + length)
    hidden = np.where(hide(keypoints, sorted(joints), frames) == 0, np.nan, keypoints)
    sure = np.isfinite(hidden[..., 0]).astype(float)
    found = complete(hidden, sure, "coco", FPS)
    assert np.isfinite(found.points[found.lifted]).all()
    assert np.isnan(found.points[~found.lifted]).all()
    _, expected = layouts.derived(hidden, sure, "coco")
    np.testing.assert_array_equal(found.confidences, np.where(found.lifted[:, None], expected, 0))
    shown = (expected > 0).sum(-1)
    assert found.lifted[shown >= MIN_JOINTS].all()
    counted = found.lifted & (shown > 0)
    share = (expected[counted] == 0).mean(0)
    assert found.missing == pytest.approx({joint: s for joint, s in zip(H36M.joints, share, strict=True) if s > 0.05})


def test_the_warning_names_what_was_hidden(walks, lifter):
    keypoints = hide(walks[0], LEGS, slice(0, 45))
    sure = (keypoints != 0).any(-1).astype(np.float32)
    track = Track("dance", np.where(sure[..., None] > 0, keypoints, np.nan), sure, 0, "coco", SIZE, FPS, np.ones(FRAMES, bool))
    expected = (
        "dance: not seen, estimated: right_knee in 50%, right_ankle in 50%, left_knee in 50%, left_ankle in 50% of the fr"
    )
    with pytest.warns(UserWarning, match=expected):
        (person,) = lift_file.lift([track], lifter, flip=False)
    legs = [H36M.joints.index(joint) for joint in LEGS]
    assert (person.confidences[:45, legs] == 0).all()
    assert (person.confidences[45:] == 1).all()
    with warnings.catch_warnings(action="error"):
        whole = Track("dance", walks[0], np.ones((FRAMES, 17)), 0, "coco", SIZE, FPS, np.ones(FRAMES, bool))
        lift_file.lift([whole], lifter, flip=False)


def test_gaps_of_the_whole_person(walks, lifter):
    """Gaps up to a second are filled; frames of longer gaps are not lifted."""
    for length, is_lifted in ((50, True), (51, False)):
        hidden = walks[1].copy()
        hidden[20 : 20 + length] = 0
        poses = lifted(lifter, hidden)
        assert np.isfinite(poses[20 : 20 + length]).all() == is_lifted
        assert np.isfinite(poses[[*range(20), *range(20 + length, FRAMES)]]).all()


def test_a_joint_that_leaps_for_a_frame_or_two_is_missing(walks):
    size = np.ptp(walks[0][..., 1])
    for length in (1, 2):
        leaping = walks[0].copy()
        leaping[40 : 40 + length, 9] += [size, 0]
        found = without_leaps(leaping)
        assert np.argwhere(np.isnan(found[..., 0])).tolist() == [[40 + i, 9] for i in range(length)]
    np.testing.assert_array_equal(without_leaps(walks[0]), walks[0])
    turning = walks[0].copy()
    turning[40:, 9] += [size, 0]  # it stays there
    np.testing.assert_array_equal(without_leaps(turning), turning)


def test_where_each_joint_comes_from_is_known(walks):
    """Joints that COCO lacks (hip, spine, thorax, neck, head) are derived; hidden joints are filled from joints or frames."""
    keypoints = walks[0]
    whole = completed(keypoints, None, "coco", FPS).sources
    derived = np.isin(H36M.joints, ("pelvis", "spine", "thorax", "skull_base", "head"))
    np.testing.assert_array_equal(whole, np.tile(np.where(derived, Source.DERIVED, Source.SEEN), (FRAMES, 1)))
    hidden = completed(hide(keypoints, ("left_wrist", "left_hip"), slice(10, 20)), None, "coco", FPS).sources
    filled = np.isin(H36M.joints, ("left_wrist", "left_hip", "pelvis", "spine"))  # no hip without both sides
    np.testing.assert_array_equal(hidden[10:20] == Source.FILLED, np.tile(filled, (10, 1)))
    np.testing.assert_array_equal(hidden[:10], whole[:10])
    only = [joint for joint in COCO if joint not in ("left_wrist", "right_wrist")]
    short = completed(hide(keypoints, only, slice(10, 20)), None, "coco", FPS).sources
    assert (short[10:20] == Source.FILLED).all()  # the whole pose is interpolated, including both wrists
    assert not completed(hide(keypoints, only, slice(10, 20)), None, "coco", FPS).confidences[10:20].any()
    long = completed(hide(keypoints, COCO, slice(10, 70)), None, "coco", FPS)
    np.testing.assert_array_equal((long.sources == Source.NOT_LIFTED).all(1), ~long.lifted)
    own = completed(keypoints, None, "h36m", FPS).sources  # this layout has all 17 joints
    assert (own == Source.SEEN).all()
