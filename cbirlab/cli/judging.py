"""``cbirlab evaluate`` and ``cbirlab published``: judge features that others computed, and list published numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.cli.options import at_least_one
from cbirlab.cli.saying import say

if TYPE_CHECKING:
    from cbirlab.datasets import Dataset
    from cbirlab.evaluation import Evaluation


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab evaluate``."""
    from cbirlab.imported_features import SIMILARITY

    parser.add_argument("--dataset", metavar="NAME", required=True, help="a name, a folder, or a CSV file")
    parser.add_argument(
        "--features", metavar="FILE", required=True, help=".npy, .npz, .mat, .h5, .parquet: the database"
    )
    parser.add_argument("--queries", metavar="FILE", help="the queries (default: in the same file, or in the database)")
    parser.add_argument("--key", metavar="NAME", help="name of the database's matrix, if the file holds several")
    parser.add_argument("--query-key", metavar="NAME", help="name of the queries' matrix, if the file holds several")
    direction = parser.add_mutually_exclusive_group()
    direction.add_argument("--columns", action="store_true", default=None, help="D x N: a column is an image")
    direction.add_argument("--rows", dest="columns", action="store_false", help="N x D: a row is an image")
    parser.add_argument("--similarity", choices=SIMILARITY.options, default="cosine", help="(default: cosine)")
    parser.add_argument(
        "--top", type=at_least_one, metavar="K", help="judge only the first K results, which needs less memory"
    )
    parser.add_argument(
        "--rerank", metavar="NAME", default="none", help="re-rank: 'decay', 'dba > aqe' (default: none)"
    )
    parser.add_argument("--out", metavar="FILE", help="write the numbers: .csv, .md, .tex, .xlsx or .json")
    parser.add_argument("--per-query", metavar="FILE", help="write a row per query in one of these formats")


def add_published(parser: argparse.ArgumentParser) -> None:
    """Options of ``cbirlab published``."""
    parser.add_argument("--dataset", metavar="NAME", help="(default: all that have published numbers)")
    parser.add_argument("--method", metavar="WORDS", help="words in the name of the method")
    parser.add_argument("--metric", metavar="NAME", help="e.g. map, map_medium, ns")
    parser.add_argument("--out", metavar="FILE", help="write them, one per row: .csv, .md, .tex, .xlsx or .json")


def evaluate_command(given: Any, options: dict[str, Any]) -> int:
    """Judge imported features and say under which protocol."""
    from cbirlab import tables
    from cbirlab.datasets import load_dataset
    from cbirlab.evaluation import per_query_table
    from cbirlab.imported_features import evaluate_features

    dataset = load_dataset(given.dataset)
    database, queries = _features(given, dataset)
    found = evaluate_features(
        database, queries, dataset, similarity=given.similarity, k=given.top, rerank=given.rerank, **options
    )
    say(_text(found))
    if given.out:
        import pandas as pd

        facts = {"features": Path(given.features).name, "dim": database.shape[1], "similarity": given.similarity}
        facts["rerank"] = given.rerank
        row = {"dataset": dataset.name, **facts, "protocol": found.protocol.name}
        row |= {"average_precision": found.protocol.average_precision, **found.metrics}
        say(f"written: {tables.write(pd.DataFrame([row]), given.out)}")
    if given.per_query:
        say(f"written: {tables.write(per_query_table(found, dataset), given.per_query)}")
    return 0


def published_command(given: Any) -> int:
    """Print published numbers side by side, with what is known about their settings."""
    from cbirlab import tables
    from cbirlab.study.literature import published

    chosen = {"method": given.method, "metric": given.metric}
    frame = published(given.dataset, **chosen, wide=True)
    if not len(frame):
        raise ValueError("no published result matches; leave out --method or --metric to see all of them.")
    same = [name for name in ("dataset", "protocol") if given.dataset and len(set(frame[name])) == 1]
    say(tables.to_text(frame.drop(columns=same).dropna(axis=1, how="all")), end="")
    if given.out:
        say(f"written: {tables.write(published(given.dataset, **chosen), given.out)}")
    return 0


def _features(given: Any, dataset: Dataset) -> tuple[Any, Any]:
    """Descriptors of database and queries; None for the queries if they are in the database."""
    from cbirlab.imported_features import import_features

    asked = [query.path for query in dataset.queries]
    database = import_features(given.features, columns=given.columns, key=given.key, names=dataset.images)
    path = given.queries or (given.features if given.query_key else None)
    if path is None:
        return database, None
    return database, import_features(path, columns=given.columns, key=given.query_key, names=asked)


def _text(found: Evaluation) -> str:
    """The protocol, and each metric with its interval if it has one."""
    from cbirlab.cli.listing import align

    rows = []
    for name, value in found.metrics.items():
        low, high = (found.metrics.get(f"{name}_{end}") for end in ("low", "high"))
        if not name.endswith(("_low", "_high")):
            rows.append([name, f"{value:.4f}", "" if low is None else f"[{low:.4f}, {high:.4f}]"])
    return f"{found.protocol}\n\n{align(rows)}"
