"""Projector: a folder that TensorFlow's Embedding Projector loads: vectors, their names, and all pictures in one."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from cbirlab import images
from cbirlab.base.text import printable
from cbirlab.datasets.base import Query
from cbirlab.exported_features.features import Features

MOST_SIDE, THUMBNAIL, LEAST = 8192, 64, 8
"""Pixels: the largest sprite that browsers take, a picture in it, and the smallest that still shows something."""
VECTORS, METADATA, SPRITE, CONFIG = "vectors.tsv", "metadata.tsv", "sprite.png", "projector_config.json"


def write(features: Features, folder: Path) -> None:
    """Write the folder: a row for each image, and for each query that is not a whole image of the database.

    Raises
    ------
    ValueError : so many rows that their pictures would be too small to see.
    """
    dataset = features.dataset
    asked = [] if features.queries is None else [*enumerate(dataset.queries)]
    beside = [(number, query) for number, query in asked if query.index is None or query.box is not None]
    shown = [Query(path) for path in dataset.images] + [query for _, query in beside]
    rows = [*features.images] + [features.queries[number] for number, _ in beside if features.queries is not None]
    most = (MOST_SIDE // LEAST) ** 2
    if len(rows) > most:
        raise ValueError(
            f"export_features: the Embedding Projector shows at most {most:,} pictures, got {len(rows):,}."
        )
    folder.mkdir()
    with open(folder / VECTORS, "w", encoding="utf-8", newline="\n") as file:
        file.writelines("\t".join(f"{value:.7g}" for value in row.tolist()) + "\n" for row in rows)
    names = features.image_names + [features.query_names[number] for number, _ in beside]
    kinds = [*(dataset.instances or [""] * len(dataset.images)), *[""] * len(beside)]
    parts = ["image"] * len(dataset.images) + ["query"] * len(beside)
    with open(folder / METADATA, "w", encoding="utf-8", newline="\n") as file:
        for cells in [("name", "instance", "part"), *zip(names, kinds, parts, strict=True)]:
            file.write("\t".join(map(printable, cells)) + "\n")
    side = min(THUMBNAIL, MOST_SIDE // math.ceil(math.sqrt(len(rows))))
    _sprite(shown, side).save(folder / SPRITE)
    about = {"tensorName": printable(dataset.name), "tensorShape": [len(rows), features.images.shape[1]]}
    about |= {"tensorPath": VECTORS, "metadataPath": METADATA}
    about["sprite"] = {"imagePath": SPRITE, "singleImageDim": [side, side]}
    (folder / CONFIG).write_text(json.dumps({"embeddings": [about]}, indent=1), encoding="utf-8")


def _sprite(shown: list[Query], side: int) -> Image.Image:
    """All pictures in a square, row by row; one that cannot be read stays white."""
    across = math.ceil(math.sqrt(len(shown)))
    sprite = Image.fromarray(np.full((across * side, across * side, 3), 255, np.uint8))
    for place, query in enumerate(shown):
        try:
            picture = Image.open(io.BytesIO(images.thumbnail(query.path, side, query.box)))
        except images.ImageError:
            continue
        corner = (place % across * side, place // across * side)
        sprite.paste(picture, (corner[0] + (side - picture.width) // 2, corner[1] + (side - picture.height) // 2))
    return sprite
