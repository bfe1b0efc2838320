"""What another package brings is there when it is asked for, a broken one stops nothing; EXTENDING.md says how."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from fake_session import write_toytown_form

import cbirlab

DOCUMENT = (Path(cbirlab.__file__).parent / "EXTENDING.md").read_text(encoding="utf-8")
(PROJECT,) = re.findall(r"^```toml\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)
MODULE, TESTS = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, flags=re.DOTALL | re.MULTILINE)

BROKEN = """
def ends():
    raise SystemExit(3)

def takes():
    from cbirlab.aggregation import mac, pooling
    pooling("mac", title="Mine")(mac)

def lists():
    from cbirlab import AGGREGATIONS, FUSIONS, compare, widgets
    assert "gem" in list(AGGREGATIONS)
"""


def install(folder: Path, name: str, code: str, points: dict[str, str]) -> None:
    """Put a package into a folder as pip leaves it."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    facts = folder / f"{name}-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    lines = "".join(f"{point} = {target}\n" for point, target in points.items())
    (facts / "entry_points.txt").write_text(f"[cbirlab]\n{lines}", encoding="utf-8")


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The package of the document, and one whose entry points fail in each of the ways there are, and one does not."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, "cbirlab_midrange", MODULE, tomllib.loads(PROJECT)["project"]["entry-points"]["cbirlab"])
    points = {"ends": "broken:ends", "lacks": "elsewhere", "lists": "broken:lists", "takes": "broken:takes"}
    install(folder, "broken", BROKEN, points)
    return folder


def python(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the packages of a folder are installed."""
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, *words], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran


def test_a_command_has_what_it_brings_and_says_what_failed(site, pictures, tmp_path):
    here = [
        "--dataset",
        str(pictures),
        "--weights",
        "random",
        "--image-size",
        "64",
        "--quiet",
        "--store",
        str(tmp_path),
    ]
    words = [
        "--backbone",
        "toynet",
        "--tap",
        "layer2",
        "--aggregation",
        "midrange",
        "--roundings",
        "none",
        "decimal(places=0)",
    ]
    ran = python(site, "-m", "cbirlab", "compare", *here, *words, "--whitening", "none")
    header, _, *lines = (line.split("|")[1:-1] for line in ran.stdout.splitlines() if line.startswith("|"))
    rows = [dict(zip(map(str.strip, header), map(str.strip, line), strict=True)) for line in lines]
    assert [(row["aggregation"], row["rounding"]) for row in rows] == [
        ("midrange(share=0.5)", "none"),
        ("midrange(share=0.5)", "decimal(places=0)"),
    ]
    assert rows[0]["map"] != rows[1]["map"]
    assert [line for line in ran.stderr.splitlines() if "goes on without" in line] == [
        f"warning: cbirlab goes on without the extension {name!r} of broken 1.0 ({target}), which failed: {error}"
        for name, target, error in (
            ("ends", "broken:ends", "SystemExit: 3"),
            ("lacks", "elsewhere", "ModuleNotFoundError: No module named 'elsewhere'"),
            ("takes", "broken:takes", "ValueError: aggregation 'mac' is registered already; choose another name."),
        )
    ]


def test_lists_have_it(site):
    lines = python(site, "-m", "cbirlab", "list", "extensions").stdout.splitlines()
    assert sorted(re.split("  +", line)[:3] for line in lines) == [
        ["ends", "broken 1.0", "broken:ends"],
        ["lacks", "broken 1.0", "elsewhere"],
        ["lists", "broken 1.0", "broken:lists"],
        ["midrange", "cbirlab_midrange 1.0", "cbirlab_midrange:register"],
        ["takes", "broken 1.0", "broken:takes"],
    ]
    assert {line.split()[0] for line in lines if line.endswith("loaded")} == {"lists", "midrange"}
    assert "share" in python(site, "-m", "cbirlab", "list", "aggregations", "midrange").stdout


@pytest.mark.parametrize(
    "asking",
    [
        "assert Recipe(rounding='decimal').rounding == 'decimal(places=2)'",
        "assert Recipe.from_json({'rounding': 'decimal'}).rounding == 'decimal(places=2)'",
        "from cbirlab.pipeline import STAGES; assert list(STAGES) == ['rounding']",
        "assert AGGREGATIONS.info('midrange').reference == 'yours'",
        "assert 'midrange' in AGGREGATIONS",
    ],
)
def test_python_has_it_from_the_first_question_on_and_not_before(site, asking):
    before = (
        "import sys, cbirlab.fusion\nfrom cbirlab import AGGREGATIONS, Recipe\nAGGREGATIONS['gem'].__name__\n"
        "assert 'cbirlab_midrange' not in sys.modules\n"
    )
    python(site, "-W", "ignore", "-c", before + asking)


def test_no_module_of_the_package_asks_while_it_is_imported(site):
    python(
        site,
        "-c",
        "import sys, pkgutil, importlib, cbirlab\n"
        "for one in pkgutil.walk_packages(cbirlab.__path__, 'cbirlab.'):\n"
        "    if one.name not in ('cbirlab.__main__', 'cbirlab.base.extensions'):\n"
        "        importlib.import_module(one.name)\n"
        "assert 'cbirlab.base.extensions' not in sys.modules, 'an extension may import any room, so ask in a function'",
    )


def test_entry_points_that_cannot_be_read_stop_nothing(tmp_path):
    install(tmp_path, "garbled", "", {})
    (tmp_path / "garbled-1.0.dist-info" / "entry_points.txt").write_text("[cbirlab]\nno equals sign\n")
    ran = python(tmp_path, "-c", "from cbirlab import AGGREGATIONS; print(*AGGREGATIONS)")
    assert "gem" in ran.stdout.split()
    assert "goes on without extensions: a package here has entry points that cannot be read (TypeError" in ran.stderr


def test_the_tests_of_the_document_pass(site, tmp_path):
    towers = write_toytown_form(tmp_path / "towers")
    (tmp_path / "test_midrange.py").write_text(TESTS.replace("Recipe(", f"Recipe(dataset={str(towers)!r}, "))
    ran = python(site, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_midrange.py"))
    assert "2 passed" in ran.stdout
