from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cbirlab.base.registry import UnknownName
from cbirlab.datasets import DATASETS, Dataset, Query, bundled, load_dataset
from cbirlab.datasets.bundled import data_folder


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4), (len(path.stem) * 20, 90, 90)).save(path)
    return path


# Own folders


def test_each_sub_folder_is_an_instance(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/2.JPG", "cat/deeper/3.png", "dog/1.jpg", "alone.png"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    picture(tmp_path / ".ipynb_checkpoints" / "1.jpg")
    picture(tmp_path / "cat" / "._1.jpg.png")
    data = load_dataset(tmp_path)
    names = [path.relative_to(tmp_path).as_posix() for path in data.images]
    assert names == ["alone.png", "cat/1.jpg", "cat/2.JPG", "cat/deeper/3.png", "dog/1.jpg"]
    assert data.instances == ("", "cat", "cat", "cat", "dog")
    assert [query.index for query in data.queries] == [1, 2, 3, 4], "the image beside the sub-folders is a distractor"
    assert all(query.index is not None and query.path == data.images[query.index] for query in data.queries)
    assert [labels["positive"] for labels in data.labels] == [(2, 3), (1, 3), (1, 2), ()]
    assert (data.protocol, data.name, data.image_size) == ("retrieval", tmp_path.name, 1024)


def test_a_flat_folder_has_queries_but_no_ground_truth(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.png"):
        picture(tmp_path / name)
    data = load_dataset(str(tmp_path), name="mine", image_size=64)
    assert [path.name for path in data.images] == ["a.png", "b.jpg"]
    assert (data.labels, data.instances, data.name, data.image_size) == ((), (), "mine", 64)
    assert [query.index for query in data.queries] == [0, 1]


def test_another_folder_is_learned_on(tmp_path: Path) -> None:
    picture(tmp_path / "all" / "x" / "1.png")
    picture(tmp_path / "extra" / "2.png")
    data = load_dataset(tmp_path / "all", train=tmp_path / "extra")
    assert (data.train, data.train_name) == ((tmp_path / "extra" / "2.png",), "extra")
    assert load_dataset(tmp_path / "all").train_name == ""


def test_unreadable_files_are_skipped_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "x" / "good.png")
    (tmp_path / "x" / "empty.jpg").write_bytes(b"")
    (tmp_path / "x" / "page.jpg").write_text("<html>")
    with pytest.warns(UserWarning, match="2 files are skipped") as caught:
        data = load_dataset(tmp_path)
    assert [path.name for path in data.images] == ["good.png"]
    assert "empty.jpg: the file is empty" in str(caught[0].message)
    assert "page.jpg: not an image" in str(caught[0].message)
    assert [(file.path.name, file.cause) for file in data.left_out] == [("empty.jpg", "header"), ("page.jpg", "header")]


def test_a_dataset_knows_what_is_left_out_of_it_and_of_the_folder_it_learns_on(tmp_path: Path) -> None:
    picture(tmp_path / "all" / "x" / "good.png")
    (tmp_path / "all" / "x" / "phone.heic").write_bytes(b"heic")
    (tmp_path / "all" / "again.png").symlink_to(tmp_path / "all" / "x" / "good.png")
    picture(tmp_path / "extra" / "2.png")
    (tmp_path / "extra" / "empty.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="phone"):
        data = load_dataset(tmp_path / "all", train=tmp_path / "extra")
    assert [file.path.name for file in data.left_out] == ["phone.heic", "empty.png"], "what a link leads to is there"
    assert data == replace(data, left_out=()), "it is the same dataset"


def test_a_folder_without_images_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"needs at least one image .* found none"):
        load_dataset(tmp_path)
    (tmp_path / "x.jpg").write_bytes(b"")
    with (
        pytest.warns(UserWarning, match=r"x\.jpg"),
        pytest.raises(ValueError, match="1 image files, none of them readable"),
    ):
        load_dataset(tmp_path)


def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "open" / "a.png")
    picture(tmp_path / "closed" / "b.png")
    look, refused = os.scandir, tmp_path / "closed"

    def scandir(place: Path) -> object:
        if Path(place) == refused:
            raise PermissionError(13, "Permission denied", str(place))
        return look(place)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.warns(UserWarning, match=r"closed: the folder cannot be read \(Permission denied\)"):
        data = load_dataset(tmp_path)
    assert [path.name for path in data.images] == ["a.png"]
    refused = tmp_path
    with pytest.raises(PermissionError):
        load_dataset(tmp_path)


def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownName, match="Unknown dataset ''"):
        load_dataset("")
    assert len(load_dataset(".").images) == 1


def test_many_files_show_progress(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = picture(tmp_path / "0.png")
    for number in range(1, 500):
        (tmp_path / f"{number}.png").hardlink_to(first)
    assert len(load_dataset(tmp_path).images) == 500
    assert "reading headers" in capsys.readouterr().err


# Names


def test_an_unknown_name_suggests_near_ones_and_says_that_it_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match=r"Did you mean 'toytown'.* not a folder"):
        load_dataset("toytwon")
    file = picture(tmp_path / "x.png")
    with pytest.raises(UnknownName, match="As a path it is a file"):
        load_dataset(file)
    with pytest.raises(UnknownName, match="to load the dataset of that name, pass it as a string"):
        load_dataset(Path("toytown"))
    with pytest.raises(TypeError, match="image_sise"):
        load_dataset(tmp_path, image_sise=3)


def test_every_registered_dataset_has_a_loader_and_a_title() -> None:
    assert DATASETS.list()[:4] == ["toytown", "folder", "csv", "oxford5k"]
    for name in DATASETS:
        assert callable(DATASETS[name])
        assert DATASETS.info(name).title


# The description


def test_a_dataset_checks_that_its_parts_fit_together() -> None:
    one = (Path("a.jpg"),)
    with pytest.raises(ValueError, match="at least one image"):
        Dataset("x", images=())
    with pytest.raises(ValueError, match=r"one entry per query \(0\), got 1"):
        Dataset("x", images=one, labels=({"positive": (0,)},))
    with pytest.raises(ValueError, match="one entry per image"):
        Dataset("x", images=one, instances=("a", "b"))
    assert Dataset("x", images=one, queries=(Query(one[0]),), metadata={"a": 1}) == Dataset(
        "x", images=one, queries=(Query(one[0]),)
    )


# The Toytown form


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """Four database images, one query and two train images, in the form of the bundled benchmark."""
    for name in ("d0", "d1", "d2", "d3", "q0"):
        picture(tmp_path / "images" / f"{name}.jpg")
    for name in ("t1", "t0"):
        picture(tmp_path / "train" / f"{name}.jpg")
    pairs = {"index": [0, 2], "overlap": [0.9, 0.3], "viewpoint_deg": [3.0, 60.0]}
    truth = {"bbx": [0.5, 0, 5, 4], "easy": [0], "hard": [2], "junk": [3], "pairs": pairs}
    write(tmp_path, {"imlist": ["d0", "d1", "d2", "d3"], "qimlist": ["q0"], "gnd": [truth]})
    rows = [{"name": "d1", "landmark": None}, {"name": "q0", "landmark": 7}, {"name": "t0", "landmark": 9}]
    rows += [{"name": name, "landmark": 7} for name in ("d0", "d2", "d3", "t1")]
    (tmp_path / "images.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    return tmp_path


def write(folder: Path, truth: object) -> None:
    (folder / "gnd_village.json").write_text(json.dumps(truth))


def truth_of(folder: Path) -> dict:
    return json.loads((folder / "gnd_village.json").read_text())


def test_the_toytown_form_is_recognised_and_read(town: Path) -> None:
    data = load_dataset(town)
    assert (data.name, data.protocol, data.image_size, data.train_name) == (
        "village",
        "revisited",
        320,
        "village/train",
    )
    assert [path.name for path in data.images] == ["d0.jpg", "d1.jpg", "d2.jpg", "d3.jpg"]
    assert data.queries == (Query(town / "images" / "q0.jpg", (0.5, 0.0, 5.0, 4.0), None),)
    assert data.labels == ({"easy": (0,), "hard": (2,), "junk": (3,)},)
    assert [path.name for path in data.train] == ["t0.jpg", "t1.jpg"]
    assert data.instances == ("7", "", "7", "7")


def test_metadata_follows_the_order_of_the_dataset(town: Path) -> None:
    metadata = load_dataset(town).metadata
    assert [row["name"] for row in metadata["images"]] == ["d0", "d1", "d2", "d3"]
    assert [row["name"] for row in metadata["queries"] + metadata["train"]] == ["q0", "t0", "t1"]
    assert metadata["pairs"][0]["overlap"] == [0.9, 0.3]


def test_without_rows_the_benchmark_still_works(town: Path) -> None:
    (town / "images.jsonl").unlink()
    data = load_dataset(town)
    assert (data.instances, data.metadata["images"]) == ((), [{}] * 4)


def test_missing_files_are_named(town: Path) -> None:
    (town / "images" / "d2.jpg").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"1 images named in the ground truth are missing, the first is d2\.jpg"
    ):
        load_dataset(town)
    (town / "gnd_village.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"exactly one gnd_\*\.json, found none"):
        DATASETS["toytown"](town)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"easy": [0, 2]}, "label each database image at most once"),
        ({"junk": [4]}, "by its index in imlist"),
        ({"hard": [-1]}, "by its index in imlist"),
    ],
)
def test_labels_that_contradict_are_refused(town: Path, change: dict, message: str) -> None:
    truth = truth_of(town)
    truth["gnd"][0].update(change)
    write(town, truth)
    with pytest.raises(ValueError, match=message):
        load_dataset(town)


def test_a_file_of_another_form_is_refused(town: Path) -> None:
    truth = truth_of(town)
    write(town, {**truth, "gnd": []})
    with pytest.raises(ValueError, match="1 queries but 0 ground-truth entries"):
        load_dataset(town)
    write(town, ["imlist"])
    with pytest.raises(ValueError, match="needs the keys imlist, qimlist and gnd"):
        load_dataset(town)
    (town / "gnd_village.json").write_text("{")
    with pytest.raises(ValueError, match="not valid JSON"):
        load_dataset(town)


def test_the_bundled_data_is_found_in_a_checkout_and_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bundled.data_folder().name == "data"
    package = tmp_path / "site" / "cbirlab"
    monkeypatch.setattr(bundled, "_PACKAGE", package)
    with pytest.raises(FileNotFoundError, match="install cbirlab again"):
        bundled.data_folder()
    (tmp_path / "site" / "data").mkdir(parents=True)
    assert bundled.data_folder() == tmp_path / "site" / "data"
    (package / "data").mkdir(parents=True)
    assert bundled.data_folder() == package / "data"


@pytest.fixture
def toytown() -> Dataset:
    if not list((bundled.data_folder() / "toytown").glob("gnd_*.json")):
        pytest.skip("data/toytown is not built in this checkout")
    return load_dataset("toytown")


def test_the_bundled_benchmark_is_as_its_readme_says(toytown: Dataset) -> None:
    assert (len(toytown.images), len(toytown.queries), toytown.image_size) == (1000, 96, 320)
    assert len(toytown.train) >= 600
    assert toytown.instances.count("") == 328
    assert len(set(toytown.instances) - {""}) == 48
    of_train, of_images = (
        {(row["seeds"]["namespace"], row["landmark"]) for row in toytown.metadata[part]} for part in ("train", "images")
    )
    assert not of_train & of_images, "whitening learns on other landmarks"


def test_positives_of_the_bundled_benchmark_show_the_landmark_of_their_query(toytown: Dataset) -> None:
    for row, labels, pairs in zip(toytown.metadata["queries"], toytown.labels, toytown.metadata["pairs"], strict=True):
        positives = [*labels["easy"], *labels["hard"]]
        assert {toytown.instances[index] for index in positives} <= {str(row["landmark"])}
        assert sorted(pairs["index"]) == sorted(positives)
        assert labels["easy"] or labels["hard"]


@pytest.mark.parametrize("folder", ["toytown", "toynet"])
def test_every_bundled_file_has_its_checksum(folder: str) -> None:
    root = data_folder() / folder
    lines = (root / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    listed = {name: digest for digest, name in (line.split(maxsplit=1) for line in lines)}
    kinds = {".jpg", ".json", ".jsonl", ".npz", ".safetensors"}
    files = {path for path in root.rglob("*") if path.suffix in kinds and ".work" not in path.parts}
    assert {path.relative_to(root).as_posix() for path in files} == set(listed)
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[path.relative_to(root).as_posix()]
