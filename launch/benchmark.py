"""Measure; nothing here is a test.

python -m launch.benchmark data          # start-up time and memory at Human3.6M's size, with windows of 243 frames
python -m launch.benchmark metrics       # all metrics of 543,344 poses, and PA-MPJPE beside NumPy's
python -m launch.benchmark rarity        # 543,344 poses ranked against themselves, and beside exact sums
python -m launch.benchmark checkpoints   # the share of training time that checkpoints and the log take
python -m launch.benchmark train         # time and memory of a training step, its arithmetic bound, and of peers
python -m launch.benchmark inference     # time of lifting a sequence, its arithmetic bound, and of peers
python -m launch.benchmark scaling       # a training step on 1, 2, 4 and 8 devices; a CPU is divided: overhead alone
python -m launch.benchmark start         # from the start of a training to its first step, with an empty and a full cache
python -m launch.benchmark ensemble      # eight quick-start models as one program, and one after another
python -m launch.benchmark parts         # what a training step consists of
python -m launch.benchmark streaming     # from a frame's keypoints to its pose, live, frame by frame
python -m launch.benchmark epoch         # an epoch against its steps, with data on the device and on the host
python -m launch.benchmark video --data=DIR   # networks on a recording by several calibrated cameras (docs/real_video.md)
python -m launch.benchmark views --data=FILE  # networks on motion capture, cameras high and low, near and far, rolled
python -m launch.benchmark filters --data=FILE  # each filter, on motion capture (docs/motion_measured.md)
python -m launch.benchmark expected --data=FILE # expected against true errors of joints (docs/motion_measured.md)
python -m launch.benchmark motion --data=FILE  # where people are: paths, up and the floor, of walks in motion capture

Peers of train and inference are timed in turns with ours: --peer=torch, a careful PyTorch; --peer=official=DIR, the official
code of SRNet, where DIR is the root of a checkout; --peer=torch,official=DIR, both.
"""

from absl import flags

from srnet_jax.commands import app

_COMMANDS: tuple[str, ...] = ("data", "metrics", "rarity", "checkpoints", "train", "inference")
_COMMANDS += ("scaling", "ensemble", "parts", "epoch", "start", "streaming", "video", "views", "filters", "motion", "expected")
_IN_LINES = ("train", "inference")  # which print a line for each case
_WITH_DATA = ("video", "views", "filters", "motion", "expected")
_PEER = flags.DEFINE_list("peer", [], "Of train and inference: torch, official=DIR or both (needs the extra `bench`).")
_DATA = flags.DEFINE_string(
    "data", None, "Of video: folder of the recording; of views, filters, motion and expected: joint positions, file or folder."
)
_NETWORKS = flags.DEFINE_list(
    "networks", None, "Of --data's commands: single, causal, video (all by default), workdirs, .npz files."
)
_FPS = flags.DEFINE_float("fps", None, "Of video: frames per second; else Config.toml's frame_rate, or 30.", 0.1, 10_000)
_LAYOUT = flags.DEFINE_string("layout", None, "Of video: layout of the keypoints, where it is not told by how they look.")
_JSON = flags.DEFINE_string("json", None, "File for the figures, beside the table.")
_VERBOSE = flags.DEFINE_bool("verbose", False, "Of train and inference: print every figure, not one line a case.")
_OF_VIDEO = (_DATA, _NETWORKS, _FPS, _LAYOUT)


def main(command: str) -> None:
    """Measure and print."""
    import importlib
    import json

    from rich.table import Table

    from srnet_jax.benchmarks import machine, peers
    from srnet_jax.commands.console import console, print_table
    from srnet_jax.io.files import plain

    if _JSON.value and not plain(_JSON.value).parent.is_dir():
        app.fail(f"--json={_JSON.value}: expected a file in a folder that exists")
    if _PEER.value and command not in _IN_LINES:
        app.fail(f"--peer={','.join(_PEER.value)}: expected train or inference, found {command}")
    if _VERBOSE.value and command not in _IN_LINES:
        app.fail(f"--verbose: expected train or inference, found {command}")
    peer = peers.parse(_PEER.value)
    unread = [f"--{flag.name}" for flag in _OF_VIDEO if flag.value and command != "video"]
    if command in ("views", "filters", "motion", "expected"):
        unread = [name for name in unread if name not in ("--data", "--networks")]
    if unread:
        app.fail(f"{', '.join(unread)}: not of the command {command}")
    if command in _WITH_DATA and not _DATA.value:
        app.fail("--data: missing, expected a recording or joint positions (docs/real_video.md)")
    options = {flag.name: flag.value for flag in _OF_VIDEO if flag.value} | ({"peer": peer} if peer else {})
    module = importlib.import_module(f"srnet_jax.benchmarks.{command}")
    print(machine.processor())
    with machine.watched() as others:
        figures = module.run(**options)
    print(*others)
    if command in _WITH_DATA:
        for grid in module.grids(figures):
            print_table(grid)
    elif command in _IN_LINES and not _VERBOSE.value:
        print(*module.summary(figures), sep="\n")
    else:
        table = Table(command, "", show_header=False)
        for name, value in figures.items():
            table.add_row(name, f"{value:,.0f}" if value == int(value) else f"{value:.4g}")
        console(width=120).print(table)
    if _JSON.value:
        plain(_JSON.value).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main, commands=_COMMANDS)
