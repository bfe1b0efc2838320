"""Notices: warnings about files, each told on one line, without a line of code: no code is to blame."""

from __future__ import annotations

import warnings
from typing import Any

_SEEN: dict[Any, Any] = {}  # lets Python show the same notice once, as it does for the warnings of a module


def notify(what: str | Warning) -> None:
    """Warn of something about files, on one line; Python's filters and `-W error` see it as any other warning.

    Parameters
    ----------
    what : a sentence, which becomes a UserWarning, or the warning itself.
    """
    category = type(what) if isinstance(what, Warning) else UserWarning
    # Of a file in <> Python looks up no line to print; nothing of how other warnings are shown is changed.
    warnings.warn_explicit(what, category, "<cbirlab>", 1, module="cbirlab", registry=_SEEN)
