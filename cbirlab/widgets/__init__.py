"""Panels for JupyterLab: state (traits), controls (drawn from declarations and registries), views (galleries)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbirlab.widgets.breaks import BreaksPanel
    from cbirlab.widgets.download import Download
    from cbirlab.widgets.explorer import Explorer, explore
    from cbirlab.widgets.gallery import Gallery, Thumbnails
    from cbirlab.widgets.judging_lab import JudgingLab
    from cbirlab.widgets.looking import MatchView, Missed, PoolingView, WhiteningLab, WinLoss
    from cbirlab.widgets.map import MapPanel
    from cbirlab.widgets.probe import ProbePanel
    from cbirlab.widgets.results import ranked_gallery
    from cbirlab.widgets.scatter import Scatter
    from cbirlab.widgets.state import RetrievalState
    from cbirlab.widgets.workbench import Workbench

__all__ = [
    "BreaksPanel",
    "Download",
    "Explorer",
    "Gallery",
    "JudgingLab",
    "MapPanel",
    "MatchView",
    "Missed",
    "PoolingView",
    "ProbePanel",
    "RetrievalState",
    "Scatter",
    "Thumbnails",
    "WhiteningLab",
    "WinLoss",
    "Workbench",
    "explore",
    "ranked_gallery",
]

_HOMES = {
    "BreaksPanel": "breaks",
    "Download": "download",
    "Explorer": "explorer",
    "Gallery": "gallery",
    "JudgingLab": "judging_lab",
    "MapPanel": "map",
    "MatchView": "looking",
    "Missed": "looking",
    "PoolingView": "looking",
    "ProbePanel": "probe",
    "RetrievalState": "state",
    "Scatter": "scatter",
    "Thumbnails": "gallery",
    "WhiteningLab": "looking",
    "WinLoss": "looking",
    "Workbench": "workbench",
    "explore": "explorer",
    "ranked_gallery": "results",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is first used: ipywidgets is heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
