"""The menu of datasets: bundled, published, one's own; those that are not on this machine say how to get them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import ipywidgets as widgets

from cbirlab.datasets import DATASETS, availability
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.folded_menu import FoldedMenu
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.tasks import Work

if TYPE_CHECKING:
    from cbirlab.live import Session


class DatasetMenu(widgets.VBox):
    """All datasets by title, those that can be opened here first, the others folded; a choice is prepared in a thread.

    Parameters
    ----------
    shown : the dataset that is shown, a name in `DATASETS` or a path.
    title : the title of the dataset that is shown.
    make : opens a session from a name or path; may be slow.
    opened : called with the session once it is ready, in the thread.
    """

    def __init__(
        self, shown: str, title: str, make: Callable[[str], Session], opened: Callable[[Session], None]
    ) -> None:
        self.shown, self._make, self._opened = shown, make, opened
        titles = dataset_titles(shown, title)
        here = [name for _, name in titles if name == shown or availability(name).ready]
        self.menu = FoldedMenu("dataset", "datasets", shown, titles, here, self._failed)
        self.note = widgets.HTML()
        self.guard = Guard(self._failed)
        self.work = Work(done=self._done, failed=self._failed, cancelled=self._back)
        self.guard.observe(self.menu, "value", lambda: self._choose(self.menu.value))
        super().__init__([self.menu, self.work, self.note])
        self.add_class("cbirlab-datasets")

    def take(self, name: str, title: str) -> None:
        """Follow: another dataset is shown, whoever opened it. A choice that is still being prepared is dropped.

        Parameters
        ----------
        name, title : as `shown` and `title` of the class; a name that the menu lacks gets an entry.
        """
        if (self.shown, self.menu.value) == (name, name):
            return
        self.work.drop()
        self.note.value, self.shown = "", name
        if name not in [known for _, known in self.menu.options]:
            options = [(title, name), *self.menu.options]
            self.menu.offer(options, [one for _, one in options if one not in DATASETS or availability(one).ready])
        self.menu.value = name

    def _choose(self, name: str) -> None:
        if name == self.shown:
            self.work.drop()
            return
        known = availability(name) if name in DATASETS else None
        if known is None or known.ready:
            self.note.value = ""
            self.work.start(name, f"Opening {name}", lambda: self._open(name))
        else:
            lacking = f" lacks {', '.join(known.missing)}" if known.missing else ""
            self.note.value = views.note(f"{known.title}{lacking}. {known.hint}")
            self._back()

    def _open(self, name: str) -> None:
        session = self._make(name)
        session.prepare(progress=False)
        self._ready = name, session

    def _done(self) -> None:
        self.shown, session = self._ready
        self._opened(session)

    def _failed(self, error: Exception) -> None:
        self.note.value = views.error_box(error)
        self._back()

    def _back(self) -> None:
        self.menu.value = self.shown


def dataset_titles(shown: str, title: str) -> list[tuple[str, str]]:
    """Pairs of title and name: the dataset on show if it is not registered, those on this machine, then the rest."""
    found = [availability(name) for name in DATASETS]
    here = [(one.title, one.name) for one in found if one.ready]
    others = [
        (f"{one.title} ({'not here' if one.missing else 'by its path'})", one.name) for one in found if not one.ready
    ]
    own = [] if shown in DATASETS else [(title, shown)]
    return own + here + others
