"""The workbench in JupyterLab: moves to gallery and table, memory over many moves, a large map panned.

    python tests/benchmarks/bench_workbench.py [--moves 40] [--growth 500] [--points 20000] [--dataset toytown]

1. For each control, moves alternate in blocks between a bare text label, with the panel standing still, and the panel,
   as in `bench_slider.py`: milliseconds to the painted gallery, and to the painted table of mAPs, which follows it.
   Menus are walked through once before, since a whitening is learned when it is first chosen; the longest is printed.
2. Resident memory of the kernel and live JavaScript of the page while the controls go to and fro, in fifths.
3. Frames per second of a map under the pointer, as in `bench_map.py`.

Exit status 1 if a gallery's 95th percentile is above the limit times the label's, if memory grows by more than the
limit over the last four fifths of the moves, or if a panned map has too few frames per second.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import bench_map
import psutil
from bench_slider import BLOCKS, CONTROLS, MENUS, PANEL, move, opened, percentile, stops_of, switch, walk
from browser.lab import why_not

GROWTH_LIMIT = 20.0  # MiB of kernel or page
CODE = """
import os
import time

import ipywidgets

from cbirlab.live.slider_stops import slider_stops
from cbirlab.live import Session
from cbirlab.widgets import Workbench

session = Session({dataset!r}, "toynet", weights={weights!r}, aggregations=slider_stops(["mac", "spoc", "gem"]))
session.prepare(progress=False)
session.learn_ahead()
session.wait(600)
panel = Workbench(session, backbones=["toynet"])
label = ipywidgets.Label("0").add_class("bare-label")
told = ipywidgets.Label("0").add_class("told")
kernel = ipywidgets.Label(str(os.getpid())).add_class("kernel")
bare = ipywidgets.ToggleButton(description="bare label")
numbers = panel._update._afterwards

def moved(_change):
    if bare.value:
        label.value = str(time.monotonic_ns())
    else:
        session._runs = type(session._runs)(256)

def numbers_and_word():
    numbers()
    told.value = str(time.monotonic_ns())

panel._update._afterwards = numbers_and_word
for control in panel.a.controls.widgets:
    control.observe(moved, names="value")
bare.observe(lambda change: setattr(panel, "live", not change.new), names="value")
ipywidgets.VBox([ipywidgets.HBox([bare, label, told, kernel]), panel])
"""
UMAP_THERE = "() => document.querySelector('.cbirlab-scatter .cbirlab-title').innerText.startsWith('UMAP')"


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--moves", type=int, default=40, help="moves per control, for label and panel each")
    options.add_argument("--growth", type=int, default=500, help="moves over which memory is watched")
    options.add_argument("--points", type=int, default=20_000, help="of the map that is panned")
    options.add_argument("--dataset", default="toytown")
    options.add_argument("--weights")
    options.add_argument("--limit", type=float, default=1.3, help="largest ratio of the 95th percentiles")
    given = options.parse_args()
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    with opened(CODE.format(dataset=given.dataset, weights=given.weights), width=1600) as page:
        settle(page)
        ratio = timed(page, given.moves) if given.moves else 0.0
        grown = grows(page, given.growth) if given.growth else 0.0
    slow = bench_map.panned(given.points) if given.points else 0
    return int(ratio > given.limit or grown > GROWTH_LIMIT or bool(slow))


def settle(page) -> None:
    """Wait until the first map is there and the thumbnails are sent."""
    page.locator(PANEL).first.scroll_into_view_if_needed()
    page.wait_for_selector(f"{PANEL} .cbirlab-grid[data-state=ready]")
    page.wait_for_function(UMAP_THERE, timeout=180_000)
    page.wait_for_timeout(12_000)


def timed(page, moves: int) -> float:
    """Print one line per control, and give the largest ratio of a gallery's 95th percentile to the label's."""
    heads = ("label", "gallery", "table", "gallery/label", "table/label")
    print(f"{'control':>11}{''.join(f'{head:>14}' for head in heads)}   (ms, p50/p95; ratios of p95)")
    ratios = []
    for name, (caption, back, forth) in CONTROLS.items():
        keys = walk(page, caption, back, forth)
        if caption in MENUS:  # a whitening is learned when it is first chosen, which is no move between two
            switch(page, True)
            first = [move(page, caption, next(keys), True)[0] for _ in range(2 * stops_of(page, caption)["count"])]
            print(f"{name:>11} first choices up to {max(first):.0f} ms")
        bare, panel = [], []
        for _ in range(BLOCKS):
            for live, times in ((False, bare), (True, panel)):
                switch(page, live)
                times += [move(page, caption, next(keys), live) for _ in range(-(-moves // BLOCKS))]
        label, gallery, table = ([one[place] for one in times] for times, place in ((bare, 0), (panel, 0), (panel, 1)))
        written = [f"{percentile(times, 50):.0f}/{percentile(times, 95):.0f}" for times in (label, gallery, table)]
        behind = [percentile(times, 95) / percentile(label, 95) for times in (gallery, table)]
        ratios.append(behind[0])
        cells = "".join(f"{cell:>14}" for cell in (*written, *(f"{ratio:.2f}" for ratio in behind)))
        print(f"{name:>11}{cells}   n = {len(table)}", flush=True)
    return max(ratios)


def grows(page, moves: int) -> float:
    """Print memory in fifths of the moves, and give the larger growth of kernel and page since the first in MiB."""
    switch(page, True)
    kernel = psutil.Process(int(page.locator(".kernel").inner_text()))
    inspector = page.context.new_cdp_session(page)
    print(f"\n{'moves':>6} {'kernel MiB':>11} {'page MiB':>9} {'DOM nodes':>10}")
    measured = [memory(kernel, inspector)]
    report(0, measured)
    walks = itertools.cycle([(CONTROLS[name][0], walk(page, *CONTROLS[name])) for name in ("tap", "p")])
    for number in range(1, moves + 1):
        caption, keys = next(walks)
        move(page, caption, next(keys), live=True)
        if number % max(1, moves // 5) == 0:
            page.wait_for_timeout(2000)
            measured.append(memory(kernel, inspector))
            report(number, measured)
    first, last = measured[min(1, len(measured) - 1)], measured[-1]
    return max(last[0] - first[0], last[1] - first[1])


def memory(kernel: psutil.Process, inspector) -> tuple[float, float, int]:
    """MiB of the kernel, MiB of the page's living JavaScript, nodes in the page."""
    inspector.send("HeapProfiler.collectGarbage")
    inspector.send("Performance.enable")
    found = {one["name"]: one["value"] for one in inspector.send("Performance.getMetrics")["metrics"]}
    return kernel.memory_info().rss / 2**20, found["JSHeapUsedSize"] / 2**20, int(found["Nodes"])


def report(moves: int, measured: list[tuple[float, float, int]]) -> None:
    """Print the last measurement."""
    rss, heap, nodes = measured[-1]
    print(f"{moves:>6} {rss:>11.1f} {heap:>9.1f} {nodes:>10}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
