"""Make and check data files.

python -m launch.prepare_data h36m --source=DIR --output=DIR          # from Human3.6M's .cdf files (or archives), or .h5 files
python -m launch.prepare_data check --data=DIR [--keypoints=gt]       # Human3.6M files: expected and found
python -m launch.prepare_data mocap --source=DIR --skeleton=cmu --output=FILE.npz   # BVH or ASF/AMC files
python -m launch.prepare_data synthetic --output=DIR                  # the embedded set in the form of Human3.6M's files
python -m launch.prepare_data synthetic --output=FILE.npz             # and of mocap's: joint positions
"""

from pathlib import Path
from typing import TYPE_CHECKING

from absl import flags

from launch import app

if TYPE_CHECKING:
    import numpy as np

_SOURCE = flags.DEFINE_string("source", None, "h36m, mocap: folder of the original files.")
_OUTPUT = flags.DEFINE_string("output", None, "h36m, synthetic: folder for the files; mocap, synthetic: the .npz file.")
_DATA = flags.DEFINE_string("data", None, "check: folder of data_3d_h36m.npz and data_2d_h36m_*.npz.")
_KEYPOINTS = flags.DEFINE_string("keypoints", "gt", "check: which data_2d_h36m_*.npz.")
_SKELETON = flags.DEFINE_string("skeleton", None, "mocap: cmu, hdm05, bandai, or a file that maps joints (README).")
_FPS = flags.DEFINE_float("fps", 30.0, "mocap, synthetic FILE.npz: frames per second of the output.", lower_bound=0.1)
_SOURCE_FPS = flags.DEFINE_float("source_fps", 120.0, "mocap: frames per second of .amc files.", lower_bound=0.1)
_NUM_FRAMES = flags.DEFINE_integer(
    "num_frames", 200_000, "synthetic: frames over four cameras.", lower_bound=2000, upper_bound=10_000_000
)


def main(command: str) -> None:
    """Run one of the commands."""
    needed = {"h36m": (_SOURCE, _OUTPUT), "check": (_DATA,), "mocap": (_SOURCE, _SKELETON, _OUTPUT), "synthetic": (_OUTPUT,)}
    for flag in needed[command]:
        if not flag.value:
            app.fail(f"--{flag.name}: not set, {command} needs it")
    {"h36m": _h36m, "check": _check, "mocap": _mocap, "synthetic": _synthetic}[command]()


def _path(flag: flags.FlagHolder) -> Path:
    return Path(str(flag.value))


def _h36m() -> None:
    from srnet_jax.data.h36m import raw_files

    raw_files.convert(_path(_SOURCE), _path(_OUTPUT), track=app.track)
    print(f"wrote {_OUTPUT.value}; check it with: python -m launch.prepare_data check --data={_OUTPUT.value}")


def _synthetic() -> None:
    from srnet_jax.data import synthetic
    from srnet_jax.data.h36m import raw_files
    from srnet_jax.data.mocap import clip_files

    if _path(_OUTPUT).suffix == ".npz":
        _save(
            {
                f"{subject}/{action}/{trial}": clip_files.resampled(poses, synthetic.FPS, _FPS.value).astype("float32")
                for subject, action, trial, poses in synthetic.recordings(_NUM_FRAMES.value // 4, seed=0)
            }
        )
        return
    raw_files.write(_path(_OUTPUT), synthetic.recordings(_NUM_FRAMES.value // 4, seed=0))
    print(f"wrote {_OUTPUT.value}; train on it with: --config=configs/h36m_sr.py --config.data.path={_OUTPUT.value}")


def _mocap() -> None:
    from srnet_jax.data.mocap import clip_files

    clip_files.check_output(_path(_OUTPUT))
    _save(
        clip_files.convert(_path(_SOURCE), str(_SKELETON.value), fps=_FPS.value, source_fps=_SOURCE_FPS.value, track=app.track)
    )


def _save(clips: dict[str, "np.ndarray"]) -> None:
    from srnet_jax.data.mocap import clip_files

    clip_files.save(_path(_OUTPUT), clips, fps=_FPS.value)
    frames = sum(map(len, clips.values()))
    print(f"wrote {len(clips)} clips, {frames:,} frames at {_FPS.value:g} a second, to {_OUTPUT.value}")


def _check() -> None:
    from rich.table import Table

    from srnet_jax.data.h36m import verification

    rows = verification.check(_path(_DATA), keypoints=_KEYPOINTS.value)
    table = Table("item", "expected", "found", "")
    for row in rows:
        table.add_row(row.item, str(row.expected), str(row.found), "ok" if row.ok else "DIFFERS")
    app.console(width=120).print(table)
    wrong = [row for row in rows if not row.ok]
    if wrong:
        app.fail(f"{_DATA.value}: {wrong[0].item}: found {wrong[0].found}, expected {wrong[0].expected}", code=1)


if __name__ == "__main__":
    app.run(main, commands=("h36m", "check", "mocap", "synthetic"))
