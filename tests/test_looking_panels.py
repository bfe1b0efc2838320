"""The panels that look into a method, without a browser, on a tiny real session."""

from __future__ import annotations

import base64
import io
import re
import time

import numpy as np
import pytest
from fake_session import label, write_toytown_form
from PIL import Image
from traitlets import TraitError

from cbirlab.base.progress import bar
from cbirlab.datasets import load_dataset
from cbirlab.fusion import versus
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.study.explain import find_missed
from cbirlab.widgets import BreaksPanel, Explorer, ProbePanel, Workbench
from cbirlab.widgets.looking import MatchView, Missed, PoolingView, WhiteningLab, WinLoss
from cbirlab.widgets.parts import charts
from cbirlab.widgets.parts.bars import Bars
from cbirlab.widgets.parts.drawing import Drawing, titled_sheet
from cbirlab.widgets.parts.gallery import Thumbnails
from cbirlab.widgets.parts.state import RetrievalState, usual_start

PANELS = (PoolingView, MatchView, WhiteningLab, WinLoss, Missed)


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    towers = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    methods = ["spoc", "mac", "gem", "crow", "rmac", "scda"]
    made = Session(towers, "toynet", "random", methods, store=Store(tmp_path_factory.mktemp("store")))
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


def picture_in(html: str) -> np.ndarray:
    found = re.search(r"src='data:image/jpeg;base64,([^']+)'", html)
    assert found
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(found[1]))))


def alts(html: str) -> list[str]:
    return re.findall(r"alt='([^']*)'", html)


@pytest.mark.parametrize("kind", PANELS)
def test_every_panel_opens_without_error_and_has_a_picture_for_readers_without_a_kernel(kind, show):
    panel = show(kind)
    assert panel.error.value == ""
    bundle = panel._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    image = Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"])))
    assert min(image.size) > 80
    assert len(np.unique(np.asarray(image.convert("L")))) > 20


@pytest.mark.parametrize("kind", [PoolingView, MatchView, WhiteningLab, Missed])
def test_a_panel_with_the_state_of_another_follows_it_and_has_no_controls_of_its_own(kind, show, session):
    state = RetrievalState(tap="layer4", aggregation="gem")
    panel = show(kind, state=state)
    assert panel.controls == []
    before = panel.still()
    state.tap = "layer2"
    assert panel.error.value == ""
    if kind is not Missed:
        assert panel.still() != before


# PoolingView


def test_pooling_view_repaints_for_every_control(show):
    panel = show(PoolingView)
    seen = [panel.picture.value]
    for change in (
        lambda: panel.state.set_parameter("gem", "p", 8.0),
        lambda: setattr(panel.state, "tap", "layer2"),
        lambda: setattr(panel.state, "aggregation", "crow"),
        lambda: setattr(panel.opacity, "value", 0.3),
        lambda: setattr(panel.state, "attention", "scda_mask"),
        lambda: (
            setattr(panel.strip, "picked", len(panel.session.dataset.images) + 3) or panel.strip.set_trait("clicks", 1)
        ),
    ):
        change()
        assert panel.error.value == ""
        seen.append(panel.picture.value)
    assert len(set(seen)) == len(seen)
    assert panel.state.query == 3
    assert panel.strip.current == panel.item


def test_pooling_view_shows_one_region_alone(show):
    panel = show(PoolingView)
    assert panel.region.layout.display == "none"
    panel.state.aggregation = "rmac"
    assert panel.region.layout.display is None
    assert panel.region.max == len(panel.seen.boxes) > 3
    panel.region.value = panel.region.max
    left, top, right, bottom = panel.seen.boxes[-1]
    picture = picture_in(panel.picture.value).astype(float)
    height, width = panel.looker.picture(panel.item).shape[:2]
    scale = picture.shape[1] / width
    inside = picture[int(top * scale) + 4 : int(bottom * scale) - 4, int(left * scale) + 4 : int(right * scale) - 4]
    outside = picture[: int(top * scale) - 4]
    assert height * scale == pytest.approx(picture.shape[0], abs=1)
    assert inside.mean() > 1.5 * outside.mean()
    panel.state.aggregation = "scda"
    assert panel.region.value == 0, "other regions than before: all are shown first"


def test_pooling_view_says_in_words_what_it_shows(show):
    panel = show(PoolingView)
    assert re.match(
        r"Query 0 under what gem\(p=3\) at layer4 looks at: .*(of the picture|evenly)", alts(panel.picture.value)[0]
    )
    assert len(alts(panel.channels.value)) == len(panel.seen.channels)
    assert "most active" in panel.channels.value
    panel.state.aggregation = "spoc"
    assert "weighs no place more than another" in panel.facts.value
    panel.state.aggregation = "crow"
    assert "Bright places count most" in panel.facts.value
    assert "largest weights" in panel.channels.value
    panel.state.tap = "logits"
    assert panel.error.value == ""
    assert "single place" in panel.facts.value


def test_pooling_view_runs_the_network_once_per_picture(show):
    panel = show(PoolingView)
    passes = []
    forward = panel.looker._forward
    panel.looker._forward = lambda item, taps: passes.append(item) or forward(item, taps)
    for p in (1.0, 2.0, 5.0):
        panel.state.set_parameter("gem", "p", p)
    panel.state.tap = "layer1"
    panel.state.aggregation = "rmac"
    assert passes == []
    panel.state.query = 2
    assert len(passes) == 1


# MatchView


def test_match_view_shows_the_score_of_the_search_as_a_sum(show, session):
    panel = show(MatchView)
    assert panel.state.setting[1:3] == ("spoc(centre_prior=False)", "pca")
    panel.share_mean.value = False
    ranking = session.rank_query(0, *panel.state.setting)
    assert panel.match.score == pytest.approx(float(ranking.scores[0, 0]), abs=2e-5)
    assert f"{panel.match.score:+.3f}" in panel.facts.value
    assert f"{panel.match.mean_a:+.3f}" in panel.facts.value
    assert panel.match.mean_a != 0
    panel.share_mean.value = True
    assert panel.match.mean_a == 0
    assert panel.match.heat_a.sum() == pytest.approx(panel.match.score)


def test_match_view_says_when_a_division_is_only_approximate(show):
    panel = show(MatchView)
    panel.state.aggregation = "gem"
    assert "Approximate" in panel.facts.value
    for name in ("spoc", "crow"):
        panel.state.aggregation = name
        assert "Exact" in panel.facts.value
        assert "Approximate" not in panel.facts.value


def test_match_view_changes_its_partner_by_a_click_and_starts_anew_with_another_query(show):
    panel = show(MatchView)
    first, right = panel.gallery.current, panel.right.value
    panel.gallery.picked = panel.gallery.ids[3]
    panel.gallery.clicks += 1
    assert panel.gallery.current == panel.gallery.ids[3] != first
    assert panel.right.value != right
    assert f"Database image {panel.gallery.ids[3]}" in alts(panel.right.value)[0]
    panel.state.query = 4
    assert panel.other is None
    assert panel.gallery.current == panel.gallery.ids[0]
    assert "Query 4" in alts(panel.left.value)[0]


def test_match_view_numbers_as_many_places_as_asked(show):
    panel = show(MatchView)
    panel.numbers.value = 0
    plain = picture_in(panel.left.value)
    panel.numbers.value = 3
    assert (picture_in(panel.left.value) != plain).any()


# WhiteningLab


def test_whitening_lab_follows_its_power_slider(show):
    lab = show(WhiteningLab)
    assert lab.whitening == "pca"
    seen = [lab.after.value]
    for power, key in ((0.25, "pca(power=0.25)"), (0.0, "pca(power=0)")):
        lab.sliders["pca", "power"].value = power
        assert lab.whitening == key
        assert lab.error.value == ""
        assert key in lab.metrics.value
        seen.append(lab.after.value)
    assert len(set(seen)) == 3
    lab.dimensions.value = 8
    assert len(lab.report.spectrum.after) == 8


def test_whitening_lab_shows_the_sliders_of_the_whitening_that_is_chosen(show):
    lab = show(WhiteningLab, whitening="pca(power=0.3)")
    assert lab.whitening == "pca(power=0.3)"
    lab.kind.value = "zca"
    shown = [key for key, slider in lab.sliders.items() if slider.layout.display is None]
    assert shown == [("zca", "eps")]
    assert lab.dimensions.disabled
    lab.kind.value = "none"
    assert lab.error.value == ""
    assert lab.report.before.separation == lab.report.after.separation


def test_whitening_lab_says_its_charts_in_words(show):
    lab = show(WhiteningLab)
    for html in (lab.spectrum, lab.before, lab.after):
        assert html.value.startswith("<svg")
        assert "role='img'" in html.value
        assert "aria-label='" in html.value
    assert "matching pair has the larger one" in lab.before.value


# WinLoss


def test_the_still_picture_has_the_galleries_which_come_after_the_bars(show):
    complete, early = show(WinLoss), show(WinLoss, pause=30)
    assert early.galleries[0].ids == []
    assert "layer4 gem" in early.headings[0].value
    assert early.still() == complete.still()


def test_win_loss_has_a_bar_per_query_and_both_answers_to_the_chosen_one(show, session):
    panel = show(WinLoss)
    table = versus(session.rank(*panel.state.setting), session.rank(*panel.other.setting), level="medium")
    assert panel.bars.values == pytest.approx(table["difference"].tolist())
    assert panel.level.value == "medium"
    for place in (0, len(table) - 1):
        panel.bars.chosen = place
        panel.bars.clicks += 1
        query = int(table["query"][place])
        for name, gallery in zip("AB", panel.galleries, strict=True):
            assert gallery.title.startswith(f"{name}, query {query}:")
        assert f"alt='Query {query}'" in panel.query.value
    a, b = (session.rank(*state.setting).ranking.images[query] for state in (panel.state, panel.other))
    assert panel.galleries[0].ids == a[:10].tolist()
    assert panel.galleries[1].ids == b[:10].tolist()


def test_win_loss_keeps_its_query_when_a_setting_moves(show):
    panel = show(WinLoss)
    panel.choose(2)
    query = panel.frame["query"][2]
    panel.state.tap = "layer2"
    assert panel.frame["query"][panel.bars.chosen] == query
    panel.level.value = "hard"
    assert panel.bars.title.startswith("mAP (Hard), A less B")
    assert panel.bars.labels[0].startswith("Query ")


def test_win_loss_of_equal_settings_says_that_nothing_is_told_apart(show):
    a, b = (RetrievalState(tap="layer4") for _ in range(2))
    panel = show(WinLoss, a=a, b=b)
    assert set(panel.bars.values) == {0.0}
    assert "does not tell the two apart" in panel.summary.value


# Missed


def test_missed_shows_what_stands_below_k(show, session):
    panel = show(Missed, first=2)
    run = session.rank(*panel.state.setting)
    for query, level, k in ((0, "medium", 2), (3, "hard", 5), (3, "hard", 1)):
        panel.state.query, panel.level.value, panel.first.value = query, level, k
        expected = find_missed(run, query, k, level)
        assert panel.gallery.ids == [one.row for one in expected]
        assert panel.gallery.captions == [f"rank {one.rank}" for one in expected]
        assert panel.gallery.kinds == [one.label for one in expected]
        assert f"{len(expected)} of" in panel.gallery.title
    panel.first.value = 100
    assert panel.gallery.ids == []
    assert panel.error.value == ""
    assert panel.still()


def test_missed_asks_for_a_query_where_an_image_was_chosen(show):
    panel = show(Missed)
    panel.state.image = 3
    assert "choose a query" in panel.error.value
    panel.state.image = None
    assert panel.error.value == ""


# Errors, closing, parts


def test_an_error_is_one_sentence_in_the_panel_and_goes_away(show):
    panel = show(MatchView)
    panel.looker.match, match = (
        lambda *_, **__: (_ for _ in ()).throw(ValueError("the score is <odd>.")),
        panel.looker.match,
    )
    panel.state.query = 1
    assert "ValueError: the score is &lt;odd&gt;." in panel.error.value
    panel.looker.match = match
    panel.state.query = 2
    assert panel.error.value == ""


def test_what_is_slow_is_computed_in_a_thread_and_can_be_cancelled(show, session, monkeypatch):
    made = []

    def make_slowly(*_setting):
        for _ in bar(range(1000), desc="steps", unit="step", show=False):
            time.sleep(0.01)

    panel = show(MatchView)
    before = panel.left.value
    monkeypatch.setattr(session, "ready", lambda *setting: setting[1] != "mac" or bool(made))
    monkeypatch.setattr(session, "make_ready", make_slowly)
    panel.state.aggregation = "mac"
    assert panel.work.busy
    panel.work.button.click()
    assert panel.work.wait(10)
    assert "Cancelled" in panel.note.value
    assert panel.left.value == before
    monkeypatch.setattr(session, "make_ready", lambda *setting: made.append(setting))
    panel.state.query = 1
    assert panel.work.wait(10)
    assert made[0] == panel.state.setting
    assert panel.left.value != before
    assert (panel.note.value, panel.error.value) == ("", "")


def test_two_panels_on_one_session_do_not_disturb_each_other(show, session):
    thumbnails = Thumbnails.of_dataset(session.dataset)
    first, second = show(PoolingView, thumbnails=thumbnails), show(PoolingView, thumbnails=thumbnails)
    before = second.picture.value
    first.state.query, first.opacity.value = 4, 0.2
    assert second.picture.value == before
    assert first.strip.store == second.strip.store


def test_bars_send_values_and_words_together():
    bars = Bars()
    bars.show([0.5, -0.25], ["first", "second"], title="a bar each", chosen=1)
    assert (bars.values, bars.labels, bars.chosen, bars.serial) == ([0.5, -0.25], ["first", "second"], 1, 1)
    bars.close()


def test_a_drawing_is_the_same_on_page_and_paper():
    drawing = Drawing(100, 40)
    drawing.area([(10, 30), (30, 30), (30, 10), (10, 10)], "#0072b2")
    drawing.line([(50, 20), (90, 20)], "#d55e00", width=3, dashed=True)
    drawing.text(5, 35, "<b>&", size=10)
    page, paper = drawing.svg("it's"), np.asarray(drawing.image())
    assert "points='10.0,30.0 30.0,30.0 30.0,10.0 10.0,10.0'" in page
    assert "stroke-dasharray" in page
    assert "&lt;b&gt;&amp;" in page
    assert "aria-label='it&#x27;s'" in page
    assert paper[20, 20].tolist() == [0, 114, 178]
    row = (paper[20, 50:90] != 255).any(axis=1)
    assert 0.3 < row.mean() < 0.8, "dashes and gaps"
    assert titled_sheet(drawing.image(), "title", "a long note " * 9).height > 40 + 3 * 17


def test_bar_chart_draws_losses_below_and_marks_the_chosen_bar():
    paper = np.asarray(charts.bar_chart([0.5, 0.1, -0.5], 2, "three").image()).astype(int)
    wins, losses = (np.argwhere((paper == colour).all(axis=2)) for colour in ([0, 114, 178], [213, 94, 0]))
    assert wins[:, 0].max() <= losses[:, 0].min() + 1
    mark = np.argwhere((paper == [230, 159, 0]).all(axis=2))
    assert losses[:, 1].min() <= mark[:, 1].mean() <= losses[:, 1].max()
    assert mark[:, 0].min() > losses[:, 0].max()


# What a panel starts with, and what it follows


def names_of(panel) -> set[str]:
    """Descriptions of the controls."""
    found, waiting = set(), [panel]
    while waiting:
        widget = waiting.pop()
        waiting += getattr(widget, "children", ())
        found.add(label(widget))
    return found


STARTED = {"tap": "layer2", "aggregation": "crow", "query": 2, "whitening": "none"}


@pytest.mark.parametrize(
    "kind", [PoolingView, MatchView, WhiteningLab, Missed, ProbePanel, BreaksPanel, Explorer, Workbench]
)
def test_a_panel_starts_with_values_and_has_its_controls(kind, session):
    quick = {"prefetch": False, "pause": 0} if kind in (Explorer, Workbench) else {"pause": 0}
    panel = kind(session, start=STARTED, **quick)
    assert panel.error.value == ""
    assert {name: panel.state.trait_values()[name] for name in STARTED} == STARTED
    assert {"tap", "pooling", "attention"} <= names_of(panel)
    panel.close()


def test_win_loss_starts_both_sides(session):
    panel = WinLoss(session, start_a={"tap": "layer3"}, start_b={"tap": "layer2"}, pause=0)
    assert (panel.state.tap, panel.other.tap, panel.other.whitening) == ("layer3", "layer2", "pca")
    assert sum(getattr(part, "titles", ()) in (("Setting A",), ("Setting B",)) for part in parts_of(panel)) == 2
    panel.close()


def parts_of(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts_of(child)


def test_the_whitening_lab_starts_with_its_own_controls_too(session):
    panel = WhiteningLab(session, start={"tap": "layer3", "whitening": "pca(power=0.25)", "dimensions": 8}, pause=0)
    assert panel.setting[:4] == ("layer3", "gem(p=3)", "pca(power=0.25)", 8)
    panel.close()


def test_what_a_panel_starts_with_is_checked(session):
    with pytest.raises(ValueError, match="not both"):
        PoolingView(session, state=RetrievalState(tap="layer4"), start={"tap": "layer3"})
    with pytest.raises(TraitError, match="poolin; known: "):
        PoolingView(session, start={"poolin": "gem"})
    with pytest.raises(ValueError, match=r"tap must be one of stem, .*, got 'layer9'"):
        PoolingView(session, start={"tap": "layer9"})
    with pytest.raises(ValueError, match=r"aggregation must be one of spoc, .*, got 'pwa'"):
        PoolingView(session, start={"aggregation": "pwa"})


def test_a_panel_starts_where_its_session_can(tmp_path, session):
    """No GeM on offer, and no pooling of the deepest tap: it begins with what there is."""
    by_hand = Session(session.dataset, "handcrafted", aggregations=["spoc", "gem"], store=Store(tmp_path))
    panel = PoolingView(Session(session.dataset, "toynet", "random", ["mac"], store=session.store), pause=0)
    assert (panel.state.aggregation, panel.error.value) == ("mac", "")
    panel.close()
    assert usual_start(by_hand)["tap"] == "gist"
