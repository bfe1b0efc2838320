"""Imports point only up the pipeline, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cbirlab

PACKAGE = Path(cbirlab.__file__).parent
ORDER = (
    "renamed",
    "text",
    "cells",
    "progress",
    "downloads",
    "plain",
    "params",
    "registry",
    "methods",
    "preprocessing",
    "decoding",
    "images",
    "datasets",
    "weights",
    "toynet",
    "handcrafted",
    "backbones",
    "taps",
    "attention",
    "encoding",
    "aggregation",
    "whitening",
    "store",
    "passes",
    "index",
    "lists",
    "evaluation",
    "foreign",
    "extract",
    "pipeline",
    "fusion",
    "grid",
    "choices",
    "projection",
    "session",
    "looking",
    "probe",
    "exercises",
    "literature",
    "tables",
    "plots",
    "cli",
    "widgets",
)
HEAVY = (
    "torch",
    "torchvision",
    "pandas",
    "sklearn",
    "scipy",
    "matplotlib",
    "cv2",
    "h5py",
    "skimage",
    "IPython",
    "ipywidgets",
    "anywidget",
    "umap",
)
WIDGETS_ONLY = ("ipywidgets", "anywidget")
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(file: Path) -> str:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imported(file: Path) -> set[str]:
    """Dotted names that a module imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names.add(node.module)
            if node.module == "cbirlab":
                names.update(f"cbirlab.{alias.name}" for alias in node.names)
    return names


def test_every_module_has_its_place_in_the_order() -> None:
    rooms = {room(file) for file in MODULES} - {"__init__", "__main__"}
    assert rooms <= set(ORDER), f"say in ORDER where these belong: {sorted(rooms - set(ORDER))}"


@pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_imports_point_only_up_the_order(file: Path) -> None:
    here = room(file)
    if here in ("__init__", "__main__"):
        return
    for name in imported(file):
        package, _, rest = name.partition(".")
        there = rest.split(".")[0]
        if package == "cbirlab" and there in ORDER:
            assert ORDER.index(there) <= ORDER.index(here), f"{here} imports {there}, which lies below it"
        assert here == "widgets" or package not in WIDGETS_ONLY, f"{here} imports {package}; only widgets may"


@pytest.mark.parametrize(
    "statement",
    [
        "import cbirlab",
        "import cbirlab.datasets, cbirlab.backbones",
        "from cbirlab import DATASETS, BACKBONES; [BACKBONES.info(name).facts for name in BACKBONES]",
    ],
)
def test_importing_loads_nothing_heavy(statement: str) -> None:
    probe = f"{statement}\nimport sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []


def test_public_names_resolve() -> None:
    for name in cbirlab.__all__:
        assert getattr(cbirlab, name) is not None
    with pytest.raises(AttributeError, match="public names"):
        cbirlab.load_datasets  # noqa: B018
