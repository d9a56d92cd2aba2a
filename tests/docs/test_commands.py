"""The commands of README and the documentation: their flags, fields and files exist."""

import json
import re
import subprocess
import sys

import pytest

from tests.docs.pages import CARD, PAGES, ROOT, blocks, commands, prose, spans

ALL = [ROOT / "README.md", CARD, *PAGES]
OTHERS = ("bash", "pip", "npm", "unzip", "jupyter")  # programs that are not ours
INSTEAD = {  # what readers make themselves, and what is checked in its place
    "DIR/joints.toml": "humaneva_15",
    "--config.model.network=alt": "--config.model.network=gp",
    "--config.data.source=pairs": "--config.data.source=mocap",
}


def programs(words):
    """Return the module, or name, of our program that a command runs, and its arguments; None for programs of others."""
    if words[0] == "srnet-lift":
        return words[0], words[1:]
    if words[:2] == ["python", "-m"] and words[2].startswith("launch."):
        return words[2], words[3:]
    return None


def test_flags_fields_and_files_of_commands_exist():
    found = [
        (page, words, True) for page in ALL for one in blocks(page) if one.language == "bash" for words in commands(one.text)
    ]
    found += [(page, words, False) for page in ALL for words in spans(page)]
    unknown = [
        f"{page.name}: {words[0]}" for page, words, _ in found if not programs(words) and words[0] not in (*OTHERS, "python")
    ]
    assert not unknown
    ours = [(page, *programs(words), required) for page, words, required in found if programs(words)]
    assert len(ours) > 60
    given = [(name, [with_own_files(a) for a in arguments], required) for _, name, arguments, required in ours]
    done = subprocess.run(
        [sys.executable, "tests/docs/parse_commands.py"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    wrong = zip(ours, json.loads(done.stdout), strict=True)
    assert [f"{page.name}: {name} {' '.join(arguments)}: {text}" for (page, name, arguments, _), text in wrong if text] == []


def with_own_files(argument):
    for name, instead in INSTEAD.items():
        argument = argument.replace(name, instead)
    return argument


@pytest.mark.parametrize("page", ALL, ids=lambda page: page.stem)
def test_files_that_pages_name_exist(page):
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:srnet_jax|configs|launch|tests|docs)/[\w./-]+\.(?:py|md|sh|txt|npz|html))`", prose(page)))
    named |= set(re.findall(r"(configs/\w+\.py)", text))
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
    modules = set(re.findall(r"(?:from|import) (srnet_jax[\w.]*)", text))
    made = {ROOT / one.title for one in blocks(page) if one.title}  # by an example
    files = [ROOT / name.replace(".", "/") for name in modules]
    assert [
        str(file)
        for file in files
        if not (file.is_dir() or file.with_suffix(".py") in made or file.with_suffix(".py").exists())
    ] == []
