"""What commands read and print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.names import OF_TOYTOWN, usual_backbone
from cbirlab.cli import checks, saying
from cbirlab.cli.listing import align
from cbirlab.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.fusion import FusedRun, Fusion
    from cbirlab.pipeline import Recipe, Run


def store(given: Any) -> Store:
    """The store that the command line names."""
    return Store(given.store)


def read_recipe(path: str, row: int) -> dict[str, Any]:
    """The recipe in a file: a recipe, a row, or a table of rows.

    Raises
    ------
    ValueError : no such row, or no recipe in it.
    """
    from cbirlab import tables
    from cbirlab.base import plain

    try:
        found = (
            plain.parse_json(Path(path).read_text(encoding="utf-8")) if Path(path).suffix.lower() == ".json" else None
        )
        if isinstance(found, dict):
            return tables.read_recipe(found) if "recipe" in found else found
        frame = tables.read(path)
        if 0 <= row < len(frame):
            return tables.read_recipe(frame.iloc[row].to_dict())
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: it must hold a recipe, or a table with recipes ({error}).") from error
    if not len(frame):
        raise ValueError(f"{path}: it must hold a recipe, or a table with recipes, and the table has no rows.")
    raise ValueError(f"row must be in [0, {len(frame) - 1}] for {path}, got {row}.")


ALSO_NONE = ("aggregations", "encodings", "fusions")


def check_names(given: Any) -> dict[str, Any]:
    """The arguments of `compare` that take several names, as far as given; unknown names raise before any computing."""
    from cbirlab.aggregation import Aggregation
    from cbirlab.attention import Attention
    from cbirlab.backbones import split_backbone
    from cbirlab.fusion import FusionMethod
    from cbirlab.pipeline import Recipe
    from cbirlab.pipeline.fields import each
    from cbirlab.study.grid import NO_ATTENTION

    readers = {field.plural: field.check for _, field in each(Recipe) if field.plural and field.plural != "weights"}
    readers |= {
        "backbones": lambda text: split_backbone(text, given.weights),
        "encodings": Aggregation.parse,
        "attentions": lambda text: [Attention.parse(one) for one in text.split(">") if text != NO_ATTENTION],
        "fusions": FusionMethod.parse,
    }
    names: dict[str, Any] = {}
    for name, read in readers.items():
        asked = getattr(given, name, None)
        if asked is None:
            continue
        names[name] = "all" if asked == ["all"] else [] if asked == ["none"] and name in ALSO_NONE else asked
        if read and names[name] != "all" and name != "taps":  # which are those of the backbones
            for one in names[name]:
                read(one)
    return names


def recipe_of(saved: Mapping[str, Any], options: Mapping[str, Any]) -> Recipe | Fusion:
    """A recipe or a fusion from plain data, with some fields replaced.

    Raises
    ------
    ValueError, TypeError : no recipe; or fields for a fusion, whose members have fields of their own.
    """
    from cbirlab.fusion import Fusion
    from cbirlab.pipeline import Recipe

    if "members" not in saved:
        return Recipe.from_json({**saved, **options}) if saved else Recipe(**options)
    if options:
        raise ValueError(f"a saved fusion is run without changes; leave out {', '.join(options)}.")
    return Fusion.from_json(saved)


def say_network(named: Any, dataset: str, given: Any) -> None:
    """Say which network describes pictures other than Toytown's if none was named."""
    usual = usual_backbone(dataset)
    if not named and usual != OF_TOYTOWN and not given.quiet:
        saying.complain(f"network: {usual}, the usual one for photographs; --backbone names another")


def carry_out(recipe: Recipe | Fusion, given: Any) -> Run | FusedRun:
    """The run of a recipe or of a fusion."""
    from cbirlab.fusion import Fusion, run_fusion
    from cbirlab.pipeline import run

    options = {"store": store(given), "device": given.device, "progress": not given.quiet}
    options["time_images"] = getattr(given, "time_images", False)
    return run_fusion(recipe, **options) if isinstance(recipe, Fusion) else run(recipe, **options)


NO_TRUTH = "No ground truth, so no metrics. To get them, give each instance a sub-folder: then every image is a query."

OF_RANKING = ("dataset", "protocol", "average_precision")
"""Options that apply to a ranking that exists already."""


def explain_choices(given: Any, options: dict[str, Any]) -> Callable[[], pd.DataFrame]:
    """Prepare what ``cbirlab why`` computes; the request is checked here.

    Raises
    ------
    ValueError, TypeError : no such choice, no recipe, or options that a ranking does not take.
    """
    from cbirlab.datasets import load_dataset
    from cbirlab.pipeline import Recipe
    from cbirlab.study.choices import CHOICES, differences, ranking_differences, read_ranking

    for name in given.choices or ():
        CHOICES.check("--choice", "each", name)
    asked = {"choices": given.choices, "level": given.level}
    if given.ranking is None:
        recipe = recipe_of(read_recipe(given.recipe, given.row) if given.recipe else {}, options)
        if not isinstance(recipe, Recipe):
            raise ValueError("--recipe must be a single recipe, got a fusion; ask about its members one by one.")
        checks.level(recipe, given.level)
        how = {"store": store(given), "device": given.device, "progress": not given.quiet}
        return lambda: differences(recipe, **asked, **how)
    others = [name for name in options if name not in OF_RANKING] + ["recipe"] * bool(given.recipe)
    if others:
        raise ValueError(
            f"--ranking gives a finished ranking, which other options cannot change; leave out {', '.join(others)}."
        )
    dataset = options.pop("dataset", Recipe.dataset)
    checks.level(Recipe(dataset=dataset, **options), given.level)

    def judged() -> pd.DataFrame:
        found = load_dataset(dataset)
        return ranking_differences(read_ranking(given.ranking, found), found, **asked, **options)

    return judged


def write_table(frame: pd.DataFrame, given: Any) -> None:
    """Write the table that --out asks for, with the columns that --columns names."""
    from cbirlab import tables

    if given.out:
        saying.say(f"written: {tables.write(frame, given.out, columns=given.columns)} ({len(frame)} rows)")


def why_text(frame: pd.DataFrame) -> str:
    """The differences for the terminal, and what an interval means."""
    from cbirlab import tables

    shown = frame.drop(columns="recipe").assign(forward_pass=["yes" if one else "" for one in frame["forward_pass"]])
    note = (
        "An interval [change_low, change_high] without 0 and change_p of at most 0.05: the choice makes a difference "
        "on these queries.\n"
    )
    return f"{tables.to_text(shown)}\n{note}"


def row_of(result: Run | FusedRun) -> dict[str, Any]:
    """The row of a table."""
    from cbirlab.fusion import FusedRun, fused_row
    from cbirlab.pipeline import table_row

    return fused_row(result) if isinstance(result, FusedRun) else table_row(result)


def run_text(result: Run | FusedRun) -> str:
    """What was done, what came out and what it costs."""
    told = {name: value for name, value in row_of(result).items() if name not in (*result.metrics, "recipe")}
    recipe = asdict(result.recipe)
    more = [
        [name, str(value)]
        for name, value in recipe.items()
        if name not in (*told, "members") and value not in (None, ())
    ]
    rows = [[name, f"{value:.4g}" if isinstance(value, float) else str(value)] for name, value in told.items()]
    rows += [*more, *([name, f"{value:.4f}"] for name, value in result.metrics.items())]
    rows += [[f"{stage}_seconds", f"{seconds:.3f}"] for stage, seconds in result.seconds.items()]
    return align([row for row in rows if row[1]]) + ("" if result.metrics else f"\n{NO_TRUTH}")


def versus_text(frame: pd.DataFrame, report: pd.DataFrame) -> str:
    """The comparison of two runs for the terminal: which wins overall, and every query, the largest win first."""
    from cbirlab import tables

    facts, pair = frame.attrs, report.iloc[0]
    mean_a, mean_b = (pair[f"{facts['metric']}_{one}"] for one in "ab")
    lines = [
        f"{facts['title']}: a {mean_a:.4f}, b {mean_b:.4f}; a - b {facts['mean_difference']:+.4f} "
        f"[{facts['low']:+.4f}, {facts['high']:+.4f}], {facts['verdict']}",
        f"a wins {facts['a_wins']} of {facts['queries']} queries, b wins {facts['b_wins']}; "
        f"correlation of their values {pair['pearson']:.2f}",
        f"the better of the two for every query: {pair['oracle']:.4f}; fused by reciprocal rank: {pair['fused']:.4f}",
    ]
    return "\n".join([*lines, "", tables.to_text(frame)])


def frame_text(frame: pd.DataFrame) -> str:
    """A table for the terminal, without the minor columns that say the same in every row."""
    from cbirlab import tables

    hidden = (
        "dataset",
        "whitening_set",
        "image_size",
        "preprocessing",
        "numerics",
        "leak",
        "skipped",
        "left_out",
        "build_seconds",
        "bytes_per_image",
        "recall@10",
        "compression",
        "index",
        "rescore",
        "rerank",
        "rerank_ms",
        "prepare_seconds",
        "distractors",
        "passes",
        "forward_passes",
    )
    same = [name for name in hidden if name in frame.columns and len(set(frame[name])) == 1]
    judged = any(name.endswith("_low") for name in frame.columns)
    return tables.to_text(frame.drop(columns=same)) + ("" if judged else f"{NO_TRUTH}\n")
