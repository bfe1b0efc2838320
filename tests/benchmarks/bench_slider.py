"""From a moved slider to 24 thumbnails painted, beside a bare text label changed by the same slider in the same run.

    python tests/benchmarks/bench_slider.py [--moves 40] [--dataset toytown] [--weights FILE] [--rerank decay]

For each control, moves alternate in blocks between the two: with the label, the panel stands still and only one word
changes; with the gallery, the whole panel follows. The clock starts at the key press and stops two animation frames
after the new word, or after all 24 pictures of the new ranking are decoded. The panel offers MAC, SPoC and GeM, which
sessions prepare. Rankings are computed anew at every move (the session's memory of earlier rankings is emptied);
thumbnails are in the page, as they are after a few seconds. With `--rerank`, only its first parameter moves; the
limit is for the median, and the milliseconds until the mAP of all queries is there are printed too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.lab import OpenNotebook, running_browser, running_lab, why_not, write_notebook

from cbirlab.reranking import Reranking

BLOCKS = 4
CONTROLS = {  # p needs GeM and dimensions need whitening, so the two that switch these off come last
    "tap": ("tap", "ArrowLeft", "ArrowRight"),
    "p": ("GeM p", "ArrowLeft", "ArrowRight"),
    "dimensions": ("dimensions", "ArrowLeft", "ArrowRight"),
    "pooling": ("pooling", "ArrowUp", "ArrowDown"),
    "whitening": ("whitening", "ArrowUp", "ArrowDown"),
}
MENUS = ("pooling", "whitening")
PANEL = ".cbirlab-panel"
CODE = """
import time

import ipywidgets

from cbirlab.live.slider_stops import slider_stops
from cbirlab.live import Session
from cbirlab.widgets import Explorer

prepared = slider_stops(["mac", "spoc", "gem"])
session = Session({dataset!r}, "toynet", weights={weights!r}, aggregations=prepared)
session.prepare(progress=False)
session.learn_ahead()
session.wait(600)
chain = {rerank!r}
panel = Explorer(session, start={{"stages": {{"rerank": chain}}}} if chain else None)
moving = [*panel.controls.widgets]
told = ipywidgets.Label("").add_class("told")
if chain:
    panel.a.search.selected_index = 0
    moving = [*panel.a.search.fields["rerank"].steps[0].parameters.values()]
    panel.metrics.observe(lambda _: setattr(told, "value", str(time.monotonic_ns())), names="value")
label = ipywidgets.Label("0").add_class("bare-label")
bare = ipywidgets.ToggleButton(description="bare label")
spent = []

def moved(_change):
    if bare.value:
        label.value = str(time.monotonic_ns())
    else:
        session._runs = type(session._runs)(256)

for control in moving:
    control.observe(moved, names="value")
bare.observe(lambda change: setattr(panel, "live", not change.new), names="value")
ipywidgets.VBox([ipywidgets.HBox([bare, label, *([told] if chain else [])]), panel])
"""
# Gives the milliseconds to the painted label, or to the painted gallery and, where there is a ".told", to its new word.
PROBE = """([live, event]) => {
  const grid = document.querySelector(".cbirlab-panel .cbirlab-grid");
  const [label, told] = [document.querySelector(".bare-label"), document.querySelector(".told")];
  const now = () => live ? grid.dataset.serial : label.textContent;
  const [before, toldBefore] = [now(), told?.textContent];
  let start = null;
  document.addEventListener(event, () => { start ??= performance.now(); }, { capture: true, once: true });
  const frame = () => new Promise(requestAnimationFrame);
  const until = async (reached) => {
    while (!reached()) {
      if (start !== null && performance.now() - start > 5000) throw new Error("nothing was painted within 5 s");
      await frame();
    }
  };
  const elapsed = async () => (await frame(), await frame(), performance.now() - start);
  const watch = async () => {
    await until(() => start !== null && now() !== before);
    if (!live) return [await elapsed()];
    const images = () => [...grid.querySelectorAll("img")];
    const complete = () => images().length === 24 && images().every((image) => image.complete);
    await until(() => grid.dataset.state === "ready" && complete());
    await Promise.all(images().map((image) => image.decode()));
    const times = [await elapsed()];
    if (told) {
      await until(() => told.textContent !== toldBefore);
      times.push(await elapsed());
    }
    return times;
  };
  window.painted = watch().catch(() => null);
}"""


def main() -> int:
    """Measure and print; exit status 1 if a ratio is above the limit."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moves", type=int, default=40, help="moves per control, for label and gallery each")
    options.add_argument("--dataset", default="toytown")
    options.add_argument("--weights")
    options.add_argument("--rerank", help="move the first parameter of this re-ranking instead of the other controls")
    options.add_argument("--limit", type=float, default=1.5, help="largest ratio of the 95th percentiles")
    given = options.parse_args()
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    with opened(CODE.format(dataset=given.dataset, weights=given.weights, rerank=given.rerank)) as page:
        if given.rerank:
            name = Reranking.parse(given.rerank).params[0][0]
            ratios = measure(page, given.moves, {name: (name, "ArrowLeft", "ArrowRight")}, share=50)
        else:
            ratios = measure(page, given.moves)
    return int(max(ratios) > given.limit)


@contextmanager
def opened(code: str, width: int = 1440) -> Iterator[Any]:
    """The page of a notebook with this one cell, which has been run."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        write_notebook(folder / "bench.ipynb", code)
        with running_lab(folder, Path(scratch)) as address, running_browser() as browser:
            page = browser.new_context(viewport={"width": width, "height": 1300}).new_page()
            OpenNotebook(page, address.format(path="bench.ipynb")).run_all()
            yield page


def measure(page, moves: int, controls=CONTROLS, share: int = 95) -> list[float]:
    """Print one line per control and give the ratios of a percentile."""
    page.locator(PANEL).first.scroll_into_view_if_needed()
    page.wait_for_selector(".cbirlab-panel .cbirlab-grid[data-state=ready]")
    page.wait_for_timeout(12_000)  # thumbnails are sent from the background meanwhile
    ratios = []
    print(f"{'control':>11} {'label p50':>10} {'p95':>6} {'gallery p50':>12} {'p95':>6} {'ratio':>6}   (milliseconds)")
    for name, (caption, back, forth) in controls.items():
        keys = walk(page, caption, back, forth)
        times, judged = {False: [], True: []}, []
        for _ in range(BLOCKS):
            for live in (False, True):
                switch(page, live)
                found = [move(page, caption, next(keys), live) for _ in range(-(-moves // BLOCKS))]
                times[live] += [one[0] for one in found]
                judged += [one[1] for one in found if len(one) > 1]
        bare, gallery = times[False], times[True]
        ratios.append(percentile(gallery, share) / percentile(bare, share))
        written = f"{percentile(bare, 50):10.0f} {percentile(bare, 95):6.0f} {percentile(gallery, 50):12.0f}"
        print(f"{name:>11} {written} {percentile(gallery, 95):6.0f} {ratios[-1]:6.2f}   n = {len(gallery)}", flush=True)
        if judged:
            print(f"{'judged':>11} {percentile(judged, 50):31.0f} {percentile(judged, 95):6.0f}")
    return ratios


def walk(page, caption: str, back: str, forth: str) -> Iterator[str]:
    """Keys that lead from the present stop to one end and to the other, again and again: none is without effect."""
    stops = stops_of(page, caption)
    here, step = stops["at"], -1
    while True:
        if not 0 <= here + step < stops["count"]:
            step = -step
        here += step
        yield back if step < 0 else forth


def stops_of(page, caption: str) -> dict[str, int]:
    """How many stops a control has and where it stands."""
    handle = focusable(page, caption)
    if caption in MENUS:
        return handle.evaluate("menu => ({at: menu.selectedIndex, count: menu.length})")
    low, high, at = (float(handle.get_attribute(f"aria-value{part}")) for part in ("min", "max", "now"))
    step = 0.5 if caption == "GeM p" else 1
    return {"at": round((at - low) / step), "count": round((high - low) / step) + 1}


def focusable(page, caption: str):
    """What takes the keys of a control."""
    row = page.locator(".cbirlab-panel .widget-inline-hbox", has=page.get_by_text(caption, exact=True))
    return row.locator("select" if caption in MENUS else ".noUi-handle")


def switch(page, live: bool) -> None:
    """Let the panel follow, or stand still with the label alone."""
    button = page.get_by_role("button", name="bare label")
    pressed = "mod-active" in (button.get_attribute("class") or "")
    if pressed == live:
        button.click()
        page.wait_for_timeout(800)


def move(page, caption: str, key: str, live: bool) -> list[float]:
    """One move in milliseconds: to the label, or to the gallery and to the word that follows it, where there is one."""
    focusable(page, caption).focus()
    page.evaluate(PROBE, [live, "keydown"])
    page.keyboard.press(key)
    taken = page.evaluate("() => window.painted")
    if taken is None:
        page.screenshot(path=Path(tempfile.gettempdir()) / "cbirlab-bench.png")
        raise TimeoutError(f"{caption}: nothing was painted within 5 s of {key} ({'gallery' if live else 'label'})")
    page.wait_for_timeout(150)
    return taken


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


if __name__ == "__main__":
    sys.exit(main())
