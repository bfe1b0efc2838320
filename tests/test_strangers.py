"""Recipes, fusions and states that a stranger wrote: whatever stands in a field, a sentence says what is allowed."""

from __future__ import annotations

import copy
import json
from dataclasses import fields

import pytest
from fuzzing.mutations import VALUES
from fuzzing.readers import panel
from hypothesis import given, settings
from hypothesis import strategies as st

from cbirlab.base import plain
from cbirlab.base.registry import UnknownName
from cbirlab.fusion import Fusion
from cbirlab.pipeline import Recipe
from cbirlab.pipeline.fields import MOST_SCALES
from cbirlab.pipeline.tap_names import MOST_TAPS
from cbirlab.widgets.panels import saved

OWN = (ValueError, TypeError, UnknownName)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


def error_of(make) -> Exception | None:
    try:
        make()
    except Exception as error:
        return error
    return None


def refused(make) -> bool:
    """Whether it is refused, and by one of the package's own errors, in a sentence that is not long."""
    error = error_of(make)
    assert error is None or type(error) in OWN, repr(error)
    assert error is None or 0 < len(str(error)) < 3000
    return error is not None


@pytest.mark.parametrize("field", [field.name for field in fields(Recipe)])
def test_any_value_in_any_field_of_a_recipe_is_taken_or_refused(field: str) -> None:
    wrong = [5, 1.5, True, [], [1, "a"], {}, {"a": 1}, [[1]]]
    whole = ("image_size", "dimensions", "depth", "rescore", "distractors", "seed")
    allowed = {**dict.fromkeys(whole, (5,)), "antialias": (True,), "metrics": ([],)}.get(field, ())
    for value in wrong:
        assert refused(lambda value=value: Recipe.from_json({field: value})) == (value not in allowed), value
    for value in VALUES:
        refused(lambda value=value: Recipe.from_json({field: value}))
        refused(lambda value=value: Recipe.from_json(json.dumps({field: value})))


@given(st.sampled_from([field.name for field in fields(Recipe)]), JSON)
@settings(max_examples=150, deadline=None)
def test_recipes_of_any_json(field: str, value) -> None:
    refused(lambda: Recipe.from_json(json.dumps({field: value})))
    refused(lambda: Recipe(**{field: value}))


@given(st.sampled_from([field.name for field in fields(Fusion)]), JSON)
@settings(max_examples=100, deadline=None)
def test_fusions_of_any_json(field: str, value) -> None:
    members = [{"tap": "layer3"}, {"tap": "layer4"}]
    refused(lambda: Fusion.from_json(json.dumps({"members": members, field: value})))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"image_size": 20_000}, r"image_size must be a whole number in \[1, 4096\] or None, got 20000"),
        ({"image_size": 10**400}, "image_size must be a whole number"),
        ({"image_size": 3000, "scales": [1, 2]}, "image_size times the largest of scales must be at most 4096"),
        ({"scales": [1.0] * 50_000}, f"scales must be 1 to {MOST_SCALES} numbers"),
        ({"scales": []}, f"scales must be 1 to {MOST_SCALES} numbers"),
        ({"scales": {"1": 2}}, f"scales must be 1 to {MOST_SCALES} numbers"),
        ({"tap": "+".join(["layer4"] * 17)}, f"tap must name at most {MOST_TAPS} taps, got 17"),
        ({"tap": 5}, "tap must be text or None, got 5"),
        ({"aggregation": "gem(p=" + "-" * 900 + "1)"}, "expected a form like|p must be"),
        ({"aggregation": "gem" * 1000}, "aggregation must be text of at most 1000 characters, got 3,000"),
        ({"aggregation": None}, "aggregation must be text, got None"),
    ],
)
def test_recipes_that_would_take_the_machine_are_refused(recipe, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        Recipe.from_json(recipe)


@pytest.mark.parametrize("read", [plain.parse_json, Recipe.from_json, Fusion.from_json])
@pytest.mark.parametrize("deep", [40, 500, 990, 200_000])
@pytest.mark.parametrize("form", ["[{}]", '{{"tap": {}}}', '{{"members": [{}]}}'])
def test_json_that_is_nested_without_end_is_refused(read, deep: int, form: str) -> None:
    for one, end in ("[", "]"), ('{"a": ', "}"):
        with pytest.raises(ValueError, match=f"JSON must be nested at most {plain.DEEPEST} deep"):
            read(form.format(one * deep + "1" + end * deep))


def test_a_state_with_anything_else_in_any_place_is_refused(tmp_path) -> None:
    """Each value of a good state in turn replaced by others, or left out."""
    panel(tmp_path)
    good = json.loads((tmp_path / "plain.json").read_text())
    assert saved.parsed(json.dumps(good), "x.json") == good

    def paths(tree, before=()):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
            yield (*before, key)
            yield from paths(value, (*before, key))

    refusals = 0
    for path in paths(good):
        for value in (5, "x", None, [[]], {"a": []}, -1):
            state = copy.deepcopy(good)
            holder = state
            for key in path[:-1]:
                holder = holder[key]
            holder[path[-1]] = value
            error = error_of(lambda state=state: saved.parsed(json.dumps(state), "x.json"))
            assert error is None or (type(error) is ValueError and "x.json" in str(error)), repr(error)
            refusals += error is not None
    assert refusals > 150
