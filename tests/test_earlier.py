"""What an earlier version wrote is read by this one: a recipe, a fusion, a table, a state of the workbench, a store.

The samples were written before search was a stage, fusion's "rerank" was "cascade", and code was told by tokens.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from conftest import draw

from cbirlab import Fusion, Recipe, load_dataset, run
from cbirlab.store import Store
from cbirlab.tables import read, read_recipe
from cbirlab.widgets import Workbench

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The pictures that the samples are of, and the store that was filled with them."""
    folder = tmp_path_factory.mktemp("earlier")
    for instance in range(4):
        for view in range(3):
            path = folder / "all" / f"thing{instance}" / f"{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(instance, view).save(path)
    with zipfile.ZipFile(SAMPLES / "store.zip") as packed:
        packed.extractall(folder)
    return folder


def test_recipes_and_fusions_have_the_keys_that_they_had():
    recipe = Recipe.from_json((SAMPLES / "recipe.json").read_text())
    assert recipe.key() == "23ea8d1cf8ade02b94797b14036356f3"
    assert recipe.to_json() == (SAMPLES / "recipe.json").read_text().strip()
    fusion = Fusion.from_json((SAMPLES / "fusion.json").read_text())
    assert (fusion.method, fusion.weights) == ("cascade(depth=5, tau=1)", (0.7, 0.3))


def test_rows_of_a_table_give_the_numbers_that_they_gave(folder, tmp_path):
    frame = read(SAMPLES / "table.csv")
    assert len(frame) == 2
    for row in frame.to_dict("records"):
        recipe = Recipe.from_json(read_recipe({str(name): value for name, value in row.items()}))
        found = run(recipe, dataset=load_dataset(folder / "all", name="all"), store=Store(tmp_path), progress=False)
        assert found.metrics["map"] == pytest.approx(row["map"], abs=1e-12)
        assert found.bytes_per_image == row["bytes_per_image"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_state_of_the_workbench_is_restored(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    options = {"store": Store(tmp_path), "prefetch": False, "pause": 0}
    bench = Workbench.restore(SAMPLES / "state.json", **options)
    bench.map.method.value = "pca"
    assert bench.work.wait()
    assert bench.error.value == ""
    assert (bench.a.state.aggregation, bench.b.state.aggregation, bench.state.tap) == ("gem", "mac", "layer2")
    assert bench.a.session.common.average_precision == "finite-sum"
    assert bench.state.stages == {}
    bench.close()


def test_a_store_is_whole_and_goes_on(folder):
    store = Store(folder / "store")
    assert len(store.entries()) > 0
    assert store.verify() == {}
    recipe = Recipe(dataset="all", weights="random", tap="layer2", aggregation="mac", image_size=48)
    assert (
        run(recipe, dataset=load_dataset(folder / "all", name="all"), store=store, progress=False).metrics["map"] > 0.9
    )
    assert store.verify() == {}
