"""Imports point only up the pipeline, and importing the package loads nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

import cbirlab

PACKAGE = Path(cbirlab.__file__).parent
ORDER = (
    "base",
    "images",
    "datasets",
    "handcrafted",
    "backbones",
    "attention",
    "encoding",
    "aggregation",
    "training",
    "whitening",
    "store",
    "compression",
    "passes",
    "index",
    "reranking",
    "evaluation",
    "imported_features",
    "extract",
    "pipeline",
    "exported_features",
    "fusion",
    "adaptation",
    "projection",
    "live",
    "study",
    "exercises",
    "tables",
    "plots",
    "widgets",
    "cli",
)
MOST_ROOMS = 30
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
    "dask",
    "distributed",
    "psycopg",
    "pgvector",
    "pytorch_metric_learning",
    "openvino",
)
LONGEST = 300
"""Lines of a module: one idea, which is read in one go."""

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
    assert len(rooms) <= MOST_ROOMS


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


def test_no_module_imports_one_that_imports_it() -> None:
    """Also within a room, in a function and for types alone: whoever reads one need not have read the other."""
    names = {dotted(file): file for file in MODULES}
    graph = {name: submodules(file, names) - {name} for name, file in names.items()}
    ready: set[str] = set()
    while found := {name for name, needed in graph.items() if name not in ready and needed <= ready}:
        ready |= found
    assert not (left := set(graph) - ready), f"these import each other, or what does: {sorted(left)}"


def dotted(file: Path) -> str:
    """The name that a module is imported by."""
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def submodules(file: Path, names: Collection[str]) -> set[str]:
    """Modules that a module imports, or imports something of."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if name in names else str(node.module) for name in whole}
    return found & {*names}


@pytest.mark.parametrize("file", [file for file in MODULES if file.name == "__init__.py"], ids=dotted)
def test_a_face_computes_nothing(file: Path) -> None:
    """What a room shows is imported or named there; `__getattr__` may import it when it is first asked for."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        name = getattr(node, "name", "")
        allowed = isinstance(node, ast.Import | ast.ImportFrom | ast.Assign | ast.Expr)
        allowed |= isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        assert allowed or name in ("__getattr__", "__dir__"), f"{dotted(file)}: {ast.unparse(node)[:60]}"


@pytest.mark.parametrize("file", [file for file in MODULES if file.name == "__init__.py"], ids=dotted)
def test_no_name_hides_a_module(file: Path) -> None:
    """`room.gem` is the function, or the module, and whoever asks for one never gets the other."""
    modules = {other.stem for other in file.parent.glob("*.py")}
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module != dotted(file):
            imported = {alias.asname or alias.name for alias in node.names}
            assert not imported & modules, f"{dotted(file)} hides {', '.join(sorted(imported & modules))}"


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_no_module_is_too_long(file: Path) -> None:
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{dotted(file)} has {lines} lines; split it by idea"


def test_parts_of_panels_know_no_panel() -> None:
    for file in (PACKAGE / "widgets" / "parts").glob("*.py"):
        assert not [name for name in imported(file) if name.startswith("cbirlab.widgets.panels")], file


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
