"""Test the benchmark `views`: its cameras are where its cells say, and its tables show the errors of networks."""

import numpy as np
import pytest

from srnet_jax.benchmarks import views
from srnet_jax.data.mocap import clip_files
from srnet_jax.errors import DataError
from srnet_jax.lifting.lifter import KeypointLifter
from srnet_jax.pose import cameras
from srnet_jax.pose.skeleton import H36M_17
from tests.lifting.test_lifter import make

KNEES = [[H36M_17.joints.index(side + name) for name in ("Hip", "Knee", "Foot")] for side in "LR"]


@pytest.fixture
def people(tmp_path):
    walk = views.standing_person() + np.linspace(0, 1, 8)[:, None, None] * [1.0, 0, 0]
    clips = {f"{subject}/walk/1": walk.astype(np.float32) for subject in ("a", "b")}
    clip_files.save(tmp_path / "people.npz", clips, fps=30.0)
    return tmp_path / "people.npz"


@pytest.mark.parametrize("cell", [(2, 25, 0.5, 20), (2, 25, 2.6, 0), (10, 0, 2.6, 0)])
def test_the_camera_of_a_cell_has_its_distance_height_and_angles(rng, cell):
    distance, off, height, roll = cell
    pose = views.standing_person()[None]
    seen = views._film_in_cell(pose, rng, *cell)
    assert seen.camera.translation[2] == pytest.approx(height)
    assert np.linalg.norm(seen.camera.translation[:2]) == pytest.approx(distance)
    ray = seen.poses_3d[0, 0] / np.linalg.norm(seen.poses_3d[0, 0])
    assert np.degrees(np.arccos(ray[2])) == pytest.approx(off, abs=0.05)
    right, down = seen.camera.rotation[2, :2]  # how far these axes of the image point up
    assert abs(np.degrees(np.arctan2(right, -down))) == pytest.approx(roll)
    np.testing.assert_allclose(cameras.camera_to_world(seen.poses_3d, seen.camera), pose, atol=1e-5)


def test_the_standing_person_is_upright_with_straight_knees():
    pose = views.standing_person()
    assert views._STATURE_M * 0.03 < pose[:, 2].min() < 0.1
    for hip, knee, foot in KNEES:
        assert views._angle(pose[hip] - pose[knee], pose[foot] - pose[knee]) == pytest.approx(180)
    assert pose[H36M_17.joints.index("LHip"), 0] < 0 < pose[H36M_17.joints.index("RHip"), 0]


def test_run_measures_networks_in_all_cells_and_rejects_data_without_test_subjects(monkeypatch, tiny_config, people):
    tiny_config.model.normalization = "turned"
    tiny_config.protocol.subjects_test = ("b",)
    lifter = KeypointLifter(make(tiny_config))
    monkeypatch.setattr(views.lifter, "load", lambda name: lifter)
    for name, few in (("DISTANCES_M", (2, 4)), ("HEIGHTS_M", (1.5,))):
        monkeypatch.setattr(views, name, few)
    figures = views.run(data=str(people), networks=("one",))
    assert len(figures) == 3 * 2 * 2 * 2 + 2 * 4
    assert all(np.isfinite(value) for value in figures.values())
    exact, noisy, others, standing = views.grids(figures)
    assert [len(grid.rows) for grid in (exact, noisy, others, standing)] == [4, 4, 4, 8]
    assert others.rows[0][1:] != exact.rows[0][1:]
    assert exact.rows[0][0] == "2 m away, hip 0° off axis"
    assert float(exact.rows[0][1]) == pytest.approx(figures["one, exact: (2, 0, 1.5, 0)"], abs=0.06)
    tiny_config.protocol.subjects_test = ("c",)
    with pytest.raises(DataError, match="found none of the test subjects c, expected at least one"):
        views.run(data=str(people), networks=("one",))
