"""Running: carry out a recipe, a fusion, or a system by its name; and the table of several systems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.base.frames import frame_of
from cbirlab.datasets import Dataset, load_dataset, load_named
from cbirlab.fusion import FusedRun, Fusion, run_fusion
from cbirlab.pipeline import Recipe, Run
from cbirlab.pipeline import run as run_recipe
from cbirlab.store import Store
from cbirlab.study.systems.base import SYSTEMS, System

if TYPE_CHECKING:
    import pandas as pd


def run(
    what: Recipe | Fusion | str,
    *,
    dataset: Dataset | str | Path | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    time_images: bool = False,
    train: bool = False,
    backbone: str | None = None,
    **fields: Any,
) -> Any:
    """Carry out a recipe, a fusion, or a system of the survey by its name.

    Parameters
    ----------
    what : a recipe; a fusion; or a name in `SYSTEMS`, "r-mac".
    dataset : used in place of the one that the recipe names, if it is loaded already; for a system also a name or a
        folder, "toytown" by default.
    store : keeps the descriptors.
    device : runs the network.
    progress : show a bar when extraction takes more than a second.
    time_images : describe a few images again, to measure the milliseconds per image.
    train : let a system that learns for retrieval do so first; what was trained before is taken from the disk.
    backbone : of a system, in place of every network of its paper.
    fields : of a system, other fields of its recipes, `dimensions` of what it ends in, and `training`, a mapping of
        other fields of its training.

    Returns
    -------
    A `Run`, or of several recipes a `FusedRun`.

    Raises
    ------
    UnknownName, WeightsError, ValueError : as loading, extraction, whitening and evaluation do; a system that stays
        out, or that would have to be trained.
    TypeError : options of a system beside a recipe.
    """
    about: dict[str, Any] = {"store": store, "device": device, "progress": progress, "time_images": time_images}
    if isinstance(what, str):
        loaded, name = load_named("toytown" if dataset is None else dataset)
        how = {"store": store, "device": device, "progress": progress, "train": train, "backbone": backbone}
        return _carried_out(plan_of(SYSTEMS[what], loaded, name, **how, **fields), loaded, **about)
    if train or backbone is not None or fields:
        named = [*fields, *(["train"] if train else []), *(["backbone"] if backbone is not None else [])]
        raise TypeError(
            f"run: {', '.join(named)} belong to a system by name, as in run('r-mac', ...); got a "
            f"{type(what).__name__}, which has fields of its own."
        )
    return _carried_out(what, None if dataset is None else load_dataset(dataset), **about)


def _carried_out(plan: Recipe | Fusion, dataset: Dataset | None, **about: Any) -> Run | FusedRun:
    if isinstance(plan, Fusion):
        return run_fusion(plan, dataset=dataset, **about)
    return run_recipe(plan, dataset=dataset, **about)


def plan_of(
    system: System,
    dataset: Dataset,
    name: str,
    *,
    train: bool = False,
    backbone: str | None = None,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    training: Mapping[str, Any] | None = None,
    **given: Any,
) -> Recipe | Fusion:
    """The recipe or the fusion of a system, trained first if it has to be; see `run`.

    Parameters
    ----------
    dataset, name : what is searched, and how recipes name it.
    training : other fields of its training, such as `steps`.
    """
    plan = system.plan(dataset, name, backbone, **given)
    if not system.training or isinstance(plan, Fusion):
        return plan
    from cbirlab.adaptation import train as learn

    fields = {"weights": given.get("weights"), "device": device} | dict(training or {})
    learning = system.learning(dataset, name, backbone, **fields)
    if not train:
        raise ValueError(
            f"{system.name}: its network learns first, {learning.steps} steps on {learning.on}; to let it, say "
            "train=True (--train)."
        )
    learned = learn(learning, store=store, progress=progress).recipe()
    same = plan.aggregation.name == learning.aggregation.name  # else the system pools in another way than it trains
    kept = ("backbone", "weights", "tap", *(("aggregation",) if same else ()))
    return replace(plan, **{field: getattr(learned, field) for field in kept})


def compare_systems(
    dataset: Dataset | str | Path = "toytown",
    systems: str | Sequence[str] = "all",
    *,
    backbone: str | None = None,
    train: bool = False,
    store: Store | None = None,
    device: str = "cpu",
    progress: bool = True,
    **given: Any,
) -> pd.DataFrame:
    """A row per system, with its year, and the number that the survey prints for it elsewhere.

    Parameters
    ----------
    systems : names, also as one text with commas, or "all".
    backbone : in place of every network of the papers: with `dimensions`, an equal budget.
    train : train those that learn first; without it their rows say that they are left out.
    given : as in `run`.

    Returns
    -------
    "system", "title", "year", "table", "kind", "status"; the columns of `cbirlab.compare`, empty where "error" says why
    it did not run; "departs".
    """
    from cbirlab.backbones.weights import WeightsError
    from cbirlab.base.methods import split_names
    from cbirlab.base.progress import bar
    from cbirlab.fusion import fused_row
    from cbirlab.pipeline import table_row

    loaded, name = load_named(dataset)
    named = [*SYSTEMS] if systems == "all" else split_names(systems) if isinstance(systems, str) else [*systems]
    shared: dict[str, Any] = {"store": store, "device": device, "progress": progress}
    rows = []
    for one in bar([SYSTEMS.info(each).name for each in named], desc="systems", unit="system", show=progress):
        system = SYSTEMS[one]
        about = {key: getattr(system, key) for key in ("title", "year", "table", "kind", "status")}
        row, error = {}, ""
        try:
            plan = plan_of(system, loaded, name, train=train, backbone=backbone, **shared, **given)
            done = _carried_out(plan, loaded, **shared)
            row = fused_row(done) if isinstance(done, FusedRun) else table_row(done)
        except (WeightsError, ValueError) as problem:
            error = str(problem)
        rows.append({"system": one, **about, **row, "error": error, "departs": system.departs})
    return frame_of(rows)
