"""What a gallery shows of a ranking: rows, marks, captions, legend. Plain data, from results of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbirlab.datasets.base import Dataset
from cbirlab.index import Ranking
from cbirlab.widgets.gallery import Gallery, Thumbnails
from cbirlab.widgets.marks import MARKS

if TYPE_CHECKING:
    from cbirlab.pipeline import Run

NOT_RIGHT = {"", "wrong", "junk"}


@dataclass(frozen=True)
class Results:
    """The first results of one query.

    Attributes
    ----------
    query : what was asked, in words.
    rows : database rows, best first.
    scores, kinds : one per row; kinds are names in `MARKS`, or "" where nothing is known.
    legend : kinds that can turn up in this answer, so that the legend does not change with every ranking.
    """

    query: str
    rows: Sequence[int]
    scores: Sequence[float]
    kinds: Sequence[str]
    legend: Sequence[str] = ()

    @property
    def title(self) -> str:
        """A line above the pictures."""
        right = sum(kind not in NOT_RIGHT for kind in self.kinds)
        return f"{self.query}: first {len(self.rows)} results" + (f", {right} right" if any(self.kinds) else "")

    def marked(self) -> list[tuple[int, str]]:
        """Pairs of row and kind."""
        return list(zip(self.rows, self.kinds, strict=True))

    def show_in(self, gallery: Gallery) -> None:
        """Draw them."""
        captions = [f"{place}  ·  {score:.3f}" for place, score in enumerate(self.scores, start=1)]
        gallery.show(self.rows, captions=captions, kinds=self.kinds, title=self.title, legend=self.legend)


def results_of_query(dataset: Dataset, ranking: Ranking, query: int, *, shown: int) -> Results:
    """The answer to a query of the protocol, without the query's own picture; `ranking` has one row."""
    rows, scores = _first(ranking, dataset.queries[query].index, shown)
    possible = {*dataset.labels[query], "wrong"} if dataset.labels else set()
    return Results(f"Query {query}", rows, scores, kinds_of_query(dataset, query, rows), _in_order(possible))


def results_of_image(dataset: Dataset, ranking: Ranking, image: int, *, shown: int) -> Results:
    """The answer when database row `image` is the query; `ranking` has one row."""
    rows, scores = _first(ranking, image, shown)
    kinds = kinds_of_image(dataset, image, rows)
    possible = {"positive", "wrong"} if any(kinds) else set()
    return Results(f"Database image {image}", rows, scores, kinds, _in_order(possible))


def kinds_of_query(dataset: Dataset, query: int, rows: Sequence[int]) -> list[str]:
    """The mark of each database row in the answer to a query of the protocol; "" where the dataset has no labels."""
    if not dataset.labels:
        return [""] * len(rows)
    kinds = {row: name for name, members in dataset.labels[query].items() for row in members}
    return [kinds.get(row, "wrong") for row in rows]


def kinds_of_image(dataset: Dataset, image: int, rows: Sequence[int]) -> list[str]:
    """The mark of each row when database row `image` is the query: by instance where instances are known, else ""."""
    wanted = dataset.instances[image] if dataset.instances else ""
    if not wanted:
        return [""] * len(rows)
    return ["positive" if dataset.instances[row] == wanted else "wrong" for row in rows]


def ranked_gallery(run: Run, query: int = 0, *, shown: int = 8) -> Gallery:
    """The first results of one query of a run, framed by what they are.

    Parameters
    ----------
    run : from `cbirlab.run` or `Session.rank`.
    query : row of the dataset's queries.
    shown : how many.
    """
    gallery = Gallery(Thumbnails.of_dataset(run.dataset))
    ranking = Ranking(run.ranking.images[[query]], run.ranking.scores[[query]])
    results_of_query(run.dataset, ranking, query, shown=shown).show_in(gallery)
    return gallery


def _first(ranking: Ranking, own: int | None, shown: int) -> tuple[list[int], list[float]]:
    """The first rows and scores of one ranking, the query's own row left out as the protocols leave it out."""
    rows, scores = ranking.images[0, : shown + 1].tolist(), ranking.scores[0, : shown + 1].tolist()
    kept = [(row, score) for row, score in zip(rows, scores, strict=True) if row != own][:shown]
    return [row for row, _ in kept], [score for _, score in kept]


def _in_order(kinds: set[str]) -> list[str]:
    return [name for name in MARKS if name in kinds]
