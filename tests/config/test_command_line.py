import subprocess
import sys
import types
from pathlib import Path

import pytest
from absl import flags

from srnet_jax.config import command_line
from srnet_jax.errors import ConfigError, UserError

ROOT = Path(__file__).parent.parent.parent


def test_the_config_of_a_run_is_no_config_file(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ConfigError, match=r"config\.json: expected a Python file such as .*; --workdir uses the config.json of a run$"
    ):
        command_line.define([f"--config={tmp_path / 'config.json'}"])
    with pytest.raises(ConfigError, match=r"quikstart\.py: no such file, did you mean configs/quickstart\.py\?$"):
        command_line.define(["--config=configs/quikstart.py"])


@pytest.mark.parametrize("returned", [{"seed": 1}, None, 3])
def test_a_config_file_must_return_a_config(returned, monkeypatch):
    monkeypatch.setattr(command_line.flags, "FLAGS", types.SimpleNamespace(config=returned))
    kind = type(returned).__name__
    with pytest.raises(UserError, match=f"^--config: get_config returned {kind}, expected a ConfigDict") as caught:
        command_line.check_config()
    assert command_line.explain(caught.value) == str(caught.value)


def test_the_error_of_a_config_file_names_the_file():
    trace = "Traceback (most recent call last):\n  File ...\nValueError: found form 'viedo', expected one of single, causal"
    error = flags.IllegalFlagValueError(f"flag --config=a.py:viedo: Error whilst parsing config file:\n\n{trace}")
    assert command_line.explain(error) == "--config=a.py:viedo: ValueError: found form 'viedo', expected one of single, causal"


@pytest.mark.parametrize("program", ["evaluate", "reproduce"])
def test_help_shows_no_default_for_a_file_that_is_not_accepted(program):
    command = [sys.executable, "-m", f"launch.{program}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert "--config: Change a field" in done.stdout
    assert "configs/default.py" not in done.stdout
