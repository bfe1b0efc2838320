"""The map in JupyterLab in Chromium: hover, click, lasso, pan, zoom, keys, the link with a gallery, PCA then UMAP."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from fake_session import write_toytown_form

from browser.conftest import open_notebook
from browser.lab import expect, write_notebook

MAP = ".first .cbirlab-scatter"
SECOND = ".second .cbirlab-scatter"
CANVAS = f"{MAP} .cbirlab-scatter-stage > canvas"
TIP = f"{MAP} .cbirlab-tip"
TIP_SHOWN = f"""() => {{ const tip = document.querySelector("{TIP}"); const image = tip.querySelector("img");
    return tip.dataset.id !== "" && image.checkVisibility() && image.complete && image.naturalWidth > 0; }}"""
CODE = """
import ipywidgets
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
from cbirlab.widgets.parts.map_panel import MapPanel

session = Session({towers!r}, "toynet", store=Store({store!r}))
session.prepare(progress=False)
thumbnails = Thumbnails.of_dataset(session.dataset, side=96)
panel, gallery = MapPanel(session, thumbnails, pause=0.2), Gallery(thumbnails)
heard = ipywidgets.Label("nothing").add_class("heard")

def hear(change):
    scatter = panel.scatter
    chosen = "all" if panel.chosen is None else len(panel.chosen)
    clicked = f"clicks {{scatter.clicks}} picked {{scatter.picked}}"
    heard.value = f"{{clicked}} selected {{list(scatter.selected)}} chosen {{chosen}}"

panel.scatter.observe(hear, names=["clicks", "selected"])
panel.observe(hear, names="chosen")
vectors, key = session.vectors("layer4", "gem(p=3)")
gallery.show(range(len(thumbnails)))
panel.show(vectors, key, highlight=[3, 9, 15], current=36)
second = MapPanel(session, Thumbnails.of_dataset(session.dataset, side=64), method="pca", height=200)
second.show(vectors, key, highlight=list(range(36)), current=36)
panel.add_class("first")
second.add_class("second")
ipywidgets.VBox([panel, gallery, heard, second])
"""
COUNT_MESSAGES = """() => {
  window.commMessages = [];
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) {
    const text = typeof data === "string" ? data : new TextDecoder().decode(data);
    if (text.includes("comm_msg")) window.commMessages.push(text);
    return send.call(this, data);
  };
}"""


KEEP_WORDS = """() => {
  window.words = [];
  const pens = CanvasRenderingContext2D.prototype;
  const { fillText, clearRect } = pens;
  pens.clearRect = function (...box) {
    window.words = window.words.filter((word) => word.pen !== this);
    return clearRect.apply(this, box);
  };
  pens.fillText = function (text, x, y) {
    window.words.push({ pen: this, text, x, y, wide: this.measureText(text).width });
    return fillText.call(this, text, x, y);
  };
}"""


@pytest.fixture(scope="module")
def lab(page_of):
    """A notebook with a map and a gallery of drawn towers."""
    towers, store = write_toytown_form(page_of.folder / "map" / "towers"), page_of.folder / "map" / "store"
    write_notebook(page_of.folder / "map.ipynb", CODE.format(towers=str(towers), store=str(store)))
    size = {"width": 1280, "height": 1300}
    ready = f"{MAP}[data-points='42']"
    with open_notebook(page_of, "map.ipynb", ready, viewport=size, device_scale_factor=2) as notebook:
        yield notebook


@pytest.fixture
def page(lab):
    """The page, with the whole map in view and nothing hovered."""
    page = lab.page
    page.locator(CANVAS).scroll_into_view_if_needed()
    page.locator(MAP).get_by_role("button", name="Show the whole map").click()
    page.mouse.move(2, 2)
    return page


def place(page, item):
    """Where a picture's point lies on the screen."""
    return page.evaluate(f"(i) => document.querySelector('{MAP}').placeOf(i)", item)


def title(page):
    return page.locator(f"{MAP} .cbirlab-title").inner_text()


def heard(page, text):
    page.wait_for_function(
        "(text) => document.querySelector('.heard').innerText.includes(text)", arg=text, timeout=15_000
    )


def isolated(page):
    """A picture with no other point on top of its own."""
    return page.evaluate(
        f"""() => {{ const map = document.querySelector('{MAP}');
            const all = [...Array(42).keys()].map((i) => map.placeOf(i));
            const apart = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
            const room = (i) => Math.min(...all.map((other, j) => j === i ? 1e9 : apart(other, all[i])));
            return [...all.keys()].sort((a, b) => room(b) - room(a))[0]; }}"""
    )


def test_pca_comes_first_and_umap_when_ready(lab, shot):
    page = lab.page
    page.wait_for_function(
        f"() => document.querySelector('{MAP} .cbirlab-title').innerText.startsWith('UMAP')", timeout=180_000
    )
    page.wait_for_function(
        "() => document.querySelector('.first').innerText.includes('Another seed keeps')", timeout=120_000
    )
    text = page.locator(".first").inner_text()
    assert "trustworthiness" in text
    assert "not the search" in text
    shot(page, "map-light")


def test_words_on_the_map_do_not_cover_each_other(page):
    """The query's, and the ranks of results that lie close together: the better rank is written."""
    page.evaluate(KEEP_WORDS)
    page.locator(SECOND).get_by_role("button", name="Show the whole map").click()
    page.wait_for_function("() => window.words.some((word) => word.text === 'query')")
    words = page.evaluate("() => window.words.map(({ text, x, y, wide }) => [text, x, y, wide])")
    assert 1 < len(words) < 16, "some stand, some of the query, nine ranks and six groups would not be read"
    for (one, x, y, wide), (other, other_x, other_y, other_wide) in combinations(words, 2):
        assert abs(y - other_y) >= 12 or x >= other_x + other_wide or other_x >= x + wide, (one, other)


def test_hover_shows_the_picture_without_a_trip_to_the_kernel(page, shot):
    sent = []
    for item in (5, 11, 17):  # what the page lacks is asked for once
        page.mouse.move(*place(page, item))
        page.wait_for_function(TIP_SHOWN)
        page.mouse.move(2, 2)
        expect(page.locator(TIP)).to_be_hidden()
    page.evaluate(COUNT_MESSAGES)
    for item in (5, 11, 17):
        page.mouse.move(*place(page, item))
        page.wait_for_function(TIP_SHOWN)
        sent.append(page.locator(TIP).get_attribute("data-id"))
        page.mouse.move(2, 2)
        expect(page.locator(TIP)).to_be_hidden()
    page.mouse.move(*place(page, 17))
    page.wait_for_function(TIP_SHOWN)
    page.wait_for_timeout(300)  # in which a message would leave
    assert page.evaluate("() => window.commMessages") == []
    assert len(set(sent)) > 1
    shot(page, "map-hover")


def test_the_kernel_is_told_of_a_click(page):
    """The count of messages above is worth something only if a click is counted."""
    before = page.evaluate("() => window.commMessages.length")
    page.mouse.click(*place(page, isolated(page)))
    page.wait_for_function("(before) => window.commMessages.length > before", arg=before)


def test_a_click_picks(page):
    item = isolated(page)
    page.mouse.click(*place(page, item))
    heard(page, f"picked {item} ")


def test_a_point_and_its_tile_are_hovered_together(page):
    item = isolated(page)
    page.mouse.move(*place(page, item))
    page.wait_for_selector(f".cbirlab-grid .cbirlab-hovered[data-id='{item}']", timeout=5000)
    page.mouse.move(2, 2)
    page.wait_for_function("() => !document.querySelector('.cbirlab-hovered')")
    before = page.evaluate(f"() => document.querySelector('{MAP}').painter.frames")
    page.locator(".cbirlab-grid .cbirlab-tile").nth(7).hover()
    page.wait_for_function(f"() => document.querySelector('{MAP}').painter.scene.hovered === 7")
    page.wait_for_function(f"(before) => document.querySelector('{MAP}').painter.frames > before", arg=before)
    expect(page.locator(TIP)).to_be_hidden()  # the picture itself is under the pointer already


def test_a_lasso_selects_and_clears(page, shot):
    box = page.locator(CANVAS).bounding_box()
    left, top = box["x"] + 3, box["y"] + 3
    right, bottom = box["x"] + box["width"] - 3, box["y"] + box["height"] - 3
    page.keyboard.down("Shift")
    page.mouse.move(left, top)
    page.mouse.down()
    for corner in ((right, top), (right, bottom), (left, bottom), (left, top)):
        page.mouse.move(*corner, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    heard(page, f"selected {list(range(42))} ")
    page.locator(MAP).get_by_role("button", name="Clear the selection").click()
    heard(page, "selected []")
    item = isolated(page)
    x, y = place(page, item)
    page.locator(MAP).get_by_role("button", name="Draw a lasso").click()
    page.mouse.move(x - 8, y - 8)
    page.mouse.down()
    for corner in ((x + 8, y - 8), (x + 8, y + 8), (x - 8, y + 8)):
        page.mouse.move(*corner, steps=2)
    page.mouse.up()
    heard(page, f"selected [{item}]")
    shot(page, "map-lasso")
    page.locator(CANVAS).focus()
    page.keyboard.press("Escape")
    heard(page, "selected []")


def test_drag_pans_and_wheel_zooms(page):
    before = place(page, 0), place(page, 1)
    box = page.locator(CANVAS).bounding_box()
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(*middle)
    page.mouse.down()
    page.mouse.move(middle[0] + 60, middle[1] + 25, steps=6)
    page.mouse.up()
    after = place(page, 0), place(page, 1)
    for old, new in zip(before, after, strict=True):
        assert new == pytest.approx([old[0] + 60, old[1] + 25], abs=1.5)
    page.locator(CANVAS).focus()
    scale = f"document.querySelector('{MAP}').painter.plane.scale"
    narrow = page.evaluate(scale)
    page.mouse.wheel(0, -400)
    page.wait_for_function(f"(before) => {scale} !== before", arg=narrow)
    zoomed = place(page, 0), place(page, 1)
    wider = abs(zoomed[0][0] - zoomed[1][0]) / abs(after[0][0] - after[1][0])
    assert 1.3 < wider < 3


SCALE = f"document.querySelector('{MAP}').painter.plane.scale"
SCROLLED = "document.querySelector('.jp-WindowedPanel-outer').scrollTop"


def wheel(page, x, y, down):
    page.mouse.move(x, y)
    page.mouse.move(x + 2, y + 1)
    page.mouse.wheel(0, down)


def test_the_wheel_zooms_where_the_pointer_rests_without_a_click(page):
    page.evaluate("() => document.activeElement.blur()")
    item = isolated(page)
    x, y = place(page, item)
    before = page.evaluate(SCALE)
    wheel(page, x, y, -300)
    page.wait_for_function(f"(before) => {SCALE} > 1.2 * before", arg=before)
    assert place(page, item) == pytest.approx([x, y], abs=3), "what lies under the pointer stays there"
    page.mouse.wheel(0, 2000)
    page.wait_for_function(f"(before) => {SCALE} === before", arg=before)
    assert place(page, item) == pytest.approx([x, y], abs=1.5), "zoomed out, the map is where it was"


def test_the_page_scrolls_on_over_a_map(page):
    """Where a page that scrolls brings the map under the pointer, the wheel still belongs to the page."""
    page.set_viewport_size({"width": 1280, "height": 500})
    page.evaluate(f"() => {{ {SCROLLED} = 0; }}")
    page.locator(".first select").first.scroll_into_view_if_needed()
    box = page.locator(".first select").first.bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 10)
    scale, top = page.evaluate(SCALE), page.evaluate(SCROLLED)
    for _ in range(4):
        page.mouse.wheel(0, 60)
        page.wait_for_timeout(80)
    assert page.evaluate(SCALE) == scale
    assert page.evaluate(SCROLLED) > top
    page.set_viewport_size({"width": 1280, "height": 1300})


def test_the_tip_has_one_size_and_lies_inside_the_frame(page):
    sizes = set()
    frame = page.locator(f"{MAP} .cbirlab-scatter-stage").bounding_box()
    for item in (3, 14, 22, 36):
        page.mouse.move(*place(page, item))
        page.wait_for_function(TIP_SHOWN)
        box = page.locator(TIP).bounding_box()
        sizes.add((box["width"], box["height"]))
        assert box["x"] >= frame["x"]
        assert box["y"] >= frame["y"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
        assert box["y"] + box["height"] <= frame["y"] + frame["height"]
        page.mouse.move(2, 2)
        expect(page.locator(TIP)).to_be_hidden()
    assert len(sizes) == 1


def test_the_map_fills_its_frame(page):
    plane = f"document.querySelector('{MAP}').painter.plane"
    west, south, east, north = page.evaluate(f"() => {plane}.bounds()")
    scale, wide, high = page.evaluate(f"() => [{plane}.scale, {plane}.width, {plane}.height]")
    shares = sorted(((east - west) * scale / (wide - 92), (north - south) * scale / (high - 92)))
    assert shares == [pytest.approx(shares[0]), pytest.approx(1, abs=0.01)]
    assert shares[0] > 0.8


def test_few_points_are_pictures(page, shot):
    pictures = f"document.querySelector('{MAP}').painter.pictures"
    page.wait_for_function(f"() => {pictures}.size > 5")
    assert page.evaluate(f"() => [3, 9, 15].some((id) => {pictures}.has(id))"), "the first results come first"
    boxes = page.evaluate(
        f"""() => [...{pictures}].map(([id, half]) => [...document.querySelector('{MAP}').placeOf(id), ...half])"""
    )
    for (x, y, wide, high), (other_x, other_y, *_) in combinations(boxes, 2):
        assert abs(x - other_x) > wide / 2 or abs(y - other_y) > high / 2, "each can be seen"
    x, y, wide, high, first = page.evaluate(
        f"""() => {{ const [id, half] = [...{pictures}][0];
            return [...document.querySelector('{MAP}').placeOf(id), ...half, id]; }}"""
    )
    page.mouse.move(x + wide - 3, y + high - 3)
    page.wait_for_function(f"(id) => document.querySelector('{MAP}').painter.scene.hovered === id", arg=first)
    shot(page, "map-pictures")


def test_groups_are_named_on_the_map(page):
    page.evaluate(KEEP_WORDS)
    page.locator(MAP).get_by_role("button", name="Show the whole map").click()
    page.wait_for_function("() => window.words.some((word) => /^[0-5]$/.test(word.text))")
    places = page.evaluate(f"() => document.querySelector('{MAP}').painter.scene.places.length")
    assert 2 <= places <= 6


def test_chips_keep_groups_and_the_keyboard_reaches_them(lab, page, shot):
    faint = f"""() => {{ const {{ scene, plane }} = document.querySelector('{MAP}').painter;
        return [...Array(plane.count).keys()].filter((i) => scene.faint(i, scene.groupOf(i))).length; }}"""
    chips = page.locator(f"{MAP} .cbirlab-legend button")
    assert chips.count() == 6
    page.locator(f"{MAP} .cbirlab-scatter-tool").last.focus()
    chips.first.focus()
    page.keyboard.press("Enter")
    expect(chips.first).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(f"() => ({faint})() === 36")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_function(f"() => ({faint})() === 30")
    heard(page, "chosen 12")
    page.locator(".first select").nth(1).select_option("right / wrong")
    off = page.get_by_role("button", name="instance: 2 kept")
    expect(off).to_be_visible()
    assert page.evaluate(faint) == 30, "chips of another fact still count"
    shot(page, "map-chips")
    off.click()
    page.wait_for_function(f"() => ({faint})() === 0")
    heard(page, "chosen all")
    page.locator(".first select").nth(1).select_option("instance")
    expect(chips).to_have_count(6)


def test_numbers_have_a_scale(page, shot):
    page.locator(".first select").nth(1).select_option("brightness")
    expect(page.locator(f"{MAP} .cbirlab-scale")).to_be_visible()
    assert "%" in page.locator(f"{MAP} .cbirlab-legend").inner_text()
    page.mouse.move(*place(page, isolated(page)))
    page.wait_for_function(f"() => / \\d+ %/.test(document.querySelector('{TIP}').innerText)")
    shot(page, "map-scale")
    page.locator(".first select").nth(1).select_option("instance")
    expect(page.locator(f"{MAP} .cbirlab-legend button")).to_have_count(6)


def test_the_map_and_the_chosen_files_are_downloaded(page):
    page.locator(f"{MAP} .cbirlab-legend button").first.click()
    heard(page, "chosen 6")
    for name, begins in (
        ("Files (.txt)", b"/"),
        ("Files (.csv)", b"path,"),
        ("Map (PNG)", b"\x89PNG"),
        ("Map (PDF)", b"%PDF"),
    ):
        with page.expect_download() as download:
            page.locator(".first").get_by_role("button", name=name).click()
        assert Path(download.value.path()).read_bytes().startswith(begins)
    page.locator(f"{MAP} .cbirlab-legend button").first.click()
    heard(page, "chosen all")


def test_keys_walk_pick_and_leave_the_notebook_alone(lab, page):
    cells = lab.cells()
    page.locator(CANVAS).focus()
    page.keyboard.press("ArrowLeft")
    first = page.evaluate(f"() => document.querySelector('{MAP}').painter.scene.cursor")
    assert first >= 0
    visited = {first}
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowUp"):
        here = page.evaluate(f"() => document.querySelector('{MAP}').painter.scene.cursor")
        x, y = place(page, here)
        page.keyboard.press(key)
        there = page.evaluate(f"() => document.querySelector('{MAP}').painter.scene.cursor")
        if there != here:
            to = place(page, there)
            ahead = {"ArrowRight": to[0] - x, "ArrowLeft": x - to[0], "ArrowDown": to[1] - y, "ArrowUp": y - to[1]}
            assert ahead[key] > 0
        visited.add(there)
    assert len(visited) > 2
    last = page.evaluate(f"() => document.querySelector('{MAP}').painter.scene.cursor")
    for key in ("x", "d", "d", "Enter"):  # x cuts the cell and d d deletes it if JupyterLab hears
        page.keyboard.press(key)
    heard(page, f"picked {last} ")
    assert "scene" in page.locator(f"{MAP} [aria-live]").inner_text()
    assert lab.cells() == cells


def test_two_panels_do_not_disturb_each_other(page):
    item = isolated(page)
    scene = f"() => {{ const {{ scene, plane }} = document.querySelector('{SECOND}').painter;"
    before = page.evaluate(f"{scene} return [scene.hovered, scene.cursor, plane.scale, plane.left]; }}")
    page.mouse.click(*place(page, item))
    heard(page, f"picked {item} ")
    page.mouse.wheel(0, -300)
    page.wait_for_function(f"() => document.querySelector('{MAP}').painter.scene.hovered === {item}")
    assert page.evaluate(f"{scene} return [scene.hovered, scene.cursor, plane.scale, plane.left]; }}") == before
    assert page.locator(f"{SECOND} .cbirlab-title").inner_text().startswith("PCA")


def test_the_map_is_crisp(page):
    sizes = page.locator(CANVAS).evaluate("c => [c.width, c.height, c.clientWidth, c.clientHeight]")
    assert sizes[:2] == [2 * sizes[2], 2 * sizes[3]], "two pixels of the device to one of the page"


def test_the_map_follows_the_theme(lab, page, shot):
    look = f"() => document.querySelector('{MAP}').painter.look().dark"
    assert page.evaluate(look) is False
    command = "(name) => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })"
    page.evaluate(command, "JupyterLab Dark")
    page.wait_for_function(look, timeout=15_000)
    page.wait_for_timeout(600)
    shot(page, "map-dark")
    page.evaluate(command, "JupyterLab Light")
    page.wait_for_function(f"() => !({look})()", timeout=15_000)


def test_a_narrow_window_has_the_whole_map(page, shot):
    page.set_viewport_size({"width": 560, "height": 1000})
    page.wait_for_function(
        f"""() => {{ const box = document.querySelector("{CANVAS}").getBoundingClientRect();
            return box.width > 0 && box.left >= 0 && box.right <= innerWidth; }}"""
    )
    page.locator(CANVAS).scroll_into_view_if_needed()
    shot(page, "map-narrow")
    page.set_viewport_size({"width": 1280, "height": 1300})


def test_a_menu_choice_gives_another_map(page):
    page.locator(".first select").first.select_option("PCA")
    page.wait_for_function(
        f"() => document.querySelector('{MAP} .cbirlab-title').innerText.startsWith('PCA')", timeout=30_000
    )
    page.locator(".first select").first.select_option("UMAP")
    page.wait_for_function(
        f"() => document.querySelector('{MAP} .cbirlab-title').innerText.startsWith('UMAP')", timeout=30_000
    )


def test_the_page_complains_of_nothing(lab):
    assert lab.complaints() == []
