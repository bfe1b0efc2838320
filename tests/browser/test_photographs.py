"""The workbench on photographs of DVD covers with real weights: what is shown is measured, and all is linked."""

from __future__ import annotations

import json
from pathlib import Path

from browser.lab import expect
from browser.test_workbench import BENCH, GRID, MAP, PAPER, choose, ids, wait_for_change, wait_for_title

COVERS, CAMERAS = 20, 3


def test_photographs_are_ranked_marked_and_measured(covers, shot):
    page = covers.page
    page.locator(f"{BENCH} .cbirlab-strip").scroll_into_view_if_needed()
    rows = page.locator(f"{BENCH} .cbirlab-metrics tr")
    expect(rows).to_have_count(2)
    expect(page.locator(MAP)).to_have_attribute("data-points", str(COVERS * CAMERAS * 2))
    expect(page.locator(f"{GRID} .cbirlab-tile[data-mark='positive']").first).to_be_visible()
    page.wait_for_function(
        f"() => [...document.querySelectorAll('{GRID} img')].every(image => image.complete && image.naturalWidth > 0)"
    )
    shot(page, "covers")
    page.get_by_role("button", name="Pin this setting").click()
    expect(page.locator(".cbirlab-comparison tr")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON recipes").click()
    (row,) = json.loads(Path(download.value.path()).read_text())
    assert f"{row['map']:.3f}" == rows.nth(1).locator("strong").inner_text()
    assert row["recipe"]["backbone"] == "mobilenet_v2"


def test_a_result_a_setting_and_a_part_are_asked(covers, shot):
    page = covers.page
    row = ids(page)[0]
    page.locator(f"{GRID} .cbirlab-tile").first.click()
    wait_for_title(page, f"Database image {row}")
    before = ids(page)
    choose(page, "pooling", "MAC")
    wait_for_change(page, before)
    frame = page.locator(PAPER).bounding_box()
    page.mouse.move(frame["x"] + 0.2 * frame["width"], frame["y"] + 0.2 * frame["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + 0.8 * frame["width"], frame["y"] + 0.6 * frame["height"], steps=5)
    page.mouse.up()
    wait_for_title(page, "Part of database image")
    expect(page.locator(f"{BENCH} .cbirlab-error")).to_have_count(0)
    shot(page, "covers-part")


def test_the_page_complains_of_nothing(covers):
    assert covers.complaints() == []
