"""Tables: every format is read back, every row's recipe too."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from cbirlab import tables
from cbirlab.pipeline import Recipe

RECIPE = Recipe(backbone="resnet18", tap="layer3", aggregation="gem(p=4.5)", whitening="pca", dimensions=64)


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "backbone": ["resnet18", "odd | name_50% & more"],
            "dim": [64, 2048],
            "map_medium": [0.1234567890123456, np.nan],
            "leak": ["", "whitening learned on 3 of the 9 evaluated images"],
            "recipe": [RECIPE.to_json(), Recipe().to_json()],
        }
    )


@pytest.mark.parametrize("suffix", [".csv", ".json", ".xlsx"])
def test_what_is_written_is_read_back_exactly(frame, tmp_path, suffix):
    path = tables.write(frame, tmp_path / "deep" / f"table{suffix}")
    again = tables.read(path)
    pd.testing.assert_frame_equal(again, frame, check_dtype=False)
    assert Recipe.from_json(tables.read_recipe(again.iloc[0].to_dict())) == RECIPE


def test_excel_without_its_library_says_what_to_install(frame, tmp_path, monkeypatch):
    def no_excel(*_, **__):
        raise ImportError("No module named 'openpyxl'")

    monkeypatch.setattr(pd.DataFrame, "to_excel", no_excel)
    with pytest.raises(ImportError, match=r"pip install 'cbirlab\[excel\]'"):
        tables.write(frame, tmp_path / "table.xlsx")


def test_markdown_is_a_table_for_reading(frame):
    assert tables.to_markdown(frame).splitlines() == [
        r"| backbone               |  dim | map_medium | leak                                             |",
        r"| ---------------------- | ---: | ---------: | ------------------------------------------------ |",
        r"| resnet18               |   64 |     0.1235 |                                                  |",
        r"| odd \| name_50% & more | 2048 |            | whitening learned on 3 of the 9 evaluated images |",
    ]


def test_latex_escapes_what_latex_would_read(frame):
    text = tables.to_latex(frame[["backbone", "map_medium", "recipe"]].rename(columns={"map_medium": "mAP^2 #\\~{}$"}))
    assert text.splitlines() == [
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"backbone & mAP\textasciicircum{}2 \#\textbackslash{}\textasciitilde{}\{\}\$ \\",
        r"\midrule",
        r"resnet18 & 0.1235 \\",
        r"odd | name\_50\% \& more &  \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_json_has_recipes_as_objects_and_null_for_missing(frame):
    rows = json.loads(tables.to_json(frame))
    assert rows[0]["recipe"]["aggregation"] == "gem(p=4.5)"
    assert rows[1]["map_medium"] is None
    assert rows[0]["map_medium"] == 0.1234567890123456


@pytest.mark.parametrize("name", ["table.txt", "table", "table.pkl"])
def test_another_format_is_refused(frame, tmp_path, name):
    with pytest.raises(ValueError, match=r"must end in one of \.csv, \.md, \.tex, \.xlsx, \.json"):
        tables.write(frame, tmp_path / name)
    with pytest.raises(ValueError, match=r"must end in \.csv, \.xlsx or \.json"):
        tables.read(tmp_path / name)


def test_a_row_without_a_recipe_is_refused():
    with pytest.raises(ValueError, match="row must have a recipe"):
        tables.read_recipe({"backbone": "toynet"})


def test_an_empty_table_is_written():
    empty = pd.DataFrame({"backbone": [], "map": []})
    assert tables.to_markdown(empty).count("\n") == 2
    assert tables.to_csv(empty) == "backbone,map\n"
