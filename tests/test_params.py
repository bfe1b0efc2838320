from __future__ import annotations

import math
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbirlab.base.params import Choice, Range, Word, check_parameters, parameters, sentences
from cbirlab.cli.listing import KINDS, registry
from cbirlab.widgets.parts.controls import control


def pooling(
    maps: object,
    *,
    p: Annotated[float, Range(1.0, 10.0, step=0.5)] = 3.0,
    levels: Annotated[int, Range(1, 4, integer=True)] = 3,
    prior: Annotated[bool, Choice((False, True))] = False,
    other: int = 0,
) -> None:
    """A function as methods declare them."""


class Estimator:
    def __init__(self, n: Annotated[int | None, Range(1, 99, integer=True, optional=True)] = None) -> None:
        self.n = n


def test_declared_parameters_are_found_in_the_order_of_the_signature() -> None:
    found = parameters(pooling)
    assert list(found) == ["p", "levels", "prior"]
    assert (found["p"].default, found["p"].domain) == (3.0, Range(1.0, 10.0, step=0.5))
    assert list(parameters(Estimator)) == ["n"]


def test_given_values_are_checked_and_the_rest_are_defaults() -> None:
    assert check_parameters(pooling, {"p": 4}, owner="gem") == {"p": 4.0, "levels": 3, "prior": False}
    assert check_parameters(Estimator, {}, owner="pca") == {"n": None}
    assert type(check_parameters(pooling, {"levels": np.int64(2)}, owner="gem")["levels"]) is int


@given(st.floats(1, 10))
def test_every_number_inside_the_range_is_allowed(value: float) -> None:
    assert Range(1.0, 10.0).check("gem", "p", value) == value


@given(st.floats(allow_nan=True).filter(lambda value: not 1 <= value <= 10))
def test_every_number_outside_the_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"gem: p must be in \[1, 10\], got"):
        Range(1.0, 10.0).check("gem", "p", value)


@pytest.mark.parametrize("value", [True, 2.5, math.inf, "nan"])
def test_whole_numbers_only(value: object) -> None:
    with pytest.raises(ValueError, match=r"a whole number in \[1, 4\]"):
        Range(1, 4, integer=True).check("rmac", "levels", value)


@pytest.mark.parametrize("value", ["three", None, [3.0]])
def test_no_number_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match=r"gem: p must be a number in \[1, 10\], got"):
        Range(1.0, 10.0).check("gem", "p", value)


def test_none_is_allowed_only_where_declared() -> None:
    optional = Range(1, 4, integer=True, optional=True)
    assert optional.check("pca", "n", None) is None
    assert optional.describe().endswith("or None")


def test_large_bounds_are_told_in_full() -> None:
    assert Range(1, 1 << 20, integer=True).describe() == "a whole number in [1, 1048576]"
    assert Range(1e-9, 0.1).describe() == "in [1e-09, 0.1]"


def test_a_choice_suggests_the_nearest_option_and_does_not_confuse_types() -> None:
    methods = Choice(("trapezoid", "finite-sum"))
    assert methods.check("ap", "method", "finite-sum") == "finite-sum"
    with pytest.raises(ValueError, match="Did you mean 'trapezoid'"):
        methods.check("ap", "method", "trapezium")
    with pytest.raises(ValueError, match="one of False, True"):
        Choice((False, True)).check("spoc", "prior", 1)


def test_an_unknown_parameter_is_named_with_the_nearest_one() -> None:
    with pytest.raises(TypeError, match=r"gem: unknown parameter 'level'; .*Did you mean 'levels'"):
        check_parameters(pooling, {"level": 2}, owner="gem")
    with pytest.raises(TypeError, match="parameters: none"):
        check_parameters(test_none_is_allowed_only_where_declared, {"p": 1}, owner="mac")


def test_a_word_is_a_name_that_is_safe_in_a_table_of_a_database() -> None:
    assert Word().check("index", "collection", "my_photos2") == "my_photos2"
    for wrong in ("", "Photos", "2x", "a-b", "a; drop", "a" * 41, "a\n", 3, None):
        with pytest.raises(
            ValueError, match="index: collection must be a name of at most 40 characters a-z, 0-9 and _"
        ):
            Word().check("index", "collection", wrong)


def test_a_word_is_a_parameter_of_a_method_and_a_line_in_panels() -> None:
    def keep(*, collection: Annotated[str, Word()] = "images") -> str:
        return collection

    (declared,) = parameters(keep).values()
    assert (declared.name, declared.default) == ("collection", "images")
    line = control(declared)
    assert (type(line).__name__, line.value) == ("Text", "images")


class Parent:
    """A parent.

    Parameters
    ----------
    k : words of the codebook; a vector has k
        dimensions. More is said elsewhere.
    a, b : norm and `root`, as in Eq. 3 of the paper.
    """


class Child(Parent):
    """A child.

    Parameters
    ----------
    b : of its own
    c : see `pooled`.
    d : as for `test_params.Parent`.
    """


def pooled(c: float = 1.0) -> float:
    """The parameter `c` : is not declared in a sentence.

    Parameters
    ----------
    c : what a child asks for.
    d : of another name. And more.
    """
    return c


def test_a_sentence_is_the_first_one_of_the_docstring_of_a_class_of_its_parents_or_of_what_it_refers_to() -> None:
    words = "words of the codebook; a vector has k dimensions."
    assert sentences(Parent) == {"k": words, "a": (both := "norm and root, as in Eq. 3 of the paper."), "b": both}
    said = sentences(Child)
    assert (said["k"], said["a"], said["b"], said["c"]) == (words, both, "of its own.", "what a child asks for.")
    assert said["d"] == "as for test_params.Parent.", "a reference that says nothing stays as it is written"
    assert sentences(pooled) == {"c": "what a child asks for.", "d": "of another name."}
    assert sentences(lambda maps: maps) == {}


METHODS = [
    (kind, name)
    for kind in KINDS
    for name in registry(kind)
    if kind not in ("datasets", "backbones", "systems", "metrics")
]


@pytest.mark.parametrize(("kind", "name"), METHODS)
def test_every_parameter_of_every_method_is_explained_in_one_sentence(kind: str, name: str) -> None:
    method = registry(kind)[name]
    for one in parameters(method).values() if callable(method) else ():
        assert 8 < len(one.says) < 260, f"say in the docstring of {name} what {one.name} is"
        assert one.says.endswith((".", "...")), one.says
        assert not one.says.startswith(("see ", "as for ", "as in ")), f"{one.name}: nothing is said there: {one.says}"
