"""Grid: a table with one row for each combination of the methods to compare."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.attention import ATTENTIONS
from cbirlab.backbones import check_tap, usual_backbone
from cbirlab.base.frames import frame_of
from cbirlab.base.methods import Method
from cbirlab.base.notices import notify
from cbirlab.base.progress import bar
from cbirlab.compression import Compression
from cbirlab.datasets import Dataset, load_named
from cbirlab.datasets.base import HELD_OUT
from cbirlab.encoding import ENCODINGS
from cbirlab.fusion import FUSIONS, Fusion, FusionMethod, fused_row, run_fusion
from cbirlab.fusion.recipe import compares_parts
from cbirlab.index import IndexMethod
from cbirlab.passes import PASSES, Passes
from cbirlab.pipeline import Bench, Recipe, table_row
from cbirlab.pipeline.fields import ADDED, SEARCH, each
from cbirlab.pipeline.fitting import check_cell, find_clipped, warn_of_clipped
from cbirlab.pipeline.learning_sets import learning_part, learning_set
from cbirlab.pipeline.tap_names import Taps
from cbirlab.pipeline.timing import ms_per_image
from cbirlab.store import Store
from cbirlab.study.networks import Names, check_taps, loaded_ones, names_of, networks_of, taps_at
from cbirlab.whitening import WHITENINGS, Whitening

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.backbones import Backbone
    from cbirlab.extract import Computing

NO_ATTENTION = "none"


def compare(
    dataset: str | Path | Dataset = "toytown",
    *,
    backbones: Names | None = None,
    taps: Names | None = None,
    aggregations: Names = "all",
    encodings: Names = (),
    attentions: Names = "none",
    passes: Names = "single",
    whitenings: Names = "all",
    dimensions: int | Sequence[int | None] | None = None,
    weights: str | Mapping[str, str | None] | None = None,
    fusions: Names = (),
    fusion_weights: Sequence[float] | str | None = None,
    time_images: bool = False,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    **shared: Any,
) -> pd.DataFrame:
    """One row per recipe of the grid; one forward pass per image, backbone and feedforward scheme for all of it.

    Impossible combinations are left out: poolings of sets of local descriptors; encodings or attention at a tap without
    positions (which appears once, since all poolings of one position are equal); class activation maps away from the
    classifier; whitening of ASMK; a whitening that learns from pairs if there are none.

    Parameters
    ----------
    backbones, taps, aggregations, encodings, attentions, passes, whitenings : names, also as one text with commas, or
        "all". For taps, None is the backbone's default tap, and each backbone takes those of the names that it has.
        "all" backbones are those whose weights are on this machine; a warning names the others.
    attentions : applied before each aggregation and encoding; "none" is none, "crow_spatial > crow_channel" both.
    dimensions : one or several, kept after a whitening that orders them; None keeps all.
    weights : the same for all backbones, or by backbone; a backbone may give its own, "resnet50@IMAGENET1K_V2".
    fusions : each adds a row that fuses all recipes which differ only in backbone or tap: with taps of one backbone
        it is layer-level fusion, with several backbones model-level fusion.
    fusion_weights : one per member, in the order of the rows, "learned" on the train split, or None for equal ones.
    time_images : describe a few images again for each row, all rows in one run, for the column "ms_per_image".
    shared : other fields of `Recipe`: `image_size`, `scales`, `precision`, `whitening_set`, `protocol`, ...; and, by
        their plural names, several `compressions`, `indexes`, `rescores`, and methods of added stages
        (`cbirlab.pipeline.add_stage`).

    Returns
    -------
    Columns as in `table_row`. mAP is in 0..1.

    Raises
    ------
    As `run` does.
    """

    store = store or Store()
    loaded, name = load_named(dataset)
    methods = [FusionMethod.parse(one) for one in names_of(fusions, FUSIONS)]
    grid: dict[str, Any] = {"backbones": backbones, "taps": taps, "aggregations": aggregations, "encodings": encodings}
    grid |= {"attentions": attentions, "passes": passes, "whitenings": whitenings, "dimensions": dimensions}
    options: dict[str, Any] = {"store": store, "device": device, "progress": progress}
    rows, done = [], []
    for bench, resolved in described(loaded, name, weights=weights, **grid, **options, **shared):
        label = f"{bench.backbone.name}: recipes"
        times = ms_per_image(bench, resolved) if time_images else dict.fromkeys(resolved, math.nan)
        found = (bench.timed(bench.run(recipe), times[recipe]) for recipe in resolved)
        rows += [table_row(one) for one in bar(found, total=len(resolved), desc=label, unit="recipe", show=progress)]
        done += resolved
    if methods:
        rows = [{**row, "fusion": "", "fusion_weights": ""} for row in rows]
        fused = _fusions(done, methods, fusion_weights)
        options |= {"dataset": loaded, "time_images": time_images}
        found = (run_fusion(one, **options) for one in fused)
        rows += [fused_row(one) for one in bar(found, total=len(fused), desc="fusions", unit="recipe", show=progress)]
    return frame_of(rows)


def described(
    dataset: Dataset,
    name: str,
    *,
    backbones: Names | None = None,
    taps: Names | None = None,
    aggregations: Names = "all",
    encodings: Names = (),
    attentions: Names = "none",
    passes: Names = "single",
    whitenings: Names = "all",
    dimensions: int | Sequence[int | None] | None = None,
    weights: str | Mapping[str, str | None] | None = None,
    store: Store,
    device: str = "cpu",
    progress: bool = True,
    computing: Computing | None = None,
    **shared: Any,
) -> Iterator[tuple[Bench, list[Recipe]]]:
    """Benches of a grid that hold all descriptors of their recipes, which come with them; options as in `compare`.

    Parameters
    ----------
    name : the dataset's, as recipes are to say it.
    computing : where shards are computed, see `cbirlab.extract.extract`.

    Raises
    ------
    ValueError : no recipe is left.
    """
    specs = _specs(aggregations, encodings, attentions)
    kinds = [Whitening.parse(one) for one in names_of(whitenings, WHITENINGS)]
    schemes = [Passes.parse(one) for one in names_of(passes, PASSES)]
    backbones = usual_backbone(name) if backbones is None else backbones
    networks = networks_of(backbones, weights)
    check_taps(taps, list(dict.fromkeys(name for name, _ in networks)))
    widths = list(dimensions) if isinstance(dimensions, Sequence) else [dimensions]
    beyond = _beyond_whitening(shared)
    methods_of_rows = [*kinds, *(one for more in beyond for one in more.values() if isinstance(one, Method))]
    learning = [*(one.fact("learned") for one in methods_of_rows), *(spec.learns for spec in specs)]
    if dataset.learns_on_itself and any(learning):  # all rows are judged on the same half
        shared.setdefault("whitening_set", HELD_OUT)
    left = False
    for backbone, weight in loaded_ones(networks, device, all_of_them=backbones == "all"):
        cells = _cells(taps_at(taps, backbone), specs, backbone)
        for scheme in schemes:
            base = Recipe(dataset=name, backbone=backbone.name, weights=weight, passes=scheme, **shared)
            recipes = [
                replace(base, tap=tap, aggregation=spec, whitening=kind, dimensions=width, **more)
                for tap, spec in cells
                for kind in kinds
                if _whitenable(spec, kind, base, dataset)
                for width in (widths if kind.fact("ordered") else [None])
                for more in beyond
            ]
            resolved = [recipe.resolved(dataset, backbone, store) for recipe in recipes]
            if resolved:
                left = True
                options: dict[str, Any] = {"store": store, "progress": progress, "computing": computing}
                bench = Bench(dataset, backbone, resolved[0], keep=2, **options)
                bench.fill(resolved)
                yield bench, resolved
    if not left:
        raise ValueError(
            "compare: no valid combination is left: sets of local descriptors (rootsift) need an encoding, as 'vlad', "
            "and class activation maps need the tap that the classifier sits on."
        )


def _beyond_whitening(shared: dict[str, Any]) -> list[dict[str, Any]]:
    """Take the fields right of the whitening out of `shared`, and give every combination of them that is possible."""
    several = {one.plural: (name, one) for name, one in each(Recipe, SEARCH, ADDED) if one.plural in shared}
    asked = {name: _values(shared.pop(plural), one.check) for plural, (name, one) in several.items()}
    combined = [dict(zip(asked, values, strict=True)) for values in itertools.product(*asked.values())]
    index, code = IndexMethod.parse("exact"), Compression.parse("none")
    return [one for one in combined if not one.get("index", index).refuses(one.get("compression", code))]


def _values(given: Any, check: Any) -> list[Any]:
    """The checked values of a field, from names as `compare` takes them, or from numbers."""
    values = names_of(given, check.__self__.registry) if isinstance(given, str) else given
    return [check(one) for one in (values if isinstance(values, Sequence) else [values])]


def _fusions(recipes: Sequence[Recipe], methods: Sequence[FusionMethod], weights: Any) -> list[Fusion]:
    """Fuse the recipes that differ only in backbone or tap, by each method that suits their kind of answer."""
    groups: dict[Recipe, list[Recipe]] = {}
    for recipe in recipes:
        groups.setdefault(replace(recipe, backbone=Recipe.backbone, weights=None, tap=None), []).append(recipe)
    several = [members for members in groups.values() if len(members) > 1]
    if not several:
        raise ValueError("compare: fusions need recipes that differ only in backbone or tap; give several of these.")
    return [
        Fusion(members=tuple(members), method=method, weights=weights)
        for members in several
        for method in methods
        if not (method.of_vectors and compares_parts(members[0]))
    ]


def _specs(aggregations: Names, encodings: Names, attentions: Names) -> list[Aggregation]:
    """Every attention before every aggregation and encoding."""
    methods = [*names_of(aggregations, AGGREGATIONS), *names_of(encodings, ENCODINGS)]
    before = [NO_ATTENTION, *ATTENTIONS] if attentions == "all" else names_of(attentions, ATTENTIONS)
    texts = [one if first == NO_ATTENTION else f"{first} > {one}" for first in before for one in methods]
    return list(dict.fromkeys(map(Aggregation.parse, texts)))


def _cells(taps: Sequence[Taps], specs: Sequence[Aggregation], backbone: Backbone) -> list[tuple[Taps, Aggregation]]:
    """The cells of the grid that can be computed."""
    cells, left_out = [], []
    for tap in taps:
        members = [member for _, member in tap.members]
        for member in members:
            check_tap(backbone, member)
        problems = [[check_cell(backbone, member, spec) for member in members] for spec in specs]
        possible = [spec for spec, found in zip(specs, problems, strict=True) if not any(found)]
        if not possible:
            left_out += [f"{tap}: {next(filter(None, found))}" for found in problems[:1]]
        if all(backbone.taps[member].kind == "vector" for member in members):
            possible = possible[:1]
        cells += [(tap, spec) for spec in possible]
    if left_out:
        listed = "\n  ".join(left_out)
        notify(f"compare: {backbone.name}: {len(left_out)} taps are left out:\n  {listed}")
    warn_of_clipped([find_clipped(backbone, tap.members, spec) for tap, spec in cells], stacklevel=4)
    return cells


def _whitenable(spec: Aggregation, kind: Whitening, base: Recipe, dataset: Dataset) -> bool:
    if kind.name != "none" and spec.fact("similarity"):
        return False
    if not kind.fact("pairs"):
        return True
    owner, part = learning_part(learning_set(base.whitening_set, dataset), dataset)
    labels = [label for label in (owner.train_instances if part == "train" else owner.instances) if label]
    return len(set(labels)) < len(labels)
