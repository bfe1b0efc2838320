"""The page to share, opened from a file without a network: it shows what the widgets show, by mouse and by keys."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_session import write_toytown_form

from browser.lab import expect, running_browser
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets import Workbench
from cbirlab.widgets.panels.setting_side import difference
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.steps import Steps
from cbirlab.widgets.shared_page import save_page
from cbirlab.widgets.shared_page.choosing import choose, lay_out

VALUES = {
    "taps": ["layer2", "layer3", "layer4"],
    "aggregations": ["mac", "gem(p=1)", "gem(p=3)", "gem(p=5)"],
    "whitenings": ["none", "pca"],
    "dimensions": [4, 16, None],
    "codes": ["none", "itq(bits=16)"],
    "rerankings": ["none", "aqe(k=3)"],
}
SETTINGS, SHOWN = 50, 12
READY = "#page[data-state=ready]"
A, B = ".cbirlab-column >> nth=0", ".cbirlab-column >> nth=1"
SEEN = """(gallery) => [...gallery.querySelectorAll(".cbirlab-tile")].map((tile) => ({
    id: Number(tile.dataset.id), kind: tile.dataset.mark,
    caption: tile.querySelector(".cbirlab-caption").textContent,
    note: tile.querySelector(".cbirlab-change").textContent }))"""
STAND = """([question, ...sides]) => {
    const { page } = document.getElementById("page");
    page.question = question;
    sides.forEach((positions, at) => page.sides[at].controls.show(positions));
    page.ask();
}"""

POSSIBLE = "document.getElementById('page').page.texts.all.order"


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    folder = tmp_path_factory.mktemp("shared")
    towers = write_toytown_form(folder / "towers")
    aggregations = [*VALUES["aggregations"]]
    made = Session(towers, "toynet", "random", aggregations, store=Store(folder / "store"))
    made.prepare(progress=False)
    return made


@pytest.fixture(scope="module")
def plan(session):
    return lay_out(session, choose(session, values=VALUES))


@pytest.fixture(scope="module")
def address(session, tmp_path_factory) -> str:
    path = save_page(
        tmp_path_factory.mktemp("page") / "page.html", session, **VALUES, maps=("pca", "tsne"), progress=False
    )
    return path.as_uri()


@pytest.fixture(scope="module")
def browser():
    with running_browser() as running:
        yield running


@pytest.fixture
def opened(browser, address):
    """Opens the page in a window of its own; afterwards nothing was asked of any network and nothing complained."""
    problems: list[str] = []
    contexts = []

    def open_page(width: int = 1280, height: int = 900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type != "log" else None)
        page.on(
            "request", lambda one: problems.append(one.url) if one.url[:5] not in ("file:", "blob:", "data:") else None
        )
        page.goto(address)
        page.wait_for_selector(READY)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


def slider(page, name: str):
    return page.get_by_role("slider", name=name, exact=True)


def seen(page, column: str) -> list[dict]:
    return page.locator(column).locator(".cbirlab-gallery").evaluate(SEEN)


def shown_by(gallery) -> list[dict]:
    """What the widget in Python tells the same module."""
    notes = gallery.notes or [""] * len(gallery.ids)
    columns = zip(gallery.ids, gallery.kinds, gallery.captions, notes, strict=True)
    return [
        {"id": row, "kind": kind, "caption": caption.replace("-0.000", "0.000"), "note": note}
        for row, kind, caption, note in columns
    ]


def choose_in(bench: Workbench, side, setting) -> None:
    """Let a side of the workbench show a setting of the page."""
    values = {"tap": setting.tap, "aggregation": setting.aggregation.name, "whitening": setting.whitening}
    values |= {"parameters": {setting.aggregation.name: setting.aggregation.parameters}}
    values |= {"dimensions": setting.dimensions, "stages": dict(setting.stages)}
    bench.session.make_ready(*setting)
    side.state.from_json(side.state.to_json() | values)
    assert side.setting == setting


@pytest.fixture(scope="module")
def bench(session):
    made = Workbench(session, prefetch=False, pause=0.0, shown=SHOWN, backbones=["toynet"])
    made.map.method.value = "pca"
    yield made
    made.close()


def stand(page, plan, question: int, *places: int) -> None:
    positions = [[int(at) for at in next(zip(*(plan.numbers == place).nonzero(), strict=True))] for place in places]
    page.evaluate(STAND, [question, *positions])


def test_fifty_settings_show_what_the_widgets_show(opened, plan, bench, shot):
    page = opened()
    slider(page, "results").fill(str([6, 12, 24, 36].index(SHOWN)))
    choice, possible = random.Random(0), page.evaluate(POSSIBLE)
    for _ in range(SETTINGS):
        place, question = choice.choice(possible), choice.randrange(6)
        stand(page, plan, question, place, place)
        bench.live, bench.steps = False, Steps()  # the page does not mark what the last move has changed
        choose_in(bench, bench.a, plan.settings[place])
        bench.pick(36 + question)
        bench.live = True
        assert seen(page, A) == shown_by(bench.gallery)
        assert page.locator(A).locator(".cbirlab-title").text_content() == bench.gallery.title
        run = bench.a.run()
        expect(page.locator(".cbirlab-metrics")).to_have_text(re.sub("<[^>]*>", "", views.metrics_table(run.metrics)))
    shot(page, "shared-page")


def test_two_sides_tell_what_moved_and_whether_they_differ(opened, plan, bench, shot):
    page = opened(1500, 1000)
    slider(page, "results").fill("1")
    page.get_by_role("button", name="Compare A | B").click()
    bench.compared = True
    choice, possible = random.Random(1), page.evaluate(POSSIBLE)
    for _ in range(12):
        a, b, question = choice.choice(possible), choice.choice(possible), choice.randrange(6)
        bench.live = False
        choose_in(bench, bench.a, plan.settings[a])
        choose_in(bench, bench.side_b(), plan.settings[b])
        bench.pick(36 + question)
        bench.live = True
        stand(page, plan, question, a, b)
        assert seen(page, A) == shown_by(bench.a.gallery)
        assert seen(page, B) == shown_by(bench.b.gallery)
        expected = views.paired_table(*difference(bench.a.run(), bench.b.run()))
        expect(page.locator(".cbirlab-paired")).to_have_text(re.sub("<[^>]*>", "", expected))
        heading = re.sub("<[^>]*>", "", bench.b.heading.value.replace("<br>", ""))
        assert page.locator(B).locator(".cbirlab-heading").text_content() == heading
    bench.compared = False
    shot(page, "shared-page-ab")


def test_sliders_and_menus_do_it_by_keys_alone(opened, plan):
    page = opened()
    first = seen(page, A)
    assert slider(page, "dimensions").is_enabled()
    page.get_by_role("combobox", name="whitening", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(slider(page, "dimensions")).to_be_disabled()  # there is nothing to leave out
    assert seen(page, A) != first
    page.keyboard.press("ArrowDown")
    slider(page, "tap").focus()
    page.keyboard.press("ArrowLeft")
    assert slider(page, "tap").get_attribute("aria-valuetext") == "layer3"
    page.get_by_role("combobox", name="pooling", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(slider(page, "GeM p")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(slider(page, "GeM p")).to_be_visible()
    page.locator(".cbirlab-strip .cbirlab-tile").first.focus()
    for key in ("ArrowRight", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(A).locator(".cbirlab-title")).to_have_text(re.compile("^Query 2:"))
    expect(page.locator("figcaption")).to_have_text("scene2_query")


def test_tab_reaches_every_part_and_the_focus_is_seen(opened):
    page = opened(1280, 1200)
    page.get_by_role("button", name="Compare A | B").click()
    page.locator("summary").click()
    page.locator("h1").click()  # Tab goes on from there
    reached, outlines = [], []
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => { const one = document.activeElement;
                const name = one.getAttribute("aria-label") || one.labels?.[0]?.textContent || one.textContent;
                return [one.tagName, name.slice(0, 30), getComputedStyle(one).outlineStyle]; }"""
        )
        reached.append(f"{found[0]} {found[1]}")
        outlines.append(found[2])
    told = "\n".join(reached)
    for wanted in ("Compare A", "BUTTON A", "BUTTON B", "tap", "pooling", "GeM p", "whitening", "dimensions", "code"):
        assert wanted in told, told
    for wanted in (
        "re-ranking",
        "results",
        "lasso",
        "CANVAS",
        "SUMMARY",
        "DIV Table of all",
        "Show setting 1",
        "map",
    ):
        assert wanted.lower() in told.lower(), told
    assert sum("scene" in one or "·" in one or "picture" in one for one in reached) >= 3, (
        told
    )  # strip and two galleries
    assert "none" not in outlines, [*zip(reached, outlines, strict=True)]


def test_the_map_follows_and_answers(opened):
    page = opened(1400, 1000)
    title = page.locator(".cbirlab-scatter .cbirlab-title")
    expect(title).to_have_text("PCA of 42 descriptors")
    page.get_by_role("combobox", name="map", exact=True).select_option(label="t-SNE")
    expect(title).to_have_text("t-SNE of 42 descriptors")
    where = "(id) => document.querySelector('.cbirlab-scatter').placeOf(id)"
    page.mouse.click(*page.evaluate(where, 36 + 4))
    expect(page.locator(A).locator(".cbirlab-title")).to_have_text(re.compile("^Query 4:"))
    page.mouse.click(*page.evaluate(where, 3))
    expect(page.locator(".cbirlab-left > [aria-live]")).to_have_text(re.compile(r"scene3_0, 3, place \d+ in A, "))
    before = [one["id"] for one in seen(page, A)]
    page.evaluate("document.getElementById('page').page.map.set('selected', [1, 3, 5, 40])")
    expect(page.locator(A).locator(".cbirlab-title")).to_have_text(re.compile("first 3 results of 3 selected"))
    assert {one["id"] for one in seen(page, A)} == {1, 3, 5}
    page.get_by_role("button", name="Show all").click()
    assert [one["id"] for one in seen(page, A)] == before


def test_a_choice_that_is_impossible_says_why_and_leaves_the_gallery(opened):
    page = opened()
    slider(page, "dimensions").focus()
    page.keyboard.press("Home")
    before = seen(page, A)
    page.get_by_role("combobox", name="code", exact=True).select_option(index=1)
    expect(page.get_by_role("alert")).to_have_text(re.compile("^A: ITQ: bits must be at most 4"))
    assert seen(page, A) == before
    page.keyboard.press("Tab")
    slider(page, "dimensions").focus()
    page.keyboard.press("End")
    expect(page.get_by_role("alert")).to_have_text("")
    assert seen(page, A) != before


def test_a_row_of_the_table_is_shown(opened, plan):
    page = opened()
    page.locator("summary").click()
    row = page.locator(".cbirlab-all tr").nth(5)
    tap, pooling = (row.locator("td").nth(at).text_content() for at in (2, 3))
    row.get_by_role("button").click()
    assert slider(page, "tap").get_attribute("aria-valuetext") == tap
    chosen = page.evaluate("document.getElementById('page').page.sides[0].setting")
    assert plan.settings[chosen].aggregation == pooling


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_narrow_window_has_nothing_beside_it(opened, theme, shot):
    page = opened(420, 900, color_scheme=theme)
    page.get_by_role("button", name="Compare A | B").click()
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 420
    columns = page.locator(".cbirlab-column")
    assert columns.count() == 2
    shot(page, f"shared-page-narrow-{theme}")


def test_hostile_names_are_text(browser, tmp_path):
    name = "<img src=x onerror=alert(1)>"
    towers = write_toytown_form(tmp_path / name, scenes=3, views=4)
    rows = (towers / "images.jsonl").read_text()
    (towers / "images.jsonl").write_text(re.sub(r'"landmark": \d', f'"landmark": "{name}"', rows))
    session = Session(towers, "toynet", "random", ["mac"], store=Store(tmp_path / "store"))
    path = save_page(tmp_path / "page.html", session, taps=["layer4"], aggregations=["mac"], progress=False)
    context = browser.new_context(offline=True)
    page, problems = context.new_page(), []
    page.on("console", lambda message: problems.append(message.text))
    page.on("dialog", lambda dialog: problems.append(dialog.message))
    page.goto(path.as_uri())
    page.wait_for_selector(READY)
    page.get_by_role("button", name="Compare A | B").click()
    page.locator("summary").click()
    page.evaluate("document.getElementById('page').page.tellOf(2)")
    expect(page.locator(".cbirlab-left > [aria-live]")).to_contain_text(name)
    expect(page.locator(".cbirlab-scatter .cbirlab-legend")).to_contain_text(name)
    assert page.locator("[onerror]").count() == 0
    assert problems == []
    context.close()


def axe() -> Path | None:
    """The script of axe-core, of the folder that CBIRLAB_AXE names or of npm's own."""
    folders = [os.environ.get("CBIRLAB_AXE", "")]
    if npm := shutil.which("npm"):
        folders += [
            subprocess.run([npm, "root", *more], capture_output=True, text=True).stdout.strip() for more in ([], ["-g"])
        ]
    found = (Path(folder) / name for folder in folders if folder for name in ("axe.min.js", "axe-core/axe.min.js"))
    return next((path for path in found if path.is_file()), None)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [420, 1280])
def test_axe_finds_nothing_serious(opened, theme, width):
    if not (script := axe()):
        pytest.skip("needs axe-core: npm install -g axe-core, or name its folder in CBIRLAB_AXE")
    page = opened(width, 900, color_scheme=theme)
    page.get_by_role("button", name="Compare A | B").click()
    page.locator("summary").click()
    page.evaluate(script.read_text(encoding="utf-8"))
    found = page.evaluate(
        "async () => (await axe.run()).violations.map((one) => [one.impact, one.id, one.nodes[0].html])"
    )
    assert [one for one in found if one[0] in ("serious", "critical")] == []
