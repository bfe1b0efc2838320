"""From a picture of one's own to its ranked gallery, painted, in the workbench: the first one, others, and one again.

    python tests/benchmarks/bench_query.py [--pictures 8] [--dataset toytown] [--backbone toynet]

The clock starts when the file is chosen and stops two animation frames after all pictures of the new ranking are
decoded. The first picture is cold: the network has not run since its weights were loaded. The others are warm, each
another picture, and the last one is the first again, whose maps are kept. `--backbone` is described anew if the store
lacks it. Milliseconds; the kernel's own share, without the page, stands beside them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench_slider import PANEL, PROBE, opened, percentile
from browser.lab import why_not
from PIL import Image

from cbirlab.datasets import load_dataset
from cbirlab.live import Session

CODE = """
from cbirlab.widgets import Workbench

Workbench({dataset!r}, backbones=[{backbone!r}])
"""


def own_pictures(dataset: str, count: int, folder: Path) -> list[Path]:
    """Pictures that no dataset has: those of the dataset, mirrored, as JPEG files."""
    paths = []
    for number, path in enumerate(load_dataset(dataset).images[:: len(load_dataset(dataset).images) // count][:count]):
        paths.append(folder / f"own{number}.jpg")
        with Image.open(path) as image:
            image.convert("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(paths[-1], quality=95)
    return paths


def in_kernel(dataset: str, backbone: str, paths: list[Path]) -> list[float]:
    """The same without a page: milliseconds to the ranking of each picture."""
    session = Session(dataset, backbone)
    tap, found = session.default_tap, []
    session.make_ready(tap, "gem")
    for path in paths:
        start = time.perf_counter()
        session.rank_image(path, tap, "gem", "none")
        found.append(1000 * (time.perf_counter() - start))
    return found


def line(name: str, times: list[float]) -> str:
    cold, *warm, again = times
    usual = f"warm p50 {percentile(warm, 50):6.0f} p95 {percentile(warm, 95):6.0f}"
    return f"{name:>10} cold {cold:6.0f}   {usual}   again {again:6.0f}"


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pictures", type=int, default=8)
    options.add_argument("--dataset", default="toytown")
    options.add_argument("--backbone", default="toynet")
    given = options.parse_args()
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        paths = own_pictures(given.dataset, given.pictures, Path(folder))
        asked, times = [*paths, paths[0]], []
        print(line("kernel", in_kernel(given.dataset, given.backbone, asked)))
        with opened(CODE.format(dataset=given.dataset, backbone=given.backbone)) as page:
            page.wait_for_selector(f"{PANEL} .cbirlab-grid[data-state=ready]", timeout=600_000)
            page.wait_for_timeout(8_000)  # thumbnails are sent and whitenings learned meanwhile
            for path in asked:
                page.evaluate(PROBE, [True, "change"])
                page.locator(f"{PANEL} .cbirlab-region input[type=file]").first.set_input_files(path)
                times += page.evaluate("() => window.painted")
                page.wait_for_timeout(1_500)
        print(line("gallery", times))
    return 0


if __name__ == "__main__":
    sys.exit(main())
