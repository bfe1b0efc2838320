"""The workbench in JupyterLab in Chromium: every link as a user meets it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from fake_session import draw_pictures, write_toytown_form

from browser.conftest import open_notebook
from browser.lab import expect, write_notebook

BENCH = ".cbirlab-workbench"
GRID = f"{BENCH} .cbirlab-grid"
MAP = f"{BENCH} .cbirlab-scatter"
WORK = f"{BENCH} > :not(.cbirlab-view-bar)"  # its menu of datasets has work of its own
CANVAS = f"{MAP} .cbirlab-scatter-stage > canvas"
PAPER = f"{BENCH} .cbirlab-paper"
CODE = """
import time

from cbirlab.base.progress import bar
from cbirlab.store import Store
from cbirlab.widgets import Workbench

bench = Workbench({towers!r}, "toynet", weights="random", store=Store({store!r}), shown=12,
                  backbones={{"toynet": "random", "handcrafted": None}})
bench.map.method.value = "pca"
open_session = bench.sessions.open


def open_slowly(backbone):
    for _ in bar(range(600), desc="waiting", unit="step", show=False):
        time.sleep(0.1)
    return open_session(backbone)


bench.sessions.open = lambda name: bench.sessions.get(name) or open_slowly(name)
bench
"""
SAVED = """
bench.save("state.json")
again = Workbench.restore("state.json", store=Store({store!r}), shown=12)
again
"""


@pytest.fixture(scope="module")
def lab(page_of):
    """A notebook with a workbench on drawn towers and random weights."""
    folder = page_of.folder / "bench"
    places = {"towers": str(write_toytown_form(folder / "towers")), "store": str(folder / "store")}
    write_notebook(page_of.folder / "bench.ipynb", CODE.format(**places))
    with open_notebook(page_of, "bench.ipynb", viewport={"width": 1400, "height": 1400}) as notebook:
        notebook.places = places
        notebook.page.wait_for_selector(f"{MAP}[data-points='42']", timeout=60_000)
        yield notebook


@pytest.fixture
def page(lab):
    """The page with the whole panel in view and the first query asked."""
    page = lab.page
    page.locator(f"{BENCH} .cbirlab-strip").scroll_into_view_if_needed()
    if not title(page).startswith("Query 0:"):
        page.locator(f"{BENCH} .cbirlab-strip .cbirlab-tile").first.click()
        wait_for_title(page, "Query 0:")
    return page


def grid(page, side=0):
    return page.locator(GRID).nth(side)


def title(page, side=0):
    return grid(page, side).locator(".cbirlab-title").inner_text()


def wait_for_title(page, start, side=0):
    page.wait_for_function(
        f"([start, side]) => document.querySelectorAll('{GRID} .cbirlab-title')[side].innerText.startsWith(start)",
        arg=[start, side],
        timeout=30_000,
    )


def ids(page, side=0):
    return grid(page, side).locator(".cbirlab-tile").evaluate_all("tiles => tiles.map(t => Number(t.dataset.id))")


def notes(page, side):
    return grid(page, side).locator(".cbirlab-change").evaluate_all("notes => notes.map(n => n.textContent)")


def place(page, item):
    return page.evaluate(f"(i) => document.querySelector('{MAP}').placeOf(i)", item)


def wait_for_change(page, before, side=0):
    page.wait_for_function(
        f"""([before, side]) => {{
            const tiles = document.querySelectorAll('{GRID}')[side].querySelectorAll('.cbirlab-tile');
            return [...tiles].map((tile) => tile.dataset.id).join() !== before; }}""",
        arg=[",".join(map(str, before)), side],
        timeout=30_000,
    )


def choose(page, label, option, side="a"):
    """Choose an entry of a menu of a side, once that side's controls are to be seen."""
    rows = page.locator(f"{BENCH} .cbirlab-side-{side} .widget-inline-hbox", has=page.get_by_text(label, exact=True))
    rows.locator("select:visible").select_option(option)


def inside(page, *parts):
    """Wait until these parts of the panel lie within the window."""
    page.wait_for_function(
        """(parts) => parts.every((part) => {
            const box = document.querySelector(part).getBoundingClientRect();
            return box.width > 0 && box.left >= 0 && box.right <= innerWidth; })""",
        arg=parts,
    )


def test_everything_is_there(page, shot):
    assert len(ids(page)) == 12
    expect(page.locator(PAPER)).to_be_visible()
    expect(page.locator(f"{BENCH} .cbirlab-metrics tr")).to_have_count(4)
    expect(page.locator(f"{BENCH} .cbirlab-strip .cbirlab-current")).to_have_count(1)
    shot(page, "bench-light")


def test_a_clicked_result_becomes_the_query_everywhere(page):
    row = ids(page)[3]
    grid(page).locator(".cbirlab-tile").nth(3).click()
    wait_for_title(page, f"Database image {row}")
    assert row not in ids(page)
    page.wait_for_function(f"(row) => document.querySelector('{MAP}').painter.scene.current === row", arg=row)
    expect(page.locator(f"{PAPER} img")).to_have_attribute("alt", f"Database image {row}")


def test_a_double_click_enlarges_a_picture_and_asks_nothing(page, shot):
    asked, tile = title(page), grid(page).locator(".cbirlab-tile")
    tile.nth(2).dblclick()
    large = page.locator(f"{GRID} dialog")
    expect(large).to_have_attribute("data-state", "ready")
    assert large.get_attribute("data-id") == str(ids(page)[2])
    expect(large.locator(".cbirlab-enlarged-title")).to_contain_text(tile.nth(2).get_attribute("title").split("\n")[0])
    assert large.locator("img").evaluate("image => image.naturalWidth") >= 160
    shot(page, "workbench-enlarged")
    page.keyboard.press("+")
    assert "scale(1.25)" in large.locator("img").get_attribute("style")
    page.keyboard.press("ArrowRight")
    expect(large).to_have_attribute("data-id", str(ids(page)[3]))
    page.keyboard.press("Escape")
    expect(large).to_be_hidden()
    assert title(page) == asked


def test_a_key_enlarges_the_picture_that_has_the_focus(page):
    grid(page).locator(".cbirlab-tile").nth(1).focus()
    page.keyboard.press("z")
    large = page.locator(f"{GRID} dialog")
    expect(large).to_have_attribute("data-id", str(ids(page)[1]))
    large.get_by_role("button", name="Close").click()
    expect(large).to_be_hidden()
    assert page.evaluate("document.activeElement.dataset.id") == str(ids(page)[1])


def test_a_move_marks_what_it_changed_and_there_is_a_way_back(page, shot):
    before = ids(page)
    choose(page, "pooling", "MAC")
    wait_for_change(page, before)
    assert any(note.startswith(("▲", "▼", "new")) for note in notes(page, 0))
    expect(page.locator(f"{BENCH} .cbirlab-metrics .cbirlab-since")).to_have_count(3)
    shot(page, "workbench-moved")
    after = ids(page)
    page.get_by_role("button", name="Back", exact=True).click()
    wait_for_change(page, after)
    assert ids(page) == before
    assert not any(notes(page, 0)) or page.locator(f"{BENCH} .cbirlab-metrics s").count() > 0


def test_the_bar_folds_fills_and_finds(lab, page):
    strip = page.locator(f"{BENCH} .cbirlab-strip .cbirlab-tile")
    queries = strip.count()
    find = page.get_by_placeholder("part of a file name")
    find.fill("scene2_")
    find.press("Enter")
    expect(page.locator(f"{BENCH} .cbirlab-strip .cbirlab-title")).to_contain_text("'scene2_'")
    assert all("scene2_" in name for name in strip.evaluate_all("tiles => tiles.map(tile => tile.title)"))
    find.fill("")
    find.press("Enter")
    expect(strip).to_have_count(queries)
    fold = page.get_by_role("button", name="map", exact=True)
    fold.click()
    expect(page.locator(MAP)).to_be_hidden()
    fold.click()
    expect(page.locator(MAP)).to_be_visible()
    page.get_by_role("button", name="Fill the screen").click()
    page.wait_for_function("document.fullscreenElement?.matches('.cbirlab-workbench')")
    page.get_by_role("button", name="Fill the screen").click()
    page.wait_for_function("!document.fullscreenElement")


@pytest.mark.parametrize(("name", "way"), [("settings", 1), ("map", -1)])
def test_widths_are_dragged_kept_and_given_back(page, shot, name, way):
    line = page.get_by_role("separator", name=f"Width of the {name}")

    def width():
        return int(line.get_attribute("aria-valuenow"))

    usual, box = width(), line.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 150
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + way * 40, y, steps=4)
    page.mouse.up()
    assert width() == pytest.approx(usual + 40, abs=2)
    shot(page, f"bench-wide-{name}")
    page.keyboard.press("ArrowLeft")
    assert width() == pytest.approx(usual + 40 - way * 16, abs=2)
    sliders = page.locator(f"{BENCH} .cbirlab-side-a .widget-inline-hbox")
    pane = page.locator(f"{BENCH} .cbirlab-region").bounding_box()
    assert sliders.first.bounding_box()["width"] == pytest.approx(pane["width"], abs=16), "controls fill their pane"
    assert page.evaluate(f"() => Number(localStorage.getItem('cbirlab-width-{name}'))") == width()
    for _ in range(60):
        page.keyboard.press("ArrowRight" if way > 0 else "ArrowLeft")
    assert width() <= int(line.get_attribute("aria-valuemax"))
    inside(page, GRID, CANVAS)
    tops = "parts => parts.map((part) => document.querySelector(part).getBoundingClientRect().top)"
    grid_top, map_top = page.evaluate(tops, [GRID, f"{BENCH} .cbirlab-map"])
    assert abs(grid_top - map_top) < 60, "the panes stay side by side"
    line.dblclick()
    assert width() == pytest.approx(usual, abs=2)
    assert page.evaluate(f"() => localStorage.getItem('cbirlab-width-{name}')") is None
    page.get_by_role("button", name=name, exact=True).click()
    expect(line).to_be_hidden()  # with its pane
    page.get_by_role("button", name=name, exact=True).click()
    expect(line).to_be_visible()


def test_text_follows_the_presentation_mode(lab, page):
    size = f"parseFloat(getComputedStyle(document.querySelector('{GRID} .cbirlab-title')).fontSize)"
    usual = page.evaluate(size)
    toggle = "window.jupyterapp.commands.execute('application:toggle-presentation-mode')"
    page.evaluate(toggle)
    page.wait_for_function(f"{size} > {1.15 * usual}")
    page.evaluate(toggle)
    page.wait_for_function(f"{size} === {usual}")


def test_a_clicked_point_becomes_the_query(page):
    item = page.evaluate(
        f"""() => {{ const map = document.querySelector('{MAP}');
            const all = [...Array(36).keys()].map((i) => map.placeOf(i));
            const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
            const room = (i) => Math.min(...all.map((other, j) => j === i ? 1e9 : apart(other, all[i])));
            return [...all.keys()].sort((a, b) => room(b) - room(a))[0]; }}"""
    )
    page.mouse.click(*place(page, item))
    wait_for_title(page, f"Database image {item}")


def test_hover_in_the_gallery_shows_on_the_map(page):
    item = ids(page)[2]
    grid(page).locator(".cbirlab-tile").nth(2).hover()
    page.wait_for_function(f"(item) => document.querySelector('{MAP}').painter.scene.hovered === item", arg=item)


def test_a_lasso_filters_the_gallery_until_it_is_cleared(page, shot):
    before = ids(page)
    box = page.locator(CANVAS).bounding_box()
    left, top = box["x"] + 3, box["y"] + 3
    right, bottom = box["x"] + box["width"] / 2, box["y"] + box["height"] - 3
    page.locator(MAP).get_by_role("button", name="Draw a lasso").click()
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    page.get_by_text("images are chosen on the map").wait_for(state="visible")
    wait_for_change(page, before)
    chosen = page.evaluate(
        f"""(right) => {{ const map = document.querySelector('{MAP}');
            return [...Array(36).keys()].filter((i) => map.placeOf(i)[0] < right); }}""",
        right,
    )
    assert {*ids(page)} <= {*chosen}
    assert f"of {len(chosen)} selected" in title(page)
    shot(page, "bench-lasso")
    page.get_by_role("button", name="Show all").click()
    page.wait_for_function(f"() => !document.querySelector('{GRID} .cbirlab-title').innerText.includes('selected')")
    assert ids(page) == before


def test_chips_filter_the_gallery_and_what_they_keep_is_one_query(page, shot):
    before = ids(page)
    page.get_by_label("colour by").select_option("right / wrong")
    right = page.locator(f"{MAP} .cbirlab-legend button", has_text="right")
    right.click()
    wait_for_change(page, before)
    assert all("easy" in text or "hard" in text for text in grid(page).locator(".cbirlab-symbol").all_inner_texts())
    chosen = ids(page)
    expect(page.get_by_text(f"{len(chosen)} images are chosen on the map")).to_be_visible()
    page.get_by_label("colour by").select_option("brightness")
    expect(page.get_by_role("button", name="right / wrong: right")).to_be_visible()
    shot(page, "bench-chips")
    page.get_by_role("button", name=f"Ask for these {len(chosen)} pictures").click()
    wait_for_title(page, f"{len(chosen)} database images together")
    page.wait_for_function(f"() => !document.querySelector('{GRID} .cbirlab-title').innerText.includes('selected')")
    assert not {*ids(page)} & {*chosen}
    assert page.get_by_role("button", name="right / wrong: right").count() == 0
    shot(page, "bench-several")
    page.get_by_label("colour by").select_option("instance")


def test_a_rectangle_is_a_query_and_escape_clears_it(lab, page, shot):
    before, cells = ids(page), lab.cells()
    frame = page.locator(PAPER).bounding_box()
    page.mouse.move(frame["x"] + 20, frame["y"] + 20)
    page.mouse.down()
    page.mouse.move(frame["x"] + 100, frame["y"] + 90, steps=5)
    page.mouse.up()
    wait_for_title(page, "Part of query 0")
    wait_for_change(page, before)
    part = ids(page)
    shot(page, "bench-region")
    page.keyboard.press("Escape")
    wait_for_title(page, "Query 0")
    assert ids(page) == before
    page.locator(PAPER).focus()
    for key in ("Enter", "ArrowLeft", "Shift+ArrowDown"):
        page.keyboard.press(key)
    region = page.locator(f"{BENCH} .cbirlab-region")
    box = [float(edge) for edge in region.get_attribute("data-box").split()]
    assert box == pytest.approx([0.21, 0.25, 0.71, 0.79], abs=0.01)
    wait_for_title(page, "Part of query 0")
    wait_for_change(page, part)
    page.keyboard.press("ArrowUp")
    page.get_by_role("button", name="Clear rectangle").click()
    wait_for_title(page, "Query 0")
    lab.wait_until_idle()
    expect(region).to_have_attribute("data-box", "")  # no late answer to an older rectangle brings it back
    page.locator(PAPER).focus()
    page.keyboard.press("x")  # cuts the cell if JupyterLab hears
    assert lab.cells() == cells


def test_an_own_picture_is_chosen_or_dropped(lab, page, tmp_path, shot):
    own = draw_pictures(tmp_path, scenes=1, views=1)[0]
    page.locator(f"{BENCH} .cbirlab-region input[type=file]").set_input_files(own)
    wait_for_title(page, own.name)
    expect(page.locator(f"{BENCH} .cbirlab-strip .cbirlab-current")).to_have_count(0)
    shot(page, "bench-own")
    page.locator(f"{BENCH} .cbirlab-strip .cbirlab-tile").nth(1).click()
    wait_for_title(page, "Query 1")
    transfer = page.evaluate_handle(
        """(bytes) => { const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" })); return data; }""",
        [*own.read_bytes()],
    )
    page.dispatch_event(PAPER, "drop", {"dataTransfer": transfer})
    wait_for_title(page, "dropped.jpg")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    page.locator(f"{BENCH} .cbirlab-region input[type=file]").set_input_files(broken)
    expect(page.locator(f"{BENCH} .cbirlab-error")).to_contain_text("broken.jpg")
    assert title(page).startswith("dropped.jpg")


def test_the_search_is_a_fold_whose_title_says_what_was_chosen(page, shot):
    fold = page.locator(f"{BENCH} .cbirlab-side-a .cbirlab-search")
    expect(fold.locator("select:visible")).to_have_count(0)
    fold.get_by_text("Search: exact").click()
    expect(fold.locator("select:visible")).to_have_count(3)
    shot(page, "bench-search-open")
    choose(page, "compression", "SQ: a few bits for each dimension")
    choose(page, "bits", "4")
    rescore = fold.get_by_label("rescore")
    rescore.fill("10")
    rescore.press("Enter")
    expect(fold.get_by_text("Search: sq(bits=4), rescore 10")).to_be_visible()
    choose(page, "index", "All binary codes, by Hamming distance")
    expect(page.locator(f"{BENCH} .cbirlab-error")).to_contain_text("needs a binary compression")
    shot(page, "bench-search")
    choose(page, "index", "Exact search")
    expect(page.locator(f"{BENCH} .cbirlab-error")).to_have_count(0)
    choose(page, "compression", "None")
    rescore.fill("0")
    rescore.press("Enter")
    fold.get_by_text("Search: exact").click()


def test_two_settings_side_by_side(page, shot):
    page.get_by_role("button", name="Compare A | B").click()
    page.wait_for_function(f"() => document.querySelectorAll('{GRID}').length === 2")
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{GRID}')].every((grid) => grid.dataset.state === 'ready')"
    )
    page.wait_for_function(
        f"() => document.querySelectorAll('{GRID}')[1].querySelector('.cbirlab-change')?.textContent === '='"
    )
    assert {*notes(page, 1)} == {"="}
    before = ids(page, 1)
    page.locator(f"{BENCH} .widget-toggle-button", has_text="B").last.click()
    choose(page, "pooling", "MAC", "b")
    wait_for_change(page, before, 1)
    page.locator(f"{BENCH} .cbirlab-paired").wait_for(state="visible")
    signs = {note[:1] for note in notes(page, 1)}
    assert signs & {"▲", "▼"}, signs
    shown = [page.locator(GRID).nth(side) for side in (0, 1)]
    for left, right in ((*shown,),):
        assert left.bounding_box()["x"] < right.bounding_box()["x"]
    a, b = ids(page, 0), ids(page, 1)
    for row, note in zip(b, notes(page, 1), strict=True):
        if row in a:
            change = a.index(row) - b.index(row)
            assert note == ("=" if change == 0 else f"▲ {change}" if change > 0 else f"▼ {-change}")
        else:
            assert note.startswith("new (")
    gone = [note.startswith("gone (") for note in notes(page, 0)]
    assert gone == [row not in b for row in a]
    said = grid(page, 1).locator(".cbirlab-tile .cbirlab-live").first.text_content()
    assert said.endswith("same place") or "up by" in said or "down by" in said or "new" in said
    assert "▲" not in said
    shot(page, "bench-ab")


def test_hover_highlights_the_same_picture_in_both_galleries(page):
    shared = next(row for row in ids(page, 0) if row in ids(page, 1))
    grid(page, 0).locator(f".cbirlab-tile[data-id='{shared}']").hover()
    page.wait_for_function(
        f"""(item) => [...document.querySelectorAll('{GRID}')].every((grid) =>
            grid.querySelector(`[data-id="${{item}}"]`).classList.contains("cbirlab-hovered"))""",
        arg=shared,
    )


def test_pinned_settings_are_taken_home(page, shot):
    page.get_by_role("button", name="Pin this setting").click()
    expect(page.locator(".cbirlab-comparison tr")).to_have_count(3)
    expect(page.locator(".cbirlab-comparison")).to_contain_text("difference to the first")
    page.locator(".cbirlab-comparison").scroll_into_view_if_needed()
    shot(page, "bench-pinned")
    files = {}
    for name in ("CSV", "Markdown", "LaTeX", "Excel", "JSON recipes"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {name}").click()
        files[name] = Path(download.value.path()).read_bytes()
    rows = [*csv.DictReader(files["CSV"].decode().splitlines())]
    assert [row["aggregation"] for row in rows] == ["gem(p=3)", "mac"]
    assert [row["recipe"]["aggregation"] for row in json.loads(files["JSON recipes"])] == ["gem(p=3)", "mac"]
    assert files["Excel"].startswith(b"PK")


def test_pins_stand_beside_the_bars_of_what_is_shown(lab, page, shot):
    page.get_by_role("button", name="Compare A | B").click()  # one setting again
    expect(page.locator(GRID)).to_have_count(1)
    metrics = page.locator(f"{BENCH} .cbirlab-metrics")
    expect(metrics.locator(".cbirlab-pins")).to_have_count(3)
    bars = metrics.locator("tr", has_text="Medium").locator(".cbirlab-pins u")
    entries = page.locator(f"{BENCH} .cbirlab-pin")
    expect(bars).to_have_count(2)
    looks = "node => getComputedStyle(node).backgroundColor"
    assert [bar.evaluate(looks) for bar in bars.all()] == [one.locator("i").evaluate(looks) for one in entries.all()]
    assert len({bar.evaluate(looks) for bar in bars.all()}) == 2, "each has its colour"
    expect(entries.nth(1).locator("small")).to_be_hidden()
    entries.first.focus()
    page.keyboard.press("Tab")
    expect(entries.nth(1).locator("small")).to_be_visible()
    expect(entries.nth(1)).to_contain_text("mac")
    expect(entries.filter(has_text="shown now")).to_have_count(1)
    shot(page, "bench-pins")
    page.get_by_role("button", name="Compare A | B").click()
    expect(page.locator(GRID)).to_have_count(2)


def test_the_columns_of_the_files_are_chosen_by_keys(page, shot):
    fold = page.locator(".cbirlab-choice")
    fold.locator("summary").focus()
    expect(fold.locator("summary")).to_contain_text("the usual")
    page.keyboard.press("Enter")
    boxes = fold.get_by_role("checkbox")
    expect(boxes.first).to_be_visible()
    shot(page, "bench-columns")
    ticked = [box.get_attribute("value") for box in boxes.all() if box.is_checked()]
    assert {"aggregation", "map_medium"} <= {*ticked}
    fold.get_by_role("checkbox", name="pooling", exact=True).focus()
    page.keyboard.press("Space")
    expect(fold.locator("summary")).to_contain_text(f"{len(ticked) - 1} of {boxes.count()}")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download Markdown").click()
    assert "pooling" not in Path(download.value.path()).read_text().split("\n")[0]
    page.get_by_role("button", name="Pin this setting").click()  # the table is drawn again
    expect(fold.get_by_role("checkbox", name="pooling", exact=True)).not_to_be_checked()
    for box in boxes.all():
        if box.is_checked():
            box.click()
    assert sum(box.is_checked() for box in boxes.all()) == 1, "a table without columns is none"
    fold.get_by_role("button", name="Usual columns").click()
    assert [box.get_attribute("value") for box in boxes.all() if box.is_checked()] == ticked
    fold.locator("summary").click()


def test_a_page_to_share_is_made_with_a_bar_and_downloaded(page):
    button = page.get_by_role("button", name="Page to share")
    button.focus()
    with page.expect_download(timeout=120_000) as download:
        page.keyboard.press("Enter")
        expect(page.locator(f"{BENCH} [role=status]", has_text="Making page.html").first).to_be_visible()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert download.value.suggested_filename == "page.html"
    assert text.startswith("<!doctype html>")
    assert "Content-Security-Policy" in text
    expect(page.locator(f"{BENCH} [role=status]", has_text="Making page.html")).to_be_hidden()


def test_a_slow_setting_says_so_and_can_be_cancelled(page):
    page.get_by_role("button", name="Compare A | B").click()
    page.wait_for_function(f"() => document.querySelectorAll('{GRID}').length === 1")
    before = ids(page)
    page.evaluate(
        f"""() => {{ window.said = []; new MutationObserver(() => {{
            const note = document.querySelector("{WORK} [role=status]");
            if (note) window.said.push(note.innerText); }}).observe(
            document.querySelector("{BENCH}"), {{ childList: true, subtree: true }}); }}"""
    )
    cancel = page.locator(f"{WORK} button", has_text="Cancel").first
    choose(page, "pooling", "VLAD")
    page.wait_for_function("() => window.said.some((text) => text.includes('Computing toynet@random · layer4 · vlad'))")
    expect(cancel).to_be_hidden(timeout=60_000)
    wait_for_change(page, before)
    vlad = ids(page)
    choose(page, "backbone", "Hand-crafted")
    expect(page.locator(f"{WORK} [role=status]").first).to_contain_text("waiting")
    cancel.click()
    page.wait_for_function(
        f"() => document.querySelector('{BENCH} .cbirlab-side-a select').selectedOptions[0].text.includes('toynet')",
        timeout=60_000,
    )
    expect(cancel).to_be_hidden()
    assert ids(page) == vlad
    choose(page, "pooling", "GeM")
    wait_for_change(page, vlad)


def test_the_dark_theme(lab, page, shot):
    lab.theme("JupyterLab Dark")
    shot(page, "bench-dark")
    lab.theme("JupyterLab Light")


def test_a_narrow_window_has_all_of_it(page, shot):
    page.set_viewport_size({"width": 800, "height": 1400})
    inside(page, PAPER, GRID, MAP)
    page.wait_for_timeout(400)  # for the picture alone
    shot(page, "bench-narrow")
    page.set_viewport_size({"width": 1400, "height": 1400})


def test_a_saved_workbench_is_restored(lab, page):
    shown = ids(page)
    page.evaluate(
        """async (code) => { const panel = window.jupyterapp.shell.currentWidget;
            panel.content.model.sharedModel.insertCell(panel.content.model.cells.length,
                { cell_type: "code", source: code }); }""",
        SAVED.format(**lab.places),
    )
    page.evaluate(
        "() => { const c = window.jupyterapp.shell.currentWidget.content; c.activeCellIndex = c.widgets.length - 1; }"
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-cell')")
    page.wait_for_function(f"() => document.querySelectorAll('{BENCH}').length === 2", timeout=90_000)
    second = page.locator(BENCH).nth(1)
    tiles = "t => t.map(one => Number(one.dataset.id))"
    expect(second.locator(".cbirlab-comparison tr")).to_have_count(3, timeout=30_000)
    expect(second.locator(".cbirlab-grid .cbirlab-tile")).to_have_count(len(shown))
    assert second.locator(".cbirlab-grid .cbirlab-tile").evaluate_all(tiles) == shown
    second.locator(".cbirlab-strip .cbirlab-tile").nth(4).click()
    expect(second.locator(".cbirlab-grid .cbirlab-title")).to_contain_text("Query 4")
    lab.wait_until_idle()
    assert ids(page) == shown, "two workbenches do not disturb each other"


def test_the_page_complains_of_nothing(lab):
    assert lab.complaints() == []
