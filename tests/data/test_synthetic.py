import dataclasses

import numpy as np
import pytest

from srnet_jax.data import synthetic
from srnet_jax.pose import cameras
from srnet_jax.pose.skeleton import H36M_17

FOUR = cameras.virtual_cameras(number=4, distance_m=5.2, height_m=1.55, focal_px=1145.0, width_px=1000, height_px=1000)


@pytest.fixture(scope="module")
def dataset():
    return synthetic.load(num_frames=30_000, cameras=FOUR)


def world(sequence):
    return cameras.camera_to_world(sequence.poses_3d.astype(np.float64), sequence.camera)


def test_the_grid_of_subjects_actions_trials_and_cameras_is_full(dataset):
    assert len(dataset.sequences) == 7 * 15 * 2 * 4
    assert len(dataset.names("subject")) == 7
    assert len(dataset.names("action")) == 15


@pytest.mark.parametrize("num_frames", [2000, 2001, 5_000])
def test_size_is_as_requested(num_frames):
    assert 0 <= synthetic.load(num_frames=num_frames, cameras=FOUR).num_frames - num_frames < 4


def test_same_seed_same_bytes_other_seed_other_motion():
    first, again, other = (synthetic.load(num_frames=4_000, cameras=FOUR, seed=seed) for seed in (0, 0, 1))
    for a, b in zip(first.sequences, again.sequences, strict=True):
        np.testing.assert_array_equal(a.poses_3d, b.poses_3d)
        np.testing.assert_array_equal(a.inputs_2d, b.inputs_2d)
    assert np.abs(first.sequences[0].poses_3d - other.sequences[0].poses_3d).max() > 0.05


def test_bones_have_one_length_a_subject(dataset):
    lengths = {}
    for sequence in dataset.sequences:
        bones = [
            np.linalg.norm(sequence.poses_3d[:, j] - sequence.poses_3d[:, p], axis=-1)
            for j, p in enumerate(H36M_17.parents)
            if p >= 0
        ]
        lengths.setdefault(sequence.subject, []).append(np.stack(bones))
    means = {}
    for subject, bones in lengths.items():
        together = np.concatenate(bones, axis=1)
        assert np.ptp(together, axis=1).max() < 1e-4
        means[subject] = together.mean(1)
    assert np.ptp(list(means.values()), axis=0).min() > 0.003  # every subject has a body of their own
    for joint, mirrored in enumerate(H36M_17.mirrored):
        if joint:
            np.testing.assert_allclose(means["S1"][joint - 1], means["S1"][mirrored - 1], atol=1e-4)


def test_knees_and_elbows_bend_the_right_way_and_within_range(dataset):
    poses = np.concatenate([world(s) for s in dataset.sequences[::4]])
    for hip, knee, ankle, limit in ((1, 2, 3, 135), (4, 5, 6, 135), (11, 12, 13, 150), (14, 15, 16, 150)):
        upper, lower = poses[:, knee] - poses[:, hip], poses[:, ankle] - poses[:, knee]
        cosine = (upper * lower).sum(-1) / np.linalg.norm(upper, axis=-1) / np.linalg.norm(lower, axis=-1)
        assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < limit + 0.1


def test_feet_are_on_the_floor(dataset):
    lowest = np.concatenate([world(s)[..., 2].min(-1) for s in dataset.sequences])
    assert lowest.min() > 0.03
    assert lowest.max() < 0.12


def test_motion_is_smooth(dataset):
    for sequence in dataset.sequences[::40]:
        velocity = np.diff(sequence.poses_3d, axis=0) * dataset.fps
        assert np.linalg.norm(velocity, axis=-1).max() < 12  # m/s, a fast wrist


def test_two_dimensional_points_are_exact_projections_inside_the_image(dataset):
    for sequence in dataset.sequences[::97]:
        expected = cameras.project(sequence.poses_3d.astype(np.float64), sequence.camera)
        np.testing.assert_allclose(sequence.inputs_2d, expected, atol=1e-3)
        assert (sequence.inputs_2d > 0).all()
        assert (sequence.inputs_2d < 1000).all()


def test_who_walks_does_not_sit():
    bent = {"Walking": [], "WalkTogether": [], "Sitting": []}
    for _, action, _, poses in synthetic.recordings(40_000, 0):
        if action in bent:
            legs = np.linalg.norm(np.diff(poses[:, 1:4], axis=1), axis=-1).sum(1)
            bent[action].append(poses[:, 0, 2] / legs)
    low = {action: np.concatenate(heights) < 0.75 for action, heights in bent.items()}
    assert not low["Walking"].any()
    assert not low["WalkTogether"].any()
    assert low["Sitting"].mean() > 0.8


def test_who_stops_walking_stays_in_place():
    still = dataclasses.replace(synthetic.ACTIONS["Walking"], legs="stand")
    body = synthetic._bodies(0)["S1"]
    speeds = {}
    for name, habits in (("gait", synthetic.ACTIONS["Walking"]), ("stand", still)):
        draws = [np.random.default_rng(seed) for seed in (3, 4)]
        poses = synthetic.motion(body, habits, num_frames=1500, rng=draws[0], style_rng=draws[1])
        speeds[name] = np.linalg.norm(np.diff(poses[:, 0, :2], axis=0), axis=-1) * synthetic.FPS
    assert np.median(speeds["gait"]) > 0.6
    assert np.median(speeds["stand"]) == 0


def test_limbs_are_shared_and_wholes_are_not():
    """The hypothesis holds for primitives: an action's single limbs recur in other actions far more often than its poses."""
    rng = np.random.default_rng(0)
    library = {"right": synthetic.ARMS, "left": synthetic.ARMS, "legs": synthetic.LEGS, "torso": synthetic.TORSO}

    def combination(habits):
        favourites = {"right": habits.right_arm, "left": habits.left_arm, "legs": habits.legs, "torso": habits.torso}
        names = {id(p): n for lib in library.values() for n, p in lib.items()}
        return tuple(names[id(synthetic._draw(library[limb], favourites[limb], rng)[0])] for limb in library)

    drawn = {action: [combination(habits) for _ in range(400)] for action, habits in synthetic.ACTIONS.items()}
    shared_limbs, shared_wholes = [], []
    for action, poses in drawn.items():
        others = [pose for other, rest in drawn.items() if other != action for pose in rest]
        wholes, limbs = set(others), [set(column) for column in zip(*others, strict=True)]
        shared_wholes += [pose in wholes for pose in poses]
        shared_limbs += [all(part in seen for part, seen in zip(pose, limbs, strict=True)) for pose in poses]
    assert np.mean(shared_limbs) > 0.95
    assert np.mean(shared_wholes) < 0.75
    counts = np.sort(np.unique([str(pose) for poses in drawn.values() for pose in poses], return_counts=True)[1])[::-1]
    assert counts[: len(counts) // 10].sum() > 0.4 * counts.sum()  # a head ...
    assert np.mean(counts == 1) > 0.4  # ... and a long tail


def test_angles_are_limited_smoothly():
    angles = np.linspace(-400, 400, 4001)[:, None]
    limited = np.degrees(synthetic._within_range(angles.copy(), {"knee": (0, 135)}))
    assert limited.min() >= 0
    assert limited.max() <= 135
    assert (np.diff(limited[:, 0]) >= 0).all()
    middle = (angles > 20) & (angles < 115)
    np.testing.assert_allclose(limited[middle], angles[middle])
