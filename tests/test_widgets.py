"""Widgets without a browser: state, controls, galleries and the explorer on a session that needs no network."""

from __future__ import annotations

import ast
import base64
import csv
import gc
import io
import threading
import time
import weakref
from dataclasses import replace
from itertools import chain, product

import numpy as np
import pytest
from fake_session import FakeSession, fake_dataset, write_toytown_form
from IPython.core.formatters import DisplayFormatter
from PIL import Image
from traitlets import TraitError

from cbirlab.aggregation import AGGREGATIONS, pooling
from cbirlab.attention import ATTENTIONS
from cbirlab.base.params import Choice, Parameter, Range
from cbirlab.base.registry import UnknownName
from cbirlab.datasets.base import Query
from cbirlab.encoding import ENCODINGS
from cbirlab.index import Ranking
from cbirlab.whitening import WHITENINGS
from cbirlab.widgets.panels.explorer import Explorer, explore
from cbirlab.widgets.panels.workbench import Workbench
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.controls import RetrievalControls, control, dimension_steps
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails, send_ahead
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.parts.result_marks import MARKS
from cbirlab.widgets.parts.results import kinds_of_images, kinds_of_query, ranked_gallery, results_of_query
from cbirlab.widgets.parts.slow_download import SlowDownload
from cbirlab.widgets.parts.state import RetrievalState, usual_start
from cbirlab.widgets.parts.tasks import Latest
from cbirlab.widgets.parts.tooltips import SAID, tooltip


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return fake_dataset(tmp_path_factory.mktemp("towers"))


@pytest.fixture
def session(dataset):
    return FakeSession(dataset)


@pytest.fixture
def panel(session):
    explorer = Explorer(session, prefetch=False, pause=0)
    yield explorer
    explorer.close()


# State


def test_setting_names_every_parameter_of_the_pooling():
    state = RetrievalState(tap="layer4", aggregation="gem", whitening="pca", dimensions=32)
    state.set_parameter("gem", "p", 4.5)
    assert state.setting[:4] == ("layer4", "gem(p=4.5)", "pca", 32)


def test_each_pooling_keeps_its_parameters():
    state = RetrievalState(tap="layer4")
    state.set_parameter("gem", "p", 7.0)
    state.aggregation = "mac"
    assert state.setting.aggregation == "mac"
    state.aggregation = "gem"
    assert state.setting.aggregation == "gem(p=7)"


def test_dimensions_count_only_with_whitening():
    assert RetrievalState(tap="layer4", whitening="none", dimensions=8).setting.dimensions is None


def test_state_refuses_unknown_names_and_bad_values():
    state = RetrievalState(tap="layer4")
    with pytest.raises(UnknownName, match="Did you mean 'gem'"):
        state.aggregation = "gme"
    with pytest.raises(ValueError, match=r"p must be in \[1, 10\]"):
        state.set_parameter("gem", "p", 99.0)
    with pytest.raises(TraitError, match="colour"):
        state.from_json({"colour": "red"})
    assert state.setting[:4] == ("layer4", "gem(p=3)", "none", None)


def test_every_whitening_of_the_menu_is_chosen_as_the_menu_has_it():
    state = RetrievalState(tap="layer4", whitening="none")
    controls = RetrievalControls(state, taps=["layer4"], aggregations=["gem"], dimensions=lambda *_: 64)
    menu = list(controls.whitening.options)
    assert len(menu) == len(WHITENINGS)
    for _, name in menu:
        controls.whitening.value = name
        assert (state.whitening, controls.whitening.value) == (name, name)
    assert list(controls.whitening.options) == menu, "no entry stands there twice"


def test_state_survives_json():
    state = RetrievalState(tap="layer2", aggregation="spoc", whitening="pca", dimensions=16, query=3, image=5)
    other = RetrievalState()
    other.from_json(state.to_json())
    assert other.to_json() == state.to_json()


# Controls


@pytest.mark.parametrize(
    ("domain", "default", "kind"),
    [
        (Range(1.0, 10.0, step=0.5), 3.0, "FloatSlider"),
        (Range(1, 9, integer=True), 2, "IntSlider"),
        (Range(1, 65_536, integer=True), 1024, "BoundedIntText"),
        (Range(1e-6, 1.0), 1e-3, "BoundedFloatText"),
        (Choice((False, True)), False, "Checkbox"),
        (Choice(("a", "b")), "b", "Dropdown"),
    ],
)
def test_a_declared_parameter_becomes_its_control(domain, default, kind):
    widget = control(Parameter("x", domain, default))
    assert type(widget).__name__ == kind
    assert widget.value == default


def test_a_slider_takes_range_and_step_from_the_declaration():
    slider = control(Parameter("p", Range(1.0, 10.0, step=0.5), 3.0))
    assert (slider.min, slider.max, slider.step) == (1.0, 10.0, 0.5)


def controls_of(state, methods=("mac", "spoc", "gem")):
    width = {"shallow": 16, "deep": 100}
    return RetrievalControls(state, taps=list(width), aggregations=methods, dimensions=lambda tap, _: width[tap])


def test_every_default_is_a_stop_of_its_slider():
    """A page moves a slider that stands between two stops, and so changes what was never touched."""
    sliders = controls_of(RetrievalState(tap="deep"), [*AGGREGATIONS, *ENCODINGS]).parameters
    for key, slider in sliders.items():
        if hasattr(slider, "step") and type(slider).__name__.endswith("Slider"):
            stops = (slider.value - slider.min) / slider.step
            assert stops == pytest.approx(round(stops)), key


def test_every_registered_pooling_gets_controls_for_its_parameters():
    @pooling("softmax-test", title="Soft maximum")
    def soft(maps, *, sharpness: "Annotated[float, Range(0.0, 2.0)]" = 1.0):  # noqa: F821, UP037
        return maps.amax((-2, -1))

    try:
        controls = controls_of(RetrievalState(tap="deep"), [*AGGREGATIONS])
        assert ("Soft maximum", "softmax-test") in controls.aggregation.options
    finally:
        AGGREGATIONS.remove("softmax-test")


def test_controls_set_the_state_and_follow_it():
    state = RetrievalState(tap="deep", whitening="pca")
    controls = controls_of(state)
    controls.parameters["gem", "p"].value = 5.0
    controls.tap.value = "shallow"
    assert state.setting[:4] == ("shallow", "gem(p=5)", "pca", None)
    state.aggregation, state.parameters = "spoc", {"gem": {"p": 2.0}}
    assert controls.aggregation.value == "spoc"
    assert controls.parameters["gem", "p"].value == 2.0


def test_a_page_that_sends_a_value_beside_a_stop_means_the_stop():
    state = RetrievalState(tap="deep")
    controls_of(state).parameters["gem", "p"].set_state({"value": 6.999999999999999})
    assert state.setting.aggregation == "gem(p=7)"


def test_p_is_enabled_for_gem_only():
    state = RetrievalState(tap="deep")
    p = controls_of(state).parameters["gem", "p"]
    assert not p.disabled
    assert p.layout.display is None
    state.aggregation = "mac"
    assert p.disabled
    assert p.layout.display == "none"


def test_every_registered_method_has_its_place_in_the_menus():
    state = RetrievalState(tap="deep")
    controls = controls_of(state, [*AGGREGATIONS, *ENCODINGS])
    assert [name for _, name in controls.aggregation.options] == [*AGGREGATIONS, *ENCODINGS]
    assert [name for _, name in controls.attention.options] == ["none", *ATTENTIONS]
    assert [name.partition("(")[0] for _, name in controls.whitening.options] == [*WHITENINGS]
    controls.attention.value = "crow_spatial"
    assert state.setting.aggregation == "crow_spatial(a=2, b=2) > gem(p=3)"
    controls.whitening.value, state.dimensions = "zca", 8
    assert controls.dimensions.disabled
    assert state.setting.dimensions is None


def test_whitening_waits_while_words_are_compared():
    state = RetrievalState(tap="deep", whitening="pca", dimensions=8)
    controls = controls_of(state, ["gem", "asmk"])
    state.aggregation = "asmk"
    assert (state.setting.whitening, state.setting.dimensions) == ("none", None)
    assert controls.whitening.disabled
    assert controls.dimensions.disabled
    state.aggregation = "gem"
    assert (state.setting.whitening, state.setting.dimensions) == ("pca", 8)
    assert not controls.whitening.disabled


def test_dimensions_follow_the_tap_and_come_back():
    state = RetrievalState(tap="deep", whitening="pca")
    controls = controls_of(state)
    controls.dimensions.value = 64
    assert state.setting.dimensions == 64
    controls.tap.value = "shallow"
    assert controls.dimensions.value == 0, "16 dimensions are all there are"
    assert max(value for _, value in controls.dimensions.options) < 16
    controls.tap.value = "deep"
    assert (controls.dimensions.value, state.dimensions) == (64, 64)
    state.whitening = "none"
    assert controls.dimensions.disabled


@pytest.mark.parametrize("full", [1, 2, 3, 100, 128, 2048])
def test_dimension_steps_rise_to_the_full_number(full):
    steps = dimension_steps(full)
    assert steps[-1] == full
    assert steps == sorted({*steps})


# Marks and galleries


def test_marks_differ_in_more_than_colour():
    shown_together = (("easy", "hard", "junk", "wrong"), ("good", "ok", "junk", "wrong"), ("positive", "junk", "wrong"))
    assert {*MARKS} == {*chain(*shown_together)}
    for part, names in product(("symbol", "short", "line"), shown_together):
        values = [getattr(MARKS[name], part) for name in names]
        assert len({*values}) == len(values), part


@pytest.mark.parametrize(("protocol", "first"), [("ukbench", [0, 6, 1]), ("holidays", [6, 1, 12])])
def test_the_querys_own_picture_is_shown_where_the_protocol_counts_it(dataset, protocol, first):
    queries = tuple(replace(query, index=row) for row, query in enumerate(dataset.queries))
    labels = tuple({"positive": (row, row + 6, row + 12)} for row in range(6))
    made = replace(dataset, protocol=protocol, queries=queries, labels=labels)
    ranking = Ranking(np.array([[0, 6, 1, 12]]), np.array([[1.0, 0.9, 0.8, 0.7]], dtype=np.float32))
    shown = results_of_query(made, ranking, 0, shown=3)
    assert shown.rows == first
    assert shown.places == [1, 2, 3]
    assert Question(query=0).own_row(made) == (None if protocol == "ukbench" else 0)


def test_kinds_of_a_query_and_of_an_image(dataset):
    assert kinds_of_query(dataset, 0, [0, 18, 30, 1]) == ["easy", "hard", "junk", "wrong"]
    assert kinds_of_images(dataset, [0], [6, 1]) == ["positive", "wrong"]
    bare = replace(dataset, labels=(), instances=())
    assert kinds_of_query(bare, 0, [0, 1]) == ["", ""]
    assert kinds_of_images(bare, [0], [1, 2]) == ["", ""]


def test_a_thumbnail_is_sent_once(dataset, monkeypatch):
    gallery = Gallery(Thumbnails.of_dataset(dataset))
    sent = []
    monkeypatch.setattr(gallery, "send", lambda content, buffers=None: sent.append((content["thumbnails"], buffers)))
    gallery.show([3, 1, 2])
    gallery.show([2, 4, 3])
    assert [ids for ids, _ in sent] == [[3, 1, 2], [4]]
    assert all(Image.open(io.BytesIO(jpeg)).format == "JPEG" for _, jpegs in sent for jpeg in jpegs)


def test_a_page_that_lacks_a_thumbnail_gets_it(dataset, monkeypatch):
    gallery = Gallery(Thumbnails.of_dataset(dataset))
    gallery.show([0])
    sent = []
    monkeypatch.setattr(gallery, "send", lambda content, buffers=None: sent.append(content))
    gallery._handle_custom_msg({"need": [0, 5, 10_000, -1]}, [])
    assert sent == [{"thumbnails": [0, 5]}]


def test_a_picture_that_cannot_be_read_does_not_stop_the_gallery(dataset, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    gallery = Gallery(Thumbnails([broken, dataset.images[0]]))
    gallery.show([0, 1])
    assert Image.open(io.BytesIO(gallery.thumbnails[0])).size[0] == 160


def test_query_thumbnails_carry_their_box(dataset):
    thumbnails = Thumbnails.of_dataset(dataset)
    image = Image.open(io.BytesIO(thumbnails[len(dataset.images)])).convert("RGB")
    red, green, blue = image.getpixel((image.width * 10 // 160 + 1, image.height // 2))
    assert red > 180, "amber"
    assert blue < 120, "amber"
    assert green > 100, "amber"


def test_closed_galleries_are_freed(dataset):
    gallery = Gallery(Thumbnails.of_dataset(dataset))
    gallery.show([0, 1])
    alive = weakref.ref(gallery)
    gallery.close()
    del gallery
    gc.collect()
    assert alive() is None


def test_a_gallery_has_a_still_picture(dataset):
    gallery = Gallery(Thumbnails.of_dataset(dataset))
    gallery.show([0, 1, 2], kinds=["easy", "hard", "wrong"], title="three")
    bundle = gallery._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).width > 300


def test_a_shown_widget_brings_its_picture_for_where_there_is_no_kernel(dataset, monkeypatch):
    published = []
    monkeypatch.setattr("IPython.display.publish_display_data", lambda data, metadata=None: published.append(data))
    gallery = Gallery(Thumbnails.of_dataset(dataset))
    gallery._ipython_display_()
    assert ["image/jpeg" in data for data in published] == [False], "nothing to see, no picture"
    gallery.show([0, 1, 2])
    gallery._ipython_display_()
    _, widget, style = published
    assert "application/vnd.jupyter.widget-view+json" in widget
    assert widget["image/jpeg"] in style["text/html"]
    assert style["text/html"].startswith("<style")
    assert style["text/html"].endswith("</style>")
    gallery.close()
    shown, _ = DisplayFormatter().format(gallery)
    assert [*shown] == ["text/plain"]
    assert len(published) == 3


# The explorer


def test_moving_a_control_moves_the_gallery(panel):
    before = panel.gallery.ids
    panel.controls.tap.value = "layer1"
    assert panel.session.calls[-1] == ("layer1", "gem(p=3)", "pca", None)
    assert panel.gallery.ids != before
    assert len(panel.gallery.ids) == 24
    assert panel.error.value == ""


@pytest.mark.parametrize("move", ["tap", "aggregation", "p", "whitening", "dimensions"])
def test_every_control_reaches_the_session_once(panel, move):
    widget = panel.controls.parameters["gem", "p"] if move == "p" else getattr(panel.controls, move)
    value = {"tap": "stem", "aggregation": "mac", "p": 6.5, "whitening": "none", "dimensions": 8}[move]
    serial = panel.gallery.serial
    widget.value = value
    assert panel.gallery.serial == serial + 1


def test_frames_follow_the_ground_truth(panel, dataset):
    labels = dataset.labels[0]
    for row, kind in zip(panel.gallery.ids, panel.gallery.kinds, strict=True):
        assert kind == next((name for name, rows in labels.items() if row in rows), "wrong")


def test_a_plain_gallery_of_a_run(session):
    run = session.rank("layer4", "gem(p=3)")
    gallery = ranked_gallery(run, 1, shown=5)
    assert gallery.ids == run.ranking.images[1, :5].tolist()
    assert len(gallery.captions) == len(gallery.kinds) == 5
    assert gallery.legend == ["easy", "hard", "junk", "wrong"]


def test_the_legend_names_what_can_turn_up(panel):
    assert panel.gallery.legend == ["easy", "hard", "junk", "wrong"]


def test_a_click_is_drawn_once(panel):
    """Query and image change in one step: what is drawn twice takes twice as long, and comes when nobody expects it."""
    for item in (3, len(panel.session.dataset.images) + 2):
        serial = panel.gallery.serial
        panel.pick(item)
        assert panel.gallery.serial == serial + 1


def test_a_clicked_result_becomes_the_query(panel):
    row = panel.gallery.ids[4]
    panel.gallery.picked = row
    panel.gallery.clicks += 1
    assert panel.state.image == row
    assert row not in panel.gallery.ids
    assert f"Database image {row}" in panel.gallery.title
    assert "no ground truth" in panel.note.value
    assert {*panel.gallery.kinds} <= {"positive", "wrong"}
    assert panel.gallery.legend == ["positive", "wrong"]


def test_the_strip_goes_back_to_a_query_of_the_protocol(panel, dataset):
    panel.state.image = 7
    panel.strip.picked = len(dataset.images) + 2
    panel.strip.clicks += 1
    assert (panel.state.query, panel.state.image) == (2, None)
    assert panel.strip.current == len(dataset.images) + 2
    assert "AP of this query" in panel.note.value


def test_metrics_stand_beside_their_interval(panel):
    text = panel.metrics.value
    run = panel.session.rank(*panel.state.setting)
    assert f"{run.metrics['map_medium']:.3f}" in text
    assert f"{run.metrics['map_medium_low']:.3f} to {run.metrics['map_medium_high']:.3f}" in text


def test_errors_are_shown_in_the_panel_and_go_away(panel, dataset):
    panel.session.dataset = None
    panel.controls.tap.value = "stem"
    assert "role='alert'" in panel.error.value
    assert "there is no dataset" in panel.error.value
    panel.session.dataset = dataset
    panel.controls.tap.value = "layer2"
    assert panel.error.value == ""


def test_the_panel_says_what_it_computes_for_the_first_time(panel):
    said, at_work = [], []
    panel.work.note.observe(lambda change: said.append(change["new"]), names="value")
    make_ready = panel.session.make_ready
    panel.session.make_ready = lambda *asked: at_work.append(panel.work.note.value) or make_ready(*asked)
    panel.session.unready = {"mac"}
    panel.controls.aggregation.value = "mac"
    assert panel.work.wait(5)
    assert "Computing mac at layer4" in said[0]
    assert "role='status'" in said[0]
    assert at_work == said[:1], "before the work, not after it"
    assert panel.work.layout.display == "none"
    assert "AP of this query" in panel.note.value
    before = len(said)
    panel.controls.aggregation.value = "spoc"
    assert len(said) == before


def test_what_could_not_be_computed_is_not_said_to_be_computed(panel):
    panel.session.unready = {"mac"}
    panel.session.rank_query = lambda *asked: 1 / 0
    panel.controls.aggregation.value = "mac"
    assert panel.work.wait(5)
    assert "ZeroDivisionError" in panel.error.value
    assert panel.note.value == ""
    assert panel.work.layout.display == "none"


def test_the_slow_work_of_the_explorer_can_be_cancelled(panel):
    before = panel.gallery.ids
    panel.session.unready, panel.session.pause, panel.session.steps = {"mac"}, 0.02, 1000
    panel.controls.aggregation.value = "mac"
    assert panel.gallery.ids == before
    panel.work.button.click()
    assert panel.work.wait(5)
    assert (panel.state.aggregation, panel.gallery.ids, panel.error.value) == ("gem", before, "")


NS = {"ns": 3.0, "map": 0.8, "ns_low": 2.0, "ns_high": 3.6}


def test_metrics_other_than_map_are_written_with_their_own_scale():
    assert views.levels_of(NS) == ["ns", "map"]
    table = views.metrics_table(NS)
    assert "<td>N-S</td>" in table
    assert "<i style='width:75.0%'></i><b style='left:50.0%;width:40.0%'></b>" in table
    assert "2.000 to 3.600" in table
    assert "<i style='width:80.0%'></i>" in table
    assert views.metrics_line(NS) == "N-S 3.000  mAP 0.800"
    assert views.metrics_line({"map_medium": 0.5, "map_hard": 0.25}) == "mAP: Medium 0.500  Hard 0.250"
    assert views.metrics_line({}) == "no ground truth"
    assert "N-S 3.000 [2.000, 3.600]" in views.side_heading("A", "", NS)
    assert "mAP Medium 0.500" in views.side_heading("A", "", {"map_medium": 0.5})
    assert "N-S of this query: 3.000" in views.query_note({"ns": 3.0})
    assert "AP@100 of this query by B: no positive" in views.query_note({"map@100": float("nan")}, side="B")
    assert "AP of this query: 0.500" in views.query_note({"map": 0.5})
    assert "<td>hit@1</td>" in views.paired_table({"hit@1": (0.1, 0.0, 0.2)}, {"hit@1": (1, 2)})
    pinned = views.comparison_table([{**NS, "difference": 0.1, "difference_low": 0.0, "difference_high": 0.2}] * 2)
    assert pinned.count("<th>N-S</th><th>mAP</th><th>difference to the first</th>") == 1
    assert "<strong>3.000</strong> [2.000, 3.600]" in pinned


def test_what_comes_from_outside_is_escaped():
    assert "<script>" not in views.error_box(ValueError("<script>"))
    assert "<script>" not in views.comparison_table([{"tap": "<script>", "map": 0.5}])


def test_pinned_settings_are_exported(panel):
    panel.comparison.pin_button.click()
    panel.comparison.pin_button.click()
    panel.controls.aggregation.value = "mac"
    panel.comparison.pin_button.click()
    rows = list(csv.DictReader(io.StringIO(panel.comparison.to_bytes("csv").decode())))
    assert [row["aggregation"] for row in rows] == ["gem(p=3)", "mac"], "the same setting is pinned once"
    assert panel.comparison.to_bytes("md").startswith(b"| ")
    assert b"\\begin{tabular}" in panel.comparison.to_bytes("tex")
    assert panel.comparison.table.value.count("<tr>") == 3


def test_a_pinned_row_is_removed_and_differences_refer_to_the_row_that_is_first_then(panel):
    table = panel.comparison.table
    for method in ("gem", "mac", "spoc"):
        panel.controls.aggregation.value = method
        panel.comparison.pin()
    assert [f"aria-label='remove row {place}'" in table.value for place in (1, 2, 3, 4)] == [True, True, True, False]
    table._handle_custom_msg({"remove": 0}, [])
    first, second = panel.comparison.rows
    assert (first["aggregation"], second["aggregation"]) == ("mac", "spoc(centre_prior=False)")
    assert np.isnan(first["difference"])
    assert second["difference"] == pytest.approx(second["map_medium"] - first["map_medium"])
    assert "<strong>" in table.value, "the best stays in bold"
    table._handle_custom_msg({"remove": 7}, [])
    assert "remove: place must be from 0 to 1, the rows pinned, got 7" in panel.error.value
    panel.comparison.remove(1)
    panel.comparison.remove(0)
    assert "Nothing pinned yet" in table.value
    assert panel.comparison.downloads["csv"].disabled


def test_a_download_sends_the_file_and_shows_its_errors(panel, monkeypatch):
    panel.comparison.pin()
    button, sent = panel.comparison.downloads["csv"], []
    monkeypatch.setattr(button, "send", lambda content, buffers=None: sent.append((content, buffers)))
    button._handle_custom_msg({"make": True}, [])
    (content, buffers) = sent[0]
    assert content == {"file": "comparison.csv", "mime": "text/csv"}
    assert buffers == [panel.comparison.to_bytes("csv")]
    monkeypatch.setattr(button, "_make", lambda: 1 / 0)
    button._handle_custom_msg({"make": True}, [])
    assert "ZeroDivisionError" in panel.error.value


def test_the_python_shown_is_the_setting(panel):
    panel.controls.whitening.value = "none"
    panel.controls.parameters["gem", "p"].value = 4.0
    call = ast.parse(panel.to_python()).body[1].value.args[0]
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given["aggregation"] == "gem(p=4)"
    assert given["tap"] == "layer4"
    assert "whitening" not in given


def test_the_panel_has_a_still_picture(panel):
    data = panel._repr_mimebundle_()
    assert Image.open(io.BytesIO(base64.b64decode(data["image/jpeg"]))).width > 600


def test_a_held_panel_stands_still_until_it_is_live(panel):
    serial = panel.gallery.serial
    panel.live = False
    panel.controls.tap.value = "stem"
    assert panel.gallery.serial == serial
    panel.live = True
    assert panel.session.calls[-1][0] == "stem"
    assert panel.gallery.serial == serial + 1


def test_closed_panels_are_freed(session):
    explorer = Explorer(session, prefetch=False)
    alive = [weakref.ref(part) for part in (explorer, explorer.gallery, explorer.controls.tap, explorer.comparison)]
    explorer.close()
    del explorer
    gc.collect()
    assert [part() for part in alive] == [None] * 4


def test_thumbnails_are_sent_ahead_from_the_background(monkeypatch, session, dataset):
    monkeypatch.setattr("cbirlab.widgets.parts.gallery.PATIENCE", 0.01)  # no page asks here
    explorer = Explorer(session)
    deadline = time.monotonic() + 20
    everything = {*range(len(dataset.images) + len(dataset.queries))}
    while explorer.thumbnails.shipped != everything and time.monotonic() < deadline:
        time.sleep(0.01)
    explorer.close()
    assert explorer.thumbnails.shipped == everything


@pytest.mark.parametrize("with_queries", [True, False])
def test_without_ground_truth_there_is_a_ranking_and_no_number(dataset, with_queries):
    asked = tuple(Query(path, index=row) for row, path in enumerate(dataset.images))
    bare = FakeSession(replace(dataset, labels=(), instances=(), queries=asked if with_queries else ()))
    explorer = Explorer(bare, prefetch=False)
    assert explorer.error.value == ""
    assert len(explorer.gallery.ids) == 24
    assert 0 not in explorer.gallery.ids, "the query's own picture is left out"
    assert {*explorer.gallery.kinds} == {""}
    assert "no mAP" in explorer.metrics.value
    explorer.close()


# On the real session


def test_explore_on_a_folder_leaves_the_own_picture_out(things, store):
    explorer = explore(things, "toynet", weights="random", aggregations=["gem"], store=store, shown=12)
    assert explorer.error.value == ""
    assert explorer.session.dataset.queries[0].index == 0
    assert 0 not in explorer.gallery.ids
    assert {*explorer.gallery.kinds} <= {"positive", "wrong"}
    assert explorer.metrics.value.count("<tr>") == 2
    explorer.comparison.pin()
    assert explorer.comparison.frame["map"][0] == explorer.session.rank(*explorer.state.setting).metrics["map"]
    explorer.close()


@pytest.mark.parametrize("method", ["crow", "vlad", "asmk"])
def test_a_method_that_was_not_prepared_is_computed_on_first_use(things, store, method):
    explorer = explore(things, "toynet", weights="random", store=store, shown=12)
    said = []
    explorer.work.note.observe(lambda change: said.append(change["new"]), names="value")
    before = explorer.gallery.ids
    explorer.controls.aggregation.value = method
    assert explorer.work.wait(120)
    assert explorer.error.value == ""
    assert f"Computing {method}" in said[0]
    assert len(explorer.gallery.ids) == 12
    assert explorer.gallery.ids != before
    assert explorer.session.ready(*explorer.state.setting)
    explorer.close()


def test_the_python_shown_gives_the_numbers_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))
    towers = write_toytown_form(tmp_path / "towers", scenes=4, views=5)
    explorer = explore(str(towers), "toynet", weights="random", aggregations=["gem"], shown=8)
    explorer.controls.tap.value = "layer3"
    explorer.controls.dimensions.value = 8
    names = {}
    exec(explorer.to_python(), names)
    assert names["result"].metrics == explorer.session.rank(*explorer.state.setting).metrics
    assert names["result"].dim == 8
    explorer.close()


# One at a time, the newest wins


def test_latest_never_overlaps_and_ends_with_the_newest():
    wanted, busy, seen = [0], [], []

    def work():
        busy.append(1)
        assert len(busy) == 1
        time.sleep(0.01)
        seen.append(wanted[0])
        busy.pop()

    latest = Latest(work, on_error=lambda error: seen.append(error))
    threads = []
    for value in range(30):
        wanted[0] = value
        threads.append(threading.Thread(target=latest))
        threads[-1].start()
        time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert seen[-1] == 29
    assert len(seen) < 30


def test_the_rest_of_the_work_waits_and_is_dropped_when_overtaken():
    done, rests = [], []
    latest = Latest(
        lambda: done.append(1), on_error=done.append, afterwards=lambda: rests.append(len(done)), pause=0.05
    )
    for _ in range(3):
        latest()
    assert (done, rests) == ([1, 1, 1], [])
    deadline = time.monotonic() + 5
    while not rests and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert rests == [3]


def test_what_is_done_apart_keeps_no_newer_request_waiting():
    drawn, waits, go_on, asked = [], threading.Event(), threading.Event(), [0]

    def apart():
        mine = asked[0]
        if mine == 1:
            waits.set()
            assert go_on.wait(10)
        return lambda: drawn.append(mine)

    latest = Latest(lambda: None, on_error=drawn.append, afterwards=lambda: None, apart=apart)
    asked[0] = 1
    thread = threading.Thread(target=latest)
    thread.start()
    assert waits.wait(10)
    asked[0] = 2
    latest()  # it would wait for ever if the first one held the lock
    assert drawn == [2]
    go_on.set()
    thread.join(10)
    assert drawn == [2], "of the older request nothing is drawn any more"


def test_numbers_follow_the_gallery(session):
    explorer = Explorer(session, prefetch=False, pause=0.02)
    before = explorer.code.value
    explorer.state.tap = "stem"
    deadline = time.monotonic() + 5
    while explorer.code.value == before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "stem" in explorer.code.value
    explorer.close()


def test_pictures_are_sent_ahead_once_the_page_has_asked_for_one(session):
    thumbnails = Thumbnails.of_dataset(session.dataset)
    gallery, stop, sent = Gallery(thumbnails), threading.Event(), threading.Event()
    shipped = []
    gallery.ship = lambda ids: (shipped.extend(ids), sent.set())
    send_ahead(gallery, stop)
    assert not sent.wait(0.3)
    gallery._answer(gallery, {"need": []}, [])
    deadline = time.monotonic() + 30
    while len(shipped) < len(thumbnails) and time.monotonic() < deadline:
        time.sleep(0.01)
    stop.set()
    assert sorted(shipped) == [*range(len(thumbnails))]
    gallery.close()


@pytest.mark.parametrize(("given", "whitening"), [(None, "none"), ("database", "pca"), ("toytown", "pca")])
def test_a_panel_starts_without_a_whitening_that_nothing_of_its_own_teaches(dataset, given, whitening):
    session = FakeSession(dataset)
    session.common = replace(session.common, whitening_set=given)
    assert usual_start(session, "pca")["whitening"] == whitening


def test_tooltips_of_the_bar_and_of_exports_come_from_the_dictionary(session):
    bench = Workbench(session, prefetch=False, pause=0)
    bar, exports = bench.view, bench.map.exports
    own = [bar.compare, bar.back, bar.forward, bar.find, bar.side, bar.count, exports.ask, *exports.lists]
    said = {one.description: one.tooltip for one in [*own, *exports.figures, *bench.downloads.children[0].children]}
    known = {name: said.pop(name) for name in [*said] if name in SAID}
    assert all(text == tooltip(name) for name, text in known.items())
    assert {name.split(" (")[0] for name in said} == {"Map", "Gallery"}, "a figure of each kind"
    assert {*said.values()} == {tooltip("Map"), tooltip("Gallery")}
    assert [one.tooltip for one in (bar.settings, bar.map)] == [tooltip("pane of settings"), tooltip("pane of map")]
    bench.close()


def test_a_slow_download_is_made_in_a_thread_and_only_once_at_a_time(monkeypatch):
    made, sent, errors, go_on = [], [], [], threading.Event()

    def make():
        made.append(threading.current_thread())
        assert go_on.wait(10)
        return b"page"

    button = SlowDownload("Page", name="page.html", mime="text/html", make=make, on_error=errors.append)
    monkeypatch.setattr(button, "send", lambda content, buffers: sent.append((content, buffers)))
    for _ in range(2):
        button._answer(button, {"make": True}, [])
    go_on.set()
    assert button.work.wait(10)
    assert len(made) == 1
    assert made[0] is not threading.current_thread()
    assert sent == [({"file": "page.html", "mime": "text/html"}, [b"page"])]
    button._make = lambda: 1 / 0
    button._answer(button, {"make": True}, [])
    assert button.work.wait(10)
    assert [type(error) for error in errors] == [ZeroDivisionError]
    assert len(sent) == 1
    button.close()
