"""A download whose file takes long: it is made in a thread, with a bar, and handed to the browser when it is ready."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cbirlab.widgets.parts.download import Download
from cbirlab.widgets.parts.tasks import Work


class SlowDownload(Download):
    """A download button with progress, which can be cancelled.

    Parameters
    ----------
    description, given : as for `Download`; `make` is called in a thread.
    on_error : called with an exception that `make` raises.

    Attributes
    ----------
    work : shows how far it is; to be put beside the button.
    """

    def __init__(self, description: str, *, on_error: Callable[[Exception], None], **given: Any) -> None:
        self._ready = b""
        self.work = Work(done=lambda: self._hand_over(self._ready), failed=on_error, cancelled=lambda: None)
        super().__init__(description, on_error=on_error, **given)

    def _begin(self) -> None:
        self.work.start(self.name, f"Making {self.name}", self._prepare)

    def _prepare(self) -> None:
        self._ready = self._make()

    def _hand_over(self, made: bytes) -> None:
        self._ready = b""
        super()._hand_over(made)

    def close(self) -> None:
        """End the work; free the button."""
        self.work.drop()
        super().close()
