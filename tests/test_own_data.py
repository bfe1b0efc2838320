"""Own images as people have them: links, splits, formats, lists with headers of their own, names of other systems.

Each kind is generated, not written down once.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import unicodedata
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cbirlab.base.registry import UnknownName
from cbirlab.cli import main
from cbirlab.datasets import DATASETS, Dataset, load_dataset
from cbirlab.datasets.answers import PROTOCOL_LABELS
from cbirlab.datasets.examining import examine
from cbirlab.datasets.files import image_files
from cbirlab.datasets.naming import name_of
from cbirlab.datasets.splits import USED, part_of, roles
from cbirlab.datasets.walking import FilesLeftOut, walk
from cbirlab.datasets.written import read
from cbirlab.evaluation import PROTOCOLS
from cbirlab.images import UNREAD_SUFFIXES
from cbirlab.imported_features import evaluate_features
from cbirlab.pipeline import Recipe, run
from cbirlab.pipeline.learning_sets import learning_set

few = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


def picture(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    """A picture that no other file equals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = crc32("/".join(path.parts[-3:]).encode("utf-8", "surrogateescape")) % 2**24
    image = Image.new("RGB", size, (seed & 255, seed >> 8 & 255, seed >> 16))
    image.save(path, format="PNG")
    return path


def album(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        picture(root / name)
    return root


def said(load: object, *arguments: object, **options: object) -> tuple[Dataset, list[str]]:
    """A dataset, and all warnings of loading it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = load(*arguments, **options)  # pyright: ignore[reportCallIssue]
    return data, [str(one.message) for one in caught]


def tried(file: Path) -> tuple[Dataset | None, str]:
    """A dataset, or why there is none."""
    try:
        return said(load_dataset, file)[0], ""
    except (ValueError, FileNotFoundError) as error:
        return None, str(error)


def listed(file: Path, rows: Iterable[Iterable[object]], separator: str = ",") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    file.write_bytes(os.fsencode(text.getvalue()))
    return file


# Links


@pytest.mark.parametrize("seed", range(40))
def test_whatever_links_there_are_every_file_is_met_once(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    folders = [tmp_path / "in" / place for place in ("a", "b", "b/c", "b/c/d", "z")] + [tmp_path / "out" / "x"]
    for folder in folders:
        album(folder, [f"{number}.png" for number in range(dice.randint(1, 3))])
    own = {path.resolve() for path in (tmp_path / "in").rglob("*.png")}
    for number in range(dice.randint(1, 6)):
        link = dice.choice(folders) / dice.choice([f"{number}", f"0{number}.png", f"zz{number}.png"])
        target = dice.choice([*folders, tmp_path / "in", tmp_path, *own, tmp_path / "out", link, tmp_path / "nowhere"])
        link.symlink_to(target if dice.random() < 0.5 else os.path.relpath(target, link.parent))
    found = walk(tmp_path / "in")
    met = [path.resolve() for path in found.images if path.exists()]
    assert len(met) == len(set(met)), "no file twice"
    assert own <= set(met), "no file of the folder's own is lost"
    assert {path for path in found.images if not path.is_symlink() and own.isdisjoint(path.parents)} >= {
        tmp_path / "in" / path.relative_to((tmp_path / "in").resolve()) for path in own
    }, "each of them under its own name"
    assert len({*found.images, *found.repeated}) == len(found.images) + len(found.repeated)
    benchmark = [path.resolve() for path in quietly(image_files, tmp_path / "in") if not path.is_symlink()]
    assert len(benchmark) == len(set(benchmark))
    data, told = said(load_dataset, tmp_path / "in", layout="instances")
    assert {path.resolve() for path in data.images} == set(met)
    repeats = [one for one in told if "already in the folder" in one]
    assert len(repeats) <= 1, "one line"
    assert bool(repeats) == bool(found.repeated or any(one.cause == "link" for one in found.left_out))


def quietly(function: object, *arguments: object) -> list[Path]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(function(*arguments))  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("name", ["@eaDir", "__MACOSX", ".git", "lost+found", "$RECYCLE.BIN", "#recycle", "@EADIR"])
def test_what_systems_put_beside_pictures_is_no_instance(name: str, tmp_path: Path) -> None:
    album(tmp_path, ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", f"{name}/3.png", f"cat/{name}/4.png"])
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    data, told = said(load_dataset, tmp_path)
    assert (set(data.instances), len(data.images), told) == ({"cat", "dog"}, 4, [])


def test_what_is_no_file_is_left_out_and_does_not_wait(tmp_path: Path) -> None:
    album(tmp_path, ["cat/1.png", "cat/2.png", "dog/1.png"])
    os.mkfifo(tmp_path / "cat" / "3.png")
    data, told = said(load_dataset, tmp_path)
    assert len(data.images) == 3
    assert "3.png is neither a file nor a folder" in told[0]


# Formats


@pytest.mark.parametrize("seed", range(10))
def test_pictures_that_are_not_read_are_counted_in_one_line(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    endings = [dice.choice([one, one.upper()]) for one in dice.sample(sorted(UNREAD_SUFFIXES), dice.randint(1, 4))]
    album(tmp_path, ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png"])
    files = [tmp_path / "cat" / f"{n}{dice.choice(endings)}" for n in range(dice.randint(4, 30))]
    for file in files:
        file.write_bytes(b"\0")
    with pytest.warns(FilesLeftOut) as caught:
        data = load_dataset(tmp_path)
    assert len(data.images) == 4
    assert [str(one.message).count("\n") for one in caught] == [0]
    assert f"{len(files)} files end in " in str(caught[0].message)
    assert all(file.suffix.lower() in str(caught[0].message) for file in files)
    message = caught[0].message
    assert isinstance(message, FilesLeftOut)
    assert {left.path for left in message.files} == {*files}
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "1.heic").write_bytes(b"\0")
    with pytest.warns(FilesLeftOut), pytest.raises(ValueError, match=r"found 1 file ends in \.heic"):
        load_dataset(alone)


# Splits and depth


@given(st.sets(st.sampled_from(sorted({"train", "val", "test", "query", "gallery", "distractors"})), min_size=1))
def test_one_part_is_searched_and_train_is_learned_on_where_there_is_another(parts: set[str]) -> None:
    found = roles(parts)
    assert found.keys() == parts
    assert set(found.values()) <= {*USED}
    searched = [part for part, role in found.items() if role in ("both", "database")]
    assert len(searched) == 1
    assert found.get("train", "train") == "train" or searched == ["train"]
    assert ("query" in found.values()) == (found[searched[0]] == "database")


WORDS = ("train", "Training", "val", "VALID", "validation", "test", "Test", "query", "queries", "gallery", "database")


@pytest.mark.parametrize("seed", range(20))
def test_splits_are_understood_and_said(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    tops = dice.sample([*WORDS, "INDEX", "distractors"], dice.randint(2, 4))
    album(tmp_path, [f"{top}/{c}/{n}.png" for top in tops for c in ("cat", "dog", "owl") for n in range(2)])
    data, told = said(load_dataset, tmp_path)
    shown = {*data.instances, *data.train_instances}
    assert shown <= {"cat", "dog", "owl", ""}
    assert any("have names of splits" in one and all(top in one for top in tops) for one in told)
    role_of = roles({part_of(top) or "" for top in tops})
    for top in tops:
        role = role_of[part_of(top) or ""]
        inside = set((tmp_path / top).rglob("*.png"))
        assert (inside <= {*data.images}) == (role in ("both", "database", "distractor"))
        assert (inside <= {*data.train}) == (role == "train")
        assert (inside <= {query.path for query in data.queries}) == (role in ("both", "query"))
    exact, nothing = said(load_dataset, tmp_path, layout="splits")
    assert exact == data
    assert not any("have names of splits" in one for one in nothing)
    as_before, _ = said(load_dataset, tmp_path, layout="instances")
    assert {*as_before.instances} == {*tops}


def test_a_query_that_links_to_the_gallery_is_that_very_image(tmp_path: Path) -> None:
    album(tmp_path, ["gallery/cat/1.png", "gallery/cat/2.png", "gallery/dog/1.png"])
    (tmp_path / "query" / "cat").mkdir(parents=True)
    (tmp_path / "query" / "cat" / "9.png").symlink_to(tmp_path / "gallery" / "cat" / "2.png")
    data, _ = said(load_dataset, tmp_path)
    assert [(query.path.name, query.index) for query in data.queries] == [("9.png", 1)]
    assert data.labels == ({"positive": (0,)},)


def test_splits_beside_other_folders_are_said(tmp_path: Path) -> None:
    album(tmp_path, ["train/1.png", "train/2.png", "val/1.png", "cat/1.png"])
    (tmp_path / "docs").mkdir()
    data, told = said(load_dataset, tmp_path)
    assert set(data.instances) == {"train", "val", "cat"}
    assert any("train and val have names of splits, but not those beside them (cat)" in one for one in told)
    data, told = said(load_dataset, tmp_path, layout="splits")
    assert len(data.images) == 1
    assert any("1 image is left out because they belong to no split" in one for one in told)
    with pytest.raises(ValueError, match="needs folders named train, val"):
        load_dataset(album(tmp_path / "other", ["cat/1.png"]), layout="splits")
    with pytest.raises(ValueError, match=r"layout must be one of 'auto', .* Did you mean 'splits'"):
        load_dataset(tmp_path, layout="split")


@pytest.mark.parametrize("seed", range(6))
def test_images_two_folders_down_are_said_and_can_be_had(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    tops = dice.sample(["birds", "cats", "cars", "photos"], dice.randint(1, 3))
    album(tmp_path, [f"{top}/{inner}/{n}.png" for top in tops for inner in "xyz" for n in range(2)])
    data, told = said(load_dataset, tmp_path)
    assert {*data.instances} == {*tops}
    assert any("two folders down" in one and "layout='nested'" in one for one in told)
    nested, nothing = said(load_dataset, f"{tmp_path}(layout=nested)")
    assert {*nested.instances} == {f"{top}/{inner}" for top, inner in product(tops, "xyz")}
    assert nothing == []
    if len(tops) == 1:
        assert any("every metric will be 1" in one for one in told)


# Names of datasets, and what they are asked for by


def test_a_name_that_says_nothing_has_that_of_the_folder_around_it(tmp_path: Path) -> None:
    for home in ("covers", "books"):
        album(tmp_path / home / "images", ["x/1.png", "x/2.png", "y/1.png"])
        listed(tmp_path / home / "groundtruth.csv", [["path", "instance"], ["images/x/1.png", "x"]])
        assert name_of(tmp_path / home / "images") == f"{home}/images"
        assert load_dataset(tmp_path / home / "images").name == f"{home}/images"
        assert said(load_dataset, tmp_path / home / "groundtruth.csv")[0].name == f"{home}/groundtruth"
    assert load_dataset(tmp_path / "covers" / "images", name="images").name == "images"
    assert name_of(tmp_path / "covers") == "covers"


def test_learning_sets_of_recipes_written_before_are_still_meant(tmp_path: Path) -> None:
    album(tmp_path / "covers", ["1.png", "2.png", "3.png"])
    rows = [["path", "instance", "role"], ["1.png", "x", ""], ["2.png", "x", ""], ["3.png", "y", "train"]]
    data, _ = said(load_dataset, listed(tmp_path / "covers" / "groundtruth.csv", rows))
    assert data.train_name == "covers/groundtruth/train"
    for written in ("train", "groundtruth/train", "covers/groundtruth/train"):
        assert learning_set(written, data) == "covers/groundtruth/train"
    for written in ("database", "groundtruth/images", "covers/groundtruth/images"):
        assert learning_set(written, data) == "covers/groundtruth/images"
    assert learning_set("toytown/train", data) == "toytown/train"
    assert learning_set("images", data) == "images"
    assert data.called("groundtruth")
    assert not data.called("truth")


@pytest.mark.parametrize("name", ["folder", "csv"])
def test_the_words_for_own_images_are_no_images(name: str, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="give their path instead, such as path/to/"):
        load_dataset(name)
    (tmp_path / name).mkdir()
    assert main(["evaluate", "--dataset", name, "--features", "x.npy"]) == 2
    assert f"pass './{name}' to load it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["holidays", "oxford5k", "ukbench"])
def test_a_folder_named_as_a_benchmark_is_named(name: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CBIRLAB_DATA", str(tmp_path / "nothing"))
    album(tmp_path / name, ["x/1.png", "x/2.png", "y/1.png"])
    with pytest.raises(FileNotFoundError, match=rf"pass '\./{name}' to load it as images of your own"):
        load_dataset(name)
    assert len(load_dataset(f"./{name}").images) == 3


@given(
    options=st.dictionaries(
        st.sampled_from(["layout", "answers", "image_size", "name"]),
        st.one_of(st.integers(), st.booleans(), st.text("abc/.-_ ", min_size=1).map(str.strip).filter(bool)),
    )
)
@few
def test_options_written_behind_a_path_are_read_back(options: Mapping[str, object], tmp_path: Path) -> None:
    for place in ("photos", "photos (1)", "photos(a=b)"):
        (tmp_path / place).mkdir(exist_ok=True)
        text = f"{tmp_path / place}({', '.join(f'{name}={value!r}' for name, value in options.items())})"
        assert read(text, DATASETS) == (str(tmp_path / place), options)
        assert read(str(tmp_path / place), DATASETS) == (str(tmp_path / place), {})


def test_options_in_another_form_are_refused(tmp_path: Path) -> None:
    for wrong in ("nested", "layout=a, layout=b", "=a"):
        with pytest.raises(ValueError, match="options must be written as in"):
            load_dataset(f"{tmp_path}({wrong})")
    with pytest.raises(UnknownName):
        load_dataset("nowhere(layout=nested)")


# Columns


HEADERS = {
    "path": ["path", "Path", " PATH ", "file", "filename", "File Name", "image", "image_path", "img"],
    "instance": ["instance", "Instance ID", "label", "class", "category", "landmark_id", "object"],
}
BOXES = [
    ("x0,y0,x1,y1", False),
    ("x1,y1,x2,y2", False),
    ("xmin,ymin,xmax,ymax", False),
    ("bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax", False),
    ("Left,Top,Right,Bottom", False),
    ("left,top,width,height", True),
    ("xmin,ymin,w,h", True),
]


@pytest.mark.parametrize("seed", range(30))
def test_names_of_columns_that_leave_no_doubt_are_taken(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    album(tmp_path, ["a.png", "b.png", "c.png"])
    edges, sized = dice.choice(BOXES)
    columns = [dice.choice(HEADERS["path"]), dice.choice(HEADERS["instance"]), dice.choice(["role", "split", "Role"])]
    columns += edges.split(",")
    rows = [["a.png", "i", "query", 5, 6, 25, 24], ["b.png", "i", "database", "", "", "", ""]]
    rows += [["c.png", "j", dice.choice(["database", "gallery", "Index"]), "", "", "", ""]]
    order = dice.sample(range(len(columns)), len(columns))
    separator = dice.choice([",", ";", "\t"])
    file = tmp_path / dice.choice(["t.csv", "t.tsv", "t.txt"])
    data, told = said(load_dataset, listed(file, [[row[at] for at in order] for row in [columns, *rows]], separator))
    assert data.queries[0].box == ((5, 6, 30, 30) if sized else (5, 6, 25, 24))
    assert data.labels == ({"positive": (0,)},)
    assert not any("not used" in one for one in told)


@pytest.mark.parametrize(
    "edges",
    [
        "x,y,w,h",
        "x,y,width,height",
        "x_center,y_center,w,h",
        "cx,cy,w,h",
        "bbox",
        "box",
        "bbox_xywh",
        "x1,y1",
        "x1,y0,y1",
    ],
)
def test_a_box_that_can_be_read_in_two_ways_is_refused(edges: str, tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "b.png"])
    count = len(edges.split(","))
    file = listed(tmp_path / "t.csv", [["path", "instance", *edges.split(",")], ["a.png", "i", *range(10, 10 + count)]])
    with pytest.raises(ValueError, match=r"t\.csv: the columns .* Write the box as the columns x0, y0, x1, y1"):
        load_dataset(file)


def test_columns_that_are_not_used_are_listed_once(tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "b.png"])
    rows = [
        ["path", "instance", "rolle", "camera", "width", "height", ""],
        *([f"{n}.png", "i", "", "", 4, 3, ""] for n in "ab"),
    ]
    told = said(load_dataset, listed(tmp_path / "t.csv", rows))[1]
    (unused,) = (one for one in told if "not used" in one)
    assert all(repr(name) in unused for name in ("rolle", "camera", "width", "height"))
    assert "'rolle' (did you mean 'role'?)" in unused
    assert not any("not used" in one for one in said(DATASETS["csv"], tmp_path / "t.csv", published=True)[1])


def test_columns_that_are_lacking_or_double_are_named(tmp_path: Path) -> None:
    album(tmp_path, ["a.png"])
    for header, message in (
        (["pth", "instance"], r"must have the columns path and instance, got .*Did you mean 'pth'"),
        (
            ["filename", "image", "instance"],
            "'filename' and 'image' could both be the path; rename one of them to 'path'",
        ),
        (["path", "class", "label"], "'class' and 'label' could both be the instance"),
        (["a.png", "i"], "Its first line names an image; write the names of the columns above it"),
        ([], "got an empty file"),
    ):
        with pytest.raises(ValueError, match=message):
            said(
                load_dataset, listed(tmp_path / "t.csv", [header, ["a.png", "i", "j"][: len(header)]] if header else [])
            )


@given(box=st.tuples(*[st.floats(0, 1)] * 4).filter(lambda box: box[0] < box[2] and box[1] < box[3]))
@few
def test_a_box_in_shares_of_the_picture_is_refused(box: tuple[float, ...], tmp_path: Path) -> None:
    picture(tmp_path / "a.png", (400, 300))
    file = listed(tmp_path / "t.csv", [["path", "instance", "x0", "y0", "x1", "y1"], ["a.png", "i", *box]])
    with pytest.raises(ValueError, match=r"t\.csv, line 2: the box .* looks like fractions of the picture"):
        load_dataset(file)


@given(
    corner=st.tuples(*[st.floats(-60, 60)] * 2),
    sides=st.tuples(*[st.floats(0.01, 90)] * 2),
    whole=st.tuples(*[st.integers(9, 50)] * 2),
)
@few
def test_a_box_leaves_something_to_see_or_is_refused(
    corner: tuple[float, float], sides: tuple[float, float], whole: tuple[int, int], tmp_path: Path
) -> None:
    (x, y), (w, h), (width, height) = corner, sides, whole
    picture(tmp_path / "a.png", (width, height))
    header = ["path", "instance", "left", "top", "width", "height"]
    file = listed(tmp_path / "t.csv", [header, [], ["a.png", "i", x, y, w, h]])
    seen = [min(side, at + long) - max(0, at) for at, long, side in ((x, w, width), (y, h, height))]
    enough = all(one >= min(8, side / 2) for one, side in zip(seen, (width, height), strict=True))
    data, refused = tried(file)
    if data is None:
        assert "t.csv, line 3: " in refused
        assert not enough or max(x + w, y + h) <= 1
    else:
        assert data.queries[0].box == (x, y, x + w, y + h)
        assert all(one > min(8, side / 2) - 2 for one, side in zip(seen, (width, height), strict=True))  # whole pixels


def test_boxes_of_a_larger_version_of_the_picture_are_said(tmp_path: Path) -> None:
    pictures = album(tmp_path, ["a.png", "b.png", "c.png"])
    header = ["path", "instance", "x0", "y0", "x1", "y1"]
    rows = [["a.png", "i", 0, 0, 41, 31], ["b.png", "i", 10, 10, 400, 300], ["c.png", "j", -30, 0, 30, 20]]
    told = said(load_dataset, listed(pictures / "t.csv", [header, *rows]))[1]
    assert [one for one in told if "the box of 2 lines (3, 4) reaches far beyond its picture" in one]


def test_an_image_asks_several_times_with_different_boxes(tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "b.png", "c.png"])
    header = ["path", "instance", "role", "x0", "y0", "x1", "y1"]
    rows = [["a.png", "door", "query", 0, 0, 20, 20], ["a.png", "roof", "query", 10, 0, 30, 20]]
    rows += [["a.png", "house", "database"], ["b.png", "door", "database"], ["c.png", "roof", "database"]]
    data, _ = said(load_dataset, listed(tmp_path / "t.csv", [header, *rows]))
    assert [(query.box, query.index) for query in data.queries] == [((0, 0, 20, 20), 0), ((10, 0, 30, 20), 0)]
    assert data.labels == ({"positive": (1,)}, {"positive": (2,)})
    for twice in (rows[0], rows[2], ["a.png", "house", "train"]):
        with pytest.raises(ValueError, match=r"1 images are listed more than once, the first on lines \d, \d"):
            load_dataset(listed(tmp_path / "t.csv", [header, *rows, twice]))


def test_instances_that_are_written_in_two_ways_are_said(tmp_path: Path) -> None:
    names = {"1": 1, "1.0": 1, "2.0": 2, "Cat": 3, "cat": 4, "nan": 5, "e\u0301": 6, "\u00e9": 6}
    album(tmp_path, [f"{number}.png" for number in range(len(names))])
    rows = [["path", "instance"], *([f"{number}.png", f" {name}"] for number, name in enumerate(names))]
    data, told = said(load_dataset, listed(tmp_path / "t.csv", rows))
    assert data.instances == ("1", "1", "2.0", "Cat", "cat", "nan", "\u00e9", "\u00e9")
    text = "\n".join(told)
    assert "1.0 and 1 count as one instance" in text
    assert "Cat and cat differ only in case" in text
    assert "'nan' (1 image) counts as an instance too" in text


@pytest.mark.parametrize(
    ("words", "images", "queries", "train"),
    [
        ("train test test", 2, 2, 1),
        ("Train VAL test", 1, 1, 1),
        ("query gallery distractor", 2, 1, 0),
        ("query index training", 1, 1, 1),
        ("both test train", 2, 2, 1),
    ],
)
def test_splits_stand_for_roles(words: str, images: int, queries: int, train: int, tmp_path: Path) -> None:
    album(tmp_path, ["0.png", "1.png", "2.png"])
    rows = [["path", "instance", "split"], *([f"{n}.png", "x", word] for n, word in enumerate(words.split()))]
    data, told = said(load_dataset, listed(tmp_path / "t.csv", rows))
    assert (len(data.images), len(data.queries), len(data.train)) == (images, queries, train)
    assert any("names of splits set the roles" in one for one in told)


# Names and bytes


@pytest.mark.parametrize("seed", range(25))
def test_paths_of_other_systems_are_found_where_one_file_fits(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    folders = ["Caf\u00e9", "sub/\u00dcber", "plain"]
    stems = ["Bild", "\u00e9t\u00e9", "a b"]
    names = [f"{dice.choice(folders)}/{dice.choice(stems)}{n}.png" for n in range(6)]
    album(tmp_path, [dice.choice([name, unicodedata.normalize("NFD", name)]) for name in names])

    def written(name: str) -> str:
        for change in dice.sample(
            [lambda s: s.replace("/", "\\"), str.upper, lambda s: unicodedata.normalize("NFD", s), lambda s: f" {s} "],
            2,
        ):
            name = change(name)
        return dice.choice(["", "./"]) + name.strip() if "\\" not in name else name

    rows = [["path", "instance"], *([written(name), "x"] for name in names), ["", ""], [" ", " "]]
    data, told = said(load_dataset, listed(tmp_path / "t.csv", rows))
    assert [unicodedata.normalize("NFC", str(path.relative_to(tmp_path))) for path in data.images] == names
    assert all(path.is_file() for path in data.images)
    assert len([one for one in told if "as on another system" in one]) <= 1


def test_a_path_that_fits_two_files_is_missing(tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "A.png", "b.png"])
    file = listed(
        tmp_path / "t.csv", [["path", "instance"], ["a.PNG", "x"], ["b.png", "x"], ["c.png", "x"], ["A.png", "x"]]
    )
    with pytest.raises(FileNotFoundError, match=r"2 of 4 images are missing, the first is line 2, a\.PNG, then line 4"):
        load_dataset(file)


def test_what_the_user_names_may_lie_anywhere(tmp_path: Path, monkeypatch) -> None:
    album(tmp_path / "photos", ["a.png", "b.png"])
    (tmp_path / "lists").mkdir()
    rows = [["path", "instance"], [tmp_path / "photos" / "a.png", "x"], ["../photos/b.png", "x"]]
    data, _ = said(load_dataset, listed(tmp_path / "lists" / "t.csv", rows))
    assert [path.resolve().name for path in data.images] == ["a.png", "b.png"]
    monkeypatch.chdir(tmp_path / "lists")
    assert len(said(load_dataset, "t.csv")[0].images) == 2


ODD = b"caf\xe9.png"


def test_names_that_are_no_text_are_names(tmp_path: Path) -> None:
    try:
        odd = picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/cl\xe9/" + ODD)))
    except OSError:
        pytest.skip("this file system takes UTF-8 alone")
    album(tmp_path, ["dog/1.png", "dog/2.png"])
    data, _ = said(load_dataset, tmp_path)
    assert data.images[0] == odd
    assert [instance.encode() for instance in data.instances] == [b"cl\\xe9", b"dog", b"dog"]
    (tmp_path / "t.csv").write_bytes(b"path,instance\ncl\xe9/" + ODD + b",x\ndog/1.png,x\n")
    assert said(load_dataset, tmp_path / "t.csv")[0].images[0] == odd
    assert not examine(tmp_path / "t.csv", progress=False).text().encode().count(b"\xe9")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("path,instance\na.png,caf\xe9\n".encode("latin-1"), r"line 2: cannot be read as CSV in UTF-8, 'caf\\xe9'"),
        (
            "path,instance\ncaf\xe9.png,x\n".encode("latin-1"),
            r"line 2: no file has this name. cannot be read as CSV in UTF-8",
        ),
        ("path,instance\na.png,x\n".encode("utf-16"), "it is UTF-16, as spreadsheets write"),
        ("path,instance\na.png,x\n".encode("utf-16-le"), "it is UTF-16"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "it is no text"),
        (b'path,instance\n\na.png,"x\nb.png,y\n', "line 3: cannot be read as CSV"),
        (b"path,instance\na, b.png,x\n", "line 2: has 3 cells, and the header 2 columns"),
        (b"path,instance\n,x\n", "line 2: the path is empty"),
        (b"path,instance,role\n\n\na.png,x,dog\n", "line 4: role must be one of both, .* got 'dog'"),
        (b"path,instance,x0,y0,x1,y1\na.png,x,1,2,nan,20\n", "line 2: the box must be four numbers x0, y0, x1, y1"),
        (b"path,instance,x0,y0,x1,y1\na.png,x,9,2,3,20\n", "line 2: the box must have x0 < x1"),
    ],
)
def test_whatever_a_list_refuses_says_where_and_why(raw: bytes, message: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(ValueError, match=message) as error:
        load_dataset(tmp_path / "t.csv")
    assert "t.csv" in str(error.value)


@given(raw=st.binary(max_size=200), headed=st.booleans())
@few
def test_any_bytes_are_a_list_or_a_sentence(raw: bytes, headed: bool, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"path,instance,role,x0,y0,x1,y1\n" * headed + raw)
    data, refused = tried(tmp_path / "t.csv")
    assert data is not None or "t.csv" in refused


def test_how_spreadsheets_write_numbers_and_say_what_separates(tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "b.png"])
    text = "sep=;\r\npath;instance;x0;y0;x1;y1\r\na.png;x;1,5;2,5;20,0;25\r\n;;;;;\r\nb.png;x;;;;\r\n"
    (tmp_path / "t.csv").write_text(text, encoding="utf-8-sig")
    assert said(load_dataset, tmp_path / "t.csv")[0].queries[0].box == (1.5, 2.5, 20, 25)
    (tmp_path / "t.csv").write_text(text.replace("b.png", "c.png"), encoding="utf-8-sig")
    with pytest.raises(FileNotFoundError, match=r"line 5, c\.png"):
        load_dataset(tmp_path / "t.csv")


# Answers


def test_labels_of_answers_are_those_of_the_protocols() -> None:
    for protocol, labels in PROTOCOL_LABELS.items():
        known = {label for level in PROTOCOLS[protocol].levels for label in (*level.positive, *level.junk)}
        assert {*labels} == known


@pytest.mark.parametrize("seed", range(15))
def test_answers_of_a_file_are_the_labels(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    names = [f"{folder}/{number}.png" for folder in ("p", "q") for number in range(4)]
    root = album(tmp_path / "photos", names)
    protocol = dice.choice([*PROTOCOL_LABELS])
    chosen = {
        query: {name: dice.choice(PROTOCOL_LABELS[protocol]) for name in dice.sample(names, 3) if name != query}
        for query in dice.sample(names, 3)
    }
    chosen[names[0]] = dict.fromkeys(names[1:3], PROTOCOL_LABELS[protocol][0]) | {
        names[3]: PROTOCOL_LABELS[protocol][1]
    }
    rows = [[query, name, label] for query, known in chosen.items() for name, label in known.items()]
    dice.shuffle(rows)
    spelled = [
        [query.replace("/", dice.choice("/\\")), name.upper() if dice.random() < 0.3 else name, label]
        for query, name, label in rows
    ]
    listed(tmp_path / "right.csv", [["Query", "path", "label"], *spelled])
    groups = {
        query: {one: [name for name, label in known.items() if label == one] for one in {*known.values()}}
        for query, known in chosen.items()
    }
    (tmp_path / "right.json").write_text(json.dumps(groups))
    plain, _ = said(load_dataset, root)
    for file in ("right.csv", "right.json"):
        data, _ = said(load_dataset, f"{root}(answers={tmp_path / file})")
        assert (data.protocol, data.images, data.instances) == (
            next(one for one, labels in PROTOCOL_LABELS.items() if {row[2] for row in rows} <= {*labels}),
            plain.images,
            plain.instances,
        )
        row_of = {path.relative_to(root).as_posix(): row for row, path in enumerate(data.images)}
        found = {
            query.path.relative_to(root).as_posix(): {row: label for label, rows in labels.items() for row in rows}
            for query, labels in zip(data.queries, data.labels, strict=True)
        }
        assert found == {
            query: {row_of[name]: label for name, label in known.items()} for query, known in chosen.items()
        }
        features = np.random.default_rng(seed).random((len(data.images), 8), dtype=np.float32)
        assert evaluate_features(features, features[[query.index or 0 for query in data.queries]], data).metrics


def test_answers_tell_queries_of_one_image_by_their_boxes(tmp_path: Path) -> None:
    album(tmp_path, ["a.png", "b.png", "c.png"])
    edges = ["x0", "y0", "x1", "y1"]
    rows = [["path", "role", *edges], ["a.png", "query", 0, 0, 20, 20], ["a.png", "query", 5, 0, 25, 20]]
    file = listed(tmp_path / "t.csv", [*rows, ["b.png", "database"], ["c.png", "database"]])
    right = [["query", "path", *edges], ["a.png", "c.png", 5, 0, 25, 20], ["a.png", "b.png", 0, 0, 20, 20]]
    data, _ = said(load_dataset, file, answers=listed(tmp_path / "right.csv", right))
    assert [(query.box, labels["positive"]) for query, labels in zip(data.queries, data.labels, strict=True)] == [
        ((5, 0, 25, 20), (1,)),
        ((0, 0, 20, 20), (0,)),
    ]
    with pytest.raises(ValueError, match=r"right\.csv, line 2: 2 queries use 'a\.png'; say which one"):
        load_dataset(file, answers=listed(tmp_path / "right.csv", [["query", "path"], ["a.png", "c.png"]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("query,path\na.png,z.png\n", r"1 names match no image of .*right\.csv, line 2: 'z\.png'"),
        ("query,path\nz.png,a.png\n", r"line 2: 'z\.png'"),
        ("query,path,label\na.png,b.png,good\na.png,c.png,easy\n", "labels must belong to one protocol"),
        ("query,path,label\na.png,b.png,\na.png,b.png,junk\n", r"line 3: 'b\.png' is junk .*positive in .*line 2"),
        ("query,path,label\na.png,b.png,1\n", "line 2: label must be one of positive, junk, easy"),
        ("query,label\na.png,b.png\n", "must have the columns query and path"),
        ("query,path\n,b.png\n", "line 2: the query is empty"),
        ("query,path\n", "must name at least one query"),
        ('{"a.png": "b.png"}', r"query 'a\.png': must be a JSON object such as"),
        ('{"a.png": {"right": ["b.png"]}}', r"query 'a\.png': label must be one of"),
        ("[1]", "must be a JSON object such as .* got list"),
        ("[" * 100_000, "must be a JSON object such as"),
    ],
)
def test_answers_that_cannot_be_say_where(text: str, message: str, tmp_path: Path) -> None:
    album(tmp_path / "in", ["a.png", "b.png", "c.png"])
    file = tmp_path / ("right.csv" if text.startswith("query") else "right.json")
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        said(load_dataset, tmp_path / "in", answers=file)


def test_a_row_of_a_table_knows_its_answers(pictures: Path, tmp_path: Path, store) -> None:
    right = [["query", "path"], ["thing0/0.png", "thing1/0.png"], ["thing1/0.png", "thing0/0.png"]]
    listed(tmp_path / "right.csv", right)
    recipe = Recipe(
        dataset=f"{pictures}(answers={tmp_path / 'right.csv'}, image_size=64)", aggregation="mac", tap="stem"
    )
    first = run(recipe, store=store, progress=False)
    again = run(Recipe.from_json(first.recipe.to_json()), store=store, progress=False)
    assert len(again.dataset.queries) == 2
    assert again.metrics == first.metrics


# What gives no number, and what is said before anything is computed


@pytest.mark.parametrize("count", [2, 5])
def test_no_right_answer_at_all_is_said(count: int, tmp_path: Path) -> None:
    album(tmp_path, [f"{number}/x.png" for number in range(count)])
    assert [
        one
        for one in said(load_dataset, tmp_path)[1]
        if "No query has a right answer: each sub-folder holds one image" in one
    ]
    rows = [["path", "instance"], *([f"{number}/x.png", number] for number in range(count))]
    told = said(load_dataset, listed(tmp_path / "t.csv", rows))[1]
    assert any("No query has a right answer: each instance holds one image" in one for one in told)
    assert not said(load_dataset, album(tmp_path / "flat", ["1.png", "2.png"]))[1]


def test_a_folder_is_examined_before_anything_is_computed(tmp_path: Path, capsys) -> None:
    root = album(tmp_path / "photos", ["cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png", "solo/1.png"])
    assert main(["data", "check", str(root), "--quiet"]) == 0
    text = capsys.readouterr().out
    assert "instances: 3, 1 to 2 images each, median 2" in text
    assert "instances of one image: 1\n    solo" in text
    (root / "cat" / "3.heic").write_bytes(b"x")
    (root / "cat" / "4.png").write_bytes(b"x")
    (root / "cat" / "5.png").symlink_to("1.png")
    (root / "dog" / "6.png").write_bytes((root / "cat" / "1.png").read_bytes())
    whole = picture(root / "dog" / "7.png", (300, 300)).read_bytes()
    (root / "dog" / "7.png").write_bytes(whole[: len(whole) // 2])
    out = tmp_path / "left.csv"
    assert main(["data", "check", str(root), "--quiet", "--images", "pixels", "--out", str(out)]) == 1
    text = capsys.readouterr().out
    assert "same file in several instances: 1 groups" in text
    with out.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["path"]).name for row in rows} == {"3.heic", "4.png", "5.png", "7.png"}
    assert all(row["reason"] for row in rows)


def test_a_list_that_cannot_be_loaded_is_examined_too(tmp_path: Path, capsys) -> None:
    picture(tmp_path / "a.png")
    listed(tmp_path / "t.csv", [["path", "instance", "camera"], *([f"{n}.png", n, ""] for n in "abc")])
    assert main(["data", "check", str(tmp_path / "t.csv"), "--quiet"]) == 1
    text = capsys.readouterr().out
    assert "2 of 3 images are missing" in text
    assert "line 4: c.png" in text
    assert "'camera'" in text
    assert main(["data", "check", str(tmp_path / "nowhere"), "--quiet"]) == 2


def test_labels_that_are_mended_need_no_new_pass(pictures: Path, tmp_path: Path, store, monkeypatch) -> None:
    folder = tmp_path / "mine"
    for path in sorted(pictures.rglob("*.png")):
        target = folder / path.relative_to(pictures)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    recipe = Recipe(dataset=str(folder), aggregation="mac", tap="stem", image_size=64)
    before = run(recipe, store=store, progress=False)
    monkeypatch.setattr("cbirlab.extract.loop.decode_ahead", None)  # a pass would call it
    (folder / "thing0" / "0.png").rename(folder / "thing1" / "moved.png")
    moved = run(recipe, store=store, progress=False)
    assert moved.metrics != before.metrics
    paths = sorted(path.relative_to(tmp_path).as_posix() for path in folder.rglob("*.png"))
    rows = [["path", "instance"], *([path, path.split("/")[1]] for path in paths)]
    listed(tmp_path / "t.csv", rows)
    table = replace(recipe, dataset=str(tmp_path / "t.csv"))
    assert run(table, store=store, progress=False).metrics["map"] == pytest.approx(moved.metrics["map"])
    (folder / "thing3" / "2.png").unlink()
    assert len(run(recipe, store=store, progress=False).dataset.images) == len(paths) - 1
    rows = [["path", "instance"], *([path, path.split("/")[1]] for path in paths if not path.endswith("thing3/2.png"))]
    listed(tmp_path / "t.csv", rows)
    moved = run(table, store=store, progress=False)
    rows[1][1] = "thing7"
    listed(tmp_path / "t.csv", rows)
    assert run(table, store=store, progress=False).metrics["map"] != pytest.approx(moved.metrics["map"])
