"""Diffusion: conjugate gradients against solvers, golden graphs, and the variants that it must not be."""

from __future__ import annotations

import numpy as np
import pytest
import slow_reranking as slow
from golden_reranking import QUERY, ROWS
from test_reranking import clustered, reranked

from cbirlab.reranking import Gallery
from cbirlab.reranking.diffusion import conjugate_gradients
from cbirlab.reranking.graph import mutual_graph, symmetrically_normalised

EDGES = {
    (0, 1): 0.407262,
    (0, 2): 0.270681,
    (1, 2): 0.377971,
    (1, 3): 0.234579,
    (2, 3): 0.374066,
    (3, 4): 0.620599,
    (0, 5): 0.259137,
    (5, 6): 0.443589,
    (5, 7): 0.423377,
    (6, 7): 0.507494,
}


def golden_graph():
    return symmetrically_normalised(mutual_graph(Gallery(ROWS), 3, 3))


def ranked(f):
    return "".join(map(str, slow.order(f)))


def test_the_golden_graph():
    graph = golden_graph().toarray()
    expected = np.zeros((8, 8))
    for (i, j), value in EDGES.items():
        expected[i, j] = expected[j, i] = value
    np.testing.assert_allclose(graph, expected, atol=1e-6)
    assert np.linalg.cond(np.eye(8) - 0.99 * graph) == pytest.approx(175.148, abs=1e-3)
    seeds = slow.seeds(QUERY[0], ROWS, -1, 2, 3)
    assert (seeds[0], seeds[5]) == pytest.approx((0.935865, 0.792523), abs=1e-6)


def test_golden_steps():
    steps = list(conjugate_gradients(golden_graph(), slow.seeds(QUERY[0], ROWS, -1, 2, 3)[None], 0.99))
    assert [ranked(f[0]) for f in steps[:4]] == ["05123467", "05167234", "56701234", "56702134"]
    third = [7.542797, 6.049705, 5.611673, 3.642936, 0, 8.983661, 7.803380, 7.762098]
    assert steps[2][0] == pytest.approx(third, abs=1e-6)
    shown = [reranked(f"diffusion(k=3, kq=2, alpha=0.99, steps={n})", ROWS, QUERY)[0].images[0] for n in (1, 2, 3, 4)]
    assert ["".join(map(str, images)) for images in shown] == ["05761234", "05167234", "56701234", "56702134"]


def test_golden_variants_are_others():
    """k that counts the image itself, the union of lists, rows that sum to 1: each has its own golden ranking."""
    y = slow.seeds(QUERY[0], ROWS, -1, 2, 3)
    near = [set(slow.nearest(ROWS[i], ROWS, 3, i)) for i in range(8)]
    cubes, mutual = np.maximum(ROWS @ ROWS.T, 0) ** 3, slow.affinities(ROWS, 3, 3)
    union = np.array([[cubes[i, j] * (j in near[i] or i in near[j]) for j in range(8)] for i in range(8)])
    own = "".join(map(str, reranked("diffusion(k=2, kq=2, alpha=0.99, steps=100)", ROWS, QUERY)[0].images[0]))
    others = [
        own,
        ranked(slow.solve(slow.normalised(union), y, 0.99)),
        ranked(slow.solve(mutual / mutual.sum(axis=1, keepdims=True), y, 0.99)),
    ]
    assert others == ["56712304", "05276134", "56701234"]
    ours = "".join(map(str, reranked("diffusion(k=3, kq=2, alpha=0.99, steps=100)", ROWS, QUERY)[0].images[0]))
    assert ours not in others


def test_golden_truncation_computes_degrees_anew():
    _, scores = reranked("diffusion(k=3, kq=2, alpha=0.99, steps=100, truncate=5)", ROWS, QUERY)
    assert scores[0][[0, 5, 7, 6, 1]] == pytest.approx([34.403, 43.319, 37.073, 37.650, 26.430], abs=6e-4)
    keep = [0, 5, 7, 6, 1]
    kept = slow.solve(golden_graph().toarray()[np.ix_(keep, keep)], slow.seeds(QUERY[0], ROWS, -1, 2, 3)[keep], 0.99)
    assert kept == pytest.approx([2.9439, 5.9618, 5.1022, 5.1816, 1.1870], abs=6e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("alpha", [0.5, 0.9, 0.99, 0.999])
def test_conjugate_gradients_solve(seed, alpha):
    rows, queries = clustered(seed, 150, 7)
    graph = symmetrically_normalised(mutual_graph(Gallery(rows), 10, 3))
    seeds = np.array([slow.seeds(q, rows, -1, 5, 3) for q in queries])
    seeds[3] = 0  # a query without seeds keeps none
    *_, found = conjugate_gradients(graph, seeds, alpha)
    solved = np.linalg.solve(np.eye(150) - alpha * graph.toarray(), seeds.T).T
    np.testing.assert_allclose(found, solved, rtol=1e-8, atol=1e-8 * solved.max())
    assert not found[3].any()


@pytest.mark.parametrize("steps", [1, 2, 5, 10])
def test_steps_are_those_of_scipy(steps):
    from scipy.sparse import identity
    from scipy.sparse.linalg import cg

    rows, queries = clustered(0, 100, 3)
    graph = symmetrically_normalised(mutual_graph(Gallery(rows), 10, 3))
    seeds = np.array([slow.seeds(q, rows, -1, 5, 3) for q in queries])
    found = [f for _, f in zip(range(steps), conjugate_gradients(graph, seeds, 0.99), strict=False)][-1]
    for one, y in zip(found, seeds, strict=True):
        theirs, _ = cg(identity(100) - 0.99 * graph, y, rtol=0, maxiter=steps)
        np.testing.assert_allclose(one, theirs, rtol=1e-9, atol=1e-12)


def test_steps_that_were_shown_stay_as_they_were():
    steps = conjugate_gradients(golden_graph(), np.eye(2, 8), 0.9)
    first = next(steps)
    kept = first.copy()
    next(steps)
    assert np.array_equal(first, kept)


def test_more_vectors_than_are_worth_a_dense_solution(monkeypatch):
    """Columns that are solved one by one, and eigenvectors of a sparse graph, are those of the dense ones."""
    rows, queries = clustered(1, 1100, 4, width=16)
    monkeypatch.setattr("cbirlab.reranking.diffusion.MOST_DENSE", 10)
    _, few = reranked("diffusion_offline(k=6, kq=3, truncate=2000)", rows[:80], queries)
    monkeypatch.undo()
    _, dense = reranked("diffusion_offline(k=6, kq=3, truncate=2000)", rows[:80], queries)
    np.testing.assert_allclose(few, dense, rtol=1e-6, atol=1e-6)
    graph = symmetrically_normalised(mutual_graph(Gallery(rows), 30, 3)).toarray()
    values, vectors = np.linalg.eigh(graph)
    assert values[-40] - values[-41] > 1e-5
    _, sparse = reranked("diffusion_spectral(k=30, rank=40)", rows, queries)
    y = np.array([slow.seeds(q, rows, -1, 5, 3) for q in queries])
    f = y @ vectors[:, -40:] / (1 - 0.9 * values[-40:]) @ vectors[:, -40:].T
    reached = f > 1e-8 * f.max()
    np.testing.assert_allclose(sparse[reached], f[reached], rtol=1e-5, atol=1e-6)
