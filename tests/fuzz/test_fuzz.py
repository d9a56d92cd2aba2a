"""Damaged and hostile files either load correctly or fail with a one-line error; see `run`."""

import ast
import collections
import contextlib
import os
import pickle
import re
import subprocess
from pathlib import Path

import pytest

from srnet_jax.commands import app
from tests.fuzz import audit
from tests.fuzz.readers import READERS
from tests.fuzz.run import Bench
from tests.fuzz.table import fuzz_all, lines

GOOD = {"loaded", "refused", "killed"}
ROOT = Path(__file__).parents[2]
CRASHES = sorted((Path(__file__).parent / "crashes").iterdir())


@pytest.fixture
def bench(request, tmp_path):
    with Bench(request.param, tmp_path) as bench:
        yield bench


@pytest.mark.parametrize("bench", READERS, indirect=True)
def test_a_hundred_inputs(bench):
    assert {bench.outcome(seed) for seed in bench.seeds} <= {"loaded", "refused"}
    assert any(bench.outcome(seed) == "loaded" for seed in bench.seeds)
    outcomes = collections.Counter(bench.outcome(bench.damaged("default", number)) for number in range(100))
    assert set(outcomes) <= GOOD, outcomes
    assert outcomes["refused"] >= 20


@pytest.mark.parametrize("bench", dict.fromkeys(path.name.rpartition(".")[0] for path in CRASHES), indirect=True)
def test_what_once_went_wrong(bench):
    for path in CRASHES:
        if path.name.startswith(f"{bench.name}."):
            assert bench.outcome(path.read_bytes()) in GOOD, path.name


@pytest.mark.slow
@pytest.mark.parametrize("bench", READERS, indirect=True)
def test_other_inputs(bench):
    """Run more of them by hand: python -m tests.fuzz."""
    outcomes = collections.Counter(bench.outcome(bench.damaged("slow", number)) for number in range(150))
    assert set(outcomes) <= GOOD, outcomes


@pytest.mark.slow
def test_readers_are_tried_in_processes_of_their_own():
    wanted = {"openpose.json": 20, "archive.tgz": 10}
    tallies = fuzz_all(wanted, seed="slow")
    assert {name: tally.inputs for name, tally in tallies.items()} == wanted
    assert not any(tally.num_crashes for tally in tallies.values())
    assert "openpose.json" in "\n".join(lines(tallies))


# The audit reports forbidden actions.


class _Evil:
    def __reduce__(self):
        return os.system, ("true",)


def _write(folder):
    (folder.parent / "elsewhere").write_text("")


@pytest.mark.parametrize(
    ("act", "seen"),
    [
        (lambda folder: os.system("true"), "os.system"),
        (lambda folder: pickle.loads(pickle.dumps(_Evil())), "pickle.find_class"),
        (_write, "open"),
        (lambda folder: exec("1"), "exec"),
        (lambda folder: os.remove(folder / "../elsewhere"), "os.remove"),
        (lambda folder: __import__("this_module_is_not_there"), "import ('this_module"),
        (lambda folder: subprocess.run("true", check=True), "subprocess.Popen"),
    ],
)
def test_the_witness(act, seen, tmp_path):
    audit.install()
    forbidden: list[str] = []
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "folder").mkdir()
    with audit.watched(tmp_path / "folder", forbidden), contextlib.suppress(ImportError):
        act(tmp_path / "folder")
    assert seen in " ".join(forbidden)


def test_names_of_files_cannot_deceive_a_terminal(capsys):
    with pytest.raises(SystemExit):
        app.fail("a\nb\x1b[2J.bvh: no such file")
    assert capsys.readouterr().err == "error: a\\nb\\x1b[2J.bvh: no such file\n"


# No other module unpickles.


def test_nothing_is_unpickled_freely():
    for path in (ROOT / "srnet_jax").rglob("*.py"):
        _check_calls_and_imports(path)


def _check_calls_and_imports(path):
    nodes = list(ast.walk(ast.parse(path.read_text())))
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        function, call = ast.unparse(node.func), f"{path.name}: {ast.unparse(node)}"
        assert not re.fullmatch(r"(eval|exec|compile|__import__|os\.system|os\.popen)", function), call
        assert not re.search(
            r"(pickle|marshal|shelve|dill|joblib|torch|yaml)\.(load|loads|unsafe_load|full_load)$", function
        ), call
        assert "allow_pickle=True" not in call, call
        if function in ("np.load", "numpy.load", "np.lib.format.read_array"):
            assert "allow_pickle=False" in call, call
        if function.endswith("Unpickler"):
            assert path.name == "safe_pickle.py", call
        assert not re.search(r"\.(extract|extractall|unpack_archive)$", function), call
    imported = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert not imported & {"dill", "joblib", "shelve", "marshal", "cloudpickle", "scipy.io"}, path
    assert "torch" not in imported or path.parent.name == "benchmarks", path  # which reads no files
    if path.name not in ("safe_pickle.py", "torch_save.py"):
        assert not imported & {"pickle", "_pickle", "pickletools"}, path
