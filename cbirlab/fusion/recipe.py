"""Fusion: several recipes and how they are fused, as plain data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from cbirlab.base.params import Range
from cbirlab.base.plain import check_fields, check_texts, object_of, shown
from cbirlab.fusion.methods import FusionMethod, check_weights
from cbirlab.pipeline import Recipe
from cbirlab.pipeline.distractors import refuse
from cbirlab.pipeline.fields import SETTING, declared
from cbirlab.store import digest
from cbirlab.whitening import Whitening

LEARNED = "learned"
MOST_MEMBERS = 64


@dataclass(frozen=True, kw_only=True)
class Fusion:
    """Several ways from pictures to one ranking.

    >>> Fusion(members=(Recipe(tap="layer3"), Recipe(tap="layer4")), method="rrf").method
    'rrf(k=60)'

    Attributes
    ----------
    members : recipes of one dataset under one protocol; the order matters for "cascade".
    method : a name in `FUSIONS` with its parameters: "early", "minmax" or "rrf(k=30)".
    weights : one per member, at least 0; None for equal ones; "learned" for the weights that `balance` finds where the
        members learn: on the train split of the dataset, or else on what is held out, see `Recipe.whitening_set`.
    whitening : applied to the concatenated descriptors, learned at the same place; for early fusion.
    dimensions : leading dimensions kept after that whitening.

    Raises
    ------
    UnknownName, TypeError, ValueError : a name or value that is not allowed, or members that cannot be compared.
    """

    members: tuple[Recipe, ...]
    method: FusionMethod = declared("early", SETTING)
    weights: tuple[float, ...] | str | None = None
    whitening: Whitening = declared("none", SETTING)
    dimensions: int | None = None

    def __post_init__(self) -> None:
        check_texts(self)
        method, members = FusionMethod.parse(self.method), tuple(self.members)
        whitening = Whitening.parse(self.whitening)
        dimensions = Range(1, 1 << 20, integer=True, optional=True).check("Fusion", "dimensions", self.dimensions)
        check_members(members)
        if method.fact("cosines") and any(map(compares_parts, members[1:])):
            raise ValueError(
                f"Fusion: method {method.name!r} turns the cosines of all members but the first into distances, and "
                "one of them compares words or views; use 'minmax' or 'rrf'."
            )
        if method.fact("cosines") and any(member.rerank.used for member in members[1:]):
            raise ValueError(
                f"Fusion: method {method.name!r} turns the cosines of all members but the first into distances, and "
                "scores after re-ranking are none; those members need rerank 'none', or use 'minmax' or 'rrf'."
            )
        if method.stage != "descriptors" and any(member.depth for member in members):
            raise ValueError(
                f"Fusion: {method.name!r} fuses complete lists, so the members' depth must be None, got "
                f"{', '.join(str(member.depth) for member in members)}."
            )
        for member in members:
            _check_search(method, member)
        if whitening.name != "none" and method.stage != "descriptors":
            raise ValueError(
                f"Fusion: whitening {whitening!r} is for descriptors, and {method.name!r} fuses {method.stage}; "
                "use method 'early', or whiten the members."
            )
        if dimensions is not None and not whitening.fact("ordered"):
            raise ValueError(
                f"Fusion: dimensions must be None with whitening {whitening!r}, got {dimensions}; use 'pca'."
            )
        weights = self.weights
        if isinstance(weights, str):
            if weights != LEARNED:
                raise ValueError(f"Fusion: weights must be numbers, None or {LEARNED!r}, got {weights!r}.")
        elif weights is not None:
            weights = check_weights("Fusion", weights, len(members))
        clean = {"members": members, "method": method, "weights": weights, "whitening": whitening}
        for name, value in {**clean, "dimensions": dimensions}.items():
            object.__setattr__(self, name, value)

    def to_json(self) -> str:
        """The fusion as one line of JSON; the key "members" distinguishes it from a recipe."""
        members = [json.loads(member.to_json()) for member in self.members]
        return json.dumps(asdict(self) | {"members": members})

    @classmethod
    def from_json(cls, saved: str | Mapping[str, Any]) -> Fusion:
        """A fusion from `to_json`, or from a mapping.

        Raises
        ------
        ValueError : no JSON object with a list of members.
        TypeError : an unknown field.
        """
        given = object_of("Fusion.from_json", saved, form := "a JSON object with a list of members")
        if not isinstance(given.get("members"), list | tuple):
            raise ValueError(f"Fusion.from_json: expected {form}, got {shown(saved)}.")
        _check_count(given["members"])
        check_fields("Fusion.from_json", cls, given)
        return cls(**{**given, "members": tuple(Recipe.from_json(member) for member in given["members"])})

    def key(self) -> str:
        """Hash of the fusion."""
        return digest(json.loads(self.to_json()))

    def with_members(self, members: Sequence[Recipe]) -> Fusion:
        """The same fusion of other recipes, such as the resolved ones."""
        return replace(self, members=tuple(members))


def compares_parts(recipe: Recipe) -> bool:
    """Whether a recipe compares words or views: then an image has more than one vector, and scores are not cosines."""
    return bool(recipe.aggregation.fact("similarity")) or recipe.passes.combine == "match"


def _check_search(method: FusionMethod, member: Recipe) -> None:
    """Refuse members that search codes if descriptors are joined, and lists that lack images."""
    if member.index.fact("approximate"):
        raise ValueError(
            f"Fusion: needs complete lists, so members need an index that compares all images, 'exact' or 'hamming', "
            f"got {member.index!r}."
        )
    if method.stage == "descriptors" and (member.compression.used or member.rescore or member.rerank.used):
        raise ValueError(
            f"Fusion: {method.name!r} joins full descriptors, so members need compression 'none', rescore 0 and rerank "
            f"'none', got {member.compression!r}, {member.rescore} and {member.rerank!r}; use 'minmax' or 'rrf'."
        )


def check_members(members: Sequence[Recipe]) -> None:
    """Refuse members that do not answer the same question; fields that a recipe leaves open are checked when resolved.

    Raises
    ------
    TypeError, ValueError : no recipe, or recipes that differ in dataset, protocol or average precision.
    """
    if not members:
        raise ValueError("Fusion: members must be at least one recipe, got none.")
    _check_count(members)
    for member in members:
        if not isinstance(member, Recipe):
            raise TypeError(f"Fusion: members must be recipes, got {type(member).__name__}.")
        refuse("Fusion", member)
    for name in ("dataset", "protocol", "average_precision", "metrics", "index"):
        values = list(dict.fromkeys(getattr(member, name) for member in members))
        given = [value for value in values if value is not None]
        if len(given) > 1:
            raise ValueError(f"Fusion: members must share {name}, got {' and '.join(map(repr, given))}.")


def _check_count(members: Sequence[Any]) -> None:
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"Fusion: members must be at most {MOST_MEMBERS} recipes, got {len(members):,}.")
