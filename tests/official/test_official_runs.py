import json
import pickletools
import shutil
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest

from configs import default
from srnet_jax.config import config_files
from srnet_jax.errors import ConfigError, DataError, TrainingError
from srnet_jax.io.safe_load import load_torch
from srnet_jax.io.torch_save import save_torch
from srnet_jax.models.pose_lifter import create_model
from srnet_jax.official.files import read_checkpoint
from srnet_jax.official.networks import load_official_checkpoint
from srnet_jax.official.runs import export_run, import_run, imported_from
from srnet_jax.training.checkpoints import Checkpoints
from srnet_jax.training.loop import train_and_evaluate
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import create_train_state
from tests.official.test_official_networks import lifted, videopose3d

PARITY = Path(__file__).parent.parent / "data" / "parity"
ZIP, LEGACY = PARITY / "sr5_mul_333_c42.bin", PARITY / "sr5_mul_333_c42_legacy.bin"


def restored(workdir):
    config = config_files.load(workdir)
    model = create_model(config.model)
    shapes = jax.eval_shape(lambda: create_train_state(model, create_optimizer(), 0))
    with Checkpoints(workdir, read_only=True) as checkpoints:
        return model, checkpoints.restore("best", shapes)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a workdir of the parity checkpoint; tests must not change it."""
    workdir = tmp_path_factory.mktemp("imported") / "run"
    import_run(ZIP, default.get_config(), workdir, lambda line: None)
    return workdir


def assert_same(found, expected, where="file"):
    """Compare nested dicts, lists, tuples and arrays exactly, including the order of keys."""
    if isinstance(expected, dict):
        assert list(found) == list(expected), where
        for key in expected:
            assert_same(found[key], expected[key], f"{where}.{key}")
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, where
        np.testing.assert_array_equal(found, expected, err_msg=where)
    else:
        assert found == expected, where


@pytest.mark.slow
@pytest.mark.parametrize("path", [ZIP, LEGACY])
def test_checkpoint_makes_a_run_and_comes_back_exactly(path, tmp_path):
    said = []
    import_run(path, default.get_config(), tmp_path / "run", said.append)
    assert said[0].startswith(
        f"{path}: 5 groups, multiply context from others, 17 keypoints to 17 joints, filter widths 3,3,3, 42 channels, "
        "leaky_relu, 10,098 parameters"
    )
    assert said[1] == "after 1 epochs; learning rate 0.00095; AMSGrad after 1 steps"
    model, state = restored(tmp_path / "run")
    with np.load(PARITY / "sr5_mul_333_c42.npz") as file:
        np.testing.assert_allclose(model.apply(state.variables, file["x"]), file["y_full"], atol=2e-5)
    assert (int(state.step), int(state.epoch)) == (1, 1)
    assert (imported_from(tmp_path / "run", 1), imported_from(tmp_path / "run", 2)) == (path.name, None)
    assert config_files.load(tmp_path / "run").train.learning_rate == 1e-3

    export_run(tmp_path / "run", tmp_path / "back.bin")
    original, back = load_torch(path), load_torch(tmp_path / "back.bin")
    del original["random_state"]  # it is pickled NumPy code, which a safe file cannot hold
    assert list(back["model_pos"]) == list(original["model_pos"])
    assert_same({name: back[name] for name in original}, original)
    export_run(tmp_path / "run", tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "back.bin").read_bytes()


def test_exported_file_names_nothing_but_tensors(run, tmp_path):
    """Check the pickle, opcode by opcode, against what torch.load(weights_only=True) allows."""
    export_run(run, tmp_path / "out.bin")
    with zipfile.ZipFile(tmp_path / "out.bin") as archive:
        operations = [(code.name, value) for code, value, _ in pickletools.genops(archive.read("archive/data.pkl"))]
    named = {value for name, value in operations if name == "GLOBAL"}
    assert named == {
        "torch._utils _rebuild_tensor_v2",
        "torch FloatStorage",
        "torch LongStorage",
        "collections OrderedDict",
    }


def test_pytorch_reads_the_exported_file(run, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is no dependency; the check runs where it is installed")
    export_run(run, tmp_path / "out.bin")
    found = torch.load(tmp_path / "out.bin", weights_only=True)
    for name, value in read_checkpoint(ZIP).state_dict.items():
        np.testing.assert_array_equal(found["model_pos"][name].numpy(), value)


def test_training_goes_on_where_the_official_run_stopped(tiny_config, tmp_path):
    tiny_config.train.epochs = 1
    tiny_config.model.filter_widths = (1, 1)  # the shortest network of the official code
    steps = int(train_and_evaluate(tiny_config, tmp_path / "first").step)
    export_run(tmp_path / "first", tmp_path / "first.bin")
    weights = load_torch(tmp_path / "first.bin")
    assert weights["model_pos"]["expand_bn.num_batches_tracked"] == steps
    weights["epoch"], weights["lr"] = 3, 0.001 * 0.95 * 0.95 * 0.95
    save_torch(tmp_path / "third.bin", weights)
    tiny_config.train.epochs = 4
    import_run(tmp_path / "third.bin", tiny_config, tmp_path / "run", lambda line: None)
    state = train_and_evaluate(config_files.load(tmp_path / "run"), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [4]
    assert lines[0]["learning_rate"] == pytest.approx(0.001 * 0.95**3, rel=1e-6)
    assert int(state.opt_state[0].step) == lines[0]["step"] == 2 * steps
    export_run(tmp_path / "run", tmp_path / "fourth.bin", "latest")
    back = load_torch(tmp_path / "fourth.bin")
    assert back["epoch"] == 4
    assert back["lr"] == 0.001 * 0.95 * 0.95 * 0.95 * 0.95
    assert back["model_pos"]["layers_bn.1.num_batches_tracked"] == 2 * steps
    assert "loss 3d test" not in back  # it was not measured


def test_bare_and_parallel_state_dicts_load(tmp_path):
    tensors = read_checkpoint(ZIP).state_dict
    save_torch(tmp_path / "bare.bin", {f"module.{name}": value for name, value in tensors.items()})
    model, variables = load_official_checkpoint(tmp_path / "bare.bin", causal=True, activation="relu")
    assert model.causal
    assert model.activation == "relu"
    same = load_official_checkpoint(ZIP)[1]
    jax.tree.map(np.testing.assert_array_equal, variables, same)
    said = []
    import_run(tmp_path / "bare.bin", default.get_config(), tmp_path / "run", said.append)
    assert said[1] == "after 0 epochs; learning rate unknown; AMSGrad after 0 steps"
    assert int(restored(tmp_path / "run")[1].step) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"expand_bn.bias": None}, "expand_bn.bias: found nothing, expected finite numbers of shape (42,)"),
        (
            {"expand_bn.bias": np.zeros(41, np.float32)},
            "expand_bn.bias: found float32 of shape (41,), expected finite numbers of shape (42,)",
        ),
        ({"expand_bn.bias": np.full(42, 1 / 3)}, "expand_bn.bias: found float64 values that float32 would round"),
        ({"expand_bn.num_batches_tracked": np.zeros(3)}, "expand_bn.num_batches_tracked: found float64 of shape (3,)"),
        ({"\x1b[2J": np.zeros(3, np.float32)}, "found '\\x1b[2J', expected only"),
        ({"extra.weight": np.zeros(3, np.float32)}, "found 'extra.weight', expected only tensors of this network"),
        ({"final_layer.group_conv.0.weight": None}, "final_layer.group_conv.0.weight: found 'expand_bn.weight'"),
        (
            {"layers_bn.0.weight": np.full(42, np.nan, np.float32)},
            "'layers_bn.0.weight': found float32 values, expected finite numbers",
        ),
    ],
)
def test_damaged_networks_are_refused_by_name(change, message, tmp_path):
    tensors = {**read_checkpoint(ZIP).state_dict, **change}
    path = tmp_path / "damaged.bin"
    save_torch(path, {"model_pos": {name: value for name, value in tensors.items() if value is not None}})
    with pytest.raises(DataError, match=r"^[^\n]*$") as error:
        import_run(path, default.get_config(), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert str(error.value).startswith(f"{path}: {message}")


def rewritten(tmp_path, change):
    """Save the parity checkpoint again after a change."""
    content = load_torch(ZIP)
    del content["random_state"]
    change(content)
    save_torch(tmp_path / "changed.bin", content)
    return tmp_path / "changed.bin"


def imported(path, workdir):
    said = []
    import_run(path, default.get_config(), workdir, said.append)
    return restored(workdir)[1], said


def with_addresses(content):
    """Key the optimiser's states by memory addresses, as PyTorch before 1.6, with steps as plain numbers."""
    optimizer = content["optimizer"]
    keys = [140_000_000_000_000 + 7919 * (index * 37 % 160) for index in range(160)]
    optimizer["param_groups"][0]["params"] = keys
    optimizer["state"] = {keys[i]: {**state, "step": 1} for i, state in reversed(optimizer["state"].items())}


def with_trajectory(content):
    """Add the parameters of a second network after the first's, as VideoPose3D's semi-supervised training does."""
    content["model_traj"] = {"expand_bn.weight": np.zeros(4, np.float32), "shrink.weight": np.zeros((3, 4, 1), np.float32)}
    content["optimizer"]["param_groups"][0]["params"] += [160]
    content["optimizer"]["state"][160] = dict.fromkeys(
        ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"), np.zeros((3, 4, 1), np.float32)
    )


@pytest.mark.parametrize("change", [with_addresses, pytest.param(with_trajectory, marks=pytest.mark.slow)])
def test_optimisers_of_other_origins(change, run, tmp_path):
    expected = restored(run)[1]
    found, said = imported(rewritten(tmp_path, change), tmp_path / "changed")
    jax.tree.map(np.testing.assert_array_equal, found.opt_state, expected.opt_state)
    assert ("left out: 'model_traj'" in said) == (change is with_trajectory)


SHAPES = [  # (keypoints, features, joints): fields that the import sets
    ((17, 2, 15), {"joints": "humaneva_15", "input_joints": "coco_17", "confidences": False}),
    ((16, 2, 17), {"joints": "human36m_17", "input_joints": "human36m_16", "confidences": False}),
    ((17, 3, 17), {"joints": "human36m_17", "input_joints": "", "confidences": True}),
    ((16, 3, 16), {"joints": "human36m_16", "input_joints": "", "confidences": True}),
    ((17, 3, 15), {"joints": "humaneva_15", "input_joints": "coco_17", "confidences": True}),
]


@pytest.mark.parametrize(("shape", "fields"), SHAPES)
def test_other_keypoints_than_joints(shape, fields, tmp_path, rng):
    keypoints, features, joints = shape
    tensors = videopose3d(rng, (3, 3), keypoints * features, 3 * joints)
    save_torch(tmp_path / "x.bin", {"state_dict": tensors, "model_traj": None})
    said = []
    import_run(tmp_path / "x.bin", default.get_config(), tmp_path / "run", said.append)
    config = config_files.load(tmp_path / "run").model
    assert {name: config[name] for name in fields} == fields
    assert f"{keypoints} keypoints{' with confidences' * (features == 3)} to {joints} joints" in said[0]
    if fields["input_joints"]:
        assert f"its {keypoints} keypoints are assumed to be {fields['input_joints']} (--config.model.input_joints)" in said
    model, state = restored(tmp_path / "run")
    inputs = rng.normal(size=(2, 10, keypoints, features)).astype(np.float32)
    expected = lifted(tensors, inputs.reshape(2, 10, -1), 0, (3,))
    np.testing.assert_allclose(np.asarray(model.apply(state.variables, inputs)).reshape(expected.shape), expected, atol=1e-4)
    export_run(tmp_path / "run", tmp_path / "back.bin")
    assert_same(load_torch(tmp_path / "back.bin")["model_pos"] | tensors, load_torch(tmp_path / "back.bin")["model_pos"])


def stating(**fields):
    config = default.get_config()
    config.model.update(fields)
    return config


def test_settings_in_the_file_are_the_runs(tmp_path, rng):
    content = {"model": videopose3d(rng, (3, 3)), "args": {"causal": True, "norm": "proj", "activation": "relu"}}
    save_torch(tmp_path / "x.bin", content)
    said = []
    import_run(tmp_path / "x.bin", default.get_config(), tmp_path / "run", said.append)
    config = config_files.load(tmp_path / "run").model
    assert (config.causal, config.normalization, config.adds_input, config.activation) == (True, "proj", False, "relu")
    assert "the settings saved in the file say causal=True" in said
    with pytest.raises(ConfigError, match=r"config\.model\.normalization: set, expected it unset, because .*x\.bin decides it"):
        import_run(tmp_path / "x.bin", stating(normalization="lcn"), tmp_path / "other", changed=("model.normalization",))


def test_keypoints_can_be_stated(tmp_path, rng):
    save_torch(tmp_path / "x.bin", {"model_pos": videopose3d(rng, (1,)), "model_traj": None})
    said = []
    import_run(tmp_path / "x.bin", stating(input_joints="coco_17"), tmp_path / "run", said.append)
    assert config_files.load(tmp_path / "run").model.input_joints == "coco_17"
    assert not any("assumed to be" in line for line in said)


def test_keypoints_among_the_settings(tmp_path, rng):
    content = {"model_pos": videopose3d(rng, (1,)), "model_traj": None, "args": {"keypoints": "detectron_pt_coco"}}
    content["model_pos"]["expand_bn.num_batches_tracked"] = np.array(np.inf, np.float32)  # 70,000 in float16
    save_torch(tmp_path / "x.bin", content)
    said = []
    import_run(tmp_path / "x.bin", default.get_config(), tmp_path / "run", said.append)
    assert config_files.load(tmp_path / "run").model.input_joints == "coco_17"
    assert "its keypoints are coco_17: 'detectron_pt_coco' in the settings saved in the file" in said
    export_run(tmp_path / "run", tmp_path / "back.bin")
    assert load_torch(tmp_path / "back.bin")["model_pos"]["expand_bn.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("inputs", "outputs", "fields", "message"),
    [
        (
            48,
            51,
            {},
            "48 inputs, 24 keypoints of 2 numbers or 16 keypoints of 3 numbers, expected --config.model.input_joints=",
        ),
        (35, 51, {}, "35 inputs, neither 2 nor 3 for each keypoint, expected 2 or 3 for each keypoint"),
        (34, 50, {}, "shrink.weight: found 50 outputs, expected 3 for each joint"),
        (34, 51, {"input_joints": "human36m_16"}, "34 inputs, expected 2 or 3 for each of 16 keypoints"),
        (34, 51, {"joints": "humaneva_15"}, "config.model.joints: found 17 in the network, expected 15: humaneva_15"),
        (34, 51, {"joints": "mpi_inf_3dhp_17"}, "found mpi_inf_3dhp_17, expected a joint set whose root is its first joint"),
        (28, 42, {}, "14 joints in its output, which no built-in set has, expected --config.model.joints=FILE.toml"),
        (50, 51, {}, "25 keypoints, which no built-in set has, expected --config.model.input_joints=FILE.toml"),
        (32, 51, {"adds_input": True}, "adds_input: found 16 keypoints and 17 joints"),
    ],
)
def test_networks_of_unknown_joints_are_refused(inputs, outputs, fields, message, tmp_path, rng):
    path = tmp_path / "x.bin"
    save_torch(path, {"model_pos": videopose3d(rng, (1,), inputs, outputs), "model_traj": None})
    with pytest.raises(DataError, match=message) as error:
        import_run(path, stating(**fields), tmp_path / "run", lambda line: None)
    assert str(error.value).startswith(f"{path}: ")
    assert not (tmp_path / "run").exists()


def test_keypoints_where_both_counts_fit(tmp_path, rng):
    save_torch(tmp_path / "x.bin", {"model_pos": videopose3d(rng, (1,), 48, 51), "model_traj": None})
    import_run(tmp_path / "x.bin", stating(input_joints="human36m_16"), tmp_path / "run", lambda line: None)
    assert config_files.load(tmp_path / "run").model.confidences


def test_what_is_odd_beside_the_weights_is_left_out_and_said(tmp_path):
    def change(content):
        content["epoch"], content["lr"] = np.float64(80), np.float32(1e-4)
        content["optimizer"]["param_groups"][0] |= {"eps": np.zeros(3), "weight_decay": 0.5}
        content["optimizer"]["state"][3]["exp_avg"] = np.zeros(2)

    state, said = imported(rewritten(tmp_path, change), tmp_path / "run")
    assert (int(state.epoch), int(state.step)) == (80, 0)
    text = "\n".join(said)
    assert "after 80 epochs; learning rate 9.99" in text
    assert "exp_avg: found float64 of shape (2,), expected" in text
    assert "the state of AMSGrad is ignored" in text
    assert "training has ended: config.train.epochs is 80" in text
    assert "AMSGrad was used with weight_decay 0.5" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"context_form": "paper"}, r"config\.model\.context_form: found paper, expected official, as in the official code"),
        (
            {"filter_widths": (3, 1)},
            r"config\.model\.filter_widths: found \(3, 1\), expected \(3, 3\), as in the official code",
        ),
        ({"normalization": "pixel"}, "normalization: found pixel, expected basic or lcn"),
        ({"channels": 512}, "channels: found 512, with which the official code fails, expected 1024"),
    ],
)
def test_what_the_official_code_cannot_hold_is_not_exported(changes, message, tiny_config, tmp_path):
    tiny_config.model.update({"network": "sr", "filter_widths": (1, 1), **changes})
    config_files.save(tiny_config, tmp_path)
    with pytest.raises(TrainingError, match=message):
        export_run(tmp_path, tmp_path / "out.bin")
    assert not (tmp_path / "out.bin").exists()


@pytest.mark.parametrize("output", ["", ".", "missing/out.bin"])
def test_bad_outputs_are_named(output, tiny_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config_files.save(tiny_config, tmp_path)
    with pytest.raises(TrainingError, match=f"--output={output}"):
        export_run(tmp_path, output)


def test_an_interrupted_import_leaves_nothing(tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(config_files, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            import_run(ZIP, default.get_config(), tmp_path / "run", lambda line: None)
    assert not list(tmp_path.iterdir())


def test_a_damaged_note_of_the_import_is_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "imported.json").write_text('{"epo')
    with pytest.raises(TrainingError, match=r"imported\.json: damaged"):
        export_run(tmp_path / "run", tmp_path / "out.bin")


def test_a_used_workdir_is_refused(run):
    with pytest.raises(TrainingError, match="exists already, expected a new folder"):
        import_run(ZIP, default.get_config(), run)
