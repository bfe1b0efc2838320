"""What is on screen, as Python and as a command line that run without any widget."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from cbirlab.pipeline import Recipe
from cbirlab.pipeline.added import search_fields
from cbirlab.pipeline.recipe import OF_SETTING
from cbirlab.widgets.parts.question import Question


def given(recipe: Recipe) -> dict[str, Any]:
    """The fields of a recipe that are not at their defaults."""
    values = {part.name: (getattr(recipe, part.name), part.default) for part in fields(recipe)}
    return {name: value for name, (value, default) in values.items() if value != default}


def to_python(recipe: Recipe, name: str = "result") -> str:
    """The call that carries out a recipe; fields at their defaults are left out."""
    return f"from cbirlab import Recipe, run\n\n{_call(recipe, name)}\n{name}.metrics"


def _call(recipe: Recipe, name: str) -> str:
    lines = [f"    {field}={value!r},\n" for field, value in given(recipe).items()]
    return f"{name} = run(Recipe(\n{''.join(lines)}))"


def to_command(recipe: Recipe) -> str:
    """The command line that prints the numbers of a recipe."""
    words = ["cbirlab", "run"]
    for name, value in given(recipe).items():
        values = value if isinstance(value, tuple) else [value]
        words += [f"--{name.replace('_', '-')}", *(str(one) for one in values)]
    return shlex.join(words)


def screen_as_python(recipes: Mapping[str, Recipe], question: Question, shown: int) -> str:
    """Python for the numbers of every side, the comparison of two, and the gallery of the question.

    Parameters
    ----------
    recipes : resolved, by the name of the side.
    """
    names = [name.lower() for name in recipes]
    several = len(names) > 1
    lines = [f"from cbirlab import Recipe, run{', versus' if several else ''}", ""]
    for name, recipe in zip(names, recipes.values(), strict=True):
        lines += [_call(recipe, name), f"{name}.metrics", ""]
    if several:
        lines += ["versus(a, b).attrs  # a - b: mean difference of the APs and its interval", ""]
    if question.of_protocol:
        lines += [f"{name}.ranking.images[{question.query}, :{shown}]  # the gallery" for name in names]
        return "\n".join(lines)
    lines += ["from cbirlab.live import Session", ""]
    for name, recipe in zip(names, recipes.values(), strict=True):
        lines += [_session(recipe, f"session_{name}"), _ranked(recipe, question, f"session_{name}", shown)]
    return "\n".join(lines)


def _session(recipe: Recipe, name: str) -> str:
    ranked = (*OF_SETTING, *search_fields())
    shared = {field: value for field, value in given(recipe).items() if field not in ranked}
    first = [repr(recipe.dataset), repr(recipe.backbone)]
    others = [f"{field}={value!r}" for field, value in shared.items() if field not in ("dataset", "backbone")]
    return f"{name} = Session({', '.join(first + others)})"


def _ranked(recipe: Recipe, question: Question, name: str, shown: int) -> str:
    setting = ", ".join(repr(getattr(recipe, field)) for field in OF_SETTING)
    if stages := [(field, value) for field, value in given(recipe).items() if field in search_fields()]:
        setting += f", stages={stages!r}"
    asked = repr(list(question.images) or question.image)
    if question.own is not None:
        asked = repr(question.own.name)
    elif question.image is None and not question.images:
        asked = f"{name}.dataset.queries[{question.query}].path"
    box = "" if question.box is None else f", box={tuple(question.box)}"
    return f"{name}.rank_image({asked}, {setting}{box}).images[0, :{shown}]  # the gallery"


def screen_as_commands(recipes: Mapping[str, Recipe]) -> str:
    """One command per side."""
    return "\n".join(to_command(recipe) for recipe in recipes.values())
