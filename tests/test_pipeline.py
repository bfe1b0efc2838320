"""Pipeline: recipes, runs, grids and live sessions, against plain NumPy."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest

import cbirlab
from cbirlab import Recipe, compare, run
from cbirlab.aggregation import AGGREGATIONS
from cbirlab.base.recent import Recent
from cbirlab.base.registry import UnknownName
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.encoding import ENCODINGS
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.extract import extract
from cbirlab.live import Session
from cbirlab.live.slider_stops import slider_stops
from cbirlab.pipeline import table_row
from cbirlab.pipeline.bench import Bench, Column
from cbirlab.pipeline.learning_sets import learning_part
from cbirlab.store import Store
from cbirlab.whitening import learn, whiten
from cbirlab.whitening.pca import PCAWhitening

COLUMNS = (
    "backbone weights tap aggregation whitening dim image_size "
    "map map_low map_high ms_per_query bytes_per_image leak recipe"
)


RECIPE = Recipe(dataset="things", weights="random", whitening="pca", dimensions=8)


def plain(things: Dataset, store: Store, recipe: Recipe):
    """A run step by step, without the pipeline."""
    from cbirlab.aggregation import Aggregation
    from cbirlab.backbones import load_backbone
    from cbirlab.index import ExactIndex
    from cbirlab.whitening import normalise

    backbone = load_backbone(recipe.backbone, recipe.weights)
    tap = recipe.tap or backbone.default_tap
    spec = Aggregation.parse(recipe.aggregation)
    found = extract(things, backbone, taps=[tap], aggregations=[spec], store=store, progress=False)[tap, spec.key]
    if recipe.whitening == "pca":
        whitening = learn("pca", found["train"])
        images, queries = (whiten(whitening, found[part], recipe.dimensions) for part in ("images", "queries"))
    else:
        images, queries = (normalise(found[part]) for part in ("images", "queries"))
    ranking = ExactIndex().fit(images).search(queries)
    return ranking, evaluate(ranking, things)


@pytest.mark.parametrize("recipe", [RECIPE, replace(RECIPE, whitening="none", dimensions=None, tap="layer1")])
def test_a_run_is_its_stages_one_after_the_other(things, warm, recipe):
    result = run(recipe, dataset=things, store=warm, progress=False)
    ranking, evaluation = plain(things, warm, recipe)
    np.testing.assert_array_equal(result.ranking.images, ranking.images)
    np.testing.assert_allclose(result.ranking.scores, ranking.scores, rtol=1e-6)
    assert result.metrics == pytest.approx(dict(evaluation.metrics))
    assert list(result.seconds) == ["load", "extract", "whiten", "index", "search", "evaluate"]
    assert all(seconds >= 0 for seconds in result.seconds.values())
    assert result.leak == ""


def test_a_resolved_recipe_leaves_nothing_open_and_runs_the_same(things, warm):
    first = run(RECIPE, dataset=things, store=warm, progress=False)
    assert first.recipe.tap == "layer4"
    assert first.recipe.image_size == 64
    assert first.recipe.protocol == "retrieval"
    assert first.recipe.whitening_set == things.train_name
    again = run(Recipe.from_json(first.recipe.to_json()), dataset=things, store=warm, progress=False)
    assert again.recipe == first.recipe
    np.testing.assert_array_equal(again.ranking.images, first.ranking.images)


def test_a_recipe_of_a_folder_runs_from_its_json_alone(pictures, warm):
    recipe = Recipe(dataset=str(pictures), weights="random", image_size=64)
    result = run(Recipe.from_json(recipe.to_json()), store=warm, progress=False)
    assert result.metrics["map"] > 0.2


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        ({"backbone": "toynett"}, UnknownName, "Did you mean 'toynet'"),
        ({"aggregation": "gme"}, UnknownName, "Did you mean 'gem'"),
        ({"aggregation": "gem(p=11)"}, ValueError, r"p must be in \[1, 10\]"),
        ({"whitening": "pcaa"}, UnknownName, "Did you mean 'pca'"),
        ({"index": "exakt"}, UnknownName, "Did you mean 'exact'"),
        ({"protocol": "revisitd"}, UnknownName, "Did you mean 'revisited'"),
        ({"precision": "float16"}, ValueError, "precision must be one of"),
        ({"average_precision": "mean"}, ValueError, "average_precision must be one of"),
        ({"dimensions": 0}, ValueError, "dimensions must be a whole number"),
        ({"image_size": 1.5}, ValueError, "image_size must be a whole number"),
        ({"scales": ()}, ValueError, "scales must be 1 to 16 numbers"),
    ],
)
def test_a_wrong_recipe_is_refused_at_once(wrong, error, message):
    with pytest.raises(error, match=message):
        Recipe(**wrong)


def test_recipes_and_json():
    recipe = Recipe(aggregation="gem", scales=(1, 0.5))
    assert recipe.aggregation == "gem(p=3)"
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_json(json.loads(recipe.to_json())) == recipe
    assert recipe.key() == Recipe(aggregation="gem(p=3)", scales=(1.0, 0.5)).key() != Recipe().key()
    with pytest.raises(TypeError, match="Did you mean 'backbone'"):
        Recipe.from_json({"backbon": "toynet"})
    with pytest.raises(ValueError, match="expected a JSON object"):
        Recipe.from_json("[1]")
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.tap = "stem"  # pyright: ignore


def test_dimensions_without_whitening_are_refused(things, warm):
    with pytest.raises(ValueError, match="no order of importance, use whitening='pca'"):
        run(replace(RECIPE, whitening="none"), dataset=things, store=warm, progress=False)


def registered():
    """How many aggregations there are that were not trained by another test."""
    return sum(not AGGREGATIONS.info(name).facts.get("trained") for name in AGGREGATIONS)


def test_compare_gives_a_row_per_recipe_that_is_the_run_of_that_recipe(things, warm):
    frame = compare(
        things, weights="random", taps=["layer1", "layer4"], dimensions=[4, None], store=warm, progress=False
    )
    kinds = 1 + 1 + 1 + 2 + 2  # none, zca, autoencoder; pca and shrinkage at two numbers of dimensions
    assert len(frame) == (2 * registered() - 1) * kinds, "cam at layer4 alone"
    assert "lw" not in set(frame["whitening"]), "the train pictures have no labels"
    assert set(COLUMNS.split()) <= set(frame.columns)
    assert (frame["ms_per_query"] > 0).all()
    assert (frame["bytes_per_image"] == 4 * frame["dim"]).all()
    for row in frame.iloc[[1, 5, 11, 89]].to_dict("records"):
        result = run(Recipe.from_json(row["recipe"]), dataset=things, store=warm, progress=False)
        timed = ("build_seconds", "ms_per_query", "best_of")
        assert {name: table_row(result)[name] for name in row if name not in timed} == {
            name: value for name, value in row.items() if name not in timed
        }
        assert result.metrics["map"] == row["map"]


def test_the_whole_grid_takes_one_pass_per_image(things, tmp_path, monkeypatch):
    from cbirlab.extract import network

    seen, original = [0], network.Network.read
    monkeypatch.setattr(
        network.Network, "read", lambda self, pixels, *taps: seen.append(len(pixels)) or original(self, pixels, *taps)
    )
    frame = compare(
        things, weights="random", taps="all", whitenings=["none", "pca"], store=Store(tmp_path), progress=False
    )
    assert len(frame) == (5 * registered() - 4 + 1) * 2, "cam at layer4 alone; logits once"
    assert sum(seen) == 40 + 24


def test_several_backbones_take_the_taps_they_have(things, warm):
    frame = compare(
        things, backbones=["toynet", "squeezenet1_1"], weights="random", taps=["layer2", "fire5"], aggregations="mac",
        whitenings="none", store=warm, progress=False,
    )  # fmt: skip
    assert dict(zip(frame["backbone"], frame["tap"], strict=True)) == {"toynet": "layer2", "squeezenet1_1": "fire5"}
    with pytest.raises(UnknownName, match="Unknown tap of toynet 'fire5'"):
        compare(things, weights="random", taps="fire5", store=warm)
    with pytest.raises(UnknownName, match=r"'layr2'.*Did you mean 'layer2'"):
        compare(things, weights="random", taps=["layr2", "layer4"], store=warm)


def test_all_backbones_are_those_whose_weights_are_at_hand(things, warm, monkeypatch):
    from cbirlab.backbones import BACKBONES, load_backbone
    from cbirlab.backbones.weights import WeightsError
    from cbirlab.study import networks

    def load(name, weights, device):
        if name not in ("toynet", "squeezenet1_0"):
            raise WeightsError(f"no weights for {name}")
        return load_backbone(name, "random", device)

    monkeypatch.setattr(networks, "load_backbone", load)
    options = {"aggregations": "mac", "whitenings": "none", "store": warm, "progress": False}
    with pytest.warns(UserWarning, match=rf"{len(BACKBONES) - 2} backbones are left out(.|\n)*no weights for vgg16"):
        frame = compare(things, backbones="all", **options)
    assert list(frame["backbone"]) == ["toynet", "squeezenet1_0"]
    with pytest.raises(WeightsError, match="no weights for vgg16"):
        compare(things, backbones=["toynet", "vgg16"], **options)


def test_leaks_are_measured_and_told(things, pictures, warm):
    leaking = run(replace(RECIPE, whitening_set="database"), dataset=things, store=warm, progress=False)
    assert leaking.recipe.whitening_set == "things/images"
    assert leaking.leak == "learned on 40 of the 40 evaluated images"
    # The same pictures under another name are still the same pictures.
    elsewhere = replace(RECIPE, whitening_set=str(pictures / "thing0"))
    assert run(elsewhere, dataset=things, store=warm, progress=False).leak.startswith("learned on 5 of")
    assert run(replace(elsewhere, whitening="none", dimensions=None), dataset=things, store=warm).leak == ""


def test_whitening_is_learned_on_what_was_asked_for(things, pictures, warm):
    other = replace(RECIPE, whitening_set=str(pictures.parent / "train"))
    explicit = run(other, dataset=things, store=warm, progress=False)
    default = run(RECIPE, dataset=things, store=warm, progress=False)
    np.testing.assert_array_equal(explicit.ranking.images, default.ranking.images)
    leaking = run(replace(RECIPE, whitening_set="database"), dataset=things, store=warm, progress=False)
    assert not np.array_equal(leaking.ranking.scores, default.ranking.scores)


def test_a_dataset_without_train_names_what_to_do(pictures):
    dataset = load_dataset(pictures, image_size=64)
    with pytest.raises(ValueError, match="needs a dataset with a train split"):
        replace(RECIPE, whitening_set="train").resolved(dataset)
    assert replace(RECIPE, whitening_set=None).resolved(dataset).whitening_set == "toytown/train"
    with pytest.raises(ValueError, match="has no train split"):
        learning_part(f"{pictures}/train", dataset)
    with pytest.raises(UnknownName, match="toytwn"):
        learning_part("toytwn/train", dataset)


def test_a_fitted_whitening_is_kept_in_the_store(things, warm, monkeypatch):
    first = run(RECIPE, dataset=things, store=warm, progress=False)
    monkeypatch.setattr(PCAWhitening, "fit", None)
    again = run(RECIPE, dataset=things, store=Store(warm.path), progress=False)
    np.testing.assert_array_equal(first.ranking.images, again.ranking.images)
    np.testing.assert_array_equal(first.ranking.scores, again.ranking.scores)


def test_without_ground_truth_there_is_a_ranking_and_no_number(things, warm):
    result = run(RECIPE, dataset=replace(things, labels=(), instances=()), store=warm, progress=False)
    assert result.evaluation is None
    assert result.metrics == {}
    assert result.ranking.images.shape == (40, 40)


def test_toytown_rows_have_the_columns_of_the_issue(things, warm):
    labels = tuple({"easy": rows["positive"][:2], "hard": rows["positive"][2:], "junk": ()} for rows in things.labels)
    revisited = replace(things, labels=labels, protocol="revisited")
    frame = compare(revisited, weights="random", aggregations="gem", store=warm, progress=False)
    assert {"map_easy", "map_medium", "map_hard", "map_medium_low", "map_medium_high"} <= set(frame.columns)
    assert frame["map_medium"].between(frame["map_medium_low"], frame["map_medium_high"]).all()


# live sessions


@pytest.fixture(scope="module")
def session(pictures, warm) -> Session:
    things = load_dataset(pictures, name="things", train=pictures.parent / "train", image_size=64)
    session = Session(things, "toynet", "random", store=warm)
    session.prepare(progress=False)
    return session


def test_a_session_says_what_a_panel_offers(session):
    assert session.backbone == "toynet"
    assert session.weights == "random"
    assert session.taps == ("stem", "layer1", "layer2", "layer3", "layer4", "logits")
    assert session.default_tap == "layer4"
    assert session.methods == (*AGGREGATIONS, *ENCODINGS)
    assert session.dimensions("stem") == 16
    assert session.dimensions("layer4") == 23  # 24 images to learn on


def test_slider_stops_are_all_the_stops():
    stops = [spec.key for spec in slider_stops(["mac", "spoc", "gem"])]
    assert stops[:4] == ["mac", "spoc(centre_prior=False)", "spoc(centre_prior=True)", "gem(p=1)"]
    assert stops[4:6] == ["gem(p=1.5)", "gem(p=2)"]
    assert stops[-1] == "gem(p=10)"
    assert len(stops) == 3 + 19


@pytest.mark.parametrize(
    "setting", [("layer4", "gem(p=3)", "pca", 8), ("stem", "mac", "none", None), ("layer2", "gem(p=7.5)", "pca", None)]
)
def test_a_session_ranks_as_run_does(session, things, warm, setting):
    live = session.rank(*setting)
    tap, aggregation, whitening, dimensions = setting
    recipe = replace(RECIPE, tap=tap, aggregation=aggregation, whitening=whitening, dimensions=dimensions)
    expected = run(recipe, dataset=things, store=warm, progress=False)
    assert live.recipe == expected.recipe
    np.testing.assert_array_equal(live.ranking.images, expected.ranking.images)
    assert live.metrics == expected.metrics
    assert session.rank(*setting) is live
    untimed = {"ms_per_query": 0, "best_of": 0}
    assert session.table_row(live) | untimed == table_row(expected) | untimed


def test_once_learned_ahead_no_move_needs_the_network_or_a_fit(session, monkeypatch):
    from cbirlab.extract import network

    session.learn_ahead()
    assert session.wait()
    monkeypatch.setattr(network.Network, "read", None)
    monkeypatch.setattr(PCAWhitening, "fit", None)
    for spec in session.aggregations[::5]:
        session.rank("layer3", spec.key, "pca", 12)


def test_a_value_between_the_stops_is_made_when_it_is_asked_for(session):
    between = session.rank("layer4", "gem(p=3.25)").metrics["map"]
    assert 0 < between < 1


def test_one_query_ranked_alone_is_ranked_as_among_all(session):
    setting = ("layer4", "gem(p=3)", "pca", 8)
    alone, everything = session.rank_query(5, *setting), session.rank(*setting).ranking
    np.testing.assert_array_equal(alone.images[0], everything.images[5])
    np.testing.assert_array_equal(alone.scores[0], everything.scores[5])
    with pytest.raises(IndexError, match="rank_query: query must be in"):
        session.rank_query(len(everything), *setting)


def test_any_image_can_be_the_query(session, things):
    setting = ("layer4", "gem(p=3)", "pca", 8)
    everything = session.rank(*setting)
    by_row = session.rank_image(5, *setting)
    np.testing.assert_array_equal(by_row.images[0], everything.ranking.images[5])
    by_file = session.rank_image(things.images[5], *setting)
    np.testing.assert_array_equal(by_file.images[0, :3], by_row.images[0, :3])
    np.testing.assert_allclose(by_file.scores, by_row.scores, atol=2e-3)
    with pytest.raises(IndexError, match=r"\[0, 39\]"):
        session.rank_image(40, *setting)
    with pytest.raises(cbirlab.images.ImageError, match="no such file"):
        session.rank_image(things.images[0].parent / "none.png", *setting)


def test_several_images_are_one_query_by_the_mean_of_their_descriptors(session):
    setting = ("layer4", "gem(p=3)", "pca", 8)
    vectors = session.vectors(*setting)[0][:40]
    found = session.rank_image([3, 8, 9], *setting)
    mean = sum(row / np.linalg.norm(row) for row in vectors[[3, 8, 9]])
    scores = vectors @ (mean / np.linalg.norm(mean))
    np.testing.assert_allclose(found.scores[0], np.sort(scores)[::-1], atol=1e-5)
    np.testing.assert_array_equal(session.rank_image([5], *setting).images, session.rank_image(5, *setting).images)
    for asked, error in (([3, 40], "row in [0, 39], got 40"), ([], "got an empty list")):
        with pytest.raises((IndexError, ValueError), match=re.escape(error)):
            session.rank_image(asked, *setting)
    with pytest.raises(ValueError, match="several rows as one query have none"):
        session.rank_image([1, 2], *setting, box=(0, 0, 9, 9))


def test_a_dataset_without_queries_can_still_be_looked_at(things, warm):
    bare = Session(replace(things, queries=(), labels=()), "toynet", "random", ["gem"], store=warm)
    bare.prepare(progress=False)
    assert bare.rank("layer4", "gem", "pca").ranking.images.shape == (0, 40)
    assert bare.rank_image(3, "layer4", "gem", "pca").images[0, 0] == 3


def test_a_move_costs_little_more_than_its_ranking_at_the_size_of_toytown():
    """96 queries, 1000 images, 256 dimensions, 600 to learn on."""
    random = np.random.default_rng(0)
    truth = random.permutation(1000)[:960].reshape(96, 10)
    labels = tuple({"easy": tuple(row[:4]), "hard": tuple(row[4:8]), "junk": tuple(row[8:])} for row in truth.tolist())
    paths = tuple(things_path(row) for row in range(1000))
    dataset = Dataset(
        "big",
        paths,
        tuple(cbirlab.datasets.Query(things_path(-1)) for _ in labels),
        labels,
        "revisited",
        paths[:600],
        "big/train",
    )
    recipe = Recipe(
        dataset="big",
        weights="random",
        tap="layer4",
        whitening="pca",
        whitening_set="big/train",
        protocol="revisited",
        image_size=64,
    )
    bench = Bench(
        dataset, type("Network", (), {"name": "toynet", "weights": "random"})(), recipe, store=Store("/dev/null/none")
    )  # pyright: ignore
    for spec in slider_stops(["gem"]):
        for part, rows in (("images", 1000), ("queries", 96), ("big/train", 600)):
            values = random.random((rows, 256), np.float32)
            bench._columns["layer4", spec.key, part] = Column(values, np.ones(rows, int), "key", 0.0)
        bench._leaks["big/train"] = ""
        bench.whitening(replace(recipe, aggregation=spec.key))
    seconds, bare = [], []
    for move in range(40):
        start = time.perf_counter()
        np.argsort(-(values[:96] @ random.random((256, 1000), np.float32)), axis=1, kind="stable")
        bare.append(time.perf_counter() - start)
        changed = replace(recipe, aggregation=f"gem(p={1 + move % 19 / 2})", dimensions=[None, 32, 64, 128][move % 4])
        start = time.perf_counter()
        bench.run(changed)
        seconds.append(time.perf_counter() - start)
    ratio = np.median(seconds) / np.median(bare)
    print(f"\nmove: median {1000 * np.median(seconds):.1f} ms, {ratio:.1f} times the bare ranking")
    assert ratio < 20


def things_path(row: int):
    from pathlib import Path

    return Path(f"{row}.jpg")


def test_recent_keeps_what_was_used_last():
    recent, made = Recent(2), []
    for key in "ababcab":
        recent.get(key, lambda key=key: made.append(key))
    assert "".join(made) == "abcab"


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if PROTOCOLS[name].level().positive == ("positive",)])
def test_a_row_has_the_metrics_of_its_protocol(things, warm, name):
    result = run(replace(RECIPE, protocol=name), dataset=things, store=warm, progress=False)
    row, protocol = table_row(result), PROTOCOLS[name]
    main = protocol.headline
    assert row[f"{main}_low"] <= row[main] <= row[f"{main}_high"]
    assert row[main] == result.metrics[main] == evaluate(result.ranking, things, name).metrics[main]
    assert {metric for metric in protocol.metrics if not metric.startswith("mp@")} <= {*row}
    assert sum(column.startswith("mp@") for column in row) == ("mp@10" in protocol.metrics)


@pytest.mark.parametrize(
    "options", [{}, {"scales": "down"}, {"scales": (1.0, 0.5), "scale_pooling": "gem"}, {"passes": "grid(magnify=1)"}]
)
def test_a_file_of_the_database_is_described_as_it_is_there(things, warm, options):
    session = Session(things, "toynet", "random", ["gem"], store=warm, **options)
    for row in (0, 7):
        inside = session.rank_image(row, "layer3", "gem(p=3)")
        outside = session.rank_image(things.images[row], "layer3", "gem(p=3)")
        assert outside.images[0, 0] == row
        np.testing.assert_allclose(outside.scores, inside.scores, atol=2e-5)
