"""Tests of the commands, run as a user types them."""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from srnet_jax.commands.console import console

ROOT = Path(__file__).parent.parent
CHECKPOINT = ROOT / "tests" / "data" / "parity" / "sr5_mul_333_c42.bin"
NPZ = CHECKPOINT.with_name("metrics.npz")
TINY = (
    "--config.data.num_frames=2000",
    "--config.data.cameras.number=1",
    "--config.model.channels=40",
    "--config.model.filter_widths=(1,)",
)


ONE_DEVICE = {  # compiles fastest; the same in all processes, which then share compiled programs
    **os.environ,
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"),
}


def run(*command, timeout=300):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=ONE_DEVICE, capture_output=True, text=True, timeout=timeout
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def first(number, cases):
    """Mark all cases but the first ones as slow, because each starts a program."""
    return cases[:number] + [pytest.param(*case, marks=pytest.mark.slow) for case in cases[number:]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        4,
        [
            (("--config.protocol.subjects_test=('S2',)",), "config.protocol.subjects_test: 'S2' is not in synthetic"),
            (("--config.data.source=mocap", "--config.data.path=nothing.npz"), "nothing.npz: no such file"),
            (("--confg=x",), "Unknown command line flag 'confg'"),
            (("--config.model.chanels=3",), "config.model.chanels: no such field, did you mean config.model.channels?"),
            (("--config.model.channels=many",), "config.model.channels: 'many' is not allowed, expected a whole number"),
            (
                ("--config.model.recombine=mult",),
                "config.model.recombine: 'mult' is not allowed, expected one of multiply, add, concat",
            ),
            (
                ("--config=configs/quikstart.py",),
                "--config=configs/quikstart.py: no such file, did you mean configs/quickstart.py?",
            ),
            (("--config.data.path=/nowhere",), "config.data.path: set, but it is read only with"),
            (("--workdir=",), "--workdir: empty, expected: Folder of this run"),
            (("--config.data.cameras.number:3",), "--config: "),
            (("train",), "train: not understood, expected --flag=value"),
            (("--config.data.source=mocap",), "config.data.path: not set"),
            (
                ("--config.protocol.name=cross_dataset", "--config.test_data.num_frames=5"),
                "config.test_data.num_frames: 5 is not",
            ),
            (
                (
                    "--config.data.source=h36m",
                    "--config.data.path=x",
                    "--config.data.keypoints=cpn",
                    "--config.data.detections.simulate=True",
                ),
                "config.data.detections.simulate: keypoints are 'cpn'",
            ),
        ],
    ),
)
def test_mistakes_are_one_line(arguments, message, tmp_path):
    tiny = (
        TINY[2:] if any("source" in argument for argument in arguments) else TINY
    )  # other sources do not read the first two fields
    workdir = () if "--workdir=" in arguments else (f"--workdir={tmp_path / 'run'}",)
    done = run("launch.train", *workdir, *tiny, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("launcher", "arguments", "message"),
    first(
        3,
        [
            ("launch.evaluate", ("--workdir=nothing",), "nothing/config.json: no such file"),
            ("launch.predict", ("--output=x.npz", "--output=y.npz"), "error: --output: is given twice, expected it once"),
            ("launch.rarity", ("--output=ranks.txt",), "--output=ranks.txt: expected a name ending in .csv"),
            (
                "launch.describe",
                ("--config.model.context_dim=2",),
                "error: config.model: context_dim 2 with recombine 'multiply' gives",
            ),
            ("launch.evaluate", (), "--workdir: not set, expected: Folder of a run"),
            ("launch.train", (), "--workdir: not set, expected: Folder of this run"),
            ("launch.describe", ("--fields=trian.",), "config.trian.: no such field"),
            ("launch.describe", ("--config.model.hops=2",), "config.model.hops: set, but it is read only with"),
            ("launch.rarity", ("--workdir=nothing",), "nothing/config.json: no such file"),
            ("launch.predict", ("--output=x.npz", "--people=five"), "--people=five: expected an integer in the range [1, 20]"),
            ("launch.predict", ("--noflip", "--flip", "--output=x.npz"), "error: --flip: is given twice, expected it once"),
            ("launch.predict", ("--filters=", "--output=x.npz"), "--filters: empty, expected: Filters of the poses: smooth"),
            ("launch.reproduce", ("--scale=tiny",), "--scale=tiny: expected one of full, long, medium, quick, smoke"),
            (
                "launch.evaluate",
                ("--workdir=x", "--config=configs/default.py"),
                "--config: not accepted here, expected --config.F",
            ),
            ("launch.evaluate", ("--workdir=x", "--config.protocol.nam=x"), "did you mean config.protocol.name?"),
        ],
    ),
)
def test_mistakes_of_other_launchers_are_one_line(launcher, arguments, message):
    done = run(launcher, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


class _Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("damage", "message"),
    first(
        1,
        [
            (lambda path: path.write_bytes(pickle.dumps(_Evil())), "posix.system"),
            (lambda path: None, "no such file"),
            (lambda path: path.write_bytes(CHECKPOINT.read_bytes()[:200_000]), "file.bin: "),
            (lambda path: path.write_bytes(b""), "file.bin: "),
            (lambda path: path.write_bytes(NPZ.read_bytes()), "file.bin: "),
            (lambda path: path.write_text("epoch 1\n"), "file.bin: "),
        ],
    ),
    ids=["evil", "missing", "truncated", "empty", "renamed npz", "text"],
)
def test_bad_checkpoints_are_one_line(damage, message, tmp_path):
    damage(tmp_path / "file.bin")
    done = run("launch.import_torch", f"--checkpoint={tmp_path / 'file.bin'}", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()
    assert not (ROOT / "ran").exists()


@pytest.mark.slow
def test_official_checkpoint_is_evaluated_and_exported(tmp_path):
    command = ("launch.import_torch", f"--checkpoint={CHECKPOINT}", f"--workdir={tmp_path / 'new' / '..' / 'run'}", *TINY[:2])
    done = run(*command, "--config.model.channels=64")
    assert (done.returncode, done.stderr) == (
        2,
        f"error: config.model.channels: set, expected it unset, because {CHECKPOINT} decides it\n",
    )
    done = run(*command)
    assert "5 groups, multiply context from others, 17 keypoints to 17 joints, filter widths 3,3,3" in done.stdout, done.stderr
    done = run("launch.evaluate", f"--workdir={tmp_path / 'run'}")
    assert f"checkpoint imported from {CHECKPOINT.name}" in " ".join(done.stdout.split()), done.stderr
    done = run("launch.export_torch", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'out.bin'}")
    assert done.returncode == 0, done.stderr
    done = run("launch.export_torch", f"--workdir={tmp_path / 'run'}", f"--output={tmp_path / 'no' / 'out.bin'}")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)


@pytest.mark.slow
def test_names_may_hold_two_dots(tmp_path):
    """Each command finds the files of the one before it, although the folder before the dots does not exist."""
    odd = tmp_path / "nothing" / ".." / "runs" / "one"
    done = run("launch.train", f"--workdir={odd}", *TINY, "--config.model.network=fc", "--config.train.epochs=1")
    assert done.stdout.endswith(f"done. Evaluate with: python -m launch.evaluate --workdir={odd}\n"), done.stderr
    for command in (
        ("launch.evaluate", f"--output={odd / '..' / 'comparison'}"),
        ("launch.rarity", f"--output={odd / '..' / 'ranks.csv'}"),
        ("launch.export", f"--output={odd / '..' / 'one.npz'}"),
        ("launch.export", f"--output={odd / '..' / 'one.onnx'}"),
    ):
        done = run(command[0], f"--workdir={odd}", *command[1:])
        assert done.returncode == 0, done.stderr
    made = {path.name for path in (tmp_path / "runs").iterdir()}
    assert made == {"one", "comparison", "ranks.csv", "one.npz", "one.onnx", "one.onnx.json"}
    assert not (tmp_path / "nothing").exists()


@pytest.mark.slow
def test_a_workdir_remembers_its_config(tmp_path):
    workdir = f"--workdir={tmp_path / 'run'}"
    network = ("--config.model.network=fc", "--config.train.epochs=1", "--config.evaluate.flip=False")
    done = run("launch.train", workdir, *TINY, *network)
    assert "epoch   1/1" in done.stdout, done.stderr
    done = run("launch.train", workdir, "--config.evaluate.batch_frames=100")
    assert (done.returncode, done.stdout.count("epoch   1/1")) == (0, 0), done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["model"]["network"], config["evaluate"]) == ("fc", {"flip": False, "batch_frames": 100})
    done = run("launch.train", workdir, "--config.model.channels=48")
    assert done.returncode == 2
    assert "found a run with another config.model.channels" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    first(
        3,
        [
            ((), "nothing: not understood, expected one of h36m, check, mocap, synthetic, embedded, pose_prior first"),
            (("h36m",), "--source: not set, expected a path for h36m"),
            (("mocap", "--source=.", "--skeleton=cmu", "--output=README.md"), "README.md: expected a name ending in .npz"),
            (("h36m", "--source=nothing", "--output=out"), "nothing"),
            (("check", "--data=nothing"), "nothing"),
            (("mocap", "--source=nothing", "--skeleton=cmu", "--output=out.npz"), "nothing"),
            (("synthetic", "--output=README.md"), "README.md: not a folder"),
        ],
    ),
)
def test_prepare_data_refuses_in_one_line(arguments, message):
    done = run("launch.prepare_data", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_prepare_data_goes_on_after_a_bad_motion_file(tmp_path):
    from tests.data.test_mocap import walk, write_bvh

    for number in range(3):
        write_bvh(tmp_path / "motion" / f"dataset-1_walk_old_{number}.bvh", walk(5, 30) * (1e4 if number == 1 else 1), 30)
    files = (f"--output={tmp_path / 'x.npz'}", f"--report={tmp_path / 'x.html'}")
    done = run("launch.prepare_data", "mocap", f"--source={tmp_path / 'motion'}", "--skeleton=bandai", *files)
    assert done.returncode == 1
    refused, summary = done.stderr.strip().splitlines()
    assert refused.startswith(f"refused: {tmp_path}/motion/dataset-1_walk_old_1.bvh: height: found 1.5")
    assert "no usual unit fits" in refused
    assert summary == f"error: {tmp_path}/motion: converted 2, refused 1 files"
    assert f"wrote 2 clips of 1 subject (dataset-1), 10 frames at 30 a second, to {tmp_path / 'x.npz'}" in done.stdout
    assert "refused" in (tmp_path / "x.html").read_text()


@pytest.mark.slow
def test_generated_data_in_the_form_of_human36m_train(tmp_path):
    """Test the whole path: write files, check them, train with a shipped config, evaluate."""
    done = run("launch.prepare_data", "synthetic", f"--output={tmp_path / 'data'}", "--num_frames=2000")
    assert done.returncode == 0, done.stderr
    done = run("launch.prepare_data", "check", f"--data={tmp_path / 'data'}")
    assert done.returncode == 1
    assert "frames over all cameras: training" in " ".join(done.stdout.split())
    assert "S11: motions: found 30 recordings" in done.stderr
    workdir = f"--workdir={tmp_path / 'run'}"
    network = ("--config.model.channels=40", "--config.model.filter_widths=(1,1)", "--config.model.network=fc")
    done = run(
        "launch.train",
        "--config=configs/h36m_rare.py",
        f"--config.data.path={tmp_path / 'data'}",
        workdir,
        "--config.train.epochs=1",
        *network,
    )
    assert "Human3.6M (gt)" in done.stdout, done.stderr
    done = run("launch.evaluate", workdir)
    assert "only the rarest 20 % of the test poses are counted" in " ".join(done.stdout.split()), done.stderr


def test_describe_counts_parameters():
    done = run("launch.describe", "--config.model.filter_widths=(3,3,3,3,3)")
    assert done.returncode == 0, done.stderr
    assert "parameters: 3612067" in done.stdout
    assert "receptive field: 243 frame(s), symmetric" in done.stdout


def test_fields_are_described():
    done = run("launch.describe", "--fields=train.camera")
    assert done.stdout == (
        "train.camera_roll_share = 0.0\n"
        "    share of the samples that are rotated about the optical axis, in 2D and in 3D\n"
        "    a number, 0 or more and at most 1\n"
        "train.camera_roll_degrees = 180.0\n"
        "    largest angle of this random rotation, degrees\n"
        "    a number, 0 or more and at most 180; read only with train.camera_roll_share other than 0\n"
    )


@pytest.mark.parametrize(
    "name",
    [
        "train",
        *(
            pytest.param(path.stem, marks=pytest.mark.slow)
            for path in (ROOT / "launch").glob("*.py")
            if path.stem not in ("__init__", "app", "console", "train")
        ),
    ],
)
def test_help_is_no_error(name):
    for flag in ("--help", "--helpshort", "--helpfull") if name == "train" else ("--help",):
        done = run(f"launch.{name}", flag)
        assert (done.returncode, done.stderr) == (0, "")
        assert f"python -m launch.{name}" in done.stdout


def test_train_evaluate_and_draw(tmp_path, mocap_file):
    workdir = tmp_path / "run"
    done = run(
        "launch.train",
        "--config=configs/mocap_subject.py",
        f"--config.data.path={mocap_file}",
        "--config.protocol.subjects_train=('a', 'b')",
        "--config.protocol.subjects_test=('c',)",
        "--config.model.channels=40",
        "--config.model.filter_widths=(3,1)",
        "--config.model.network=fc",
        "--config.train.epochs=2",
        f"--workdir={workdir}",
    )
    assert done.returncode == 0, done.stderr
    assert "epoch   2/2" in done.stdout
    moved = mocap_file.rename(tmp_path / "moved.npz")
    output = tmp_path / "new" / "comparison"
    done = run("launch.evaluate", f"--workdir={workdir}", f"--data.path={moved}", "--protocol=rare_pose", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert "average over actions" in done.stdout
    assert "only the rarest 20 % of the test poses are counted" in " ".join(done.stdout.split())
    assert {file.name for file in output.iterdir()} == {
        "tables.md",
        "results.csv",
        "results.json",
        "training_curves.png",
        "error_by_rareness.png",
        "joint_errors.png",
        "best_and_worst.png",
        "qualitative.png",
    }
    results = json.loads((workdir / "results.json").read_text())
    assert set(results["actions"]) <= {"walk", "sit"}
    assert results["changed"] == {"protocol.name": "rare_pose", "data.path": str(moved)}
    ranks = set((tmp_path / "rarity_cache").iterdir())
    assert len(ranks) == 3  # ranks of the paper's measure, of articulation and of orientation
    output = tmp_path / "ranks.csv"
    subjects = ("--config.protocol.subjects_train=('a', 'b')", "--config.protocol.subjects_test=('c',)")
    done = run(
        "launch.rarity", "--config=configs/mocap_subject.py", f"--config.data.path={moved}", *subjects, f"--output={output}"
    )
    assert f"ranks of {len(output.read_text().splitlines()) - 1} poses" in done.stdout, done.stderr
    assert set((tmp_path / "rarity_cache").iterdir()) == ranks
    done = run("launch.rarity", f"--workdir={workdir}", f"--config.data.path={moved}", f"--output={tmp_path / 'again.csv'}")
    assert (tmp_path / "again.csv").read_text() == output.read_text(), done.stderr
    done = run("launch.evaluate", f"--workdir={workdir}", f"--data.path={moved}", "--config.data.num_frames=5000")
    assert done.stderr == "error: config.data.num_frames: set, but it is read only with data.source synthetic\n"


@pytest.mark.slow
def test_a_stopped_training_continues(tmp_path):
    """Check the exit codes of SIGTERM, of a second training in the same workdir, and of a fork."""
    workdir = tmp_path / "run"
    command = ("launch.train", f"--workdir={workdir}", *TINY, "--config.model.network=fc", "--config.train.epochs=9999")
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=ONE_DEVICE, **pipes) as process:
        while not (workdir / "checkpoints").exists():
            assert process.poll() is None
            time.sleep(0.1)
        second = run(*command)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 75
        stopping, stopped = process.stderr.read().splitlines()
    assert (second.returncode, len(second.stderr.splitlines())) == (2, 1)
    assert f"in use by process {process.pid} on " in second.stderr
    assert stopping == "stopping after this step; a second signal stops at once"
    assert re.fullmatch(r"stopped after step \d+; run the same command again to continue", stopped)
    done = run(*command, "--config.train.epochs=1", "--fork")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((workdir / "forks.json").read_text()).popitem()[1] == {"fields": {"train.epochs": [9999, 1]}}


@pytest.mark.parametrize(
    ("number", "module"), [(signal.SIGTERM, "absl"), (signal.SIGINT, "absl"), (signal.SIGTERM, "jax"), (signal.SIGINT, "jax")]
)
def test_a_training_is_stopped_while_it_starts(number, module, tmp_path):
    """The signal comes during the import of a module that swallows exceptions."""
    code = f"""if True:
        import os, runpy, sys
        class Signal:
            def find_spec(name, *_):
                if name == "{module}":
                    try:
                        os.kill(os.getpid(), {int(number)})
                    except BaseException:
                        pass
        sys.meta_path.insert(0, Signal)
        runpy.run_module("launch.train", run_name="__main__")
    """
    done = subprocess.run(
        [sys.executable, "-c", code, f"--workdir={tmp_path / 'run'}", *TINY, "--config.train.epochs=1"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode, done.stderr) == (75, "interrupted; run the same command again to continue\n")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("error", ["MemoryError()", "RuntimeError('RESOURCE_EXHAUSTED: Out of memory allocating 1 bytes.')"])
def test_too_little_memory_is_one_line(error):
    done = subprocess.run(
        [sys.executable, "-c", f"from srnet_jax.commands import app\ndef main():\n    raise {error}\napp.run(main)"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, "error: not enough memory, expected a smaller network or batch\n")


def test_text_in_tables_is_not_markup(capsys):
    console(width=80).print(Table("[/b]", "[red] :smile:", title="[/x]"))
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("[/b]", "[red] :smile:", "[/x]"))


@pytest.mark.slow
def test_killed_trainings_end_as_if_left_alone():
    done = subprocess.run(
        [sys.executable, "tests/chaos.py", "--kills=2"], cwd=ROOT, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "differences 0" in done.stdout


@pytest.mark.slow
def test_quickstart_survives_a_kill(tmp_path):
    """Kill the quickstart, with two groups, and run it again: it resumes, ends, and is far better than the mean pose."""
    workdir = tmp_path / "sr"
    shorter = ("--config.train.epochs=5", "--config.data.downsample=4", "--config.model.num_groups=2")
    command = ("launch.train", "--config=configs/quickstart.py", f"--workdir={workdir}", *shorter)
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=ONE_DEVICE, stdout=subprocess.DEVNULL)
    log = workdir / "metrics.jsonl"
    deadline = time.time() + 300
    while time.time() < deadline and not (log.exists() and len(log.read_text().splitlines()) >= 2):
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "resuming after epoch" in done.stdout
    epochs = [json.loads(line)["epoch"] for line in log.read_text().splitlines()]
    assert epochs == list(range(1, 6))
    assert run("launch.evaluate", f"--workdir={workdir}").returncode == 0
    average = json.loads((workdir / "results.json").read_text())["average_over_actions"]
    assert average["mpjpe_mm"] < 0.5 * average["mean_pose_mpjpe_mm"]
    assert np.isfinite(average["p_mpjpe_mm"])
