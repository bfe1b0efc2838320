"""What the panels that show codes share: the controls of a code, which learns in a thread, and its still picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from cbirlab.compression import COMPRESSIONS, Compression
from cbirlab.compression.library import has_faiss
from cbirlab.study.explain.code_lens import Coded, CodeLens
from cbirlab.widgets.panels.look_panel import LookPanel
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.code_controls import CodeControls
from cbirlab.widgets.parts.drawing import titled_sheet
from cbirlab.widgets.parts.results import Results
from cbirlab.widgets.parts.snapshot import picture_sheet

if TYPE_CHECKING:
    from cbirlab.index import Ranking
    from cbirlab.live import Session

PATIENCE = 30.0  # seconds that a still picture waits for a code to be learned
NEEDS_FAISS = "{name} needs faiss, which is not installed: pip install 'cbirlab[scale]'. The other codes need nothing."


class CodePanel(LookPanel):
    """A panel on a code and one picture, which is the query.

    Parameters
    ----------
    session, given : as in `LookPanel`; images have one vector each.
    compression : the code to start with; by default that of the class.

    Attributes
    ----------
    code : the controls of the code.
    lens : learns codes, and keeps them.
    coded : the code that is shown, with what it makes of the database; None before it is learned.
    """

    usual: str = "itq(bits=64)"
    hidden: Sequence[str] = ()

    def __init__(self, session: Session, *, compression: str | None = None, **given: Any) -> None:
        self.lens = CodeLens(session)
        self.code = CodeControls(self.offered(), compression or self.usual, hidden=self.hidden)
        self.coded: Coded | None = None
        self.said = widgets.HTML()
        self.moved = (*self.code.widgets, *self.moved)
        super().__init__(session, **given)

    @property
    def compression(self) -> Compression:
        """The code that is asked for."""
        return self.code.value

    def _side(self, *more: Any) -> list[Any]:
        """What stands on the left: the code, what else can be moved, the setting."""
        return [*self.code.widgets, *more, *self.controls, self.said, self.note]

    def _draw(self) -> None:
        self.code.refresh()
        self.strip.current = self.item
        setting, wanted = self.state.setting, self.compression
        needs = COMPRESSIONS.info(wanted.name).facts.get("needs")
        if needs and not has_faiss():
            self.coded = None
            self.note.value = views.note(NEEDS_FAISS.format(name=COMPRESSIONS.info(wanted.name).title))
            return
        if not self.lens.has(setting, wanted):
            self.coded = None
            title = f"Learning {wanted}, this once"
            self.work.start(("code", setting, wanted), title, lambda: self._learn(setting, wanted))
            return
        self.coded = self.lens.coded(setting, wanted)
        self._show(self.coded)

    def _learn(self, setting: Any, wanted: Compression) -> None:
        self.lens.coded(setting, wanted)

    def _show(self, coded: Coded) -> None:
        """Draw what the code makes of the query."""
        raise NotImplementedError

    def _row(self, coded: Coded) -> np.ndarray:
        """The query's descriptor (D,)."""
        return coded.row(self.item)

    def _results(self, ranking: Ranking, shown: int) -> Results:
        """The first answers, marked as far as the ground truth allows."""
        return self.question.results(self.session.dataset, ranking, shown=shown)

    def _sheet(self) -> Any:
        self.work.wait(PATIENCE)  # a still picture is asked for before the code is there
        if self.coded is not None and not self.error.value:
            return self._still(self.coded)
        words = COMPRESSIONS.info(self.compression.name).title
        return titled_sheet(picture_sheet([(self.thumbnails[self.item], "")]), words, "Run the cell to see it.")

    @staticmethod
    def offered() -> Sequence[str]:
        """Names of the codes in the menu; asked for when a panel is made, since extensions may bring more."""
        raise NotImplementedError

    def _still(self, coded: Coded) -> Any:
        """What is shown, as a picture for readers without a kernel."""
        raise NotImplementedError


def names_of(binary: bool | None = None) -> list[str]:
    """Compressions, or only those that keep bits."""
    names = [name for name in COMPRESSIONS if name != "none"]
    return [name for name in names if binary is None or COMPRESSIONS.info(name).facts["binary"] == binary]
