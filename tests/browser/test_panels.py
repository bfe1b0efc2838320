"""The panels that look into a method, in one notebook in Chromium: each answers to the mouse and to the keys."""

from __future__ import annotations

import io
import re
import shutil

import nbformat
import pytest
from PIL import Image

from browser.conftest import PANELS, SHOTS
from browser.lab import expect


@pytest.fixture
def show(panels):
    """Brings a panel into view by its name."""

    def shown(name):
        panels.scroll_to(1 + [*PANELS].index(name))
        panel = panels.page.locator(f".{name}")
        panel.wait_for(state="visible")
        return panel

    return shown


def row_of(panel, label):
    return panel.locator(".widget-inline-hbox:visible", has=panel.page.get_by_text(label, exact=True))


def choose(panel, label, title):
    """Choose an entry of a menu."""
    row_of(panel, label).locator("select").select_option(title)


def press(panel, label, *keys):
    """Move a slider by the keys."""
    row_of(panel, label).locator(".noUi-handle").focus()
    for key in keys:
        panel.page.keyboard.press(key)


def source(picture):
    """What an image shows: another picture has another address."""
    return picture.get_attribute("src")


def other(picture, before):
    """Wait until an image shows something else."""
    expect(picture).not_to_have_attribute("src", before)


def tiles(gallery):
    return gallery.locator(".cbirlab-tile").evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_every_panel_has_its_pictures(panels, show, theme):
    panels.theme(f"JupyterLab {theme}")
    for name in PANELS:
        panel = show(name)
        expect(panel.locator("img, svg").first).to_be_visible()
        expect(panel.locator("[role=status]:visible")).to_have_count(0)
        panels.page.wait_for_function(
            "(name) => [...document.querySelectorAll(`.${name} img`)].every((i) => i.complete && i.naturalWidth > 0)",
            arg=name,
        )
        panel.screenshot(path=SHOTS / f"{name}-{theme.lower()}.png")
        expect(panel.locator(".cbirlab-error")).to_have_count(0)


def test_pooling_view_follows_menu_slider_and_strip(show):
    panel = show("PoolingView")
    picture = panel.locator(".cbirlab-figure img").first
    before = source(picture)
    choose(panel, "pooling", "R-MAC")
    expect(picture).to_have_attribute("alt", re.compile("rmac"))
    other(picture, before)
    before = source(picture)
    press(panel, "region", "ArrowRight")
    other(picture, before)
    before = source(picture)
    press(panel, "opacity", "ArrowLeft")
    other(picture, before)
    panel.locator(".cbirlab-strip .cbirlab-tile").nth(3).click()
    expect(picture).to_have_attribute("alt", re.compile("^Query 3 under"))


def test_match_view_matches_with_the_result_that_is_chosen(show):
    panel = show("MatchView")
    captions, results = panel.locator("figcaption"), panel.locator(".cbirlab-strip").nth(1)
    expect(results.locator(".cbirlab-tile")).to_have_count(8)
    expect(captions.nth(1)).to_have_text(f"Database image {tiles(results)[0]}")
    results.locator(".cbirlab-tile").nth(2).click()
    expect(captions.nth(1)).to_have_text(f"Database image {tiles(results)[2]}")
    for key in ("ArrowRight", "Enter"):
        panel.page.keyboard.press(key)
    expect(captions.nth(1)).to_have_text(f"Database image {tiles(results)[3]}")
    expect(results.locator(".cbirlab-current")).to_have_attribute("data-id", str(tiles(results)[3]))
    panel.locator(".cbirlab-strip").first.locator(".cbirlab-tile").nth(4).click()
    expect(captions.first).to_have_text("Query 4")
    expect(panel.locator(".cbirlab-comparison")).to_contain_text("score")


def test_whitening_lab_redraws_its_charts_for_menu_and_slider(show):
    panel = show("WhiteningLab")
    charts = panel.locator("svg")
    expect(charts).to_have_count(3)
    expect(panel.locator(".cbirlab-metrics")).to_have_count(2)
    words = [chart.get_attribute("aria-label") for chart in charts.all()]
    choose(panel, "whitening", "ZCA-whitening")
    expect(charts.nth(2)).not_to_have_attribute("aria-label", words[2])
    expect(charts.nth(1)).to_have_attribute("aria-label", words[1])  # before the whitening nothing changes
    choose(panel, "whitening", "PCA-whitening")
    expect(charts.nth(2)).to_have_attribute("aria-label", words[2])
    press(panel, "dimensions", "Home")
    expect(charts.nth(2)).not_to_have_attribute("aria-label", words[2])


def test_win_loss_shows_both_answers_to_the_query_that_is_chosen(show):
    panel = show("WinLoss")
    bars, titles = panel.locator("[role=option]"), panel.locator(".cbirlab-grid .cbirlab-title")
    expect(bars).to_have_count(6)
    expect(bars.last).to_have_attribute("aria-label", re.compile("Query"))
    bars.first.click()
    for bar, key in ((bars.first, "End"), (bars.last, "Home")):
        expect(bar).to_have_attribute("aria-selected", "true")
        query = re.search(r"Query (\d+)", bar.get_attribute("aria-label"))[1]
        for place, side in enumerate("AB"):
            expect(titles.nth(place)).to_contain_text(f"{side}, query {query}:")
        panel.page.keyboard.press(key)
    expect(bars.first).to_have_attribute("aria-selected", "true")


def test_missed_lists_what_stands_below_k(show):
    panel = show("Missed")
    title, found = panel.locator(".cbirlab-grid .cbirlab-title"), panel.locator(".cbirlab-grid .cbirlab-tile")
    expect(title).to_contain_text("among the first 5")
    press(panel, "first K", "Home")
    expect(title).to_contain_text("among the first 1")
    missed = int(title.inner_text().split(": ")[1].split()[0])
    expect(found).to_have_count(missed)
    assert missed > 0
    panel.locator(".cbirlab-strip .cbirlab-tile").nth(2).click()
    expect(title).to_contain_text("Query 2:")


def test_the_probe_changes_the_query_and_its_ranks(show):
    panel = show("ProbePanel")
    captions, changed = panel.locator("figcaption"), panel.locator(".cbirlab-figure img").nth(1)
    expect(panel.locator(".cbirlab-chart")).to_be_visible()
    chart, before = source(panel.locator(".cbirlab-chart")), source(changed)
    press(panel, "how much", "ArrowRight", "ArrowRight")
    other(changed, before)
    other(panel.locator(".cbirlab-chart"), chart)
    said = captions.nth(1).inner_text()
    choose(panel, "change", panel.locator("select:visible option", has_text="blur").first.inner_text())
    expect(captions.nth(1)).not_to_have_text(said)
    expect(panel.locator(".cbirlab-note", has_text="Right answers at ranks")).to_be_visible()


def test_what_breaks_settings_gets_another_line(show):
    panel = show("BreaksPanel")
    lines = panel.locator(".cbirlab-comparison tr")
    expect(lines).to_have_count(2)
    chart = panel.locator(".cbirlab-chart")
    before = source(chart)
    panel.get_by_role("button", name="Add this setting").click()
    expect(lines).to_have_count(3)
    other(chart, before)
    before = source(chart)
    choose(panel, "change of", "share that is occluded")
    other(chart, before)
    expect(chart).to_have_attribute("alt", re.compile("occluded"))


def test_keys_leave_the_notebook_alone(panels, show):
    cells = panels.cells()
    for name, part in (("MatchView", ".cbirlab-tile"), ("WinLoss", "[role=option][tabindex='0']")):
        show(name).locator(part).first.focus()
        for key in ("x", "d", "d"):  # x cuts the cell and d d deletes it if JupyterLab hears
            panels.page.keyboard.press(key)
    assert panels.cells() == cells


def test_a_restarted_kernel_runs_all_again(panels, show):
    panels.run_again("runmenu:restart-and-run-all")
    panel = show("Missed")
    title = panel.locator(".cbirlab-grid .cbirlab-title")
    expect(title).to_contain_text("among the first 5")
    press(panel, "first K", "ArrowLeft")
    expect(title).to_contain_text("among the first 4")


def test_the_live_panel_is_all_that_a_cell_shows(panels, show):
    for cell, name in enumerate(PANELS, start=1):
        show(name)
        shown = panels.page.locator(f".jp-Cell[data-windowed-list-index='{cell}'] .jp-OutputArea-child:visible")
        expect(shown).to_have_count(1)
        expect(shown.locator(f".{name}")).to_have_count(1)


def test_without_a_kernel_there_are_pictures(panels, page_of):
    """A notebook with outputs that comes from somewhere else and is only read: no state of widgets, not trusted."""
    panels.save()
    kept = nbformat.read(page_of.folder / "panels.ipynb", as_version=4)
    kept.metadata.pop("widgets", None)
    kept.cells[0].source += "\n# from somewhere else"
    nbformat.write(kept, page_of.folder / "kept.ipynb")
    notebook = page_of("kept.ipynb", run=False)
    for cell, name in enumerate(PANELS, start=1):
        notebook.scroll_to(cell)
        shown = notebook.page.locator(f".jp-Cell[data-windowed-list-index='{cell}'] .jp-OutputArea-output")
        still = shown.locator("img")
        expect(still).to_be_visible()
        assert still.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300, name
        assert "".join(shown.all_inner_texts()).strip() == "", "no second picture, no trace of its style"
    notebook.page.screenshot(path=SHOTS / "panels-no-kernel.png")
    notebook.close()


@pytest.mark.parametrize("kernel", ["a new kernel", "no kernel"])
def test_a_notebook_of_ones_own_shows_pictures_where_the_widgets_are_gone(panels, page_of, kernel):
    """Trusted, as it was run here: JupyterLab takes the widgets alone, and there is no kernel that knows them."""
    panels.save()
    shutil.copy(page_of.folder / "panels.ipynb", page_of.folder / "own.ipynb")
    page = panels.page.context.new_page()
    if kernel == "no kernel":
        page.route(
            "**/api/sessions*", lambda asked: asked.abort() if asked.request.method == "POST" else asked.continue_()
        )
    page.goto(panels.page.url.replace("panels.ipynb", "own.ipynb"))
    for cell, name in enumerate(PANELS, start=1):
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.evaluate("(i) => window.jupyterapp.shell.currentWidget.content.scrollToItem(i)", cell)
        shown = page.locator(f".jp-Cell[data-windowed-list-index='{cell}'] .jp-OutputArea-child:visible")
        expect(shown).to_have_count(1)
        expect(shown).to_have_text("Loading widget..." if kernel == "no kernel" else re.compile("model not found"))
        page.wait_for_timeout(1_100)  # a widget has so long to come before its picture does
        still = Image.open(io.BytesIO(shown.screenshot(path=SHOTS / f"own-{name}.png"))).convert("L")
        assert still.height > 150, name
        assert len(still.getcolors()) > 60, name
    if kernel == "a new kernel":
        page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.close()


def test_the_page_complains_of_nothing(panels):
    assert panels.complaints() == []


def test_hamming_ball_flips_the_bit_and_shows_the_ring_that_is_chosen(show):
    panel = show("HammingBall")
    title = panel.locator(".cbirlab-grid .cbirlab-title")
    rows = panel.locator(".cbirlab-squares-row")
    expect(rows).to_have_count(9)
    rows.nth(2).locator("[data-bit='5']").click()
    expect(title).to_have_text(re.compile("^Bit 5 of the query flipped"))
    expect(panel.locator(".cbirlab-squares .cbirlab-chosen")).to_have_count(9)
    panel.page.keyboard.press("ArrowRight")
    expect(title).to_have_text(re.compile("^Bit 6 of the query flipped"))
    panel.screenshot(path=SHOTS / "HammingBall-bit.png")
    bars = panel.locator(".cbirlab-bars [role=option]")
    largest = max(range(bars.count()), key=lambda place: bars.nth(place).locator("i").bounding_box()["height"])
    bars.nth(largest).click()
    expect(title).to_have_text(re.compile(f"^Distance {largest}: [0-9]+ images? "))
    expect(panel.locator(".cbirlab-squares .cbirlab-chosen")).to_have_count(0)


def test_pq_cells_follow_the_result_and_the_group(show):
    panel = show("PQCells")
    charts = panel.locator("svg[role=img]")
    expect(charts).to_have_count(2)
    panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-tile").nth(2).click()
    chosen = panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-current").get_attribute("data-id")
    expect(charts.first).to_have_attribute("aria-label", re.compile(f"path of image {chosen}$"))
    press(panel, "group", "ArrowRight")
    expect(charts.nth(1)).to_have_attribute("aria-label", re.compile("^Group 1 in the plane"))


def test_itq_steps_and_code_beside_follow_their_sliders(show):
    panel = show("ITQSteps")
    press(panel, "iteration", "ArrowRight")
    expect(panel.locator("svg[role=img]").nth(1)).to_have_attribute("aria-label", re.compile("at iteration 1:"))
    panel = show("CodeBeside")
    press(panel, "re-scored", "End")
    expect(panel.locator(".cbirlab-heading").nth(1)).to_contain_text("200 re-scored")
    notes = panel.locator(".cbirlab-grid").nth(1).locator(".cbirlab-change")
    expect(notes.first).to_have_text("=")


def test_the_panels_on_reranking_follow_their_sliders_and_strips(show):
    panel = show("RerankBeside")
    expect(panel.locator(".cbirlab-heading").nth(1)).to_contain_text("decay")
    panel = show("QueryPath")
    expect(panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-tile")).to_have_count(3)
    press(panel, "k", "ArrowRight")
    expect(panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-tile")).to_have_count(4)
    expect(panel.locator("svg[role=img]")).to_have_attribute("aria-label", re.compile("^4 images are added"))
    panel = show("DiffusionHeat")
    charts = panel.locator("svg[role=img]")
    expect(charts.nth(1)).to_have_attribute("aria-label", re.compile("of all queries: "))
    press(panel, "steps", "End")
    expect(charts.first).to_have_attribute("aria-label", re.compile("its first results, the solution"))
    panel = show("MutualGrid")
    panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-tile").nth(3).click()
    expect(panel.locator("svg[role=img]").first).to_have_attribute("aria-label", re.compile("^Image 4: Jaccard"))
    panel = show("InlierView")
    panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-tile").nth(2).click()
    chosen = panel.locator(".cbirlab-strip").nth(1).locator(".cbirlab-current").get_attribute("data-id")
    expect(panel.locator("svg[role=img]")).to_have_attribute("aria-label", re.compile(f"database image {chosen}:"))
