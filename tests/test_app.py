"""`cbirlab app`: the notebook it writes, what Voilà is told, and what is said when something is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from fake_session import draw_pictures

from cbirlab import cli
from cbirlab.cli import app


@pytest.fixture
def served(monkeypatch):
    """Voilà that only keeps what it is asked to serve: (arguments, notebook)."""
    asked = []

    class Voila:
        @staticmethod
        def launch_instance(argv):
            asked.append((argv, nbformat.read(argv[0], as_version=4)))

    module = ModuleType("voila.app")
    module.Voila = Voila
    monkeypatch.setitem(sys.modules, "voila", ModuleType("voila"))
    monkeypatch.setitem(sys.modules, "voila.app", module)
    return asked


def test_it_serves_one_cell_with_the_panel_and_passes_arguments_on(served, monkeypatch):
    prepared = []
    monkeypatch.setattr(app, "prepare", lambda *given: prepared.append(given))
    assert cli.main(["app", "--", "--no-browser", "--port", "9999"]) == 0
    ((arguments, notebook),) = served
    assert arguments[1:] == ["--show_tracebacks=True", "--no-browser", "--port", "9999"]
    nbformat.validate(notebook)
    (cell,) = notebook.cells
    assert cell.source.endswith(f"panel = {app.PANEL}('toytown', 'toynet')\npanel")
    assert prepared == [("toytown", "toynet", None)]
    assert notebook.metadata.title == "cbirlab: toytown"
    assert not Path(arguments[0]).exists(), "the folder is gone when the app has ended"


def test_a_folder_and_a_file_of_weights_are_named_in_full(served, tmp_path, monkeypatch):
    draw_pictures(tmp_path / "photos", views=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    assert cli.main(["app", "--dataset", "photos", "--backbone", "toynet", "--weights", "random"]) == 0
    assert [*(tmp_path / "store").glob("descriptors/*")], "described before anything is served"
    code = served[0][1].cells[0].source
    assert f"{app.PANEL}({str(tmp_path / 'photos')!r}, 'toynet', weights='random')" in code
    (tmp_path / "mine.pth").touch()
    assert str(tmp_path / "mine.pth") in app.notebook("photos", "toynet", "mine.pth")["cells"][0]["source"]


def test_the_cell_is_python_that_makes_the_panel(tmp_path, monkeypatch):
    import cbirlab.widgets

    source = app.notebook(str(tmp_path / "it's \\ here"), "toynet")["cells"][0]["source"]
    monkeypatch.setattr(cbirlab.widgets, app.PANEL, lambda *given: given, raising=False)
    names = {}
    exec(compile(source, "cell", "exec"), names)
    assert names["panel"] == (str((tmp_path / "it's \\ here").resolve()), "toynet")


def test_without_voila_the_pip_line_is_said(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "voila.app", None)
    assert cli.main(["app"]) == 1
    assert "pip install 'cbirlab[app]'" in capsys.readouterr().err


def test_what_cannot_be_loaded_is_said_before_anything_is_served(served, capsys):
    assert cli.main(["app", "--dataset", "toytwon"]) == 2
    assert "Did you mean 'toytown'" in capsys.readouterr().err
    assert cli.main(["app", "--backbone", "toynat"]) == 2
    assert served == []


def test_the_panel_it_names_exists():
    import cbirlab.widgets

    assert callable(getattr(cbirlab.widgets, app.PANEL))
