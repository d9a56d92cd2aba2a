"""Hidden joints are estimated where the visible joints make them likely."""

import numpy as np
import pytest

from srnet_jax.data import prepare, synthetic
from srnet_jax.errors import DataError
from srnet_jax.pose import prior
from srnet_jax.pose.cameras import virtual_cameras
from srnet_jax.pose.skeleton import H36M_17


@pytest.fixture(scope="module")
def people():
    cameras = virtual_cameras(number=2, distance_m=4.0, height_m=1.2, focal_px=1100.0, width_px=1000, height_px=1000)
    return np.concatenate([s.inputs_2d[::40] for s in synthetic.load(num_frames=4000, cameras=cameras, seed=0).sequences])


def test_seen_joints_stay_and_place_and_size_do_not_matter(people, rng):
    for count in (1, 5, 12):
        seen = np.ones(17, bool)
        seen[rng.choice(17, count, replace=False)] = False
        made = prior.completed(people, seen)
        np.testing.assert_array_equal(made[:, seen], people[:, seen])
        moved = prior.completed(people * 0.3 + [400, -20], seen)
        np.testing.assert_allclose(moved, made * 0.3 + [400, -20], atol=0.05)
        np.testing.assert_allclose(prior.size_of(people * 3, seen), 3 * prior.size_of(people, seen), rtol=1e-5)


def test_estimates_are_near_the_joints(people):
    """Sizes are the root mean square distance of the joints from their mean, about half a metre."""
    whole = np.ones(17, bool)
    size = prior.size_of(people, whole)
    for joints, farthest in (((10,), 0.5), ((6,), 0.7), ((3, 6), 0.8), ((13,), 0.8), ((1, 2, 3), 0.9)):
        seen = whole.copy()
        seen[list(joints)] = False
        missed = np.linalg.norm(prior.completed(people, seen) - people, axis=-1)[:, list(joints)] / size[:, None]
        assert missed.mean() < farthest


def test_people_look_like_people_and_other_things_do_not(people):
    assert np.median(prior.strangeness(people)) < 4
    assert np.median(prior.strangeness(people * [1, -1])) > 12
    assert np.median(prior.strangeness(people[:, ::-1])) > 12
    assert np.median(prior.strangeness(people[:, list(H36M_17.mirrored)] * [-1, 1])) < 4


def test_the_prior_is_made_from_joint_positions(tmp_path, people):
    prepare.synthetic_files(tmp_path / "motion.npz", num_frames=16_000, fps=30.0)
    text = prepare.pose_prior(tmp_path / "motion.npz", tmp_path / "prior.npz")
    assert text.startswith("wrote mean and covariance of ")
    with np.load(tmp_path / "prior.npz") as made, np.load(prior.FILE) as shipped:
        assert {name: made[name].shape for name in made} == {name: shipped[name].shape for name in shipped}
        np.testing.assert_allclose(made["mean"], shipped["mean"], atol=0.4)
    np.savez(tmp_path / "few.npz", **{"a/b/c": np.zeros((3, 17, 3), np.float32) + [0, 0, 1]})
    with pytest.raises(DataError, match=r"few\.npz: found \d+ frames that cameras see, expected 1,000 or more"):
        prepare.pose_prior(tmp_path / "few.npz", tmp_path / "other.npz")
