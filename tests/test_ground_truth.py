"""Ground truth of others: what it says is read, and nothing that it asks for is done."""

from __future__ import annotations

import os
import pickle
import pickletools
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import miniatures
import numpy as np
import pytest
from scipy.io import loadmat, savemat, whosmat

from cbirlab.datasets import matfiles, pickles
from cbirlab.datasets.files import inside
from cbirlab.datasets.truth import box_of, instances, read_truth

PLAIN = {"imlist": ["a", "b"], "n": 3, "box": [1.5, 2.0], "none": None, "yes": True, "pair": [1, 2], "bytes": b"x"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_out_as_they_went_in(protocol: int, tmp_path: Path) -> None:
    assert pickles.load(miniatures.dump(tmp_path / "x.pkl", PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "values",
    [
        np.arange(6, dtype=np.int64),
        np.arange(6, dtype=">i2").reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.array([], dtype=np.uint16),
        np.array([True, False]),
        np.float64(1.25),
        np.int32(-3),
    ],
    ids=str,
)
def test_arrays_and_their_numbers_come_out_as_they_went_in(values, protocol: int, tmp_path: Path) -> None:
    found = pickles.load(miniatures.dump(tmp_path / "x.pkl", {"gnd": [{"ok": values}]}, protocol))["gnd"][0]["ok"]
    np.testing.assert_array_equal(found, values)
    if isinstance(values, np.ndarray):
        assert found.dtype == values.dtype


def test_arrays_of_texts_come_out_as_lists(tmp_path: Path) -> None:
    names = np.array(["a", "bc"], dtype=object)
    assert pickles.load(miniatures.dump(tmp_path / "x.pkl", {"imlist": names})) == {"imlist": ["a", "bc"]}


def test_a_pickle_of_python_2_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"(dp0\nS'imlist'\np1\n(lp2\nS'all_souls_000013'\np3\nas.")
    assert pickles.load(tmp_path / "x.pkl") == {"imlist": ["all_souls_000013"]}


class Runs:
    """Pickles as a call of any function."""

    def __init__(self, function, *arguments) -> None:
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("place", ["alone", "in a list", "as a key"])
def test_no_pickle_runs_code(place: str, protocol: int, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    attacks = [
        Runs(os.system, f"touch {mark}"),
        Runs(exec, f"open({str(mark)!r}, 'w')"),
        Runs(eval, f"open({str(mark)!r}, 'w')"),
        Runs(open, str(mark), "w"),
        Runs(subprocess.check_call, ["touch", str(mark)]),
        Runs(getattr, os, "system") if protocol < 0 else Runs(np.fromfile, "/etc/passwd"),
        Runs(np.save, str(mark), [1]),
    ]
    for number, attack in enumerate(attacks):
        held = {"alone": attack, "in a list": [1, [attack]], "as a key": {("k", attack): 1}}[place]
        file = miniatures.dump(tmp_path / f"{number}.pkl", held, protocol)
        with pytest.raises(ValueError, match=rf"{number}\.pkl: .*is not run here"):
            pickles.load(file)
        with pytest.raises(ValueError, match="is not run here"):
            read_truth(file)
    assert not mark.exists()


def test_the_attacks_would_have_worked(tmp_path: Path) -> None:
    file = miniatures.dump(tmp_path / "x.pkl", Runs(open, str(tmp_path / "ran"), "w"))
    script = f"import pickle; pickle.load(open({str(file)!r}, 'rb')).close()"
    subprocess.run([sys.executable, "-c", script], check=True)
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no pickle",
        pickle.dumps(PLAIN)[:-4],
        b"cnumpy\ndtype\n(S'O'\ntR.",
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\ndtype\n(S'O'\ntRtR(I1\n(I9\ntcnumpy\ndtype\n(S'O'\ntRI00\nS'abc'\ntb.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\ntRS'12345678'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(I1\nS'12345678'\ntR.",
    ],
    ids=["empty", "text", "cut off", "object type", "array of pointers", "pointer", "no type"],
)
def test_damaged_pickles_and_arrays_of_pointers_do_no_harm(raw: bytes, tmp_path: Path) -> None:
    """An array of objects made of given bytes would have NumPy follow them as addresses."""
    (tmp_path / "x.pkl").write_bytes(raw)
    with pytest.raises(ValueError, match=r"x\.pkl: "):
        read_truth(tmp_path / "x.pkl")


def test_a_pickle_that_sets_attributes_changes_nothing_that_stays(tmp_path: Path) -> None:
    """BUILD on what stands for a NumPy function: `cnumpy dtype`, then ({}, {'__defaults__': (1,)})."""
    raw = b"cnumpy\ndtype\n(N(dS'__defaults__'\n(I1\ntstb."
    assert [code.name for code, *_ in pickletools.genops(raw)][-2:] == ["BUILD", "STOP"]
    (tmp_path / "x.pkl").write_bytes(raw)
    with pytest.raises(ValueError, match=r"x\.pkl"):
        read_truth(tmp_path / "x.pkl")
    values = {"gnd": [{"ok": np.arange(3)}]}
    assert pickles.load(miniatures.dump(tmp_path / "y.pkl", values))["gnd"][0]["ok"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("write", [miniatures.classic_pickle, miniatures.classic_mat], ids=["pkl", "mat"])
def test_both_forms_are_counted_from_0(write, tmp_path: Path) -> None:
    truth = read_truth(write(tmp_path / ("x.pkl" if write is miniatures.classic_pickle else "x.mat")))
    assert truth.images == tuple(miniatures.OXFORD_IMAGES)
    assert truth.queries == ("all_souls_000000", "oxford_000000")
    assert truth.own == (0, 6)
    assert truth.labels == ({"ok": (0, 1, 2), "junk": (3,)}, {"ok": (6, 7), "junk": ()})
    assert truth.boxes == ((1.5, 0.0, 7.0, 5.5), (0.0, 1.0, 4.0, 6.0))


def test_a_single_query_and_a_single_label_are_not_mistaken(tmp_path: Path) -> None:
    """MATLAB does not tell a number from a list of one."""
    file = miniatures.mat(tmp_path / "x.mat", imlist=["a"], qimlist=["q"], gnd=[{"ok": [1], "bbx": [0, 0, 2, 2]}])
    truth = read_truth(file)
    assert (truth.images, truth.queries, truth.labels) == (("a",), ("q",), ({"ok": (0,)},))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gnd": [{"ok": [0, 9]}]}, r"must label images from 0 to 1 .*got 0 to 9"),
        ({"gnd": [{"ok": [-1]}]}, "must label images from 0 to 1"),
        ({"gnd": [{"ok": [0], "junk": [0]}]}, "labels an image twice"),
        ({"gnd": [{"ok": [0.5]}]}, "must have whole numbers"),
        ({"gnd": [{"ok": ["a"]}]}, "must have whole numbers"),
        ({"gnd": [{"ok": [0], "bbx": [1, 2, 3]}]}, "must be four numbers"),
        ({"gnd": [{"ok": [0], "bbx": [1, 2, float("nan"), 4]}]}, "must be"),
        ({"gnd": []}, "1 queries but 0 ground-truth entries"),
        ({"gnd": [[0]]}, "1 queries but 1 ground-truth entries"),
        ({"imlist": ["a", 3]}, "imlist must be names"),
        ({"imlist": ["a", "a"]}, "imlist has a name twice"),
        ({"qimlist": None}, "qimlist must be names"),
        ({"qidx": [7]}, "qidx must count images from 0 to 1"),
    ],
)
def test_ground_truth_that_cannot_be_is_refused(change: dict, message: str, tmp_path: Path) -> None:
    values = {"imlist": ["a", "b"], "qimlist": ["q"], "gnd": [{"ok": [0]}]}
    with pytest.raises(ValueError, match=message):
        read_truth(miniatures.dump(tmp_path / "x.pkl", values | change))


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=["5", "compressed", "4"])
@pytest.mark.parametrize("seed", range(4))
def test_matlab_files_hold_what_scipy_finds_in_them(options, seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    kinds = ["f8"] if options.get("format") else ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
    held = {f"m{kind}": (rng.normal(size=rng.integers(1, 7, 2)) * 40).astype(kind) for kind in kinds}
    held |= {"text": "a text", "lines": np.array(["ab", "cde", "f"])}
    if not options.get("format"):
        cells = np.array(["a", "bcé", rng.integers(0, 9, (2, 3))], dtype=object)
        held |= {"cells": cells, "one": {"a": 1.5, "b": {"c": [1, 2]}}, "flags": np.array([[True, False]])}
        held |= {
            "many": [{"ok": [1, 2], "bbx": [0.5, 1, 2, 3]}, {"ok": [], "bbx": [3]}],
            "cube": rng.normal(size=(2, 3, 2)),
        }
        held |= {"complex": np.array([[1 + 2j]]), "none": np.zeros((0, 3))}
    savemat(tmp_path / "x.mat", held, **options)
    found = {one.name: one for one in matfiles.variables(tmp_path / "x.mat")}
    for name, wanted in loadmat(tmp_path / "x.mat", simplify_cells=True).items():
        if not name.startswith("__"):
            same(found[name].load(), wanted)
    shapes = {name: shape for name, shape, _ in whosmat(tmp_path / "x.mat")}
    assert {name: one.shape for name, one in found.items() if one.kind != "char"} == {
        name: shape for name, shape in shapes.items() if found[name].kind != "char"
    }


def same(found, wanted) -> None:
    """As SciPy has it, but for what it squeezes: cells are lists here, and arrays keep their axes."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        for name in wanted:
            same(found[name], wanted[name])
    elif isinstance(wanted, str):
        assert found in (wanted, [wanted])
    elif isinstance(wanted, list) or wanted_objects(wanted):
        for one, other in zip(found, list(wanted), strict=True):
            same(one, other)
    else:
        np.testing.assert_array_equal(np.ravel(np.squeeze(found)), np.ravel(wanted))


def wanted_objects(wanted) -> bool:
    return isinstance(wanted, np.ndarray) and wanted.dtype.kind in "OU"


def test_a_changed_byte_of_a_matlab_file_ends_nothing(tmp_path: Path) -> None:
    """Every byte of the first variables in turn; SciPy ends the process on some of them."""
    held = {"imlist": np.array(["a", "b"], dtype=object), "gnd": {"ok": [1]}, "qidx": [1]}
    savemat(tmp_path / "x.mat", held)
    whole = (tmp_path / "x.mat").read_bytes()
    for at in range(128, len(whole)):
        for value in (0, 19, 255):
            (tmp_path / "y.mat").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
            with suppress(ValueError):
                read_truth(tmp_path / "y.mat")


@pytest.mark.parametrize(("width", "depth"), [(60, 3), (2, 40), (1000, 2), (10, 7)])
@pytest.mark.parametrize("kind", [list, tuple])
def test_pickles_that_unfold_without_end_are_refused(width: int, depth: int, kind, tmp_path: Path) -> None:
    held = kind([1] * width)
    for _ in range(depth):
        held = kind([held] * width)
    with pytest.raises(ValueError, match=r"x\.pkl: .*unpacks to more values than it has bytes"):
        read_truth(miniatures.dump(tmp_path / "x.pkl", {"imlist": held, "gnd": held, "qidx": []}))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs imlist and gnd"):
        read_truth(miniatures.dump(tmp_path / "x.pkl", [1, 2]))
    with pytest.raises(ValueError, match="needs qimlist or qidx"):
        read_truth(miniatures.dump(tmp_path / "x.pkl", {"imlist": ["a"], "gnd": []}))
    (tmp_path / "x.mat").write_bytes(b"MATLAB 5.0 MAT-file" + b" " * 200)
    with pytest.raises(ValueError, match=r"x\.mat: cannot be read as a \.mat file"):
        read_truth(tmp_path / "x.mat")


def test_no_box_is_the_whole_image() -> None:
    assert box_of(Path("x.pkl"), "q", None) is None
    assert box_of(Path("x.mat"), "q", np.zeros((0, 0))) is None


def test_queries_that_share_most_answers_ask_for_one_instance(tmp_path: Path) -> None:
    entries = [{"easy": [0, 1, 2]}, {"easy": [1, 2, 3]}, {"easy": [3, 4, 5, 6]}, {"easy": [7]}]
    values = {"imlist": list("abcdefghi"), "qimlist": ["keble_01", "keble_02", "new_03", "keble_04"], "gnd": entries}
    truth = read_truth(miniatures.dump(tmp_path / "x.pkl", values))
    assert instances(truth, ("easy",)) == (*["keble"] * 4, *["new"] * 3, "keble_04", "")


@pytest.mark.parametrize("name", ["a.jpg", "a/b.jpg", "a..b/..c.jpg", "INSTRE-S1/01a_book/1 (2).jpg", "é.png"])
def test_names_below_the_folder_are_taken(name: str) -> None:
    assert inside(Path("/data/x"), name) == Path("/data/x") / name


@pytest.mark.parametrize(
    "name", ["", "  ", "/etc/passwd", "..", "../a", "a/..", "a/../../b", "C:\\x", "c:/x", "\\\\host\\x", "a\0.jpg"]
)
def test_names_that_lead_out_of_the_folder_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must name files below its own folder"):
        inside(Path("/data/x"), name)
