"""What the command line says: text that any terminal can print, and one sentence for each failure."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from cbirlab.base.text import printable

_LESS_WORK = (
    "use a smaller --image-size, or fewer taps, aggregations or images; finished work is kept in the store and is "
    "not computed again"
)
_DOING = {
    "run": ("the recipe was carried out", _LESS_WORK),
    "compare": ("the table was filled", _LESS_WORK),
    "search": ("the folder was described", _LESS_WORK),
    "duplicates": ("the folder was described", _LESS_WORK),
    "extract": ("the images were described", _LESS_WORK),
    "index": ("the images were described", _LESS_WORK),
    "versus": ("the two rows were carried out", _LESS_WORK),
    "why": ("the choices were tried", _LESS_WORK),
    "app": ("the images were described", _LESS_WORK),
    "matrix": ("the table was filled", _LESS_WORK),
    "evaluate": ("the descriptors were judged", "--top K judges only the first K results, which needs less memory"),
    "data": ("the dataset was looked at", "close other programs, or check it with --images headers"),
}


class UsageError(ValueError):
    """The command line asks for something impossible."""


def prepare_streams() -> None:
    """Show characters that the encoding cannot write as escapes: a table that took hours must not end in an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(text: object, *, end: str = "\n", file: TextIO | None = None) -> None:
    """Print lines of text at once, made safe, because names in them may hold control sequences."""
    print(printable(text, keep="\n"), end=end, file=file, flush=True)


def complain(text: object) -> None:
    """Say what is wrong, on stderr."""
    say(text, file=sys.stderr)


def turn_away() -> None:
    """Discard all further output, because nobody reads it any more and Python would complain when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())


def sentence(error: BaseException, command: str) -> str:
    """Describe an error: of the system, by file and reason without the number; of memory, by what takes less."""
    if out_of_memory(error):
        doing, smaller = _DOING.get(command, ("it worked", "close other programs"))
        reason = f" ({str(error).splitlines()[0].rstrip('.')})" if str(error) else ""
        return f"memory ran out while {doing}{reason}; {smaller}."
    if isinstance(error, RecursionError):
        return "an input is nested too deeply to be read; --traceback shows which."
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{os.fsdecode(error.filename)}: {error.strerror[0].lower()}{error.strerror[1:]}."
    return str(error)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory is short, in Python's way or in torch's."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("allocate memory" in told or "out of memory" in told)
    )


def show_warning(message: Warning | str, category: type[Warning], *_: Any) -> None:
    """Replaces `warnings.showwarning`: prints warnings that are meant for users on one line of their own."""
    if issubclass(category, UserWarning):
        complain(f"warning: {message}")
