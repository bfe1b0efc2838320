"""Menus that show what is here and fold away the rest."""

from __future__ import annotations

import pytest
import traitlets

from cbirlab.widgets.panels.sessions import backbone_options, backbone_titles
from cbirlab.widgets.parts.folded_menu import FEW, MORE, FoldedMenu

HERE = [("Toynet", "toynet"), ("Hand-crafted", "handcrafted")]
ABSENT = [(f"Far {number} (takes much)", f"far{number}") for number in range(FEW + 2)]


@pytest.fixture
def made():
    """A menu, its drop-down, and the values that its observers have seen."""
    menu = FoldedMenu("backbone", "networks", "toynet", [*ABSENT, *HERE], ["toynet", "handcrafted"])
    heard = []
    menu.observe(lambda change: heard.append(change["new"]), "value")
    yield menu, menu.children[0], heard
    menu.close()


def names(dropdown):
    return [name for _, name in dropdown.options]


def test_what_is_here_comes_first_and_one_entry_unfolds_the_rest(made):
    menu, dropdown, heard = made
    assert names(dropdown) == ["toynet", "handcrafted", MORE]
    assert dropdown.options[-1][0] == f"{FEW + 2} more networks, not on this machine …"
    assert menu.options == [*HERE, *ABSENT]
    dropdown.value = MORE  # as from the page, by mouse or key
    assert names(dropdown) == [name for _, name in [*HERE, *ABSENT]]
    assert (dropdown.value, menu.value, heard) == ("toynet", "toynet", []), "to unfold is no choice"
    dropdown.value = "far3"
    assert (menu.value, heard) == ("far3", ["far3"])


def test_a_saved_state_may_name_one_that_is_folded_away(made):
    menu, dropdown, heard = made
    menu.value = "far1"
    assert names(dropdown) == ["toynet", "handcrafted", "far1", MORE]
    assert (dropdown.value, heard) == ("far1", ["far1"])
    with pytest.raises(traitlets.TraitError, match="backbone must be one of"):
        menu.value = "unheard of"
    assert (menu.value, dropdown.value) == ("far1", "far1")


def test_what_comes_on_offer_later_keeps_the_choice(made):
    menu, dropdown, heard = made
    menu.offer([*HERE, ("Mine", "mine"), *ABSENT], ["toynet", "handcrafted", "mine"])
    assert names(dropdown) == ["toynet", "handcrafted", "mine", MORE]
    assert (menu.value, heard) == ("toynet", [])
    dropdown.value = MORE
    menu.offer([*HERE, *ABSENT], ["toynet", "handcrafted", "far0"])
    assert MORE not in names(dropdown), "what was unfolded stays so"


def test_few_are_not_folded_and_one_alone_needs_no_menu():
    menu = FoldedMenu("backbone", "networks", "toynet", [*ABSENT[:FEW], *HERE], ["toynet", "handcrafted"])
    assert names(menu.children[0]) == [name for _, name in [*HERE, *ABSENT[:FEW]]]
    menu.offer(HERE[:1], ["toynet"])
    assert menu.layout.display == "none"


def test_backbones_on_this_machine_are_told_from_the_others(monkeypatch, tmp_path):
    monkeypatch.delenv("CBIRLAB_WEIGHTS", raising=False)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    titles, here = backbone_options(["resnet50", "toynet"])
    assert (titles, here) == (backbone_titles(["resnet50", "toynet"]), ["toynet"])
