"""Test that exported files have the same outputs as the networks."""

import importlib.util
import json
from pathlib import Path

import jax
import numpy as np
import onnxruntime
import pytest

from srnet_jax.config import schema
from srnet_jax.errors import UserError
from srnet_jax.lifting import export, lifter, onnx_program, weights
from srnet_jax.pose.skeleton import H36M_17
from tests.lifting.test_lifter import make


@pytest.fixture(params=["fc", pytest.param("sr", marks=pytest.mark.slow)])
def trained(request, tiny_config):
    tiny_config.model.update(network=request.param, filter_widths=(3, 1), causal=True, normalization="centered")
    return make(tiny_config)


def test_a_program_is_the_network_at_any_shape(trained, tmp_path, rng):
    from jax.export import deserialize

    assert export.write(tmp_path / "x.stablehlo", trained) < 1e-5
    program = deserialize(bytearray((tmp_path / "x.stablehlo").read_bytes()))
    assert set(program.platforms) == set(export.PLATFORMS)
    for shape in ((2, 3, 17, 2), (5, 31, 17, 2)):
        inputs = rng.normal(size=shape).astype(np.float32)
        expected = trained.model.apply(trained.variables, inputs)
        np.testing.assert_allclose(program.call(inputs), expected, rtol=1e-5, atol=1e-6)
    about = json.loads((tmp_path / "x.stablehlo.json").read_text())
    assert about["input"] == {"name": "inputs_2d", "shape": ["B", "T", 17, 2], "normalization": "centered"}
    assert (about["receptive_field"], about["causal"], about["fps"]) == (3, True, 30.0)
    assert about["joints"] == list(H36M_17.joints)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.stablehlo", "x.stablehlo.json"]


def test_weights_are_the_network_in_half_precision(trained, tmp_path):
    assert export.write(tmp_path / "x.npz", trained) < 2e-3
    assert weights.load(tmp_path / "x.npz").model == trained.model


@pytest.mark.parametrize("name", lifter.PRETRAINED)
def test_the_own_networks_pass_the_checks_that_loading_them_leaves_out(name):
    checked = weights.load(Path(lifter.__file__).parent / "pretrained" / f"{name}.npz")
    jax.tree.map(np.testing.assert_array_equal, checked.variables, lifter.load_trained(name).variables)


def test_onnx_is_the_network(trained, tmp_path, rng):
    assert export.write(tmp_path / "x.onnx", trained, frames=7) < 1e-5
    about = json.loads((tmp_path / "x.onnx.json").read_text())
    assert (about["input"]["shape"], about["output"]["shape"]) == (["B", 7, 17, 2], ["B", 5, 17, 3])
    inputs = rng.normal(size=(70_000 if trained.name == "fc" else 5, 7, 17, 2)).astype(
        np.float32
    )  # above the special number of sequences in onnx_program
    (poses,) = onnxruntime.InferenceSession(tmp_path / "x.onnx").run(None, {"inputs_2d": inputs})
    assert poses.shape == (len(inputs), 5, 17, 3)
    np.testing.assert_allclose(poses[-5:], trained.model.apply(trained.variables, inputs[-5:]), rtol=1e-4, atol=1e-6)


def test_exact_weights_are_stored_in_half_precision(trained, tmp_path):
    """Weights that shipped files hold are exact in half precision, others are kept as they are; see `weights.save`."""
    export.write(tmp_path / "full.onnx", trained, frames=7)
    weights.save(tmp_path / "x.npz", trained)
    rounded = weights.load(tmp_path / "x.npz")
    assert export.write(tmp_path / "half.onnx", rounded, frames=7) < 1e-5
    saved = (tmp_path / "full.onnx").stat().st_size - (tmp_path / "half.onnx").stat().st_size
    assert saved > 1.5 * sum(
        leaf.size for leaf in jax.tree.leaves(trained.variables["params"])
    )  # bytes: two each, less the casts


def test_a_window_of_the_receptive_field_is_the_network(trained, tmp_path):
    """The strided form, which computes one frame alone, is compared with the dilated one when it is written."""
    assert export.write(tmp_path / "x.onnx", trained) < 1e-5
    assert json.loads((tmp_path / "x.onnx.json").read_text())["output"]["shape"] == ["B", 1, 17, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        *({"network": network} for network in ("gp", "lf", "semgcn", "lcn")),
        *({"recombine": how, "context_form": form} for how in schema.RECOMBINE for form in schema.CONTEXT_FORMS),
        {"context_from": "all"},
        {"recombine": "concat", "bug_compatible": True},
        {"adds_input": True, "global_group": True},
        {"causal": True, "activation": "relu"},
    ],
    ids=str,
)
def test_onnx_is_every_network(tiny_config, tmp_path, changes):
    tiny_config.model.update(
        {"channels": 51, "filter_widths": (1, 1) if "cn" in changes.get("network", "") else (3, 1), **changes}
    )
    assert export.write(tmp_path / "x.onnx", make(tiny_config)) < 1e-5


def test_the_description_names_a_fixed_length_and_the_unit(trained):
    about = export._described(trained, 7)
    assert (about["input"]["shape"], about["output"]["shape"]) == (["B", 7, 17, 2], ["B", 5, 17, 3])
    assert about["output"]["unit"].startswith("metre, relative to the hip")
    trained.config.model.normalization = "turned"
    about = export._described(trained, 7)
    assert "in the axes of a camera turned towards the hip" in about["output"]["unit"]
    assert about["input"]["hip"].startswith("(0, log(10 s))")
    trained.config.model.normalization = "pixel"
    assert export._described(trained, None)["output"]["unit"].startswith("as the targets of normalization pixel")


def test_what_onnx_cannot_hold_is_said_in_one_line(tiny_config, tmp_path):
    tiny_config.model.update(network="fc", precision="bfloat16")
    with pytest.raises(UserError, match=r"x\.onnx: not written, this network cannot be converted to ONNX, .*NOT_IMPLEMENTED"):
        export.write(tmp_path / "x.onnx", make(tiny_config))
    assert not list(tmp_path.iterdir())


def test_an_operation_without_onnx_is_named():
    with pytest.raises(NotImplementedError, match="JAX operation cumsum: no ONNX node for it"):
        onnx_program.convert(lambda inputs: jax.numpy.cumsum(inputs, axis=1), (3, 2))


def test_a_package_that_does_not_fit_is_named(trained, tmp_path, monkeypatch):
    monkeypatch.delattr(onnxruntime, "InferenceSession")
    with pytest.raises(
        UserError, match=r"not written, onnx \d.* or onnxruntime \d.* does not work with JAX \d.*InferenceSession"
    ):
        export.write(tmp_path / "x.onnx", trained)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_program_in_bfloat16_is_the_network(tiny_config, tmp_path):
    tiny_config.model.update(network="fc", filter_widths=(3, 1), causal=True, precision="bfloat16")
    assert export.write(tmp_path / "x.stablehlo", make(tiny_config)) < 1e-4


def test_what_cannot_be_exported_is_said(trained, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"x\.pb: expected a name ending in \.npz, \.stablehlo, \.onnx"):
        export.write(tmp_path / "x.pb", trained)
    with pytest.raises(UserError, match="frames: found 2, expected at least the receptive field, 3"):
        export.write(tmp_path / "x.onnx", trained, frames=2)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"needs onnx, which is not installed, expected `pip install -e \.\[onnx\]`"):
        export.write(tmp_path / "x.onnx", trained)


@pytest.mark.slow
def test_a_program_that_differs_is_not_kept(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_TOLERANCE", -1.0)
    with pytest.raises(UserError, match=r"x\.stablehlo: not kept, outputs differ from the network's by"):
        export.write(tmp_path / "x.stablehlo", trained)
    assert not list(tmp_path.iterdir())
