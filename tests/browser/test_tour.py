"""The first notebook in JupyterLab in Chromium: sliders, clicks, keys, pins, downloads, a reload."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from browser.lab import expect

PANEL = ".cbirlab-panel"
GRID = f"{PANEL} .cbirlab-grid"
STRIP = f"{PANEL} .cbirlab-strip"
SEEN = f"""(before) => {{ const grid = document.querySelector("{GRID}");
    return grid.dataset.state === "ready" && grid.dataset.serial !== before; }}"""


def ids(page):
    return page.locator(f"{GRID} .cbirlab-tile").evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")


def serial(page):
    return page.locator(GRID).get_attribute("data-serial")


def slider(page, label):
    row = page.locator(f"{PANEL} .widget-inline-hbox", has=page.get_by_text(label, exact=True))
    return row.locator(".noUi-handle")


def choose(page, label, title, milliseconds=30_000):
    """Choose an entry of a menu and wait for the new gallery."""
    row = page.locator(f"{PANEL} .widget-inline-hbox", has=page.get_by_text(label, exact=True))
    before = serial(page)
    row.locator("select").select_option(title)
    page.wait_for_function(SEEN, arg=before, timeout=milliseconds)


def press(page, handle, key):
    """Move a slider by a key and wait for the new gallery."""
    before = serial(page)
    handle.focus()
    page.keyboard.press(key)
    page.wait_for_function(SEEN, arg=before)


def test_the_panel_shows_24_framed_results(tour, shot):
    page = tour.page
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(0)")
    page.wait_for_timeout(500)
    shot(page, "tour-top")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(18)")
    page.locator(PANEL).scroll_into_view_if_needed()
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{GRID} img')].every(image => image.complete && image.naturalWidth > 0)"
    )
    shot(page, "tour-panel")
    assert len(ids(page)) == 24
    expect(page.locator(f"{STRIP} .cbirlab-current")).to_have_count(1)
    expect(page.locator(f"{PANEL} .cbirlab-metrics tr")).to_have_count(4)


def test_frames_differ_by_line_and_word_not_by_colour_alone(tour):
    looks = tour.page.locator(f"{GRID} .cbirlab-tile").evaluate_all(
        "tiles => tiles.map(t => [t.dataset.mark, getComputedStyle(t).borderTopStyle, t.children[1].textContent])"
    )
    lines = {"easy": "solid", "hard": "dashed", "junk": "dotted", "wrong": "double"}
    assert all(lines[mark] == line and mark in word for mark, line, word in looks)
    assert tour.page.locator(f"{GRID} .cbirlab-legend-item").count() == 4


@pytest.mark.parametrize("label", ["tap", "GeM p", "dimensions"])
def test_a_slider_changes_the_gallery(tour, label):
    page = tour.page
    before = ids(page)
    for _ in range(2):
        press(page, slider(page, label), "ArrowLeft")
    assert ids(page) != before
    for _ in range(2):
        press(page, slider(page, label), "ArrowRight")
    assert ids(page) == before


def test_the_pooling_menu_and_whitening_change_the_gallery(tour):
    page = tour.page
    start = ids(page)
    expect(slider(page, "GeM p")).to_be_visible()
    choose(page, "pooling", "MAC")
    mac = ids(page)
    assert mac != start
    expect(slider(page, "GeM p")).to_be_hidden()
    choose(page, "whitening", "None")
    plain = ids(page)
    assert plain != mac
    choose(page, "whitening", "ZCA-whitening")
    assert ids(page) != plain
    expect(page.locator(f"{PANEL} .widget-slider .noUi-target[disabled]:visible")).to_have_count(1)  # ZCA has no order
    choose(page, "whitening", "PCA-whitening")
    choose(page, "pooling", "GeM")
    assert ids(page) == start


def test_a_clicked_result_becomes_the_query(tour, shot):
    page = tour.page
    row, before = ids(page)[3], serial(page)
    page.locator(f"{GRID} .cbirlab-tile").nth(3).click()
    page.wait_for_function(SEEN, arg=before)
    assert row not in ids(page)
    expect(page.locator(f"{GRID} .cbirlab-title")).to_contain_text(f"Database image {row}")
    page.locator(PANEL).get_by_text("no ground truth").first.wait_for()  # numbers follow once the gallery is painted
    shot(page, "tour-image-query")
    before = serial(page)
    page.locator(f"{STRIP} .cbirlab-tile").nth(2).click()
    page.wait_for_function(SEEN, arg=before)
    expect(page.locator(f"{GRID} .cbirlab-title")).to_contain_text("Query 2")


def test_keys_walk_the_gallery_and_leave_the_notebook_alone(tour):
    page = tour.page
    cells, wanted, before = tour.cells(), ids(page)[2], serial(page)
    page.locator(f"{GRID} .cbirlab-tile").first.focus()
    for key in ("ArrowRight", "ArrowRight", "x", "d", "d", "Enter"):  # x cuts the cell and d d deletes it if Lab hears
        page.keyboard.press(key)
    page.wait_for_function(SEEN, arg=before)
    expect(page.locator(f"{GRID} .cbirlab-title")).to_contain_text(f"Database image {wanted}")
    slider(page, "tap").focus()
    page.keyboard.press("x")
    assert tour.cells() == cells


def test_pinned_settings_are_downloaded(tour, shot):
    page = tour.page
    page.get_by_role("button", name="Pin this setting").click()
    press(page, slider(page, "tap"), "ArrowLeft")
    page.get_by_role("button", name="Pin this setting").click()
    expect(page.locator(".cbirlab-comparison tr")).to_have_count(3)
    page.get_by_text("The Python that gives this ranking").click()
    page.locator(".cbirlab-code").wait_for(state="visible")
    page.locator(".cbirlab-code").scroll_into_view_if_needed()
    shot(page, "tour-comparison")
    for name, start in (("CSV", "dataset,backbone"), ("Markdown", "| backbone"), ("LaTeX", "\\begin{tabular}")):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {name}").click()
        text = Path(download.value.path()).read_text()
        assert text.startswith(start)
        if name == "CSV":
            assert len({row["tap"] for row in csv.DictReader(text.splitlines())}) == 2


def test_the_page_complains_of_nothing(tour):
    assert tour.complaints() == []


def test_a_reload_brings_everything_back(tour):
    page = tour.page
    before = ids(page)
    tour.save()  # unsaved outputs are lost by a reload
    page.reload()
    page.wait_for_selector(PANEL, state="attached", timeout=60_000)
    page.locator(PANEL).scroll_into_view_if_needed()
    page.wait_for_selector(f"{GRID}[data-state=ready]", timeout=60_000)
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{GRID} img')].every(image => image.complete && image.naturalWidth > 0)"
    )
    assert ids(page) == before
