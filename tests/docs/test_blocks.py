"""The commands and Python blocks of the documentation run, but for those that the page says need something.

`python -m pytest -m blocks` runs them. They take ten minutes, which .ci/run has no room for.

Each page has a folder of its own with the files that readers have. The commands run there in order, then the Python blocks as
one program. Only trainings are shortened.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest

from srnet_jax.pose import layouts
from tests.docs.pages import PAGES, ROOT, blocks, commands

ELSEWHERE = {  # what others run, and who
    "bash launch/setup.sh": ".ci/run",
    "bash tests/run.sh": ".ci/run",
    "bash launch/quickstart.sh": "its commands in tests/test_end_to_end.py::test_quickstart_survives_a_kill",
}
SHORT = (
    "--config.train.epochs=1",
    "--config.model.channels=40",
    "--config.model.filter_widths=(1,1)",
    "--config.num_devices=1",
)
LESS = {  # of the data of a config
    "configs/default.py": ("--config.data.num_frames=2000", "--config.data.cameras.number=1"),
    "configs/quickstart.py": ("--config.data.downsample=30",),
    "configs/h36m_sr.py": (),
}
NAMES = """
import numpy as np, srnet_jax
lifter = srnet_jax.load("video")
rng = np.random.default_rng(0)
keypoints = rng.uniform(100, 300, (12, 17, 2))
frame_keypoints = keypoints[0]
poses = poses_3d = rng.normal(0, 0.3, (12, 17, 3)).astype(np.float32)
pose_3d, confidences, times = poses_3d[0], np.ones((12, 17)), np.arange(12) / 30
confidences_of_frame = confidences[0]
keypoints_of_camera_1 = keypoints_of_camera_2 = keypoints
left, right = [4, 5, 6], [1, 2, 3]
inputs_2d = np.zeros((1, 27, 17, 2), np.float32)
"""


def run(folder, *command, code=0):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", "BROWSER": "true"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == code, f"{shlex.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def runs(block):
    """Return whether the tests here run a block; docs/extending.md has a test of its own."""
    return block.language in ("bash", "python") and not block.needs and block.page.name != "extending.md"


def shortened(words):
    """Return a command's words with the interpreter, and trainings shortened."""
    name = "srnet-lift" if words[0] == "srnet-lift" else words[2]
    if name == "srnet-lift":
        return [sys.executable, "-c", "from srnet_jax.commands import lift; lift()", *words[1:]]
    words = [sys.executable, *words[1:]]
    if name == "launch.train":
        config = next((word.partition("=")[2] for word in words if word.startswith("--config=")), "configs/default.py")
        words += [*SHORT, *LESS[config]]
    if name == "launch.reproduce" and "--list" not in words:
        words = [word.replace("--table=2", "--table=1") for word in words]  # tests/reproduce trains the others
    if name == "launch.prepare_data" and "synthetic" in words:
        words.append("--num_frames=2000")
    return words


def walk_in_coco():
    """Return the frames of a person who walks, as a COCO detector writes them."""
    frames = [frame["keypoints"] for frame in json.loads((ROOT / "tests" / "lifting" / "walk.json").read_text())["frames"]]
    points = layouts.weights(layouts.H36M, layouts.LAYOUTS["coco"]) @ np.array(frames)
    points = np.concatenate([points, points[::-1]] * 3)  # six seconds
    return {"frames": [{"frame": number, "people": [{"keypoints": one.tolist()}]} for number, one in enumerate(points)]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Return a folder with two short trainings and what readers have."""
    folder = tmp_path_factory.mktemp("readers")
    (folder / "configs").symlink_to(ROOT / "configs")
    for network in ("fc", "sr"):
        concat = ["--config.model.recombine=concat"] if network == "sr" else []  # as docs/training.md's run, which goes on
        command = ["python", "-m", "launch.train", f"--config.model.network={network}", *concat, f"--workdir=runs/{network}"]
        run(folder, *shortened(command))
    for name in ("FILE", "keypoints.json", "people.json"):
        (folder / name).write_text(json.dumps(walk_in_coco()))
    shutil.copytree(folder / "runs" / "sr", folder / "runs" / "mine")
    shutil.copy(ROOT / "tests" / "data" / "parity" / "sr5_mul_333_c42.bin", folder / "model_best.bin")
    run(
        folder,
        *shortened(["srnet-lift", "--keypoints=FILE", "--layout=coco", "--width=1920", "--height=1080", "--output=m.bvh"]),
    )
    for person in ("anna", "ben", "cleo"):
        (folder / "FOLDER" / person).mkdir(parents=True)
        shutil.copy(folder / "m.bvh", folder / "FOLDER" / person / "walk_1.bvh")
    return folder


def test_commands_that_nothing_runs_are_marked():
    for page in PAGES:
        for block in filter(runs, blocks(page)):
            for words in commands(block.text) if block.language == "bash" else ():
                ours = words[0] == "srnet-lift" or words[:2] == ["python", "-m"]
                assert ours or shlex.join(words) in ELSEWHERE, f"{page.name}: {shlex.join(words)}"


@pytest.mark.blocks
@pytest.mark.parametrize("page", [page for page in PAGES if any(map(runs, blocks(page)))], ids=lambda page: page.stem)
def test_blocks_run(page, trained, tmp_path):
    folder = tmp_path / "reader"
    shutil.copytree(trained, folder, symlinks=True)
    found = [block for block in blocks(page) if runs(block)]
    for block in found:
        for words in commands(block.text) if block.language == "bash" else ():
            if shlex.join(words) not in ELSEWHERE:
                run(folder, *shortened(words))
    code = "".join(block.text for block in found if block.language == "python")
    if code:
        run(
            folder,
            sys.executable,
            "-c",
            NAMES + code,
        )
