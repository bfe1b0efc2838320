"""``cbirlab app``: the panel in a browser window of its own, without cells, through Voilà."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PANEL = "Workbench"
NOTEBOOK = "cbirlab.ipynb"
CODE = """from cbirlab.progress import listening
from cbirlab.widgets import {panel}

with listening(lambda what, done, total: None):  # Voilà shows a bar that was closed as an error
    panel = {panel}({arguments})
panel"""


def launch(dataset: str, backbone: str, weights: str | None, arguments: Sequence[str]) -> int:
    """Write the notebook and serve it until it is stopped.

    Raises
    ------
    ImportError : Voilà is not installed.
    UnknownName, WeightsError, ValueError : as loading the dataset and the backbone do.
    """
    try:
        from voila.app import Voila
    except ImportError as error:
        raise ImportError("the app is served by Voilà, which is not installed: pip install 'cbirlab[app]'") from error
    from cbirlab.extract.threads import wait_quietly

    wait_quietly()  # kernels inherit it
    prepare(dataset, backbone, weights)
    with tempfile.TemporaryDirectory(prefix="cbirlab-app-") as folder:
        path = Path(folder) / NOTEBOOK
        path.write_text(json.dumps(notebook(dataset, backbone, weights)), encoding="utf-8")
        Voila.launch_instance(argv=voila_arguments(path, arguments))
    return 0


def prepare(dataset: str, backbone: str, weights: str | None) -> None:
    """Describe the images here, where there are progress and errors to be seen; the page takes them from the store."""
    from cbirlab.session import Session

    Session(dataset, backbone, weights).prepare()


def notebook(dataset: str, backbone: str, weights: str | None = None) -> dict[str, Any]:
    """One cell with the panel. A folder is named in full, since the kernel runs elsewhere."""
    from cbirlab.datasets import DATASETS

    named = dataset if dataset in DATASETS else str(Path(dataset).expanduser().resolve())
    more = "" if weights is None else f", weights={_from_here(weights)!r}"
    code = CODE.format(panel=PANEL, arguments=f"{named!r}, {backbone!r}{more}")
    cell = {"cell_type": "code", "id": "panel", "metadata": {}, "execution_count": None, "outputs": [], "source": code}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"title": f"cbirlab: {Path(named).name}", "kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def voila_arguments(path: Path, arguments: Sequence[str]) -> list[str]:
    """Command line of Voilà; later arguments override earlier ones. It runs for root as for anyone."""
    return [str(path), "--show_tracebacks=True", *arguments]


def _from_here(weights: str) -> str:
    """A weights file in full; names of weights as they are."""
    from cbirlab.weights import file_and_part

    path, part = file_and_part(weights)
    return ":".join(filter(None, [str(path.resolve()), part])) if path.is_file() else weights
