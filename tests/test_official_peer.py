import importlib.util
import sys

import numpy as np
import pytest

from srnet_jax.benchmarks import inference, peers, train
from srnet_jax.errors import UserError
from srnet_jax.models.pose_lifter import count_parameters, variable_shapes

TRAINED, LIFTED = "SR multiply, 6 layers, batch 1024", "FC, 8 layers, 1,000 frames"
needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="needs PyTorch")
ARGUMENTS = """
import argparse


def parse_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model")
    parser.add_argument("--group", type=int, choices=[5])
    parser.add_argument("--split", choices=["others"])
    parser.add_argument("--recombine", choices=["multiply"])
    parser.add_argument("--norm", choices=["base"])
    parser.add_argument("--dropout", type=float)
    parser.add_argument("-arc", "--architecture")
    parser.add_argument("-ch", "--channels", type=int)
    return parser.parse_args()
"""
LOSSES = """
import torch


def L1_loss(predicted, target):
    assert predicted.shape == target.shape
    return torch.abs(predicted - target).cuda().mean()


def mpjpe(predicted, target):
    return torch.norm(predicted - target, dim=-1).mean()
"""
NETWORK = """
import torch
from common.arguments.basic_args import parse_args

args = parse_args()
print("a message at import")


class TemporalModel(torch.nn.Module):
    built = []

    def __init__(self, joints_in, features, joints_out, filter_widths, causal=False, dropout=0.25, channels=1024):
        super().__init__()
        assert args.architecture == ",".join(map(str, filter_widths)) and args.channels == channels and dropout == 0
        print("another")
        self.built.append(self)
        self.lost = 1
        for width in filter_widths:
            self.lost *= width
        self.shift = torch.nn.Parameter(torch.zeros(joints_out, 3))
        self.unused = torch.nn.Parameter(torch.zeros(PARAMETERS - 51))

    def forward(self, x):
        assert self.training == torch.is_grad_enabled()
        return x[:, self.lost - 1 :, :, :1] + self.shift


class TemporalModelOptimized1f(TemporalModel):
    pass
"""


@pytest.fixture
def checkout(tmp_path):
    """Write a stand-in for a checkout of the official code, and forget its modules afterwards."""
    write(tmp_path, train.TRAINING[TRAINED])
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "common"]:
        del sys.modules[name]


def write(folder, case):
    """Write networks with as many parameters as ours of a case."""
    count = count_parameters(variable_shapes(train.make_model(*case[:2]))["params"])
    network = NETWORK.replace("PARAMETERS", str(count))
    for file, text in zip(peers.FILES, (ARGUMENTS, LOSSES, network, network), strict=True):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)


@needs_torch
def test_a_training_step_of_a_checkout(checkout, capfd):
    before = set(checkout.rglob("*"))
    step = train.make_official_training(TRAINED, str(checkout))
    shift = sys.modules["common.common_pytorch.model.srnet"].TemporalModelOptimized1f.built[-1].shift
    inputs, targets = train.make_arrays(1024, 1, 1)
    targets[:, :, 0] = 0
    errors = inputs[..., :1] - targets
    assert step() == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    moved = -1e-3 * np.sign(np.sign(errors).sum((0, 1)))  # Adam's first step has the length of the learning rate
    np.testing.assert_allclose(shift.detach(), moved, atol=1e-5)
    assert step() < np.abs(errors).mean()
    assert set(checkout.rglob("*")) == before
    assert capfd.readouterr() == ("", "")
    assert str(checkout) not in sys.path


@needs_torch
def test_a_sequence_is_lifted_by_a_checkout(checkout):
    write(checkout, inference.INFERENCE[LIFTED])
    poses = inference.make_official_inference(LIFTED, str(checkout))()
    inputs, _ = train.make_arrays(1, 1000, 1)
    np.testing.assert_array_equal(poses, np.broadcast_to(inputs[..., :1], (1, 1000, 17, 3)))


@needs_torch
@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (3, "(joints_out, 3)", "(joints_out, 4)", "srnet.TemporalModelOptimized1f has 899,046 parameters .*, expected 899,029"),
        (3, "import torch\n", "import torch, tensorboard_y\n", "needs the module tensorboard_y, which is not installed"),
        (3, "class TemporalModelOptimized1f", "class Other", "it fails: .* has no attribute 'TemporalModelOptimized1f'"),
        (0, "[5]", "[3]", "it fails: .* argument --group: invalid choice: 5 "),
    ],
)
def test_another_checkout_is_refused_in_one_line(checkout, file, old, new, message):
    path = checkout / peers.FILES[file]
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(UserError, match=message) as error:
        train.make_official_training(TRAINED, str(checkout))
    assert str(error.value).startswith(f"{checkout}: ")
    assert "\n" not in str(error.value)


def test_values_of_peer(checkout, monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: True)
    assert peers.parse([]) == {}
    assert peers.parse(["torch"]) == {"torch": ""}
    assert peers.parse(["torch", f"official={checkout}"]) == {"torch": "", "official": str(checkout)}
    monkeypatch.chdir(checkout.parent)
    found = peers.parse([f"official={checkout.name}"])
    assert found == {"official": str(checkout)}
    assert list(train.chosen(found, {"PyTorch": (print, False)}, print)) == ["the official code"]
    assert list(train.chosen({"torch": "", **found}, {"PyTorch": (print, False)}, print)) == ["PyTorch", "the official code"]


@pytest.mark.parametrize("value", ["jax", "official", "official=", "torch=x", ""])
def test_other_values_of_peer_are_refused(value):
    with pytest.raises(UserError, match=f"^--peer={value}: expected torch, official=DIR or both$"):
        peers.parse([value])


def test_peers_that_cannot_be_timed_are_refused(checkout, monkeypatch):
    with pytest.raises(UserError, match="torch is given twice"):
        peers.parse(["torch", "torch"])
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="PyTorch is not installed"):
        peers.parse([f"official={checkout}"])
    (checkout / peers.FILES[3]).unlink()
    with pytest.raises(UserError, match=f"{peers.FILES[3]} is missing, expected the root of a checkout"):
        peers.parse([f"official={checkout}"])
