"""Descriptors go out in forms that other tools read, and come in again as they were; half a file never stays."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import faiss
import h5py
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest
from PIL import Image

from cbirlab import Recipe, export_features, import_features, load_dataset, run
from cbirlab.cli import main
from cbirlab.datasets.base import Dataset, Query
from cbirlab.exported_features import SUFFIXES, projector
from cbirlab.exported_features.features import Features
from cbirlab.imported_features import FeaturesError, evaluate_features
from cbirlab.store import Store

pytestmark = pytest.mark.filterwarnings("ignore:.*nearly equal")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Dataset:
    """Five images of two instances, and two queries with boxes that are not among them."""
    root, lines = tmp_path_factory.mktemp("given") / "pictures", ["path,instance,role,x0,y0,x1,y1"]
    for number, name in enumerate(["a/1", "a/2", "b/3", "b/4", "b/é 5", "q/6", "q/7"]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(noise).resize((80, 60)).save(root / f"{name}.png")
        asked = name.startswith("q")
        lines.append(
            f"{name}.png,{'ab'[number % 2] if asked else name[0]}," + ("query,5,5,60,50" if asked else "database,,,,")
        )
    (root / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    return load_dataset(root / "t.csv")


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("kept"))


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe(dataset="photos", backbone="handcrafted", tap="hsv", image_size=64)


@pytest.fixture(scope="module")
def result(data, kept, recipe):
    return run(recipe, dataset=data, store=kept)


NAMES = ["a/1.png", "a/2.png", "b/3.png", "b/4.png", "b/é 5.png"]
ASKED = ["q/6.png", "q/7.png"]


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".hdf5", ".parquet"])
def test_what_goes_out_comes_in_again_and_is_judged_the_same(suffix, data, kept, result, tmp_path):
    path = export_features(result, tmp_path / f"x{suffix}", store=kept)
    images = import_features(path, key="images", names=data.images)
    queries = import_features(path, key="queries", names=[query.path for query in data.queries])
    assert images.shape == (5, result.dim)
    again = evaluate_features(images, queries, data)
    assert {name: again.metrics[name] for name in result.metrics} == dict(result.metrics)
    turned = import_features(path, key="images", names=data.images[::-1])
    np.testing.assert_array_equal(turned[::-1], images)
    with pytest.raises(FeaturesError, match="names"):
        import_features(path, key="images", names=[*data.images[:4], "other.png"])


def test_other_tools_read_the_same_rows_and_names(data, kept, result, tmp_path):
    files = {suffix: export_features(result, tmp_path / f"x{suffix}", store=kept) for suffix in SUFFIXES}
    with np.load(files[".npz"]) as held:
        images, queries = held["images"], held["queries"]
        assert (held["image_names"].tolist(), held["query_names"].tolist()) == (NAMES, ASKED)
        assert Recipe.from_json(str(held["recipe"])) == result.recipe
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), 1, rtol=1e-5)
    with h5py.File(files[".h5"]) as held:
        np.testing.assert_array_equal(held["images"], images)
        np.testing.assert_array_equal(held["queries"], queries)
        assert [*held["image_names"].asstr()] == NAMES
        assert [*held["query_names"].asstr()] == ASKED
        assert Recipe.from_json(held.attrs["recipe"]) == result.recipe
    table = pyarrow.parquet.read_table(files[".parquet"])
    assert Recipe.from_json(table.schema.metadata[b"recipe"].decode()) == result.recipe
    for frame in (table.to_pandas(), pd.read_parquet(files[".parquet"])):
        assert frame["name"].tolist() == NAMES + ASKED
        assert frame["part"].tolist() == ["images"] * 5 + ["queries"] * 2
        np.testing.assert_array_equal(np.stack([*frame["descriptor"]]), np.concatenate([images, queries]))
    for suffix in (".faiss", ".index"):
        index = faiss.read_index(str(files[suffix]))
        np.testing.assert_array_equal(index.reconstruct_n(0, 5), images)
        with np.load(f"{files[suffix]}.npz") as beside:
            rows = index.search(beside["queries"], 5)[1]
            np.testing.assert_array_equal(rows, result.ranking.images)
            assert beside["image_names"].tolist() == NAMES


def test_the_projector_finds_vectors_names_and_pictures(data, kept, result, tmp_path):
    folder = export_features(result, tmp_path / "x.tsv", store=kept)
    (about,) = json.loads((folder / projector.CONFIG).read_text())["embeddings"]
    vectors = np.loadtxt(folder / about["tensorPath"], delimiter="\t")
    assert [*vectors.shape] == about["tensorShape"] == [7, result.dim]
    with open(folder / about["metadataPath"], encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file, delimiter="\t")
    assert head == ["name", "instance", "part"]
    assert [row[0] for row in rows] == NAMES + ASKED
    assert [row[1:] for row in rows] == [*([one, "image"] for one in "aabbb"), *[["", "query"]] * 2]
    sprite, (width, height) = Image.open(folder / about["sprite"]["imagePath"]), about["sprite"]["singleImageDim"]
    assert (sprite.size, width, height) == ((3 * 64, 3 * 64), 64, 64)
    pixels = np.asarray(sprite)
    last = pixels[2 * 64 :, :64]  # the seventh picture, the second query cut to its box
    assert last.std() > 20
    assert (pixels[2 * 64 :, 64:] == 255).all()
    assert json.loads((folder / projector.CONFIG).read_text())["embeddings"][0]["tensorName"] == data.name


@pytest.mark.parametrize(("rows", "side"), [(1, 64), (16384, 64), (16385, 63), (10**6, 8), (1024**2, 8)])
def test_a_sprite_is_never_larger_than_browsers_take(rows, side):
    across = int(np.ceil(np.sqrt(rows)))
    assert min(projector.THUMBNAIL, projector.MOST_SIDE // across) == side
    assert across * side <= 8192


def test_too_many_rows_for_the_projector_are_refused(tmp_path):
    most = (projector.MOST_SIDE // projector.LEAST) ** 2
    data = Dataset(name="many", images=(Path("a.png"),) * (most + 1))
    with pytest.raises(ValueError, match="at most 1,048,576 pictures, got 1,048,577"):
        projector.write(Features(data, np.zeros((most + 1, 1), np.float32), None), tmp_path / "x.tsv")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_written_whole_and_only_replaced_if_asked(suffix, data, kept, result, tmp_path, monkeypatch):
    path = export_features(result, tmp_path / "in" / f"x{suffix}", store=kept)
    there = {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()}
    with pytest.raises(FileExistsError, match=r"is there already; pass replace=True"):
        export_features(result, path, store=kept)

    def full(*given: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        for owner, name in ((np, "savez"), (h5py, "File"), (pyarrow.parquet, "write_table"), (faiss, "write_index")):
            patched.setattr(owner, name, full)
        patched.setattr(projector, "_sprite", full)
        with pytest.raises(OSError, match="No space"):
            export_features(result, path, store=kept, replace=True)
    assert {file: file.read_bytes() for file in path.parent.rglob("*") if file.is_file()} == there
    assert export_features(result, path, store=kept, replace=True) == path
    assert {*path.parent.rglob("*")} - {path} == {*there} - {path}


def test_rows_of_ones_own_go_out_too(data, tmp_path):
    rows = np.random.default_rng(0).normal(size=(5, 4))
    path = export_features(rows, tmp_path / "x.npz", dataset=data)
    np.testing.assert_array_equal(import_features(path, names=data.images), rows.astype(np.float32))
    assert "queries" not in np.load(path)
    pairs = [(path, path.parent.name) for path in data.images]
    export_features(rows, tmp_path / "y.parquet", dataset=pairs, queries=rows)
    assert len(pd.read_parquet(tmp_path / "y.parquet")) == 10


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"path": "x.pkl"}, r"path must end in one of \.npz, \.h5, .*, got 'x\.pkl'"),
        ({"dataset": None}, "dataset must be given with rows"),
        ({"source": np.zeros((4, 3))}, r"source must be numbers \(N, D\), one row for each of the 5 of .* \(4, 3\)"),
        ({"source": "map"}, r"or a Run or a Recipe, got str \(\)"),
        ({"queries": np.zeros((3, 3))}, "queries must be numbers .* each of the 2"),
        ({"queries": np.zeros((2, 4))}, "queries must have 3 dimensions like the images, got 4"),
        ({"source": Recipe(), "queries": np.zeros((2, 4))}, "queries must be left out with a recipe"),
        ({"source": Recipe(backbone="handcrafted", aggregation="asmk")}, "compares images word by word"),
    ],
)
def test_what_cannot_go_out_is_refused_and_nothing_is_written(given, message, data, kept, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {"source": np.zeros((5, 3)), "path": "x.npz", "dataset": data, "store": kept} | given
    with pytest.raises(ValueError, match=message):
        export_features(asked.pop("source"), asked.pop("path"), **asked)
    assert not [*tmp_path.iterdir()]


def test_what_is_no_export_is_not_replaced(data, tmp_path):
    (tmp_path / "x.tsv").mkdir()
    (tmp_path / "x.tsv" / "thesis.txt").write_text("mine")
    (tmp_path / "y.npz").mkdir()
    for name in ("x.tsv", "y.npz"):
        with pytest.raises(FileExistsError, match="is no earlier export, so it is not replaced"):
            export_features(np.zeros((5, 3)), tmp_path / name, dataset=data, replace=True)


def test_names_that_are_no_text_go_out_where_they_can(tmp_path):
    data = Dataset(name="odd", images=(Path("a\udce9.png"), Path("b.png")), queries=(Query(Path("b.png"), index=1),))
    rows = np.eye(2, 3, dtype=np.float32)
    path = export_features(rows, tmp_path / "x.npz", dataset=data)
    np.testing.assert_array_equal(import_features(path, names=data.images[::-1]), rows[::-1])
    with pytest.raises(ValueError, match=r"names must be UTF-8 in this format, got b'a\\xe9\.png'; export to \.npz"):
        export_features(rows, tmp_path / "x.parquet", dataset=data)


@pytest.mark.parametrize(("suffix", "library", "extra"), [(".h5", "h5py", "hdf5"), (".parquet", "pyarrow", "parquet")])
def test_a_library_that_is_missing_is_named(suffix, library, extra, data, tmp_path, monkeypatch):
    from cbirlab.exported_features import formats
    from cbirlab.imported_features import apart

    for module in (formats, apart):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    message = rf"need {library}: pip install 'cbirlab\[{extra}\]'"
    with pytest.raises(ImportError, match=message):
        export_features(np.zeros((5, 3)), tmp_path / f"x{suffix}", dataset=data)
    (tmp_path / f"x{suffix}").write_bytes(b"")
    with pytest.raises(ImportError, match=message):
        import_features(tmp_path / f"x{suffix}")


def test_parquet_of_others_is_read(tmp_path):
    rows, names = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32), [f"{row}.jpg" for row in range(9)]
    wide = pd.DataFrame(rows, columns=[*"abcd"]).assign(file=names, label=3)
    wide.to_parquet(tmp_path / "wide.parquet")
    np.testing.assert_array_equal(import_features(tmp_path / "wide.parquet", names=names[::-1]), rows[::-1])
    lists = pd.DataFrame({"file": names, "vector": [*rows]})
    lists.to_parquet(tmp_path / "lists.parquet", row_group_size=4)
    np.testing.assert_array_equal(import_features(tmp_path / "lists.parquet", names=names[::-1]), rows[::-1])
    lists.assign(vector=[*rows[:8], rows[0, :3]]).to_parquet(tmp_path / "uneven.parquet")
    with pytest.raises(FeaturesError, match=r"uneven\.parquet must hold one matrix of numbers"):
        import_features(tmp_path / "uneven.parquet")


def test_the_command_exports_what_run_searches(data, kept, result, tmp_path, capsys, monkeypatch):
    listed = data.images[0].parents[1] / "t.csv"
    options = ["--dataset", str(listed), "--backbone", "handcrafted", "--tap", "hsv", "--image-size", "64"]
    command = ["export", *options, "--out", str(tmp_path / "x.parquet"), "--store", str(kept.path), "--quiet"]
    assert main(command) == 0
    assert "written:" in capsys.readouterr().out
    with np.load(export_features(result, tmp_path / "x.npz", store=kept)) as held:
        np.testing.assert_array_equal(
            import_features(tmp_path / "x.parquet", key="images", names=data.images), held["images"]
        )
    assert main(command) == 2
    assert "is there already; pass replace=True, or --replace" in capsys.readouterr().err
    assert main([*command, "--replace"]) == 0
    assert main(["export", "--out", str(tmp_path / "x.csv")]) == 2
    assert "path must end in one of" in capsys.readouterr().err
