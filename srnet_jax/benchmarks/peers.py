"""Which other implementations are timed beside ours: the values of `--peer`."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from srnet_jax.errors import UserError, one_line
from srnet_jax.io.files import absolute

TORCH, OFFICIAL = "torch", "official"
OFFICIAL_CODE = "the official code"  # its name in figures
FILES = (  # of a checkout, which `official_peer` imports
    "common/arguments/basic_args.py",
    "common/common_pytorch/loss/loss_family.py",
    "common/common_pytorch/model/fc_baseline.py",
    "common/common_pytorch/model/srnet.py",
)


def parse(values: Sequence[str]) -> dict[str, str]:
    """Map TORCH to "" and OFFICIAL to an absolute folder, if they are among the values `torch` and `official=DIR`.

    Raises:
      UserError: for another value, a value that is given twice, a folder that is not a checkout, or without PyTorch.
    """
    found: dict[str, str] = {}
    for value in values:
        name, _, folder = value.partition("=")
        if value != TORCH and not (name == OFFICIAL and folder):
            raise UserError(f"--peer={one_line(value)}: expected {TORCH}, {OFFICIAL}=DIR or both")
        if name in found:
            raise UserError(f"--peer: {name} is given twice, expected it once")
        found[name] = str(absolute(folder)) if folder else ""
    if OFFICIAL in found:
        _check_checkout(Path(found[OFFICIAL]))
    if found and not importlib.util.find_spec("torch"):
        raise UserError(f"--peer={','.join(values)}: PyTorch is not installed, expected `pip install -e .[bench]`")
    return found


def _check_checkout(folder: Path) -> None:
    if missing := next((file for file in FILES if not (folder / file).is_file()), None):
        raise UserError(
            f"--peer={OFFICIAL}={one_line(folder)}: {missing} is missing, expected the root of a checkout of the official code"
        )
