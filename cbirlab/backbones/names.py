"""Names: a backbone and its weights in one word, "resnet50@IMAGENET1K_V2", wherever a backbone's name is accepted."""

from __future__ import annotations

import re
from pathlib import Path

from cbirlab.backbones.catalogue import BACKBONES, RANDOM
from cbirlab.backbones.published_weights import releases
from cbirlab.backbones.trained import LABEL, aliases, resolve

SIGN = "@"
OF_TOYTOWN, OF_PHOTOGRAPHS = "toynet", "efficientnet_lite0"
"""The networks that are used unless one is named."""

USUAL = f"{OF_TOYTOWN} for Toytown, {OF_PHOTOGRAPHS} for other pictures"


def usual_backbone(*datasets: str) -> str:
    """The network that is used unless one is named: toynet if all pictures are Toytown's, else one for photographs.

    >>> usual_backbone("toytown"), usual_backbone("toytown/train", "my/photos")
    ('toynet', 'efficientnet_lite0')
    """
    renderings = all(re.match(r"toytown(?![\w.-])", one) for one in datasets)
    return OF_TOYTOWN if renderings else OF_PHOTOGRAPHS


def split_backbone(text: str, weights: str | Path | None = None) -> tuple[str, str | None]:
    """Split a backbone's name from weights written after an @; a registered name that contains an @ stays whole.

    A name that was given to trained weights becomes their label, "trained-" and digits of the training's hash.

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
    beside = None if weights is None else resolve(name, str(weights))
    if not sign:
        return name, beside
    if not label:
        raise ValueError(f"backbone: weights must follow {SIGN!r}, as in 'resnet50@IMAGENET1K_V2', got {text!r}.")
    label = resolve(name, label)
    if beside not in (None, label):
        raise ValueError(
            f"backbone: {text!r} names its weights, so weights must be the same or None, got {beside!r}; leave one of "
            "them out."
        )
    return name, label


def in_one_word(name: str, weights: str | None) -> str:
    """The text that `chosen` reads, for weights that have a name; for default weights and files, the name alone."""
    named = weights is not None and (weights in (RANDOM, *releases(name)) or weights.startswith(LABEL))
    return f"{name}{SIGN}{weights}" if named else name


def choices_of(name: str) -> list[str]:
    """The network with its default weights, with each other set that is published for it, and with trained ones."""
    default = BACKBONES.info(name).facts["weights"]
    published = [in_one_word(name, label) for label in releases(name) if label != default]
    return [name, *published, *(f"{name}{SIGN}{alias}" for alias in aliases(name))]
