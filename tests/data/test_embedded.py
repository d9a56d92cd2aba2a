from importlib import resources

import numpy as np
import pytest

from configs import quickstart
from srnet_jax.data import embedded, prepare
from srnet_jax.data.mocap import clip_files, plausibility
from srnet_jax.data.sources import load_split
from srnet_jax.errors import DataError
from srnet_jax.pose.skeleton import H36M_17
from tests.data.test_mocap import walk

FEET = [H36M_17.joints.index(side + "Foot") for side in "LR"]


@pytest.fixture(scope="module")
def clips():
    return embedded.clips()


@pytest.fixture
def recordings(rng):
    """Return clips of all people, as a joint-position file has them."""
    names = [f"{subject}/walk/{subject}_01" for subject in (*embedded.SUBJECTS_TRAIN, *embedded.SUBJECTS_TEST)]
    names += [f"01/walk/{name}" for name in (*embedded.LEFT_OUT, *embedded.PARTS)]
    places = rng.uniform(-4, 4, (len(names), 3)) * [1, 1, 0.2]
    clips = {name: walk(400, 100) + place for name, place in zip(names, places, strict=True)}
    clips["07/walk/07_01"] = walk(50, 30)
    return {name: poses.astype(np.float32) for name, poses in clips.items()} | {
        "99/walk/99_01": np.zeros((3, 17, 3), np.float32)
    }


def test_what_ships(clips):
    assert embedded.FILE.stat().st_size < 4e6
    assert len(clips) == 113
    assert sum(map(len, clips.values())) == 29_272
    assert {key.split("/")[0] for key in clips} == {*embedded.SUBJECTS_TRAIN, *embedded.SUBJECTS_TEST}
    assert {key.split("/")[1] for key in clips} > {"walk", "run", "dance", "playground", "acrobatics", "martial_arts"}
    assert not set(embedded.SUBJECTS_TRAIN) & set(embedded.SUBJECTS_TEST)
    assert ("60" in embedded.SUBJECTS_TEST) == ("61" in embedded.SUBJECTS_TEST)  # the two dance with each other
    assert not {key.split("/")[2] for key in clips} & set(embedded.LEFT_OUT)


def test_the_people_are_people(clips):
    mirrored = 0
    for key, poses in clips.items():
        assert poses.shape == (len(poses), 17, 3), key
        assert poses.dtype == np.float32
        assert 0 < len(poses) <= 360
        assert np.percentile(poses[:, FEET, 2].min(1), 1) == pytest.approx(embedded.ANKLE_M, abs=2e-4)
        np.testing.assert_allclose(poses[:, 0, :2].mean(0), 0, atol=2e-4)
        legs = np.linalg.norm(np.diff(poses[:, 1:4], axis=1), axis=-1)
        assert 0.6 < np.median(legs.sum(1)) < 1.0
        assert np.ptp(legs, axis=0).max() < 0.002  # bones keep their lengths
        mirrored += plausibility.is_mirrored(poses)
    assert not mirrored


def test_the_credit_is_beside_the_data():
    assert "NSF EIA-0196217" in embedded.CREDIT
    with np.load(embedded.FILE, allow_pickle=False) as archive:
        assert str(archive["credit"]) == embedded.CREDIT
    text = (resources.files("srnet_jax.data") / "motion.txt").read_text()
    assert embedded.CREDIT in " ".join(text.split())


def test_positions_are_kept_to_a_fifth_of_a_millimetre(recordings):
    arrays = embedded.select(recordings)
    for key in ("01/walk/01_01", "07/walk/07_01", "01/walk/90_02-sk01"):
        begin, end = {"01_01": (20, 380), "07_01": (0, 50), "90_02-sk01": (70, 150)}[key.split("/")[2]]
        poses = recordings[key][begin:end].astype(np.float64)
        found = embedded._decoded(arrays[key])
        assert len(found) == end - begin
        offset = found[0, 0] - poses[0, 0]
        assert np.abs(found - poses - offset).max() < 2.1e-4  # the offset has an error of its own
        assert np.percentile(found[:, FEET, 2].min(1), 1) == pytest.approx(embedded.ANKLE_M, abs=2e-4)
    assert "99/walk/99_01" not in arrays
    assert "01/walk/03_02" not in arrays


def test_the_file_is_the_same_each_time(recordings, tmp_path):
    clip_files.save(tmp_path / "cmu.npz", recordings, fps=30.0)
    said = [prepare.embedded_file(tmp_path / "cmu.npz", tmp_path / name) for name in ("one.npz", "two.npz")]
    assert "wrote 13 clips" in said[0]
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    clip_files.save(tmp_path / "fast.npz", recordings, fps=60.0)
    with pytest.raises(DataError, match=r"fast\.npz: found 60 frames a second, expected 30"):
        prepare.embedded_file(tmp_path / "fast.npz", tmp_path / "three.npz")
    clip_files.save(tmp_path / "small.npz", {"01/walk/1": walk(9, 30)}, fps=30.0)
    message = r"small\.npz: found no subject or clip 02, expected all that `srnet_jax/data/embedded\.py` names$"
    with pytest.raises(DataError, match=message):
        prepare.embedded_file(tmp_path / "small.npz", tmp_path / "three.npz")
    assert not (tmp_path / "three.npz").exists()


def test_the_quickstart_trains_on_some_people_and_tests_on_others():
    config = quickstart.get_config()
    config.data.cameras.number = 1
    dataset, parts = load_split(config)
    assert dataset.fps == 15
    subjects = [{s.subject for s in part} for part in (parts.train, parts.validation, parts.test)]
    assert not (subjects[0] | subjects[1]) & subjects[2]
    assert subjects[2] == set(embedded.SUBJECTS_TEST)
    assert any(label.startswith("virtual cameras: ") for label in parts.labels)
    for one in dataset.sequences:
        assert one.inputs_2d.min() > -51
        assert one.inputs_2d.max() < 1051
        assert one.poses_3d[..., 2].min() > 1
