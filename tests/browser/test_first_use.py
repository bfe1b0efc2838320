"""Methods that no session prepares: chosen in the panel, they are computed on first use, and the panel says so."""

from __future__ import annotations

from browser.test_tour import PANEL, choose, ids, serial

HEAR = f"""() => {{
  window.said = [];
  const listen = () => document.querySelectorAll("{PANEL} [role=status]").forEach((one) => {{
    if (window.said.at(-1) !== one.innerText) window.said.push(one.innerText);
  }});
  new MutationObserver(listen).observe(document.querySelector("{PANEL}"), {{ childList: true, subtree: true }});
}}"""
NUMBERS = f"""() => document.querySelector("{PANEL}").innerText.includes("AP of this query")"""


def computed(page):
    """What was said to be computed, without how far it was."""
    return [*dict.fromkeys(text.split(", this once")[0] for text in page.evaluate("() => window.said"))]


def test_crow_attention_and_vlad_are_computed_when_chosen(first_use, shot):
    page = first_use.page
    page.locator(PANEL).scroll_into_view_if_needed()
    page.evaluate(HEAR)
    galleries = [ids(page)]
    for label, title, method in (
        ("pooling", "CroW", "crow(a=2, b=2)"),
        ("attention", "Centre prior", "gaussian(reach=3) > crow(a=2, b=2)"),
        ("pooling", "VLAD", "gaussian(reach=3) > vlad(k=64"),
    ):
        choose(page, label, title, 120_000)
        page.wait_for_function(NUMBERS, timeout=60_000)
        assert f"Computing {method}" in page.evaluate("() => window.said.at(-1)")
        galleries.append(ids(page))
        shot(page, f"first-use-{title}")
    assert len({tuple(one) for one in galleries}) == 4
    assert page.locator(f"{PANEL} .cbirlab-error").count() == 0
    asked = len(computed(page))
    choose(page, "attention", "None", 120_000)
    choose(page, "pooling", "CroW")
    assert len(computed(page)) == asked + 1, "VLAD alone is new, CroW is not"
    assert ids(page) == galleries[1]
    assert int(serial(page)) > 4
    assert first_use.complaints() == []
