"""Tables: every format is read back, every row's recipe too."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from fake_session import write_toytown_form

from cbirlab import compare, tables
from cbirlab.pipeline import Recipe
from cbirlab.store import Store

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
        r"| backbone               | dimensions | mAP (Medium) | leak                                             |",
        r"| ---------------------- | ---------: | ------------ | ------------------------------------------------ |",
        r"| resnet18               |         64 | 0.123        |                                                  |",
        r"| odd \| name_50% & more |       2048 |              | whitening learned on 3 of the 9 evaluated images |",
    ]


def test_a_terminal_gets_all_columns_by_their_names(frame):
    head, _, first, _ = tables.to_text(frame).splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == ["backbone", "dim", "map_medium", "leak"]
    assert [cell.strip() for cell in first.split("|")[1:-1]] == ["resnet18", "64", "0.1235", ""]


@pytest.fixture(scope="module")
def compared(tmp_path_factory) -> pd.DataFrame:
    """A table of two taps with and without a code, as `compare` makes it."""
    towers, store = write_toytown_form(tmp_path_factory.mktemp("towers")), Store(tmp_path_factory.mktemp("store"))
    options = {"weights": "random", "store": store, "progress": False}
    methods = {"taps": ["layer2", "layer3"], "aggregations": "mac", "whitenings": "none"}
    return compare(str(towers), backbones="toynet", **methods, compressions=["none", "sq(bits=8)"], **options)


def test_a_table_for_people_has_what_tells_rows_apart_and_the_main_metrics(compared):
    assert len(compared.columns) > 23, "that is no table for people"
    shown = tables.for_reading(compared)
    cost = ["bytes", "recall@10 of the exact list"]
    assert [*shown] == [
        *("backbone", "tap", "pooling", "whitening", "learned on", "compression", "dimensions"),
        *("mAP (Easy)", "mAP (Medium)", "mAP (Hard)", *cost, "leak"),
    ]
    row = compared.iloc[1]
    medium = [row[f"map_medium{end}"] for end in ("", "_low", "_high")]
    assert shown.iloc[1]["mAP (Medium)"] == "{:.3f} [{:.3f}, {:.3f}]".format(*medium)
    alike = compared[compared["compression"] == "none"]
    assert not {"compression", *cost} & {*tables.for_reading(alike)}, "all rows search alike"
    leaking = alike.assign(leak=["", "learned on what is judged"])
    assert "leak" in tables.for_reading(leaking), "a leak is always told"
    assert [*tables.for_reading(alike.assign(mine=[1, 2]))][-1] == "mine", "a column of one's own stays"


def test_differences_stand_in_one_cell_with_their_sign(compared):
    tested = compared.head(2).assign(
        difference=[np.nan, 0.5], difference_low=[np.nan, -0.25], difference_high=[np.nan, 1]
    )
    assert tables.for_reading(tested)["difference to the first"].tolist() == ["", "+0.500 [-0.250, +1.000]"]


@pytest.mark.parametrize("suffix", tables.suffixes())
def test_columns_are_chosen_by_name_and_files_that_are_read_back_keep_the_recipes(compared, tmp_path, suffix):
    wanted = ["map_medium", "tap", "ms_per_query"]
    path = tables.write(compared, tmp_path / f"table{suffix}", columns=wanted)
    if suffix in (".md", ".tex"):
        text = path.read_text("utf-8")
        assert text.count("|" if suffix == ".md" else "&") == (4 * 6 if suffix == ".md" else 2 * 5)
        assert text.index("mAP (Medium)") < text.index("tap") < text.index("search (ms)")
        assert f"{compared['map_medium'][0]:.3f} [" in text
    else:
        assert [*tables.read(path)] == [*wanted, "recipe"]
    with pytest.raises(
        ValueError, match=r"columns must be among dataset, .*; got 'map_medum'. Did you mean 'map_medium'?"
    ):
        tables.write(compared, tmp_path / f"other{suffix}", columns=["map_medum"])
    assert not (tmp_path / f"other{suffix}").exists()


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
