"""The notebooks run from beginning to end, and are stored without outputs."""

import os

import nbclient
import nbformat
import pytest

from tests.docs.pages import DOCS, ROOT

NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    assert all(not cell.outputs and cell.execution_count is None for cell in notebook.cells if cell.cell_type == "code")
    assert path.name in (DOCS / "notebooks" / "index.md").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "path",
    [
        # one trains networks: with the other code of the documentation, before a release
        pytest.param(path, marks=pytest.mark.blocks if path.stem == "rare_poses" else pytest.mark.slow, id=path.stem)
        for path in NOTEBOOKS
    ],
)
def test_notebooks_run(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("XLA_FLAGS", os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=1"))
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:  # a shorter training
        cell.source = cell.source.replace("downsample = 8", "downsample = 30").replace("epochs = 6", "epochs = 1")
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(str(output) for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs)
    if path.stem == "lift":
        assert "<iframe" in shown
        assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".bvh", ".trc", ".html"}
    else:
        assert shown.count("image/png") == 2
        assert "rarest 10 %" in shown
