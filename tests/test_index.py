"""The exact index against loops and faiss; ties, blocks, memory maps, and what must be refused."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cbirlab.index import INDEXES, Ranking

ExactIndex = INDEXES["exact"]


def rows(count, width, seed=0) -> np.ndarray:
    X = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return X / np.linalg.norm(X, axis=1, keepdims=True)


small = st.integers(-3, 3).map(float)


@given(
    arrays(np.float32, st.tuples(st.integers(1, 4), st.just(2)), elements=small),
    arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=small),
    st.integers(1, 12),
)
def test_rankings_with_many_ties_are_those_of_the_loops_for_every_k(queries, database, k):
    """Small whole numbers tie all the time, across the cut at k and across blocks of a few rows too."""
    expected = reference.ranking(queries, database)
    assert ExactIndex().fit(database).search(queries).images.tolist() == expected
    k = min(k, len(database))
    in_blocks = ExactIndex(block_mb=0.001).fit(np.repeat(database, 9, axis=0)).search(queries, k)
    tiled = reference.ranking(queries, np.repeat(database, 9, axis=0))
    assert in_blocks.images.tolist() == [answer[:k] for answer in tiled]


def test_the_exact_index_agrees_with_faiss():
    database, queries = rows(500, 32), rows(20, 32, seed=1)
    flat = faiss.IndexFlatIP(32)
    flat.add(database)
    scores, images = flat.search(queries, 50)
    ours = ExactIndex().fit(database).search(queries, 50)
    np.testing.assert_allclose(ours.scores, scores, atol=1e-6)
    swapped = ours.images != images
    assert swapped.mean() < 0.01
    np.testing.assert_allclose(ours.scores[swapped], scores[swapped], atol=1e-6)


def test_equal_descriptors_tie_wherever_they_stand():
    """Products of two equal rows may differ in the last bit in float32, which would order them by chance."""
    database = rows(997, 129)
    copies = np.random.default_rng(2).permutation(997)[:40]
    database[copies] = database[copies[0]]
    for block_mb in (64, 0.5, 0.05):
        ranking = ExactIndex(block_mb=block_mb).fit(database).search(database[copies[:3]])
        assert ranking.images[:, :40].tolist() == [sorted(copies.tolist())] * 3
        assert (ranking.scores[:, :40] == ranking.scores[:, :1]).all()


def test_the_answer_does_not_depend_on_blocks_or_on_the_other_queries():
    database, queries = rows(300, 24), rows(17, 24, seed=3)
    whole = ExactIndex().fit(database).search(queries)
    for block_mb in (1, 0.02, 0.001):
        blocked = ExactIndex(block_mb=block_mb).fit(database).search(queries)
        np.testing.assert_array_equal(blocked.images, whole.images)
        np.testing.assert_array_equal(blocked.scores, whole.scores)
    one = ExactIndex().fit(database).search(queries[5:6], k=7)
    np.testing.assert_array_equal(one.images, whole.images[5:6, :7])
    np.testing.assert_array_equal(one.scores, whole.scores[5:6, :7])


def test_scores_fall_and_come_back_from_the_keys_unharmed():
    values = np.array([1e-30, -1e-30, 0.0, -0.0, 3e38, -3e38, 1.0, -2.5], dtype=np.float32)
    database = np.stack([values, np.ones_like(values)], axis=1)  # a row of zeros would be no descriptor
    ranking = ExactIndex().fit(database).search(np.array([[1, 0]], dtype=np.float32))
    assert ranking.images.tolist() == [[4, 6, 0, 2, 3, 1, 7, 5]]
    np.testing.assert_array_equal(ranking.scores[0], database[ranking.images[0], 0])
    assert ranking.images.dtype == np.int64
    assert ranking.scores.dtype == np.float32


def test_scores_too_small_for_float32_tie_whatever_their_sign():
    ranking = ExactIndex().fit(np.array([[0.0, 1], [-1e-60, 1], [1e-60, 1]])).search(np.array([[1.0, 0]]))
    assert ranking.images.tolist() == [[0, 1, 2]]
    assert not ranking.scores.any()


def test_all_zero_descriptors_come_in_the_order_of_the_database():
    ranking = ExactIndex().fit(np.zeros((6, 3))).search(np.zeros((2, 3)))
    assert ranking.images.tolist() == [[0, 1, 2, 3, 4, 5]] * 2
    assert (ranking.scores == -np.inf).all()
    assert ranking.answers().tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_every_number_type_is_taken(dtype):
    database = np.arange(12).reshape(6, 2).astype(dtype)
    assert ExactIndex().fit(database).search(np.array([[1, 0]], dtype=dtype)).images.tolist() == [[5, 4, 3, 2, 1, 0]]


def test_a_memory_map_is_searched_without_being_copied(tmp_path):
    database = rows(200, 16)
    np.save(tmp_path / "database.npy", database)
    mapped = np.load(tmp_path / "database.npy", mmap_mode="r")
    index = ExactIndex(block_mb=0.01).fit(mapped)
    assert isinstance(index.database_, np.memmap)
    np.testing.assert_array_equal(
        index.search(database[:5]).images, ExactIndex().fit(database).search(database[:5]).images
    )


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_values_that_have_no_place_in_a_ranking_are_refused(poison):
    database = rows(30, 4)
    database[21, 2] = poison
    with pytest.raises(ValueError, match="database row 21 holds NaN"):
        ExactIndex(block_mb=0.001).fit(database).search(rows(3, 4))
    with pytest.raises(ValueError, match="query 21 holds NaN or infinity"):
        ExactIndex(block_mb=0.001).fit(rows(30, 4)).search(database)


def test_wrong_shapes_and_numbers_are_refused_with_a_sentence():
    index = ExactIndex().fit(rows(10, 4))
    with pytest.raises(ValueError, match="queries must have 4 dimensions, got 5"):
        index.search(rows(2, 5))
    with pytest.raises(ValueError, match=r"queries must be .* got \(4,\)"):
        index.search(rows(2, 4)[0])
    with pytest.raises(ValueError, match=r"database must be .* got \(0, 4\)"):
        ExactIndex().fit(np.empty((0, 4)))
    for k in (0, 11, 2.5):
        with pytest.raises(ValueError, match=r"k must be a whole number in \[1, 10\]"):
            index.search(rows(2, 4), k)
    with pytest.raises(TypeError, match="real numbers"):
        ExactIndex().fit(np.array([["a"]]))
    with pytest.raises(RuntimeError, match="call fit"):
        ExactIndex().search(rows(2, 4))
    with pytest.raises(ValueError, match="block_mb must be"):
        ExactIndex(block_mb=0)


def test_a_ranking_has_one_score_per_image_and_can_be_cut():
    ranking = ExactIndex().fit(rows(10, 4)).search(rows(2, 4, seed=1))
    assert len(ranking) == 2
    assert ranking.top(3).images.tolist() == ranking.images[:, :3].tolist()
    with pytest.raises(ValueError, match="alike"):
        Ranking(np.zeros((2, 3), dtype=np.int64), np.zeros((2, 4), dtype=np.float32))
    with pytest.raises(AttributeError):
        ranking.images = None
