"""From a joint set and cameras of one's own to a trained and evaluated network."""

import json

import numpy as np
import pytest

from srnet_jax.config import joint_sets
from srnet_jax.errors import UserError
from srnet_jax.evaluation import figures, tables
from srnet_jax.evaluation.evaluate import evaluate
from srnet_jax.lifting import lifter
from srnet_jax.training.loop import train_and_evaluate
from tests import own_data

CAMERAS = (own_data.camera("cam1", 20), own_data.camera("cam2", 140))


@pytest.fixture
def own(tmp_path, tiny_config, rng):
    """Return the config of a training on 21 joints before two cameras; its files are there."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "mine.toml").write_text(own_data.MADE_UP_21)
    mine = joint_sets.parse(joint_sets.read(folder / "mine.toml"))
    poses = own_data.motions(rng, joints=mine)
    own_data.write(folder, poses, own_data.views(poses, CAMERAS), mine)
    (folder / "cameras.toml").write_text(own_data.to_toml(CAMERAS, fps=30))
    tiny_config.data.source, tiny_config.data.path = "h36m", str(folder)
    tiny_config.protocol.update(subjects_train=("ann",), subjects_test=("bob",))
    tiny_config.train.batch_size = 24
    tiny_config.model.update(network="sr", joints=str(folder / "mine.toml"))
    return tiny_config


def test_21_joints_from_toml_to_results(own, tmp_path):
    workdir = tmp_path / "run"
    state = train_and_evaluate(own, workdir)
    assert int(state.epoch) == 2
    kernels = state.params["layer_0"]
    assert [kernels[f"kernel_{group}"].shape[1] - 2 * n for group, n in enumerate((5, 7, 3, 5, 5))] == [0] * 5  # inputs
    (tmp_path / "data" / "mine.toml").unlink()  # the run knows its joints
    [evaluation], [test] = evaluate([workdir])
    results = json.loads((workdir / "results.json").read_text())
    assert evaluation.predicted.shape == (3 * 2 * 12, 21, 3)
    assert list(results["joints"])[:3] == ["Hip", "Head", "Neck"]
    error = np.linalg.norm(evaluation.predicted - test.frames.truth, axis=-1).mean()
    assert results["average_over_frames"]["mpjpe_mm"] == pytest.approx(1000 * error, rel=1e-5)
    assert {"pck_21_percent", "auc_21_percent"} <= set(results["average_over_frames"])
    assert any(name.startswith("articulation") for name in results["subsets"])  # it has hips and a thorax
    assert not any("tilt" in name for name in results["subsets"])  # what is up is not known
    assert "PCK 150 mm, 21 joints, %" in [row[0] for row in tables.comparison([evaluation])[1].rows]
    with pytest.warns(UserWarning, match=r"joint_errors\.png: not drawn, it has no position for the joints LHand"):
        drawn = figures.draw_all(tmp_path, test, [evaluation])
    assert {path.stem for path in drawn} >= {"qualitative", "best_and_worst"}
    with pytest.raises(UserError, match="lifts mine to mine, expected a network that lifts human36m_17"):
        lifter.load(workdir)


def test_keypoints_of_other_joints_and_their_confidences_train(own, tmp_path, rng):
    """From 6 keypoints with confidences to 21 joints; the groups of both are matched by name."""
    folder = tmp_path / "data"
    (folder / "seen.toml").write_text(
        """
        left = ["LKnee", "LElbow"]
        right = ["RKnee", "RElbow"]
        [joints]
        Nose = ""
        LElbow = "Nose"
        RElbow = "Nose"
        LKnee = "Nose"
        RKnee = "Nose"
        LThumb = "LElbow"
        [groups]
        arms = ["LElbow", "RElbow"]
        hands = ["LThumb"]
        right_leg = ["RKnee"]
        trunk = ["Nose"]
        left_leg = ["LKnee"]
        """
    )
    seen = joint_sets.parse(joint_sets.read(folder / "seen.toml"))
    mine = joint_sets.parse(joint_sets.read(folder / "mine.toml"))
    poses = own_data.motions(rng, joints=mine)
    places = [mine.file_order[mine.joints.index(name)] for name in ("Head", "LElbow", "RElbow", "LKnee", "RKnee", "LHand")]
    views = own_data.views(poses, CAMERAS, places)
    for recordings in views.values():
        for action, arrays in recordings.items():
            recordings[action] = [
                np.concatenate([x, rng.uniform(0, 1, (*x.shape[:2], 1)).astype(np.float32)], -1) for x in arrays
            ]
    own_data.write(folder, poses, views, seen)
    own.model.update(input_joints=str(folder / "seen.toml"), confidences=True)
    own.train.epochs = 1
    state = train_and_evaluate(own, tmp_path / "run")
    kernels = state.params["layer_0"]
    assert [kernels[f"kernel_{group}"].shape[1] // 3 for group in range(5)] == [1, 2, 1, 1, 1]  # of trunk, arms, hands, legs
    [evaluation], _ = evaluate([tmp_path / "run"])
    assert evaluation.predicted.shape[1:] == (21, 3)


@pytest.mark.parametrize(("joints", "input_joints"), [("humaneva_15", "human36m_16"), ("human36m_16", "")])
def test_sources_of_17_joints_give_other_sets(tiny_config, tmp_path, joints, input_joints):
    tiny_config.model.update(joints=joints, input_joints=input_joints)
    tiny_config.train.epochs = 1
    train_and_evaluate(tiny_config, tmp_path)
    [evaluation], [test] = evaluate([tmp_path])
    assert evaluation.predicted.shape[1] == test.skeleton.num_joints == int(joints[-2:])
