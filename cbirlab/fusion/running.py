"""Carrying out a fusion: search each member as its recipe says, then all of them together."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from cbirlab.backbones import load_backbone
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.evaluation import PROTOCOLS
from cbirlab.fusion.members import Member, concatenate, fuse_lists, own_rows, search_lists
from cbirlab.fusion.methods import check_weights
from cbirlab.fusion.recipe import LEARNED, Fusion, check_members, compares_parts
from cbirlab.fusion.result import FusedRun, same_maps
from cbirlab.fusion.weighing import balance, train_split
from cbirlab.index.lists import Lists, lists_of
from cbirlab.pipeline import Bench, Clock, Recipe, Run
from cbirlab.pipeline.leaks import leak_between
from cbirlab.pipeline.learning_sets import HELD_OUT, held_for, learning_part, learning_set
from cbirlab.pipeline.result import judge, time_again
from cbirlab.pipeline.search import depth_of
from cbirlab.pipeline.timing import ms_per_image
from cbirlab.store import Store
from cbirlab.whitening import learn, whiten


class _Described(NamedTuple):
    run: Run
    member: Member
    train: Member | None


class _Fused(NamedTuple):
    """The lists of all members together, and what was searched to get them."""

    lists: Lists
    dim: int
    index_bytes: int
    build_seconds: float


def run_fusion(
    fusion: Fusion,
    *,
    dataset: Dataset | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    time_images: bool = False,
) -> FusedRun:
    """Carry out a fusion.

    Parameters
    ----------
    dataset : used in place of the one that the members name, if it is loaded already.
    store : keeps the descriptors.
    device : runs the networks.
    progress : show a bar when extraction takes more than a second.
    time_images : describe a few images again for every member, to measure the milliseconds per image.

    Raises
    ------
    UnknownName, WeightsError, ValueError : as `cbirlab.run`.
    """
    clock, store = Clock(), store or Store()
    with clock("load"):
        dataset = dataset or load_dataset(fusion.members[0].dataset)
        check_members([_with_judging(member, dataset) for member in fusion.members])
        fusion, where = _learning(fusion, dataset) if _learns(fusion) else (fusion, None)
        split = _as_benchmark(*where) if where else None
    with clock("extract"):
        described = _described(fusion, dataset, split, store, device, progress, time_images)
        runs = tuple(one.run for one in described)
        fusion = fusion.with_members([run.recipe for run in runs])
    with clock("balance"):
        weights = _weights(fusion, [one.train for one in described if one.train is not None], split)
        fused = _fused(fusion, described, weights, dataset, split)
    strictest = next((one for one in fusion.members if held_for(one.whitening_set, dataset)), fusion.members[0])
    ranking, evaluation = judge(fused.lists, dataset, strictest, clock)
    return FusedRun(
        recipe=fusion,
        dataset=dataset,
        members=runs,
        member_weights=weights,
        ranking=ranking,
        evaluation=evaluation,
        metrics=dict(evaluation.metrics) if evaluation else {},
        seconds=clock.seconds,
        dim=fused.dim,
        index_bytes=fused.index_bytes,
        build_seconds=fused.build_seconds,
        searches=time_again(fused.lists.whole, clock.seconds["search"]),
        leak="; ".join(dict.fromkeys(filter(None, [*(run.leak for run in runs), _leak(dataset, where, store)]))),
        skipped=_merged([run.skipped for run in runs]),
    )


def _with_judging(member: Recipe, dataset: Dataset) -> Recipe:
    """Fill in what a member leaves open about the judging."""
    protocol = member.protocol or dataset.protocol
    ap = member.average_precision or PROTOCOLS[protocol].average_precision
    return replace(member, protocol=protocol, average_precision=ap)


def _learns(fusion: Fusion) -> bool:
    return fusion.weights == LEARNED or bool(fusion.whitening.fact("learned"))


def _learning(fusion: Fusion, dataset: Dataset) -> tuple[Fusion, tuple[Dataset, str]]:
    """A fusion that learns, and the dataset and the part of it on which it does: where its members learn.

    If half of the dataset is held out for that, the other half is judged, of all members alike.
    """
    named = next((one.whitening_set for one in fusion.members if one.whitening_set), None)
    where = learning_set(named, dataset)
    if named is None and held_for(where, dataset):
        fusion = fusion.with_members([replace(one, whitening_set=HELD_OUT) for one in fusion.members])
    return fusion, learning_part(where, dataset)


def _as_benchmark(owner: Dataset, part: str) -> Dataset:
    """The images of a part, in which each asks for the others of its instance."""
    if part == "images":
        owner = replace(owner, train=owner.images, train_instances=owner.instances or ("",) * len(owner.images))
    return train_split(owner)


def _described(
    fusion: Fusion,
    dataset: Dataset,
    split: Dataset | None,
    store: Store,
    device: str,
    progress: bool,
    time_images: bool,
) -> list[_Described]:
    """Describe and search every member; members that share a network and its input share one bench."""
    early = fusion.method.stage == "descriptors"
    found: dict[int, _Described] = {}
    for places in same_maps(fusion.members):
        first = fusion.members[places[0]]
        backbone = load_backbone(first.backbone, first.weights, device)
        recipes = [fusion.members[place].resolved(dataset, backbone, store) for place in places]
        bench = Bench(dataset, backbone, recipes[0], store=store, progress=progress, keep=len(recipes))
        runs, members = _searched(bench, recipes, early)
        times = ms_per_image(bench, recipes) if time_images else dict.fromkeys(recipes, math.nan)
        runs = [bench.timed(run, times[run.recipe]) for run in runs]
        train: Sequence[Member | None] = [None] * len(places)
        if split is not None:
            asked = [_asked_on(split, recipe, dataset) for recipe in recipes]
            others = Bench(split, backbone, asked[0], store=store, progress=progress, keep=len(recipes))
            _, train = _searched(others, asked, early)
        found |= {
            place: _Described(*one) for place, one in zip(places, zip(runs, members, train, strict=True), strict=True)
        }
    return [found[place] for place in range(len(fusion.members))]


def _asked_on(split: Dataset, recipe: Recipe, dataset: Dataset) -> Recipe:
    """The recipe of a member where it searches what the fusion learns on, which is also what the member learns on."""
    own = recipe.whitening_set == f"{dataset.name}/images" or held_for(recipe.whitening_set, dataset)
    where = f"{split.name}/images" if own else recipe.whitening_set
    return replace(recipe, protocol=split.protocol, whitening_set=where)


def _searched(bench: Bench, recipes: Sequence[Recipe], early: bool) -> tuple[list[Run], list[Member]]:
    """Keep descriptors for early fusion only: other members may compare words or views and have no single vector."""
    bench.fill(recipes)
    runs = [bench.run(recipe) for recipe in recipes]
    pairs = [_vectors(bench, recipe) if early else () for recipe in recipes]
    whole = [bench.lists(replace(run.recipe, depth=None)) if run.recipe.depth else run.ranking for run in runs]
    return runs, [Member(lists_of(one), *pair) for one, pair in zip(whole, pairs, strict=True)]


def _vectors(bench: Bench, recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    images, queries = bench.pair(recipe)
    if compares_parts(recipe):
        raise ValueError(
            f"Fusion: method 'early' needs members with one vector per image, and {recipe.aggregation!r} with passes "
            f"{recipe.passes!r} compares words or views; use a fusion of scores or ranks, as 'minmax' or 'rrf'."
        )
    return images.values, queries.values


def _weights(fusion: Fusion, train: Sequence[Member], split: Dataset | None) -> tuple[float, ...]:
    if fusion.weights == LEARNED and split is not None:
        ap = fusion.members[0].average_precision
        return balance(train, split, fusion.method, average_precision=str(ap)).weights
    given = None if isinstance(fusion.weights, str) else fusion.weights
    return check_weights("Fusion", given, len(fusion.members))


def _fused(
    fusion: Fusion, described: Sequence[_Described], weights: tuple[float, ...], dataset: Dataset, split: Dataset | None
) -> _Fused:
    method, members = fusion.method, [one.member for one in described]
    if method.stage != "descriptors":
        own = own_rows(dataset, PROTOCOLS[str(fusion.members[0].protocol)])
        lists, runs = fuse_lists(members, method, weights, own), [one.run for one in described]
        sums = (sum(getattr(run, name) for run in runs) for name in ("dim", "index_bytes", "build_seconds"))
        return _Fused(lists, *sums)
    images, queries = concatenate(members, weights, method)
    if fusion.whitening.fact("trained"):
        raise ValueError(
            f"Fusion: whitening must not be a trained head, got {fusion.whitening!r}; give it to a member."
        )
    if split is not None and fusion.whitening.fact("learned"):
        learning, _ = concatenate([one.train for one in described if one.train is not None], weights, method)
        fitted = learn(fusion.whitening, learning, split.instances)
        images = whiten(fitted, images, fusion.dimensions)
        queries = whiten(fitted, queries, fusion.dimensions) if len(queries) else images[:0]
    start, first = time.perf_counter(), fusion.members[0]
    index = first.index.make().fit(images)
    seconds = time.perf_counter() - start
    lists = search_lists(index, queries, depth_of(first, len(images)))
    return _Fused(lists, images.shape[1], index.nbytes, seconds)


def _leak(dataset: Dataset, learning: tuple[Dataset, str] | None, store: Store) -> str:
    """What the images that the fusion learned on share with the evaluated ones, by their bytes."""
    shared = leak_between(learning, dataset, store) if learning is not None else ""
    return f"fusion {shared}" if shared else ""


def _merged(skipped: Sequence[Mapping[str, Mapping[int, str]]]) -> dict[str, dict[int, str]]:
    merged: dict[str, dict[int, str]] = {}
    for one in skipped:
        for part, rows in one.items():
            merged.setdefault(part, {}).update(rows)
    return merged
