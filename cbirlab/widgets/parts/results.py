"""What a gallery shows of a ranking: rows, marks, captions, legend. Plain data, from results of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cbirlab.datasets.base import Dataset
from cbirlab.evaluation import PROTOCOLS
from cbirlab.index import Ranking
from cbirlab.index.lists import lists_of
from cbirlab.pipeline.distractors import refuse
from cbirlab.pipeline.search import NO_ROW
from cbirlab.widgets.parts.gallery import ASKS, MOST_NAMED, Gallery, Thumbnails
from cbirlab.widgets.parts.result_marks import MARKS

if TYPE_CHECKING:
    from cbirlab.pipeline import Run

NOT_RIGHT = {"", "wrong", "junk"}
OF_PROTOCOL, OF_INSTANCE = "right", "of its instance"  # what right answers are called, by who says that they are


@dataclass(frozen=True)
class Results:
    """The first results of one query.

    Attributes
    ----------
    query : the question, in words.
    rows : database rows, best first.
    scores, kinds : one per row; kinds are names in `MARKS`, or "" where nothing is known.
    legend : kinds that can occur in this answer, so that the legend does not change with every ranking.
    places : place of each row in the whole answer, from 1; empty if they are the first ones.
    among : number of images that were searched, if others were left out.
    right : what a right answer is called: the ground truth says it, or only the instance of a database image does.
    """

    query: str
    rows: Sequence[int]
    scores: Sequence[float]
    kinds: Sequence[str]
    legend: Sequence[str] = ()
    places: Sequence[int] = ()
    among: int | None = None
    right: str = OF_PROTOCOL

    @property
    def title(self) -> str:
        """A line above the pictures."""
        if not self.rows and self.among is None:
            return f"{self.query}: no results, because the picture has no descriptor"
        first = f"{self.query}: first {len(self.rows)} results"
        selected = "" if self.among is None else f" of {self.among} selected"
        judged = (
            f", {count_right(self.kinds)} {self.right}" if any(self.kinds) else "; no ground truth for this question"
        )
        return first + selected + (judged if self.rows else "")

    def show_in(self, gallery: Gallery, *, notes: Sequence[str] = ()) -> None:
        """Draw the results, with a note on each if there are notes."""
        places = self.places or range(1, len(self.rows) + 1)
        captions = [f"{place}  ·  {score:.3f}" for place, score in zip(places, self.scores, strict=True)]
        looks = {"captions": captions, "kinds": self.kinds, "notes": notes}
        gallery.show(self.rows, title=self.title, legend=self.legend, **looks)


def results_of_query(
    dataset: Dataset, ranking: Ranking, query: int, *, shown: int, only: Collection[int] = (), words: str = ""
) -> Results:
    """The answer to a query of the protocol, without the query's own picture if the protocol drops it.

    Parameters
    ----------
    ranking : a ranking of one row.
    only : restricts the answer to these rows, if there are any.
    words : the question.
    """
    own = left_out(dataset, query)
    rows, scores, places = _first(ranking, () if own is None else (own,), shown, only)
    possible = {*dataset.labels[query], "wrong"} if dataset.labels else set()
    kinds = kinds_of_query(dataset, query, rows)
    return Results(words or f"Query {query}", rows, scores, kinds, _in_order(possible), places, count_rows(only))


def left_out(dataset: Dataset, query: int) -> int | None:
    """The database row that is the query's own picture and that the dataset's protocol drops."""
    return dataset.queries[query].index if PROTOCOLS[dataset.protocol].own_image == "dropped" else None


def results_of_image(
    dataset: Dataset, ranking: Ranking, image: int, *, shown: int, only: Collection[int] = (), words: str = ""
) -> Results:
    """The answer when database row `image` is the query; the rest as for `results_of_query`."""
    words = words or f"Database image {image}"
    return results_of_images(dataset, ranking, [image], shown=shown, only=only, words=words)


def results_of_images(
    dataset: Dataset, ranking: Ranking, images: Sequence[int], *, shown: int, only: Collection[int] = (), words: str
) -> Results:
    """The answer when these database rows together are the query; the rest as for `results_of_query`."""
    rows, scores, places = _first(ranking, images, shown, only)
    kinds = kinds_of_images(dataset, images, rows)
    possible = {"positive", "wrong"} if any(kinds) else set()
    among = count_rows(only)
    return Results(words, rows, scores, kinds, _in_order(possible), places, among, right=OF_INSTANCE)


def results_of_outside(words: str, ranking: Ranking, *, shown: int, only: Collection[int] = ()) -> Results:
    """The answer to a picture about which nothing is known; the rest as for `results_of_query`."""
    rows, scores, places = _first(ranking, (), shown, only)
    return Results(words, rows, scores, [""] * len(rows), (), places, count_rows(only))


def kinds_of_query(dataset: Dataset, query: int, rows: Sequence[int]) -> list[str]:
    """The mark of each database row in the answer to a query of the protocol; "" if the dataset has no labels."""
    if not dataset.labels:
        return [""] * len(rows)
    kinds = {row: name for name, members in dataset.labels[query].items() for row in members}
    return [kinds.get(row, "wrong") for row in rows]


def kinds_of_images(dataset: Dataset, images: Sequence[int], rows: Sequence[int]) -> list[str]:
    """The mark of each row if database rows `images` are the query: by instance if others show theirs, else ""."""
    wanted = {dataset.instances[image] for image in images} - {""} if dataset.instances else set()
    asked = {*images}
    if not any(one in wanted for row, one in enumerate(dataset.instances) if row not in asked):  # all would be wrong
        return [""] * len(rows)
    return ["positive" if dataset.instances[row] in wanted else "wrong" for row in rows]


def count_right(kinds: Iterable[str]) -> int:
    """How many of some marks say that an image is a right answer."""
    return sum(kind not in NOT_RIGHT for kind in kinds)


def count_rows(only: Collection[int]) -> int | None:
    """How many images a restriction leaves; it may name none, by `NO_ROW`. None where there is no restriction."""
    return sum(row != NO_ROW for row in only) if only else None


def ranked_gallery(run: Run, query: int = 0, *, shown: int = 8) -> Gallery:
    """The first results of one query of a run, with frames that say what they are.

    Parameters
    ----------
    run : from `cbirlab.run` or `Session.rank`.
    query : row of the dataset's queries.
    shown : number of results.
    """
    refuse("ranked_gallery", run)
    gallery = Gallery(Thumbnails.of_dataset(run.dataset))
    results_of_query(run.dataset, lists_of(run.ranking).of(query), query, shown=shown).show_in(gallery)
    return gallery


def strip_of(
    dataset: Dataset, thumbnails: Thumbnails, on_error: Callable[[Exception], None] | None = None, *, title: str = ""
) -> Gallery:
    """The queries of a dataset, or its images if it has no queries, in a strip to pick from."""
    strip = Gallery(thumbnails, on_error=on_error, arrangement="strip", side=92, asks=ASKS)
    show_in_strip(strip, dataset, title=title)
    return strip


def show_in_strip(strip: Gallery, dataset: Dataset, part: str = "", *, title: str = "") -> None:
    """Show the queries of a dataset, or its images if it has no queries; with a part of a name, all that have it.

    Parameters
    ----------
    part : of the folder or file name, in capital or small letters.
    """
    first, queries = len(dataset.images), len(dataset.queries)
    if part := part.strip().lower():
        every = [*range(first, first + queries), *range(first)]
        ids = [item for item in every if part in strip.thumbnails.file_name(item).lower()]
        first_of = f", the first {MOST_NAMED} here" if len(ids) > MOST_NAMED else ""
        title = f"{dataset.name}: {len(ids)} of {first + queries} pictures have {part!r} in their names{first_of}"
        ids = ids[:MOST_NAMED]
    else:
        ids = range(first, first + queries) if queries else range(first)
        boxed = "; the box marks what to find" if any(query.box for query in dataset.queries) else ""
        title = title or f"{dataset.name}: {queries} queries, {first} images{boxed}"
    strip.show(ids, title=title, ahead=False)


def _first(
    ranking: Ranking, own: Sequence[int], shown: int, only: Collection[int] = ()
) -> tuple[list[int], list[float], list[int]]:
    """The first rows of one ranking with their scores and places, without the query's own rows, as protocols do."""
    answers = ranking.answers()[0]  # images without a descriptor are no results
    rows, scores = ranking.images[0, :answers], ranking.scores[0, :answers]
    if not only:
        rows, scores = rows[: shown + len(own)], scores[: shown + len(own)]
    counted = ~np.isin(rows, own)
    places = np.cumsum(counted)
    kept = np.flatnonzero(counted & np.isin(rows, list(only)) if only else counted)[:shown]
    return rows[kept].tolist(), scores[kept].tolist(), places[kept].tolist()


def _in_order(kinds: set[str]) -> list[str]:
    return [name for name in MARKS if name in kinds]
