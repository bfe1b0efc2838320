"""Added stages: steps of the pipeline that are declared from outside; each becomes a field of every recipe.

>>> from cbirlab.base.methods import Method
>>> from cbirlab.base.registry import Registry
>>> SIGNS = Registry("sign")
>>> class Sign(Method):
...     registry = SIGNS
>>> @SIGNS.register("flip", title="Opposite vectors")
... def flip(rows):
...     return -rows
>>> stage = add_stage(Stage("sign", Sign, ROWS, "signs", help="of descriptors, before the search"))
>>> Recipe(sign="flip").sign
'flip'
>>> remove_stage("sign")
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry
from cbirlab.datasets import Dataset
from cbirlab.index import Rows
from cbirlab.pipeline.fields import ADDED, SEARCH, about, declared, names
from cbirlab.pipeline.recipe import Recipe

NONE = "none"
ROWS, RANKINGS = "rows", "rankings"


@dataclass(frozen=True, eq=False)
class Asked:
    """What a step between search and evaluation can use in addition to the ranking.

    Attributes
    ----------
    dataset : the one that is searched.
    images, queries : descriptors of the database and of the queries of this ranking, as they were searched.
    own : (Q,) row of the database that is the query itself, -1 if there is none.
    """

    dataset: Dataset
    images: Rows
    queries: Rows
    own: np.ndarray


@dataclass(frozen=True)
class Stage:
    """A stage that an extension adds.

    Attributes
    ----------
    name : name of the field of the recipe, and of the option.
    method : the class of its methods, with their registry.
    place : how its methods are called. "rows": ``f(rows, **parameters)`` turns the (n, D) rows of database and queries,
        L2-normalised, into other rows before the search. "rankings": ``f(ranking, asked, **parameters)`` turns the
        `Ranking` of some queries into another one; `asked` is an `Asked`.
    plural : the argument of `compare` that takes several.
    help : for the command line.
    """

    name: str
    method: type[Method]
    place: str
    plural: str
    help: str = ""

    @property
    def registry(self) -> Registry[Any]:
        """Its methods by name."""
        return self.method.registry

    def check(self, text: Any) -> str:
        """What the recipe keeps: "none", or a method with its parameters."""
        return NONE if text in (NONE, None) else self.method.parse(text)


STAGES: Registry[Stage] = Registry("stage")


def add_stage(stage: Stage) -> Stage:
    """Make `stage` a field of every recipe; recipes that leave it at "none" keep their keys and their results.

    Raises
    ------
    ValueError : a recipe already has a field of that name, or there is no such place.
    """
    if stage.name in names(Recipe):
        raise ValueError(f"add_stage: a recipe has a field {stage.name!r} already; choose another name.")
    if stage.place not in (ROWS, RANKINGS):
        raise ValueError(f"add_stage: place must be {ROWS!r} or {RANKINGS!r}, got {stage.place!r}.")
    help = stage.help or ", ".join([NONE, *stage.registry])
    _declare(stage.name, declared(NONE, ADDED, stage.check, help, plural=stage.plural, offers=stage.method, later=True))
    STAGES.add(stage.name, stage, title=help)
    return stage


def remove_stage(name: str) -> None:
    """Remove a stage (for tests, and for notebooks that define one twice)."""
    STAGES.remove(name)
    _declare(name, None)


def search_fields() -> dict[str, Field[Any]]:
    """Fields between whitening and judging that panels change beside the setting, by name: search and added stages."""
    return {one.name: one for one in fields(Recipe) if about(one).decides in (SEARCH, ADDED) and about(one).plural}


def stages_used(recipe: Recipe, place: str) -> dict[str, Method]:
    """The stages that a recipe uses at a place, each with its method."""
    chosen = {name: getattr(recipe, name) for name, stage in STAGES.items() if stage.place == place}
    return {name: method for name, method in chosen.items() if method != NONE}


def _declare(name: str, declaration: Field[Any] | None) -> None:
    """Add a field to `Recipe` or remove it, and rebuild the methods of `Recipe` for the fields that it has then."""
    kept = [one for one in fields(Recipe) if one.name != name]
    for made in _MADE & {*vars(Recipe)}:
        delattr(Recipe, made)
    for one in kept:
        setattr(Recipe, one.name, field(default=one.default, metadata=one.metadata))
    if declaration is None:
        del Recipe.__annotations__[name]
        delattr(Recipe, name)
    else:
        Recipe.__annotations__[name] = "str"
        setattr(Recipe, name, declaration)
    dataclass(frozen=True, kw_only=True)(Recipe)


_MADE = {"__init__", "__repr__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__match_args__", "__replace__"}
