"""The panel of clicked labels in JupyterLab: tiles are judged by mouse and by key, and the order is learned anew."""

from __future__ import annotations

import re

import pytest
from fake_session import write_toytown_form

from browser.conftest import SHOTS, open_notebook
from browser.lab import expect, write_notebook
from cbirlab.adaptation.judgements import read_judgements

CODE = """
import os
os.environ["CBIRLAB_TRAINED"] = {trained!r}

from cbirlab.store import Store
from cbirlab.widgets import LabelPanel

LabelPanel({towers!r}, file="clicks.csv", store=Store({store!r}), shown=10).add_class("LabelPanel")
"""


@pytest.fixture(scope="module")
def labelling(page_of):
    """A notebook with the panel."""
    folder = page_of.folder
    towers = str(write_toytown_form(folder / "labelled" / "towers", scenes=12))
    given = {"towers": towers, "store": str(folder / "label-store"), "trained": str(folder / "heads")}
    write_notebook(folder / "labels.ipynb", CODE.format(**given))
    with open_notebook(page_of, "labels.ipynb", ".LabelPanel .cbirlab-judged[data-state=ready]") as notebook:
        yield notebook


@pytest.fixture
def panel(labelling):
    return labelling.page.locator(".LabelPanel")


def tiles(panel):
    return panel.locator(".cbirlab-judged .cbirlab-tile")


def order(panel):
    return tiles(panel).evaluate_all("(tiles) => tiles.map((tile) => tile.dataset.id)")


def saying(panel, place, name):
    return tiles(panel).nth(place).get_by_role("button", name=re.compile(f"^{name}"))


def test_two_tiles_are_judged_by_mouse_and_by_key(labelling, panel, page_of):
    saying(panel, 0, "same").click()
    expect(saying(panel, 0, "same")).to_have_attribute("aria-pressed", "true")
    expect(saying(panel, 0, "same")).to_be_focused()
    labelling.page.keyboard.press("ArrowRight")
    expect(saying(panel, 1, "same")).to_be_focused()
    labelling.page.keyboard.press("n")
    expect(saying(panel, 1, "not the same")).to_have_attribute("aria-pressed", "true")
    expect(panel).to_contain_text("2 judgements: 1 the same, 1 not the same, of 3 pictures")
    file = page_of.folder / "clicks.csv"
    assert [one.same for one in read_judgements(file)] == [True, False]
    labelling.page.keyboard.press("Tab")
    expect(saying(panel, 1, "not the same")).to_be_focused()
    labelling.page.keyboard.press("Enter")
    expect(saying(panel, 1, "not the same")).to_have_attribute("aria-pressed", "false")
    labelling.page.keyboard.press("Tab")  # out of the gallery: one picture at a time can be reached
    expect(panel.locator(".cbirlab-strip .cbirlab-tile[tabindex='0']")).to_be_focused()
    saying(panel, 1, "not the same").click()
    expect(saying(panel, 1, "not the same")).to_have_attribute("aria-pressed", "true")
    assert labelling.cells() == 1, "a key was JupyterLab's"
    panel.screenshot(path=SHOTS / "LabelPanel-judged.png")


def test_it_learns_and_the_order_is_another(labelling, panel):
    before, scores = order(panel), tiles(panel).locator(".cbirlab-caption").all_inner_texts()
    panel.get_by_role("button", name="Learn").click()
    expect(panel).to_contain_text(re.compile(r"A head has learned from 2 judgements in .* mean difference"))
    expect(panel.locator(".cbirlab-judged .cbirlab-title")).to_have_text("First 10 results, as learned")
    after = order(panel)
    assert after != before or scores != tiles(panel).locator(".cbirlab-caption").all_inner_texts()
    expect(tiles(panel).locator(".cbirlab-change").first).to_have_text(re.compile(r"^(=|[▲▼]\d+)$"))
    place = after.index(before[0])
    expect(saying(panel, place, "same")).to_have_attribute("aria-pressed", "true")
    expect(panel.locator(".cbirlab-error")).to_have_count(0)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_it_can_be_read(labelling, panel, theme):
    labelling.theme(f"JupyterLab {theme}")
    labelling.page.wait_for_function(
        "() => [...document.querySelectorAll('.LabelPanel .cbirlab-grid img')].every((one) => one.naturalWidth > 0)"
    )
    panel.screenshot(path=SHOTS / f"LabelPanel-{theme.lower()}.png")


def test_the_next_query_and_undo(labelling, panel):
    query = panel.locator(".cbirlab-grid:not(.cbirlab-judged) .cbirlab-caption")
    before = query.inner_text()
    panel.get_by_role("button", name="Next query").click()
    expect(query).not_to_have_text(before)
    panel.get_by_role("button", name="Undo").click()
    expect(query).to_have_text(before)
    expect(panel).to_contain_text("1 judgement: 1 the same, 0 not the same")
    expect(panel).to_contain_text("You have clicked since")


def test_nothing_is_complained_about(labelling):
    assert labelling.complaints() == []
