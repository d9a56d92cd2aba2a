"""Measure speed, memory and accuracy, and print the figures.

Speed and memory:

python -m launch.benchmark train         # time, memory and arithmetic bound of a training step
python -m launch.benchmark inference     # time and arithmetic bound of lifting a sequence
python -m launch.benchmark parts         # time of each part of a training step
python -m launch.benchmark epoch         # time of an epoch compared with its steps, with data on the device and on the host
python -m launch.benchmark scaling       # a training step on 1, 2, 4 and 8 devices (on a CPU: only the overhead)
python -m launch.benchmark ensemble      # eight quick-start models trained as one program, and one after another
python -m launch.benchmark start         # time from the start of a training to its first step, with an empty and a full cache
python -m launch.benchmark checkpoints   # share of the training time that checkpoints and the log take
python -m launch.benchmark data          # time and memory to load data of Human3.6M's size, with windows of 243 frames
python -m launch.benchmark metrics       # time of all metrics of 543,344 poses, and of PA-MPJPE with NumPy
python -m launch.benchmark rarity        # time and accuracy of ranking 543,344 poses by how rare they are
python -m launch.benchmark streaming     # time to lift one frame of a live video

train and inference also time other implementations, alternately with ours: --peer=torch, a careful PyTorch;
--peer=official=DIR, the official code of SRNet, where DIR is the root of a checkout; --peer=torch,official=DIR, both.

Accuracy:

python -m launch.benchmark video --data=DIR      # networks, on a recording by several calibrated cameras (docs/real_video.md)
python -m launch.benchmark views --data=FILE     # networks, on motion capture seen by cameras at many heights and distances
python -m launch.benchmark filters --data=FILE   # filters, on motion capture (docs/motion_measured.md)
python -m launch.benchmark expected --data=FILE  # expected errors of joints, on motion capture (docs/motion_measured.md)
python -m launch.benchmark motion --data=FILE    # paths, up and the floor of walks, on motion capture (docs/motion_measured.md)
"""

from absl import flags

from srnet_jax.commands import app

_COMMANDS: tuple[str, ...] = ("data", "metrics", "rarity", "checkpoints", "train", "inference")
_COMMANDS += ("scaling", "ensemble", "parts", "epoch", "start", "streaming", "video", "views", "filters", "motion", "expected")
_WITH_SUMMARY = ("train", "inference")  # commands that print a line for each case
_WITH_DATA = ("video", "views", "filters", "motion", "expected")
_PEER = flags.DEFINE_list("peer", [], "For train and inference: torch, official=DIR or both (needs the extra `bench`).")
_DATA = flags.DEFINE_string(
    "data", None, "For video: folder of the recording. For views, filters, motion, expected: file or folder of joint positions."
)
_NETWORKS = flags.DEFINE_list(
    "networks", None, "For commands with --data: single, causal, video, workdirs or .npz files; default: shipped networks."
)
_FPS = flags.DEFINE_float("fps", None, "For video: frames per second; default: frame_rate of Config.toml, or 30.", 0.1, 10_000)
_LAYOUT = flags.DEFINE_string("layout", None, "For video: layout of the keypoints, if it cannot be recognised.")
_JSON = flags.DEFINE_string("json", None, "JSON file to which the figures are also written.")
_VERBOSE = flags.DEFINE_bool("verbose", False, "For train and inference: print every figure.")
_VIDEO_FLAGS = (_DATA, _NETWORKS, _FPS, _LAYOUT)


def main(command: str) -> None:
    """Run a benchmark and print its figures."""
    import importlib
    import json

    from rich.table import Table

    from srnet_jax.benchmarks import machine, peers, train
    from srnet_jax.commands.console import console, print_table
    from srnet_jax.io.files import plain

    if _JSON.value and not plain(_JSON.value).parent.is_dir():
        app.fail(f"--json={_JSON.value}: expected a file in a folder that exists")
    if _PEER.value and command not in _WITH_SUMMARY:
        app.fail(f"--peer={','.join(_PEER.value)}: expected train or inference, found {command}")
    if _VERBOSE.value and command not in _WITH_SUMMARY:
        app.fail(f"--verbose: expected train or inference, found {command}")
    peer = peers.parse(_PEER.value)
    unused = [f"--{flag.name}" for flag in _VIDEO_FLAGS if flag.value and command != "video"]
    if command in ("views", "filters", "motion", "expected"):
        unused = [name for name in unused if name not in ("--data", "--networks")]
    if unused:
        app.fail(f"{', '.join(unused)}: not a flag of the command {command}")
    if command in _WITH_DATA and not _DATA.value:
        app.fail("--data: missing, expected a recording (docs/real_video.md) or a file of joint positions")
    options = {flag.name: flag.value for flag in _VIDEO_FLAGS if flag.value} | ({"peer": peer} if peer else {})
    module = importlib.import_module(f"srnet_jax.benchmarks.{command}")
    print(machine.processor())
    with machine.watched() as report:
        figures = module.run(**options)
    print(*report)
    if command in _WITH_DATA:
        for grid in module.grids(figures):
            print_table(grid)
    elif command in _WITH_SUMMARY and not _VERBOSE.value:
        print(*train.summary(figures), sep="\n")
    else:
        table = Table(command, "", show_header=False)
        for name, value in figures.items():
            table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:.4g}")
        console(width=120).print(table)
    if _JSON.value:
        about = {"processor": machine.processor(), "other programs": report[0]}
        plain(_JSON.value).write_text(json.dumps(about | figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main, commands=_COMMANDS)
