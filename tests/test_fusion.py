"""Fusion: against slow loops, scipy and hand-counted lists; recipes of several members; reports query by query."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr

from cbirlab.base.registry import UnknownName
from cbirlab.datasets import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, evaluate, paired_difference
from cbirlab.fusion import (
    FUSIONS,
    FusedRun,
    Fusion,
    FusionMethod,
    Member,
    balance,
    cascade,
    complementarity,
    early,
    fuse,
    fused_row,
    minmax,
    own_rows,
    rrf,
    run_fusion,
    versus,
)
from cbirlab.fusion.methods import borda, check_weights
from cbirlab.fusion.weighing import grid, train_split
from cbirlab.index import ExactIndex, Ranking
from cbirlab.pipeline import Recipe, run, table_row
from cbirlab.store import Store
from cbirlab.whitening import learn, normalise, whiten

LATE = [name for name in FUSIONS if FUSIONS.info(name).facts["stage"] != "descriptors"]
NOBODY = np.full(4, -1)


def described(seed: int, queries: int = 4, images: int = 12, width: int = 6, levels: int = 0) -> Member:
    """A member with random descriptors; `levels` rounds them, so that many scores are equal."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(images + queries, width))
    if levels:
        values = np.round(values * levels)
    values = normalise(values.astype(np.float32))
    return Member(ExactIndex().fit(values[:images]).search(values[images:]), values[:images], values[images:])


def scored(scores: list[list[float]]) -> Member:
    """A member by its scores alone."""
    values = np.array(scores, dtype=np.float32)
    order = np.argsort(-values, axis=1, kind="stable")
    return Member(Ranking(order, np.take_along_axis(values, order, axis=1)))


def matrices(seed: int, members: int, shape: tuple[int, int] = (3, 7)) -> list[np.ndarray]:
    return list(np.random.default_rng(seed).uniform(-1, 1, size=(members, *shape)))


# the functions, against loops


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (2.0, 0.5, 1.0), (0.0, 1.0, 3.0)])
def test_concatenation_is_that_of_the_loops(weights):
    random = np.random.default_rng(0)
    sides = []
    for rows in (4, 9):
        parts = [random.normal(size=(rows, width)) for width in (3, 1, 5)]
        parts[1][2] = 0  # an image that one member cannot describe
        for part in parts:
            part[1] = 0  # and one that none can
        sides.append(parts)
    queries, images = (early(parts, weights) for parts in sides)
    np.testing.assert_allclose(queries @ images.T, reference.fusion_early(*sides, weights), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(images, axis=1), [1, 0, *[1] * 7], atol=1e-6)
    assert images.shape == (9, 9)


def test_cosine_of_the_concatenation_is_the_mean_of_cosines_by_squared_weights():
    weights = (0.3, 2.0, 1.1)
    members = [described(seed, width=seed + 2) for seed in range(3)]
    images, queries = (early([getattr(one, side) for one in members], weights) for side in ("images", "queries"))
    squared = np.square(weights)
    cosines = sum(w * one.queries @ one.images.T for w, one in zip(squared, members, strict=True)) / squared.sum()
    np.testing.assert_allclose(queries @ images.T, cosines, atol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.2, 3.0), (0.0, 1.0)])
@pytest.mark.parametrize("how", ["minmax", "znorm"])
def test_late_fusion_is_that_of_the_loops(how, weights):
    scores = matrices(1, 2)
    scores[0][1] = 0.25  # a query of which the member knows nothing: an unreadable image
    np.testing.assert_allclose(
        FUSIONS[how](scores, weights), reference.fusion_late(scores, weights, how), atol=1e-12, rtol=1e-9
    )


@pytest.mark.parametrize("how", ["minmax", "znorm"])
def test_a_member_with_equal_scores_says_nothing(how):
    for constant in (0.0, 0.1, 0.7, 1e-8, -3.3):
        flat = np.full((3, 7), constant)
        np.testing.assert_array_equal(FUSIONS[how]([flat]), 0)
    scores = matrices(2, 1)[0]
    alone, with_flat = FUSIONS[how]([scores]), FUSIONS[how]([scores, np.full((3, 7), 0.1)])
    np.testing.assert_array_equal(alone, with_flat)


@pytest.mark.parametrize(("how", "params"), [("borda", {}), ("rrf", {}), ("rrf", {"k": 0.0}), ("rrf", {"k": 7.5})])
def test_rank_fusion_is_that_of_the_loops(how, params):
    random, weights = np.random.default_rng(3), (1.0, 0.5, 2.0)
    lists = [[random.permutation(9) for _ in range(4)] for _ in weights]
    ranks = [np.argsort(member, axis=1) for member in lists]
    expected = [reference.fusion_ranks([member[q] for member in lists], weights, how, **params) for q in range(4)]
    np.testing.assert_allclose(FUSIONS[how](ranks, weights, **params), expected, rtol=1e-12)


def test_borda_and_reciprocal_ranks_by_hand():
    # Three images; the first member ranks them a b c, the second c a b.
    ranks = [np.array([[0, 1, 2]]), np.array([[1, 2, 0]])]
    np.testing.assert_array_equal(borda(ranks), [[3 + 2, 2 + 1, 1 + 3]])
    np.testing.assert_allclose(rrf(ranks), [[1 / 61 + 1 / 62, 1 / 62 + 1 / 63, 1 / 63 + 1 / 61]])
    # c stands first once and last once: before b, and behind a.
    members = [scored([[0.9, 0.5, 0.1]]), scored([[0.5, 0.1, 0.9]])]
    for method in ("borda", "rrf"):
        assert fuse(members, method).images.tolist() == [[0, 2, 1]]


@pytest.mark.parametrize("depth", [1, 3, 7, 100])
@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_reranking_is_that_of_the_loops(depth, tau):
    scores, weights = matrices(4, 3), (1.0, 2.0, 0.5)
    fused = cascade(scores, weights, depth=depth, tau=tau)
    order = np.argsort(-fused, axis=1, kind="stable")
    assert order.tolist() == reference.fusion_cascade(scores, weights, depth, tau)


def test_reranking_moves_none_in_or_out_of_the_first_ones():
    members = [described(seed, images=30, levels=1) for seed in range(3)]
    first = members[0].ranking.images
    for depth in (1, 5, 29, 30):
        images = fuse(members, f"cascade(depth={depth}, tau=0.05)").images
        np.testing.assert_array_equal(np.sort(images[:, :depth], axis=1), np.sort(first[:, :depth], axis=1))
        np.testing.assert_array_equal(images[:, depth:], first[:, depth:])
    assert not np.array_equal(fuse(members, "cascade(depth=5)").images, first)


# rankings of members


def test_ranks_of_a_member_are_those_of_scipy():
    member = described(5, levels=1)
    scores = member.scores(NOBODY)
    assert len(np.unique(scores[0])) < scores.shape[1]
    np.testing.assert_array_equal(member.ranks(NOBODY) + 1, rankdata(-scores, method="ordinal", axis=1))
    np.testing.assert_allclose(scores, member.queries.astype(float) @ member.images.T.astype(float), atol=1e-7)


@pytest.mark.parametrize("method", FUSIONS)
def test_a_single_member_is_itself_and_equal_members_too(method):
    for levels in (0, 1) if method in LATE else (0,):  # vectors joined anew round anew, which moves equal scores
        member = described(6, images=40, levels=levels)
        for members, weights in (([member], None), ([member], (0.3,)), ([member] * 3, None), ([member] * 2, (1, 4))):
            np.testing.assert_array_equal(fuse(members, method, weights).images, member.ranking.images)


@pytest.mark.parametrize("method", FUSIONS)
def test_a_weight_of_zero_leaves_a_member_out(method):
    members = [described(7), described(8)]
    np.testing.assert_array_equal(fuse(members, method, (1, 0)).images, members[0].ranking.images)


@pytest.mark.parametrize("method", FUSIONS)
def test_equal_fused_scores_are_ordered_by_image(method):
    images = fuse([described(9), scored(np.zeros((4, 12)).tolist())], "borda", (0, 1)).images
    np.testing.assert_array_equal(images, np.tile(np.arange(12), (4, 1)))
    zero = Member(ExactIndex().fit(np.zeros((5, 2))).search(np.zeros((1, 2))), np.zeros((5, 2)), np.zeros((1, 2)))
    fused = fuse([zero, zero], method)
    np.testing.assert_array_equal(fused.images, [np.arange(5)])
    assert (fused.scores == -np.inf).all()


@pytest.mark.parametrize("method", ["borda", "rrf", "minmax", "znorm"])
def test_members_that_swap_two_images_leave_an_exact_tie(method):
    rows = [[0.9, 0.7, 0.2], [0.2, 0.9, 0.7], [0.7, 0.2, 0.9]]  # a cycle: no image is better than another
    ranking = fuse([scored([row]) for row in rows], method)
    assert ranking.images.tolist() == [[0, 1, 2]]
    assert len(set(ranking.scores[0].tolist())) == 1


@pytest.mark.parametrize("method", LATE)
def test_fused_rankings_are_sound_and_do_not_depend_on_the_block(method, monkeypatch):
    members = [described(seed, images=20, levels=2) for seed in (10, 11)]
    whole = fuse(members, method, (1, 2))
    np.testing.assert_array_equal(np.sort(whole.images, axis=1), np.tile(np.arange(20), (4, 1)))
    assert (np.diff(whole.scores, axis=1) <= 0).all()
    assert (whole.images.dtype, whole.scores.dtype) == (np.int64, np.float32)
    monkeypatch.setattr("cbirlab.fusion.members.BLOCK", 20)
    parts = fuse(members, method, (1, 2))
    np.testing.assert_array_equal(whole.images, parts.images)
    np.testing.assert_array_equal(whole.scores, parts.scores)


@pytest.mark.parametrize("method", LATE)
def test_the_query_itself_is_fused_as_if_it_were_not_in_the_database(method):
    """With a row named as its own, a query ranks the others as it does where that row is cut out."""
    values = [normalise(np.random.default_rng(seed).normal(size=(18, 4)).astype(np.float32)) for seed in (12, 13)]
    members = [Member(ExactIndex().fit(one[:9]).search(one[9:])) for one in values]
    named = fuse(members, method, (1, 2), own=np.arange(9))
    np.testing.assert_array_equal(named.images[:, 0], np.arange(9))
    np.testing.assert_array_equal(named.scores[:, 0], named.scores[:, 1])
    for query in range(9):
        others = np.delete(np.arange(9), query)
        cut = fuse([Member(ExactIndex().fit(one[others]).search(one[[9 + query]])) for one in values], method, (1, 2))
        np.testing.assert_array_equal(named.images[query, 1:], others[cut.images[0]])
        np.testing.assert_allclose(named.scores[query, 1:], cut.scores[0], rtol=1e-6)
    mixed = fuse(members, method, (1, 2), own=np.array([0, *[-1] * 8]))
    np.testing.assert_array_equal(mixed.images[0], named.images[0])
    np.testing.assert_array_equal(mixed.images[1:], fuse(members, method, (1, 2)).images[1:])


def test_own_rows_are_those_that_the_protocol_drops(benchmark):
    protocol = PROTOCOLS["revisited"]
    assert own_rows(benchmark, protocol).tolist() == [-1, 5, *[-1] * 6]
    assert own_rows(benchmark, replace(protocol, own_image="kept")).tolist() == [-1] * 8


def test_a_database_of_nothing_but_the_query():
    member = scored([[1.0]])
    for method in LATE:
        ranking = fuse([member, member], method, own=np.array([0]))
        assert (ranking.images.tolist(), ranking.scores.tolist()) == ([[0]], [[0.0]])


def test_without_queries_there_is_an_empty_ranking():
    member = Member(Ranking(np.empty((0, 5), np.int64), np.empty((0, 5), np.float32)), np.eye(5), np.empty((0, 5)))
    for method in FUSIONS:
        assert fuse([member, member], method).images.shape == (0, 5)


@given(
    st.integers(0, 10**6),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 8),
    st.sampled_from(["minmax", "znorm", "borda", "rrf"]),
)
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_members_and_the_scale_of_the_weights_do_not_matter(seed, count, queries, images, method):
    random = np.random.default_rng(seed)
    members = [scored(random.integers(-8, 9, size=(queries, images)) / 8) for _ in range(count)]
    weights = random.integers(1, 5, size=count).astype(float)
    fused, order = fuse(members, method, weights), random.permutation(count)
    np.testing.assert_array_equal(fused.images, fuse([members[i] for i in order], method, weights[order]).images)
    np.testing.assert_array_equal(fused.images, fuse(members, method, 4 * weights).images)


@given(st.integers(0, 10**6), st.sampled_from(["borda", "rrf"]))
@settings(max_examples=30, deadline=None)
def test_rank_fusion_sees_ranks_alone(seed, method):
    random = np.random.default_rng(seed)
    scores = [random.uniform(-1, 1, size=(2, 8)) for _ in range(2)]
    bent = [np.exp(5 * one) for one in scores]
    np.testing.assert_array_equal(*(fuse([scored(x) for x in one], method).images for one in (scores, bent)))


# what is refused


@pytest.mark.parametrize("weights", [(1,), (1, 1, 1), (-1, 1), (0, 0), (math.nan, 1), (math.inf, 1), ((1, 1),)])
@pytest.mark.parametrize("method", FUSIONS)
def test_weights_that_are_not_allowed(method, weights):
    with pytest.raises(ValueError, match="weights must be 2 numbers of at least 0"):
        fuse([described(0), described(1)], method, weights)


def test_what_cannot_be_fused():
    with pytest.raises(ValueError, match="first of weights must be above 0"):
        cascade(matrices(0, 2), (0, 1))
    with pytest.raises(UnknownName, match="Did you mean 'minmax'"):
        fuse([described(0)], "minmaks")
    with pytest.raises(ValueError, match="k must be"):
        FusionMethod.parse("rrf(k=-1)")
    with pytest.raises(ValueError, match="must rank the same database"):
        fuse([described(0), described(1, images=5)], "rrf")
    with pytest.raises(ValueError, match="every member must be"):
        minmax([np.zeros((2, 3)), np.zeros((2, 4))])
    with pytest.raises(ValueError, match="one row per image"):
        early([np.ones((2, 3)), np.ones((3, 3))])
    with pytest.raises(ValueError, match="every member must have images and queries"):
        fuse([described(0), Member(described(1).ranking)], "early")
    with pytest.raises(ValueError, match="every database image"):
        Member(described(0).ranking.top(3), described(0).images)
    with pytest.raises(ValueError, match="every database image"):
        Member(described(0).ranking.top(3))
    assert check_weights("x", None, 3) == (1.0, 1.0, 1.0)


def test_every_method_is_listed_with_its_stage():
    stages = {name: FUSIONS.info(name).facts["stage"] for name in FUSIONS}
    assert stages == {
        "early": "descriptors", "minmax": "scores", "znorm": "scores", "borda": "ranks", "rrf": "ranks",
        "cascade": "scores",
    }  # fmt: skip
    assert FusionMethod.parse("cascade").key == "cascade(depth=100, tau=1)"


# balance


def train_benchmark(seed: int, instances: list[str], noise: tuple[float, ...]) -> tuple[list[Member], Dataset]:
    """Members whose descriptors of an instance differ by so much noise, searched on a train split."""
    random = np.random.default_rng(seed)
    paths = tuple(f"{place}.png" for place in range(len(instances)))
    whole = Dataset("some", paths, train=paths, train_instances=tuple(instances), train_name="some/train")
    split = train_split(whole)
    rows = [query.index for query in split.queries]
    members = []
    for amount in noise:
        centres = {name: random.normal(size=5) for name in instances}
        values = np.stack([centres[name] + amount * random.normal(size=5) for name in instances])
        values = normalise(values.astype(np.float32))
        members.append(Member(ExactIndex().fit(values).search(values[rows]), values, values[rows]))
    return members, split


NAMES = ["a", "a", "a", "b", "b", "", "", "c", "d", "d", "d", "d"]


def test_the_train_split_asks_what_is_shown_twice():
    _, split = train_benchmark(0, NAMES, ())
    assert [query.index for query in split.queries] == [0, 1, 2, 3, 4, 8, 9, 10, 11]
    assert split.labels[3] == {"positive": (4,)}
    assert split.train == split.images
    with pytest.raises(ValueError, match="needs a train split"):
        train_split(Dataset("bare", ("0.png",)))
    with pytest.raises(ValueError, match="weights are learned from two images of one instance"):
        balance([], train_benchmark(0, ["a", "b", "", ""], ())[1])


@pytest.mark.parametrize("method", FUSIONS)
def test_balance_takes_the_best_of_the_grid(method):
    members, split = train_benchmark(1, NAMES * 2, (0.6, 0.6))
    found = balance(members, split, method, steps=4)
    assert found.map == pytest.approx(max(found.tried.values()), abs=1e-12)
    assert len(found.tried) == (4 if method == "cascade" else 5)
    queries = [query.index for query in split.queries]
    for weights, value in found.tried.items():
        ranking = fuse(members, method, weights, own=np.array(queries))
        aps = [
            reference.average_precision(images, {*labels["positive"]}, {query}, "trapezoid")
            for images, labels, query in zip(ranking.images.tolist(), split.labels, queries, strict=True)
        ]
        assert value == pytest.approx(np.mean(aps))
    assert balance(members, split, method, steps=4) == found


def test_balance_leans_to_the_better_member_and_is_even_where_that_makes_no_difference():
    members, split = train_benchmark(2, NAMES * 3, (0.2, 5.0))
    for method in FUSIONS:
        weights = balance(members, split, method).weights
        assert weights[0] > weights[1], method
    same = balance([members[0]] * 3, split, "minmax")
    assert same.weights == (1 / 3, 1 / 3, 1 / 3)


def test_the_grid():
    plain, ordered = FusionMethod.parse("rrf"), FusionMethod.parse("cascade")
    assert grid(2, 5, plain) == [(0.5, 0.5), (0.75, 0.25), (0.25, 0.75), (1.0, 0.0), (0.0, 1.0)]
    assert grid(2, 2, plain) == [(0.5, 0.5), (1.0, 0.0), (0.0, 1.0)]
    assert grid(1, 5, plain) == [(1.0,)]
    three = grid(3, 5, plain)
    # Of 4^24 combinations, which nobody can walk through, 2,600 sum to one; and the equal ones.
    assert len(grid(24, 4, plain)) == 2601
    assert len(three) == 15 + 1
    assert three[0] == (1 / 3, 1 / 3, 1 / 3)
    assert all(sum(weights) == pytest.approx(1) for weights in three)
    assert (0.0, 1.0) not in grid(2, 5, ordered)
    with pytest.raises(ValueError, match="steps must be"):
        grid(2, 1, plain)


# recipes


@pytest.fixture
def paired(things: Dataset) -> Dataset:
    """The drawn pictures; what each train image shows is known."""
    return replace(things, train_instances=tuple(path.stem.split("_")[0] for path in things.train))


MEMBERS = (
    Recipe(dataset="things", weights="random", tap="layer2", aggregation="mac"),
    Recipe(dataset="things", weights="random", tap="layer4", aggregation="gem", whitening="pca", dimensions=8),
)


def test_fusions_and_json():
    fusion = Fusion(members=MEMBERS, method="rrf(k=30)", weights=[1, 2])
    assert fusion.weights == (1.0, 2.0)
    for one in (
        fusion,
        Fusion(members=MEMBERS, whitening="pca", dimensions=4, weights="learned"),
        Fusion(members=MEMBERS),
    ):
        assert Fusion.from_json(one.to_json()) == one
        assert Fusion.from_json(json.loads(one.to_json())) == one
        assert "members" in json.loads(one.to_json())
    assert fusion.key() == Fusion.from_json(fusion.to_json()).key() != Fusion(members=MEMBERS).key()
    with pytest.raises(TypeError, match="Did you mean 'method'"):
        Fusion.from_json({"members": [], "methd": "rrf"})
    with pytest.raises(TypeError, match="Did you mean 'backbone'"):
        Fusion.from_json({"members": [{"backbon": "toynet"}]})
    for wrong in ("[1]", "{", MEMBERS[0].to_json(), '{"members": 3}', '{"members": "ab"}'):
        with pytest.raises(ValueError, match="expected a JSON object"):
            Fusion.from_json(wrong)
    with pytest.raises(dataclasses.FrozenInstanceError):
        fusion.method = "early"  # pyright: ignore


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"method": "rff"}, UnknownName, "Did you mean 'rrf'"),
        ({"members": ()}, ValueError, "at least one recipe"),
        ({"members": ({},)}, TypeError, "must be recipes, got dict"),
        ({"weights": (1,)}, ValueError, "weights must be 2 numbers"),
        ({"weights": (1, -1)}, ValueError, "weights must be 2 numbers"),
        ({"weights": "lerned"}, ValueError, "numbers, None or 'learned'"),
        ({"method": "rrf", "whitening": "pca"}, ValueError, "fuses ranks; use method 'early'"),
        ({"dimensions": 4}, ValueError, "dimensions must be None with whitening 'none'"),
        ({"whitening": "zca", "dimensions": 4}, ValueError, "dimensions must be None with whitening 'zca'"),
        ({"members": (MEMBERS[0], replace(MEMBERS[1], dataset="toytown"))}, ValueError, "must share dataset"),
        (
            {"members": (replace(MEMBERS[0], protocol="revisited"), replace(MEMBERS[1], protocol="retrieval"))},
            ValueError,
            "must share protocol, got 'revisited' and 'retrieval'",
        ),
        (
            {"members": [replace(MEMBERS[0], average_precision=ap) for ap in ("trapezoid", "finite-sum")]},
            ValueError,
            "must share average_precision",
        ),
    ],
)
def test_a_wrong_fusion_is_refused_at_once(wrong, error, message):
    with pytest.raises(error, match=message):
        Fusion(**{"members": MEMBERS, **wrong})


def test_members_that_differ_once_the_dataset_is_known_are_refused(things, warm):
    members = (MEMBERS[0], replace(MEMBERS[1], protocol="revisited"))
    with pytest.raises(ValueError, match="must share protocol, got 'retrieval' and 'revisited'"):
        run_fusion(Fusion(members=members), dataset=things, store=warm, progress=False)
    members = (MEMBERS[0], replace(MEMBERS[1], average_precision="finite-sum"))
    with pytest.raises(ValueError, match="must share average_precision, got 'trapezoid' and 'finite-sum'"):
        run_fusion(Fusion(members=members), dataset=things, store=warm, progress=False)


# runs


def descriptors(things: Dataset, store: Store, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Database and train split of a recipe, as searched."""
    from cbirlab.backbones import load_backbone
    from cbirlab.pipeline import Bench

    backbone = load_backbone(recipe.backbone, recipe.weights)
    recipe = recipe.resolved(things, backbone)
    found = []
    for dataset in (things, replace(things, images=things.train, queries=(), labels=(), instances=())):
        found.append(Bench(dataset, backbone, recipe, store=store, progress=False).pair(recipe)[0].values)
    return found[0], found[1]


@pytest.mark.parametrize("method", FUSIONS)
def test_a_fused_run_is_its_members_fused(method, things, warm):
    weights = (1.0, 0.5)
    result = run_fusion(
        Fusion(members=MEMBERS, method=method, weights=weights), dataset=things, store=warm, progress=False
    )
    runs = [run(recipe, dataset=things, store=warm, progress=False) for recipe in MEMBERS]
    for mine, theirs in zip(result.members, runs, strict=True):
        np.testing.assert_array_equal(mine.ranking.images, theirs.ranking.images)
    values = [descriptors(things, warm, recipe)[0] for recipe in MEMBERS]
    members = [Member(one.ranking, value, value) for one, value in zip(runs, values, strict=True)]
    expected = fuse(members, method, weights, own=np.arange(40))
    np.testing.assert_array_equal(result.ranking.images, expected.images)
    assert result.metrics == pytest.approx(dict(evaluate(expected, things).metrics))
    assert result.member_weights == weights
    assert result.leak == ""
    assert result.dim == 48 + 8
    assert list(result.seconds) == ["load", "extract", "balance", "search", "evaluate"]
    assert isinstance(result, FusedRun)
    assert result.ms_per_query > 0
    assert result.bytes_per_image == 4 * 56


def test_a_fusion_of_one_member_is_that_member(things, warm):
    alone = run(MEMBERS[1], dataset=things, store=warm, progress=False)
    for method in FUSIONS:
        fusion = Fusion(members=MEMBERS[1:], method=method)
        result = run_fusion(fusion, dataset=things, store=warm, progress=False)
        assert result.metrics["map"] == pytest.approx(alone.metrics["map"], abs=1e-12)


def test_whitening_after_concatenation_is_learned_on_the_train_split(things, warm):
    fusion = Fusion(members=MEMBERS, weights=(1, 2), whitening="pca(power=0.25)", dimensions=6)
    result = run_fusion(fusion, dataset=things, store=warm, progress=False)
    sides = zip(*(descriptors(things, warm, recipe) for recipe in MEMBERS), strict=True)
    images, train = (early(list(side), (1, 2)) for side in sides)
    images = whiten(learn("pca(power=0.25)", train), images, 6)
    np.testing.assert_array_equal(result.ranking.images, ExactIndex().fit(images).search(images).images)
    assert (result.dim, result.bytes_per_image) == (6, 24)
    row = fused_row(result)
    assert row["whitening"] == "none + pca > pca(power=0.25)"
    assert row["whitening_set"] == things.train_name


@pytest.mark.parametrize("method", ["early", "minmax", "cascade"])
def test_weights_are_learned_on_the_train_split_and_repeat(method, paired, warm):
    fusion = Fusion(members=MEMBERS, method=method, weights="learned")
    result = run_fusion(fusion, dataset=paired, store=warm, progress=False)
    split = train_split(paired)
    values = [descriptors(paired, warm, recipe)[1] for recipe in MEMBERS]
    members = [Member(ExactIndex().fit(value).search(value), value, value) for value in values]
    assert [query.index for query in split.queries] == list(range(24))
    assert result.member_weights == balance(members, split, method).weights
    assert result.leak == ""
    again = run_fusion(Fusion.from_json(result.recipe.to_json()), dataset=paired, store=warm, progress=False)
    assert (again.recipe, again.member_weights) == (result.recipe, result.member_weights)
    np.testing.assert_array_equal(again.ranking.images, result.ranking.images)


def test_the_evaluated_labels_do_not_move_learned_weights(paired, warm):
    fusion = Fusion(members=MEMBERS, method="minmax", weights="learned")
    other = replace(paired, labels=tuple({"positive": ((query.index + 7) % 40,)} for query in paired.queries))
    first, second = (run_fusion(fusion, dataset=one, store=warm, progress=False) for one in (paired, other))
    assert first.member_weights == second.member_weights
    assert first.metrics != second.metrics


def test_weights_are_learned_alike_under_another_protocol(paired, warm):
    fusion = Fusion(members=MEMBERS, method="minmax", weights="learned")
    labels = tuple({"easy": rows["positive"], "hard": (), "junk": ()} for rows in paired.labels)
    revisited = replace(paired, labels=labels, protocol="revisited")
    first, second = (run_fusion(fusion, dataset=one, store=warm, progress=False) for one in (paired, revisited))
    assert first.member_weights == second.member_weights
    assert first.metrics["map"] == second.metrics["map_medium"]


def test_learning_needs_a_train_split_that_shows_instances_twice(things, paired, warm):
    learned = Fusion(members=MEMBERS[:1], weights="learned")
    with pytest.raises(ValueError, match="weights are learned from two images of one instance"):
        run_fusion(learned, dataset=things, store=warm, progress=False)


@pytest.mark.parametrize("where", ["held_out", "database"])
def test_a_fusion_learns_where_its_members_learn(things, warm, where):
    """Of one member, it is that member with the whitening of the fusion."""
    bare = replace(things, train=(), train_instances=(), train_name="")
    member = replace(MEMBERS[0], whitening="none", dimensions=None, whitening_set=where)
    given = {"dataset": bare, "store": warm, "progress": False}
    fused = run_fusion(Fusion(members=(member,), method="early", whitening="pca", dimensions=8), **given)
    plain = run(replace(member, whitening="pca", dimensions=8), **given)
    assert fused.metrics == pytest.approx(plain.metrics, abs=1e-6)
    assert bool(fused.leak) == bool(plain.leak) == (where == "database")
    both = [replace(one, whitening="pca", whitening_set=where) for one in MEMBERS[:2]]
    learned = run_fusion(Fusion(members=both, method="minmax", weights="learned"), **given)
    assert sum(learned.member_weights) == pytest.approx(1)


def test_half_of_a_dataset_is_held_out_for_a_fusion_that_learns(things, warm, monkeypatch):
    bare = replace(things, train=(), train_instances=(), train_name="")
    monkeypatch.setattr("cbirlab.datasets.base.ENOUGH", 8)
    monkeypatch.setattr("cbirlab.datasets.base.ENOUGH_KINDS", 2)
    assert bare.learns_on_itself
    members = [replace(one, whitening="none", dimensions=None) for one in MEMBERS[:2]]
    fused = run_fusion(Fusion(members=members, whitening="pca"), dataset=bare, store=warm, progress=False)
    assert {member.recipe.whitening_set for member in fused.members} == {"things/held_out"}
    assert fused.leak == ""


def test_a_train_split_of_evaluated_images_is_a_leak(paired, warm):
    leaking = replace(paired, train=paired.images, train_instances=paired.instances)
    fusion = Fusion(members=MEMBERS[:1], method="minmax", weights="learned")
    result = run_fusion(fusion, dataset=leaking, store=warm, progress=False)
    assert result.leak == "fusion learned on 40 of the 40 evaluated images"


def test_members_of_one_network_share_its_pass(things, tmp_path, monkeypatch):
    from cbirlab.extract import network

    seen, original = [0], network.Network.read
    monkeypatch.setattr(
        network.Network, "read", lambda self, pixels, *taps: seen.append(len(pixels)) or original(self, pixels, *taps)
    )
    members = [replace(MEMBERS[0], tap=tap, aggregation="gem") for tap in ("layer2", "layer3", "layer4")]
    run_fusion(Fusion(members=members), dataset=things, store=Store(tmp_path), progress=False)
    assert sum(seen) == 40


def test_a_fused_row_has_the_columns_of_a_table(things, warm):
    other = replace(MEMBERS[0], image_size=32)
    result = run_fusion(
        Fusion(members=(*MEMBERS, other), method="rrf", weights=(1, 0.5, 0.25)),
        dataset=things,
        store=warm,
        progress=False,
    )
    row, plain = fused_row(result), table_row(result.members[0])
    assert [name for name in row if name not in ("fusion", "fusion_weights")] == [*plain]
    assert (row["dataset"], row["backbone"], row["weights"]) == ("things", "toynet", "random")
    assert (row["tap"], row["aggregation"]) == ("layer2 + layer4 + layer2", "mac + gem(p=3) + mac")
    assert (row["whitening"], row["image_size"]) == ("none + pca + none", "64 + 64 + 32")
    assert (row["fusion"], row["fusion_weights"]) == ("rrf(k=60)", "1 + 0.5 + 0.25")
    assert row["map"] == result.metrics["map"]
    assert row["dim"] == 48 + 8 + 48
    assert row["forward_passes"] == 2  # two image sizes; the first two members share theirs
    again = run_fusion(Fusion.from_json(row["recipe"]), dataset=things, store=warm, progress=False)
    assert again.metrics == result.metrics


def test_without_ground_truth_there_is_a_ranking_and_no_number(things, warm):
    bare = replace(things, labels=(), instances=())
    result = run_fusion(Fusion(members=MEMBERS, method="rrf"), dataset=bare, store=warm, progress=False)
    assert result.evaluation is None
    assert result.metrics == {}
    assert result.ranking.images.shape == (40, 40)
    assert "map" not in fused_row(result)
    with pytest.raises(ValueError, match="no ground truth"):
        complementarity({"a": result, "b": result})


LEVEL = Recipe(dataset="things", weights="random", tap="layer4", aggregation="spoc", whitening="pca", dimensions=8)
WINDOWS = "windows(size={}, step=0.5, combine=vlad, words=8, local_dims=4)"
MOP = (LEVEL, *(replace(LEVEL, passes=WINDOWS.format(size)) for size in (0.5, 0.25)))
"""MOP-CNN (Gong et al., ECCV 2014): the whole image, and VLAD over windows of two sizes, each with its own PCA."""

SIFT = Recipe(dataset="things", backbone="handcrafted", tap="rootsift", aggregation="vlad(k=4)")
CCS = (LEVEL, replace(LEVEL, passes="proposals(most=4, combine=vlad, words=8, local_dims=4)"), SIFT)
"""CCS (Yan et al., MM 2016): scene, objects and points."""


@pytest.mark.parametrize("members", [MOP, CCS], ids=["MOP-CNN", "CCS"])
def test_systems_of_several_levels_are_their_levels_whitened_together(members, things, warm):
    fusion = Fusion.from_json(Fusion(members=members, whitening="pca", dimensions=12).to_json())
    assert fusion.members == members
    result = run_fusion(fusion, dataset=things, store=warm, progress=False)
    sides = zip(*(descriptors(things, warm, recipe) for recipe in members), strict=True)
    images, train = (early(list(side)) for side in sides)
    assert images.shape[1] == sum(member.dim for member in result.members)
    images = whiten(learn("pca", train), images, 12)
    by_hand = ExactIndex().fit(images).search(images)
    np.testing.assert_allclose(result.ranking.scores, by_hand.scores, atol=1e-5)
    assert (result.dim, result.leak) == (12, "")
    views = [member.forward_passes for member in result.members]
    assert views[0] == 1
    assert views[1] > 1


def test_a_folder_runs_from_json_alone(pictures, warm):
    members = [
        replace(recipe, dataset=str(pictures), image_size=64, whitening="none", dimensions=None) for recipe in MEMBERS
    ]
    result = run_fusion(Fusion.from_json(Fusion(members=members).to_json()), store=warm, progress=False)
    assert result.metrics["map"] > 0.2


def test_words_and_views_are_not_concatenated(things, warm):
    matching = replace(MEMBERS[0], passes="grid(rows=2, columns=2, combine='match')")
    with pytest.raises(ValueError, match="compares words or views"):
        run_fusion(Fusion(members=(MEMBERS[0], matching)), dataset=things, store=warm, progress=False)
    with pytest.raises(ValueError, match="turns the cosines of all members but the first into distances"):
        Fusion(members=(MEMBERS[0], matching), method="cascade(depth=5)")
    assert Fusion(members=(matching, MEMBERS[0]), method="cascade").method == "cascade(depth=100, tau=1)"
    result = run_fusion(
        Fusion(members=(MEMBERS[0], matching), method="rrf"), dataset=things, store=warm, progress=False
    )
    assert result.metrics["map"] > 0.2


# reports


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """As much of a run as the reports read."""

    ranking: Ranking
    dataset: Dataset

    @property
    def evaluation(self):
        return evaluate(self.ranking, self.dataset)


def judged(seed: int, dataset: Dataset) -> Judged:
    """A random ranking; the query's own image comes first."""
    scores = np.random.default_rng(seed).uniform(size=(len(dataset.queries), len(dataset.images)))
    for query, one in enumerate(dataset.queries):
        scores[query, [] if one.index is None else one.index] = 2
    return Judged(scored(scores.tolist()).ranking, dataset)


@pytest.fixture
def benchmark() -> Dataset:
    """20 images, 8 queries, of which the last has no easy answer and the second is in the database."""
    random = np.random.default_rng(14)
    labels = []
    for query in range(8):
        rows = [int(row) for row in random.permutation(20)[:7] if row != 5]
        labels.append(
            {"easy": () if query == 7 else tuple(rows[:2]), "hard": tuple(rows[2:4]), "junk": tuple(rows[4:])}
        )
    return Dataset(
        "drawn",
        tuple(f"{row}.jpg" for row in range(20)),
        queries=tuple(Query(Path(f"q{q}.jpg"), index=5 if q == 1 else None) for q in range(8)),
        labels=tuple(labels),
        protocol="revisited",
        instances=tuple("ab"[row % 2] for row in range(20)),
    )


@pytest.mark.parametrize("level", [None, "easy", "hard"])
def test_complementarity_is_that_of_scipy_and_counting(benchmark, level):
    runs = {name: judged(seed, benchmark) for seed, name in enumerate(["x", "y", "z"])}
    frame = complementarity(runs, level=level, fusion="minmax")
    assert list(zip(frame["a"], frame["b"], strict=True)) == [("x", "y"), ("x", "z"), ("y", "z")]
    aps = {name: one.evaluation.per_query[level or "medium"] for name, one in runs.items()}
    for row in frame.to_dict("records"):
        a, b = (aps[row[side]][: 7 if level == "easy" else 8] for side in "ab")
        assert row["pearson"] == pytest.approx(pearsonr(a, b).statistic)
        assert row["spearman"] == pytest.approx(spearmanr(a, b).statistic)
        assert row["a_wins"] == sum(x > y for x, y in zip(a, b, strict=True)) / len(a)
        assert row["a_wins"] + row["b_wins"] + row["equal"] == pytest.approx(1)
        assert row["oracle"] == pytest.approx(np.mean([max(pair) for pair in zip(a, b, strict=True)]))
        assert row["gain"] == pytest.approx(row["oracle"] - max(a.mean(), b.mean()))
        both = [Member(runs[row[side]].ranking) for side in "ab"]
        fused = evaluate(fuse(both, "minmax", own=own_rows(benchmark, PROTOCOLS["revisited"])), benchmark)
        assert row["fused"] == pytest.approx(fused.metrics[f"map_{level or 'medium'}"])


def test_complementarity_of_a_run_with_itself(benchmark):
    one = judged(0, benchmark)
    row = complementarity({"a": one, "b": one}).iloc[0]
    assert (row["pearson"], row["spearman"], row["equal"], row["gain"]) == pytest.approx((1, 1, 1, 0))
    assert row["fused"] == pytest.approx(row["map_a"])
    assert "fused" not in complementarity({"a": one, "b": one}, fusion=None)


def test_correlation_with_a_constant_is_not_a_number(benchmark):
    order = np.stack(
        [
            np.array([*rows["easy"], *rows["hard"], *(n for n in range(20) if n not in rows["easy"] + rows["hard"])])
            for rows in benchmark.labels
        ]
    )
    perfect = Judged(Ranking(order, np.tile(-np.arange(20, dtype=np.float32), (8, 1))), benchmark)
    row = complementarity({"best": perfect, "other": judged(1, benchmark)}).iloc[0]
    assert math.isnan(row["pearson"])
    assert math.isnan(row["spearman"])
    assert row["map_a"] == row["oracle"] == 1


@pytest.mark.parametrize("level", [None, "easy"])
def test_versus_lists_every_query_by_difference(benchmark, level):
    a, b = judged(3, benchmark), judged(4, benchmark)
    frame = versus(a, b, level=level)
    ap_a, ap_b = (one.evaluation.per_query[level or "medium"] for one in (a, b))
    counted = [query for query in range(8) if not math.isnan(ap_a[query])]
    assert len(counted) == (7 if level == "easy" else 8)
    expected = sorted(counted, key=lambda query: -(ap_a[query] - ap_b[query]))
    assert frame["query"].tolist() == expected
    assert frame["image"].tolist() == [f"q{query}.jpg" for query in expected]
    np.testing.assert_allclose(frame["difference"], [ap_a[q] - ap_b[q] for q in expected])
    right = ("easy",) if level == "easy" else ("easy", "hard")
    junk = ("junk", "hard") if level == "easy" else ("junk",)
    for row in frame.to_dict("records"):
        labels = benchmark.labels[row["query"]]
        for side, one in (("a", a), ("b", b)):
            ignored = {n for label in junk for n in labels[label]} | ({5} if row["query"] == 1 else set())
            images = reference.without_junk(one.ranking.images[row["query"]].tolist(), ignored)
            answers = {n for label in right for n in labels[label]}
            assert row[f"first_{side}"] == next(k for k, image in enumerate(images, start=1) if image in answers)
    interval = paired_difference(ap_a, ap_b, groups=a.evaluation.groups)
    assert (frame.attrs["mean_difference"], frame.attrs["low"], frame.attrs["high"]) == tuple(interval)
    assert frame.attrs["mean_difference"] == pytest.approx(frame["difference"].mean())
    assert frame.attrs["a_wins"] == (frame["difference"] > 0).sum()
    assert frame.attrs["b_wins"] == (frame["difference"] < 0).sum()
    assert frame.attrs["queries"] == len(counted)


def test_a_right_answer_that_the_list_misses_has_no_rank(benchmark):
    cut = Judged(judged(0, benchmark).ranking.top(1), benchmark)
    ranks = versus(cut, cut, level="easy").set_index("query")["first_a"].reindex(range(8)).to_numpy()
    assert np.isnan(ranks[7])
    assert set(ranks[~np.isnan(ranks)]) <= {1.0}


def test_reports_refuse_what_cannot_be_compared(benchmark):
    one = judged(0, benchmark)
    other = judged(0, replace(benchmark, name="other"))
    with pytest.raises(ValueError, match=r"one dataset and one protocol, got 'drawn' .* and 'other'"):
        versus(one, other)
    with pytest.raises(ValueError, match="runs must be at least two"):
        complementarity({"a": one})
    with pytest.raises(ValueError, match="level must be one of easy, medium, hard, got 'map'"):
        versus(one, one, level="map")
    with pytest.raises(ValueError, match="fusion must fuse scores or ranks"):
        complementarity({"a": one, "b": one}, fusion="early")


def test_reports_read_runs_and_fused_runs(things, warm):
    single = run(MEMBERS[0], dataset=things, store=warm, progress=False)
    fused = run_fusion(Fusion(members=MEMBERS, method="znorm"), dataset=things, store=warm, progress=False)
    frame = complementarity({"mac": single, "fused": fused})
    assert frame.loc[0, "map_b"] == pytest.approx(fused.metrics["map"])
    listed = versus(single, fused)
    assert listed.attrs["level"] == "map"
    assert len(listed) == 40


def test_what_was_called_rerank_is_read_as_cascade_and_the_function_says_so():
    fusion = Fusion(members=MEMBERS, method="rerank(depth=5)")
    assert fusion.method == "cascade(depth=5, tau=1)"
    assert Fusion.from_json(fusion.to_json().replace("cascade", "rerank")) == fusion
    package = sys.modules["cbirlab.fusion"]
    with pytest.warns(DeprecationWarning, match=r"fusion\.rerank is called cascade now; .* until version 0\.3"):
        former = package.rerank
    assert former is cascade
    with pytest.raises(AttributeError, match="no attribute 'rerang'"):
        package.rerang  # noqa: B018
