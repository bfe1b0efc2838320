"""What colours the points of a map, which of them chips keep, and what a map gives away."""

from __future__ import annotations

import csv
import io
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_session import FakeSession, fake_dataset
from PIL import Image

from cbirlab.datasets import load_dataset
from cbirlab.plots import point_map
from cbirlab.widgets import Workbench
from cbirlab.widgets.parts.colouring import (
    COLOURS,
    LEVELS,
    MOST_COLOURED,
    SCALE,
    by_groups,
    by_numbers,
    colour_of_share,
    looks_of,
)
from cbirlab.widgets.parts.facts import Facts, brightness, folders
from cbirlab.widgets.parts.gallery import Thumbnails, page_text
from cbirlab.widgets.parts.map_exports import paths_csv, paths_text
from cbirlab.widgets.parts.map_panel import MapPanel


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Towers; what a list's columns would say of them: the third of each is "old", and a height."""
    made = fake_dataset(tmp_path_factory.mktemp("towers"))
    rows = [
        {"age": "old" if row % 3 == 0 else "new", "height": str(row), "same": "x", "name": f"n{row}"}
        for row in range(36)
    ]
    return replace(made, metadata={"images": rows, "queries": [{}] * 6})


@pytest.fixture
def panel(dataset):
    made = MapPanel(FakeSession(dataset), Thumbnails.of_dataset(dataset), method="pca", pause=0)
    made.show(FakeSession(dataset).vectors("layer4", "gem(p=3)")[0], "one")
    assert made.wait(30)
    yield made
    made.close()


@pytest.fixture
def bench(dataset):
    made = Workbench(FakeSession(dataset), backbones=["toynet"], prefetch=False, pause=0)
    assert made.map.wait(30)
    yield made
    made.close()


# Colours


def test_few_groups_have_a_colour_each_and_many_the_largest():
    assert by_groups(["b", "a", "", "b"]).looks == [0, 1]
    sizes = [3] * 5 + [9] * 4 + [1] * 11
    numbers = np.repeat(np.arange(20), sizes).astype(np.int16)
    looks = looks_of(numbers, 20)
    assert [group for group, look in enumerate(looks) if look >= 0] == [*range(9), 9, 10, 11]
    assert sorted(look for look in looks if look >= 0) == [*range(MOST_COLOURED)]
    assert looks_of(np.arange(13, dtype=np.int16), 13) == [*range(13)], "nobody is grey alone"


def test_numbers_go_from_the_lowest_to_the_highest():
    made = by_numbers(np.array([3.0, np.nan, 1.0, 2.0]))
    assert made.numbers.tolist() == [LEVELS - 1, -1, 0, round((LEVELS - 1) / 2)]
    assert (list(made.scale), list(made.notes)) == (["1", "3"], ["3", "", "1", "2"])
    assert by_numbers(np.full(3, 5.0)).numbers.tolist() == [0, 0, 0]
    assert by_numbers(np.full(3, np.nan)).numbers.tolist() == [-1, -1, -1]


def test_a_few_far_numbers_do_not_take_the_colours_from_the_others():
    values = np.append(np.arange(1000.0), 1e6)
    made = by_numbers(values)
    assert made.scale[1].startswith("≥ ")
    assert len({*made.numbers.tolist()}) == LEVELS
    assert not by_numbers(np.arange(1000.0)).scale[1].startswith("≥ ")


def test_python_and_page_have_the_same_colours():
    script = page_text("dots.js")
    for name, colours in (("COLOURS", COLOURS), ("SCALE", SCALE)):
        told = re.search(rf"const {name} = {{\s*light: \[(.*?)\]", script, re.DOTALL)
        assert re.findall("#[0-9a-f]{6}", told[1]) == list(colours)
    assert [colour_of_share(share) for share in (0.0, 0.4, 1.0)] == [SCALE[0], SCALE[2], SCALE[-1]]


# Facts


def test_a_map_offers_what_is_known(dataset):
    assert Facts(dataset, Thumbnails.of_dataset(dataset)).names == [
        *("instance", "right / wrong", "age", "height", "brightness", "file date", "nothing")
    ]
    flat = replace(dataset, labels=(), queries=(), instances=(), metadata={})
    bare = Facts(flat, Thumbnails.of_dataset(flat))
    assert bare.names == ["brightness", "file date", "nothing"]
    assert bare.usual == "nothing"


def test_a_column_of_many_numbers_is_a_scale_and_one_of_words_groups(dataset):
    facts = Facts(dataset, Thumbnails.of_dataset(dataset))
    assert facts.colouring("age").names == ["old", "new"]
    np.testing.assert_array_equal(facts.colouring("height").values[:36], np.arange(36))
    assert np.isnan(facts.colouring("height").values[36:]).all(), "the list says nothing of the queries"


def test_brightness_is_that_of_the_picture():
    for level in (0, 128, 255):
        out = io.BytesIO()
        Image.new("RGB", (160, 120), (level,) * 3).save(out, "JPEG")
        assert brightness(out.getvalue()) == pytest.approx(100 * level / 255, abs=1)


def test_folders_are_named_from_the_one_that_all_share(tmp_path):
    paths = [tmp_path / "a" / "1.jpg", tmp_path / "b" / "c" / "2.jpg", tmp_path / "3.jpg"]
    assert folders(paths) == ["a", "b/c", tmp_path.name]


@pytest.mark.parametrize("published", [False, True])
def test_further_columns_of_a_list_are_facts(tmp_path, published):
    for number in range(4):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    rows = ["path,instance,camera,year", *(f"{n}.png,i{n % 2},{'ab'[n // 2]},{2000 + n}" for n in range(4))]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    with pytest.warns(UserWarning, match="'camera', 'year' have no meaning here and are not used, except as colours"):
        data = load_dataset(tmp_path / "t.csv")
    assert [row["camera"] for row in data.metadata["images"]] == ["a", "a", "b", "b"]
    assert "camera" in Facts(data, Thumbnails.of_dataset(data)).names


# Chips


def test_another_colour_leaves_the_points_where_they_are(panel):
    serial, before = panel.scatter.serial, panel.scatter.positions
    panel.colours.menu.value = "height"
    assert (panel.scatter.serial, list(panel.scatter.scale)) == (serial, ["0", "35"])
    np.testing.assert_array_equal(panel.scatter.positions, before)
    panel.colours.menu.value = "brightness"
    assert panel.colours.tasks.wait(20)
    assert panel.scatter.scale[0].endswith(" %")


def test_chips_of_two_facts_keep_what_both_keep(panel):
    panel.scatter.set_state({"kept": [0, 2]})  # as the page does
    kept = {row for row in range(36) if row % 6 in (0, 2)}
    assert {*panel.chosen} == kept
    panel.colours.menu.value = "age"
    assert panel.scatter.kept == (), "no chip of an age is pressed"
    assert {*np.flatnonzero(np.frombuffer(panel.scatter.left_out, np.uint8) == 0)} == kept
    panel.scatter.set_state({"kept": [panel.scatter.names.index("old")]})
    assert {*panel.chosen} == {row for row in kept if row % 3 == 0}
    chip = panel.colours.children[1]
    assert chip.description == "instance: 2 kept"
    chip.click()
    assert {*panel.chosen} == {row for row in range(36) if row % 3 == 0}
    panel.keep_all()
    assert (panel.chosen, panel.scatter.kept, panel.scatter.left_out) == (None, (), b"")


def test_lasso_and_chips_together(panel):
    panel.scatter.selected = (0, 1, 2, 3)
    panel.colours.keep("age", ["old"])
    assert panel.chosen == (0, 3)
    assert panel.selected_paths == [panel.session.dataset.images[row] for row in (0, 3)]


@pytest.mark.parametrize("act", [lambda colours: colours.keep("instance", ["tower 1"]), lambda colours: colours.draw()])
def test_who_hears_of_the_chips_may_wait_for_who_colours_the_map(panel, act):
    busy, heard = threading.RLock(), threading.Event()

    def hear(_change):
        heard.set()
        with busy:
            pass

    panel.colours.keep("age", ["old"])
    panel.colours.observe(hear, names="kept")
    with busy:
        telling = threading.Thread(target=act, args=(panel.colours,), daemon=True)
        telling.start()
        assert heard.wait(20)
        other = threading.Thread(target=panel.colours._sift_points, daemon=True)
        other.start()
        other.join(20)
        assert not other.is_alive()
    telling.join(20)
    assert not telling.is_alive()


def test_an_unknown_fact_is_refused(panel):
    with pytest.raises(ValueError, match=r"keep: name must be one of instance, .*, got 'colour'"):
        panel.colours.keep("colour", ["red"])


def test_a_newer_colour_wins_over_one_that_is_being_computed(panel, monkeypatch):
    panel.colours.menu.value = "brightness"
    panel.colours.menu.value = "age"
    assert panel.colours.tasks.wait(20)
    assert list(panel.scatter.names) == ["old", "new"]


# In the workbench


def test_chips_filter_map_and_gallery(bench, dataset):
    bench.map.colours.menu.value = "right / wrong"
    assert set(bench.map.scatter.names) == {"right", "wrong", "junk"}
    bench.map.colours.keep("right / wrong", ["right"])
    right = {row for name in ("easy", "hard") for row in dataset.labels[0][name]}
    assert {*bench.only} == right
    assert {*bench.a.gallery.ids} == right
    bench.pick(len(dataset.images) + 1)
    right = {row for name in ("easy", "hard") for row in dataset.labels[1][name]}
    assert {*bench.a.gallery.ids} == right, "what is right depends on the query"
    bench.clear.click()
    assert (bench.only, len(bench.a.gallery.ids)) == ((), 24)


def test_chips_that_leave_nothing_show_nothing(bench):
    bench.map.colours.keep("age", ["old"])
    bench.map.scatter.selected = (1, 2)
    assert bench.a.gallery.ids == []
    assert "0 images are chosen" in bench.selection.value
    assert bench.a.gallery.title.startswith("Query 0: first 0 results of 0 selected")


def test_several_pictures_are_one_query(bench, dataset):
    bench.map.scatter.selected = (0, 6, 12)
    assert bench.map.exports.ask.description == "Ask for these 3 pictures"
    bench.map.exports.ask.click()
    assert bench.question.images == [0, 6, 12]
    assert bench.only == (), "else it could find nothing but itself"
    assert not {0, 6, 12} & {*bench.a.gallery.ids}
    assert bench.a.gallery.title.startswith("3 database images together: first 24 results")
    assert bench.a.results.kinds[0] == "positive"
    session = FakeSession(dataset)
    expected = session.rank_image([0, 6, 12], *bench.a.setting).images[0].tolist()
    assert bench.a.gallery.ids == [row for row in expected if row not in (0, 6, 12)][:24]
    assert "mean of several database images is the query" in bench.note.value
    assert "rank_image([0, 6, 12]," in bench.to_python()
    bench.question.ask_part(dataset, ())
    with pytest.raises(ValueError, match="several are the query"):
        bench.question.ask_part(dataset, (0, 0, 0.5, 0.5))
    state = bench.to_json()
    bench.pick(4)
    assert bench.question.images == []
    bench.from_json(state)
    assert bench.question.images == [0, 6, 12]


def test_one_chosen_picture_is_the_usual_question(bench):
    bench.map.scatter.selected = (5,)
    bench.map.exports.ask.click()
    assert (bench.question.image, bench.question.images) == (5, [])


# What it gives away


def test_lists_of_files(dataset, panel):
    assert [button.disabled for button in panel.exports.lists] == [True, True]
    items = [3, 36]
    assert paths_text(dataset, items).decode().splitlines() == [str(dataset.images[3]), str(dataset.queries[0].path)]
    rows = [*csv.DictReader(io.StringIO(paths_csv(dataset, items).decode()))]
    assert [(row["role"], row["row"], row["instance"]) for row in rows] == [
        ("database", "3", "tower 3"),
        ("query", "0", ""),
    ]
    panel.scatter.selected = (3,)
    assert [button.disabled for button in panel.exports.lists] == [False, False]


@pytest.mark.skipif(os.name != "posix", reason="needs names that are bytes")
def test_a_name_that_is_no_text_is_listed_with_its_bytes(dataset):
    odd = replace(dataset, images=(Path(os.fsdecode(b"/tmp/\xff.jpg")), *dataset.images[1:]))
    assert paths_text(odd, [0]) == b"/tmp/\xff.jpg\n"


@pytest.mark.parametrize(("kind", "begins"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
@pytest.mark.parametrize("name", ["instance", "height", "nothing"])
def test_the_map_is_a_figure(panel, kind, begins, name):
    panel.scatter.highlight, panel.scatter.current = [3, 4], 36
    panel.colours.menu.value = name
    assert panel.figure(kind).startswith(begins)


def test_a_figure_of_another_kind_is_refused(panel):
    with pytest.raises(ValueError, match="figure"):
        panel.figure("gif")


def test_a_figure_has_the_points_their_groups_and_the_marks():
    points = np.random.default_rng(0).normal(size=(40, 2))
    names = np.array(["a", "b", "", "c"] * 10)
    ax = point_map(points, names, highlight=[1, 2], current=0, label="kind", title="PCA")
    drawn = np.concatenate([part.get_offsets() for part in ax.collections])
    assert len(drawn) == 40 + 2 + 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    assert {"1", "2", "query"} <= {text.get_text() for text in ax.texts}
    numbers = point_map(points, np.arange(40.0), label="height")
    np.testing.assert_array_equal(numbers.collections[1].get_array(), np.arange(40))
    assert numbers.get_aspect() == 1.0


def test_a_figure_of_many_groups_names_the_largest():
    names = np.repeat([f"g{number:02}" for number in range(20)], np.arange(20) + 1)
    ax = point_map(np.random.default_rng(0).normal(size=(len(names), 2)), names)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [
        "8 others",
        *(f"g{n:02}" for n in range(8, 20)),
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [((np.zeros((3, 3)),), r"points must be \(N, 2\)"), ((np.zeros((3, 2)), ["a"]), "one entry for each of the 3")],
)
def test_a_figure_of_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        point_map(*given)
