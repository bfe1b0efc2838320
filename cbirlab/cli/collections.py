"""``cbirlab index push | search``: descriptors in a collection of a database server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from cbirlab.cli import output
from cbirlab.cli.listing import align
from cbirlab.cli.options import add_places, add_recipe_options, at_least_one, whole_number
from cbirlab.cli.saying import UsageError, say

if TYPE_CHECKING:
    from cbirlab.pipeline import Bench, Recipe


def add_actions(parser: Any) -> None:
    """Add the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    push = actions.add_parser("push", help="describe the images of a dataset and load them into the collection")
    push.add_argument("--replace", action="store_true", help="replace other descriptors in that collection")
    search = actions.add_parser("search", help="rank the collection for one query; load it first if it is missing")
    asked = search.add_mutually_exclusive_group()
    asked.add_argument("--query", type=whole_number, metavar="N", help="a query of the dataset, from 0")
    asked.add_argument("--picture", metavar="FILE", help="any picture")
    search.add_argument("--top", type=at_least_one, default=10, metavar="K", help="how many results (default: 10)")
    for action in (push, search):
        _add_places(action)


def _add_places(parser: Any) -> None:
    parser.later(lambda: add_recipe_options(parser, one=True))
    add_places(parser)
    parser.add_argument("--traceback", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)


def check(recipe: Recipe, given: Any) -> None:
    """Refuse a recipe without a collection, and a search without a query.

    Raises
    ------
    ValueError : one of these.
    """
    from cbirlab.index.engines import EngineIndex

    if not issubclass(recipe.index.target(), EngineIndex):
        raise ValueError(
            f"--index must name a collection, as 'pgvector(collection=photos)', got {str(recipe.index)!r}."
        )
    if given.action == "search" and given.query is None and given.picture is None:
        raise ValueError("--query or --picture must be given: one of them says what to search for.")


def command(given: Any, recipe: Recipe) -> int:
    """Carry out ``cbirlab index``."""
    from cbirlab.backbones import load_backbone
    from cbirlab.datasets import load_dataset
    from cbirlab.pipeline import Bench

    dataset = load_dataset(recipe.dataset)
    if given.action == "search" and given.query is not None and not 0 <= given.query < len(dataset.queries):
        raise UsageError(f"--query must be in [0, {len(dataset.queries) - 1}], got {given.query}.")
    backbone = load_backbone(recipe.backbone, recipe.weights, given.device)
    recipe = recipe.resolved(dataset, backbone)
    bench = Bench(dataset, backbone, recipe, store=output.store(given), progress=not given.quiet)
    return _push(given, bench, recipe) if given.action == "push" else _search(given, bench, recipe)


def _push(given: Any, bench: Bench, recipe: Recipe) -> int:
    from cbirlab.index.base import values_of

    if recipe.aggregation.fact("similarity"):
        raise ValueError(
            f"aggregation {recipe.aggregation} compares images word by word, which a database server cannot do; choose "
            "an aggregation that gives one vector per image, such as 'gem'."
        )
    rows = values_of("index push", bench.database(recipe))
    index: Any = recipe.index.make()
    index.push(rows, replace=given.replace)
    info = index.info()
    say(
        f"{index.collection} at {index.engine_.host}: {info.count} rows of {rows.shape[1]} dimensions, "
        f"{info.size_bytes / 1e6:.1f} MB, {info.engine} {info.version}; recall@10 of the exact list {index.recall_:.3f}"
    )
    return 0


def _search(given: Any, bench: Bench, recipe: Recipe) -> int:
    from cbirlab.live.query_image import Outside

    if given.picture is None:
        ranking = bench.search(recipe, [given.query])
    else:
        ranking = Outside(bench, [tap for _, tap in recipe.taps]).rank(recipe, given.picture)
    found = ranking.top(min(given.top, int(ranking.answers()[0])))
    places = zip(found.images[0], found.scores[0], strict=True)
    say(align([[str(n), f"{score:.4f}", _named(bench, recipe, image)] for n, (image, score) in enumerate(places, 1)]))
    return 0


def _named(bench: Bench, recipe: Recipe, image: int) -> str:
    """The file of a row of the database; synthetic distractors have none."""
    from cbirlab.pipeline.distractors import named

    beyond = image - len(bench.dataset.images)
    if beyond < 0:
        return str(bench.dataset.images[image])
    name = named(recipe)
    return f"distractor {bench.distractors(name).images[beyond] if name else beyond}"
