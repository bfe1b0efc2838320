"""One choice changed alone, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

from cbirlab.pipeline import Recipe
from cbirlab.study.choices.judging import Judging


@dataclass(frozen=True)
class Alternative:
    """One choice changed alone.

    Attributes
    ----------
    choice, was, to : what is changed, in words.
    recipe : the recipe that gives another ranking; None keeps the ranking.
    judging : how the ranking is judged before and after; None means as usual, both times.
    metric : metric to compare by; None takes that of the judging.
    forward_pass : whether pictures have to go through the network again.
    note : why the choice does not apply; empty if it does.
    """

    choice: str
    was: str
    to: str = ""
    recipe: Recipe | None = None
    judging: tuple[Judging, Judging] | None = None
    metric: str | None = None
    forward_pass: bool = False
    note: str = ""
