"""What breaks a descriptor: pictures changed on purpose, where right answers go, pairs by factor, the panels."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import reference
from fake_session import FakeSession, draw_pictures, fake_dataset, with_pairs, write_toytown_form
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cbirlab.base.params import parameters
from cbirlab.datasets import load_dataset
from cbirlab.datasets.base import Dataset, Query
from cbirlab.evaluation import PROTOCOLS, evaluate
from cbirlab.index import Ranking
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.study.perturbation import (
    FACTORS,
    KINDS,
    MEASURES,
    answer_of,
    by_factor,
    pairs,
    perturb_image,
    probe,
    query_picture,
    unchanged,
)
from cbirlab.widgets.panels.probe_panel import BreaksPanel, ProbePanel


def noisy_picture(height=48, width=64, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """A real network on drawn towers."""
    folder = write_toytown_form(tmp_path_factory.mktemp("towers"))
    dataset = with_pairs(load_dataset(folder))
    made = Session(dataset, "toynet", aggregations=["gem(p=3)"], store=Store(tmp_path_factory.mktemp("store")))
    made.prepare(progress=False)
    return made


SETTING = ("layer4", "gem(p=3)", "pca", 8)


# Pictures


@pytest.mark.parametrize("kind", KINDS)
def test_the_unchanged_amount_gives_the_very_picture(kind):
    picture = noisy_picture()
    assert perturb_image(picture, **{kind: unchanged(kind)}).tobytes() == picture.tobytes()
    assert unchanged(kind) in KINDS[kind].amounts


@pytest.mark.parametrize("kind", KINDS)
def test_every_amount_is_allowed_ascending_changes_something_and_is_the_same_each_time(kind):
    picture, domain = noisy_picture(), parameters(perturb_image)[kind].domain
    assert list(KINDS[kind].amounts) == sorted(set(KINDS[kind].amounts))
    for amount in KINDS[kind].amounts:
        domain.check("test", kind, amount)
        first, second = (perturb_image(picture, **{kind: amount}) for _ in range(2))
        assert first.size == second.size
        assert first.tobytes() == second.tobytes()
        if amount != unchanged(kind):
            assert first.size != picture.size or first.tobytes() != picture.tobytes()


def test_every_kind_is_a_parameter():
    assert [*KINDS] == [*parameters(perturb_image)]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 40), st.integers(1, 40), st.sampled_from([*KINDS]))
def test_any_picture_and_any_amount_give_a_picture(data, height, width, kind):
    domain = parameters(perturb_image)[kind].domain
    amount = data.draw(st.floats(domain.low, domain.high))
    changed = perturb_image(noisy_picture(height, width), **{kind: amount})
    assert changed.mode == "RGB"
    assert min(changed.size) >= 1


def test_four_quarter_turns_give_the_picture_again():
    picture = turned = noisy_picture()
    for turn in range(4):
        turned = perturb_image(turned, rotate=90)
        assert (turned.size == picture.size) == bool(turn % 2)
    assert turned.tobytes() == picture.tobytes()
    quarter = np.asarray(perturb_image(picture, rotate=90))
    assert np.array_equal(quarter, np.rot90(np.asarray(picture)))


def test_a_crop_is_the_middle_at_its_scale():
    picture = noisy_picture(40, 60)
    assert np.array_equal(np.asarray(perturb_image(picture, crop=0.5)), np.asarray(picture)[10:30, 15:45])


def test_scale_makes_smaller_or_enlarges_the_middle():
    picture = noisy_picture(40, 60)
    assert perturb_image(picture, scale=0.5).size == (30, 20)
    enlarged = perturb_image(picture, scale=2.0)
    assert enlarged.size == picture.size
    middle = picture.crop((15, 10, 45, 30)).resize(picture.size, Image.Resampling.LANCZOS)
    assert enlarged.tobytes() == middle.tobytes()


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.9])
def test_occlusion_covers_that_share_of_the_area_with_one_colour(share):
    picture = noisy_picture(200, 300)
    covered = np.asarray(perturb_image(picture, occlude=share))
    different = (covered != np.asarray(picture)).any(axis=2)
    assert different.mean() == pytest.approx(share, abs=0.01)
    assert len(np.unique(covered[different], axis=0)) == 1


def test_more_blur_is_smoother_more_noise_is_rougher_less_colour_is_greyer():
    picture = noisy_picture()
    blurred = [np.asarray(perturb_image(picture, blur=amount), float).std() for amount in KINDS["blur"].amounts]
    assert all(a > b for a, b in pairwise(blurred))
    grey = Image.new("RGB", (64, 48), (128, 128, 128))
    rough = [np.asarray(perturb_image(grey, noise=amount), float).std() for amount in (0, 10, 20, 30)]
    assert rough == pytest.approx([0, 10, 20, 30], rel=0.05, abs=0.1)
    light = [
        np.asarray(perturb_image(picture, brightness=amount), float).mean() for amount in KINDS["brightness"].amounts
    ]
    assert all(a < b for a, b in pairwise(light))
    assert np.ptp(np.asarray(perturb_image(picture, colour=0.0), int), axis=2).max() == 0


def test_several_changes_are_made_in_the_order_of_the_parameters():
    picture = noisy_picture()
    both = perturb_image(picture, blur=2.0, rotate=30.0)
    assert both.tobytes() == perturb_image(perturb_image(picture, rotate=30.0), blur=2.0).tobytes()


def test_amounts_out_of_range_and_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match=r"crop must be in \[0, 0.9\], got 1"):
        perturb_image(noisy_picture(), crop=1.0)
    with pytest.raises(ValueError, match="kind must be one of rotate, scale"):
        unchanged("melt")


# Where right answers go


@settings(max_examples=80, deadline=None)
@given(st.data(), st.sampled_from(["easy", "medium", "hard"]))
def test_an_answer_is_what_a_slow_loop_and_evaluate_find(tmp_path_factory, data, level):
    size = data.draw(st.integers(1, 12))
    words = data.draw(st.lists(st.sampled_from(["easy", "hard", "junk", "wrong"]), min_size=size, max_size=size))
    order = data.draw(st.permutations(range(size)))
    labels = {name: tuple(row for row in range(size) if words[row] == name) for name in ("easy", "hard", "junk")}
    path = tmp_path_factory.getbasetemp() / "none.jpg"
    dataset = Dataset("made up", (path,) * size, (Query(path),), (labels,), protocol="revisited")
    ranking = Ranking(np.array([order]), np.linspace(1, 0, size, dtype=np.float32)[None])
    answer = answer_of(ranking, dataset, 0, level=level)
    rules = next(one for one in PROTOCOLS["revisited"].levels if one.name == level)
    assert list(answer.ranks) == reference.ranks_of_right_answers(order, labels, rules.positive, rules.junk)
    ap = evaluate(ranking, dataset, resamples=0).per_query[level][0]
    assert answer.ap == pytest.approx(ap, nan_ok=True)
    assert answer.first == tuple(order[:10])


def test_the_unchanged_query_has_the_ranks_of_the_benchmark(session):
    run = session.rank(*SETTING)
    for query in range(len(session.dataset.queries)):
        own = Ranking(run.ranking.images[[query]], run.ranking.scores[[query]])
        expected = answer_of(own, session.dataset, query)
        (row,) = probe(session, query, "rotate", [0.0], SETTING).to_dict("records")
        assert row["ranks"] == expected.ranks
        assert row["ap"] == pytest.approx(run.evaluation.per_query["medium"][query], abs=1e-6)
        assert row["best_score"] == pytest.approx(expected.best_score, abs=1e-5)
        assert row["kept"] == 1.0
        assert row["first_rank"] == expected.ranks[0]
        assert row["median_rank"] == np.median(expected.ranks)


def test_a_probe_has_a_row_per_amount_in_the_order_asked_for(session):
    frame = probe(session, 1, "crop", [0.6, 0.0, 0.3], SETTING)
    assert list(frame["amount"]) == [0.6, 0.0, 0.3]
    assert set(frame["kind"]) == {"crop"}
    alone = probe(session, 1, "crop", [0.3], SETTING)
    assert frame.iloc[2].to_dict() == alone.iloc[0].to_dict()
    assert list(probe(session, 0, "occlude", setting=SETTING)["amount"]) == list(KINDS["occlude"].amounts)


def test_covering_a_query_loses_its_right_answers(session):
    frames = [probe(session, query, "occlude", [0.0, 0.9], SETTING) for query in range(len(session.dataset.queries))]
    assert np.mean([frame["ap"][0] for frame in frames]) > np.mean([frame["ap"][1] for frame in frames]) + 0.1


def test_the_picture_is_the_query_cut_to_its_box_at_the_size_of_the_benchmark(session):
    box = session.dataset.queries[0].box
    picture = query_picture(session, 0, SETTING)
    assert picture.size == (box[2] - box[0], box[3] - box[1])


def test_probe_says_what_is_wrong(session):
    with pytest.raises(IndexError, match=r"query must be in \[0, 5\], got 6"):
        probe(session, 6, "rotate")
    with pytest.raises(ValueError, match="kind must be one of"):
        probe(session, 0, "melt")
    with pytest.raises(ValueError, match="level must be one of easy, medium, hard, got 'all'"):
        probe(session, 0, "rotate", [0], level="all")


def test_without_ground_truth_the_share_that_stays_is_known(tmp_path):
    draw_pictures(tmp_path / "flat", views=2)
    flat = Session(tmp_path / "flat", "toynet", aggregations=["mac"], store=Store(tmp_path / "store"))
    frame = probe(flat, 3, "brightness", [1.0, 0.1], ("layer4", "mac", "none", None))
    assert frame["ap"].isna().all()
    assert frame["first_rank"].isna().all()
    assert frame["kept"][0] == 1.0 >= frame["kept"][1]
    own = flat.dataset.queries[3].index
    ranking = flat.rank_image(own, "layer4", "mac")
    assert own not in answer_of(ranking, flat.dataset, 3).first


# Pairs by factor


@pytest.fixture
def ranked_pairs(tmp_path):
    dataset = with_pairs(fake_dataset(tmp_path))
    run = FakeSession(dataset).rank("layer4", "gem", "none", None)
    return run.ranking, dataset, pairs(run.ranking, dataset)


def test_pairs_are_what_a_slow_loop_finds(ranked_pairs):
    ranking, dataset, frame = ranked_pairs
    expected = reference.pair_ranks(ranking.images, dataset.labels, dataset.metadata["pairs"])
    assert list(zip(frame["query"], frame["image"], frame["rank"], strict=True)) == [row[:3] for row in expected]
    assert frame["auc"].to_numpy() == pytest.approx([row[3] for row in expected])
    assert frame["reciprocal_rank"].to_numpy() == pytest.approx([1 / row[2] for row in expected])
    assert frame["group"].nunique() == len(dataset.queries)


@pytest.mark.parametrize("factor", FACTORS)
def test_means_of_a_factor_are_those_of_a_slow_loop(ranked_pairs, factor):
    frame = ranked_pairs[2]
    edges = FACTORS[factor].edges
    found = by_factor({"fake": frame}, factor, resamples=50)
    expected = reference.means_by_bin(frame[factor], frame["auc"], edges)
    assert [(row.pairs, pytest.approx(row.auc)) for row in found.itertuples()] == [
        (count, mean) for count, mean in expected if count
    ]
    for measure in MEASURES:
        assert (found[f"{measure}_low"] <= found[measure]).all()
        assert (found[measure] <= found[f"{measure}_high"]).all()
    known = frame[factor].notna().sum()
    assert found["pairs"].sum() == known


def test_own_edges_and_their_titles(ranked_pairs):
    found = by_factor({"a": ranked_pairs[2], "b": ranked_pairs[2]}, "viewpoint_deg", [10, 30, 60], resamples=10)
    assert list(found["bin"])[:4] == ["under 10", "10 to 30", "30 to 60", "over 60"]
    assert list(dict.fromkeys(found["setting"])) == ["a", "b"]


def test_distractors_are_negatives_of_every_pair(ranked_pairs):
    """The slow loop takes them for images without a label."""
    ranking, dataset, frame = ranked_pairs
    rng, count = np.random.default_rng(0), 9
    beyond = np.arange(len(dataset.images), len(dataset.images) + count)
    more = np.stack([rng.permutation(np.concatenate([row, beyond])) for row in ranking.images])
    for places, row in zip(more, ranking.images, strict=True):  # images keep their order among themselves
        places[places < len(dataset.images)] = row
    grown = Ranking(more, np.zeros(more.shape, np.float32))
    found = pairs(grown, dataset, distractors=count)
    expected = reference.pair_ranks(more, dataset.labels, dataset.metadata["pairs"])
    assert found["rank"].tolist() == [row[2] for row in expected]
    assert found["auc"].to_numpy() == pytest.approx([row[3] for row in expected])
    assert (found["rank"] >= frame["rank"]).all()
    assert (found["rank"] > frame["rank"]).any()
    with pytest.raises(ValueError, match=r"and all 36 images, got \(6, 45\); say how many of them are distractors"):
        pairs(grown, dataset)


def test_a_perfect_ranking_has_every_pair_before_every_negative(ranked_pairs):
    _, dataset, _ = ranked_pairs
    rows = []
    for labels in dataset.labels:
        right = [*labels["easy"], *labels["hard"]]
        rows.append(right + [row for row in range(len(dataset.images)) if row not in right])
    perfect = Ranking(np.array(rows), np.zeros((len(rows), len(dataset.images)), np.float32))
    assert (pairs(perfect, dataset)["auc"] == 1).all()
    assert (pairs(perfect, dataset)["rank"] == 1).all()


def test_factors_say_what_is_wrong(ranked_pairs):
    ranking, dataset, frame = ranked_pairs
    with pytest.raises(ValueError, match=r"'towers' must say in its metadata .* use the probe"):
        pairs(ranking, replace(dataset, metadata={}))
    with pytest.raises(ValueError, match=r"all 6 queries and all 36 images, got \(6, 5\)"):
        pairs(ranking.top(5), dataset)
    with pytest.raises(ValueError, match="factor must be one of overlap"):
        by_factor({"a": frame}, "weather")
    with pytest.raises(ValueError, match="have no 'overlap'"):
        by_factor({"a": frame.drop(columns="overlap")}, "overlap")
    for edges in ([], [3, 2], [2, 2]):
        with pytest.raises(ValueError, match="edges must be ascending"):
            by_factor({"a": frame}, "overlap", edges)


def test_toytown_has_every_factor():
    dataset = load_dataset("toytown")
    order = np.tile(np.arange(len(dataset.images)), (len(dataset.queries), 1))
    frame = pairs(Ranking(order, np.zeros(order.shape, np.float32)), dataset)
    assert len(frame) == sum(len(labels["easy"]) + len(labels["hard"]) for labels in dataset.labels)
    for factor in FACTORS:
        assert len(by_factor({"order of the files": frame}, factor, resamples=10)) == 3


# Panels


def alts(panel):
    """The words of every picture in the panel's HTML; each has some."""
    texts = [
        widget.value
        for widget in (panel.chart, getattr(panel, "before", None), getattr(panel, "after", None))
        if widget
    ]
    found = [re.findall(r"<img [^>]*?alt=(?:'([^']+)'|\"([^\"]+)\")", text) for text in texts]
    pictures = sum(text.count("<img") for text in texts)
    assert pictures == sum(map(len, found))
    return [a or b for one in found for a, b in one]


@pytest.fixture
def panel(session):
    made = ProbePanel(session, shown=5, pause=0)
    yield made
    made.close()


def test_the_probe_panel_shows_query_changed_picture_ranks_gallery_and_curve(panel, session):
    assert "Right answers at ranks" in panel.ranks.value
    panel.kind.value = "occlude"
    before = panel.after.value
    panel.amounts["occlude"].value = 0.9
    assert panel.after.value != before
    assert panel.amounts["occlude"].layout.display is None
    assert panel.amounts["rotate"].layout.display == "none"
    assert any("covered 0.9" in text for text in alts(panel))
    assert "average precision of the query against covered" in panel.chart.value
    setting = panel.state.setting
    (row,) = probe(session, 0, "occlude", [0.9], setting).to_dict("records")
    first = session.rank_image(perturb_image(query_picture(session, 0, setting), occlude=0.9), *setting).images[0, :5]
    assert panel.gallery.ids == first.tolist()
    assert f"AP {row['ap']:.3f}" in panel.ranks.value
    panel.measure.value = "first_rank"
    assert "rank of the first right answer" in panel.chart.value
    panel.query.value = 3
    assert panel.state.query == 3
    assert any("Query 3" in text for text in alts(panel))
    assert panel.error.value == ""
    assert "image/jpeg" in panel._repr_mimebundle_()


def test_the_probe_panel_follows_the_state_of_another(session):
    from cbirlab.widgets.parts.state import RetrievalState

    state = RetrievalState(tap="layer4")
    panel = ProbePanel(session, state=state, shown=4, pause=0)
    assert panel.controls == []
    before = panel.gallery.ids
    state.tap = "stem"
    assert panel.gallery.ids != before
    panel.live = False
    still = panel.gallery.ids
    state.query = 2
    assert panel.gallery.ids == still
    panel.live = True
    assert "Query 2" in panel.gallery.title
    panel.close()


def test_the_curve_stops_where_something_newer_is_asked_for(panel):
    asked = []
    plain = panel._answer

    def answer(setting, query, kind, amount):
        asked.append(amount)
        if len(asked) == 3:
            panel._update.ask()
        return plain(setting, query, kind, amount)

    panel.kind.value = "crop"
    panel.chart.value = "before"
    panel._answer = answer
    panel._update._do(panel._draw_rest, panel._update.ask())
    assert len(asked) == 4
    assert panel.chart.value == "before"


def test_errors_of_the_probe_stand_in_the_panel(panel, session, monkeypatch):
    def fails(*_args, **_more):
        raise ValueError("the network is tired.")

    monkeypatch.setattr(session, "rank_image", fails)
    panel.kind.value = "blur"
    panel.amounts["blur"].value = 3.0
    assert "the network is tired." in panel.error.value
    assert "role='alert'" in panel.error.value
    monkeypatch.undo()
    panel.amounts["blur"].value = 4.0
    assert panel.error.value == ""


def test_the_chart_of_several_settings(session):
    panel = BreaksPanel(session, [SETTING, ("stem", "gem(p=3)")], pause=0)
    assert list(panel.settings) == ["layer4 gem(p=3) pca 8", "stem gem(p=3)"]
    assert "layer4 gem(p=3) pca 8, stem gem(p=3)" in alts(panel)[0]
    panel.add_button.click()
    panel.add_button.click()
    assert len(panel.settings) == 3
    panel.factor.value, panel.measure.value = "occlusion", "reciprocal_rank"
    run = session.rank("stem", "gem(p=3)")
    found = by_factor({"stem": pairs(run.ranking, run.dataset)}, "occlusion")
    assert f"{found['reciprocal_rank'][0]:.3f} [{found['reciprocal_rank_low'][0]:.3f}" in panel.table.value
    assert "share that is occluded" in alts(panel)[0]
    panel.clear_button.click()
    assert panel.chart.value == panel.table.value == ""
    assert "No setting yet" in panel.note.value
    panel.close()


def test_readers_without_a_kernel_see_the_chart_of_what_is_computed(session):
    panel = BreaksPanel(session, [SETTING], pause=0)
    bundle = panel._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    chart = np.asarray(Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).convert("L"))
    assert chart.shape[1] > 500
    assert chart[0, 0] > 250, "on white"
    assert (chart < 200).mean() > 0.002, "and something is drawn"
    panel.clear()
    assert panel.still() is None
    panel.close()


def test_the_chart_of_settings_says_so_where_nothing_is_known_of_pairs(tmp_path):
    panel = BreaksPanel(FakeSession(fake_dataset(tmp_path)), [("layer4", "gem")], pause=0)
    assert "use the probe" in panel.error.value
    panel.close()


def test_a_table_of_pairs_is_plain(ranked_pairs):
    assert isinstance(ranked_pairs[2], pd.DataFrame)
    assert ranked_pairs[2].isna().sum().drop("sun_deg").sum() == 0
