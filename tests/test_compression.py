"""Codes: golden numbers, the formulas as loops, faiss as a second witness, and what every registered code promises."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import orthogonal_procrustes

from cbirlab.base.registry import UnknownName
from cbirlab.compression import COMPRESSIONS, Compression, learn_code
from cbirlab.compression.base import Code
from cbirlab.compression.binary import (
    ITQ,
    LSH,
    BinaryCode,
    OneBit,
    SpectralHashing,
    hamming,
    lowest_modes,
    random_rotation,
    rotate,
)
from cbirlab.compression.library import MissingLibrary, has_faiss, one_thread
from cbirlab.compression.quantisers import PQ
from cbirlab.compression.rabitq import RaBitQ
from cbirlab.compression.scalar import ScalarQuantiser, pack, unpack
from cbirlab.whitening import normalise

ROWS, WIDTH = 700, 96
WITH_FAISS = pytest.mark.skipif(not has_faiss(), reason="needs faiss-cpu")


def clustered(rows: int, width: int = WIDTH, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Unit rows of twenty instances, none of them negative, and the instance of each; some belong to none."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).gamma(0.5, size=(20, width))
    of = random.integers(-1, 20, rows)
    found = np.where(of[:, None] < 0, random.gamma(0.5, size=(rows, width)), centres[of])
    found = np.maximum(found + 0.3 * random.normal(size=(rows, width)), 0)
    return normalise(found.astype(np.float32)), np.where(of < 0, "", of.astype(str))


def quietly(compression: str, X: np.ndarray, y: np.ndarray | None = None) -> Code:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(learns 16 centres|rows to learn on)")
        return learn_code(compression, X, y)


@lru_cache(maxsize=64)
def learned(compression: str) -> Code:
    return quietly(compression, *clustered(ROWS))


def usable(name: str) -> str:
    if COMPRESSIONS.info(name).facts.get("needs") == "faiss-cpu" and not has_faiss():
        pytest.skip("needs faiss-cpu")
    return name


def products(queries: Any, rows: Any) -> np.ndarray:
    """Exact inner products (Q, N)."""
    return np.array(
        [[math.fsum(float(a) * float(b) for a, b in zip(q, x, strict=True)) for x in rows] for q in queries]
    )


# what every registered code promises


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_code_keeps_so_many_bytes_and_scores_them_alike_in_any_block(name):
    code, (X, _), (Q, _) = learned(usable(name)), clustered(90, seed=1), clustered(7, seed=2)
    codes, prepared = code.encode(X), code.prepare(Q)
    assert codes.ndim == 2
    assert codes.nbytes == len(X) * code.row_bytes
    assert len(code.decode(codes)) == len(X)
    scores = code.scores(prepared, codes)
    assert (scores.shape, scores.dtype) == ((7, 90), np.float32)
    assert np.isfinite(scores).all()
    for cut in (1, 40, 89):
        np.testing.assert_array_equal(np.vstack([code.encode(X[:cut]), code.encode(X[cut:])]), codes)
        np.testing.assert_array_equal(
            np.hstack([code.scores(prepared, part) for part in (codes[:cut], codes[cut:])]), scores
        )
    np.testing.assert_array_equal(
        np.vstack([code.scores(code.prepare(part), codes) for part in (Q[:3], Q[3:])]), scores
    )


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_code_finds_an_image_among_its_like_first(name):
    """Images of one instance score higher than others: mostly, because bits are few."""
    code, (X, of) = learned(usable(name)), clustered(300, seed=3)
    scores = code.scores(code.prepare(X), code.encode(X))
    same = (of[:, None] == of) & (of != "")
    pairs = ~np.eye(len(X), dtype=bool) & (of != "")[:, None]
    assert (np.diag(scores)[:, None] >= scores)[~np.eye(len(X), dtype=bool)].mean() > 0.95
    assert scores[same & pairs].mean() > scores[~same & pairs].mean() + scores[~same & pairs].std() / 2


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_every_code_learns_the_same_again_bit_for_bit_and_leaves_its_rows_alone(name):
    X, labels = clustered(ROWS)
    before, first, again = X.copy(), learned(usable(name)), quietly(name, X, labels)
    np.testing.assert_array_equal(X, before)
    np.testing.assert_array_equal(first.encode(X), again.encode(X))
    arrays = {key: value for key, value in vars(first).items() if isinstance(value, np.ndarray)}
    for key, value in arrays.items():
        np.testing.assert_array_equal(vars(again)[key], value)
    assert first.get_params() == again.get_params()


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_no_code_learns_from_rows_of_zeros_and_all_encode_them(name):
    X, labels = clustered(ROWS)
    holes = np.insert(X, [0, 350, ROWS], 0, axis=0)
    code = quietly(usable(name), holes, np.insert(labels, [0, 350, ROWS], "1"))
    np.testing.assert_array_equal(code.encode(X), learned(name).encode(X))
    zeros = np.zeros((2, WIDTH), np.float32)
    assert np.isfinite(code.scores(code.prepare(zeros), code.encode(zeros))).all()
    with pytest.raises(ValueError, match="must not all be zero, got 3 zero rows"):
        learn_code(name, np.zeros((3, WIDTH)), ["a", "b", "c"])


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_no_code_learns_from_nan_or_from_nothing(name):
    X, labels = clustered(ROWS)
    make, some = Compression.parse(usable(name)).make, X.copy()
    some[3, 5] = np.nan
    for rows, message in (
        (some, "must be finite, got NaN or infinity in row 3"),
        (X[0], r"must be \(N, D\)"),
        (X[:0], r"not empty, got \(0, 96\)"),
    ):
        with pytest.raises(ValueError, match=message):
            make().fit(rows, labels[: len(rows)])
    if COMPRESSIONS.info(name).facts["pairs"]:
        for wrong in (None, labels[:-1]):
            with pytest.raises(ValueError, match="one instance label per row"):
                learn_code(name, X, wrong)


@WITH_FAISS
@pytest.mark.parametrize("name", COMPRESSIONS)
def test_faiss_stores_as_many_bytes_where_it_has_the_code(name):
    import faiss

    code = learned(name)
    if code.factory:
        index = faiss.index_factory(code.space(np.zeros((1, WIDTH), np.float32)).shape[1], code.factory)
        assert index.sa_code_size() == code.row_bytes


# bits


def of_outputs(outputs: Sequence[Sequence[int]]) -> BinaryCode:
    """A code whose outputs on the unit matrix are these."""
    code = LSH(bits=len(outputs[0]))
    code.width_, code.mean_, code.projection_ = len(outputs), np.zeros(len(outputs)), np.array(outputs, float)
    return code


def test_the_first_bit_is_the_lowest_and_the_last_byte_is_filled_with_zeros():
    signs = [2 * bit - 1 for bit in (1, 0, 1, 1, 0, 0, 0, 1, 1)]
    code = of_outputs([signs])
    packed = code.encode(np.ones((1, 1)))
    assert packed.tolist() == [[141, 1]]
    assert code.row_bytes == 2
    np.testing.assert_allclose(code.decode(packed) * 3, [signs], rtol=1e-6)


def test_golden_hamming_distance_and_product():
    one, other = (1, -1, 1, 1, -1, -1, 1, -1), (1, 1, 1, -1, -1, 1, 1, 1)
    code = of_outputs([one, other])
    codes = code.encode(np.eye(2))
    assert hamming(codes, codes).tolist() == [[0, 4], [4, 0]]
    assert code.scores(codes, codes).tolist() == [[1, 0], [0, 1]]
    assert (code.decode(codes) @ code.decode(codes).T).round(6).tolist() == [[1, 0], [0, 1]]
    code.distance = "asymmetric"
    assert code.scores(code.prepare(np.eye(2) * 7), codes)[0].tolist() == pytest.approx([1, 0])


@pytest.mark.parametrize("bits", [1, 8, 20, 64, 65, 130])
def test_hamming_distances_are_those_of_loops_and_of_faiss(bits):
    random = np.random.default_rng(bits)
    one, other = (np.packbits(random.random((n, bits)) < 0.5, axis=1, bitorder="little") for n in (5, 30))
    found = hamming(one, other)
    assert found.tolist() == [
        [sum(bin(a ^ b).count("1") for a, b in zip(x.tolist(), y.tolist(), strict=True)) for y in other] for x in one
    ]
    if has_faiss():
        import faiss

        index = faiss.IndexBinaryFlat(8 * one.shape[1])
        index.add(other)
        distances, rows = index.search(one, 30)
        np.testing.assert_array_equal(distances, np.take_along_axis(found, rows, axis=1))


@pytest.mark.parametrize("name", ["lsh(bits=20)", "pcah(bits=24)", "pca_rr(bits=33)", "itq(bits=24)"])
@pytest.mark.parametrize("distance", ["symmetric", "asymmetric"])
def test_binary_codes_are_those_of_loops(name, distance):
    code, (X, _), (Q, _) = learned(f"{name[:-1]}, distance={distance})"), clustered(12, seed=4), clustered(4, seed=5)
    assert isinstance(code, BinaryCode)
    K = code.bits_

    def outputs(rows):
        return products(rows.astype(float) - code.mean_, code.projection_.T)

    signs = [[1 if u >= 0 else -1 for u in row] for row in outputs(X)]
    codes = code.encode(X)
    for row, packed in zip(signs, codes, strict=True):
        bytes_ = [sum((row[k] > 0) << (k % 8) for k in range(start, min(start + 8, K))) for start in range(0, K, 8)]
        assert packed.tolist() == bytes_
    scores = code.scores(code.prepare(Q), codes)
    for q, u in enumerate(outputs(Q)):
        for n, b in enumerate(signs):
            if distance == "symmetric":
                differing = sum((x >= 0) != (y > 0) for x, y in zip(u, b, strict=True))
                assert scores[q, n] == np.float32(1 - 2 * differing / K)
            else:
                cosine = math.fsum(x * y for x, y in zip(u, b, strict=True)) / math.hypot(*u) / math.sqrt(K)
                assert scores[q, n] == pytest.approx(cosine, abs=1e-6)


def test_bits_of_lsh_differ_with_probability_angle_over_pi():
    code = LSH(bits=4096, seed=3).fit(np.vstack([np.eye(3), -np.eye(3)]))
    for angle in (0.1, 0.8, 2.0):
        pair = code.encode(np.array([[1, 0, 0], [math.cos(angle), math.sin(angle), 0]]))
        share = hamming(pair[:1], pair[1:])[0, 0] / 4096
        assert abs(share - angle / math.pi) < 4 * math.sqrt(0.25 / 4096)


def test_pcah_and_its_rotation_span_the_leading_axes():
    X, _ = clustered(ROWS)
    _, _, axes = np.linalg.svd(X.astype(float) - X.mean(axis=0, dtype=float), full_matrices=False)
    for name in ("pcah(bits=16)", "pca_rr(bits=16)", "itq(bits=16)"):
        code = learned(name)
        assert isinstance(code, BinaryCode)
        np.testing.assert_allclose(code.projection_ @ code.projection_.T, axes[:16].T @ axes[:16], atol=1e-6)
        np.testing.assert_allclose(code.projection_.T @ code.projection_, np.eye(16), atol=1e-8)


V = np.array([[2, 1], [1, 2], [-2, -1], [-1, -2], [1, -1], [-1, 1]], float)


def test_golden_rotation_of_itq_and_its_local_optimum():
    R, objective = rotate(V, np.eye(2), 5)
    np.testing.assert_allclose(objective * V.size, 4)
    np.testing.assert_allclose(R, np.eye(2), atol=1e-12)
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    R, objective = rotate(V, np.array([[c, -s], [s, c]]), 5)
    np.testing.assert_allclose(objective * V.size, [7.215390] + [7.155590] * 5, atol=1e-6)
    np.testing.assert_allclose(R, [[0.83205, -0.55470], [0.55470, 0.83205]], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(2, 30), bits=st.integers(1, 6))
def test_the_objective_of_itq_never_rises_and_is_what_it_says(seed, rows, bits):
    V = np.random.default_rng(seed).normal(size=(rows, bits))
    R, objective = rotate(V, random_rotation(bits, seed), 12)
    assert (np.diff(objective) <= 1e-12).all()
    np.testing.assert_allclose(R @ R.T, np.eye(bits), atol=1e-10)
    last = sum((math.copysign(1, u) - u) ** 2 for row in V @ R for u in row) / (rows * bits)
    assert objective[-1] == pytest.approx(last)


def test_each_step_of_itq_is_the_procrustes_rotation_of_scipy():
    """faiss is no witness here: the step of its ITQMatrix (1.15) multiplies transposed singular vectors."""
    random = np.random.default_rng(1)
    V = random.normal(size=(200, 9)) @ random.normal(size=(9, 9))
    R = random_rotation(9, 4)
    for steps in range(1, 6):
        R, _ = orthogonal_procrustes(V, np.where(V @ R >= 0, 1.0, -1.0))
        np.testing.assert_allclose(rotate(V, random_rotation(9, 4), steps)[0], R, atol=1e-9)


def test_itq_is_pca_and_the_rotation_from_its_seed():
    X = normalise(clustered(ROWS)[0])
    code, plain = learned("itq(bits=16, seed=5, iterations=7)"), learned("pcah(bits=16)")
    assert isinstance(code, ITQ)
    assert isinstance(plain, BinaryCode)
    R, objective = rotate((X - plain.mean_) @ plain.projection_, random_rotation(16, 5), 7)
    np.testing.assert_allclose(code.projection_, plain.projection_ @ R, atol=1e-9)
    np.testing.assert_allclose(code.objective_, objective)
    assert len(objective) == 8
    assert (code.projection_ != vars(learned("itq(bits=16, seed=6, iterations=7)"))["projection_"]).any()


def test_golden_modes_of_spectral_hashing():
    ranges = np.array([4.0, 2, 1])
    axis, mode = lowest_modes(ranges, 6)
    assert [*zip(axis.tolist(), mode.tolist(), strict=True)] == [(0, 1), (0, 2), (1, 1), (0, 3), (0, 4), (1, 2)]
    np.testing.assert_allclose(
        (mode * np.pi / ranges[axis]) ** 2, [0.6169, 2.4674, 2.4674, 5.5517, 9.8696, 9.8696], atol=1e-4
    )


def test_spectral_hashing_is_that_of_loops_and_clips_what_lies_outside():
    code, (X, _) = learned("sh(bits=12)"), clustered(20, seed=6)
    assert isinstance(code, SpectralHashing)
    X = np.vstack([X, 5 * X[:2], -5 * X[:2]])
    along = products(X.astype(float) - code.mean_, code.projection_.T)
    wanted = [
        [
            math.sin(math.pi / 2 + j * math.pi * min(max((x - a) / r, 0), 1))
            for x, a, r, j in zip(row, code.low_, code.range_, code.mode_, strict=True)
        ]
        for row in along
    ]
    np.testing.assert_allclose(code.outputs(X), wanted, atol=1e-7)
    T, _ = clustered(ROWS)
    spread = (T - code.mean_) @ code.projection_
    np.testing.assert_allclose(np.ptp(spread, axis=0), code.range_, rtol=1e-5)


# numbers of few bits


@pytest.mark.parametrize("bits", [1, 4, 6, 8])
def test_packed_numbers_come_back(bits):
    cells = np.random.default_rng(bits).integers(2**bits, size=(9, 13)).astype(np.uint8)
    packed = pack(cells, bits)
    assert packed.shape == (9, -(-13 * bits // 8))
    np.testing.assert_array_equal(unpack(packed, bits, 13), cells)
    stream = sum(int(value) << (bits * place) for place, value in enumerate(cells[0]))
    assert packed[0].tobytes() == stream.to_bytes(packed.shape[1], "little")


def test_golden_cells_of_sq():
    code = ScalarQuantiser(bits=8)
    code.width_, code.low_, code.high_ = 4, np.full(4, -0.3, np.float32), np.full(4, 0.7, np.float32)
    codes = code.encode(np.array([[-0.3, 0.1, 0.25, 0.7], [-9, 9, -0.31, 0.71]], np.float32))
    assert codes.tolist() == [[0, 102, 140, 255], [0, 255, 0, 255]]
    np.testing.assert_allclose(code.decode(codes)[0], [-0.298039, 0.101961, 0.250980, 0.701961], atol=1e-6)


@WITH_FAISS
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_faiss_quantises_dimensions_alike(bits):
    import faiss

    code, (T, _), (X, _) = learned(f"sq(bits={bits})"), clustered(ROWS), clustered(60, seed=7)
    assert isinstance(code, ScalarQuantiser)
    theirs = faiss.ScalarQuantizer(WIDTH, getattr(faiss.ScalarQuantizer, f"QT_{bits}bit"))
    theirs.train(T)
    low, width = faiss.vector_to_array(theirs.trained).reshape(2, -1)
    np.testing.assert_array_equal(code.low_, low)
    np.testing.assert_allclose(code.high_ - code.low_, width, rtol=1e-6)
    codes = theirs.compute_codes(X)
    np.testing.assert_array_equal(code.encode(X), codes)
    np.testing.assert_allclose(code.decode(codes), theirs.decode(codes), atol=1e-6)


def test_a_dimension_that_never_changes_is_kept_as_it_is():
    X, _ = clustered(ROWS)
    X[:, 4] = 0.25
    for bits in (4, 6, 8):
        code = ScalarQuantiser(bits=bits).fit(X)
        assert (code.decode(code.encode(X))[:, 4] == np.float32(0.25)).all()


@WITH_FAISS
def test_faiss_halves_precision_alike():
    import faiss

    code, (X, _) = learned("float16"), clustered(20, seed=8)
    theirs = faiss.ScalarQuantizer(WIDTH, faiss.ScalarQuantizer.QT_fp16)
    np.testing.assert_array_equal(code.encode(X).view(np.uint8), theirs.compute_codes(X))


@pytest.mark.parametrize(
    "name", ["none", "float16", "sq(bits=4)", "truncate(dimensions=8)", "pq(m=8, bits=4)", "opq(m=8, bits=4)"]
)
def test_codes_that_stand_for_a_vector_sort_by_the_distance_to_it(name):
    usable(name.partition("(")[0])
    code, (X, _), (Q, _) = learned(name), clustered(25, seed=9), clustered(4, seed=10)
    codes, prepared = code.encode(X), code.prepare(Q)
    rows, scores = code.decode(codes).astype(float), code.scores(prepared, codes)
    distances = [[math.dist(q, x) ** 2 for x in rows] for q in prepared.astype(float)]
    np.testing.assert_allclose(scores, 1 - np.array(distances) / 2, atol=1e-6)


def test_cut_rows_have_length_one_again():
    code, (X, _) = learned("truncate(dimensions=8)"), clustered(9, seed=11)
    wanted = [[x / math.hypot(*map(float, row[:8])) for x in row[:8]] for row in X]
    np.testing.assert_allclose(code.encode(X), wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="dimensions must be at most 96, the width of the rows, got 97"):
        learn_code("truncate(dimensions=97)", X)


# product quantisation


@pytest.mark.parametrize("name", ["pq(m=4, bits=4)", "opq(m=4, bits=4)", "truncate(dimensions=3)", "sq", "itq(bits=4)"])
def test_rows_of_another_width_are_not_encoded(name):
    X = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        code = learn_code(name, X)
    assert len(code.encode(X)) == 100
    for width in (4, 7, 12):
        with pytest.raises(ValueError, match=r"must be \(N, 8\), as what it learned|broadcast|matmul"):
            code.encode(np.ones((3, width), np.float32))


def test_golden_numbers_of_product_quantisation():
    code = PQ()
    code.width_, code.centres_ = 4, np.array([[[0, 0], [2, 0]], [[0, 1], [0, -1]]], np.float32)
    x, q = (np.array([one], np.float32) for one in ((1.8, 0.3, 0.2, 0.7), (0.5, 0.5, -0.5, -0.5)))
    codes = code.encode(x)
    assert codes.tolist() == [[0b01]], "cell 1, then cell 0"
    row, coded = code.decode(codes)[0], code.decode(code.encode(q))[0]
    assert row.tolist() == [2, 0, 0, 1]
    tables = [
        [math.dist(part, centre) ** 2 for centre in group]
        for part, group in zip(q.reshape(2, 2), code.centres_, strict=True)
    ]
    np.testing.assert_allclose(tables, [[0.5, 2.5], [2.5, 0.5]])
    assert code.scores(q, codes)[0, 0] == pytest.approx(1 - (tables[0][1] + tables[1][0]) / 2)
    assert math.dist(q[0], row) ** 2 == pytest.approx(5)
    assert math.dist(coded, row) ** 2 == pytest.approx(8)
    assert math.dist(q[0], x[0]) ** 2 == pytest.approx(3.66)
    assert math.dist(x[0], row) ** 2 == pytest.approx(0.26)
    assert (q[0] @ row, q[0] @ x[0]) == (0.5, pytest.approx(0.6))


@WITH_FAISS
@pytest.mark.parametrize(("m", "bits"), [(8, 4), (3, 4), (12, 8)])
@pytest.mark.parametrize("name", ["pq", "opq"])
def test_faiss_quantises_groups_alike(name, m, bits):
    import faiss

    code, (X, _) = learned(f"{name}(m={m}, bits={bits})"), clustered(80, seed=12)
    assert isinstance(code, PQ)
    theirs: Any = faiss.ProductQuantizer(WIDTH, m, bits)  # its methods are patched in
    faiss.copy_array_to_vector(code.centres_.ravel(), theirs.centroids)
    rows = np.ascontiguousarray(code.space(X))
    codes = code.encode(X)
    np.testing.assert_array_equal(codes, theirs.compute_codes(rows))
    np.testing.assert_array_equal(code.decode(codes), theirs.decode(codes))
    for row, numbers in zip(rows[:5], unpack(codes, bits, m), strict=False):
        for group, (part, number) in enumerate(zip(row.reshape(m, -1), numbers, strict=True)):
            distances = [math.dist(part, centre) for centre in code.centres_[group]]
            assert distances[number] == pytest.approx(min(distances), abs=1e-6)


@WITH_FAISS
def test_the_rotation_of_opq_is_one_and_helps():
    """Energy in the leading dimensions, as after PCA: groups of neighbours hold very unequal amounts."""
    import faiss

    random = np.random.default_rng(0)
    X = normalise((random.normal(size=(2000, 32)) / np.arange(1, 33)).astype(np.float32))
    plain, turned = quietly("pq(m=8, bits=4)", X), quietly("opq(m=8, bits=4)", X)
    R = vars(turned)["rotation_"]
    np.testing.assert_allclose(R @ R.T, np.eye(32), atol=1e-4)
    theirs: Any = faiss.OPQMatrix(32, 8)
    theirs.pq = quantiser = faiss.ProductQuantizer(32, 8, 4)
    quantiser.cp.min_points_per_centroid = 1
    with one_thread("test"):
        theirs.train(normalise(X))
    np.testing.assert_allclose(turned.space(X), theirs.apply(X), atol=1e-4)
    errors = [np.square(code.space(X) - code.decode(code.encode(X))).sum(axis=1).mean() for code in (plain, turned)]
    assert errors[1] < 0.8 * errors[0]


# RaBitQ


def rabitq(width: int, seed: int, mean: np.ndarray) -> RaBitQ:
    """A code with this mean and this rotation, as it would have learned them."""
    code = RaBitQ(seed=seed)
    code.width_, code.mean_ = width, mean.astype(np.float32)
    code.rotation_ = random_rotation(width, seed).astype(np.float32)
    return code


def test_rabitq_is_that_of_loops():
    code, (X, _), (Q, _) = learned("rabitq"), clustered(6, seed=13), clustered(3, seed=14)
    assert isinstance(code, RaBitQ)
    codes = code.encode(X)
    scores = code.scores(code.prepare(Q), codes)
    mean, P = code.mean_.astype(float), code.rotation_.astype(float)
    for n, x in enumerate(X.astype(float)):
        length = math.dist(x, mean)
        o = (x - mean) / length
        b = [1 if value >= 0 else -1 for value in products([o], P.T)[0]]
        obar = products([b], P)[0] / math.sqrt(WIDTH)
        product = math.fsum(obar * o)
        assert codes[n, -8:].view(np.float32).tolist() == pytest.approx([length, product], rel=1e-5)
        assert np.unpackbits(codes[n, :-8], bitorder="little").tolist() == [(one + 1) // 2 for one in b]
        for q, query in enumerate(Q.astype(float)):
            from_mean = query - mean
            estimate = math.fsum(obar * from_mean) / product * length
            squared = math.fsum(from_mean**2) + length**2 - 2 * estimate
            assert scores[q, n] == pytest.approx(1 - squared / 2, abs=1e-5)


def test_a_row_at_the_mean_has_no_direction_and_is_scored_by_the_mean():
    code, (Q, _) = rabitq(8, 0, np.full(8, 0.25)), clustered(3, 8, seed=18)
    codes = code.encode(np.full((1, 8), 0.25, np.float32))
    np.testing.assert_allclose(code.decode(codes), np.full((1, 8), 0.25))
    wanted = [1 - math.dist(q, [0.25] * 8) ** 2 / 2 for q in Q.astype(float)]
    np.testing.assert_allclose(code.scores(Q, codes)[:, 0], wanted, atol=1e-6)


@pytest.mark.parametrize(("width", "draws"), [(16, 3000), (128, 400)])
def test_over_many_rotations_rabitq_is_right_on_average_and_errs_as_published(width, draws):
    """The error of <q - c, x - c> has deviation |q - c| |x - c| sqrt((1 / p^2 - 1) / (D - 1)), p = <obar, o>."""
    random = np.random.default_rng(width)
    mean = np.full(width, 0.9 / math.sqrt(width))
    x, q = (normalise(mean + 0.5 / math.sqrt(width) * random.normal(size=(1, width))) for _ in range(2))
    estimates, shares = [], []
    for seed in range(draws):
        code = rabitq(width, seed, mean)
        codes = code.encode(x)
        estimates.append([code.scores(q, codes)[0, 0], (q @ code.decode(codes)[0])[0]])
        shares.append(codes[0, -4:].view(np.float32)[0])
    deviations = np.std(estimates, axis=0)
    bias = np.mean(estimates, axis=0) - [1 - math.dist(q[0], x[0]) ** 2 / 2, (q @ x.T)[0, 0]]
    assert (abs(bias) < 4 * deviations / math.sqrt(draws)).all()
    spread = math.sqrt(np.mean(1 / np.square(shares) - 1) / (width - 1))
    assert deviations[0] == pytest.approx(math.dist(q[0], mean) * math.dist(x[0], mean) * spread, rel=0.15)
    assert deviations[0] < 0.7 * deviations[1], "the distance from the mean, not from the origin, counts"


@WITH_FAISS
def test_faiss_estimates_alike_in_rotated_space():
    import faiss

    code, (T, _), (X, _), (Q, _) = learned("rabitq"), *(clustered(n, seed=s) for n, s in ((ROWS, 0), (40, 15), (6, 16)))
    assert isinstance(code, RaBitQ)
    index = faiss.IndexRaBitQ(WIDTH, faiss.METRIC_L2)
    index.train(code.space(T))
    index.add(code.space(X))
    index.qb = 0
    codes = code.encode(X)
    theirs = faiss.vector_to_array(index.codes).reshape(40, -1)  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(theirs[:, :-8], codes[:, :-8])
    distances, rows = index.search(code.space(Q), 40)
    scores = np.take_along_axis(code.scores(code.prepare(Q), codes), rows, axis=1)
    np.testing.assert_allclose(scores, 1 - distances / 2, atol=1e-4)


# what does not fit


@pytest.mark.parametrize(
    ("compression", "rows", "message"),
    [
        ("pcah(bits=97)", ROWS, r"PCAH: bits must be at most 96, .* 700 rows .* \(of 96\), got 97; .* or 'lsh'"),
        ("itq(bits=64)", 20, r"ITQ: bits must be at most 19, .* 20 rows"),
        ("pca_rr(bits=64)", 20, r"PCARandomRotation: bits must be at most 19"),
        ("itq(bits=0)", ROWS, r"bits must be a whole number in \[1, 4096\], got 0"),
        ("itq(distance=cosine)", ROWS, "distance must be one of 'symmetric', 'asymmetric', got 'cosine'"),
        ("sq(bits=5)", ROWS, "bits must be one of 4, 6, 8, got 5"),
        ("pcah(bits=4)", 1, "X must hold rows that differ, got 1 equal rows"),
        ("pq(m=5)", ROWS, "PQ: m must divide the 96 dimensions .* one of 1, 2, 3, 4, .*, got 5"),
        ("pq(bits=8)", 200, "256 centres needs at least as many rows .*, got 200; take bits=4, or"),
        ("opq(bits=4)", 9, r"OPQ: a codebook of 16 centres .* got 9; learn on a larger set"),
        ("pq(bits=5)", ROWS, "bits must be one of None, 4, 8, got 5"),
    ],
)
def test_parameters_that_do_not_fit_the_rows_are_refused(compression, rows, message):
    with pytest.raises(ValueError, match=message):
        learn_code(compression, clustered(rows)[0])


def test_names_are_checked():
    with pytest.raises(UnknownName, match="Did you mean 'itq'"):
        learn_code("itqq", clustered(ROWS)[0])
    assert Compression.parse("itq(bits=64, distance=asymmetric)").key == "itq(bits=64, distance='asymmetric')"
    assert not Compression.parse("none").used


@WITH_FAISS
def test_codebooks_on_few_rows_shrink_or_warn():
    X, _ = clustered(ROWS)
    with pytest.warns(
        UserWarning, match=r"PQ: learns 16 centres \(bits=4\) on 700 rows; 256 \(bits=8\) would want 9984"
    ):
        code = learn_code("pq", X)
    assert (code.factory, code.row_bytes) == ("PQ16x4np", 8)
    with pytest.warns(
        UserWarning, match="OPQ: bits=8 wants 9984 rows to learn on, 39 for each centre, and has 700"
    ) as said:
        learn_code("opq(m=8, bits=8)", X)
    assert len(said) == 1


def test_without_faiss_pq_says_what_is_missing_and_the_rest_works(monkeypatch):
    monkeypatch.setattr("cbirlab.compression.library.find_spec", lambda name: None)
    X, labels = clustered(ROWS)
    for name in COMPRESSIONS:
        if COMPRESSIONS.info(name).facts.get("needs") == "faiss-cpu":
            with pytest.raises(MissingLibrary, match=r"PQ needs faiss: pip install 'cbirlab\[scale\]'\. Without it"):
                quietly(name, X)
    for name in ("itq", "sq", "rabitq"):
        assert len(learn_code(name, X, labels).encode(X)) == ROWS


@pytest.mark.parametrize("first", ["torch", "faiss", "neither"])
def test_faiss_and_torch_live_in_one_process_in_both_orders_and_codes_need_neither(first):
    if first != "neither" and not has_faiss():
        pytest.skip("needs faiss-cpu")
    heads = {
        "neither": "sys.modules['faiss'] = None; names = ['itq', 'sh', 'sq', 'rabitq', 'binary']",
        "torch": "import torch, faiss; names = ['pq', 'itq']",
        "faiss": "import faiss, torch; names = ['pq', 'itq']",
    }
    program = f"""
import sys, warnings
import numpy as np
{heads[first]}
warnings.simplefilter("ignore")
from cbirlab.compression import learn_code
X = np.random.default_rng(0).normal(size=(700, 64)).astype(np.float32)
for name in names:
    code = learn_code(name, X)
    assert np.isfinite(code.scores(code.prepare(X), code.encode(X))).all()
if {first != "neither"}:
    import torch
    assert torch.nn.functional.cosine_similarity(*torch.ones(2, 3, 4), dim=1).tolist() == [1, 1, 1]
assert ('torch' in sys.modules) == {first != "neither"}
print("done")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.stdout.strip() == "done", ran.stderr


def test_bits_of_one_dimension_each_are_the_signs_of_centred_rows():
    code, (X, _) = learned("binary"), clustered(8, seed=17)
    assert isinstance(code, OneBit)
    T, _ = clustered(ROWS)
    mean = [math.fsum(map(float, column)) / ROWS for column in T.T]
    bits = np.unpackbits(code.encode(X), axis=1, bitorder="little")
    for x, packed in zip(X, bits, strict=True):
        assert packed.tolist() == [int(value >= centre) for value, centre in zip(x.tolist(), mean, strict=True)]
