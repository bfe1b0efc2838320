"""Panels for JupyterLab: state (traits), controls (drawn from declarations and registries), views (galleries)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbirlab.widgets.download import Download
    from cbirlab.widgets.gallery import Gallery, Thumbnails
    from cbirlab.widgets.panel import Explorer, explore
    from cbirlab.widgets.results import ranked_gallery
    from cbirlab.widgets.state import RetrievalState
    from cbirlab.widgets.workbench import Workbench

__all__ = ["Download", "Explorer", "Gallery", "RetrievalState", "Thumbnails", "Workbench", "explore", "ranked_gallery"]

_HOMES = {
    "Download": "download",
    "Explorer": "panel",
    "Gallery": "gallery",
    "RetrievalState": "state",
    "Thumbnails": "gallery",
    "Workbench": "workbench",
    "explore": "panel",
    "ranked_gallery": "results",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is first used: ipywidgets is heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
