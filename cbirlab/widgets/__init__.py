"""Panels for JupyterLab: state (traits), controls (drawn from declarations and registries), views (galleries)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cbirlab.widgets.looking import (
        CodeBeside,
        DiffusionHeat,
        HammingBall,
        InlierView,
        ITQSteps,
        MatchView,
        Missed,
        MutualGrid,
        PoolingView,
        PQCells,
        QueryPath,
        RerankBeside,
        WhiteningLab,
        WinLoss,
    )
    from cbirlab.widgets.panels.breaks_panel import BreaksPanel
    from cbirlab.widgets.panels.domain_shift import DomainShift
    from cbirlab.widgets.panels.explorer import Explorer, explore
    from cbirlab.widgets.panels.judging_lab import JudgingLab
    from cbirlab.widgets.panels.label_panel import LabelPanel
    from cbirlab.widgets.panels.probe_panel import ProbePanel
    from cbirlab.widgets.panels.search_labs import DialLab, ParetoExplorer
    from cbirlab.widgets.panels.training_panel import TrainingPanel
    from cbirlab.widgets.panels.workbench import Workbench
    from cbirlab.widgets.parts.download import Download
    from cbirlab.widgets.parts.gallery import Gallery, Thumbnails
    from cbirlab.widgets.parts.map_panel import MapPanel
    from cbirlab.widgets.parts.results import ranked_gallery
    from cbirlab.widgets.parts.scatter import Scatter
    from cbirlab.widgets.parts.state import RetrievalState

__all__ = [
    "BreaksPanel",
    "CodeBeside",
    "DialLab",
    "DiffusionHeat",
    "DomainShift",
    "Download",
    "Explorer",
    "Gallery",
    "HammingBall",
    "ITQSteps",
    "InlierView",
    "JudgingLab",
    "LabelPanel",
    "MapPanel",
    "MatchView",
    "Missed",
    "MutualGrid",
    "PQCells",
    "ParetoExplorer",
    "PoolingView",
    "ProbePanel",
    "QueryPath",
    "RerankBeside",
    "RetrievalState",
    "Scatter",
    "Thumbnails",
    "TrainingPanel",
    "WhiteningLab",
    "WinLoss",
    "Workbench",
    "explore",
    "ranked_gallery",
]

_HOMES = {
    "BreaksPanel": "panels.breaks_panel",
    "CodeBeside": "looking",
    "DialLab": "panels.search_labs",
    "DiffusionHeat": "looking",
    "DomainShift": "panels.domain_shift",
    "Download": "parts.download",
    "Explorer": "panels.explorer",
    "Gallery": "parts.gallery",
    "HammingBall": "looking",
    "ITQSteps": "looking",
    "InlierView": "looking",
    "JudgingLab": "panels.judging_lab",
    "LabelPanel": "panels.label_panel",
    "MapPanel": "parts.map_panel",
    "MatchView": "looking",
    "Missed": "looking",
    "MutualGrid": "looking",
    "PQCells": "looking",
    "ParetoExplorer": "panels.search_labs",
    "PoolingView": "looking",
    "ProbePanel": "panels.probe_panel",
    "QueryPath": "looking",
    "RerankBeside": "looking",
    "RetrievalState": "parts.state",
    "Scatter": "parts.scatter",
    "Thumbnails": "parts.gallery",
    "TrainingPanel": "panels.training_panel",
    "WhiteningLab": "looking",
    "WinLoss": "looking",
    "Workbench": "panels.workbench",
    "explore": "panels.explorer",
    "ranked_gallery": "parts.results",
}


def __getattr__(name: str) -> Any:
    """Import a widget when it is first used: ipywidgets is heavy."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
