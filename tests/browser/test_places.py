"""Where people run notebooks beside JupyterLab on a large screen: Notebook 7, a narrow page, fingers."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from fake_session import write_toytown_form

from browser.conftest import GALLERY_READY, open_notebook
from browser.lab import OpenNotebook, expect, running_browser, running_lab, write_notebook
from browser.test_tour import GRID, PANEL, choose, ids

NARROW = {"width": 420, "height": 860}
PAPER = f"{PANEL} .cbirlab-paper"


CODE = """
from cbirlab.store import Store
from cbirlab.widgets import Workbench

bench = Workbench({towers!r}, "toynet", weights="random", store=Store({store!r}), shown=12)
bench.map.method.value = "pca"
bench
"""


def write_bench(folder):
    """A notebook with a workbench on drawn towers and random weights."""
    towers = write_toytown_form(folder / "places" / "towers")
    write_notebook(folder / "places.ipynb", CODE.format(towers=str(towers), store=str(folder / "places" / "store")))


@pytest.fixture(scope="module")
def phone(page_of):
    """A panel on a page with touch that was made narrow: JupyterLab's menus, which run it, need room."""
    write_bench(page_of.folder)
    with open_notebook(page_of, "places.ipynb", has_touch=True) as notebook:
        notebook.page.set_viewport_size(NARROW)
        notebook.page.wait_for_timeout(500)
        yield notebook


def finger(page, *path):
    """Put a finger down, move it along points of the page, and lift it."""
    session = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", path[:1]), *(("touchMove", [point]) for point in path[1:]), ("touchEnd", [])):
        touches = [{"x": x, "y": y} for x, y in points]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def test_nothing_of_a_narrow_page_is_cut_off_to_the_right(phone, shot):
    page = phone.page
    page.locator(PANEL).first.scroll_into_view_if_needed()
    shot(page, "narrow")
    wide = page.locator(PANEL).first.evaluate(
        """panel => [...panel.querySelectorAll("button, select, input, .cbirlab-tile, .cbirlab-paper")]
            .filter(node => node.offsetParent && !node.closest(".cbirlab-strip, .cbirlab-pinned"))
            .filter(node => node.getBoundingClientRect().right > panel.getBoundingClientRect().right + 1)
            .map(node => node.outerHTML.slice(0, 120))"""
    )
    assert wide == []


def test_a_tap_on_a_tile_asks_it(phone):
    page = phone.page
    wanted = ids(page)[1]
    page.locator(f"{GRID} .cbirlab-tile").nth(1).tap()
    expect(page.locator(f"{GRID} .cbirlab-title")).to_contain_text(f"Database image {wanted}")


def test_a_finger_draws_a_rectangle_on_the_query(phone):
    page = phone.page
    page.locator(PAPER).scroll_into_view_if_needed()
    box = page.locator(PAPER).bounding_box()
    at = [(box["x"] + share * box["width"], box["y"] + share * box["height"]) for share in (0.2, 0.4, 0.6, 0.8)]
    finger(page, *at)
    expect(page.locator(f"{PANEL} .cbirlab-region")).to_have_attribute("data-box", "0.200 0.200 0.800 0.800")


@pytest.mark.skipif(find_spec("notebook") is None, reason="needs Notebook 7: pip install notebook")
def test_the_panel_answers_in_notebook_7(tmp_path, shot):
    (tmp_path / "notebooks").mkdir()
    write_bench(tmp_path / "notebooks")
    with running_lab(tmp_path / "notebooks", tmp_path / "scratch", "notebook") as address, running_browser() as browser:
        page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        notebook = OpenNotebook(page, address.format(path="places.ipynb"))
        notebook.run_all()
        page.wait_for_selector(GALLERY_READY, timeout=60_000)
        before = ids(page)
        choose(page, "pooling", "MAC")
        assert ids(page) != before
        assert page.locator('[title="null"]:visible').count() == 0
        shot(page, "notebook-7")
        own = [one for one in notebook.complaints() if "widget" in one.lower() or "cbirlab" in one]
        assert own == []
        notebook.close()


def test_tooltips_speak_and_a_pinned_row_is_removed_by_the_keyboard(phone):
    page = phone.page
    assert page.locator('[title="null"]:visible').count() == 0
    for label in ("tap", "whitening"):
        assert page.locator(f'{PANEL} [title^="{label}: "]:visible').count() == 1
    rows, pin = page.locator(".cbirlab-comparison tr"), page.get_by_role("button", name="Pin this setting")
    for title in ("MAC", "SPoC"):
        choose(page, "pooling", title)
        pin.click()
        expect(rows).to_have_count(2 if title == "MAC" else 3)
    page.get_by_role("button", name="remove row 1").focus()
    page.keyboard.press("Enter")
    expect(rows).to_have_count(2)
    expect(rows.last).to_contain_text("spoc")
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')") == "remove row 1"
