"""Notebooks: short cells, nothing stored, and every one runs from top to bottom."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import nbformat
import pytest
from fake_session import write_toytown_form
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WIDGET = "application/vnd.jupyter.widget-view+json"
MOST_LINES = 10
MOST_CELLS = 12


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read(path):
    return nbformat.read(path, as_version=4)


def test_there_are_notebooks():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_nothing_is_stored(path):
    notebook = read(path)
    assert "widgets" not in notebook.metadata, "GitHub refuses to show it then"
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_cells_are_short_and_define_nothing(path):
    cells = code_cells(read(path))
    assert len(cells) <= MOST_CELLS
    for cell in cells:
        assert len(cell.source.splitlines()) <= MOST_LINES
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, definitions)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_first_code_cell_holds_the_parameters(path):
    assert code_cells(read(path))[0].metadata.get("tags") == ["parameters"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    """On a few drawn pictures and a random network; the browser tests run it as it is."""
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    repository = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [repository, os.environ.get("PYTHONPATH", "")])))
    small = write_toytown_form(tmp_path / "towers")
    notebook = read(path)
    code_cells(notebook)[0].source += f"\nDATASET, WEIGHTS = {str(small)!r}, 'random'"
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    shown = [output.data for output in outputs if WIDGET in output.get("data", {})]
    own = [data for data in shown if data["text/plain"].startswith(("Explorer(", "Gallery("))]
    assert own
    assert all("image/jpeg" in data for data in own), "each of our widgets has its still picture"
    assert not [data for data in shown if "cbirlab-error" in data["text/plain"]]
