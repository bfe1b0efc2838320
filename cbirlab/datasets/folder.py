"""Own images: a folder with one sub-folder per instance, one with splits, or a flat folder without ground truth."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from cbirlab.base.notices import notify
from cbirlab.base.text import printable
from cbirlab.datasets.answers import answered
from cbirlab.datasets.base import OWN, Dataset, Query
from cbirlab.datasets.layouts import Shown, laid_out, readable
from cbirlab.datasets.naming import name_of


def folder(
    path: str | Path,
    *,
    name: str | None = None,
    train: str | Path | None = None,
    image_size: int = 1024,
    layout: str = "auto",
    answers: str | Path | None = None,
) -> Dataset:
    """Every image under `path`, in the order of its relative path.

    With sub-folders, each names an instance: every image in one is a query, the other images of its sub-folder are
    relevant, and the query's own row is left out of its ranking. Images next to the sub-folders are distractors.
    Without sub-folders every image is a query and there is no ground truth. If all sub-folders have names of splits
    (train, val, test, query, gallery, database, index, distractors), they are taken as splits, and a warning says which
    is which: one is searched, train is used for learning, and the folders inside are the instances.

    Hidden files are ignored. Links are followed, except to files that are in the folder already. Warnings count
    everything else that is left out: files whose header cannot be read, and pictures in formats that are not read here.

    Parameters
    ----------
    path : the folder.
    name : as in tables; by default the folder's own name, with that of its parent in front if it says nothing, such as
        "images".
    train : another folder of images on which whitening is learned.
    image_size : long side in pixels.
    layout : "instances" takes sub-folders as instances whatever they are named, "nested" the innermost sub-folders,
        "splits" says that they are splits; "auto" as above.
    answers : a file with the right answers to each query, in place of the instances; see
        `cbirlab.datasets.answers.answered`.

    Raises
    ------
    FileNotFoundError : no such folder.
    ValueError : no readable image in it, another layout, no splits where there should be some, or a fault that
        `answered` finds.
    """
    path = Path(path).expanduser()
    shown, left_out = laid_out(path, layout)
    database = [image for image in shown if image.role in ("both", "database", "distractor")]
    learned = [image for image in shown if image.role == "train"]
    judged = [image for image in shown if image.role != "train"]
    labelled = any(image.instance for image in judged)
    asked = [image for image in judged if image.role in ("both", "query")]
    name = name or name_of(path)
    if train is None:
        taught, train_name = tuple(image.path for image in learned), f"{name}/train" if learned else ""
    else:
        found, lost = readable(Path(train).expanduser())
        taught, train_name, learned, left_out = tuple(found), name_of(Path(train)), [], [*left_out, *lost]
    rows = _rows(database, asked)
    dataset = Dataset(
        name=name,
        images=tuple(image.path for image in database),
        queries=tuple(Query(image.path, index=row) for image, row in zip(asked, rows, strict=True)),
        labels=_labels(database, asked, rows) if labelled else (),
        protocol="retrieval",
        train=taught,
        train_name=train_name,
        train_instances=tuple(image.instance for image in learned) if any(one.instance for one in learned) else (),
        image_size=image_size,
        instances=tuple(image.instance for image in database) if labelled else (),
        metadata={OWN: True},
        left_out=tuple(one for one in left_out if one.cause != "link"),  # what a link leads to is there
    )
    if answers is not None:
        return answered(dataset, answers, root=path)
    if labelled:
        warn_of_labels(dataset, printable(path), "sub-folder")
    return dataset


def warn_of_labels(dataset: Dataset, where: str, holder: str) -> None:
    """Warn if the labels give no number, or 1 for every query, and say why."""
    positives = [len(labels.get("positive", ())) for labels in dataset.labels]
    others = [len(dataset.images) - (query.index is not None) for query in dataset.queries]
    if not any(positives):
        single = len({*dataset.instances} - {""}) == sum(map(bool, dataset.instances))
        why = f"each {holder} holds one image" if single else f"no {holder} of a query holds another image"
        said = f"No query has a right answer: {why}. There are rankings, but no metrics"
    elif positives == others:
        said = f"Every image is a right answer to every query, because all lie in one {holder}; every metric will be 1"
    else:
        return
    notify(f"{where}: {said}.")


def _rows(database: Sequence[Shown], asked: Sequence[Shown]) -> list[int | None]:
    """The row of each query that is a database image too, by its own path or by a link."""
    rows = {image.path: row for row, image in enumerate(database)}
    if any(image.path not in rows and image.path.is_symlink() for image in asked):
        real = {os.path.realpath(image.path): row for row, image in enumerate(database)}
        return [rows.get(image.path, real.get(os.path.realpath(image.path))) for image in asked]
    return [rows.get(image.path) for image in asked]


def _labels(
    database: Sequence[Shown], asked: Sequence[Shown], rows: Sequence[int | None]
) -> tuple[Mapping[str, tuple[int, ...]], ...]:
    members = defaultdict(list)
    for row, image in enumerate(database):
        if image.instance:
            members[image.instance].append(row)
    return tuple(
        {"positive": tuple(other for other in members.get(image.instance, ()) if other != own)}
        for image, own in zip(asked, rows, strict=True)
    )
