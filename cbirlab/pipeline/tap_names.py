"""Names of taps: several of them in one text, each with its weight."""

from __future__ import annotations

from typing import Self

MOST_TAPS = 16
"""Limit for taps: each one gives descriptors of its own beside the others."""


class Taps(str):
    """One or several taps of a backbone, each with a weight, as a text: "layer4" or "0.5*layer3+layer4".

    >>> Taps("0.5*layer3 + layer4").members
    ((0.5, 'layer3'), (1.0, 'layer4'))

    Attributes
    ----------
    members : weight and name of each tap.

    Raises
    ------
    ValueError : another form, a weight that is not positive, or more than `MOST_TAPS`.
    """

    members: tuple[tuple[float, str], ...]

    def __new__(cls, text: str) -> Self:
        if isinstance(text, cls):
            return text
        if text.count("+") >= MOST_TAPS:
            raise ValueError(f"Recipe: tap must name at most {MOST_TAPS} taps, got {text.count('+') + 1}.")
        members = tuple(_member(one, text) for one in text.split("+"))
        self = super().__new__(cls, "+".join(tap if weight == 1 else f"{weight:g}*{tap}" for weight, tap in members))
        self.members = members
        return self


def _member(written: str, text: str) -> tuple[float, str]:
    """Weight and name of one tap."""
    weight, star, tap = written.rpartition("*")
    try:
        number = float(weight) if star else 1.0
    except ValueError:
        number = 0.0
    if not tap.strip() or not 0 < number < float("inf"):
        raise ValueError(f"Recipe: tap must be a name or a form like 'layer3+0.5*layer4', got {text!r}.")
    return number, tap.strip()
