"""Files that are left out: one count in every table, whether loading or describing found them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cbirlab import Recipe, compare, run
from cbirlab.datasets import load_dataset
from cbirlab.fusion import Fusion, fused_row, run_fusion
from cbirlab.pipeline import table_row
from cbirlab.tables import for_reading
from cbirlab.widgets.parts.views import comparison_table

SAID = "1 in a format that is not read here, 1 not readable, 1 without a descriptor"


@pytest.fixture
def folder(pictures: Path, tmp_path: Path) -> Path:
    """Pictures, and beside them one of a phone, one that is empty, and one that is cut off in its pixels."""
    made = tmp_path / "own"
    for name in ("thing0", "thing1", "thing2"):
        shutil.copytree(pictures / name, made / name)
    (made / "thing0" / "phone.heic").write_bytes(b"heic")
    (made / "thing0" / "empty.jpg").write_bytes(b"")
    cut = made / "thing1" / "cut.jpg"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    return made


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_row_counts_every_file_once_and_says_why(folder: Path, store):
    dataset = load_dataset(folder, image_size=48)
    recipe = Recipe(dataset="own", backbone="toynet", weights="random", aggregation="mac", image_size=48)
    row = table_row(run(recipe, dataset=dataset, store=store))
    assert (row["skipped"], row["left_out"]) == (3, SAID), "cut.jpg is a query and an image, and one file"
    again = table_row(run(recipe, dataset=load_dataset(folder), store=store))
    assert again["left_out"] == SAID, "from the store too"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_tables_to_read_and_pinned_rows_say_it(folder: Path, store):
    options = {"weights": "random", "image_size": 48, "store": store, "progress": False}
    frame = compare(
        str(folder), backbones="toynet", taps="layer2", aggregations="mac,spoc", whitenings="none", **options
    )
    assert [*frame["skipped"]] == [3, 3]
    assert [*for_reading(frame)["files left out"]] == [SAID, SAID]
    name = frame["dataset"][0]
    assert f"Files left out of {name}: {SAID}." in comparison_table(frame.to_dict("records")), "once for all rows"
    whole = frame.assign(left_out="", skipped=0)
    assert "files left out" not in for_reading(whole), "nothing to say"
    assert "left out" not in comparison_table(whole.to_dict("records"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fusion_counts_them_once(folder: Path, store):
    common = {"dataset": "own", "backbone": "toynet", "weights": "random", "image_size": 48}
    members = [Recipe(aggregation=name, **common) for name in ("mac", "spoc")]
    fused = run_fusion(
        Fusion(members=tuple(members), method="rrf"), dataset=load_dataset(folder), store=store, progress=False
    )
    row = fused_row(fused)
    assert (row["skipped"], row["left_out"]) == (3, SAID)
