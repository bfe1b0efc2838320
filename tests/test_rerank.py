"""Re-ranking as a stage of the recipe: runs, tables, sessions, the store, and descriptors of one's own."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab import Fusion, Recipe, compare, evaluate_features, rerank, run
from cbirlab.backbones import load_backbone
from cbirlab.base.progress import Cancelled, listening
from cbirlab.datasets import load_dataset
from cbirlab.index import ExactIndex
from cbirlab.live import Session
from cbirlab.live.folders import find_pictures
from cbirlab.pipeline import Bench
from cbirlab.pipeline.pictures import DatasetPictures
from cbirlab.pipeline.reranked import describe_pictures
from cbirlab.pipeline.running import table_row
from cbirlab.reranking import Answers, Gallery, Reranking, neighbours, rerank_answers
from cbirlab.store import Store
from cbirlab.study.choices.recipes import reruns
from cbirlab.study.rerank_choice import choose_reranking


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    dataset, backbone = load_dataset("toytown"), load_backbone("toynet")
    recipe = Recipe().resolved(dataset, backbone)
    return Bench(dataset, backbone, recipe, store=Store(tmp_path_factory.mktemp("store")), progress=False)


def recipe(bench, **fields):
    return Recipe(**fields).resolved(bench.dataset, bench.backbone)


def test_a_recipe_without_reranking_keeps_its_key():
    assert "rerank" not in Recipe().to_json()
    assert Recipe(rerank="none") == Recipe()
    changed = Recipe(rerank="dba > aqe(k=5)")
    assert Recipe.from_json(changed.to_json()) == changed
    assert changed.key() != Recipe().key()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nearest", "Unknown re-ranking 'nearest'"),
        ("aqe(k=0)", r"aqe: k must be a whole number in \[1, 200\], got 0"),
        ("aqe(n=3)", "aqe: unknown parameter 'n'; parameters: k"),
        ("aqe > none", "a chain must be of methods, got 'none' in 'aqe > none'"),
        ("aqe > dba", "methods that change the database, as 'dba', must come before all others"),
        ("aqe >", "Unknown re-ranking ''"),
    ],
)
def test_what_is_no_chain_of_methods_is_refused(text, message):
    with pytest.raises((ValueError, KeyError, TypeError), match=message):
        Recipe(rerank=text)


def test_a_chain_has_steps_and_says_what_they_need():
    chain = Reranking.parse("dba(k=5) > decay")
    assert [step.key for step in chain.steps] == ["dba(k=5)", "decay"]
    assert (chain.name, chain.needs, chain.used, chain.transductive) == ("decay", {"neighbours"}, True, False)
    assert Reranking.parse(chain.key) == chain


@pytest.mark.parametrize("method", ["aqe(k=5)", "decay", "dba > alpha_qe"])
@pytest.mark.parametrize("whitening", ["none", "lw"])
def test_a_run_gives_what_its_descriptors_give_by_themselves(bench, method, whitening):
    asked = recipe(bench, rerank=method, whitening=whitening)
    images, queries = bench.pair(asked)
    alone = rerank_answers(Answers.of_exact(queries.values, Gallery(images.values)), method).ranking
    found = bench.run(asked)
    assert (found.ranking.images == alone.images).all()
    assert (found.ranking.scores == alone.scores).all()
    assert rerank(queries.values, images.values, method).scores == pytest.approx(alone.scores, abs=1e-6)
    assert found.reranked is not None
    first = ExactIndex().fit(images).search(queries, found.reranked.first.images.shape[1])
    assert (found.reranked.first.images == first.images).all()
    assert set(found.seconds) >= {"search", "rerank", "prepare"}


def test_what_was_added_to_a_query_is_told(bench):
    reranked = bench.run(recipe(bench, rerank="aqe(k=4)")).reranked
    assert reranked is not None
    assert (reranked.evidence["neighbours"] == reranked.first.images[:, :4]).all()
    assert (reranked.evidence["weights"] == 1).all()


def test_one_query_alone_is_ranked_as_among_all(bench):
    asked = recipe(bench, rerank="dba > decay(k=5)")
    whole = bench.run(asked).ranking
    for query in (0, 7, 95):
        alone = bench.search(asked, [query])
        assert (alone.images[0] == whole.images[query]).all()
        assert (alone.scores[0] == whole.scores[query]).all()


def test_an_image_of_the_database_is_not_its_own_neighbour(bench):
    asked = recipe(bench, rerank="aqe(k=2)")
    images, _ = bench.pair(asked)
    own = bench.search(asked, images.of([3]), own=[3])
    others = ExactIndex().fit(images).search(images.of([3]), 3).images[0, 1:]
    expected = images.values[3].astype(np.float64) + images.values[others].astype(np.float64).sum(axis=0)
    expected /= np.linalg.norm(expected)
    assert (own.images == ExactIndex().fit(images).search(expected[None]).images).all()


def test_neighbours_are_found_once_and_kept_in_the_store(bench, monkeypatch):
    asked = recipe(bench, rerank="decay")
    found = bench.run(asked).ranking
    monkeypatch.setattr("cbirlab.pipeline.reranked.find_neighbours", lambda *given: pytest.fail("found again"))
    other = Bench(bench.dataset, bench.backbone, bench.shared, store=bench.store, progress=False)
    assert (other.run(asked).ranking.images == found.images).all()
    other.run(recipe(bench, rerank="decay(k=150)"))  # any k is a slice of the same lists


def test_with_an_index_the_second_search_asks_it_too(bench):
    asked = recipe(bench, rerank="aqe(k=2)", compression="itq(bits=64)", rescore=100)
    found, without = bench.run(asked), bench.run(recipe(bench, compression="itq(bits=64)", rescore=100))
    rows = np.asarray(bench.pair(asked)[1].values, np.float64)
    images = bench.pair(asked)[0].values
    rows = rows + images[without.ranking.images[:, :2]].astype(np.float64).sum(axis=1)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    index = bench.index(asked)
    for query in (0, 50):
        listed = index.search(rows[[query]]).images[0, :100]
        assert set(found.ranking.images[query, :100].tolist()) == set(listed.tolist())


def test_a_table_has_a_row_for_each_and_says_what_it_cost():
    table = compare(
        "toytown", aggregations="gem", whitenings="none", rerankings=["none", "aqe", "dba > aqe"], progress=False
    )
    assert list(table["rerank"]) == ["none", "aqe", "dba > aqe"]
    assert (table["rerank_ms"] > 0).tolist() == [False, True, True]
    assert table["map_medium"].nunique() == 3
    again = run(Recipe.from_json(table["recipe"][2]), progress=False)
    assert table_row(again)["map_medium"] == table["map_medium"][2]


def test_words_and_views_are_reranked_only_by_their_pictures():
    with pytest.raises(ValueError, match="so rerank must be 'none' or of methods that compare pictures"):
        Recipe(aggregation="asmk", rerank="aqe")
    with pytest.raises(ValueError, match="so rerank must be 'none'"):
        Recipe(passes="grid(rows=2, columns=2, combine=match)", rerank="decay")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"queries": np.ones((2, 3))}, "queries must have 4 dimensions"),
        ({"queries": np.ones(4)}, "queries must be"),
        ({"queries": np.full((1, 4), np.nan)}, "row 0 of queries holds NaN"),
        ({"database": np.ones((0, 4))}, "database must be"),
        ({"depth": 9}, r"rerank: depth must be a whole number in \[1, 6\], got 9"),
        ({"depth": 0}, r"rerank: depth must be a whole number in \[1, 6\], got 0"),
    ],
)
def test_arrays_that_cannot_be_searched_are_refused(given, message):
    rows = np.random.default_rng(0).normal(size=(6, 4))
    with pytest.raises(ValueError, match=message):
        rerank(**{"queries": rows[:2], "database": rows, "method": "aqe", **given})


def test_above_a_number_of_rows_lists_find_the_neighbours_and_their_recall_is_told(monkeypatch):
    pytest.importorskip("faiss")
    rows = np.random.default_rng(1).normal(size=(600, 8))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    exact = neighbours.find_neighbours(rows, 10)
    monkeypatch.setattr(neighbours, "MOST_EXACT", 500)
    with pytest.warns(UserWarning, match=r"found the 10 nearest of 600 images, 9\d\.\d% of the true ones|100\.0%"):
        found = neighbours.find_neighbours(rows, 10)
    same = np.mean([len({*one} & {*other}) / 10 for one, other in zip(found.images, exact.images, strict=True)])
    assert same >= 0.9
    assert 0.95 <= found.recall <= 1
    assert not (found.images == np.arange(600)[:, None]).any()
    monkeypatch.setattr(neighbours, "has_faiss", lambda: False)
    with pytest.warns(UserWarning, match="all 600 images are compared with each other"):
        assert (neighbours.find_neighbours(rows, 10).images == exact.images).all()


def test_nothing_is_said_where_the_search_is_exact():
    rows = np.eye(5, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert neighbours.find_neighbours(rows, 9).images.shape == (5, 4)


def test_why_says_what_reranking_changes(bench):
    found = {one.choice: one for one in reruns(recipe(bench), bench.dataset, bench.store)}
    assert (found["rerank"].was, found["rerank"].to, found["rerank"].forward_pass) == ("none", "decay", False)
    found = {one.choice: one for one in reruns(recipe(bench, rerank="dba > aqe"), bench.dataset, bench.store)}
    assert found["rerank"].recipe == recipe(bench)
    words = {one.choice: one for one in reruns(recipe(bench, aggregation="asmk"), bench.dataset, bench.store)}
    assert "compares words or views" in words["rerank"].note


@pytest.mark.parametrize("method", ["early", "cascade"])
def test_fusions_of_descriptors_and_of_cosines_refuse_reranked_members(method):
    with pytest.raises(ValueError, match="rerank"):
        Fusion(members=[Recipe(), Recipe(rerank="aqe")], method=method)
    assert Fusion(members=[Recipe(), Recipe(rerank="aqe")], method="rrf").members[1].rerank == "aqe"


def test_descriptors_of_others_are_reranked_too(bench):
    images, queries = bench.pair(recipe(bench))
    given = images.values, queries.values, bench.dataset
    found = evaluate_features(*given, rerank="decay").metrics
    assert found["map_medium"] == pytest.approx(
        bench.run(recipe(bench, rerank="decay")).metrics["map_medium"], abs=1e-4
    )
    assert found != evaluate_features(*given).metrics
    with pytest.raises(ValueError, match="needs similarity 'cosine', got 'inner'"):
        evaluate_features(*given, rerank="decay", similarity="inner")


def test_settings_are_chosen_on_the_learning_set_and_the_choice_is_shown(bench):
    tried = ["aqe(k=1)", "aqe(k=5)", "aqe(k=60)"]
    found = choose_reranking(Recipe(), tried, dataset=bench.dataset, store=bench.store, progress=False)
    assert found.recipe == Recipe(rerank=found.rerank)
    assert found.table["rerank"].iloc[0] == found.rerank
    assert {*found.table["rerank"]} == {*tried}
    assert found.table["map"].is_monotonic_decreasing
    assert found.learned_on == "640 images of toytown/train"
    train = bench.dataset.train_instances
    before = found.table["map"].iloc[0] - found.table["difference"].iloc[0]
    assert before == pytest.approx(_map_of_train(bench, train), abs=1e-4)


def _map_of_train(bench, kinds):
    """mAP of the train split asking itself, in loops; trapezoid AP."""
    whitened = recipe(bench, whitening="pca")  # so that the train split is described
    bench.fill([whitened])
    rows = bench.rows(whitened, whitened.whitening_set)[0].values.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = []
    for own, kind in enumerate(kinds):
        order = [row for row in np.argsort(-(rows @ rows[own]), kind="stable") if row != own]
        hits = [place for place, row in enumerate(order) if kinds[row] == kind]
        if kind and hits:
            ap = [((n / place if place else 1.0) + (n + 1) / (place + 1)) / 2 for n, place in enumerate(hits)]
            found.append(np.mean(ap))
    return np.mean(found)


def test_a_choice_among_nothing_or_without_instances_is_refused(tmp_path):
    with pytest.raises(ValueError, match="candidates must be at least one"):
        choose_reranking(Recipe(), [])
    unknown = replace(load_dataset("toytown"), train_instances=())
    with pytest.raises(ValueError, match="must have two images of one instance"):
        choose_reranking(Recipe(), ["aqe"], dataset=unknown)


def test_pictures_are_asked_by_runs_sessions_and_folders_alike(tmp_path):
    towers = load_dataset(write_toytown_form(tmp_path / "towers", scenes=3, views=4), image_size=96)
    session = Session(towers, "toynet", "random", ["gem"], store=Store(tmp_path / "store"))
    session.prepare(progress=False)
    setting = ("layer4", "gem", "none", None, (("rerank", "spatial(top=6, order=inliers, least=1)"),))
    found = session.rank(*setting)
    assert found.reranked is not None
    inliers = found.reranked.evidence["inliers"]
    assert (np.diff(inliers[np.arange(len(inliers))[:, None], _places(found)], axis=1) <= 0).all()
    assert found.seconds["prepare"] > 0
    own = session.rank_image(2, *setting)
    assert own.images[0, 0] == 2
    dropped = session.rank_image(towers.images[2], *setting)
    assert dropped.images[0, 0] == 2
    with pytest.raises(ValueError, match="compares pictures, and the mean of several is none"):
        session.rank_image([1, 2], *setting)
    assert {*dropped.images[0].tolist()} == {*range(len(towers.images))}
    asked = replace(session.recipe(*setting), dataset=str(tmp_path / "towers"))
    listed = find_pictures(asked, [towers.images[2]], k=6, store=Store(tmp_path / "store"), progress=False)
    assert listed["path"].tolist() == [str(towers.images[row]) for row in dropped.images[0, :6]]


def test_a_dropped_picture_is_described_once_for_all_moves_of_a_slider(tmp_path, monkeypatch):
    towers = load_dataset(write_toytown_form(tmp_path / "towers", scenes=2, views=3), image_size=96)
    session = Session(towers, "toynet", "random", ["gem"], store=Store(tmp_path / "store"))
    session.prepare(progress=False)
    described, of_picture = [], DatasetPictures.of_picture
    monkeypatch.setattr(
        DatasetPictures, "of_picture", lambda *given, **how: (described.append(given[1:]), of_picture(*given, **how))[1]
    )
    for least in (1, 4, 9):
        moved = ("layer4", "gem", "none", None, (("rerank", f"spatial(top=6, least={least})"),))
        assert session.rank_image(towers.images[2], *moved).images[0, 0] == 2
    assert described == [("keypoints", towers.images[2], None)]
    session.rank_image(towers.images[2], *moved, box=(0, 0, 60, 60))
    assert described[1:] == [("keypoints", towers.images[2], (0, 0, 60, 60))]


def _places(found):
    """Where each of the first six images after re-ranking stood among those that were compared."""
    verified = found.reranked.evidence["verified"]
    places = [
        [list(before).index(row) for row in after]
        for before, after in zip(verified, found.ranking.images[:, :6], strict=True)
    ]
    return np.array(places)


def test_pictures_are_described_in_one_go_before_a_setting_is_ready(tmp_path):
    towers = load_dataset(write_toytown_form(tmp_path / "towers", scenes=3, views=4), image_size=96)
    session = Session(towers, "toynet", "random", ["gem"], store=Store(tmp_path / "store"))
    session.prepare(progress=False)
    setting = ("layer4", "gem", "none", None, (("rerank", "dba > decay(k=2) > spatial(top=3)"),))
    plain = (*setting[:4], (("rerank", "dba > decay(k=2)"),))
    assert session.ready(*plain)
    assert not session.ready(*setting)
    told = []
    with listening(lambda *seen: told.append(seen)):
        session.make_ready(*setting)
    assert session.ready(*setting)
    assert {words for words, *_ in told if "keypoints" in words} == {"keypoints of towers"}
    found = session.rank(*setting)
    assert found.reranked is not None
    verified = found.reranked.evidence["verified"]
    assert (verified == session.rank(*plain).ranking.images[:, :3]).all()


def test_verification_can_be_cancelled_at_each_query(tmp_path):
    towers = load_dataset(write_toytown_form(tmp_path / "towers", scenes=3, views=4), image_size=96)
    session = Session(towers, "toynet", "random", ["gem"], store=Store(tmp_path / "store"))
    session.prepare(progress=False)

    def stop(words, *_):
        if words == "verified":
            raise Cancelled

    with listening(stop), pytest.raises(Cancelled):
        session.make_ready("layer4", "gem", "none", None, (("rerank", "spatial(top=3)"),))
    assert not session.ready("layer4", "gem", "none", None, (("rerank", "spatial(top=3)"),))


def test_recall_is_that_of_the_search_before_reranking(bench):
    plain = bench.run(recipe(bench, compression="itq(bits=32)"))
    assert plain.recall < 1
    assert bench.run(recipe(bench, compression="itq(bits=32)", rerank="aqe")).recall == plain.recall
    assert bench.run(recipe(bench, rerank="aqe")).recall == 1


def test_a_changed_database_and_pictures_of_distractors_are_refused_where_they_would_be_ignored():
    for ignored in ({"index": "hnsw"}, {"compression": "sq"}, {"rescore": 10}):
        with pytest.raises(ValueError, match="changes the database, which is then searched exactly by full rows"):
            Recipe(rerank="dba > aqe", **ignored)
    with pytest.raises(ValueError, match="compares pictures, which those of distractors are not among"):
        Recipe(rerank="spatial", distractors="photos")
    assert Recipe(rerank="spatial", distractors=100).distractors == 100


def test_settings_are_chosen_at_the_image_size_of_the_recipe(bench, monkeypatch):
    class Seen(Exception):
        pass

    def see(_bench, one):
        raise Seen(one.image_size)

    monkeypatch.setattr("cbirlab.study.rerank_choice.Bench.fill", lambda self, recipes: None)
    monkeypatch.setattr("cbirlab.study.rerank_choice.Bench.run", see)
    with pytest.raises(Seen, match="64"):
        choose_reranking(Recipe(image_size=64), ["aqe"], dataset=bench.dataset, store=bench.store, progress=False)


def test_what_is_prepared_while_pictures_are_chosen_counts_as_preparation(bench):
    asked, gallery = (
        recipe(bench, rerank="diffusion_offline > spatial(top=1)"),
        Gallery(bench.pair(recipe(bench))[0].values),
    )

    def lists(_recipe):
        gallery.prepared("what a method before needs", lambda: time.sleep(0.05))
        return iter(())

    assert describe_pictures(asked, bench.pictures, lists, gallery) >= 0.05
