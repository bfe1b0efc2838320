"""Cells: any text in any cell of any format is written, is no formula, and is read back where that is offered."""

from __future__ import annotations

import csv
import os
import re
from html.parser import HTMLParser

import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cbirlab import tables
from cbirlab.base.cells import cell, column, text_of

ANY = st.text(st.characters(exclude_categories=()))
NAMES = st.binary(max_size=12).map(os.fsdecode)
STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", " =", "＝", "%", "|", "\ufeff", "[", "*", "")
BODIES = (
    "1+1",
    "cmd|' /C calc'!A0",
    "SUM(A1:A9)",
    'HYPERLINK("http://x","y")',
    "7",
    "",
    "\x00\x07",
    "\x1b[31m",
    "_x0041_",
)
DANGEROUS = st.builds(
    lambda start, body, end: start + body + end, st.sampled_from(STARTS), st.sampled_from(BODIES), ANY
)
MARKUP = st.text("<>&;|\\`[]()!*_{}$#%~^'\"\n\r\t x", max_size=12)
NUMBERS = st.sampled_from(
    ["007", "1.0", "-1", "1e5", "nan", "inf", "-Infinity", "True", "False", "", "NA", "null", " 7", "٣"]
)
TEXTS = ANY | NAMES | DANGEROUS | MARKUP | NUMBERS
LIVE = re.compile(r"[\s]*[=+\-@\t\r＝＋－＠]")
often = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def frame_of(texts: list[str]) -> pd.DataFrame:
    """Texts in a column of any name and in one that is known, beside numbers."""
    return pd.DataFrame({"name": texts, "note": texts, "map": [0.1 + i for i in range(len(texts))], "dim": 3})


@given(TEXTS)
@example("'")
@example("\\x07")
@example("'\\x5cx07")
def test_a_cell_is_read_back_and_is_no_formula(text):
    for of_texts in (False, True):
        written = cell(text, of_texts=of_texts)
        written.encode("utf-8")
        assert text_of(written) == text
        assert column([written], of_texts=of_texts) == [text]
        assert not LIVE.match(written)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", written)


def test_ordinary_texts_are_written_as_they_are():
    for text in ("resnet18", "gem(p=3)", "café/1.jpg", "C:\\x41\\u0041", '{"dataset": "caf\\u00e9"}', "a - b", "x=1"):
        assert cell(text) == text


@pytest.mark.parametrize("suffix", [".csv", ".json", ".xlsx"])
@often
@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@example(texts=["=1+1", "\x07", "x" * 70_000 + "=", "caf\udce9"])
@example(texts=[""])
@example(texts=["7", "8"])
def test_any_text_is_read_back_from_every_format_that_is_read(tmp_path, suffix, texts):
    texts = [
        re.sub("[\ud800-\udbff]", "", text) for text in texts
    ]  # no name has one, and JSON joins it to what follows
    again = tables.read(tables.write(frame_of(texts), tmp_path / f"t{suffix}"))
    assert again["name"].tolist() == texts
    assert again["note"].tolist() == texts
    assert again["map"].tolist() == [0.1 + i for i in range(len(texts))]
    assert again["dim"].tolist() == [3] * len(texts)


@often
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_a_spreadsheet_finds_no_formula_in_any_cell_or_heading(tmp_path, texts):
    frame = frame_of(texts).rename(columns={"dim": texts[0] or "x"})
    frame = frame.loc[:, ~frame.columns.duplicated()]
    with open(tables.write(frame, tmp_path / "t.csv"), encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert {len(row) for row in rows} == {frame.shape[1]}
    assert len(rows) == len(texts) + 1
    assert not [one for row in rows for one in row if LIVE.match(one)]
    book = openpyxl.load_workbook(tables.write(frame, tmp_path / "t.xlsx"))
    cells = [one for sheet in book for row in sheet.iter_rows() for one in row]
    assert not [one for one in cells if one.data_type == "f" or (isinstance(one.value, str) and LIVE.match(one.value))]
    assert max(len(str(one.value)) for one in cells) <= 32_767


@given(st.lists(TEXTS, min_size=1, max_size=4))
@example(["a\r\nb|c"])
@example(["&A"])
def test_markdown_keeps_its_rows_and_has_no_tag_of_its_own(texts):
    written = tables.to_markdown(frame_of(texts))
    written.encode("utf-8")
    assert len(written.splitlines()) == len(texts) + 2
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in written.splitlines()} == {5}
    found = []
    reader = HTMLParser(convert_charrefs=False)
    for kind in ("starttag", "endtag", "startendtag", "comment", "decl", "pi", "entityref", "charref"):
        setattr(reader, f"handle_{kind}", lambda *given, kind=kind: found.append((kind, *given)))
    reader.feed(written)
    reader.close()
    assert [one for one in found if one not in [("entityref", "lt"), ("entityref", "amp")]] == []
    assert "](" not in written


@given(st.lists(TEXTS, min_size=1, max_size=4))
@example(["[1ex]"])
@example(["*"])
@example(["a\nb\\"])
def test_latex_keeps_its_rows_and_its_signs(texts):
    written = tables.to_latex(frame_of(texts))
    written.encode("utf-8")
    _, _, head, _, *rows, _, _ = written.splitlines()
    assert len(rows) == len(texts)
    for row in (head, *rows):
        assert row.endswith(r" \\")
        assert not row.lstrip().startswith(("[", "*"))
        plain = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]", "", row.removesuffix(r" \\").removeprefix("{}"))
        assert plain.count("&") == 3
        assert not set(plain) & set("\\{}%$#_~^")


def test_tables_from_before_there_were_marks_are_read_as_they_were(tmp_path):
    path = tmp_path / "old.csv"
    path.write_text(
        'backbone,dim,map,leak,judged,recipe\nresnet18,64,0.1234567890123456,,True,"{""dataset"": ""caf\\u00e9""}"\n'
        "a - b,2048,,x,False,\n"
    )
    again = tables.read(path)
    assert again["backbone"].tolist() == ["resnet18", "a - b"]
    assert again["dim"].tolist() == [64, 2048]
    assert again["map"].iloc[0] == 0.1234567890123456
    assert pd.isna(again["map"].iloc[1])
    assert again["leak"].tolist() == ["", "x"]
    assert again["judged"].tolist() == [True, False]
    assert tables.read_recipe(again.iloc[0].to_dict()) == {"dataset": "café"}
