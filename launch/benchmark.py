"""Measure; nothing here is a test.

python -m launch.benchmark data          # start-up time and memory at Human3.6M's size, with windows of 243 frames
python -m launch.benchmark metrics       # all metrics of 543,344 poses, and PA-MPJPE beside NumPy's
python -m launch.benchmark rarity        # 543,344 poses ranked against themselves, and beside exact sums
python -m launch.benchmark checkpoints   # the share of training time that checkpoints and the log take
python -m launch.benchmark train         # time and memory of a training step, its arithmetic bound; --peer=torch: and PyTorch's
python -m launch.benchmark inference     # time of lifting a sequence, its arithmetic bound; --peer=torch: and PyTorch's
python -m launch.benchmark scaling       # a training step on 1, 2, 4 and 8 devices; a CPU is divided: overhead alone
python -m launch.benchmark start         # from the start of a training to its first step, with an empty and a full cache
python -m launch.benchmark ensemble      # eight quick-start models as one program, and one after another
python -m launch.benchmark parts         # what a training step consists of
python -m launch.benchmark streaming     # from a frame's keypoints to its pose, live, frame by frame
python -m launch.benchmark epoch         # an epoch against its steps, with data on the device and on the host
"""

from absl import flags

from launch import app

_COMMANDS: tuple[str, ...] = ("data", "metrics", "rarity", "checkpoints", "train", "inference")
_COMMANDS += ("scaling", "ensemble", "parts", "epoch", "start", "streaming")
_PEER = flags.DEFINE_enum("peer", "", ["", "torch"], "Of train and inference: what to time beside (needs the extra `bench`).")
_JSON = flags.DEFINE_string("json", None, "File for the figures, beside the table.")


def main(command: str) -> None:
    """Measure and print."""
    import importlib
    import importlib.util
    import json

    from rich.table import Table

    from launch.console import console
    from srnet_jax.io.files import plain

    if _JSON.value and not plain(_JSON.value).parent.is_dir():
        app.fail(f"--json={_JSON.value}: expected a file in a folder that exists")
    if _PEER.value and command not in ("train", "inference"):
        app.fail(f"--peer={_PEER.value}: expected train or inference, found {command}")
    if _PEER.value and not importlib.util.find_spec("torch"):
        app.fail("--peer=torch: PyTorch is not installed, expected `pip install -e .[bench]`")
    options = {"peer": _PEER.value} if _PEER.value else {}
    figures = importlib.import_module(f"srnet_jax.benchmarks.{command}").run(**options)
    table = Table(command, "", show_header=False)
    for name, value in figures.items():
        table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:.4g}")
    console(width=120).print(table)
    if _JSON.value:
        plain(_JSON.value).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main, commands=_COMMANDS)
