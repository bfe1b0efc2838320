"""INRIA Holidays: 500 groups of holiday photos, the first of each is the query."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import by_stem, first, locate
from cbirlab.datasets.roots import absent, places_of, root_of
from cbirlab.images import orientation


def holidays(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """Holidays as published. Images are turned upright where their file says how (EXIF), as everywhere in this package.

    The file names are the ground truth: the query ``100000.jpg`` should find ``100001.jpg``, ``100002.jpg``, ... If
    ``holidays_images.dat`` is there, it says which images belong to the benchmark.

    Parameters
    ----------
    root : folder of the benchmark; images may lie in any folder below it.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : no images, images of the list missing, or a group without its query.
    """
    return _holidays("holidays", root, image_size)


def holidays_upright(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """Holidays with the images that their owner turned upright by hand; otherwise as `holidays`.

    Raises
    ------
    ValueError : also if an image still has an EXIF orientation, which would turn it a second time.
    """
    dataset = _holidays("holidays_upright", root, image_size)
    turned = [path.name for path in dataset.images if orientation(path) != 1]
    if turned:
        raise ValueError(
            f"holidays_upright: {len(turned)} of {len(dataset.images)} images have an EXIF orientation and would be "
            f"turned again, the first is {turned[0]}; if these are the original files, load 'holidays'; if "
            "they were turned by hand, remove the EXIF orientation from them."
        )
    return dataset


def _holidays(name: str, root: str | Path | None, image_size: int) -> Dataset:
    found = {stem: path for stem, path in by_stem(places_of(name, root)).items() if re.fullmatch(r"\d{6}", stem)}
    folder = root_of(name, root)
    listing = first(folder, "holidays_images.dat")
    stems = listing.read_text(encoding="utf-8").replace(".jpg", "").split() if listing else sorted(found)
    if not stems:
        raise absent(name, "images named as 100000.jpg were", root)
    images = locate(name, stems, found, folder)
    groups: dict[str, list[int]] = defaultdict(list)
    for row, stem in enumerate(stems):
        groups[stem[:4]].append(row)
    queries = {group: row for group, rows in groups.items() for row in rows if stems[row].endswith("00")}
    headless = sorted(set(groups) - set(queries))
    if headless:
        raise absent(name, f"the query {headless[0]}00.jpg (of {len(headless)} groups without one) was", root)
    return Dataset(
        name=name,
        images=tuple(images),
        queries=tuple(Query(images[row], index=row) for row in queries.values()),
        labels=tuple({"positive": tuple(row for row in groups[group] if row != own)} for group, own in queries.items()),
        protocol="holidays",
        image_size=image_size,
        instances=tuple(stem[:4] for stem in stems),
    )
