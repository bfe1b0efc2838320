"""Public names of before work until one version, and say which."""

from __future__ import annotations

import pytest

from cbirlab import __version__
from cbirlab.renamed import UNTIL, renamed


def test_a_former_name_warns_with_the_present_one_and_the_version():
    find = renamed("math", {"circle": "pi", "root": "sqrt"})
    for former, present in (("circle", "pi"), ("root", "sqrt")):
        said = rf"^math\.{former} is called {present} now; the former name works until version {UNTIL}\.$"
        with pytest.warns(DeprecationWarning, match=said) as caught:
            assert find(former) is getattr(__import__("math"), present)
        assert caught[0].filename == __file__
    with pytest.raises(AttributeError, match="module 'math' has no attribute 'square'"):
        find("square")


def test_the_version_is_to_come():
    now, end = (tuple(map(int, version.split("."))) for version in (__version__, UNTIL))
    assert now < end, "take the former names out: search for renamed("
