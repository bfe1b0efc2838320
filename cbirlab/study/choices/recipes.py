"""Recipes: the choices between a picture and a ranking, each changed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

from cbirlab.backbones import BACKBONES, availability, releases
from cbirlab.backbones.backbone import PRECISION
from cbirlab.datasets import Dataset
from cbirlab.datasets.base import HELD_OUT
from cbirlab.extract.engines import OPENVINO, TORCH
from cbirlab.extract.fingerprint import fingerprints
from cbirlab.images.preprocessing import ANTIALIAS, CROP, INTERPOLATION, RESIZE
from cbirlab.pipeline import Recipe
from cbirlab.pipeline.fields import SCALE_SETS
from cbirlab.pipeline.learning_sets import FALLBACK_WHITENING_SET, learning_part, learning_set
from cbirlab.store import Store
from cbirlab.study.choices.base import Alternative

RERANKING = "decay"
"""What a recipe without re-ranking is compared with: it hardly ever harms, see `data/results`."""

PIXELS = {"crop": CROP, "resize": RESIZE, "interpolation": INTERPOLATION, "antialias": ANTIALIAS}


def reruns(recipe: Recipe, dataset: Dataset, store: Store) -> Iterator[Alternative]:
    """Every choice of a resolved recipe changed alone, in the order of the pipeline."""
    for name, domain in PIXELS.items():
        if reason := _idle(name, recipe, dataset, store):
            yield Alternative(name, _word(getattr(recipe, name)), note=reason)
            continue
        for option in domain.options:
            if option != getattr(recipe, name):
                yield _changed(recipe, name, option)
    names = {scales: name for name, scales in SCALE_SETS.items()}
    for scales, name in names.items():
        if scales != recipe.scales:
            was = names.get(recipe.scales, ", ".join(f"{scale:g}" for scale in recipe.scales))
            yield _changed(recipe, "scales", scales, was=was, to=name)
    yield from _numerics(recipe)
    yield from _weights(recipe)
    yield from _whitening_sets(recipe, dataset)
    yield _changed(recipe, "rerank", "none" if recipe.rerank.used else RERANKING, forward=False)


def _changed(
    recipe: Recipe, field: str, value: Any, *, was: str = "", to: str = "", forward: bool = True
) -> Alternative:
    told = {"was": was or _word(getattr(recipe, field)), "to": to or _word(value), "forward_pass": forward}
    try:
        return Alternative(field, **told, recipe=replace(recipe, **{field: value}))
    except ValueError as error:
        return Alternative(field, **told, note=str(error))


def _word(value: Any) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _idle(name: str, recipe: Recipe, dataset: Dataset, store: Store) -> str:
    """Why a choice of the preprocessing cannot matter; empty if it can."""
    if name == "crop":
        return "" if any(query.box for query in dataset.queries) else "no query has a box"
    if name == "antialias" and recipe.interpolation == "nearest":
        return "interpolation nearest reads single pixels, which antialias does not change"
    if name in ("interpolation", "antialias") and not _resized(recipe, dataset, store):
        return f"no picture is resized: none is larger than {recipe.image_size} pixels"
    return ""


def _resized(recipe: Recipe, dataset: Dataset, store: Store) -> bool:
    """Whether any picture that counts is resized."""
    if recipe.crop == "box_resized" and any(query.box for query in dataset.queries):
        return True
    if recipe.resize != "long_side" or recipe.passes != "single" or recipe.scales != (1.0,):
        return True
    paths = [*dataset.images, *(query.path for query in dataset.queries)]
    if recipe.whitening_set is not None:
        owner, part = learning_part(recipe.whitening_set, dataset)
        paths += owner.train if part == "train" else owner.images
    known = fingerprints(paths, store).values()
    return any(max(one.height, one.width) > int(recipe.image_size or 0) for one in known)


def _numerics(recipe: Recipe) -> Iterator[Alternative]:
    """Every other engine and precision of the passes."""
    was = f"{recipe.engine}, {recipe.precision}"
    for engine, precision in product((TORCH, OPENVINO), PRECISION.options):
        if (engine, precision) != (recipe.engine, recipe.precision):
            changed = replace(recipe, engine=engine, precision=precision)
            yield Alternative("numerics", was, f"{engine}, {precision}", recipe=changed, forward_pass=True)


def _weights(recipe: Recipe) -> Iterator[Alternative]:
    """The other weights that were published; only those on this machine are run."""
    facts = BACKBONES.info(recipe.backbone).facts
    was = recipe.weights or facts["weights"] or "its own"
    others = [label for label in releases(recipe.backbone) if label != was]
    if not others:
        yield Alternative("weights", was, note=f"{recipe.backbone} has no other published weights")
    for label in others:
        if availability(recipe.backbone, label).here:
            yield _changed(recipe, "weights", label, was=was)
        else:
            yield Alternative(
                "weights", was, label, note="not on this machine, and nothing is downloaded for a comparison"
            )


def _whitening_sets(recipe: Recipe, dataset: Dataset) -> Iterator[Alternative]:
    was = recipe.whitening_set
    if was is None:
        yield Alternative("whitening_set", "none", note="nothing is learned")
        return
    own = ["train"] if dataset.train else [HELD_OUT] if dataset.held_out else []
    known = [*own, "database", FALLBACK_WHITENING_SET]
    for name in dict.fromkeys(learning_set(name, dataset) for name in known):
        if name != was:
            yield _changed(recipe, "whitening_set", name, was=was, forward=name != f"{dataset.name}/images")
