"""Looking into a method: divisions that add up to the score, boxes in pixels, cosines and ranks against loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference
import torch
from fake_session import write_toytown_form

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.study.explain import (
    Looker,
    cosines,
    find_missed,
    judged_pairs,
    overlay,
    parts,
    positives,
    resize_map,
    similarity_map,
    spectrum,
    to_pixels,
    words,
)
from cbirlab.study.explain.paint import paint_map, paint_regions, with_boxes, with_numbers
from cbirlab.whitening import learn, whiten

SHAPES = [(3, 4, 5), (6, 1, 7), (4, 7, 1), (5, 1, 1), (8, 6, 4)]
LINEAR = ("spoc", "spoc(centre_prior=True)", "crow", "crow(a=1, b=1)", "pwa(proposals=3)", "cam")
DECIDED = ("mac", "gem(p=1)", "gem(p=3)", "gem(p=7.5)", "rmac", "rmac(levels=2)", "scda")


def maps_of(shape, seed: int = 0) -> torch.Tensor:
    """One image's maps (1, C, H, W), a channel of them dead."""
    values = np.maximum(np.random.default_rng(seed).normal(size=shape), 0)
    values[-1] = 0
    return torch.tensor(values[None], dtype=torch.float64)


def fitted(name: str, aggregation: str, channels: int):
    """A whitening learned on the pooled vectors of forty random maps."""
    spec = Aggregation.parse(aggregation)
    rows = [spec.apply(maps_of((channels, 4, 5), seed)).numpy()[0] for seed in range(100, 140)]
    return learn(name, np.array(rows))


# Divisions


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", LINEAR + DECIDED)
def test_the_parts_of_a_vector_add_up_to_it(name, shape):
    for maps in (maps_of(shape), torch.zeros(1, *shape), maps_of(shape).half()):
        divided = parts(name, maps)
        pooled = Aggregation.parse(name).apply(maps.double())[0].numpy()
        np.testing.assert_allclose(divided.total, pooled, rtol=1e-9, atol=1e-5 if not maps.any() else 1e-12)
        places = [divided.at(place) for place in range(shape[1] * shape[2])]
        np.testing.assert_allclose(np.sum(places, axis=0), divided.total, rtol=1e-9, atol=1e-12)
        assert divided.exact == (name in LINEAR)


def test_the_parts_of_linear_poolings_are_the_summands_of_their_formulas():
    maps = maps_of((5, 3, 4))
    for name, loop in (("spoc", reference.places_of_spoc), ("crow", reference.places_of_crow)):
        divided, expected = parts(name, maps), loop(maps[0].numpy())
        for place, part in enumerate(expected):
            np.testing.assert_allclose(divided.at(place), part, rtol=1e-9, atol=1e-12)


def test_a_maximum_belongs_to_its_place():
    maps = torch.zeros(1, 2, 2, 3)
    maps[0, 0, 0, 2], maps[0, 0, 1, 1], maps[0, 1, 1, 0] = 3.0, 2.0, 5.0
    divided = parts("mac", maps)
    assert [divided.at(place).tolist() for place in (2, 3, 4)] == [[3, 0], [0, 5], [0, 0]]
    heat = parts("gem(p=1)", maps).against(np.array([1.0, 0.0]))
    np.testing.assert_allclose(heat[[0, 1], [2, 1]], [0.5, 2 / 6], rtol=1e-4)


def test_attention_before_the_pooling_is_in_the_parts():
    maps = maps_of((4, 5, 5))
    for name in ("crow_spatial > spoc", "crow_channel > crow_spatial > spoc", "scda_mask > gem(p=3)"):
        pooled = Aggregation.parse(name).apply(maps)[0].numpy()
        np.testing.assert_allclose(parts(name, maps).total, pooled, rtol=1e-9)


def test_what_is_no_sum_over_places_is_refused():
    with pytest.raises(ValueError, match=r"'vlad.*not known as a sum over places; choose one of mac, spoc"):
        parts("vlad(k=4)", maps_of((3, 2, 2)))
    with pytest.raises(ValueError, match="without learned=True"):
        parts("rmac(learned=True)", maps_of((3, 2, 2)), {"mean": torch.zeros(3)})
    with pytest.raises(ValueError, match="one image"):
        parts("spoc", torch.rand(2, 3, 4, 4))


# Matches


@pytest.mark.parametrize("share_mean", [False, True])
@pytest.mark.parametrize("whitening", ["none", "pca", "pca(power=0.25)", "zca", "shrinkage"])
@pytest.mark.parametrize("name", ["spoc", "crow", "gem(p=3)", "mac", "rmac"])
def test_places_and_mean_add_up_to_the_score(name, whitening, share_mean):
    a, b = maps_of((6, 4, 5), 1), maps_of((6, 7, 3), 2)
    learned = None if whitening == "none" else fitted(whitening, name, 6)
    match = similarity_map(a, b, name, whitening=learned, share_mean=share_mean)
    vectors = np.concatenate([Aggregation.parse(name).apply(maps).numpy() for maps in (a, b)])
    unit = whiten(learned or learn("none", vectors), vectors)
    assert match.score == pytest.approx(float(unit[0] @ unit[1]), abs=1e-6)
    assert match.heat_a.shape == (4, 5)
    assert match.heat_b.shape == (7, 3)
    assert match.heat_a.sum() + match.mean_a == pytest.approx(match.score, abs=1e-12)
    assert match.heat_b.sum() + match.mean_b == pytest.approx(match.score, abs=1e-12)
    assert (match.mean_a == match.mean_b == 0) == (whitening == "none" or share_mean)


@pytest.mark.parametrize("whitened", [False, True])
@pytest.mark.parametrize(("name", "loop"), [("spoc", reference.places_of_spoc), ("crow", reference.places_of_crow)])
def test_pairs_of_places_are_those_of_a_loop_and_add_up_to_the_score(name, loop, whitened):
    a, b = maps_of((6, 2, 3), 1), maps_of((6, 3, 4), 2)
    learned = fitted("pca(power=0.3)", name, 6) if whitened else None
    mean = learned.mean_ if learned else None
    matrix = learned.components_.T * learned.spectrum_[: len(learned.components_)] ** -0.3 if learned else None
    table, score = reference.pairs_of_places(loop(a[0].numpy()), loop(b[0].numpy()), mean, matrix)
    match = similarity_map(a, b, name, whitening=learned, share_mean=True)
    found = np.array([match.partners(row, column).ravel() for row in range(2) for column in range(3)])
    np.testing.assert_allclose(found, table, rtol=1e-7, atol=1e-12)
    assert match.score == pytest.approx(score, abs=1e-12)
    assert found.sum() == pytest.approx(match.score, abs=1e-12)
    np.testing.assert_allclose(match.heat_a.ravel(), table.sum(axis=1), rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(match.heat_b.ravel(), table.sum(axis=0), rtol=1e-7, atol=1e-12)


def test_without_whitening_the_contributions_times_the_lengths_are_the_inner_product():
    a, b = maps_of((6, 4, 5), 1), maps_of((6, 3, 3), 2)
    for name in ("spoc", "crow"):
        vectors = [Aggregation.parse(name).apply(maps)[0].numpy() for maps in (a, b)]
        lengths = np.linalg.norm(vectors[0]) * np.linalg.norm(vectors[1])
        heat = similarity_map(a, b, name).heat_a
        assert heat.sum() * lengths == pytest.approx(float(vectors[0] @ vectors[1]), rel=1e-12)


def test_fewer_dimensions_are_divided_too():
    a, b, learned = maps_of((6, 4, 5), 1), maps_of((6, 3, 3), 2), fitted("pca", "spoc", 6)
    match = similarity_map(a, b, "spoc", whitening=learned, dimensions=2)
    rows = whiten(learned, np.concatenate([Aggregation.parse("spoc").apply(maps).numpy() for maps in (a, b)]), 2)
    assert match.score == pytest.approx(float(rows[0] @ rows[1]), abs=1e-6)
    assert match.heat_a.sum() + match.mean_a == pytest.approx(match.score, abs=1e-12)


def test_a_patch_that_is_in_both_images_is_what_matches():
    patch = torch.tensor([5.0, 0.0, 0.0, 4.0])
    a, b = 0.1 * maps_of((4, 6, 8), 3), 0.1 * maps_of((4, 5, 4), 4)
    a[0, :, 1, 6], b[0, :, 4, 0] = patch, patch
    for name in ("spoc", "crow", "gem(p=3)", "mac"):
        match = similarity_map(a, b, name)
        assert np.unravel_index(match.heat_a.argmax(), (6, 8)) == (1, 6)
        assert np.unravel_index(match.heat_b.argmax(), (5, 4)) == (4, 0)
        assert match.pairs(1)[0][:2] == ((1, 6), (4, 0))


def test_numbered_places_lie_apart_and_speak_for_the_match():
    match = similarity_map(maps_of((6, 20, 20), 1), maps_of((6, 8, 8), 2), "spoc")
    found = match.pairs(5)
    assert len(found) == 5
    gaps = [np.hypot(*np.subtract(p.a, q.a)) for place, p in enumerate(found) for q in found[:place]]
    assert min(gaps) >= 3
    assert all(match.heat_a[pair.a] > 0 for pair in found)
    assert found[0].value == match.partners(*found[0].a)[found[0].b] == match.partners(*found[0].a).max()
    with pytest.raises(IndexError, match="map of 20 x 20"):
        match.partners(20, 0)


def test_an_empty_image_matches_nothing():
    for whitening in (None, fitted("pca", "spoc", 6)):
        match = similarity_map(maps_of((6, 4, 5)), torch.zeros(1, 6, 3, 3), "spoc", whitening=whitening)
        assert (match.score, match.mean_a, match.mean_b) == (0, 0, 0)
        assert not match.heat_a.any()
        assert match.pairs() == []


def test_what_cannot_be_divided_is_refused():
    a = maps_of((6, 3, 3))
    with pytest.raises(ValueError, match="whitening must be linear, got NoWhitening"):
        similarity_map(a, a, whitening=learn("none", np.eye(6)))
    with pytest.raises(ValueError, match="dimensions must be None without whitening"):
        similarity_map(a, a, dimensions=3)


# Overlays


def test_regions_in_pixels_tile_pictures_that_are_not_square():
    assert to_pixels((0, 0, 3, 5), (3, 5), (90, 200)) == (0, 0, 200, 90)
    assert to_pixels((1, 2, 2, 4), (3, 5), (90, 200)) == (80, 30, 160, 60)
    seen = overlay("rmac(levels=1)", maps_of((4, 6, 9)), (101, 147))
    assert {(box[1], box[3]) for box in seen.boxes} == {(0, 101)}
    assert min(box[0] for box in seen.boxes) == 0
    assert max(box[2] for box in seen.boxes) == 147
    assert all(box[2] - box[0] == pytest.approx(6 * 147 / 9) for box in seen.boxes)


@pytest.mark.parametrize(("cells", "size"), [((6, 9), (96, 144)), ((6, 9), (90, 150)), ((7, 4), (200, 121))])
def test_heat_peaks_in_the_pixels_of_its_cell(cells, size):
    for row, column in ((0, 0), (2, 3), (cells[0] - 1, cells[1] - 1)):
        maps = torch.zeros(1, 2, *cells)
        maps[0, :, row, column] = 1
        heat = overlay("gem", maps, size).heat
        left, top, right, bottom = to_pixels((row, column, row + 1, column + 1), cells, size)
        y, x = np.unravel_index(heat.argmax(), heat.shape)
        assert top <= y < bottom
        assert left <= x < right
        assert heat.shape == size
        assert heat.max() == pytest.approx(1, abs=0.02)


def test_scda_keeps_whole_cells_and_its_box_surrounds_them():
    maps = torch.zeros(1, 1, 4, 5)
    maps[0, 0, 1, 2], maps[0, 0, 2, 3] = 1.0, 2.0
    seen = overlay("scda", maps, (40, 100))
    assert seen.mask is not None
    expected = np.zeros((40, 100), bool)
    expected[10:20, 40:60] = expected[20:30, 60:80] = True
    assert (seen.mask == expected).all()
    assert seen.boxes == ((40, 10, 80, 30),)


@pytest.mark.parametrize("name", [*AGGREGATIONS, "vlad(k=2)", "crow_spatial > gem(p=3)"])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 6), (5, 4, 7)])
def test_every_method_can_be_shown_even_of_nothing(name, shape):
    for maps in (maps_of(shape), torch.zeros(1, *shape), maps_of(shape).half()):
        seen = overlay(name, maps, (30, 50))
        assert seen.heat.shape == (30, 50)
        assert seen.heat.min() >= 0
        assert seen.heat.max() <= 1
        assert seen.cells.shape == shape[1:]
        assert len(seen.channels) == len(seen.channel_heat)
        assert paint_regions(np.zeros((30, 50, 3), np.uint8), seen, side=50).size == (50, 30)


def test_a_pooling_that_weighs_nothing_shows_activations_and_says_so():
    maps = maps_of((3, 4, 4))
    plain, weighed = overlay("spoc", maps, (8, 8)), overlay("crow", maps, (8, 8))
    assert (plain.weighs, plain.weighs_channels) == (False, False)
    assert (weighed.weighs, weighed.weighs_channels) == (True, True)
    np.testing.assert_allclose(plain.cells, maps[0].sum(dim=0).numpy())
    means = maps[0].mean(dim=(1, 2)).tolist()
    assert plain.channels == tuple((c, pytest.approx(means[c])) for c in sorted(range(2), key=lambda c: -means[c]))


def test_enlarging_never_leaves_the_range_of_the_cells():
    cells = np.random.default_rng(0).normal(size=(5, 7))
    large = resize_map(cells, (50, 91))
    assert large.min() >= np.float32(cells.min())
    assert large.max() <= np.float32(cells.max())
    assert (resize_map(np.arange(6.0).reshape(2, 3), (4, 6), smooth=False)[::2, ::2] == [[0, 1, 2], [3, 4, 5]]).all()


def test_words_say_where():
    cells = np.zeros((6, 9))
    assert words(cells) == "nothing stands out"
    assert words(np.ones((6, 9))) == "it is spread evenly"
    assert words(np.ones((1, 1))) == "the map has a single place"
    cells[5, 8] = 1
    assert words(cells) == "half of it lies in 2% of the picture, strongest at the lower right"


def test_paint_shows_the_picture_alone_at_no_opacity_and_marks_signs_by_brightness():
    picture = np.full((20, 40, 3), 128, np.uint8)
    assert (np.asarray(paint_map(picture, np.ones((2, 4)), opacity=0, side=40)) == 128).all()
    cells = np.zeros((1, 4))
    cells[0, 0], cells[0, 3] = 1, -1
    grey = np.asarray(paint_map(picture, cells, opacity=1, signed=True, side=40).convert("L"))
    assert grey[10, 1] > 170
    assert grey[10, 38] < 60
    assert abs(int(grey[10, 20]) - 128) < 12
    unsigned = np.asarray(paint_map(picture, cells, opacity=1, side=40).convert("L"))
    assert abs(int(unsigned[10, 38]) - 128) < 12


def test_boxes_and_numbers_are_drawn_where_they_are():
    from PIL import Image

    blank = Image.new("RGB", (100, 50))
    drawn = np.asarray(with_boxes(blank, [(20, 10, 40, 20)], (25, 50)))  # a picture half as large
    ys, xs = np.nonzero(drawn.any(axis=2))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (40, 79, 20, 39)
    numbered = np.asarray(with_numbers(blank, [(0, 1)], (1, 2)))
    ys, xs = np.nonzero(numbered.any(axis=2))
    assert (xs.mean(), ys.mean()) == (pytest.approx(75, abs=1), pytest.approx(25, abs=1))
    assert not np.asarray(blank).any(), "the picture that was given stays as it is"


# Pairs, ranks, spectra


@pytest.fixture(scope="module")
def towers(tmp_path_factory) -> Dataset:
    return load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)


@pytest.fixture(scope="module")
def session(towers, tmp_path_factory) -> Session:
    store = Store(tmp_path_factory.mktemp("store"))
    made = Session(towers, "toynet", "random", ["spoc", "crow", "gem", "mac", "rmac"], store=store)
    made.prepare(progress=False)
    return made


def test_pairs_follow_the_ground_truth(towers):
    pairs = judged_pairs(towers, most=100, seed=3)
    assert pairs.of_queries
    right = [{*labels["easy"], *labels["hard"]} for labels in towers.labels]
    for query, row, matches in zip(pairs.first, pairs.second, pairs.matching, strict=True):
        assert matches == (row in right[query])
        assert row not in towers.labels[query]["junk"]
    assert pairs.matching.sum() == sum(map(len, right))
    again, other = judged_pairs(towers, most=100, seed=3), judged_pairs(towers, most=100, seed=4)
    assert (again.second == pairs.second).all()
    assert len(other.second) != len(pairs.second) or (other.second != pairs.second).any()
    few = judged_pairs(towers, most=5)
    assert few.matching.sum() == 5
    assert (~few.matching).sum() <= 5


def test_pairs_by_instance_where_there_are_no_queries(things):
    things = replace(things, labels=(), queries=())
    pairs = judged_pairs(things, most=200)
    assert not pairs.of_queries
    for first, second, matches in zip(pairs.first, pairs.second, pairs.matching, strict=True):
        assert first != second
        assert matches == (things.instances[first] == things.instances[second])
    with pytest.raises(ValueError, match="neither ground truth nor instances"):
        judged_pairs(Dataset("flat", things.images))


def test_cosines_are_those_of_loops(towers):
    random = np.random.default_rng(0)
    images, queries = (random.normal(size=(count, 5)) for count in (len(towers.images), len(towers.queries)))
    images, queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (images, queries))
    images[3] = 0
    pairs = judged_pairs(towers)
    found = cosines(pairs, images, queries, bins=8)
    values = [float(queries[q] @ images[i]) for q, i in zip(pairs.first, pairs.second, strict=True)]
    matching = [value for value, matches in zip(values, pairs.matching, strict=True) if matches]
    others = [value for value, matches in zip(values, pairs.matching, strict=True) if not matches]
    np.testing.assert_allclose(found.matching * len(matching), reference.counted(matching, found.edges.tolist()))
    np.testing.assert_allclose(found.others * len(others), reference.counted(others, found.edges.tolist()))
    assert found.matching.sum() == pytest.approx(1)
    assert found.separation == pytest.approx(reference.share_larger(matching, others))
    assert found.mean_matching == pytest.approx(np.mean(matching))


def test_missed_positives_have_the_ranks_of_a_loop(session):
    run, dataset = session.rank("layer4", "gem(p=3)"), session.dataset
    for query in range(len(dataset.queries)):
        for level, right, junk in (("hard", ["hard"], ["junk", "easy"]), (None, ["easy", "hard"], ["junk"])):
            out = {row for label in junk for row in dataset.labels[query][label]}
            listed = [int(row) for row in run.ranking.images[query] if row not in out]
            wanted = {row: listed.index(row) + 1 for label in right for row in dataset.labels[query][label]}
            found = positives(run, query, level)
            assert {one.row: one.rank for one in found} == wanted
            assert [one.rank for one in found] == sorted(wanted.values())
            below = find_missed(run, query, 4, level)
            assert [one.rank for one in below] == [rank for rank in sorted(wanted.values()) if rank > 4]
    with pytest.raises(IndexError, match="query must be in"):
        positives(run, 99)
    with pytest.raises(ValueError, match="level must be one of easy, medium, hard"):
        find_missed(run, 0, level="odd")


def test_spectra_before_and_after():
    values = np.random.default_rng(1).normal(size=(400, 6)) * [8, 4, 2, 1, 1, 1] + 3
    learned = learn("pca", values)
    found = spectrum(learned, values)
    np.testing.assert_allclose(found.before[: len(learned.spectrum_)], learned.spectrum_, rtol=1e-4)
    np.testing.assert_allclose(found.after, 1, rtol=1e-4)
    assert found.flatness[1] == pytest.approx(len(found.after), rel=1e-4)
    assert found.flatness[0] < found.flatness[1]
    plain = spectrum(None, values)
    assert plain.learned is None
    assert (plain.before == plain.after).all()
    assert len(spectrum(learned, values, 2).after) == 2


# Sessions


@pytest.mark.parametrize("setting", [("spoc", "none", None), ("crow", "pca", None), ("gem(p=3)", "pca", 5)])
def test_the_score_of_a_match_is_the_score_of_the_search(session, setting):
    looker, dataset = Looker(session), session.dataset
    ranking = session.rank_query(2, "layer3", *setting)
    for place in (0, 9):
        row = int(ranking.images[0, place])
        match = looker.match(len(dataset.images) + 2, row, "layer3", *setting)
        assert match.score == pytest.approx(float(ranking.scores[0, place]), abs=2e-5)


def test_a_query_is_seen_as_the_network_sees_it(session, towers):
    looker, first = Looker(session), len(towers.images)
    assert looker.picture(0).shape == (72, 96, 3)
    assert looker.picture(first).shape == (65, 84, 3)  # its box of 140 x 108 at the scale of the whole, 96 / 160
    assert tuple(looker.maps(first, "layer4").shape[1:]) == (192, 5, 6)
    assert looker.overlay(first, "layer4", "rmac").heat.shape == (65, 84)
    assert looker.maps(first, "layer4") is looker.maps(first, "layer4"), "one pass serves every move of a slider"
    assert looker.overlay(towers.images[0], "stem", "gem").heat.shape == (72, 96)
    with pytest.raises(IndexError, match="item must be in"):
        looker.picture(len(towers.images) + len(towers.queries))
    with pytest.raises(ValueError, match="needs the network's classifier"):
        looker.overlay(0, "stem", "cam")


def test_a_whitening_is_reported_with_its_pairs(session):
    looker = Looker(session)
    report = looker.whitening("layer4", "gem(p=3)", "pca", 8)
    assert len(report.spectrum.after) == 8
    assert report.before.separation != report.after.separation
    same = looker.whitening("layer4", "gem(p=3)", "none")
    assert same.before.separation == same.after.separation


def test_what_is_not_one_map_has_no_match(towers, store):
    session = Session(towers, "toynet", "random", ["spoc"], store=store, scales="down")
    with pytest.raises(ValueError, match="one pass at one scale"):
        Looker(session).match(0, 1, "layer4", "spoc")
