"""Stops: the settings that a pooling's sliders can reach."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.backbones import Backbone
from cbirlab.base.params import Choice, Word, parameters
from cbirlab.pipeline.fitting import check_cell
from cbirlab.pipeline.recipe import Recipe

_MOST_STEPS = 64
_STOPS_AT_ONCE = 24


def slider_stops(names: Sequence[str] | None = None) -> list[Aggregation]:
    """Aggregations at every combination of their parameters' slider stops; at the default if they have no stops."""
    specs = []
    for name in names or AGGREGATIONS.list():
        stops = {key: _stops(one.domain, one.default) for key, one in parameters(AGGREGATIONS[name]).items()}
        combinations = itertools.islice(itertools.product(*stops.values()), _MOST_STEPS)
        specs += [Aggregation(name, dict(zip(stops, values, strict=True))) for values in combinations]
    return specs


def moves_between(one: Recipe, other: Recipe, taps: Sequence[str]) -> float:
    """How far apart two recipes are on a panel: taps between them, another pooling, and the distance of its sliders."""
    a, b = one.aggregation, other.aggregation
    places = [taps.index(str(recipe.tap)) if recipe.tap in taps else len(taps) for recipe in (one, other)]
    values = zip(a.parameters.values(), b.parameters.values(), strict=True) if a.name == b.name else ()
    apart = [abs(x - y) if isinstance(x, float) else x != y for x, y in values]
    return abs(places[0] - places[1]) + (a.name != b.name) + sum(apart)


def one_pass_from(recipe: Recipe, known: Sequence[str], backbone: Backbone) -> list[Recipe]:
    """A recipe, and all that the same pass gives: the recipe at other taps, and other slider stops at its own tap."""
    spec, here = recipe.aggregation, [tap for _, tap in recipe.taps]
    if spec.learns:
        return [recipe]
    stops = [] if spec.attentions else [one for one in slider_stops([spec.name]) if not one.learns]
    near = [(tap, one) for tap in here for one in stops if len(stops) <= _STOPS_AT_ONCE]
    others = [
        replace(recipe, tap=tap, aggregation=one)
        for tap, one in [*((tap, spec) for tap in known), *near]
        if not check_cell(backbone, tap, one)
    ]
    return [*others, recipe]


def _stops(domain: Any, default: Any) -> list[Any]:
    if isinstance(domain, Choice):
        return list(domain.options)
    if isinstance(domain, Word):
        return [default]
    step = domain.step or (1 if domain.integer else None)
    if step is None or (domain.high - domain.low) / step >= _MOST_STEPS:
        return [default]
    count = round((domain.high - domain.low) / step)
    return [min(domain.low + place * step, domain.high) for place in range(count + 1)]
