"""The official PyTorch code of SRNet, imported from a checkout; it exists only to be timed beside ours.

Nothing of it is part of this project. The networks, the loss and the logged error are of the checkout. A step does what one in
its training loop does (common/common_pytorch/experiment/train.py), without prints, files and logs. All stays on the CPU.
"""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from unittest import mock

import jax
import torch
from torch import nn

from srnet_jax.errors import UserError, one_line
from srnet_jax.models.pose_lifter import SPLIT_RECOMBINE, PoseLifter, count_parameters, init_variables


def arguments(lifter: PoseLifter) -> list[str]:
    """Return the official command line for a network."""
    return [
        *("--model", "srnet" if SPLIT_RECOMBINE in lifter.connectivity else "fc"),
        *("--architecture", ",".join(map(str, lifter.filter_widths))),
        *("--channels", str(lifter.channels)),
        *("--dropout", str(lifter.dropout)),
        *("--group", str(len(lifter.joint_groups))),
        *("--split", lifter.context_from),
        *("--recombine", lifter.recombine),
        *("--norm", "base"),
    ]


def load(folder: str, lifter: PoseLifter, *, strided: bool) -> tuple[nn.Module, ModuleType]:
    """Build the official network that equals a lifter, and import the official losses.

    Args:
      folder: root of the checkout.
      lifter: the network, of which the official one has the settings.
      strided: whether the network is the one for training (TemporalModelOptimized1f) or for whole sequences (TemporalModel).

    Raises:
      UserError: if the code cannot be run, or its network does not have as many parameters as ours.
    """
    file = "srnet" if SPLIT_RECOMBINE in lifter.connectivity else "fc_baseline"
    said = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(sys, "argv", ["run.py", *arguments(lifter)]))  # which the code reads at import
        stack.enter_context(mock.patch.object(sys, "path", [folder, *sys.path]))
        stack.enter_context(mock.patch.object(sys, "dont_write_bytecode", True))
        stack.enter_context(contextlib.redirect_stdout(said))
        stack.enter_context(contextlib.redirect_stderr(said))
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        try:
            networks = importlib.import_module(f"common.common_pytorch.model.{file}")
            losses = importlib.import_module("common.common_pytorch.loss.loss_family")
            network = networks.TemporalModelOptimized1f if strided else networks.TemporalModel
            module = network(
                *(lifter.num_joints, 2, lifter.num_joints),
                filter_widths=list(lifter.filter_widths),
                causal=lifter.causal,
                dropout=lifter.dropout,
                channels=lifter.channels,
            )
        except ModuleNotFoundError as error:
            raise UserError(f"{folder}: needs the module {error.name}, which is not installed") from error
        except (Exception, SystemExit) as error:  # its parser ends the program
            why = said.getvalue().strip().rpartition("\n")[2] if isinstance(error, SystemExit) else error
            raise UserError(f"{folder}: expected the official code, but it fails: {one_line(why)}") from error
    found, expected = (sum(p.numel() for p in module.parameters()), _count(lifter))
    if found != expected:
        raise UserError(
            f"{folder}: {file}.{network.__name__} has {found:,} parameters with the settings `{' '.join(arguments(lifter))}`, "
            f"expected {expected:,} as ours has"
        )
    return module, losses


def _count(lifter: PoseLifter) -> int:
    """Count the parameters of our network, without a device."""
    return count_parameters(jax.eval_shape(lambda: init_variables(lifter, jax.random.key(0)))["params"])


def make_step(module: nn.Module, losses: ModuleType, inputs_2d: torch.Tensor, targets: torch.Tensor) -> Callable[[], float]:
    """Return a function that takes one official training step, and returns the loss.

    Args:
      module: the strided network.
      losses: the official losses.
      inputs_2d: [B, receptive_field, J, 2] windows.
      targets: [B, 1, J, 3].
    """
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, amsgrad=True)
    module.train()

    def step() -> float:
        optimizer.zero_grad()
        with warnings.catch_warnings(action="ignore", category=FutureWarning):  # of its hooks
            predicted = module(inputs_2d)
        targets[:, :, 0] = 0
        with mock.patch.object(torch.Tensor, "cuda", lambda tensor: tensor):  # the loss calls it, also without a GPU
            loss = losses.L1_loss(predicted, targets)
        logged = loss.item()
        losses.mpjpe(predicted, targets).item()
        loss.backward()
        optimizer.step()
        return logged

    return step


def predict(module: nn.Module, inputs_2d: torch.Tensor) -> torch.Tensor:
    """Lift sequences [B, T, J, 2] with the network for whole sequences: [B, T - receptive_field + 1, J, 3]."""
    module.eval()
    with torch.no_grad():
        return module(inputs_2d)
