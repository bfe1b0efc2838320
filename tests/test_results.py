"""The tables of data/results: every one of them is made, and the README speaks of them all."""

from __future__ import annotations

import csv
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "data" / "results"


@pytest.fixture
def choices(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    for name in ("lab", "choices"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import choices

    return choices


@pytest.fixture
def tiny(choices, things, store, monkeypatch):
    """A lab whose dataset is 40 drawn pictures; codebooks as small as they are."""
    labels = tuple(path.stem.split("_")[0] for path in things.train)
    monkeypatch.setattr(choices, "ENCODINGS", ["vlad(k=4)", "asmk(k=4)"])
    monkeypatch.setattr(choices, "CODEBOOKS_OF_SIFT", ["bow(k=4)", "vlad(k=4)"])
    monkeypatch.setattr(choices, "WHITENINGS", ["none", "pca", "lw"])
    monkeypatch.setattr(choices, "PUBLISHED", "shrinkage")  # Lw as published needs more pairs than there are
    monkeypatch.setattr(choices, "POOLINGS", ["mac", "cam"])
    monkeypatch.setattr(choices, "LEARNED", ["rmac(learned=True)"])
    monkeypatch.setattr(choices, "FEW", 8)
    kept = {
        name: choices.PASSES[name] for name in ("single", "scales 1, 1/√2, 1/2, GeM", "rigid grid, patches matched")
    }
    monkeypatch.setattr(choices, "PASSES", kept)
    most = {"single": {}, "mser": {"passes": "proposals(most=2, method='mser')"}}
    monkeypatch.setattr(choices, "PROPOSALS", most)
    monkeypatch.setattr(choices, "BITS", (8,))
    monkeypatch.setattr(choices, "SEEDS", 2)
    monkeypatch.setattr(choices, "OTHER_CODES", ("float16", "pq(m=4, bits=4)"))
    return choices.Lab(replace(things, train_instances=labels), photographs=(things,), store=store)


@pytest.mark.parametrize(
    "name",
    ["layer", "pass", "proposals", "pooling", "embedding", "attention", "fusion", "photographs", "networks", "codes"],
)
def test_every_table_is_made(choices, tiny, name):
    blocks = list(choices.TABLES[name](tiny))
    tables = [block.splitlines() for block in blocks if block.startswith("|")]
    assert tables
    for lines in tables:
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) > 3
    text = "\n".join(blocks)
    assert str(tiny.dataset.images[0].parent.parent) not in text
    assert "nan" not in text


def test_where_a_whitening_is_learned_is_tabled_for_all_photographs_and_for_draws_of_them(
    choices, tiny, things, monkeypatch
):
    for name, value in (("TEMPERED", ["pca"]), ("DRAWN", [4, 6, 30]), ("DRAWS", 2)):
        monkeypatch.setattr(choices, name, value)
    own = replace(things, train=(), train_instances=())
    title, table, few, draws = choices.TABLES["learning set"](replace(tiny, photographs=(own,)))
    assert title == "### things: 4 kinds with 20 images are held out, 20 of 40 queries are judged"
    assert table.splitlines()[0] == "| network | tap | none | pca, Toytown | pca, own |"
    assert few.startswith("#### Some of the 8 kinds")
    assert [line.split(" | ")[:2] for line in draws.splitlines()[2:]] == [
        ["| 4", "2 with 10 images"],
        ["| 6", "3 with 15 images"],
    ]
    assert "nan" not in table + draws


def test_the_readme_speaks_of_every_table(choices):
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(.+?)`", readme, flags=re.MULTILINE) == list(choices.TABLES)
    tables = (FOLDER / "tables.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", tables, flags=re.MULTILINE) == list(choices.TABLES)


def test_photographs_are_read_with_and_without_roles(choices, tmp_path):
    import lab

    rows = {"a.jpg": "cat", "b.jpg": "cat", "c.jpg": "dog", "d.jpg": "dog"}
    categories = tmp_path / "categories"
    _write(categories, [{"path": path, "category": shown} for path, shown in rows.items()])
    roles = zip(rows.items(), ("database", "query", "database", "query"), strict=True)
    _write(tmp_path / "roles", [{"path": path, "instance": shown, "role": role} for (path, shown), role in roles])
    found = {one.name: one for one in lab.photographs(tmp_path)}
    assert [query.index for query in found["categories"].queries] == [0, 1, 2, 3]
    assert [one["positive"] for one in found["categories"].labels] == [(1,), (0,), (3,), (2,)]
    assert [path.name for path in found["roles"].images] == ["a.jpg", "c.jpg"]
    assert [query.path.name for query in found["roles"].queries] == ["b.jpg", "d.jpg"]
    assert [query.index for query in found["roles"].queries] == [None, None]
    assert [one["positive"] for one in found["roles"].labels] == [(0,), (1,)]
    assert lab.photographs(None) == ()


def test_a_difference_and_a_summary_say_what_they_were_given(choices, tiny):
    import pandas as pd
    from lab import summary

    frame = pd.DataFrame({"tap": ["a", "a", "b"], "by": ["x", "y", "x"], "map": [0.1, 0.2, 0.3]})
    assert summary(frame, ["tap"], ["by"]).splitlines() == [
        "| tap | x | y |", "| --- | --- | --- |", "| a | 0.100 | 0.200 |", "| b | 0.300 |  |",
    ]  # fmt: skip


def _write(folder: Path, rows: list[dict[str, str]]) -> None:
    folder.mkdir()
    with (folder / "groundtruth.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
