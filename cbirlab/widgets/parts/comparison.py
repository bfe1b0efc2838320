"""Pinned settings side by side, each tested against the first, and the buttons that export them as files."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import ipywidgets as widgets
import numpy as np
import pandas as pd
from traitlets import Unicode

from cbirlab import tables
from cbirlab.evaluation import paired_difference, randomisation_p
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.column_choice import ColumnChoice
from cbirlab.widgets.parts.download import Download
from cbirlab.widgets.parts.gallery import page_text
from cbirlab.widgets.parts.guard import Guard

if TYPE_CHECKING:
    from cbirlab.evaluation import Evaluation

ALL, READ = "with all columns", "as a table to read: what tells the rows apart, and their metrics with intervals"
FORMATS = {
    "csv": ("CSV", "text/csv", ALL),
    "md": ("Markdown", "text/markdown", READ),
    "tex": ("LaTeX", "application/x-tex", READ),
    "xlsx": ("Excel", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ALL),
    "json": ("JSON recipes", "application/json", ALL),
}
"""Title, type and what is in it, of each format."""


@dataclass(frozen=True, eq=False)
class Pinned:
    """One row of the table.

    Attributes
    ----------
    row : as in `cbirlab.compare`.
    per_query : average precision (Q,) of each level; empty without ground truth.
    groups : (Q,); queries with the same number share an instance.
    """

    row: dict[str, Any]
    per_query: Mapping[str, np.ndarray]
    groups: np.ndarray

    def row_beside(self, first: Pinned) -> dict[str, Any]:
        """The row with its paired test against the first, "difference", "_low", "_high" and "_p", before the recipe."""
        if not first.per_query:
            return self.row
        level = "medium" if "medium" in first.per_query else next(iter(first.per_query))
        if self is first:
            tested = (math.nan,) * 4
        else:
            both = self.per_query[level], first.per_query[level], self.groups
            tested = (*paired_difference(*both), randomisation_p(*both))
        names = ("difference", "difference_low", "difference_high", "difference_p")
        row = {name: value for name, value in self.row.items() if name != "recipe"}
        return row | dict(zip(names, tested, strict=True)) | {"recipe": self.row["recipe"]}

    def to_json(self) -> dict[str, Any]:
        """The pinned setting as plain data."""
        levels = {name: [_plain(float(ap)) for ap in values] for name, values in self.per_query.items()}
        row = {name: _plain(value) for name, value in self.row.items()}
        return {"row": row, "per_query": levels, "groups": [int(group) for group in self.groups]}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Pinned:
        """Restore what `to_json` kept."""
        row = {name: math.nan if value is None else value for name, value in saved["row"].items()}
        levels = {name: np.array(values, dtype=np.float64) for name, values in saved["per_query"].items()}
        return cls(row, levels, np.array(saved["groups"], dtype=np.int64))


class PinnedTable(anywidget.AnyWidget):
    """The HTML of the pinned settings, whose rows have a button each.

    Parameters
    ----------
    value : the table, as `views.comparison_table` writes it.
    remove : called with the place of a row, from 0, when its button is pressed.
    guard : runs that.
    """

    _esm = page_text("pinned.js")
    _css = page_text("widgets.css")

    value = Unicode().tag(sync=True)

    def __init__(self, value: str, remove: Callable[[int], None], guard: Guard) -> None:
        self._remove = remove
        super().__init__(value=value)
        guard.received(self, self._asked)

    def _asked(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if isinstance(content.get("remove"), int):
            self._remove(content["remove"])


class Comparison(widgets.VBox):
    """A table of pinned settings with export buttons.

    Parameters
    ----------
    current : gives the table row and the evaluation of each setting shown now; called when "Pin this setting" is
        pressed.
    on_error : called with an exception that a button raises.

    Attributes
    ----------
    choice : tick boxes of the columns that the files hold.
    """

    def __init__(
        self,
        current: Callable[[], Sequence[tuple[Mapping[str, Any], Evaluation | None]]],
        on_error: Callable[[Exception], None],
    ) -> None:
        self.pinned: list[Pinned] = []
        self._current, self.guard = current, Guard(on_error)
        self.pin_button = widgets.Button(description="Pin this setting", icon="thumb-tack")
        self.clear_button = widgets.Button(description="Clear", disabled=True, layout={"width": "70px"})
        self.downloads = {
            suffix: Download(
                f"Download {title}",
                name=f"comparison.{suffix}",
                mime=mime,
                make=lambda suffix=suffix: self.to_bytes(suffix),
                on_error=on_error,
                disabled=True,
                tooltip=f"The pinned settings {about}",
            )
            for suffix, (title, mime, about) in FORMATS.items()
        }
        self.choice = ColumnChoice()
        self.table = PinnedTable(views.comparison_table([]), self.remove, self.guard)
        self.guard.clicked(self.pin_button, self.pin)
        self.guard.clicked(self.clear_button, self.clear)
        buttons = widgets.HBox(
            [self.pin_button, self.clear_button, *self.downloads.values()], layout={"flex_flow": "row wrap"}
        )
        super().__init__([buttons, self.choice, self.table])

    @property
    def columns(self) -> Sequence[str] | None:
        """What the files hold, by the names of the columns of `frame`.

        None for all, in Markdown and LaTeX for those of `cbirlab.tables.usual_columns`. A column that is not pinned is
        refused.
        """
        return self.choice.chosen

    @columns.setter
    def columns(self, names: Sequence[str] | None) -> None:
        if names is not None and self.pinned:
            tables.check_columns(self.frame, names)
        self.choice.set_trait("chosen", None if names is None else list(names))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The pinned settings with the columns of `cbirlab.compare`, and their differences from the first one."""
        return [one.row_beside(self.pinned[0]) for one in self.pinned]

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)

    def pin(self) -> None:
        """Add the settings shown now, unless they are there already."""
        self.guard.run(self._pin)

    def _pin(self) -> None:
        for row, evaluation in self._current():
            self.add(row, evaluation)

    def add(self, row: Mapping[str, Any], evaluation: Evaluation | None) -> None:
        """Add a row, unless its recipe is there already."""
        if row["recipe"] not in [pinned.row["recipe"] for pinned in self.pinned]:
            levels = evaluation.per_query if evaluation else {}
            groups = evaluation.groups if evaluation else np.empty(0, np.int64)
            self.pinned.append(Pinned(dict(row), levels, groups))
        self._draw()

    def remove(self, place: int) -> None:
        """Take out the row at a place, from 0; without the first row, differences are those to the row that follows it.

        Raises
        ------
        IndexError : there is no such row.
        """
        if not 0 <= place < len(self.pinned):
            raise IndexError(f"remove: place must be from 0 to {len(self.pinned) - 1}, the rows pinned, got {place}.")
        del self.pinned[place]
        self._draw()

    def clear(self) -> None:
        """Empty the table."""
        self.pinned.clear()
        self._draw()

    def to_bytes(self, suffix: str) -> bytes:
        """The table as a file: the same bytes as `cbirlab.tables.write` writes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"comparison.{suffix}"
            frame = self.frame
            tables.write(frame, path, columns=self.choice.for_file(frame, suffix))
            return path.read_bytes()

    def to_json(self) -> list[dict[str, Any]]:
        """The pinned settings as plain data."""
        return [one.to_json() for one in self.pinned]

    def from_json(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Take over what `to_json` kept."""
        self.pinned = [Pinned.from_json(one) for one in saved]
        self._draw()

    def _draw(self) -> None:
        for button in (self.clear_button, *self.downloads.values()):
            button.disabled = not self.pinned
        rows = self.rows
        self.choice.offer(pd.DataFrame(rows))
        self.table.value = views.comparison_table(rows, removable=True)  # last: whoever sees a row can export it


def _plain(value: Any) -> Any:
    plain = value.item() if hasattr(value, "item") else value
    return None if isinstance(plain, float) and not math.isfinite(plain) else plain
