"""The invariance probe: change a query step by step and watch its right answers fall down the list."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from cbirlab import images
from cbirlab.datasets import Dataset
from cbirlab.evaluation import PROTOCOLS, average_precision
from cbirlab.images.preprocessing import region
from cbirlab.index import Ranking
from cbirlab.study.perturbation.perturb import KINDS, perturb_image, unchanged

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.live import Session

KEPT_OF = 10


@dataclass(frozen=True)
class Answer:
    """Where the right answers of one query are in the list.

    Attributes
    ----------
    ranks : of all right answers, from 1, ascending; images that the protocol ignores are not counted.
    ap : average precision; NaN without a right answer.
    best_score : score of the first right answer; NaN without one.
    first : the first database rows of the list, without the query's own.
    """

    ranks: tuple[int, ...]
    ap: float
    best_score: float
    first: tuple[int, ...]


def answer_of(
    ranking: Ranking, dataset: Dataset, query: int, protocol: str | None = None, level: str | None = None
) -> Answer:
    """Judge one query's list.

    Parameters
    ----------
    ranking : (1, N).
    query : row among the dataset's queries.
    protocol : a name in `PROTOCOLS`, the dataset's own by default.
    level : a level of the protocol; "medium" by default if it has several.

    Raises
    ------
    ValueError : no such level.
    """
    rules = PROTOCOLS[protocol or dataset.protocol]
    chosen = rules.level(level, "probe")
    order = ranking.images[0, : ranking.answers()[0]]
    own = dataset.queries[query].index
    labels = dataset.labels[query] if dataset.labels else {}
    right = {row for name in chosen.positive for row in labels.get(name, ())}
    junk = {row for name in chosen.junk for row in labels.get(name, ())}
    if own is not None and rules.own_image == "dropped":
        right, junk = right - {own}, junk | {own}
    places = np.flatnonzero(np.isin(order, list(right)))
    ignored = np.flatnonzero(np.isin(order, list(junk)))
    ranks = places - np.searchsorted(ignored, places) + 1
    ap = average_precision(places.tolist(), ignored.tolist(), len(right), rules.average_precision)
    return Answer(
        ranks=tuple(ranks.tolist()),
        ap=ap if right else math.nan,
        best_score=float(ranking.scores[0, places[0]]) if len(places) else math.nan,
        first=tuple(order[order != own][:KEPT_OF].tolist()),
    )


def query_picture(session: Session, query: int, setting: Sequence[Any] | None = None) -> Image.Image:
    """A query's picture as the network gets it: cut to its box, at the image size of the benchmark.

    Parameters
    ----------
    query : row among the dataset's queries.
    setting : tap, aggregation, whitening and dimensions, as `Session.rank` takes them.

    Raises
    ------
    IndexError : no such query.
    ImageError : its file cannot be read.
    ValueError : the dataset has no queries.
    """
    queries = session.dataset.queries
    if not queries:
        raise ValueError(f"probe: dataset {session.dataset.name!r} must have queries, it has none.")
    if not 0 <= query < len(queries):
        raise IndexError(f"probe: query must be in [0, {len(queries) - 1}], got {query}.")
    one = queries[query]
    recipe = session.recipe(*_given(session, setting))
    box, frame = region(one.box, recipe.crop)
    size = int(recipe.image_size or session.dataset.image_size)
    return Image.fromarray(images.pixels(one.path, image_size=size, box=box, frame=frame, resizing=recipe.resizing))


def probe(
    session: Session,
    query: int,
    kind: str,
    amounts: Sequence[float] | None = None,
    setting: Sequence[Any] | None = None,
    *,
    level: str | None = None,
) -> pd.DataFrame:
    """Change a query step by step and watch its right answers.

    Parameters
    ----------
    session : dataset and backbone.
    query : row among the dataset's queries.
    kind : a name in `KINDS`.
    amounts : how much to change the query; by default the amounts of the kind.
    setting : tap, aggregation, whitening and dimensions, as `Session.rank` takes them; GeM at the last map by default.
    level : a level of the protocol; "medium" by default if it has several.

    Returns
    -------
    One row per amount: "kind", "amount"; "ap" at the level; "first_rank" and "median_rank" of the right answers, from
    1, not counting images that the protocol ignores; "best_score", the score of the first right answer; "kept", the
    share of the first ten results of the unchanged query that are still among the first ten; "ranks", all of them.
    Without ground truth only "kept" has a value; the others are NaN.

    Raises
    ------
    IndexError : no such query.
    TypeError, ValueError : no such kind or level, or an amount outside its range.
    """
    import pandas as pd

    plain = unchanged(kind)
    setting = _given(session, setting)
    picture = query_picture(session, query, setting)
    amounts = KINDS[kind].amounts if amounts is None else amounts

    def answer(amount: float) -> Answer:
        ranking = session.rank_image(perturb_image(picture, **{kind: amount}), *setting, prepared=True)
        return answer_of(ranking, session.dataset, query, session.recipe(*setting).protocol, level)

    answers = {amount: answer(amount) for amount in dict.fromkeys([plain, *amounts])}
    return pd.DataFrame([row_of(kind, amount, answers[amount], answers[plain]) for amount in amounts])


def row_of(kind: str, amount: float, answer: Answer, plain: Answer) -> dict[str, Any]:
    """One row of `probe`: an answer, compared with that of the unchanged query."""
    found = bool(answer.ranks)
    return {
        "kind": kind,
        "amount": amount,
        "ap": answer.ap,
        "first_rank": answer.ranks[0] if found else math.nan,
        "median_rank": float(np.median(answer.ranks)) if found else math.nan,
        "best_score": answer.best_score,
        "kept": len({*answer.first} & {*plain.first}) / max(1, len(plain.first)),
        "ranks": answer.ranks,
    }


def _given(session: Session, setting: Sequence[Any] | None) -> Sequence[Any]:
    return (session.default_tap, "gem", "none", None) if setting is None else setting
