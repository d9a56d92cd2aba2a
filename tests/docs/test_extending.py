"""The worked examples of docs/extending.md: applied to a copy of the code, their Python blocks and `describe` commands run."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.docs.pages import DOCS, ROOT, blocks, commands

BLOCKS = blocks(DOCS / "extending.md")


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """Return a copy of the code with all changes of the page."""
    copy = tmp_path_factory.mktemp("code")
    for name in ("srnet_jax", "launch", "configs"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for block in BLOCKS:
        if block.language == "diff":
            apply(block.text, copy / block.title)
        elif block.title:
            (copy / block.title).write_text(block.text)
    return copy


def apply(difference, file):
    """Make a change: its lines without + are in the file exactly once, and become those without -."""
    lines = difference.splitlines(keepends=True)
    before, after = ("".join(line[1:] for line in lines if line[0] in kinds) for kinds in (" -", " +"))
    if not lines[-1][1:].rstrip().endswith((")", ",", "(")) or len(before.splitlines()) == 1:
        before, after = before.rstrip("\n"), after.rstrip("\n")  # a line may be given by its beginning
    text = file.read_text()
    assert text.count(before) == 1, f"{file.name}: found {text.count(before)} times:\n{before}"
    file.write_text(text.replace(before, after))


def run(copy, *command):
    environment = {**os.environ, "PYTHONPATH": str(copy), "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    done = subprocess.run([sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_run(changed):
    python = [block.text for block in BLOCKS if block.language == "python" and not block.title]
    assert len(python) == 3
    run(changed, "-W", "error", "-c", "\n".join(python))


def test_the_new_network_is_built(changed):
    (command,) = [words for block in BLOCKS if block.language == "bash" and not block.needs for words in commands(block.text)]
    printed = run(changed, *command[1:])
    assert [line.split("│")[2].strip() for line in printed.splitlines() if line.startswith("│")] == [
        *("group", "fully_connected") * 4,
    ]


def test_what_is_shown_is_used_by_no_other_example():
    assert {block.language for block in BLOCKS} == {"diff", "python", "bash"}
    assert all(block.title for block in BLOCKS if block.language == "diff")
