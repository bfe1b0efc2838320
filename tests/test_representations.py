"""Every way to represent an image, through the pipeline: against its parts done by hand."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from cbirlab import Recipe, compare, images, load_backbone, run
from cbirlab.aggregation import AGGREGATIONS, Aggregation, pooling
from cbirlab.backbones import classifier_of
from cbirlab.cli import main
from cbirlab.encoding import ENCODINGS
from cbirlab.extract import Sampler, extract
from cbirlab.extract.network import Network
from cbirlab.extract.sampling import unpack
from cbirlab.index import ExactIndex
from cbirlab.live import Session
from cbirlab.passes import Passes, View
from cbirlab.pipeline.fields import SCALE_SETS
from cbirlab.pipeline.fitting import find_clipped, warn_of_clipped
from cbirlab.pipeline.tap_names import Taps
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS, learn, normalise, whiten
from cbirlab.widgets.parts.controls import RetrievalControls
from cbirlab.widgets.parts.state import RetrievalState

RECIPE = Recipe(dataset="things", weights="random", tap="layer2", aggregation="spoc")


@pytest.fixture(scope="module")
def network():
    return load_backbone("toynet", "random")


def done(things, warm, **changes):
    return run(replace(RECIPE, **changes), dataset=things, store=warm, progress=False)


def described(things, network, warm, tap, text, part="images", **options):
    spec = Aggregation.parse(text)
    found = extract(
        things, network, taps=[tap], aggregations=[spec], parts=[part], store=warm, progress=False, **options
    )
    return found[tap, spec.key][part]


def maps_of(things, network, tap, row=0, **options):
    pixels = images.pixels(things.images[row], image_size=64, **options)
    return Network(network).maps(pixels[None].copy(), [tap])[tap]


def test_methods_made_for_values_above_zero_are_named_where_a_tap_has_others(things, warm):
    """The tokens of a transformer are signed; its class token is taken as it is, except beside a map."""
    deit = {"backbone": "deit_tiny", "tap": "block3", "aggregation": "gem"}
    with pytest.warns(UserWarning, match=r"^gem at block3: made for values >= 0, so negative values"):
        done(things, warm, **deit)
    with pytest.warns(UserWarning, match=r"^crow_spatial, pwa at block3; gem at class_token: "):
        warn_of_clipped(
            [
                find_clipped(
                    load_backbone("deit_tiny", "random"),
                    Taps("block3").members,
                    Aggregation.parse("crow_spatial > pwa"),
                ),
                find_clipped(load_backbone("toynet", "random"), Taps("layer4").members, Aggregation.parse("gem")),
                "gem at class_token",
            ],
            stacklevel=1,
        )
    options = {"weights": "random", "whitenings": "none", "store": warm, "progress": False, "image_size": 64}
    with pytest.warns(UserWarning, match=r"^gem at block3, class_token: ") as caught:
        compare(
            things, backbones="deit_tiny", taps=["block3+class_token", "class_token"], aggregations="gem", **options
        )
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        done(things, warm, **deit | {"aggregation": "spoc"})
        done(things, warm, **deit | {"tap": "class_token"})
        done(things, warm, aggregation="gem")


def searched(vectors):
    unit = normalise(vectors)
    return ExactIndex().fit(unit).search(unit)


# Feature selection


@pytest.mark.parametrize(
    ("text", "members"),
    [("layer4", [(1.0, "layer4")]), ("layer3+0.5*layer4", [(1.0, "layer3"), (0.5, "layer4")])],
)
def test_taps_are_split_and_written_back(text, members):
    assert list(Taps(text).members) == members
    assert Recipe(tap=text).tap == text


@pytest.mark.parametrize("text", ["", "+layer4", "-1*layer4", "x*layer4", "0*layer4", "inf*layer4"])
def test_taps_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="tap must be a name or a form like"):
        Recipe(tap=text)


def test_several_taps_are_concatenated_with_their_weights(things, warm, network):
    result = done(things, warm, tap="layer3+0.5*layer4")
    parts = [described(things, network, warm, tap, "spoc") for tap in ("layer3", "layer4")]
    by_hand = searched(np.concatenate([normalise(parts[0]), 0.5 * normalise(parts[1])], axis=1))
    np.testing.assert_array_equal(result.ranking.images, by_hand.images)
    assert result.dim == parts[0].shape[1] + parts[1].shape[1]
    assert result.forward_passes == 1


def test_a_tap_without_positions_is_pooled_one_way_and_says_so(things, warm, network):
    result = done(things, warm, tap="logits", aggregation="gem")
    assert result.recipe.aggregation == "spoc(centre_prior=False)"
    maps = maps_of(things, network, "layer4").mean((-2, -1))
    parts = classifier_of(network)
    scores = (maps @ parts["classifier"].T + parts["classifier_bias"])[0].numpy()
    np.testing.assert_allclose(described(things, network, warm, "logits", "spoc")[0], scores, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"tap 'logits' has no positions; choose a pooling"):
        done(things, warm, tap="logits", aggregation="vlad(k=4)")


# Passes and scales


def test_views_are_crops_that_are_described_on_their_own(things, warm, network):
    scheme = Passes.parse("grid(rows=1, columns=2, whole=True, combine='max', magnify=2)")
    result = done(things, warm, passes=scheme.key)
    assert result.forward_passes == 3
    height, width = images.size(things.images[0])
    boxes = scheme.boxes(View(height, width, lambda: np.zeros((height, width, 3), np.uint8)))
    views = [maps_of(things, network, "layer2", box=box, scale=2).mean((-2, -1)).numpy() for box in boxes]
    by_hand = np.max(normalise(np.concatenate(views)), axis=0)
    found = described(things, network, warm, "layer2", "spoc", passes=scheme)
    np.testing.assert_allclose(normalise(found[:3]).max(axis=0), by_hand, rtol=1e-4, atol=1e-6)
    assert np.isnan(result.extract_ms), "nobody asked for it"


@pytest.mark.parametrize("combine", ["max", "sum", "vlad", "bow", "match"])
def test_every_way_to_combine_views_gives_a_ranking(things, warm, combine):
    whitening = "none" if combine in ("vlad", "bow") else "pca"  # 768 dimensions of 24 train pictures
    result = done(things, warm, passes=f"spm(levels=2, combine={combine!r})", whitening=whitening)
    assert result.ranking.images.shape == (40, 40)
    assert result.metrics["map"] > (0.2 if combine == "bow" else 0.25)  # five patches fill at most 5 of its 16 words
    assert result.leak == ""
    assert (result.bytes_per_image > 4 * result.dim) == (combine == "match")


@pytest.mark.parametrize("combine", ["vlad", "bow"])
def test_a_codebook_over_views_has_as_many_words_as_the_recipe_says(things, warm, combine):
    scheme = "grid(rows=2, columns=2, combine={}, words={}, local_dims=8)"
    results = {words: done(things, warm, passes=scheme.format(combine, words)) for words in (4, 12)}
    each = 8 if combine == "vlad" else 1
    assert {words: one.dim for words, one in results.items()} == {4: 4 * each, 12: 12 * each}
    again = done(things, warm, passes=scheme.format(combine, 4))
    assert (again.ranking.scores == results[4].ranking.scores).all()


def test_the_codebook_of_a_recipe_without_words_is_kept_where_it_was(things, warm):
    """Only what differs from the defaults is in the keys of the store."""
    from cbirlab.pipeline.fitting import asked_of

    assert asked_of(Passes.parse("grid(combine=vlad)")) == asked_of(Passes.parse("grid(combine=max)")) == {}
    assert asked_of(Passes.parse("grid(combine=bow, words=4)")) == {"words": 4}


def test_a_session_finds_a_picture_from_outside_by_its_words(things, warm):
    session = Session(things, "toynet", "random", ["spoc"], store=warm, passes="grid(combine=bow, words=12)")
    found = session.rank_image(str(things.images[3]), "layer2", "spoc")
    result = session.rank("layer2", "spoc")
    assert found.images.shape == (1, 40)
    assert found.scores[0, 0] == pytest.approx(1, abs=1e-5), "it is its own best answer"
    assert found.images[0, 0] in result.ranking.images[3, :2]


def test_compare_has_words_over_patches(things, warm):
    passes = ["grid(combine=bow)", "grid(combine=vlad)", "grid(combine=bow, words=8)"]
    table = compare(things, weights="random", taps="layer2", aggregations="spoc", passes=passes, whitenings="none",
                    store=warm, progress=False)  # fmt: skip
    assert list(table["dim"]) == [16, 16 * 48, 8]


def test_what_is_learned_on_combined_views_depends_on_how_they_were_combined(things, warm):
    results = [
        done(things, warm, passes=f"grid(rows=2, columns=2, combine={combine!r})", whitening="pca")
        for combine in ("max", "sum", "max")
    ]
    assert results[0].metrics == results[2].metrics != results[1].metrics
    fresh = run(results[1].recipe, dataset=things, store=Store(warm.path / "fresh"), progress=False)
    assert fresh.metrics == results[1].metrics


def test_views_compared_one_by_one_find_the_image_itself(things, warm):
    result = done(things, warm, passes="grid(rows=2, columns=2, combine='match')")
    assert (result.ranking.images[:, 0] == np.arange(40)).all()
    np.testing.assert_allclose(result.ranking.scores[:, 0], 0, atol=1e-3)


def test_scales_by_name_and_their_generalised_mean(things, warm, network):
    result = done(things, warm, aggregation="gem(p=4)", scales="down", scale_pooling="gem")
    assert result.recipe.scales == SCALE_SETS["down"]
    assert result.forward_passes == 3
    each = [normalise(described(things, network, warm, "layer2", "gem(p=4)", scales=[s])) for s in SCALE_SETS["down"]]
    by_hand = searched(np.mean([one.astype(np.float64) ** 4 for one in each], axis=0) ** 0.25)
    np.testing.assert_allclose(result.ranking.scores, by_hand.scores, rtol=1e-5)
    with pytest.raises(ValueError, match="needs the aggregation gem"):
        replace(RECIPE, scale_pooling="gem")
    with pytest.raises(ValueError, match="scales must be one of"):
        replace(RECIPE, scales="upwards")


# What learns


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_is_learned_on_the_train_split_and_applied(things, warm, network, name):
    text = {"bow": "bow(k=8)", "asmk": "asmk(k=4, local_dims=None, query_assignment=1)"}.get(
        name, f"{name}(k=4, local_dims=None)"
    )
    spec = Aggregation.parse(text)
    result = done(things, warm, aggregation=text)
    assert result.recipe.whitening_set == things.train_name
    assert result.dim == spec.width(48)
    sampler = Sampler(spec, 48)
    columns = extract(
        things, network, taps=["layer2"], aggregations=[sampler], parts=["train"], store=warm, progress=False
    )
    rows = columns["layer2", sampler.key]["train"]
    state = spec.prepare(spec.learn(*unpack(rows, sampler)))
    by_hand = spec.apply(maps_of(things, network, "layer2"), state).numpy()
    again = spec.apply(maps_of(things, network, "layer2"), state).numpy()
    np.testing.assert_array_equal(by_hand, again)
    assert result.metrics["map"] > 0.2
    with pytest.raises(ValueError, match="learns from a train split"):
        spec.apply(maps_of(things, network, "layer2"))


def test_queries_go_to_more_words_than_the_database(things, warm):
    one, five = (done(things, warm, aggregation=f"asmk(k=8, query_assignment={n})") for n in (1, 5))
    assert (one.ranking.scores != five.ranking.scores).any()
    np.testing.assert_allclose(one.ranking.scores.max(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("text", ["rmac(levels=2, learned=True)", "pwa(proposals=4, learned=True)"])
def test_poolings_that_learn_differ_from_their_training_free_form(things, warm, text):
    learned, plain = (done(things, warm, aggregation=one) for one in (text, text.replace("True", "False")))
    assert learned.recipe.whitening_set == things.train_name
    assert plain.recipe.whitening_set is None
    assert (learned.ranking.scores != plain.ranking.scores).any()


def test_samples_skip_what_is_empty_and_know_their_image(network):
    import torch

    sampler = Sampler(Aggregation.parse("vlad"), 3)
    maps = torch.zeros(2, 3, 5, 5)
    maps[0, :, 1, 2] = 1.0
    maps[1] = torch.arange(1.0, 76.0).view(3, 5, 5)
    vectors, groups = unpack(sampler.apply(maps).numpy(), sampler)
    assert (groups == 0).sum() == 1
    assert (groups == 1).sum() == 25
    assert {tuple(row) for row in vectors[groups == 1]} == {tuple(row) for row in maps[1].flatten(1).T.tolist()}
    alone, _ = unpack(sampler.apply(maps[1:]).numpy(), sampler)
    np.testing.assert_array_equal(alone, vectors[groups == 1])


def test_class_activation_maps_need_the_tap_of_the_classifier(things, warm):
    result = done(things, warm, tap="layer4", aggregation="cam(classes=4)")
    assert result.metrics["map"] > 0.2
    with pytest.raises(ValueError, match=r"needs the network's classifier; it sits on tap 'layer4', not on 'layer2'"):
        done(things, warm, aggregation="cam")
    assert len(compare(things, weights="random", taps="layer2", aggregations=["cam", "mac"], whitenings="none",
                       store=warm, progress=False)) == 1  # fmt: skip


def test_learning_on_the_database_is_reported(things, warm):
    result = done(things, warm, aggregation="vlad(k=4)", whitening_set="database")
    assert result.leak == "learned on 40 of the 40 evaluated images"


# Attention


def test_attention_weighs_the_maps_before_pooling(things, warm, network):
    text = "crow_spatial > crow_channel > spoc"
    found = described(things, network, warm, "layer2", text)[0]
    crow = AGGREGATIONS["crow"](maps_of(things, network, "layer2"))[0].numpy()
    np.testing.assert_allclose(normalise(found[None])[0], normalise(crow[None])[0], rtol=1e-3, atol=1e-5)


def test_encodings_count_their_columns_by_spatial_attention(things, warm):
    plain, weighed = (done(things, warm, aggregation=text) for text in ("bow(k=8)", "gaussian > bow(k=8)"))
    assert (plain.ranking.scores != weighed.ranking.scores).any()


# Whitening


@pytest.mark.parametrize("text", ["pca(power=0.25)", "shrinkage", "zca"])
def test_whitenings_with_parameters(things, warm, network, text):
    result = done(things, warm, whitening=text)
    train, database = (described(things, network, warm, "layer2", "spoc", part) for part in ("train", "images"))
    vectors = whiten(learn(text, train), database)
    np.testing.assert_allclose(result.ranking.scores, ExactIndex().fit(vectors).search(vectors).scores, atol=1e-4)


def test_learned_whitening_takes_the_labels_of_the_learning_set(things, warm):
    with pytest.raises(ValueError, match="needs matching pairs"):
        done(things, warm, whitening="lw")
    labels = tuple(path.stem.split("_")[0] for path in things.train)
    result = done(replace(things, train_instances=labels), warm, whitening="lw")
    assert result.metrics["map"] > 0.25
    assert result.dim <= 48
    assert result.metrics != done(things, warm, whitening="pca").metrics


@pytest.mark.parametrize("name", WHITENINGS)
def test_words_are_compared_without_whitening(name):
    if name == "none":
        assert Recipe(aggregation="asmk").aggregation.startswith("asmk(")
    else:
        with pytest.raises(ValueError, match="compares words, not vectors"):
            Recipe(aggregation="asmk", whitening=name)


# Hand-crafted


def test_hand_crafted_descriptors_stand_in_the_same_table(things, warm):
    frame = compare(
        things, backbones=["handcrafted", "toynet"], weights={"toynet": "random"}, taps=["hsv", "rootsift", "layer4"],
        aggregations="gem", encodings="vlad(k=4)", whitenings="none", store=warm, progress=False,
    )  # fmt: skip
    assert list(zip(frame["tap"], frame["aggregation"].str.partition("(")[0], strict=True)) == [
        ("hsv", "spoc"), ("rootsift", "vlad"), ("layer4", "gem"), ("layer4", "vlad"),
    ]  # fmt: skip
    assert set(frame["weights"]) == {"none", "random"}
    with pytest.raises(ValueError, match="sets of local descriptors without a place; choose an encoding"):
        done(things, warm, backbone="handcrafted", weights=None, tap="rootsift")
    with (
        pytest.raises(ValueError, match="no valid combination is left"),
        pytest.warns(UserWarning, match=r"1 taps are left out:\n  rootsift: mac: tap 'rootsift' holds sets"),
    ):
        compare(things, backbones="handcrafted", taps="rootsift", aggregations="mac", store=warm)


# One more method


def test_a_new_pooling_is_in_the_registry_the_command_line_the_table_and_the_menu(things, warm, capsys, pictures):
    @pooling("median", title="Median")
    def median(maps):
        return maps.flatten(2).median(dim=-1).values

    try:
        assert "median" in AGGREGATIONS.list()
        assert main(["list", "aggregations"]) == 0
        assert "median" in capsys.readouterr().out
        arguments = ["run", "--dataset", str(pictures), "--image-size", "64", "--weights", "random", "--quiet"]
        assert main([*arguments, "--aggregation", "median", "--store", str(warm.path)]) == 0
        assert "median" in capsys.readouterr().out
        frame = compare(things, weights="random", whitenings="none", store=warm, progress=False)
        assert frame.query("aggregation == 'median'")["map"].iloc[0] > 0.2
        session = Session(things, "toynet", "random", store=warm)
        controls = RetrievalControls(
            RetrievalState(tap="layer4"), taps=session.taps, aggregations=session.methods, dimensions=session.dimensions
        )
        assert ("Median", "median") in controls.aggregation.options
        assert session.rank("layer4", "median").metrics["map"] == frame.query("aggregation == 'median'")["map"].iloc[0]
    finally:
        AGGREGATIONS.remove("median")


# Live


def test_what_a_session_did_not_prepare_is_made_when_it_is_asked_for(things, warm):
    session = Session(things, "toynet", "random", store=warm)
    session.prepare(progress=False)
    assert session.ready("layer4", "gem(p=5)", "pca")
    assert not session.ready("layer3", "crow(a=2, b=2)")
    ranked = session.rank("layer3", "crow(a=2, b=2)")
    assert session.ready("layer3", "crow(a=2, b=2)")
    recipe = ranked.recipe
    assert run(recipe, dataset=things, store=warm, progress=False).metrics == ranked.metrics
    for setting in (("layer2", "vlad(k=4)", "pca"), ("layer4", "cam(classes=3)"), ("logits", "gem")):
        alone = session.rank_query(3, *setting)
        np.testing.assert_array_equal(alone.images[0], session.rank(*setting).ranking.images[3])
        foreign = session.rank_image(things.images[3], *setting)
        assert foreign.images[0, 0] == 3
