"""Public names of before work until one version, and say which."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from cbirlab import __version__
from cbirlab.base.renamed import MOVED, UNTIL, MovedModules, renamed


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


@pytest.mark.parametrize(("former", "present"), [(one, there) for one, there in MOVED.items()])
def test_a_module_that_was_moved_is_found_under_its_former_name(former: str, present: str) -> None:
    sys.modules.pop(f"cbirlab.{former}", None)
    with pytest.warns(DeprecationWarning, match=rf"cbirlab\.{former} is called cbirlab\.{present} now.*until version"):
        found = importlib.import_module(f"cbirlab.{former}")
    now = importlib.import_module(f"cbirlab.{present}")
    assert found is now
    assert now.__spec__.name == f"cbirlab.{present}"


def test_modules_of_a_room_that_was_moved_are_found_too_and_the_warning_names_who_imports() -> None:
    with pytest.warns(DeprecationWarning, match="cbirlab.looking.match is called") as told:
        from cbirlab.looking.match import similarity_map
    assert similarity_map is importlib.import_module("cbirlab.study.explain.match").similarity_map
    assert {warning.filename for warning in told} == {__file__}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_modules_that_two_threads_import_at_once_keep_their_own_specifications() -> None:
    finder, names = MovedModules(), ["text", "plain", "session"]
    specs = [finder.find_spec(f"cbirlab.{name}") for name in names]
    modules = [finder.create_module(spec) for spec in specs]
    for module, spec in zip(modules, specs, strict=True):
        module.__spec__ = spec  # as the import machinery does
    for module in modules:
        finder.exec_module(module)
    assert [module.__spec__.name for module in modules] == [f"cbirlab.{MOVED[name]}" for name in names]


def test_no_former_name_is_used_in_the_package() -> None:
    code = "from cbirlab import *; import cbirlab.widgets.panels.workbench, cbirlab.cli.commands"
    ran = subprocess.run([sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, check=True)
    assert "is called cbirlab" not in ran.stderr
