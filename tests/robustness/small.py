"""A small folder of pictures and a run of it, for what is done to the folder or to the run."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from cbirlab import Recipe, run
from cbirlab.store import Store

SETTING = {"tap": "layer4", "aggregation": "gem(p=3)", "whitening": "none", "image_size": 48}
LONG_AGO_NS = 10**18


def make_folder(folder: Path, count: int = 8, side: int = 48) -> Path:
    """`count` pictures in sub-folders of two, all of one size in bytes and of one time of change."""
    random = np.random.default_rng(1)
    for number in range(count):
        path = picture(folder, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (side, side, 3), np.uint8)).save(path)
        age(path)
    return folder


def picture(folder: Path, number: int) -> Path:
    return folder / f"g{number // 2}" / f"{number}.bmp"


def age(path: Path) -> None:
    """Give a file the time of change that all of them have, as archives and `touch -r` do."""
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS))


def result(dataset: Path, store: Path, **setting: object) -> tuple[bytes, bytes, str]:
    """Ranking, scores and metrics of a run, to be compared bit for bit."""
    recipe = Recipe(dataset=str(dataset), backbone="toynet", **{**SETTING, **setting})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        done = run(recipe, store=Store(store), progress=False)
    return done.ranking.images.tobytes(), done.ranking.scores.tobytes(), repr(done.metrics)
