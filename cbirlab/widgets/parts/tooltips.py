"""Tooltips: what each control is for, in one sentence."""

from __future__ import annotations

from html import escape
from typing import Any

SAID = {
    "dataset": "the pictures that are searched, and the queries whose right answers are known",
    "system": "sets all controls below to what a published system does, where this panel can",
    "settings of": "the side whose controls are shown below",
    "backbone": "the network whose maps describe a picture",
    "tap": "where in the network the maps are read, from shallow (colours, edges) to deep (parts, things)",
    "attention": "which positions or channels of the maps count more, before they become one vector",
    "pooling": "how the maps become one vector: by one value per map, or by the words of a codebook",
    "whitening": "how vectors are made comparable, by what is learned on other pictures",
    "dimensions": "how many leading dimensions stay after whitening: fewer take less memory and time",
    "code": "what is kept of a vector to save memory",
    "level": "which list of right answers counts: of those that are easy to see, or that are hard too",
    "curve": "what is drawn against the amount of change",
    "measure": "what is measured at each value",
    "change of": "what differs between a query and its right answers",
    "change": "what is done to the query picture",
    "how much": "the amount of the change; the picture beside shows it",
    "query": "which query of the benchmark, counted from 0",
    "map": "how vectors become points of the plane",
    "colour by": "what the colours of the points stand for",
    "seed": "of what is drawn at random: the same one gives the same result",
    "opacity": "how strongly the heat map covers the picture",
    "numbered": "how many of the strongest places carry a number in both pictures",
    "start": "what the search for the rotation begins with",
    "steps": "how many steps were taken",
    "results": "how many results of a query are judged",
    "own image": "what happens to the query's own picture among its results",
    "junk": "what happens to results that are neither right nor wrong",
    "Compare A | B": "a second setting beside the first, and where its results differ",
    "Back": "to what was shown before",
    "Forward": "to what was gone back from",
    "find": "shows the pictures in the strip whose folder or file name has this in it",
    "tiles": "width of a picture in the galleries",
    "show": "how many results a gallery shows",
    "pane of settings": "shown, or folded away",
    "pane of map": "shown, or folded away",
    "Ask for these pictures": "search for all chosen images as one query",
    "Files (.txt)": "the paths of the chosen pictures, one a line",
    "Files (.csv)": "the chosen pictures with their row, role and instance",
    "Map": "as a figure, with its colours, the results and the query",
    "Gallery": "the results of A as a figure, with their frames",
    "Page to share": "an HTML file that needs no Python: all taps with MAC, SPoC and GeM are ranked for it",
    "Save state": "query, settings and pinned rows as a file, for 'Load state' or Workbench.restore",
    "Load state": "a file that 'Save state' wrote: the controls, the query and the pinned settings come back",
}
"""What a control is for, in one sentence, by its label; parameters of methods are explained where they are declared."""


def tooltip(label: str, says: str = "") -> str:
    """The tooltip of a control: what its docstring says, or what `SAID` says of a control with this label."""
    text = (says or SAID.get(label, "")).removesuffix(".")
    return f"{label}: {text}." if text else label


def titled(label: str, says: str = "") -> dict[str, Any]:
    """Traits of a menu or a tick box with this label, whose tooltips ipywidgets would not show."""
    says = tooltip(label, says)
    return {
        "description": f"<span title='{escape(says)}'>{escape(label)}</span>",
        "description_allow_html": True,
        "tooltip": says,
    }
