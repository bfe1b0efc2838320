"""Folders from the terminal: pictures like one, and pictures that stand there twice."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from cbirlab import Recipe, run
from cbirlab.cli import main
from cbirlab.cli.searching import page_of
from cbirlab.live.folders import find_duplicates, find_pictures

RECIPE = Recipe(weights="random", tap="layer2", image_size=64)
WORDS = ("--weights", "random", "--tap", "layer2", "--image-size", "64", "--quiet")


@pytest.fixture
def folder(pictures, tmp_path):
    """Some pictures, one of them three times, and one that cannot be read."""
    place = tmp_path / "some pictures"
    place.mkdir()
    for thing in range(4):
        shutil.copy(pictures / f"thing{thing}" / "0.png", place / f"{thing}.png")
    for copy in ("a copy.png", "b copy.png"):
        shutil.copy(pictures / "thing2" / "0.png", place / copy)
    (place / "no picture.png").write_bytes(b"nothing")
    return place


@pytest.mark.filterwarnings("ignore:.*cannot be read")
def test_a_picture_finds_what_a_search_in_a_dataset_finds(things, pictures, store):
    recipe = Recipe(**{**RECIPE.without(), "dataset": str(pictures)})
    picture = things.images[7]
    found = find_pictures(recipe, [picture], k=6, store=store, progress=False)
    ranking = run(recipe, store=store, progress=False).ranking
    query = [str(query.path) for query in run(recipe, store=store, progress=False).dataset.queries].index(str(picture))
    assert found["path"].tolist() == [str(things.images[image]) for image in ranking.images[query, :6]]
    assert np.allclose(found["score"], ranking.scores[query, :6], atol=1e-6)
    assert found["rank"].tolist() == [*range(1, 7)]


@pytest.mark.filterwarnings("ignore:.*cannot be read", "ignore:.*could not be read")
def test_copies_are_one_group_and_unreadable_pictures_none(folder, store):
    recipe = Recipe(**{**RECIPE.without(), "dataset": str(folder)})
    found = find_duplicates(recipe, 0.9999, store=store, progress=False)
    assert {path.rpartition("/")[2] for path in found["path"]} == {"2.png", "a copy.png", "b copy.png"}
    assert found["group"].tolist() == [1, 1, 1]
    assert found["score"].tolist() == pytest.approx([1, 1, 1])
    everything = find_duplicates(recipe, -1, store=store, progress=False)
    assert len(everything) == 6
    with pytest.raises(ValueError, match="threshold must be in"):
        find_duplicates(recipe, 2, store=store, progress=False)


@pytest.mark.filterwarnings("ignore:.*cannot be read", "ignore:.*could not be read")
def test_the_commands_print_files_and_write_tables_and_pages(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    table, page = tmp_path / "found.csv", tmp_path / "found.html"
    words = ["search", str(folder / "1.png"), "--in", str(folder), "--top", "2", *WORDS]
    assert main([*words, "--out", str(table), "--page", str(page), "--rescore", "3", "--compression", "float16"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("1.png")
    assert len(pd.read_csv(table)) == 2
    assert page.read_text().count("<img") == 3
    assert main(["duplicates", str(folder), "--threshold", "0.9999", "--whitening", "none", *WORDS]) == 0
    assert "group 1" in capsys.readouterr().out
    assert main(["duplicates", str(folder), "--threshold", "7", "--whitening", "none", *WORDS]) == 1
    assert main(["search", str(folder / "gone.png"), "--in", str(folder), *WORDS]) == 1
    assert main(["search", "x", "--in", str(folder), "--page", "x.pdf", *WORDS]) == 2
    said = capsys.readouterr().err
    assert all(part in said for part in ("threshold must be in", "gone.png", "--page must end in .html"))


def test_a_page_writes_names_as_text(tmp_path):
    frame = pd.DataFrame([{"group": 1, "score": 1.0, "path": "<script>.png"}])
    page = page_of(frame, "group")
    assert "<script>" not in page
    assert "cannot be read" in page
