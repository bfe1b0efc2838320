from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import cbirlab
from cbirlab.base.registry import Registry, UnknownName
from cbirlab.cli.listing import KINDS, registry


@pytest.fixture
def fruit() -> Registry[object]:
    registry: Registry[object] = Registry("fruit")
    registry.add("pear", object(), title="Pear", sweet=True)
    registry.add("apple", object(), title="Apple", reference="Newton 1687")
    return registry


def test_it_is_a_mapping_in_the_order_of_registration(fruit: Registry[object]) -> None:
    assert fruit.list() == list(fruit) == ["pear", "apple"]
    assert "pear" in fruit
    assert "plum" not in fruit
    assert fruit.get("plum") is None
    assert len(fruit) == 2


def test_facts_are_known_without_the_entry(fruit: Registry[object]) -> None:
    assert fruit.info("apple").reference == "Newton 1687"
    assert fruit.info("pear").facts == {"sweet": True}


def test_an_unknown_name_is_a_key_error_that_prints_as_a_sentence(fruit: Registry[object]) -> None:
    with pytest.raises(KeyError) as caught:
        fruit["Appl"]
    assert isinstance(caught.value, UnknownName)
    assert str(caught.value) == "Unknown fruit 'Appl'. Did you mean 'apple'? Known: pear, apple."
    with pytest.raises(UnknownName, match="Known: none"):
        Registry("nothing").info("x")


def test_a_name_is_given_once(fruit: Registry[object]) -> None:
    with pytest.raises(ValueError, match="'apple' is registered already"):
        fruit.add("apple", object(), title="Another")
    fruit.remove("apple")
    fruit.add("apple", object(), title="Another")
    with pytest.raises(UnknownName):
        fruit.remove("plum")


def test_the_decorator_returns_what_it_registers(fruit: Registry[object]) -> None:
    @fruit.register("fig", title="Fig")
    def fig() -> int:
        return 3

    assert fruit["fig"] is fig
    assert fig() == 3


def test_an_entry_given_as_text_is_imported_when_it_is_first_used(fruit: Registry[object]) -> None:
    sys.modules.pop("this", None)
    fruit.add("zen", "this:s", title="Zen")
    assert fruit.info("zen").title == "Zen"
    assert "this" not in sys.modules
    assert isinstance(fruit["zen"], str)
    assert "this" in sys.modules


def test_a_former_name_gives_what_it_is_called_now(fruit: Registry[object]) -> None:
    fruit.add("courgette", 4, title="Courgette")
    fruit.rename("zucchini", "courgette")
    assert (fruit["zucchini"], fruit.info("zucchini").name, "zucchini" in fruit) == (4, "courgette", False)
    with pytest.raises(UnknownName):
        fruit.rename("marrow", "marrows")


def add_berry(name: str) -> None:
    """Finder of the family below; knows two."""
    if name not in ("berry:blue", "berry:black"):
        raise UnknownName(f"No such berry: {name!r}.")
    FRUIT.add(name, len(name), title=name.removeprefix("berry:"))


FRUIT: Registry[int] = Registry("fruit")


def test_a_name_of_a_family_is_entered_when_it_is_first_asked_for() -> None:
    FRUIT.add_family("berry:", f"{__name__}:add_berry", title="any berry")
    assert FRUIT.families == {"berry:": "any berry"}
    assert (list(FRUIT), "berry:blue" in FRUIT) == ([], False)
    assert FRUIT.info("berry:blue").title == "blue"
    assert FRUIT["berry:black"] == 11
    assert list(FRUIT) == ["berry:blue", "berry:black"]
    assert FRUIT.info("berry:blue").title == "blue", "the second time it is there"
    with pytest.raises(UnknownName, match="No such berry: 'berry:red'"):
        FRUIT.info("berry:red")
    with pytest.raises(UnknownName, match="Unknown fruit 'pear'"):
        FRUIT.info("pear")
    with pytest.raises(ValueError, match="family 'berry:' is registered already"):
        FRUIT.add_family("berry:", "a:b", title="again")


@pytest.mark.parametrize(
    "kind", [one for one in KINDS if one not in ("datasets", "backbones")]
)  # whose facts are shown, not only asked for
def test_every_fact_of_a_method_is_asked_for_somewhere(kind: str) -> None:
    """A fact under a name that nobody asks for changes nothing: so micro average precision was no longer pooled."""
    methods, package = registry(kind), Path(cbirlab.__file__).parent
    told = {fact for name in methods.so_far() for fact in methods.info(name).facts}
    sources = "\n".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    asked = {*re.findall(r"""(?:fact|facts\.get)\(["'](\w+)["']|facts\[["'](\w+)["']\]""", sources)}
    known = {name for pair in asked for name in pair}
    assert told <= known, f"{kind}: nobody asks for {sorted(told - known)}"
