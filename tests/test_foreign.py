"""Features of others: every format and both directions, what is refused, and that they are judged as one's own."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.sparse import csc_array

from cbirlab.cli import main
from cbirlab.datasets import load_dataset
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import evaluate
from cbirlab.imported_features import FeaturesError, evaluate_features, import_features, rank_features
from cbirlab.imported_features import apart as reader
from cbirlab.index import ExactIndex
from cbirlab.whitening import normalise

X = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
Q = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)


def dataset(images=9, own=None) -> Dataset:
    return Dataset(
        name="made",
        images=tuple(Path(f"{row}.jpg") for row in range(images)),
        queries=tuple(Query(Path(f"q{n}.jpg"), index=None if own is None else own[n]) for n in range(3)),
        labels=({"positive": (0, 1)}, {"positive": (2,)}, {"positive": (5, 6, 7)}),
        protocol="retrieval",
    )


def mat73(path, **matrices):
    """As MATLAB writes version 7.3: HDF5 behind a header of its own, every matrix transposed."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in matrices.items():
            file.create_dataset(name, data=values.T)
    header = b"MATLAB 7.3 MAT-file, Platform: none".ljust(124) + b"\x00\x02IM"
    with open(path, "r+b") as file:
        file.write(header)


def hdf5(path, **matrices):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, values in matrices.items():
            file[name] = values


WRITERS = {
    "npy": lambda path, x: np.save(path, x),
    "npz": lambda path, x: np.savez(path, X=x),
    "mat": lambda path, x: savemat(path, {"X": x}),
    "mat73.mat": lambda path, x: mat73(path, X=x),
    "h5": lambda path, x: hdf5(path, **{"features/train": x}),
    "hdf5": lambda path, x: hdf5(path, X=x),
}


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("columns", [False, True])
def test_every_format_in_both_directions(tmp_path, form, columns):
    path = tmp_path / f"features.{form}"
    WRITERS[form](path, X.T if columns else X)
    for given in ({"columns": columns}, {"count": 9}, {"columns": columns, "count": 9}):
        values = import_features(path, **given)
        np.testing.assert_array_equal(values, X)
        assert (values.dtype, values.flags.c_contiguous) == (np.float32, True)
    with pytest.raises(FeaturesError, match=rf"must hold 9 images, got .* It would fit as .*: pass columns={columns}"):
        import_features(path, columns=not columns, count=9)
    np.testing.assert_array_equal(import_features(path), X.T if columns else X)


@pytest.mark.parametrize("dtype", ["float16", "float64", ">f4", "int8", "uint8"])
def test_numbers_of_any_kind_become_float32(tmp_path, dtype):
    values = (X * 10).astype(dtype)
    np.save(tmp_path / "x.npy", values)
    found = import_features(tmp_path / "x.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, values.astype(np.float32))


def test_of_several_matrices_the_key_or_the_number_of_images_chooses(tmp_path):
    path = tmp_path / "both.mat"
    savemat(path, {"X": X.T, "Q": Q.T, "names": np.array(["a", "b"], dtype=object), "cfg": {"k": 1}})
    np.testing.assert_array_equal(import_features(path, count=9), X)
    np.testing.assert_array_equal(import_features(path, count=3), Q)
    np.testing.assert_array_equal(import_features(path, key="Q", columns=True), Q)
    with pytest.raises(FeaturesError, match=r"must hold one matrix of numbers.* it holds 'X' 4 x 9, 'Q' 4 x 3"):
        import_features(path)
    with pytest.raises(FeaturesError, match=r"key must name a matrix of numbers \('X' 4 x 9, 'Q' 4 x 3\), got 'cfg'"):
        import_features(path, key="cfg")


def test_a_square_matrix_needs_its_direction_said(tmp_path):
    np.save(tmp_path / "x.npy", X[:4])
    with pytest.raises(
        FeaturesError, match=r"x.npy: array is 4 x 4, so either side could be the images; pass columns="
    ):
        import_features(tmp_path / "x.npy", count=4)
    np.testing.assert_array_equal(import_features(tmp_path / "x.npy", count=4, columns=True), X[:4].T)


class Bomb:
    """Pickled, it makes a file when it is read."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("form", ["npy", "npz", "pkl"])
def test_pickled_objects_do_not_run(tmp_path, form):
    bomb = np.array([[Bomb(str(tmp_path / "ran"))]], dtype=object)
    path = tmp_path / f"x.{form}"
    if form == "pkl":
        path.write_bytes(pickle.dumps(bomb))
    elif form == "npy":
        np.save(path, bomb, allow_pickle=True)
    else:
        np.savez(path, X=bomb, allow_pickle=True)
    with pytest.raises(
        FeaturesError, match=r"nothing here is unpickled|must end in one of .npy, .npz, .mat, .h5, .hdf5"
    ):
        import_features(path)
    assert not (tmp_path / "ran").exists()


def test_hdf5_data_of_other_files_is_not_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    hdf5(tmp_path / "secret.h5", X=X)
    X.tofile(tmp_path / "secret.bin")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["linked"] = h5py.ExternalLink("secret.h5", "X")
        file.create_dataset("raw", shape=X.shape, dtype="f4", external=str(tmp_path / "secret.bin"))
        layout = h5py.VirtualLayout(shape=X.shape, dtype="f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "X", shape=X.shape)
        file.create_virtual_dataset("virtual", layout)
    for key in (None, "linked", "raw", "virtual"):
        with pytest.raises(FeaturesError, match="none"):
            import_features(tmp_path / "x.h5", key=key)


@pytest.mark.parametrize("does", ["import os; os.abort()", "import sys; next(sys.stdin)\nwhile True: pass", "1 / 0"])
@pytest.mark.parametrize("form", ["h5", "mat73.mat"])
def test_an_hdf5_library_that_ends_or_does_not_end_costs_its_own_process_alone(tmp_path, monkeypatch, does, form):
    path = tmp_path / f"x.{form}"
    WRITERS[form](path, X)
    np.testing.assert_array_equal(import_features(path, count=9), X)
    (tmp_path / "script.py").write_text(does)
    reader.PROCESS.end()
    with monkeypatch.context() as patched:
        patched.setattr(reader, "SCRIPT", tmp_path / "script.py")
        patched.setattr(reader, "PATIENCE_SECONDS", 1)
        with pytest.raises(FeaturesError, match=rf"{path.name} is damaged .* did not finish reading it"):
            import_features(path)
    np.testing.assert_array_equal(import_features(path, count=9), X)


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("damage", ["empty", "half", "text"])
def test_damaged_files_are_named(tmp_path, form, damage):
    path = tmp_path / f"x.{form}"
    WRITERS[form](path, np.tile(X, (50, 1)))
    held = path.read_bytes()
    path.write_bytes({"empty": b"", "half": held[: len(held) // 2], "text": b"no features\n" * 30}[damage])
    with pytest.raises(FeaturesError, match=path.name):
        import_features(path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (X[0], "must hold one matrix of numbers.* it holds none"),
        (
            np.stack([X, X]),
            r"must hold one matrix of numbers.* it holds none, but 'array' 2 x 9 x 4 float32 \(maps: pool",
        ),
        (X + 1j, "must hold one matrix of numbers.*'array' 9 x 4 complex numbers .complex numbers: take their real"),
        (X > 0, "must hold one matrix of numbers.*'array' 9 x 4 booleans .booleans: save them as uint8"),
        (np.array([["a", "b"]]), "must hold one matrix of numbers.*'array' 1 x 2 text"),
        (np.where(np.arange(9)[:, None] == 6, np.nan, X), "image 6 holds NaN, infinity"),
        (X.astype(float) * 1e300, "image 0 holds NaN, infinity or values too large"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, values, message):
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(FeaturesError, match=message):
        import_features(tmp_path / "x.npy")


def test_sparse_matrices_and_missing_files_are_refused(tmp_path):
    savemat(tmp_path / "x.mat", {"X": csc_array(X)})
    with pytest.raises(FeaturesError, match="it holds none"):
        import_features(tmp_path / "x.mat")
    with pytest.raises(FileNotFoundError, match="no such file"):
        import_features(tmp_path / "y.mat")


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    hdf5(tmp_path / "x.h5", X=X)
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ImportError, match=r"pip install 'cbirlab\[hdf5\]'"):
        import_features(tmp_path / "x.h5")


IMAGES = [f"set {row % 2}/im.{row // 2}.jpg" for row in range(9)]
SPELT = {
    "path": lambda name: f"/data/of them/{name}",
    "relative": lambda name: name,
    "backslash": lambda name: f"D:\\data\\{name}".replace("/", "\\"),
    "without suffix": lambda name: name.removesuffix(".jpg"),
    "other suffix of the whole": lambda name: f"x/{name.removesuffix('.jpg')}",
}


def named(path, x, names):
    """A file of features and the names of its rows, in every form that can hold them."""
    if path.suffix == ".npz":
        np.savez(path, names=np.array(names), X=x, labels=np.array(["a", "b", "c"] * 3))
    elif path.suffix == ".mat":
        savemat(path, {"X": x, "imlist": np.array(names, dtype=object)})
    elif path.suffix == ".h5":
        hdf5(path, X=x, names=np.array(names, dtype=object))
    else:
        np.save(path, x)
        path.with_suffix(".txt").write_text("\n".join(names) + "\n")


@pytest.mark.parametrize("form", ["npz", "mat", "h5", "npy"])
@pytest.mark.parametrize("spelling", SPELT)
@pytest.mark.parametrize("seed", range(2))
def test_rows_that_are_named_come_in_the_order_of_the_names(tmp_path, form, spelling, seed):
    order = np.random.default_rng(seed).permutation(9)
    path = tmp_path / f"x.{form}"
    named(path, X[order], [SPELT[spelling](IMAGES[row]) for row in order])
    for names in (IMAGES, [Path("/mine") / name for name in IMAGES]):
        np.testing.assert_array_equal(import_features(path, names=names), X)
    with pytest.warns(
        UserWarning, match=r"names the rows \(.* stay in their order; pass names=dataset\.images"
    ) as said:
        np.testing.assert_array_equal(import_features(path, count=9), X[order])
    assert len(said) == 1


def test_names_that_are_unique_without_their_folder_need_none(tmp_path):
    names = [f"{row}.png" for row in range(9)]
    named(tmp_path / "x.npz", X[::-1], names[::-1])
    np.testing.assert_array_equal(import_features(tmp_path / "x.npz", names=[f"b/{name}" for name in names]), X)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({3: "new.jpg"}, r"1 images are not named, the first is 'set 1/im\.1\.jpg'; 1 names match no image.*new\.jpg"),
        ({3: IMAGES[2]}, r"each once; .*1 images are not named.*names occur more than once"),
        (dict(enumerate("abcdefghi")), r"9 images are not named|images are not named.*9 names match no image"),
    ],
)
def test_names_of_other_images_are_refused(tmp_path, change, message):
    names = [change.get(row, name) for row, name in enumerate(IMAGES)]
    named(tmp_path / "x.npz", X, names)
    with pytest.raises(FeaturesError, match=rf"x\.npz: the names in 'names' must be those of the images.*{message}"):
        import_features(tmp_path / "x.npz", names=IMAGES)


def test_names_that_would_have_to_be_unpickled_are_told(tmp_path):
    np.savez(tmp_path / "x.npz", X=X, names=np.array(IMAGES, dtype=object), allow_pickle=True)
    with pytest.warns(UserWarning, match=r"'names' holds objects, which are not unpickled; .* names\.astype\(str\)"):
        np.testing.assert_array_equal(import_features(tmp_path / "x.npz", names=IMAGES), X)


@pytest.mark.filterwarnings("error")
def test_labels_are_no_names_and_rows_without_names_stay(tmp_path):
    np.savez(tmp_path / "x.npz", X=X, labels=np.array(["a", "b", "c"] * 3))
    for given in ({"count": 9}, {"names": IMAGES}, {}):
        np.testing.assert_array_equal(import_features(tmp_path / "x.npz", **given), X)
    with pytest.raises(FeaturesError, match="must hold 5 images"):
        import_features(tmp_path / "x.npz", names=IMAGES[:5])


def test_the_command_puts_named_rows_in_order(tmp_path, capsys):
    images, rng = load_dataset("toytown").images, np.random.default_rng(0)
    x, order = rng.normal(size=(len(images), 8)).astype(np.float32), rng.permutation(len(images))
    said = []
    for name, rows in (("as they are", range(len(images))), ("shuffled", order)):
        path = tmp_path / f"{name}.npz"
        np.savez(path, X=x[[*rows]], names=np.array([images[row].name for row in rows]))
        queries = tmp_path / "q.npy"
        np.save(queries, rng.normal(size=(len(load_dataset("toytown").queries), 8)) if not said else np.load(queries))
        assert main(["evaluate", "--dataset", "toytown", "--features", str(path), "--queries", str(queries)]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] != ""


@pytest.mark.parametrize("shape", [(9, 4, 1, 1), (1, 9, 4), (9, 1, 4), (1, 9, 1, 4, 1), (9, 4, 1)])
@pytest.mark.parametrize("form", WRITERS)
def test_axes_of_length_one_are_left_out(tmp_path, shape, form):
    path = tmp_path / f"x.{form}"
    WRITERS[form](path, X.reshape(shape))
    np.testing.assert_array_equal(import_features(path, count=9), X)


def test_one_image_stays_one_row(tmp_path):
    np.save(tmp_path / "x.npy", X[:1, :, None, None])
    np.testing.assert_array_equal(import_features(tmp_path / "x.npy"), X[:1])


def test_what_is_there_instead_of_a_matrix_is_listed(tmp_path):
    np.savez(tmp_path / "x.npz", a=X[0], b=np.ones((2, 9, 4, 3)), c=np.array(["x", "y"]), d=np.array(3))
    with pytest.raises(FeaturesError, match=r"'a' 4 float32, 'b' 2 x 9 x 4 x 3 float64, 'c' 2 text, 'd' one value int"):
        import_features(tmp_path / "x.npz")
    hdf5(tmp_path / "x.h5", X=X[0])
    with pytest.raises(FeaturesError, match="it holds none, but 'X' 4 float32"):
        import_features(tmp_path / "x.h5")


@pytest.mark.parametrize("similarity", ["cosine", "inner", "euclidean"])
def test_rankings_are_those_of_loops(similarity):
    found = rank_features(X, Q, dataset(), similarity=similarity)
    for query, images, scores in zip(Q.astype(float), found.images, found.scores, strict=True):
        slow = {}
        for row, image in enumerate(X.astype(float)):
            product = sum(a * b for a, b in zip(query, image, strict=True))
            lengths = (sum(a * a for a in query) * sum(b * b for b in image)) ** 0.5
            apart = sum((a - b) ** 2 for a, b in zip(query, image, strict=True))
            slow[row] = {"cosine": product / lengths, "inner": product, "euclidean": -apart}[similarity]
        assert images.tolist() == sorted(slow, key=lambda row, slow=slow: -slow[row])
        np.testing.assert_allclose(scores, sorted(slow.values(), reverse=True), rtol=1e-4, atol=1e-5)
    assert rank_features(X, Q, dataset(), similarity=similarity, k=2).images.tolist() == found.images[:, :2].tolist()


def test_features_of_others_are_judged_as_ones_own(tmp_path):
    made = dataset()
    np.save(tmp_path / "x.npy", X.T)
    np.save(tmp_path / "q.npy", Q.T)
    database, queries = (import_features(tmp_path / f"{name}.npy", columns=True) for name in "xq")
    found = evaluate_features(database, queries, made)
    ranking = ExactIndex().fit(normalise(X)).search(normalise(Q))
    assert found.metrics == evaluate(ranking, made).metrics
    ap = evaluate_features(database, queries, made, average_precision="finite-sum").metrics["map"]
    assert ap == evaluate(ranking, made, average_precision="finite-sum").metrics["map"] > found.metrics["map"]
    own = dataset(own=(0, 2, 5))
    alone = evaluate_features(X, None, own)
    assert alone.metrics == evaluate_features(X, X[[0, 2, 5]], own).metrics


@pytest.mark.parametrize(
    ("database", "queries", "message"),
    [
        (X.T, Q, r"database must be \(N, D\), one row for each of the 9 of 'made', got \(4, 9\). That is D x N: pass"),
        (X, Q.T, r"queries must be .* each of the 3 .*, got \(4, 3\). That is D x N: pass queries.T"),
        (X[:5], Q, r"got \(5, 4\)\.$"),
        (X, Q[:, :2], "queries must have 4 dimensions like the database, got 2"),
        (X, None, "queries must be given for 'made', whose queries are not all in the database"),
    ],
)
def test_features_that_do_not_fit_the_dataset_are_refused(database, queries, message):
    with pytest.raises(ValueError, match=message):
        evaluate_features(database, queries, dataset())
    with pytest.raises(ValueError, match="Did you mean 'cosine'"):
        rank_features(X, Q, dataset(), similarity="cosin")


def test_a_dataset_without_labels_has_a_ranking_but_no_numbers():
    bare = replace(dataset(), labels=())
    assert rank_features(X, Q, bare).images.shape == (3, 9)
    with pytest.raises(ValueError, match="no ground truth"):
        evaluate_features(X, Q, bare)
