"""INSTRE: logos, toys and buildings, alone or in pairs, with the split of Iscen et al."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import inside, present
from cbirlab.datasets.roots import absent, root_of
from cbirlab.datasets.truth import read_truth


def instre(root: str | Path | None = None, *, image_size: int = 1024) -> Dataset:
    """27,293 images and 1,250 queries that are not among them, each with the box of the object sought in it.

    Indices in ``gnd_instre.mat`` count from 1, and its boxes are two corners; the text files beside the images, which
    hold corner, width and height, are not read.

    Parameters
    ----------
    root : folder with ``gnd_instre.mat``, ``INSTRE-S1``, ``INSTRE-S2`` and ``INSTRE-M``.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : ground truth or images are missing.
    ValueError : ground truth that is damaged, contradicts itself, or names files outside of the folder.
    """
    folder = root_of("instre", root)
    file = next((folder / f"gnd_instre{suffix}" for suffix in (".mat", ".pkl") if _is(folder, suffix)), None)
    if file is None:
        raise absent("instre", "gnd_instre.mat was", root)
    truth = read_truth(file)
    names = [*truth.images, *truth.queries]
    home = next((place for place in (folder, folder / "images") if (place / names[0]).is_file()), folder)
    paths = present("instre", [inside(home, name) for name in names], home)
    images, asked = paths[: len(truth.images)], paths[len(truth.images) :]
    return Dataset(
        name="instre",
        images=images,
        queries=tuple(Query(path, box, own) for path, box, own in zip(asked, truth.boxes, truth.own, strict=True)),
        labels=tuple({"positive": labels["ok"]} for labels in truth.labels),
        protocol="instre",
        image_size=image_size,
        instances=tuple(str(PurePosixPath(name).parent) for name in truth.images),
    )


def _is(folder: Path, suffix: str) -> bool:
    return (folder / f"gnd_instre{suffix}").is_file()
