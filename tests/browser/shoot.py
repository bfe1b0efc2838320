"""Screenshots of the notebooks as they are: each is run in JupyterLab, and every cell that shows a picture is kept.

    python tests/browser/shoot.py [--themes Light Dark] [--widths 1400 700] [1_layers 9_maps ...]

They lie in `tests/browser/shots/notebooks` for looking at; no test reads them. Descriptors are kept where
`CBIRLAB_STORE` says, so a second time is faster.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser.lab import REPOSITORY, OpenNotebook, running_browser, running_lab, why_not

SHOTS = Path(__file__).parent / "shots" / "notebooks"
SETTLE, SETTLE_AGAIN = 4.0, 1.0  # seconds in which what follows the pictures is computed, and drawn anew
HEIGHT = 1900
SHOWN = """window.jupyterapp.shell.currentWidget.content.widgets.map((cell, place) => [cell, place])
    .filter(([cell]) => cell.model.type === "code" && cell.model.outputs.toJSON().some((output) =>
        Object.keys(output.data ?? {}).some((kind) => kind.includes("widget-view") || kind.includes("image/"))))
    .map(([, place]) => place)"""


def main() -> int:
    """Run, look, and say how long each took."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("names", nargs="*", help="notebooks, without .ipynb; by default all")
    options.add_argument("--themes", nargs="+", default=["Light", "Dark"], choices=["Light", "Dark"])
    options.add_argument("--widths", nargs="+", type=int, default=[1400, 700])
    given = options.parse_args()
    if why_not():
        print(f"skipped: {why_not()}")
        return 0
    SHOTS.mkdir(parents=True, exist_ok=True)
    names = given.names or sorted((path.stem for path in (REPOSITORY / "notebooks").glob("*.ipynb")), key=by_number)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "notebooks"
        shutil.copytree(REPOSITORY / "notebooks", root)
        with running_lab(root, Path(scratch)) as address, running_browser() as browser:
            for name in names:
                page = browser.new_context(viewport={"width": given.widths[0], "height": HEIGHT}).new_page()
                start = time.monotonic()
                notebook = OpenNotebook(page, address.format(path=f"{name}.ipynb"))
                notebook.run_all(milliseconds=900_000)
                print(f"{name}: {time.monotonic() - start:.0f} s; complaints: {notebook.complaints()}", flush=True)
                shoot(notebook, name, given.themes, given.widths)
                page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
                page.context.close()
    return 0


def by_number(name: str) -> int:
    """The order of the notebooks."""
    return int(name.split("_")[0])


def shoot(notebook: OpenNotebook, name: str, themes: list[str], widths: list[int]) -> None:
    """A picture of every cell that shows one, in every theme and width."""
    page, seen = notebook.page, set()
    for width, theme in itertools.product(widths, themes):
        page.set_viewport_size({"width": width, "height": HEIGHT})
        notebook.theme(f"JupyterLab {theme}")
        for place in page.evaluate(SHOWN):
            notebook.scroll_to(place)
            cell = page.locator(f".jp-Cell[data-windowed-list-index='{place}'] .jp-Cell-outputWrapper")
            cell.wait_for(state="visible")
            page.wait_for_timeout(int(1000 * (SETTLE_AGAIN if place in seen else SETTLE)))
            seen.add(place)
            cell.screenshot(path=SHOTS / f"{name}-{place:02}-{width}-{theme.lower()}.png")


if __name__ == "__main__":
    sys.exit(main())
