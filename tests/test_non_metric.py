"""The non-metric re-ranker: its loss and network against loops, what it learns on toy data, and what it refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from cbirlab import Recipe, rerank, run
from cbirlab.reranking import Answers, Gallery, Reranking, rerank_answers
from cbirlab.store import Store
from cbirlab.study.rerank_choice import choose_reranking
from cbirlab.training.non_metric import NAMES, learn_similarity, margin_loss, score

SMALL = "nonmetric(top=20, hidden=16, steps=5)"
RECIPE = Recipe(dataset="things", weights="random", tap="layer2", aggregation="spoc", rerank=SMALL)


def toy(seed=0, count=60, width=4, instances=6):
    """Unit rows and their labels, which the rows do not show."""
    rows = np.random.default_rng(seed).normal(size=(count, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), [f"thing{row % instances}" for row in range(count)]


@pytest.fixture(scope="module")
def taught():
    rows, labels = toy()
    return rows, learn_similarity(rows, labels, hidden=24, steps=20)


@pytest.fixture
def labelled(things):
    """The drawn pictures, whose train split says what it shows."""
    return replace(things, train_instances=tuple(path.stem.split("_")[0] for path in things.train))


def answers_of(rows, queries, learned, k=None):
    return replace(Answers.of_exact(queries, Gallery(rows), k), learned=lambda method: learned)


def test_the_loss_is_equation_12():
    random = np.random.default_rng(3)
    found, cosines, same = random.normal(size=20), random.uniform(-1, 1, 20), random.integers(0, 2, 20)
    given = (torch.tensor(found), torch.tensor(cosines), torch.tensor(same == 1), 0.3)
    by_hand = [abs(f - s * (c + 0.3) - (1 - s) * (c - 0.3)) for f, c, s in zip(found, cosines, same, strict=True)]
    np.testing.assert_allclose(margin_loss(*given).numpy(), by_hand, rtol=1e-12)


def test_the_network_reads_both_descriptors_side_by_side(taught):
    rows, learned = taught
    first = np.concatenate([learned["query"], learned["image"]], axis=1).astype(float)
    for image, found in zip(rows, score(learned, rows[7], rows), strict=True):
        hidden = np.maximum(first @ [*rows[7], *image] + learned["shift"], 0)
        hidden = np.maximum(learned["second"].astype(float) @ hidden + learned["second_shift"], 0)
        assert found == pytest.approx(float(hidden @ learned["last"] + learned["last_shift"]), abs=1e-12)


def test_without_a_margin_it_learns_the_order_of_the_cosine():
    rows, labels = toy()
    learned = learn_similarity(rows, labels, hidden=64, margin=0, steps=300)
    found = np.stack([score(learned, row, rows) for row in rows])
    alike = [spearmanr(one, row).statistic for one, row in zip(found, rows @ rows.T, strict=True)]
    assert np.mean(alike) > 0.98


def test_with_a_margin_it_parts_instances_that_the_cosine_does_not():
    """Labels say nothing of these rows, so that only a network that learns them by heart can part them."""
    rows, labels = toy(count=24, instances=3)
    learned = learn_similarity(rows, labels, hidden=128, margin=1, steps=400)
    gain = np.stack([score(learned, row, rows) for row in rows]) - rows @ rows.T
    same, other = np.equal.outer(labels, labels), ~np.eye(24, dtype=bool)
    assert gain[same & other].mean() > gain[~same].mean() + 0.1


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    rows, labels = toy()
    one, two, other = (learn_similarity(rows, labels, hidden=8, steps=3, seed=seed) for seed in (0, 0, 1))
    assert all((one[name] == two[name]).all() for name in NAMES)
    assert not (one["query"] == other["query"]).all()


def test_rows_of_zeros_are_not_learned_from():
    rows, labels = toy()
    more, named = np.concatenate([rows, np.zeros((5, 4))]), [*labels, *["thing0"] * 5]
    one, two = (learn_similarity(*both, hidden=8, steps=3) for both in ((rows, labels), (more, named)))
    assert all((one[name] == two[name]).all() for name in NAMES)


def test_the_first_results_stand_in_the_order_of_the_network_and_the_others_stay(taught):
    rows, learned = taught
    queries = toy(seed=1, count=5)[0]
    before = Answers.of_exact(queries, Gallery(rows)).ranking
    after = rerank_answers(answers_of(rows, queries, learned), "nonmetric(top=10)").ranking
    np.testing.assert_array_equal(after.images[:, 10:], before.images[:, 10:])
    for query, first, found in zip(queries, before.images[:, :10], after.images[:, :10], strict=True):
        first = np.sort(first)
        expected = score(learned, query, rows[first]).astype(np.float32)
        np.testing.assert_array_equal(found, first[np.argsort(-expected, kind="stable")])


def test_one_query_at_a_time_is_like_all_together(taught):
    rows, learned = taught
    queries = toy(seed=1, count=5)[0]
    together = rerank_answers(answers_of(rows, queries, learned), "nonmetric(top=30)").ranking
    for query, images, scores in zip(queries, together.images, together.scores, strict=True):
        alone = rerank_answers(answers_of(rows, query[None], learned), "nonmetric(top=30)").ranking
        np.testing.assert_array_equal(alone.images[0], images)
        np.testing.assert_array_equal(alone.scores[0], scores)


def test_a_run_learns_on_the_learning_set_once(things, labelled, warm):
    assert (RECIPE.rerank.learns, Reranking.parse("aqe > decay").learns) == (True, False)
    result = run(RECIPE, dataset=labelled, store=warm, progress=False)
    assert result.recipe.whitening_set == labelled.train_name
    assert result.leak == ""
    assert 0 <= result.metrics["map"] <= 1
    assert result.seconds["prepare"] > 0
    wider = run(replace(RECIPE, rerank="nonmetric(top=40, hidden=16, steps=5)"), dataset=labelled, store=warm)
    again = run(RECIPE, dataset=labelled, store=Store(warm.path / "fresh"), progress=False)
    np.testing.assert_array_equal(again.ranking.scores, result.ranking.scores)
    kept = [one for one in warm.entries() if one.specification.get("rerank") == "nonmetric"]
    assert len(kept) == 1, "how many are scored does not change what is learned"
    assert wider.ranking.images.shape == result.ranking.images.shape


def test_learning_on_what_is_judged_is_reported(things, warm):
    result = run(replace(RECIPE, whitening_set="database"), dataset=things, store=warm, progress=False)
    assert result.leak == "learned on 40 of the 40 evaluated images"


def test_what_it_refuses(things, warm):
    with pytest.raises(ValueError, match=r"rerank 'nonmetric\(.*learns from at least two instances .* name another"):
        run(RECIPE, dataset=things, store=warm, progress=False)
    with pytest.raises(ValueError, match="nonmetric learns from the labels of a learning set, and here are only"):
        rerank(np.eye(3), np.eye(3), "nonmetric")
    with pytest.raises(ValueError, match="candidates must learn nothing, got nonmetric"):
        choose_reranking(RECIPE, ["aqe", "nonmetric"], dataset=things, store=warm)
    with pytest.raises(ValueError, match="nonmetric: margin must be in"):
        Reranking.parse("nonmetric(margin=2)")
