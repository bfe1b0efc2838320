"""Notices: facts about files and data, each told on one line, without a line of code: no code is to blame.

They are warnings, so that a program can filter them or make them errors. A notebook draws warnings on red, as it draws
errors; there a notice is a quiet line, which unfolds if there is more to say. That a result is lost, or a method used
outside its range, stays a warning like any other.
"""

from __future__ import annotations

import sys
import warnings
from html import escape
from typing import Any

from cbirlab.base.text import printable

_SEEN: dict[Any, Any] = {}  # lets Python show the same notice once, as it does for the warnings of a module
_NOBODY = "<cbirlab>"  # of a file in <> Python looks up no line to print
_QUIET = "style='opacity:.8; font-size:.9em'"


def notify(what: str | Warning) -> None:
    """Warn of something about files or data, on one line; Python's filters and `-W error` see it as any other warning.

    Parameters
    ----------
    what : a sentence, which becomes a UserWarning, or the warning itself. Lines after the first hold the details.
    """
    category = type(what) if isinstance(what, Warning) else UserWarning
    warnings.warn_explicit(what, category, _NOBODY, 1, module="cbirlab", registry=_SEEN)


def quiet(text: str) -> dict[str, str]:
    """A notice as a notebook shows it, by type: one line, and the others folded below it."""
    text = printable(text, keep="\n")
    first, _, rest = text.partition("\n")
    line = escape(first)
    if rest:
        line = f"<details><summary>{line}</summary><pre>{escape(rest)}</pre></details>"
    return {"text/plain": text, "text/html": f"<div class='cbirlab-notice' {_QUIET}>{line}</div>"}


def in_notebook() -> bool:
    """Whether Python runs in the kernel of a notebook."""
    console = sys.modules.get("IPython")  # it is not imported for this: a kernel has done so
    ask = getattr(console, "get_ipython", None)
    shell = ask() if ask else None
    return hasattr(shell, "kernel")


def show_quietly() -> None:
    """Let notices be quiet lines from now on; how other warnings are shown is not changed."""
    from IPython.display import display

    shown = warnings.showwarning

    def show(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
        if filename == _NOBODY and file is None:
            display(quiet(str(message)), raw=True)
        else:
            shown(message, category, filename, lineno, file, line)

    warnings.showwarning = show


if in_notebook():
    show_quietly()
