"""Re-ranking by neighbourhoods, ranks and graphs: golden vectors, slow loops, queries one by one, and bad input."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import slow_reranking as slow
from golden_reranking import QUERY, ROWS, point
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.reranking import RERANKERS, Answers, Gallery, Reranking, rerank_answers

GOLDEN = {
    "k_reciprocal(k1=3, k2=2, share=0.3, joint=True)": (
        "01527634",
        [-0.007933, -0.422594, -0.574878, -0.859790, -0.961164, -0.573402, -0.583862, -0.576167],
    ),
    "k_reciprocal(k1=3, k2=1, share=0.3, joint=True)": (
        "57061234",
        [-0.462294, -0.640185, -0.721651, -0.898625, -1, -0.333275, -0.516695, -0.336420],
    ),
    "k_reciprocal(k1=3, k2=2, share=0.3)": (
        "01567234",
        [-0.387252, -0.422594, -0.581871, -0.811339, -0.912714, -0.515852, -0.526311, -0.581036],
    ),
    "k_reciprocal_graph(k1=4, k2=2, share=0.3, joint=True)": (
        "01257634",
        [0.993416, 0.912972, 0.749237, 0.286538, 0.202254, 0.681323, 0.672223, 0.679184],
    ),
    "diffusion(k=3, kq=2, alpha=0.99, steps=100)": (
        "51203674",
        [23.700767, 23.806408, 23.788891, 23.032577, 14.151051, 26.473353, 23.008726, 22.656134],
    ),
    "diffusion(k=3, kq=2, alpha=0.9, steps=100)": (
        "50671234",
        [2.988944, 2.118090, 1.996322, 1.626743, 0.908599, 3.389009, 2.454949, 2.412629],
    ),
    "diffusion(k=3, kq=2, alpha=0.99, steps=3)": (
        "56701234",
        [7.542797, 6.049705, 5.611673, 3.642936, 0.173648 - 1, 8.983661, 7.803380, 7.762098],
    ),
    "diffusion_offline(k=3, kq=2, alpha=0.99, truncate=5)": (
        "57601234",
        [3.031690, 1.530430, 0.823337, 0.452885 - 1, 0.173648 - 1, 4.904163, 3.805081, 3.967289],
    ),
    "diffusion_offline(k=3, kq=2, alpha=0.99, truncate=8)": (
        "51203674",
        [23.700767, 23.806408, 23.788891, 23.032577, 14.151051, 26.473353, 23.008726, 22.656134],
    ),
    "diffusion_spectral(k=3, kq=2, alpha=0.99, rank=8)": (
        "51203674",
        [23.700767, 23.806408, 23.788891, 23.032577, 14.151051, 26.473353, 23.008726, 22.656134],
    ),
    "rdp(k=3, kq=2, alpha=0.99, steps=50)": (
        "52103674",
        [0.238120, 0.238144, 0.239576, 0.236674, 0.144466, 0.261868, 0.225605, 0.222302],
    ),
    "rank_neighbours(k=3)": (
        "05761234",
        [1.645833, 0.566667, 0.430556, 0.297619, 0.260417, 1.041667, 0.625, 0.794444],
    ),
    "super_global(top=6, k=2)": (
        "01572634",
        [0.953859, 0.916760, 0.822051, np.nan, np.nan, 0.852001, 0.819543, 0.831594],
    ),
}

METHODS = {
    "aqe(k=4)": partial(slow.aqe, k=4),
    "alpha_qe(k=4, alpha=2)": partial(slow.alpha_qe, k=4, alpha=2),
    "decay(k=6)": partial(slow.decay, k=6),
    "decay(k=6, mutual=False)": partial(slow.decay, k=6, mutual=False),
    "dba(k=3, alpha=1)": partial(slow.dba, k=3, alpha=1),
    "k_reciprocal(k1=5, k2=3)": partial(slow.k_reciprocal, k1=5, k2=3),
    "k_reciprocal(k1=3, k2=5, share=0.1)": partial(slow.k_reciprocal, k1=3, k2=5, share=0.1),
    "k_reciprocal_graph(k1=6, k2=3)": partial(slow.k_reciprocal_graph, k1=6, k2=3),
    "k_reciprocal_graph(k1=3, k2=5, share=0.1)": partial(slow.k_reciprocal_graph, k1=3, k2=5, share=0.1),
    "rank_neighbours(k=4)": partial(slow.rank_neighbours, k=4),
    "diffusion(k=6, kq=3)": partial(slow.diffusion, k=6, kq=3),
    "diffusion(k=6, kq=3, alpha=0.99, gamma=2, steps=9)": partial(
        slow.diffusion, k=6, kq=3, alpha=0.99, gamma=2, steps=9
    ),
    "diffusion(k=6, kq=3, steps=100, truncate=15)": partial(slow.diffusion, k=6, kq=3, steps=100, truncate=15),
    "diffusion_offline(k=6, kq=3, truncate=12)": partial(slow.diffusion_offline, k=6, kq=3, truncate=12),
    "diffusion_offline(k=6, kq=3)": partial(slow.diffusion_offline, k=6, kq=3),
    "diffusion_spectral(k=6, kq=3, rank=20)": partial(slow.diffusion_spectral, k=6, kq=3, rank=20),
    "rdp(k=6, kq=3, steps=7)": partial(slow.rdp, k=6, kq=3, steps=7),
    "super_global(top=18)": partial(slow.super_global, top=18),
    "super_global(top=5000, k=9, beta=0.5)": partial(slow.super_global, top=5000, k=9, beta=0.5),
}
JOINT = {
    "k_reciprocal(k1=5, k2=3, joint=True)": partial(slow.k_reciprocal_joint, k1=5, k2=3),
    "k_reciprocal_graph(k1=6, k2=3, joint=True)": partial(slow.k_reciprocal_graph_joint, k1=6, k2=3),
}
EVERY = [*METHODS, *JOINT]


def clustered(seed, images, queries=4, width=8):
    """Unit rows (images, width) and queries in six clusters, some of them apart from the others."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(6, width))
    rows = centres[random.integers(0, 6, images + queries)] + 0.5 * random.normal(size=(images + queries, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:images], rows[images:]


def reranked(method, rows, queries, own=None, k=None):
    """What a method gives, and its scores by image (Q, N)."""
    answers = Answers.of_exact(queries, Gallery(rows), k)
    found = rerank_answers(answers if own is None else replace(answers, own=np.asarray(own)), method).ranking
    scores = np.full((len(queries), len(rows)), np.nan)
    np.put_along_axis(scores, found.images, found.scores.astype(float), 1)
    return found, scores


def check(found, scores, expected):
    """Scores as the loops give them, where they give some, and images in their order."""
    told = ~np.isnan(expected)
    np.testing.assert_allclose(scores[told], expected[told], rtol=1e-6, atol=1e-6)
    for images, row in zip(found.images, expected, strict=True):
        falling = row[images][~np.isnan(row[images])]
        assert (np.diff(falling) < 1e-6).all()


def test_every_method_is_tried():
    facts = {name: RERANKERS.info(name).facts for name in RERANKERS.so_far()}
    by_rows = {name for name, one in facts.items() if one["needs"] in ("vectors", "neighbours") and "learns" not in one}
    assert {Reranking.parse(method).name for method in EVERY} >= by_rows


def test_published_parameters_are_parameters():
    for name in RERANKERS.so_far():
        published = RERANKERS.info(name).facts.get("published", {})
        assert Reranking(name, published).parameters != Reranking(name).parameters or not published


@pytest.mark.parametrize("method", GOLDEN)
def test_golden_vectors(method):
    order, scores = GOLDEN[method]
    found, mine = reranked(method, ROWS, QUERY)
    assert "".join(map(str, found.images[0])) == order
    told = ~np.isnan(scores)
    assert mine[0][told] == pytest.approx(np.array(scores)[told], abs=1e-6)


def test_the_published_form_depends_on_the_other_queries():
    method = "k_reciprocal(k1=3, k2=2, share=0.3, joint=True)"
    found, scores = reranked(method, ROWS, np.concatenate([QUERY, [point(30, 0)]]))
    assert "".join(map(str, found.images[0])) == "01576234"
    golden = [-0.007933, -0.522318, -0.652400, -0.898625, -1, -0.573402, -0.583862, -0.576167]
    assert scores[0] == pytest.approx(golden, abs=1e-6)
    frozen = method.replace(", joint=True", "")
    alone, other = reranked(frozen, ROWS, QUERY)[1], reranked(frozen, ROWS, np.concatenate([QUERY, [point(30, 0)]]))[1]
    assert np.array_equal(alone[0], other[0])
    assert (Reranking.parse(method).transductive, Reranking.parse(frozen).transductive) == (True, False)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("images", [12, 60])
@pytest.mark.parametrize("method", METHODS)
def test_it_gives_what_the_loops_give(method, images, seed):
    rows, queries = clustered(seed, images)
    check(*reranked(method, rows, queries), np.array([METHODS[method](q, rows) for q in queries]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", METHODS)
def test_ties_go_to_the_lower_image_everywhere(method, seed):
    """Vectors whose cosines are exactly 0, 1/2 and 1 or their negatives, some of them twice, queries among them."""
    random = np.random.default_rng(seed)
    axes, corners = np.eye(4)[random.integers(0, 4, 25)], np.full((25, 4), 0.5)
    rows = np.where(random.random((25, 1)) < 0.5, axes, corners) * random.choice([-1, 1], (25, 4))
    method, loops = method.replace("rank=20", "rank=1000"), METHODS[method]  # else it is chance which eigenvectors stay
    loops = partial(loops, rank=1000) if "rank=" in method else loops
    for own in ([-1, -1, -1], [0, 12, 24]):
        expected = [loops(q, rows, one) for q, one in zip(rows[[0, 12, 24]], own, strict=True)]
        check(*reranked(method, rows, rows[[0, 12, 24]], own), np.array(expected))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", METHODS)
def test_a_query_that_is_in_the_database_is_not_its_own_neighbour(method, seed):
    rows, _ = clustered(seed, 40)
    own = np.array([0, 7, 39])
    turned = rows[own] + 0.01 * np.random.default_rng(seed).normal(size=(3, 8))  # a part of a picture is another vector
    for queries in (rows[own], turned / np.linalg.norm(turned, axis=1, keepdims=True)):
        expected = [METHODS[method](q, rows, one) for q, one in zip(queries, own, strict=True)]
        check(*reranked(method, rows, queries, own), np.array(expected))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", JOINT)
def test_the_published_forms_give_what_the_loops_give(method, seed):
    rows, queries = clustered(seed, 40)
    check(*reranked(method, rows, queries), JOINT[method](queries, rows))


@pytest.mark.parametrize("method", JOINT)
def test_in_the_published_forms_a_query_of_the_database_is_its_own_row(method):
    rows, _ = clustered(0, 40)
    alone = method.replace(", joint=True", "")
    joint, scores = reranked(method, rows, rows[:4], np.arange(4))
    frozen, others = reranked(alone, rows, rows[:4], np.arange(4))
    assert np.array_equal(joint.images, frozen.images)
    np.testing.assert_allclose(scores, others, atol=1e-6)


@pytest.mark.parametrize("method", [*METHODS, "dba(k=2) > k_reciprocal", "aqe(k=2) > diffusion(k=6) > super_global"])
@pytest.mark.parametrize("k", [None, 30])
def test_a_query_gives_alone_what_it_gives_in_a_batch(method, k):
    rows, queries = clustered(1, 300, 37)
    rows, own = rows.astype(np.float32), np.where(np.arange(37) % 5 == 0, np.arange(37), -1)
    queries = np.where(own[:, None] >= 0, rows[:37], queries)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    batch, _ = reranked(method, rows, queries, own, k)
    for query in range(37):
        alone, _ = reranked(method, rows, queries[query : query + 1], own[query : query + 1], k)
        assert np.array_equal(alone.images[0], batch.images[query])
        assert np.array_equal(alone.scores[0], batch.scores[query])


@pytest.mark.parametrize("method", EVERY)
def test_short_lists_are_put_in_the_order_of_the_same_scores(method):
    """Only images that are listed are scored; what a query lists decides which images may list it."""
    rows, queries = clustered(2, 120)
    whole, scores = reranked(method, rows, queries)
    short, cut = reranked(method, rows, queries, k=60)
    before = Answers.of_exact(queries, Gallery(rows), 60).ranking.images
    assert short.images.shape == (len(queries), 60)
    if method.startswith(("aqe", "alpha_qe", "decay", "dba")):
        assert np.array_equal(short.images, whole.images[:, :60])
        return
    assert np.array_equal(np.sort(short.images), np.sort(before))
    if method.startswith("rank_neighbours"):
        return  # images beyond the ends of the neighbours' lists get nothing
    there = ~np.isnan(cut)
    places = slice(0, 18 if "top=18" in method else 60)
    for query, images in enumerate(before):
        if method.startswith("super_global(top=5000"):
            break  # which images are refined is what the length decides
        assert there[query].sum() == 60
        np.testing.assert_allclose(cut[query, images[places]], scores[query, images[places]], rtol=1e-6, atol=1e-6)


def test_ranks_of_neighbours_end_where_their_lists_end():
    rows, queries = clustered(2, 50)
    found, scores = reranked("rank_neighbours(k=3)", rows, queries, k=20)
    for query, q in enumerate(queries):
        listed, expected = slow.order(rows @ q)[:20], np.zeros(50)
        for i, ranks in enumerate([listed, *(slow.order(rows @ rows[one])[:20] for one in listed[:3])]):
            for rank, row in enumerate(ranks, 1):
                expected[row] += 1 / rank / (i + 1 if i else 1)
        assert scores[query, listed] == pytest.approx(expected[listed])
        assert sorted(found.images[query]) == sorted(listed)


def test_methods_are_chained():
    rows, queries = clustered(3, 60)
    for chain, last, earlier in [
        ("dba(k=3) > k_reciprocal(k1=7)", partial(slow.k_reciprocal, k1=7), None),
        ("aqe(k=2) > diffusion(k=6)", partial(slow.diffusion, k=6), slow.aqe),
    ]:
        changed, asked = rows, queries
        if earlier is None:
            changed = slow.augmented(rows, 3, 0)
        else:
            asked = np.array([slow.expanded(q, rows, slow.nearest(q, rows, 2), [1, 1]) for q in queries])
        _, scores = reranked(chain, rows, queries)
        np.testing.assert_allclose(scores, [last(q, changed) for q in asked], rtol=1e-5, atol=1e-5)


def test_a_graph_of_a_query_alone_is_nearly_the_published_one():
    """With one query, all that differs is that images neither lose the last of their lists to it nor grow longer."""
    rows, queries = clustered(4, 200, 20)
    near = []
    for query in queries:
        joint, alone = (
            reranked(f"k_reciprocal_graph(joint={way})", rows, query[None])[0].images[0][:20] for way in (True, False)
        )
        near.append(len({*joint} & {*alone}) / 20)
    assert np.mean(near) > 0.9


@pytest.mark.parametrize("method", JOINT)
def test_no_large_database_is_joined(method, monkeypatch):
    monkeypatch.setattr("cbirlab.reranking.graph.MOST_JOINED", 10)
    with pytest.raises(ValueError, match=r"joint=True .* at most 10 images, got 12; leave joint=False"):
        reranked(method, *clustered(0, 12))


SMALL = [
    "k_reciprocal",
    "k_reciprocal(joint=True)",
    "k_reciprocal_graph",
    "k_reciprocal_graph(joint=True)",
    "rank_neighbours",
    "diffusion",
    "diffusion(steps=50, truncate=3, gamma=0, alpha=0.999)",
    "diffusion(kq=1, gamma=100)",
    "diffusion_offline",
    "diffusion_offline(truncate=2)",
    "diffusion_spectral",
    "diffusion_spectral(rank=1)",
    "rdp",
    "super_global",
    "super_global(top=2, k=0)",
    "aqe(k=1) > k_reciprocal(k1=1, k2=1)",
    "decay",
    "dba > k_reciprocal_graph(k1=2, k2=1) > diffusion",
]


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_the_input_all_images_are_ranked_once(data):
    """One image, all alike, rows of zeros, isolated rows, duplicates, opposite rows: vectors on a small grid."""
    width, count = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 9))
    vectors = st.lists(st.integers(-1, 1), min_size=width, max_size=width)
    rows = np.array(data.draw(st.lists(vectors, min_size=count, max_size=count)), np.float32)
    queries = np.array(data.draw(st.lists(vectors, min_size=1, max_size=3)), float)
    own = np.array([data.draw(st.integers(-1, count - 1)) for _ in queries])
    queries = np.where(own[:, None] >= 0, rows[own], queries)
    rows, queries = (
        part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-12).astype(part.dtype)
        for part in (rows, queries)
    )
    method, k = data.draw(st.sampled_from(SMALL)), data.draw(st.integers(1, count))
    before = Answers.of_exact(queries, Gallery(rows), k).ranking
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, _ = reranked(method, rows, queries, own, k)
    assert np.isfinite(found.scores[found.scores > -np.inf]).all()
    assert all(len({*images}) == k for images in found.images)
    unasked = ~queries.any(axis=1)
    assert np.array_equal(found.images[unasked], before.images[unasked])
    assert (found.scores[unasked] == -np.inf).all()
    if not method.startswith(("aqe", "decay", "dba")):
        assert np.array_equal(np.sort(found.images), np.sort(before.images))
        assert np.array_equal(found.answers(), before.answers())
