"""Lists of neighbours against loops, what a gallery keeps of what it prepares, and what that took."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.sparse import csr_array

from cbirlab.reranking import Answers, Gallery, find_neighbours, rerank_answers
from cbirlab.reranking.gallery import _size


def planted(seed, count):
    """Rows with many equal cosines: unit vectors of a small grid, and rows of zeros."""
    rows = np.random.default_rng(seed).integers(-1, 2, (count, 3)).astype(np.float32)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1).astype(np.float32)


def slow_lists(rows, k):
    """The nearest others of each row, equal ones by image index; what has no descriptor comes last, at -inf."""
    lists = []
    for i, row in enumerate(rows.astype(float)):
        keys = []
        for j, other in enumerate(rows.astype(float)):
            score = float(np.float32(row @ other)) if row.any() and other.any() else -np.inf
            keys += [(-score, j)] if j != i else []
        lists.append(sorted(keys)[:k])
    return np.array([[j for _, j in one] for one in lists]), np.array([[-s for s, _ in one] for one in lists])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "k"), [(30, 5), (30, 29), (8, 200), (2, 1)])
def test_neighbours_are_those_of_the_loops(seed, count, k):
    rows = planted(seed, count)
    found, (images, scores) = find_neighbours(rows, k), slow_lists(rows, min(k, count - 1))
    assert np.array_equal(found.images, images)
    assert np.array_equal(found.scores, scores.astype(np.float32))
    assert np.array_equal(found.there, scores > -np.inf)


def test_one_image_has_no_neighbours():
    found = find_neighbours(np.ones((1, 1), np.float32), 5)
    assert found.images.shape == found.scores.shape == (1, 0)
    gallery = Gallery(np.ones((1, 1), np.float32))
    assert gallery.neighbours(5)[0].shape == (1, 0)
    assert gallery.reach(5) == -np.inf


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "more", "k"), [(20, 9, 6), (20, 1, 19), (30, 12, 3)])
def test_lists_that_take_up_new_images_are_those_found_anew(seed, count, more, k):
    rows = planted(seed, count + more)
    extended = find_neighbours(rows[:count], k).extended(rows[:count], rows[count:])
    images, scores = slow_lists(rows, k)
    assert np.array_equal(extended.images, images)
    assert np.array_equal(extended.scores, scores.astype(np.float32))


def test_a_gallery_counts_what_was_prepared_inside_once():
    gallery = Gallery(planted(0, 10))

    def inner():
        time.sleep(0.05)
        return 1

    def outer():
        return gallery.prepared("inner", inner) + 1

    start = time.perf_counter()
    assert gallery.prepared("outer", outer) == 2
    whole = time.perf_counter() - start
    assert 0.05 <= gallery.seconds <= whole
    before = gallery.seconds
    assert (gallery.prepared("outer", outer), gallery.prepared("inner", inner)) == (2, 1)
    assert gallery.seconds == before, "what is there takes nothing"


def test_sparse_matrices_count_with_what_is_kept():
    matrix = csr_array(np.eye(50))
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    assert _size(matrix) == _size(matrix.tocsc()) == size
    assert _size((matrix, [matrix])) == 2 * size


@pytest.mark.parametrize("method", ["k_reciprocal", "k_reciprocal_graph", "diffusion", "diffusion_offline(truncate=9)"])
def test_methods_keep_what_they_prepare(method):
    random = np.random.default_rng(0)
    rows = random.normal(size=(60, 8))
    gallery = Gallery(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    answers = Answers.of_exact(gallery.rows[:3], gallery)
    rerank_answers(answers, method)
    lists = 60 * 8 * 20
    assert gallery._kept.size_bytes > lists / 2, "sparse matrices are counted"
    before = gallery.seconds
    rerank_answers(answers, method)
    assert gallery.seconds == before
