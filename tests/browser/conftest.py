"""One JupyterLab, one Chromium and one run of the tour for all browser tests of a session."""

from __future__ import annotations

import os
from pathlib import Path

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


@pytest.fixture(scope="session")
def page_of(tmp_path_factory):
    """Opens a notebook of the lab by name, runs it, and waits for its panel."""
    scratch, root = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("notebooks")
    copy_tour(root)
    write_first_use(root)
    with running_lab(root, scratch) as address, running_browser() as browser:

        def opened(name: str) -> OpenNotebook:
            page = browser.new_context(viewport={"width": 1440, "height": 1300}, accept_downloads=True).new_page()
            notebook = OpenNotebook(page, address.format(path=name))
            notebook.run_all()
            page.wait_for_selector(GALLERY_READY, timeout=60_000)
            return notebook

        yield opened


@pytest.fixture(scope="session")
def tour(page_of):
    """The first notebook, opened and run."""
    return page_of("0_tour.ipynb")


@pytest.fixture(scope="session")
def first_use(page_of):
    """A panel on few pictures, of which only MAC, SPoC and GeM are computed."""
    return page_of("first_use.ipynb")


@pytest.fixture(scope="session")
def shot():
    """Keeps a screenshot by name."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SHOTS / f"{name}.png")
