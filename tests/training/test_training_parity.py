"""The training step against trajectories of the official code; see tests/data/parity/README.md."""

import json
import os
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import default
from srnet_jax.data.h36m import npz_files
from srnet_jax.data.protocols import subject
from srnet_jax.data.windows import TrainingWindows, stack_frames
from srnet_jax.models.predict import predict
from srnet_jax.official.files import OfficialCheckpoint
from srnet_jax.official.networks import official_tensors, to_variables, view
from srnet_jax.official.recognition import Stated, recognise
from srnet_jax.pose import metrics
from srnet_jax.pose.normalization import View
from srnet_jax.training.optimizer import create_optimizer
from srnet_jax.training.state import TrainState
from srnet_jax.training.steps import Hyperparameters, StepSettings, train_step, zero_totals

FOLDER = Path(os.environ.get("PARITY", Path(__file__).parent.parent / "data" / "parity"))
RUNS = sorted(path.stem for path in FOLDER.glob("e2e_*.npz"))
TRAJECTORIES = sorted(
    path.stem for path in FOLDER.glob("train_*_nz.npz")
)  # the other fixtures start where gradients are chaotic


def official_state(weights, *, causal=False, adds_input=False):
    """Return a model with official weights, its optimiser and the state before the first step."""
    checkpoint = OfficialCheckpoint(Path("parity"), weights, {})
    model = recognise(checkpoint, Stated(causal=causal, adds_input=adds_input, activation="leaky_relu"))
    variables = jax.tree.map(jnp.asarray, to_variables(model, checkpoint))
    optimizer = create_optimizer()
    zero = jnp.zeros([], jnp.int32)
    return model, optimizer, TrainState(step=zero, epoch=zero, opt_state=optimizer.init(variables["params"]), **variables)


def compiled_step(model, optimizer, train, normalization="basic"):
    settings = StepSettings(model.clone(strided=True), optimizer, "l1", normalization)
    compiled = jax.jit(partial(train_step, settings))
    return lambda state, totals, batch: compiled(state, totals, Hyperparameters.at(int(state.epoch), 0, train), batch)


def under(prefix, arrays):
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if "add" in name else ()) for name in TRAJECTORIES])
def test_eight_steps_of_amsgrad(name):
    """Compare losses, weights, statistics and moments; the epoch changes after the fourth step."""
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = {key: value.astype(np.float32) if value.dtype == np.float16 else value for key, value in file.items()}
    train = default.get_config().train
    train.epochs = 10
    assert json.loads(str(arrays["meta_json"]))["lr_after_step4"] == pytest.approx(train.learning_rate * train.lr_decay)
    model, optimizer, state = official_state(under("init/", arrays))
    step = compiled_step(model, optimizer, train)
    losses, errors = [], []
    for index, (x, y) in enumerate(zip(arrays["X"], arrays["Y"], strict=True)):
        state = state.replace(epoch=jnp.int32(index // 4))
        batch = {"inputs_2d": x, "targets": y, "views": View.unknown(len(x), 1)}
        state, totals = step(state, zero_totals(), batch)
        losses.append(float(totals["loss"] / totals["count"]))
        errors.append(float(totals["mpjpe"] / totals["count"]))
    np.testing.assert_allclose(losses, arrays["loss_l1"], rtol=2e-5)
    np.testing.assert_allclose(errors, arrays["loss_mpjpe"], rtol=2e-5)

    host = jax.tree.map(np.asarray, {"params": state.params, "batch_stats": state.batch_stats})
    adam = jax.tree.map(np.asarray, state.opt_state[0])
    trees = {"final/": host}
    for theirs, ours in (("exp_avg", "mu"), ("exp_avg_sq", "nu"), ("max_exp_avg_sq", "nu_max")):
        trees[f"opt/{theirs}/"] = {"params": getattr(adam, ours)}
    tensors = {t.name: t for t in official_tensors(model) if t.path}
    for prefix, tree in trees.items():
        expected = under(prefix, arrays)
        assert expected
        for key, value in expected.items():  # the noise is explained in the README there
            noise = model.recombine == "multiply" and re.search(r"m_conv.*bias|part_info.*running_mean", key)
            if not noise and not key.endswith("num_batches_tracked"):
                scale = np.abs(value).max()
                np.testing.assert_allclose(view(tree, tensors[key]), value, atol=1e-3 * scale, rtol=1e-3, err_msg=prefix + key)


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow if "sr5" in name else ()) for name in RUNS])
def test_a_whole_official_run(name):
    """Reproduce data, windows, order, three epochs and evaluation: compare the loss of each step and the error of each action.

    Sums of float32 in another order drift apart: FC's after a dozen steps, SR's at once, because its context weights begin at
    zero, where AMSGrad makes steps of full length out of rounding noise. So the rest agrees to 1 %.
    """
    expected = json.loads((FOLDER / "e2e_results.json").read_text())[name]
    with np.load(FOLDER / f"{name}.npz") as file:
        weights = under("init/", dict(file))
    dataset = npz_files.load(FOLDER / "e2e_data", keypoints="gt")
    config = default.get_config()
    config.protocol.validation = "test"
    parts = subject(dataset, config.protocol)
    train = config.train
    train.epochs = len(expected["epochs"])
    norm = name.split("_")[-1].removeprefix("weak")
    norm = {"proj": "weak_proj" if "weak_proj" in name else "proj", "lcn": "lcn"}.get(norm, "basic")
    model, optimizer, state = official_state(weights, causal="causal" in name, adds_input=norm == "lcn")
    step = compiled_step(model, optimizer, train, norm)
    mirrored = dataset.mirrored
    windows = TrainingWindows(
        stack_frames(parts.train, norm),
        receptive_field=model.receptive_field,
        causal=model.causal,
        mirrored=mirrored,
        seed=0,
    )
    shuffler, losses = np.random.RandomState(4321), []
    for epoch in range(train.epochs):
        order = shuffler.permutation(len(windows))
        state = state.replace(epoch=jnp.int32(epoch))
        for start in range(0, len(order), 256):
            state, totals = step(state, zero_totals(), windows.samples.take(order[start : start + 256]))
            losses.append(1000 * float(totals["loss"] / totals["count"]))
    exact = 10 if "fc" in name else 2
    np.testing.assert_allclose(losses[:exact], expected["per_step_l1_x1000"][:exact], rtol=1e-5)
    np.testing.assert_allclose(losses, expected["per_step_l1_x1000"], rtol=0.01)

    frames = stack_frames(parts.test, norm)
    predicted = predict(model, state.variables, frames, mirrored=mirrored, batch_frames=4096)
    actions = np.array([sequence.action for sequence in parts.test])[frames.sequence_of]
    assert set(actions) == set(expected["actions"])
    measured = metrics.measure(predicted, frames.truth, dataset.skeleton)
    for metric in ("mpjpe", "p_mpjpe", "n_mpjpe"):
        errors = 1000 * measured[metric]
        found = {action: errors[actions == action].mean() for action in expected["actions"]}
        for action, values in expected["actions"].items():
            assert found[action] == pytest.approx(values[metric], rel=0.01), (metric, action)
