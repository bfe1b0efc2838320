"""Pinned settings side by side, and the buttons that take them home as files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import pandas as pd

from cbirlab import tables
from cbirlab.widgets import views
from cbirlab.widgets.download import Download

FORMATS = {
    "csv": ("CSV", "text/csv"),
    "md": ("Markdown", "text/markdown"),
    "tex": ("LaTeX", "application/x-tex"),
}


class Comparison(widgets.VBox):
    """A table of pinned settings with export buttons.

    Parameters
    ----------
    current : gives the table row of the setting shown now; called when "Pin this setting" is pressed.
    on_error : told of an exception in a button.
    """

    def __init__(self, current: Callable[[], Mapping[str, Any]], on_error: Callable[[Exception], None]) -> None:
        self.rows: list[dict[str, Any]] = []
        self._current, self._on_error = current, on_error
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
                tooltip=f"The pinned settings with all columns as {title}",
            )
            for suffix, (title, mime) in FORMATS.items()
        }
        self.table = widgets.HTML(views.comparison_table([]))
        self.pin_button.on_click(lambda _button: self.pin())
        self.clear_button.on_click(lambda _button: self.clear())
        buttons = widgets.HBox(
            [self.pin_button, self.clear_button, *self.downloads.values()], layout={"flex_flow": "row wrap"}
        )
        super().__init__([buttons, self.table])

    @property
    def frame(self) -> pd.DataFrame:
        """The pinned settings, one row each, with the columns of `cbirlab.compare`."""
        return pd.DataFrame(self.rows)

    def pin(self) -> None:
        """Add the setting shown now, unless it is there already."""
        try:
            row = dict(self._current())
        except Exception as error:  # shown in the panel
            self._on_error(error)
            return
        if row["recipe"] not in [pinned["recipe"] for pinned in self.rows]:
            self.rows.append(row)
        self._draw()

    def clear(self) -> None:
        """Empty the table."""
        self.rows.clear()
        self._draw()

    def to_bytes(self, suffix: str) -> bytes:
        """The table as a file: the same bytes as `cbirlab.tables.write` writes."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"comparison.{suffix}"
            tables.write(self.frame, path)
            return path.read_bytes()

    def _draw(self) -> None:
        self.table.value = views.comparison_table(self.rows)
        for button in (self.clear_button, *self.downloads.values()):
            button.disabled = not self.rows
