"""Fixtures that several rooms share: a small folder of drawn pictures, an empty store, torch kept to one thread."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw

from cbirlab.aggregation import AGGREGATIONS
from cbirlab.backbones import names
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.store import Store
from cbirlab.whitening import WHITENINGS

if TYPE_CHECKING:
    from cbirlab.live import Session

os.environ["CBIRLAB_TRAINED"] = tempfile.mkdtemp(prefix="cbirlab-trained-")  # never the developer's own
atexit.register(shutil.rmtree, os.environ["CBIRLAB_TRAINED"], ignore_errors=True)

pd.set_option("mode.string_storage", "python")  # tests make tables of names that are no UTF-8, see base.frames

names.OF_PHOTOGRAPHS = names.OF_TOYTOWN  # quick; tests of what is usual for photographs set the other one again

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("untimed")

INSTANCES, VIEWS = 8, 5


def draw(instance: int, view: int) -> Image.Image:
    """View `view` of instance `instance`: its shapes in its colours, shifted, on another background."""
    shapes, look = np.random.default_rng(instance), np.random.default_rng([7, instance, view])
    height, width = ((48, 64), (64, 48))[view % 2]
    image = Image.new("RGB", (width, height), tuple(int(value) for value in look.integers(90, 160, 3)))
    canvas = ImageDraw.Draw(image)
    for _ in range(4):
        colour = tuple(int(value) for value in shapes.integers(0, 256, 3))
        x, y = (int(value) for value in shapes.integers(2, 30, 2) + look.integers(-2, 3, 2))
        w, h = (int(value) for value in shapes.integers(6, 22, 2))
        (canvas.rectangle if shapes.integers(2) else canvas.ellipse)((x, y, x + w, y + h), fill=colour)
    return image


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with 8 instances of 5 images, one sub-folder each, and a sibling folder of 24 images to learn on."""
    folder = tmp_path_factory.mktemp("pictures")
    for instance in range(INSTANCES):
        for view in range(VIEWS):
            path = folder / "all" / f"thing{instance}" / f"{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(instance, view).save(path)
    for instance in range(100, 112):
        for view in range(2):
            path = folder / "train" / f"{instance}_{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(instance, view).save(path)
    return folder / "all"


@pytest.fixture(autouse=True)
def forget_trained() -> Iterator[None]:
    """What a test has trained is in no list of another one."""
    yield
    for registry in (AGGREGATIONS, WHITENINGS):
        for name in [one for one in registry.so_far() if one.startswith("trained:")]:
            registry.remove(name)


@pytest.fixture
def things(pictures: Path) -> Dataset:
    """The drawn pictures as a dataset with a train split."""
    return load_dataset(pictures, name="things", train=pictures.parent / "train", image_size=64)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that the tests of a module share: nothing there depends on it being empty."""
    return Store(tmp_path_factory.mktemp("warm"))


@pytest.fixture
def session(things: Dataset, warm: Store) -> Session:
    """A session on the drawn pictures, ready for its sliders."""
    from cbirlab.live import Session

    made = Session(things, "toynet", "random", ["gem", "mac"], store=warm)
    made.prepare(progress=False)
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes very long unless it is asked for: python -m pytest -m robustness."""
    if "robustness" not in config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("robustness")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
