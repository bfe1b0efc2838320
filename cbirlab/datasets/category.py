"""Category level, every image a query for the others of its class: Corel-1k, CUB-200-2011, Stanford Online Products."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cbirlab.datasets.base import Dataset, Query
from cbirlab.datasets.files import by_stem, first, inside, present
from cbirlab.datasets.roots import absent, places_of, root_of

COREL = (
    "africans",
    "beaches",
    "buildings",
    "buses",
    "dinosaurs",
    "elephants",
    "flowers",
    "horses",
    "mountains",
    "food",
)
"""Classes of Corel-1k in the order of its numbers, a hundred each."""

CUB_TRAIN_CLASSES = 100


def corel1k(root: str | Path | None = None, *, image_size: int = 384) -> Dataset:
    """``0.jpg`` to ``999.jpg`` in any folder below `root`; the number divided by 100 is the class.

    Parameters
    ----------
    root : folder of the benchmark.
    image_size : long side in pixels; the images have 384.

    Raises
    ------
    FileNotFoundError : no images.
    """
    found = by_stem(places_of("corel1k", root))
    numbers = sorted(int(stem) for stem in found if stem.isascii() and stem.isdigit() and int(stem) < 1000)
    if not numbers:
        raise absent("corel1k", "images named 0.jpg to 999.jpg were", root)
    classes = [COREL[number // 100] for number in numbers]
    return _category("corel1k", [found[str(number)] for number in numbers], classes, image_size=image_size)


def cub200(root: str | Path | None = None, *, image_size: int = 500) -> Dataset:
    """CUB-200-2011 as in metric learning: classes 101 to 200 are searched, 1 to 100 are the train split.

    Parameters
    ----------
    root : folder with ``images.txt``, ``image_class_labels.txt`` and ``images``, or the one that holds it.
    image_size : long side in pixels; the images have 500.

    Raises
    ------
    FileNotFoundError : lists or images are missing.
    ValueError : lists that do not fit together.
    """
    home = _home("cub200", root, "images.txt")
    names = _table(home / "images.txt", 2)
    classes = _table(home / "image_class_labels.txt", 2)
    if [row[0] for row in names] != [row[0] for row in classes]:
        raise ValueError(f"{home}: images.txt and image_class_labels.txt must list the same images in the same order.")
    rows = [(name, int(label)) for (_, name), (_, label) in zip(names, classes, strict=True)]
    paths = present("cub200", [inside(home / "images", name) for name, _ in rows], home)
    splits: dict[bool, list[tuple[Path, str]]] = {True: [], False: []}
    for path, (name, label) in zip(paths, rows, strict=True):
        splits[label <= CUB_TRAIN_CLASSES].append((path, name.partition("/")[0]))
    return _split("cub200", splits[False], splits[True], image_size)


def sop(root: str | Path | None = None, *, image_size: int = 512) -> Dataset:
    """Stanford Online Products: the products of ``Ebay_test.txt`` are searched, those of ``Ebay_train.txt`` learned on.

    Parameters
    ----------
    root : folder with the two lists, or the one that holds it.
    image_size : long side in pixels.

    Raises
    ------
    FileNotFoundError : lists or images are missing.
    ValueError : a list in another form.
    """
    home = _home("sop", root, "Ebay_test.txt")
    splits = []
    for file in ("Ebay_test.txt", "Ebay_train.txt"):
        rows = _table(home / file, 4)[1:]
        paths = present("sop", [inside(home, row[3]) for row in rows], home)
        splits.append([(path, row[1]) for path, row in zip(paths, rows, strict=True)])
    return _split("sop", splits[0], splits[1], image_size)


def _split(name: str, test: list[tuple[Path, str]], train: list[tuple[Path, str]], image_size: int) -> Dataset:
    paths, classes = [path for path, _ in test], [label for _, label in test]
    return _category(name, paths, classes, train=train, image_size=image_size)


def _category(
    name: str,
    images: Sequence[Path],
    classes: Sequence[str],
    *,
    train: Sequence[tuple[Path, str]] = (),
    image_size: int,
) -> Dataset:
    """A dataset in which every image is a query, and the other images of its class are right."""
    members: dict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(classes):
        members[label].append(row)
    return Dataset(
        name=name,
        images=tuple(images),
        queries=tuple(Query(path, index=row) for row, path in enumerate(images)),
        labels=tuple(
            {"positive": tuple(other for other in members[label] if other != row)} for row, label in enumerate(classes)
        ),
        protocol="category",
        train=tuple(path for path, _ in train),
        train_name=f"{name}/train" if train else "",
        train_instances=tuple(label for _, label in train),
        image_size=image_size,
        instances=tuple(classes),
    )


def _home(name: str, root: str | Path | None, file: str) -> Path:
    """The folder with `file`: the benchmark's own, or the one that its archive unpacks to."""
    found = first(root_of(name, root), file)
    if found is None:
        raise absent(name, f"{file} was", root)
    return found.parent


def _table(file: Path, columns: int) -> list[list[str]]:
    if not file.is_file():
        raise FileNotFoundError(f"{file}: missing; it lists the images of this benchmark.")
    rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != columns), None)
    if wrong is not None:
        raise ValueError(f"{file}, line {wrong}: must have {columns} columns, got {' '.join(rows[wrong - 1])!r}.")
    return rows
