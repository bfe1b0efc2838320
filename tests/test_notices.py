"""Notices about files: one line, no line of code, and still warnings that a program can catch."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from cbirlab.base.notices import notify, quiet
from cbirlab.datasets.walking import FilesLeftOut


def test_a_notice_is_one_line_without_code():
    notice = "notify('photos: 2 files end in .heic')"
    code = f"from cbirlab.base.notices import notify\n{notice}\n{notice}"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    assert told == "<cbirlab>:1: UserWarning: photos: 2 files end in .heic\n", "once, on one line"


def test_a_notice_is_a_warning_of_its_kind():
    with pytest.warns(FilesLeftOut, match="2 files") as caught:
        notify(FilesLeftOut("2 files", []))
    assert caught[0].message.files == ()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="broken"):
            notify("broken")


def test_a_notebook_shows_a_notice_as_a_quiet_line_and_a_warning_as_ever(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]) + os.pathsep + os.environ.get("PYTHONPATH", ""))
    cells = [
        "import warnings\nfrom cbirlab.base.notices import notify\nnotify('own: 2 <files> are skipped:\\n  a.jpg')",
        "warnings.warn('results are lost')",
        "with warnings.catch_warnings(record=True) as told:\n    notify('kept')\nprint(len(told))",
        "warnings.filterwarnings('ignore', 'unwanted')\nnotify('unwanted')",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    notice, warning, caught, filtered = (cell.outputs for cell in notebook.cells)
    assert [one.output_type for one in notice] == ["display_data"], "nothing on stderr"
    assert notice[0].data["text/plain"] == "own: 2 <files> are skipped:\n  a.jpg"
    assert "<summary>own: 2 &lt;files&gt; are skipped:</summary>" in notice[0].data["text/html"]
    assert [one.name for one in warning] == ["stderr"]
    assert [one.text for one in caught] == ["1\n"], "a program can still catch it"
    assert filtered == []


def test_a_notice_of_one_line_has_nothing_to_unfold():
    assert "details" not in quiet("2 files end in .heic")["text/html"]
    assert "&#x27;" in quiet("it's\x1b[2J")["text/html"]
    assert "\x1b" not in quiet("it's\x1b[2J")["text/plain"]
