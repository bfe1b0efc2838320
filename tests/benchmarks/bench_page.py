"""The page to share: its size, how fast it opens, and how many frames lie between a slider's move and the gallery.

    python tests/benchmarks/bench_page.py [--moves 40] [--dataset toytown] [--out page.html]

Toytown with 5 taps, 19 stops of GeM's p and 2 whitenings, first 50 results of 96 queries. The file is opened without a
network. Opening is timed from the start of the navigation to a gallery with all its pictures. A move is timed from the
key press to the end of the script that draws, and in frames: in the first frame after the key, the gallery must be the
new one with all its pictures there. The rankings of 50 random settings and queries are compared with the session's.
Exit status 1 if the page is larger than 15 MB, opens in more than 2 s (the best of some, since other programs run too),
needs more than one frame at the median, or shows another ranking.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.lab import running_browser, why_not

from cbirlab.live import Session
from cbirlab.widgets.parts.question import Question
from cbirlab.widgets.shared_page import save_page
from cbirlab.widgets.shared_page.choosing import choose, lay_out

LARGEST_MB, SLOWEST_MS, SHOWN, COMPARED = 15.0, 2000.0, 50, 50
VALUES = {"aggregations": ["gem"], "whitenings": ["none", "pca"]}
OPENED = """new MutationObserver(() => {
    const grid = document.querySelector(".cbirlab-grid");
    const images = grid ? [...grid.querySelectorAll("img")] : [];
    const ready = grid?.dataset.state === "ready" && images.every((image) => image.complete);
    if (ready) window.openedAt ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });"""
PROBE = """() => {
    const grids = [...document.querySelectorAll(".cbirlab-columns .cbirlab-gallery")];
    const serials = () => grids.map((grid) => grid.dataset.serial).join();
    const before = serials();
    let [start, scripted] = [null, null];
    document.addEventListener("keydown", () => { start ??= performance.now(); }, { capture: true, once: true });
    document.addEventListener("input", () => { scripted = performance.now(); }, { once: true }); // after the page's own
    const frame = () => new Promise(requestAnimationFrame);
    window.painted = (async () => {
        while (start === null) await frame();
        const loaded = (grid) => [...grid.querySelectorAll("img")].every((image) => image.complete);
        const there = () => serials() !== before && grids.every(loaded);
        let frames = 1;
        for (; !there() && frames < 100; frames++) await frame();
        return [scripted - start, frames];
    })();
}"""
RANKED = """([positions, question]) => {
    const { page } = document.getElementById("page");
    page.question = question;
    page.sides[0].controls.show(positions);
    page.ask();
    return [...document.querySelectorAll(".cbirlab-grid .cbirlab-tile")].map((tile) => Number(tile.dataset.id));
}"""


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moves", type=int, default=40, help="of each slider, alone and side by side")
    options.add_argument("--dataset", default="toytown")
    options.add_argument("--out", help="keep the page")
    given = options.parse_args()
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    session = Session(given.dataset, "toynet")
    session.prepare()
    values = {"taps": session.taps[:5], **VALUES}
    with tempfile.TemporaryDirectory() as scratch, running_browser() as browser:
        begun = time.perf_counter()
        path = save_page(given.out or Path(scratch) / "page.html", session, shown=SHOWN, **values)
        size = path.stat().st_size / 1e6
        print(f"size {size:.1f} MB, written in {time.perf_counter() - begun:.0f} s")
        slow = opened(browser, path) > SLOWEST_MS
        page = new_page(browser, path)
        page.wait_for_selector("#page[data-pictures=all]")
        many = moved(page, given.moves)
        wrong = compared(page, session, values)
    return int(size > LARGEST_MB or slow or many > 1 or wrong > 0)


def new_page(browser, path: Path):
    """The page in a window of its own, offline."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, offline=True)
    context.add_init_script(OPENED)
    page = context.new_page()
    page.goto(path.resolve().as_uri())
    page.wait_for_function("window.openedAt")
    return page


def opened(browser, path: Path, times: int = 5) -> float:
    """Print and give the milliseconds to the first gallery."""
    taken = []
    for _ in range(times):
        page = new_page(browser, path)
        taken.append(page.evaluate("window.openedAt"))
        page.context.close()
    print(f"opens in {min(taken):.0f} ms (median {median(taken):.0f}, n = {times})")
    return min(taken)


def moved(page, moves: int) -> float:
    """Print one line per slider, and give the largest median of frames."""
    most = 0.0
    print(f"{'slider':>14} {'script p50':>11} {'p95':>5} {'frames p50':>11} {'p95':>4}   (milliseconds)")
    for beside in (False, True):
        if beside:
            page.get_by_role("button", name="Compare A | B").click()
        for name in ("tap", "GeM p"):
            slider = page.get_by_role("slider", name=name, exact=True)
            slider.focus()
            stops = int(slider.get_attribute("max"))
            here, step, found = int(slider.input_value()), -1, []
            for _ in range(moves):
                step = -step if not 0 <= here + step <= stops else step
                here += step
                page.evaluate(PROBE)
                page.keyboard.press("ArrowLeft" if step < 0 else "ArrowRight")
                found.append(page.evaluate("window.painted"))
                page.wait_for_timeout(120)
            script, frames = (sorted(one[at] for one in found) for at in (0, 1))
            late = -(-len(found) * 95 // 100) - 1
            label = f"{name} A | B" if beside else name
            print(f"{label:>14} {median(script):11.1f} {script[late]:5.1f} {median(frames):11.0f} {frames[late]:4.0f}")
            most = max(most, median(frames))
    page.get_by_role("button", name="Compare A | B").click()
    return most


def compared(page, session: Session, values) -> int:
    """Print and give how many of some random rankings are not the session's."""
    plan, choice, wrong = lay_out(session, choose(session, **values)), random.Random(0), 0
    page.get_by_role("slider", name="results", exact=True).press("End")
    for _ in range(COMPARED):
        number, question = (
            choice.randrange(len(plan.settings)),
            Question(query=choice.randrange(len(session.dataset.queries))),
        )
        positions = [int(at) for at in next(zip(*(plan.numbers == number).nonzero(), strict=True))]
        ranking = question.rank(session, plan.settings[number])
        expected = question.results(session.dataset, ranking, shown=SHOWN).rows
        wrong += page.evaluate(RANKED, [positions, question.query]) != [*expected]
    print(f"rankings that are not those of the session: {wrong} of {COMPARED}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
