"""The columns that files of pinned settings hold: a fold with tick boxes, in the words of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anywidget
from traitlets import List, Tuple, Unicode

from cbirlab import tables
from cbirlab.widgets.parts.gallery import page_text

if TYPE_CHECKING:
    import pandas as pd


class ColumnChoice(anywidget.AnyWidget):
    """Tick boxes for the columns of a table.

    Attributes
    ----------
    offered : pairs of name and words.
    usual : names of the columns that are ticked as long as nobody has chosen.
    chosen : names; None for the usual ones in tables to read, and all in others. They stay while the table changes.
    """

    _esm = page_text("columns.js")
    _css = page_text("widgets.css")

    offered = List(Tuple(Unicode(), Unicode())).tag(sync=True)
    usual = List(Unicode()).tag(sync=True)
    chosen = List(Unicode(), allow_none=True, default_value=None).tag(sync=True)

    def offer(self, frame: pd.DataFrame) -> None:
        """Offer the columns of a table."""
        with self.hold_sync():
            self.offered = [(name, tables.heading(name)) for name in tables.offered_columns(frame)]
            self.usual = list(map(str, tables.usual_columns(frame)))

    def for_file(self, frame: pd.DataFrame, suffix: str) -> list[str] | None:
        """The columns to write, as `cbirlab.tables.write` takes them.

        Where each number has a cell of its own, the ends of its interval come beside it. What was chosen for another
        table and is not in this one is left out.
        """
        there = [name for name in self.chosen or () if name in frame]
        if not there:
            return None
        return there if suffix in tables.TO_READ else tables.with_ends(frame, there)
