"""The choices between a ranking and its numbers, each changed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cbirlab.datasets import Dataset
from cbirlab.evaluation import Protocol
from cbirlab.evaluation.judgement import AP_METHODS
from cbirlab.study.choices.base import Alternative
from cbirlab.study.choices.judging import FIRST, JUNK, MEASURES, Judging

CUTS = (100, 10)
"""Lengths at which a list is cut."""


def judgings(usual: Judging, dataset: Dataset, protocol: Protocol, results: int) -> Iterator[Alternative]:
    """Every choice of the judging changed alone; `results` is the length of the lists."""
    yield from _junk(usual, dataset)
    yield from _own_image(usual, dataset)
    yield from _levels(usual, protocol)
    by_ap = usual if usual.metric == "map" else replace(usual, measure=usual.average_precision)
    for measure in (*AP_METHODS, "map@r"):
        if measure != by_ap.measure:
            after = replace(usual, measure=measure)
            yield Alternative("average_precision", by_ap.measure, measure, judging=(by_ap, after))
    yield from _cuts(usual, by_ap, results)
    yield from _precision(usual)


def _junk(usual: Judging, dataset: Dataset) -> Iterator[Alternative]:
    if not any(labels.get(name) for labels in dataset.labels for name in usual.level.junk):
        yield Alternative("junk", usual.junk, note="no image is junk at this level")
        return
    for option in JUNK.options:
        if option != usual.junk:
            yield Alternative("junk", usual.junk, option, judging=(usual, replace(usual, junk=option)))


def _own_image(usual: Judging, dataset: Dataset) -> Iterator[Alternative]:
    if all(query.index is None for query in dataset.queries):
        yield Alternative("own_image", usual.own_image, note="no query is in the database")
        return
    for option in ("dropped", "wrong", "right"):
        if option != usual.own_image:
            yield Alternative("own_image", usual.own_image, option, judging=(usual, replace(usual, own_image=option)))


def _levels(usual: Judging, protocol: Protocol) -> Iterator[Alternative]:
    others = [level for level in protocol.levels if level != usual.level]
    if not others:
        yield Alternative("level", usual.level.name, note=f"the protocol {protocol.name} has one level")
    for level in others:
        yield Alternative("level", usual.level.name, level.name, judging=(usual, replace(usual, level=level)))


def _cuts(usual: Judging, by_ap: Judging, results: int) -> Iterator[Alternative]:
    was = str(results)
    for cut in CUTS:
        if cut >= results:
            yield Alternative("results", was, str(cut), note="the list is no longer than that")
            continue
        yield Alternative("results", was, str(cut), judging=(usual, replace(usual, results=cut)))
        for measure in ("over min(right, results)", "over right in results"):
            after = replace(usual, results=cut, measure=measure)
            yield Alternative("results", was, f"{cut}, AP {measure}", judging=(by_ap, after))


def _precision(usual: Judging) -> Iterator[Alternative]:
    first, *others = [name for name in MEASURES if name.startswith("precision")]
    before = replace(usual, measure=first)
    for measure in others:
        was, to = (name.removeprefix("precision ") for name in (first, measure))
        judging = (before, replace(usual, measure=measure))
        yield Alternative("precision", was, to, judging=judging, metric=f"mp@{FIRST}")
