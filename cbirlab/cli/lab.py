"""``cbirlab lab``: JupyterLab on the notebooks."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from cbirlab.cli.saying import say

_PACKAGE = Path(__file__).resolve().parents[1]
WORKING_FOLDER = "cbirlab-notebooks"


def launch(folder: str | None, arguments: Sequence[str]) -> int:
    """Prepare the working folder and run JupyterLab in it until it is stopped."""
    from cbirlab.extract.machine import wait_quietly

    working = working_folder(folder)
    wait_quietly()  # kernels inherit it
    from jupyterlab.labapp import main as jupyterlab

    jupyterlab(argv=jupyter_arguments(working, arguments))
    return 0


def working_folder(folder: str | None) -> Path:
    """The folder to work in, with the notebooks: in a checkout the notebooks' own folder, otherwise a copy.

    Raises
    ------
    FileNotFoundError : the notebooks were not installed.
    """
    source, in_checkout = _notebooks()
    if folder is None and in_checkout:
        return source
    target = Path(folder or WORKING_FOLDER).expanduser()
    target.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(source.glob("*.ipynb")):
        copy = target / notebook.name
        if not copy.exists():
            shutil.copyfile(notebook, copy)
        elif not filecmp.cmp(notebook, copy, shallow=False):
            say(f"{copy} is kept as it is; delete it to get the original back.")
    return target


def jupyter_arguments(working: Path, arguments: Sequence[str]) -> list[str]:
    """Command line of JupyterLab: it opens the first notebook; later arguments override earlier ones."""
    first = next(iter(sorted(working.glob("*.ipynb"))), None)
    chosen = [f"--ServerApp.root_dir={working.resolve()}"]
    if first is not None:
        chosen.append(f"--LabApp.default_url=/lab/tree/{first.name}")
    if hasattr(os, "geteuid") and os.geteuid() == 0 and "--allow-root" not in arguments:
        chosen.append("--allow-root")  # as in containers; JupyterLab refuses otherwise
    return [*chosen, *arguments]


def _notebooks() -> tuple[Path, bool]:
    installed, checkout = _PACKAGE / "notebooks", _PACKAGE.parent / "notebooks"
    if installed.is_dir():
        return installed, False
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout, True
    raise FileNotFoundError(f"The notebooks must lie in {installed} or {checkout}; install cbirlab again.")
