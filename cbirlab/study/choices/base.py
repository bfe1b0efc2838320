"""What a choice changed alone is, before anything is computed."""

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
    recipe : that gives another ranking; None keeps the ranking.
    judging : how it is judged before and after; None is as usual, both times.
    metric : that is judged by; None is that of the judging.
    forward_pass : whether pictures have to go through the network for it.
    note : why it does not apply; empty where it does.
    """

    choice: str
    was: str
    to: str = ""
    recipe: Recipe | None = None
    judging: tuple[Judging, Judging] | None = None
    metric: str | None = None
    forward_pass: bool = False
    note: str = ""
