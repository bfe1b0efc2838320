"""Names: a backbone and its weights in one word, "resnet50@IMAGENET1K_V2", wherever a backbone's name is accepted."""

from __future__ import annotations

from pathlib import Path

from cbirlab.backbones.catalogue import BACKBONES, RANDOM
from cbirlab.backbones.published_weights import releases

SIGN = "@"


def split_backbone(text: str, weights: str | Path | None = None) -> tuple[str, str | None]:
    """Split a backbone's name from weights written after an @; a registered name that contains an @ stays whole.

    >>> chosen("resnet50@IMAGENET1K_V2")
    ('resnet50', 'IMAGENET1K_V2')

    Parameters
    ----------
    weights : weights given separately; None if none are.

    Raises
    ------
    UnknownName : no network of that name.
    ValueError : nothing after the sign, or two different weights.
    """
    name, sign, label = (text, "", "") if text in BACKBONES else str(text).partition(SIGN)
    BACKBONES.info(name)
    beside = None if weights is None else str(weights)
    if not sign:
        return name, beside
    if not label:
        raise ValueError(f"backbone: weights must follow {SIGN!r}, as in 'resnet50@IMAGENET1K_V2', got {text!r}.")
    if beside not in (None, label):
        raise ValueError(
            f"backbone: {text!r} names its weights, so weights must be the same or None, got {beside!r}; leave one of "
            "them out."
        )
    return name, label


def in_one_word(name: str, weights: str | None) -> str:
    """The text that `chosen` reads, for weights that have a name; for default weights and files, the name alone."""
    return f"{name}{SIGN}{weights}" if weights in (RANDOM, *releases(name)) else name


def choices_of(name: str) -> list[str]:
    """The network with its default weights, and with each other set that is published for it."""
    default = BACKBONES.info(name).facts["weights"]
    return [name, *(in_one_word(name, label) for label in releases(name) if label != default)]
