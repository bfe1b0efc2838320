"""Lower bounds: each dependency has one, and .ci/lowest runs with exactly these versions, which uv reads here too."""

from __future__ import annotations

import os
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = [one for name, extra in PROJECT["optional-dependencies"].items() if name != "render" for one in extra]
DIRECT = [one for one in map(Requirement, [*PROJECT["dependencies"], *EXTRAS]) if one.name != "cbirlab"]


@pytest.mark.parametrize("needed", DIRECT, ids=lambda needed: needed.name)
def test_what_is_installed_is_at_least_the_bound_and_in_the_lowest_run_the_bound(needed: Requirement):
    (bound,) = needed.specifier
    assert bound.operator == ">=", "the lowest run takes the bound; without one it would take the oldest ever published"
    there, lowest = Version(version(needed.name)), Version(bound.version)
    assert there == lowest if os.environ.get("CBIRLAB_LOWEST") else there >= lowest


def test_the_lowest_run_has_no_list_of_versions_and_is_part_of_ci():
    script = (ROOT / ".ci" / "lowest").read_text(encoding="utf-8")
    assert '--resolution lowest-direct -e ".[test]"' in script
    assert "==" not in script
    assert ".ci/lowest\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
