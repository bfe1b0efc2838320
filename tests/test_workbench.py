"""The workbench without a browser: every link, on a session that needs no network and on a real one."""

from __future__ import annotations

import csv
import gc
import io
import json
import shlex
import threading
import time
import weakref
from dataclasses import replace
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from fake_session import FakeSession, draw_pictures, fake_dataset, write_toytown_form
from PIL import Image

from cbirlab import tables
from cbirlab.backbones import BACKBONES, in_one_word
from cbirlab.base.progress import Cancelled, bar, listening
from cbirlab.cli.output import recipe_of
from cbirlab.cli.parser import build_parser
from cbirlab.datasets import DATASETS, load_dataset
from cbirlab.evaluation import paired_difference
from cbirlab.live import Session
from cbirlab.live.prefetch import Ahead
from cbirlab.pipeline import Recipe
from cbirlab.store import Store
from cbirlab.widgets import BreaksPanel, Explorer
from cbirlab.widgets.panels import changes, saved
from cbirlab.widgets.panels.sessions import backbone_titles, backbones_offered
from cbirlab.widgets.panels.workbench import Workbench
from cbirlab.widgets.parts import dataset_menu, metric_bars
from cbirlab.widgets.parts.question import OwnPicture, Question
from cbirlab.widgets.parts.tasks import Work

SPOC = "spoc(centre_prior=False)"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return fake_dataset(tmp_path_factory.mktemp("towers"))


@pytest.fixture
def bench(dataset):
    """A workbench on a session without a network; everything is drawn at once."""
    workbench = Workbench(FakeSession(dataset), backbones=["toynet"], prefetch=False, pause=0)
    workbench.map.method.value = "pca"
    yield workbench
    workbench.close()


@pytest.mark.parametrize(
    ("protocol", "word", "own"),
    [("ukbench", "N-S", True), ("category", "hit@1", True), ("places", "hit@1", False), ("gldv2", "mAP@100", False),
     ("gldv2_recognition", "microAP", False)],
)  # fmt: skip
def test_protocols_without_levels_are_shown_by_their_own_metric(dataset, protocol, word, own):
    labels = tuple(
        {"positive": (*one["easy"], *one["hard"])[: 3 + query % 2]} for query, one in enumerate(dataset.labels)
    )
    queries = tuple(replace(query, index=row if own else None) for row, query in enumerate(dataset.queries))
    made = replace(dataset, protocol=protocol, labels=labels, queries=queries)
    workbench = Workbench(FakeSession(made), backbones=["toynet"], prefetch=False, pause=0)
    assert workbench.error.value == ""
    assert f"<td>{word}</td>" in workbench.metrics.value
    assert f"{word.replace('mAP', 'AP')} of this query: " in workbench.note.value
    workbench.comparison.pin_button.click()
    workbench.compared = True
    workbench.b.state.aggregation = "mac"
    assert f"<td>{word}</td>" in workbench.tests.value
    workbench.comparison.pin_button.click()
    assert f"<th>{word}</th>" in workbench.comparison.table.value
    assert "difference to the first" in workbench.comparison.table.value
    assert workbench.still().startswith(b"\xff\xd8")
    assert workbench.error.value == ""
    workbench.close()


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """A folder in the form of Toytown, and a store."""
    folder = tmp_path_factory.mktemp("real")
    return write_toytown_form(folder / "towers", scenes=4, views=5), Store(folder / "store")


def real_bench(towers, **options):
    folder, store = towers
    given = {"weights": "random", "aggregations": ["gem", "mac"], "backbones": {"toynet": "random"}} | options
    workbench = Workbench(str(folder), store=store, prefetch=False, pause=0, shown=8, **given)
    workbench.map.method.value = "pca"
    return workbench


def draw_box(bench, box):
    """Draw a rectangle as the page does."""
    bench.picture.asked = {"box": box, "count": bench.picture.asked.get("count", 0) + 1}


def jpeg(picture: Image.Image) -> bytes:
    out = io.BytesIO()
    picture.save(out, "JPEG")
    return out.getvalue()


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


# Links


def test_a_clicked_result_becomes_the_query(bench):
    row = bench.a.gallery.ids[4]
    bench.a.gallery.picked = row
    bench.a.gallery.clicks += 1
    assert (bench.question.image, bench.state.image) == (row, row)
    assert row not in bench.a.gallery.ids
    assert bench.a.gallery.title.startswith(f"Database image {row}")
    assert bench.strip.current == row
    assert "no ground truth" in bench.note.value


def test_a_clicked_point_becomes_the_query(bench, dataset):
    bench.map.scatter.picked = 11
    bench.map.scatter.clicks += 1
    assert bench.question.image == 11
    bench.map.scatter.picked = len(dataset.images) + 2
    bench.map.scatter.clicks += 1
    assert (bench.question.query, bench.question.image) == (2, None)
    assert "AP of this query" in bench.note.value


def test_the_strip_and_python_ask_too(bench, dataset):
    bench.strip.picked = len(dataset.images) + 3
    bench.strip.clicks += 1
    assert (bench.state.query, bench.state.image) == (3, None)
    bench.state.image = 8
    assert bench.question.image == 8
    assert bench.a.gallery.title.startswith("Database image 8")


def test_the_map_marks_query_and_results(bench):
    assert bench.map.scatter.current == bench.strip.current
    assert list(bench.map.scatter.highlight) == list(bench.a.results.rows)
    bench.pick(5)
    assert bench.map.scatter.current == 5
    assert bench.map.wait(20)
    assert len(bench.map.scatter.positions) == len(bench.thumbnails)


def test_a_lasso_leaves_the_chosen_images_in_their_order_and_places(bench, dataset):
    everything = bench.session_ranking = bench.a.ranking.images[0].tolist()
    chosen = (1, 7, 8, 20, 33)
    bench.map.scatter.selected = (*chosen, len(dataset.images) + 1)
    assert bench.only == chosen
    assert bench.a.gallery.ids == [row for row in everything if row in chosen]
    places = [everything.index(row) + 1 for row in bench.a.gallery.ids]
    assert [int(text.split()[0]) for text in bench.a.gallery.captions] == places
    assert bench.selected_box.layout.display is None
    assert "5 images are chosen" in bench.selection.value
    assert "of 5 selected" in bench.a.gallery.title
    bench.clear.click()
    assert (bench.only, bench.map.scatter.selected) == ((), ())
    assert len(bench.a.gallery.ids) == 24
    assert bench.selected_box.layout.display == "none"


def test_a_lasso_around_queries_alone_filters_nothing(bench, dataset):
    bench.map.scatter.selected = (len(dataset.images),)
    assert bench.only == ()
    assert len(bench.a.gallery.ids) == 24


def test_the_own_row_counts_for_no_place(dataset):
    queries = tuple(replace(query, index=row) for row, query in enumerate(dataset.queries))
    bench = Workbench(FakeSession(replace(dataset, queries=queries)), backbones=["toynet"], prefetch=False, pause=0)
    bench.only = tuple(range(len(dataset.images)))
    everything = [row for row in bench.a.ranking.images[0].tolist() if row != 0]
    assert bench.a.results.rows == everything[:24]
    assert bench.a.results.places == [*range(1, 25)]
    bench.close()


# A | B


def test_b_begins_as_a_is(bench):
    bench.state.set_parameter("gem", "p", 5.0)
    bench.compare.value = True
    assert bench.b.setting == bench.a.setting
    assert {*bench.b.gallery.notes} == {"="}
    assert {*bench.a.gallery.notes} == {""}
    assert bench.columns.children == (bench.a.column, bench.b.column)
    bench.compare.value = False
    assert bench.columns.children == (bench.a.column,)
    assert not any("gone" in note for note in bench.a.gallery.notes)


@pytest.mark.parametrize("image", [None, 4])
def test_rank_changes_are_those_of_the_two_rankings(bench, image):
    bench.compared = True
    bench.b.state.aggregation = "mac"
    if image is not None:
        bench.pick(image)
    a, b = ([row for row in side.ranking.images[0].tolist() if row != image] for side in (bench.a, bench.b))
    for row, note in zip(bench.b.gallery.ids, bench.b.gallery.notes, strict=True):
        before, now = a.index(row) + 1, b.index(row) + 1
        up, same = f"▲ {before - now}", "=" if before == now else f"▼ {now - before}"
        assert note == (f"new ({before})" if before > 24 else up if now < before else same)
    for row, note in zip(bench.a.gallery.ids, bench.a.gallery.notes, strict=True):
        now = b.index(row) + 1
        assert note == (f"gone ({now})" if now > 24 else "")
    kinds = {note[:1] for note in (*bench.b.gallery.notes, *bench.a.gallery.notes)}
    assert {"▲", "▼", "n", "g"} <= kinds


def test_both_sides_answer_the_same_question(bench):
    bench.compared = True
    bench.b.state.tap = "stem"
    bench.pick(9)
    assert bench.a.gallery.title.startswith("Database image 9")
    assert bench.b.gallery.title.startswith("Database image 9")
    bench.b.gallery.picked = 3
    bench.b.gallery.clicks += 1
    assert bench.question.image == 3
    assert bench.a.setting.tap == "layer4", "settings stay apart"


def test_the_paired_difference_has_its_interval(bench):
    bench.compared = True
    bench.b.state.aggregation = "mac"
    a, b = (side.run().evaluation for side in bench.sides)
    mean, low, high = paired_difference(b.per_query["medium"], a.per_query["medium"], groups=a.groups)
    assert f"{mean:+.3f}</strong> [{low:+.3f}, {high:+.3f}]" in bench.tests.value
    assert f"mAP Medium {bench.b.run().metrics['map_medium']:.3f}" in bench.b.heading.value
    assert [f"<b>{side.name}</b>" in side.heading.value for side in bench.sides] == [True, True]
    assert "by B" in bench.note.value


def test_the_tabs_choose_whose_controls_and_map_are_shown(bench):
    bench.compared = True
    bench.b.state.tap = "stem"
    assert bench.controls_box.children == (bench.a.panel,)
    bench.tabs.value = "B"
    assert bench.controls_box.children == (bench.b.panel,)
    assert bench.active is bench.b
    assert list(bench.map.scatter.highlight) == list(bench.b.results.rows)
    assert bench.map._wanted.key == bench.b.session.vectors(*bench.b.setting)[1]


CHANGED = {"dimensions": 48, "whitening": "pca(power=0.25)", "aggregation": "mac"}


@pytest.mark.parametrize(("first", "own", "change"), [("squeezenet1_1", True, CHANGED), ("handcrafted", False, {})])
def test_b_begins_where_a_is_on_any_backbone(others, first, own, change):
    """Its taps are not those of the first backbone, and a picture from outside may be asked with."""
    bench = others()
    bench.a.backbone.value = in_one_word(first, None if first == "handcrafted" else "random")
    assert bench.work.wait(300)
    if own:
        bench.ask_own("mine.jpg", jpeg(Image.new("RGB", (90, 60), "red")))
    for name, value in change.items():
        setattr(bench.state, name, value)
    assert bench.work.wait(300)
    bench.compare.value = True
    assert bench.error.value == ""
    assert (bench.b.key, bench.b.session) == (bench.a.key, bench.a.session)
    assert bench.b.controls.tap.options == tuple(bench.a.session.taps)
    assert {*bench.b.gallery.notes} == {"="}
    again = others()
    again.from_json(json.loads(json.dumps(bench.to_json())))
    assert (again.b.key, again.error.value) == (bench.b.key, "")
    bench.close()
    again.close()


@pytest.fixture
def others(towers):
    """Workbenches on a session of toynet, with two other backbones on offer."""
    backbones = {"toynet": "random", "squeezenet1_1": "random", "handcrafted": None}
    return lambda: real_bench(towers, image_size=64, backbones=backbones)


def test_a_state_that_cannot_be_shown_changes_nothing(others, towers):
    bench = others()
    before = bench.a.key
    saved = bench.to_json()
    saved["a"]["state"] |= {"aggregation": "pwa"}
    with pytest.raises(ValueError, match="aggregation must be one of gem, mac, got 'pwa'"):
        bench.from_json(saved)
    assert bench.a.key == before
    bench.close()


# Pictures from outside, and parts


def test_a_click_is_drawn_once(bench):
    for item in (3, len(bench.dataset.images) + 2):
        serial = bench.a.gallery.serial
        bench.pick(item)
        assert bench.a.gallery.serial == serial + 1


def test_a_rectangle_is_a_query_and_can_be_cleared(bench, dataset):
    whole = bench.a.gallery.ids
    draw_box(bench, [0.25, 0.25, 0.5, 0.75])
    assert bench.question.box == (40, 30, 80, 90)
    assert bench.a.session.asked == (dataset.queries[0].path, (40, 30, 80, 90))
    assert bench.a.gallery.ids != whole
    assert bench.a.gallery.title.startswith("Part of query 0")
    assert {*bench.a.gallery.kinds} != {""}, "frames still say what the query's picture shows"
    assert "part of a picture" in bench.note.value
    assert bench.picture.shown == {"box": [0.25, 0.25, 0.5, 0.75], "count": 1}
    draw_box(bench, [])
    assert bench.question.box is None
    assert bench.a.gallery.ids == whole
    assert bench.picture.shown == {"box": [], "count": 2}, "the page goes by it unless it has asked since"


def test_a_rectangle_ends_with_its_picture(bench):
    draw_box(bench, [0.25, 0.25, 0.5, 0.75])
    bench.pick(3)
    assert bench.question.box is None
    assert bench.picture.shown["box"] == []
    draw_box(bench, [0.0, 0.0, 0.5, 1.0])
    assert bench.a.session.asked[0] == bench.dataset.images[3]
    assert 3 not in bench.a.gallery.ids


def test_the_protocol_s_box_is_shown(bench, dataset):
    box = dataset.queries[0].box
    assert bench.picture.given == pytest.approx([box[0] / 160, box[1] / 120, box[2] / 160, box[3] / 120])
    bench.pick(3)
    assert bench.picture.given == []


def test_an_own_picture_is_a_query(bench):
    bench.picture._handle_custom_msg({"own": "mine.jpg"}, [memoryview(jpeg(Image.new("RGB", (90, 60), "red")))])
    assert bench.question.own.name == "mine.jpg"
    assert bench.a.session.asked[0].size == (90, 60)
    assert bench.a.gallery.title == "mine.jpg: first 24 results; no ground truth for this question"
    assert bench.strip.current == bench.map.scatter.current == -1
    assert "picture from outside" in bench.note.value
    draw_box(bench, [0.0, 0.0, 0.5, 0.5])
    assert bench.a.session.asked[1] == (0, 0, 45, 30)
    bench.pick(len(bench.dataset.images))
    assert bench.question.own is None
    assert bench.question.of_protocol


@pytest.mark.parametrize("then", ["mac", "spoc"])
def test_an_own_picture_is_found_once_the_network_is_free(bench, then):
    """The network, which has to see it, is at work for a slow setting: the one that is shown next, or none."""
    session = bench.a.session
    session.unready, session.pause, session.steps = {"mac"}, 0.02, 20
    bench.state.aggregation = "mac"
    bench.ask_own("mine.jpg", jpeg(Image.new("RGB", (90, 60), "red")))
    bench.state.aggregation = then
    assert bench.work.wait(20)
    assert bench.a.gallery.title == "mine.jpg: first 24 results; no ground truth for this question"
    assert (session.made != [], session.unready) == (True, set() if then == "mac" else {"mac"})


@pytest.mark.parametrize("message", [({"own": "x.jpg"}, [b"no picture"]), ({"unreadable": "x.heic"}, [])])
def test_what_is_no_picture_is_said_in_one_sentence(bench, message):
    before = bench.a.gallery.ids
    bench.picture._handle_custom_msg(*message)
    assert "role='alert'" in bench.error.value
    assert message[0].get("own", "x.heic") in bench.error.value
    assert bench.a.gallery.ids == before


# Slow settings


def test_a_slow_setting_is_made_in_a_thread_while_the_gallery_stands(bench):
    session, before = bench.a.session, bench.a.gallery.ids
    session.unready, session.pause, session.steps = {"mac"}, 0.05, 8
    bench.state.aggregation = "mac"
    assert bench.work.busy
    assert bench.a.gallery.ids == before
    until(lambda: bench.work.layout.display is None)
    until(lambda: "towers, " in bench.work.note.value and "of 8" in bench.work.note.value)
    assert bench.work.wait()
    assert session.made == [bench.a.setting]
    assert bench.a.gallery.ids != before
    assert bench.work.layout.display == "none"
    assert "mac" in bench.code.value


def test_cancel_goes_back_to_what_was_shown(bench):
    session, before = bench.a.session, bench.a.gallery.ids
    session.unready, session.pause, session.steps = {"mac"}, 0.02, 1000
    bench.state.aggregation = "mac"
    bench.work.button.click()
    assert bench.work.wait(5)
    assert bench.state.aggregation == "gem"
    assert bench.a.gallery.ids == before
    assert bench.error.value == ""
    assert session.unready == {"mac"}


def test_the_newest_slow_setting_wins(bench):
    session = bench.a.session
    session.unready, session.pause, session.steps = {"mac", SPOC}, 0.02, 40
    bench.state.aggregation = "mac"
    bench.state.aggregation = "spoc"
    assert bench.work.wait(20)
    assert session.unready == {"mac"}
    assert bench.a.gallery.ids == bench.a.ranking.images[0, :24].tolist()
    assert bench.a.setting.aggregation == SPOC


def test_a_ready_setting_is_shown_at_once_and_ends_the_slow_one(bench):
    session = bench.a.session
    session.unready, session.pause, session.steps = {"mac"}, 0.02, 1000
    bench.state.aggregation = "mac"
    bench.state.aggregation = "spoc"
    assert session.calls[-1][1] == SPOC
    assert bench.work.wait(5)
    assert bench.state.aggregation == "spoc"
    assert bench.error.value == ""


def test_one_side_waits_and_the_other_moves(bench):
    bench.compared = True
    session = bench.a.session
    session.unready, session.pause, session.steps = {"mac"}, 0.02, 60
    bench.b.state.aggregation = "mac"
    serial = bench.a.gallery.serial
    bench.a.state.tap = "layer1"
    assert bench.a.gallery.serial > serial
    assert bench.work.busy, "the work for B goes on"
    assert bench.work.wait(20)
    assert bench.b.gallery.notes


def test_an_error_in_the_thread_is_shown_and_not_repeated(bench):
    session = bench.a.session
    session.unready = {"mac"}
    session.make_ready = lambda *setting: 1 / 0
    bench.state.aggregation = "mac"
    assert bench.work.wait(5)
    until(lambda: "ZeroDivisionError" in bench.error.value)
    assert not bench.work.busy


def test_what_is_not_ready_cannot_be_pinned(bench):
    session = bench.a.session
    session.unready, session.pause, session.steps = {"mac"}, 0.02, 1000
    bench.state.aggregation = "mac"
    bench.comparison.pin_button.click()
    assert "still being computed" in bench.error.value
    bench.work.drop()


def test_work_tells_how_far_it_is_and_ends_where_it_is_told():
    events = []
    work = Work(lambda: events.append("done"), events.append, lambda: events.append("cancelled"))
    seen = threading.Event()

    def slow():
        for _ in bar(range(10_000), desc="steps", unit="step"):
            seen.set()
            time.sleep(0.001)

    work.start("slow", "Slow", slow)
    assert seen.wait(5)
    work.start("slow", "Slow", slow)  # what runs already is not begun again
    work.start("quick", "Quick", lambda: events.append("quick"))
    assert work.wait(5)
    assert events == ["quick", "done"]
    work.start("bad", "Bad", lambda: 1 / 0)
    assert work.wait(5)
    assert isinstance(events[-1], ZeroDivisionError)
    work.start("slow", "Slow", slow)
    work.cancel()
    assert work.wait(5)
    assert events[-1] == "cancelled"
    work.cancel()  # nothing runs: what is begun next is not cancelled
    work.start("slow", "Slow", slow)
    work.cancel()
    work.start("quick", "Quick", lambda: events.append("quick"))
    assert work.wait(5)
    assert events[-2:] == ["quick", "done"]


def test_a_listener_is_told_and_can_stop():
    told = []
    with listening(lambda *facts: told.append(facts)):
        assert [*bar("ab", desc="letters", unit="letter")] == ["a", "b"]
        with bar(total=5, desc="files", unit="file", show=False) as shown:
            shown.update(3)
    assert told == [("letters", 0, 2), ("letters", 1, 2), ("letters", 2, 2), ("files", 0, 5), ("files", 3, 5)]
    assert [*bar("ab", desc="letters", unit="letter", show=False)] == ["a", "b"]


# Pinned settings


def test_pinned_settings_are_tested_against_the_first(bench):
    for method in ("gem", "mac", "gem"):
        bench.state.aggregation = method
        bench.comparison.pin_button.click()
    rows = list(csv.DictReader(io.StringIO(bench.comparison.to_bytes("csv").decode())))
    assert [row["aggregation"] for row in rows] == ["gem(p=3)", "mac"]
    runs = [bench.a.session.rank("layer4", name, "pca").evaluation for name in ("gem(p=3)", "mac")]
    expected = paired_difference(*(run.per_query["medium"] for run in runs[::-1]), groups=runs[0].groups)
    assert rows[0]["difference"] == ""
    found = [float(rows[1][name]) for name in ("difference", "difference_low", "difference_high")]
    assert found == pytest.approx(expected)
    assert f"{expected.mean:+.3f}" in bench.comparison.table.value


def test_both_sides_are_pinned(bench):
    bench.compared = True
    bench.b.state.aggregation = "mac"
    bench.comparison.pin()
    assert [row["aggregation"] for row in bench.comparison.rows] == ["gem(p=3)", "mac"]


def test_every_export_is_read_again(bench, tmp_path):
    for method in ("gem", "mac"):
        bench.state.aggregation = method
        bench.comparison.pin()
    for suffix in ("csv", "json", "xlsx", "md", "tex"):
        (tmp_path / f"table.{suffix}").write_bytes(bench.comparison.to_bytes(suffix))
    for suffix in ("csv", "json", "xlsx"):
        back = tables.read(tmp_path / f"table.{suffix}")
        recipes = [Recipe.from_json(tables.read_recipe(row)).aggregation for row in back.to_dict("records")]
        assert recipes == ["gem(p=3)", "mac"]
        np.testing.assert_allclose(back["difference"], bench.comparison.frame["difference"])
    assert (tmp_path / "table.md").read_text().count("\n") == 4
    assert "tabular" in (tmp_path / "table.tex").read_text()


def test_pins_are_thin_bars_under_those_of_what_is_shown(bench):
    assert "cbirlab-pin" not in bench.metrics.value
    gem = bench.a.run().metrics["map_medium"]
    bench.comparison.pin()
    assert "1 layer4 · gem(p=3) · pca" in bench.metrics.value, "at once"
    assert bench.metrics.value.count("(shown now)") == 1
    bench.state.aggregation = "mac"
    assert "(shown now)" not in bench.metrics.value
    assert f"<u data-pin='0' style='width:{100 * gem:.1f}%'" in bench.metrics.value
    assert bench.metrics.value.count("class='cbirlab-pins'") == 3, "one under each level"
    bench.comparison.pin()
    assert bench.metrics.value.count("<u ") == 6
    bench.comparison.remove(0)
    assert "gem" not in bench.metrics.value.split("</table>")[1]
    bench.comparison.clear()
    assert "cbirlab-pin" not in bench.metrics.value


def test_of_many_pins_the_first_and_the_last_have_bars():
    row = {"backbone": "toynet", "aggregation": "<b>", "whitening": "none", "dim": 8, "map": 0.5, "compression": "none"}
    rows = [{**row, "tap": f"layer{place}", "recipe": f"{{{place}}}"} for place in range(7)]
    pins = metric_bars.pins_of(rows, "{5}")
    assert [(pin.number, pin.now) for pin in pins] == [(1, False), (5, False), (6, True), (7, False)]
    text = metric_bars.legend(pins) + metric_bars.thin_bars(pins, "map")
    assert "<b>" not in text
    assert "mAP 0.500" in text
    rows[0] |= {"backbone": "other", "compression": "pq"}
    assert metric_bars.names_of(rows)[:2] == [
        "other · layer0 · <b> · none · 8 · pq",
        "toynet · layer1 · <b> · none · 8 · none",
    ]
    assert metric_bars.thin_bars(pins, "map_hard") == "", "a metric that none of them has"


def test_the_columns_of_the_files_are_chosen(bench):
    choice = bench.comparison.choice
    assert choice.offered == [], "nothing is pinned"
    for method in ("gem", "mac"):
        bench.state.aggregation = method
        bench.comparison.pin()
    words = dict(choice.offered)
    assert (words["aggregation"], words["map_medium"]) == ("pooling", "mAP (Medium)")
    assert not {"recipe", "map_medium_low", "difference_high"} & {*words}, "they go with what they belong to"
    assert {"aggregation", "map_medium", "difference"} <= {*choice.usual} <= {*words}
    before = bench.comparison.to_bytes("csv")
    choice.chosen = ["aggregation", "map_medium"]
    head, *_ = csv.reader(io.StringIO(bench.comparison.to_bytes("csv").decode()))
    assert head == ["aggregation", "map_medium", "map_medium_low", "map_medium_high", "recipe"]
    assert [cell.strip() for cell in bench.comparison.to_bytes("md").decode().split("\n")[0].split("|")] == [
        "", "pooling", "mAP (Medium)", "",
    ]  # fmt: skip
    assert bench.comparison.to_bytes("tex").decode().count("&") == 3, "one in each of three rows"
    state = bench.to_json()
    bench.comparison.clear()
    bench.comparison.pin()
    assert bench.comparison.columns == ["aggregation", "map_medium"], "remembered"
    bench.comparison.columns = None
    assert bench.comparison.to_bytes("csv") != before
    bench.from_json(state)
    assert bench.comparison.columns == ["aggregation", "map_medium"]
    with pytest.raises(ValueError, match=r"columns must be among .*; got 'map_medum'. Did you mean 'map_medium'"):
        bench.comparison.columns = ["map_medum"]


def test_columns_that_another_table_does_not_have_are_left_out_of_its_files(bench):
    bench.comparison.columns = ["difference", "map_medium", "elsewhere"]
    bench.comparison.pin()
    assert b"elsewhere" not in bench.comparison.to_bytes("csv")
    bench.comparison.columns = None
    bench.comparison.choice.chosen = ["elsewhere"]
    assert bench.comparison.to_bytes("md").startswith(b"| "), "none of them is there, so the usual ones are taken"


def test_a_state_with_damaged_columns_is_refused(bench):
    for columns in ("aggregation", [1], {"aggregation": 1}):
        text = json.dumps(bench.to_json() | {"columns": columns})
        with pytest.raises(ValueError, match="damaged"):
            saved.parsed(text, "state.json")


# What is on screen, as code


def test_the_command_line_is_the_recipe(bench):
    bench.state.whitening, bench.state.dimensions = "pca", 16
    words = shlex.split(bench.to_commands())
    given = build_parser().parse_args(words[1:])
    assert recipe_of({}, vars(given.options)) == bench.a.run().recipe


@pytest.mark.parametrize("asked", ["query", "image", "part", "own"])
def test_the_python_gives_what_is_on_screen(towers, tmp_path, monkeypatch, asked):
    monkeypatch.setenv("CBIRLAB_STORE", str(towers[1].path))
    bench = real_bench(towers)
    if asked == "image":
        bench.pick(3)
    elif asked == "part":
        bench.pick(len(bench.dataset.images) + 1)
        draw_box(bench, [0.1, 0.2, 0.7, 0.9])
    elif asked == "own":
        own = draw_pictures(tmp_path / "own", scenes=1, views=1)[0]
        monkeypatch.chdir(own.parent)
        bench.ask_own(own.name, own.read_bytes())
    assert bench.error.value == ""
    lines = bench.to_python().splitlines()
    names = {}
    last = next(number for number, line in enumerate(lines) if line.endswith("# the gallery"))
    exec("\n".join(lines[:last]), names)
    shown = eval(lines[last], names).tolist()
    own_row = bench.question.own_row(bench.dataset)
    assert [row for row in shown if row != own_row][:7] == bench.a.gallery.ids[:7]
    assert names["a"].metrics == bench.a.run().metrics
    bench.close()


def test_the_python_of_two_sides_compares_them(bench):
    bench.compared = True
    bench.b.state.aggregation = "mac"
    code = bench.to_python()
    compile(code, "screen", "exec")
    assert "versus(a, b)" in code
    assert "aggregation='mac'" in code
    assert bench.to_commands().count("cbirlab run") == 2


# State in a file


def test_a_state_goes_around(bench, dataset, tmp_path):
    bench.compared = True
    bench.b.state.aggregation = "mac"
    bench.state.set_parameter("gem", "p", 6.0)
    bench.comparison.pin()
    bench.pick(9)
    draw_box(bench, [0.25, 0.25, 0.5, 0.75])
    path = bench.save(tmp_path / "deep" / "state.json")
    other = Workbench.restore(path, FakeSession(dataset), backbones=["toynet"], prefetch=False, pause=0)
    assert other.error.value == ""
    assert {**other.to_json(), "b": None} == {**bench.to_json(), "b": None}
    assert other.b.setting == bench.b.setting
    assert other.a.gallery.ids == bench.a.gallery.ids
    assert other.b.gallery.notes == bench.b.gallery.notes
    assert other.comparison.table.value == bench.comparison.table.value
    pd.testing.assert_frame_equal(other.comparison.frame, bench.comparison.frame)
    assert other.question.box == bench.question.box
    other.close()


def test_an_own_picture_is_part_of_the_state():
    question = Question()
    question.ask(own=OwnPicture("mine.jpg", b"\x00\xff bytes"))
    question.box = (1, 2, 3, 4)
    other = Question()
    other.from_json(json.loads(json.dumps(question.to_json())))
    assert other.own == question.own
    assert other.box == (1, 2, 3, 4)
    assert other.words == "Part of mine.jpg"


def test_another_file_is_refused(bench, tmp_path):
    for text in ("{", "[]", '{"kind": "else"}'):
        (tmp_path / "state.json").write_text(text)
        with pytest.raises(ValueError, match="expected a state that a workbench has saved"):
            Workbench.restore(tmp_path / "state.json")
    state = bench.to_json() | {"dataset": "elsewhere"}
    with pytest.raises(ValueError, match="saved on the dataset 'elsewhere'"):
        bench.from_json(state)
    assert bench.live


def test_restored_from_the_file_alone(towers, tmp_path):
    bench = real_bench(towers)
    bench.state.tap = "layer3"
    bench.comparison.pin()
    path = bench.save(tmp_path / "state.json")
    other = Workbench.restore(path, store=towers[1], prefetch=False, pause=0, shown=8)
    assert other.a.gallery.ids == bench.a.gallery.ids
    assert other.to_json() == bench.to_json()
    again = Recipe.from_json(json.loads(other.comparison.rows[0]["recipe"]))
    assert other.a.session.rank(again.tap, again.aggregation, again.whitening).metrics == bench.a.run().metrics
    for one in (bench, other):
        one.close()


# On the real session


def test_another_backbone_is_opened_in_the_thread_and_comes_back(towers):
    bench = real_bench(towers, backbones={"toynet": "random", "handcrafted": None})
    bench.state.tap = "layer3"
    before = bench.a.gallery.ids
    bench.a.backbone.value = "handcrafted"
    assert bench.work.busy
    assert bench.work.wait(120)
    assert bench.error.value == ""
    assert bench.a.session.backbone == "handcrafted"
    assert bench.state.tap in bench.a.session.taps
    assert bench.a.run().recipe.backbone == "handcrafted"
    bench.comparison.pin()
    bench.a.backbone.value = "toynet@random"
    assert bench.state.tap == bench.sessions.first.default_tap
    bench.state.tap = "layer3"
    assert bench.a.gallery.ids == before
    bench.close()


def test_a_backbone_that_cannot_be_had_says_what_it_takes(towers, monkeypatch, tmp_path):
    def no_network(*_arguments, **_options):
        raise URLError("no network in tests")

    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.delenv("CBIRLAB_WEIGHTS", raising=False)
    bench = real_bench(towers, backbones={"toynet": "random", "resnet18": None})
    before = bench.a.gallery.ids
    assert ("ResNet-18 (takes a download of 45 MB)", "resnet18") in bench.a.backbone.options
    bench.a.backbone.value = "resnet18"
    assert bench.work.wait(120)
    for part in ("resnet18-f37072fd.pth", "no network in tests", "CBIRLAB_WEIGHTS"):
        assert part in bench.error.value
    assert bench.a.session.backbone == "toynet"
    assert bench.a.gallery.ids == before
    assert bench.a.backbone.value == "toynet@random", "what is shown is what the menu says"
    bench.a.backbone.value = "resnet18"
    assert bench.work.wait(120)
    assert "no network in tests" in bench.error.value
    bench.state.tap = "layer3"
    assert bench.error.value == ""
    bench.close()


def test_a_part_is_sought_as_the_protocol_seeks_its_box(towers):
    folder, store = towers
    session = Session(str(folder), weights="random", aggregations=["gem"], store=store)
    query = session.dataset.queries[1]
    setting = ("layer3", "gem(p=3)", "pca", 8)
    own = session.rank_query(1, *setting)
    part = session.rank_image(query.path, *setting, box=query.box)
    assert part.images.tolist() == own.images.tolist()
    np.testing.assert_allclose(part.scores, own.scores, atol=1e-5)
    whole = session.rank_image(query.path, *setting)
    assert not np.allclose(whole.scores, own.scores, atol=1e-3)
    row = session.rank_image(2, *setting, box=(0, 0, *Image.open(session.dataset.images[2]).size))
    np.testing.assert_allclose(row.scores, session.rank_image(2, *setting).scores, atol=1e-5)
    with pytest.raises(ValueError, match="must overlap the image"):
        session.rank_image(2, *setting, box=(900, 900, 950, 950))


def test_a_part_of_a_picture_that_is_seen_patch_by_patch(towers):
    folder, store = towers
    session = Session(
        str(folder), weights="random", aggregations=["gem"], store=store, passes="grid(rows=1, columns=2, magnify=1)"
    )
    query = session.dataset.queries[1]
    own = session.rank_query(1, "layer3", "gem(p=3)")
    part = session.rank_image(query.path, "layer3", "gem(p=3)", box=query.box)
    assert part.images.tolist() == own.images.tolist()
    np.testing.assert_allclose(part.scores, own.scores, atol=1e-4)


def test_vectors_are_what_is_searched(towers):
    folder, store = towers
    session = Session(str(folder), weights="random", aggregations=["gem"], store=store)
    vectors, key = session.vectors("layer4", "gem(p=3)", "pca", 8)
    images = len(session.dataset.images)
    assert vectors.shape == (images + len(session.dataset.queries), 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    scores = vectors[images + 1] @ vectors[:images].T
    ranking = session.rank_query(1, "layer4", "gem(p=3)", "pca", 8)
    np.testing.assert_allclose(np.sort(scores)[::-1], ranking.scores[0], atol=1e-5)
    settings = [("layer4", "gem(p=3)", "pca", 4), ("layer3", "gem(p=3)", "pca", 8), ("layer4", "gem(p=3)", "none")]
    keys = {key, *(session.vectors(*setting)[1] for setting in settings)}
    assert len(keys) == 4
    assert Session(str(folder), weights="random", store=store).vectors("layer4", "gem(p=3)", "pca", 8)[1] == key


def test_a_ready_setting_is_ranked_while_another_one_is_made(towers):
    folder, store = towers
    session = Session(str(folder), weights="random", store=store)
    session.prepare(progress=False)
    inside, go_on, ended = threading.Event(), threading.Event(), []

    def listener(what, done, total):
        inside.set()
        assert go_on.wait(20)
        raise Cancelled("enough")

    def make():
        with listening(listener):
            try:
                session.make_ready("layer2", "vlad(k=4)")
            except Cancelled as error:
                ended.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    assert inside.wait(20)
    assert session.rank("layer4", "gem(p=3)", "pca").metrics
    assert not session.ready("layer2", "vlad(k=4)")
    go_on.set()
    thread.join(20)
    assert len(ended) == 1
    session.make_ready("layer2", "vlad(k=4)")
    assert session.ready("layer2", "vlad(k=4)")


def test_every_backbone_is_on_offer_and_says_what_it_takes(monkeypatch, tmp_path):
    monkeypatch.delenv("CBIRLAB_WEIGHTS", raising=False)
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    names = backbones_offered()
    assert {name for name in names if "@" not in name} == set(BACKBONES)
    assert "resnet50@IMAGENET1K_V2" in names
    assert names[:2] == ["toynet", "efficientnet_lite0"], "what is on this machine comes first"
    titles = {name: title for title, name in backbone_titles(names)}
    assert titles["toynet"] == "toynet"
    assert titles["resnet50"] == "ResNet-50 (takes a download of 98 MB)"
    assert titles["resnet50@IMAGENET1K_V2"] == "ResNet-50, IMAGENET1K_V2 (takes a download of 98 MB)"
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet50-0676ba61.pth").touch()
    assert backbone_titles(["resnet50"]) == [("ResNet-50", "resnet50")]


def test_without_ground_truth_there_is_no_number(dataset):
    bare = FakeSession(replace(dataset, labels=(), instances=(), queries=()))
    bench = Workbench(bare, backbones=["toynet"], prefetch=False, pause=0)
    assert bench.error.value == ""
    assert len(bench.a.gallery.ids) == 24
    bench.compared = True
    bench.comparison.pin()
    assert "<table" not in bench.tests.value
    assert bench.error.value == ""
    assert len(bench.comparison.rows) == 1
    bench.close()


def test_a_folder_of_pictures_has_all_of_it(things, store):
    bench = Workbench(
        things, weights="random", aggregations=["gem"], backbones=["toynet"], store=store, prefetch=False, pause=0
    )
    assert bench.error.value == ""
    bench.compared = True
    bench.b.state.tap = "stem"
    assert "mAP" in bench.tests.value
    bench.comparison.pin()
    assert len(bench.comparison.frame) == 2
    bench.close()


def test_datasets_of_the_workbench_need_not_be_named(towers):
    bench = Workbench(
        load_dataset(str(towers[0])), weights="random", aggregations=["gem"], store=towers[1], prefetch=False, pause=0
    )
    assert bench.a.gallery.ids
    bench.close()


def test_closed_workbenches_are_freed(dataset):
    bench = Workbench(FakeSession(dataset), backbones=["toynet"], prefetch=False, pause=0)
    bench.compared = True
    assert bench.map.wait(60)
    alive = [weakref.ref(one) for one in (bench, bench.a.gallery, bench.b.controls.tap, bench.picture, bench.map)]
    bench.close()
    del bench
    gc.collect()
    assert [one() for one in alive] == [None] * 5


def test_a_workbench_has_a_still_picture(bench):
    assert Image.open(io.BytesIO(bench.still())).width > 600


# The menu of datasets


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder for benchmarks, with nothing in it."""
    monkeypatch.setenv("CBIRLAB_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_every_dataset_is_in_the_menu_and_what_is_not_here_says_what_it_takes(bench, here):
    menu = bench.datasets.menu
    offered = dataset_menu.dataset_titles("towers", "towers")
    assert {name for _, name in offered} == {*DATASETS, "towers"}
    assert ("Revisited Oxford (not here)", "roxford5k") in offered
    assert ("Toytown", "toytown") in offered[:2]
    shown = menu.value
    menu.value = "roxford5k"
    assert menu.value == shown
    assert "Revisited Oxford lacks ground truth, images." in bench.datasets.note.value
    assert "cbirlab data get roxford5k" in bench.datasets.note.value
    menu.value = "folder"
    assert "Give its path" in bench.datasets.note.value


def test_another_dataset_takes_the_place_of_this_one(towers, here, tmp_path):
    fewer = write_toytown_form(tmp_path / "fewer", scenes=3, views=4)
    DATASETS.add("fewer", lambda **_: replace(load_dataset(fewer), name="fewer"), title="Fewer", bundled=True)
    try:
        workbench = real_bench(towers)
        shown, first, state = workbench.datasets.menu.value, workbench.dataset, workbench.state
        workbench.compared = True
        workbench.question.ask(query=3)
        workbench.datasets.menu.value = "fewer"
        assert workbench.datasets.work.wait(60)
        assert workbench.datasets.note.value == workbench.error.value == ""
        assert (workbench.dataset.name, workbench.compared, workbench.question.query) == ("fewer", False, 0)
        assert workbench.sessions.first.common.weights == "random"
        rows = workbench.a.results.rows
        assert max(rows) < len(workbench.dataset.images) < len(first.images)
        workbench.question.ask(query=1)
        assert workbench.a.results.rows != rows
        rows = workbench.a.results.rows
        state.aggregation = "mac"  # of the setting that was left: nobody listens
        assert workbench.a.results.rows == rows
        workbench.compared = True
        assert workbench.b is not None
        assert len(workbench.columns.children) == 2
        workbench.datasets.menu.value = shown
        assert workbench.datasets.work.wait(60)
        assert (workbench.dataset.name, workbench.error.value) == (first.name, "")
        workbench.close()
    finally:
        DATASETS.remove("fewer")


def test_python_moves_the_menu_of_datasets_too(bench, dataset):
    menu, (_, own) = bench.datasets.menu, (dataset.name, bench.datasets.shown)
    other = FakeSession(replace(dataset, name="others"))
    other.common = replace(other.common, dataset="others")
    bench.show(other)
    assert (menu.value, bench.datasets.shown, bench.dataset.name) == ("others", "others", "others")
    assert ("others", "others") in menu.options
    assert own in [name for _, name in menu.options], "the way back"
    bench.show(FakeSession(dataset))
    assert menu.value == bench.datasets.shown == own
    assert [name for _, name in menu.options].count(own) == 1


@pytest.mark.parametrize("panel", [Workbench, Explorer, BreaksPanel])
def test_a_closed_panel_waits_for_nothing_more(dataset, panel):
    session = FakeSession(dataset)
    first, second = panel(session), panel(session)
    assert session.learners == 2
    first.close()
    first.close()
    assert session.learners == 1, "the other one is still open"
    second.close()
    assert session.learners == 0


@pytest.mark.parametrize("how", ["another dataset", "closed"])
def test_sessions_that_are_left_learn_nothing_more(towers, here, tmp_path, monkeypatch, how):
    """The first session and that of another backbone end with what they have in hand."""
    go_on, learned, begin = threading.Event(), [], Ahead.begin

    def learn_slowly(recipe):
        learned.append((recipe.backbone, recipe.dataset))
        assert go_on.wait(60)

    monkeypatch.setattr(Ahead, "begin", lambda self, recipes, _learn: begin(self, recipes, learn_slowly))
    fewer = write_toytown_form(tmp_path / "fewer", scenes=3, views=4)
    DATASETS.add("fewer", lambda **_: replace(load_dataset(fewer), name="fewer"), title="Fewer", bundled=True)
    try:
        workbench = real_bench(towers, backbones={"toynet": "random", "handcrafted": None})
        left = [workbench.sessions.first, workbench.sessions.open("handcrafted")]
        until(lambda: len(learned) == len(left))
        if how == "closed":
            workbench.close()
        else:
            workbench.datasets.menu.value = "fewer"
            assert workbench.datasets.work.wait(60)
        go_on.set()
        assert all(session.wait() for session in left)
        towers_learned = [backbone for backbone, dataset in learned if dataset != "fewer"]
        assert sorted(towers_learned) == ["handcrafted", "toynet"]
        workbench.close()
    finally:
        DATASETS.remove("fewer")


def test_a_dataset_that_cannot_be_opened_says_why_and_leaves_this_one(towers, here):
    DATASETS.add("broken", lambda **_: load_dataset("/nowhere"), title="Broken", bundled=True)
    try:
        workbench = real_bench(towers)
        shown, rows = workbench.datasets.menu.value, workbench.a.results.rows
        workbench.datasets.menu.value = "broken"
        assert workbench.datasets.work.wait(60)
        assert "/nowhere" in workbench.datasets.note.value
        assert (workbench.datasets.menu.value, workbench.a.results.rows) == (shown, rows)
        workbench.close()
    finally:
        DATASETS.remove("broken")


# What a move has changed, and the way back


@pytest.fixture
def rested(bench, monkeypatch):
    """The workbench with a clock, so that a test says what stood long enough to be a step."""
    clock = [time.monotonic()]
    monkeypatch.setattr(bench.steps, "_clock", lambda: clock[0])

    def rest():
        clock[0] += 10

    rest()
    return bench, rest


def test_a_move_marks_what_it_changed(rested):
    bench, _ = rested
    before, first = bench.a.run(), [*bench.a.results.rows]
    bench.state.set_parameter("gem", "p", 5.0)
    places = {row: place for place, row in enumerate(first)}
    for place, (row, note) in enumerate(zip(bench.a.results.rows, bench.a.gallery.notes, strict=True)):
        up = places.get(row, place) - place
        assert note.startswith("new" if row not in places else "▲" if up > 0 else "▼" if up < 0 else "")
    test = paired_difference(
        bench.a.run().evaluation.per_query["medium"], before.evaluation.per_query["medium"], before.evaluation.groups
    )
    assert f"{test.mean:+.3f}</span> [{test.low:+.3f}, {test.high:+.3f}]" in bench.metrics.value
    assert f"<s style='width:{100 * before.metrics['map_medium']:.1f}%'>" in bench.metrics.value


def test_the_test_of_a_move_is_made_after_the_bars_are_drawn_and_without_the_lock(rested, monkeypatch):
    bench, _ = rested
    seen, lock = [], bench._update._work
    original = changes.difference

    def difference(*runs):
        free = []
        asking = threading.Thread(target=lambda: free.append(lock.acquire(timeout=5) and lock.release() is None))
        asking.start()
        asking.join()
        seen.append((free[0], bench.metrics.value))
        return original(*runs)

    monkeypatch.setattr(changes, "difference", difference)
    bench.state.set_parameter("gem", "p", 5.0)
    (free, meanwhile), after = seen[-1], bench.metrics.value
    assert free, "another thread can draw meanwhile"
    assert "…" in meanwhile, "the difference stands there before its interval"
    assert meanwhile.count("<s ") == after.count("<s ") == 3
    assert "…" not in after


def test_more_results_and_fewer_pictures_are_no_moves(rested):
    bench, rest = rested
    bench.state.set_parameter("gem", "p", 5.0)
    rest()
    assert any(bench.a.gallery.notes)
    bench.view.count.value = 6
    assert not any(bench.a.gallery.notes)
    bench.only = (1, 2, 3)
    assert not any(bench.a.gallery.notes)


def test_another_question_marks_nothing(rested):
    bench, _ = rested
    bench.pick(len(bench.dataset.images) + 2)
    assert (bench.a.gallery.notes, "<s " in bench.metrics.value) == ([], False)


def test_one_goes_back_through_questions_and_settings(rested):
    bench, rest = rested
    assert bench.view.back.disabled
    assert bench.view.forward.disabled
    p = bench.state.parameter("gem", "p")
    bench.state.set_parameter("gem", "p", 5.0)
    rest()
    bench.pick(bench.a.results.rows[3])
    asked = bench.question.image
    rest()
    bench.compare.value = True
    bench.view.back.click()
    assert (bench.compared, bench.question.image) == (False, asked)
    bench.view.back.click()
    assert (bench.question.image, bench.state.parameter("gem", "p")) == (None, 5.0)
    bench.view.back.click()
    assert (bench.state.parameter("gem", "p"), bench.view.back.disabled) == (p, True)
    bench.view.forward.click()
    bench.view.forward.click()
    assert (bench.question.image, bench.state.parameter("gem", "p")) == (asked, 5.0)


def test_the_bar_says_what_is_seen(bench):
    bench.view.count.value = 6
    assert len(bench.a.gallery.ids) == 6
    bench.view.side.value = 260
    bench.compare.value = True
    assert [side.gallery.side for side in bench.sides] == [260, 260]
    for pane, button in ((bench.left, bench.view.settings), (bench.beside, bench.view.map)):
        button.value = False
        assert pane.layout.display == "none"
        button.value = True
        assert pane.layout.display is None


def test_pictures_are_found_by_their_names(bench):
    names = [path.name for path in (*bench.dataset.images, *(query.path for query in bench.dataset.queries))]
    bench.view.find.value = "SCENE3_"
    found = {item for item, name in enumerate(names) if "scene3_" in name}
    assert {*bench.strip.ids} == found
    assert bench.strip.ids[0] >= len(bench.dataset.images)  # queries first
    bench.view.find.value = ""
    assert bench.strip.ids == [*range(len(bench.dataset.images), len(names))]


def test_what_is_older_than_the_controls_is_dimmed(bench):
    bench.work.working = True
    assert "cbirlab-stale" in bench._dom_classes
    bench.work.working = False
    assert "cbirlab-stale" not in bench._dom_classes


def test_an_image_that_nothing_else_shows_is_judged_by_nothing(dataset):
    alone = replace(dataset, instances=("the only one", *dataset.instances[1:]))
    workbench = Workbench(FakeSession(alone), backbones=["toynet"], prefetch=False, pause=0)
    workbench.pick(0)
    assert ({*workbench.a.gallery.kinds}, workbench.a.gallery.title) == (
        {""},
        "Database image 0: first 24 results; no ground truth for this question",
    )
    workbench.pick(1)
    assert workbench.a.gallery.title.endswith(" of its instance")
    workbench.close()


def test_dimensions_show_the_true_number_where_nothing_is_whitened(bench):
    bench.state.whitening, bench.state.dimensions = "pca", 2
    slider = bench.a.controls.dimensions
    assert (slider.value, slider.disabled) == (2, False)
    bench.state.whitening = "none"
    assert (slider.value, slider.disabled) == (0, True)
    bench.state.whitening = "pca"
    assert slider.value == 2


@pytest.mark.parametrize(("kind", "start"), [("PNG", b"\x89PNG"), ("PDF", b"%PDF")])
def test_the_gallery_goes_out_as_a_figure(bench, kind, start):
    (button,) = [one for one in bench.downloads.children[0].children if one.description == f"Gallery ({kind})"]
    assert button._make().startswith(start)
