"""Source x target: what something learned on one kind of pictures does to the search among another kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.backbones import load_backbone, usual_backbone
from cbirlab.base.progress import bar
from cbirlab.datasets import Dataset, load_dataset
from cbirlab.datasets.base import HELD_OUT
from cbirlab.evaluation import paired
from cbirlab.pipeline import Bench, Recipe, Run
from cbirlab.pipeline.learning_sets import learning_part, learning_set
from cbirlab.store import Store
from cbirlab.whitening import Whitening

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.backbones import Backbone

WAYS = ("pca", "pca(power=0.25)", "lw")
DECIDED = ("dataset", "whitening", "whitening_set")
_UNKNOWN = dict.fromkeys(("none", "value", "difference", "low", "high", "p"), np.nan)


def matrix(
    sources: Sequence[str],
    targets: Sequence[str | Path | Dataset],
    *,
    ways: Sequence[str | Whitening] = WAYS,
    backbone: str | None = None,
    weights: str | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    **recipe_fields: Any,
) -> pd.DataFrame:
    """What each whitening, learned on each source, changes on each target, in its protocol's main metric.

    A source that is the target itself, without a train split, is divided: one half is learned on, the other half is
    judged, with and without the whitening (`Dataset.held_out`).

    Parameters
    ----------
    sources : learning sets as in `Recipe.whitening_set`: "toytown/train", the name of a dataset, or a folder.
    targets : datasets with ground truth, by name or folder, or loaded.
    ways : whitenings, with their parameters. All are compared with "none".
    store : keeps the descriptors.
    device : runs the network.
    recipe_fields : other fields of `Recipe`; `dimensions` are those that are kept of a whitening that orders them.

    Returns
    -------
    A row per target, source and way, in this order: "source" and "target", as they were given, "whitening",
    "dimensions"; "metric", by its name; "queries", how many count; "none" and "value", the metric without and with the
    whitening; "difference" with its paired interval from "low" to "high", whole groups of queries drawn together, and
    "p" of the randomisation test; "clear", whether the interval excludes 0 and p is at most 0.05 (`told_apart`);
    "learned_on", the source as it was used; "leak", what it shares with the evaluated pictures; "error", why there are
    no numbers, else "".

    Raises
    ------
    UnknownName, WeightsError : no such dataset, whitening or network.
    ValueError : no source, target or way; a target without ground truth; a field that the matrix itself decides.
    """
    import pandas as pd

    sources, targets, ways = (_several(one) for one in (sources, targets, ways))
    backbone = backbone or usual_backbone(*map(str, sources), *map(_named, targets))
    base = shared_recipe(sources, targets, ways, {"backbone": backbone, "weights": weights, **recipe_fields})
    kinds = [Whitening.parse(way) for way in ways]
    loaded = {_named(target): _loaded(target) for target in targets}
    for source in sources:
        _look_for(source, next(iter(loaded.values())))
    network = load_backbone(base.backbone, base.weights, device)
    rows = []
    with bar(total=len(sources) * len(targets) * len(kinds), desc="matrix", unit="cell", show=progress) as shown:
        for name, target in loaded.items():
            column = _Column(replace(base, dataset=name), target, network, store or Store(), progress)
            for source in sources:
                for kind in kinds:
                    rows.append({"source": source, "target": name, **column.cell(source, kind)})
                    shown.update()
    return pd.DataFrame(rows)


class _Column:
    """One target: all that is learned elsewhere is judged on it."""

    def __init__(self, base: Recipe, target: Dataset, network: Backbone, store: Store, progress: bool) -> None:
        self.base, self.target, self.network = base, target, network
        plain = replace(base, dimensions=None).resolved(target, network, store)
        self.bench = Bench(target, network, plain, store=store, progress=progress, keep=2)
        self._plain: dict[Recipe, Run] = {}

    def cell(self, source: str, kind: Whitening) -> dict[str, Any]:
        """The numbers of one whitening that learned on one source, or the error."""
        about = {"whitening": str(kind), "dimensions": 0, "metric": "", "queries": 0} | _UNKNOWN
        about |= {"clear": False, "learned_on": "", "leak": "", "error": ""}
        try:
            chosen = replace(self.base, whitening_set=own_half(source, self.target))
            plain = self._run_plain(replace(chosen, dimensions=None))
            kept = self.base.dimensions if kind.fact("ordered") else None
            changed = self._run(replace(chosen, whitening=kind, dimensions=kept))
        except (ValueError, TypeError) as error:
            return about | {"error": str(error)}
        return about | _compared(plain, changed)

    def _run_plain(self, recipe: Recipe) -> Run:
        resolved = recipe.resolved(self.target, self.network, self.bench.store)
        if resolved not in self._plain:
            self._plain[resolved] = self._run(recipe)
        return self._plain[resolved]

    def _run(self, recipe: Recipe) -> Run:
        resolved = recipe.resolved(self.target, self.network, self.bench.store)
        self.bench.fill([resolved])
        return self.bench.run(resolved)


def own_half(source: str, target: Dataset) -> str:
    """The source as a recipe's whitening set: one half of the target if it is the target itself, with no train split.

    Asked for by its full name, as "photos/images", the whole target is learned on, and the leak is reported.
    """
    if source == "database" or source.endswith("/images"):
        return source
    owner, part = learning_part(learning_set(source, target), target)
    same = part == "images" and {*owner.images} == {*target.images}
    return HELD_OUT if same and target.held_out is not None else source


def _compared(plain: Run, changed: Run) -> dict[str, Any]:
    if plain.evaluation is None or changed.evaluation is None:
        raise ValueError("matrix: a target must have ground truth.")
    protocol = plain.evaluation.protocol
    test = paired(changed.evaluation, plain.evaluation)
    return {
        "dimensions": changed.dim,
        "metric": protocol.headline,
        "queries": int(np.isfinite(plain.evaluation.per_query[protocol.level().name]).sum()),
        "none": plain.metrics[protocol.headline],
        "value": changed.metrics[protocol.headline],
        "difference": test.mean,
        "low": test.low,
        "high": test.high,
        "p": test.p,
        "clear": test.apart,
        "learned_on": changed.recipe.whitening_set or "",
        "leak": changed.leak,
    }


def shared_recipe(
    sources: Sequence[Any], targets: Sequence[Any], ways: Sequence[Any], fields: dict[str, Any]
) -> Recipe:
    """What all cells share, after a look at what was asked for; errors are those of `matrix`."""
    for name, given, example in (
        ("sources", sources, "'toytown/train'"),
        ("targets", targets, "'toytown'"),
        ("ways", ways, "'pca'"),
    ):
        if not given:
            raise ValueError(f"matrix: {name} must be at least one, such as {example}, got none.")
        words = [_named(one) for one in given]
        if len({*words}) < len(words):
            raise ValueError(f"matrix: {name} must differ from each other, got {', '.join(words)}.")
    if decided := [name for name in DECIDED if name in fields]:
        raise ValueError(f"matrix: {', '.join(decided)} must be left out: sources, targets and ways decide this.")
    for source in sources:
        if not isinstance(source, str):
            raise TypeError(f"matrix: a source must be a text that names a learning set, got {source!r:.60}.")
    if any(Whitening.parse(way).name == "none" for way in ways):
        raise ValueError("matrix: ways must be whitenings other than 'none', with which each of them is compared.")
    return Recipe(**fields)


def _several(given: Any) -> list[Any]:
    return [given] if isinstance(given, str | Path | Dataset | Whitening) else [*given]


def _named(target: str | Path | Dataset) -> str:
    """What recipes and the table call a target."""
    return target.name if isinstance(target, Dataset) else str(target)


def _loaded(target: str | Path | Dataset) -> Dataset:
    loaded = load_dataset(target)
    if not loaded.labels:
        raise ValueError(
            f"matrix: a target must have ground truth, and {loaded.name!r} has none; give each instance a sub-folder."
        )
    return loaded


def _look_for(source: str, target: Dataset) -> None:
    """Find out now, rather than after the first target, whether a source names a dataset at all."""
    try:
        learning_part(learning_set(source, target), target)
    except ValueError:
        return  # it says in its cells what it lacks, for each target
