"""One JupyterLab and one Chromium for all browser tests of a session; each file has its notebook and kernel."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from fake_session import write_toytown_form

from browser.lab import REPOSITORY, OpenNotebook, running_browser, running_lab, why_not, write_notebook

SHOTS = Path(__file__).parent / "shots"
GALLERY_READY = ".cbirlab-panel .cbirlab-grid[data-state=ready]"
FIRST_USE = """
from cbirlab.store import Store
from cbirlab.widgets import explore

explore({towers!r}, "toynet", store=Store({store!r}))
"""

PANELS_SETUP = """
import sys

sys.path.insert(0, {tests!r})

from fake_session import with_pairs

from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.store import Store
from cbirlab.widgets.looking import CodeBeside, HammingBall, ITQSteps, MatchView, Missed, PoolingView, PQCells
from cbirlab.widgets.looking import DiffusionHeat, InlierView, MutualGrid, QueryPath, RerankBeside
from cbirlab.widgets.looking import WhiteningLab, WinLoss
from cbirlab.widgets.panels.probe_panel import BreaksPanel, ProbePanel

session = Session(with_pairs(load_dataset({towers!r})), "toynet", "random", store=Store({store!r}))
session.prepare(progress=False)
"""
PANELS = {  # in the order of their cells, and what each is given beside the session
    "PoolingView": "",
    "MatchView": "",
    "WhiteningLab": "",
    "WinLoss": "",
    "Missed": ", first=5",
    "ProbePanel": "",
    "BreaksPanel": ', [("stem", "gem(p=3)")]',
    "HammingBall": ', compression="itq(bits=16)"',
    "PQCells": "",
    "ITQSteps": "",
    "CodeBeside": ', compression="itq(bits=8)"',
    "RerankBeside": "",
    "QueryPath": ', rerank="aqe(k=3)"',
    "DiffusionHeat": "",
    "MutualGrid": ", k1=6",
    "InlierView": ", shown=8",
}

COVERS_CODE = """
from cbirlab.datasets.folder import folder
from cbirlab.store import Store
from cbirlab.widgets import Workbench

covers = folder({covers!r}, train={train!r}, image_size=160)
Workbench(covers, "mobilenet_v2", weights={weights!r}, backbones=["mobilenet_v2"], store=Store({store!r}), shown=12)
"""
COVERS, CAMERAS = 20, ("Reference", "Canon", "Palm")


def pytest_collection_modifyitems(items):
    reason = why_not()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if reason:
                item.add_marker(pytest.mark.skip(reason=reason))


def copy_tour(folder: Path) -> None:
    """The notebook as it is, or on other data: CBIRLAB_TOUR_PARAMETERS="DATASET, WEIGHTS = 'folder', 'random'"."""
    notebook = nbformat.read(REPOSITORY / "notebooks" / "0_tour.ipynb", as_version=4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source += "\n" + os.environ.get("CBIRLAB_TOUR_PARAMETERS", "")
    nbformat.write(notebook, folder / "0_tour.ipynb")


def write_first_use(folder: Path) -> None:
    """A panel on a few drawn pictures with an empty store."""
    towers = write_toytown_form(folder / "towers")
    code = FIRST_USE.format(towers=str(towers), store=str(folder / "store"))
    write_notebook(folder / "first_use.ipynb", code)


def write_panels(folder: Path) -> None:
    """Every panel that looks into a method, a cell each, on drawn towers and random weights."""
    towers = write_toytown_form(folder / "pairs" / "towers")
    setup = PANELS_SETUP.format(tests=str(REPOSITORY / "tests"), towers=str(towers), store=str(folder / "panels-store"))
    shown = [f'{name}(session{more}).add_class("{name}")' for name, more in PANELS.items()]
    write_notebook(folder / "panels.ipynb", setup, *shown)


def write_covers(folder: Path, data: Path) -> None:
    """A workbench on 60 photographs: 20 DVD covers by three cameras; the whitening learns on 40 other covers."""
    for number in range(1, 2 * COVERS + 21):
        for camera in CAMERAS:
            picture = data / "benchmarks" / "smvs_dvd_covers" / "images" / camera / f"{number:03}.jpg"
            target = folder / "covers" / f"dvd{number:03}" if number <= COVERS else folder / "other-covers"
            if number <= COVERS or camera == "Reference":
                target.mkdir(parents=True, exist_ok=True)
                shutil.copy(picture, target / f"{number:03}-{camera}.jpg")
    weights = data / "weights" / "mobilenet_v2_tf" / "mobilenet_v2_tfq_tv-9485bbf4.pth"
    places = {"covers": folder / "covers", "train": folder / "other-covers", "store": folder / "covers-store"}
    code = COVERS_CODE.format(weights=str(weights), **{name: str(place) for name, place in places.items()})
    write_notebook(folder / "covers.ipynb", code)


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """Opens a notebook of the lab by name and runs it."""
    scratch, root = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("notebooks")
    with running_lab(root, scratch) as address, running_browser() as browser:

        def opened(name: str, *, run: bool = True, **options: Any) -> OpenNotebook:
            given = {"viewport": {"width": 1440, "height": 1300}, "accept_downloads": True} | options
            notebook = OpenNotebook(browser.new_context(**given).new_page(), address.format(path=name))
            if run:
                notebook.run_all()
            return notebook

        opened.folder = root
        yield opened


@contextlib.contextmanager
def open_notebook(page_of: Any, name: str, ready: str = GALLERY_READY, **options: Any) -> Iterator[OpenNotebook]:
    """A notebook that was run, and shows what it is ready with; its kernel ends with it."""
    notebook = page_of(name, **options)
    try:
        notebook.page.wait_for_selector(ready, timeout=60_000)
        yield notebook
    finally:
        notebook.close()


@pytest.fixture(scope="module")
def tour(page_of):
    """The first notebook, opened and run."""
    copy_tour(page_of.folder)
    with open_notebook(page_of, "0_tour.ipynb") as notebook:
        yield notebook


@pytest.fixture(scope="module")
def first_use(page_of):
    """A panel on few pictures, of which only MAC, SPoC and GeM are computed."""
    write_first_use(page_of.folder)
    with open_notebook(page_of, "first_use.ipynb") as notebook:
        yield notebook


@pytest.fixture(scope="module")
def panels(page_of):
    """A notebook of all panels that look into a method."""
    write_panels(page_of.folder)
    with open_notebook(page_of, "panels.ipynb", ".PoolingView img") as notebook:
        yield notebook


@pytest.fixture(scope="module")
def covers(page_of):
    """A workbench on photographs with a network that knows photographs."""
    data = os.environ.get("CBIRLAB_TEST_DATA")
    if not data:
        pytest.skip("CBIRLAB_TEST_DATA names no folder with real weights and photographs")
    write_covers(page_of.folder, Path(data))
    with open_notebook(page_of, "covers.ipynb") as notebook:
        yield notebook


@pytest.fixture(scope="session")
def shot():
    """Keeps a screenshot by name."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SHOTS / f"{name}.png")
