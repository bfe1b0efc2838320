"""Maps: seconds per method and number of descriptors, and frames per second of a panned map in Chromium.

    python tests/benchmarks/bench_map.py [--rows 1000 5000 20000] [--width 512] [--methods pca umap] [--points 20000]

Each number of rows has a process of its own: its first map includes what numba compiles, its second does not. The map
is panned and zoomed by pointer events in an otherwise empty page, one event per frame, beside the same number of frames
in which nothing happens: what the page itself can do at most. It is coloured by groups, and then by numbers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from browser.lab import running_browser, why_not

GROUPS = 20
FRAMES = 120
ENOUGH = 30  # frames per second
STUB = """(given) => {
  document.body.innerHTML = "<div id=map style='width: 900px'></div>";
  const bytes = (numbers) => new DataView(numbers.buffer);
  const [points, groups] = [bytes(new Float32Array(given.points)), bytes(new Int16Array(given.groups))];
  const state = { ...given, points, groups };
  state.left_out = bytes(new Uint8Array(0));
  const heard = globalThis.heard = {};
  const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; },
                  on(name, act) { heard[name] = act; }, off() {}, send() {}, save_changes() {} };
  globalThis.widget.render({ model, el: document.getElementById("map") });
}"""
# One pointer event per frame; gives the milliseconds between frames and those spent in painting, or in sorting points.
PLAY = """async ([what, frames]) => {
  const map = document.getElementById("map");
  const canvas = map.querySelector(".cbirlab-scatter-stage > canvas");
  const box = canvas.getBoundingClientRect();
  const painter = map.painter;
  const paint = painter.paint.bind(painter);
  const spent = [];
  const timed = (act) => { const start = performance.now(); act(); spent.push(performance.now() - start); };
  if (what !== "colour") painter.paint = () => timed(paint);
  const fire = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type,
    { clientX: box.left + x, clientY: box.top + y, pointerId: 1, button: 0, bubbles: true }));
  canvas.setPointerCapture = () => {};
  const act = {
    nothing: () => {},
    pan: (i) => fire("pointermove", 450 + 300 * Math.sin(i / 9), 210 + 150 * Math.cos(i / 13)),
    zoom: (i) => canvas.dispatchEvent(new WheelEvent("wheel", { clientX: box.left + 450, clientY: box.top + 210,
      deltaY: i % 40 < 20 ? -60 : 60, ctrlKey: true, cancelable: true })),
    hover: (i) => fire("pointermove", 450 + 300 * Math.sin(i / 9), 210 + 150 * Math.cos(i / 13)),
    redraw: () => painter.repaint(),
    colour: () => timed(globalThis.heard["change:colours"]),
  }[what];
  const frame = () => new Promise(requestAnimationFrame);
  await frame(); await frame();
  if (what === "pan") fire("pointerdown", 450, 210);
  const before = painter.frames;
  const times = [];
  let last = await frame();
  for (let i = 0; i < frames; i++) { act(i); const now = await frame(); times.push(now - last); last = now; }
  const painted = painter.frames - before;
  if (what === "pan") fire("pointerup", 450, 210);
  painter.paint = paint;
  painter.plane.fit(); painter.repaint();
  await frame(); await frame();
  return { times, spent, painted };
}"""


def main() -> int:
    """Measure and print; exit status 1 if a panned map has fewer frames per second than enough."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, nargs="*", default=[1000, 5000, 20_000])
    options.add_argument("--width", type=int, default=512)
    options.add_argument("--methods", nargs="*", default=["pca", "umap"])
    options.add_argument("--points", type=int, default=20_000)
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        print(json.dumps(times_of(given.one, given.rows[0], given.width)))
        return 0
    if given.rows:
        print(f"{'method':>7} {'rows':>6} {'first s':>8} {'next s':>7} {'trust':>6} {'agree':>6} {'honesty s':>9}")
    for rows in given.rows:
        for method in given.methods:
            report_of(method, rows, given.width)
    return panned(given.points)


def clustered(rows: int, width: int) -> np.ndarray:
    """Descriptors around 20 centres."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(GROUPS, width))
    return (centres[np.arange(rows) % GROUPS] + random.normal(size=(rows, width))).astype(np.float32)


def report_of(method: str, rows: int, width: int) -> None:
    """Run one measurement in its own process and print its line."""
    command = [sys.executable, __file__, "--one", method, "--rows", str(rows), "--width", str(width)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(ran.stdout.splitlines()[-1])
    print(
        f"{method:>7} {rows:>6} {found['first']:>8.2f} {found['next']:>7.2f} {found['trustworthiness']:>6.3f} "
        f"{found['neighbour_agreement']:>6.3f} {found['honesty']:>9.2f}",
        flush=True,
    )


def times_of(method: str, rows: int, width: int) -> dict[str, float]:
    """Seconds of the first and the second map of a process, and of its measures."""
    from cbirlab.projection import honesty, project

    vectors = clustered(rows, width)
    seconds = []
    for seed in range(2):
        start = time.perf_counter()
        points = project(vectors, method, seed=seed).points
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    measured = honesty(vectors, points)
    return measured | {"first": seconds[0], "next": seconds[1], "honesty": time.perf_counter() - start}


def panned(points: int) -> int:
    """Frames per second of a map under the pointer."""
    if why_not():
        print(f"no frames measured: {why_not()}")
        return 0
    from cbirlab.widgets.parts.colouring import LEVELS, looks_of
    from cbirlab.widgets.parts.gallery import page_text
    from cbirlab.widgets.parts.scatter import SCRIPTS

    script = page_text(*SCRIPTS)
    script = script.replace("export default { render };", "globalThis.widget = { render };")
    random = np.random.default_rng(0)
    groups = np.arange(points) % GROUPS
    places = random.normal(size=(GROUPS, 2))[groups] * 4 + random.normal(size=(points, 2))
    state = {"store": "bench", "title": "bench", "height": 420, "labels": [], "highlight": [*range(24)], "current": 30}
    state |= {"names": [f"group {number}" for number in range(GROUPS)], "selected": [], "serial": 1, "picked": -1}
    state |= {"clicks": 0, "points": places.round(4).ravel().tolist(), "groups": groups.tolist(), "free": True}
    state |= {"looks": looks_of(groups, GROUPS), "scale": [], "levels": LEVELS, "notes": [], "colours": 1, "kept": []}
    by_numbers = {"names": [], "scale": ["low", "high"], "groups": (np.arange(points) % LEVELS).tolist()}
    by_numbers |= {"notes": [str(number) for number in range(points)]}
    slowest = 1e9
    with running_browser() as browser:
        page = browser.new_context(viewport={"width": 1000, "height": 700}).new_page()
        page.add_style_tag(content=page_text("widgets.css", "scatter.css"))
        page.add_script_tag(content=script, type="module")
        page.wait_for_function("() => globalThis.widget")
        for coloured, more in (("groups", {}), ("numbers", by_numbers)):
            page.evaluate(STUB, state | more)
            page.wait_for_function("() => document.getElementById('map').painter.frames > 0")
            print(
                f"\n{points} points by {coloured}, {FRAMES} frames each; milliseconds per frame, and spent in painting"
            )
            print(f"{'':>14} {'frames/s':>8} {'p50':>7} {'p95':>6} {'paint p50':>16} {'p95':>6} {'least':>6}")
            rates = {what: played(page, what) for what in ("nothing", "pan", "zoom", "hover", "redraw", "colour")}
            slowest = min(slowest, rates["pan"])
    return int(slowest < ENOUGH)


def played(page, what: str) -> float:
    """Print one line and give the frames per second."""
    found = page.evaluate(PLAY, [what, FRAMES])
    times, spent = sorted(found["times"]), sorted(found["spent"]) or [0.0]
    rate = 1000 * len(times) / sum(times)
    ends = [values[len(values) * percent // 100] for values in (times, spent) for percent in (50, 95)] + [spent[0]]
    print(
        f"{what:>14} {rate:>8.1f} {ends[0]:>7.1f} {ends[1]:>6.1f} {ends[2]:>16.1f} {ends[3]:>6.1f} {ends[4]:>6.1f}",
        flush=True,
    )
    return rate


if __name__ == "__main__":
    sys.exit(main())
