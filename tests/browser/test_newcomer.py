"""A newcomer's first hour: an own folder, the network for photographs, A | B, a pin, a table, a page to share."""

from __future__ import annotations

import csv

import pytest
from fake_session import draw_pictures

from browser.conftest import GALLERY_READY
from browser.lab import expect, write_notebook
from browser.test_workbench import BENCH, choose, ids, notes, wait_for_change

OPEN = """
from cbirlab.store import Store
from cbirlab.widgets import Workbench

workbench = Workbench({folder!r}, store=Store({store!r}), shown=12)
workbench
"""
SHARE = 'workbench.save_page({page!r}, aggregations=["gem", "mac"], maps=["pca"]).name'


@pytest.fixture(scope="module")
def folder(page_of):
    """Pictures in a folder for each of six towers, as a newcomer has them."""
    root = page_of.folder / "holiday"
    for path in draw_pictures(page_of.folder / "drawn", scenes=6, views=5):
        tower = root / path.stem.split("_")[0]
        tower.mkdir(parents=True, exist_ok=True)
        path.rename(tower / path.name)
    return root


def run_cell(notebook, place: int) -> None:
    notebook.page.evaluate(
        """async (place) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = place;
                              await window.jupyterapp.commands.execute('notebook:run-cell'); }""",
        place,
    )


def test_from_a_folder_to_a_page(page_of, folder, shot):
    shared = page_of.folder / "page.html"
    cells = OPEN.format(folder=str(folder), store=str(page_of.folder / "newcomer")), SHARE.format(page=str(shared))
    write_notebook(page_of.folder / "newcomer.ipynb", *cells)
    notebook = page_of("newcomer.ipynb", run=False)
    page = notebook.page
    run_cell(notebook, 0)
    page.wait_for_selector(GALLERY_READY, timeout=240_000)
    backbone = page.locator(f"{BENCH} .cbirlab-side-a .widget-dropdown", has_text="backbone").locator("select")
    assert backbone.evaluate("menu => menu.selectedOptions[0].textContent") == "EfficientNet-Lite0"
    shot(page, "newcomer")

    before = ids(page)
    page.get_by_role("button", name="Compare A | B").click()
    expect(page.locator(f"{BENCH} .cbirlab-grid")).to_have_count(2)
    page.get_by_role("button", name="B", exact=True).click()
    choose(page, "pooling", "MAC", side="b")
    wait_for_change(page, before, side=1)
    assert any(note.startswith(("▲", "▼", "new")) for note in notes(page, 1))
    page.get_by_role("button", name="Pin this setting").click()
    expect(page.locator(".cbirlab-comparison tr, .cbirlab-pinned tr")).to_have_count(3)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with open(download.value.path(), encoding="utf-8", newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert [row["backbone"] for row in rows] == ["efficientnet_lite0"] * 2
    assert [row["aggregation"].split("(")[0] for row in rows] == ["gem", "mac"]
    shown = [ids(page, side) for side in (0, 1)]

    run_cell(notebook, 1)
    notebook.wait_until_idle()
    context = page.context.browser.new_context(viewport={"width": 1280, "height": 800}, offline=True)
    alone, problems = context.new_page(), []
    alone.on("pageerror", lambda error: problems.append(str(error)))
    alone.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    alone.goto(shared.as_uri())
    alone.wait_for_selector(".cbirlab-grid[data-state=ready]")
    shot(alone, "newcomer-page")
    found = [
        side.locator(".cbirlab-tile").evaluate_all("tiles => tiles.map(tile => Number(tile.dataset.id))")
        for side in alone.locator(".cbirlab-grid").all()
    ]
    assert [one[:12] for one in found] == shown
    assert problems == []
    context.close()
    assert notebook.complaints() == []
    notebook.close()
