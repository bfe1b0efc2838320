"""How a command line is read, and what is said where it cannot be: the usage of that command, and what is near."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from cbirlab.base.text import did_you_mean

SERVED = {"lab": "JupyterLab", "app": "Voilà"}
"""Commands that pass on what stands after --, and to whom."""


class Command(argparse.ArgumentParser):
    """A command, or the whole command line.

    It makes some options only when it is the one asked for, because they load the pipeline. It refuses what it does not
    know itself, rather than leave that to the parser around it, whose usage would say nothing of this command.
    """

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._later: list[Callable[[], None]] = []

    def later(self, add: Callable[[], None]) -> None:
        """Add options once this command is asked for."""
        self._later.append(add)

    def parse_known_args(self, *given: Any, **options: Any) -> Any:
        while self._later:
            self._later.pop(0)()
        found, unknown = super().parse_known_args(*given, **options)
        if unknown:
            self._refuse(unknown)
        return found, unknown

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        """End with the arguments that this command does not know, the options that it has of a like name, and more."""
        known = [name for action in self._actions for name in action.option_strings]
        options = [one.partition("=")[0] for one in unknown if one.startswith("-")]
        hints = dict.fromkeys(did_you_mean(one, known) for one in options)
        served = next((word for word in self.prog.split() if word in SERVED), None)
        passed = f"; put options for {SERVED[served]} after --, as in: {self.prog} -- --no-browser" if served else ""
        self.error(f"unrecognized arguments: {' '.join(unknown)}{passed or '.' * any(hints)}{''.join(hints)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """As argparse does, whose sentence names all choices in quotes and none that is near."""
        known = action.choices
        if known is not None and value not in known:
            hint = did_you_mean(str(value), map(str, known))
            raise argparse.ArgumentError(action, f"unknown {value!r}.{hint} Known: {', '.join(map(str, known))}.")
