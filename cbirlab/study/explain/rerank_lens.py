"""What re-ranking does to one query: the answer before it and after, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.index import Ranking
from cbirlab.reranking import Answers

if TYPE_CHECKING:
    from cbirlab.live import Session


@dataclass(frozen=True, eq=False)
class Reranked:
    """The answer to one query before and after re-ranking.

    Attributes
    ----------
    first, ranking : (1, K), before and after.
    asked : (D,) the query as it was before.
    after : what the last method gave, with the query where expansion moved it to; None if nothing was re-ranked.
    row : of this query in `after`, which may hold all queries.
    """

    first: Ranking
    ranking: Ranking
    asked: np.ndarray
    after: Answers | None = None
    row: int = 0

    @property
    def before(self) -> Answers:
        """What the first method was given for this query, unless a method changed the database.

        Raises
        ------
        ValueError : nothing was re-ranked, or the picture has no descriptor.
        """
        if self.after is None:
            raise ValueError("Nothing was re-ranked; choose a method other than none.")
        if not self.asked.any():
            raise ValueError("This picture has no descriptor, because it cannot be read; choose another one.")
        asked, own = self.asked[None].astype(np.float64), self.after.own[[self.row]]
        number = self.after.asked[[self.row]]
        return replace(self.after, queries=asked, ranking=self.first, own=own, asked=number, evidence={})

    @property
    def moved(self) -> np.ndarray:
        """(D,) the query as it is searched in the end: where expansion moved it to."""
        return self.asked if self.after is None else self.after.queries[self.row]

    @property
    def evidence(self) -> dict[str, np.ndarray]:
        """What the methods tell, see `cbirlab.reranking.Answers`; the row of this query."""
        return {name: values[self.row] for name, values in self.after.evidence.items()} if self.after else {}

    @property
    def added(self) -> dict[int, float]:
        """The images that were added to the query, and how much each counted; the query itself counts 1."""
        pairs = zip(self.evidence.get("neighbours", ()), self.evidence.get("weights", ()), strict=True)
        return {int(image): float(weight) for image, weight in pairs if weight}

    @property
    def inliers(self) -> dict[int, int]:
        """How many matches of each image that was compared agree on one place."""
        pairs = zip(self.evidence.get("verified", ()), self.evidence.get("inliers", ()), strict=True)
        return {int(image): int(count) for image, count in pairs}


def rerank_one(session: Session, setting: tuple, item: int) -> Reranked:
    """Re-rank the answer to a picture, as galleries count: database images, then queries.

    Parameters
    ----------
    setting : with its re-ranking, as `Session.recipe` takes it.
    """
    recipe, images = session.recipe(*setting), len(session.dataset.images)
    heard: list[tuple[Ranking, Answers]] = []

    def told(first: Ranking, after: Answers, *_: float) -> None:
        heard.append((first, after))

    with session.lock:
        bench = session.bench
        database, queries = bench.pair(recipe)
        if item < images:
            rows = database.of([item])
            ranking = bench.search(recipe, rows, own=[item], told=told)
        else:
            rows = queries.of([item - images])
            ranking = bench.search(recipe, [item - images], told=told)
    asked = np.asarray(rows.values[0])
    if not heard:
        return Reranked(ranking, ranking, asked)
    first, after = heard[0]
    row = item - images if len(first) > 1 else 0  # where answers depend on each other, all were asked
    return Reranked(Ranking(first.images[[row]], first.scores[[row]]), ranking, asked, after, row)


def ask_all(session: Session, setting: tuple) -> Answers:
    """What the first method of a setting's re-ranking is given for all queries of the dataset; it is not "none"."""
    recipe, heard = session.recipe(*setting), []
    with session.lock:
        session.bench.search(recipe, range(len(session.dataset.queries)), told=lambda *said: heard.append(said[:2]))
        queries = np.asarray(session.bench.pair(recipe)[1].values, np.float64)
    first, after = heard[0]
    return replace(after, queries=queries, ranking=first, evidence={})
