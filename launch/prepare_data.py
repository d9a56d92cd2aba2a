"""Make and check data files: Human3.6M, motion capture, the generated and embedded sets, the pose prior.

python -m launch.prepare_data h36m --source=DIR --output=DIR          # convert Human3.6M's .cdf or .h5 files, or its archives
python -m launch.prepare_data check --data=DIR [--keypoints=gt]       # compare Human3.6M files with the published counts
python -m launch.prepare_data mocap --source=DIR --output=FILE.npz    # convert motion capture files: see docs/motion_files.md
python -m launch.prepare_data synthetic --output=DIR                  # generate motion, as files in Human3.6M's form
python -m launch.prepare_data synthetic --output=FILE.npz             # generate motion, as a joint-position file
python -m launch.prepare_data embedded --source=FILE.npz --output=FILE.npz     # make the embedded set (data/embedded.py)
python -m launch.prepare_data pose_prior --source=FILE.npz --output=FILE.npz   # fit the prior of 2D poses (pose/prior.py)
"""

import sys
from pathlib import Path

from absl import flags

from srnet_jax.commands import app

_SOURCE = flags.DEFINE_string(
    "source", None, "h36m, mocap: folder with the original files; embedded, pose_prior: .npz file of joint positions."
)
_OUTPUT = flags.DEFINE_string(
    "output", None, "h36m, synthetic: folder for the new files; mocap, synthetic, embedded, pose_prior: new .npz file."
)
_DATA = flags.DEFINE_string("data", None, "check: folder with data_3d_h36m.npz and data_2d_h36m_*.npz.")
_KEYPOINTS = flags.DEFINE_string("keypoints", "gt", "check: the part * of the name of the data_2d_h36m_*.npz file.")
_SKELETON = flags.DEFINE_string(
    "skeleton",
    None,
    "mocap: skeleton, if it is not recognised: cmu, mixamo, xsens ..., or a file that maps joints (docs/motion_files.md).",
)
_DRAFT = flags.DEFINE_string("draft_skeleton", None, "mocap: only write a draft of a file for --skeleton to this path.")
_FPS = flags.DEFINE_float("fps", 30.0, "mocap, synthetic FILE.npz: frames per second of the output.", lower_bound=0.1)
_SOURCE_FPS = flags.DEFINE_float(
    "source_fps",
    None,
    "mocap: frames per second of the files, instead of the rate in them; .amc files have none, and 120 is assumed.",
    lower_bound=0.1,
)
_NAME = flags.DEFINE_string("name", "", "mocap: pattern of file names, such as {subject}_{action}_{clip}; * matches anything.")
_REPORT = flags.DEFINE_string("report", None, "mocap: .html or .json file for a report on each subject and file.")
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", 200_000, "synthetic: number of frames over four cameras.", lower_bound=2000, upper_bound=10_000_000
)
_NEEDED = {
    **{"h36m": (_SOURCE, _OUTPUT), "check": (_DATA,), "mocap": (_SOURCE, _OUTPUT)},
    **{"synthetic": (_OUTPUT,), "embedded": (_SOURCE, _OUTPUT), "pose_prior": (_SOURCE, _OUTPUT)},
}


def main(command: str) -> None:
    """Run one of the commands."""
    from srnet_jax.commands.console import track
    from srnet_jax.data import prepare
    from srnet_jax.data.h36m import raw_files
    from srnet_jax.io.files import plain

    for flag in (_SOURCE,) if command == "mocap" and _DRAFT.value else _NEEDED[command]:
        if not flag.value:
            app.fail(f"--{flag.name}: not set, expected a path for {command}")
    source, output = (plain(flag.value or "") for flag in (_SOURCE, _OUTPUT))
    match command:
        case "h36m":
            raw_files.convert(source, output, track=track)
            print(f"wrote {output}; check it with: python -m launch.prepare_data check --data={output}")
        case "mocap" if _DRAFT.value:
            print(prepare.draft_skeleton(source, plain(_DRAFT.value)))
        case "mocap":
            _convert(source, output)
        case "embedded":
            print(prepare.embedded_file(source, output))
        case "pose_prior":
            print(prepare.pose_prior(source, output))
        case "synthetic":
            print(prepare.synthetic_files(output, num_frames=_NUM_FRAMES.value, fps=_FPS.value))
        case _:
            _check(Path(str(_DATA.value)))


def _convert(source: Path, output: Path) -> None:
    from srnet_jax.commands.console import track
    from srnet_jax.data import prepare
    from srnet_jax.data.mocap.conversion import Options
    from srnet_jax.errors import one_line
    from srnet_jax.io.files import plain

    report = plain(_REPORT.value) if _REPORT.value else None
    options = Options(_FPS.value, _SOURCE_FPS.value, _NAME.value)
    done = prepare.mocap_file(source, output, skeleton=_SKELETON.value, options=options, report_file=report, track=track)
    for reason in done.reasons:
        print(f"refused: {one_line(reason, 2000)}", file=sys.stderr)
    print(done.written or "wrote nothing")
    if report:
        print(f"wrote {report}")
    if done.refused:
        app.fail(f"{source}: converted {done.files:,}, refused {done.refused:,} files", code=1)


def _check(data: Path) -> None:
    from rich.table import Table

    from srnet_jax.commands.console import console
    from srnet_jax.data.h36m import verification

    rows = verification.check(data, keypoints=_KEYPOINTS.value)
    table = Table("item", "expected", "found", "")
    for row in rows:
        table.add_row(row.item, str(row.expected), str(row.found), "ok" if row.ok else "DIFFERS")
    console(width=120).print(table)
    if wrong := [row for row in rows if not row.ok]:
        app.fail(f"{data}: {wrong[0].item}: found {wrong[0].found}, expected {wrong[0].expected}", code=1)


if __name__ == "__main__":
    app.run(main, commands=tuple(_NEEDED))
