"""The panels that look into re-ranking, and what they compute: against loops, and on a tiny real session."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
import slow_reranking as slow
from fake_session import write_toytown_form

from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.reranking import Answers, Gallery, rerank_answers
from cbirlab.reranking.geometry import Fit
from cbirlab.reranking.spatial import verify
from cbirlab.store import Store
from cbirlab.study.explain.heat import MOST_STEPS, rank_steps, spread_heat, step_curve
from cbirlab.study.explain.local_map import local_map, map_of_results
from cbirlab.study.explain.mutual import mutual_neighbours
from cbirlab.study.explain.rerank_lens import ask_all, rerank_one
from cbirlab.whitening import normalise
from cbirlab.widgets import DiffusionHeat, InlierView, MutualGrid, QueryPath
from cbirlab.widgets.parts.drawing import Drawing
from cbirlab.widgets.parts.pair_charts import inlier_chart

IMAGES = 36
PANELS = (QueryPath, DiffusionHeat, MutualGrid, InlierView)
GIVEN = {"k": 6, "kq": 3, "alpha": 0.9, "gamma": 3.0}


def rows_of(count, seed, width=6):
    return normalise(np.random.default_rng(seed).normal(size=(count, width)) + 0.4)


def asked(count=40, queries=1, seed=0):
    """Answers to queries from outside a database."""
    return Answers.of_exact(rows_of(queries, seed + 100), Gallery(rows_of(count, seed)))


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    made = Session(towers, "toynet", "random", ["gem", "spoc"], store=Store(tmp_path_factory.mktemp("store")))
    made.prepare(progress=False)
    return made


@pytest.fixture
def show(session):
    """Open a panel that draws at once; it is closed after the test."""
    opened = []

    def open_one(kind, **options):
        opened.append(kind(session, **{"pause": 0} | options))
        return opened[-1]

    yield open_one
    for panel in opened:
        panel.close()


# ---- the local map
def test_a_map_is_the_plane_of_largest_variance_and_places_every_row_exactly():
    X, q = rows_of(50, 3), rows_of(1, 4)[0]
    images = np.array([7, 3, 40, 11, 25, 0])
    seen = local_map(q, X, images)
    held = np.vstack([q, X[images]])
    sizes = np.linalg.eigvalsh(np.cov(held.T, bias=True))
    assert np.isclose(np.vstack([seen.query, seen.points]).var(axis=0).sum(), sizes[-2:].sum())
    assert np.isclose(seen.share, sizes[-2:].sum() / sizes.sum())
    np.testing.assert_allclose(seen.place(held), np.vstack([seen.query, seen.points]), atol=1e-12)
    half = seen.place((X[7] + X[3])[None] / 2)[0]
    np.testing.assert_allclose(half, (seen.points[0] + seen.points[1]) / 2, atol=1e-12)


def test_a_map_leaves_out_the_query_itself_and_what_has_no_descriptor():
    X = rows_of(12, 3)
    X[5] = 0
    answers = replace(Answers.of_exact(X[[2]], Gallery(X)), own=np.array([2]))
    assert map_of_results(answers, 4).images.tolist() == slow.nearest(X[2], X, 4, 2)
    assert {*map_of_results(answers).images.tolist()} == {*range(12)} - {2, 5}
    two = replace(Answers.of_exact(X[[2]], Gallery(X[[2, 3]])), own=np.array([0]))
    seen = map_of_results(two)
    assert np.isclose(np.linalg.norm(seen.points[0] - seen.query), np.linalg.norm(X[2] - X[3]))
    alone = replace(Answers.of_exact(X[[2]], Gallery(X[[2]])), own=np.array([0]))
    with pytest.raises(ValueError, match="there is no other image"):
        map_of_results(alone)


# ---- diffusion
@pytest.mark.parametrize("seed", range(3))
def test_heat_ends_in_the_solution_of_a_dense_system(seed):
    answers = asked(seed=seed)
    X, q = answers.gallery.rows, answers.queries[0]
    heat = spread_heat(answers, **GIVEN)
    A = slow.affinities(X, 6, 3)
    expected = slow.solve(slow.normalised(A), slow.seeds(q, X, -1, 3, 3), 0.9)
    np.testing.assert_allclose(heat.values[-1], expected, atol=1e-9)
    assert heat.values.shape == (MOST_STEPS + 2, len(X))
    assert {tuple(edge) for edge in heat.edges.tolist()} == {(i, j) for i, j in np.argwhere(A > 0).tolist() if i < j}
    assert not heat.reached[0].any()
    assert np.flatnonzero(heat.reached[1]).tolist() == sorted(slow.nearest(q, X, 3))
    within = {*slow.nearest(q, X, 3)}
    for step in (2, 3):  # each step goes along one more line
        within |= {j for i in within for j in np.flatnonzero(A[i]).tolist()}
        assert {*np.flatnonzero(heat.reached[step]).tolist()} <= within


def test_rankings_of_the_steps_are_those_of_the_method():
    answers = asked(queries=5)
    rankings = list(rank_steps(answers, **GIVEN))
    assert len(rankings) == MOST_STEPS + 2
    assert (rankings[0].images == answers.ranking.images).all()
    named = ", ".join(f"{name}={value}" for name, value in GIVEN.items())
    for step in (1, 2, 3, 20):
        expected = rerank_answers(answers, f"diffusion({named}, steps={step})").ranking
        assert (rankings[step].images == expected.images).all()
        assert (rankings[step].scores == expected.scores).all()
    solved = rerank_answers(answers, f"diffusion({named}, steps=1000)").ranking
    assert (rankings[-1].images == solved.images).all()


def test_the_curve_holds_what_runs_of_the_session_hold(session):
    setting = ("layer4", "gem", "none", None)
    named = ", ".join(f"{name}={value}" for name, value in GIVEN.items())
    answers = ask_all(session, (*setting, (("rerank", f"diffusion({named}, steps=1)"),)))
    curve = step_curve(answers, session.dataset, session.recipe(*setting), **GIVEN)
    assert curve.metric == "map_medium"
    assert curve.values[0] == session.rank(*setting).metrics["map_medium"]
    for step in (1, 2, 3, 20):
        run = session.rank(*setting, (("rerank", f"diffusion({named}, steps={step})"),))
        assert curve.values[step] == run.metrics["map_medium"], step


def test_a_query_that_reaches_nothing_keeps_its_order():
    X = np.eye(5)  # nobody is like anybody
    answers = Answers.of_exact(np.eye(5)[:1], Gallery(X))
    heat = spread_heat(answers, **GIVEN)
    assert np.flatnonzero(heat.reached[-1]).tolist() == [0]
    assert len(heat.edges) == 0
    apart = Answers.of_exact(-np.ones((1, 5)) / np.sqrt(5), Gallery(X))
    assert not spread_heat(apart, **GIVEN).reached.any()
    assert all((one.images == apart.ranking.images).all() for one in rank_steps(apart, **GIVEN))


# ---- k-reciprocal neighbours
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("k1", [4, 9])
def test_the_grid_holds_the_lists_and_whom_the_rule_brings_in(seed, k1):
    answers = asked(seed=seed)
    X, q = answers.gallery.rows, answers.queries[0]
    seen = mutual_neighbours(answers, k1, 3)
    near = slow.nearest(q, X, k1)
    assert seen.images[: seen.near].tolist() == near
    core = {i for i in near if slow.lists_query(i, q, X, -1, k1)}
    halves = [slow.reciprocal(j, X, round(k1 / 2)) for j in range(len(X))]
    grown = slow.growing(core, halves)
    assert {*seen.images.tolist()} == {*near} | grown
    named = dict(enumerate(seen.images.tolist(), start=1))
    assert {named[at] for at in np.flatnonzero(seen.core) if at} == core
    assert {named[at] for at in np.flatnonzero(seen.grown) if at} == grown
    for a, i in named.items():
        assert seen.lists[0, a] == (i in near)
        assert seen.lists[a, 0] == slow.lists_query(i, q, X, -1, k1)
        for b, j in named.items():
            assert seen.lists[a, b] == (a == b or j in slow.nearest(X[i], X, k1, i))
            brings = i in core and 3 * len(halves[i] & core) > 2 * len(halves[i]) and j in halves[i] - core
            assert seen.brought[a, b] == brings
    assert not seen.brought[0].any()


def test_some_of_these_grids_have_someone_brought_in():
    assert any(mutual_neighbours(asked(seed=seed), 9, 3).brought.any() for seed in range(4))


def test_the_overlap_gives_the_score_of_the_method():
    answers = asked()
    seen = mutual_neighbours(answers, 9, 3)
    scores = slow.k_reciprocal(answers.queries[0], answers.gallery.rows, k1=9, k2=3, share=0.0)
    np.testing.assert_allclose(-seen.jaccard, scores[seen.images], atol=1e-12)
    for image in range(0, 40, 5):
        found = seen.overlap(image)
        assert np.isclose(-found.jaccard, scores[image])
        assert np.isclose(found.other.sum(), 1)
        assert 0 < found.query.sum() < 1  # the rest is the query itself, which is in no database
        assert (np.diff(found.common) <= 0).all()


def test_a_query_of_the_database_is_not_its_own_neighbour(session):
    setting = ("layer4", "gem", "none", None, (("rerank", "k_reciprocal(k1=5, k2=2)"),))
    found = rerank_one(session, setting, 4)
    seen = mutual_neighbours(found.before, 5, 2)
    X = np.asarray(found.before.gallery.rows, np.float64)
    assert 4 not in seen.images
    assert seen.images[:5].tolist() == slow.nearest(X[4], X, 5, 4)
    core = slow.reciprocal(4, X, 5) - {4}
    assert {seen.images[at - 1] for at in np.flatnonzero(seen.core) if at} == core
    assert np.isclose(seen.overlap(4).jaccard, 0, atol=1e-6)  # the database knows it by the same neighbourhood
    assert np.isclose(seen.overlap(4).query.sum(), 1)
    last = 0
    for item in range(12):
        seen = mutual_neighbours(rerank_one(session, setting, item).before, 5, 2)
        for at, image in enumerate(seen.images.tolist(), start=1):
            near = slow.nearest(X[image], X, 5, image)
            assert seen.lists[at, 0] == (item in near)
            last += near[-1] == item
    assert last  # somebody has such a query as its last one


def test_what_comes_before_reranking_is_what_no_reranking_gives(session):
    plain = session.rank_query(2, "layer4", "gem", "none", None)
    found = rerank_one(session, ("layer4", "gem", "none", None, (("rerank", "aqe(k=3)"),)), IMAGES + 2)
    assert (found.before.ranking.images == plain.images).all()
    again = rerank_answers(found.before, "aqe(k=3)")
    assert (again.queries == found.after.queries).all()
    with pytest.raises(ValueError, match="Nothing was re-ranked"):
        rerank_one(session, ("layer4", "gem", "none", None), IMAGES).before  # noqa: B018


# ---- the panels
@pytest.mark.parametrize("kind", PANELS)
def test_every_panel_opens_without_error_and_has_a_still_picture(kind, show):
    panel = show(kind)
    assert not panel.error.value
    assert panel.strip.current == IMAGES
    assert panel.chart.value.startswith("<svg")
    assert "<p" in panel.said.value
    assert panel.still().startswith(b"\xff\xd8")
    panel.pick(4)
    assert not panel.error.value
    assert panel.item == 4
    assert panel.still().startswith(b"\xff\xd8")


@pytest.mark.parametrize("kind", PANELS)
def test_a_still_picture_is_there_before_the_rest_is_computed(kind, session):
    panel = kind(session, pause=60)
    for _ in range(200):
        if panel.chart.value:
            break
        time.sleep(0.02)
    assert panel.still().startswith(b"\xff\xd8")
    panel.close()


def test_query_path_moves_the_query_and_says_what_that_is_worth(show, session):
    panel = show(QueryPath, rerank="aqe(k=2)", nearby=20)
    assert panel.rerank.parameters["k"].value == 2
    assert [value for _, value in panel.rerank.menu.options] == ["aqe", "decay", "alpha_qe"]
    images, queries = (
        np.asarray(rows.values, np.float64) for rows in session.bench.pair(session.recipe("layer4", "gem"))
    )
    first = session.rank_query(0, *panel.state.setting).images[0]
    assert list(panel.added.ids) == first[:2].tolist()
    assert list(panel.added.notes) == ["＋1.00"] * 2
    goal = normalise((queries[0] + images[first[:2]].sum(axis=0))[None])
    np.testing.assert_allclose(panel.moved_to, panel.seen.place(goal)[0], atol=1e-9)
    assert panel.seen.images.tolist() == first[:20].tolist()
    runs = [session.rank(*one) for one in panel._settings()]
    before, after = (run.evaluation.per_query["medium"][0] for run in runs)
    assert f"AP of this query: {before:.3f}, then {after:.3f}" in panel.judged.value
    assert f"then {runs[1].metrics['map_medium']:.3f}" in panel.judged.value
    places = panel.seen.points
    panel.rerank.parameters["k"].value = 5
    assert len(panel.added.ids) == 5
    np.testing.assert_array_equal(panel.seen.points, places)  # the map stays, the query moves
    panel.added.picked = chosen = panel.added.ids[1]
    panel.added.clicks += 1
    assert panel.item == chosen
    assert chosen not in panel.added.ids
    assert "The protocol does not judge this picture" in panel.judged.value
    with pytest.raises(ValueError, match="QueryPath: rerank must be one of aqe, decay, alpha_qe, got 'dba'"):
        QueryPath(session, rerank="dba")


def test_query_path_says_when_nothing_is_added(show):
    panel = show(QueryPath, rerank="decay(k=1)")
    for query in range(6):
        panel.pick(IMAGES + query)
        assert not panel.error.value
        count = len(panel.added.ids)
        assert panel.added.title == (
            "Added to the query; numbers as on the map" if count else "No image is added to the query"
        )


def test_diffusion_heat_follows_its_steps_and_marks_them_on_the_curve(show, session):
    panel = show(DiffusionHeat, step=2)
    assert panel.sliders["k"].value == 20
    assert len(panel.found.values) == MOST_STEPS + 2
    assert f"{panel.found.values[2]:.3f} here" in panel.curve.value
    before, curve = panel.chart.value, panel.found
    panel.step.value = MOST_STEPS + 1
    assert "the solution" in panel.chart.value
    assert panel.chart.value != before
    assert panel.found is curve  # kept: only the mark moves
    assert f"{curve.values[-1]:.3f} here" in panel.curve.value
    panel.step.value = 0
    assert "f has reached 0 of 36 images" in panel.said.value
    panel.sliders["kq"].value = 2
    panel.step.value = 1
    assert "f has reached 2 of 36 images" in panel.said.value
    assert panel.found is not curve
    panel.sliders["kq"].value = 5
    assert panel.found is curve


def test_diffusion_heat_leaves_room_for_a_curve_that_is_not_there_yet(session):
    panel = DiffusionHeat(session, pause=60)
    for _ in range(200):
        if panel.curve.value:
            break
        time.sleep(0.02)
    assert panel.found is None
    assert "is being computed" in panel.curve.value
    panel.close()


def test_mutual_grid_shows_the_overlap_of_the_chosen_image(show):
    panel = show(MutualGrid, k1=6)
    assert panel.images.ids == panel.seen.images.tolist()
    assert panel.images.current == panel.images.ids[0]
    jaccard = [panel.seen.overlap(row).jaccard for row in panel.images.ids]
    assert list(panel.images.captions) == [f"{number} · J {value:.2f}" for number, value in enumerate(jaccard, start=1)]
    panel.images.picked = panel.images.ids[3]
    panel.images.clicks += 1
    assert f"Image 4: Jaccard distance {jaccard[3]:.3f} from the query" in panel.bars.value
    assert panel.images.current == panel.images.ids[3]
    assert "Of the 6 nearest" in panel.said.value
    assert f"{int(panel.seen.core[1:].sum())} list the query back" in panel.said.value
    panel.k1.value = 12
    assert len(panel.images.ids) >= 12
    assert panel.images.current == panel.image
    panel.pick(IMAGES + 1)  # another query begins with its first
    assert panel.images.current == panel.images.ids[0]


def test_inlier_view_counts_what_the_method_counts(show, session):
    panel = show(InlierView)
    first = session.rank_query(0, *panel.state.setting).images[0]
    assert panel.image == first[0]
    query, image = panel.pictures.of_queries("keypoints", [0])[0], panel.pictures.of_images("keypoints", [first[0]])[0]
    for name, value in (("pixels", 3.0), ("ratio", 0.95), ("model", "affine")):
        panel.sliders[name].value = value
        pairs, fit = verify(query, image, **panel.parameters)
        assert panel.parameters[name] == value
        assert panel.fit.inside.tolist() == fit.inside.tolist()
        assert f"{fit.inliers} of {len(pairs)} matches agree" in panel.chart.value
    panel.results.picked = int(first[3])
    panel.results.clicks += 1
    assert f"database image {first[3]}" in panel.chart.value
    panel.pick(4)
    assert panel.image == panel.results.ids[0]


def test_keypoints_lie_in_the_picture_that_is_drawn(show):
    panel = show(InlierView)
    for item in (0, 7, IMAGES, IMAGES + 3):
        found = panel._keypoints(item)
        assert panel.looker.picture(item).shape[:2] == found.size


def test_a_pair_without_keypoints_says_so(show, monkeypatch):
    from cbirlab.reranking.keypoints import Keypoints

    panel = show(InlierView)
    whole = panel._keypoints
    none = Keypoints.of_no_picture()
    monkeypatch.setattr(panel, "_keypoints", lambda item: none if item < IMAGES else whole(item))
    panel.choose(panel.results.ids[2])
    assert not panel.error.value
    assert "This result has no keypoints, so there is nothing to match." in panel.said.value
    monkeypatch.setattr(panel, "_keypoints", lambda item: none)
    panel.choose(panel.results.ids[1])
    assert "Neither picture has keypoints" in panel.said.value


def test_an_outline_that_no_camera_could_see_is_not_drawn():
    pictures = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30, 3), np.uint8)
    places = np.array([[3.0, 4.0], [20.0, 10.0]]), np.array([[5.0, 6.0], [22.0, 12.0]])
    there = Fit(np.array([True, False]), np.array([[1.0, 0, 2], [0, 1, 2], [0, 0, 1]]))
    mirrored = Fit(np.array([True, False]), np.array([[-1.0, 0, 2], [0, 1, 2], [0, 0, 1]]))
    with_box, without = (inlier_chart(pictures, places, fit, "title").svg("alt") for fit in (there, mirrored))
    assert "#00e5ff" in with_box
    assert "#00e5ff" not in without


def test_new_marks_are_in_the_page_and_in_the_still_picture():
    drawing = Drawing(40, 40)
    drawing.segments([(2, 2, 30, 2), (2, 8, 30, 8)], "#ff0000", width=2)
    drawing.dots([(20, 25)], "#0000ff", radius=6, hollow=True)
    svg = drawing.svg("marks")
    assert "M2.0 2.0L30.0 2.0M2.0 8.0L30.0 8.0" in svg
    assert "a6 6 0 1 0 12 0" in svg
    image = np.asarray(drawing.image())
    assert (image[2, 10] == (255, 0, 0)).all()
    assert (image[25, 20] == 255).all()  # hollow
    assert (image[25, 14] == (0, 0, 255)).all()
