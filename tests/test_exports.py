"""What a panel exports comes back: the same rows from every format, the same numbers from every recipe."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from fake_session import write_toytown_form

import cbirlab
from cbirlab import tables
from cbirlab.cli import main
from cbirlab.live import Session
from cbirlab.pipeline import Recipe, table_row
from cbirlab.store import Store
from cbirlab.widgets.parts.comparison import FORMATS, Comparison

SETTINGS = (
    ("layer4", "gem(p=3)", "none", None),
    ("layer3", "gem(p=4.5)", "pca", 8),
    ("stem", "mac", "pca(power=0.25)", 4),
)
RULES = r"""\documentclass{article}\usepackage[landscape,margin=1mm]{geometry}
\IfFileExists{booktabs.sty}{\usepackage{booktabs}}{\let\toprule\hline\let\midrule\hline\let\bottomrule\hline}
\begin{document}\tiny
"""
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """A folder in the form of Toytown, and a store."""
    folder = tmp_path_factory.mktemp("exports")
    return write_toytown_form(folder / "towers", scenes=4, views=5), Store(folder / "store")


@pytest.fixture(scope="module")
def comparison(towers) -> Comparison:
    """Three settings pinned, as a panel does."""
    folder, store = towers
    session = Session(str(folder), "toynet", "random", ["gem", "mac"], store=store)
    session.prepare(progress=False)
    made = Comparison(list, on_error=lambda error: pytest.fail(str(error)))
    for setting in SETTINGS:
        run = session.rank(*setting)
        made.add(session.table_row(run), run.evaluation)
    return made


@pytest.fixture(scope="module")
def exported(comparison, tmp_path_factory) -> dict[str, Path]:
    """The files that the buttons give, by suffix."""
    folder = tmp_path_factory.mktemp("files")
    for suffix in FORMATS:
        (folder / f"table.{suffix}").write_bytes(comparison.to_bytes(suffix))
    return {suffix: folder / f"table.{suffix}" for suffix in FORMATS}


def rows_of_markdown(text: str) -> list[list[str]]:
    lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines()]
    return [
        [cell.strip().replace("\\|", "|").replace("\\\\", "\\") for cell in line]
        for line in lines
        if "---" not in line[0]
    ]


def rows_of_latex(text: str) -> list[list[str]]:
    lines = [line.removesuffix(r"\\").strip() for line in text.splitlines() if line.rstrip().endswith(r"\\")]
    cells = [re.split(r"(?<!\\)&", line) for line in lines]
    return [[re.sub(r"\\([&%$#_{}])", r"\1", cell.strip()) for cell in line] for line in cells]


def as_read(value) -> str:
    """A value as tables for reading write it."""
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@pytest.mark.parametrize("suffix", ["csv", "json", "xlsx"])
def test_csv_json_and_excel_are_read_back_exactly(comparison, exported, suffix):
    pd.testing.assert_frame_equal(tables.read(exported[suffix]), comparison.frame, check_dtype=False)


@pytest.mark.parametrize(("suffix", "parsed"), [("md", rows_of_markdown), ("tex", rows_of_latex)])
def test_tables_for_reading_have_the_same_rows(comparison, exported, suffix, parsed):
    names, *rows = parsed(exported[suffix].read_text("utf-8"))
    shown = tables.for_reading(comparison.frame)
    assert names == list(shown.columns)
    assert rows == [[as_read(value) for value in row] for row in shown.itertuples(index=False, name=None)]


@pytest.mark.parametrize("suffix", ["csv", "json", "xlsx"])
def test_every_exported_recipe_runs_again_to_the_same_numbers(comparison, exported, towers, suffix):
    again = tables.read(exported[suffix])
    for (_, row), pinned in zip(again.iterrows(), comparison.pinned, strict=True):
        recipe = Recipe.from_json(tables.read_recipe(row.to_dict()))
        run = cbirlab.run(recipe, store=towers[1], progress=False)
        timed = {name: value for name, value in pinned.row.items() if name.startswith("ms_")}
        assert {**table_row(run), **timed} == pinned.row
        assert {name: run.evaluation.per_query[name].tolist() for name in pinned.per_query} == {
            name: values.tolist() for name, values in pinned.per_query.items()
        }


def test_the_command_line_runs_a_row_of_an_export_again(comparison, exported, towers, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("CBIRLAB_STORE", str(towers[1].path))
    out = tmp_path / "again.json"
    assert main(["run", "--recipe", str(exported["csv"]), "--row", "1", "--out", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["recipe"]["aggregation"] == "gem(p=4.5)"
    assert row["map_medium"] == comparison.rows[1]["map_medium"]


def compiled(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex: install the system package 'texlive-latex-base'")
    (folder / "page.tex").write_text(f"{RULES}{text}\\end{{document}}\n", "utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)


def test_latex_compiles(exported, tmp_path):
    done = compiled(exported["tex"].read_text("utf-8"), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")


def test_latex_of_odd_names_compiles(tmp_path):
    odd = pd.DataFrame({"50% & a_b": ["{\\x}^2 ~ #1 $", "Müller – Ñandú"], "n": [1.5, float("nan")]})
    done = compiled(tables.to_latex(odd), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:]


def test_what_latex_cannot_read_does_not_compile(tmp_path):
    assert compiled(r"\begin{tabular}{l} a_b \\ \end{tabular}", tmp_path).returncode != 0
