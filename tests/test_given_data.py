"""Own images as people have them: lists in any spelling, DataFrames, paths, ImageFolders, and damaged siblings."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from cbirlab import Recipe, load_dataset
from cbirlab.base.registry import UnknownName
from cbirlab.datasets import Dataset
from cbirlab.datasets.files import MissingImages
from cbirlab.datasets.table import table
from cbirlab.live import Session

ROWS = [("a/1.png", "a"), ("a/2.png", "a"), ("b/3.png", "b"), ("b/4.png", "b")]
ANSWERS = ({"positive": (1,)}, {"positive": (0,)}, {"positive": (3,)}, {"positive": (2,)})


@pytest.fixture
def album(tmp_path: Path) -> Path:
    for number, (name, _) in enumerate(ROWS):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(noise).resize((40, 30)).save(tmp_path / name)
    return tmp_path


def told(source: object, **options: object) -> tuple[Dataset, list[str]]:
    """A dataset, and what loading it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return load_dataset(source, **options), [str(one.message) for one in caught]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("column", ["instance", "class", "label", "category", "id"])
@pytest.mark.parametrize("absolute", [True, False])
def test_a_list_in_any_spelling_is_the_same_benchmark(album, separator, column, absolute):
    text = "".join(
        f"{album / path if absolute else path}{separator}{instance}\n"
        for path, instance in [("path", column), *ROWS]
        if path != "path"
    )
    (album / "t.csv").write_text(f"path{separator}{column}\n{text}", encoding="utf-8-sig")
    data, said = told(album / "t.csv")
    assert data.images == tuple(album / path for path, _ in ROWS)
    assert data.instances == tuple("aabb")
    assert data.labels == ANSWERS
    guessed = [one for one in said if f"the column {column!r} is taken as the instance" in one]
    assert len(guessed) == (column != "instance")


def test_an_id_is_the_instance_only_if_it_repeats_and_nothing_else_is(album):
    (album / "t.csv").write_text("id,path,label\n" + "".join(f"7,{path},{one}\n" for path, one in ROWS))
    assert told(album / "t.csv")[0].instances == tuple("aabb")
    (album / "t.csv").write_text("id,path\n" + "".join(f"{row},{path}\n" for row, (path, _) in enumerate(ROWS)))
    with pytest.raises(ValueError, match=r"must have the columns path and instance, .* No value of 'id' occurs twice"):
        load_dataset(album / "t.csv")


def test_a_list_that_came_with_a_data_set_names_nothing_outside_it(album):
    (album / "b" / "t.csv").write_text(f"path,instance\n{album / 'a/1.png'},a\n")
    assert len(told(album / "b" / "t.csv")[0].images) == 1
    with pytest.raises(ValueError, match="line 2: A data file must name files below its own folder"):
        table(album / "b" / "t.csv", published=True)


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"path": [path for path, _ in ROWS], "instance": [one for _, one in ROWS], **columns})


def test_a_data_frame_is_the_list_that_it_would_be_written_as(album, monkeypatch):
    given = frame(role=["both", None, "query", "both"], x0=[1.0, np.nan, 2, 3], y0=1, x1=20, y1=25)
    given.loc[1, ["y0", "x1", "y1"]] = np.nan
    given.to_csv(album / "DataFrame.csv", index=False)
    listed = load_dataset(album / "DataFrame.csv")
    monkeypatch.chdir(album)
    made = load_dataset(given, root=album)
    assert made == listed
    assert made.queries[0].box == (1, 1, 20, 25)
    assert [str(one) for one in load_dataset(given).images] == ["a/1.png", "a/2.png", "b/4.png"]
    numbers = load_dataset(frame(instance=[1, 1, None, 2]), root=album, name="mine")
    assert (numbers.name, numbers.instances) == ("mine", ("1", "1", "", "2"))


def test_paths_have_no_ground_truth_and_pairs_do(album):
    bare = load_dataset([album / path for path, _ in ROWS])
    assert (len(bare.queries), bare.labels, bare.instances) == (4, (), ())
    assert load_dataset(ROWS, root=album).labels == ANSWERS
    tree = ImageFolder(str(album))
    assert load_dataset(tree).labels == load_dataset(tree.samples).labels == ANSWERS
    assert load_dataset(tree).instances == tuple("aabb")


def test_what_comes_of_them_goes_wherever_a_dataset_does(album, store):
    pairs = [(album / path, one) for path, one in ROWS]
    session = Session(pairs, "handcrafted", image_size=32, store=store)
    assert (session.common.dataset, session.dataset) == ("list of paths", load_dataset(pairs))
    assert load_dataset(session.dataset) is session.dataset
    for unnamed in (frame(), pairs, session.dataset):
        message = f"Recipe: dataset must be text, .* got {type(unnamed).__name__}; write a CSV file"
        with pytest.raises(TypeError, match=message):
            Recipe(dataset=unnamed)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownName, match=r"'DataFrame' was given in Python.* write it as a CSV file"):
        load_dataset("DataFrame")


FILES = {
    "path;instance\na/1.png,a\na/2.png;a\n": "1.png,a. Does it separate columns by ',', and the header by ';'",
    "path\tinstance\na/1.png;a\n": "Does it separate columns by ';', and the header by tabs",
    "path,instance;role\na/1.png,a;both\n": "Does the header separate columns by ';'",
    "path\na/1.png\n": r"must have the columns path and instance, got \['path'\]",
    "path,class,category\na/1.png,a,b\n": "'class' and 'category' could both be the instance; rename one",
    "path,instance\na/1.png,a\na/9.png,a\n": r"1 of 2 images are missing, the first is line 3, a/9\.png",
    "path,instance\na/1\0.png,a\n": "cannot be read as CSV in UTF-8, it is no text",
    "": "got an empty file",
    "path,instance\n": "at least one image",
    "path,path,instance\na/1.png,a/2.png,a\n": "'path' and 'path' could both be the path",
    "path,label,label\na/1.png,a,b\n": "'label' and 'label' could both be the instance",
}


@pytest.mark.parametrize("text", FILES)
def test_a_damaged_list_ends_in_a_sentence_that_names_it(album, text):
    (album / "t.csv").write_text(text)
    with pytest.raises((ValueError, MissingImages), match=re.compile(rf"t\.csv.*{FILES[text]}", re.DOTALL)):
        load_dataset(album / "t.csv")


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (frame().drop(columns="instance"), ValueError, r"DataFrame: must have the columns path and instance"),
        (frame()[:0], ValueError, "DataFrame: at least one image"),
        (frame().set_axis(["path", "path"], axis=1), ValueError, "DataFrame: the columns 'path' and 'path' could both"),
        (frame(**{"class": 1}).drop(columns="instance").assign(label=2), ValueError, "could both be the instance"),
        (pd.concat([frame(), frame()]), ValueError, "listed more than once, the first on rows 0, 4"),
        ([], ValueError, "a list of paths must name at least one image, got none"),
        (["a/1.png", "a/9.png"], MissingImages, r"1 of 2 images are missing, the first is row 1, a/9\.png"),
        (["a\0/1.png"], MissingImages, r"1 of 1 images are missing, the first is row 0, a\\x00/1\.png"),
        (["a/1.png", ("a/2.png", "a")], TypeError, "must hold paths, got .* in row 1"),
        ([("a/1.png", "a"), ("a/2.png",)], TypeError, "must hold pairs of a path and an instance, got .* in row 1"),
        ([1, 2], TypeError, "must hold paths, got 1 in row 0"),
        (7, TypeError, "name_or_path must be a name, a path, a DataFrame, a list of paths .* got int"),
        ({"path": "a/1.png"}, TypeError, "got dict"),
        (b"a/1.png", TypeError, "got bytes"),
    ],
)
def test_what_is_no_list_of_images_ends_in_a_sentence(album, source, error, message):
    with pytest.raises(error, match=message):
        load_dataset(source, **({} if isinstance(source, int | dict | bytes) else {"root": album}))
