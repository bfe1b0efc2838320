"""UKBench: 2,550 objects, four photos each, every photo a query."""

from __future__ import annotations

import re
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import by_stem, missing_images
from cbirlab.datasets.roots import absent, places_of, root_of

VIEWS = 4


def ukbench(root: str | Path | None = None, *, image_size: int = 640) -> Dataset:
    """``ukbench00000.jpg`` to ``ukbench10199.jpg``; four in a row show one object.

    The query's own image stays in the database and is one of the four right answers, so that the score of UKBench lies
    between 1 and 4.

    Parameters
    ----------
    root : folder of the benchmark; images may lie in any folder below it but ``thumbnails``.
    image_size : long side in pixels; the images have 640.

    Raises
    ------
    FileNotFoundError : no images, or objects with fewer than four.
    """
    stems = by_stem(places_of("ukbench", root), skip=("thumbnails",))
    found = {stem: path for stem, path in stems.items() if re.fullmatch(r"ukbench\d{5}", stem)}
    if not found:
        raise absent("ukbench", "images named as ukbench00000.jpg were", root)
    objects = sorted({int(stem[7:]) // VIEWS for stem in found})
    wanted = [f"ukbench{VIEWS * one + view:05d}" for one in objects for view in range(VIEWS)]
    lacking = [stem for stem in wanted if stem not in found]
    if lacking:
        raise missing_images("ukbench", lacking, len(wanted), root_of("ukbench", root))
    images = tuple(found[stem] for stem in wanted)
    labels = [{"positive": tuple(range(first, first + VIEWS))} for first in range(0, len(images), VIEWS)]
    return Dataset(
        name="ukbench",
        images=images,
        queries=tuple(Query(path, index=row) for row, path in enumerate(images)),
        labels=tuple(labels[row // VIEWS] for row in range(len(images))),
        protocol="ukbench",
        image_size=image_size,
        instances=tuple(str(objects[row // VIEWS]) for row in range(len(images))),
    )
