"""The page of the app from its first second: what is prepared and how far that is, and then the workbench."""

from __future__ import annotations

import sys
import traceback
from html import escape
from typing import Any

import ipywidgets as widgets

from cbirlab.base.text import printable
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.tasks import Background, Stop, TimeLeft


class Opening(widgets.VBox):
    """Prepares a dataset in a thread and then shows the workbench in its own place.

    Parameters
    ----------
    dataset, backbone, weights : as for `Workbench`.

    Attributes
    ----------
    panel : the workbench, None until it is there.
    """

    def __init__(self, dataset: str, backbone: str | None = None, weights: str | None = None) -> None:
        self._given = dataset, backbone, weights
        self.panel: Any = None
        self.heading = widgets.HTML(f"<h2>{escape(printable(dataset.rpartition('/')[2]))}</h2>")
        self.bar = widgets.IntProgress(0, max=1, layout={"width": "360px"})
        self.note = widgets.HTML()
        super().__init__([self.heading, self.bar, self.note])
        self.add_class("cbirlab-panel")
        self.add_class("cbirlab-opening")
        self._left = TimeLeft()
        self._say("Loading the network and the list of pictures")
        self.tasks = Background(Guard(self._failed))
        self.tasks.start(self._open)

    def wait(self, seconds: float = 60) -> bool:
        """Wait until the workbench is there or could not be made; False if that takes longer than `seconds`."""
        return self.tasks.wait(seconds)

    def _open(self, stop: Stop) -> None:
        stop.run(self._made, self._tell)

    def _made(self) -> None:
        from cbirlab.live import Session
        from cbirlab.widgets.panels.workbench import Workbench

        dataset, backbone, weights = self._given
        session = Session(dataset, backbone, weights)
        self._say(f"Looking which of {len(session.dataset.images):,} pictures have been described before")
        session.prepare()
        self._say("Opening the workbench")
        self.panel = Workbench(session)
        self.children = [self.panel]

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._left.due(what, done, total):
            self.bar.max, self.bar.value = max(1, total), done
            self._say(self._left.text(what, done, total))

    def _say(self, text: str) -> None:
        self.note.value = views.waiting(f"{text} …")

    def _failed(self, error: Exception) -> None:
        """Show the error without its traceback, which names files of the machine and goes to the log."""
        traceback.print_exception(error, file=sys.__stderr__)
        self.bar.layout.display, self.note.value = "none", views.error_box(error)
