"""Names of taps: several of them in one text, each with its weight."""

from __future__ import annotations

from collections.abc import Sequence

MOST_TAPS = 16
"""Each gives descriptors of its own beside the others."""


def split_taps(text: str) -> list[tuple[float, str]]:
    """Weight and name of each tap in "layer4" or "0.5*layer3+layer4".

    Raises
    ------
    ValueError : another form, a weight that is not positive, or more than `MOST_TAPS`.
    """
    members = []
    if text.count("+") >= MOST_TAPS:
        raise ValueError(f"Recipe: tap must name at most {MOST_TAPS} taps, got {text.count('+') + 1}.")
    for member in text.split("+"):
        weight, star, tap = member.rpartition("*")
        try:
            number = float(weight) if star else 1.0
        except ValueError:
            number = 0.0
        if not tap.strip() or not 0 < number < float("inf"):
            raise ValueError(f"Recipe: tap must be a name or a form like 'layer3+0.5*layer4', got {text!r}.")
        members.append((number, tap.strip()))
    return members


def join_taps(members: Sequence[tuple[float, str]]) -> str:
    """The text that `split_taps` reads."""
    return "+".join(tap if weight == 1 else f"{weight:g}*{tap}" for weight, tap in members)
