"""A pooling is one file: put into the folder of a copy of the package, it leaves all tests that know poolings green."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import cbirlab

PACKAGE, TESTS = Path(cbirlab.__file__).parent, Path(__file__).parent
IGNORED = shutil.ignore_patterns("__pycache__", "shots", ".hypothesis")

REPRESENTED = "a_new_pooling or class_activation or attention_weighs or did_not_prepare or positions_is_pooled"
"""Of the tests of whole pipelines, those of poolings."""

BRIGHT = '''"""Bright: positions count by the sum over their channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cbirlab.aggregation.base import pooling
from cbirlab.aggregation.fused import Shared, Weights
from cbirlab.aggregation.weighted import WeightedSums
from cbirlab.attention.weights import relative
from cbirlab.base.params import Range

if TYPE_CHECKING:
    from torch import Tensor


def _weights(shared: Shared, *, power: float, **_: Any) -> Weights:
    return Weights(relative(shared.across[:, 0]).pow(power))


_SUMS = WeightedSums(_weights, needs=("across",))


@pooling("bright", title="Bright positions", look=_SUMS.look, parts=_SUMS.parts, fused=_SUMS.fused)
def bright(maps: Tensor, *, power: Annotated[float, Range(1.0, 3.0, step=0.5)] = 1.0) -> Tensor:
    """Sums of channels, positions weighed by the sum over all channels to a power.

    Parameters
    ----------
    power : of the weights; a larger one lets fewer positions count.
    """
    return _SUMS.pool(maps, power=power)
'''
"""By position weights: what it looked at, its parts and its place in the walk follow."""

MIDRANGE = '''"""Midrange: half way between the least and the largest."""

from cbirlab.aggregation import pooling


@pooling("midrange", title="Midrange")
def midrange(maps):
    """The mean of the least and the largest value of each channel."""
    return (maps.amin(dim=(-2, -1)) + maps.amax(dim=(-2, -1))) / 2
'''
"""The least that one can write: pooled by its function alone."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository with one file more for each pooling, and with its table of methods written again."""
    shutil.copytree(PACKAGE, tmp_path / "cbirlab", ignore=IGNORED)
    shutil.copytree(TESTS, tmp_path / "tests", ignore=IGNORED)
    for path in (TESTS.parent / "pyproject.toml", *TESTS.parent.glob("*.md")):
        shutil.copyfile(path, tmp_path / path.name)
    for name in ("data", "notebooks"):
        (tmp_path / name).symlink_to(TESTS.parent / name)
    for name, text in (("bright", BRIGHT), ("midrange", MIDRANGE)):
        (tmp_path / "cbirlab" / "aggregation" / "poolings" / f"{name}.py").write_text(text, encoding="utf-8")
    table = inside(tmp_path, "-m", "cbirlab", "list", "--markdown")
    assert table.returncode == 0, table.stderr
    methods = tmp_path / "cbirlab" / "METHODS.md"
    written = re.sub(
        r"(<!-- inside:begin.*?-->\n).*?(<!-- inside:end -->)",
        lambda found: f"{found[1]}{table.stdout.strip()}\n{found[2]}",
        methods.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    )
    methods.write_text(written, encoding="utf-8")
    return tmp_path


def inside(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """What Python does with the copy."""
    given = {**os.environ, "PYTHONPATH": str(folder), "CBIRLAB_STORE": str(folder / "store")}
    return subprocess.run([sys.executable, *words], cwd=folder, env=given, capture_output=True, text=True)


def test_one_file_adds_a_pooling_to_the_package_and_leaves_the_suite_green(copy):
    table = (copy / "cbirlab" / "METHODS.md").read_text(encoding="utf-8")
    assert "| aggregations | `bright(power=1)` | Bright positions |" in table
    names = ("aggregation", "extract_pooling", "look", "looking", "params", "readme", "representations", "imports")
    ran = inside(
        copy,
        *("-m", "pytest", "-v", "--no-header", "-p", "no:cacheprovider", *(f"tests/test_{name}.py" for name in names)),
        *("-k", f"not (test_readme or test_representations) or the_table_of_what_is_inside or {REPRESENTED}"),
    )
    assert ran.returncode == 0, ran.stdout[-5000:]
    for name in ("bright", "midrange"):
        for test in ("half_precision_gives_what_the_same_numbers_give_in_double", "one_alone_asks_for_no_more"):
            assert re.search(rf"test_{test}.*\[{name}\b.*PASSED", ran.stdout), (name, test)
