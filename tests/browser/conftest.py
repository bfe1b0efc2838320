"""One JupyterLab, one Chromium and one run of the tour for all browser tests of a session."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest

from browser.lab import REPOSITORY, OpenNotebook, running_browser, running_lab, why_not

SHOTS = Path(__file__).parent / "shots"
GALLERY_READY = ".cbirlab-panel .cbirlab-grid[data-state=ready]"


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


@pytest.fixture(scope="session")
def tour(tmp_path_factory):
    """The first notebook, opened and run."""
    scratch, root = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("notebooks")
    copy_tour(root)
    with running_lab(root, scratch) as address, running_browser() as browser:
        page = browser.new_context(viewport={"width": 1440, "height": 1300}, accept_downloads=True).new_page()
        notebook = OpenNotebook(page, address.format(path="0_tour.ipynb"))
        notebook.run_all()
        page.wait_for_selector(GALLERY_READY, timeout=60_000)
        yield notebook


@pytest.fixture(scope="session")
def shot():
    """Keeps a screenshot by name."""
    SHOTS.mkdir(exist_ok=True)
    return lambda page, name: page.screenshot(path=SHOTS / f"{name}.png")
