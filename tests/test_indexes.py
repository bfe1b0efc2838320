"""What every index promises, with every code that fits it: order, ties, ends of lists, dials, the same thing twice."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.compression import COMPRESSIONS, Compression, learn_code
from cbirlab.compression import library as compression_library
from cbirlab.compression.library import MissingLibrary, has_faiss
from cbirlab.index import INDEXES, ExactIndex, IndexMethod, Ranking
from cbirlab.index.approximate import FastScan

N, WIDTH = 130, 16

EXHAUSTIVE = {
    "exact": "exact(block_mb=0.01)",
    "hamming": "hamming",
    "fastscan": "fastscan",
    "ivf": "ivf(lists=3, probes=3)",
    "hnsw": f"hnsw(ef={N})",
}
"""Each index, so that nothing escapes it."""

CODES = [
    *("none", "float16", "sq", "sq(bits=4)", "truncate(dimensions=8)", "binary", "binary(distance=symmetric)"),
    *("lsh(bits=12)", "pcah(bits=8)", "pca_rr(bits=8)", "itq(bits=16)", "itq(bits=16, distance=asymmetric)"),
    *("sh(bits=8)", "rabitq", "pq(m=8, bits=4)", "pq(m=1, bits=4)", "opq(m=8, bits=4)"),
]

PAIRS = [
    (index, code)
    for index in EXHAUSTIVE
    for code in CODES
    if not IndexMethod.parse(index).refuses(Compression.parse(code))
]

pytestmark = pytest.mark.skipif(not has_faiss(), reason="needs faiss-cpu")


@pytest.fixture(autouse=True)
def few_rows() -> Iterator[None]:
    """These sets are small for codebooks and lists, which warnings say."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*rows to learn on.*")
        yield


def rows(count: int, seed: int, copies: int = 25, empty: int = 4) -> np.ndarray:
    """Rows of length one in clusters, with copies of some of them and some rows of zeros in between."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(8, WIDTH))[random.integers(8, size=count)] + 0.6 * random.normal(size=(count, WIDTH))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    X[random.integers(count, size=copies)] = X[random.integers(count, size=copies)]
    X[random.integers(count, size=empty)] = 0
    return X.astype(np.float32)


@cache
def learned(code: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return None if code == "none" else learn_code(code, rows(400, seed=0, copies=0, empty=0))


def filled(index: str, code: str, X: np.ndarray) -> Any:
    return IndexMethod.parse(index).make().fit(X, learned(code), rows(400, seed=0, copies=0, empty=0))  # pyright: ignore


def alike(one: Ranking, other: Ranking) -> None:
    np.testing.assert_array_equal(one.images, other.images)
    np.testing.assert_array_equal(one.scores, other.scores)


def check_lists(found: Ranking, X: np.ndarray, Q: np.ndarray) -> None:
    """Complete, equal scores by image, copies of a row at one score, rows and queries of zeros without an answer."""
    for images, scores, query in zip(found.images, found.scores, Q, strict=True):
        assert sorted(images) == list(range(len(X)))
        place = np.argsort(images)
        for one, other in zip(range(len(images) - 1), range(1, len(images)), strict=True):
            assert scores[one] > scores[other] or images[one] < images[other]
        assert (scores == -np.inf).sum() == (len(X) if not query.any() else (~X.any(axis=1)).sum())
        _, first, which = np.unique(X, axis=0, return_index=True, return_inverse=True)
        np.testing.assert_array_equal(scores[place], scores[place][first][which.ravel()])


def test_all_indexes_and_all_codes_but_heads_are_here():
    assert {IndexMethod.parse(index).name for index in EXHAUSTIVE.values()} == {*EXHAUSTIVE} <= {*INDEXES}
    of_package = {name for name in INDEXES if str(INDEXES[name].__module__).startswith("cbirlab.")}
    assert of_package - {"pgvector"} == {*EXHAUSTIVE}
    codes = {name for name in COMPRESSIONS if "heads" not in COMPRESSIONS[name].__module__}
    assert {Compression.parse(code).name for code in CODES} >= {name for name in codes if name in COMPRESSIONS}
    assert all(any(index == pair[0] for pair in PAIRS) for index in EXHAUSTIVE)


@pytest.mark.parametrize(("index", "code"), PAIRS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(1, 10**6), k=st.integers(1, N))
def test_lists_are_those_of_exact_search_over_the_same_rows_or_codes(index, code, seed, k):
    X, Q = rows(N, seed), rows(5, seed + 1, copies=1, empty=1)
    found = filled(EXHAUSTIVE[index], code, X).search(Q)
    check_lists(found, X, Q)
    exact = ExactIndex().fit(X, learned(code)).search(Q)
    if code == "none" or index == "exact" or learned(code).symmetric:
        alike(found, exact)
        alike(filled(EXHAUSTIVE[index], code, X).search(Q, k), exact.top(k))
    elif index == "ivf" and code not in ("float16", "truncate(dimensions=8)"):
        # its codes are of what rows differ by from the centre of their list
        by_image = np.take_along_axis(found.scores, np.argsort(found.images, axis=1), axis=1)
        real = np.isfinite(by_image)
        assert np.median(np.abs(by_image[real] - (Q @ X.T)[real])) < (0.05 if code == "sq" else 0.5)
    else:
        bound = {"fastscan": 2e-7}.get(index, 0.01 if code == "rabitq" else 2e-3)  # 8 bits of a query's dimensions
        expected = np.minimum(exact.scores, 1) if code == "rabitq" else exact.scores  # no distance is negative
        np.testing.assert_allclose(found.scores, expected, atol=bound)


@pytest.mark.parametrize("code", CODES)
def test_exact_search_over_codes_is_a_loop_over_decoded_rows(code):
    X, Q = rows(40, seed=5), rows(4, seed=6, copies=0, empty=0)
    found = ExactIndex(block_mb=0.002).fit(X, learned(code)).search(Q)
    method = learned(code)
    if method is None:
        vectors, asked = X, Q
    else:
        vectors, asked = method.decode(method.encode(X)), method.prepare(Q)
        if method.symmetric:
            asked = method.decode(asked)
    for images, scores, query in zip(found.images, found.scores, asked, strict=True):
        for image, score in zip(images, scores, strict=True):
            if not X[image].any():
                assert score == -np.inf
                continue
            products = [float(a) * float(b) for a, b in zip(query, vectors[image], strict=True)]
            expected = math.fsum(products)
            if method is not None and method.shifted and code != "rabitq":
                expected += (1 - math.fsum(float(a) ** 2 for a in vectors[image])) / 2
            if code != "rabitq":
                assert score == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("index", "code"), PAIRS)
def test_the_ends_of_k_and_what_is_refused(index, code):
    X, Q = rows(N, seed=3, empty=0), rows(3, seed=4, copies=0, empty=0)
    made, whole = filled(EXHAUSTIVE[index], code, X), filled(EXHAUSTIVE[index], code, X).search(Q, N)
    alike(made.search(Q, 1), whole.top(1)) if index != "fastscan" else None
    assert made.search(Q, 1).images.shape == (3, 1)
    for k in (0, -1, N + 1, 1.5):
        with pytest.raises(ValueError, match=rf"k must be a whole number in \[1, {N}\]"):
            made.search(Q, k)
    with pytest.raises(ValueError, match=rf"queries must have {WIDTH} dimensions, got 5"):
        made.search(np.ones((1, 5)))
    for value in (np.nan, np.inf):
        spoilt = Q.copy()
        spoilt[1, 2] = value
        with pytest.raises(ValueError, match="NaN"):
            made.search(spoilt)
        spoilt = X.copy()
        spoilt[7, 0] = value
        with pytest.raises(ValueError, match=r"NaN.* row 7|row 7 .*NaN"):
            filled(EXHAUSTIVE[index], code, spoilt).search(Q)
    with pytest.raises(RuntimeError, match="call fit"):
        IndexMethod.parse(EXHAUSTIVE[index]).make().search(Q)
    assert made.nbytes > 0


@pytest.mark.parametrize(("index", "code"), PAIRS)
def test_zeros_alone_answer_nothing(index, code):
    X = np.zeros((3, WIDTH), np.float32)
    found = filled(EXHAUSTIVE[index].replace(f"ef={N}", "ef=3"), code, X).search(rows(2, seed=1, empty=0, copies=0))
    assert found.images.tolist() == [[0, 1, 2]] * 2
    assert (found.scores == -np.inf).all()


STORED = [pair for pair in PAIRS if IndexMethod.parse(pair[0]).fact("stored")]


@pytest.mark.parametrize(("index", "code"), STORED)
def test_an_index_is_the_same_twice_and_after_it_was_saved(index, code):
    X, Q = rows(N, seed=8), rows(4, seed=9)
    one, two = (filled(EXHAUSTIVE[index], code, X) for _ in range(2))
    np.testing.assert_array_equal(one.saved()["index"], two.saved()["index"])
    again = IndexMethod.parse(EXHAUSTIVE[index]).make().restore(X, learned(code), one.saved())  # pyright: ignore
    alike(again.search(Q), one.search(Q))
    assert again.nbytes == one.nbytes
    assert one.nbytes == pytest.approx(len(one.saved()["index"]) + 8 * (~X.any(axis=1)).sum())


@pytest.mark.parametrize(("index", "code"), STORED)
def test_dials_change_lists_and_nothing_in_the_index(index, code):
    X, Q = rows(N, seed=10), rows(4, seed=11, empty=0)
    small, large = {"ivf": ("ivf(lists=3, probes=1)", EXHAUSTIVE["ivf"]), "hnsw": ("hnsw(ef=7)", EXHAUSTIVE["hnsw"])}[
        index
    ]
    methods = [IndexMethod.parse(one) for one in (small, large)]
    assert methods[0].built == methods[1].built
    made = filled(methods[0].built.key, code, X)
    saved, dials = made.saved()["index"], {name: getattr(made, name) for name in methods[0].fact("dials")}
    few, all_of_them = (method.dialled(made).search(Q) for method in methods)
    alike(all_of_them, filled(large, code, X).search(Q))
    assert (few.answers() < all_of_them.answers()).any()
    np.testing.assert_array_equal(made.saved()["index"], saved)
    assert {name: getattr(made, name) for name in dials} == dials


@pytest.mark.parametrize(("index", "code"), STORED)
def test_lists_that_end_early_are_filled_up_by_image_index(index, code):
    X, Q = rows(N, seed=12), rows(4, seed=13, empty=0)
    found = filled({"ivf": "ivf(lists=3, probes=1)", "hnsw": "hnsw(ef=7)"}[index], code, X).search(Q)
    for images, answers in zip(found.images, found.answers(), strict=True):
        assert 0 < answers < N
        assert answers <= 7 or index == "ivf"
        assert images[answers:].tolist() == sorted({*range(N)} - {*images[:answers].tolist()})
    cut = filled({"ivf": "ivf(lists=3, probes=1)", "hnsw": "hnsw(ef=7)"}[index], code, X).search(Q, 9)
    if index == "hnsw":
        alike(cut, found.top(9))


def test_images_that_are_nearer_than_faiss_can_tell_are_in_their_order():
    random = np.random.default_rng(0)
    X = rows(1, seed=1, copies=0, empty=0) + 1e-7 * random.normal(size=(400, WIDTH)).astype(np.float32)
    X, Q = X / np.linalg.norm(X, axis=1, keepdims=True), rows(1, seed=2, copies=0, empty=0)
    exact = ExactIndex().fit(X).search(Q, 10)
    assert len(np.unique(exact.scores)) > 1
    alike(filled("ivf(lists=1, probes=1)", "none", X).search(Q, 10), exact)


@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
def test_fast_scan_reads_its_codes_as_faiss_decodes_them(groups):
    X = rows(77, seed=2, copies=0, empty=0)
    code = learned(f"pq(m={groups}, bits=4)")
    index = FastScan().fit(X, code)
    cells = index._cells(np.arange(77)[None], groups)[0]
    decoded = np.concatenate([centres[cells[:, group]] for group, centres in enumerate(code.centres_)], axis=1)
    np.testing.assert_array_equal(decoded, index.index_.reconstruct_batch(np.arange(77)))
    np.testing.assert_array_equal(decoded, code.decode(code.encode(X)))
    prepared = code.prepare(X[:3])
    beside = code.scores_beside(prepared, np.stack([decoded] * 3))
    np.testing.assert_allclose(code.scores_of_cells(prepared, np.stack([cells] * 3)), beside, atol=2e-7)


def test_lists_learn_on_enough_rows_or_say_so():
    X, few = rows(N, seed=1, empty=0), rows(90, seed=0, copies=0, empty=0)
    made = IndexMethod.parse("ivf").make()
    with pytest.warns(UserWarning, match=r"IVF: makes 2 lists on 90 rows to learn on; 46, .* would want 1794"):
        made.fit(X, None, few)  # pyright: ignore[reportCallIssue]
    assert made.lists_ == 2  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.warns(UserWarning, match="lists=3 wants 117 rows to learn on, 39 for each, and has 90"):
        IndexMethod.parse("ivf(lists=3)").make().fit(X, None, few)  # pyright: ignore[reportCallIssue]
    with pytest.raises(
        ValueError, match="lists must be at most 90, the rows of the learning set, got 91; take at most 2"
    ):
        IndexMethod.parse("ivf(lists=91)").make().fit(X, None, few)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match="probes must be at most 2, the number of lists, got 5"):
        IndexMethod.parse("ivf(probes=5)").dialled(made).search(X)
    with pytest.raises(ValueError, match="lists must be at most 0"):
        IndexMethod.parse("ivf(lists=1)").make().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        IndexMethod.parse("ivf(lists=2)").make().fit(X, None, few)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(("index", "code"), [("hamming", "none"), ("fastscan", "sq"), ("hnsw", "sh(bits=8)")])
def test_an_index_that_cannot_hold_a_code_says_what_it_takes(index, code):
    made = IndexMethod.parse(index).make()
    if index != "hnsw":
        with pytest.raises(ValueError, match=rf"{type(made).__name__}: needs .*, got"):
            made.fit(rows(N, seed=1), learned(code))  # pyright: ignore[reportCallIssue]
    asymmetric = learned("itq(bits=16, distance=asymmetric)")
    with pytest.raises(ValueError, match=rf"{type(made).__name__}: .* 'symmetric'|needs compression 'pq"):
        made.fit(rows(N, seed=1), asymmetric)  # pyright: ignore[reportCallIssue]


def test_without_faiss_exact_and_hamming_search_remain(monkeypatch):
    X, Q = rows(N, seed=1), rows(4, seed=2)
    expected = {code: filled("exact", code, X).search(Q) for code in CODES}
    monkeypatch.setattr(compression_library, "has_faiss", lambda: False)
    for code in CODES:
        alike(filled("exact", code, X).search(Q), expected[code])
    hamming = filled("hamming", "itq(bits=16)", X)
    alike(hamming.search(Q), expected["itq(bits=16)"])
    assert hamming.nbytes == 2 * N
    for index, code in (("ivf", "none"), ("hnsw", "none"), ("fastscan", "pq(m=8, bits=4)")):
        with pytest.raises(MissingLibrary, match=r"needs faiss: pip install 'cbirlab\[scale\]'.*'exact' and 'hamming'"):
            filled(EXHAUSTIVE[index], code, X)


ORDERS = """
import {first}, {then}
import numpy as np
from cbirlab.compression import learn_code
from cbirlab.index import IndexMethod
import torch
X = np.random.default_rng(0).normal(size=(400, 16)).astype(np.float32)
X /= np.linalg.norm(X, axis=1, keepdims=True)
lists = []
for name, code in (("ivf(lists=4)", None), ("hnsw", None), ("hamming", "itq(bits=16)"), ("fastscan", "pq(bits=4)")):
    fitted = code and learn_code(code, X)
    lists.append(IndexMethod.parse(name).make().fit(X, fitted, X).search(X[:20], 5).images)
    assert torch.mm(torch.ones(64, 64), torch.ones(64, 64)).sum() == 64**3
print([int(np.abs(one).sum()) for one in lists], faiss.omp_get_max_threads() > 0)
"""


def test_faiss_and_torch_search_in_one_process_in_both_orders():
    told = []
    for first, then in (("torch", "faiss"), ("faiss", "torch")):
        program = ORDERS.format(first=first, then=then)
        environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
        ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
        assert ran.returncode == 0, ran.stderr
        told.append(ran.stdout)
    assert told[0] == told[1] != ""
