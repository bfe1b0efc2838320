"""The panel of a training in JupyterLab: it trains, other panels stay usable meanwhile, and what is kept has a name."""

from __future__ import annotations

import re
import time

import pytest
from fake_session import write_toytown_form

from browser.conftest import SHOTS, open_notebook
from browser.lab import expect, write_notebook

CODE = """
import os
os.environ["CBIRLAB_TRAINED"] = {trained!r}

from cbirlab.adaptation.training import Training
from cbirlab.store import Store
from cbirlab.widgets import TrainingPanel, Workbench

store = Store({store!r})
named = dict(on={towers!r}, backbone="toynet", labels="mutual(k=1)", augment="none", precision="float32")
training = Training(moves="layer4", steps=60, **named)
TrainingPanel({towers!r}, training, store=store).add_class("TrainingPanel")
"""
BESIDE = 'Workbench({towers!r}, "toynet", backbones=["toynet"], store=store).add_class("Beside")'


@pytest.fixture(scope="module")
def training(page_of):
    """A notebook with the panel, and another panel with a slider."""
    folder = page_of.folder
    towers = str(write_toytown_form(folder / "trained" / "towers", scenes=12))
    given = {"towers": towers, "store": str(folder / "training-store"), "trained": str(folder / "weights")}
    write_notebook(folder / "training.ipynb", CODE.format(**given), BESIDE.format(**given))
    with open_notebook(page_of, "training.ipynb", ".TrainingPanel svg") as notebook:
        yield notebook


@pytest.fixture
def panel(training):
    training.scroll_to(0)
    found = training.page.locator(".TrainingPanel")
    found.wait_for(state="visible")
    return found


def button(panel, name):
    return panel.get_by_role("button", name=name)


def test_it_trains_while_another_panel_is_used(training, panel):
    expect(button(panel, "Keep as")).to_be_disabled()
    button(panel, "Train").click()
    expect(panel.locator("[role=status]:visible")).to_contain_text(re.compile(r"Step \d+ of 60"))
    expect(panel.locator("svg").first).to_have_attribute("aria-label", re.compile("After step"))
    button(panel, "Pause").click()
    expect(panel.locator("[role=status]:visible")).to_contain_text("Paused")
    panel.screenshot(path=SHOTS / "TrainingPanel-paused.png")
    button(panel, "Go on").click()
    training.scroll_to(1)
    beside = training.page.locator(".Beside")
    best = beside.locator(".cbirlab-grid .cbirlab-caption").first
    best.wait_for(state="visible")
    beside.locator(".widget-inline-hbox:visible", has=training.page.get_by_text("tap", exact=True)).locator(
        ".noUi-handle"
    ).focus()
    took = []
    for key in ("ArrowLeft", "ArrowLeft", "ArrowRight", "ArrowLeft"):
        before, started = best.inner_text(), time.monotonic()
        training.page.keyboard.press(key)
        expect(best).not_to_have_text(before)
        took.append(time.monotonic() - started)
    print("a slider of the workbench while it trains, seconds:", [round(one, 2) for one in took])
    training.scroll_to(0)
    expect(panel).to_contain_text(re.compile("All 60 steps are done|Stopped after"), timeout=120_000)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_it_can_be_read(training, panel, theme):
    training.theme(f"JupyterLab {theme}")
    expect(panel.locator(".cbirlab-grid .cbirlab-tile").first).to_be_visible()
    training.page.wait_for_function(
        "() => [...document.querySelectorAll('.TrainingPanel img')].every((i) => i.complete && i.naturalWidth > 0)"
    )
    panel.screenshot(path=SHOTS / f"TrainingPanel-{theme.lower()}.png")
    expect(panel.locator(".cbirlab-error")).to_have_count(0)


def test_what_it_learned_is_kept_under_a_name(training, panel):
    button(panel, "Keep as").click()
    expect(panel).to_contain_text("Kept as mine")
    button(panel, "Keep as").click()
    expect(panel.get_by_role("alert")).to_contain_text("stands for")
    panel.get_by_label("replace").check()
    button(panel, "Keep as").click()
    expect(panel.get_by_role("alert")).to_have_count(0)
    training.scroll_to(1)
    menu = training.page.locator(".Beside select").filter(has_text="mine")
    expect(menu).to_have_count(1)
    menu.select_option(label="toynet, mine")
    expect(training.page.locator(".Beside .cbirlab-error")).to_have_count(0)


def test_nothing_is_complained_about(training):
    assert training.complaints() == []
