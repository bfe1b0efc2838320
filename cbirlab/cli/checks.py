"""Requests that are refused before anything is computed, and a notice of options that changed nothing."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cbirlab.fusion import FusedRun, Fusion
    from cbirlab.pipeline import Recipe, Run


def table(out: str | None, option: str = "--out", columns: Sequence[str] | None = None) -> None:
    """Refuse a table of unknown format, or columns without a table, before anything is computed."""
    from cbirlab import tables

    if columns and not out:
        raise ValueError(f"--columns chooses what {option} writes; give {option} too.")
    if out:
        if Path(out).suffix.lower() not in tables.suffixes():
            raise ValueError(f"{option} must end in one of {', '.join(tables.suffixes())}, got {out!r}.")
        if Path(out).suffix.lower() == ".xlsx":
            tables.check_excel()
        _check_place(Path(out), option)


def ranking(path: str | None) -> None:
    """Refuse a ranking file of another format before anything is computed."""
    if path:
        if Path(path).suffix != ".npz":
            raise ValueError(f"--save-ranking must end in .npz, got {path!r}.")
        _check_place(Path(path), "--save-ranking")


def page(path: str, option: str = "--page") -> None:
    """Refuse a page of another format before anything is computed."""
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{option} must end in .html, got {path!r}.")
    _check_place(Path(path), option)


def _check_place(path: Path, option: str) -> None:
    """Refuse a place that cannot be written to before anything is computed, because computing can take hours."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if there == path and path.is_dir():
        raise IsADirectoryError(f"{option} must be a file, and {path} is a folder.")
    if there != path and not there.is_dir():
        raise NotADirectoryError(f"{option}: {path} cannot be written, because {there} is no folder.")
    if not os.access(there, os.W_OK):
        raise PermissionError(f"{option}: {path} cannot be written, permission is denied in {there}.")


def level(recipe: Recipe | Fusion, name: str | None) -> None:
    """Refuse a level that the protocol of a recipe does not have."""
    from cbirlab.datasets import load_dataset
    from cbirlab.evaluation import PROTOCOLS
    from cbirlab.pipeline import Recipe

    if name is not None:
        one = recipe if isinstance(recipe, Recipe) else recipe.members[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they come again when the dataset is loaded for good
            protocol = one.protocol or load_dataset(one.dataset).protocol
        PROTOCOLS[protocol].level(name, "--level")


def device(name: str) -> None:
    """Refuse a device that this machine does not have.

    Raises
    ------
    ValueError : no such device, here or anywhere.
    """
    if name == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: torch built without it
        reason = str(error).splitlines()[0].rstrip(".")
        raise ValueError(
            f"--device must be a device of this machine, such as 'cpu', got {name!r} ({reason})."
        ) from error


def without_effect(recipe: Recipe | Fusion, result: Run | FusedRun) -> list[str]:
    """Say which options changed nothing."""
    from cbirlab.pipeline import Recipe

    said = []
    if recipe.dimensions is not None and result.dim < recipe.dimensions:
        said.append(
            f"{recipe.dimensions} dimensions were asked for, but only {result.dim} are available; keeping those."
        )
    if isinstance(recipe, Recipe) and recipe.whitening_set and not getattr(result.recipe, "whitening_set", None):
        said.append(f"whitening_set {recipe.whitening_set!r} has no effect, because this recipe learns nothing.")
    return said
