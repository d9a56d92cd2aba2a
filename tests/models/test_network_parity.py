"""The networks against numbers computed by the official code; see tests/data/parity/README.md.

`PARITY=FOLDER python -m pytest tests` checks the fixtures of another folder.
"""

import collections
import json
import os
import re
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from srnet_jax.io.torch_save import save_torch
from srnet_jax.official.files import OfficialCheckpoint
from srnet_jax.official.networks import load_official_checkpoint, official_tensors, to_variables, view
from srnet_jax.official.recognition import Stated, recognise
from srnet_jax.pose.losses import LOSSES

FOLDER = Path(os.environ.get("PARITY", Path(__file__).parent.parent / "data" / "parity"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz") if re.match(r"(sr\d|fc)_.*_c\d+$", path.stem))
LARGEST = ("sr5_mul_333_c42", "sr5_cat_333_c42")  # the causal and the single-frame fixtures have the same layers as these


OPERATORS = {"mul": "multiply", "add": "add", "cat": "concat"}  # {part of a fixture's name: recombine}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.slow if name in LARGEST else ()) for name in NAMES]
)
def fixture(request, tmp_path_factory):
    """Return the arrays of a fixture, and its network, imported from a checkpoint file."""
    with np.load(FOLDER / f"{request.param}.npz") as file:
        arrays = dict(file)
    weights = {
        n.removeprefix("sd/"): v.astype(np.float32 if v.dtype.kind == "f" else v.dtype)
        for n, v in arrays.items()
        if n[:3] == "sd/"
    }
    path = tmp_path_factory.mktemp("parity") / f"{request.param}.bin"
    save_torch(path, {"model_pos": collections.OrderedDict(weights)})
    model, variables = load_official_checkpoint(
        path,
        causal="causal" in path.stem,
        adds_input="lcn" in path.stem,
        activation="leaky_relu",
        recombine=next((name for part, name in OPERATORS.items() if f"_{part}_" in path.stem), None),
    )
    return arrays, model, variables


@partial(jax.jit, static_argnames="model")
def apply(model, variables, inputs_2d):
    return model.apply(variables, inputs_2d)


def test_network_is_recognised(fixture):
    arrays, model, variables = fixture
    name = json.loads(str(arrays["meta_json"]))["name"]
    widths = re.search(r"_([135]+)(_|$)", name)[1]
    assert model.filter_widths == tuple(map(int, widths))
    assert model.channels == int(re.search(r"_c(\d+)$", name)[1])
    if name.startswith("sr"):
        operator = OPERATORS.get(name.split("_")[1])
        assert len(model.joint_groups) == int(name[2])
        assert model.connectivity[0] == ("split_recombine" if operator else "group")
        assert operator in (None, model.recombine)
        assert model.context_from == ("all" if "_all_" in name else "others")
        assert model.bug_compatible == (operator == "concat" and widths != "1" * len(widths))
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == json.loads(str(arrays["meta_json"]))["n_params"]


def test_evaluation_outputs(fixture):
    """Check both forms of the network, also on sequences longer than the receptive field."""
    arrays, model, variables = fixture
    strided = model.clone(strided=True)
    np.testing.assert_allclose(apply(strided, variables, arrays["x"]), arrays["y_1f"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(apply(model, variables, arrays["x"]), arrays["y_full"], atol=2e-5, rtol=0)
    np.testing.assert_allclose(apply(model, variables, arrays["x_seq"]), arrays["y_seq"], atol=2e-5, rtol=0)


@pytest.mark.slow
def test_evaluation_outputs_in_float64(fixture):
    arrays, model, variables = fixture
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), variables)
        inputs_2d = jnp.asarray(arrays["x"], jnp.float64)
        np.testing.assert_allclose(apply(model.clone(strided=True), exact, inputs_2d), arrays["y64_1f"], atol=1e-10, rtol=0)
        np.testing.assert_allclose(apply(model, exact, inputs_2d), arrays["y64_full"], atol=1e-10, rtol=0)


@partial(jax.jit, static_argnames="model")
def train(model, variables, inputs_2d, targets, momentum, shares):
    """Return a weighted sum of losses, by name, and its gradient; one program serves all losses."""

    def objective(params):
        y, updated = model.apply(
            {**variables, "params": params}, inputs_2d, train=True, bn_momentum=momentum, mutable=["batch_stats"]
        )
        losses = [share * LOSSES[name](y, targets).mean() for name, share in shares.items()]
        return sum(losses), (y, updated["batch_stats"])

    return jax.value_and_grad(objective, has_aux=True)(variables["params"])


def official(model, collection, tree):
    """Return our parameters or statistics under the official names."""
    host = {collection: jax.tree.map(np.asarray, tree)}
    return {t.name: view(host, t) for t in official_tensors(model) if t.path[:1] == (collection,)}


@pytest.mark.parametrize("loss", ["mpjpe", pytest.param("l1", marks=pytest.mark.slow)])
def test_training_mode(fixture, loss):
    """Check outputs, loss, gradients and the statistics after one step."""
    arrays, model, variables = fixture
    if not any(name.startswith(f"grad_{loss}/") for name in arrays):
        pytest.skip("not in this fixture")
    momentum, buffers = {"l1": (0.1, "buf_m10/"), "mpjpe": (0.03, "buf_m03/")}[loss]
    shares = {name: jnp.float32(name == loss) for name in ("l1", "mpjpe")}
    (value, (y, stats)), gradients = train(
        model.clone(strided=True), variables, arrays["xt"], arrays["tt"], jnp.float32(momentum), shares
    )
    np.testing.assert_allclose(y, arrays["yt"], atol=5e-5, rtol=0)
    np.testing.assert_allclose(value, arrays[f"loss_{loss}"], rtol=2e-5)
    found = official(model, "params", gradients)
    for name, expected in arrays.items():
        if name.startswith(f"grad_{loss}/") and not (
            model.recombine == "multiply" and re.search(r"part_info.*m_conv.*bias", name)
        ):
            ours = found[name.split("/", 1)[1]]
            limit = max(1e-3 * np.abs(expected).max(), 1e-8)  # some have cancelled to rounding noise
            np.testing.assert_allclose(ours, expected, atol=limit, rtol=0, err_msg=name)
    found = official(model, "batch_stats", stats)
    names = [name for name in arrays if name.startswith(buffers) and not name.endswith("num_batches_tracked")]
    assert {name.removeprefix(buffers) for name in names} == set(found)
    for name in names:
        np.testing.assert_allclose(found[name.removeprefix(buffers)], arrays[name], atol=1e-5, rtol=1e-5, err_msg=name)


def test_scramble_is_the_officials_and_can_be_left_out():
    """Without `bug_compatible` the strided and the dilated form of a temporal concatenation agree."""
    with np.load(FOLDER / "sr5_cat_333_c42.npz") as file:
        weights = {n.removeprefix("sd/"): v.astype(np.float32) for n, v in file.items() if n[:3] == "sd/"}
        x, official_1f, official_full = file["x"], file["y_1f"], file["y_full"]
    checkpoint = OfficialCheckpoint(Path("x"), weights, {})
    model = recognise(checkpoint, Stated(activation="leaky_relu"))
    variables = to_variables(model, checkpoint)
    assert np.abs(official_1f - official_full).max() > 0.05
    meant = model.clone(bug_compatible=False)
    np.testing.assert_allclose(apply(meant, variables, x), apply(meant.clone(strided=True), variables, x), atol=1e-5)
