"""A download button (ipywidgets has none): the file is made in Python at the moment of the click."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import anywidget
from traitlets import Bool, Unicode

from cbirlab.widgets.parts.gallery import page_text
from cbirlab.widgets.parts.guard import Guard
from cbirlab.widgets.parts.tooltips import tooltip

FIGURES = {"png": "image/png", "pdf": "application/pdf"}
"""Kinds of figures, and their types."""


class Download(anywidget.AnyWidget):
    """A button that hands a file to the browser.

    Parameters
    ----------
    description : the button's text.
    name : the file's name.
    mime : its type, such as "text/csv".
    make : gives its bytes; called at every click.
    on_error : called with an exception that `make` raises; a notebook would swallow it silently.
    """

    _esm = page_text("download.js")
    _css = page_text("widgets.css")

    description = Unicode("Download").tag(sync=True)
    tooltip = Unicode().tag(sync=True)
    disabled = Bool(False).tag(sync=True)

    def __init__(
        self,
        description: str,
        *,
        name: str,
        mime: str,
        make: Callable[[], bytes],
        on_error: Callable[[Exception], None] | None = None,
        **traits: Any,
    ) -> None:
        self.name, self.mime = name, mime
        self._make, self.guard = make, Guard(on_error)
        super().__init__(description=description, **traits)
        self.guard.received(self, self._answer)

    def _answer(self, _widget: Any, content: dict[str, Any], _buffers: Any) -> None:
        if content.get("make"):
            self._begin()

    def _begin(self) -> None:
        self._hand_over(self._make())

    def _hand_over(self, made: bytes) -> None:
        self.send({"file": self.name, "mime": self.mime}, [made])


def figure_buttons(
    title: str, name: str, make: Callable[[str], bytes], on_error: Callable[[Exception], None] | None
) -> list[Download]:
    """A button for each kind of figure.

    Parameters
    ----------
    title, name : of the buttons, "Map", with a sentence in `SAID`, and of their files without suffix.
    make : gives the figure of a kind in `FIGURES`.
    """
    looks: Any = {"on_error": on_error, "tooltip": tooltip(title)}
    return [
        Download(f"{title} ({kind.upper()})", name=f"{name}.{kind}", mime=mime, make=partial(make, kind), **looks)
        for kind, mime in FIGURES.items()
    ]
