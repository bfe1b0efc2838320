"""The wheel carries the bundled benchmark, network and notebooks, and works where there is no checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

SCRIPT = """
import json, cbirlab
from cbirlab.cli.lab import working_folder
dataset = cbirlab.load_dataset("toytown")
backbone = cbirlab.load_backbone("toynet")
print(json.dumps({
    "package": cbirlab.__file__,
    "images": len(dataset.images), "train": len(dataset.train),
    "first": str(dataset.images[0]), "exists": dataset.images[0].is_file(),
    "weights": backbone.weights, "published": len(cbirlab.published("oxford5k")),
    "notebooks": sorted(path.name for path in working_folder("work").glob("*.ipynb")),
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    return folder / "site"


def test_an_installed_wheel_works_outside_the_checkout(installed: Path, tmp_path: Path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    facts = json.loads(found.stdout)
    assert Path(facts["package"]).is_relative_to(installed)
    assert Path(facts["first"]).is_relative_to(installed)
    assert facts["exists"]
    assert (facts["images"], facts["weights"]) == (1000, "toynet-v1")
    assert facts["train"] >= 600
    assert facts["published"] > 30
    package = installed / "cbirlab"
    assert all((package / one).is_file() for one in ("METHODS.md", "data/README.md", "notebooks/README.md"))
    assert {path.suffix for path in (package / "widgets" / "page").iterdir()} == {".js", ".css"}
    assert facts["notebooks"] == sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert facts["notebooks"]
