"""``cbirlab app``: the panel in a browser window of its own, without cells, through Voilà."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cbirlab.backbones.names import USUAL
from cbirlab.base import downloads
from cbirlab.cli.options import at_least_one

VISITORS, IDLE_MINUTES = 8, 30
PANEL = "Opening"
NOTEBOOK = "cbirlab.ipynb"
CODE = """from cbirlab.widgets.panels.opening import {panel}

panel = {panel}({arguments})
panel"""


MORE = """
The page opens at once. On new images it first describes them all, shows how far that is and how long it will
take, and then opens the panel; later starts read the store. `cbirlab extract` describes them beforehand. The command
needs Voilà (pip install 'cbirlab[app]'); put options for Voilà after --:

  cbirlab app --dataset my/photos -- --no-browser --port 9999 --theme=dark

Each visitor has a process with the network in memory. Visitors cannot download networks, and see no tracebacks:
these are in the log, and with -- --show_tracebacks=True also in the page.
"""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab app``."""
    parser.add_argument("--dataset", metavar="NAME", default="toytown", help="a name or a folder (default: toytown)")
    parser.add_argument("--backbone", metavar="NAME", help=f"(default: {USUAL})")
    parser.add_argument("--weights", metavar="WEIGHTS", help="'random', a label of torchvision, or a file")
    parser.add_argument(
        "--visitors", type=at_least_one, metavar="N", default=VISITORS, help=f"how many at once (default: {VISITORS})"
    )
    parser.add_argument(
        "--idle-minutes",
        type=at_least_one,
        metavar="N",
        default=IDLE_MINUTES,
        help=f"minutes after which the process of an idle visitor is ended (default: {IDLE_MINUTES})",
    )
    parser.add_argument(
        "--allow-downloads",
        action="store_true",
        help="let visitors choose networks that must be downloaded, and load states that name files",
    )
    parser.add_argument("voila", nargs="*", metavar="-- ARGUMENT", help="passed on to Voilà")


def launch(
    dataset: str,
    backbone: str | None,
    weights: str | None,
    arguments: Sequence[str],
    *,
    visitors: int = VISITORS,
    idle_minutes: int = IDLE_MINUTES,
    allow_downloads: bool = False,
) -> int:
    """Write the notebook and serve it until it is stopped.

    Parameters
    ----------
    visitors : how many people may use it at once; each has a kernel, with its own network in memory.
    idle_minutes : time after which the kernel of an idle visitor is ended.
    allow_downloads : let visitors choose networks that have to be downloaded, and load states that name files.

    Raises
    ------
    ImportError : Voilà is not installed.
    UnknownName, WeightsError, ValueError : as loading the dataset and the backbone do.
    """
    try:
        from voila.app import Voila
    except ImportError as error:
        raise ImportError("the app is served by Voilà, which is not installed: pip install 'cbirlab[app]'") from error
    from cbirlab.extract.machine import wait_quietly

    wait_quietly()  # kernels inherit it
    check(dataset, backbone, weights)
    with tempfile.TemporaryDirectory(prefix="cbirlab-app-") as folder, _kernels_that_fetch(allow_downloads):
        path = Path(folder) / NOTEBOOK
        path.write_text(json.dumps(notebook(dataset, backbone, weights)), encoding="utf-8")
        Voila.launch_instance(argv=voila_arguments(path, arguments, visitors, idle_minutes))
    return 0


def check(dataset: str, backbone: str | None, weights: str | None) -> None:
    """Load the dataset and the network here, where the user sees what is wrong; the page describes the pictures."""
    from cbirlab.live import Session

    Session(dataset, backbone, weights)


def notebook(dataset: str, backbone: str | None, weights: str | None = None) -> dict[str, Any]:
    """One cell with the panel. A folder gets its full path, since the kernel runs elsewhere."""
    from cbirlab.datasets import DATASETS

    named = dataset if dataset in DATASETS else str(Path(dataset).expanduser().resolve())
    more = "" if backbone is None else f", {backbone!r}"
    more += "" if weights is None else f", weights={_from_here(weights)!r}"
    code = CODE.format(panel=PANEL, arguments=f"{named!r}{more}")
    cell = {"cell_type": "code", "id": "panel", "metadata": {}, "execution_count": None, "outputs": [], "source": code}
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    metadata = {"title": f"cbirlab: {Path(named).name}", "kernelspec": kernel, "language_info": {"name": "python"}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def voila_arguments(
    path: Path, arguments: Sequence[str], visitors: int = VISITORS, idle_minutes: int = IDLE_MINUTES
) -> list[str]:
    """Command line of Voilà, without the options that `arguments` sets. It runs for root as for anyone.

    Visitors see no tracebacks, because these name files of this machine; they are in the log.
    """
    own = {
        "show_tracebacks": False,
        "Voila.connection_dir_root": path.parent,  # removed with it, even if Voilà is stopped before it is ready
        "VoilaConfiguration.multi_kernel_manager_class": "cbirlab.cli.kernels.LimitedKernelManager",
        "LimitedKernelManager.most": visitors,
        "MappingKernelManager.cull_idle_timeout": 60 * idle_minutes,
        "MappingKernelManager.cull_interval": 60,
        "MappingKernelManager.cull_connected": True,
    }
    given = {_option(argument) for argument in arguments}
    return [str(path), *(f"--{name}={value}" for name, value in own.items() if _option(name) not in given), *arguments]


def _option(argument: str) -> str:
    """The name of an option of Voilà, without the class that may stand before it."""
    return argument.lstrip("-").partition("=")[0].rpartition(".")[2]


@contextmanager
def _kernels_that_fetch(allowed: bool) -> Iterator[None]:
    """Allow or forbid downloads in kernels that are started inside the block; they inherit this environment."""
    before = os.environ.get(downloads.VARIABLE)
    os.environ[downloads.VARIABLE] = "on" if allowed else "off"
    try:
        yield
    finally:
        if before is None:
            del os.environ[downloads.VARIABLE]
        else:
            os.environ[downloads.VARIABLE] = before


def _from_here(weights: str) -> str:
    """The full path of a weights file; names of weights stay as they are."""
    from cbirlab.backbones.weights import file_and_part

    path, part = file_and_part(weights)
    return ":".join(filter(None, [str(path.resolve()), part])) if path.is_file() else weights
