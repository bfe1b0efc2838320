"""Examining your own images before anything is computed: what is there, what is left out, what looks wrong."""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import median

from cbirlab.base.downloads import digest_of
from cbirlab.base.progress import bar
from cbirlab.base.text import printable
from cbirlab.datasets import load_dataset
from cbirlab.datasets.base import Dataset
from cbirlab.datasets.checking import Finding, Report, check_closeness, readable
from cbirlab.datasets.copies import judged_pictures, nearly_equal, said_of, sorted_out
from cbirlab.datasets.walking import FilesLeftOut


def examine(name: str | Path, *, images: str = "headers", progress: bool = True) -> Report:
    """Look at a folder of images or a list as it will be loaded. Anything that loading warns of should be fixed.

    Parameters
    ----------
    name : as for `load_dataset`, options included.
    images : "headers" opens every image, "pixels" also decodes it, "none" only what loading opens.

    Raises
    ------
    UnknownName : neither a folder nor a list.
    ValueError : an unknown way to look at images.
    """
    check_closeness("examine", images)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            dataset = load_dataset(name)
        except (OSError, ValueError, TypeError) as error:
            details = tuple(getattr(error, "names", ()))
            said = [Finding(False, "reading it", printable(error, keep="\n"), details), *_said(caught)]
            return Report(printable(name), None, tuple(said), _left_out(caught))
    findings = [*_counted(dataset), *_said(caught), *_alike(dataset, progress)]
    left_out = _left_out(caught)
    if images != "none":
        opened = readable(dataset, decode=images == "pixels", progress=progress)
        findings.append(opened)
        findings += _copies(dataset, progress) if images == "pixels" else []
        left_out += tuple((path, reason) for path, reason in opened.files)
    return Report(printable(name), None, tuple(findings), left_out)


def _said(caught: Sequence[warnings.WarningMessage]) -> Iterator[Finding]:
    """A finding for each warning, with every file that is left out."""
    for one in caught:
        if isinstance(one.message, FilesLeftOut):
            first, _, _ = str(one.message).partition("\n")
            reasons = tuple(printable(file.reason) for file in one.message.files)
            yield Finding(False, "left out", first.rstrip(":"), reasons)
        elif issubclass(one.category, UserWarning):
            yield Finding(False, "look at this", str(one.message))


def _left_out(caught: Sequence[warnings.WarningMessage]) -> tuple[tuple[Path, str], ...]:
    lists = (one.message.files for one in caught if isinstance(one.message, FilesLeftOut))
    return tuple((file.path, file.reason) for file in chain.from_iterable(lists))


def _counted(dataset: Dataset) -> Iterator[Finding]:
    yield Finding(True, "images", f"{len(dataset.images):,} are searched")
    boxed = sum(query.box is not None for query in dataset.queries)
    yield Finding(True, "queries", f"{len(dataset.queries):,}" + (f", {boxed:,} of them with a box" if boxed else ""))
    if dataset.train:
        taught = f", of {len({*dataset.train_instances} - {''})} instances" if dataset.train_instances else ""
        yield Finding(True, "learned on", f"{len(dataset.train):,} images{taught}")
    sizes = Counter(instance for instance in dataset.instances if instance)
    if sizes:
        low, high = min(sizes.values()), max(sizes.values())
        each = (
            f"{low} images each" if low == high else f"{low} to {high} images each, median {median(sizes.values()):g}"
        )
        single = tuple(printable(instance) for instance, count in sizes.items() if count == 1)
        yield Finding(True, "instances", f"{len(sizes):,}, {each}")
        if single:
            yield Finding(True, "instances of one image", f"{len(single):,}", single)
        if len(dataset.instances) > sum(sizes.values()):
            yield Finding(
                True, "distractors", f"{len(dataset.instances) - sum(sizes.values()):,} images of no instance"
            )
    if dataset.labels:
        without = sum(not any(rows for label, rows in one.items() if label != "junk") for one in dataset.labels)
        yield Finding(
            without < len(dataset.labels), "queries without a right answer", f"{without:,} (they do not count)"
        )
    else:
        yield Finding(True, "ground truth", "none: there are rankings, but no metrics")


def _alike(dataset: Dataset, progress: bool) -> Iterator[Finding]:
    """Files with the same bytes: if their instances differ, a label is wrong, and a train image must not be a query."""
    groups = _same_bytes([*dataset.images, *(query.path for query in dataset.queries), *dataset.train], progress)
    shown: dict[Path, str] = dict(zip(dataset.images, dataset.instances, strict=False))
    mixed, taught, same = [], [], []
    train, searched = {*dataset.train}, {*dataset.images, *(query.path for query in dataset.queries)}
    for group in groups:
        line = " = ".join(printable(path) for path in group)
        if train.intersection(group) and searched.intersection(group):
            taught.append(line)
        elif len({shown[path] for path in group if path in shown}) > 1:
            mixed.append(line)
        else:
            same.append(line)
    if mixed:
        yield Finding(False, "same file in several instances", f"{len(mixed):,} groups", tuple(mixed))
    if taught:
        yield Finding(False, "same file searched and learned on", f"{len(taught):,} groups", tuple(taught))
    if same:
        yield Finding(True, "same file several times", f"{len(same):,} groups", tuple(same))


def _copies(dataset: Dataset, progress: bool) -> Iterator[Finding]:
    """Nearly equal pictures, as far as they change the numbers."""
    said = said_of(dataset, sorted_out(dataset, nearly_equal(judged_pictures(dataset), progress=progress)))
    if dataset.labels:
        yield Finding(not said, "copies", said or "no query is nearly equal to an image of the database")


def _same_bytes(paths: Sequence[Path], progress: bool) -> list[list[Path]]:
    """Groups of files with the same bytes; only files of one size are read."""
    sizes: dict[int, list[Path]] = defaultdict(list)
    for path in dict.fromkeys(paths):
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].append(path)
    alike = [path for group in sizes.values() if len(group) > 1 for path in group]
    digests: Mapping[str, list[Path]] = defaultdict(list)
    for path in bar(alike, desc="files of one size", unit="file", show=progress):
        digests[digest_of(path, "sha256")].append(path)
    return [group for group in digests.values() if len(group) > 1]
